/*
 * The updating thread keeps plain sums, and shows what follows from them through single atomics,
 * in linear form: logarithms are left to whoever reads.
 *
 * Invariants: one thread updates, so what it shows it may also read back; sums, smooth and hold
 * are finite; smooth and hold are 0 or far above the smallest normal float, so that silence never
 * turns into slow denormal arithmetic.
 */
#include "takt/level.h"

#include "base/fail.h"
#include "takt/kernel.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CHANNELS_MAX = 64, RUN = 3 };
static const float full_scale = 32767.0f / 32768.0f, over_scale = 1 + FLT_EPSILON;

/* Below every level that is shown apart from silence: 1e-10, squared for a mean square. */
static const double least_square = 1e-24;
static const float least_hold = 1e-12f;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the callback must not meet a lock inside an atomic");

struct channel {
    /* The updating thread's. */
    double squares, sum;
    double smooth; /* mean square with the time constant */
    float hold;
    double held_s;
    uint32_t run; /* full-scale samples in a row, up to now */
    /* Shown. */
    _Atomic double smooth_shown, total_shown, dc_shown, block_shown; /* squares, but for dc */
    _Atomic float block_peak, hold_shown, peak;
    _Atomic uint64_t clips, clip_runs, clip_spots, overs, frames;
};

struct takt_level {
    uint32_t channels;
    double rate_hz, rms_s, hold_s, fall_db_s;
    size_t keep_frames; /* the block that keep is for */
    double keep;        /* what is left of smooth after it */
    struct channel channel[];
};

/* Single numbers between one writer and any reader need no order among them. */
#define SHOW(place, value) atomic_store_explicit(&(place), (value), memory_order_relaxed)
#define SHOWN(place)       atomic_load_explicit(&(place), memory_order_relaxed)

double takt_dbfs(double x)
{
    return 20 * log10(x > 1e-10 ? x : 1e-10);
}

int takt_level_create(const struct takt_level_cfg *cfg, struct takt_level **out,
                      struct takt_error *e)
{
    *out = NULL;
    uint32_t channels = cfg->channels ? cfg->channels : 1;
    if (channels > CHANNELS_MAX || !(cfg->rms_s >= 0) || !(cfg->hold_s >= 0) ||
        !(cfg->fall_db_s >= 0))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a level meter of %u channels: 1 to %d, and no time below 0", channels,
                         CHANNELS_MAX);
    struct takt_level *l = calloc(1, sizeof *l + channels * sizeof *l->channel);
    if (!l)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    l->channels = channels;
    l->rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    l->rms_s = cfg->rms_s > 0 ? cfg->rms_s : 0.3;
    l->hold_s = cfg->hold_s > 0 ? cfg->hold_s : 1.5;
    l->fall_db_s = cfg->fall_db_s > 0 ? cfg->fall_db_s : 20;
    *out = l;
    return 0;
}

void takt_level_destroy(struct takt_level *l)
{
    free(l);
}

/* The slow way, for a block with samples that are no number, infinite, or too large to square as
 * floats. */
static void sum_what_can_be_summed(const float *x, size_t frames, double *sum, double *squares)
{
    *sum = *squares = 0;
    for (size_t i = 0; i < frames; i++) {
        double v = isfinite(x[i]) ? (double)x[i] : 0;
        *sum += v;
        *squares += v * v;
    }
}

static void update_rms(struct channel *c, const float *x, size_t frames, double keep)
{
    double squares = takt_sum_squares(x, frames), sum = takt_sum(x, frames);
    if (!isfinite(squares) || !isfinite(sum))
        sum_what_can_be_summed(x, frames, &sum, &squares);
    double mean = squares / (double)frames, so_far = (double)(SHOWN(c->frames) + frames);
    c->squares += squares;
    c->sum += sum;
    c->smooth = mean + (c->smooth - mean) * keep;
    c->smooth = c->smooth > least_square ? c->smooth : 0;
    SHOW(c->block_shown, mean);
    SHOW(c->smooth_shown, c->smooth);
    SHOW(c->total_shown, c->squares / so_far);
    SHOW(c->dc_shown, c->sum / so_far);
}

/* Only the part of the block that lies beyond the time of holding makes the peak fall, so that
 * blocks of any size draw the same line. */
static void update_peak(const struct takt_level *l, struct channel *c, float peak, double seconds)
{
    if (peak >= c->hold) {
        c->hold = peak;
        c->held_s = 0;
    } else {
        c->held_s += seconds;
        double falling_s = fmin(c->held_s - l->hold_s, seconds);
        if (falling_s > 0)
            c->hold *= (float)exp(-0.05 * log(10) * l->fall_db_s * falling_s);
        c->hold = c->hold > peak ? c->hold : peak;
        c->hold = c->hold > least_hold ? c->hold : 0;
    }
    SHOW(c->hold_shown, c->hold);
    SHOW(c->block_peak, peak);
    if (peak > SHOWN(c->peak))
        SHOW(c->peak, peak);
}

/* Runs go on from block to block. Only a block that has clips is walked through. */
static void update_clips(struct channel *c, const float *x, size_t frames)
{
    size_t clips = takt_count_above(x, full_scale, frames);
    if (!clips) {
        c->run = 0;
        return;
    }
    uint64_t runs = 0, spots = 0;
    for (size_t i = 0; i < frames; i++) {
        uint32_t more = c->run < RUN ? c->run + 1 : RUN + 1;
        c->run = fabsf(x[i]) >= full_scale ? more : 0;
        spots += c->run == 1;
        runs += c->run == RUN;
    }
    SHOW(c->clips, SHOWN(c->clips) + clips);
    SHOW(c->clip_runs, SHOWN(c->clip_runs) + runs);
    SHOW(c->clip_spots, SHOWN(c->clip_spots) + spots);
    SHOW(c->overs, SHOWN(c->overs) + takt_count_above(x, over_scale, frames));
}

static void update_channel(const struct takt_level *l, struct channel *c, const float *x,
                           size_t frames)
{
    float peak = takt_peak(x, frames);
    update_rms(c, x, frames, l->keep);
    update_peak(l, c, peak < FLT_MAX ? peak : FLT_MAX, (double)frames / l->rate_hz);
    update_clips(c, x, frames);
    SHOW(c->frames, SHOWN(c->frames) + frames);
}

void takt_level_update(struct takt_level *l, const float *const *in, size_t frames)
{
    if (!frames)
        return;
    if (frames != l->keep_frames) {
        l->keep_frames = frames;
        l->keep = exp(-(double)frames / l->rate_hz / l->rms_s);
    }
    for (uint32_t c = 0; c < l->channels; c++)
        update_channel(l, &l->channel[c], in[c], frames);
}

void takt_level_read(const struct takt_level *l, uint32_t channel, struct takt_level_reading *out)
{
    *out = (struct takt_level_reading){0};
    if (channel >= l->channels)
        return;
    const struct channel *c = &l->channel[channel];
    out->rms_dbfs = takt_dbfs(sqrt(SHOWN(c->smooth_shown)));
    out->block_rms_dbfs = takt_dbfs(sqrt(SHOWN(c->block_shown)));
    out->block_peak_dbfs = takt_dbfs((double)SHOWN(c->block_peak));
    out->hold_dbfs = takt_dbfs((double)SHOWN(c->hold_shown));
    out->peak_dbfs = takt_dbfs((double)SHOWN(c->peak));
    out->total_rms_dbfs = takt_dbfs(sqrt(SHOWN(c->total_shown)));
    out->dc = SHOWN(c->dc_shown);
    out->clips = SHOWN(c->clips);
    out->clip_runs = SHOWN(c->clip_runs);
    out->clip_spots = SHOWN(c->clip_spots);
    out->overs = SHOWN(c->overs);
    out->frames = SHOWN(c->frames);
}

void takt_level_reset(struct takt_level *l)
{
    for (uint32_t i = 0; i < l->channels; i++) {
        struct channel *c = &l->channel[i];
        c->squares = c->sum = c->smooth = c->held_s = 0;
        c->hold = 0;
        c->run = 0;
        SHOW(c->smooth_shown, 0);
        SHOW(c->total_shown, 0);
        SHOW(c->dc_shown, 0);
        SHOW(c->block_shown, 0);
        SHOW(c->block_peak, 0);
        SHOW(c->hold_shown, 0);
        SHOW(c->peak, 0);
        SHOW(c->clips, 0);
        SHOW(c->clip_runs, 0);
        SHOW(c->clip_spots, 0);
        SHOW(c->overs, 0);
        SHOW(c->frames, 0);
    }
}
