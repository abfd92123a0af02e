/*
 * Cells in a circle, each with a turn that says whose it is: after Vyukov's bounded MPMC queue
 * (1024cores.net), with one consumer. Cell i of lap n may be filled when its turn is i + n * cells
 * and emptied when it is one more. A producer takes a place by moving `tail` and then fills the
 * cell, so producers wait for each other nowhere.
 *
 * The fd. `armed` says that the consumer went, or is about to go, to sleep on it: whoever pushes
 * next disarms it and writes. The consumer drains the fd, arms, and only then looks a last time;
 * the producer publishes, and only then looks at `armed`. All four are sequentially consistent, so
 * one of the two sees the other, and no event is left behind an fd that is not readable.
 */
#include "sync/event_queue.h"

#include "base/fail.h"
#include "base/permit.h"
#include "sync/line.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Each lost race means that another push went through. */
enum { TRIES = 1024 };

struct cell {
    _Atomic uint64_t turn;
    unsigned char rec[];
};

struct takt_event_queue {
    unsigned char *cells;
    size_t elem_bytes;
    size_t cell_bytes;
    uint64_t count; /* of cells; a power of two */
    int fd;

    alignas(TAKT_LINE_BYTES) _Atomic uint64_t tail; /* the producers' */
    _Atomic uint64_t dropped;

    alignas(TAKT_LINE_BYTES) _Atomic bool armed; /* both sides' */

    alignas(TAKT_LINE_BYTES) _Atomic uint64_t head; /* the consumer's */
};

static struct cell *cell_at(const struct takt_event_queue *q, uint64_t place)
{
    return (struct cell *)(void *)(q->cells + (place & (q->count - 1)) * q->cell_bytes);
}

static bool init(struct takt_event_queue *q, size_t elem_bytes, size_t capacity)
{
    q->elem_bytes = elem_bytes;
    q->cell_bytes = sizeof(struct cell) + (elem_bytes + 7) / 8 * 8;
    for (q->count = 2; q->count < capacity;)
        q->count *= 2;
    atomic_init(&q->armed, true);
    q->cells = takt_line_alloc(q->count * q->cell_bytes);
    if (!q->cells)
        return false;
    for (uint64_t i = 0; i < q->count; i++)
        atomic_init(&cell_at(q, i)->turn, i);
    return true;
}

int takt_event_queue_create(size_t elem_bytes, size_t capacity, struct takt_event_queue **out,
                            struct takt_error *err)
{
    *out = NULL;
    if (elem_bytes < 1 || elem_bytes > 65536 || capacity < 1 || capacity > 1 << 20)
        return takt_fail(err, TAKT_ERR_ARG, 0,
                         "event queue of %zu events of %zu bytes: give 1 to 2^20 of 1 to 65536",
                         capacity, elem_bytes);
    struct takt_event_queue *q = takt_line_alloc(sizeof *q);
    if (!q || !init(q, elem_bytes, capacity)) {
        free(q);
        return takt_fail(err, TAKT_ERR_NOMEM, 0, "event queue: no memory");
    }
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (q->fd < 0) {
        int code = takt_fail(err, TAKT_ERR_SYSTEM, errno,
                             "event queue: no eventfd; raise the limit of open files");
        free(q->cells);
        free(q);
        return code;
    }
    *out = q;
    return TAKT_OK;
}

void takt_event_queue_destroy(struct takt_event_queue *q)
{
    if (!q)
        return;
    close(q->fd);
    free(q->cells);
    free(q);
}

/* The one system call that a push can make. It stands in a function of its own so that the RT
 * check can name it. It cannot fail in a way that matters: a full counter is readable. */
static __attribute__((noinline)) void takt_event_queue_wake(struct takt_event_queue *q)
{
    int saved = errno;
    uint64_t one = 1;
    takt_permit_begin();
    ssize_t n = write(q->fd, &one, sizeof one);
    takt_permit_end();
    (void)n;
    errno = saved;
}

/* Makes the fd readable if it is not known to be. The load spares the line when it is. */
static void disarm(struct takt_event_queue *q)
{
    if (atomic_load(&q->armed) && atomic_exchange(&q->armed, false))
        takt_event_queue_wake(q);
}

/* Finds a place and takes it; NULL when there is none. */
static struct cell *claim(struct takt_event_queue *q, uint64_t *place)
{
    *place = atomic_load_explicit(&q->tail, memory_order_relaxed);
    for (int i = 0; i < TRIES; i++) {
        struct cell *c = cell_at(q, *place);
        uint64_t turn = atomic_load_explicit(&c->turn, memory_order_acquire);
        int64_t ahead = (int64_t)(turn - *place);
        if (ahead < 0)
            return NULL; /* not emptied since the last lap: full */
        if (ahead > 0)
            *place = atomic_load_explicit(&q->tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&q->tail, place, *place + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            return c;
    }
    return NULL;
}

static bool drop(struct takt_event_queue *q)
{
    atomic_fetch_add_explicit(&q->dropped, 1, memory_order_relaxed);
    return false;
}

bool takt_event_queue_push_spare(struct takt_event_queue *q, const void *rec, uint64_t spare)
{
    /* An old head makes the queue look fuller than it is, never emptier. */
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (tail - head + spare >= q->count)
        return drop(q);
    return takt_event_queue_push(q, rec);
}

bool takt_event_queue_push(struct takt_event_queue *q, const void *rec)
{
    uint64_t place;
    struct cell *c = claim(q, &place);
    if (!c)
        return drop(q);
    memcpy(c->rec, rec, q->elem_bytes);
    atomic_store(&c->turn, place + 1);
    disarm(q);
    return true;
}

static bool take(struct takt_event_queue *q, void *rec)
{
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    struct cell *c = cell_at(q, head);
    if (atomic_load(&c->turn) != head + 1)
        return false;
    memcpy(rec, c->rec, q->elem_bytes);
    atomic_store_explicit(&c->turn, head + q->count, memory_order_release);
    atomic_store_explicit(&q->head, head + 1, memory_order_relaxed);
    return true;
}

/* Drains even when armed: a producer that has disarmed may have written only after the last look
 * found the queue empty, and its signal would else stay for good. */
static void arm(struct takt_event_queue *q)
{
    uint64_t signals;
    ssize_t n = read(q->fd, &signals, sizeof signals);
    (void)n;
    atomic_store(&q->armed, true);
}

bool takt_event_queue_pop(struct takt_event_queue *q, void *rec)
{
    if (take(q, rec))
        return true;
    arm(q);
    if (!take(q, rec))
        return false;
    disarm(q); /* more may have come with it, and the fd was drained */
    return true;
}

int takt_event_queue_fd(const struct takt_event_queue *q)
{
    return q->fd;
}

uint64_t takt_event_queue_dropped(const struct takt_event_queue *q)
{
    return atomic_load_explicit(&q->dropped, memory_order_relaxed);
}
