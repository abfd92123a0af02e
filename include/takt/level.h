/*
 * takt/level.h - how loud each channel is: RMS, peak, peak hold, clips.
 *
 *     takt_level_create(&(struct takt_level_cfg){.channels = 2, .rate_hz = 48000}, &l, &e);
 *     takt_level_update(l, b->in, b->frames);      // in the callback
 *     takt_level_read(l, 0, &now);                 // in any other thread
 *
 * All levels are in dBFS: 20·log10(max(x, 1e-10)), so silence is -200. A full-scale sine has an
 * RMS of -3.01 and a peak of 0. Every reading is a finite number, whatever came in: NaN and
 * infinity count as silence in RMS and DC; infinity is a clip, and a peak of the largest float.
 */
#ifndef TAKT_LEVEL_H
#define TAKT_LEVEL_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_level;

/* A zero field takes its default. */
struct takt_level_cfg {
    uint32_t channels; /* 1..64, default 1 */
    uint32_t rate_hz;  /* default 48000 */
    double rms_s;      /* time constant of rms_dbfs, default 0.3 */
    double hold_s;     /* how long the peak is held, default 1.5 */
    double fall_db_s;  /* how fast it falls then, default 20 */
};

struct takt_level_reading {
    double rms_dbfs;       /* the mean square with its past fading by e every rms_s */
    double block_rms_dbfs; /* of the last block */
    double block_peak_dbfs;
    double hold_dbfs;      /* the peak, held from the end of its block, then falling */
    double peak_dbfs;      /* the largest since create or reset */
    double total_rms_dbfs; /* over everything since then */
    double dc;             /* mean of everything since then, linear */
    uint64_t clips;        /* samples at full scale: |x| >= 32767/32768, the most of 16 bits */
    uint64_t clip_runs;    /* runs of at least three of them in a row, which can be heard */
    uint64_t clip_spots;   /* runs of at least one */
    uint64_t overs;        /* samples |x| > 1, which no integer format can hold */
    uint64_t frames;
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_level_create(const struct takt_level_cfg *cfg, struct takt_level **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_level_destroy(struct takt_level *l);

/* Takes in one block. Shape: in[channels][frames]. Thread: one at a time.
 * RT: yes (wait-free), O(frames * channels). */
TAKT_API void takt_level_update(struct takt_level *l, const float *const *in, size_t frames);

/* The latest of one channel; its numbers may be one block apart from one another. All zero for a
 * channel that there is not. Thread: any. RT: yes (wait-free). */
TAKT_API void takt_level_read(const struct takt_level *l, uint32_t channel,
                              struct takt_level_reading *out);

/* Begins anew. Thread: the one that updates. RT: yes. */
TAKT_API void takt_level_reset(struct takt_level *l);

/* 20·log10(max(x, 1e-10)). Thread: any. RT: yes. */
TAKT_API double takt_dbfs(double x);

#ifdef __cplusplus
}
#endif
#endif
