/*
 * sim/network.h - one direction of a network on virtual time: packets go in when they are sent and
 * come out when they arrive, late, out of order, twice, damaged or never, all from one seed.
 *
 *     struct takt_network_cfg cfg = {0};
 *     takt_network_parse("loss", "0.05", &cfg, &e);
 *     takt_network_parse("jitter", "gamma:5,5", &cfg, &e);
 *     takt_network_create(&cfg, seed, &n, &e);
 *
 *     takt_network_send(n, now_ns, packet, bytes);
 *     while ((bytes = takt_network_next(n, now_ns, &arrival_ns, packet, sizeof packet)) > 0)
 *         takt_receiver_...(arrival_ns, packet, bytes);
 *
 * A packet passes, in this order: the partition, loss, the bottleneck, Wi-Fi; it may be doubled,
 * and each copy for itself is cut, damaged, and delayed by base delay, jitter, route, spike, and
 * held back; the path stands still; the order is kept or not. Chance is drawn for each fault
 * and each packet apart, so one packet's loss, jitter and damage are the same whatever other faults
 * there are.
 *
 * Seconds are those since the first packet was sent. Thread: one at a time.
 */
#ifndef TAKT_SIM_NETWORK_H
#define TAKT_SIM_NETWORK_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct takt_network;

enum takt_network_jitter {
    TAKT_JITTER_NONE = 0,
    TAKT_JITTER_UNIFORM, /* 0..a ms */
    TAKT_JITTER_GAMMA,   /* of mean a and standard deviation b ms */
    TAKT_JITTER_PARETO   /* a * (u^(-1/b) - 1) ms, u uniform: Lomax's; cut at a second */
};

/* Zero is a network without faults and without delay. Shares are of all packets, 0..1. */
struct takt_network_cfg {
    double loss;  /* share that is lost */
    double burst; /* mean number of packets lost in a row, by Gilbert's and Elliott's model with a
                   * bad state that loses all, 1..1e4; 0: each packet for itself */
    double delay_ms;
    enum takt_network_jitter jitter;
    double jitter_a, jitter_b; /* 0..10000 ms; the shape b of Pareto 0.1..100 */
    bool keeps_order; /* what is late holds up what comes behind it; else it is overtaken */
    double spike_every_s, spike_ms; /* one packet is so late, at random, on average so often */
    double wifi_slot_ms;            /* what is sent during a slot leaves at its end; slots are half
                                     * to one and a half times as long as this */
    double step_every_s, step_ms;   /* the route becomes so much longer, then shorter again */
    double still_every_s, still_ms; /* nothing arrives for so long, then all at once; the first time
                                     * after every_s */
    double reorder;   /* share that comes 1 to 3 packets later, whether the order is kept or not */
    double duplicate; /* share that comes twice */
    double corrupt;   /* share in which 1 or 3 bits are wrong */
    double truncate;  /* share that is cut, to 1 byte at least */
    double partition_at_s, partition_for_s; /* all that is sent from then on and so long is lost */
    double rate_kbit_s, queue_ms; /* the bottleneck, and how much waits there before it is dropped;
                                   * rate 0: there is none */
    uint32_t flight_max;          /* packets on their way, 1..2^20, default 4096 */
    uint32_t bytes_max;           /* of a packet, 1..65535, default 1500 */
};

/* Of packets and copies since create:
 * sent + duplicated = delivered + lost + queue_drops + in_flight. */
struct takt_network_stats {
    uint64_t sent;
    uint64_t delivered;
    uint64_t lost;        /* at random, or by the partition */
    uint64_t partitioned; /* these among them */
    uint64_t queue_drops; /* at the bottleneck, or because flight_max were on their way */
    uint64_t duplicated;
    uint64_t reordered; /* held back by `reorder` */
    uint64_t corrupted;
    uint64_t truncated;
    uint64_t in_flight; /* now */
};

/* What can be asked for by name, in the order above; ends with a NULL name. */
struct takt_network_option {
    const char *name, *form, *description;
};
extern const struct takt_network_option takt_network_options[];

/* Sets one fault from text in the form that takt_network_options tells. Errors: TAKT_ERR_NOT_FOUND:
 * no such name; TAKT_ERR_ARG; with the reason, and cfg is as it was. Thread: any. RT: no. */
int takt_network_parse(const char *name, const char *value, struct takt_network_cfg *cfg,
                       struct takt_error *e);

/* Whether a network can be made of it. Returns 0. Errors: TAKT_ERR_ARG with the reason. RT: no. */
int takt_network_check(const struct takt_network_cfg *cfg, struct takt_error *e);

/* Takes all the memory there will be, flight_max * bytes_max and some.
 * Errors: TAKT_ERR_ARG with the reason, TAKT_ERR_NOMEM; *out is NULL then. RT: no. */
int takt_network_create(const struct takt_network_cfg *cfg, uint64_t seed,
                        struct takt_network **out, struct takt_error *e);

/* n may be NULL. RT: no. */
void takt_network_destroy(struct takt_network *n);

/* Sends a packet. A time before that of the last packet is taken for that. Returns 0.
 * Errors: TAKT_ERR_ARG: 0 bytes, or more than bytes_max; nothing is counted then.
 * RT: yes, O(bytes + log flight). */
int takt_network_send(struct takt_network *n, int64_t send_ns, const uint8_t *packet, size_t bytes);

/* Hands out the next packet that arrived up to now_ns, by time and then in the order of sending.
 * Returns how many bytes; 0 when there is none. Errors: TAKT_ERR_FULL: more than room; it stays.
 * RT: yes, O(bytes + log flight). */
int takt_network_next(struct takt_network *n, int64_t now_ns, int64_t *arrival_ns, uint8_t *out,
                      size_t room);

/* When the next packet arrives; INT64_MAX when none is on its way. RT: yes, O(1). */
int64_t takt_network_next_ns(const struct takt_network *n);

/* RT: yes, O(1). */
struct takt_network_stats takt_network_stats(const struct takt_network *n);

#endif
