/*
 * The experiment: one thread watches itself while it spins, and another on the same CPU wakes
 * again and again, so that the first must be preempted. Its count of involuntary switches
 * (getrusage) tells the truth to compare with.
 */
#include "rt/preempt.h"

#ifndef TAKT_PREEMPT_RSEQ

bool takt_preempt_probe(void)
{
    return false;
}

#else

#include "takt/time.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

/* A section of one byte that no thread ever runs. The kernel wants rseq's signature in the four
 * bytes before the place where an aborted section would go on, and stops the program without it. */
#ifdef __x86_64__
__asm__(".pushsection .text\n"
        ".long 0x53053053\n"
        "takt_preempt_abort: ud2\n"
        "takt_preempt_start: ud2\n"
        ".popsection\n");
#else
__asm__(".pushsection .text\n"
        ".inst 0xd428bc00\n"
        "takt_preempt_abort: brk #0\n"
        "takt_preempt_start: brk #0\n"
        ".popsection\n");
#endif
extern const char takt_preempt_abort[] __attribute__((visibility("hidden")));
extern const char takt_preempt_start[] __attribute__((visibility("hidden")));

_Atomic uint64_t takt_preempt_mark;

static struct rseq_cs nowhere __attribute__((aligned(32)));

enum { PROBE_NS = 20000000, SPIN_NS = 30000, NAP_NS = 100000, ENOUGH = 3, TRIES = 5 };

struct trial {
    _Atomic bool over;
    int seen, missed;  /* of the rounds with a switch */
    int kept, cleared; /* of those without */
};

static long switches(void)
{
    struct rusage r;
    return getrusage(RUSAGE_THREAD, &r) == 0 ? r.ru_nivcsw : 0;
}

static void spin(void)
{
    for (int64_t end = takt_now_ns() + SPIN_NS; takt_now_ns() < end;)
        ;
}

static void *watch(void *arg)
{
    struct trial *t = arg;
    uint64_t mark = (uint64_t)(uintptr_t)&nowhere;
    volatile uint64_t *slot = takt_preempt_slot();
    int64_t end = takt_now_ns() + PROBE_NS;
    while (takt_now_ns() < end && t->seen < ENOUGH) {
        long before = switches();
        *slot = mark;
        spin();
        bool cleared = *slot != mark;
        *slot = 0;
        if (switches() != before)
            *(cleared ? &t->seen : &t->missed) += 1;
        else
            *(cleared ? &t->cleared : &t->kept) += 1;
    }
    atomic_store(&t->over, true);
    return NULL;
}

static void *disturb(void *arg)
{
    struct trial *t = arg;
    while (!atomic_load(&t->over))
        takt_sleep_until_ns(takt_now_ns() + NAP_NS);
    return NULL;
}

/* Both threads plain, without signals, and on the CPU that we are on. */
static bool prepare(pthread_attr_t *attr)
{
    cpu_set_t here;
    sigset_t all;
    int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE || pthread_attr_init(attr) != 0)
        return false;
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    sigfillset(&all);
    pthread_attr_setaffinity_np(attr, sizeof here, &here);
    pthread_attr_setsigmask_np(attr, &all);
    pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
    return true;
}

enum verdict { IS_SO, IS_NOT, UNCLEAR };

static enum verdict try_it(void)
{
    struct trial t = {0};
    pthread_attr_t attr;
    pthread_t watcher, disturber;
    if (!prepare(&attr))
        return IS_NOT;
    bool ran = pthread_create(&watcher, &attr, watch, &t) == 0;
    if (ran) {
        bool both = pthread_create(&disturber, &attr, disturb, &t) == 0;
        pthread_join(watcher, NULL);
        if (both)
            pthread_join(disturber, NULL);
    }
    pthread_attr_destroy(&attr);
    if (ran && t.kept > t.cleared && t.seen >= t.missed)
        return IS_SO;
    return t.missed >= ENOUGH && t.seen == 0 ? IS_NOT : UNCLEAR;
}

/* On a busy machine a trial may see next to nothing, or what others do to the thread. */
static bool is_so(void)
{
    enum verdict v = UNCLEAR;
    for (int i = 0; i < TRIES && v == UNCLEAR; i++)
        v = try_it();
    return v == IS_SO;
}

static void probe(void)
{
    nowhere.start_ip = (uintptr_t)takt_preempt_start;
    nowhere.post_commit_offset = 1;
    nowhere.abort_ip = (uintptr_t)takt_preempt_abort;
    if (__rseq_size > 0 && is_so())
        atomic_store(&takt_preempt_mark, (uint64_t)(uintptr_t)&nowhere);
}

bool takt_preempt_probe(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, probe);
    return atomic_load(&takt_preempt_mark) != 0;
}

#endif
