#include "dsp/drift.h"
#include "dsp/version.h"
#include "fault.h"
#include "sine_fit.h"
#include "takt/resample.h"
#include "tap.h"

static const double pi = 3.14159265358979323846;

enum { BLOCK = 256, LONGEST = 8192, CHANNELS = 3 };

static unsigned chance = 1;

static uint32_t below(uint32_t n)
{
    chance = chance * 1103515245u + 12345u;
    return (uint32_t)((uint64_t)(chance >> 1) * n >> 31);
}

static double between(double low, double high)
{
    return low + (high - low) * below(1 << 20) / (1 << 20);
}

/* The same noise at the same place, whoever asks. */
static float noise_at(uint64_t frame, uint32_t channel)
{
    uint64_t x = (frame * CHANNELS + channel + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (float)(int32_t)(x >> 32) / 2147483648.0f;
}

static struct takt_resampler *open_resampler(uint32_t channels, enum takt_resample_quality quality,
                                             double ratio)
{
    struct takt_resampler *r;
    struct takt_resampler_cfg cfg = {.channels = channels, .quality = quality, .ratio = ratio};
    return takt_resampler_create(&cfg, &r, NULL) == 0 ? r : NULL;
}

/* One run that feeds sound as it is needed. */
struct feed {
    struct takt_resampler *r;
    uint64_t fed;
    float (*sound)(uint64_t frame, uint32_t channel);
    uint32_t channels;
    uint32_t more; /* than needed, at most */
};

static float in[CHANNELS][17 * LONGEST + 1000], out[CHANNELS][LONGEST];

static void step(struct feed *f, float *const *to, uint32_t frames)
{
    const float *from[CHANNELS] = {in[0], in[1], in[2]};
    size_t need = takt_resampler_need(f->r, frames);
    need += need && f->more ? below(f->more + 1) : 0;
    for (uint32_t c = 0; c < f->channels; c++)
        for (size_t i = 0; i < need; i++)
            in[c][i] = f->sound(f->fed + i, c);
    f->fed += need;
    takt_resampler_process(f->r, from, need, to, frames);
}

static float *const all_out[CHANNELS] = {out[0], out[1], out[2]};

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void any_split_into_blocks_gives_the_same_bits(void)
{
    enum { ALL = 6000 };
    static float whole[ALL];
    for (int q = 0; q < 2; q++)
        for (int turn = 0; turn < 40; turn++) {
            double ratio = turn == 0 ? 1 : turn % 4 == 1 ? between(0.1, 12) : between(0.98, 1.02);
            struct takt_resampler *r = open_resampler(1, (enum takt_resample_quality)q, ratio);
            struct feed one = {.r = r, .sound = noise_at, .channels = 1};
            float *to = whole;
            CHECK(r);
            step(&one, &to, ALL);
            takt_resampler_reset(r);
            struct feed many = {.r = r, .sound = noise_at, .channels = 1, .more = turn % 3 * 20};
            for (uint32_t at = 0, n; at < ALL; at += n) {
                n = 1 + below(turn % 2 ? 7 : 700);
                n = n < ALL - at ? n : ALL - at;
                step(&many, all_out, n);
                CHECK(!memcmp(out[0], whole + at, n * sizeof(float)));
            }
            takt_resampler_destroy(r);
        }
}

/* The newest frame that a filter reaches is delay_frames ahead of its middle. */
static void need_is_the_least_that_the_last_frame_reaches(void)
{
    for (int turn = 0; turn < 300; turn++) {
        double ratio = turn % 3 ? between(0.96, 1.04) : between(0.07, 15);
        struct takt_resampler *r = open_resampler(1, (enum takt_resample_quality)(turn % 2), ratio);
        struct feed f = {.r = r, .sound = noise_at, .channels = 1, .more = turn % 5 ? 0 : 64};
        CHECK(r);
        double delay = takt_resampler_delay_frames(r);
        for (int b = 0; b < 20; b++) {
            uint32_t n = below(300);
            CHECK_INT(takt_resampler_need(r, 0), 0);
            double last = takt_resampler_position(r) + (n ? n - 1 : 0) / ratio + delay;
            double needed = floor(last) + 1 - (double)f.fed;
            double need = (double)takt_resampler_need(r, n);
            if (n)
                CHECK(fabs(need - (needed > 0 ? needed : 0)) < 1.5 &&
                      (fabs(last - round(last)) < 1e-6 || need == (needed > 0 ? needed : 0)));
            step(&f, all_out, n);
        }
        takt_resampler_destroy(r);
    }
}

/* ---- Sound ----------------------------------------------------------------------------------- */

static float impulse_at_100(uint64_t frame, uint32_t channel)
{
    return frame == 100 ? 1 : 0;
}

static void an_impulse_comes_out_after_the_delay(void)
{
    for (int q = 0; q < 2; q++) {
        struct takt_resampler *r = open_resampler(1, (enum takt_resample_quality)q, 1);
        struct feed f = {.r = r, .sound = impulse_at_100, .channels = 1};
        CHECK(r);
        uint32_t at = 100 + takt_resampler_delay_frames(r);
        CHECK_INT(takt_resampler_delay_frames(r), q ? 48 : 16);
        step(&f, all_out, 400);
        for (uint32_t i = 0; i < 400; i++)
            CHECK_NEAR(out[0][i], i == at, 1e-6);
        takt_resampler_destroy(r);
    }
}

static float one(uint64_t frame, uint32_t channel)
{
    return 1;
}

static void a_constant_stays_what_it_is(void)
{
    for (int turn = 0; turn < 40; turn++) {
        struct takt_resampler *r =
            open_resampler(1, (enum takt_resample_quality)(turn % 2), between(0.3, 3));
        struct feed f = {.r = r, .sound = one, .channels = 1};
        CHECK(r);
        step(&f, all_out, 2000);
        for (uint32_t i = 1000; i < 2000; i++)
            CHECK_NEAR(out[0][i], 1, 1e-6);
        takt_resampler_destroy(r);
    }
}

static double sine_hz;

static float sine(uint64_t frame, uint32_t channel)
{
    return (float)(0.5 * sin(2 * pi * sine_hz / 48000 * (double)frame));
}

/* The ratio glides to another value in every block. */
static double snr_db(enum takt_resample_quality quality, double hz)
{
    struct takt_resampler *r = open_resampler(1, quality, 1.0001);
    struct feed f = {.r = r, .sound = sine, .channels = 1};
    struct sine_fit fit = {0};
    double step_now = 1 / 1.0001;
    sine_hz = hz;
    for (int b = 0; r && b < 200; b++) {
        double ratio = 1.0001 + 300e-6 * sin(b * 0.7), step_then = 1 / ratio;
        takt_resampler_set_ratio(r, ratio);
        double at = takt_resampler_position(r);
        step(&f, all_out, BLOCK);
        for (uint32_t i = 0; i < BLOCK; i++) {
            if (b >= 4)
                sine_fit_add(&fit, 2 * pi * hz / 48000 * at, (double)out[0][i]);
            at += step_now + (step_then - step_now) / BLOCK * i;
        }
        step_now = step_then;
    }
    takt_resampler_destroy(r);
    return sine_fit_snr_db(&fit);
}

static void sines_stay_clean_while_the_ratio_moves(void)
{
    static const double hz[] = {100, 1000, 5000, 10000, 15000, 18000};
    for (int q = 0; q < 2; q++)
        for (int i = 0; i < 6; i++) {
            double db = snr_db((enum takt_resample_quality)q, hz[i]);
            double least = hz[i] < 2000 ? (q ? 140 : 120) : (q ? 135 : 110);
            printf("# %s, %.0f Hz: %.1f dB\n", q ? "best" : "standard", hz[i], db);
            CHECK(db >= least);
        }
}

static void fixed_rates_are_changed_as_well(void)
{
    static const double rates[][2] = {
        {44100, 48000}, {48000, 44100}, {48000, 96000}, {96000, 48000}, {8000, 48000}};
    for (int i = 0; i < 5; i++) {
        double ratio = rates[i][1] / rates[i][0], lower = ratio < 1 ? ratio : 1;
        struct takt_resampler *r = open_resampler(1, TAKT_RESAMPLE_BEST, ratio);
        struct feed f = {.r = r, .sound = sine, .channels = 1};
        struct sine_fit fit = {0};
        CHECK(r);
        sine_hz = 48000 * 0.3 * lower; /* 0.3 of the lower rate */
        step(&f, all_out, 1000);
        for (int b = 0; b < 20; b++) {
            double at = takt_resampler_position(r);
            step(&f, all_out, BLOCK);
            for (uint32_t k = 0; k < BLOCK; k++)
                sine_fit_add(&fit, 2 * pi * sine_hz / 48000 * (at + k / ratio), (double)out[0][k]);
        }
        printf("# %.0f to %.0f Hz: %.1f dB\n", rates[i][0], rates[i][1], sine_fit_snr_db(&fit));
        CHECK(sine_fit_snr_db(&fit) > 120);
        takt_resampler_destroy(r);
    }
}

/* ---- Channels and versions ---------------------------------------------------------------------
 */

static void channels_do_not_mix_and_are_as_one_alone(void)
{
    static float alone[LONGEST];
    for (int q = 0; q < 2; q++) {
        struct takt_resampler *all = open_resampler(CHANNELS, (enum takt_resample_quality)q, 1.003);
        struct feed f = {.r = all, .sound = noise_at, .channels = CHANNELS};
        CHECK(all);
        step(&f, all_out, 3000);
        struct takt_resampler *mono = open_resampler(1, (enum takt_resample_quality)q, 1.003);
        struct feed m = {.r = mono, .sound = noise_at, .channels = 1};
        float *to = alone;
        CHECK(mono);
        step(&m, &to, 3000);
        CHECK(!memcmp(alone, out[0], 3000 * sizeof(float)));
        takt_resampler_destroy(all);
        takt_resampler_destroy(mono);
    }
}

static void every_version_gives_the_same_bits(void)
{
    static float first[LONGEST];
    const struct takt_dsp_version *kept = takt_dsp;
    for (int q = 0; q < 2; q++)
        for (int v = 0; takt_dsp_version(v); v++) {
            takt_dsp = takt_dsp_version(v);
            struct takt_resampler *r = open_resampler(1, (enum takt_resample_quality)q, 0.9991);
            struct feed f = {.r = r, .sound = noise_at, .channels = 1};
            CHECK(r);
            step(&f, all_out, 5000);
            if (v == 0)
                memcpy(first, out[0], 5000 * sizeof(float));
            CHECK(!memcmp(first, out[0], 5000 * sizeof(float)));
            takt_resampler_destroy(r);
        }
    takt_dsp = kept;
}

/* ---- Edges -------------------------------------------------------------------------------------
 */

static void an_hour_does_not_blur_the_position(void)
{
    const double ratio = 1 + 377e-6;
    const uint64_t one_step = (uint64_t)(0x1p56 / ratio + 0.5);
    struct takt_resampler *r = open_resampler(1, TAKT_RESAMPLE_STANDARD, ratio);
    struct feed f = {.r = r, .sound = impulse_at_100, .channels = 1};
    CHECK(r);
    const float *from = in[0];
    memset(in[0], 0, sizeof in[0]);
    uint64_t frames = 0;
    while (frames < UINT64_C(3600) * 48000) {
        size_t need = takt_resampler_need(r, LONGEST);
        takt_resampler_process(r, &from, need, all_out, LONGEST);
        f.fed += need;
        frames += LONGEST;
    }
    /* frames * one_step, in two halves that fit. */
    long double exact = (long double)frames * (long double)one_step / 0x1p56L;
    CHECK_NEAR(takt_resampler_position(r) + takt_resampler_delay_frames(r), (double)exact, 1e-6);
    CHECK(fabs((double)f.fed - (double)exact) < 2);
    takt_resampler_destroy(r);
}

static float nan_at_500(uint64_t frame, uint32_t channel)
{
    return frame == 500 ? NAN : 0.25f;
}

static void what_is_no_number_passes_with_the_window(void)
{
    for (int q = 0; q < 2; q++) {
        struct takt_resampler *r = open_resampler(1, (enum takt_resample_quality)q, 1.01);
        struct feed f = {.r = r, .sound = nan_at_500, .channels = 1};
        CHECK(r);
        step(&f, all_out, 2000);
        uint32_t bad = 0;
        for (uint32_t i = 100; i < 2000; i++) {
            bad += isnan(out[0][i]);
            CHECK(isnan(out[0][i]) || fabsf(out[0][i] - 0.25f) < 1e-6f);
        }
        CHECK(bad > 0 && bad <= 2 * takt_resampler_delay_frames(r) * 1.01 + 2);
        takt_resampler_destroy(r);
    }
}

static void ratios_are_held_near_the_first(void)
{
    static const double wild[] = {0, -1, 1e9, (double)NAN, (double)INFINITY, 1e-300};
    for (int i = 0; i < 6; i++) {
        struct takt_resampler *r = open_resampler(1, TAKT_RESAMPLE_STANDARD, 1);
        struct feed f = {.r = r, .sound = noise_at, .channels = 1};
        CHECK(r);
        takt_resampler_set_ratio(r, wild[i]);
        for (int b = 0; b < 50; b++) {
            step(&f, all_out, BLOCK);
            for (uint32_t k = 0; k < BLOCK; k++)
                CHECK(fabsf(out[0][k]) < 4);
        }
        CHECK(f.fed > 50 * BLOCK / 1.06 && f.fed < 50 * BLOCK * 1.06);
        takt_resampler_destroy(r);
    }
}

static void reset_replays(void)
{
    static float first[BLOCK];
    struct takt_resampler *r = open_resampler(1, TAKT_RESAMPLE_STANDARD, 0.97);
    struct feed f = {.r = r, .sound = noise_at, .channels = 1};
    CHECK(r);
    step(&f, all_out, BLOCK);
    memcpy(first, out[0], sizeof first);
    step(&f, all_out, 99);
    takt_resampler_reset(r);
    CHECK_NEAR(takt_resampler_position(r), -(double)takt_resampler_delay_frames(r), 0);
    f.fed = 0;
    step(&f, all_out, BLOCK);
    CHECK(!memcmp(first, out[0], sizeof first));
    takt_resampler_destroy(r);
}

static void create_refuses_what_cannot_be(void)
{
    static const struct takt_resampler_cfg wrong[] = {
        {.channels = 65},      {.ratio = 17},
        {.ratio = -1},         {.ratio = 0.06},
        {.ratio = 1e-300},     {.ratio = (double)NAN},
        {.frames_max = 70000}, {.quality = (enum takt_resample_quality)2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_resampler *r = (struct takt_resampler *)1;
        struct takt_error e;
        CHECK_INT(takt_resampler_create(&wrong[i], &r, &e), TAKT_ERR_ARG);
        CHECK(!r && *e.text);
    }
}

static void create_survives_any_failing_request(void)
{
    for (int n = 1;; n++) {
        struct takt_resampler *r;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int err = takt_resampler_create(&(struct takt_resampler_cfg){.channels = 2}, &r, &e);
        bool happened = fault_happened();
        fault_at(0);
        CHECK_INT(err, happened ? TAKT_ERR_NOMEM : 0);
        takt_resampler_destroy(r);
        CHECK_INT(fault_held(), before);
        if (!happened) {
            CHECK(n == 3); /* its struct, and its memory */
            return;
        }
    }
}

/* ---- The drift loop ----------------------------------------------------------------------------
 */

/* A queue between two clocks, seen with jitter: the loop finds the drift, and keeps the length. */
static void drift_is_found_and_the_queue_keeps_its_length(void)
{
    static const double blocks_s[] = {32 / 48000.0, 64 / 48000.0, 1024 / 48000.0, 8192 / 48000.0};
    for (int d = -500; d <= 500; d += 125)
        for (int k = 0; k < 4; k++) {
            struct takt_drift loop;
            double error = 20, worst = 0, dt = blocks_s[k], said = 0, wavers = 0, found = 0;
            int counted = 0;
            takt_drift_init(&loop, 48000);
            for (double t = 0; t < 120; t += dt) {
                double jitter = between(-5, 5); /* frames: a tenth of a millisecond */
                double before = said;
                said = takt_drift_update(&loop, error + jitter, dt);
                error += (d * 1e-6 - said) * 48000 * dt;
                CHECK(fabs(said) <= 0.01);
                if (t > 60) {
                    found += loop.drift;
                    counted++;
                    worst = fabs(error) > worst ? fabs(error) : worst;
                    wavers = fabs(said - before) > wavers ? fabs(said - before) : wavers;
                }
            }
            CHECK_NEAR(found / counted * 1e6, d, 3); /* one moment's has the jitter in it */
            CHECK(worst < 3);
            /* 10 frames from one extreme to the other, by the loop's gain and its smoothing. */
            double omega = 2 * pi * 0.05;
            CHECK(wavers < 1.5 * 2 * omega * 10 / 48000 * (1 - exp(-20 * omega * dt)) + 1e-6);
        }
}

int main(void)
{
    RUN(any_split_into_blocks_gives_the_same_bits);
    RUN(need_is_the_least_that_the_last_frame_reaches);
    RUN(an_impulse_comes_out_after_the_delay);
    RUN(a_constant_stays_what_it_is);
    RUN(sines_stay_clean_while_the_ratio_moves);
    RUN(fixed_rates_are_changed_as_well);
    RUN(channels_do_not_mix_and_are_as_one_alone);
    RUN(every_version_gives_the_same_bits);
    RUN_UNLESS_SANITIZED(an_hour_does_not_blur_the_position);
    RUN(what_is_no_number_passes_with_the_window);
    RUN(ratios_are_held_near_the_first);
    RUN(reset_replays);
    RUN(create_refuses_what_cannot_be);
    RUN(create_survives_any_failing_request);
    RUN(drift_is_found_and_the_queue_keeps_its_length);
    return tap_done();
}
