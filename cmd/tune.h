/*
 * tune.h - what takt tune keeps while it runs, shared by the verb (verb_tune.c) and what is seen of
 * it (tune_view.c).
 */
#ifndef CMD_TUNE_H
#define CMD_TUNE_H

#include "analysis.h"

/* One exact reading, kept for the summary's median. */
struct tune_kept {
    float cents, sigma_cents;
    int8_t note, string;
};

struct tune {
    struct takt_tuner *tuner; /* the worker's */
    struct takt_tuning tuning;
    bool has_tuning, flats;
    double a4_hz;
    /* The main thread's: */
    struct takt_tuner_reading now, last; /* last: with a note */
    double now_s, last_s;
    bool has_last;
    /* The surest of the latest note, here and on each string; notes 0: none yet. */
    struct takt_tuner_reading sure, of_string[TAKT_STRINGS_MAX];
    struct tune_kept *kept;
    size_t kept_count, kept_every, kept_skipped;
    /* With --strum, instead: */
    struct takt_strum *strum;          /* the worker's */
    struct takt_strum_reading strings; /* of the last strum */
    uint64_t strums;
};

/* Within so many cents a note counts as in tune: people hear five or six. */
extern const double tune_well_cents;

/* The number of a string as players count, from the highest: the low E of a guitar is the 6th. */
int tune_string_number(const struct tune *t, int string);

/* --strum: all strings at once (tune_strum.c). state has to be set. */
extern const struct analysis tune_strum;

/* A line with a needle at so many cents of full_cents, and nothing behind it. */
void tune_needle(struct terminal *t, const char *before, double cents, double full_cents,
                 const char *colour);

/* Takes a reading of that time: what the needles and the text show from now on. */
void tune_hear(struct tune *t, const struct takt_tuner_reading *r, double time_s);

void tune_text(struct analysis *a, const void *event, double time_s);
void tune_draw(struct analysis *a, struct terminal *t, int rows, const void *event);

#endif
