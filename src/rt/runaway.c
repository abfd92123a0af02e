/*
 * The handler runs in whichever thread has SIGXCPU unblocked, so it demotes all that are watched
 * and are still ours. It uses nothing but atomics and system calls.
 *
 * RLIMIT_CPU sends the same signal. When nobody is watched it means that one, and the default
 * happens: the program ends.
 */
#include "rt/runaway.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WATCHED_MAX = 64 };

static _Atomic pid_t watched[WATCHED_MAX]; /* 0: free */

static void take_back(int signal_number)
{
    int kept = errno, count = 0;
    for (int i = 0; i < WATCHED_MAX; i++) {
        pid_t tid = atomic_exchange(&watched[i], 0);
        struct sched_param p = {0};
        if (tid && syscall(SYS_tgkill, getpid(), tid, 0) == 0) {
            sched_setscheduler(tid, SCHED_OTHER | SCHED_RESET_ON_FORK, &p);
            count++;
        }
    }
    if (!count) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    errno = kept;
}

static void install(void)
{
    struct sigaction ours = {.sa_handler = take_back, .sa_flags = SA_RESTART}, before;
    if (sigaction(SIGXCPU, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
        before.sa_handler == SIG_DFL)
        sigaction(SIGXCPU, &ours, NULL);
}

void takt_runaway_watch(pid_t tid)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    for (int i = 0; i < WATCHED_MAX; i++) {
        pid_t none = 0;
        if (atomic_compare_exchange_strong(&watched[i], &none, tid))
            return;
    }
}

void takt_runaway_forget(pid_t tid)
{
    for (int i = 0; i < WATCHED_MAX; i++) {
        pid_t same = tid;
        atomic_compare_exchange_strong(&watched[i], &same, 0);
    }
}
