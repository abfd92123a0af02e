/*
 * rt/guard_watch.h - the kernel's own record of what it did to a thread: page faults, and when it
 * took the thread off the CPU and put it back.
 *
 * The kernel writes into a ring that is mapped here (perf_event_open(2), PERF_COUNT_SW_PAGE_FAULTS
 * with context_switch), so reading it needs no system call.
 */
#ifndef TAKT_RT_GUARD_WATCH_H
#define TAKT_RT_GUARD_WATCH_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

struct takt_watch {
    struct perf_event_mmap_page *page; /* NULL: nothing is known */
    int fd;
    uint64_t at;       /* bytes of the ring that were read */
    int64_t off_ns;    /* when the thread went off the CPU; 0: it is on it, or that is not known */
    bool off_by_force; /* it had not asked for that */
};

/* One thing that happened. */
struct takt_watch_event {
    enum { TAKT_WATCH_FAULT, TAKT_WATCH_PREEMPTED, TAKT_WATCH_BLOCKED } type;
    int64_t off_cpu_ns;   /* of the last two: for so long */
    uint64_t instruction; /* of a fault */
};

/* Begins to watch the calling thread. False, with page NULL, where the system does not allow it.
 * RT: no. */
bool takt_watch_open(struct takt_watch *w);
void takt_watch_close(struct takt_watch *w);

/* Forgets all so far. RT: yes (wait-free). */
static inline void takt_watch_skip(struct takt_watch *w)
{
    if (!w->page)
        return;
    w->at = __atomic_load_n(&w->page->data_head, __ATOMIC_ACQUIRE);
    __atomic_store_n(&w->page->data_tail, w->at, __ATOMIC_RELEASE);
    w->off_ns = 0;
}

/* RT: yes (wait-free). */
static inline bool takt_watch_has_more(const struct takt_watch *w)
{
    return w->page && __atomic_load_n(&w->page->data_head, __ATOMIC_RELAXED) != w->at;
}

/* Takes the oldest. False when there is none. RT: yes (wait-free). */
bool takt_watch_next(struct takt_watch *w, struct takt_watch_event *out);

#endif
