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
#include "net/source.h"

#include "base/touched.h"
#include "net/beat.h"
#include "net/envelope.h"
#include "net/follow.h"
#include "net/jitter.h"
#include "net/playout.h"
#include "net/target.h"
#include "takt/kernel.h"
#include "wire/red.h"
#include "wire/rtp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAIL_FRAMES = 128,
    FORMAT_RUN = 2,
    JUMP_RUN = 8,
    LEARN_PARTS = 4,
    LEARNT = 1024,
    RECENT = 64, /* packets, of which the beat is learned */
    TIGHT_PART = 50
};
/* A source is listened to for so long before it is heard, which is as long as two blocks of 512
 * frames; and the delay begins so much above what it took to be in time then. */
static const int64_t learn_ns = 20000000;
static const double spare_ns = 0.6e6, least_spare_ns = 0.2e6;
/* Packets that are in time by less have lost their beat, if they are one in TIGHT_PART of those
 * that came in so long. */
static const double tight_ns = 0.1e6;
static const int64_t tight_for_ns = 1000000000;
static const double moving_most_s = 3; /* after which it is no move: the clocks differ */
/* A delay that was found is changed where that is worth a wrong sample: when it could be so much
 * shorter, or when packets come too late. One that was asked for may be so far off. */
static const double worth_ns = 1e6, worth_less_ns = 0.3e6, free_ns = 0.5e6, band_ns = 0.25e6;
static const double near_ns = 0.02e6; /* that near it comes when it moves */
static const int64_t pressed_for_ns = 2000000000, calm_for_ns = 15000000000,
                     peak_for_ns = 120000000000;
static const double comfort_ns = 1e6;      /* the most that is added to cover the latest packet, */
static const double above_ns = 0.1e6;      /* which it then is above that */
static const double hold_most_s = 0.06;    /* a gap is made longer up to here, for a longer delay */
static const double resume_most_ns = 80e6; /* what a sender that begins anew is late at first */
static const int back_part = 50;           /* of a second: after so long concealment fades */
static const double room_part = 0.75; /* of the room for packets that may be used up by the delay */
static const double outage_ns = 5e8, on_time_ns = 1e5;
static const int64_t outage_over_ns = 250000000;
static const double settled_ns = 5e9, shrink_most_ns = 0.25e6;
static const double patience_s = 0.25; /* for a moment in which resampling can begin unheard */
static const double glide_least = 0.001, glide_most = 0.005, glide_s = 1;
static const double rough_most_ns = 2e6;
static const double absorb_ns = 1e6, early_most_ns = 50e6, behind_most_ns = 600e6;
static const double gap_ns = 1e6;   /* between pulls, that is no jitter of play_ns */
static const double stray_s = 0.04; /* by which a timestamp may surprise */

struct voice {
    struct takt_playout *playout;
    struct takt_follow *follow;
};

/* When a packet came, and its first frame. */
struct arrival {
    bool is_there;
    int64_t arrival_ns, media;
};

struct takt_source {
    struct takt_receiver_cfg cfg;
    struct voice voice[TAKT_RECEIVER_FORMATS_MAX];
    struct takt_jitter *jitter;
    struct takt_target *target;
    struct takt_envelope envelope;
    struct takt_rtp_source rtp;

    bool is_live;
    uint32_t ssrc;
    uint32_t format;                  /* index of cfg.formats */
    uint32_t format_next, format_run; /* another one that came last, and how often on end */
    bool has_newest;
    int64_t seq_newest, media_newest, arrival_ns; /* of the newest packet */
    uint32_t frames_newest;
    uint16_t jump_seq; /* the last one that was far from the others, */
    uint32_t jumps;    /* and how many near it there were on end */
    bool has_stray;
    uint32_t stray_timestamp; /* where a stray one would go on, */
    uint32_t stray_run;       /* and how many near it there were on end */

    bool is_learning;                    /* what the path is like */
    int64_t first_ns;                    /* when the first packet came */
    struct arrival slowest[LEARN_PARTS]; /* of each part of the first moment */
    struct arrival recent[RECENT];       /* packets, the newest at recents - 1, and round */
    uint32_t recents;
    struct takt_beat_pulls pulls; /* those to come; without a beat but while the line is copied */
    uint32_t pull_frames;         /* of the newest pull */
    bool is_even;                 /* and of the one before */
    double saved_ns;              /* what the delay is shorter by, as packets keep their beat */
    bool wants_beat;              /* to be found anew */
    int64_t tight_from_ns;
    uint32_t seen, tight;           /* packets since then; and of these, in time by little */
    double moving_s;                /* for so long the line has not been copied */
    bool is_tight;                  /* so it was in the last second */
    double peak_ns, peak_before_ns; /* the latest ones of now and of the time before */
    int64_t peak_from_ns;
    int64_t seq_first;      /* since it began anew */
    int64_t learnt[LEARNT]; /* numbers of packets whose lateness has been counted, by number */
    bool is_out;            /* packets come that an outage held up */
    int64_t out_ns;
    double late_last_ns,
        late_newest_ns; /* of the one that came last; and of the last two, the less */
    bool is_pressed;
    int64_t pressed_at_ns; /* when one was late */

    bool has_ended; /* no packet of it comes any more */
    bool is_begun;  /* plays */
    int64_t begun_ns;
    double delay_ns, ahead_ns, error;
    double shrunk_ns; /* how much shorter the delay has become while it was copied */
    double waited_s;  /* for a moment to begin to resample in */
    bool slides;
    int64_t next_play_ns; /* when the next pull should be */
    double latency_ns;
    bool has_latency;

    float *scratch_memory;
    float *scratch[TAKT_CODEC_CHANNELS_MAX];
    float last[TAKT_CODEC_CHANNELS_MAX], tail[TAKT_CODEC_CHANNELS_MAX];
    uint32_t tail_left;

    struct takt_hist hist[TAKT_RECEIVER_HISTS];
    uint64_t broken, strays, resets;
    uint64_t heard_frames, concealed_frames, repaired; /* of lines that have ended */
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int make_voice(struct takt_source *s, uint32_t format, struct takt_error *e)
{
    const struct takt_codec_format *codec = &s->cfg.formats[format].codec;
    struct takt_follow_cfg follow = {.channels = codec->channels,
                                     .line_hz = codec->rate_hz,
                                     .out_hz = s->cfg.rate_hz,
                                     .frames_max = s->cfg.frames_max};
    int err = takt_follow_create(&follow, &s->voice[format].follow, e);
    if (err < 0)
        return err;
    return takt_playout_create(
        &(struct takt_playout_cfg){.format = codec,
                                   .frames_max = takt_follow_line_max(&follow),
                                   .bytes_max = TAKT_RECEIVER_PAYLOAD_BYTES_MAX,
                                   .is_helped = s->cfg.is_helped},
        &s->voice[format].playout, e);
}

static int make(struct takt_source *s, struct takt_error *e)
{
    uint32_t channels = 1;
    for (uint32_t i = 0; i < s->cfg.formats_count; i++) {
        int err = make_voice(s, i, e);
        if (err < 0)
            return err;
        uint32_t own = s->cfg.formats[i].codec.channels;
        channels = own > channels ? own : channels;
    }
    s->scratch_memory = takt_calloc_touched((size_t)channels * s->cfg.frames_max, sizeof(float));
    if (!s->scratch_memory)
        return TAKT_ERR_NOMEM;
    for (uint32_t c = 0; c < channels; c++)
        s->scratch[c] = s->scratch_memory + (size_t)c * s->cfg.frames_max;
    int err = takt_jitter_create(s->cfg.packets_max, TAKT_RECEIVER_PAYLOAD_BYTES_MAX, &s->jitter);
    if (err < 0)
        return err;
    return takt_target_create(&(struct takt_target_cfg){.lambda_ms = s->cfg.lambda_ms,
                                                        .late_ratio = s->cfg.late_ratio,
                                                        .latency_ms = s->cfg.latency_ms,
                                                        .latency_ms_max = s->cfg.latency_ms_max},
                              &s->target);
}

int takt_source_create(const struct takt_receiver_cfg *cfg, struct takt_source **out,
                       struct takt_error *e)
{
    *out = NULL;
    struct takt_source *s = takt_calloc_touched(1, sizeof *s);
    if (!s)
        return TAKT_ERR_NOMEM;
    s->cfg = *cfg;
    int err = make(s, e);
    if (err < 0) {
        takt_source_destroy(s);
        return err;
    }
    *out = s;
    return TAKT_OK;
}

void takt_source_destroy(struct takt_source *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < TAKT_RECEIVER_FORMATS_MAX; i++) {
        takt_playout_destroy(s->voice[i].playout);
        takt_follow_destroy(s->voice[i].follow);
    }
    takt_jitter_destroy(s->jitter);
    takt_target_destroy(s->target);
    free(s->scratch_memory);
    free(s);
}

/* ---- Beginning and ending -------------------------------------------------------------------- */

static const struct takt_codec_format *codec_of(const struct takt_source *s)
{
    return &s->cfg.formats[s->format].codec;
}

/* The line ends where it is; the step down to silence is made a slope. */
static void cut(struct takt_source *s)
{
    if (!s->is_begun)
        return;
    struct takt_playout_counts c = takt_playout_counts(s->voice[s->format].playout);
    s->heard_frames += c.heard_frames;
    s->concealed_frames += c.concealed_frames;
    s->repaired += c.repaired_packets;
    s->is_begun = s->has_latency = false;
    memcpy(s->tail, s->last, sizeof s->tail);
    s->tail_left = TAIL_FRAMES;
}

/* The sender begins anew with this packet: another count, another time, perhaps another format. */
static void restart(struct takt_source *s, const struct takt_net_packet *p, uint32_t format)
{
    cut(s);
    s->format = format;
    s->format_run = 0;
    s->has_newest = s->has_stray = s->is_pressed = s->is_out = s->has_ended = false;
    s->jumps = 0;
    s->saved_ns = 0;
    s->wants_beat = s->is_tight = false;
    s->recents = s->seen = s->tight = 0; /* of a time that is over */
    s->seq_newest = s->seq_first = p->seq;
    for (int i = 0; i < LEARNT; i++)
        s->learnt[i] = INT64_MIN;
    takt_jitter_restart(s->jitter, p->seq);
    takt_envelope_init(&s->envelope, codec_of(s)->rate_hz);
    s->resets++;
}

/* Returns formats_count for a type that is none. */
static uint32_t format_of(const struct takt_source *s, uint8_t payload_type)
{
    uint32_t i = 0;
    while (i < s->cfg.formats_count && s->cfg.formats[i].payload_type != payload_type)
        i++;
    return i;
}

void takt_source_begin(struct takt_source *s, const struct takt_net_packet *p)
{
    uint32_t format = format_of(s, p->payload_type);
    restart(s, p, format < s->cfg.formats_count ? format : 0);
    takt_target_restart(s->target);
    for (int i = 0; i < TAKT_RECEIVER_HISTS; i++)
        takt_hist_reset(&s->hist[i]);
    s->is_live = s->is_learning = true;
    s->first_ns = s->peak_from_ns = p->arrival_ns;
    memset(s->slowest, 0, sizeof s->slowest);
    s->recents = 0;
    s->peak_ns = s->peak_before_ns = 0;
    s->pressed_at_ns = p->arrival_ns - calm_for_ns;
    s->ssrc = p->ssrc;
    s->arrival_ns = p->arrival_ns;
    takt_rtp_source_init(&s->rtp, p->seq);
    s->rtp.probation = 1; /* whoever called has seen the others */
}

void takt_source_end(struct takt_source *s)
{
    s->has_ended = true;
    for (uint32_t i = 0; i < s->cfg.formats_count; i++)
        takt_playout_end(s->voice[i].playout);
}

bool takt_source_is_live(const struct takt_source *s)
{
    return s->is_live;
}

uint32_t takt_source_ssrc(const struct takt_source *s)
{
    return s->ssrc;
}

int64_t takt_source_silent_ns(const struct takt_source *s, int64_t now_ns)
{
    return now_ns - s->arrival_ns;
}

/* ---- Packets --------------------------------------------------------------------------------- */

/* A packet's own sound, or a copy of an older one's. */
struct part {
    const uint8_t *data;
    size_t bytes;
    uint32_t offset; /* how much earlier than the packet's timestamp */
    uint32_t format;
};

/* Takes RED apart. Returns how many; the packet's own is the last. */
static int take_apart(const struct takt_source *s, const struct takt_net_packet *p,
                      struct part *parts)
{
    struct takt_red_block blocks[TAKT_RED_BLOCKS_MAX];
    if (!s->cfg.has_red || p->payload_type != s->cfg.red_payload_type) {
        parts[0] = (struct part){p->payload, p->bytes, 0, format_of(s, p->payload_type)};
        return 1;
    }
    int count = takt_red_parse(p->payload, p->bytes, blocks, TAKT_RED_BLOCKS_MAX);
    for (int i = 0; i < count; i++)
        parts[i] = (struct part){blocks[i].data, blocks[i].bytes, blocks[i].offset,
                                 format_of(s, blocks[i].payload_type)};
    return count;
}

/* How many frames it is long; 0: broken. */
static uint32_t frames_of(const struct takt_source *s, const struct part *part)
{
    if (part->format >= s->cfg.formats_count || part->bytes > TAKT_RECEIVER_PAYLOAD_BYTES_MAX)
        return 0;
    int frames = takt_codec_frames(&s->cfg.formats[part->format].codec, part->data, part->bytes);
    return frames > 0 && frames <= TAKT_PLAYOUT_PACKET_MAX ? (uint32_t)frames : 0;
}

/* Another format has to come twice on end before it is believed. */
static bool is_new_format(struct takt_source *s, uint32_t format)
{
    if (format == s->format) {
        s->format_run = 0;
        return false;
    }
    s->format_run = format == s->format_next ? s->format_run + 1 : 1;
    s->format_next = format;
    return s->format_run >= FORMAT_RUN;
}

/* Neither where the number nor where the time of arrival says it should be? Two in order, or some
 * near each other, are the sender's own jump. */
static bool is_stray(struct takt_source *s, const struct takt_net_packet *p, int64_t seq,
                     int64_t media, uint32_t frames, bool *jumps)
{
    double rate = codec_of(s)->rate_hz, most = stray_s * rate;
    double by_number =
        (double)(media - s->media_newest) - (double)(seq - s->seq_newest) * s->frames_newest;
    double by_time =
        (double)(media - s->media_newest) - (double)(p->arrival_ns - s->arrival_ns) * 1e-9 * rate;
    *jumps = false;
    if (fabs(by_number) < most || fabs(by_time) < most) {
        s->has_stray = false;
        return false;
    }
    int32_t off = (int32_t)(p->timestamp - s->stray_timestamp);
    s->stray_run = s->has_stray && fabs((double)off) < most ? s->stray_run + 1 : 1;
    *jumps = s->stray_run >= JUMP_RUN || (s->has_stray && !off);
    s->has_stray = !*jumps;
    s->stray_timestamp = p->timestamp + frames;
    return !*jumps;
}

static int64_t heard_up_to(const struct takt_source *s)
{
    return s->is_begun ? takt_playout_head(s->voice[s->format].playout) : INT64_MIN / 2;
}

static void put(struct takt_source *s, const struct takt_net_packet *p, const struct part *part,
                int64_t seq, int64_t media, uint32_t frames, bool is_copy)
{
    takt_jitter_put(s->jitter,
                    &(struct takt_jitter_packet){.seq = seq,
                                                 .at = media,
                                                 .frames = frames,
                                                 .bytes = (uint16_t)part->bytes,
                                                 .is_copy = is_copy,
                                                 .has_capture = p->has_capture && !part->offset,
                                                 .capture_ns = p->capture_ns,
                                                 .payload = part->data},
                    heard_up_to(s));
}

/* What the beat of the newest packets saves of that delay; pulls: as they are with it. */
static double beat_saves_ns(const struct takt_source *s, const struct takt_beat_pulls *pulls,
                            double delay_ns)
{
    struct takt_beat_packet packets[RECENT];
    uint32_t count = s->recents < RECENT ? s->recents : RECENT;
    if (!pulls->frames || codec_of(s)->rate_hz != s->cfg.rate_hz || s->cfg.latency_ms > 0)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct arrival *p = &s->recent[i];
        int64_t due_ns = takt_envelope_due(&s->envelope, p->media);
        packets[i] = (struct takt_beat_packet){p->media, (double)(p->arrival_ns - due_ns)};
    }
    return takt_beat_spared_ns(pulls, packets, count, s->frames_newest, delay_ns, spare_ns);
}

/* The longest delay: packets have to have room for as long as they wait. */
static double most_ns(const struct takt_source *s)
{
    double most_ns = (s->cfg.latency_ms_max > 0 ? s->cfg.latency_ms_max : 1000) * 1e6;
    double room_ns = (double)s->cfg.packets_max * s->frames_newest * 1e9 / codec_of(s)->rate_hz;
    return fmax(0, fmin(most_ns, room_part * room_ns - s->ahead_ns));
}

/* The delay that covers packets whatever their beat. What the target wishes leaves rare packets
 * late; where it is cheap these are covered as well. */
static double any_beat_ns(const struct takt_source *s)
{
    double wish_ns = (double)takt_target_delay_ns(s->target);
    double peak_ns = fmax(s->peak_ns, s->peak_before_ns);
    bool is_cheap = peak_ns + above_ns <= wish_ns + comfort_ns;
    double goal_ns = is_cheap ? fmax(wish_ns, peak_ns + above_ns) : wish_ns;
    return fmin(goal_ns, most_ns(s));
}

/* One was too late, or nearly: it takes a longer delay, or another beat. That is work, so it is
 * done once a pull, however many were. */
static void find_beat(struct takt_source *s)
{
    struct takt_beat_pulls pulls = s->pulls;
    double delay_ns = any_beat_ns(s);
    pulls.media += llround((s->delay_ns - delay_ns) * 1e-9 * pulls.rate_hz);
    s->saved_ns = beat_saves_ns(s, &pulls, delay_ns);
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

static void look_for_slowest(struct takt_source *s, int64_t arrival_ns, int64_t media)
{
    int64_t part = (arrival_ns - s->first_ns) * LEARN_PARTS / learn_ns;
    struct arrival *l = &s->slowest[part < 0 ? 0 : part < LEARN_PARTS ? part : LEARN_PARTS - 1];
    double media_ns = (double)(media - l->media) * 1e9 / codec_of(s)->rate_hz;
    if (!l->is_there || (double)(arrival_ns - l->arrival_ns) > media_ns)
        *l = (struct arrival){true, arrival_ns, media};
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

/* When the sound of a packet was there for the first time, by itself or by a copy: a delay that is
 * enough for that is enough. What does not come by any way is lost, and says nothing. */
static void learn_late(struct takt_source *s, int64_t seq, int64_t arrival_ns, int64_t media,
                       uint32_t frames)
{
    int64_t *learnt = &s->learnt[(uint64_t)seq % LEARNT];
    if (*learnt >= seq)
        return;
    *learnt = seq;
    int64_t late_ns = arrival_ns - takt_envelope_due(&s->envelope, media);
    late_ns = late_ns > 0 ? late_ns : 0;
    s->late_newest_ns = fmin((double)late_ns, s->late_last_ns); /* one alone is a spike */
    s->late_last_ns = (double)late_ns;
    takt_hist_record(&s->hist[TAKT_RECEIVER_LATENESS], (uint64_t)late_ns);
    if (s->is_begun && is_of_outage(s, arrival_ns, (double)late_ns))
        return;
    s->recent[s->recents++ % RECENT] = (struct arrival){true, arrival_ns, media};
    takt_target_update(s->target, late_ns, (int64_t)(frames * 1e9 / codec_of(s)->rate_hz));
    if (s->is_learning)
        look_for_slowest(s, arrival_ns, media);
    else
        look_at_peaks(s, arrival_ns, media, (double)late_ns);
}

/* The network's part in when it came. */
static void learn(struct takt_source *s, const struct takt_net_packet *p, int64_t seq,
                  int64_t media, uint32_t frames)
{
    double rate = codec_of(s)->rate_hz;
    takt_envelope_update(&s->envelope, p->arrival_ns, media);
    double arrival = fmod((double)p->arrival_ns * 1e-9 * rate, 0x1p32);
    takt_rtp_source_time(&s->rtp, (uint32_t)(int64_t)arrival, p->timestamp);
    learn_late(s, seq, p->arrival_ns, media, frames);
}

/* Where a copy belongs follows from how long packets are. */
static void put_copies(struct takt_source *s, const struct takt_net_packet *p,
                       const struct part *parts, int count, int64_t seq, int64_t media,
                       uint32_t own_frames)
{
    for (int i = 0; i + 1 < count; i++) {
        uint32_t frames = frames_of(s, &parts[i]);
        if (parts[i].format != s->format || !frames || !parts[i].offset ||
            parts[i].offset % own_frames)
            continue;
        int64_t back = parts[i].offset / own_frames;
        if (seq - back >= takt_jitter_next(s->jitter))
            put(s, p, &parts[i], seq - back, media - parts[i].offset, frames, true);
        if (seq - back >= s->seq_first)
            learn_late(s, seq - back, p->arrival_ns, media - parts[i].offset, frames);
    }
}

static void remember(struct takt_source *s, const struct takt_net_packet *p, int64_t seq,
                     int64_t media, uint32_t frames)
{
    if (s->has_newest && seq <= s->seq_newest)
        return;
    s->has_newest = true;
    s->seq_newest = seq;
    s->media_newest = media;
    s->frames_newest = frames;
    s->arrival_ns = p->arrival_ns;
}

/* One that was made out of others: its number says where it belongs. */
static void fill_hole(struct takt_source *s, const struct takt_net_packet *p)
{
    struct part parts[TAKT_RED_BLOCKS_MAX];
    int count = s->has_newest ? take_apart(s, p, parts) : 0;
    uint32_t frames = count > 0 ? frames_of(s, &parts[count - 1]) : 0;
    int64_t seq = takt_unwrap16(s->seq_newest, p->seq);
    int64_t media = takt_unwrap32(s->media_newest, p->timestamp);
    double off =
        (double)(media - s->media_newest) - (double)(seq - s->seq_newest) * s->frames_newest;
    if (!frames || parts[count - 1].format != s->format || seq < s->seq_first ||
        seq - s->seq_newest >= TAKT_RTP_DROPOUT_MAX || fabs(off) >= stray_s * codec_of(s)->rate_hz)
        return;
    if (seq >= takt_jitter_next(s->jitter))
        put(s, p, &parts[count - 1], seq, media, frames, true);
    learn_late(s, seq, p->arrival_ns, media, frames);
}

/* As takt_rtp_source_take(), but where packets overtake each other no two in order may come after
 * a restart: then some near each other will do, with none of the old ones between them. */
static enum takt_rtp_verdict judge(struct takt_source *s, uint16_t seq)
{
    enum takt_rtp_verdict verdict = takt_rtp_source_take(&s->rtp, seq);
    if (verdict != TAKT_RTP_JUMP) {
        s->jumps = 0;
        return verdict;
    }
    int16_t off = (int16_t)(uint16_t)(seq - s->jump_seq);
    s->jumps = abs(off) <= TAKT_RTP_MISORDER_MAX ? s->jumps + 1 : 1;
    s->jump_seq = seq;
    if (s->jumps < JUMP_RUN)
        return TAKT_RTP_JUMP;
    takt_rtp_source_init(&s->rtp, seq);
    s->rtp.probation = 1;
    takt_rtp_source_take(&s->rtp, seq);
    return TAKT_RTP_RESTART;
}

void takt_source_packet(struct takt_source *s, const struct takt_net_packet *p)
{
    struct part parts[TAKT_RED_BLOCKS_MAX];
    if (p->is_repaired) {
        fill_hole(s, p);
        return;
    }
    int count = take_apart(s, p, parts);
    const struct part *own = &parts[count > 0 ? count - 1 : 0];
    uint32_t frames = count > 0 ? frames_of(s, own) : 0;
    if (!frames) {
        s->broken++;
        return;
    }
    enum takt_rtp_verdict verdict = judge(s, p->seq);
    if (verdict == TAKT_RTP_PROBATION || verdict == TAKT_RTP_JUMP) {
        s->strays += verdict == TAKT_RTP_JUMP;
        return;
    }
    if (verdict == TAKT_RTP_RESTART || is_new_format(s, own->format))
        restart(s, p, own->format);
    if (own->format != s->format) {
        s->strays++;
        return;
    }
    int64_t seq = takt_unwrap16(s->seq_newest, p->seq);
    int64_t media = takt_unwrap32(s->has_newest ? s->media_newest : 0, p->timestamp);
    bool jumps = false;
    if (s->has_newest && is_stray(s, p, seq, media, frames, &jumps)) {
        s->strays++;
        return;
    }
    if (jumps) {
        restart(s, p, s->format);
        seq = p->seq;
    }
    uint64_t known = takt_jitter_counts(s->jitter).duplicated;
    put_copies(s, p, parts, count, seq, media, frames);
    put(s, p, own, seq, media, frames, false);
    if (takt_jitter_counts(s->jitter).duplicated == known)
        learn(s, p, seq, media, frames);
    remember(s, p, seq, media, frames);
}

/* ---- Sound ----------------------------------------------------------------------------------- */

/* What is between a packet that is just in time and its first frame at the converter. */
static double between_ns(const struct takt_source *s, int64_t ahead_ns)
{
    bool is_copied = takt_follow_is_exact(s->voice[s->format].follow);
    return (double)ahead_ns + (is_copied ? 0 : TAKT_FOLLOW_AHEAD * 1e9 / codec_of(s)->rate_hz);
}

/* The frame that should be at the converter at play_ns, less `near`. */
static double wanted(const struct takt_source *s, int64_t play_ns, int64_t near)
{
    double late_ns = (double)(play_ns - takt_envelope_due(&s->envelope, near));
    return (late_ns - s->delay_ns - s->ahead_ns) * 1e-9 * codec_of(s)->rate_hz;
}

/* The delay to come to. */
static double goal_ns(const struct takt_source *s)
{
    if (s->cfg.latency_ms > 0 || s->is_learning)
        return (double)takt_target_delay_ns(s->target);
    return fmax(0, any_beat_ns(s) - s->saved_ns);
}

/* The delay that the first packets ask for. One of them that was later than all others is covered,
 * but says little about those to come; unless packets of some places in a block have not come yet,
 * one of which may be later still. */
static double first_wish_ns(const struct takt_source *s)
{
    double most_ns = 0, second_ns = 0;
    int parts = 0;
    for (int i = 0; i < LEARN_PARTS; i++) {
        const struct arrival *l = &s->slowest[i];
        if (!l->is_there)
            continue;
        double late_ns = (double)(l->arrival_ns - takt_envelope_due(&s->envelope, l->media));
        second_ns = fmax(second_ns, fmin(most_ns, late_ns));
        most_ns = fmax(most_ns, late_ns);
        parts++;
    }
    bool has_all = s->pull_frames && s->frames_newest &&
                   s->recents >= takt_beat_places(s->pull_frames, s->frames_newest);
    return fmax((parts < LEARN_PARTS ? most_ns : second_ns) + spare_ns,
                most_ns + (has_all ? least_spare_ns : spare_ns));
}

/* The delay to begin with. */
static double first_delay_ns(const struct takt_source *s)
{
    if (s->cfg.latency_ms > 0)
        return goal_ns(s);
    return fmin(first_wish_ns(s), most_ns(s));
}

static void begin_line(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, double delay_ns)
{
    struct voice *v = &s->voice[s->format];
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
    const struct voice *v = &s->voice[s->format];
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
    double rate = codec_of(s)->rate_hz;
    double gap = (double)(play_ns - s->next_play_ns);
    if (fabs(gap) > gap_ns)
        jump(s, gap * 1e-9 * rate);
    double error = error_now(s, play_ns), error_ns = error / rate * 1e9;
    if (fabs(error_ns) < absorb_ns)
        return is_absorbed(s, play_ns, error_ns) ? 0 : error;
    double goal = goal_ns(s), delay_ns = s->delay_ns + error_ns;
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
    double delay_ns = fmin(s->late_newest_ns + spare_ns, most_ns(s));
    if (hidden * back_part < codec_of(s)->rate_hz || s->late_newest_ns <= s->delay_ns ||
        delay_ns <= s->delay_ns)
        return;
    s->delay_ns = delay_ns;
    jump(s, error_now(s, play_ns));
}

/* All that is known of a path after the first moment: the place to begin at, or the one to go on
 * at, is found anew. */
static void end_learning(struct takt_source *s, int64_t play_ns, int64_t ahead_ns)
{
    double delay_ns = first_delay_ns(s);
    s->is_learning = false;
    s->peak_ns = delay_ns - spare_ns;
    if (!s->is_begun) {
        struct takt_beat_pulls pulls = {s->media_newest, s->is_even ? s->pull_frames : 0,
                                        codec_of(s)->rate_hz};
        double late_ns = (double)(play_ns - takt_envelope_due(&s->envelope, s->media_newest));
        pulls.media +=
            (int64_t)floor((late_ns - delay_ns - (double)ahead_ns) * 1e-9 * pulls.rate_hz);
        s->saved_ns = beat_saves_ns(s, &pulls, delay_ns);
        s->tight_from_ns = play_ns;
        s->seen = s->tight = 0;
        begin_line(s, play_ns, ahead_ns, delay_ns - s->saved_ns);
        return;
    }
    s->delay_ns += error_now(s, play_ns) / codec_of(s)->rate_hz * 1e9;
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
    bool is_calm = is_exact && s->arrival_ns - s->pressed_at_ns > calm_for_ns;
    /* What the copy has just got back of reading ahead is no reason to leave it again. */
    double less_ns =
        worth_less_ns + (is_exact ? TAKT_FOLLOW_AHEAD * 1e9 / codec_of(s)->rate_hz : 0);
    return excess_ns > 0 ? excess_ns > (is_calm ? worth_ns : less_ns)
                         : s->is_pressed && -excess_ns > (s->is_tight ? near_ns : band_ns);
}

/* Resampling reads ahead. To begin with it without a gap, what is ahead has to be there. */
static bool may_glide(const struct takt_source *s, uint32_t frames)
{
    const struct voice *v = &s->voice[s->format];
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
    const struct voice *v = &s->voice[s->format];
    struct takt_playout_counts c = takt_playout_counts(v->playout);
    if (!c.capture_ns)
        return;
    double ahead = (double)(int64_t)c.capture_line - takt_follow_place(v->follow);
    double latency_ns = (double)(play_ns - c.capture_ns) + ahead * 1e9 / codec_of(s)->rate_hz;
    if (latency_ns < 0)
        return;
    s->latency_ns = latency_ns;
    s->has_latency = true;
    takt_hist_record(&s->hist[TAKT_RECEIVER_LATENCY], (uint64_t)fmax(0, s->latency_ns));
}

/* Mono to all channels; of others each to its own, and from the first on again. */
static void mix_in(struct takt_source *s, float *const *out, uint32_t frames)
{
    uint32_t channels = codec_of(s)->channels;
    for (uint32_t c = 0; c < s->cfg.channels; c++) {
        takt_mix(out[c], s->scratch[c % channels], 1, frames);
        s->last[c] = s->scratch[c % channels][frames - 1];
    }
}

static void fade_tail(struct takt_source *s, float *const *out, uint32_t frames)
{
    for (uint32_t i = 0; i < frames && s->tail_left; i++, s->tail_left--)
        for (uint32_t c = 0; c < s->cfg.channels; c++)
            out[c][i] += s->tail[c] * (float)s->tail_left / TAIL_FRAMES;
}

/* What was waiting of a sender that has begun anew is gone: a delay that was long would be silence
 * for as long. */
static double resume_ns(const struct takt_source *s)
{
    return s->cfg.latency_ms > 0 ? most_ns(s) : resume_most_ns;
}

/* Whether there is anything to be heard now: where the delay is given, a source that is vouched for
 * from its first packet on; others when their path is known. */
static bool is_due(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, double dt_s)
{
    int64_t now_ns = play_ns - ahead_ns + (int64_t)(dt_s * 1e9);
    now_ns = s->arrival_ns > now_ns ? s->arrival_ns : now_ns;
    if (s->is_learning && (now_ns - s->first_ns >= learn_ns || now_ns < s->first_ns))
        end_learning(s, play_ns, ahead_ns);
    else if (!s->is_begun && (!s->is_learning || (s->cfg.trusts && s->cfg.latency_ms > 0)))
        begin_line(s, play_ns, ahead_ns, fmin(goal_ns(s), resume_ns(s)));
    return s->is_begun;
}

/* Where the next pull begins, if it is as long as this one and nothing moves. */
static void note_beat(struct takt_source *s)
{
    const struct voice *v = &s->voice[s->format];
    bool has_beat =
        s->is_even && takt_follow_is_exact(v->follow) && codec_of(s)->rate_hz == s->cfg.rate_hz;
    int64_t place = has_beat ? (int64_t)takt_follow_place(v->follow) : 0;
    s->pulls = (struct takt_beat_pulls){place + takt_playout_shift(v->playout),
                                        has_beat ? s->pull_frames : 0, codec_of(s)->rate_hz};
}

/* A line that is not copied, but by a move of ours that ends, follows a clock that differs: then
 * the beat changes all the time, and the delay has to do without before it is too short. */
static void keep_beat(struct takt_source *s, double dt_s)
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

void takt_source_pull(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, float *const *out,
                      uint32_t frames)
{
    fade_tail(s, out, frames);
    s->is_even = frames == s->pull_frames;
    s->pull_frames = frames;
    if (!s->is_live || !s->has_newest)
        return;
    struct voice *v = &s->voice[s->format];
    double rate = codec_of(s)->rate_hz, dt_s = (double)frames / s->cfg.rate_hz;
    if (!is_due(s, play_ns, ahead_ns, dt_s))
        return;
    /* What the output takes changes the delay that is left for the network, not the place. */
    double between = between_ns(s, ahead_ns);
    s->delay_ns -= between - s->ahead_ns;
    s->ahead_ns = between;
    come_back(s, play_ns);
    double error = find_place(s, play_ns);
    s->error = error;
    s->is_pressed = s->is_pressed && s->arrival_ns - s->pressed_at_ns < pressed_for_ns;
    if (s->wants_beat)
        find_beat(s);
    double excess_ns = s->delay_ns - goal_ns(s);
    bool is_worth = is_worth_it(s, excess_ns), may = may_glide(s, frames);
    s->waited_s = may || !is_worth ? 0 : s->waited_s + dt_s;
    s->slides = is_worth && may;
    double speed = s->slides ? slide(s, excess_ns, dt_s) : 0;
    takt_follow_steer(v->follow, error, speed, may, dt_s);
    keep_beat(s, dt_s);
    stamp(s, play_ns);
    int64_t wish = is_free(s, excess_ns) ? lround(excess_ns * 1e-9 * rate) : 0;
    int64_t least = takt_playout_hidden(v->playout) - lround(hold_most_s * rate);
    wish = wish < least && least < 0 ? least : wish < 0 && least >= 0 ? 0 : wish;
    int64_t moved = takt_playout_fill(v->playout, s->jitter, takt_follow_first(v->follow),
                                      takt_follow_until(v->follow, frames), wish);
    s->delay_ns -= (double)moved / rate * 1e9;
    takt_follow_read(v->follow, v->playout, s->scratch, frames);
    note_beat(s);
    mix_in(s, out, frames);
    s->next_play_ns = play_ns + (int64_t)(dt_s * 1e9 + 0.5);
}

bool takt_source_help(struct takt_source *s)
{
    bool has_more = false;
    for (uint32_t i = 0; i < s->cfg.formats_count; i++)
        has_more |= takt_playout_help(s->voice[i].playout);
    return has_more;
}

/* ---- What is known ----------------------------------------------------------------------------
 */

static void count(const struct takt_source *s, struct takt_receiver_counts *out)
{
    struct takt_jitter_counts j = takt_jitter_counts(s->jitter);
    struct takt_playout_counts p = {0};
    if (s->is_begun)
        p = takt_playout_counts(s->voice[s->format].playout);
    *out = (struct takt_receiver_counts){
        .packets = j.arrived,
        .waiting = j.waiting,
        .played = j.played,
        .skipped = j.skipped,
        .late = j.late,
        .lost = j.lost,
        .duplicated = j.duplicated,
        .repaired = j.repaired + s->repaired + p.repaired_packets,
        .broken = s->broken,
        .strays = s->strays,
        .resets = s->resets,
        .heard_frames = s->heard_frames + p.heard_frames,
        .concealed_frames = s->concealed_frames + p.concealed_frames,
    };
}

const struct takt_hist *takt_source_hist(const struct takt_source *s, enum takt_receiver_hist which)
{
    return &s->hist[which];
}

void takt_source_read(const struct takt_source *s, struct takt_receiver_source *out)
{
    const struct voice *v = &s->voice[s->format];
    double rate = codec_of(s)->rate_hz;
    *out = (struct takt_receiver_source){
        .ssrc = s->ssrc,
        .is_live = s->is_live,
        .is_exact = s->is_begun && takt_follow_is_exact(v->follow),
        .payload_type = s->cfg.formats[s->format].payload_type,
        .target_ms = goal_ns(s) * 1e-6,
        .delay_ms = s->delay_ns * 1e-6 + s->error / rate * 1e3,
        .output_ms = s->ahead_ns * 1e-6,
        .drift_ppm = takt_envelope_drift_ppm(&s->envelope),
        .speed_ppm = s->is_begun ? takt_follow_drift(v->follow) * 1e6 : 0,
        .jitter_ms = (double)(s->rtp.jitter_16 >> 4) / rate * 1e3,
        .has_latency = s->has_latency,
        .latency_ms = s->latency_ns * 1e-6,
    };
    count(s, &out->counts);
}
