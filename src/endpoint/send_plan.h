/*
 * endpoint/send_plan.h - from the settings of a sender to what its packets are, where they go, and
 * how that is told to others.
 */
#ifndef TAKT_ENDPOINT_SEND_PLAN_H
#define TAKT_ENDPOINT_SEND_PLAN_H

#include "endpoint/common.h"
#include "net/outlet.h"
#include "takt/send.h"

enum { TAKT_SEND_SDP_BYTES = 4096 };

struct takt_send_plan {
    struct takt_outlet_cfg outlet; /* .key and .srtp_key point into here, .cname too */
    struct takt_key key;
    struct takt_srtp_key srtp_key;
    char cname[TAKT_ENDPOINT_CNAME_BYTES];
    bool is_encrypted;

    /* Destination d's ports are to[3 * d + kind], with .mux all three the same. */
    struct takt_address to[TAKT_SEND_TO_MAX * TAKT_ENDPOINT_PORTS];
    uint32_t to_count;        /* destinations */
    struct takt_address from; /* none: the system's choice */
};

/* Checks and fills in all of it, and looks names up. Errors: as takt_send_create(). RT: no. */
int takt_send_plan(const struct takt_send_cfg *cfg, struct takt_send_plan *out,
                   struct takt_error *e);

/* Wipes the keys. RT: no. */
void takt_send_plan_wipe(struct takt_send_plan *p);

/* The session description, with a NUL; returns its length. out->secret: it holds a key.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_FULL. RT: no. */
int takt_send_write_sdp(const struct takt_send_cfg *cfg, const struct takt_send_plan *p,
                        const struct takt_session_packets *packets, char *out, size_t room,
                        struct takt_error *e);

/* This machine's address on the way to that one; none when there is no way. RT: no. */
void takt_send_own_address(const struct takt_address *to, struct takt_address *out);

#endif
