/* Threads that write messages of all lengths into one ring, and a reader that never rests. */
#include "stress.h"
#include "sync/many_ring.h"
#include "tap.h"

enum { THREADS = 3, LENGTH_MAX = 60, WORDS = 256 };

struct writer {
    struct takt_many_ring *r;
    uint64_t number, offered, taken;
    int64_t deadline_ns;
};

static _Atomic int working;

/* Message n of a writer: as many words as follow from n, each of them following from it, none zero.
 */
static size_t make(uint64_t *words, uint64_t writer, uint64_t n)
{
    size_t length = 1 + (n * 7 + writer) % LENGTH_MAX;
    for (size_t i = 0; i < length; i++)
        words[i] = writer << 56 | (i + 1) << 48 | n;
    return length;
}

static void *write_all(void *arg)
{
    struct writer *w = arg;
    uint64_t words[LENGTH_MAX];
    for (; !stress_over(w->deadline_ns); w->offered++) {
        size_t length = make(words, w->number, w->offered);
        w->taken += takt_many_ring_write(w->r, words, length);
    }
    atomic_fetch_sub(&working, 1);
    return NULL;
}

static bool is_right(const uint64_t *words, size_t length, uint64_t *next)
{
    uint64_t want[LENGTH_MAX], writer = words[0] >> 56, n = words[0] & 0xffffffffffff;
    if (writer >= THREADS || n < next[writer])
        return false;
    next[writer] = n + 1;
    return make(want, writer, n) == length && !memcmp(want, words, length * sizeof *want);
}

static void messages_of_all_threads_come_out_whole_and_in_order(void)
{
    static _Atomic uint64_t room[WORDS] __attribute__((aligned(TAKT_LINE_BYTES)));
    struct takt_many_ring r;
    struct writer w[THREADS];
    pthread_t t[THREADS];
    uint64_t words[LENGTH_MAX], next[THREADS] = {0}, got = 0, taken = 0, offered = 0;
    bool right = true;
    takt_many_ring_init(&r, room, WORDS);
    atomic_store(&working, THREADS);
    for (uint64_t i = 0; i < THREADS; i++) {
        w[i] = (struct writer){.r = &r, .number = i, .deadline_ns = stress_deadline_ns(1)};
        CHECK_INT(pthread_create(&t[i], NULL, write_all, &w[i]), 0);
    }
    for (bool last = false; right;) {
        size_t length = takt_many_ring_read(&r, words, LENGTH_MAX);
        if (length) {
            right = is_right(words, length, next);
            got++;
        } else if (last) {
            break;
        } else {
            last = atomic_load(&working) == 0;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        taken += w[i].taken;
        offered += w[i].offered;
    }
    printf("# %llu messages, %llu taken\n", (unsigned long long)offered, (unsigned long long)taken);
    CHECK(right);
    CHECK(got > 1000);
    CHECK_INT(got, taken);
    CHECK_INT(takt_many_ring_head(&r), takt_many_ring_tail(&r));
    for (size_t i = 0; i < WORDS; i++)
        CHECK_INT(room[i], 0);
}

int main(void)
{
    RUN(messages_of_all_threads_come_out_whole_and_in_order);
    return tap_done();
}
