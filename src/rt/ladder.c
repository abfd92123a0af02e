#include "rt/ladder.h"

#include "rt/rtkit.h"
#include "rt/runaway.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { NICE_WISHED = -11 };

const char *takt_policy_name(enum takt_policy policy)
{
    static const char *const names[] = {"other", "nice", "fifo", "rtkit", "rr"};
    return (unsigned)policy < sizeof names / sizeof *names ? names[policy] : "unknown";
}

static void add_reason(struct takt_sched *s, const char *reason)
{
    size_t n = strlen(s->why);
    snprintf(s->why + n, sizeof s->why - n, "%s%s", n ? "; " : "", reason);
}

static void add_errno(struct takt_sched *s, const char *what, int err)
{
    char reason[96], text[48];
    snprintf(reason, sizeof reason, "%s: %s", what, strerror_r(err, text, sizeof text));
    add_reason(s, reason);
}

static bool set_fifo(pid_t tid, int priority)
{
    struct sched_param p = {.sched_priority = priority};
    return sched_setscheduler(tid, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) == 0;
}

/* Without the right to any priority, RLIMIT_RTPRIO may still allow a lower one. */
static bool try_fifo(pid_t tid, int priority, struct takt_sched *s)
{
    if (set_fifo(tid, priority))
        return true;
    int err = errno;
    char what[32];
    snprintf(what, sizeof what, "SCHED_FIFO %d", priority);
    add_errno(s, what, err);
    struct rlimit r;
    return err == EPERM && getrlimit(RLIMIT_RTPRIO, &r) == 0 && r.rlim_cur > 0 &&
           r.rlim_cur < (rlim_t)priority && set_fifo(tid, (int)r.rlim_cur);
}

static bool try_rtkit(pid_t tid, int priority, struct takt_sched *s)
{
    char reason[96];
    if (takt_rtkit_make_realtime(tid, priority, reason, sizeof reason)) {
        takt_runaway_watch(tid);
        s->policy = TAKT_SCHED_RTKIT;
        return true;
    }
    add_reason(s, reason);
    return false;
}

static void try_nice(pid_t tid, struct takt_sched *s)
{
    char reason[96];
    if (setpriority(PRIO_PROCESS, (id_t)tid, NICE_WISHED) == 0)
        return;
    int err = errno;
    if (takt_rtkit_make_nice(tid, reason, sizeof reason))
        return;
    add_errno(s, "nice", err);
}

bool takt_ladder_read(pid_t tid, struct takt_sched *s)
{
    struct sched_param p = {0};
    int policy = sched_getscheduler(tid);
    if (policy < 0 || sched_getparam(tid, &p) != 0)
        return false;
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)tid); /* -1 is also a value */
    if (errno)
        return false;
    bool by_rtkit = s->policy == TAKT_SCHED_RTKIT;
    policy &= ~SCHED_RESET_ON_FORK;
    bool real_time = policy == SCHED_FIFO || policy == SCHED_RR;
    s->nice = nice;
    s->priority = real_time ? p.sched_priority : 0;
    if (real_time)
        s->policy = by_rtkit               ? TAKT_SCHED_RTKIT
                    : policy == SCHED_FIFO ? TAKT_SCHED_FIFO
                                           : TAKT_SCHED_RR;
    else
        s->policy = nice < 0 ? TAKT_SCHED_NICE : TAKT_SCHED_OTHER;
    if (by_rtkit && !real_time)
        add_reason(s, "taken back, since it ran for too long without sleeping");
    return true;
}

void takt_ladder_climb(pid_t tid, int priority, struct takt_sched *s)
{
    s->policy = TAKT_SCHED_OTHER;
    s->why[0] = 0;
    if (priority > 0 && !try_fifo(tid, priority, s) && !try_rtkit(tid, priority, s))
        try_nice(tid, s);
    takt_ladder_read(tid, s);
}
