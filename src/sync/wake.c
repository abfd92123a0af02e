/*
 * A futex with three states. Only the waiter puts it to ASLEEP, and only a signal that finds it so
 * pays for a system call; the kernel puts the waiter to sleep only while it still is so.
 */
#include "sync/wake.h"

#include "base/permit.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void takt_wake_rouse(struct takt_wake *w)
{
    takt_permit_begin();
    syscall(SYS_futex, &w->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    takt_permit_end();
}

static void sleep_until(struct takt_wake *w, int64_t deadline_ns)
{
    struct timespec at = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    syscall(SYS_futex, &w->state, FUTEX_WAIT_BITSET_PRIVATE, TAKT_WAKE_ASLEEP,
            deadline_ns == TAKT_WAKE_NEVER ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);
}

static bool passed(int64_t deadline_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec >= deadline_ns;
}

bool takt_wake_wait(struct takt_wake *w, int64_t deadline_ns)
{
    uint32_t clear = TAKT_WAKE_CLEAR;
    atomic_compare_exchange_strong(&w->state, &clear, TAKT_WAKE_ASLEEP);
    while (atomic_load(&w->state) == TAKT_WAKE_ASLEEP && !passed(deadline_ns))
        sleep_until(w, deadline_ns);
    return atomic_exchange(&w->state, TAKT_WAKE_CLEAR) == TAKT_WAKE_SIGNALLED;
}
