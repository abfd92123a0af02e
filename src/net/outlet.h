/*
 * net/outlet.h - the whole of a sender but its clock, its chance and its sockets: sound in,
 * datagrams out, encrypted, with repair and reports; reports of its receivers in.
 *
 *     takt_outlet_create(&(struct takt_outlet_cfg){.packets = p, .key = &key, .ssrc = ssrc,
 *                        .start = takt_srtp_start(unix_s, chance), .cname = "a1b2c3"}, &o, &e);
 *     takt_outlet_set_clock(o, unix_ns - now_ns);
 *     takt_outlet_push(o, planes, frames, capture_ns, now_ns, send_to_all, &sockets);
 *     takt_outlet_take(o, datagram, bytes, now_ns);         // what came back
 *     takt_outlet_bye(o, now_ns, "done", send_to_all, &sockets);
 *
 * Datagrams are of three kinds, for three ports: RTP, RTCP and repair (wire/repair.h). Repair
 * packets are RTP of their own: the stream's SSRC + 1, a payload type of their own, numbers from a
 * count of their own, the timestamp of the newest packet they were made of.
 *
 * Between two takts no format has to be told: a line that describes the stream (SDES PRIV,
 * net/session_text.h) goes out before the first packet, after the 1st, 2nd, 4th, 8th … until there
 * is sound of 250 ms, and then every 250 ms, within an SR where one is due and else with an empty
 * RR. The first SR follows the first packet.
 *
 * With a key, each packet carries the note of wire/srtp.h, and the MKI is the epoch. A new epoch
 * begins each rotate_s; receivers derive its key when they see it, so there is no gap. Reports come
 * back encrypted as well, each reporter with a key of its own; up to 32 are known at a time, and
 * one that has been silent for 30 s makes room for another.
 *
 * Pure: no clock is asked and no chance taken but through cfg.seed. Thread: one at a time, all
 * calls. RT: no, since libcrypto is called; without a key as net/sender.h says.
 */
#ifndef TAKT_NET_OUTLET_H
#define TAKT_NET_OUTLET_H

#include "net/sender.h"
#include "takt/key.h"

struct takt_outlet;

enum takt_outlet_kind { TAKT_OUTLET_RTP, TAKT_OUTLET_RTCP, TAKT_OUTLET_REPAIR };

enum {
    TAKT_CAPTURE_ID = 1, /* the header extension's elements, where no SDP says otherwise */
    TAKT_NOTE_ID = 2,
    TAKT_REPAIR_TYPE = 127 /* payload type of repair packets, where none is given */
};

/* A zero field takes its default. */
struct takt_outlet_cfg {
    struct takt_session_packets packets; /* capture_id and note_id are set here: the note with
                                          * `key`, capture time always but where is_bare.
                                          * repair_type: TAKT_REPAIR_TYPE by default */
    bool is_bare;                        /* for other tools: no capture time, no description, and
                                          * no repair, whatever is asked for; not with `key` */
    uint32_t ssrc, timestamp;            /* and seq, start, seed: by chance, anew for each start */
    uint16_t seq;
    uint64_t start; /* of takt_srtp_start(); with `key` there has to be one */
    uint64_t seed;  /* for the times of reports */
    const char *cname;

    /* At most one of both; neither: plain RTP. Both are copied. */
    const struct takt_key *key;           /* of takt */
    const struct takt_srtp_key *srtp_key; /* SDES's: no note, and no epochs */
    enum takt_srtp_suite suite;           /* of either */
    uint32_t mki_bytes;                   /* of srtp_key, 0..4 */
    double rotate_s;                      /* an epoch, 1..86400; default 3600 */

    /* RED: as in struct takt_sender_cfg. Where there may be repair, copies are as many as `copies`
     * says. */
    uint32_t copies, copies_max;
    bool follows_loss;
    size_t datagram_bytes_max; /* of RTP and repair; default 1452, which never breaks up on IPv4 or
                                * IPv6. Where there may be repair, RTP packets are 28 bytes shorter,
                                * with a note 48 */

    /* Repair: of each `repair_data` packets so many repair packets. With repair_max above
     * repair_least, as many as the receivers' reports ask for: what keeps loss below 0.006 %
     * where it can, and what makes the delay short where packets overtake each other. repair_max 0:
     * never any. */
    uint32_t repair_least, repair_max; /* 0..12 */
    uint32_t repair_data;              /* 1..32; default by the reports, as net/outlet_repair.h has
                                        * it: 2 to 6 packets of 3 ms where they tell of nothing */
};

struct takt_outlet_stats {
    struct takt_sender_stats sender;
    uint64_t repair_packets, repair_bytes;
    uint32_t repair_now;  /* repair packets a block, just now; 0: none */
    uint32_t repair_data; /* packets a block */
    uint64_t reports;     /* RTCP datagrams; bytes are of all that is handed out */
    uint64_t report_bytes;
    uint64_t heard;       /* receivers' RTCP that was taken */
    uint64_t refused;     /* such that was forged, played again or malformed */
    uint64_t unencrypted; /* packets not sent since libcrypto failed */
    uint32_t epoch;
};

/* Takes a finished datagram; its memory is used again afterwards. */
typedef void takt_outlet_emit(void *arg, enum takt_outlet_kind kind, const uint8_t *datagram,
                              size_t bytes);

/* Takes all the memory there will be. Errors: those of takt_sender_create() and takt_srtp_create();
 * TAKT_ERR_ARG; *out is NULL then. */
int takt_outlet_create(const struct takt_outlet_cfg *cfg, struct takt_outlet **out,
                       struct takt_error *e);

/* Wipes the keys. NULL is fine. */
void takt_outlet_destroy(struct takt_outlet *o);

/* As takt_sender_set_clock(). */
void takt_outlet_set_clock(struct takt_outlet *o, int64_t unix_less_monotonic_ns);

/* Frames of sound, or lost ones: as takt_sender_push(); and all that is due by now_ns: repair
 * packets, reports, descriptions. With 0 frames these alone. */
void takt_outlet_push(struct takt_outlet *o, const float *const *planes, uint32_t frames,
                      int64_t capture_ns, int64_t now_ns, takt_outlet_emit *emit, void *arg);

/* When takt_outlet_push() has something to do though no sound comes: INT64_MAX before the first
 * packet. */
int64_t takt_outlet_due_ns(const struct takt_outlet *o);

/* Sends what has been begun, filled up with silence, its repair packets, and an RTCP BYE; nothing
 * at all when there was no sound yet. After it, pushes do nothing. reason may be NULL. */
void takt_outlet_bye(struct takt_outlet *o, int64_t now_ns, const char *reason,
                     takt_outlet_emit *emit, void *arg);

/* A datagram that came to the stream's port, from anybody. It is changed. Returns 0.
 * Errors: TAKT_ERR_FORMAT: no RTCP, or not by one who has the key; it is counted. */
int takt_outlet_take(struct takt_outlet *o, uint8_t *datagram, size_t bytes, int64_t now_ns);

/* As takt_sender_read_receivers(). */
size_t takt_outlet_read_receivers(const struct takt_outlet *o, struct takt_sender_receiver *out,
                                  size_t max);

void takt_outlet_read_stats(const struct takt_outlet *o, struct takt_outlet_stats *out);

/* What the packets are, with the ids that were set: for an SDP. */
void takt_outlet_read_packets(const struct takt_outlet *o, struct takt_session_packets *out);

#endif
