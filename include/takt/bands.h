/*
 * takt/bands.h - octave and third-octave bands as sound level meters have them: IEC 61260-1,
 * class 1.
 *
 *     takt_bands_create(&(struct takt_bands_cfg){.rate_hz = 48000}, &b, &e);
 *     takt_bands_process(b, x, frames, position);        // whatever has come
 *     for (uint32_t i = 0; i < takt_bands_count(b); i++) {
 *         takt_bands_read(b, i, &now);                   // now.label "1k", now.level_dbfs
 *
 * Levels are in dB to the power of a full-scale sine: such a sine in the middle of a band reads
 * 0 dBFS there, as its peak does in takt/level.h and takt/spectrum.h, though the bands measure mean
 * squares. Of several channels each band shows the loudest.
 *
 * Mid-band frequencies are exact and of base ten: 1000 Hz · 10^(3k/10) for octaves, 1000 Hz ·
 * 10^(k/10) for thirds; band edges are half a band away (IEC 61260-1:2014, 5.2 to 5.5). Each filter
 * is a Butterworth band-pass of eighth order; those of low bands run on the sound after as many
 * halvings of its rate as leave the band at most 24 % of it wide. Relative attenuation keeps within
 * the limits of class 1, at any rate and for every band (5.10, table 1).
 */
#ifndef TAKT_BANDS_H
#define TAKT_BANDS_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_bands;

/* How many bands an octave has. */
enum takt_bands_width { TAKT_BANDS_THIRD = 0, TAKT_BANDS_OCTAVE };

enum { TAKT_BANDS_MOST = 64 };

/* A zero field takes its default. */
struct takt_bands_cfg {
    uint32_t rate_hz;  /* 4000..768000, default 48000 */
    uint32_t channels; /* 1..64, default 1 */
    enum takt_bands_width width;
    double low_hz;  /* the lowest band is the one that holds it; 1 or more, default 20 */
    double high_hz; /* and the highest, or the last that fits under half the rate; default 20000 */
    double average_s; /* time constant of level_dbfs, default 0.125: "fast"; 1 is "slow" */
};

struct takt_band {
    double middle_hz, low_hz, high_hz; /* exact */
    const char *label;                 /* its nominal middle: "31.5", "1k", "12.5k" */
    double level_dbfs;                 /* mean square, its past fading by e every average_s */
    double mean_dbfs;                  /* of everything since create or reset: Leq */
    double max_dbfs;                   /* the largest level_dbfs since then */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_bands_create(const struct takt_bands_cfg *cfg, struct takt_bands **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_bands_destroy(struct takt_bands *b);

/* Takes in frames, the first of which stands at `position` in the stream. Those that it has had are
 * passed over, so overlapping windows may be given as they are. A gap, or a position that is before
 * everything of the call before, lets the filters begin anew; means go on. What is no finite number
 * counts as 0, what is beyond +-1e6 as +-1e6.
 * Shape: x[frames][channels], interleaved. Errors: none. Thread: one at a time.
 * RT: yes (wait-free), O(frames * channels). */
TAKT_API void takt_bands_process(struct takt_bands *b, const float *x, size_t frames,
                                 uint64_t position);

/* How many there are. Thread: any. RT: yes. */
TAKT_API uint32_t takt_bands_count(const struct takt_bands *b);

/* One of them, from the lowest on; all zero for one that there is not. Finite, -200 for silence.
 * Thread: the one that processes. RT: yes. */
TAKT_API void takt_bands_read(const struct takt_bands *b, uint32_t band, struct takt_band *out);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_bands_reset(struct takt_bands *b);

#ifdef __cplusplus
}
#endif
#endif
