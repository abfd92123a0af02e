/*
 * takt/tempo.h - how fast the music goes, and when its next beat falls.
 *
 *     takt_tempo_create(&(struct takt_tempo_cfg){.rate_hz = 48000}, &t, &e);
 *     uint64_t at;
 *     size_t n = takt_onset_flux(o, flux, 256, &at);      // takt/onset.h
 *     size_t beats = takt_tempo_process(t, flux, n, at, beat, 8);
 *     takt_tempo_read(t, &now);                           // now.bpm, now.next_beat
 *
 * It goes by how the spectrum rises, over the last eight seconds: what repeats itself is the beat.
 * Of a beat and its half and double it takes the one nearer to bpm_usual, unless the onsets between
 * say otherwise. A beat is told when it is due, at a position foretold from those before it.
 */
#ifndef TAKT_TEMPO_H
#define TAKT_TEMPO_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_tempo;

/* A zero field takes its default. */
struct takt_tempo_cfg {
    uint32_t rate_hz; /* of positions, 8000..384000, default 48000 */
    double bpm_min;   /* 30..300, default 45 */
    double bpm_max;   /* 30..300, at least twice bpm_min; default 230 */
    double bpm_usual; /* which octave is meant where two are as good, bpm_min..bpm_max; default 120,
                         or what of these is nearest */
};

struct takt_tempo_reading {
    double bpm;         /* 0 where nothing repeats itself, or not for long enough */
    double confidence;  /* 0..1: how much of the rise repeats itself at that tempo */
    uint64_t position;  /* up to which this is known */
    uint64_t next_beat; /* position, foretold; 0 where bpm is 0 */
    uint64_t beats;     /* since create or reset */
};

struct takt_tempo_beat {
    uint64_t position; /* of the beat, in frames of the stream */
    double bpm, confidence;
};

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_tempo_create(const struct takt_tempo_cfg *cfg, struct takt_tempo **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_tempo_destroy(struct takt_tempo *t);

/* Takes in rises, TAKT_ONSET_FLUX_HZ a second, the first at `position`, and fills in the beats that
 * fell due; of more than `most` the first. A position that jumps by more than a look is a gap: the
 * tempo is found anew. A rise that is no finite number counts as 0.
 * Shape: flux[count], out[most]. Units: those of takt_onset_flux. Errors: none. Returns how many it
 * filled in. Thread: one at a time.
 * RT: yes (wait-free), O(count); two FFTs of 4096 and a search among the lags each quarter of a
 * second. */
TAKT_API size_t takt_tempo_process(struct takt_tempo *t, const float *flux, size_t count,
                                   uint64_t position, struct takt_tempo_beat *out, size_t most);

/* What is known by now. Thread: the one that processes. RT: yes. */
TAKT_API void takt_tempo_read(const struct takt_tempo *t, struct takt_tempo_reading *out);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_tempo_reset(struct takt_tempo *t);

#ifdef __cplusplus
}
#endif
#endif
