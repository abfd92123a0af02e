/*
 * Each datagram is judged once: `judge` returns the count that it belongs to, after what followed
 * from it has been done. First its form, then its key, then whose it is.
 *
 * A source that is believed as far as its key goes is a candidate until it has a place. It gets one
 * when the format of its packets is known, enough of them have come, and there is a place for it;
 * what it has sent so far, and is not older than a second, is then delivered with its own times of
 * arrival.
 *
 * A place is to be had when it is free, or by a source of a later start where there is but one
 * place and the key shows starts; or when its source has been silent for 2 s.
 *
 * Repair packets are of the SSRC after the source's, and a payload type of their own. Whose a
 * packet is has to be told before it is opened, so with a key of takt the usual type counts even of
 * strangers.
 *
 * In plain RTP anybody can say anything, and what RTCP says of a source counts only where it comes
 * from the host of its packets.
 *
 * Invariants: no two live places have the same source, and no candidate has one of theirs.
 */
#include "net/inlet.h"

#include "base/assert.h"
#include "base/fail.h"
#include "net/inlet_parts.h"
#include "net/outlet.h"
#include "wire/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_FIRST = 2, /* packets in order of a plain source, before it is believed */
    RUN_OTHER = 8, /* and of one that follows another */
    SWITCH_RUN = 2,
    STRAGGLERS = 8, /* in order, after which a source has not ended */
    PACKET_BYTES_MAX = 65535,
    SDES_SOURCES = 256,
    SILENT_S = 10,
    SILENT_S_MAX = 86400,
    TRIALS_PER_S = 1000,
    OPUS_HZ = 48000,
    RATE_MIN_HZ = 8000, /* as a receiver has it */
    RATE_MAX_HZ = 384000
};
static const int64_t ns_per_s = 1000000000, away_ns = 2000000000, held_ns = 1000000000;
static const int64_t straggling_ns = 200000000;
/* A goodbye comes by a port of its own, and may be read before the last packets are. */
static const int64_t leaving_ns = 2000000;
static const int64_t candidate_ns = 10000000000;

/* ---- Life ------------------------------------------------------------------------------------ */

static int refuse(struct takt_error *e, const char *what)
{
    return takt_fail(e, TAKT_ERR_ARG, 0, "receiver: %s", what);
}

static int check(const struct takt_inlet_cfg *c, struct takt_error *e)
{
    if (c->key && c->srtp_key)
        return refuse(e, "there is one kind of key, or none");
    if ((unsigned)c->suite >= TAKT_SRTP_SUITES || c->mki_bytes > 4)
        return refuse(e, "there is no such suite, or an MKI of more than 4 bytes");
    if (c->formats_count > TAKT_RECEIVER_FORMATS_MAX)
        return refuse(e, "there are up to 8 formats");
    if (c->sources_max > TAKT_RECEIVER_SOURCES_MAX)
        return refuse(e, "there are up to 16 sources");
    if (!(c->silent_s >= 0 && c->silent_s <= SILENT_S_MAX))
        return refuse(e, "a source ends after up to a day of silence");
    if (c->packet_bytes_max > PACKET_BYTES_MAX ||
        (c->packet_bytes_max && c->packet_bytes_max < TAKT_RTP_HEADER_BYTES))
        return refuse(e, "a datagram is of 12 to 65535 bytes");
    if (!c->begin || !c->packet || !c->end)
        return refuse(e, "nobody takes what is received");
    return 0;
}

static void set_cfg(struct takt_inlet *in, const struct takt_inlet_cfg *cfg)
{
    struct takt_inlet_cfg *c = &in->cfg;
    *c = *cfg;
    in->chance = takt_random_seed(c->seed ^ (uint64_t)c->ssrc << 32 ^ c->epoch);
    c->sources_max = c->sources_max ? c->sources_max : 1;
    c->silent_s = c->silent_s > 0 ? c->silent_s : SILENT_S;
    in->silent_ns = (int64_t)(c->silent_s * 1e9);
    c->trials_per_s = c->trials_per_s ? c->trials_per_s : TRIALS_PER_S;
    c->ssrc = c->ssrc ? c->ssrc : (uint32_t)takt_random_u64(&in->chance);
    c->epoch = c->epoch ? c->epoch : (uint32_t)takt_random_u64(&in->chance);
    c->packet_bytes_max = c->packet_bytes_max ? c->packet_bytes_max : 1500;
    for (uint32_t i = 0; i < c->formats_count; i++)
        in->formats[i] = c->formats[i];
    c->formats = in->formats;
    if (c->cname)
        snprintf(in->cname, sizeof in->cname, "%s", c->cname);
    else
        snprintf(in->cname, sizeof in->cname, "%08" PRIx32, c->ssrc);
    c->cname = in->cname;
    in->trust = c->key ? TAKT_INLET_KEYED : c->srtp_key ? TAKT_INLET_SDES : TAKT_INLET_PLAIN;
}

static int make_sdes(struct takt_inlet *in, struct takt_error *e)
{
    const struct takt_inlet_cfg *c = &in->cfg;
    struct takt_srtp_cfg srtp = {
        .suite = c->suite, .mki_bytes = c->mki_bytes, .sources = SDES_SOURCES};
    int err = takt_srtp_create(&srtp, &in->sdes_in, e);
    srtp.sends = true;
    srtp.sources = 1;
    if (err >= 0)
        err = takt_srtp_create(&srtp, &in->sdes_out, e);
    if (err >= 0)
        err = takt_srtp_set_key(in->sdes_in, c->srtp_key, e);
    return err < 0 ? err : takt_srtp_set_key(in->sdes_out, c->srtp_key, e);
}

static int make_keys(struct takt_inlet *in, struct takt_error *e)
{
    const struct takt_inlet_cfg *c = &in->cfg;
    if (in->trust == TAKT_INLET_SDES)
        return make_sdes(in, e);
    if (in->trust != TAKT_INLET_KEYED)
        return 0;
    struct takt_inlet_keys_cfg keys = {.key = c->key,
                                       .suite = c->suite,
                                       .sources_max = c->sources_max,
                                       .trials_per_s = c->trials_per_s,
                                       .ssrc = c->ssrc,
                                       .epoch = c->epoch,
                                       .packet_bytes_max = c->packet_bytes_max};
    return takt_inlet_keys_init(&in->keys, &keys, e);
}

static int make_memory(struct takt_inlet *in, struct takt_error *e)
{
    size_t each = in->cfg.packet_bytes_max;
    size_t repair = each < TAKT_REPAIR_PACKET_BYTES_MAX ? each : TAKT_REPAIR_PACKET_BYTES_MAX;
    int err = 0;
    in->found = calloc(1, each);
    in->held_data = calloc((size_t)TAKT_INLET_CANDIDATES * TAKT_INLET_HELD, each);
    err = in->found && in->held_data ? 0 : TAKT_ERR_NOMEM;
    for (uint32_t i = 0; err >= 0 && i < in->cfg.sources_max; i++)
        err = takt_repair_decoder_create(repair, &in->place[i].repair);
    if (err < 0)
        return takt_fail(e, (enum takt_err)err, 0, "out of memory for a receiver");
    for (size_t i = 0; i < (size_t)TAKT_INLET_CANDIDATES * TAKT_INLET_HELD; i++)
        in->candidate[i / TAKT_INLET_HELD].held[i % TAKT_INLET_HELD].data =
            in->held_data + i * each;
    return 0;
}

int takt_inlet_create(const struct takt_inlet_cfg *cfg, struct takt_inlet **out,
                      struct takt_error *e)
{
    *out = NULL;
    int err = check(cfg, e);
    if (err < 0)
        return err;
    struct takt_inlet *in = calloc(1, sizeof *in);
    if (!in)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a receiver");
    set_cfg(in, cfg);
    err = make_memory(in, e);
    if (err >= 0)
        err = make_keys(in, e);
    in->cfg.key = NULL;
    in->cfg.srtp_key = NULL;
    if (err < 0) {
        takt_inlet_destroy(in);
        return err;
    }
    *out = in;
    return TAKT_OK;
}

void takt_inlet_destroy(struct takt_inlet *in)
{
    if (!in)
        return;
    for (uint32_t i = 0; i < TAKT_RECEIVER_SOURCES_MAX; i++)
        takt_repair_decoder_destroy(in->place[i].repair);
    takt_inlet_keys_clear(&in->keys);
    takt_srtp_destroy(in->sdes_in);
    takt_srtp_destroy(in->sdes_out);
    free(in->found);
    free(in->held_data);
    free(in);
}

/* ---- Formats --------------------------------------------------------------------------------- */

/* What packets of this type are, as far as anybody has told; NULL: nobody has. */
static const struct takt_session_packets *format_of(const struct takt_inlet *in,
                                                    const struct takt_inlet_sender *s, uint8_t type)
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

static bool is_same_format(const struct takt_session_packets *a,
                           const struct takt_session_packets *b)
{
    return a->format.codec == b->format.codec && a->format.rate_hz == b->format.rate_hz &&
           a->format.channels == b->format.channels && a->payload_type == b->payload_type &&
           a->red_type == b->red_type;
}

/* As a receiver can take it. Opus is received at 48 kHz, whatever it was made of. */
static bool is_playable(struct takt_session_packets *p)
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

/* ---- Places ---------------------------------------------------------------------------------- */

static bool is_same_host(const struct takt_inlet_peer *a, const struct takt_inlet_peer *b)
{
    return memcmp(a->bytes, b->bytes, TAKT_INLET_HOST_BYTES) == 0;
}

static uint32_t number_of(const struct takt_inlet *in, const struct takt_inlet_place *p)
{
    return (uint32_t)(p - in->place);
}

/* context: NULL but with a key of takt. */
static struct takt_inlet_place *find_place(struct takt_inlet *in, uint32_t ssrc,
                                           const struct takt_inlet_context *context)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        struct takt_inlet_place *p = &in->place[i];
        if (p->is_live && p->sender.ssrc == ssrc && p->sender.context == context)
            return p;
    }
    return NULL;
}

static void end_place(struct takt_inlet *in, struct takt_inlet_place *p, enum takt_inlet_ending why)
{
    in->cfg.end(in->cfg.arg, number_of(in, p), why); /* which still can be told whom it is of */
    p->is_live = false;
    p->is_due = p->is_leaving = false;
    if (p->sender.context)
        p->sender.context->has_place = false;
}

static void announce(struct takt_inlet *in, struct takt_inlet_place *p,
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

/* The same source in another format. */
static void begin_anew(struct takt_inlet *in, struct takt_inlet_place *p,
                       const struct takt_session_packets *format)
{
    in->cfg.end(in->cfg.arg, number_of(in, p), TAKT_INLET_REPLACED);
    p->reception.has_transit = false;
    announce(in, p, format);
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

static bool is_of(const struct takt_inlet_place *p, uint8_t type)
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
            rtp.ssrc != p->sender.ssrc || !is_of(p, rtp.payload_type))
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

static void receive(struct takt_inlet *in, struct takt_inlet_place *p, const struct takt_rtp *rtp,
                    const uint8_t *data, size_t bytes, int64_t arrival_ns)
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

/* One packet of a source that has a place. */
static uint64_t *take_rtp(struct takt_inlet *in, struct takt_inlet_place *p,
                          const struct takt_rtp *rtp, const struct takt_inlet_datagram *d,
                          size_t bytes)
{
    if (in->trust != TAKT_INLET_PLAIN)
        p->sender.from = p->source.from = d->from;
    if (is_of(p, rtp->payload_type)) {
        p->other_run = 0;
        receive(in, p, rtp, d->data, bytes, d->arrival_ns);
        return &in->counts.packets;
    }
    const struct takt_session_packets *other = format_of(in, &p->sender, rtp->payload_type);
    if (!other || ++p->other_run < SWITCH_RUN)
        return &in->counts.undescribed;
    begin_anew(in, p, other);
    receive(in, p, rtp, d->data, bytes, d->arrival_ns);
    return &in->counts.packets;
}

static uint64_t *take_repair(struct takt_inlet *in, struct takt_inlet_place *p,
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

/* ---- Candidates ------------------------------------------------------------------------------ */

static struct takt_inlet_candidate *find_candidate(struct takt_inlet *in, uint32_t ssrc,
                                                   const struct takt_inlet_context *context)
{
    for (uint32_t i = 0; i < TAKT_INLET_CANDIDATES; i++) {
        struct takt_inlet_candidate *c = &in->candidate[i];
        if (c->is_used && c->sender.ssrc == ssrc && c->sender.context == context)
            return c;
    }
    return NULL;
}

/* One that was silent for so long that it lost its place is what it was. */
static void recall(struct takt_inlet *in, struct takt_inlet_candidate *c)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        const struct takt_inlet_sender *was = &in->place[i].sender;
        if (!in->place[i].is_live && was->has_line && was->ssrc == c->sender.ssrc &&
            was->context == c->sender.context && is_same_host(&was->from, &c->sender.from)) {
            c->sender.has_line = true;
            c->sender.line = was->line;
            memcpy(c->sender.cname, was->cname, sizeof was->cname);
        }
    }
}

/* A free one, or the one that was silent for longest. */
static struct takt_inlet_candidate *claim_candidate(struct takt_inlet *in, uint32_t ssrc,
                                                    struct takt_inlet_context *context,
                                                    const struct takt_inlet_peer *from,
                                                    int64_t now_ns)
{
    struct takt_inlet_candidate *best = &in->candidate[0];
    for (uint32_t i = 0; i < TAKT_INLET_CANDIDATES && best->is_used; i++) {
        struct takt_inlet_candidate *c = &in->candidate[i];
        if (!c->is_used || c->heard_ns < best->heard_ns)
            best = c;
    }
    best->is_used = true;
    best->sender = (struct takt_inlet_sender){.ssrc = ssrc, .context = context, .from = *from};
    best->heard_ns = now_ns;
    best->run = 0;
    best->held_count = 0;
    recall(in, best);
    return best;
}

/* A context that is used for another source takes its candidate with it. */
static void drop_stale(struct takt_inlet *in, const struct takt_inlet_context *context,
                       uint32_t ssrc)
{
    for (uint32_t i = 0; i < TAKT_INLET_CANDIDATES && context; i++) {
        struct takt_inlet_candidate *c = &in->candidate[i];
        if (c->sender.context == context && c->sender.ssrc != ssrc)
            c->is_used = false;
    }
}

static struct takt_inlet_place *most_silent(struct takt_inlet *in, int64_t now_ns)
{
    struct takt_inlet_place *best = NULL;
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        struct takt_inlet_place *p = &in->place[i];
        if (now_ns - p->heard_ns > away_ns && (!best || p->heard_ns < best->heard_ns))
            best = p;
    }
    return best;
}

/* Where this one could have its place, once `run` packets of it have come; NULL: nowhere. */
static struct takt_inlet_place *place_for(struct takt_inlet *in,
                                          const struct takt_inlet_candidate *c, int64_t now_ns,
                                          uint32_t *run)
{
    *run = in->trust == TAKT_INLET_PLAIN ? RUN_FIRST : 1;
    for (uint32_t i = 0; i < in->cfg.sources_max; i++)
        if (!in->place[i].is_live)
            return &in->place[i];
    if (in->cfg.sources_max == 1 && in->trust == TAKT_INLET_KEYED &&
        c->sender.context->start > in->keys.floor)
        return &in->place[0];
    *run = in->trust == TAKT_INLET_PLAIN ? RUN_OTHER : 1;
    return most_silent(in, now_ns);
}

static void hold(struct takt_inlet_candidate *c, const uint8_t *data, size_t bytes,
                 int64_t arrival_ns)
{
    struct takt_inlet_held *h = &c->held[c->held_count++ % TAKT_INLET_HELD];
    h->arrival_ns = arrival_ns;
    h->bytes = bytes;
    memcpy(h->data, data, bytes);
}

static void deliver_held(struct takt_inlet *in, struct takt_inlet_place *p,
                         const struct takt_inlet_candidate *c, int64_t now_ns)
{
    uint32_t first = c->held_count > TAKT_INLET_HELD ? c->held_count - TAKT_INLET_HELD : 0;
    bool has_begun = false;
    for (uint32_t i = first; i != c->held_count; i++) {
        const struct takt_inlet_held *h = &c->held[i % TAKT_INLET_HELD];
        struct takt_rtp rtp;
        if (now_ns - h->arrival_ns > held_ns || takt_rtp_parse(h->data, h->bytes, &rtp) < 0 ||
            !is_of(p, rtp.payload_type))
            continue;
        if (!has_begun)
            takt_rtp_source_init(&p->reception, rtp.seq);
        has_begun = true;
        receive(in, p, &rtp, h->data, h->bytes, h->arrival_ns);
    }
}

static void begin(struct takt_inlet *in, struct takt_inlet_place *p, struct takt_inlet_candidate *c,
                  const struct takt_session_packets *format, int64_t now_ns)
{
    struct takt_repair_decoder *repair = p->repair;
    if (p->is_live)
        end_place(in, p, TAKT_INLET_REPLACED);
    *p = (struct takt_inlet_place){.is_live = true,
                                   .sender = c->sender,
                                   .begun_ns = now_ns,
                                   .heard_ns = now_ns,
                                   .repair = repair};
    c->is_used = false;
    takt_repair_restart(repair, p->sender.ssrc);
    p->came = p->overtaken = 0;
    takt_rtp_source_init(&p->reception, c->seq_next);
    if (p->sender.context)
        takt_inlet_keys_begun(&in->keys, p->sender.context);
    announce(in, p, format);
    deliver_held(in, p, c, now_ns);
    takt_inlet_report_soon(in, p, now_ns);
}

/* The format of what it has sent last, once it is known. */
static const struct takt_session_packets *format_of_held(const struct takt_inlet *in,
                                                         const struct takt_inlet_candidate *c)
{
    struct takt_rtp rtp;
    if (c->held_count == 0)
        return NULL;
    const struct takt_inlet_held *h = &c->held[(c->held_count - 1) % TAKT_INLET_HELD];
    return takt_rtp_parse(h->data, h->bytes, &rtp) < 0
               ? NULL
               : format_of(in, &c->sender, rtp.payload_type);
}

/* Gives it a place, if it may have one now. */
static bool promote(struct takt_inlet *in, struct takt_inlet_candidate *c, int64_t now_ns)
{
    uint32_t run;
    struct takt_inlet_place *p = place_for(in, c, now_ns, &run);
    const struct takt_session_packets *format = format_of_held(in, c);
    if (!p || c->run < run || !format)
        return false;
    struct takt_session_packets told = *format; /* it lies within what begin() moves */
    begin(in, p, c, &told, now_ns);
    return true;
}

static bool has_just_gone(const struct takt_inlet *in, uint32_t ssrc, int64_t now_ns)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        const struct takt_inlet_place *p = &in->place[i];
        if (p->has_gone && p->gone_ssrc == ssrc && now_ns - p->gone_ns < away_ns)
            return true;
    }
    return false;
}

/* A packet that was still on its way when its source said that it ends. Where they go on in order
 * it was not the source that said so. */
static bool is_straggler(struct takt_inlet *in, const struct takt_rtp *rtp, int64_t now_ns)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        struct takt_inlet_place *p = &in->place[i];
        if (!p->has_gone || p->gone_ssrc != rtp->ssrc || now_ns - p->gone_ns >= away_ns)
            continue;
        p->gone_run = p->gone_run && rtp->seq == p->gone_next ? p->gone_run + 1 : 1;
        p->gone_next = (uint16_t)(rtp->seq + 1);
        p->has_gone = p->gone_run < STRAGGLERS || now_ns - p->gone_ns < straggling_ns;
        return p->has_gone;
    }
    return false;
}

/* A packet of a source without a place. */
static uint64_t *audition(struct takt_inlet *in, const struct takt_rtp *rtp,
                          struct takt_inlet_context *context, const struct takt_inlet_datagram *d,
                          size_t bytes)
{
    uint32_t run;
    if (is_straggler(in, rtp, d->arrival_ns))
        return &in->counts.waiting;
    drop_stale(in, context, rtp->ssrc);
    struct takt_inlet_candidate *c = find_candidate(in, rtp->ssrc, context);
    if (!c)
        c = claim_candidate(in, rtp->ssrc, context, &d->from, d->arrival_ns);
    c->run = c->run && rtp->seq == c->seq_next ? c->run + 1 : 1;
    c->seq_next = (uint16_t)(rtp->seq + 1);
    c->heard_ns = d->arrival_ns;
    c->sender.from = d->from;
    if (!place_for(in, c, d->arrival_ns, &run))
        return &in->counts.foreign;
    hold(c, d->data, bytes, d->arrival_ns);
    if (promote(in, c, d->arrival_ns))
        return &in->counts.packets;
    bool is_told = format_of(in, &c->sender, rtp->payload_type);
    bool is_hopeless = in->cfg.is_deaf_to_lines || c->held_count > TAKT_INLET_HELD;
    return !is_told && is_hopeless ? &in->counts.undescribed : &in->counts.waiting;
}

/* ---- RTP ------------------------------------------------------------------------------------- */

static uint8_t note_id_of(const struct takt_inlet *in, uint32_t i)
{
    return i < in->cfg.formats_count ? in->formats[i].note_id : TAKT_NOTE_ID;
}

static bool find_note(const struct takt_inlet *in, const struct takt_rtp *rtp,
                      struct takt_srtp_note *out)
{
    struct takt_rtp_ext ext;
    for (uint32_t i = 0; rtp->has_ext && i <= in->cfg.formats_count; i++) {
        uint8_t id = note_id_of(in, i);
        if (id && takt_rtp_ext_find(rtp, id, &ext) && takt_srtp_note_get(ext.data, ext.bytes, out))
            return true;
    }
    return false;
}

/* Of a source that is believed as far as its key goes. ssrc: the source's own. */
static uint64_t *judge_opened(struct takt_inlet *in, const struct takt_inlet_datagram *d,
                              size_t bytes, uint32_t ssrc, struct takt_inlet_context *context)
{
    struct takt_rtp rtp;
    if (takt_rtp_parse(d->data, bytes, &rtp) < 0)
        return &in->counts.malformed;
    struct takt_inlet_place *p = find_place(in, ssrc, context);
    if (p && in->trust == TAKT_INLET_PLAIN && !is_same_host(&d->from, &p->sender.from))
        return &in->counts.foreign;
    if (rtp.ssrc != ssrc)
        return p ? take_repair(in, p, &rtp, d, bytes) : &in->counts.waiting;
    return p ? take_rtp(in, p, &rtp, d, bytes) : audition(in, &rtp, context, d, bytes);
}

static uint64_t *count_of(struct takt_inlet *in, enum takt_inlet_opened opened)
{
    return opened == TAKT_INLET_FORGED     ? &in->counts.forged
           : opened == TAKT_INLET_REPLAYED ? &in->counts.replayed
                                           : &in->counts.untried;
}

static uint64_t *judge_keyed(struct takt_inlet *in, const struct takt_inlet_datagram *d,
                             const struct takt_rtp *head, uint32_t ssrc)
{
    struct takt_srtp_note note;
    struct takt_inlet_context *context = NULL;
    size_t bytes = 0;
    if (!find_note(in, head, &note))
        return &in->counts.plain;
    enum takt_inlet_opened opened =
        (ssrc == head->ssrc ? takt_inlet_open_rtp
                            : takt_inlet_open_repair)(&in->keys, d, ssrc, &note, &bytes, &context);
    return opened == TAKT_INLET_OPENED ? judge_opened(in, d, bytes, ssrc, context)
                                       : count_of(in, opened);
}

/* What a refusal of SRTP means where there is one key for all. */
static uint64_t *count_of_srtp(struct takt_inlet *in, int code)
{
    return code == TAKT_ERR_STATE  ? &in->counts.replayed
           : code == TAKT_ERR_FULL ? &in->counts.foreign
                                   : &in->counts.forged;
}

/* Whose packet this is: of repair packets, the source that they are made of. */
static uint32_t own_ssrc(const struct takt_inlet *in, const struct takt_rtp *head)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        const struct takt_inlet_place *p = &in->place[i];
        if (p->is_live && p->sender.ssrc == head->ssrc)
            return head->ssrc;
        if (p->is_live && p->sender.ssrc + 1 == head->ssrc && p->source.packets.repair_type &&
            p->source.packets.repair_type == head->payload_type)
            return head->ssrc - 1;
    }
    bool is_repair = in->trust == TAKT_INLET_KEYED && head->payload_type == TAKT_REPAIR_TYPE;
    return is_repair ? head->ssrc - 1 : head->ssrc;
}

static uint64_t *judge_rtp(struct takt_inlet *in, const struct takt_inlet_datagram *d)
{
    struct takt_rtp head;
    struct takt_srtp_note note;
    if (takt_rtp_parse_header(d->data, d->bytes, &head) < 0)
        return &in->counts.malformed;
    uint32_t ssrc = own_ssrc(in, &head);
    if (in->trust == TAKT_INLET_KEYED)
        return judge_keyed(in, d, &head, ssrc);
    if (in->trust == TAKT_INLET_SDES) {
        int bytes = takt_srtp_unprotect(in->sdes_in, d->data, d->bytes, NULL);
        return bytes < 0 ? count_of_srtp(in, bytes)
                         : judge_opened(in, d, (size_t)bytes, ssrc, NULL);
    }
    if (find_note(in, &head, &note))
        return &in->counts.encrypted;
    return judge_opened(in, d, d->bytes, ssrc, NULL);
}

/* ---- RTCP ------------------------------------------------------------------------------------ */

static void hear_reports(struct takt_inlet_sender *s, const struct takt_rtcp_packet *p,
                         uint32_t clock_hz, int64_t arrival_ns)
{
    struct takt_rtcp_reports r;
    if (takt_rtcp_parse_reports(p, &r) < 0 || r.ssrc != s->ssrc || !r.is_sender)
        return;
    s->last_sr = takt_ntp_middle(r.sender.ntp);
    s->last_sr_ns = arrival_ns;
    takt_inlet_clock_sr(&s->clock, arrival_ns, r.sender.ntp, r.sender.timestamp, clock_hz);
}

static void hear_name(struct takt_inlet_sender *s, const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_sdes where = {0};
    struct takt_rtcp_item item;
    while (takt_rtcp_sdes_next(p, &where, &item) > 0) {
        if (item.ssrc != s->ssrc || item.type != TAKT_RTCP_CNAME)
            continue;
        size_t n = item.bytes < sizeof s->cname - 1 ? item.bytes : sizeof s->cname - 1;
        for (size_t i = 0; i < n; i++)
            s->cname[i] = item.text[i] > ' ' && item.text[i] <= '~' ? item.text[i] : '?';
        s->cname[n] = '\0';
        return;
    }
}

static void hear_answers(const struct takt_inlet *in, struct takt_inlet_sender *s,
                         const struct takt_rtcp_packet *p, int64_t arrival_ns)
{
    struct takt_rtcp_xr_block b;
    uint32_t ssrc;
    if (takt_rtcp_xr_ssrc(p, &ssrc) < 0 || ssrc != s->ssrc)
        return;
    for (size_t at = 0; takt_rtcp_xr_next(p, &at, &b) > 0;)
        for (uint8_t i = 0; b.type == TAKT_RTCP_XR_DLRR && i < b.count; i++)
            if (b.dlrr[i].ssrc == in->cfg.ssrc)
                takt_inlet_clock_answer(&s->clock, arrival_ns, &b.dlrr[i]);
}

static bool says_bye(const struct takt_rtcp_packet *p, uint32_t ssrc)
{
    struct takt_rtcp_bye bye;
    if (takt_rtcp_parse_bye(p, &bye) < 0)
        return false;
    for (uint8_t i = 0; i < bye.count; i++)
        if (bye.ssrc[i] == ssrc)
            return true;
    return false;
}

/* All of a compound but the line; clock_hz is 0 where no format is known yet. Returns whether the
 * source ends. */
static bool hear(const struct takt_inlet *in, struct takt_inlet_sender *s, uint32_t clock_hz,
                 const struct takt_inlet_datagram *d, size_t bytes)
{
    struct takt_rtcp_packet p;
    bool ends = false;
    for (size_t at = 0; takt_rtcp_next(d->data, bytes, &at, &p) > 0;) {
        if (p.type == TAKT_RTCP_SR)
            hear_reports(s, &p, clock_hz, d->arrival_ns);
        else if (p.type == TAKT_RTCP_SDES)
            hear_name(s, &p);
        else if (p.type == TAKT_RTCP_XR)
            hear_answers(in, s, &p, d->arrival_ns);
        else if (p.type == TAKT_RTCP_BYE)
            ends |= says_bye(&p, s->ssrc);
    }
    if (!s->has_back || memcmp(&s->back, &d->from, sizeof s->back) != 0)
        s->budget = 0;
    s->has_back = true;
    s->back = d->from;
    s->budget += d->bytes;
    return ends;
}

/* Its line, if there is one that can be played. */
static bool hear_line(const struct takt_inlet *in, const uint8_t *data, size_t bytes, uint32_t ssrc,
                      struct takt_session_packets *out)
{
    return !in->cfg.is_deaf_to_lines && takt_session_heard(data, bytes, ssrc, out) == 1 &&
           is_playable(out);
}

static void end_by_bye(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns)
{
    if (p->sender.context)
        p->sender.context->is_over = true;
    p->has_gone = in->trust != TAKT_INLET_KEYED;
    p->gone_run = 0;
    p->gone_ssrc = p->sender.ssrc;
    p->gone_ns = now_ns;
    end_place(in, p, TAKT_INLET_BYE);
}

static void hear_at_place(struct takt_inlet *in, struct takt_inlet_place *p,
                          const struct takt_inlet_datagram *d, size_t bytes)
{
    struct takt_session_packets line;
    bool ends = hear(in, &p->sender, takt_inlet_clock_hz(&p->source.packets), d, bytes);
    if (hear_line(in, d->data, bytes, p->sender.ssrc, &line)) {
        bool is_same = is_same_format(&line, &p->source.packets);
        p->sender.line = line;
        p->sender.has_line = true;
        if (is_same) {
            p->source.packets = line;
            p->source.is_described = true;
        } else {
            begin_anew(in, p, &line);
        }
    }
    if (!ends) {
        takt_inlet_report_soon(in, p, d->arrival_ns);
    } else if (!p->is_leaving) {
        p->is_leaving = true;
        p->leaves_ns = d->arrival_ns + leaving_ns;
    }
}

static void hear_candidate(struct takt_inlet *in, struct takt_inlet_candidate *c,
                           const struct takt_inlet_datagram *d, size_t bytes)
{
    struct takt_session_packets line;
    bool ends = hear(in, &c->sender, 0, d, bytes);
    if (hear_line(in, d->data, bytes, c->sender.ssrc, &line)) {
        c->sender.line = line;
        c->sender.has_line = true;
    }
    if (ends && c->sender.context)
        c->sender.context->is_over = true;
    if (ends)
        c->is_used = false;
    else
        promote(in, c, d->arrival_ns);
}

/* RTCP of a source that is believed as far as its key goes. */
static uint64_t *judge_heard(struct takt_inlet *in, const struct takt_inlet_datagram *d,
                             size_t bytes, struct takt_inlet_context *context)
{
    struct takt_session_packets line;
    if (takt_rtcp_check(d->data, bytes) < 0)
        return &in->counts.malformed;
    uint32_t ssrc = takt_be32(d->data + 4);
    bool is_plain = in->trust == TAKT_INLET_PLAIN;
    struct takt_inlet_place *p = find_place(in, ssrc, context);
    if (p) {
        if (is_plain && !is_same_host(&d->from, &p->sender.from))
            return &in->counts.foreign;
        hear_at_place(in, p, d, bytes);
        return &in->counts.reports;
    }
    struct takt_inlet_candidate *c = find_candidate(in, ssrc, context);
    if (!c && hear_line(in, d->data, bytes, ssrc, &line) &&
        !has_just_gone(in, ssrc, d->arrival_ns)) {
        drop_stale(in, context, ssrc);
        c = claim_candidate(in, ssrc, context, &d->from, d->arrival_ns);
    }
    if (c && (!is_plain || is_same_host(&d->from, &c->sender.from))) {
        hear_candidate(in, c, d, bytes);
        return &in->counts.reports;
    }
    return is_plain ? &in->counts.foreign : &in->counts.reports;
}

static uint64_t *judge_rtcp(struct takt_inlet *in, const struct takt_inlet_datagram *d)
{
    struct takt_inlet_context *context = NULL;
    size_t bytes = 0;
    if (in->trust == TAKT_INLET_PLAIN)
        return judge_heard(in, d, d->bytes, NULL);
    if (takt_rtcp_check(d->data, d->bytes) == 0)
        return &in->counts.plain;
    if (in->trust == TAKT_INLET_SDES) {
        int n = takt_srtcp_unprotect(in->sdes_in, d->data, d->bytes);
        return n < 0 ? count_of_srtp(in, n) : judge_heard(in, d, (size_t)n, NULL);
    }
    enum takt_inlet_opened opened = takt_inlet_open_rtcp(&in->keys, d, &bytes, &context);
    /* A source's first reports may come before its first packet, which tells its start. */
    return opened == TAKT_INLET_OPENED    ? judge_heard(in, d, bytes, context)
           : opened == TAKT_INLET_UNTRIED ? &in->counts.waiting
                                          : count_of(in, opened);
}

/* ---- All ------------------------------------------------------------------------------------- */

/* RFC 5761, 4: RTCP's types are those that RTP's should not be. */
static bool is_rtcp(const uint8_t *data)
{
    return data[1] >= 192 && data[1] <= 223;
}

static uint64_t *judge(struct takt_inlet *in, const struct takt_inlet_datagram *d)
{
    enum { VERSION = 2, RTCP_HEADER_BYTES = 8 };
    if (d->bytes < RTCP_HEADER_BYTES || d->bytes > in->cfg.packet_bytes_max ||
        d->data[0] >> 6 != VERSION)
        return &in->counts.malformed;
    return is_rtcp(d->data) ? judge_rtcp(in, d) : judge_rtp(in, d);
}

/* What somebody has to be told of. */
static bool is_refusal(const struct takt_inlet_counts *c, const uint64_t *count)
{
    return count == &c->forged || count == &c->untried || count == &c->plain ||
           count == &c->encrypted || count == &c->replayed || count == &c->undescribed ||
           count == &c->foreign;
}

void takt_inlet_take(struct takt_inlet *in, const struct takt_inlet_datagram *d)
{
    uint64_t *count = judge(in, d);
    ++*count;
    if (is_refusal(&in->counts, count))
        in->stranger = d->from;
}

void takt_inlet_tick(struct takt_inlet *in, int64_t now_ns, takt_inlet_send *send, void *arg)
{
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        struct takt_inlet_place *p = &in->place[i];
        if (p->is_live && p->is_leaving && now_ns >= p->leaves_ns)
            end_by_bye(in, p, now_ns);
        if (p->is_live && now_ns - p->heard_ns >= in->silent_ns)
            end_place(in, p, TAKT_INLET_SILENT);
        if (p->is_live)
            takt_inlet_report(in, p, now_ns, send, arg);
    }
    for (uint32_t i = 0; i < TAKT_INLET_CANDIDATES; i++)
        if (now_ns - in->candidate[i].heard_ns > candidate_ns)
            in->candidate[i].is_used = false;
}

int64_t takt_inlet_due_ns(const struct takt_inlet *in)
{
    int64_t due_ns = INT64_MAX;
    for (uint32_t i = 0; i < in->cfg.sources_max; i++) {
        const struct takt_inlet_place *p = &in->place[i];
        if (!p->is_live)
            continue;
        int64_t end_ns = p->heard_ns + in->silent_ns;
        due_ns = end_ns < due_ns ? end_ns : due_ns;
        due_ns = p->is_due && p->due_ns < due_ns ? p->due_ns : due_ns;
        due_ns = p->is_leaving && p->leaves_ns < due_ns ? p->leaves_ns : due_ns;
    }
    return due_ns;
}

void takt_inlet_read(const struct takt_inlet *in, uint32_t place, struct takt_inlet_state *out)
{
    TAKT_ASSERT(place < in->cfg.sources_max);
    const struct takt_inlet_place *p = &in->place[place];
    struct takt_rtp_source copy = p->reception;
    struct takt_rtp_reception r = takt_rtp_source_report(&copy);
    uint32_t hz = takt_inlet_clock_hz(&p->source.packets);
    *out = (struct takt_inlet_state){.round_trip_ns = -1};
    if (!p->is_live)
        return;
    *out = (struct takt_inlet_state){
        .is_live = true,
        .source = p->source,
        .packets = p->packets,
        .bytes = p->bytes,
        .heard_ns = p->heard_ns,
        .lost = r.lost,
        .jitter_ns = (int64_t)((double)r.jitter * 1e9 / hz),
        .repaired = p->repaired,
        .repair_packets = p->repair_packets,
        .round_trip_ns = takt_inlet_clock_trip_ns(&p->sender.clock),
        .has_clock = p->sender.clock.is_known,
        .unix_less_monotonic_ns = p->sender.clock.unix_less_monotonic_ns,
    };
    memcpy(out->cname, p->sender.cname, sizeof out->cname);
}

void takt_inlet_read_counts(const struct takt_inlet *in, struct takt_inlet_counts *out)
{
    *out = in->counts;
}

void takt_inlet_read_stranger(const struct takt_inlet *in, struct takt_inlet_peer *out)
{
    *out = in->stranger;
}
