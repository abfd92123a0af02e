/*
 * sync/wake.h - one thread tells another that there is something to look at.
 *
 * Signals do not add up: many before a wait count as one. Signalling makes a system call only
 * while the other side sleeps.
 *
 * The word counts signals in its upper bits; its lowest bit says that somebody sleeps on it.
 */
#ifndef TAKT_SYNC_WAKE_H
#define TAKT_SYNC_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct takt_wake {
    _Atomic uint32_t word;
    uint32_t seen; /* the waiter's: the count it has acted on */
};

void takt_wake_init(struct takt_wake *w);

/* Thread: any. RT: yes (lock-free; one futex call when somebody sleeps). */
void takt_wake_signal(struct takt_wake *w);

/* Waits for a signal since the last wait, until the time (CLOCK_MONOTONIC ns; below 0: without
 * end). Returns whether there was one. Thread: one waiter at a time. RT: no. */
bool takt_wake_wait(struct takt_wake *w, int64_t until_ns);

#endif
