/*
 * rt/preempt.h - was this thread taken off its CPU between two points? For half a nanosecond, and
 * without asking the kernel.
 *
 * It uses the restartable-sequence area that glibc 2.35 and later registers for every thread
 * (rseq(2)). A thread may leave the address of a critical section's description there; when the
 * kernel preempts, migrates or signals it at an instruction outside that section, it clears the
 * address. We describe a section that is never entered, so a cleared address afterwards means that
 * the kernel has been there. A voluntary sleep may clear it too.
 *
 * A library that uses restartable sequences itself in between (some allocators do) leaves its own
 * address there; then it cannot be told.
 */
#ifndef TAKT_RT_PREEMPT_H
#define TAKT_RT_PREEMPT_H

#include <stdbool.h>
#include <stdint.h> /* also says whether this is glibc */

#if defined __GLIBC__ && (defined __x86_64__ || defined __aarch64__) && defined __has_include
#if __has_include(<sys/rseq.h>)
#define TAKT_PREEMPT_RSEQ 1
#endif
#endif

/* Can it be told on this system? Found out once, by experiment: mostly in 1 ms, at most in five
 * tries of 20 ms. Where no switch came to be looked at, the kernel's documentation is believed:
 * yes. Where all tries were disturbed too much to tell, the answer is no. Thread: any. RT: no. */
bool takt_preempt_probe(void);

#ifdef TAKT_PREEMPT_RSEQ

#include <stdatomic.h>
#include <stddef.h>
#include <sys/rseq.h>

/* The address that is left in the area; 0 until the probe has found that it works. */
extern _Atomic uint64_t takt_preempt_mark;

/* RT: yes (wait-free). */
static inline volatile uint64_t *takt_preempt_slot(void)
{
    char *thread;
#ifdef __x86_64__
    __asm__("mov %%fs:0, %0" : "=r"(thread));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(thread));
#endif
    return (volatile uint64_t *)(void *)(thread + __rseq_offset + offsetof(struct rseq, rseq_cs));
}

/* Begins to watch the calling thread. RT: yes (wait-free). */
static inline void takt_preempt_arm(void)
{
    uint64_t mark = atomic_load_explicit(&takt_preempt_mark, memory_order_relaxed);
    if (mark)
        *takt_preempt_slot() = mark;
}

/* 1: preempted, migrated or signalled since arm; 0: not; -1: cannot be told. Ends the watch.
 * RT: yes (wait-free). */
static inline int takt_preempt_check(void)
{
    uint64_t mark = atomic_load_explicit(&takt_preempt_mark, memory_order_relaxed);
    if (!mark)
        return -1;
    volatile uint64_t *slot = takt_preempt_slot();
    uint64_t left = *slot;
    *slot = 0;
    return left == mark ? 0 : left ? -1 : 1;
}

/* The number of the CPU that the calling thread runs on, or -1. RT: yes (wait-free). */
static inline int takt_preempt_cpu(void)
{
    if (!__rseq_size)
        return -1;
    volatile uint64_t *slot = takt_preempt_slot();
    enum { BACK = offsetof(struct rseq, rseq_cs) - offsetof(struct rseq, cpu_id) };
    return (int)*(volatile uint32_t *)(volatile void *)((volatile char *)slot - BACK);
}

#else

static inline void takt_preempt_arm(void)
{
}

static inline int takt_preempt_cpu(void)
{
    return -1;
}

static inline int takt_preempt_check(void)
{
    return -1;
}

#endif
#endif
