/* RTP: headers and extensions there and back, wraps, what a receiver makes of a source. */
#include "hostile.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/rtp.h"

/* Version 2, extension of the one-byte form, two CSRCs, marker, type 97, four bytes of padding. */
static const uint8_t packet[] = {
    0xb2, 0xe1, 0x12, 0x34, 0x00, 0x01, 0x02, 0x03, 0xde, 0xad, 0xbe, 0xef, 0,    0,    0,
    1,    0,    0,    0,    2,    0xbe, 0xde, 0x00, 0x03, 0x10, 0xaa, 0x00, 0x00, 0x32, 1,
    2,    3,    0,    0,    0,    0,    9,    8,    7,    6,    0,    0,    0,    4,
};

/* The two-byte form: an empty element, one of 17 bytes, padding between. */
static const uint8_t two_byte_packet[] = {
    0x90, 0x0b, 0, 1, 0, 0, 0, 2, 0, 0,  0,  3,  0x10, 0x05, 0,  6,  5,  0, 0, 200, 17,
    1,    2,    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,   14,   15, 16, 17, 0, 0, 0x55};

static void parse_takes_a_header_apart(void)
{
    struct takt_rtp p;
    CHECK_INT(takt_rtp_parse(packet, sizeof packet, &p), 0);
    CHECK(p.marker && p.has_padding && p.has_ext);
    CHECK_INT(p.payload_type, 97);
    CHECK_INT(p.seq, 0x1234);
    CHECK_INT(p.timestamp, 0x010203);
    CHECK_INT(p.ssrc, 0xdeadbeef);
    CHECK_INT(p.csrc_count, 2);
    CHECK(p.csrc[0] == 1 && p.csrc[1] == 2);
    CHECK_INT(p.ext_profile, TAKT_RTP_EXT_ONE_BYTE);
    CHECK_INT(p.ext_bytes, 12);
    CHECK_INT(p.payload_bytes, 4);
    CHECK_INT(p.payload[0], 9);
    CHECK_INT(p.padding_bytes, 4);
    CHECK_INT(takt_rtp_parse_header(packet, sizeof packet, &p), 0);
    CHECK_INT(p.payload_bytes, 8);
    CHECK_INT(p.padding_bytes, 0);
}

static void parse_refuses_other_versions_and_false_padding(void)
{
    uint8_t bytes[sizeof packet];
    struct takt_rtp p;
    for (unsigned version = 0; version < 4; version++) {
        memcpy(bytes, packet, sizeof bytes);
        bytes[0] = (uint8_t)((bytes[0] & 0x3f) | version << 6);
        CHECK_INT(takt_rtp_parse(bytes, sizeof bytes, &p), version == 2 ? 0 : TAKT_ERR_FORMAT);
    }
    memcpy(bytes, packet, sizeof bytes);
    for (unsigned padding = 0; padding < 256; padding++) {
        bytes[sizeof bytes - 1] = (uint8_t)padding;
        bool is_well = padding >= 1 && padding <= 8;
        CHECK_INT(takt_rtp_parse(bytes, sizeof bytes, &p), is_well ? 0 : TAKT_ERR_FORMAT);
    }
}

/* Up to its payload a packet is refused at every length; after it, only the padding can tell. */
static void parse_refuses_what_is_cut_off(void)
{
    struct takt_rtp p;
    for (size_t n = 0; n < sizeof packet - 8; n++)
        CHECK_INT(takt_rtp_parse_header(edge_put(packet, n), n, &p), TAKT_ERR_FORMAT);
    CHECK_INT(takt_rtp_parse_header(packet, sizeof packet - 8, &p), 0);
    CHECK_INT(p.payload_bytes, 0);
    CHECK_INT(takt_rtp_parse(packet, sizeof packet - 8, &p), TAKT_ERR_FORMAT);
}

static struct takt_rtp random_packet(struct takt_random *r, const uint8_t *bytes)
{
    struct takt_rtp p = {
        .marker = takt_random_below(r, 2),
        .has_ext = takt_random_below(r, 2),
        .payload_type = (uint8_t)takt_random_below(r, 128),
        .csrc_count = (uint8_t)takt_random_below(r, TAKT_RTP_CSRC_MAX + 1),
        .padding_bytes = (uint8_t)(takt_random_below(r, 2) ? takt_random_below(r, 256) : 0),
        .seq = (uint16_t)takt_random_u64(r),
        .timestamp = (uint32_t)takt_random_u64(r),
        .ssrc = (uint32_t)takt_random_u64(r),
        .payload = bytes + takt_random_below(r, 100),
        .payload_bytes = takt_random_below(r, 400),
    };
    for (size_t i = 0; i < p.csrc_count; i++)
        p.csrc[i] = (uint32_t)takt_random_u64(r);
    if (p.has_ext) {
        p.ext_profile = (uint16_t)takt_random_u64(r);
        p.ext = bytes;
        p.ext_bytes = 4 * takt_random_below(r, 50);
    }
    return p;
}

static void packets_come_back_as_they_were(void)
{
    struct takt_random r = takt_random_seed(1);
    uint8_t bytes[600], out[2048];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)takt_random_u64(&r);
    for (int i = 0; i < 20000; i++) {
        struct takt_rtp p = random_packet(&r, bytes), q;
        int n = takt_rtp_write(&p, out, sizeof out);
        CHECK(n > 0);
        CHECK_INT(takt_rtp_write_header(&p, out, sizeof out),
                  n - (int)p.payload_bytes - p.padding_bytes);
        CHECK_INT(takt_rtp_parse(edge_put(out, (size_t)n), (size_t)n, &q), 0);
        CHECK(p.marker == q.marker && p.payload_type == q.payload_type && p.seq == q.seq);
        CHECK(p.timestamp == q.timestamp && p.ssrc == q.ssrc && p.csrc_count == q.csrc_count);
        CHECK(!memcmp(p.csrc, q.csrc, sizeof p.csrc));
        CHECK(p.has_ext == q.has_ext && p.ext_profile == q.ext_profile);
        CHECK(p.ext_bytes == q.ext_bytes && p.padding_bytes == q.padding_bytes);
        CHECK(!p.has_ext || !memcmp(p.ext, q.ext, p.ext_bytes));
        CHECK_INT(p.payload_bytes, q.payload_bytes);
        CHECK(!memcmp(p.payload, q.payload, p.payload_bytes));
    }
}

static void write_refuses_what_the_header_cannot_say(void)
{
    uint8_t out[64];
    CHECK_INT(takt_rtp_write(&(struct takt_rtp){.payload_type = 128}, out, 64), TAKT_ERR_ARG);
    CHECK_INT(takt_rtp_write(&(struct takt_rtp){.csrc_count = 16}, out, 64), TAKT_ERR_ARG);
    struct takt_rtp p = {.has_ext = true, .ext = packet, .ext_bytes = 3};
    CHECK_INT(takt_rtp_write(&p, out, 64), TAKT_ERR_ARG);
    CHECK_INT(takt_rtp_write_header(&(struct takt_rtp){0}, out, 11), TAKT_ERR_FULL);
    CHECK_INT(takt_rtp_write_header(&(struct takt_rtp){0}, out, 12), 12);
}

/* The payload stands where it will be sent from, and only the header is written before it. */
static void payload_may_stand_in_its_place(void)
{
    uint8_t out[TAKT_RTP_HEADER_BYTES + 5] = {0};
    memcpy(out + TAKT_RTP_HEADER_BYTES, "sound", 5);
    struct takt_rtp p = {.payload = out + TAKT_RTP_HEADER_BYTES, .payload_bytes = 5}, q;
    CHECK_INT(takt_rtp_write(&p, out, sizeof out), sizeof out);
    CHECK_INT(takt_rtp_parse(out, sizeof out, &q), 0);
    CHECK(!memcmp(q.payload, "sound", 5));
}

static void extensions_of_both_forms_are_found(void)
{
    struct takt_rtp p;
    struct takt_rtp_ext e;
    CHECK_INT(takt_rtp_parse(packet, sizeof packet, &p), 0);
    CHECK(takt_rtp_ext_find(&p, 1, &e) && e.bytes == 1 && e.data[0] == 0xaa);
    CHECK(takt_rtp_ext_find(&p, 3, &e) && e.bytes == 3 && e.data[2] == 3);
    CHECK(!takt_rtp_ext_find(&p, 2, &e));
    CHECK_INT(takt_rtp_parse(two_byte_packet, sizeof two_byte_packet, &p), 0);
    CHECK(takt_rtp_ext_find(&p, 5, &e) && e.bytes == 0);
    CHECK(takt_rtp_ext_find(&p, 200, &e) && e.bytes == 17 && e.data[16] == 17);
    p.ext_profile = 0x1234;
    CHECK(!takt_rtp_ext_find(&p, 5, &e));
}

static void extension_ends_at_the_reserved_ids_and_where_it_is_cut(void)
{
    const uint8_t ends[] = {0x10, 7, 0xf0, 8, 0x20, 9, 0, 0}, cut[] = {0x10, 7, 0x25, 8};
    struct takt_rtp p = {.has_ext = true, .ext_profile = TAKT_RTP_EXT_ONE_BYTE};
    struct takt_rtp_ext e;
    size_t at = 0;
    p.ext = ends;
    p.ext_bytes = sizeof ends;
    CHECK(takt_rtp_ext_find(&p, 1, &e) && !takt_rtp_ext_find(&p, 2, &e));
    p.ext = edge_put(cut, sizeof cut);
    p.ext_bytes = sizeof cut;
    CHECK_INT(takt_rtp_ext_next(&p, &at, &e), 1);
    CHECK_INT(takt_rtp_ext_next(&p, &at, &e), TAKT_ERR_FORMAT);
    CHECK_INT(takt_rtp_ext_next(&p, &at, &e), TAKT_ERR_FORMAT);
}

static void extension_lists_take_the_shorter_form_that_holds_them(void)
{
    struct takt_random r = takt_random_seed(2);
    uint8_t data[256] = {1, 2, 3}, out[8 * 258];
    for (int i = 0; i < 20000; i++) {
        struct takt_rtp_ext list[8], e;
        size_t count = takt_random_below(&r, 9), at = 0;
        bool is_short = true, is_small = takt_random_below(&r, 2);
        for (size_t k = 0; k < count; k++) {
            list[k].id = (uint8_t)(1 + takt_random_below(&r, is_small ? 14 : 255));
            list[k].bytes = (uint8_t)takt_random_below(&r, is_small ? 18 : 256);
            list[k].data = data;
            is_short &= list[k].id <= 14 && list[k].bytes >= 1 && list[k].bytes <= 16;
        }
        struct takt_rtp p = {.has_ext = true};
        int n = takt_rtp_ext_write(list, count, &p.ext_profile, out, sizeof out);
        CHECK(n >= 0 && n % 4 == 0);
        CHECK_INT(p.ext_profile, is_short ? TAKT_RTP_EXT_ONE_BYTE : TAKT_RTP_EXT_TWO_BYTE);
        p.ext = edge_put(out, (size_t)n);
        p.ext_bytes = (size_t)n;
        for (size_t k = 0; k < count; k++) {
            CHECK_INT(takt_rtp_ext_next(&p, &at, &e), 1);
            CHECK(e.id == list[k].id && e.bytes == list[k].bytes);
            CHECK(!memcmp(e.data, data, e.bytes));
        }
        CHECK_INT(takt_rtp_ext_next(&p, &at, &e), 0);
    }
    uint16_t profile;
    CHECK_INT(takt_rtp_ext_write(&(struct takt_rtp_ext){0}, 1, &profile, out, 4), TAKT_ERR_ARG);
}

static void capture_time_comes_back(void)
{
    uint8_t out[TAKT_CAPTURE_TIME_BYTES];
    struct takt_capture_time t = {.ntp = 0x0123456789abcdef, .has_offset = true, .offset = -5}, u;
    struct takt_rtp_ext e = {.id = 1, .data = out};
    for (int with = 0; with < 2; with++) {
        t.has_offset = with;
        e.bytes = (uint8_t)takt_capture_time_write(&t, out);
        CHECK_INT(e.bytes, with ? 16 : 8);
        CHECK_INT(takt_capture_time_parse(&e, &u), 0);
        CHECK(u.ntp == t.ntp && u.has_offset == t.has_offset && u.offset == (with ? -5 : 0));
    }
    CHECK_INT(out[0], 0x01);
    CHECK_INT(out[7], 0xef);
    e.bytes = 15;
    CHECK_INT(takt_capture_time_parse(&e, &u), TAKT_ERR_FORMAT);
}

static void unwrap_finds_the_nearest(void)
{
    struct takt_random r = takt_random_seed(3);
    for (int i = 0; i < 100000; i++) {
        int64_t near = (int64_t)takt_random_u64(&r) >> takt_random_below(&r, 50);
        int64_t step16 = (int64_t)takt_random_below(&r, 1 << 16) - (1 << 15);
        int64_t step32 = (int64_t)takt_random_below(&r, INT64_C(1) << 32) - (INT64_C(1) << 31);
        int64_t want16 = (int64_t)((uint64_t)near + (uint64_t)step16);
        int64_t want32 = (int64_t)((uint64_t)near + (uint64_t)step32);
        CHECK_INT(takt_unwrap16(near, (uint16_t)want16), want16);
        CHECK_INT(takt_unwrap32(near, (uint32_t)want32), want32);
    }
    CHECK_INT(takt_unwrap16(65535, 0), 65536);
    CHECK_INT(takt_unwrap16(65536, 65535), 65535);
    CHECK_INT(takt_unwrap16(0, 65535), -1);
}

/* Takes the numbers first, first + 1, ... */
static enum takt_rtp_verdict take_many(struct takt_rtp_source *s, uint32_t first, uint32_t count)
{
    enum takt_rtp_verdict v = TAKT_RTP_PROBATION;
    for (uint32_t i = 0; i < count; i++)
        v = takt_rtp_source_take(s, (uint16_t)(first + i));
    return v;
}

static void source_is_believed_after_two_in_order(void)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, 65534);
    CHECK_INT(takt_rtp_source_take(&s, 65534), TAKT_RTP_PROBATION);
    CHECK_INT(takt_rtp_source_take(&s, 7), TAKT_RTP_PROBATION);
    CHECK_INT(takt_rtp_source_take(&s, 9), TAKT_RTP_PROBATION);
    CHECK_INT(takt_rtp_source_report(&s).lost, 0);
    CHECK_INT(takt_rtp_source_take(&s, 10), TAKT_RTP_NEXT);
    CHECK_INT(takt_rtp_source_report(&s).seq_highest, 10);
}

static void source_counts_loss_across_wraps(void)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, 65000);
    take_many(&s, 65000, 101); /* the first of them was on probation */
    struct takt_rtp_reception r = takt_rtp_source_report(&s);
    CHECK(r.lost == 0 && r.fraction_lost == 0 && r.seq_highest == 65100);
    for (uint32_t i = 65101; i <= 65101 + 200000; i++)
        if (i % 4)
            CHECK_INT(takt_rtp_source_take(&s, (uint16_t)i), TAKT_RTP_NEXT);
    r = takt_rtp_source_report(&s);
    CHECK_INT(r.seq_highest, 265101);
    CHECK_INT(r.lost, 50000);
    CHECK_INT(r.fraction_lost, 63); /* a quarter and a little less */
    take_many(&s, 265102, 100);
    CHECK_INT(takt_rtp_source_report(&s).fraction_lost, 0);
}

static void source_takes_late_packets_and_copies(void)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, 500);
    take_many(&s, 500, 300);
    CHECK_INT(takt_rtp_source_take(&s, 799), TAKT_RTP_LATE);
    CHECK_INT(takt_rtp_source_take(&s, 799 - TAKT_RTP_MISORDER_MAX), TAKT_RTP_LATE);
    CHECK_INT(takt_rtp_source_take(&s, 799 - TAKT_RTP_MISORDER_MAX - 1), TAKT_RTP_JUMP);
    struct takt_rtp_reception r = takt_rtp_source_report(&s);
    CHECK_INT(r.lost, -2);
    CHECK_INT(r.fraction_lost, 0);
    CHECK_INT(takt_rtp_source_take(&s, 799 + TAKT_RTP_DROPOUT_MAX), TAKT_RTP_JUMP);
    CHECK_INT(takt_rtp_source_take(&s, 799 + TAKT_RTP_DROPOUT_MAX - 1), TAKT_RTP_NEXT);
}

static void source_that_restarts_is_believed_at_its_second_packet(void)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, 0);
    take_many(&s, 0, 1000);
    CHECK_INT(takt_rtp_source_take(&s, 40000), TAKT_RTP_JUMP);
    CHECK_INT(takt_rtp_source_take(&s, 1000), TAKT_RTP_NEXT); /* that was a stray */
    CHECK_INT(takt_rtp_source_take(&s, 40001), TAKT_RTP_JUMP);
    CHECK_INT(takt_rtp_source_take(&s, 40003), TAKT_RTP_JUMP);
    CHECK_INT(takt_rtp_source_take(&s, 40004), TAKT_RTP_RESTART);
    CHECK_INT(take_many(&s, 40005, 10), TAKT_RTP_NEXT);
    struct takt_rtp_reception r = takt_rtp_source_report(&s);
    CHECK(r.lost == 0 && r.seq_highest == 40014);
}

/* Transits that differ by d each time: the jitter tends to d. */
static void jitter_tends_to_the_mean_difference(void)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, 0);
    take_many(&s, 0, 2);
    for (uint32_t i = 0; i < 1000; i++)
        takt_rtp_source_time(&s, 0xfffff000 + 48 * i + (i & 1 ? 160 : 0), 48 * i);
    CHECK_NEAR(takt_rtp_source_report(&s).jitter, 160, 1);
    for (uint32_t i = 0; i < 1000; i++)
        takt_rtp_source_time(&s, i & 1 ? 0x80000000 : 0, 0);
    CHECK(takt_rtp_source_report(&s).jitter > 0x7fffff00);
}

static void hostile_bytes_do_no_harm(void)
{
    const struct hostile_seed seeds[] = {{packet, sizeof packet},
                                         {two_byte_packet, sizeof two_byte_packet}};
    hostile_cuts(packet, sizeof packet);
    hostile_cuts(two_byte_packet, sizeof two_byte_packet);
    hostile_rounds(seeds, 2, 200000);
}

int main(void)
{
    RUN(parse_takes_a_header_apart);
    RUN(parse_refuses_other_versions_and_false_padding);
    RUN(parse_refuses_what_is_cut_off);
    RUN(packets_come_back_as_they_were);
    RUN(write_refuses_what_the_header_cannot_say);
    RUN(payload_may_stand_in_its_place);
    RUN(extensions_of_both_forms_are_found);
    RUN(extension_ends_at_the_reserved_ids_and_where_it_is_cut);
    RUN(extension_lists_take_the_shorter_form_that_holds_them);
    RUN(capture_time_comes_back);
    RUN(unwrap_finds_the_nearest);
    RUN(source_is_believed_after_two_in_order);
    RUN(source_counts_loss_across_wraps);
    RUN(source_takes_late_packets_and_copies);
    RUN(source_that_restarts_is_believed_at_its_second_packet);
    RUN(jitter_tends_to_the_mean_difference);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}
