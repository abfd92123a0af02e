/*
 * One long spectrum, under Gauss's curve, since then each partial is a parabola of the logarithm,
 * also while it dies away, and its frequency the parabola's top.
 *
 * A string is ln f1 and B of f_k = k·f0·√(1 + B·k²), with their covariance. Each partial that is
 * measured narrows them, by Kalman's filter; so the higher ones, which tell more, are looked for
 * only where they can be. A peak is taken for a string's partial only
 *   - when it alone lies in the range where that partial can be,
 *   - when no partial of another string can lie within the resolution of it: of one that is known,
 *     where it is; of one that is not, anywhere within half a semitone.
 * So the lowest strings are found by their first partials, and with them known more room is left
 * for the others; some rounds of this find all that can be found.
 *
 * Invariants: `heard` frames since the onset are kept in past[], decimated by `thin`.
 */
#include "takt/strum.h"

#include "analysis/sane.h"
#include "analysis/stretch.h"
#include "base/fail.h"
#include "takt/fft.h"
#include "takt/kernel.h"
#include "takt/taper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTIALS = 16, OTHERS = 40, PEAKS = 1024, ROUNDS_MAX = 5, RECENT = 28 };

static const double window_s = 1.365; /* or near it */
static const double begin_s =
    0.165; /* after the onset: all strings were struck, the picks are over */
static const double highest_hz = 2600;
static const double reach_cents = 50; /* how far a string may be off */
static const double apart = 3.55;     /* resolution, over the window's length */
static const double usual_stretch = 7e-5, stretch_spread = 5e-5; /* B, before it is known */
static const double least_stretch = -1.2e-4, most_stretch = 3e-4;
static const double partial_cents = 0.3;  /* by which a partial is off from the model */
static const double seed_cents = 1;       /* and the one that a string is found by */
static const double faintest = 3e-4;      /* peaks, of the strongest */
static const double least_over_floor = 6; /* and of what lies around */
static const double onset_rise = 3, block_s = 512 / 96000.0; /* over RECENT blocks: chords beat */

struct peak {
    double hz, strength, over_floor;
};

struct string {
    double target_hz;
    bool known, silent;                /* silent: it is not there, and in nobody's way */
    double log_hz, stretch;            /* of f1 */
    double var_log, var_stretch, both; /* their covariance */
    double left;                       /* squares of what each partial was off, by its variance */
    int partials;
    double support;
};

struct takt_strum {
    double rate_hz, a4_hz, faster;
    struct takt_tuning tuning;
    struct takt_fft *fft;
    float *taper, *past, *bins;
    double *magnitude;
    size_t size; /* of the window */
    double resolution_hz;
    int thin; /* frames that make one sample */
    /* Frames. */
    uint64_t position, onset;
    bool begun, listens;
    size_t wait, filled; /* frames until the window begins; samples in it */
    double thin_sum;
    int thin_count;
    /* Onsets. */
    size_t block, block_at;
    double energy, recent[RECENT];
    int recent_at;
    /* The last strum's. */
    struct string string[TAKT_STRINGS_MAX];
    int order[TAKT_STRINGS_MAX]; /* from the lowest */
    struct peak peak[PEAKS];
    int peaks;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int refuse(const struct takt_strum_cfg *cfg, struct takt_error *e)
{
    if (cfg->rate_hz && (cfg->rate_hz < 8000 || cfg->rate_hz > 192000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a strum at %u Hz: 8000 to 192000", cfg->rate_hz);
    if (cfg->a4_hz != 0 && !(cfg->a4_hz >= 380 && cfg->a4_hz <= 480))
        return takt_fail(e, TAKT_ERR_ARG, 0, "A4 of %g Hz: 380 to 480", cfg->a4_hz);
    if (!(fabs(cfg->clock_ppm) <= 1000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a clock of %g ppm: -1000 to 1000", cfg->clock_ppm);
    if (!cfg->tuning || cfg->tuning->count < 1 || cfg->tuning->count > TAKT_STRINGS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a strum needs a tuning of 1 to %d strings",
                         TAKT_STRINGS_MAX);
    return 0;
}

/* The window's size, and how many frames make a sample of it. */
static void choose_size(struct takt_strum *s)
{
    double rate_hz = s->rate_hz;
    s->thin = (int)ceil(rate_hz / 54000);
    rate_hz /= s->thin;
    s->size = TAKT_FFT_SIZE_MAX;
    while ((double)s->size / rate_hz > window_s * sqrt(2))
        s->size /= 2;
    s->resolution_hz = apart * rate_hz / (double)s->size;
}

static void sort_strings(struct takt_strum *s)
{
    for (int i = 0; i < s->tuning.count; i++) {
        int at = i;
        for (; at > 0 && s->tuning.note[s->order[at - 1]] > s->tuning.note[i]; at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = i;
    }
}

int takt_strum_create(const struct takt_strum_cfg *cfg, struct takt_strum **out,
                      struct takt_error *e)
{
    *out = NULL;
    int err = refuse(cfg, e);
    if (err < 0)
        return err;
    struct takt_strum *s = calloc(1, sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    s->rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    s->a4_hz = cfg->a4_hz != 0 ? cfg->a4_hz : 440;
    s->faster = 1 + cfg->clock_ppm * 1e-6;
    s->tuning = *cfg->tuning;
    s->block = (size_t)(block_s * s->rate_hz);
    choose_size(s);
    sort_strings(s);
    s->taper = calloc(s->size, sizeof *s->taper);
    s->past = calloc(s->size, sizeof *s->past);
    s->bins = calloc(s->size + 2, sizeof *s->bins);
    s->magnitude = calloc(s->size / 2 + 1, sizeof *s->magnitude);
    if (!s->taper || !s->past || !s->bins || !s->magnitude)
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    if (err == 0)
        err = takt_fft_create(&(struct takt_fft_cfg){.size = s->size}, &s->fft, e);
    if (err < 0) {
        takt_strum_destroy(s);
        return err;
    }
    takt_taper_fill(&(struct takt_taper_cfg){.kind = TAKT_TAPER_GAUSS, .shape = 0.28}, s->taper,
                    s->size, NULL);
    *out = s;
    return 0;
}

void takt_strum_destroy(struct takt_strum *s)
{
    if (!s)
        return;
    takt_fft_destroy(s->fft);
    free(s->taper);
    free(s->past);
    free(s->bins);
    free(s->magnitude);
    free(s);
}

void takt_strum_reset(struct takt_strum *s)
{
    s->begun = s->listens = false;
    s->block_at = 0;
    s->energy = 0;
    memset(s->recent, 0, sizeof s->recent);
}

/* ---- Peaks ----------------------------------------------------------------------------------- */

/* The least mean of ten bins around: what lies beneath the peak at `at`. */
static double floor_around(const double *magnitude, int at, int last)
{
    enum { AROUND = 60, TEN = 10 };
    double least = HUGE_VAL;
    for (int d = -AROUND; d <= AROUND; d += TEN) {
        double sum = 0;
        int count = 0;
        for (int i = at + d; i < at + d + TEN; i++)
            if (i > 0 && i < last) {
                sum += magnitude[i];
                count++;
            }
        if (count == TEN)
            least = fmin(least, sum / TEN);
    }
    return least;
}

static void find_peaks(struct takt_strum *s)
{
    double per_bin = s->rate_hz / s->thin / (double)s->size, strongest = 0;
    int last = (int)fmin(1.05 * highest_hz / per_bin, (double)s->size / 2 - 2);
    takt_multiply(s->past, s->past, s->taper, s->size);
    takt_fft_forward(s->fft, s->past, s->bins);
    for (int i = 0; i <= last + 1; i++) {
        double re = (double)s->bins[2 * i], im = (double)s->bins[2 * i + 1];
        s->magnitude[i] = sqrt(re * re + im * im) + 1e-12;
        strongest = fmax(strongest, s->magnitude[i]);
    }
    s->peaks = 0;
    for (int i = (int)(20 / per_bin); i <= last && s->peaks < PEAKS; i++) {
        const double *m = s->magnitude + i;
        if (!(m[0] > m[-1] && m[0] >= m[1]) || m[0] < faintest * strongest)
            continue;
        double over = m[0] / floor_around(s->magnitude, i, last);
        if (over < least_over_floor)
            continue;
        double a = log(m[-1]), b = log(m[0]), c = log(m[1]), top = 0.5 * (a - c) / (a - 2 * b + c);
        s->peak[s->peaks++] = (struct peak){(i + top) * per_bin, m[0], over};
    }
}

/* ---- Where partials can be ------------------------------------------------------------------- */

static double partial_hz(const struct string *q, int k)
{
    return k * exp(q->log_hz + takt_stretch_bend(q->stretch, k));
}

static void range_of(const struct string *q, int k, double *low_hz, double *high_hz)
{
    if (!q->known) {
        double reach = reach_cents / takt_cents;
        *low_hz = k * q->target_hz * exp(-reach);
        *high_hz = k * q->target_hz *
                   exp(reach + takt_stretch_bend(usual_stretch + 2 * stretch_spread, k));
        return;
    }
    double g = takt_stretch_slope(q->stretch, k);
    double variance = q->var_log + 2 * g * q->both + g * g * q->var_stretch;
    double d = 3.5 * sqrt(fmax(variance, 0)) + 0.4 / takt_cents, hz = partial_hz(q, k);
    *low_hz = hz * exp(-d);
    *high_hz = hz * exp(d);
}

/* Can a partial of another string, one that is known or one that is not, lie that near? */
static bool others_reach(const struct takt_strum *s, int me, bool known, double low_hz,
                         double high_hz)
{
    for (int other = 0; other < s->tuning.count; other++) {
        const struct string *q = &s->string[other];
        if (other == me || q->known != known || q->silent)
            continue;
        for (int k = 1; k <= OTHERS; k++) {
            double low, high;
            range_of(q, k, &low, &high);
            if (low > high_hz + s->resolution_hz)
                break;
            if (high > low_hz - s->resolution_hz)
                return true;
        }
    }
    return false;
}

/* ---- One string ------------------------------------------------------------------------------ */

/* One partial more. */
static void take_partial(struct string *q, int k, double hz, double variance)
{
    double g = takt_stretch_slope(q->stretch, k);
    double off = log(hz / k) - q->log_hz - takt_stretch_bend(q->stretch, k);
    double by_log = q->var_log + g * q->both, by_stretch = q->both + g * q->var_stretch;
    double expected = by_log + g * by_stretch + variance;
    double gain_log = by_log / expected, gain_stretch = by_stretch / expected;
    q->log_hz += gain_log * off;
    q->stretch += gain_stretch * off;
    q->var_log -= gain_log * by_log;
    q->both -= gain_log * by_stretch;
    q->var_stretch -= gain_stretch * by_stretch;
    q->left += off * off / expected;
    q->partials++;
}

/* The strongest peak in the range, when it is one by itself; -1 when there is none, -2 when it is
 * not alone. */
static int peak_within(const struct takt_strum *s, double low_hz, double high_hz)
{
    static const double besides = 0.03;
    int best = -1;
    for (int i = 0; i < s->peaks; i++)
        if (s->peak[i].hz >= low_hz && s->peak[i].hz <= high_hz &&
            (best < 0 || s->peak[i].strength > s->peak[best].strength))
            best = i;
    for (int i = 0; best >= 0 && i < s->peaks; i++)
        if (i != best && fabs(s->peak[i].hz - s->peak[best].hz) < s->resolution_hz &&
            s->peak[i].strength > besides * s->peak[best].strength)
            return -2;
    return best;
}

/* What the string is, if its k-th partial is at hz. Support counts the partials that bear it out,
 * less those of the first five that should be heard and are not. */
static struct string string_by(const struct takt_strum *s, int me, int seed, double seed_hz)
{
    enum { FIRST = 5 };
    struct string q = {.target_hz = s->string[me].target_hz, .known = true};
    double g = takt_stretch_slope(usual_stretch, seed);
    q.stretch = usual_stretch;
    q.log_hz = log(seed_hz / seed) - takt_stretch_bend(usual_stretch, seed);
    q.var_stretch = stretch_spread * stretch_spread;
    q.var_log = g * g * q.var_stretch + pow(seed_cents / takt_cents, 2);
    q.both = -g * q.var_stretch;
    for (int k = 1; k <= PARTIALS && k * q.target_hz < highest_hz; k++) {
        double low, high, hz = partial_hz(&q, k);
        range_of(&q, k, &low, &high);
        if (others_reach(s, me, false, low, high) || others_reach(s, me, true, hz, hz))
            continue;
        int found = peak_within(s, low, high);
        if (found == -1 && k <= FIRST)
            q.support -= 1;
        if (found < 0 || others_reach(s, me, true, s->peak[found].hz, s->peak[found].hz))
            continue;
        const struct peak *p = &s->peak[found];
        double hz_off = 0.05 * s->resolution_hz / sqrt(p->over_floor);
        take_partial(&q, k, p->hz, pow(partial_cents / takt_cents, 2) + pow(hz_off / p->hz, 2));
        q.support += 1 + 0.1 * log(p->over_floor);
    }
    return q;
}

static bool is_likely(const struct string *q)
{
    static const double least_support = 1.8;
    return q->partials >= 2 && q->support >= least_support &&
           fabs(q->log_hz - log(q->target_hz)) * takt_cents <= reach_cents + 3 &&
           q->stretch >= least_stretch && q->stretch <= most_stretch;
}

/* Tries every peak that may be one of its partials. */
static void find_string(struct takt_strum *s, int me)
{
    struct string best = s->string[me];
    double target_hz = best.target_hz;
    for (int k = 1; k <= PARTIALS && k * target_hz < highest_hz; k++) {
        double low, high;
        range_of(&s->string[me], k, &low, &high);
        if (others_reach(s, me, false, low, high))
            continue;
        for (int i = 0; i < s->peaks; i++) {
            double hz = s->peak[i].hz;
            if (hz < low || hz > high || others_reach(s, me, true, hz, hz))
                continue;
            struct string q = string_by(s, me, k, hz);
            if (is_likely(&q) && q.support > best.support)
                best = q;
        }
    }
    s->string[me] = best;
}

/* With the others better known it may have partials more. */
static void improve_string(struct takt_strum *s, int me)
{
    static const double same_cents = 5;
    const struct string *was = &s->string[me];
    struct string q = string_by(s, me, 1, exp(was->log_hz));
    if (is_likely(&q) && q.partials >= was->partials &&
        fabs(q.log_hz - was->log_hz) * takt_cents < same_cents)
        s->string[me] = q;
}

/* Nothing where its first partials should be, at two places at least that no other string has. */
static bool is_silent(const struct takt_strum *s, int me)
{
    enum { FIRST = 5, ENOUGH = 2 };
    int empty = 0;
    for (int k = 1; k <= FIRST && k * s->string[me].target_hz < highest_hz; k++) {
        double low, high;
        bool any = false;
        range_of(&s->string[me], k, &low, &high);
        if (others_reach(s, me, false, low, high))
            continue;
        for (int i = 0; i < s->peaks; i++)
            if (s->peak[i].hz >= low && s->peak[i].hz <= high) {
                any = true;
                if (!others_reach(s, me, true, s->peak[i].hz, s->peak[i].hz))
                    return false;
            }
        empty += !any;
    }
    return empty >= ENOUGH;
}

static void find_strings(struct takt_strum *s)
{
    for (int i = 0; i < s->tuning.count; i++)
        s->string[i] =
            (struct string){.target_hz = takt_note_hz(s->tuning.note[i], s->a4_hz) / s->faster};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (int i = 0; i < s->tuning.count; i++)
            if (!s->string[s->order[i]].known && !s->string[s->order[i]].silent)
                find_string(s, s->order[i]);
        for (int i = 0; i < s->tuning.count; i++)
            if (s->string[s->order[i]].known)
                improve_string(s, s->order[i]);
        for (int i = 0; i < s->tuning.count; i++)
            s->string[i].silent = !s->string[i].known && is_silent(s, i);
    }
}

static void show(const struct takt_strum *s, struct takt_strum_reading *out)
{
    *out = (struct takt_strum_reading){.position = s->onset, .count = s->tuning.count};
    for (int i = 0; i < s->tuning.count; i++) {
        const struct string *q = &s->string[i];
        if (!q->known)
            continue;
        /* Partials that agree less than they should say how sure it is. */
        double worse = q->partials > 2 ? fmax(1, q->left / (q->partials - 2)) : 1;
        out->string[i] =
            (struct takt_strum_string){.known = true,
                                       .f0_hz = exp(q->log_hz) * s->faster,
                                       .cents = (q->log_hz - log(q->target_hz)) * takt_cents,
                                       .sigma_cents = sqrt(q->var_log * worse) * takt_cents,
                                       .stretch = q->stretch,
                                       .partials = q->partials};
    }
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* Is a block that ends here much louder than those before it? */
static bool hears_onset(struct takt_strum *s, double x)
{
    s->energy += x * x;
    if (++s->block_at < s->block)
        return false;
    double most = 0, now = s->energy;
    for (int i = 0; i < RECENT; i++)
        most = fmax(most, s->recent[i]);
    s->recent[s->recent_at] = now;
    s->recent_at = (s->recent_at + 1) % RECENT;
    s->block_at = 0;
    s->energy = 0;
    return now > onset_rise * most && now > 1e-8 * (double)s->block;
}

/* True when the window is full. */
static bool keep(struct takt_strum *s, double x)
{
    if (s->wait) {
        s->wait--;
        return false;
    }
    s->thin_sum += x;
    if (++s->thin_count < s->thin)
        return false;
    s->past[s->filled++] = (float)(s->thin_sum / s->thin);
    s->thin_sum = 0;
    s->thin_count = 0;
    return s->filled == s->size;
}

bool takt_strum_process(struct takt_strum *s, const float *x, size_t frames, uint64_t position,
                        struct takt_strum_reading *out)
{
    bool done = false;
    if (!s->begun || position != s->position) {
        takt_strum_reset(s);
        s->begun = true;
        s->position = position;
    }
    for (size_t i = 0; i < frames; i++) {
        double now = (double)takt_sane(x[i]);
        s->position++;
        if (hears_onset(s, now)) {
            s->onset = s->position - s->block;
            s->wait = (size_t)(begin_s * s->rate_hz);
            s->filled = 0;
            s->thin_sum = 0;
            s->thin_count = 0;
            s->listens = true;
        } else if (s->listens && keep(s, now)) {
            s->listens = false;
            find_peaks(s);
            find_strings(s);
            show(s, out);
            done = true;
        }
    }
    return done;
}
