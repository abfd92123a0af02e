/* Each curve as a function of where it is, -1..1 from edge to edge with the middle at 0. */
#include "takt/taper.h"

#include <math.h>

static const double pi = 3.14159265358979323846;
static const double kaiser_default = 9.42477796076937971539, gauss_default = 0.4;

static const char *const names[] = {"hann",     "hamming", "blackman", "blackman-harris",
                                    "flat-top", "kaiser",  "gauss",    "rect"};

/* The factors of cos(k pi x). Those of one kind add up to 1, but for the flat top's, by 5e-9. */
static const double cosines[][5] = {
    [TAKT_TAPER_HANN] = {0.5, 0.5},
    [TAKT_TAPER_HAMMING] = {0.54, 0.46},
    [TAKT_TAPER_BLACKMAN] = {0.42, 0.5, 0.08},
    [TAKT_TAPER_BLACKMAN_HARRIS] = {0.35875, 0.48829, 0.14128, 0.01168},
    [TAKT_TAPER_FLAT_TOP] = {0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368},
};

/* The modified Bessel function of order 0, by its series: all terms are positive. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; term > sum * 1e-17; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

static double curve(enum takt_taper kind, double shape, double x)
{
    if (kind == TAKT_TAPER_RECT)
        return 1;
    if (kind == TAKT_TAPER_GAUSS)
        return exp(-0.5 * (x / shape) * (x / shape));
    if (kind == TAKT_TAPER_KAISER)
        return bessel(shape * sqrt(fmax(0, 1 - x * x))) / bessel(shape);
    double sum = 0;
    for (int k = 4; k >= 0; k--)
        sum += cosines[kind][k] * cos(k * pi * x);
    return sum;
}

int takt_taper_fill(const struct takt_taper_cfg *cfg, float *w, size_t size,
                    struct takt_taper_facts *facts)
{
    enum takt_taper kind = cfg->kind;
    double shape = cfg->shape, sum = 0, squares = 0;
    if (!takt_taper_name(kind) || size < 2)
        return TAKT_ERR_ARG;
    if (shape == 0)
        shape = kind == TAKT_TAPER_KAISER ? kaiser_default : gauss_default;
    if ((kind == TAKT_TAPER_KAISER && !(shape >= 0 && shape <= 50)) ||
        (kind == TAKT_TAPER_GAUSS && !(shape >= 0.05 && shape <= 10)))
        return TAKT_ERR_ARG;
    for (size_t i = 0; i < size; i++) {
        w[i] = (float)curve(kind, shape, 2 * (double)i / (double)size - 1);
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    if (facts) {
        facts->gain = sum / (double)size;
        facts->power = squares / (double)size;
        facts->enbw_bins = facts->power / (facts->gain * facts->gain);
    }
    return 0;
}

const char *takt_taper_name(enum takt_taper kind)
{
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : NULL;
}
