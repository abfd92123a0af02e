/*
 * dsp/body.h - for the sources that are compiled once for each kind of processor (kernel_body.c,
 * convert_body.c, fft_body.c). The build defines TAKT_KIND.
 *
 * gcc and clang vectorise these loops by themselves, as long as all numbers of a step are of one
 * width and no step waits for the one before. Contraction into fused multiply-add is off in the
 * build: it would give other bits.
 */
#ifndef TAKT_DSP_BODY_H
#define TAKT_DSP_BODY_H

#include "dsp/version.h"

#include <string.h>

#define TAKT_JOIN(a, b)    a##b
#define TAKT_JOINED(a, b)  TAKT_JOIN(a, b)
#define TAKT_OF_KIND(name) TAKT_JOINED(name, TAKT_KIND)

/* Before a loop whose steps do not touch one another's samples: out is in, or lies apart. Without
 * it, compilers check for overlap, and clang takes out == in for the slow case. */
#if defined __clang__
#define TAKT_EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define TAKT_EACH _Pragma("GCC ivdep")
#endif

/* Counts run in int, as wide as the samples, over pieces that cannot overflow it. */
enum { TAKT_COUNT_PIECE = 4096 };

/* A float's bits, and back. */
static inline int32_t takt_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float takt_from_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
