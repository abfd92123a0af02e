/*
 * Cell n < 32 counts the value n; from there on each octave has 32 cells of equal width, so that a
 * cell is at most 1/32 of its values wide.
 *
 * Invariants: a count only grows between two resets, so a reader that sums the cells first and
 * walks them afterwards always comes to the rank it looks for. Loads are acquire, stores of a
 * reset release, so that what lies between two equal even generations belongs to one of them.
 */
#include "takt/hist.h"

static uint64_t load(const _Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_acquire);
}

static void store(_Atomic uint64_t *to, uint64_t value)
{
    atomic_store_explicit(to, value, memory_order_release);
}

/* The largest value that is counted in a cell. */
static uint64_t top_of(uint32_t cell)
{
    if (cell < 2 * TAKT_HIST_STEPS)
        return cell;
    uint32_t octave = (cell >> TAKT_HIST_STEPS_LOG2) - 1;
    uint64_t step = (cell & (TAKT_HIST_STEPS - 1)) + TAKT_HIST_STEPS;
    return ((step + 1) << octave) - 1;
}

uint64_t takt_hist_cell_low(uint32_t cell)
{
    return cell ? top_of(cell - 1) + 1 : 0;
}

/* The cell of the rank-th smallest value, rank = 1..count. */
static uint32_t cell_of_rank(const struct takt_hist *h, uint64_t rank)
{
    uint32_t at = 0;
    for (uint64_t seen = load(&h->cells[0]); seen < rank && at < TAKT_HIST_CELLS - 1;
         seen += load(&h->cells[at]))
        at++;
    return at;
}

/* q * count rounded up, held to 1..count. Also for a q that is no number. */
static uint64_t rank_of(double q, uint64_t count)
{
    double exact = !(q > 0) ? 0 : q < 1 ? q * (double)count : (double)count;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact;
    return rank < 1 ? 1 : rank > count ? count : rank;
}

/* The rank-th smallest value or a little more; no more than the largest. */
static uint64_t at_most(const struct takt_hist *h, uint64_t rank)
{
    uint32_t cell = cell_of_rank(h, rank);
    uint64_t max = takt_hist_max(h), top = top_of(cell);
    return cell == TAKT_HIST_CELLS - 1 || top > max ? max : top;
}

/* The rank-th smallest value or a little less; no less than the smallest. */
static uint64_t at_least(const struct takt_hist *h, uint64_t rank)
{
    uint64_t min = takt_hist_min(h), bottom = takt_hist_cell_low(cell_of_rank(h, rank));
    return bottom < min ? min : bottom;
}

uint64_t takt_hist_count(const struct takt_hist *h)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        count += load(&h->cells[i]);
    return count;
}

uint64_t takt_hist_min(const struct takt_hist *h)
{
    uint64_t below = load(&h->below_least);
    return below ? UINT64_MAX - below : load(&h->max);
}

uint64_t takt_hist_max(const struct takt_hist *h)
{
    return load(&h->max);
}

double takt_hist_mean(const struct takt_hist *h)
{
    uint64_t count = takt_hist_count(h);
    return count ? (double)load(&h->sum) / (double)count : 0;
}

uint64_t takt_hist_quantile(const struct takt_hist *h, double q)
{
    uint64_t count = takt_hist_count(h);
    return count ? at_most(h, rank_of(q, count)) : 0;
}

/* The cells first: whoever sees a count then sees the ends that belong to it. */
static void add(struct takt_hist *to, const struct takt_hist *from)
{
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        store(&to->cells[i], load(&to->cells[i]) + load(&from->cells[i]));
    uint64_t max = load(&from->max), below = load(&from->below_least);
    if (max > load(&to->max))
        store(&to->max, max);
    if (below > load(&to->below_least))
        store(&to->below_least, below);
    store(&to->sum, load(&to->sum) + load(&from->sum));
}

void takt_hist_merge(struct takt_hist *to, const struct takt_hist *from)
{
    add(to, from);
}

static void clear(struct takt_hist *h)
{
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++)
        store(&h->cells[i], 0);
    store(&h->max, 0);
    store(&h->below_least, 0);
    store(&h->sum, 0);
}

bool takt_hist_copy(struct takt_hist *to, const struct takt_hist *from)
{
    enum { TRIES = 8 };
    for (int i = 0; i < TRIES; i++) {
        clear(to);
        uint64_t before = load(&from->generation);
        add(to, from);
        store(&to->generation, before);
        if (!(before & 1) && load(&from->generation) == before)
            return true;
    }
    clear(to);
    return false;
}

void takt_hist_since(struct takt_hist *now, const struct takt_hist *before)
{
    if (load(&now->generation) != load(&before->generation))
        return;
    uint32_t lowest = TAKT_HIST_CELLS, highest = 0;
    for (uint32_t i = 0; i < TAKT_HIST_CELLS; i++) {
        uint64_t count = load(&now->cells[i]) - load(&before->cells[i]);
        store(&now->cells[i], count);
        if (count) {
            lowest = lowest < i ? lowest : i;
            highest = i;
        }
    }
    store(&now->sum, load(&now->sum) - load(&before->sum));
    if (lowest == TAKT_HIST_CELLS) {
        clear(now);
        return;
    }
    uint64_t max = load(&now->max), min = takt_hist_min(now);
    uint64_t top = highest == TAKT_HIST_CELLS - 1 ? max : top_of(highest);
    uint64_t bottom = takt_hist_cell_low(lowest);
    store(&now->max, top < max ? top : max);
    store(&now->below_least, UINT64_MAX - (bottom > min ? bottom : min));
}

void takt_hist_reset(struct takt_hist *h)
{
    uint64_t generation = load(&h->generation);
    store(&h->generation, generation + 1);
    clear(h);
    store(&h->generation, generation + 2);
}

/* ---- Either sign -------------------------------------------------------------------------------
 */

uint64_t takt_hist_signed_count(const struct takt_hist_signed *h)
{
    return takt_hist_count(&h->below) + takt_hist_count(&h->above);
}

static int64_t negated(uint64_t value)
{
    return (int64_t)(0 - value);
}

int64_t takt_hist_signed_min(const struct takt_hist_signed *h)
{
    return takt_hist_count(&h->below) ? negated(takt_hist_max(&h->below))
                                      : (int64_t)takt_hist_min(&h->above);
}

int64_t takt_hist_signed_max(const struct takt_hist_signed *h)
{
    return takt_hist_count(&h->above) || !takt_hist_count(&h->below)
               ? (int64_t)takt_hist_max(&h->above)
               : negated(takt_hist_min(&h->below));
}

int64_t takt_hist_signed_quantile(const struct takt_hist_signed *h, double q)
{
    uint64_t below = takt_hist_count(&h->below), count = below + takt_hist_count(&h->above);
    if (!count)
        return 0;
    uint64_t rank = rank_of(q, count);
    /* Below 0 the smallest value is the one of the largest size. */
    if (rank <= below)
        return negated(at_most(&h->below, below - rank + 1));
    return (int64_t)at_least(&h->above, rank - below);
}

void takt_hist_signed_reset(struct takt_hist_signed *h)
{
    takt_hist_reset(&h->below);
    takt_hist_reset(&h->above);
}
