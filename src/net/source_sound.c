/*
 * The place that should be heard at play_ns is the frame that is due delay_ns and the output's
 * share before it. Where play_ns and the envelope move little, the follower's loop goes with them;
 * where they move by a millisecond at once, the place stays and delay_ns takes it up, to come back
 * to the target by and by; and where even that is too much, or the pulls themselves had a gap, the
 * place jumps. So nothing that happens to the estimate alone is heard.
 *
 * Invariants: once it is begun, voice[format] has a line, and delay_ns is what has been meant by
 * the last pull.
 */
#include "net/source_parts.h"
#include "takt/kernel.h"

#include <math.h>

/* A delay that was found is changed where that is worth a wrong sample: when it could be so much
 * shorter, or when packets come too late. One that was asked for may be so far off. */
static const double worth_ns = 1e6, worth_less_ns = 0.3e6, free_ns = 0.5e6, band_ns = 0.25e6;
static const double near_ns = 0.02e6; /* that near it comes when it moves */
static const int64_t pressed_for_ns = 2000000000;
static const double hold_most_s = 0.06;    /* a gap is made longer up to here, for a longer delay */
static const double resume_most_ns = 80e6; /* what a sender that begins anew is late at first */
static const int back_part = 50;           /* of a second: after so long concealment fades */
/* A longer path is none after all where packets are on time again for so long, and so soon. */
static const int64_t on_time_for_ns = 50000000, back_for_ns = 2000000000;
static const double catch_up_least_ns = 20e6;
static const double settled_ns = 5e9, shrink_most_ns = 0.25e6;
static const double patience_s = 0.25; /* for a moment in which resampling can begin unheard */
static const double glide_least = 0.001, glide_most = 0.005, glide_s = 1;
static const double rough_most_ns = 2e6;
static const double absorb_ns = 1e6, early_most_ns = 50e6, behind_most_ns = 600e6;
static const double gap_ns = 1e6; /* between pulls, that is no jitter of play_ns */

/* What is between a packet that is just in time and its first frame at the converter. */
static double between_ns(const struct takt_source *s, int64_t ahead_ns)
{
    bool is_copied = takt_follow_is_exact(s->voice[s->format].follow);
    return (double)ahead_ns +
           (is_copied ? 0 : TAKT_FOLLOW_AHEAD * 1e9 / takt_source_codec(s)->rate_hz);
}

/* The frame that should be at the converter at play_ns, less `near`. */
static double wanted(const struct takt_source *s, int64_t play_ns, int64_t near)
{
    double late_ns = (double)(play_ns - takt_envelope_due(&s->envelope, near));
    return (late_ns - s->delay_ns - s->ahead_ns) * 1e-9 * takt_source_codec(s)->rate_hz;
}

static void begin_line(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, double delay_ns)
{
    struct takt_source_voice *v = &s->voice[s->format];
    takt_follow_begin(v->follow, -1e-6 * takt_envelope_drift_ppm(&s->envelope));
    s->delay_ns = delay_ns;
    s->ahead_ns = between_ns(s, ahead_ns);
    double from = floor(wanted(s, play_ns, s->media_newest));
    takt_playout_begin(v->playout, s->media_newest + (int64_t)from);
    if (s->has_ended)
        takt_playout_end(v->playout);
    s->next_play_ns = s->begun_ns = play_ns;
    s->shrunk_ns = s->waited_s = 0;
    s->slides = false;
    s->is_begun = true;
}

static void jump(struct takt_source *s, double frames)
{
    if (fabs(frames) < 1)
        return;
    takt_playout_jump(s->voice[s->format].playout, lround(frames));
    s->resets++;
}

/* By how many frames the place to be read is behind where it should be. */
static double error_now(const struct takt_source *s, int64_t play_ns)
{
    const struct takt_source_voice *v = &s->voice[s->format];
    double place = takt_follow_place(v->follow), whole = floor(place);
    int64_t near = (int64_t)whole + takt_playout_shift(v->playout);
    return wanted(s, play_ns, near) - (place - whole);
}

/* While copies are made the estimates of the first seconds do not move the place; not so when the
 * delay becomes shorter by them, as it does when the clocks differ. */
static bool is_absorbed(struct takt_source *s, int64_t play_ns, double error_ns)
{
    if (!takt_follow_is_exact(s->voice[s->format].follow) ||
        (double)(play_ns - s->begun_ns) > settled_ns)
        return false;
    s->shrunk_ns -= error_ns;
    if (s->shrunk_ns > shrink_most_ns) {
        s->shrunk_ns += error_ns;
        return false;
    }
    s->delay_ns += error_ns;
    return true;
}

static double find_place(struct takt_source *s, int64_t play_ns)
{
    double rate = takt_source_codec(s)->rate_hz;
    double gap = (double)(play_ns - s->next_play_ns);
    if (fabs(gap) > gap_ns)
        jump(s, gap * 1e-9 * rate);
    double error = error_now(s, play_ns), error_ns = error / rate * 1e9;
    if (fabs(error_ns) < absorb_ns)
        return is_absorbed(s, play_ns, error_ns) ? 0 : error;
    double goal = takt_source_goal_ns(s), delay_ns = s->delay_ns + error_ns;
    if (delay_ns > fmin(goal - early_most_ns, 0) && delay_ns < goal + behind_most_ns) {
        s->delay_ns = delay_ns;
        return 0;
    }
    s->delay_ns = goal;
    jump(s, error_now(s, play_ns));
    return error_now(s, play_ns);
}

/* Nothing has been heard for a while, and what comes now is too late as well: the path has become
 * longer. Better to hear it later than not; the target will say how long that is worth it. */
static void come_back(struct takt_source *s, int64_t play_ns)
{
    int64_t hidden = takt_playout_hidden(s->voice[s->format].playout);
    double delay_ns = fmin(s->late_newest_ns + TAKT_SOURCE_SPARE_NS, takt_source_delay_most_ns(s));
    if (hidden * back_part < takt_source_codec(s)->rate_hz || s->late_newest_ns <= s->delay_ns ||
        delay_ns <= s->delay_ns)
        return;
    s->was_ns = s->is_back ? s->was_ns : s->delay_ns;
    s->delay_ns = delay_ns;
    s->is_back = true;
    s->back_ns = s->arrival_ns;
    jump(s, error_now(s, play_ns));
}

/* It has not: what was late had been held up, and is through. What is left of it is passed over, as
 * the delay would take minutes to come down to what it was. */
static void catch_up(struct takt_source *s, int64_t play_ns)
{
    s->is_back = s->is_back && s->arrival_ns - s->back_ns < back_for_ns;
    if (!s->is_back || s->arrival_ns - s->tardy_ns < on_time_for_ns ||
        s->delay_ns - s->was_ns < catch_up_least_ns)
        return;
    s->is_back = s->is_pressed = false;
    s->delay_ns = s->was_ns;
    jump(s, error_now(s, play_ns));
}

/* All that is known of a path after the first moment: the place to begin at, or the one to go on
 * at, is found anew. */
static void end_learning(struct takt_source *s, int64_t play_ns, int64_t ahead_ns)
{
    double delay_ns = takt_source_first_delay_ns(s);
    s->is_learning = false;
    s->peak_ns = delay_ns - TAKT_SOURCE_SPARE_NS;
    if (!s->is_begun) {
        struct takt_beat_pulls pulls = {s->media_newest, s->is_even ? s->pull_frames : 0,
                                        takt_source_codec(s)->rate_hz};
        double late_ns = (double)(play_ns - takt_envelope_due(&s->envelope, s->media_newest));
        pulls.media +=
            (int64_t)floor((late_ns - delay_ns - (double)ahead_ns) * 1e-9 * pulls.rate_hz);
        s->saved_ns = takt_source_beat_saves_ns(s, &pulls, delay_ns);
        s->tight_from_ns = play_ns;
        s->seen = s->tight = 0;
        begin_line(s, play_ns, ahead_ns, delay_ns - s->saved_ns);
        return;
    }
    s->delay_ns += error_now(s, play_ns) / takt_source_codec(s)->rate_hz * 1e9;
    if (fabs(s->delay_ns - delay_ns) < band_ns)
        return;
    s->delay_ns = delay_ns;
    jump(s, error_now(s, play_ns));
}

/* Whether to leave the delay that there is. */
static bool is_worth_it(const struct takt_source *s, double excess_ns)
{
    if (s->slides)
        return fabs(excess_ns) > near_ns;
    /* As rough as the path is, so far off is the delay that is counted. */
    if (s->cfg.latency_ms > 0)
        return excess_ns > fmax(band_ns, fmin(3 * s->envelope.rough_ns, rough_most_ns)) ||
               -excess_ns > band_ns;
    bool is_exact = takt_follow_is_exact(s->voice[s->format].follow);
    bool is_calm = is_exact && takt_source_is_calm(s);
    /* What the copy has just got back of reading ahead is no reason to leave it again. */
    double less_ns =
        worth_less_ns + (is_exact ? TAKT_FOLLOW_AHEAD * 1e9 / takt_source_codec(s)->rate_hz : 0);
    return excess_ns > 0 ? excess_ns > (is_calm ? worth_ns : less_ns)
                         : s->is_pressed && -excess_ns > (s->is_tight ? near_ns : band_ns);
}

/* Resampling reads ahead. To begin with it without a gap, what is ahead has to be there. */
static bool may_glide(const struct takt_source *s, uint32_t frames)
{
    const struct takt_source_voice *v = &s->voice[s->format];
    return !takt_follow_is_exact(v->follow) || s->waited_s > patience_s ||
           takt_playout_reaches(v->playout, s->jitter, takt_follow_gliding(v->follow, frames));
}

/* How fast to move towards the goal: never so slowly that it goes on for ever, as the goal may
 * move on all the time and what is moving is not exact. */
static double slide(struct takt_source *s, double excess_ns, double dt_s)
{
    double speed = fmax(glide_least, fmin(glide_most, fabs(excess_ns) * 1e-9 / glide_s));
    speed = fmin(speed, fabs(excess_ns) * 1e-9 / dt_s); /* and never beyond it */
    speed = excess_ns < 0 ? -speed : speed;
    s->delay_ns -= speed * dt_s * 1e9;
    return speed;
}

/* Whether to move where nobody hears it. */
static bool is_free(const struct takt_source *s, double excess_ns)
{
    if (s->slides || s->cfg.latency_ms > 0)
        return s->slides;
    return excess_ns > free_ns || (s->is_pressed && -excess_ns > band_ns);
}

static void stamp(struct takt_source *s, int64_t play_ns)
{
    const struct takt_source_voice *v = &s->voice[s->format];
    struct takt_playout_counts c = takt_playout_counts(v->playout);
    if (!c.capture_ns)
        return;
    double ahead = (double)(int64_t)c.capture_line - takt_follow_place(v->follow);
    double latency_ns =
        (double)(play_ns - c.capture_ns) + ahead * 1e9 / takt_source_codec(s)->rate_hz;
    if (latency_ns < 0)
        return;
    s->latency_ns = latency_ns;
    s->has_latency = true;
    takt_hist_record(&s->hist[TAKT_RECEIVER_LATENCY], (uint64_t)fmax(0, s->latency_ns));
}

/* Mono to all channels; of others each to its own, and from the first on again. */
static void mix_in(struct takt_source *s, float *const *out, uint32_t frames)
{
    uint32_t channels = takt_source_codec(s)->channels;
    for (uint32_t c = 0; c < s->cfg.channels; c++) {
        takt_mix(out[c], s->scratch[c % channels], 1, frames);
        s->last[c] = s->scratch[c % channels][frames - 1];
    }
}

static void fade_tail(struct takt_source *s, float *const *out, uint32_t frames)
{
    for (uint32_t i = 0; i < frames && s->tail_left; i++, s->tail_left--)
        for (uint32_t c = 0; c < s->cfg.channels; c++)
            out[c][i] += s->tail[c] * (float)s->tail_left / TAKT_SOURCE_TAIL;
}

/* What was waiting of a sender that has begun anew is gone: a delay that was long would be silence
 * for as long. */
static double resume_ns(const struct takt_source *s)
{
    return s->cfg.latency_ms > 0 ? takt_source_delay_most_ns(s) : resume_most_ns;
}

/* As long as it takes, or twice as long where packets have not come in all the places of a pull. */
static bool has_learnt(const struct takt_source *s, int64_t now_ns)
{
    int64_t for_ns = now_ns - s->first_ns;
    if (for_ns < 0 || for_ns >= 2 * TAKT_SOURCE_LEARN_NS)
        return true;
    return for_ns >= TAKT_SOURCE_LEARN_NS && takt_source_has_places(s);
}

/* Whether there is anything to be heard now: where the delay is given, a source that is vouched for
 * from its first packet on; others when their path is known. */
static bool is_due(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, double dt_s)
{
    int64_t now_ns = play_ns - ahead_ns + (int64_t)(dt_s * 1e9);
    now_ns = s->arrival_ns > now_ns ? s->arrival_ns : now_ns;
    if (s->is_learning && has_learnt(s, now_ns))
        end_learning(s, play_ns, ahead_ns);
    else if (!s->is_begun && (!s->is_learning || (s->cfg.trusts && s->cfg.latency_ms > 0)))
        begin_line(s, play_ns, ahead_ns, fmin(takt_source_goal_ns(s), resume_ns(s)));
    return s->is_begun;
}

void takt_source_pull(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, float *const *out,
                      uint32_t frames)
{
    fade_tail(s, out, frames);
    s->is_even = frames == s->pull_frames;
    s->pull_frames = frames;
    if (!s->is_live || !s->has_newest)
        return;
    struct takt_source_voice *v = &s->voice[s->format];
    double rate = takt_source_codec(s)->rate_hz, dt_s = (double)frames / s->cfg.rate_hz;
    if (!is_due(s, play_ns, ahead_ns, dt_s))
        return;
    /* What the output takes changes the delay that is left for the network, not the place. */
    double between = between_ns(s, ahead_ns);
    s->delay_ns -= between - s->ahead_ns;
    s->ahead_ns = between;
    come_back(s, play_ns);
    catch_up(s, play_ns);
    double error = find_place(s, play_ns);
    s->error = error;
    s->is_pressed = s->is_pressed && s->arrival_ns - s->pressed_at_ns < pressed_for_ns;
    if (s->wants_beat)
        takt_source_find_beat(s);
    double excess_ns = s->delay_ns - takt_source_goal_ns(s);
    bool is_worth = is_worth_it(s, excess_ns), may = may_glide(s, frames);
    s->waited_s = may || !is_worth ? 0 : s->waited_s + dt_s;
    s->slides = is_worth && may;
    double speed = s->slides ? slide(s, excess_ns, dt_s) : 0;
    takt_follow_steer(v->follow, error, speed, may, dt_s);
    takt_source_keep_beat(s, dt_s);
    stamp(s, play_ns);
    int64_t wish = is_free(s, excess_ns) ? lround(excess_ns * 1e-9 * rate) : 0;
    int64_t least = takt_playout_hidden(v->playout) - lround(hold_most_s * rate);
    wish = wish < least && least < 0 ? least : wish < 0 && least >= 0 ? 0 : wish;
    int64_t moved = takt_playout_fill(v->playout, s->jitter, takt_follow_first(v->follow),
                                      takt_follow_until(v->follow, frames), wish);
    s->delay_ns -= (double)moved / rate * 1e9;
    takt_follow_read(v->follow, v->playout, s->scratch, frames);
    takt_source_note_beat(s);
    mix_in(s, out, frames);
    s->next_play_ns = play_ns + (int64_t)(dt_s * 1e9 + 0.5);
}
