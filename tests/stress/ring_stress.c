#include "base/random.h"
#include "stress.h"
#include "takt/ring.h"
#include "tap.h"

#include <sched.h>

enum { CHUNK_MAX = 100, PARTS = 6 };

/* Elements of three numbers: 24 bytes, so that some lie across the end of the circle. */
struct elem {
    uint64_t number, twice, check;
};

struct shared {
    struct takt_ring *r;
    int64_t deadline_ns;
    uint64_t seed, offered;
    _Atomic bool done;
};

static struct elem elem_of(uint64_t number)
{
    return (struct elem){number, 2 * number, ~number};
}

/* Offers numbers in order, by one way of writing or another; what is dropped is never offered
 * again, so the reader must see numbers that only grow. */
static void *writer(void *arg)
{
    struct shared *s = arg;
    struct takt_random chance = takt_random_seed(s->seed);
    struct elem x[CHUNK_MAX], *room;
    void *at;
    while (!stress_over(s->deadline_ns)) {
        size_t count = takt_random_below(&chance, CHUNK_MAX + 1), got;
        for (size_t i = 0; i < count; i++)
            x[i] = elem_of(s->offered + i);
        switch (takt_random_below(&chance, 3)) {
        case 0:
            takt_ring_write(s->r, x, count);
            s->offered += count;
            break;
        case 1:
            s->offered += takt_ring_write_all(s->r, x, count) ? count : 0;
            break;
        default:
            got = takt_ring_reserve(s->r, count, &at);
            room = at;
            for (size_t i = 0; i < got; i++)
                room[i] = elem_of(s->offered + i);
            s->offered += takt_ring_commit(s->r, got);
        }
        if (takt_random_below(&chance, 64) == 0)
            sched_yield();
    }
    atomic_store(&s->done, true);
    return NULL;
}

static bool in_order(const struct elem *x, size_t count, uint64_t *next)
{
    for (size_t i = 0; i < count; i++) {
        struct elem want = elem_of(x[i].number);
        if (x[i].number < *next || memcmp(&x[i], &want, sizeof want))
            return false;
        *next = x[i].number + 1;
    }
    return true;
}

static size_t read_some(struct takt_ring *r, size_t count, uint64_t way, uint64_t *next,
                        bool *right)
{
    struct elem x[CHUNK_MAX];
    const void *at = x;
    size_t got;
    if (way == 0) {
        got = takt_ring_read(r, x, count);
    } else if (way == 1) {
        got = takt_ring_read_all(r, x, count) ? count : 0;
    } else {
        got = takt_ring_peek(r, count, &at);
        *right = *right && in_order(at, got, next);
        return takt_ring_advance(r, got);
    }
    *right = *right && in_order(x, got, next);
    return got;
}

static bool run(size_t capacity, bool plain, uint64_t seed)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(PARTS), .seed = seed};
    struct takt_ring_cfg cfg = {sizeof(struct elem), capacity, plain};
    struct takt_random chance = takt_random_seed(~seed);
    uint64_t next = 0, taken = 0;
    bool right = true, last = false;
    pthread_t t;
    if (takt_ring_create(&cfg, &s.r, NULL) < 0 || pthread_create(&t, NULL, writer, &s))
        return false;
    while (right) {
        bool done = atomic_load(&s.done);
        size_t got = read_some(s.r, last ? 1 : takt_random_below(&chance, CHUNK_MAX + 1),
                               takt_random_below(&chance, 3), &next, &right);
        taken += got;
        if (last && got == 0)
            break;
        last = done;
    }
    pthread_join(t, NULL);
    right = right && taken > 0 && taken + takt_ring_dropped(s.r) == s.offered;
    printf("# capacity %zu: %llu elements, %llu dropped\n", capacity, (unsigned long long)taken,
           (unsigned long long)takt_ring_dropped(s.r));
    takt_ring_destroy(s.r);
    return right;
}

static void ring_between_two_threads_loses_only_what_it_counts(void)
{
    static const size_t capacities[PARTS / 2] = {1, 90, 1000};
    for (int i = 0; i < PARTS / 2; i++) {
        CHECK(run(capacities[i], false, (uint64_t)i));
        CHECK(run(capacities[i], true, (uint64_t)i + 100));
    }
}

int main(void)
{
    RUN(ring_between_two_threads_loses_only_what_it_counts);
    return tap_done();
}
