/*
 * What takt doctor makes of machines: a good one is planted as files and values, one thing is made
 * bad, and exactly one piece of advice has to follow. And files may hold anything.
 */
#include "doctor.h"

#include "tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef TAKT_HAVE_ZLIB
#include <zlib.h>
#endif

static char root[PATH_MAX];

/* ---- A machine of files -----------------------------------------------------------------------
 */

struct planted {
    const char *path, *text;
};

#define LIMITS(rtprio, memlock, rttime)                                                            \
    "Limit                     Soft Limit           Hard Limit           Units     \n"             \
    "Max locked memory         " memlock "            unlimited            bytes     \n"           \
    "Max nice priority         0                    0                    \n"                       \
    "Max realtime priority     " rtprio "                   95                   \n"               \
    "Max realtime timeout      " rttime "            unlimited            us        \n"
#define CPU0   "/sys/devices/system/cpu/cpu0/"
#define CPU1   "/sys/devices/system/cpu/cpu1/"
#define CLOCK  "/sys/devices/system/clocksource/clocksource0/"
#define THREAD "/proc/700/task/701/stat"
#define AS_ANY_OTHER                                                                               \
    "S 1 700 700 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 9 1 1 1 1 1 1 1 1 0 0 0 0 1 0 0 17 1 0 0 0 0 0\n"
#define IN_REAL_TIME                                                                               \
    "S 1 700 700 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 9 1 1 1 1 1 1 1 1 0 0 0 0 1 0 0 17 1 10 2 0 0 "   \
    "0\n"
#define INTERRUPTS(drivers)                                                                        \
    "           CPU0       CPU1       \n"                                                          \
    "  1:          9          0  IO-APIC   1-edge      i8042\n"                                    \
    " 16:       1200         30  IO-APIC  16-fasteoi   " drivers "\n"                              \
    " 31:          3      77000 PCI-MSI 524288-edge      nvme0q1, nvme0q2\n"                       \
    "NMI:          0          0   Non-maskable interrupts\n"

/* A tuned machine with a real-time kernel, two CPUs, a card inside and one on USB. */
static const struct planted good[] = {
    {"/proc/self/limits", LIMITS("95", "unlimited", "unlimited")},
    {"/proc/self/status", "Name:\ttakt\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 29 1000 \n"
                          "Cpus_allowed_list:\t0-1\n"},
    {"/proc/self/cgroup", "0::/user.slice/sound.scope\n"},
    {"/proc/self/timerslack_ns", "50000\n"},
    {"/etc/group", "root:x:0:\nsudo:x:27:me\naudio:x:29:me\nrealtime:x:900:\n"},
    {"/etc/security/limits.d/audio.conf",
     "# PAM\n@audio - rtprio 95\n@audio - memlock unlimited\n"},
    {"/sys/fs/cgroup/user.slice/sound.scope/cpu.max", "max 100000\n"},
    {"/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"},
    {"/sys/fs/cgroup/user.slice/sound.scope/cpu.stat", "usage_usec 1\nnr_throttled 5\n"},
    {"/proc/sys/kernel/sched_rt_runtime_us", "950000\n"},
    {"/proc/sys/kernel/sched_rt_period_us", "1000000\n"},
    {"/proc/cpuinfo", "processor\t: 0\nmodel name\t: Planted 3000\nflags\t\t: fpu vme tsc\n"},
    {"/sys/devices/system/cpu/online", "0-1\n"},
    {"/sys/devices/system/cpu/isolated", "\n"},
    {"/sys/devices/system/cpu/smt/active", "0\n"},
    {CPU0 "cpufreq/scaling_governor", "performance\n"},
    {CPU0 "cpufreq/scaling_driver", "intel_pstate\n"},
    {CPU0 "cpufreq/cpuinfo_min_freq", "800000\n"},
    {CPU0 "cpufreq/cpuinfo_max_freq", "4200000\n"},
    {CPU0 "cpufreq/scaling_max_freq", "4200000\n"},
    {CPU0 "cpuidle/state0/latency", "0\n"},
    {CPU0 "cpuidle/state0/name", "POLL\n"},
    {CPU0 "cpuidle/state1/latency", "2\n"},
    {CPU0 "cpuidle/state1/name", "C1\n"},
    {CPU0 "cpuidle/state2/latency", "890\n"},
    {CPU0 "cpuidle/state2/name", "C10\n"},
    {CPU0 "cpuidle/state2/disable", "1\n"},
    {CPU1 "cpufreq/scaling_governor", "performance\n"},
    {"/proc/sys/kernel/osrelease", "6.1.0-rt\n"},
    {"/proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian 6.1.1\n"},
    {"/proc/cmdline", "quiet threadirqs\n"},
    {CLOCK "current_clocksource", "tsc\n"},
    {CLOCK "available_clocksource", "tsc hpet acpi_pm \n"},
    {"/proc/meminfo", "MemTotal: 16000000 kB\nSwapTotal: 8388604 kB\nSwapFree: 8388604 kB\n"},
    {"/proc/sys/vm/swappiness", "10\n"},
    {"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
    {"/proc/loadavg", "0.40 0.50 0.60 1/200 999\n"},
    {"/proc/asound/cards", " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n"
                           "                      HDA Intel PCH at 0xf7 irq 16\n"
                           " 1 [Box            ]: USB-Audio - Box\n"},
    {"/proc/interrupts", INTERRUPTS("snd_hda_intel:card0")},
    {"/sys/bus/usb/devices/1-2:1.0/bInterfaceClass", "01\n"},
    {"/sys/bus/usb/devices/1-2:1.0/bInterfaceSubClass", "01\n"},
    {"/sys/bus/usb/devices/1-2/product", "Box 18i8\n"},
    {"/sys/bus/usb/devices/1-2/power/control", "on\n"},
    {"/proc/700/comm", "pipewire\n"},
    {"/proc/700/task/700/stat", "700 (pipewire) " AS_ANY_OTHER},
    {THREAD, "701 (data-loop.0) " IN_REAL_TIME},
};
enum { GOOD = sizeof good / sizeof *good };

static void whole_path(char *to, const char *path)
{
    snprintf(to, PATH_MAX, "%.2000s%.2000s", root, path);
}

static void make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* NULL: not there. */
static void plant_bytes(const char *path, const void *bytes, size_t size)
{
    char whole[PATH_MAX];
    whole_path(whole, path);
    make_folders(whole);
    unlink(whole);
    rmdir(whole);
    int fd = bytes ? open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (bytes && (fd < 0 || write(fd, bytes, size) != (ssize_t)size))
        abort();
    if (fd >= 0)
        close(fd);
}

static void plant(const char *path, const char *text)
{
    plant_bytes(path, text, text ? strlen(text) : 0);
}

static int remove_one(const char *path, const struct stat *is, int kind, struct FTW *at)
{
    (void)is, (void)kind, (void)at;
    return remove(path);
}

static void clear_root(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    mkdir(root, 0700);
}

static void plant_good(void)
{
    clear_root();
    for (int i = 0; i < GOOD; i++)
        plant(good[i].path, good[i].text);
}

/* ---- What is asked and measured ---------------------------------------------------------------
 */

static void measure_good(struct doctor *d)
{
    static const uint32_t blocks[] = {64, 256, 1024};
    struct doctor_measured *m = &d->measured;
    *m = (struct doctor_measured){.size_count = 3, .seconds = 9.9, .took_ns = 10000000000};
    for (int i = 0; i < 3; i++)
        m->sizes[i] = (struct doctor_size){.block_frames = blocks[i],
                                           .blocks = 160000 / blocks[i],
                                           .seconds = 3.3,
                                           .lateness_ns_p50 = 20000,
                                           .lateness_ns_max = 90000,
                                           .slack_ns_min = blocks[i] * 20000};
    m->before = (struct doctor_counters){1000, 10, 5, 1000, 1230};
    m->after = (struct doctor_counters){3000, 10, 5, 2000, 5230};
}

static void ask_good(struct doctor *d)
{
    d->rights.sched = (struct takt_sched){
        .policy = TAKT_SCHED_FIFO, .priority = 70, .memory_locked = true, .denormals_off = true};
    d->rights.rtkit_priority = 20;
    d->sound.servers[0] = (struct doctor_server){"pipewire", true, 1024, 48000};
    d->sound.servers[1] = (struct doctor_server){"jack", false, 0, 0};
}

static struct doctor d;

static void read_all(void)
{
    d = (struct doctor){.root = root};
    doctor_rights_read(&d);
    doctor_cpu_read(&d);
    doctor_kernel_read(&d);
    doctor_irq_read(&d);
    doctor_sound_read(&d);
    ask_good(&d);
    measure_good(&d);
}

/* Changes of what is asked and measured. */

static void refuse_realtime(void)
{
    d.rights.sched.policy = TAKT_SCHED_NICE;
    d.rights.sched.priority = 0;
    d.rights.sched.nice = -11;
    d.rights.rtkit_priority = 0;
}

static void hold_priority(void)
{
    d.rights.sched.priority = 40;
}

static void refuse_lock(void)
{
    d.rights.sched.memory_locked = false;
}

static void steal(void)
{
    d.measured.after.ticks_stolen += 30;
}

static void steal_little(void)
{
    d.measured.after.ticks += 8000;
    d.measured.after.ticks_stolen += 12;
}

static void throttle(void)
{
    d.measured.after.throttled += 7;
}

static void wait_for_cpus(void)
{
    d.measured.after.waited_us += 2500000;
}

static void miss_at_64(void)
{
    d.measured.sizes[0].misses_total = 3;
    d.measured.sizes[0].misses[TAKT_MISS_LATE_WAKE] = 3;
    d.measured.sizes[0].slack_ns_min = -2000000;
}

static void miss_everywhere(void)
{
    for (int i = 0; i < 3; i++)
        d.measured.sizes[i].misses_total = 3;
}

static void leave_little_slack(void)
{
    d.measured.sizes[0].slack_ns_min = 100000;
}

/* Blocks of 64 did not hold, and JACK has them smaller than what does. */
static void run_small_server(void)
{
    leave_little_slack();
    d.sound.servers[1] = (struct doctor_server){"jack", true, 128, 48000};
}

static void sleep_long(void)
{
    d.measured.sizes[0].lateness_ns_max = 600000;
    d.measured.sizes[0].slack_ns_min = 700000;
}

static void wake_late(void)
{
    d.measured.sizes[0].lateness_ns_max = 4100000;
}

/* ---- Each fault, and its advice ---------------------------------------------------------------
 */

static const struct fault {
    const char *path, *text; /* path NULL: no file is changed */
    void (*change)(void);    /* may be NULL */
    const char *advice[3];   /* in this order, and no other */
    enum doctor_verdict severity;
    const char *says; /* stands in the first one */
} faults[] = {
    {"/proc/self/limits",
     LIMITS("0", "unlimited", "unlimited"),
     refuse_realtime,
     {"realtime"},
     DOCTOR_SERIOUS,
     "log out and in again: /etc/security/limits.d/audio.conf"},
    {"/etc/group",
     "root:x:0:\naudio:x:30:\n",
     refuse_realtime,
     {"realtime"},
     DOCTOR_SERIOUS,
     "join group audio"},
    {"/etc/security/limits.d/audio.conf",
     NULL,
     refuse_realtime,
     {"realtime"},
     DOCTOR_SERIOUS,
     "write `@audio - rtprio 95`"},
    {"/proc/self/limits",
     LIMITS("40", "unlimited", "unlimited"),
     hold_priority,
     {"rtprio"},
     DOCTOR_MINOR,
     "priority 40 instead of 70"},
    {"/proc/self/limits",
     LIMITS("95", "65536", "unlimited"),
     refuse_lock,
     {"memlock"},
     DOCTOR_NOTABLE,
     "limit 64 KiB"},
    {"/proc/self/limits",
     LIMITS("95", "unlimited", "50000"),
     NULL,
     {"rttime"},
     DOCTOR_MINOR,
     "50000 us"},
    {"/proc/sys/kernel/sched_rt_runtime_us", "0\n", NULL, {"rt_runtime"}, DOCTOR_SERIOUS, "0 %"},
    {"/proc/sys/kernel/sched_rt_runtime_us",
     "500000\n",
     NULL,
     {"rt_runtime"},
     DOCTOR_NOTABLE,
     "50 %"},
    {"/sys/fs/cgroup/user.slice/sound.scope/cpu.max",
     "50000 100000\n",
     NULL,
     {"quota"},
     DOCTOR_NOTABLE,
     "0.50 CPUs"},
    {"/sys/fs/cgroup/user.slice/cpu.max",
     "150000 100000\n",
     throttle,
     {"quota"},
     DOCTOR_SERIOUS,
     "throttled 7 times"},
    {CPU1 "cpufreq/scaling_governor",
     "powersave\n",
     NULL,
     {"governor"},
     DOCTOR_NOTABLE,
     "powersave (1 of 2 CPUs)"},
    {CPU0 "cpufreq/scaling_governor",
     "schedutil\n",
     NULL,
     {"governor"},
     DOCTOR_MINOR,
     "0.8 to 4.2 GHz"},
    {CPU0 "cpufreq/scaling_max_freq",
     "2000000\n",
     NULL,
     {"ceiling"},
     DOCTOR_NOTABLE,
     "2.0 of 4.2 GHz"},
    {CPU0 "cpuidle/state2/disable", "0\n", wake_late, {"idle"}, DOCTOR_NOTABLE, "890 us"},
    {CPU0 "cpuidle/state1/latency", "200\n", sleep_long, {"idle"}, DOCTOR_MINOR, "C1"},
    {"/proc/sys/kernel/version", "#1 SMP Debian 6.1.1\n", NULL, {NULL}, DOCTOR_NOTE, NULL},
    {"/sys/kernel/debug/sched/preempt", "none (voluntary) full\n", NULL, {NULL}, DOCTOR_NOTE, NULL},
    {CLOCK "current_clocksource", "hpet\n", NULL, {"clocksource"}, DOCTOR_NOTABLE, "hpet"},
    {"/proc/self/timerslack_ns",
     "40000000\n",
     refuse_realtime,
     {"realtime", "timer_slack"},
     DOCTOR_SERIOUS,
     "rtprio"},
    {"/sys/kernel/mm/transparent_hugepage/enabled",
     "[always] madvise never\n",
     NULL,
     {"huge_pages"},
     DOCTOR_MINOR,
     "transparent_hugepage=madvise"},
    {"/proc/meminfo",
     "SwapTotal: 8388604 kB\nSwapFree: 8286204 kB\n",
     NULL,
     {"swap"},
     DOCTOR_MINOR,
     "100 MiB"},
    {"/proc/loadavg", "7.50 1 1 1/1 1\n", NULL, {"load"}, DOCTOR_MINOR, "7.50 on 2 CPUs"},
    {NULL, NULL, wait_for_cpus, {"load"}, DOCTOR_MINOR, "25.0 %"},
    {"/proc/interrupts",
     INTERRUPTS("ehci_hcd:usb1, snd_hda_intel:card0"),
     NULL,
     {"irq"},
     DOCTOR_NOTABLE,
     "came 4000 times"},
    {"/proc/interrupts",
     INTERRUPTS("i915, xhci_hcd:usb1"),
     NULL,
     {"irq"},
     DOCTOR_NOTABLE,
     "16: i915, xhci_hcd:usb1"},
    {"/sys/bus/usb/devices/1-2/power/control", "auto\n", NULL, {"usb"}, DOCTOR_MINOR, "Box 18i8"},
    {THREAD,
     "701 (data-loop.0) " AS_ANY_OTHER,
     NULL,
     {"servers"},
     DOCTOR_SERIOUS,
     "pipewire 700 data-loop.0"},
    {NULL, NULL, steal, {"steal"}, DOCTOR_SERIOUS, "1.50 %"},
    {NULL, NULL, steal_little, {"steal"}, DOCTOR_NOTABLE, "0.12 %"},
    {NULL, NULL, miss_at_64, {"block"}, DOCTOR_NOTABLE, "blocks of 64 missed 3 of 2500"},
    {NULL, NULL, miss_everywhere, {"block"}, DOCTOR_SERIOUS, "more than 1024"},
    {NULL, NULL, leave_little_slack, {"block"}, DOCTOR_MINOR, "0.10 ms left"},
    {NULL, NULL, run_small_server, {"jack", "block"}, DOCTOR_NOTABLE, "2.67 ms"},
};
enum { FAULTS = sizeof faults / sizeof *faults };

/* Told, so that a failure names what was planted. */
static bool gives(const struct fault *f)
{
    int wanted = 0;
    while (wanted < 3 && f->advice[wanted])
        wanted++;
    bool fits = d.advice_count == wanted;
    for (int i = 0; fits && i < wanted; i++)
        fits = !strcmp(d.advice[i].id, f->advice[i]);
    if (fits && wanted)
        fits = d.advice[0].severity == f->severity &&
               (strstr(d.advice[0].what, f->says) || strstr(d.advice[0].why, f->says));
    for (int i = 0; !fits && i < d.advice_count; i++)
        printf("# %s: %s (%s)\n", d.advice[i].id, d.advice[i].what, d.advice[i].why);
    if (!fits)
        printf("# planted %s, wanted %s\n", f->path ? f->path : "values",
               wanted ? f->advice[0] : "nothing");
    return fits;
}

static const struct doctor_finding *finding(const char *id)
{
    for (int i = 0; i < d.finding_count; i++)
        if (!strcmp(d.findings[i].id, id))
            return &d.findings[i];
    return NULL;
}

static void good_machine_needs_nothing(void)
{
    plant_good();
    read_all();
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = NULL}));
    CHECK(d.finding_count > 20);
    for (int i = 0; i < d.finding_count; i++) {
        if (d.findings[i].verdict != DOCTOR_GOOD && d.findings[i].verdict != DOCTOR_NOTE)
            printf("# %s is %s\n", d.findings[i].id, d.findings[i].is);
        CHECK(d.findings[i].verdict == DOCTOR_GOOD || d.findings[i].verdict == DOCTOR_NOTE);
    }
    CHECK_INT(d.best, 0);
    CHECK(d.best_is_safe);
}

static void each_fault_gives_its_own_advice_and_no_other(void)
{
    plant_good();
    for (int i = 0; i < FAULTS; i++) {
        const char *before = NULL;
        for (int k = 0; faults[i].path && k < GOOD; k++)
            if (!strcmp(good[k].path, faults[i].path))
                before = good[k].text;
        if (faults[i].path)
            plant(faults[i].path, faults[i].text);
        read_all();
        if (faults[i].change)
            faults[i].change();
        doctor_judge(&d);
        CHECK(gives(&faults[i]));
        if (faults[i].path)
            plant(faults[i].path, before);
    }
}

/* Advice follows from what is known alone. */
static void what_is_not_readable_gives_no_advice(void)
{
    plant_good();
    for (int i = 0; i < GOOD; i++) {
        plant(good[i].path, NULL);
        read_all();
        doctor_judge(&d);
        CHECK(gives(&(struct fault){.path = good[i].path}));
        plant(good[i].path, good[i].text);
    }
    clear_root();
    read_all();
    d.measured.before = d.measured.after = (struct doctor_counters){-1, -1, -1, -1, -1};
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = "nothing at all"}));
    static const char *const ids[] = {
        "rtprio",  "rttime",     "rt_runtime", "quota",       "governor",    "idle",       "cpus",
        "virtual", "preemption", "threadirqs", "clocksource", "timer_slack", "huge_pages", "swap",
        "load",    "pressure",   "cards",      "irq",         "servers",     "steal"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        CHECK(finding(ids[i]));
        CHECK_INT(finding(ids[i])->verdict, DOCTOR_UNKNOWN);
    }
}

/* ---- Kernels ----------------------------------------------------------------------------------
 */

static void plant_kernel(const char *version, const char *dynamic, const char *line,
                         const char *config)
{
    plant("/proc/sys/kernel/version", version);
    plant("/sys/kernel/debug/sched/preempt", dynamic);
    plant("/proc/cmdline", line);
    plant("/boot/config-6.1.0-rt", config);
    read_all();
    doctor_judge(&d);
}

/* As the kernel does with CONFIG_IKCONFIG_PROC; it may be cut off or have wrong bytes. */
#ifdef TAKT_HAVE_ZLIB
enum { CAN_UNPACK = true };

static void plant_packed_config(const char *text)
{
    char whole[PATH_MAX];
    plant("/proc/config.gz", "");
    whole_path(whole, "/proc/config.gz");
    gzFile file = gzopen(whole, "wb");
    if (!file || gzputs(file, text) < 0 || gzclose(file) != Z_OK)
        abort();
}
#else
enum { CAN_UNPACK = false };

static void plant_packed_config(const char *text)
{
    (void)text;
}
#endif

static void preemption_is_found_from_what_can_be_read(void)
{
    static const char *const is_dynamic = "#1 SMP PREEMPT_DYNAMIC x\n";
    plant_good();
    plant_kernel(is_dynamic, "none (voluntary) full\n", "preempt=full\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_VOLUNTARY);
    CHECK_INT(d.advice_count, 1);
    CHECK(!strcmp(d.advice[0].id, "preemption") && strstr(d.advice[0].what, "preempt=full"));
    plant_kernel(is_dynamic, "none voluntary (full) lazy\n", "x\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_FULL);
    plant_kernel(is_dynamic, NULL, "preempt=none quiet preempt=full\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_FULL);
    plant_kernel(is_dynamic, NULL, "quiet\n", "# x\nCONFIG_PREEMPT_VOLUNTARY=y\n");
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_VOLUNTARY);
    plant_kernel(is_dynamic, NULL, "quiet\n",
                 "# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT=y\n");
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_FULL);
    CHECK_INT(d.advice_count, 0);
    plant_kernel(is_dynamic, NULL, "quiet\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_UNKNOWN);
    CHECK_INT(d.advice_count, 0);
    plant_kernel("#1 SMP PREEMPT x\n", NULL, "quiet\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_FULL);
    plant_kernel("#1 SMP x\n", NULL, "quiet\n", "CONFIG_PREEMPT_NONE=y\n");
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_NONE);
    CHECK(strstr(d.advice[0].what, "full preemption") && !strstr(d.advice[0].what, "boot with"));
    plant_packed_config("CONFIG_PREEMPT_VOLUNTARY=y\n");
    plant_kernel(is_dynamic, NULL, "quiet\n", NULL);
    CHECK_INT(d.kernel.preemption, CAN_UNPACK ? DOCTOR_PREEMPT_VOLUNTARY : DOCTOR_PREEMPT_UNKNOWN);
    plant_kernel(is_dynamic, NULL, "quiet\n", "CONFIG_PREEMPT=y\n");
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_FULL);
    plant_kernel("#1 SMP PREEMPT RT x\n", NULL, "quiet\n", NULL);
    CHECK_INT(d.kernel.preemption, DOCTOR_PREEMPT_RT);
}

/* ---- Control groups ---------------------------------------------------------------------------
 */

static void quota_is_the_least_on_the_way_up(void)
{
    plant_good();
    plant("/sys/fs/cgroup/user.slice/sound.scope/cpu.max", "180000 100000\n");
    plant("/sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    read_all();
    CHECK_NEAR(d.rights.quota_cpus, 0.5, 0);
    CHECK(!strcmp(d.rights.quota_group, "/user.slice"));
    plant("/sys/fs/cgroup/user.slice/sound.scope/cpu.max", "20000 100000\n");
    read_all();
    CHECK_NEAR(d.rights.quota_cpus, 0.2, 0);
    CHECK(!strcmp(d.rights.quota_group, "/user.slice/sound.scope"));
}

static void version_1_of_control_groups_is_read_too(void)
{
    plant_good();
    plant("/proc/self/cgroup", "4:memory:/x\n2:cpu,cpuacct:/docker/a\n0::/\n");
    plant("/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.shares", "1024\n");
    plant("/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "25000\n");
    plant("/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n");
    plant("/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.rt_runtime_us", "0\n");
    plant("/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.stat", "nr_periods 9\nnr_throttled 4\n");
    read_all();
    CHECK_NEAR(d.rights.quota_cpus, 0.25, 0);
    CHECK_INT(d.rights.group_rt_us, 0);
    struct doctor_counters now;
    doctor_rights_count(&d, &now);
    CHECK_INT(now.throttled, 4);
    refuse_realtime();
    doctor_judge(&d);
    CHECK_INT(d.advice_count, 2);
    CHECK(strstr(d.advice[0].what, "cpu.rt_runtime_us is 0"));
    CHECK(!strcmp(d.advice[1].id, "quota"));
}

/* ---- Whole machines ---------------------------------------------------------------------------
 */

static bool comes_before(const char *first, const char *second)
{
    int at = -1;
    for (int i = 0; i < d.advice_count; i++) {
        if (!strcmp(d.advice[i].id, first))
            at = i;
        if (!strcmp(d.advice[i].id, second))
            return at >= 0;
    }
    return false;
}

static void laptop_is_told_of_its_rights_first(void)
{
    plant_good();
    plant("/proc/self/limits", LIMITS("0", "65536", "unlimited"));
    plant("/etc/security/limits.d/audio.conf", NULL);
    plant("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC x\n");
    plant("/sys/kernel/debug/sched/preempt", "none (voluntary) full\n");
    plant(CPU0 "cpufreq/scaling_governor", "powersave\n");
    plant(CPU1 "cpufreq/scaling_governor", "powersave\n");
    plant("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    read_all();
    refuse_realtime();
    refuse_lock();
    wake_late();
    doctor_judge(&d);
    CHECK(!strcmp(d.advice[0].id, "realtime"));
    CHECK(strstr(d.advice[0].why, "up to 4.10 ms late"));
    CHECK(comes_before("realtime", "governor"));
    CHECK(comes_before("governor", "huge_pages"));
    CHECK(comes_before("preemption", "huge_pages"));
}

static void machine_whose_host_steals_is_told_of_that_first(void)
{
    plant_good();
    plant("/proc/cpuinfo", "model name : V\nflags : fpu hypervisor tsc\n");
    plant("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    read_all();
    steal();
    miss_at_64();
    wake_late();
    doctor_judge(&d);
    CHECK_INT(d.cpu.is_virtual, 1);
    CHECK(!strcmp(d.advice[0].id, "steal"));
    CHECK_INT(d.advice[0].seen, DOCTOR_SEEN);
    CHECK(comes_before("block", "governor"));
}

static void throttled_container_is_told_of_its_quota_first(void)
{
    plant_good();
    plant("/sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    read_all();
    refuse_realtime();
    throttle();
    wake_late();
    doctor_judge(&d);
    CHECK(!strcmp(d.advice[0].id, "quota"));
    CHECK(comes_before("quota", "realtime"));
}

/* Its threads have all its own name: one that is real-time is enough. */
static void jack_server_is_judged_once_it_has_threads(void)
{
    static const struct planted fields[] = {
        {"/proc/800/task/801/stat", "801 (jackd) " AS_ANY_OTHER},
        {"/proc/800/task/802/stat", "802 (jackd) " IN_REAL_TIME},
    };
    plant_good();
    plant("/proc/800/comm", "jackd\n");
    plant("/proc/800/task/800/stat", "800 (jackd) " AS_ANY_OTHER);
    read_all();
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = "a JACK server that begins"}));
    plant(fields[0].path, fields[0].text);
    read_all();
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = fields[0].path,
                                .advice = {"servers"},
                                .severity = DOCTOR_SERIOUS,
                                .says = "not real-time: jackd 800"}));
    plant(fields[1].path, fields[1].text);
    read_all();
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = fields[1].path}));
}

/* ---- The order --------------------------------------------------------------------------------
 */

static void evidence_lifts_advice_by_one_class_at_most(void)
{
    for (int v = DOCTOR_MINOR; v <= DOCTOR_SERIOUS; v++)
        for (int s = DOCTOR_NOT_SEEN; s <= DOCTOR_SEEN; s++) {
            int effect = doctor_effect((enum doctor_verdict)v, (enum doctor_seen)s);
            if (s < DOCTOR_SEEN)
                CHECK(effect < doctor_effect((enum doctor_verdict)v, (enum doctor_seen)(s + 1)));
            if (v < DOCTOR_SERIOUS)
                CHECK(effect <= doctor_effect((enum doctor_verdict)(v + 1), DOCTOR_NOT_SEEN));
        }
}

static void cause_that_was_counted_and_stood_still_is_not_seen(void)
{
    plant_good();
    plant("/sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    plant(CPU0 "cpufreq/scaling_governor", "powersave\n");
    read_all();
    wake_late();
    doctor_judge(&d);
    CHECK_INT(d.advice_count, 2);
    CHECK(!strcmp(d.advice[0].id, "governor"));
    CHECK_INT(d.advice[0].seen, DOCTOR_POSSIBLE);
    CHECK_INT(d.advice[1].seen, DOCTOR_NOT_SEEN);
}

/* Whatever is wrong at once, the effects never rise, and equal ones go by severity. */
static void advice_is_in_order_whatever_is_wrong(void)
{
    uint32_t chance = 1;
    for (int round = 0; round < 12; round++) {
        plant_good();
        for (int i = 0; i < FAULTS; i++) {
            chance = chance * 1664525 + 1013904223;
            if (faults[i].path && chance >> 30 == 0)
                plant(faults[i].path, faults[i].text);
        }
        read_all();
        for (int i = 0; i < FAULTS; i++) {
            chance = chance * 1664525 + 1013904223;
            if (faults[i].change && chance >> 30 == 0)
                faults[i].change();
        }
        doctor_judge(&d);
        for (int i = 1; i < d.advice_count; i++) {
            const struct doctor_advice *a = &d.advice[i - 1], *b = &d.advice[i];
            CHECK(a->effect >= b->effect);
            CHECK(a->effect > b->effect || a->severity >= b->severity);
            for (int k = 0; k < i; k++)
                CHECK(strcmp(d.advice[k].id, b->id) != 0);
        }
    }
}

static void nothing_measured_still_gives_what_was_read(void)
{
    plant_good();
    plant(CPU0 "cpufreq/scaling_governor", "powersave\n");
    read_all();
    d.measured = (struct doctor_measured){.size_count = 0};
    doctor_judge(&d);
    CHECK_INT(d.advice_count, 1);
    CHECK(!strcmp(d.advice[0].id, "governor") && !strstr(d.advice[0].why, "late"));
    CHECK_INT(d.best, -1);
}

/* A sleep that takes longer than any wake-up was late has done no harm. */
static void deep_sleep_that_is_not_felt_needs_nothing(void)
{
    plant_good();
    plant(CPU0 "cpuidle/state2/disable", "0\n");
    read_all();
    doctor_judge(&d);
    CHECK(gives(&(struct fault){.path = "a deep sleep"}));
    CHECK_INT(d.cpu.idle_us, 890);
}

/* ---- Any bytes --------------------------------------------------------------------------------
 */

/* No crash, and nothing that a terminal or JSON would mind. */
static bool all_is_printable(void)
{
    for (int i = 0; i < d.finding_count; i++)
        for (const char *c = d.findings[i].is; *c; c++)
            if (*c < 0x20 || *c > 0x7e)
                return false;
    for (int i = 0; i < d.advice_count; i++)
        for (int k = 0; k < 2; k++)
            for (const char *c = k ? d.advice[i].what : d.advice[i].why; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                    return false;
    return d.finding_count > 0;
}

static bool survives(void)
{
    struct doctor_counters now;
    read_all();
    doctor_rights_count(&d, &now);
    doctor_cpu_count(&d, &now);
    doctor_irq_count(&d, &now);
    d.measured.after = now;
    doctor_judge(&d);
    return all_is_printable();
}

/* SIZE_MAX where it cannot be read. */
static size_t read_length(char *(*reader)(const char *root, const char *path), const char *path)
{
    char *text = reader(root, path);
    size_t length = text ? strlen(text) : SIZE_MAX;
    free(text);
    return length;
}

static void any_bytes_are_survived(void)
{
    static char bytes[6000];
    uint32_t chance = 7;
    plant_good();
    for (int i = 0; i < GOOD; i++)
        for (int round = 0; round < 4; round++) {
            size_t size = round ? (size_t)(chance >> 16) % sizeof bytes : 0;
            for (size_t k = 0; k < size; k++) {
                chance = chance * 1664525 + 1013904223;
                bytes[k] =
                    round == 1 ? (char)(chance >> 24) : " 0123456789:,()[]\n-@/"[chance >> 24 & 15];
            }
            plant_bytes(good[i].path, bytes, size);
            CHECK(survives());
            plant(good[i].path, good[i].text);
        }
}

/* A bomb of 64 MiB, one that is cut off, and bytes that are wrong. */
static void packed_configuration_of_any_bytes_is_survived(void)
{
    if (!CAN_UNPACK)
        SKIP("this build cannot unpack");
    static char config[64 << 20];
    memset(config, 'x', sizeof config - 1);
    plant_good();
    plant("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC x\n");
    plant_packed_config(config);
    CHECK(survives());
    CHECK(read_length(doctor_read_packed, "/proc/config.gz") < 1 << 20);
    char packed[4096], whole[PATH_MAX];
    whole_path(whole, "/proc/config.gz");
    plant_packed_config("CONFIG_PREEMPT=y\n# and a little more than nothing\n");
    int fd = open(whole, O_RDONLY);
    ssize_t size = read(fd, packed, sizeof packed);
    close(fd);
    CHECK(size > 20);
    for (ssize_t i = 0; i < size; i++) {
        packed[i] ^= 0x55;
        plant_bytes("/proc/config.gz", packed, (size_t)size);
        CHECK(survives());
        packed[i] ^= 0x55;
        plant_bytes("/proc/config.gz", packed, (size_t)i);
        CHECK(survives());
    }
}

/* What is nearly right is what goes deepest. */
static void bytes_that_were_changed_are_survived(void)
{
    uint32_t chance = 11;
    plant_good();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < GOOD; i++) {
            char copy[600];
            size_t size = strlen(good[i].text);
            memcpy(copy, good[i].text, size);
            for (int k = 0; k < 3; k++) {
                chance = chance * 1664525 + 1013904223;
                size_t at = (chance >> 8) % size;
                copy[at] = (char)(copy[at] ^ (1 << (chance >> 29)));
            }
            plant_bytes(good[i].path, copy, chance >> 31 ? size : size / 2);
            CHECK(survives());
            plant(good[i].path, good[i].text);
        }
}

static void huge_files_and_what_is_no_file_are_survived(void)
{
    static const char fills[] = {'9', 'a', '\n', ' ', '\0', '('};
    enum { HUGE = 3 << 20 };
    char whole[PATH_MAX], to[PATH_MAX];
    char *bytes = malloc(HUGE);
    CHECK(bytes);
    plant_good();
    for (size_t f = 0; f < sizeof fills; f++) {
        memset(bytes, fills[f], HUGE);
        plant_bytes("/huge", bytes, HUGE);
        CHECK(read_length(doctor_read, "/huge") < 1 << 20);
        whole_path(to, "/huge");
        for (int i = (int)f; i < GOOD; i += (int)sizeof fills) {
            whole_path(whole, good[i].path);
            CHECK(unlink(whole) == 0 && symlink(to, whole) == 0);
            CHECK(survives());
            plant(good[i].path, good[i].text);
        }
    }
    free(bytes);
    for (int i = 0; i < GOOD; i++) {
        whole_path(whole, good[i].path);
        unlink(whole);
        CHECK(i % 3 == 0   ? mkdir(whole, 0700) == 0
              : i % 3 == 1 ? mkfifo(whole, 0600) == 0
                           : symlink(whole, whole) == 0);
        CHECK(survives());
        plant(good[i].path, good[i].text);
    }
}

int main(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.1000s/takt-doctor.XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(root))
        return 1;
    RUN(good_machine_needs_nothing);
    RUN(each_fault_gives_its_own_advice_and_no_other);
    RUN(what_is_not_readable_gives_no_advice);
    RUN(preemption_is_found_from_what_can_be_read);
    RUN(quota_is_the_least_on_the_way_up);
    RUN(version_1_of_control_groups_is_read_too);
    RUN(laptop_is_told_of_its_rights_first);
    RUN(machine_whose_host_steals_is_told_of_that_first);
    RUN(throttled_container_is_told_of_its_quota_first);
    RUN(jack_server_is_judged_once_it_has_threads);
    RUN(evidence_lifts_advice_by_one_class_at_most);
    RUN(cause_that_was_counted_and_stood_still_is_not_seen);
    RUN(advice_is_in_order_whatever_is_wrong);
    RUN(nothing_measured_still_gives_what_was_read);
    RUN(deep_sleep_that_is_not_felt_needs_nothing);
    RUN(any_bytes_are_survived);
    RUN(packed_configuration_of_any_bytes_is_survived);
    RUN(bytes_that_were_changed_are_survived);
    RUN(huge_files_and_what_is_no_file_are_survived);
    clear_root();
    rmdir(root);
    return tap_done();
}
