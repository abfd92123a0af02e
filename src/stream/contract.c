/*
 * Three histograms, a counter for each cause, and a ring of the last misses, all written by the
 * device thread alone with relaxed stores. A reader meets values of about one moment; only the
 * miss records need more, and carry a sequence number each, like a seqlock.
 *
 * Blame for a missed deadline goes, in this order, to: the trouble before it, when this block
 * could not begin because that one had not ended; the wake-up, when it came more than half a
 * period late; page faults since the last look; preemption; else the callback itself. A host that
 * lost frames is blamed only when no such trouble of ours explains it.
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

enum { MISS_WORDS = 7 };

struct miss_cell {
    _Atomic uint32_t sequence; /* odd while it is written */
    _Atomic uint64_t words[MISS_WORDS];
};

struct takt_contract {
    bool virtual_clock;
    /* The device thread's. */
    int64_t due_ns, now_ns, deadline_ns;
    int64_t last_end_ns, last_slack_ns;
    enum takt_miss_cause last_cause;
    long minor_seen, major_seen;
    double load;
    /* Shared. */
    struct takt_hist lateness, duration, slack, overrun; /* overrun: slack below 0, negated */
    _Atomic int64_t slack_min;
    _Atomic uint64_t lost_frames;
    _Atomic uint64_t misses[TAKT_MISS_CAUSES];
    _Atomic uint64_t miss_count;
    _Atomic double load_shown, rate_shown;
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
    *out = takt_rt_alloc(sizeof **out);
    if (!*out)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    (*out)->virtual_clock = cfg->virtual_clock;
    if (!cfg->virtual_clock)
        takt_preempt_probe();
    takt_contract_reset(*out);
    return 0;
}

void takt_contract_destroy(struct takt_contract *c)
{
    takt_rt_free(c);
}

void takt_contract_reset(struct takt_contract *c)
{
    bool virtual_clock = c->virtual_clock;
    memset((void *)c, 0, sizeof *c);
    c->virtual_clock = virtual_clock;
    c->last_end_ns = INT64_MIN;
    atomic_store(&c->slack_min, INT64_MAX);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

static void bump(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* Faults of this thread since the last look, which may be many blocks ago. They are to blame only
 * if they can have cost half of the excess: a minor one takes about a microsecond, two on a
 * virtual machine; a major one waits for a disk. */
static bool faults_explain(struct takt_contract *c, int64_t excess_ns)
{
    enum { MINOR_NS = 2000 };
    struct rusage r;
    if (c->virtual_clock || getrusage(RUSAGE_THREAD, &r) != 0)
        return false;
    long minor = r.ru_minflt - c->minor_seen, major = r.ru_majflt - c->major_seen;
    c->minor_seen = r.ru_minflt;
    c->major_seen = r.ru_majflt;
    return major > 0 || 2 * (int64_t)minor * MINOR_NS > excess_ns;
}

void takt_contract_enter(struct takt_contract *c)
{
    faults_explain(c, 0);
}

void takt_contract_begin(struct takt_contract *c, int64_t due_ns, int64_t now_ns,
                         int64_t deadline_ns)
{
    c->due_ns = due_ns;
    c->now_ns = now_ns;
    c->deadline_ns = deadline_ns;
    if (!c->virtual_clock)
        takt_preempt_arm();
}

static bool woken_late(const struct takt_contract *c)
{
    return 2 * (c->now_ns - c->due_ns) > c->deadline_ns - c->due_ns;
}

static enum takt_miss_cause cause_of_delay(struct takt_contract *c, int64_t slack_ns, int preempted)
{
    if (c->last_slack_ns < 0 && c->last_end_ns > c->due_ns)
        return c->last_cause;
    if (woken_late(c))
        return TAKT_MISS_LATE_WAKE;
    if (faults_explain(c, -slack_ns))
        return TAKT_MISS_PAGE_FAULT;
    return preempted == 1 ? TAKT_MISS_PREEMPTED : TAKT_MISS_OVERRAN;
}

/* True when something went wrong, with its cause. */
static bool find_cause(struct takt_contract *c, int64_t slack_ns, uint32_t flags, int preempted,
                       enum takt_miss_cause *cause)
{
    if (slack_ns < 0) {
        *cause = cause_of_delay(c, slack_ns, preempted);
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
    uint64_t n = atomic_load_explicit(&c->miss_count, memory_order_relaxed);
    struct miss_cell *cell = &c->last[n % TAKT_MISSES_KEPT];
    const uint64_t words[MISS_WORDS] = {(uint64_t)m->cause,
                                        m->position,
                                        (uint64_t)m->time_ns,
                                        (uint64_t)m->lateness_ns,
                                        (uint64_t)m->duration_ns,
                                        (uint64_t)m->slack_ns,
                                        m->lost_frames};
    uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_relaxed);
    atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
    for (int i = 0; i < MISS_WORDS; i++)
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
    bump(&c->misses[m->cause], 1);
    atomic_store_explicit(&c->miss_count, n + 1, memory_order_release);
}

/* The load follows with a time constant of half a second. */
static void follow_load(struct takt_contract *c, int64_t duration_ns)
{
    double period_ns = (double)(c->deadline_ns - c->due_ns);
    if (period_ns <= 0)
        return;
    double weight = period_ns / (period_ns + 0.5e9);
    c->load += weight * ((double)duration_ns / period_ns - c->load);
    atomic_store_explicit(&c->load_shown, c->load, memory_order_relaxed);
}

void takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position, uint32_t flags,
                       uint64_t lost_frames)
{
    int preempted = c->virtual_clock ? 0 : takt_preempt_check();
    int64_t lateness = c->now_ns - c->due_ns, duration = end_ns - c->now_ns;
    int64_t slack = c->deadline_ns - end_ns;
    takt_hist_record(&c->lateness, lateness > 0 ? (uint64_t)lateness : 0);
    takt_hist_record(&c->duration, duration > 0 ? (uint64_t)duration : 0);
    if (slack >= 0)
        takt_hist_record(&c->slack, (uint64_t)slack);
    else
        takt_hist_record(&c->overrun, (uint64_t)-slack);
    if (slack < atomic_load_explicit(&c->slack_min, memory_order_relaxed))
        atomic_store_explicit(&c->slack_min, slack, memory_order_relaxed);
    follow_load(c, duration);
    if (lost_frames)
        bump(&c->lost_frames, lost_frames);
    enum takt_miss_cause cause;
    if ((slack < 0 || flags) && find_cause(c, slack, flags, preempted, &cause)) {
        keep_miss(c, &(struct takt_miss){cause, position, end_ns, lateness, duration, slack,
                                         lost_frames});
        c->last_cause = cause;
    }
    c->last_end_ns = end_ns;
    c->last_slack_ns = slack;
}

void takt_contract_rate(struct takt_contract *c, double rate_hz)
{
    atomic_store_explicit(&c->rate_shown, rate_hz, memory_order_relaxed);
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

/* The slack that a share q of all blocks did not reach, over both signs. */
static int64_t slack_quantile(const struct takt_contract *c, double q)
{
    double late = (double)takt_hist_count(&c->overrun),
           all = late + (double)takt_hist_count(&c->slack);
    if (all == 0)
        return 0;
    double rank = q * all;
    if (rank < late)
        return -(int64_t)takt_hist_quantile(&c->overrun, 1 - rank / late);
    uint64_t value = takt_hist_quantile(&c->slack, late == all ? 0 : (rank - late) / (all - late));
    return (int64_t)(value - value / (TAKT_HIST_STEPS + 1)); /* the unfavourable end of the step */
}

void takt_contract_read(const struct takt_contract *c, struct takt_contract_snapshot *out)
{
    *out = (struct takt_contract_snapshot){.virtual_clock = true};
    if (!c)
        return;
    out->virtual_clock = c->virtual_clock;
    out->blocks = takt_hist_count(&c->duration);
    out->lost_frames = atomic_load_explicit(&c->lost_frames, memory_order_relaxed);
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        out->misses_total += out->misses[i] =
            atomic_load_explicit(&c->misses[i], memory_order_relaxed);
    out->lateness_ns_p50 = takt_hist_quantile(&c->lateness, 0.5);
    out->lateness_ns_p99 = takt_hist_quantile(&c->lateness, 0.99);
    out->lateness_ns_p999 = takt_hist_quantile(&c->lateness, 0.999);
    out->lateness_ns_max = takt_hist_max(&c->lateness);
    out->duration_ns_p50 = takt_hist_quantile(&c->duration, 0.5);
    out->duration_ns_p99 = takt_hist_quantile(&c->duration, 0.99);
    out->duration_ns_p999 = takt_hist_quantile(&c->duration, 0.999);
    out->duration_ns_max = takt_hist_max(&c->duration);
    int64_t min = atomic_load_explicit(&c->slack_min, memory_order_relaxed);
    out->slack_ns_min = out->blocks ? min : 0;
    const double share[] = {0.001, 0.01, 0.5};
    int64_t *const to[] = {&out->slack_ns_p001, &out->slack_ns_p01, &out->slack_ns_p50};
    for (int i = 0; i < 3; i++) {
        *to[i] = slack_quantile(c, share[i]);
        *to[i] = *to[i] < out->slack_ns_min ? out->slack_ns_min : *to[i];
    }
    out->cpu_load = takt_contract_cpu_load(c);
    out->rate_measured_hz = atomic_load_explicit(&c->rate_shown, memory_order_relaxed);
}

double takt_contract_cpu_load(const struct takt_contract *c)
{
    return atomic_load_explicit(&c->load_shown, memory_order_relaxed);
}

static bool read_miss(const struct miss_cell *cell, struct takt_miss *m)
{
    uint64_t w[MISS_WORDS];
    uint32_t before = atomic_load_explicit(&cell->sequence, memory_order_acquire);
    for (int i = 0; i < MISS_WORDS; i++)
        w[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
    if (before & 1 || atomic_load_explicit(&cell->sequence, memory_order_relaxed) != before)
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
        got += read_miss(&c->last[n % TAKT_MISSES_KEPT], &out[got]);
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

static double us(double ns)
{
    return ns / 1000;
}

int takt_contract_json(const struct takt_contract_snapshot *s, char *to, size_t size)
{
    struct writer w = {to, size, 0};
    put(&w, "{\"misses\":{\"total\":%llu", (unsigned long long)s->misses_total);
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        put(&w, ",\"%s\":%llu", takt_miss_name((enum takt_miss_cause)i),
            (unsigned long long)s->misses[i]);
    put(&w, "},\"lateness_us\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
        us((double)s->lateness_ns_p50), us((double)s->lateness_ns_p99),
        us((double)s->lateness_ns_p999), us((double)s->lateness_ns_max));
    put(&w, ",\"duration_us\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
        us((double)s->duration_ns_p50), us((double)s->duration_ns_p99),
        us((double)s->duration_ns_p999), us((double)s->duration_ns_max));
    put(&w, ",\"slack_us\":{\"min\":%.3f,\"p001\":%.3f,\"p01\":%.3f,\"p50\":%.3f}",
        us((double)s->slack_ns_min), us((double)s->slack_ns_p001), us((double)s->slack_ns_p01),
        us((double)s->slack_ns_p50));
    put(&w, ",\"lost_frames\":%llu,\"cpu_load\":%.6f,\"rate_measured_hz\":%.3f,\"clock\":\"%s\"}",
        (unsigned long long)s->lost_frames, s->cpu_load, s->rate_measured_hz,
        s->virtual_clock ? "virtual" : "real");
    return w.length;
}

/* A time in the unit that suits it. */
static void put_time(struct writer *w, double ns)
{
    double size = ns < 0 ? -ns : ns;
    if (size < 1e3)
        put(w, "%.0f ns", ns);
    else if (size < 1e6)
        put(w, "%.1f us", ns / 1e3);
    else if (size < 1e9)
        put(w, "%.2f ms", ns / 1e6);
    else
        put(w, "%.2f s", ns / 1e9);
}

static void put_row(struct writer *w, const char *name, const char *const *labels, const double *ns,
                    int count)
{
    put(w, "  %-9s", name);
    for (int i = 0; i < count; i++) {
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
    put(&w, "contract: %llu blocks, %llu miss%s", (unsigned long long)s->blocks,
        (unsigned long long)s->misses_total, s->misses_total == 1 ? "" : "es");
    for (int i = 0, n = 0; i < TAKT_MISS_CAUSES; i++)
        if (s->misses[i])
            put(&w, "%s%llu %s", n++ ? ", " : " (", (unsigned long long)s->misses[i],
                takt_miss_name((enum takt_miss_cause)i));
    put(&w, "%s", s->misses_total ? ")" : "");
    if (s->lost_frames)
        put(&w, ", %llu frames lost", (unsigned long long)s->lost_frames);
    put(&w, ", load %.1f %%%s\n", s->cpu_load * 100,
        s->virtual_clock ? ", on a virtual clock" : "");
    put_row(&w, "lateness", high,
            (double[]){(double)s->lateness_ns_p50, (double)s->lateness_ns_p99,
                       (double)s->lateness_ns_p999, (double)s->lateness_ns_max},
            4);
    put_row(&w, "duration", high,
            (double[]){(double)s->duration_ns_p50, (double)s->duration_ns_p99,
                       (double)s->duration_ns_p999, (double)s->duration_ns_max},
            4);
    put_row(&w, "slack", low,
            (double[]){(double)s->slack_ns_min, (double)s->slack_ns_p001, (double)s->slack_ns_p01,
                       (double)s->slack_ns_p50},
            4);
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
