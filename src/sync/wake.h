/*
 * sync/wake.h - one thread sleeps until another has something for it.
 *
 *     takt_ring_write(r, x, n), takt_wake_signal(w);          // in the callback
 *     while (takt_wake_wait(w, TAKT_WAKE_NEVER))              // in the worker
 *         drain(r);
 *
 * Signals do not add up: all that came since the last wait are one. What was written before a
 * signal is seen after the wait that it ended. All zeros is a wake that nobody has signalled.
 */
#ifndef TAKT_SYNC_WAKE_H
#define TAKT_SYNC_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TAKT_WAKE_NEVER INT64_MAX

struct takt_wake {
    _Atomic uint32_t state; /* enum takt_wake_state; the word the kernel looks at */
};

enum takt_wake_state { TAKT_WAKE_CLEAR, TAKT_WAKE_SIGNALLED, TAKT_WAKE_ASLEEP };

/* The system call of a signal that found somebody asleep. Thread: any. RT: no. */
void takt_wake_rouse(struct takt_wake *w);

/* Ends the wait, or the next one. Thread: any. RT: yes (wait-free), with one named exception:
 * takt_wake_rouse, a futex(2) that does not block, made only when the other thread is asleep. */
static inline void takt_wake_signal(struct takt_wake *w)
{
    if (atomic_exchange(&w->state, TAKT_WAKE_SIGNALLED) == TAKT_WAKE_ASLEEP)
        takt_wake_rouse(w);
}

/* Sleeps until signalled, or until CLOCK_MONOTONIC reaches deadline_ns; returns at once when there
 * was a signal since the last wait, whatever the deadline. Returns whether there was one.
 * Thread: one at a time. RT: no. */
bool takt_wake_wait(struct takt_wake *w, int64_t deadline_ns);

#endif
