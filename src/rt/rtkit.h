/*
 * rt/rtkit.h - real-time or high priority from rtkit-daemon over the system bus, for programs
 * that have no right of their own (org.freedesktop.RealtimeKit1).
 */
#ifndef TAKT_RT_RTKIT_H
#define TAKT_RT_RTKIT_H

#include <stdbool.h>
#include <stddef.h>

/* Asks for SCHED_RR at priority (held to what rtkit allows) for the calling thread, after setting
 * the RLIMIT_RTTIME that rtkit demands. False, with the reason in why, when refused or when this
 * build or system has no D-Bus. Thread: the one to be promoted. RT: no. */
bool takt_rtkit_make_realtime(int priority, char *why, size_t why_bytes);

/* Asks for a nice value below 0, the lowest that rtkit allows. */
bool takt_rtkit_make_nice(char *why, size_t why_bytes);

#endif
