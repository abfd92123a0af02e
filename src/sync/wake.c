#include "sync/wake.h"

#include "sync/futex.h"

#include <time.h>

enum { SLEEPS = 1, ONE = 2 };

void takt_wake_init(struct takt_wake *w)
{
    atomic_store(&w->word, 0);
    w->seen = 0;
}

void takt_wake_signal(struct takt_wake *w)
{
    uint32_t old = atomic_fetch_add_explicit(&w->word, ONE, memory_order_acq_rel);
    if (old & SLEEPS) {
        atomic_fetch_and_explicit(&w->word, ~(uint32_t)SLEEPS, memory_order_acq_rel);
        takt_futex_wake_all(&w->word);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

bool takt_wake_wait(struct takt_wake *w, int64_t until_ns)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&w->word, memory_order_acquire);
        if ((word & ~(uint32_t)SLEEPS) != w->seen) {
            w->seen = word & ~(uint32_t)SLEEPS;
            return true;
        }
        if (until_ns >= 0 && now_ns() >= until_ns)
            return false;
        if (!(word & SLEEPS) && !atomic_compare_exchange_strong(&w->word, &word, word | SLEEPS))
            continue;
        takt_futex_wait(&w->word, word | SLEEPS, until_ns);
    }
}
