/*
 * bench/bench.h - what every bench needs: medians, CPU steal, and something the compiler cannot
 * see through.
 */
#ifndef TAKT_BENCH_BENCH_H
#define TAKT_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* The compiler must believe that memory was read and written here. */
static inline void bench_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of values, which are sorted in place. */
static inline double bench_quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof *values, bench_compare);
    return values[(size_t)(q * (double)(count - 1) + 0.5)];
}

static inline double bench_median(double *values, size_t count)
{
    return bench_quantile(values, count, 0.5);
}

/* CPU time that the host took away from this machine since boot, in clock ticks over all cores;
 * -1 where it cannot be read. Figures taken while it rises are the host's as much as ours. */
static inline long long bench_steal_ticks(void)
{
    long long t[8] = {0};
    FILE *f = fopen("/proc/stat", "r");
    int n = f ? fscanf(f, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &t[0], &t[1], &t[2], &t[3],
                       &t[4], &t[5], &t[6], &t[7])
              : 0;
    if (f)
        fclose(f);
    return n == 8 ? t[7] : -1;
}

#endif
