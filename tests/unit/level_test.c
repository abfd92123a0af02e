/* The level meter against plain double arithmetic. */
#include "base/random.h"
#include "takt/level.h"
#include "tap.h"

#include <fenv.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

enum { RATE_HZ = 48000 };

/* The one request for memory, which can be made to fail. */
static bool calloc_fails;
void *__real_calloc(size_t n, size_t each);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_calloc(size_t n, size_t each)
{
    return calloc_fails ? NULL : __real_calloc(n, each);
}

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

/* The level falls along one line, cut into whatever blocks. */
static void held_peak_does_not_depend_on_the_blocks(void)
{
    static float x[3 * RATE_HZ];
    const size_t blocks[] = {60, 1200, 28800, 48000, 144000}; /* the last three cut the hold */
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        struct takt_level *l = make(1);
        struct takt_level_reading now;
        CHECK(l);
        float loud = 1;
        takt_level_update(l, (const float *[]){&loud}, 1);
        for (size_t at = 0; at < 3 * RATE_HZ; at += blocks[b])
            takt_level_update(l, (const float *[]){x + at}, blocks[b]);
        takt_level_read(l, 0, &now);
        takt_level_destroy(l);
        CHECK_NEAR(now.hold_dbfs, -30, 0.001); /* 1.5 s held, 1.5 s at 20 dB/s */
    }
}

/* A model in doubles, sample by sample, beside the meter: random sound with stretches at full
 * scale and beyond, random blocks, channels each with a sound of its own. */
static void all_readings_follow_a_model_in_doubles(void)
{
    enum { CHANNELS = 3, N = 30000 };
    static float x[CHANNELS][N];
    struct takt_random r = takt_random_seed(17);
    struct takt_level *l = make(CHANNELS);
    CHECK(l);
    for (int c = 0; c < CHANNELS; c++)
        for (int i = 0, loud = 0; i < N; i++) {
            loud = loud ? loud - 1 : takt_random_below(&r, 50) ? 0 : (int)takt_random_below(&r, 6);
            double gain = loud ? 1.03 : 0.4, u = 2 * takt_random_unit(&r) - 1;
            x[c][i] = (float)(gain * (loud ? copysign(1 - 0.03 * fabs(u), u) : u));
        }
    double smooth[CHANNELS] = {0};
    for (size_t at = 0, n; at < N; at += n) {
        n = 1 + takt_random_below(&r, 700);
        n = at + n > N ? N - at : n;
        takt_level_update(l, (const float *[]){x[0] + at, x[1] + at, x[2] + at}, n);
        for (int c = 0; c < CHANNELS; c++) {
            double squares = 0, sum = 0, block = 0, most = 0, block_most = 0;
            uint64_t clips = 0, runs = 0, spots = 0, overs = 0, run = 0;
            for (size_t i = 0; i < at + n; i++) {
                double v = (double)x[c][i];
                squares += v * v;
                sum += v;
                most = fmax(most, fabs(v));
                block += i >= at ? v * v : 0;
                block_most = i >= at ? fmax(block_most, fabs(v)) : 0;
                run = fabs(v) >= 32767.0 / 32768 ? run + 1 : 0;
                clips += run > 0;
                spots += run == 1;
                runs += run == 3;
                overs += fabs(v) > 1;
            }
            double keep = exp(-(double)n / RATE_HZ / 0.3);
            smooth[c] = smooth[c] * keep + block / (double)n * (1 - keep);
            struct takt_level_reading now;
            takt_level_read(l, (uint32_t)c, &now);
            CHECK_NEAR(now.block_rms_dbfs, 10 * log10(fmax(block / (double)n, 1e-20)), 1e-4);
            CHECK_NEAR(now.rms_dbfs, 10 * log10(smooth[c]), 1e-4);
            CHECK_NEAR(now.total_rms_dbfs, 10 * log10(squares / (double)(at + n)), 1e-4);
            CHECK_NEAR(now.block_peak_dbfs, 20 * log10(block_most), 1e-9);
            CHECK_NEAR(now.peak_dbfs, 20 * log10(most), 1e-9);
            CHECK_NEAR(now.hold_dbfs, 20 * log10(most), 1e-9); /* all within the hold */
            CHECK_NEAR(now.dc, sum / (double)(at + n), 1e-7);
            CHECK_INT(now.clips, clips);
            CHECK_INT(now.clip_runs, runs);
            CHECK_INT(now.clip_spots, spots);
            CHECK_INT(now.overs, overs);
            CHECK_INT(now.frames, at + n);
        }
    }
    struct takt_level_reading end;
    takt_level_read(l, 0, &end);
    CHECK(end.clip_runs > 10 && end.overs > 10 && end.overs < end.clips); /* the sound had them */
    takt_level_destroy(l);
}

/* The largest of 16 bits is full scale, the next is not, on both sides. */
static void full_scale_is_that_of_sixteen_bits(void)
{
    const float x[] = {32767.0f / 32768,  -32767.0f / 32768, -1, 32766.0f / 32768,
                       -32766.0f / 32768, 0.99996f,          1,  1.0000001f};
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    CHECK(l);
    takt_level_update(l, (const float *[]){x}, 8);
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    CHECK_INT(now.clips, 5);
    CHECK_INT(now.overs, 1);
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

/* Any bits at all may come in as floats; what goes out is finite, and the next sound is right. */
static void readings_are_finite_whatever_comes_in(void)
{
    struct takt_random r = takt_random_seed(18);
    struct takt_level_reading now;
    struct takt_level *l = make(1);
    CHECK(l);
    for (int round = 0; round < 3000; round++) {
        uint32_t bits[100] = {0};
        float x[100];
        size_t n = 1 + takt_random_below(&r, 100);
        for (size_t i = 0; i < n; i++)
            bits[i] = (uint32_t)takt_random_u64(&r) | (round % 3 ? 0 : 0x7f000000);
        memcpy(x, bits, sizeof x);
        if (round % 5 == 0)
            x[takt_random_below(&r, n)] = round % 2 ? INFINITY : -INFINITY;
        takt_level_update(l, (const float *[]){x}, n);
        takt_level_read(l, 0, &now);
        CHECK(isfinite(now.rms_dbfs) && isfinite(now.block_rms_dbfs) && isfinite(now.hold_dbfs));
        CHECK(isfinite(now.peak_dbfs) && isfinite(now.total_rms_dbfs) && isfinite(now.dc));
        CHECK(isfinite(now.block_peak_dbfs) && now.peak_dbfs <= 20 * log10((double)FLT_MAX));
    }
    takt_level_reset(l);
    float half[64];
    for (int i = 0; i < 64; i++)
        half[i] = i == 5 ? NAN : 0.5f;
    takt_level_update(l, (const float *[]){half}, 64);
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    CHECK_NEAR(now.block_rms_dbfs, 10 * log10(0.25 * 63 / 64), 1e-6); /* one sample is lost */
    CHECK_NEAR(now.dc, 0.5 * 63 / 64, 1e-9);
}

/* Long silence ends in true zeros, and never in numbers too small to be normal. */
static void silence_never_becomes_denormal(void)
{
    static float x[RATE_HZ / 10];
    struct takt_level *l = make(1);
    struct takt_level_reading now;
    CHECK(l);
    for (size_t i = 0; i < RATE_HZ / 10; i++)
        x[i] = 1;
    takt_level_update(l, (const float *[]){x}, RATE_HZ / 10);
    memset(x, 0, sizeof x);
    feclearexcept(FE_ALL_EXCEPT);
    for (int tenth = 0; tenth < 3000; tenth++)
        takt_level_update(l, (const float *[]){x}, RATE_HZ / 10);
    CHECK(!fetestexcept(FE_UNDERFLOW));
    takt_level_read(l, 0, &now);
    takt_level_destroy(l);
    CHECK(now.rms_dbfs == -200 && now.hold_dbfs == -200);
}

struct shared {
    struct takt_level *level;
    _Atomic bool done;
};

/* Plays a square wave, whose readings are all the same in every block. */
static void *update_in_a_thread(void *arg)
{
    struct shared *s = arg;
    float x[60];
    for (int i = 0; i < 60; i++)
        x[i] = i % 2 ? -1.0f : 1.0f;
    for (int i = 0; i < 20000; i++)
        takt_level_update(s->level, (const float *[]){x, x}, 60);
    atomic_store(&s->done, true);
    return NULL;
}

/* Each number that another thread reads is one that was shown, and counts never fall. */
static void readings_hold_in_another_thread(void)
{
    struct shared s = {make(2), false};
    struct takt_level_reading now = {0}, before = {0};
    pthread_t thread;
    CHECK(s.level);
    CHECK(!pthread_create(&thread, NULL, update_in_a_thread, &s));
    bool right = true, done = false;
    while (right && !done) {
        done = atomic_load(&s.done);
        takt_level_read(s.level, 1, &now);
        right = now.frames >= before.frames && now.clips >= before.clips &&
                (now.block_rms_dbfs == 0 || now.block_rms_dbfs == -200) &&
                (now.hold_dbfs == 0 || now.hold_dbfs == -200) &&
                (now.total_rms_dbfs == 0 || now.total_rms_dbfs == -200) &&
                now.rms_dbfs >= before.rms_dbfs - (before.frames ? 0 : 200) && now.dc == 0 &&
                now.clips % 60 == 0 && now.frames % 60 == 0 && now.clip_spots <= 1;
        before = now;
    }
    pthread_join(thread, NULL);
    takt_level_destroy(s.level);
    CHECK(right);
    CHECK_INT(now.frames, 20000 * 60);
    CHECK_INT(now.clips, 20000 * 60);
    CHECK_INT(now.clip_runs, 1);
}

static void create_without_memory_says_so(void)
{
    struct takt_level *l = (struct takt_level *)&l;
    struct takt_error e;
    calloc_fails = true;
    int code = takt_level_create(&(struct takt_level_cfg){0}, &l, &e);
    calloc_fails = false;
    CHECK_INT(code, TAKT_ERR_NOMEM);
    CHECK_INT(e.code, TAKT_ERR_NOMEM);
    CHECK(!l);
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
    RUN(held_peak_does_not_depend_on_the_blocks);
    RUN(all_readings_follow_a_model_in_doubles);
    RUN(full_scale_is_that_of_sixteen_bits);
    RUN(readings_are_finite_whatever_comes_in);
    RUN(silence_never_becomes_denormal);
    RUN(readings_hold_in_another_thread);
    RUN(create_without_memory_says_so);
    RUN(odd_numbers_do_not_stick);
    RUN(settings_out_of_range_are_refused);
    return tap_done();
}
