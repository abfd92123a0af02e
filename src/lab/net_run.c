/*
 * Time goes on from pull to pull. Before each, the sender makes the blocks that were full by then,
 * and what the path has delivered is handed to the receiver, with the time at which it came.
 */
#include "lab/net_run.h"

#include "base/fail.h"
#include "wire/rtp.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET_MAX = 1500, NS_A_MS = 1000000 };
static const int64_t second_ns = 1000000000, drain_ns = 2500000000;

static _Atomic uint64_t at_scenario, at_ns; /* for whom a signal asks */

void takt_lab_net_where(uint64_t *scenario, double *time_s)
{
    *scenario = atomic_load(&at_scenario);
    *time_s = (double)atomic_load(&at_ns) * 1e-9;
}

void takt_lab_net_break(struct takt_lab_net *l, const char *format, ...)
{
    struct takt_simulate_net_report *r = l->report;
    if (r->broken)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
    r->broken = true;
    r->scenario = l->plan->number;
    r->time_s = (double)(l->now_ns - l->start_ns) * 1e-9;
}

static int64_t frames_ns(uint64_t frames, uint32_t rate_hz)
{
    return (int64_t)(frames / rate_hz) * second_ns +
           (int64_t)(frames % rate_hz * 1000000000 / rate_hz);
}

/* After that time, at random; never where it happens every 0 s. */
static int64_t next_ns(struct takt_random *r, int64_t from_ns, double every_s)
{
    if (every_s <= 0)
        return INT64_MAX;
    return from_ns + (int64_t)(-every_s * log(1 - takt_random_unit(r)) * 1e9);
}

/* ---- The sender ------------------------------------------------------------------------------ */

static void send_there(void *arg, bool is_sound, const uint8_t *datagram, size_t bytes)
{
    struct takt_lab_net *l = arg;
    struct takt_lab_net_packets *k = &l->packets;
    struct takt_rtp p;
    if (is_sound && takt_rtp_parse_header(datagram, bytes, &p) == TAKT_OK) {
        if (!k->has_first)
            k->seq_first = p.seq;
        k->has_first = true;
        k->seen[k->sent % TAKT_LAB_NET_SEEN / 8] &= (uint8_t) ~(1u << k->sent % 8);
        k->last_index = (int64_t)k->sent++;
    }
    takt_network_send(l->there, l->send_ns, datagram, bytes);
}

static void send_back(void *arg, const uint8_t *datagram, size_t bytes)
{
    struct takt_lab_net *l = arg;
    takt_network_send(l->back, l->now_ns, datagram, bytes);
}

static int begin_sender(struct takt_lab_net *l, struct takt_error *e)
{
    memset(&l->packets, 0, sizeof l->packets);
    l->packets.newest = -1;
    int err = takt_lab_ends_begin(l->ends, takt_random_u64(&l->restart_chance), l->now_ns, e);
    if (l->is_believed) /* else nothing has been heard since the one before began */
        l->began_ns = l->now_ns;
    l->is_believed = false;
    l->came_new = 0;
    takt_lab_net_check_start(l);
    return err;
}

static void capture_block(struct takt_lab_net *l)
{
    const struct takt_lab_net_plan *p = l->plan;
    double ns = p->block_frames * 1e9 / p->format.rate_hz * (1 + l->drift_ppm * 1e-6) + l->part_ns;
    int64_t whole = (int64_t)ns, began_ns = l->full_ns;
    l->part_ns = ns - (double)whole;
    l->full_ns += whole;
    l->captured_ns[l->frames / p->block_frames % TAKT_LAB_NET_BLOCKS] = began_ns;
    for (uint32_t c = 0; c < p->format.channels && !l->is_quiet; c++)
        for (uint32_t i = 0; i < p->block_frames; i++)
            l->in[c][i] = takt_lab_sound_at(l->sound, l->frames + i, c, l->pause_frames);
    l->send_ns = l->full_ns;
    if (!l->is_quiet)
        takt_lab_ends_push(l->ends, (const float *const *)l->in, p->block_frames, began_ns,
                           l->full_ns);
    l->frames += p->block_frames;
}

static double block_ns(const struct takt_lab_net *l)
{
    return l->plan->block_frames * 1e9 / l->plan->format.rate_hz * (1 + l->drift_ppm * 1e-6);
}

/* What happens to the sender before its next block. */
static int change_sender(struct takt_lab_net *l, struct takt_error *e)
{
    const struct takt_lab_net_faults *f = &l->plan->faults;
    if (l->full_ns >= l->drift_ns) {
        l->drift_ppm = f->drift_ppm * (2 * takt_random_unit(&l->drift_chance) - 1);
        l->drift_ns = next_ns(&l->drift_chance, l->full_ns, f->drift_every_s);
    }
    if (!l->is_quiet && l->full_ns >= l->restart_ns) {
        l->is_quiet = l->was_disturbed = true;
        l->quiet_frame = l->frames;
        l->back_ns = l->full_ns + (int64_t)(takt_random_unit(&l->restart_chance) * 1e9);
        l->send_ns = l->full_ns;
        if (takt_random_below(&l->restart_chance, 2)) /* in order, or by a crash */
            takt_lab_ends_bye(l->ends, l->full_ns);
        l->report->restarts++;
    }
    if (l->is_quiet && l->full_ns >= l->back_ns) {
        l->is_quiet = false;
        l->restart_ns = next_ns(&l->restart_chance, l->full_ns, f->restart_every_s);
        return begin_sender(l, e);
    }
    return TAKT_OK;
}

static int run_sender(struct takt_lab_net *l, int64_t until_ns, struct takt_error *e)
{
    while (l->full_ns + (int64_t)block_ns(l) <= until_ns) {
        int err = change_sender(l, e);
        if (err < 0)
            return err;
        capture_block(l);
    }
    return TAKT_OK;
}

/* ---- The path -------------------------------------------------------------------------------- */

static void note_dead(struct takt_lab_net *l, int64_t for_ns)
{
    l->dead[l->deads++ % TAKT_LAB_NET_DEADS] = (struct takt_lab_net_dead){l->now_ns, for_ns};
}

static double packet_ns(const struct takt_lab_net *l)
{
    return l->plan->format.frames * 1e9 / l->plan->format.rate_hz;
}

int64_t takt_lab_net_dead_ns(const struct takt_lab_net *l, int64_t from_ns)
{
    int64_t sum_ns = l->now_ns - l->advanced_ns;
    if (!l->is_believed && l->now_ns - l->began_ns > sum_ns)
        sum_ns = l->now_ns - l->began_ns;
    uint32_t kept = l->deads < TAKT_LAB_NET_DEADS ? l->deads : TAKT_LAB_NET_DEADS;
    for (uint32_t i = 0; i < kept; i++)
        if (l->dead[i].until_ns >= from_ns)
            sum_ns += l->dead[i].for_ns;
    return sum_ns;
}

/* The packet with that number, counted from the sender's first. */
static int64_t index_of(const struct takt_lab_net_packets *k, uint16_t seq)
{
    return takt_unwrap16(k->last_index, (uint16_t)(seq - k->seq_first));
}

/* A packet of the present sender has come. */
static void note_packet(struct takt_lab_net *l, uint16_t seq)
{
    struct takt_lab_net_packets *k = &l->packets;
    int64_t index = index_of(k, seq);
    if (index < 0 || index > k->last_index)
        return; /* damaged */
    k->came++;
    if (index <= k->newest)
        return;
    int64_t gap_ns = l->now_ns - l->advanced_ns;
    /* Behind a queue that is full what was lost before it leaves no gap in time. */
    int64_t missing_ns = (int64_t)((double)(index - k->newest - 1) * packet_ns(l));
    if (l->plan->network.queue_ms > 0 && missing_ns > gap_ns)
        gap_ns = missing_ns;
    if ((double)gap_ns > packet_ns(l) + 10 * NS_A_MS)
        note_dead(l, gap_ns);
    k->newest = index;
    l->advanced_ns = l->now_ns;
}

/* One of the present sender's has passed all that is before a receiver. */
static void note_handed(struct takt_lab_net *l, const struct takt_net_packet *p)
{
    struct takt_lab_net_packets *k = &l->packets;
    if (p->ssrc != takt_lab_ends_ssrc(l->ends))
        return;
    int64_t index = index_of(k, p->seq);
    if (index < 0 || index > k->last_index)
        return; /* damaged */
    if (k->handed < TAKT_LAB_NET_FIRST)
        k->first[k->handed] = index;
    k->handed++;
    uint8_t bit = (uint8_t)(1u << index % 8), *seen = &k->seen[index % TAKT_LAB_NET_SEEN / 8];
    k->unique += !(*seen & bit);
    *seen |= bit;
}

/* What the receiver's heart is told: the driver learns from it what lateness there was. */
static void heard(void *arg, const struct takt_net_packet *p)
{
    struct takt_lab_net *l = arg;
    const struct takt_receiver_source *s = &takt_lab_ends_stats(l->ends)->source[0];
    if (p->is_repaired)
        return;
    note_handed(l, p);
    if (l->envelope_ssrc != p->ssrc) {
        takt_envelope_init(&l->envelope, l->plan->format.rate_hz);
        l->envelope_media = p->timestamp;
        l->envelope_ssrc = p->ssrc;
    }
    int64_t media = takt_unwrap32(l->envelope_media, p->timestamp);
    if (llabs(media - l->envelope_media) > 60 * (int64_t)l->plan->format.rate_hz)
        return; /* damaged */
    l->envelope_media = media > l->envelope_media ? media : l->envelope_media;
    int64_t late_ns = takt_envelope_update(&l->envelope, p->arrival_ns, media);
    takt_hist_record(l->lateness, (uint64_t)late_ns);
    if (!s->is_live || s->ssrc != p->ssrc)
        return;
    l->delay_sum_ms += s->delay_ms;
    l->delays++;
}

static void deliver_one(struct takt_lab_net *l, size_t bytes, int64_t arrival_ns)
{
    bool is_rtcp = bytes > 1 && l->packet[1] >= 192 && l->packet[1] < 224;
    struct takt_rtp p;
    if (!is_rtcp && takt_rtp_parse_header(l->packet, bytes, &p) == TAKT_OK &&
        p.ssrc == takt_lab_ends_ssrc(l->ends)) {
        note_packet(l, p.seq);
        l->came_new += !l->is_believed;
    }
    takt_lab_ends_take(l->ends, l->packet, bytes, arrival_ns);
}

static void deliver(struct takt_lab_net *l)
{
    int64_t arrival_ns;
    int bytes;
    while ((bytes = takt_network_next(l->there, l->now_ns, &arrival_ns, l->packet, PACKET_MAX)) > 0)
        deliver_one(l, (size_t)bytes, arrival_ns);
    while ((bytes = takt_network_next(l->back, l->now_ns, &arrival_ns, l->packet, PACKET_MAX)) > 0)
        takt_lab_ends_take_back(l->ends, l->packet, (size_t)bytes, arrival_ns);
}

static void deliver_trace(struct takt_lab_net *l)
{
    const struct takt_lab_net_trace *t = l->trace;
    for (; l->traced < t->count; l->traced++) {
        int64_t arrival_ns = l->start_ns + t->lines[l->traced].arrival_ns;
        if (arrival_ns > l->now_ns)
            return;
        size_t bytes =
            takt_lab_net_trace_packet(t, l->traced, l->plan, l->sound, l->packet, PACKET_MAX);
        l->report->path.sent++;
        l->report->path.delivered++;
        takt_lab_ends_take(l->ends, l->packet, bytes, arrival_ns);
    }
}

/* ---- The receiver ---------------------------------------------------------------------------- */

static void jump_clocks(struct takt_lab_net *l)
{
    const struct takt_lab_net_faults *f = &l->plan->faults;
    double most_ns = f->jump_ms * 1e6;
    int64_t sender_ns = (int64_t)(most_ns * (2 * takt_random_unit(&l->jump_chance) - 1));
    int64_t receiver_ns = (int64_t)(most_ns * (2 * takt_random_unit(&l->jump_chance) - 1));
    int64_t year_2026_ns = 1767225600 * second_ns;
    takt_lab_ends_set_clocks(l->ends, year_2026_ns + sender_ns, year_2026_ns + receiver_ns);
    l->jump_ns = next_ns(&l->jump_chance, l->now_ns, f->jump_every_s);
    l->jumped_ns = l->now_ns;
    l->report->jumps++;
}

/* Whether the receiver stands still at that time. */
static bool is_stalled(struct takt_lab_net *l, int64_t due_ns)
{
    const struct takt_lab_net_faults *f = &l->plan->faults;
    if (due_ns >= l->stall_ns) {
        l->stalled_until_ns = due_ns + (int64_t)(f->stall_s * 1e9);
        l->stall_ns = next_ns(&l->stall_chance, l->stalled_until_ns, f->stall_every_s);
        l->was_disturbed = true;
        l->report->stalls++;
    }
    return due_ns < l->stalled_until_ns;
}

static void add_to_hash(struct takt_lab_net *l)
{
    uint64_t h = l->report->hash;
    for (uint32_t c = 0; c < l->plan->format.channels; c++) {
        uint32_t bits;
        memcpy(&bits, &l->out[c][l->plan->out_block - 1], sizeof bits);
        h = (h ^ bits) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    l->report->hash = h;
}

static void note_stats(struct takt_lab_net *l)
{
    const struct takt_receiver_source *s = &takt_lab_ends_stats(l->ends)->source[0];
    bool is_sane = s->latency_ms > 0 && s->latency_ms < 60e3; /* no clock has jumped */
    if (s->is_live && s->has_latency && is_sane)
        takt_hist_record(l->latency, (uint64_t)(s->latency_ms * 1e6));
    if (!l->is_believed && s->is_live && (l->trace || s->ssrc == takt_lab_ends_ssrc(l->ends))) {
        l->is_believed = true;
        double wait_ms = fmax(s->delay_ms, s->target_ms); /* until the first of it is heard */
        note_dead(l, l->now_ns - l->began_ns + (int64_t)(wait_ms * NS_A_MS));
    }
}

/* The receiver's device asks for a block, which it plays a block later. */
static int pull(struct takt_lab_net *l, bool sends, struct takt_error *e)
{
    const struct takt_lab_net_plan *p = l->plan;
    int64_t due_ns = l->start_ns + frames_ns(l->pulls * p->out_block, p->out_hz);
    int64_t long_ns = frames_ns(p->out_block, p->out_hz);
    l->pulls++;
    l->now_ns = due_ns + (int64_t)(takt_random_unit(&l->wake_chance) * 0.3 * (double)long_ns);
    uint64_t moves = takt_lab_ends_moves(l->ends);
    atomic_store_explicit(&at_ns, (uint64_t)(l->now_ns - l->start_ns), memory_order_relaxed);
    if (sends && !l->trace) {
        int err = run_sender(l, l->now_ns, e);
        if (err < 0)
            return err;
    }
    if (sends && is_stalled(l, due_ns))
        return TAKT_OK;
    if (l->now_ns >= l->jump_ns)
        jump_clocks(l);
    if (l->trace)
        deliver_trace(l);
    else
        deliver(l);
    takt_lab_ends_pull(l->ends, l->now_ns, due_ns + long_ns, l->out);
    if (takt_lab_ends_moves(l->ends) != moves)
        takt_lab_net_check_start(l);
    if (takt_lab_ends_error(l->ends) < 0)
        return takt_fail(e, takt_lab_ends_error(l->ends), 0, "a receiver could not be made");
    add_to_hash(l);
    note_stats(l);
    takt_lab_net_check_pull(l, due_ns + long_ns);
    return TAKT_OK;
}

/* ---- What is told ---------------------------------------------------------------------------- */

static struct takt_recv_quantiles quantiles(const struct takt_hist *h)
{
    return (struct takt_recv_quantiles){.p50 = (double)takt_hist_quantile(h, 0.5) * 1e-6,
                                        .p95 = (double)takt_hist_quantile(h, 0.95) * 1e-6,
                                        .p99 = (double)takt_hist_quantile(h, 0.99) * 1e-6,
                                        .max = (double)takt_hist_max(h) * 1e-6};
}

static void add_counts(struct takt_recv_counts *to, const struct takt_recv_counts *by)
{
    enum { COUNTS = sizeof *to / sizeof(uint64_t) };
    uint64_t a[COUNTS], b[COUNTS];
    memcpy(a, to, sizeof a);
    memcpy(b, by, sizeof b);
    for (int i = 0; i < COUNTS; i++)
        a[i] += b[i];
    memcpy(to, a, sizeof a);
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* The report with what has been so far of this stream; before: as it was without it. */
static void show(struct takt_lab_net *l, const struct takt_simulate_net_report *before)
{
    struct takt_simulate_net_report *r = l->report;
    struct takt_recv_stats *st = &r->stats;
    double hours = (double)(l->now_ns - l->start_ns) / 3.6e12;
    r->seconds = hours * 3600;
    r->virtual_hours =
        before->virtual_hours + (hours < l->plan->seconds / 3600 ? hours : l->plan->seconds / 3600);
    takt_lab_ends_show(l->ends, st);
    add_counts(&st->counts, &before->stats.counts);
    const struct takt_recv_counts *c = &st->counts;
    uint64_t due = c->played + c->late + c->lost + c->skipped;
    st->late_ratio = ratio(c->late, due);
    st->lost_ratio = ratio(c->lost, due);
    st->repaired_ratio = ratio(c->repaired, due);
    st->concealed_ratio = ratio(c->concealed_frames, c->heard_frames + c->concealed_frames);
    st->source[0].latency = quantiles(l->latency);
    st->source[0].lateness_ms = quantiles(l->lateness);
    r->frames = c->heard_frames + c->concealed_frames;
    if (!l->trace) {
        struct takt_network_stats n = takt_network_stats(l->there);
        r->path = (struct takt_simulate_net_path){
            .sent = before->path.sent + n.sent,
            .delivered = before->path.delivered + n.delivered,
            .lost = before->path.lost + n.lost,
            .dropped = before->path.dropped + n.queue_drops,
            .duplicated = before->path.duplicated + n.duplicated,
            .reordered = before->path.reordered + n.reordered,
            .corrupted = before->path.corrupted + n.corrupted,
            .truncated = before->path.truncated + n.truncated,
        };
    }
    double lambda_ms = l->plan->lambda_ms > 0 ? l->plan->lambda_ms : 2000;
    r->delay_ms_mean = l->delays ? l->delay_sum_ms / (double)l->delays : 0;
    r->late_ratio = ratio(c->late, c->packets);
    r->cost_ms = r->delay_ms_mean + lambda_ms * r->late_ratio;
}

/* Packets on their way have come by now; but what was played when there was no sound any more says
 * nothing. */
static void take_back(struct takt_simulate_net_report *r,
                      const struct takt_simulate_net_report *sounding)
{
    struct takt_recv_stats *st = &r->stats;
    const struct takt_recv_counts of_source = st->source[0].counts;
    st->source[0] = sounding->stats.source[0];
    st->source[0].counts = of_source;
    st->counts.heard_frames = sounding->stats.counts.heard_frames;
    st->counts.concealed_frames = sounding->stats.counts.concealed_frames;
    st->concealed_ratio = sounding->stats.concealed_ratio;
    st->kbit_s = sounding->stats.kbit_s;
    st->sources_count = sounding->stats.sources_count;
    r->frames = sounding->frames;
    r->seconds = sounding->seconds;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void end_stream(struct takt_lab_net *l)
{
    takt_lab_ends_destroy(l->ends);
    takt_network_destroy(l->there);
    takt_network_destroy(l->back);
    free(l->packet);
    free(l->memory);
    free(l);
}

static int make_stream(struct takt_lab_net *l, struct takt_error *e)
{
    const struct takt_lab_net_plan *p = l->plan;
    size_t most = p->block_frames > p->out_block ? p->block_frames : p->out_block;
    struct takt_network_cfg network = p->network;
    l->packet = malloc(PACKET_MAX);
    l->memory = calloc(2 * TAKT_LAB_NET_CHANNELS * most, sizeof(float));
    if (!l->packet || !l->memory)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    for (uint32_t c = 0; c < TAKT_LAB_NET_CHANNELS; c++) {
        l->in[c] = l->memory + c * most;
        l->out[c] = l->memory + (TAKT_LAB_NET_CHANNELS + c) * most;
    }
    struct takt_random r = takt_random_seed(p->seed);
    int err = takt_network_create(&network, takt_random_u64(&r), &l->there, e);
    network.flight_max = 256;
    if (err >= 0)
        err = takt_network_create(&network, takt_random_u64(&r), &l->back, e);
    l->drift_chance = takt_random_seed(takt_random_u64(&r));
    l->restart_chance = takt_random_seed(takt_random_u64(&r));
    l->stall_chance = takt_random_seed(takt_random_u64(&r));
    l->jump_chance = takt_random_seed(takt_random_u64(&r));
    l->wake_chance = takt_random_seed(takt_random_u64(&r));
    if (err >= 0)
        err = takt_lab_ends_create(
            &(struct takt_lab_ends_cfg){
                .plan = p, .there = send_there, .back = send_back, .arg = l},
            &l->ends, e);
    return err < 0 ? err : TAKT_OK;
}

static int begin_stream(struct takt_lab_net *l, struct takt_error *e)
{
    const struct takt_lab_net_faults *f = &l->plan->faults;
    l->now_ns = l->full_ns = l->advanced_ns = l->began_ns = l->start_ns;
    l->drift_ppm = f->drift_ppm;
    l->drift_ns = next_ns(&l->drift_chance, l->start_ns, f->drift_every_s);
    l->restart_ns = next_ns(&l->restart_chance, l->start_ns, f->restart_every_s);
    l->stall_ns = next_ns(&l->stall_chance, l->start_ns, f->stall_every_s);
    l->jump_ns = next_ns(&l->jump_chance, l->start_ns, f->jump_every_s);
    l->pause_frames = l->plan->has_pauses ? 2 * l->plan->format.rate_hz : 0;
    takt_lab_ends_set_clocks(l->ends, 1767225600 * second_ns, 1767225600 * second_ns);
    takt_lab_ends_listen(l->ends, heard);
    atomic_store(&at_scenario, l->plan->number);
    return begin_sender(l, e);
}

/* So long the receiver goes on behind the last packet, until all that are on their way have come.
 */
static int64_t drained_ns(const struct takt_lab_net *l)
{
    const struct takt_network_cfg *n = &l->plan->network;
    double reach_ms = takt_lab_net_reach_ms(l->plan);
    double late_ms = n->delay_ms + n->still_ms + (isfinite(reach_ms) ? reach_ms : 0);
    return drain_ns + (int64_t)(late_ms * NS_A_MS);
}

static int run_stream(struct takt_lab_net *l, const struct takt_lab_net_job *job, bool *stopped,
                      struct takt_error *e)
{
    const struct takt_simulate_net_report before = *l->report;
    struct takt_simulate_net_report sounding = before; /* as it was when sound ended */
    int64_t end_ns = l->start_ns + (int64_t)(l->plan->seconds * 1e9);
    int64_t told_ns = l->start_ns + second_ns;
    int err = begin_stream(l, e);
    while (err >= 0 && !l->report->broken && !*stopped && l->now_ns < end_ns + drained_ns(l)) {
        bool sends = l->now_ns < end_ns;
        err = pull(l, sends, e);
        if (err >= 0 && sends && l->now_ns >= end_ns) {
            show(l, &before);
            sounding = *l->report;
        }
        if (err < 0 || l->now_ns < told_ns)
            continue;
        told_ns += second_ns;
        takt_lab_net_check_second(l);
        if (sends && job->tells_seconds && l->cfg->progress) {
            show(l, &before);
            *stopped = !l->cfg->progress(l->report, l->cfg->arg);
            takt_lab_net_check_start(l); /* what progress has kept is not ours */
        }
    }
    show(l, &before);
    if (err >= 0 && !l->report->broken && !*stopped) {
        takt_lab_net_check_end(l);
        take_back(l->report, &sounding);
    }
    return err;
}

int takt_lab_net_run(const struct takt_lab_net_job *job, struct takt_simulate_net_report *report,
                     bool *stopped, struct takt_error *e)
{
    struct takt_lab_net *l = calloc(1, sizeof *l);
    if (!l)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    l->plan = job->plan;
    l->cfg = job->cfg;
    l->sound = job->sound;
    l->trace = job->trace;
    l->latency = job->latency;
    l->lateness = job->lateness;
    l->report = report;
    l->start_ns = 10 * second_ns;
    int err = make_stream(l, e);
    if (err >= 0)
        err = run_stream(l, job, stopped, e);
    end_stream(l);
    return err;
}
