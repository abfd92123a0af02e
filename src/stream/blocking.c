/*
 * Blocking read and write on the callback engine: a callback of our own moves whole frames
 * between the device and two rings, and the user's thread waits at the other end of them. The
 * device thread never waits for the user; what the user is late for is counted as an overflow or
 * played as silence.
 */
#include "base/fail.h"
#include "stream/stream.h"
#include "takt/time.h"

#include <string.h>

/* ---- Device thread -------------------------------------------------------------------------- */

enum takt_next takt_blocking_process(const struct takt_block *b, void *stream)
{
    struct takt_stream *s = stream;
    struct takt_blocking *k = &s->blocking;
    uint32_t played = b->frames;
    if (k->in) {
        if (takt_ring_write(k->in, b->in_data[0], b->in_frames) < b->in_frames)
            atomic_store_explicit(&k->in_overflowed, true, memory_order_relaxed);
        takt_wake_signal(&k->in_wake);
    }
    if (k->out) {
        bool begun = atomic_load_explicit(&k->out_begun, memory_order_acquire);
        played = (uint32_t)takt_ring_read(k->out, b->out_data[0], b->frames);
        if (played < b->frames && begun) {
            atomic_store_explicit(&k->out_underflowed, true, memory_order_relaxed);
            s->engine.written_frames = played;
        }
        takt_wake_signal(&k->out_wake);
    }
    if (atomic_load_explicit(&s->engine.order, memory_order_acquire) != TAKT_ORDER_DRAIN ||
        (k->out && takt_ring_read_avail(k->out)))
        return TAKT_CONTINUE;
    s->engine.trim_frames = played;
    s->engine.written_frames = UINT32_MAX; /* that is the end, not a gap */
    return TAKT_DRAIN;
}

void takt_blocking_finished(uint64_t last_frame, void *stream)
{
    struct takt_stream *s = stream;
    takt_wake_signal(&s->blocking.in_wake);
    takt_wake_signal(&s->blocking.out_wake);
    if (s->plan.cfg.finished)
        s->plan.cfg.finished(last_frame, s->plan.cfg.arg);
}

/* ---- Control thread ------------------------------------------------------------------------- */

int takt_blocking_init(struct takt_stream *s, uint32_t buffer_frames, struct takt_error *e)
{
    struct takt_blocking *k = &s->blocking;
    struct takt_core *g = &s->engine;
    uint32_t block = s->actual.block_frames_max;
    uint32_t bytes = (uint32_t)takt_sample_bytes(s->plan.cfg.format);
    uint32_t least = 2 * block;
    uint32_t frames = buffer_frames ? buffer_frames : 4 * block;
    frames = frames < least ? least : frames;
    g->process = takt_blocking_process;
    g->finished = takt_blocking_finished;
    g->arg = g->finished_arg = s;
    if (s->plan.cfg.clock == TAKT_CLOCK_VIRTUAL)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "blocking read and write need a real clock; set process or clock");
    k->in_frame_bytes = g->in.channels * bytes;
    k->out_frame_bytes = g->out.channels * bytes;
    int err = 0;
    if (g->in.channels)
        err = takt_ring_create(
            &(struct takt_ring_cfg){.elem_bytes = k->in_frame_bytes, .capacity = frames}, &k->in,
            e);
    if (!err && g->out.channels)
        err = takt_ring_create(
            &(struct takt_ring_cfg){.elem_bytes = k->out_frame_bytes, .capacity = frames}, &k->out,
            e);
    return err;
}

void takt_blocking_clear(struct takt_stream *s)
{
    struct takt_blocking *k = &s->blocking;
    if (k->in)
        takt_ring_reset(k->in);
    if (k->out)
        takt_ring_reset(k->out);
    atomic_store(&k->in_overflowed, false);
    atomic_store(&k->out_underflowed, false);
    atomic_store(&k->out_begun, false);
}

void takt_blocking_fini(struct takt_stream *s)
{
    takt_ring_destroy(s->blocking.in);
    takt_ring_destroy(s->blocking.out);
}

uint32_t takt_blocking_pending_max(const struct takt_stream *s)
{
    return s->blocking.out ? (uint32_t)takt_ring_capacity(s->blocking.out) : 0;
}

/* ---- The user's thread ---------------------------------------------------------------------- */

/* Frames of planar memory that are turned at a time. */
enum { TURN_FRAMES = 64, TURN_BYTES = TURN_FRAMES * TAKT_CHANNELS_MAX * (int)sizeof(float) };

/* Moves frames between planar memory and interleaved frames, either way. */
static void turn(char *frames, void *const *planes, size_t at, size_t count, uint32_t channels,
                 size_t bytes, bool to_planes)
{
    for (uint32_t c = 0; c < channels; c++) {
        char *plane = (char *)planes[c] + at * bytes, *frame = frames + c * bytes;
        for (size_t i = 0; i < count; i++, plane += bytes, frame += channels * bytes)
            if (to_planes)
                memcpy(plane, frame, bytes);
            else
                memcpy(frame, plane, bytes);
    }
}

/* One try: as many frames as the ring has, or has room for. */
static size_t move_frames(struct takt_stream *s, struct takt_ring *ring, void *data, size_t at,
                          size_t frames, bool is_read)
{
    struct takt_blocking *k = &s->blocking;
    size_t frame_bytes = is_read ? k->in_frame_bytes : k->out_frame_bytes;
    if (s->actual.layout == TAKT_INTERLEAVED) {
        char *from = (char *)data + at * frame_bytes;
        return is_read ? takt_ring_read(ring, from, frames) : takt_ring_write(ring, from, frames);
    }
    uint32_t channels = is_read ? s->engine.in.channels : s->engine.out.channels;
    size_t bytes = frame_bytes / channels, done = 0;
    char buffer[TURN_BYTES];
    while (done < frames) {
        size_t want = frames - done < TURN_FRAMES ? frames - done : TURN_FRAMES, got;
        if (is_read) {
            got = takt_ring_read(ring, buffer, want);
            turn(buffer, data, at + done, got, channels, bytes, true);
        } else {
            size_t room = takt_ring_write_avail(ring);
            got = want < room ? want : room;
            turn(buffer, data, at + done, got, channels, bytes, false);
            takt_ring_write(ring, buffer, got);
        }
        done += got;
        if (got < want)
            break;
    }
    return done;
}

static int64_t move_all(struct takt_stream *s, void *data, uint32_t frames, int64_t timeout_ms,
                        bool is_read)
{
    struct takt_blocking *k = &s->blocking;
    struct takt_ring *ring = is_read ? k->in : k->out;
    struct takt_wake *wake = is_read ? &k->in_wake : &k->out_wake;
    if (!ring)
        return TAKT_ERR_STATE;
    int64_t until = timeout_ms < 0 ? TAKT_WAKE_NEVER : takt_now_ns() + timeout_ms * 1000000;
    size_t done = 0;
    for (;;) {
        bool stopped =
            takt_stream_state(s) == TAKT_STATE_STOPPED || takt_stream_state(s) == TAKT_STATE_STUCK;
        if (is_read || !stopped) {
            size_t moved = move_frames(s, ring, data, done, frames - done, is_read);
            if (moved && !is_read)
                atomic_store_explicit(&k->out_begun, true, memory_order_release);
            done += moved;
        }
        if (done == frames)
            return (int64_t)done;
        if (stopped)
            return done ? (int64_t)done : TAKT_ERR_END;
        if (!takt_wake_wait(wake, until) && takt_now_ns() >= until)
            return done ? (int64_t)done : TAKT_ERR_TIMEOUT;
    }
}

int64_t takt_stream_read(struct takt_stream *s, void *data, uint32_t frames, int64_t timeout_ms,
                         bool *overflowed)
{
    if (overflowed)
        *overflowed = atomic_exchange(&s->blocking.in_overflowed, false);
    return move_all(s, data, frames, timeout_ms, true);
}

int64_t takt_stream_write(struct takt_stream *s, const void *data, uint32_t frames,
                          int64_t timeout_ms, bool *underflowed)
{
    if (underflowed)
        *underflowed = atomic_exchange(&s->blocking.out_underflowed, false);
    /* Only read; one function serves both directions. */
    return move_all(s, (void *)(uintptr_t)data, frames, timeout_ms, false);
}

uint32_t takt_stream_read_available(const struct takt_stream *s)
{
    return s->blocking.in ? (uint32_t)takt_ring_read_avail(s->blocking.in) : 0;
}

uint32_t takt_stream_write_available(const struct takt_stream *s)
{
    return s->blocking.out ? (uint32_t)takt_ring_write_avail(s->blocking.out) : 0;
}
