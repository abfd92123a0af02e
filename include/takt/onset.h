/*
 * takt/onset.h - where notes, beats and syllables begin: events with times.
 *
 *     takt_onset_create(&(struct takt_onset_cfg){.rate_hz = 48000}, &o, &e);
 *     size_t n = takt_onset_process(o, x, frames, position, found, 16);
 *     for (size_t i = 0; i < n; i++)
 *         printf("%.3f s %.2f\n", (double)found[i].position / 48000, found[i].strength);
 *
 * An onset is where the spectrum rises, in many bands or by much, against how it usually moves of
 * late. It is told some 20 to 35 ms after it happened, see takt_onset_latency_frames, and its time
 * is then found in the sound itself: within 10 ms, for what sets in at once within 2 ms.
 *
 * Positions count the stream's frames. One that jumps is a gap: nothing is compared across it.
 */
#ifndef TAKT_ONSET_H
#define TAKT_ONSET_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_onset;

enum { TAKT_ONSET_FLUX_HZ = 200 }; /* how often the spectrum is looked at */

/* A zero field takes its default. */
struct takt_onset_cfg {
    uint32_t rate_hz;   /* 8000..384000, default 48000 */
    double threshold;   /* how much of a rise it takes, 0.01..10; default 0.1: see strength */
    double interval_ms; /* two onsets are at least so far apart, 10..10000; default 50 */
    double floor_dbfs;  /* what is softer is silence, -200..0; default -70 */
};

struct takt_onset_event {
    uint64_t position; /* where it began, in frames of the stream */
    double strength;   /* the mean rise of the bands, in log10(1 + 2000 * amplitude) */
    double level_dbfs; /* RMS of the window in which it was found */
};

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_onset_create(const struct takt_onset_cfg *cfg, struct takt_onset **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_onset_destroy(struct takt_onset *o);

/* Takes in one channel's frames, the first of which stands at `position`, and fills in the onsets
 * that are sure by now; of more than `most` the first. Any cutting into pieces finds the same.
 * NaN and what is beyond +-1e6 count as 0.
 * Shape: x[frames], out[most]. Units: linear, -1..+1. Errors: none. Returns how many it filled in.
 * Thread: one at a time. RT: yes (wait-free), O(frames); an FFT each 5 ms. */
TAKT_API size_t takt_onset_process(struct takt_onset *o, const float *x, size_t frames,
                                   uint64_t position, struct takt_onset_event *out, size_t most);

/* The rise of the spectrum at each look since the last call, 200 a second, oldest first, as
 * takt_tempo_process wants it, and the position of the first: the middle of its window. What has
 * not been fetched for a second is overwritten, and so is what was before a gap: fetch after each
 * process. Returns how many. Shape: flux[most]. Units: as an event's strength, not below 0.
 * Thread: the one that processes. RT: yes (wait-free), O(most). */
TAKT_API size_t takt_onset_flux(struct takt_onset *o, float *flux, size_t most, uint64_t *position);

/* How many frames after an onset its event comes at most. Thread: any. RT: yes. */
TAKT_API uint32_t takt_onset_latency_frames(const struct takt_onset *o);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_onset_reset(struct takt_onset *o);

#ifdef __cplusplus
}
#endif
#endif
