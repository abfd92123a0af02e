/*
 * A ring of 8-byte cells. A message is one cell with its length, then its bytes in as many cells
 * as they need, all committed at once: so the reader sees whole messages only, aligned, each in
 * one span.
 */
#include "takt/message_ring.h"

#include "base/assert.h"
#include "base/fail.h"
#include "sync/line.h"
#include "takt/ring.h"

#include <stdatomic.h>

enum { CELL_BYTES = sizeof(uint64_t) };

struct takt_message_ring {
    struct takt_ring *cells;
    alignas(TAKT_LINE_BYTES) _Atomic uint64_t dropped; /* the writer's */
};

int takt_message_ring_create(const struct takt_message_ring_cfg *cfg,
                             struct takt_message_ring **out, struct takt_error *err)
{
    *out = NULL;
    if (cfg->capacity_bytes < CELL_BYTES || cfg->capacity_bytes > (size_t)1 << 30)
        return takt_fail(err, TAKT_ERR_ARG, 0, "message ring of %zu bytes: give 8 to 2^30",
                         cfg->capacity_bytes);
    struct takt_message_ring *r = takt_line_alloc(sizeof *r);
    if (!r)
        return takt_fail(err, TAKT_ERR_NOMEM, 0, "message ring: no memory");
    struct takt_ring_cfg cells = {
        .elem_bytes = CELL_BYTES,
        .capacity = (cfg->capacity_bytes + CELL_BYTES - 1) / CELL_BYTES,
        .plain = cfg->plain,
    };
    int code = takt_ring_create(&cells, &r->cells, err);
    if (code < 0) {
        free(r);
        return code;
    }
    *out = r;
    return TAKT_OK;
}

void takt_message_ring_destroy(struct takt_message_ring *r)
{
    if (!r)
        return;
    takt_ring_destroy(r->cells);
    free(r);
}

/* Safe for any size_t: what is too long to be rounded up is also too long for any ring. */
static size_t cells_of(size_t bytes)
{
    return 1 + bytes / CELL_BYTES + (bytes % CELL_BYTES != 0);
}

bool takt_message_ring_write(struct takt_message_ring *r, const void *from, size_t bytes)
{
    size_t need = cells_of(bytes);
    void *at;
    if (takt_ring_reserve(r->cells, need, &at) < need) {
        uint64_t dropped = atomic_load_explicit(&r->dropped, memory_order_relaxed);
        atomic_store_explicit(&r->dropped, dropped + 1, memory_order_relaxed);
        return false;
    }
    uint64_t length = bytes;
    memcpy(at, &length, CELL_BYTES);
    if (bytes)
        memcpy((unsigned char *)at + CELL_BYTES, from, bytes);
    takt_ring_commit(r->cells, need);
    return true;
}

bool takt_message_ring_peek(struct takt_message_ring *r, const void **at, size_t *bytes)
{
    const void *cell;
    if (!takt_ring_peek(r->cells, 1, &cell))
        return false;
    uint64_t length;
    memcpy(&length, cell, CELL_BYTES);
    *at = (const unsigned char *)cell + CELL_BYTES;
    *bytes = (size_t)length;
    return true;
}

void takt_message_ring_advance(struct takt_message_ring *r)
{
    const void *at;
    size_t bytes;
    if (takt_message_ring_peek(r, &at, &bytes)) {
        size_t freed = takt_ring_advance(r->cells, cells_of(bytes));
        TAKT_ASSERT(freed == cells_of(bytes));
    }
}

bool takt_message_ring_read(struct takt_message_ring *r, void *to, size_t room_bytes, size_t *bytes)
{
    const void *at;
    if (!takt_message_ring_peek(r, &at, bytes))
        return false;
    size_t copied = *bytes < room_bytes ? *bytes : room_bytes;
    if (copied)
        memcpy(to, at, copied);
    takt_message_ring_advance(r);
    return true;
}

uint64_t takt_message_ring_dropped(const struct takt_message_ring *r)
{
    return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}
