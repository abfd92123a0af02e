/*
 * takt/resample.h - changes the rate of sound by any ratio, which may move while it runs: for
 * clocks that drift apart, and for fixed rates such as 44100 to 48000.
 *
 *     takt_resampler_create(&(struct takt_resampler_cfg){.channels = 2}, &r, &e);
 *     takt_resampler_set_ratio(r, 1 + 300e-6);                  // out of in; glides over the block
 *     size_t need = takt_resampler_need(r, b->frames);          // so many in for a block out
 *     takt_resampler_process(r, in, need, out, b->frames);
 *
 * A windowed sinc (J. O. Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample) under
 * a Kaiser window, at many places between two frames and by a cubic in between. The window of
 * each output frame reaches as far back as forward, so what goes in comes out delay_frames later.
 * The position between two input frames is a whole number of 2^-56ths, so hours do not blur it.
 *
 * Measured with the ratio moving in every block, as the part of a sine's power in everything else
 * (bench/resample.c):    standard  >= 120 dB at 1 kHz, >= 110 dB at 18 kHz
 *                        best      >= 140 dB at 1 kHz, >= 135 dB at 18 kHz   (rate 48 kHz)
 */
#ifndef TAKT_RESAMPLE_H
#define TAKT_RESAMPLE_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_resampler;

enum takt_resample_quality {
    TAKT_RESAMPLE_STANDARD = 0, /* 32 taps: 16 frames of delay */
    TAKT_RESAMPLE_BEST          /* 96 taps, summed in doubles: 48 frames */
};

/* A zero field takes its default. */
struct takt_resampler_cfg {
    uint32_t channels; /* 1..64, default 1 */
    enum takt_resample_quality quality;
    double ratio;        /* to begin with: frames out for one in, 1/16..16; default 1 */
    uint32_t frames_max; /* the most that one process puts out; 1..65536, default 8192 */
};

/* Makes it, full of silence; the only call that allocates. What is cut off lies above the lower of
 * the two rates' halves, as ratio says.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_resampler_create(const struct takt_resampler_cfg *cfg,
                                   struct takt_resampler **out, struct takt_error *e);

/* Takes NULL. Thread: any. RT: no. */
TAKT_API void takt_resampler_destroy(struct takt_resampler *r);

/* As just made; the ratio stays. Thread: one at a time, here and below. RT: yes. */
TAKT_API void takt_resampler_reset(struct takt_resampler *r);

/* The ratio that the next process glides to, evenly over its frames: 1/16..16, and at most 5 %
 * from the ratio of cfg, beyond which it is held there. RT: yes (wait-free). */
TAKT_API void takt_resampler_set_ratio(struct takt_resampler *r, double ratio);

/* The least number of frames that have to go in for `frames` out, with the ratio set last.
 * frames: 0..frames_max. RT: yes (wait-free), O(1). */
TAKT_API size_t takt_resampler_need(const struct takt_resampler *r, uint32_t frames);

/* Puts out exactly `frames` frames and takes all of in_frames, which may be some more than needed:
 * they stay for the next time.
 * Shape: in[channel][in_frames], out[channel][frames]; they lie apart.
 * need(frames) <= in_frames <= need(frames) + 64, and none where none is needed. RT: yes
 * (wait-free), O(frames * channels). */
TAKT_API void takt_resampler_process(struct takt_resampler *r, const float *const *in,
                                     size_t in_frames, float *const *out, uint32_t frames);

/* Where the next frame out lies, counted in frames in since create or reset, less the delay.
 * RT: yes. */
TAKT_API double takt_resampler_position(const struct takt_resampler *r);

/* From in to out, in frames of the input. RT: yes. */
TAKT_API uint32_t takt_resampler_delay_frames(const struct takt_resampler *r);

#ifdef __cplusplus
}
#endif
#endif
