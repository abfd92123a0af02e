/*
 * Each stage has a level, how many frames of its fade are wet: 0 is shed, fade_frames is whole, and
 * in between it moves by a frame a frame, up or down. So a stage that is shed while it still fades
 * in turns round where it is.
 *
 * The load of a stage follows its time with a constant of 100 ms, and no block counts for more than
 * twice its time: one that was preempted is no load. A miss sheds at once, but only one stage, and
 * then not before that one has faded and a whole block went without it.
 *
 * Invariants: bit k of `shed` is set while stage k is on its way to level 0 or there; only the
 * device thread writes what a running chain writes.
 */
#include "stream/chain.h"

#include "base/fail.h"
#include "rt/memory.h"
#include "stream/soften.h"
#include "takt/time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const double follow_s = 0.1, quick_weight = 0.125, share_max = 2;

struct stage {
    struct takt_stage is;
    char name[32];
    uint32_t level;     /* 0..fade_frames */
    double load, quick; /* followed over a tenth of a second, and over some blocks */
    /* shared */
    _Atomic double load_shown, load_max;
    _Atomic uint64_t sheds, shed_since, shed_frames;
};

struct takt_chain {
    struct stage stages[TAKT_STAGES_MAX];
    uint32_t count;
    uint32_t channels, block_frames_max;
    uint32_t rate_hz, host_frames; /* 0: not known */
    bool rate_is_own, is_blind;    /* blind: without a clock */
    double high, low, fade_ms;
    uint32_t hold_ms, hold_ms_max;
    uint32_t fade_frames, fade_frames_max;
    int64_t (*now)(void *arg);
    void *now_arg;
    float *ramp, *dry[TAKT_CHANNELS_MAX];
    /* device thread */
    uint64_t settle_frames; /* misses shed nothing for so long */
    uint64_t fits_frames;   /* there has been room for one stage more, for so long */
    uint64_t hold_frames;
    uint64_t back_at; /* position when one was taken back last; UINT64_MAX: never */
    /* shared */
    _Atomic uint64_t shed;
};

/* ---- Life ---------------------------------------------------------------------------------- */

static void bump(_Atomic uint64_t *count, uint64_t by)
{
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + by, memory_order_relaxed);
}

static uint64_t ms_frames(const struct takt_chain *k, double ms)
{
    return (uint64_t)(ms * k->rate_hz / 1000);
}

void takt_chain_reset(struct takt_chain *k)
{
    uint64_t fade = ms_frames(k, k->fade_ms);
    k->fade_frames = fade < 1 ? 1 : fade < k->fade_frames_max ? (uint32_t)fade : k->fade_frames_max;
    takt_soften_ramp(k->ramp, k->fade_frames);
    k->settle_frames = k->fits_frames = 0;
    k->hold_frames = ms_frames(k, k->hold_ms);
    k->back_at = UINT64_MAX;
    atomic_store(&k->shed, 0);
    for (uint32_t i = 0; i < k->count; i++) {
        struct stage *s = &k->stages[i];
        if (!s->level && s->is.reset)
            s->is.reset(s->is.arg);
        s->level = k->fade_frames;
        s->load = 0;
        s->quick = -1;
        atomic_store(&s->load_shown, 0);
        atomic_store(&s->load_max, 0);
        atomic_store(&s->sheds, 0);
        atomic_store(&s->shed_since, 0);
        atomic_store(&s->shed_frames, 0);
    }
}

static const char *check(const struct takt_chain_cfg *c)
{
    double high = c->high != 0 ? c->high : 0.8, low = c->low != 0 ? c->low : 0.6;
    if (!c->stages || c->count < 1 || c->count > TAKT_STAGES_MAX)
        return "there are 1 to 64 stages";
    for (uint32_t i = 0; i < c->count; i++)
        if (!c->stages[i].run)
            return "every stage needs its run";
    if (c->channels > TAKT_CHANNELS_MAX || c->block_frames_max > TAKT_BLOCK_FRAMES_MAX)
        return "at most 64 channels and 16384 frames a block";
    if (c->rate_hz && (c->rate_hz < 8000 || c->rate_hz > 384000))
        return "a rate is 8000 to 384000 Hz";
    if (!(low > 0 && low < high && high <= 1))
        return "low is above 0 and below high, which is at most 1";
    if (!(c->fade_ms >= 0 && c->fade_ms <= 50))
        return "fade_ms is at most 50";
    if (c->hold_ms > 3600000 || c->hold_ms_max > 3600000)
        return "hold_ms and hold_ms_max are at most an hour";
    return NULL;
}

static void take_settings(struct takt_chain *k, const struct takt_chain_cfg *c)
{
    k->count = c->count;
    k->channels = c->channels ? c->channels : 2;
    k->block_frames_max = c->block_frames_max ? c->block_frames_max : TAKT_BLOCK_FRAMES_MAX;
    k->rate_is_own = c->rate_hz;
    k->rate_hz = c->rate_hz ? c->rate_hz : 48000;
    k->high = c->high > 0 ? c->high : 0.8;
    k->low = c->low > 0 ? c->low : 0.6;
    k->fade_ms = c->fade_ms > 0 ? c->fade_ms : 2;
    k->hold_ms = c->hold_ms ? c->hold_ms : 500;
    k->hold_ms_max = c->hold_ms_max ? c->hold_ms_max : 32000;
    if (k->hold_ms_max < k->hold_ms)
        k->hold_ms_max = k->hold_ms;
    k->now = c->now;
    k->now_arg = c->now_arg;
    for (uint32_t i = 0; i < c->count; i++) {
        k->stages[i].is = c->stages[i];
        k->stages[i].level = 1;
        const char *name = c->stages[i].name;
        snprintf(k->stages[i].name, sizeof k->stages[i].name, "%s", name ? name : "stage");
    }
}

/* The chain, the longest ramp at the highest rate, and a dry plane a channel, in one piece. */
int takt_chain_create(const struct takt_chain_cfg *cfg, struct takt_chain **out,
                      struct takt_error *e)
{
    *out = NULL;
    const char *wrong = check(cfg);
    if (wrong)
        return takt_fail(e, TAKT_ERR_ARG, 0, "chain: %s", wrong);
    uint32_t channels = cfg->channels ? cfg->channels : 2;
    size_t plane = cfg->block_frames_max ? cfg->block_frames_max : TAKT_BLOCK_FRAMES_MAX;
    double fade_ms = cfg->fade_ms > 0 ? cfg->fade_ms : 2;
    uint32_t ramp = (uint32_t)(fade_ms * (cfg->rate_hz ? cfg->rate_hz : 384000) / 1000) + 1;
    struct takt_chain *k = takt_rt_alloc(sizeof *k + (ramp + channels * plane) * sizeof(float));
    if (!k)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    take_settings(k, cfg);
    k->fade_frames_max = ramp;
    k->ramp = (float *)(k + 1);
    for (uint32_t c = 0; c < channels; c++)
        k->dry[c] = k->ramp + ramp + c * plane;
    takt_chain_reset(k);
    *out = k;
    return 0;
}

void takt_chain_destroy(struct takt_chain *k)
{
    takt_rt_free(k);
}

int takt_chain_bind(struct takt_chain *k, const struct takt_chain_use *use, struct takt_error *e)
{
    if (use->channels > k->channels || use->block_frames_max > k->block_frames_max)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "the chain is for %u channels and blocks of %u frames, not for %u and %u",
                         k->channels, k->block_frames_max, use->channels, use->block_frames_max);
    if (k->rate_is_own && k->rate_hz != use->rate_hz)
        return takt_fail(e, TAKT_ERR_ARG, 0, "the chain is for %u Hz, the stream is at %u",
                         k->rate_hz, use->rate_hz);
    k->rate_hz = use->rate_hz;
    k->host_frames = use->host_frames;
    k->is_blind = use->virtual_clock && !k->now;
    return 0;
}

void takt_chain_host_block(struct takt_chain *k, uint32_t frames)
{
    k->host_frames = frames;
}

/* ---- Sound --------------------------------------------------------------------------------- */

static bool is_shed(const struct takt_chain *k, uint32_t stage)
{
    return takt_chain_shed(k) >> stage & 1;
}

/* io = dry + w * (io - dry), w being one step of the ramp further (or back) with each frame. */
static void cross(float *restrict io, const float *restrict dry, const float *restrict w, int step,
                  uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        io[i] = dry[i] + w[(int64_t)i * step] * (io[i] - dry[i]);
}

static void run_fading(struct takt_chain *k, uint32_t stage, float *const *io, uint32_t channels,
                       uint32_t frames)
{
    struct stage *s = &k->stages[stage];
    bool leaves = is_shed(k, stage);
    uint32_t left = leaves ? s->level : k->fade_frames - s->level;
    uint32_t n = frames < left ? frames : left;
    for (uint32_t c = 0; c < channels; c++)
        memcpy(k->dry[c], io[c], (leaves ? frames : n) * sizeof(float));
    s->is.run(io, channels, frames, s->is.arg);
    for (uint32_t c = 0; c < channels; c++) {
        if (leaves) {
            cross(io[c], k->dry[c], k->ramp + s->level - 1, -1, n);
            memcpy(io[c] + n, k->dry[c] + n, (frames - n) * sizeof(float));
        } else {
            cross(io[c], k->dry[c], k->ramp + s->level, 1, n);
        }
    }
    s->level = leaves ? s->level - n : s->level + n;
}

static void run_stage(struct takt_chain *k, uint32_t stage, float *const *io, uint32_t channels,
                      uint32_t frames)
{
    struct stage *s = &k->stages[stage];
    if (!is_shed(k, stage) && s->level == k->fade_frames)
        s->is.run(io, channels, frames, s->is.arg);
    else
        run_fading(k, stage, io, channels, frames);
}

/* ---- Load ---------------------------------------------------------------------------------- */

static void note_share(struct stage *s, double share, double weight)
{
    if (share > atomic_load_explicit(&s->load_max, memory_order_relaxed))
        atomic_store_explicit(&s->load_max, share, memory_order_relaxed);
    share = share < share_max ? share : share_max;
    s->load += weight * (share - s->load);
    s->quick = s->quick < 0 ? share : s->quick + quick_weight * (share - s->quick);
    atomic_store_explicit(&s->load_shown, s->load, memory_order_relaxed);
}

/* What a shed stage took is forgotten by and by, so that one that was slow once is tried again. */
static void forget(const struct takt_chain *k, struct stage *s, uint32_t frames)
{
    double hold = (double)ms_frames(k, k->hold_ms_max);
    s->load -= s->load * (double)frames / (hold + (double)frames);
    atomic_store_explicit(&s->load_shown, s->load, memory_order_relaxed);
}

static double load_of_all(const struct takt_chain *k)
{
    double sum = 0;
    for (uint32_t i = 0; i < k->count; i++)
        sum += is_shed(k, i) ? 0 : k->stages[i].load;
    return sum;
}

/* The optional stage that goes first; -1: all are gone. */
static int least(const struct takt_chain *k)
{
    int found = -1;
    for (uint32_t i = 0; i < k->count; i++)
        if (k->stages[i].is.optional && !is_shed(k, i) &&
            (found < 0 || k->stages[i].is.importance <= k->stages[found].is.importance))
            found = (int)i;
    return found;
}

/* The shed stage that comes back first, once it has faded away; -1: none. */
static int greatest(const struct takt_chain *k)
{
    int found = -1;
    for (uint32_t i = 0; i < k->count; i++)
        if (is_shed(k, i) &&
            (found < 0 || k->stages[i].is.importance > k->stages[found].is.importance))
            found = (int)i;
    return found >= 0 && k->stages[found].level ? -1 : found;
}

static void show_shed(struct takt_chain *k, int stage, bool shed)
{
    uint64_t bit = UINT64_C(1) << stage, now = takt_chain_shed(k);
    atomic_store_explicit(&k->shed, shed ? now | bit : now & ~bit, memory_order_relaxed);
}

static void shed_one(struct takt_chain *k, uint64_t position, uint32_t block_frames)
{
    int stage = least(k);
    k->fits_frames = 0;
    if (stage < 0)
        return;
    struct stage *s = &k->stages[stage];
    /* A miss comes long before the load has risen to what the stage takes. */
    s->load = s->quick > s->load ? s->quick : s->load;
    s->quick = -1;
    atomic_store_explicit(&s->load_shown, s->load, memory_order_relaxed);
    k->settle_frames = (uint64_t)k->fade_frames + block_frames;
    /* Shed again so soon: it has to wait longer for the next time. */
    bool soon = k->back_at != UINT64_MAX && position - k->back_at < k->hold_frames;
    uint64_t hold = soon ? 2 * k->hold_frames : k->hold_frames / 2;
    uint64_t low = ms_frames(k, k->hold_ms), high = ms_frames(k, k->hold_ms_max);
    k->hold_frames = hold < low ? low : hold > high ? high : hold;
    k->back_at = UINT64_MAX;
    bump(&s->sheds, 1);
    atomic_store_explicit(&s->shed_since, position, memory_order_relaxed);
    show_shed(k, stage, true);
}

static void take_back(struct takt_chain *k, int stage, uint64_t position)
{
    struct stage *s = &k->stages[stage];
    k->fits_frames = 0;
    k->back_at = position;
    if (s->is.reset)
        s->is.reset(s->is.arg);
    bump(&s->shed_frames, position - atomic_load_explicit(&s->shed_since, memory_order_relaxed));
    atomic_store_explicit(&s->shed_since, 0, memory_order_relaxed);
    show_shed(k, stage, false);
}

static void decide(struct takt_chain *k, const struct takt_block *b, bool missed)
{
    uint64_t position = b->position + b->frames;
    double load = load_of_all(k);
    int next = greatest(k);
    bool settles = k->settle_frames;
    k->settle_frames -= settles && k->settle_frames < b->frames ? k->settle_frames
                        : settles                               ? b->frames
                                                                : 0;
    if (load > k->high || (missed && !settles))
        shed_one(k, position, b->frames);
    else if (missed || next < 0 || load + k->stages[next].load >= k->low)
        k->fits_frames = 0;
    else if ((k->fits_frames += b->frames) >= k->hold_frames)
        take_back(k, next, position);
}

/* ---- The callback -------------------------------------------------------------------------- */

static int64_t clock_of(const struct takt_chain *k)
{
    return k->now ? k->now(k->now_arg) : k->is_blind ? 0 : takt_now_ns();
}

/* By their own time, or so nearly that a late wake-up was enough. */
static bool is_missed(const struct takt_chain *k, const struct takt_block *b, int64_t own_ns,
                      int64_t end_ns, double budget_ns)
{
    bool late = b->times_valid & TAKT_TIME_DEADLINE && end_ns > b->deadline_ns;
    return (double)own_ns > budget_ns || (late && (double)own_ns > k->low * budget_ns);
}

enum takt_next takt_chain_process(const struct takt_block *b, void *chain)
{
    struct takt_chain *k = chain;
    if (b->out_channels > k->channels || b->frames > k->block_frames_max ||
        (b->out_channels && !b->out))
        return TAKT_ABORT;
    for (uint32_t c = 0; b->in_channels && c < b->out_channels; c++)
        memcpy(b->out[c], b->in[c % b->in_channels], b->frames * sizeof(float));
    if (!b->out_channels)
        return TAKT_CONTINUE;
    uint32_t host = k->host_frames && k->host_frames < b->frames ? k->host_frames : b->frames;
    double budget_ns = host * 1e9 / k->rate_hz, block_s = (double)b->frames / k->rate_hz;
    double weight = block_s / (block_s + follow_s);
    int64_t begun = clock_of(k), before = begun;
    for (uint32_t i = 0; i < k->count; i++) {
        if (is_shed(k, i) && !k->stages[i].level) {
            forget(k, &k->stages[i], b->frames);
            continue;
        }
        run_stage(k, i, b->out, b->out_channels, b->frames);
        int64_t now = clock_of(k);
        if (!is_shed(k, i))
            note_share(&k->stages[i], (double)(now - before) / budget_ns, weight);
        before = now;
    }
    if (!k->is_blind && !(b->flags & TAKT_FREEWHEEL))
        decide(k, b, is_missed(k, b, before - begun, before, budget_ns));
    return TAKT_CONTINUE;
}

/* ---- Questions ----------------------------------------------------------------------------- */

uint64_t takt_chain_shed(const struct takt_chain *k)
{
    return atomic_load_explicit(&k->shed, memory_order_relaxed);
}

uint64_t takt_chain_sheds(const struct takt_chain *k)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < k->count; i++)
        sum += atomic_load_explicit(&k->stages[i].sheds, memory_order_relaxed);
    return sum;
}

int takt_chain_read(const struct takt_chain *k, uint32_t stage, struct takt_stage_state *out)
{
    *out = (struct takt_stage_state){.name = ""};
    if (stage >= k->count)
        return TAKT_ERR_ARG;
    const struct stage *s = &k->stages[stage];
    memcpy(out->name, s->name, sizeof out->name);
    out->optional = s->is.optional;
    out->is_shed = is_shed(k, stage);
    out->load = atomic_load_explicit(&s->load_shown, memory_order_relaxed);
    out->load_max = atomic_load_explicit(&s->load_max, memory_order_relaxed);
    out->sheds = atomic_load_explicit(&s->sheds, memory_order_relaxed);
    out->shed_since = atomic_load_explicit(&s->shed_since, memory_order_relaxed);
    out->shed_frames = atomic_load_explicit(&s->shed_frames, memory_order_relaxed);
    return 0;
}
