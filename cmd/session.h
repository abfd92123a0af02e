/*
 * session.h - runs one stream from the command line: its callback with the chain and the level
 * meter, the live view or the lines beside it, Ctrl-C, events, and the summary at the end.
 */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "chain.h"
#include "options.h"

struct session {
    const struct options *options;
    const char *title;             /* of the live view; default: the devices */
    struct takt_stream_cfg stream; /* devices, length and format set; process is the session's */
    struct chain *chain;           /* may be NULL */
    bool mixes;                    /* every input channel is heard on every output channel */
    bool no_summary;               /* for a part of something longer */
    bool stopped_by_user;          /* out */
    struct takt_contract_snapshot contract; /* out */
    struct takt_stream_actual actual;       /* out; its device names are gone */
};

/* Runs it to its end. Returns the exit status. */
int session_run(struct session *s);

/* Says on stderr that the default device is a simulated one, where it is. */
void note_simulated(const struct options *o, const char *in, const char *out);

#endif
