/*
 * net/listeners.h - those who receive a stream, as far as their RTCP tells: how much they lose, how
 * far away they are, and what a sender should do about it.
 *
 *     takt_listeners_init(&l, &(struct takt_listeners_cfg){.ssrc = ours, .copies_max = 3});
 *     takt_listeners_asked(&l, takt_ntp_middle(ntp), now_ns); // each SR that is sent
 *     takt_listeners_take(&l, in, bytes, now_ns);             // each compound that comes
 *     takt_listeners_update(&l, now_ns);
 *     copies = l.copies.level;
 *
 * Where packets overtake each other, the first of a packet and its copies is sooner than the
 * packet: three copies of it make a delay of a third do. Only then are they asked for, and not for
 * jitter in which the order is kept, which they would make worse. Repair packets do better; where
 * there may be some, copies are not asked for at all.
 *
 * What comes is anybody's word. So the table is bounded, and who is in it stays until it has been
 * silent for 30 s; a round trip counts only from a report that was sent; and the advice stays
 * within the bounds of the cfg.
 *
 * Thread: one at a time. RT: yes (wait-free), O(bytes + listeners), all calls.
 */
#ifndef TAKT_NET_LISTENERS_H
#define TAKT_NET_LISTENERS_H

#include "wire/rtcp.h"

enum { TAKT_LISTENERS_MAX = 32, TAKT_LISTENERS_SRS = 16 };

struct takt_listeners_cfg {
    uint32_t ssrc;                 /* of the stream */
    uint32_t copies, copies_max;   /* the bounds of the advice; copies_max <= 3 */
    bool is_repaired;              /* what is lost or late is for others to mend, not for copies */
    uint32_t percent, percent_max; /* of loss to expect */
};

struct takt_listener {
    uint32_t ssrc;
    int64_t heard_ns;
    double loss;      /* of its last report */
    double loss_held; /* the same, which falls slowly */
    double spread;    /* of the variance of loss, smoothed; 0: not known */
    struct takt_rtp_reception reception;
    double overtaken; /* share of packets that came after a later one; takt's receivers say so */
    int64_t round_trip_ns; /* -1: not known */
    bool wants_answer;     /* to the clock it sent */
    uint32_t clock;        /* the middle of that */
    int64_t clock_ns;      /* when it came */
};

/* A level that rises at once, and falls to the highest that was wished for in 20 s when all of them
 * were lower. */
struct takt_held {
    uint32_t level, highest;
    int64_t since_ns;
};

struct takt_listeners {
    struct takt_listeners_cfg cfg;
    uint32_t count;
    struct takt_listener list[TAKT_LISTENERS_MAX];
    struct takt_listeners_sr {
        uint32_t middle; /* 0: none */
        int64_t sent_ns;
    } srs[TAKT_LISTENERS_SRS];
    uint32_t sr_next;
    uint64_t crowded, collided;
    double loss;        /* loss_held of the worst */
    double loss_spread; /* its spread */
    bool overtakes;     /* packets do, on the way to one of them */
    struct takt_held copies, percent;
};

/* `least` will do now, `safe` if it gets a little worse: by TAKT_HELD_HEADROOM times the loss. */
#define TAKT_HELD_HEADROOM 1.25
void takt_held_take(struct takt_held *h, uint32_t least, uint32_t safe, int64_t now_ns);

/* What a receiver that is takt says of a stream beside its report, as the text of an SDES item PRIV
 * with the prefix TAKT_SESSION_PREFIX: "1 overtaken=37", per cent. Returns its length, without NUL.
 * Errors: TAKT_ERR_FULL. RT: no. */
int takt_listeners_tell(double overtaken, char *out, size_t room);

void takt_listeners_init(struct takt_listeners *l, const struct takt_listeners_cfg *cfg);

/* An SR goes out, of this time in its middle form. */
void takt_listeners_asked(struct takt_listeners *l, uint32_t middle, int64_t now_ns);

/* Returns 0. Errors: TAKT_ERR_FORMAT; of a compound that is one, what stands before the wrong part
 * has been taken. */
int takt_listeners_take(struct takt_listeners *l, const uint8_t *in, size_t bytes, int64_t now_ns);

/* Forgets those who are gone, and brings the advice up to date. */
void takt_listeners_update(struct takt_listeners *l, int64_t now_ns);

/* Answers to those who sent their clock; they count as given. Returns how many there are in
 * out->dlrr. */
size_t takt_listeners_answer(struct takt_listeners *l, int64_t now_ns,
                             struct takt_rtcp_xr_block *out);

#endif
