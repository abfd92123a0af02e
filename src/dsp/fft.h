/*
 * dsp/fft.h - what fft.c plans and fft_body.c does.
 *
 * A real transform of N is a complex one of M = N/2, whose numbers are the pairs of neighbours, and
 * a pass that takes the two real sequences' spectra apart again (Cooley, Lewis and Welch 1970). The
 * complex one is TAKT_FFT_LANES transforms of M / TAKT_FFT_LANES = `lines`, side by side in the
 * lanes of vectors, and a last pass across the lanes (Bailey's four steps, 1990). A line is one
 * complex number of each lane: 8 real parts, then 8 imaginary ones.
 */
#ifndef TAKT_DSP_FFT_H
#define TAKT_DSP_FFT_H

#include <stddef.h>

enum {
    TAKT_FFT_LANES = 8,
    TAKT_FFT_LINE = 2 * TAKT_FFT_LANES, /* floats */
    TAKT_FFT_PASSES = 4,                /* the most down the lanes: 4096 lines by 8 each */
    TAKT_FFT_APART = 48 /* floats between the real and the imaginary parts of a whole spectrum */
};

struct takt_fft_pass {
    size_t radix;   /* 4 or 8 */
    size_t count;   /* the length that is still to do, over radix: w is w(count * radix) */
    size_t stride;  /* the product of the radices before: so many transforms lie side by side */
    const float *w; /* [count][radix - 1][re, im]: w^(p * 1), w^(p * 2), … */
};

struct takt_fft_plan {
    size_t size, lines;
    int passes;
    struct takt_fft_pass pass[TAKT_FFT_PASSES];
    const float *across; /* [lines / 8][7] lines: w(M)^(lane * k), 8 k in a vector */
    const float *apart;  /* [M / 16] lines: -i/2 * w(N)^k */
    float *a, *b;        /* two places for M numbers each; all passes go from one to the other */
};

struct takt_transforms {
    /* RT: yes. What they promise: takt/fft.h. */
    void (*forward)(const struct takt_fft_plan *p, float *bins, const float *x);
    void (*inverse)(const struct takt_fft_plan *p, float *x, const float *bins);
};

#endif
