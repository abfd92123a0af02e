/*
 * There are two rows of columns. While the columns of one level fill the second half of one row,
 * those of the level before, in the other, are merged two by two into its first half: one merge for
 * each new column, so no block ever has more to do. When the row is full the merges are through as
 * well, the other row is free, and the two change places.
 *
 *     level 0   row 0   a b c d e f g h
 *     level 1   row 1   ab cd .. .. i  j  .. ..      k = 2 merges done; the reader makes the others
 *
 * A reader takes its columns from both rows, and begins anew when the level changed meanwhile. That
 * happens as often as the run has doubled.
 *
 * Invariants: at level > 0 the open column is at >= COLUMNS_MAX / 2, and the first at -
 * COLUMNS_MAX / 2 columns of its row are merged.
 */
#include "stream/timeline.h"

#include <string.h>

enum { HALF = TAKT_COLUMNS_MAX / 2 };

static void load(const struct takt_timeline_cell *from, struct takt_contract_column *to)
{
    uint64_t words[TAKT_COLUMN_WORDS] = {0};
    for (int i = 0; i < TAKT_COLUMN_WORDS; i++)
        words[i] = atomic_load_explicit(&from->words[i], memory_order_acquire);
    memcpy(to, words, sizeof words);
}

static void store(struct takt_timeline_cell *to, const struct takt_contract_column *from)
{
    uint64_t words[TAKT_COLUMN_WORDS];
    memcpy(words, from, sizeof words);
    for (int i = 0; i < TAKT_COLUMN_WORDS; i++)
        atomic_store_explicit(&to->words[i], words[i], memory_order_release);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* b comes after a. */
static struct takt_contract_column merge(const struct takt_contract_column *a,
                                         const struct takt_contract_column *b)
{
    return (struct takt_contract_column){
        .from = a->from,
        .until = b->until,
        .misses = a->misses + b->misses,
        .slack_ns_min = least(a->slack_ns_min, b->slack_ns_min),
        .slack_ns_max = most(a->slack_ns_max, b->slack_ns_max),
        .duration_ns_min = least(a->duration_ns_min, b->duration_ns_min),
        .duration_ns_max = most(a->duration_ns_max, b->duration_ns_max),
        .lateness_ns_max = most(a->lateness_ns_max, b->lateness_ns_max),
    };
}

static struct takt_contract_column merge_two(const struct takt_timeline_cell *row, uint32_t first)
{
    struct takt_contract_column a, b;
    load(&row[first], &a);
    load(&row[first + 1], &b);
    return merge(&a, &b);
}

static uint64_t progress_of(uint32_t level, uint32_t at, bool is_open)
{
    return (uint64_t)level << 32 | (uint64_t)at << 1 | is_open;
}

void takt_timeline_reset(struct takt_timeline *t)
{
    t->blocks = 0;
    atomic_store_explicit(&t->progress, 0, memory_order_release);
}

/* The column at `at` has all of its blocks. */
static void close_column(struct takt_timeline *t, uint32_t level, uint32_t at)
{
    if (level) {
        struct takt_contract_column two = merge_two(t->rows[~level & 1], 2 * (at - HALF));
        store(&t->rows[level & 1][at - HALF], &two);
    }
    t->blocks = 0;
    uint64_t next = at + 1 < TAKT_COLUMNS_MAX ? progress_of(level, at + 1, false)
                                              : progress_of(level + 1, HALF, false);
    atomic_store_explicit(&t->progress, next, memory_order_release);
}

void takt_timeline_add(struct takt_timeline *t, const struct takt_contract_column *block)
{
    uint64_t progress = atomic_load_explicit(&t->progress, memory_order_relaxed);
    uint32_t level = (uint32_t)(progress >> 32), at = (uint32_t)progress >> 1;
    struct takt_timeline_cell *open = &t->rows[level & 1][at];
    struct takt_contract_column sum = *block;
    if (t->blocks) {
        load(open, &sum);
        sum = merge(&sum, block);
    }
    store(open, &sum);
    if (++t->blocks == UINT64_C(1) << level)
        close_column(t, level, at);
    else if (t->blocks == 1)
        atomic_store_explicit(&t->progress, progress_of(level, at, true), memory_order_release);
}

static int read_level(const struct takt_timeline *t, uint64_t progress,
                      struct takt_contract_column *out, int max)
{
    uint32_t level = (uint32_t)(progress >> 32), at = (uint32_t)progress >> 1;
    uint32_t end = at + (progress & 1), done = level ? at - HALF : end;
    const struct takt_timeline_cell *row = t->rows[level & 1], *before = t->rows[~level & 1];
    int count = 0;
    for (uint32_t i = end > (uint32_t)max ? end - (uint32_t)max : 0; i < end; i++)
        if (i < done || i >= HALF)
            load(&row[i], &out[count++]);
        else
            out[count++] = merge_two(before, 2 * i);
    return count;
}

int takt_timeline_read(const struct takt_timeline *t, struct takt_contract_column *out, int max)
{
    enum { TRIES = 8 };
    int count = 0;
    for (int i = 0; i < TRIES && max > 0; i++) {
        uint64_t progress = atomic_load_explicit(&t->progress, memory_order_acquire);
        count = read_level(t, progress, out, max);
        uint64_t now = atomic_load_explicit(&t->progress, memory_order_acquire);
        if (now >> 32 == progress >> 32)
            break;
    }
    return count;
}
