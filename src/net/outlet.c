/*
 * Everything that goes out hangs on the packets the sender hands out: before the first of them goes
 * the description, into the block of repair goes each one as it is, and then, encrypted, to the
 * caller. What the time makes due comes at the end of a push.
 *
 * The description is a report with nothing in it but the line, made once; a report in its place
 * does as well.
 *
 * Invariants: `next_told` is the count of packets after which there is a description again, a power
 * of two, until these are rarer than every 250 ms. `emit` and what belongs to it is set during a
 * call that sends, and at no other time.
 */
#include "net/outlet.h"

#include "base/assert.h"
#include "base/fail.h"
#include "base/random.h"
#include "base/touched.h"
#include "net/outlet_keys.h"
#include "net/outlet_repair.h"
#include "wire/rtcp.h"

#include <string.h>

enum {
    DATAGRAM_BYTES = 1452,
    ROTATE_S = 3600,
    ROTATE_S_MAX = 86400,
    NOTE_ROOM = 20 /* in the header extension of a repair packet */
};

static const int64_t ns_per_s = 1000000000;
static const int64_t told_ns = 250000000;  /* from one description to the next */
static const int64_t stall_ns = 100000000; /* after which a block is not waited for */

struct takt_outlet {
    struct takt_session_packets packets;
    bool is_bare;
    uint32_t ssrc;
    struct takt_sender *sender;
    struct takt_outlet_keys *keys; /* NULL: plain */
    bool has_repair;
    struct takt_outlet_repair repair;
    int64_t block_ns_max;
    struct takt_random random;

    bool is_over;
    uint64_t packets_sent, next_told, next_told_max;
    int64_t told_due_ns, report_due_ns;
    size_t line_bytes; /* the description */
    uint8_t line[TAKT_SENDER_REPORT_BYTES_MAX];
    uint8_t datagram[TAKT_OUTLET_REPAIR_BYTES_MAX + TAKT_SRTP_TRAILER_BYTES_MAX];

    takt_outlet_emit *emit; /* of the call that is on */
    void *arg;
    int64_t now_ns;

    uint64_t repair_packets, repair_bytes, reports, report_bytes, heard, refused, unencrypted;
};

/* ---- Life --------------------------------------------------------------------------------------
 */

static int refuse(struct takt_error *e, const char *what)
{
    return takt_fail(e, TAKT_ERR_ARG, 0, "%s", what);
}

static int check_repair(const struct takt_outlet_cfg *c, struct takt_error *e)
{
    const struct takt_session_packets *p = &c->packets;
    uint8_t type = p->repair_type;
    if (c->repair_max > TAKT_REPAIR_MAX || c->repair_least > c->repair_max)
        return refuse(e,
                      "a block has 0 to 12 repair packets, and at most as many as their maximum");
    if (c->repair_data > TAKT_REPAIR_DATA_MAX)
        return refuse(e, "a block has 1 to 32 packets");
    if (c->repair_max && (type > 127 || type == p->payload_type || type == p->red_type))
        return refuse(e, "repair packets need a payload type of their own");
    return 0;
}

static int check_cfg(const struct takt_outlet_cfg *c, struct takt_error *e)
{
    int err = takt_codec_check(&c->packets.format, e);
    if (err < 0)
        return err;
    if (c->key && c->srtp_key)
        return refuse(e, "a stream has one key, of takt or of an SDP");
    if (c->key && c->is_bare)
        return refuse(e, "other tools cannot read what has takt's key; SDP has keys for them");
    if (c->key && c->start == 0)
        return refuse(e, "an encrypted stream needs its start");
    if (!(c->rotate_s >= 1 && c->rotate_s <= ROTATE_S_MAX))
        return refuse(e, "keys are changed every 1 to 86400 s");
    return check_repair(c, e);
}

static uint64_t packet_ns(const struct takt_codec_format *f)
{
    return (uint64_t)f->frames * (uint64_t)ns_per_s / f->rate_hz;
}

static void fill_in(struct takt_outlet_cfg *c)
{
    if (c->is_bare)
        c->repair_least = c->repair_max = 0;
    c->packets.capture_id = c->is_bare ? 0 : TAKT_CAPTURE_ID;
    c->packets.note_id = c->key ? TAKT_NOTE_ID : 0;
    if (c->repair_max == 0)
        c->packets.repair_type = 0;
    else if (c->packets.repair_type == 0)
        c->packets.repair_type = TAKT_REPAIR_TYPE;
    if (c->rotate_s == 0)
        c->rotate_s = ROTATE_S;
    if (c->datagram_bytes_max == 0)
        c->datagram_bytes_max = DATAGRAM_BYTES;
}

static void note_of(void *arg, uint32_t ssrc, uint16_t seq, struct takt_srtp_note *out)
{
    struct takt_outlet *o = arg;
    (void)ssrc;
    takt_outlet_keys_note(o->keys, TAKT_OUTLET_RTP, seq, out);
}

/* A repair packet holds the longest of its packets, and more. */
static size_t packet_bytes_max(const struct takt_outlet_cfg *c, size_t trailer_bytes)
{
    size_t around = trailer_bytes + (c->repair_max ? TAKT_RTP_HEADER_BYTES : 0);
    if (c->repair_max)
        around += TAKT_REPAIR_HEADER_BYTES + (c->key ? NOTE_ROOM : 0);
    if (c->datagram_bytes_max <= around)
        return 0;
    size_t left = c->datagram_bytes_max - around;
    return c->repair_max && left > TAKT_REPAIR_PACKET_BYTES_MAX ? TAKT_REPAIR_PACKET_BYTES_MAX
                                                                : left;
}

static int make_sender(struct takt_outlet *o, const struct takt_outlet_cfg *c, struct takt_error *e)
{
    size_t trailer_bytes = o->keys ? takt_outlet_keys_added(o->keys) : 0;
    size_t packet_bytes = packet_bytes_max(c, trailer_bytes);
    if (packet_bytes == 0)
        return refuse(e, "datagrams are too small for anything");
    return takt_sender_create(
        &(struct takt_sender_cfg){
            .packets = c->packets,
            .ssrc = c->ssrc,
            .seq = c->seq,
            .timestamp = c->timestamp,
            .cname = c->cname,
            .is_undescribed = c->is_bare,
            .copies = c->copies,
            .copies_max = c->copies_max,
            .is_repaired = c->repair_max > 0,
            .follows_loss = c->follows_loss,
            .datagram_bytes_max = packet_bytes + trailer_bytes,
            .trailer_bytes = trailer_bytes,
            .note = note_of,
            .note_arg = o,
        },
        &o->sender, e);
}

static int make_repair(struct takt_outlet *o, const struct takt_outlet_cfg *c, struct takt_error *e)
{
    o->has_repair = true;
    int err =
        takt_outlet_repair_init(&o->repair, &(struct takt_outlet_repair_cfg){
                                                .ssrc = c->ssrc + 1,
                                                .seq = (uint16_t)takt_random_u64(&o->random),
                                                .type = c->packets.repair_type,
                                                .data = c->repair_data,
                                                .packet_ns = packet_ns(&c->packets.format),
                                                .least = c->repair_least,
                                                .most = c->repair_max,
                                                .note_id = c->packets.note_id,
                                                .packet_bytes_max = TAKT_REPAIR_PACKET_BYTES_MAX,
                                            });
    if (err < 0)
        return takt_fail(e, (enum takt_err)err, 0, "no memory for repair packets");
    uint64_t block_ns = takt_outlet_repair_data_most(&o->repair) * packet_ns(&c->packets.format);
    o->block_ns_max = stall_ns + 2 * (int64_t)block_ns;
    return 0;
}

/* The description as RTCP. The sender has checked all that is in it. */
static void write_line(struct takt_outlet *o, const char *cname)
{
    char text[TAKT_SESSION_LINE_MAX];
    int text_bytes = takt_session_describe(&o->packets, text, sizeof text);
    TAKT_ASSERT(text_bytes > 0);
    struct takt_rtcp_reports none = {.ssrc = o->ssrc};
    struct takt_rtcp_item items[] = {
        {.ssrc = o->ssrc, .type = TAKT_RTCP_CNAME, .bytes = (uint8_t)strlen(cname), .text = cname},
        {.ssrc = o->ssrc,
         .type = TAKT_RTCP_PRIV,
         .prefix = TAKT_SESSION_PREFIX,
         .prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1,
         .bytes = (uint8_t)text_bytes,
         .text = text},
    };
    int head = takt_rtcp_write_reports(&none, o->line, sizeof o->line);
    TAKT_ASSERT(head > 0);
    int rest = takt_rtcp_write_sdes(items, 2, o->line + head, sizeof o->line - (size_t)head);
    TAKT_ASSERT(rest > 0);
    o->line_bytes = (size_t)head + (size_t)rest;
}

static int begin(struct takt_outlet *o, const struct takt_outlet_cfg *c, struct takt_error *e)
{
    uint64_t ns = packet_ns(&c->packets.format);
    o->packets = c->packets;
    o->is_bare = c->is_bare;
    o->ssrc = c->ssrc;
    o->random = takt_random_seed(c->seed);
    o->next_told = 1;
    o->next_told_max = (uint64_t)told_ns / (ns ? ns : 1);
    o->told_due_ns = o->report_due_ns = INT64_MIN;
    int err = c->key || c->srtp_key ? takt_outlet_keys_create(c, &o->keys, e) : 0;
    if (err == 0)
        err = make_sender(o, c, e);
    if (err == 0 && c->repair_max)
        err = make_repair(o, c, e);
    if (err == 0)
        write_line(o, c->cname);
    return err;
}

int takt_outlet_create(const struct takt_outlet_cfg *cfg, struct takt_outlet **out,
                       struct takt_error *e)
{
    struct takt_outlet_cfg c = *cfg;
    *out = NULL;
    fill_in(&c);
    int err = check_cfg(&c, e);
    if (err < 0)
        return err;
    struct takt_outlet *o = takt_calloc_touched(1, sizeof *o);
    if (!o)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for a sender");
    err = begin(o, &c, e);
    if (err < 0) {
        takt_outlet_destroy(o);
        return err;
    }
    *out = o;
    return TAKT_OK;
}

void takt_outlet_destroy(struct takt_outlet *o)
{
    if (!o)
        return;
    takt_sender_destroy(o->sender);
    takt_outlet_keys_destroy(o->keys);
    takt_outlet_repair_fini(&o->repair);
    free(o);
}

void takt_outlet_set_clock(struct takt_outlet *o, int64_t unix_less_monotonic_ns)
{
    takt_sender_set_clock(o->sender, unix_less_monotonic_ns);
}

/* ---- Datagrams ---------------------------------------------------------------------------------
 */

/* Encrypts, and hands out. Returns how many bytes; 0 when libcrypto failed, and nothing went out.
 */
static size_t hand_out(struct takt_outlet *o, enum takt_outlet_kind kind, uint8_t *at, size_t bytes,
                       size_t room)
{
    if (o->keys) {
        int sealed = takt_outlet_keys_protect(o->keys, kind, at, bytes, room);
        if (sealed < 0) {
            o->unencrypted++;
            return 0;
        }
        bytes = (size_t)sealed;
    }
    o->emit(o->arg, kind, at, bytes);
    return bytes;
}

static void send_rtcp(struct takt_outlet *o, size_t bytes)
{
    size_t sent = hand_out(o, TAKT_OUTLET_RTCP, o->datagram, bytes, sizeof o->datagram);
    o->reports += sent > 0;
    o->report_bytes += sent;
}

static void follow(struct takt_outlet *o, int64_t now_ns)
{
    struct takt_sender_stats s;
    if (!o->has_repair)
        return;
    takt_sender_read_stats(o->sender, &s);
    takt_outlet_repair_follow(&o->repair, s.loss, s.loss_spread, s.overtakes, now_ns);
}

static void report(struct takt_outlet *o)
{
    int bytes = takt_sender_report(o->sender, o->now_ns, o->datagram, TAKT_SENDER_REPORT_BYTES_MAX);
    TAKT_ASSERT(bytes > 0);
    send_rtcp(o, (size_t)bytes);
    double chance = takt_random_unit(&o->random);
    o->report_due_ns = o->now_ns + takt_sender_report_interval_ns(o->sender, chance);
    o->told_due_ns = o->now_ns + told_ns;
    follow(o, o->now_ns);
}

static void describe(struct takt_outlet *o)
{
    memcpy(o->datagram, o->line, o->line_bytes);
    send_rtcp(o, o->line_bytes);
    o->told_due_ns = o->now_ns + told_ns;
}

/* A description, in a report if one is due. */
static void tell(struct takt_outlet *o, bool is_due)
{
    is_due = !o->is_bare && (is_due || o->now_ns >= o->told_due_ns);
    if (o->now_ns >= o->report_due_ns)
        report(o);
    else if (is_due)
        describe(o);
}

static void send_repair(struct takt_outlet *o)
{
    struct takt_outlet_repair *r = &o->repair;
    for (uint32_t i = 0; i < r->block_repair; i++) {
        struct takt_srtp_note note;
        bool has_note = r->cfg.note_id;
        if (has_note)
            takt_outlet_keys_note(o->keys, TAKT_OUTLET_REPAIR, r->seq, &note);
        size_t bytes = takt_outlet_repair_write(r, i, has_note ? &note : NULL, o->datagram,
                                                sizeof o->datagram);
        size_t sent = hand_out(o, TAKT_OUTLET_REPAIR, o->datagram, bytes, sizeof o->datagram);
        o->repair_packets += sent > 0;
        o->repair_bytes += sent;
    }
    takt_outlet_repair_end(r);
}

static void send_packet(void *arg, uint8_t *packet, size_t bytes)
{
    struct takt_outlet *o = arg;
    bool is_full = false;
    if (o->packets_sent == 0 && !o->is_bare)
        describe(o);
    if (o->has_repair)
        is_full = takt_outlet_repair_add(&o->repair, packet, bytes, o->now_ns);
    hand_out(o, TAKT_OUTLET_RTP, packet, bytes, bytes + TAKT_SENDER_SPARE_BYTES);
    if (is_full)
        send_repair(o);
    if (++o->packets_sent == o->next_told) {
        o->next_told = 2 * o->next_told <= o->next_told_max ? 2 * o->next_told : 0;
        tell(o, true);
    }
}

static bool is_block_late(const struct takt_outlet *o)
{
    return o->has_repair && takt_outlet_repair_has_begun(&o->repair) &&
           o->now_ns - o->repair.block_ns >= o->block_ns_max;
}

/* What a call that sends has in common with the others. */
static void open_call(struct takt_outlet *o, int64_t now_ns, takt_outlet_emit *emit, void *arg)
{
    o->emit = emit;
    o->arg = arg;
    o->now_ns = now_ns;
    if (o->keys)
        takt_outlet_keys_turn(o->keys, now_ns);
}

void takt_outlet_push(struct takt_outlet *o, const float *const *planes, uint32_t frames,
                      int64_t capture_ns, int64_t now_ns, takt_outlet_emit *emit, void *arg)
{
    if (o->is_over)
        return;
    open_call(o, now_ns, emit, arg);
    takt_sender_push(o->sender, planes, frames, capture_ns, send_packet, o);
    if (is_block_late(o))
        send_repair(o);
    if (o->packets_sent)
        tell(o, false);
}

int64_t takt_outlet_due_ns(const struct takt_outlet *o)
{
    if (o->is_over || o->packets_sent == 0)
        return INT64_MAX;
    int64_t due_ns = o->report_due_ns;
    if (!o->is_bare && o->told_due_ns < due_ns)
        due_ns = o->told_due_ns;
    if (o->has_repair && takt_outlet_repair_has_begun(&o->repair) &&
        o->repair.block_ns + o->block_ns_max < due_ns)
        due_ns = o->repair.block_ns + o->block_ns_max;
    return due_ns;
}

void takt_outlet_bye(struct takt_outlet *o, int64_t now_ns, const char *reason,
                     takt_outlet_emit *emit, void *arg)
{
    if (o->is_over)
        return;
    open_call(o, now_ns, emit, arg);
    takt_sender_flush(o->sender, send_packet, o);
    if (o->has_repair && takt_outlet_repair_has_begun(&o->repair))
        send_repair(o);
    if (o->packets_sent) {
        int bytes =
            takt_sender_bye(o->sender, now_ns, reason, o->datagram, TAKT_SENDER_REPORT_BYTES_MAX);
        TAKT_ASSERT(bytes > 0);
        send_rtcp(o, (size_t)bytes);
    }
    o->is_over = true;
}

/* ---- What comes back ---------------------------------------------------------------------------
 */

static int take(struct takt_outlet *o, uint8_t *datagram, size_t bytes, int64_t now_ns)
{
    if (o->keys) {
        int opened = takt_outlet_keys_open(o->keys, datagram, bytes, now_ns);
        if (opened < 0)
            return opened;
        bytes = (size_t)opened;
    }
    return takt_sender_take_rtcp(o->sender, datagram, bytes, now_ns);
}

int takt_outlet_take(struct takt_outlet *o, uint8_t *datagram, size_t bytes, int64_t now_ns)
{
    if (take(o, datagram, bytes, now_ns) < 0) {
        o->refused++;
        return TAKT_ERR_FORMAT;
    }
    o->heard++;
    follow(o, now_ns);
    return 0;
}

size_t takt_outlet_read_receivers(const struct takt_outlet *o, struct takt_sender_receiver *out,
                                  size_t max)
{
    return takt_sender_read_receivers(o->sender, out, max);
}

void takt_outlet_read_stats(const struct takt_outlet *o, struct takt_outlet_stats *out)
{
    *out = (struct takt_outlet_stats){
        .repair_packets = o->repair_packets,
        .repair_bytes = o->repair_bytes,
        .repair_now = o->has_repair ? o->repair.held.level : 0,
        .repair_data = o->has_repair ? o->repair.data : 0,
        .reports = o->reports,
        .report_bytes = o->report_bytes,
        .heard = o->heard,
        .refused = o->refused,
        .unencrypted = o->unencrypted,
        .epoch = o->keys ? takt_outlet_keys_epoch(o->keys) : 0,
    };
    takt_sender_read_stats(o->sender, &out->sender);
}

void takt_outlet_read_packets(const struct takt_outlet *o, struct takt_session_packets *out)
{
    *out = o->packets;
}
