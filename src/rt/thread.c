/*
 * A start has two steps. The new thread comes up, says who it is, and waits; the starting one takes
 * it up the ladder, reads back what it got, and lets it go. So when takt_thread_start returns,
 * what takt_thread_sched says is in force, and the talk with rtkit, which takes memory and time,
 * happens on the starting thread.
 *
 * Invariants: stage only grows. sched is written before STAGE_GO and constant from then on; the
 * stack is touched before the thread exists.
 */
#include "takt/thread.h"

#include "base/fail.h"
#include "rt/denormal.h"
#include "rt/ladder.h"
#include "rt/memory.h"
#include "rt/runaway.h"
#include "sync/futex.h"
#include "takt/time.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10, PRIORITY_MAX = 98 /* 99 is for the kernel's own watchdogs */ };

enum stage { STAGE_NEW, STAGE_READY, STAGE_GO, STAGE_ENDED };

struct takt_thread {
    pthread_t thread;
    void (*entry)(void *arg);
    void *arg;
    pid_t tid; /* known from STAGE_READY on */
    char name[16];
    struct takt_rt_stack stack;
    struct takt_sched sched;
    _Atomic uint32_t stage;
};

static void move(struct takt_thread *t, enum stage stage)
{
    atomic_store_explicit(&t->stage, stage, memory_order_release);
    takt_futex_wake_all(&t->stage);
}

static uint32_t stage_of(const struct takt_thread *t)
{
    return atomic_load_explicit(&t->stage, memory_order_acquire);
}

/* False when the time (below 0: without end) ran out before. */
static bool await(struct takt_thread *t, enum stage stage, int64_t timeout_ms)
{
    int64_t longest_ms = INT64_MAX / 2000000, now_ns = takt_now_ns();
    timeout_ms = timeout_ms > longest_ms ? -1 : timeout_ms;
    int64_t until_ns = timeout_ms < 0 ? -1 : now_ns + timeout_ms * 1000000;
    for (uint32_t seen; (seen = stage_of(t)) < stage;) {
        if (timeout_ms >= 0 && takt_now_ns() >= until_ns)
            return false;
        takt_futex_wait(&t->stage, seen, until_ns);
    }
    return true;
}

static pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Real-time threads have no timer slack as it is. */
static void sharpen_timers(enum takt_policy policy)
{
    if (policy <= TAKT_SCHED_NICE)
        prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
}

static void *run(void *arg)
{
    struct takt_thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    t->tid = own_tid();
    t->sched.denormals_off = takt_denormals_off();
    move(t, STAGE_READY);
    await(t, STAGE_GO, -1);
    sharpen_timers(t->sched.policy);
    if (t->sched.policy == TAKT_SCHED_RTKIT) {
        sigset_t warning;
        sigemptyset(&warning);
        sigaddset(&warning, SIGXCPU);
        pthread_sigmask(SIG_UNBLOCK, &warning, NULL);
    }
    t->entry(t->arg);
    takt_runaway_forget(t->tid);
    move(t, STAGE_ENDED);
    return NULL;
}

/* All but what a thread's own faults raise: blocked, those would end the program without a word. */
static void signals_to_block(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(set, faults[i]);
}

/* Returns an errno. */
static int launch(struct takt_thread *t)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err)
        return err;
    sigset_t blocked, before;
    signals_to_block(&blocked);
    err = pthread_attr_setstack(&attr, t->stack.base, t->stack.bytes);
    if (!err) {
        pthread_sigmask(SIG_SETMASK, &blocked, &before); /* the new thread begins with this mask */
        err = pthread_create(&t->thread, &attr, run, t);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return err;
}

static int add_thread_locals(struct dl_phdr_info *object, size_t bytes, void *sum)
{
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_TLS)
            *(size_t *)sum += object->dlpi_phdr[i].p_memsz + object->dlpi_phdr[i].p_align;
    return 0;
}

/* What is asked for, and what the C library takes of a stack for itself: room for its own affairs
 * and for every thread-local variable of the program. */
static size_t stack_bytes(size_t wished)
{
    long least = sysconf(_SC_THREAD_STACK_MIN);
    size_t bytes = (wished ? wished : STACK_BYTES) + (least > 0 ? (size_t)least : 0);
    dl_iterate_phdr(add_thread_locals, &bytes);
    return bytes;
}

int takt_thread_start(const struct takt_thread_cfg *cfg, struct takt_thread **out,
                      struct takt_error *e)
{
    *out = NULL;
    if (!cfg->entry || cfg->priority > PRIORITY_MAX || cfg->priority < TAKT_PRIORITY_OFF)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a thread needs an entry and a priority of 1 to %d",
                         PRIORITY_MAX);
    if (cfg->stack_bytes > SIZE_MAX / 4)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for a stack of that size");
    struct takt_thread *t = calloc(1, sizeof *t);
    if (!t || !takt_rt_stack_alloc(stack_bytes(cfg->stack_bytes), &t->stack)) {
        free(t);
        return takt_fail(e, TAKT_ERR_NOMEM, errno, "no memory for a thread");
    }
    t->entry = cfg->entry;
    t->arg = cfg->arg;
    t->sched.memory_locked = t->stack.locked;
    snprintf(t->name, sizeof t->name, "%s", cfg->name ? cfg->name : "takt");
    int err = launch(t);
    if (err) {
        takt_rt_stack_free(&t->stack);
        free(t);
        return takt_fail(e, TAKT_ERR_SYSTEM, err, "cannot start a thread");
    }
    await(t, STAGE_READY, -1);
    takt_ladder_climb(t->tid, cfg->priority ? cfg->priority : TAKT_THREAD_PRIORITY_DEFAULT,
                      &t->sched);
    move(t, STAGE_GO);
    *out = t;
    return TAKT_OK;
}

int takt_thread_join(struct takt_thread *t, int64_t timeout_ms)
{
    if (!t)
        return TAKT_OK;
    if (pthread_equal(t->thread, pthread_self()))
        return TAKT_ERR_STATE;
    if (!await(t, STAGE_ENDED, timeout_ms))
        return TAKT_ERR_TIMEOUT;
    pthread_join(t->thread, NULL); /* it has nothing left to do but to go */
    takt_rt_stack_free(&t->stack);
    free(t);
    return TAKT_OK;
}

void takt_thread_sched(const struct takt_thread *t, struct takt_sched *out)
{
    *out = t->sched;
    if (stage_of(t) == STAGE_GO)
        takt_ladder_read(t->tid, out);
}

void takt_thread_promote(int priority, struct takt_sched *out)
{
    struct takt_sched s = {0};
    priority = priority ? priority : TAKT_THREAD_PRIORITY_DEFAULT;
    takt_ladder_climb(own_tid(), priority > PRIORITY_MAX ? PRIORITY_MAX : priority, &s);
    sharpen_timers(s.policy);
    s.denormals_off = takt_denormals_off();
    if (out)
        *out = s;
}
