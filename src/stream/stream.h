/*
 * stream/stream.h - a stream as the control thread sees it: the engine, the plan it was made
 * from, and what the blocking calls need.
 */
#ifndef TAKT_STREAM_STREAM_H
#define TAKT_STREAM_STREAM_H

#include "stream/core.h"
#include "stream/resolve.h"
#include "sync/wake.h"
#include "takt/ring.h"

#include <pthread.h>

/* Behind takt_stream_read and takt_stream_write: a ring of interleaved frames each way. */
struct takt_blocking {
    struct takt_ring *in, *out; /* NULL for a side not used */
    struct takt_wake in_wake, out_wake;
    uint32_t in_frame_bytes, out_frame_bytes;
    _Atomic bool in_overflowed, out_underflowed;
    _Atomic bool out_begun; /* something was written: silence from here on is an underflow */
};

/* Behind takt_play, takt_rec and takt_playrec: the caller's memory. */
struct takt_whole {
    const char *play;
    char *rec;
    uint64_t frames;
};

struct takt_stream {
    struct takt_core engine;
    struct takt_plan plan;
    struct takt_stream_actual actual;
    struct takt_blocking blocking;
    struct takt_whole whole;
    void *buffers;              /* all sample memory, in one piece */
    pthread_mutex_t control;    /* one control call at a time; the device thread never takes it */
    bool to_put_away;           /* a run has begun whose devices are not stopped yet */
    int run_err;                /* how the last run ended */
    pthread_mutex_t error_lock; /* guards error; control threads only */
    struct takt_error error;
};

/* blocking.c: the process and finished functions of a stream without any, and its memory. */
int takt_blocking_init(struct takt_stream *s, uint32_t buffer_frames, struct takt_error *e);
void takt_blocking_clear(struct takt_stream *s);
void takt_blocking_fini(struct takt_stream *s);
enum takt_next takt_blocking_process(const struct takt_block *b, void *stream);
void takt_blocking_finished(uint64_t last_frame, void *stream);
/* The most frames that may be written and not yet played. */
uint32_t takt_blocking_pending_max(const struct takt_stream *s);

#endif
