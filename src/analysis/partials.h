/*
 * analysis/partials.h - the frequency of one steady note, as exactly as the phases of its partials
 * tell it, with how far it may be off.
 *
 *     takt_partials_begin(p, 82.3);                     // a note near there
 *     size_t window = takt_partials_window(p);
 *     if (!takt_partials_step(p, newest - window))      // every takt_partials_hop(p) frames
 *         takt_partials_begin(p, ...);                  // it is the same note no more
 *     takt_partials_read(p, &now);
 *
 * Thread: one at a time, all calls.
 */
#ifndef TAKT_ANALYSIS_PARTIALS_H
#define TAKT_ANALYSIS_PARTIALS_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct takt_partials;

struct takt_partials_reading {
    bool known;           /* the rest holds: there were two windows at least */
    bool fresh;           /* the newest step could be used for it */
    double hz;            /* of the first partial, also where it is missing */
    double sigma_cents;   /* standard error of that */
    double stretch;       /* B of f_k = k·f0·√(1 + B·k²) */
    double stretch_sigma; /* its standard error */
    int partials;         /* that were used */
    double span_s;        /* how much of the past */
};

/* For rates of 8000..192000 Hz and notes of low_hz and more. RT: no. */
int takt_partials_create(double rate_hz, double low_hz, struct takt_partials **out,
                         struct takt_error *e);
/* RT: no. */
void takt_partials_destroy(struct takt_partials *p);

/* The frames from one step to the next, and the most that a window can have. RT: yes. */
size_t takt_partials_hop(const struct takt_partials *p);
size_t takt_partials_window_most(const struct takt_partials *p);

/* Forgets all: a note begins, within a quarter tone of hz. RT: yes. */
void takt_partials_begin(struct takt_partials *p, double hz);

/* The frames that a step looks at, since begin. RT: yes. */
size_t takt_partials_window(const struct takt_partials *p);

/* Takes in the next window, one hop after the last. Shape: x[window]. False where its phases are
 * not those that the steps before foretold: a new note, or the old one plucked anew. RT: yes. */
bool takt_partials_step(struct takt_partials *p, const float *x);

/* 2 or 3 where every second or third partial alone sounds, so that the note is that much higher;
 * else 1. RT: yes. */
int takt_partials_multiple(const struct takt_partials *p);

/* What is expected of the first partial at the moment. RT: yes. */
double takt_partials_hz(const struct takt_partials *p);

/* RT: yes. */
void takt_partials_read(const struct takt_partials *p, struct takt_partials_reading *out);

#endif
