/*
 * Two rings: one of frames, and one of marks, each saying "from this frame of the ring on, the
 * position is so much". The writer sets a mark only where the position jumps, so a steady stream
 * has one mark and windows are just pointers into the frames.
 *
 * The reader counts ring frames in `at`. The mark in force gives it the position; the mark ahead,
 * if there is one, is a seam that no window may span: when the window would, the reader drops
 * what is left before the seam and begins anew behind it.
 *
 * Invariants: frames written = what the frame ring's writer has passed on since create; marks are
 * in the order of their frames, and a mark is visible before the frames that it speaks of.
 */
#include "takt/window.h"

#include "base/fail.h"
#include "takt/ring.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 64, SIZE_MAX_FRAMES = 1 << 22, CAPACITY_MIN = 16384, MARKS = 256 };

struct mark {
    uint64_t frame;    /* of the ring */
    uint64_t position; /* of the stream */
};

struct takt_window {
    struct takt_ring *frames, *marks;
    uint32_t channels, size, hop;
    /* The writer's. */
    uint64_t written, expected;
    bool begun;
    /* The reader's. */
    uint64_t at;   /* ring frame at which the ring's reading end stands */
    uint64_t skip; /* frames to pass over before the next window begins */
    struct mark now, ahead;
    bool has_now, has_ahead;
    uint64_t due; /* position of the next window, had nothing been lost */
    uint64_t lost;
};

int takt_window_create(const struct takt_window_cfg *cfg, struct takt_window **out,
                       struct takt_error *e)
{
    *out = NULL;
    uint32_t channels = cfg->channels ? cfg->channels : 1;
    uint32_t size = cfg->size ? cfg->size : 1024, hop = cfg->hop ? cfg->hop : size;
    if (channels > CHANNELS_MAX || size > SIZE_MAX_FRAMES || hop > SIZE_MAX_FRAMES)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "windows of %u frames every %u, %u channels: at most %d, %d and %d", size,
                         hop, channels, SIZE_MAX_FRAMES, SIZE_MAX_FRAMES, CHANNELS_MAX);
    uint64_t capacity = cfg->capacity_frames;
    if (!capacity)
        capacity = size + 8ull * hop < CAPACITY_MIN ? CAPACITY_MIN : size + 8ull * hop;
    capacity = capacity < size ? size : capacity;
    struct takt_window *w = calloc(1, sizeof *w);
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    w->channels = channels;
    w->size = size;
    w->hop = hop;
    int err = takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = channels * sizeof(float),
                                                       .capacity = (size_t)capacity},
                               &w->frames, e);
    if (err >= 0)
        err = takt_ring_create(
            &(struct takt_ring_cfg){.elem_bytes = sizeof(struct mark), .capacity = MARKS},
            &w->marks, e);
    if (err < 0) {
        takt_window_destroy(w);
        return err;
    }
    *out = w;
    return 0;
}

void takt_window_destroy(struct takt_window *w)
{
    if (!w)
        return;
    takt_ring_destroy(w->frames);
    takt_ring_destroy(w->marks);
    free(w);
}

void takt_window_write(struct takt_window *w, const float *const *in, uint32_t frames,
                       uint64_t position)
{
    size_t room;
    float *to = takt_ring_write_begin(w->frames, &room);
    if (room < frames)
        return; /* the jump in position will say so */
    if (!w->begun || position != w->expected) {
        struct mark mark = {w->written, position};
        if (!takt_ring_write(w->marks, &mark, 1))
            return;
        w->begun = true;
    }
    if (w->channels == 1)
        memcpy(to, in[0], frames * sizeof(float));
    else
        for (uint32_t c = 0; c < w->channels; c++)
            for (uint32_t i = 0; i < frames; i++)
                to[(size_t)i * w->channels + c] = in[c][i];
    w->written += frames;
    w->expected = position + frames;
    takt_ring_write_end(w->frames, frames);
}

static void pass(struct takt_window *w, uint64_t frames)
{
    takt_ring_read_end(w->frames, (size_t)frames);
    w->at += frames;
}

/* Moves over frames that no window wants any more. False when they are not all there yet. */
static bool pass_skipped(struct takt_window *w, size_t ready)
{
    uint64_t before_seam = w->has_ahead ? w->ahead.frame - w->at : UINT64_MAX;
    uint64_t want = w->skip < before_seam ? w->skip : before_seam;
    uint64_t can = want < ready ? want : ready;
    pass(w, can);
    w->skip -= can;
    if (can == before_seam)
        w->skip = 0;
    return can == want;
}

/* Makes the mark ahead the one in force, once the reader stands on it. */
static void cross_seam(struct takt_window *w)
{
    bool first = !w->has_now;
    w->now = w->ahead;
    w->has_now = true;
    w->has_ahead = false;
    w->skip = 0;
    if (first)
        w->due = w->now.position;
}

bool takt_window_next(struct takt_window *w, struct takt_window_view *view)
{
    for (;;) {
        size_t ready;
        const float *frames = takt_ring_read_begin(w->frames, &ready);
        /* After the frames: a mark is written before the frames it speaks of. */
        if (!w->has_ahead)
            w->has_ahead = takt_ring_read(w->marks, &w->ahead, 1) == 1;
        if (w->has_ahead && w->ahead.frame == w->at) {
            cross_seam(w);
            continue;
        }
        if (w->skip) {
            if (!pass_skipped(w, ready))
                return false;
            continue;
        }
        uint64_t before_seam = w->has_ahead ? w->ahead.frame - w->at : UINT64_MAX;
        if (before_seam < w->size) {
            if (ready < before_seam)
                return false;
            pass(w, before_seam);
            continue;
        }
        if (ready < w->size)
            return false;
        uint64_t position = w->now.position + (w->at - w->now.frame);
        uint64_t lost = position > w->due ? (position - w->due + w->hop - 1) / w->hop : 0;
        *view = (struct takt_window_view){frames, position, lost};
        w->lost += lost;
        w->due = position + w->hop;
        w->skip = w->hop;
        return true;
    }
}

uint64_t takt_window_lost(const struct takt_window *w)
{
    return w->lost;
}
