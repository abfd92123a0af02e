/*
 * takt/contract.h - was every block ready in time, by how much, and if not, why not.
 *
 *     struct takt_contract_snapshot now;
 *     takt_contract_read(takt_stream_contract(s), &now);
 *     printf("%llu blocks, %llu misses, worst slack %lld ns\n", now.blocks, now.misses_total,
 *            now.slack_ns_min);
 *
 * docs/CONTRACT.md tells what each number means. The record is always on; its one writer is the
 * device thread, and reading it takes no lock and disturbs nothing.
 */
#ifndef TAKT_CONTRACT_H
#define TAKT_CONTRACT_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_contract;

/* A missed deadline has the first of these causes that holds: the block before (when that missed
 * its own and held this one up, and this one alone would have been in time: then its cause is this
 * one's), late wake, blocking call, page fault, preempted, overran. Where only its times spoke for
 * late wake or overran, it is renamed to stolen once that is known, at most a quarter of a second
 * later (on a machine with a hypervisor, which alone steals). */
enum takt_miss_cause {
    TAKT_MISS_OVERRAN = 0,   /* the callback was too slow by itself */
    TAKT_MISS_LATE_WAKE,     /* woken more than half a period late */
    TAKT_MISS_PREEMPTED,     /* taken off the CPU for half of the excess; without a guard: its flag
                                says so, and the kernel's count or another CPU's number */
    TAKT_MISS_PAGE_FAULT,    /* the kernel had to bring memory in, so often that it can have cost
                                half of the excess */
    TAKT_MISS_BLOCKING_CALL, /* seen by a guard only (takt/guard.h): it waited in a call, or a call
                                took half of the excess */
    TAKT_MISS_HOST_XRUN,     /* the device lost frames although we were in time */
    TAKT_MISS_STOLEN,        /* the hypervisor took more than half of the excess from this CPU */
    TAKT_MISS_STARVED,       /* the source had nothing in time: a disk or a network that stalls */
    TAKT_MISS_WORKER_FULL,   /* a sink's queue had no room */
    TAKT_MISS_CAUSES
};

/* "overran", "late_wake", …: the names in JSON. Never NULL. Thread: any. RT: yes. */
TAKT_API const char *takt_miss_name(enum takt_miss_cause cause);

/* The same for people: "the callback took too long". Never NULL. Thread: any. RT: yes. */
TAKT_API const char *takt_miss_words(enum takt_miss_cause cause);

struct takt_miss {
    uint64_t number; /* since start, from 0 */
    enum takt_miss_cause cause;
    uint64_t position;   /* of the end of the block, in frames since start */
    int64_t time_ns;     /* when the block ended, on the stream's clock */
    int64_t lateness_ns; /* woken after due */
    int64_t duration_ns;
    int64_t slack_ns;     /* negative: so long after the deadline */
    uint64_t lost_frames; /* lost before this block */
};

enum { TAKT_MISSES_KEPT = 64 };

struct takt_contract_snapshot {
    uint64_t blocks;
    uint64_t frames;       /* in these blocks, lost ones not counted */
    uint64_t misses_total; /* the sum of misses */
    uint64_t misses[TAKT_MISS_CAUSES];
    uint64_t lost_frames;
    uint64_t lateness_ns_p50, lateness_ns_p99, lateness_ns_p999, lateness_ns_max;
    uint64_t duration_ns_p50, duration_ns_p99, duration_ns_p999, duration_ns_max;
    int64_t slack_ns_min, slack_ns_p001, slack_ns_p01, slack_ns_p50;
    double cpu_load;         /* smoothed duration over period */
    double rate_measured_hz; /* of the device, by the delay-locked loop; 0 before it is known */
    double drift_ppm;        /* of that from the nominal rate; 0 before it is known */
    bool virtual_clock;      /* the times are the model's, not the machine's */
};

/* Quantiles are at most 1/32 off, to the unfavourable side; min and max are exact. Beside a running
 * stream each number is whole, but two may be from neighbouring blocks. c may be NULL: all 0.
 * Thread: any. RT: no (it walks the histograms, some microseconds). */
TAKT_API void takt_contract_read(const struct takt_contract *c, struct takt_contract_snapshot *out);

/* Copies up to max of the newest TAKT_MISSES_KEPT misses, oldest first, and returns how many. One
 * that is being overwritten meanwhile is left out, never torn. c may be NULL: none.
 * Thread: any. RT: yes, O(max). */
TAKT_API int takt_contract_last_misses(const struct takt_contract *c, struct takt_miss *out,
                                       int max);

/* How many there were since start: takt_miss.number of the next one. c may be NULL: 0.
 * Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_contract_miss_count(const struct takt_contract *c);

/* Some blocks that follow each other, in a picture of all since start. */
struct takt_contract_column {
    uint64_t from, until; /* the first frame of the first block, and the one after the last */
    uint64_t misses;
    int64_t slack_ns_min, slack_ns_max;
    int64_t duration_ns_min, duration_ns_max;
    int64_t lateness_ns_max;
};

enum { TAKT_COLUMNS_MAX = 512 };

/* Copies the last max columns, oldest first, and returns how many; TAKT_COLUMNS_MAX are always all
 * of them. As many blocks go into each but the last, a power of two that grows with the run. c may
 * be NULL: none. Thread: any. RT: no (it copies 32 KB). */
TAKT_API int takt_contract_timeline(const struct takt_contract *c, struct takt_contract_column *out,
                                    int max);

/* The histograms themselves (takt/hist.h), growing while the stream runs. c may be NULL: all NULL.
 * Thread: any. RT: yes (wait-free). */
struct takt_hist;
struct takt_hist_signed;
struct takt_contract_hists {
    const struct takt_hist *lateness, *duration;
    const struct takt_hist_signed *slack;
};
TAKT_API void takt_contract_hists(const struct takt_contract *c, struct takt_contract_hists *out);

/* Smoothed duration over the block's own time (time constant 0.5 s), alone. Thread: any. RT: yes.
 */
TAKT_API double takt_contract_cpu_load(const struct takt_contract *c);

/* Write what snprintf would: NUL-ended, cut when size is too small, and return the length that it
 * would have had. text: a few lines for people. json: one object with misses, lateness_us,
 * duration_us, slack_us, lost_frames, cpu_load, rate_measured_hz, drift_ppm and clock. The same in
 * every locale. Thread: any. RT: no. */
TAKT_API int takt_contract_text(const struct takt_contract_snapshot *s, char *to, size_t size);
TAKT_API int takt_contract_json(const struct takt_contract_snapshot *s, char *to, size_t size);

/* One miss in a line: "the callback took too long before frame 4096: woken 20.0 us late, took 2.10
 * ms, ended 0.80 ms after the deadline". RT: no. */
TAKT_API int takt_miss_text(const struct takt_miss *m, char *to, size_t size);

#ifdef __cplusplus
}
#endif
#endif
