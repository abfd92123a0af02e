/*
 * takt/roundtrip.h - how long sound takes from an output back to an input, to the frame.
 *
 *     takt_roundtrip_create(&(struct takt_roundtrip_cfg){0}, &r, &e);
 *     takt_roundtrip_process(r, b->position, b->in[0], b->out[0], b->frames); // in the callback
 *     ...
 *     if (takt_roundtrip_done(r))                                             // in another thread
 *         takt_roundtrip_read(r, &result, &e);
 *
 * One measurement is a period of silence, in which the noise is heard, and then a maximum-length
 * sequence of +-1 over and over: the first period fills the path, the others are averaged. Their
 * circular correlation with the sequence is the path's impulse response; its peak is the delay.
 *
 * Sources: J. Borish and J. B. Angell, "An Efficient Algorithm for Measuring the Impulse Response
 * Using Pseudorandom Noise", JAES 31(7), 1983; S. Golomb, "Shift Register Sequences", 1967.
 */
#ifndef TAKT_ROUNDTRIP_H
#define TAKT_ROUNDTRIP_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_roundtrip;

/* A zero field takes its default. */
struct takt_roundtrip_cfg {
    uint32_t order; /* 10..17, default 15: a period, and the longest delay, is 2^order - 1 frames */
    uint32_t periods;  /* averaged, 1..64, default 3 */
    double level_dbfs; /* of the sequence, peak and RMS alike; -100 to below 0, default -20 */
};

enum takt_roundtrip_verdict {
    TAKT_ROUNDTRIP_MEASURED = 0,
    TAKT_ROUNDTRIP_SILENCE, /* nothing came back: no more than was heard while nothing was played */
    TAKT_ROUNDTRIP_NOISE,   /* something came back, but no peak stands out of it by 20 dB */
    TAKT_ROUNDTRIP_LATE     /* it came back later than one period; the delay is not known */
};

struct takt_roundtrip_result {
    enum takt_roundtrip_verdict verdict;
    uint32_t frames;   /* from output to input, to the nearest; 0 unless measured */
    double fraction;   /* to be added for the top of a parabola through the peak: -0.5..0.5 */
    double gain;       /* input over output at the peak, linear; below 0 when inverted */
    double level_dbfs; /* of what came back of the sequence */
    double snr_db;     /* the peak over the RMS of the response 32 frames and more away; <= 200 */
    double noise_dbfs; /* RMS of the input while nothing was played, without its mean */
    uint32_t second_frames; /* where the largest value is that is 32 frames and more away */
    double second_db;       /* its size against the peak, <= 0; -200 at the least */
    uint64_t clips;         /* input samples at full scale, |x| >= 32767/32768 */
    uint64_t lost_frames;   /* skipped by position during the measurement */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_roundtrip_create(const struct takt_roundtrip_cfg *cfg,
                                   struct takt_roundtrip **out, struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_roundtrip_destroy(struct takt_roundtrip *r);

/* One period, in frames: 2^order - 1. Thread: any. RT: yes (wait-free). */
TAKT_API uint32_t takt_roundtrip_period(const struct takt_roundtrip *r);

/* How many frames one measurement takes. Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_roundtrip_length(const struct takt_roundtrip *r);

/* Writes the next frames of output and takes in those of input, of any count. The first call begins
 * the measurement; position counts frames from then on and may skip what was lost. Before and after
 * a measurement out is silence. A sample that is no finite number counts as 0.
 * Shape: in[frames], out[frames], which may be the same. Units: linear, -1..+1. Errors: none.
 * Thread: one at a time. RT: yes (wait-free), O(frames). */
TAKT_API void takt_roundtrip_process(struct takt_roundtrip *r, uint64_t position, const float *in,
                                     float *out, size_t frames);

/* Is the measurement complete? Thread: any. RT: yes (wait-free). */
TAKT_API bool takt_roundtrip_done(const struct takt_roundtrip *r);

/* Works out what a complete measurement found, in O(n log n) of the period's n frames. It works in
 * memory of its own, and again and again with the same result. Errors: TAKT_ERR_STATE when it is
 * not complete. Thread: any, one at a time. RT: no. */
TAKT_API int takt_roundtrip_read(struct takt_roundtrip *r, struct takt_roundtrip_result *out,
                                 struct takt_error *e);

/* Begins anew with the next process, which may go on meanwhile. Only when done, else
 * TAKT_ERR_STATE. Thread: that which reads. RT: no. */
TAKT_API int takt_roundtrip_restart(struct takt_roundtrip *r);

/* "measured", "silence", "noise", "late". Never NULL. RT: yes. */
TAKT_API const char *takt_roundtrip_verdict_name(enum takt_roundtrip_verdict verdict);

#ifdef __cplusplus
}
#endif
#endif
