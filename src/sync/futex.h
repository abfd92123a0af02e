/*
 * sync/futex.h - sleeping on a 32-bit word until it changes (futex(2)), within one process.
 */
#ifndef TAKT_SYNC_FUTEX_H
#define TAKT_SYNC_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Wakes all who wait for *word. One system call. Thread: any. RT: yes, as a named wake-up. */
void takt_futex_wake_all(_Atomic uint32_t *word);

/* Sleeps while *word == seen, until a wake-up, a signal or the time (CLOCK_MONOTONIC ns; below 0:
 * without end). May return early; look again. Thread: any. RT: no. */
void takt_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t until_ns);

#endif
