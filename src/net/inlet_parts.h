/*
 * net/inlet_parts.h - what an inlet is made of: the keys that open its packets (inlet_keys.c), what
 * a source says of itself (inlet_heard.c), what is known of its clock and reported back
 * (inlet_report.c), who has a place (inlet_place.c) and who has none yet (inlet_candidate.c).
 *
 * Thread: one at a time, all calls. RT: no.
 */
#ifndef TAKT_NET_INLET_PARTS_H
#define TAKT_NET_INLET_PARTS_H

#include "base/random.h"
#include "net/inlet.h"
#include "wire/repair.h"
#include "wire/rtcp.h"
#include "wire/srtp.h"

/* ---- Keys ------------------------------------------------------------------------------------ */

/* One start of one source whose tag did fit: its keys, and what it has sent already. */
struct takt_inlet_context {
    bool is_used;
    bool is_over;    /* it said so: nothing of it counts any more */
    bool has_place;  /* and so is not forgotten */
    bool has_repair; /* its repair packets have keys, too, and those of the way back */
    bool has_back;
    uint32_t ssrc, epoch; /* the newest that a tag did fit of */
    uint64_t start;
    int64_t heard_ns;
    struct takt_srtp *in, *repair, *back;
};

enum { TAKT_INLET_ENDED_MAX = 64 };

struct takt_inlet_ended {
    uint32_t ssrc;
    uint64_t start;
};

struct takt_inlet_keys {
    struct takt_key key;
    enum takt_srtp_suite suite;
    bool is_single; /* there is one place */
    uint32_t ssrc, epoch;
    struct takt_inlet_context *contexts;
    uint32_t count;
    struct takt_srtp *trial; /* where a key is tried, which then becomes a context's */
    uint8_t *copy;           /* of the packet that it is tried with */
    struct takt_inlet_ended ended[TAKT_INLET_ENDED_MAX];
    uint32_t ended_count;
    bool has_floor;
    uint64_t floor; /* a start up to this one is old, unless it has a context */
    double trials, trials_per_s;
    int64_t trials_ns;
};

enum takt_inlet_opened {
    TAKT_INLET_OPENED,
    TAKT_INLET_FORGED,
    TAKT_INLET_REPLAYED,
    TAKT_INLET_UNTRIED
};

struct takt_inlet_keys_cfg {
    const struct takt_key *key;
    enum takt_srtp_suite suite;
    uint32_t sources_max, trials_per_s;
    uint32_t ssrc, epoch; /* ours */
    size_t packet_bytes_max;
};

/* Errors: TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED, TAKT_ERR_ARG; clear it all the same. */
int takt_inlet_keys_init(struct takt_inlet_keys *k, const struct takt_inlet_keys_cfg *cfg,
                         struct takt_error *e);
void takt_inlet_keys_clear(struct takt_inlet_keys *k);

/* Opens d in place, of a source that tells this note. *bytes: what is left of it, and *from: whose
 * it is. */
enum takt_inlet_opened takt_inlet_open_rtp(struct takt_inlet_keys *k,
                                           const struct takt_inlet_datagram *d, uint32_t ssrc,
                                           const struct takt_srtp_note *note, size_t *bytes,
                                           struct takt_inlet_context **from);

/* The same for a repair packet of the source ssrc. UNTRIED: of nobody who has been heard himself.
 */
enum takt_inlet_opened takt_inlet_open_repair(struct takt_inlet_keys *k,
                                              const struct takt_inlet_datagram *d, uint32_t ssrc,
                                              const struct takt_srtp_note *note, size_t *bytes,
                                              struct takt_inlet_context **from);

/* The same for RTCP. UNTRIED: of nobody whose start is known. */
enum takt_inlet_opened takt_inlet_open_rtcp(struct takt_inlet_keys *k,
                                            const struct takt_inlet_datagram *d, size_t *bytes,
                                            struct takt_inlet_context **from);

/* It has a place from now on: where there is only one, all that began before it is old. */
void takt_inlet_keys_begun(struct takt_inlet_keys *k, struct takt_inlet_context *c);

/* Protects a report to this source. Returns its size, or an error of takt_srtcp_protect(). */
int takt_inlet_seal(struct takt_inlet_keys *k, struct takt_inlet_context *c, uint8_t *report,
                    size_t bytes, size_t room);

/* ---- A source's clock ------------------------------------------------------------------------ */

enum { TAKT_INLET_SAMPLES = 16, TAKT_INLET_ASKED = 8 };

struct takt_inlet_sample {
    int64_t at_ns, ns;
};

/* What the least of a time may come from, the newest last. */
struct takt_inlet_least {
    struct takt_inlet_sample list[TAKT_INLET_SAMPLES];
    uint32_t count;
};

struct takt_inlet_clock {
    struct takt_inlet_least sr; /* arrival less the SR's wall clock, less drift */
    struct takt_inlet_least trip;
    uint32_t asked[TAKT_INLET_ASKED]; /* our clock's middle bits, in reports that were sent */
    uint32_t asked_count;
    bool is_known;
    int64_t unix_less_monotonic_ns;
    bool has_pair; /* the newest SR: its wall clock, and the RTP timestamp of that moment */
    int64_t pair_ns;
    uint32_t pair_timestamp, pair_hz;
};

/* An SR's time, with its RTP timestamp at clock_hz, and an answer to our own. A wall clock that was
 * set no longer fits the timestamps: then what earlier SRs said of it is forgotten. */
void takt_inlet_clock_sr(struct takt_inlet_clock *c, int64_t arrival_ns, uint64_t ntp,
                         uint32_t timestamp, uint32_t clock_hz);
void takt_inlet_clock_answer(struct takt_inlet_clock *c, int64_t arrival_ns,
                             const struct takt_rtcp_dlrr *answer);

/* The last round trip, or -1. */
int64_t takt_inlet_clock_trip_ns(const struct takt_inlet_clock *c);

/* When a packet's sound was captured, by our clock. False: that is not known, or cannot be true, as
 * with a stamp that was damaged, or of a wall clock that was set since the last SR. */
bool takt_inlet_captured(const struct takt_inlet_clock *c, const struct takt_rtp *p, uint8_t id,
                         uint32_t clock_hz, int64_t arrival_ns, int64_t *out);

/* ---- Sources --------------------------------------------------------------------------------- */

/* Who sends, whether it has a place or not yet. */
struct takt_inlet_sender {
    uint32_t ssrc;
    struct takt_inlet_context *context; /* NULL but with a key of takt */
    bool has_line;
    struct takt_session_packets line; /* what it says of itself */
    char cname[TAKT_INLET_CNAME_MAX];
    struct takt_inlet_peer from;
    bool has_back; /* it is known where its reports come from */
    struct takt_inlet_peer back;
    uint64_t budget; /* bytes that came from there, less those sent there */
    uint32_t last_sr;
    int64_t last_sr_ns;
    struct takt_inlet_clock clock;
};

struct takt_inlet_place {
    bool is_live;
    struct takt_inlet_sender sender;
    struct takt_inlet_source source;
    uint32_t other_run; /* packets in a row of another format that is known */
    int64_t begun_ns, heard_ns;
    uint64_t packets, bytes;
    struct takt_rtp_source reception;
    uint32_t came, overtaken; /* since the last report: packets, and those after a later one */
    struct takt_repair_decoder *repair;
    uint64_t repaired, repair_packets;
    bool is_due; /* a report, at due_ns */
    int64_t due_ns;
    uint32_t reports;
    double report_bytes; /* smoothed */
    bool is_leaving;     /* it said that it ends, and does so at leaves_ns */
    int64_t leaves_ns;
    bool has_gone; /* the last one said that it ends, at gone_ns */
    uint32_t gone_ssrc;
    uint32_t gone_run; /* packets in order since then, and the next one's number */
    uint16_t gone_next;
    int64_t gone_ns;
};

/* The newest packets of one that has no place yet. */
struct takt_inlet_held {
    int64_t arrival_ns;
    size_t bytes;
    uint8_t *data;
};

enum { TAKT_INLET_HELD = 32, TAKT_INLET_CANDIDATES = 8 };

struct takt_inlet_candidate {
    bool is_used;
    struct takt_inlet_sender sender;
    int64_t heard_ns;
    uint32_t run; /* packets in order */
    uint16_t seq_next;
    uint32_t held_count; /* since it is one; the newest TAKT_INLET_HELD are there */
    struct takt_inlet_held held[TAKT_INLET_HELD];
};

enum takt_inlet_trust { TAKT_INLET_PLAIN, TAKT_INLET_KEYED, TAKT_INLET_SDES };

struct takt_inlet {
    struct takt_inlet_cfg cfg;
    struct takt_session_packets formats[TAKT_RECEIVER_FORMATS_MAX];
    char cname[TAKT_INLET_CNAME_MAX];
    int64_t silent_ns;
    enum takt_inlet_trust trust;
    struct takt_inlet_keys keys;
    struct takt_srtp *sdes_in, *sdes_out;
    struct takt_random chance;
    struct takt_inlet_counts counts;
    struct takt_inlet_peer stranger;
    uint8_t *found;     /* [packet_bytes_max], a packet that repair brought back */
    uint8_t *held_data; /* of all candidates */
    struct takt_inlet_candidate candidate[TAKT_INLET_CANDIDATES];
    struct takt_inlet_place place[TAKT_RECEIVER_SOURCES_MAX];
};

/* ---- Reports --------------------------------------------------------------------------------- */

/* A report of the source is there, or it has a place: the next one to it comes soon. */
void takt_inlet_report_soon(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns);

/* Reports to one source, if it is due by now. */
void takt_inlet_report(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns,
                       takt_inlet_send *send, void *arg);

/* What of its clock's units the jitter is in. */
uint32_t takt_inlet_clock_hz(const struct takt_session_packets *p);

/* All of a compound but the line; clock_hz is 0 where no format is known yet. Returns whether the
 * source ends. */
bool takt_inlet_hear(const struct takt_inlet *in, struct takt_inlet_sender *s, uint32_t clock_hz,
                     const struct takt_inlet_datagram *d, size_t bytes);

/* Its line, if there is one that can be played. */
bool takt_inlet_hear_line(const struct takt_inlet *in, const uint8_t *data, size_t bytes,
                          uint32_t ssrc, struct takt_session_packets *out);

/* ---- Places ---------------------------------------------------------------------------------- */

/* What packets of this type are, as far as anybody has told; NULL: nobody has. */
const struct takt_session_packets *
takt_inlet_format_of(const struct takt_inlet *in, const struct takt_inlet_sender *s, uint8_t type);

/* Makes it as a receiver can take it, if any can. Opus is received at 48 kHz, whatever it was made
 * of. */
bool takt_inlet_is_playable(struct takt_session_packets *p);

bool takt_inlet_is_same_host(const struct takt_inlet_peer *a, const struct takt_inlet_peer *b);

/* context: NULL but with a key of takt. */
struct takt_inlet_place *takt_inlet_find_place(struct takt_inlet *in, uint32_t ssrc,
                                               const struct takt_inlet_context *context);

/* Its caller is told why. */
void takt_inlet_end_place(struct takt_inlet *in, struct takt_inlet_place *p,
                          enum takt_inlet_ending why);

/* Its caller is told whom it is of, and in what format. */
void takt_inlet_announce(struct takt_inlet *in, struct takt_inlet_place *p,
                         const struct takt_session_packets *format);

/* The same source in another format. */
void takt_inlet_begin_anew(struct takt_inlet *in, struct takt_inlet_place *p,
                           const struct takt_session_packets *format);

/* Whether packets of this type are its source's sound. */
bool takt_inlet_is_of(const struct takt_inlet_place *p, uint8_t type);

/* Delivers a packet of its sound, and what repair brings back by it. */
void takt_inlet_receive(struct takt_inlet *in, struct takt_inlet_place *p,
                        const struct takt_rtp *rtp, const uint8_t *data, size_t bytes,
                        int64_t arrival_ns);

/* One packet of a source that has a place, and one of its repair packets. Each returns the count
 * that it belongs to. */
uint64_t *takt_inlet_take_rtp(struct takt_inlet *in, struct takt_inlet_place *p,
                              const struct takt_rtp *rtp, const struct takt_inlet_datagram *d,
                              size_t bytes);
uint64_t *takt_inlet_take_repair(struct takt_inlet *in, struct takt_inlet_place *p,
                                 const struct takt_rtp *rtp, const struct takt_inlet_datagram *d,
                                 size_t bytes);

/* ---- Candidates ------------------------------------------------------------------------------ */

/* context: as above. */
struct takt_inlet_candidate *takt_inlet_find_candidate(struct takt_inlet *in, uint32_t ssrc,
                                                       const struct takt_inlet_context *context);

/* A free one, or the one that was silent for longest. */
struct takt_inlet_candidate *takt_inlet_claim_candidate(struct takt_inlet *in, uint32_t ssrc,
                                                        struct takt_inlet_context *context,
                                                        const struct takt_inlet_peer *from,
                                                        int64_t now_ns);

/* A context that is used for another source takes its candidate with it. */
void takt_inlet_drop_stale(struct takt_inlet *in, const struct takt_inlet_context *context,
                           uint32_t ssrc);

/* Gives it a place, if it may have one now. */
bool takt_inlet_promote(struct takt_inlet *in, struct takt_inlet_candidate *c, int64_t now_ns);

/* Whether it said that it ends, and a packet of it may still be on its way. */
bool takt_inlet_has_just_gone(const struct takt_inlet *in, uint32_t ssrc, int64_t now_ns);

/* A packet of a source without a place. Returns the count that it belongs to. */
uint64_t *takt_inlet_audition(struct takt_inlet *in, const struct takt_rtp *rtp,
                              struct takt_inlet_context *context,
                              const struct takt_inlet_datagram *d, size_t bytes);

#endif
