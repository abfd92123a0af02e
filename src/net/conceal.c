/*
 * The newest sound of each channel stands in a circle, written twice so that the last `window`
 * frames always lie in one piece. At the first frame of a loss its end is laid before a row of its
 * own, and the filter that was found last (net/burg.h) writes on from there, sample by sample, each
 * from those before it. What is played of that, faded, goes into the circle as well: so the next
 * loss, be it during the join, goes on from what was played, and there is no step.
 *
 * The filter comes from elsewhere. `turn` says whose the copy of the sound and the row of `found`
 * filters are: the owner's while IDLE or DONE, the worker's while ASKED. The owner takes what was
 * found by swapping `found` and `known`, and only at a loss's first frame copies it to `used`, so
 * that no filter changes under a loss.
 *
 * The filter is stable, but that bounds its sound only in the long run: so what is played is held
 * within the largest sample of the window before the loss.
 *
 * Invariants: at < window; heard <= window; made <= silent; lag * order < window * 2 / 3; all rows
 * hold finite numbers.
 */
#include "net/conceal.h"

#include "base/assert.h"
#include "dsp/version.h"
#include "net/burg.h"
#include "sync/line.h"
#include "takt/error.h"
#include "takt/kernel.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A sample beyond `limit` is no sound. Below `tiny` the filter's end is denormal numbers. */
static const float limit = 1e4f, tiny = 1e-12f;
/* So many times larger than the sound's largest sample and step what is made may be. What is played
 * is held within the sound's largest, but to clip what it is made from would spoil all behind. */
static const float room_within = 4, room_step = 1.5f;
static const float least_step = 0.01f; /* of the largest sample: slow sound has small steps */

static const double window_ms = 30, hold_ms = 20, silent_ms = 60;
static const double join_ms_least = 2, join_ms_most = 4;

enum {
    lag_rate_hz = 12000,
    CHANNELS_MOST = 64,
    STEP = 32 /* floats on a line: rows of their multiples */
};

enum mode { HEARING, MISSING, JOINING };
enum turn { IDLE, ASKED, DONE };

/* One channel in a loss. */
struct line {
    float last;       /* made, or heard before the loss */
    float peak, step; /* which the sound before the loss allows */
    bool is_lost;     /* nothing is known of how it goes on: the last sample dies away */
};

struct takt_conceal {
    /* Constant. */
    uint32_t channels, lag, order, window;
    uint32_t hold, silent;          /* frames of a loss before the fade, and before silence */
    uint32_t join_least, join_most; /* frames */
    uint32_t phase_room;            /* of one of the `lag` parts of a row */
    float dying;                    /* of a sample, what is left of it one frame later */

    /* The owner's. */
    alignas(TAKT_LINE_BYTES) enum mode mode;
    uint32_t at;    /* the oldest sample in the circle */
    uint32_t heard; /* frames in the circle that a filter may be found from */
    uint32_t made;  /* of the loss, on its way to silence; while joining, those behind it too */
    uint32_t join_frames, join_at;
    bool is_stale; /* what is being worked on is another sound */
    float *past;   /* [channels][2 * window] */
    float *row;    /* [channels][lag][phase_room]: the sound before a loss, and on from there, dealt
                    * out so that what a sample is made from lies in one piece */
    float *used, *known; /* [channels][order]; all 0: nothing is known */
    struct line line[CHANNELS_MOST];

    /* Handed to and fro. */
    float *found; /* [channels][order] */
    float *copy;  /* [channels][window] */
    uint32_t copy_frames;
    alignas(TAKT_LINE_BYTES) _Atomic unsigned turn;

    /* The worker's. */
    alignas(TAKT_LINE_BYTES) uint32_t channel;
    float *scratch; /* [window] */
};

/* ---- Life --------------------------------------------------------------------------------------
 */

static uint32_t frames_of(double ms, uint32_t rate_hz)
{
    return (uint32_t)(ms * 1e-3 * rate_hz + 0.5);
}

static uint32_t whole_steps(uint32_t floats)
{
    return (floats + STEP - 1) / STEP * STEP;
}

static void set_sizes(struct takt_conceal *c, const struct takt_conceal_cfg *cfg)
{
    c->channels = cfg->channels;
    c->window = whole_steps(frames_of(window_ms, cfg->rate_hz));
    c->lag = (cfg->rate_hz + lag_rate_hz / 2) / lag_rate_hz;
    c->lag = c->lag > 1 ? c->lag : 1;
    c->order = c->window * 2 / 5 / c->lag / STEP * STEP;
    c->order = c->order < TAKT_BURG_ORDER_MOST ? c->order : TAKT_BURG_ORDER_MOST;
    c->hold = frames_of(hold_ms, cfg->rate_hz);
    c->silent = frames_of(silent_ms, cfg->rate_hz);
    c->join_least = frames_of(join_ms_least, cfg->rate_hz);
    c->join_most = frames_of(join_ms_most, cfg->rate_hz);
    c->phase_room = whole_steps(c->order + c->silent / c->lag + 1);
    c->dying = (float)exp(-1000.0 / cfg->rate_hz);
}

int takt_conceal_create(const struct takt_conceal_cfg *cfg, struct takt_conceal **out)
{
    *out = NULL;
    if (cfg->rate_hz < 8000 || cfg->rate_hz > 384000 || !cfg->channels ||
        cfg->channels > CHANNELS_MOST)
        return TAKT_ERR_ARG;
    struct takt_conceal *c = takt_line_alloc(sizeof *c);
    if (!c)
        return TAKT_ERR_NOMEM;
    set_sizes(c, cfg);
    size_t past = 2 * (size_t)c->window, row = (size_t)c->lag * c->phase_room, filter = c->order;
    size_t each = past + row + c->window + 3 * filter;
    float *memory = takt_line_alloc((each * c->channels + c->window) * sizeof *memory);
    if (!memory) {
        free(c);
        return TAKT_ERR_NOMEM;
    }
    c->past = memory;
    c->row = c->past + past * c->channels;
    c->used = c->row + row * c->channels;
    c->known = c->used + filter * c->channels;
    c->found = c->known + filter * c->channels;
    c->copy = c->found + filter * c->channels;
    c->scratch = c->copy + (size_t)c->window * c->channels;
    takt_conceal_reset(c);
    *out = c;
    return TAKT_OK;
}

void takt_conceal_destroy(struct takt_conceal *c)
{
    if (!c)
        return;
    free(c->past);
    free(c);
}

void takt_conceal_reset(struct takt_conceal *c)
{
    c->mode = HEARING;
    c->at = c->heard = 0;
    c->is_stale = true;
    memset(c->past, 0, 2 * (size_t)c->window * c->channels * sizeof *c->past);
    memset(c->known, 0, (size_t)c->channels * c->order * sizeof *c->known);
}

/* ---- What is found -----------------------------------------------------------------------------
 */

static float *filter_of(const struct takt_conceal *c, float *filters, uint32_t channel)
{
    return filters + (size_t)channel * c->order;
}

/* The newest n <= window samples, the newest last. */
static const float *newest(const struct takt_conceal *c, uint32_t channel, uint32_t n)
{
    return c->past + 2 * (size_t)c->window * channel + c->at + c->window - n;
}

static void take_found(struct takt_conceal *c)
{
    if (atomic_load_explicit(&c->turn, memory_order_acquire) != DONE)
        return;
    if (!c->is_stale) {
        float *found = c->found;
        c->found = c->known;
        c->known = found;
    }
    c->is_stale = false;
    atomic_store_explicit(&c->turn, IDLE, memory_order_relaxed);
}

bool takt_conceal_ask(struct takt_conceal *c)
{
    take_found(c);
    /* The work may have been done since: what it wrote is seen by this look, too. */
    if (atomic_load_explicit(&c->turn, memory_order_acquire) != IDLE ||
        c->heard < c->window * 2 / 3)
        return false;
    for (uint32_t i = 0; i < c->channels; i++)
        memcpy(c->copy + (size_t)i * c->window, newest(c, i, c->heard), c->heard * sizeof *c->copy);
    c->copy_frames = c->heard;
    c->is_stale = false;
    atomic_store_explicit(&c->turn, ASKED, memory_order_release);
    return true;
}

bool takt_conceal_work(struct takt_conceal *c)
{
    if (atomic_load_explicit(&c->turn, memory_order_acquire) != ASKED)
        return false;
    float *filter = filter_of(c, c->found, c->channel);
    takt_burg(c->copy + (size_t)c->channel * c->window, c->scratch, c->copy_frames, c->lag,
              c->order, filter);
    if (++c->channel < c->channels)
        return true;
    c->channel = 0;
    atomic_store_explicit(&c->turn, DONE, memory_order_release);
    return false;
}

void takt_conceal_prepare(struct takt_conceal *c)
{
    if (takt_conceal_ask(c))
        while (takt_conceal_work(c))
            ;
}

/* ---- The sound ---------------------------------------------------------------------------------
 */

/* Into the circle, all channels alike. Of more than fits, the last. */
static void keep(struct takt_conceal *c, const float *const *planes, uint32_t frames)
{
    uint32_t first = frames > c->window ? frames - c->window : 0, at = c->at;
    for (uint32_t i = 0; i < c->channels; i++) {
        float *past = c->past + 2 * (size_t)c->window * i;
        at = c->at;
        for (uint32_t n = first; n < frames; n++) {
            float x = planes[i][n];
            past[at] = past[at + c->window] = fabsf(x) <= limit ? x : 0;
            at = at + 1 == c->window ? 0 : at + 1;
        }
    }
    c->at = at;
}

static void count_heard(struct takt_conceal *c, uint32_t frames)
{
    c->heard = frames < c->window - c->heard ? c->heard + frames : c->window;
}

void takt_conceal_heard(struct takt_conceal *c, const float *const *planes, uint32_t frames)
{
    keep(c, planes, frames);
    count_heard(c, frames);
    if (c->mode == MISSING && frames)
        c->mode = HEARING;
}

/* From 0 to 1 as x does, without a corner at either end. */
static float smooth(float x)
{
    return x * x * (3 - 2 * x);
}

/* What is played of the n-th frame made. */
static float gain_at(const struct takt_conceal *c, uint32_t n)
{
    if (n < c->hold)
        return 1;
    return n < c->silent ? smooth((float)(c->silent - n) / (float)(c->silent - c->hold)) : 0;
}

/* Where in a channel's row the n-th frame of the loss is. */
static float *place_of(const struct takt_conceal *c, uint32_t channel, uint32_t n)
{
    float *row = c->row + (size_t)channel * c->lag * c->phase_room;
    return row + (size_t)(n % c->lag) * c->phase_room + c->order + n / c->lag;
}

/* Makes frames first..end-1 of the loss; those before are there. A filter of tones makes much of
 * little where the sound has changed since it was found, or where the end of the sound is itself
 * half made and does not fit together: it is left at the first step that is not the sound's. */
static void go_on(struct takt_conceal *c, uint32_t channel, uint32_t first, uint32_t end)
{
    const float *filter = filter_of(c, c->used, channel);
    struct line *l = &c->line[channel];
    for (uint32_t n = first; n < end; n++) {
        float *at = place_of(c, channel, n), x = 0;
        if (!l->is_lost) {
            x = takt_dsp->kernels->dot_best(filter, at - c->order, c->order);
            l->is_lost = !(fabsf(x - l->last) <= l->step && fabsf(x) <= room_within * l->peak);
        }
        x = l->is_lost ? c->dying * l->last : x;
        *at = l->last = fabsf(x) >= tiny ? x : 0;
    }
}

/* What is played of the n-th frame made. */
static float played(const struct takt_conceal *c, uint32_t channel, uint32_t n)
{
    float x = *place_of(c, channel, n), peak = c->line[channel].peak;
    return gain_at(c, n) * (fabsf(x) <= peak ? x : copysignf(peak, x));
}

/* How far the loss is after so many more frames. */
static uint32_t made_after(const struct takt_conceal *c, uint32_t frames)
{
    return frames < c->silent - c->made ? c->made + frames : c->silent;
}

static float largest_step(const float *x, uint32_t frames)
{
    float most = 0;
    for (uint32_t i = 1; i < frames; i++) {
        float step = fabsf(x[i] - x[i - 1]);
        most = step > most ? step : most;
    }
    return most;
}

static void begin_loss(struct takt_conceal *c)
{
    take_found(c);
    c->mode = MISSING;
    c->made = 0;
    memcpy(c->used, c->known, (size_t)c->channels * c->order * sizeof *c->used);
    for (uint32_t i = 0; i < c->channels; i++) {
        const float *last = newest(c, i, c->lag * c->order);
        for (uint32_t n = 0; n < c->lag * c->order; n++)
            *(place_of(c, i, n) - c->order) = last[n];
        struct line *l = &c->line[i];
        l->last = *newest(c, i, 1);
        l->peak = takt_peak(newest(c, i, c->window), c->window);
        l->step =
            room_step * largest_step(newest(c, i, c->window), c->window) + least_step * l->peak;
        l->is_lost =
            c->heard < c->lag * c->order || takt_peak(filter_of(c, c->used, i), c->order) == 0;
    }
}

void takt_conceal_make(struct takt_conceal *c, float *const *planes, uint32_t frames)
{
    if (!frames)
        return;
    if (c->mode != MISSING)
        begin_loss(c);
    uint32_t first = c->made, end = made_after(c, frames), made = end - first;
    for (uint32_t i = 0; i < c->channels; i++) {
        go_on(c, i, first, end);
        for (uint32_t n = 0; n < made; n++)
            planes[i][n] = played(c, i, first + n);
        takt_silence(planes[i] + made, frames - made);
    }
    c->made = end;
    keep(c, (const float *const *)planes, frames);
    count_heard(c, frames);
    if (end > c->hold)
        c->heard = 0;
}

/* Leads one channel's `frames` over, from those made up to the end-th. */
static void lead_over(const struct takt_conceal *c, uint32_t channel, float *to, uint32_t frames,
                      uint32_t end)
{
    for (uint32_t n = 0; n < frames; n++) {
        float w = smooth((float)(c->join_at + n + 1) / (float)(c->join_frames + 1));
        float old = c->made + n < end ? played(c, channel, c->made + n) : 0;
        float good = isfinite(to[n]) ? to[n] : 0;
        to[n] = w * good + (1 - w) * old;
    }
}

void takt_conceal_join(struct takt_conceal *c, float *const *planes, uint32_t frames)
{
    if (c->mode == HEARING || !frames)
        return;
    if (c->mode == MISSING) {
        uint32_t made = c->made < c->join_most ? c->made : c->join_most;
        c->join_frames = made > c->join_least ? made : c->join_least;
        c->join_at = 0;
        c->mode = JOINING;
    }
    uint32_t left = c->join_frames - c->join_at;
    frames = frames < left ? frames : left;
    uint32_t end = made_after(c, frames);
    for (uint32_t i = 0; i < c->channels; i++) {
        go_on(c, i, c->made, end);
        lead_over(c, i, planes[i], frames, end);
    }
    c->made = end;
    c->join_at += frames;
    if (c->join_at == c->join_frames)
        c->mode = HEARING;
}
