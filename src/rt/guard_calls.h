/*
 * rt/guard_calls.h - what system calls are called, and which rule each breaks.
 */
#ifndef TAKT_RT_GUARD_CALLS_H
#define TAKT_RT_GUARD_CALLS_H

#include "takt/guard.h"

/* The name of a system call of this machine, NULL when it is not known here; *kind is set in
 * either case. Thread: any. RT: yes. */
const char *takt_call_name(long number, enum takt_guard_kind *kind);

#endif
