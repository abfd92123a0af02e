/*
 * What has to be true of a stream, found out beside the receiver: from the frames that come out,
 * each of which says which it is, and from what was sent and came.
 *
 * Where the receiver says that it plays bit by bit, and has not concealed, skipped or begun anew
 * for a while, what comes out has to be the sender's frames, one after the other. Everywhere else
 * the sound is only looked at: bounds, steps, silence.
 */
#include "lab/net_run.h"

#include <malloc.h>
#include <math.h>

enum { NS_A_MS = 1000000 };
static const int64_t silence_more_ns = 100 * (int64_t)NS_A_MS;
static const int64_t clock_settles_ns = 15000000000, waits_most_ns = 1500000000;
/* Opus is held as it is decoded; where it is resampled, or two are heard, it may be louder. */
static const double level_limit = 1.5, opus_level_limit = (double)TAKT_OPUS_MOST,
                    opus_level_excused = 2 * (double)TAKT_OPUS_MOST;
static const double step_share = 1.35, step_share_excused = 4;
static const double latency_off_ms = 1, delay_slack_ms = 2.5, behind_most_ms = 650;
static const double pause_s = 0.5, set_most_ms = 12, reach_share = 0.7, raised_least_ms = 0.5;
static const int64_t ends_for_s = 2;
static const double edge_share = 0.5; /* of it: a sample that lies on the edge */
static const size_t crypto_slack_bytes = 4096;
static const float silent = 1e-5f;

static size_t heap_bytes(void)
{
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

void takt_lab_net_check_start(struct takt_lab_net *l)
{
    struct takt_lab_net_ear *ear = &l->ear;
    if (!l->pulls)
        ear->next = -1;
    ear->heap_bytes = heap_bytes();
}

static double out_ms(const struct takt_lab_net *l)
{
    return 1e3 * l->plan->out_block / l->plan->out_hz;
}

static double packet_ms(const struct takt_lab_net *l)
{
    return 1e3 * l->plan->format.frames / l->plan->format.rate_hz;
}

static bool is_opus(const struct takt_lab_net *l)
{
    return l->plan->format.codec == TAKT_CODEC_OPUS;
}

/* Packets may be damaged, and nothing tells. */
static bool is_damaged(const struct takt_lab_net *l)
{
    const struct takt_network_cfg *n = &l->plan->network;
    return !l->plan->is_encrypted && (n->corrupt > 0 || n->truncate > 0);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static bool is_silent_at(const struct takt_lab_net *l, uint32_t i)
{
    for (uint32_t c = 0; c < l->plan->format.channels; c++)
        if (fabsf(l->out[c][i]) > silent)
            return false;
    return true;
}

/* Two frames at least: that is none of the sound's own but in its pauses, whose length nobody
 * knows. */
static bool has_silence(const struct takt_lab_net *l)
{
    bool was_silent = l->plan->out_block == 1;
    for (uint32_t i = 0; i < l->plan->out_block; i++) {
        bool is_silent = is_silent_at(l, i);
        if (is_silent && was_silent)
            return true;
        was_silent = is_silent;
    }
    return false;
}

/* For a while after anything was concealed, passed over or begun anew, after silence, while it is
 * resampled, and while the sender before this one is heard beside it. */
static bool is_excused(struct takt_lab_net *l, const struct takt_receiver_stats *st)
{
    struct takt_lab_net_ear *ear = &l->ear;
    const struct takt_receiver_counts *c = &st->counts;
    uint64_t marks = c->concealed_frames + c->resets + c->skipped + c->broken + c->late;
    double while_ms = 40 + 2 * packet_ms(l) + 2 * out_ms(l);
    if (marks != ear->marks || !st->source[0].is_exact || !ear->was_exact || !l->is_believed ||
        has_silence(l) || takt_lab_ends_fades(l->ends))
        ear->excused_until_ns = l->now_ns + (int64_t)(while_ms * NS_A_MS);
    ear->marks = marks;
    ear->was_exact = st->source[0].is_exact;
    return l->now_ns < ear->excused_until_ns;
}

static float sent(const struct takt_lab_net *l, int64_t frame, uint32_t channel)
{
    return takt_lab_sound_at(l->sound, frame, channel, l->pause_frames);
}

/* How many of the block's frames are those from `from` on. */
static uint32_t count_equal(const struct takt_lab_net *l, int64_t from)
{
    for (uint32_t i = 0; i < l->plan->out_block; i++)
        for (uint32_t c = 0; c < l->plan->format.channels; c++)
            if (l->out[c][i] != sent(l, from + i, c))
                return i;
    return l->plan->out_block;
}

/* When a frame was captured, if that is remembered. */
static bool captured(const struct takt_lab_net *l, int64_t frame, int64_t *ns)
{
    uint32_t block = l->plan->block_frames;
    int64_t index = frame / block;
    if (l->trace || frame < 0 || frame >= l->frames ||
        l->frames / block - index >= TAKT_LAB_NET_BLOCKS)
        return false;
    *ns = l->captured_ns[index % TAKT_LAB_NET_BLOCKS] +
          (int64_t)((double)(frame % block) * 1e9 / l->plan->format.rate_hz);
    return true;
}

/* The longest round trip of the time in which what is heard now came: a shorter one that is known
 * since then says nothing of its stamps. */
static void note_trip(struct takt_lab_net *l)
{
    struct takt_lab_net_ear *ear = &l->ear;
    int64_t now_ns = takt_lab_ends_round_trip_ns(l->ends);
    if (now_ns >= 0 && now_ns < ear->trip_ns && l->now_ns <= ear->trip_until_ns)
        return;
    ear->trip_ns = now_ns;
    ear->trip_until_ns = l->now_ns + waits_most_ns;
}

static void check_latency(struct takt_lab_net *l, const struct takt_receiver_source *s,
                          int64_t frame, int64_t play_ns)
{
    int64_t ns;
    bool is_settled = !l->jumped_ns || l->now_ns - l->jumped_ns > clock_settles_ns;
    int64_t round_trip_ns = l->ear.trip_ns;
    if (!s->has_latency || !is_settled || round_trip_ns < 0 || !captured(l, frame, &ns))
        return;
    /* Clocks are compared over the path, whose two directions may differ by all that it has. */
    double is_ms = (double)(play_ns - ns) * 1e-6;
    double off_ms =
        latency_off_ms + (double)round_trip_ns * 0.5e-6 + takt_lab_net_reach_ms(l->plan);
    /* One that is set by some milliseconds cannot be told from one that runs fast or slow. */
    off_ms += fmin(2 * l->plan->faults.jump_ms, set_most_ms);
    if (fabs(is_ms - s->latency_ms) > off_ms)
        takt_lab_net_break(l, "a latency of %.3f ms is told, and it is %.3f ms", s->latency_ms,
                           is_ms);
}

/* Where the block is from, when that is not known. */
static void look_it_up(struct takt_lab_net *l, const struct takt_receiver_source *s)
{
    struct takt_lab_net_ear *ear = &l->ear;
    bool is_sane =
        s->has_latency && s->latency_ms > 0 && s->latency_ms < 2000; /* no clock jumped */
    double ago_ms = is_sane ? s->latency_ms : s->delay_ms + s->output_ms;
    int64_t near = l->frames - (int64_t)(ago_ms * 1e-3 * l->plan->format.rate_hz);
    if (l->trace)
        near = l->envelope_media;
    if (l->plan->out_block < TAKT_LAB_SOUND_KEY)
        return;
    ear->next = takt_lab_sound_find(l->sound, l->out[0], near);
    if (ear->next < 0)
        takt_lab_net_break(l, "frames come that were never sent, and nothing was concealed");
    else if (ear->next < ear->heard)
        takt_lab_net_break(l, "frame %lld comes after frame %lld", (long long)ear->next,
                           (long long)ear->heard - 1);
}

static void check_order(struct takt_lab_net *l, const struct takt_receiver_stats *st,
                        int64_t play_ns)
{
    struct takt_lab_net_ear *ear = &l->ear;
    const struct takt_lab_net_plan *p = l->plan;
    bool excused = is_excused(l, st);
    if (is_opus(l) || p->out_hz != p->format.rate_hz || is_damaged(l) || !st->source[0].is_exact) {
        ear->next = -1;
        return;
    }
    if (ear->next < 0 && !excused)
        look_it_up(l, &st->source[0]);
    if (ear->next < 0 || l->report->broken)
        return;
    uint32_t equal = count_equal(l, ear->next);
    /* A sender that ends fills its last packet up with silence. */
    bool is_end = ear->next + equal == l->quiet_frame;
    if (equal < p->out_block && !excused && !is_end)
        takt_lab_net_break(l, "frame %lld is not as it was sent, and nothing was concealed",
                           (long long)(ear->next + equal));
    if (equal == p->out_block && !excused)
        check_latency(l, &st->source[0], ear->next, play_ns);
    ear->heard = ear->next + equal > ear->heard && equal ? ear->next + equal : ear->heard;
    ear->next = equal == p->out_block ? ear->next + equal : -1;
}

/* ---- Sound ----------------------------------------------------------------------------------- */

static void check_samples(struct takt_lab_net *l)
{
    struct takt_lab_net_ear *ear = &l->ear;
    const struct takt_lab_net_plan *p = l->plan;
    bool is_well = l->now_ns >= ear->excused_until_ns;
    double share = is_well ? step_share : step_share_excused;
    double step_limit = share * (double)l->sound->step_most;
    double opus_limit = is_well ? opus_level_limit : opus_level_excused;
    double limit = is_opus(l) ? opus_limit : level_limit;
    bool any_step = is_damaged(l) || l->pause_frames || is_opus(l);
    /* The sound of a sender that begins anew ends at any sample, and is followed by nothing, but
     * for what a resampler makes of such an edge. */
    bool has_ended =
        l->report->restarts && l->frames - l->quiet_frame < ends_for_s * p->format.rate_hz;
    for (uint32_t c = 0; c < p->format.channels; c++)
        for (uint32_t i = 0; i < p->out_block; i++) {
            float x = l->out[c][i];
            double step = fabs((double)x - (double)ear->last[c]);
            if (!isfinite(x) || (double)fabsf(x) > limit)
                takt_lab_net_break(l, "a sample of %g", (double)x);
            bool is_end = has_ended && fabs((double)x) < edge_share * step;
            if (!any_step && !is_end && step > step_limit)
                takt_lab_net_break(l, "a step of %.4f, where the sound has %.4f at most%s", step,
                                   (double)l->sound->step_most, is_well ? "" : ", at a gap");
            ear->last[c] = x;
        }
}

/* What the receiver may keep as delay, and does not wish to exceed. */
static double limit_ms(const struct takt_lab_net *l)
{
    double most_ms = l->plan->latency_ms_max > 0 ? l->plan->latency_ms_max : 1000;
    return l->plan->latency_ms > 0 && l->plan->latency_ms < most_ms ? l->plan->latency_ms : most_ms;
}

static void check_silence(struct takt_lab_net *l)
{
    struct takt_lab_net_ear *ear = &l->ear;
    const struct takt_lab_net_plan *p = l->plan;
    const struct takt_receiver_source *s = &takt_lab_ends_stats(l->ends)->source[0];
    double latency_ms = s->has_latency ? s->latency_ms : 0;
    for (uint32_t i = 0; i < p->out_block; i++) {
        ear->silent_frames = is_silent_at(l, i) ? ear->silent_frames + 1 : 0;
        if (ear->silent_frames != 1)
            continue;
        ear->silent_from_ns = l->now_ns;
        ear->silent_delay_ms = s->delay_ms;
        ear->silent_latency_ms = latency_ms;
    }
    /* Where packets may be later than the delay may be, they are late for long. */
    if (takt_lab_net_reach_ms(p) > reach_share * limit_ms(l) || is_damaged(l) || l->trace)
        return;
    int64_t silent_ns = (int64_t)((double)ear->silent_frames * 1e9 / p->out_hz);
    if (silent_ns < silence_more_ns)
        return;
    int64_t before_ns = (int64_t)((limit_ms(l) + 500) * NS_A_MS);
    int64_t cause_ns = takt_lab_net_dead_ns(l, ear->silent_from_ns - before_ns);
    if (l->pause_frames) { /* which may be made longer, so that the delay can grow unheard */
        double grown_ms = fmax(s->delay_ms - ear->silent_delay_ms,   /* as far as that is known, */
                               latency_ms - ear->silent_latency_ms); /* or as it is */
        double pauses_ms = 1e3 * pause_s * (cause_ns > 0 ? 2 : 1);   /* before, and behind */
        cause_ns += (int64_t)((pauses_ms + fmax(0, grown_ms)) * NS_A_MS);
    }
    if (silent_ns > cause_ns + silence_more_ns)
        takt_lab_net_break(l, "%.1f ms of silence, and %.1f ms of cause", (double)silent_ns * 1e-6,
                           (double)cause_ns * 1e-6);
}

/* ---- Delay ----------------------------------------------------------------------------------- */

/* It may be above its limit where the path has become shorter at once, as it comes down by 0.1 to
 * 0.5 % of the time only; so long it may take. Where packets may be later than the limit is, it
 * goes up again whenever nothing has been heard for a while, and comes down from there. */
static void check_delay(struct takt_lab_net *l, const struct takt_receiver_source *s)
{
    struct takt_lab_net_ear *ear = &l->ear;
    double most_ms = limit_ms(l), above_ms = s->delay_ms - most_ms - delay_slack_ms;
    if (!s->is_live || !l->is_believed)
        return;
    if (s->target_ms > most_ms * 1.0001 + 0.01)
        takt_lab_net_break(l, "a delay of %.3f ms is wished for, and %.3f ms are allowed",
                           s->target_ms, most_ms);
    if (above_ms > behind_most_ms)
        takt_lab_net_break(l, "the delay is %.1f ms, and %.1f ms are allowed", s->delay_ms,
                           most_ms);
    if (above_ms <= 0)
        ear->above_since_ns = 0;
    if (above_ms <= 0)
        return;
    bool is_raised = takt_lab_net_reach_ms(l->plan) > reach_share * most_ms &&
                     s->delay_ms > ear->delay_ms + raised_least_ms;
    ear->delay_ms = s->delay_ms;
    if (!ear->above_since_ns || above_ms > ear->above_ms || is_raised) {
        ear->above_since_ns = l->now_ns;
        ear->above_ms = above_ms;
    }
    double for_s = (double)(l->now_ns - ear->above_since_ns) * 1e-9;
    if (for_s > 10 + ear->above_ms)
        takt_lab_net_break(l, "the delay is %.1f ms for %.1f s, and %.1f ms are allowed",
                           s->delay_ms, for_s, most_ms);
}

/* A new sender is heard before a minute of it has come. With a key one that began before another
 * by its own clock, which was set back, is not: it might be a recording. */
static void check_belief(struct takt_lab_net *l)
{
    /* Where a bottleneck has no room for the packets, it may have none for any report between. */
    bool is_choked = l->plan->network.rate_kbit_s > 0 && l->packets.came < l->packets.sent / 4 * 3;
    bool may_be_heard = !is_damaged(l) && !l->trace && !takt_lab_ends_is_old(l->ends) && !is_choked;
    if (!l->is_believed && (double)l->came_new * packet_ms(l) > 60e3 && may_be_heard)
        takt_lab_net_break(l, "%llu packets of a new sender have come, and it is not heard",
                           (unsigned long long)l->came_new);
}

void takt_lab_net_check_pull(struct takt_lab_net *l, int64_t play_ns)
{
    const struct takt_receiver_stats *st = takt_lab_ends_stats(l->ends);
    note_trip(l);
    check_order(l, st, play_ns);
    check_samples(l);
    check_silence(l);
    check_delay(l, &st->source[0]);
    check_belief(l);
}

/* ---- Counts ---------------------------------------------------------------------------------- */

void takt_lab_net_check_second(struct takt_lab_net *l)
{
    const struct takt_receiver_counts *c = &takt_lab_ends_stats(l->ends)->counts;
    uint64_t all = c->waiting + c->played + c->skipped + c->late + c->duplicated;
    if (c->packets != all)
        takt_lab_net_break(l,
                           "%llu packets, but %llu waiting, %llu played, %llu skipped, %llu late, "
                           "%llu duplicated",
                           (unsigned long long)c->packets, (unsigned long long)c->waiting,
                           (unsigned long long)c->played, (unsigned long long)c->skipped,
                           (unsigned long long)c->late, (unsigned long long)c->duplicated);
    struct takt_recv_stats shown;
    takt_lab_ends_show(l->ends, &shown);
    uint64_t came = takt_network_stats(l->there).delivered;
    if (!l->trace && shown.datagrams != came)
        takt_lab_net_break(l, "%llu datagrams came, and %llu are counted", (unsigned long long)came,
                           (unsigned long long)shown.datagrams);
    size_t now = heap_bytes();
    size_t slack = l->plan->is_encrypted ? crypto_slack_bytes : 0; /* libcrypto's is its own */
    if (now > l->ear.heap_bytes + slack || now + slack < l->ear.heap_bytes)
        takt_lab_net_break(l, "the heap has moved by %lld bytes",
                           (long long)now - (long long)l->ear.heap_bytes);
}

/* One sender alone, whose packets were whole: what came is known to the last packet. */
static void check_fates(struct takt_lab_net *l, const struct takt_receiver_stats *st)
{
    const struct takt_receiver_counts *c = &st->counts;
    const struct takt_lab_net_packets *k = &l->packets;
    if (st->foreign >= k->handed || st->foreign >= TAKT_LAB_NET_FIRST)
        return;
    uint64_t first = (uint64_t)k->first[st->foreign];
    uint64_t last = (uint64_t)k->newest, span = last - first + 1;
    uint64_t told = c->played + c->skipped + c->late + c->lost;
    /* Those that a receiver has not believed yet may be any, and repaired ones among them. */
    uint64_t most = c->repaired ? k->sent : last + 1; /* the last ones may be repaired ones */
    if (told + st->foreign < span || told > most)
        takt_lab_net_break(l,
                           "of packets %llu to %llu, %llu are told of: %llu played, %llu skipped, "
                           "%llu late, %llu lost",
                           (unsigned long long)first, (unsigned long long)last,
                           (unsigned long long)told, (unsigned long long)c->played,
                           (unsigned long long)c->skipped, (unsigned long long)c->late,
                           (unsigned long long)c->lost);
    uint64_t missing = last + 1 - k->unique, lost = c->lost + c->repaired;
    if (c->lost > missing + st->foreign || lost + first < missing)
        takt_lab_net_break(l, "%llu packets are missing, and %llu lost, %llu repaired",
                           (unsigned long long)missing, (unsigned long long)c->lost,
                           (unsigned long long)c->repaired);
}

void takt_lab_net_check_end(struct takt_lab_net *l)
{
    const struct takt_receiver_stats *st = takt_lab_ends_stats(l->ends);
    const struct takt_receiver_counts *c = &st->counts;
    takt_lab_net_check_second(l);
    if (c->waiting && !l->trace)
        takt_lab_net_break(l, "%llu packets wait, and nothing has been sent for 2 s",
                           (unsigned long long)c->waiting);
    uint64_t came = takt_lab_ends_handed(l->ends);
    uint64_t known = c->packets + st->foreign + c->strays + c->broken;
    if (!l->trace && !l->plan->copies && !l->plan->repair && !is_damaged(l) && came != known)
        takt_lab_net_break(l, "%llu packets were handed over, and %llu are counted",
                           (unsigned long long)came, (unsigned long long)known);
    if (!l->trace && !l->was_disturbed && !is_damaged(l) && c->resets <= 1 && !c->strays)
        check_fates(l, st);
}
