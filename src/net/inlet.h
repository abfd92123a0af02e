/*
 * net/inlet.h - from datagrams, which may be anybody's, to packets of sources that are believed:
 * decrypted, checked, described, repaired; and the reports that go back. All of a receiver that is
 * before its play-out (net/receiver.h), but its clock and its sockets.
 *
 *     takt_inlet_create(&(struct takt_inlet_cfg){.key = &key, .begin = begin, .packet = packet,
 *                       .end = end, .arg = me}, &in, &e);
 *     takt_inlet_take(in, &(struct takt_inlet_datagram){...});   // each datagram, of whatever port
 *     takt_inlet_tick(in, now_ns, send, me);                     // by takt_inlet_due_ns()
 *
 * RTP, RTCP and repair are told apart by what is in them, so it does not matter on which of the
 * three ports they came.
 *
 * What is believed. With a key: what its tag shows to be of somebody who has the key, and has not
 * been heard before. A source's keys are derived when it is first heard, and kept once a tag
 * fits; at most `trials_per_s` times a second, so that packets that are made up cost no more than
 * the check of a tag or less each. The key of a known source's next epoch is there before it is
 * needed. Where there is one place, a source that began later (its note's start) takes it at once,
 * and one that began earlier than the newest that had it is refused: it is an old one, played
 * again. So is, where several are mixed, what is known to have ended, or has no place in that
 * memory and began before what has. An SDP's key shows no start: another source waits for 2 s of
 * silence, or a place that is free.
 *
 * Without a key (plain RTP, from anybody): the first source whose packets come twice in order;
 * another one only after 2 s of its silence and 8 packets in order, or, where several are mixed,
 * in a place that is free. RTCP counts only from the host of the source's packets.
 *
 * What a source's packets are is what it says (SDES PRIV), else what cfg.formats say of their
 * payload type. Up to 32 packets of a source wait until that is known.
 *
 * Repair packets that come before a source has its place are of no use, and count as waiting.
 *
 * Reports go to where the source's own RTCP came from, and never more bytes to anywhere than came
 * from there; to plain sources only when asked for.
 *
 * Pure: no clock is asked and no chance taken but through cfg.seed. Thread: one at a time, all
 * calls. RT: no, since libcrypto is called. No memory is taken after create, but for the moment in
 * which a key is derived.
 */
#ifndef TAKT_NET_INLET_H
#define TAKT_NET_INLET_H

#include "net/receiver.h"
#include "net/session_text.h"
#include "takt/key.h"

struct takt_inlet;

enum { TAKT_INLET_PEER_BYTES = 24, TAKT_INLET_HOST_BYTES = 20, TAKT_INLET_CNAME_MAX = 65 };

/* An address, which only the caller can read: the first TAKT_INLET_HOST_BYTES name the host, the
 * rest its port. Zeros: none. */
struct takt_inlet_peer {
    uint8_t bytes[TAKT_INLET_PEER_BYTES];
};

struct takt_inlet_datagram {
    int64_t arrival_ns; /* monotonic; never falls by much */
    uint8_t *data;      /* is changed */
    size_t bytes;
    struct takt_inlet_peer from;
};

enum takt_inlet_ending {
    TAKT_INLET_BYE,     /* it said so, and what it sent before that has had 2 ms to come */
    TAKT_INLET_SILENT,  /* silent for cfg.silent_s */
    TAKT_INLET_REPLACED /* by another source, or by itself with another format */
};

/* A source that begins at a place. */
struct takt_inlet_source {
    uint32_t ssrc;
    struct takt_session_packets packets; /* .format.frames 0: not told */
    bool is_described;                   /* by itself */
    bool is_encrypted;
    struct takt_inlet_peer from;
};

/* A zero field takes its default. */
struct takt_inlet_cfg {
    /* At most one of both; neither: plain RTP. Both are copied. */
    const struct takt_key *key;
    const struct takt_srtp_key *srtp_key; /* of an SDP */
    enum takt_srtp_suite suite;
    uint32_t mki_bytes; /* of srtp_key */

    /* What payload types are where a source does not say so; .red_type, .repair_type, .capture_id
     * and .note_id of each count as well. */
    const struct takt_session_packets *formats;
    uint32_t formats_count; /* 0..TAKT_RECEIVER_FORMATS_MAX */
    bool is_deaf_to_lines;  /* a description is not asked for: only formats count */

    uint32_t sources_max;  /* places, 1..TAKT_RECEIVER_SOURCES_MAX; default 1 */
    double silent_s;       /* until a source has ended, default 10 */
    uint32_t trials_per_s; /* keys derived for those who may have none; default 1000 */
    bool reports_plain;    /* report to plain sources, too */
    uint32_t ssrc;         /* of our reports, and epoch, seed: by chance */
    uint32_t epoch;
    uint64_t seed;
    const char *cname;
    size_t packet_bytes_max; /* of a datagram, default 1500 */

    /* Called within takt_inlet_take() and takt_inlet_tick(). A packet is valid during the call;
     * its capture_ns is by our clock, and has_capture is false while that is not known. */
    void (*begin)(void *arg, uint32_t place, const struct takt_inlet_source *source);
    void (*packet)(void *arg, uint32_t place, const struct takt_net_packet *p);
    void (*end)(void *arg, uint32_t place, enum takt_inlet_ending why);
    void *arg;
};

/* How one source does, that has a place. */
struct takt_inlet_state {
    bool is_live;
    struct takt_inlet_source source;
    char cname[TAKT_INLET_CNAME_MAX]; /* what it calls itself, printable; or empty */
    uint64_t packets, bytes;          /* of RTP and repair, with their headers */
    int64_t heard_ns;                 /* its last packet */
    int32_t lost;                     /* before repair */
    int64_t jitter_ns;                /* RFC 3550's */
    uint64_t repaired;                /* packets that repair brought back */
    uint64_t repair_packets;
    int64_t round_trip_ns;          /* -1: not known */
    bool has_clock;                 /* its wall clock is known by ours, to half the round trip, */
    int64_t unix_less_monotonic_ns; /* so: its wall clock less our arrival clock */
};

/* Datagrams since create. Each one is in exactly one of them. */
struct takt_inlet_counts {
    uint64_t packets;     /* RTP that was believed */
    uint64_t repair;      /* of these sources */
    uint64_t reports;     /* RTCP of these sources */
    uint64_t waiting;     /* RTP held back until the format is known, or the source believed; RTCP
                           * whose source is not heard yet; what comes just after a BYE */
    uint64_t malformed;   /* neither RTP nor RTCP */
    uint64_t foreign;     /* plain sources for which there is no place */
    uint64_t undescribed; /* of a format that nobody told, beyond those that wait */
    uint64_t forged;      /* the key does not fit */
    uint64_t plain;       /* not encrypted, though a key is wanted */
    uint64_t encrypted;   /* encrypted by takt, and there is no key here */
    uint64_t replayed;    /* heard before, or of an old source */
    uint64_t untried;     /* of unknown sources: beyond trials_per_s, or RTCP and repair, which
                           * show no start that could be tried */
};

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED;
 * *out is NULL then. */
int takt_inlet_create(const struct takt_inlet_cfg *cfg, struct takt_inlet **out,
                      struct takt_error *e);

/* Wipes the keys. NULL is fine. */
void takt_inlet_destroy(struct takt_inlet *in);

/* One datagram, whatever is in it. */
void takt_inlet_take(struct takt_inlet *in, const struct takt_inlet_datagram *d);

/* Sends a report: to is where to; its memory is used again afterwards. */
typedef void takt_inlet_send(void *arg, const struct takt_inlet_peer *to, const uint8_t *datagram,
                             size_t bytes);

/* Does what is due by now_ns: reports, and the ends of sources that are silent. */
void takt_inlet_tick(struct takt_inlet *in, int64_t now_ns, takt_inlet_send *send, void *arg);
int64_t takt_inlet_due_ns(const struct takt_inlet *in);

/* place: below sources_max. */
void takt_inlet_read(const struct takt_inlet *in, uint32_t place, struct takt_inlet_state *out);
void takt_inlet_read_counts(const struct takt_inlet *in, struct takt_inlet_counts *out);

/* Where the last refused datagram came from that was not malformed: whom a line can name. */
void takt_inlet_read_stranger(const struct takt_inlet *in, struct takt_inlet_peer *out);

#endif
