/*
 * The writer stores frames in one ring, in segments: runs of frames without a gap that each begin
 * on the grid of windows. A second ring holds a mark for each segment: where in the first ring it
 * begins, and where in the stream. So the reader cuts windows straight out of the ring, and goes
 * on to the next segment where the present one ends before its next window does.
 *
 * A segment begins only where there is room for a whole window, so when the reader is behind, the
 * writer leaves out whole hops in place of scattering frames that make no window. A segment ends
 * at a gap, at a frame that finds no room and, where windows do not touch (hop > size), after each
 * window, so that frames between windows take no room at all.
 *
 * Invariants: a segment's mark is published before its frames; read_index <= the index of every
 * mark not yet taken; due is on the grid, and is the position of the window at read_index.
 */
#include "takt/window.h"

#include "base/assert.h"
#include "base/fail.h"
#include "sync/line.h"
#include "takt/ring.h"

#include <stdatomic.h>

/* A mark says where a segment begins. */
struct mark {
    uint64_t index;    /* in the ring: frames stored before it, since creation */
    uint64_t position; /* in the stream */
    bool anew;         /* on a new grid, so that nothing can be said of windows in between */
};

struct takt_window {
    struct takt_ring *frames;
    struct takt_ring *marks;
    size_t size_frames;
    size_t hop_frames;
    uint32_t channels;

    alignas(TAKT_LINE_BYTES) uint64_t origin; /* the writer's: where the grid begins */
    uint64_t write_index;                     /* frames stored since creation */
    uint64_t write_end;                       /* position after the last frame written */
    uint64_t segment_left;                    /* frames the segment still takes; 0: none is open */
    bool started;
    bool anew;   /* no segment was begun on this grid */
    bool behind; /* the last segment ended, or was not begun, for want of room */
    _Atomic uint64_t dropped_frames;

    alignas(TAKT_LINE_BYTES) uint64_t read_index; /* the reader's */
    uint64_t due;
    size_t handed_out; /* frames to free when the caller is done with them */
    bool follows;      /* the window at due - hop_frames was handed out */
    _Atomic uint64_t lost;
};

/* Either plane by plane or interleaved; the other one is NULL. */
struct source {
    const float *interleaved;
    const float *const *planes;
};

static int check(const struct takt_window_cfg *c, struct takt_error *err)
{
    if (c->size_frames < 1 || c->size_frames > (size_t)1 << 24)
        return takt_fail(err, TAKT_ERR_ARG, 0, "window of %zu frames: give 1 to 2^24",
                         c->size_frames);
    if (c->hop_frames > (size_t)1 << 31)
        return takt_fail(err, TAKT_ERR_ARG, 0, "window hop of %zu frames: give 1 to 2^31",
                         c->hop_frames);
    if (c->channels > 1024)
        return takt_fail(err, TAKT_ERR_ARG, 0, "window of %u channels: give 1 to 1024",
                         c->channels);
    if (c->capacity_frames < 2 * c->size_frames)
        return takt_fail(err, TAKT_ERR_ARG, 0, "window capacity of %zu frames: give at least %zu",
                         c->capacity_frames, 2 * c->size_frames);
    return TAKT_OK;
}

/* Marks for gaps and, where each window is a segment, for as many windows as the ring holds. */
static int create_rings(struct takt_window *w, const struct takt_window_cfg *c,
                        struct takt_error *err)
{
    struct takt_ring_cfg frames = {
        .elem_bytes = c->channels * sizeof(float),
        .capacity = c->capacity_frames,
        .plain = c->plain,
    };
    struct takt_ring_cfg marks = {
        .elem_bytes = sizeof(struct mark),
        .capacity = 64 + (c->hop_frames > c->size_frames ? c->capacity_frames / c->size_frames : 0),
        .plain = true,
    };
    int code = takt_ring_create(&frames, &w->frames, err);
    return code < 0 ? code : takt_ring_create(&marks, &w->marks, err);
}

int takt_window_create(const struct takt_window_cfg *cfg, struct takt_window **out,
                       struct takt_error *err)
{
    *out = NULL;
    struct takt_window_cfg c = *cfg;
    if (!c.hop_frames)
        c.hop_frames = c.size_frames;
    if (!c.channels)
        c.channels = 1;
    if (!c.capacity_frames)
        c.capacity_frames = 2 * c.size_frames + 16384;
    int code = check(&c, err);
    if (code < 0)
        return code;
    struct takt_window *w = takt_line_alloc(sizeof *w);
    if (!w)
        return takt_fail(err, TAKT_ERR_NOMEM, 0, "window: no memory");
    w->size_frames = c.size_frames;
    w->hop_frames = c.hop_frames;
    w->channels = c.channels;
    code = create_rings(w, &c, err);
    if (code < 0) {
        takt_window_destroy(w);
        return code;
    }
    *out = w;
    return TAKT_OK;
}

void takt_window_destroy(struct takt_window *w)
{
    if (!w)
        return;
    takt_ring_destroy(w->marks);
    takt_ring_destroy(w->frames);
    free(w);
}

static inline void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

/* Frames from position to the next point of the grid. */
static uint64_t frames_to_grid(const struct takt_window *w, uint64_t position)
{
    uint64_t beyond = (position - w->origin) % w->hop_frames;
    return beyond ? w->hop_frames - beyond : 0;
}

static bool open_segment(struct takt_window *w, uint64_t position)
{
    struct mark m = {.index = w->write_index, .position = position, .anew = w->anew};
    void *at;
    if (takt_ring_reserve(w->frames, w->size_frames, &at) < w->size_frames)
        return false;
    if (takt_ring_reserve(w->marks, 1, &at) < 1)
        return false;
    memcpy(at, &m, sizeof m);
    takt_ring_commit(w->marks, 1);
    w->anew = false;
    w->segment_left = w->hop_frames > w->size_frames ? w->size_frames : UINT64_MAX;
    return true;
}

static void copy_frames(const struct takt_window *w, float *to, const struct source *from,
                        size_t first, size_t frames)
{
    uint32_t channels = w->channels;
    if (from->interleaved || channels == 1) {
        const float *x = from->interleaved ? from->interleaved : from->planes[0];
        memcpy(to, x + first * channels, frames * channels * sizeof *to);
        return;
    }
    if (channels == 2) { /* each line of the ring, which has left the cache, is visited once */
        const float *left = from->planes[0] + first, *right = from->planes[1] + first;
        for (size_t i = 0; i < frames; i++) {
            to[2 * i] = left[i];
            to[2 * i + 1] = right[i];
        }
        return;
    }
    for (uint32_t c = 0; c < channels; c++)
        for (size_t i = 0; i < frames; i++)
            to[i * channels + c] = from->planes[c][first + i];
}

/* Stores frames in the open segment, which ends if it is whole or they do not all fit. Returns
 * how many fitted. */
static size_t store(struct takt_window *w, const struct source *from, size_t first, size_t frames)
{
    if (frames > w->segment_left)
        frames = (size_t)w->segment_left;
    void *at;
    size_t fits = takt_ring_reserve(w->frames, frames, &at);
    copy_frames(w, at, from, first, fits);
    takt_ring_commit(w->frames, fits);
    w->write_index += fits;
    w->behind = fits < frames;
    w->segment_left = w->behind ? 0 : w->segment_left - fits;
    return fits;
}

/* Begins a segment at the next point of the grid, if that is among the frames and there is room.
 * Returns how many of the frames were left out; all of them when no segment began. */
static size_t begin(struct takt_window *w, uint64_t position, size_t frames)
{
    uint64_t skip = frames_to_grid(w, position);
    size_t left_out = skip < frames ? (size_t)skip : frames;
    bool was_behind = w->behind;
    if (skip < frames) {
        w->behind = !open_segment(w, position + skip);
        if (w->behind)
            left_out = frames;
    }
    if (was_behind || w->behind)
        add(&w->dropped_frames, left_out);
    return left_out;
}

/* Begins a new grid, or ends the segment, where position does not follow on what came before. */
static void follow(struct takt_window *w, uint64_t position)
{
    if (w->started && position == w->write_end)
        return;
    w->segment_left = 0;
    if (w->started && position > w->write_end)
        return;
    w->started = true;
    w->anew = true;
    w->origin = position;
}

static void write_from(struct takt_window *w, const struct source *from, size_t frames,
                       uint64_t position)
{
    if (frames == 0)
        return;
    follow(w, position);
    w->write_end = position + frames;
    for (size_t done = 0; done < frames;) {
        if (!w->segment_left)
            done += begin(w, position + done, frames - done);
        if (w->segment_left)
            done += store(w, from, done, frames - done);
    }
}

void takt_window_write(struct takt_window *w, const float *x, size_t frames, uint64_t position)
{
    write_from(w, &(struct source){.interleaved = x}, frames, position);
}

void takt_window_write_planar(struct takt_window *w, const float *const *x, size_t frames,
                              uint64_t position)
{
    write_from(w, &(struct source){.planes = x}, frames, position);
}

static void free_frames(struct takt_window *w, size_t frames)
{
    size_t freed = takt_ring_advance(w->frames, frames);
    TAKT_ASSERT(freed == frames);
    w->read_index += frames;
}

/* Frees the part of the window handed out last that the next one does not need. */
static void give_back(struct takt_window *w)
{
    if (!w->handed_out)
        return;
    free_frames(w, w->handed_out);
    w->handed_out = 0;
    w->due += w->hop_frames;
    w->follows = true;
}

/* Goes on to the next segment if it begins before the window due would end. */
static bool next_segment(struct takt_window *w)
{
    const void *at;
    struct mark m;
    if (!takt_ring_peek(w->marks, 1, &at))
        return false;
    memcpy(&m, at, sizeof m);
    if (m.index - w->read_index >= w->size_frames)
        return false;
    free_frames(w, (size_t)(m.index - w->read_index));
    takt_ring_advance(w->marks, 1);
    if (!m.anew)
        add(&w->lost, (m.position - w->due) / w->hop_frames);
    w->due = m.position;
    w->follows = false;
    return true;
}

bool takt_window_next(struct takt_window *w, const float **x, uint64_t *position)
{
    const void *at;
    size_t have;
    give_back(w);
    /* The frames first: the mark of a segment is there before any frame of it is. */
    do {
        have = takt_ring_peek(w->frames, w->size_frames, &at);
    } while (next_segment(w));
    if (have < w->size_frames)
        return false;
    w->handed_out = w->hop_frames < w->size_frames ? w->hop_frames : w->size_frames;
    *x = at;
    *position = w->due;
    return true;
}

/* With the writer gone its side can be looked at: lost becomes exactly those windows that the
 * stream was long enough for. What began a new segment too near to the end has counted windows
 * that would have ended beyond it. */
static void settle_lost(struct takt_window *w, uint64_t due)
{
    uint64_t came = w->write_end - due, before = (due - w->origin) / w->hop_frames;
    if (came >= w->size_frames) {
        add(&w->lost, (came - w->size_frames) / w->hop_frames + 1);
    } else if (!w->follows) {
        uint64_t beyond = (w->size_frames - came - 1) / w->hop_frames;
        add(&w->lost, 0 - (beyond < before ? beyond : before));
    }
}

size_t takt_window_rest(struct takt_window *w, const float **x, uint64_t *position)
{
    const void *at;
    size_t have = takt_ring_peek(w->frames, w->size_frames, &at);
    size_t known =
        w->follows && w->size_frames > w->hop_frames ? w->size_frames - w->hop_frames : 0;
    uint64_t due = w->anew ? w->origin : w->due;
    if (!w->started || w->write_end < due)
        return 0;
    settle_lost(w, due);
    if (w->anew || w->write_end - due != have || have <= known)
        return 0;
    *x = at;
    *position = due;
    return have;
}

uint64_t takt_window_lost(const struct takt_window *w)
{
    return atomic_load_explicit(&w->lost, memory_order_relaxed);
}

uint64_t takt_window_dropped_frames(const struct takt_window *w)
{
    return atomic_load_explicit(&w->dropped_frames, memory_order_relaxed);
}
