/*
 * The new thread settles everything about itself before it says that it is ready: name, signals,
 * policy, denormals, stack. So when takt_thread_start returns, what takt_thread_sched says is in
 * force, and entry meets a warm stack.
 */
#include "takt/thread.h"

#include "base/fail.h"
#include "rt/denormal.h"
#include "rt/rtkit.h"
#include "sync/futex.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10, STACK_KEPT = 32 << 10, NICE_WISHED = -11 };

struct takt_thread {
    pthread_t thread;
    void (*entry)(void *arg);
    void *arg;
    int priority;
    size_t stack_bytes;
    char name[16];
    struct takt_sched sched; /* written before ready */
    _Atomic uint32_t ready;
};

const char *takt_policy_name(enum takt_policy policy)
{
    static const char *const names[] = {"other", "nice", "fifo", "rtkit", "rr"};
    return (unsigned)policy < sizeof names / sizeof *names ? names[policy] : "unknown";
}

/* ---- The ladder ------------------------------------------------------------------------------ */

static void add_reason(struct takt_sched *s, const char *reason)
{
    size_t n = strlen(s->why);
    snprintf(s->why + n, sizeof s->why - n, "%s%s", n ? "; " : "", reason);
}

static bool try_fifo(int priority, struct takt_sched *s)
{
    struct sched_param p = {.sched_priority = priority};
    int err = pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &p);
    if (!err)
        return true;
    char reason[80], text[48];
    snprintf(reason, sizeof reason, "SCHED_FIFO: %s", strerror_r(err, text, sizeof text));
    add_reason(s, reason);
    return false;
}

static bool try_rtkit(int priority, struct takt_sched *s)
{
    char reason[80];
    if (takt_rtkit_make_realtime(priority, reason, sizeof reason))
        return true;
    add_reason(s, reason);
    return false;
}

static void try_nice(void)
{
    char ignored[80];
    id_t self = (id_t)syscall(SYS_gettid);
    if (setpriority(PRIO_PROCESS, self, NICE_WISHED) != 0)
        takt_rtkit_make_nice(ignored, sizeof ignored);
}

/* What the kernel says is in force. */
static void read_back(struct takt_sched *s, bool by_rtkit)
{
    struct sched_param p = {0};
    int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    sched_getparam(0, &p);
    errno = 0;
    s->nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    bool real_time = policy == SCHED_FIFO || policy == SCHED_RR;
    s->priority = real_time ? p.sched_priority : 0;
    if (real_time)
        s->policy = by_rtkit               ? TAKT_SCHED_RTKIT
                    : policy == SCHED_FIFO ? TAKT_SCHED_FIFO
                                           : TAKT_SCHED_RR;
    else
        s->policy = s->nice < 0 ? TAKT_SCHED_NICE : TAKT_SCHED_OTHER;
}

void takt_thread_promote(int priority, struct takt_sched *out)
{
    struct takt_sched s = {0};
    bool by_rtkit = false;
    priority = priority ? priority : TAKT_THREAD_PRIORITY_DEFAULT;
    if (priority > 0 && !try_fifo(priority, &s) && !(by_rtkit = try_rtkit(priority, &s)))
        try_nice();
    read_back(&s, by_rtkit);
    if (s.policy <= TAKT_SCHED_NICE)
        prctl(PR_SET_TIMERSLACK, 1ul); /* real-time threads have none as it is */
    s.denormals_off = takt_denormals_off();
    if (out)
        *out = s;
}

/* ---- Threads ----------------------------------------------------------------------------------
 */

/* Touches the stack from here down, page by page, but for what the C library keeps for itself. */
static __attribute__((noinline)) void warm_stack(size_t bytes)
{
    volatile char page[4096];
    page[0] = page[4095] = 0;
    if (bytes > sizeof page)
        warm_stack(bytes - sizeof page);
    page[1] = 0; /* after the call, so that it is no tail call */
}

static void *run(void *arg)
{
    struct takt_thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    takt_thread_promote(t->priority, &t->sched);
    warm_stack(t->stack_bytes - STACK_KEPT);
    atomic_store_explicit(&t->ready, 1, memory_order_release);
    takt_futex_wake_all(&t->ready);
    t->entry(t->arg);
    return NULL;
}

int takt_thread_start(const struct takt_thread_cfg *cfg, struct takt_thread **out,
                      struct takt_error *e)
{
    *out = NULL;
    if (!cfg->entry || cfg->priority > 98)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a thread needs an entry and a priority up to 98");
    struct takt_thread *t = calloc(1, sizeof *t);
    if (!t)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    t->entry = cfg->entry;
    t->arg = cfg->arg;
    t->priority = cfg->priority;
    t->stack_bytes = cfg->stack_bytes ? cfg->stack_bytes : STACK_BYTES;
    t->stack_bytes = t->stack_bytes < 2 * STACK_KEPT ? 2 * STACK_KEPT : t->stack_bytes;
    snprintf(t->name, sizeof t->name, "%s", cfg->name ? cfg->name : "takt");

    pthread_attr_t attr;
    sigset_t all, before;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, t->stack_bytes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread begins with this mask */
    int err = pthread_create(&t->thread, &attr, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        free(t);
        return takt_fail(e, TAKT_ERR_SYSTEM, err, "cannot start a thread");
    }
    while (!atomic_load_explicit(&t->ready, memory_order_acquire))
        takt_futex_wait(&t->ready, 0, -1);
    *out = t;
    return 0;
}

int takt_thread_join(struct takt_thread *t, int64_t timeout_ms)
{
    if (!t)
        return 0;
    int err;
    if (timeout_ms < 0) {
        err = pthread_join(t->thread, NULL);
    } else {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += timeout_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        err = pthread_clockjoin_np(t->thread, NULL, CLOCK_MONOTONIC, &until);
    }
    if (err == ETIMEDOUT)
        return TAKT_ERR_TIMEOUT;
    free(t);
    return 0;
}

void takt_thread_sched(const struct takt_thread *t, struct takt_sched *out)
{
    *out = t->sched;
}
