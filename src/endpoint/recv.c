/*
 * The callback's side of a receiver, its life and its statistics; the threads are in
 * recv_network.c and recv_keeper.c, and recv_parts.h says who has what.
 */
#include "takt/recv.h"

#include "base/fail.h"
#include "base/touched.h"
#include "endpoint/recv_parts.h"
#include "takt/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10, SOCKET_BYTES = 4 << 20, UDP_BATCH = 64 };

/* ---- The callback ---------------------------------------------------------------------------- */

static void obey(struct takt_recv *r, const struct takt_recv_message *m)
{
    if (m->kind == TAKT_RECV_PACKET) {
        struct takt_net_packet p = m->packet;
        p.payload = (const uint8_t *)(m + 1);
        takt_ensemble_packet(&r->ensemble, m->place, &p);
    } else if (m->kind == TAKT_RECV_ATTACH) {
        takt_ensemble_attach(&r->ensemble, m->place, m->receiver);
    } else {
        takt_ensemble_detach(&r->ensemble, m->place);
    }
}

static void give_back(struct takt_recv *r)
{
    do {
        if (r->unreleased && !takt_ring_write(r->released, &r->unreleased, 1))
            return;
        r->unreleased = takt_ensemble_released(&r->ensemble);
    } while (r->unreleased);
}

void takt_recv_read(struct takt_recv *r, int64_t now_ns, int64_t play_ns, float *const *out,
                    uint32_t frames)
{
    const void *at;
    size_t bytes;
    uint64_t taken = 0;
    while (takt_message_ring_peek(r->packets, &at, &bytes)) {
        obey(r, at);
        takt_message_ring_advance(r->packets);
        taken += (bytes + 7) / 8 * 8 + 8;
    }
    if (taken)
        atomic_fetch_add_explicit(&r->taken, taken, memory_order_release);
    takt_ensemble_pull(&r->ensemble, now_ns, play_ns, out, frames);
    give_back(r);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int open_port(struct takt_recv *r, const struct takt_recv_plan *p, uint32_t i,
                     struct takt_error *e)
{
    struct takt_udp_cfg cfg = {.local = p->at[i],
                               .source = p->sender,
                               .to_max = 1,
                               .packets_max = UDP_BATCH,
                               .receive_bytes = SOCKET_BYTES};
    takt_address_set_port(&cfg.source, 0);
    return takt_udp_open(&cfg, &r->udp[i], e);
}

/* The first port has to be there; without the others it can be lived. */
static int open_ports(struct takt_recv *r, const struct takt_recv_plan *p, struct takt_error *e)
{
    int err = open_port(r, p, 0, e);
    if (err < 0)
        return err;
    struct takt_address at = p->at[0], bound;
    takt_udp_local(r->udp[0], &bound);
    takt_address_set_port(&at, takt_address_port(&bound));
    takt_address_print(&at, r->at);
    for (uint32_t i = 1; i < TAKT_ENDPOINT_PORTS; i++)
        r->has_missed_port[i] = takt_address_port(&p->at[i]) && open_port(r, p, i, NULL) < 0;
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0)
        return takt_fail(e, TAKT_ERR_SYSTEM, errno, "no descriptor to wake a thread by");
    return 0;
}

static int make_rings(struct takt_recv *r, struct takt_error *e)
{
    int err = takt_message_ring_create(
        &(struct takt_message_ring_cfg){.capacity_bytes = TAKT_RECV_RING_BYTES}, &r->packets, e);
    if (!err)
        err = takt_message_ring_create(
            &(struct takt_message_ring_cfg){
                .capacity_bytes = TAKT_RECV_EVENTS_MAX * (sizeof(struct takt_recv_event) + 16)},
            &r->events, e);
    if (!err)
        err = takt_ring_create(
            &(struct takt_ring_cfg){.elem_bytes = sizeof(void *), .capacity = TAKT_RECV_KEPT_MAX},
            &r->released, e);
    if (!err)
        err = takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = sizeof(struct takt_recv_made),
                                                       .capacity = TAKT_RECV_KEPT_MAX},
                               &r->made, e);
    if (!err)
        err =
            takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof r->now}, &r->shown, e);
    return err;
}

static int make_memory(struct takt_recv *r, struct takt_error *e)
{
    r->message = takt_calloc_touched(1, sizeof *r->message + TAKT_RECEIVER_PAYLOAD_BYTES_MAX);
    r->kept = takt_calloc_touched(TAKT_RECV_KEPT_MAX, sizeof *r->kept);
    r->has_lock = pthread_mutex_init(&r->lock, NULL) == 0;
    if (!r->message || !r->kept || !r->has_lock)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory to receive with");
    int err = make_rings(r, e);
    return err < 0 ? err
                   : takt_ensemble_init(&r->ensemble, r->rate_hz, r->channels, r->frames_max, e);
}

static int start_thread(struct takt_recv *r, const struct takt_recv_cfg *c, uint32_t i,
                        struct takt_error *e)
{
    bool hears = i == 0, is_real_time = hears && !c->not_real_time;
    return takt_thread_start(
        &(struct takt_thread_cfg){.name = hears ? "takt-recv" : "takt-keep",
                                  .entry = hears ? takt_recv_run_network : takt_recv_run_keeper,
                                  .arg = r,
                                  .priority =
                                      is_real_time ? TAKT_ENDPOINT_PRIORITY : TAKT_PRIORITY_OFF,
                                  .stack_bytes = STACK_BYTES},
        &r->threads[i], e);
}

/* Nobody else writes events yet. */
static void warn(struct takt_recv *r, const char *text)
{
    struct takt_recv_event event = {.kind = TAKT_RECV_WARNED, .time_ns = takt_now_ns()};
    snprintf(event.text, sizeof event.text, "%s", text);
    if (*text)
        takt_message_ring_write(r->events, &event, sizeof event);
}

static int set_up(struct takt_recv *r, const struct takt_recv_cfg *c, struct takt_recv_plan *p,
                  struct takt_error *e)
{
    r->rate_hz = p->rate_hz;
    r->channels = p->channels;
    r->frames_max = p->frames_max;
    r->sources_max = p->inlet.sources_max;
    r->latency_ms = c->latency_ms;
    r->latency_ms_max = c->latency_ms_max;
    r->late_ratio = c->late_ratio;
    r->lambda_ms = c->lambda_ms;
    r->is_silent = c->silent;
    p->inlet.begin = takt_recv_on_begin;
    p->inlet.packet = takt_recv_on_packet;
    p->inlet.end = takt_recv_on_end;
    p->inlet.arg = r;
    int err = make_memory(r, e);
    if (!err)
        err = takt_inlet_create(&p->inlet, &r->inlet, e);
    if (!err)
        err = open_ports(r, p, e);
    if (err < 0)
        return err;
    takt_snapshot_write(r->shown, &r->now);
    warn(r, p->warning);
    for (uint32_t i = 0; !err && i < 2; i++)
        err = start_thread(r, c, i, e);
    return err;
}

int takt_recv_create(const struct takt_recv_cfg *cfg, struct takt_recv **out, struct takt_error *e)
{
    *out = NULL;
    struct takt_recv_plan *p = malloc(sizeof *p);
    struct takt_recv *r = takt_calloc_touched(1, sizeof *r);
    if (!p || !r) {
        free(p);
        free(r);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory to receive with");
    }
    r->wake_fd = -1;
    int err = takt_recv_plan(cfg, p, e);
    if (!err)
        err = set_up(r, cfg, p, e);
    takt_recv_plan_wipe(p);
    free(p);
    if (err < 0) {
        takt_recv_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

void takt_recv_destroy(struct takt_recv *r)
{
    if (!r)
        return;
    atomic_store(&r->quits, true);
    if (r->wake_fd >= 0)
        eventfd_write(r->wake_fd, 1);
    for (uint32_t i = 0; i < 2; i++)
        takt_thread_join(r->threads[i], -1);
    takt_recv_keeper_clear(r);
    takt_ensemble_clear(&r->ensemble);
    takt_inlet_destroy(r->inlet);
    for (uint32_t i = 0; i < TAKT_ENDPOINT_PORTS; i++)
        takt_udp_close(r->udp[i]);
    if (r->wake_fd >= 0)
        close(r->wake_fd);
    takt_message_ring_destroy(r->packets);
    takt_message_ring_destroy(r->events);
    takt_ring_destroy(r->released);
    takt_ring_destroy(r->made);
    takt_snapshot_destroy(r->shown);
    if (r->has_lock)
        pthread_mutex_destroy(&r->lock);
    free(r->message);
    free(r->kept);
    free(r);
}

const char *takt_recv_at(const struct takt_recv *r)
{
    return r->at;
}

bool takt_recv_next(struct takt_recv *r, struct takt_recv_event *out)
{
    size_t bytes;
    return takt_message_ring_read(r->events, out, sizeof *out, &bytes);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static void add_counts(struct takt_recv_counts *to, const struct takt_receiver_counts *c)
{
    to->packets += c->packets;
    to->played += c->played;
    to->late += c->late;
    to->lost += c->lost;
    to->repaired += c->repaired;
    to->skipped += c->skipped;
    to->duplicated += c->duplicated;
    to->broken += c->broken;
    to->resets += c->resets;
    to->heard_frames += c->heard_frames;
    to->concealed_frames += c->concealed_frames;
}

static struct takt_recv_quantiles quantiles(const struct takt_hist *h)
{
    if (takt_hist_count(h) == 0)
        return (struct takt_recv_quantiles){0, 0, 0, 0};
    return (struct takt_recv_quantiles){.p50 = (double)takt_hist_quantile(h, 0.5) * 1e-6,
                                        .p95 = (double)takt_hist_quantile(h, 0.95) * 1e-6,
                                        .p99 = (double)takt_hist_quantile(h, 0.99) * 1e-6,
                                        .max = (double)takt_hist_max(h) * 1e-6};
}

/* What the inlet knows of a place. */
static void tell_state(const struct takt_inlet_state *s, struct takt_recv_source *out)
{
    const struct takt_codec_format *f = &s->source.packets.format;
    struct takt_address from;
    takt_peer_to_address(&s->source.from, &from);
    out->live = s->is_live;
    out->ssrc = s->source.ssrc;
    takt_address_print(&from, out->from);
    memcpy(out->cname, s->cname, sizeof s->cname);
    out->codec = takt_codec_name(f->codec);
    out->rate_hz = f->rate_hz;
    out->channels = f->channels;
    out->packet_ms = f->rate_hz ? 1e3 * f->frames / f->rate_hz : 0;
    out->encrypted = s->source.is_encrypted;
    out->jitter_ms = (double)s->jitter_ns * 1e-6;
    out->round_trip_ms = s->round_trip_ns < 0 ? -1 : (double)s->round_trip_ns * 1e-6;
}

/* And what its receiver does. */
static void tell_receiver(const struct takt_receiver_source *s, const struct takt_recv_kept *kept,
                          struct takt_recv_source *out)
{
    out->silent = s->is_silent;
    out->exact = s->is_exact && !s->is_silent;
    out->target_ms = s->target_ms;
    out->delay_ms = s->delay_ms;
    out->output_ms = s->output_ms;
    out->drift_ppm = s->drift_ppm;
    out->speed_ppm = s->speed_ppm;
    out->latency_known = s->has_latency && !s->is_silent;
    out->latency_ms = out->latency_known ? s->latency_ms : 0;
    out->lateness_ms = quantiles(takt_receiver_hist(kept->receiver, 0, TAKT_RECEIVER_LATENESS));
    out->latency = quantiles(takt_receiver_hist(kept->receiver, 0, TAKT_RECEIVER_LATENCY));
}

/* Of a source that has ended its number and its counts are left. */
static void tell_gone(const struct takt_recv *r, struct takt_recv_stats *out)
{
    for (uint32_t i = 0; i < TAKT_RECV_SOURCES_MAX; i++) {
        const struct takt_recv_gone *g = &r->gone[i];
        struct takt_recv_source *source = &out->source[i];
        if (!g->is_there || (source->live && source->ssrc != g->ssrc))
            continue;
        source->ssrc = g->ssrc;
        add_counts(&source->counts, &g->counts);
    }
}

/* What one receiver of a source has come to; of those that end, the newest source's. */
static void tell_counts(const struct takt_receiver_source *s, struct takt_recv_source *out)
{
    if (out->ssrc != s->ssrc)
        out->counts = (struct takt_recv_counts){0};
    out->ssrc = s->ssrc;
    add_counts(&out->counts, &s->counts);
}

static void tell_kept(struct takt_recv *r, struct takt_recv_stats *out)
{
    pthread_mutex_lock(&r->lock);
    add_counts(&out->counts, &r->past);
    tell_gone(r, out);
    for (uint32_t i = 0; i < TAKT_RECV_KEPT_MAX; i++) {
        const struct takt_recv_kept *kept = &r->kept[i];
        struct takt_receiver_stats stats;
        if (!kept->receiver || !takt_receiver_read_stats(kept->receiver, &stats))
            continue;
        add_counts(&out->counts, &stats.counts);
        const struct takt_receiver_source *s = &stats.source[0];
        struct takt_recv_source *source = &out->source[kept->place];
        if (!s->is_kept || (source->live && source->ssrc != s->ssrc))
            continue;
        tell_counts(s, source);
        if (source->live)
            tell_receiver(s, kept, source);
    }
    pthread_mutex_unlock(&r->lock);
}

static void tell_ratios(struct takt_recv_stats *out)
{
    const struct takt_recv_counts *c = &out->counts;
    double due = (double)(c->played + c->late + c->lost + c->skipped);
    double sound = (double)(c->heard_frames + c->concealed_frames);
    out->late_ratio = due > 0 ? (double)c->late / due : 0;
    out->lost_ratio = due > 0 ? (double)c->lost / due : 0;
    out->repaired_ratio = due > 0 ? (double)c->repaired / due : 0;
    out->concealed_ratio = sound > 0 ? (double)c->concealed_frames / sound : 0;
}

void takt_recv_read_stats(struct takt_recv *r, struct takt_recv_stats *out)
{
    struct takt_recv_shown shown;
    memset(out, 0, sizeof *out);
    while (!takt_snapshot_read(r->shown, &shown))
        takt_sleep_ms(1);
    const struct takt_inlet_counts *c = &shown.counts;
    out->refused = (struct takt_recv_refused){.malformed = c->malformed,
                                              .foreign = c->foreign,
                                              .undescribed = c->undescribed,
                                              .forged = c->forged,
                                              .plain = c->plain,
                                              .encrypted = c->encrypted,
                                              .replayed = c->replayed,
                                              .untried = c->untried};
    struct takt_address stranger;
    takt_peer_to_address(&shown.stranger, &stranger);
    if (stranger.sock.any.sa_family)
        takt_address_print(&stranger, out->stranger);
    out->datagrams = shown.datagrams;
    out->kernel_dropped = shown.kernel_dropped;
    out->ring_dropped = shown.ring_dropped;
    out->kbit_s = shown.kbit_s;
    double seconds = (double)(shown.last_ns - shown.first_ns) * 1e-9;
    out->kbit_s_mean = seconds > 0 ? 8e-3 * (double)shown.heard_bytes / seconds : 0;
    out->cpu_s = (double)(atomic_load(&r->cpu_ns[0]) + atomic_load(&r->cpu_ns[1])) * 1e-9;
    for (uint32_t i = 0; i < r->sources_max; i++) {
        tell_state(&shown.source[i], &out->source[i]);
        out->source[i].kbit_s = shown.source_kbit_s[i];
        out->sources_count += shown.source[i].is_live;
    }
    tell_kept(r, out);
    tell_ratios(out);
}

void takt_recv_read_lateness(struct takt_recv *r, struct takt_hist *out)
{
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&r->lock);
    takt_hist_merge(out, &r->past_lateness_ns);
    for (uint32_t i = 0; i < TAKT_RECV_KEPT_MAX; i++)
        if (r->kept[i].receiver)
            takt_hist_merge(out,
                            takt_receiver_hist(r->kept[i].receiver, 0, TAKT_RECEIVER_LATENESS));
    pthread_mutex_unlock(&r->lock);
}
