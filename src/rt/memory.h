/*
 * rt/memory.h - memory for what the device thread touches: taken from the system in one piece,
 * there before it is needed, and kept there.
 *
 * A fork makes the kernel share all pages with the child until either side writes, so the first
 * writes after it fault, on the device thread too. A program that plays should start others with
 * posix_spawn, which does not do that.
 */
#ifndef TAKT_RT_MEMORY_H
#define TAKT_RT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, 4096-aligned, every page touched, and locked where the limit allows (RLIMIT_MEMLOCK).
 * NULL and errno when there is none. Thread: any. RT: no. */
void *takt_rt_alloc(size_t bytes);
void takt_rt_free(void *memory); /* NULL is fine */

/* For simulations: how much is taken and not given back, and a try that fails: the nth piece from
 * now on is not to be had, once; 0: all are. Thread: any. RT: yes. */
size_t takt_rt_alloc_bytes(void);
void takt_rt_alloc_fail(int nth);

/* Was the piece locked, or only touched? Thread: any. RT: yes. */
bool takt_rt_is_locked(const void *memory);

/* The same for a stack: at its lower end a page that nobody may touch, so that running over is a
 * fault and not a wrong sound; wiped in a forked child, where its thread does not run (but not
 * missing there: the C library keeps the thread's description on it, and goes over it). */
struct takt_rt_stack {
    void *base; /* of what may be used */
    size_t bytes;
    bool locked;
};

/* False and errno when there is none. RT: no. */
bool takt_rt_stack_alloc(size_t bytes, struct takt_rt_stack *out);
void takt_rt_stack_free(const struct takt_rt_stack *s);

#endif
