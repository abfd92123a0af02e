/*
 * A recording as a source. The worker keeps the ring full, about a second ahead; the device thread
 * copies out of it. `ended` is set after the last frame is in the ring, so a reader that sees it
 * and then finds the ring empty has had everything.
 */
#include "base/fail.h"
#include "device/file_place.h"
#include "device/file_port.h"
#include "device/file_worker.h"
#include "takt/ring.h"
#include "takt/time.h"

#include <sndfile.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_FRAMES = 4096, LOOK_MS = 20 };

struct source {
    struct takt_port base;
    struct takt_port_cfg cfg;
    char *path;
    SNDFILE *file;
    SF_INFO info;
    struct takt_ring *ring; /* frames of the file's channels */
    struct takt_file_worker worker;
    _Atomic bool ended;
    uint64_t frames_read;
    int hold_fd; /* keeps recordings off the file, or -1 */
};

/* ---- Device thread --------------------------------------------------------------------------- */

static uint32_t source_read(struct takt_port *base, float *const *out, uint32_t frames,
                            uint32_t *status)
{
    struct source *s = (struct source *)base;
    bool ended = atomic_load_explicit(&s->ended, memory_order_acquire);
    const void *oldest;
    uint32_t got = (uint32_t)takt_ring_peek(s->ring, frames, &oldest);
    const float *from = oldest;
    uint32_t stride = (uint32_t)s->info.channels;
    for (uint32_t c = 0; c < s->cfg.channels; c++)
        for (uint32_t i = 0; i < got; i++)
            out[c][i] = from[(size_t)i * stride + c];
    takt_ring_advance(s->ring, got);
    if (ended && !takt_ring_read_avail(s->ring))
        *status = TAKT_PORT_ENDED;
    else if (got < frames)
        *status = TAKT_PORT_SHORT;
    return got;
}

/* ---- Worker ---------------------------------------------------------------------------------- */

static void finish(struct source *s)
{
    char text[200];
    uint64_t expected = (uint64_t)s->info.frames;
    if (sf_error(s->file) || (s->frames_read < expected && expected < (uint64_t)SF_COUNT_MAX)) {
        snprintf(text, sizeof text, "%s: damaged; it ends after %.3f s", takt_file_tail(s->path),
                 (double)s->frames_read / s->info.samplerate);
        takt_file_worker_event(&s->worker, TAKT_EVENT_LOG, TAKT_ERR_FORMAT, 0, 0, text);
    }
    atomic_store_explicit(&s->ended, true, memory_order_release);
}

/* Fills the ring as far as it goes. */
static void fill(struct source *s)
{
    while (!atomic_load_explicit(&s->ended, memory_order_relaxed)) {
        void *to;
        sf_count_t want = (sf_count_t)takt_ring_reserve(s->ring, PIECE_FRAMES, &to);
        if (!want)
            return;
        sf_count_t got = sf_readf_float(s->file, to, want);
        got = got < 0 ? 0 : got;
        takt_ring_commit(s->ring, (size_t)got);
        s->frames_read += (uint64_t)got;
        if (got < want)
            finish(s);
    }
}

static void source_service(struct takt_port *base)
{
    struct source *s = (struct source *)base;
    if (takt_ring_read_avail(s->ring) < s->cfg.block_frames_max)
        fill(s);
}

static void work(void *arg)
{
    struct source *s = arg;
    while (!atomic_load(&s->worker.quit) && !atomic_load(&s->ended)) {
        fill(s);
        takt_wake_wait(&s->worker.wake, takt_now_ns() + LOOK_MS * 1000000ll);
    }
}

/* ---- Control --------------------------------------------------------------------------------- */

static int hangs(const struct source *s, struct takt_error *e)
{
    return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "%s: the disk does not answer",
                     takt_file_tail(s->path));
}

static int source_start(struct takt_port *base, struct takt_error *e)
{
    struct source *s = (struct source *)base;
    if (!takt_file_worker_stop(&s->worker, 0))
        return hangs(s, e);
    if (s->frames_read && sf_seek(s->file, 0, SEEK_SET) != 0)
        return takt_fail(e, TAKT_ERR_IO, 0, "%s: cannot go back to its beginning: %s",
                         takt_file_tail(s->path), sf_strerror(s->file));
    takt_ring_reset(s->ring);
    s->frames_read = 0;
    atomic_store(&s->ended, false);
    fill(s);
    return s->cfg.clock == TAKT_CLOCK_VIRTUAL
               ? 0
               : takt_file_worker_start(&s->worker, "takt-read", work, e);
}

static int source_stop(struct takt_port *base, struct takt_error *e)
{
    struct source *s = (struct source *)base;
    return takt_file_worker_stop(&s->worker, s->cfg.timeout_ns) ? 0 : hangs(s, e);
}

static void release(void *port)
{
    struct source *s = port;
    if (s->file)
        sf_close(s->file);
    takt_file_let_go(s->hold_fd);
    takt_ring_destroy(s->ring);
    free(s->path);
    free(s);
}

static void source_close(struct takt_port *base)
{
    struct source *s = (struct source *)base;
    takt_file_worker_leave(&s->worker, s->cfg.timeout_ns);
}

static const struct takt_port_ops ops = {.read = source_read,
                                         .start = source_start,
                                         .service = source_service,
                                         .stop = source_stop,
                                         .close = source_close};

static int open_source(struct source *s, struct takt_error *e)
{
    s->path = strdup(s->cfg.rest);
    if (!s->path)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    s->hold_fd = takt_file_hold(s->path);
    s->file = takt_file_open_sound(s->path, &s->info, e);
    if (!s->file)
        return e ? (int)e->code : TAKT_ERR_NOT_FOUND;
    if ((uint32_t)s->info.samplerate != s->cfg.rate_hz)
        return takt_fail(
            e, TAKT_ERR_UNSUPPORTED, 0, "%s: is at %d Hz, the stream at %u; set the rate to %d",
            takt_file_tail(s->path), s->info.samplerate, s->cfg.rate_hz, s->info.samplerate);
    if ((uint32_t)s->info.channels < s->cfg.channels)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: has %d channel%s, not %u",
                         takt_file_tail(s->path), s->info.channels,
                         s->info.channels == 1 ? "" : "s", s->cfg.channels);
    uint64_t ahead = s->cfg.rate_hz + 4ull * s->cfg.block_frames_max;
    return takt_ring_create(
        &(struct takt_ring_cfg){.elem_bytes = (size_t)s->info.channels * sizeof(float),
                                .capacity = (size_t)ahead},
        &s->ring, e);
}

int takt_file_open_source(const struct takt_port_cfg *cfg, struct takt_port **out,
                          struct takt_error *e)
{
    struct takt_error local;
    *out = NULL;
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    s->base.ops = &ops;
    s->cfg = *cfg;
    s->hold_fd = -1;
    s->worker = (struct takt_file_worker){.release = release, .port = s, .engine = cfg->engine};
    int err = open_source(s, e ? e : &local);
    if (err < 0) {
        source_close(&s->base);
        return err;
    }
    *out = &s->base;
    return 0;
}
