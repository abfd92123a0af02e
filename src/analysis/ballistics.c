/*
 * Every needle is a small recursion that runs at the stream's own rate, so that a burst reads the
 * same wherever it falls.
 *
 * - VU: a needle with a spring and a damper, x'' = w²·(u - x) - 2·z·w·x', driven by the rectified
 *   sound times pi/2, which makes of a sine's mean its top. An overshoot o needs a damping of
 *   z = -ln o / sqrt(pi² + ln² o); w follows from the step response's first passage through 0.99 at
 *   300 ms, w·t = 4.0536. The step from sample to sample is the exact one for an input held
 * between.
 * - PPM: a rectifier charges a capacitor, and a slow leak gives the return. No single capacitor
 * does what the standard's table says of bursts; the mean of two, one quick and one slow, does so
 *   within a third of its tolerances. Their rates were fitted to the table by least squares. A
 *   steady tone of 1 kHz leaves the mean a little below its tops, which a fixed gain makes up for.
 * - K: the mean square through two equal poles; 1 - (1 + a)·exp(-a) = 0.99² at a = w·0.6 s.
 *
 * RMS and correlation add up steps of 10 ms and keep a window's worth of their sums; they are added
 * up anew for each reading, so no rounding stays from what has left the window.
 *
 * Invariants: all state is finite; what is far below every level shown is 0, so that silence never
 * turns into slow denormal arithmetic.
 */
#include "takt/ballistics.h"

#include "analysis/sane.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/level.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { CHANNELS_MAX = 64, STEPS_A_SECOND = 100, PPMS = 3 };

static const double align_dbfs = -18; /* EBU R 68 */
static const double least = 1e-15;    /* -300 dB: far below silence, far above the denormals */
static const double pi = 3.14159265358979323846;

/* The three ways of charging and leaking; BBC and EBU share theirs. */
enum { DIN, NORDIC, TWO };
static const struct ppm_kind {
    double slow_hz, quick_hz; /* 1/s, of charging: e-fold of what is missing */
    double fall_db_s;
    double gain;
} ppm_kinds[PPMS] = {
    [DIN] = {410.1, 1202.5, 20 / 1.5, 1.02498},
    [NORDIC] = {410.1, 1202.5, 20 / 1.7, 1.02337},
    [TWO] = {201.3, 893.9, 24 / 2.8, 1.02766},
};

struct ppm {
    double slow, quick, most;
};

struct channel {
    double vu, vu_speed, vu_most; /* the needle's place, and its speed over w */
    struct ppm ppm[PPMS];
    double k_first, k, k_most; /* mean squares */
    double step_squares;       /* of the step begun */
};

/* The sums of one step of both first channels. */
struct product {
    double ll, rr, lr;
};

struct takt_ballistics {
    uint32_t channels, steps;
    size_t step_frames;                /* of a whole step */
    double vu_pp, vu_pv, vu_vp, vu_vv; /* what place and speed become of place and speed */
    double charge_slow[PPMS], charge_quick[PPMS], leak[PPMS];
    double k_keep;
    uint64_t next; /* position that would be no gap */
    size_t in_step;
    uint32_t at, filled; /* the step to be written next, and how many of the ring are */
    struct product begun, total;
    double least_correlation;
    struct product *products; /* [steps] */
    double *squares;          /* [steps][channels] */
    struct channel channel[];
};

static void set_vu(struct takt_ballistics *b, double rate_hz)
{
    const double overshoot = 0.0125, passage = 4.053574;
    double l = -log(overshoot), z = l / sqrt(pi * pi + l * l);
    double w = passage / 0.3 / rate_hz, d = w * sqrt(1 - z * z);
    double fade = exp(-z * w), c = fade * cos(d), s = fade * sin(d) / sqrt(1 - z * z);
    /* Of the place's distance from where it rests, and of speed / w. */
    b->vu_pp = c + z * s;
    b->vu_pv = s;
    b->vu_vp = -s;
    b->vu_vv = c - z * s;
}

static void set_rates(struct takt_ballistics *b, double rate_hz)
{
    set_vu(b, rate_hz);
    for (int k = 0; k < PPMS; k++) {
        const struct ppm_kind *kind = &ppm_kinds[k];
        b->charge_slow[k] = 1 - exp(-kind->slow_hz / rate_hz);
        b->charge_quick[k] = 1 - exp(-kind->quick_hz / rate_hz);
        b->leak[k] = exp(-0.05 * log(10) * kind->fall_db_s / rate_hz);
    }
    b->k_keep = exp(-5.83979 / 0.6 / rate_hz);
}

int takt_ballistics_create(const struct takt_ballistics_cfg *cfg, struct takt_ballistics **out,
                           struct takt_error *e)
{
    *out = NULL;
    uint32_t channels = cfg->channels ? cfg->channels : 1;
    uint32_t rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    double window_s = cfg->window_s != 0 ? cfg->window_s : 0.3;
    if (channels > CHANNELS_MAX || rate_hz < 8000 || rate_hz > 384000 || !(window_s >= 0.02) ||
        window_s > 10)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "needles for %u channels at %u Hz over %g s: 1 to %d channels, 8000 to "
                         "384000 Hz, 0.02 to 10 s",
                         channels, rate_hz, window_s, CHANNELS_MAX);
    struct takt_ballistics *b = takt_calloc_touched(1, sizeof *b + channels * sizeof *b->channel);
    if (b) {
        b->steps = (uint32_t)lround(window_s * STEPS_A_SECOND);
        b->products = takt_calloc_touched(b->steps, sizeof *b->products);
        b->squares = takt_calloc_touched((size_t)b->steps * channels, sizeof *b->squares);
    }
    if (!b || !b->products || !b->squares) {
        takt_ballistics_destroy(b);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    b->channels = channels;
    b->step_frames = rate_hz / STEPS_A_SECOND;
    b->least_correlation = 1;
    set_rates(b, rate_hz);
    *out = b;
    return 0;
}

void takt_ballistics_destroy(struct takt_ballistics *b)
{
    if (!b)
        return;
    free(b->products);
    free(b->squares);
    free(b);
}

void takt_ballistics_reset(struct takt_ballistics *b)
{
    for (uint32_t c = 0; c < b->channels; c++)
        b->channel[c] = (struct channel){0};
    b->begun = b->total = (struct product){0};
    b->least_correlation = 1;
    b->in_step = b->at = b->filled = 0;
    b->next = 0;
}

/* ---- Sound in -------------------------------------------------------------------------------- */

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static void move_needles(const struct takt_ballistics *b, struct channel *to, const float *x,
                         size_t stride, size_t frames)
{
    struct channel c = *to; /* a copy stays in registers */
    for (size_t i = 0; i < frames; i++) {
        double v = fabs((double)takt_sane(x[i * stride])), square = v * v;
        double away = c.vu - v * (pi / 2), speed = c.vu_speed;
        c.vu += (b->vu_pp - 1) * away + b->vu_pv * speed;
        c.vu_speed = b->vu_vp * away + b->vu_vv * speed;
        c.vu_most = larger(c.vu_most, c.vu);
        for (int k = 0; k < PPMS; k++) {
            struct ppm *p = &c.ppm[k];
            p->slow *= b->leak[k];
            p->quick *= b->leak[k];
            p->slow += b->charge_slow[k] * larger(v - p->slow, 0);
            p->quick += b->charge_quick[k] * larger(v - p->quick, 0);
            p->most = larger(p->most, p->slow + p->quick);
        }
        c.k_first = square + (c.k_first - square) * b->k_keep;
        c.k = c.k_first + (c.k - c.k_first) * b->k_keep;
        c.k_most = larger(c.k_most, c.k);
        c.step_squares += square;
    }
    *to = c;
}

/* The squares of amplitudes below `least` are left to K's own limit. */
static void settle(struct channel *c)
{
    if (fabs(c->vu) < least && fabs(c->vu_speed) < least)
        c->vu = c->vu_speed = 0;
    for (int k = 0; k < PPMS; k++) {
        c->ppm[k].slow = c->ppm[k].slow > least ? c->ppm[k].slow : 0;
        c->ppm[k].quick = c->ppm[k].quick > least ? c->ppm[k].quick : 0;
    }
    c->k_first = c->k_first > least * least ? c->k_first : 0;
    c->k = c->k > least * least ? c->k : 0;
}

static double correlate(const struct product *p)
{
    double both = sqrt(p->ll) * sqrt(p->rr);
    double r = both > least * least ? p->lr / both : 0;
    return r > 1 ? 1 : r < -1 ? -1 : r; /* rounding */
}

static void add_product(struct product *to, const struct product *more)
{
    to->ll += more->ll;
    to->rr += more->rr;
    to->lr += more->lr;
}

/* What the whole steps of the ring come to. */
static struct product sum_window(const struct takt_ballistics *b)
{
    struct product sum = {0};
    for (uint32_t s = 0; s < b->filled; s++)
        add_product(&sum, &b->products[s]);
    return sum;
}

static void end_step(struct takt_ballistics *b)
{
    for (uint32_t c = 0; c < b->channels; c++) {
        b->squares[(size_t)b->at * b->channels + c] = b->channel[c].step_squares;
        b->channel[c].step_squares = 0;
    }
    b->products[b->at] = b->begun;
    add_product(&b->total, &b->begun);
    b->begun = (struct product){0};
    b->at = b->at + 1 == b->steps ? 0 : b->at + 1;
    b->filled = b->filled < b->steps ? b->filled + 1 : b->steps;
    b->in_step = 0;
    if (b->channels > 1 && b->filled == b->steps) {
        struct product sum = sum_window(b);
        double now = correlate(&sum);
        b->least_correlation = now < b->least_correlation ? now : b->least_correlation;
    }
}

static void begin_windows_anew(struct takt_ballistics *b)
{
    add_product(&b->total, &b->begun);
    b->begun = (struct product){0};
    b->in_step = b->at = b->filled = 0;
    for (uint32_t c = 0; c < b->channels; c++)
        b->channel[c].step_squares = 0;
}

static void add_to_begun(struct takt_ballistics *b, const float *l, const float *r, size_t stride,
                         size_t frames)
{
    struct product sum = {0};
    for (size_t i = 0; i < frames; i++) {
        double x = (double)takt_sane(l[i * stride]), y = (double)takt_sane(r[i * stride]);
        sum.ll += x * x;
        sum.rr += y * y;
        sum.lr += x * y;
    }
    add_product(&b->begun, &sum);
}

/* The samples of each channel begin at x[channel] and stand `stride` apart; one frame at least. */
static void process(struct takt_ballistics *b, const float *const *x, size_t stride, size_t frames,
                    uint64_t position)
{
    if (position != b->next)
        begin_windows_anew(b);
    b->next = position + frames;
    for (size_t at = 0, n; at < frames; at += n) {
        n = b->step_frames - b->in_step;
        n = n < frames - at ? n : frames - at;
        for (uint32_t c = 0; c < b->channels; c++)
            move_needles(b, &b->channel[c], x[c] + at * stride, stride, n);
        if (b->channels > 1)
            add_to_begun(b, x[0] + at * stride, x[1] + at * stride, stride, n);
        b->in_step += n;
        if (b->in_step == b->step_frames)
            end_step(b);
    }
    for (uint32_t c = 0; c < b->channels; c++)
        settle(&b->channel[c]);
}

void takt_ballistics_process(struct takt_ballistics *b, const float *x, size_t frames,
                             uint64_t position)
{
    const float *first[CHANNELS_MAX];
    if (!frames)
        return;
    for (uint32_t c = 0; c < b->channels; c++)
        first[c] = x + c;
    process(b, first, b->channels, frames, position);
}

void takt_ballistics_process_planar(struct takt_ballistics *b, const float *const *x, size_t frames,
                                    uint64_t position)
{
    if (frames)
        process(b, x, 1, frames, position);
}

/* ---- Readings out ---------------------------------------------------------------------------- */

/* A mean square as a sine's level: its top is 2 times as much. */
static double sine_dbfs(double mean_square)
{
    return takt_dbfs(sqrt(2 * mean_square));
}

static double window_rms_dbfs(const struct takt_ballistics *b, uint32_t channel)
{
    double squares = b->channel[channel].step_squares;
    size_t frames = b->filled * b->step_frames + b->in_step;
    for (uint32_t s = 0; s < b->filled; s++)
        squares += b->squares[(size_t)s * b->channels + channel];
    return takt_dbfs(frames ? sqrt(squares / (double)frames) : 0);
}

static double ppm_dbfs(int kind, double both)
{
    return takt_dbfs(both / 2 * ppm_kinds[kind].gain);
}

void takt_ballistics_read(const struct takt_ballistics *b, uint32_t channel,
                          struct takt_ballistics_reading *out)
{
    static const struct channel silent;
    bool exists = channel < b->channels;
    const struct channel *c = exists ? &b->channel[channel] : &silent;
    out->rms_dbfs = exists ? window_rms_dbfs(b, channel) : takt_dbfs(0);
    for (int n = 0; n < TAKT_NEEDLES; n++) {
        int kind = n == TAKT_NEEDLE_PPM_DIN ? DIN : n == TAKT_NEEDLE_PPM_NORDIC ? NORDIC : TWO;
        const struct ppm *p = &c->ppm[kind];
        bool is_k = n >= TAKT_NEEDLE_K20, is_vu = n == TAKT_NEEDLE_VU;
        out->dbfs[n] = is_vu  ? takt_dbfs(c->vu)
                       : is_k ? sine_dbfs(c->k)
                              : ppm_dbfs(kind, p->slow + p->quick);
        out->max_dbfs[n] = is_vu  ? takt_dbfs(c->vu_most)
                           : is_k ? sine_dbfs(c->k_most)
                                  : ppm_dbfs(kind, p->most);
    }
}

void takt_ballistics_correlation(const struct takt_ballistics *b, struct takt_correlation *out)
{
    struct product now = sum_window(b), total = b->total;
    add_product(&now, &b->begun);
    add_product(&total, &b->begun);
    out->now = correlate(&now);
    out->total = correlate(&total);
    out->least = b->least_correlation;
}

double takt_needle_mark(enum takt_needle n, double dbfs)
{
    switch (n) {
    case TAKT_NEEDLE_PPM_DIN:
        return dbfs - align_dbfs - 9; /* 0 dB is the permitted maximum, 9 dB above alignment */
    case TAKT_NEEDLE_PPM_BBC:
        return 4 + (dbfs - align_dbfs) / 4; /* 4 dB from mark to mark */
    case TAKT_NEEDLE_K20:
        return dbfs + 20;
    case TAKT_NEEDLE_K14:
        return dbfs + 14;
    case TAKT_NEEDLE_K12:
        return dbfs + 12;
    default:
        return dbfs - align_dbfs;
    }
}

const char *takt_needle_name(enum takt_needle n)
{
    static const char *const names[TAKT_NEEDLES] = {"vu",      "ppm-din", "ppm-nordic", "ppm-bbc",
                                                    "ppm-ebu", "k20",     "k14",        "k12"};
    return (unsigned)n < TAKT_NEEDLES ? names[n] : "unknown";
}
