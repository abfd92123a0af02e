/*
 * The line is a piece of memory that begins at place `from` and is filled up to `head`; before each
 * fill what has been read is moved out at the front.
 *
 * Invariants: from <= head <= from + room; the sender's frame at the place head is head + shift.
 */
#include "net/playout.h"

#include "base/assert.h"
#include "base/touched.h"
#include "net/conceal.h"
#include "takt/kernel.h"

#include <stdlib.h>
#include <string.h>

enum {
    OPUS_STEP_PART = 400, /* of a second, 2.5 ms: what Opus conceals in */
    FADE_PART = 400,      /* how long the first sound of all takes to come up, */
    END_PART = 200        /* and what stands in behind the last one to go down: 5 ms */
};
static const float silence_most = 3e-5f; /* -90 dB */
static const int64_t missed_for_s = 10;

struct takt_playout {
    struct takt_codec_format format;
    uint32_t packet_max, room;
    struct takt_decoder *decoder;
    struct takt_conceal *conceal; /* PCM */
    float *memory;
    float *line[TAKT_CODEC_CHANNELS_MAX], *at[TAKT_CODEC_CHANNELS_MAX];
    int64_t from, head, shift;
    bool is_helped;
    int64_t asked;     /* for help: up to where */
    int64_t hidden_at; /* up to where something was missing last */
    bool is_heard;     /* there was sound since it began */
    int64_t hidden;    /* for so many frames */
    bool is_ended;     /* nothing of the sender is missing any more */
    uint32_t ending;   /* so many frames of what stands in behind its last one were turned down */
    bool is_hidden;    /* what is at the head stands in for what is not there */
    struct takt_playout_counts counts;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static uint32_t packet_frames_max(const struct takt_playout_cfg *cfg)
{
    static const uint32_t sample_bytes[] = {
        [TAKT_CODEC_L16] = 2, [TAKT_CODEC_L24] = 3, [TAKT_CODEC_F32] = 4};
    if (cfg->format->codec == TAKT_CODEC_OPUS)
        return TAKT_PLAYOUT_PACKET_MAX;
    uint32_t frames = cfg->bytes_max / (sample_bytes[cfg->format->codec] * cfg->format->channels);
    return frames ? frames : 1;
}

static int make(struct takt_playout *p, const struct takt_playout_cfg *cfg, struct takt_error *e)
{
    int err = takt_decoder_create(cfg->format, p->packet_max, &p->decoder, e);
    if (err < 0)
        return err;
    p->memory = takt_calloc_touched((size_t)p->room * p->format.channels, sizeof(float));
    if (!p->memory)
        return TAKT_ERR_NOMEM;
    for (uint32_t c = 0; c < p->format.channels; c++)
        p->line[c] = p->memory + (size_t)c * p->room;
    if (p->format.codec == TAKT_CODEC_OPUS)
        return TAKT_OK;
    return takt_conceal_create(
        &(struct takt_conceal_cfg){.rate_hz = p->format.rate_hz, .channels = p->format.channels},
        &p->conceal);
}

int takt_playout_create(const struct takt_playout_cfg *cfg, struct takt_playout **out,
                        struct takt_error *e)
{
    *out = NULL;
    struct takt_playout *p = calloc(1, sizeof *p);
    if (!p)
        return TAKT_ERR_NOMEM;
    p->format = *cfg->format;
    p->is_helped = cfg->is_helped;
    p->packet_max = packet_frames_max(cfg);
    /* A packet may begin just before the end of a fill, and be followed by as much silence. */
    p->room = TAKT_PLAYOUT_KEPT + cfg->frames_max + 3 * p->packet_max;
    int err = make(p, cfg, e);
    if (err < 0) {
        takt_playout_destroy(p);
        return err;
    }
    takt_playout_begin(p, 0);
    *out = p;
    return TAKT_OK;
}

void takt_playout_destroy(struct takt_playout *p)
{
    if (!p)
        return;
    takt_decoder_destroy(p->decoder);
    takt_conceal_destroy(p->conceal);
    free(p->memory);
    free(p);
}

void takt_playout_begin(struct takt_playout *p, int64_t media)
{
    p->from = -TAKT_PLAYOUT_KEPT;
    p->head = p->asked = p->hidden = 0;
    p->hidden_at = -missed_for_s * p->format.rate_hz;
    p->shift = media;
    p->ending = 0;
    p->is_heard = p->is_hidden = p->is_ended = false;
    p->counts = (struct takt_playout_counts){0};
    takt_decoder_reset(p->decoder);
    if (p->conceal)
        takt_conceal_reset(p->conceal);
    for (uint32_t c = 0; c < p->format.channels; c++)
        takt_silence(p->line[c], p->room);
}

/* ---- One step of the line -------------------------------------------------------------------- */

/* The planes from the head on. */
static float *const *at_head(struct takt_playout *p)
{
    for (uint32_t c = 0; c < p->format.channels; c++)
        p->at[c] = p->line[c] + (p->head - p->from);
    return p->at;
}

static uint32_t room_left(const struct takt_playout *p)
{
    return p->room - (uint32_t)(p->head - p->from);
}

static bool is_silent(struct takt_playout *p, float *const *planes, uint32_t frames)
{
    for (uint32_t c = 0; c < p->format.channels; c++)
        if (takt_peak(planes[c], frames) > silence_most)
            return false;
    return true;
}

static int64_t within(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Of silence that was just put on the line, `frames` of it, some is taken away or doubled. */
static int64_t move_in_silence(struct takt_playout *p, uint32_t frames, int64_t wish)
{
    int64_t moved = within(wish, -(int64_t)frames, frames);
    if (moved < 0) {
        float *const *planes = at_head(p);
        for (uint32_t c = 0; c < p->format.channels; c++)
            takt_silence(planes[c], (size_t)-moved);
    }
    p->head -= moved;
    p->shift += moved;
    return moved;
}

/* The good sound goes on, or sets in again. */
static void join(struct takt_playout *p, float *const *planes, uint32_t frames)
{
    uint32_t fade = p->format.rate_hz / FADE_PART;
    fade = frames < fade ? frames : fade;
    for (uint32_t c = 0; c < p->format.channels && !p->is_heard; c++)
        takt_scale_ramp(planes[c], planes[c], 0, 1, fade);
    if (!p->conceal)
        return;
    takt_conceal_join(p->conceal, planes, frames);
    takt_conceal_heard(p->conceal, (const float *const *)planes, frames);
}

/* Every 10 ms; where nothing has been missing for long, every 40 ms: to find a filter is most of
 * what a receiver takes of a processor. */
static void ask(struct takt_playout *p)
{
    int64_t hz = p->format.rate_hz;
    int64_t every = p->head - p->hidden_at < missed_for_s * hz ? hz / 100 : hz / 25;
    if (p->is_helped && p->conceal && p->head - p->asked >= every)
        p->asked = takt_conceal_ask(p->conceal) ? p->head : p->asked;
}

/* A packet of which something from the head on sounds. */
static int64_t play(struct takt_playout *p, struct takt_jitter *j,
                    const struct takt_jitter_packet *q, int64_t wish)
{
    float *const *planes = at_head(p);
    uint32_t skip = (uint32_t)(p->head + p->shift - q->at);
    int got = takt_decoder_decode(p->decoder, q->payload, q->bytes, planes, room_left(p));
    bool is_used = got > (int)skip;
    if (is_used && q->has_capture) {
        p->counts.capture_ns = q->capture_ns;
        p->counts.capture_line = (uint64_t)(p->head - skip);
    }
    takt_jitter_take(j, q, is_used);
    if (!is_used)
        return 0;
    uint32_t frames = (uint32_t)got - skip;
    for (uint32_t c = 0; c < p->format.channels && skip; c++)
        memmove(planes[c], planes[c] + skip, frames * sizeof(float));
    join(p, planes, frames);
    bool is_free = wish && is_silent(p, planes, frames);
    p->counts.concealed_frames += p->is_heard ? (uint64_t)p->hidden : 0;
    p->is_heard = true;
    p->is_hidden = false;
    p->hidden = p->ending = 0;
    p->head += frames;
    p->counts.heard_frames += frames;
    ask(p);
    return is_free ? move_in_silence(p, frames, wish) : 0;
}

/* What the packet behind a gap carries of the one that is missing. */
static bool repair(struct takt_playout *p, const struct takt_jitter *j,
                   const struct takt_jitter_packet *next, uint32_t frames)
{
    if (p->conceal || !p->is_heard || next->seq != takt_jitter_next(j) + 1 ||
        frames > p->packet_max || frames % (p->format.rate_hz / OPUS_STEP_PART))
        return false;
    if (takt_decoder_decode_fec(p->decoder, next->payload, next->bytes, at_head(p), frames) <= 0)
        return false;
    p->head += frames;
    p->counts.repaired_packets++;
    return true;
}

/* Opus goes on by itself, in steps of its own. Returns how many frames. */
static uint32_t conceal_opus(struct takt_playout *p, float *const *planes, uint32_t frames)
{
    uint32_t step = p->format.rate_hz / OPUS_STEP_PART;
    frames = (frames + step - 1) / step * step;
    frames = frames < p->packet_max ? frames : p->packet_max;
    int got = takt_decoder_conceal(p->decoder, planes, frames);
    if (got > 0)
        return (uint32_t)got;
    for (uint32_t c = 0; c < p->format.channels; c++)
        takt_silence(planes[c], frames);
    return frames;
}

/* Nothing will come behind these frames: it is no loss that they could hide. */
static void end_softly(struct takt_playout *p, float *const *planes, uint32_t frames)
{
    uint32_t most = p->format.rate_hz / END_PART, left = most - p->ending;
    uint32_t n = frames < left ? frames : left;
    for (uint32_t c = 0; c < p->format.channels; c++) {
        for (uint32_t i = 0; i < n; i++) {
            float x = (float)(left - i) / (float)most;
            planes[c][i] *= x * x * (3 - 2 * x);
        }
        takt_silence(planes[c] + n, frames - n);
    }
    p->ending += n;
}

/* Nothing is there for the next frames; known: for how many at least; is_over: nor will there be.
 */
static int64_t hide(struct takt_playout *p, uint32_t frames, int64_t known, bool is_over,
                    int64_t wish)
{
    float *const *planes = at_head(p);
    if (!p->is_heard) {
        for (uint32_t c = 0; c < p->format.channels; c++)
            takt_silence(planes[c], frames);
    } else if (p->conceal) {
        if (!p->is_hidden && !p->is_helped)
            takt_conceal_prepare(p->conceal);
        takt_conceal_make(p->conceal, planes, frames);
    } else {
        frames = conceal_opus(p, planes, frames);
    }
    if (is_over)
        end_softly(p, planes, frames);
    p->is_hidden = p->is_heard;
    p->hidden += frames;
    p->head += frames;
    p->hidden_at = p->is_heard ? p->head : p->hidden_at;
    int64_t left = known > frames ? known - frames : 0;
    int64_t moved = within(wish, -(int64_t)frames, left);
    p->shift += moved;
    return moved;
}

/* ---- Filling --------------------------------------------------------------------------------- */

void takt_playout_end(struct takt_playout *p)
{
    p->is_ended = true;
}

void takt_playout_jump(struct takt_playout *p, int64_t frames)
{
    p->shift += frames;
    if (p->is_heard && !p->is_hidden && p->conceal) {
        if (!p->is_helped)
            takt_conceal_prepare(p->conceal);
        takt_conceal_make(p->conceal, at_head(p), 1); /* so that it knows of the break */
    }
    p->is_hidden = p->is_heard;
}

static void forget(struct takt_playout *p, int64_t keep)
{
    int64_t gone = keep - TAKT_PLAYOUT_KEPT - p->from;
    if (gone <= 0)
        return;
    TAKT_ASSERT(gone <= p->head - p->from);
    for (uint32_t c = 0; c < p->format.channels; c++)
        memmove(p->line[c], p->line[c] + gone, (size_t)(p->head - p->from - gone) * sizeof(float));
    p->from += gone;
}

int64_t takt_playout_fill(struct takt_playout *p, struct takt_jitter *j, int64_t keep,
                          int64_t until, int64_t wish)
{
    int64_t moved = 0;
    forget(p, keep);
    while (p->head < until) {
        int64_t media = p->head + p->shift;
        const struct takt_jitter_packet *q = takt_jitter_find(j, media);
        if (q && q->at <= media) {
            moved += play(p, j, q, wish - moved);
            continue;
        }
        int64_t gap = until - p->head;
        if (q && q->at - media < gap)
            gap = q->at - media;
        if (q && repair(p, j, q, (uint32_t)within(q->at - media, 0, UINT32_MAX)))
            continue;
        moved += hide(p, (uint32_t)gap, q ? q->at - media : 0, p->is_ended && !q, wish - moved);
    }
    return moved;
}

bool takt_playout_reaches(const struct takt_playout *p, const struct takt_jitter *j, int64_t until)
{
    return takt_jitter_reach(j, p->head + p->shift) >= until + p->shift;
}

bool takt_playout_help(struct takt_playout *p)
{
    return p->is_helped && p->conceal && takt_conceal_work(p->conceal);
}

const float *takt_playout_line(const struct takt_playout *p, uint32_t channel, int64_t at)
{
    TAKT_ASSERT(at >= p->from && at <= p->head);
    return p->line[channel] + (at - p->from);
}

int64_t takt_playout_head(const struct takt_playout *p)
{
    return p->head + p->shift;
}

int64_t takt_playout_shift(const struct takt_playout *p)
{
    return p->shift;
}

int64_t takt_playout_hidden(const struct takt_playout *p)
{
    return p->hidden;
}

struct takt_playout_counts takt_playout_counts(const struct takt_playout *p)
{
    struct takt_playout_counts c = p->counts;
    /* A sender that does not come back has ended, whether it said so or not. */
    if (p->is_heard && !p->is_ended && p->hidden <= p->format.rate_hz)
        c.concealed_frames += (uint64_t)p->hidden;
    return c;
}
