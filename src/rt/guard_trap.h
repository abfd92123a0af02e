/*
 * rt/guard_trap.h - every system call of a watched thread, handed to us by the kernel.
 *
 * Syscall User Dispatch (prctl(2) PR_SET_SYSCALL_USER_DISPATCH, Linux 5.11): while a byte of the
 * thread's says so, a system call raises SIGSYS instead. The handler carries it out itself.
 */
#ifndef TAKT_RT_GUARD_TRAP_H
#define TAKT_RT_GUARD_TRAP_H

#include <stdbool.h>

struct takt_guard_thread;

/* Installs the handler. False where the kernel or the processor has no such thing.
 * Thread: control. RT: no. */
bool takt_trap_begin(void);

/* From now on t->selector rules the calling thread. False when the kernel refuses. RT: no. */
bool takt_trap_thread(struct takt_guard_thread *t);

#endif
