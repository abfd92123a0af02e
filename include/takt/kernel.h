/*
 * takt/kernel.h - small loops over plain samples, for callbacks: each one line of mathematics, as
 * fast as the machine's vectors go.
 *
 *     takt_scale(b->out[0], b->in[0], 0.8f, b->frames);
 *
 * The version for this processor is chosen once, when the library is loaded; all versions give
 * the same bits as the plain C ones. Any alignment, any n, 0 included.
 * Thread: any. RT: yes (wait-free), O(n), all calls.
 */
#ifndef TAKT_KERNEL_H
#define TAKT_KERNEL_H

#include "takt/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out = in * gain. out may be in. */
TAKT_API void takt_scale(float *out, const float *in, float gain, size_t n);

/* out = in * gain, the gain going straight from `from` (at the first sample) to `to` (at the one
 * after the last), so that a change of gain makes no click. out may be in. */
TAKT_API void takt_scale_ramp(float *out, const float *in, float from, float to, size_t n);

/* out += in * gain. */
TAKT_API void takt_mix(float *out, const float *in, float gain, size_t n);

/* out = in, held within -limit..+limit; NaN becomes 0. out may be in. */
TAKT_API void takt_clamp(float *out, const float *in, float limit, size_t n);

/* The sum of x², of at most 2^20 samples: within 1e-5 of the true sum. 0 for none. */
TAKT_API double takt_sum_squares(const float *x, size_t n);

/* The largest |x|; NaN is passed over. 0 for none. */
TAKT_API float takt_peak(const float *x, size_t n);

/* How many |x| >= limit. */
TAKT_API size_t takt_count_above(const float *x, float limit, size_t n);

/* "plain", "x86-64-v3", …: the version in use. Never NULL. */
TAKT_API const char *takt_kernel_name(void);

#ifdef __cplusplus
}
#endif
#endif
