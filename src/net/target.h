/*
 * net/target.h - how much later than at the earliest to play: the delay that costs least, when one
 * packet that comes too late costs as much as lambda_ms of delay.
 *
 *     takt_target_create(&(struct takt_target_cfg){.late_ratio = 0.003}, &t);
 *     takt_target_update(t, late_ns, packet_ns); // each packet, as it arrives
 *     play_ns = takt_envelope_due(&e, frames) + takt_target_delay_ns(t);
 *
 * Lateness is the envelope's (net/envelope.h). Only what arrives is counted: packets that are lost
 * never raise the delay, and one that is late counts when it comes. One spike hardly moves it.
 *
 * Pure: no clock is asked. Thread: one at a time.
 */
#ifndef TAKT_NET_TARGET_H
#define TAKT_NET_TARGET_H

#include <stdint.h>

struct takt_target;

/* A zero field takes its default. */
struct takt_target_cfg {
    double lambda_ms;      /* 10..1e6, default 2000: 1 % late is worth 20 ms */
    double late_ratio;     /* 1e-5..0.5: instead, the least delay that leaves this share late;
                            * default: none, by lambda_ms */
    double latency_ms;     /* 0.01..1000: always this delay; default: found */
    double latency_ms_max; /* 1..1000, default 1000 */
};

/* The only call that allocates.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
int takt_target_create(const struct takt_target_cfg *cfg, struct takt_target **out);

/* t may be NULL. RT: no. */
void takt_target_destroy(struct takt_target *t);

/* Another sender, or another path: all that was learnt is forgotten.
 * RT: yes (wait-free), O(grid). */
void takt_target_restart(struct takt_target *t);

/* A packet that lasts packet_ns arrived late_ns after the earliest time. Below 0 is taken as 0.
 * RT: yes (wait-free), O(grid): below a microsecond, and some ten when packet_ns changes. */
void takt_target_update(struct takt_target *t, int64_t late_ns, int64_t packet_ns);

/* The delay wished for now; before the first packet, some 5 ms. RT: yes (wait-free), O(1). */
int64_t takt_target_delay_ns(const struct takt_target *t);

/* What one late packet costs, in ms of delay. RT: yes (wait-free), O(1). */
double takt_target_lambda_ms(const struct takt_target *t);

#endif
