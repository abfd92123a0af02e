/* RTCP: compounds and their rules, every packet there and back, the clock, the interval. */
#include "hostile.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/rtcp.h"

#include <math.h>

/* Literals, so that each packet has a line. */
#define SR                                                                                         \
    "\x81\xc8\0\x0c" /* one block, 13 words */                                                     \
    "\1\2\3\4\xb4\x4d\xb7\x05\x20\0\0\0\0\0\1\0\0\0\0\5\0\0\0\x32"                                 \
    "\t\t\t\t\x40\xff\xff\xfe\0\1\0\7\0\0\0\3\xb7\x05\x20\0\0\5\x40\0"
#define SDES "\x81\xca\0\6\1\2\3\4\1\3a@b\6\4takt\x8\6\2x-L24\0" /* CNAME, TOOL and PRIV */
#define BYE                                                                                        \
    "\x81\xcb\0\2\1\2\3\4\3"                                                                       \
    "bye"
#define XR                                                                                         \
    "\x80\xcf\0\x12\1\2\3\4"                                                                       \
    "\4\0\0\2\xb4\x4d\xb7\x05\x20\0\0\0" /* a receiver's clock */                                  \
    "\5\0\0\3\t\t\t\t\0\0\0\1\0\0\0\2"   /* the answer to one */                                   \
    "\6\xe0\0\t\t\t\t\t\0\1\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0\7\0\0\0\x8\0\0\0\0"

enum { SR_BYTES = 52, SDES_BYTES = 28, BYE_BYTES = 12, XR_BYTES = 76, BYE_AT = 80, XR_AT = 92 };
enum { COMPOUND = SR_BYTES + SDES_BYTES + BYE_BYTES + XR_BYTES };
static const uint8_t compound[COMPOUND + 1] = SR SDES BYE XR;

/* Out of the compound, the packet with this number. */
static struct takt_rtcp_packet nth(int n)
{
    struct takt_rtcp_packet p = {0};
    size_t at = 0;
    for (int i = 0; i <= n; i++)
        takt_rtcp_next(compound, COMPOUND, &at, &p);
    return p;
}

static void compound_is_walked_through(void)
{
    const uint8_t types[] = {200, 202, 203, 207};
    struct takt_rtcp_packet p;
    size_t at = 0;
    CHECK_INT(takt_rtcp_check(compound, COMPOUND), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(takt_rtcp_next(compound, COMPOUND, &at, &p), 1);
        CHECK_INT(p.type, types[i]);
    }
    CHECK_INT(takt_rtcp_next(compound, COMPOUND, &at, &p), 0);
}

static void reports_are_read(void)
{
    struct takt_rtcp_reports r;
    struct takt_rtcp_packet p = nth(0);
    CHECK_INT(takt_rtcp_parse_reports(&p, &r), 0);
    CHECK(r.is_sender && r.count == 1 && r.ssrc == 0x01020304);
    CHECK(r.sender.ntp == 0xb44db70520000000 && r.sender.timestamp == 256);
    CHECK(r.sender.packets == 5 && r.sender.bytes == 50);
    const struct takt_rtcp_block *b = &r.blocks[0];
    CHECK(b->ssrc == 0x09090909 && b->reception.fraction_lost == 64);
    CHECK_INT(b->reception.lost, -2);
    CHECK(b->reception.seq_highest == 65543 && b->reception.jitter == 3);
    CHECK(b->last_sr == 0xb7052000 && b->delay == 0x00054000);
    p = nth(1);
    CHECK_INT(takt_rtcp_parse_reports(&p, &r), TAKT_ERR_ARG);
}

static bool is_text(const char *at, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(at, want, n) == 0;
}

static void sdes_is_read(void)
{
    struct takt_rtcp_packet p = nth(1);
    struct takt_rtcp_sdes where = {0};
    struct takt_rtcp_item item;
    CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 1);
    CHECK(item.type == TAKT_RTCP_CNAME && is_text(item.text, item.bytes, "a@b"));
    CHECK_INT(item.ssrc, 0x01020304);
    CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 1);
    CHECK(item.type == TAKT_RTCP_TOOL && is_text(item.text, item.bytes, "takt"));
    CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 1);
    CHECK(item.type == TAKT_RTCP_PRIV && is_text(item.prefix, item.prefix_bytes, "x-"));
    CHECK(is_text(item.text, item.bytes, "L24"));
    CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 0);
}

static void sdes_errors_stay_errors(void)
{
    const uint8_t bad[][16] = {
        {0x81, 202, 0, 1, 0, 0, 0, 1},                 /* nothing ends the chunk */
        {0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 'b'}, /* an item runs over */
        {0x81, 202, 0, 2, 0, 0, 0, 1, 8, 0, 0, 0},     /* PRIV without a prefix's length */
        {0x81, 202, 0, 2, 0, 0, 0, 1, 8, 1, 1, 0},     /* PRIV whose prefix runs over */
        {0x82, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0},     /* no second chunk */
        {0xa1, 202, 0, 3, 0, 0, 0, 1, 1, 1, 'a', 0, 1, 1, 2, 5},   /* padding cuts an item */
        {0xa1, 202, 0, 3, 0, 0, 0, 1, 1, 2, 'a', 'b', 0, 0, 0, 2}, /* and the end of a chunk */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[16];
        memcpy(bytes, bad[i], 16);
        size_t n = 4 + 4 * (size_t)bytes[3], at = 0;
        struct takt_rtcp_packet p;
        struct takt_rtcp_sdes where = {0};
        struct takt_rtcp_item item;
        const uint8_t *in = edge_put(bytes, n);
        CHECK_INT(takt_rtcp_next(in, n, &at, &p), 1);
        int more = 1;
        for (int k = 0; k < 3 && more > 0; k++)
            more = takt_rtcp_sdes_next(&p, &where, &item);
        CHECK_INT(more, TAKT_ERR_FORMAT);
        CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), TAKT_ERR_FORMAT);
    }
}

static void bye_app_and_xr_are_read(void)
{
    struct takt_rtcp_packet p = nth(2);
    struct takt_rtcp_bye bye;
    CHECK_INT(takt_rtcp_parse_bye(&p, &bye), 0);
    CHECK(bye.count == 1 && bye.ssrc[0] == 0x01020304);
    CHECK(is_text(bye.reason, bye.reason_bytes, "bye"));
    p = nth(3);
    struct takt_rtcp_xr_block b;
    uint32_t ssrc;
    size_t at = 0;
    CHECK_INT(takt_rtcp_xr_ssrc(&p, &ssrc), 0);
    CHECK_INT(ssrc, 0x01020304);
    CHECK_INT(takt_rtcp_xr_next(&p, &at, &b), 1);
    CHECK(b.type == TAKT_RTCP_XR_TIME && b.ntp == 0xb44db70520000000);
    CHECK_INT(takt_rtcp_xr_next(&p, &at, &b), 1);
    CHECK(b.type == TAKT_RTCP_XR_DLRR && b.count == 1 && b.dlrr[0].ssrc == 0x09090909);
    CHECK(b.dlrr[0].last_rr == 1 && b.dlrr[0].delay == 2);
    CHECK_INT(takt_rtcp_xr_next(&p, &at, &b), 1);
    CHECK(b.type == TAKT_RTCP_XR_SUMMARY && b.flags == 0xe0 && b.summary.seq_end == 2);
    CHECK(b.summary.lost == 3 && b.summary.copies == 4 && b.summary.jitter_dev == 8);
    CHECK_INT(takt_rtcp_xr_next(&p, &at, &b), 0);
}

static void what_is_read_is_written_as_it_was(void)
{
    uint8_t out[COMPOUND];
    size_t used = 0;
    struct takt_rtcp_reports r;
    struct takt_rtcp_packet p = nth(0);
    CHECK_INT(takt_rtcp_parse_reports(&p, &r), 0);
    used += (size_t)takt_rtcp_write_reports(&r, out, sizeof out);
    p = nth(1);
    struct takt_rtcp_item items[3];
    struct takt_rtcp_sdes where = {0};
    for (int i = 0; i < 3; i++)
        CHECK_INT(takt_rtcp_sdes_next(&p, &where, &items[i]), 1);
    used += (size_t)takt_rtcp_write_sdes(items, 3, out + used, sizeof out - used);
    p = nth(2);
    struct takt_rtcp_bye bye;
    CHECK_INT(takt_rtcp_parse_bye(&p, &bye), 0);
    used += (size_t)takt_rtcp_write_bye(&bye, out + used, sizeof out - used);
    p = nth(3);
    struct takt_rtcp_xr_block blocks[3];
    size_t at = 0;
    for (int i = 0; i < 3; i++)
        CHECK_INT(takt_rtcp_xr_next(&p, &at, &blocks[i]), 1);
    used += (size_t)takt_rtcp_write_xr(0x01020304, blocks, 3, out + used, sizeof out - used);
    CHECK_INT(used, COMPOUND);
    CHECK(!memcmp(out, compound, COMPOUND));
}

/* The rules of A.2, each broken in turn. */
static void check_refuses_what_is_no_compound(void)
{
    uint8_t b[COMPOUND + 8];
    memcpy(b, compound, COMPOUND);
    for (size_t n = 0; n < COMPOUND; n++) {
        bool is_whole = n == SR_BYTES || n == BYE_AT || n == XR_AT;
        CHECK_INT(takt_rtcp_check(edge_put(b, n), n), is_whole ? 0 : TAKT_ERR_FORMAT);
    }
    b[1] = 202;
    CHECK_INT(takt_rtcp_check(b, COMPOUND), TAKT_ERR_FORMAT);
    b[1] = 201;
    CHECK_INT(takt_rtcp_check(b, COMPOUND), 0);
    b[0] |= 0x20; /* padding in the first */
    CHECK_INT(takt_rtcp_check(b, SR_BYTES), TAKT_ERR_FORMAT);
    b[0] = 0x41; /* version 1 */
    CHECK_INT(takt_rtcp_check(b, COMPOUND), TAKT_ERR_FORMAT);
    b[0] = 0x81;
    b[SR_BYTES] |= 0x20; /* padding before the last */
    CHECK_INT(takt_rtcp_check(b, COMPOUND), TAKT_ERR_FORMAT);
    b[SR_BYTES] &= 0xdf;
    memcpy(b + COMPOUND, (uint8_t[]){0xa0, 204, 0, 1, 0, 0, 0, 4}, 8);
    CHECK_INT(takt_rtcp_check(b, sizeof b), 0);
    b[sizeof b - 1] = 5;
    CHECK_INT(takt_rtcp_check(b, sizeof b), TAKT_ERR_FORMAT);
}

static struct takt_rtcp_reports random_reports(struct takt_random *r)
{
    struct takt_rtcp_reports x = {.ssrc = (uint32_t)takt_random_u64(r),
                                  .is_sender = takt_random_below(r, 2),
                                  .count = (uint8_t)takt_random_below(r, 32)};
    if (x.is_sender)
        x.sender =
            (struct takt_rtcp_sender){takt_random_u64(r), (uint32_t)takt_random_u64(r),
                                      (uint32_t)takt_random_u64(r), (uint32_t)takt_random_u64(r)};
    for (size_t i = 0; i < x.count; i++) {
        x.blocks[i].ssrc = (uint32_t)takt_random_u64(r);
        x.blocks[i].reception.fraction_lost = (uint8_t)takt_random_u64(r);
        x.blocks[i].reception.lost = (int32_t)takt_random_below(r, 1 << 24) - (1 << 23);
        x.blocks[i].reception.seq_highest = (uint32_t)takt_random_u64(r);
        x.blocks[i].reception.jitter = (uint32_t)takt_random_u64(r);
        x.blocks[i].last_sr = (uint32_t)takt_random_u64(r);
        x.blocks[i].delay = (uint32_t)takt_random_u64(r);
    }
    return x;
}

static bool are_same(const struct takt_rtcp_reports *x, const struct takt_rtcp_reports *y)
{
    bool same = x->ssrc == y->ssrc && x->is_sender == y->is_sender && x->count == y->count &&
                x->sender.ntp == y->sender.ntp && x->sender.timestamp == y->sender.timestamp &&
                x->sender.packets == y->sender.packets && x->sender.bytes == y->sender.bytes;
    for (size_t i = 0; same && i < x->count; i++) {
        const struct takt_rtcp_block *a = &x->blocks[i], *b = &y->blocks[i];
        same = a->ssrc == b->ssrc && a->last_sr == b->last_sr && a->delay == b->delay &&
               a->reception.fraction_lost == b->reception.fraction_lost &&
               a->reception.lost == b->reception.lost &&
               a->reception.seq_highest == b->reception.seq_highest &&
               a->reception.jitter == b->reception.jitter;
    }
    return same;
}

static void reports_come_back_as_they_were(void)
{
    struct takt_random r = takt_random_seed(1);
    uint8_t out[1024];
    for (int i = 0; i < 20000; i++) {
        struct takt_rtcp_reports x = random_reports(&r), y;
        struct takt_rtcp_packet p;
        size_t at = 0;
        int n = takt_rtcp_write_reports(&x, out, sizeof out);
        CHECK(n > 0 && n % 4 == 0);
        CHECK_INT(takt_rtcp_check(edge_put(out, (size_t)n), (size_t)n), 0);
        CHECK_INT(takt_rtcp_next(out, (size_t)n, &at, &p), 1);
        CHECK_INT(takt_rtcp_parse_reports(&p, &y), 0);
        CHECK(are_same(&x, &y));
        CHECK_INT(takt_rtcp_write_reports(&x, out, (size_t)n - 1), TAKT_ERR_FULL);
    }
}

static void sdes_comes_back_as_it_was(void)
{
    struct takt_random r = takt_random_seed(2);
    char text[256];
    uint8_t out[8192];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)takt_random_u64(&r);
    for (int i = 0; i < 20000; i++) {
        struct takt_rtcp_item items[16], item;
        size_t count = takt_random_below(&r, 17), at = 0;
        for (size_t k = 0; k < count; k++) {
            bool is_priv = takt_random_below(&r, 2);
            items[k] = (struct takt_rtcp_item){
                .ssrc = (uint32_t)takt_random_below(&r, 3),
                .type = (uint8_t)(is_priv ? TAKT_RTCP_PRIV : 1 + takt_random_below(&r, 7)),
                .text = text,
                .bytes = (uint8_t)takt_random_below(&r, is_priv ? 128 : 256)};
            items[k].prefix_bytes = (uint8_t)(is_priv ? takt_random_below(&r, 128) : 0);
            items[k].prefix = is_priv ? text + 1 : NULL;
        }
        int n = takt_rtcp_write_sdes(items, count, out, sizeof out);
        CHECK(n > 0 && n % 4 == 0);
        struct takt_rtcp_packet p;
        struct takt_rtcp_sdes where = {0};
        CHECK_INT(takt_rtcp_next(edge_put(out, (size_t)n), (size_t)n, &at, &p), 1);
        for (size_t k = 0; k < count; k++) {
            CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 1);
            CHECK(item.ssrc == items[k].ssrc && item.type == items[k].type);
            CHECK(item.bytes == items[k].bytes && !memcmp(item.text, text, item.bytes));
            CHECK_INT(item.prefix_bytes, items[k].prefix_bytes);
            CHECK(!item.prefix || !memcmp(item.prefix, text + 1, item.prefix_bytes));
        }
        CHECK_INT(takt_rtcp_sdes_next(&p, &where, &item), 0);
    }
}

static void bye_and_app_come_back_as_they_were(void)
{
    uint8_t out[512];
    struct takt_rtcp_packet p;
    for (unsigned i = 0; i < 256; i++) {
        char reason[256];
        memset(reason, 'r', sizeof reason);
        struct takt_rtcp_bye bye = {.count = i % 32, .reason = reason, .reason_bytes = (uint8_t)i};
        for (uint32_t k = 0; k < bye.count; k++)
            bye.ssrc[k] = i * 0x01010101 + k;
        struct takt_rtcp_bye back;
        size_t at = 0;
        int n = takt_rtcp_write_bye(&bye, out, sizeof out);
        CHECK_INT(takt_rtcp_next(edge_put(out, (size_t)n), (size_t)n, &at, &p), 1);
        CHECK_INT(takt_rtcp_parse_bye(&p, &back), 0);
        CHECK(back.count == bye.count && !memcmp(back.ssrc, bye.ssrc, sizeof bye.ssrc));
        CHECK(back.reason_bytes == i && (i == 0 || !memcmp(back.reason, reason, i)));
        struct takt_rtcp_app app = {.subtype = i % 32, .ssrc = i, .name = {'t', 'a', 'k', 't'}};
        struct takt_rtcp_app app_back;
        app.data = (const uint8_t *)reason;
        app.bytes = i & ~3u;
        at = 0;
        n = takt_rtcp_write_app(&app, out, sizeof out);
        CHECK_INT(takt_rtcp_next(edge_put(out, (size_t)n), (size_t)n, &at, &p), 1);
        CHECK_INT(takt_rtcp_parse_app(&p, &app_back), 0);
        CHECK(app_back.subtype == i % 32 && app_back.ssrc == i && app_back.bytes == app.bytes);
        CHECK(!memcmp(app_back.name, "takt", 4) && !memcmp(app_back.data, reason, app.bytes));
    }
}

/* More answers than there is room for; and data that odd padding leaves without its last byte. */
static void xr_and_app_of_strange_lengths_are_refused(void)
{
    uint8_t many[4 + 4 + 4 + 12 * 32] = {0x80, 207, 0, 98, 0, 0, 0, 1, 5, 0, 0, 96};
    const uint8_t odd[] = {0xa0, 204, 0, 3, 0, 0, 0, 1, 't', 'a', 'k', 't', 0, 0, 0, 1};
    static struct takt_rtcp_xr_block b;
    struct takt_rtcp_packet p;
    struct takt_rtcp_app app;
    for (int left = 0; left < 2; left++) {
        size_t at = 0, block = 0, n = sizeof many - (left ? 12 : 0);
        many[3] = (uint8_t)(n / 4 - 1);
        many[11] = (uint8_t)(n / 4 - 3);
        CHECK_INT(takt_rtcp_next(edge_put(many, n), n, &at, &p), 1);
        CHECK_INT(takt_rtcp_xr_next(&p, &block, &b), left ? 1 : TAKT_ERR_FORMAT);
    }
    CHECK_INT(b.count, TAKT_RTCP_COUNT_MAX);
    size_t at = 0;
    CHECK_INT(takt_rtcp_next(odd, sizeof odd, &at, &p), 1);
    CHECK_INT(takt_rtcp_parse_app(&p, &app), TAKT_ERR_FORMAT);
}

static void write_refuses_what_the_format_cannot_say(void)
{
    uint8_t out[512];
    char text[255] = {0};
    struct takt_rtcp_reports r = {.count = 32};
    CHECK_INT(takt_rtcp_write_reports(&r, out, sizeof out), TAKT_ERR_ARG);
    r = (struct takt_rtcp_reports){.count = 1, .blocks[0].reception.lost = 1 << 23};
    CHECK_INT(takt_rtcp_write_reports(&r, out, sizeof out), TAKT_ERR_ARG);
    struct takt_rtcp_item item = {.type = TAKT_RTCP_PRIV, .text = text, .bytes = 255};
    CHECK_INT(takt_rtcp_write_sdes(&item, 1, out, sizeof out), TAKT_ERR_ARG);
    item.type = 0;
    CHECK_INT(takt_rtcp_write_sdes(&item, 1, out, sizeof out), TAKT_ERR_ARG);
    struct takt_rtcp_app app = {.subtype = 32};
    CHECK_INT(takt_rtcp_write_app(&app, out, sizeof out), TAKT_ERR_ARG);
    struct takt_rtcp_bye bye = {.count = 32};
    CHECK_INT(takt_rtcp_write_bye(&bye, out, sizeof out), TAKT_ERR_ARG);
    struct takt_rtcp_xr_block b = {.type = 99};
    CHECK_INT(takt_rtcp_write_xr(1, &b, 1, out, sizeof out), TAKT_ERR_ARG);
    b = (struct takt_rtcp_xr_block){.type = TAKT_RTCP_XR_DLRR, .count = 32};
    CHECK_INT(takt_rtcp_write_xr(1, &b, 1, out, sizeof out), TAKT_ERR_ARG);
}

/* RFC 3550, figure 2. */
static void round_trip_is_that_of_the_rfc(void)
{
    CHECK_INT(takt_ntp_middle(0xb44db70520000000), 0xb7052000);
    CHECK_INT(takt_rtcp_round_trip_ns(0xb44db71080000000, 0xb7052000, 0x00054000), 6125000000);
    CHECK_INT(takt_rtcp_round_trip_ns(0xb44db71080000000, 0, 0x00054000), -1);
    CHECK_INT(takt_rtcp_round_trip_ns(0xb44db7050000ffff, 0xb7050001, 0), 0);
    CHECK_INT(takt_rtcp_round_trip_ns(0xb44db70500000000, 0xb7052000, 0), -1);
    CHECK_INT(takt_ntp_delay(5250000000), 0x00054000);
    CHECK_INT(takt_ntp_delay(-1), 0);
    CHECK_INT(takt_ntp_delay(65536 * INT64_C(1000000000)), UINT32_MAX);
    CHECK_INT(takt_ntp_delay(INT64_MAX), UINT32_MAX);
}

static void ntp_comes_back_to_the_ns(void)
{
    struct takt_random r = takt_random_seed(3);
    CHECK(takt_ntp_from_ns(816003205125000000) == 0xb44db70520000000);
    CHECK(takt_ntp_from_ns(0) == (uint64_t)2208988800 << 32);
    for (int i = 0; i < 200000; i++) {
        /* 1900 to 2200, whose wrap is known from a clock that is years off. */
        int64_t ns = (int64_t)takt_random_below(&r, UINT64_C(9000000000000000000));
        ns -= 2208988800 * INT64_C(1000000000);
        int64_t off = (int64_t)takt_random_below(&r, UINT64_C(4000000000000000000));
        int64_t near = i & 1 || ns > INT64_C(5000000000000000000) ? ns - off / 2 : ns + off / 2;
        CHECK_INT(takt_ntp_to_ns(takt_ntp_from_ns(ns), near), ns);
    }
    takt_ntp_to_ns(UINT64_MAX, INT64_MAX);
    takt_ntp_to_ns(0, INT64_MIN);
}

static void interval_is_that_of_the_rfc(void)
{
    const double e_minus_1_5 = 2.718281828459045 - 1.5;
    struct takt_rtcp_load l = {
        .members = 2, .senders = 1, .we_sent = true, .bytes_per_s = 1000, .compound_bytes = 100};
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0.5) * 1e-9, 5 / e_minus_1_5, 1e-6);
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0) * 1e-9, 2.5 / e_minus_1_5, 1e-6);
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 1) * 1e-9, 7.5 / e_minus_1_5, 1e-6);
    l.is_initial = true;
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0.5) * 1e-9, 2.5 / e_minus_1_5, 1e-6);
    /* Many receivers share three quarters of the rate, one sender the rest. */
    l.members = 1001;
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0.5) * 1e-9, 2.5 / e_minus_1_5, 1e-6);
    l.we_sent = false;
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0.5) * 1e-9, 1000 * 100 / 750.0 / e_minus_1_5, 1e-3);
    l.interval_ns_min = INT64_C(200000000000);
    CHECK_NEAR(takt_rtcp_interval_ns(&l, 0.5) * 1e-9, 1000 * 100 / 750.0 / e_minus_1_5, 1e-3);
    l.bytes_per_s = 1e-300;
    CHECK(takt_rtcp_interval_ns(&l, 0.5) > 0);
    CHECK(takt_rtcp_interval_ns(&(struct takt_rtcp_load){0}, 0.5) > 0);
}

static void hostile_bytes_do_no_harm(void)
{
    const struct hostile_seed seeds[] = {{compound, COMPOUND},
                                         {compound + SR_BYTES, SDES_BYTES},
                                         {compound + BYE_AT, BYE_BYTES},
                                         {compound + XR_AT, XR_BYTES}};
    hostile_cuts(compound, COMPOUND);
    for (size_t i = 0; i < 4; i++)
        hostile_cuts(seeds[i].bytes, seeds[i].n);
    hostile_rounds(seeds, 4, 200000);
}

int main(void)
{
    RUN(compound_is_walked_through);
    RUN(reports_are_read);
    RUN(sdes_is_read);
    RUN(sdes_errors_stay_errors);
    RUN(bye_app_and_xr_are_read);
    RUN(what_is_read_is_written_as_it_was);
    RUN(check_refuses_what_is_no_compound);
    RUN(reports_come_back_as_they_were);
    RUN(sdes_comes_back_as_it_was);
    RUN(bye_and_app_come_back_as_they_were);
    RUN(xr_and_app_of_strange_lengths_are_refused);
    RUN(write_refuses_what_the_format_cannot_say);
    RUN(round_trip_is_that_of_the_rfc);
    RUN(ntp_comes_back_to_the_ns);
    RUN(interval_is_that_of_the_rfc);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}
