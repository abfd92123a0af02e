/*
 * The resampler's delay is taken away at both ends: as many frames are thrown away at first, and
 * when the source has ended as many of silence are put in behind it. The delay is whole in frames
 * of the source only, so the source is made to begin later by what makes it whole in both.
 *
 * Invariants: in_frames counts what came from inner, out_frames what went out since the first one
 * that counts; out_frames never exceeds what in_frames make.
 */
#include "stream/convert.h"

#include "base/assert.h"
#include "base/fail.h"
#include "rt/memory.h"
#include "takt/kernel.h"
#include "takt/resample.h"

#include <math.h>

enum { SPARE = 64, MANY = 1024 };

struct convert {
    struct takt_port base;
    struct takt_port *inner;
    struct takt_resampler *resampler;
    double ratio; /* frames out of one in */
    uint32_t channels, own_frames;
    float *memory;
    float *own[TAKT_CHANNELS_MAX]; /* [own_frames] */
    uint32_t later;                /* frames of silence before the source */
    uint32_t to_pad, to_skip;      /* left of these, and of what comes out before its first */
    uint64_t in_frames, out_frames;
    bool ended;
};

uint32_t takt_convert_need(uint32_t frames, uint32_t rate_hz, uint32_t own_hz)
{
    return (uint32_t)(frames * (double)own_hz / rate_hz) + 2 * SPARE;
}

/* Fills own with `need` frames: the source's, and silence for what it does not have. */
static void take(struct convert *c, uint32_t need, uint32_t *status)
{
    uint32_t said = 0, pad = c->to_pad < need ? c->to_pad : need, got = pad;
    float *to[TAKT_CHANNELS_MAX];
    for (uint32_t ch = 0; ch < c->channels; ch++) {
        takt_silence(c->own[ch], pad);
        to[ch] = c->own[ch] + pad;
    }
    c->to_pad -= pad;
    if (!c->ended && need > pad)
        got += c->inner->ops->read(c->inner, to, need - pad, &said);
    c->ended |= said & TAKT_PORT_ENDED;
    c->in_frames += got - pad;
    for (uint32_t ch = 0; ch < c->channels; ch++)
        takt_silence(c->own[ch] + got, need - got);
    if (c->ended || got == need)
        return;
    *status |= said & TAKT_PORT_SHORT;
    c->in_frames += need - got; /* the silence stands for sound that came too late */
}

/* So few frames that, with the delay, a whole number of frames out comes before the source; none
 * where that would be many, and half a frame is off. */
static uint32_t frames_until_whole(uint32_t delay, uint32_t rate_hz, uint32_t own_hz)
{
    uint32_t a = rate_hz, b = own_hz;
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    uint32_t every = own_hz / a; /* frames in that make a whole number out */
    return every <= MANY ? (every - delay % every) % every : 0;
}

static void make(struct convert *c, float *const *out, uint32_t frames, uint32_t *status)
{
    uint32_t need = (uint32_t)takt_resampler_need(c->resampler, frames);
    TAKT_ASSERT(need <= c->own_frames);
    if (need)
        take(c, need, status);
    takt_resampler_process(c->resampler, (const float *const *)c->own, need, out, frames);
}

static uint32_t convert_read(struct takt_port *base, float *const *out, uint32_t frames,
                             uint32_t *status)
{
    struct convert *c = (struct convert *)base;
    while (c->to_skip) {
        uint32_t n = c->to_skip < frames ? c->to_skip : frames;
        make(c, out, n, status);
        c->to_skip -= n;
    }
    make(c, out, frames, status);
    c->out_frames += frames;
    if (!c->ended)
        return frames;
    uint64_t all = (uint64_t)ceil((double)c->in_frames * c->ratio - 1e-6);
    if (c->out_frames < all)
        return frames;
    uint64_t over = c->out_frames - all;
    c->out_frames = all;
    *status |= TAKT_PORT_ENDED;
    return over < frames ? frames - (uint32_t)over : 0;
}

static int convert_start(struct takt_port *base, struct takt_error *e)
{
    struct convert *c = (struct convert *)base;
    takt_resampler_reset(c->resampler);
    c->to_pad = c->later;
    c->to_skip =
        (uint32_t)lround((takt_resampler_delay_frames(c->resampler) + c->later) * c->ratio);
    c->in_frames = c->out_frames = 0;
    c->ended = false;
    return c->inner->ops->start ? c->inner->ops->start(c->inner, e) : 0;
}

static void convert_service(struct takt_port *base)
{
    struct convert *c = (struct convert *)base;
    if (c->inner->ops->service)
        c->inner->ops->service(c->inner);
}

static void convert_lost(struct takt_port *base, uint64_t frames)
{
    struct convert *c = (struct convert *)base;
    if (c->inner->ops->lost)
        c->inner->ops->lost(c->inner, (uint64_t)((double)frames / c->ratio));
}

static int convert_stop(struct takt_port *base, struct takt_error *e)
{
    struct convert *c = (struct convert *)base;
    return c->inner->ops->stop ? c->inner->ops->stop(c->inner, e) : 0;
}

static void convert_close(struct takt_port *base)
{
    struct convert *c = (struct convert *)base;
    c->inner->ops->close(c->inner);
    takt_resampler_destroy(c->resampler);
    takt_rt_free(c->memory);
    takt_rt_free(c);
}

static const struct takt_port_ops ops = {.read = convert_read,
                                         .lost = convert_lost,
                                         .start = convert_start,
                                         .service = convert_service,
                                         .stop = convert_stop,
                                         .close = convert_close};

int takt_convert_open(const struct takt_port_cfg *cfg, uint32_t own_hz, struct takt_port *inner,
                      struct takt_port **out, struct takt_error *e)
{
    *out = NULL;
    struct convert *c = takt_rt_alloc(sizeof *c);
    if (!c) {
        inner->ops->close(inner);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    c->base.ops = &ops;
    c->inner = inner;
    c->channels = cfg->channels;
    c->ratio = (double)cfg->rate_hz / own_hz;
    c->own_frames = takt_convert_need(cfg->block_frames_max, cfg->rate_hz, own_hz);
    int err = takt_resampler_create(
        &(struct takt_resampler_cfg){.channels = cfg->channels,
                                     .quality = cfg->clock == TAKT_CLOCK_VIRTUAL
                                                    ? TAKT_RESAMPLE_BEST
                                                    : TAKT_RESAMPLE_STANDARD,
                                     .ratio = c->ratio,
                                     .frames_max = cfg->block_frames_max},
        &c->resampler, e);
    c->memory = takt_rt_alloc((size_t)c->own_frames * cfg->channels * sizeof(float));
    if (!err && !c->memory)
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    if (err < 0) {
        convert_close(&c->base);
        return err;
    }
    c->later = frames_until_whole(takt_resampler_delay_frames(c->resampler), cfg->rate_hz, own_hz);
    for (uint32_t ch = 0; ch < cfg->channels; ch++)
        c->own[ch] = c->memory + (size_t)ch * c->own_frames;
    *out = &c->base;
    return 0;
}
