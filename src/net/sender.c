/*
 * A packet is encoded once, into a ring of the newest payloads, and written from there: its own and
 * the copies before it, as far as they fit. Where a block holds a whole packet, the encoder reads
 * it where it is; else frames are collected.
 *
 * Timestamps count frames that were pushed, sequence numbers packets that were emitted; so one that
 * cannot be encoded leaves a hole in time, which a receiver conceals, and none in the numbers.
 *
 * Invariants: filled < frames of a packet between calls; payload[i] is of the packet i mod KEPT,
 * counted by `encoded`.
 */
#include "net/sender.h"

#include "base/assert.h"
#include "base/fail.h"
#include "net/listeners.h"
#include "wire/red.h"
#include "wire/rtcp.h"
#include "wire/rtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT = TAKT_SENDER_COPIES_MAX + 1,
    ITEMS = 3,
    EXT_BYTES_MAX = 28, /* with the word that introduces it */
    HEAD_BYTES_MAX = TAKT_RTP_HEADER_BYTES + EXT_BYTES_MAX,
    DATAGRAM_BYTES_MAX = HEAD_BYTES_MAX + TAKT_SENDER_PAYLOAD_BYTES_MAX + TAKT_SENDER_SPARE_BYTES,
    AROUND_BYTES = 28, /* IPv4 and UDP */
    OPUS_HZ = 48000,
    COPY_FRAMES_PER_S = 200, /* packets are this many a second, or more, where copies pay */
    PERCENT_MAX = 30,        /* more makes Opus worse, not safer */
    FIRST_REPORTS = 4        /* that come sooner than the others */
};

static const int64_t ns_per_s = 1000000000;

struct payload {
    uint32_t timestamp;
    size_t bytes;
    uint8_t data[TAKT_SENDER_PAYLOAD_BYTES_MAX];
};

struct takt_sender {
    struct takt_sender_cfg cfg;
    char cname[TAKT_SENDER_CNAME_BYTES_MAX + 1], line[TAKT_SESSION_LINE_MAX];
    struct takt_rtcp_item items[ITEMS];
    size_t items_told;
    struct takt_encoder *encoder;
    uint32_t clock_hz, ticks; /* of the timestamp: in a second, in a packet */
    size_t payload_room;
    int64_t unix_less_monotonic_ns;

    float *collected;    /* [channels][frames] */
    const float **ready; /* [channels], the packet to be encoded */
    uint32_t filled;
    int64_t first_ns; /* when the first frame of that packet was captured */
    int64_t delay_ns; /* by which a decoder's sound is behind that */

    bool has_begun;
    uint16_t seq;
    uint32_t timestamp;
    uint64_t encoded;
    int64_t last_ns; /* first_ns of the packet before, */
    uint32_t last_timestamp;
    struct payload payload[KEPT];
    uint8_t packet[DATAGRAM_BYTES_MAX];

    struct takt_listeners listeners;
    uint32_t told_percent;
    uint32_t reports;
    double packet_bytes, report_bytes; /* smoothed, with what is around them */
    uint64_t packets, payload_bytes, bytes, copies, failed, malformed;
};

/* ---- Life --------------------------------------------------------------------------------------
 */

static size_t ext_bytes(const struct takt_session_packets *p)
{
    bool is_one_byte = p->capture_id < 15 && p->note_id < 15;
    size_t head = is_one_byte ? 1 : 2, bytes = 0;
    if (p->capture_id)
        bytes += head + 8;
    if (p->note_id)
        bytes += head + TAKT_SRTP_NOTE_BYTES;
    return bytes ? 4 + (bytes + 3) / 4 * 4 : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The largest payload of a packet; 0 when not even the header fits. */
static size_t payload_room(const struct takt_sender_cfg *c)
{
    size_t around = TAKT_RTP_HEADER_BYTES + ext_bytes(&c->packets) + c->trailer_bytes;
    if (c->datagram_bytes_max == 0)
        return TAKT_SENDER_PAYLOAD_BYTES_MAX;
    if (c->datagram_bytes_max <= around)
        return 0;
    return least(c->datagram_bytes_max - around, TAKT_SENDER_PAYLOAD_BYTES_MAX);
}

static bool is_pcm(const struct takt_codec_format *f)
{
    return f->codec != TAKT_CODEC_OPUS;
}

static double packet_ms(const struct takt_codec_format *f, size_t frames)
{
    return 1e3 * (double)frames / f->rate_hz;
}

/* Opus makes do with any room; PCM does not. */
static int check_size(const struct takt_sender_cfg *c, struct takt_error *e)
{
    const struct takt_codec_format *f = &c->packets.format;
    size_t bytes = takt_codec_bytes_max(f), room = payload_room(c), frame = bytes / f->frames;
    const char *name = takt_codec_name(f->codec);
    if (is_pcm(f) ? bytes <= room : room >= TAKT_OPUS_BYTES_MAX)
        return 0;
    if (!is_pcm(f))
        return takt_fail(e, TAKT_ERR_ARG, 0, "opus needs %d bytes of a packet, and %zu are free",
                         TAKT_OPUS_BYTES_MAX, room);
    TAKT_ASSERT(frame > 0);
    if (frame > room)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%s with %u channels has %zu bytes a frame, and a packet holds %zu: not "
                         "one fits",
                         name, f->channels, frame, room);
    return takt_fail(e, TAKT_ERR_ARG, 0,
                     "%s, %u channels: %.4g ms are %zu bytes, and a packet holds %zu; packets of "
                     "%.4g ms (%zu frames) or less fit",
                     name, f->channels, packet_ms(f, f->frames), bytes, room,
                     packet_ms(f, room / frame), room / frame);
}

static int refuse(struct takt_error *e, const char *what)
{
    return takt_fail(e, TAKT_ERR_ARG, 0, "%s", what);
}

static int check_copies(const struct takt_sender_cfg *c, struct takt_error *e)
{
    const struct takt_session_packets *p = &c->packets;
    if (c->copies > TAKT_SENDER_COPIES_MAX || c->copies_max > TAKT_SENDER_COPIES_MAX ||
        (c->copies_max && c->copies_max < c->copies))
        return refuse(e, "there may be 0 to 3 copies, and at most as many as their maximum");
    if (c->copies == 0 && c->copies_max == 0)
        return 0;
    if (p->red_type == 0 || p->red_type == p->payload_type)
        return refuse(e, "copies need a payload type of their own");
    if ((uint64_t)p->format.frames * COPY_FRAMES_PER_S > p->format.rate_hz)
        return refuse(e, "copies are for packets of 5 ms or less; Opus of 10 ms and more has FEC");
    return 0;
}

static int check_cfg(const struct takt_sender_cfg *c, struct takt_error *e)
{
    const struct takt_session_packets *p = &c->packets;
    size_t cname = c->cname ? strnlen(c->cname, TAKT_SENDER_CNAME_BYTES_MAX + 1) : 0;
    int err = takt_codec_check(&p->format, e);
    if (err < 0)
        return err;
    if (p->payload_type > 127 || p->red_type > 127)
        return refuse(e, "payload types are 0 to 127");
    if (p->capture_id && p->capture_id == p->note_id)
        return refuse(e, "the two elements of the header extension need two ids");
    if (p->note_id && !c->note)
        return refuse(e, "nobody says what the note is");
    if (cname == 0 || cname > TAKT_SENDER_CNAME_BYTES_MAX)
        return refuse(e, "the sender's name (CNAME) is 1 to 64 bytes");
    if (c->trailer_bytes > TAKT_SENDER_SPARE_BYTES)
        return refuse(e, "a trailer is 0 to 24 bytes");
    err = check_copies(c, e);
    return err < 0 ? err : check_size(c, e);
}

static bool hears_loss(const struct takt_sender_cfg *c)
{
    return c->follows_loss && !is_pcm(&c->packets.format);
}

static int64_t frames_ns(const struct takt_sender *s, uint32_t frames)
{
    uint32_t rate_hz = s->cfg.packets.format.rate_hz;
    return ((int64_t)frames * ns_per_s + rate_hz / 2) / rate_hz;
}

static struct takt_rtcp_item item(const struct takt_sender *s, uint8_t type, const char *text)
{
    return (struct takt_rtcp_item){
        .ssrc = s->cfg.ssrc, .type = type, .bytes = (uint8_t)strlen(text), .text = text};
}

/* Who sends, with what, and how. */
static void introduce(struct takt_sender *s)
{
    s->items[0] = item(s, TAKT_RTCP_CNAME, s->cname);
    s->items[1] = item(s, TAKT_RTCP_TOOL, "takt " TAKT_VERSION);
    s->items[2] = item(s, TAKT_RTCP_PRIV, s->line);
    s->items[2].prefix = TAKT_SESSION_PREFIX;
    s->items[2].prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1;
    s->items_told = s->cfg.is_undescribed ? ITEMS - 1 : ITEMS;
}

static void begin(struct takt_sender *s)
{
    const struct takt_sender_cfg *c = &s->cfg;
    const struct takt_codec_format *f = &c->packets.format;
    uint32_t percent = is_pcm(f) ? 0 : f->loss_percent;
    s->clock_hz = is_pcm(f) ? f->rate_hz : OPUS_HZ;
    s->ticks = (uint32_t)((uint64_t)f->frames * s->clock_hz / f->rate_hz);
    s->payload_room = payload_room(c);
    s->delay_ns = frames_ns(s, takt_encoder_delay_frames(s->encoder));
    s->seq = c->seq;
    s->timestamp = c->timestamp;
    s->told_percent = percent;
    s->packet_bytes = s->report_bytes = 200;
    takt_listeners_init(&s->listeners,
                        &(struct takt_listeners_cfg){
                            .ssrc = c->ssrc,
                            .copies = c->copies,
                            .copies_max = c->copies_max ? c->copies_max : c->copies,
                            .is_repaired = c->is_repaired,
                            .percent = percent,
                            .percent_max = percent > PERCENT_MAX ? percent : PERCENT_MAX,
                        });
}

int takt_sender_create(const struct takt_sender_cfg *cfg, struct takt_sender **out,
                       struct takt_error *e)
{
    const struct takt_codec_format *f = &cfg->packets.format;
    *out = NULL;
    int err = check_cfg(cfg, e);
    if (err < 0)
        return err;
    struct takt_sender *s = calloc(1, sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for a sender");
    s->cfg = *cfg;
    s->collected = calloc((size_t)f->channels * f->frames, sizeof *s->collected);
    s->ready = calloc(f->channels, sizeof *s->ready);
    err = s->collected && s->ready ? takt_encoder_create(f, &s->encoder, e)
                                   : takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for a sender");
    if (err < 0) {
        takt_sender_destroy(s);
        return err;
    }
    snprintf(s->cname, sizeof s->cname, "%s", cfg->cname);
    s->cfg.cname = s->cname;
    err = takt_session_describe(&cfg->packets, s->line, sizeof s->line);
    TAKT_ASSERT(err > 0);
    introduce(s);
    begin(s);
    *out = s;
    return TAKT_OK;
}

void takt_sender_destroy(struct takt_sender *s)
{
    if (!s)
        return;
    takt_encoder_destroy(s->encoder);
    free(s->collected);
    free(s->ready);
    free(s);
}

void takt_sender_set_clock(struct takt_sender *s, int64_t unix_less_monotonic_ns)
{
    s->unix_less_monotonic_ns = unix_less_monotonic_ns;
}

/* ---- Packets -----------------------------------------------------------------------------------
 */

static uint64_t ntp_at(const struct takt_sender *s, int64_t monotonic_ns)
{
    return takt_ntp_from_ns(monotonic_ns + s->unix_less_monotonic_ns);
}

/* So many back: 0 is the newest. */
static const struct payload *payload_back(const struct takt_sender *s, uint64_t back)
{
    return &s->payload[(s->encoded - 1 - back) % KEPT];
}

/* The older payloads that go along with the newest, as many as are wished for and fit: the newest
 * of them first, since they are the likeliest to be of use. */
static size_t choose_copies(const struct takt_sender *s)
{
    const struct payload *own = payload_back(s, 0);
    size_t bytes = TAKT_RED_OWN_HEADER_BYTES + own->bytes, count = 0;
    while (count < s->listeners.copies.level && count + 1 < s->encoded) {
        const struct payload *older = payload_back(s, count + 1);
        bytes += TAKT_RED_COPY_HEADER_BYTES + older->bytes;
        uint32_t offset = own->timestamp - older->timestamp;
        bool follows = offset == (count + 1) * s->ticks; /* nothing was lost between */
        if (bytes > s->payload_room || older->bytes > TAKT_RED_BYTES_MAX ||
            offset > TAKT_RED_OFFSET_MAX || !follows)
            break;
        count++;
    }
    return count;
}

static int write_payload(struct takt_sender *s, size_t copies, uint8_t *out, size_t room)
{
    struct takt_red_block blocks[KEPT];
    const struct payload *own = payload_back(s, 0);
    for (size_t i = 0; i <= copies; i++) {
        const struct payload *p = payload_back(s, copies - i);
        blocks[i] = (struct takt_red_block){.payload_type = s->cfg.packets.payload_type,
                                            .offset = (uint16_t)(own->timestamp - p->timestamp),
                                            .bytes = p->bytes,
                                            .data = p->data};
    }
    return takt_red_write(blocks, copies + 1, out, room);
}

/* Returns how many bytes; *profile tells of which form they are. */
static size_t write_ext(struct takt_sender *s, uint16_t *profile, uint8_t *out, size_t room)
{
    const struct takt_session_packets *p = &s->cfg.packets;
    uint8_t captured[TAKT_CAPTURE_TIME_BYTES], noted[TAKT_SRTP_NOTE_BYTES];
    struct takt_rtp_ext list[2];
    size_t count = 0;
    if (p->capture_id) {
        struct takt_capture_time t = {.ntp = ntp_at(s, s->first_ns - s->delay_ns)};
        int bytes = takt_capture_time_write(&t, captured);
        list[count++] = (struct takt_rtp_ext){p->capture_id, (uint8_t)bytes, captured};
    }
    if (p->note_id) {
        struct takt_srtp_note note = {0};
        s->cfg.note(s->cfg.note_arg, s->cfg.ssrc, s->seq, &note);
        takt_srtp_note_put(&note, noted);
        list[count++] = (struct takt_rtp_ext){p->note_id, sizeof noted, noted};
    }
    int bytes = count ? takt_rtp_ext_write(list, count, profile, out, room) : 0;
    TAKT_ASSERT(bytes >= 0);
    return (size_t)bytes;
}

/* The newest payload as a packet. */
static size_t write_packet(struct takt_sender *s)
{
    const struct payload *own = payload_back(s, 0);
    uint8_t ext[EXT_BYTES_MAX];
    size_t copies = choose_copies(s), ext_size;
    struct takt_rtp p = {
        .marker = !s->has_begun,
        .payload_type = copies ? s->cfg.packets.red_type : s->cfg.packets.payload_type,
        .seq = s->seq,
        .timestamp = own->timestamp,
        .ssrc = s->cfg.ssrc,
    };
    ext_size = write_ext(s, &p.ext_profile, ext, sizeof ext);
    p.has_ext = ext_size > 0;
    p.ext = ext;
    p.ext_bytes = ext_size;
    int head = takt_rtp_write_header(&p, s->packet, sizeof s->packet);
    TAKT_ASSERT(head > 0);
    uint8_t *to = s->packet + head;
    size_t bytes = own->bytes;
    if (copies) {
        int red = write_payload(s, copies, to, s->payload_room);
        TAKT_ASSERT(red > 0);
        bytes = (size_t)red;
    } else {
        memcpy(to, own->data, own->bytes);
    }
    s->copies += copies;
    s->payload_bytes += bytes;
    return (size_t)head + bytes;
}

/* Encodes what is ready, and hands it out. Returns 1, or 0 when that was not to be. */
static int send_ready(struct takt_sender *s, takt_sender_emit *emit, void *arg)
{
    struct payload *own = &s->payload[s->encoded % KEPT];
    uint32_t timestamp = s->timestamp;
    s->timestamp += s->ticks;
    int bytes = takt_encoder_encode(s->encoder, s->ready, own->data, s->payload_room);
    if (bytes <= 0) {
        s->failed++;
        return 0;
    }
    own->timestamp = timestamp;
    own->bytes = (size_t)bytes;
    s->encoded++;
    size_t all = write_packet(s);
    s->last_ns = s->first_ns;
    s->last_timestamp = timestamp;
    s->has_begun = true;
    s->seq++;
    s->packets++;
    s->bytes += all;
    s->packet_bytes += ((double)(all + AROUND_BYTES) - s->packet_bytes) / 16;
    emit(arg, s->packet, all);
    return 1;
}

/* Adds frames to those that are collected. */
static void collect(struct takt_sender *s, const float *const *planes, uint32_t at, uint32_t frames)
{
    const struct takt_codec_format *f = &s->cfg.packets.format;
    for (uint32_t c = 0; c < f->channels; c++) {
        float *to = s->collected + (size_t)c * f->frames + s->filled;
        if (planes)
            memcpy(to, planes[c] + at, frames * sizeof *to);
        else
            memset(to, 0, frames * sizeof *to);
    }
    s->filled += frames;
}

static int send_collected(struct takt_sender *s, takt_sender_emit *emit, void *arg)
{
    const struct takt_codec_format *f = &s->cfg.packets.format;
    for (uint32_t c = 0; c < f->channels; c++)
        s->ready[c] = s->collected + (size_t)c * f->frames;
    s->filled = 0;
    return send_ready(s, emit, arg);
}

int takt_sender_push(struct takt_sender *s, const float *const *planes, uint32_t frames,
                     int64_t capture_ns, takt_sender_emit *emit, void *arg)
{
    const struct takt_codec_format *f = &s->cfg.packets.format;
    int packets = 0;
    for (uint32_t at = 0; at < frames;) {
        uint32_t left = frames - at, missing = f->frames - s->filled;
        if (s->filled == 0)
            s->first_ns = capture_ns + frames_ns(s, at);
        if (planes && s->filled == 0 && left >= f->frames) {
            for (uint32_t c = 0; c < f->channels; c++)
                s->ready[c] = planes[c] + at;
            packets += send_ready(s, emit, arg);
            at += f->frames;
            continue;
        }
        if (!planes && s->filled == 0 && left >= f->frames) { /* nobody has these */
            s->timestamp += left / f->frames * s->ticks;
            at += left / f->frames * f->frames;
            continue;
        }
        uint32_t taken = left < missing ? left : missing;
        collect(s, planes, at, taken);
        at += taken;
        if (s->filled == f->frames)
            packets += send_collected(s, emit, arg);
    }
    return packets;
}

/* Silence behind the sound pushes out what the encoder still has of it. */
int takt_sender_flush(struct takt_sender *s, takt_sender_emit *emit, void *arg)
{
    uint32_t frames = s->cfg.packets.format.frames;
    uint32_t left = s->has_begun || s->filled ? takt_encoder_delay_frames(s->encoder) : 0;
    int packets = 0;
    while (s->filled || left) {
        uint32_t missing = frames - s->filled;
        if (s->filled == 0)
            s->first_ns = s->last_ns + frames_ns(s, frames);
        collect(s, NULL, 0, missing);
        left -= left < missing ? left : missing;
        packets += send_collected(s, emit, arg);
    }
    return packets;
}

/* ---- Reports -----------------------------------------------------------------------------------
 */

/* What the timestamp would be now, going on from the last packet. */
static uint32_t timestamp_at(const struct takt_sender *s, int64_t now_ns)
{
    int64_t since_ns = now_ns - s->last_ns, since_s = since_ns / ns_per_s;
    int64_t rest = since_ns % ns_per_s * s->clock_hz;
    int64_t ticks = since_s * s->clock_hz + (rest + (rest < 0 ? -1 : 1) * ns_per_s / 2) / ns_per_s;
    return s->last_timestamp + (uint32_t)(uint64_t)ticks;
}

/* A compound as it grows; once something has failed, used is that error. */
struct compound {
    uint8_t *out;
    size_t room;
    int used;
};

static uint8_t *place(const struct compound *c)
{
    return c->used < 0 ? NULL : c->out + c->used;
}

static size_t room_left(const struct compound *c)
{
    return c->used < 0 ? 0 : c->room - (size_t)c->used;
}

static void add(struct compound *c, int bytes)
{
    if (c->used >= 0)
        c->used = bytes < 0 ? bytes : c->used + bytes;
}

static struct compound begin_compound(const struct takt_sender *s, uint64_t ntp, int64_t now_ns,
                                      uint8_t *out, size_t room)
{
    struct compound c = {.out = out, .room = room};
    struct takt_rtcp_reports r = {.ssrc = s->cfg.ssrc, .is_sender = s->has_begun};
    r.sender = (struct takt_rtcp_sender){.ntp = ntp,
                                         .timestamp = timestamp_at(s, now_ns),
                                         .packets = (uint32_t)s->packets,
                                         .bytes = (uint32_t)s->payload_bytes};
    add(&c, takt_rtcp_write_reports(&r, out, room));
    if (c.used >= 0)
        add(&c, takt_rtcp_write_sdes(s->items, s->items_told, place(&c), room_left(&c)));
    return c;
}

/* What follows from a compound that has been written. */
static int end_compound(struct takt_sender *s, const struct compound *c, uint64_t ntp,
                        int64_t now_ns)
{
    if (c->used < 0)
        return c->used;
    s->reports++;
    s->report_bytes += (c->used + AROUND_BYTES - s->report_bytes) / 16;
    if (s->has_begun)
        takt_listeners_asked(&s->listeners, takt_ntp_middle(ntp), now_ns);
    return c->used;
}

/* Opus is told what the listeners lose. */
static void listen(struct takt_sender *s, int64_t now_ns)
{
    takt_listeners_update(&s->listeners, now_ns);
    uint32_t percent = s->listeners.percent.level;
    if (hears_loss(&s->cfg) && percent != s->told_percent &&
        takt_encoder_set_loss(s->encoder, percent) == TAKT_OK)
        s->told_percent = percent;
}

int takt_sender_report(struct takt_sender *s, int64_t now_ns, uint8_t *out, size_t room)
{
    struct takt_rtcp_xr_block answers;
    uint64_t ntp = ntp_at(s, now_ns);
    if (room < TAKT_SENDER_REPORT_BYTES_MAX)
        return TAKT_ERR_FULL;
    listen(s, now_ns);
    struct compound c = begin_compound(s, ntp, now_ns, out, room);
    if (c.used >= 0 && takt_listeners_answer(&s->listeners, now_ns, &answers) > 0)
        add(&c, takt_rtcp_write_xr(s->cfg.ssrc, &answers, 1, place(&c), room_left(&c)));
    return end_compound(s, &c, ntp, now_ns);
}

int takt_sender_bye(struct takt_sender *s, int64_t now_ns, const char *reason, uint8_t *out,
                    size_t room)
{
    struct takt_rtcp_bye bye = {.count = 1, .ssrc = {s->cfg.ssrc}};
    uint64_t ntp = ntp_at(s, now_ns);
    if (room < TAKT_SENDER_REPORT_BYTES_MAX)
        return TAKT_ERR_FULL;
    if (reason) {
        bye.reason = reason;
        bye.reason_bytes = (uint8_t)strnlen(reason, UINT8_MAX);
    }
    struct compound c = begin_compound(s, ntp, now_ns, out, room);
    if (c.used >= 0)
        add(&c, takt_rtcp_write_bye(&bye, place(&c), room_left(&c)));
    return end_compound(s, &c, ntp, now_ns);
}

/* A sender of much may report sooner than every 5 s (RFC 3550, 6.2), and the first few reports come
 * sooner still: they say what the stream is. */
int64_t takt_sender_report_interval_ns(const struct takt_sender *s, double chance)
{
    const double share = 0.05;
    const int64_t soonest_ns = ns_per_s / 2, latest_ns = 5 * ns_per_s;
    const struct takt_codec_format *f = &s->cfg.packets.format;
    double bytes_per_s = s->packet_bytes * f->rate_hz / f->frames;
    double reduced_s = 360 / (bytes_per_s * 8e-3);
    int64_t least_ns = (int64_t)(reduced_s * 1e9);
    least_ns = least_ns < soonest_ns ? soonest_ns : least_ns > latest_ns ? latest_ns : least_ns;
    return takt_rtcp_interval_ns(
        &(struct takt_rtcp_load){
            .members = s->listeners.count + 1,
            .senders = 1,
            .we_sent = true,
            .is_initial = s->reports < FIRST_REPORTS,
            .bytes_per_s = share * bytes_per_s,
            .compound_bytes = s->report_bytes,
            .interval_ns_min = least_ns,
        },
        chance);
}

int takt_sender_take_rtcp(struct takt_sender *s, const uint8_t *in, size_t bytes, int64_t now_ns)
{
    int err = takt_listeners_take(&s->listeners, in, bytes, now_ns);
    s->malformed += err < 0;
    listen(s, now_ns);
    return err;
}

size_t takt_sender_read_receivers(const struct takt_sender *s, struct takt_sender_receiver *out,
                                  size_t max)
{
    size_t count = least(s->listeners.count, max);
    for (size_t i = 0; i < count; i++) {
        const struct takt_listener *x = &s->listeners.list[i];
        out[i] = (struct takt_sender_receiver){
            .ssrc = x->ssrc,
            .heard_ns = x->heard_ns,
            .loss = x->loss,
            .lost = x->reception.lost,
            .jitter_ns = (int64_t)x->reception.jitter * ns_per_s / s->clock_hz,
            .round_trip_ns = x->round_trip_ns,
        };
    }
    return count;
}

void takt_sender_read_stats(const struct takt_sender *s, struct takt_sender_stats *out)
{
    const struct takt_listeners *l = &s->listeners;
    *out = (struct takt_sender_stats){
        .packets = s->packets,
        .payload_bytes = s->payload_bytes,
        .bytes = s->bytes,
        .copies = s->copies,
        .failed = s->failed,
        .malformed = s->malformed,
        .crowded = l->crowded,
        .collided = l->collided,
        .receivers = l->count,
        .copies_now = l->copies.level,
        .loss_percent = l->percent.level,
        .loss = l->loss,
        .loss_spread = l->loss_spread,
        .overtakes = l->overtakes,
    };
}
