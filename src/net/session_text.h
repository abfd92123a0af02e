/*
 * net/session_text.h - a stream as text: a line for receivers that are takt, which travels with the
 * stream's RTCP reports, and a session description (SDP) for all others.
 *
 *     takt_session_describe(&session.packets, line, sizeof line);
 *     takt_session_write_sdp(&session, text, sizeof text, &e);
 *
 *     if (takt_session_heard(in, bytes, ssrc, &packets) == 1)
 *         play(&packets);                      // no flags were needed
 *     if (takt_session_parse_sdp(text, bytes, &session, &e) < 0)
 *         return takt_die(&e);
 *
 * Thread: any. All calls are functions of their arguments alone and take no memory.
 */
#ifndef TAKT_NET_SESSION_TEXT_H
#define TAKT_NET_SESSION_TEXT_H

#include "codec/codec.h"
#include "takt/error.h"
#include "wire/sdp.h"
#include "wire/srtp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The prefix of the SDES item PRIV that carries the line. */
#define TAKT_SESSION_PREFIX "takt"
enum { TAKT_SESSION_LINE_MAX = 250 }; /* with its NUL, so that prefix and line fit the item */

/* What there is to know of a stream's packets. */
struct takt_session_packets {
    struct takt_codec_format format; /* .frames 0: not told, each packet shows its own */
    uint8_t payload_type;            /* 0..127 */
    uint8_t red_type;                /* of packets with copies (RFC 2198); 0: there are none */
    uint8_t capture_id, note_id;     /* of the header extension's elements; 0: there is none */
    uint8_t repair_type;             /* of repair packets (wire/repair.h); 0: there are none */
};

/* Writes "1 codec=L24 rate=48000 channels=2 frames=48 type=96 red=97 capture=1 note=2 repair=127"
 * and a NUL. Returns its length. Errors: TAKT_ERR_ARG for a codec that there is none of,
 * TAKT_ERR_FULL. RT: no. */
int takt_session_describe(const struct takt_session_packets *p, char *out, size_t room);

/* Reads such a line. Words that are not known are passed over. Returns 0.
 * Errors: TAKT_ERR_FORMAT; TAKT_ERR_UNSUPPORTED for the line of a later takt, or a codec that is
 * not known; *out is undefined then. RT: yes (wait-free), O(bytes). */
int takt_session_described(const char *line, size_t bytes, struct takt_session_packets *out);

/* The line of this source in a compound of RTCP. Returns 1, or 0 where there is none.
 * Errors: those of takt_session_described(). RT: yes (wait-free), O(bytes). */
int takt_session_heard(const uint8_t *in, size_t bytes, uint32_t ssrc,
                       struct takt_session_packets *out);

struct takt_session {
    struct takt_session_packets packets;
    char name[TAKT_SDP_TEXT_MAX]; /* empty is taken as "-" */
    uint64_t id, version;
    struct takt_sdp_address origin;  /* who sends; none is taken as 0.0.0.0 */
    struct takt_sdp_address address; /* to whom */
    uint16_t port;
    uint16_t rtcp_port;             /* 0: the one after `port`, or with has_rtcp_mux the same */
    char source[TAKT_SDP_HOST_MAX]; /* the one sender to listen to; empty: any */
    bool has_rtcp_mux;
    bool is_secure;             /* SRTP */
    bool has_key;               /* and it is told here, to whoever reads the text */
    enum takt_srtp_suite suite; /* of the key, as all that follows */
    uint32_t mki_bytes;         /* 0..4 */
    struct takt_srtp_key key;   /* clear it after use */
};

/* Writes the description, with CRLF and a NUL. Returns the length. Opus is told as RFC 7587 wants
 * it and comes back as one of 48 kHz; of dither, low_delay and loss nothing is told. Errors:
 * TAKT_ERR_ARG for what cannot be told, TAKT_ERR_FULL. RT: no. */
int takt_session_write_sdp(const struct takt_session *s, char *out, size_t room,
                           struct takt_error *e);

/* Reads the first sound that can be played. Of keys, the first whose suite is known counts.
 * Errors: those of takt_sdp_parse(), and TAKT_ERR_UNSUPPORTED for codecs or keys that are all
 * unknown here; *out holds no key then. RT: no. */
int takt_session_parse_sdp(const char *text, size_t bytes, struct takt_session *out,
                           struct takt_error *e);

#endif
