/*
 * Sources that have a place: what their packets are, and where they go.
 */
#include "net/inlet_parts.h"

#include <string.h>

enum {
    SWITCH_RUN = 2,
    OPUS_HZ = 48000,
    RATE_MIN_HZ = 8000, /* as a receiver has it */
    RATE_MAX_HZ = 384000
};
static const int64_t ns_per_s = 1000000000;

const struct takt_session_packets *
takt_inlet_format_of(const struct takt_inlet *in, const struct takt_inlet_sender *s, uint8_t type)
{
    static const struct takt_session_packets fixed[] = {
        {.format = {.codec = TAKT_CODEC_L16, .rate_hz = 44100, .channels = 2}, .payload_type = 10},
        {.format = {.codec = TAKT_CODEC_L16, .rate_hz = 44100, .channels = 1}, .payload_type = 11},
    };
    const struct takt_session_packets *list = s->has_line ? &s->line : in->formats;
    uint32_t count = s->has_line ? 1 : in->cfg.formats_count;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].payload_type == type || (list[i].red_type && list[i].red_type == type))
            return &list[i];
    for (uint32_t i = 0; i < 2 && !s->has_line; i++)
        if (fixed[i].payload_type == type)
            return &fixed[i];
    return NULL;
}

bool takt_inlet_is_playable(struct takt_session_packets *p)
{
    struct takt_codec_format *f = &p->format;
    if (f->codec == TAKT_CODEC_OPUS) {
        f->frames = (uint32_t)((uint64_t)f->frames * OPUS_HZ / f->rate_hz);
        f->rate_hz = OPUS_HZ;
    }
    uint32_t channels_max = f->codec == TAKT_CODEC_OPUS ? 2 : TAKT_CODEC_CHANNELS_MAX;
    return f->rate_hz >= RATE_MIN_HZ && f->rate_hz <= RATE_MAX_HZ && f->channels > 0 &&
           f->channels <= channels_max;
}

bool takt_inlet_is_same_host(const struct takt_inlet_peer *a, const struct takt_inlet_peer *b)
{
    return memcmp(a->bytes, b->bytes, TAKT_INLET_HOST_BYTES) == 0;
}

static uint32_t number_of(const struct takt_inlet *in, const struct takt_inlet_place *p)
{
    return (uint32_t)(p - in->place);
}

struct takt_inlet_place *takt_inlet_find_place(struct takt_inlet *in, uint32_t ssrc,
                                               const struct takt_inlet_context *context)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        struct takt_inlet_place *p = &in->place[i];
        if (p->is_live && p->sender.ssrc == ssrc && p->sender.context == context)
            return p;
    }
    return NULL;
}

void takt_inlet_end_place(struct takt_inlet *in, struct takt_inlet_place *p,
                          enum takt_inlet_ending why)
{
    in->cfg.end(in->cfg.arg, number_of(in, p), why); /* which still can be told whom it is of */
    p->is_live = false;
    p->is_due = p->is_leaving = false;
    if (p->sender.context)
        p->sender.context->has_place = false;
}

void takt_inlet_announce(struct takt_inlet *in, struct takt_inlet_place *p,
                         const struct takt_session_packets *format)
{
    p->source = (struct takt_inlet_source){.ssrc = p->sender.ssrc,
                                           .packets = *format,
                                           .is_described = p->sender.has_line,
                                           .is_encrypted = in->trust != TAKT_INLET_PLAIN,
                                           .from = p->sender.from};
    p->other_run = 0;
    in->cfg.begin(in->cfg.arg, number_of(in, p), &p->source);
}

void takt_inlet_begin_anew(struct takt_inlet *in, struct takt_inlet_place *p,
                           const struct takt_session_packets *format)
{
    in->cfg.end(in->cfg.arg, number_of(in, p), TAKT_INLET_REPLACED);
    p->reception.has_transit = false;
    takt_inlet_announce(in, p, format);
}

static void deliver(struct takt_inlet *in, struct takt_inlet_place *p, const struct takt_rtp *rtp,
                    int64_t arrival_ns, bool is_repaired)
{
    struct takt_net_packet out = {
        .arrival_ns = arrival_ns,
        .ssrc = rtp->ssrc,
        .seq = rtp->seq,
        .timestamp = rtp->timestamp,
        .payload_type = rtp->payload_type,
        .marker = rtp->marker,
        .is_repaired = is_repaired,
        .bytes = (uint16_t)rtp->payload_bytes,
        .payload = rtp->payload,
    };
    out.has_capture =
        takt_inlet_captured(&p->sender.clock, rtp, p->source.packets.capture_id,
                            takt_inlet_clock_hz(&p->source.packets), arrival_ns, &out.capture_ns);
    in->cfg.packet(in->cfg.arg, number_of(in, p), &out);
}

bool takt_inlet_is_of(const struct takt_inlet_place *p, uint8_t type)
{
    const struct takt_session_packets *f = &p->source.packets;
    return type == f->payload_type || (f->red_type && type == f->red_type);
}

/* What repair has brought back just now. */
static void deliver_found(struct takt_inlet *in, struct takt_inlet_place *p, int found,
                          int64_t arrival_ns)
{
    for (int i = 0; i < found; i++) {
        struct takt_rtp rtp;
        int bytes = takt_repair_found(p->repair, (uint32_t)i, in->found, in->cfg.packet_bytes_max);
        if (bytes < 0 || takt_rtp_parse(in->found, (size_t)bytes, &rtp) < 0 ||
            rtp.ssrc != p->sender.ssrc || !takt_inlet_is_of(p, rtp.payload_type))
            continue;
        p->repaired++;
        deliver(in, p, &rtp, arrival_ns, true);
    }
}

static uint32_t arrival_units(int64_t arrival_ns, uint32_t hz)
{
    int64_t s = arrival_ns / ns_per_s, rest_ns = arrival_ns % ns_per_s;
    return (uint32_t)((uint64_t)s * hz + (uint64_t)(rest_ns * hz / ns_per_s));
}

void takt_inlet_receive(struct takt_inlet *in, struct takt_inlet_place *p,
                        const struct takt_rtp *rtp, const uint8_t *data, size_t bytes,
                        int64_t arrival_ns)
{
    p->packets++;
    p->bytes += bytes;
    p->heard_ns = arrival_ns;
    enum takt_rtp_verdict verdict = takt_rtp_source_take(&p->reception, rtp->seq);
    p->came++;
    p->overtaken += verdict == TAKT_RTP_LATE;
    if (verdict == TAKT_RTP_NEXT)
        takt_rtp_source_time(&p->reception,
                             arrival_units(arrival_ns, takt_inlet_clock_hz(&p->source.packets)),
                             rtp->timestamp);
    deliver(in, p, rtp, arrival_ns, false);
    deliver_found(in, p, takt_repair_take(p->repair, data, bytes), arrival_ns);
}

uint64_t *takt_inlet_take_rtp(struct takt_inlet *in, struct takt_inlet_place *p,
                              const struct takt_rtp *rtp, const struct takt_inlet_datagram *d,
                              size_t bytes)
{
    if (in->trust != TAKT_INLET_PLAIN)
        p->sender.from = p->source.from = d->from;
    if (takt_inlet_is_of(p, rtp->payload_type)) {
        p->other_run = 0;
        takt_inlet_receive(in, p, rtp, d->data, bytes, d->arrival_ns);
        return &in->counts.packets;
    }
    const struct takt_session_packets *other =
        takt_inlet_format_of(in, &p->sender, rtp->payload_type);
    if (!other || ++p->other_run < SWITCH_RUN)
        return &in->counts.undescribed;
    takt_inlet_begin_anew(in, p, other);
    takt_inlet_receive(in, p, rtp, d->data, bytes, d->arrival_ns);
    return &in->counts.packets;
}

uint64_t *takt_inlet_take_repair(struct takt_inlet *in, struct takt_inlet_place *p,
                                 const struct takt_rtp *rtp, const struct takt_inlet_datagram *d,
                                 size_t bytes)
{
    p->packets++;
    p->bytes += bytes;
    p->repair_packets++;
    deliver_found(in, p, takt_repair_take_repair(p->repair, rtp->payload, rtp->payload_bytes),
                  d->arrival_ns);
    return &in->counts.repair;
}
