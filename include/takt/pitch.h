/*
 * takt/pitch.h - the pitch of one voice at each hop: f0 with confidence and voicing.
 *
 *     takt_pitch_create(&(struct takt_pitch_cfg){.rate_hz = 48000}, &p, &e);
 *     size_t n = takt_pitch_process(p, x, frames, position, now, 8);
 *     for (size_t i = 0; i < n; i++)
 *         if (now[i].voiced)
 *             printf("%.2f Hz\n", now[i].f0_hz);
 *
 * It is causal: a reading is made of what was heard until then, with nothing of the future, and as
 * little of the past as the sound allows: some two periods of a clear one, more of a noisy one.
 * After an onset nothing from before it is used. Any chunking of the input gives the same readings,
 * to the bit.
 *
 * Sources: P. McLeod and G. Wyvill, "A Smarter Way to Find Pitch", ICMC 2005 (the normalised square
 * difference); P. Boersma, "Accurate short-term analysis of the fundamental frequency ...", IFA
 * Proceedings 17, 1993 (candidates, and a path through them).
 */
#ifndef TAKT_PITCH_H
#define TAKT_PITCH_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_pitch;

/* A zero field takes its default. */
struct takt_pitch_cfg {
    uint32_t rate_hz;    /* 8000..192000, default 48000 */
    uint32_t hop_frames; /* 16..65536, default 16/3 ms: 256 at 48 kHz */
    double min_hz;       /* 25..2000, default 27.5 */
    double max_hz;       /* over min_hz to 5000 and 0.4 * rate_hz; default 4200 or what fits */
    double voiced;       /* confidence that makes a voice heard, 0.05..0.99, default 0.5 */
};

struct takt_pitch_reading {
    uint64_t position; /* the frame after the hop: the reading was ready here */
    uint64_t centre;   /* the frame that f0 stands for: the middle of what it was drawn from */
    double f0_hz;      /* 0 where there is no voice */
    double raw_hz;     /* the best guess all the same; 0 only where there is nothing at all */
    double confidence; /* that there is a voice and that this is its pitch: 0..1 */
    double clarity;    /* how much of the sound repeats itself with this period: 0..1 */
    double level_dbfs; /* RMS of the last 16 ms */
    bool voiced;       /* by confidence, with some hysteresis */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_pitch_create(const struct takt_pitch_cfg *cfg, struct takt_pitch **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_pitch_destroy(struct takt_pitch *p);

/* As just made. Thread: the one that processes. RT: yes. */
TAKT_API void takt_pitch_reset(struct takt_pitch *p);

/* The hop in force. Thread: any. RT: yes. */
TAKT_API uint32_t takt_pitch_hop_frames(const struct takt_pitch *p);

/* Takes the frames from `position` of the stream on, and gives a reading for each hop that they
 * complete; returns how many. When more than out_max are due the newest stay away: give room for
 * frames / hop_frames + 1. A position that does not follow on the last call's is a gap: it begins
 * anew there, its next hop too. A sample that is no finite number counts as 0, what is beyond
 * +-1e6 as +-1e6.
 * Shape: x[frames], out[out_max]. Units: linear, -1..+1, though any scale will do. Errors: none.
 * Thread: one at a time. RT: yes (wait-free), O(frames), most of it at each hop's end: three FFTs
 * of 2048 for each of up to four windows. See bench/pitch for the cost. */
TAKT_API size_t takt_pitch_process(struct takt_pitch *p, const float *x, size_t frames,
                                   uint64_t position, struct takt_pitch_reading *out,
                                   size_t out_max);

#ifdef __cplusplus
}
#endif
#endif
