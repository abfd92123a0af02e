#include "rt/denormal.h"
#include "rt/memory.h"
#include "rt/preempt.h"
#include "rt/runaway.h"
#include "takt/guard.h"
#include "takt/memory.h"
#include "takt/thread.h"
#include "takt/time.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Failing on purpose ------------------------------------------------------------------------
 */

static int fail_at; /* the n-th of the calls below fails; 0: none */

static bool fails_now(void)
{
    return fail_at > 0 && --fail_at == 0;
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    errno = ENOMEM;
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__real_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    errno = ENOMEM;
    return fails_now() ? MAP_FAILED : __real_mmap64(at, bytes, prot, flags, fd, offset);
}

int __real_mprotect(void *at, size_t bytes, int prot);
int __wrap_mprotect(void *at, size_t bytes, int prot);
int __wrap_mprotect(void *at, size_t bytes, int prot)
{
    errno = ENOMEM;
    return fails_now() ? -1 : __real_mprotect(at, bytes, prot);
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
    return fails_now() ? EAGAIN : __real_pthread_create(t, a, f, arg);
}

/* A system that allows SCHED_FIFO up to here only, by RLIMIT_RTPRIO. */
static int fifo_allowed = 99;

int __real_sched_setscheduler(pid_t tid, int policy, const struct sched_param *p);
int __wrap_sched_setscheduler(pid_t tid, int policy, const struct sched_param *p);
int __wrap_sched_setscheduler(pid_t tid, int policy, const struct sched_param *p)
{
    if (p->sched_priority <= fifo_allowed)
        return __real_sched_setscheduler(tid, policy, p);
    errno = EPERM;
    return -1;
}

int __real_getrlimit64(int resource, struct rlimit *r);
int __wrap_getrlimit64(int resource, struct rlimit *r);
int __wrap_getrlimit64(int resource, struct rlimit *r)
{
    if (resource == RLIMIT_RTPRIO && fifo_allowed < 99)
        return *r = (struct rlimit){(rlim_t)fifo_allowed, (rlim_t)fifo_allowed}, 0;
    return __real_getrlimit64(resource, r);
}

/* ---- A child with fewer rights -----------------------------------------------------------------
 */

/* In a child: ends it, and with it the test, where x does not hold. */
#define NEED(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #x);                                       \
            fflush(stdout);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* The wait status of a child that runs f. */
static int in_child(void (*f)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        f();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void limit(int resource, rlim_t to)
{
    NEED(setrlimit((unsigned)resource, &(struct rlimit){to, to}) == 0);
}

static void without_a_bus(void)
{
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
}

/* A user with no rights at all, on a machine without a system bus. */
static void become_nobody(void)
{
    without_a_bus();
    limit(RLIMIT_RTPRIO, 0);
    limit(RLIMIT_NICE, 0);
    limit(RLIMIT_MEMLOCK, 0);
    NEED(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
}

static bool may_be_realtime(void)
{
    struct sched_param p = {.sched_priority = 50};
    bool may = sched_setscheduler(0, SCHED_FIFO, &p) == 0;
    p.sched_priority = 0;
    sched_setscheduler(0, SCHED_OTHER, &p);
    return may;
}

/* ---- Time --------------------------------------------------------------------------------------
 */

static void nothing(int signal_number)
{
}

static void sleeps_are_never_short_whatever_signals_come(void)
{
    struct sigaction ours = {.sa_handler = nothing}, before;
    struct itimerval often = {{0, 300}, {0, 300}}, off = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &ours, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    int64_t start = takt_now_ns(), until = start + 5000000;
    takt_sleep_until_ns(until);
    int64_t woken = takt_now_ns();
    takt_sleep_ms(3);
    int64_t again = takt_now_ns();
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    CHECK(woken >= until);
    CHECK(again >= woken + 3000000);
    takt_sleep_until_ns(INT64_MIN);
    takt_sleep_until_ns(0);
    CHECK(takt_now_ns() >= again);
}

/* ---- Memory ------------------------------------------------------------------------------------
 */

static void memory_of_any_size_is_zero_aligned_and_there(void)
{
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, 3 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *at = takt_rt_alloc(sizes[i]);
        CHECK(at);
        CHECK(((uintptr_t)at & 4095) == 0);
        for (size_t b = 0; b < sizes[i]; b += 4096) {
            unsigned char there = 0;
            CHECK(mincore(at + b, 1, &there) == 0 && there & 1);
        }
        for (size_t b = 0; b < sizes[i]; b++)
            CHECK(at[b] == 0);
        memset(at, 0xff, sizes[i]);
        takt_rt_free(at);
    }
    takt_rt_free(NULL);
    CHECK(!takt_rt_alloc(SIZE_MAX));
    CHECK(!takt_rt_alloc(SIZE_MAX / 2));
    CHECK(!takt_rt_alloc(SIZE_MAX / 4));
}

static void memory_lock_leaves_the_contents_alone(void)
{
    static unsigned char some[50000];
    for (size_t i = 0; i < sizeof some; i++)
        some[i] = (unsigned char)(i * 7);
    struct takt_error e = {0};
    int err = takt_memory_lock(some + 5, sizeof some - 9, &e);
    CHECK(err == TAKT_OK || (err == TAKT_ERR_SYSTEM && e.os_errno && e.text[0]));
    for (size_t i = 0; i < sizeof some; i++)
        CHECK(some[i] == (unsigned char)(i * 7));
    CHECK_INT(takt_memory_lock(NULL, 0, NULL), TAKT_OK);
    munlock(some, sizeof some);
}

static void nobody_locks(void)
{
    become_nobody();
    static char some[10000];
    struct takt_error e;
    int err = takt_memory_lock(some, sizeof some, &e);
    NEED(SANITIZED || (err == TAKT_ERR_SYSTEM && strstr(e.text, "RLIMIT_MEMLOCK")));
    char *at = takt_rt_alloc(5000);
    NEED(at && (SANITIZED || !takt_rt_is_locked(at)));
    unsigned char there = 0;
    NEED(mincore(at + 4096, 1, &there) == 0 && there & 1);
    takt_rt_free(at);
}

static void memory_that_may_not_be_locked_is_touched_and_said_to_be_unlocked(void)
{
    if (geteuid() != 0)
        SKIP("needs root to become nobody");
    CHECK_INT(in_child(nobody_locks), 0);
}

static void run_over_the_stack(void)
{
    struct takt_rt_stack s;
    NEED(takt_rt_stack_alloc(10000, &s));
    NEED(s.bytes >= 10000);
    memset(s.base, 1, s.bytes);
    signal(SIGSEGV, SIG_DFL);
    ((volatile char *)s.base)[-1] = 1;
}

static void running_over_a_stack_is_a_fault(void)
{
    int status = in_child(run_over_the_stack);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- Preemption --------------------------------------------------------------------------------
 */

static void pin_here(pthread_attr_t *attr)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    pthread_attr_init(attr);
    pthread_attr_setaffinity_np(attr, sizeof here, &here);
}

static _Atomic bool over;

static void *disturb(void *arg)
{
    struct sched_param p = {.sched_priority = 50};
    sched_setscheduler(0, SCHED_FIFO, &p);
    while (!atomic_load(&over))
        takt_sleep_until_ns(takt_now_ns() + 300000);
    return NULL;
}

static long switches(void)
{
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return r.ru_nivcsw;
}

static int told[2][2]; /* [was switched][was told so] */

static void *be_disturbed(void *arg)
{
    memset(told, 0, sizeof told);
    int64_t end = takt_now_ns() + 10000000000;
    while (takt_now_ns() < end && told[1][0] + told[1][1] < 50) {
        long before = switches();
        takt_preempt_arm();
        for (int64_t until = takt_now_ns() + 50000; takt_now_ns() < until;)
            ;
        int preempted = takt_preempt_check();
        told[switches() != before][preempted == 1] += preempted >= 0;
    }
    atomic_store(&over, true);
    return NULL;
}

/* The kernel's own count of switches is the truth to compare with. It also counts the few that
 * fall between its reading and ours. */
static void preemption_by_another_thread_on_the_cpu_is_told(void)
{
    if (!takt_preempt_probe()) {
        CHECK_INT(takt_preempt_check(), -1);
        SKIP("no restartable sequences here");
    }
    pthread_attr_t attr;
    pthread_t watcher, disturber;
    pin_here(&attr);
    atomic_store(&over, false);
    CHECK_INT(pthread_create(&watcher, &attr, be_disturbed, NULL), 0);
    CHECK_INT(pthread_create(&disturber, &attr, disturb, NULL), 0);
    pthread_join(watcher, NULL);
    pthread_join(disturber, NULL);
    pthread_attr_destroy(&attr);
    printf("# switched: %d told, %d not; quiet: %d told, %d not\n", told[1][1], told[1][0],
           told[0][1], told[0][0]);
    CHECK(told[1][1] > 9 * told[1][0]);
    CHECK(told[0][0] > 9 * told[0][1]);
}

static void what_others_leave_in_the_area_is_no_answer(void)
{
    if (!takt_preempt_probe())
        SKIP("no restartable sequences here");
#ifdef TAKT_PREEMPT_RSEQ
    static struct rseq_cs others __attribute__((aligned(32)));
    int answer = 0;
    /* The description is empty, so the kernel must not meet it: try until it has not. */
    for (int i = 0; i < 1000 && answer == 0; i++) {
        takt_preempt_arm();
        others = *(const struct rseq_cs *)(uintptr_t)*takt_preempt_slot();
        *takt_preempt_slot() = (uint64_t)(uintptr_t)&others;
        answer = takt_preempt_check();
    }
    CHECK_INT(answer, -1);
    CHECK(*takt_preempt_slot() == 0);
#endif
}

/* ---- Threads -----------------------------------------------------------------------------------
 */

struct seen {
    int policy, priority, nice;
    pid_t tid;
    char name[16];
    sigset_t blocked;
    float product;
    long faults;
};

static volatile float tiny = FLT_MIN;

static __attribute__((noinline)) void use_stack(size_t bytes)
{
    volatile char page[4096];
    page[0] = 1;
    if (bytes > 2 * sizeof page)
        use_stack(bytes - sizeof page - 256);
    page[1] = 1; /* after the call, so that it is no tail call */
}

static long faults(void)
{
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return r.ru_minflt + r.ru_majflt;
}

static void look(void *arg)
{
    struct seen *s = arg;
    struct sched_param p;
    s->policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    sched_getparam(0, &p);
    s->priority = p.sched_priority;
    s->tid = (pid_t)syscall(SYS_gettid);
    s->nice = getpriority(PRIO_PROCESS, (id_t)s->tid);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
    s->product = tiny * 0.5f;
    faults(); /* the first call may itself bring code in */
    long before = faults();
    use_stack(200 << 10);
    s->faults = faults() - before;
}

static void thread_is_what_it_says_it_is(void)
{
    struct seen s = {0};
    struct takt_thread *t;
    struct takt_error e;
    struct takt_sched sched;
    CHECK_INT(
        takt_thread_start(
            &(struct takt_thread_cfg){.name = "a name that is too long", .entry = look, .arg = &s},
            &t, &e),
        0);
    takt_thread_sched(t, &sched);
    CHECK_INT(takt_thread_join(t, -1), 0);
    CHECK_INT(sched.priority, s.priority);
    CHECK_INT(sched.nice, s.nice);
    CHECK_INT(sched.policy == TAKT_SCHED_FIFO, s.policy == SCHED_FIFO);
    CHECK(!strcmp(s.name, "a name that is "));
    CHECK(sched.denormals_off == (s.product == 0));
    CHECK(tiny * 0.5f != 0); /* ours is as it was */
    if (may_be_realtime()) {
        CHECK_INT(sched.policy, TAKT_SCHED_FIFO);
        CHECK_INT(sched.priority, TAKT_THREAD_PRIORITY_DEFAULT);
        CHECK(!sched.why[0]);
    } else {
        CHECK(sched.why[0]);
    }
}

static void thread_takes_no_signals_but_its_own_faults(void)
{
    struct seen s = {0};
    struct takt_thread *t;
    sigset_t before, after;
    sigemptyset(&before);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_INT(takt_thread_start(&(struct takt_thread_cfg){.entry = look, .arg = &s}, &t, NULL), 0);
    CHECK_INT(takt_thread_join(t, -1), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    const int outside[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGXCPU, SIGPIPE};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        CHECK(sigismember(&s.blocked, outside[i]));
    CHECK(!sigismember(&s.blocked, SIGSEGV) && !sigismember(&s.blocked, SIGFPE));
    for (int sig = 1; sig < 32; sig++)
        CHECK_INT(sigismember(&before, sig), sigismember(&after, sig));
}

static void thread_uses_its_stack_without_a_fault(void)
{
    struct seen s = {.faults = -1};
    struct takt_thread *t;
    CHECK_INT(takt_thread_start(&(struct takt_thread_cfg){.entry = look, .arg = &s}, &t, NULL), 0);
    CHECK_INT(takt_thread_join(t, -1), 0);
    CHECK_INT(s.faults, 0);
}

static void thread_stays_plain_when_asked_to(void)
{
    struct seen s = {0};
    struct takt_thread *t;
    struct takt_sched sched;
    CHECK_INT(
        takt_thread_start(
            &(struct takt_thread_cfg){.entry = look, .arg = &s, .priority = TAKT_PRIORITY_OFF}, &t,
            NULL),
        0);
    takt_thread_sched(t, &sched);
    CHECK_INT(takt_thread_join(t, -1), 0);
    CHECK_INT(s.policy, SCHED_OTHER);
    CHECK_INT(sched.priority, 0);
    CHECK(!sched.why[0]);
}

static _Atomic bool may_end;

static void linger(void *arg)
{
    while (!atomic_load(&may_end))
        takt_sleep_ms(1);
}

/* The C library keeps a thread's description on its stack, and a forked child goes over them all.
 */
static void a_program_may_fork_beside_a_thread(void)
{
    struct takt_thread *t;
    atomic_store(&may_end, false);
    CHECK_INT(takt_thread_start(&(struct takt_thread_cfg){.entry = linger}, &t, NULL), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status = -1;
    waitpid(child, &status, 0);
    atomic_store(&may_end, true);
    CHECK_INT(takt_thread_join(t, 10000), 0);
    CHECK_INT(status, 0);
}

static struct takt_thread *self;
static _Atomic int self_joined;

static void join_self(void *arg)
{
    while (!atomic_load(&may_end))
        takt_sleep_ms(1);
    atomic_store(&self_joined, takt_thread_join(self, -1));
}

static void join_gives_up_in_time_and_can_be_tried_again(void)
{
    struct takt_thread *t;
    atomic_store(&may_end, false);
    CHECK_INT(takt_thread_start(&(struct takt_thread_cfg){.entry = linger}, &t, NULL), 0);
    CHECK_INT(takt_thread_join(t, 0), TAKT_ERR_TIMEOUT);
    int64_t start = takt_now_ns();
    CHECK_INT(takt_thread_join(t, 20), TAKT_ERR_TIMEOUT);
    CHECK(takt_now_ns() - start >= 20000000);
    atomic_store(&may_end, true);
    CHECK_INT(takt_thread_join(t, 10000), 0);
    CHECK_INT(takt_thread_join(NULL, 0), 0);

    atomic_store(&may_end, false);
    CHECK_INT(takt_thread_start(&(struct takt_thread_cfg){.entry = join_self}, &self, NULL), 0);
    atomic_store(&may_end, true);
    CHECK_INT(takt_thread_join(self, -1), 0);
    CHECK_INT(atomic_load(&self_joined), TAKT_ERR_STATE);
}

static void bad_settings_are_refused(void)
{
    struct takt_thread *t = (void *)&fail_at;
    struct takt_error e;
    const struct takt_thread_cfg bad[] = {
        {.entry = NULL}, {.entry = look, .priority = 99}, {.entry = look, .priority = -2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(takt_thread_start(&bad[i], &t, &e), TAKT_ERR_ARG);
        CHECK(!t);
    }
    struct takt_thread_cfg huge = {.entry = look, .stack_bytes = SIZE_MAX};
    CHECK_INT(takt_thread_start(&huge, &t, &e), TAKT_ERR_NOMEM);
}

static void start_reports_whatever_step_fails(void)
{
    int failures = 0;
    for (int n = 1;; n++) {
        struct seen s;
        struct takt_thread *t = (void *)&s;
        struct takt_error e = {0};
        fail_at = n;
        int err = takt_thread_start(&(struct takt_thread_cfg){.entry = look, .arg = &s}, &t, &e);
        bool reached = fail_at <= 0;
        fail_at = 0;
        if (!err) {
            CHECK_INT(takt_thread_join(t, -1), 0);
            CHECK(!reached);
            break;
        }
        failures++;
        CHECK(err == TAKT_ERR_NOMEM || err == TAKT_ERR_SYSTEM);
        CHECK(!t && e.text[0]);
    }
    CHECK_INT(failures, 4); /* the handle, the stack, its guard, the thread */
}

static struct takt_sched start_and_tell(struct seen *s)
{
    struct takt_thread *t;
    struct takt_sched sched;
    NEED(takt_thread_start(&(struct takt_thread_cfg){.entry = look, .arg = s}, &t, NULL) == 0);
    takt_thread_sched(t, &sched);
    NEED(takt_thread_join(t, -1) == 0);
    return sched;
}

static void nobody_starts(void)
{
    become_nobody();
    struct seen s;
    struct takt_sched sched = start_and_tell(&s);
    NEED(sched.policy == TAKT_SCHED_OTHER && s.policy == SCHED_OTHER);
    NEED(sched.nice == s.nice && sched.priority == 0);
    NEED(SANITIZED || !sched.memory_locked);
    NEED(strstr(sched.why, "SCHED_FIFO 70") && strstr(sched.why, "rtkit") &&
         strstr(sched.why, "nice"));
}

static void nice_starts(void)
{
    without_a_bus();
    fifo_allowed = 0;
    struct seen s;
    struct takt_sched sched = start_and_tell(&s);
    NEED(sched.policy == TAKT_SCHED_NICE && s.nice == -11 && sched.nice == -11);
    NEED(strstr(sched.why, "SCHED_FIFO 70") && !strstr(sched.why, "nice"));
}

static void low_fifo_starts(void)
{
    without_a_bus();
    fifo_allowed = 5;
    struct seen s;
    struct takt_sched sched = start_and_tell(&s);
    NEED(sched.policy == TAKT_SCHED_FIFO && s.policy == SCHED_FIFO);
    NEED(sched.priority == 5 && s.priority == 5);
    NEED(strstr(sched.why, "SCHED_FIFO 70") && !strstr(sched.why, "rtkit"));
}

static void the_ladder_ends_where_the_users_rights_do(void)
{
    if (geteuid() != 0)
        SKIP("needs root to become nobody");
    CHECK_INT(in_child(nobody_starts), 0);
}

static void each_rung_holds_when_those_above_are_refused(void)
{
    if (!may_be_realtime())
        SKIP("needs the right to SCHED_FIFO");
    CHECK_INT(in_child(nice_starts), 0);
    CHECK_INT(in_child(low_fifo_starts), 0);
}

static void a_refusal_prints_nothing(void)
{
    if (geteuid() != 0)
        SKIP("needs root to become nobody");
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 1);
        dup2(pipes[1], 2);
        close(pipes[1]);
        nobody_starts();
        _exit(0);
    }
    close(pipes[1]);
    char text[200];
    ssize_t n = read(pipes[0], text, sizeof text);
    close(pipes[0]);
    int status;
    waitpid(child, &status, 0);
    CHECK_INT(n, 0);
    CHECK_INT(status, 0);
}

static void promote_in_a_thread_of_its_own(void)
{
    struct takt_sched s;
    takt_thread_promote(TAKT_PRIORITY_OFF, &s);
    NEED(s.policy == TAKT_SCHED_OTHER && (sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == 0);
    takt_thread_promote(33, &s);
    struct sched_param p;
    sched_getparam(0, &p);
    NEED(p.sched_priority == s.priority);
    NEED(s.policy == TAKT_SCHED_FIFO ? s.priority == 33 : s.why[0] != 0);
    NEED((tiny * 0.5f == 0) == s.denormals_off);
    NEED((sched_getscheduler(0) & SCHED_RESET_ON_FORK) || s.policy != TAKT_SCHED_FIFO);
    p.sched_priority = 12;
    if (sched_setscheduler(0, SCHED_RR, &p) == 0) {
        takt_thread_promote(TAKT_PRIORITY_OFF, &s); /* a host's own choice is only reported */
        NEED(s.policy == TAKT_SCHED_RR && s.priority == 12);
    }
    takt_thread_promote(1000, NULL);
}

static void promote_tells_what_the_calling_thread_got(void)
{
    CHECK_INT(in_child(promote_in_a_thread_of_its_own), 0);
}

/* ---- A thread that never sleeps ----------------------------------------------------------------
 */

static _Atomic pid_t spinner;

static void spin(void *arg)
{
    atomic_store(&spinner, (pid_t)syscall(SYS_gettid));
    int64_t end = takt_now_ns() + 20000000000;
    while (!atomic_load(&may_end) && takt_now_ns() < end)
        ;
}

static void run_away(void)
{
    struct takt_thread *t;
    struct takt_sched sched;
    atomic_store(&may_end, false);
    NEED(setrlimit(RLIMIT_RTTIME, &(struct rlimit){50000, 15000000}) == 0);
    NEED(takt_thread_start(&(struct takt_thread_cfg){.entry = spin}, &t, NULL) == 0);
    while (!atomic_load(&spinner))
        takt_sleep_ms(1);
    takt_runaway_watch(atomic_load(&spinner));
    takt_thread_sched(t, &sched);
    for (int i = 0; i < 10000 && sched.policy == TAKT_SCHED_FIFO; i++) {
        takt_sleep_ms(1);
        takt_thread_sched(t, &sched);
    }
    NEED(sched.policy == TAKT_SCHED_OTHER);
    atomic_store(&may_end, true);
    NEED(takt_thread_join(t, -1) == 0);
    raise(SIGXCPU); /* nobody is watched any more, so this one is meant for the program */
    NEED(!"reached");
}

static void a_runaway_loses_real_time_and_the_program_lives(void)
{
    if (!may_be_realtime())
        SKIP("needs the right to SCHED_FIFO");
    int status = in_child(run_away);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

static void watch_with_a_handler(void)
{
    signal(SIGXCPU, nothing);
    takt_runaway_watch(getpid());
    struct sigaction now;
    sigaction(SIGXCPU, NULL, &now);
    NEED(now.sa_handler == nothing);
    takt_runaway_forget(getpid());
}

static void a_programs_own_handler_of_sigxcpu_stays(void)
{
    CHECK_INT(in_child(watch_with_a_handler), 0);
}

/* ---- The guard ---------------------------------------------------------------------------------
 */

static void code_is_the_programs_unless_it_is_known_to_be_anothers(void)
{
    static const struct {
        const char *path;
        enum takt_guard_owner owner;
    } files[] = {{"/usr/bin/synth", TAKT_GUARD_OF_PROGRAM},
                 {"libsynth.so.1", TAKT_GUARD_OF_PROGRAM},
                 {"/opt/libc.so/synth", TAKT_GUARD_OF_PROGRAM},
                 {"/usr/lib/libtakt.so.0.1.0", TAKT_GUARD_OF_TAKT},
                 {"/usr/lib/takt/libtakt-guard.so", TAKT_GUARD_OF_SYSTEM},
                 {"/lib/x86_64-linux-gnu/libc.so.6", TAKT_GUARD_OF_SYSTEM},
                 {"linux-vdso.so.1", TAKT_GUARD_OF_SYSTEM},
                 {"", TAKT_GUARD_OF_SYSTEM}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        CHECK_INT(takt_guard_owner_of(files[i].path), files[i].owner);
}

int main(void)
{
    RUN(sleeps_are_never_short_whatever_signals_come);
    RUN(memory_of_any_size_is_zero_aligned_and_there);
    RUN(memory_lock_leaves_the_contents_alone);
    RUN(memory_that_may_not_be_locked_is_touched_and_said_to_be_unlocked);
    RUN(running_over_a_stack_is_a_fault);
    RUN(preemption_by_another_thread_on_the_cpu_is_told);
    RUN(what_others_leave_in_the_area_is_no_answer);
    RUN(thread_is_what_it_says_it_is);
    RUN(thread_takes_no_signals_but_its_own_faults);
    RUN_UNLESS_SANITIZED(thread_uses_its_stack_without_a_fault);
    RUN(thread_stays_plain_when_asked_to);
    RUN(join_gives_up_in_time_and_can_be_tried_again);
    RUN(a_program_may_fork_beside_a_thread);
    RUN(bad_settings_are_refused);
    RUN(start_reports_whatever_step_fails);
    RUN(the_ladder_ends_where_the_users_rights_do);
    RUN(each_rung_holds_when_those_above_are_refused);
    RUN(a_refusal_prints_nothing);
    RUN(promote_tells_what_the_calling_thread_got);
    RUN(a_runaway_loses_real_time_and_the_program_lives);
    RUN(a_programs_own_handler_of_sigxcpu_stays);
    RUN(code_is_the_programs_unless_it_is_known_to_be_anothers);
    return tap_done();
}
