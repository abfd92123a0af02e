/*
 * endpoint/sap.h - tells the network now and then that there is a session (SAP, RFC 2974).
 * Thread: one at a time. RT: no.
 */
#ifndef TAKT_ENDPOINT_SAP_H
#define TAKT_ENDPOINT_SAP_H

#include "io/address.h"

#include <stddef.h>

struct takt_announcer;

/* sdp is copied. from: the announcer, as receivers know it. Errors: those of takt_udp_open(),
 * TAKT_ERR_NOMEM; *out is NULL then. */
int takt_announcer_create(const struct takt_address *from, const char *sdp, size_t sdp_bytes,
                          uint32_t hops, struct takt_announcer **out, struct takt_error *e);

/* Says that the session is over. NULL is fine. */
void takt_announcer_destroy(struct takt_announcer *a);

/* Announces when it is time: at once, and then every 30 s. */
void takt_announcer_tick(struct takt_announcer *a, int64_t now_ns);

#endif
