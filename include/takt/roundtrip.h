/*
 * takt/roundtrip.h - how long sound takes from an output back into an input, to the frame.
 *
 *     takt_roundtrip_create(&(struct takt_roundtrip_cfg){.rate_hz = 48000}, &r, &e);
 *     takt_roundtrip_process(r, b->in[0], b->out[0], b->frames, b->lost_frames);   // in the
 * callback
 *     ...
 *     if (takt_roundtrip_done(r))
 *         takt_roundtrip_analyse(r, &found, &e);
 *
 * A maximum-length sequence is played over and over and what comes back is compared with it at
 * every shift (D. Rife and J. Vanderkooy, "Transfer-function measurement with maximum-length
 * sequences", J. Audio Eng. Soc. 37(6), 1989), which finds it below the noise of a room. All shifts
 * at once take one fast Hadamard transform (J. Borish and J. Angell, "An efficient algorithm for
 * measuring the impulse response using pseudorandom noise", J. Audio Eng. Soc. 31(7), 1983).
 */
#ifndef TAKT_ROUNDTRIP_H
#define TAKT_ROUNDTRIP_H

#include "takt/error.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_roundtrip;

/* A zero field takes its default. */
struct takt_roundtrip_cfg {
    uint32_t rate_hz; /* default 48000 */
    int order;    /* a period is 2^order - 1 frames, and no delay may be longer: 10..20; default:
                     the first that lasts half a second */
    int periods;  /* compared, behind one that is not: 1..1000, default 2 */
    double level; /* of what is played, 0..1; default 0.25, that is -12 dBFS */
};

/* What came back. */
struct takt_roundtrip_found {
    uint32_t delay_frames; /* from out of one process to in of the same, the strongest that came */
    double fraction; /* of a frame more, -0.5..0.5, from a parabola through its neighbours: rough */
    bool is_inverted;  /* it came back upside down */
    double gain_db;    /* of that path alone */
    double clarity_db; /* how far it stands above the RMS of all other shifts */
    uint32_t
        echo_frames;   /* the strongest other arrival, 16 frames away at least, and by how much */
    double echo_db;    /* it is weaker, <= 0 */
    uint64_t clips;    /* frames at full scale among those compared */
    uint32_t restarts; /* how often frames were lost, and it began anew */
};

/* The only call that allocates, some 20 bytes for each frame of a period.
 * Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_roundtrip_create(const struct takt_roundtrip_cfg *cfg,
                                   struct takt_roundtrip **out, struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_roundtrip_destroy(struct takt_roundtrip *r);

/* Fills out with the next of the sequence and takes in what came back. Shape: in[frames],
 * out[frames]; they may be one. lost_frames: since the last call; if any, all begins anew.
 * Thread: one at a time. RT: yes (wait-free), O(frames). */
TAKT_API void takt_roundtrip_process(struct takt_roundtrip *r, const float *in, float *out,
                                     uint32_t frames, uint64_t lost_frames);

/* Has all been heard? Frames that come then are no longer compared. Thread: any. RT: yes. */
TAKT_API bool takt_roundtrip_done(const struct takt_roundtrip *r);

/* How long it takes when no frame is lost. Thread: any. RT: yes. */
TAKT_API uint64_t takt_roundtrip_length_frames(const struct takt_roundtrip *r);

/* What was found. Thread: any, once done. RT: no: O(n log n) for a period of n frames.
 * Errors: TAKT_ERR_STATE before it is done; TAKT_ERR_NOT_FOUND when nothing of it came back, or not
 * 20 dB above the rest, which noise alone does not reach. */
TAKT_API int takt_roundtrip_analyse(struct takt_roundtrip *r, struct takt_roundtrip_found *out,
                                    struct takt_error *e);

#ifdef __cplusplus
}
#endif
#endif
