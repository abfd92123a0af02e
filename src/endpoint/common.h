/*
 * endpoint/common.h - what both ends of a network stream need of the system.
 */
#ifndef TAKT_ENDPOINT_COMMON_H
#define TAKT_ENDPOINT_COMMON_H

#include "io/address.h"
#include "net/inlet.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    TAKT_ENDPOINT_PORTS = 3,     /* RTP, RTCP and repair, one after the other */
    TAKT_ENDPOINT_PRIORITY = 65, /* behind the device's thread, before all that may wait */
    TAKT_ENDPOINT_CNAME_BYTES = 17
};

/* An address as net/ carries it, and back. RT: yes. */
void takt_peer_from_address(const struct takt_address *a, struct takt_inlet_peer *out);
void takt_peer_to_address(const struct takt_inlet_peer *p, struct takt_address *out);

/* Random bytes of the system. Errors: TAKT_ERR_SYSTEM. RT: no. */
int takt_endpoint_draw(void *out, size_t bytes, struct takt_error *e);

/* 16 random hexadecimal digits: who we are, in reports, without telling it (RFC 7022).
 * Errors: TAKT_ERR_SYSTEM. RT: no. */
int takt_endpoint_cname(char out[TAKT_ENDPOINT_CNAME_BYTES], struct takt_error *e);

/* Wall clock less CLOCK_MONOTONIC, to a few microseconds. RT: yes. */
int64_t takt_endpoint_wall_ns(void);

/* What the calling thread has used. RT: no. */
int64_t takt_endpoint_cpu_ns(void);

/* The address with its port moved by so many; false beyond 65535. RT: yes. */
bool takt_endpoint_shift_port(struct takt_address *a, uint32_t by);

#endif
