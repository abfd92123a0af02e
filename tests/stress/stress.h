/* tests/stress/stress.h - what the stress tests share: threads that work against each other until
 * a time is over. The time only bounds the work; nothing is judged by the clock. */
#ifndef TAKT_TESTS_STRESS_H
#define TAKT_TESTS_STRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t stress_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Time for one of `parts` equal parts of a test. */
static inline int64_t stress_deadline_ns(int parts)
{
    return stress_now_ns() + 2000000000 / parts;
}

static inline bool stress_over(int64_t deadline_ns)
{
    return stress_now_ns() >= deadline_ns;
}

#endif
