/*
 * takt/recv.h - sound from the network: RTP of one sender or several, through loss, jitter and
 * drift.
 *
 *     takt_recv_create(&(struct takt_recv_cfg){.at = ":5004", .channels = 2, .key = &key}, &r, &e);
 *     ...
 *     takt_recv_read(r, b->now_ns, b->out_first_ns, b->out, b->frames);   // in the callback
 *     ...
 *     takt_recv_read_stats(r, &stats);                                    // anywhere
 *
 * A thread takes datagrams with the kernel's arrival stamps, decrypts and checks them, and hands
 * them on; they are decoded in the callback, when their time has come. How long a packet waits for
 * those that are later is learned of the network, and how sender's and converter's clocks differ:
 * docs/ARCHITECTURE.md, "Over the network", says how.
 *
 * Ports: RTP at the one that is named, RTCP at the next, repair packets at the one after that; what
 * comes at which does not matter. Where one of the other two is taken, what goes to it is missed.
 *
 * Without a key anybody may speak, so beyond this machine's loopback that has to be asked for by
 * .plain; with one only those are heard who have it.
 */
#ifndef TAKT_RECV_H
#define TAKT_RECV_H

#include "takt/error.h"
#include "takt/hist.h"
#include "takt/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_recv;

enum { TAKT_RECV_SOURCES_MAX = 16, TAKT_RECV_FORMATS_MAX = 8, TAKT_RECV_NAME_MAX = 80 };

/* A zero field takes its default. */
struct takt_recv_cfg {
    /* "PORT", ":PORT", "HOST:PORT", a multicast group "239.1.2.3%eth0:5004". Default: that of the
     * SDP, else 127.0.0.1:5004 without a key and :5004 with one. */
    const char *at;
    const char *sender; /* of a group, hear this host alone */

    /* What packets are is told by senders that are takt. For others: */
    const char *sdp_path;       /* a session description, with its keys if it has some */
    const char *const *formats; /* or "97=L24/48000/2", as in a=rtpmap; all senders' together */
    uint32_t formats_count;     /* 0..TAKT_RECV_FORMATS_MAX */

    uint32_t rate_hz;     /* of the output, 8000..384000, default 48000 */
    uint32_t channels;    /* 1..64, default 2; mono goes to all */
    uint32_t max_frames;  /* of a takt_recv_read(), default 16384 */
    uint32_t sources_max; /* senders that are mixed, 1..16; default 1: only the first is heard */

    double latency_ms;     /* fixed, instead of learned; 0..2000, 0: learned */
    double latency_ms_max; /* never more than this, default 1000 */
    double late_ratio; /* share of packets that may be late, 0.00001..0.5; 0: what is cheapest */
    double lambda_ms;  /* what it may cost to have all packets in time: default 2000, which is
                        * 20 ms of delay for each 1 % */

    const struct takt_key *key; /* is copied */
    bool plain;                 /* no key, and not only on loopback addresses */
    bool silent;                /* no reports to anybody */
    const char *name;           /* CNAME in reports; default: by chance */
    bool not_real_time;         /* the threads take no real-time priority */
};

/* Opens sockets, joins groups and starts the threads.
 * Errors: TAKT_ERR_ARG, with a line that says what to give instead; TAKT_ERR_NOT_FOUND;
 * TAKT_ERR_FORMAT (of the SDP); TAKT_ERR_UNSUPPORTED; TAKT_ERR_IO (the port is taken);
 * TAKT_ERR_NOMEM; TAKT_ERR_SYSTEM. *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_recv_create(const struct takt_recv_cfg *cfg, struct takt_recv **out,
                              struct takt_error *e);

/* Takes NULL. Nobody reads any more. Thread: any. RT: no. */
TAKT_API void takt_recv_destroy(struct takt_recv *r);

/* The next frames of all senders together, silence where there is none. now_ns: of this call,
 * play_ns: when the first of these frames will be at the converter, both CLOCK_MONOTONIC; a steady
 * play_ns, as a stream's blocks have it, is what keeps the sound exact.
 * Shape: out[channels][frames], frames 1..max_frames. Units: linear; a mix may be beyond -1..+1.
 * Thread: one at a time. RT: yes (wait-free), and the stack needs 64 KiB for Opus. */
TAKT_API void takt_recv_read(struct takt_recv *r, int64_t now_ns, int64_t play_ns,
                             float *const *out, uint32_t frames);

/* Where packets are, all of a source's; every packet that was to be played is in one of them. */
struct takt_recv_counts {
    uint64_t packets; /* that arrived, of senders that are heard; copies and repair not counted */
    uint64_t played;
    uint64_t late;     /* arrived, and their time was over */
    uint64_t lost;     /* never arrived, nor could be repaired */
    uint64_t repaired; /* played from copies or repair packets */
    uint64_t skipped;  /* arrived in time, and were passed over: after a jump, for want of room, or
                        * before anything was heard */
    uint64_t duplicated;
    uint64_t broken; /* no payload of their format */
    uint64_t resets; /* how often a source began anew */
    uint64_t heard_frames, concealed_frames;
};

/* In milliseconds, as quantiles over the last minute or all of it; 0 where nothing is known. */
struct takt_recv_quantiles {
    double p50, p95, p99, max;
};

struct takt_recv_source {
    bool live;   /* else ssrc and counts are of the last one here, and the rest is nothing */
    bool silent; /* nothing came for half a second: no latency is known, the rest is of before */
    uint32_t ssrc;
    char from[TAKT_RECV_NAME_MAX];  /* "192.0.2.1:40000" */
    char cname[TAKT_RECV_NAME_MAX]; /* what it calls itself; or empty */
    const char *codec;              /* "L24" */
    uint32_t rate_hz, channels;
    double packet_ms; /* 0: not known */
    bool encrypted;
    bool exact; /* bit by bit as it was sent, just now */
    struct takt_recv_counts counts;
    double target_ms, delay_ms; /* that packets are given, from the earliest they can come: wished
                                 * for, and there is */
    double output_ms;           /* from the callback to the converter */
    double drift_ppm;           /* above 0: the sender's clock is slower than ours */
    double speed_ppm;           /* how much faster than nominal it is played just now */
    double jitter_ms;           /* RFC 3550's */
    struct takt_recv_quantiles lateness_ms; /* of arrivals, after the earliest there can be; all
                                             * sources' together */
    bool latency_known;                     /* the sender says when sound was captured, and its
                                             * clock is known */
    double latency_ms;                      /* from capture to the converter, just now, */
    struct takt_recv_quantiles latency;     /* and of all blocks that were played */
    double round_trip_ms;                   /* below 0: not known */
    double kbit_s;                          /* last second, with repair and UDP/IP headers */
};

/* Datagrams that were not heard, since create. */
struct takt_recv_refused {
    uint64_t malformed, foreign, undescribed, forged, plain, encrypted, replayed, untried;
};

struct takt_recv_stats {
    struct takt_recv_counts counts; /* of all sources there were */
    struct takt_recv_refused refused;
    char stranger[TAKT_RECV_NAME_MAX]; /* where the last one refused and not malformed came from */
    uint64_t datagrams, kernel_dropped, ring_dropped;
    double kbit_s;      /* of everything that came, last second, with UDP and IP headers */
    double kbit_s_mean; /* of what was believed, from the first to the last of it */
    double late_ratio, lost_ratio, repaired_ratio;         /* of packets that were to be played */
    double concealed_ratio;                                /* of the sound since it began */
    double cpu_s;                                          /* that the threads used */
    uint32_t sources_count;                                /* live ones */
    struct takt_recv_source source[TAKT_RECV_SOURCES_MAX]; /* by place */
};

/* Thread: any, one at a time. RT: no. */
TAKT_API void takt_recv_read_stats(struct takt_recv *r, struct takt_recv_stats *out);

/* How late packets came, in nanoseconds after the earliest there can be: of all sources, since
 * create. Thread: any. RT: no. */
TAKT_API void takt_recv_read_lateness(struct takt_recv *r, struct takt_hist *out);

enum takt_recv_event_kind {
    TAKT_RECV_BEGAN = 1, /* a source: text says what it is */
    TAKT_RECV_ENDED,     /* text says why */
    TAKT_RECV_REFUSED,   /* somebody is not heard: text says who and why, and what to do. Once a
                          * reason until something else was heard, and at most every 10 s */
    TAKT_RECV_WARNED     /* others can read the SDP's key: text says what to do */
};

struct takt_recv_event {
    enum takt_recv_event_kind kind;
    int64_t time_ns;
    uint32_t place, ssrc;
    char text[200];
};

/* The next event, oldest first; false when there is none. 64 are kept, what is beyond is lost.
 * Thread: any, one at a time. RT: no. */
TAKT_API bool takt_recv_next(struct takt_recv *r, struct takt_recv_event *out);

/* Where it listens: "127.0.0.1:5004". Thread: any. RT: no. */
TAKT_API const char *takt_recv_at(const struct takt_recv *r);

#ifdef __cplusplus
}
#endif
#endif
