/*
 * What a real transform costs, forward and back, beside FFTW (3.3, single precision) planned by
 * MEASURE and by ESTIMATE, and beside the plain version of ours.
 *
 * All take turns in one run, each with its own aligned buffers, in groups of calls that take some
 * 20 us, so that what disturbs the machine disturbs them alike; figures are medians over the turns,
 * ratios medians of each turn's ratio. FFTW is a peer of this bench alone: libtakt does not link
 * it.
 */
#include "takt/fft.h"
#include "bench.h"
#include "dsp/version.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#ifdef HAVE_FFTW
#include <fftw3.h>
#endif

enum { TURNS = 201, WARM = 3, PLANS = 3 };
static const double group_ns = 20000;

struct engine {
    void (*run)(void *state);
    void *state;
};

struct transform {
    struct takt_fft *fft;
    float *x, *bins;
};

static void run_forward(void *state)
{
    struct transform *t = state;
    takt_fft_forward(t->fft, t->x, t->bins);
}

static void run_inverse(void *state)
{
    struct transform *t = state;
    takt_fft_inverse(t->fft, t->bins, t->x);
}

static float *floats(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    if (!x)
        abort();
    for (size_t i = 0; i < n; i++)
        x[i] = 0.9f * (float)sin((double)(i * i % 1009));
    return x;
}

/* ns a call, over a group of them. */
static double time_group(const struct engine *e, int calls)
{
    for (int i = 0; i < WARM; i++)
        e->run(e->state);
    int64_t before = bench_now_ns();
    for (int i = 0; i < calls; i++) {
        e->run(e->state);
        bench_barrier();
    }
    return (double)(bench_now_ns() - before) / calls;
}

enum { OURS, PLAIN, MEASURED, ESTIMATED, ENGINES };

/* The ratio to FFTW's MEASURE, or 0 without it. */
static double compare(size_t size, const char *way, const struct engine *engines)
{
    static double ns[ENGINES][TURNS], ratio[ENGINES][TURNS];
    const struct takt_dsp_version *best = takt_dsp;
    double once = time_group(&engines[OURS], 10);
    int calls = 1 + (int)(group_ns / once);
    for (int t = 0; t < TURNS; t++)
        for (int e = 0; e < ENGINES; e++) {
            takt_dsp = e == PLAIN ? takt_dsp_version(0) : best;
            ns[e][t] = engines[e].run ? time_group(&engines[e], calls) : 0;
            ratio[e][t] = ns[e][t] > 0 ? ns[OURS][t] / ns[e][t] : 0;
        }
    takt_dsp = best;
    double to_measured = bench_median(ratio[MEASURED], TURNS);
    printf("{\"bench\":\"fft\",\"size\":%zu,\"way\":\"%s\",\"version\":\"%s\",\"ns\":%.0f,"
           "\"plain_ns\":%.0f,\"ratio_to_plain\":%.2f",
           size, way, best->name, bench_median(ns[OURS], TURNS), bench_median(ns[PLAIN], TURNS),
           bench_median(ratio[PLAIN], TURNS));
    if (to_measured > 0)
        printf(",\"fftw_measure_ns\":%.0f,\"ratio_to_fftw_measure\":%.2f,"
               "\"fftw_estimate_ns\":%.0f,\"ratio_to_fftw_estimate\":%.2f",
               bench_median(ns[MEASURED], TURNS), to_measured, bench_median(ns[ESTIMATED], TURNS),
               bench_median(ratio[ESTIMATED], TURNS));
    printf("}\n");
    fflush(stdout);
    return to_measured;
}

#ifdef HAVE_FFTW
static void run_fftw(void *state)
{
    fftwf_execute(state);
}

static fftwf_plan plan_fftw(size_t size, bool back, float *x, float *bins, unsigned flags)
{
    fftwf_forget_wisdom(); /* an estimate behind a measurement would know it */
    fftwf_complex *pairs = (fftwf_complex *)(void *)bins;
    return back ? fftwf_plan_dft_c2r_1d((int)size, pairs, x, flags)
                : fftwf_plan_dft_r2c_1d((int)size, x, pairs, flags);
}

/* On a machine with others on it, MEASURE at times chooses badly: the best of PLANS plans counts.
 * Inverse ones may destroy the bins, which is FFTW's default and its fastest way; what they then
 * calculate with grows beyond all bounds, which costs no time. */
static void plan(struct engine *engines, size_t size, bool back, float *x, float *bins)
{
    double least = 0;
    for (int i = 0; i < (size <= 8192 ? PLANS : 1); i++) {
        struct engine e = {run_fftw, plan_fftw(size, back, x, bins, FFTW_MEASURE)};
        double ns = (double)INFINITY;
        for (int again = 0; again < 20; again++)
            ns = fmin(ns, time_group(&e, 1 + (int)(1e6 / (double)size / 10)));
        if (i == 0 || ns < least) {
            if (i)
                fftwf_destroy_plan(engines[MEASURED].state);
            engines[MEASURED] = e;
            least = ns;
        } else {
            fftwf_destroy_plan(e.state);
        }
    }
    engines[ESTIMATED] = (struct engine){run_fftw, plan_fftw(size, back, x, bins, FFTW_ESTIMATE)};
}
#endif

/* Forward and back of one size; the worse of the two ratios. */
static double bench_size(size_t size)
{
    struct takt_error e;
    struct transform t = {.x = floats(size), .bins = floats(size + 2)};
    if (takt_fft_create(&(struct takt_fft_cfg){.size = size}, &t.fft, &e) < 0)
        exit(takt_die(&e));
    struct engine forward[ENGINES] = {{run_forward, &t}, {run_forward, &t}};
    struct engine inverse[ENGINES] = {{run_inverse, &t}, {run_inverse, &t}};
#ifdef HAVE_FFTW
    float *x = floats(size), *bins = floats(size + 2);
    plan(forward, size, false, x, bins);
    plan(inverse, size, true, x, bins);
    memcpy(x, t.x, size * sizeof *x); /* planning writes to it */
    fftwf_execute(forward[MEASURED].state);
#endif
    run_forward(&t);
    double a = compare(size, "forward", forward), b = compare(size, "inverse", inverse);
#ifdef HAVE_FFTW
    for (int i = 0; i < 2; i++) {
        fftwf_destroy_plan(forward[MEASURED + i].state);
        fftwf_destroy_plan(inverse[MEASURED + i].state);
    }
    free(x);
    free(bins);
#endif
    takt_fft_destroy(t.fft);
    free(t.x);
    free(t.bins);
    return a > b ? a : b;
}

int main(void)
{
    long long steal = bench_steal_ticks();
    double worst = 0;
    size_t worst_size = 0;
    for (size_t size = TAKT_FFT_SIZE_MIN; size <= TAKT_FFT_SIZE_MAX; size *= 2) {
        double ratio = bench_size(size);
        if (size >= 256 && size <= 8192 && ratio > worst) {
            worst = ratio;
            worst_size = size;
        }
    }
    printf("{\"bench\":\"fft\",\"turns\":%d,\"steal_ticks\":%lld", TURNS,
           bench_steal_ticks() - steal);
    if (worst > 0)
        printf(",\"worst_ratio_to_fftw_measure_256_to_8192\":%.2f,\"at_size\":%zu", worst,
               worst_size);
    printf("}\n");
    return 0;
}
