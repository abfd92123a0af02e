/* takt_bands against the limits of IEC 61260, with sines and a sweep whose spectrum is pink. */

#include "takt/bands.h"

#include "base/random.h"
#include "fault.h"
#include "tap.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 1000 };
static const double pi = 3.14159265358979323846;

static struct takt_random chance = {1};

static struct takt_bands *open_bands(struct takt_bands_cfg cfg)
{
    struct takt_bands *b = NULL;
    takt_bands_create(&cfg, &b, NULL);
    return b;
}

static struct takt_band band_at(const struct takt_bands *b, uint32_t i)
{
    struct takt_band band;
    takt_bands_read(b, i, &band);
    return band;
}

/* The sum of the squares of all that a band has let through, from its mean over these frames. */
static double energy(const struct takt_bands *b, uint32_t i, double frames)
{
    return pow(10, band_at(b, i).mean_dbfs / 10) * frames;
}

/* ---- Attenuation ------------------------------------------------------------------------------
 */

/* The limits of class 1 at powers of G = 10^0.3 for octaves. These are those of IEC 61260:1995; the
 * edition of 2014 adds what a measurement may be uncertain, and is nowhere tighter. */
struct limit {
    double power, least, most;
};
static const struct limit limits[] = {
    {0, -0.3, 0.3},       {0.125, -0.3, 0.4}, {0.25, -0.3, 0.6},   {0.375, -0.3, 1.3},
    {0.49999, -0.3, 5.0}, {0.50001, 2, 5.0},  {1, 17.5, HUGE_VAL}, {2, 42, HUGE_VAL},
    {3, 61, HUGE_VAL},    {4, 70, HUGE_VAL},  {10, 70, HUGE_VAL},
};
enum { LIMITS = sizeof limits / sizeof *limits };

/* Where an octave's limit lies for a band of that many an octave: equation 11 of 2014. */
static double place(double power, int bands)
{
    double g = pow(10, 0.3);
    return 1 + (pow(g, 0.5 / bands) - 1) / (sqrt(g) - 1) * (pow(g, power) - 1);
}

/* Does an attenuation at so many times the middle, or less by as many, hold? Between two limits
 * they are straight lines over the logarithm of frequency. */
static bool holds(double ratio, double attenuation, int bands)
{
    double from = log(ratio > 1 ? ratio : 1 / ratio);
    for (int i = 0; i + 1 < LIMITS; i++) {
        double low = log(place(limits[i].power, bands)),
               high = log(place(limits[i + 1].power, bands));
        double share = (from - low) / (high - low);
        if (from > high)
            continue;
        double least = limits[i].least + share * (limits[i + 1].least - limits[i].least);
        double most = isinf(limits[i + 1].most)
                          ? HUGE_VAL
                          : limits[i].most + share * (limits[i + 1].most - limits[i].most);
        return attenuation >= least && attenuation <= most;
    }
    return attenuation >= 70;
}

/* Lets a sine through until all has settled, then measures over whole half periods. */
static void measure_sine(struct takt_bands *b, double hz, double rate_hz, double settle_s,
                         double *attenuation_db)
{
    static float x[CHUNK];
    double before[TAKT_BANDS_MOST];
    uint64_t settled = (uint64_t)(settle_s * rate_hz), halves = (uint64_t)(settle_s * hz * 0.4) + 8;
    uint64_t end = settled + (uint64_t)((double)halves * rate_hz / (2 * hz) + 0.5);
    takt_bands_reset(b);
    for (uint64_t at = 0; at < end;) {
        uint64_t until = at < settled ? settled : end;
        size_t now = until - at < CHUNK ? (size_t)(until - at) : CHUNK;
        for (size_t i = 0; i < now; i++)
            x[i] = (float)sin(2 * pi * fmod(hz / rate_hz * (double)(at + i), 1));
        takt_bands_process(b, x, now, at);
        at += now;
        for (uint32_t k = 0; at == settled && k < takt_bands_count(b); k++)
            before[k] = energy(b, k, (double)at);
    }
    for (uint32_t k = 0; k < takt_bands_count(b); k++) {
        double in_window = energy(b, k, (double)end) - before[k];
        attenuation_db[k] = -10 * log10(fmax(in_window / (double)(end - settled), 1e-20));
    }
}

/* At every limit of every band, a sine is measured by all bands. */
static void check_limits(struct takt_bands_cfg cfg, int bands, int skip, double settle_s)
{
    struct takt_bands *b = open_bands(cfg);
    CHECK(b);
    int turn = 0;
    for (uint32_t i = 0; b && i < takt_bands_count(b); i++)
        for (int l = -LIMITS + 1; l < LIMITS; l++) {
            double by = place(limits[abs(l)].power, bands);
            double hz = band_at(b, i).middle_hz * (l < 0 ? 1 / by : by);
            double attenuation[TAKT_BANDS_MOST];
            if (hz > 0.499 * cfg.rate_hz || hz < 2 || turn++ % skip)
                continue;
            measure_sine(b, hz, cfg.rate_hz, settle_s, attenuation);
            for (uint32_t k = 0; k < takt_bands_count(b); k++)
                if (!holds(hz / band_at(b, k).middle_hz, attenuation[k], bands)) {
                    printf("# %u Hz, band %s at %.2f Hz: %.3f dB\n", cfg.rate_hz,
                           band_at(b, k).label, hz, attenuation[k]);
                    CHECK(!"the attenuation is within its limits");
                }
        }
    takt_bands_destroy(b);
}

static int thinned(int n)
{
    return SANITIZED ? 16 * n : n;
}

static void bands_third_octaves_keep_to_class_1(void)
{
    check_limits((struct takt_bands_cfg){.rate_hz = 48000, .low_hz = 100}, 3, thinned(1), 0.8);
}

static void bands_low_third_octaves_keep_to_class_1(void)
{
    check_limits((struct takt_bands_cfg){.rate_hz = 8000, .high_hz = 200}, 3, thinned(2), 3);
}

static void bands_octaves_keep_to_class_1(void)
{
    check_limits(
        (struct takt_bands_cfg){.rate_hz = 48000, .low_hz = 60, .width = TAKT_BANDS_OCTAVE}, 1,
        thinned(1), 0.5);
}

/* Among them rates where the highest band comes closest to half of it. */
static void bands_keep_to_class_1_at_any_rate(void)
{
    static const uint32_t rates[] = {8000, 22050, 32000, 44100, 47900, 96000, 192000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (int width = 0; width < 2; width++)
            check_limits((struct takt_bands_cfg){.rate_hz = rates[i],
                                                 .high_hz = 90000,
                                                 .low_hz = rates[i] / 40.0,
                                                 .width = (enum takt_bands_width)width},
                         width ? 1 : 3, thinned(1), 2400.0 / rates[i]);
}

/* ---- Energy -----------------------------------------------------------------------------------
 */

/* A sweep that takes as long for each octave has as much energy in each: a pink spectrum. Every
 * third has a tenth of a decade of it. */
static void bands_pink_sound_is_flat(void)
{
    enum { RATE = 48000, SECONDS = 12 };
    static float x[CHUNK];
    for (int width = 0; width < 2; width++) {
        struct takt_bands *b = open_bands((struct takt_bands_cfg){
            .width = (enum takt_bands_width)width, .low_hz = width ? 40 : 25});
        double from = 5, decades = log10(23990 / from), decade_s = SECONDS / decades;
        for (size_t at = 0; at < (size_t)SECONDS * RATE; at += CHUNK) {
            for (size_t i = 0; i < CHUNK; i++) {
                double s = (double)(at + i) / RATE, tau = decade_s / log(10);
                x[i] = (float)sin(2 * pi * fmod(from * tau * expm1(s / tau), 1));
            }
            takt_bands_process(b, x, CHUNK, at);
        }
        double share = (width ? 0.3 : 0.1) / decades;
        for (uint32_t i = 0; i < takt_bands_count(b); i++) {
            CHECK_NEAR(band_at(b, i).mean_dbfs, 10 * log10(share), 0.25);
        }
        takt_bands_destroy(b);
    }
}

/* White noise has as much for each hertz: thirds rise by 1 dB from one to the next. */
static void bands_white_noise_rises_by_a_decibel_a_third(void)
{
    enum { RATE = 48000, SECONDS = SANITIZED ? 4 : 20 };
    static float x[CHUNK];
    struct takt_bands *b = open_bands((struct takt_bands_cfg){.low_hz = 500});
    for (size_t at = 0; at < (size_t)SECONDS * RATE; at += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++)
            x[i] = (float)(2 * takt_random_unit(&chance) - 1);
        takt_bands_process(b, x, CHUNK, at);
    }
    for (uint32_t i = 0; i < takt_bands_count(b); i++) {
        struct takt_band band = band_at(b, i);
        double mean_square = (band.high_hz - band.low_hz) / (RATE / 2.0) / 3;
        CHECK_NEAR(band.mean_dbfs, 10 * log10(2 * mean_square), 0.6);
    }
    takt_bands_destroy(b);
}

/* ---- Lists ------------------------------------------------------------------------------------
 */

static void bands_have_their_exact_and_nominal_middles(void)
{
    static const char *const thirds[] = {
        "20",    "25",  "31.5", "40",   "50",  "63",  "80",    "100",   "125",  "160", "200",
        "250",   "315", "400",  "500",  "630", "800", "1k",    "1.25k", "1.6k", "2k",  "2.5k",
        "3.15k", "4k",  "5k",   "6.3k", "8k",  "10k", "12.5k", "16k",   "20k"};
    static const char *const octaves[] = {"16", "31.5", "63", "125", "250", "500",
                                          "1k", "2k",   "4k", "8k",  "16k"};
    struct takt_bands *b = open_bands((struct takt_bands_cfg){0});
    CHECK_INT(takt_bands_count(b), 31);
    for (uint32_t i = 0; i < takt_bands_count(b); i++) {
        CHECK(!strcmp(band_at(b, i).label, thirds[i]));
        CHECK_NEAR(band_at(b, i).middle_hz, 1000 * pow(10, ((int)i - 17) / 10.0), 1e-9);
        CHECK_NEAR(band_at(b, i).high_hz / band_at(b, i).low_hz, pow(10, 0.1), 1e-12);
    }
    takt_bands_destroy(b);
    b = open_bands((struct takt_bands_cfg){.width = TAKT_BANDS_OCTAVE});
    CHECK_INT(takt_bands_count(b), 11);
    for (uint32_t i = 0; i < takt_bands_count(b); i++) {
        CHECK(!strcmp(band_at(b, i).label, octaves[i]));
        CHECK_NEAR(band_at(b, i).middle_hz, 1000 * pow(10, 0.3 * ((int)i - 6)), 1e-9);
    }
    struct takt_band none = band_at(b, 11);
    CHECK(none.middle_hz == 0 && !none.label);
    takt_bands_destroy(b);
}

/* The highest band is the last whose upper edge is below half the rate. */
static void bands_end_below_half_the_rate(void)
{
    for (uint32_t rate = 4000; rate < 400000; rate += 997) {
        struct takt_bands *b = open_bands((struct takt_bands_cfg){.rate_hz = rate, .high_hz = 1e6});
        struct takt_band last = band_at(b, takt_bands_count(b) - 1);
        CHECK(last.high_hz < 0.4676 * rate && last.high_hz > 0.3713 * rate);
        takt_bands_destroy(b);
    }
}

/* ---- Behaviour --------------------------------------------------------------------------------
 */

static void fill_with_noise(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * takt_random_unit(&chance) - 1);
}

static bool are_same(const struct takt_bands *a, const struct takt_bands *b)
{
    for (uint32_t i = 0; i < takt_bands_count(a); i++) {
        struct takt_band p = band_at(a, i), q = band_at(b, i);
        if (p.level_dbfs != q.level_dbfs || p.mean_dbfs != q.mean_dbfs || p.max_dbfs != q.max_dbfs)
            return false;
    }
    return true;
}

/* Blocks of any size, and windows that overlap, come to the same bits. */
static void bands_any_blocks_and_overlaps_are_the_same(void)
{
    enum { FRAMES = 20000, CHANNELS = 2 };
    static float x[FRAMES * CHANNELS];
    struct takt_bands_cfg cfg = {.channels = CHANNELS};
    fill_with_noise(x, FRAMES * CHANNELS);
    struct takt_bands *whole = open_bands(cfg);
    takt_bands_process(whole, x, FRAMES, 77);
    for (int round = 0; round < ROUNDS(20); round++) {
        struct takt_bands *parts = open_bands(cfg);
        size_t had = 0;
        while (had < FRAMES) {
            size_t back = (size_t)(takt_random_unit(&chance) * (double)(had < 500 ? had : 500));
            size_t now = back + (size_t)(takt_random_unit(&chance) * 3000);
            size_t from = had - back;
            now = from + now > FRAMES ? FRAMES - from : now;
            /* Never before the call before: that would be a stream that began anew. */
            takt_bands_process(parts, x + from * CHANNELS, now, 77 + from);
            had = from + now > had ? from + now : had;
        }
        takt_bands_destroy(parts);
    }
    struct takt_bands *windows = open_bands(cfg);
    for (size_t at = 0; at + 2000 <= FRAMES; at += 500)
        takt_bands_process(windows, x + at * CHANNELS, 2000, 77 + at);
    CHECK(are_same(whole, windows));
    struct takt_bands *blocks = open_bands(cfg);
    for (size_t at = 0, now; at < FRAMES; at += now) {
        now = 1 + (size_t)(takt_random_unit(&chance) * 700);
        now = at + now > FRAMES ? FRAMES - at : now;
        takt_bands_process(blocks, x + at * CHANNELS, now, 77 + at);
    }
    CHECK(are_same(whole, blocks));
    takt_bands_destroy(whole);
    takt_bands_destroy(windows);
    takt_bands_destroy(blocks);
}

/* What rings in the filters is not heard on behind a gap, nor when positions begin anew. */
static void bands_begin_anew_behind_a_gap(void)
{
    static float sine[4800], silence[4800];
    for (int i = 0; i < 4800; i++)
        sine[i] = (float)sin(2 * pi * 1000 / 48000.0 * i);
    for (int way = 0; way < 3; way++) {
        struct takt_bands *b = open_bands((struct takt_bands_cfg){.average_s = 0.001});
        takt_bands_process(b, sine, 4800, 1000000);
        CHECK_NEAR(band_at(b, 17).level_dbfs, 0, 1);
        takt_bands_process(b, silence, 1200, way == 0 ? 1004800 : way == 1 ? 1004801 : 0);
        /* 25 ms of a mean over 1 ms take it down by 108 dB, if nothing rings on. */
        CHECK(way ? band_at(b, 17).level_dbfs < -100 : band_at(b, 17).level_dbfs > -100);
        takt_bands_destroy(b);
    }
}

static void bands_show_the_loudest_channel(void)
{
    enum { CHANNELS = 3, FRAMES = 9600 };
    static float x[FRAMES * CHANNELS];
    for (int i = 0; i < FRAMES; i++) {
        x[i * CHANNELS] = (float)(0.1 * sin(2 * pi * 1000 / 48000.0 * i));
        x[i * CHANNELS + 2] = (float)(0.01 * sin(2 * pi * 4000 / 48000.0 * i));
    }
    struct takt_bands *b = open_bands((struct takt_bands_cfg){.channels = CHANNELS});
    takt_bands_process(b, x, FRAMES, 0);
    CHECK_NEAR(band_at(b, 17).mean_dbfs, -20, 0.5);
    CHECK_NEAR(band_at(b, 23).mean_dbfs, -40, 0.5);
    takt_bands_destroy(b);
}

/* Whatever came in, every level is a number, and what comes later is right again. */
static void bands_stay_finite_and_recover(void)
{
    static float x[48000];
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f};
    struct takt_bands *b = open_bands((struct takt_bands_cfg){.low_hz = 200});
    for (int i = 0; i < 48000; i++)
        x[i] = bad[i % 6];
    takt_bands_process(b, x, 48000, 0);
    for (uint32_t i = 0; i < takt_bands_count(b); i++)
        CHECK(isfinite(band_at(b, i).level_dbfs) && isfinite(band_at(b, i).mean_dbfs) &&
              isfinite(band_at(b, i).max_dbfs));
    memset(x, 0, sizeof x);
    for (uint64_t at = 48000; at < 48000 * 12; at += 48000)
        takt_bands_process(b, x, 48000, at);
    for (uint32_t i = 0; i < takt_bands_count(b); i++)
        CHECK_NEAR(band_at(b, i).level_dbfs, -200, 1e-9);
    takt_bands_destroy(b);
}

static void bands_level_rises_and_falls_by_its_time(void)
{
    static float x[48000];
    for (int i = 0; i < 48000; i++)
        x[i] = (float)sin(2 * pi * 4000 / 48000.0 * i);
    struct takt_bands *b = open_bands((struct takt_bands_cfg){.average_s = 0.125, .low_hz = 500});
    takt_bands_process(b, x, 6000, 0);
    double up = 1 - exp(-1.0); /* after one time constant */
    CHECK_NEAR(band_at(b, 9).level_dbfs, 10 * log10(up), 0.1);
    takt_bands_process(b, x, 48000, 6000);
    double loudest = band_at(b, 9).level_dbfs;
    CHECK_NEAR(loudest, 0, 0.05);
    memset(x, 0, sizeof x);
    takt_bands_process(b, x, 48000, 54000);
    CHECK_NEAR(band_at(b, 9).level_dbfs, -8 * 10 * log10(exp(1)), 0.1);
    CHECK_NEAR(band_at(b, 9).max_dbfs, loudest, 0.05);
    takt_bands_destroy(b);
}

static void bands_reset_is_like_new(void)
{
    static float x[5000];
    fill_with_noise(x, 5000);
    struct takt_bands *a = open_bands((struct takt_bands_cfg){0}),
                      *b = open_bands((struct takt_bands_cfg){0});
    takt_bands_process(a, x, 4000, 5);
    takt_bands_reset(a);
    takt_bands_process(a, x, 5000, 900);
    takt_bands_process(b, x, 5000, 900);
    CHECK(are_same(a, b));
    takt_bands_destroy(a);
    takt_bands_destroy(b);
}

static void bands_create_refuses_what_is_out_of_range(void)
{
    static const struct takt_bands_cfg wrong[] = {
        {.rate_hz = 3999},
        {.rate_hz = 768001},
        {.channels = 65},
        {.low_hz = 0.5},
        {.low_hz = (double)NAN},
        {.low_hz = 400, .high_hz = 100},
        {.high_hz = (double)INFINITY},
        {.low_hz = 30000, .high_hz = 40000},
        {.average_s = -1},
        {.average_s = (double)NAN},
        {.width = (enum takt_bands_width)2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_bands *b = (void *)&b;
        struct takt_error e = {0};
        CHECK_INT(takt_bands_create(&wrong[i], &b, &e), TAKT_ERR_ARG);
        CHECK(!b && e.text[0]);
    }
    takt_bands_destroy(NULL);
}

static void bands_create_gives_back_what_it_took_when_memory_ends(void)
{
    for (int n = 1;; n++) {
        struct takt_bands *b;
        long before = fault_held();
        fault_at(n);
        int code = takt_bands_create(&(struct takt_bands_cfg){0}, &b, NULL);
        bool happened = fault_happened();
        fault_at(0);
        takt_bands_destroy(b);
        CHECK_INT(fault_held(), before);
        if (!happened) {
            CHECK(n > 3 && code == 0);
            return;
        }
        CHECK_INT(code, TAKT_ERR_NOMEM);
    }
}

int main(void)
{
    RUN(bands_third_octaves_keep_to_class_1);
    RUN(bands_low_third_octaves_keep_to_class_1);
    RUN(bands_octaves_keep_to_class_1);
    RUN(bands_keep_to_class_1_at_any_rate);
    RUN(bands_pink_sound_is_flat);
    RUN(bands_white_noise_rises_by_a_decibel_a_third);
    RUN(bands_have_their_exact_and_nominal_middles);
    RUN(bands_end_below_half_the_rate);
    RUN(bands_any_blocks_and_overlaps_are_the_same);
    RUN(bands_begin_anew_behind_a_gap);
    RUN(bands_show_the_loudest_channel);
    RUN(bands_stay_finite_and_recover);
    RUN(bands_level_rises_and_falls_by_its_time);
    RUN(bands_reset_is_like_new);
    RUN(bands_create_refuses_what_is_out_of_range);
    RUN(bands_create_gives_back_what_it_took_when_memory_ends);
    return tap_done();
}
