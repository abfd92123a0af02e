#include "wire/rtcp.h"

#include "wire/bytes.h"

enum { VERSION = 2, PADDING = 0x20, HEAD_BYTES = 4, BLOCK_BYTES = 24, SENDER_BYTES = 20 };

int takt_rtcp_next(const uint8_t *in, size_t bytes, size_t *at, struct takt_rtcp_packet *out)
{
    if (*at == bytes)
        return 0;
    if (bytes - *at < HEAD_BYTES)
        return TAKT_ERR_FORMAT;
    const uint8_t *p = in + *at;
    size_t body = 4 * (size_t)takt_be16(p + 2);
    if (p[0] >> 6 != VERSION || bytes - *at - HEAD_BYTES < body)
        return TAKT_ERR_FORMAT;
    *at += HEAD_BYTES + body;
    size_t padding = 0;
    if (p[0] & PADDING) {
        padding = body ? p[HEAD_BYTES + body - 1] : 0;
        if (padding == 0 || padding > body || *at != bytes)
            return TAKT_ERR_FORMAT;
    }
    *out = (struct takt_rtcp_packet){
        .type = p[1], .count = p[0] & 0x1f, .body = p + HEAD_BYTES, .bytes = body - padding};
    return 1;
}

int takt_rtcp_check(const uint8_t *in, size_t bytes)
{
    struct takt_rtcp_packet p = {0};
    size_t at = 0;
    int more = takt_rtcp_next(in, bytes, &at, &p);
    if (more <= 0 || (p.type != TAKT_RTCP_SR && p.type != TAKT_RTCP_RR) || in[0] & PADDING)
        return TAKT_ERR_FORMAT;
    while (more > 0)
        more = takt_rtcp_next(in, bytes, &at, &p);
    return more;
}

/* Begins a packet whose length end() fills in. */
static struct takt_pen begin(uint8_t *out, size_t room, uint8_t type, size_t count)
{
    struct takt_pen pen = takt_pen_at(out, room);
    takt_pen_u8(&pen, (unsigned)(VERSION << 6 | (count & 0x1f)));
    takt_pen_u8(&pen, type);
    takt_pen_u16(&pen, 0);
    return pen;
}

static int end(struct takt_pen *pen)
{
    if (pen->is_full)
        return TAKT_ERR_FULL;
    size_t words = pen->used / 4 - 1;
    if (words > UINT16_MAX)
        return TAKT_ERR_ARG;
    pen->to[2] = (uint8_t)(words >> 8);
    pen->to[3] = (uint8_t)words;
    return takt_pen_done(pen);
}

/* ---- Reports -----------------------------------------------------------------------------------
 */

static int32_t signed24(uint32_t x)
{
    return x & 0x800000 ? (int32_t)x - 0x1000000 : (int32_t)x;
}

static struct takt_rtcp_block read_block(const uint8_t *p)
{
    return (struct takt_rtcp_block){
        .ssrc = takt_be32(p),
        .reception = {.fraction_lost = p[4],
                      .lost = signed24(takt_be24(p + 5)),
                      .seq_highest = takt_be32(p + 8),
                      .jitter = takt_be32(p + 12)},
        .last_sr = takt_be32(p + 16),
        .delay = takt_be32(p + 20),
    };
}

int takt_rtcp_parse_reports(const struct takt_rtcp_packet *p, struct takt_rtcp_reports *out)
{
    if (p->type != TAKT_RTCP_SR && p->type != TAKT_RTCP_RR)
        return TAKT_ERR_ARG;
    size_t at = 4, sender = p->type == TAKT_RTCP_SR ? SENDER_BYTES : 0;
    if (p->bytes < at + sender + (size_t)p->count * BLOCK_BYTES)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_rtcp_reports){
        .ssrc = takt_be32(p->body), .is_sender = sender, .count = p->count};
    if (sender) {
        out->sender = (struct takt_rtcp_sender){.ntp = takt_be64(p->body + 4),
                                                .timestamp = takt_be32(p->body + 12),
                                                .packets = takt_be32(p->body + 16),
                                                .bytes = takt_be32(p->body + 20)};
    }
    at += sender;
    for (size_t i = 0; i < p->count; i++, at += BLOCK_BYTES)
        out->blocks[i] = read_block(p->body + at);
    return 0;
}

int takt_rtcp_write_reports(const struct takt_rtcp_reports *r, uint8_t *out, size_t room)
{
    if (r->count > TAKT_RTCP_COUNT_MAX)
        return TAKT_ERR_ARG;
    struct takt_pen pen = begin(out, room, r->is_sender ? TAKT_RTCP_SR : TAKT_RTCP_RR, r->count);
    takt_pen_u32(&pen, r->ssrc);
    if (r->is_sender) {
        takt_pen_u64(&pen, r->sender.ntp);
        takt_pen_u32(&pen, r->sender.timestamp);
        takt_pen_u32(&pen, r->sender.packets);
        takt_pen_u32(&pen, r->sender.bytes);
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct takt_rtcp_block *b = &r->blocks[i];
        if (b->reception.lost < -0x800000 || b->reception.lost > 0x7fffff)
            return TAKT_ERR_ARG;
        takt_pen_u32(&pen, b->ssrc);
        takt_pen_u8(&pen, b->reception.fraction_lost);
        takt_pen_u24(&pen, (uint32_t)b->reception.lost);
        takt_pen_u32(&pen, b->reception.seq_highest);
        takt_pen_u32(&pen, b->reception.jitter);
        takt_pen_u32(&pen, b->last_sr);
        takt_pen_u32(&pen, b->delay);
    }
    return end(&pen);
}

/* ---- SDES: a chunk is an SSRC, items, and zeros up to the next word, one at least -------------
 */

static int read_item(const struct takt_rtcp_packet *p, struct takt_rtcp_sdes *where,
                     struct takt_rtcp_item *out)
{
    const uint8_t *item = p->body + where->at;
    size_t left = p->bytes - where->at;
    if (left < 2 || left - 2 < item[1])
        return TAKT_ERR_FORMAT;
    size_t bytes = item[1];
    const char *text = (const char *)item + 2;
    *out = (struct takt_rtcp_item){.ssrc = where->ssrc, .type = item[0]};
    if (out->type == TAKT_RTCP_PRIV) {
        if (bytes == 0 || (size_t)item[2] + 1 > bytes)
            return TAKT_ERR_FORMAT;
        out->prefix_bytes = item[2];
        out->prefix = text + 1;
        text += 1 + out->prefix_bytes;
        bytes -= 1u + out->prefix_bytes;
    }
    out->text = text;
    out->bytes = (uint8_t)bytes;
    where->at += 2u + item[1];
    return 1;
}

int takt_rtcp_sdes_next(const struct takt_rtcp_packet *p, struct takt_rtcp_sdes *where,
                        struct takt_rtcp_item *out)
{
    if (p->type != TAKT_RTCP_SDES)
        return TAKT_ERR_ARG;
    for (;;) {
        if (!where->is_in_chunk) {
            if (where->chunks_begun == p->count)
                return 0;
            if (p->bytes - where->at < 4)
                return TAKT_ERR_FORMAT;
            where->ssrc = takt_be32(p->body + where->at);
            where->at += 4;
            where->chunks_begun++;
            where->is_in_chunk = true;
        }
        if (where->at == p->bytes)
            return TAKT_ERR_FORMAT; /* the zero at a chunk's end is missing */
        if (p->body[where->at] != 0)
            return read_item(p, where, out);
        size_t after = (where->at | 3) + 1;
        if (after > p->bytes)
            return TAKT_ERR_FORMAT;
        where->is_in_chunk = false;
        where->at = after;
    }
}

static void end_chunk(struct takt_pen *pen)
{
    takt_pen_u8(pen, 0);
    takt_pen_align(pen);
}

static int put_item(struct takt_pen *pen, const struct takt_rtcp_item *item)
{
    bool is_priv = item->type == TAKT_RTCP_PRIV;
    size_t prefix = is_priv ? 1 + (size_t)item->prefix_bytes : 0;
    if (item->type == 0 || prefix + item->bytes > UINT8_MAX)
        return TAKT_ERR_ARG;
    takt_pen_u8(pen, item->type);
    takt_pen_u8(pen, (unsigned)(prefix + item->bytes));
    if (is_priv) {
        takt_pen_u8(pen, item->prefix_bytes);
        takt_pen_bytes(pen, item->prefix, item->prefix_bytes);
    }
    takt_pen_bytes(pen, item->text, item->bytes);
    return 0;
}

int takt_rtcp_write_sdes(const struct takt_rtcp_item *items, size_t count, uint8_t *out,
                         size_t room)
{
    size_t chunks = 0;
    for (size_t i = 0; i < count; i++)
        chunks += i == 0 || items[i].ssrc != items[i - 1].ssrc;
    if (chunks > TAKT_RTCP_COUNT_MAX)
        return TAKT_ERR_ARG;
    struct takt_pen pen = begin(out, room, TAKT_RTCP_SDES, chunks);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || items[i].ssrc != items[i - 1].ssrc) {
            if (i)
                end_chunk(&pen);
            takt_pen_u32(&pen, items[i].ssrc);
        }
        int err = put_item(&pen, &items[i]);
        if (err < 0)
            return err;
    }
    if (count)
        end_chunk(&pen);
    return end(&pen);
}

/* ---- BYE and APP -------------------------------------------------------------------------------
 */

int takt_rtcp_parse_bye(const struct takt_rtcp_packet *p, struct takt_rtcp_bye *out)
{
    if (p->type != TAKT_RTCP_BYE)
        return TAKT_ERR_ARG;
    size_t at = 4 * (size_t)p->count;
    if (p->bytes < at)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_rtcp_bye){.count = p->count};
    for (size_t i = 0; i < p->count; i++)
        out->ssrc[i] = takt_be32(p->body + 4 * i);
    if (p->bytes == at)
        return 0;
    out->reason_bytes = p->body[at++];
    out->reason = (const char *)p->body + at;
    return p->bytes - at < out->reason_bytes ? TAKT_ERR_FORMAT : 0;
}

int takt_rtcp_write_bye(const struct takt_rtcp_bye *b, uint8_t *out, size_t room)
{
    if (b->count > TAKT_RTCP_COUNT_MAX)
        return TAKT_ERR_ARG;
    struct takt_pen pen = begin(out, room, TAKT_RTCP_BYE, b->count);
    for (size_t i = 0; i < b->count; i++)
        takt_pen_u32(&pen, b->ssrc[i]);
    if (b->reason_bytes) {
        takt_pen_u8(&pen, b->reason_bytes);
        takt_pen_bytes(&pen, b->reason, b->reason_bytes);
        takt_pen_align(&pen);
    }
    return end(&pen);
}

int takt_rtcp_parse_app(const struct takt_rtcp_packet *p, struct takt_rtcp_app *out)
{
    if (p->type != TAKT_RTCP_APP)
        return TAKT_ERR_ARG;
    if (p->bytes < 8 || p->bytes % 4 != 0)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_rtcp_app){.subtype = p->count,
                                  .ssrc = takt_be32(p->body),
                                  .data = p->body + 8,
                                  .bytes = p->bytes - 8};
    memcpy(out->name, p->body + 4, sizeof out->name);
    return 0;
}

int takt_rtcp_write_app(const struct takt_rtcp_app *a, uint8_t *out, size_t room)
{
    if (a->subtype > 31 || a->bytes % 4 != 0)
        return TAKT_ERR_ARG;
    struct takt_pen pen = begin(out, room, TAKT_RTCP_APP, a->subtype);
    takt_pen_u32(&pen, a->ssrc);
    takt_pen_bytes(&pen, a->name, sizeof a->name);
    takt_pen_bytes(&pen, a->data, a->bytes);
    return end(&pen);
}

/* ---- XR ----------------------------------------------------------------------------------------
 */

enum { DLRR_BYTES = 12, SUMMARY_BYTES = 36 };

int takt_rtcp_xr_ssrc(const struct takt_rtcp_packet *p, uint32_t *out)
{
    if (p->type != TAKT_RTCP_XR)
        return TAKT_ERR_ARG;
    if (p->bytes < 4)
        return TAKT_ERR_FORMAT;
    *out = takt_be32(p->body);
    return 0;
}

static int read_dlrr(const uint8_t *p, size_t bytes, struct takt_rtcp_xr_block *out)
{
    if (bytes % DLRR_BYTES != 0 || bytes / DLRR_BYTES > TAKT_RTCP_COUNT_MAX)
        return TAKT_ERR_FORMAT;
    out->count = (uint8_t)(bytes / DLRR_BYTES);
    for (size_t i = 0; i < out->count; i++, p += DLRR_BYTES)
        out->dlrr[i] = (struct takt_rtcp_dlrr){takt_be32(p), takt_be32(p + 4), takt_be32(p + 8)};
    return 1;
}

/* The last word, of TTLs, is left alone. */
static void read_summary(const uint8_t *p, struct takt_rtcp_summary *out)
{
    *out = (struct takt_rtcp_summary){
        .ssrc = takt_be32(p),
        .seq_begin = takt_be16(p + 4),
        .seq_end = takt_be16(p + 6),
        .lost = takt_be32(p + 8),
        .copies = takt_be32(p + 12),
        .jitter_min = takt_be32(p + 16),
        .jitter_max = takt_be32(p + 20),
        .jitter_mean = takt_be32(p + 24),
        .jitter_dev = takt_be32(p + 28),
    };
}

int takt_rtcp_xr_next(const struct takt_rtcp_packet *p, size_t *at, struct takt_rtcp_xr_block *out)
{
    uint32_t ssrc;
    int err = takt_rtcp_xr_ssrc(p, &ssrc);
    if (err < 0)
        return err;
    if (*at == 0)
        *at = 4;
    if (*at == p->bytes)
        return 0;
    if (p->bytes - *at < 4)
        return TAKT_ERR_FORMAT;
    const uint8_t *block = p->body + *at;
    size_t bytes = 4 * (size_t)takt_be16(block + 2);
    if (p->bytes - *at - 4 < bytes)
        return TAKT_ERR_FORMAT;
    *at += 4 + bytes;
    *out = (struct takt_rtcp_xr_block){.type = block[0]};
    if (out->type == TAKT_RTCP_XR_TIME) {
        if (bytes != 8)
            return TAKT_ERR_FORMAT;
        out->ntp = takt_be64(block + 4);
    } else if (out->type == TAKT_RTCP_XR_DLRR) {
        return read_dlrr(block + 4, bytes, out);
    } else if (out->type == TAKT_RTCP_XR_SUMMARY) {
        if (bytes != SUMMARY_BYTES)
            return TAKT_ERR_FORMAT;
        out->flags = block[1];
        read_summary(block + 4, &out->summary);
    }
    return 1;
}

static void put_dlrr(struct takt_pen *pen, const struct takt_rtcp_xr_block *b)
{
    takt_pen_u8(pen, 0);
    takt_pen_u16(pen, b->count * (DLRR_BYTES / 4u));
    for (size_t i = 0; i < b->count; i++) {
        takt_pen_u32(pen, b->dlrr[i].ssrc);
        takt_pen_u32(pen, b->dlrr[i].last_rr);
        takt_pen_u32(pen, b->dlrr[i].delay);
    }
}

static void put_summary(struct takt_pen *pen, const struct takt_rtcp_xr_block *b)
{
    const struct takt_rtcp_summary *s = &b->summary;
    takt_pen_u8(pen, b->flags);
    takt_pen_u16(pen, SUMMARY_BYTES / 4);
    takt_pen_u32(pen, s->ssrc);
    takt_pen_u16(pen, s->seq_begin);
    takt_pen_u16(pen, s->seq_end);
    takt_pen_u32(pen, s->lost);
    takt_pen_u32(pen, s->copies);
    takt_pen_u32(pen, s->jitter_min);
    takt_pen_u32(pen, s->jitter_max);
    takt_pen_u32(pen, s->jitter_mean);
    takt_pen_u32(pen, s->jitter_dev);
    takt_pen_u32(pen, 0);
}

int takt_rtcp_write_xr(uint32_t ssrc, const struct takt_rtcp_xr_block *blocks, size_t count,
                       uint8_t *out, size_t room)
{
    struct takt_pen pen = begin(out, room, TAKT_RTCP_XR, 0);
    takt_pen_u32(&pen, ssrc);
    for (size_t i = 0; i < count; i++) {
        const struct takt_rtcp_xr_block *b = &blocks[i];
        takt_pen_u8(&pen, b->type);
        if (b->type == TAKT_RTCP_XR_TIME) {
            takt_pen_u8(&pen, 0);
            takt_pen_u16(&pen, 2);
            takt_pen_u64(&pen, b->ntp);
        } else if (b->type == TAKT_RTCP_XR_DLRR && b->count <= TAKT_RTCP_COUNT_MAX) {
            put_dlrr(&pen, b);
        } else if (b->type == TAKT_RTCP_XR_SUMMARY) {
            put_summary(&pen, b);
        } else {
            return TAKT_ERR_ARG;
        }
    }
    return end(&pen);
}

/* ---- Its clock ---------------------------------------------------------------------------------
 */

static const int64_t ns_per_s = 1000000000, unix_epoch_s = 2208988800; /* since 1900 */

uint64_t takt_ntp_from_ns(int64_t unix_ns)
{
    int64_t s = unix_ns / ns_per_s, ns = unix_ns % ns_per_s;
    if (ns < 0) {
        ns += ns_per_s;
        s--;
    }
    uint64_t fraction = (((uint64_t)ns << 32) + (uint64_t)ns_per_s / 2) / (uint64_t)ns_per_s;
    return ((uint64_t)(s + unix_epoch_s) << 32) + fraction;
}

/* The whole seconds wrap after 2^32; the wrap is found from how far they are from near_ns. */
int64_t takt_ntp_to_ns(uint64_t ntp, int64_t near_ns)
{
    int64_t near_s = near_ns / ns_per_s;
    int64_t s = takt_unwrap32(near_s + unix_epoch_s, (uint32_t)(ntp >> 32)) - unix_epoch_s;
    uint64_t ns = ((ntp & UINT32_MAX) * (uint64_t)ns_per_s + (UINT64_C(1) << 31)) >> 32;
    int64_t out;
    if (__builtin_mul_overflow(s, ns_per_s, &out) || __builtin_add_overflow(out, (int64_t)ns, &out))
        return s < 0 ? INT64_MIN : INT64_MAX;
    return out;
}

uint32_t takt_ntp_middle(uint64_t ntp)
{
    return (uint32_t)(ntp >> 16);
}

uint32_t takt_ntp_delay(int64_t ns)
{
    if (ns <= 0)
        return 0;
    if (ns / ns_per_s >= 0x10000)
        return UINT32_MAX;
    uint64_t whole = (uint64_t)(ns / ns_per_s) << 16;
    return (uint32_t)(whole + ((uint64_t)(ns % ns_per_s) << 16) / (uint64_t)ns_per_s);
}

int64_t takt_rtcp_round_trip_ns(uint64_t ntp_now, uint32_t last, uint32_t delay)
{
    const int32_t drift_max = 0x10000 / 64;
    int32_t trip = (int32_t)(takt_ntp_middle(ntp_now) - last - delay);
    if (last == 0 || trip < -drift_max)
        return -1;
    return trip < 0 ? 0 : (int64_t)trip * ns_per_s >> 16;
}

/* ---- When the next report is due ---------------------------------------------------------------
 */

int64_t takt_rtcp_interval_ns(const struct takt_rtcp_load *l, double chance)
{
    const double senders_share = 0.25, e_minus_1_5 = 2.71828182845904523536 - 1.5;
    double least_s = l->interval_ns_min > 0 ? (double)l->interval_ns_min * 1e-9 : 5;
    double bytes_per_s = l->bytes_per_s, n = l->members ? l->members : 1;
    if (l->senders <= n * senders_share) {
        bytes_per_s *= l->we_sent ? senders_share : 1 - senders_share;
        n = l->we_sent ? l->senders : n - l->senders;
        n = n < 1 ? 1 : n;
    }
    double s = l->is_initial ? least_s / 2 : least_s;
    double share_s = bytes_per_s > 0 ? l->compound_bytes * n / bytes_per_s : 0;
    s = share_s > s ? share_s : s;
    /* Half to one and a half of it, so that members do not fall into step; and less by a factor
     * that makes up for timers which are reconsidered when they run out. */
    s *= (chance + 0.5) / e_minus_1_5;
    return s < 1e9 ? (int64_t)(s * 1e9) : INT64_C(1000000000000000000);
}
