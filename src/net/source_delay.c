/*
 * The delay that a source's packets ask for: by the target, but no shorter than it takes to cover
 * the latest one of the last minutes where that is cheap, and shorter by what the packets' beat
 * saves. A packet counts when its sound was there for the first time, by whatever way.
 */
#include "net/source_parts.h"

#include <math.h>
#include <string.h>

enum { TIGHT_PART = 50 };
static const double least_spare_ns = 0.2e6;
/* Packets that are in time by less have lost their beat, if they are one in TIGHT_PART of those
 * that came in so long. */
static const double tight_ns = 0.1e6;
static const int64_t tight_for_ns = 1000000000;
static const double moving_most_s = 3; /* after which it is no move: the clocks differ */
static const int64_t calm_for_ns = 15000000000, peak_for_ns = 120000000000;
static const double comfort_ns = 1e6; /* the most that is added to cover the latest packet, */
static const double above_ns = 0.1e6; /* which it then is above that */
/* Where what is late costs more than the delay that is wished for, a delay that leaves nothing late
 * may be longer by so much than both together. The cost is that of the last seconds, but for those
 * in which the first delay is found; and what it asked for is kept for some time. */
static const double dear = 1.1, cost_for_s = 7, cost_least_s = 3;
static const int64_t cost_from_ns = 1000000000, cover_for_ns = 15000000000;
static const int64_t wish_for_ns = 50000000;
static const double room_part = 0.75; /* of the room for packets that may be used up by the delay */
static const double outage_ns = 5e8, on_time_ns = 1e5;
static const int64_t outage_over_ns = 250000000;

void takt_source_listen(struct takt_source *s, int64_t arrival_ns)
{
    takt_target_restart(s->target);
    s->is_learning = true;
    s->first_ns = s->peak_from_ns = arrival_ns;
    memset(s->slowest, 0, sizeof s->slowest);
    s->recents = 0;
    s->peak_ns = s->peak_before_ns = 0;
    s->wish_from_ns = arrival_ns;
    s->wish_then_ns = s->wish_before_ns = (double)takt_target_delay_ns(s->target);
    s->looked_s = s->missed_s = 0;
    s->covers_all = false;
    s->pressed_at_ns = arrival_ns - calm_for_ns;
}

bool takt_source_is_calm(const struct takt_source *s)
{
    return s->arrival_ns - s->pressed_at_ns > calm_for_ns;
}

double takt_source_beat_saves_ns(const struct takt_source *s, const struct takt_beat_pulls *pulls,
                                 double delay_ns)
{
    struct takt_beat_packet packets[TAKT_SOURCE_RECENT];
    uint32_t count = s->recents < TAKT_SOURCE_RECENT ? s->recents : TAKT_SOURCE_RECENT;
    if (!pulls->frames || takt_source_codec(s)->rate_hz != s->cfg.rate_hz || s->cfg.latency_ms > 0)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct takt_source_arrival *p = &s->recent[i];
        int64_t due_ns = takt_envelope_due(&s->envelope, p->media);
        packets[i] = (struct takt_beat_packet){p->media, (double)(p->arrival_ns - due_ns)};
    }
    return takt_beat_spared_ns(pulls, packets, count, s->frames_newest, delay_ns,
                               TAKT_SOURCE_SPARE_NS);
}

double takt_source_delay_most_ns(const struct takt_source *s)
{
    double most_ns = (s->cfg.latency_ms_max > 0 ? s->cfg.latency_ms_max : 1000) * 1e6;
    double room_ns =
        (double)s->cfg.packets_max * s->frames_newest * 1e9 / takt_source_codec(s)->rate_hz;
    return fmax(0, fmin(most_ns, room_part * room_ns - s->ahead_ns));
}

/* What is late costs, as the target has it. */
static double late_costs_ns(const struct takt_source *s)
{
    double missed = s->missed_s / fmax(s->looked_s, cost_least_s);
    return missed * takt_target_lambda_ms(s->target) * 1e6;
}

/* The latest of the last minutes. */
static double peak_ns(const struct takt_source *s)
{
    return fmax(s->peak_ns, s->peak_before_ns) + above_ns;
}

/* The delay that covers packets whatever their beat. What the target wishes leaves rare packets
 * late; where it is cheap these are covered as well. */
static double any_beat_ns(const struct takt_source *s)
{
    double wish_ns = (double)takt_target_delay_ns(s->target);
    bool is_cheap = s->covers_all || peak_ns(s) <= wish_ns + comfort_ns;
    double goal_ns = is_cheap ? fmax(wish_ns, peak_ns(s)) : wish_ns;
    return fmin(goal_ns, takt_source_delay_most_ns(s));
}

void takt_source_find_beat(struct takt_source *s)
{
    struct takt_beat_pulls pulls = s->pulls;
    double delay_ns = any_beat_ns(s);
    pulls.media += llround((s->delay_ns - delay_ns) * 1e-9 * pulls.rate_hz);
    s->saved_ns = takt_source_beat_saves_ns(s, &pulls, delay_ns);
    s->wants_beat = false;
}

/* Whether some packets are in time by little, or not, again and again: no chance, but how the beats
 * of both sides lie, be it after a stall of either or since the clocks differ. */
static bool is_over_tight(struct takt_source *s, int64_t arrival_ns, double margin_ns)
{
    s->seen++;
    s->tight += margin_ns < tight_ns;
    if (arrival_ns - s->tight_from_ns < tight_for_ns && arrival_ns >= s->tight_from_ns)
        return false;
    s->is_tight = s->tight * TIGHT_PART > s->seen;
    s->tight_from_ns = arrival_ns;
    s->seen = s->tight = 0;
    return s->is_tight;
}

/* The latest one of the last minutes; and whether one was too late. */
static void look_at_peaks(struct takt_source *s, int64_t arrival_ns, int64_t media, double late_ns)
{
    if (arrival_ns - s->peak_from_ns > peak_for_ns || arrival_ns < s->peak_from_ns) {
        s->peak_from_ns = arrival_ns;
        s->peak_before_ns = s->peak_ns;
        s->peak_ns = 0;
    }
    s->peak_ns = fmax(s->peak_ns, late_ns);
    if (!s->is_begun)
        return;
    double margin_ns = s->delay_ns + takt_beat_slack_ns(&s->pulls, media) - late_ns;
    if (is_over_tight(s, arrival_ns, margin_ns) || margin_ns < 0) {
        s->is_pressed = true;
        s->pressed_at_ns = arrival_ns;
        s->wants_beat = true;
    }
}

/* Whether a packet would be late, were the delay what is wished for. The wish is that of some time
 * before: what comes after a standstill comes at once, and by then is late whatever is wished. */
static void look_at_cost(struct takt_source *s, int64_t arrival_ns, double late_ns, double packet_s)
{
    if (arrival_ns - s->wish_from_ns > wish_for_ns || arrival_ns < s->wish_from_ns) {
        s->wish_from_ns = arrival_ns;
        s->wish_before_ns = s->wish_then_ns;
        s->wish_then_ns = (double)takt_target_delay_ns(s->target);
    }
    if (arrival_ns - s->first_ns < cost_from_ns)
        return;
    double keep = 1 - fmin(packet_s, 1) / cost_for_s;
    s->looked_s = s->looked_s * keep + packet_s;
    s->missed_s *= keep;
    if (late_ns > s->wish_before_ns)
        s->missed_s += packet_s;
    else if (!s->covers_all)
        return;
    double late_costs = late_costs_ns(s), cost = s->wish_before_ns + late_costs;
    bool is_worth =
        s->cfg.late_ratio == 0 && late_costs > s->wish_before_ns && peak_ns(s) <= dear * cost;
    s->covered_ns = is_worth ? arrival_ns : s->covered_ns;
    s->covers_all = is_worth || (s->covers_all && arrival_ns - s->covered_ns < cover_for_ns);
}

static void look_for_slowest(struct takt_source *s, int64_t arrival_ns, int64_t media)
{
    int64_t part = (arrival_ns - s->first_ns) * TAKT_SOURCE_PARTS / TAKT_SOURCE_LEARN_NS;
    struct takt_source_arrival *l = &s->slowest[part < 0                   ? 0
                                                : part < TAKT_SOURCE_PARTS ? part
                                                                           : TAKT_SOURCE_PARTS - 1];
    double media_ns = (double)(media - l->media) * 1e9 / takt_source_codec(s)->rate_hz;
    if (!l->is_there || (double)(arrival_ns - l->arrival_ns) > media_ns)
        *l = (struct takt_source_arrival){true, arrival_ns, media};
}

/* Whether it comes out of an outage: nothing had come for half a second or more, and then all of it
 * at once. No delay helps against that, so none is learnt from it. */
static bool is_of_outage(struct takt_source *s, int64_t arrival_ns, double late_ns)
{
    if (late_ns > outage_ns && !s->is_out) {
        s->is_out = true;
        s->out_ns = arrival_ns;
    }
    s->is_out = s->is_out && late_ns > on_time_ns && arrival_ns - s->out_ns < outage_over_ns;
    return s->is_out;
}

void takt_source_learn_late(struct takt_source *s, int64_t seq, int64_t arrival_ns, int64_t media,
                            uint32_t frames)
{
    int64_t *learnt = &s->learnt[(uint64_t)seq % TAKT_SOURCE_LEARNT];
    if (*learnt >= seq)
        return;
    *learnt = seq;
    int64_t late_ns = arrival_ns - takt_envelope_due(&s->envelope, media);
    double packet_s = (double)frames / takt_source_codec(s)->rate_hz;
    late_ns = late_ns > 0 ? late_ns : 0;
    takt_hist_record(&s->hist[TAKT_RECEIVER_LATENESS], (uint64_t)late_ns);
    bool is_held = s->is_begun && is_of_outage(s, arrival_ns, (double)late_ns);
    if (!is_held || (double)late_ns < outage_ns) {
        s->late_newest_ns = fmin((double)late_ns, s->late_last_ns); /* one alone is a spike */
        s->late_last_ns = (double)late_ns;
    }
    if ((double)late_ns > s->was_ns)
        s->tardy_ns = arrival_ns;
    if (is_held)
        return;
    s->recent[s->recents++ % TAKT_SOURCE_RECENT] =
        (struct takt_source_arrival){true, arrival_ns, media};
    takt_target_update(s->target, late_ns, (int64_t)(packet_s * 1e9));
    if (s->is_learning)
        look_for_slowest(s, arrival_ns, media);
    else
        look_at_peaks(s, arrival_ns, media, (double)late_ns);
    look_at_cost(s, arrival_ns, (double)late_ns, packet_s);
}

double takt_source_goal_ns(const struct takt_source *s)
{
    if (s->cfg.latency_ms > 0 || s->is_learning)
        return (double)takt_target_delay_ns(s->target);
    return fmax(0, any_beat_ns(s) - s->saved_ns);
}

bool takt_source_has_places(const struct takt_source *s)
{
    return s->pull_frames && s->frames_newest &&
           s->recents >= takt_beat_places(s->pull_frames, s->frames_newest);
}

/* The delay that the first packets ask for. One of them that was later than all others is covered,
 * but says little about those to come; unless packets of some places in a block have not come yet,
 * one of which may be later still. */
static double first_wish_ns(const struct takt_source *s)
{
    double most_ns = 0, second_ns = 0;
    int parts = 0;
    for (int i = 0; i < TAKT_SOURCE_PARTS; i++) {
        const struct takt_source_arrival *l = &s->slowest[i];
        if (!l->is_there)
            continue;
        double late_ns = (double)(l->arrival_ns - takt_envelope_due(&s->envelope, l->media));
        second_ns = fmax(second_ns, fmin(most_ns, late_ns));
        most_ns = fmax(most_ns, late_ns);
        parts++;
    }
    return fmax((parts < TAKT_SOURCE_PARTS ? most_ns : second_ns) + TAKT_SOURCE_SPARE_NS,
                most_ns + (takt_source_has_places(s) ? least_spare_ns : TAKT_SOURCE_SPARE_NS));
}

double takt_source_first_delay_ns(const struct takt_source *s)
{
    if (s->cfg.latency_ms > 0)
        return takt_source_goal_ns(s);
    return fmin(first_wish_ns(s), takt_source_delay_most_ns(s));
}

/* Where the next pull begins, if it is as long as this one and nothing moves. */
void takt_source_note_beat(struct takt_source *s)
{
    const struct takt_source_voice *v = &s->voice[s->format];
    bool has_beat = s->is_even && takt_follow_is_exact(v->follow) &&
                    takt_source_codec(s)->rate_hz == s->cfg.rate_hz;
    int64_t place = has_beat ? (int64_t)takt_follow_place(v->follow) : 0;
    s->pulls =
        (struct takt_beat_pulls){place + takt_playout_shift(v->playout),
                                 has_beat ? s->pull_frames : 0, takt_source_codec(s)->rate_hz};
}

/* A line that is not copied, but by a move of ours that ends, follows a clock that differs: then
 * the beat changes all the time, and the delay has to do without before it is too short. */
void takt_source_keep_beat(struct takt_source *s, double dt_s)
{
    if (takt_follow_is_exact(s->voice[s->format].follow)) {
        s->moving_s = 0;
        return;
    }
    s->moving_s = s->moving_s > 0 || s->slides ? s->moving_s + dt_s : moving_most_s;
    if (s->saved_ns == 0 || s->moving_s < moving_most_s)
        return;
    s->saved_ns = 0;
    s->is_pressed = true;
    s->pressed_at_ns = s->arrival_ns;
}
