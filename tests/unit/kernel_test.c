/* Each version of each kernel gives the plain one's bits, for any length and alignment. */
#include "base/random.h"
#include "dsp/kernel_table.h"
#include "takt/kernel.h"
#include "tap.h"

#include <float.h>
#include <math.h>

enum { LENGTHS = 300, SLACK = 32, ROOM = LENGTHS + 2 * SLACK };

static const struct takt_kernels *versions[4];
static int version_count;

static void find_versions(void)
{
    versions[version_count++] = &takt_kernels_plain;
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        versions[version_count++] = &takt_kernels_v3;
#endif
}

/* Ordinary sound, with what breaks careless code strewn in. */
static void fill(float *x, struct takt_random *r, bool wild)
{
    const float odd[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-42f, -1e-42f, 0.0f, -0.0f};
    for (int i = 0; i < ROOM; i++) {
        x[i] = (float)(2 * takt_random_unit(r) - 1);
        if (wild && takt_random_below(r, 6) == 0)
            x[i] = odd[takt_random_below(r, sizeof odd / sizeof *odd)];
    }
}

static bool same_floats(const float *a, const float *b)
{
    for (int i = 0; i < ROOM; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            printf("# at %d: %a and %a\n", i, (double)a[i], (double)b[i]);
            return false;
        }
    return true;
}

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Runs one map kernel of a version on fresh copies; which says which. */
static void run_map(const struct takt_kernels *k, int which, float *out, const float *in, size_t n)
{
    if (which == 0)
        k->scale(out, in, 0.7f, n);
    else if (which == 1)
        k->scale_ramp(out, in, 0.1f, 1.3f, n);
    else if (which == 2)
        k->mix(out, in, -0.4f, n);
    else
        k->clamp(out, in, 0.9f, n);
}

static void every_version_gives_the_plain_bits(void)
{
    static float in[ROOM], start[ROOM], want[ROOM], got[ROOM];
    struct takt_random r = takt_random_seed(1);
    for (int v = 0; v < version_count; v++)
        for (size_t n = 0; n <= LENGTHS; n++)
            for (int which = 0; which < 4; which++) {
                size_t a = takt_random_below(&r, SLACK), b = takt_random_below(&r, SLACK);
                fill(in, &r, n & 1);
                fill(start, &r, false);
                memcpy(want, start, sizeof want);
                memcpy(got, start, sizeof got);
                run_map(&takt_kernels_plain, which, want + b, in + a, n);
                run_map(versions[v], which, got + b, in + a, n);
                CHECK(same_floats(want, got)); /* and nothing beyond n is touched */
                memcpy(want, in, sizeof want); /* in place */
                memcpy(got, in, sizeof got);
                run_map(&takt_kernels_plain, which, want + a, want + a, n);
                run_map(versions[v], which, got + a, got + a, n);
                CHECK(same_floats(want, got));
                CHECK(same_double(takt_kernels_plain.sum_squares(in + a, n),
                                  versions[v]->sum_squares(in + a, n)));
                CHECK(same_double((double)takt_kernels_plain.peak(in + a, n),
                                  (double)versions[v]->peak(in + a, n)));
                CHECK_INT(takt_kernels_plain.count_above(in + a, 0.5f, n),
                          versions[v]->count_above(in + a, 0.5f, n));
            }
}

static void plain_kernels_mean_what_they_say(void)
{
    static float in[ROOM], out[ROOM];
    struct takt_random r = takt_random_seed(2);
    for (size_t n = 0; n <= LENGTHS; n++) {
        fill(in, &r, false);
        double squares = 0, most = 0;
        size_t above = 0;
        for (size_t i = 0; i < n; i++) {
            squares += (double)in[i] * (double)in[i];
            most = fmax(most, fabs((double)in[i]));
            above += fabsf(in[i]) >= 0.5f;
        }
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
    }
}

static void sums_of_long_blocks_stay_true(void)
{
    enum { LONG = 1 << 20 };
    float *x = malloc(LONG * sizeof *x);
    CHECK(x);
    double want = 0;
    struct takt_random r = takt_random_seed(3);
    for (int i = 0; i < LONG; i++) {
        x[i] = (float)(2 * takt_random_unit(&r) - 1);
        want += (double)x[i] * (double)x[i];
    }
    double got = takt_sum_squares(x, LONG);
    free(x);
    CHECK_NEAR(got, want, 1e-5 * want);
}

static void odd_numbers_are_met_with_sense(void)
{
    const float x[] = {0.5f, NAN, -0.75f, NAN};
    CHECK(takt_peak(x, 4) == 0.75f);
    CHECK_INT(takt_count_above(x, 0.7f, 4), 1);
    float held[4];
    takt_clamp(held, x, 1, 4);
    CHECK(held[1] == 0 && held[3] == 0);
    const float beyond[] = {INFINITY, -INFINITY};
    takt_clamp(held, beyond, 1, 2);
    CHECK(held[0] == 1 && held[1] == -1);
    CHECK(isinf(takt_peak(beyond, 2)));
    CHECK(takt_sum_squares(x, 0) == 0 && takt_peak(x, 0) == 0);
}

static void best_version_is_in_use(void)
{
    CHECK(!strcmp(takt_kernel_name(), versions[version_count - 1]->name));
}

int main(void)
{
    find_versions();
    RUN(every_version_gives_the_plain_bits);
    RUN(plain_kernels_mean_what_they_say);
    RUN(sums_of_long_blocks_stay_true);
    RUN(odd_numbers_are_met_with_sense);
    RUN(best_version_is_in_use);
    return tap_done();
}
