/* The kernel: may it be interrupted, what does it tell time by, is there memory and CPU time left?
 */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double waited_much = 0.10; /* of the time, somebody waited for a CPU */
static const int64_t slack_much_ns = 1000000;

static const char *const preemption_names[] = {"unknown", "none", "voluntary",
                                               "lazy",    "full", "real-time"};

/* ---- Reading ----------------------------------------------------------------------------------
 */

static enum doctor_preemption preemption_of(const char *name)
{
    for (int p = DOCTOR_PREEMPT_NONE; p <= DOCTOR_PREEMPT_FULL; p++)
        if (!strcmp(name, preemption_names[p]))
            return (enum doctor_preemption)p;
    return DOCTOR_PREEMPT_UNKNOWN;
}

/* "none voluntary (full)": the one in brackets is in force. */
static enum doctor_preemption preemption_in_brackets(char *text)
{
    char *open = strchr(text, '('), *close = open ? strchr(open, ')') : NULL;
    if (!close)
        return DOCTOR_PREEMPT_UNKNOWN;
    *close = '\0';
    return preemption_of(open + 1);
}

/* preempt=full; the last one counts. */
static enum doctor_preemption preemption_on_line(const char *cmdline)
{
    enum doctor_preemption found = DOCTOR_PREEMPT_UNKNOWN;
    char *copy = strdup(cmdline), *at = copy, *word;
    while (copy && (word = doctor_next_word(&at, " \n")))
        if (!strncmp(word, "preempt=", 8))
            found = preemption_of(word + 8);
    free(copy);
    return found;
}

/* What the kernel was built with. */
static enum doctor_preemption preemption_built(const struct doctor *d)
{
    char path[160];
    snprintf(path, sizeof path, "/boot/config-%s", d->kernel.release);
    char *text = strstr(d->kernel.release, "..") ? NULL : doctor_read(d->root, path);
    text = text ? text : doctor_read_packed(d->root, "/proc/config.gz");
    enum doctor_preemption p = DOCTOR_PREEMPT_UNKNOWN;
    if (text && doctor_has_word(text, "CONFIG_PREEMPT_RT=y", "\n"))
        p = DOCTOR_PREEMPT_RT;
    else if (text && doctor_has_word(text, "CONFIG_PREEMPT_NONE=y", "\n"))
        p = DOCTOR_PREEMPT_NONE;
    else if (text && doctor_has_word(text, "CONFIG_PREEMPT_VOLUNTARY=y", "\n"))
        p = DOCTOR_PREEMPT_VOLUNTARY;
    else if (text && doctor_has_word(text, "CONFIG_PREEMPT_LAZY=y", "\n"))
        p = DOCTOR_PREEMPT_LAZY;
    else if (text && doctor_has_word(text, "CONFIG_PREEMPT=y", "\n"))
        p = DOCTOR_PREEMPT_FULL;
    free(text);
    return p;
}

/* From the surest to the vaguest: a kernel with preempt= says what is in force only in debugfs,
 * which is seldom readable; its command line and its configuration together say the same. */
static void read_preemption(struct doctor *d)
{
    struct doctor_kernel *k = &d->kernel;
    char version[200], dynamic[96];
    int64_t is_realtime = 0;
    bool known = doctor_read_line(d->root, "/proc/sys/kernel/version", version, sizeof version);
    k->preemption_dynamic = known && strstr(version, "PREEMPT_DYNAMIC");
    if (doctor_read_number(d->root, "/sys/kernel/realtime", &is_realtime) && is_realtime) {
        k->preemption = DOCTOR_PREEMPT_RT;
        return;
    }
    if (known && (strstr(version, "PREEMPT_RT") || strstr(version, "PREEMPT RT"))) {
        k->preemption = DOCTOR_PREEMPT_RT;
        return;
    }
    if (doctor_read_line(d->root, "/sys/kernel/debug/sched/preempt", dynamic, sizeof dynamic))
        k->preemption = preemption_in_brackets(dynamic);
    if (!k->preemption && known && !k->preemption_dynamic && strstr(version, "PREEMPT"))
        k->preemption = DOCTOR_PREEMPT_FULL;
    char *cmdline = doctor_read(d->root, "/proc/cmdline");
    if (!k->preemption && k->preemption_dynamic && cmdline)
        k->preemption = preemption_on_line(cmdline);
    k->threadirqs = !cmdline ? -1 : doctor_has_word(cmdline, "threadirqs", " \n");
    free(cmdline);
    if (!k->preemption)
        k->preemption = preemption_built(d);
}

/* "SwapTotal:  8388604 kB" */
static int64_t bytes_of(const char *meminfo, const char *key)
{
    char value[64];
    int64_t n;
    if (!doctor_value(meminfo, key, value, sizeof value))
        return -1;
    value[strcspn(value, " ")] = '\0';
    return doctor_number(value, &n) && n >= 0 && n < INT64_MAX / 1024 ? n * 1024 : -1;
}

static void read_memory(struct doctor *d)
{
    struct doctor_kernel *k = &d->kernel;
    char line[96];
    k->swap_bytes = k->swap_used_bytes = k->swappiness = -1;
    char *text = doctor_read(d->root, "/proc/meminfo");
    if (text) {
        int64_t all = bytes_of(text, "SwapTotal"), rest = bytes_of(text, "SwapFree");
        if (all >= 0 && rest >= 0 && rest <= all) {
            k->swap_bytes = all;
            k->swap_used_bytes = all - rest;
        }
    }
    free(text);
    if (!doctor_read_number(d->root, "/proc/sys/vm/swappiness", &k->swappiness))
        k->swappiness = -1;
    doctor_read_line(d->root, "/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;
    if (close)
        snprintf(k->huge_pages, sizeof k->huge_pages, "%.*s", (int)(close - open - 1), open + 1);
}

void doctor_kernel_read(struct doctor *d)
{
    struct doctor_kernel *k = &d->kernel;
    char line[96];
    *k = (struct doctor_kernel){.threadirqs = -1, .timer_slack_ns = -1, .load = (double)NAN};
    doctor_read_line(d->root, "/proc/sys/kernel/osrelease", k->release, sizeof k->release);
    read_preemption(d);
    doctor_read_line(d->root, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                     k->clocksource, sizeof k->clocksource);
    doctor_read_line(d->root, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
                     k->clocksources, sizeof k->clocksources);
    if (!doctor_read_number(d->root, "/proc/self/timerslack_ns", &k->timer_slack_ns))
        k->timer_slack_ns = -1;
    read_memory(d);
    double load;
    if (doctor_read_line(d->root, "/proc/loadavg", line, sizeof line) &&
        sscanf(line, "%lf ", &load) == 1 && load >= 0 && load < 1e6)
        k->load = load;
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

static void judge_preemption(struct doctor *d)
{
    const struct doctor_kernel *k = &d->kernel;
    enum doctor_preemption p = k->preemption;
    if (!p) {
        doctor_find(d, "kernel", "preemption", "preemption", DOCTOR_UNKNOWN, "full",
                    k->preemption_dynamic ? "dynamic, which is not readable" : "not readable");
        return;
    }
    bool is_good = p >= DOCTOR_PREEMPT_LAZY;
    doctor_find(d, "kernel", "preemption", "preemption", is_good ? DOCTOR_GOOD : DOCTOR_NOTABLE,
                "full, or rt", "%s%s", preemption_names[p],
                k->preemption_dynamic ? " (dynamic)" : "");
    if (!is_good)
        doctor_because(d,
                       doctor_advise(d, "preemption", DOCTOR_NOTABLE, -1, "%s",
                                     k->preemption_dynamic
                                         ? "boot with preempt=full on the kernel's command line"
                                         : "use a kernel with full preemption, such as a "
                                           "low-latency or -rt one"),
                       "the kernel's preemption is %s: its own work may hold sound up",
                       preemption_names[p]);
}

static void judge_threadirqs(struct doctor *d)
{
    const struct doctor_kernel *k = &d->kernel;
    if (k->preemption == DOCTOR_PREEMPT_RT)
        doctor_find(d, "kernel", "threadirqs", "interrupt threads", DOCTOR_GOOD, "",
                    "yes (real-time kernel)");
    else if (k->threadirqs < 0)
        doctor_unknown(d, "kernel", "threadirqs", "interrupt threads");
    else
        doctor_find(d, "kernel", "threadirqs", "interrupt threads", DOCTOR_NOTE, "", "%s",
                    k->threadirqs ? "yes (threadirqs)" : "no");
}

static void judge_clocksource(struct doctor *d)
{
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"};
    const struct doctor_kernel *k = &d->kernel;
    bool is_slow = false;
    if (!*k->clocksource) {
        doctor_unknown(d, "kernel", "clocksource", "clock source");
        return;
    }
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        is_slow |= !strcmp(k->clocksource, slow[i]);
    doctor_find(d, "kernel", "clocksource", "clock source", is_slow ? DOCTOR_NOTABLE : DOCTOR_GOOD,
                is_slow ? "tsc" : "", "%s", k->clocksource);
    if (is_slow)
        doctor_because(d,
                       doctor_advise(d, "clocksource", DOCTOR_NOTABLE, -1, "%s",
                                     doctor_has_word(k->clocksources, "tsc", " ")
                                         ? "boot with clocksource=tsc on the kernel's command line"
                                         : "see in the kernel's log (dmesg) why tsc is not used; "
                                           "often the firmware needs an update"),
                       "reading the clock %s is slow, and sound reads it in every block",
                       k->clocksource);
}

/* A real-time thread's timers have none. */
static void judge_timer_slack(struct doctor *d)
{
    int64_t ns = d->kernel.timer_slack_ns;
    if (ns < 0) {
        doctor_unknown(d, "kernel", "timer_slack", "timer slack");
        return;
    }
    bool is_bad = ns > slack_much_ns && !doctor_is_realtime(d);
    doctor_find(d, "kernel", "timer_slack", "timer slack", is_bad ? DOCTOR_NOTABLE : DOCTOR_GOOD,
                "", "%.0f us%s", (double)ns / 1e3,
                doctor_is_realtime(d) ? ", not for real-time" : "");
    if (is_bad)
        doctor_because(d,
                       doctor_advise(d, "timer_slack", DOCTOR_NOTABLE, -1,
                                     "start sound from a session that is not in the background: "
                                     "it has a large timer slack"),
                       "its timers may be up to %.1f ms late", (double)ns / 1e6);
}

static void judge_memory(struct doctor *d)
{
    const struct doctor_kernel *k = &d->kernel;
    if (!*k->huge_pages) {
        doctor_unknown(d, "kernel", "huge_pages", "huge pages");
    } else {
        bool is_always = !strcmp(k->huge_pages, "always");
        doctor_find(d, "kernel", "huge_pages", "huge pages", is_always ? DOCTOR_MINOR : DOCTOR_GOOD,
                    "madvise, never", "%s", k->huge_pages);
        if (is_always)
            doctor_because(d,
                           doctor_advise(d, "huge_pages", DOCTOR_MINOR, -1,
                                         "boot with transparent_hugepage=madvise on the kernel's "
                                         "command line"),
                           "huge pages are made for everybody, and the kernel moves memory for "
                           "them");
    }
    if (k->swap_bytes < 0) {
        doctor_unknown(d, "kernel", "swap", "swap in use");
        return;
    }
    bool is_used = k->swap_used_bytes > 0;
    bool matters = is_used && !d->rights.sched.memory_locked;
    char swappiness[48] = "";
    if (k->swappiness >= 0)
        snprintf(swappiness, sizeof swappiness, ", swappiness %lld", (long long)k->swappiness);
    doctor_find(d, "kernel", "swap", "swap in use",
                matters   ? DOCTOR_NOTABLE
                : is_used ? DOCTOR_MINOR
                          : DOCTOR_GOOD,
                "none", "%.0f of %.0f MiB%s", (double)k->swap_used_bytes / 1048576,
                (double)k->swap_bytes / 1048576, swappiness);
    if (is_used)
        doctor_because(d,
                       doctor_advise(d, "swap", matters ? DOCTOR_NOTABLE : DOCTOR_MINOR,
                                     d->measured.faults_major,
                                     "close programs until their memory fits, or lower "
                                     "vm.swappiness"),
                       "%.0f MiB are swapped out; %lld major page faults while measuring",
                       (double)k->swap_used_bytes / 1048576, (long long)d->measured.faults_major);
}

/* What waited while we measured says more than the load of the last minute. */
static void judge_load(struct doctor *d)
{
    double load = d->kernel.load, waited = doctor_waited(d);
    int cpus = d->cpu.online;
    bool too_much = isfinite(load) && cpus > 0 && load > cpus, waits = waited >= waited_much;
    enum doctor_verdict bad = doctor_is_realtime(d) ? DOCTOR_MINOR : DOCTOR_NOTABLE;
    if (!isfinite(load))
        doctor_unknown(d, "kernel", "load", "load");
    else
        doctor_find(d, "kernel", "load", "load", too_much ? bad : DOCTOR_GOOD, "below the CPUs",
                    "%.2f%s", load, cpus == 1 ? " on 1 CPU" : "");
    if (!isfinite(waited))
        doctor_unknown(d, "kernel", "pressure", "waiting for a CPU");
    else
        doctor_find(d, "kernel", "pressure", "waiting for a CPU", waits ? bad : DOCTOR_GOOD,
                    "below 10 %", "%.1f %% of the time", 100 * waited);
    if (!too_much && !waits)
        return;
    /* A thread that is not real-time waits before it runs, which is no switch. */
    int64_t counter = !d->measured.size_count ? -1
                      : doctor_is_realtime(d) ? d->measured.switches
                      : waits                 ? 1
                                              : -1;
    struct doctor_advice *a =
        doctor_advise(d, "load", bad, counter, "close what else computes on this machine");
    if (waits)
        doctor_because(d, a,
                       "programs waited for a CPU in %.1f %% of the time; takt's thread was "
                       "preempted %lld times",
                       100 * waited, (long long)d->measured.switches);
    else
        doctor_because(d, a, "the load is %.2f on %d CPUs; takt's thread was preempted %lld times",
                       load, cpus, (long long)d->measured.switches);
}

void doctor_kernel_judge(struct doctor *d)
{
    judge_preemption(d);
    judge_threadirqs(d);
    judge_clocksource(d);
    judge_timer_slack(d);
    judge_memory(d);
    judge_load(d);
}
