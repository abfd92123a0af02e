/*
 * stream/soften.h - makes a gap in the sound a short fade instead of a click.
 *
 * Where sound breaks off, its last sample dies away into what follows; where it sets in again, it
 * rises out of what was there. Both are one thing, a seam: over the fade's length, w going from 0
 * to 1 as a raised cosine,
 *
 *     out = w * sound + (1 - w) * held
 *
 * with held the last sample before the seam, or 0 where a device was silent meanwhile. So nothing
 * has to be known beforehand, and nothing is delayed. Between seams no sample is touched.
 *
 *     takt_soften_run(s, planes, 0, got);      // sound, as long as there is some
 *     takt_soften_join(s);                     // the rest of the block is silence
 *     takt_soften_run(s, planes, got, frames - got);
 *
 * Thread: device. RT: yes (wait-free), all calls.
 */
#ifndef TAKT_STREAM_SOFTEN_H
#define TAKT_STREAM_SOFTEN_H

#include "takt/stream.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* One place that sound passes. Zeroed: softens nothing. Several may share a ramp. */
struct takt_soften {
    const float *ramp; /* [ramp_frames]: w */
    uint32_t ramp_frames;
    uint32_t channels;
    uint32_t at;                   /* frames of the seam that are through; ramp_frames: all */
    float held[TAKT_CHANNELS_MAX]; /* before the seam */
    float last[TAKT_CHANNELS_MAX]; /* sample that went through */
};

/* Writes w, for a fade of so many frames: it rises, from above 0 to at most 1, by at most
 * pi / 2 / (frames + 1) from each to the next. */
void takt_soften_ramp(float *ramp, uint32_t frames);

/* No seam, and silence before the first frame. */
void takt_soften_init(struct takt_soften *s, const float *ramp, uint32_t ramp_frames,
                      uint32_t channels);

/* What comes next does not go on from what went through last. */
void takt_soften_join(struct takt_soften *s);

/* The same, and whoever listens heard silence in between. */
void takt_soften_rise(struct takt_soften *s);

/* Is a seam under way? */
static inline bool takt_soften_is_open(const struct takt_soften *s)
{
    return s->at < s->ramp_frames;
}

/* Passes planes[channel][0..frames) where no seam is under way: only what to hold is noted. */
static inline void takt_soften_pass(struct takt_soften *s, const float *const *planes,
                                    uint32_t frames)
{
    if (!s->ramp_frames || !frames)
        return;
    for (uint32_t c = 0; c < s->channels; c++) {
        float x = planes[c][frames - 1];
        s->last[c] = isfinite(x) ? x : 0;
    }
}

/* In a seam. */
void takt_soften_run_open(struct takt_soften *s, float *const *planes, uint32_t first,
                          uint32_t frames);

/* Passes planes[channel][first..first + frames). O(frames * channels) in a seam, else O(channels).
 */
static inline void takt_soften_run(struct takt_soften *s, float *const *planes, uint32_t first,
                                   uint32_t frames)
{
    if (frames && takt_soften_is_open(s))
        takt_soften_run_open(s, planes, first, frames);
    else if (frames)
        takt_soften_pass(s, (const float *const *)planes, first + frames);
}

/* Is one under way that still has sound in it when silence goes through? */
bool takt_soften_sounds(const struct takt_soften *s);

#endif
