/*
 * takt/hist.h - how long things take, all of them: a histogram with 32 steps to an octave, from
 * 1 ns to 9 minutes, in the manner of G. Tene's HdrHistogram.
 *
 *     takt_hist_record(&h, ns);             // the one writer
 *     p99 = takt_hist_quantile(&h, 0.99);   // anyone
 *
 * A quantile is the upper end of its step: never below the truth, and at most 1/32 above it.
 */
#ifndef TAKT_HIST_H
#define TAKT_HIST_H

#include "takt/error.h"

#include <stdatomic.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TAKT_HIST_STEPS_LOG2 = 5,
    TAKT_HIST_STEPS = 1 << TAKT_HIST_STEPS_LOG2,
    TAKT_HIST_OCTAVES = 34, /* after the first 32 values, which are exact */
    TAKT_HIST_CELLS = (TAKT_HIST_OCTAVES + 1) * TAKT_HIST_STEPS
};

#ifndef __cplusplus

/* All zero is an empty one. */
struct takt_hist {
    _Atomic uint64_t cells[TAKT_HIST_CELLS];
    _Atomic uint64_t max; /* exact */
};

/* Where a value is counted; values above 2^39 - 1 ns fall into the last cell. RT: yes. */
static inline uint32_t takt_hist_cell(uint64_t value)
{
    if (value >> (TAKT_HIST_OCTAVES + TAKT_HIST_STEPS_LOG2))
        return TAKT_HIST_CELLS - 1;
    if (value < TAKT_HIST_STEPS)
        return (uint32_t)value;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(value) - TAKT_HIST_STEPS_LOG2;
    return (octave << TAKT_HIST_STEPS_LOG2) + (uint32_t)(value >> octave);
}

/* Thread: one writer. RT: yes (wait-free), about a nanosecond. */
static inline void takt_hist_record(struct takt_hist *h, uint64_t value)
{
    _Atomic uint64_t *cell = &h->cells[takt_hist_cell(value)];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (value > atomic_load_explicit(&h->max, memory_order_relaxed))
        atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

/* The value that a share q (0..1) of all values does not exceed; 0 when empty. Never above the
 * largest value recorded. Thread: any; a reading beside the writer is of about one moment. */
TAKT_API uint64_t takt_hist_quantile(const struct takt_hist *h, double q);

/* How many values; their largest. Thread: any. */
TAKT_API uint64_t takt_hist_count(const struct takt_hist *h);
TAKT_API uint64_t takt_hist_max(const struct takt_hist *h);

/* Forgets everything. Thread: the writer. RT: yes, O(cells). */
TAKT_API void takt_hist_reset(struct takt_hist *h);

#endif

#ifdef __cplusplus
}
#endif
#endif
