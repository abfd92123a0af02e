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

/* How many places in a pull packets come to have that follow each other: after so many it is the
 * first one's again. Both above 0. RT: yes, O(1). */
uint32_t takt_beat_places(uint32_t pull_frames, uint32_t packet_frames);

/* By how much shorter than delay_ns the delay may be, so that packets like these, if they come
 * spare_ns later than they did or delay_ns late, whichever is less, are in time still. p: the pulls
 * at delay_ns; packet_frames: how long packets are. Places in a pull that packets of this length
 * come to have, and none of these had, are those of the latest of these. At least 0, and less than
 * a pull; 0 where packets come to have more than 64 places. RT: yes, O(count + places^2). */
double takt_beat_spared_ns(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                           uint32_t count, uint32_t packet_frames, double delay_ns,
                           double spare_ns);

#endif
