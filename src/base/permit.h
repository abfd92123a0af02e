/*
 * base/permit.h - whether the calling thread is being watched, and a way to look aside.
 *
 * rt/guard.h watches a thread by two marks: a byte that the kernel reads at each of the thread's
 * system calls, and a pointer that the preloaded library reads at each call it stands before. They
 * are set while a cycle runs. Code below rt/ that makes one allowed system call, such as a wake-up,
 * takes them away for that long.
 */
#ifndef TAKT_BASE_PERMIT_H
#define TAKT_BASE_PERMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct takt_permit {
    volatile char *selector; /* NULL: this thread's system calls are not looked at */
    void *volatile *slot;    /* NULL: nothing is preloaded */
    void *watcher;           /* what the slot points at while the thread is watched */
    bool is_watched;         /* a cycle runs */
    unsigned depth;          /* of permits within it */
};

/* Initial-exec: reading it must not allocate. */
extern _Thread_local struct takt_permit takt_permit __attribute__((tls_model("initial-exec")));

/* Sets or takes away the marks. RT: yes (wait-free). */
static inline void takt_permit_mark(struct takt_permit *p, bool is_watched)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (p->slot)
        *p->slot = is_watched ? p->watcher : NULL;
    if (p->selector)
        *p->selector = is_watched;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Between these two the thread is not watched. They nest. Thread: any. RT: yes (wait-free). */
static inline void takt_permit_begin(void)
{
    struct takt_permit *p = &takt_permit;
    if (p->is_watched && p->depth++ == 0)
        takt_permit_mark(p, false);
}

/* RT: yes (wait-free). */
static inline void takt_permit_end(void)
{
    struct takt_permit *p = &takt_permit;
    if (p->is_watched && p->depth && --p->depth == 0)
        takt_permit_mark(p, true);
}

#endif
