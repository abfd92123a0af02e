/*
 * takt/window.h - overlapping windows over a stream, cut on another thread: any size, any hop,
 * from blocks of any size.
 *
 *     takt_window_create(&(struct takt_window_cfg){.size = 2048, .hop = 512}, &w, &e);
 *     takt_window_write(w, b->in, b->frames, b->position);       // in the callback
 *     while (takt_window_next(w, &view))                         // in a worker
 *         analyse(view.frames, view.position);
 *
 * Windows are read where they lie, without a copy. A reader that is too slow loses whole windows,
 * counted, and never the stream's time; a gap in the positions written (lost frames) never ends
 * up inside a window: the next window begins behind it.
 */
#ifndef TAKT_WINDOW_H
#define TAKT_WINDOW_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_window;

/* A zero field takes its default. */
struct takt_window_cfg {
    uint32_t channels; /* 1..64, default 1 */
    uint32_t size;     /* frames of a window, 1..2^22, default 1024 */
    uint32_t hop;      /* frames from one window to the next, also above size; default size */
    uint32_t capacity_frames; /* that may wait; default size + 8 hops, at least 16384 */
};

/* One window. Valid until the next call of takt_window_next. */
struct takt_window_view {
    const float *frames; /* [size * channels], interleaved */
    uint64_t position;   /* of the first frame, on the writer's count */
    uint64_t lost;       /* windows lost between the one before and this one */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM, _SYSTEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_window_create(const struct takt_window_cfg *cfg, struct takt_window **out,
                                struct takt_error *e);
TAKT_API void takt_window_destroy(struct takt_window *w); /* NULL is fine */

/* Puts a block in: in[channel][0..frames), whose first frame is at `position`. A block that does
 * not fit is dropped whole. Thread: one writer. RT: yes (wait-free), O(frames * channels). */
TAKT_API void takt_window_write(struct takt_window *w, const float *const *in, uint32_t frames,
                                uint64_t position);

/* The next window, if all of it is there. Thread: one reader. RT: yes (wait-free). */
TAKT_API bool takt_window_next(struct takt_window *w, struct takt_window_view *view);

/* Windows lost so far. Thread: reader. RT: yes. */
TAKT_API uint64_t takt_window_lost(const struct takt_window *w);

#ifdef __cplusplus
}
#endif
#endif
