/*
 * A sender and a receiver's heart, plain RTP between them.
 */
#include "lab/net_ends.h"

#include "base/fail.h"
#include "base/random.h"
#include "net/sender.h"
#include "wire/rtcp.h"
#include "wire/rtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_TYPE = 96, RED_TYPE = 97, CAPTURE_ID = 1 };

struct takt_lab_ends {
    struct takt_lab_ends_cfg cfg;
    const struct takt_lab_net_plan *plan;
    struct takt_sender *sender;
    struct takt_receiver *receiver;
    takt_lab_ends_heard *heard;
    uint32_t ssrc;
    int64_t sender_wall_ns, receiver_wall_ns;
    struct takt_receiver_stats stats;
};

int takt_lab_ends_create(const struct takt_lab_ends_cfg *cfg, struct takt_lab_ends **out,
                         struct takt_error *e)
{
    const struct takt_lab_net_plan *p = cfg->plan;
    struct takt_receiver_format format = {.payload_type = PAYLOAD_TYPE, .codec = p->format};
    struct takt_lab_ends *x = *out = calloc(1, sizeof *x);
    if (!x)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    x->cfg = *cfg;
    x->plan = p;
    int err = takt_receiver_create(&(struct takt_receiver_cfg){.rate_hz = p->out_hz,
                                                               .channels = p->format.channels,
                                                               .formats = &format,
                                                               .formats_count = 1,
                                                               .has_red = p->copies > 0,
                                                               .red_payload_type = RED_TYPE,
                                                               .frames_max = p->out_block,
                                                               .is_helped = p->is_helped,
                                                               .lambda_ms = p->lambda_ms,
                                                               .late_ratio = p->late_ratio,
                                                               .latency_ms = p->latency_ms,
                                                               .latency_ms_max = p->latency_ms_max},
                                   &x->receiver, e);
    if (err < 0) {
        takt_lab_ends_destroy(x);
        *out = NULL;
    }
    return err < 0 ? err : TAKT_OK;
}

void takt_lab_ends_destroy(struct takt_lab_ends *x)
{
    if (!x)
        return;
    takt_sender_destroy(x->sender);
    takt_receiver_destroy(x->receiver);
    free(x);
}

int takt_lab_ends_begin(struct takt_lab_ends *x, uint64_t seed, int64_t now_ns,
                        struct takt_error *e)
{
    struct takt_random r = takt_random_seed(seed);
    const struct takt_lab_net_plan *p = x->plan;
    char cname[32];
    takt_sender_destroy(x->sender);
    x->ssrc = (uint32_t)takt_random_u64(&r) | 1;
    snprintf(cname, sizeof cname, "%08x", x->ssrc);
    int err = takt_sender_create(
        &(struct takt_sender_cfg){.packets = {.format = p->format,
                                              .payload_type = PAYLOAD_TYPE,
                                              .red_type = p->copies ? RED_TYPE : 0,
                                              .capture_id = CAPTURE_ID},
                                  .ssrc = x->ssrc,
                                  .timestamp = (uint32_t)takt_random_u64(&r),
                                  .seq = (uint16_t)takt_random_u64(&r),
                                  .cname = cname,
                                  .copies = p->copies},
        &x->sender, e);
    if (err < 0)
        return err;
    takt_sender_set_clock(x->sender, x->sender_wall_ns);
    return TAKT_OK;
}

uint32_t takt_lab_ends_ssrc(const struct takt_lab_ends *x)
{
    return x->ssrc;
}

void takt_lab_ends_set_clocks(struct takt_lab_ends *x, int64_t sender_ns, int64_t receiver_ns)
{
    x->sender_wall_ns = sender_ns;
    x->receiver_wall_ns = receiver_ns;
    if (x->sender)
        takt_sender_set_clock(x->sender, sender_ns);
}

/* ---- There -----------------------------------------------------------------------------------
 */

static void emit(void *arg, uint8_t *packet, size_t bytes)
{
    struct takt_lab_ends *x = arg;
    x->cfg.there(x->cfg.arg, packet, bytes);
}

void takt_lab_ends_push(struct takt_lab_ends *x, const float *const *planes, uint32_t frames,
                        int64_t capture_ns, int64_t now_ns)
{
    takt_sender_push(x->sender, planes, frames, capture_ns, emit, x);
}

void takt_lab_ends_take(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                        int64_t arrival_ns)
{
    struct takt_rtp rtp;
    struct takt_rtp_ext ext;
    struct takt_capture_time captured;
    if (takt_rtp_parse(datagram, bytes, &rtp) < 0)
        return;
    struct takt_net_packet p = {.arrival_ns = arrival_ns,
                                .ssrc = rtp.ssrc,
                                .seq = rtp.seq,
                                .timestamp = rtp.timestamp,
                                .payload_type = rtp.payload_type,
                                .marker = rtp.marker,
                                .bytes = (uint16_t)rtp.payload_bytes,
                                .payload = rtp.payload};
    p.has_capture = takt_rtp_ext_find(&rtp, CAPTURE_ID, &ext) &&
                    takt_capture_time_parse(&ext, &captured) == TAKT_OK;
    if (p.has_capture) {
        int64_t wall_ns = x->sender_wall_ns;
        p.capture_ns = takt_ntp_to_ns(captured.ntp, arrival_ns + wall_ns) - wall_ns;
    }
    takt_receiver_packet(x->receiver, &p);
    if (x->heard)
        x->heard(x->cfg.arg, &p);
}

void takt_lab_ends_take_back(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                             int64_t arrival_ns)
{
    takt_sender_take_rtcp(x->sender, datagram, bytes, arrival_ns);
}

void takt_lab_ends_pull(struct takt_lab_ends *x, int64_t now_ns, int64_t play_ns, float *const *out)
{
    takt_receiver_pull(x->receiver, now_ns, play_ns, out, x->plan->out_block);
    if (x->plan->is_helped)
        takt_receiver_help(x->receiver);
    takt_receiver_read_stats(x->receiver, &x->stats);
}

/* ---- What is known ---------------------------------------------------------------------------
 */

const struct takt_receiver_stats *takt_lab_ends_stats(const struct takt_lab_ends *x)
{
    return &x->stats;
}

static void show_counts(const struct takt_receiver_counts *c, struct takt_recv_counts *out)
{
    *out = (struct takt_recv_counts){.packets = c->packets,
                                     .played = c->played,
                                     .late = c->late,
                                     .lost = c->lost,
                                     .repaired = c->repaired,
                                     .skipped = c->skipped,
                                     .duplicated = c->duplicated,
                                     .broken = c->broken,
                                     .resets = c->resets,
                                     .heard_frames = c->heard_frames,
                                     .concealed_frames = c->concealed_frames};
}

void takt_lab_ends_show(struct takt_lab_ends *x, struct takt_recv_stats *out)
{
    const struct takt_receiver_source *s = &x->stats.source[0];
    struct takt_recv_source *to = &out->source[0];
    *out = (struct takt_recv_stats){.sources_count = x->stats.sources,
                                    .concealed_ratio = x->stats.concealed_ratio,
                                    .refused = {.foreign = x->stats.foreign}};
    show_counts(&x->stats.counts, &out->counts);
    *to = (struct takt_recv_source){.live = s->is_live,
                                    .ssrc = s->ssrc,
                                    .codec = takt_codec_name(x->plan->format.codec),
                                    .rate_hz = x->plan->format.rate_hz,
                                    .channels = x->plan->format.channels,
                                    .packet_ms =
                                        1e3 * x->plan->format.frames / x->plan->format.rate_hz,
                                    .exact = s->is_exact,
                                    .target_ms = s->target_ms,
                                    .delay_ms = s->delay_ms,
                                    .output_ms = s->output_ms,
                                    .drift_ppm = s->drift_ppm,
                                    .speed_ppm = s->speed_ppm,
                                    .jitter_ms = s->jitter_ms,
                                    .latency_known = s->has_latency,
                                    .latency_ms = s->latency_ms,
                                    .round_trip_ms = -1};
    show_counts(&s->counts, &to->counts);
}

void takt_lab_ends_listen(struct takt_lab_ends *x, takt_lab_ends_heard *heard)
{
    x->heard = heard;
}
