/*
 * stream/fifo.h - the block adapter's store: a short planar queue whose frames always lie in one
 * piece from the head on, so that a callback can work in it. Taking moves the rest to the front;
 * there are never more than a few blocks in it, so that costs less than wrapping would.
 *
 * Invariants: fill <= capacity; frames 0..fill of every channel are valid.
 * Thread: device. RT: yes, O(frames * channels), all calls.
 */
#ifndef TAKT_STREAM_FIFO_H
#define TAKT_STREAM_FIFO_H

#include "base/assert.h"
#include "takt/stream.h"

#include <stdint.h>
#include <string.h>

struct takt_fifo {
    float *data[TAKT_CHANNELS_MAX]; /* [channel][capacity] */
    uint32_t channels, capacity, fill;
};

/* Where the next frames go, in one channel. */
static inline float *takt_fifo_tail(const struct takt_fifo *f, uint32_t channel)
{
    return f->data[channel] + f->fill;
}

/* Frames written at the tail now belong to the queue. */
static inline void takt_fifo_commit(struct takt_fifo *f, uint32_t frames)
{
    TAKT_ASSERT(frames <= f->capacity - f->fill);
    f->fill += frames;
}

static inline void takt_fifo_push_silence(struct takt_fifo *f, uint32_t frames)
{
    TAKT_ASSERT(frames <= f->capacity - f->fill);
    for (uint32_t c = 0; c < f->channels; c++)
        memset(takt_fifo_tail(f, c), 0, frames * sizeof(float));
    f->fill += frames;
}

static inline void takt_fifo_push(struct takt_fifo *f, float *const *from, uint32_t frames)
{
    TAKT_ASSERT(frames <= f->capacity - f->fill);
    for (uint32_t c = 0; c < f->channels; c++)
        memcpy(takt_fifo_tail(f, c), from[c], frames * sizeof(float));
    f->fill += frames;
}

/* Drops frames from the head; at most fill. */
static inline void takt_fifo_take(struct takt_fifo *f, uint32_t frames)
{
    TAKT_ASSERT(frames <= f->fill);
    f->fill -= frames;
    for (uint32_t c = 0; c < f->channels; c++)
        memmove(f->data[c], f->data[c] + frames, f->fill * sizeof(float));
}

/* How many frames of silence the output queue must begin with, so that a callback of `block`
 * frames inside host blocks of `host` frames always has its output there in time: the least that
 * can work. 0 when host is a multiple of block, block - gcd otherwise, block - 1 when the host's
 * blocks vary. */
uint32_t takt_adapter_frames(uint32_t block, uint32_t host, bool host_varies);

#endif
