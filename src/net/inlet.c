/*
 * Each datagram is judged once: `judge` returns the count that it belongs to, after what followed
 * from it has been done. First its form, then its key, then whose it is.
 *
 * What comes of it is up to its source's place (inlet_place.c), or to the candidate that it is as
 * long as it has none (inlet_candidate.c).
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
    PACKET_BYTES_MAX = 65535,
    SDES_SOURCES = 256,
    SILENT_S = 10,
    SILENT_S_MAX = 86400,
    TRIALS_PER_S = 1000
};
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
    struct takt_inlet_place *p = takt_inlet_find_place(in, ssrc, context);
    if (p && in->trust == TAKT_INLET_PLAIN && !takt_inlet_is_same_host(&d->from, &p->sender.from))
        return &in->counts.foreign;
    if (rtp.ssrc != ssrc)
        return p ? takt_inlet_take_repair(in, p, &rtp, d, bytes) : &in->counts.waiting;
    return p ? takt_inlet_take_rtp(in, p, &rtp, d, bytes)
             : takt_inlet_audition(in, &rtp, context, d, bytes);
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

static bool is_same_format(const struct takt_session_packets *a,
                           const struct takt_session_packets *b)
{
    return a->format.codec == b->format.codec && a->format.rate_hz == b->format.rate_hz &&
           a->format.channels == b->format.channels && a->payload_type == b->payload_type &&
           a->red_type == b->red_type;
}

static void end_by_bye(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns)
{
    if (p->sender.context)
        p->sender.context->is_over = true;
    p->has_gone = in->trust != TAKT_INLET_KEYED;
    p->gone_run = 0;
    p->gone_ssrc = p->sender.ssrc;
    p->gone_ns = now_ns;
    takt_inlet_end_place(in, p, TAKT_INLET_BYE);
}

static void hear_at_place(struct takt_inlet *in, struct takt_inlet_place *p,
                          const struct takt_inlet_datagram *d, size_t bytes)
{
    struct takt_session_packets line;
    bool ends = takt_inlet_hear(in, &p->sender, takt_inlet_clock_hz(&p->source.packets), d, bytes);
    if (takt_inlet_hear_line(in, d->data, bytes, p->sender.ssrc, &line)) {
        bool is_same = is_same_format(&line, &p->source.packets);
        p->sender.line = line;
        p->sender.has_line = true;
        if (is_same) {
            p->source.packets = line;
            p->source.is_described = true;
        } else {
            takt_inlet_begin_anew(in, p, &line);
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
    bool ends = takt_inlet_hear(in, &c->sender, 0, d, bytes);
    if (takt_inlet_hear_line(in, d->data, bytes, c->sender.ssrc, &line)) {
        c->sender.line = line;
        c->sender.has_line = true;
    }
    if (ends && c->sender.context)
        c->sender.context->is_over = true;
    if (ends)
        c->is_used = false;
    else
        takt_inlet_promote(in, c, d->arrival_ns);
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
    struct takt_inlet_place *p = takt_inlet_find_place(in, ssrc, context);
    if (p) {
        if (is_plain && !takt_inlet_is_same_host(&d->from, &p->sender.from))
            return &in->counts.foreign;
        hear_at_place(in, p, d, bytes);
        return &in->counts.reports;
    }
    struct takt_inlet_candidate *c = takt_inlet_find_candidate(in, ssrc, context);
    if (!c && takt_inlet_hear_line(in, d->data, bytes, ssrc, &line) &&
        !takt_inlet_has_just_gone(in, ssrc, d->arrival_ns)) {
        takt_inlet_drop_stale(in, context, ssrc);
        c = takt_inlet_claim_candidate(in, ssrc, context, &d->from, d->arrival_ns);
    }
    if (c && (!is_plain || takt_inlet_is_same_host(&d->from, &c->sender.from))) {
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
            takt_inlet_end_place(in, p, TAKT_INLET_SILENT);
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
