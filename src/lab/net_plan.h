/*
 * lab/net_plan.h - one stream over a network: what is sent, how it is received, and what goes wrong
 * on the way; drawn from a seed and a number, or told by options.
 */
#ifndef TAKT_LAB_NET_PLAN_H
#define TAKT_LAB_NET_PLAN_H

#include "codec/codec.h"
#include "sim/network.h"
#include "takt/simulate_net.h"

/* What the network has no part in. Each comes at random, on average so often; 0: never. */
struct takt_lab_net_faults {
    double drift_ppm;     /* the sender's clock is so much slower than the receiver's, */
    double drift_every_s; /* and by another part of that from time to time */
    double restart_every_s;
    double stall_every_s, stall_s;
    double jump_every_s, jump_ms; /* of both wall clocks, each by so much at most */
};

struct takt_lab_net_plan {
    uint64_t seed, number;
    double seconds;
    struct takt_codec_format format;
    double packet_ms;           /* asked for; 0: format.frames stands */
    uint32_t block_frames;      /* of the sender's device */
    uint32_t out_hz, out_block; /* of the receiver's */
    bool has_pauses;            /* the sound stops from time to time */
    bool is_helped;             /* concealment is prepared ahead of time */
    bool is_encrypted;
    bool is_told;            /* the receiver knows the format beforehand */
    uint32_t copies, repair; /* RED; repair packets to each block of them */
    double late_ratio, latency_ms, latency_ms_max, lambda_ms;
    struct takt_network_cfg network;
    struct takt_lab_net_faults faults;
};

/* The stream of which nobody has said anything: L16, mono, 48 kHz, 5 ms, blocks of 240 frames. */
void takt_lab_net_usual(struct takt_lab_net_plan *p);

/* Returns 0. Errors: TAKT_ERR_NOT_FOUND, TAKT_ERR_ARG; *p is as it was. */
int takt_lab_net_apply(struct takt_lab_net_plan *p, const char *name, const char *value,
                       struct takt_error *e);

/* What takt_lab_net_apply() left open, and whether all fits together. Errors: TAKT_ERR_ARG. */
int takt_lab_net_settle(struct takt_lab_net_plan *p, struct takt_error *e);

/* Scenario `number` of a row. */
void takt_lab_net_draw(struct takt_lab_net_plan *p, uint64_t seed, uint64_t number);

/* A line on what it is. Returns its length. */
int takt_lab_net_describe(const struct takt_lab_net_plan *p, char *to, size_t room);

/* The longest that the network delays a packet on its own account, in ms; HUGE_VAL where nobody can
 * say. What stands still is not in it. */
double takt_lab_net_reach_ms(const struct takt_lab_net_plan *p);

#endif
