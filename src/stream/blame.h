/*
 * stream/blame.h - why a block missed: the contract's judgement, of plain values alone, so that
 * every way it can go can be tried.
 *
 * The first of these that holds is to blame: the block before, when that missed its own deadline
 * and held this one up, which alone would have been in time; a wake-up more than half a period
 * late, counted from when the block before had ended; a call that the callback must not make; page
 * faults; preemption; else the callback. Each but the first two has to explain half of the excess,
 * the time after the deadline. A host that lost frames, an input or an output that fell short are
 * to blame only in a block that was in time.
 */
#ifndef TAKT_STREAM_BLAME_H
#define TAKT_STREAM_BLAME_H

#include "rt/guard.h"
#include "takt/contract.h"

/* What the engine knows of a block beside its times. */
enum {
    TAKT_CONTRACT_HOST_XRUN = 1 << 0,
    TAKT_CONTRACT_STARVED = 1 << 1,
    TAKT_CONTRACT_WORKER_FULL = 1 << 2
};

/* What the kernel did to the thread since the last look, which may be many blocks ago. */
struct takt_blame_kernel {
    uint64_t minor_faults, major_faults, switches; /* these involuntary */
};

struct takt_blame_block {
    int64_t due_ns, woken_ns, deadline_ns, end_ns;
    int64_t late_wake_ns;               /* from here on a wake-up is late */
    uint32_t flags;                     /* as above */
    int64_t last_end_ns, last_slack_ns; /* of the block before … */
    enum takt_miss_cause last_cause;    /* … and of the last miss */
    struct takt_blame_kernel kernel;
    int64_t fault_ns;                 /* what a minor fault can cost */
    int preempted;                    /* as takt_preempt_check() says, in this block */
    bool has_moved;                   /* to another CPU, in this block */
    const struct takt_evidence *seen; /* of a guard, in this block; NULL: there is none */
};

struct takt_blame {
    enum takt_miss_cause cause;
    bool is_inherited; /* from the miss before */
    bool is_open;      /* only its times speak for it: it may have been the hypervisor */
};

/* False when nothing went wrong; *out is untouched then. RT: yes (wait-free). */
bool takt_blame(const struct takt_blame_block *b, struct takt_blame *out);

/* How much the hypervisor has to have taken to be blamed instead for an open miss.
 * RT: yes (wait-free). */
int64_t takt_blame_stolen_ns(const struct takt_miss *m);

#endif
