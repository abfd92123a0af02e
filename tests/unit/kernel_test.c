/* Each version of each kernel gives the plain one's bits, for any length and alignment; and the
 * plain one means what its header says. */
#include "base/random.h"
#include "dsp/version.h"
#include "takt/kernel.h"
#include "tap.h"

#include <float.h>
#include <math.h>

enum { LENGTHS = 300, SLACK = 32, ROOM = LENGTHS + 2 * SLACK };

/* Ordinary sound, with what breaks careless code strewn in. */
static void fill(float *x, size_t n, struct takt_random *r, bool wild)
{
    const float odd[] = {NAN,    -NAN,    INFINITY, -INFINITY, FLT_MAX, -FLT_MAX,
                         1e-42f, -1e-42f, FLT_MIN,  -FLT_MIN,  0.0f,    -0.0f};
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(2 * takt_random_unit(r) - 1);
        if (wild && takt_random_below(r, 6) == 0)
            x[i] = odd[takt_random_below(r, sizeof odd / sizeof *odd)];
    }
}

/* Bit for bit, but that one NaN is as good as another. */
static bool same_floats(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            printf("# at %zu: %a and %a\n", i, (double)a[i], (double)b[i]);
            return false;
        }
    return true;
}

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Runs one map of a version; `which` says which. */
static void run_map(const struct takt_kernels *k, int which, float *out, const float *in, size_t n)
{
    if (which == 0)
        k->scale(out, in, 0.7f, n);
    else if (which == 1)
        k->scale_ramp(out, in, 0.1f, 1.3f, n);
    else if (which == 2)
        k->mix(out, in, -0.4f, n);
    else if (which == 3)
        k->clamp(out, in, 0.9f, n);
    else
        k->multiply(out, in, in, n);
}

/* One length, at random alignments, apart and in place; false where k differs from plain. */
static bool maps_agree(const struct takt_kernels *plain, const struct takt_kernels *k, size_t n,
                       struct takt_random *r)
{
    static float in[ROOM], start[ROOM], want[ROOM], got[ROOM];
    for (int which = 0; which < 5; which++) {
        size_t a = takt_random_below(r, SLACK), b = takt_random_below(r, SLACK);
        fill(in, ROOM, r, n & 1);
        fill(start, ROOM, r, false);
        memcpy(want, start, sizeof want);
        memcpy(got, start, sizeof got);
        run_map(plain, which, want + b, in + a, n);
        run_map(k, which, got + b, in + a, n);
        if (!same_floats(want, got, ROOM)) /* and nothing beyond n is touched */
            return false;
        memcpy(got, in, sizeof got); /* in place, against the same apart */
        memcpy(want, in, sizeof want);
        memcpy(start, in, sizeof start);
        run_map(plain, which, want + a, start + a, n);
        run_map(k, which, got + a, got + a, n);
        if (!same_floats(want, got, ROOM))
            return false;
    }
    return true;
}

/* The same for what makes one number of two, and for factors that lie elsewhere. */
static bool pairs_agree(const struct takt_kernels *plain, const struct takt_kernels *k, size_t n,
                        struct takt_random *r)
{
    static float in[2 * ROOM], want[3][ROOM], got[3][ROOM];
    size_t a = takt_random_below(r, SLACK), b = takt_random_below(r, SLACK);
    fill(in, 2 * ROOM, r, n & 1);
    fill(want[0], 3 * ROOM, r, false);
    memcpy(got, want, sizeof got);
    plain->power(want[0] + b, in + a, n);
    k->power(got[0] + b, in + a, n);
    plain->magnitude(want[1] + b, in + a, n);
    k->magnitude(got[1] + b, in + a, n);
    plain->multiply(want[2] + b, in + a, in + b, n);
    k->multiply(got[2] + b, in + a, in + b, n);
    return same_floats(want[0], got[0], 3 * ROOM);
}

static bool reductions_agree(const struct takt_kernels *plain, const struct takt_kernels *k,
                             const float *x, size_t n)
{
    return same_double(plain->sum(x, n), k->sum(x, n)) &&
           same_double(plain->sum_squares(x, n), k->sum_squares(x, n)) &&
           same_double((double)plain->peak(x, n), (double)k->peak(x, n)) &&
           plain->count_above(x, 0.5f, n) == k->count_above(x, 0.5f, n);
}

static void every_version_gives_the_plain_bits(void)
{
    const struct takt_kernels *plain = takt_dsp_version(0)->kernels;
    static float x[1 << 14];
    struct takt_random r = takt_random_seed(1);
    for (int v = 0; takt_dsp_version(v); v++) {
        const struct takt_kernels *k = takt_dsp_version(v)->kernels;
        for (size_t n = 0; n <= LENGTHS; n++)
            for (int again = 0; again < 4; again++) {
                CHECK(maps_agree(plain, k, n, &r));
                CHECK(pairs_agree(plain, k, n, &r));
                fill(x, ROOM, &r, again & 1);
                CHECK(reductions_agree(plain, k, x + takt_random_below(&r, SLACK), n));
            }
        for (size_t n = 1000; n < sizeof x / sizeof *x - SLACK; n += 1 + n / 7) {
            fill(x, sizeof x / sizeof *x, &r, n & 1);
            CHECK(reductions_agree(plain, k, x + n % SLACK, n));
        }
    }
}

static void plain_kernels_mean_what_they_say(void)
{
    static float in[ROOM], out[ROOM];
    struct takt_random r = takt_random_seed(2);
    for (size_t n = 0; n <= LENGTHS; n++) {
        fill(in, ROOM, &r, false);
        double squares = 0, sum = 0, sizes = 0, most = 0;
        size_t above = 0;
        for (size_t i = 0; i < n; i++) {
            squares += (double)in[i] * (double)in[i];
            sum += (double)in[i];
            sizes += fabs((double)in[i]);
            most = fmax(most, fabs((double)in[i]));
            above += fabsf(in[i]) >= 0.5f;
        }
        CHECK_NEAR(takt_sum(in, n), sum, 1e-5 * sizes);
        CHECK_NEAR(takt_sum_squares(in, n), squares, 1e-5 * squares);
        CHECK((double)takt_peak(in, n) == most);
        CHECK_INT(takt_count_above(in, 0.5f, n), above);
        takt_scale(out, in, 0.25f, n);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == in[i] * 0.25f);
        takt_mix(out, in, 0.5f, n);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == in[i] * 0.25f + in[i] * 0.5f);
        takt_scale_ramp(out, in, 0, 1, n);
        for (size_t i = 0; i < n; i++)
            CHECK_NEAR(out[i], (double)in[i] * (double)i / (double)n, 1e-6);
        takt_clamp(out, in, 0.5f, n);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == fmaxf(-0.5f, fminf(0.5f, in[i])));
        takt_multiply(out, in, in + SLACK, n);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == in[i] * in[i + SLACK]);
        takt_power(out, in, n / 2);
        for (size_t i = 0; i < n / 2; i++)
            CHECK(out[i] == in[2 * i] * in[2 * i] + in[2 * i + 1] * in[2 * i + 1]);
        takt_magnitude(out, in, n / 2);
        for (size_t i = 0; i < n / 2; i++)
            CHECK_NEAR(out[i], hypot((double)in[2 * i], (double)in[2 * i + 1]), 2e-7);
        takt_copy(out, in, n);
        CHECK(n == 0 || !memcmp(out, in, n * sizeof *in));
        out[n] = 1;
        takt_silence(out, n);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == 0);
        CHECK(out[n] == 1);
    }
}

/* A sum never loses what is small beside it, however long the sound. */
static void sums_of_long_sounds_stay_true(void)
{
    enum { LONG = 1 << 23 };
    float *x = malloc(LONG * sizeof *x);
    CHECK(x);
    double squares = 0, sum = 0;
    struct takt_random r = takt_random_seed(3);
    for (int i = 0; i < LONG; i++) {
        x[i] = (float)(takt_random_unit(&r) - 0.25);
        squares += (double)x[i] * (double)x[i];
        sum += (double)x[i];
    }
    double got_squares = takt_sum_squares(x, LONG), got_sum = takt_sum(x, LONG);
    free(x);
    CHECK_NEAR(got_squares, squares, 1e-6 * squares);
    CHECK_NEAR(got_sum, sum, 1e-6 * LONG / 2);
}

/* A gain that ends at a value and one that begins there meet, and in place is no different. */
static void ramps_join_without_a_step(void)
{
    static float one[2 * LENGTHS];
    for (size_t n = 1; n <= LENGTHS; n++) {
        for (size_t i = 0; i < 2 * n; i++)
            one[i] = 1;
        takt_scale_ramp(one, one, 0.2f, 0.9f, n);
        takt_scale_ramp(one + n, one + n, 0.9f, 0.2f, n);
        CHECK(one[0] == 0.2f && one[n] == 0.9f);
        for (size_t i = 1; i < 2 * n; i++)
            CHECK_NEAR(one[i], one[i - 1], 0.7 / (double)n + 1e-6);
    }
}

static void odd_numbers_are_met_with_sense(void)
{
    const float x[] = {0.5f, NAN, -0.75f, -NAN};
    CHECK(takt_peak(x, 4) == 0.75f);
    CHECK_INT(takt_count_above(x, 0.7f, 4), 1);
    CHECK(isnan(takt_sum_squares(x, 4)) && isnan(takt_sum(x, 4)));
    float held[4];
    takt_clamp(held, x, 1, 4);
    CHECK(held[1] == 0 && held[3] == 0);
    const float beyond[] = {INFINITY, -INFINITY, 1e-42f, -1e-42f};
    takt_clamp(held, beyond, 1, 2);
    CHECK(held[0] == 1 && held[1] == -1);
    CHECK(isinf(takt_peak(beyond, 4)));
    CHECK(takt_peak(beyond + 2, 2) == 1e-42f);
    CHECK(takt_sum_squares(x, 0) == 0 && takt_peak(x, 0) == 0 && takt_sum(x, 0) == 0);
}

static void copy_may_overlap(void)
{
    float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    takt_copy(x + 1, x, 7);
    CHECK(x[1] == 0 && x[7] == 6);
    takt_copy(x, x + 1, 7);
    CHECK(x[0] == 0 && x[6] == 6);
}

/* Every version, any channel count: sample c of frame i is where it belongs, the way back gives
 * the planes again, and nothing else is touched. */
static void interleaving_moves_each_sample_to_its_place(void)
{
    enum { CHANNELS = 9, FRAMES = 70 };
    static float planes[CHANNELS][FRAMES + 1], back[CHANNELS][FRAMES + 1];
    static float frames[CHANNELS * FRAMES + 1];
    const float mark = -3;
    for (int v = 0; takt_dsp_version(v); v++)
        for (uint32_t channels = 1; channels <= CHANNELS; channels++)
            for (size_t n = 0; n <= FRAMES; n++) {
                const float *in[CHANNELS];
                float *out[CHANNELS];
                for (uint32_t c = 0; c < channels; c++) {
                    in[c] = planes[c] + c % 2; /* planes need not be aligned */
                    out[c] = back[c];
                    for (size_t i = 0; i < n; i++)
                        planes[c][c % 2 + i] = (float)(1000 * c + i);
                    back[c][n] = mark;
                }
                frames[channels * n] = mark;
                takt_dsp_version(v)->kernels->interleave(frames, in, channels, n);
                takt_dsp_version(v)->kernels->deinterleave(out, frames, channels, n);
                CHECK(frames[channels * n] == mark);
                for (uint32_t c = 0; c < channels; c++) {
                    CHECK(back[c][n] == mark);
                    for (size_t i = 0; i < n; i++) {
                        CHECK(frames[i * channels + c] == (float)(1000 * c + i));
                        CHECK(back[c][i] == (float)(1000 * c + i));
                    }
                }
            }
}

static void best_version_is_in_use(void)
{
    int count = 0;
    while (takt_dsp_version(count))
        count++;
    CHECK(count >= 1);
    CHECK(!strcmp(takt_kernel_name(), takt_dsp_version(count - 1)->name));
    CHECK(!strcmp(takt_dsp_version(0)->name, "plain"));
}

int main(void)
{
    RUN(every_version_gives_the_plain_bits);
    RUN(plain_kernels_mean_what_they_say);
    RUN(sums_of_long_sounds_stay_true);
    RUN(ramps_join_without_a_step);
    RUN(odd_numbers_are_met_with_sense);
    RUN(copy_may_overlap);
    RUN(interleaving_moves_each_sample_to_its_place);
    RUN(best_version_is_in_use);
    return tap_done();
}
