/*
 * The normalised square difference (McLeod and Wyvill 2005, eq. 9):
 *
 *     n(t) = 2 r(t) / m(t),   r(t) = sum x[j] x[j+t],   m(t) = sum x[j]^2 + x[j+t]^2
 *
 * over all j for which both lie in the window. It is 1 where the sound repeats itself exactly after
 * t, and not biased towards short lags. All r come from one power spectrum, padded with zeros so
 * that nothing wraps; m(t) = m(t-1) - x[t-1]^2 - x[size-t]^2.
 */
#include "analysis/pitch_parts.h"
#include "base/assert.h"
#include "dsp/version.h"

#include <math.h>
#include <string.h>

static const float first_share = 0.92f;

/* The sum of a[i] * b[i]; in doubles when exact. */
static double dot(const float *a, const float *b, size_t n, bool exact)
{
    size_t most = n & ~(size_t)15;
    double sum = 0;
    if (most && exact)
        sum = (double)takt_dsp->kernels->dot_best(a, b, most);
    else if (most)
        sum = (double)takt_dsp->kernels->dot(a, b, most);
    for (size_t i = most; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* n(lag) of the `size` samples at x. */
static double nsdf(const float *x, size_t size, size_t lag, bool exact)
{
    size_t pairs = size - lag;
    double m = dot(x, x, pairs, exact) + dot(x + lag, x + lag, pairs, exact);
    return m > 0 ? 2 * dot(x, x + lag, pairs, exact) / m : 0;
}

/* Where the polynomial of fourth order through five points has its top, in steps from the middle
 * one, which is the highest; *top is how high it is there. By Newton, from the parabola's. */
static double top_of(const double *n, double *top)
{
    double a = n[0], b = n[1], c = n[2], d = n[3], f = n[4];
    double c1 = (a - 8 * b + 8 * d - f) / 12, c2 = (-a + 16 * b - 30 * c + 16 * d - f) / 24;
    double c3 = (-a + 2 * b - 2 * d + f) / 12, c4 = (a - 4 * b + 6 * c - 4 * d + f) / 24;
    double bend = b - 2 * c + d, parabola = bend < 0 ? 0.5 * (b - d) / bend : 0, x = parabola;
    for (int i = 0; i < 4; i++) {
        double slope = c1 + x * (2 * c2 + x * (3 * c3 + x * 4 * c4));
        double curve = 2 * c2 + x * (6 * c3 + x * 12 * c4);
        if (!(curve < 0))
            break;
        x -= slope / curve;
    }
    if (!(fabs(x) <= 1))
        x = parabola;
    *top = c + x * (c1 + x * (c2 + x * (c3 + x * c4)));
    return x;
}

double takt_pitch_refine(const float *end, size_t size, double lag, double step, bool exact,
                         double *top)
{
    const float *x = end - size;
    long h = lround(step), at = lround(lag);
    double n[5];
    h = h < 1 ? 1 : h;
    if (at - 3 * h < 1 || (size_t)(at + 5 * h + 16) > size)
        return 0;
    for (int i = 0; i < 5; i++)
        n[i] = nsdf(x, size, (size_t)(at + (i - 2) * h), exact);
    /* The highest is brought to the middle, by some steps. */
    for (int i = 0; i < 8 && (n[1] > n[2] || n[3] > n[2]); i++) {
        bool up = n[3] > n[1];
        at += up ? h : -h;
        if (at - 2 * h < 1 || (size_t)(at + 2 * h + 16) > size)
            return 0;
        memmove(up ? n : n + 1, up ? n + 1 : n, 4 * sizeof *n);
        n[up ? 4 : 0] = nsdf(x, size, (size_t)(up ? at + 2 * h : at - 2 * h), exact);
    }
    if (n[1] > n[2] || n[3] > n[2])
        return 0;
    return (double)at + (double)h * top_of(n, top);
}

void takt_pitch_look_away(struct pitch_view *v)
{
    v->size = 0;
    v->count = v->flat_count = 0;
    v->first = v->clearest = -1;
}

/* Key maxima: the highest between a rise through zero and the next fall through it. */
static void find_peaks(struct pitch_view *v, const float *n, size_t lag_min, size_t lag_max)
{
    size_t t = 1;
    while (t <= lag_max && n[t] > 0)
        t++;
    while (t < lag_max && v->count < PITCH_PEAKS) {
        while (t < lag_max && n[t] <= 0)
            t++;
        size_t at = t;
        for (; t < lag_max && n[t] > 0; t++)
            if (n[t] > n[at])
                at = t;
        if (at < 2 || at >= lag_max || at + 1 < lag_min || n[at] <= n[at - 1] || n[at] < n[at + 1])
            continue;
        double five[5], top;
        for (int i = 0; i < 5; i++)
            five[i] = (double)n[at + (size_t)i - 2];
        double lag = (double)at + top_of(five, &top);
        v->peaks[v->count] = (struct pitch_peak){(float)lag, fminf((float)top, 1)};
        if (v->clearest < 0 || v->peaks[v->count].n > v->peaks[v->clearest].n)
            v->clearest = v->count;
        v->count++;
    }
    for (int i = 0; i < v->count && v->first < 0; i++)
        if (v->peaks[i].n >= first_share * v->peaks[v->clearest].n)
            v->first = i;
}

void takt_pitch_look(struct pitch_view *v, struct takt_fft *fft, const float *end, size_t size,
                     float lag_min, float lag_max, float *work)
{
    float *x = work, *bins = x + PITCH_FFT + 2, *n = bins + PITCH_FFT + 2;
    size_t longest = (size_t)lag_max;
    TAKT_ASSERT(longest + 3 < size && size + longest + 3 <= PITCH_FFT);
    takt_pitch_look_away(v);
    double m = 0;
    memcpy(x, end - size, size * sizeof *x);
    memset(x + size, 0, (PITCH_FFT - size) * sizeof *x);
    m = 2 * dot(x, x, size, false);
    if (!(m > 0))
        return;
    v->size = size;
    takt_fft_forward(fft, x, bins);
    for (size_t i = 0; i <= PITCH_FFT / 2; i++) {
        float power = bins[2 * i] * bins[2 * i] + bins[2 * i + 1] * bins[2 * i + 1];
        bins[2 * i] = power;
        n[2 * i] = sqrtf(power);
        bins[2 * i + 1] = n[2 * i + 1] = 0;
    }
    /* A spectrum of magnitudes and not of powers: no formant outweighs the other harmonics. */
    takt_fft_inverse(fft, n, n);
    float one = n[0] > 0 ? 1 / n[0] : 0;
    v->flat_count = (int)longest + 3;
    for (int i = 0; i < v->flat_count; i++)
        v->flat[i] = n[i] * one;
    takt_fft_inverse(fft, bins, n);
    double least = m * 1e-6;
    for (size_t t = 0; t <= longest + 2; t++) {
        if (t)
            m -= (double)(x[t - 1] * x[t - 1] + x[size - t] * x[size - t]);
        n[t] = m > least ? (float)(2 * (double)n[t] / m) : 0;
    }
    find_peaks(v, n, (size_t)lag_min, longest);
}
