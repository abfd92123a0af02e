/*
 * session.h - runs one stream from the command line: its callback with the chain and the level
 * meter, the live view or the lines beside it, Ctrl-C, events, and the summary at the end.
 */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "chain.h"
#include "options.h"
#include "signals.h"

struct session {
    const struct options *options;
    const char *title;             /* of the live view; default: the devices */
    struct takt_stream_cfg stream; /* devices, length and format set; process is the session's */
    uint64_t source_frames;        /* how long the source is; 0: unknown, or it has no end */
    struct chain *chain;           /* may be NULL */
    bool default_in, default_out;  /* nobody has named them: it is told when they are simulated */
    bool mixes;                    /* every input channel is heard on every output channel */
    bool outlives_sink;            /* goes on when its recording fails; the status tells of it */
    bool no_summary;               /* for a part of something longer; not with --json */
    /* Set by session_run: */
    bool stopped_by_user, sink_failed;
    struct takt_contract_snapshot contract;
    struct takt_recording recording; /* all zeros where there is none */
    struct takt_stream_actual actual;
    /* Its own: */
    struct signals signals;
};

/* Runs it to its end. Returns the exit status. */
int session_run(struct session *s);

/* What --strict makes of a contract: EXIT_OK, or EXIT_BROKEN after saying so. */
int session_verdict(const struct options *o, const struct takt_contract_snapshot *c);

#endif
