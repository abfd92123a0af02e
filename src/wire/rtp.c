#include "wire/rtp.h"

#include "wire/bytes.h"

enum { VERSION = 2, PADDING = 0x20, EXTENSION = 0x10, MARKER = 0x80 };

int takt_rtp_parse_header(const uint8_t *in, size_t bytes, struct takt_rtp *out)
{
    if (bytes < TAKT_RTP_HEADER_BYTES || in[0] >> 6 != VERSION)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_rtp){
        .marker = in[1] & MARKER,
        .has_padding = in[0] & PADDING,
        .has_ext = in[0] & EXTENSION,
        .payload_type = in[1] & 0x7f,
        .csrc_count = in[0] & 0xf,
        .seq = takt_be16(in + 2),
        .timestamp = takt_be32(in + 4),
        .ssrc = takt_be32(in + 8),
    };
    size_t at = TAKT_RTP_HEADER_BYTES + 4 * (size_t)out->csrc_count;
    if (at > bytes)
        return TAKT_ERR_FORMAT;
    for (size_t i = 0; i < out->csrc_count; i++)
        out->csrc[i] = takt_be32(in + TAKT_RTP_HEADER_BYTES + 4 * i);
    if (out->has_ext) {
        if (bytes - at < 4)
            return TAKT_ERR_FORMAT;
        out->ext_profile = takt_be16(in + at);
        out->ext_bytes = 4 * (size_t)takt_be16(in + at + 2);
        at += 4;
        if (bytes - at < out->ext_bytes)
            return TAKT_ERR_FORMAT;
        out->ext = in + at;
        at += out->ext_bytes;
    }
    out->payload = in + at;
    out->payload_bytes = bytes - at;
    return 0;
}

int takt_rtp_parse(const uint8_t *in, size_t bytes, struct takt_rtp *out)
{
    int err = takt_rtp_parse_header(in, bytes, out);
    if (err < 0 || !out->has_padding)
        return err;
    if (out->payload_bytes == 0)
        return TAKT_ERR_FORMAT;
    out->padding_bytes = in[bytes - 1];
    if (out->padding_bytes == 0 || out->padding_bytes > out->payload_bytes)
        return TAKT_ERR_FORMAT;
    out->payload_bytes -= out->padding_bytes;
    return 0;
}

static void put_header(struct takt_pen *pen, const struct takt_rtp *p)
{
    takt_pen_u8(pen, (unsigned)(VERSION << 6 | (p->padding_bytes ? PADDING : 0) |
                                (p->has_ext ? EXTENSION : 0) | p->csrc_count));
    takt_pen_u8(pen, (unsigned)((p->marker ? MARKER : 0) | p->payload_type));
    takt_pen_u16(pen, p->seq);
    takt_pen_u32(pen, p->timestamp);
    takt_pen_u32(pen, p->ssrc);
    for (size_t i = 0; i < p->csrc_count; i++)
        takt_pen_u32(pen, p->csrc[i]);
    if (p->has_ext) {
        takt_pen_u16(pen, p->ext_profile);
        takt_pen_u16(pen, (unsigned)(p->ext_bytes / 4));
        takt_pen_bytes(pen, p->ext, p->ext_bytes);
    }
}

static bool fits_the_format(const struct takt_rtp *p)
{
    bool ext_fits = p->ext_bytes % 4 == 0 && p->ext_bytes / 4 <= UINT16_MAX;
    return p->csrc_count <= TAKT_RTP_CSRC_MAX && p->payload_type < 128 && (!p->has_ext || ext_fits);
}

int takt_rtp_write_header(const struct takt_rtp *p, uint8_t *out, size_t room)
{
    if (!fits_the_format(p))
        return TAKT_ERR_ARG;
    struct takt_pen pen = takt_pen_at(out, room);
    put_header(&pen, p);
    return takt_pen_done(&pen);
}

int takt_rtp_write(const struct takt_rtp *p, uint8_t *out, size_t room)
{
    if (!fits_the_format(p))
        return TAKT_ERR_ARG;
    struct takt_pen pen = takt_pen_at(out, room);
    put_header(&pen, p);
    takt_pen_bytes(&pen, p->payload, p->payload_bytes);
    if (p->padding_bytes) {
        takt_pen_zeros(&pen, p->padding_bytes - 1u);
        takt_pen_u8(&pen, p->padding_bytes);
    }
    return takt_pen_done(&pen);
}

/* ---- Header extensions -------------------------------------------------------------------------
 */

int takt_rtp_ext_next(const struct takt_rtp *p, size_t *at, struct takt_rtp_ext *out)
{
    bool is_one_byte = p->ext_profile == TAKT_RTP_EXT_ONE_BYTE;
    bool is_two_byte = (p->ext_profile & 0xfff0) == TAKT_RTP_EXT_TWO_BYTE;
    if (!p->has_ext || !(is_one_byte || is_two_byte))
        return 0;
    while (*at < p->ext_bytes && p->ext[*at] == 0)
        ++*at; /* padding, one byte in both forms */
    size_t left = p->ext_bytes - *at, head = is_one_byte ? 1 : 2;
    if (left == 0)
        return 0;
    const uint8_t *element = p->ext + *at;
    if (left < head)
        return TAKT_ERR_FORMAT;
    size_t bytes = is_one_byte ? (element[0] & 0xfu) + 1 : element[1];
    uint8_t id = is_one_byte ? element[0] >> 4 : element[0];
    if (is_one_byte && (id == 0 || id == 15))
        return 0; /* both end the list (RFC 8285, 4.2) */
    if (left - head < bytes)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_rtp_ext){.id = id, .bytes = (uint8_t)bytes, .data = element + head};
    *at += head + bytes;
    return 1;
}

bool takt_rtp_ext_find(const struct takt_rtp *p, uint8_t id, struct takt_rtp_ext *out)
{
    size_t at = 0;
    while (takt_rtp_ext_next(p, &at, out) > 0)
        if (out->id == id)
            return true;
    return false;
}

int takt_rtp_ext_write(const struct takt_rtp_ext *list, size_t count, uint16_t *profile,
                       uint8_t *out, size_t room)
{
    bool is_one_byte = true;
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == 0)
            return TAKT_ERR_ARG;
        is_one_byte &= list[i].id < 15 && list[i].bytes >= 1 && list[i].bytes <= 16;
    }
    *profile = is_one_byte ? TAKT_RTP_EXT_ONE_BYTE : TAKT_RTP_EXT_TWO_BYTE;
    struct takt_pen pen = takt_pen_at(out, room);
    for (size_t i = 0; i < count; i++) {
        if (is_one_byte) {
            takt_pen_u8(&pen, (unsigned)(list[i].id << 4 | (list[i].bytes - 1)));
        } else {
            takt_pen_u8(&pen, list[i].id);
            takt_pen_u8(&pen, list[i].bytes);
        }
        takt_pen_bytes(&pen, list[i].data, list[i].bytes);
    }
    takt_pen_align(&pen);
    return takt_pen_done(&pen);
}

int takt_capture_time_parse(const struct takt_rtp_ext *from, struct takt_capture_time *out)
{
    if (from->bytes != 8 && from->bytes != 16)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_capture_time){.ntp = takt_be64(from->data)};
    if (from->bytes == 16) {
        out->has_offset = true;
        out->offset = (int64_t)takt_be64(from->data + 8);
    }
    return 0;
}

int takt_capture_time_write(const struct takt_capture_time *t, uint8_t out[TAKT_CAPTURE_TIME_BYTES])
{
    struct takt_pen pen = takt_pen_at(out, TAKT_CAPTURE_TIME_BYTES);
    takt_pen_u64(&pen, t->ntp);
    if (t->has_offset)
        takt_pen_u64(&pen, (uint64_t)t->offset);
    return takt_pen_done(&pen);
}

/* ---- Numbers that wrap -------------------------------------------------------------------------
 */

int64_t takt_unwrap16(int64_t near, uint16_t low)
{
    int16_t step = (int16_t)(uint16_t)(low - (uint64_t)near);
    return (int64_t)((uint64_t)near + (uint64_t)step);
}

int64_t takt_unwrap32(int64_t near, uint32_t low)
{
    int32_t step = (int32_t)(uint32_t)(low - (uint64_t)near);
    return (int64_t)((uint64_t)near + (uint64_t)step);
}

/* ---- A source ----------------------------------------------------------------------------------
 */

/* The packet with this number is the first of those that count. */
static void begin(struct takt_rtp_source *s, uint16_t seq)
{
    *s = (struct takt_rtp_source){.seq_base = seq, .seq_max = seq, .received = 1};
}

void takt_rtp_source_init(struct takt_rtp_source *s, uint16_t seq)
{
    *s = (struct takt_rtp_source){
        .seq_max = (uint16_t)(seq - 1),
        .probation = TAKT_RTP_PROBATION_PACKETS,
    };
}

static enum takt_rtp_verdict take_on_probation(struct takt_rtp_source *s, uint16_t seq)
{
    bool is_in_order = seq == (uint16_t)(s->seq_max + 1);
    s->probation = (uint8_t)((is_in_order ? s->probation : TAKT_RTP_PROBATION_PACKETS) - 1);
    s->seq_max = seq;
    if (s->probation)
        return TAKT_RTP_PROBATION;
    begin(s, seq);
    return TAKT_RTP_NEXT;
}

enum takt_rtp_verdict takt_rtp_source_take(struct takt_rtp_source *s, uint16_t seq)
{
    uint16_t ahead = (uint16_t)(seq - s->seq_max);
    if (s->probation)
        return take_on_probation(s, seq);
    if (ahead != 0 && ahead < TAKT_RTP_DROPOUT_MAX) {
        s->cycles += seq < s->seq_max ? 0x10000 : 0;
        s->seq_max = seq;
        s->received++;
        s->has_jumped = false;
        return TAKT_RTP_NEXT;
    }
    if (ahead == 0 || ahead > UINT16_MAX - TAKT_RTP_MISORDER_MAX) {
        s->received++;
        return TAKT_RTP_LATE;
    }
    if (s->has_jumped && seq == s->seq_next_if_restarted) {
        begin(s, seq);
        return TAKT_RTP_RESTART;
    }
    s->has_jumped = true;
    s->seq_next_if_restarted = (uint16_t)(seq + 1);
    return TAKT_RTP_JUMP;
}

void takt_rtp_source_time(struct takt_rtp_source *s, uint32_t arrival, uint32_t timestamp)
{
    uint32_t transit = arrival - timestamp, d = transit - s->transit;
    if (s->has_transit) {
        d = d > INT32_MAX ? -d : d;
        s->jitter_16 += d - ((s->jitter_16 + 8) >> 4);
    }
    s->transit = transit;
    s->has_transit = true;
}

struct takt_rtp_reception takt_rtp_source_report(struct takt_rtp_source *s)
{
    struct takt_rtp_reception r = {.seq_highest = s->cycles + s->seq_max};
    uint64_t jitter = s->jitter_16 >> 4;
    r.jitter = jitter > UINT32_MAX ? UINT32_MAX : (uint32_t)jitter;
    if (s->probation)
        return r;
    uint32_t expected = r.seq_highest - s->seq_base + 1;
    int64_t lost = (int64_t)expected - s->received;
    r.lost = lost > 0x7fffff ? 0x7fffff : lost < -0x800000 ? -0x800000 : (int32_t)lost;
    uint32_t expected_now = expected - s->expected_before;
    int64_t lost_now = (int64_t)expected_now - (uint32_t)(s->received - s->received_before);
    if (expected_now && lost_now > 0) {
        int64_t fraction = lost_now * 256 / expected_now;
        r.fraction_lost = fraction > 255 ? 255 : (uint8_t)fraction;
    }
    s->expected_before = expected;
    s->received_before = s->received;
    return r;
}
