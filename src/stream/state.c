#include "stream/state.h"

/* Written as state + 1, so that what is left out reads as 0: no such move. */
#define TO(state) ((state) + 1)

static const unsigned char table[][TAKT_MOVES] = {
    [TAKT_STATE_STOPPED] = {[TAKT_MOVE_START] = TO(TAKT_STATE_STARTING)},
    [TAKT_STATE_STARTING] = {[TAKT_MOVE_FAIL] = TO(TAKT_STATE_STOPPED),
                             [TAKT_MOVE_STARTED] = TO(TAKT_STATE_RUNNING),
                             [TAKT_MOVE_ABORT] = TO(TAKT_STATE_ABORTING),
                             [TAKT_MOVE_TIMEOUT] = TO(TAKT_STATE_STUCK)},
    [TAKT_STATE_RUNNING] = {[TAKT_MOVE_LOSE] = TO(TAKT_STATE_LOST),
                            [TAKT_MOVE_DRAIN] = TO(TAKT_STATE_DRAINING),
                            [TAKT_MOVE_ABORT] = TO(TAKT_STATE_ABORTING)},
    [TAKT_STATE_LOST] = {[TAKT_MOVE_BACK] = TO(TAKT_STATE_RUNNING),
                         [TAKT_MOVE_DRAIN] = TO(TAKT_STATE_DRAINING),
                         [TAKT_MOVE_ABORT] = TO(TAKT_STATE_ABORTING)},
    [TAKT_STATE_DRAINING] = {[TAKT_MOVE_ABORT] = TO(TAKT_STATE_ABORTING),
                             [TAKT_MOVE_DONE] = TO(TAKT_STATE_STOPPED),
                             [TAKT_MOVE_TIMEOUT] = TO(TAKT_STATE_STUCK)},
    [TAKT_STATE_ABORTING] =
        {[TAKT_MOVE_DONE] = TO(TAKT_STATE_STOPPED), [TAKT_MOVE_TIMEOUT] = TO(TAKT_STATE_STUCK)},
    [TAKT_STATE_STUCK] = {[TAKT_MOVE_DONE] = 0},
};

int takt_state_after(enum takt_state from, enum takt_move move)
{
    return (int)table[from][move] - 1;
}

int takt_state_move(_Atomic int *state, enum takt_move move)
{
    int from = atomic_load_explicit(state, memory_order_acquire);
    for (;;) {
        int to = takt_state_after((enum takt_state)from, move);
        if (to < 0)
            return -1;
        if (atomic_compare_exchange_weak_explicit(state, &from, to, memory_order_acq_rel,
                                                  memory_order_acquire))
            return to;
    }
}

const char *takt_state_name(enum takt_state state)
{
    static const char *const names[] = {"stopped",  "starting", "running", "lost",
                                        "draining", "aborting", "stuck"};
    return (unsigned)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

const char *takt_event_name(enum takt_event_type type)
{
    static const char *const names[] = {"none",     "started",     "finished",    "input_ended",
                                        "xrun",     "device_lost", "device_back", "sink_failed",
                                        "log",      "host_block",  "sink_lost",   "bypassed",
                                        "restored", "shed"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : "unknown";
}
