/*
 * net/burg.h - how a sound goes on by what it was: the filter that predicts each sample from those
 * before it, by the method of J. P. Burg, "Maximum Entropy Spectral Analysis" (dissertation,
 * Stanford 1975).
 *
 *     takt_burg(x, scratch, frames, lag, order, c);
 *     next = sum of c[j] * x[frames - lag * (order - j)];     // j = 0..order-1
 *
 * Unlike autocorrelation it takes nothing for granted outside the window, so that two periods of a
 * tone are enough to find it; and its filter never grows by itself.
 *
 * With a lag of 4 each sample is predicted from every fourth one before it: a filter of as many
 * coefficients looks back four times as far, which tells a chord's partials and a voice's pulses
 * apart. What is one sum of tones stays one when only every fourth sample is looked at, so nothing
 * has to be filtered away before.
 */
#ifndef TAKT_NET_BURG_H
#define TAKT_NET_BURG_H

#include <stdbool.h>
#include <stdint.h>

enum { TAKT_BURG_ORDER_MOST = 128 };

/* Finds c[order] from x[frames]. False where there is nothing to predict from, digital silence or
 * nearly so; c is all 0 then.
 * Shape: x and scratch [frames], both used up; c[order], the newest sample's last.
 * x finite and within 1e6; lag >= 1; order 1..TAKT_BURG_ORDER_MOST; lag * order < frames <= 2^16.
 * Thread: any. RT: yes (wait-free), O(frames * order). */
bool takt_burg(float *x, float *scratch, uint32_t frames, uint32_t lag, uint32_t order, float *c);

#endif
