#include "stress.h"
#include "sync/event_queue.h"
#include "tap.h"

#include <poll.h>
#include <sched.h>

enum { PRODUCERS = 4, PARTS = 2 };

struct event {
    uint64_t number;
    uint32_t producer, check;
};

struct producer {
    struct takt_event_queue *q;
    _Atomic int *running;
    int64_t deadline_ns;
    uint32_t number;
    bool sparse; /* waits between events, so that the consumer goes to sleep again and again */
    uint64_t pushed, refused;
    pthread_t thread;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (uint64_t n = 0; !stress_over(p->deadline_ns); n++) {
        struct event e = {n, p->number, (uint32_t)n ^ p->number};
        if (takt_event_queue_push(p->q, &e))
            p->pushed++;
        else
            p->refused++;
        if (p->sparse)
            nanosleep(&(struct timespec){.tv_nsec = (long)(n % 7) * 1000}, NULL);
        else if (n % 16 == 0)
            sched_yield();
    }
    atomic_fetch_sub(p->running, 1);
    return NULL;
}

/* Pops all there is; false when an event is damaged or out of its thread's order. */
static bool drain(struct takt_event_queue *q, uint64_t next[PRODUCERS], uint64_t *popped)
{
    struct event e;
    while (takt_event_queue_pop(q, &e)) {
        if (e.producer >= PRODUCERS || e.check != ((uint32_t)e.number ^ e.producer) ||
            e.number < next[e.producer])
            return false;
        next[e.producer] = e.number + 1;
        ++*popped;
    }
    return true;
}

/* The consumer does nothing but poll with no end and pop. Were one event left behind an fd that is
 * not readable, the numbers at the end would not agree, or the test would not end. */
static bool run(bool sparse)
{
    struct takt_event_queue *q;
    struct producer p[PRODUCERS] = {{0}};
    uint64_t next[PRODUCERS] = {0}, popped = 0, pushed = 0, refused = 0, polls = 0;
    _Atomic int running = PRODUCERS;
    bool right = takt_event_queue_create(sizeof(struct event), 16, &q, NULL) == 0;
    if (!right)
        return false;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        p[i] = (struct producer){.q = q, .running = &running, .number = i, .sparse = sparse};
        p[i].deadline_ns = stress_deadline_ns(PARTS);
        pthread_create(&p[i].thread, NULL, produce, &p[i]);
    }
    while (right && atomic_load(&running) > 0) {
        struct pollfd fd = {.fd = takt_event_queue_fd(q), .events = POLLIN};
        polls += poll(&fd, 1, 100) == 1;
        if (fd.revents & POLLIN)
            right = drain(q, next, &popped);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(p[i].thread, NULL);
        pushed += p[i].pushed;
        refused += p[i].refused;
    }
    struct pollfd fd = {.fd = takt_event_queue_fd(q), .events = POLLIN};
    if (popped < pushed && poll(&fd, 1, 0) == 1)
        right = right && drain(q, next, &popped);
    printf("# %llu events, %llu dropped, %llu wake-ups\n", (unsigned long long)popped,
           (unsigned long long)refused, (unsigned long long)polls);
    right = right && popped == pushed && refused == takt_event_queue_dropped(q) && popped > 0;
    takt_event_queue_destroy(q);
    return right;
}

static void event_queue_from_many_threads_leaves_nothing_behind(void)
{
    CHECK(run(false));
    CHECK(run(true));
}

int main(void)
{
    RUN(event_queue_from_many_threads_leaves_nothing_behind);
    return tap_done();
}
