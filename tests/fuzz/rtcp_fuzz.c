/* Whatever a packet says can be written, and says the same again. */
#include "fuzz.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/rtcp.h"

static uint8_t out[1 << 17];

static struct takt_rtcp_packet read_back(int bytes)
{
    struct takt_rtcp_packet p;
    size_t at = 0;
    TAKT_ASSERT(bytes > 0 && bytes % 4 == 0);
    TAKT_ASSERT(takt_rtcp_next(out, (size_t)bytes, &at, &p) == 1 && at == (size_t)bytes);
    return p;
}

static void see_reports(const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_reports r;
    if (takt_rtcp_parse_reports(p, &r) < 0)
        return;
    struct takt_rtcp_packet q = read_back(takt_rtcp_write_reports(&r, out, sizeof out));
    TAKT_ASSERT(q.type == p->type && q.count == p->count && q.bytes <= p->bytes);
    TAKT_ASSERT(memcmp(q.body, p->body, q.bytes) == 0);
}

static void see_sdes(const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_item items[256], item;
    struct takt_rtcp_sdes where = {0};
    size_t count = 0;
    while (count < 256 && takt_rtcp_sdes_next(p, &where, &item) > 0)
        items[count++] = item;
    struct takt_rtcp_packet q = read_back(takt_rtcp_write_sdes(items, count, out, sizeof out));
    where = (struct takt_rtcp_sdes){0};
    for (size_t i = 0; i < count; i++) {
        TAKT_ASSERT(takt_rtcp_sdes_next(&q, &where, &item) == 1);
        TAKT_ASSERT(item.ssrc == items[i].ssrc && item.type == items[i].type);
        TAKT_ASSERT(item.bytes == items[i].bytes && item.prefix_bytes == items[i].prefix_bytes);
        TAKT_ASSERT(memcmp(item.text, items[i].text, item.bytes) == 0);
        TAKT_ASSERT(!item.prefix || memcmp(item.prefix, items[i].prefix, item.prefix_bytes) == 0);
    }
    TAKT_ASSERT(takt_rtcp_sdes_next(&q, &where, &item) == 0);
}

static void see_bye_and_app(const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_bye bye, bye_again;
    struct takt_rtcp_app app;
    if (takt_rtcp_parse_bye(p, &bye) == 0) {
        struct takt_rtcp_packet q = read_back(takt_rtcp_write_bye(&bye, out, sizeof out));
        TAKT_ASSERT(takt_rtcp_parse_bye(&q, &bye_again) == 0 && bye_again.count == bye.count);
        TAKT_ASSERT(memcmp(bye.ssrc, bye_again.ssrc, sizeof bye.ssrc) == 0);
        TAKT_ASSERT(bye_again.reason_bytes == bye.reason_bytes);
        TAKT_ASSERT(!bye.reason_bytes ||
                    memcmp(bye_again.reason, bye.reason, bye.reason_bytes) == 0);
    }
    if (takt_rtcp_parse_app(p, &app) == 0) {
        struct takt_rtcp_packet q = read_back(takt_rtcp_write_app(&app, out, sizeof out));
        TAKT_ASSERT(q.bytes == p->bytes && memcmp(q.body, p->body, q.bytes) == 0);
    }
}

static void see_xr(const struct takt_rtcp_packet *p)
{
    static struct takt_rtcp_xr_block blocks[64], b;
    uint32_t ssrc = 0;
    size_t at = 0, count = 0;
    if (takt_rtcp_xr_ssrc(p, &ssrc) < 0)
        return;
    while (count < 64 && takt_rtcp_xr_next(p, &at, &b) > 0)
        if (b.type >= TAKT_RTCP_XR_TIME && b.type <= TAKT_RTCP_XR_SUMMARY)
            blocks[count++] = b;
    struct takt_rtcp_packet q = read_back(takt_rtcp_write_xr(ssrc, blocks, count, out, sizeof out));
    at = 0;
    for (size_t i = 0; i < count; i++) {
        TAKT_ASSERT(takt_rtcp_xr_next(&q, &at, &b) == 1);
        TAKT_ASSERT(b.type == blocks[i].type && b.ntp == blocks[i].ntp);
        TAKT_ASSERT(b.count == blocks[i].count && b.flags == blocks[i].flags);
        TAKT_ASSERT(memcmp(b.dlrr, blocks[i].dlrr, sizeof b.dlrr) == 0);
        TAKT_ASSERT(memcmp(&b.summary, &blocks[i].summary, sizeof b.summary) == 0);
    }
    TAKT_ASSERT(takt_rtcp_xr_next(&q, &at, &b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    struct takt_rtcp_packet p;
    size_t at = 0;
    int checked = takt_rtcp_check(in, bytes), more = 0;
    while ((more = takt_rtcp_next(in, bytes, &at, &p)) > 0) {
        TAKT_ASSERT(p.body >= in && p.body + p.bytes <= in + bytes);
        see_reports(&p);
        if (p.type == TAKT_RTCP_SDES)
            see_sdes(&p);
        see_bye_and_app(&p);
        see_xr(&p);
    }
    TAKT_ASSERT(more == TAKT_ERR_FORMAT ? checked < 0 : at == bytes);
    return 0;
}
