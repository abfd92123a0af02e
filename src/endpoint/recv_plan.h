/*
 * endpoint/recv_plan.h - from the settings of a receiver to where it listens, whom it believes and
 * what packets are.
 */
#ifndef TAKT_ENDPOINT_RECV_PLAN_H
#define TAKT_ENDPOINT_RECV_PLAN_H

#include "endpoint/common.h"
#include "net/inlet.h"
#include "takt/recv.h"

struct takt_recv_plan {
    struct takt_inlet_cfg inlet; /* points into here; .begin and the like are the caller's */
    struct takt_key key;
    struct takt_srtp_key srtp_key;
    struct takt_session_packets formats[TAKT_RECEIVER_FORMATS_MAX];
    char cname[TAKT_RECV_NAME_MAX];
    struct takt_address
        at[TAKT_ENDPOINT_PORTS]; /* RTP; then as far as there are ports: RTCP, repair */
    struct takt_address sender;
    uint32_t rate_hz, channels, frames_max;
    char warning[200]; /* or "" */
};

/* Checks and fills in all of it, reads the SDP and looks names up. Errors: as takt_recv_create().
 * RT: no. */
int takt_recv_plan(const struct takt_recv_cfg *cfg, struct takt_recv_plan *out,
                   struct takt_error *e);

/* Wipes the keys. RT: no. */
void takt_recv_plan_wipe(struct takt_recv_plan *p);

/* Reads "97=L24/48000/2". Errors: TAKT_ERR_ARG. RT: no. */
int takt_recv_parse_format(const char *text, struct takt_session_packets *out,
                           struct takt_error *e);

#endif
