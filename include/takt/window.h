/*
 * takt/window.h - cuts a stream of frames into overlapping windows, for a thread beside it.
 *
 *     takt_window_create(&(struct takt_window_cfg){.size_frames = 2048, .hop_frames = 512},
 *         &w, &e);
 *     takt_window_write(w, b->in[0], b->frames, b->position);     // in the callback
 *     while (takt_window_next(w, &x, &position))                  // in a worker
 *         analyse(x, position);                                   // x[0..2047], in place
 *
 * Windows lie on a grid of stream positions: the first frame ever written, and every hop_frames
 * from there. A window is handed out if and only if every frame of it came and found room; any
 * other is left out and counted as lost, so positions are right and no window hides a gap. A
 * reader that is too slow loses whole windows that way, and the writer never waits for it.
 */
#ifndef TAKT_WINDOW_H
#define TAKT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct takt_window;

/* A zero field takes its default. */
struct takt_window_cfg {
    size_t size_frames;     /* 1..2^24; must be given */
    size_t hop_frames;      /* 1..2^31, also more than size_frames; default size_frames */
    uint32_t channels;      /* 1..1024, default 1 */
    size_t capacity_frames; /* how much the writer can be ahead; at least 2 * size_frames,
                               default 2 * size_frames + 16384 */
    bool plain;             /* as in struct takt_ring_cfg */
};

/* Makes it empty, its memory touched.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_window_create(const struct takt_window_cfg *cfg, struct takt_window **out,
                                struct takt_error *err);

/* Takes NULL. Both sides must have ended. Thread: any. RT: no. */
TAKT_API void takt_window_destroy(struct takt_window *w);

/* Adds frames, the first of which stands at `position` in the stream. A position beyond the end
 * of the write before is a gap. One before it is a stream that began anew, and begins a new grid
 * there: windows that it cuts short are not handed out, nor counted.
 * Shape: x[frames][channels], interleaved. Errors: none.
 * Thread: the writer. RT: yes (wait-free), O(frames). */
TAKT_API void takt_window_write(struct takt_window *w, const float *x, size_t frames,
                                uint64_t position);

/* The same from planes. Shape: x[channels][frames].
 * Thread: the writer. RT: yes (wait-free), O(frames). */
TAKT_API void takt_window_write_planar(struct takt_window *w, const float *const *x, size_t frames,
                                       uint64_t position);

/* Points *x to the next window and says where its first frame stands; false when none is whole
 * yet. The window stays until the next call.
 * Shape: x[size_frames][channels], interleaved. Errors: none.
 * Thread: the reader. RT: yes (wait-free), O(1 + gaps passed). */
TAKT_API bool takt_window_next(struct takt_window *w, const float **x, uint64_t *position);

/* What the last window came to have, once the writer has ended and takt_window_next has returned
 * false: points *x to the frames behind the last whole window and says where they begin, those
 * that overlap it included; they stay. Counts windows that were left out at the very end. Returns
 * how many frames: 0 when none of them is new. To be called once; nothing can be written after it.
 * Shape: x[returned][channels], interleaved. Errors: none.
 * Thread: the reader, after the writer. RT: yes (wait-free), O(1). */
TAKT_API size_t takt_window_rest(struct takt_window *w, const float **x, uint64_t *position);

/* Windows left out, because a frame of them never came or found no room, among those before the
 * one to be handed out next. Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_window_lost(const struct takt_window *w);

/* Frames left out because the reader was behind and there was no room.
 * Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_window_dropped_frames(const struct takt_window *w);

#ifdef __cplusplus
}
#endif
#endif
