/*
 * session.h - runs one stream from the command line: its callback with the chain and the level
 * meter, the analyses beside it, the live view or the lines, Ctrl-C, events, and the summary at the
 * end.
 */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "analysis.h"
#include "chain.h"
#include "options.h"
#include "signals.h"

#include <stdio.h>

struct voice; /* voice.h */
struct running;

struct session {
    const struct options *options;
    const char *title;             /* of the live view; default: the devices */
    struct takt_stream_cfg stream; /* devices, length and format set; process is the session's */
    uint64_t source_frames;        /* how long the source is; 0: unknown, or it has no end */
    struct chain *chain;           /* may be NULL */
    bool default_in, default_out;  /* nobody has named them: it is told when they are simulated */
    struct voice *voice;           /* what is spoken goes there; output null:; may be NULL */
    bool mixes;                    /* every input channel is heard on every output channel */
    bool outlives_sink;            /* goes on when its recording fails; the status tells of it */
    bool no_summary;               /* for a part of something longer; not with --json */
    bool no_level_lines;           /* the analyses' are enough; the levels are in the summary */
    bool no_level_picture;
    void (*key)(struct session *s, int key); /* a key was pressed; NULL: keys do nothing */
    void *keys_of;                           /* key's own */
    const char *keys_text;                   /* what they do, for the picture's last line */
    /* On the device thread instead of the way from input to output: of the block, `frames` count.
     * NULL: that way. RT: yes. */
    enum takt_next (*process)(const struct takt_block *b, uint32_t frames, void *of);
    void *process_of;
    /* The last block is through; on the device thread. RT: yes. */
    void (*over)(void *process_of);
    void (*finish)(void *process_of);       /* the stream has ended; before page and summary */
    const char *in_name, *out_name;         /* in the summary, where they are no devices */
    void (*page)(FILE *to, const void *of); /* of --html; NULL: that of the contract */
    const void *page_of;
    struct analysis *analyses[ANALYSES_MAX]; /* by session_attach */
    int analysis_count;
    /* Set by session_run: */
    bool stopped_by_user, sink_failed;
    struct takt_contract_snapshot contract;
    struct takt_recording recording; /* all zeros where there is none */
    struct takt_stream_actual actual;
    /* Its own: */
    struct signals signals;
    struct running *running;
};

/* Before session_run; a has to stay until it returns. Lines of one time come in this order. */
void session_attach(struct session *s, struct analysis *a);

/* Runs it to its end. Returns the exit status. */
int session_run(struct session *s);

/* One line on stderr, above the picture if one is standing. On the main thread, while it runs. */
void session_tell(struct session *s, const char *text);

/* What --strict makes of a contract: EXIT_OK, or EXIT_BROKEN after saying so. */
int session_verdict(const struct options *o, const struct takt_contract_snapshot *c);

#endif
