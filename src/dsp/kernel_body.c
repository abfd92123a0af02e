/*
 * The kernels, in plain C. TAKT_KERNELS names the table to fill, TAKT_KERNELS_NAME the processor;
 * the build compiles this file once for each.
 *
 * Sums run in 16 lanes whose order is fixed here, not left to the compiler, so that every version
 * adds the same numbers in the same order and gives the same bits. Contraction into fused
 * multiply-add is off in the build for the same reason.
 */
#include "dsp/kernel_table.h"

#include <math.h>

#ifndef TAKT_KERNELS /* read by itself, as analysers do */
#define TAKT_KERNELS      takt_kernels_plain
#define TAKT_KERNELS_NAME "plain"
#endif

enum { LANES = 16 };

static void scale(float *out, const float *in, float gain, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * gain;
}

static void scale_ramp(float *out, const float *in, float from, float to, size_t n)
{
    float step = n ? (to - from) / (float)n : 0;
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * (from + step * (float)(int)i);
}

static void mix(float *out, const float *in, float gain, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += in[i] * gain;
}

static void clamp(float *out, const float *in, float limit, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = in[i] == in[i] ? in[i] : 0;
        x = x > limit ? limit : x;
        out[i] = x < -limit ? -limit : x;
    }
}

static double sum_squares(const float *x, size_t n)
{
    float lanes[LANES] = {0};
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += x[i + k] * x[i + k];
    for (size_t i = whole; i < n; i++)
        lanes[i - whole] += x[i] * x[i];
    double sum = 0;
    for (size_t k = 0; k < LANES; k++)
        sum += (double)lanes[k];
    return sum;
}

static float peak(const float *x, size_t n)
{
    float lanes[LANES] = {0};
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            float a = fabsf(x[i + k]);
            lanes[k] = a > lanes[k] ? a : lanes[k];
        }
    for (size_t i = whole; i < n; i++) {
        float a = fabsf(x[i]);
        lanes[i - whole] = a > lanes[i - whole] ? a : lanes[i - whole];
    }
    float most = 0;
    for (size_t k = 0; k < LANES; k++)
        most = lanes[k] > most ? lanes[k] : most;
    return most;
}

static size_t count_above(const float *x, float limit, size_t n)
{
    size_t count = 0;
    while (n) {
        /* In pieces, so that the inner count stays a 32-bit one, as wide as the samples. */
        size_t piece = n < 4096 ? n : 4096;
        int inner = 0;
        for (size_t i = 0; i < piece; i++)
            inner += fabsf(x[i]) >= limit;
        count += (size_t)inner;
        x += piece;
        n -= piece;
    }
    return count;
}

const struct takt_kernels TAKT_KERNELS = {
    TAKT_KERNELS_NAME, scale, scale_ramp, mix, clamp, sum_squares, peak, count_above,
};
