/* What parses as RTP is written as the same bytes, but for what stands in padding; and whatever
 * numbers a source sends, its counts stay in their ranges. */
#include "fuzz.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/rtp.h"

static unsigned sum; /* so that what is pointed at is read */

static void write_again(const struct takt_rtp *p, const uint8_t *in, size_t bytes)
{
    static uint8_t out[1 << 16];
    if (bytes > sizeof out)
        return;
    TAKT_ASSERT(takt_rtp_write(p, out, sizeof out) == (int)bytes);
    TAKT_ASSERT(takt_rtp_write(p, out, bytes) == (int)bytes);
    TAKT_ASSERT(takt_rtp_write(p, out, bytes - 1) == TAKT_ERR_FULL);
    TAKT_ASSERT(memcmp(out, in, bytes - p->padding_bytes) == 0);
    TAKT_ASSERT(!p->padding_bytes || out[bytes - 1] == p->padding_bytes);
}

static void walk_extension(const struct takt_rtp *p)
{
    struct takt_rtp_ext list[64], e, again;
    struct takt_capture_time captured;
    uint8_t out[64 * 260];
    size_t count = 0, at = 0;
    while (count < 64 && takt_rtp_ext_next(p, &at, &e) > 0) {
        TAKT_ASSERT(e.data >= p->ext && e.data + e.bytes <= p->ext + p->ext_bytes);
        for (size_t i = 0; i < e.bytes; i++)
            sum += e.data[i];
        takt_capture_time_parse(&e, &captured);
        list[count++] = e;
    }
    struct takt_rtp q = {.has_ext = true, .ext = out};
    int bytes = takt_rtp_ext_write(list, count, &q.ext_profile, out, sizeof out);
    TAKT_ASSERT(bytes >= 0 && bytes % 4 == 0);
    q.ext_bytes = (size_t)bytes;
    at = 0;
    for (size_t i = 0; i < count; i++) {
        TAKT_ASSERT(takt_rtp_ext_next(&q, &at, &again) == 1);
        TAKT_ASSERT(again.id == list[i].id && again.bytes == list[i].bytes);
        TAKT_ASSERT(memcmp(again.data, list[i].data, again.bytes) == 0);
        TAKT_ASSERT(takt_rtp_ext_find(p, list[i].id, &again));
    }
    TAKT_ASSERT(takt_rtp_ext_next(&q, &at, &again) == 0);
}

static void follow_source(const uint8_t *in, size_t bytes)
{
    struct takt_rtp_source s;
    takt_rtp_source_init(&s, bytes >= 2 ? takt_be16(in) : 0);
    for (size_t at = 0; at + 6 <= bytes; at += 6) {
        takt_rtp_source_take(&s, takt_be16(in + at));
        takt_rtp_source_time(&s, takt_be32(in + at + 2), (uint32_t)at);
        if (in[at] & 1) {
            struct takt_rtp_reception r = takt_rtp_source_report(&s);
            TAKT_ASSERT(r.lost >= -0x800000 && r.lost <= 0x7fffff);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    struct takt_rtp p;
    if (takt_rtp_parse_header(in, bytes, &p) == 0)
        TAKT_ASSERT(p.payload + p.payload_bytes == in + bytes);
    if (takt_rtp_parse(in, bytes, &p) == 0) {
        write_again(&p, in, bytes);
        walk_extension(&p);
    }
    follow_source(in, bytes);
    return 0;
}
