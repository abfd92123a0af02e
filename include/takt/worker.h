/*
 * takt/worker.h - takes any analysis off the callback: a thread of its own works on windows of the
 * stream, and what it finds comes back with the stream's time.
 *
 *     static bool find_peak(struct takt_work *work, void *event, void *arg)
 *     {
 *         *(float *)event = takt_peak(work->x, work->frames);     // as long as it likes
 *         return true;                                            // there is something to tell
 *     }
 *     ...
 *     takt_worker_create(&(struct takt_worker_cfg){.work = find_peak, .size_frames = 2048,
 *         .hop_frames = 512, .event_bytes = sizeof(float)}, &w, &e);
 *     takt_worker_write(w, b->in, b->frames, b->position);        // in the callback, or behind it
 *     while (takt_worker_next(w, &at, &peak))                     // anywhere else
 *         printf("%llu %g\n", at, peak);
 *
 * The thread sleeps by the clock until its next window is due, so a callback that has many workers
 * pays for a copy of the block to each and for no wake-ups; see takt_worker_write. A worker that is
 * too slow loses whole windows, which are counted, and never the stream's time.
 *
 * Many workers are fed best by one more, whose work is to write its short windows to all the
 * others: then one copy of the block is made, however many there are. And the best place for it is
 * `after` of struct takt_stream_cfg: the sound is on its way by then (bench/analyses.c).
 *
 * On a virtual clock there is no time to be late in: with `at_once` there is no thread, and the
 * work is done within takt_worker_write, so that the same sound gives the same events on every run.
 */
#ifndef TAKT_WORKER_H
#define TAKT_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct takt_worker;

/* One window to work on. */
struct takt_work {
    const float *x; /* x[frames][channels], interleaved; valid during the call */
    size_t frames;  /* the window's size; fewer only in the rest, see takt_worker_cfg */
    uint32_t channels;
    uint64_t position; /* in the stream, of the first frame. Where it is not hop_frames behind that
                          of the window before, windows were lost or the stream has a gap */
    uint64_t time;     /* of the event: the window's centre, position + frames / 2. The work may
                          set another one, not before position */
};

/* Works on one window. Fills in event[event_bytes], which is all zeros at entry, and returns
 * whether there is one. Called on the worker's thread, in the order of the windows; with at_once
 * on the writer's. It may do what a callback must not, but with at_once it should take no memory
 * that it could have taken before. */
typedef bool takt_work_fn(struct takt_work *work, void *event, void *arg);

/* A zero field takes its default. */
struct takt_worker_cfg {
    takt_work_fn *work; /* must be given */
    void *arg;
    size_t size_frames, hop_frames; /* as in struct takt_window_cfg; size_frames must be given */
    uint32_t channels;              /* 1..1024, default 1 */
    size_t capacity_frames; /* how far the worker can be behind; default 2 * size_frames + 16384 */
    uint32_t rate_hz;       /* for how long to sleep; default 48000 */
    size_t event_bytes;     /* 0..2^24; 0: the work tells nothing, and is only counted */
    size_t events;          /* so many can wait to be taken, 1..2^20, of event_bytes + 16 each and
                               2^30 in all; default 64 */
    bool rest;    /* what is left behind the last whole window is worked on, too, at stop: with
                     hop_frames = size_frames the work sees every frame that was written */
    bool at_once; /* work within takt_worker_write, without a thread; takt_worker_write then waits
                     for room for its event until takt_worker_leave */
    int priority; /* SCHED_FIFO 1..98; default TAKT_PRIORITY_OFF: as any thread */
    size_t stack_bytes; /* of the thread; default 512 KiB */
    const char *name;   /* of the thread, up to 15 letters; default "takt-worker" */
};

/* Takes all the memory there will be, and starts the thread.
 * Errors: TAKT_ERR_ARG, _NOMEM, _SYSTEM; *out is NULL then. cfg is copied. Thread: any. RT: no. */
TAKT_API int takt_worker_create(const struct takt_worker_cfg *cfg, struct takt_worker **out,
                                struct takt_error *e);

/* Ends the thread without working on what waits, and frees everything. When its work does not
 * return within 2 s, that is left to a thread which waits for it, and arg has to stay until then;
 * takt_worker_stop tells. NULL is fine. The writer must have ended. Thread: any. RT: no. */
TAKT_API void takt_worker_destroy(struct takt_worker *w);

/* Hands over a block, the first frame of which stands at `position`; gaps and streams that begin
 * anew are as in takt/window.h. Shape: planes[channels][frames]. Errors: none.
 * Thread: the writer. RT: yes (wait-free), O(frames * channels), with one named exception: a
 * futex(2) that does not block, when the worker sleeps since nothing had come for half a second.
 * With at_once the guard is told to allow the work. */
TAKT_API void takt_worker_write(struct takt_worker *w, const float *const *planes, size_t frames,
                                uint64_t position);

/* The same from interleaved frames. Shape: x[frames][channels].
 * Thread: the writer. RT: yes, as takt_worker_write. */
TAKT_API void takt_worker_write_interleaved(struct takt_worker *w, const float *x, size_t frames,
                                            uint64_t position);

/* Takes the oldest event, in the order in which the work told them; false when there is none.
 * Shape: event[event_bytes]. Units: *time in frames of the stream.
 * Thread: one reader. RT: yes (wait-free), O(event_bytes). */
TAKT_API bool takt_worker_next(struct takt_worker *w, uint64_t *time, void *event);

/* Copies the newest event, also one that was taken or found no room. False when there is none yet,
 * or the worker came in between in each of a fixed number of tries: *time and event[] mean nothing
 * then, and one goes on with what one had. Shape: event[event_bytes]. Units: as takt_worker_next.
 * Thread: any number of readers. RT: yes (bounded), O(event_bytes). */
TAKT_API bool takt_worker_newest(const struct takt_worker *w, uint64_t *time, void *event);

/* The stream's time up to which all is told: no event to come is of a time before it, and all
 * before it can be taken now. A new grid may set it back; UINT64_MAX when the worker has ended.
 * Units: frames of the stream. Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_worker_until(const struct takt_worker *w);

struct takt_worker_counts {
    uint64_t windows;      /* worked on */
    uint64_t lost_windows; /* left out; up to the one worked on last, and all of them after stop */
    uint64_t dropped_frames; /* that found no room */
    uint64_t events;         /* told by the work */
    uint64_t dropped_events; /* of them, those that found no room among the ones that wait */
    int64_t busy_ns;         /* that the work took in all */
    int64_t busy_ns_max;     /* and for one window */
};

/* Each number is whole; two may be from neighbouring windows. Thread: any. RT: yes (wait-free). */
TAKT_API void takt_worker_counts(const struct takt_worker *w, struct takt_worker_counts *out);

/* Nobody takes events any more: with at_once the writer waits no longer for room.
 * Thread: any. RT: yes (wait-free). */
TAKT_API void takt_worker_leave(struct takt_worker *w);

/* After the writer has ended: works on all that waits, then on the rest, and ends. Events can be
 * taken afterwards; there should be room for those to come. timeout_ms < 0: without end. Returns 0,
 * or TAKT_ERR_TIMEOUT: the work has not returned; it is called for no further window, those are
 * lost, and stop can be called again. Thread: any, one at a time. RT: no. */
TAKT_API int takt_worker_stop(struct takt_worker *w, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
