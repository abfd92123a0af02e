/*
 * wire/rtcp.h - RTCP packets (RFC 3550) and extended reports (RFC 3611), to bytes and back; its
 * clock, and when the next report is due.
 *
 *     struct takt_rtcp_packet p;
 *     if (takt_rtcp_check(in, bytes) < 0)
 *         return;
 *     for (size_t at = 0; takt_rtcp_next(in, bytes, &at, &p) > 0;)
 *         if (p.type == TAKT_RTCP_SR && takt_rtcp_parse_reports(&p, &reports) == 0)
 *             ...
 *
 * A datagram is a compound of packets: takt_rtcp_write_reports() first, then the others after it,
 * each into what room is left. What is parsed points into the bytes it came from. Every
 * takt_rtcp_write_...() returns how many bytes, a multiple of 4. Their errors: TAKT_ERR_ARG for
 * what the format has no room for, TAKT_ERR_FULL.
 *
 * All calls are functions of their arguments alone. Thread: any. RT: yes (wait-free), all calls.
 */
#ifndef TAKT_WIRE_RTCP_H
#define TAKT_WIRE_RTCP_H

#include "wire/rtp.h"

enum takt_rtcp_type {
    TAKT_RTCP_SR = 200,
    TAKT_RTCP_RR = 201,
    TAKT_RTCP_SDES = 202,
    TAKT_RTCP_BYE = 203,
    TAKT_RTCP_APP = 204,
    TAKT_RTCP_RTPFB = 205, /* RFC 4585 */
    TAKT_RTCP_PSFB = 206,
    TAKT_RTCP_XR = 207 /* RFC 3611 */
};

enum { TAKT_RTCP_COUNT_MAX = 31 }; /* of report blocks, SSRCs or chunks in one packet */

/* One packet of a compound. */
struct takt_rtcp_packet {
    uint8_t type;
    uint8_t count;       /* the five bits that count, or say the subtype */
    const uint8_t *body; /* after the first word, without padding */
    size_t bytes;        /* a multiple of 4, but for strange padding */
};

/* Whether this is a compound as RFC 3550 A.2 has it: it begins with a report, only its last packet
 * is padded, all lengths add up. Returns 0. Errors: TAKT_ERR_FORMAT. O(packets). */
int takt_rtcp_check(const uint8_t *in, size_t bytes);

/* Steps through the packets; *at is 0 before the first. A single packet that is no report, as RFC
 * 5506 allows, is stepped through, too. Returns 1 with the next one in out, 0 after the last,
 * TAKT_ERR_FORMAT. */
int takt_rtcp_next(const uint8_t *in, size_t bytes, size_t *at, struct takt_rtcp_packet *out);

/* ---- Reports: SR and RR */

struct takt_rtcp_sender {
    uint64_t ntp;       /* when it was sent; seconds since 1900 * 2^32 */
    uint32_t timestamp; /* the same moment by the RTP clock */
    uint32_t packets;
    uint32_t bytes; /* of payload */
};

/* What one receiver says of one source. */
struct takt_rtcp_block {
    uint32_t ssrc;
    struct takt_rtp_reception reception;
    uint32_t last_sr; /* takt_ntp_middle() of its last SR; 0: none came */
    uint32_t delay;   /* since then, s * 2^16 */
};

struct takt_rtcp_reports {
    uint32_t ssrc;
    bool is_sender; /* SR, else RR */
    uint8_t count;
    struct takt_rtcp_sender sender;
    struct takt_rtcp_block blocks[TAKT_RTCP_COUNT_MAX];
};

/* Takes an SR or an RR. Returns 0. Errors: TAKT_ERR_ARG for another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_parse_reports(const struct takt_rtcp_packet *p, struct takt_rtcp_reports *out);
int takt_rtcp_write_reports(const struct takt_rtcp_reports *r, uint8_t *out, size_t room);

/* ---- Who a source is: SDES */

enum takt_rtcp_item_type {
    TAKT_RTCP_CNAME = 1,
    TAKT_RTCP_NAME = 2,
    TAKT_RTCP_TOOL = 6,
    TAKT_RTCP_NOTE = 7,
    TAKT_RTCP_PRIV = 8
};

struct takt_rtcp_item {
    uint32_t ssrc;
    uint8_t type; /* 1..255 */
    uint8_t prefix_bytes;
    uint8_t bytes;      /* 255 at most; with a prefix, 254 both together */
    const char *prefix; /* of PRIV alone: what kind of text it is. No NUL at its end */
    const char *text;   /* UTF-8, without NUL at its end */
};

/* Where one is in an SDES packet. All zeros is before its first item. */
struct takt_rtcp_sdes {
    size_t at;
    uint32_t ssrc;
    uint8_t chunks_begun;
    bool is_in_chunk;
};

/* Steps through the items of all chunks. Returns 1 with the next one in out, 0 after the last.
 * Errors: TAKT_ERR_ARG for another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_sdes_next(const struct takt_rtcp_packet *p, struct takt_rtcp_sdes *where,
                        struct takt_rtcp_item *out);

/* Items of one SSRC that follow each other share a chunk. */
int takt_rtcp_write_sdes(const struct takt_rtcp_item *items, size_t count, uint8_t *out,
                         size_t room);

/* ---- Going: BYE */

struct takt_rtcp_bye {
    uint8_t count;
    uint32_t ssrc[TAKT_RTCP_COUNT_MAX];
    uint8_t reason_bytes; /* 0: none is given */
    const char *reason;   /* without NUL at its end */
};

/* Returns 0. Errors: TAKT_ERR_ARG for another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_parse_bye(const struct takt_rtcp_packet *p, struct takt_rtcp_bye *out);
int takt_rtcp_write_bye(const struct takt_rtcp_bye *b, uint8_t *out, size_t room);

/* ---- Of an application: APP */

struct takt_rtcp_app {
    uint8_t subtype; /* 0..31 */
    uint32_t ssrc;
    char name[4]; /* no NUL */
    const uint8_t *data;
    size_t bytes; /* a multiple of 4 */
};

/* Returns 0. Errors: TAKT_ERR_ARG for another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_parse_app(const struct takt_rtcp_packet *p, struct takt_rtcp_app *out);
int takt_rtcp_write_app(const struct takt_rtcp_app *a, uint8_t *out, size_t room);

/* ---- Extended reports: XR */

enum takt_rtcp_xr_type {
    TAKT_RTCP_XR_TIME = 4,   /* a receiver's clock, so that it can learn its round trip */
    TAKT_RTCP_XR_DLRR = 5,   /* the answer to it */
    TAKT_RTCP_XR_SUMMARY = 6 /* loss and jitter over a range of packets */
};

/* The answer to one receiver. */
struct takt_rtcp_dlrr {
    uint32_t ssrc;
    uint32_t last_rr; /* takt_ntp_middle() of its last XR_TIME; 0: none came */
    uint32_t delay;   /* since then, s * 2^16 */
};

/* flags says which of the numbers are there: 0x80 lost, 0x40 copies, 0x20 jitter. */
struct takt_rtcp_summary {
    uint32_t ssrc;
    uint16_t seq_begin;
    uint16_t seq_end; /* the first that is not in it */
    uint32_t lost, copies;
    uint32_t jitter_min, jitter_max, jitter_mean, jitter_dev;
};

struct takt_rtcp_xr_block {
    uint8_t type;
    uint8_t flags; /* the byte after it; of XR_SUMMARY only */
    uint8_t count; /* of dlrr. Packets that bring more are refused */
    uint64_t ntp;  /* of XR_TIME */
    struct takt_rtcp_dlrr dlrr[TAKT_RTCP_COUNT_MAX];
    struct takt_rtcp_summary summary;
};

/* Whose XR it is. Returns 0. Errors: TAKT_ERR_ARG for another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_xr_ssrc(const struct takt_rtcp_packet *p, uint32_t *out);

/* Steps through its blocks; *at is 0 before the first. Of a type that is not listed above there is
 * the type alone. Returns 1 with the next one in out, 0 after the last. Errors: TAKT_ERR_ARG for
 * another packet, TAKT_ERR_FORMAT. */
int takt_rtcp_xr_next(const struct takt_rtcp_packet *p, size_t *at, struct takt_rtcp_xr_block *out);

/* Errors: TAKT_ERR_ARG for an unlisted type, too. */
int takt_rtcp_write_xr(uint32_t ssrc, const struct takt_rtcp_xr_block *blocks, size_t count,
                       uint8_t *out, size_t room);

/* ---- Its clock */

/* From ns since 1970 to seconds since 1900 * 2^32, which wraps in 2036. */
uint64_t takt_ntp_from_ns(int64_t unix_ns);

/* And back, into the wrap that is nearest to near_ns. What came from ns comes back to the ns. */
int64_t takt_ntp_to_ns(uint64_t ntp, int64_t near_ns);

/* The middle 32 bits, s * 2^16, which reports use. */
uint32_t takt_ntp_middle(uint64_t ntp);

/* A duration as s * 2^16, at most what 32 bits hold; 0 for one below 0. */
uint32_t takt_ntp_delay(int64_t ns);

/* The way there and back: from when a report came, and its last_sr (or last_rr) and delay. Clocks
 * that drift may make it a little less than nothing, which counts as 0. Returns ns, or -1 when the
 * report tells of none or cannot be true. */
int64_t takt_rtcp_round_trip_ns(uint64_t ntp_now, uint32_t last, uint32_t delay);

/* ---- When the next report is due (RFC 3550 6.2 and A.7) */

struct takt_rtcp_load {
    uint32_t members, senders; /* the caller is one of them; 0 is taken as 1 */
    bool we_sent;
    bool is_initial;         /* nothing has been sent yet: half of the least interval will do */
    double bytes_per_s;      /* for all RTCP of the session, 5 % of its rate as a rule */
    double compound_bytes;   /* a smoothed mean, with UDP and IP headers */
    int64_t interval_ns_min; /* 0: 5 s */
};

/* ns from the last report to the next. chance: 0..1, drawn anew for every report. */
int64_t takt_rtcp_interval_ns(const struct takt_rtcp_load *l, double chance);

#endif
