/*
 * rt/steal.h - how much time the hypervisor took from each CPU, and when.
 *
 * A thread of the process reads /proc/stat (proc(5): the eighth number of a line cpuN, in ticks)
 * some twenty times a second while somebody follows; the device thread only compares what it left
 * behind. On a machine that no hypervisor has, nobody reads anything.
 */
#ifndef TAKT_RT_STEAL_H
#define TAKT_RT_STEAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAKT_STEAL_KEPT = 64, TAKT_STEAL_CPUS = 256 };

/* One writer. Sample n is in place n % TAKT_STEAL_KEPT; begun and ended are when it was taken. */
struct takt_steal {
    _Atomic uint64_t count;
    _Atomic uint32_t cpus;
    _Atomic int64_t begun_ns[TAKT_STEAL_KEPT], ended_ns[TAKT_STEAL_KEPT];
    _Atomic int64_t stolen_ns[TAKT_STEAL_CPUS][TAKT_STEAL_KEPT];
};

/* Adds a sample: so much has been taken from each CPU since the machine began. One thread at a
 * time. RT: yes, O(cpus). */
void takt_steal_add(struct takt_steal *s, int64_t begun_ns, int64_t ended_ns,
                    const int64_t *stolen_ns, uint32_t cpus);

enum takt_steal_say {
    TAKT_STEAL_UNKNOWN, /* nor will it be */
    TAKT_STEAL_NOT_YET, /* the sample after it is still to come */
    TAKT_STEAL_KNOWN
};

/* How much was taken from that CPU between the last sample before from and the first one behind to;
 * an upper bound of what was taken in between, but for a tick. RT: yes (wait-free),
 * O(TAKT_STEAL_KEPT). */
enum takt_steal_say takt_steal_between(const struct takt_steal *s, int cpu, int64_t from_ns,
                                       int64_t to_ns, int64_t *stolen_ns);

/* The numbers in the text of /proc/stat; returns how many CPUs it has, at most max. RT: no. */
uint32_t takt_steal_read(const char *text, int64_t *stolen_ns, uint32_t max);

/* From here on the process's own record is kept, until as many calls of leave as of follow.
 * NULL where nobody can steal. Thread: control. RT: no. */
const struct takt_steal *takt_steal_follow(void);
void takt_steal_leave(void);

/* Takes a sample now, beside those that come by themselves. Thread: control, one that follows.
 * RT: no. */
void takt_steal_sample(void);

#endif
