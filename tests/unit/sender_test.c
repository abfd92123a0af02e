/* The sender: frames in, packets out, and reports both ways. */
#include "fault.h"
#include "hostile.h"
#include "net/sender.h"
#include "wire/red.h"
#include "wire/rtcp.h"
#include "wire/rtp.h"

#include <math.h>

enum { PACKETS_MAX = 4096, BYTES_MAX = 1600, CHANNELS = 8, FRAMES = 1 << 14, MS = 1000000 };
enum { S = 1000 }; /* in MS */

static struct takt_error e;

/* What was emitted. */
static struct caught {
    size_t count;
    size_t bytes[PACKETS_MAX];
    uint8_t data[PACKETS_MAX][BYTES_MAX];
} first, second;

static void catch (void *arg, uint8_t *packet, size_t bytes)
{
    struct caught *to = arg;
    if (to->count == PACKETS_MAX || bytes > BYTES_MAX)
        abort();
    to->bytes[to->count] = bytes;
    memcpy(to->data[to->count++], packet, bytes);
    memset(packet, 0xee, bytes + TAKT_SENDER_SPARE_BYTES); /* as encryption would */
}

static void ignore(void *arg, uint8_t *packet, size_t bytes)
{
    (void)arg, (void)packet, (void)bytes;
}

static float sound[CHANNELS][FRAMES];
static const float *whole[CHANNELS];

static void make_sound(uint64_t seed)
{
    struct takt_random r = takt_random_seed(seed);
    for (int c = 0; c < CHANNELS; c++) {
        float x = 0;
        for (int i = 0; i < FRAMES; i++) {
            x = 0.9f * x + 0.1f * (float)(2 * takt_random_unit(&r) - 1);
            sound[c][i] = x;
        }
        whole[c] = sound[c];
    }
}

static void planes_at(uint32_t frame, const float *planes[CHANNELS])
{
    for (int c = 0; c < CHANNELS; c++)
        planes[c] = sound[c] + frame;
}

static struct takt_sender_cfg pcm(enum takt_codec codec, uint32_t channels, uint32_t frames)
{
    return (struct takt_sender_cfg){
        .packets =
            {.format = {.codec = codec, .rate_hz = 48000, .channels = channels, .frames = frames},
             .payload_type = 96,
             .red_type = 97},
        .ssrc = 0x12345678,
        .seq = 65530,
        .timestamp = UINT32_MAX - 100,
        .cname = "someone",
    };
}

static struct takt_sender_cfg opus(uint32_t channels, uint32_t frames)
{
    struct takt_sender_cfg c = pcm(TAKT_CODEC_OPUS, channels, frames);
    c.packets.format.bit_rate = 96000;
    return c;
}

static struct takt_sender *open_sender(const struct takt_sender_cfg *c)
{
    struct takt_sender *s;
    return takt_sender_create(c, &s, &e) == TAKT_OK ? s : NULL;
}

static bool has_opus(void)
{
    struct takt_sender_cfg c = opus(1, 240);
    return takt_codec_check(&c.packets.format, NULL) == TAKT_OK;
}

/* Pushes all the sound, in pieces of up to `most` frames or in one. */
static void push_all(struct takt_sender *s, struct takt_random *r, uint32_t most, struct caught *to)
{
    for (uint32_t at = 0; at < FRAMES;) {
        uint32_t n = most ? 1 + (uint32_t)takt_random_below(r, most) : FRAMES;
        n = n < FRAMES - at ? n : FRAMES - at;
        const float *planes[CHANNELS];
        planes_at(at, planes);
        size_t before = to->count;
        int packets = takt_sender_push(s, planes, n, 0, catch, to);
        if ((size_t)packets != to->count - before)
            abort();
        at += n;
    }
}

static bool are_equal(const struct caught *a, const struct caught *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->bytes[i] == b->bytes[i] && !memcmp(a->data[i], b->data[i], a->bytes[i]);
    return same;
}

/* ---- Packets -----------------------------------------------------------------------------------
 */

static void push_of_any_size_gives_the_same_packets(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int i = 0; i < ROUNDS(40); i++) {
        bool is_opus = i % 4 == TAKT_CODEC_OPUS;
        uint32_t channels = 1 + (uint32_t)takt_random_below(&r, 2);
        struct takt_sender_cfg c =
            is_opus ? opus(channels, i % 8 < 4 ? 120 : 480)
                    : pcm((enum takt_codec)(i % 4), channels, 5 + (uint32_t)i % 120);
        if (is_opus && !has_opus())
            continue;
        c.copies = c.packets.format.frames <= 240 ? (uint32_t)takt_random_below(&r, 4) : 0;
        make_sound((uint64_t)i);
        struct takt_sender *s = open_sender(&c), *t = open_sender(&c);
        CHECK(s && t);
        first.count = second.count = 0;
        push_all(s, &r, 0, &first);
        push_all(t, &r, 3 * c.packets.format.frames, &second);
        CHECK_INT(first.count, FRAMES / c.packets.format.frames);
        CHECK(are_equal(&first, &second));
        takt_sender_destroy(s);
        takt_sender_destroy(t);
    }
}

/* Numbers and times go on over their wraps, and each packet decodes to the sound it is of. */
static void packets_go_on_over_wraps(void)
{
    struct takt_random r = takt_random_seed(2);
    make_sound(2);
    for (int codec = TAKT_CODEC_L16; codec <= TAKT_CODEC_F32; codec++) {
        struct takt_sender_cfg c = pcm((enum takt_codec)codec, 2, 48);
        struct takt_sender *s = open_sender(&c);
        struct takt_decoder *d;
        CHECK(s && takt_decoder_create(&c.packets.format, 48, &d, &e) == TAKT_OK);
        first.count = 0;
        push_all(s, &r, 200, &first);
        for (uint32_t i = 0; i < first.count; i++) {
            struct takt_rtp p;
            float out[2][48], *to[2] = {out[0], out[1]};
            CHECK_INT(takt_rtp_parse(edge_put(first.data[i], first.bytes[i]), first.bytes[i], &p),
                      0);
            CHECK(p.seq == (uint16_t)(c.seq + i) && p.timestamp == c.timestamp + 48 * i);
            CHECK(p.ssrc == c.ssrc && p.payload_type == 96 && p.marker == (i == 0));
            CHECK(!p.has_ext && p.csrc_count == 0 && p.padding_bytes == 0);
            CHECK_INT(takt_decoder_decode(d, p.payload, p.payload_bytes, to, 48), 48);
            for (int k = 0; k < 48; k++)
                for (int ch = 0; ch < 2; ch++)
                    CHECK_NEAR(out[ch][k], sound[ch][48 * i + (uint32_t)k], 1.0 / 32768);
        }
        takt_decoder_destroy(d);
        takt_sender_destroy(s);
    }
}

/* Opus counts 48000 a second whatever its rate. */
static void opus_timestamps_are_of_48_khz(void)
{
    struct takt_random r = takt_random_seed(3);
    if (!has_opus())
        SKIP("built without Opus");
    make_sound(3);
    struct takt_sender_cfg c = opus(1, 160);
    c.packets.format.rate_hz = 16000;
    struct takt_sender *s = open_sender(&c);
    CHECK(s);
    first.count = 0;
    push_all(s, &r, 1000, &first);
    CHECK_INT(first.count, FRAMES / 160);
    for (uint32_t i = 0; i < first.count; i++) {
        struct takt_rtp p;
        CHECK_INT(takt_rtp_parse(first.data[i], first.bytes[i], &p), 0);
        CHECK(p.timestamp == c.timestamp + 480 * i);
    }
    takt_sender_destroy(s);
}

/* Blocks of a device that wakes as it likes: a packet's time is that of the block its first frame
 * came in, and the frames before it there. */
static void capture_times_are_of_the_first_frame(void)
{
    const int64_t unix_ns = INT64_C(1750000000123456789);
    static int64_t frame_ns[FRAMES];
    struct takt_random r = takt_random_seed(4);
    for (int round = 0; round < 6; round++) {
        struct takt_sender_cfg c =
            round == 5 ? opus(2, 120) : pcm(TAKT_CODEC_L24, 2, 1 + (uint32_t)round * 37);
        if (round == 5 && !has_opus())
            continue;
        c.packets.format.rate_hz = round == 5 ? 48000 : round % 2 ? 44100 : 96000;
        c.packets.capture_id = round % 3 ? 3 : 200;
        struct takt_sender *s = open_sender(&c);
        CHECK(s);
        struct takt_encoder *encoder;
        CHECK(takt_encoder_create(&c.packets.format, &encoder, &e) == TAKT_OK);
        double behind_ns = 1e9 * takt_encoder_delay_frames(encoder) / c.packets.format.rate_hz;
        takt_encoder_destroy(encoder);
        takt_sender_set_clock(s, unix_ns);
        first.count = 0;
        int64_t now_ns = 777;
        for (uint32_t at = 0; at < FRAMES / 8;) {
            uint32_t n = 1 + (uint32_t)takt_random_below(&r, 300);
            const float *planes[CHANNELS];
            planes_at(at, planes);
            now_ns += (int64_t)takt_random_below(&r, 20 * MS);
            for (uint32_t i = 0; i < n; i++)
                frame_ns[at + i] =
                    now_ns + (int64_t)(1e9 * i / c.packets.format.rate_hz - behind_ns);
            takt_sender_push(s, planes, n, now_ns, catch, &first);
            at += n;
        }
        CHECK(first.count > 0);
        for (uint32_t i = 0; i < first.count; i++) {
            struct takt_rtp p;
            struct takt_rtp_ext ext;
            struct takt_capture_time t;
            CHECK_INT(takt_rtp_parse(first.data[i], first.bytes[i], &p), 0);
            CHECK(takt_rtp_ext_find(&p, c.packets.capture_id, &ext));
            CHECK(takt_capture_time_parse(&ext, &t) == 0 && !t.has_offset);
            int64_t is_ns = takt_ntp_to_ns(t.ntp, unix_ns) - unix_ns;
            CHECK_NEAR(is_ns, frame_ns[i * c.packets.format.frames], 2);
        }
        takt_sender_destroy(s);
    }
}

static void note_now(void *arg, uint32_t ssrc, uint16_t seq, struct takt_srtp_note *out)
{
    out->roc = ssrc ^ seq;
    out->start = *(uint64_t *)arg;
}

/* Beside the capture time, in both forms of extension. */
static void notes_say_what_they_are_told(void)
{
    static const uint8_t ids[][2] = {{1, 2}, {0, 14}, {14, 15}, {255, 1}, {0, 200}};
    uint64_t start = 0xfedcba9876543210;
    make_sound(5);
    for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
        struct takt_sender_cfg c = pcm(TAKT_CODEC_L16, 1, 480);
        c.packets.capture_id = ids[k][0];
        c.packets.note_id = ids[k][1];
        c.note = note_now;
        c.note_arg = &start;
        struct takt_sender *s = open_sender(&c);
        CHECK(s);
        first.count = 0;
        push_all(s, NULL, 0, &first);
        for (uint32_t i = 0; i < first.count; i++) {
            struct takt_rtp p;
            struct takt_rtp_ext ext;
            struct takt_srtp_note note;
            CHECK_INT(takt_rtp_parse(first.data[i], first.bytes[i], &p), 0);
            CHECK(takt_rtp_ext_find(&p, ids[k][1], &ext));
            CHECK(takt_srtp_note_get(ext.data, ext.bytes, &note));
            CHECK(note.roc == (c.ssrc ^ p.seq) && note.start == start);
            CHECK(takt_rtp_ext_find(&p, ids[k][0] ? ids[k][0] : 7, &ext) == (ids[k][0] != 0));
        }
        takt_sender_destroy(s);
    }
}

/* As many of the payloads before as were asked for, or fit; each as it was. */
static void copies_are_the_payloads_before(void)
{
    struct takt_random r = takt_random_seed(6);
    for (int round = 0; round < ROUNDS(60); round++) {
        bool is_opus = round % 3 == 0 && has_opus();
        struct takt_sender_cfg plain =
            is_opus ? opus(2, 120) : pcm(TAKT_CODEC_L24, 1 + (uint32_t)round % 3, 48);
        make_sound((uint64_t)round);
        struct takt_sender_cfg c = plain;
        c.copies = 1 + (uint32_t)takt_random_below(&r, 3);
        if (takt_random_below(&r, 2)) {
            c.trailer_bytes = takt_random_below(&r, 25);
            c.datagram_bytes_max = 1320 + takt_random_below(&r, 153);
        }
        struct takt_sender *s = open_sender(&c), *t = open_sender(&plain);
        CHECK(s && t);
        first.count = second.count = 0;
        push_all(s, NULL, 0, &first);
        push_all(t, NULL, 0, &second);
        CHECK_INT(first.count, second.count);
        size_t room = c.datagram_bytes_max ? c.datagram_bytes_max - c.trailer_bytes - 12 : 1440;
        for (size_t i = 0; i < first.count; i++) {
            struct takt_rtp p, q;
            struct takt_red_block blocks[4] = {0};
            CHECK_INT(takt_rtp_parse(first.data[i], first.bytes[i], &p), 0);
            CHECK_INT(takt_rtp_parse(second.data[i], second.bytes[i], &q), 0);
            CHECK(p.payload_bytes <= room && p.payload_bytes <= 1440);
            size_t fit = 0, bytes = 1 + q.payload_bytes;
            for (; fit < c.copies && fit < i; fit++) {
                bytes += 4 + second.bytes[i - fit - 1] - TAKT_RTP_HEADER_BYTES;
                if (bytes > (room < 1440 ? room : 1440))
                    break;
            }
            CHECK(p.payload_type == (fit ? 97 : 96) && p.seq == q.seq);
            if (fit == 0) {
                CHECK(p.payload_bytes == q.payload_bytes);
                CHECK(!memcmp(p.payload, q.payload, q.payload_bytes));
                continue;
            }
            CHECK_INT(takt_red_parse(p.payload, p.payload_bytes, blocks, 4), fit + 1);
            for (size_t k = 0; k <= fit; k++) {
                size_t of = i - fit + k;
                CHECK_INT(takt_rtp_parse(second.data[of], second.bytes[of], &q), 0);
                CHECK(blocks[k].payload_type == 96);
                CHECK(p.timestamp - blocks[k].offset == q.timestamp);
                CHECK(blocks[k].bytes == q.payload_bytes);
                CHECK(!memcmp(blocks[k].data, q.payload, q.payload_bytes));
            }
        }
        takt_sender_destroy(s);
        takt_sender_destroy(t);
    }
}

/* Either all packets fit, or none is made, and the line says what would have fitted. */
static void packets_that_do_not_fit_are_refused(void)
{
    struct takt_random r = takt_random_seed(7);
    int refused = 0, taken = 0;
    for (int i = 0; i < ROUNDS(2000); i++) {
        uint32_t channels = 1 + (uint32_t)takt_random_below(&r, CHANNELS);
        struct takt_sender_cfg c = pcm((enum takt_codec)takt_random_below(&r, 3), channels,
                                       1 + (uint32_t)takt_random_below(&r, 600));
        c.packets.capture_id = takt_random_below(&r, 2) ? 1 : 0;
        if (takt_random_below(&r, 2)) {
            c.trailer_bytes = 20;
            c.datagram_bytes_max = 600 + takt_random_below(&r, 900);
        }
        size_t bytes = takt_codec_bytes_max(&c.packets.format), room = 1440;
        if (c.datagram_bytes_max) {
            room = c.datagram_bytes_max - 20 - 12 - (c.packets.capture_id ? 16 : 0);
            room = room < 1440 ? room : 1440;
        }
        struct takt_sender *s;
        e.text[0] = 0;
        int code = takt_sender_create(&c, &s, &e);
        CHECK_INT(code, bytes <= room ? TAKT_OK : TAKT_ERR_ARG);
        if (code == TAKT_OK) {
            taken++;
            first.count = 0;
            takt_sender_push(s, whole, c.packets.format.frames, 0, catch, &first);
            CHECK(first.count == 1);
            CHECK(!c.datagram_bytes_max || first.bytes[0] + 20 <= c.datagram_bytes_max);
            takt_sender_destroy(s);
            continue;
        }
        refused++;
        const char *at = strrchr(e.text, '(');
        CHECK(at && strstr(e.text, "or less fit"));
        c.packets.format.frames = (uint32_t)strtoul(at + 1, NULL, 10);
        CHECK(takt_codec_bytes_max(&c.packets.format) <= room);
        CHECK_INT(takt_sender_create(&c, &s, &e), TAKT_OK);
        takt_sender_destroy(s);
        c.packets.format.frames++;
        CHECK_INT(takt_sender_create(&c, &s, &e), TAKT_ERR_ARG);
        CHECK(!s);
    }
    CHECK(refused > 10 && taken > 10);
}

static void settings_that_make_no_sense_are_refused(void)
{
    for (int i = 0; i < 12; i++) {
        struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
        struct takt_session_packets *p = &c.packets;
        p->payload_type = i == 0 ? 128 : p->payload_type;
        p->red_type = i == 1 || i == 2 ? (i == 1 ? 0 : 96) : i == 3 ? 200 : p->red_type;
        c.copies = i == 1 || i == 2 ? 1 : i == 4 ? 4 : i == 5 ? 2 : 0;
        c.copies_max = i == 5 ? 1 : i == 6 ? 4 : 0;
        c.cname = i == 7 ? NULL : i == 8 ? "" : c.cname;
        p->note_id = i == 9 ? 3 : 0;
        c.trailer_bytes = i == 10 ? 25 : 0;
        p->format.channels = i == 11 ? 0 : 2;
        struct takt_sender *s;
        e.text[0] = 0;
        CHECK_INT(takt_sender_create(&c, &s, &e), TAKT_ERR_ARG);
        CHECK(!s && e.text[0]);
    }
    /* FEC and copies each have packets of their own. */
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L16, 1, 241);
    struct takt_sender *s;
    c.copies_max = 1;
    CHECK_INT(takt_sender_create(&c, &s, &e), TAKT_ERR_ARG);
    CHECK(strstr(e.text, "5 ms"));
}

/* What was lost ends the packet that has been begun, and begins the next one that there is sound
 * for; no packets go out for what is between, and time goes on. What is left at the end is filled
 * up. */
static void lost_frames_are_a_hole_in_time(void)
{
    static const uint32_t at[] = {0, 4, 5};
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L16, 2, 48);
    c.copies = c.copies_max = 2;
    c.packets.red_type = 99;
    struct takt_sender *s = open_sender(&c);
    CHECK(s);
    make_sound(8);
    first.count = 0;
    CHECK_INT(takt_sender_flush(s, catch, &first), 0);
    CHECK_INT(takt_sender_push(s, whole, 24, 0, catch, &first), 0);
    CHECK_INT(takt_sender_push(s, NULL, 24 + 3 * 48 + 30, 0, catch, &first), 1);
    CHECK_INT(takt_sender_push(s, NULL, 0, 0, catch, &first), 0);
    CHECK_INT(takt_sender_push(s, whole, 18 + 48 + 2, 0, catch, &first), 2);
    CHECK_INT(takt_sender_flush(s, catch, &first), 1);
    CHECK_INT(takt_sender_flush(s, catch, &first), 0);
    CHECK_INT(first.count, 4);
    for (size_t i = 0; i < 3; i++) {
        struct takt_rtp p;
        struct takt_red_block blocks[TAKT_RED_BLOCKS_MAX];
        CHECK_INT(takt_rtp_parse(first.data[i], first.bytes[i], &p), 0);
        CHECK(p.timestamp == c.timestamp + 48 * at[i] && p.seq == (uint16_t)(c.seq + i));
        int count = p.payload_type == 99
                        ? takt_red_parse(p.payload, p.payload_bytes, blocks, TAKT_RED_BLOCKS_MAX)
                        : 1;
        CHECK_INT(count, i == 2 ? 2 : 1); /* copies never reach over the hole */
        const uint8_t *own = count > 1 ? blocks[1].data : p.payload;
        size_t quiet_from = i == 0 ? 24 * 4 : 0, quiet_to = i == 0 ? 48 * 4 : i == 1 ? 30 * 4 : 0;
        for (size_t k = quiet_from; k < quiet_to; k++)
            CHECK(own[k] == 0);
        CHECK(own[i == 1 ? 30 * 4 + 1 : 1] != 0);
    }
    takt_sender_destroy(s);
}

/* ---- Reports -----------------------------------------------------------------------------------
 */

static bool find_packet(const uint8_t *in, size_t bytes, uint8_t type, struct takt_rtcp_packet *out)
{
    for (size_t at = 0; takt_rtcp_next(in, bytes, &at, out) > 0;)
        if (out->type == type)
            return true;
    return false;
}

static bool find_item(const uint8_t *in, size_t bytes, uint8_t type, struct takt_rtcp_item *out)
{
    struct takt_rtcp_packet p;
    struct takt_rtcp_sdes where = {0};
    if (!find_packet(in, bytes, TAKT_RTCP_SDES, &p))
        return false;
    while (takt_rtcp_sdes_next(&p, &where, out) > 0)
        if (out->type == type)
            return true;
    return false;
}

static void report_says_what_was_sent_and_when(void)
{
    const int64_t unix_ns = INT64_C(1750000000000000000);
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    struct takt_rtcp_packet p;
    struct takt_rtcp_reports sr;
    struct takt_sender *s = open_sender(&c);
    CHECK(s);
    make_sound(9);
    takt_sender_set_clock(s, unix_ns);
    /* Before the first packet there is nothing to report, but who it is. */
    int n = takt_sender_report(s, 5, out, sizeof out);
    CHECK(n > 0 && takt_rtcp_check(out, (size_t)n) == 0);
    CHECK(!find_packet(out, (size_t)n, TAKT_RTCP_SR, &p));
    CHECK_INT(takt_sender_report(s, 5, out, sizeof out - 1), TAKT_ERR_FULL);
    first.count = 0;
    for (int64_t k = 0; k < 300; k++) {
        const float *planes[CHANNELS];
        planes_at(32 * (uint32_t)k, planes);
        takt_sender_push(s, planes, 32, 1000 * MS + k * 32 * MS / 48, catch, &first);
        if (k % 50)
            continue;
        int64_t now_ns = 1003 * MS + k * 32 * MS / 48;
        n = takt_sender_report(s, now_ns, out, sizeof out);
        CHECK(n > 0 && takt_rtcp_check(out, (size_t)n) == 0);
        if (k == 0)
            continue;
        CHECK(find_packet(out, (size_t)n, TAKT_RTCP_SR, &p));
        CHECK_INT(takt_rtcp_parse_reports(&p, &sr), 0);
        CHECK(sr.ssrc == c.ssrc && sr.count == 0);
        CHECK_INT(sr.sender.packets, first.count);
        CHECK_INT(sr.sender.bytes, first.count * 48 * 6);
        CHECK_INT(takt_ntp_to_ns(sr.sender.ntp, unix_ns), unix_ns + now_ns);
        int32_t off = (int32_t)(sr.sender.timestamp - c.timestamp - 32 * (uint32_t)k - 3 * 48);
        CHECK(off >= -1 && off <= 1);
    }
    struct takt_rtcp_item i;
    CHECK(find_item(out, (size_t)n, TAKT_RTCP_CNAME, &i));
    CHECK(i.bytes == 7 && !memcmp(i.text, "someone", 7) && i.ssrc == c.ssrc);
    CHECK(find_item(out, (size_t)n, TAKT_RTCP_TOOL, &i));
    CHECK(i.bytes == strlen("takt " TAKT_VERSION) &&
          !memcmp(i.text, "takt " TAKT_VERSION, i.bytes));
    struct takt_session_packets told;
    CHECK_INT(takt_session_heard(out, (size_t)n, c.ssrc, &told), 1);
    CHECK(told.format.codec == TAKT_CODEC_L24 && told.format.rate_hz == 48000);
    CHECK(told.format.channels == 2 && told.format.frames == 48);
    CHECK(told.payload_type == 96 && told.red_type == 97);
    CHECK_INT(takt_session_heard(out, (size_t)n, c.ssrc + 1, &told), 0);
    struct takt_sender_stats stats;
    takt_sender_read_stats(s, &stats);
    CHECK(stats.packets == first.count && stats.bytes == first.count * (48 * 6 + 12));
    takt_sender_destroy(s);
}

static void bye_ends_the_stream(void)
{
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    static char reason[400];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L16, 1, 48);
    struct takt_sender *s = open_sender(&c);
    struct takt_rtcp_packet p;
    struct takt_rtcp_bye bye;
    CHECK(s);
    takt_sender_push(s, NULL, 48, 0, ignore, NULL);
    memset(reason, 'y', sizeof reason - 1);
    const char *const reasons[] = {NULL, "done", reason};
    for (int i = 0; i < 3; i++) {
        int n = takt_sender_bye(s, MS, reasons[i], out, sizeof out);
        CHECK(n > 0 && takt_rtcp_check(out, (size_t)n) == 0);
        CHECK(find_packet(out, (size_t)n, TAKT_RTCP_BYE, &p));
        CHECK_INT(takt_rtcp_parse_bye(&p, &bye), 0);
        CHECK(bye.count == 1 && bye.ssrc[0] == c.ssrc);
        size_t told = reasons[i] ? strlen(reasons[i]) : 0;
        CHECK_INT(bye.reason_bytes, told > 255 ? 255 : told);
    }
    takt_sender_destroy(s);
}

/* What a receiver says: a report block, after it whatever is in `more`. */
struct says {
    uint32_t ssrc, about;
    struct takt_rtp_reception reception;
    uint32_t last_sr, delay;
};

static size_t write_says(const struct says *x, uint8_t *out, size_t room)
{
    struct takt_rtcp_reports r = {.ssrc = x->ssrc, .count = 1};
    r.blocks[0] = (struct takt_rtcp_block){
        .ssrc = x->about, .reception = x->reception, .last_sr = x->last_sr, .delay = x->delay};
    int n = takt_rtcp_write_reports(&r, out, room);
    return n > 0 ? (size_t)n : 0;
}

static int tell(struct takt_sender *s, const struct says *x, int64_t now_ns)
{
    uint8_t out[64];
    size_t n = write_says(x, out, sizeof out);
    return takt_sender_take_rtcp(s, edge_put(out, n), n, now_ns);
}

static uint32_t last_middle(const uint8_t *out, int n)
{
    struct takt_rtcp_packet p;
    struct takt_rtcp_reports sr = {0};
    if (find_packet(out, (size_t)n, TAKT_RTCP_SR, &p))
        takt_rtcp_parse_reports(&p, &sr);
    return takt_ntp_middle(sr.sender.ntp);
}

/* Even when the wall clock jumps in between; and not from a report that never was. */
static void round_trip_is_found(void)
{
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    struct takt_random r = takt_random_seed(10);
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L16, 1, 48);
    struct takt_sender *s = open_sender(&c);
    struct takt_sender_receiver heard;
    CHECK(s);
    make_sound(8);
    takt_sender_push(s, whole, 48, 0, ignore, NULL);
    struct says x = {.ssrc = 1, .about = c.ssrc, .last_sr = 12345, .reception.jitter = 480};
    CHECK_INT(tell(s, &x, 0), 0);
    CHECK_INT(takt_sender_read_receivers(s, &heard, 1), 1);
    CHECK(heard.ssrc == 1 && heard.round_trip_ns == -1 && heard.jitter_ns == 10 * MS);
    int64_t now_ns = 5 * MS;
    for (int i = 0; i < 200; i++) {
        takt_sender_set_clock(s, (int64_t)takt_random_below(&r, UINT64_C(2000000000000000000)));
        int n = takt_sender_report(s, now_ns, out, sizeof out);
        CHECK(n > 0);
        x.last_sr = last_middle(out, n);
        int64_t trip_ns = (int64_t)takt_random_below(&r, 900 * MS);
        int64_t lay_ns = (int64_t)takt_random_below(&r, 5000 * (uint64_t)MS);
        x.delay = takt_ntp_delay(lay_ns);
        takt_sender_set_clock(s, (int64_t)takt_random_below(&r, UINT64_C(2000000000000000000)));
        now_ns += trip_ns + lay_ns;
        CHECK_INT(tell(s, &x, now_ns), 0);
        CHECK_INT(takt_sender_read_receivers(s, &heard, 1), 1);
        CHECK_NEAR(heard.round_trip_ns, trip_ns, 20000);
        x.delay = UINT32_MAX; /* longer ago than it was sent */
        CHECK_INT(tell(s, &x, now_ns), 0);
        takt_sender_read_receivers(s, &heard, 1);
        CHECK_NEAR(heard.round_trip_ns, trip_ns, 20000);
    }
    takt_sender_destroy(s);
}

/* Reports every 5 s of a receiver that loses so much. Returns the copies after the last. */
static uint32_t hear(struct takt_sender *s, struct says *x, int64_t *now_ns, double loss,
                     int reports)
{
    struct takt_sender_stats stats;
    for (int i = 0; i < reports; i++) {
        *now_ns += (int64_t)5 * S * MS;
        x->reception.seq_highest += 5000;
        x->reception.lost += (int32_t)(5000 * loss);
        x->reception.fraction_lost = (uint8_t)(256 * loss);
        if (tell(s, x, *now_ns) < 0)
            return 99;
    }
    takt_sender_read_stats(s, &stats);
    return stats.copies_now;
}

static void copies_follow_the_worst_receiver_and_come_back(void)
{
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 3;
    struct takt_sender *s = open_sender(&c);
    struct says good = {.ssrc = 1, .about = c.ssrc, .reception.seq_highest = 7};
    struct says bad = {.ssrc = 2, .about = c.ssrc, .reception.seq_highest = 65000};
    int64_t now_ns = INT64_C(1000000000000000);
    CHECK(s);
    CHECK_INT(hear(s, &good, &now_ns, 0, 2), 0);
    CHECK_INT(hear(s, &good, &now_ns, 0.0002, 5), 0); /* one in 5000: not worth it */
    CHECK_INT(hear(s, &bad, &now_ns, 0.01, 1), 0); /* a first report is of nobody knows how many */
    CHECK_INT(hear(s, &bad, &now_ns, 0.01, 1), 1);
    CHECK_INT(hear(s, &bad, &now_ns, 0.05, 1), 2);
    CHECK_INT(hear(s, &good, &now_ns, 0, 1), 2); /* the worst counts */
    CHECK_INT(hear(s, &bad, &now_ns, 0.12, 1), 3);
    CHECK_INT(hear(s, &bad, &now_ns, 0.05, 4), 3); /* it holds for a while, */
    CHECK_INT(hear(s, &bad, &now_ns, 0.05, 6), 2);
    CHECK_INT(hear(s, &bad, &now_ns, 0.01, 20), 1);
    CHECK_INT(hear(s, &bad, &now_ns, 0, 2), 1);
    CHECK_INT(hear(s, &bad, &now_ns, 0, 20), 0); /* and comes back */
    struct takt_sender_stats stats;
    takt_sender_read_stats(s, &stats);
    CHECK(stats.loss < 1e-4 && stats.loss_percent == 0);
    takt_sender_destroy(s);
}

/* One report of loss at a time does not make the stream swing. */
static void copies_do_not_swing(void)
{
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 3;
    struct takt_sender *s = open_sender(&c);
    struct says x = {.ssrc = 1, .about = c.ssrc};
    int64_t now_ns = 0;
    uint32_t changes = 0, before = 0;
    struct takt_random r = takt_random_seed(11);
    CHECK(s);
    for (int i = 0; i < 720; i++) { /* an hour about the edge between 1 and 2 */
        uint32_t copies = hear(s, &x, &now_ns, 0.0173 + 0.006 * (takt_random_unit(&r) - 0.5), 1);
        changes += copies != before;
        before = copies;
    }
    CHECK(changes <= 2);
    takt_sender_destroy(s);
}

/* Who is silent for half a minute, or says good bye, is not waited for. */
static void receivers_that_are_gone_are_forgotten(void)
{
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 3;
    struct takt_sender *s = open_sender(&c);
    struct takt_sender_stats stats;
    struct says x = {.ssrc = 1, .about = c.ssrc};
    int64_t now_ns = 0;
    CHECK(s);
    CHECK_INT(hear(s, &x, &now_ns, 0.05, 2), 2);
    for (int i = 0; i < 14; i++)
        CHECK(takt_sender_report(s, now_ns += (int64_t)5 * S * MS, out, sizeof out) > 0);
    takt_sender_read_stats(s, &stats);
    CHECK(stats.receivers == 0 && stats.copies_now == 0);
    CHECK_INT(hear(s, &x, &now_ns, 0.05, 2), 2);
    size_t n = write_says(&x, out, sizeof out);
    struct takt_rtcp_bye bye = {.count = 1, .ssrc = {1}};
    int more = takt_rtcp_write_bye(&bye, out + n, sizeof out - n);
    CHECK(more > 0 && takt_sender_take_rtcp(s, out, n + (size_t)more, now_ns) == 0);
    takt_sender_read_stats(s, &stats);
    CHECK(stats.receivers == 0);
    takt_sender_destroy(s);
}

/* Opus of 10 ms and more has FEC instead, which wants to know how much is lost. */
static void opus_is_told_what_is_lost(void)
{
    if (!has_opus())
        SKIP("built without Opus");
    struct takt_sender_cfg c = opus(1, 480);
    c.packets.format.fec = true;
    c.packets.format.loss_percent = 2;
    c.follows_loss = true;
    struct takt_sender *s = open_sender(&c);
    struct takt_sender_stats stats;
    struct says x = {.ssrc = 1, .about = c.ssrc};
    int64_t now_ns = 0;
    static const struct {
        double loss;
        int reports;
        uint32_t percent;
    } steps[] = {{0, 1, 2},    {0.0712, 1, 7}, {0.0712, 4, 8},
                 {0.9, 1, 30}, {0.07, 2, 30},  {0, 30, 2}};
    CHECK(s);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        CHECK_INT(hear(s, &x, &now_ns, steps[i].loss, steps[i].reports), 0);
        takt_sender_read_stats(s, &stats);
        CHECK_INT(stats.loss_percent, steps[i].percent);
        takt_sender_push(s, whole, 480, 0, ignore, NULL);
    }
    takt_sender_destroy(s);
}

/* A receiver that sends its clock gets it back, once, and how long it lay here. */
static void clocks_are_answered(void)
{
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    struct takt_sender *s = open_sender(&c);
    struct takt_rtcp_packet p;
    CHECK(s);
    for (uint32_t i = 0; i < 40; i++) {
        struct says x = {.ssrc = i + 1, .about = i == 3 ? 99 : c.ssrc};
        struct takt_rtcp_xr_block clock = {
            .type = TAKT_RTCP_XR_TIME, .ntp = UINT64_C(0x1111222233334444) + ((uint64_t)i << 16)};
        size_t n = write_says(&x, out, sizeof out);
        int more = takt_rtcp_write_xr(x.ssrc, &clock, 1, out + n, sizeof out - n);
        CHECK(more > 0);
        CHECK_INT(takt_sender_take_rtcp(s, out, n + (size_t)more, 10 * MS), 0);
    }
    uint32_t answered = 0;
    for (int round = 0; round < 3; round++) {
        struct takt_rtcp_xr_block b;
        size_t at = 0;
        int n = takt_sender_report(s, 260 * MS, out, sizeof out);
        CHECK(n > 0 && takt_rtcp_check(out, (size_t)n) == 0);
        if (!find_packet(out, (size_t)n, TAKT_RTCP_XR, &p))
            break;
        CHECK_INT(takt_rtcp_xr_next(&p, &at, &b), 1);
        CHECK(b.type == TAKT_RTCP_XR_DLRR);
        for (uint8_t k = 0; k < b.count; k++) {
            CHECK(b.dlrr[k].delay == 0x4000 && b.dlrr[k].ssrc != 4);
            CHECK(b.dlrr[k].last_rr == 0x22223333 + b.dlrr[k].ssrc - 1);
            answered++;
        }
    }
    CHECK_INT(answered, TAKT_SENDER_RECEIVERS_MAX);
    struct takt_sender_stats stats;
    takt_sender_read_stats(s, &stats);
    CHECK(stats.receivers == TAKT_SENDER_RECEIVERS_MAX && stats.crowded == 40 - 1 - 32);
    takt_sender_destroy(s);
}

static void extended_reports_count(void)
{
    static uint8_t out[256];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 3;
    struct takt_sender *s = open_sender(&c);
    struct takt_sender_stats stats;
    struct says x = {.ssrc = 1, .about = c.ssrc};
    CHECK(s);
    for (int i = 0; i < 3; i++) {
        struct takt_rtcp_xr_block sum = {.type = TAKT_RTCP_XR_SUMMARY, .flags = 0x80};
        sum.summary = (struct takt_rtcp_summary){.ssrc = i == 0 ? 5 : c.ssrc,
                                                 .seq_begin = 65000,
                                                 .seq_end = 464, /* 1000 packets */
                                                 .lost = i == 1 ? 2000 : 50};
        size_t n = write_says(&x, out, sizeof out);
        int more = takt_rtcp_write_xr(1, &sum, 1, out + n, sizeof out - n);
        CHECK(more > 0 && takt_sender_take_rtcp(s, out, n + (size_t)more, 0) == 0);
        takt_sender_read_stats(s, &stats);
        CHECK_INT(stats.copies_now, i < 2 ? 0 : 2);
        CHECK_NEAR(stats.loss, i < 2 ? 0 : 0.05 - sqrt(0.05 * 0.95 / 1000), 1e-9);
    }
    takt_sender_destroy(s);
}

static void reports_of_others_change_nothing(void)
{
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 3;
    struct takt_sender *s = open_sender(&c);
    struct takt_sender_stats stats;
    struct says of_other = {.ssrc = 1, .about = 5, .reception.fraction_lost = 128};
    struct says of_self = {.ssrc = c.ssrc, .about = c.ssrc, .reception.fraction_lost = 128};
    CHECK(s);
    CHECK_INT(tell(s, &of_other, 0), 0);
    CHECK_INT(tell(s, &of_self, 0), 0);
    takt_sender_read_stats(s, &stats);
    CHECK(stats.receivers == 0 && stats.copies_now == 0 && stats.collided == 1);
    uint8_t none[4] = {0x80, 200, 0, 9};
    CHECK_INT(takt_sender_take_rtcp(s, none, 4, 0), TAKT_ERR_FORMAT);
    CHECK_INT(takt_sender_take_rtcp(s, none, 0, 0), TAKT_ERR_FORMAT);
    takt_sender_read_stats(s, &stats);
    CHECK_INT(stats.malformed, 2);
    takt_sender_destroy(s);
}

/* Between a quarter of a second and 8 s for one receiver or two, and the first few in half the time
 * of the others. */
static void reports_are_due_within_bounds(void)
{
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    for (int i = 0; i < 3; i++) {
        struct takt_sender_cfg c = i == 2 && has_opus() ? opus(1, 960)
                                   : i == 1             ? pcm(TAKT_CODEC_L16, 1, 480)
                                                        : pcm(TAKT_CODEC_L24, 2, 48);
        c.packets.format.bit_rate = i == 2 ? 6000 : 0;
        struct takt_sender *s = open_sender(&c);
        CHECK(s);
        make_sound(1);
        int64_t early_ns = 0, late_ns = 0;
        takt_sender_push(s, whole, FRAMES, 0, ignore, NULL);
        for (int k = 0; k < 9; k++) {
            int64_t least_ns = takt_sender_report_interval_ns(s, 0);
            int64_t most_ns = takt_sender_report_interval_ns(s, 1);
            CHECK(least_ns >= 100 * (int64_t)MS && most_ns <= (int64_t)8 * S * MS);
            CHECK(most_ns > 2 * least_ns);
            CHECK(takt_sender_report(s, k, out, sizeof out) > 0);
            *(k == 0 ? &early_ns : &late_ns) = least_ns;
        }
        CHECK(early_ns < late_ns);
        takt_sender_destroy(s);
    }
}

/* ---- Hostile bytes, and memory -----------------------------------------------------------------
 */

static struct takt_sender *target;

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static int64_t now_ns;
    static uint8_t out[TAKT_SENDER_REPORT_BYTES_MAX];
    struct takt_sender_stats stats;
    struct takt_sender_receiver list[TAKT_SENDER_RECEIVERS_MAX + 1];
    takt_sender_take_rtcp(target, in, bytes, now_ns += MS);
    takt_sender_read_stats(target, &stats);
    size_t count = takt_sender_read_receivers(target, list, TAKT_SENDER_RECEIVERS_MAX + 1);
    TAKT_ASSERT(count == stats.receivers && count <= TAKT_SENDER_RECEIVERS_MAX);
    TAKT_ASSERT(stats.copies_now <= 2 && stats.loss >= 0 && stats.loss <= 1);
    TAKT_ASSERT(stats.loss_percent <= 100);
    for (size_t i = 0; i < count; i++)
        TAKT_ASSERT(list[i].loss >= 0 && list[i].loss <= 1 && list[i].jitter_ns >= 0 &&
                    list[i].round_trip_ns >= -1);
    int n = takt_sender_report(target, now_ns, out, sizeof out);
    TAKT_ASSERT(n > 0 && takt_rtcp_check(out, (size_t)n) == 0);
    return 0;
}

static void hostile_reports_are_borne(void)
{
    static uint8_t rr[1024];
    struct takt_sender_cfg c = pcm(TAKT_CODEC_L24, 2, 48);
    c.copies_max = 2;
    target = open_sender(&c);
    CHECK(target);
    takt_sender_push(target, NULL, 4800, 0, ignore, NULL);
    struct says x = {.ssrc = 3, .about = c.ssrc, .last_sr = 1, .reception.fraction_lost = 9};
    size_t n = write_says(&x, rr, sizeof rr);
    struct takt_rtcp_xr_block blocks[3] = {
        {.type = TAKT_RTCP_XR_TIME, .ntp = 77},
        {.type = TAKT_RTCP_XR_SUMMARY, .flags = 0xe0, .summary = {.ssrc = c.ssrc, .seq_end = 9}},
        {.type = TAKT_RTCP_XR_DLRR, .count = 1},
    };
    struct takt_rtcp_bye bye = {.count = 1, .ssrc = {9}, .reason_bytes = 2, .reason = "no"};
    n += (size_t)takt_rtcp_write_xr(3, blocks, 3, rr + n, sizeof rr - n);
    n += (size_t)takt_rtcp_write_bye(&bye, rr + n, sizeof rr - n);
    CHECK_INT(takt_rtcp_check(rr, n), 0);
    hostile_cuts(rr, n);
    hostile_rounds(&(struct hostile_seed){rr, n}, 1, 60000);
    takt_sender_destroy(target);
}

static void create_without_memory_gives_all_of_it_back(void)
{
    for (int codec = TAKT_CODEC_L16; codec <= TAKT_CODEC_OPUS; codec++) {
        struct takt_sender_cfg c =
            codec == TAKT_CODEC_OPUS ? opus(2, 240) : pcm((enum takt_codec)codec, 2, 48);
        if (codec == TAKT_CODEC_OPUS && !has_opus())
            continue;
        long before = fault_held();
        for (int n = 1;; n++) {
            struct takt_sender *s;
            fault_at(n);
            int code = takt_sender_create(&c, &s, &e);
            bool failed = fault_happened();
            fault_at(0);
            CHECK_INT(code, failed ? TAKT_ERR_NOMEM : TAKT_OK);
            CHECK(failed ? !s : s != NULL);
            takt_sender_destroy(s);
            CHECK_INT(fault_held(), before);
            if (!failed)
                break;
        }
    }
    takt_sender_destroy(NULL);
}

int main(void)
{
    RUN(push_of_any_size_gives_the_same_packets);
    RUN(packets_go_on_over_wraps);
    RUN(opus_timestamps_are_of_48_khz);
    RUN(capture_times_are_of_the_first_frame);
    RUN(notes_say_what_they_are_told);
    RUN(copies_are_the_payloads_before);
    RUN(packets_that_do_not_fit_are_refused);
    RUN(settings_that_make_no_sense_are_refused);
    RUN(lost_frames_are_a_hole_in_time);
    RUN(report_says_what_was_sent_and_when);
    RUN(bye_ends_the_stream);
    RUN(round_trip_is_found);
    RUN(copies_follow_the_worst_receiver_and_come_back);
    RUN(copies_do_not_swing);
    RUN(receivers_that_are_gone_are_forgotten);
    RUN(opus_is_told_what_is_lost);
    RUN(clocks_are_answered);
    RUN(extended_reports_count);
    RUN(reports_of_others_change_nothing);
    RUN(reports_are_due_within_bounds);
    RUN(hostile_reports_are_borne);
    RUN(create_without_memory_gives_all_of_it_back);
    return tap_done();
}
