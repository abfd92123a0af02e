/*
 * Voices at their places, and those that have lost theirs and still fade. The first voice writes
 * where the sound is wanted, so that one alone is not touched; the others are added to it.
 *
 * A voice that fades plays on as it was for most of its time, since what it still has is sound that
 * was sent, and only its last quarter is turned down, along x^2 (3 - 2 x). The gain is a function
 * of the frames that are left, whatever the blocks are.
 *
 * Invariants: fading[] has no gaps before its end in use; a receiver is in one place, in fading or
 * in released, never in two.
 */
#include "net/ensemble.h"

#include "base/assert.h"
#include "base/fail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MS_PER_S = 1000, DOWN_SHARE = 4, FADE_MS_MAX = 2500 };

int takt_ensemble_init(struct takt_ensemble *m, uint32_t rate_hz, uint32_t channels,
                       uint32_t frames_max, struct takt_error *e)
{
    TAKT_ASSERT(channels > 0 && frames_max > 0);
    *m = (struct takt_ensemble){.rate_hz = rate_hz, .channels = channels, .frames_max = frames_max};
    m->mix = calloc(channels, sizeof *m->mix);
    float *memory = m->mix ? calloc((size_t)channels * frames_max, sizeof *memory) : NULL;
    if (!memory) {
        free(m->mix);
        m->mix = NULL;
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for an ensemble");
    }
    for (uint32_t c = 0; c < channels; c++)
        m->mix[c] = memory + (size_t)c * frames_max;
    return TAKT_OK;
}

void takt_ensemble_clear(struct takt_ensemble *m)
{
    if (m->mix)
        free(m->mix[0]);
    free(m->mix);
    *m = (struct takt_ensemble){0};
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void release(struct takt_ensemble *m, struct takt_receiver *r)
{
    TAKT_ASSERT(m->released_count < sizeof m->released / sizeof m->released[0]);
    m->released[m->released_count++] = r;
}

static void close_gap(struct takt_ensemble *m, uint32_t at)
{
    size_t behind = TAKT_ENSEMBLE_FADING_MAX - 1 - at;
    memmove(&m->fading[at], &m->fading[at + 1], behind * sizeof m->fading[0]);
    m->fading[TAKT_ENSEMBLE_FADING_MAX - 1] = (struct takt_ensemble_voice){0};
}

/* How long it takes until all that has come is heard, and a little: a receiver that was asked for a
 * long delay has as much of the sound still. */
static uint64_t fade_frames(const struct takt_ensemble *m, const struct takt_receiver *r)
{
    struct takt_receiver_stats st;
    double ms = TAKT_ENSEMBLE_FADE_MS;
    if (takt_receiver_read_stats(r, &st))
        for (uint32_t i = 0; i < TAKT_RECEIVER_SOURCES_MAX; i++)
            ms = fmax(ms,
                      st.source[i].delay_ms + st.source[i].output_ms + TAKT_ENSEMBLE_FADE_MS / 2.0);
    return (uint64_t)(m->rate_hz * fmin(ms, FADE_MS_MAX) / MS_PER_S);
}

/* Those that fade stand in the order in which they began to. */
static void fade(struct takt_ensemble *m, struct takt_receiver *r)
{
    uint32_t at = 0;
    if (m->fading[TAKT_ENSEMBLE_FADING_MAX - 1].receiver) {
        release(m, m->fading[0].receiver);
        close_gap(m, 0);
    }
    while (m->fading[at].receiver)
        at++;
    m->fading[at] = (struct takt_ensemble_voice){.receiver = r, .left_frames = fade_frames(m, r)};
}

void takt_ensemble_attach(struct takt_ensemble *m, uint32_t place, struct takt_receiver *r)
{
    takt_ensemble_detach(m, place);
    m->place[place].receiver = r;
}

void takt_ensemble_detach(struct takt_ensemble *m, uint32_t place)
{
    TAKT_ASSERT(place < TAKT_RECEIVER_SOURCES_MAX);
    struct takt_receiver *old = m->place[place].receiver;
    m->place[place].receiver = NULL;
    if (!old)
        return;
    takt_receiver_end(old);
    fade(m, old);
}

struct takt_receiver *takt_ensemble_released(struct takt_ensemble *m)
{
    return m->released_count ? m->released[--m->released_count] : NULL;
}

/* ---- Sound ----------------------------------------------------------------------------------- */

void takt_ensemble_packet(struct takt_ensemble *m, uint32_t place, const struct takt_net_packet *p)
{
    TAKT_ASSERT(place < TAKT_RECEIVER_SOURCES_MAX);
    if (m->place[place].receiver)
        takt_receiver_packet(m->place[place].receiver, p);
}

/* Turns the last part of a voice that fades down, to nothing when nothing is left. */
static void turn_down(const struct takt_ensemble *m, uint64_t left, float *const *planes,
                      uint32_t frames)
{
    uint64_t down = (uint64_t)m->rate_hz * TAKT_ENSEMBLE_FADE_MS / MS_PER_S / DOWN_SHARE;
    for (uint32_t i = 0; i < frames; i++) {
        uint64_t now = left > i ? left - i : 0;
        if (now >= down)
            continue;
        float x = (float)now / (float)down, gain = x * x * (3 - 2 * x);
        for (uint32_t c = 0; c < m->channels; c++)
            planes[c][i] *= gain;
    }
}

/* A pull under way. */
struct pull {
    int64_t now_ns, play_ns;
    float *const *out;
    uint32_t frames;
    bool has_sound; /* out has been written to */
};

static void add_voice(struct takt_ensemble *m, struct pull *p, struct takt_ensemble_voice *v,
                      bool fades)
{
    float *const *to = p->has_sound ? m->mix : p->out;
    takt_receiver_pull(v->receiver, p->now_ns, p->play_ns, to, p->frames);
    if (fades) {
        turn_down(m, v->left_frames, to, p->frames);
        v->left_frames -= v->left_frames < p->frames ? v->left_frames : p->frames;
    }
    for (uint32_t c = 0; p->has_sound && c < m->channels; c++)
        for (uint32_t i = 0; i < p->frames; i++)
            p->out[c][i] += m->mix[c][i];
    p->has_sound = true;
}

void takt_ensemble_pull(struct takt_ensemble *m, int64_t now_ns, int64_t play_ns, float *const *out,
                        uint32_t frames)
{
    TAKT_ASSERT(frames <= m->frames_max);
    struct pull p = {now_ns, play_ns, out, frames, false};
    for (uint32_t i = 0; i < TAKT_RECEIVER_SOURCES_MAX; i++)
        if (m->place[i].receiver)
            add_voice(m, &p, &m->place[i], false);
    for (uint32_t i = 0; i < TAKT_ENSEMBLE_FADING_MAX && m->fading[i].receiver; i++)
        add_voice(m, &p, &m->fading[i], true);
    for (uint32_t c = 0; !p.has_sound && c < m->channels; c++)
        memset(out[c], 0, frames * sizeof out[c][0]);
    for (uint32_t i = 0; i < TAKT_ENSEMBLE_FADING_MAX && m->fading[i].receiver;)
        if (m->fading[i].left_frames == 0) {
            release(m, m->fading[i].receiver);
            close_gap(m, i);
        } else
            i++;
}
