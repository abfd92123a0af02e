/*
 * takt/simulate_net.h - hours of sound over a network with faults, on virtual clocks, from one
 * seed: a sender, both directions of a path, and a receiver.
 *
 *     struct takt_simulate_net_cfg c = {.seed = 7, .hours = 1};
 *     struct takt_simulate_net_report r;
 *     struct takt_error e;
 *     if (takt_simulate_net_option(&c, "loss", "0.05", &e) < 0 ||
 *         takt_simulate_net_option(&c, "jitter", "gamma:5,5", &e) < 0 ||
 *         takt_simulate_net(&c, &r, &e) < 0)
 *         return takt_die(&e);
 *     if (r.broken)
 *         printf("scenario %llu, %.3f s: %s\n", r.scenario, r.time_s, r.text);
 *
 * With options there is one stream, for all the hours. Without any there is a row of scenarios of
 * one to ten minutes, each with a stream and faults of its own, all drawn from the seed and the
 * scenario's number, so that any of them can be run again alone. With .trace the arrivals are those
 * that were recorded.
 *
 * Every frame can be told from every other, and after each pull it is checked that
 *
 *     frames come in order, none twice, and are those that were sent, where nothing was concealed
 *     or resampled; and the latency that is told is that which they had
 *     every packet is counted once: played, late, lost, skipped or waiting
 *     silence is no longer than its cause and 100 ms; the cause is that the network, the sender or
 *     the receiver stood still
 *     the delay does not run away, and the one wished for is never above what was allowed
 *     no sample is out of bounds, and where all is well no step is larger than the sound's own
 *     memory does not move but when a sender begins
 */
#ifndef TAKT_SIMULATE_NET_H
#define TAKT_SIMULATE_NET_H

#include "takt/error.h"
#include "takt/recv.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TAKT_SIMULATE_NET_OPTIONS_MAX = 32,
    TAKT_SIMULATE_NET_NAME_MAX = 16,
    TAKT_SIMULATE_NET_VALUE_MAX = 64
};

/* What can be asked for by name. */
struct takt_simulate_net_info {
    const char *name;    /* "loss" */
    const char *form;    /* of its value: "SHARE"; capitals stand for numbers */
    const char *meaning; /* one line */
    bool is_fault;       /* else it says what is sent and how it is received */
};

/* By index, faults first; NULL behind the last one. Valid until the thread ends. Thread: any.
 * RT: no. */
TAKT_API const struct takt_simulate_net_info *takt_simulate_net_info(uint32_t index);

struct takt_simulate_net_report;

/* A zero field takes its default. */
struct takt_simulate_net_cfg {
    uint64_t seed; /* default 1 */
    double hours;  /* of virtual time; default 1 */
    bool only_one; /* of a row, this scenario alone, however long it is */
    uint64_t scenario;
    const char *trace;      /* a file of lines "arrival_ns rtp_timestamp"; lines that begin with '#'
                             * say nothing. Lines in any order; hours and faults have no meaning */
    uint32_t trace_rate_hz; /* of its timestamps, 1000..1000000; default 48000 */
    /* By takt_simulate_net_option(). */
    struct {
        char name[TAKT_SIMULATE_NET_NAME_MAX], value[TAKT_SIMULATE_NET_VALUE_MAX];
    } option[TAKT_SIMULATE_NET_OPTIONS_MAX];
    uint32_t options_count;
    /* Of one stream once a virtual second, of a row after each scenario; false ends the run. May be
     * NULL. */
    bool (*progress)(const struct takt_simulate_net_report *so_far, void *arg);
    /* A line on each scenario. May be NULL. */
    void (*tell)(const char *line, void *arg);
    void *arg;
};

/* Sets an option. Errors: TAKT_ERR_NOT_FOUND: no such name; TAKT_ERR_ARG: no such value; with one
 * line that says what to give instead, and cfg is as it was. Thread: any. RT: no. */
TAKT_API int takt_simulate_net_option(struct takt_simulate_net_cfg *cfg, const char *name,
                                      const char *value, struct takt_error *e);

/* What the path did, of packets and their copies. */
struct takt_simulate_net_path {
    uint64_t sent, delivered, lost, dropped, duplicated, reordered, corrupted, truncated;
};

struct takt_simulate_net_report {
    uint64_t seed;
    double virtual_hours, seconds; /* in all; of the last scenario */
    uint64_t scenarios;
    uint64_t frames; /* that were heard or stood in for */
    struct takt_simulate_net_path path;
    uint64_t restarts, stalls, jumps; /* of senders; of receivers; of wall clocks */
    /* As takt recv has them: counts and ratios of all scenarios, the source of the last one.
     * Latency and lateness are quantiles over all of it. */
    struct takt_recv_stats stats;
    /* What the delay costs: its mean over all packets, and lambda for each that was late. */
    double delay_ms_mean, late_ratio, cost_ms;
    uint64_t hash; /* of what was heard */
    bool broken;   /* an invariant did not hold: */
    uint64_t scenario;
    double time_s;
    char text[200];
};

/* Runs until the virtual hours are over, an invariant breaks, or progress says so. The same
 * settings give the same report. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; TAKT_ERR_IO and
 * TAKT_ERR_FORMAT of the trace, with the line's number; a broken invariant is none of them. An
 * assertion that fails still aborts the process.
 * Thread: any, one at a time, since the process's memory is looked at. RT: no. */
TAKT_API int takt_simulate_net(const struct takt_simulate_net_cfg *cfg,
                               struct takt_simulate_net_report *out, struct takt_error *e);

/* Where the simulation that is running is, for a handler of fatal signals.
 * Thread: any. RT: yes (wait-free). */
TAKT_API void takt_simulate_net_where(uint64_t *scenario, double *time_s);

#ifdef __cplusplus
}
#endif
#endif
