/*
 * takt/fft.h - the discrete Fourier transform of real sound, of 64 to 65536 samples.
 *
 *     takt_fft_create(&(struct takt_fft_cfg){.size = 2048}, &f, &e);
 *     takt_fft_forward(f, x, bins);               // x[2048] to bins[2050]
 *     float re = bins[2 * k], im = bins[2 * k + 1];   // of the frequency k * rate / 2048
 *
 * Forward: bin k is the sum of x[n] * exp(-2 pi i k n / size), for k = 0..size/2, not scaled: a
 * sine of amplitude 1 at bin k has a magnitude of size/2 there. The bins 0 and size/2 are real.
 * Inverse: what went forward comes back as it was, 1/size included. A taper (takt/taper.h) is
 * multiplied onto x beforehand.
 *
 * Beside a transform in double precision, of noise, sines, impulses and square waves: the error of
 * a bin is at most 1.5e-7 of root(size * sum of x²), which is the magnitude it would have if it
 * held all the power there is, and the errors' root mean square at most 2e-7 of the bins' own. The
 * version for this processor is chosen once, as in takt/kernel.h; all give the same bits.
 */
#ifndef TAKT_FFT_H
#define TAKT_FFT_H

#include "takt/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_fft;

enum { TAKT_FFT_SIZE_MIN = 64, TAKT_FFT_SIZE_MAX = 65536 };

/* A zero field takes its default. */
struct takt_fft_cfg {
    size_t size; /* a power of two, 64..65536; default 2048 */
};

/* Makes its tables and room to work in; the only call that allocates.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_fft_create(const struct takt_fft_cfg *cfg, struct takt_fft **out,
                             struct takt_error *e);

/* Takes NULL. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_fft_destroy(struct takt_fft *f);

/* Shape: x[size], bins[size + 2]: re, im of bin 0, 1, … size/2. Any alignment; bins may be x.
 * Thread: one at a time, as it works in f. RT: yes (wait-free), O(size * log size). */
TAKT_API void takt_fft_forward(struct takt_fft *f, const float *x, float *bins);

/* Shape: bins[size + 2], x[size]. Any alignment; x may be bins. The imaginary parts of bins 0 and
 * size/2 are not looked at. Thread: one at a time. RT: yes (wait-free), O(size * log size). */
TAKT_API void takt_fft_inverse(struct takt_fft *f, const float *bins, float *x);

/* As created. Thread: any. RT: yes. */
TAKT_API size_t takt_fft_size(const struct takt_fft *f);

#ifdef __cplusplus
}
#endif
#endif
