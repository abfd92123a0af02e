/*
 * Two counters that only grow: `written` belongs to the writer, `taken` to the reader. Each side
 * keeps its own counter, and a copy of the other's as it last saw it, in a cache line of its own,
 * and looks at the other's line only when its copy says that there is not enough. So in steady
 * flow a line changes hands once for many transfers, not once for each.
 *
 * The storage is a power of two of elements, and a multiple of a page, mapped twice in a row.
 *
 * Invariants: 0 <= written - taken <= capacity <= mask + 1; element i lies at (i & mask).
 */
#include "takt/ring.h"

#include "base/assert.h"
#include "base/fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 64, ELEM_BYTES_MAX = 1 << 20, MESSAGE_ALIGN = 8 };
static const size_t storage_bytes_max = (size_t)1 << 30;

struct takt_ring {
    /* Constant after create. */
    _Alignas(2 * LINE) char *data;
    size_t elem_bytes, capacity, mask, storage_bytes;
    /* The writer's. */
    _Alignas(2 * LINE) _Atomic size_t written;
    size_t taken_seen;
    _Atomic uint64_t dropped;
    /* The reader's. */
    _Alignas(2 * LINE) _Atomic size_t taken;
    size_t written_seen;
};

/* Maps `bytes` of fresh memory twice in a row, touched. NULL and errno when it cannot be had. */
static char *map_twice(size_t bytes)
{
    int fd = memfd_create("takt-ring", MFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *at = MAP_FAILED;
    if (ftruncate(fd, (off_t)bytes) == 0)
        at = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int half = 0; half < 2 && at != MAP_FAILED; half++)
        if (mmap(at + (size_t)half * bytes, bytes, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED) {
            int kept = errno;
            munmap(at, 2 * bytes);
            errno = kept;
            at = MAP_FAILED;
        }
    int kept = errno;
    close(fd);
    errno = kept;
    if (at == MAP_FAILED)
        return NULL;
    memset(at, 0, bytes);
    for (size_t i = 0; i < bytes; i += 4096) /* the second view has page tables of its own */
        (void)*(volatile char *)(at + bytes + i);
    if (mlock(at, 2 * bytes) != 0) {
        /* Over the limit for locked memory; the pages are there all the same. */
    }
    return at;
}

int takt_ring_create(const struct takt_ring_cfg *cfg, struct takt_ring **out, struct takt_error *e)
{
    *out = NULL;
    size_t elem_bytes = cfg->elem_bytes ? cfg->elem_bytes : sizeof(float);
    if (elem_bytes > ELEM_BYTES_MAX || !cfg->capacity ||
        cfg->capacity > storage_bytes_max / elem_bytes)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a ring of %zu elements of %zu bytes: 1 byte to 1 GiB",
                         cfg->capacity, elem_bytes);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), cells = 1;
    while (cells < cfg->capacity || cells * elem_bytes % page)
        cells *= 2;
    struct takt_ring *r = aligned_alloc(2 * LINE, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    memset(r, 0, sizeof *r);
    r->elem_bytes = elem_bytes;
    r->capacity = cfg->capacity;
    r->mask = cells - 1;
    r->storage_bytes = cells * elem_bytes;
    r->data = map_twice(r->storage_bytes);
    if (!r->data) {
        int err = takt_fail(e, errno == ENOMEM ? TAKT_ERR_NOMEM : TAKT_ERR_SYSTEM, errno,
                            "cannot map a ring of %zu bytes", r->storage_bytes);
        free(r);
        return err;
    }
    *out = r;
    return 0;
}

void takt_ring_destroy(struct takt_ring *r)
{
    if (!r)
        return;
    munmap(r->data, 2 * r->storage_bytes);
    free(r);
}

void takt_ring_reset(struct takt_ring *r)
{
    atomic_store(&r->written, 0);
    atomic_store(&r->taken, 0);
    atomic_store(&r->dropped, 0);
    r->taken_seen = r->written_seen = 0;
}

static inline char *element(const struct takt_ring *r, size_t at)
{
    return r->data + (at & r->mask) * r->elem_bytes;
}

/* Room for the writer; looks at the reader's line only when `wanted` might not fit. */
static inline size_t room_for(struct takt_ring *r, size_t written, size_t wanted)
{
    size_t room = r->capacity - (written - r->taken_seen);
    if (room >= wanted)
        return room;
    r->taken_seen = atomic_load_explicit(&r->taken, memory_order_acquire);
    return r->capacity - (written - r->taken_seen);
}

static inline size_t ready_for(struct takt_ring *r, size_t taken, size_t wanted)
{
    size_t ready = r->written_seen - taken;
    if (ready >= wanted)
        return ready;
    r->written_seen = atomic_load_explicit(&r->written, memory_order_acquire);
    return r->written_seen - taken;
}

static inline void count_drops(struct takt_ring *r, uint64_t drops)
{
    uint64_t so_far = atomic_load_explicit(&r->dropped, memory_order_relaxed);
    atomic_store_explicit(&r->dropped, so_far + drops, memory_order_relaxed);
}

size_t takt_ring_write(struct takt_ring *r, const void *data, size_t count)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t room = room_for(r, at, count);
    if (count > room) {
        count_drops(r, count - room);
        count = room;
    }
    memcpy(element(r, at), data, count * r->elem_bytes);
    atomic_store_explicit(&r->written, at + count, memory_order_release);
    return count;
}

size_t takt_ring_read(struct takt_ring *r, void *data, size_t count)
{
    size_t at = atomic_load_explicit(&r->taken, memory_order_relaxed);
    size_t ready = ready_for(r, at, count);
    count = count < ready ? count : ready;
    memcpy(data, element(r, at), count * r->elem_bytes);
    atomic_store_explicit(&r->taken, at + count, memory_order_release);
    return count;
}

void *takt_ring_write_begin(struct takt_ring *r, size_t *room)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    *room = room_for(r, at, r->capacity);
    return element(r, at);
}

void takt_ring_write_end(struct takt_ring *r, size_t count)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    TAKT_ASSERT(count <= r->capacity - (at - r->taken_seen));
    atomic_store_explicit(&r->written, at + count, memory_order_release);
}

const void *takt_ring_read_begin(struct takt_ring *r, size_t *ready)
{
    size_t at = atomic_load_explicit(&r->taken, memory_order_relaxed);
    *ready = ready_for(r, at, r->capacity);
    return element(r, at);
}

void takt_ring_read_end(struct takt_ring *r, size_t count)
{
    size_t at = atomic_load_explicit(&r->taken, memory_order_relaxed);
    TAKT_ASSERT(count <= r->written_seen - at);
    atomic_store_explicit(&r->taken, at + count, memory_order_release);
}

/* The other side's counter is read last, so that it cannot run ahead of the first: the result is
 * never above capacity, and exact for the side that calls. */
size_t takt_ring_write_avail(const struct takt_ring *r)
{
    size_t taken = atomic_load_explicit(&r->taken, memory_order_acquire);
    size_t fill = atomic_load_explicit(&r->written, memory_order_acquire) - taken;
    return fill < r->capacity ? r->capacity - fill : 0;
}

size_t takt_ring_read_avail(const struct takt_ring *r)
{
    size_t taken = atomic_load_explicit(&r->taken, memory_order_acquire);
    size_t fill = atomic_load_explicit(&r->written, memory_order_acquire) - taken;
    return fill < r->capacity ? fill : r->capacity;
}

uint64_t takt_ring_dropped(const struct takt_ring *r)
{
    return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static size_t message_room(size_t bytes)
{
    return sizeof(uint64_t) + (bytes + MESSAGE_ALIGN - 1) / MESSAGE_ALIGN * MESSAGE_ALIGN;
}

int takt_message_write(struct takt_ring *r, const void *message, size_t bytes)
{
    TAKT_ASSERT(r->elem_bytes == 1);
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    if (bytes > r->capacity || room_for(r, at, message_room(bytes)) < message_room(bytes)) {
        count_drops(r, 1);
        return 0;
    }
    uint64_t length = bytes;
    memcpy(element(r, at), &length, sizeof length);
    if (bytes)
        memcpy(element(r, at) + sizeof length, message, bytes);
    atomic_store_explicit(&r->written, at + message_room(bytes), memory_order_release);
    return 1;
}

int64_t takt_message_read(struct takt_ring *r, void *message, size_t room)
{
    TAKT_ASSERT(r->elem_bytes == 1);
    size_t at = atomic_load_explicit(&r->taken, memory_order_relaxed);
    if (!ready_for(r, at, 1))
        return -1;
    uint64_t length;
    memcpy(&length, element(r, at), sizeof length);
    if (length > room)
        return (int64_t)length;
    if (length)
        memcpy(message, element(r, at) + sizeof length, length);
    atomic_store_explicit(&r->taken, at + message_room(length), memory_order_release);
    return (int64_t)length;
}
