/*
 * The voice detector beside the one in speexdsp's preprocessor (a library of its own, linked here
 * only): speech of espeak-ng in voices that the detector was not fitted to, and alsa-utils'
 * recorded ones, in noise at 20, 10 and 5 dB. A line for each kind of noise:
 *
 *     {"bench":"vad","speech":"recorded","noise":"pink","snr_db":10,
 *      "takt":{"recall":…,"false_alarm":…,"right":…},"speex":{…}}
 *
 * recall: the share of the hops of 10 ms with speech that were taken for it; false_alarm: of those
 * without; right: the mean of what was right of either. A hop has speech when the clean sound is
 * within 32 dB of what speech has on average; pauses below 150 ms belong to it. No allowance is
 * made for any delay. The last line has the time for a hop.
 */
#include "takt/vad.h"
#include "base/random.h"
#include "bench.h"
#include "takt/time.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_SPEEXDSP
#include <speex/speex_preprocess.h>
#endif

enum { RATE_HZ = 16000, HOP = RATE_HZ / 100, FRAMES_MAX = 90 * RATE_HZ, PAUSE = 15 };
static const double pi = 3.14159265358979323846;

struct sound {
    float *x;
    size_t frames;
};

/* ---- Speech ------------------------------------------------------------------------------------
 */

/* Adds what a command writes as 32-bit floats, at an active level of -20 dBFS; false for nothing.
 */
static bool add_clip(struct sound *s, const char *command)
{
    FILE *from = popen(command, "r");
    if (!from)
        return false;
    size_t n = fread(s->x + s->frames, sizeof *s->x, FRAMES_MAX - s->frames, from);
    pclose(from);
    double most = 0, sum = 0;
    size_t loud = 0;
    float *x = s->x + s->frames;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    for (size_t i = 0; i < n; i++)
        if (fabs((double)x[i]) > 0.03 * most) {
            sum += (double)x[i] * (double)x[i];
            loud++;
        }
    if (!loud || n < RATE_HZ / 4)
        return false;
    for (size_t i = 0; i < n; i++)
        x[i] *= (float)(0.1 / sqrt(sum / (double)loud));
    s->frames += n;
    return true;
}

static void add_pause(struct sound *s, double seconds)
{
    size_t n = (size_t)(seconds * RATE_HZ);
    n = n < FRAMES_MAX - s->frames ? n : FRAMES_MAX - s->frames;
    memset(s->x + s->frames, 0, n * sizeof *s->x);
    s->frames += n;
}

static bool speak(struct sound *s)
{
    static const char *const voices[] = {"en-us+f4", "en-us+m2", "en-gb+f3",
                                         "de+m7",    "fr-fr+f5", "es+m4"};
    static const char *const texts[] = {"The birch canoe slid on the smooth planks.",
                                        "Glue the sheet to the dark blue background.",
                                        "These days a chicken leg is a rare dish.",
                                        "Vier Kinder spielen im Garten hinter dem Haus.",
                                        "Il fait beau ce matin, nous irons marcher.",
                                        "Los barcos salen del puerto muy temprano."};
    char command[512];
    add_pause(s, 2);
    for (int i = 0; i < 6; i++) {
        snprintf(
            command, sizeof command,
            "espeak-ng -v '%s' --stdout '%s' 2>/dev/null | sox -t wav --ignore-length - -t f32 "
            "-r %d -c 1 - 2>/dev/null",
            voices[i], texts[i], RATE_HZ);
        if (!add_clip(s, command))
            return false;
        add_pause(s, 1.5 + 0.3 * i);
    }
    return true;
}

static bool recall_recorded(struct sound *s)
{
    static const char *const names[] = {"Front_Center", "Front_Left", "Front_Right", "Rear_Center",
                                        "Rear_Left",    "Rear_Right", "Side_Left",   "Side_Right"};
    char command[256];
    add_pause(s, 2);
    for (int i = 0; i < 8; i++) {
        snprintf(command, sizeof command,
                 "sox /usr/share/sounds/alsa/%s.wav -t f32 -r %d -c 1 - 2>/dev/null", names[i],
                 RATE_HZ);
        if (!add_clip(s, command))
            return false;
        add_pause(s, 1.5 + 0.2 * i);
    }
    return true;
}

/* Which hops have speech. */
static bool *label(const struct sound *s)
{
    size_t hops = s->frames / HOP;
    bool *has = calloc(hops + 1, 1);
    for (size_t h = 0; has && h < hops; h++) {
        double sum = 0;
        size_t from = h ? (h - 1) * HOP : 0, to = h + 2 < hops ? (h + 2) * HOP : s->frames;
        for (size_t i = from; i < to; i++)
            sum += (double)s->x[i] * (double)s->x[i];
        has[h] = sum / (double)(to - from) > 0.01 * pow(10, -3.2);
    }
    for (size_t h = 0, last = 0; has && h < hops; h++)
        if (has[h]) {
            for (size_t i = last + 1; last && i < h && h - last <= PAUSE; i++)
                has[i] = true;
            last = h;
        }
    return has;
}

/* ---- Noise -------------------------------------------------------------------------------------
 */

static const char *const noises[] = {"white", "pink", "fan", "hum", "babble", "clicks"};
enum { NOISES = sizeof noises / sizeof *noises };

/* A dozen voices at once, each its own way through the speech. */
static void babble(float *to, const struct sound *speech, struct takt_random *r)
{
    memset(to, 0, speech->frames * sizeof *to);
    for (int v = 0; v < 12; v++) {
        size_t at = (size_t)takt_random_below(r, speech->frames);
        for (size_t i = 0; i < speech->frames; i++) {
            /* Pauses are left out. */
            for (int k = 0; k < 200000 && fabsf(speech->x[at]) < 1e-5f; k++)
                at = at + 1 == speech->frames ? 0 : at + 1;
            to[i] += speech->x[at];
            at = at + 1 == speech->frames ? 0 : at + 1;
        }
    }
}

static void make_noise(float *to, const struct sound *speech, int kind)
{
    struct takt_random r = takt_random_seed((uint64_t)kind + 77);
    double b[3] = {0}, low = 0, sum = 0;
    if (kind == 4)
        babble(to, speech, &r);
    for (size_t i = 0; i < speech->frames && kind != 4; i++) {
        double t = (double)i / RATE_HZ, w = 2 * (takt_random_unit(&r) - 0.5), v = w;
        if (kind == 1) { /* P. Kellet's economical filter */
            b[0] = 0.99765 * b[0] + w * 0.0990460;
            b[1] = 0.96300 * b[1] + w * 0.2965164;
            b[2] = 0.57000 * b[2] + w * 1.0526913;
            v = b[0] + b[1] + b[2] + w * 0.1848;
        } else if (kind == 2) {
            low += 0.08 * (w - low);
            v = low + 0.02 * w;
            for (int h = 1; h < 5; h++)
                v += 0.05 / h * sin(2 * pi * 92 * h * t + 0.3 * sin(2 * pi * 0.4 * t));
        } else if (kind == 3) {
            v = 0.02 * w;
            for (int h = 1; h < 20; h++)
                v += sin(2 * pi * 50 * h * t + h * h) / h;
        } else if (kind == 5) {
            size_t in = i % (RATE_HZ / 4);
            v = 0.001 * w + (in < 80 ? w * exp(-(double)in / 20) : 0);
        }
        to[i] = (float)v;
    }
    for (size_t i = 0; i < speech->frames; i++)
        sum += (double)to[i] * (double)to[i];
    for (size_t i = 0; i < speech->frames; i++)
        to[i] *= (float)(0.1 / sqrt(sum / (double)speech->frames));
}

/* ---- The two -----------------------------------------------------------------------------------
 */

struct score {
    double hits, voiced, alarms, quiet;
    int64_t ns;
    uint64_t hops;
};

static void note(struct score *s, bool has, bool said)
{
    *(has ? &s->voiced : &s->quiet) += 1;
    *(has ? &s->hits : &s->alarms) += said;
    s->hops++;
}

static double right(const struct score *s)
{
    return 0.5 * (s->hits / s->voiced + 1 - s->alarms / s->quiet);
}

static void add(struct score *to, const struct score *s)
{
    to->hits += s->hits;
    to->voiced += s->voiced;
    to->alarms += s->alarms;
    to->quiet += s->quiet;
    to->ns += s->ns;
    to->hops += s->hops;
}

static void run_takt(const float *x, size_t hops, const bool *has, struct score *s)
{
    struct takt_vad *v;
    struct takt_vad_reading r[2];
    if (takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ}, &v, NULL) < 0)
        return;
    int64_t begun = takt_now_ns();
    for (size_t h = 0; h < hops; h++)
        if (takt_vad_process(v, x + h * HOP, HOP, h * HOP, r, 2) == 1)
            note(s, has[h], r[0].is_voice);
    s->ns = takt_now_ns() - begun;
    takt_vad_destroy(v);
}

static void run_speex(const float *x, size_t hops, const bool *has, struct score *s)
{
#ifdef HAVE_SPEEXDSP
    SpeexPreprocessState *p = speex_preprocess_state_init(HOP, RATE_HZ);
    int on = 1, off = 0;
    speex_preprocess_ctl(p, SPEEX_PREPROCESS_SET_VAD, &on);
    speex_preprocess_ctl(p, SPEEX_PREPROCESS_SET_DENOISE, &off);
    int64_t begun = takt_now_ns();
    for (size_t h = 0; h < hops; h++) {
        spx_int16_t pcm[HOP];
        for (int i = 0; i < HOP; i++)
            pcm[i] = (spx_int16_t)fmax(-32768, fmin(32767, 32768 * (double)x[h * HOP + (size_t)i]));
        note(s, has[h], speex_preprocess_run(p, pcm));
    }
    s->ns = takt_now_ns() - begun;
    speex_preprocess_state_destroy(p);
#else
    (void)x, (void)hops, (void)has, (void)s;
#endif
}

static void print_score(const char *name, const struct score *s)
{
    if (s->hops)
        printf(",\"%s\":{\"recall\":%.3f,\"false_alarm\":%.3f,\"right\":%.3f}", name,
               s->hits / s->voiced, s->alarms / s->quiet, right(s));
}

static void run(const char *name, const struct sound *speech, struct score *takt,
                struct score *speex)
{
    static const double snrs_db[] = {20, 10, 5};
    bool *has = label(speech);
    float *noise = calloc(speech->frames, sizeof *noise), *x = calloc(speech->frames, sizeof *x);
    for (int kind = 0; has && noise && x && kind < NOISES; kind++) {
        make_noise(noise, speech, kind);
        for (int k = 0; k < 3; k++) {
            struct score a = {0}, b = {0};
            float level = (float)pow(10, -snrs_db[k] / 20);
            for (size_t i = 0; i < speech->frames; i++)
                x[i] = speech->x[i] + level * noise[i];
            run_takt(x, speech->frames / HOP, has, &a);
            run_speex(x, speech->frames / HOP, has, &b);
            printf("{\"bench\":\"vad\",\"speech\":\"%s\",\"noise\":\"%s\",\"snr_db\":%g", name,
                   noises[kind], snrs_db[k]);
            print_score("takt", &a);
            print_score("speex", &b);
            printf("}\n");
            add(takt, &a);
            add(speex, &b);
        }
    }
    free(has);
    free(noise);
    free(x);
}

int main(void)
{
    struct score takt = {0}, speex = {0};
    for (int k = 0; k < 2; k++) {
        struct sound s = {.x = calloc(FRAMES_MAX, sizeof *s.x)};
        if (s.x && (k ? recall_recorded(&s) : speak(&s)))
            run(k ? "recorded" : "espeak-ng", &s, &takt, &speex);
        else
            fprintf(stderr, "no %s: skipped\n", k ? "alsa-utils" : "espeak-ng or sox");
        free(s.x);
    }
    if (!takt.hops)
        return 0;
    printf("{\"bench\":\"vad\",\"speech\":\"all\",\"noise\":\"all\"");
    print_score("takt", &takt);
    print_score("speex", &speex);
    printf(",\"takt_us_a_hop\":%.2f", (double)takt.ns / 1e3 / (double)takt.hops);
    if (speex.hops)
        printf(",\"speex_us_a_hop\":%.2f,\"ratio\":%.2f",
               (double)speex.ns / 1e3 / (double)speex.hops, (double)takt.ns / (double)speex.ns);
    printf("}\n");
    return 0;
}
