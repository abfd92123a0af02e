#include "stress.h"
#include "sync/wake.h"
#include "tap.h"

#include <sched.h>

enum { SIGNALLERS = 3, PARTS = 3 };

static int64_t soon_ns(void)
{
    return stress_now_ns() + 20000000000;
}

/* Two threads hand a number to and fro; each sleeps until the other has signalled. A wake-up that
 * got lost would leave both asleep. */
struct rally {
    struct takt_wake there, back;
    uint64_t number; /* not atomic: the wakes must carry it */
    bool over;
};

static void *answer(void *arg)
{
    struct rally *r = arg;
    bool over = false;
    while (!over) {
        if (!takt_wake_wait(&r->there, soon_ns()))
            return arg;
        over = r->over;
        r->number++;
        takt_wake_signal(&r->back);
    }
    return NULL;
}

static void wake_to_and_fro_loses_no_signal(void)
{
    struct rally r = {.number = 0};
    int64_t deadline_ns = stress_deadline_ns(PARTS);
    uint64_t rounds = 0;
    void *lost;
    pthread_t t;
    CHECK(pthread_create(&t, NULL, answer, &r) == 0);
    for (bool over = false; !over; rounds++) {
        over = r.over = stress_over(deadline_ns);
        r.number++;
        takt_wake_signal(&r.there);
        CHECK(takt_wake_wait(&r.back, soon_ns()));
        CHECK_INT(r.number, 2 * (rounds + 1));
    }
    pthread_join(t, &lost);
    CHECK(!lost);
    printf("# %llu rounds\n", (unsigned long long)rounds);
}

/* Many count up and signal; the waiter, with deadlines now and then so that signal and time-out
 * meet, must end up having seen all. */
struct crowd {
    struct takt_wake wake;
    _Atomic uint64_t count;
    _Atomic int running;
    int64_t deadline_ns;
};

static void *count_up(void *arg)
{
    struct crowd *c = arg;
    while (!stress_over(c->deadline_ns)) {
        atomic_fetch_add(&c->count, 1);
        takt_wake_signal(&c->wake);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    atomic_fetch_sub(&c->running, 1);
    takt_wake_signal(&c->wake);
    return NULL;
}

static void wake_by_many_with_time_outs_loses_no_signal(void)
{
    struct crowd c = {.running = SIGNALLERS, .deadline_ns = stress_deadline_ns(PARTS)};
    uint64_t seen = 0, woken = 0, timed_out = 0;
    pthread_t t[SIGNALLERS];
    for (int i = 0; i < SIGNALLERS; i++)
        CHECK(pthread_create(&t[i], NULL, count_up, &c) == 0);
    while (atomic_load(&c.running) > 0) {
        bool brief = (woken + timed_out) % 2;
        bool came = takt_wake_wait(&c.wake, brief ? stress_now_ns() + 30000 : soon_ns());
        CHECK(came || brief);
        woken += came;
        timed_out += !came;
        if (came)
            seen = atomic_load(&c.count);
    }
    for (int i = 0; i < SIGNALLERS; i++)
        pthread_join(t[i], NULL);
    if (takt_wake_wait(&c.wake, 0))
        seen = atomic_load(&c.count);
    CHECK_INT(seen, atomic_load(&c.count));
    CHECK(seen > 0);
    printf("# %llu signals, woken %llu times, timed out %llu times\n", (unsigned long long)seen,
           (unsigned long long)woken, (unsigned long long)timed_out);
}

/* A time-out and a signal that meet: the signal is had by this wait or by the next. Each round
 * has one signal only, so that no other covers for it. */
struct duel {
    struct takt_wake wake;
    _Atomic uint64_t answered;
    uint64_t signalled;
    int64_t deadline_ns;
    _Atomic bool over;
};

static void *signal_once_a_round(void *arg)
{
    struct duel *d = arg;
    while (!stress_over(d->deadline_ns)) {
        takt_wake_signal(&d->wake);
        d->signalled++;
        while (atomic_load(&d->answered) < d->signalled && !atomic_load(&d->over))
            sched_yield();
    }
    atomic_store(&d->over, true);
    return NULL;
}

static void wake_signal_that_meets_a_time_out_is_not_lost(void)
{
    struct duel d = {.deadline_ns = stress_deadline_ns(PARTS)};
    int64_t last_ns = d.deadline_ns + 20000000000;
    pthread_t t;
    CHECK(pthread_create(&t, NULL, signal_once_a_round, &d) == 0);
    while (!atomic_load(&d.over)) {
        if (takt_wake_wait(&d.wake, 0))
            atomic_fetch_add(&d.answered, 1);
        else if (stress_over(last_ns))
            atomic_store(&d.over, true);
    }
    pthread_join(t, NULL);
    if (takt_wake_wait(&d.wake, 0))
        atomic_fetch_add(&d.answered, 1);
    CHECK(d.signalled > 0);
    CHECK_INT(atomic_load(&d.answered), d.signalled);
    printf("# %llu rounds\n", (unsigned long long)d.signalled);
}

int main(void)
{
    RUN(wake_to_and_fro_loses_no_signal);
    RUN(wake_by_many_with_time_outs_loses_no_signal);
    RUN(wake_signal_that_meets_a_time_out_is_not_lost);
    return tap_done();
}
