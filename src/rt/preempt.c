#include "rt/preempt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined __GLIBC__ && __has_include(<sys/rseq.h>) && (defined __x86_64__ || defined __aarch64__)
#include <sys/rseq.h>
#define HAVE_RSEQ 1
#else
#define HAVE_RSEQ 0
#endif

#if HAVE_RSEQ

/* A section of one byte that no thread ever runs. The kernel wants rseq's signature in the four
 * bytes before the place where an aborted section would go on, and stops the program without it. */
#if defined __x86_64__
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

static struct rseq_cs nowhere __attribute__((aligned(32)));

static void describe(void)
{
    nowhere.start_ip = (uintptr_t)takt_preempt_start;
    nowhere.post_commit_offset = 1;
    nowhere.abort_ip = (uintptr_t)takt_preempt_abort;
}

static _Atomic int can_tell = -1; /* -1: not known yet */

static volatile uint64_t *slot(void)
{
    struct rseq *area = (struct rseq *)(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    return (volatile uint64_t *)&area->rseq_cs;
}

void takt_preempt_arm(void)
{
    if (atomic_load_explicit(&can_tell, memory_order_relaxed) == 1)
        *slot() = (uint64_t)(uintptr_t)&nowhere;
}

int takt_preempt_check(void)
{
    if (atomic_load_explicit(&can_tell, memory_order_relaxed) != 1)
        return -1;
    int preempted = *slot() == 0;
    *slot() = 0;
    return preempted;
}

static void nothing(int signal)
{
}

/* Left alone, the address must stay; after a signal to ourselves, it must be gone. In a thread of
 * its own, so that the program's signal mask and handlers are disturbed as little as can be. */
static void *experiment(void *arg)
{
    volatile uint64_t *at = slot();
    bool stays = false;
    for (int attempt = 0; attempt < 16 && !stays; attempt++) {
        *at = (uint64_t)(uintptr_t)&nowhere;
        for (volatile int i = 0; i < 100; i++)
            ;
        stays = *at != 0;
    }
    *at = (uint64_t)(uintptr_t)&nowhere;
    sigset_t urgent;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
    pthread_kill(pthread_self(), SIGURG);
    bool goes = *at == 0;
    *at = 0;
    *(bool *)arg = stays && goes;
    return NULL;
}

bool takt_preempt_probe(void)
{
    int known = atomic_load(&can_tell);
    if (known >= 0)
        return known;
    bool works = false;
    describe();
    struct sigaction ours = {.sa_handler = nothing}, before;
    if (__rseq_size > 0 && sigaction(SIGURG, NULL, &before) == 0) {
        /* SIGURG is ignored by default; only a handler makes the kernel touch the thread. */
        bool is_default = before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN;
        if (is_default)
            sigaction(SIGURG, &ours, NULL);
        pthread_t thread;
        if (!pthread_create(&thread, NULL, experiment, &works))
            pthread_join(thread, NULL);
        if (is_default)
            sigaction(SIGURG, &before, NULL);
    }
    atomic_store(&can_tell, works);
    return works;
}

#else

bool takt_preempt_probe(void)
{
    return false;
}

void takt_preempt_arm(void)
{
}

int takt_preempt_check(void)
{
    return -1;
}

#endif
