#include "base/random.h"
#include "net/inlet.h"
#include "net/outlet.h"
#include "net/receiver.h"
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
    double late_ms;         /* each packet's own, exponential, of this mean */
    bool keeps_order;
    int64_t last_ns;
    int64_t now_ns, known_ns; /* when the first capture time was known */
    struct flying flying[FLYING];
    uint32_t next, begins, ends;
    enum takt_inlet_ending why;
    uint64_t packets, repaired;
    double worst_ms;            /* of the time from capture to arrival, from what it is */
    struct takt_receiver *sink; /* or none */
};

/* What the sender may add: copies; repair packets to a block. */
struct means {
    uint32_t copies_max, repair_least, repair_max;
};

static struct rig g;
static struct takt_key key = {{7}};

static void fly(bool is_back, const uint8_t *datagram, size_t bytes)
{
    struct flying *f = &g.flying[g.next++ % FLYING];
    f->at_ns = g.now_ns + WAY_MS * MS;
    if (!is_back)
        f->at_ns += (int64_t)(takt_random_unit(&g.chance) * g.jitter_ms * MS);
    if (!is_back && g.late_ms > 0)
        f->at_ns -= (int64_t)(log(1 - takt_random_unit(&g.chance)) * g.late_ms * MS);
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
    if (g.sink)
        takt_receiver_packet(g.sink, p);
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

static bool open_rig(int kind, double loss, struct means means)
{
    static const struct takt_srtp_key sdes = {.mki = 3, .key = {1, 2}, .salt = {3}};
    struct takt_error e;
    struct takt_outlet_cfg out = {
        .packets =
            {.format = {.codec = TAKT_CODEC_L24, .rate_hz = 48000, .channels = 2, .frames = FRAMES},
             .payload_type = 96,
             .red_type = 121},
        .copies_max = means.copies_max,
        .ssrc = 1234,
        .seq = 65000,
        .start = takt_srtp_start(100, 1),
        .seed = 4,
        .cname = "abc",
        .rotate_s = 5,
        .repair_least = means.repair_least,
        .repair_max = means.repair_max,
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
    CHECK(open_rig(kind, loss, (struct means){3, 1, 3}));
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

/* So many milliseconds of it. */
static void run(int ms)
{
    float sound[2][FRAMES] = {{0}}, heard[2][FRAMES];
    const float *in[2] = {sound[0], sound[1]};
    float *out[2] = {heard[0], heard[1]};
    for (; ms > 0; ms--) {
        g.now_ns += MS;
        takt_outlet_push(g.out, in, FRAMES, g.now_ns - MS, g.now_ns, forth, NULL);
        land();
        takt_inlet_tick(g.in, g.now_ns, back, NULL);
        if (g.sink)
            takt_receiver_pull(g.sink, g.now_ns, g.now_ns + MS, out, FRAMES);
    }
}

/* Where packets overtake each other, and there alone, there are repair packets, or copies where
 * repair is off; and when it is over they go. */
static void what_overtakes_is_mended_and_nothing_else(void)
{
    static const struct {
        struct means may;
        uint32_t copies, repair; /* while packets overtake */
    } ways[] = {{{3, 0, 12}, 0, 9}, {{3, 1, 3}, 0, 3}, {{3, 0, 0}, 3, 0}, {{0, 0, 0}, 0, 0}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (int keeps_order = 0; keeps_order < 2; keeps_order++) {
            struct takt_outlet_stats s;
            CHECK(open_rig(1, 0, ways[i].may));
            g.jitter_ms = 10;
            g.keeps_order = keeps_order == 1;
            takt_outlet_set_clock(g.out, 1790000000000000000);
            run(PACKETS / 5);
            takt_outlet_read_stats(g.out, &s);
            CHECK_INT(s.sender.overtakes, !keeps_order);
            CHECK_INT(s.sender.copies_now, keeps_order ? 0 : ways[i].copies);
            CHECK_INT(s.repair_now, keeps_order ? ways[i].may.repair_least : ways[i].repair);
            CHECK_INT(s.repair_data, ways[i].may.repair_max ? 3 : 0);
            g.jitter_ms = 0;
            run(46000); /* and it is over, for 20 s; and for 20 more, as what was late looked lost
                         */
            takt_outlet_read_stats(g.out, &s);
            CHECK_INT(s.sender.copies_now, 0);
            CHECK_INT(s.repair_now, ways[i].may.repair_least);
            takt_outlet_destroy(g.out);
            takt_inlet_destroy(g.in);
        }
}

struct outcome {
    double delay_ms, missing,
        bytes; /* the mean delay; a share of packets; a packet, of all kinds */
};

/* A minute at the receiver's end, once it knows the path. */
static struct outcome hear_minute(struct means may)
{
    static const struct takt_receiver_format format = {
        96, {.codec = TAKT_CODEC_L24, .rate_hz = 48000, .channels = 2, .frames = FRAMES}};
    struct takt_receiver_cfg cfg = {.formats = &format,
                                    .formats_count = 1,
                                    .has_red = true,
                                    .red_payload_type = 121,
                                    .trusts = true};
    struct outcome o = {0};
    struct takt_receiver *r;
    struct takt_receiver_stats s, before;
    struct takt_outlet_stats sent, sent_before;
    struct takt_error e;
    const int warm_ms = 30000, ms = 60000;
    if (!open_rig(1, 0, may) || takt_receiver_create(&cfg, &r, &e) < 0)
        return o;
    g.sink = r;
    g.late_ms = 5;
    takt_outlet_set_clock(g.out, 1790000000000000000);
    run(warm_ms);
    takt_receiver_read_stats(r, &before);
    takt_outlet_read_stats(g.out, &sent_before);
    for (int at = 0; at < ms; at += 100) {
        run(100);
        takt_receiver_read_stats(r, &s);
        o.delay_ms += s.source[0].delay_ms * 100 / ms;
    }
    takt_outlet_read_stats(g.out, &sent);
    o.missing = (double)(s.counts.late + s.counts.lost - before.counts.late - before.counts.lost) /
                (double)(s.counts.played + s.counts.late + s.counts.lost - before.counts.played -
                         before.counts.late - before.counts.lost);
    o.bytes = (double)(sent.sender.bytes + sent.repair_bytes - sent_before.sender.bytes -
                       sent_before.repair_bytes) /
              ms;
    takt_receiver_destroy(r);
    takt_outlet_destroy(g.out);
    takt_inlet_destroy(g.in);
    printf(
        "# %u copies, %u repair packets at most: %.1f ms, %.4f %% missing, %.0f bytes a packet\n",
        may.copies_max, may.repair_max, o.delay_ms, 100 * o.missing, o.bytes);
    return o;
}

/* Each packet late by itself, by 5 ms on average: the first three of twelve come sooner than the
 * first of a packet and its copies, and far sooner than the packet alone. */
static void repair_makes_the_delay_of_overtaking_shorter(void)
{
    struct outcome alone = hear_minute((struct means){0, 0, 0}),
                   copied = hear_minute((struct means){3, 0, 0}),
                   mended = hear_minute((struct means){3, 0, 12});
    CHECK(alone.delay_ms > 20 && copied.delay_ms < 14 && mended.delay_ms > 3);
    CHECK(copied.delay_ms < 0.6 * alone.delay_ms);
    CHECK(mended.delay_ms < copied.delay_ms - 2);
    CHECK(mended.missing < 0.5 * alone.missing && mended.missing <= copied.missing + 5e-4);
    CHECK(mended.bytes < 1.3 * copied.bytes && mended.bytes > 3 * alone.bytes);
}

int main(void)
{
    RUN(plain_stream_needs_no_telling);
    RUN(keyed_stream_needs_the_key_alone);
    RUN(sdes_stream_needs_its_key_alone);
    RUN(what_overtakes_is_mended_and_nothing_else);
    RUN(repair_makes_the_delay_of_overtaking_shorter);
    return tap_done();
}
