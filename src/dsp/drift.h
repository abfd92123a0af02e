/*
 * dsp/drift.h - keeps a queue between two clocks at its length, by saying how much faster or slower
 * than nominal it has to be read.
 *
 *     takt_drift_init(&d, 48000);
 *     ... every block: error = frames in the queue, as of this instant, less those wished ...
 *     speed = 1 + takt_drift_update(&d, error, block_s);
 *
 * A loop of second order: the part that adds up finds the clocks' true difference, so that a
 * constant drift leaves no error behind. Its band is wide for the first seconds, to find the drift
 * soon, and narrow from then on, so that what jitter is left in the error cannot be heard as a
 * wavering pitch. After F. Adriaensen, "Controlling adaptive resampling" (Linux Audio Conference
 * 2012), where the error is smoothed by one more pole far above the band, too.
 *
 * Pure: time comes in by argument. Thread: one at a time. RT: yes (wait-free), O(1), all calls.
 */
#ifndef TAKT_DSP_DRIFT_H
#define TAKT_DSP_DRIFT_H

#include <stdint.h>

struct takt_drift {
    double rate_hz;    /* of the queue's frames */
    double settled_s;  /* since it began, up to the end of the wide band */
    double smooth;     /* the error, frames */
    double drift;      /* the part that adds up: the clocks' relative difference */
    double correction; /* said last */
};

void takt_drift_init(struct takt_drift *d, double rate_hz);

/* The queue was refilled to its length in one go: the drift found so far stays, the rest begins
 * anew. */
void takt_drift_jump(struct takt_drift *d);

/* error_frames: too many in the queue is above 0. dt_s: since the last update. Returns by how much
 * the queue is to be read faster, relative: within -0.01..0.01. */
double takt_drift_update(struct takt_drift *d, double error_frames, double dt_s);

#endif
