/*
 * takt/simulate.h - hours of the whole engine under faults, on virtual clocks, from one seed.
 *
 *     struct takt_simulate_report r;
 *     struct takt_error e;
 *     if (takt_simulate(&(struct takt_simulate_cfg){.seed = 1, .hours = 10}, &r, &e) < 0)
 *         return takt_die(&e);
 *     if (r.broken)
 *         printf("scenario %llu, step %llu: %s\n", r.scenario, r.step, r.text);
 *
 * A run is a row of scenarios. Each is a stream with settings, a device and faults of its own, all
 * drawn from the seed and the scenario's number, so that any of them can be run again alone. Every
 * frame carries a number, and after each step (one host block) it is checked that
 *
 *     positions never go back, and say where the device's clock is
 *     no frame comes twice, none is missing without a count, and all are in order
 *     blocks have the size that was promised, their times fit those of the device
 *     every missed deadline leaves a record with a cause that was there, and nothing else does
 *     states follow their table, every event comes, and none that is not due
 *     a running stream's memory does not move, and all of it is given back
 *     a stop comes to its end, and no frame of what was written is missing then
 */
#ifndef TAKT_SIMULATE_H
#define TAKT_SIMULATE_H

#include "takt/error.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is injected. */
enum takt_fault {
    TAKT_FAULT_LATE_WAKE,  /* the device thread wakes up to 3 periods late */
    TAKT_FAULT_OVERRUN,    /* the callback takes up to 3 periods */
    TAKT_FAULT_LOST,       /* the device loses frames although nobody was late */
    TAKT_FAULT_XRUN,       /* it only says that it did */
    TAKT_FAULT_AWAY,       /* it is away for a while */
    TAKT_FAULT_HOST_BLOCK, /* its block is another one from now on */
    TAKT_FAULT_FREEWHEEL,  /* it goes faster than time for one block */
    TAKT_FAULT_STARVED,    /* a source has too little */
    TAKT_FAULT_FULL,       /* a sink has no room */
    TAKT_FAULT_DISK_SLOW,  /* a disk does nothing for seconds */
    TAKT_FAULT_DISK_FAILS, /* a disk is full or broken from now on */
    TAKT_FAULT_NO_MEMORY,  /* a piece of memory that create wants is not to be had */
    TAKT_FAULTS
};

struct takt_simulate_report {
    uint64_t seed;
    double virtual_hours;
    uint64_t scenarios, steps, blocks, frames;
    uint64_t faults[TAKT_FAULTS];
    uint64_t misses; /* of deadlines, all of them on record */
    uint64_t lost_frames;
    uint64_t hash; /* of all that the callbacks were given and the devices got */
    bool broken;   /* an invariant did not hold: */
    uint64_t scenario, step;
    char text[200];
};

struct takt_simulate_cfg {
    uint64_t seed; /* default 1 */
    double hours;  /* of virtual time; default 1 */
    bool only_one; /* this scenario alone, however long it is */
    uint64_t scenario;
    const char *folder; /* for the recordings of some scenarios; default $TMPDIR, else /tmp */
    /* After each scenario; false ends the run. May be NULL. */
    bool (*progress)(const struct takt_simulate_report *so_far, void *arg);
    /* A line on what happens, for each scenario and step. May be NULL. */
    void (*trace)(const char *line, void *arg);
    void *arg;
};

/* Runs scenarios until their virtual hours are over, an invariant breaks, or progress says so. The
 * same settings give the same report. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_IO,
 * TAKT_ERR_STATE when one is running already; a broken invariant is none of them. An assertion of
 * the engine that fails still aborts the process.
 * Thread: any, one at a time, and no other stream in the process beside it. RT: no. */
TAKT_API int takt_simulate(const struct takt_simulate_cfg *cfg, struct takt_simulate_report *out,
                           struct takt_error *e);

/* Where the simulation that is running is, for a handler of fatal signals.
 * Thread: any. RT: yes (wait-free). */
TAKT_API void takt_simulate_where(uint64_t *scenario, uint64_t *step);

/* "late_wake", the name in JSON. Never NULL. Thread: any. RT: yes. */
TAKT_API const char *takt_fault_name(enum takt_fault fault);

#ifdef __cplusplus
}
#endif
#endif
