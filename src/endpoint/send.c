/*
 * Two threads beside the caller's:
 *
 *     callback ── ring of blocks, wake ──► takt-send ── outlet ──► sendmmsg
 *     takt-heard ── reports ── ring ──► takt-send
 *
 * The sending thread alone has the outlet. It sleeps until a block or a report wakes it, or
 * something is due, and shows its statistics as a snapshot.
 *
 * Invariants: a block in the ring has PIECE_FRAMES at most; datagrams that wait in `batch` are sent
 * before the thread sleeps.
 */
#include "takt/send.h"

#include "base/fail.h"
#include "base/touched.h"
#include "endpoint/sap.h"
#include "endpoint/send_plan.h"
#include "io/text_file.h"
#include "io/udp.h"
#include "sync/wake.h"
#include "takt/hist.h"
#include "takt/message_ring.h"
#include "takt/snapshot.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_FRAMES = 1024,
    BATCH = 16, /* datagrams, each to all destinations */
    DATAGRAM_BYTES = 1536,
    HEARD_RING_BYTES = 65536,
    HEARD_BATCH = 16,
    STACK_BYTES = 512 << 10,
    AROUND_BYTES = 28, /* IPv4 and UDP */
    WHY_BYTES = 96
};
static const int64_t ring_ns = 500000000, nap_ns = 50000000, second_ns = 1000000000;

/* What comes before a block's samples in the ring. */
struct block_head {
    int64_t capture_ns, written_ns;
    uint32_t frames;
    bool is_silent;
};

/* What the sending thread shows. */
struct shown {
    struct takt_outlet_stats outlet;
    struct takt_sender_receiver listeners[TAKT_SEND_LISTENERS_MAX];
    uint32_t listeners_count;
    int64_t at_ns;
    double kbit_s;
    char why[WHY_BYTES];
};

struct takt_send {
    /* The writer's. */
    struct takt_message_ring *blocks;
    uint32_t channels, rate_hz;
    struct block_head *piece; /* and its samples behind it */
    struct takt_wake wake;
    _Atomic uint64_t frames, frames_dropped;

    /* The sending thread's. */
    struct takt_outlet *outlet;
    struct takt_udp *udp;
    uint32_t to_count;
    uint8_t (*batch)[DATAGRAM_BYTES]; /* [BATCH] */
    struct takt_udp_datagram *list;   /* [BATCH * to_count] */
    uint32_t batch_count, list_count;
    struct takt_announcer *announcer;
    int64_t clock_due_ns, shown_due_ns, window_ns;
    uint64_t bytes, window_bytes; /* with what is around them */
    struct shown now;
    struct takt_snapshot *shown;
    struct takt_hist wake_ns;

    struct takt_message_ring *heard;
    struct takt_thread *threads[2];
    _Atomic bool ends;  /* no more is written */
    _Atomic bool ended; /* the goodbye is said */
    _Atomic bool quits;
    _Atomic int64_t cpu_ns[2];
    const char *codec;
    uint32_t packet_frames, ssrc;
    bool is_encrypted;
};

/* ---- The writer ------------------------------------------------------------------------------ */

static inline void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* RT: yes (wait-free). */
static bool write_piece(struct takt_send *s, const float *const *planes, uint32_t from,
                        uint32_t frames, int64_t capture_ns, int64_t now_ns)
{
    float *samples = (float *)(s->piece + 1);
    *s->piece = (struct block_head){.capture_ns = capture_ns,
                                    .written_ns = now_ns,
                                    .frames = frames,
                                    .is_silent = planes == NULL};
    size_t bytes = sizeof *s->piece;
    for (uint32_t c = 0; planes && c < s->channels; c++, bytes += frames * sizeof *samples)
        memcpy(samples + (size_t)c * frames, planes[c] + from, frames * sizeof *samples);
    bool fits = takt_message_ring_write(s->blocks, s->piece, bytes);
    add(fits ? &s->frames : &s->frames_dropped, frames);
    return fits;
}

bool takt_send_write(struct takt_send *s, const float *const *planes, uint32_t frames,
                     int64_t capture_ns)
{
    bool all = true;
    int64_t now_ns = takt_now_ns();
    for (uint32_t done = 0; done < frames; done += PIECE_FRAMES) {
        uint32_t n = frames - done < PIECE_FRAMES ? frames - done : PIECE_FRAMES;
        int64_t later_ns = (int64_t)done * second_ns / s->rate_hz;
        all = write_piece(s, planes, done, n, capture_ns + later_ns, now_ns) && all;
    }
    takt_wake_signal(&s->wake);
    return all;
}

void takt_send_end(struct takt_send *s)
{
    atomic_store(&s->ends, true);
    takt_wake_signal(&s->wake);
}

/* ---- Out ------------------------------------------------------------------------------------- */

static void flush(struct takt_send *s)
{
    if (s->list_count && takt_udp_send(s->udp, s->list, s->list_count) < s->list_count)
        for (uint32_t i = 0; i < s->list_count; i++)
            if (s->list[i].error)
                snprintf(s->now.why, sizeof s->now.why, "%s", strerror(s->list[i].error));
    s->batch_count = s->list_count = 0;
}

static void emit(void *arg, enum takt_outlet_kind kind, const uint8_t *datagram, size_t bytes)
{
    struct takt_send *s = arg;
    if (bytes > DATAGRAM_BYTES)
        return;
    memcpy(s->batch[s->batch_count], datagram, bytes);
    for (uint32_t d = 0; d < s->to_count; d++)
        s->list[s->list_count++] =
            (struct takt_udp_datagram){.data = s->batch[s->batch_count],
                                       .bytes = (uint32_t)bytes,
                                       .to = TAKT_ENDPOINT_PORTS * d + (uint32_t)kind};
    s->bytes += bytes + AROUND_BYTES;
    if (++s->batch_count == BATCH)
        flush(s);
}

static bool push_block(struct takt_send *s)
{
    const void *at;
    size_t bytes;
    const float *planes[TAKT_CODEC_CHANNELS_MAX];
    if (!takt_message_ring_peek(s->blocks, &at, &bytes))
        return false;
    struct block_head head;
    memcpy(&head, at, sizeof head);
    const float *samples = (const float *)((const struct block_head *)at + 1);
    for (uint32_t c = 0; c < s->channels; c++)
        planes[c] = samples + (size_t)c * head.frames;
    takt_outlet_push(s->outlet, head.is_silent ? NULL : planes, head.frames, head.capture_ns,
                     takt_now_ns(), emit, s);
    takt_message_ring_advance(s->blocks);
    flush(s);
    int64_t took_ns = takt_now_ns() - head.written_ns;
    takt_hist_record(&s->wake_ns, took_ns > 0 ? (uint64_t)took_ns : 0);
    return true;
}

static void take_heard(struct takt_send *s)
{
    uint8_t datagram[DATAGRAM_BYTES];
    size_t bytes;
    while (takt_message_ring_read(s->heard, datagram, sizeof datagram, &bytes))
        if (bytes <= sizeof datagram)
            takt_outlet_take(s->outlet, datagram, bytes, takt_now_ns());
}

static void show(struct takt_send *s, int64_t now_ns)
{
    if (now_ns - s->window_ns >= second_ns) {
        s->now.kbit_s =
            8e6 * (double)(s->bytes - s->window_bytes) / (double)(now_ns - s->window_ns);
        s->window_ns = now_ns;
        s->window_bytes = s->bytes;
    }
    takt_outlet_read_stats(s->outlet, &s->now.outlet);
    s->now.listeners_count =
        (uint32_t)takt_outlet_read_receivers(s->outlet, s->now.listeners, TAKT_SEND_LISTENERS_MAX);
    s->now.at_ns = now_ns;
    takt_snapshot_write(s->shown, &s->now);
    atomic_store(&s->cpu_ns[0], takt_endpoint_cpu_ns());
}

static void send_what_is_there(struct takt_send *s)
{
    int64_t now_ns = takt_now_ns();
    if (now_ns >= s->clock_due_ns) {
        takt_outlet_set_clock(s->outlet, takt_endpoint_wall_ns());
        s->clock_due_ns = now_ns + second_ns;
    }
    take_heard(s);
    while (push_block(s))
        ;
    now_ns = takt_now_ns();
    if (now_ns >= takt_outlet_due_ns(s->outlet)) {
        takt_outlet_push(s->outlet, NULL, 0, now_ns, now_ns, emit, s);
        flush(s);
    }
    if (s->announcer)
        takt_announcer_tick(s->announcer, now_ns);
    if (now_ns >= s->shown_due_ns) {
        show(s, now_ns);
        s->shown_due_ns = now_ns + nap_ns;
    }
}

static void run_sending(void *arg)
{
    struct takt_send *s = arg;
    s->window_ns = takt_now_ns();
    while (!atomic_load(&s->ends)) {
        send_what_is_there(s);
        int64_t due_ns = takt_outlet_due_ns(s->outlet), latest_ns = takt_now_ns() + nap_ns;
        takt_wake_wait(&s->wake, due_ns < latest_ns ? due_ns : latest_ns);
    }
    send_what_is_there(s);
    takt_outlet_bye(s->outlet, takt_now_ns(), "the stream has ended", emit, s);
    flush(s);
    show(s, takt_now_ns());
    atomic_store(&s->ended, true);
}

/* ---- What comes back ------------------------------------------------------------------------- */

static void run_hearing(void *arg)
{
    struct takt_send *s = arg;
    struct takt_udp_packet in[HEARD_BATCH];
    while (!atomic_load(&s->quits)) {
        int count = takt_udp_receive(s->udp, in, HEARD_BATCH, -1);
        for (int i = 0; i < count; i++)
            if (in[i].bytes <= DATAGRAM_BYTES && !in[i].is_truncated)
                takt_message_ring_write(s->heard, in[i].data, in[i].bytes);
        if (count > 0)
            takt_wake_signal(&s->wake);
        if (count < 0)
            break;
        atomic_store(&s->cpu_ns[1], takt_endpoint_cpu_ns());
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int make_memory(struct takt_send *s, struct takt_error *e)
{
    size_t piece = sizeof *s->piece + sizeof(float) * s->channels * (size_t)PIECE_FRAMES;
    double sound = (double)ring_ns * 1e-9 * s->rate_hz * s->channels * sizeof(float);
    s->piece = takt_calloc_touched(1, piece);
    s->batch = takt_calloc_touched(BATCH, sizeof *s->batch);
    s->list = takt_calloc_touched((size_t)BATCH * s->to_count, sizeof *s->list);
    if (!s->piece || !s->batch || !s->list)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory to send from");
    /* Small blocks have more of a head than of sound. */
    size_t room = (size_t)(2 * sound) + 4 * piece + (1 << 16);
    int err = takt_message_ring_create(&(struct takt_message_ring_cfg){.capacity_bytes = room},
                                       &s->blocks, e);
    if (!err)
        err = takt_message_ring_create(
            &(struct takt_message_ring_cfg){.capacity_bytes = HEARD_RING_BYTES}, &s->heard, e);
    if (!err)
        err =
            takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof s->now}, &s->shown, e);
    return err;
}

static int open_socket(struct takt_send *s, const struct takt_send_cfg *c,
                       const struct takt_send_plan *p, struct takt_error *e)
{
    return takt_udp_open(&(struct takt_udp_cfg){.local = p->from,
                                                .to = p->to,
                                                .to_count = p->to_count * TAKT_ENDPOINT_PORTS,
                                                .packets_max = HEARD_BATCH * 4,
                                                .hops = c->hops,
                                                .dscp = c->dscp},
                         &s->udp, e);
}

static int start_thread(struct takt_send *s, const struct takt_send_cfg *c, uint32_t i,
                        struct takt_error *e)
{
    bool sends = i == 0, is_real_time = sends && !c->not_real_time;
    return takt_thread_start(&(struct takt_thread_cfg){.name = sends ? "takt-send" : "takt-heard",
                                                       .entry = sends ? run_sending : run_hearing,
                                                       .arg = s,
                                                       .priority = is_real_time
                                                                       ? TAKT_ENDPOINT_PRIORITY
                                                                       : TAKT_PRIORITY_OFF,
                                                       .stack_bytes = STACK_BYTES},
                             &s->threads[i], e);
}

/* The description is the last thing that is made, so that none is left of what failed. */
static int describe(struct takt_send *s, const struct takt_send_cfg *c,
                    const struct takt_send_plan *p, struct takt_error *e)
{
    char text[TAKT_SEND_SDP_BYTES];
    struct takt_session_packets packets;
    if (!c->sdp_path && !c->sap)
        return 0;
    takt_outlet_read_packets(s->outlet, &packets);
    int bytes = takt_send_write_sdp(c, p, &packets, text, sizeof text, e), err = bytes;
    if (bytes > 0 && c->sap && p->outlet.srtp_key)
        err = takt_fail(e, TAKT_ERR_ARG, 0,
                        "an announcement would tell everybody the key; leave one of both out");
    struct takt_address own;
    takt_send_own_address(&p->to[0], &own);
    if (err > 0 && c->sap)
        err = takt_announcer_create(&own, text, (size_t)bytes, c->hops, &s->announcer, e);
    if (err >= 0 && c->sdp_path)
        err = takt_text_write(c->sdp_path, text, (size_t)bytes, p->outlet.srtp_key != NULL, e);
    explicit_bzero(text, sizeof text);
    return err < 0 ? err : 0;
}

static int set_up(struct takt_send *s, const struct takt_send_cfg *c,
                  const struct takt_send_plan *p, struct takt_error *e)
{
    const struct takt_codec_format *f = &p->outlet.packets.format;
    s->channels = f->channels;
    s->rate_hz = f->rate_hz;
    s->to_count = p->to_count;
    s->codec = takt_codec_name(f->codec);
    s->packet_frames = f->frames;
    s->ssrc = p->outlet.ssrc;
    s->is_encrypted = p->is_encrypted;
    int err = takt_outlet_create(&p->outlet, &s->outlet, e);
    if (!err)
        err = make_memory(s, e);
    if (!err)
        err = open_socket(s, c, p, e);
    if (!err)
        err = describe(s, c, p, e);
    if (err < 0)
        return err;
    show(s, takt_now_ns());
    for (uint32_t i = 0; !err && i < 2; i++)
        err = start_thread(s, c, i, e);
    return err;
}

int takt_send_create(const struct takt_send_cfg *cfg, struct takt_send **out, struct takt_error *e)
{
    *out = NULL;
    struct takt_send_plan *p = malloc(sizeof *p);
    struct takt_send *s = takt_calloc_touched(1, sizeof *s);
    if (!p || !s) {
        free(p);
        free(s);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory to send from");
    }
    int err = takt_send_plan(cfg, p, e);
    if (!err)
        err = set_up(s, cfg, p, e);
    takt_send_plan_wipe(p);
    free(p);
    if (err < 0) {
        takt_send_destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

void takt_send_destroy(struct takt_send *s)
{
    if (!s)
        return;
    atomic_store(&s->quits, true);
    takt_send_end(s);
    if (s->udp)
        takt_udp_wake(s->udp);
    for (uint32_t i = 0; i < 2; i++)
        takt_thread_join(s->threads[i], -1);
    takt_announcer_destroy(s->announcer);
    takt_udp_close(s->udp);
    takt_outlet_destroy(s->outlet);
    takt_message_ring_destroy(s->blocks);
    takt_message_ring_destroy(s->heard);
    takt_snapshot_destroy(s->shown);
    free(s->piece);
    free(s->batch);
    free(s->list);
    free(s);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static void tell_listeners(const struct shown *shown, struct takt_send_stats *out)
{
    out->listeners_count = shown->listeners_count;
    for (uint32_t i = 0; i < shown->listeners_count; i++) {
        const struct takt_sender_receiver *r = &shown->listeners[i];
        out->listeners[i] = (struct takt_send_listener){
            .ssrc = r->ssrc,
            .loss = r->loss,
            .jitter_ms = (double)r->jitter_ns * 1e-6,
            .round_trip_ms = r->round_trip_ns < 0 ? -1 : (double)r->round_trip_ns * 1e-6,
            .heard_s = (double)(takt_now_ns() - r->heard_ns) * 1e-9};
    }
}

void takt_send_read_stats(struct takt_send *s, struct takt_send_stats *out)
{
    struct shown shown;
    struct takt_udp_stats udp;
    bool ended = atomic_load(&s->ended); /* before the figures, which are of then or later */
    while (!takt_snapshot_read(s->shown, &shown))
        takt_sleep_ms(1);
    takt_udp_read_stats(s->udp, &udp);
    const struct takt_outlet_stats *o = &shown.outlet;
    *out = (struct takt_send_stats){
        .frames = atomic_load(&s->frames),
        .frames_dropped = atomic_load(&s->frames_dropped),
        .packets = o->sender.packets,
        .bytes = o->sender.bytes,
        .copies = o->sender.copies,
        .repair_packets = o->repair_packets,
        .repair_bytes = o->repair_bytes,
        .reports_sent = o->reports,
        .reports_heard = o->heard,
        .reports_refused = o->refused,
        .unsent = udp.too_large + udp.unsent + udp.failed,
        .kbit_s = shown.kbit_s,
        .ssrc = s->ssrc,
        .codec = s->codec,
        .packet_frames = s->packet_frames,
        .copies_now = o->sender.copies_now,
        .repair_now = o->repair_now,
        .repair_data = o->repair_data,
        .loss_percent = o->sender.loss_percent,
        .epoch = o->epoch,
        .encrypted = s->is_encrypted,
        .ended = ended,
        .wake_us = {(double)takt_hist_quantile(&s->wake_ns, 0.5) * 1e-3,
                    (double)takt_hist_quantile(&s->wake_ns, 0.99) * 1e-3},
        .cpu_s = (double)(atomic_load(&s->cpu_ns[0]) + atomic_load(&s->cpu_ns[1])) * 1e-9};
    memcpy(out->unsent_why, shown.why, sizeof out->unsent_why);
    tell_listeners(&shown, out);
}
