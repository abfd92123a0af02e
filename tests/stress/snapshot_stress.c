#include "stress.h"
#include "takt/snapshot.h"
#include "tap.h"

#include <sched.h>

enum { WORDS = 50, READERS = 3 };

/* Every word says the same number; a value of two halves would not. */
struct value {
    uint32_t word[WORDS];
    char odd_end[3];
};

struct shared {
    struct takt_snapshot *s;
    int64_t deadline_ns;
    _Atomic bool done;
};

struct reader {
    struct shared *shared;
    uint64_t got, gave_up;
    bool torn, went_back;
    pthread_t thread;
};

static void *writer(void *arg)
{
    struct shared *s = arg;
    struct value v = {{0}};
    for (uint32_t n = 1; !stress_over(s->deadline_ns); n++) {
        for (int i = 0; i < WORDS; i++)
            v.word[i] = n;
        memset(v.odd_end, (int)(n & 0x7f), sizeof v.odd_end);
        takt_snapshot_write(s->s, &v);
        if (n % 8 == 0)
            sched_yield();
    }
    atomic_store(&s->done, true);
    return NULL;
}

static bool whole(const struct value *v)
{
    for (int i = 1; i < WORDS; i++)
        if (v->word[i] != v->word[0])
            return false;
    for (int i = 0; i < 3; i++)
        if (v->odd_end[i] != (char)(v->word[0] & 0x7f))
            return false;
    return true;
}

static void *reader(void *arg)
{
    struct reader *r = arg;
    struct value v;
    uint32_t last = 0;
    while (!atomic_load(&r->shared->done)) {
        if (!takt_snapshot_read(r->shared->s, &v)) {
            r->gave_up++;
            continue;
        }
        r->got++;
        r->torn |= !whole(&v);
        r->went_back |= v.word[0] < last;
        last = v.word[0];
    }
    return NULL;
}

static void snapshot_read_by_many_is_never_of_two_values(void)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(1)};
    struct reader r[READERS] = {{0}};
    struct value last;
    pthread_t t;
    CHECK(takt_snapshot_create(&(struct takt_snapshot_cfg){sizeof(struct value)}, &s.s, NULL) == 0);
    CHECK(pthread_create(&t, NULL, writer, &s) == 0);
    for (int i = 0; i < READERS; i++) {
        r[i].shared = &s;
        CHECK(pthread_create(&r[i].thread, NULL, reader, &r[i]) == 0);
    }
    pthread_join(t, NULL);
    for (int i = 0; i < READERS; i++) {
        pthread_join(r[i].thread, NULL);
        printf("# reader %d: %llu values, gave up %llu times\n", i, (unsigned long long)r[i].got,
               (unsigned long long)r[i].gave_up);
        CHECK(!r[i].torn && !r[i].went_back);
        CHECK(r[i].got > 0);
    }
    CHECK(takt_snapshot_read(s.s, &last) && last.word[0] == takt_snapshot_version(s.s));
    takt_snapshot_destroy(s.s);
}

int main(void)
{
    RUN(snapshot_read_by_many_is_never_of_two_values);
    return tap_done();
}
