/*
 * Whose packets these are, and which of them are believed; when they are due is found in
 * source_delay.c, and what is heard of them in source_sound.c.
 */
#include "base/touched.h"
#include "net/source_parts.h"
#include "wire/red.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_RUN = 2, JUMP_RUN = 8 };
static const double stray_s = 0.04; /* by which a timestamp may surprise */

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
    s->tail_left = TAKT_SOURCE_TAIL;
}

/* The sender begins anew with this packet: another count, another time, perhaps another format. */
static void restart(struct takt_source *s, const struct takt_net_packet *p, uint32_t format)
{
    cut(s);
    s->format = format;
    s->format_run = 0;
    s->has_newest = s->has_stray = s->is_pressed = s->is_out = s->has_ended = s->is_back = false;
    s->jumps = 0;
    s->saved_ns = 0;
    s->wants_beat = s->is_tight = false;
    s->recents = s->seen = s->tight = 0; /* of a time that is over */
    s->seq_newest = s->seq_first = p->seq;
    for (int i = 0; i < TAKT_SOURCE_LEARNT; i++)
        s->learnt[i] = INT64_MIN;
    takt_jitter_restart(s->jitter, p->seq);
    takt_envelope_init(&s->envelope, takt_source_codec(s)->rate_hz);
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
    for (int i = 0; i < TAKT_RECEIVER_HISTS; i++)
        takt_hist_reset(&s->hist[i]);
    s->is_live = true;
    takt_source_listen(s, p->arrival_ns);
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
    double rate = takt_source_codec(s)->rate_hz, most = stray_s * rate;
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

/* The network's part in when it came. */
static void learn(struct takt_source *s, const struct takt_net_packet *p, int64_t seq,
                  int64_t media, uint32_t frames)
{
    double rate = takt_source_codec(s)->rate_hz;
    takt_envelope_update(&s->envelope, p->arrival_ns, media);
    double arrival = fmod((double)p->arrival_ns * 1e-9 * rate, 0x1p32);
    takt_rtp_source_time(&s->rtp, (uint32_t)(int64_t)arrival, p->timestamp);
    takt_source_learn_late(s, seq, p->arrival_ns, media, frames);
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
            takt_source_learn_late(s, seq - back, p->arrival_ns, media - parts[i].offset, frames);
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
        seq - s->seq_newest >= TAKT_RTP_DROPOUT_MAX ||
        fabs(off) >= stray_s * takt_source_codec(s)->rate_hz)
        return;
    if (seq >= takt_jitter_next(s->jitter))
        put(s, p, &parts[count - 1], seq, media, frames, true);
    takt_source_learn_late(s, seq, p->arrival_ns, media, frames);
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
    const struct takt_source_voice *v = &s->voice[s->format];
    double rate = takt_source_codec(s)->rate_hz;
    *out = (struct takt_receiver_source){
        .ssrc = s->ssrc,
        .is_live = s->is_live,
        .is_exact = s->is_begun && takt_follow_is_exact(v->follow),
        .payload_type = s->cfg.formats[s->format].payload_type,
        .target_ms = takt_source_goal_ns(s) * 1e-6,
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
