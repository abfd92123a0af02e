/*
 * Is the right one to blame? A stream in real time meets one trouble after the other, each alone in
 * its block, and its contract has to name each of them; the table of what was done and what was
 * said is printed.
 *
 *     test-attribution [TRIALS [SEED]]     so many for each cause, with a guard and without
 *
 * The machine makes troubles of its own. A trial is disturbed, and done again, when a time that was
 * measured says that something else happened to its block: the block before ended late, it was
 * woken late, or it ended later than what was done to it explains. What the contract said of it is
 * not asked for that.
 */
#include "attribution_device.h"

#include "base/random.h"
#include "rt/fault_cost.h"
#include "rt/steal.h"
#include "takt/contract.h"
#include "takt/time.h"
#include "tap.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    EACH_AT_ONCE = 6,      /* trials of each cause in one stream */
    WARM_BLOCKS = 150,     /* before the first */
    STOLEN_APART = 40,     /* blocks around a theft in which nothing else happens */
    TRIALS_MAX = 64,       /* in one stream */
    BLOCKS_MAX = 1 << 14,  /* of one stream */
    MISSES_MAX = 1 << 14,  /* of one stream */
    LOOKS_MAX = 1 << 16,   /* at the record of steal */
    FAULT_BYTES = 96 << 20 /* that nobody has touched */
};

static const double period_ns = FRAMES * 1e9 / RATE_HZ;
static const int64_t us = 1000;

struct trial {
    enum takt_miss_cause cause;
    uint64_t block;            /* it is to happen in */
    int64_t excess_ns;         /* the block is to end so long after its deadline */
    bool ran;                  /* the block began, and the harm was done, as it was to be */
    int64_t began_ns;          /* the block */
    int64_t done_ns;           /* what was done to it; 0: as excess_ns says */
    uint64_t position;         /* after it */
    _Atomic int64_t urgent_ns; /* when the more urgent thread took the CPU */
};

/* A block, as the contract is told of it. */
struct block_seen {
    uint64_t position; /* after it */
    int64_t end_ns;
    uint64_t lost_frames;
};

/* One stream with its trials. What the device thread writes is read after the stream has stopped.
 */
static struct scene {
    struct trial trials[TRIALS_MAX];
    int count, next;
    _Atomic int done;
    _Atomic int64_t start_ns; /* of the device's clock; 0: not yet known */
    struct block_seen blocks[BLOCKS_MAX];
    int block_count;
    char *fault_at, *fault_end;
    struct takt_miss misses[MISSES_MAX];
    uint64_t miss_count;
    int64_t looks_ns[LOOKS_MAX];
    _Atomic int look_count;
    _Atomic int64_t taken_ns;
    _Atomic bool ends;
} scene;

static int device_cpu;
static bool has_rights;
static int64_t fault_ns; /* what one can cost here */

/* ---- The hypervisor that we play --------------------------------------------------------------
 */

static struct takt_steal record;
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;

static void look(void)
{
    static int64_t taken[TAKT_STEAL_CPUS];
    pthread_mutex_lock(&record_lock);
    int64_t now_ns = takt_now_ns();
    for (int i = 0; i < TAKT_STEAL_CPUS; i++)
        taken[i] = atomic_load(&scene.taken_ns);
    takt_steal_add(&record, now_ns, takt_now_ns(), taken, TAKT_STEAL_CPUS);
    int n = atomic_load(&scene.look_count);
    if (n < LOOKS_MAX)
        scene.looks_ns[n] = now_ns;
    atomic_store(&scene.look_count, n + 1);
    pthread_mutex_unlock(&record_lock);
}

static void *keep_record(void *arg)
{
    while (!atomic_load(&scene.ends)) {
        look();
        takt_sleep_until_ns(takt_now_ns() + 2000 * us);
    }
    return arg;
}

/* The stream asks for the process's record and gets this one. */
const struct takt_steal *__wrap_takt_steal_follow(void);
void __wrap_takt_steal_leave(void);
void __wrap_takt_steal_sample(void);

const struct takt_steal *__wrap_takt_steal_follow(void)
{
    return &record;
}

void __wrap_takt_steal_leave(void)
{
}

void __wrap_takt_steal_sample(void)
{
    look();
}

/* Did somebody look often enough around that time for a theft to stand apart? */
static bool was_looked_at(int64_t at_ns)
{
    const int64_t long_ns = 15000 * us;
    int count = atomic_load(&scene.look_count);
    for (int i = 1; i < count && i < LOOKS_MAX; i++)
        if (scene.looks_ns[i] > at_ns - long_ns && scene.looks_ns[i - 1] < at_ns + 3 * long_ns &&
            scene.looks_ns[i] - scene.looks_ns[i - 1] > long_ns)
            return false;
    return true;
}

/* ---- The thread that is more urgent than the device's -----------------------------------------
 */

static void pin(pthread_t thread, int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(thread, sizeof one, &one);
}

static void spin_until(int64_t until_ns)
{
    while (takt_now_ns() < until_ns)
        ;
}

/* When the block begins to be captured. */
static int64_t time_of_block(uint64_t block)
{
    return atomic_load(&scene.start_ns) + (int64_t)((double)block * period_ns);
}

/* Block n is due when it is captured, and has to be ready one period later. */
static int64_t due_of(const struct trial *t)
{
    return time_of_block(t->block + 1);
}

static int64_t deadline_of(const struct trial *t)
{
    return time_of_block(t->block + 2);
}

/* A wake-up that is late by so much, after which the block takes half a period. */
static int64_t wake_of(const struct trial *t)
{
    return deadline_of(t) + t->excess_ns - (int64_t)(period_ns / 2);
}

/* Holds the device's CPU: before the block is due, or in the middle of it. */
static void *be_urgent(void *arg)
{
    while (!atomic_load(&scene.start_ns) && !atomic_load(&scene.ends))
        takt_sleep_ms(1);
    for (int i = 0; i < scene.count && !atomic_load(&scene.ends); i++) {
        struct trial *t = &scene.trials[i];
        bool wakes_late = t->cause == TAKT_MISS_LATE_WAKE;
        if (!wakes_late && t->cause != TAKT_MISS_PREEMPTED)
            continue;
        int64_t until_ns = wakes_late ? wake_of(t) : deadline_of(t) + t->excess_ns;
        takt_sleep_until_ns(wakes_late ? due_of(t) - 300 * us : deadline_of(t) - 500 * us);
        t->urgent_ns = takt_now_ns();
        spin_until(until_ns);
    }
    return arg;
}

/* ---- The callback -----------------------------------------------------------------------------
 */

void __real_takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position,
                              uint32_t flags, uint64_t lost_frames);
void __wrap_takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position,
                              uint32_t flags, uint64_t lost_frames);

void __wrap_takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position,
                              uint32_t flags, uint64_t lost_frames)
{
    if (scene.block_count < BLOCKS_MAX)
        scene.blocks[scene.block_count++] = (struct block_seen){position, end_ns, lost_frames};
    __real_takt_contract_end(c, end_ns, position, flags, lost_frames);
}

/* By how much the block was in time. */
static int64_t slack_of(const struct block_seen *b)
{
    return time_of_block(b->position / FRAMES + 1) - b->end_ns;
}

/* False when the hypervisor had trouble of its own to find the pages. */
static bool touch_until(int64_t until_ns)
{
    enum { PAGE = 4096, PAGES = 8 };
    int64_t began_ns = takt_now_ns(), now_ns = began_ns, pages = 0;
    for (; now_ns < until_ns && scene.fault_at < scene.fault_end; now_ns = takt_now_ns())
        for (int i = 0; i < PAGES; i++, pages++, scene.fault_at += PAGE)
            *(volatile char *)scene.fault_at = 1;
    return now_ns - began_ns < 2 * pages * fault_ns;
}

/* Frames are lost before the block of an xrun, and may be before one that is woken late. */
static bool is_here(const struct trial *t, uint64_t block)
{
    uint64_t behind = block - t->block;
    return t->cause == TAKT_MISS_HOST_XRUN   ? behind == 1
           : t->cause == TAKT_MISS_LATE_WAKE ? behind <= 1
                                             : behind == 0;
}

static int64_t cpu_time_ns(void)
{
    struct timespec now;
    takt_guard_allow();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    takt_guard_forbid();
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* False when the CPU was away for a part of the time that counts. */
static bool work_until(int64_t until_ns, int64_t excess_ns)
{
    int64_t began_ns = takt_now_ns(), cpu_ns = cpu_time_ns();
    spin_until(until_ns);
    cpu_ns = cpu_time_ns() - cpu_ns;
    return takt_now_ns() - began_ns - cpu_ns < excess_ns / 4;
}

static void do_harm(struct trial *t, int64_t deadline_ns)
{
    int64_t end_ns = deadline_ns + t->excess_ns;
    switch (t->cause) {
    case TAKT_MISS_OVERRAN:
        t->ran = work_until(end_ns, t->excess_ns);
        break;
    case TAKT_MISS_STOLEN: /* from inside it looks the same */
        t->ran = work_until(end_ns, t->excess_ns);
        atomic_fetch_add(&scene.taken_ns, t->excess_ns);
        break;
    case TAKT_MISS_LATE_WAKE:
        spin_until(takt_now_ns() + (int64_t)(period_ns / 2));
        t->ran = t->urgent_ns && t->urgent_ns < due_of(t);
        break;
    case TAKT_MISS_PREEMPTED:
        spin_until(deadline_ns - 200 * us);
        t->ran = t->urgent_ns && t->urgent_ns < deadline_ns - 200 * us;
        break;
    case TAKT_MISS_PAGE_FAULT:
        spin_until(deadline_ns - 100 * us);
        t->ran = takt_now_ns() < deadline_ns && touch_until(end_ns);
        break;
    case TAKT_MISS_BLOCKING_CALL:
        takt_sleep_until_ns(end_ns);
        t->done_ns = takt_now_ns(); /* a sleep is as long as it is */
        break;
    default: /* the device's part */
        break;
    }
}

/* Did the block before end in time, and was this one woken in time but for what was done? */
static bool began_well(const struct trial *t, const struct takt_block *b)
{
    const struct block_seen *before = &scene.blocks[scene.block_count - 1];
    int64_t late_ns = b->now_ns - time_of_block(b->position / FRAMES + 1);
    if (slack_of(before) < us || before->lost_frames || before->position != t->block * FRAMES)
        return false;
    if (t->cause == TAKT_MISS_LATE_WAKE)
        return b->now_ns > wake_of(t) - 50 * us;
    return late_ns < (int64_t)(period_ns / 4);
}

static void run_trial(struct trial *t, const struct takt_block *b)
{
    t->ran = is_here(t, b->position / FRAMES) && began_well(t, b);
    t->position = b->position + b->frames;
    t->began_ns = b->now_ns;
    if (t->ran)
        do_harm(t, deadline_of(t));
}

static enum takt_next process(const struct takt_block *b, void *arg)
{
    if (!scene.block_count) {
        takt_guard_allow();
        pin(pthread_self(), device_cpu);
        takt_guard_forbid();
        atomic_store(&scene.start_ns,
                     b->deadline_ns -
                         (int64_t)((double)(b->position + 2 * FRAMES) * 1e9 / RATE_HZ));
    }
    if (scene.next < scene.count && b->position / FRAMES >= scene.trials[scene.next].block) {
        run_trial(&scene.trials[scene.next++], b);
        atomic_store(&scene.done, scene.next);
    }
    return TAKT_CONTINUE;
}

/* ---- One stream -------------------------------------------------------------------------------
 */

/* In which order, and when: by chance. */
static void plan(struct takt_random *r, const int *wanted)
{
    uint64_t block = WARM_BLOCKS;
    size_t xruns = 0, starved = 0, full = 0;
    scene.count = scene.next = scene.block_count = 0;
    atomic_store(&scene.done, 0);
    atomic_store(&scene.start_ns, 0);
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        for (int i = 0; i < wanted[c] && i < EACH_AT_ONCE; i++)
            scene.trials[scene.count++] = (struct trial){.cause = (enum takt_miss_cause)c};
    for (int i = scene.count - 1; i > 0; i--) {
        int k = (int)takt_random_below(r, (uint64_t)i + 1);
        struct trial t = scene.trials[i];
        scene.trials[i] = scene.trials[k];
        scene.trials[k] = t;
    }
    for (int i = 0; i < scene.count; i++) {
        struct trial *t = &scene.trials[i];
        bool alone = t->cause == TAKT_MISS_STOLEN ||
                     (i > 0 && scene.trials[i - 1].cause == TAKT_MISS_STOLEN);
        block += (alone ? STOLEN_APART : 5) + takt_random_below(r, 4);
        t->block = block;
        t->excess_ns = (150 + (int64_t)takt_random_below(r, 350)) * us;
        if (t->cause == TAKT_MISS_LATE_WAKE) /* up to one and a half periods late */
            t->excess_ns += (int64_t)(takt_random_unit(r) * period_ns * 0.7);
        if (t->cause == TAKT_MISS_HOST_XRUN)
            troubles.xrun[xruns++] = block * FRAMES;
        if (t->cause == TAKT_MISS_STARVED)
            troubles.starved[starved++] = block * FRAMES;
        if (t->cause == TAKT_MISS_WORKER_FULL)
            troubles.full[full++] = block * FRAMES;
    }
    troubles.xrun[xruns] = troubles.starved[starved] = troubles.full[full] = UINT64_MAX;
}

/* A miss may be renamed as long as it is open, so the newest word on each is kept. */
static void collect(struct takt_stream *s)
{
    struct takt_miss m[TAKT_MISSES_KEPT];
    int n = takt_contract_last_misses(takt_stream_contract(s), m, TAKT_MISSES_KEPT);
    for (int i = 0; i < n && m[i].number < MISSES_MAX; i++) {
        scene.misses[m[i].number] = m[i];
        scene.miss_count = m[i].number + 1;
    }
}

static bool start_helper(pthread_t *thread, void *(*run)(void *), int priority, int cpu)
{
    if (pthread_create(thread, NULL, run, NULL))
        return false;
    pin(*thread, cpu);
    return !pthread_setschedparam(*thread, SCHED_FIFO,
                                  &(struct sched_param){.sched_priority = priority});
}

static bool play(enum takt_guard_mode guard)
{
    struct takt_stream *s;
    struct takt_error e;
    pthread_t hypervisor, urgent;
    struct takt_stream_cfg cfg = {.rate_hz = RATE_HZ,
                                  .block_frames = FRAMES,
                                  .in = {.device = "trouble:", .channels = 1},
                                  .out = {.device = "trouble:", .channels = 1},
                                  .process = process,
                                  .guard = guard};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return false;
    scene.fault_at = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *fresh = scene.fault_at;
    scene.fault_end = fresh + FAULT_BYTES;
    madvise(fresh, FAULT_BYTES, MADV_NOHUGEPAGE);
    scene.miss_count = 0;
    atomic_store(&scene.ends, false);
    atomic_store(&scene.look_count, 0);
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    start_helper(&hypervisor, keep_record, 85, (device_cpu + 1) % cpus);
    start_helper(&urgent, be_urgent, 90, device_cpu);
    bool runs = takt_stream_start(s) == 0;
    for (int i = 0; runs && i < 3000 && atomic_load(&scene.done) < scene.count; i++) {
        takt_sleep_ms(10);
        collect(s);
    }
    takt_sleep_ms(100);
    takt_stream_stop(s);
    collect(s);
    atomic_store(&scene.ends, true);
    pthread_join(hypervisor, NULL);
    pthread_join(urgent, NULL);
    takt_stream_destroy(s);
    munmap(fresh, FAULT_BYTES);
    return runs && atomic_load(&scene.done) == scene.count;
}

/* ---- What was said ----------------------------------------------------------------------------
 */

struct table {
    int named[TAKT_MISS_CAUSES][TAKT_MISS_CAUSES + 1]; /* injected, said; the last: nothing */
    int disturbed[TAKT_MISS_CAUSES];
    int blocks, clean_flagged;
};

static const struct block_seen *block_of(uint64_t position)
{
    for (int i = 0; i < scene.block_count; i++)
        if (scene.blocks[i].position == position)
            return &scene.blocks[i];
    return NULL;
}

static int said_of(uint64_t position)
{
    for (uint64_t i = 0; i < scene.miss_count; i++)
        if (scene.misses[i].position == position)
            return (int)scene.misses[i].cause;
    return TAKT_MISS_CAUSES;
}

/* What was done explains when the block ended, to a quarter of the excess. */
static bool ended_well(const struct trial *t)
{
    const struct block_seen *b = block_of(t->position);
    bool is_timed = t->cause != TAKT_MISS_HOST_XRUN && t->cause != TAKT_MISS_STARVED &&
                    t->cause != TAKT_MISS_WORKER_FULL;
    if (!b || !is_timed)
        return b && slack_of(b) > us;
    int64_t done_ns = t->done_ns ? t->done_ns : deadline_of(t) + t->excess_ns;
    return b->end_ns > deadline_of(t) + us && b->end_ns - done_ns < t->excess_ns / 4;
}

/* Is any block in which nothing went wrong called a miss? */
static int count_flagged(void)
{
    int wrong = 0;
    for (int i = 0; i < scene.block_count; i++) {
        const struct block_seen *b = &scene.blocks[i];
        bool is_clean = slack_of(b) > us && !b->lost_frames;
        for (int k = 0; k < scene.count; k++)
            is_clean &= scene.trials[k].position != b->position;
        if (!is_clean || said_of(b->position) == TAKT_MISS_CAUSES)
            continue;
        printf("# wrong: clean block %d, to frame %llu, is called %s\n", i,
               (unsigned long long)b->position,
               takt_miss_name((enum takt_miss_cause)said_of(b->position)));
        wrong++;
    }
    return wrong;
}

static void tell_wrong(const struct trial *t)
{
    const struct block_seen *b = block_of(t->position);
    enum takt_miss_cause said = (enum takt_miss_cause)said_of(t->position);
    printf("# wrong: %s in block %llu, to end %lld us late: woken %lld us after due, ended %lld us "
           "late, %llu frames lost; said: %s\n",
           takt_miss_name(t->cause), (unsigned long long)t->block, (long long)(t->excess_ns / us),
           (long long)((t->began_ns - due_of(t)) / us), (long long)(-slack_of(b) / us),
           (unsigned long long)b->lost_frames,
           said < TAKT_MISS_CAUSES ? takt_miss_name(said) : "nothing");
}

static void judge(struct table *t, int *wanted)
{
    for (int i = 0; i < scene.count; i++) {
        const struct trial *one = &scene.trials[i];
        bool counts = one->ran && ended_well(one) && was_looked_at(one->began_ns);
        t->disturbed[one->cause] += !counts;
        if (!counts)
            continue;
        wanted[one->cause]--;
        t->named[one->cause][said_of(one->position)]++;
        if (said_of(one->position) != (int)one->cause)
            tell_wrong(one);
    }
    t->blocks += scene.block_count;
    t->clean_flagged += count_flagged();
}

static void print_table(const struct table *t, const char *with)
{
    printf("# %s: rows were done, columns were said\n# %-14s", with, "");
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        printf(" %8.8s", takt_miss_name((enum takt_miss_cause)c));
    printf("  nothing  (disturbed)\n");
    for (int r = 0; r < TAKT_MISS_CAUSES; r++) {
        printf("# %-14s", takt_miss_name((enum takt_miss_cause)r));
        for (int c = 0; c <= TAKT_MISS_CAUSES; c++)
            printf(" %8d", t->named[r][c]);
        printf("  %d\n", t->disturbed[r]);
    }
    printf("# %d blocks, of the clean ones flagged: %d\n", t->blocks, t->clean_flagged);
}

static int trials = 63; /* of each cause, with and without a guard: 63 * (9 + 8) > 1000 */
static uint64_t seed = 1;

static bool can_do(enum takt_miss_cause cause, enum takt_guard_mode guard)
{
    if (cause == TAKT_MISS_BLOCKING_CALL)
        return guard != TAKT_GUARD_OFF; /* nobody else sees it */
    return has_rights || (cause != TAKT_MISS_LATE_WAKE && cause != TAKT_MISS_PREEMPTED);
}

static int sum(const int *wanted)
{
    int n = 0;
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        n += wanted[c];
    return n;
}

/* So many of each cause; as many again may be disturbed, and then it is not this machine's day. */
static void prove(enum takt_guard_mode guard, const char *with)
{
    static struct table t;
    struct takt_random r = takt_random_seed(seed);
    int wanted[TAKT_MISS_CAUSES], did = 0;
    t = (struct table){0};
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        wanted[c] = can_do((enum takt_miss_cause)c, guard) ? trials : 0;
    int all = sum(wanted);
    for (; sum(wanted) && did < 2 * all + 100; did += scene.count) {
        plan(&r, wanted);
        CHECK(play(guard));
        judge(&t, wanted);
    }
    print_table(&t, with);
    CHECK_INT(sum(wanted), 0);
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        CHECK_INT(t.named[c][c], can_do((enum takt_miss_cause)c, guard) ? trials : 0);
    CHECK_INT(t.clean_flagged, 0);
    if (!has_rights)
        SKIP("no right to real-time priorities: late_wake and preempted are left out");
}

static void every_cause_is_named_without_a_guard(void)
{
    prove(TAKT_GUARD_OFF, "without a guard");
}

static void every_cause_is_named_under_the_guard(void)
{
    prove(TAKT_GUARD_COUNT, "with a guard");
}

static bool may_be_urgent(void)
{
    struct sched_param p = {.sched_priority = 90};
    if (sched_setscheduler(0, SCHED_FIFO, &p))
        return false;
    p.sched_priority = 0;
    return !sched_setscheduler(0, SCHED_OTHER, &p);
}

int main(int argc, char **argv)
{
    trials = argc > 1 ? atoi(argv[1]) : trials;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : seed;
    device_cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    has_rights = may_be_urgent();
    fault_ns = takt_fault_cost_ns();
    RUN(every_cause_is_named_without_a_guard);
    RUN(every_cause_is_named_under_the_guard);
    return tap_done();
}
