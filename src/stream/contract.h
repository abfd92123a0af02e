/*
 * stream/contract.h - the writing side of the deadline record, for the engine.
 *
 * Thread: device, unless said otherwise. RT: yes (wait-free). No system call, but one getrusage
 * after a missed deadline, on a real clock.
 */
#ifndef TAKT_STREAM_CONTRACT_H
#define TAKT_STREAM_CONTRACT_H

#include "takt/contract.h"

/* What the engine knows of a block beside its times. */
enum {
    TAKT_CONTRACT_HOST_XRUN = 1 << 0,
    TAKT_CONTRACT_STARVED = 1 << 1,
    TAKT_CONTRACT_WORKER_FULL = 1 << 2
};

struct takt_contract_cfg {
    bool virtual_clock; /* times are a model's: ask neither the kernel nor the CPU for causes */
};

/* Thread: control. RT: no. */
int takt_contract_create(const struct takt_contract_cfg *cfg, struct takt_contract **out,
                         struct takt_error *e);
void takt_contract_destroy(struct takt_contract *c);
void takt_contract_reset(struct takt_contract *c);

/* Once, on the device thread, before its first block. */
void takt_contract_enter(struct takt_contract *c);

/* A block begins: woken at now for what was due at due; to be finished by deadline. */
void takt_contract_begin(struct takt_contract *c, int64_t due_ns, int64_t now_ns,
                         int64_t deadline_ns);

/* And ends. position: the frame after it; flags as above; lost_frames: before it. */
void takt_contract_end(struct takt_contract *c, int64_t end_ns, uint64_t position, uint32_t flags,
                       uint64_t lost_frames);

/* The device's rate as measured. */
void takt_contract_rate(struct takt_contract *c, double rate_hz);

#endif
