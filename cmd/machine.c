/* What Linux says about the machine. What it does not say stays empty. */
#include "machine.h"

#include "options.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void cut_line_end(char *text)
{
    text[strcspn(text, "\n")] = '\0';
    make_printable(text);
}

/* "model name : AMD …" and, on a virtual machine, a flag. Other processors name themselves
 * otherwise, or not at all. */
static void read_cpu(struct machine *m)
{
    char line[4096];
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (!value || !value[1])
            continue;
        if (!*m->cpu && (!strncmp(line, "model name", 10) || !strncmp(line, "Model", 5)))
            snprintf(m->cpu, sizeof m->cpu, "%.*s", (int)sizeof m->cpu - 1, value + 2);
        if (!strncmp(line, "flags", 5) && strstr(line, " hypervisor"))
            m->is_virtual = true;
    }
    if (f)
        fclose(f);
    cut_line_end(m->cpu);
}

static void read_governor(struct machine *m)
{
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "re");
    if (f && fgets(m->governor, sizeof m->governor, f))
        cut_line_end(m->governor);
    if (f)
        fclose(f);
}

void machine_read(struct machine *m)
{
    struct utsname u;
    cpu_set_t ours;
    time_t now = time(NULL);
    struct tm local;
    *m = (struct machine){.cores = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    if (sched_getaffinity(0, sizeof ours, &ours) == 0)
        m->cores = CPU_COUNT(&ours);
    read_cpu(m);
    read_governor(m);
    if (uname(&u) == 0) {
        bool is_rt = strstr(u.version, "PREEMPT_RT") || strstr(u.version, "PREEMPT RT");
        snprintf(m->kernel, sizeof m->kernel, "%s %s%s", u.sysname, u.release,
                 is_rt ? " PREEMPT_RT" : "");
        if (!*m->cpu)
            snprintf(m->cpu, sizeof m->cpu, "%s", u.machine);
    }
    if (localtime_r(&now, &local))
        strftime(m->date, sizeof m->date, "%Y-%m-%d %H:%M %z", &local);
}

bool machine_ticks_read(struct machine_ticks *t)
{
    enum {
        STEAL = 7,
        FIELDS = 8
    }; /* user nice system idle iowait irq softirq steal; see proc(5) */
    unsigned long long v[FIELDS];
    FILE *f = fopen("/proc/stat", "re");
    bool known = f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
                             &v[3], &v[4], &v[5], &v[6], &v[STEAL]) == FIELDS;
    if (f)
        fclose(f);
    *t = (struct machine_ticks){0};
    for (int i = 0; known && i < FIELDS; i++)
        t->all += v[i];
    if (known)
        t->stolen = v[STEAL];
    return known;
}
