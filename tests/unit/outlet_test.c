/* The outlet: what goes out is what receivers of the wire can read, and what comes back is believed
 * only of those who have the key. */
#include "base/random.h"
#include "fault.h"
#include "net/listeners.h"
#include "net/outlet.h"
#include "net/outlet_repair.h"
#include "tap.h"
#include "wire/bytes.h"
#include "wire/repair.h"
#include "wire/rtcp.h"
#include "wire/srtp_key.h"

#include <math.h>

enum { DATAGRAMS_MAX = 8192, BYTES_MAX = 1600, RATE = 50000, FRAMES = 1 << 15, MS = 1000000 };
enum { SSRC = 0x12345678, REPORTER = 77, RTCP_ADDED = 24 };

static const int64_t s_ns = INT64_C(1000000000), begin_ns = INT64_C(123456000000000);
static const uint64_t start = 0x6650000012345678;
static const struct takt_key key = {.bytes = {1, 2, 3, 4, 5}};
static struct takt_error e;

static bool has_crypto(void)
{
    struct takt_srtp *s;
    bool has = takt_srtp_create(&(struct takt_srtp_cfg){0}, &s, NULL) == TAKT_OK;
    takt_srtp_destroy(s);
    return has;
}

#define NEEDS_CRYPTO()                                                                             \
    do {                                                                                           \
        if (!has_crypto())                                                                         \
            SKIP("built without OpenSSL");                                                         \
    } while (0)

/* ---- What goes out -----------------------------------------------------------------------------
 */

struct datagram {
    enum takt_outlet_kind kind;
    size_t bytes;
    int64_t at_ns;
    uint8_t data[BYTES_MAX];
};

static struct caught {
    size_t count;
    int64_t now_ns;
    struct datagram list[DATAGRAMS_MAX];
} first, second;

static void catch (void *arg, enum takt_outlet_kind kind, const uint8_t *datagram, size_t bytes)
{
    struct caught *to = arg;
    if (to->count == DATAGRAMS_MAX || bytes > BYTES_MAX)
        abort();
    struct datagram *d = &to->list[to->count++];
    d->kind = kind;
    d->bytes = bytes;
    d->at_ns = to->now_ns;
    memcpy(d->data, datagram, bytes);
}

static float sound[2][FRAMES];

static void make_sound(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < FRAMES; i++)
            sound[c][i] = (float)(takt_random_unit(&r) - 0.5);
}

/* At this rate a frame is a whole number of ns. */
static struct takt_outlet_cfg pcm(uint32_t frames)
{
    return (struct takt_outlet_cfg){
        .packets =
            {.format = {.codec = TAKT_CODEC_L24, .rate_hz = RATE, .channels = 2, .frames = frames},
             .payload_type = 96,
             .red_type = 97},
        .ssrc = SSRC,
        .seq = 65500,
        .timestamp = UINT32_MAX - 1000,
        .start = start,
        .seed = 5,
        .cname = "someone",
    };
}

static struct takt_outlet *open_outlet(const struct takt_outlet_cfg *c)
{
    struct takt_outlet *o;
    return takt_outlet_create(c, &o, &e) == TAKT_OK ? o : NULL;
}

/* Pushes frames [from, to), which wrap in the sound, as blocks of up to `block` frames, each at the
 * time of its last one. */
static void push(struct takt_outlet *o, uint32_t from, uint32_t to, uint32_t block,
                 struct caught *c)
{
    for (uint32_t at = from; at < to;) {
        uint32_t n = to - at < block ? to - at : block, in = at % FRAMES;
        n = n < FRAMES - in ? n : FRAMES - in;
        const float *planes[] = {sound[0] + in, sound[1] + in};
        c->now_ns = begin_ns + (int64_t)(at + n) * (s_ns / RATE);
        takt_outlet_push(o, planes, n, begin_ns + (int64_t)at * (s_ns / RATE), c->now_ns, catch, c);
        at += n;
    }
}

static size_t count_of(const struct caught *c, enum takt_outlet_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        n += c->list[i].kind == kind;
    return n;
}

/* ---- A receiver that knows the key -------------------------------------------------------------
 */

struct peer {
    const struct takt_outlet_cfg *cfg;
    struct takt_srtp *srtp[2]; /* the stream and its repair */
    uint32_t mki[2];
    bool has_mki[2];
};

static bool peer_open(struct peer *p, const struct takt_outlet_cfg *c)
{
    bool is_well = true;
    *p = (struct peer){.cfg = c};
    for (int i = 0; i < 2 && (c->key || c->srtp_key); i++) {
        struct takt_srtp_cfg s = {.suite = c->suite, .mki_bytes = c->key ? 4 : c->mki_bytes};
        is_well &= takt_srtp_create(&s, &p->srtp[i], &e) == TAKT_OK;
        is_well = is_well && (c->key || takt_srtp_set_key(p->srtp[i], c->srtp_key, &e) == 0);
    }
    return is_well;
}

static void peer_close(struct peer *p)
{
    takt_srtp_destroy(p->srtp[0]);
    takt_srtp_destroy(p->srtp[1]);
}

static uint32_t mki_of(const struct takt_outlet_cfg *c, const struct datagram *d)
{
    size_t tag = c->suite == TAKT_SRTP_AES_128_SHA1_80 || d->kind == TAKT_OUTLET_RTCP ? 10 : 4;
    bool is_gcm = c->suite == TAKT_SRTP_AES_256_GCM || c->suite == TAKT_SRTP_AES_128_GCM;
    return takt_be32(d->data + d->bytes - 4 - (is_gcm ? 0 : tag));
}

/* Decrypts it in place, with the keys that it names itself. Returns its bytes, below 0: not well.
 */
static int peer_read(struct peer *p, struct datagram *d)
{
    const struct takt_outlet_cfg *c = p->cfg;
    int i = d->kind == TAKT_OUTLET_REPAIR;
    struct takt_srtp_note note = {0};
    if (!p->srtp[i])
        return (int)d->bytes;
    if (c->key) {
        uint32_t mki = mki_of(c, d);
        if (!p->has_mki[i] || mki != p->mki[i]) {
            struct takt_srtp_key made;
            struct takt_srtp_key_use use = {
                .suite = c->suite, .ssrc = SSRC + (uint32_t)i, .epoch = mki, .start = start};
            if (takt_srtp_key_derive(&key, &use, &made, &e) < 0 ||
                takt_srtp_set_key(p->srtp[i], &made, &e) < 0)
                return -1;
            p->has_mki[i] = true;
            p->mki[i] = mki;
        }
    }
    if (d->kind == TAKT_OUTLET_RTCP) {
        int n = takt_srtcp_unprotect(p->srtp[i], d->data, d->bytes);
        d->bytes = n > 0 ? (size_t)n : 0;
        return n;
    }
    if (c->key) {
        struct takt_rtp head;
        struct takt_rtp_ext ext;
        if (takt_rtp_parse_header(d->data, d->bytes, &head) < 0 ||
            !takt_rtp_ext_find(&head, TAKT_NOTE_ID, &ext) ||
            !takt_srtp_note_get(ext.data, ext.bytes, &note) || note.start != start)
            return -1;
    }
    int n = takt_srtp_unprotect(p->srtp[i], d->data, d->bytes, c->key ? &note.roc : NULL);
    d->bytes = n > 0 ? (size_t)n : 0;
    return n;
}

static bool read_all(const struct takt_outlet_cfg *c, struct caught *all)
{
    struct peer p;
    bool is_well = peer_open(&p, c);
    for (size_t i = 0; i < all->count && is_well; i++)
        is_well = peer_read(&p, &all->list[i]) > 0;
    peer_close(&p);
    return is_well;
}

static const struct takt_srtp_key sdes = {.mki = 3, .key = {9, 8, 7}, .salt = {1, 2}};

/* Plain, takt's key with each suite, SDES with each. */
enum { MODES = 1 + 2 * TAKT_SRTP_SUITES };

static void set_mode(struct takt_outlet_cfg *c, int mode)
{
    if (mode == 0)
        return;
    c->suite = (enum takt_srtp_suite)((mode - 1) % TAKT_SRTP_SUITES);
    if (mode <= TAKT_SRTP_SUITES)
        c->key = &key;
    else
        c->srtp_key = &sdes;
    c->mki_bytes = (uint32_t)mode % 2;
}

static int modes(void)
{
    return has_crypto() ? MODES : 1;
}

/* ---- Packets -----------------------------------------------------------------------------------
 */

static bool is_same(const struct datagram *a, const struct datagram *b)
{
    return a->kind == b->kind && a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes);
}

static bool are_equal_but_rtcp(const struct caught *a, const struct caught *b)
{
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a->count && a->list[i].kind == TAKT_OUTLET_RTCP)
            i++;
        while (k < b->count && b->list[k].kind == TAKT_OUTLET_RTCP)
            k++;
        if (i == a->count || k == b->count)
            return i == a->count && k == b->count;
        if (!is_same(&a->list[i], &b->list[k]))
            return false;
    }
}

static void push_of_any_size_gives_the_same_packets(void)
{
    struct takt_random r = takt_random_seed(2);
    for (int mode = 0; mode < modes(); mode++) {
        struct takt_outlet_cfg c = pcm(20 + (uint32_t)takt_random_below(&r, 60));
        c.repair_least = c.repair_max = 1 + (uint32_t)takt_random_below(&r, 3);
        set_mode(&c, mode);
        struct takt_outlet *a = open_outlet(&c), *b = open_outlet(&c);
        CHECK(a && b);
        first.count = second.count = 0;
        push(a, 0, 5000, 1000, &first);
        for (uint32_t at = 0; at < 5000;) {
            uint32_t n = 1 + (uint32_t)takt_random_below(&r, 150);
            n = n < 5000 - at ? n : 5000 - at;
            push(b, at, at + n, n, &second);
            at += n;
        }
        takt_outlet_bye(a, first.now_ns, NULL, catch, &first);
        takt_outlet_bye(b, second.now_ns, NULL, catch, &second);
        CHECK_INT(count_of(&first, TAKT_OUTLET_RTP),
                  (5000 + c.packets.format.frames - 1) / c.packets.format.frames);
        CHECK(count_of(&first, TAKT_OUTLET_REPAIR) > 100 * c.repair_max / 6 / 2);
        CHECK(are_equal_but_rtcp(&first, &second));
        takt_outlet_destroy(a);
        takt_outlet_destroy(b);
    }
}

/* Whatever the suite: once decrypted, packets of the stream and of its repair are all that was
 * said, in order, and the sound is in them. */
static void packets_are_what_the_line_says(void)
{
    make_sound();
    for (int mode = 0; mode < modes(); mode++) {
        struct takt_outlet_cfg c = pcm(50);
        c.repair_least = c.repair_max = 2;
        set_mode(&c, mode);
        struct takt_outlet *o = open_outlet(&c);
        struct takt_session_packets told, is;
        struct takt_decoder *d;
        CHECK(o && takt_decoder_create(&c.packets.format, 50, &d, &e) == TAKT_OK);
        first.count = 0;
        push(o, 0, 10000, 64, &first);
        CHECK(read_all(&c, &first));
        CHECK(first.list[0].kind == TAKT_OUTLET_RTCP);
        CHECK_INT(takt_session_heard(first.list[0].data, first.list[0].bytes, SSRC, &told), 1);
        takt_outlet_read_packets(o, &is);
        CHECK(told.capture_id == is.capture_id && told.note_id == is.note_id);
        CHECK(told.capture_id == TAKT_CAPTURE_ID && told.note_id == (c.key ? TAKT_NOTE_ID : 0));
        CHECK(told.repair_type == TAKT_REPAIR_TYPE && is.repair_type == TAKT_REPAIR_TYPE);
        uint32_t packets = 0, repairs = 0, newest = 0;
        uint16_t repair_seq = 0;
        for (size_t i = 0; i < first.count; i++) {
            const struct datagram *x = &first.list[i];
            struct takt_rtp p;
            struct takt_rtp_ext ext;
            struct takt_repair repair;
            if (x->kind == TAKT_OUTLET_RTCP) {
                CHECK_INT(takt_rtcp_check(x->data, x->bytes), 0);
                continue;
            }
            CHECK_INT(takt_rtp_parse(x->data, x->bytes, &p), 0);
            if (x->kind == TAKT_OUTLET_REPAIR) {
                CHECK(p.ssrc == SSRC + 1 && p.payload_type == told.repair_type && !p.marker);
                CHECK(p.timestamp == newest && (!repairs || p.seq == (uint16_t)(repair_seq + 1)));
                CHECK_INT(takt_repair_parse(p.payload, p.payload_bytes, &repair), 0);
                CHECK(repair.data == 3 && repair.repair == 2 && repair.ssrc == SSRC);
                CHECK(repair.first_seq == (uint16_t)(c.seq + packets - 3));
                repair_seq = p.seq;
                repairs++;
                continue;
            }
            float out[2][50], *to[2] = {out[0], out[1]};
            CHECK(p.ssrc == SSRC && p.payload_type == 96 && p.seq == (uint16_t)(c.seq + packets));
            CHECK(p.timestamp == c.timestamp + 50 * packets && p.marker == (packets == 0));
            CHECK(takt_rtp_ext_find(&p, TAKT_CAPTURE_ID, &ext));
            CHECK_INT(takt_decoder_decode(d, p.payload, p.payload_bytes, to, 50), 50);
            for (uint32_t k = 0; k < 50; k++)
                CHECK_NEAR(out[1][k], sound[1][50 * packets + k], 1e-6);
            newest = p.timestamp;
            packets++;
        }
        CHECK(packets == 200 && repairs == 2 * (200 / 3));
        struct takt_outlet_stats s;
        takt_outlet_read_stats(o, &s);
        CHECK(s.sender.packets == 200 && s.repair_packets == repairs && s.unencrypted == 0);
        CHECK(s.repair_now == 2 && s.repair_data == 3);
        CHECK_INT(s.reports, count_of(&first, TAKT_OUTLET_RTCP));
        takt_decoder_destroy(d);
        takt_outlet_destroy(o);
    }
}

/* Either no outlet is made, or no datagram is longer; with the longest packets that are taken. */
static void datagrams_keep_to_their_size(void)
{
    struct takt_random r = takt_random_seed(3);
    for (int i = 0; i < 150; i++) {
        struct takt_outlet_cfg c = pcm(1);
        size_t max = 300 + takt_random_below(&r, 1500);
        c.datagram_bytes_max = i % 10 ? max : 0;
        max = i % 10 ? max : 1452;
        c.repair_max = (uint32_t)takt_random_below(&r, 3);
        c.repair_least = c.repair_max;
        c.copies = (uint32_t)takt_random_below(&r, 2);
        set_mode(&c, (int)takt_random_below(&r, (uint64_t)modes()));
        struct takt_outlet *o = NULL;
        for (uint32_t frames = 250; frames > 0 && !o; frames--) {
            c.packets.format.frames = frames;
            o = open_outlet(&c);
        }
        CHECK(o);
        first.count = 0;
        push(o, 0, 20 * c.packets.format.frames, 10000, &first);
        size_t longest = 0;
        for (size_t k = 0; k < first.count; k++)
            if (first.list[k].kind != TAKT_OUTLET_RTCP && first.list[k].bytes > longest)
                longest = first.list[k].bytes;
        CHECK(longest <= max);
        CHECK(longest + 8 > max || c.packets.format.frames == 250 || max > 1472 - 48 || c.copies ||
              longest > 1440);
        CHECK(read_all(&c, &first));
        takt_outlet_destroy(o);
    }
}

/* For other tools there is nothing that RFC 3550 does not have. */
static void bare_is_bare(void)
{
    struct takt_outlet_cfg c = pcm(50);
    c.is_bare = true;
    c.repair_least = c.repair_max = 3;
    struct takt_outlet *o = open_outlet(&c);
    struct takt_session_packets told;
    CHECK(o);
    first.count = 0;
    push(o, 0, 100000, 100, &first);
    CHECK(count_of(&first, TAKT_OUTLET_RTP) == 2000 && count_of(&first, TAKT_OUTLET_REPAIR) == 0);
    size_t reports = count_of(&first, TAKT_OUTLET_RTCP);
    CHECK(reports >= 1 && reports < 9);
    CHECK(first.list[0].kind == TAKT_OUTLET_RTP && first.list[1].kind == TAKT_OUTLET_RTCP);
    for (size_t i = 0; i < first.count; i++) {
        const struct datagram *d = &first.list[i];
        struct takt_rtp p;
        if (d->kind == TAKT_OUTLET_RTCP)
            CHECK_INT(takt_session_heard(d->data, d->bytes, SSRC, &told), 0);
        else
            CHECK(takt_rtp_parse(d->data, d->bytes, &p) == 0 && !p.has_ext);
    }
    takt_outlet_destroy(o);
}

/* ---- Descriptions ------------------------------------------------------------------------------
 */

static bool is_report(const struct datagram *d)
{
    return d->data[1] == TAKT_RTCP_SR;
}

/* First of all; after packets 1, 2, 4, 8 and so on; and then no gap of more than 250 ms. */
static void description_comes_first_and_on_time(void)
{
    for (int mode = 0; mode < (has_crypto() ? 2 : 1); mode++) {
        for (uint32_t frames = 10; frames <= 200; frames += 95) {
            struct takt_outlet_cfg c = pcm(frames);
            struct takt_session_packets told;
            set_mode(&c, mode);
            struct takt_outlet *o = open_outlet(&c);
            CHECK(o);
            first.count = 0;
            push(o, 0, 3 * RATE / 2, 10, &first);
            while (first.count && first.list[first.count - 1].kind == TAKT_OUTLET_RTP)
                first.count--;
            CHECK(read_all(&c, &first));
            uint64_t packets = 0, due = 1;
            const int64_t step_ns = 10 * s_ns / RATE;
            int64_t told_ns = 0;
            int reports = 0;
            for (size_t i = 0; i < first.count; i++) {
                const struct datagram *d = &first.list[i];
                if (d->kind == TAKT_OUTLET_RTP) {
                    CHECK(i > 0 && d->at_ns - told_ns <= 250 * MS + step_ns);
                    CHECK(packets++ < due || due * frames * 4 > RATE);
                    continue;
                }
                CHECK_INT(takt_session_heard(d->data, d->bytes, SSRC, &told), 1);
                CHECK(told.format.frames == frames);
                reports += is_report(d);
                /* None comes without need. */
                if (packets == due && due * frames * 4 <= RATE)
                    due *= 2;
                else
                    CHECK(packets == 0 || is_report(d) || d->at_ns - told_ns >= 250 * MS);
                CHECK(packets != 1 || is_report(d));
                told_ns = d->at_ns;
            }
            CHECK(due >= 8 && reports >= 2 && reports <= 10);
            takt_outlet_destroy(o);
        }
    }
}

/* Without sound, what is due goes out when it was said to be due, and not before. */
static void what_is_due_goes_out_without_sound(void)
{
    struct takt_outlet_cfg c = pcm(50);
    c.repair_least = c.repair_max = 1;
    struct takt_outlet *o = open_outlet(&c);
    CHECK(o && takt_outlet_due_ns(o) == INT64_MAX);
    first.count = 0;
    takt_outlet_push(o, NULL, 0, 0, begin_ns, catch, &first);
    CHECK(first.count == 0);
    push(o, 0, 101, 101, &first); /* two packets of a block of three */
    size_t before = first.count, repairs = 0;
    int64_t last_ns = begin_ns;
    CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), 0);
    for (int i = 0; i < 100; i++) {
        int64_t due_ns = takt_outlet_due_ns(o);
        CHECK(due_ns > last_ns && due_ns - last_ns <= 250 * MS);
        takt_outlet_push(o, NULL, 0, 0, due_ns - 1, catch, &first);
        CHECK_INT(first.count, before);
        takt_outlet_push(o, NULL, 0, 0, due_ns, catch, &first);
        CHECK(first.count == before + 1);
        repairs += first.list[before].kind == TAKT_OUTLET_REPAIR;
        before = first.count;
        last_ns = due_ns;
    }
    CHECK_INT(repairs, 1);
    takt_outlet_destroy(o);
}

static bool says_bye(const struct datagram *d)
{
    struct takt_rtcp_packet p;
    bool says = false;
    for (size_t at = 0; takt_rtcp_next(d->data, d->bytes, &at, &p) > 0;)
        says |= p.type == TAKT_RTCP_BYE;
    return says;
}

static void bye_sends_what_is_left_and_is_the_last(void)
{
    for (int mode = 0; mode < (has_crypto() ? 2 : 1); mode++) {
        for (uint32_t frames = 0; frames < 300; frames += 7) {
            struct takt_outlet_cfg c = pcm(50);
            c.repair_least = c.repair_max = 2;
            set_mode(&c, mode);
            struct takt_outlet *o = open_outlet(&c);
            CHECK(o);
            first.count = 0;
            push(o, 0, frames, 20, &first);
            takt_outlet_bye(o, begin_ns + s_ns, "done", catch, &first);
            size_t n = first.count;
            takt_outlet_bye(o, begin_ns + s_ns, "done", catch, &first);
            push(o, 0, 5000, 100, &first);
            CHECK(first.count == n && (n == 0) == (frames == 0));
            CHECK(takt_outlet_due_ns(o) == INT64_MAX);
            size_t packets = (frames + 49) / 50;
            CHECK_INT(count_of(&first, TAKT_OUTLET_RTP), packets);
            CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), (packets + 2) / 3 * 2);
            CHECK(read_all(&c, &first));
            for (size_t i = 0; i < n; i++)
                CHECK((first.list[i].kind == TAKT_OUTLET_RTCP && says_bye(&first.list[i])) ==
                      (i == n - 1));
            takt_outlet_destroy(o);
        }
    }
}

/* All that was pushed comes out of the last packet, and what Opus looks ahead on as well. */
static void check_end(enum takt_codec codec, uint32_t rate_hz, uint32_t packet, bool low_delay,
                      uint32_t frames)
{
    enum { MOST = 1 << 15, LOUD = 100 };
    static float in[MOST], out[MOST + 2 * 5760];
    struct takt_outlet_cfg c = pcm(packet);
    c.packets.format = (struct takt_codec_format){.codec = codec,
                                                  .rate_hz = rate_hz,
                                                  .channels = 1,
                                                  .frames = packet,
                                                  .bit_rate = codec == TAKT_CODEC_OPUS ? 128000 : 0,
                                                  .low_delay = low_delay};
    c.packets.red_type = 0;
    struct takt_outlet *o = open_outlet(&c);
    struct takt_encoder *encoder;
    struct takt_decoder *d;
    CHECK(o && takt_encoder_create(&c.packets.format, &encoder, &e) == TAKT_OK);
    CHECK(takt_decoder_create(&c.packets.format, packet, &d, &e) == TAKT_OK);
    uint32_t behind = takt_encoder_delay_frames(encoder), got = 0;
    for (uint32_t i = 0; i < frames; i++)
        in[i] = i + LOUD < frames ? 0 : 0.5F * sinf(0.1F * (float)i);
    first.count = 0;
    for (uint32_t at = 0; at < frames; at += 64)
        takt_outlet_push(o, (const float *[]){in + at}, frames - at < 64 ? frames - at : 64,
                         begin_ns + at, begin_ns + at, catch, &first);
    takt_outlet_bye(o, begin_ns + s_ns, NULL, catch, &first);
    CHECK_INT(count_of(&first, TAKT_OUTLET_RTP), (frames + behind + packet - 1) / packet);
    for (size_t i = 0; i < first.count; i++) {
        struct takt_rtp p;
        float *to[] = {out + got};
        if (first.list[i].kind != TAKT_OUTLET_RTP)
            continue;
        CHECK_INT(takt_rtp_parse(first.list[i].data, first.list[i].bytes, &p), 0);
        CHECK_INT(p.timestamp - c.timestamp,
                  got * (codec == TAKT_CODEC_OPUS ? 48000 / rate_hz : 1));
        got += (uint32_t)takt_decoder_decode(d, p.payload, p.payload_bytes, to, packet);
    }
    CHECK(got >= frames + behind && got < frames + behind + packet);
    double sent = 0, came = 0;
    for (uint32_t i = frames - LOUD; i < frames; i++) {
        sent += pow((double)in[i], 2);
        came += pow((double)out[i + behind], 2);
        if (codec != TAKT_CODEC_OPUS)
            CHECK_NEAR(out[i], in[i], 1e-4);
    }
    CHECK(came > 0.7 * sent && came < 1.4 * sent);
    takt_encoder_destroy(encoder);
    takt_decoder_destroy(d);
    takt_outlet_destroy(o);
}

static bool has_opus(void)
{
    struct takt_encoder *encoder;
    struct takt_codec_format f = {
        .codec = TAKT_CODEC_OPUS, .rate_hz = 48000, .channels = 1, .frames = 480};
    bool has = takt_encoder_create(&f, &encoder, NULL) == TAKT_OK;
    takt_encoder_destroy(encoder);
    return has;
}

static void bye_sends_the_sound_up_to_its_last_frame(void)
{
    for (uint32_t frames = 9600; frames < 9600 + 480; frames += 37) {
        check_end(TAKT_CODEC_L16, 48000, 128, false, frames);
        check_end(TAKT_CODEC_L24, 44100, 48, false, frames);
    }
    if (!has_opus())
        SKIP("built without Opus");
    for (uint32_t frames = 9600; frames < 9600 + 480; frames += 37) {
        check_end(TAKT_CODEC_OPUS, 48000, 480, false, frames);
        check_end(TAKT_CODEC_OPUS, 48000, 120, true, frames);
        check_end(TAKT_CODEC_OPUS, 24000, 480, true, frames);
    }
}

/* ---- Repair ------------------------------------------------------------------------------------
 */

/* What the stream would be without loss, by place after the first number. */
static struct takt_random drops;
static bool is_dropped[DATAGRAMS_MAX];

/* Of each block, which ends with its repair packets, up to m packets; any of them. */
static void choose_drops(const struct caught *all, uint32_t m)
{
    memset(is_dropped, 0, sizeof is_dropped);
    for (size_t at = 0; at < all->count;) {
        size_t members[64], count = 0;
        bool is_ending = false;
        for (; at < all->count; at++) {
            enum takt_outlet_kind kind = all->list[at].kind;
            if (kind == TAKT_OUTLET_RTP && is_ending)
                break;
            is_ending |= kind == TAKT_OUTLET_REPAIR;
            if (kind != TAKT_OUTLET_RTCP)
                members[count++] = at;
        }
        for (uint32_t i = 0; i < m && count; i++)
            is_dropped[members[takt_random_below(&drops, count)]] = true;
    }
}

static void any_m_of_a_block_come_back(void)
{
    drops = takt_random_seed(4);
    for (int round = 0; round < 60; round++) {
        struct takt_outlet_cfg c = pcm(round % 3 ? 50 : 10);
        uint32_t m = 1 + (uint32_t)takt_random_below(&drops, TAKT_REPAIR_MAX);
        c.repair_least = c.repair_max = m;
        c.repair_data = (uint32_t)takt_random_below(&drops, 33);
        c.copies = round % 5 == 0 ? 2 : 0; /* so packets of a block are of several sizes */
        set_mode(&c, round % modes());
        struct takt_outlet *o = open_outlet(&c);
        struct takt_repair_decoder *d;
        static uint8_t found[BYTES_MAX];
        static bool has[DATAGRAMS_MAX];
        CHECK(o && takt_repair_decoder_create(TAKT_REPAIR_PACKET_BYTES_MAX, &d) == TAKT_OK);
        takt_repair_restart(d, SSRC);
        first.count = 0;
        push(o, 0, 10000, 77, &first);
        takt_outlet_bye(o, first.now_ns, NULL, catch, &first);
        CHECK(read_all(&c, &first));
        choose_drops(&first, m);
        static const struct datagram *whole[DATAGRAMS_MAX];
        size_t packets = 0, dropped = 0;
        for (size_t i = 0; i < first.count; i++)
            if (first.list[i].kind == TAKT_OUTLET_RTP)
                whole[packets++] = &first.list[i];
        memset(has, 0, sizeof has);
        for (size_t i = 0; i < first.count; i++) {
            const struct datagram *x = &first.list[i];
            struct takt_rtp p;
            if (x->kind == TAKT_OUTLET_RTCP || is_dropped[i]) {
                dropped += is_dropped[i] && x->kind == TAKT_OUTLET_RTP;
                continue;
            }
            CHECK_INT(takt_rtp_parse(x->data, x->bytes, &p), 0);
            int n = x->kind == TAKT_OUTLET_REPAIR
                        ? takt_repair_take_repair(d, p.payload, p.payload_bytes)
                        : takt_repair_take(d, x->data, x->bytes);
            CHECK(n >= 0);
            if (x->kind == TAKT_OUTLET_RTP)
                has[(uint16_t)(p.seq - c.seq)] = true;
            for (int k = 0; k < n; k++) {
                int bytes = takt_repair_found(d, (uint32_t)k, found, sizeof found);
                CHECK(bytes > 0);
                uint16_t at = (uint16_t)(takt_be16(found + 2) - c.seq);
                CHECK(at < packets && !has[at]);
                CHECK((size_t)bytes == whole[at]->bytes &&
                      !memcmp(found, whole[at]->data, whole[at]->bytes));
                has[at] = true;
            }
        }
        CHECK(dropped > 0);
        for (size_t i = 0; i < packets; i++)
            CHECK(has[i]);
        takt_repair_decoder_destroy(d);
        takt_outlet_destroy(o);
    }
}

/* What stays lost of k packets with m more, counted over all ways to lose some. */
static double lost_of(double loss, uint32_t k, uint32_t m)
{
    double lost = 0;
    for (uint32_t way = 0; way < 1u << (k + m); way++) {
        int missing = __builtin_popcount(way);
        if ((uint32_t)missing > m)
            lost += pow(loss, missing) * pow(1 - loss, (int)(k + m) - missing) *
                    __builtin_popcount(way & ((1u << k) - 1)) / k;
    }
    return lost;
}

static void depth_is_the_least_that_will_do(void)
{
    struct takt_random r = takt_random_seed(5);
    CHECK_INT(takt_outlet_repair_depth(0.05, 2, 12), 3);
    CHECK_INT(takt_outlet_repair_depth(0.05, 3, 12), 3);
    CHECK_INT(takt_outlet_repair_depth(0.05, 6, 12), 4);
    CHECK_INT(takt_outlet_repair_depth(0.05, 8, 12), 5);
    CHECK_INT(takt_outlet_repair_depth(0.3, 3, 12), 11);
    CHECK_INT(takt_outlet_repair_depth(0, 6, 12), 0);
    CHECK_INT(takt_outlet_repair_depth(1, 6, 12), 12);
    for (int i = 0; i < 60; i++) {
        double loss = pow(10, -1 - 3 * takt_random_unit(&r)) * 1.5;
        uint32_t k = 1 + (uint32_t)takt_random_below(&r, 7);
        uint32_t m = takt_outlet_repair_depth(loss, k, 8);
        CHECK(m == 8 || lost_of(loss, k, m) < 6.0001e-5);
        CHECK(m == 0 || lost_of(loss, k, m - 1) > 5.9999e-5);
        CHECK_INT(takt_outlet_repair_depth(loss, k, 2), m < 2 ? m : 2);
    }
}

/* ---- What comes back ---------------------------------------------------------------------------
 */

/* One that reports; of takt's key in epoch `epoch`. */
struct reporter {
    uint32_t ssrc, packets; /* in each report; 0: 1000 */
    double overtaken;       /* a share; below 0: it does not say */
    struct takt_rtp_reception reception;
    struct takt_srtp *srtp;
};

static bool reporter_open(struct reporter *x, const struct takt_outlet_cfg *c, uint32_t ssrc,
                          uint32_t epoch)
{
    struct takt_srtp_key made = sdes;
    struct takt_srtp_key_use use = {
        .suite = c->suite, .way = TAKT_SRTP_BACK, .ssrc = ssrc, .epoch = epoch, .start = start};
    *x = (struct reporter){.ssrc = ssrc, .overtaken = -1};
    if (!c->key && !c->srtp_key)
        return true;
    struct takt_srtp_cfg s = {
        .suite = c->suite, .sends = true, .mki_bytes = c->key ? 4 : c->mki_bytes};
    return (!c->key || takt_srtp_key_derive(&key, &use, &made, &e) == 0) &&
           takt_srtp_create(&s, &x->srtp, &e) == 0 && takt_srtp_set_key(x->srtp, &made, &e) == 0;
}

/* What it says beside its report. */
static int write_overtaken(const struct reporter *x, uint8_t *out, size_t room)
{
    char text[64];
    int bytes = takt_listeners_tell(x->overtaken, text, sizeof text);
    struct takt_rtcp_item items[] = {
        {.ssrc = x->ssrc, .type = TAKT_RTCP_CNAME, .bytes = 1, .text = "x"},
        {.ssrc = x->ssrc,
         .type = TAKT_RTCP_PRIV,
         .prefix = TAKT_SESSION_PREFIX,
         .prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1,
         .bytes = (uint8_t)bytes,
         .text = text},
    };
    return takt_rtcp_write_sdes(items, 2, out, room);
}

static int reporter_write(struct reporter *x, double loss, uint8_t *out, size_t room)
{
    const uint32_t packets = x->packets ? x->packets : 1000;
    x->reception.seq_highest += packets;
    x->reception.lost += (int32_t)lrint(packets * loss);
    x->reception.fraction_lost = (uint8_t)(256 * loss);
    struct takt_rtcp_reports r = {.ssrc = x->ssrc, .count = 1};
    r.blocks[0] = (struct takt_rtcp_block){.ssrc = SSRC, .reception = x->reception};
    int n = takt_rtcp_write_reports(&r, out, room);
    if (n > 0 && x->overtaken >= 0)
        n += write_overtaken(x, out + n, room - (size_t)n);
    return n > 0 && x->srtp ? takt_srtcp_protect(x->srtp, out, (size_t)n, room) : n;
}

static int tell(struct takt_outlet *o, struct reporter *x, double loss, int64_t now_ns)
{
    uint8_t out[128];
    int n = reporter_write(x, loss, out, sizeof out);
    return n < 0 ? -99 : takt_outlet_take(o, out, (size_t)n, now_ns);
}

static uint32_t depth_now(const struct takt_outlet *o)
{
    struct takt_outlet_stats s;
    takt_outlet_read_stats(o, &s);
    return s.repair_now;
}

/* Up with the very next block, down when less would have done for 20 s, and within the bounds. */
static void depth_follows_the_reports(void)
{
    for (int mode = 0; mode < modes(); mode++) {
        for (uint32_t least = 0; least < 3; least += 2) {
            struct takt_outlet_cfg c = pcm(50);
            c.repair_least = least;
            c.repair_max = 5;
            set_mode(&c, mode);
            struct takt_outlet *o = open_outlet(&c);
            struct reporter x;
            CHECK(o && reporter_open(&x, &c, REPORTER, 9));
            first.count = 0;
            push(o, 0, 900, 50, &first);
            CHECK_INT(depth_now(o), least);
            CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), 6 * least);
            int64_t now_ns = first.now_ns;
            CHECK_INT(tell(o, &x, 0, now_ns), 0);
            CHECK_INT(depth_now(o), least);
            CHECK_INT(tell(o, &x, 0.05, now_ns += s_ns), 0);
            CHECK_INT(depth_now(o), 3);
            first.count = 0;
            push(o, 900, 1050, 50, &first);
            CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), 3);
            CHECK_INT(tell(o, &x, 0.3, now_ns += s_ns), 0);
            CHECK_INT(depth_now(o), 5);
            int64_t from_ns = now_ns;
            while (depth_now(o) == 5) {
                CHECK_INT(tell(o, &x, 0, now_ns += s_ns), 0);
                CHECK(now_ns - from_ns < 30 * s_ns);
            }
            CHECK(now_ns - from_ns >= 20 * s_ns);
            while (now_ns - from_ns < 200 * s_ns)
                CHECK_INT(tell(o, &x, 0, now_ns += s_ns), 0);
            CHECK_INT(depth_now(o), least);
            takt_srtp_destroy(x.srtp);
            takt_outlet_destroy(o);
        }
    }
}

/* The same report, of few packets and of many: chance may have lost as many of few. Of how many a
 * first one is, nobody knows, so it counts as one of 32; and what was meant is known after more. */
static void few_packets_are_believed_less(void)
{
    static const struct {
        uint32_t packets, depth;
        bool is_first;
    } told[] = {{40, 4, false},     {100, 4, false}, {1000, 5, false},
                {100000, 5, false}, {1000, 3, true}, {100000, 3, true}};
    double before = 0;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        struct takt_outlet_cfg c = pcm(50);
        c.repair_max = TAKT_REPAIR_MAX;
        struct takt_outlet *o = open_outlet(&c);
        struct takt_outlet_stats s;
        struct reporter x;
        int64_t now_ns = begin_ns;
        CHECK(o && reporter_open(&x, &c, REPORTER, 9));
        x.packets = told[i].packets;
        if (!told[i].is_first)
            CHECK_INT(tell(o, &x, 0, now_ns), 0);
        CHECK_INT(tell(o, &x, 0.1, now_ns += s_ns), 0);
        takt_outlet_read_stats(o, &s);
        double packets = told[i].is_first ? 32 : told[i].packets;
        double loss = told[i].is_first ? floor(256 * 0.1) / 256 : 0.1;
        CHECK_NEAR(s.sender.loss, loss - sqrt(loss * (1 - loss) / packets), 1e-9);
        CHECK(told[i].is_first || s.sender.loss > before);
        before = s.sender.loss;
        CHECK_INT(depth_now(o), told[i].depth);
        CHECK_INT(depth_now(o), takt_outlet_repair_depth(s.sender.loss, 3, TAKT_REPAIR_MAX));
        for (int k = 0; k < 20; k++)
            CHECK_INT(tell(o, &x, 0.1, now_ns += s_ns), 0);
        takt_outlet_read_stats(o, &s);
        CHECK_NEAR(s.sender.loss, 0.1, 1e-3);
        CHECK_INT(depth_now(o), 5);
        takt_outlet_destroy(o);
    }
}

enum { S = 1000, CALM = 0, LOSES, BURSTS, LONG_BURSTS, OVERTAKES };

static void follow(struct takt_outlet_repair *r, int harm, int64_t ms)
{
    static const double spread[] = {[LOSES] = 1, [BURSTS] = 3, [LONG_BURSTS] = 5, [OVERTAKES] = 1};
    double loss = harm == CALM || harm == OVERTAKES ? 0 : 0.05;
    takt_outlet_repair_follow(r, loss, spread[harm], harm == OVERTAKES, begin_ns + ms * MS);
}

static bool open_repair(struct takt_outlet_repair *r, uint64_t packet_ns, uint32_t data,
                        uint32_t least, uint32_t most)
{
    return takt_outlet_repair_init(r, &(struct takt_outlet_repair_cfg){
                                          .data = data,
                                          .packet_ns = packet_ns,
                                          .least = least,
                                          .most = most,
                                          .packet_bytes_max = 100,
                                      }) == 0;
}

/* k + m against each harm, by how long packets are: 3 ms of what loses at random, 8 ms of what
 * loses in bursts, and up to three packets of what overtakes. */
static void blocks_are_as_long_as_what_they_mend(void)
{
    static const struct {
        uint64_t packet_ns;
        uint32_t data[OVERTAKES + 1], depth[OVERTAKES + 1];
    } wanted[] = {
        {250000, {6, 6, 16, 16, 3}, {0, 4, 8, 10, 9}},
        {666667, {5, 5, 12, 12, 3}, {0, 4, 7, 9, 9}},
        {1000000, {3, 3, 8, 8, 3}, {0, 3, 7, 9, 9}},
        {1333333, {3, 3, 6, 6, 2}, {0, 3, 6, 8, 6}},
        {2666667, {2, 2, 3, 3, 1}, {0, 3, 5, 7, 5}},
        {2902494, {2, 2, 3, 3, 1}, {0, 3, 5, 7, 5}}, /* 128 frames at 44100 Hz */
        {5000000, {2, 2, 3, 3, 1}, {0, 3, 5, 7, 5}},
        {20000000, {2, 2, 3, 3, 1}, {0, 3, 5, 7, 5}},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        for (int harm = CALM; harm <= OVERTAKES; harm++) {
            struct takt_outlet_repair r;
            CHECK(open_repair(&r, wanted[i].packet_ns, 0, 0, TAKT_REPAIR_MAX));
            CHECK_INT(takt_outlet_repair_data_most(&r), wanted[i].data[BURSTS]);
            CHECK(r.data == wanted[i].data[CALM] && r.held.level == 0);
            follow(&r, harm, 0);
            CHECK_INT(r.data, wanted[i].data[harm]);
            CHECK_INT(r.held.level, wanted[i].depth[harm]);
            takt_outlet_repair_fini(&r);
        }
}

/* To the stronger block at once, and to a weaker one when that would have done for 20 s, which
 * begin anew with each report of the worse. */
static void harm_counts_at_once_and_passes_after_20_s(void)
{
    static const uint32_t data[] = {[CALM] = 3, [LOSES] = 3, [BURSTS] = 8, [OVERTAKES] = 3},
                          depth[] = {[CALM] = 0, [LOSES] = 3, [BURSTS] = 7, [OVERTAKES] = 9};
    static const int pairs[][2] = {{OVERTAKES, CALM}, {OVERTAKES, LOSES}, {OVERTAKES, BURSTS},
                                   {BURSTS, LOSES},   {BURSTS, CALM},     {LOSES, CALM}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int worse = pairs[i][0], better = pairs[i][1];
        struct takt_outlet_repair r;
        CHECK(open_repair(&r, MS, 0, 0, TAKT_REPAIR_MAX));
        follow(&r, better, 0);
        CHECK(r.data == data[better] && r.held.level == depth[better]);
        const int64_t from_ms = 10 * S, again_ms = from_ms + 19 * S, until_ms = again_ms + 20 * S;
        for (int64_t ms = 0; ms < until_ms; ms += 500) {
            follow(&r, ms == from_ms || ms == again_ms ? worse : better, ms);
            CHECK_INT(r.data, data[ms < from_ms ? better : worse]);
            CHECK_INT(r.held.level, depth[ms < from_ms ? better : worse]);
        }
        follow(&r, better, until_ms);
        CHECK_INT(r.data, data[better]);
        CHECK_INT(r.held.level, depth[better]);
        takt_outlet_repair_fini(&r);
    }
}

/* Whatever comes meanwhile. */
static void a_block_ends_as_it_began(void)
{
    uint8_t packet[20] = {0x80};
    struct takt_outlet_repair r;
    CHECK(open_repair(&r, MS, 0, 1, TAKT_REPAIR_MAX));
    for (int i = 1; i <= 3 + 8 + 3; i++) {
        packet[3] = (uint8_t)i;
        bool is_full = takt_outlet_repair_add(&r, packet, sizeof packet, begin_ns);
        CHECK(is_full == (i == 3 || i == 3 + 8 || i == 3 + 8 + 3));
        CHECK_INT(r.block_repair, i <= 3 ? 1 : i <= 3 + 8 ? 7 : 9);
        if (is_full)
            takt_outlet_repair_end(&r);
        if (i == 1 || i == 4)
            follow(&r, i == 1 ? BURSTS : OVERTAKES, i);
    }
    takt_outlet_repair_fini(&r);
}

/* K packets are K whatever comes, and M are M; so are the bounds of M alone. */
static void a_fixed_block_stays_as_it_is(void)
{
    for (int harm = CALM; harm <= OVERTAKES; harm++) {
        struct takt_outlet_repair r;
        CHECK(open_repair(&r, MS, 10, 2, 2));
        CHECK(r.data == 10 && r.held.level == 2 && takt_outlet_repair_data_most(&r) == 10);
        for (int ms = 0; ms < 60 * S; ms += S) {
            follow(&r, ms < 30 * S ? harm : CALM, ms);
            CHECK(r.data == 10 && r.held.level == 2);
        }
        takt_outlet_repair_fini(&r);
        CHECK(open_repair(&r, MS, 0, 4, 6));
        follow(&r, harm, 0);
        CHECK_INT(r.held.level, harm <= LOSES ? 4 : 6);
        CHECK_INT(r.data, harm == BURSTS || harm == LONG_BURSTS ? 8 : 3);
        takt_outlet_repair_fini(&r);
    }
}

/* From the next block on: the one that has begun ends as it was. Copies are for where there is no
 * repair. */
static void reports_of_overtaking_change_the_next_block(void)
{
    for (int has_repair = 0; has_repair < 2; has_repair++) {
        struct takt_outlet_cfg c = pcm(133); /* 2.66 ms */
        c.repair_least = (uint32_t)has_repair;
        c.repair_max = has_repair ? TAKT_REPAIR_MAX : 0;
        c.copies_max = 3;
        struct takt_outlet *o = open_outlet(&c);
        struct takt_outlet_stats s;
        struct reporter x;
        CHECK(o && reporter_open(&x, &c, REPORTER, 9));
        first.count = 0;
        push(o, 0, 133, 133, &first);
        for (int i = 0; i < 3; i++) {
            x.overtaken = i == 0 ? -1 : i == 1 ? 0.09 : 0.1; /* from a tenth on */
            CHECK_INT(tell(o, &x, 0, first.now_ns), 0);
            takt_outlet_read_stats(o, &s);
            CHECK_INT(s.sender.overtakes, i == 2);
            CHECK_INT(s.sender.copies_now, i == 2 && !has_repair ? 3 : 0);
            CHECK_INT(s.repair_now, has_repair ? i == 2 ? 5 : 1 : 0);
            CHECK_INT(s.repair_data, has_repair ? i == 2 ? 1 : 2 : 0);
        }
        push(o, 133, 2 * 133, 133, &first);
        CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), has_repair ? 1 : 0);
        push(o, 2 * 133, 4 * 133, 133, &first);
        CHECK_INT(count_of(&first, TAKT_OUTLET_REPAIR), has_repair ? 1 + 2 * 5 : 0);
        x.overtaken = 0;
        int64_t from_ns = first.now_ns;
        for (int i = 1; i <= 20; i++) {
            CHECK_INT(tell(o, &x, 0, from_ns + i * s_ns), 0);
            takt_outlet_read_stats(o, &s);
            CHECK_INT(s.sender.copies_now, i < 20 && !has_repair ? 3 : 0);
            CHECK_INT(s.repair_now, has_repair ? i < 20 ? 5 : 1 : 0);
            CHECK_INT(s.repair_data, has_repair ? i < 20 ? 1 : 2 : 0);
        }
        takt_outlet_destroy(o);
    }
}

/* The same loss, once at random and once in bursts, of a mean length of 6 packets. */
static void bursts_are_answered_with_more(void)
{
    struct takt_random r = takt_random_seed(6);
    uint32_t sum[2] = {0};
    for (int is_bursty = 0; is_bursty < 2; is_bursty++) {
        struct takt_outlet_cfg c = pcm(50);
        c.repair_max = TAKT_REPAIR_MAX;
        struct takt_outlet *o = open_outlet(&c);
        struct takt_outlet_stats s;
        struct reporter x;
        CHECK(o && reporter_open(&x, &c, REPORTER, 9));
        for (int i = 0; i < 120; i++) {
            int lost = 0;
            bool is_bad = false;
            for (int k = 0; k < 1000; k++) {
                double chance = takt_random_unit(&r);
                is_bad = is_bursty ? (is_bad ? chance < 5.0 / 6 : chance < 0.03 / 0.97 / 6)
                                   : chance < 0.03;
                lost += is_bad;
            }
            CHECK_INT(tell(o, &x, lost / 1000.0, begin_ns + i * s_ns), 0);
            sum[is_bursty] += i >= 60 ? depth_now(o) : 0;
        }
        takt_outlet_read_stats(o, &s);
        CHECK_INT(s.repair_data, is_bursty ? 8 : 3);
        takt_outlet_destroy(o);
    }
    CHECK(sum[0] >= 60 * 2 && sum[0] <= 60 * 3.2);
    CHECK(sum[1] >= sum[0] + 4 * 60);
}

static bool is_unmoved(const struct takt_outlet *o, const struct takt_outlet_stats *was)
{
    struct takt_outlet_stats s;
    takt_outlet_read_stats(o, &s);
    return s.heard == was->heard && s.repair_now == was->repair_now &&
           s.sender.receivers == was->sender.receivers && s.sender.loss == was->sender.loss &&
           s.sender.copies_now == was->sender.copies_now;
}

/* Made up, bent, played again, of another key, of another stream, of ourselves: all the same. */
static void forged_reports_change_nothing(void)
{
    NEEDS_CRYPTO();
    struct takt_random r = takt_random_seed(7);
    for (int mode = 1; mode < MODES; mode++) {
        struct takt_outlet_cfg c = pcm(50), plain = pcm(50), foreign;
        c.repair_max = 5;
        set_mode(&c, mode);
        foreign = c;
        struct takt_outlet *o = open_outlet(&c);
        struct reporter x, liar, fool;
        uint8_t good[128], out[BYTES_MAX];
        CHECK(o && reporter_open(&x, &c, REPORTER, 9));
        CHECK(reporter_open(&liar, &plain, 78, 9));
        struct takt_srtp_key other = sdes;
        other.key[0] ^= 1;
        CHECK(reporter_open(&fool, &foreign, 79, 9) &&
              takt_srtp_set_key(fool.srtp, &other, &e) == 0);
        CHECK(takt_srtp_use(fool.srtp, other.mki) == 0);
        first.count = 0;
        push(o, 0, 1000, 50, &first);
        int64_t now_ns = first.now_ns;
        int n = reporter_write(&x, 0, good, sizeof good);
        memcpy(out, good, sizeof good);
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, now_ns), 0);
        struct takt_outlet_stats was, is;
        takt_outlet_read_stats(o, &was);
        CHECK(was.heard == 1 && was.refused == 0 && was.sender.receivers == 1);
        uint64_t tried = 0;
        memcpy(out, good, sizeof good); /* played again */
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, now_ns), TAKT_ERR_FORMAT);
        CHECK_INT(tell(o, &liar, 0.5, now_ns), TAKT_ERR_FORMAT);
        CHECK_INT(tell(o, &fool, 0.5, now_ns), TAKT_ERR_FORMAT);
        tried += 3;
        for (size_t i = 0; i < first.count; i++) { /* what we said ourselves */
            memcpy(out, first.list[i].data, first.list[i].bytes);
            CHECK_INT(takt_outlet_take(o, out, first.list[i].bytes, now_ns), TAKT_ERR_FORMAT);
            tried++;
        }
        for (int i = 0; i < 300; i++) { /* a bit fell over, or it was cut, or is noise */
            size_t bytes = (size_t)reporter_write(&x, 0.5, out, sizeof out);
            if (i % 3 == 0)
                bytes = takt_random_below(&r, bytes);
            else if (i % 3 == 1)
                out[takt_random_below(&r, bytes)] ^= (uint8_t)(1u << takt_random_below(&r, 8));
            else
                for (size_t k = 2; k < bytes; k++)
                    out[k] = (uint8_t)takt_random_u64(&r);
            CHECK_INT(takt_outlet_take(o, out, bytes, now_ns), TAKT_ERR_FORMAT);
            tried++;
        }
        CHECK(is_unmoved(o, &was));
        takt_outlet_read_stats(o, &is);
        CHECK_INT(is.refused, tried);
        /* And the reporter is still known. */
        CHECK_INT(tell(o, &x, 0.05, now_ns), 0);
        CHECK(depth_now(o) > 0);
        takt_srtp_destroy(x.srtp);
        takt_srtp_destroy(fool.srtp);
        takt_outlet_destroy(o);
    }
}

/* A flood of strangers costs 200 trials a second, and those who are known are heard meanwhile. */
static void strangers_are_tried_only_so_often(void)
{
    NEEDS_CRYPTO();
    struct takt_outlet_cfg c = pcm(50);
    set_mode(&c, 1);
    struct takt_outlet *o = open_outlet(&c);
    struct reporter x, late;
    struct takt_random r = takt_random_seed(8);
    CHECK(o && reporter_open(&x, &c, REPORTER, 1) && reporter_open(&late, &c, 5, 1));
    CHECK_INT(tell(o, &x, 0, begin_ns), 0);
    for (int i = 0; i < 1000; i++) {
        uint8_t out[128];
        int n = reporter_write(&x, 0, out, sizeof out);
        out[7] ^= (uint8_t)(1 + takt_random_below(&r, 255)); /* another SSRC */
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, begin_ns), TAKT_ERR_FORMAT);
    }
    CHECK_INT(tell(o, &late, 0, begin_ns), TAKT_ERR_FORMAT);
    CHECK_INT(tell(o, &x, 0, begin_ns), 0);
    CHECK_INT(tell(o, &late, 0, begin_ns + s_ns / 10), 0);
    takt_srtp_destroy(x.srtp);
    takt_srtp_destroy(late.srtp);
    takt_outlet_destroy(o);
}

/* 32 are known; who is silent for 30 s makes room; and what he said cannot be played again. */
static void reporters_come_and_go(void)
{
    NEEDS_CRYPTO();
    struct takt_outlet_cfg c = pcm(50);
    set_mode(&c, 1);
    struct takt_outlet *o = open_outlet(&c);
    static struct reporter all[40];
    static uint8_t said[40][128];
    uint8_t out[128];
    int n = 0;
    CHECK(o);
    for (uint32_t i = 0; i < 40; i++) {
        CHECK(reporter_open(&all[i], &c, 1000 + i, i));
        n = reporter_write(&all[i], 0, said[i], sizeof said[i]);
        memcpy(out, said[i], sizeof out);
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, begin_ns), i < 32 ? 0 : TAKT_ERR_FORMAT);
    }
    for (uint32_t i = 8; i < 32; i++)
        CHECK_INT(tell(o, &all[i], 0, begin_ns + 25 * s_ns), 0);
    for (uint32_t i = 32; i < 40; i++)
        CHECK_INT(tell(o, &all[i], 0, begin_ns + 31 * s_ns), 0);
    for (uint32_t i = 0; i < 32; i++) {
        memcpy(out, said[i], sizeof out);
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, begin_ns + 32 * s_ns), TAKT_ERR_FORMAT);
    }
    for (uint32_t i = 8; i < 40; i++)
        CHECK_INT(tell(o, &all[i], 0, begin_ns + 33 * s_ns), 0);
    /* They come back once there is room again, and only with what is new. */
    for (uint32_t i = 0; i < 8; i++) {
        memcpy(out, said[i], sizeof out);
        CHECK_INT(takt_outlet_take(o, out, (size_t)n, begin_ns + 70 * s_ns), TAKT_ERR_FORMAT);
        CHECK_INT(tell(o, &all[i], 0, begin_ns + 70 * s_ns), 0);
    }
    for (uint32_t i = 0; i < 40; i++)
        takt_srtp_destroy(all[i].srtp);
    takt_outlet_destroy(o);
}

/* ---- Epochs ------------------------------------------------------------------------------------
 */

struct nonce {
    uint32_t mki, ssrc;
    uint64_t index; /* the kind on top */
};

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct nonce));
}

/* Every packet can be read, also by one who joins at it; each has a key and index of its own. */
static void epochs_turn_without_a_gap(void)
{
    NEEDS_CRYPTO();
    static struct nonce used[DATAGRAMS_MAX];
    for (int suite = 0; suite < TAKT_SRTP_SUITES; suite++) {
        struct takt_outlet_cfg c = pcm(50);
        set_mode(&c, 1 + suite);
        c.rotate_s = 1;
        c.repair_least = c.repair_max = 1;
        struct takt_outlet *o = open_outlet(&c);
        struct takt_outlet_stats s;
        CHECK(o);
        first.count = 0;
        push(o, 0, 5 * RATE + RATE / 2, 100, &first);
        takt_outlet_read_stats(o, &s);
        CHECK_INT(s.epoch, 5);
        CHECK_INT(count_of(&first, TAKT_OUTLET_RTP), 5500);
        uint32_t newest = 0;
        uint64_t changes = 0;
        int64_t turned_ns = first.list[0].at_ns;
        for (size_t i = 0; i < first.count; i++) {
            const struct datagram *d = &first.list[i];
            uint32_t mki = mki_of(&c, d);
            CHECK(mki == newest || mki == newest + 1);
            if (mki != newest) {
                CHECK(d->at_ns - turned_ns >= s_ns && d->at_ns - turned_ns < s_ns + 2 * MS);
                turned_ns = d->at_ns;
                changes++;
            }
            newest = mki;
            bool is_rtcp = d->kind == TAKT_OUTLET_RTCP;
            bool is_gcm = suite <= TAKT_SRTP_AES_128_GCM;
            struct takt_rtp p;
            struct takt_rtp_ext ext;
            struct takt_srtp_note note;
            memset(&used[i], 0, sizeof used[i]);
            used[i].mki = mki;
            used[i].ssrc = takt_be32(d->data + (is_rtcp ? 4 : 8));
            if (is_rtcp) {
                used[i].index = takt_be32(d->data + d->bytes - (is_gcm ? 8 : 18)) | UINT64_C(1)
                                                                                        << 63;
                CHECK(used[i].ssrc == SSRC);
                continue;
            }
            CHECK(takt_rtp_parse_header(d->data, d->bytes, &p) == 0 && p.ssrc - SSRC < 2);
            CHECK(takt_rtp_ext_find(&p, TAKT_NOTE_ID, &ext));
            CHECK(takt_srtp_note_get(ext.data, ext.bytes, &note));
            used[i].index = (uint64_t)note.roc << 16 | p.seq;
        }
        CHECK_INT(changes, 5);
        second = first;
        CHECK(read_all(&c, &first));
        for (size_t i = 0; i < second.count; i += 97) {
            struct peer joins;
            CHECK(peer_open(&joins, &c) && peer_read(&joins, &second.list[i]) > 0);
            peer_close(&joins);
        }
        qsort(used, first.count, sizeof used[0], compare);
        for (size_t i = 1; i < first.count; i++)
            CHECK(compare(&used[i - 1], &used[i]) != 0);
        takt_outlet_destroy(o);
    }
}

/* The stream's keys, its repair's, and those of other epochs, starts and sources all differ; so the
 * same packet looks otherwise in each. */
static void no_two_keys_are_the_same(void)
{
    NEEDS_CRYPTO();
    static struct takt_srtp_key made[64];
    size_t n = 0;
    for (uint32_t way = 0; way < 2; way++)
        for (uint32_t i = 0; i < 2; i++)
            for (uint32_t epoch = 0; epoch < 4; epoch++)
                for (uint32_t later = 0; later < 2; later++) {
                    struct takt_srtp_key_use use = {.way = (enum takt_srtp_way)way,
                                                    .ssrc = SSRC + i,
                                                    .epoch = epoch,
                                                    .start = start + later};
                    CHECK(takt_srtp_key_derive(&key, &use, &made[n++], &e) == 0);
                }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(memcmp(made[i].key, made[k].key, sizeof made[i].key) != 0);
}

/* ---- Create ------------------------------------------------------------------------------------
 */

static void create_gives_all_back_when_memory_runs_out(void)
{
    for (int mode = 0; mode < modes(); mode += 4) {
        struct takt_outlet_cfg c = pcm(50);
        struct takt_outlet *o = NULL;
        c.repair_max = 3;
        set_mode(&c, mode);
        bool failed = true;
        int steps = 0;
        for (int n = 1; failed; n++) {
            long before = fault_held();
            fault_at(n);
            int err = takt_outlet_create(&c, &o, &e);
            failed = fault_happened();
            fault_at(0);
            CHECK(failed ? err == TAKT_ERR_NOMEM && !o : err == TAKT_OK && o);
            if (failed)
                CHECK_INT(fault_held(), before);
            steps++;
        }
        CHECK(steps > 4);
        fault_at(1); /* and later none is taken */
        first.count = 0;
        push(o, 0, 5000, 100, &first);
        CHECK(!fault_happened());
        fault_at(0);
        takt_outlet_destroy(o);
    }
}

static void settings_that_make_no_sense_are_refused(void)
{
    static const struct takt_srtp_key any;
    for (int i = 0; i < 16; i++) {
        struct takt_outlet_cfg c = pcm(50);
        c.repair_max = i == 0 ? 13 : i == 1 ? 1 : 3;
        c.repair_least = i == 1 ? 2 : 0;
        c.repair_data = i == 2 ? 33 : 0;
        c.packets.repair_type = i == 3 ? 96 : i == 4 ? 97 : i == 5 ? 200 : 0;
        c.key = i >= 6 && i <= 8 ? &key : NULL;
        c.srtp_key = i == 6 || i == 15 ? &any : NULL;
        c.mki_bytes = i == 15 ? 5 : 0;
        c.is_bare = i == 7;
        c.start = i == 8 ? 0 : start;
        c.rotate_s = i == 9 ? 0.5 : i == 10 ? 90000 : i == 11 ? (double)NAN : 0;
        c.cname = i == 12 ? NULL : c.cname;
        c.datagram_bytes_max = i == 13 ? 30 : 0;
        c.packets.format.channels = i == 14 ? 0 : 2;
        struct takt_outlet *o = NULL;
        e.text[0] = 0;
        int err = takt_outlet_create(&c, &o, &e);
        CHECK(err == TAKT_ERR_ARG || (err == TAKT_ERR_UNSUPPORTED && !has_crypto()));
        CHECK(!o && e.text[0]);
    }
    takt_outlet_destroy(NULL);
}

int main(void)
{
    make_sound();
    RUN(push_of_any_size_gives_the_same_packets);
    RUN(packets_are_what_the_line_says);
    RUN(datagrams_keep_to_their_size);
    RUN(bare_is_bare);
    RUN(description_comes_first_and_on_time);
    RUN(what_is_due_goes_out_without_sound);
    RUN(bye_sends_what_is_left_and_is_the_last);
    RUN(bye_sends_the_sound_up_to_its_last_frame);
    RUN(any_m_of_a_block_come_back);
    RUN(depth_is_the_least_that_will_do);
    RUN(depth_follows_the_reports);
    RUN(few_packets_are_believed_less);
    RUN(blocks_are_as_long_as_what_they_mend);
    RUN(harm_counts_at_once_and_passes_after_20_s);
    RUN(a_block_ends_as_it_began);
    RUN(a_fixed_block_stays_as_it_is);
    RUN(reports_of_overtaking_change_the_next_block);
    RUN(bursts_are_answered_with_more);
    RUN(forged_reports_change_nothing);
    RUN(strangers_are_tried_only_so_often);
    RUN(reporters_come_and_go);
    RUN(epochs_turn_without_a_gap);
    RUN(no_two_keys_are_the_same);
    RUN(create_gives_all_back_when_memory_runs_out);
    RUN(settings_that_make_no_sense_are_refused);
    return tap_done();
}
