/*
 * Each happening comes down to one of two calls on one of the seams: join, where what follows does
 * not go on from what was there, and rise, where there was silence in between. What a callback that
 * is bypassed misses is gathered here, and said when it is called again.
 *
 * Invariants: the device thread alone writes health, so that adding to a count needs no atomic
 * step; in_gap is true from where a gap begins until sound is there again.
 */
#include "stream/degrade.h"

#include "stream/chain.h"
#include "takt/contract.h"

#include <string.h>

static void bump(_Atomic uint64_t *count, uint64_t by)
{
    if (!by)
        return;
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + by, memory_order_relaxed);
}

void takt_degrade_reset(struct takt_core *g)
{
    struct takt_soften *const seams[] = {&g->in.seam, &g->out.seam, &g->block_seam};
    for (int i = 0; i < 3; i++)
        takt_soften_init(seams[i], seams[i]->ramp, seams[i]->ramp_frames, seams[i]->channels);
    takt_bypass_init(&g->bypass, &g->bypass.cfg, g->rate_hz);
    g->in.in_gap = g->block_gap = false;
    g->out.in_gap = true;
    g->called = g->called_in_cycle = false;
    g->heard = true;
    g->written_frames = UINT32_MAX;
    g->bypassed_frames = g->shed_told = 0;
    struct takt_health_shown *h = &g->health;
    atomic_store(&h->is_bypassed, false);
    _Atomic uint64_t *const counts[] = {&h->bypassed_since, &h->bypasses, &h->retries,
                                        &h->bypassed_frames, &h->fades};
    for (int i = 0; i < 5; i++)
        atomic_store(counts[i], 0);
    if (g->chain)
        takt_chain_reset(g->chain);
}

/* ---- Gaps ---------------------------------------------------------------------------------- */

static bool is_softened(const struct takt_side *side)
{
    return side->channels && side->seam.ramp_frames;
}

/* A port without a clock of its own does not notice that time has passed. */
static bool notices_time(const struct takt_side *side)
{
    return !side->port || side->port->ops->lost;
}

/* Not by way of the device: it goes on while that is away. */
static bool is_recording(const struct takt_side *side)
{
    return side->port && !side->port_is_driven;
}

/* Where the sound ends in a recording, it dies away in what would be silence otherwise. Nobody can
 * do that for a device, which has played on. */
static uint64_t end_recording(struct takt_core *g, uint64_t lost)
{
    struct takt_side *out = &g->out;
    uint64_t done = 0;
    if (out->in_gap)
        return 0;
    float *planes[TAKT_CHANNELS_MAX];
    for (uint32_t c = 0; c < out->channels; c++)
        planes[c] = out->scratch[out->map[c]];
    takt_soften_join(&out->seam);
    while (done < lost && takt_soften_sounds(&out->seam)) {
        uint64_t left = lost - done;
        uint32_t n = left < g->host_frames_max ? (uint32_t)left : g->host_frames_max, status = 0;
        for (uint32_t c = 0; c < out->device_channels; c++)
            memset(out->scratch[c], 0, n * sizeof(float));
        takt_soften_run(&out->seam, planes, 0, n);
        uint32_t taken =
            out->port->ops->write(out->port, (const float *const *)out->scratch, n, &status);
        done += n;
        if (taken < n)
            break; /* the sink makes silence of what it could not take */
    }
    return done;
}

/* Returns whether a gap came out of it, and in *done what a recording has been given of it. */
static bool soften_lost_output(struct takt_core *g, bool host_lost, uint64_t lost, uint64_t *done)
{
    struct takt_side *out = &g->out;
    if (!is_softened(out) || !(is_recording(out) ? lost && notices_time(out) : host_lost))
        return false;
    if (is_recording(out))
        *done = end_recording(g, lost);
    if (*done && *done == lost)
        takt_soften_join(&out->seam); /* too short a gap for silence */
    else
        takt_soften_rise(&out->seam);
    return true;
}

uint64_t takt_degrade_lost(struct takt_core *g, uint64_t lost)
{
    uint32_t flags = g->cycle->flags;
    /* The device jumps also where the stream's length lets nothing of it count. */
    bool jumped = g->cycle->lost_frames;
    bool in_lost = jumped || flags & (TAKT_INPUT_OVERFLOW | TAKT_INPUT_UNDERFLOW);
    bool out_lost = jumped || flags & (TAKT_OUTPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW);
    uint64_t done = 0;
    in_lost = in_lost && is_softened(&g->in) && notices_time(&g->in);
    if (in_lost)
        takt_soften_join(&g->in.seam);
    out_lost = soften_lost_output(g, out_lost, lost, &done);
    bump(&g->health.fades, in_lost || out_lost);
    return done;
}

void takt_degrade_away(struct takt_core *g, bool away)
{
    if (is_softened(&g->in))
        takt_soften_join(&g->in.seam);
    if (is_softened(&g->out) && !is_recording(&g->out) && !away)
        takt_soften_rise(&g->out.seam);
    bump(&g->health.fades, is_softened(&g->in) || is_softened(&g->out));
}

void takt_degrade_new_queues(struct takt_core *g)
{
    takt_soften_join(&g->in.seam);
    takt_soften_join(&g->out.seam);
    takt_soften_rise(&g->block_seam); /* behind the silence that the queue begins with */
    if (g->chain)
        takt_chain_host_block(g->chain, g->host_frames);
    bump(&g->health.fades, is_softened(&g->in) || is_softened(&g->out));
}

float *const *takt_degrade_driver_input(struct takt_core *g, const float *const *in,
                                        uint32_t frames)
{
    struct takt_side *s = &g->in;
    if (!takt_soften_is_open(&s->seam)) {
        takt_soften_pass(&s->seam, in, frames);
        /* The callback's view of input is const; the cast only lets one array serve both sides. */
        return (float *const *)(uintptr_t)in;
    }
    for (uint32_t c = 0; c < s->device_channels; c++)
        memcpy(s->scratch[c], in[c], frames * sizeof(float));
    takt_soften_run(&s->seam, s->scratch, 0, frames);
    return s->scratch;
}

/* Passes `got` frames of sound with silence behind it. Returns true when a gap begins there. */
static bool pass_sound(struct takt_soften *seam, bool *in_gap, float *const *planes, uint32_t got,
                       uint32_t frames)
{
    if (*in_gap && got) {
        *in_gap = false;
        takt_soften_join(seam);
    }
    takt_soften_run(seam, planes, 0, got);
    bool begins = got < frames && !*in_gap;
    if (begins) {
        *in_gap = true;
        takt_soften_join(seam);
    }
    takt_soften_run(seam, planes, got, frames - got);
    return begins;
}

void takt_degrade_port_input(struct takt_core *g, uint32_t got, uint32_t frames, bool ended)
{
    struct takt_side *s = &g->in;
    if (is_softened(s))
        bump(&g->health.fades,
             pass_sound(&s->seam, &s->in_gap, s->scratch, got, ended ? got : frames));
}

void takt_degrade_output(struct takt_core *g, uint32_t count, uint32_t frames)
{
    struct takt_side *s = &g->out;
    if (!is_softened(s))
        return;
    takt_soften_run(&s->seam, s->host, 0, count);
    if (count)
        s->in_gap = false;
    if (count == frames || s->port)
        return; /* a sink gets no frame more than there are */
    if (!s->in_gap) {
        s->in_gap = true;
        takt_soften_join(&s->seam);
    }
    takt_soften_run(&s->seam, s->host, count, frames - count);
}

void takt_degrade_sink_full(struct takt_core *g)
{
    if (!is_softened(&g->out))
        return;
    takt_soften_rise(&g->out.seam);
    bump(&g->health.fades, 1);
}

bool takt_degrade_sounds(const struct takt_core *g)
{
    return !g->out.port && !g->away && g->out.in_gap && takt_soften_sounds(&g->out.seam);
}

/* ---- The callback ---------------------------------------------------------------------------- */

bool takt_degrade_calls(struct takt_core *g, struct takt_block *b)
{
    if (g->bypass.cfg.mode == TAKT_BYPASS_OFF)
        return g->called = g->called_in_cycle = true;
    bool waited = g->bypass.state == TAKT_WAITING;
    g->called = takt_bypass_calls(&g->bypass, b->position);
    g->called_in_cycle |= g->called;
    if (!g->called) {
        g->bypassed_frames += b->lost_frames + b->frames;
        g->flags = b->flags; /* it will hear of them when it is called */
        return false;
    }
    if (waited)
        bump(&g->health.retries, 1);
    if (g->bypassed_frames)
        b->flags |= TAKT_BYPASSED;
    if (g->bypass.state == TAKT_TRIAL)
        b->flags |= TAKT_ON_TRIAL;
    b->lost_frames += g->bypassed_frames;
    g->bypassed_frames = 0;
    return true;
}

static void stand_in(const struct takt_core *g, float *const *in, float *const *out,
                     uint32_t frames)
{
    for (uint32_t c = 0; c < g->out.channels; c++) {
        if (g->bypass.cfg.mode == TAKT_BYPASS_DRY)
            memcpy(out[c], in[c], frames * sizeof(float));
        else
            memset(out[c], 0, frames * sizeof(float));
    }
}

static void tell_shed(struct takt_core *g)
{
    uint64_t shed = g->chain ? takt_chain_shed(g->chain) : 0;
    if (shed == g->shed_told)
        return;
    g->shed_told = shed;
    takt_engine_event(&g->face, TAKT_EVENT_SHED, TAKT_OK, 0, shed, "");
}

void takt_degrade_block(struct takt_core *g, float *const *in, float *const *out, uint32_t frames)
{
    bool heard = g->bypass.state == TAKT_HEARD;
    uint32_t written = heard && g->written_frames < frames ? g->written_frames : frames;
    g->written_frames = UINT32_MAX;
    tell_shed(g);
    if (!heard) {
        stand_in(g, in, out, frames);
        bump(&g->health.bypassed_frames, frames);
    }
    if (heard != g->heard)
        takt_soften_join(&g->block_seam);
    g->heard = heard;
    bump(&g->health.fades, pass_sound(&g->block_seam, &g->block_gap, out, written, frames));
}

/* Was the thread kept from its CPU in the block that ended then? Only a miss has a cause. */
static bool was_held_back(const struct takt_core *g, int64_t end_ns)
{
    struct takt_miss m;
    return takt_contract_last_misses(g->contract, &m, 1) == 1 && m.time_ns == end_ns &&
           (m.cause == TAKT_MISS_PREEMPTED || m.cause == TAKT_MISS_STOLEN);
}

static void show_turn(struct takt_core *g, enum takt_bypass_turn turn)
{
    struct takt_health_shown *h = &g->health;
    if (turn == TAKT_TURN_BACK) {
        uint64_t since = atomic_load_explicit(&h->bypassed_since, memory_order_relaxed);
        takt_engine_event(&g->face, TAKT_EVENT_RESTORED, TAKT_OK, 0, g->position - since, "");
        atomic_store_explicit(&h->bypassed_since, 0, memory_order_relaxed);
        atomic_store_explicit(&h->is_bypassed, false, memory_order_relaxed);
        return;
    }
    bump(&h->bypasses, 1);
    atomic_store_explicit(&h->bypassed_since, g->position, memory_order_relaxed);
    atomic_store_explicit(&h->is_bypassed, true, memory_order_relaxed);
    takt_engine_event(&g->face, TAKT_EVENT_BYPASSED, TAKT_OK, 0, g->bypass.retry_at - g->position,
                      "");
}

void takt_degrade_judge(struct takt_core *g, int64_t end_ns)
{
    if (!g->called_in_cycle || g->bypass.cfg.mode == TAKT_BYPASS_OFF)
        return;
    g->called_in_cycle = false;
    const struct takt_cycle *c = g->cycle;
    if (c->flags & TAKT_FREEWHEEL)
        return;
    struct takt_bypass_cycle said = {
        .position = g->position,
        .own_ns = end_ns - c->now_ns,
        .budget_ns = (int64_t)(c->frames * g->frame_ns),
    };
    said.excused = said.own_ns > said.budget_ns && was_held_back(g, end_ns);
    enum takt_bypass_turn turn = takt_bypass_end(&g->bypass, &said);
    if (turn == TAKT_TURN_BYPASSED || turn == TAKT_TURN_BACK)
        show_turn(g, turn);
}
