/*
 * A lattice. f is the sound less what is predicted from the samples before, b less what is
 * predicted from those behind; both begin as the sound itself. Each stage m = 1, 2, … takes the k
 * that leaves least of both, with L the lag and w a weight,
 *
 *     k = 2 * sum w f[n] b[n-L] / sum w (f[n]^2 + b[n-L]^2),   n = mL..frames-1
 *     f'[n] = f[n] - k b[n-L],   b'[n] = b[n-L] - k f[n]
 *
 * and with it the filter grows by one coefficient, after Levinson and Durbin:
 *
 *     c'[m] = k,   c'[i] = c[i] - k c[m-i],   i = 1..m-1
 *
 * |k| is at most 1 by its formula, and is held below 1 against rounding: so all poles lie within
 * the unit circle. The weights are a parabola over the pairs of a stage, which finds tones more
 * truly than equal ones, whatever phase the window cuts them at: M. Kaveh and G. A. Lippert, "An
 * optimum tapered Burg algorithm for linear prediction and spectral analysis" (IEEE Trans. ASSP 31,
 * 1983).
 *
 * f and b are kept so that f[i] and b[i] are what is multiplied next: the shift by the lag is made
 * as f is written back. The sums are made in the same pass.
 */
#include "net/burg.h"

#include "base/assert.h"

#include <string.h>

enum { LANES = 4, PIECE = 64 * LANES };

static const double k_most = 0.9999999;
static const double silence = 1e-18;  /* a mean square: -180 dB of full scale */
static const double rounding = 1e-14; /* what is left of a sound when only floats' rounding is */

typedef float lanes __attribute__((vector_size(4 * LANES)));

struct sums {
    double products, squares;
};

static inline lanes lanes_at(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static double add_up(lanes v)
{
    return ((double)v[0] + (double)v[2]) + ((double)v[1] + (double)v[3]);
}

/* The weight of the i-th of so many pairs. */
static float weight_of(uint32_t i, uint32_t pairs)
{
    return (float)(i + 1) * (float)(pairs - i);
}

/* One stage, and the sums for the next, which has so many pairs. */
static struct sums reflect(float *f, float *b, float k, uint32_t lag, uint32_t pairs)
{
    struct sums s = {0};
    uint32_t i = 0;
    lanes up = {1, 2, 3, 4}, down = (float)(pairs + 1) - up;
    while (i + LANES <= pairs) {
        lanes products = {0}, f_squares = {0}, b_squares = {0};
        for (uint32_t end = i + PIECE; i < end && i + LANES <= pairs; i += LANES) {
            lanes f_new = lanes_at(f + i + lag) - k * lanes_at(b + i + lag);
            lanes b_new = lanes_at(b + i) - k * lanes_at(f + i);
            lanes weight = up * down, f_weighted = weight * f_new;
            memcpy(f + i, &f_new, sizeof f_new);
            memcpy(b + i, &b_new, sizeof b_new);
            products += f_weighted * b_new;
            f_squares += f_weighted * f_new;
            b_squares += weight * b_new * b_new;
            up += LANES;
            down -= LANES;
        }
        s.products += add_up(products);
        s.squares += add_up(f_squares) + add_up(b_squares);
    }
    for (; i < pairs; i++) {
        float f_new = f[i + lag] - k * b[i + lag], b_new = b[i] - k * f[i];
        float weight = weight_of(i, pairs);
        f[i] = f_new;
        b[i] = b_new;
        s.products += (double)(weight * f_new * b_new);
        s.squares += (double)(weight * (f_new * f_new + b_new * b_new));
    }
    /* So that they mean the same however many there are: the weights' largest is 1. */
    double scale = 4 / ((double)(pairs + 1) * (double)(pairs + 1));
    return (struct sums){s.products * scale, s.squares * scale};
}

/* c[0..m) predicts from the m samples before, the nearest first; makes it one longer. */
static void lengthen(double *c, uint32_t m, double k)
{
    c[m] = k;
    for (uint32_t i = 0, j = m; i < j--; i++) {
        double near = c[i], far = c[j];
        c[i] = near - k * far;
        if (i < j)
            c[j] = far - k * near;
    }
}

bool takt_burg(float *x, float *scratch, uint32_t frames, uint32_t lag, uint32_t order, float *c)
{
    TAKT_ASSERT(order >= 1 && order <= TAKT_BURG_ORDER_MOST && lag >= 1);
    TAKT_ASSERT((uint64_t)lag * order < frames);
    double grown[TAKT_BURG_ORDER_MOST] = {0};
    uint32_t pairs = frames - lag;
    memcpy(scratch, x, frames * sizeof *x);
    struct sums s = reflect(x, scratch, 0, lag, pairs);
    bool is_sound = s.squares > silence * pairs;
    double least = s.squares * rounding;
    for (uint32_t m = 0; is_sound && m < order && s.squares > least; m++) {
        double k = 2 * s.products / s.squares;
        float held = (float)(k > k_most ? k_most : k < -k_most ? -k_most : k);
        lengthen(grown, m, (double)held);
        if (m + 1 == order)
            break;
        pairs -= lag;
        s = reflect(x, scratch, held, lag, pairs);
    }
    for (uint32_t i = 0; i < order; i++)
        c[order - 1 - i] = (float)grown[i];
    return is_sound;
}
