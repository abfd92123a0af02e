/*
 * rt/rtkit.h - real-time or high priority from rtkit-daemon over the system bus, for programs
 * that have no right of their own (org.freedesktop.RealtimeKit1).
 */
#ifndef TAKT_RT_RTKIT_H
#define TAKT_RT_RTKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Asks for real-time at priority (held to what rtkit allows) for a thread of this process, after
 * setting the RLIMIT_RTTIME that rtkit demands. Takes at most some seconds, when the bus hangs.
 * False, with the reason in why, when refused or when this build or system has no D-Bus.
 * Thread: any. RT: no. */
bool takt_rtkit_make_realtime(pid_t tid, int priority, char *why, size_t why_bytes);

/* Asks for a nice value below 0, the lowest that rtkit allows. As above. RT: no. */
bool takt_rtkit_make_nice(pid_t tid, char *why, size_t why_bytes);

#endif
