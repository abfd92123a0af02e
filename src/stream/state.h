/*
 * stream/state.h - the states of a stream and what moves between them, as one table.
 *
 * Two threads move a stream: the control thread (start, stop, abort, timeout) and the device
 * thread (the rest). Each move is one compare-and-swap along the table, so they can never leave
 * it between them.
 */
#ifndef TAKT_STREAM_STATE_H
#define TAKT_STREAM_STATE_H

#include "takt/stream.h"

#include <stdatomic.h>

enum takt_move {
    TAKT_MOVE_START,   /* control: start() was called */
    TAKT_MOVE_FAIL,    /* control: the device did not start */
    TAKT_MOVE_STARTED, /* device: the first cycle */
    TAKT_MOVE_LOSE,    /* device: the device went away */
    TAKT_MOVE_BACK,    /* device: and came back */
    TAKT_MOVE_DRAIN,   /* either: stop(), TAKT_DRAIN, the length or the source's end */
    TAKT_MOVE_ABORT,   /* either: abort(), TAKT_ABORT */
    TAKT_MOVE_DONE,    /* device: the last frame was heard or dropped */
    TAKT_MOVE_TIMEOUT, /* control: stop(), abort() or start() ran out of time */
    TAKT_MOVES
};

/* The state that a move leads to, or -1 where the move does not fit the state.
 * Thread: any. RT: yes (wait-free). */
int takt_state_after(enum takt_state from, enum takt_move move);

/* Moves *state along the table. Returns the state reached, or -1, leaving *state as it is.
 * Thread: any. RT: yes (lock-free; repeats only when another thread moved it meanwhile). */
int takt_state_move(_Atomic int *state, enum takt_move move);

#endif
