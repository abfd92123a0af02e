/*
 * takt/tuner.h - how far the note that sounds is from the note that it should be, in cents.
 *
 *     takt_tuner_create(&(struct takt_tuner_cfg){.tuning = takt_tuning_find("guitar")}, &t, &e);
 *     size_t n = takt_tuner_process(t, x, frames, position, now, 8);
 *     for (size_t i = 0; i < n; i++)
 *         if (now[i].voiced)
 *             printf("note %d %+.1f cents, give or take %.1f\n", now[i].note, now[i].cents,
 *                    now[i].sigma_cents);
 *
 * A note is found by takt_pitch and then measured by the phases of its partials, for as long back
 * as it was steady and a second at most. A new note is let go for at once. f0_hz is the frequency
 * of the first partial, which is what is called a string's pitch; the partials above it are
 * stretched, f_k = k·f0·√(1 + B·k²), and B is told, too.
 *
 * sigma_cents is the standard error of what is shown, as the sound itself tells it: the noise of
 * the phases, and how far the partials agree. The bound below which nobody can get is that of D.
 * Rife and R. Boorstyn, "Single-tone parameter estimation from discrete-time observations", IEEE
 * Trans. Inf. Theory 20, 1974: takt_tuner_bound_cents().
 */
#ifndef TAKT_TUNER_H
#define TAKT_TUNER_H

#include "takt/error.h"
#include "takt/note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_tuner;

/* A zero field takes its default. */
struct takt_tuner_cfg {
    uint32_t rate_hz;                 /* 8000..192000, default 48000 */
    double a4_hz;                     /* what A4 shall be, 380..480, default 440 */
    double clock_ppm;                 /* by how much the sound card's clock is fast, -1000..1000 */
    const struct takt_tuning *tuning; /* strings to choose from; copied. NULL: every note */
};

struct takt_tuner_reading {
    uint64_t position;  /* the frame after the newest that was heard */
    bool voiced;        /* there is a note; the fields below are 0 without one, but where said */
    bool precise;       /* measured by its partials; until then by its period alone */
    double f0_hz;       /* of the first partial */
    double sigma_cents; /* standard error of f0_hz */
    double confidence;  /* that there is a note and that it is this one, 0..1 */
    double level_dbfs;  /* RMS of the last 16 ms; also without a note */
    int note;           /* the nearest, or that of the nearest string */
    int string;         /* from 0, as in the tuning; -1 without a tuning or a note */
    double cents;       /* how far f0_hz is above that note */
    double stretch;     /* B; 0 until precise */
    double stretch_sigma;
    int partials;   /* that f0_hz was drawn from */
    double span_s;  /* how much of the past, in seconds */
    uint64_t notes; /* how many have begun since create, also without one now */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_tuner_create(const struct takt_tuner_cfg *cfg, struct takt_tuner **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_tuner_destroy(struct takt_tuner *t);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_tuner_reset(struct takt_tuner *t);

/* The frames from one reading to the next: 32/3 ms. Thread: any. RT: yes. */
TAKT_API size_t takt_tuner_hop_frames(const struct takt_tuner *t);

/* Takes the frames from `position` of the stream on, and gives a reading for each hop that they
 * complete; returns how many. When more than out_max are due the newest stay away: give room for
 * frames / hop + 1. A position that does not follow on the last call's begins anew there. The same
 * sound in blocks of any size gives the same readings. A sample that is no finite number counts as
 * 0, what is beyond +-1e6 as +-1e6.
 * Shape: x[frames], out[out_max]. Units: linear, -1..+1. Errors: none.
 * Thread: one at a time. RT: yes (wait-free), O(frames), but not evenly: each half hop has a pitch
 * to find, and each hop 16 partials to follow through four periods of the note, 0.18 s at most. At
 * 48 kHz that is 1 % of a core, and 0.2 ms at once: too much for the callback of short blocks,
 * which leaves it to a worker. */
TAKT_API size_t takt_tuner_process(struct takt_tuner *t, const float *x, size_t frames,
                                   uint64_t position, struct takt_tuner_reading *out,
                                   size_t out_max);

/* The least standard error, in cents, that the frequency hz of one sine can be told with from
 * `seconds` of it at that ratio of signal to white noise (Rife and Boorstyn 1974):
 * var(ω) >= 6 / (snr·N·(N² - 1)) for a real sine with snr = A²/(2σ²) over N samples.
 * Thread: any. RT: yes. */
TAKT_API double takt_tuner_bound_cents(double hz, double snr_db, double seconds, uint32_t rate_hz);

#ifdef __cplusplus
}
#endif
#endif
