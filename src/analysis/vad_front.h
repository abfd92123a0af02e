/*
 * analysis/vad_front.h - what the voice activity detector hears: each 10 ms a dozen numbers by
 * which voice differs from noise.
 */
#ifndef TAKT_ANALYSIS_VAD_FRONT_H
#define TAKT_ANALYSIS_VAD_FRONT_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VAD_BANDS = 17,
    VAD_FEATURES = 13,            /* of this window */
    VAD_INPUTS = 2 * VAD_FEATURES /* and how they were of late */
};

struct takt_vad_front;

struct takt_vad_heard {
    float feature[VAD_INPUTS];
    double snr_db, harmonicity, level_dbfs;
    double bands_db; /* the mean of the bands' levels */
};

/* floor_dbfs: a spectrum of this level is added to the tracked noise. Errors: TAKT_ERR_NOMEM.
 * RT: no. */
int takt_vad_front_create(uint32_t rate_hz, double floor_dbfs, struct takt_vad_front **out,
                          struct takt_error *e);
void takt_vad_front_destroy(struct takt_vad_front *f); /* NULL is fine. RT: no. */

/* Takes in up to `frames` finite samples and stops behind the end of a hop; *heard is filled in
 * then, and *is_ready true. Returns how many it took. RT: yes (wait-free). */
size_t takt_vad_front_take(struct takt_vad_front *f, const float *x, size_t frames,
                           struct takt_vad_heard *heard, bool *is_ready);

/* Forgets the sound, and the noise as well where `all`. RT: yes. */
void takt_vad_front_reset(struct takt_vad_front *f, bool all);

uint32_t takt_vad_front_window(const struct takt_vad_front *f); /* in frames. RT: yes. */

#endif
