/*
 * The processors: how fast they are allowed to be, how deeply they sleep, whether they are real.
 * A slow clock or a deep sleep shows as late wake-ups, and only when there is little else to do.
 */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const cpus_folder = "/sys/devices/system/cpu";
enum { STATES_MAX = 16, CPUS_READ_MAX = 1024 };

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* How many are in a list such as "0-3,8"; -1 when it is none. */
static int count_list(const char *list)
{
    char copy[256], *at = copy, *part;
    int64_t count = 0;
    snprintf(copy, sizeof copy, "%s", list);
    while ((part = doctor_next_word(&at, ", "))) {
        int64_t first, last;
        char *dash = strchr(part, '-');
        if (dash)
            *dash = '\0';
        if (!doctor_number(part, &first) || !doctor_number(dash ? dash + 1 : part, &last))
            return -1;
        if (first < 0 || last < first || last > 1 << 20)
            return -1;
        count += last - first + 1;
    }
    return count > 0 && count <= 1 << 20 ? (int)count : -1;
}

/* "model name : AMD …" and, on a virtual machine, a flag. */
static void read_cpuinfo(struct doctor *d)
{
    char flags[8192];
    char *text = doctor_read(d->root, "/proc/cpuinfo");
    struct doctor_cpu *c = &d->cpu;
    c->is_virtual = -1;
    if (!text)
        return;
    if (!doctor_value(text, "model name", c->model, sizeof c->model))
        doctor_value(text, "Model", c->model, sizeof c->model);
    if (doctor_value(text, "flags", flags, sizeof flags))
        c->is_virtual = doctor_has_word(flags, "hypervisor", " ");
    free(text);
}

static void count_governor(struct doctor_cpu *c, const char *name)
{
    int room = sizeof c->governors / sizeof *c->governors;
    c->with_governor++;
    for (int i = 0; i < c->governor_count; i++)
        if (!strcmp(c->governors[i].name, name)) {
            c->governors[i].cpus++;
            return;
        }
    if (c->governor_count == room)
        return;
    snprintf(c->governors[c->governor_count].name, sizeof c->governors[0].name, "%s", name);
    c->governors[c->governor_count++].cpus = 1;
}

static int64_t khz(const struct doctor *d, const char *cpu, const char *file)
{
    char path[160];
    int64_t n;
    snprintf(path, sizeof path, "%s/%.16s/cpufreq/%s", cpus_folder, cpu, file);
    return doctor_read_number(d->root, path, &n) && n > 0 ? n : -1;
}

static void read_frequency(struct doctor *d, const char *cpu)
{
    struct doctor_cpu *c = &d->cpu;
    char path[160], governor[24];
    snprintf(path, sizeof path, "%s/%.16s/cpufreq/scaling_governor", cpus_folder, cpu);
    if (!doctor_read_line(d->root, path, governor, sizeof governor) || !*governor)
        return;
    count_governor(c, governor);
    snprintf(path, sizeof path, "%s/%.16s/cpufreq/scaling_driver", cpus_folder, cpu);
    doctor_read_line(d->root, path, c->driver, sizeof c->driver);
    int64_t least = khz(d, cpu, "cpuinfo_min_freq"), most = khz(d, cpu, "cpuinfo_max_freq");
    int64_t allowed = khz(d, cpu, "scaling_max_freq");
    if (least > 0 && (c->least_khz < 0 || least < c->least_khz))
        c->least_khz = least;
    /* Big and little cores have ceilings of their own: what counts is the one cut down most. */
    if (most <= 0 || allowed <= 0)
        return;
    double share = (double)allowed / (double)most;
    if (c->most_khz < 0 || share < (double)c->allowed_khz / (double)c->most_khz) {
        c->most_khz = most;
        c->allowed_khz = allowed;
    }
}

static void read_idle(struct doctor *d, const char *cpu)
{
    struct doctor_cpu *c = &d->cpu;
    char path[160];
    for (int i = 0; i < STATES_MAX; i++) {
        int64_t us, is_off = 0;
        snprintf(path, sizeof path, "%s/%.16s/cpuidle/state%d/latency", cpus_folder, cpu, i);
        if (!doctor_read_number(d->root, path, &us))
            break;
        snprintf(path, sizeof path, "%s/%.16s/cpuidle/state%d/disable", cpus_folder, cpu, i);
        if ((doctor_read_number(d->root, path, &is_off) && is_off) || us <= c->idle_us)
            continue;
        c->idle_us = us;
        snprintf(path, sizeof path, "%s/%.16s/cpuidle/state%d/name", cpus_folder, cpu, i);
        doctor_read_line(d->root, path, c->idle_name, sizeof c->idle_name);
    }
}

struct walk {
    struct doctor *d;
    int count;
};

static void read_one(const char *name, void *arg)
{
    struct walk *w = arg;
    int64_t number;
    if (strncmp(name, "cpu", 3) != 0 || !doctor_number(name + 3, &number) ||
        ++w->count > CPUS_READ_MAX)
        return;
    read_frequency(w->d, name);
    read_idle(w->d, name);
}

void doctor_cpu_read(struct doctor *d)
{
    struct doctor_cpu *c = &d->cpu;
    char line[256], path[300];
    int64_t smt;
    *c = (struct doctor_cpu){
        .online = -1, .usable = -1, .smt = -1, .least_khz = -1, .most_khz = -1, .idle_us = -1};
    read_cpuinfo(d);
    if (doctor_read_line(d->root, "/sys/devices/system/cpu/online", line, sizeof line))
        c->online = count_list(line);
    doctor_read_line(d->root, "/sys/devices/system/cpu/isolated", c->isolated, sizeof c->isolated);
    if (doctor_read_number(d->root, "/sys/devices/system/cpu/smt/active", &smt))
        c->smt = smt != 0;
    char *status = doctor_read(d->root, "/proc/self/status");
    if (status && doctor_value(status, "Cpus_allowed_list", line, sizeof line))
        c->usable = count_list(line);
    free(status);
    doctor_each_name(d->root, cpus_folder, read_one, &(struct walk){.d = d});
    snprintf(path, sizeof path, "%.250s/dev/cpu_dma_latency", d->root);
    c->dma_latency_usable = access(path, W_OK) == 0;
}

/* user nice system idle iowait irq softirq steal: see proc(5). */
static void count_ticks(const char *stat, struct doctor_counters *c)
{
    enum { STEAL = 7, FIELDS = 8 };
    int64_t v[FIELDS], all = 0;
    char copy[256], *at = copy;
    c->ticks = c->ticks_stolen = -1;
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(stat, "\n"), stat);
    const char *word = doctor_next_word(&at, " ");
    if (!word || strcmp(word, "cpu") != 0)
        return;
    for (int i = 0; i < FIELDS; i++) {
        word = doctor_next_word(&at, " ");
        if (!word || !doctor_number(word, &v[i]) || v[i] < 0 || v[i] > INT64_MAX / 16)
            return;
        all += v[i];
    }
    c->ticks = all;
    c->ticks_stolen = v[STEAL];
}

void doctor_cpu_count(const struct doctor *d, struct doctor_counters *c)
{
    char value[24];
    char *stat = doctor_read(d->root, "/proc/stat");
    char *pressure = doctor_read(d->root, "/proc/pressure/cpu");
    count_ticks(stat ? stat : "", c);
    const char *total =
        pressure && !strncmp(pressure, "some ", 5) ? strstr(pressure, "total=") : NULL;
    if (!total || sscanf(total, "total=%23s", value) != 1 || !doctor_number(value, &c->waited_us))
        c->waited_us = -1;
    free(stat);
    free(pressure);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

/* Some governors raise the clock only after there has been something to do. */
static enum doctor_verdict verdict_of_governor(const char *name)
{
    static const char *const slow[] = {"powersave", "ondemand", "conservative"};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (!strcmp(name, slow[i]))
            return DOCTOR_NOTABLE;
    if (!strcmp(name, "schedutil"))
        return DOCTOR_MINOR;
    return !strcmp(name, "performance") ? DOCTOR_GOOD : DOCTOR_NOTE;
}

static void judge_governor(struct doctor *d)
{
    const struct doctor_cpu *c = &d->cpu;
    enum doctor_verdict worst = DOCTOR_NOTE;
    int of_worst = 0, which = 0;
    if (!c->governor_count) {
        doctor_unknown(d, "cpu", "governor", "CPU governor");
        return;
    }
    for (int i = 0; i < c->governor_count; i++) {
        enum doctor_verdict v = verdict_of_governor(c->governors[i].name);
        if (v >= worst) {
            worst = v;
            which = i;
            of_worst = c->governors[i].cpus;
        }
    }
    char range[64] = "";
    if (c->least_khz > 0 && c->most_khz > 0)
        snprintf(range, sizeof range, ", %.1f to %.1f GHz", (double)c->least_khz / 1e6,
                 (double)c->most_khz / 1e6);
    char some[48] = "";
    if (of_worst < c->with_governor)
        snprintf(some, sizeof some, " (%d of %d CPUs)", of_worst, c->with_governor);
    doctor_find(d, "cpu", "governor", "CPU governor", worst, "performance", "%s%s%s",
                c->governors[which].name, some, range);
    if (worst >= DOCTOR_MINOR)
        doctor_because(d,
                       doctor_advise(d, "governor", worst, -1,
                                     "keep the CPU's clock up: cpupower frequency-set -g "
                                     "performance"),
                       "the governor is %s%s%s", c->governors[which].name, some, range);
}

static void judge_ceiling(struct doctor *d)
{
    const struct doctor_cpu *c = &d->cpu;
    if (c->most_khz <= 0)
        return; /* said with the governor */
    bool is_low = (double)c->allowed_khz < 0.9 * (double)c->most_khz;
    doctor_find(d, "cpu", "ceiling", "highest clock", is_low ? DOCTOR_NOTABLE : DOCTOR_GOOD,
                "all of it", "%.1f of %.1f GHz%s%s", (double)c->allowed_khz / 1e6,
                (double)c->most_khz / 1e6, *c->driver ? ", by " : "", c->driver);
    if (is_low)
        doctor_because(d,
                       doctor_advise(d, "ceiling", DOCTOR_NOTABLE, -1,
                                     "let the CPU be as fast as it can: cpupower frequency-set -u "
                                     "%.1fGHz, or leave the power saving mode",
                                     (double)c->most_khz / 1e6),
                       "something holds it at %.1f of %.1f GHz", (double)c->allowed_khz / 1e6,
                       (double)c->most_khz / 1e6);
}

/* A sleep that is longer than every lateness that was measured has done no harm. */
static void judge_idle(struct doctor *d)
{
    const struct doctor_cpu *c = &d->cpu;
    const struct doctor_measured *m = &d->measured;
    if (c->idle_us < 0) {
        doctor_unknown(d, "cpu", "idle", "deepest sleep");
        return;
    }
    double block_us = 1e3 * doctor_block_ms(m->size_count ? m->sizes[0].block_frames : 64);
    bool is_felt = !m->size_count || (double)doctor_latest_ns(d) >= 1e3 * (double)c->idle_us;
    enum doctor_verdict v = (double)c->idle_us < block_us / 10 || !is_felt ? DOCTOR_GOOD
                            : (double)c->idle_us >= block_us / 2           ? DOCTOR_NOTABLE
                                                                           : DOCTOR_MINOR;
    doctor_find(d, "cpu", "idle", "deepest sleep", v, "", "%s, %lld us to wake",
                *c->idle_name ? c->idle_name : "unnamed", (long long)c->idle_us);
    if (v != DOCTOR_GOOD)
        doctor_because(d,
                       doctor_advise(d, "idle", v, -1,
                                     "keep the CPU out of deep sleep while there is sound: "
                                     "cpupower idle-set -D %.0f%s",
                                     block_us / 10,
                                     c->dma_latency_usable
                                         ? ", or hold /dev/cpu_dma_latency open, which you may"
                                         : ""),
                       "leaving %s takes up to %lld us of a block's %.0f",
                       *c->idle_name ? c->idle_name : "it", (long long)c->idle_us, block_us);
}

static void judge_dma_latency(struct doctor *d)
{
    doctor_find(d, "cpu", "dma_latency", "cpu_dma_latency", DOCTOR_NOTE, "", "%s",
                d->cpu.dma_latency_usable ? "usable" : "not there, or not for this user");
}

static void judge_cpus(struct doctor *d)
{
    const struct doctor_cpu *c = &d->cpu;
    char text[160] = "";
    if (c->online < 0) {
        doctor_unknown(d, "cpu", "cpus", "CPUs");
    } else {
        doctor_add(text, sizeof text, "%d", c->online);
        if (c->usable > 0 && c->usable < c->online)
            doctor_add(text, sizeof text, "%d for us", c->usable);
        if (c->smt > 0)
            doctor_add(text, sizeof text, "hyper-threads");
        if (*c->isolated)
            doctor_add(text, sizeof text, "isolated: %s", c->isolated);
        doctor_find(d, "cpu", "cpus", "CPUs", DOCTOR_NOTE, "", "%s", text);
    }
    if (c->is_virtual < 0)
        doctor_unknown(d, "cpu", "virtual", "virtual machine");
    else
        doctor_find(d, "cpu", "virtual", "virtual machine",
                    c->is_virtual ? DOCTOR_NOTE : DOCTOR_GOOD, "no", "%s",
                    c->is_virtual ? "yes" : "no");
}

void doctor_cpu_judge(struct doctor *d)
{
    judge_governor(d);
    judge_ceiling(d);
    judge_idle(d);
    judge_dma_latency(d);
    judge_cpus(d);
}
