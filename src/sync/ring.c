/*
 * Two counters that only grow, of elements written and of elements read, and a circle of memory
 * that both sides walk. Each side owns one counter, publishes it once a call, and looks at the
 * other's only when what it last saw there is not enough: so in a steady flow most calls touch no
 * cache line that the other core is writing, apart from the elements themselves. A published
 * counter stands alone on its line; what a side keeps for itself would else be waited for, too.
 *
 * What is left is the price of the elements' own lines, and it is the writer's: a store to a line
 * that the reader still holds a copy of waits for that copy to be given up. So the reader, done
 * with a line, stores one byte to it, which makes its copy the only one; the writer then fetches
 * the line as it would any other, many at a time. On Zen 4, where such a store waits 12 to 40 ns a
 * line and the fetch takes 4 to 8, this doubles the throughput of 64-frame blocks.
 *
 * The circle is longer than the capacity by up to a page, and an element may lie across its end;
 * the mirror behind it makes that one span all the same. So any element size and any capacity work
 * without a division.
 *
 * Invariants: read <= write <= read + capacity; on each side, at = count * elem_bytes mod span;
 * read_seen <= read and write_seen <= write.
 */
#include "takt/ring.h"

#include "base/fail.h"
#include "sync/line.h"
#include "sync/mirror.h"

#include <stdatomic.h>

enum {
    CACHE_LINE_BYTES = 64,
    FETCH_BYTES = 256 /* how far a read looks ahead */
};

struct takt_ring {
    struct takt_mirror mirror;
    size_t elem_bytes;
    size_t capacity;

    /* Published: the one line that each side takes from the other. */
    alignas(TAKT_LINE_BYTES) _Atomic uint64_t write;
    alignas(TAKT_LINE_BYTES) _Atomic uint64_t read;

    alignas(TAKT_LINE_BYTES) struct { /* the writer's own */
        uint64_t count;               /* equals write */
        uint64_t read_seen;
        size_t at;
        _Atomic uint64_t dropped;
    } w;

    alignas(TAKT_LINE_BYTES) struct { /* the reader's own */
        uint64_t count;               /* equals read */
        uint64_t write_seen;
        size_t at;
    } r;
};

int takt_ring_create(const struct takt_ring_cfg *cfg, struct takt_ring **out,
                     struct takt_error *err)
{
    const size_t bytes_max = (size_t)1 << 30;
    *out = NULL;
    if (!cfg->elem_bytes || !cfg->capacity || cfg->capacity > bytes_max / cfg->elem_bytes)
        return takt_fail(err, TAKT_ERR_ARG, 0,
                         "ring of %zu elements of %zu bytes: give at least 1 of each and at most "
                         "2^30 bytes in all",
                         cfg->capacity, cfg->elem_bytes);
    size_t bytes = cfg->capacity * cfg->elem_bytes;
    struct takt_ring *r = takt_line_alloc(sizeof *r);
    if (!r || !takt_mirror_init(&r->mirror, bytes, cfg->plain)) {
        free(r);
        return takt_fail(err, TAKT_ERR_NOMEM, 0, "ring of %zu bytes: no memory; make it smaller",
                         bytes);
    }
    r->elem_bytes = cfg->elem_bytes;
    r->capacity = cfg->capacity;
    *out = r;
    return TAKT_OK;
}

void takt_ring_reset(struct takt_ring *r)
{
    atomic_store(&r->write, 0);
    atomic_store(&r->read, 0);
    atomic_store(&r->w.dropped, 0);
    r->w.count = r->w.read_seen = r->w.at = 0;
    r->r.count = r->r.write_seen = r->r.at = 0;
}

void takt_ring_destroy(struct takt_ring *r)
{
    if (!r)
        return;
    takt_mirror_fini(&r->mirror);
    free(r);
}

size_t takt_ring_capacity(const struct takt_ring *r)
{
    return r->capacity;
}

/* `want`, or as many as are free if fewer. */
static inline size_t room(struct takt_ring *r, size_t want)
{
    size_t known = r->capacity - (size_t)(r->w.count - r->w.read_seen);
    if (known < want) {
        r->w.read_seen = atomic_load_explicit(&r->read, memory_order_acquire);
        known = r->capacity - (size_t)(r->w.count - r->w.read_seen);
    }
    return known < want ? known : want;
}

/* As many as there are, if known to be at least `want`; else looks again. */
static inline size_t known_held(struct takt_ring *r, size_t want)
{
    if (r->r.write_seen - r->r.count < want)
        r->r.write_seen = atomic_load_explicit(&r->write, memory_order_acquire);
    return (size_t)(r->r.write_seen - r->r.count);
}

/* `want`, or as many as there are if fewer, at *at. Begins to fetch what comes next, if that was
 * written already: never beyond, where it would take lines out of the writer's hands. */
static inline size_t held(struct takt_ring *r, size_t want, const unsigned char **at)
{
    size_t known = known_held(r, want);
    *at = r->mirror.data + r->r.at;
    if (known <= want)
        return known;
    size_t next_bytes = (known - want) * r->elem_bytes;
    if (next_bytes > FETCH_BYTES)
        next_bytes = FETCH_BYTES;
    for (size_t i = 0; i < next_bytes; i += CACHE_LINE_BYTES)
        __builtin_prefetch(*at + want * r->elem_bytes + i);
    return want;
}

static inline size_t step(const struct takt_ring *r, size_t at, size_t bytes)
{
    at += bytes;
    return at < r->mirror.span_bytes ? at : at - r->mirror.span_bytes;
}

static inline void publish_write(struct takt_ring *r, size_t count)
{
    size_t bytes = count * r->elem_bytes;
    takt_mirror_settle(&r->mirror, r->w.at, bytes);
    r->w.at = step(r, r->w.at, bytes);
    r->w.count += count;
    atomic_store_explicit(&r->write, r->w.count, memory_order_release);
}

/* Stores a byte to each line that the elements to be freed reach the end of. It does not touch a
 * line that goes on beyond them: the writer may be at work there. */
static inline void keep_lines(struct takt_ring *r, size_t bytes)
{
    volatile unsigned char *data = r->mirror.data;
    size_t end = r->r.at + bytes;
    for (size_t line = r->r.at / CACHE_LINE_BYTES + 1; line <= end / CACHE_LINE_BYTES; line++)
        data[line * CACHE_LINE_BYTES - 1] = 0;
}

static inline void publish_read(struct takt_ring *r, size_t count)
{
    size_t bytes = count * r->elem_bytes;
    keep_lines(r, bytes);
    r->r.at = step(r, r->r.at, bytes);
    r->r.count += count;
    atomic_store_explicit(&r->read, r->r.count, memory_order_release);
}

size_t takt_ring_reserve(struct takt_ring *r, size_t want, void **at)
{
    *at = r->mirror.data + r->w.at;
    return room(r, want);
}

size_t takt_ring_commit(struct takt_ring *r, size_t count)
{
    count = room(r, count);
    publish_write(r, count);
    return count;
}

size_t takt_ring_peek(struct takt_ring *r, size_t want, const void **at)
{
    const unsigned char *oldest;
    size_t got = held(r, want, &oldest);
    *at = oldest;
    return got;
}

size_t takt_ring_advance(struct takt_ring *r, size_t count)
{
    size_t known = known_held(r, count);
    if (count > known)
        count = known;
    publish_read(r, count);
    return count;
}

size_t takt_ring_write(struct takt_ring *r, const void *from, size_t count)
{
    size_t fits = room(r, count);
    if (fits < count) {
        uint64_t dropped = atomic_load_explicit(&r->w.dropped, memory_order_relaxed);
        atomic_store_explicit(&r->w.dropped, dropped + (count - fits), memory_order_relaxed);
    }
    if (fits) {
        memcpy(r->mirror.data + r->w.at, from, fits * r->elem_bytes);
        publish_write(r, fits);
    }
    return fits;
}

size_t takt_ring_read(struct takt_ring *r, void *to, size_t count)
{
    const unsigned char *from;
    size_t got = held(r, count, &from);
    if (got) {
        memcpy(to, from, got * r->elem_bytes);
        publish_read(r, got);
    }
    return got;
}

bool takt_ring_write_all(struct takt_ring *r, const void *from, size_t count)
{
    if (room(r, count) < count)
        return false;
    memcpy(r->mirror.data + r->w.at, from, count * r->elem_bytes);
    publish_write(r, count);
    return true;
}

bool takt_ring_read_all(struct takt_ring *r, void *to, size_t count)
{
    const unsigned char *from;
    if (held(r, count, &from) < count)
        return false;
    memcpy(to, from, count * r->elem_bytes);
    publish_read(r, count);
    return true;
}

size_t takt_ring_write_avail(struct takt_ring *r)
{
    return room(r, SIZE_MAX);
}

size_t takt_ring_read_avail(struct takt_ring *r)
{
    return known_held(r, SIZE_MAX);
}

uint64_t takt_ring_dropped(const struct takt_ring *r)
{
    return atomic_load_explicit(&r->w.dropped, memory_order_relaxed);
}
