/*
 * Loudness against the signals of EBU Tech 3341 and 3342, made from their descriptions at 48 and
 * 44.1 kHz, and against libebur128's own reckoning of all that takt reckons by itself.
 *
 * The cases that are recordings of programmes (3341: 7 and 8; 3342: 5 and 6) cannot be made. Of
 * cases 20 to 23 the description gives the principle, a burst that is made at four times the rate
 * and decimated from each of the four offsets: so it is done here.
 */
#include "base/random.h"
#include "fault.h"
#include "takt/level.h"
#include "takt/loudness.h"
#include "tap.h"

#include <float.h>
#include <math.h>

#ifdef TAKT_HAVE_EBUR128

#include <ebur128.h>

enum { CHANNELS_MOST = 64, PIECE = 1000 };
static const double pi = 3.14159265358979323846;
static const uint32_t rates[] = {48000, 44100};
enum { RATES = SANITIZED ? 1 : 2 };

static struct takt_loudness *make(uint32_t channels, uint32_t rate_hz, bool true_peak)
{
    struct takt_loudness *l;
    struct takt_error e;
    struct takt_loudness_cfg cfg = {channels, rate_hz, NULL, !true_peak};
    if (takt_loudness_create(&cfg, &l, &e) < 0)
        printf("# %s\n", e.text);
    return l;
}

/* ---- A programme made of tones ------------------------------------------------------------------
 */

/* A meter, and the sine of 1 kHz that goes into it, on from where it was. */
struct programme {
    struct takt_loudness *meter;
    uint32_t channels, rate_hz;
    uint64_t at;
    double first_momentary, first_short_term; /* the last readings before `settled` */
    double low_m, high_m, low_s, high_s;      /* of readings from settled on */
    uint64_t settled;
};

static struct programme begin(uint32_t channels, uint32_t rate_hz)
{
    return (struct programme){.meter = make(channels, rate_hz, false),
                              .channels = channels,
                              .rate_hz = rate_hz,
                              .low_m = 1e9,
                              .high_m = -1e9,
                              .low_s = 1e9,
                              .high_s = -1e9,
                              .settled = UINT64_MAX};
}

static void watch(struct programme *p)
{
    struct takt_loudness_reading now;
    if (p->at < p->settled)
        return;
    takt_loudness_read(p->meter, &now);
    p->low_m = fmin(p->low_m, now.momentary_lufs);
    p->high_m = fmax(p->high_m, now.momentary_lufs);
    p->low_s = fmin(p->low_s, now.short_term_lufs);
    p->high_s = fmax(p->high_s, now.short_term_lufs);
}

/* A sine of 1 kHz with its tops at dbfs[channel]; -200 is silence. */
static void play_each(struct programme *p, double seconds, const double *dbfs)
{
    static float x[PIECE * CHANNELS_MOST];
    static double period[480];
    static uint32_t made_for;
    uint32_t length = p->rate_hz / (p->rate_hz % 1000 ? 100 : 1000),
             turns = p->rate_hz % 1000 ? 10 : 1;
    for (uint32_t i = 0; made_for != p->rate_hz && i < length; i++)
        period[i] = sin(2 * pi * turns * i / length);
    made_for = p->rate_hz;
    double gain[CHANNELS_MOST];
    for (uint32_t c = 0; c < p->channels; c++)
        gain[c] = dbfs[c] > -200 ? pow(10, dbfs[c] / 20) : 0;
    uint64_t end = p->at + (uint64_t)llround(seconds * p->rate_hz);
    while (p->at < end) {
        size_t n = p->rate_hz / 20;
        n = n < PIECE ? n : PIECE;
        n = n < end - p->at ? n : (size_t)(end - p->at);
        for (size_t i = 0; i < n; i++)
            for (uint32_t c = 0; c < p->channels; c++)
                x[i * p->channels + c] = (float)(gain[c] * period[(p->at + i) % length]);
        takt_loudness_process(p->meter, x, n, p->at);
        p->at += n;
        watch(p);
    }
}

static void play(struct programme *p, double seconds, double dbfs)
{
    double each[CHANNELS_MOST];
    for (uint32_t c = 0; c < p->channels; c++)
        each[c] = dbfs;
    play_each(p, seconds, each);
}

static struct takt_loudness_reading end(struct programme *p)
{
    struct takt_loudness_reading now;
    takt_loudness_read(p->meter, &now);
    takt_loudness_destroy(p->meter);
    p->meter = NULL;
    return now;
}

static void anew(struct programme *p)
{
    takt_loudness_reset(p->meter);
    p->at = 0;
}

/* ---- EBU Tech 3341 ------------------------------------------------------------------------------
 */

static void tech_3341_cases_1_and_2_steady_tones(void)
{
    for (int r = 0; r < RATES; r++)
        for (int c = 0; c < 2; c++) {
            double level = c ? -33 : -23;
            struct programme p = begin(2, rates[r]);
            CHECK(p.meter);
            play(&p, 20, level);
            struct takt_loudness_reading now = end(&p);
            CHECK_NEAR(now.momentary_lufs, level, 0.1);
            CHECK_NEAR(now.short_term_lufs, level, 0.1);
            CHECK_NEAR(now.integrated_lufs, level, 0.1);
            CHECK_NEAR(now.range_lu, 0, 0.1);
        }
}

static void tech_3341_cases_3_to_5_gates(void)
{
    static const struct {
        double seconds, dbfs;
    } tones[3][6] = {
        {{10, -36}, {60, -23}, {10, -36}},
        {{10, -72}, {10, -36}, {60, -23}, {10, -36}, {10, -72}},
        {{20, -26}, {20.1, -20}, {20, -26}},
    };
    for (int r = 0; r < RATES; r++)
        for (int c = 0; c < 3; c++) {
            struct programme p = begin(2, rates[r]);
            CHECK(p.meter);
            for (int t = 0; tones[c][t].seconds > 0; t++)
                play(&p, tones[c][t].seconds, tones[c][t].dbfs);
            CHECK_NEAR(end(&p).integrated_lufs, -23, 0.1);
        }
}

static void tech_3341_case_6_five_channels(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(5, rates[r]);
        CHECK(p.meter);
        play_each(&p, 20, (const double[]){-28, -28, -24, -30, -30});
        CHECK_NEAR(end(&p).integrated_lufs, -23, 0.1);
        p = begin(6, rates[r]); /* the same with low frequency effects, which do not count */
        play_each(&p, 20, (const double[]){-28, -28, -24, -3, -30, -30});
        CHECK_NEAR(end(&p).integrated_lufs, -23, 0.1);
    }
}

static void tech_3341_case_9_short_term_is_steady(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        p.settled = 3 * rates[r];
        for (int i = 0; i < 5; i++) {
            play(&p, 1.34, -20);
            play(&p, 1.66, -30);
        }
        end(&p);
        CHECK_NEAR(p.low_s, -23, 0.1);
        CHECK_NEAR(p.high_s, -23, 0.1);
    }
}

static void tech_3341_case_10_short_term_wherever_it_begins(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        for (int i = 0; i < 20; i++) {
            struct takt_loudness_reading now;
            anew(&p);
            play(&p, i * 0.15, -200);
            play(&p, 3, -23);
            play(&p, 1, -200);
            takt_loudness_read(p.meter, &now);
            CHECK_NEAR(now.short_term_max_lufs, -23, 0.1);
        }
        end(&p);
    }
}

static void tech_3341_case_11_short_term_maxima_one_after_another(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        for (int i = 0; i < 20; i++) {
            struct takt_loudness_reading now;
            play(&p, i * 0.15, -200);
            play(&p, 3, -38 + i);
            play(&p, 3 - i * 0.15, -200);
            takt_loudness_read(p.meter, &now);
            CHECK_NEAR(now.short_term_max_lufs, -38 + i, 0.1);
        }
        end(&p);
    }
}

static void tech_3341_case_12_momentary_is_steady(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        p.settled = rates[r];
        for (int i = 0; i < 25; i++) {
            play(&p, 0.18, -20);
            play(&p, 0.22, -30);
        }
        end(&p);
        CHECK_NEAR(p.low_m, -23, 0.1);
        CHECK_NEAR(p.high_m, -23, 0.1);
    }
}

static void tech_3341_case_13_momentary_wherever_it_begins(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        for (int i = 0; i < 20; i++) {
            struct takt_loudness_reading now;
            anew(&p);
            play(&p, i * 0.02, -200);
            play(&p, 0.4, -23);
            play(&p, 1, -200);
            takt_loudness_read(p.meter, &now);
            CHECK_NEAR(now.momentary_max_lufs, -23, 0.1);
        }
        end(&p);
    }
}

static void tech_3341_case_14_momentary_maxima_one_after_another(void)
{
    for (int r = 0; r < RATES; r++) {
        struct programme p = begin(2, rates[r]);
        CHECK(p.meter);
        for (int i = 0; i < 20; i++) {
            struct takt_loudness_reading now;
            play(&p, i * 0.02, -200);
            play(&p, 0.4, -38 + i);
            play(&p, 0.4 - i * 0.02, -200);
            takt_loudness_read(p.meter, &now);
            CHECK_NEAR(now.momentary_max_lufs, -38 + i, 0.1);
        }
        end(&p);
    }
}

/* What the peaks of x are, both channels alike; NaN unless both channels say the same. */
static double true_peak_of(const float *x, size_t frames, uint32_t rate_hz)
{
    struct takt_loudness *l = make(2, rate_hz, true);
    struct takt_true_peak left, right;
    struct takt_loudness_reading now;
    if (!l)
        return (double)NAN;
    takt_loudness_process_planar(l, (const float *[]){x, x}, frames, 0);
    takt_loudness_true_peak(l, 0, &left);
    takt_loudness_true_peak(l, 1, &right);
    takt_loudness_read(l, &now);
    takt_loudness_destroy(l);
    bool same = left.max_dbtp == right.max_dbtp && left.max_dbtp == now.true_peak_dbtp;
    return same ? left.max_dbtp : (double)NAN;
}

/* +0.2, -0.4 dB. */
#define CHECK_TRUE_PEAK(dbtp, expected) CHECK_NEAR((dbtp) + 0.1, expected, 0.3)

static void tech_3341_cases_15_to_19_true_peak_of_tones(void)
{
    static const struct {
        double part, degrees, amplitude, dbtp;
    } cases[] = {
        {4, 0, 0.5, -6}, {4, 45, 0.5, -6}, {6, 60, 0.5, -6}, {8, 67.5, 0.5, -6}, {4, 45, 1.41, 3}};
    static float x[5 * 48000];
    for (int r = 0; r < 2; r++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            size_t frames = rates[r];
            /* As a recording it would fade in: a tone that begins at once has a peak of its own. */
            for (size_t i = 0; i < frames; i++) {
                double fade = fmin(1, (double)i / 1000);
                x[i] =
                    (float)(fade * cases[c].amplitude *
                            sin(2 * pi * (double)i / cases[c].part + cases[c].degrees * pi / 180));
            }
            CHECK_TRUE_PEAK(true_peak_of(x, frames, rates[r]), cases[c].dbtp);
        }
}

/* A Hann burst of some periods of fs/6 at four times the rate, limited to what the rate can hold,
 * and every fourth sample of it from each offset on. Only one offset of the four has the top
 * itself. */
static void tech_3341_cases_20_to_23_true_peak_between_samples(void)
{
    enum { N = 2000 };
    static float x[N];
    for (int r = 0; r < 2; r++)
        for (int offset = 0; offset < 4; offset++) {
            double sample_peak = 0;
            for (int i = 0; i < N; i++) {
                double t = (4.0 * (i - N / 2) + offset) / 4; /* in samples, from the top */
                double hann = fabs(t) < 60 ? 0.5 + 0.5 * cos(pi * t / 60) : 0;
                x[i] = (float)(hann * cos(2 * pi * t / 6));
                sample_peak = fmax(sample_peak, fabs((double)x[i]));
            }
            CHECK(offset == 0 || sample_peak < 0.98);
            CHECK_TRUE_PEAK(true_peak_of(x, N, rates[r]), 0);
        }
}

/* ---- EBU Tech 3342 ------------------------------------------------------------------------------
 */

static void tech_3342_cases_1_to_4_loudness_range(void)
{
    static const double levels[4][5] = {
        {-20, -30}, {-20, -15}, {-40, -20}, {-50, -35, -20, -35, -50}};
    static const double range[] = {10, 5, 20, 15};
    for (int r = 0; r < RATES; r++)
        for (int c = 0; c < 4; c++) {
            struct programme p = begin(2, rates[r]);
            CHECK(p.meter);
            for (int t = 0; t < 5 && levels[c][t] < 0; t++)
                play(&p, 20, levels[c][t]);
            struct takt_loudness_reading now = end(&p);
            CHECK_NEAR(now.range_lu, range[c], 0.3); /* the document allows 1 */
            CHECK_NEAR(now.range_high_lufs - now.range_low_lufs, now.range_lu, 1e-9);
        }
}

/* Levels that come to lie evenly from -50 to -20: the range is from their tenth to their twentieth.
 */
static void range_of_an_even_slope_is_between_its_percentiles(void)
{
    struct programme p = begin(2, 48000);
    CHECK(p.meter);
    for (int i = 0; i <= 300; i++)
        play(&p, 0.2, -40 + i * 0.05);
    struct takt_loudness_reading now = end(&p);
    CHECK_NEAR(now.range_lu, 0.85 * 15 * 57 / 60, 0.15); /* 3 s are the first window's */
    CHECK_NEAR(now.range_high_lufs, -25 - 0.05 * 15 - 0.37, 0.2);
}

/* Steps of 10 ms are no whole number of frames at 22050 Hz; still they do not drift. */
static void steps_keep_their_time_at_any_rate(void)
{
    struct programme p = begin(2, 22050);
    struct takt_loudness_reading now;
    CHECK(p.meter);
    play(&p, 30, -200);
    for (int i = 1; i <= 4; i++) {
        play(&p, 0.1, -23);
        takt_loudness_read(p.meter, &now);
        CHECK_NEAR(now.momentary_lufs, -23 + 10 * log10(i / 4.0), 0.06);
    }
    end(&p);
}

/* ---- libebur128's own reckoning
 * ------------------------------------------------------------------ */

/* Something like speech: noise whose level wanders, and pauses. */
static void make_sound(struct takt_random *r, float *x, size_t frames, uint32_t channels)
{
    double gain = 0.1;
    for (size_t i = 0; i < frames; i++) {
        if (i % 2000 == 0)
            gain = takt_random_below(r, 5) ? pow(10, -(5 + 40 * takt_random_unit(r)) / 20) : 0;
        for (uint32_t c = 0; c < channels; c++)
            x[i * channels + c] = (float)(gain * (2 * takt_random_unit(r) - 1));
    }
}

static void all_readings_are_those_of_libebur128(void)
{
    static const struct {
        uint32_t channels, rate_hz;
    } kinds[] = {{1, 8000}, {2, 22050}, {2, 48000}, {5, 44100}, {1, 96000}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint32_t channels = kinds[k].channels, rate_hz = kinds[k].rate_hz;
        struct takt_random r = takt_random_seed(k + 1);
        size_t frames = (size_t)(7.2 * rate_hz);
        float *x = malloc(frames * channels * sizeof *x);
        struct takt_loudness *l = make(channels, rate_hz, true);
        struct takt_loudness_reading now;
        ebur128_state *s = ebur128_init(channels, rate_hz,
                                        EBUR128_MODE_I | EBUR128_MODE_S | EBUR128_MODE_TRUE_PEAK);
        CHECK(x && l && s);
        make_sound(&r, x, frames, channels);
        /* Theirs end where a hundredth of a second does, and begin where it does. */
        size_t whole = frames / (rate_hz / 100) * (rate_hz / 100);
        for (size_t at = 0, n; at < whole; at += n) {
            n = 1 + takt_random_below(&r, 3000);
            n = n < whole - at ? n : whole - at;
            takt_loudness_process(l, x + at * channels, n, at);
        }
        ebur128_add_frames_float(s, x, whole);
        takt_loudness_read(l, &now);
        double lufs, peak = 0, most = 0;
        ebur128_loudness_momentary(s, &lufs);
        CHECK_NEAR(now.momentary_lufs, lufs, rate_hz % 100 ? 0.05 : 1e-6);
        ebur128_loudness_shortterm(s, &lufs);
        CHECK_NEAR(now.short_term_lufs, lufs, rate_hz % 100 ? 0.05 : 1e-6);
        ebur128_loudness_global(s, &lufs);
        CHECK_NEAR(now.integrated_lufs, lufs, rate_hz % 100 ? 0.05 : 1e-3);
        for (uint32_t c = 0; c < channels; c++) {
            struct takt_true_peak ours;
            ebur128_true_peak(s, c, &peak);
            takt_loudness_true_peak(l, c, &ours);
            CHECK_NEAR(ours.max_dbtp, 20 * log10(peak), 1e-5);
            most = fmax(most, peak);
        }
        CHECK_NEAR(now.true_peak_dbtp, 20 * log10(most), 1e-5);
        CHECK_INT(now.frames, whole);
        ebur128_destroy(&s);
        takt_loudness_destroy(l);
        free(x);
    }
}

/* Steps are cut within, blocks of any size give the same bits. */
static void readings_do_not_depend_on_the_blocks(void)
{
    enum { FRAMES = 60000, CHANNELS = 3 };
    static float x[FRAMES * CHANNELS], planes[CHANNELS][FRAMES];
    struct takt_random r = takt_random_seed(5);
    struct takt_loudness_reading first = {0};
    make_sound(&r, x, FRAMES, CHANNELS);
    for (int i = 0; i < FRAMES * CHANNELS; i++)
        planes[i % CHANNELS][i / CHANNELS] = x[i];
    for (size_t block = 1; block < FRAMES; block = block * 7 + 4) {
        struct takt_loudness *l = make(CHANNELS, 48000, true), *p = make(CHANNELS, 48000, true);
        struct takt_loudness_reading now, planar;
        CHECK(l && p);
        for (size_t at = 0, n; at < FRAMES; at += n) {
            n = block < FRAMES - at ? block : FRAMES - at;
            takt_loudness_process(l, x + at * CHANNELS, n, at);
            takt_loudness_process_planar(
                p, (const float *[]){planes[0] + at, planes[1] + at, planes[2] + at}, n, at);
        }
        takt_loudness_read(l, &now);
        takt_loudness_read(p, &planar);
        takt_loudness_destroy(l);
        takt_loudness_destroy(p);
        if (block == 1)
            first = now;
        CHECK(!memcmp(&now, &first, sizeof now));
        CHECK(!memcmp(&now, &planar, sizeof now));
    }
}

/* ---- Odd cases ----------------------------------------------------------------------------------
 */

static void silence_and_what_is_too_short_read_minus_two_hundred(void)
{
    struct programme p = begin(2, 48000);
    struct takt_loudness_reading now;
    CHECK(p.meter);
    takt_loudness_read(p.meter, &now); /* nothing at all */
    CHECK(now.momentary_lufs == -200 && now.integrated_lufs == -200 && now.range_lu == 0);
    CHECK(now.true_peak_dbtp == -200 && now.gate_lufs == -70);
    play(&p, 5, -200);
    takt_loudness_read(p.meter, &now);
    CHECK(now.momentary_lufs == -200 && now.short_term_lufs == -200 && now.integrated_lufs == -200);
    CHECK(now.momentary_max_lufs == -200 && now.range_lu == 0 && now.range_low_lufs == -200);
    anew(&p);
    play(&p, 0.395, -23); /* no block is whole, but there is something to be heard */
    now = end(&p);
    CHECK(now.integrated_lufs == -200 && now.range_lu == 0);
    CHECK_NEAR(now.momentary_max_lufs, -23 + 10 * log10(0.39 / 0.4), 0.05);
    CHECK_NEAR(now.short_term_lufs, -23 + 10 * log10(0.39 / 3), 0.05);
}

/* A programme that is silent but for one tone is as loud as the tone. */
static void gates_leave_the_silence_out(void)
{
    struct programme p = begin(1, 48000);
    CHECK(p.meter);
    play(&p, 10, -200);
    play(&p, 10, -20); /* one channel is 3 LU below two */
    play(&p, 10, -200);
    struct takt_loudness_reading now = end(&p);
    CHECK_NEAR(now.integrated_lufs, -23.01, 0.2); /* blocks at its ends are in part silent */
    CHECK_NEAR(now.gate_lufs, now.integrated_lufs - 10, 0.2);
}

/* NaN and infinity are silence for as long as they last, and leave nothing behind. */
static void odd_numbers_do_not_stick(void)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    struct programme p = begin(2, 48000);
    struct takt_loudness_reading now;
    static float x[2 * 480];
    CHECK(p.meter);
    for (int k = 0; k < 3; k++) {
        play(&p, 1, -23);
        for (int i = 0; i < 960; i++)
            x[i] = odd[(i + k) % 3];
        takt_loudness_process(p.meter, x, 480, p.at);
        p.at += 480;
        takt_loudness_read(p.meter, &now);
        CHECK(isfinite(now.momentary_lufs) && isfinite(now.integrated_lufs));
        CHECK_NEAR(now.momentary_lufs, -23 + 10 * log10(0.39 / 0.4), 0.1);
    }
    play(&p, 3, -23);
    now = end(&p);
    CHECK_NEAR(now.momentary_lufs, -23, 0.01);
    CHECK_NEAR(now.short_term_lufs, -23, 0.01);
}

/* Any bits at all may come in as floats; what goes out is finite. */
static void readings_are_finite_whatever_comes_in(void)
{
    struct takt_random r = takt_random_seed(9);
    struct takt_loudness *l = make(3, 48000, true);
    CHECK(l);
    uint64_t at = 0;
    for (int round = 0; round < ROUNDS(2000); round++) {
        uint32_t bits[300];
        float x[300];
        for (int i = 0; i < 300; i++)
            bits[i] = (uint32_t)takt_random_u64(&r);
        memcpy(x, bits, sizeof x);
        takt_loudness_process(l, x, 100, at);
        at += 100;
        struct takt_loudness_reading n;
        struct takt_true_peak p;
        takt_loudness_read(l, &n);
        takt_loudness_true_peak(l, round % 3, &p);
        CHECK(isfinite(n.momentary_lufs) && isfinite(n.short_term_lufs) && isfinite(n.range_lu));
        CHECK(isfinite(n.integrated_lufs) && isfinite(n.gate_lufs) && isfinite(n.true_peak_dbtp));
        CHECK(isfinite(n.momentary_max_lufs) && isfinite(n.short_term_max_lufs));
        CHECK(isfinite(p.max_dbtp) && isfinite(p.recent_dbtp) && p.recent_dbtp <= p.max_dbtp);
    }
    takt_loudness_destroy(l);
}

static void any_rate_and_number_of_channels_will_do(void)
{
    static const uint32_t some_rates[] = {8000, 11025, 16000, 32000, 96000, 192000, 384000};
    for (size_t r = 0; r < sizeof some_rates / sizeof *some_rates; r++) {
        uint32_t rate_hz = some_rates[r], n = rate_hz / 2;
        float *x = malloc(n * sizeof *x);
        struct takt_loudness *l = make(1, rate_hz, true);
        struct takt_loudness_reading now;
        CHECK(x && l);
        for (uint32_t i = 0; i < n; i++)
            x[i] = (float)(0.1 * sin(2 * pi * 997 * i / rate_hz));
        takt_loudness_process(l, x, n, 0);
        takt_loudness_read(l, &now);
        takt_loudness_destroy(l);
        free(x);
        CHECK_NEAR(now.momentary_lufs, -23.01, 0.1);
        CHECK_NEAR(now.integrated_lufs, -23.01, 0.2);
        CHECK_NEAR(now.true_peak_dbtp, -20, 0.4);
    }
    for (uint32_t channels = 1; channels <= 64; channels++) {
        struct programme p = begin(channels, 8000);
        double each[64] = {0};
        CHECK(p.meter);
        /* The last is a surround channel where there are 4, 5, 6 or 8. */
        for (uint32_t c = 0; c < channels; c++)
            each[c] = c + 1 == channels ? -23 : -200;
        play_each(&p, 0.5, each);
        bool side = (channels >= 4 && channels <= 6) || channels == 8;
        CHECK_NEAR(end(&p).momentary_lufs, -26.01 + (side ? 10 * log10(1.41) : 0), 0.1);
    }
}

static void speakers_weigh_what_the_caller_says(void)
{
    static const enum takt_speaker dual[] = {TAKT_SPEAKER_DUAL_MONO};
    static const enum takt_speaker odd[] = {TAKT_SPEAKER_NONE, TAKT_SPEAKER_SURROUND,
                                            TAKT_SPEAKER_NONE};
    struct programme p = begin(1, 48000);
    struct takt_error e;
    takt_loudness_destroy(p.meter);
    CHECK(takt_loudness_create(&(struct takt_loudness_cfg){1, 48000, dual, true}, &p.meter, &e) ==
          0);
    play(&p, 1, -23);
    CHECK_NEAR(end(&p).integrated_lufs, -23, 0.1);
    p = begin(3, 48000);
    takt_loudness_destroy(p.meter);
    CHECK(takt_loudness_create(&(struct takt_loudness_cfg){3, 48000, odd, true}, &p.meter, &e) ==
          0);
    play_each(&p, 1, (const double[]){-3, -23, -3});
    CHECK_NEAR(end(&p).integrated_lufs, -26.01 + 10 * log10(1.41), 0.1);
}

/* Nothing spans a gap: neither blocks, which would be as loud as neither side, nor windows. */
static void gap_begins_windows_anew_and_is_in_no_block(void)
{
    struct programme p = begin(2, 48000);
    struct takt_loudness_reading now;
    CHECK(p.meter);
    play(&p, 4.05, -23);
    takt_loudness_read(p.meter, &now);
    double before = now.integrated_lufs;
    p.at += 12345;
    play(&p, 0.1, -3); /* too short for a block */
    takt_loudness_read(p.meter, &now);
    CHECK_NEAR(now.momentary_lufs, -3 + 10 * log10(0.1 / 0.4), 0.1);
    CHECK_NEAR(now.short_term_lufs, -3 + 10 * log10(0.1 / 3), 0.1);
    CHECK_NEAR(now.integrated_lufs, before, 1e-12);
    p.at = 0; /* a stream that began anew */
    play(&p, 1, -23);
    now = end(&p);
    CHECK_NEAR(now.momentary_lufs, -23, 0.01);
    CHECK_NEAR(now.integrated_lufs, -23, 0.01);
}

static void reset_begins_as_if_new(void)
{
    struct takt_random r = takt_random_seed(3);
    static float x[2 * 48000];
    struct takt_loudness *l = make(2, 48000, true), *fresh = make(2, 48000, true);
    struct takt_loudness_reading now, new;
    struct takt_true_peak peak, new_peak;
    CHECK(l && fresh);
    make_sound(&r, x, 48000, 2);
    takt_loudness_process(l, x, 48000, 0);
    takt_loudness_reset(l);
    takt_loudness_read(l, &now);
    CHECK(now.frames == 0 && now.integrated_lufs == -200 && now.true_peak_dbtp == -200);
    make_sound(&r, x, 48000, 2);
    takt_loudness_process(l, x, 48000, 77);
    takt_loudness_process(fresh, x, 48000, 0);
    takt_loudness_read(l, &now);
    takt_loudness_read(fresh, &new);
    takt_loudness_true_peak(l, 1, &peak);
    takt_loudness_true_peak(fresh, 1, &new_peak);
    CHECK_NEAR(now.integrated_lufs, new.integrated_lufs, 1e-9);
    CHECK_NEAR(now.momentary_max_lufs, new.momentary_max_lufs, 1e-9);
    CHECK_NEAR(peak.max_dbtp, new_peak.max_dbtp, 1e-9);
    CHECK_NEAR(peak.recent_dbtp, new_peak.recent_dbtp, 1e-9);
    takt_loudness_destroy(l);
    takt_loudness_destroy(fresh);
}

static void recent_true_peak_forgets_what_is_past(void)
{
    struct takt_loudness *l = make(1, 48000, true);
    struct takt_true_peak p;
    static float x[48000];
    CHECK(l);
    x[100] = 0.5f;
    takt_loudness_process(l, x, 4800, 0);
    takt_loudness_true_peak(l, 0, &p);
    CHECK(p.recent_dbtp == p.max_dbtp && p.max_dbtp >= -6.03);
    takt_loudness_process(l, x + 4800, 24000, 4800);
    takt_loudness_true_peak(l, 0, &p);
    CHECK(p.recent_dbtp < -190 && p.max_dbtp >= -6.03);
    takt_loudness_true_peak(l, 1, &p); /* no such channel */
    CHECK(p.recent_dbtp == -200 && p.max_dbtp == -200);
    takt_loudness_destroy(l);
}

static void create_without_memory_leaves_nothing(void)
{
    struct takt_loudness *l;
    struct takt_error e;
    int n = 0;
    do {
        long before = fault_held();
        fault_at(++n);
        int code = takt_loudness_create(&(struct takt_loudness_cfg){.channels = 2}, &l, &e);
        bool failed = fault_happened();
        fault_at(0);
        if (!failed)
            break;
        CHECK_INT(code, TAKT_ERR_NOMEM);
        CHECK(!l);
        CHECK_INT(fault_held(), before);
    } while (n < 100);
    takt_loudness_destroy(l);
    CHECK(n > 4 && n < 100);
}

static void settings_out_of_range_are_refused(void)
{
    static const enum takt_speaker two[] = {TAKT_SPEAKER_DUAL_MONO, TAKT_SPEAKER_FRONT};
    static const enum takt_speaker none[] = {(enum takt_speaker)7};
    struct takt_loudness *l;
    struct takt_error e;
    CHECK_INT(takt_loudness_create(&(struct takt_loudness_cfg){.channels = 65}, &l, &e),
              TAKT_ERR_ARG);
    CHECK_INT(takt_loudness_create(&(struct takt_loudness_cfg){.rate_hz = 7999}, &l, &e),
              TAKT_ERR_ARG);
    CHECK_INT(
        takt_loudness_create(&(struct takt_loudness_cfg){.channels = 2, .speakers = two}, &l, &e),
        TAKT_ERR_ARG);
    CHECK_INT(takt_loudness_create(&(struct takt_loudness_cfg){.speakers = none}, &l, &e),
              TAKT_ERR_ARG);
    CHECK(!l);
    takt_loudness_destroy(NULL);
}

int main(void)
{
    RUN(tech_3341_cases_1_and_2_steady_tones);
    RUN(tech_3341_cases_3_to_5_gates);
    RUN(tech_3341_case_6_five_channels);
    RUN(tech_3341_case_9_short_term_is_steady);
    RUN(tech_3341_case_10_short_term_wherever_it_begins);
    RUN(tech_3341_case_11_short_term_maxima_one_after_another);
    RUN(tech_3341_case_12_momentary_is_steady);
    RUN(tech_3341_case_13_momentary_wherever_it_begins);
    RUN(tech_3341_case_14_momentary_maxima_one_after_another);
    RUN(tech_3341_cases_15_to_19_true_peak_of_tones);
    RUN(tech_3341_cases_20_to_23_true_peak_between_samples);
    RUN(tech_3342_cases_1_to_4_loudness_range);
    RUN(range_of_an_even_slope_is_between_its_percentiles);
    RUN(steps_keep_their_time_at_any_rate);
    RUN(all_readings_are_those_of_libebur128);
    RUN(readings_do_not_depend_on_the_blocks);
    RUN(silence_and_what_is_too_short_read_minus_two_hundred);
    RUN(gates_leave_the_silence_out);
    RUN(odd_numbers_do_not_stick);
    RUN(readings_are_finite_whatever_comes_in);
    RUN(any_rate_and_number_of_channels_will_do);
    RUN(speakers_weigh_what_the_caller_says);
    RUN(gap_begins_windows_anew_and_is_in_no_block);
    RUN(reset_begins_as_if_new);
    RUN(recent_true_peak_forgets_what_is_past);
    RUN(create_without_memory_leaves_nothing);
    RUN(settings_out_of_range_are_refused);
    return tap_done();
}

#else

static void without_the_library_create_says_what_to_install(void)
{
    struct takt_loudness *l = (struct takt_loudness *)&l;
    struct takt_error e;
    CHECK_INT(takt_loudness_create(&(struct takt_loudness_cfg){0}, &l, &e), TAKT_ERR_UNSUPPORTED);
    CHECK(!l && strstr(e.text, "install libebur128-dev"));
    takt_loudness_destroy(NULL);
}

int main(void)
{
    RUN(without_the_library_create_says_what_to_install);
    return tap_done();
}

#endif
