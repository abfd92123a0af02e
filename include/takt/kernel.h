/*
 * takt/kernel.h - small loops over plain samples, for callbacks: each one line of mathematics, as
 * fast as the machine's vectors go.
 *
 *     takt_scale(b->out[0], b->in[0], 0.8f, b->frames);
 *
 * The version for this processor is chosen once, when the library is loaded; all versions give
 * the same bits as the plain C ones. Any alignment, any n, 0 included. Where out may be in, it
 * may not overlap it in any other way.
 * Thread: any. RT: yes (wait-free), O(n), all calls.
 */
#ifndef TAKT_KERNEL_H
#define TAKT_KERNEL_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out = 0. */
TAKT_API void takt_silence(float *out, size_t n);

/* out = in. out may overlap in. */
TAKT_API void takt_copy(float *out, const float *in, size_t n);

/* out = in * gain. out may be in. */
TAKT_API void takt_scale(float *out, const float *in, float gain, size_t n);

/* out = in * gain, the gain going straight from `from` (at the first sample) to `to` (at the one
 * after the last), so that a change of gain makes no click. n <= 2^24. out may be in. */
TAKT_API void takt_scale_ramp(float *out, const float *in, float from, float to, size_t n);

/* out += in * gain. out may be in. */
TAKT_API void takt_mix(float *out, const float *in, float gain, size_t n);

/* out = in, held within -limit..+limit; NaN becomes 0. out may be in. */
TAKT_API void takt_clamp(float *out, const float *in, float limit, size_t n);

/* out = a * b, each with each. out may be a or b. */
TAKT_API void takt_multiply(float *out, const float *a, const float *b, size_t n);

/* Of n complex numbers in pairs, as takt/fft.h has them: re² + im², and its root.
 * Shape: pairs[2 * n], out[n]; they lie apart. */
TAKT_API void takt_power(float *out, const float *pairs, size_t n);
TAKT_API void takt_magnitude(float *out, const float *pairs, size_t n);

/* The sum of x, within 1e-5 of the sum of |x|. 0 for none. */
TAKT_API double takt_sum(const float *x, size_t n);

/* The sum of x², within 1e-5 of it, for |x| below 1e18; NaN and infinity come through. 0 for none.
 * A double, so that what is added up over hours stays true to the last block. */
TAKT_API double takt_sum_squares(const float *x, size_t n);

/* The largest |x|; NaN is passed over. 0 for none. */
TAKT_API float takt_peak(const float *x, size_t n);

/* How many |x| >= limit; NaN is none of them. */
TAKT_API size_t takt_count_above(const float *x, float limit, size_t n);

/* Planes to frames and back. Shape: out[frames * channels], in[channels][frames]; back:
 * out[channels] [frames], in[frames * channels]. Planes and frames lie apart. channels >= 1. */
TAKT_API void takt_interleave(float *out, const float *const *in, uint32_t channels, size_t frames);
TAKT_API void takt_deinterleave(float *const *out, const float *in, uint32_t channels,
                                size_t frames);

/* "plain" or the vectors in use, "avx2". Never NULL. */
TAKT_API const char *takt_kernel_name(void);

#ifdef __cplusplus
}
#endif
#endif
