/*
 * The sequence x is of a shift register of `order` bits: x[n + order] is the sum of some of the
 * order bits before it, modulo 2. The bits s[n] = (x[n] … x[n + order - 1]), read as a number, are
 * each of 1 … 2^order - 1 just once a period, and x[n - k] is the parity of s[n] & t[k] for some t.
 * So when y[n] is put in place s[n], the correlation with x shifted by k, sum of y[n] (1 - 2 x[n -
 * k]), is place t[k] of the Hadamard transform.
 *
 * Invariants: the processing thread alone writes `heard` and counters until it sets `done`; from
 * then on nobody does.
 */
#include "takt/roundtrip.h"

#include "base/fail.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ORDER_MIN = 10, ORDER_MAX = 20, PERIODS_MAX = 1000, ECHO_AWAY = 16 };
static const double least_clarity_db = 20;
static const float full_scale = 32767.0f / 32768.0f;

/* Bit i: x[n + i] is among those that are summed. Each gives the longest period, see the test.
 * Source: primitive trinomials and pentanomials, e.g. P. Alfke, Xilinx XAPP052 (1996). */
static const uint32_t taps_of[ORDER_MAX + 1] = {
    [10] = 1 | 1 << 7,
    [11] = 1 | 1 << 9,
    [12] = 1 | 1 << 6 | 1 << 4 | 1 << 1,
    [13] = 1 | 1 << 4 | 1 << 3 | 1 << 1,
    [14] = 1 | 1 << 5 | 1 << 3 | 1 << 1,
    [15] = 1 | 1 << 14,
    [16] = 1 | 1 << 15 | 1 << 13 | 1 << 4,
    [17] = 1 | 1 << 14,
    [18] = 1 | 1 << 11,
    [19] = 1 | 1 << 6 | 1 << 2 | 1 << 1,
    [20] = 1 | 1 << 17,
};

struct takt_roundtrip {
    int order, periods;
    uint32_t length; /* of a period */
    float level;
    /* The processing thread's. */
    uint32_t state; /* of the register */
    uint32_t at;    /* within the period */
    int period;     /* of them; the first is not compared */
    uint64_t clips;
    uint32_t restarts;
    double *heard; /* [length] summed over the periods */
    _Atomic bool done;
    double *places; /* [length + 1] */
};

static uint32_t next_state(uint32_t s, int order)
{
    uint32_t bit = (uint32_t)__builtin_parity(s & taps_of[order]);
    return s >> 1 | bit << (order - 1);
}

/* From t[k] to t[k + 1]: the same bit, told from one place later. */
static uint32_t next_mask(uint32_t t, int order)
{
    return t >> 1 ^ (t & 1 ? taps_of[order] >> 1 | 1u << (order - 1) : 0);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int default_order(uint32_t rate_hz)
{
    int order = ORDER_MIN;
    while (order < ORDER_MAX && (1u << order) - 1 < rate_hz / 2)
        order++;
    return order;
}

int takt_roundtrip_create(const struct takt_roundtrip_cfg *cfg, struct takt_roundtrip **out,
                          struct takt_error *e)
{
    uint32_t rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    int order = cfg->order ? cfg->order : default_order(rate_hz);
    int periods = cfg->periods ? cfg->periods : 2;
    double level = cfg->level > 0 ? cfg->level : 0.25;
    *out = NULL;
    if (order < ORDER_MIN || order > ORDER_MAX || periods < 1 || periods > PERIODS_MAX ||
        !(cfg->level >= 0 && cfg->level <= 1))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "round trip: orders are %d to %d, periods 1 to %d, levels 0 to 1",
                         ORDER_MIN, ORDER_MAX, PERIODS_MAX);
    struct takt_roundtrip *r = calloc(1, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    r->order = order;
    r->periods = periods;
    r->length = (1u << order) - 1;
    r->level = (float)level;
    r->state = 1;
    r->heard = calloc(r->length, sizeof *r->heard);
    r->places = calloc((size_t)r->length + 1, sizeof *r->places);
    if (!r->heard || !r->places) {
        takt_roundtrip_destroy(r);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    for (uint32_t n = 0; n < r->length; n++)
        ((volatile double *)r->heard)[n] = 0; /* its pages are there before the callback */
    *out = r;
    return 0;
}

void takt_roundtrip_destroy(struct takt_roundtrip *r)
{
    if (!r)
        return;
    free(r->heard);
    free(r->places);
    free(r);
}

/* ---- The processing thread ------------------------------------------------------------------- */

static void begin_anew(struct takt_roundtrip *r)
{
    r->state = 1;
    r->at = 0;
    r->period = 0;
    r->clips = 0;
    r->restarts++;
}

/* The first of the compared periods overwrites what an earlier try has left. */
static void take(struct takt_roundtrip *r, float x)
{
    double sound = isfinite(x) ? (double)x : 0;
    r->heard[r->at] = r->period == 1 ? sound : r->heard[r->at] + sound;
    r->clips += fabsf(x) >= full_scale;
}

void takt_roundtrip_process(struct takt_roundtrip *r, const float *in, float *out, uint32_t frames,
                            uint64_t lost_frames)
{
    bool done = atomic_load_explicit(&r->done, memory_order_relaxed);
    if (lost_frames && !done)
        begin_anew(r);
    for (uint32_t i = 0; i < frames; i++) {
        float x = in[i];
        out[i] = r->state & 1 ? -r->level : r->level;
        r->state = next_state(r->state, r->order);
        if (done)
            continue;
        if (r->period)
            take(r, x);
        if (++r->at < r->length)
            continue;
        r->at = 0;
        done = ++r->period > r->periods;
    }
    if (done)
        atomic_store_explicit(&r->done, true, memory_order_release);
}

bool takt_roundtrip_done(const struct takt_roundtrip *r)
{
    return atomic_load_explicit(&r->done, memory_order_acquire);
}

uint64_t takt_roundtrip_length_frames(const struct takt_roundtrip *r)
{
    return (uint64_t)r->length * ((uint64_t)r->periods + 1);
}

/* ---- Analysis -------------------------------------------------------------------------------- */

static void hadamard(double *x, uint32_t size)
{
    for (uint32_t half = 1; half < size; half *= 2)
        for (uint32_t from = 0; from < size; from += 2 * half)
            for (uint32_t i = from; i < from + half; i++) {
                double a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

/* The impulse response into `heard`. */
static void correlate(struct takt_roundtrip *r, double *response)
{
    uint32_t state = 1, mask = 1;
    double scale = 1 / ((double)r->periods * (double)r->level * ((double)r->length + 1));
    r->places[0] = 0;
    for (uint32_t n = 0; n < r->length; n++, state = next_state(state, r->order))
        r->places[state] = r->heard[n];
    hadamard(r->places, r->length + 1);
    for (uint32_t k = 0; k < r->length; k++, mask = next_mask(mask, r->order))
        response[k] = r->places[mask] * scale;
}

static uint32_t distance(uint32_t a, uint32_t b, uint32_t length)
{
    uint32_t d = a > b ? a - b : b - a;
    return d < length - d ? d : length - d;
}

/* Of those at least `away` from a place, the largest. */
static uint32_t largest(const double *x, uint32_t length, uint32_t place, uint32_t away)
{
    uint32_t best = place;
    double most = -1;
    for (uint32_t k = 0; k < length; k++)
        if (fabs(x[k]) > most && distance(k, place, length) >= away) {
            best = k;
            most = fabs(x[k]);
        }
    return best;
}

static double db(double ratio)
{
    return 20 * log10(ratio > 1e-10 ? ratio : 1e-10);
}

static double fraction_at(const double *x, uint32_t length, uint32_t peak)
{
    double sign = x[peak] < 0 ? -1 : 1, b = sign * x[peak];
    double a = sign * x[peak ? peak - 1 : length - 1],
           c = sign * x[peak + 1 < length ? peak + 1 : 0];
    double bend = a - 2 * b + c;
    return bend < 0 ? 0.5 * (a - c) / bend : 0;
}

int takt_roundtrip_analyse(struct takt_roundtrip *r, struct takt_roundtrip_found *out,
                           struct takt_error *e)
{
    *out = (struct takt_roundtrip_found){0};
    if (!takt_roundtrip_done(r))
        return takt_fail(e, TAKT_ERR_STATE, 0, "round trip: not all of it has been heard yet");
    double *response = calloc(r->length, sizeof *response), squares = 0;
    if (!response)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    correlate(r, response);
    uint32_t peak = largest(response, r->length, 0, 0);
    uint32_t echo = largest(response, r->length, peak, ECHO_AWAY);
    uint32_t others = 1; /* one too many among a thousand, but never 0 */
    for (uint32_t k = 0; k < r->length; k++)
        if (distance(k, peak, r->length) >= ECHO_AWAY) {
            squares += response[k] * response[k];
            others++;
        }
    double strength = fabs(response[peak]);
    double floor_ = strength * 1e-10 + sqrt(squares / others);
    *out = (struct takt_roundtrip_found){
        .delay_frames = peak,
        .fraction = fraction_at(response, r->length, peak),
        .is_inverted = response[peak]<0, .gain_db = db(strength), .clarity_db = strength> 0
                           ? db(strength / floor_)
                           : 0,
        .echo_frames = echo,
        .echo_db = strength > 0 ? db(fabs(response[echo]) / strength) : 0,
        .clips = r->clips,
        .restarts = r->restarts};
    free(response);
    if (!(out->clarity_db >= least_clarity_db) || out->gain_db < -180)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "nothing came back; is the output connected with the input?");
    return 0;
}
