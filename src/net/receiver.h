/*
 * net/receiver.h - packets in, sound out: the whole of a receiver but its clock and its sockets.
 *
 *     struct takt_receiver_format l24 = {.payload_type = 96, .codec = {TAKT_CODEC_L24, 48000, 2,
 * 48}}; takt_receiver_create(&(struct takt_receiver_cfg){.rate_hz = 48000, .channels = 2, .formats
 * = &l24, .formats_count = 1}, &r, &e); takt_receiver_packet(r, &packet); // as they come
 *     takt_receiver_pull(r, now_ns, play_ns, b->out, b->frames); // in the callback
 *
 * Each source is played at its earliest possible time (net/envelope.h) and a delay (net/target.h)
 * later. The delay moves by 0.5 % of the time while sound is audible, and freely in silence and in
 * concealment. Where the clocks agree and the delay stands still, sound comes out bit by bit as it
 * was sent; where they do not, it is resampled (net/follow.h). Packets are decoded when their time
 * has come (net/playout.h).
 *
 * Plain RTP comes from anybody. So a source is believed after two packets in order, and, unless
 * sources_max asks for mixing, only the first one is heard, until it has been silent for 2 s and
 * another one has sent 8 packets in order. It is listened to for 20 ms before it is heard. With
 * `trusts` a source counts from its first packet on, and another one may come 80 ms after the last
 * one's end; with `latency_ms` as well the first packet is heard, too.
 *
 * Pure: time comes in by argument, and the same packets and pulls give the same sound. Thread: one
 * at a time, for all but takt_receiver_read_stats() and takt_receiver_help().
 */
#ifndef TAKT_NET_RECEIVER_H
#define TAKT_NET_RECEIVER_H

#include "codec/codec.h"
#include "takt/hist.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TAKT_RECEIVER_SOURCES_MAX = 16,
    TAKT_RECEIVER_FORMATS_MAX = 8,
    TAKT_RECEIVER_PAYLOAD_BYTES_MAX = 1500,
    TAKT_RECEIVER_PULL_FRAMES_MAX = 16384
};

struct takt_receiver;

struct takt_net_packet {
    int64_t arrival_ns; /* by the clock of now_ns and play_ns, as are all */
    uint32_t ssrc;
    uint16_t seq;
    uint32_t timestamp;
    uint8_t payload_type;
    bool marker;
    bool has_capture;
    bool is_repaired; /* made out of others: it fills a hole, and says nothing about the network */
    int64_t capture_ns; /* of its first frame */
    uint16_t bytes;
    const uint8_t *payload;
};

/* Opus only at 48000 Hz, in which its timestamps are. */
struct takt_receiver_format {
    uint8_t payload_type; /* 0..127 */
    struct takt_codec_format codec;
};

/* A zero field takes its default. */
struct takt_receiver_cfg {
    uint32_t rate_hz;  /* 8000..384000, default 48000 */
    uint32_t channels; /* 1..64, default 2; mono goes to all of them, of others each goes to its own
                        * and, where there are fewer, the first ones once more */
    const struct takt_receiver_format *formats;
    uint32_t formats_count; /* 1..TAKT_RECEIVER_FORMATS_MAX */
    bool has_red;
    uint8_t red_payload_type;
    uint32_t sources_max; /* 1..TAKT_RECEIVER_SOURCES_MAX, default 1: no mixing */
    uint32_t frames_max;  /* of a pull, 1..TAKT_RECEIVER_PULL_FRAMES_MAX, default 8192 */
    bool trusts;          /* the caller vouches for each packet, as for one that is authentic */
    bool is_helped;       /* takt_receiver_help() is called, every 10 ms or so */
    uint32_t packets_max; /* that wait, of a source: a power of 2 of 16..65536, default 1024 */
    /* As in struct takt_target_cfg. */
    double lambda_ms, late_ratio, latency_ms, latency_ms_max;
};

struct takt_receiver_counts {
    uint64_t packets; /* of a source that is believed, but for strays and broken ones */
    uint64_t waiting, played;
    uint64_t skipped;    /* in time, and passed over: after a jump, or for want of room */
    uint64_t late, lost; /* what is late is not lost */
    uint64_t duplicated;
    uint64_t repaired; /* played from copies that came with others, or were made of them */
    uint64_t broken;   /* no payload of their format, or of no format that is allowed */
    uint64_t strays;   /* far from the others in number or time */
    uint64_t resets;   /* how often a source began anew, jumps in time among them */
    uint64_t heard_frames, concealed_frames;
};

struct takt_receiver_source {
    uint32_t ssrc;
    bool is_live;   /* something of it came within 2 s */
    bool is_silent; /* nothing came for half a second: the figures are of before */
    bool is_kept;   /* it has its place, live or silent, and what is told here is its own */
    bool is_exact;  /* the sound comes out bit by bit as it was sent */
    uint8_t payload_type;
    struct takt_receiver_counts counts;
    double target_ms; /* the delay wished for, */
    double delay_ms;  /* and the one there is, both from when a packet can come at the earliest */
    double
        output_ms; /* what the output adds: from a pull to the converter, and the pull's length */
    double drift_ppm; /* above 0: the sender's clock is slower than ours */
    double speed_ppm; /* how much faster than nominal the sound is played just now */
    double jitter_ms; /* RFC 3550's */
    bool has_latency;
    double latency_ms; /* from capture to the converter */
};

struct takt_receiver_stats {
    struct takt_receiver_counts counts; /* of all sources that there were */
    uint64_t foreign;                   /* packets of sources that are not heard */
    double concealed_ratio;             /* of the sound since the beginning */
    uint32_t sources;                   /* live ones */
    bool is_exact; /* the last pull gave the only source there is bit by bit as it was sent */
    struct takt_receiver_source
        source[TAKT_RECEIVER_SOURCES_MAX]; /* by place, sources_max of them */
};

/* The only call that allocates.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED; *out is NULL then.
 * Thread: any. RT: no. */
int takt_receiver_create(const struct takt_receiver_cfg *cfg, struct takt_receiver **out,
                         struct takt_error *e);

/* r may be NULL. RT: no. */
void takt_receiver_destroy(struct takt_receiver *r);

/* One packet, whatever is in it. The payload is copied. RT: yes (wait-free), O(bytes + sources);
 * after a gap O(gap). */
void takt_receiver_packet(struct takt_receiver *r, const struct takt_net_packet *p);

/* The next frames of all sources together. now_ns: of this call; play_ns: when the first of these
 * frames is at the converter. What is between the two is kept free for the output, so a steady
 * play_ns, of a device's smoothed clock, is what keeps the sound exact.
 * Shape: out[channels][frames], frames up to frames_max. Units: linear; a mix may be beyond -1..+1.
 * RT: yes (wait-free): O(frames * channels * sources), and what the codecs take. */
void takt_receiver_pull(struct takt_receiver *r, int64_t now_ns, int64_t play_ns, float *const *out,
                        uint32_t frames);

/* All senders have ended, and no packet of theirs comes any more: what is there is played, and the
 * fade after it is not counted as concealed. RT: yes (wait-free), O(sources * formats). */
void takt_receiver_end(struct takt_receiver *r);

/* What takes long about concealment, done ahead of time: 0.1 ms or so for each channel. Without
 * is_helped there is nothing to do here, and the first pull of a gap does it. Returns whether there
 * is more to do at once. Thread: one at a time, beside the one for the other calls.
 * RT: yes (wait-free), O(sources * formats), and what takt_conceal_work() takes. */
bool takt_receiver_help(struct takt_receiver *r);

enum takt_receiver_hist {
    TAKT_RECEIVER_LATENESS, /* how long after the earliest possible time a packet, or its first
                             * copy, arrived, ns: what is called jitter */
    TAKT_RECEIVER_LATENCY,  /* from capture to the converter, ns, once for each pull */
    TAKT_RECEIVER_HISTS
};

/* All values of the source in that place, 0..sources_max - 1, since it took it; to be read, copied
 * and asked for quantiles at any time (takt/hist.h), for as long as r lives. NULL: there is no such
 * place. Thread: any. RT: yes (wait-free), O(1). */
const struct takt_hist *takt_receiver_hist(const struct takt_receiver *r, uint32_t place,
                                           enum takt_receiver_hist which);

/* As of the last pull. False: it was just being written; out has no meaning then.
 * Thread: any. RT: yes (wait-free). */
bool takt_receiver_read_stats(const struct takt_receiver *r, struct takt_receiver_stats *out);

#endif
