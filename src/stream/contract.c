/*
 * Three histograms, a counter for each cause, and a ring of the last misses, all written by the
 * device thread alone with relaxed stores. A reader meets values of about one moment; only the
 * miss records need more, and carry a sequence number each, like a seqlock.
 *
 * Blame for a missed deadline goes, in this order, to: the trouble before it, when that held this
 * block up, which alone would have been in time; the wake-up, when it came more than half a period
 * late; page faults; preemption; else the callback itself. A host that lost frames is blamed only
 * when no such trouble of ours explains it.
 *
 * The kernel's counts are read at a missed deadline, and once when the first blocks, which fault
 * their code and stack in, are over. Reading them at every block would be a system call.
 *
 * Invariants: misses_total is the sum of misses; the histograms have one entry a block each.
 */
#include "stream/contract.h"

#include "base/fail.h"
#include "rt/memory.h"
#include "rt/preempt.h"
#include "takt/hist.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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
    /* The device thread's. */
    struct takt_contract_block block;
    int64_t last_end_ns, last_slack_ns;
    enum takt_miss_cause last_cause;
    uint64_t blocks;
    double rate_frames; /* behind the mean of the rate */
    long minor_seen, major_seen, switches_seen;
    const struct takt_evidence *seen; /* NULL: no guard */
    struct takt_evidence seen_before; /* when the block began */
    /* Shared. */
    struct takt_hist lateness, duration;
    struct takt_hist_signed slack;
    _Atomic uint64_t frames, lost_frames;
    _Atomic uint64_t misses[TAKT_MISS_CAUSES];
    _Atomic uint64_t miss_count;
    _Atomic double load, rate_measured_hz;
    struct miss_cell last[TAKT_MISSES_KEPT];
};

const char *takt_miss_name(enum takt_miss_cause cause)
{
    static const char *const names[TAKT_MISS_CAUSES] = {
        "overran",   "late_wake", "preempted", "page_fault", "blocking_call",
        "host_xrun", "stolen",    "starved",   "worker_full"};
    return (unsigned)cause < TAKT_MISS_CAUSES ? names[cause] : "unknown";
}

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
    if (!cfg->virtual_clock)
        takt_preempt_probe();
    takt_contract_reset(c);
    return TAKT_OK;
}

void takt_contract_destroy(struct takt_contract *c)
{
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
    for (int i = 0; i < TAKT_MISSES_KEPT; i++)
        set(&c->last[i].sequence, 0);
    atomic_store_explicit(&c->load, 0, memory_order_relaxed);
    atomic_store_explicit(&c->rate_measured_hz, 0, memory_order_relaxed);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

/* What the kernel did to this thread since the last look, which may be many blocks ago: so each
 * is only taken for the cause where it can be.
 *
 * Faults are to blame only if they can have cost half of the excess: a minor one takes about a
 * microsecond, two on a virtual machine; a major one waits for a disk. The preemption flag alone
 * blames too much (a kernel clears it for other reasons, too), so the count of involuntary switches
 * must have risen as well. */
struct kernel_say {
    bool faulted, switched;
};

static struct kernel_say ask_kernel(struct takt_contract *c, int64_t excess_ns)
{
    enum { MINOR_NS = 2000 };
    struct rusage r;
    if (c->virtual_clock)
        return (struct kernel_say){false, false};
    takt_permit_begin();
    int err = getrusage(RUSAGE_THREAD, &r);
    takt_permit_end();
    if (err)
        return (struct kernel_say){false, false};
    long minor = r.ru_minflt - c->minor_seen, major = r.ru_majflt - c->major_seen;
    long switches = r.ru_nivcsw - c->switches_seen;
    c->minor_seen = r.ru_minflt;
    c->major_seen = r.ru_majflt;
    c->switches_seen = r.ru_nivcsw;
    return (struct kernel_say){.faulted = major > 0 || 2 * (int64_t)minor * MINOR_NS > excess_ns,
                               .switched = switches > 0};
}

void takt_contract_enter(struct takt_contract *c, const struct takt_evidence *seen)
{
    c->seen = c->virtual_clock ? NULL : seen; /* what is seen takes real time */
    ask_kernel(c, 0);
}

void takt_contract_begin(struct takt_contract *c, const struct takt_contract_block *b)
{
    c->block = *b;
    if (c->seen)
        c->seen_before = *c->seen;
    if (!c->virtual_clock)
        takt_preempt_arm();
}

static bool woken_late(const struct takt_contract *c)
{
    return c->block.woken_ns - c->block.due_ns > c->late_wake_ns;
}

/* Did a block that missed its own deadline hold this one up, which took no longer than the time
 * that it had? Without the second, a callback that is always too slow would blame its first miss
 * for all that follow. */
static bool held_up(const struct takt_contract *c, int64_t end_ns)
{
    const struct takt_contract_block *b = &c->block;
    return c->last_slack_ns < 0 && c->last_end_ns > b->due_ns &&
           end_ns - c->last_end_ns <= b->deadline_ns - b->due_ns;
}

/* With a guard it is known for how long each kept the block from being ready; what made up half of
 * the excess is to blame. Asleep without a call that was seen is a call that cannot be seen here,
 * or a fault that waited for a disk. */
static enum takt_miss_cause cause_seen(const struct takt_contract *c, int64_t excess_ns,
                                       bool faulted)
{
    const struct takt_evidence *now = c->seen, *then = &c->seen_before;
    int64_t blocked_ns = now->blocked_ns - then->blocked_ns;
    if (2 * (now->call_ns - then->call_ns) > excess_ns)
        return TAKT_MISS_BLOCKING_CALL;
    if (faulted || (now->faults > then->faults && 2 * blocked_ns > excess_ns))
        return TAKT_MISS_PAGE_FAULT;
    if (2 * blocked_ns > excess_ns)
        return TAKT_MISS_BLOCKING_CALL;
    return 2 * (now->preempted_ns - then->preempted_ns) > excess_ns ? TAKT_MISS_PREEMPTED
                                                                    : TAKT_MISS_OVERRAN;
}

static enum takt_miss_cause cause_of_delay(struct takt_contract *c, int64_t end_ns, int preempted)
{
    struct kernel_say kernel = ask_kernel(c, end_ns - c->block.deadline_ns);
    if (held_up(c, end_ns))
        return c->last_cause;
    if (woken_late(c))
        return TAKT_MISS_LATE_WAKE;
    if (c->seen)
        return cause_seen(c, end_ns - c->block.deadline_ns, kernel.faulted);
    if (kernel.faulted)
        return TAKT_MISS_PAGE_FAULT;
    return preempted == 1 && kernel.switched ? TAKT_MISS_PREEMPTED : TAKT_MISS_OVERRAN;
}

/* True when something went wrong, with its cause. */
static bool find_cause(struct takt_contract *c, int64_t end_ns, int64_t slack_ns, uint32_t flags,
                       int preempted, enum takt_miss_cause *cause)
{
    if (slack_ns < 0) {
        *cause = cause_of_delay(c, end_ns, preempted);
        return true;
    }
    if (flags & TAKT_CONTRACT_HOST_XRUN && c->last_slack_ns >= 0) {
        *cause = woken_late(c) ? TAKT_MISS_LATE_WAKE : TAKT_MISS_HOST_XRUN;
        return true;
    }
    *cause = flags & TAKT_CONTRACT_STARVED ? TAKT_MISS_STARVED : TAKT_MISS_WORKER_FULL;
    return flags & (TAKT_CONTRACT_STARVED | TAKT_CONTRACT_WORKER_FULL);
}

static void keep_miss(struct takt_contract *c, const struct takt_miss *m)
{
    uint64_t n = get(&c->miss_count);
    struct miss_cell *cell = &c->last[n % TAKT_MISSES_KEPT];
    const uint64_t words[MISS_WORDS] = {(uint64_t)m->cause,
                                        m->position,
                                        (uint64_t)m->time_ns,
                                        (uint64_t)m->lateness_ns,
                                        (uint64_t)m->duration_ns,
                                        (uint64_t)m->slack_ns,
                                        m->lost_frames};
    set(&cell->sequence, 2 * n + 1);
    for (int i = 0; i < MISS_WORDS; i++)
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    atomic_store_explicit(&cell->sequence, 2 * n + 2, memory_order_release);
    bump(&c->misses[m->cause], 1);
    atomic_store_explicit(&c->miss_count, n + 1, memory_order_release);
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

void takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position, uint32_t flags,
                       uint64_t lost_frames)
{
    int preempted = c->virtual_clock ? 0 : takt_preempt_check();
    const struct takt_contract_block *b = &c->block;
    int64_t lateness = b->woken_ns - b->due_ns, duration = end_ns - b->begun_ns;
    int64_t slack = b->deadline_ns - end_ns;
    takt_hist_record(&c->lateness, not_below_0(lateness)); /* early is not late */
    takt_hist_record(&c->duration, not_below_0(duration));
    takt_hist_signed_record(&c->slack, slack);
    follow_load(c, duration);
    bump(&c->frames, b->frames);
    if (lost_frames)
        bump(&c->lost_frames, lost_frames);
    enum takt_miss_cause cause;
    if ((slack < 0 || flags) && find_cause(c, end_ns, slack, flags, preempted, &cause)) {
        keep_miss(c, &(struct takt_miss){cause, position, end_ns, lateness, duration, slack,
                                         lost_frames});
        c->last_cause = cause;
    }
    c->last_end_ns = end_ns;
    c->last_slack_ns = slack;
    if (++c->blocks == WARM_BLOCKS)
        ask_kernel(c, 0);
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
    *m = (struct takt_miss){(enum takt_miss_cause)w[0],
                            w[1],
                            (int64_t)w[2],
                            (int64_t)w[3],
                            (int64_t)w[4],
                            (int64_t)w[5],
                            w[6]};
    return true;
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

/* ---- Telling -----------------------------------------------------------------------------------
 */

struct writer {
    char *to;
    size_t size;
    int length;
};

static __attribute__((format(printf, 2, 3))) void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t at = (size_t)w->length < w->size ? (size_t)w->length : w->size;
    int n = vsnprintf(w->size ? w->to + at : NULL, w->size - at, format, args);
    va_end(args);
    w->length += n > 0 ? n : 0;
}

/* A number with a point in it, whatever the program's locale says. */
static void put_number(struct writer *w, double value, int decimals)
{
    unsigned long long scale = 1;
    for (int i = 0; i < decimals; i++)
        scale *= 10;
    double size = (value < 0 ? -value : value) * (double)scale + 0.5;
    unsigned long long n = size < 1e18 ? (unsigned long long)size : 0;
    put(w, "%s%llu", value < 0 && n ? "-" : "", n / scale);
    if (decimals)
        put(w, ".%0*llu", decimals, n % scale);
}

static void put_field(struct writer *w, const char *before, double value, int decimals)
{
    put(w, "%s", before);
    put_number(w, value, decimals);
}

static void put_us(struct writer *w, const char *name, const char *const *keys, const double *ns)
{
    put(w, ",\"%s\":{", name);
    for (int i = 0; i < 4; i++) {
        put(w, "%s\"%s\":", i ? "," : "", keys[i]);
        put_number(w, ns[i] / 1e3, 3);
    }
    put(w, "}");
}

/* The four figures of each histogram, in the order in which they are shown. */
struct figures {
    double lateness[4], duration[4], slack[4];
};

static struct figures figures_of(const struct takt_contract_snapshot *s)
{
    return (struct figures){
        .lateness = {(double)s->lateness_ns_p50, (double)s->lateness_ns_p99,
                     (double)s->lateness_ns_p999, (double)s->lateness_ns_max},
        .duration = {(double)s->duration_ns_p50, (double)s->duration_ns_p99,
                     (double)s->duration_ns_p999, (double)s->duration_ns_max},
        .slack = {(double)s->slack_ns_min, (double)s->slack_ns_p001, (double)s->slack_ns_p01,
                  (double)s->slack_ns_p50},
    };
}

int takt_contract_json(const struct takt_contract_snapshot *s, char *to, size_t size)
{
    static const char *const high[] = {"p50", "p99", "p999", "max"};
    static const char *const low[] = {"min", "p001", "p01", "p50"};
    struct writer w = {to, size, 0};
    struct figures f = figures_of(s);
    put(&w, "{\"misses\":{\"total\":%llu", (unsigned long long)s->misses_total);
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        put(&w, ",\"%s\":%llu", takt_miss_name((enum takt_miss_cause)i),
            (unsigned long long)s->misses[i]);
    put(&w, "}");
    put_us(&w, "lateness_us", high, f.lateness);
    put_us(&w, "duration_us", high, f.duration);
    put_us(&w, "slack_us", low, f.slack);
    put(&w, ",\"lost_frames\":%llu", (unsigned long long)s->lost_frames);
    put_field(&w, ",\"cpu_load\":", s->cpu_load, 6);
    put_field(&w, ",\"rate_measured_hz\":", s->rate_measured_hz, 3);
    put_field(&w, ",\"drift_ppm\":", s->drift_ppm, 1);
    put(&w, ",\"clock\":\"%s\"}", s->virtual_clock ? "virtual" : "real");
    return w.length;
}

/* A time in the unit that suits it. */
static void put_time(struct writer *w, double ns)
{
    static const struct {
        double from_ns;
        const char *unit;
        int decimals;
    } units[] = {{1e9, " s", 2}, {1e6, " ms", 2}, {1e3, " us", 1}, {1, " ns", 0}};
    double size = ns < 0 ? -ns : ns;
    int i = size >= 1e9 ? 0 : size >= 1e6 ? 1 : size >= 1e3 ? 2 : 3;
    put_number(w, ns / units[i].from_ns, units[i].decimals);
    put(w, "%s", units[i].unit);
}

static void put_row(struct writer *w, const char *name, const char *const *labels, const double *ns)
{
    put(w, "  %-9s", name);
    for (int i = 0; i < 4; i++) {
        put(w, "%s%s ", i ? ", " : "", labels[i]);
        put_time(w, ns[i]);
    }
    put(w, "\n");
}

int takt_contract_text(const struct takt_contract_snapshot *s, char *to, size_t size)
{
    static const char *const high[] = {"p50", "p99", "p99.9", "max"};
    static const char *const low[] = {"min", "p0.1", "p1", "p50"};
    struct writer w = {to, size, 0};
    struct figures f = figures_of(s);
    put(&w, "contract: %llu blocks, %llu miss%s", (unsigned long long)s->blocks,
        (unsigned long long)s->misses_total, s->misses_total == 1 ? "" : "es");
    for (int i = 0, n = 0; i < TAKT_MISS_CAUSES; i++)
        if (s->misses[i])
            put(&w, "%s%llu %s", n++ ? ", " : " (", (unsigned long long)s->misses[i],
                takt_miss_name((enum takt_miss_cause)i));
    put(&w, "%s%s\n", s->misses_total ? ")" : "", s->virtual_clock ? ", on a virtual clock" : "");
    put_field(&w, "  load      ", s->cpu_load * 100, 1);
    put(&w, " %%");
    if (s->lost_frames)
        put(&w, ", %llu frames lost", (unsigned long long)s->lost_frames);
    put(&w, "\n");
    put_row(&w, "lateness", high, f.lateness);
    put_row(&w, "duration", high, f.duration);
    put_row(&w, "slack", low, f.slack);
    return w.length;
}

int takt_miss_text(const struct takt_miss *m, char *to, size_t size)
{
    struct writer w = {to, size, 0};
    put(&w, "%s before frame %llu: woken ", takt_miss_name(m->cause),
        (unsigned long long)m->position);
    put_time(&w, (double)m->lateness_ns);
    put(&w, " late, took ");
    put_time(&w, (double)m->duration_ns);
    put(&w, ", ended ");
    put_time(&w, (double)(m->slack_ns < 0 ? -m->slack_ns : m->slack_ns));
    put(&w, m->slack_ns < 0 ? " after the deadline" : " before the deadline");
    if (m->lost_frames)
        put(&w, ", %llu frames lost", (unsigned long long)m->lost_frames);
    return w.length;
}
