/*
 * takt/gate.h - lets through only what is spoken: whole, from before the first syllable on.
 *
 *     takt_gate_create(&(struct takt_gate_cfg){.rate_hz = 48000, .channels = 2, .write = keep}, &g,
 *                      &e);
 *     takt_gate_process(g, b->in, b->frames, b->position); // in the callback; calls keep()
 *     takt_gate_finish(g);                                 // after the last block
 *
 * The gate listens with takt/vad.h and keeps the last preroll_ms at hand. When there is voice, that
 * goes out first, so what is written comes late and begins early; it goes on through the hangover
 * and until nothing spoken could join it. Frames come out as they came in, each at most once and in
 * order, but for fades of fade_ms where a segment begins or ends in the middle of the stream.
 *
 * A position that jumps is a gap; a segment that is open ends there, and behind it the gate begins
 * anew. As at both ends of the stream, a voice that is cut by the gap alone is not faded there.
 */
#ifndef TAKT_GATE_H
#define TAKT_GATE_H

#include "takt/error.h"
#include "takt/vad.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_gate;

/* A piece of the stream that was let through. In frames. */
struct takt_gate_segment {
    uint64_t start, end; /* in the stream; end is behind the last */
    uint64_t at;         /* how many frames were written before it */
};

/* A zero field takes its default. */
struct takt_gate_cfg {
    uint32_t rate_hz;        /* 8000..384000, default 48000 */
    uint32_t channels;       /* 1..64, default 1; the voice is looked for in their mean */
    double preroll_ms;       /* kept from before a voice sets in, 10..5000; default 300 */
    double fade_ms;          /* 0.1..10; default 5 */
    enum takt_vad_mode mode; /* default TAKT_VAD_NORMAL */
    double hangover_ms;      /* as in takt_vad_cfg; default 400 */
    double floor_dbfs;       /* as in takt_vad_cfg */
    /* Takes x[channels][frames], of the stream from `position` on, 256 frames at most; valid during
     * the call. Called by process and finish; must be as safe as process is used. Must be given. */
    void (*write)(const float *const *x, size_t frames, uint64_t position, void *arg);
    /* A segment is whole. May be NULL. */
    void (*segment)(const struct takt_gate_segment *s, void *arg);
    void *arg;
};

struct takt_gate_state {
    uint64_t kept_frames, left_out_frames; /* what is still undecided is in neither */
    uint64_t segments;                     /* begun */
    double probability;                    /* the newest */
    bool is_open;                          /* a segment is going on */
    bool is_voice;                         /* the newest decision */
};

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_gate_create(const struct takt_gate_cfg *cfg, struct takt_gate **out,
                              struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_gate_destroy(struct takt_gate *g);

/* Takes in a block. Any cutting into blocks gives the same segments and frames.
 * Shape: x[channels][frames]. Units: linear, -1..+1. Errors: none. Thread: one at a time.
 * RT: yes, if write and segment are; O(frames * channels), an FFT each 10 ms, and when a voice sets
 * in all that was kept from before it at once. */
TAKT_API void takt_gate_process(struct takt_gate *g, const float *const *x, size_t frames,
                                uint64_t position);

/* The stream has ended: writes the rest of a segment that is open, and leaves out what else waits.
 * Thread: the one that processes. RT: yes, as process. */
TAKT_API void takt_gate_finish(struct takt_gate *g);

/* Each number is whole; two may be from neighbouring pieces. Thread: any. RT: yes (wait-free). */
TAKT_API void takt_gate_read(const struct takt_gate *g, struct takt_gate_state *out);

#ifdef __cplusplus
}
#endif
#endif
