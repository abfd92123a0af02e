#include "base/random.h"
#include "net/inlet.h"
#include "net/outlet.h"
#include "tap.h"
#include "wire/srtp_key.h"

#include <math.h>

/* An outlet and an inlet with 5 ms of network between them, on virtual time. */
enum { MS = 1000000, FLYING = 4096, WAY_MS = 5, PACKETS = 20000, FRAMES = 48 };

struct flying {
    int64_t at_ns; /* INT64_MAX: nothing */
    bool is_back;
    size_t bytes;
    uint8_t data[1600];
};

struct rig {
    struct takt_outlet *out;
    struct takt_inlet *in;
    struct takt_random chance;
    double loss, jitter_ms; /* uniform */
    bool keeps_order;
    int64_t last_ns;
    int64_t now_ns, known_ns; /* when the first capture time was known */
    struct flying flying[FLYING];
    uint32_t next, begins, ends;
    enum takt_inlet_ending why;
    uint64_t packets, repaired;
    double worst_ms; /* of the time from capture to arrival, from what it is */
};

static struct rig g;
static struct takt_key key = {{7}};

static void fly(bool is_back, const uint8_t *datagram, size_t bytes)
{
    struct flying *f = &g.flying[g.next++ % FLYING];
    f->at_ns = g.now_ns + WAY_MS * MS;
    if (!is_back)
        f->at_ns += (int64_t)(takt_random_unit(&g.chance) * g.jitter_ms * MS);
    if (!is_back && g.keeps_order)
        f->at_ns = g.last_ns = f->at_ns > g.last_ns ? f->at_ns : g.last_ns;
    f->is_back = is_back;
    f->bytes = bytes;
    memcpy(f->data, datagram, bytes);
}

static void forth(void *arg, enum takt_outlet_kind kind, const uint8_t *datagram, size_t bytes)
{
    (void)arg, (void)kind;
    if (takt_random_unit(&g.chance) >= g.loss)
        fly(false, datagram, bytes);
}

static void back(void *arg, const struct takt_inlet_peer *to, const uint8_t *datagram, size_t bytes)
{
    (void)arg, (void)to;
    fly(true, datagram, bytes);
}

static void on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    (void)arg, (void)place;
    g.begins += source->packets.format.codec == TAKT_CODEC_L24;
}

static void on_end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    (void)arg, (void)place;
    g.ends++;
    g.why = why;
}

static void on_packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    (void)arg, (void)place;
    g.packets++;
    g.repaired += p->is_repaired;
    if (!p->has_capture || p->is_repaired)
        return;
    g.known_ns = g.known_ns ? g.known_ns : g.now_ns;
    g.worst_ms = fmax(g.worst_ms, fabs((double)(p->arrival_ns - p->capture_ns) / MS - WAY_MS - 1));
}

static void land(void)
{
    for (uint32_t k = 0; k < FLYING; k++) { /* in the order in which they left */
        struct flying *f = &g.flying[(g.next + k) % FLYING];
        if (f->at_ns > g.now_ns)
            continue;
        f->at_ns = INT64_MAX;
        struct takt_inlet_datagram d = {
            .arrival_ns = g.now_ns, .data = f->data, .bytes = f->bytes, .from = {{1}}};
        if (f->is_back)
            takt_outlet_take(g.out, f->data, f->bytes, g.now_ns);
        else
            takt_inlet_take(g.in, &d);
    }
}

static bool open_rig(int kind, double loss)
{
    static const struct takt_srtp_key sdes = {.mki = 3, .key = {1, 2}, .salt = {3}};
    struct takt_error e;
    struct takt_outlet_cfg out = {
        .packets =
            {.format = {.codec = TAKT_CODEC_L24, .rate_hz = 48000, .channels = 2, .frames = FRAMES},
             .payload_type = 96,
             .red_type = 121},
        .copies_max = 3,
        .ssrc = 1234,
        .seq = 65000,
        .start = takt_srtp_start(100, 1),
        .seed = 4,
        .cname = "abc",
        .rotate_s = 5,
        .repair_least = 1,
        .repair_max = 3,
        .mki_bytes = kind == 2,
    };
    struct takt_inlet_cfg in = {.begin = on_begin,
                                .end = on_end,
                                .packet = on_packet,
                                .seed = 9,
                                .reports_plain = true,
                                .mki_bytes = kind == 2};
    out.key = in.key = kind == 1 ? &key : NULL;
    out.srtp_key = in.srtp_key = kind == 2 ? &sdes : NULL;
    memset(&g, 0, sizeof g);
    for (int i = 0; i < FLYING; i++)
        g.flying[i].at_ns = INT64_MAX;
    g.now_ns = 1000 * (int64_t)MS;
    g.chance = takt_random_seed(3);
    g.loss = loss;
    return takt_outlet_create(&out, &g.out, &e) == 0 && takt_inlet_create(&in, &g.in, &e) == 0;
}

/* Plain, with a key of takt and through several epochs, and with an SDP's: no format is told, all
 * packets come, those that were lost by repair, and latency is known within 1 s. */
static void check_pair(int kind, double loss)
{
    float sound[2][FRAMES] = {{0}};
    const float *planes[2] = {sound[0], sound[1]};
    struct takt_outlet_stats stats;
    struct takt_inlet_counts c;
    CHECK(open_rig(kind, loss));
    takt_outlet_set_clock(g.out, 1790000000000000000);
    for (int i = 0; i < PACKETS + 20; i++) {
        g.now_ns += MS;
        if (i < PACKETS)
            takt_outlet_push(g.out, planes, FRAMES, g.now_ns - MS, g.now_ns, forth, NULL);
        g.loss = i > PACKETS - 20 ? 0 : loss;
        if (i == PACKETS)
            takt_outlet_bye(g.out, g.now_ns, "done", forth, NULL);
        land();
        takt_inlet_tick(g.in, g.now_ns, back, NULL);
    }
    takt_outlet_read_stats(g.out, &stats);
    takt_inlet_read_counts(g.in, &c);
    CHECK(g.begins == 1 && g.ends == 1 && g.why == TAKT_INLET_BYE);
    /* Before the reports have asked for more repair, a few may be missing. */
    CHECK(g.packets <= PACKETS && g.packets >= (loss > 0 ? PACKETS - 20 : PACKETS));
    CHECK(loss > 0 ? g.repaired > 200 : g.repaired == 0);
    CHECK(g.known_ns > 0 && g.known_ns < 2000 * (int64_t)MS);
    CHECK_NEAR(g.worst_ms, 0, 0.1);
    CHECK(stats.refused == 0 && stats.sender.receivers == 1 && stats.heard > 20);
    CHECK(kind != 1 || stats.epoch >= 3);
    CHECK(c.forged + c.replayed + c.malformed + c.foreign + c.undescribed == 0);
    takt_outlet_destroy(g.out);
    takt_inlet_destroy(g.in);
}

static void plain_stream_needs_no_telling(void)
{
    check_pair(0, 0);
    if (!tap_broken)
        check_pair(0, 0.02);
}

static void keyed_stream_needs_the_key_alone(void)
{
    check_pair(1, 0);
    if (!tap_broken)
        check_pair(1, 0.02);
}

static void sdes_stream_needs_its_key_alone(void)
{
    check_pair(2, 0);
    if (!tap_broken)
        check_pair(2, 0.02);
}

/* Copies make the delay shorter where packets overtake each other, and there alone. */
static void copies_follow_packets_that_overtake(void)
{
    float sound[2][FRAMES] = {{0}};
    const float *planes[2] = {sound[0], sound[1]};
    for (int keeps_order = 0; keeps_order < 2; keeps_order++) {
        struct takt_outlet_stats stats;
        CHECK(open_rig(1, 0));
        g.jitter_ms = 10;
        g.keeps_order = keeps_order == 1;
        takt_outlet_set_clock(g.out, 1790000000000000000);
        for (int i = 0; i < PACKETS; i++) {
            g.now_ns += MS;
            g.jitter_ms = i < PACKETS / 5 ? 10 : 0;
            takt_outlet_push(g.out, planes, FRAMES, g.now_ns - MS, g.now_ns, forth, NULL);
            land();
            takt_inlet_tick(g.in, g.now_ns, back, NULL);
            if (i != PACKETS / 5)
                continue;
            takt_outlet_read_stats(g.out, &stats);
            CHECK_INT(stats.sender.copies_now, keeps_order ? 0 : 3);
        }
        for (int i = 0; i < 10000; i++) { /* and it is over, for 20 s and more */
            g.now_ns += MS;
            takt_outlet_push(g.out, planes, FRAMES, g.now_ns - MS, g.now_ns, forth, NULL);
            land();
            takt_inlet_tick(g.in, g.now_ns, back, NULL);
        }
        takt_outlet_read_stats(g.out, &stats);
        CHECK_INT(stats.sender.copies_now, 0);
        takt_outlet_destroy(g.out);
        takt_inlet_destroy(g.in);
    }
}

int main(void)
{
    RUN(plain_stream_needs_no_telling);
    RUN(keyed_stream_needs_the_key_alone);
    RUN(sdes_stream_needs_its_key_alone);
    RUN(copies_follow_packets_that_overtake);
    return tap_done();
}
