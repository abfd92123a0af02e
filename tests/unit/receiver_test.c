#include "base/random.h"
#include "fault.h"
#include "net/receiver.h"
#include "takt/error.h"
#include "tap.h"
#include "wire/red.h"

#include <math.h>

/*
 * A sender, a path and the output's clock on virtual time. What sounds in the sender's frame m is a
 * function of m alone, so that what comes out says where it comes from.
 */
enum {
    MS = 1000000,
    FLYING = 4096,
    CHANNELS = 8,
    PULL = 4096,
    LEAD_NS = 3 * MS,
    START_NS = 1000 * MS
};
static const double pi = 3.14159265358979323846;

enum sound { NOISE, SINE, SILENCE };

struct flying {
    int64_t arrival_ns;
    struct takt_net_packet p;
    uint8_t bytes[TAKT_RECEIVER_PAYLOAD_BYTES_MAX];
};

struct rig {
    struct takt_receiver *r;
    uint32_t rate_hz, out_hz; /* of the packets; of the pulls */
    uint32_t channels, packet;
    uint32_t bits; /* 16 or 24 */
    enum sound sound;
    double drift_ppm; /* by how much the sender is faster */
    double path_ms, jitter_ms, loss, twice;
    uint32_t red;     /* how many copies of older packets there are in one */
    bool is_held;     /* nothing arrives, until it does all at once */
    bool is_cut;      /* nothing arrives */
    uint32_t block;   /* of capture, and pulls of which are at the converter at once; 0: none */
    double wakes_ms;  /* late, both threads: up to 0.3 ms, one time in 1000 up to this; 0: never */
    int64_t phase_ns; /* by which capture is behind the pulls */
    int64_t wake_ns;  /* of the capture's last block */
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint8_t payload_type;
    struct takt_random chance;

    int64_t sent, made; /* packets of this sender; frames pulled */
    int64_t since_ns;   /* when its first one began */
    int64_t now_ns;
    uint64_t delivered, dropped;
    int64_t held_ns;  /* up to when */
    int64_t apart_ns; /* by which those come that were held up */
    struct flying *flying;
    uint32_t count;
    double last[2], broken; /* how far the sine that comes out was from going on as one, at most */
    float memory[CHANNELS][PULL];
    float *out[CHANNELS];
};

static const struct takt_receiver_format formats[] = {
    {96, {.codec = TAKT_CODEC_L24, .rate_hz = 48000, .channels = 2, .frames = 48}},
    {97, {.codec = TAKT_CODEC_L16, .rate_hz = 48000, .channels = 2, .frames = 48}},
    {98, {.codec = TAKT_CODEC_L16, .rate_hz = 44100, .channels = 1, .frames = 441}},
};

/* The two formats that most tests have, or just one of other channels. */
static bool open_rig(struct rig *g, struct takt_receiver_cfg cfg)
{
    struct takt_error e;
    if (!cfg.formats) {
        cfg.formats = formats;
        cfg.formats_count = 3;
    }
    cfg.channels = cfg.channels ? cfg.channels : 2;
    cfg.frames_max = PULL;
    *g = (struct rig){.rate_hz = 48000,
                      .out_hz = cfg.rate_hz ? cfg.rate_hz : 48000,
                      .channels = 2,
                      .packet = 48,
                      .bits = 24,
                      .ssrc = 7,
                      .payload_type = 96,
                      .chance = takt_random_seed(1),
                      .since_ns = START_NS,
                      .now_ns = START_NS};
    g->flying = calloc(FLYING, sizeof *g->flying);
    for (int c = 0; c < CHANNELS; c++)
        g->out[c] = g->memory[c];
    return g->flying && takt_receiver_create(&cfg, &g->r, &e) == TAKT_OK;
}

static void close_rig(struct rig *g)
{
    takt_receiver_destroy(g->r);
    free(g->flying);
}

/* A sine of 997 Hz, a whole number of periods a second. */
static double sine(uint32_t rate_hz, int64_t m)
{
    static double table[48000];
    static uint32_t made_for;
    if (made_for != rate_hz)
        for (uint32_t i = 0; i < rate_hz; i++)
            table[i] = sin(2 * pi * 997 / rate_hz * i);
    made_for = rate_hz;
    return table[(uint64_t)m % rate_hz];
}

/* Below full scale by half; of noise, no sample is like the next. */
static int32_t sample(const struct rig *g, int64_t m, uint32_t c)
{
    double most = (double)(1 << (g->bits - 2));
    if (g->sound == SINE)
        return (int32_t)lround(most * sine(g->rate_hz, m + 7000 * c));
    if (g->sound == SILENCE)
        return 0;
    struct takt_random r = takt_random_seed((uint64_t)m * 64 + c);
    return (int32_t)((takt_random_unit(&r) * 2 - 1) * most);
}

static float heard(const struct rig *g, int64_t m, uint32_t c)
{
    return (float)sample(g, m, c) / (float)(1 << (g->bits - 1));
}

static uint32_t encode(const struct rig *g, int64_t packet, uint8_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->packet; i++)
        for (uint32_t c = 0; c < g->channels; c++) {
            int32_t x = sample(g, packet * g->packet + i, c);
            for (uint32_t b = g->bits; b; b -= 8)
                out[n++] = (uint8_t)((uint32_t)x >> (b - 8));
        }
    return n;
}

static uint32_t encode_red(const struct rig *g, int64_t packet, uint8_t *out)
{
    uint8_t data[4][TAKT_RECEIVER_PAYLOAD_BYTES_MAX];
    struct takt_red_block blocks[4];
    uint32_t n = 0;
    for (int64_t back = g->red; back >= 0; back--)
        if (packet >= back) {
            size_t bytes = encode(g, packet - back, data[n]);
            blocks[n] = (struct takt_red_block){g->payload_type, (uint16_t)(back * g->packet),
                                                bytes, data[n]};
            n++;
        }
    return (uint32_t)takt_red_write(blocks, n, out, TAKT_RECEIVER_PAYLOAD_BYTES_MAX);
}

static void fly(struct rig *g, const struct flying *from)
{
    if (g->count == FLYING)
        return;
    struct flying *f = &g->flying[g->count++];
    *f = *from;
    f->arrival_ns += (int64_t)((g->path_ms + takt_random_unit(&g->chance) * g->jitter_ms) * MS);
}

static int64_t due_ns(const struct rig *g, int64_t packet)
{
    double s = (double)packet * g->packet / (g->rate_hz * (1 + g->drift_ppm * 1e-6));
    return g->since_ns + (int64_t)(s * 1e9);
}

static int64_t wake_ns(struct rig *g)
{
    if (g->wakes_ms == 0)
        return 0;
    double most_ms = takt_random_below(&g->chance, 1000) ? 0.3 : g->wakes_ms;
    return (int64_t)(takt_random_unit(&g->chance) * most_ms * MS);
}

/* When a packet is sent: at the end of its last frame, or of that frame's block. */
static int64_t sent_ns(struct rig *g, int64_t packet)
{
    int64_t end = (packet + 1) * g->packet;
    if (!g->block)
        return due_ns(g, packet + 1) + 2 * MS;
    int64_t block = (end + g->block - 1) / g->block * g->block;
    int64_t before = (end - g->packet + g->block - 1) / g->block * g->block;
    int64_t ends_ns = g->since_ns + (int64_t)((double)block * 1e9 / g->rate_hz);
    if (block != before || !packet)
        g->wake_ns = ends_ns + wake_ns(g);
    return g->wake_ns + MS / 10 + g->phase_ns;
}

static void send(struct rig *g)
{
    for (; due_ns(g, g->sent + 1) <= g->now_ns; g->sent++) {
        struct flying f = {.arrival_ns = sent_ns(g, g->sent)};
        if (g->is_cut || takt_random_unit(&g->chance) < g->loss) {
            g->dropped++;
            continue;
        }
        f.p = (struct takt_net_packet){.ssrc = g->ssrc,
                                       .seq = (uint16_t)(g->seq + g->sent),
                                       .timestamp = g->timestamp + (uint32_t)(g->sent * g->packet),
                                       .payload_type = g->red ? 100 : g->payload_type,
                                       .has_capture = true,
                                       .capture_ns = due_ns(g, g->sent) + g->phase_ns};
        f.p.bytes =
            (uint16_t)(g->red ? encode_red(g, g->sent, f.bytes) : encode(g, g->sent, f.bytes));
        fly(g, &f);
        if (takt_random_unit(&g->chance) < g->twice)
            fly(g, &f);
    }
}

static void deliver(struct rig *g)
{
    for (;;) {
        uint32_t first = g->count;
        for (uint32_t i = 0; i < g->count; i++)
            if (g->flying[i].arrival_ns <= g->now_ns && !g->is_held &&
                (first == g->count || g->flying[i].arrival_ns < g->flying[first].arrival_ns))
                first = i;
        if (first == g->count)
            return;
        struct flying *f = &g->flying[first];
        if (f->arrival_ns < g->held_ns && g->held_ns > g->now_ns)
            return;
        f->p.arrival_ns = f->arrival_ns > g->held_ns ? f->arrival_ns : g->held_ns;
        g->held_ns += f->arrival_ns < g->held_ns ? g->apart_ns : 0;
        f->p.payload = f->bytes;
        takt_receiver_packet(g->r, &f->p);
        g->delivered++;
        *f = g->flying[--g->count];
    }
}

static void look_for_breaks(struct rig *g, uint32_t frames)
{
    double turn = 2 * cos(2 * pi * 997 / g->out_hz);
    for (uint32_t i = 0; i < frames && g->sound == SINE; i++) {
        double x = (double)g->out[0][i];
        g->broken = fmax(g->broken, fabs(x - turn * g->last[0] + g->last[1]));
        g->last[1] = g->last[0];
        g->last[0] = x;
    }
}

/* Time goes on by so many frames, which are then pulled. */
static void pull(struct rig *g, uint32_t frames)
{
    g->now_ns = START_NS + (int64_t)((double)g->made * 1e9 / g->out_hz);
    int64_t play_ns = g->now_ns + (g->block ? 0 : LEAD_NS);
    g->now_ns += wake_ns(g);
    send(g);
    deliver(g);
    takt_receiver_pull(g->r, g->now_ns, play_ns, g->out, frames);
    look_for_breaks(g, frames);
    g->made += frames;
}

static void pull_s(struct rig *g, double s)
{
    int64_t until = g->made + (int64_t)(s * g->out_hz);
    while (g->made < until)
        pull(g, 64);
}

static struct takt_receiver_stats stats_of(const struct rig *g)
{
    struct takt_receiver_stats st = {0};
    takt_receiver_read_stats(g->r, &st);
    return st;
}

static bool adds_up(const struct takt_receiver_counts *c)
{
    return c->packets == c->waiting + c->played + c->skipped + c->late + c->duplicated;
}

/* Which of the sender's frames came out first in the last pull; below 0: none near where it should
 * be. */
static int64_t frame_of_first(const struct rig *g)
{
    int64_t newest = g->sent * g->packet;
    for (int64_t m = newest; m >= 0 && m > newest - g->rate_hz; m--)
        if (g->out[0][0] == heard(g, m, 0) && g->out[0][1] == heard(g, m + 1, 0))
            return m;
    return -1;
}

static int64_t count_wrong(const struct rig *g, int64_t m, uint32_t frames, uint32_t channels)
{
    int64_t wrong = 0;
    for (uint32_t i = 0; i < frames; i++)
        for (uint32_t c = 0; c < channels; c++)
            wrong += g->out[c][i] != heard(g, m + i, g->channels == 1 ? 0 : c % g->channels);
    return wrong;
}

/* So many seconds in pulls of 2 to `most` frames, all of which have to follow on each other. */
static int64_t wrong_samples(struct rig *g, double s, uint32_t most, uint32_t channels)
{
    pull(g, most);
    int64_t m = frame_of_first(g), wrong = 0, until = g->made + (int64_t)(s * g->out_hz);
    if (m < 0)
        return -1;
    for (uint32_t n = most; g->made < until;) {
        m += n;
        n = 2 + (uint32_t)takt_random_below(&g->chance, most - 1);
        pull(g, n);
        wrong += count_wrong(g, m, n, channels);
    }
    return wrong;
}

/* ---- Exactness ------------------------------------------------------------------------------- */

/* Whatever the packets, the pulls and the channels, what comes out is what went in. */
static void receiver_gives_back_every_bit(void)
{
    static const uint32_t packets[] = {16, 48, 77, 240}, most[] = {2, 32, 64, 500, 2048};
    struct rig g;
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t channels = 1 + i % 2, bits = i & 4 ? 16 : 24;
        struct takt_receiver_format f = {.payload_type = 96,
                                         .codec = {bits == 16 ? TAKT_CODEC_L16 : TAKT_CODEC_L24,
                                                   48000, channels, packets[i % 4]}};
        CHECK(open_rig(
            &g, (struct takt_receiver_cfg){
                    .formats = &f, .formats_count = 1, .channels = 1 + i % 3, .latency_ms = 8}));
        g.packet = packets[i % 4];
        g.channels = channels;
        g.bits = bits;
        g.chance = takt_random_seed(i);
        for (int k = 0; k < 8 || g.made < 10000; k++)
            pull(&g, most[i % 5]);
        uint64_t skipped = stats_of(&g).counts.skipped; /* before the first sound */
        CHECK_INT(wrong_samples(&g, 0.5, most[i % 5], 1 + i % 3), 0);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(st.source[0].is_exact);
        CHECK(skipped * packets[i % 4] < 2000);
        CHECK_INT(st.counts.late + st.counts.lost + st.counts.skipped - skipped, 0);
        CHECK_INT(st.counts.concealed_frames, 0);
        CHECK(adds_up(&st.counts));
        close_rig(&g);
    }
}

/* Blocks of 64 frames on both sides, woken up a little late and now and then by half a millisecond:
 * not one sample is wrong from the first one on, within a millisecond of what cannot be less. */
static void receiver_is_exact_at_once_on_a_calm_path(void)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = seed % 4 == 3 ? 2.1 : 0}));
        g.chance = takt_random_seed(seed);
        g.block = 64;
        g.wakes_ms = 0.5;
        g.phase_ns = (int64_t)takt_random_below(&g.chance, 2 * MS);
        int64_t m = -1, wrong = 0, sounds = 0, quiet = 0;
        for (int64_t k = 0; k < (int64_t)ROUNDS(60) * 750; k++) {
            pull(&g, 64);
            if (g.out[0][0] == 0 && m < 0) {
                quiet++;
                continue;
            }
            if (++sounds < 5) /* it fades in */
                continue;
            m = m < 0 ? frame_of_first(&g) : m + 64;
            wrong += count_wrong(&g, m, 64, 2);
        }
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(m > 0 && quiet < 30);
        CHECK_INT(wrong, 0);
        CHECK(st.source[0].is_exact);
        CHECK_INT(st.counts.late + st.counts.lost, 0);
        CHECK(st.source[0].latency_ms < 64 / 48.0 + 1 + 64 / 48.0 + 1);
        close_rig(&g);
    }
}

/* Packets, capture and pulls of lengths that have little to do with each other: places in a pull
 * that no packet had in the first 20 ms come later, and none of them is missed again and again. */
static void receiver_keeps_any_beat(void)
{
    static const struct {
        uint32_t packet, block, pull;
    } lengths[] = {{120, 128, 128}, {120, 64, 256}, {240, 128, 128}, {186, 128, 128},
                   {158, 128, 128}, {48, 128, 128}, {5, 128, 128},   {128, 128, 128},
                   {128, 128, 100}, {32, 1024, 64}, {240, 480, 128}, {200, 441, 48}};
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++)
        for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(4); seed++) {
            struct rig g;
            CHECK(open_rig(&g, (struct takt_receiver_cfg){.packets_max = 4096}));
            g.chance = takt_random_seed(seed + 100 * k);
            g.packet = lengths[k].packet;
            g.block = lengths[k].block;
            g.phase_ns = (int64_t)takt_random_below(&g.chance, 2 * lengths[k].pull * MS / 48);
            for (int i = 0; i < 5 * 24000; i += (int)lengths[k].pull)
                pull(&g, lengths[k].pull);
            struct takt_receiver_counts early = stats_of(&g).counts;
            CHECK(early.concealed_frames + early.late * lengths[k].packet < 2000);
            for (int i = 0; i < 2 * 48000; i += (int)lengths[k].pull)
                pull(&g, lengths[k].pull);
            struct takt_receiver_counts late = stats_of(&g).counts;
            CHECK_INT(late.concealed_frames - early.concealed_frames, 0);
            CHECK_INT(late.late - early.late, 0);
            close_rig(&g);
        }
}

/* Where a wake-up is later than any before, now and then, that is heard once or twice; then the
 * delay covers it. */
static void receiver_learns_what_wakes_cost(void)
{
    for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(4); seed++) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
        g.chance = takt_random_seed(seed);
        g.block = 64;
        g.wakes_ms = 1;
        g.phase_ns = (int64_t)takt_random_below(&g.chance, 2 * MS);
        pull_s(&g, 20);
        struct takt_receiver_stats before = stats_of(&g);
        CHECK(before.counts.late <= 4);
        pull_s(&g, ROUNDS(20));
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(st.counts.late - before.counts.late <= 1);
        CHECK(st.source[0].latency_ms < 64 / 48.0 + 1 + 64 / 48.0 + 2);
        close_rig(&g);
    }
}

/* A source that the caller vouches for is heard from its first packet on, of others the first
 * moment is not. */
static void receiver_plays_the_first_packet_of_whom_it_trusts(void)
{
    for (int trusts = 0; trusts <= 1; trusts++) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5, .trusts = trusts}));
        g.sound = SINE;
        pull_s(&g, 1);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(adds_up(&st.counts));
        CHECK_INT(st.foreign, trusts ? 0 : 1);
        CHECK(trusts ? st.counts.skipped == 0 : st.counts.skipped > 10);
        CHECK_INT(st.counts.concealed_frames + st.counts.lost + st.counts.late, 0);
        close_rig(&g);
    }
}

/* How late packets are, and how long sound takes, all of it. */
static void receiver_keeps_histograms(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 6}));
    g.jitter_ms = 4;
    pull_s(&g, 20);
    const struct takt_hist *late = takt_receiver_hist(g.r, 0, TAKT_RECEIVER_LATENESS);
    const struct takt_hist *latency = takt_receiver_hist(g.r, 0, TAKT_RECEIVER_LATENCY);
    CHECK(late && latency && !takt_receiver_hist(g.r, 1, TAKT_RECEIVER_LATENESS));
    CHECK_NEAR(takt_hist_count(late), stats_of(&g).counts.packets, 2);
    CHECK_NEAR((double)takt_hist_quantile(late, 0.5), 2e6, 0.2e6);
    CHECK_NEAR((double)takt_hist_quantile(late, 0.99), 3.96e6, 0.2e6);
    CHECK_NEAR((double)takt_hist_quantile(latency, 0.5) * 1e-6, stats_of(&g).source[0].latency_ms,
               0.5);
    CHECK(stats_of(&g).is_exact);
    g.loss = 1;
    pull_s(&g, 0.1);
    CHECK(!stats_of(&g).is_exact);
    close_rig(&g);
}

/* Jitter that the delay has room for changes nothing. */
static void receiver_stays_exact_in_jitter(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 6}));
    g.jitter_ms = 4;
    pull_s(&g, 20);
    CHECK_INT(wrong_samples(&g, 40, 64, 2), 0);
    struct takt_receiver_stats st = stats_of(&g);
    CHECK_INT(st.counts.late + st.counts.lost, 0);
    CHECK_NEAR(st.source[0].latency_ms, 1 + 2 + 6 + 3 + 64 / 48.0, 0.5);
    close_rig(&g);
}

/* Numbers and timestamps wrap, and nobody hears it. */
static void receiver_wraps_without_a_seam(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5}));
    g.seq = 65535 - 1500;
    g.timestamp = 0u - 48 * 2000;
    pull_s(&g, 1);
    CHECK_INT(wrong_samples(&g, 3, 64, 2), 0);
    close_rig(&g);
}

/* The delay that it finds on a calm path is short; it moves there in few steps, and between them
 * every bit is right. */
static void receiver_comes_to_rest_on_a_calm_path(void)
{
    struct rig g;
    int64_t wrong = 0, exact = 0, m = -1;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
    g.jitter_ms = 0.1;
    pull_s(&g, 10);
    for (int i = 0; i < 30 * 750; i++) {
        bool was_exact = stats_of(&g).source[0].is_exact;
        pull(&g, 64);
        if (!was_exact || !stats_of(&g).source[0].is_exact) {
            m = -1;
            continue;
        }
        m = m < 0 ? frame_of_first(&g) : m + 64;
        wrong += count_wrong(&g, m, 64, 2);
        exact++;
    }
    CHECK_INT(wrong, 0);
    CHECK(exact > 24 * 750);
    CHECK(stats_of(&g).source[0].delay_ms < 1);
    CHECK_INT(stats_of(&g).counts.concealed_frames, 0);
    close_rig(&g);
}

/* ---- Drift ----------------------------------------------------------------------------------- */

/* Clocks that differ by a little and by the most that there is, the delay found and given; and a
 * clock whose rate changes. After the first minute nothing is heard of it, and the delay stays. */
static void receiver_follows_drift_without_a_glitch(void)
{
    static const double ppm[] = {-500, -200, 200, 500};
    for (int i = 0; i < 8; i += THREAD_SANITIZED ? 3 : 1) { /* 0, 3, 6: one given */
        struct rig g;
        double low_ms = 1e9, high_ms = 0;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = i & 4 ? 5 : 0}));
        g.sound = SINE;
        g.drift_ppm = ppm[i % 4];
        g.packet = 192;
        g.jitter_ms = 2;
        pull_s(&g, 60);
        g.broken = 0;
        uint64_t concealed = stats_of(&g).counts.concealed_frames;
        int64_t until = g.made + (int64_t)ROUNDS(60) * 48000;
        while (g.made < until) {
            pull(&g, 64);
            if (g.made % 1024)
                continue;
            struct takt_receiver_stats st = stats_of(&g);
            low_ms = fmin(low_ms, st.source[0].latency_ms);
            high_ms = fmax(high_ms, st.source[0].latency_ms);
            CHECK(!st.source[0].is_exact);
        }
        CHECK(g.broken < 2e-5);
        CHECK(high_ms - low_ms < 0.5);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK_INT(st.counts.concealed_frames - concealed + st.counts.lost, 0);
        CHECK_NEAR(st.source[0].drift_ppm, -g.drift_ppm, 5);
        CHECK_NEAR(st.source[0].speed_ppm, g.drift_ppm, 20);
        close_rig(&g);
    }
}

/* The sender's clock gets another rate, from one packet to the next. */
static void receiver_follows_a_change_of_rate(void)
{
    static const double ppm[] = {200, -100, 50, 400, 100};
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 8}));
    g.sound = SINE;
    g.jitter_ms = 1;
    g.drift_ppm = ppm[0];
    pull_s(&g, 30);
    g.broken = 0;
    for (int i = 1; i < 5; i++) {
        int64_t due = due_ns(&g, g.sent);
        g.drift_ppm = ppm[i];
        g.since_ns += due - due_ns(&g, g.sent);
        for (int s = 0; s < 60; s++) {
            pull_s(&g, 1);
            CHECK_NEAR(stats_of(&g).source[0].delay_ms, 8, s > 30 ? 0.5 : 2);
        }
    }
    CHECK(g.broken < 1e-4);
    CHECK_INT(stats_of(&g).counts.concealed_frames, 0);
    close_rig(&g);
}

/* Between copying and resampling there is no seam either way. */
static void receiver_moves_to_its_target_without_a_glitch(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
    g.sound = SINE;
    g.jitter_ms = 6;
    pull_s(&g, 1);
    g.jitter_ms = 0.2;
    g.broken = 0;
    bool was_exact = false, was_not = false;
    for (int i = 0; i < 60 * 750; i++) {
        pull(&g, 64);
        was_exact |= stats_of(&g).source[0].is_exact;
        was_not |= !stats_of(&g).source[0].is_exact;
    }
    CHECK(was_exact && was_not);
    CHECK(stats_of(&g).source[0].delay_ms < 3);
    CHECK(g.broken < 5e-4);
    close_rig(&g);
}

/* ---- What goes wrong on the way -------------------------------------------------------------- */

/* The longest silence of so many seconds, in ms. */
static double silence_ms(struct rig *g, double s, double *kept)
{
    double most = *kept;
    int64_t until = g->made + (int64_t)(s * g->out_hz), run = (int64_t)(*kept * g->out_hz / 1e3);
    while (g->made < until) {
        pull(g, 64);
        for (int i = 0; i < 64; i++) {
            run = fabsf(g->out[0][i]) < 1e-3f ? run + 1 : 0;
            most = fmax(most, (double)run * 1e3 / g->out_hz);
        }
    }
    *kept = (double)run * 1e3 / g->out_hz;
    return most;
}

static void receiver_counts_add_up(void)
{
    struct rig g;
    double kept = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = seed & 1 ? 4 : 0}));
        g.chance = takt_random_seed(seed);
        g.jitter_ms = 6;
        g.loss = 0.05;
        g.twice = 0.02;
        pull_s(&g, 0.2);
        uint64_t skipped = stats_of(&g).counts.skipped;
        CHECK(silence_ms(&g, 5, &kept) < 100);
        g.is_cut = true;
        pull_s(&g, 0.5);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(adds_up(&st.counts));
        CHECK_INT(st.counts.waiting, 0);
        CHECK(memcmp(&st.counts, &st.source[0].counts, sizeof st.counts) == 0);
        CHECK(st.counts.duplicated > 0 && st.counts.lost > 0);
        CHECK(st.counts.late > 0 || !(seed & 1));
        CHECK_INT(st.counts.skipped, skipped);
        CHECK(skipped < 25);
        CHECK_NEAR(st.counts.lost, 0.05 * 5200, 60);
        CHECK_NEAR(st.counts.packets + st.foreign, g.delivered, 3);
        CHECK(st.concealed_ratio > 0.03 && st.concealed_ratio < 0.5);
        close_rig(&g);
    }
}

/* After half a second what is told is of before, after two the source is not live; its place and
 * its counts it keeps. */
static void receiver_tells_who_is_silent(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.late_ratio = 0}));
    pull_s(&g, 2);
    struct takt_receiver_source before = stats_of(&g).source[0], now;
    CHECK(before.is_live && before.is_kept && !before.is_silent);
    g.is_cut = true;
    pull_s(&g, 0.4);
    now = stats_of(&g).source[0];
    CHECK(now.is_live && now.is_kept && !now.is_silent);
    pull_s(&g, 0.2);
    now = stats_of(&g).source[0];
    CHECK(now.is_live && now.is_kept && now.is_silent);
    pull_s(&g, 1.5);
    now = stats_of(&g).source[0];
    CHECK(!now.is_live && now.is_kept && now.is_silent);
    CHECK(now.ssrc == before.ssrc && now.counts.played >= before.counts.played);
    g.is_cut = false;
    pull_s(&g, 0.1);
    now = stats_of(&g).source[0];
    CHECK(now.is_live && now.is_kept && !now.is_silent);
    close_rig(&g);
}

/* Whether what was sent meanwhile is lost or comes all at once. */
static void receiver_is_back_soon_after_an_outage(void)
{
    for (uint64_t i = 0; i < 8; i++) {
        struct rig g;
        double kept = 0;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.late_ratio = i & 4 ? 1e-3 : 0}));
        g.chance = takt_random_seed(i);
        g.jitter_ms = i & 2 ? 3 : 0.1;
        g.sound = SINE;
        pull_s(&g, 30);
        g.broken = 0;
        double target_ms = stats_of(&g).source[0].target_ms;
        *(i & 1 ? &g.is_held : &g.is_cut) = true;
        CHECK(silence_ms(&g, 1, &kept) > 500);
        g.is_held = g.is_cut = false;
        g.held_ns = g.now_ns;
        CHECK(silence_ms(&g, 0.1, &kept) < 1050);
        CHECK(kept < 1);
        CHECK(silence_ms(&g, 1.9, &kept) < 10);
        CHECK(g.broken < 0.01 || i == 7); /* one is late there just behind it */
        CHECK_NEAR(stats_of(&g).source[0].target_ms, target_ms, 0.5);
        CHECK_NEAR(stats_of(&g).source[0].delay_ms, target_ms, 1.2);
        close_rig(&g);
    }
}

/* Every so often nothing comes for 60 ms, and then all of it at once. */
static void pull_standing_still_s(struct rig *g, double s, double every_s)
{
    for (double at_s = 0; at_s < s; at_s += every_s) {
        pull_s(g, every_s - 0.06);
        g->is_held = true;
        pull_s(g, 0.06);
        g->is_held = false;
        g->held_ns = g->now_ns;
    }
}

/* At 20 ms for each percent that is late, gaps of 60 ms every 2 s are as dear as 60 ms of delay, so
 * it is that, and soon; once in 20 s they cost a tenth of it, and the delay stays short. */
static void receiver_covers_what_costs_as_much_in_gaps(void)
{
    for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(4); seed++) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
        g.chance = takt_random_seed(seed);
        g.jitter_ms = 0.3 * (double)seed;
        pull_s(&g, (seed % 2 ? 60 : 1) * takt_random_unit(&g.chance)); /* calm before */
        pull_standing_still_s(&g, seed % 2 ? 18 : 8, 2);
        struct takt_receiver_stats before = stats_of(&g);
        pull_standing_still_s(&g, 30, 2);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK_INT(st.counts.late - before.counts.late, 0);
        CHECK_INT(st.counts.concealed_frames - before.counts.concealed_frames, 0);
        CHECK(st.source[0].delay_ms < 63);
        pull_standing_still_s(&g, 100, 20);
        CHECK(stats_of(&g).source[0].delay_ms < 10);
        close_rig(&g);
    }
}

/* A path that is longer behind an outage is heard as soon as one that is not. */
static void receiver_is_back_soon_on_a_longer_path(void)
{
    for (double path_ms = 1; path_ms < 300; path_ms *= 1.6) {
        struct rig g;
        double kept = 0;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
        g.sound = SINE;
        pull_s(&g, 5);
        g.is_held = true;
        pull_s(&g, 0.6);
        g.path_ms = path_ms;
        pull_s(&g, 0.6);
        g.is_held = false;
        g.held_ns = g.now_ns;
        pull_s(&g, path_ms * 1e-3);
        CHECK(silence_ms(&g, 1, &kept) < 100);
        close_rig(&g);
    }
}

/* A path stands still once, and then gives what it has at many times its rate: that says nothing of
 * what the delay should be, wherever a pull lies in it. */
static void receiver_keeps_its_delay_when_a_path_was_held_up(void)
{
    for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(12); seed++) {
        struct rig g;
        double kept = 0, held_s = 0.08 * pow(1.35, (double)(seed % 12));
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.packets_max = 4096}));
        g.chance = takt_random_seed(seed);
        g.jitter_ms = 0.1;
        g.apart_ns = 5000 + (int64_t)takt_random_below(&g.chance, 300000);
        pull_s(&g, 5 + takt_random_unit(&g.chance));
        g.is_held = true;
        pull_s(&g, held_s);
        g.is_held = false;
        g.held_ns = g.now_ns;
        silence_ms(&g, 2, &kept);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(st.source[0].delay_ms < 10);
        CHECK(adds_up(&st.counts));
        close_rig(&g);
    }
}

/* Packets of before come in turn with those that overtake them, which are some hundred ahead: that
 * is one sender still, and nothing of it is missing. */
static void receiver_takes_two_paths_for_one_sender(void)
{
    for (double path_ms = 20; path_ms < 180; path_ms *= 1.7) {
        struct rig g;
        double kept = 0;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.packets_max = 4096}));
        g.sound = SINE;
        g.path_ms = path_ms;
        pull_s(&g, 5);
        struct takt_receiver_counts before = stats_of(&g).counts;
        g.path_ms = 0;
        CHECK(silence_ms(&g, 2, &kept) < 1);
        struct takt_receiver_counts after = stats_of(&g).counts;
        CHECK_INT(after.strays, 0);
        CHECK(after.resets - before.resets <= 1); /* which is a jump in time */
        CHECK(adds_up(&after));
        close_rig(&g);
    }
}

/* Packets come, pulls do not. */
static void stall_s(struct rig *g, double s)
{
    int64_t until = g->made + (int64_t)(s * g->out_hz);
    for (; g->made < until; g->made += 48) {
        g->now_ns = START_NS + (int64_t)((double)g->made * 1e9 / g->out_hz);
        send(g);
        deliver(g);
    }
}

/* Nobody pulled for a while: what is old is not played any more. */
static void receiver_goes_on_after_a_stall(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 10}));
    pull_s(&g, 5);
    for (double s = 0.003; s <= 3; s *= 10) {
        double kept = 0;
        stall_s(&g, s);
        pull(&g, 64);
        CHECK_NEAR(stats_of(&g).source[0].delay_ms, 10, 0.3);
        CHECK(silence_ms(&g, 1, &kept) < 100);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK_NEAR(st.source[0].delay_ms, 10, 0.3);
        CHECK(st.source[0].latency_ms < 20);
        CHECK(st.source[0].is_exact);
        CHECK(adds_up(&st.counts));
    }
    close_rig(&g);
}

/* There is room for 16 packets, and the delay wants more: the oldest have to go. */
static void receiver_has_room_for_so_many_packets(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 40, .packets_max = 16}));
    pull_s(&g, 1);
    struct takt_receiver_stats st = stats_of(&g);
    CHECK(st.counts.waiting <= 16 && st.counts.skipped > 900);
    CHECK(adds_up(&st.counts));
    close_rig(&g);
}

/* Of a packet that comes when its time has begun, the rest is played. */
static void receiver_plays_what_is_left_of_a_late_packet(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 3}));
    g.sound = SINE;
    g.packet = 240;
    g.jitter_ms = 6;
    pull_s(&g, 5);
    g.broken = 0;
    pull_s(&g, 5);
    struct takt_receiver_stats st = stats_of(&g);
    CHECK(st.counts.concealed_frames > 10000);
    CHECK(st.counts.late < 20);
    CHECK(g.broken < 0.01);
    close_rig(&g);
}

/* Where nothing sounds nobody hears how the delay comes down. */
static void receiver_moves_at_once_in_silence(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
    g.sound = SILENCE;
    g.jitter_ms = 10;
    pull_s(&g, 2);
    double before_ms = stats_of(&g).source[0].delay_ms;
    uint64_t concealed = stats_of(&g).counts.concealed_frames;
    g.jitter_ms = 0;
    for (int i = 0; i < 100; i++) {
        pull_s(&g, 0.1);
        struct takt_receiver_stats st = stats_of(&g);
        CHECK(st.source[0].delay_ms < st.source[0].target_ms + 0.6);
        CHECK_INT(st.counts.concealed_frames, concealed);
    }
    CHECK(stats_of(&g).source[0].delay_ms < before_ms - 3);
    close_rig(&g);
}

/* The sender begins anew, with or without another SSRC. */
static void receiver_follows_a_restart(void)
{
    struct rig g;
    double kept = 0;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5}));
    pull_s(&g, 1);
    g.seq = 30000;
    g.timestamp = 0x70000000;
    CHECK(silence_ms(&g, 1, &kept) < 100);
    CHECK(kept < 1);
    CHECK_INT(wrong_samples(&g, 0.5, 64, 2), 0);
    g.seq += 20000; /* numbers alone */
    CHECK(silence_ms(&g, 1, &kept) < 100);
    CHECK(stats_of(&g).counts.lost < 5);
    g.ssrc++;
    CHECK(silence_ms(&g, 2.5, &kept) > 1800);
    CHECK(silence_ms(&g, 0.5, &kept) < 2200);
    CHECK(kept < 1);
    CHECK_INT(stats_of(&g).source[0].ssrc, g.ssrc);
    CHECK_INT(stats_of(&g).source[0].counts.late, 0);
    close_rig(&g);
}

/* Also where packets overtake each other so much that hardly two come in order. */
static void receiver_follows_a_restart_out_of_order(void)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rig g;
        double kept = 0;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){0}));
        g.chance = takt_random_seed(seed);
        g.packet = 16;
        g.jitter_ms = 35;
        g.sound = SINE;
        pull_s(&g, 0.5);
        g.seq += 30000;
        CHECK(silence_ms(&g, 0.3, &kept) < 80);
        g.timestamp += 0x20000000;
        CHECK(silence_ms(&g, 0.3, &kept) < 80);
        CHECK(stats_of(&g).counts.resets < 8);
        close_rig(&g);
    }
}

/* Another type comes in the midst: other bits, other rate, other channels. */
static void receiver_follows_a_change_of_format(void)
{
    struct rig g;
    double kept = 0;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5}));
    pull_s(&g, 1);
    g.payload_type = 97;
    g.bits = 16;
    CHECK(silence_ms(&g, 1, &kept) < 100);
    CHECK_INT(wrong_samples(&g, 0.5, 64, 2), 0);
    int64_t sent = g.sent;
    g.payload_type = 98;
    g.rate_hz = 44100;
    g.channels = 1;
    g.packet = 441;
    g.since_ns = g.now_ns;
    g.seq = (uint16_t)(g.seq + sent);
    g.timestamp += 48 * (uint32_t)sent;
    g.sent = 0;
    g.sound = SINE;
    CHECK(silence_ms(&g, 1, &kept) < 100);
    CHECK(kept < 1);
    pull_s(&g, 5);
    g.broken = 0;
    pull_s(&g, 1);
    CHECK(g.broken < 1e-4);
    close_rig(&g);
}

/* Copies that come with later packets stand in for lost ones. */
static void receiver_plays_copies_of_what_is_lost(void)
{
    struct rig g;
    CHECK(open_rig(
        &g, (struct takt_receiver_cfg){.latency_ms = 5, .has_red = true, .red_payload_type = 100}));
    g.packet = 48;
    g.red = 2;
    g.loss = 0.05;
    pull_s(&g, 5);
    struct takt_receiver_stats st = stats_of(&g);
    CHECK(st.counts.repaired > 150);
    CHECK(st.counts.lost < 10);
    CHECK(st.concealed_ratio < 1e-3);
    CHECK(adds_up(&st.counts));
    close_rig(&g);
}

/* What counts is when the first of a packet and its copies comes, so with copies a shorter delay
 * does. */
static void receiver_waits_for_the_first_copy_alone(void)
{
    for (uint32_t red = 0; red <= 2; red += 2) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){
                               .late_ratio = 0.05, .has_red = true, .red_payload_type = 100}));
        g.red = red;
        g.jitter_ms = 10;
        pull_s(&g, 60);
        double target_ms = stats_of(&g).source[0].target_ms;
        CHECK(red ? target_ms > 6 && target_ms < 8.5 : target_ms > 9);
        close_rig(&g);
    }
}

/* A tone goes on through losses as if nothing were missing, whoever finds out how it goes on. */
static void receiver_conceals_a_tone_so_that_nobody_hears(void)
{
    for (int is_helped = 0; is_helped <= 1; is_helped++) {
        struct rig g;
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5, .is_helped = is_helped}));
        g.sound = SINE;
        pull_s(&g, 1);
        g.loss = 0.03;
        g.broken = 0;
        for (int i = 0; i < 3000; i++) {
            pull(&g, 64);
            while (takt_receiver_help(g.r))
                ;
        }
        CHECK(stats_of(&g).counts.lost > 50);
        CHECK(g.broken < 1e-4);
        close_rig(&g);
    }
}

/* Pulls what is left of a sine that ends: it comes whole, what stands in behind it is silent soon
 * and no click, and neither heard nor concealed. */
static void check_end(struct rig *g)
{
    enum { MOST = 4800, SOON = 240 };
    const double step_most = 0.5 * 2 * pi * 997 / 48000;
    pull(g, 64);
    struct takt_receiver_counts before = stats_of(g).counts;
    int64_t m = frame_of_first(g), end = g->sent * g->packet;
    double last = (double)g->out[0][63];
    CHECK(m >= 0 && end - m > 64 && end - m < MOST);
    g->is_cut = true;
    takt_receiver_end(g->r);
    m += 64;
    int64_t left = end - m;
    for (int i = 0; i < 2 * MOST / 64; i++) {
        pull(g, 64);
        for (int k = 0; k < 64; k++, m++) {
            double x = (double)g->out[0][k];
            if (m < end)
                CHECK(g->out[0][k] == heard(g, m, 0));
            if (m >= end + SOON)
                CHECK(x == 0);
            CHECK(fabs(x - last) <= 1.25 * step_most);
            last = x;
        }
    }
    struct takt_receiver_counts after = stats_of(g).counts;
    CHECK_INT(after.concealed_frames, before.concealed_frames);
    CHECK(after.heard_frames - before.heard_frames <= (uint64_t)left);
    CHECK(after.heard_frames + 64 >= before.heard_frames + (uint64_t)left);
}

static void receiver_ends_softly_behind_the_last_frame(void)
{
    for (int is_helped = 0; is_helped <= 1; is_helped++)
        for (int wait = 0; wait < 8; wait++) {
            struct rig g;
            CHECK(
                open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 20, .is_helped = is_helped}));
            g.sound = SINE;
            pull_s(&g, 1);
            for (int i = 0; i < wait; i++) {
                pull(&g, 37);
                while (takt_receiver_help(g.r))
                    ;
            }
            check_end(&g);
            close_rig(&g);
        }
}

/* A sound that is over before its path is known is heard, and ends like any other. */
static void receiver_ends_what_was_hardly_begun(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 40}));
    g.sound = SINE;
    pull_s(&g, 0.018);
    CHECK_INT(stats_of(&g).counts.heard_frames, 0);
    g.is_cut = true;
    takt_receiver_end(g.r);
    pull_s(&g, 0.5);
    CHECK(stats_of(&g).counts.heard_frames > 0);
    CHECK_INT(stats_of(&g).counts.concealed_frames, 0);
    close_rig(&g);
}

/* Two at a time are the sum of both; without mixing only the first is heard. */
static void receiver_mixes_when_asked(void)
{
    for (uint32_t most = 1; most <= 2; most++) {
        struct rig a, b;
        CHECK(open_rig(&a, (struct takt_receiver_cfg){.latency_ms = 5, .sources_max = most}));
        CHECK(open_rig(&b, (struct takt_receiver_cfg){0}));
        struct takt_receiver *own = b.r;
        b.r = a.r;
        b.ssrc = 8;
        b.sound = a.sound = SINE;
        for (int i = 0; i < 2000; i++) {
            b.made += 64;
            b.now_ns = START_NS + (int64_t)((double)b.made * 1e9 / 48000);
            pull(&a, 64);
            send(&b);
            deliver(&b);
        }
        struct takt_receiver_stats st = stats_of(&a);
        CHECK_INT(st.sources, most);
        CHECK(most == 2 ? st.foreign < 4 : st.foreign > 2000);
        float peak = 0;
        for (int i = 0; i < 64; i++)
            peak = fmaxf(peak, fabsf(a.out[0][i]));
        CHECK(most == 2 ? peak > 0.9f : peak < 0.51f);
        b.r = own;
        close_rig(&a);
        close_rig(&b);
    }
}

/* Somewhat like one that sings, in syllables. */
static float voice(int64_t m)
{
    double t = (double)m / 48000, syllable = 0.1 + fabs(sin(2 * pi * 2.3 * t)), x = 0;
    double angle = 2 * pi * (140 * t - 50 / (2 * pi * 1.1) * cos(2 * pi * 1.1 * t));
    for (int k = 1; k < 16; k++)
        x += sin(k * angle) * exp(-k * (0.15 + 0.1 * sin(2 * pi * 1.7 * t)));
    return (float)(0.12 * syllable * x);
}

/* A voice of Opus goes on through losses, one packet in ten. Returns how many frames of the last
 * pull are far below it; below 0: there is no Opus here. */
static int opus_holes(uint32_t frames, bool fec, struct takt_receiver_stats *st)
{
    struct takt_receiver_format f = {.payload_type = 96,
                                     .codec = {.codec = TAKT_CODEC_OPUS,
                                               .rate_hz = 48000,
                                               .channels = 1,
                                               .frames = frames,
                                               .bit_rate = 40000,
                                               .fec = fec,
                                               .loss_percent = fec ? 5 : 0}};
    struct takt_receiver_cfg cfg = {
        .formats = &f, .formats_count = 1, .channels = 1, .latency_ms = 40};
    struct takt_encoder *encoder;
    struct takt_receiver *r;
    struct takt_error e;
    float in[960], got[960], *out = got;
    const float *plane = in;
    uint8_t bytes[TAKT_OPUS_BYTES_MAX];
    int holes = 0;
    if (takt_encoder_create(&f.codec, &encoder, &e) < 0)
        return -1;
    if (takt_receiver_create(&cfg, &r, &e) < 0)
        return -2;
    for (int64_t k = 0; k < 48000 * 4 / frames; k++) {
        for (uint32_t i = 0; i < frames; i++)
            in[i] = voice(k * frames + i);
        int n = takt_encoder_encode(encoder, &plane, bytes, sizeof bytes);
        int64_t now_ns = START_NS + (k + 1) * frames * 1000000000 / 48000;
        struct takt_net_packet p = {.arrival_ns = now_ns,
                                    .ssrc = 1,
                                    .seq = (uint16_t)k,
                                    .timestamp = (uint32_t)(k * frames),
                                    .payload_type = 96,
                                    .bytes = (uint16_t)(n > 0 ? n : 0),
                                    .payload = bytes};
        if (k % 10 != 9)
            takt_receiver_packet(r, &p);
        takt_receiver_pull(r, now_ns, now_ns + LEAD_NS, &out, frames);
        double sum = 0;
        for (uint32_t i = 0; i < frames; i++)
            sum += (double)got[i] * (double)got[i];
        holes += k * frames > 24000 && sum / frames < 1e-6;
    }
    takt_receiver_read_stats(r, st);
    takt_receiver_destroy(r);
    takt_encoder_destroy(encoder);
    return holes;
}

static void receiver_plays_opus_through_loss(void)
{
    static const uint32_t frames[] = {120, 240, 480, 960};
    struct takt_receiver_stats st;
    for (int i = 0; i < 4; i++)
        for (int fec = 0; fec <= (frames[i] >= 480); fec++) {
            int holes = opus_holes(frames[i], fec, &st);
            if (holes == -1)
                SKIP("built without Opus");
            CHECK_INT(holes, 0);
            CHECK(adds_up(&st.counts));
            CHECK_NEAR(st.counts.lost, 4 * 4800 / frames[i], 2);
            CHECK(fec ? st.counts.repaired * 2 > st.counts.lost : !st.counts.repaired);
        }
}

static void receiver_ends_opus_softly(void)
{
    enum { PACKET = 480, SENT = 100, SOON = 240 };
    struct takt_receiver_format f = {
        .payload_type = 96,
        .codec = {.codec = TAKT_CODEC_OPUS, .rate_hz = 48000, .channels = 1, .frames = PACKET}};
    struct takt_receiver_cfg cfg = {
        .formats = &f, .formats_count = 1, .channels = 1, .latency_ms = 40};
    struct takt_encoder *encoder;
    struct takt_receiver *r;
    struct takt_receiver_stats st;
    struct takt_error e;
    uint8_t bytes[TAKT_OPUS_BYTES_MAX];
    float in[PACKET], got[PACKET], *out = got, last = 0;
    int64_t sounds = 0, silent = 0;
    if (takt_encoder_create(&f.codec, &encoder, &e) < 0)
        SKIP("built without Opus");
    CHECK(takt_receiver_create(&cfg, &r, &e) == TAKT_OK);
    for (int k = 0; k < 2 * SENT; k++) {
        int64_t now_ns = START_NS + (int64_t)(k + 1) * PACKET * 1000000000 / 48000;
        for (int i = 0; i < PACKET; i++)
            in[i] = (float)(0.5 * sine(48000, (int64_t)k * PACKET + i));
        int n = takt_encoder_encode(encoder, (const float *[]){in}, bytes, sizeof bytes);
        struct takt_net_packet p = {.arrival_ns = now_ns,
                                    .ssrc = 1,
                                    .seq = (uint16_t)k,
                                    .timestamp = (uint32_t)(k * PACKET),
                                    .payload_type = 96,
                                    .bytes = (uint16_t)(n > 0 ? n : 0),
                                    .payload = bytes};
        if (k < SENT)
            takt_receiver_packet(r, &p);
        if (k == SENT)
            takt_receiver_end(r);
        takt_receiver_pull(r, now_ns, now_ns + LEAD_NS, &out, PACKET);
        for (int i = 0; i < PACKET; i++) {
            CHECK(k < 10 || fabsf(got[i] - last) < 0.1F);
            last = got[i];
            silent = last == 0 ? silent + 1 : 0;
            sounds += k >= SENT && last != 0;
        }
    }
    takt_receiver_read_stats(r, &st);
    CHECK_INT(st.counts.concealed_frames, 0);
    /* A pull's length comes to the delay that was asked for. */
    CHECK(silent > 40 * PACKET && sounds >= 50 * 48 && sounds <= 50 * 48 + SOON);
    takt_receiver_destroy(r);
    takt_encoder_destroy(encoder);
}

/* ---- What does not belong there -------------------------------------------------------------- */

static void receiver_takes_anything(void)
{
    for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(30); seed++) {
        struct rig g;
        struct takt_random r = takt_random_seed(seed);
        uint8_t bytes[TAKT_RECEIVER_PAYLOAD_BYTES_MAX];
        CHECK(open_rig(&g, (struct takt_receiver_cfg){.sources_max = 1 + seed % 3,
                                                      .packets_max = 16u << seed % 5,
                                                      .has_red = true,
                                                      .red_payload_type = 100}));
        g.jitter_ms = 20;
        g.loss = 0.1;
        for (int i = 0; i < 600; i++) {
            struct takt_net_packet p = {
                .arrival_ns = g.now_ns + (int64_t)takt_random_below(&r, 40 * MS) - 20 * MS,
                .ssrc = 6 + (uint32_t)takt_random_below(&r, 3),
                .seq = (uint16_t)(g.seq + g.sent + (int64_t)takt_random_below(&r, 40)),
                .timestamp = g.timestamp +
                             (uint32_t)(g.sent * g.packet + (int64_t)takt_random_below(&r, 3000)),
                .payload_type = (uint8_t)(95 + takt_random_below(&r, 6)),
                .is_repaired = !takt_random_below(&r, 4),
                .bytes = (uint16_t)takt_random_below(&r, 1501),
                .payload = bytes};
            for (int k = 0; k < 40; k++)
                bytes[takt_random_below(&r, sizeof bytes)] = (uint8_t)takt_random_u64(&r);
            if (!takt_random_below(&r, 4)) {
                p.seq = (uint16_t)takt_random_u64(&r);
                p.timestamp = (uint32_t)takt_random_u64(&r);
            }
            if (!takt_random_below(&r, 50))
                p.arrival_ns = (int64_t)(takt_random_u64(&r) >> 2);
            takt_receiver_packet(g.r, &p);
            pull(&g, 1 + (uint32_t)takt_random_below(&r, takt_random_below(&r, 2) ? 64 : 2000));
            if (!takt_random_below(&r, 20))
                takt_receiver_pull(g.r, g.now_ns, (int64_t)(takt_random_u64(&r) >> 2), g.out, 64);
            struct takt_receiver_stats st = stats_of(&g);
            CHECK(adds_up(&st.counts));
        }
        close_rig(&g);
    }
}

/* A forged packet in 20 does not disturb what plays. */
static void receiver_is_not_moved_by_strays(void)
{
    struct rig g;
    CHECK(open_rig(&g, (struct takt_receiver_cfg){.latency_ms = 5}));
    struct takt_random r = takt_random_seed(5);
    static const uint8_t zeros[288];
    pull_s(&g, 1);
    for (int i = 0; i < 3000; i++) {
        struct takt_net_packet p = {.arrival_ns = g.now_ns,
                                    .ssrc = 7,
                                    .seq = (uint16_t)takt_random_u64(&r),
                                    .timestamp = (uint32_t)takt_random_u64(&r),
                                    .payload_type = 96,
                                    .bytes = sizeof zeros,
                                    .payload = zeros};
        uint16_t ahead = (uint16_t)(p.seq - (uint16_t)(g.seq + g.sent));
        if (ahead > 4000 && ahead < 65000)
            takt_receiver_packet(g.r, &p);
        p.seq = (uint16_t)(g.seq + g.sent + 5);
        ahead = (uint16_t)((p.timestamp - (uint32_t)g.sent * 48) >> 16);
        if (i % 50 == 0 && ahead > 10 && ahead < 65525)
            takt_receiver_packet(g.r, &p);
        pull(&g, 64);
    }
    CHECK_INT(wrong_samples(&g, 1, 64, 2), 0);
    CHECK_INT(stats_of(&g).counts.lost, 0);
    CHECK_INT(stats_of(&g).counts.concealed_frames, 0);
    close_rig(&g);
}

static void receiver_create_refuses_what_is_out_of_range(void)
{
    struct takt_receiver *r;
    struct takt_error e;
    struct takt_receiver_format f = formats[0];
    struct takt_receiver_cfg good = {.formats = &f, .formats_count = 1}, c = good;
    CHECK_INT(takt_receiver_create(&good, &r, &e), TAKT_OK);
    takt_receiver_destroy(r);
#define REFUSED(field, value)                                                                      \
    c = good;                                                                                      \
    c.field = (value);                                                                             \
    CHECK_INT(takt_receiver_create(&c, &r, &e), TAKT_ERR_ARG);                                     \
    CHECK(!r)
    REFUSED(rate_hz, 100);
    REFUSED(channels, 65);
    REFUSED(formats_count, 0);
    REFUSED(formats_count, 9);
    REFUSED(sources_max, 17);
    REFUSED(packets_max, 100);
    REFUSED(frames_max, 100000);
    REFUSED(latency_ms, -1);
#undef REFUSED
    f.payload_type = 128;
    CHECK_INT(takt_receiver_create(&good, &r, &e), TAKT_ERR_ARG);
    f = formats[0];
    f.codec.channels = 0;
    CHECK_INT(takt_receiver_create(&good, &r, &e), TAKT_ERR_ARG);
    f = formats[0];
    f.codec.codec = (enum takt_codec)TAKT_CODECS;
    CHECK_INT(takt_receiver_create(&good, &r, &e), TAKT_ERR_ARG);
    f = (struct takt_receiver_format){
        96, {.codec = TAKT_CODEC_OPUS, .rate_hz = 16000, .channels = 1, .frames = 160}};
    CHECK_INT(takt_receiver_create(&good, &r, &e), TAKT_ERR_ARG);
}

static void receiver_create_without_memory_holds_nothing(void)
{
    struct takt_receiver_cfg cfg = {.formats = formats, .formats_count = 3, .sources_max = 2};
    for (int n = 1;; n++) {
        struct takt_receiver *r;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int code = takt_receiver_create(&cfg, &r, &e);
        bool failed = fault_happened();
        fault_at(0);
        CHECK_INT(code, failed ? TAKT_ERR_NOMEM : TAKT_OK);
        CHECK(failed ? !r : r != NULL);
        takt_receiver_destroy(r);
        CHECK_INT(fault_held(), before);
        if (!failed)
            break;
    }
    takt_receiver_destroy(NULL);
}

int main(void)
{
    RUN(receiver_gives_back_every_bit);
    RUN(receiver_is_exact_at_once_on_a_calm_path);
    RUN(receiver_keeps_any_beat);
    RUN(receiver_learns_what_wakes_cost);
    RUN(receiver_plays_the_first_packet_of_whom_it_trusts);
    RUN(receiver_keeps_histograms);
    RUN(receiver_stays_exact_in_jitter);
    RUN(receiver_wraps_without_a_seam);
    RUN(receiver_comes_to_rest_on_a_calm_path);
    RUN(receiver_follows_drift_without_a_glitch);
    RUN(receiver_follows_a_change_of_rate);
    RUN(receiver_moves_to_its_target_without_a_glitch);
    RUN(receiver_counts_add_up);
    RUN(receiver_tells_who_is_silent);
    RUN(receiver_is_back_soon_after_an_outage);
    RUN(receiver_is_back_soon_on_a_longer_path);
    RUN(receiver_keeps_its_delay_when_a_path_was_held_up);
    RUN(receiver_takes_two_paths_for_one_sender);
    RUN(receiver_covers_what_costs_as_much_in_gaps);
    RUN(receiver_goes_on_after_a_stall);
    RUN(receiver_has_room_for_so_many_packets);
    RUN(receiver_plays_what_is_left_of_a_late_packet);
    RUN(receiver_moves_at_once_in_silence);
    RUN(receiver_follows_a_restart);
    RUN(receiver_follows_a_restart_out_of_order);
    RUN(receiver_follows_a_change_of_format);
    RUN(receiver_plays_copies_of_what_is_lost);
    RUN(receiver_waits_for_the_first_copy_alone);
    RUN(receiver_conceals_a_tone_so_that_nobody_hears);
    RUN(receiver_ends_softly_behind_the_last_frame);
    RUN(receiver_ends_what_was_hardly_begun);
    RUN(receiver_mixes_when_asked);
    RUN(receiver_plays_opus_through_loss);
    RUN(receiver_ends_opus_softly);
    RUN(receiver_takes_anything);
    RUN(receiver_is_not_moved_by_strays);
    RUN(receiver_create_refuses_what_is_out_of_range);
    RUN(receiver_create_without_memory_holds_nothing);
    return tap_done();
}
