/*
 * A circle of the last frames, and three positions in the stream: `done`, up to which all is
 * written or left out; `voice`, behind the last frame that belongs to a voice; `head`, behind the
 * newest. While a segment is open everything up to `voice` is written, but for the length of a
 * fade, since only the future tells whether it ends there. It ends when a voice that sets in now
 * would not reach back to it.
 *
 * All is decided at the detector's readings, which do not depend on how the stream is cut.
 *
 * Invariants: begin <= done <= head <= done + capacity; nothing before done is ever looked at
 * again; is_open implies start <= done and done <= voice.
 */
#include "takt/gate.h"

#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 64, PIECE = 256 };

struct takt_gate {
    struct takt_gate_cfg cfg;
    struct takt_vad *vad;
    uint64_t reach; /* frames before a reading's position from where on a voice is kept */
    uint64_t fade, capacity;
    float *past;    /* [channels][capacity] */
    float *scratch; /* [channels][PIECE] */
    float *ramp;    /* [fade], from 0 to 1 */
    /* Positions. */
    bool has_begun, is_open, fades_in;
    uint64_t begin, head, done, voice; /* begin: of the stream, or where its last gap ends */
    struct takt_gate_segment segment;
    /* Shown. */
    _Atomic uint64_t kept, left_out, segments;
    _Atomic double probability;
    _Atomic bool open_shown, voice_shown;
};

#define SHOW(place, value) atomic_store_explicit(&(place), (value), memory_order_relaxed)
#define SHOWN(place)       atomic_load_explicit(&(place), memory_order_relaxed)

/* ---- Create ------------------------------------------------------------------------------------
 */

static int check(const struct takt_gate_cfg *c, struct takt_error *e)
{
    if (!c->write)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a gate needs somebody to write to");
    if (c->channels > CHANNELS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a gate of %u channels: 1 to %d", c->channels,
                         CHANNELS_MAX);
    if (!(c->preroll_ms == 0 || (c->preroll_ms >= 10 && c->preroll_ms <= 5000)) ||
        !(c->fade_ms == 0 || (c->fade_ms >= 0.1 && c->fade_ms <= 10)))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a gate's preroll is 10 to 5000 ms, and its fade 0.1 to 10 ms");
    return 0;
}

static int make(struct takt_gate *g, struct takt_error *e)
{
    const struct takt_gate_cfg *c = &g->cfg;
    const double pi = 3.14159265358979323846;
    int err = takt_vad_create(&(struct takt_vad_cfg){.rate_hz = c->rate_hz,
                                                     .mode = c->mode,
                                                     .hangover_ms = c->hangover_ms,
                                                     .floor_dbfs = c->floor_dbfs},
                              &g->vad, e);
    if (err < 0)
        return err;
    g->reach = (uint64_t)(c->preroll_ms * c->rate_hz / 1000) + takt_vad_latency_frames(g->vad);
    g->fade = (uint64_t)(c->fade_ms * c->rate_hz / 1000);
    g->fade += !g->fade;
    g->capacity = g->reach + g->fade + c->rate_hz / 25 + PIECE;
    g->past = takt_calloc_touched(c->channels * g->capacity, sizeof *g->past);
    g->scratch = takt_calloc_touched((size_t)c->channels * PIECE, sizeof *g->scratch);
    g->ramp = takt_calloc_touched(g->fade, sizeof *g->ramp);
    if (!g->past || !g->scratch || !g->ramp)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    for (uint64_t i = 0; i < g->fade; i++)
        g->ramp[i] = (float)(0.5 - 0.5 * cos(pi * ((double)i + 0.5) / (double)g->fade));
    return 0;
}

int takt_gate_create(const struct takt_gate_cfg *cfg, struct takt_gate **out, struct takt_error *e)
{
    *out = NULL;
    if (check(cfg, e) < 0)
        return TAKT_ERR_ARG;
    struct takt_gate *g = takt_calloc_touched(1, sizeof *g);
    if (!g)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    g->cfg = *cfg;
    g->cfg.rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    g->cfg.channels = cfg->channels ? cfg->channels : 1;
    g->cfg.preroll_ms = cfg->preroll_ms > 0 ? cfg->preroll_ms : 300;
    g->cfg.fade_ms = cfg->fade_ms > 0 ? cfg->fade_ms : 5;
    g->cfg.hangover_ms = cfg->hangover_ms != 0 ? cfg->hangover_ms : 400;
    int err = make(g, e);
    if (err < 0) {
        takt_gate_destroy(g);
        return err;
    }
    *out = g;
    return 0;
}

void takt_gate_destroy(struct takt_gate *g)
{
    if (!g)
        return;
    takt_vad_destroy(g->vad);
    free(g->past);
    free(g->scratch);
    free(g->ramp);
    free(g);
}

/* ---- What is let through -----------------------------------------------------------------------
 */

static float gain_at(const struct takt_gate *g, uint64_t position, uint64_t out_from, uint64_t end)
{
    float gain = 1;
    if (g->fades_in && position - g->segment.start < g->fade)
        gain = g->ramp[position - g->segment.start];
    if (position >= out_from)
        gain *= g->ramp[end - 1 - position < g->fade ? end - 1 - position : g->fade - 1];
    return gain;
}

static bool is_faded(const struct takt_gate *g, uint64_t from, uint64_t to, uint64_t out_from)
{
    return (g->fades_in && from < g->segment.start + g->fade) || to > out_from;
}

/* Hands on frames up to `end`; those from out_from on fade away towards it. */
static void write_to(struct takt_gate *g, uint64_t end, uint64_t out_from)
{
    const float *planes[CHANNELS_MAX];
    while (g->done < end) {
        uint64_t at = g->done % g->capacity, n = end - g->done;
        n = n < PIECE ? n : PIECE;
        n = n < g->capacity - at ? n : g->capacity - at;
        bool faded = is_faded(g, g->done, g->done + n, out_from);
        for (uint32_t c = 0; c < g->cfg.channels; c++) {
            const float *from = g->past + c * g->capacity + at;
            float *to = g->scratch + (size_t)c * PIECE;
            planes[c] = faded ? to : from;
            for (uint64_t i = 0; faded && i < n; i++)
                to[i] = from[i] * gain_at(g, g->done + i, out_from, end);
        }
        g->cfg.write(planes, (size_t)n, g->done, g->cfg.arg);
        g->done += n;
        SHOW(g->kept, SHOWN(g->kept) + n);
    }
}

static void leave_out(struct takt_gate *g, uint64_t end)
{
    if (end <= g->done)
        return;
    SHOW(g->left_out, SHOWN(g->left_out) + (end - g->done));
    g->done = end;
}

static void open_at(struct takt_gate *g, uint64_t start)
{
    /* What sets in with the stream, or behind a gap, has nothing before it to be cut off from. */
    g->fades_in = start > g->begin;
    leave_out(g, start);
    g->is_open = true;
    g->segment = (struct takt_gate_segment){.start = g->done, .at = SHOWN(g->kept)};
    SHOW(g->segments, SHOWN(g->segments) + 1);
    SHOW(g->open_shown, true);
}

/* Writes up to `end`, fading away where the stream goes on without it. */
static void close_at(struct takt_gate *g, uint64_t end, bool fades)
{
    uint64_t out_from = end > g->fade && end - g->fade > g->done ? end - g->fade : g->done;
    write_to(g, end, fades ? out_from : UINT64_MAX);
    g->segment.end = g->done;
    g->is_open = false;
    SHOW(g->open_shown, false);
    if (g->cfg.segment)
        g->cfg.segment(&g->segment, g->cfg.arg);
}

static void judge(struct takt_gate *g, const struct takt_vad_reading *r)
{
    SHOW(g->probability, r->probability);
    SHOW(g->voice_shown, r->is_voice);
    uint64_t reaches = r->position > g->reach ? r->position - g->reach : 0;
    if (g->is_open && !r->is_voice && reaches > g->voice)
        close_at(g, g->voice, true);
    if (r->is_voice) {
        if (!g->is_open)
            open_at(g, reaches > g->done ? reaches : g->done);
        g->voice = r->position;
    }
    if (g->is_open && g->voice > g->done + g->fade)
        write_to(g, g->voice - g->fade, UINT64_MAX);
    if (!g->is_open)
        leave_out(g, reaches);
}

static void put(struct takt_gate *g, const float *const *x, size_t from, uint32_t frames)
{
    struct takt_vad_reading readings[8];
    float mean[PIECE] = {0};
    size_t at = (size_t)(g->head % g->capacity), room = (size_t)g->capacity - at;
    size_t first = frames < room ? frames : room; /* the rest goes to the circle's beginning */
    for (uint32_t c = 0; c < g->cfg.channels; c++) {
        const float *in = x[c] + from;
        float *past = g->past + c * g->capacity;
        memcpy(past + at, in, first * sizeof *past);
        memcpy(past, in + first, (frames - first) * sizeof *past);
        for (uint32_t i = 0; i < frames; i++)
            mean[i] += in[i] / (float)g->cfg.channels;
    }
    size_t n = takt_vad_process(g->vad, mean, frames, g->head, readings, 8);
    g->head += frames;
    TAKT_ASSERT(g->head - g->done <= g->capacity);
    for (size_t i = 0; i < n; i++)
        judge(g, &readings[i]);
}

void takt_gate_process(struct takt_gate *g, const float *const *x, size_t frames, uint64_t position)
{
    if (!frames)
        return;
    if (g->has_begun && position != g->head)
        takt_gate_finish(g);
    if (!g->has_begun) {
        g->has_begun = true;
        g->begin = g->head = g->done = g->voice = position;
    }
    for (size_t at = 0; at < frames;) {
        /* No piece is longer than two readings. */
        uint32_t most = g->cfg.rate_hz / 50 < PIECE ? g->cfg.rate_hz / 50 : PIECE;
        uint32_t n = frames - at < most ? (uint32_t)(frames - at) : most;
        put(g, x, at, n);
        at += n;
    }
}

void takt_gate_finish(struct takt_gate *g)
{
    /* The last frames may hold the end of a word whose reading never came. */
    if (g->is_open)
        close_at(g, g->head, false);
    leave_out(g, g->head);
    g->has_begun = false;
}

void takt_gate_read(const struct takt_gate *g, struct takt_gate_state *out)
{
    *out = (struct takt_gate_state){.kept_frames = SHOWN(g->kept),
                                    .left_out_frames = SHOWN(g->left_out),
                                    .segments = SHOWN(g->segments),
                                    .probability = SHOWN(g->probability),
                                    .is_open = SHOWN(g->open_shown),
                                    .is_voice = SHOWN(g->voice_shown)};
}
