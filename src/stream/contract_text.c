/* The contract in words, for people and for programs, the same in every locale. */
#include "takt/contract.h"

#include <stdarg.h>
#include <stdio.h>

const char *takt_miss_name(enum takt_miss_cause cause)
{
    static const char *const names[TAKT_MISS_CAUSES] = {
        "overran",   "late_wake", "preempted", "page_fault", "blocking_call",
        "host_xrun", "stolen",    "starved",   "worker_full"};
    return (unsigned)cause < TAKT_MISS_CAUSES ? names[cause] : "unknown";
}

const char *takt_miss_words(enum takt_miss_cause cause)
{
    static const char *const words[TAKT_MISS_CAUSES] = {"the callback took too long",
                                                        "woken late",
                                                        "taken off the CPU",
                                                        "memory had to be brought in",
                                                        "waited in a call",
                                                        "the device lost frames",
                                                        "the hypervisor took the CPU",
                                                        "the source had nothing in time",
                                                        "the recording had no room"};
    return (unsigned)cause < TAKT_MISS_CAUSES ? words[cause] : "unknown";
}

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
    put(&w, "%s before frame %llu: woken ", takt_miss_words(m->cause),
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
