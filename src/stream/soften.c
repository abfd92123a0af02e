/*
 * A seam holds one sample a channel, not a stretch of the sound before: playing that on would be
 * stale audio, and keeping it a copy of every block. A held sample that dies away has no step in
 * it, which is what a click is.
 *
 * Invariants: at <= ramp_frames; held and last are finite, so that a callback's NaN ends with it.
 */
#include "stream/soften.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

void takt_soften_ramp(float *ramp, uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        ramp[i] = (float)(0.5 - 0.5 * cos(pi * (i + 1.0) / (frames + 1.0)));
}

void takt_soften_init(struct takt_soften *s, const float *ramp, uint32_t ramp_frames,
                      uint32_t channels)
{
    *s = (struct takt_soften){
        .ramp = ramp, .ramp_frames = ramp_frames, .channels = channels, .at = ramp_frames};
}

void takt_soften_join(struct takt_soften *s)
{
    memcpy(s->held, s->last, sizeof s->held);
    s->at = 0;
}

void takt_soften_rise(struct takt_soften *s)
{
    memset(s->held, 0, sizeof s->held);
    memset(s->last, 0, sizeof s->last);
    s->at = 0;
}

static void fade(float *restrict x, const float *restrict w, float held, uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        x[i] = w[i] * x[i] + (1 - w[i]) * held;
}

static float finite_or_0(float x)
{
    return isfinite(x) ? x : 0;
}

void takt_soften_run_open(struct takt_soften *s, float *const *planes, uint32_t first,
                          uint32_t frames)
{
    TAKT_ASSERT(s->at <= s->ramp_frames);
    uint32_t left = s->ramp_frames - s->at, n = frames < left ? frames : left;
    for (uint32_t c = 0; c < s->channels; c++) {
        float *x = planes[c] + first;
        fade(x, s->ramp + s->at, s->held[c], n);
        s->last[c] = finite_or_0(x[frames - 1]);
    }
    s->at += n;
}

bool takt_soften_sounds(const struct takt_soften *s)
{
    bool any = false;
    for (uint32_t c = 0; takt_soften_is_open(s) && c < s->channels; c++)
        any |= s->held[c] != 0;
    return any;
}
