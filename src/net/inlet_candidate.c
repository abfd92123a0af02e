/*
 * Sources that have no place yet. A source that is believed as far as its key goes is a candidate;
 * it gets a place when the format of its packets is known, enough of them have come, and there is a
 * place for it. What it has sent so far, and is not older than a second, is then delivered with its
 * own times of arrival.
 *
 * A place is to be had when it is free, or by a source of a later start where there is but one
 * place and the key shows starts; or when its source has been silent for 2 s.
 */
#include "net/inlet_parts.h"

#include <string.h>

enum {
    RUN_FIRST = 2, /* packets in order of a plain source, before it is believed */
    RUN_OTHER = 8, /* and of one that follows another */
    STRAGGLERS = 8 /* in order, after which a source has not ended */
};
static const int64_t away_ns = 2000000000, held_ns = 1000000000;
static const int64_t straggling_ns = 200000000;

struct takt_inlet_candidate *takt_inlet_find_candidate(struct takt_inlet *in, uint32_t ssrc,
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
            was->context == c->sender.context &&
            takt_inlet_is_same_host(&was->from, &c->sender.from)) {
            c->sender.has_line = true;
            c->sender.line = was->line;
            memcpy(c->sender.cname, was->cname, sizeof was->cname);
        }
    }
}

struct takt_inlet_candidate *takt_inlet_claim_candidate(struct takt_inlet *in, uint32_t ssrc,
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

void takt_inlet_drop_stale(struct takt_inlet *in, const struct takt_inlet_context *context,
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
            !takt_inlet_is_of(p, rtp.payload_type))
            continue;
        if (!has_begun)
            takt_rtp_source_init(&p->reception, rtp.seq);
        has_begun = true;
        takt_inlet_receive(in, p, &rtp, h->data, h->bytes, h->arrival_ns);
    }
}

static void begin(struct takt_inlet *in, struct takt_inlet_place *p, struct takt_inlet_candidate *c,
                  const struct takt_session_packets *format, int64_t now_ns)
{
    struct takt_repair_decoder *repair = p->repair;
    if (p->is_live)
        takt_inlet_end_place(in, p, TAKT_INLET_REPLACED);
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
    takt_inlet_announce(in, p, format);
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
               : takt_inlet_format_of(in, &c->sender, rtp.payload_type);
}

bool takt_inlet_promote(struct takt_inlet *in, struct takt_inlet_candidate *c, int64_t now_ns)
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

bool takt_inlet_has_just_gone(const struct takt_inlet *in, uint32_t ssrc, int64_t now_ns)
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

uint64_t *takt_inlet_audition(struct takt_inlet *in, const struct takt_rtp *rtp,
                              struct takt_inlet_context *context,
                              const struct takt_inlet_datagram *d, size_t bytes)
{
    uint32_t run;
    if (is_straggler(in, rtp, d->arrival_ns))
        return &in->counts.waiting;
    takt_inlet_drop_stale(in, context, rtp->ssrc);
    struct takt_inlet_candidate *c = takt_inlet_find_candidate(in, rtp->ssrc, context);
    if (!c)
        c = takt_inlet_claim_candidate(in, rtp->ssrc, context, &d->from, d->arrival_ns);
    c->run = c->run && rtp->seq == c->seq_next ? c->run + 1 : 1;
    c->seq_next = (uint16_t)(rtp->seq + 1);
    c->heard_ns = d->arrival_ns;
    c->sender.from = d->from;
    if (!place_for(in, c, d->arrival_ns, &run))
        return &in->counts.foreign;
    hold(c, d->data, bytes, d->arrival_ns);
    if (takt_inlet_promote(in, c, d->arrival_ns))
        return &in->counts.packets;
    bool is_told = takt_inlet_format_of(in, &c->sender, rtp->payload_type);
    bool is_hopeless = in->cfg.is_deaf_to_lines || c->held_count > TAKT_INLET_HELD;
    return !is_told && is_hopeless ? &in->counts.undescribed : &in->counts.waiting;
}
