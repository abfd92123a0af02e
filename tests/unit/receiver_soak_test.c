/*
 * Receivers on networks with all faults that there are, each of them, and its size, by chance:
 *
 *     test-receiver_soak [HOURS [SEED]]
 *
 * HOURS of virtual time (default 0.1), in runs of half a minute; run k has the seed SEED + k
 * (default 1). What is sent is a tone that never rests, so what is silent for longer than it was
 * kept from arriving, and 100 ms, is a fault.
 */
#include "base/random.h"
#include "net/receiver.h"
#include "sim/network.h"
#include "takt/error.h"
#include "tap.h"
#include "wire/rtp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_HZ = 48000, PULL = 1024, RUN_S = 30, GAPS = 64, BYTES = 1400 };
static const int64_t ms = 1000000;
static const double pi = 3.14159265358979323846;

/* The tone as it is sent, for two seconds, of which each starts like the other. */
static uint8_t tone[2 * 2 * RATE_HZ];

struct gap {
    int64_t at_ns, ns;
};

struct rig {
    struct takt_random chance;
    struct takt_receiver *r;
    struct takt_network *n;
    struct takt_network_cfg faults;
    uint32_t packet, pull; /* frames; a pull of 0: each another */
    bool trusts;
    /* The sender. */
    uint32_t ssrc, timestamp;
    uint16_t seq;
    int64_t media, next_ns; /* the frame that the next packet begins with; when it is sent */
    double ppm;
    /* What has come, and what was heard. */
    int64_t now_ns, last_ns, silent_from_ns;
    struct gap gap[GAPS];
    uint32_t gaps;
    int64_t worst_ns, sounds_ns;
};

static bool happens(struct rig *g, double share)
{
    return takt_random_unit(&g->chance) < share;
}

static double between(struct rig *g, double low, double high)
{
    return low + takt_random_unit(&g->chance) * (high - low);
}

static void make_faults(struct rig *g)
{
    struct takt_network_cfg *f = &g->faults;
    f->bytes_max = BYTES;
    f->delay_ms = between(g, 0, 50);
    f->loss = happens(g, 0.4) ? between(g, 0, 0.2) : 0;
    f->burst = f->loss > 0 && happens(g, 0.5) ? between(g, 1, 20) : 0;
    f->jitter = happens(g, 0.6) ? (enum takt_network_jitter)takt_random_below(&g->chance, 4)
                                : TAKT_JITTER_NONE;
    f->jitter_a = between(g, 0.1, f->jitter == TAKT_JITTER_PARETO ? 2 : 10);
    f->jitter_b = f->jitter == TAKT_JITTER_PARETO ? between(g, 1.2, 3) : between(g, 0.1, 10);
    f->keeps_order = happens(g, 0.5);
    f->spike_every_s = happens(g, 0.2) ? between(g, 0.5, 10) : 0;
    f->spike_ms = f->spike_every_s > 0 ? between(g, 10, 300) : 0;
    f->wifi_slot_ms = happens(g, 0.2) ? between(g, 1, 20) : 0;
    f->step_every_s = happens(g, 0.2) ? between(g, 2, 10) : 0;
    f->step_ms = f->step_every_s > 0 ? between(g, 1, 80) : 0;
    f->still_every_s = happens(g, 0.2) ? between(g, 1, 10) : 0;
    f->still_ms = f->still_every_s > 0 ? between(g, 5, 200) : 0;
    f->reorder = happens(g, 0.3) ? between(g, 0, 0.1) : 0;
    f->duplicate = happens(g, 0.3) ? between(g, 0, 0.1) : 0;
    f->corrupt = happens(g, 0.3) ? between(g, 0, 0.02) : 0;
    f->truncate = happens(g, 0.3) ? between(g, 0, 0.02) : 0;
    f->partition_at_s = happens(g, 0.2) ? between(g, 5, 20) : 0;
    f->partition_for_s = f->partition_at_s > 0 ? between(g, 0.1, 5) : 0;
}

static void open_rig(struct rig *g, uint64_t seed)
{
    static const uint32_t packets[] = {16, 48, 64, 120, 240, 480};
    struct takt_receiver_format f = {96, {TAKT_CODEC_L16, RATE_HZ, 1, 48}};
    struct takt_error e;
    *g = (struct rig){.chance = takt_random_seed(seed), .now_ns = 1000 * ms};
    make_faults(g);
    g->packet = packets[takt_random_below(&g->chance, 6)];
    g->pull = happens(g, 0.3) ? 0 : 16u << takt_random_below(&g->chance, 6);
    g->trusts = happens(g, 0.5);
    g->ssrc = 1;
    g->seq = (uint16_t)takt_random_u64(&g->chance);
    g->timestamp = (uint32_t)takt_random_u64(&g->chance);
    g->ppm = happens(g, 0.5) ? between(g, -500, 500) : 0;
    g->next_ns = g->now_ns;
    g->silent_from_ns = -1;
    struct takt_receiver_cfg cfg = {.formats = &f,
                                    .formats_count = 1,
                                    .channels = 1,
                                    .frames_max = PULL,
                                    .trusts = g->trusts,
                                    .late_ratio = happens(g, 0.3) ? 0.001 : 0,
                                    .is_helped = happens(g, 0.5)};
    CHECK(takt_receiver_create(&cfg, &g->r, &e) == TAKT_OK);
    CHECK(takt_network_create(&g->faults, seed, &g->n, &e) == TAKT_OK);
}

/* What comes over a sender in a second. */
static void live(struct rig *g)
{
    if (happens(g, 0.03))
        g->ppm = between(g, -500, 500);
    if (happens(g, 0.02)) {
        g->seq = (uint16_t)takt_random_u64(&g->chance);
        g->timestamp = (uint32_t)takt_random_u64(&g->chance);
        g->ssrc += g->trusts;
    }
}

static void send(struct rig *g)
{
    for (; g->next_ns <= g->now_ns; g->media += g->packet) {
        uint8_t bytes[BYTES];
        struct takt_rtp p = {.payload_type = 96,
                             .seq = g->seq++,
                             .timestamp = g->timestamp,
                             .ssrc = g->ssrc,
                             .payload = tone + 2 * (g->media % RATE_HZ),
                             .payload_bytes = 2 * (size_t)g->packet};
        int n = takt_rtp_write(&p, bytes, sizeof bytes);
        takt_network_send(g->n, g->next_ns, bytes, (size_t)n);
        g->timestamp += g->packet;
        g->next_ns += (int64_t)(g->packet * 1e9 / RATE_HZ / (1 + g->ppm * 1e-6));
        if (g->media / RATE_HZ != (g->media + g->packet) / RATE_HZ)
            live(g);
    }
}

static void deliver(struct rig *g)
{
    uint8_t bytes[BYTES];
    int64_t arrival_ns;
    for (int n; (n = takt_network_next(g->n, g->now_ns, &arrival_ns, bytes, sizeof bytes)) > 0;) {
        struct takt_rtp p;
        if (takt_rtp_parse(bytes, (size_t)n, &p) < 0)
            continue;
        takt_receiver_packet(g->r, &(struct takt_net_packet){.arrival_ns = arrival_ns,
                                                             .ssrc = g->trusts ? g->ssrc : p.ssrc,
                                                             .seq = p.seq,
                                                             .timestamp = p.timestamp,
                                                             .payload_type = p.payload_type,
                                                             .bytes = (uint16_t)p.payload_bytes,
                                                             .payload = p.payload});
        if (arrival_ns - g->last_ns > 10 * ms)
            g->gap[g->gaps++ % GAPS] = (struct gap){arrival_ns, arrival_ns - g->last_ns};
        g->last_ns = arrival_ns;
    }
}

/* For how long, since then, nothing came. */
static int64_t cause_ns(const struct rig *g, int64_t since_ns)
{
    int64_t sum = g->now_ns - g->last_ns;
    for (uint32_t i = 0; i < GAPS; i++)
        sum += g->gap[i].at_ns > since_ns ? g->gap[i].ns : 0;
    return sum;
}

static void listen(struct rig *g, const float *out, uint32_t frames)
{
    bool is_silent = true;
    for (uint32_t i = 0; i < frames; i++)
        is_silent &= fabsf(out[i]) < 1e-3f;
    g->sounds_ns += is_silent ? 0 : (int64_t)(frames * 1e9 / RATE_HZ);
    if (!is_silent || g->now_ns < 2000 * ms) {
        g->silent_from_ns = -1;
        return;
    }
    if (g->silent_from_ns < 0)
        g->silent_from_ns = g->now_ns;
    int64_t beyond = g->now_ns - g->silent_from_ns - cause_ns(g, g->silent_from_ns - 300 * ms);
    g->worst_ns = beyond > g->worst_ns ? beyond : g->worst_ns;
}

static void run(uint64_t seed)
{
    static float memory[PULL];
    float *out = memory;
    struct rig g;
    struct takt_receiver_stats st = {0};
    open_rig(&g, seed);
    int64_t until_ns = g.now_ns + RUN_S * 1000 * ms;
    while (g.now_ns < until_ns) {
        uint32_t frames = g.pull ? g.pull : 1 + (uint32_t)takt_random_below(&g.chance, PULL);
        int64_t wakes_ns = g.now_ns + (int64_t)between(&g, 0, (double)ms);
        send(&g);
        deliver(&g);
        takt_receiver_pull(g.r, wakes_ns, g.now_ns + 5 * ms, &out, frames);
        while (takt_receiver_help(g.r))
            ;
        listen(&g, out, frames);
        g.now_ns += (int64_t)(frames * 1e9 / RATE_HZ);
        if (happens(&g, frames / (20.0 * RATE_HZ))) { /* nobody pulls */
            g.now_ns += 3000 * ms;
            g.silent_from_ns = -1;
        }
    }
    takt_receiver_read_stats(g.r, &st);
    CHECK(st.counts.packets == st.counts.waiting + st.counts.played + st.counts.skipped +
                                   st.counts.late + st.counts.duplicated);
    CHECK(g.sounds_ns > 2000 * ms);
    if (g.worst_ns > 100 * ms)
        printf("# seed %llu: silent for %.1f ms beyond its cause\n", (unsigned long long)seed,
               (double)g.worst_ns * 1e-6);
    CHECK(g.worst_ns <= 100 * ms);
    takt_receiver_destroy(g.r);
    takt_network_destroy(g.n);
}

static uint64_t first_seed = 1, runs = 12;

static void receiver_is_never_silent_for_long(void)
{
    for (uint64_t k = 0; k < runs; k++)
        run(first_seed + k);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        runs = (uint64_t)(atof(argv[1]) * 3600 / RUN_S);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    for (int i = 0; i < 2 * RATE_HZ; i++) {
        int x = (int)lround(16000 * sin(2 * pi * 997 / RATE_HZ * i));
        tone[2 * i] = (uint8_t)((unsigned)x >> 8);
        tone[2 * i + 1] = (uint8_t)x;
    }
    RUN(receiver_is_never_silent_for_long);
    return tap_done();
}
