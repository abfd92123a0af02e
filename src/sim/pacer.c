/*
 * Times follow from the frame count by one multiplication, never by adding up periods, so no
 * rounding gathers over hours.
 *
 * Invariants: position is the first frame of the next block; next_frames is how long the block
 * after it will be, drawn one ahead, since its end is the deadline of this one.
 */
#include "sim/pacer.h"

#include "base/assert.h"
#include "base/fail.h"
#include "base/random.h"
#include "rt/memory.h"
#include "takt/ring.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

struct pacer {
    struct takt_driver base;
    struct takt_pacer_cfg cfg;
    struct takt_thread *thread;
    struct takt_sched sched;
    _Atomic bool quit;
    double frame_ns;
    /* The device thread's. */
    struct takt_random chance;
    int64_t start_ns, virtual_ns;
    uint64_t position;
    uint32_t next_frames;
    int xruns_done;
    bool ended; /* stepped: the engine wants no more */
    /* The loop. */
    struct takt_ring *loop;
    float *loop_buffers;
    float *loop_in[TAKT_CHANNELS_MAX], *loop_out[TAKT_CHANNELS_MAX];
    float *frames;            /* interleaved, one host block */
    struct takt_random noise; /* apart from chance, whose draws decide the times */
};

static bool is_virtual(const struct pacer *p)
{
    return p->cfg.clock == TAKT_CLOCK_VIRTUAL;
}

/* ---- Time ---------------------------------------------------------------------------------- */

static int64_t time_of(const struct pacer *p, uint64_t position)
{
    return p->start_ns + (int64_t)((double)position * p->frame_ns + 0.5);
}

static int64_t clock_of(const struct pacer *p)
{
    return is_virtual(p) ? p->virtual_ns : takt_now_ns();
}

/* Long periods are slept in slices, so that stop need not wait for the whole of one. */
static void sleep_until(struct pacer *p, int64_t until_ns)
{
    const int64_t slice_ns = 50000000;
    if (is_virtual(p)) {
        p->virtual_ns = until_ns > p->virtual_ns ? until_ns : p->virtual_ns;
        return;
    }
    for (int64_t now = takt_now_ns(); until_ns - now > 2 * slice_ns && !atomic_load(&p->quit);
         now = takt_now_ns())
        takt_sleep_until_ns(now + slice_ns);
    if (!atomic_load_explicit(&p->quit, memory_order_relaxed))
        takt_sleep_until_ns(until_ns);
}

static int64_t draw_exponential(struct pacer *p, int64_t mean_ns)
{
    return mean_ns ? (int64_t)(-log(1 - takt_random_unit(&p->chance)) * (double)mean_ns) : 0;
}

static int64_t draw_jitter(struct pacer *p)
{
    if (!p->cfg.jitter_ns)
        return 0;
    bool spike = takt_random_below(&p->chance, 1000) == 0;
    return draw_exponential(p, spike ? 10 * p->cfg.jitter_ns : p->cfg.jitter_ns);
}

/* The engine reads the clock once after each callback; that is when a virtual callback's time has
 * passed. */
static int64_t pacer_now(struct takt_driver *base)
{
    struct pacer *p = (struct pacer *)base;
    if (!is_virtual(p))
        return takt_now_ns();
    double spread = 2 * takt_random_unit(&p->chance) - 1;
    int64_t work = p->cfg.work_ns + (int64_t)(spread * (double)p->cfg.work_spread_ns);
    p->virtual_ns += work > 0 ? work : 0;
    return p->virtual_ns;
}

/* ---- Cycles -------------------------------------------------------------------------------- */

static uint32_t draw_frames(struct pacer *p)
{
    if (!p->cfg.varies)
        return p->cfg.host_frames;
    return 1 + (uint32_t)takt_random_below(&p->chance, p->cfg.host_frames);
}

/* Uniform, so of a width that is sqrt(12) times its RMS. */
static void add_loop_noise(struct pacer *p, uint32_t frames)
{
    double width = (double)p->cfg.loop_noise * sqrt(12);
    for (uint32_t c = 0; c < p->cfg.loop_channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            p->loop_in[c][i] += (float)((takt_random_unit(&p->noise) - 0.5) * width);
}

static void fill_loop_input(struct pacer *p, uint32_t frames)
{
    uint32_t channels = p->cfg.loop_channels;
    size_t got = takt_ring_read(p->loop, p->frames, frames);
    TAKT_ASSERT(got == frames);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            p->loop_in[c][i] = p->frames[(size_t)i * channels + c] * p->cfg.loop_gain;
    if (p->cfg.loop_noise > 0)
        add_loop_noise(p, frames);
}

static void keep_loop_output(struct pacer *p, uint32_t frames)
{
    uint32_t channels = p->cfg.loop_channels;
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            p->frames[(size_t)i * channels + c] = p->loop_out[c][i];
    takt_ring_write(p->loop, p->frames, frames);
}

/* Injected: the device loses a block before this one although nobody was late. */
static uint32_t injected_xrun(struct pacer *p)
{
    if (p->xruns_done == p->cfg.xruns ||
        time_of(p, p->position) - p->start_ns < p->cfg.xrun_ns[p->xruns_done])
        return 0;
    p->xruns_done++;
    return p->cfg.host_frames;
}

/* A live device that is not served for whole blocks loses them. */
static uint64_t blocks_missed(const struct pacer *p, uint32_t frames, int64_t now_ns)
{
    uint64_t lost = 0;
    while (p->cfg.is_live && now_ns >= time_of(p, p->position + lost + frames + p->next_frames))
        lost += p->next_frames;
    return lost;
}

static bool is_away(const struct pacer *p)
{
    int64_t t = time_of(p, p->position) - p->start_ns;
    return p->cfg.vanish_for_ns && t >= p->cfg.vanish_ns &&
           t < p->cfg.vanish_ns + p->cfg.vanish_for_ns;
}

static bool run_cycle(struct pacer *p)
{
    uint32_t frames = p->next_frames;
    uint64_t lost = injected_xrun(p);
    p->position += lost;
    p->next_frames = draw_frames(p);
    int64_t due = time_of(p, p->position + frames);
    /* What the block before cost by taking too long is recorded there. */
    uint64_t busy = blocks_missed(p, frames, clock_of(p));
    int64_t owed = time_of(p, p->position + busy + frames + p->next_frames);
    sleep_until(p, due + draw_jitter(p));
    int64_t now = clock_of(p);
    uint64_t missed = blocks_missed(p, frames, now);
    p->position += missed;
    lost += missed;
    bool away = is_away(p);
    struct takt_cycle c = {
        .frames = frames,
        .flags = (lost ? TAKT_INPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW : 0u) |
                 (away ? TAKT_DEVICE_AWAY : 0u),
        .lost_frames = lost,
        .valid = TAKT_TIME_IN_FIRST | TAKT_TIME_NOW | TAKT_TIME_DEADLINE | TAKT_TIME_OUT_FIRST,
        .due_known = true,
        .due_ns = due,
        .now_ns = now,
        .deadline_ns = time_of(p, p->position + frames + p->next_frames),
        .owed_ns = missed > busy ? owed : 0,
        .in_first_ns = time_of(p, p->position),
        .out_first_ns = time_of(p, p->position + frames + p->next_frames),
    };
    if (p->loop) {
        fill_loop_input(p, frames);
        c.in = (const float *const *)p->loop_in;
        c.out = p->loop_out;
    }
    bool more = takt_engine_cycle(p->cfg.engine, &c);
    if (p->loop)
        keep_loop_output(p, frames);
    p->position += frames;
    return more;
}

static void run(void *arg)
{
    struct pacer *p = arg;
    p->start_ns = is_virtual(p) ? 0 : takt_now_ns();
    bool more = true;
    while (more && !atomic_load_explicit(&p->quit, memory_order_relaxed)) {
        if (is_virtual(p))
            takt_engine_service(p->cfg.engine);
        more = run_cycle(p);
    }
}

static void pacer_advance(struct takt_driver *base, int64_t until_ns)
{
    struct pacer *p = (struct pacer *)base;
    while (!p->ended && time_of(p, p->position + p->next_frames) <= until_ns) {
        takt_engine_service(p->cfg.engine);
        p->ended = !run_cycle(p);
    }
}

/* ---- Control ------------------------------------------------------------------------------- */

static void prime_loop(struct pacer *p, size_t silent_frames)
{
    for (size_t n; silent_frames; silent_frames -= n) {
        n = silent_frames < p->cfg.host_frames ? silent_frames : p->cfg.host_frames;
        takt_ring_write(p->loop, p->frames, n);
    }
}

static int pacer_start(struct takt_driver *base, struct takt_error *e)
{
    struct pacer *p = (struct pacer *)base;
    atomic_store(&p->quit, false);
    p->chance = takt_random_seed(p->cfg.seed);
    p->position = 0;
    p->virtual_ns = 0;
    p->xruns_done = 0;
    p->next_frames = draw_frames(p);
    p->ended = false;
    if (p->loop) {
        takt_ring_reset(p->loop);
        memset(p->frames, 0, (size_t)p->cfg.host_frames * p->cfg.loop_channels * sizeof(float));
        p->noise = takt_random_seed(~p->cfg.seed);
        prime_loop(p, (size_t)2 * p->cfg.host_frames + p->cfg.loop_delay_frames);
    }
    if (p->cfg.stepped)
        return 0;
    int err = takt_thread_start(
        &(struct takt_thread_cfg){.name = p->cfg.name,
                                  .entry = run,
                                  .arg = p,
                                  /* As fast as it goes: not above all. */
                                  .priority = is_virtual(p) ? TAKT_PRIORITY_OFF : p->cfg.priority},
        &p->thread, e);
    if (err >= 0)
        takt_thread_sched(p->thread, &p->sched);
    return err;
}

static int pacer_stop(struct takt_driver *base, int64_t timeout_ns, struct takt_error *e)
{
    struct pacer *p = (struct pacer *)base;
    atomic_store(&p->quit, true);
    if (takt_thread_join(p->thread, timeout_ns / 1000000) == TAKT_ERR_TIMEOUT)
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "the device thread did not end: a callback hangs");
    p->thread = NULL;
    return 0;
}

static void pacer_close(struct takt_driver *base)
{
    struct pacer *p = (struct pacer *)base;
    takt_ring_destroy(p->loop);
    takt_rt_free(p->loop_buffers);
    takt_rt_free(p);
}

static void pacer_sched(const struct takt_driver *base, struct takt_sched *out)
{
    *out = ((const struct pacer *)base)->sched;
}

static const struct takt_driver_ops ops = {.start = pacer_start,
                                           .stop = pacer_stop,
                                           .close = pacer_close,
                                           .advance = pacer_advance,
                                           .now = pacer_now,
                                           .sched = pacer_sched};

static int make_loop(struct pacer *p, struct takt_error *e)
{
    uint32_t channels = p->cfg.loop_channels, host = p->cfg.host_frames;
    int err = takt_ring_create(
        &(struct takt_ring_cfg){.elem_bytes = channels * sizeof(float),
                                .capacity = (size_t)3 * host + p->cfg.loop_delay_frames},
        &p->loop, e);
    if (err < 0)
        return err;
    p->loop_buffers = takt_rt_alloc((size_t)3 * host * channels * sizeof(float));
    if (!p->loop_buffers)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    for (uint32_t c = 0; c < channels; c++) {
        p->loop_in[c] = p->loop_buffers + (size_t)c * host;
        p->loop_out[c] = p->loop_buffers + (size_t)(channels + c) * host;
    }
    p->frames = p->loop_buffers + (size_t)2 * channels * host;
    p->base.serves_in = p->base.serves_out = true;
    return 0;
}

int takt_pacer_open(const struct takt_pacer_cfg *cfg, struct takt_driver **out,
                    struct takt_error *e)
{
    *out = NULL;
    struct pacer *p = takt_rt_alloc(sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->cfg = *cfg;
    p->frame_ns = 1e9 / (cfg->rate_hz * (1 + cfg->ppm * 1e-6));
    p->base = (struct takt_driver){.ops = &ops,
                                   .host_block_frames = cfg->host_frames,
                                   .host_block_varies = cfg->varies && cfg->host_frames > 1,
                                   .latency_in_frames = cfg->host_frames,
                                   .latency_out_frames = cfg->host_frames};
    int err = cfg->loop_channels ? make_loop(p, e) : 0;
    if (err < 0) {
        pacer_close(&p->base);
        return err;
    }
    *out = &p->base;
    return 0;
}

uint32_t takt_pacer_block(const struct takt_driver_cfg *cfg)
{
    enum { LOW = 128, HIGH = 1024, LEAST = 16, MOST = 8192 };
    if (cfg->block_frames)
        return cfg->block_frames;
    if (cfg->latency_s > 0) {
        uint32_t block = LEAST;
        while (block < MOST && 2 * block <= cfg->latency_s * cfg->rate_hz)
            block *= 2;
        return block;
    }
    return cfg->latency_high ? HIGH : LOW;
}

int takt_pacer_open_plain(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                          struct takt_error *e)
{
    return takt_pacer_open(&(struct takt_pacer_cfg){.rate_hz = cfg->rate_hz,
                                                    .host_frames = takt_pacer_block(cfg),
                                                    .engine = cfg->engine,
                                                    .name = cfg->name,
                                                    .clock = cfg->clock,
                                                    .priority = cfg->priority,
                                                    .seed = cfg->seed},
                           out, e);
}
