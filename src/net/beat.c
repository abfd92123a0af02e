/*
 * A packet at q frames of its pull is needed N - q frames later than one at the pull's end, N being
 * the pull's length. A delay that is shorter by d frames moves it to q - d, which changes nothing
 * of when it is needed, until that is below 0: then it is of the pull before. So the shortest delay
 * that will do is one at which some packet is at 0, or none at all, and only these have to be
 * tried.
 */
#include "net/beat.h"

#include <math.h>
#include <stdbool.h>

/* The packet's place in its pull. */
static uint32_t place_in(const struct takt_beat_pulls *p, int64_t media)
{
    int64_t off = (media - p->media) % p->frames;
    return (uint32_t)(off < 0 ? off + p->frames : off);
}

double takt_beat_slack_ns(const struct takt_beat_pulls *p, int64_t media)
{
    return p->frames ? (p->frames - place_in(p, media)) * 1e9 / p->rate_hz : 0;
}

enum { PLACES = 64 };

/* Where packets begin in pulls as these go by, `step` frames from each other, and the latest that
 * came of each place. */
struct places {
    uint32_t count, first, step;
    double late_ns[PLACES];
};

static uint32_t greatest_common(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint32_t takt_beat_places(uint32_t pull_frames, uint32_t packet_frames)
{
    return pull_frames / greatest_common(pull_frames, packet_frames);
}

static bool find_places(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                        uint32_t count, uint32_t packet_frames, struct places *out)
{
    double latest_ns = 0;
    out->count = takt_beat_places(p->frames, packet_frames);
    out->step = p->frames / out->count;
    if (out->count > PLACES)
        return false;
    out->first = place_in(p, packets[0].media) % out->step;
    for (uint32_t i = 0; i < out->count; i++)
        out->late_ns[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = place_in(p, packets[i].media);
        if (place % out->step != out->first)
            return false; /* there is a hole in their time: another beat */
        double *late_ns = &out->late_ns[place / out->step];
        *late_ns = fmax(*late_ns, packets[i].late_ns);
        latest_ns = fmax(latest_ns, packets[i].late_ns);
    }
    for (uint32_t i = 0; i < out->count; i++)
        out->late_ns[i] = out->late_ns[i] < 0 ? latest_ns : out->late_ns[i];
    return true;
}

static bool will_do(const struct takt_beat_pulls *p, const struct places *places, uint32_t less,
                    double delay_ns, double spare_ns)
{
    struct takt_beat_pulls earlier = *p;
    earlier.media += less; /* at a shorter delay they reach later frames */
    double ns = delay_ns - less * 1e9 / p->rate_hz;
    for (uint32_t i = 0; i < places->count; i++) {
        double wanted_ns = fmin(delay_ns, places->late_ns[i] + spare_ns);
        int64_t media = p->media + places->first + i * (int64_t)places->step;
        if (ns + takt_beat_slack_ns(&earlier, media) < wanted_ns)
            return false;
    }
    return true;
}

double takt_beat_spared_ns(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                           uint32_t count, uint32_t packet_frames, double delay_ns, double spare_ns)
{
    uint32_t most = 0;
    struct places places;
    if (p->frames == 0 || count == 0 || packet_frames == 0 ||
        !find_places(p, packets, count, packet_frames, &places))
        return 0;
    uint32_t all = (uint32_t)fmax(0, fmin(p->frames - 1, delay_ns * 1e-9 * p->rate_hz));
    for (uint32_t i = 0; i <= places.count; i++) {
        uint32_t less = i < places.count ? places.first + i * places.step : all;
        if (less > most && less <= all && will_do(p, &places, less, delay_ns, spare_ns))
            most = less;
    }
    return most * 1e9 / p->rate_hz;
}
