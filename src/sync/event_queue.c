/*
 * The bounded queue of D. Vyukov (1024cores.net, "Bounded MPMC queue"), used with one consumer.
 * Each cell carries the turn at which it may be written or read, so producers meet only in one
 * compare-and-swap, and one that is preempted in the middle holds up no other producer.
 *
 * The descriptor is level-triggered. `armed` says that the reader has emptied the queue and wants
 * a wake-up: whoever pushes next takes it and writes to the eventfd, once.
 */
#include "sync/event_queue.h"

#include "base/fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LINE = 64 };

struct takt_event_queue {
    size_t record_bytes, cell_bytes, mask;
    char *cells;
    int fd;
    _Alignas(LINE) _Atomic size_t head; /* next to be written */
    _Alignas(LINE) _Atomic size_t tail; /* next to be read */
    _Alignas(LINE) _Atomic bool armed;
    _Atomic uint64_t dropped;
};

/* Followed by the record. */
struct cell {
    _Atomic size_t turn;
};

static struct cell *cell_at(const struct takt_event_queue *q, size_t at)
{
    return (struct cell *)(void *)(q->cells + (at & q->mask) * q->cell_bytes);
}

int takt_event_queue_create(size_t record_bytes, size_t capacity, struct takt_event_queue **out,
                            struct takt_error *e)
{
    size_t cells = 2;
    while (cells < capacity)
        cells *= 2;
    *out = NULL;
    struct takt_event_queue *q = aligned_alloc(LINE, (sizeof *q + LINE - 1) / LINE * LINE);
    if (!q)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    memset(q, 0, sizeof *q);
    q->record_bytes = record_bytes;
    q->cell_bytes = (sizeof(struct cell) + record_bytes + LINE - 1) / LINE * LINE;
    q->mask = cells - 1;
    q->fd = -1;
    q->cells = aligned_alloc(LINE, cells * q->cell_bytes);
    if (!q->cells) {
        takt_event_queue_destroy(q);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    memset(q->cells, 0, cells * q->cell_bytes);
    for (size_t i = 0; i < cells; i++)
        atomic_init(&cell_at(q, i)->turn, i);
    atomic_init(&q->armed, true);
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (q->fd < 0) {
        int err = takt_fail(e, TAKT_ERR_SYSTEM, errno, "cannot make an event descriptor");
        takt_event_queue_destroy(q);
        return err;
    }
    *out = q;
    return 0;
}

void takt_event_queue_destroy(struct takt_event_queue *q)
{
    if (!q)
        return;
    if (q->fd >= 0)
        close(q->fd);
    free(q->cells);
    free(q);
}

bool takt_event_queue_push(struct takt_event_queue *q, const void *record)
{
    size_t at = atomic_load_explicit(&q->head, memory_order_relaxed);
    struct cell *cell;
    for (;;) {
        cell = cell_at(q, at);
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at) {
            if (atomic_compare_exchange_weak_explicit(&q->head, &at, at + 1, memory_order_relaxed,
                                                      memory_order_relaxed))
                break;
        } else if ((ptrdiff_t)(turn - at) < 0) {
            atomic_fetch_add_explicit(&q->dropped, 1, memory_order_relaxed);
            return false;
        } else {
            at = atomic_load_explicit(&q->head, memory_order_relaxed);
        }
    }
    memcpy(cell + 1, record, q->record_bytes);
    /* Sequentially consistent against the reader's arming: either it sees this record, or we see
     * that it is armed. */
    atomic_store(&cell->turn, at + 1);
    if (atomic_load(&q->armed) && atomic_exchange(&q->armed, false)) {
        int kept = errno;
        uint64_t one = 1;
        if (write(q->fd, &one, sizeof one) < 0) {
            /* The counter is at its limit, so the descriptor is readable already. */
        }
        errno = kept;
    }
    return true;
}

static bool take(struct takt_event_queue *q, void *record)
{
    size_t at = atomic_load_explicit(&q->tail, memory_order_relaxed);
    struct cell *cell = cell_at(q, at);
    if (atomic_load(&cell->turn) != at + 1)
        return false;
    memcpy(record, cell + 1, q->record_bytes);
    atomic_store_explicit(&cell->turn, at + q->mask + 1, memory_order_release);
    atomic_store_explicit(&q->tail, at + 1, memory_order_relaxed);
    return true;
}

/* Makes the descriptor readable exactly while something waits. */
static void settle(struct takt_event_queue *q)
{
    uint64_t count;
    if (read(q->fd, &count, sizeof count) < 0) {
        /* It was not readable. */
    }
    atomic_store(&q->armed, true);
    size_t at = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (atomic_load(&cell_at(q, at)->turn) == at + 1 && atomic_exchange(&q->armed, false)) {
        uint64_t one = 1;
        if (write(q->fd, &one, sizeof one) < 0) {
            /* As above. */
        }
    }
}

bool takt_event_queue_pop(struct takt_event_queue *q, void *record)
{
    bool got = take(q, record);
    size_t at = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (atomic_load(&cell_at(q, at)->turn) != at + 1)
        settle(q);
    return got;
}

int takt_event_queue_fd(const struct takt_event_queue *q)
{
    return q->fd;
}

uint64_t takt_event_queue_dropped(const struct takt_event_queue *q)
{
    return atomic_load_explicit(&q->dropped, memory_order_relaxed);
}
