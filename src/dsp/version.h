/*
 * dsp/version.h - the kernels, converters and transforms, once for each kind of processor.
 *
 * kernel_body.c, convert_body.c and fft_body.c are compiled once a kind, with that kind's vectors
 * and the same arithmetic, and each fills a table. All versions give the same bits; plain is the
 * meaning.
 */
#ifndef TAKT_DSP_VERSION_H
#define TAKT_DSP_VERSION_H

#include "dsp/fft.h"
#include "takt/format.h"

#include <stddef.h>
#include <stdint.h>

enum { TAKT_FORMATS = TAKT_U8 + 1, TAKT_GLIDE_BITS = 56 };

/* Where a resampler's next frame out lies, and how it goes on from there. */
struct takt_glide {
    const float *table; /* [2^phase_bits][4][taps] */
    size_t taps;        /* a multiple of 16 */
    int phase_bits;
    uint64_t fraction; /* Q0.56 of an input frame */
    uint64_t step;     /* Q8.56, to the next frame out; */
    int64_t growth;    /* … and so much more to the one behind it */
    size_t window;     /* the input frame where the filter begins */
};

/* What takt/kernel.h promises. RT: yes. */
struct takt_kernels {
    void (*scale)(float *out, const float *in, float gain, size_t n);
    void (*scale_ramp)(float *out, const float *in, float from, float to, size_t n);
    void (*mix)(float *out, const float *in, float gain, size_t n);
    void (*clamp)(float *out, const float *in, float limit, size_t n);
    void (*multiply)(float *out, const float *a, const float *b, size_t n);
    void (*power)(float *out, const float *pairs, size_t n);
    void (*magnitude)(float *out, const float *pairs, size_t n);
    double (*sum)(const float *x, size_t n);
    double (*sum_squares)(const float *x, size_t n);
    float (*peak)(const float *x, size_t n);
    size_t (*count_above)(const float *x, float limit, size_t n);
    void (*interleave)(float *out, const float *const *in, uint32_t channels, size_t frames);
    void (*deinterleave)(float *const *out, const float *in, uint32_t channels, size_t frames);
    /* row[i] = ((rows[3n+i] * x + rows[2n+i]) * x + rows[n+i]) * x + rows[i]. n: a multiple of 16.
     */
    void (*cubic_row)(float *row, const float *rows, float x, size_t n);
    /* The sum of a * b; n as above. The second in doubles. */
    float (*dot)(const float *a, const float *b, size_t n);
    float (*dot_best)(const float *a, const float *b, size_t n);
    /* For each frame, the dot of the input and the row that cubic_row would make there. */
    void (*glide)(struct takt_glide *g, float *out, const float *in, size_t frames);
    void (*glide_best)(struct takt_glide *g, float *out, const float *in, size_t frames);
};

/* Samples in memory lie `stride` samples of their format apart, at any alignment. RT: yes. */
struct takt_converters {
    /* To floats, by format. */
    void (*decode[TAKT_FORMATS])(float *out, const char *in, size_t stride, size_t n);
    /* x * scale to the nearest even integer, within -scale..scale-1; NaN to 0. scale <= 2^23. */
    void (*round)(int32_t *to, const float *in, float scale, size_t n);
    /* The same with triangular noise, a function of key and the samples' numbers from `first`. */
    void (*round_dithered)(int32_t *to, const float *in, float scale, uint32_t key, uint32_t first,
                           size_t n);
    /* The same as round with scale 2^31. */
    void (*round_s32)(int32_t *to, const float *in, size_t n);
    /* What was rounded to memory, by format; floats travel as their bits. */
    void (*store[TAKT_FORMATS])(char *out, size_t stride, const int32_t *from, size_t n);
    /* How many x < low or x > high. */
    size_t (*count_outside)(const float *x, float low, float high, size_t n);
};

struct takt_dsp_version {
    const char *name;
    const struct takt_kernels *kernels;
    const struct takt_converters *converters;
    const struct takt_transforms *transforms;
};

/* Version i of those that this processor can run: plain first, the fastest last, then NULL.
 * RT: no. */
const struct takt_dsp_version *takt_dsp_version(int i);

/* The fastest. Set before main, constant afterwards. Thread: any. RT: yes. */
extern const struct takt_dsp_version *takt_dsp;

#endif
