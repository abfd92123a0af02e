#include "takt/hist.h"

/* The largest value that is counted in a cell. */
static uint64_t top_of(uint32_t cell)
{
    if (cell < 2 * TAKT_HIST_STEPS)
        return cell;
    uint32_t octave = (cell >> TAKT_HIST_STEPS_LOG2) - 1;
    uint64_t step = (cell & (TAKT_HIST_STEPS - 1)) + TAKT_HIST_STEPS;
    return ((step + 1) << octave) - 1;
}

uint64_t takt_hist_count(const struct takt_hist *h)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        count += atomic_load_explicit(&h->cells[i], memory_order_relaxed);
    return count;
}

uint64_t takt_hist_max(const struct takt_hist *h)
{
    return atomic_load_explicit(&h->max, memory_order_relaxed);
}

uint64_t takt_hist_quantile(const struct takt_hist *h, double q)
{
    uint64_t cells[TAKT_HIST_CELLS], count = 0;
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        count += cells[i] = atomic_load_explicit(&h->cells[i], memory_order_relaxed);
    if (!count)
        return 0;
    q = q < 0 ? 0 : q > 1 ? 1 : q;
    uint64_t rank = (uint64_t)(q * (double)count);
    rank += (double)rank < q * (double)count; /* rounded up: the nearest-rank quantile */
    rank = rank < 1 ? 1 : rank > count ? count : rank;
    uint32_t at = 0;
    for (uint64_t seen = cells[0]; seen < rank; seen += cells[++at])
        ;
    uint64_t max = takt_hist_max(h), top = top_of(at);
    return at == TAKT_HIST_CELLS - 1 || top > max ? max : top;
}

void takt_hist_reset(struct takt_hist *h)
{
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        atomic_store_explicit(&h->cells[i], 0, memory_order_relaxed);
    atomic_store_explicit(&h->max, 0, memory_order_relaxed);
}
