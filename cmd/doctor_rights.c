/*
 * What this user may: real-time priority, locked memory, CPU time; by limits, by rtkit, by control
 * groups. What a thread of takt's gets is what counts; the rest says why, and what to change.
 */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sound_groups[] = {"audio", "realtime", "pipewire"};
enum { GRANTS_MAX = 256 };
static const int64_t runaway_us = 100000; /* a thread of takt's runs for less without sleeping */

bool doctor_is_realtime(const struct doctor *d)
{
    enum takt_policy p = d->rights.sched.policy;
    return p == TAKT_SCHED_FIFO || p == TAKT_SCHED_RTKIT || p == TAKT_SCHED_RR;
}

/* ---- Limits -----------------------------------------------------------------------------------
 */

/* "Max realtime priority     0    0 ": the soft one. */
static int64_t limit(const char *limits, const char *name, int64_t none)
{
    const char *line = strstr(limits, name);
    char word[32];
    int64_t n = -1;
    if (!line || sscanf(line + strlen(name), " %31s", word) != 1)
        return -1;
    if (!strcmp(word, "unlimited"))
        return none;
    return doctor_number(word, &n) && n >= 0 ? n : -1;
}

static void read_limits(struct doctor *d)
{
    struct doctor_rights *r = &d->rights;
    char *limits = doctor_read(d->root, "/proc/self/limits");
    r->rtprio = r->memlock_bytes = r->rttime_us = -1;
    if (limits) {
        r->rtprio = limit(limits, "Max realtime priority", DOCTOR_NO_LIMIT);
        r->memlock_bytes = limit(limits, "Max locked memory", INT64_MAX);
        r->rttime_us = limit(limits, "Max realtime timeout", INT64_MAX);
    }
    free(limits);
}

/* ---- Groups, and what PAM gives them ----------------------------------------------------------
 */

/* "audio:x:29:": are we in it? -1: there is no such group. */
static int in_group(char *file, const char *name, const char *ours)
{
    size_t length = strlen(name);
    char *copy = file ? strdup(file) : NULL, *at = copy, *line;
    int found = -1;
    while (copy && found < 0 && doctor_next_line(&at, &line)) {
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        char *rest = line + length + 1;
        doctor_next_word(&rest, ":");
        char *id = doctor_next_word(&rest, ":");
        found = id && doctor_has_word(ours, id, " ");
    }
    free(copy);
    return found;
}

struct grants {
    struct doctor *d;
    char *groups;     /* /etc/group */
    const char *ours; /* their numbers */
    int tried;        /* each costs a walk through all groups */
};

/* "@audio - rtprio 95". The first group that gets it, one of ours before others. */
static void read_grants(struct grants *g, const char *path)
{
    struct doctor_rights *r = &g->d->rights;
    char *text = doctor_read(g->d->root, path), *at = text, *line;
    while (text && doctor_next_line(&at, &line)) {
        int64_t n;
        line[strcspn(line, "#")] = '\0';
        char *who = doctor_next_word(&line, " "), *kind = doctor_next_word(&line, " ");
        char *what = doctor_next_word(&line, " "), *value = doctor_next_word(&line, " ");
        if (!value || *who != '@' || strcmp(what, "rtprio") != 0 || !doctor_number(value, &n) ||
            ++g->tried > GRANTS_MAX)
            continue;
        int is_ours = in_group(g->groups, who + 1, g->ours);
        if (n < 1 || is_ours < 0 || !strcmp(kind, "hard") || (*r->grant_group && !is_ours))
            continue;
        if (r->grant_is_ours && n <= r->grant_rtprio)
            continue;
        snprintf(r->grant_group, sizeof r->grant_group, "%s", who + 1);
        snprintf(r->grant_file, sizeof r->grant_file, "%s", path);
        r->grant_rtprio = n;
        r->grant_is_ours = is_ours;
    }
    free(text);
}

static void read_grants_in(const char *name, void *arg)
{
    char path[128];
    size_t length = strlen(name);
    if (length > 5 && length < 80 && !strcmp(name + length - 5, ".conf")) {
        snprintf(path, sizeof path, "/etc/security/limits.d/%s", name);
        read_grants(arg, path);
    }
}

static void read_groups(struct doctor *d)
{
    char ours[1024] = "", gid[128] = "";
    char *status = doctor_read(d->root, "/proc/self/status");
    if (status) {
        doctor_value(status, "Gid", gid, sizeof gid);
        doctor_value(status, "Groups", ours, sizeof ours);
        size_t used = strlen(ours);
        snprintf(ours + used, sizeof ours - used, " %s", gid);
    }
    struct grants g = {.d = d, .groups = doctor_read(d->root, "/etc/group"), .ours = ours};
    for (size_t i = 0; i < sizeof sound_groups / sizeof *sound_groups; i++)
        if (in_group(g.groups, sound_groups[i], ours) > 0)
            doctor_add(d->rights.groups, sizeof d->rights.groups, "%s", sound_groups[i]);
    read_grants(&g, "/etc/security/limits.conf");
    doctor_each_name(d->root, "/etc/security/limits.d", read_grants_in, &g);
    free(g.groups);
    free(status);
}

/* ---- Control groups ---------------------------------------------------------------------------
 */

/* "0::/user.slice/x" is version 2's, "1:cpu,cpuacct:/x" version 1's; where the first has no
 * controller of CPUs, the second counts. */
static bool find_group(const struct doctor *d, const char *text, int version, char *path,
                       size_t size)
{
    bool found = false;
    char *copy = strdup(text), *at = copy, *line;
    while (copy && !found && doctor_next_line(&at, &line)) {
        char *controllers = strchr(line, ':');
        char *where = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!where || strstr(where, ".."))
            continue;
        *where++ = '\0';
        found = version == 2 ? !strcmp(line, "0:") : doctor_has_word(controllers + 1, "cpu", ",");
        if (found)
            snprintf(path, size, "%s", strcmp(where, "/") ? where : "");
    }
    free(copy);
    return found;
}

static bool is_readable(const struct doctor *d, const char *folder, const char *file)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    char *text = doctor_read(d->root, path);
    free(text);
    return text != NULL;
}

void doctor_group_read(const struct doctor *d, struct doctor_group *g)
{
    static const char *const places[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
    char path[400];
    char *text = doctor_read(d->root, "/proc/self/cgroup");
    *g = (struct doctor_group){.version = 0};
    if (text && find_group(d, text, 1, path, sizeof path))
        for (int i = 0; i < 2 && !g->version; i++) {
            snprintf(g->folder, sizeof g->folder, "%s%s", places[i], path);
            g->version = is_readable(d, g->folder, "cpu.shares") ? 1 : 0;
        }
    if (text && !g->version && find_group(d, text, 2, path, sizeof path)) {
        snprintf(g->folder, sizeof g->folder, "/sys/fs/cgroup%s", path);
        g->version = 2;
    }
    free(text);
}

/* "50000 100000" or "max 100000"; in version 1 two files, and -1 for no limit. */
static double quota_of(const struct doctor *d, const char *folder, int version)
{
    char path[640], line[64];
    int64_t quota = -1, period = 0;
    if (version == 2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!doctor_read_line(d->root, path, line, sizeof line))
            return (double)NAN;
        char *at = line;
        char *first = doctor_next_word(&at, " "), *second = doctor_next_word(&at, " ");
        if (first && !strcmp(first, "max"))
            return (double)INFINITY;
        if (!first || !second || !doctor_number(first, &quota) || !doctor_number(second, &period))
            return (double)NAN;
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!doctor_read_number(d->root, path, &quota))
            return (double)NAN;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (quota < 0)
            return (double)INFINITY;
        if (!doctor_read_number(d->root, path, &period))
            return (double)NAN;
    }
    return quota >= 0 && period > 0 ? (double)quota / (double)period : (double)NAN;
}

/* A quota holds for all groups below, so the least one on the way up counts. */
static void read_control_groups(struct doctor *d)
{
    struct doctor_rights *r = &d->rights;
    struct doctor_group g;
    char path[640];
    size_t top = strlen("/sys/fs/cgroup");
    doctor_group_read(d, &g);
    r->quota_cpus = (double)NAN;
    r->group_rt_us = -1;
    if (!g.version)
        return;
    snprintf(path, sizeof path, "%s/cpu.rt_runtime_us", g.folder);
    if (g.version != 1 || !doctor_read_number(d->root, path, &r->group_rt_us))
        r->group_rt_us = -1;
    for (;;) {
        double quota = quota_of(d, g.folder, g.version);
        if (!isnan(quota) && !(quota >= r->quota_cpus)) {
            r->quota_cpus = quota;
            snprintf(r->quota_group, sizeof r->quota_group, "%.*s", 127, g.folder + top);
        }
        char *slash = strrchr(g.folder, '/');
        if (!slash || slash <= g.folder + top - 1)
            break;
        *slash = '\0';
    }
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

void doctor_rights_read(struct doctor *d)
{
    struct doctor_rights *r = &d->rights;
    *r = (struct doctor_rights){.rt_runtime_us = -1, .rt_period_us = -1};
    read_limits(d);
    read_groups(d);
    if (doctor_read_number(d->root, "/proc/sys/kernel/sched_rt_runtime_us", &r->rt_runtime_us) &&
        r->rt_runtime_us < 0)
        r->rt_runtime_us = INT64_MAX;
    if (!doctor_read_number(d->root, "/proc/sys/kernel/sched_rt_period_us", &r->rt_period_us) ||
        r->rt_period_us <= 0)
        r->rt_period_us = 1000000; /* the kernel's own default */
    read_control_groups(d);
}

static void nothing(void *arg)
{
    (void)arg;
}

void doctor_rights_ask(struct doctor *d)
{
    struct takt_thread *t;
    struct takt_error e;
    struct doctor_rights *r = &d->rights;
    r->rtkit_priority = doctor_rtkit_priority(r->rtkit_why, sizeof r->rtkit_why);
    make_printable(r->rtkit_why);
    if (takt_thread_start(&(struct takt_thread_cfg){.name = "doctor", .entry = nothing}, &t, &e) <
        0) {
        snprintf(r->sched.why, sizeof r->sched.why, "%.*s", 150, e.text);
        return;
    }
    takt_thread_sched(t, &r->sched);
    takt_thread_join(t, -1);
}

void doctor_rights_count(const struct doctor *d, struct doctor_counters *c)
{
    struct doctor_group g;
    char path[640], value[32];
    c->throttled = -1;
    doctor_group_read(d, &g);
    if (!g.version)
        return;
    snprintf(path, sizeof path, "%s/cpu.stat", g.folder);
    char *text = doctor_read(d->root, path), *at = text, *line;
    while (text && doctor_next_line(&at, &line))
        if (sscanf(line, "nr_throttled %31s", value) == 1 && !doctor_number(value, &c->throttled))
            c->throttled = -1;
    free(text);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

static void sched_text(const struct takt_sched *s, char *to, size_t size)
{
    if (s->policy == TAKT_SCHED_NICE)
        snprintf(to, size, "nice %d, not real-time", s->nice);
    else if (s->policy == TAKT_SCHED_OTHER)
        snprintf(to, size, "as any thread, not real-time");
    else
        snprintf(to, size, "%s %d", takt_policy_name(s->policy), s->priority);
}

static void limit_text(int64_t n, int64_t none, const char *unit, char *to, size_t size)
{
    if (n == none)
        snprintf(to, size, "no limit");
    else
        snprintf(to, size, "%lld%s", (long long)n, unit);
}

/* The one thing to change so that real-time is allowed. */
static void advise_realtime(struct doctor *d)
{
    const struct doctor_rights *r = &d->rights;
    struct doctor_advice *a;
    char rtprio[48] = "not readable";
    if (r->rtprio >= 0)
        limit_text(r->rtprio, DOCTOR_NO_LIMIT, "", rtprio, sizeof rtprio);
    if (r->group_rt_us == 0 && r->rtprio > 0)
        a = doctor_advise(d, "realtime", DOCTOR_SERIOUS, -1,
                          "give the control group of this session real-time: its "
                          "cpu.rt_runtime_us is 0");
    else if (*r->grant_group && r->grant_is_ours)
        a = doctor_advise(d, "realtime", DOCTOR_SERIOUS, -1,
                          "log out and in again: %s allows group %s rtprio %lld, but this "
                          "session has not got it",
                          r->grant_file, r->grant_group, (long long)r->grant_rtprio);
    else if (*r->grant_group)
        a = doctor_advise(d, "realtime", DOCTOR_SERIOUS, -1,
                          "join group %s (usermod -aG %s USER) and log in again: %s allows it "
                          "rtprio %lld",
                          r->grant_group, r->grant_group, r->grant_file,
                          (long long)r->grant_rtprio);
    else
        a = doctor_advise(d, "realtime", DOCTOR_SERIOUS, -1,
                          "allow real-time priority: write `@audio - rtprio 95` into "
                          "/etc/security/limits.d/audio.conf, %slog in again%s",
                          doctor_has_word(r->groups, "audio", ", ") ? "" : "join group audio, ",
                          r->rtkit_priority ? "" : "; or install rtkit");
    doctor_because(d, a, "threads of takt's run %s; limit rtprio: %s",
                   r->sched.policy == TAKT_SCHED_NICE ? "with a nice value only" : "as any other",
                   rtprio);
}

static void judge_realtime(struct doctor *d)
{
    const struct doctor_rights *r = &d->rights;
    char text[64];
    bool is_realtime = doctor_is_realtime(d);
    sched_text(&r->sched, text, sizeof text);
    doctor_find(d, "rights", "policy", "takt's threads", is_realtime ? DOCTOR_GOOD : DOCTOR_SERIOUS,
                "real-time", "%s", text);
    if (!is_realtime)
        advise_realtime(d);
    if (r->rtprio < 0) {
        doctor_unknown(d, "rights", "rtprio", "limit rtprio");
    } else {
        limit_text(r->rtprio, DOCTOR_NO_LIMIT, "", text, sizeof text);
        bool is_low = r->rtprio < TAKT_THREAD_PRIORITY_DEFAULT;
        bool is_held = is_low && r->sched.policy == TAKT_SCHED_FIFO && r->sched.priority > 0 &&
                       r->sched.priority < TAKT_THREAD_PRIORITY_DEFAULT;
        doctor_find(d, "rights", "rtprio", "limit rtprio",
                    is_held        ? DOCTOR_MINOR
                    : !is_low      ? DOCTOR_GOOD
                    : !is_realtime ? DOCTOR_SERIOUS
                                   : DOCTOR_NOTE,
                    "70 or more", "%s", text);
        if (is_held)
            doctor_because(d,
                           doctor_advise(d, "rtprio", DOCTOR_MINOR, -1,
                                         "raise the limit rtprio to 95 in /etc/security/limits.d"),
                           "it is %lld, so threads of takt's have priority %d instead of %d",
                           (long long)r->rtprio, r->sched.priority, TAKT_THREAD_PRIORITY_DEFAULT);
    }
    doctor_find(d, "rights", "groups", "groups for sound", DOCTOR_NOTE, "", "%s",
                *r->groups ? r->groups : "in none");
    if (r->rtkit_priority)
        doctor_find(d, "rights", "rtkit", "rtkit", DOCTOR_GOOD, "", "lends up to %d",
                    r->rtkit_priority);
    else
        doctor_find(d, "rights", "rtkit", "rtkit", is_realtime ? DOCTOR_NOTE : DOCTOR_NOTABLE, "",
                    "no answer%s%s%s", *r->rtkit_why ? " (" : "", r->rtkit_why,
                    *r->rtkit_why ? ")" : "");
}

static void judge_memory(struct doctor *d)
{
    const struct doctor_rights *r = &d->rights;
    char limit_is[48] = "limit not readable";
    if (r->memlock_bytes == INT64_MAX)
        snprintf(limit_is, sizeof limit_is, "no limit");
    else if (r->memlock_bytes >= 0)
        snprintf(limit_is, sizeof limit_is, "limit %lld KiB", (long long)r->memlock_bytes / 1024);
    /* A promoted thread's is not known, but these are ours. */
    bool is_locked = r->sched.memory_locked;
    doctor_find(d, "rights", "memlock", "locked memory", is_locked ? DOCTOR_GOOD : DOCTOR_NOTABLE,
                "locked", "%s, %s", is_locked ? "locked" : "not locked", limit_is);
    if (!is_locked)
        doctor_because(d,
                       doctor_advise(d, "memlock", DOCTOR_NOTABLE, d->measured.faults_major,
                                     "allow locked memory: write `@audio - memlock unlimited` into "
                                     "/etc/security/limits.d/audio.conf and log in again"),
                       "%s, takt's memory may be swapped out; %lld major page faults while "
                       "measuring",
                       limit_is, (long long)d->measured.faults_major);
}

static void judge_rttime(struct doctor *d)
{
    int64_t us = d->rights.rttime_us;
    char text[64];
    if (us < 0) {
        doctor_unknown(d, "rights", "rttime", "limit rttime");
        return;
    }
    limit_text(us, INT64_MAX, " us", text, sizeof text);
    doctor_find(d, "rights", "rttime", "limit rttime", us < runaway_us ? DOCTOR_MINOR : DOCTOR_GOOD,
                "100 ms or more", "%s", text);
    if (us < runaway_us)
        doctor_because(d,
                       doctor_advise(d, "rttime", DOCTOR_MINOR, -1,
                                     "raise the limit rttime to 200000 in /etc/security/limits.d"),
                       "the kernel ends a real-time thread that runs for %lld us without sleeping",
                       (long long)us);
}

static void judge_rt_runtime(struct doctor *d)
{
    const struct doctor_rights *r = &d->rights;
    if (r->rt_runtime_us < 0) {
        doctor_unknown(d, "rights", "rt_runtime", "real-time share");
        return;
    }
    double share =
        r->rt_runtime_us == INT64_MAX ? 1 : (double)r->rt_runtime_us / (double)r->rt_period_us;
    enum doctor_verdict v = share <= 0    ? DOCTOR_SERIOUS
                            : share < 0.9 ? DOCTOR_NOTABLE
                                          : DOCTOR_GOOD;
    doctor_find(d, "rights", "rt_runtime", "real-time share", v, "90 % or more",
                "%.0f %% of CPU time", 100 * share);
    if (v != DOCTOR_GOOD)
        doctor_because(d,
                       doctor_advise(d, "rt_runtime", v, -1,
                                     "let real-time threads run: sysctl "
                                     "kernel.sched_rt_runtime_us=950000"),
                       "all of them together get %.0f %% of each %.1f ms", 100 * share,
                       (double)r->rt_period_us / 1e3);
}

static void judge_quota(struct doctor *d)
{
    const struct doctor_rights *r = &d->rights;
    if (isnan(r->quota_cpus)) {
        doctor_unknown(d, "rights", "quota", "CPU quota");
        return;
    }
    int64_t throttled = doctor_rise(d->measured.before.throttled, d->measured.after.throttled);
    bool is_limited = d->cpu.online > 0 ? r->quota_cpus < d->cpu.online : isfinite(r->quota_cpus);
    if (!is_limited) {
        doctor_find(d, "rights", "quota", "CPU quota", DOCTOR_GOOD, "none", "none");
        return;
    }
    enum doctor_verdict v =
        throttled > 0 || !doctor_is_realtime(d) ? DOCTOR_SERIOUS : DOCTOR_NOTABLE;
    doctor_find(d, "rights", "quota", "CPU quota", v, "none", "%.2f CPUs, by %s", r->quota_cpus,
                *r->quota_group ? r->quota_group : "/");
    doctor_because(d,
                   doctor_advise(d, "quota", v, throttled,
                                 "lift the CPU quota of the control group %s (cpu.max, "
                                 "CPUQuota=, docker --cpus)",
                                 *r->quota_group ? r->quota_group : "/"),
                   throttled >= 0 ? "it allows %.2f CPUs; throttled %lld times while measuring"
                                  : "it allows %.2f CPUs",
                   r->quota_cpus, (long long)throttled);
}

void doctor_rights_judge(struct doctor *d)
{
    judge_realtime(d);
    judge_memory(d);
    judge_rttime(d);
    judge_rt_runtime(d);
    judge_quota(d);
}
