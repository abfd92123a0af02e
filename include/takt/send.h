/*
 * takt/send.h - sound to the network: a stream of RTP to one or many receivers.
 *
 *     takt_send_create(&(struct takt_send_cfg){.to = (const char *[]){"studio.local"},
 *                      .to_count = 1, .channels = 2, .key = &key}, &s, &e);
 *     ...
 *     takt_send_write(s, b->in, b->frames, b->in_first_ns);   // in the callback
 *     ...
 *     takt_send_end(s);                                       // behind the last block, at once
 *     takt_send_destroy(s);
 *
 * The callback copies a block and wakes a thread, which encodes, encrypts and sends it
 * (docs/ARCHITECTURE.md, "Over the network"). Receivers that are takt need to be told nothing but
 * the port; others take a session description (.sdp_path, or .sap).
 *
 * Ports: RTP goes to the port that is named, RTCP to the next one, repair packets to the one after
 * that; with .mux all to the one. Receivers' reports come back to the port that is sent from.
 *
 * Without a key anybody on the way can listen and speak, so beyond this machine's loopback that has
 * to be asked for by .plain.
 */
#ifndef TAKT_SEND_H
#define TAKT_SEND_H

#include "takt/error.h"
#include "takt/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_send;

enum { TAKT_NET_PORT = 5004, TAKT_SEND_TO_MAX = 256, TAKT_SEND_LISTENERS_MAX = 32 };

/* How a number of repair packets or copies is chosen. */
enum takt_send_depth {
    TAKT_SEND_AUTO = 0, /* by what receivers report */
    TAKT_SEND_OFF,
    TAKT_SEND_FIXED
};

/* A zero field takes its default. */
struct takt_send_cfg {
    /* "HOST", "HOST:PORT", "[IPV6]:PORT", multicast "239.1.2.3%eth0:5004". Default port 5004. */
    const char *const *to;
    uint32_t to_count; /* 1..TAKT_SEND_TO_MAX; IPv4 and IPv6 alike */

    uint32_t rate_hz;  /* 8000..384000, default 48000; of Opus 8000, 12000, 16000, 24000, 48000 */
    uint32_t channels; /* 1..64, default 2; of Opus 1 or 2 */
    const char *codec; /* "L16", "L24", "opus" or "x-f32" in any case; default L24 */
    double packet_ms;  /* PCM: any that fits 1440 bytes, default by block_frames; Opus: 2.5, 5, 10
                        * or 20, default 10 */
    uint32_t block_frames; /* that are written at once: a packet of PCM is as long, or an equal part
                            * of that, or several; default unknown, for 1 ms or what fits */
    uint32_t bit_rate;     /* Opus, 6000..510000; default libopus's choice */
    bool low_delay;        /* Opus at 10 and 20 ms: 4 ms less, and no FEC */
    bool no_fec;           /* Opus at 10 and 20 ms: never a coarse copy in the next packet */

    /* RED (RFC 2198), for packets up to 5 ms: older packets in each. Auto: where packets are lost
     * or overtake each other and there is no repair */
    enum takt_send_depth copies;
    uint32_t copies_fixed; /* with TAKT_SEND_FIXED, 1..3 */
    /* Reed-Solomon packets: default auto for PCM, and for Opus off. Auto: where packets are lost or
     * overtake each other, which needs a third of the delay then */
    enum takt_send_depth repair;
    uint32_t repair_data;  /* with TAKT_SEND_FIXED: of so many packets, 1..32, */
    uint32_t repair_fixed; /* so many repair packets, 1..12 */

    const struct takt_key *key; /* SRTP, AES-256-GCM; is copied */
    double rotate_s;            /* a new key of it so often, 1..86400, default 3600 */
    bool sdes;                  /* instead of a key: a new one in the SDP, for other tools
                                 * (AES_CM_128_HMAC_SHA1_80); needs sdp_path */
    bool plain;                 /* no key, and not only to loopback addresses */
    bool bare;                  /* what others may not take is left out: header extensions,
                                 * descriptions and repair */

    const char *sdp_path; /* a session description, for receivers that are not takt. It is there
                           * when create returns; with keys in it only its owner may read it */
    bool sap;             /* announce it by SAP (RFC 2974), too */
    const char *name;     /* of the session, default "takt" */

    const char *from;   /* "[HOST]:PORT" to send from; default: the system's choice */
    bool mux;           /* everything to one port */
    uint32_t hops;      /* TTL, 1..255; default 1 for multicast, else the system's */
    int dscp;           /* 1..63, default 46 (EF); -1: as any packet */
    bool not_real_time; /* the threads take no real-time priority */
};

/* Opens sockets and starts the threads, and writes the SDP.
 * Errors: TAKT_ERR_ARG, with a line that says what to give instead; TAKT_ERR_NOT_FOUND (no such
 * host); TAKT_ERR_UNSUPPORTED; TAKT_ERR_IO; TAKT_ERR_NOMEM; TAKT_ERR_SYSTEM. *out is NULL then, and
 * there is no new file. Thread: any. RT: no (it may look names up). */
TAKT_API int takt_send_create(const struct takt_send_cfg *cfg, struct takt_send **out,
                              struct takt_error *e);

/* As takt_send_end(), and waits for it; removes nothing. Takes NULL. Thread: any. RT: no. */
TAKT_API void takt_send_destroy(struct takt_send *s);

/* A block of sound, or NULL planes for what a device lost, which has to be written, too, or what
 * follows is early: a hole in time, that receivers conceal. capture_ns: when its first frame was at
 * the converter, CLOCK_MONOTONIC. Returns false, and counts the frames as dropped, when the sending
 * thread is 0.5 s behind. Shape: planes[channels][frames], any number of frames. Thread: one at a
 * time. RT: yes (wait-free), with one named exception: takt_wake_rouse, a futex(2) that does not
 * block, made only while the sending thread sleeps. */
TAKT_API bool takt_send_write(struct takt_send *s, const float *const *planes, uint32_t frames,
                              int64_t capture_ns);

/* The sound is over: what is left of it goes out, filled up with silence to a whole packet, and a
 * goodbye (RTCP BYE) behind it. To be called as soon as that is known, since what is left is late
 * soon. Nobody writes any more; figures can still be read. Twice is as good as once.
 * Thread: any. RT: yes (wait-free), as takt_send_write(). */
TAKT_API void takt_send_end(struct takt_send *s);

/* One that reported within the last 30 s. */
struct takt_send_listener {
    uint32_t ssrc;
    double loss;          /* 0..1, of the packets since its report before, before repair */
    double jitter_ms;     /* RFC 3550's */
    double round_trip_ms; /* below 0: not known */
    double heard_s;       /* ago */
};

struct takt_send_stats {
    uint64_t frames, frames_dropped; /* taken; lost because the thread was behind */
    uint64_t packets, bytes;         /* RTP with its headers, without UDP's; of one destination */
    uint64_t copies;                 /* older packets in others */
    uint64_t repair_packets, repair_bytes;
    uint64_t reports_sent, reports_heard, reports_refused;
    uint64_t unsent; /* datagrams the system did not take, all destinations */

    char unsent_why[96]; /* the last reason; empty: none */
    double kbit_s;       /* to one destination, everything and UDP/IP headers, last second */
    uint32_t ssrc;
    const char *codec;                            /* "L24" */
    uint32_t packet_frames;                       /* at rate_hz */
    uint32_t copies_now, repair_now, repair_data; /* older packets in each; repair packets of a
                                                   * block of repair_data packets */
    uint32_t loss_percent;                        /* expected */
    uint32_t epoch;                               /* of the key */
    bool encrypted;
    bool ended;        /* all is sent, and counted here: see takt_send_end() */
    double wake_us[2]; /* from write to sent: p50, p99 */
    double cpu_s;      /* that the threads used */
    uint32_t listeners_count;
    struct takt_send_listener listeners[TAKT_SEND_LISTENERS_MAX];
};

/* Thread: any, one at a time. RT: no. */
TAKT_API void takt_send_read_stats(struct takt_send *s, struct takt_send_stats *out);

#ifdef __cplusplus
}
#endif
#endif
