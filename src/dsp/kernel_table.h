/*
 * dsp/kernel_table.h - one version of all kernels. kernel_body.c is compiled once for each kind of
 * processor, with that processor's vectors and the same arithmetic, and fills one table.
 */
#ifndef TAKT_DSP_KERNEL_TABLE_H
#define TAKT_DSP_KERNEL_TABLE_H

#include <stddef.h>

struct takt_kernels {
    const char *name;
    void (*scale)(float *out, const float *in, float gain, size_t n);
    void (*scale_ramp)(float *out, const float *in, float from, float to, size_t n);
    void (*mix)(float *out, const float *in, float gain, size_t n);
    void (*clamp)(float *out, const float *in, float limit, size_t n);
    double (*sum_squares)(const float *x, size_t n);
    float (*peak)(const float *x, size_t n);
    size_t (*count_above)(const float *x, float limit, size_t n);
};

extern const struct takt_kernels takt_kernels_plain;
#if defined __x86_64__
extern const struct takt_kernels takt_kernels_v3;
#endif

#endif
