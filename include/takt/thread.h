/*
 * takt/thread.h - threads that must not be late, and which promise the system gave them.
 *
 *     takt_thread_start(&(struct takt_thread_cfg){.name = "synth", .entry = run, .arg = s},
 *                       &t, &e);
 *     takt_thread_sched(t, &sched);    // what it really got, and why not more
 *     takt_thread_join(t, 1000);
 *
 * The ladder: SCHED_FIFO; else the same from rtkit over D-Bus; else a lower nice value, from rtkit
 * or the kernel; else as any thread. A refused rung is never an error: it is said in `why`.
 *
 * rtkit lends real-time only to a process that limits how long a thread may run without sleeping
 * (RLIMIT_RTTIME, usually 0.2 s; a callback that keeps its deadlines never comes near). That limit
 * is for the whole process, stays, and is set only when that rung is used. At three quarters of it
 * the kernel sends SIGXCPU, whose default is to end the program. Where the program left it at that,
 * a handler is installed that takes real-time from the threads that rtkit lent it to: the sound
 * breaks, the program lives, and takt_thread_sched says what happened. A program that handles
 * SIGXCPU itself is left to do so.
 */
#ifndef TAKT_THREAD_H
#define TAKT_THREAD_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_thread;

enum takt_policy {
    TAKT_SCHED_OTHER = 0, /* as any thread */
    TAKT_SCHED_NICE,      /* as any thread, with a nice value below 0 */
    TAKT_SCHED_FIFO,      /* real-time, by the program's own right */
    TAKT_SCHED_RTKIT,     /* real-time, lent by rtkit */
    TAKT_SCHED_RR         /* real-time round robin, set by a host */
};

/* Read back from the kernel, not what was asked for. */
struct takt_sched {
    enum takt_policy policy;
    int priority;       /* 1..99 when real-time, else 0 */
    int nice;           /* -20..19 when not */
    bool memory_locked; /* its stack stays in RAM; a promoted thread's is not known: false */
    bool denormals_off; /* tiny numbers are taken as 0, so that they cost no time */
    char why[160];      /* why a higher rung was refused; "" when none was */
};

enum { TAKT_THREAD_PRIORITY_DEFAULT = 70, TAKT_PRIORITY_OFF = -1 };

/* A zero field takes its default. */
struct takt_thread_cfg {
    const char *name; /* up to 15 letters; default "takt" */
    void (*entry)(void *arg);
    void *arg;
    int priority;       /* SCHED_FIFO 1..98; default 70; TAKT_PRIORITY_OFF: stay as any thread */
    size_t stack_bytes; /* default 256 KiB; touched, and locked if it may be */
};

/* Starts the thread and waits until its policy is settled, before entry is called. All signals
 * are blocked in it but those of its own faults (SIGSEGV and the like) and, when rtkit lent it
 * real-time, SIGXCPU. Takes no memory from then on.
 * Errors: TAKT_ERR_ARG, _NOMEM, _SYSTEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_thread_start(const struct takt_thread_cfg *cfg, struct takt_thread **out,
                               struct takt_error *e);

/* Waits for the thread's end and frees it; timeout_ms < 0: without end.
 * Errors: TAKT_ERR_TIMEOUT: it still runs, and *t is still to be joined; TAKT_ERR_STATE: it is the
 * calling thread. NULL is fine. Thread: any, one of them. RT: no. */
TAKT_API int takt_thread_join(struct takt_thread *t, int64_t timeout_ms);

/* Asks the kernel, unless the thread has ended: then what it last had. Thread: any. RT: no. */
TAKT_API void takt_thread_sched(const struct takt_thread *t, struct takt_sched *out);

/* Takes the calling thread up the same ladder, for threads that somebody else started.
 * priority as in the settings. Never fails; out (may be NULL) says what came of it. RT: no. */
TAKT_API void takt_thread_promote(int priority, struct takt_sched *out);

/* "fifo", "rtkit", "nice", "other", "rr". Never NULL. RT: yes. */
TAKT_API const char *takt_policy_name(enum takt_policy policy);

#ifdef __cplusplus
}
#endif
#endif
