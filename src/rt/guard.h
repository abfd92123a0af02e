/*
 * rt/guard.h - the guard of takt/guard.h, as the engine uses it:
 *
 *     takt_guard_resolve(&mode, &e);                   // at create, control thread
 *     mode = takt_guard_begin(mode);
 *     g->guard = takt_guard_thread(mode);              // on the device thread, before its cycles
 *     takt_guard_enter(g->guard, position, frame);     // around each cycle
 *     takt_guard_leave(g->guard);
 *
 * One watched thread has one struct takt_guard_thread, in memory that is never given back: the
 * kernel reads the selector in it until that thread ends. That of a thread that has ended is used
 * again.
 */
#ifndef TAKT_RT_GUARD_H
#define TAKT_RT_GUARD_H

#include "base/permit.h"
#include "rt/guard_report.h"
#include "rt/guard_watch.h"
#include "takt/guard.h"

#include <sys/types.h>

/* What happened to the watched thread in its cycles, ever growing. */
struct takt_evidence {
    int64_t call_ns;      /* in calls that the callback must not make */
    int64_t preempted_ns; /* runnable, but off the CPU */
    int64_t blocked_ns;   /* asleep */
    uint64_t calls, faults, preemptions;
    bool knows_kernel; /* all but the calls is seen on this system */
};

struct takt_guard_thread {
    volatile char selector; /* the kernel's byte: 0 allows, 1 hands over */
    bool traps;             /* the kernel looks at it */
    enum takt_guard_mode mode;
    pid_t tid;
    uint64_t cycles;
    uint64_t position;         /* of the cycle */
    const char *top;           /* stack address at enter: no frame above it is the callback's */
    void *volatile *slot;      /* the preloaded library's mark for this thread; may be NULL */
    struct takt_watch watch;   /* switches and faults */
    struct takt_evidence seen; /* by this thread alone */
};

/* What TAKT_GUARD_DEFAULT stands for: the environment's TAKT_GUARD, or off. Errors: TAKT_ERR_ARG:
 * it is none of the words. Thread: control. RT: no. */
int takt_guard_resolve(enum takt_guard_mode *mode, struct takt_error *e);

/* Makes the process ready to watch, once, when the mode is not off. Returns off where there is no
 * memory for that. Thread: control. RT: no. */
enum takt_guard_mode takt_guard_begin(enum takt_guard_mode mode);

/* Makes the calling thread ready; NULL when the mode is off or nothing can be watched.
 * Some system calls, 0.1 ms. RT: no: before the first cycle. */
struct takt_guard_thread *takt_guard_thread(enum takt_guard_mode mode);

/* From here on the calling thread is watched. t may be NULL. frame: the calling function's
 * __builtin_frame_address(0); functions above it are not in chains. RT: yes (wait-free). */
static inline void takt_guard_enter(struct takt_guard_thread *t, uint64_t position,
                                    const void *frame)
{
    if (!t)
        return;
    t->position = position;
    t->top = frame;
    takt_watch_skip(&t->watch);
    takt_permit.depth = 0;
    takt_permit.is_watched = true;
    takt_permit_mark(&takt_permit, true);
}

/* Reads what the kernel has written since enter into t->seen, and tells the faults.
 * RT: yes, O(what happened). */
void takt_guard_look(struct takt_guard_thread *t);

/* RT: yes, as takt_guard_look. */
static inline void takt_guard_leave(struct takt_guard_thread *t)
{
    if (!t)
        return;
    takt_permit_mark(&takt_permit, false);
    takt_permit.is_watched = false;
    takt_guard_look(t);
    t->cycles++;
    takt_report_cycle();
}

/* ---- For those who catch calls ------------------------------------------------------------- */

/* One call that was caught, while it is carried out. */
struct takt_guard_call {
    struct takt_guard_thread *thread;
    enum takt_guard_kind kind;
    const char *name; /* static, or NULL for system call `number` */
    long number;
    const void *caller; /* an address in the frame where the chain begins */
    int64_t begun_ns;
};

/* Stops watching, so that the call can be carried out; in trap mode it does not return.
 * Thread: the watched one. RT: no: the rule is broken by then. */
void takt_guard_call_begin(struct takt_guard_call *call);

/* Records the call and watches again. RT: no, as begin. */
void takt_guard_call_end(struct takt_guard_call *call);

#endif
