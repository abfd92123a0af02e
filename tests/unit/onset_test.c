/* Onsets and tempo, on clicks, notes and noise whose times are known. */
#include "base/random.h"
#include "fault.h"
#include "takt/onset.h"
#include "takt/tempo.h"
#include "tap.h"

#include <math.h>

enum { RATE_HZ = 48000, MOST = 512 };
static const double pi = 3.14159265358979323846;

static struct takt_onset *make(uint32_t rate_hz)
{
    struct takt_onset *o;
    return takt_onset_create(&(struct takt_onset_cfg){.rate_hz = rate_hz}, &o, NULL) < 0 ? NULL : o;
}

static struct takt_tempo *make_tempo(uint32_t rate_hz)
{
    struct takt_tempo *t;
    return takt_tempo_create(&(struct takt_tempo_cfg){.rate_hz = rate_hz}, &t, NULL) < 0 ? NULL : t;
}

/* A click as a metronome makes it: 1 kHz that dies away within some milliseconds. */
static void add_click(float *x, size_t frames, double at_s, uint32_t rate_hz, double level)
{
    size_t at = (size_t)(at_s * rate_hz);
    for (size_t i = 0; i < rate_hz / 50 && at + i < frames; i++)
        x[at + i] += (float)(level * sin(2 * pi * 1000 * (double)i / rate_hz) *
                             exp(-(double)i / (0.002 * rate_hz)));
}

static void add_noise(float *x, size_t frames, double level, uint64_t seed)
{
    struct takt_random r = takt_random_seed(seed);
    for (size_t i = 0; i < frames; i++)
        x[i] += (float)(level * 2 * (takt_random_unit(&r) - 0.5));
}

static size_t find(struct takt_onset *o, const float *x, size_t frames, uint64_t from, size_t block,
                   struct takt_onset_event *found)
{
    size_t count = 0;
    for (size_t at = 0; at < frames; at += block) {
        size_t n = frames - at < block ? frames - at : block;
        count += takt_onset_process(o, x + at, n, from + at, found + count, MOST - count);
    }
    return count;
}

/* At irregular times, at any rate and level, within noise or not: each once, within 10 ms. */
static void clicks_are_each_found_once_within_ten_milliseconds(void)
{
    static const uint32_t rates[] = {8000, 22050, 44100, 48000, 96000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++)
        for (int noisy = 0; noisy < 2; noisy++) {
            uint32_t rate = rates[k];
            size_t frames = 6 * rate;
            float *x = calloc(frames, sizeof *x);
            struct takt_random r = takt_random_seed(k + 1);
            double times[64];
            size_t count = 0;
            for (double t = 0.2; t < 5.8; t += 0.09 + 0.4 * takt_random_unit(&r)) {
                times[count++] = t;
                add_click(x, frames, t, rate, 0.05 + 0.8 * takt_random_unit(&r));
            }
            if (noisy)
                add_noise(x, frames, 0.003, 5);
            struct takt_onset_event found[MOST];
            struct takt_onset *o = make(rate);
            CHECK(o);
            size_t n = find(o, x, frames, 0, 480, found);
            takt_onset_destroy(o);
            free(x);
            size_t own = noisy && n && found[0].position < rate / 20; /* the noise sets in */
            CHECK_INT(n - own, count);
            for (size_t i = 0; i < count; i++)
                CHECK_NEAR((double)found[i + own].position / rate, times[i], 0.010);
        }
}

/* Notes that follow each other without a pause differ in pitch alone. */
static void notes_without_a_pause_are_found(void)
{
    enum { NOTES = 12, EACH = RATE_HZ / 4 };
    static float x[NOTES * EACH];
    static const int steps[NOTES] = {0, 7, 4, 12, 5, 9, 2, 11, 0, 5, 7, 3};
    double phase = 0;
    for (int i = 0; i < NOTES * EACH; i++) {
        double hz = 220 * exp2(steps[i / EACH] / 12.0), sum = 0;
        phase += 2 * pi * hz / RATE_HZ;
        for (int h = 1; h < 8; h++)
            sum += sin(h * phase) / h;
        x[i] = (float)(0.2 * sum);
    }
    struct takt_onset_event found[MOST];
    struct takt_onset *o = make(RATE_HZ);
    CHECK(o);
    size_t n = find(o, x, NOTES * EACH, 0, 512, found);
    takt_onset_destroy(o);
    CHECK(n >= NOTES - 1 && n <= NOTES); /* a fourth upwards has half of its partials already */
    for (size_t i = 0; i < n; i++) {
        double note = (double)found[i].position / EACH;
        CHECK_NEAR(note, floor(note + 0.5), 0.08); /* 20 ms */
    }
}

static void what_goes_on_has_no_onsets(void)
{
    static float x[6 * RATE_HZ];
    struct takt_onset_event found[MOST];
    for (int kind = 0; kind < 3; kind++) {
        memset(x, 0, sizeof x);
        if (kind == 0)
            add_noise(x, 6 * RATE_HZ, 0.3, 9);
        for (int i = 0; i < 6 * RATE_HZ && kind; i++) {
            double t = (double)i / RATE_HZ; /* hum, and a tone with vibrato */
            x[i] = (float)(kind == 1 ? 0.3 * sin(2 * pi * 50 * t) + 0.1 * sin(2 * pi * 150 * t)
                                     : 0.3 * sin(2 * pi * 440 * t + 3 * sin(2 * pi * 5 * t)));
        }
        struct takt_onset *o = make(RATE_HZ);
        CHECK(o);
        size_t n = find(o, x, 6 * RATE_HZ, 0, 512, found);
        takt_onset_destroy(o);
        printf("# %d: %zu, the last at %.3f s\n", kind, n,
               n ? (double)found[n - 1].position / RATE_HZ : 0);
        CHECK(n <= 1); /* its beginning */
        CHECK(n == 0 || found[0].position < RATE_HZ / 20);
    }
}

/* The same events and the same flux, to the bit, however the sound is cut. */
static void pieces_of_any_size_find_the_same(void)
{
    static float x[3 * RATE_HZ];
    struct takt_random r = takt_random_seed(3);
    struct takt_onset_event whole[MOST], cut[MOST];
    for (double t = 0.1; t < 2.9; t += 0.21)
        add_click(x, 3 * RATE_HZ, t, RATE_HZ, 0.4);
    add_noise(x, 3 * RATE_HZ, 0.01, 2);
    struct takt_onset *a = make(RATE_HZ);
    CHECK(a);
    size_t n = find(a, x, 3 * RATE_HZ, 1000, 3 * RATE_HZ, whole);
    takt_onset_destroy(a);
    CHECK(n > 10);
    for (int round = 0; round < 8; round++) {
        struct takt_onset *b = make(RATE_HZ);
        CHECK(b);
        size_t count = 0;
        for (size_t at = 0; at < 3 * RATE_HZ;) {
            size_t piece = 1 + (size_t)takt_random_below(&r, round ? 700 * round : 3);
            piece = 3 * RATE_HZ - at < piece ? 3 * RATE_HZ - at : piece;
            count += takt_onset_process(b, x + at, piece, 1000 + at, cut + count, MOST - count);
            at += piece;
        }
        takt_onset_destroy(b);
        CHECK_INT(count, n);
        CHECK(!memcmp(whole, cut, n * sizeof *cut));
    }
}

/* Behind a gap there is another sound; that is no onset, and what comes then is in its place. */
static void gap_is_no_onset(void)
{
    static float x[2 * RATE_HZ];
    struct takt_onset_event found[MOST];
    add_noise(x, 2 * RATE_HZ, 0.2, 4);
    add_click(x, 2 * RATE_HZ, 1.5, RATE_HZ, 0.9);
    add_click(x, 2 * RATE_HZ, 1.5, RATE_HZ, 0.9);
    struct takt_onset *o = make(RATE_HZ);
    CHECK(o);
    static float silence[RATE_HZ];
    CHECK_INT(find(o, silence, RATE_HZ, 0, 256, found), 0);
    size_t n = find(o, x, 2 * RATE_HZ, 7 * RATE_HZ, 256, found);
    takt_onset_destroy(o);
    CHECK_INT(n, 1);
    CHECK_NEAR((double)found[0].position / RATE_HZ, 8.5, 0.01);
}

static void odd_numbers_count_as_silence(void)
{
    static float x[2 * RATE_HZ];
    struct takt_onset_event found[MOST];
    for (int i = 0; i < 2 * RATE_HZ; i += 7)
        x[i] = i % 2 ? NAN : i % 3 ? INFINITY : -3e38f;
    struct takt_onset *o = make(RATE_HZ);
    CHECK(o);
    CHECK_INT(find(o, x, RATE_HZ, 0, 333, found), 0);
    memset(x, 0, sizeof x);
    add_click(x, RATE_HZ, 0.5, RATE_HZ, 0.5);
    CHECK_INT(find(o, x, RATE_HZ, RATE_HZ, 333, found), 1);
    CHECK(isfinite(found[0].strength) && isfinite(found[0].level_dbfs));
    takt_onset_destroy(o);
}

/* ---- Tempo -------------------------------------------------------------------------------------
 */

struct piece {
    double bpm, swing, drift, noise; /* share of the off-beat's level; of the period per beat */
    double jitter_s;
};

struct heard {
    struct takt_tempo_reading reading;
    struct takt_tempo_beat beat[MOST];
    size_t beats, clicks;
    double click[MOST];
};

static void listen(const struct piece *p, uint32_t rate, double seconds, size_t block,
                   struct heard *h)
{
    size_t frames = (size_t)(seconds * rate);
    float *x = calloc(frames, sizeof *x), flux[64];
    struct takt_onset_event found[64];
    struct takt_random r = takt_random_seed(11);
    double period = 60 / p->bpm;
    *h = (struct heard){.beats = 0};
    for (double t = 0.3; p->bpm > 0 && t < seconds - 0.1; t += period, period *= 1 + p->drift) {
        double at = t + p->jitter_s * 2 * (takt_random_unit(&r) - 0.5);
        h->click[h->clicks++] = at;
        add_click(x, frames, at, rate, 0.5);
        if (p->swing > 0)
            add_click(x, frames, t + period * 2 / 3, rate, 0.5 * p->swing);
    }
    if (p->noise > 0)
        add_noise(x, frames, p->noise, 7);
    struct takt_onset *o = make(rate);
    struct takt_tempo *t = make_tempo(rate);
    for (size_t at = 0; o && t && at < frames; at += block) {
        uint64_t position;
        size_t n = frames - at < block ? frames - at : block;
        takt_onset_process(o, x + at, n, at, found, 64);
        while ((n = takt_onset_flux(o, flux, 64, &position)) > 0)
            h->beats +=
                takt_tempo_process(t, flux, n, position, h->beat + h->beats, MOST - h->beats);
    }
    if (t)
        takt_tempo_read(t, &h->reading);
    takt_onset_destroy(o);
    takt_tempo_destroy(t);
    free(x);
}

/* The distance of each beat from the nearest click; of those behind `from_s`. */
static double worst_beat(const struct heard *h, uint32_t rate, double from_s)
{
    double worst = 0;
    for (size_t i = 0; i < h->beats; i++) {
        double at = (double)h->beat[i].position / rate, nearest = 1e9;
        for (size_t k = 0; k < h->clicks; k++)
            nearest = fmin(nearest, fabs(h->click[k] - at));
        if (at > from_s && at < h->click[h->clicks - 1])
            worst = fmax(worst, nearest);
    }
    return worst;
}

static void clicks_have_their_tempo_and_beats(void)
{
    static struct heard h;
    for (double bpm = 60; bpm <= 200; bpm *= 1.0824) {
        listen(&(struct piece){.bpm = bpm}, RATE_HZ, 12, 512, &h);
        CHECK_NEAR(h.reading.bpm, bpm, bpm * 0.002);
        CHECK(h.reading.confidence > 0.7);
        CHECK_NEAR(worst_beat(&h, RATE_HZ, 0), 0, 0.015);
        CHECK(h.beats > (12 - 4.5) * bpm / 60);
        double next = (double)h.reading.next_beat / RATE_HZ;
        double off = fmod(next - 0.3, 60 / bpm);
        CHECK_NEAR(fmin(off, 60 / bpm - off), 0, 0.02);
    }
}

static void swing_and_human_hands_keep_the_beat(void)
{
    static struct heard h;
    for (double bpm = 84; bpm < 150; bpm += 22) {
        listen(&(struct piece){.bpm = bpm, .swing = 0.5}, RATE_HZ, 12, 512, &h);
        CHECK_NEAR(h.reading.bpm, bpm, bpm * 0.01);
        CHECK_NEAR(worst_beat(&h, RATE_HZ, 4), 0, 0.03);
        listen(&(struct piece){.bpm = bpm, .jitter_s = 0.012, .noise = 0.003}, RATE_HZ, 12, 512,
               &h);
        CHECK_NEAR(h.reading.bpm, bpm, bpm * 0.015);
        CHECK_NEAR(worst_beat(&h, RATE_HZ, 4), 0, 0.04);
    }
}

static void tempo_that_drifts_is_followed(void)
{
    static struct heard h;
    static const double drifts[] = {0.002, -0.002};
    for (int i = 0; i < 2; i++) {
        listen(&(struct piece){.bpm = 110, .drift = drifts[i]}, RATE_HZ, 20, 512, &h);
        size_t n = h.clicks;
        double end = 60 / (h.click[n - 1] - h.click[n - 2]);
        CHECK_NEAR(h.reading.bpm, end, end * 0.02);
        CHECK_NEAR(worst_beat(&h, RATE_HZ, 4), 0, 0.05);
    }
}

static void no_beat_is_found_where_there_is_none(void)
{
    static struct heard h;
    listen(&(struct piece){.noise = 0.2}, RATE_HZ, 12, 512, &h);
    CHECK(h.reading.confidence < 0.3);
    listen(&(struct piece){.bpm = 0}, RATE_HZ, 6, 512, &h);
    CHECK(h.reading.bpm == 0 && h.reading.next_beat == 0 && h.beats == 0);
}

static void tempo_is_the_same_at_any_rate_and_however_cut(void)
{
    static struct heard a, b;
    static const uint32_t rates[] = {8000, 44100, 96000};
    for (int i = 0; i < 3; i++) {
        listen(&(struct piece){.bpm = 97}, rates[i], 8, 64, &a);
        CHECK_NEAR(a.reading.bpm, 97, 0.3);
        CHECK_NEAR(worst_beat(&a, rates[i], 0), 0, 0.015);
    }
    listen(&(struct piece){.bpm = 97}, 44100, 8, 4096, &b);
    listen(&(struct piece){.bpm = 97}, 44100, 8, 100, &a);
    CHECK_INT(a.beats, b.beats);
    CHECK(!memcmp(a.beat, b.beat, a.beats * sizeof *a.beat));
    CHECK(!memcmp(&a.reading, &b.reading, sizeof a.reading));
}

static void gap_in_the_stream_starts_the_tempo_anew(void)
{
    struct takt_tempo *t = make_tempo(RATE_HZ);
    struct takt_tempo_reading now;
    struct takt_tempo_beat beat[8];
    CHECK(t);
    float click[100] = {1};
    for (int i = 0; i < 10; i++)
        takt_tempo_process(t, click, 100, (uint64_t)i * RATE_HZ / 2, beat, 8);
    takt_tempo_read(t, &now);
    CHECK_NEAR(now.bpm, 120, 0.5);
    uint64_t beats = now.beats;
    click[3] = NAN;
    takt_tempo_process(t, click, 100, 100 * RATE_HZ, beat, 8);
    takt_tempo_read(t, &now);
    CHECK(now.bpm == 0 && now.beats == beats);
    CHECK_INT(now.position, 100 * RATE_HZ + RATE_HZ / 2);
    takt_tempo_destroy(t);
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static void create_without_memory_gives_all_back(void)
{
    for (int n = 1;; n++) {
        struct takt_onset *o = NULL;
        struct takt_tempo *t = NULL;
        struct takt_error e = {0};
        long before = fault_held();
        fault_at(n);
        int code = takt_onset_create(&(struct takt_onset_cfg){.rate_hz = 44100}, &o, &e);
        if (code == 0)
            code = takt_tempo_create(&(struct takt_tempo_cfg){.bpm_min = 60}, &t, &e);
        bool happened = fault_happened();
        fault_at(0);
        takt_onset_destroy(o);
        takt_tempo_destroy(t);
        CHECK_INT(fault_held(), before);
        CHECK_INT(code, happened ? TAKT_ERR_NOMEM : 0);
        if (!happened) {
            CHECK(n > 8);
            return;
        }
    }
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_onset_cfg onsets[] = {
        {.rate_hz = 7999},  {.rate_hz = 384001}, {.threshold = -1},   {.threshold = 11},
        {.interval_ms = 5}, {.floor_dbfs = 1},   {.floor_dbfs = -201}};
    static const struct takt_tempo_cfg tempos[] = {{.rate_hz = 7999},
                                                   {.bpm_min = 29},
                                                   {.bpm_max = 301},
                                                   {.bpm_min = 100, .bpm_max = 150},
                                                   {.bpm_usual = 20}};
    struct takt_onset *o;
    struct takt_tempo *t;
    struct takt_error e;
    for (size_t i = 0; i < sizeof onsets / sizeof *onsets; i++) {
        CHECK_INT(takt_onset_create(&onsets[i], &o, &e), TAKT_ERR_ARG);
        CHECK(!o);
    }
    CHECK_INT(takt_onset_create(&(struct takt_onset_cfg){.threshold = (double)NAN}, &o, &e),
              TAKT_ERR_ARG);
    for (size_t i = 0; i < sizeof tempos / sizeof *tempos; i++) {
        CHECK_INT(takt_tempo_create(&tempos[i], &t, &e), TAKT_ERR_ARG);
        CHECK(!t);
    }
    takt_onset_destroy(NULL);
    takt_tempo_destroy(NULL);
}

/* A range without 120 BPM needs no more than its ends. */
static void usual_tempo_is_within_the_range_unless_given(void)
{
    static const struct takt_tempo_cfg tempos[] = {
        {.bpm_min = 125}, {.bpm_min = 140, .bpm_max = 300}, {.bpm_max = 100}};
    struct takt_error e;
    for (size_t i = 0; i < sizeof tempos / sizeof *tempos; i++) {
        struct takt_tempo *t = NULL;
        int code = takt_tempo_create(&tempos[i], &t, &e);
        takt_tempo_destroy(t);
        CHECK_INT(code, i ? 0 : TAKT_ERR_ARG); /* 125 to 230 is no octave */
    }
}

static void onset_is_told_within_its_latency(void)
{
    static float x[RATE_HZ];
    struct takt_onset_event found;
    for (int shift = 0; shift < 240; shift += 37) {
        struct takt_onset *o = make(RATE_HZ);
        CHECK(o);
        memset(x, 0, sizeof x);
        add_click(x, RATE_HZ, 0.5 + shift / 48000.0, RATE_HZ, 0.5);
        uint64_t told = 0;
        for (uint64_t at = 0; !told && at < RATE_HZ; at += 16)
            told = takt_onset_process(o, x + at, 16, at, &found, 1) ? at + 16 : 0;
        CHECK(told > 0);
        CHECK(told - (RATE_HZ / 2 + (uint64_t)shift) <= takt_onset_latency_frames(o));
        takt_onset_reset(o);
        takt_onset_destroy(o);
    }
}

int main(void)
{
    RUN(clicks_are_each_found_once_within_ten_milliseconds);
    RUN(notes_without_a_pause_are_found);
    RUN(what_goes_on_has_no_onsets);
    RUN(pieces_of_any_size_find_the_same);
    RUN(gap_is_no_onset);
    RUN(odd_numbers_count_as_silence);
    RUN(onset_is_told_within_its_latency);
    RUN(clicks_have_their_tempo_and_beats);
    RUN(swing_and_human_hands_keep_the_beat);
    RUN(tempo_that_drifts_is_followed);
    RUN(no_beat_is_found_where_there_is_none);
    RUN(tempo_is_the_same_at_any_rate_and_however_cut);
    RUN(gap_in_the_stream_starts_the_tempo_anew);
    RUN(create_without_memory_gives_all_back);
    RUN(settings_out_of_range_are_refused);
    RUN(usual_tempo_is_within_the_range_unless_given);
    return tap_done();
}
