/*
 * stream/contract.h - the writing side of the deadline record, for the engine.
 *
 *     takt_contract_enter(c);                  // on the device thread, once
 *     takt_contract_begin(c, &(struct takt_contract_block){...});
 *     ... the callback ...
 *     takt_contract_end(c, now_ns, position, flags, lost_frames);
 *
 * Thread: device, unless said otherwise. RT: yes (wait-free). On a real clock it makes one system
 * call (getrusage, 0.3 us) when a block missed its deadline, and one after the first 100 blocks;
 * no other, and none on a virtual clock. What the hypervisor took is read elsewhere (rt/steal.h).
 */
#ifndef TAKT_STREAM_CONTRACT_H
#define TAKT_STREAM_CONTRACT_H

#include "rt/guard.h"
#include "rt/steal.h"
#include "stream/blame.h"
#include "takt/contract.h"

/* A zero rate or period leaves out what needs it: load and drift, late wake-ups. */
struct takt_contract_cfg {
    uint32_t rate_hz;       /* nominal */
    uint32_t period_frames; /* between two wake-ups, at most */
    bool virtual_clock;     /* times are a model's: ask neither the kernel nor the CPU for causes */
};

/* The times of one block, ns on the stream's clock. Several blocks of one cycle share due, woken
 * and deadline. */
struct takt_contract_block {
    int64_t due_ns;      /* when the device meant to wake us */
    int64_t woken_ns;    /* when it did */
    int64_t begun_ns;    /* when this block began: woken_ns, or when the one before it ended */
    int64_t deadline_ns; /* when it has to be finished */
    uint32_t frames;
};

/* Errors: TAKT_ERR_NOMEM; *out is NULL then. Thread: control. RT: no. */
int takt_contract_create(const struct takt_contract_cfg *cfg, struct takt_contract **out,
                         struct takt_error *e);
void takt_contract_destroy(struct takt_contract *c);

/* Forgets everything. Thread: control, while no block runs; readers may read. RT: no. */
void takt_contract_reset(struct takt_contract *c);

/* From here until rest the misses are compared with what the hypervisor took; on a virtual clock
 * nothing is. steal: for tests, the record to take instead of this process's own; NULL: that.
 * Thread: control, while no block runs. RT: no. */
void takt_contract_follow(struct takt_contract *c, const struct takt_steal *steal);
void takt_contract_rest(struct takt_contract *c);

/* Once, on the device thread, before its first block. One system call. seen: what a guard sees of
 * this thread, NULL where there is none; up to date at each end. */
void takt_contract_enter(struct takt_contract *c, const struct takt_evidence *seen);

void takt_contract_begin(struct takt_contract *c, const struct takt_contract_block *b);

/* position: the frame after the block; flags as in stream/blame.h; lost_frames: before it. */
void takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position, uint32_t flags,
                       uint64_t lost_frames);

/* Behind takt_contract_end: the thread was busy until then with what delays no output of this
 * block. A next block that could not begin before has that to blame, not its own wake-up. */
void takt_contract_busy(struct takt_contract *c, int64_t until_ns);

/* From now on there are so many frames between two wake-ups. */
void takt_contract_period(struct takt_contract *c, uint32_t frames);

/* The device's rate, as it seems over the last so many frames. */
void takt_contract_rate(struct takt_contract *c, double rate_hz, uint32_t frames);

#endif
