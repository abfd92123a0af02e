/*
 * net/beat.h - when a packet is really needed, where pulls and packets keep step.
 *
 * A delay covers a packet for the worst place that it can have in a pull: the last frame of one,
 * which is due a pull's length after the pull has asked for it. A packet that begins further ahead
 * in its pull is asked for later than that, by its beat. Where sender and receiver run by one clock
 * each packet keeps its beat, and so a delay that is shorter by some frames does as well, up to the
 * one at which the first packet would be asked for by the pull before.
 *
 *     double less_ns = takt_beat_spared_ns(&pulls, packets, count, delay_ns, spare_ns);
 *
 * Thread: any, nothing is shared. RT: yes (wait-free).
 */
#ifndef TAKT_NET_BEAT_H
#define TAKT_NET_BEAT_H

#include <stdint.h>

/* Pulls that are all of a length: one begins at the frame `media`. frames == 0: they are not. */
struct takt_beat_pulls {
    int64_t media;
    uint32_t frames;
    double rate_hz;
};

struct takt_beat_packet {
    int64_t media;  /* its first frame */
    double late_ns; /* when it came, after it could have come at best */
};

/* By how much later than the worst place the packet is needed: above 0, up to the pull's length; 0
 * where pulls have no beat. RT: yes, O(1). */
double takt_beat_slack_ns(const struct takt_beat_pulls *p, int64_t media);

/* By how much shorter than delay_ns the delay may be, so that these packets, if they come spare_ns
 * later than they did or delay_ns late, whichever is less, are in time still. p: the pulls at
 * delay_ns. At least 0, and less than a pull. RT: yes, O(count^2). */
double takt_beat_spared_ns(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                           uint32_t count, double delay_ns, double spare_ns);

#endif
