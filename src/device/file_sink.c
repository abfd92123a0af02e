/*
 * A recording being made. The device thread puts frames into a ring that holds buffer_s of them;
 * the worker takes them to disk every few milliseconds, and every quarter of a second lets the
 * headers follow. A disk that stalls for no longer than that loses nothing; of one that stalls
 * longer, just the frames that find no room are lost. Silence is written in their place, so that
 * what comes after stays in time, and how many they were and where is counted and told.
 *
 * Silence is never put into the ring: a mark says how much of it stands before which frame. There
 * are MARKS of them; while they are all in use, frames behind a gap find no room either.
 *
 * The ring is locked in RAM where the limit allows, since memory gets short just when a disk
 * stalls, and the device thread must not wait for the disk through a page fault. It takes no more
 * than half of the limit: the streams' own memory is worth more.
 *
 * Invariants: `written` counts frames put into the ring, `position` these and all silence; marks
 * come in the order of their frames, and a mark is visible before the frames behind it.
 */
#include "base/fail.h"
#include "device/file_loss.h"
#include "device/file_place.h"
#include "device/file_port.h"
#include "device/file_worker.h"
#include "device/file_writer.h"
#include "takt/memory.h"
#include "takt/ring.h"
#include "takt/time.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PIECE_FRAMES = 1024, MARKS = 4096, LOOK_NS = 10000000, SETTLE_NS = 250000000 };

struct mark {
    uint64_t frame, silence;
    struct takt_gap lost; /* of the silence, what found no room in the ring, and from where on */
};

struct sink {
    struct takt_port base;
    struct takt_port_cfg cfg;
    char *path;
    struct takt_ring *ring, *marks;
    float *silence; /* [PIECE_FRAMES] frames of it */
    bool locked;
    /* The device thread's. */
    uint64_t written, position;
    struct mark pending; /* silence not yet marked */
    struct takt_file_loss loss;
    /* The worker's. */
    struct takt_file_writer *writer;
    uint64_t taken;         /* frames out of the ring */
    struct takt_gap untold; /* lost frames that no event has told of, and from where on */
    uint64_t untold_gaps;
    struct mark mark;
    bool has_mark;
    int64_t settled_ns;
    struct takt_error failure;
    /* Shared. */
    struct takt_file_worker worker;
    _Atomic bool failed;
    _Atomic uint64_t recorded, fullest; /* the worker's: frames on disk; most that ever waited */
};

/* ---- Device thread --------------------------------------------------------------------------- */

/* False when there is no room for the mark. */
static bool mark_silence(struct sink *s)
{
    if (!s->pending.silence)
        return true;
    s->pending.frame = s->written;
    if (!takt_ring_write_all(s->marks, &s->pending, 1))
        return false;
    s->pending = (struct mark){0};
    return true;
}

static void lose(struct sink *s, uint32_t frames)
{
    if (!s->pending.lost.frames)
        s->pending.lost.position = s->position;
    s->pending.lost.frames += frames;
    s->pending.silence += frames;
    takt_file_loss_note(&s->loss, s->position, frames);
    s->position += frames;
}

static uint32_t sink_write(struct takt_port *base, const float *const *in, uint32_t frames,
                           uint32_t *status)
{
    struct sink *s = (struct sink *)base;
    if (atomic_load_explicit(&s->failed, memory_order_relaxed)) {
        *status = TAKT_PORT_ENDED;
        return 0;
    }
    void *room;
    uint32_t fits = (uint32_t)takt_ring_reserve(s->ring, frames, &room);
    /* A gap that grows needs no mark before its end, however many blocks it takes. */
    uint32_t count = fits && mark_silence(s) ? fits : 0, channels = s->cfg.channels;
    float *to = room;
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < count; i++)
            to[(size_t)i * channels + c] = in[c][i];
    takt_ring_commit(s->ring, count);
    s->written += count;
    s->position += count;
    if (count < frames) {
        *status = TAKT_PORT_FULL;
        lose(s, frames - count);
    }
    return count;
}

static void sink_lost(struct takt_port *base, uint64_t frames)
{
    struct sink *s = (struct sink *)base;
    s->pending.silence += frames;
    s->position += frames;
    mark_silence(s);
}

/* ---- Any thread ------------------------------------------------------------------------------ */

static void sink_recording(const struct takt_port *base, struct takt_recording *out)
{
    const struct sink *s = (const struct sink *)base;
    out->buffer_s = s->cfg.buffer_s;
    out->buffer_frames = takt_ring_capacity(s->ring);
    out->buffer_bytes = out->buffer_frames * s->cfg.channels * sizeof(float);
    out->buffer_locked = s->locked;
    out->fullest_frames = atomic_load_explicit(&s->fullest, memory_order_relaxed);
    out->recorded_frames = atomic_load_explicit(&s->recorded, memory_order_relaxed);
    takt_file_loss_read(&s->loss, out);
}

/* ---- Worker ---------------------------------------------------------------------------------- */

static void fail(struct sink *s, const struct takt_error *e)
{
    char text[200];
    uint64_t recorded = atomic_load_explicit(&s->recorded, memory_order_relaxed);
    s->failure = *e;
    atomic_store(&s->failed, true);
    snprintf(text, sizeof text, "%.140s after %.1f s; the recording ends there and is whole",
             e->text, (double)recorded / s->cfg.rate_hz);
    takt_file_worker_event(&s->worker, TAKT_EVENT_SINK_FAILED, e->code, e->os_errno, recorded,
                           text);
}

/* Tells of what was lost once a second of it and what came after is written, or now: so a disk that
 * is always a little too slow makes an event a second. */
static void tell_loss(struct sink *s, bool now)
{
    char text[200];
    uint64_t since = atomic_load_explicit(&s->recorded, memory_order_relaxed) - s->untold.position;
    if (!s->untold.frames || (!now && since < s->cfg.rate_hz))
        return;
    takt_file_loss_text(text, sizeof text, s->path, s->cfg.rate_hz, s->untold, s->untold_gaps);
    takt_file_worker_event(&s->worker, TAKT_EVENT_SINK_LOST, TAKT_ERR_FULL, 0, s->untold.frames,
                           text);
    s->untold = (struct takt_gap){0};
    s->untold_gaps = 0;
}

static void note_loss(struct sink *s, const struct takt_gap *lost)
{
    if (!lost->frames)
        return;
    if (!s->untold.frames)
        s->untold.position = lost->position;
    s->untold.frames += lost->frames;
    s->untold_gaps++;
}

/* Lets the headers follow, when it is time: that of the wall, on any clock. */
static void settle(struct sink *s)
{
    struct takt_error e;
    int64_t now_ns = takt_now_ns();
    if (now_ns - s->settled_ns < SETTLE_NS)
        return;
    s->settled_ns = now_ns;
    if (!atomic_load(&s->failed) && s->writer && s->writer->ops->settle(s->writer, &e) < 0)
        fail(s, &e);
}

static bool put(struct sink *s, const float *frames, uint64_t count)
{
    struct takt_error e;
    if (atomic_load_explicit(&s->failed, memory_order_relaxed) || !s->writer)
        return false;
    if (s->writer->ops->write(s->writer, frames, (uint32_t)count, &e) < 0) {
        fail(s, &e);
        return false;
    }
    atomic_fetch_add_explicit(&s->recorded, count, memory_order_relaxed);
    settle(s); /* on a disk that only just keeps up, there is no later */
    return true;
}

static void put_silence(struct sink *s, uint64_t frames)
{
    while (frames) {
        uint64_t n = frames < PIECE_FRAMES ? frames : PIECE_FRAMES;
        if (!put(s, s->silence, n))
            return;
        frames -= n;
    }
}

/* On a virtual clock nothing waits, and when the disk is served is not the stream's to tell. */
static void note_fullest(struct sink *s)
{
    if (s->cfg.clock == TAKT_CLOCK_VIRTUAL)
        return;
    uint64_t waits = takt_ring_read_avail(s->ring);
    if (waits > atomic_load_explicit(&s->fullest, memory_order_relaxed))
        atomic_store_explicit(&s->fullest, waits, memory_order_relaxed);
}

/* Takes everything that waits to disk. */
static void drain(struct sink *s)
{
    for (;;) {
        const void *frames;
        note_fullest(s);
        uint64_t ready = takt_ring_peek(s->ring, PIECE_FRAMES, &frames);
        if (!s->has_mark)
            s->has_mark = takt_ring_read_all(s->marks, &s->mark, 1);
        if (s->has_mark && s->mark.frame == s->taken) {
            put_silence(s, s->mark.silence);
            note_loss(s, &s->mark.lost);
            s->has_mark = false;
            continue;
        }
        uint64_t before = s->has_mark ? s->mark.frame - s->taken : UINT64_MAX;
        uint64_t count = ready < before ? ready : before;
        if (!count)
            return;
        put(s, frames, count);
        takt_ring_advance(s->ring, (size_t)count);
        s->taken += count;
        tell_loss(s, false);
    }
}

static void sink_service(struct takt_port *base)
{
    struct sink *s = (struct sink *)base;
    if (takt_ring_write_avail(s->ring) <= s->cfg.block_frames_max ||
        takt_ring_write_avail(s->marks) < 2 || takt_now_ns() - s->settled_ns >= SETTLE_NS) {
        drain(s);
        settle(s);
    }
}

static int close_writer(struct sink *s, struct takt_error *e)
{
    struct takt_file_writer *w = s->writer;
    s->writer = NULL;
    return w ? w->ops->close(w, e) : 0;
}

/* The device thread is done: writes what is left, and completes the file. */
static void finish(struct sink *s)
{
    struct takt_error e;
    drain(s);
    mark_silence(s); /* there is room for its mark now */
    drain(s);
    tell_loss(s, true);
    if (close_writer(s, &e) < 0 && !atomic_load(&s->failed))
        fail(s, &e);
}

static void work(void *arg)
{
    struct sink *s = arg;
    while (!atomic_load(&s->worker.quit)) {
        drain(s);
        settle(s);
        takt_wake_wait(&s->worker.wake, takt_now_ns() + LOOK_NS);
    }
    finish(s); /* here, so that a disk that hangs does not take the control thread with it */
}

/* ---- Control --------------------------------------------------------------------------------- */

static struct takt_file_writer_cfg writer_cfg(const struct sink *s)
{
    return (struct takt_file_writer_cfg){.path = s->path,
                                         .rate_hz = s->cfg.rate_hz,
                                         .channels = s->cfg.channels,
                                         .format = s->cfg.format,
                                         .dither = s->cfg.dither,
                                         .clip = s->cfg.clip,
                                         .seed = s->cfg.seed,
                                         .replays = s->cfg.clock == TAKT_CLOCK_VIRTUAL};
}

static int hangs(const struct sink *s, struct takt_error *e)
{
    uint64_t recorded = atomic_load_explicit(&s->recorded, memory_order_relaxed);
    return takt_fail(e, TAKT_ERR_TIMEOUT, 0,
                     "%s: the disk does not answer; the last %.3f s are not written",
                     takt_file_tail(s->path), (double)(s->position - recorded) / s->cfg.rate_hz);
}

/* Keeps the ring in RAM, if it takes no more than half of what may be kept there. */
static void lock_ring(struct sink *s)
{
    struct rlimit limit;
    void *at;
    size_t frames = takt_ring_reserve(s->ring, takt_ring_capacity(s->ring), &at);
    size_t bytes = frames * s->cfg.channels * sizeof(float);
    bool may =
        geteuid() == 0 || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && bytes <= limit.rlim_cur / 2);
    s->locked = s->locked || (may && takt_memory_lock(at, bytes, NULL) == 0);
}

static int sink_start(struct takt_port *base, struct takt_error *e)
{
    struct sink *s = (struct sink *)base;
    if (!takt_file_worker_stop(&s->worker, 0))
        return hangs(s, e);
    struct takt_file_writer_cfg cfg = writer_cfg(s);
    takt_ring_reset(s->ring);
    takt_ring_reset(s->marks);
    lock_ring(s);
    takt_file_loss_reset(&s->loss);
    s->written = s->position = s->taken = s->untold_gaps = 0;
    atomic_store(&s->recorded, 0);
    atomic_store(&s->fullest, 0);
    s->pending = (struct mark){0};
    s->untold = (struct takt_gap){0};
    s->has_mark = false;
    s->settled_ns = takt_now_ns();
    atomic_store(&s->failed, false);
    int err = takt_file_writer_open(&cfg, &s->writer, e);
    if (err < 0 || s->cfg.clock == TAKT_CLOCK_VIRTUAL)
        return err;
    err = takt_file_worker_start(&s->worker, "takt-write", work, e);
    if (err < 0)
        close_writer(s, NULL);
    return err;
}

static int sink_stop(struct takt_port *base, struct takt_error *e)
{
    struct sink *s = (struct sink *)base;
    if (!takt_file_worker_stop(&s->worker, s->cfg.timeout_ns))
        return hangs(s, e);
    finish(s); /* nothing is left to do where a worker did it */
    if (!atomic_load(&s->failed))
        return 0;
    return takt_fail(e, s->failure.code, 0, "%s", s->failure.text);
}

static void release(void *port)
{
    struct sink *s = port;
    close_writer(s, NULL);
    takt_ring_destroy(s->ring);
    takt_ring_destroy(s->marks);
    takt_file_loss_fini(&s->loss);
    free(s->silence);
    free(s->path);
    free(s);
}

static void sink_close(struct takt_port *base)
{
    struct sink *s = (struct sink *)base;
    takt_file_worker_leave(&s->worker, s->cfg.timeout_ns);
}

static const struct takt_port_ops ops = {.write = sink_write,
                                         .lost = sink_lost,
                                         .start = sink_start,
                                         .service = sink_service,
                                         .stop = sink_stop,
                                         .close = sink_close,
                                         .recording = sink_recording};

static int make_ring(struct sink *s, struct takt_error *e)
{
    size_t frame_bytes = s->cfg.channels * sizeof(float), most = ((size_t)1 << 30) / frame_bytes;
    double frames = ceil(s->cfg.buffer_s * s->cfg.rate_hz) + 4.0 * s->cfg.block_frames_max;
    if (frames > (double)most)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%s: a buffer of %g s takes more than 1 GiB at %u channels and %u Hz; "
                         "make it shorter",
                         takt_file_tail(s->path), s->cfg.buffer_s, s->cfg.channels, s->cfg.rate_hz);
    return takt_ring_create(
        &(struct takt_ring_cfg){.elem_bytes = frame_bytes, .capacity = (size_t)frames}, &s->ring,
        e);
}

static int open_sink(struct sink *s, struct takt_error *e)
{
    s->path = strdup(s->cfg.rest);
    if (!s->path)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    struct takt_file_writer_cfg cfg = writer_cfg(s);
    int err = takt_file_writer_check(&cfg, e);
    int fd = -1;
    if (err >= 0)
        err = takt_file_claim(s->path, &fd, e); /* again at start: others may want it until then */
    takt_file_let_go(fd);
    if (err < 0)
        return err;
    s->silence = calloc((size_t)PIECE_FRAMES * s->cfg.channels, sizeof *s->silence);
    if (!s->silence)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    err = make_ring(s, e);
    if (err < 0 || (err = takt_file_loss_init(&s->loss, e)) < 0)
        return err;
    return takt_ring_create(
        &(struct takt_ring_cfg){.elem_bytes = sizeof(struct mark), .capacity = MARKS}, &s->marks,
        e);
}

int takt_file_open_sink(const struct takt_port_cfg *cfg, struct takt_port **out,
                        struct takt_error *e)
{
    *out = NULL;
    struct sink *s = calloc(1, sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    s->base.ops = &ops;
    s->cfg = *cfg;
    s->cfg.buffer_s = cfg->buffer_s > 0 ? cfg->buffer_s : TAKT_BUFFER_S_DEFAULT;
    s->worker = (struct takt_file_worker){.release = release, .port = s, .engine = cfg->engine};
    int err = open_sink(s, e);
    if (err < 0) {
        sink_close(&s->base);
        return err;
    }
    *out = &s->base;
    return 0;
}
