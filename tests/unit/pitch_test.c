/* The pitch of tones that are known: how near, how soon, whatever the level, rate and chunking. */
#include "fault.h"
#include "tap.h"

#include "base/random.h"
#include "takt/pitch.h"

#include <math.h>
#include <string.h>

enum { READINGS = 4096 };

static struct takt_pitch_reading got[READINGS];

static struct takt_pitch *make(uint32_t rate_hz)
{
    struct takt_pitch *p = NULL;
    takt_pitch_create(&(struct takt_pitch_cfg){.rate_hz = rate_hz}, &p, NULL);
    return p;
}

/* Harmonics first..last with amplitudes 1/k, and white noise so many dB below them. */
static void tone(float *x, size_t frames, uint32_t rate_hz, double hz, int first, int last,
                 double peak, double snr_db, uint64_t seed)
{
    struct takt_random r = takt_random_seed(seed);
    double power = 0, sum = 0;
    for (int k = first; k <= last && k * hz < 0.45 * rate_hz; k++) {
        power += 0.5 / k / k;
        sum += 1.0 / k;
    }
    double sigma = sqrt(power) * pow(10, -snr_db / 20);
    for (size_t i = 0; i < frames; i++) {
        double now = 0;
        for (int k = first; k <= last && k * hz < 0.45 * rate_hz; k++)
            now += sin(2 * M_PI * fmod(k * hz / rate_hz * (double)i, 1) + k * k) / k;
        double gauss = -6;
        for (int k = 0; k < 12; k++)
            gauss += takt_random_unit(&r);
        x[i] = (float)(peak / sum * (now + sigma * gauss));
    }
}

static double cents(double a, double b)
{
    return a > 0 ? 1200 * log2(a / b) : 1e9;
}

/* The most that readings from `from` frames on are off. */
static double worst(const struct takt_pitch_reading *r, size_t count, uint64_t from, double hz)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        if (r[i].position >= from)
            most = fmax(most, fabs(cents(r[i].f0_hz, hz)));
    return most;
}

static void pitch_steady_tones_are_heard_to_a_tenth_of_a_cent(void)
{
    static float x[48000];
    for (int i = 0; i < 14; i++) {
        double hz = 40.3 * pow(100, i / 13.0);
        struct takt_pitch *p = make(48000);
        CHECK(p);
        tone(x, 48000, 48000, hz, 1, 10, 0.5, 40, 5 + (uint64_t)i);
        size_t n = takt_pitch_process(p, x, 48000, 0, got, READINGS);
        takt_pitch_destroy(p);
        CHECK_INT(n, 48000 / 256);
        double most = worst(got, n, 24000, hz);
        if (most > 0.1)
            printf("# %.2f Hz\n", hz);
        CHECK_NEAR(most, 0, 0.1);
    }
}

static void pitch_the_lowest_and_the_highest_are_heard(void)
{
    static float x[48000];
    static const double hz[] = {27.5, 30.87, 3520, 4186};
    for (int i = 0; i < 4; i++) {
        struct takt_pitch *p = make(48000);
        tone(x, 48000, 48000, hz[i], 1, 12, 0.5, 40, 9);
        size_t n = takt_pitch_process(p, x, 48000, 0, got, READINGS);
        takt_pitch_destroy(p);
        CHECK_NEAR(worst(got, n, 12000, hz[i]), 0, 2);
    }
}

static void pitch_a_missing_fundamental_is_heard(void)
{
    static float x[24000];
    for (int i = 0; i < 8; i++) {
        double hz = 70 * pow(10, i / 7.0);
        struct takt_pitch *p = make(48000);
        tone(x, 24000, 48000, hz, 2 + i % 3, 9, 0.5, 40, 7);
        size_t n = takt_pitch_process(p, x, 24000, 0, got, READINGS);
        takt_pitch_destroy(p);
        CHECK_NEAR(worst(got, n, 6000, hz), 0, 3);
    }
}

static void pitch_tones_in_as_much_noise_are_heard(void)
{
    static float x[48000];
    for (int i = 0; i < 6; i++) {
        double hz = 90 * pow(15, i / 5.0);
        struct takt_pitch *p = make(48000);
        tone(x, 48000, 48000, hz, 1, 12, 0.5, 0, 17 + (uint64_t)i);
        size_t n = takt_pitch_process(p, x, 48000, 0, got, READINGS), right = 0;
        takt_pitch_destroy(p);
        for (size_t k = 0; k < n; k++)
            right += fabs(cents(got[k].f0_hz, hz)) < 50;
        if (right * 10 <= n * 8)
            printf("# %.1f Hz: %zu of %zu\n", hz, right, n);
        CHECK(right * 10 > n * 8);
    }
}

/* Two and a half periods, 16 ms for the attack to be told and a hop. */
static void pitch_the_first_right_reading_comes_early(void)
{
    static float x[24000];
    for (int i = 0; i < 10; i++) {
        double hz = 31 * pow(60, i / 9.0);
        struct takt_pitch *p = make(48000);
        memset(x, 0, sizeof x);
        tone(x + 8000, 16000, 48000, hz, 1, 10, 0.5, 50, 3);
        size_t n = takt_pitch_process(p, x, 24000, 0, got, READINGS);
        takt_pitch_destroy(p);
        uint64_t first = 0;
        for (size_t k = 0; k < n && !first; k++)
            if (fabs(cents(got[k].f0_hz, hz)) < 50)
                first = got[k].position;
        double ms = ((double)first - 8000) / 48;
        CHECK(first > 8000);
        if (ms > 2500 / hz + 16)
            printf("# %.1f Hz: %.1f ms\n", hz, ms);
        CHECK(ms <= 2500 / hz + 16);
    }
}

static void pitch_silence_and_noise_are_unvoiced(void)
{
    static float x[48000];
    struct takt_random r = takt_random_seed(4);
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < 48000; i++)
            x[i] = kind == 0 ? 0 : kind == 1 ? 0.25f : (float)(takt_random_unit(&r) - 0.5);
        struct takt_pitch *p = make(48000);
        size_t n = takt_pitch_process(p, x, 48000, 0, got, READINGS), voiced = 0;
        takt_pitch_destroy(p);
        for (size_t k = 0; k < n; k++) {
            voiced += got[k].voiced;
            CHECK(got[k].voiced == (got[k].f0_hz > 0));
        }
        CHECK_INT(n, 187);
        CHECK(voiced <= (kind == 2 ? 4u : 0u));
    }
}

static void pitch_any_chunking_gives_the_same_readings(void)
{
    static float x[30000];
    static struct takt_pitch_reading whole[512];
    static const uint32_t rates[] = {16000, 44100, 96000};
    for (int k = 0; k < 3; k++) {
        tone(x, 15000, rates[k], 233, 1, 9, 0.5, 20, 11);
        tone(x + 15000, 15000, rates[k], 311, 1, 9, 0.5, 20, 12);
        struct takt_pitch *p = make(rates[k]);
        size_t n = takt_pitch_process(p, x, 30000, 1000, whole, 512);
        takt_pitch_destroy(p);
        CHECK(n > 50);
        struct takt_random r = takt_random_seed(2);
        for (int turn = 0; turn < 3; turn++) {
            p = make(rates[k]);
            size_t m = 0;
            for (size_t at = 0; at < 30000;) {
                size_t some = turn == 0 ? 1 : takt_random_below(&r, turn == 1 ? 50 : 3000);
                some = some < 30000 - at ? some : 30000 - at;
                m += takt_pitch_process(p, x + at, some, 1000 + at, got + m, READINGS - m);
                at += some;
            }
            takt_pitch_destroy(p);
            CHECK_INT(m, n);
            CHECK(memcmp(got, whole, n * sizeof *got) == 0);
        }
    }
}

static void pitch_does_not_depend_on_the_level(void)
{
    static float x[24000];
    for (int db = -60; db <= 0; db += 20) {
        struct takt_pitch *p = make(48000);
        tone(x, 24000, 48000, 187, 1, 9, pow(10, db / 20.0), 40, 7);
        size_t n = takt_pitch_process(p, x, 24000, 0, got, READINGS);
        takt_pitch_destroy(p);
        CHECK_NEAR(worst(got, n, 2048, 187), 0, 2);
        double sum = 0;
        for (size_t i = 12000; i < 24000; i++)
            sum += (double)x[i] * (double)x[i];
        CHECK_NEAR(got[n - 1].level_dbfs, 10 * log10(sum / 12000), 1);
    }
}

static void pitch_every_rate_hears_the_same(void)
{
    static float x[192000];
    static const uint32_t rates[] = {8000,  11025, 16000, 22050, 24000,  32000,
                                     44100, 48000, 88200, 96000, 176400, 192000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (int k = 0; k < 3; k++) {
            double hz = k == 0 ? 55 : k == 1 ? 329.63 : 1396.9;
            struct takt_pitch *p = make(rates[i]);
            CHECK(p);
            tone(x, rates[i] / 2, rates[i], hz, 1, 8, 0.5, 40, 7);
            size_t n = takt_pitch_process(p, x, rates[i] / 2, 0, got, READINGS);
            takt_pitch_destroy(p);
            CHECK_NEAR((double)n, 0.5 * 187.5, 2);
            double most = worst(got, n, rates[i] / 5, hz);
            if (most > 1)
                printf("# %u Hz, %.1f Hz\n", rates[i], hz);
            CHECK_NEAR(most, 0, 1);
        }
}

static void pitch_what_is_no_number_does_no_harm(void)
{
    static float x[48000];
    tone(x, 48000, 48000, 220, 1, 9, 0.5, 40, 7);
    for (int i = 9000; i < 9040; i++)
        x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    x[9100] = 3e38f;
    struct takt_pitch *p = make(48000);
    size_t n = takt_pitch_process(p, x, 48000, 0, got, READINGS);
    takt_pitch_destroy(p);
    for (size_t i = 0; i < n; i++)
        CHECK(isfinite(got[i].f0_hz) && isfinite(got[i].raw_hz) && isfinite(got[i].confidence) &&
              isfinite(got[i].clarity) && isfinite(got[i].level_dbfs));
    CHECK_NEAR(worst(got, n, 36000, 220), 0, 1);
}

static void pitch_a_gap_begins_anew(void)
{
    static float x[24000], y[24000];
    static struct takt_pitch_reading fresh[128];
    tone(x, 24000, 48000, 140, 1, 9, 0.5, 40, 7);
    tone(y, 24000, 48000, 505, 1, 9, 0.5, 40, 8);
    struct takt_pitch *p = make(48000), *q = make(48000);
    takt_pitch_process(p, x, 23900, 0, got, READINGS);
    size_t n = takt_pitch_process(p, y, 24000, 100000, got, READINGS);
    size_t m = takt_pitch_process(q, y, 24000, 100000, fresh, 128);
    CHECK_INT(n, m);
    CHECK(memcmp(got, fresh, n * sizeof *got) == 0);
    CHECK_INT(got[0].position, 100256);
    takt_pitch_reset(p);
    n = takt_pitch_process(p, y, 24000, 100000, got, READINGS);
    CHECK_INT(n, m);
    CHECK(memcmp(got, fresh, n * sizeof *got) == 0);
    takt_pitch_destroy(p);
    takt_pitch_destroy(q);
}

static void pitch_more_readings_than_there_is_room_for_stay_away(void)
{
    static float x[4096];
    struct takt_pitch *p = make(48000);
    struct takt_pitch_reading three[3];
    CHECK_INT(takt_pitch_hop_frames(p), 256);
    CHECK_INT(takt_pitch_process(p, x, 4096, 0, three, 3), 3);
    CHECK_INT(three[2].position, 768);
    CHECK_INT(takt_pitch_process(p, x, 255, 4096, three, 3), 0);
    CHECK_INT(takt_pitch_process(p, x, 1, 4351, three, 3), 1);
    CHECK_INT(three[0].position, 4352);
    takt_pitch_destroy(p);
}

static void pitch_create_refuses_what_it_cannot_do(void)
{
    struct takt_pitch *p;
    struct takt_error e;
    static const struct takt_pitch_cfg bad[] = {
        {.rate_hz = 7999},
        {.rate_hz = 192001},
        {.hop_frames = 8},
        {.hop_frames = 100000},
        {.min_hz = 10},
        {.min_hz = -1},
        {.min_hz = (double)NAN},
        {.min_hz = 500, .max_hz = 400},
        {.max_hz = 6000},
        {.max_hz = (double)INFINITY},
        {.rate_hz = 8000, .max_hz = 4000},
        {.voiced = 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(takt_pitch_create(&bad[i], &p, &e), TAKT_ERR_ARG);
        CHECK(!p);
        CHECK(strlen(e.text) > 20);
    }
    takt_pitch_destroy(NULL);
}

static void pitch_create_gives_all_back_when_memory_fails(void)
{
    long before = fault_held();
    bool failed = true;
    for (int n = 1; failed; n++) {
        struct takt_pitch *p;
        struct takt_error e;
        fault_at(n);
        int code = takt_pitch_create(&(struct takt_pitch_cfg){0}, &p, &e);
        failed = fault_happened();
        fault_at(0);
        CHECK_INT(code, failed ? TAKT_ERR_NOMEM : 0);
        CHECK(failed == !p);
        takt_pitch_destroy(p);
        CHECK_INT(fault_held(), before);
    }
}

int main(void)
{
    RUN(pitch_steady_tones_are_heard_to_a_tenth_of_a_cent);
    RUN(pitch_the_lowest_and_the_highest_are_heard);
    RUN(pitch_a_missing_fundamental_is_heard);
    RUN(pitch_tones_in_as_much_noise_are_heard);
    RUN(pitch_the_first_right_reading_comes_early);
    RUN(pitch_silence_and_noise_are_unvoiced);
    RUN(pitch_any_chunking_gives_the_same_readings);
    RUN(pitch_does_not_depend_on_the_level);
    RUN(pitch_every_rate_hears_the_same);
    RUN(pitch_what_is_no_number_does_no_harm);
    RUN(pitch_a_gap_begins_anew);
    RUN(pitch_more_readings_than_there_is_room_for_stay_away);
    RUN(pitch_create_refuses_what_it_cannot_do);
    RUN(pitch_create_gives_all_back_when_memory_fails);
    return tap_done();
}
