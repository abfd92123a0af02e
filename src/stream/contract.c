/*
 * Three histograms, a counter for each cause, and a ring of the last misses, all written by the
 * device thread alone with relaxed stores. A reader meets values of about one moment; only the
 * miss records need more, and carry a sequence number each, like a seqlock.
 *
 * Whom a miss is blamed on is stream/blame.h's to say. Where only its times spoke it stays open: by
 * the blocks after it, when somebody else has read what the hypervisor took, it is looked at again,
 * one miss a block, and renamed if that explains it.
 *
 * The kernel's counts are read at a missed deadline, and once when the first blocks, which fault
 * their code and stack in, are over. Reading them at every block would be a system call.
 *
 * Invariants: misses_total is the sum of misses; the histograms have one entry a block each;
 * judged <= miss_count, and what is judged is not renamed.
 */
#include "stream/contract.h"

#include "base/fail.h"
#include "rt/fault_cost.h"
#include "rt/memory.h"
#include "rt/preempt.h"
#include "stream/timeline.h"
#include "takt/hist.h"

#include <sys/resource.h>

enum { MISS_WORDS = 7, WARM_BLOCKS = 100 };

struct miss_cell {
    _Atomic uint64_t sequence; /* of miss number n: 2n + 1 while it is written, 2n + 2 after */
    _Atomic uint64_t words[MISS_WORDS];
};

struct takt_contract {
    bool virtual_clock;
    uint32_t rate_hz;
    double frame_ns;      /* 0: not known */
    int64_t late_wake_ns; /* from here on a wake-up is late */
    int64_t fault_ns;     /* what a page fault can cost here */
    /* The device thread's. */
    struct takt_contract_block block;
    int cpu; /* that the block began on; -1: not known */
    int64_t last_end_ns, last_slack_ns;
    enum takt_miss_cause last_cause;
    uint64_t blocks;
    double rate_frames; /* behind the mean of the rate */
    struct rusage usage_seen;
    const struct takt_evidence *seen; /* NULL: no guard */
    struct takt_evidence seen_before; /* when the block began */
    const struct takt_steal *steal;   /* NULL: nothing is stolen */
    bool follows;                     /* the process's own record */
    uint64_t judged;                  /* misses that are not open any more */
    struct open_miss {
        int cpu; /* that it happened on; -1: it is not open */
        bool is_inherited;
    } open[TAKT_MISSES_KEPT];
    /* Shared. */
    struct takt_hist lateness, duration;
    struct takt_hist_signed slack;
    _Atomic uint64_t frames, lost_frames;
    _Atomic uint64_t misses[TAKT_MISS_CAUSES];
    _Atomic uint64_t miss_count;
    _Atomic double load, rate_measured_hz;
    struct miss_cell last[TAKT_MISSES_KEPT];
    struct takt_timeline timeline;
};

int takt_contract_create(const struct takt_contract_cfg *cfg, struct takt_contract **out,
                         struct takt_error *e)
{
    struct takt_contract *c = *out = takt_rt_alloc(sizeof *c);
    if (!c)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    c->virtual_clock = cfg->virtual_clock;
    c->rate_hz = cfg->rate_hz;
    c->frame_ns = cfg->rate_hz ? 1e9 / cfg->rate_hz : 0;
    takt_contract_period(c, cfg->period_frames);
    if (!cfg->virtual_clock) {
        takt_preempt_probe();
        c->fault_ns = takt_fault_cost_ns();
    }
    takt_contract_reset(c);
    return TAKT_OK;
}

void takt_contract_destroy(struct takt_contract *c)
{
    if (c)
        takt_contract_rest(c);
    takt_rt_free(c);
}

static void set(_Atomic uint64_t *counter, uint64_t to)
{
    atomic_store_explicit(counter, to, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void bump(_Atomic uint64_t *counter, uint64_t by)
{
    set(counter, get(counter) + by);
}

void takt_contract_reset(struct takt_contract *c)
{
    c->seen = NULL;
    c->last_end_ns = INT64_MIN;
    c->last_slack_ns = 0;
    c->blocks = 0;
    c->rate_frames = 0;
    takt_hist_reset(&c->lateness);
    takt_hist_reset(&c->duration);
    takt_hist_signed_reset(&c->slack);
    set(&c->frames, 0);
    set(&c->lost_frames, 0);
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        set(&c->misses[i], 0);
    set(&c->miss_count, 0);
    c->judged = 0;
    takt_timeline_reset(&c->timeline);
    for (int i = 0; i < TAKT_MISSES_KEPT; i++)
        set(&c->last[i].sequence, 0);
    atomic_store_explicit(&c->load, 0, memory_order_relaxed);
    atomic_store_explicit(&c->rate_measured_hz, 0, memory_order_relaxed);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

static bool ask_kernel(struct rusage *now)
{
    takt_permit_begin();
    int err = getrusage(RUSAGE_THREAD, now);
    takt_permit_end();
    return err == 0;
}

/* What the kernel did to this thread since the last look. */
static struct takt_blame_kernel look_at_kernel(struct takt_contract *c)
{
    struct takt_blame_kernel k = {0};
    struct rusage now;
    if (c->virtual_clock || !ask_kernel(&now))
        return k;
    k.minor_faults = (uint64_t)(now.ru_minflt - c->usage_seen.ru_minflt);
    k.major_faults = (uint64_t)(now.ru_majflt - c->usage_seen.ru_majflt);
    k.switches = (uint64_t)(now.ru_nivcsw - c->usage_seen.ru_nivcsw);
    c->usage_seen = now;
    return k;
}

void takt_contract_enter(struct takt_contract *c, const struct takt_evidence *seen)
{
    c->seen = c->virtual_clock ? NULL : seen; /* what is seen takes real time */
    look_at_kernel(c);
}

void takt_contract_begin(struct takt_contract *c, const struct takt_contract_block *b)
{
    c->block = *b;
    if (c->seen)
        c->seen_before = *c->seen;
    if (c->virtual_clock)
        return;
    c->cpu = takt_preempt_cpu();
    takt_preempt_arm();
}

static struct takt_evidence evidence_of_block(const struct takt_contract *c)
{
    const struct takt_evidence *now = c->seen, *then = &c->seen_before;
    return (struct takt_evidence){.call_ns = now->call_ns - then->call_ns,
                                  .preempted_ns = now->preempted_ns - then->preempted_ns,
                                  .blocked_ns = now->blocked_ns - then->blocked_ns,
                                  .calls = now->calls - then->calls,
                                  .faults = now->faults - then->faults,
                                  .preemptions = now->preemptions - then->preemptions,
                                  .knows_kernel = now->knows_kernel};
}

/* False when nothing went wrong. */
static bool find_cause(struct takt_contract *c, int64_t end_ns, int64_t slack_ns, uint32_t flags,
                       int preempted, struct takt_blame *out)
{
    const struct takt_contract_block *b = &c->block;
    struct takt_evidence seen;
    struct takt_blame_block all = {.due_ns = b->due_ns,
                                   .woken_ns = b->woken_ns,
                                   .deadline_ns = b->deadline_ns,
                                   .end_ns = end_ns,
                                   .late_wake_ns = c->late_wake_ns,
                                   .flags = flags,
                                   .last_end_ns = c->last_end_ns,
                                   .last_slack_ns = c->last_slack_ns,
                                   .last_cause = c->last_cause,
                                   .preempted = preempted};
    if (c->seen) {
        seen = evidence_of_block(c);
        all.seen = &seen;
    }
    if (slack_ns < 0) {
        all.kernel = look_at_kernel(c);
        all.fault_ns = c->fault_ns;
        all.has_moved = !c->virtual_clock && takt_preempt_cpu() != c->cpu;
    }
    return takt_blame(&all, out);
}

static void write_miss(struct takt_contract *c, const struct takt_miss *m)
{
    struct miss_cell *cell = &c->last[m->number % TAKT_MISSES_KEPT];
    const uint64_t words[MISS_WORDS] = {(uint64_t)m->cause,
                                        m->position,
                                        (uint64_t)m->time_ns,
                                        (uint64_t)m->lateness_ns,
                                        (uint64_t)m->duration_ns,
                                        (uint64_t)m->slack_ns,
                                        m->lost_frames};
    set(&cell->sequence, 2 * m->number + 1);
    for (int i = 0; i < MISS_WORDS; i++)
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    atomic_store_explicit(&cell->sequence, 2 * m->number + 2, memory_order_release);
}

static void keep_miss(struct takt_contract *c, const struct takt_miss *m,
                      const struct takt_blame *b)
{
    c->open[m->number % TAKT_MISSES_KEPT] = (struct open_miss){
        .cpu = c->steal && b->is_open ? c->cpu : -1, .is_inherited = c->steal && b->is_inherited};
    write_miss(c, m);
    bump(&c->misses[m->cause], 1);
    c->last_cause = m->cause;
    atomic_store_explicit(&c->miss_count, m->number + 1, memory_order_release);
}

/* The load follows with a time constant of half a second, whatever the block's size. */
static void follow_load(struct takt_contract *c, int64_t duration_ns)
{
    double block_ns = c->block.frames * c->frame_ns;
    if (block_ns <= 0)
        return;
    double load = atomic_load_explicit(&c->load, memory_order_relaxed);
    load += block_ns / (block_ns + 0.5e9) * ((double)duration_ns / block_ns - load);
    atomic_store_explicit(&c->load, load, memory_order_relaxed);
}

static uint64_t not_below_0(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

/* ---- What the hypervisor took ------------------------------------------------------------------
 */

static bool read_miss(const struct takt_contract *c, uint64_t n, struct takt_miss *m)
{
    const struct miss_cell *cell = &c->last[n % TAKT_MISSES_KEPT];
    uint64_t w[MISS_WORDS];
    if (atomic_load_explicit(&cell->sequence, memory_order_acquire) != 2 * n + 2)
        return false;
    for (int i = 0; i < MISS_WORDS; i++)
        w[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
    if (atomic_load_explicit(&cell->sequence, memory_order_relaxed) != 2 * n + 2)
        return false;
    *m = (struct takt_miss){n,
                            (enum takt_miss_cause)w[0],
                            w[1],
                            (int64_t)w[2],
                            (int64_t)w[3],
                            (int64_t)w[4],
                            (int64_t)w[5],
                            w[6]};
    return true;
}

static void rename_miss(struct takt_contract *c, struct takt_miss *m)
{
    set(&c->misses[m->cause], get(&c->misses[m->cause]) - 1);
    bump(&c->misses[TAKT_MISS_STOLEN], 1);
    m->cause = TAKT_MISS_STOLEN;
    write_miss(c, m);
    if (m->number + 1 == get(&c->miss_count))
        c->last_cause = TAKT_MISS_STOLEN;
}

/* A guest counts what was taken at its next tick, so the sample behind must be a little later. */
static enum takt_steal_say ask_steal(const struct takt_contract *c, const struct takt_miss *m,
                                     int64_t settle_ns, bool *is_stolen)
{
    int64_t due_ns = m->time_ns - m->duration_ns - m->lateness_ns, stolen_ns = 0;
    enum takt_steal_say say =
        takt_steal_between(c->steal, c->open[m->number % TAKT_MISSES_KEPT].cpu, due_ns,
                           m->time_ns + settle_ns, &stolen_ns);
    *is_stolen = say == TAKT_STEAL_KNOWN && stolen_ns >= takt_blame_stolen_ns(m);
    return say;
}

static bool was_renamed(const struct takt_contract *c, uint64_t n)
{
    struct takt_miss m;
    return n > 0 && read_miss(c, n - 1, &m) && m.cause == TAKT_MISS_STOLEN;
}

/* Looks at the oldest miss that is open. False when that has to wait. */
static bool judge_one(struct takt_contract *c, int64_t settle_ns)
{
    struct takt_miss m;
    uint64_t n = c->judged, count = get(&c->miss_count);
    const struct open_miss *open = &c->open[n % TAKT_MISSES_KEPT];
    bool is_stolen = false;
    if (count - n > TAKT_MISSES_KEPT || !read_miss(c, n, &m)) {
        c->judged = count - n > TAKT_MISSES_KEPT ? count - TAKT_MISSES_KEPT : n + 1;
        return true;
    }
    if (open->is_inherited)
        is_stolen = m.cause != TAKT_MISS_STOLEN && was_renamed(c, n);
    else if (open->cpu >= 0 && ask_steal(c, &m, settle_ns, &is_stolen) == TAKT_STEAL_NOT_YET)
        return false;
    if (is_stolen)
        rename_miss(c, &m);
    c->judged = n + 1;
    return true;
}

static void judge_next(struct takt_contract *c)
{
    enum { SETTLE_NS = 20000000 };
    judge_one(c, SETTLE_NS);
}

void takt_contract_follow(struct takt_contract *c, const struct takt_steal *steal)
{
    takt_contract_rest(c);
    if (c->virtual_clock)
        return;
    c->follows = !steal && (steal = takt_steal_follow());
    c->steal = steal;
}

void takt_contract_rest(struct takt_contract *c)
{
    if (c->follows)
        takt_steal_sample();
    while (c->judged < get(&c->miss_count) && judge_one(c, 0))
        ;
    c->judged = get(&c->miss_count);
    if (c->follows)
        takt_steal_leave();
    c->follows = false;
    c->steal = NULL;
}

/* ---- The end of a block ------------------------------------------------------------------------
 */

static void end_column(struct takt_contract *c, uint64_t position, const struct takt_miss *m)
{
    uint64_t frames = c->block.frames;
    struct takt_contract_column block = {
        .from = position > frames ? position - frames : 0,
        .until = position,
        .misses = m != NULL,
        .slack_ns_min = c->last_slack_ns,
        .slack_ns_max = c->last_slack_ns,
        .duration_ns_min = c->last_end_ns - c->block.begun_ns,
        .duration_ns_max = c->last_end_ns - c->block.begun_ns,
        .lateness_ns_max = (int64_t)not_below_0(c->block.woken_ns - c->block.due_ns)};
    takt_timeline_add(&c->timeline, &block);
}

void takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position, uint32_t flags,
                       uint64_t lost_frames)
{
    int preempted = c->virtual_clock ? 0 : takt_preempt_check();
    const struct takt_contract_block *b = &c->block;
    struct takt_miss miss = {.number = get(&c->miss_count),
                             .position = position,
                             .time_ns = end_ns,
                             .lateness_ns = b->woken_ns - b->due_ns,
                             .duration_ns = end_ns - b->begun_ns,
                             .slack_ns = b->deadline_ns - end_ns,
                             .lost_frames = lost_frames};
    takt_hist_record(&c->lateness, not_below_0(miss.lateness_ns)); /* early is not late */
    takt_hist_record(&c->duration, not_below_0(miss.duration_ns));
    takt_hist_signed_record(&c->slack, miss.slack_ns);
    follow_load(c, miss.duration_ns);
    bump(&c->frames, b->frames);
    if (lost_frames)
        bump(&c->lost_frames, lost_frames);
    struct takt_blame blame;
    bool missed = (miss.slack_ns < 0 || flags) &&
                  find_cause(c, end_ns, miss.slack_ns, flags, preempted, &blame);
    if (missed) {
        miss.cause = blame.cause;
        keep_miss(c, &miss, &blame);
    }
    c->last_end_ns = end_ns;
    c->last_slack_ns = miss.slack_ns;
    end_column(c, position, missed ? &miss : NULL);
    if (c->judged < miss.number) /* not this one: that can wait */
        judge_next(c);
    if (++c->blocks == WARM_BLOCKS)
        look_at_kernel(c);
}

void takt_contract_busy(struct takt_contract *c, int64_t until_ns)
{
    int64_t slack_ns = c->block.deadline_ns - until_ns;
    c->last_end_ns = until_ns;
    if (c->last_slack_ns >= 0 && slack_ns < 0)
        c->last_cause = TAKT_MISS_OVERRAN;
    if (slack_ns < c->last_slack_ns)
        c->last_slack_ns = slack_ns;
}

void takt_contract_period(struct takt_contract *c, uint32_t frames)
{
    c->late_wake_ns = (int64_t)(frames * c->frame_ns / 2);
    if (!c->late_wake_ns)
        c->late_wake_ns = INT64_MAX;
}

/* What is shown, once the loop has settled, is the mean of all since then, and later of about the
 * last half minute: the loop itself swings for seconds after an xrun. */
void takt_contract_rate(struct takt_contract *c, double rate_hz, uint32_t frames)
{
    enum { SETTLING_S = 4, MEMORY_S = 30 };
    double mean = atomic_load_explicit(&c->rate_measured_hz, memory_order_relaxed);
    double longest = (double)(SETTLING_S + MEMORY_S) * c->rate_hz;
    c->rate_frames = c->rate_frames + frames < longest ? c->rate_frames + frames : longest;
    double settled = c->rate_frames - (double)SETTLING_S * c->rate_hz;
    mean += (rate_hz - mean) * (settled > frames ? frames / settled : 1);
    atomic_store_explicit(&c->rate_measured_hz, mean, memory_order_relaxed);
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

void takt_contract_read(const struct takt_contract *c, struct takt_contract_snapshot *out)
{
    *out = (struct takt_contract_snapshot){.virtual_clock = true};
    if (!c)
        return;
    out->virtual_clock = c->virtual_clock;
    out->blocks = takt_hist_signed_count(&c->slack);
    out->frames = get(&c->frames);
    out->lost_frames = get(&c->lost_frames);
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        out->misses_total += out->misses[i] = get(&c->misses[i]);
    out->lateness_ns_p50 = takt_hist_quantile(&c->lateness, 0.5);
    out->lateness_ns_p99 = takt_hist_quantile(&c->lateness, 0.99);
    out->lateness_ns_p999 = takt_hist_quantile(&c->lateness, 0.999);
    out->lateness_ns_max = takt_hist_max(&c->lateness);
    out->duration_ns_p50 = takt_hist_quantile(&c->duration, 0.5);
    out->duration_ns_p99 = takt_hist_quantile(&c->duration, 0.99);
    out->duration_ns_p999 = takt_hist_quantile(&c->duration, 0.999);
    out->duration_ns_max = takt_hist_max(&c->duration);
    out->slack_ns_p50 = takt_hist_signed_quantile(&c->slack, 0.5);
    out->slack_ns_p01 = takt_hist_signed_quantile(&c->slack, 0.01);
    out->slack_ns_p001 = takt_hist_signed_quantile(&c->slack, 0.001);
    out->slack_ns_min = takt_hist_signed_min(&c->slack);
    out->cpu_load = takt_contract_cpu_load(c);
    out->rate_measured_hz = atomic_load_explicit(&c->rate_measured_hz, memory_order_relaxed);
    if (out->rate_measured_hz > 0 && c->rate_hz)
        out->drift_ppm = (out->rate_measured_hz / c->rate_hz - 1) * 1e6;
}

double takt_contract_cpu_load(const struct takt_contract *c)
{
    return c ? atomic_load_explicit(&c->load, memory_order_relaxed) : 0;
}

int takt_contract_last_misses(const struct takt_contract *c, struct takt_miss *out, int max)
{
    if (!c)
        return 0;
    uint64_t count = atomic_load_explicit(&c->miss_count, memory_order_acquire);
    uint64_t kept = count < TAKT_MISSES_KEPT ? count : TAKT_MISSES_KEPT;
    uint64_t wanted = max < 0 ? 0 : (uint64_t)max < kept ? (uint64_t)max : kept;
    int got = 0;
    for (uint64_t n = count - wanted; n < count; n++)
        got += read_miss(c, n, &out[got]);
    return got;
}

uint64_t takt_contract_miss_count(const struct takt_contract *c)
{
    return c ? atomic_load_explicit(&c->miss_count, memory_order_acquire) : 0;
}

int takt_contract_timeline(const struct takt_contract *c, struct takt_contract_column *out, int max)
{
    return c ? takt_timeline_read(&c->timeline, out, max) : 0;
}

void takt_contract_hists(const struct takt_contract *c, struct takt_contract_hists *out)
{
    *out = (struct takt_contract_hists){0};
    if (c)
        *out = (struct takt_contract_hists){&c->lateness, &c->duration, &c->slack};
}
