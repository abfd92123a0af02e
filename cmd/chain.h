/*
 * chain.h - the effects between source and sink, as words on the command line: gain=-2dB.
 * Made before the stream, run in its callback.
 */
#ifndef CMD_CHAIN_H
#define CMD_CHAIN_H

#include "options.h"
#include "pipe.h"

enum { CHAIN_MAX = 32 };

struct effect {
    /* Works on `channels` planes of `frames` in place; position counts frames since start.
     * RT: yes. */
    void (*run)(struct effect *fx, float *const *io, uint32_t channels, uint32_t frames,
                uint64_t position, uint32_t rate_hz);
    double amount, state;
    struct pipe *pipe; /* in place of run: looks on, and changes nothing */
};

struct chain {
    struct effect effects[CHAIN_MAX];
    int count;
    struct pipe *pipes[PIPES_MAX]; /* those among the effects */
    int pipe_count;
};

/* Adds the effect that a word asks for. 0, or EXIT_USAGE after saying why. */
int chain_add_word(struct chain *c, const struct options *o, const char *word);

/* Adds a pipe to a command, behind what there is. 0, or an exit status after saying why. */
int chain_add_pipe(struct chain *c, const struct options *o, const char *command);
void chain_free(struct chain *c); /* the pipes */

void chain_add_gain(struct chain *c, double db);
/* Sways between left and right once in period_s; the second channel swings against the first. */
void chain_add_sway(struct chain *c, double period_s);
/* Holds peaks below the ceiling without a hard edge: straight to two thirds of it, bent above. */
void chain_add_limiter(struct chain *c, double ceiling_db);

/* sounding: of the frames, those that are no filling at the very end. RT: yes. */
void chain_run(struct chain *c, float *const *io, uint32_t channels, uint32_t frames,
               uint32_t sounding, uint64_t position, uint32_t rate_hz);

#endif
