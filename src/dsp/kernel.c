#include "takt/kernel.h"

#include "dsp/kernel_table.h"

/* Set before main, constant afterwards. */
static const struct takt_kernels *in_use = &takt_kernels_plain;

static __attribute__((constructor)) void choose(void)
{
#if defined __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2"))
        in_use = &takt_kernels_v3;
#endif
}

const char *takt_kernel_name(void)
{
    return in_use->name;
}

void takt_scale(float *out, const float *in, float gain, size_t n)
{
    in_use->scale(out, in, gain, n);
}

void takt_scale_ramp(float *out, const float *in, float from, float to, size_t n)
{
    in_use->scale_ramp(out, in, from, to, n);
}

void takt_mix(float *out, const float *in, float gain, size_t n)
{
    in_use->mix(out, in, gain, n);
}

void takt_clamp(float *out, const float *in, float limit, size_t n)
{
    in_use->clamp(out, in, limit, n);
}

double takt_sum_squares(const float *x, size_t n)
{
    return in_use->sum_squares(x, n);
}

float takt_peak(const float *x, size_t n)
{
    return in_use->peak(x, n);
}

size_t takt_count_above(const float *x, float limit, size_t n)
{
    return in_use->count_above(x, limit, n);
}
