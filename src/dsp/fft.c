/*
 * The plan of a transform: its tables, in double precision and rounded once, and two places to
 * work in. What is done with them is in fft_body.c.
 */
#include "dsp/fft.h"

#include "base/fail.h"
#include "dsp/version.h"
#include "takt/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64, EACH = CACHE_LINE / sizeof(float) };

struct takt_fft {
    struct takt_fft_plan plan;
    float *memory;
};

/* w(n)^i = exp(-2 pi i k / n). The angle is reduced to an eighth of a turn, where it is exact to
 * the last digit, so that what is 0 or 1 comes out as 0 or 1. */
static void root(float *re, float *im, size_t n, size_t i)
{
    static const double pi = 3.14159265358979323846;
    size_t eighths = 8 * (i % n), octant = eighths / n;
    size_t rest = octant & 1 ? n - eighths % n : eighths % n;
    double angle = pi / 4 * (double)rest / (double)n, c = cos(angle), s = sin(angle);
    double x = (octant + 1) & 2 ? s : c, y = (octant + 1) & 2 ? c : s;
    *re = (float)(octant >= 2 && octant < 6 ? -x : x);
    *im = (float)(octant >= 4 ? y : -y);
}

static size_t in_lines(size_t floats)
{
    return (floats + EACH - 1) / EACH * EACH;
}

/* By 8 as often as it goes, the rest by 4: with 4 to begin with, the last pass, which needs no
 * factors, is one by 8. */
static void plan_passes(struct takt_fft_plan *p)
{
    int bits = 0, fours;
    while (p->lines >> bits > 1)
        bits++;
    fours = bits % 3 == 0 ? 0 : bits % 3 == 2 ? 1 : 2;
    p->passes = fours + (bits - 2 * fours) / 3;
    size_t stride = 1;
    for (int i = 0; i < p->passes; i++) {
        struct takt_fft_pass *pass = &p->pass[i];
        pass->radix = i < fours ? 4 : 8;
        pass->stride = stride;
        stride *= pass->radix;
        pass->count = p->lines / stride;
    }
}

static size_t pass_floats(const struct takt_fft_pass *p)
{
    return in_lines(p->count * (p->radix - 1) * 2);
}

static void fill_pass(struct takt_fft_pass *p, float *w)
{
    p->w = w;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 1; k < p->radix; k++, w += 2)
            root(w, w + 1, p->count * p->radix, i * k);
}

static void fill_across(const struct takt_fft_plan *p, float *w)
{
    for (size_t k = 0; k < p->lines; k += TAKT_FFT_LANES)
        for (size_t lane = 1; lane < TAKT_FFT_LANES; lane++, w += TAKT_FFT_LINE)
            for (size_t i = 0; i < TAKT_FFT_LANES; i++)
                root(w + i, w + TAKT_FFT_LANES + i, p->size / 2, lane * (k + i));
}

static void fill_apart(const struct takt_fft_plan *p, float *w)
{
    for (size_t k = 0; k < p->size / 4; k += TAKT_FFT_LANES, w += TAKT_FFT_LINE)
        for (size_t i = 0; i < TAKT_FFT_LANES; i++) {
            float re, im;
            root(&re, &im, p->size, k + i);
            w[i] = im / 2;
            w[TAKT_FFT_LANES + i] = -re / 2;
        }
}

int takt_fft_create(const struct takt_fft_cfg *cfg, struct takt_fft **out, struct takt_error *e)
{
    *out = NULL;
    size_t size = cfg->size ? cfg->size : 2048;
    if (size < TAKT_FFT_SIZE_MIN || size > TAKT_FFT_SIZE_MAX || (size & (size - 1)))
        return takt_fail(e, TAKT_ERR_ARG, 0, "fft: a size of %zu: give a power of two, %d to %d",
                         size, TAKT_FFT_SIZE_MIN, TAKT_FFT_SIZE_MAX);
    struct takt_fft *f = calloc(1, sizeof *f);
    if (!f)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a transform of %zu", size);
    struct takt_fft_plan *p = &f->plan;
    p->size = size;
    p->lines = size / TAKT_FFT_LINE;
    plan_passes(p);
    size_t blocks = (p->lines + TAKT_FFT_LANES - 1) / TAKT_FFT_LANES;
    size_t place = in_lines(size + TAKT_FFT_APART + 1);
    size_t across = blocks * (TAKT_FFT_LANES - 1) * TAKT_FFT_LINE, apart = size / 2;
    size_t floats = 2 * place + across + apart;
    for (int i = 0; i < p->passes; i++)
        floats += pass_floats(&p->pass[i]);
    f->memory = aligned_alloc(CACHE_LINE, floats * sizeof(float));
    if (!f->memory) {
        free(f);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a transform of %zu", size);
    }
    memset(f->memory, 0, floats * sizeof(float));
    float *at = f->memory;
    p->a = at;
    p->b = at += place;
    p->across = at += place;
    fill_across(p, at);
    p->apart = at += across;
    fill_apart(p, at);
    at += apart;
    for (int i = 0; i < p->passes; i++) {
        fill_pass(&p->pass[i], at);
        at += pass_floats(&p->pass[i]);
    }
    *out = f;
    return 0;
}

void takt_fft_destroy(struct takt_fft *f)
{
    if (!f)
        return;
    free(f->memory);
    free(f);
}

void takt_fft_forward(struct takt_fft *f, const float *x, float *bins)
{
    takt_dsp->transforms->forward(&f->plan, bins, x);
}

void takt_fft_inverse(struct takt_fft *f, const float *bins, float *x)
{
    takt_dsp->transforms->inverse(&f->plan, x, bins);
}

size_t takt_fft_size(const struct takt_fft *f)
{
    return f->plan.size;
}
