/*
 * Where the resampler stands exactly on a frame its filter is that frame alone, so resampling
 * begins without a seam: it is fed so that its next frame out is the next one of the copy, at a
 * ratio of 1, and glides from there. The way back is a cross-fade to the nearest frame, less than
 * half of one away.
 *
 * Invariants: while copying, `at` is the next place; while resampling, base + the resampler's
 * position is, and what has been fed ends at `fed`.
 */
#include "net/follow.h"

#include "base/assert.h"
#include "base/touched.h"
#include "dsp/drift.h"
#include "takt/kernel.h"
#include "takt/resample.h"

#include <math.h>
#include <stdlib.h>

enum { LEAVE_FRAMES = 128, HALF = TAKT_FOLLOW_AHEAD, PRIME = 2 * HALF - 1 };
static const double band_s = 0.25e-3, calm_error_s = 0.05e-3, calm_drift = 10e-6,
                    calm_least_s = 0.5;
static const double speed_most = 0.0075, smooth_s = 0.1;

enum mode { MODE_COPIES, MODE_ENTERS, MODE_GLIDES, MODE_LEAVES };

struct takt_follow {
    struct takt_follow_cfg cfg;
    double nominal;
    struct takt_resampler *resampler;
    struct takt_drift loop;
    enum mode mode;
    int64_t at, base, fed;
    double error, calm_s, speed;
    uint32_t left; /* how far the way back has come, frames */
    float *memory;
    float *spare[TAKT_CODEC_CHANNELS_MAX]; /* [channels][frames_max] */
};

int takt_follow_create(const struct takt_follow_cfg *cfg, struct takt_follow **out,
                       struct takt_error *e)
{
    *out = NULL;
    struct takt_follow *f = calloc(1, sizeof *f);
    if (!f)
        return TAKT_ERR_NOMEM;
    f->cfg = *cfg;
    f->nominal = (double)cfg->out_hz / cfg->line_hz;
    uint32_t spare = cfg->frames_max > PRIME ? cfg->frames_max : PRIME;
    f->memory = takt_calloc_touched((size_t)cfg->channels * spare, sizeof(float));
    int err = f->memory
                  ? takt_resampler_create(&(struct takt_resampler_cfg){.channels = cfg->channels,
                                                                       .ratio = f->nominal,
                                                                       .frames_max = spare},
                                          &f->resampler, e)
                  : TAKT_ERR_NOMEM;
    if (err < 0) {
        takt_follow_destroy(f);
        return err;
    }
    for (uint32_t c = 0; c < cfg->channels; c++)
        f->spare[c] = f->memory + (size_t)c * spare;
    takt_follow_begin(f, 0);
    *out = f;
    return TAKT_OK;
}

void takt_follow_destroy(struct takt_follow *f)
{
    if (!f)
        return;
    takt_resampler_destroy(f->resampler);
    free(f->memory);
    free(f);
}

static bool is_of_one_rate(const struct takt_follow *f)
{
    return f->cfg.line_hz == f->cfg.out_hz;
}

static void reset_loop(struct takt_follow *f, double drift)
{
    takt_drift_init(&f->loop, f->cfg.line_hz);
    f->loop.drift = f->loop.correction = drift;
}

void takt_follow_begin(struct takt_follow *f, double drift)
{
    takt_resampler_set_ratio(f->resampler, f->nominal);
    takt_resampler_reset(f->resampler);
    reset_loop(f, drift);
    f->mode = is_of_one_rate(f) ? MODE_COPIES : MODE_GLIDES;
    f->at = f->base = f->fed = 0;
    f->error = f->calm_s = 0;
    f->speed = 1;
    f->left = 0;
}

double takt_follow_place(const struct takt_follow *f)
{
    if (f->mode == MODE_COPIES || f->mode == MODE_ENTERS)
        return (double)f->at;
    return (double)f->base + takt_resampler_position(f->resampler);
}

/* ---- When to copy ---------------------------------------------------------------------------- */

static void steer_glide(struct takt_follow *f, double error_frames, double glide, double dt_s)
{
    double speed = 1 + takt_drift_update(&f->loop, error_frames, dt_s) + glide;
    f->speed = fmax(1 - speed_most, fmin(1 + speed_most, speed));
    bool is_calm = glide == 0 && fabs(f->loop.smooth) < calm_error_s * f->cfg.line_hz &&
                   fabs(f->loop.drift) < calm_drift;
    f->calm_s = is_calm ? f->calm_s + dt_s : 0;
    if (f->calm_s < calm_least_s || !is_of_one_rate(f))
        return;
    f->mode = MODE_LEAVES;
    f->at = lround(takt_follow_place(f));
    f->left = 0;
    f->speed = 1;
}

void takt_follow_steer(struct takt_follow *f, double error_frames, double glide, bool may_begin,
                       double dt_s)
{
    f->error += (error_frames - f->error) * (1 - exp(-dt_s / smooth_s));
    if (f->mode == MODE_GLIDES || f->mode == MODE_ENTERS) {
        steer_glide(f, error_frames, glide, dt_s);
    } else if (f->mode == MODE_COPIES && may_begin &&
               (glide != 0 || fabs(f->error) > band_s * f->cfg.line_hz)) {
        f->mode = MODE_ENTERS;
        f->calm_s = 0;
        reset_loop(f, f->loop.drift);
        steer_glide(f, error_frames, glide, dt_s);
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

int64_t takt_follow_first(const struct takt_follow *f)
{
    return f->mode == MODE_GLIDES                     ? f->fed
           : f->mode == MODE_LEAVES && f->fed < f->at ? f->fed
                                                      : f->at;
}

/* What the next process will glide to. */
static void set_ratio(struct takt_follow *f)
{
    takt_resampler_set_ratio(f->resampler, f->nominal / f->speed);
}

int64_t takt_follow_gliding(const struct takt_follow *f, uint32_t frames)
{
    return f->at + frames + (int64_t)(frames * speed_most) + HALF + 2;
}

int64_t takt_follow_until(struct takt_follow *f, uint32_t frames)
{
    int64_t until = f->at + frames;
    if (f->mode == MODE_COPIES)
        return until;
    if (f->mode == MODE_ENTERS)
        return takt_follow_gliding(f, frames);
    set_ratio(f);
    int64_t need = f->fed + (int64_t)takt_resampler_need(f->resampler, frames);
    return f->mode == MODE_LEAVES && until > need ? until : need;
}

uint32_t takt_follow_line_max(const struct takt_follow_cfg *cfg)
{
    return (uint32_t)(cfg->frames_max * 1.06 * cfg->line_hz / cfg->out_hz) + 4 * HALF;
}

static void lines(const struct takt_follow *f, const struct takt_playout *from, int64_t at,
                  const float **in)
{
    for (uint32_t c = 0; c < f->cfg.channels; c++)
        in[c] = takt_playout_line(from, c, at);
}

static void resample(struct takt_follow *f, const struct takt_playout *from, float *const *out,
                     uint32_t frames)
{
    const float *in[TAKT_CODEC_CHANNELS_MAX];
    size_t need = takt_resampler_need(f->resampler, frames);
    lines(f, from, f->fed, in);
    takt_resampler_process(f->resampler, in, need, out, frames);
    f->fed += (int64_t)need;
}

/* So that the next frame out is `at`, exactly. */
static void prime(struct takt_follow *f, const struct takt_playout *from)
{
    takt_resampler_set_ratio(f->resampler, f->nominal);
    takt_resampler_reset(f->resampler);
    f->base = f->fed = f->at - HALF + 1;
    resample(f, from, f->spare, PRIME);
    f->mode = MODE_GLIDES;
    TAKT_ASSERT(takt_follow_place(f) == (double)f->at);
}

/* Cross-fades from the resampled to the copied, both of which are in place already. */
static void leave(struct takt_follow *f, float *const *out, uint32_t frames)
{
    uint32_t n = LEAVE_FRAMES - f->left;
    n = frames < n ? frames : n;
    float from = (float)f->left / LEAVE_FRAMES, to = (float)(f->left + n) / LEAVE_FRAMES;
    for (uint32_t c = 0; c < f->cfg.channels; c++) {
        takt_scale_ramp(f->spare[c], f->spare[c], 1 - from, 1 - to, n);
        takt_scale_ramp(out[c], out[c], from, to, n);
        takt_mix(out[c], f->spare[c], 1, n);
    }
    f->left += n;
    if (f->left == LEAVE_FRAMES)
        f->mode = MODE_COPIES;
}

void takt_follow_read(struct takt_follow *f, const struct takt_playout *from, float *const *out,
                      uint32_t frames)
{
    if (f->mode == MODE_ENTERS)
        prime(f, from);
    if (f->mode == MODE_GLIDES) {
        set_ratio(f);
        resample(f, from, out, frames);
        return;
    }
    const float *in[TAKT_CODEC_CHANNELS_MAX];
    bool leaves = f->mode == MODE_LEAVES;
    if (leaves) {
        set_ratio(f);
        resample(f, from, f->spare, frames);
    }
    lines(f, from, f->at, in);
    for (uint32_t c = 0; c < f->cfg.channels; c++)
        takt_copy(out[c], in[c], frames);
    f->at += frames;
    if (leaves)
        leave(f, out, frames);
}

bool takt_follow_is_exact(const struct takt_follow *f)
{
    return f->mode == MODE_COPIES;
}

double takt_follow_drift(const struct takt_follow *f)
{
    return f->speed - 1;
}
