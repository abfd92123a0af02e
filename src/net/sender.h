/*
 * net/sender.h - a stream of sound as RTP and RTCP: frames in, packets out; and what its receivers
 * say of it.
 *
 *     takt_sender_create(&(struct takt_sender_cfg){.packets = p, .ssrc = ssrc, .cname = "a1b2c3"},
 *                        &s, &e);
 *     takt_sender_set_clock(s, unix_ns - now_ns);
 *     takt_sender_push(s, planes, frames, capture_ns, send_to_all, &sockets); // each block
 *
 *     bytes = takt_sender_report(s, now_ns, out, sizeof out);                 // when it is due,
 *     due_ns = now_ns + takt_sender_report_interval_ns(s, chance);            // 0 at first
 *     takt_sender_take_rtcp(s, in, bytes, now_ns);                            // what comes back
 *
 * Blocks of any size become packets of one size. Each may carry, in a header extension (RFC 8285),
 * when the first frame that a decoder makes of it was captured, and the note of SRTP (wire/srtp.h);
 * and, where packets are of 5 ms or less, copies of up to three older ones (RFC 2198). How many of
 * these there are, and how much loss Opus is told to expect, follows the receiver that loses most:
 * up at once, and down when less would have done for 20 s.
 *
 * Pure: no clock is asked and no chance taken. All times but those in packets are of one monotonic
 * clock. Thread: one at a time, all calls.
 */
#ifndef TAKT_NET_SENDER_H
#define TAKT_NET_SENDER_H

#include "net/session_text.h"

struct takt_sender;

enum {
    TAKT_SENDER_PAYLOAD_BYTES_MAX = 1440, /* as AES67 has it: fits any Ethernet */
    TAKT_SENDER_SPARE_BYTES = TAKT_SRTP_TRAILER_BYTES_MAX,
    TAKT_SENDER_REPORT_BYTES_MAX = 1024,
    TAKT_SENDER_CNAME_BYTES_MAX = 64,
    TAKT_SENDER_COPIES_MAX = 3,
    TAKT_SENDER_RECEIVERS_MAX = 32
};

/* A zero field takes its default. */
struct takt_sender_cfg {
    struct takt_session_packets packets; /* .format as an encoder takes it */
    uint32_t ssrc, timestamp;            /* and seq: of the first packet; draw them by chance */
    uint16_t seq;
    const char *cname;   /* who sends, 1..64 bytes, the same for all its streams */
    bool is_undescribed; /* reports go without the line */
    uint32_t copies;     /* 0..3 older packets in each, where packets.red_type says how */
    uint32_t copies_max; /* copies..3: as many as receivers need, up to this; default: copies */
    bool is_repaired;    /* what is lost or late is mended in another way, not by copies */
    bool follows_loss;   /* Opus, with .fec: what is expected goes by the receivers, too, from
                          * format.loss_percent on */
    size_t datagram_bytes_max; /* header, extension, payload and trailer; default: what the largest
                                * payload comes to. 1472 never breaks up on IPv4, 1452 on IPv6 */
    size_t trailer_bytes;      /* 0..24, that SRTP is going to add */

    /* What stands in the note of the packet of this number: packets.note_id, if there is one. Asked
     * in takt_sender_push(). */
    void (*note)(void *arg, uint32_t ssrc, uint16_t seq, struct takt_srtp_note *out);
    void *note_arg;
};

/* Takes all the memory there will be.
 * Errors: those of takt_encoder_create(); TAKT_ERR_ARG, with a line that says which packets fit or
 * what else is wrong; *out is NULL then. RT: no. */
int takt_sender_create(const struct takt_sender_cfg *cfg, struct takt_sender **out,
                       struct takt_error *e);

/* NULL is fine. RT: no. */
void takt_sender_destroy(struct takt_sender *s);

/* What time it is at 0 of the monotonic clock: ns since 1970, at first 0. When the wall clock
 * jumps, so does what packets say from here on, and nothing else. RT: yes (wait-free), O(1). */
void takt_sender_set_clock(struct takt_sender *s, int64_t unix_less_monotonic_ns);

/* Takes a finished packet. TAKT_SENDER_SPARE_BYTES behind it are free, so that it can be encrypted
 * where it is; afterwards its memory is used again. */
typedef void takt_sender_emit(void *arg, uint8_t *packet, size_t bytes);

/* Takes a block, and hands out the packets that are full. What the device has lost has to be
 * pushed, too, with NULL planes: timestamps count what is pushed. No packet goes out for a whole
 * packet of it, since it would be late by all that was lost, and say so of the path.
 * Shape: planes[channels][frames], or NULL. capture_ns: of the first frame. Returns how
 * many packets. A packet that cannot be encoded is left out and counted.
 * RT: yes (wait-free), O(frames), as far as emit and note are; for Opus see codec/codec.h. */
int takt_sender_push(struct takt_sender *s, const float *const *planes, uint32_t frames,
                     int64_t capture_ns, takt_sender_emit *emit, void *arg);

/* The sound ends here: what has been begun, and what Opus still looks ahead on, is filled up with
 * silence. Returns how many packets. RT: yes, as takt_sender_push(). */
int takt_sender_flush(struct takt_sender *s, takt_sender_emit *emit, void *arg);

/* ---- Reports --------------------------------------------------------------------------------- */

/* Writes a compound of RTCP: how much was sent and at what time, who sends it, the line that
 * describes it (net/session_text.h), and answers to receivers that ask for their round trip.
 * Returns its bytes. Errors: TAKT_ERR_FULL, and nothing has changed. RT: yes (wait-free). */
int takt_sender_report(struct takt_sender *s, int64_t now_ns, uint8_t *out, size_t room);

/* The last report, which says that the stream ends. reason: up to 255 bytes, or NULL. Returns and
 * errors as takt_sender_report(). RT: yes (wait-free). */
int takt_sender_bye(struct takt_sender *s, int64_t now_ns, const char *reason, uint8_t *out,
                    size_t room);

/* From the last report to the next, by RFC 3550 6.2: half a second to 5 s as a rule, more with many
 * receivers. chance: 0..1, drawn anew each time. RT: yes (wait-free), O(receivers). */
int64_t takt_sender_report_interval_ns(const struct takt_sender *s, double chance);

/* Takes a compound of RTCP of a receiver, or of anybody: it is checked, and has no more effect than
 * copies_max lets it. Returns 0. Errors: TAKT_ERR_FORMAT; what stands before the wrong part of it
 * has been taken then, but for a compound that is no such thing from the start.
 * RT: yes (wait-free), O(bytes + receivers); Opus is told the new loss. */
int takt_sender_take_rtcp(struct takt_sender *s, const uint8_t *in, size_t bytes, int64_t now_ns);

/* One that has reported within the last 30 s. */
struct takt_sender_receiver {
    uint32_t ssrc;
    int64_t heard_ns;
    double loss;  /* 0..1, of what was sent since the report before */
    int32_t lost; /* packets since it joined, less copies */
    int64_t jitter_ns;
    int64_t round_trip_ns; /* -1: not known */
};

/* Those who listened when the sender last looked, most 32. Returns how many there are in out.
 * RT: yes (wait-free), O(receivers). */
size_t takt_sender_read_receivers(const struct takt_sender *s, struct takt_sender_receiver *out,
                                  size_t max);

struct takt_sender_stats {
    uint64_t packets, payload_bytes, bytes; /* bytes: without what is around RTP */
    uint64_t copies;                        /* of older packets, in packets */
    uint64_t failed;                        /* packets that could not be encoded */
    uint64_t malformed;                     /* RTCP that was none */
    uint64_t crowded;                       /* reports of receivers beyond the 32nd */
    uint64_t collided;                      /* RTCP of another that says it is us */
    uint32_t receivers;
    uint32_t copies_now; /* wished for in each packet; fewer where they do not fit */
    uint32_t
        loss_percent;   /* expected, by the receivers; Opus is told it where follows_loss is on */
    double loss;        /* of the receiver that loses most, smoothed; 0..1 */
    double loss_spread; /* its variance from report to report, in that of loss at random: about 1,
                         * and more of loss in bursts; 0: not known */
    bool overtakes;     /* on the way to one of them packets overtake each other */
};

/* RT: yes (wait-free), O(receivers). */
void takt_sender_read_stats(const struct takt_sender *s, struct takt_sender_stats *out);

#endif
