#include "sync/wake.h"
#include "tap.h"

#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

static _Atomic int calls;

/* On the machines that Debian runs on, the arguments of a system call are six words. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    calls++;
    return __real_syscall(number, a, b, c, d, e, f);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wake_signals_before_the_wait_end_it_once_without_a_system_call(void)
{
    struct takt_wake w = {0};
    int before = calls;
    for (int signals = 1; signals < 4; signals++) {
        for (int i = 0; i < signals; i++)
            takt_wake_signal(&w);
        CHECK(takt_wake_wait(&w, signals % 2 ? TAKT_WAKE_NEVER : 0));
        CHECK(!takt_wake_wait(&w, 0));
    }
    CHECK_INT(calls - before, 0);
}

static void wake_wait_ends_at_its_deadline_and_not_before(void)
{
    struct takt_wake w = {0};
    static const int64_t past[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++)
        CHECK(!takt_wake_wait(&w, past[i]));
    for (int i = 0; i < 5; i++) {
        int64_t deadline_ns = now_ns() + 3000000;
        CHECK(!takt_wake_wait(&w, deadline_ns));
        CHECK(now_ns() >= deadline_ns);
    }
    takt_wake_signal(&w);
    CHECK(takt_wake_wait(&w, 0));
}

static struct takt_wake shared;
static int carried;

static void *signal_later(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    carried = 42;
    takt_wake_signal(&shared);
    return arg;
}

static void wake_signal_rouses_the_sleeper_and_carries_what_was_written(void)
{
    pthread_t t;
    CHECK(pthread_create(&t, NULL, signal_later, NULL) == 0);
    CHECK(takt_wake_wait(&shared, TAKT_WAKE_NEVER));
    CHECK_INT(carried, 42);
    pthread_join(t, NULL);
}

int main(void)
{
    RUN(wake_signals_before_the_wait_end_it_once_without_a_system_call);
    RUN(wake_wait_ends_at_its_deadline_and_not_before);
    RUN(wake_signal_rouses_the_sleeper_and_carries_what_was_written);
    return tap_done();
}
