/*
 * What a whole receiver makes of a path: delay and wrong sound, on virtual time.
 *
 *     build/bench/bench-receiver [SECONDS] [SEED] [SCENE]
 *
 * SECONDS of each scene (default 120), the first 10 of which do not count. Both sides run in blocks
 * of 64 frames at 48 kHz, the packets are L24 of 1 ms. Delay is from a frame's capture to its
 * converter; a piece of 2.67 ms is wrong when any of it was concealed; samples are counted as wrong
 * when they are not what was sent, a constant whole number of frames earlier. With CURVE=N in the
 * environment the receiver's state is printed to stderr at each N-th pull.
 */
#include "net/receiver.h"
#include "base/random.h"
#include "bench.h"
#include "sim/network.h"
#include "wire/red.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BLOCK = 64, RATE_HZ = 48000, CHANNELS = 2, SETTLE_S = 10, HEADER = 32 };

struct scene {
    const char *name;
    const char *network[4][2]; /* options of sim/network.h */
    double drift_ppm;
    bool wakes_late; /* threads: by up to 0.3 ms, and one in 1000 by up to 1 ms */
    uint32_t packet, copies;
    struct takt_receiver_cfg cfg;
};

static const struct scene scenes[] = {
    {"clean", {{"delay", "0.1"}}, .wakes_late = true},
    {"clean, 1.5 ms",
     {{"delay", "0.1"}},
     .wakes_late = true,
     .packet = 64,
     .cfg = {.latency_ms = 1.5}},
    {"200 ppm", {{"delay", "0.1"}}, .wakes_late = true, .drift_ppm = 200},
    {"5 % lost", {{"delay", "2"}, {"loss", "0.05"}}, .wakes_late = true},
    {"gamma 5,5", {{"jitter", "gamma:5,5"}}},
    {"gamma 5,5 0.1 %", {{"jitter", "gamma:5,5"}}, .cfg = {.late_ratio = 0.001}},
    {"gamma 5,5 2 copies", {{"jitter", "gamma:5,5"}}, .copies = 2},
    {"gamma 5,5 2 copies 0.1 %",
     {{"jitter", "gamma:5,5"}},
     .copies = 2,
     .cfg = {.late_ratio = 0.001}},
    {"5 % lost 2 copies 0.1 %",
     {{"delay", "2"}, {"loss", "0.05"}},
     .copies = 2,
     .cfg = {.late_ratio = 0.001}},
    {"gamma in order", {{"jitter", "gamma:5,5"}, {"order", "kept"}}},
    {"gamma in order 0.1 %",
     {{"jitter", "gamma:5,5"}, {"order", "kept"}},
     .cfg = {.late_ratio = 0.001}},
    {"stands still", {{"still", "2,60"}}},
    {"stands still 0.1 %", {{"still", "2,60"}}, .cfg = {.late_ratio = 0.001}},
    {"wifi", {{"delay", "1"}, {"wifi", "8"}}},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

/* What sounds in the sender's frame m. */
static int32_t sample(int64_t m, uint32_t c)
{
    struct takt_random r = takt_random_seed((uint64_t)m * CHANNELS + c);
    return (int32_t)(takt_random_u64(&r) >> 41) - (1 << 22);
}

struct header {
    int64_t number, capture_ns;
};

struct rig {
    const struct scene *s;
    struct takt_random chance;
    struct takt_receiver *r;
    struct takt_network *n;
    int64_t blocks, sent, pulls, last_ns;
    int64_t at; /* the frame that the next pull should begin with; below 0: not known */
    uint64_t exact, wrong, moves, concealed, pieces, holes, late_before;
    double *latency_ms;
    float memory[CHANNELS][BLOCK], *out[CHANNELS];
};

static double late_ms(struct rig *g)
{
    if (!g->s->wakes_late)
        return 0;
    return takt_random_unit(&g->chance) * (takt_random_unit(&g->chance) < 1e-3 ? 1 : 0.3);
}

static int64_t captured_ns(const struct rig *g, int64_t frame)
{
    return (int64_t)((double)frame / RATE_HZ / (1 + g->s->drift_ppm * 1e-6) * 1e9);
}

static size_t encode(int64_t number, uint32_t packet, uint8_t *to)
{
    uint8_t *at = to;
    for (uint32_t i = 0; i < packet; i++)
        for (uint32_t c = 0; c < CHANNELS; c++) {
            int32_t x = sample(number * packet + i, c);
            *at++ = (uint8_t)(x >> 16);
            *at++ = (uint8_t)(x >> 8);
            *at++ = (uint8_t)x;
        }
    return (size_t)(at - to);
}

/* The packet, behind copies of those before it. */
static size_t write_payload(const struct rig *g, uint32_t packet, uint8_t *to)
{
    static uint8_t data[4][1500];
    struct takt_red_block blocks[4];
    size_t n = 0;
    if (!g->s->copies)
        return encode(g->sent, packet, to);
    for (int64_t back = g->s->copies; back >= 0; back--)
        if (g->sent >= back) {
            size_t size = encode(g->sent - back, packet, data[n]);
            blocks[n] = (struct takt_red_block){96, (uint16_t)(back * packet), size, data[n]};
            n++;
        }
    return (size_t)takt_red_write(blocks, n, to, 1500);
}

static void send_until(struct rig *g, int64_t now_ns)
{
    uint32_t packet = g->s->packet ? g->s->packet : 48;
    for (;;) {
        int64_t ends_ns = captured_ns(g, (g->blocks + 1) * BLOCK);
        if (ends_ns > now_ns)
            return;
        int64_t wake_ns = ends_ns + (int64_t)(late_ms(g) * 1e6);
        wake_ns = wake_ns > g->last_ns ? wake_ns : g->last_ns;
        g->last_ns = wake_ns;
        g->blocks++;
        for (; (g->sent + 1) * packet <= g->blocks * BLOCK; g->sent++) {
            uint8_t bytes[HEADER + 1500];
            struct header h = {g->sent, captured_ns(g, g->sent * packet)};
            memcpy(bytes, &h, sizeof h);
            size_t size = write_payload(g, packet, bytes + HEADER);
            takt_network_send(g->n, wake_ns, bytes, HEADER + size);
        }
    }
}

static void deliver(struct rig *g, int64_t now_ns)
{
    uint8_t bytes[HEADER + 1500];
    int64_t arrival_ns;
    uint32_t packet = g->s->packet ? g->s->packet : 48;
    for (int n; (n = takt_network_next(g->n, now_ns, &arrival_ns, bytes, sizeof bytes)) > 0;) {
        struct header h;
        memcpy(&h, bytes, sizeof h);
        takt_receiver_packet(g->r,
                             &(struct takt_net_packet){.arrival_ns = arrival_ns,
                                                       .ssrc = 1,
                                                       .seq = (uint16_t)h.number,
                                                       .timestamp = (uint32_t)(h.number * packet),
                                                       .payload_type = g->s->copies ? 100 : 96,
                                                       .has_capture = true,
                                                       .capture_ns = h.capture_ns,
                                                       .bytes = (uint16_t)(n - HEADER),
                                                       .payload = bytes + HEADER});
    }
}

static float sent_as(int64_t m, uint32_t c)
{
    return (float)sample(m, c) / (float)(1 << 23);
}

static int64_t look_for(const struct rig *g, int64_t newest)
{
    for (int64_t m = newest; m >= 0 && m > newest - RATE_HZ / 4; m--)
        if (g->out[0][0] == sent_as(m, 0) && g->out[0][1] == sent_as(m + 1, 0))
            return m;
    return -1;
}

static void check(struct rig *g)
{
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < BLOCK && g->at >= 0; i++)
        wrong += g->out[0][i] != sent_as(g->at + i, 0);
    if (wrong || g->at < 0) {
        int64_t at = look_for(g, g->blocks * BLOCK);
        g->moves += at >= 0 && at != g->at;
        g->at = at < 0 && g->at >= 0 ? g->at : at;
    }
    g->wrong += wrong;
    if (g->at >= 0)
        g->at += BLOCK;
}

static void run(const struct scene *s, double seconds, uint64_t seed)
{
    struct rig *g = calloc(1, sizeof *g);
    struct takt_network_cfg network = {.bytes_max = HEADER + 1500};
    struct takt_receiver_format f = {96, {TAKT_CODEC_L24, RATE_HZ, CHANNELS, 48}};
    struct takt_receiver_cfg cfg = s->cfg;
    struct takt_receiver_stats st = {0};
    struct takt_error e;
    int64_t pulls = (int64_t)(seconds * RATE_HZ / BLOCK), settle = SETTLE_S * RATE_HZ / BLOCK;
    g->s = s;
    g->at = -1;
    g->chance = takt_random_seed(seed);
    g->latency_ms = calloc((size_t)pulls, sizeof *g->latency_ms);
    for (int c = 0; c < CHANNELS; c++)
        g->out[c] = g->memory[c];
    for (int i = 0; i < 4 && s->network[i][0]; i++)
        if (takt_network_parse(s->network[i][0], s->network[i][1], &network, &e) < 0)
            fprintf(stderr, "%s\n", e.text);
    cfg.formats = &f;
    cfg.formats_count = 1;
    cfg.channels = CHANNELS;
    cfg.has_red = true;
    cfg.red_payload_type = 100;
    if (takt_receiver_create(&cfg, &g->r, &e) < 0 ||
        takt_network_create(&network, seed, &g->n, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(2);
    }
    size_t count = 0;
    double low_ms = 1e9, high_ms = 0;
    uint64_t concealed = 0, first_wrong = 0;
    int64_t phase_ns = (int64_t)(takt_random_unit(&g->chance) * 1e6);
    int64_t sounds_from = -1, done_pull = 0;
    for (int64_t k = 0; k < pulls; k++) {
        int64_t play_ns = phase_ns + k * BLOCK * 1000000000ll / RATE_HZ;
        int64_t now_ns = play_ns + (int64_t)(late_ms(g) * 1e6);
        send_until(g, now_ns);
        deliver(g, now_ns);
        takt_receiver_pull(g->r, now_ns, play_ns, g->out, BLOCK);
        takt_receiver_read_stats(g->r, &st);
        if (sounds_from < 0 && g->out[0][0] != 0)
            sounds_from = k;
        if (sounds_from >= 0 && k > sounds_from + 4) {
            check(g);
            if (g->wrong > first_wrong) {
                first_wrong = g->wrong;
                done_pull = k;
            }
        }
        if (k == settle) {
            concealed = st.counts.concealed_frames;
            g->holes = g->pieces = 0;
        }
        if (getenv("CURVE") && k % atoi(getenv("CURVE")) == 0)
            fprintf(stderr,
                    "%8.3f target %.3f delay %.3f latency %.3f exact %d conc %lu late %lu drift "
                    "%.1f speed %.1f\n",
                    (double)now_ns * 1e-9, st.source[0].target_ms, st.source[0].delay_ms,
                    st.source[0].latency_ms, st.source[0].is_exact, st.counts.concealed_frames,
                    st.counts.late, st.source[0].drift_ppm, st.source[0].speed_ppm);
        if (k % 2) {
            g->pieces++;
            g->holes += st.counts.concealed_frames > g->concealed;
            g->concealed = st.counts.concealed_frames;
        }
        if (k > settle) {
            g->latency_ms[count++] = st.source[0].latency_ms;
            low_ms = fmin(low_ms, st.source[0].latency_ms);
            high_ms = fmax(high_ms, st.source[0].latency_ms);
        }
    }
    double p95 = bench_quantile(g->latency_ms, count, 0.95);
    double p50 = bench_quantile(g->latency_ms, count, 0.5);
    printf("{\"bench\":\"receiver\",\"scene\":\"%s\",\"p50_ms\":%.3f,\"p95_ms\":%.3f,"
           "\"low_ms\":%.3f,\"high_ms\":%.3f,\"wrong_pieces\":%.6f,\"concealed\":%.6f,"
           "\"target_ms\":%.3f,\"wrong_samples\":%llu,\"moves\":%llu,\"last_wrong_s\":%.2f}\n",
           s->name, p50, p95, low_ms, high_ms, (double)g->holes / (double)g->pieces,
           (double)(st.counts.concealed_frames - concealed) / (seconds - SETTLE_S) / RATE_HZ,
           st.source[0].target_ms, (unsigned long long)g->wrong, (unsigned long long)g->moves,
           (double)done_pull * BLOCK / RATE_HZ);
    fflush(stdout);
    takt_receiver_destroy(g->r);
    takt_network_destroy(g->n);
    free(g->latency_ms);
    free(g);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 120;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (int i = 0; i < SCENES; i++)
        if (argc <= 3 || !strncmp(scenes[i].name, argv[3], strlen(argv[3])))
            run(&scenes[i], seconds, seed + (uint64_t)i);
    return 0;
}
