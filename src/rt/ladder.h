/*
 * rt/ladder.h - the ladder of takt/thread.h, for any thread of this process.
 */
#ifndef TAKT_RT_LADDER_H
#define TAKT_RT_LADDER_H

#include "takt/thread.h"

#include <sys/types.h>

/* Takes the thread as far up as the system lets it, and fills in policy, priority, nice and why.
 * priority: 1..98, or TAKT_PRIORITY_OFF to ask for nothing. Thread: any. RT: no. */
void takt_ladder_climb(pid_t tid, int priority, struct takt_sched *s);

/* Reads policy, priority and nice again; s->policy tells whether rtkit had lent it. The rest of s
 * stays. False when there is no such thread: s stays then. RT: no. */
bool takt_ladder_read(pid_t tid, struct takt_sched *s);

#endif
