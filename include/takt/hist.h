/*
 * takt/hist.h - how long things take, all of them: a histogram with 32 steps to an octave, from
 * 1 ns to 9 minutes, in the manner of G. Tene's HdrHistogram.
 *
 *     takt_hist_record(&h, ns);             // the one writer
 *     p99 = takt_hist_quantile(&h, 0.99);   // anyone, at any time
 *
 * A quantile is the upper end of its step: never below the truth, and at most 1/32 above it.
 * struct takt_hist_signed does the same for values of either sign, where less is worse: its
 * quantiles are never above the truth, and at most 1/32 of their size below it.
 *
 * An interval is the difference of two copies, so that many can look at one histogram, each at
 * intervals of their own, and none disturbs the writer.
 */
#ifndef TAKT_HIST_H
#define TAKT_HIST_H

#include "takt/error.h"

#include <stdbool.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdatomic.h>
#endif

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

/* All zero is an empty one. Counts only grow, but for a reset. */
struct takt_hist {
    _Atomic uint64_t cells[TAKT_HIST_CELLS];
    _Atomic uint64_t max;         /* exact */
    _Atomic uint64_t below_least; /* UINT64_MAX - min, so that zero stands for none yet */
    _Atomic uint64_t sum;
    _Atomic uint64_t generation; /* of resets; odd while one is going on */
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

/* The smallest value that is counted in a cell, 0..TAKT_HIST_CELLS - 1. RT: yes. */
TAKT_API uint64_t takt_hist_cell_low(uint32_t cell);

/* Thread: one writer. RT: yes (wait-free), one to two nanoseconds. The stores are release, which
 * costs nothing on x86-64: who sees the count sees the ends that belong to it. */
static inline void takt_hist_record(struct takt_hist *h, uint64_t value)
{
    _Atomic uint64_t *cell = &h->cells[takt_hist_cell(value)];
    if (value > atomic_load_explicit(&h->max, memory_order_relaxed))
        atomic_store_explicit(&h->max, value, memory_order_release);
    if (UINT64_MAX - value > atomic_load_explicit(&h->below_least, memory_order_relaxed))
        atomic_store_explicit(&h->below_least, UINT64_MAX - value, memory_order_release);
    atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + value,
                          memory_order_release);
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1,
                          memory_order_release);
}

/* The value that a share q (0..1) of all values does not exceed: the nearest-rank quantile. 0 when
 * empty. Never above the largest value recorded. Thread: any. RT: no (it walks all cells). */
TAKT_API uint64_t takt_hist_quantile(const struct takt_hist *h, double q);

/* How many values; the smallest and the largest, exact; their mean. 0 when empty. Thread: any.
 * RT: no. */
TAKT_API uint64_t takt_hist_count(const struct takt_hist *h);
TAKT_API uint64_t takt_hist_min(const struct takt_hist *h);
TAKT_API uint64_t takt_hist_max(const struct takt_hist *h);
TAKT_API double takt_hist_mean(const struct takt_hist *h);

/* Copies what a writer may be adding to meanwhile: every value of to was there at some moment of
 * the copying, and none from before a reset stands beside one from after it. False, and to empty,
 * when resets came too fast for that. Thread: any for from; to is the caller's. RT: no. */
TAKT_API bool takt_hist_copy(struct takt_hist *to, const struct takt_hist *from);

/* Adds all of from to to, as if its values had been recorded there. Thread: the writer of to.
 * RT: no. */
TAKT_API void takt_hist_merge(struct takt_hist *to, const struct takt_hist *from);

/* Leaves in now what came after before, an earlier copy of the same histogram. min and max are
 * then those of the steps, not exact. When a reset lies between them, now is left as it is: all
 * of it came after. Thread: the caller's copies. RT: no. */
TAKT_API void takt_hist_since(struct takt_hist *now, const struct takt_hist *before);

/* Forgets everything and begins a new generation. Thread: the writer. RT: yes, O(cells). */
TAKT_API void takt_hist_reset(struct takt_hist *h);

/* For values of either sign; those below 0 are kept negated. All zero is an empty one. */
struct takt_hist_signed {
    struct takt_hist below, above;
};

/* Thread: one writer. RT: yes (wait-free). */
static inline void takt_hist_signed_record(struct takt_hist_signed *h, int64_t value)
{
    if (value < 0)
        takt_hist_record(&h->below, 0 - (uint64_t)value);
    else
        takt_hist_record(&h->above, (uint64_t)value);
}

/* The value that a share q of all values does not exceed, from the unfavourable side: never above
 * the truth, never below the smallest value recorded. 0 when empty. Thread: any. RT: no. */
TAKT_API int64_t takt_hist_signed_quantile(const struct takt_hist_signed *h, double q);

/* As above. RT: no, but for reset. */
TAKT_API uint64_t takt_hist_signed_count(const struct takt_hist_signed *h);
TAKT_API int64_t takt_hist_signed_min(const struct takt_hist_signed *h);
TAKT_API int64_t takt_hist_signed_max(const struct takt_hist_signed *h);
/* RT: yes, O(cells). */
TAKT_API void takt_hist_signed_reset(struct takt_hist_signed *h);

#endif

#ifdef __cplusplus
}
#endif
#endif
