#include "base/random.h"
#include "fault.h"
#include "hostile.h"
#include "net/inlet_parts.h"
#include "station.h"
#include "tap.h"

#include <math.h>

/*
 * Stations send to an inlet on virtual time. All that comes out of it is checked at once: each
 * packet is of the source that began at its place, and its payload is what was sent.
 */
enum { MS = 1000000, SEEN = 1 << 16, PLACES = 16 };

struct rig {
    struct takt_inlet *in;
    uint64_t datagrams;
    int64_t now_ns;
    bool is_live[PLACES];
    struct takt_inlet_source source[PLACES];
    uint32_t begins, ends;
    enum takt_inlet_ending why; /* the last one */
    uint64_t packets, repaired, captured;
    struct takt_net_packet last;
    uint8_t times[SEEN]; /* how often that number of `counted` came */
    uint32_t counted;
    const char *wrong;
    uint64_t sent_back, sent_back_bytes; /* to anywhere */
    uint8_t report[2048];
    size_t report_bytes;
    struct takt_inlet_peer report_to;
};

static struct takt_key key = {{1, 2, 3, 4, 5}};
static uint8_t datagram[STATION_ROOM];

static void on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    struct rig *g = arg;
    if (g->is_live[place])
        g->wrong = "begins twice";
    g->is_live[place] = true;
    g->source[place] = *source;
    g->begins++;
}

static void on_end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    struct rig *g = arg;
    if (!g->is_live[place])
        g->wrong = "ends without having begun";
    g->is_live[place] = false;
    g->ends++;
    g->why = why;
}

static void on_packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    struct rig *g = arg;
    uint8_t want[STATION_PAYLOAD];
    station_fill(p->ssrc, p->seq, want);
    if (!g->is_live[place] || p->ssrc != g->source[place].ssrc)
        g->wrong = "a packet of nobody who has begun";
    if (p->bytes != sizeof want || memcmp(p->payload, want, sizeof want) != 0)
        g->wrong = "a payload that was not sent";
    if (p->ssrc == g->counted)
        g->times[p->seq]++;
    g->packets++;
    g->repaired += p->is_repaired;
    g->captured += p->has_capture;
    g->last = *p;
}

static void on_send(void *arg, const struct takt_inlet_peer *to, const uint8_t *bytes, size_t n)
{
    struct rig *g = arg;
    g->sent_back++;
    g->sent_back_bytes += n;
    memcpy(g->report, bytes, n);
    g->report_bytes = n;
    g->report_to = *to;
}

static bool open_rig(struct rig *g, struct takt_inlet_cfg cfg)
{
    struct takt_error e;
    memset(g, 0, sizeof *g);
    g->now_ns = 1000 * (int64_t)MS;
    cfg.begin = on_begin;
    cfg.packet = on_packet;
    cfg.end = on_end;
    cfg.arg = g;
    cfg.seed = cfg.seed ? cfg.seed : 1;
    return takt_inlet_create(&cfg, &g->in, &e) == TAKT_OK;
}

static struct takt_inlet_counts counts_of(const struct rig *g)
{
    struct takt_inlet_counts c;
    takt_inlet_read_counts(g->in, &c);
    return c;
}

static void take_from(struct rig *g, const uint8_t *bytes, size_t n, uint8_t peer)
{
    static uint8_t copy[STATION_ROOM];
    struct takt_inlet_datagram d = {
        .arrival_ns = g->now_ns, .data = copy, .bytes = n, .from = {{peer}}};
    memcpy(copy, bytes, n);
    takt_inlet_take(g->in, &d);
    g->datagrams++;
}

static void take(struct rig *g, const uint8_t *bytes, size_t n)
{
    take_from(g, bytes, n, 9);
}

static void send_rtp(struct rig *g, struct station *s)
{
    take(g, datagram, station_rtp_at(s, g->now_ns, datagram));
}

static void send_line(struct rig *g, struct station *s)
{
    take(g, datagram, station_line(s, datagram));
}

/* A goodbye, and all that may have been sent before it. */
static void send_bye(struct rig *g, struct station *s)
{
    take(g, datagram, station_rtcp(s, STATION_BYE, 0, datagram));
    g->now_ns += 2 * (int64_t)MS;
    takt_inlet_tick(g->in, g->now_ns, on_send, g);
}

/* n packets of 1 ms. */
static void play(struct rig *g, struct station *s, int n)
{
    for (int i = 0; i < n; i++, g->now_ns += MS)
        send_rtp(g, s);
}

/* Nothing was wrong, and each datagram is in one count. */
static bool close_rig(struct rig *g)
{
    struct takt_inlet_counts c = counts_of(g);
    uint64_t sum = c.packets + c.repair + c.reports + c.waiting + c.malformed + c.foreign +
                   c.undescribed + c.forged + c.plain + c.encrypted + c.replayed + c.untried;
    takt_inlet_destroy(g->in);
    if (g->wrong)
        printf("# %s\n", g->wrong);
    if (sum != g->datagrams)
        printf("# %" PRIu64 " datagrams, %" PRIu64 " counted\n", g->datagrams, sum);
    return !g->wrong && sum == g->datagrams;
}

static struct rig g;
static struct station a, b;

static const struct takt_session_packets l16 = {
    .format = {.codec = TAKT_CODEC_L16, .rate_hz = 48000, .channels = 1}, .payload_type = 96};

/* ---- Plain ----------------------------------------------------------------------------------- */

static void plain_source_is_believed_after_two_in_order(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    for (int i = 0; i < 10; i++, a.seq++) /* never in order */
        play(&g, &a, 1);
    CHECK_INT(g.begins, 0);
    CHECK_INT(counts_of(&g).waiting, 10);
    a.seq--;
    play(&g, &a, 1);
    CHECK_INT(g.begins, 1);
    CHECK_INT(g.packets, 11);
    CHECK(g.source[0].ssrc == 7 && !g.source[0].is_described && !g.source[0].is_encrypted);
    play(&g, &a, 100);
    CHECK_INT(g.packets, 111);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* Where one place is taken: only after 2 s of silence and 8 in order; what others send meanwhile
 * changes nothing. */
static void plain_other_source_waits_for_silence_and_eight(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    CHECK(station_open(&b, STATION_PLAIN, NULL, 8, 0));
    play(&g, &a, 10);
    for (int i = 0; i < 500; i++) {
        send_rtp(&g, &b);
        play(&g, &a, 1);
    }
    CHECK_INT(g.begins, 1);
    CHECK_INT(counts_of(&g).foreign, 500);
    CHECK_INT(g.packets, 510);
    g.now_ns += 1900 * (int64_t)MS;
    play(&g, &b, 20);
    CHECK_INT(g.begins, 1);
    g.now_ns += 200 * (int64_t)MS;
    b.seq++; /* out of order */
    play(&g, &b, 7);
    CHECK_INT(g.begins, 1);
    play(&g, &b, 1);
    CHECK(g.begins == 2 && g.ends == 1 && g.why == TAKT_INLET_REPLACED);
    CHECK_INT(g.source[0].ssrc, 8);
    CHECK_INT(g.packets, 518);
    station_close(&a);
    station_close(&b);
    CHECK(close_rig(&g));
}

static void plain_static_types_need_no_telling(void)
{
    struct takt_inlet_peer stranger;
    for (uint8_t type = 9; type <= 12; type++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){0}));
        CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
        a.packets.payload_type = type;
        play(&g, &a, 50);
        if (type == 10 || type == 11) {
            CHECK_INT(g.packets, 50);
            CHECK_INT(g.source[0].packets.format.channels, 12 - type);
            CHECK_INT(g.source[0].packets.format.rate_hz, 44100);
        } else {
            CHECK_INT(g.packets, 0);
            CHECK_INT(counts_of(&g).undescribed, 18);
            CHECK_INT(counts_of(&g).waiting, 32);
            takt_inlet_read_stranger(g.in, &stranger);
            CHECK_INT(stranger.bytes[0], 9);
        }
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

static void packets_wait_for_the_line_and_keep_their_times(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_SDES; kind++) {
        struct takt_inlet_cfg cfg = {0};
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, takt_srtp_start(5, 5)));
        cfg.key = kind == STATION_KEYED ? &key : NULL;
        cfg.srtp_key = kind == STATION_SDES ? &a.sdes : NULL;
        cfg.mki_bytes = 4;
        CHECK(open_rig(&g, cfg));
        play(&g, &a, 40);
        CHECK_INT(g.packets, 0);
        send_line(&g, &a);
        CHECK_INT(g.begins, 1);
        CHECK_INT(g.packets, 32);
        CHECK_INT(g.last.arrival_ns, g.now_ns - MS);
        CHECK(g.source[0].is_described && g.source[0].packets.format.codec == TAKT_CODEC_L16);
        CHECK_INT(g.source[0].is_encrypted, kind != STATION_PLAIN);
        play(&g, &a, 10);
        CHECK_INT(g.packets, 42);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

/* A line that comes first, and one to a deaf inlet. */
static void line_may_come_first_and_may_be_unwanted(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){0}));
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    send_line(&g, &a);
    play(&g, &a, 2);
    CHECK_INT(g.packets, 2);
    CHECK(close_rig(&g));
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.is_deaf_to_lines = true}));
    send_line(&g, &a);
    play(&g, &a, 20);
    CHECK_INT(g.packets, 0);
    CHECK_INT(counts_of(&g).undescribed, 20);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* A line from another host says nothing. */
static void plain_rtcp_counts_only_from_the_host_of_the_packets(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    play(&g, &a, 10);
    take_from(&g, datagram, station_rtcp(&a, STATION_BYE, 0, datagram), 1);
    CHECK_INT(g.ends, 0);
    CHECK_INT(counts_of(&g).foreign, 1);
    send_bye(&g, &a);
    CHECK(g.ends == 1 && g.why == TAKT_INLET_BYE);
    play(&g, &a, 10); /* what was still on its way */
    CHECK_INT(g.begins, 1);
    play(&g, &a, 300); /* but it goes on: it was another one that said so */
    CHECK_INT(g.begins, 2);
    take_from(&g, datagram, station_rtp(&a, datagram), 1); /* nor is it his from elsewhere */
    CHECK_INT(counts_of(&g).foreign, 2);
    CHECK_INT(g.begins, 2);
    station_close(&a);
    CHECK(close_rig(&g));
}

static void new_format_begins_anew_at_the_same_place(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_KEYED; kind++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL}));
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        play(&g, &a, 2);
        send_line(&g, &a);
        play(&g, &a, 10);
        send_line(&g, &a); /* the same again */
        CHECK(g.begins == 1 && g.ends == 0);
        a.packets.format.channels = 2;
        send_line(&g, &a);
        CHECK(g.begins == 2 && g.ends == 1 && g.why == TAKT_INLET_REPLACED);
        CHECK_INT(g.source[0].packets.format.channels, 2);
        play(&g, &a, 10);
        a.packets.payload_type = 100; /* before the line says so */
        play(&g, &a, 1);
        CHECK_INT(counts_of(&g).undescribed, 1);
        send_line(&g, &a);
        CHECK(g.begins == 3 && g.source[0].packets.payload_type == 100);
        play(&g, &a, 10);
        CHECK_INT(g.packets, 32);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

static void type_changes_among_given_formats(void)
{
    struct takt_session_packets two[2] = {l16, l16};
    two[1].payload_type = 97;
    two[1].format.channels = 2;
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.formats = two, .formats_count = 2}));
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    play(&g, &a, 10);
    a.packets.payload_type = 97;
    play(&g, &a, 10);
    CHECK(g.begins == 2 && g.ends == 1 && g.source[0].packets.format.channels == 2);
    CHECK_INT(g.packets, 19);
    station_close(&a);
    CHECK(close_rig(&g));
}

static void silence_ends_a_source_which_may_come_back(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_KEYED; kind++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL,
                                                   .formats = &l16,
                                                   .formats_count = 1,
                                                   .silent_s = 3}));
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        play(&g, &a, 10);
        int64_t due_ns = takt_inlet_due_ns(g.in);
        CHECK_INT(due_ns, g.now_ns - MS + 3000 * (int64_t)MS);
        takt_inlet_tick(g.in, due_ns - 1, on_send, &g);
        CHECK_INT(g.ends, 0);
        takt_inlet_tick(g.in, due_ns, on_send, &g);
        CHECK(g.ends == 1 && g.why == TAKT_INLET_SILENT);
        CHECK(takt_inlet_due_ns(g.in) == INT64_MAX);
        g.now_ns = due_ns + 1;
        play(&g, &a, 10);
        CHECK_INT(g.begins, 2);
        CHECK_INT(g.packets, 20);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

/* It need not tell again what it is; another one, or the same from elsewhere, has to. */
static void who_comes_back_is_known(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_KEYED; kind++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL,
                                                   .silent_s = 3}));
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        play(&g, &a, 2);
        send_line(&g, &a);
        g.now_ns += 4000 * (int64_t)MS;
        takt_inlet_tick(g.in, g.now_ns, on_send, &g);
        CHECK_INT(g.ends, 1);
        play(&g, &a, 2);
        CHECK_INT(g.begins, 2);
        CHECK_INT(g.source[0].packets.format.codec, TAKT_CODEC_L16);
        g.now_ns += 4000 * (int64_t)MS;
        takt_inlet_tick(g.in, g.now_ns, on_send, &g);
        CHECK_INT(g.ends, 2);
        if (kind == STATION_PLAIN)
            for (int i = 0; i < 8; i++, g.now_ns += MS)
                take_from(&g, datagram, station_rtp(&a, datagram), 1);
        CHECK_INT(g.begins, 2);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Lost, doubled, late by up to 200, bits turned over: what is whole comes out once. */
static void keyed_packets_come_out_once_whatever_the_path_does(void)
{
    enum { N = 20000, LATE = 200 };
    static uint8_t packets[LATE][STATION_ROOM];
    static size_t bytes[LATE];
    struct takt_random r = takt_random_seed(1);
    uint64_t whole = 0;
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    g.counted = 7;
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < ROUNDS(N) + 10 * LATE; i++, g.now_ns += MS) {
        size_t at = takt_random_below(&r, LATE);
        if (bytes[at]) {
            uint64_t fate = takt_random_below(&r, 10);
            if (fate == 0) { /* a bit turns over in it */
                memcpy(datagram, packets[at], bytes[at]);
                datagram[takt_random_below(&r, bytes[at])] ^=
                    (uint8_t)(1 << takt_random_below(&r, 8));
                take(&g, datagram, bytes[at]);
            }
            for (uint64_t k = fate == 1 ? 3 : fate > 2; k > 0; k--) {
                take(&g, packets[at], bytes[at]);
                whole += k == 1;
            }
            bytes[at] = 0;
        }
        if (i < ROUNDS(N))
            bytes[at] = station_rtp(&a, packets[at]);
    }
    CHECK(whole > 1000);
    /* Those that are later than the window of 1024 are few, but there may be some. */
    CHECK(g.packets <= whole && g.packets >= whole - whole / 50);
    for (int i = 0; i < SEEN; i++)
        CHECK(g.times[i] <= 1);
    CHECK(counts_of(&g).packets == g.packets && counts_of(&g).forged > 0);
    CHECK_INT(g.begins, 1);
    station_close(&a);
    CHECK(close_rig(&g));
}

static void wrong_key_is_silence_and_counted(void)
{
    struct takt_key other = {{9}};
    struct takt_inlet_peer stranger;
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &other}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    play(&g, &a, 1000);
    send_line(&g, &a);
    CHECK_INT(g.packets + g.begins, 0);
    CHECK_INT(counts_of(&g).forged, 1000);
    takt_inlet_read_stranger(g.in, &stranger);
    CHECK_INT(stranger.bytes[0], 9);
    CHECK(close_rig(&g));
    /* Encrypted, where nobody has a key; and plain, where there is one. */
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.formats = &l16, .formats_count = 1}));
    play(&g, &a, 10);
    CHECK_INT(counts_of(&g).encrypted, 10);
    CHECK(close_rig(&g));
    station_close(&a);
    CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .formats = &l16, .formats_count = 1}));
    play(&g, &a, 10);
    send_line(&g, &a);
    CHECK_INT(counts_of(&g).plain, 11);
    CHECK_INT(g.packets, 0);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* A recording of `n` packets and a line after the second. */
struct tape {
    int n;
    size_t bytes[512];
    uint8_t data[512][300];
};

static void record(struct tape *t, struct station *s, int n)
{
    t->n = 0;
    for (int i = 0; i < n; i++) {
        t->bytes[t->n] = i == 2 ? station_line(s, datagram) : station_rtp(s, datagram);
        memcpy(t->data[t->n], datagram, t->bytes[t->n]);
        t->n++;
    }
}

static void replay(struct rig *to, const struct tape *t)
{
    for (int i = 0; i < t->n; i++, to->now_ns += MS)
        take(to, t->data[i], t->bytes[i]);
}

static struct tape tape;

static void recording_is_not_played_again(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, takt_srtp_start(100, 5)));
    CHECK(station_open(&b, STATION_KEYED, &key, 8, takt_srtp_start(101, 5)));
    record(&tape, &a, 100);
    replay(&g, &tape);
    CHECK_INT(g.packets, 99);
    replay(&g, &tape); /* at once, */
    CHECK_INT(g.packets, 99);
    CHECK_INT(counts_of(&g).replayed, 100);
    g.now_ns += 20000 * (int64_t)MS;
    takt_inlet_tick(g.in, g.now_ns, on_send, &g);
    CHECK_INT(g.ends, 1);
    replay(&g, &tape); /* after its end, */
    CHECK_INT(counts_of(&g).replayed, 200);
    play(&g, &b, 2); /* and after another one that began later */
    send_line(&g, &b);
    play(&g, &b, 10);
    CHECK_INT(g.begins, 2);
    replay(&g, &tape);
    play(&g, &a, 10);
    CHECK_INT(counts_of(&g).replayed, 310);
    CHECK_INT(g.begins, 2);
    CHECK_INT(g.packets, 111);
    station_close(&a);
    station_close(&b);
    CHECK(close_rig(&g));
}

/* A sender that begins again, without a word, has the place at once; the old one is refused. */
static void later_start_takes_the_place_at_once(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, takt_srtp_start(100, 5)));
    CHECK(station_open(&b, STATION_KEYED, &key, 8, takt_srtp_start(100, 6)));
    play(&g, &a, 10);
    play(&g, &b, 1);
    CHECK(g.begins == 2 && g.source[0].ssrc == 8 && g.why == TAKT_INLET_REPLACED);
    for (int i = 0; i < 10; i++) {
        play(&g, &a, 1);
        play(&g, &b, 1);
    }
    CHECK_INT(g.begins, 2);
    CHECK_INT(counts_of(&g).replayed, 10);
    CHECK_INT(g.packets, 21);
    station_close(&a);
    station_close(&b);
    CHECK(close_rig(&g));
}

/* More sources than are remembered one by one: nothing of any of them is played again. */
static void many_that_ended_are_not_played_again(void)
{
    enum { MANY = 150 };
    static struct tape tapes[MANY];
    CHECK(open_rig(&g, (struct takt_inlet_cfg){
                           .key = &key, .formats = &l16, .formats_count = 1, .sources_max = 4}));
    struct takt_random r = takt_random_seed(3);
    uint64_t played = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK(station_open(&a, STATION_KEYED, &key, 1000 + i,
                           takt_srtp_start(i + takt_random_below(&r, 3), (uint32_t)i)));
        record(&tapes[i], &a, 5);
        uint64_t before = g.packets;
        replay(&g, &tapes[i]);
        played += g.packets > before;
        g.now_ns += 20000 * (int64_t)MS;
        takt_inlet_tick(g.in, g.now_ns, on_send, &g);
        station_close(&a);
    }
    CHECK_INT(played, MANY);
    uint64_t before = g.packets;
    for (int i = 0; i < MANY; i++)
        replay(&g, &tapes[(i * 37) % MANY]);
    CHECK_INT(g.packets, before);
    /* Of a start that is forgotten, RTCP tells nothing that it could be known by. */
    CHECK_INT(counts_of(&g).replayed + counts_of(&g).untried + counts_of(&g).waiting, MANY * 5);
    CHECK(counts_of(&g).untried < MANY);
    CHECK(close_rig(&g));
}

/* What a forger can do who sees all: turn bits over, change numbers, use the source's name and
 * start, repeat. 100 of them for each right packet; the same comes out as without. */
static void flood_changes_nothing(void)
{
    enum { N = 600, FLOOD = 100 };
    struct takt_random r = takt_random_seed(8);
    static uint8_t right[N][300];
    static size_t bytes[N];
    uint64_t alone = 0;
    for (int flood = 0; flood < 2; flood++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .trials_per_s = 100}));
        CHECK(station_open(&a, STATION_KEYED, &key, 7, takt_srtp_start(100, 5)));
        g.counted = 7;
        for (int i = 0; i < N; i++, g.now_ns += MS) {
            if (i == N / 2) /* a new epoch comes in the middle of it */
                CHECK(station_turn(&a, 1));
            bytes[i] = i % 50 == 3 ? station_line(&a, right[i]) : station_rtp(&a, right[i]);
            take(&g, right[i], bytes[i]);
            for (int k = 0; flood && k < ROUNDS(FLOOD) && i > 3; k++) {
                int of = i - (int)takt_random_below(&r, i < 20 ? (uint64_t)i : 20);
                size_t n = bytes[of];
                memcpy(datagram, right[of], n);
                switch (takt_random_below(&r, 5)) {
                case 0: /* another source */
                    datagram[8] ^= (uint8_t)(1 + takt_random_below(&r, 255));
                    break;
                case 1: /* another epoch: the next ones, too */
                    datagram[n - 1] = (uint8_t)takt_random_below(&r, 8);
                    datagram[40] ^= 1;
                    break;
                case 2: /* a number ahead */
                    datagram[2] ^= 0x10;
                    break;
                case 3:
                    n = takt_random_below(&r, sizeof right[0]);
                    for (size_t x = 0; x < n; x++)
                        datagram[x] = (uint8_t)takt_random_u64(&r);
                    break;
                default:
                    break;
                }
                take_from(&g, datagram, n, 66);
            }
        }
        if (!flood)
            alone = g.packets;
        CHECK_INT(g.begins, 1);
        CHECK_INT(g.packets, alone);
        for (int i = 0; i < SEEN; i++)
            CHECK(g.times[i] <= 1);
        station_close(&a);
        CHECK(close_rig(&g));
    }
    CHECK(alone == N - N / 50);
}

/* Who joins after three wraps, and is cut off for 100 000 packets then, and for some epochs. */
static void join_late_and_stay_away(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    for (int i = 0; i < 4 * 65536; i += 20000) { /* the sender's own count goes on */
        a.seq = (uint16_t)(7000 + i);
        CHECK(station_rtp(&a, datagram));
    }
    CHECK(takt_srtp_roc(a.out, 7, a.seq) >= 3);
    play(&g, &a, 10);
    CHECK_INT(g.packets, 10);
    for (int i = 0; i < 5; i++) {
        a.seq = (uint16_t)(a.seq + 20000);
        CHECK(station_rtp(&a, datagram));
    }
    play(&g, &a, 10);
    CHECK_INT(g.packets, 20);
    for (uint32_t epoch = 1; epoch < 5; epoch++) {
        CHECK(station_turn(&a, epoch));
        play(&g, &a, 5);
    }
    CHECK_INT(g.packets, 40);
    CHECK(station_turn(&a, 50));
    play(&g, &a, 10);
    CHECK(station_turn(&a, 51));
    play(&g, &a, 10);
    CHECK_INT(g.packets, 60);
    CHECK_INT(g.begins, 1);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* No trial is needed for the next epoch of who is known. */
static void next_epoch_needs_no_trial(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){
                           .key = &key, .formats = &l16, .formats_count = 1, .trials_per_s = 1}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    CHECK(station_open(&b, STATION_KEYED, &key, 8, 98));
    for (uint32_t epoch = 0; epoch < 50; epoch++) {
        CHECK(station_turn(&a, epoch));
        send_rtp(&g, &a);
        send_rtp(&g, &b); /* of a start before: it has to wait for a trial, or is refused */
    }
    CHECK_INT(g.packets, 50);
    station_close(&a);
    station_close(&b);
    CHECK(close_rig(&g));
}

/* Recordings of epochs whose keys are given up take nothing from those that are in use. */
static void old_epochs_do_not_displace_new_ones(void)
{
    static struct tape tapes[4];
    CHECK(open_rig(&g, (struct takt_inlet_cfg){
                           .key = &key, .formats = &l16, .formats_count = 1, .trials_per_s = 20}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    for (uint32_t epoch = 0; epoch < 4; epoch++) {
        CHECK(station_turn(&a, epoch));
        record(&tapes[epoch], &a, 10);
        replay(&g, &tapes[epoch]);
    }
    for (uint32_t epoch = 4; epoch < 10; epoch++) {
        CHECK(station_turn(&a, epoch));
        play(&g, &a, 10);
    }
    uint64_t before = g.packets;
    for (int round = 0; round < 20; round++) {
        replay(&g, &tapes[round % 4]);
        play(&g, &a, 10);
    }
    CHECK_INT(g.packets, before + 200);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* However many newcomers there are, so many keys a second are derived for them. */
static void trials_are_bounded(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .trials_per_s = 50}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    size_t n = station_rtp(&a, datagram);
    datagram[60] ^= 1;
    for (int i = 0; i < 20000; i++, g.now_ns += MS / 10) {
        datagram[8] = (uint8_t)(i >> 8);
        datagram[9] = (uint8_t)i;
        take(&g, datagram, n);
    }
    CHECK(counts_of(&g).forged >= 95 && counts_of(&g).forged <= 105);
    CHECK_INT(counts_of(&g).untried, 20000 - counts_of(&g).forged);
    station_close(&a);
    CHECK(close_rig(&g));
}

static void bye_is_final(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .formats = &l16, .formats_count = 1}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    play(&g, &a, 10);
    send_bye(&g, &a);
    CHECK(g.ends == 1 && g.why == TAKT_INLET_BYE);
    play(&g, &a, 10);
    CHECK_INT(g.begins, 1);
    CHECK_INT(counts_of(&g).replayed, 10);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* RTCP has its own port, so that it may be read first. */
static void goodbye_may_overtake_the_last_packets(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_SDES; kind++) {
        struct takt_inlet_cfg cfg = {.formats = &l16, .formats_count = 1, .mki_bytes = 4};
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        cfg.key = kind == STATION_KEYED ? &key : NULL;
        cfg.srtp_key = kind == STATION_SDES ? &a.sdes : NULL;
        CHECK(open_rig(&g, cfg));
        play(&g, &a, 10);
        take(&g, datagram, station_rtcp(&a, STATION_BYE, 0, datagram));
        int64_t leaves_ns = takt_inlet_due_ns(g.in);
        CHECK(leaves_ns > g.now_ns && leaves_ns <= g.now_ns + 2 * (int64_t)MS);
        send_rtp(&g, &a);
        send_rtp(&g, &a);
        takt_inlet_tick(g.in, leaves_ns - 1, on_send, &g);
        CHECK(g.packets == 12 && g.ends == 0);
        takt_inlet_tick(g.in, leaves_ns, on_send, &g);
        CHECK(g.packets == 12 && g.ends == 1 && g.why == TAKT_INLET_BYE);
        CHECK(takt_inlet_due_ns(g.in) == INT64_MAX);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

static void sdes_key_is_enough(void)
{
    CHECK(station_open(&a, STATION_SDES, NULL, 7, 0));
    CHECK(station_open(&b, STATION_SDES, NULL, 8, 0));
    CHECK(open_rig(&g,
                   (struct takt_inlet_cfg){
                       .srtp_key = &a.sdes, .mki_bytes = 4, .formats = &l16, .formats_count = 1}));
    play(&g, &a, 10);
    CHECK(g.packets == 10 && g.source[0].is_encrypted);
    size_t n = station_rtp(&a, datagram);
    datagram[50] ^= 1;
    take(&g, datagram, n);
    CHECK_INT(counts_of(&g).forged, 1);
    play(&g, &b, 10);
    CHECK_INT(counts_of(&g).foreign, 10);
    g.now_ns += 2001 * (int64_t)MS;
    play(&g, &b, 1);
    CHECK(g.begins == 2 && g.source[0].ssrc == 8);
    send_line(&g, &b);
    CHECK_INT(counts_of(&g).reports, 1);
    station_close(&a);
    station_close(&b);
    CHECK(close_rig(&g));
}

/* ---- Mixing ---------------------------------------------------------------------------------- */

static void several_sources_have_places_of_their_own(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_KEYED; kind++) {
        static struct station many[5];
        struct takt_inlet_state state;
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL,
                                                   .formats = &l16,
                                                   .formats_count = 1,
                                                   .sources_max = 4}));
        for (uint32_t i = 0; i < 5; i++)
            CHECK(station_open(&many[i], (enum station_kind)kind, &key, 100 + 10 * i, 50 - i));
        for (int round = 0; round < 100; round++, g.now_ns += MS)
            for (int i = 0; i < 5; i++)
                send_rtp(&g, &many[i]);
        CHECK_INT(g.begins, 4);
        CHECK_INT(g.packets, 400);
        CHECK_INT(counts_of(&g).foreign, kind == STATION_PLAIN ? 99 : 100);
        for (uint32_t i = 0; i < 4; i++) {
            takt_inlet_read(g.in, i, &state);
            CHECK(state.is_live && state.source.ssrc == 100 + 10 * i && state.packets == 100);
        }
        send_bye(&g, &many[2]);
        CHECK(!g.is_live[2] && g.ends == 1);
        for (int i = 0; i < 2; i++)
            send_rtp(&g, &many[4]);
        CHECK(g.is_live[2] && g.source[2].ssrc == 140);
        for (int i = 0; i < 5; i++)
            station_close(&many[i]);
        CHECK(close_rig(&g));
    }
}

/* ---- Repair ---------------------------------------------------------------------------------- */

static void repair_brings_back_what_was_lost(void)
{
    for (int kind = STATION_PLAIN; kind <= STATION_SDES; kind++) {
        struct takt_inlet_state state;
        struct takt_inlet_cfg cfg = {.key = kind == STATION_KEYED ? &key : NULL, .mki_bytes = 4};
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        cfg.srtp_key = kind == STATION_SDES ? &a.sdes : NULL;
        CHECK(open_rig(&g, cfg));
        g.counted = 7;
        uint16_t first = a.seq;
        uint8_t late[STATION_ROOM];
        size_t late_bytes = 0;
        uint64_t late_found = 0;
        bool is_late = false;
        for (int block = 0; block < 50; block++) {
            if (block == 30)
                CHECK(kind != STATION_KEYED || station_turn(&a, 1));
            for (int i = 0; i < 8; i++, g.now_ns += MS) {
                size_t n = station_rtp(&a, datagram);
                is_late = block % 2 && i == 7 && block % 8 != 7 && (block * 3 + 1) % 8 != 7;
                if (is_late) {
                    memcpy(late, datagram, n);
                    late_bytes = n;
                } else if (block == 0 || (i != block % 8 && i != (block * 3 + 1) % 8)) {
                    take(&g, datagram, n);
                }
                if (block == 0 && i == 1)
                    send_line(&g, &a);
            }
            for (uint32_t i = 0; i < 2; i++)
                take(&g, datagram, station_repair(&a, i, i == 1, datagram));
            uint64_t found = g.repaired;
            if (is_late) /* the last of the block completes it */
                take(&g, late, late_bytes);
            late_found += g.repaired - found;
        }
        for (int i = 0; i < 400; i++)
            CHECK_INT(g.times[(uint16_t)(first + i)], 1);
        CHECK(g.repaired > 70 && late_found > 20 && g.packets == 400);
        takt_inlet_read(g.in, 0, &state);
        CHECK_INT(state.repaired, g.repaired);
        CHECK_INT(state.lost, (int64_t)g.repaired);
        CHECK_INT(state.repair_packets, 100);
        CHECK_INT(counts_of(&g).repair, 100);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

/* ---- Reports and clocks ---------------------------------------------------------------------- */

/* A report that went back: its parts. False where it is none of ours. */
struct heard {
    struct takt_rtcp_reports reports;
    uint64_t clock;
    bool has_clock, has_name;
};

static bool open_report(uint64_t start, uint32_t ssrc, uint32_t epoch, uint8_t *report, size_t *n)
{
    struct takt_srtp *in;
    struct takt_srtp_key made;
    struct takt_error e;
    struct takt_srtp_cfg cfg = {.mki_bytes = 4};
    struct takt_srtp_key_use use = {
        .way = TAKT_SRTP_BACK, .ssrc = ssrc, .epoch = epoch, .start = start};
    if (takt_srtp_create(&cfg, &in, &e) < 0 || takt_srtp_key_derive(&key, &use, &made, &e) < 0 ||
        takt_srtp_set_key(in, &made, &e) < 0)
        return false;
    int bytes = takt_srtcp_unprotect(in, report, *n);
    takt_srtp_destroy(in);
    *n = bytes < 0 ? 0 : (size_t)bytes;
    return bytes > 0;
}

static bool read_report(const uint8_t *report, size_t n, struct heard *out)
{
    struct takt_rtcp_packet p;
    struct takt_rtcp_xr_block x;
    *out = (struct heard){0};
    if (takt_rtcp_check(report, n) < 0)
        return false;
    for (size_t at = 0; takt_rtcp_next(report, n, &at, &p) > 0;) {
        size_t in_xr = 0;
        if (p.type == TAKT_RTCP_RR && takt_rtcp_parse_reports(&p, &out->reports) < 0)
            return false;
        out->has_name |= p.type == TAKT_RTCP_SDES;
        while (p.type == TAKT_RTCP_XR && takt_rtcp_xr_next(&p, &in_xr, &x) > 0)
            if (x.type == TAKT_RTCP_XR_TIME) {
                out->clock = x.ntp;
                out->has_clock = true;
            }
    }
    return true;
}

/* A stream over a path of so many ms each way, with answers. The first round trip is known within
 * 2 s; then each packet's capture time is right to half of what the two ways differ by. So it stays
 * when the sender's clock is set, by set_ms every 7 s; stamps that do not fit it are not believed.
 */
static void check_clock(int kind, int forth_ms, int back_ms, double drift_ppm, double set_ms)
{
    const int64_t wall_ns = 1790000000000000000;
    uint32_t ssrc = 0x1234, epoch = 0x77;
    int64_t known_at = -1, back_at = -1, worst_ns = 0, sr_at = 0;
    static uint8_t on_way[2048];
    size_t on_way_bytes = 0;
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL,
                                               .ssrc = ssrc,
                                               .epoch = epoch,
                                               .cname = "listener",
                                               .reports_plain = true}));
    CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
    for (int ms = 0; ms < 20000; ms++) {
        int64_t sent_ns = g.now_ns - forth_ms * (int64_t)MS;
        a.unix_less_monotonic_ns =
            wall_ns + (int64_t)((double)(sent_ns - 1000 * (int64_t)MS) * drift_ppm * 1e-6) +
            (int64_t)(ms / 7000 * set_ms * 1e6);
        if (ms == back_at) { /* a report comes to the sender */
            struct heard h;
            size_t n = on_way_bytes;
            CHECK(kind != STATION_KEYED || open_report(99, ssrc, epoch, on_way, &n));
            CHECK(read_report(on_way, n, &h));
            CHECK(h.has_clock && h.has_name && h.reports.count == 1);
            CHECK(h.reports.ssrc == ssrc && h.reports.blocks[0].ssrc == 7);
            CHECK(h.reports.blocks[0].reception.lost == 0);
            bool is_of_this_clock = set_ms == 0 || ms % 7000 > 3000;
            if (h.reports.blocks[0].last_sr && is_of_this_clock) {
                int64_t trip_ns = takt_rtcp_round_trip_ns(
                    takt_ntp_from_ns(sent_ns + forth_ms * (int64_t)MS + a.unix_less_monotonic_ns),
                    h.reports.blocks[0].last_sr, h.reports.blocks[0].delay);
                CHECK_NEAR(trip_ns, (forth_ms + back_ms) * 1e6, 1e6);
            }
            a.asked = takt_ntp_middle(h.clock);
            a.asked_ssrc = ssrc;
            a.asked_ns = g.now_ns;
            back_at = -1;
        }
        uint64_t before = g.captured;
        bool is_damaged = set_ms != 0 && ms % 100 == 50;
        size_t n = station_rtp_at(&a, sent_ns - (is_damaged ? 30 : 2) * MS, datagram);
        take(&g, datagram, n);
        if (g.captured > before) {
            int64_t off_ns = llabs(g.last.capture_ns - (sent_ns - 2 * MS));
            worst_ns = off_ns > worst_ns ? off_ns : worst_ns;
        }
        if (ms % 250 == 2) {
            bool is_sr = sr_at <= ms;
            sr_at = is_sr ? ms + 600 : sr_at;
            unsigned says = STATION_LINE | (is_sr ? STATION_SR : 0);
            /* What arrives now was sent before what came to the sender since then. */
            says |= is_sr && a.asked && sent_ns >= a.asked_ns ? STATION_ANSWER : 0;
            take(&g, datagram, station_rtcp(&a, says, sent_ns, datagram));
        }
        struct takt_inlet_state state;
        takt_inlet_read(g.in, 0, &state);
        if (known_at < 0 && state.has_clock)
            known_at = ms;
        CHECK(!state.has_clock || g.captured || ms < 3000);
        uint64_t reports = g.sent_back;
        takt_inlet_tick(g.in, g.now_ns, on_send, &g);
        if (g.sent_back > reports) {
            CHECK(back_at < 0);
            CHECK(g.report_to.bytes[0] == 9);
            memcpy(on_way, g.report, g.report_bytes);
            on_way_bytes = g.report_bytes;
            back_at = ms + back_ms;
        }
        g.now_ns += MS;
    }
    struct takt_inlet_state state;
    takt_inlet_read(g.in, 0, &state);
    CHECK(g.sent_back >= 20 && g.sent_back <= 60);
    CHECK(known_at > 0 && known_at < 2000);
    CHECK_NEAR(state.round_trip_ns, (forth_ms + back_ms) * 1e6, 1.1e6);
    CHECK(strcmp(state.cname, "me?!") == 0);
    CHECK_NEAR(worst_ns, abs(forth_ms - back_ms) / 2.0 * 1e6, 1e6 + 2e3 * fabs(drift_ppm) * 10);
    station_close(&a);
    CHECK(close_rig(&g));
}

static void capture_times_are_known_by_our_clock(void)
{
    static const struct {
        enum station_kind kind;
        int forth_ms, back_ms;
        double drift_ppm, set_ms;
    } cases[] = {
        {STATION_KEYED, 10, 10, 0, 0},     {STATION_KEYED, 40, 20, 0, 0},
        {STATION_PLAIN, 1, 1, 0, 0},       {STATION_KEYED, 5, 5, 40, 0},
        {STATION_KEYED, 5, 5, -40, 0},     {STATION_KEYED, 5, 5, 0, 21000},
        {STATION_PLAIN, 5, 5, 0, -300000}, {STATION_KEYED, 5, 5, 0, 50},
        {STATION_PLAIN, 5, 5, 0, -50},     {STATION_PLAIN, 5, 5, 20, 600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && !tap_broken; i++)
        check_clock(cases[i].kind, cases[i].forth_ms, cases[i].back_ms, cases[i].drift_ppm,
                    cases[i].set_ms);
}

/* One that did not wait counts for a minute, however many that did come behind it; or few. */
static void least_round_trip_of_a_minute_is_what_a_clock_goes_by(void)
{
    const int64_t wall_ns = 1790000000000000000, forth_ns = 5 * MS;
    for (int every_ms = 500; every_ms <= 5000; every_ms *= 10) {
        struct takt_inlet_clock c = {0};
        for (int ms = 0; ms < 75000; ms += every_ms) {
            int64_t now_ns = (1000 + ms) * (int64_t)MS;
            int64_t trip_ns = (ms ? 200 + ms / 7 % 100 : 10) * (int64_t)MS;
            uint32_t asked = takt_ntp_middle(takt_ntp_from_ns(now_ns - trip_ns));
            c.asked[c.asked_count++ % TAKT_INLET_ASKED] = asked;
            takt_inlet_clock_sr(&c, now_ns, takt_ntp_from_ns(wall_ns + now_ns - forth_ns), 0, 0);
            takt_inlet_clock_answer(&c, now_ns, &(struct takt_rtcp_dlrr){.last_rr = asked});
            CHECK(c.is_known);
            CHECK_NEAR(takt_inlet_clock_trip_ns(&c), trip_ns, 0.1e6);
            double off_ns = (double)(c.unix_less_monotonic_ns - wall_ns);
            CHECK(ms <= 60000 ? fabs(off_ns) < 2e6 : off_ns > 90e6);
        }
    }
}

/* Reports that a path held up for seconds come at once, and are all late: that is no clock that was
 * set, and what earlier ones said of it stays. */
static void reports_that_were_held_up_say_nothing_of_a_clock(void)
{
    const int64_t wall_ns = 1790000000000000000, trip_ns = 10 * MS;
    for (int held_ms = 0; held_ms <= 3000; held_ms += 500) {
        struct takt_inlet_clock c = {0};
        for (int ms = 0; ms < 40000; ms += 250) {
            int64_t sent_ns = (1000 + ms) * (int64_t)MS, arrival_ns = sent_ns + trip_ns / 2;
            bool is_held = ms > 5000 && ms % 7000 < held_ms;
            arrival_ns += is_held ? (held_ms - ms % 7000 + 20) * (int64_t)MS : 0;
            arrival_ns += ms > 5000 ? 20 * MS : 0; /* and the path is longer since then */
            takt_inlet_clock_sr(&c, arrival_ns, takt_ntp_from_ns(wall_ns + sent_ns),
                                (uint32_t)ms * 48, 48000);
            if (ms == 0) {
                c.asked[c.asked_count++] = takt_ntp_middle(takt_ntp_from_ns(arrival_ns - trip_ns));
                takt_inlet_clock_answer(&c, arrival_ns,
                                        &(struct takt_rtcp_dlrr){.last_rr = c.asked[0]});
            }
            CHECK_NEAR(c.unix_less_monotonic_ns - wall_ns, 0, 2e6);
        }
    }
}

/* Lies of a clock are not believed without a round trip that was asked for. */
static void capture_is_not_known_without_a_round_trip(void)
{
    CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = &key, .ssrc = 5}));
    CHECK(station_open(&a, STATION_KEYED, &key, 7, 99));
    a.asked_ssrc = 5;
    for (int i = 0; i < 1000; i++) {
        play(&g, &a, 1);
        a.asked = takt_ntp_middle(takt_ntp_from_ns(g.now_ns - 10 * MS));
        a.asked_ns = g.now_ns;
        if (i % 100 == 1)
            take(&g, datagram,
                 station_rtcp(&a, STATION_LINE | STATION_SR | STATION_ANSWER, g.now_ns, datagram));
    }
    CHECK(g.packets == 1000 && g.captured == 0);
    station_close(&a);
    CHECK(close_rig(&g));
}

/* However seldom and short the source's own RTCP is: never more goes back than came. */
static void reports_never_exceed_what_came(void)
{
    struct takt_random r = takt_random_seed(2);
    for (int kind = STATION_PLAIN; kind <= STATION_SDES; kind++) {
        uint64_t came = 0;
        struct takt_inlet_cfg cfg = {.key = kind == STATION_KEYED ? &key : NULL,
                                     .mki_bytes = 4,
                                     .formats = &l16,
                                     .formats_count = 1,
                                     .reports_plain = true};
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        cfg.srtp_key = kind == STATION_SDES ? &a.sdes : NULL;
        CHECK(open_rig(&g, cfg));
        for (int ms = 0; ms < 20000; ms++, g.now_ns += MS) {
            send_rtp(&g, &a);
            takt_inlet_tick(g.in, g.now_ns, on_send, &g);
            CHECK(g.sent_back_bytes <= came);
            CHECK(takt_inlet_due_ns(g.in) > g.now_ns);
            if (takt_random_below(&r, 1500) == 0) {
                size_t n = station_rtcp(&a, STATION_SR, g.now_ns, datagram);
                came += n;
                take(&g, datagram, n);
                take(&g, datagram, n); /* once more, which only plain RTCP can */
                came += kind == STATION_PLAIN ? n : 0;
            }
        }
        CHECK(g.sent_back > 3);
        /* Somebody else says it: nothing goes to him, at first for want of bytes. */
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

static void plain_sources_get_no_report_unless_asked_for(void)
{
    for (int wanted = 0; wanted < 3; wanted++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.reports_plain = wanted}));
        CHECK(station_open(&a, STATION_PLAIN, NULL, 7, 0));
        for (int ms = 0; ms < 3000; ms++) {
            play(&g, &a, 1);
            uint8_t host = wanted == 2 && ms > 2 ? 1 : 9;
            if (ms % 100 == 1)
                take_from(&g, datagram, station_line(&a, datagram), host);
            if (ms > 2 || wanted != 2)
                takt_inlet_tick(g.in, g.now_ns, on_send, &g);
        }
        CHECK_INT(g.sent_back > 2, wanted == 1);
        CHECK(wanted == 1 || g.sent_back <= 1);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

/* ---- Life and hostile bytes ------------------------------------------------------------------ */

static void inlet_without_memory_is_not_made(void)
{
    struct takt_srtp_key sdes = {.mki = 1};
    for (int kind = STATION_PLAIN; kind <= STATION_SDES; kind++) {
        struct takt_inlet_cfg cfg = {.key = kind == STATION_KEYED ? &key : NULL,
                                     .srtp_key = kind == STATION_SDES ? &sdes : NULL,
                                     .begin = on_begin,
                                     .packet = on_packet,
                                     .end = on_end};
        long before = fault_held();
        bool happened = true;
        int n = 1;
        for (; happened; n++) {
            struct takt_inlet *in;
            struct takt_error e;
            fault_at(n);
            int err = takt_inlet_create(&cfg, &in, &e);
            happened = fault_happened();
            fault_at(0);
            CHECK_INT(err, happened ? TAKT_ERR_NOMEM : TAKT_OK);
            CHECK(happened == !in);
            takt_inlet_destroy(in);
            CHECK_INT(fault_held(), before);
        }
        CHECK(n > 4);
    }
}

static void inlet_refuses_what_it_cannot_be(void)
{
    struct takt_srtp_key sdes = {.mki = 1};
    struct takt_inlet_cfg well = {.begin = on_begin, .packet = on_packet, .end = on_end};
    for (int i = 0; i < 8; i++) {
        struct takt_inlet_cfg cfg = well;
        struct takt_inlet *in;
        struct takt_error e;
        cfg.key = i == 1 ? &key : NULL;
        cfg.srtp_key = i == 1 ? &sdes : NULL;
        cfg.sources_max = i == 2 ? 17 : 0;
        cfg.formats_count = i == 3 ? 9 : 0;
        cfg.silent_s = i == 4 ? (double)NAN : i == 5 ? -1 : 0;
        cfg.packet_bytes_max = i == 6 ? 11 : 0;
        if (i == 7)
            cfg.packet = NULL;
        CHECK_INT(takt_inlet_create(&cfg, &in, &e), i ? TAKT_ERR_ARG : TAKT_OK);
        CHECK((in == NULL) == (i > 0));
        takt_inlet_destroy(in);
    }
}

/* A story as tests/fuzz/inlet_fuzz.c tells it. */
struct story {
    size_t n;
    uint8_t bytes[HOSTILE_MAX / 2];
};

static void tell(struct story *s, uint8_t op, const uint8_t *data, size_t n)
{
    s->bytes[s->n++] = op;
    s->bytes[s->n++] = (uint8_t)(n >> 8);
    s->bytes[s->n++] = (uint8_t)n;
    if (data)
        memcpy(s->bytes + s->n, data, n);
    s->n += data ? n : 0;
}

/* Packets, a line, repair and a report, which are sealed by the target where they have to be. */
static bool tell_all(struct story *s, uint8_t kind)
{
    enum { RAW, RTP, RTCP, PAUSE };
    bool is_keyed = kind & 2;
    s->n = 1;
    s->bytes[0] = kind;
    if (!station_open(&a, STATION_PLAIN, NULL, 7, 0))
        return false;
    for (int i = 0; i < 4; i++) {
        size_t n = station_rtp_at(&a, 1000 * (int64_t)MS, datagram);
        if (i == 2)
            continue;
        tell(s, is_keyed ? RTP : RAW, datagram, n);
        if (i == 1)
            tell(s, is_keyed ? RTCP : RAW, datagram,
                 station_rtcp(&a, STATION_LINE | STATION_SR, 1000 * (int64_t)MS, datagram));
    }
    tell(s, PAUSE, NULL, 200);
    tell(s, is_keyed ? RTP : RAW, datagram, station_repair(&a, 0, true, datagram));
    tell(s, is_keyed ? RTCP : RAW, datagram, station_rtcp(&a, STATION_BYE, 0, datagram));
    station_close(&a);
    return s->n <= sizeof s->bytes;
}

static void hostile_bytes_break_nothing(void)
{
    static struct story stories[4];
    struct hostile_seed seeds[4];
    for (uint8_t kind = 0; kind < 4; kind++) {
        CHECK(tell_all(&stories[kind], kind));
        seeds[kind] = (struct hostile_seed){stories[kind].bytes, stories[kind].n};
        LLVMFuzzerTestOneInput(stories[kind].bytes, stories[kind].n);
    }
    hostile_rounds(seeds, 4, 800);
}

/* The same hostile bytes as datagrams themselves, beside a stream that plays on. */
static void mutated_packets_leave_a_stream_alone(void)
{
    struct takt_random r = takt_random_seed(12);
    for (int kind = STATION_PLAIN; kind <= STATION_KEYED; kind++) {
        CHECK(open_rig(&g, (struct takt_inlet_cfg){.key = kind == STATION_KEYED ? &key : NULL}));
        CHECK(station_open(&a, (enum station_kind)kind, &key, 7, 99));
        play(&g, &a, 2);
        send_line(&g, &a);
        for (int i = 0; i < ROUNDS(20000); i++, g.now_ns += MS / 10) {
            size_t n = i % 4   ? station_rtp(&a, datagram)
                       : i % 8 ? station_line(&a, datagram)
                               : station_repair(&a, 0, false, datagram);
            uint64_t before = g.packets;
            if (kind == STATION_KEYED) {
                n = hostile_change(&r, datagram, n);
                n = n < STATION_ROOM ? n : STATION_ROOM;
            } else if (i % 4) { /* what is said of a plain stream is believed: not so its SSRC */
                datagram[8 + takt_random_below(&r, 4)] ^= 0x55;
            } else {
                n = takt_random_below(&r, 12);
            }
            take_from(&g, datagram, n, 3);
            CHECK(g.packets <= before + 1);
            if (i % 50 == 0)
                play(&g, &a, 1);
        }
        CHECK(g.begins == 1 && g.ends == 0);
        station_close(&a);
        CHECK(close_rig(&g));
    }
}

int main(void)
{
    RUN(plain_source_is_believed_after_two_in_order);
    RUN(plain_other_source_waits_for_silence_and_eight);
    RUN(plain_static_types_need_no_telling);
    RUN(packets_wait_for_the_line_and_keep_their_times);
    RUN(line_may_come_first_and_may_be_unwanted);
    RUN(plain_rtcp_counts_only_from_the_host_of_the_packets);
    RUN(new_format_begins_anew_at_the_same_place);
    RUN(type_changes_among_given_formats);
    RUN(silence_ends_a_source_which_may_come_back);
    RUN(who_comes_back_is_known);
    RUN(keyed_packets_come_out_once_whatever_the_path_does);
    RUN(wrong_key_is_silence_and_counted);
    RUN(recording_is_not_played_again);
    RUN(later_start_takes_the_place_at_once);
    RUN(many_that_ended_are_not_played_again);
    RUN(flood_changes_nothing);
    RUN(join_late_and_stay_away);
    RUN(next_epoch_needs_no_trial);
    RUN(old_epochs_do_not_displace_new_ones);
    RUN(trials_are_bounded);
    RUN(bye_is_final);
    RUN(goodbye_may_overtake_the_last_packets);
    RUN(sdes_key_is_enough);
    RUN(several_sources_have_places_of_their_own);
    RUN(repair_brings_back_what_was_lost);
    RUN(capture_times_are_known_by_our_clock);
    RUN(least_round_trip_of_a_minute_is_what_a_clock_goes_by);
    RUN(reports_that_were_held_up_say_nothing_of_a_clock);
    RUN(capture_is_not_known_without_a_round_trip);
    RUN(reports_never_exceed_what_came);
    RUN(plain_sources_get_no_report_unless_asked_for);
    RUN(inlet_without_memory_is_not_made);
    RUN(inlet_refuses_what_it_cannot_be);
    RUN(hostile_bytes_break_nothing);
    RUN(mutated_packets_leave_a_stream_alone);
    return tap_done();
}
