/* The level meter against plain double arithmetic. */
#include "base/random.h"
#include "takt/level.h"
#include "tap.h"

#include <math.h>

enum { RATE_HZ = 48000 };

static struct takt_level *make(uint32_t channels)
{
    struct takt_level *l;
    struct takt_error e;
    return takt_level_create(&(struct takt_level_cfg){.channels = channels, .rate_hz = RATE_HZ}, &l,
                             &e) < 0
               ? NULL
               : l;
}

static void sine_at_full_scale_reads_minus_three(void)
{
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    static float x[RATE_HZ];
    CHECK(l);
    for (int i = 0; i < RATE_HZ; i++)
        x[i] = (float)sin(2 * 3.14159265358979323846 * 1000 * i / RATE_HZ);
    for (int at = 0; at < RATE_HZ; at += 480)
        takt_level_update(l, (const float *[]){x + at}, 480);
    takt_level_read(l, 0, &now);
    CHECK_NEAR(now.total_rms_dbfs, -3.0103, 0.001);
    CHECK_NEAR(now.peak_dbfs, 0, 0.001);
    CHECK_NEAR(now.block_rms_dbfs, -3.0103, 0.001);
    CHECK_NEAR(now.rms_dbfs, -3.0103, 0.2); /* a second is 3.3 time constants */
    CHECK_NEAR(now.dc, 0, 1e-6);
    CHECK_INT(now.frames, RATE_HZ);
    takt_level_destroy(l);
}

static void totals_do_not_depend_on_the_blocks(void)
{
    static float x[20000];
    struct takt_random r = takt_random_seed(4);
    double squares = 0, sum = 0, most = 0;
    for (int i = 0; i < 20000; i++) {
        x[i] = (float)(takt_random_unit(&r) - 0.4);
        squares += (double)x[i] * (double)x[i];
        sum += (double)x[i];
        most = fmax(most, fabs((double)x[i]));
    }
    for (size_t block = 1; block < 3000; block = block * 3 + 1) {
        struct takt_level *l = make(2);
        struct takt_level_reading now;
        CHECK(l);
        for (size_t at = 0; at < 20000; at += block) {
            size_t n = at + block < 20000 ? block : 20000 - at;
            takt_level_update(l, (const float *[]){x + at, x + at}, n);
        }
        takt_level_read(l, 1, &now);
        takt_level_destroy(l);
        CHECK_NEAR(now.total_rms_dbfs, 10 * log10(squares / 20000), 0.0005);
        CHECK_NEAR(now.dc, sum / 20000, 1e-7);
        CHECK_NEAR(now.peak_dbfs, 20 * log10(most), 1e-9);
        CHECK_INT(now.frames, 20000);
    }
}

static void silence_reads_minus_two_hundred(void)
{
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    float zero[64] = {0};
    CHECK(l);
    takt_level_update(l, (const float *[]){zero}, 64);
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    CHECK_NEAR(now.block_rms_dbfs, -200, 1e-9);
    CHECK_NEAR(now.rms_dbfs, -200, 1e-9);
    CHECK_NEAR(now.peak_dbfs, -200, 1e-9);
}

static void rms_follows_with_its_time_constant(void)
{
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    static float one[4800];
    CHECK(l);
    for (int i = 0; i < 4800; i++)
        one[i] = 0.5f;
    for (int tenth = 0; tenth < 3; tenth++)
        takt_level_update(l, (const float *[]){one}, 4800);
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    /* 0.3 s: the mean square is at 1 - 1/e of its end. */
    CHECK_NEAR(now.rms_dbfs, 10 * log10(0.25 * (1 - exp(-1.0))), 0.01);
}

static void peak_is_held_and_then_falls(void)
{
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    static float x[480];
    CHECK(l);
    x[7] = -0.5f;
    takt_level_update(l, (const float *[]){x}, 480);
    x[7] = 0;
    for (int ms10 = 1; ms10 <= 140; ms10++)
        takt_level_update(l, (const float *[]){x}, 480);
    takt_level_read(l, 0, &now);
    CHECK_NEAR(now.hold_dbfs, -6.0206, 0.001); /* 1.4 s later */
    for (int ms10 = 1; ms10 <= 110; ms10++)
        takt_level_update(l, (const float *[]){x}, 480);
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    CHECK_NEAR(now.hold_dbfs, -6.0206 - 20, 0.5); /* a second after the hold ended: 20 dB down */
    CHECK_NEAR(now.peak_dbfs, -6.0206, 0.001);
}

static void clips_and_their_runs_are_counted_across_blocks(void)
{
    const float full = 32767.0f / 32768;
    const float x[] = {full, 0, full, full, 0, 1, -1, full, full, 0, 1.5f, NAN, 1, 1};
    struct takt_level_reading now;
    for (size_t block = 1; block <= 14; block++) {
        struct takt_level *l = make(1);
        CHECK(l);
        for (size_t at = 0; at < 14; at += block)
            takt_level_update(l, (const float *[]){x + at}, at + block < 14 ? block : 14 - at);
        takt_level_read(l, 0, &now);
        takt_level_destroy(l);
        CHECK_INT(now.clips, 10);
        CHECK_INT(now.clip_runs, 1); /* 1, -1, full, full */
    }
}

static void odd_numbers_do_not_stick(void)
{
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    float x[64] = {0};
    CHECK(l);
    x[3] = NAN;
    takt_level_update(l, (const float *[]){x}, 64);
    x[3] = INFINITY;
    takt_level_update(l, (const float *[]){x}, 64);
    for (int i = 0; i < 64; i++)
        x[i] = 0.5f;
    for (int i = 0; i < 2000; i++)
        takt_level_update(l, (const float *[]){x}, 64);
    takt_level_read(l, 0, &now);
    CHECK(isfinite(now.total_rms_dbfs) && isfinite(now.rms_dbfs) && isfinite(now.dc));
    CHECK_NEAR(now.rms_dbfs, -6.02, 0.1);
    takt_level_reset(l);
    takt_level_read(l, 0, &now);
    CHECK_INT(now.frames, 0);
    CHECK_NEAR(now.peak_dbfs, -200, 1e-9);
    takt_level_read(l, 5, &now); /* no such channel */
    CHECK_INT(now.frames, 0);
    takt_level_destroy(l);
    takt_level_destroy(NULL);
}

static void settings_out_of_range_are_refused(void)
{
    struct takt_level *l;
    struct takt_error e;
    CHECK_INT(takt_level_create(&(struct takt_level_cfg){.channels = 65}, &l, &e), TAKT_ERR_ARG);
    CHECK_INT(takt_level_create(&(struct takt_level_cfg){.rms_s = -1}, &l, &e), TAKT_ERR_ARG);
    CHECK_INT(takt_level_create(&(struct takt_level_cfg){.hold_s = (double)NAN}, &l, &e),
              TAKT_ERR_ARG);
    CHECK(!l);
}

int main(void)
{
    RUN(sine_at_full_scale_reads_minus_three);
    RUN(totals_do_not_depend_on_the_blocks);
    RUN(silence_reads_minus_two_hundred);
    RUN(rms_follows_with_its_time_constant);
    RUN(peak_is_held_and_then_falls);
    RUN(clips_and_their_runs_are_counted_across_blocks);
    RUN(odd_numbers_do_not_stick);
    RUN(settings_out_of_range_are_refused);
    return tap_done();
}
