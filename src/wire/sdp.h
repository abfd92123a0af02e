/*
 * wire/sdp.h - session descriptions (RFC 8866) as far as sound over RTP needs them, to text and
 * back.
 *
 *     struct takt_sdp sdp;
 *     struct takt_error e;
 *     if (takt_sdp_parse(text, bytes, &sdp, &e) < 0)
 *         return takt_die(&e); // "SDP line 7: more than 16 payload types"
 *     for (size_t i = 0; i < sdp.media_count; i++)
 *         listen_to(&sdp.media[i]);
 *
 * Read are v, o, s, c, t, m=audio, and the attributes that the structs below hold; what the session
 * says of all its media is found in each of them. Other lines, and media that are no sound over
 * RTP, are passed over. Lines end in LF or CRLF. What parses can be written, and parses to the
 * same again. All text is a string that ends in NUL. Keys are in here: clear it after use.
 *
 * Thread: any. RT: no. All calls are functions of their arguments alone and take no memory.
 */
#ifndef TAKT_WIRE_SDP_H
#define TAKT_WIRE_SDP_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_SDP_MEDIA_MAX = 4,
    TAKT_SDP_FORMATS_MAX = 16,
    TAKT_SDP_EXTMAPS_MAX = 16,
    TAKT_SDP_CRYPTOS_MAX = 4,
    TAKT_SDP_SOURCES_MAX = 8,
    TAKT_SDP_TEXT_MAX = 128, /* of any text below that says no other, with its NUL */
    TAKT_SDP_HOST_MAX = 64,
    TAKT_SDP_KEY_MAX = 64
};

struct takt_sdp_address {
    uint8_t family;               /* 4 or 6; 0: none is given */
    char host[TAKT_SDP_HOST_MAX]; /* an address or a name */
    uint8_t ttl;                  /* of IPv4 multicast in c=; 0: not given */
    uint16_t count;               /* of addresses from this on, in c=; 0 is taken as 1 */
};

struct takt_sdp_format {
    uint8_t payload_type;
    char encoding[32]; /* "L24", "opus"; empty when nothing says what it is */
    uint32_t rate_hz;
    uint32_t channels;                /* 0 is taken as 1 */
    char fmtp[TAKT_SDP_TEXT_MAX * 2]; /* "sprop-stereo=1;stereo=1"; empty: none */
};

struct takt_sdp_extmap {
    uint16_t id;
    char uri[TAKT_SDP_TEXT_MAX];
};

/* A key for SRTP (RFC 4568). */
struct takt_sdp_crypto {
    uint32_t tag;
    char suite[48];                /* "AES_CM_128_HMAC_SHA1_80" */
    uint8_t key[TAKT_SDP_KEY_MAX]; /* and the salt behind it */
    uint8_t key_bytes;
    uint64_t lifetime; /* packets; 0: not given */
    uint8_t mki_bytes; /* in each packet; 0: none */
    uint64_t mki;
};

enum takt_sdp_profile { TAKT_SDP_AVP, TAKT_SDP_SAVP, TAKT_SDP_AVPF, TAKT_SDP_SAVPF };
enum takt_sdp_direction {
    TAKT_SDP_SENDRECV,
    TAKT_SDP_SENDONLY,
    TAKT_SDP_RECVONLY,
    TAKT_SDP_INACTIVE
};

/* Whom to listen to, and no one else (RFC 4570), where source_count > 0. */
struct takt_sdp_filter {
    bool is_exclusive;            /* to all but those */
    struct takt_sdp_address dest; /* host "*", of any family, for all */
    uint8_t source_count;
    char source[TAKT_SDP_SOURCES_MAX][TAKT_SDP_HOST_MAX];
};

struct takt_sdp_media {
    uint16_t port; /* 0: refused */
    enum takt_sdp_profile profile;
    struct takt_sdp_address address;
    uint8_t format_count, extmap_count, crypto_count;
    struct takt_sdp_format formats[TAKT_SDP_FORMATS_MAX]; /* the first is preferred */
    struct takt_sdp_extmap extmaps[TAKT_SDP_EXTMAPS_MAX];
    struct takt_sdp_crypto cryptos[TAKT_SDP_CRYPTOS_MAX];
    uint32_t ptime_us, ptime_us_max; /* 0: not given */
    enum takt_sdp_direction direction;
    bool has_rtcp_mux;
    uint16_t rtcp_port; /* 0: not given, so the one after `port` */
    struct takt_sdp_address rtcp_address;
    struct takt_sdp_filter filter;
    char ts_refclk[TAKT_SDP_TEXT_MAX]; /* RFC 7273: "ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:0" */
    char mediaclk[TAKT_SDP_TEXT_MAX];  /* "direct=0" */
};

struct takt_sdp {
    char user[TAKT_SDP_TEXT_MAX]; /* "-" for none; empty is taken as that */
    uint64_t id, version;
    struct takt_sdp_address origin; /* none is taken as 0.0.0.0 */
    char name[TAKT_SDP_TEXT_MAX];   /* empty is taken as "-" */
    uint64_t start, stop;           /* seconds since 1900; 0: unbounded */
    uint8_t media_count;
    struct takt_sdp_media media[TAKT_SDP_MEDIA_MAX];
};

/* Reads a description. Payload types 0, 8, 10 and 11 need no rtpmap. Returns 0, and `bytes` may
 * have ended in a NUL or not.
 * Errors: TAKT_ERR_FORMAT and TAKT_ERR_FULL, for what is wrong and for more than there is room for,
 * with the line in e; TAKT_ERR_UNSUPPORTED where there is no sound over RTP. */
int takt_sdp_parse(const char *text, size_t bytes, struct takt_sdp *out, struct takt_error *e);

/* Writes a description, with CRLF and a NUL. Returns its length without the NUL.
 * Errors: TAKT_ERR_ARG for a field that would not be read back as it is, TAKT_ERR_FULL. */
int takt_sdp_write(const struct takt_sdp *sdp, char *out, size_t room, struct takt_error *e);

#endif
