/*
 * analysis/pitch_parts.h - what pitch.c and pitch_*.c share.
 */
#ifndef TAKT_ANALYSIS_PITCH_PARTS_H
#define TAKT_ANALYSIS_PITCH_PARTS_H

#include "takt/fft.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PITCH_BANDS = 4,  /* each of half the rate of the one before */
    PITCH_FFT = 2048, /* window + longest lag fit in, so that the correlation does not wrap */
    PITCH_PEAKS = 48, /* the most that a window keeps */
    PITCH_WORK = 3 * (PITCH_FFT + 2), /* floats to work in */
    PITCH_HALFBAND = 31               /* taps of the filter before a rate is halved */
};

/* A rate halved: a windowed sinc, of which all even taps but the middle are 0. */
struct pitch_half {
    float past[2 * PITCH_HALFBAND];
    unsigned at;
    bool odd;
};

/* A top of the normalised square difference. */
struct pitch_peak {
    float lag; /* in samples of the window's band */
    float n;   /* its height, at most 1 */
};

/* What a window's autocorrelation shows. */
struct pitch_view {
    size_t size; /* how much of the past it is of, samples of its band; 0: nothing */
    struct pitch_peak peaks[PITCH_PEAKS];
    int count;
    int first;                 /* the peak that is the period by McLeod's rule; -1: none */
    int clearest;              /* the highest peak; -1: none */
    float flat[PITCH_FFT / 2]; /* by lag: the autocorrelation of the flattened spectrum, 1 at 0 */
    int flat_count;
};

/* Nothing to be seen. RT: yes. */
void takt_pitch_look_away(struct pitch_view *v);

/* Finds the peaks of the last `size` samples before `end`, for lags of lag_min to lag_max.
 * work: PITCH_WORK floats. RT: yes. */
void takt_pitch_look(struct pitch_view *v, struct takt_fft *fft, const float *end, size_t size,
                     float lag_min, float lag_max, float *work);

/* The lag near `lag` at which n of the last `size` samples before `end` has a top, from five lags
 * that lie `step` apart, and that top in *top; in doubles when exact. 0 when there is none. RT:
 * yes. */
double takt_pitch_refine(const float *end, size_t size, double lag, double step, bool exact,
                         double *top);

#endif
