/*
 * Positions are frames of the input's clock. Its thread publishes pairs (count, time): after a
 * cycle that was due at `time`, `count` frames have come in all. Between cycles the count is
 * thought to grow steadily, which makes a line; the stream's thread looks where the line is at the
 * smoothed time of its own cycle.
 *
 * How long the queue has to be follows from the two block sizes alone: the line is ahead of what is
 * really there by up to one block of the input, and a read takes one block of the stream; so both,
 * and a margin for whoever is late.
 *
 * When the stream's thread does not come for so long that the ring is full, the two no longer agree
 * on which frame is where. The device's thread then writes nothing more until the other one has
 * emptied the ring, and says at which frame it begins anew.
 *
 * Invariants: the device's thread alone writes to the ring, the stream's alone reads from it. While
 * the ring flows, the frames in it are those from `moved` on.
 */
#include "stream/bridge.h"

#include "base/assert.h"
#include "base/fail.h"
#include "dsp/drift.h"
#include "rt/memory.h"
#include "takt/kernel.h"
#include "takt/resample.h"
#include "takt/ring.h"
#include "takt/snapshot.h"
#include "takt/time.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FADE_FRAMES = 32, BLOCK_MAX = 8192, SETTLED_S = 8 };
static const double margin_s = 0.001, margin_s_max = 0.05;

/* Who has the word about the ring. FLOWS and OVERFLOWN end by the device's thread, EMPTIED and
 * BEGINS by the stream's: FLOWS -device-> OVERFLOWN -stream-> EMPTIED -device-> BEGINS -stream->
 * FLOWS. One that begins may overflow before the stream's thread has come. */
enum ring_state { RING_FLOWS, RING_OVERFLOWN, RING_EMPTIED, RING_BEGINS };

/* Where the line is. */
struct seen {
    uint64_t count;
    int64_t at_ns;
    double frame_ns;
};

struct bridge {
    struct takt_port base;
    struct takt_engine face;
    struct takt_bridge_cfg cfg;
    struct takt_driver *driver;
    struct takt_port *port; /* when the driver has no sound of its own */
    struct takt_ring *ring; /* interleaved frames */
    struct takt_snapshot *seen;
    struct takt_resampler *resampler;
    float *memory;
    float *theirs[TAKT_CHANNELS_MAX]; /* one block of the device's: [channel][BLOCK_MAX] */
    float *ours[TAKT_CHANNELS_MAX];   /* what goes into or comes out of the resampler */
    uint32_t ours_frames;
    double nominal; /* stream frames to one of the device's */

    /* The device's thread. */
    struct takt_dll dll;
    uint64_t count, away_since;
    bool dll_runs, away;

    /* The stream's thread. */
    struct takt_drift drift;
    uint64_t moved;      /* frames through the ring on this side */
    double from;         /* the resampler's position when it was last reset, and */
    uint64_t moved_from; /* `moved` then */
    bool flows;          /* the queue has its length */
    bool fades_in;
    double margin;  /* frames of the device */
    double flows_s; /* since the flow began */

    /* Shared. */
    _Atomic bool quit;
    _Atomic int ring_state;     /* enum ring_state */
    _Atomic uint64_t begins_at; /* the frame with which the ring begins anew */
    _Atomic uint64_t gaps;
    _Atomic uint32_t device_block, device_latency;
    _Atomic uint32_t queue_shown;
    _Atomic int64_t drift_ppb;
    _Atomic bool settled;
};

/* ---- The device's thread --------------------------------------------------------------------- */

/* Puts the next frames into the ring: all of them, or none. */
static void interleave(struct bridge *b, const float *const *from, uint32_t frames)
{
    void *at;
    int state = atomic_load_explicit(&b->ring_state, memory_order_acquire);
    if (state == RING_EMPTIED) {
        atomic_store_explicit(&b->begins_at, b->count, memory_order_relaxed);
        atomic_store_explicit(&b->ring_state, state = RING_BEGINS, memory_order_release);
    }
    if (state != RING_OVERFLOWN && takt_ring_write_avail(b->ring) >= frames) {
        size_t room = takt_ring_reserve(b->ring, frames, &at);
        TAKT_ASSERT(room == frames);
        takt_interleave(at, from, b->cfg.channels, room);
        takt_ring_commit(b->ring, room);
    } else if (state != RING_OVERFLOWN) {
        atomic_store_explicit(&b->ring_state, RING_OVERFLOWN, memory_order_release);
    }
    b->count += frames;
}

/* One block at most, from the device's port or silent. */
static void take_from_port(struct bridge *b, uint32_t frames)
{
    uint32_t got = 0, status = 0;
    if (b->port && !b->away)
        got = b->port->ops->read(b->port, b->theirs, frames, &status);
    for (uint32_t ch = 0; ch < b->cfg.channels; ch++)
        takt_silence(b->theirs[ch] + got, frames - got);
    interleave(b, (const float *const *)b->theirs, frames);
}

static void take_input(struct bridge *b, const struct takt_cycle *c)
{
    for (uint32_t at = 0, n; at < c->frames; at += n) {
        const float *from[TAKT_CHANNELS_MAX];
        n = c->frames - at < BLOCK_MAX ? c->frames - at : BLOCK_MAX;
        if (!c->in || b->away) {
            take_from_port(b, n);
            continue;
        }
        for (uint32_t ch = 0; ch < b->cfg.channels; ch++)
            from[ch] = c->in[ch] + at;
        interleave(b, from, n);
    }
}

/* Frames that the device's clock went on without us keep their place, as silence. */
static void make_up(struct bridge *b, uint64_t lost)
{
    for (uint32_t ch = 0; ch < b->cfg.channels && lost; ch++)
        takt_silence(b->theirs[ch], BLOCK_MAX);
    while (lost) {
        uint32_t piece = lost < BLOCK_MAX ? (uint32_t)lost : BLOCK_MAX;
        interleave(b, (const float *const *)b->theirs, piece);
        lost -= piece;
    }
}

static struct bridge *bridge_of(struct takt_engine *face)
{
    return (struct bridge *)(void *)((char *)face - offsetof(struct bridge, face));
}

static void go_away(struct bridge *b, bool away)
{
    uint64_t frames = away ? 0 : (uint64_t)((double)(b->count - b->away_since) * b->nominal);
    b->away = away;
    b->away_since = b->count;
    takt_engine_event(&b->cfg.core->face, away ? TAKT_EVENT_DEVICE_LOST : TAKT_EVENT_DEVICE_BACK,
                      TAKT_OK, 0, frames, b->cfg.id);
}

static bool cycle(struct takt_engine *face, const struct takt_cycle *c)
{
    struct bridge *b = bridge_of(face);
    bool away = c->flags & TAKT_DEVICE_AWAY;
    if (atomic_load_explicit(&b->quit, memory_order_acquire))
        return false;
    if (b->dll_runs)
        takt_dll_update(&b->dll, c->now_ns, c->frames, c->lost_frames);
    else
        takt_dll_start(&b->dll, c->now_ns);
    if (c->lost_frames && b->dll_runs)
        make_up(b, c->lost_frames);
    else
        b->count += c->lost_frames;
    if (away != b->away)
        go_away(b, away);
    b->dll_runs = true;
    take_input(b, c);
    takt_snapshot_write(b->seen, &(struct seen){.count = b->count,
                                                .at_ns = takt_dll_due(&b->dll),
                                                .frame_ns = b->dll.frame_ns});
    return true;
}

static void host_block(struct takt_engine *face, uint32_t frames)
{
    atomic_store_explicit(&bridge_of(face)->device_block, frames, memory_order_relaxed);
}

static void latency(struct takt_engine *face, uint32_t in_frames, uint32_t out_frames)
{
    struct bridge *b = bridge_of(face);
    atomic_store_explicit(&b->device_latency, in_frames, memory_order_relaxed);
}

static void service(struct takt_engine *face)
{
    struct bridge *b = bridge_of(face);
    if (b->port && b->port->ops->service)
        b->port->ops->service(b->port);
}

static void event(struct takt_engine *face, enum takt_event_type type, enum takt_err code,
                  int os_errno, uint64_t value, const char *text)
{
    takt_engine_event(&bridge_of(face)->cfg.core->face, type, code, os_errno, value, text);
}

static const struct takt_engine_ops engine_ops = {.cycle = cycle,
                                                  .host_block = host_block,
                                                  .latency = latency,
                                                  .service = service,
                                                  .event = event};

/* ---- The stream's thread --------------------------------------------------------------------- */

/* The line at this instant; false before the device's first cycle. */
static bool device_position(const struct bridge *b, double *out, double *frame_ns)
{
    struct seen s;
    if (!takt_snapshot_read(b->seen, &s) || !s.count)
        return false;
    int64_t now = takt_dll_due(&b->cfg.core->dll);
    *out = (double)s.count + (double)(now - s.at_ns) / s.frame_ns;
    *frame_ns = s.frame_ns;
    return true;
}

/* How long the queue has to be, in the device's frames. */
static double wished(const struct bridge *b, uint32_t frames)
{
    double block = frames / b->nominal;
    uint32_t theirs = atomic_load_explicit(&b->device_block, memory_order_relaxed);
    return block + theirs + b->margin;
}

static void show(struct bridge *b, double queue)
{
    /* From the line to the converter: see the beginning. */
    uint32_t theirs = atomic_load_explicit(&b->device_block, memory_order_relaxed);
    uint32_t device = atomic_load_explicit(&b->device_latency, memory_order_relaxed);
    double delay = takt_resampler_delay_frames(b->resampler);
    double own = (queue - theirs + delay) * b->nominal;
    atomic_store_explicit(&b->queue_shown, (uint32_t)lround(own), memory_order_relaxed);
    atomic_store_explicit(&b->cfg.core->in.latency_frames,
                          (uint32_t)lround(own + device * b->nominal), memory_order_relaxed);
    atomic_store_explicit(&b->drift_ppb, (int64_t)(b->drift.drift * 1e9), memory_order_relaxed);
}

static void gap(struct bridge *b)
{
    double most = margin_s_max * b->cfg.own_hz;
    b->flows = false;
    b->margin =
        b->margin + margin_s * b->cfg.own_hz < most ? b->margin + margin_s * b->cfg.own_hz : most;
    atomic_fetch_add_explicit(&b->gaps, 1, memory_order_relaxed);
}

/* Frames of the device that this side has used up, to a part of one. */
static double used(const struct bridge *b)
{
    return (double)b->moved_from + takt_resampler_position(b->resampler) - b->from;
}

static void begin_flow(struct bridge *b)
{
    takt_resampler_reset(b->resampler);
    takt_drift_jump(&b->drift);
    b->from = takt_resampler_position(b->resampler);
    b->moved_from = b->moved;
    b->flows = b->fades_in = true;
    b->flows_s = 0;
}

/* Is what the ring has known? Not after it has overflown, until it has begun anew. */
static bool is_known(struct bridge *b)
{
    int state = atomic_load_explicit(&b->ring_state, memory_order_acquire);
    if (state == RING_BEGINS) {
        b->flows = false;
        b->moved = atomic_load_explicit(&b->begins_at, memory_order_relaxed);
        if (atomic_compare_exchange_strong(&b->ring_state, &state, RING_FLOWS))
            return true;
    }
    if (state == RING_OVERFLOWN) {
        takt_ring_advance(b->ring, takt_ring_read_avail(b->ring));
        b->flows = false;
        atomic_fetch_add_explicit(&b->gaps, 1, memory_order_relaxed);
        atomic_store_explicit(&b->ring_state, RING_EMPTIED, memory_order_release);
    }
    return state == RING_FLOWS;
}

static void run_virtual(struct bridge *b)
{
    if (b->driver->ops->advance && b->cfg.driver.stepped)
        b->driver->ops->advance(b->driver, b->cfg.core->cycle->now_ns);
}

/* Drops what is too much of the queue; false when there is too little yet. */
static bool fill_up(struct bridge *b, double position, double wish)
{
    double excess = position - (double)b->moved - wish;
    if (excess < 0)
        return false;
    uint64_t drop = (uint64_t)excess;
    b->moved += takt_ring_advance(b->ring, drop);
    if (position - (double)b->moved - wish >= 1)
        return false; /* the line is ahead of what is there by more than a block: wait */
    begin_flow(b);
    return true;
}

static void fade_in(struct bridge *b, float *const *out, uint32_t frames)
{
    uint32_t n = frames < FADE_FRAMES ? frames : FADE_FRAMES;
    for (uint32_t c = 0; b->fades_in && c < b->cfg.channels; c++)
        takt_scale_ramp(out[c], out[c], 0, 1, n);
    b->fades_in = false;
}

/* The most frames that `there` frames of the device make. */
static uint32_t makes(const struct bridge *b, size_t there, uint32_t most)
{
    uint32_t low = 0, high = most;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (takt_resampler_need(b->resampler, middle) <= there)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void pull(struct bridge *b, float *const *out, uint32_t frames)
{
    const void *at;
    size_t need = takt_resampler_need(b->resampler, frames);
    size_t got = takt_ring_peek(b->ring, need, &at);
    TAKT_ASSERT(got == need && need <= b->ours_frames);
    takt_deinterleave(b->ours, at, b->cfg.channels, need);
    takt_ring_advance(b->ring, need);
    b->moved += need;
    takt_resampler_process(b->resampler, (const float *const *)b->ours, need, out, frames);
}

static uint32_t bridge_read(struct takt_port *base, float *const *out, uint32_t frames,
                            uint32_t *status)
{
    struct bridge *b = (struct bridge *)base;
    double position, frame_ns, wish = wished(b, frames);
    run_virtual(b);
    if (!is_known(b) || !device_position(b, &position, &frame_ns) ||
        (!b->flows && !fill_up(b, position, wish))) {
        *status |= atomic_load(&b->gaps) ? TAKT_PORT_SHORT : 0;
        for (uint32_t c = 0; c < b->cfg.channels; c++)
            takt_silence(out[c], frames);
        return frames;
    }
    double queue = position - used(b);
    b->flows_s += (double)frames / b->cfg.rate_hz;
    atomic_store_explicit(&b->settled, b->flows_s >= SETTLED_S, memory_order_relaxed);
    double faster = takt_drift_update(&b->drift, queue - wish, (double)frames / b->cfg.rate_hz);
    takt_resampler_set_ratio(b->resampler, b->nominal / (1 + faster));
    show(b, wish);
    uint32_t made = makes(b, takt_ring_read_avail(b->ring), frames);
    if (made)
        pull(b, out, made);
    fade_in(b, out, made);
    if (made == frames)
        return frames;
    uint32_t fade = made < FADE_FRAMES ? made : FADE_FRAMES;
    for (uint32_t c = 0; c < b->cfg.channels; c++)
        takt_scale_ramp(out[c] + made - fade, out[c] + made - fade, 1, 0, fade);
    gap(b);
    *status |= TAKT_PORT_SHORT;
    return made;
}

/* The stream's clock went on without us, and the device's as well: what came meanwhile is dropped,
 * and the next block finds its place again. */
static void bridge_lost(struct takt_port *base, uint64_t frames)
{
    struct bridge *b = (struct bridge *)base;
    run_virtual(b);
    if (is_known(b))
        b->moved += takt_ring_advance(b->ring, (uint64_t)((double)frames / b->nominal));
    b->flows = false;
}

/* ---- Control --------------------------------------------------------------------------------- */

static int64_t timeout_ns(const struct bridge *b)
{
    return b->cfg.driver.timeout_ns;
}

static int bridge_start(struct takt_port *base, struct takt_error *e)
{
    struct bridge *b = (struct bridge *)base;
    takt_ring_reset(b->ring);
    takt_dll_init(&b->dll, 1.0, b->cfg.own_hz, b->driver->host_block_frames);
    takt_drift_init(&b->drift, b->cfg.own_hz);
    takt_snapshot_write(b->seen, &(struct seen){.count = 0});
    uint64_t version = takt_snapshot_version(b->seen);
    b->count = b->moved = b->away_since = 0;
    atomic_store(&b->ring_state, RING_FLOWS);
    b->dll_runs = b->away = b->flows = false;
    b->margin = margin_s * b->cfg.own_hz;
    atomic_store(&b->quit, false);
    atomic_store(&b->gaps, 0);
    atomic_store(&b->settled, false);
    b->flows_s = 0;
    int err = b->port && b->port->ops->start ? b->port->ops->start(b->port, e) : 0;
    if (err < 0)
        return err;
    if ((err = b->driver->ops->start(b->driver, e)) < 0) {
        if (b->port && b->port->ops->stop)
            b->port->ops->stop(b->port, NULL);
        return err;
    }
    show(b, wished(b, b->cfg.block_frames_max));
    int64_t until = takt_now_ns() + timeout_ns(b);
    while (!b->cfg.driver.stepped && takt_snapshot_version(b->seen) == version) {
        if (takt_now_ns() >= until) {
            base->ops->stop(base, NULL);
            return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "%.100s: gave no block in time", b->cfg.id);
        }
        takt_sleep_ms(1);
    }
    return 0;
}

static int bridge_stop(struct takt_port *base, struct takt_error *e)
{
    struct bridge *b = (struct bridge *)base;
    atomic_store(&b->quit, true);
    int err = b->driver->ops->stop(b->driver, timeout_ns(b), e);
    if (b->port && b->port->ops->stop) {
        int late = b->port->ops->stop(b->port, err < 0 ? NULL : e);
        err = err < 0 ? err : late;
    }
    return err;
}

static void bridge_close(struct takt_port *base)
{
    struct bridge *b = (struct bridge *)base;
    if (b->driver)
        b->driver->ops->close(b->driver);
    if (b->port)
        b->port->ops->close(b->port);
    takt_resampler_destroy(b->resampler);
    takt_snapshot_destroy(b->seen);
    takt_ring_destroy(b->ring);
    takt_rt_free(b->memory);
    takt_rt_free(b);
}

static const struct takt_port_ops port_ops = {.read = bridge_read,
                                              .lost = bridge_lost,
                                              .start = bridge_start,
                                              .stop = bridge_stop,
                                              .close = bridge_close};

/* ---- Opening --------------------------------------------------------------------------------- */

static int open_device(struct bridge *b, struct takt_error *e)
{
    struct takt_driver_cfg driver = b->cfg.driver;
    driver.in_rest = b->cfg.rest;
    driver.in_channels = b->cfg.channels;
    driver.rate_hz = b->cfg.own_hz;
    driver.engine = &b->face;
    int err = b->cfg.backend->open_driver(&driver, &b->driver, e);
    if (err < 0)
        return err;
    if (driver.stepped && !b->driver->ops->advance)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.100s: has no virtual clock", b->cfg.id);
    if (b->driver->serves_in)
        return 0;
    return b->cfg.backend->open_port(&(struct takt_port_cfg){.rest = b->cfg.rest,
                                                             .is_input = true,
                                                             .rate_hz = b->cfg.own_hz,
                                                             .channels = b->cfg.channels,
                                                             .block_frames_max = BLOCK_MAX,
                                                             .clock = driver.clock,
                                                             .seed = driver.seed,
                                                             .timeout_ns = driver.timeout_ns,
                                                             .engine = &b->face},
                                     &b->port, e);
}

/* Two of the longest blocks each way, and as much margin as there may ever be. */
static size_t ring_frames(const struct bridge *b)
{
    double ours = b->cfg.block_frames_max / b->nominal;
    return (size_t)(2 * ours) + 2 * BLOCK_MAX + (size_t)(2 * margin_s_max * b->cfg.own_hz);
}

static int take_memory(struct bridge *b, struct takt_error *e)
{
    uint32_t channels = b->cfg.channels;
    b->ours_frames = (uint32_t)(b->cfg.block_frames_max / b->nominal * 1.1) + 256;
    size_t each = (size_t)BLOCK_MAX + b->ours_frames;
    b->memory = takt_rt_alloc(each * channels * sizeof(float));
    if (!b->memory)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    for (uint32_t c = 0; c < channels; c++) {
        b->theirs[c] = b->memory + each * c;
        b->ours[c] = b->theirs[c] + BLOCK_MAX;
    }
    int err = takt_ring_create(
        &(struct takt_ring_cfg){.elem_bytes = channels * sizeof(float), .capacity = ring_frames(b)},
        &b->ring, e);
    if (!err)
        err = takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof(struct seen)},
                                   &b->seen, e);
    if (!err)
        err = takt_resampler_create(
            &(struct takt_resampler_cfg){
                .channels = channels, .ratio = b->nominal, .frames_max = b->cfg.block_frames_max},
            &b->resampler, e);
    return err;
}

int takt_bridge_open(const struct takt_bridge_cfg *cfg, struct takt_port **out,
                     struct takt_error *e)
{
    *out = NULL;
    struct bridge *b = takt_rt_alloc(sizeof *b);
    if (!b)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    b->base.ops = &port_ops;
    b->face.ops = &engine_ops;
    b->cfg = *cfg;
    b->nominal = (double)cfg->rate_hz / cfg->own_hz;
    int err = take_memory(b, e);
    if (!err)
        err = open_device(b, e);
    if (err < 0) {
        bridge_close(&b->base);
        return err;
    }
    b->device_block = b->driver->host_block_frames;
    b->device_latency = b->driver->latency_in_frames;
    b->margin = margin_s * cfg->own_hz;
    show(b, wished(b, cfg->block_frames_max));
    *out = &b->base;
    return 0;
}

void takt_bridge_read_state(const struct takt_port *port, struct takt_bridge_state *out)
{
    const struct bridge *b = (const struct bridge *)port;
    *out = (struct takt_bridge_state){
        .drift_ppm = (double)atomic_load_explicit(&b->drift_ppb, memory_order_relaxed) / 1e3,
        .queue_frames = atomic_load_explicit(&b->queue_shown, memory_order_relaxed),
        .gaps = atomic_load_explicit(&b->gaps, memory_order_relaxed),
        .settled = atomic_load_explicit(&b->settled, memory_order_relaxed)};
}
