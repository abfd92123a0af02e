/*
 * net/envelope.h - when a frame can arrive at the earliest: the lower envelope of (arrival - media
 * time), a line whose height is the base delay and whose slope is the two clocks' drift.
 *
 *     takt_envelope_init(&e, 48000);
 *     late_ns = takt_envelope_update(&e, arrival_ns, frames); // each packet, as it arrives
 *     play_ns = takt_envelope_due(&e, frames) + delay_ns;     // when to play the frame
 *
 * What the network adds is never below zero, so the packets that met no queue lie on the line and
 * all others above it: jitter, spikes and reordering leave it alone. A path that becomes shorter
 * is followed with the first packet, one that becomes longer after 4 s without a packet near the
 * old line. A clock or a timestamp that jumps by half a second or more is followed after 0.3 s.
 *
 * Pure: time comes in by argument. Thread: one at a time. RT: yes (wait-free), all calls; O(1), and
 * once in a bin of 1/32 to 1 s O(TAKT_ENVELOPE_BINS).
 */
#ifndef TAKT_NET_ENVELOPE_H
#define TAKT_NET_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

enum { TAKT_ENVELOPE_BINS = 128 };

/* One packet: its media time, and by how much it arrived after that, both since the first one. */
struct takt_envelope_point {
    double t_s, x_ns;
};

struct takt_envelope {
    double rate_hz;
    bool is_started;
    int64_t first_ns, first_frames; /* what all below is relative to */
    /* The lowest packet of each bin of the past, oldest first, and of the present bin. */
    struct takt_envelope_point bin[TAKT_ENVELOPE_BINS], low;
    uint32_t bins;
    double bin_s, bin_from_s; /* width of a bin; where the present one begins */
    bool has_low;
    /* The line: x = height_ns + slope * (t - at_s), the slope in ns a second. */
    double height_ns, slope, at_s;
    double rough_ns; /* how far the bins' lowest packets lie above it, on average */
    /* What the slope is without the bins, and how sure that is: a standard deviation. */
    double usual_slope, usual_doubt;
    /* Since when all packets were far above the line, and how far at least. */
    bool is_risen;
    uint32_t risen_quarters;
    struct takt_envelope_point risen_from;
    double risen_before_ns, risen_ns;
    uint64_t steps; /* how often the path, a clock, the timestamps or the drift jumped */
};

/* rate_hz: of the frames that give the media time. */
void takt_envelope_init(struct takt_envelope *e, double rate_hz);

/* A packet: when it arrived and the place of its first frame, both free of wraps (takt_unwrap16,
 * takt_unwrap32). Returns its lateness, 0 or more: how long after the earliest possible time it
 * arrived. */
int64_t takt_envelope_update(struct takt_envelope *e, int64_t arrival_ns, int64_t frames);

/* When the frame arrives at the earliest, on the arrivals' clock; 0 before the first packet. */
int64_t takt_envelope_due(const struct takt_envelope *e, int64_t frames);

/* By how much the arrivals' clock is faster than the sender's: above 0 when frames arrive more and
 * more slowly than their nominal rate. */
double takt_envelope_drift_ppm(const struct takt_envelope *e);

#endif
