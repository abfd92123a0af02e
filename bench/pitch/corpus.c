/*
 * The clips. Each kind is a function of a seeded generator; levels, spectra, lengths and pitches
 * are drawn from it, so another seed is another corpus of the same kind.
 */
#include "corpus.h"

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double uniform(struct takt_random *r, double low, double high)
{
    return low + (high - low) * takt_random_unit(r);
}

static double log_uniform(struct takt_random *r, double low, double high)
{
    return low * pow(high / low, takt_random_unit(r));
}

static double normal(struct takt_random *r)
{
    double u = 1 - takt_random_unit(r), v = takt_random_unit(r);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static struct clip *add(struct corpus *c, const char *group, const char *name, double seconds)
{
    if (c->count == CLIPS)
        abort();
    struct clip *k = &c->clip[c->count++];
    k->group = group;
    snprintf(k->name, sizeof k->name, "%s", name);
    k->frames = (size_t)(seconds * RATE);
    k->x = need(calloc(k->frames, sizeof *k->x));
    k->truth = need(calloc(k->frames / GRID + 1, sizeof *k->truth));
    return k;
}

static void note_onset(struct clip *k, size_t at, double hz)
{
    if (k->onsets < ONSETS) {
        k->onset[k->onsets].at = at;
        k->onset[k->onsets++].hz = (float)hz;
    }
}

/* White noise so many dB below the mean power of the voiced part. */
static void add_noise(struct clip *k, struct takt_random *r, double snr_db)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < k->frames; i++)
        if (k->truth[i / GRID] > 0) {
            sum += (double)(k->x[i] * k->x[i]);
            n++;
        }
    double sigma = sqrt(sum / (double)(n ? n : 1)) * pow(10, -snr_db / 20);
    for (size_t i = 0; i < k->frames; i++)
        k->x[i] += (float)(sigma * normal(r));
}

static void set_level(struct clip *k, double peak)
{
    double most = 1e-9;
    for (size_t i = 0; i < k->frames; i++)
        most = fmax(most, fabs((double)k->x[i]));
    for (size_t i = 0; i < k->frames; i++)
        k->x[i] = (float)((double)k->x[i] * peak / most);
}

/* ---- Tones ----------------------------------------------------------------------------------- */

struct voice {
    int first, last; /* harmonics */
    double slope;    /* amplitude ~ k^-slope */
    double even;     /* gain of even harmonics */
    double vibrato_hz, vibrato_cents, glide_cents_s;
    double decay_s;   /* 0: none; higher harmonics die faster */
    double stiffness; /* B */
    double ripple_db; /* how unequal the harmonics are, by chance */
    double attack_s;
};

static void play(struct clip *k, struct takt_random *r, const struct voice *v, size_t from,
                 size_t frames, double hz)
{
    double phase[256], gain[256];
    int last = v->last < 255 ? v->last : 255;
    for (int h = v->first; h <= last; h++) {
        phase[h] = uniform(r, 0, 2 * M_PI);
        gain[h] = pow(h, -v->slope) * (h % 2 ? 1 : v->even) *
                  pow(10, uniform(r, -v->ripple_db, v->ripple_db) / 20);
    }
    double attack = fmax(1, v->attack_s * RATE), release = 0.01 * RATE;
    double wobble = uniform(r, 0, 2 * M_PI), turn = 0.5 * (double)frames / RATE;
    for (size_t i = 0; i < frames && from + i < k->frames; i++) {
        double t = (double)i / RATE;
        double cents = v->vibrato_cents * sin(wobble + 2 * M_PI * v->vibrato_hz * t);
        cents += v->glide_cents_s * (t < turn ? t : 2 * turn - t);
        double f = hz * exp2(cents / 1200);
        double envelope = fmin(1, (double)i / attack) * fmin(1, (double)(frames - i) / release);
        double sum = 0;
        for (int h = v->first; h <= last; h++) {
            double fh = f * h * sqrt(1 + v->stiffness * h * h);
            if (fh > 0.45 * RATE)
                break;
            phase[h] += 2 * M_PI * fh / RATE;
            double g = gain[h];
            if (v->decay_s > 0)
                g *= exp(-t / v->decay_s * (1 + 0.3 * h));
            sum += g * sin(phase[h]);
        }
        k->x[from + i] += (float)(envelope * sum);
        if ((from + i) % GRID == 0)
            k->truth[(from + i) / GRID] =
                v->decay_s > 0 && exp(-1.3 * t / v->decay_s) < 0.003 ? 0 : (float)f;
    }
    note_onset(k, from, hz);
}

/* Notes with gaps between them, some of them none. */
static struct clip *melody(struct corpus *c, struct takt_random *r, const char *group,
                           const char *name, const struct voice *v, double low, double high,
                           double seconds)
{
    struct clip *k = add(c, group, name, seconds);
    size_t at = (size_t)(uniform(r, 0.1, 0.3) * RATE);
    while (at + RATE / 2 < k->frames) {
        size_t frames = (size_t)(uniform(r, 0.35, 0.7) * RATE);
        play(k, r, v, at, frames, log_uniform(r, low, high));
        at += frames + (takt_random_unit(r) < 0.3 ? 0 : (size_t)(uniform(r, 0.05, 0.3) * RATE));
    }
    return k;
}

static struct voice random_voice(struct takt_random *r)
{
    return (struct voice){.first = 1,
                          .last = 1 + (int)log_uniform(r, 3, 40),
                          .slope = uniform(r, 0.3, 2),
                          .even = takt_random_unit(r) < 0.2 ? 0.02 : 1,
                          .ripple_db = uniform(r, 0, 8),
                          .attack_s = log_uniform(r, 0.002, 0.03)};
}

static void synthetic(struct corpus *c, struct takt_random *r)
{
    char name[64];
    for (int i = 0; i < 6; i++) {
        struct voice v = random_voice(r);
        if (i == 0)
            v.last = 1;
        snprintf(name, sizeof name, "tones-%d", i);
        struct clip *k = melody(c, r, "tones", name, &v, 60, 2500, 4);
        add_noise(k, r, 40);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    for (int i = 0; i < 2; i++) {
        struct voice v = random_voice(r);
        snprintf(name, sizeof name, "high-%d", i);
        struct clip *k = melody(c, r, "tones", name, &v, 1500, 4200, 3);
        add_noise(k, r, 40);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    static const int snr[] = {20, 10, 5, 0};
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < 3; i++) {
            struct voice v = random_voice(r);
            snprintf(name, sizeof name, "noise%d-%d", snr[s], i);
            struct clip *k =
                melody(c, r, snr[s] > 10 ? "noise20" : "noise10", name, &v, 70, 2000, 4);
            add_noise(k, r, snr[s]);
            set_level(k, uniform(r, 0.3, 0.8));
        }
    for (int i = 0; i < 5; i++) {
        struct voice v = random_voice(r);
        v.first = 2 + (int)takt_random_below(r, 3);
        v.last = v.first + 4 + (int)takt_random_below(r, 8);
        v.slope = uniform(r, 0, 1);
        v.ripple_db = 3;
        v.even = 1;
        snprintf(name, sizeof name, "missing-%d", i);
        struct clip *k = melody(c, r, "missing", name, &v, 60, 800, 4);
        add_noise(k, r, 40);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    for (int i = 0; i < 6; i++) {
        struct voice v = random_voice(r);
        v.vibrato_hz = uniform(r, 4, 7.5);
        v.vibrato_cents = log_uniform(r, 15, 120);
        snprintf(name, sizeof name, "vibrato-%d", i);
        struct clip *k = melody(c, r, "vibrato", name, &v, 100, 1500, 4);
        add_noise(k, r, 45);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    for (int i = 0; i < 5; i++) {
        struct voice v = random_voice(r);
        v.glide_cents_s = (i % 2 ? -1 : 1) * log_uniform(r, 500, 4000);
        snprintf(name, sizeof name, "glide-%d", i);
        struct clip *k = melody(c, r, "glides", name, &v, 150, 900, 4);
        add_noise(k, r, 45);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    for (int i = 0; i < 5; i++) {
        struct voice v = random_voice(r);
        v.decay_s = uniform(r, 0.2, 1.2);
        v.last = 12 + (int)takt_random_below(r, 20);
        v.even = 1;
        v.stiffness = log_uniform(r, 1e-6, 2e-4);
        v.attack_s = 0.002;
        snprintf(name, sizeof name, "pluck-%d", i);
        struct clip *k = melody(c, r, "plucks", name, &v, 80, 1000, 4);
        add_noise(k, r, 45);
        set_level(k, uniform(r, 0.1, 0.8));
    }
    for (int i = 0; i < 5; i++) {
        struct voice v = random_voice(r);
        v.last = 10 + (int)takt_random_below(r, 20);
        v.even = 1;
        if (i % 2) {
            v.decay_s = uniform(r, 0.6, 1.5);
            v.stiffness = log_uniform(r, 1e-6, 1e-4);
        }
        v.attack_s = 0.004;
        snprintf(name, sizeof name, "bass-%d", i);
        struct clip *k = melody(c, r, "bass", name, &v, 30.87, 73.4, 4);
        add_noise(k, r, 45);
        set_level(k, uniform(r, 0.1, 0.8));
    }
}

/* ---- WAV ------------------------------------------------------------------------------------- */

static void put(unsigned char *to, uint32_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(x >> 8 * i);
}

void wav_write(const char *path, const float *x, size_t frames, uint32_t rate)
{
    unsigned char h[44] = "RIFF....WAVEfmt ";
    put(h + 4, (uint32_t)(36 + 4 * frames), 4);
    put(h + 16, 16, 4);
    put(h + 20, 3, 2);
    put(h + 22, 1, 2);
    put(h + 24, rate, 4);
    put(h + 28, 4 * rate, 4);
    put(h + 32, 4, 2);
    put(h + 34, 32, 2);
    memcpy(h + 36, "data", 4);
    put(h + 40, (uint32_t)(4 * frames), 4);
    FILE *f = need(fopen(path, "wb"));
    fwrite(h, 1, sizeof h, f);
    fwrite(x, 4, frames, f);
    fclose(f);
}

/* Any WAV of 16-bit samples, its channels' mean, by sox at the rate asked for. NULL if not. */
static float *sound_read(const char *path, uint32_t rate, size_t *frames)
{
    char line[512];
    snprintf(line, sizeof line, "sox '%s' -t f32 -r %u -c 1 - 2>/dev/null", path, rate);
    FILE *f = need(popen(line, "r"));
    size_t room = 1 << 16, n = 0, got;
    float *x = need(malloc(room * sizeof *x));
    while ((got = fread(x + n, sizeof *x, room - n, f)) > 0) {
        n += got;
        if (n == room)
            x = need(realloc(x, (room *= 2) * sizeof *x));
    }
    pclose(f);
    *frames = n;
    if (!n) {
        free(x);
        return NULL;
    }
    return x;
}

/* ---- Instruments ----------------------------------------------------------------------------- */

static unsigned char *put_var(unsigned char *to, uint32_t x)
{
    for (int shift = 21; shift > 0; shift -= 7)
        if (x >> shift)
            *to++ = (unsigned char)(0x80 | (x >> shift & 0x7f));
    *to++ = x & 0x7f;
    return to;
}

/* No organ: its stops sound octaves together, and nobody can say which is the pitch. */
static const struct {
    const char *name;
    int program, low, high;
    double decays; /* s; 0: it sounds until its key is let go */
} instruments[] = {
    {"piano", 0, 33, 96, 1},    {"nylon", 24, 40, 76, 1},     {"steel", 25, 40, 76, 1},
    {"ebass", 33, 28, 55, 1},   {"violin", 40, 55, 93, 0},    {"cello", 42, 36, 69, 0},
    {"trumpet", 56, 54, 84, 0}, {"horn", 60, 41, 72, 0},      {"sax", 65, 49, 80, 0},
    {"oboe", 68, 58, 88, 0},    {"clarinet", 71, 50, 88, 0},  {"flute", 73, 60, 96, 0},
    {"choir", 52, 48, 77, 0},   {"marimba", 12, 48, 84, 0.3},
};

static void rendered(struct corpus *c, struct takt_random *r, const char *dir, const char *font)
{
    enum { TICK_HZ = 1000 };
    for (size_t i = 0; i < sizeof instruments / sizeof *instruments; i++) {
        unsigned char track[1024], *t = track, h[14] = "MThd";
        uint32_t at[16], end[16], now = 0, last = 0;
        int key[16], notes = 8;
        put(t, 0, 1);
        t[1] = 0xff, t[2] = 0x51, t[3] = 3, t[4] = 0x07, t[5] = 0xa1, t[6] = 0x20; /* 0.5 s */
        t += 7;
        *t++ = 0, *t++ = 0xc0, *t++ = (unsigned char)instruments[i].program;
        now = 200;
        int span = instruments[i].high - instruments[i].low + 1;
        for (int n = 0; n < notes; n++) {
            key[n] = instruments[i].low + (int)takt_random_below(r, (uint64_t)span);
            at[n] = now;
            end[n] = now + (uint32_t)uniform(r, 280, 550);
            now = end[n] + (takt_random_unit(r) < 0.3 ? 0 : (uint32_t)uniform(r, 80, 250));
            t = put_var(t, at[n] - last);
            *t++ = 0x90, *t++ = (unsigned char)key[n], *t++ = (unsigned char)uniform(r, 60, 120);
            t = put_var(t, end[n] - at[n]);
            *t++ = 0x80, *t++ = (unsigned char)key[n], *t++ = 64;
            last = end[n];
        }
        t = put_var(t, 300);
        *t++ = 0xff, *t++ = 0x2f, *t++ = 0;
        h[7] = 6, h[9] = 0, h[11] = 1, h[12] = (TICK_HZ / 2) >> 8, h[13] = (TICK_HZ / 2) & 0xff;
        char mid[300], wav[300], line[1024];
        snprintf(mid, sizeof mid, "%s/%s.mid", dir, instruments[i].name);
        snprintf(wav, sizeof wav, "%s/%s.wav", dir, instruments[i].name);
        FILE *f = need(fopen(mid, "wb"));
        unsigned char th[8] = "MTrk";
        uint32_t size = (uint32_t)(t - track);
        th[4] = (unsigned char)(size >> 24), th[5] = (unsigned char)(size >> 16);
        th[6] = (unsigned char)(size >> 8), th[7] = (unsigned char)size;
        fwrite(h, 1, sizeof h, f);
        fwrite(th, 1, sizeof th, f);
        fwrite(track, 1, size, f);
        fclose(f);
        snprintf(line, sizeof line,
                 "fluidsynth -q -ni -R 0 -C 0 -g 0.6 -r %d -F '%s' '%s' '%s' >/dev/null 2>&1", RATE,
                 wav, font, mid);
        size_t frames = 0;
        float *x = system(line) == 0 ? sound_read(wav, RATE, &frames) : NULL;
        if (!x) {
            fprintf(stderr,
                    "bench: no instruments: fluidsynth, a soundfont (%s) or sox is missing\n",
                    font);
            return;
        }
        double seconds = (double)(now + 200) / TICK_HZ;
        struct clip *k = add(c, "instruments", instruments[i].name, seconds);
        memcpy(k->x, x, (frames < k->frames ? frames : k->frames) * sizeof *x);
        free(x);
        set_level(k, uniform(r, 0.2, 0.8));
        for (int n = 0; n < notes; n++) {
            double hz = 440 * exp2((key[n] - 69) / 12.0);
            size_t from = at[n] * (RATE / TICK_HZ), to = end[n] * (RATE / TICK_HZ);
            /* The sound begins where it first reaches 1 % of the note's peak. */
            double peak = 0;
            for (size_t j = from; j < to && j < k->frames; j++)
                peak = fmax(peak, fabs((double)k->x[j]));
            size_t begin = from;
            while (begin < to && fabs((double)k->x[begin]) < 0.01 * peak)
                begin++;
            size_t first = (from + GRID - 1) / GRID;
            for (size_t g = first; g * GRID < to && g * GRID < k->frames; g++) {
                double most = 0;
                for (size_t j = g * GRID; j < g * GRID + 2048 && j < k->frames; j++)
                    most = fmax(most, fabs((double)k->x[j]));
                k->truth[g] = g * GRID < begin ? NAN : most < 0.003 * peak ? NAN : (float)hz;
            }
            /* What rings on after the key is let go is neither. */
            size_t stop = n + 1 < notes ? at[n + 1] * (RATE / TICK_HZ) : k->frames;
            for (size_t g = to / GRID; g * GRID < stop && g * GRID < k->frames; g++) {
                double most = 0;
                for (size_t j = g * GRID; j < g * GRID + 1024 && j < k->frames; j++)
                    most = fmax(most, fabs((double)k->x[j]));
                k->truth[g] = most > 1e-4 ? NAN : 0;
            }
            note_onset(k, begin, hz);
        }
    }
}

/* ---- Praat ----------------------------------------------------------------------------------- */

double *praat_pitch(const char *dir, const char *wav, const char *call, double *first,
                    size_t *frames)
{
    char script[300], out[300], line[1024];
    snprintf(script, sizeof script, "%s/pitch.praat", dir);
    snprintf(out, sizeof out, "%s/pitch.txt", dir);
    FILE *f = need(fopen(script, "w"));
    fprintf(f,
            "Read from file: \"%s\"\n%s\n"
            "t = Get time from frame number: 1\n"
            "n = Get number of frames\n"
            "writeInfoLine: fixed$ (t, 9), \" \", n\n"
            "To Matrix\n"
            "Save as headerless spreadsheet file: \"%s\"\n",
            wav, call, out);
    fclose(f);
    snprintf(line, sizeof line, "praat --run '%s' 2>/dev/null", script);
    FILE *p = need(popen(line, "r"));
    bool said = fscanf(p, "%lf %zu", first, frames) == 2 && *frames > 0 && *frames < 1u << 24;
    if (pclose(p) != 0 || !said || !(f = fopen(out, "r")))
        return NULL;
    double *hz = need(calloc(*frames, sizeof *hz));
    for (size_t i = 0; i < *frames; i++)
        if (fscanf(f, "%lf", &hz[i]) != 1)
            hz[i] = 0;
    fclose(f);
    return hz;
}

/* ---- Speech ---------------------------------------------------------------------------------- */

static const char *const sentences[] = {
    "The north wind and the sun were arguing one day about which of them was stronger.",
    "A large size in stockings is hard to sell, but nobody minds a yellow one.",
    "She had your dark suit in greasy wash water all year.",
    "We were away a year ago, and you may know how long that was.",
    "Seven seals were stamped on great sheets; the hog crawled under the high fence.",
    "Why were you in Rome when all the others were in Lyon or Milan?",
    "Please count from eleven to nineteen, and then tell me your telephone number.",
    "The birch canoe slid on the smooth planks while rain fell over the bay.",
};
enum { SENTENCES = sizeof sentences / sizeof *sentences };

static float *speak(struct takt_random *r, const char *dir, const char *name, uint32_t rate,
                    size_t *frames)
{
    static const char *const voices[] = {"en", "en+f3", "en+m3", "en+f2", "en-us", "en-us+f4"};
    char wav[300], line[1024];
    snprintf(wav, sizeof wav, "%s/%s.wav", dir, name);
    snprintf(line, sizeof line, "espeak-ng -v %s -p %d -s %d -w '%s' '%s' 2>/dev/null",
             voices[takt_random_below(r, 6)], (int)uniform(r, 20, 75), (int)uniform(r, 130, 180),
             wav, sentences[takt_random_below(r, SENTENCES)]);
    return system(line) == 0 ? sound_read(wav, rate, frames) : NULL;
}

/*
 * A linear-prediction vocoder: the tract of espeak's voice, frame by frame, over our own glottis.
 * So the spectra are those of speech, and f0 is known to the sample.
 */
static void vocoded(struct corpus *c, struct takt_random *r, const char *dir)
{
    enum { LOW = 24000, ORDER = 26, FRAME = 600, HOP = 240 };
    for (int s = 0; s < 6; s++) {
        char name[64], wav[300];
        size_t n = 0;
        snprintf(name, sizeof name, "vocoder-%d", s);
        float *x = speak(r, dir, name, LOW, &n);
        if (!x) {
            fprintf(stderr, "bench: no speech: espeak-ng or sox is missing\n");
            return;
        }
        if (n > 4 * LOW)
            n = 4 * LOW;
        size_t hops = n / HOP;
        double(*tract)[ORDER + 1] = need(calloc(hops, sizeof *tract));
        double *gain = need(calloc(hops, sizeof *gain)),
               *voiced = need(calloc(hops, sizeof *voiced));
        double loudest = 0;
        for (size_t h = 0; h < hops; h++) {
            double frame[FRAME], ac[ORDER + 1], a[ORDER + 1] = {1}, error;
            for (int i = 0; i < FRAME; i++) {
                long j = (long)(h * HOP) + i - FRAME / 2;
                double w = 0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / FRAME);
                double now = j >= 0 && j < (long)n ? (double)x[j] : 0;
                double was = j >= 1 && j < (long)n ? (double)x[j - 1] : 0;
                frame[i] = w * (now - 0.9 * was);
            }
            for (int l = 0; l <= ORDER; l++) {
                ac[l] = 0;
                for (int i = l; i < FRAME; i++)
                    ac[l] += frame[i] * frame[i - l];
            }
            /* Voiced? The best normalised correlation of the raw frame, 70..400 Hz. */
            double best = 0;
            for (int l = LOW / 400; l < LOW / 70 && l < FRAME; l++) {
                double xy = 0, xx = 1e-9, yy = 1e-9;
                for (int i = 0; i < FRAME; i++) {
                    long j = (long)(h * HOP) + i - FRAME / 2;
                    if (j < 0 || j + l >= (long)n)
                        continue;
                    xy += (double)(x[j] * x[j + l]);
                    xx += (double)(x[j] * x[j]);
                    yy += (double)(x[j + l] * x[j + l]);
                }
                best = fmax(best, xy / sqrt(xx * yy));
            }
            double rms = sqrt(ac[0] / FRAME);
            loudest = fmax(loudest, rms);
            voiced[h] = best;
            error = ac[0] * (1 + 1e-4) + 1e-12;
            for (int i = 1; i <= ORDER; i++) {
                double sum = ac[i];
                for (int j = 1; j < i; j++)
                    sum += a[j] * ac[i - j];
                double k = -sum / error, b[ORDER + 1];
                memcpy(b, a, sizeof b);
                for (int j = 1; j < i; j++)
                    a[j] = b[j] + k * b[i - j];
                a[i] = k;
                error *= 1 - k * k;
            }
            memcpy(tract[h], a, sizeof a);
            gain[h] = sqrt(error / FRAME);
        }
        /* A contour: a line that falls, and hills on it. */
        double from = log_uniform(r, 85, 260), falls = uniform(r, -300, 0),
               phase = uniform(r, 0, 6);
        double hill = uniform(r, 100, 350), hill_hz = uniform(r, 0.8, 2.2);
        float *y = need(calloc(n, sizeof *y));
        struct clip *k = add(c, "vocoder", name, (double)n / LOW);
        double state[ORDER] = {0}, turn = 0, v = 0, tilt = 0, whole = 0;
        bool was = false;
        for (size_t i = 0; i < n; i++) {
            size_t h = i / HOP < hops ? i / HOP : hops - 1;
            double t = (double)i / LOW;
            double f = from * exp2((falls * t / 3 + hill * sin(phase + 2 * M_PI * hill_hz * t) +
                                    15 * sin(2 * M_PI * 11 * t)) /
                                   1200);
            int count = (int)(0.45 * LOW / f);
            bool on =
                voiced[h] > 0.75 && gain[h] > 0 && loudest > 0 && gain[h] * 30 > loudest * 0.1;
            v += ((on ? 1 : 0) - v) * 0.01; /* 4 ms */
            turn += f / LOW;
            turn -= floor(turn);
            /* Dirichlet's kernel is an impulse train without aliases. */
            double a = M_PI * turn,
                   pulse = fabs(sin(a)) < 1e-6 ? 2 * count + 1 : sin((2 * count + 1) * a) / sin(a);
            pulse = (pulse - 1) / sqrt(2.0 * count);
            double e = gain[h] * (v * pulse + (1 - v) * normal(r) + 0.05 * v * normal(r));
            double sum = e;
            for (int j = 0; j < ORDER; j++)
                sum -= tract[h][j + 1] * state[j];
            memmove(state + 1, state, (ORDER - 1) * sizeof *state);
            state[0] = fmax(-10, fmin(10, sum));
            tilt = 0.9 * tilt + state[0];
            whole = fmax(whole, fabs(tilt));
            y[i] = (float)tilt;
            if (i % (GRID / 2) == 0 && i / (GRID / 2) < k->frames / GRID)
                k->truth[i / (GRID / 2)] = v > 0.7 ? (float)f : v < 0.3 ? 0 : NAN;
            if (v > 0.7 && !was)
                note_onset(k, 2 * i, f);
            was = v > 0.7 || (was && v > 0.3);
        }
        for (size_t i = 0; i < n; i++)
            y[i] *= (float)(0.7 / fmax(whole, 1e-9));
        snprintf(wav, sizeof wav, "%s/%s-low.wav", dir, name);
        wav_write(wav, y, n, LOW);
        size_t frames = 0;
        float *up = sound_read(wav, RATE, &frames);
        if (up)
            memcpy(k->x, up, (frames < k->frames ? frames : k->frames) * sizeof *up);
        free(up), free(x), free(y), free(tract), free(gain), free(voiced);
        k->onsets = 0; /* a voice grows out of a consonant: its beginning is no instant */
    }
}

/* One of praat's methods over a file, frame by frame; f0[frames], 0 where unvoiced. */
static size_t praat_offline(const char *dir, const char *wav, const char *method, float *f0,
                            size_t most)
{
    char call[300];
    snprintf(call, sizeof call,
             "To Pitch (%s): %.9g, 60, 15, \"no\", 0.03, 0.45, 0.01, 0.35, 0.14, 500", method,
             (double)GRID / RATE);
    double first;
    size_t frames;
    double *hz = praat_pitch(dir, wav, call, &first, &frames);
    for (size_t i = 0; hz && i < frames; i++) {
        long g = lround(first * RATE / GRID) + (long)i;
        if (g >= 0 && (size_t)g < most)
            f0[g] = (float)hz[i];
    }
    free(hz);
    return hz ? frames : 0;
}

/* espeak's own glottis. Two off-line methods of praat agree on f0, or nobody can say. */
static void spoken(struct corpus *c, struct takt_random *r, const char *dir)
{
    for (int s = 0; s < 6; s++) {
        char name[64], wav[300];
        size_t n = 0;
        snprintf(name, sizeof name, "espeak-%d", s);
        float *x = speak(r, dir, name, RATE, &n);
        if (!x)
            return;
        if (n > 4 * RATE)
            n = 4 * RATE;
        size_t grid = n / GRID;
        float *a = need(calloc(grid, sizeof *a)), *b = need(calloc(grid, sizeof *b));
        snprintf(wav, sizeof wav, "%s/%s-48k.wav", dir, name);
        wav_write(wav, x, n, RATE);
        if (!praat_offline(dir, wav, "ac", a, grid) || !praat_offline(dir, wav, "cc", b, grid)) {
            fprintf(stderr, "bench: no speech by consensus: praat is missing\n");
            free(x), free(a), free(b);
            return;
        }
        struct clip *k = add(c, "espeak", name, (double)n / RATE);
        memcpy(k->x, x, k->frames * sizeof *x);
        for (size_t g = 0; g < grid && g < k->frames / GRID; g++)
            k->truth[g] = a[g] > 0 && b[g] > 0 && fabs(log2((double)(a[g] / b[g]))) < 0.04
                              ? sqrtf(a[g] * b[g])
                          : a[g] == 0 && b[g] == 0 ? 0
                                                   : NAN;
        free(x), free(a), free(b);
    }
}

void corpus_make(struct corpus *c, uint64_t seed, const char *dir, const char *soundfont)
{
    struct takt_random r = takt_random_seed(seed);
    c->count = 0;
    synthetic(c, &r);
    rendered(c, &r, dir, soundfont);
    vocoded(c, &r, dir);
    spoken(c, &r, dir);
    c->frames = 0;
    for (int i = 0; i < c->count; i++)
        c->frames += c->clip[i].frames;
}

int corpus_save(const struct corpus *c, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    for (int i = 0; i < c->count; i++) {
        char group[32] = "";
        snprintf(group, sizeof group, "%s", c->clip[i].group);
        fwrite(&c->clip[i], sizeof c->clip[i], 1, f);
        fwrite(group, sizeof group, 1, f);
        fwrite(c->clip[i].x, sizeof(float), c->clip[i].frames, f);
        fwrite(c->clip[i].truth, sizeof(float), c->clip[i].frames / GRID + 1, f);
    }
    return fclose(f) == 0 ? 0 : -1;
}

int corpus_load(struct corpus *c, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    c->count = 0;
    c->frames = 0;
    struct clip k;
    while (c->count < CLIPS && fread(&k, sizeof k, 1, f) == 1) {
        char group[32];
        size_t grid = k.frames / GRID + 1;
        k.x = need(malloc(k.frames * sizeof *k.x));
        k.truth = need(malloc(grid * sizeof *k.truth));
        if (fread(group, sizeof group, 1, f) != 1 ||
            fread(k.x, sizeof *k.x, k.frames, f) != k.frames ||
            fread(k.truth, sizeof *k.truth, grid, f) != grid)
            break;
        k.group = need(strndup(group, sizeof group - 1));
        c->clip[c->count++] = k;
        c->frames += k.frames;
    }
    fclose(f);
    return c->count ? 0 : -1;
}
