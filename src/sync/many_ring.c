/*
 * A circle of words. A writer first asks for room by adding to `used`, and gives back what was too
 * much; whoever got room then takes its place by adding to `tail`; it fills the place, and last of
 * all stores the first word, which holds the length and is not zero. The reader waits at `head` for
 * that word, copies the message out, makes its words zero again and only then takes them off
 * `used`. So a writer does a fixed number of steps, whatever the others do.
 *
 * Why a place is free when it is taken: of all writers whose places come before some place, its own
 * included, one was the last to get room. It found all those messages counted in `used`, and at
 * most `count` words in all; so what lay in that place a lap before was taken off before, and that
 * is ordered before the filling through `used`, and from that writer on through `tail`.
 *
 * Invariants: head <= tail <= head + count; used >= tail - head; the words outside [head, tail) are
 * zero, and those of a message whose first word is.
 */
#include "sync/many_ring.h"

#include "base/assert.h"

void takt_many_ring_init(struct takt_many_ring *r, _Atomic uint64_t *words, uint64_t count)
{
    TAKT_ASSERT(count && !(count & (count - 1)));
    r->words = words;
    r->count = count;
    atomic_init(&r->used, 0);
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
}

static _Atomic uint64_t *word(struct takt_many_ring *r, uint64_t at)
{
    return &r->words[at & (r->count - 1)];
}

bool takt_many_ring_write(struct takt_many_ring *r, const uint64_t *message, size_t count)
{
    uint64_t need = count + 1;
    TAKT_ASSERT(count);
    if (need > r->count)
        return false;
    if (atomic_fetch_add_explicit(&r->used, need, memory_order_acquire) + need > r->count) {
        atomic_fetch_sub_explicit(&r->used, need, memory_order_relaxed);
        return false;
    }
    uint64_t at = atomic_fetch_add_explicit(&r->tail, need, memory_order_acq_rel);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(word(r, at + 1 + i), message[i], memory_order_relaxed);
    atomic_store_explicit(word(r, at), need, memory_order_release);
    return true;
}

size_t takt_many_ring_read(struct takt_many_ring *r, uint64_t *message, size_t most)
{
    uint64_t at = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t need = atomic_load_explicit(word(r, at), memory_order_acquire);
    if (!need)
        return 0;
    TAKT_ASSERT(need >= 2 && need - 1 <= most);
    for (uint64_t i = 1; i < need; i++) {
        message[i - 1] = atomic_load_explicit(word(r, at + i), memory_order_relaxed);
        atomic_store_explicit(word(r, at + i), 0, memory_order_relaxed);
    }
    atomic_store_explicit(word(r, at), 0, memory_order_relaxed);
    atomic_store_explicit(&r->head, at + need, memory_order_release);
    atomic_fetch_sub_explicit(&r->used, need, memory_order_release);
    return (size_t)need - 1;
}

uint64_t takt_many_ring_tail(const struct takt_many_ring *r)
{
    return atomic_load_explicit(&r->tail, memory_order_acquire);
}

uint64_t takt_many_ring_head(const struct takt_many_ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_acquire);
}
