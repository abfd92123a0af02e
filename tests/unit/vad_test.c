/* The voice detector and the gate behind it, on a synthesised voice and on what is none. */
#include "base/random.h"
#include "fault.h"
#include "takt/gate.h"
#include "takt/vad.h"
#include "tap.h"

#include <float.h>
#include <math.h>

enum { RATE_HZ = 16000, SECONDS = 8, MOST = 1200 };
static const double pi = 3.14159265358979323846;
static const uint32_t rates[] = {8000, 11025, 16000, 44100, 48000, 192000};
enum { RATES = sizeof rates / sizeof *rates };

/* ---- Sounds ------------------------------------------------------------------------------------
 */

struct resonator {
    double a, b, c, y1, y2;
};

static double resonate(struct resonator *f, double hz, double width_hz, uint32_t rate, double x)
{
    double r = exp(-pi * width_hz / rate);
    f->b = 2 * r * cos(2 * pi * hz / rate);
    f->c = -r * r;
    f->a = 1 - f->b - f->c;
    double y = f->a * x + f->b * f->y1 + f->c * f->y2;
    f->y2 = f->y1;
    f->y1 = y;
    return y;
}

/* Syllables of a fifth of a second from 1.5 to 3.5 and from 5 to 6.5 s: pulses whose pitch falls
 * and sways, through the resonances of changing vowels (Fant's source and filter), with hiss where
 * consonants would be. */
static bool speaks(double t)
{
    return (t >= 1.5 && t < 3.5) || (t >= 5 && t < 6.5);
}

static void add_voice(float *x, size_t frames, uint32_t rate, double level)
{
    static const double vowels[5][3] = {{730, 1090, 2440},
                                        {270, 2290, 3010},
                                        {300, 870, 2240},
                                        {530, 1840, 2480},
                                        {570, 840, 2410}};
    struct resonator f[3] = {{0}};
    struct takt_random r = takt_random_seed(21);
    double phase = 0;
    for (size_t i = 0; i < frames; i++) {
        double t = (double)i / rate, in = fmod(t, 0.2) / 0.2, sample = 0;
        const double *now = vowels[(int)(t / 0.2) % 5], *next = vowels[(int)(t / 0.2 + 1) % 5];
        phase += (125 - 12 * fmod(t, 2) + 10 * sin(2 * pi * 2.3 * t)) / rate;
        double pulse = phase >= 1 ? (double)rate / 1000 : 0;
        phase -= phase >= 1;
        double source = speaks(t) ? (in < 0.75 ? pulse * sin(pi * in / 0.75) : 0) : 0;
        for (int k = 0; k < 3; k++)
            sample += resonate(&f[k], now[k] + (next[k] - now[k]) * in, 70 + 30 * k, rate, source) /
                      (k + 1);
        if (speaks(t) && in > 0.8)
            sample += 0.02 * (takt_random_unit(&r) - 0.5);
        x[i] += (float)(level * sample);
    }
}

enum noise { WHITE, RUMBLE, HUM, HUM_LATER, CLICKS, FAN_LATER, TONE, SILENCE, NOISES };
static const char *const noise_names[] = {"white",  "rumble",    "hum",  "hum later",
                                          "clicks", "fan later", "tone", "silence"};

static void add_noise(float *x, size_t frames, uint32_t rate, enum noise kind, double level)
{
    struct takt_random r = takt_random_seed(kind + 1);
    double low = 0, slow = 1 - exp(-2 * pi * 200 / rate);
    for (size_t i = 0; i < frames; i++) {
        double t = (double)i / rate, white = 3.46 * (takt_random_unit(&r) - 0.5), hum = 0, v = 0;
        low += slow * (white - low);
        for (int h = 1; h < 12; h++)
            hum += sin(2 * pi * 50 * h * t + h) / h;
        switch (kind) {
        case WHITE:
            v = white;
            break;
        case RUMBLE:
            v = 8 * low;
            break;
        case HUM:
            v = hum;
            break;
        case HUM_LATER:
            v = t > 3 ? hum : 0;
            break;
        case CLICKS:
            v = i % (rate / 3) < rate / 2000 ? 4 * white : 0;
            break;
        case FAN_LATER:
            v = t > 3 ? 6 * low + 0.1 * white + 0.2 * sin(2 * pi * 87 * t) : 0;
            break;
        case TONE:
            v = sin(2 * pi * 440 * t);
            break;
        default:
            break;
        }
        x[i] += (float)(level * v);
    }
}

/* ---- The detector ------------------------------------------------------------------------------
 */

static size_t detect(struct takt_vad *v, const float *x, size_t frames, uint64_t from, size_t block,
                     struct takt_vad_reading *out)
{
    size_t count = 0;
    for (size_t at = 0; at < frames; at += block) {
        size_t n = frames - at < block ? frames - at : block;
        count += takt_vad_process(v, x + at, n, from + at, out + count, MOST - count);
    }
    return count;
}

/* Shares of the hops in which somebody speaks, or nobody does, that were taken for voice. Hops
 * within 150 ms of a beginning, or 450 ms of an end, are nobody's. */
static double quiet_from_s; /* what was before is nobody's either */

static void rate_readings(const struct takt_vad_reading *r, size_t n, uint32_t rate, double *recall,
                          double *alarm)
{
    double hits = 0, voiced = 1e-9, alarms = 0, quiet = 1e-9;
    for (size_t i = 0; i < n; i++) {
        double t = (double)r[i].position / rate;
        bool is_sure = speaks(t) == speaks(t - 0.15) && speaks(t) == speaks(t - 0.3) &&
                       speaks(t) == speaks(t - 0.45);
        if (!is_sure || t < 0.5 || t < quiet_from_s)
            continue;
        *(speaks(t) ? &voiced : &quiet) += 1;
        *(speaks(t) ? &hits : &alarms) += r[i].is_voice;
    }
    *recall = hits / voiced;
    *alarm = alarms / quiet;
}

static bool run(uint32_t rate, bool with_voice, enum noise kind, double level, double *recall,
                double *alarm)
{
    static struct takt_vad_reading r[MOST];
    size_t frames = SECONDS * rate;
    float *x = calloc(frames, sizeof *x);
    struct takt_vad *v;
    if (!x || takt_vad_create(&(struct takt_vad_cfg){.rate_hz = rate}, &v, NULL) < 0)
        return false;
    if (with_voice)
        add_voice(x, frames, rate, 0.5);
    add_noise(x, frames, rate, kind, level);
    size_t n = detect(v, x, frames, 0, 512, r);
    takt_vad_destroy(v);
    free(x);
    rate_readings(r, n, rate, recall, alarm);
    return n == SECONDS * 100;
}

static void voice_is_found_at_every_rate(void)
{
    double recall, alarm;
    for (int i = 0; i < RATES; i++) {
        CHECK(run(rates[i], true, WHITE, 0.0005, &recall, &alarm));
        CHECK(recall > 0.97);
        CHECK(alarm < 0.02);
    }
}

static void voice_is_found_in_noise(void)
{
    double recall, alarm;
    for (enum noise kind = 0; kind < NOISES; kind++) {
        CHECK(run(RATE_HZ, true, kind, kind == WHITE ? 0.01 : 0.02, &recall, &alarm));
        printf("# %-10s recall %.3f, false alarm %.3f\n", noise_names[kind], recall, alarm);
        CHECK(recall > 0.9);
        CHECK(alarm < 0.1);
    }
}

static void noise_alone_is_no_voice_however_loud(void)
{
    double recall, alarm;
    static const double levels[] = {0.003, 0.03, 0.25};
    for (enum noise kind = 0; kind < NOISES; kind++)
        for (int l = 0; l < 3; l++) {
            /* A hum that sets in may be the beginning of a vowel, for a moment. */
            quiet_from_s = kind == HUM_LATER ? 4 : kind == FAN_LATER ? 5.2 : 0;
            CHECK(run(l == 1 ? 48000 : RATE_HZ, false, kind, levels[l], &recall, &alarm));
            quiet_from_s = 0;
            printf("# %-10s %5.3f: %.3f %.3f\n", noise_names[kind], levels[l], recall, alarm);
            CHECK(recall < 0.02 && alarm < 0.02);
        }
}

static void pieces_of_any_size_decide_the_same(void)
{
    static struct takt_vad_reading whole[MOST], cut[MOST];
    static float x[4 * 44100];
    struct takt_random r = takt_random_seed(5);
    struct takt_vad *v;
    add_voice(x, 4 * 44100, 44100, 0.4);
    add_noise(x, 4 * 44100, 44100, WHITE, 0.003);
    for (int round = 0; round < 6; round++) {
        CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.rate_hz = 44100}, &v, NULL), 0);
        size_t n = 0;
        for (size_t at = 0; at < 4 * 44100;) {
            size_t piece = round ? 1 + (size_t)takt_random_below(&r, 900 * round - 899) : 4 * 44100;
            piece = 4 * 44100 - at < piece ? 4 * 44100 - at : piece;
            n += takt_vad_process(v, x + at, piece, 77 + at, (round ? cut : whole) + n, MOST - n);
            at += piece;
        }
        takt_vad_destroy(v);
        CHECK_INT(n, 400);
        for (size_t i = 0; i < n && round; i++)
            CHECK(whole[i].probability == cut[i].probability &&
                  whole[i].is_voice == cut[i].is_voice && whole[i].position == cut[i].position &&
                  whole[i].snr_db == cut[i].snr_db && whole[i].harmonicity == cut[i].harmonicity);
    }
}

static void hangover_is_as_long_as_asked_for(void)
{
    static struct takt_vad_reading r[2][MOST];
    static float x[SECONDS * RATE_HZ];
    struct takt_vad *v;
    add_voice(x, SECONDS * RATE_HZ, RATE_HZ, 0.4);
    size_t ends[2] = {0};
    for (int k = 0; k < 2; k++) {
        double hangover_ms = k ? 500 : TAKT_VAD_NO_HANGOVER;
        CHECK_INT(
            takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ, .hangover_ms = hangover_ms},
                            &v, NULL),
            0);
        size_t n = detect(v, x, SECONDS * RATE_HZ, 0, 160, r[k]);
        takt_vad_destroy(v);
        CHECK_INT(n, SECONDS * 100);
        for (size_t i = 0; i < 500; i++)
            ends[k] = r[k][i].is_voice ? i : ends[k];
        for (size_t i = 0; i < n; i++)
            CHECK(!r[k][i].is_held || (k && r[k][i].is_voice));
    }
    CHECK_INT(ends[1], ends[0] + 50);
}

/* After a gap positions are right, and the tracked noise is still known. */
static void gap_is_not_spanned(void)
{
    static struct takt_vad_reading r[MOST];
    static float x[4 * RATE_HZ];
    struct takt_vad *v;
    add_noise(x, 4 * RATE_HZ, RATE_HZ, WHITE, 0.05);
    CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ}, &v, NULL), 0);
    CHECK_INT(detect(v, x, 2 * RATE_HZ + 70, 0, 100, r), 200);
    size_t n = detect(v, x + 2 * RATE_HZ, RATE_HZ, 50 * RATE_HZ + 3, 100, r);
    CHECK_INT(n, 100);
    CHECK_INT(r[0].position, 50 * RATE_HZ + 3 + 160);
    for (size_t i = 0; i < n; i++)
        CHECK(!r[i].is_voice);
    takt_vad_reset(v);
    CHECK_INT(detect(v, x, RATE_HZ, 0, 100, r), 100);
    takt_vad_destroy(v);
}

/* No frames are no gap either, wherever they are said to stand. */
static void no_frames_change_nothing(void)
{
    static struct takt_vad_reading r[2][MOST];
    static float x[SECONDS * RATE_HZ];
    add_voice(x, SECONDS * RATE_HZ, RATE_HZ, 0.4);
    for (int idle = 0; idle < 2; idle++) {
        struct takt_vad *v;
        CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ}, &v, NULL), 0);
        size_t n = 0;
        for (uint64_t at = 0; at < SECONDS * RATE_HZ; at += RATE_HZ / 50) {
            n += takt_vad_process(v, x + at, RATE_HZ / 50, at, r[idle] + n, MOST - n);
            for (int i = 0; i < idle; i++)
                CHECK_INT(takt_vad_process(v, NULL, 0, at / 2, r[idle], MOST), 0);
        }
        takt_vad_destroy(v);
        CHECK_INT(n, SECONDS * 100);
    }
    for (int i = 0; i < SECONDS * 100; i++)
        CHECK(r[0][i].probability == r[1][i].probability && r[0][i].is_voice == r[1][i].is_voice);
}

static void odd_numbers_are_no_voice_and_do_not_stick(void)
{
    static struct takt_vad_reading r[MOST];
    static float x[SECONDS * RATE_HZ], odd[RATE_HZ];
    struct takt_vad *v;
    double recall, alarm;
    for (int i = 0; i < RATE_HZ; i++)
        odd[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -FLT_MAX;
    add_voice(x, SECONDS * RATE_HZ, RATE_HZ, 0.4);
    CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ}, &v, NULL), 0);
    size_t n = detect(v, odd, RATE_HZ, 0, 100, r);
    for (size_t i = 0; i < n; i++)
        CHECK(!r[i].is_voice && isfinite(r[i].probability) && isfinite(r[i].level_dbfs));
    n = detect(v, x, SECONDS * RATE_HZ, RATE_HZ, 100, r);
    takt_vad_destroy(v);
    for (size_t i = 0; i < n; i++)
        r[i].position -= RATE_HZ;
    rate_readings(r, n, RATE_HZ, &recall, &alarm);
    CHECK(recall > 0.9 && alarm < 0.1);
}

static void modes_differ_in_how_sure_they_want_to_be(void)
{
    static struct takt_vad_reading r[MOST];
    static float x[SECONDS * RATE_HZ];
    size_t voiced[3] = {0};
    add_voice(x, SECONDS * RATE_HZ, RATE_HZ, 0.5);
    add_noise(x, SECONDS * RATE_HZ, RATE_HZ, WHITE, 0.04);
    for (int mode = 0; mode < 3; mode++) {
        struct takt_vad *v;
        CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.rate_hz = RATE_HZ,
                                                         .mode = (enum takt_vad_mode)mode,
                                                         .hangover_ms = TAKT_VAD_NO_HANGOVER},
                                  &v, NULL),
                  0);
        size_t n = detect(v, x, SECONDS * RATE_HZ, 0, 160, r);
        for (size_t i = 0; i < n; i++)
            voiced[mode] += r[i].is_voice;
        takt_vad_destroy(v);
    }
    CHECK(voiced[TAKT_VAD_EAGER] > voiced[TAKT_VAD_NORMAL]);
    CHECK(voiced[TAKT_VAD_NORMAL] > voiced[TAKT_VAD_STRICT]);
}

/* ---- The gate ----------------------------------------------------------------------------------
 */

struct kept {
    const float *source; /* what went in, channel 0; channel 1 is its negative half */
    uint64_t origin;     /* the stream's position of source[0] */
    float x[SECONDS * RATE_HZ];
    uint64_t position[SECONDS * RATE_HZ];
    size_t count;
    struct takt_gate_segment segment[16];
    size_t segments;
    bool is_wrong;
};

static void keep(const float *const *x, size_t frames, uint64_t position, void *arg)
{
    struct kept *k = arg;
    for (size_t i = 0; i < frames; i++) {
        k->is_wrong |= k->count && position + i <= k->position[k->count - 1];
        k->is_wrong |= x[1][i] != -0.5f * x[0][i];
        k->position[k->count] = position + i;
        k->x[k->count++] = x[0][i];
    }
}

static void note(const struct takt_gate_segment *s, void *arg)
{
    struct kept *k = arg;
    k->segment[k->segments++] = *s;
}

static struct takt_gate *make_gate(struct kept *k)
{
    struct takt_gate *g;
    return takt_gate_create(
               &(struct takt_gate_cfg){
                   .rate_hz = RATE_HZ, .channels = 2, .write = keep, .segment = note, .arg = k},
               &g, NULL) < 0
               ? NULL
               : g;
}

static void pass(struct takt_gate *g, const float *x, size_t frames, uint64_t from, size_t block,
                 struct takt_random *r)
{
    float *other = calloc(frames, sizeof *other);
    for (size_t i = 0; i < frames; i++)
        other[i] = -0.5f * x[i];
    for (size_t at = 0; at < frames;) {
        size_t n = r ? 1 + (size_t)takt_random_below(r, block) : block;
        n = frames - at < n ? frames - at : n;
        takt_gate_process(g, (const float *const[]){x + at, other + at}, n, from + at);
        at += n;
    }
    free(other);
}

static float sound[SECONDS * RATE_HZ];

static void make_sound(void)
{
    memset(sound, 0, sizeof sound);
    add_voice(sound, SECONDS * RATE_HZ, RATE_HZ, 0.4);
    add_noise(sound, SECONDS * RATE_HZ, RATE_HZ, WHITE, 0.001);
}

/* Each frame of a segment is that of the stream to the bit, but for 5 ms at its ends; the segments
 * are what was written, and each holds its phrase from before its first sound to behind its last.
 */
static void gate_keeps_each_phrase_whole_and_to_the_bit(void)
{
    static struct kept k;
    memset(&k, 0, sizeof k);
    make_sound();
    struct takt_gate *g = make_gate(&k);
    CHECK(g);
    pass(g, sound, SECONDS * RATE_HZ, 0, 480, NULL);
    takt_gate_finish(g);
    struct takt_gate_state state;
    takt_gate_read(g, &state);
    takt_gate_destroy(g);
    CHECK(!k.is_wrong);
    CHECK_INT(k.segments, 2);
    CHECK_INT(state.segments, 2);
    CHECK_INT(state.kept_frames, k.count);
    CHECK_INT(state.kept_frames + state.left_out_frames, SECONDS * RATE_HZ);
    size_t at = 0;
    static const double from[] = {1.5, 5}, to[] = {3.5, 6.5};
    for (size_t s = 0; s < 2; s++) {
        const struct takt_gate_segment *seg = &k.segment[s];
        CHECK((double)seg->start / RATE_HZ < from[s] - 0.1);
        CHECK((double)seg->start / RATE_HZ > from[s] - 0.6);
        CHECK((double)seg->end / RATE_HZ > to[s] + 0.1);
        CHECK((double)seg->end / RATE_HZ < to[s] + 0.9);
        CHECK_INT(seg->at, at);
        for (uint64_t p = seg->start; p < seg->end; p++, at++) {
            bool is_faded = p < seg->start + 80 || p >= seg->end - 80;
            CHECK_INT(k.position[at], p);
            CHECK(is_faded ? fabsf(k.x[at]) <= fabsf(sound[p]) : k.x[at] == sound[p]);
        }
        CHECK(fabsf(k.x[seg->at]) < 1e-4f && fabsf(k.x[at - 1]) < 1e-4f);
    }
    CHECK_INT(at, k.count);
}

static void gate_gives_the_same_in_blocks_of_any_size(void)
{
    static struct kept a, b;
    struct takt_random r = takt_random_seed(12);
    memset(&a, 0, sizeof a);
    make_sound();
    struct takt_gate *g = make_gate(&a);
    CHECK(g);
    pass(g, sound, SECONDS * RATE_HZ, 9, SECONDS * RATE_HZ, NULL);
    takt_gate_finish(g);
    takt_gate_destroy(g);
    for (size_t block = 1; block < 20000; block = block * 5 + 3) {
        memset(&b, 0, sizeof b);
        CHECK((g = make_gate(&b)));
        pass(g, sound, SECONDS * RATE_HZ, 9, block, &r);
        takt_gate_finish(g);
        takt_gate_destroy(g);
        CHECK_INT(a.count, b.count);
        CHECK_INT(a.segments, b.segments);
        CHECK(!memcmp(a.segment, b.segment, sizeof a.segment));
        CHECK(!memcmp(a.x, b.x, sizeof a.x));
    }
}

static void gate_without_a_voice_keeps_nothing(void)
{
    static struct kept k;
    memset(&k, 0, sizeof k);
    memset(sound, 0, sizeof sound);
    add_noise(sound, SECONDS * RATE_HZ, RATE_HZ, RUMBLE, 0.1);
    struct takt_gate *g = make_gate(&k);
    struct takt_gate_state state;
    CHECK(g);
    pass(g, sound, SECONDS * RATE_HZ, 0, 480, NULL);
    takt_gate_finish(g);
    takt_gate_read(g, &state);
    takt_gate_destroy(g);
    CHECK(!k.count && !k.segments && !state.kept_frames && !state.segments && !state.is_open);
    CHECK_INT(state.left_out_frames, SECONDS * RATE_HZ);
}

/* A voice at either end of the stream is not faded there, and loses nothing. */
static void gate_loses_nothing_at_the_ends_of_the_stream(void)
{
    static struct kept k;
    memset(&k, 0, sizeof k);
    make_sound();
    struct takt_gate *g = make_gate(&k);
    CHECK(g);
    const size_t from = RATE_HZ * 3 / 2 + 100, frames = RATE_HZ;
    pass(g, sound + from, frames, 0, 333, NULL);
    takt_gate_finish(g);
    takt_gate_destroy(g);
    CHECK_INT(k.count, frames);
    CHECK(!memcmp(k.x, sound + from, frames * sizeof *sound));
}

/* Frames that the stream lost make two segments, with what is left of the phrase in both. */
static void gate_ends_a_segment_at_a_gap(void)
{
    static struct kept k;
    memset(&k, 0, sizeof k);
    make_sound();
    struct takt_gate *g = make_gate(&k);
    CHECK(g);
    const size_t cut = RATE_HZ * 5 / 2, lost = 300;
    pass(g, sound, cut, 0, 480, NULL);
    pass(g, sound + cut + lost, RATE_HZ, cut + lost, 480, NULL);
    takt_gate_finish(g);
    struct takt_gate_state state;
    takt_gate_read(g, &state);
    takt_gate_destroy(g);
    CHECK(!k.is_wrong);
    CHECK_INT(k.segments, 2);
    CHECK_INT(k.segment[0].end, cut);
    CHECK_INT(k.segment[1].start, cut + lost);
    uint64_t at = k.segment[1].at;
    for (size_t i = 1; i <= 100; i++) { /* not faded: nothing was cut off there but by the gap */
        CHECK(k.x[at - i] == sound[cut - i]);
        CHECK(k.x[at + i - 1] == sound[cut + lost + i - 1]);
    }
    CHECK_INT(state.kept_frames + state.left_out_frames, cut + RATE_HZ);
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static void create_without_memory_gives_all_back(void)
{
    for (int n = 1;; n++) {
        struct takt_gate *g = NULL;
        struct takt_error e = {0};
        long before = fault_held();
        fault_at(n);
        int code = takt_gate_create(&(struct takt_gate_cfg){.channels = 2, .write = keep}, &g, &e);
        bool happened = fault_happened();
        fault_at(0);
        CHECK(happened == !g);
        takt_gate_destroy(g);
        CHECK_INT(fault_held(), before);
        CHECK_INT(code, happened ? TAKT_ERR_NOMEM : 0);
        if (!happened) {
            CHECK(n > 15);
            return;
        }
    }
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_vad_cfg vads[] = {
        {.rate_hz = 7999},      {.rate_hz = 384001},   {.mode = (enum takt_vad_mode)3},
        {.hangover_ms = 10001}, {.hangover_ms = -0.5}, {.floor_dbfs = 1},
        {.floor_dbfs = -121}};
    static const struct takt_gate_cfg gates[] = {{.channels = 1},
                                                 {.write = keep, .channels = 65},
                                                 {.write = keep, .preroll_ms = 5},
                                                 {.write = keep, .preroll_ms = 5001},
                                                 {.write = keep, .fade_ms = 11},
                                                 {.write = keep, .rate_hz = 1},
                                                 {.write = keep, .hangover_ms = 1e9}};
    struct takt_vad *v;
    struct takt_gate *g;
    struct takt_error e;
    for (size_t i = 0; i < sizeof vads / sizeof *vads; i++) {
        CHECK_INT(takt_vad_create(&vads[i], &v, &e), TAKT_ERR_ARG);
        CHECK(!v);
    }
    CHECK_INT(takt_vad_create(&(struct takt_vad_cfg){.hangover_ms = (double)NAN}, &v, &e),
              TAKT_ERR_ARG);
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        CHECK_INT(takt_gate_create(&gates[i], &g, &e), TAKT_ERR_ARG);
        CHECK(!g);
    }
    takt_vad_destroy(NULL);
    takt_gate_destroy(NULL);
}

int main(void)
{
    RUN(voice_is_found_at_every_rate);
    RUN(voice_is_found_in_noise);
    RUN(noise_alone_is_no_voice_however_loud);
    RUN(pieces_of_any_size_decide_the_same);
    RUN(hangover_is_as_long_as_asked_for);
    RUN(gap_is_not_spanned);
    RUN(no_frames_change_nothing);
    RUN(odd_numbers_are_no_voice_and_do_not_stick);
    RUN(modes_differ_in_how_sure_they_want_to_be);
    RUN(gate_keeps_each_phrase_whole_and_to_the_bit);
    RUN(gate_gives_the_same_in_blocks_of_any_size);
    RUN(gate_without_a_voice_keeps_nothing);
    RUN(gate_loses_nothing_at_the_ends_of_the_stream);
    RUN(gate_ends_a_segment_at_a_gap);
    RUN(create_without_memory_gives_all_back);
    RUN(settings_out_of_range_are_refused);
    return tap_done();
}
