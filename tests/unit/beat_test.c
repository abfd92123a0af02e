/* What a beat saves of a delay, beside every delay that could be tried. */
#include "net/beat.h"

#include "base/random.h"
#include "tap.h"

#include <math.h>

enum { PACKETS = 12, RATE = 48000 };
static const double ns = 1e9 / RATE;

static struct takt_beat_packet packets[PACKETS];

/* When a packet is asked for, less when it is there, of pulls that begin at `from` with that delay.
 * By what a delay is: the last frame of a pull is asked for delay_ns after the frame was due. */
static double margin_ns(int64_t from, uint32_t frames, double delay_ns,
                        const struct takt_beat_packet *p)
{
    int64_t pull = from;
    while (pull > p->media)
        pull -= frames;
    while (pull + frames <= p->media)
        pull += frames;
    double asked_ns = (double)(pull + frames - p->media) * ns + delay_ns;
    return asked_ns - p->late_ns;
}

/* The latest of the packets that had the same place in their pulls, which come again after as many
 * packets as a pull has frames; of all, where there was none. */
static double late_ns(int k, uint32_t frames)
{
    double all_ns = 0, same_ns = -1;
    int64_t packet = packets[1].media - packets[0].media;
    for (int i = 0; i < PACKETS; i++) {
        all_ns = fmax(all_ns, packets[i].late_ns);
        if ((k - i) * packet % frames == 0)
            same_ns = fmax(same_ns, packets[i].late_ns);
    }
    return same_ns < 0 ? all_ns : same_ns;
}

static bool does(int64_t from, uint32_t frames, double delay_ns, double cover_ns, double spare_ns)
{
    int64_t packet = packets[1].media - packets[0].media;
    for (int k = 0; k < (int)frames; k++) {
        struct takt_beat_packet p = {packets[0].media + k * packet, late_ns(k, frames)};
        double wanted_ns = fmin(spare_ns, cover_ns - p.late_ns);
        if (margin_ns(from, frames, delay_ns, &p) < wanted_ns - 1e-3)
            return false;
    }
    return true;
}

static uint32_t places_of(uint32_t frames, uint32_t packet)
{
    uint32_t k = 1;
    while (k * packet % frames)
        k++;
    return k;
}

/* Any packets, any pulls: no frame less would do, and what is saved does, also for the packets
 * whose places nobody has seen yet. */
static void beat_saves_all_that_can_be_saved(void)
{
    struct takt_random r = takt_random_seed(3);
    uint32_t saved = 0;
    for (int round = 0; round < 300; round++) {
        uint32_t frames = 1 + (uint32_t)takt_random_below(&r, 200);
        uint32_t packet = round % 3 == 0   ? frames
                          : round % 3 == 1 ? 16 + (uint32_t)takt_random_below(&r, 200)
                                           : 8 * (2 + (uint32_t)takt_random_below(&r, 40));
        frames = round % 3 == 2 ? (frames + 7) / 8 * 8 : frames;
        int64_t media = (int64_t)takt_random_below(&r, 100000) - 50000;
        int64_t from = media + (int64_t)takt_random_below(&r, 20000) - 10000;
        double jitter_ns = takt_random_unit(&r) * 1e6, spare_ns = takt_random_unit(&r) * 1e6;
        double delay_ns = jitter_ns + spare_ns + takt_random_unit(&r) * 4e6;
        for (int i = 0; i < PACKETS; i++)
            packets[i] = (struct takt_beat_packet){media + i * (int64_t)packet,
                                                   takt_random_unit(&r) * jitter_ns};
        struct takt_beat_pulls pulls = {from, frames, RATE};
        double less_ns = takt_beat_spared_ns(&pulls, packets, PACKETS, packet, delay_ns, spare_ns);
        uint32_t best = 0;
        bool is_known = places_of(frames, packet) <= 64;
        for (uint32_t less = is_known ? 1 : frames; less < frames && less * ns <= delay_ns; less++)
            if (does(from + less, frames, delay_ns - less * ns, delay_ns, spare_ns))
                best = less;
        CHECK_NEAR(less_ns, best * ns, 1);
        saved += best > 0;
    }
    CHECK(saved > 100);
}

/* Blocks of 64 frames on both sides, packets of 48: the packets' own beat costs nothing. */
static void beat_of_blocks_is_found_behind_packets(void)
{
    for (int i = 0; i < PACKETS; i++) {
        int64_t end = (i + 1) * 48, sent = (end + 63) / 64 * 64;
        packets[i] = (struct takt_beat_packet){i * 48, (double)(sent - end) * ns};
    }
    /* At a delay of 1.6 ms pulls begin with the frame 32 of a block, and packets can be 0.6 ms
     * late. As late they can be at 1.6 ms less the 48 frames that the last of a block waits. */
    struct takt_beat_pulls pulls = {32 - 48, 64, RATE};
    double less_ns = takt_beat_spared_ns(&pulls, packets, PACKETS, 48, 1.6e6, 0.2e6);
    CHECK_NEAR(less_ns, 48 * ns, 1);
    CHECK_NEAR(takt_beat_slack_ns(&pulls, 32), 16 * ns, 1);
    CHECK_NEAR(takt_beat_slack_ns(&pulls, -16), 64 * ns, 1);
}

static void no_beat_saves_nothing(void)
{
    struct takt_beat_pulls none = {5, 0, RATE};
    packets[0] = (struct takt_beat_packet){100, 0};
    CHECK_NEAR(takt_beat_spared_ns(&none, packets, 1, 48, 5e6, 0.5e6), 0, 0);
    CHECK_NEAR(takt_beat_slack_ns(&none, 17), 0, 0);
    struct takt_beat_pulls pulls = {5, 64, RATE};
    CHECK_NEAR(takt_beat_spared_ns(&pulls, packets, 0, 48, 5e6, 0.5e6), 0, 0);
}

int main(void)
{
    RUN(beat_saves_all_that_can_be_saved);
    RUN(beat_of_blocks_is_found_behind_packets);
    RUN(no_beat_saves_nothing);
    return tap_done();
}
