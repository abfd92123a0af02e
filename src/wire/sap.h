/*
 * wire/sap.h - announcements of sessions (SAP, RFC 2974), to bytes and back.
 *
 *     struct takt_sap a = {.hash = takt_sap_hash(sdp, sdp_bytes), .origin = {192, 0, 2, 1},
 *                          .payload = sdp, .payload_bytes = sdp_bytes};
 *     int bytes = takt_sap_write(&a, out, sizeof out); // to 239.255.255.255:9875
 *
 * Thread: any. RT: no. All calls are functions of their arguments alone.
 */
#ifndef TAKT_WIRE_SAP_H
#define TAKT_WIRE_SAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAKT_SAP_TYPE_SDP "application/sdp"

struct takt_sap {
    bool is_delete;     /* the session is over; else it is announced */
    bool is_ipv6;       /* origin has 16 bytes, else 4 */
    uint16_t hash;      /* of this version of the session; with the origin it names it */
    uint8_t origin[16]; /* the announcer's address */
    const uint8_t *auth;
    size_t auth_bytes; /* a multiple of 4, 1020 at most. Nothing here looks into it */
    const char *type;  /* what the payload is, without NUL at its end; NULL: SDP */
    size_t type_bytes;
    const uint8_t *payload;
    size_t payload_bytes;
};

/* Reads a packet; out points into it. Returns 0. Errors: TAKT_ERR_FORMAT, TAKT_ERR_UNSUPPORTED for
 * what is encrypted or compressed. */
int takt_sap_parse(const uint8_t *in, size_t bytes, struct takt_sap *out);

/* The type is always written. Returns how many bytes. Errors: TAKT_ERR_ARG for what the format has
 * no room for, TAKT_ERR_FULL. */
int takt_sap_write(const struct takt_sap *a, uint8_t *out, size_t room);

/* Whether the payload is SDP. */
bool takt_sap_is_sdp(const struct takt_sap *a);

/* A number for these bytes, never 0, which stands for none (FNV-1a, folded). */
uint16_t takt_sap_hash(const void *bytes, size_t n);

#endif
