/*
 * What vad_front.c hears goes through a small net, one hidden layer whose weights tools/train-vad
 * has fitted to speech in noise; it gives the probability that there was voice LATE hops ago, for
 * the next syllable tells much of this one. Voice begins when most of the last few hops are above
 * one threshold, lasts while any is above a lower one, and then for the hangover.
 *
 * Two things the net does not get by with alone. It hears no crowd: a single voice stands out of
 * what is usual, and voices that are always there do not. And it cannot know a noise that it has
 * heard for a moment only: in the first seconds no voice begins without a pitch. Noise has a
 * harmonicity below 0.3 in 99 of 100 hops, and most of speech one above.
 */
#include "takt/vad.h"

#include "analysis/sane.h"
#include "analysis/vad_front.h"
#include "analysis/vad_net.h"
#include "base/fail.h"
#include "base/touched.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HOPS_PER_S = 100, LATE = 3, SURE = 5, OF_THEM = 3, PIECE = 256 };
/* So many of the last 20 hops need a pitch where voice is to begin in the first seconds. */
enum { PITCHED_TO_BEGIN = 3, FIRST_HOPS = 2 * HOPS_PER_S };
static const double pitched = 0.33;
/* What is usual: of levels from -140 dB on, a count each dB that fades within 6 s; four in ten
 * of them are lower. */
enum { LEVELS = 200, LEAST_DB = -140 };
static const double usual_share = 0.4, forgets = 1.0 / (6 * HOPS_PER_S), smooths = 0.15;

/* A voice begins above the first probability and ends below the second; it begins where the bands
 * stand out of what is usual by the third, in dB, and ends where they do by less than the fourth.
 */
static const struct limits {
    double begin, last, stands_out_db, still_db;
} limits_of[] = {[TAKT_VAD_NORMAL] = {0.5, 0.3, 2.5, 2},
                 [TAKT_VAD_EAGER] = {0.3, 0.15, 1.5, 1},
                 [TAKT_VAD_STRICT] = {0.8, 0.5, 3, 2.5}};

struct takt_vad {
    uint32_t rate_hz;
    enum takt_vad_mode mode;
    double floor_dbfs;
    uint32_t hangover_hops;
    struct takt_vad_front *front;
    double recent[SURE]; /* probabilities */
    uint64_t hops;
    float level[LEVELS];
    double smooth_db;
    uint64_t warm;            /* hops since the noise was unknown */
    uint64_t standing, above; /* bits, as pitches */
    uint64_t pitches;         /* a bit for each hop with a pitch, the newest lowest */
    bool is_voice, has_begun;
    uint32_t held; /* hops since the last that was voice by itself */
    uint64_t next; /* position of the next frame */
};

static int check(const struct takt_vad_cfg *c, struct takt_error *e)
{
    if (c->rate_hz && (c->rate_hz < 8000 || c->rate_hz > 384000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "voice at %u Hz: 8000 to 384000", c->rate_hz);
    if ((unsigned)c->mode > TAKT_VAD_STRICT)
        return takt_fail(e, TAKT_ERR_ARG, 0, "no such way to look for voice: %d", (int)c->mode);
    if (!(c->hangover_ms <= 10000 && (c->hangover_ms >= 0 || c->hangover_ms <= -1)) ||
        !(c->floor_dbfs <= 0 && c->floor_dbfs >= -120))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "voice: a hangover of 0 to 10000 ms, a floor of -120 to 0 dBFS");
    return 0;
}

int takt_vad_create(const struct takt_vad_cfg *cfg, struct takt_vad **out, struct takt_error *e)
{
    *out = NULL;
    if (check(cfg, e) < 0)
        return TAKT_ERR_ARG;
    struct takt_vad *v = takt_calloc_touched(1, sizeof *v);
    if (!v)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    v->rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    v->mode = cfg->mode;
    v->floor_dbfs = cfg->floor_dbfs < 0 ? cfg->floor_dbfs : -65;
    double hangover_ms = cfg->hangover_ms != 0 ? fmax(cfg->hangover_ms, 0) : 200;
    v->hangover_hops = (uint32_t)(hangover_ms * HOPS_PER_S / 1000 + 0.5);
    int err = takt_vad_front_create(v->rate_hz, v->floor_dbfs, &v->front, e);
    if (err < 0) {
        takt_vad_destroy(v);
        return err;
    }
    *out = v;
    return 0;
}

void takt_vad_destroy(struct takt_vad *v)
{
    if (!v)
        return;
    takt_vad_front_destroy(v->front);
    free(v);
}

static void forget(struct takt_vad *v)
{
    memset(v->recent, 0, sizeof v->recent);
    v->hops = v->pitches = v->standing = v->above = 0;
    v->is_voice = v->has_begun = false;
    v->held = 0;
}

void takt_vad_reset(struct takt_vad *v)
{
    takt_vad_front_reset(v->front, true);
    memset(v->level, 0, sizeof v->level);
    v->warm = 0;
    forget(v);
}

uint32_t takt_vad_latency_frames(const struct takt_vad *v)
{
    return takt_vad_front_window(v->front) / 2 + (LATE + OF_THEM) * (v->rate_hz / HOPS_PER_S);
}

static double judge(const float *feature)
{
    double out = (double)vad_net_out[VAD_HIDDEN];
    for (int h = 0; h < VAD_HIDDEN; h++) {
        double sum = (double)vad_net_hidden[h][VAD_INPUTS];
        for (int i = 0; i < VAD_INPUTS; i++)
            sum += (double)vad_net_hidden[h][i] * (double)feature[i];
        out += (double)vad_net_out[h] * (1 - 2 / (1 + exp(2 * sum))); /* tanh */
    }
    return 1 / (1 + exp(-out));
}

static int hops_above(const struct takt_vad *v, double threshold)
{
    int count = 0;
    for (int i = 0; i < SURE; i++)
        count += v->recent[i] > threshold;
    return count;
}

static int ones(uint64_t bits)
{
    int count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

/* How far the bands' level is above what is usual. */
static double above_usual(struct takt_vad *v, double db)
{
    double sum = 0, below = 0;
    int at = (int)fmax(0, fmin(LEVELS - 1, db - LEAST_DB)), usual = 0;
    for (int i = 0; i < LEVELS; i++) {
        v->level[i] *= 1 - (float)forgets;
        v->level[i] += i == at ? (float)forgets : 0;
        sum += (double)v->level[i];
    }
    for (; usual < LEVELS && below + (double)v->level[usual] < usual_share * sum; usual++)
        below += (double)v->level[usual];
    v->warm++;
    return db - (LEAST_DB + usual + 0.5);
}

static void decide(struct takt_vad *v, const struct takt_vad_heard *heard,
                   struct takt_vad_reading *out)
{
    const struct limits *limits = &limits_of[v->mode];
    double p = heard->level_dbfs > v->floor_dbfs - 20 ? judge(heard->feature) : 0;
    v->recent[v->hops++ % SURE] = p;
    v->pitches = v->pitches << 1 | (heard->harmonicity > pitched);
    v->smooth_db =
        v->warm ? v->smooth_db + smooths * (heard->bands_db - v->smooth_db) : heard->bands_db;
    double above_db = above_usual(v, v->smooth_db);
    v->standing = v->standing << 1 | (above_db > limits->stands_out_db);
    v->above = v->above << 1 | (above_db > limits->still_db);
    bool has_pitch = v->warm > FIRST_HOPS || ones(v->pitches & 0xfffff) >= PITCHED_TO_BEGIN;
    bool may_begin =
        hops_above(v, limits->begin) >= OF_THEM && has_pitch && ones(v->standing & 0xff) >= OF_THEM;
    bool may_last = hops_above(v, limits->last) > 0 && (v->above & 0xf);
    bool is_now = v->is_voice ? may_last : may_begin;
    if (is_now) {
        v->is_voice = true;
        v->held = 0;
    } else if (v->is_voice) {
        v->is_voice = ++v->held <= v->hangover_hops;
    }
    out->probability = p;
    out->is_voice = v->is_voice;
    out->is_held = v->is_voice && v->held > 0;
    out->snr_db = heard->snr_db;
    out->harmonicity = fmin(heard->harmonicity, 1);
    out->level_dbfs = heard->level_dbfs;
}

size_t takt_vad_process(struct takt_vad *v, const float *x, size_t frames, uint64_t position,
                        struct takt_vad_reading *out, size_t most)
{
    size_t found = 0;
    if (!frames)
        return 0;
    if (v->has_begun && position != v->next) {
        takt_vad_front_reset(v->front, false);
        forget(v);
    }
    v->has_begun = true;
    v->next = position + frames;
    for (size_t at = 0; at < frames;) {
        float piece[PIECE];
        size_t n = frames - at < PIECE ? frames - at : PIECE;
        struct takt_vad_heard heard;
        struct takt_vad_reading reading;
        bool is_ready;
        for (size_t i = 0; i < n; i++)
            piece[i] = takt_sane_or_0(x[at + i]);
        at += takt_vad_front_take(v->front, piece, n, &heard, &is_ready);
        if (!is_ready)
            continue;
        decide(v, &heard, &reading);
        reading.position = position + at;
        if (found < most)
            out[found++] = reading;
    }
    return found;
}
