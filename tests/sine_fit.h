/*
 * tests/sine_fit.h - how much of a signal is the sine that it should be.
 *
 *     sine_fit_add(&f, 2 * pi * hz * t, sample);    // for each sample, at the angle it should have
 *     sine_fit_snr_db(&f);
 *
 * The sine's amplitude and phase and a constant are fitted by least squares; what is left over is
 * noise and distortion, so this is the inverse of THD+N. Only sums are kept, in long doubles: the
 * left-over is their difference, good down to some -170 dB.
 */
#ifndef TAKT_TESTS_SINE_FIT_H
#define TAKT_TESTS_SINE_FIT_H

#include <math.h>

struct sine_fit {
    long double products[3][3], with[3], squares;
};

static inline void sine_fit_add(struct sine_fit *f, double angle, double sample)
{
    const long double basis[3] = {(long double)sin(angle), (long double)cos(angle), 1};
    for (int i = 0; i < 3; i++) {
        f->with[i] += basis[i] * (long double)sample;
        for (int j = 0; j < 3; j++)
            f->products[i][j] += basis[i] * basis[j];
    }
    f->squares += (long double)sample * (long double)sample;
}

static inline double sine_fit_snr_db(const struct sine_fit *f)
{
    long double a[3][4], x[3], fitted = 0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            a[i][j] = f->products[i][j];
        a[i][3] = f->with[i];
    }
    for (int i = 0; i < 3; i++)
        for (int k = i + 1; k < 3; k++)
            for (int j = 3; j >= i; j--)
                a[k][j] -= a[k][i] / a[i][i] * a[i][j];
    for (int i = 2; i >= 0; i--) {
        x[i] = a[i][3];
        for (int j = i + 1; j < 3; j++)
            x[i] -= a[i][j] * x[j];
        x[i] /= a[i][i];
        fitted += x[i] * f->with[i];
    }
    return (double)(10 * log10l(fitted / (f->squares - fitted)));
}

#endif
