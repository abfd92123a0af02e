/*
 * rt/preempt.h - was this thread taken off its CPU between two points? For half a nanosecond, and
 * without asking the kernel.
 *
 * It uses the restartable-sequence area that glibc 2.35 and later registers for every thread
 * (rseq(2)). A thread may leave the address of a critical section's description there; when the
 * kernel preempts, migrates or signals it at an instruction outside that section, it clears the
 * address. We describe a section that is never entered, so a cleared address afterwards means that
 * the kernel has been there.
 */
#ifndef TAKT_RT_PREEMPT_H
#define TAKT_RT_PREEMPT_H

#include <stdbool.h>

/* Can it be told on this system? Found out once, by experiment. Thread: any. RT: no. */
bool takt_preempt_probe(void);

/* Begins to watch the calling thread. RT: yes (wait-free). */
void takt_preempt_arm(void);

/* 1: preempted, migrated or signalled since arm; 0: not; -1: cannot be told. RT: yes. */
int takt_preempt_check(void);

#endif
