/*
 * doctor.h - takt doctor, shared by the files it is made of: verb_doctor.c (the order of things),
 * doctor_measure.c (how late threads wake here), one file for each subject, which reads it and
 * judges it (doctor_rights.c, doctor_cpu.c, doctor_kernel.c, doctor_irq.c, doctor_sound.c,
 * doctor_blocks.c), doctor_advice.c (their order) and doctor_report.c (tables, JSON).
 *
 * Reading fills struct doctor with plain values; judging makes findings and advice of them and asks
 * the system nothing. So a test can plant either the files under a root or the values.
 */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "doctor_file.h"
#include "odds.h"
#include "options.h"
#include "signals.h"
#include "terminal.h"

/* ---- What was read. -1, NAN and "" are not known ----------------------------------------------
 */

enum { DOCTOR_NO_LIMIT = 0x7fffffff, DOCTOR_RATE_HZ = 48000, DOCTOR_SERVERS_MAX = 8 };

struct doctor_rights {
    int64_t rtprio;        /* RLIMIT_RTPRIO; DOCTOR_NO_LIMIT: none */
    int64_t memlock_bytes; /* INT64_MAX: no limit */
    int64_t rttime_us;     /* the same */
    char groups[64];       /* of those that sound is often given to, the ones we are in */
    char grant_group[32];  /* a group that PAM's limits give real-time priority; "" where none */
    int64_t grant_rtprio;
    char grant_file[128];
    bool grant_is_ours;    /* we are in it already */
    int64_t rt_runtime_us; /* of each rt_period_us; INT64_MAX: all of it */
    int64_t rt_period_us;
    double quota_cpus;       /* CPUs that our control group may use; INFINITY: all */
    char quota_group[128];   /* the group that says so */
    int64_t group_rt_us;     /* cpu.rt_runtime_us of our group; -1: no such thing */
    struct takt_sched sched; /* what a thread of takt's gets */
    int rtkit_priority;      /* that rtkit lends at most; 0: it does not answer */
    char rtkit_why[96];      /* why it does not */
};

struct doctor_cpu {
    char model[128];
    int online, usable; /* usable: by this process */
    int smt;            /* -1, 0, 1 */
    char isolated[64];  /* a list, or "" */
    int is_virtual;     /* -1, 0, 1 */
    int with_governor;
    int governor_count;
    struct {
        char name[24];
        int cpus;
    } governors[8];
    char driver[24];
    int64_t least_khz, most_khz, allowed_khz; /* allowed: the lowest ceiling that somebody set */
    int64_t idle_us; /* the longest that an allowed idle state takes to leave; -1 */
    char idle_name[24];
    bool dma_latency_usable; /* may we keep the CPUs awake ourselves? */
};

enum doctor_preemption {
    DOCTOR_PREEMPT_UNKNOWN = 0,
    DOCTOR_PREEMPT_NONE,
    DOCTOR_PREEMPT_VOLUNTARY,
    DOCTOR_PREEMPT_LAZY,
    DOCTOR_PREEMPT_FULL,
    DOCTOR_PREEMPT_RT
};

struct doctor_kernel {
    char release[96];
    enum doctor_preemption preemption;
    bool preemption_dynamic; /* preempt= on the kernel's command line chooses it */
    int threadirqs;          /* -1, 0, 1 */
    char clocksource[32], clocksources[128];
    int64_t timer_slack_ns;
    char huge_pages[16];
    int64_t swap_bytes, swap_used_bytes, swappiness;
    double load; /* of the last minute */
};

struct doctor_irq {
    char cards[256]; /* "0 PCH, 1 USB" */
    int card_count;  /* -1 */
    bool usb_audio;
    int line_count; /* interrupt lines of sound; -1 */
    char line[96];  /* the first that is shared, else the first: "16: snd_hda_intel, i915" */
    char line_number[16];
    int shared_by;      /* drivers on it, 1: alone; 0: no line */
    char suspends[128]; /* USB sound devices that may be put to sleep */
    int usb_count;      /* USB sound devices; -1 */
};

struct doctor_server {
    char name[16]; /* "pipewire", "jack" */
    bool is_reachable;
    uint32_t block_frames, rate_hz;
};

struct doctor_sound {
    struct doctor_server servers[2]; /* pipewire, jack */
    char running[128];               /* programs that carry sound */
    char not_realtime[160]; /* of these, those whose data threads are not real-time, with thread */
    int data_threads;       /* that were seen */
    bool processes_known;
};

/* ---- What was measured ------------------------------------------------------------------------
 */

struct doctor_size {
    uint32_t block_frames;
    uint64_t blocks;
    int turns;
    double seconds;
    uint64_t lateness_ns_p50, lateness_ns_p99, lateness_ns_p999, lateness_ns_max;
    int64_t slack_ns_min; /* INT64_MAX: none yet */
    uint64_t misses_total, misses[TAKT_MISS_CAUSES];
    enum odds_verdict verdict;
};

/* Counters of the machine's own. -1: not told. */
struct doctor_counters {
    int64_t ticks, ticks_stolen;
    int64_t throttled;  /* times that a control group's quota stopped it */
    int64_t waited_us;  /* some thread waited for a CPU */
    int64_t interrupts; /* on the line of doctor_irq */
};

struct doctor_measured {
    struct doctor_size sizes[BLOCKS_MAX];
    int size_count;
    double seconds; /* of all sizes together */
    struct takt_sched sched;
    int64_t switches, faults_major, faults_minor; /* of the device threads; involuntary switches */
    struct doctor_counters before, after;
    int64_t took_ns; /* between the two */
};

enum doctor_end { DOCTOR_DONE = 0, DOCTOR_USER, DOCTOR_ERROR };

/* ---- What follows -----------------------------------------------------------------------------
 */

enum doctor_verdict {
    DOCTOR_NOTE = 0, /* to be known, neither good nor bad */
    DOCTOR_GOOD,
    DOCTOR_UNKNOWN, /* not readable here */
    DOCTOR_MINOR,
    DOCTOR_NOTABLE,
    DOCTOR_SERIOUS,
    DOCTOR_VERDICTS
};

struct doctor_finding {
    const char *group, *id, *name; /* "kernel", "preemption", "kernel preemption" */
    char is[160], wanted[32];
    enum doctor_verdict verdict;
};

/* What the measurement says of a cause. */
enum doctor_seen {
    DOCTOR_NOT_SEEN = 1, /* nothing was late, or its own counter stood still */
    DOCTOR_POSSIBLE,     /* wake-ups were late, and nothing counts this cause */
    DOCTOR_SEEN          /* its own counter moved meanwhile */
};

struct doctor_advice {
    const char *id;
    enum doctor_verdict severity; /* DOCTOR_MINOR to DOCTOR_SERIOUS */
    enum doctor_seen seen;
    int effect;     /* what they are ordered by; see doctor_effect */
    char what[240]; /* to do */
    char why[240];  /* with the figure that was read or measured */
};

enum { DOCTOR_FINDINGS_MAX = 48, DOCTOR_ADVICE_MAX = 32 };

struct doctor {
    const struct options *options;
    const char *root; /* "" is this machine */
    struct doctor_rights rights;
    struct doctor_cpu cpu;
    struct doctor_kernel kernel;
    struct doctor_irq irq;
    struct doctor_sound sound;
    struct doctor_measured measured;
    enum doctor_end end;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    int finding_count;
    struct doctor_advice advice[DOCTOR_ADVICE_MAX];
    int advice_count;
    int best; /* of the sizes, or -1 */
    bool best_is_safe;
    struct terminal terminal;
    struct signals signals;
};

/* ---- The subjects. read: from files under the root. ask: the live system. judge: neither -------
 */

void doctor_rights_read(struct doctor *d);
void doctor_rights_ask(struct doctor *d); /* starts a thread of takt's; asks rtkit */
void doctor_rights_judge(struct doctor *d);
void doctor_cpu_read(struct doctor *d);
void doctor_cpu_judge(struct doctor *d);
void doctor_kernel_read(struct doctor *d);
void doctor_kernel_judge(struct doctor *d);
void doctor_irq_read(struct doctor *d);
void doctor_irq_judge(struct doctor *d);
void doctor_sound_read(struct doctor *d);
void doctor_sound_ask(struct doctor *d); /* looks for sound servers */
void doctor_sound_judge(struct doctor *d);
void doctor_blocks_judge(struct doctor *d); /* before the others: they look at d->best */

/* The counters as they are now. */
void doctor_rights_count(const struct doctor *d, struct doctor_counters *c);
void doctor_cpu_count(const struct doctor *d, struct doctor_counters *c);
void doctor_irq_count(const struct doctor *d, struct doctor_counters *c);

/* Does the device thread run in real time? */
bool doctor_is_realtime(const struct doctor *d);

/* The control group's folder that says how much CPU there is, or "" (version 1 or 2). */
struct doctor_group {
    char folder[512];
    int version; /* 0: none found */
};
void doctor_group_read(const struct doctor *d, struct doctor_group *g);

/* The highest priority that rtkit lends; 0, and why, where it does not answer within a second. */
int doctor_rtkit_priority(char *why, size_t size);

/* ---- doctor_measure.c --------------------------------------------------------------------------
 */

/* Measures for the time that the options say, all sizes in turns. 0, or the exit status after
 * saying why; d->end says whether it was the user. */
int doctor_measure(struct doctor *d);

/* ---- doctor_advice.c ---------------------------------------------------------------------------
 */

void doctor_find(struct doctor *d, const char *group, const char *id, const char *name,
                 enum doctor_verdict verdict, const char *wanted, const char *is, ...)
    __attribute__((format(printf, 7, 8)));
void doctor_unknown(struct doctor *d, const char *group, const char *id, const char *name);

/* counter: by how much the cause's own counter rose while measuring; -1 where there is none. The
 * rest is what to do; why follows with doctor_because, which adds what was measured. */
struct doctor_advice *doctor_advise(struct doctor *d, const char *id, enum doctor_verdict severity,
                                    int64_t counter, const char *what, ...)
    __attribute__((format(printf, 5, 6)));
void doctor_because(const struct doctor *d, struct doctor_advice *a, const char *why, ...)
    __attribute__((format(printf, 3, 4)));

/* The rule of the order: severity (minor 1, notable 3, serious 9) times what the measurement shows
 * (1 to 3, enum doctor_seen). So evidence lifts a piece of advice by one class at most; of equal
 * effects the more severe comes first, and then the one that was looked at first. */
int doctor_effect(enum doctor_verdict severity, enum doctor_seen seen);
extern const char *const doctor_rule;

/* Judges everything and orders the advice. */
void doctor_judge(struct doctor *d);

/* The latest wake-up, and whether it is one that the smallest size would call late: after more than
 * half a block. */
uint64_t doctor_latest_ns(const struct doctor *d);
bool doctor_was_late(const struct doctor *d);
double doctor_block_ms(uint32_t frames);

/* Shares over the measurement, or NAN. */
double doctor_steal(const struct doctor *d);
double doctor_waited(const struct doctor *d);
/* By how much a counter rose, or -1. */
int64_t doctor_rise(int64_t before, int64_t after);

const char *doctor_verdict_name(enum doctor_verdict v);
const char *doctor_seen_name(enum doctor_seen s);

/* ---- doctor_report.c ---------------------------------------------------------------------------
 */

void doctor_print(const struct doctor *d);
/* One line that sums it up. */
void doctor_verdict_text(const struct doctor *d, char *to, size_t size);

#endif
