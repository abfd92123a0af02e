/*
 * verbs.h - what takt can be told to do. Each verb has a file of its own.
 */
#ifndef CMD_VERBS_H
#define CMD_VERBS_H

#include "session.h"

struct verb {
    const char *name;
    const char *usage;   /* behind the name: "[SOURCE]" */
    const char *meaning; /* one line */
    const char *more;    /* paragraphs for its own help; may be "" */
    const char *options; /* the short or only names of those it takes, a space between each; those
                          * behind a | are only named by its help */
    int (*run)(struct options *o);
};

extern const struct verb verbs[]; /* ends with a NULL name */

int verb_devices(struct options *o);
int verb_meter(struct options *o);
int verb_tune(struct options *o);
int verb_spectrum(struct options *o);
int verb_beat(struct options *o);
int verb_play(struct options *o);
int verb_record(struct options *o);
int verb_run(struct options *o);
int verb_dashboard(struct options *o); /* takt alone, on a terminal */
int verb_demo(struct options *o);
int verb_bench(struct options *o);
int verb_latency(struct options *o);
int verb_doctor(struct options *o);
int verb_sim(struct options *o);
int verb_sim_net(struct options *o, int count, char **arguments); /* behind takt sim net */
int verb_check(struct options *o);
int verb_send(struct options *o);
int verb_recv(struct options *o);
int verb_key(struct options *o);
int verb_help(struct options *o);

/* Shared by the verbs that run a stream. */

/* So many words as the verb takes. 0, or EXIT_USAGE after saying why. */
int verb_words(const struct options *o, int least, int most, const char *usage);

/* A session from source (NULL: from the network) to sink (NULL: a meter, which has none) as the
 * options say: rate, length, channels. -c counts the sink's channels, or a meter's; a recording is
 * read with all it has. 0, or EXIT_USAGE after saying why: a --fast without end, a sink that is the
 * source. */
int verb_session(const struct options *o, struct session *s, const char *source, const char *sink);

/* The session of a verb that only listens: to its [SOURCE], to what -i names, or to the default
 * input. 0, or EXIT_USAGE after saying why: two sources, or as verb_session. */
int verb_listen(const struct options *o, struct session *s);

/* A picture shall not take the place of the sound. 0, or EXIT_USAGE after saying why. */
int verb_is_no_sound(const struct options *o, const char *name, const char *path,
                     const char *source, const char *sink);

/* A file that need not be there yet cannot be asked, but has a name without a scheme. */
bool verb_is_recording(const char *id);

#endif
