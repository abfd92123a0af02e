#include "base/random.h"
#include "net/envelope.h"
#include "tap.h"

#include <math.h>

enum { RATE_HZ = 48000, PACKET = 240 };
static const double packet_s = (double)PACKET / RATE_HZ;

/* A sender and a path. The sender's clock is slow by drift_ppm, so that frames come that much more
 * slowly than they say. */
struct path {
    struct takt_random random;
    double now_s, drift_ppm, base_ms, jitter_ms, spike_chance, clock_s;
    int64_t frames;
};

static double exponential(struct takt_random *r, double mean)
{
    return -mean * log(1 - takt_random_unit(r));
}

static struct path open_path(uint64_t seed, double drift_ppm, double jitter_ms)
{
    return (struct path){.random = takt_random_seed(seed),
                         .drift_ppm = drift_ppm,
                         .base_ms = 10,
                         .jitter_ms = jitter_ms,
                         .frames = 1000};
}

/* When the next packet arrives if nothing delays it. */
static int64_t earliest_ns(const struct path *p)
{
    return (int64_t)((p->now_s + p->clock_s + p->base_ms * 1e-3) * 1e9) + 5000000000;
}

/* Sends one packet; returns its lateness. */
static int64_t send(struct path *p, struct takt_envelope *e)
{
    double extra_ms = exponential(&p->random, p->jitter_ms);
    if (takt_random_unit(&p->random) < p->spike_chance)
        extra_ms += 20 + exponential(&p->random, 200);
    int64_t late_ns =
        takt_envelope_update(e, earliest_ns(p) + (int64_t)(extra_ms * 1e6), p->frames);
    p->frames += PACKET;
    p->now_s += packet_s * (1 + p->drift_ppm * 1e-6);
    return late_ns;
}

/* For so long; returns the largest distance of the envelope from the truth, in ms. */
static double send_for(struct path *p, struct takt_envelope *e, double seconds)
{
    double most_ms = 0;
    for (double t = 0; t < seconds; t += packet_s) {
        int64_t due_ns = takt_envelope_due(e, p->frames);
        double off_ms = 1e-6 * (double)(due_ns - earliest_ns(p));
        most_ms = fabs(off_ms) > most_ms ? fabs(off_ms) : most_ms;
        send(p, e);
    }
    return most_ms;
}

/* The drift is found under jitter, spikes and overtaking, and a minute later the line stays within
 * half a millisecond of the truth. */
static void envelope_finds_the_drift_under_jitter(void)
{
    static const double drifts[] = {-500, -200, -7, 0, 30, 200, 500};
    for (uint64_t seed = 1; seed <= (uint64_t)ROUNDS(20); seed++)
        for (int k = 0; k < 7; k++) {
            struct takt_envelope e;
            struct path p = open_path(seed * 100 + (uint64_t)k, drifts[k], seed % 2 ? 5 : 0.3);
            p.spike_chance = seed % 3 ? 0 : 0.01;
            takt_envelope_init(&e, RATE_HZ);
            send_for(&p, &e, 60);
            CHECK(send_for(&p, &e, 60) < 0.5);
            CHECK_NEAR(takt_envelope_drift_ppm(&e), drifts[k], 5);
            CHECK_INT(e.steps, 0);
        }
}

/* Where even the fastest packets seldom meet an empty path: a sum of ten queues. */
static void envelope_stays_where_no_packet_is_undisturbed(void)
{
    for (uint64_t seed = 1; seed <= (uint64_t)ROUNDS(10); seed++) {
        struct takt_envelope e;
        struct path p = open_path(seed, 200, 0);
        double low_ms = 1e9, high_ms = -1e9;
        takt_envelope_init(&e, RATE_HZ);
        for (int i = 0; i < 180 * 200; i++) {
            double extra_ms = 0;
            for (int k = 0; k < 10; k++)
                extra_ms += exponential(&p.random, 0.5);
            double off_ms = 1e-6 * (double)(takt_envelope_due(&e, p.frames) - earliest_ns(&p));
            low_ms = i > 60 * 200 && off_ms < low_ms ? off_ms : low_ms;
            high_ms = i > 60 * 200 && off_ms > high_ms ? off_ms : high_ms;
            takt_envelope_update(&e, earliest_ns(&p) + (int64_t)(extra_ms * 1e6), p.frames);
            p.frames += PACKET;
            p.now_s += packet_s * (1 + p.drift_ppm * 1e-6);
        }
        CHECK(high_ms - low_ms < 1);
    }
}

static void envelope_without_jitter_is_exact(void)
{
    struct takt_envelope e;
    struct path p = open_path(1, -321, 0);
    takt_envelope_init(&e, RATE_HZ);
    CHECK_INT(takt_envelope_due(&e, 5), 0);
    send_for(&p, &e, 10);
    CHECK_NEAR(takt_envelope_drift_ppm(&e), -321, 0.5);
    CHECK(send_for(&p, &e, 100) < 0.01);
}

/* An hour: no wander, and no sum that loses its precision. */
static void envelope_holds_for_an_hour(void)
{
    struct takt_envelope e;
    struct path p = open_path(7, 200, 5);
    takt_envelope_init(&e, RATE_HZ);
    send_for(&p, &e, 60);
    CHECK(send_for(&p, &e, ROUNDS(3600)) < 0.5);
}

static void envelope_follows_a_shorter_path_at_once(void)
{
    struct takt_envelope e;
    struct path p = open_path(3, 50, 0.2);
    takt_envelope_init(&e, RATE_HZ);
    p.base_ms = 30;
    send_for(&p, &e, 60);
    p.base_ms = 12;
    for (int i = 0; i < 20; i++)
        send(&p, &e);
    CHECK(send_for(&p, &e, 30) < 0.5);
    CHECK_NEAR(takt_envelope_drift_ppm(&e), 50, 5);
}

static void envelope_follows_a_longer_path_within_seconds(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct takt_envelope e;
        struct path p = open_path(seed, -80, 1);
        takt_envelope_init(&e, RATE_HZ);
        send_for(&p, &e, 60);
        p.base_ms = 45;
        send_for(&p, &e, 3);
        CHECK_INT(e.steps, 0);
        send_for(&p, &e, 2);
        CHECK_INT(e.steps, 1);
        CHECK(send_for(&p, &e, 30) < 0.5);
        CHECK_NEAR(takt_envelope_drift_ppm(&e), -80, 5);
    }
}

/* Temperature, or another clock behind the same path: the line forgets after two minutes. */
static void envelope_follows_a_drift_that_changes(void)
{
    struct takt_envelope e;
    struct path p = open_path(5, 100, 1);
    takt_envelope_init(&e, RATE_HZ);
    send_for(&p, &e, 60);
    p.drift_ppm = -50;
    send_for(&p, &e, 130);
    CHECK(send_for(&p, &e, 30) < 0.5);
    CHECK_NEAR(takt_envelope_drift_ppm(&e), -50, 5);
    p.drift_ppm = 300;
    send_for(&p, &e, 130);
    CHECK(send_for(&p, &e, 30) < 0.5);
    CHECK_NEAR(takt_envelope_drift_ppm(&e), 300, 5);
}

/* A queue of 2 s that empties at once moves nothing. */
static void envelope_leaves_a_stall_alone(void)
{
    struct takt_envelope e;
    struct path p = open_path(6, 20, 0.5);
    takt_envelope_init(&e, RATE_HZ);
    send_for(&p, &e, 60);
    int64_t all_ns = earliest_ns(&p) + 2000000000;
    for (int i = 0; i < 400; i++) {
        takt_envelope_update(&e, all_ns + i * 1000, p.frames);
        p.frames += PACKET;
        p.now_s += packet_s * (1 + p.drift_ppm * 1e-6);
    }
    CHECK(send_for(&p, &e, 30) < 0.5);
    CHECK_INT(e.steps, 0);
}

/* The wall clock is set by an hour, either way: 0.3 s later all is as before, the drift too. */
static void envelope_survives_a_clock_that_jumps(void)
{
    for (int round = 0; round < 20; round++) {
        int sign = round % 2 ? 1 : -1;
        struct takt_envelope e;
        struct path p = open_path((uint64_t)round, 150, 1);
        takt_envelope_init(&e, RATE_HZ);
        send_for(&p, &e, 60);
        p.clock_s += sign * 3600;
        send_for(&p, &e, 0.5);
        CHECK_INT(e.steps, 1);
        CHECK_NEAR(takt_envelope_drift_ppm(&e), 150, 5);
        send_for(&p, &e, 2);
        CHECK(send_for(&p, &e, 60) < 0.5);
        CHECK_NEAR(takt_envelope_drift_ppm(&e), 150, 5);
    }
}

/* The sender begins anew at another place of its counter, by any distance. */
static void envelope_survives_timestamps_that_jump(void)
{
    static const int64_t jumps[] = {-2000000000, -100000, 100000, 2000000000};
    for (int k = 0; k < 4; k++) {
        struct takt_envelope e;
        struct path p = open_path(9, -150, 1);
        takt_envelope_init(&e, RATE_HZ);
        send_for(&p, &e, 60);
        p.frames += jumps[k];
        send_for(&p, &e, 0.5);
        CHECK_INT(e.steps, 1);
        send_for(&p, &e, 2);
        CHECK(send_for(&p, &e, 60) < 0.5);
        CHECK_NEAR(takt_envelope_drift_ppm(&e), -150, 5);
    }
}

/* Lateness is never below 0, and where the line is known it is what the path added. */
static void envelope_says_how_late_a_packet_is(void)
{
    struct takt_envelope e;
    struct path p = open_path(10, 200, 2);
    takt_envelope_init(&e, RATE_HZ);
    for (int i = 0; i < 60 * 200; i++)
        CHECK(send(&p, &e) >= 0);
    int64_t late_ns = takt_envelope_update(&e, earliest_ns(&p) + 7000000, p.frames);
    CHECK_NEAR(1e-6 * (double)late_ns, 7, 0.3);
}

/* Whatever is fed in, all figures stay finite and the memory is what it is. */
static void envelope_takes_any_times(void)
{
    struct takt_random r = takt_random_seed(11);
    for (int round = 0; round < 200; round++) {
        struct takt_envelope e;
        takt_envelope_init(&e, RATE_HZ);
        for (int i = 0; i < 500; i++) {
            int shift = (int)takt_random_below(&r, 48) + 3;
            int64_t arrival_ns = (int64_t)(takt_random_u64(&r) >> shift) * (i % 2 ? 1 : -1);
            int64_t frames = (int64_t)(takt_random_u64(&r) >> (shift + 8)) * (i % 3 ? 1 : -1);
            CHECK(takt_envelope_update(&e, arrival_ns, frames) >= 0);
            CHECK(isfinite(e.height_ns) && isfinite(e.slope) && e.bins <= TAKT_ENVELOPE_BINS);
            CHECK(fabs(takt_envelope_drift_ppm(&e)) <= 1000);
        }
    }
}

int main(void)
{
    RUN(envelope_finds_the_drift_under_jitter);
    RUN(envelope_stays_where_no_packet_is_undisturbed);
    RUN(envelope_without_jitter_is_exact);
    RUN(envelope_holds_for_an_hour);
    RUN(envelope_follows_a_shorter_path_at_once);
    RUN(envelope_follows_a_longer_path_within_seconds);
    RUN(envelope_follows_a_drift_that_changes);
    RUN(envelope_leaves_a_stall_alone);
    RUN(envelope_survives_a_clock_that_jumps);
    RUN(envelope_survives_timestamps_that_jump);
    RUN(envelope_says_how_late_a_packet_is);
    RUN(envelope_takes_any_times);
    return tap_done();
}
