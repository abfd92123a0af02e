/*
 * rt/runaway.h - what happens when a thread with real-time lent by rtkit runs into RLIMIT_RTTIME:
 * it loses real-time, instead of the program its life. See takt/thread.h.
 */
#ifndef TAKT_RT_RUNAWAY_H
#define TAKT_RT_RUNAWAY_H

#include <stdbool.h>
#include <sys/types.h>

/* Begins and ends watching over a thread of this process. The first call installs the handler of
 * SIGXCPU, if the program has none. Thread: any. RT: no. */
void takt_runaway_watch(pid_t tid);
void takt_runaway_forget(pid_t tid);

#endif
