/*
 * The table holds, for each of 2^phase_bits places between two input frames, four rows of `taps`
 * coefficients: the cubic through this place, the one before and the two behind (Lagrange), in
 * powers of the way x, 0..1, to the next place. So one row of the filter for any position is three
 * multiplications and additions a tap.
 *
 * Time is Q8.56: the whole part counts input frames, and a step from one output frame to the next
 * is 1 / ratio. While the ratio glides, steps grow evenly: step k is step + k * slope.
 *
 * Invariants: the window of the next output frame begins at past[c][0]; `have` frames are there
 * from it on, and are below 0 when some that are still to come will be passed over.
 */
#include "takt/resample.h"

#include "base/assert.h"
#include "base/fail.h"
#include "dsp/version.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 64, FRAMES_MAX = 65536, MORE_MAX = 64, LINE = 64 };
static const double ratio_most = 16, reach = 0.05, pi = 3.14159265358979323846;

__extension__ typedef __int128 wide;

struct takt_resampler {
    struct takt_resampler_cfg cfg;
    uint32_t taps;
    int phase_bits;
    float *table; /* [phase][4][taps] */
    float *row;   /* [taps]: the filter of one output frame */
    float *past[CHANNELS_MAX];
    size_t room; /* of each past */
    int64_t have;
    uint64_t fraction;    /* of the next output frame, Q0.56 */
    uint64_t step, aimed; /* Q8.56: now, and at the end of the next process */
    uint64_t dropped;     /* input frames before past[c][0], the silence at the start included */
    void *memory;
};

/* ---- The filter ------------------------------------------------------------------------------ */

/* The modified Bessel function of the first kind and order 0: its power series. */
static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-18 * sum; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* The windowed sinc at t input frames from its middle. cutoff: of the input's rate. */
static double filter_at(double t, uint32_t taps, double cutoff, double beta)
{
    double half = taps / 2.0, side = t / half;
    if (side <= -1 || side >= 1)
        return 0;
    double angle = 2 * pi * cutoff * t;
    double sinc = fabs(angle) < 1e-9 ? 1 : sin(angle) / angle;
    return 2 * cutoff * sinc * bessel_i0(beta * sqrt(1 - side * side)) / bessel_i0(beta);
}

/* Tap i of the filter for a frame that lies `phase` / phases behind the middle of the window. */
static double tap_at(const struct takt_resampler *r, int phase, uint32_t i, double cutoff,
                     double beta)
{
    double t = (double)i - (r->taps / 2.0 - 1) - (double)phase / (1 << r->phase_bits);
    return filter_at(t, r->taps, cutoff, beta);
}

/* So that silence and a constant come through as they are, at every place. */
static double sum_at(const struct takt_resampler *r, int phase, double cutoff, double beta)
{
    double sum = 0;
    for (uint32_t i = 0; i < r->taps; i++)
        sum += tap_at(r, phase, i, cutoff, beta);
    return sum;
}

static void fill_table(struct takt_resampler *r, double cutoff, double beta)
{
    double sums[4];
    for (int k = 0; k < 3; k++)
        sums[k + 1] = sum_at(r, k - 1, cutoff, beta);
    for (uint32_t p = 0; p < 1u << r->phase_bits; p++) {
        memmove(sums, sums + 1, 3 * sizeof *sums);
        sums[3] = sum_at(r, (int)p + 2, cutoff, beta);
        float *rows = r->table + (size_t)p * 4 * r->taps;
        for (uint32_t i = 0; i < r->taps; i++) {
            double y[4];
            for (int k = 0; k < 4; k++)
                y[k] = tap_at(r, (int)p + k - 1, i, cutoff, beta) / sums[k];
            rows[i] = (float)y[1];
            rows[r->taps + i] = (float)(y[2] - y[0] / 3 - y[1] / 2 - y[3] / 6);
            rows[2 * r->taps + i] = (float)((y[0] + y[2]) / 2 - y[1]);
            rows[3 * r->taps + i] = (float)((y[3] - y[0]) / 6 + (y[1] - y[2]) / 2);
        }
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int check(struct takt_resampler_cfg *cfg, struct takt_error *e)
{
    cfg->channels = cfg->channels ? cfg->channels : 1;
    cfg->ratio = cfg->ratio != 0 ? cfg->ratio : 1;
    cfg->frames_max = cfg->frames_max ? cfg->frames_max : 8192;
    if (cfg->channels > CHANNELS_MAX || cfg->frames_max > FRAMES_MAX ||
        (unsigned)cfg->quality > TAKT_RESAMPLE_BEST)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "resampler: %u channels of %u frames: give 1 to %d of 1 to %d",
                         cfg->channels, cfg->frames_max, CHANNELS_MAX, FRAMES_MAX);
    if (!(cfg->ratio >= 1 / ratio_most && cfg->ratio <= ratio_most))
        return takt_fail(e, TAKT_ERR_ARG, 0, "resampler: a ratio of %g: give 1/16 to 16",
                         cfg->ratio);
    return 0;
}

static size_t in_lines(size_t floats)
{
    enum { EACH = LINE / sizeof(float) };
    return (floats + EACH - 1) / EACH * EACH;
}

int takt_resampler_create(const struct takt_resampler_cfg *cfg, struct takt_resampler **out,
                          struct takt_error *e)
{
    *out = NULL;
    struct takt_resampler_cfg settings = *cfg;
    int err = check(&settings, e);
    if (err < 0)
        return err;
    struct takt_resampler *r = calloc(1, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a resampler");
    bool best = settings.quality == TAKT_RESAMPLE_BEST;
    r->cfg = settings;
    r->taps = best ? 96 : 32;
    r->phase_bits = best ? 7 : 6;
    double longest = settings.frames_max / settings.ratio * (1 + 2 * reach);
    r->room = in_lines(2 * r->taps + (size_t)longest + MORE_MAX);
    size_t table = in_lines(((size_t)4 << r->phase_bits) * r->taps), row = in_lines(r->taps);
    r->memory = aligned_alloc(LINE, (table + row + r->room * settings.channels) * sizeof(float));
    if (!r->memory) {
        free(r);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a resampler");
    }
    r->table = r->memory;
    r->row = r->table + table;
    for (uint32_t c = 0; c < settings.channels; c++)
        r->past[c] = r->row + row + c * r->room;
    double lower = settings.ratio < 1 ? settings.ratio : 1;
    fill_table(r, 0.5 * lower, best ? 14.5 : 12.3);
    takt_resampler_set_ratio(r, settings.ratio);
    r->step = r->aimed;
    takt_resampler_reset(r);
    *out = r;
    return 0;
}

void takt_resampler_destroy(struct takt_resampler *r)
{
    if (!r)
        return;
    free(r->memory);
    free(r);
}

void takt_resampler_reset(struct takt_resampler *r)
{
    r->have = r->taps - 1;
    r->fraction = 0;
    r->dropped = 0;
    r->step = r->aimed;
    for (uint32_t c = 0; c < r->cfg.channels; c++)
        memset(r->past[c], 0, r->room * sizeof(float));
}

/* ---- Running --------------------------------------------------------------------------------- */

void takt_resampler_set_ratio(struct takt_resampler *r, double ratio)
{
    double low = r->cfg.ratio * (1 - reach), high = r->cfg.ratio * (1 + reach);
    ratio = ratio > low ? ratio : low; /* NaN, too */
    ratio = ratio < high ? ratio : high;
    r->aimed = (uint64_t)(0x1p56 / ratio + 0.5);
}

/* What a step grows by from one output frame to the next. */
static int64_t slope(const struct takt_resampler *r, uint32_t frames)
{
    return ((int64_t)r->aimed - (int64_t)r->step) / (int64_t)frames;
}

/* How far output frame n lies from the next one, Q.56: the sum of n growing steps. */
static wide way(const struct takt_resampler *r, uint32_t n, int64_t growth)
{
    return (wide)n * r->step + (wide)growth * ((int64_t)n * ((int64_t)n - 1) / 2);
}

size_t takt_resampler_need(const struct takt_resampler *r, uint32_t frames)
{
    if (!frames)
        return 0;
    wide last = r->fraction + way(r, frames - 1, slope(r, frames));
    int64_t need = (int64_t)(last >> TAKT_GLIDE_BITS) + r->taps - r->have;
    return need > 0 ? (size_t)need : 0;
}

static void take(struct takt_resampler *r, const float *const *in, size_t frames)
{
    size_t passed = r->have < 0 ? (size_t)-r->have : 0;
    passed = passed < frames ? passed : frames;
    size_t at = r->have > 0 ? (size_t)r->have : 0;
    TAKT_ASSERT(at + frames - passed <= r->room);
    for (uint32_t c = 0; c < r->cfg.channels; c++)
        memcpy(r->past[c] + at, in[c] + passed, (frames - passed) * sizeof(float));
    r->have += (int64_t)frames;
}

/* Several channels share the work of making the filter. */
static void glide_together(struct takt_resampler *r, struct takt_glide *g, float *const *out,
                           uint32_t frames)
{
    const struct takt_kernels *k = takt_dsp->kernels;
    const uint64_t below_one = (UINT64_C(1) << TAKT_GLIDE_BITS) - 1;
    float (*dot)(const float *a, const float *b, size_t n) =
        r->cfg.quality == TAKT_RESAMPLE_BEST ? k->dot_best : k->dot;
    for (uint32_t i = 0; i < frames; i++) {
        uint64_t place = g->fraction << g->phase_bits;
        const float *rows = g->table + (size_t)(place >> TAKT_GLIDE_BITS) * 4 * g->taps;
        k->cubic_row(r->row, rows, (float)((double)(place & below_one) * 0x1p-56), g->taps);
        for (uint32_t c = 0; c < r->cfg.channels; c++)
            out[c][i] = dot(r->past[c] + g->window, r->row, g->taps);
        g->fraction += g->step;
        g->window += (size_t)(g->fraction >> TAKT_GLIDE_BITS);
        g->fraction &= below_one;
        g->step += (uint64_t)g->growth;
    }
}

void takt_resampler_process(struct takt_resampler *r, const float *const *in, size_t in_frames,
                            float *const *out, uint32_t frames)
{
    size_t need = takt_resampler_need(r, frames);
    TAKT_ASSERT(frames <= r->cfg.frames_max && need <= in_frames &&
                in_frames <= need + (need ? MORE_MAX : 0));
    struct takt_glide g = {.table = r->table,
                           .taps = r->taps,
                           .phase_bits = r->phase_bits,
                           .fraction = r->fraction,
                           .step = r->step,
                           .growth = frames ? slope(r, frames) : 0};
    const struct takt_kernels *k = takt_dsp->kernels;
    void (*glide)(struct takt_glide * g, float *out, const float *in, size_t frames) =
        r->cfg.quality == TAKT_RESAMPLE_BEST ? k->glide_best : k->glide;
    take(r, in, in_frames);
    if (r->cfg.channels > 1)
        glide_together(r, &g, out, frames);
    else
        glide(&g, out[0], r->past[0], frames);
    r->fraction = g.fraction;
    r->step = frames ? r->aimed : r->step;
    r->have -= (int64_t)g.window;
    r->dropped += g.window;
    for (uint32_t c = 0; r->have > 0 && c < r->cfg.channels; c++)
        memmove(r->past[c], r->past[c] + g.window, (size_t)r->have * sizeof(float));
}

double takt_resampler_position(const struct takt_resampler *r)
{
    return (double)r->dropped + (double)r->fraction * 0x1p-56 - r->taps / 2;
}

uint32_t takt_resampler_delay_frames(const struct takt_resampler *r)
{
    return r->taps / 2;
}
