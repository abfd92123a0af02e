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

static bool will_do(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                    uint32_t count, uint32_t less, double delay_ns, double spare_ns)
{
    struct takt_beat_pulls earlier = *p;
    earlier.media += less; /* at a shorter delay they reach later frames */
    double ns = delay_ns - less * 1e9 / p->rate_hz;
    for (uint32_t i = 0; i < count; i++) {
        double wanted_ns = fmin(delay_ns, packets[i].late_ns + spare_ns);
        if (ns + takt_beat_slack_ns(&earlier, packets[i].media) < wanted_ns)
            return false;
    }
    return true;
}

double takt_beat_spared_ns(const struct takt_beat_pulls *p, const struct takt_beat_packet *packets,
                           uint32_t count, double delay_ns, double spare_ns)
{
    uint32_t most = 0;
    if (p->frames == 0 || count == 0)
        return 0;
    uint32_t all = (uint32_t)fmax(0, fmin(p->frames - 1, delay_ns * 1e-9 * p->rate_hz));
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t less = i < count ? place_in(p, packets[i].media) : all;
        if (less > most && less <= all && will_do(p, packets, count, less, delay_ns, spare_ns))
            most = less;
    }
    return most * 1e9 / p->rate_hz;
}
