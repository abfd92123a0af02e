/*
 * net/jitter.h - the packets of one source that have arrived and are not played yet, by their
 * numbers, and what became of those that are past.
 *
 *     takt_jitter_put(j, &(struct takt_jitter_packet){.seq = 7, .at = 336, .frames = 48}, bytes,
 * 0); const struct takt_jitter_packet *p = takt_jitter_find(j, 336); // what sounds from frame 336
 * on takt_jitter_take(j, p);                                        // it has been played
 *
 * Numbers and frames are free of wraps (takt_unwrap16, takt_unwrap32). A packet that comes when its
 * time is over is late, not lost; it counts as lost only as long as it has not come. A packet of
 * which a part can still be heard is in time.
 *
 * After each call: arrived = waiting + played + skipped + late + duplicated, where copies that fill
 * a hole count as arrived.
 *
 * Thread: one at a time.
 */
#ifndef TAKT_NET_JITTER_H
#define TAKT_NET_JITTER_H

#include <stdbool.h>
#include <stdint.h>

enum { TAKT_JITTER_PACKETS_MAX = 65536 };

struct takt_jitter;

struct takt_jitter_packet {
    int64_t seq;
    int64_t at;      /* its first frame */
    uint32_t frames; /* 1 or more */
    uint16_t bytes;
    bool is_copy; /* of a packet that may still come: RED, or repaired */
    bool has_capture;
    int64_t capture_ns;
    const uint8_t *payload;
};

struct takt_jitter_counts {
    uint64_t arrived, waiting;
    uint64_t played;
    uint64_t skipped;    /* in time, but passed over: after a jump, or for want of room */
    uint64_t late;       /* came when their time was over */
    uint64_t lost;       /* have not come, and their time is over */
    uint64_t duplicated; /* came more than once; copies do not count */
    uint64_t repaired;   /* played out of a copy, or waiting to be */
};

/* packets: the room, a power of 2 of 2..TAKT_JITTER_PACKETS_MAX; bytes: the longest payload. The
 * only call that allocates. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. RT: no. */
int takt_jitter_create(uint32_t packets, uint32_t bytes, struct takt_jitter **out);

/* j may be NULL. RT: no. */
void takt_jitter_destroy(struct takt_jitter *j);

/* Forgets all packets; those that wait are skipped. The counts stay. The first number to be missed
 * is seq. RT: yes (wait-free), O(packets). */
void takt_jitter_restart(struct takt_jitter *j, int64_t seq);

/* Copies the packet in; now: the frame up to which everything has been played. Returns whether it
 * waits. bytes: up to what create said. RT: yes (wait-free), O(bytes); after a gap O(gap). */
bool takt_jitter_put(struct takt_jitter *j, const struct takt_jitter_packet *p, int64_t now);

/* Of those that wait, the one that begins first and ends behind `now`; NULL when there is none.
 * Those that are over are skipped. It is valid until the next put or restart.
 * RT: yes (wait-free), O(packets waiting and missing). */
const struct takt_jitter_packet *takt_jitter_find(struct takt_jitter *j, int64_t now);

/* p, found before, is played: what should have come before it is lost by now. is_used: not so when
 * it could not be decoded, which counts as skipped. RT: yes (wait-free), O(packets passed). */
void takt_jitter_take(struct takt_jitter *j, const struct takt_jitter_packet *p, bool is_used);

/* Up to which frame all is there from `now` on. RT: yes (wait-free), O(packets waiting and
 * missing). */
int64_t takt_jitter_reach(const struct takt_jitter *j, int64_t now);

/* The packet with that number, if it waits. RT: yes (wait-free), O(1). */
const struct takt_jitter_packet *takt_jitter_at(const struct takt_jitter *j, int64_t seq);

/* The number that would be played next, had everything come. RT: yes (wait-free), O(1). */
int64_t takt_jitter_next(const struct takt_jitter *j);

/* RT: yes (wait-free), O(1). */
struct takt_jitter_counts takt_jitter_counts(const struct takt_jitter *j);

#endif
