#include "base/random.h"
#include "stress.h"
#include "takt/message_ring.h"
#include "tap.h"

enum { LENGTH_MAX = 300, PARTS = 2 };

struct shared {
    struct takt_message_ring *r;
    int64_t deadline_ns;
    uint64_t offered;
    _Atomic bool done;
};

/* A message is a number, and then bytes that follow from it, as many as follow from it. */
static size_t length_of(uint64_t number)
{
    struct takt_random chance = takt_random_seed(number);
    return 8 + takt_random_below(&chance, LENGTH_MAX - 8);
}

static void fill(unsigned char *x, uint64_t number)
{
    memcpy(x, &number, 8);
    for (size_t i = 8; i < length_of(number); i++)
        x[i] = (unsigned char)(number + i);
}

static void *writer(void *arg)
{
    struct shared *s = arg;
    unsigned char x[LENGTH_MAX];
    for (; !stress_over(s->deadline_ns); s->offered++) {
        fill(x, s->offered);
        takt_message_ring_write(s->r, x, length_of(s->offered));
    }
    atomic_store(&s->done, true);
    return NULL;
}

static bool right_message(const void *at, size_t bytes, uint64_t *next)
{
    unsigned char want[LENGTH_MAX];
    uint64_t number;
    if (bytes < 8)
        return false;
    memcpy(&number, at, 8);
    fill(want, number);
    bool right = number >= *next && bytes == length_of(number) && !memcmp(at, want, bytes);
    *next = number + 1;
    return right;
}

static bool run(bool plain)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(PARTS)};
    struct takt_message_ring_cfg cfg = {.capacity_bytes = 1000, .plain = plain};
    unsigned char x[LENGTH_MAX];
    uint64_t next = 0, taken = 0;
    bool right = true;
    pthread_t t;
    if (takt_message_ring_create(&cfg, &s.r, NULL) < 0 || pthread_create(&t, NULL, writer, &s))
        return false;
    while (right) {
        const void *at = x;
        size_t bytes;
        bool done = atomic_load(&s.done), in_place = taken % 2;
        bool some = in_place ? takt_message_ring_peek(s.r, &at, &bytes)
                             : takt_message_ring_read(s.r, x, sizeof x, &bytes);
        if (some) {
            right = right_message(at, bytes, &next);
            taken++;
            if (in_place)
                takt_message_ring_advance(s.r);
        } else if (done) {
            break;
        }
    }
    pthread_join(t, NULL);
    right = right && taken > 0 && taken + takt_message_ring_dropped(s.r) == s.offered;
    printf("# %llu messages, %llu dropped\n", (unsigned long long)taken,
           (unsigned long long)takt_message_ring_dropped(s.r));
    takt_message_ring_destroy(s.r);
    return right;
}

static void message_ring_between_two_threads_keeps_messages_whole(void)
{
    CHECK(run(false));
    CHECK(run(true));
}

int main(void)
{
    RUN(message_ring_between_two_threads_keeps_messages_whole);
    return tap_done();
}
