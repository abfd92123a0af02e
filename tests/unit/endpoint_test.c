/*
 * Both ends of a stream over this machine's loopback, with their threads and sockets: what is
 * refused, what is told to others, and that sound comes through, bit by bit. The ports are the
 * system's choice where that can be, so that tests beside this one do no harm.
 */
#include "endpoint/recv_plan.h"
#include "endpoint/send_plan.h"
#include "fault.h"
#include "io/text_file.h"
#include "io/udp.h"
#include "takt/recv.h"
#include "takt/send.h"
#include "takt/time.h"
#include "tap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RATE = 48000, BLOCK = 48, BITS = 15, STEPS = 1 << BITS, PATIENCE_MS = 5000 };

static struct takt_error e;
static const struct takt_key key = {{1, 2, 3, 4}}, other_key = {{4, 3, 2, 1}};

static bool has_openssl(void)
{
    struct takt_key k;
    return takt_key_from_passphrase("correct horse battery", &k, &e) == 0;
}

/* Three ports on end that nobody has. */
static uint16_t free_port(void)
{
    for (uint32_t tries = 0; tries < 200; tries++) {
        struct takt_udp *udp[3] = {NULL};
        struct takt_address at;
        bool is_free = takt_address_parse("127.0.0.1", 1, &at, &e) == 0;
        takt_address_set_port(&at, (uint16_t)(20000 + (getpid() * 7 + (int)tries * 3) % 20000));
        uint16_t port = takt_address_port(&at);
        for (int i = 0; i < 3 && is_free; i++) {
            takt_address_set_port(&at, (uint16_t)(port + i));
            is_free = takt_udp_open(&(struct takt_udp_cfg){.local = at}, &udp[i], &e) == 0;
        }
        for (int i = 0; i < 3; i++)
            takt_udp_close(udp[i]);
        if (is_free)
            return port;
    }
    return 0;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);

int __wrap_socket(int family, int type, int protocol)
{
    return fault_now(EMFILE) ? -1 : fault_fd(__real_socket(family, type, protocol));
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void check_send_refused(struct takt_send_cfg c, const char *word)
{
    static const char *const to[] = {"127.0.0.1:5004"};
    struct takt_send *s;
    if (!c.to) {
        c.to = to;
        c.to_count = 1;
    }
    CHECK(takt_send_create(&c, &s, &e) < 0);
    CHECK(!s);
    if (!strstr(e.text, word))
        fprintf(stderr, "# \"%s\" lacks \"%s\"\n", e.text, word);
    CHECK(strstr(e.text, word) != NULL);
    CHECK(!strchr(e.text, '\n'));
}

static void a_sender_refuses_what_cannot_be(void)
{
    static const char *const far[] = {"192.0.2.1"}, *const any[] = {"0.0.0.0"},
                             *const high[] = {"127.0.0.1:65534"};
    check_send_refused((struct takt_send_cfg){.codec = "mp3"}, "opus");
    check_send_refused((struct takt_send_cfg){.channels = 65}, "64");
    check_send_refused((struct takt_send_cfg){.rate_hz = 1}, "8000");
    check_send_refused((struct takt_send_cfg){.packet_ms = -1}, "ms");
    check_send_refused((struct takt_send_cfg){.packet_ms = (double)NAN}, "ms");
    check_send_refused((struct takt_send_cfg){.packet_ms = 20}, "fit");
    check_send_refused((struct takt_send_cfg){.bit_rate = 64000}, "Opus");
    check_send_refused((struct takt_send_cfg){.copies = TAKT_SEND_FIXED}, "1 to 3");
    check_send_refused((struct takt_send_cfg){.repair = TAKT_SEND_FIXED}, "repair");
    check_send_refused((struct takt_send_cfg){.key = &key, .plain = true}, "exclude");
    check_send_refused((struct takt_send_cfg){.sdes = true}, "file");
    check_send_refused((struct takt_send_cfg){.key = &key, .rotate_s = 0.1}, "86400");
    check_send_refused((struct takt_send_cfg){.to = far, .to_count = 1}, "key");
    check_send_refused((struct takt_send_cfg){.to = any, .to_count = 1}, "host");
    check_send_refused((struct takt_send_cfg){.to = high, .to_count = 1}, "65533");
    check_send_refused((struct takt_send_cfg){.to = far, .to_count = 1000, .plain = true}, "256");
    check_send_refused((struct takt_send_cfg){.from = "192.0.2.77:1"}, "192.0.2.77");
}

static void check_recv_refused(struct takt_recv_cfg c, const char *word)
{
    struct takt_recv *r;
    CHECK(takt_recv_create(&c, &r, &e) < 0);
    CHECK(!r);
    if (!strstr(e.text, word))
        fprintf(stderr, "# \"%s\" lacks \"%s\"\n", e.text, word);
    CHECK(strstr(e.text, word) != NULL);
    CHECK(!strchr(e.text, '\n'));
}

static void a_receiver_refuses_what_cannot_be(void)
{
    static const char *const wrong[] = {"97"};
    check_recv_refused((struct takt_recv_cfg){.at = ":5004"}, "key");
    check_recv_refused((struct takt_recv_cfg){.at = "70000"}, "70000");
    check_recv_refused((struct takt_recv_cfg){.at = "127.0.0.1:x"}, "x");
    check_recv_refused((struct takt_recv_cfg){.latency_ms = -1}, "latency");
    check_recv_refused((struct takt_recv_cfg){.latency_ms_max = 1e9}, "2000");
    check_recv_refused((struct takt_recv_cfg){.late_ratio = 0.9}, "late");
    check_recv_refused((struct takt_recv_cfg){.late_ratio = (double)NAN}, "late");
    check_recv_refused((struct takt_recv_cfg){.sources_max = 17}, "16");
    check_recv_refused((struct takt_recv_cfg){.channels = 65}, "64");
    check_recv_refused((struct takt_recv_cfg){.rate_hz = 5}, "8000");
    check_recv_refused((struct takt_recv_cfg){.key = &key, .plain = true}, "exclude");
    check_recv_refused((struct takt_recv_cfg){.formats = wrong, .formats_count = 1}, "97=L24");
    check_recv_refused((struct takt_recv_cfg){.sdp_path = "/nowhere/x.sdp"}, "/nowhere/x.sdp");
}

static void formats_are_read_as_written(void)
{
    struct takt_session_packets f;
    CHECK_INT(takt_recv_parse_format("97=L24/48000/2", &f, &e), 0);
    CHECK_INT(f.payload_type, 97);
    CHECK_INT(f.format.codec, TAKT_CODEC_L24);
    CHECK_INT(f.format.rate_hz, 48000);
    CHECK_INT(f.format.channels, 2);
    CHECK_INT(f.format.frames, 0);
    CHECK_INT(takt_recv_parse_format("10=l16/44100", &f, &e), 0);
    CHECK_INT(f.format.channels, 1);
    static const char *const wrong[] = {"",           "L24/48000/2",     "128=L24/48000/2",
                                        "97=L24",     "97=L24/48000/",   "97=L24/48000/2x",
                                        "97=L24/1/2", "97=L24/48000/65", "97=opus/44100/2",
                                        "97=x/48000", "-1=L24/48000/2",  "97=L24/48000/0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(takt_recv_parse_format(wrong[i], &f, &e) < 0);
        CHECK(strchr(e.text, '\n') == NULL);
    }
}

static void addresses_survive_as_peers(void)
{
    static const char *const texts[] = {"192.0.2.1:5004", "[2001:db8::1]:40000", "127.0.0.1:1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct takt_address a, back;
        struct takt_inlet_peer peer;
        char text[TAKT_ADDRESS_TEXT_MAX];
        CHECK_INT(takt_address_parse(texts[i], 0, &a, &e), 0);
        takt_peer_from_address(&a, &peer);
        takt_peer_to_address(&peer, &back);
        CHECK(takt_address_equal(&a, &back));
        CHECK(!strcmp(takt_address_print(&back, text), texts[i]));
    }
    struct takt_address none = {.interface = 0};
    struct takt_inlet_peer peer;
    takt_peer_from_address(&none, &peer);
    takt_peer_to_address(&peer, &none);
    CHECK_INT(none.sock.any.sa_family, 0);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/takt-endpoint-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void text_files_are_whole_or_as_before(void)
{
    const char *path = path_of("text");
    char text[16];
    struct stat st;
    CHECK_INT(takt_text_write(path, "first", 5, false, &e), 0);
    CHECK_INT(takt_text_write(path, "second", 6, true, &e), 0);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(takt_text_read(path, text, sizeof text, NULL, &e), 6);
    CHECK(!memcmp(text, "second", 6));
    CHECK_INT(takt_text_read(path, text, 6, NULL, &e), 6);
    CHECK_INT(takt_text_read(path, text, 5, NULL, &e), TAKT_ERR_FULL);
    CHECK_INT(takt_text_read(path_of("none"), text, 5, NULL, &e), TAKT_ERR_NOT_FOUND);
    CHECK_INT(takt_text_write("/nowhere/text", "x", 1, false, &e), TAKT_ERR_IO);
}

/* What a sender tells in its SDP is what a receiver plans by. */
static void a_description_is_understood(void)
{
    if (!has_openssl())
        SKIP("built without OpenSSL");
    static const char *const to[] = {"127.0.0.1:6000"};
    struct stat st;
    for (int secret = 0; secret < 2; secret++) {
        char path[128];
        snprintf(path, sizeof path, "%s", path_of(secret ? "secret.sdp" : "open.sdp"));
        struct takt_send *s;
        struct takt_recv_plan *p = calloc(1, sizeof *p);
        CHECK_INT(takt_send_create(&(struct takt_send_cfg){.to = to,
                                                           .to_count = 1,
                                                           .codec = "L16",
                                                           .channels = 1,
                                                           .rate_hz = 44100,
                                                           .packet_ms = 4,
                                                           .sdes = secret == 1,
                                                           .sdp_path = path,
                                                           .not_real_time = true},
                                   &s, &e),
                  0);
        takt_send_destroy(s);
        CHECK_INT(stat(path, &st), 0);
        CHECK_INT((st.st_mode & 077) == 0, secret);
        CHECK_INT(takt_recv_plan(&(struct takt_recv_cfg){.sdp_path = path}, p, &e), 0);
        CHECK_INT(takt_address_port(&p->at[0]), 6000);
        CHECK(takt_address_is_loopback(&p->at[0]));
        CHECK_INT(p->inlet.formats_count, 1);
        CHECK_INT(p->formats[0].format.codec, TAKT_CODEC_L16);
        CHECK_INT(p->formats[0].format.rate_hz, 44100);
        CHECK_INT(p->formats[0].format.channels, 1);
        CHECK_INT(p->inlet.srtp_key != NULL, secret);
        free(p);
    }
}

static void a_failed_sender_leaves_no_description(void)
{
    const char *path = path_of("left.sdp");
    struct takt_send *s;
    static const char *const to[] = {"127.0.0.1:6000"};
    CHECK(takt_send_create(
              &(struct takt_send_cfg){
                  .to = to, .to_count = 1, .from = "192.0.2.77:0", .sdp_path = path},
              &s, &e) < 0);
    CHECK(access(path, F_OK) < 0);
}

/* ---- Packets --------------------------------------------------------------------------------- */

/* What a sender with these settings puts into a packet; 0: it was refused. */
static uint32_t packet_frames_of(struct takt_send_cfg c)
{
    static const char *const to[] = {"127.0.0.1:9"};
    struct takt_send_stats stats = {.packet_frames = 0};
    struct takt_send *s;
    c.to = to;
    c.to_count = 1;
    c.not_real_time = true;
    if (takt_send_create(&c, &s, &e) == 0)
        takt_send_read_stats(s, &stats);
    else
        fprintf(stderr, "# %s\n", e.text);
    takt_send_destroy(s);
    return stats.packet_frames;
}

/* Packets have 0.6 to 5 ms, and 1344 bytes of sound at most, since a key and repair need the rest.
 * Within that: the longest equal part of a block, or the fewest blocks; 0 where there is neither.
 */
static uint32_t frames_by_block(uint32_t block, uint32_t rate_hz, uint32_t bytes)
{
    uint32_t least = rate_hz * 6 / 10000, most = rate_hz / 200, found = 0;
    for (uint32_t n = least; n <= most && n * bytes <= 1344; n++)
        if (block % n == 0 || (n % block == 0 && !found))
            found = n;
    return found;
}

static void packets_are_whole_blocks_or_equal_parts_of_them(void)
{
    static const uint32_t blocks[] = {16, 32, 64, 100, 127, 128, 256, 441, 512, 1024, 4096},
                          rates[] = {8000, 44100, 48000, 192000};
    bool has_key = has_openssl();
    uint32_t by_block = 0;
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
            for (uint32_t channels = 1; channels <= 8; channels++) {
                struct takt_send_cfg c = {
                    .rate_hz = rates[r], .channels = channels, .block_frames = blocks[b]};
                uint32_t is = packet_frames_of(c);
                uint32_t wanted = frames_by_block(blocks[b], rates[r], 3 * channels);
                uint32_t fit = 1344 / (3 * channels), ms = rates[r] / 1000;
                by_block += wanted > 0;
                CHECK_INT(is, wanted ? wanted : fit < ms ? fit : ms);
                CHECK(3 * channels * is <= 1440);
                c.key = has_key && (b + r + channels) % 8 == 0 ? &key : NULL;
                CHECK(!c.key || packet_frames_of(c) == is);
            }
    CHECK(by_block > 200);
    /* As they are most often; and where nothing is known of blocks. */
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 64}), 64);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 16}), 32);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 480}), 160);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 1024}), 128);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 48001}), 48);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 0}), 48);
    CHECK_INT(packet_frames_of((struct takt_send_cfg){.block_frames = 64, .packet_ms = 2}), 96);
}

/* Where copies are what mends, packets are short enough to hold them. */
static void packets_have_room_for_copies(void)
{
    struct takt_send_cfg c = {.block_frames = 128, .copies = TAKT_SEND_FIXED};
    for (c.copies_fixed = 1; c.copies_fixed <= 3; c.copies_fixed++)
        CHECK_INT(packet_frames_of(c), c.copies_fixed == 1 ? 64 : c.copies_fixed == 2 ? 64 : 32);
    c.copies = TAKT_SEND_AUTO;
    CHECK_INT(packet_frames_of(c), 128);
    c.repair = TAKT_SEND_OFF;
    CHECK_INT(packet_frames_of(c), 32);
    c.copies = TAKT_SEND_OFF;
    CHECK_INT(packet_frames_of(c), 128);
    c = (struct takt_send_cfg){
        .block_frames = 128, .channels = 8, .copies = TAKT_SEND_FIXED, .copies_fixed = 3};
    CHECK_INT(packet_frames_of(c), 32); /* as if there were none, since not even one fits */
}

/* ---- Sound ----------------------------------------------------------------------------------- */

struct pair {
    struct takt_send *send;
    struct takt_recv *recv;
    char at[32];
    uint64_t sent, next, heard, wrong, blocks;
    int64_t begun_ns;
    float sum;
};

static void open_pair(struct pair *p, struct takt_send_cfg s, struct takt_recv_cfg r)
{
    *p = (struct pair){.blocks = 0};
    snprintf(p->at, sizeof p->at, "127.0.0.1:%u", free_port());
    const char *const to[] = {p->at};
    r.at = p->at;
    r.latency_ms = 60; /* more than this machine stalls as a rule */
    r.not_real_time = s.not_real_time = true;
    s.to = to;
    s.to_count = 1;
    CHECK_INT(takt_recv_create(&r, &p->recv, &e), 0);
    CHECK_INT(takt_send_create(&s, &p->send, &e), 0);
    p->begun_ns = takt_now_ns();
}

static void close_pair(struct pair *p)
{
    takt_send_destroy(p->send);
    takt_recv_destroy(p->recv);
}

/* One block on each side, at its time. Sample n is n mod 2^15 and n / 2^15, from 1 on. */
static void step(struct pair *p)
{
    float left[BLOCK], right[BLOCK];
    const float *const in[2] = {left, right};
    float *const out[2] = {left, right};
    int64_t now_ns = p->begun_ns + (int64_t)(++p->blocks * BLOCK) * 1000000000 / RATE;
    takt_sleep_until_ns(now_ns);
    for (int i = 0; i < BLOCK; i++) {
        uint64_t n = ++p->sent;
        left[i] = (float)(n % STEPS) / STEPS;
        right[i] = (float)(n / STEPS) / STEPS;
    }
    if (p->send)
        takt_send_write(p->send, in, BLOCK, now_ns - 1000000);
    takt_recv_read(p->recv, now_ns, now_ns + 1000000, out, BLOCK);
    for (int i = 0; i < BLOCK; i++) {
        uint64_t n =
            (uint64_t)((double)left[i] * STEPS) + (uint64_t)((double)right[i] * STEPS) * STEPS;
        p->sum += fabsf(left[i]);
        if (n == 0 && p->heard == 0)
            continue;
        p->wrong += p->heard > 0 && n != p->next;
        p->heard++;
        p->next = n + 1;
    }
}

static void steps(struct pair *p, double seconds)
{
    for (uint64_t until = p->blocks + (uint64_t)(seconds * RATE / BLOCK); p->blocks < until;)
        step(p);
}

/* Sound comes through, bit by bit, in some half second of the first half minute: a machine that
 * stalls both sides makes their clocks differ meanwhile; and under a sanitizer all of it stalls. */
static void check_heard(struct pair *p)
{
    struct takt_recv_stats heard;
    struct takt_send_stats sent;
    bool is_exact = false;
    for (int tries = 0; !is_exact && tries < 60; tries++) {
        uint64_t heard_before = p->heard, wrong_before = p->wrong;
        steps(p, 0.5);
        is_exact = p->heard - heard_before >= RATE / 4 && (SANITIZED || p->wrong == wrong_before);
    }
    CHECK(is_exact);
    takt_recv_read_stats(p->recv, &heard);
    takt_send_read_stats(p->send, &sent);
    CHECK_INT(sent.frames, p->sent);
    CHECK_INT(sent.frames_dropped, 0);
    CHECK(sent.packets > 0);
    CHECK_INT(heard.sources_count, 1);
    CHECK_INT(heard.source[0].ssrc, sent.ssrc);
    CHECK_INT(heard.source[0].encrypted, sent.encrypted);
    CHECK(!strcmp(heard.source[0].codec, sent.codec));
    CHECK(heard.counts.played > 0);
    CHECK_INT(heard.ring_dropped, 0);
}

static void check_event(struct pair *p, enum takt_recv_event_kind kind, const char *word)
{
    struct takt_recv_event event = {.kind = 0};
    for (int ms = 0; ms < PATIENCE_MS && event.kind != kind; ms++)
        if (!takt_recv_next(p->recv, &event))
            step(p);
    CHECK_INT(event.kind, kind);
    if (!strstr(event.text, word))
        fprintf(stderr, "# \"%s\" lacks \"%s\"\n", event.text, word);
    CHECK(strstr(event.text, word) != NULL);
}

static void sound_comes_through_plain(void)
{
    struct pair p;
    open_pair(&p, (struct takt_send_cfg){.packet_ms = 1}, (struct takt_recv_cfg){.channels = 2});
    check_heard(&p);
    check_event(&p, TAKT_RECV_BEGAN, "L24, 48000 Hz, 2 channels, packets of 1 ms");
    struct takt_send_stats sent = {.ended = false};
    float tail[2] = {0};
    takt_send_write(p.send, (const float *[]){tail, tail}, 1, takt_now_ns());
    takt_send_end(p.send);
    for (int ms = 0; ms < PATIENCE_MS && !sent.ended; ms++) {
        takt_sleep_ms(1);
        takt_send_read_stats(p.send, &sent);
    }
    CHECK(sent.ended);
    CHECK_INT(sent.packets, p.sent / sent.packet_frames + 1); /* the last one frame long */
    takt_send_destroy(p.send);
    p.send = NULL;
    struct takt_recv_event event = {.kind = 0};
    for (int ms = 0; ms < PATIENCE_MS && !takt_recv_next(p.recv, &event); ms += 10)
        takt_sleep_ms(10);
    CHECK_INT(event.kind, TAKT_RECV_ENDED);
    CHECK(strstr(event.text, "127.0.0.1:") && strstr(event.text, "has ended"));
    close_pair(&p);
}

/* Of one source alone its counts are those of all. */
static void check_one_source(struct pair *p, uint32_t ssrc)
{
    struct takt_recv_stats s;
    takt_recv_read_stats(p->recv, &s);
    CHECK_INT(s.source[0].ssrc, ssrc);
    CHECK(s.counts.resets > 0 && s.counts.heard_frames > 0);
    CHECK(memcmp(&s.source[0].counts, &s.counts, sizeof s.counts) == 0);
}

/* What fades out at an end stands in for nothing. */
static void an_end_is_not_concealed(void)
{
    struct takt_recv_stats before, after;
    struct pair p;
    open_pair(&p, (struct takt_send_cfg){.packet_ms = 1}, (struct takt_recv_cfg){.channels = 2});
    check_heard(&p);
    takt_recv_read_stats(p.recv, &before);
    uint32_t ssrc = before.source[0].ssrc;
    check_one_source(&p, ssrc);
    takt_send_destroy(p.send);
    p.send = NULL;
    for (int ms = 0; ms < 400; ms++) {
        step(&p);
        check_one_source(&p, ssrc);
    }
    takt_recv_read_stats(p.recv, &after);
    CHECK_INT(after.sources_count, 0);
    CHECK(!after.source[0].live);
    CHECK(after.counts.played >= before.counts.played);
    /* Stalls of the machine meanwhile are concealed, 60 ms of an end would be. */
    CHECK(after.counts.concealed_frames - before.counts.concealed_frames < RATE / 20);
    close_pair(&p);
}

static void sound_comes_through_encrypted(void)
{
    if (!has_openssl())
        SKIP("built without OpenSSL");
    struct pair p;
    open_pair(&p, (struct takt_send_cfg){.packet_ms = 2.5, .key = &key, .rotate_s = 1, .mux = true},
              (struct takt_recv_cfg){.key = &key});
    check_heard(&p);
    check_event(&p, TAKT_RECV_BEGAN, "encrypted");
    steps(&p, 1.5); /* past a new key */
    struct takt_send_stats sent;
    struct takt_recv_stats heard;
    takt_send_read_stats(p.send, &sent);
    takt_recv_read_stats(p.recv, &heard);
    CHECK(sent.epoch > 0);
    CHECK_INT(heard.refused.forged, 0);
    CHECK_INT(heard.source[0].ssrc, sent.ssrc);
    for (int more = 0; sent.listeners_count == 0 && more < PATIENCE_MS; more += 100) {
        steps(&p, 0.1);
        takt_send_read_stats(p.send, &sent);
    }
    CHECK_INT(sent.listeners_count, 1);
    for (int more = 0; !heard.source[0].latency_known && more < PATIENCE_MS; more += 100) {
        steps(&p, 0.1);
        takt_recv_read_stats(p.recv, &heard);
    }
    CHECK(heard.source[0].latency_known);
    CHECK(heard.source[0].latency_ms > 1 && heard.source[0].latency_ms < 500);
    close_pair(&p);
}

static void check_silence(struct takt_send_cfg s, struct takt_recv_cfg r, const char *word)
{
    struct pair p;
    open_pair(&p, s, r);
    check_event(&p, TAKT_RECV_REFUSED, word);
    steps(&p, 0.2);
    CHECK_INT(p.sum > 0, 0);
    CHECK_INT(p.heard, 0);
    /* Once is enough. */
    struct takt_recv_event event;
    CHECK(!takt_recv_next(p.recv, &event));
    close_pair(&p);
}

static void another_key_is_silence_and_one_line(void)
{
    if (!has_openssl())
        SKIP("built without OpenSSL");
    check_silence((struct takt_send_cfg){.key = &key}, (struct takt_recv_cfg){.key = &other_key},
                  "does not fit the key");
    check_silence((struct takt_send_cfg){.channels = 2}, (struct takt_recv_cfg){.key = &key},
                  "not encrypted");
    check_silence((struct takt_send_cfg){.key = &key}, (struct takt_recv_cfg){.channels = 2},
                  "is encrypted");
}

static void what_nobody_describes_is_told(void)
{
    check_silence((struct takt_send_cfg){.bare = true}, (struct takt_recv_cfg){.channels = 2},
                  "SDP");
}

static void a_bare_stream_plays_by_its_format(void)
{
    static const char *const formats[] = {"97=L24/48000/2"};
    struct pair p;
    open_pair(&p, (struct takt_send_cfg){.bare = true},
              (struct takt_recv_cfg){.formats = formats, .formats_count = 1});
    check_heard(&p);
    close_pair(&p);
}

static void a_taken_port_is_told(void)
{
    struct takt_recv *first, *second;
    char at[32];
    snprintf(at, sizeof at, "127.0.0.1:%u", free_port());
    CHECK_INT(
        takt_recv_create(&(struct takt_recv_cfg){.at = at, .not_real_time = true}, &first, &e), 0);
    CHECK(!strcmp(takt_recv_at(first), at));
    CHECK(takt_recv_create(&(struct takt_recv_cfg){.at = at, .not_real_time = true}, &second, &e) <
          0);
    CHECK(strstr(e.text, at) != NULL);
    takt_recv_destroy(first);
}

/* ---- Without memory -------------------------------------------------------------------------- */

static void create_without_memory_gives_all_of_it_back(void)
{
    static const char *const to[] = {"127.0.0.1:6000"};
    char at[32];
    snprintf(at, sizeof at, "127.0.0.1:%u", free_port());
    for (int sends = 0; sends < 2; sends++) {
        long before = fault_held();
        for (int n = 1;; n++) {
            struct takt_send *s = NULL;
            struct takt_recv *r = NULL;
            fault_at(n);
            int code =
                sends ? takt_send_create(
                            &(struct takt_send_cfg){.to = to, .to_count = 1, .not_real_time = true},
                            &s, &e)
                      : takt_recv_create(&(struct takt_recv_cfg){.at = at, .not_real_time = true},
                                         &r, &e);
            bool failed = fault_happened();
            fault_at(0);
            /* What fails of the ports beside the first is no failure. */
            if (failed && code < 0)
                CHECK(!s && !r);
            takt_send_destroy(s);
            takt_recv_destroy(r);
            CHECK_INT(fault_held(), before);
            if (!failed)
                CHECK_INT(code, 0);
            if (!failed)
                break;
        }
    }
    takt_send_destroy(NULL);
    takt_recv_destroy(NULL);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(a_sender_refuses_what_cannot_be);
    RUN(a_receiver_refuses_what_cannot_be);
    RUN(formats_are_read_as_written);
    RUN(addresses_survive_as_peers);
    RUN(text_files_are_whole_or_as_before);
    RUN(a_description_is_understood);
    RUN(a_failed_sender_leaves_no_description);
    RUN(packets_are_whole_blocks_or_equal_parts_of_them);
    RUN(packets_have_room_for_copies);
    RUN(sound_comes_through_plain);
    RUN(an_end_is_not_concealed);
    RUN(sound_comes_through_encrypted);
    RUN(another_key_is_silence_and_one_line);
    RUN(what_nobody_describes_is_told);
    RUN(a_bare_stream_plays_by_its_format);
    RUN(a_taken_port_is_told);
    RUN(create_without_memory_gives_all_of_it_back);
    static const char *const names[] = {"text", "open.sdp", "secret.sdp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    return rmdir(folder) == 0 ? tap_done() : 1;
}
