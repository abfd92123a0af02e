#include "takt/kernel.h"

#include "dsp/version.h"

#include <string.h>

const char *takt_kernel_name(void)
{
    return takt_dsp->name;
}

void takt_silence(float *out, size_t n)
{
    if (n)
        memset(out, 0, n * sizeof *out);
}

void takt_copy(float *out, const float *in, size_t n)
{
    if (n)
        memmove(out, in, n * sizeof *out);
}

void takt_scale(float *out, const float *in, float gain, size_t n)
{
    takt_dsp->kernels->scale(out, in, gain, n);
}

void takt_scale_ramp(float *out, const float *in, float from, float to, size_t n)
{
    takt_dsp->kernels->scale_ramp(out, in, from, to, n);
}

void takt_mix(float *out, const float *in, float gain, size_t n)
{
    takt_dsp->kernels->mix(out, in, gain, n);
}

void takt_clamp(float *out, const float *in, float limit, size_t n)
{
    takt_dsp->kernels->clamp(out, in, limit, n);
}

void takt_multiply(float *out, const float *a, const float *b, size_t n)
{
    takt_dsp->kernels->multiply(out, a, b, n);
}

void takt_power(float *out, const float *pairs, size_t n)
{
    takt_dsp->kernels->power(out, pairs, n);
}

void takt_magnitude(float *out, const float *pairs, size_t n)
{
    takt_dsp->kernels->magnitude(out, pairs, n);
}

double takt_sum(const float *x, size_t n)
{
    return takt_dsp->kernels->sum(x, n);
}

double takt_sum_squares(const float *x, size_t n)
{
    return takt_dsp->kernels->sum_squares(x, n);
}

float takt_peak(const float *x, size_t n)
{
    return takt_dsp->kernels->peak(x, n);
}

size_t takt_count_above(const float *x, float limit, size_t n)
{
    return takt_dsp->kernels->count_above(x, limit, n);
}

void takt_interleave(float *out, const float *const *in, uint32_t channels, size_t frames)
{
    takt_dsp->kernels->interleave(out, in, channels, frames);
}

void takt_deinterleave(float *const *out, const float *in, uint32_t channels, size_t frames)
{
    takt_dsp->kernels->deinterleave(out, in, channels, frames);
}
