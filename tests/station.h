/*
 * tests/station.h - a sender made of wire/ alone, for the tests and the bench of an inlet: RTP, its
 * repair packets and its RTCP, plain or encrypted, with whatever is wrong about them that a test
 * wants.
 *
 *     station_open(&s, STATION_KEYED, &key, 7, takt_srtp_start(1000, 1));
 *     bytes = station_rtp(&s, datagram);       // the next packet of 1 ms
 *     bytes = station_line(&s, datagram);      // RTCP that describes it
 */
#ifndef TAKT_TESTS_STATION_H
#define TAKT_TESTS_STATION_H

#include "base/random.h"
#include "net/outlet.h"
#include "wire/repair.h"
#include "wire/rtcp.h"
#include "wire/srtp_key.h"

#include <stdbool.h>
#include <string.h>

enum { STATION_ROOM = 2048, STATION_PAYLOAD = 96, STATION_TICKS = 48 };

enum station_kind { STATION_PLAIN, STATION_KEYED, STATION_SDES };

struct station {
    enum station_kind kind;
    struct takt_key key;
    struct takt_srtp_key sdes;
    enum takt_srtp_suite suite;
    uint32_t ssrc, timestamp, epoch;
    uint64_t start;
    uint16_t seq, repair_seq;
    struct takt_session_packets packets;
    struct takt_srtp *out, *repair_out;
    struct takt_repair_encoder *encoder;
    int64_t unix_less_monotonic_ns; /* its wall clock */
    uint32_t asked, asked_ssrc;     /* the last XR_TIME that was heard, */
    int64_t asked_ns;               /* then */
};

static inline bool station_derive(struct station *s, struct takt_srtp *to, uint32_t ssrc)
{
    struct takt_srtp_key made = s->sdes;
    struct takt_error e;
    struct takt_srtp_key_use use = {
        .suite = s->suite, .ssrc = ssrc, .epoch = s->epoch, .start = s->start};
    if (s->kind == STATION_KEYED && takt_srtp_key_derive(&s->key, &use, &made, &e) < 0)
        return false;
    return takt_srtp_set_key(to, &made, &e) == 0 && takt_srtp_use(to, made.mki) == 0;
}

static inline bool station_turn(struct station *s, uint32_t epoch)
{
    s->epoch = epoch;
    return station_derive(s, s->out, s->ssrc) && station_derive(s, s->repair_out, s->ssrc + 1);
}

static inline bool station_open(struct station *s, enum station_kind kind,
                                const struct takt_key *key, uint32_t ssrc, uint64_t start)
{
    *s = (struct station){.kind = kind,
                          .sdes = {.mki = 5, .key = {1, 2, 3}, .salt = {4, 5, 6}},
                          .ssrc = ssrc,
                          .start = start,
                          .seq = (uint16_t)(ssrc * 1000),
                          .timestamp = ssrc * 77777,
                          .packets = {.format = {.codec = TAKT_CODEC_L16,
                                                 .rate_hz = 48000,
                                                 .channels = 1,
                                                 .frames = STATION_TICKS},
                                      .payload_type = 96,
                                      .capture_id = TAKT_CAPTURE_ID,
                                      .note_id = TAKT_NOTE_ID,
                                      .repair_type = TAKT_REPAIR_TYPE}};
    if (key)
        s->key = *key;
    if (takt_repair_encoder_create(TAKT_REPAIR_PACKET_BYTES_MAX, &s->encoder) < 0 ||
        takt_repair_begin(s->encoder, 2) < 0)
        return false;
    if (kind == STATION_PLAIN)
        return true;
    struct takt_error e;
    struct takt_srtp_cfg cfg = {.sends = true, .mki_bytes = 4, .sources = 2};
    return takt_srtp_create(&cfg, &s->out, &e) == 0 &&
           takt_srtp_create(&cfg, &s->repair_out, &e) == 0 && station_turn(s, 0);
}

static inline void station_close(struct station *s)
{
    takt_srtp_destroy(s->out);
    takt_srtp_destroy(s->repair_out);
    takt_repair_encoder_destroy(s->encoder);
}

/* What is in the payload is a function of source and number. */
static inline void station_fill(uint32_t ssrc, uint16_t seq, uint8_t out[STATION_PAYLOAD])
{
    struct takt_random r = takt_random_seed((uint64_t)ssrc << 16 | seq);
    for (int i = 0; i < STATION_PAYLOAD; i++)
        out[i] = (uint8_t)takt_random_u64(&r);
}

static inline size_t station_write(const struct station *s, struct takt_rtp *p,
                                   const struct takt_srtp *srtp, int64_t capture_ns, uint8_t *out)
{
    uint8_t captured[TAKT_CAPTURE_TIME_BYTES], noted[TAKT_SRTP_NOTE_BYTES], ext[64];
    struct takt_rtp_ext list[2];
    size_t count = 0;
    if (s->packets.capture_id) {
        struct takt_capture_time t = {.ntp =
                                          takt_ntp_from_ns(capture_ns + s->unix_less_monotonic_ns)};
        int n = takt_capture_time_write(&t, captured);
        list[count++] = (struct takt_rtp_ext){s->packets.capture_id, (uint8_t)n, captured};
    }
    if (s->kind == STATION_KEYED) {
        struct takt_srtp_note note = {takt_srtp_roc(srtp, p->ssrc, p->seq), s->start};
        takt_srtp_note_put(&note, noted);
        list[count++] = (struct takt_rtp_ext){s->packets.note_id, sizeof noted, noted};
    }
    int n = count ? takt_rtp_ext_write(list, count, &p->ext_profile, ext, sizeof ext) : 0;
    p->has_ext = n > 0;
    p->ext = ext;
    p->ext_bytes = n > 0 ? (size_t)n : 0;
    n = takt_rtp_write(p, out, STATION_ROOM);
    return n < 0 ? 0 : (size_t)n;
}

static inline size_t station_seal(struct takt_srtp *srtp, uint8_t *out, size_t bytes, bool is_rtcp)
{
    if (!srtp)
        return bytes;
    int n = is_rtcp ? takt_srtcp_protect(srtp, out, bytes, STATION_ROOM)
                    : takt_srtp_protect(srtp, out, bytes, STATION_ROOM);
    return n < 0 ? 0 : (size_t)n;
}

/* 0 is a failure, of all of these. */
static inline size_t station_rtp_at(struct station *s, int64_t capture_ns, uint8_t *out)
{
    uint8_t payload[STATION_PAYLOAD];
    struct takt_rtp p = {.payload_type = s->packets.payload_type,
                         .seq = s->seq++,
                         .timestamp = s->timestamp,
                         .ssrc = s->ssrc,
                         .payload = payload,
                         .payload_bytes = sizeof payload};
    s->timestamp += STATION_TICKS;
    station_fill(s->ssrc, p.seq, payload);
    size_t bytes = station_write(s, &p, s->out, capture_ns, out);
    if (!bytes ||
        (takt_repair_add(s->encoder, out, bytes) < 0 &&
         (takt_repair_begin(s->encoder, 2) < 0 || takt_repair_add(s->encoder, out, bytes) < 0)))
        return 0; /* a block that is full, or whose numbers jump, is given up */
    return station_seal(s->out, out, bytes, false);
}

static inline size_t station_rtp(struct station *s, uint8_t *out)
{
    return station_rtp_at(s, 0, out);
}

/* Repair packet 0 or 1 of the packets since the last block; the last one begins the next. */
static inline size_t station_repair(struct station *s, uint32_t index, bool is_last, uint8_t *out)
{
    uint8_t payload[STATION_ROOM];
    int n = takt_repair_write(s->encoder, index, payload, sizeof payload);
    struct takt_rtp p = {.payload_type = s->packets.repair_type,
                         .seq = s->repair_seq++,
                         .timestamp = s->timestamp,
                         .ssrc = s->ssrc + 1,
                         .payload = payload,
                         .payload_bytes = n < 0 ? 0 : (size_t)n};
    if (n < 0 || (is_last && takt_repair_begin(s->encoder, 2) < 0))
        return 0;
    return station_seal(s->repair_out, out, station_write(s, &p, s->repair_out, 0, out), false);
}

enum station_says { STATION_LINE = 1, STATION_SR = 2, STATION_ANSWER = 4, STATION_BYE = 8 };

/* RTCP with any of these in it. */
static inline size_t station_rtcp(struct station *s, unsigned says, int64_t now_ns, uint8_t *out)
{
    char line[TAKT_SESSION_LINE_MAX];
    int text = takt_session_describe(&s->packets, line, sizeof line);
    struct takt_rtcp_reports r = {.ssrc = s->ssrc, .is_sender = says & STATION_SR};
    r.sender.ntp = takt_ntp_from_ns(now_ns + s->unix_less_monotonic_ns);
    r.sender.timestamp = s->timestamp;
    struct takt_rtcp_item items[] = {
        {.ssrc = s->ssrc, .type = TAKT_RTCP_CNAME, .bytes = 4, .text = "me\033!"},
        {.ssrc = s->ssrc,
         .type = TAKT_RTCP_PRIV,
         .prefix = TAKT_SESSION_PREFIX,
         .prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1,
         .bytes = (uint8_t)text,
         .text = line}};
    int used = takt_rtcp_write_reports(&r, out, STATION_ROOM);
    size_t count = says & STATION_LINE ? 2 : 1;
    used += takt_rtcp_write_sdes(items, count, out + used, STATION_ROOM - (size_t)used);
    if (says & STATION_ANSWER) {
        struct takt_rtcp_xr_block b = {.type = TAKT_RTCP_XR_DLRR, .count = 1};
        b.dlrr[0] =
            (struct takt_rtcp_dlrr){s->asked_ssrc, s->asked, takt_ntp_delay(now_ns - s->asked_ns)};
        used += takt_rtcp_write_xr(s->ssrc, &b, 1, out + used, STATION_ROOM - (size_t)used);
    }
    if (says & STATION_BYE) {
        struct takt_rtcp_bye bye = {.count = 1, .ssrc = {s->ssrc}};
        used += takt_rtcp_write_bye(&bye, out + used, STATION_ROOM - (size_t)used);
    }
    return station_seal(s->out, out, (size_t)used, true);
}

static inline size_t station_line(struct station *s, uint8_t *out)
{
    return station_rtcp(s, STATION_LINE, 0, out);
}

#endif
