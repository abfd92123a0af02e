/*
 * verbs.h - what takt can be told to do. Each verb has a file of its own.
 */
#ifndef CMD_VERBS_H
#define CMD_VERBS_H

#include "options.h"

struct verb {
    const char *name;
    const char *usage;   /* behind the name: "[SOURCE]" */
    const char *meaning; /* one line */
    const char *more;    /* paragraphs for its own help; may be "" */
    const char *options; /* the short or only names of those it takes, a space between each */
    int (*run)(struct options *o);
};

extern const struct verb verbs[]; /* ends with a NULL name */

int verb_devices(struct options *o);
int verb_meter(struct options *o);
int verb_play(struct options *o);
int verb_record(struct options *o);
int verb_run(struct options *o);
int verb_demo(struct options *o);
int verb_help(struct options *o);

/* Shared by the verbs that run a stream. */

/* At most `most` words, and none that only looks like one. 0, or EXIT_USAGE after saying why. */
int verb_words(const struct options *o, int least, int most, const char *usage);

/* Sets the length from -t at the stream's rate; refuses --fast without an end. 0 or an exit
 * status. source and sink may be NULL. */
int verb_length(const struct options *o, struct takt_stream_cfg *stream, const char *source,
                const char *sink);

#endif
