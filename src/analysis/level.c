/*
 * The updating thread keeps plain sums, and shows what follows from them through single atomics,
 * in linear form: logarithms are left to whoever reads.
 */
#include "takt/level.h"

#include "base/fail.h"
#include "takt/kernel.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CHANNELS_MAX = 64, RUN = 3 };
static const float full_scale = 32767.0f / 32768.0f;

struct channel {
    /* The updating thread's. */
    double squares, sum, smooth; /* smooth: mean square with the time constant */
    float hold;
    double held_s;
    uint32_t run; /* full-scale samples in a row, up to now */
    /* Shown. */
    _Atomic double smooth_shown, total_shown, dc_shown;
    _Atomic float block_rms, block_peak, hold_shown, peak;
    _Atomic uint64_t clips, clip_runs, frames;
};

struct takt_level {
    uint32_t channels;
    double rate_hz, rms_s, hold_s, fall_db_s;
    struct channel channel[];
};

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

/* Counts samples at full scale and runs of three and more; only where there are any. */
static void count_clips(struct channel *c, const float *x, size_t frames)
{
    size_t clips = takt_count_above(x, full_scale, frames);
    if (!clips) {
        c->run = 0;
        return;
    }
    uint64_t runs = 0;
    for (size_t i = 0; i < frames; i++) {
        c->run = fabsf(x[i]) >= full_scale ? c->run + 1 : 0;
        runs += c->run == RUN;
    }
    atomic_store_explicit(&c->clips, atomic_load_explicit(&c->clips, memory_order_relaxed) + clips,
                          memory_order_relaxed);
    atomic_store_explicit(&c->clip_runs,
                          atomic_load_explicit(&c->clip_runs, memory_order_relaxed) + runs,
                          memory_order_relaxed);
}

static void hold_peak(const struct takt_level *l, struct channel *c, float peak, double seconds)
{
    if (peak >= c->hold) {
        c->hold = peak;
        c->held_s = 0;
    } else {
        c->held_s += seconds;
        if (c->held_s > l->hold_s)
            c->hold *= (float)pow(10, -l->fall_db_s * seconds / 20);
        c->hold = c->hold > peak ? c->hold : peak;
    }
    atomic_store_explicit(&c->hold_shown, c->hold, memory_order_relaxed);
}

static void update_channel(const struct takt_level *l, struct channel *c, const float *x,
                           size_t frames)
{
    double squares = takt_sum_squares(x, frames), seconds = (double)frames / l->rate_hz;
    if (!(squares >= 0 && squares < (double)INFINITY))
        squares = 0; /* not a number, or beyond all: the clips tell, the sums go on */
    double mean = squares / (double)frames, sum = 0;
    for (size_t i = 0; i < frames; i++)
        sum += (double)x[i];
    float peak = takt_peak(x, frames);
    uint64_t so_far = atomic_load_explicit(&c->frames, memory_order_relaxed) + frames;
    c->squares += squares;
    c->sum += sum == sum && fabs(sum) < (double)INFINITY ? sum : 0;
    c->smooth = mean + (c->smooth - mean) * exp(-seconds / l->rms_s);
    count_clips(c, x, frames);
    hold_peak(l, c, peak, seconds);
    if (peak > atomic_load_explicit(&c->peak, memory_order_relaxed))
        atomic_store_explicit(&c->peak, peak, memory_order_relaxed);
    atomic_store_explicit(&c->block_peak, peak, memory_order_relaxed);
    atomic_store_explicit(&c->block_rms, (float)sqrt(mean), memory_order_relaxed);
    atomic_store_explicit(&c->smooth_shown, c->smooth, memory_order_relaxed);
    atomic_store_explicit(&c->total_shown, c->squares / (double)so_far, memory_order_relaxed);
    atomic_store_explicit(&c->dc_shown, c->sum / (double)so_far, memory_order_relaxed);
    atomic_store_explicit(&c->frames, so_far, memory_order_relaxed);
}

void takt_level_update(struct takt_level *l, const float *const *in, size_t frames)
{
    for (uint32_t c = 0; c < l->channels && frames; c++)
        update_channel(l, &l->channel[c], in[c], frames);
}

void takt_level_read(const struct takt_level *l, uint32_t channel, struct takt_level_reading *out)
{
    *out = (struct takt_level_reading){0};
    if (channel >= l->channels)
        return;
    const struct channel *c = &l->channel[channel];
    const memory_order any = memory_order_relaxed;
    out->rms_dbfs = takt_dbfs(sqrt(atomic_load_explicit(&c->smooth_shown, any)));
    out->block_rms_dbfs = takt_dbfs((double)atomic_load_explicit(&c->block_rms, any));
    out->block_peak_dbfs = takt_dbfs((double)atomic_load_explicit(&c->block_peak, any));
    out->hold_dbfs = takt_dbfs((double)atomic_load_explicit(&c->hold_shown, any));
    out->peak_dbfs = takt_dbfs((double)atomic_load_explicit(&c->peak, any));
    out->total_rms_dbfs = takt_dbfs(sqrt(atomic_load_explicit(&c->total_shown, any)));
    out->dc = atomic_load_explicit(&c->dc_shown, any);
    out->clips = atomic_load_explicit(&c->clips, any);
    out->clip_runs = atomic_load_explicit(&c->clip_runs, any);
    out->frames = atomic_load_explicit(&c->frames, any);
}

void takt_level_reset(struct takt_level *l)
{
    for (uint32_t i = 0; i < l->channels; i++) {
        struct channel *c = &l->channel[i];
        c->squares = c->sum = c->smooth = c->held_s = 0;
        c->hold = 0;
        c->run = 0;
        _Atomic double *const shown[] = {&c->smooth_shown, &c->total_shown, &c->dc_shown};
        _Atomic float *const peaks[] = {&c->block_rms, &c->block_peak, &c->hold_shown, &c->peak};
        _Atomic uint64_t *const counts[] = {&c->clips, &c->clip_runs, &c->frames};
        for (int k = 0; k < 3; k++)
            atomic_store_explicit(shown[k], 0, memory_order_relaxed);
        for (int k = 0; k < 4; k++)
            atomic_store_explicit(peaks[k], 0, memory_order_relaxed);
        for (int k = 0; k < 3; k++)
            atomic_store_explicit(counts[k], 0, memory_order_relaxed);
    }
}
