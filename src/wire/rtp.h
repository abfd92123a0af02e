/*
 * wire/rtp.h - RTP packets (RFC 3550) and their header extensions (RFC 8285), to bytes and back;
 * what a receiver has to remember of a source to believe it and to report on it.
 *
 *     struct takt_rtp p;
 *     struct takt_rtp_ext stamp;
 *     if (takt_rtp_parse(in, bytes, &p) < 0)
 *         return; // not RTP, or cut off
 *     if (takt_rtp_ext_find(&p, capture_id, &stamp))
 *         takt_capture_time_parse(&stamp, &captured);
 *
 * A parsed packet points into the bytes it came from and lives as long as they do. All calls are
 * functions of their arguments alone. Thread: any; one at a time for a source. RT: yes
 * (wait-free), all calls.
 */
#ifndef TAKT_WIRE_RTP_H
#define TAKT_WIRE_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_RTP_HEADER_BYTES = 12, /* without CSRCs and extension */
    TAKT_RTP_CSRC_MAX = 15,
    TAKT_RTP_EXT_ONE_BYTE = 0xbede, /* ext_profile: ids 1..14, 1..16 bytes each */
    TAKT_RTP_EXT_TWO_BYTE = 0x1000  /* and the 15 above it: ids 1..255, 0..255 bytes each */
};

struct takt_rtp {
    bool marker;
    bool has_padding; /* the header's P bit; parse only */
    bool has_ext;
    uint8_t payload_type; /* 0..127 */
    uint8_t csrc_count;
    uint8_t padding_bytes; /* after the payload, the one that counts them included; 0: none */
    uint16_t seq;
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t csrc[TAKT_RTP_CSRC_MAX];
    uint16_t ext_profile;
    const uint8_t *ext; /* without the word that introduces it */
    size_t ext_bytes;   /* a multiple of 4 */
    const uint8_t *payload;
    size_t payload_bytes;
};

/* One element of a header extension. */
struct takt_rtp_ext {
    uint8_t id;
    uint8_t bytes;
    const uint8_t *data;
};

/* Reads a whole packet. Returns 0.
 * Errors: TAKT_ERR_FORMAT, out is undefined then. O(CSRCs). */
int takt_rtp_parse(const uint8_t *in, size_t bytes, struct takt_rtp *out);

/* Reads the header alone, for a packet whose rest is encrypted: payload is all that follows, and
 * padding_bytes is 0 whatever has_padding says. Returns 0. Errors: TAKT_ERR_FORMAT. */
int takt_rtp_parse_header(const uint8_t *in, size_t bytes, struct takt_rtp *out);

/* Writes header, payload and padding; the payload may already stand in its place. Returns how many
 * bytes. Errors: TAKT_ERR_ARG for what the format has no room for, TAKT_ERR_FULL. */
int takt_rtp_write(const struct takt_rtp *p, uint8_t *out, size_t room);

/* What takt_rtp_write() puts before the payload. */
int takt_rtp_write_header(const struct takt_rtp *p, uint8_t *out, size_t room);

/* Steps through the elements of the extension, of either form; *at is 0 before the first. Returns
 * 1 with the next one in out, 0 after the last, TAKT_ERR_FORMAT where one is cut off. An extension
 * of another profile has no elements. */
int takt_rtp_ext_next(const struct takt_rtp *p, size_t *at, struct takt_rtp_ext *out);

/* The first element with this id, if there is one. O(elements). */
bool takt_rtp_ext_find(const struct takt_rtp *p, uint8_t id, struct takt_rtp_ext *out);

/* Writes elements in the shorter form that holds them all, which goes into *profile, and fills up
 * to whole words. Returns how many bytes: has_ext, ext and ext_bytes of the packet follow.
 * Errors: TAKT_ERR_ARG for an id of 0, TAKT_ERR_FULL. */
int takt_rtp_ext_write(const struct takt_rtp_ext *list, size_t count, uint16_t *profile,
                       uint8_t *out, size_t room);

/* ---- When the sound was captured
 * http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time */

#define TAKT_CAPTURE_TIME_URI "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
enum { TAKT_CAPTURE_TIME_BYTES = 16 };

struct takt_capture_time {
    uint64_t ntp; /* of the packet's first frame: seconds since 1900 * 2^32 */
    bool has_offset;
    int64_t offset; /* capture clock less the sender's clock, seconds * 2^32 */
};

/* Returns 0. Errors: TAKT_ERR_FORMAT. */
int takt_capture_time_parse(const struct takt_rtp_ext *from, struct takt_capture_time *out);

/* Returns how many bytes: 8, or 16 with an offset. */
int takt_capture_time_write(const struct takt_capture_time *t,
                            uint8_t out[TAKT_CAPTURE_TIME_BYTES]);

/* ---- Numbers that wrap */

/* The number nearest to `near` that has these low bits; from exactly half the circle away, the one
 * below. */
int64_t takt_unwrap16(int64_t near, uint16_t low);
int64_t takt_unwrap32(int64_t near, uint32_t low);

/* ---- A source, as a receiver sees it (RFC 3550, appendices A.1, A.3 and A.8) */

enum {
    TAKT_RTP_PROBATION_PACKETS = 2, /* in order, before a source is believed */
    TAKT_RTP_DROPOUT_MAX = 3000,    /* packets missing in one gap of a source that goes on */
    TAKT_RTP_MISORDER_MAX = 1000    /* packets by which one may be late; the 100 of appendix A.1 are
                                     * two seconds of 20 ms, but a tenth of one of 1 ms, and a path
                                     * that becomes shorter by more has packets of both in turn */
};

enum takt_rtp_verdict {
    TAKT_RTP_PROBATION, /* not believed yet: do not play it */
    TAKT_RTP_NEXT,      /* of the source, and the newest */
    TAKT_RTP_LATE,      /* of the source: late, or there a second time */
    TAKT_RTP_JUMP,      /* far from the others: stray, or the first after a restart */
    TAKT_RTP_RESTART    /* the second in order after a jump: counts and times begin anew here */
};

struct takt_rtp_source {
    uint16_t seq_max; /* the newest */
    uint16_t seq_next_if_restarted;
    bool has_jumped;
    uint8_t probation; /* packets in order still wanted */
    bool has_transit;
    uint32_t cycles; /* of seq_max, times 2^16 */
    uint32_t seq_base;
    uint32_t received;
    uint32_t expected_before; /* at the last report */
    uint32_t received_before;
    uint32_t transit;
    uint64_t jitter_16; /* 16 times the jitter */
};

/* How well a source has been received, for a report block. */
struct takt_rtp_reception {
    uint8_t fraction_lost; /* since the last report, of 256 */
    int32_t lost;          /* since the beginning; -2^23..2^23-1; below 0 when there were copies */
    uint32_t seq_highest;  /* with the count of wraps above its 16 bits */
    uint32_t jitter;       /* units of the timestamp */
};

/* Begins with the first packet's number, which takt_rtp_source_take() then takes as well. */
void takt_rtp_source_init(struct takt_rtp_source *s, uint16_t seq);

/* Judges a packet by its number, and counts it. */
enum takt_rtp_verdict takt_rtp_source_take(struct takt_rtp_source *s, uint16_t seq);

/* Adds a packet to the jitter. arrival: by the receiver's clock, in units of the timestamp; both
 * may wrap. */
void takt_rtp_source_time(struct takt_rtp_source *s, uint32_t arrival, uint32_t timestamp);

/* What to report now; the next fraction_lost counts from here. */
struct takt_rtp_reception takt_rtp_source_report(struct takt_rtp_source *s);

#endif
