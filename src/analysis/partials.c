/*
 * A window of four periods, Hann's, has its zeros where the other partials are, so each partial is
 * heard alone: its phase at the window's centre and its power, whatever frequency was expected.
 * A partial's frequency is the slope of its phase over time, found by least squares with the power
 * as weight, since noise turns a weak phasor further (S. Tretter, "Estimating the frequency of a
 * noisy sinusoid by linear regression", IEEE Trans. Inf. Theory 31, 1985: at a high ratio of signal
 * to noise as good as the bound of Rife and Boorstyn, 1974). Windows overlap; what that means for
 * the variance is reckoned exactly, from the window's autocorrelation.
 *
 * How noisy the phases are is taken from their second differences, which neither a steady nor a
 * slowly gliding frequency shows in.
 *
 * The partials' frequencies then give f1 and B of f_k = k·f0·√(1 + B·k²) by weighted least squares
 * (H. Fletcher, "Normal vibration frequencies of a stiff piano string", JASA 36, 1964). Where they
 * scatter more than their noise explains, that much variance is added to each (R. DerSimonian and
 * N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7, 1986): a real
 * string's partials do, and then no number of them makes the result better than they agree.
 *
 * How far back to look: of the spans whose result lies within the confidence intervals of all
 * shorter ones, the one that is surest, which is the longest as a rule (A. Goldenshluger and A.
 * Nemirovski, "On spatially adaptive estimation of nonparametric regression", Math. Methods of
 * Statistics 6, 1997). So a steady tone is averaged, and a peg that turns is followed.
 *
 * Invariants: the newest `steps` phases lie at at - 1, at - 2, … modulo HISTORY; phases are within
 * -pi..pi and unwrapped against the expected frequencies when they are used, so that these may
 * change at any time.
 */
#include "analysis/partials.h"

#include "analysis/stretch.h"
#include "base/fail.h"
#include "base/touched.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTIALS = 16, HISTORY = 128, LANES = 16, LAGS_MOST = 32 };
static const double pi = 3.14159265358979323846;

static const double hop_s = 512 / 48000.0;
static const double periods = 4;          /* of the note in a window */
static const double highest_hz = 5000;    /* of a partial */
static const double stretch_prior = 1e-3; /* B of strings is seldom more */
static const double trust = 3.5;          /* sigmas that spans may be apart */
static const double least_cents = 0.01;   /* what leaks from partial to partial */
static const double disturbed = 0.3;      /* mean square of the phases' surprise, rad² */
static const double clear_noise =
    0.1; /* rad²: noisier phases cannot be counted from step to step */
static const double first_sigma = 6e-3;   /* of hz, as a share, when a note begins */
static const double first_stretch = 1e-4; /* and of B */
static const double first_noise = 0.02;   /* of phases, rad², before there is any to measure */
static const double first_leak = 3e-5;    /* and of the strongest partial's power in all others */
static const double noise_s = 0.7;        /* how long a look at the noise counts */
static const double loud_look = 9;        /* times the noise so far, which one look may count for */

/* Steps that a span may hold. */
static const int spans[] = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96};
enum { SPANS = sizeof spans / sizeof *spans };

struct partial {
    double expected_hz;
    double noise_sum, noise_count; /* power of the noise in a window, and how many looks that is */
    double power_sum;              /* its own power at these looks */
    double noise;                  /* the same, smoothed over the neighbours */
    double phase[HISTORY], power[HISTORY];
    /* Of the fit over the last spans[i] steps: offset from expected_hz, and its variance without
     * the noise as factor; weight 0: none. */
    double offset_hz[SPANS], variance[SPANS];
    double ahead; /* where the accepted line expects the next phase to be, less expected_hz */
};

struct takt_partials {
    double rate_hz;
    size_t hop, window, window_most;
    int count, lags; /* partials; steps after which windows do not overlap */
    int at, steps;
    double hz, stretch;        /* what is expected */
    double *shape;             /* [window_most], Hann's, of sum 2: a phasor is an amplitude */
    double overlap[LAGS_MOST]; /* correlation of the noise in two windows so many steps apart */
    struct takt_partials_reading now;
    struct partial partial[PARTIALS];
};

/* ---- Making it ------------------------------------------------------------------------------- */

int takt_partials_create(double rate_hz, double low_hz, struct takt_partials **out,
                         struct takt_error *e)
{
    *out = NULL;
    struct takt_partials *p = takt_calloc_touched(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->rate_hz = rate_hz;
    p->hop = 2 * (size_t)lrint(hop_s * rate_hz / 2);
    p->window_most = (size_t)(periods * rate_hz / (0.97 * low_hz)) + 2 * p->hop;
    p->shape = takt_calloc_touched(p->window_most, sizeof *p->shape);
    if (!p->shape) {
        free(p);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    takt_partials_begin(p, 440);
    *out = p;
    return 0;
}

void takt_partials_destroy(struct takt_partials *p)
{
    if (p)
        free(p->shape);
    free(p);
}

size_t takt_partials_hop(const struct takt_partials *p)
{
    return p->hop;
}

size_t takt_partials_window(const struct takt_partials *p)
{
    return p->window;
}

size_t takt_partials_window_most(const struct takt_partials *p)
{
    return p->window_most;
}

double takt_partials_hz(const struct takt_partials *p)
{
    return p->hz;
}

void takt_partials_read(const struct takt_partials *p, struct takt_partials_reading *out)
{
    *out = p->now;
}

/* Of the window with itself, `shift` frames later. */
static double product_of(const struct takt_partials *p, size_t shift)
{
    double sum = 0;
    for (size_t i = 0; i + shift < p->window; i++)
        sum += p->shape[i] * p->shape[i + shift];
    return sum;
}

static void expect(struct takt_partials *p, double hz, double stretch)
{
    p->hz = hz;
    p->stretch = stretch;
    for (int k = 1; k <= PARTIALS; k++)
        p->partial[k - 1].expected_hz = k * hz * sqrt((1 + stretch * k * k) / (1 + stretch));
}

void takt_partials_begin(struct takt_partials *p, double hz)
{
    size_t window = (size_t)lrint(periods * p->rate_hz / hz);
    window = window < 2 * p->hop ? 2 * p->hop : window;
    window = window < p->window_most ? window : p->window_most;
    if (window != p->window) {
        p->window = window;
        for (size_t i = 0; i < window; i++)
            p->shape[i] =
                2 * (1 - cos(2 * pi * ((double)i + 0.5) / (double)window)) / (double)window;
        p->lags = (int)((window + p->hop - 1) / p->hop);
        p->lags = p->lags < LAGS_MOST ? p->lags : LAGS_MOST;
        double norm = product_of(p, 0);
        for (int lag = 0; lag < p->lags; lag++)
            p->overlap[lag] = product_of(p, (size_t)lag * p->hop) / norm;
    }
    double top_hz = fmin(highest_hz, 0.42 * p->rate_hz);
    int count = (int)(top_hz / hz);
    p->count = count < 1 ? 1 : count > PARTIALS ? PARTIALS : count;
    p->at = p->steps = 0;
    p->now = (struct takt_partials_reading){.known = false};
    for (int k = 0; k < PARTIALS; k++)
        p->partial[k].noise_sum = p->partial[k].noise_count = p->partial[k].power_sum = 0;
    expect(p, hz, 0);
}

/* ---- Phasors --------------------------------------------------------------------------------- */

/* The window's product with e^(-jωn) for all partials at once (G. Goertzel, American Mathematical
 * Monthly 65, 1958), turned to the window's centre. */
static void hear(struct takt_partials *p, const float *x)
{
    double twice_cos[LANES], s1[LANES] = {0}, s2[LANES] = {0};
    for (int k = 0; k < LANES; k++)
        twice_cos[k] = 2 * cos(2 * pi * p->partial[k].expected_hz / p->rate_hz);
    for (size_t i = 0; i < p->window; i++) {
        double in = (double)x[i] * p->shape[i];
        for (int k = 0; k < LANES; k++) {
            double s = in + twice_cos[k] * s1[k] - s2[k];
            s2[k] = s1[k];
            s1[k] = s;
        }
    }
    for (int k = 0; k < p->count; k++) {
        struct partial *q = &p->partial[k];
        double w = 2 * pi * q->expected_hz / p->rate_hz;
        double re = s1[k] - s2[k] * cos(w), im = s2[k] * sin(w);
        double turn = w * ((double)p->window - 1) / 2; /* from the last sample back to the centre */
        double phase = atan2(im, re) - turn;
        q->phase[p->at] = remainder(phase, 2 * pi);
        q->power[p->at] = fmax(re * re + im * im, 1e-30);
    }
    p->at = (p->at + 1) % HISTORY;
    p->steps = p->steps < HISTORY ? p->steps + 1 : HISTORY;
}

/* The place of the step that is `back` before the newest. */
static int place(const struct takt_partials *p, int back)
{
    return (p->at - 1 - back + 2 * HISTORY) % HISTORY;
}

/* ---- Noise ----------------------------------------------------------------------------------- */

static double overlap_at(const struct takt_partials *p, int lag)
{
    return lag < p->lags ? p->overlap[lag] : 0;
}

/* One more look at each partial's noise: the second difference of three phases that are half a
 * window and more apart. */
static void look_at_noise(struct takt_partials *p)
{
    int half = (p->lags + 1) / 2;
    if (p->steps <= 2 * half)
        return;
    double r1 = overlap_at(p, half), r2 = overlap_at(p, 2 * half);
    double keep = exp(-hop_s / noise_s);
    int a = place(p, 0), b = place(p, half), c = place(p, 2 * half);
    for (int k = 0; k < p->count; k++) {
        struct partial *q = &p->partial[k];
        double bend = remainder(q->phase[a] - 2 * q->phase[b] + q->phase[c], 2 * pi);
        double x = 1 / sqrt(q->power[a]), y = 1 / sqrt(q->power[b]), z = 1 / sqrt(q->power[c]);
        double of_one = x * x + 4 * y * y + z * z - 4 * r1 * (x * y + y * z) + 2 * r2 * x * z;
        double look = bend * bend / of_one;
        if (q->noise_count > 8) /* a sudden change of pitch is not noise */
            look = fmin(look, loud_look * q->noise_sum / q->noise_count + 1e-12 * q->power[a]);
        q->noise_sum = keep * q->noise_sum + look;
        q->power_sum = keep * q->power_sum + q->power[b];
        q->noise_count = keep * q->noise_count + 1;
    }
}

/* Neighbours share their looks. Those of overlapping windows are not independent; a few of them are
 * no more than one, for which there is a first guess beside them. */
static void smooth_noise(struct takt_partials *p)
{
    static const double share[] = {1, 0.5, 0.25};
    double strongest = 0;
    int a = place(p, 0);
    for (int k = 0; k < p->count; k++)
        strongest = fmax(strongest, p->partial[k].power[a]);
    for (int k = 0; k < p->count; k++) {
        double sum = 0, count = 0;
        for (int j = k - 2; j <= k + 2; j++) {
            if (j < 0 || j >= p->count)
                continue;
            double s = share[abs(j - k)];
            sum += s * p->partial[j].noise_sum;
            count += s * p->partial[j].noise_count;
        }
        double few = count / p->lags < 2 ? 1 - count / p->lags / 2 : 0;
        double own = count > 0 ? sum / count : 0;
        double guess = first_noise * p->partial[k].power[a] + first_leak * strongest;
        p->partial[k].noise = own + few * few * guess;
    }
}

/* ---- One partial's line ---------------------------------------------------------------------- */

struct sums {
    double w, wt, wtt, wy, wty;
};

/* The variance of the slope for noise of power 1: Σ Σ c_i·c_j·overlap, where noise turns the phase
 * of step i by c_i = weight_i·(t_i - mean)/amplitude_i. */
static double slope_variance(const struct takt_partials *p, const double *amplitude, int n,
                             const struct sums *s)
{
    double c[HISTORY], mean = s->wt / s->w, spread = s->wtt - s->wt * mean, all = 0;
    for (int i = 0; i < n; i++)
        c[i] = amplitude[i] * (-i - mean) / spread;
    for (int lag = 0; lag < p->lags && lag < n; lag++) {
        double sum = 0;
        for (int i = lag; i < n; i++)
            sum += c[i] * c[i - lag];
        all += (lag ? 2 : 1) * p->overlap[lag] * sum;
    }
    return all > 0 ? all : 0;
}

/* Fits the line for all spans at once, from the newest step backwards. Times are in steps. */
static void fit_partial(struct takt_partials *p, struct partial *q)
{
    double amplitude[HISTORY], before = 0;
    double step = 2 * pi * q->expected_hz * (double)p->hop / p->rate_hz;
    double per_step_hz = p->rate_hz / (double)p->hop / (2 * pi);
    struct sums s = {0};
    int span = 0;
    for (int i = 0; i < p->steps && span < SPANS; i++) {
        int at = place(p, i);
        double y = q->phase[at] + i * step; /* what is left beside the expected frequency */
        y = i ? before + remainder(y - before, 2 * pi) : remainder(y, 2 * pi);
        before = y;
        double w = q->power[at], t = -i;
        amplitude[i] = sqrt(w);
        s.w += w;
        s.wt += w * t;
        s.wtt += w * t * t;
        s.wy += w * y;
        s.wty += w * t * y;
        if (i + 1 == spans[span]) {
            double mean = s.wt / s.w, slope = (s.wty - mean * s.wy) / (s.wtt - s.wt * mean);
            q->offset_hz[span] = slope * per_step_hz;
            q->variance[span] = slope_variance(p, amplitude, i + 1, &s) * per_step_hz * per_step_hz;
            span++;
        }
    }
}

/* ---- All partials together ------------------------------------------------------------------- */

struct model {
    double log_hz, stretch;            /* of f1 */
    double variance, stretch_variance; /* of log_hz and stretch */
    int used;
};

/* Weighted least squares for (ln f1, B), with B's prior. excess is added to each variance. Returns
 * the weighted sum of squares that is left over, and in *sums what DerSimonian and Laird need. */
static double solve(const struct takt_partials *p, const double *y, const double *variance,
                    double excess, struct model *m, double *spare)
{
    double a = 0, b = 0, c = 1 / (stretch_prior * stretch_prior), u = 0, left = 0;
    double v = (0 - p->stretch) * c, squares = 0, w_sum = 0;
    m->used = 0;
    for (int k = 1; k <= p->count; k++) {
        if (!(variance[k - 1] > 0))
            continue;
        double w = 1 / (variance[k - 1] + excess), g = takt_stretch_slope(p->stretch, k);
        a += w;
        b += w * g;
        c += w * g * g;
        u += w * y[k - 1];
        v += w * g * y[k - 1];
        w_sum += w;
        squares += w * w;
        m->used++;
    }
    if (!m->used)
        return 0;
    double det = a * c - b * b;
    m->log_hz = (c * u - b * v) / det;
    double more = (a * v - b * u) / det;
    m->stretch = p->stretch + more;
    m->variance = c / det;
    m->stretch_variance = a / det;
    for (int k = 1; k <= p->count; k++) {
        if (!(variance[k - 1] > 0))
            continue;
        double r = y[k - 1] - m->log_hz - more * takt_stretch_slope(p->stretch, k);
        left += r * r / (variance[k - 1] + excess);
    }
    *spare = w_sum - squares / w_sum;
    return left;
}

/* Drops the partial that is farthest from the model, when that is far in sigmas and in cents: some
 * other sound is there, or its phase was counted wrong. */
static bool drop_worst(const struct takt_partials *p, const double *y, double *variance,
                       const struct model *m, double excess)
{
    enum { SIGMAS = 6 };
    static const double least_off = 8; /* cents */
    int worst = -1;
    double most = SIGMAS * SIGMAS;
    for (int k = 1; k <= p->count; k++) {
        if (!(variance[k - 1] > 0))
            continue;
        double r =
            y[k - 1] - m->log_hz - (m->stretch - p->stretch) * takt_stretch_slope(p->stretch, k);
        double z = r * r / (variance[k - 1] + excess);
        if (fabs(r) * takt_cents > least_off && z > most) {
            most = z;
            worst = k - 1;
        }
    }
    if (worst >= 0)
        variance[worst] = 0;
    return worst >= 0;
}

/* Variance of its phases, by what it was on the average: one strong look at nothing but noise is no
 * partial. And by what it is now, since it may have died away. */
static double noise_turns(const struct takt_partials *p, const struct partial *q)
{
    double now = q->power[place(p, 0)];
    double mean = q->noise_count > 0 ? q->power_sum / q->noise_count : now;
    return q->noise / fmin(now, mean);
}

/* Can the turns of the k-th partial's phase from step to step be told: is there little noise, and
 * is its frequency known to a fraction of what one turn a step is? */
static bool can_be_counted(const struct takt_partials *p, int k)
{
    const struct partial *q = &p->partial[k - 1];
    static const double fraction = 0.15;
    double share = p->now.known ? p->now.sigma_cents / takt_cents
                   : k > 1      ? first_sigma
                                : first_sigma / 2;
    double bend = takt_stretch_slope(p->stretch, k);
    bend *= p->now.known ? fmin(p->now.stretch_sigma, first_stretch) : first_stretch;
    double off_hz = q->expected_hz * sqrt(share * share + bend * bend);
    return off_hz < fraction * p->rate_hz / (double)p->hop && noise_turns(p, q) < clear_noise;
}

static bool fit_model(const struct takt_partials *p, int span, struct model *m)
{
    double y[PARTIALS], variance[PARTIALS], spare;
    for (int k = 1; k <= p->count; k++) {
        const struct partial *q = &p->partial[k - 1];
        double hz = q->expected_hz + q->offset_hz[span];
        double v = q->variance[span] * q->noise / (hz * hz);
        bool clear = hz > 0 && can_be_counted(p, k);
        y[k - 1] = clear ? log(hz / k) - takt_stretch_bend(p->stretch, k) : 0;
        variance[k - 1] = clear ? v : 0;
    }
    double excess = 0, left = solve(p, y, variance, 0, m, &spare);
    while (m->used > 3 && drop_worst(p, y, variance, m, excess))
        left = solve(p, y, variance, 0, m, &spare);
    int free = m->used - 2;
    if (free > 0 && left > free && spare > 0) {
        excess = (left - free) / spare;
        solve(p, y, variance, excess, m, &spare);
    }
    return m->used > 0;
}

/* ---- How far back ---------------------------------------------------------------------------- */

static void choose(struct takt_partials *p)
{
    double low = -HUGE_VAL, high = HUGE_VAL;
    struct model best = {.used = 0};
    int chosen = -1;
    for (int i = 0; i < SPANS && spans[i] <= p->steps; i++) {
        struct model m;
        if (!fit_model(p, i, &m))
            break;
        double reach = trust * sqrt(m.variance);
        double new_low = fmax(low, m.log_hz - reach), new_high = fmin(high, m.log_hz + reach);
        if (new_low > new_high) {
            /* There the note was another. While windows reach from one to the other, what they say
             * lies between the two. */
            double jump = m.log_hz - best.log_hz;
            if (chosen >= 0 && spans[chosen] <= p->lags)
                best.variance += jump * jump / 9;
            break;
        }
        low = new_low;
        high = new_high;
        if (chosen >= 0 && m.variance > best.variance)
            continue; /* the partials begin to disagree: something happened back there */
        best = m;
        chosen = i;
    }
    p->now.fresh = chosen >= 0;
    if (chosen < 0)
        return;
    p->now.known = true;
    p->now.hz = exp(best.log_hz);
    p->now.sigma_cents = sqrt(best.variance * takt_cents * takt_cents + least_cents * least_cents);
    p->now.stretch = best.stretch;
    p->now.stretch_sigma = sqrt(best.stretch_variance);
    p->now.partials = best.used;
    p->now.span_s = ((spans[chosen] - 1) * (double)p->hop + (double)p->window) / p->rate_hz;
    expect(p, p->now.hz, fmin(fmax(best.stretch, -1e-3), 0.05));
}

int takt_partials_multiple(const struct takt_partials *p)
{
    enum { SEEN = 3 };
    static const double little = 1e-3; /* of the power, for the others */
    for (int m = 2; m <= 3 && p->steps >= SEEN; m++) {
        double all = 0, others = 0;
        for (int k = 1; k <= p->count; k++)
            for (int i = 0; i < SEEN; i++) {
                double power = p->partial[k - 1].power[place(p, i)];
                all += power;
                others += k % m ? power : 0;
            }
        if (others < little * all)
            return m;
    }
    return 1;
}

/* ---- Surprise -------------------------------------------------------------------------------- */

/* Are the newest phases far from those that the last ones foretell? The strong partials count most.
 */
static bool is_surprised(const struct takt_partials *p)
{
    double sum = 0, weight = 0, noise = 0;
    int a = place(p, 0), b = place(p, 1);
    for (int k = 0; k < p->count; k++) {
        const struct partial *q = &p->partial[k];
        double step = 2 * pi * q->expected_hz * (double)p->hop / p->rate_hz;
        double d = remainder(q->phase[a] - q->phase[b] - step, 2 * pi);
        double w = fmin(q->power[a], q->power[b]);
        if (!can_be_counted(p, k + 1))
            continue;
        sum += w * d * d;
        noise += 2 * q->noise; /* of two phases, by the weight */
        weight += w;
    }
    return sum > disturbed * weight + 3 * noise;
}

bool takt_partials_step(struct takt_partials *p, const float *x)
{
    hear(p, x);
    if (p->steps < 2)
        return true;
    if (p->now.known && is_surprised(p))
        return false;
    look_at_noise(p);
    smooth_noise(p);
    for (int k = 0; k < p->count; k++)
        fit_partial(p, &p->partial[k]);
    choose(p);
    return true;
}
