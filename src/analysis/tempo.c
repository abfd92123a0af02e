/*
 * Each quarter of a second the last eight of the flux are correlated with themselves (by FFT), and
 * each lag scored by what it and its next three multiples hold: a comb, so that a beat with its
 * bars counts for more than one (Percival & Tzanetakis, "Streamlined tempo estimation based on
 * autocorrelation and cross-correlation with pulses", IEEE/ACM TASLP 2014). A log-normal weight
 * about the usual tempo chooses among octaves (Ellis, "Beat tracking by dynamic programming", JNMR
 * 2007), except that half a lag wins that scores as well: what sounds alike on and between the
 * beats is one faster beat. Multiples of the lag, up to half of what is known, then make it exact.
 *
 * The beats' phase is where a train of pulses with that period, fading into the past, meets most of
 * the flux (Percival & Tzanetakis again); the phase that was foretold has an advantage, so that a
 * syncopation does not turn the beat around.
 *
 * Invariants: flux[] is a circle, `count` values since origin; beats are told in order, at least
 * 0.6 periods apart.
 */
#include "takt/tempo.h"

#include "base/fail.h"
#include "base/touched.h"
#include "takt/fft.h"
#include "takt/onset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    HZ = TAKT_ONSET_FLUX_HZ,
    KEPT = 8 * HZ,
    SIZE = 4096, /* at least twice as much, so that the correlation does not go round */
    EVERY = HZ / 4,
    LEAST = 2 * HZ + HZ / 2, /* values before which nothing is said */
    COMB = 4,
    LATEST = 6 /* looks that a beat may be late when it is told */
};
static const double octave_spread = 1.0, stay = 1.15, as_good = 0.88;
/* Below it there is no beat. */
#define LEAST_SURE 0.08

struct takt_tempo {
    uint32_t rate_hz;
    double bpm_min, bpm_max, bpm_usual;
    struct takt_fft *fft;
    float *flux;            /* [KEPT] */
    float *line, *spectrum; /* [SIZE] [SIZE + 2] */
    uint64_t origin, count;
    bool has_origin;
    double period;           /* looks; 0: unknown */
    double confidence, next; /* the next beat, in looks since origin */
    double last;
    bool has_last;
    uint64_t beats;
};

/* ---- Create ------------------------------------------------------------------------------------
 */

static int check(const struct takt_tempo *t, struct takt_error *e)
{
    if (t->rate_hz < 8000 || t->rate_hz > 384000)
        return takt_fail(e, TAKT_ERR_ARG, 0, "tempo at %u Hz: 8000 to 384000", t->rate_hz);
    if (!(t->bpm_min >= 30 && t->bpm_max <= 300 && t->bpm_max >= 2 * t->bpm_min))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "tempo from %g to %g BPM: within 30 to 300, and an octave at least",
                         t->bpm_min, t->bpm_max);
    if (!(t->bpm_usual >= t->bpm_min && t->bpm_usual <= t->bpm_max))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a usual tempo of %g BPM is not from %g to %g",
                         t->bpm_usual, t->bpm_min, t->bpm_max);
    return 0;
}

int takt_tempo_create(const struct takt_tempo_cfg *cfg, struct takt_tempo **out,
                      struct takt_error *e)
{
    *out = NULL;
    struct takt_tempo *t = takt_calloc_touched(1, sizeof *t);
    if (!t)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    t->rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    t->bpm_min = cfg->bpm_min != 0 ? cfg->bpm_min : 45;
    t->bpm_max = cfg->bpm_max != 0 ? cfg->bpm_max : 230;
    t->bpm_usual = cfg->bpm_usual != 0 ? cfg->bpm_usual : fmin(fmax(120, t->bpm_min), t->bpm_max);
    int err = check(t, e);
    if (err >= 0)
        err = takt_fft_create(&(struct takt_fft_cfg){.size = SIZE}, &t->fft, e);
    if (err >= 0) {
        t->flux = takt_calloc_touched(KEPT, sizeof *t->flux);
        t->line = takt_calloc_touched(SIZE, sizeof *t->line);
        t->spectrum = takt_calloc_touched(SIZE + 2, sizeof *t->spectrum);
        if (!t->flux || !t->line || !t->spectrum)
            err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    if (err < 0) {
        takt_tempo_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

void takt_tempo_destroy(struct takt_tempo *t)
{
    if (!t)
        return;
    takt_fft_destroy(t->fft);
    free(t->flux);
    free(t->line);
    free(t->spectrum);
    free(t);
}

void takt_tempo_reset(struct takt_tempo *t)
{
    t->count = t->beats = 0;
    t->has_origin = t->has_last = false;
    t->period = t->confidence = t->next = t->last = 0;
}

/* ---- The period --------------------------------------------------------------------------------
 */

/* What is known, oldest first, without its mean and slightly smeared, so that hands that are not
 * machines still meet. Returns how many values. */
static int lay_out(struct takt_tempo *t)
{
    int n = t->count < KEPT ? (int)t->count : KEPT;
    double mean = 0;
    float *raw = t->spectrum;
    for (int i = 0; i < n; i++) {
        raw[i] = t->flux[(t->count - (uint64_t)n + (uint64_t)i) % KEPT];
        mean += (double)raw[i] / n;
    }
    for (int i = 0; i < n; i++) {
        float sum = 3 * raw[i];
        sum += 2 * ((i > 0 ? raw[i - 1] : 0) + (i + 1 < n ? raw[i + 1] : 0));
        sum += (i > 1 ? raw[i - 2] : 0) + (i + 2 < n ? raw[i + 2] : 0);
        t->line[i] = sum / 9 - (float)mean;
    }
    return n;
}

/* line becomes its autocorrelation, r[0] = 1 and each lag for as many products as it has. False
 * where there is nothing but silence. */
static bool correlate(struct takt_tempo *t, int n)
{
    memset(t->line + n, 0, (size_t)(SIZE - n) * sizeof *t->line);
    takt_fft_forward(t->fft, t->line, t->spectrum);
    for (int k = 0; k <= SIZE / 2; k++) {
        float re = t->spectrum[2 * k], im = t->spectrum[2 * k + 1];
        t->spectrum[2 * k] = re * re + im * im;
        t->spectrum[2 * k + 1] = 0;
    }
    takt_fft_inverse(t->fft, t->spectrum, t->line);
    double whole = (double)t->line[0];
    if (!(whole > 1e-9))
        return false;
    for (int lag = 0; lag < n; lag++)
        t->line[lag] = (float)((double)t->line[lag] / whole * n / (n - lag));
    return true;
}

/* The highest point about a lag. */
static double crest(const float *r, double lag, int around, double *at)
{
    int best = (int)(lag + 0.5);
    int low = best - around, high = best + around;
    for (int i = low < 1 ? 1 : low; i <= high; i++)
        if (r[i] > r[best])
            best = i;
    double a = (double)r[best - 1], b = (double)r[best], c = (double)r[best + 1];
    double bend = a - 2 * b + c;
    *at = best + (bend < 0 ? fmax(-0.5, fmin(0.5, 0.5 * (a - c) / bend)) : 0);
    return b;
}

/* How much the lag and its multiples hold, of those for which there is enough sound. */
static double comb(const float *r, double lag, int n)
{
    double sum = 0, at;
    int teeth = 0;
    for (int k = 1; k <= COMB && k * lag < 0.75 * n - 4; k++, teeth++)
        sum += crest(r, k * lag, k < 3 ? 1 : 2, &at);
    return teeth ? sum / teeth : 0;
}

static double lag_of(double bpm)
{
    return 60.0 * HZ / bpm;
}

static double usual(const struct takt_tempo *t, double lag)
{
    double octaves = log2(lag_of(t->bpm_usual) / lag) / octave_spread;
    return exp(-0.5 * octaves * octaves);
}

/* The farther a multiple, the more exact. */
static double refine(const float *r, double lag, int n)
{
    double at;
    for (int k = 1; k * lag < 0.5 * n; k *= 2) {
        if (crest(r, k * lag, 2, &at) < 0.3 * (double)r[(int)(lag + 0.5)])
            break;
        lag = at / k;
    }
    return lag;
}

/* Scores every lag; returns the best, 0 where none is any good, and how good. */
static double find_period(const struct takt_tempo *t, int n, double *good)
{
    const float *r = t->line;
    int low = (int)lag_of(t->bpm_max), high = (int)lag_of(t->bpm_min) + 1;
    if (high > n * 2 / 5)
        high = n * 2 / 5;
    double best = 0, lag = 0;
    for (int i = low < 2 ? 2 : low; i <= high; i++) {
        if (r[i] < r[i - 1] || r[i] < r[i + 1] || r[i] < 0.05f)
            continue;
        double score = comb(r, i, n) * usual(t, i);
        if (t->period > 0 && fabs(i / t->period - 1) < 0.04)
            score *= stay;
        if (score > best) {
            best = score;
            lag = i;
        }
    }
    if (lag == 0)
        return 0;
    lag = refine(r, lag, n);
    while (lag / 2 >= lag_of(t->bpm_max) && comb(r, lag / 2, n) > as_good * comb(r, lag, n))
        lag = refine(r, lag / 2, n);
    *good = comb(r, lag, n);
    return lag;
}

/* ---- The beats ---------------------------------------------------------------------------------
 */

static float flux_at(const struct takt_tempo *t, double look)
{
    if (look < 0 || look >= (double)t->count || look < (double)t->count - KEPT)
        return 0;
    return t->flux[(uint64_t)look % KEPT];
}

/* How much of the flux a train of pulses meets whose last one is at `look`. */
static double met(const struct takt_tempo *t, double look)
{
    double sum = 0, weight = 1;
    for (int k = 0; k < 12; k++, look -= t->period, weight *= 0.85) {
        double near = 0;
        for (int i = -2; i <= 2; i++)
            near += (double)flux_at(t, floor(look + 0.5) + i) * (i ? 0.5 : 1);
        sum += weight * near;
    }
    return sum;
}

/* Where the next beat falls. */
static void find_phase(struct takt_tempo *t, bool is_new)
{
    double now = (double)t->count - 1, best = -1, phase = 0;
    for (int i = 0; i < (int)t->period; i++) {
        double score = met(t, now - i);
        if (!is_new) {
            double off = fmod(t->next - (now - i), t->period) / t->period;
            off = off < 0 ? off + 1 : off;
            off = fmin(off, 1 - off);
            score *= 0.7 + 0.3 * exp(-0.5 * (off / 0.08) * (off / 0.08));
        }
        if (score > best) {
            best = score;
            phase = i;
        }
    }
    double beat = now - phase;
    double from = t->has_last ? t->last + 0.6 * t->period : -1e9;
    while (beat < from || beat < now - LATEST)
        beat += t->period;
    t->next = beat;
}

static void estimate(struct takt_tempo *t)
{
    double good = 0, before = t->period;
    int n = lay_out(t);
    double period = n >= LEAST && correlate(t, n) ? find_period(t, n, &good) : 0;
    /* What noise repeats by chance is some 0.15. */
    t->confidence = fmax(0, fmin(1, (good - 0.12) / 0.6));
    t->period = t->confidence > LEAST_SURE ? period : 0;
    if (t->period > 0)
        find_phase(t, before == 0 || fabs(t->period / before - 1) > 0.1);
}

static uint64_t position_of(const struct takt_tempo *t, double look)
{
    double frames = floor(look * t->rate_hz / HZ + 0.5) + (double)t->origin;
    return frames > 0 ? (uint64_t)frames : 0;
}

static double bpm_of(const struct takt_tempo *t)
{
    return t->period > 0 ? 60.0 * HZ / t->period : 0;
}

size_t takt_tempo_process(struct takt_tempo *t, const float *flux, size_t count, uint64_t position,
                          struct takt_tempo_beat *out, size_t most)
{
    size_t told = 0;
    if (!count)
        return 0;
    uint64_t expected = t->has_origin ? position_of(t, (double)t->count) : position;
    uint64_t off = expected > position ? expected - position : position - expected;
    if (!t->has_origin || off > t->rate_hz / HZ + 1) {
        uint64_t beats = t->beats;
        takt_tempo_reset(t);
        t->beats = beats;
        t->has_origin = true;
        t->origin = position;
    }
    for (size_t i = 0; i < count; i++) {
        t->flux[t->count % KEPT] = isfinite(flux[i]) ? flux[i] : 0;
        t->count++;
        if (t->count % EVERY == 0)
            estimate(t);
        if (!(t->period > 0) || (double)t->count - 1 < t->next)
            continue;
        if (told < most)
            out[told++] = (struct takt_tempo_beat){
                .position = position_of(t, t->next), .bpm = bpm_of(t), .confidence = t->confidence};
        t->beats++;
        t->last = t->next;
        t->has_last = true;
        t->next += t->period;
    }
    return told;
}

void takt_tempo_read(const struct takt_tempo *t, struct takt_tempo_reading *out)
{
    *out = (struct takt_tempo_reading){.bpm = bpm_of(t),
                                       .confidence = t->confidence,
                                       .position = position_of(t, (double)t->count),
                                       .next_beat = t->period > 0 ? position_of(t, t->next) : 0,
                                       .beats = t->beats};
}
