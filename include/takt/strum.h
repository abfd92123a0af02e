/*
 * takt/strum.h - all strings of an instrument struck at once: how far each is off, in cents.
 *
 *     takt_strum_create(&(struct takt_strum_cfg){.tuning = takt_tuning_find("guitar")}, &s, &e);
 *     if (takt_strum_process(s, x, frames, position, &now))     // once a strum, 1.5 s after it
 *         for (int i = 0; i < now.count; i++)
 *             if (now.string[i].known)
 *                 printf("%d: %+.1f cents\n", i, now.string[i].cents);
 *
 * Each string is looked for within half a semitone of its note. What is told of it comes only from
 * partials that lie apart from those of all other strings; the partials of stiff strings do so
 * sooner or later, since each string stretches them in its own way. Where none does, the string is
 * not known, and so it is when it did not sound: two strings an octave apart are the hardest.
 */
#ifndef TAKT_STRUM_H
#define TAKT_STRUM_H

#include "takt/error.h"
#include "takt/note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_strum;

/* A zero field takes its default. */
struct takt_strum_cfg {
    uint32_t rate_hz;                 /* 8000..192000, default 48000 */
    double a4_hz;                     /* what A4 shall be, 380..480, default 440 */
    double clock_ppm;                 /* by how much the sound card's clock is fast, -1000..1000 */
    const struct takt_tuning *tuning; /* copied; must be given */
};

struct takt_strum_string {
    bool known;         /* the rest holds; else all 0 */
    double f0_hz;       /* of the first partial */
    double cents;       /* how far that is above the string's note */
    double sigma_cents; /* standard error of f0_hz */
    double stretch;     /* B, as in takt/tuner.h */
    int partials;       /* that it was drawn from */
};

struct takt_strum_reading {
    uint64_t position; /* of the strum */
    int count;         /* of the strings, as in the tuning */
    struct takt_strum_string string[TAKT_STRINGS_MAX];
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_strum_create(const struct takt_strum_cfg *cfg, struct takt_strum **out,
                               struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_strum_destroy(struct takt_strum *s);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_strum_reset(struct takt_strum *s);

/* Takes the frames from `position` of the stream on. True when a strum has been heard out among
 * them, the last one where there were more. A new strum before the end of the last takes its place;
 * a position that does not follow on the last call's begins anew. A sample that is no finite number
 * counts as 0, what is beyond +-1e6 as +-1e6. A strum is heard out 1.5 s after it at 48 kHz, 1.1 to
 * 2.1 s at others. *out is left alone where it returns false.
 * Shape: x[frames]. Units: linear, -1..+1. Errors: none. Thread: one at a time.
 * RT: no: it neither allocates nor waits, but each strum takes an FFT of up to 65536 frames and a
 * search among all its peaks at once, which is some ms. */
TAKT_API bool takt_strum_process(struct takt_strum *s, const float *x, size_t frames,
                                 uint64_t position, struct takt_strum_reading *out);

#ifdef __cplusplus
}
#endif
#endif
