/*
 * A stream's life, on the control thread: create opens the devices and takes all the memory,
 * start and stop move the state and bound every wait, destroy gives everything back.
 *
 * Invariants: `control` is held during every control call, so there is one at a time. No cycle
 * runs while the state is STOPPED and to_put_away is false; only then does the control thread
 * touch what belongs to the device thread.
 */
#include "stream/stream.h"

#include "base/assert.h"
#include "base/fail.h"
#include "rt/background.h"
#include "rt/memory.h"
#include "rt/resident.h"
#include "stream/bridge.h"
#include "stream/chain.h"
#include "stream/convert.h"
#include "stream/degrade.h"
#include "sync/futex.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <stdlib.h>
#include <string.h>

static const int64_t ms_ns = 1000000;

/* ---- Moves and waits ------------------------------------------------------------------------ */

int takt_core_move(struct takt_core *g, enum takt_move move)
{
    int to = takt_state_move(&g->state, move);
    if (to >= 0) {
        atomic_fetch_add_explicit(&g->moved, 1, memory_order_release);
        takt_futex_wake_all(&g->moved);
    }
    return to;
}

enum takt_state takt_core_await(struct takt_core *g, bool (*done)(enum takt_state),
                                int64_t until_ns)
{
    for (;;) {
        uint32_t seen = atomic_load_explicit(&g->moved, memory_order_acquire);
        enum takt_state state = (enum takt_state)atomic_load(&g->state);
        if (done(state) || (until_ns >= 0 && takt_now_ns() >= until_ns))
            return state;
        takt_futex_wait(&g->moved, seen, until_ns);
    }
}

static bool is_at_rest(enum takt_state state)
{
    return state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK;
}

static bool is_started(enum takt_state state)
{
    return state != TAKT_STATE_STARTING;
}

/* ---- Errors --------------------------------------------------------------------------------- */

static int keep_error(struct takt_stream *s, const struct takt_error *e)
{
    pthread_mutex_lock(&s->error_lock);
    s->error = *e;
    pthread_mutex_unlock(&s->error_lock);
    return e->code;
}

void takt_stream_error(const struct takt_stream *s, struct takt_error *out)
{
    struct takt_stream *mine = (struct takt_stream *)(uintptr_t)s;
    pthread_mutex_lock(&mine->error_lock);
    *out = s->error;
    pthread_mutex_unlock(&mine->error_lock);
}

/* ---- Create --------------------------------------------------------------------------------- */

/* Lays buffers out one behind the other. With base NULL it only counts, so that the same code
 * first measures and then places. */
struct layout {
    char *base;
    size_t used;
};

static void *place(struct layout *l, size_t bytes)
{
    enum { LINE = 64 };
    void *at = l->base ? l->base + l->used : NULL;
    l->used += (bytes + LINE - 1) / LINE * LINE;
    return at;
}

static void place_side(struct takt_side *side, struct layout *l, uint32_t host_frames,
                       uint32_t block_frames, uint32_t queue_frames)
{
    for (uint32_t c = 0; c < side->device_channels; c++)
        side->scratch[c] = place(l, host_frames * sizeof(float));
    side->fifo.channels = side->channels;
    side->fifo.capacity = queue_frames;
    for (uint32_t c = 0; queue_frames && c < side->channels; c++)
        side->fifo.data[c] = place(l, queue_frames * sizeof(float));
    for (uint32_t b = 0; side->edge.used && b < takt_edge_buffers(&side->edge); b++)
        side->edge.data[b] = place(l, takt_edge_bytes(&side->edge, block_frames));
}

static uint32_t fade_frames(const struct takt_stream *s)
{
    double ms = s->plan.cfg.fade_ms != 0 ? s->plan.cfg.fade_ms : 2;
    if (ms < 0)
        return 0;
    double frames = ms * s->engine.rate_hz / 1000;
    return frames < 1 ? 1 : (uint32_t)frames;
}

static void place_seams(struct takt_stream *s, float *ramp, uint32_t fade)
{
    struct takt_core *g = &s->engine;
    takt_soften_ramp(ramp, fade);
    takt_soften_init(&g->in.seam, ramp, s->plan.cfg.fade_input_off ? 0 : fade,
                     g->in.device_channels);
    takt_soften_init(&g->out.seam, ramp, fade, g->out.channels);
    takt_soften_init(&g->block_seam, ramp, fade, g->out.channels);
}

static int place_buffers(struct takt_stream *s, struct takt_error *e)
{
    struct takt_core *g = &s->engine;
    uint32_t host = g->host_frames_max, block = s->actual.block_frames_max;
    bool queues = g->adapted || (g->block_frames && g->driver->host_block_max);
    uint32_t fade = fade_frames(s);
    float *ramp = NULL;
    struct layout l = {0};
    for (int pass = 0; pass < 2; pass++) {
        ramp = place(&l, fade * sizeof(float));
        place_side(&g->in, &l, host, block, queues ? block + host : 0);
        place_side(&g->out, &l, host, block, queues ? 3 * block + host : 0);
        if (pass)
            break;
        s->buffers = takt_rt_alloc(l.used ? l.used : 1);
        if (!s->buffers)
            return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for %zu bytes of buffers",
                             l.used);
        l = (struct layout){.base = s->buffers};
    }
    place_seams(s, ramp, fade);
    return 0;
}

static void init_side(struct takt_side *side, const struct takt_plan_side *plan,
                      const struct takt_stream_cfg *cfg, bool is_input)
{
    side->channels = plan->channels;
    side->device_channels = plan->device_channels;
    memcpy(side->map, plan->map, sizeof side->map);
    side->edge = (struct takt_edge){
        .used = side->channels && (cfg->format != TAKT_F32 || cfg->layout == TAKT_INTERLEAVED),
        .channels = side->channels,
        .format = cfg->format,
        .layout = cfg->layout,
    };
    for (uint32_t c = 0; c < side->channels; c++)
        takt_encode_init(&side->edge.coder[c], is_input ? cfg->dither : TAKT_DITHER_OFF, cfg->clip,
                         cfg->seed + c);
}

/* What any driver of the stream is told. */
static struct takt_driver_cfg driver_cfg(const struct takt_stream *s,
                                         const struct takt_side_cfg *side)
{
    const struct takt_stream_cfg *c = &s->plan.cfg;
    return (struct takt_driver_cfg){
        .latency_s = side->latency == TAKT_LATENCY_SECONDS ? side->latency_s : 0,
        .latency_high = side->latency == TAKT_LATENCY_HIGH,
        .priority = c->priority,
        .clock = c->clock,
        .seed = c->seed,
        .timeout_ns = c->timeout_ms * ms_ns,
        .name = c->name,
    };
}

static int open_driver(struct takt_stream *s, struct takt_error *e)
{
    const struct takt_plan *p = &s->plan;
    bool serves_in = p->in.backend == p->clock && !p->in.is_bridged;
    struct takt_driver_cfg cfg =
        driver_cfg(s, p->out.backend == p->clock ? &p->cfg.out : &p->cfg.in);
    cfg.in_rest = serves_in ? p->in.rest : NULL;
    cfg.out_rest = p->out.backend == p->clock ? p->out.rest : NULL;
    cfg.in_channels = serves_in ? p->in.device_channels : 0;
    cfg.out_channels = p->out.device_channels;
    cfg.rate_hz = p->cfg.rate_hz;
    cfg.block_frames = p->cfg.block_frames;
    cfg.engine = &s->engine.face;
    return p->clock->open_driver(&cfg, &s->engine.driver, e);
}

/* The input's device at the rate of the stream if it can, else at its own. */
static int open_bridge(struct takt_stream *s, struct takt_error *e)
{
    const struct takt_plan *p = &s->plan;
    const struct takt_device_info *i = &p->in.info;
    uint32_t rate_hz = p->cfg.rate_hz;
    bool can = rate_hz >= i->rate_hz_min && rate_hz <= i->rate_hz_max;
    struct takt_bridge_cfg cfg = {
        .backend = p->in.backend,
        .id = p->in.id,
        .rest = p->in.rest,
        .rate_hz = rate_hz,
        .own_hz = can ? rate_hz : i->rate_hz_default,
        .channels = p->in.device_channels,
        .core = &s->engine,
        .block_frames_max = s->engine.host_frames_max,
        .driver = driver_cfg(s, &p->cfg.in),
    };
    cfg.driver.block_frames = s->engine.driver->host_block_frames;
    cfg.driver.stepped = p->cfg.clock == TAKT_CLOCK_VIRTUAL;
    return takt_bridge_open(&cfg, &s->engine.in.port, e);
}

static int open_port(struct takt_stream *s, struct takt_side *side,
                     const struct takt_plan_side *plan, const struct takt_side_cfg *side_cfg,
                     bool is_input, struct takt_error *e)
{
    const struct takt_driver *d = s->engine.driver;
    const struct takt_stream_cfg *c = &s->plan.cfg;
    bool driven = plan->backend == s->plan.clock;
    side->is_bridged = plan->is_bridged;
    if (plan->is_bridged)
        return open_bridge(s, e);
    if (!plan->backend || (driven && (is_input ? d->serves_in : d->serves_out)))
        return 0;
    side->port_is_driven = driven && plan->backend->has_clock;
    struct takt_port_cfg cfg = {
        .rest = plan->rest,
        .is_input = is_input,
        .rate_hz = c->rate_hz,
        .channels = plan->device_channels,
        .block_frames_max = s->engine.host_frames_max,
        .format = side_cfg->device_format,
        .dither = c->dither,
        .clip = c->clip,
        .clock = c->clock,
        .seed = c->seed,
        .buffer_s = side_cfg->buffer_s,
        .timeout_ns = c->timeout_ms * ms_ns,
        .engine = &s->engine.face,
    };
    /* What the buffer promises to hold may have to be written after the last block. */
    if (!is_input && side_cfg->buffer_s * 1e9 > (double)cfg.timeout_ns)
        cfg.timeout_ns = (int64_t)(side_cfg->buffer_s * 1e9);
    if (!plan->own_hz)
        return plan->backend->open_port(&cfg, &side->port, e);
    struct takt_port_cfg own = cfg;
    struct takt_port *inner;
    own.rate_hz = plan->own_hz;
    own.block_frames_max = takt_convert_need(cfg.block_frames_max, cfg.rate_hz, plan->own_hz);
    int err = plan->backend->open_port(&own, &inner, e);
    return err < 0 ? err : takt_convert_open(&cfg, plan->own_hz, inner, &side->port, e);
}

/* What the granted driver makes of the plan. */
static void settle(struct takt_stream *s)
{
    struct takt_core *g = &s->engine;
    const struct takt_stream_cfg *c = &s->plan.cfg;
    const struct takt_driver *d = g->driver;
    bool live_in = s->plan.in.backend && s->plan.in.backend->has_clock && !s->plan.in.is_bridged;
    bool live_out = s->plan.out.backend && s->plan.out.backend->has_clock;
    g->rate_hz = c->rate_hz;
    g->frame_ns = 1e9 / c->rate_hz;
    g->virtual_clock = c->clock == TAKT_CLOCK_VIRTUAL;
    g->block_frames = c->block_frames;
    g->host_frames_max =
        d->host_block_max > d->host_block_frames ? d->host_block_max : d->host_block_frames;
    g->host_frames = d->host_block_frames;
    g->adapted =
        c->block_frames && (c->block_frames != d->host_block_frames || d->host_block_varies);
    g->plays_out = live_out;
    g->in.latency_frames = live_in ? d->latency_in_frames : 0;
    g->out.latency_frames = live_out ? d->latency_out_frames : 0;
    g->guard_mode = takt_guard_begin(c->guard);
    g->length_frames = c->length_frames;
    g->tail_frames = c->tail_frames;
    g->process = c->process;
    g->arg = c->arg;
    if (!c->process && c->chain) {
        g->process = takt_chain_process;
        g->arg = c->chain;
    }
    g->chain = c->chain;
    g->bypass.cfg = c->bypass;
    if (g->blocking)
        g->bypass.cfg.mode = TAKT_BYPASS_OFF;
    g->after = c->process ? c->after : NULL;
    g->finished = c->finished;
    g->finished_arg = c->arg;
    bool fixed = c->block_frames || !d->host_block_varies;
    uint32_t block = c->block_frames ? c->block_frames : g->host_frames_max;
    s->actual = (struct takt_stream_actual){
        .rate_hz = c->rate_hz,
        .source_hz = s->plan.in.own_hz ? s->plan.in.own_hz : c->rate_hz,
        .block_frames = fixed ? c->block_frames ? c->block_frames : d->host_block_frames : 0,
        .block_frames_max = block,
        .in_channels = g->in.channels,
        .out_channels = g->out.channels,
        .format = c->format,
        .layout = c->layout,
        .clock = c->clock,
        .in_device = s->plan.in.id ? s->plan.in.id : "",
        .out_device = s->plan.out.id ? s->plan.out.id : "",
    };
}

static int bind_chain(struct takt_stream *s, struct takt_error *e)
{
    const struct takt_core *g = &s->engine;
    struct takt_chain_use use = {.rate_hz = g->rate_hz,
                                 .channels = g->out.channels,
                                 .block_frames_max = s->actual.block_frames_max,
                                 .host_frames = g->driver->host_block_frames,
                                 .virtual_clock = g->virtual_clock};
    return g->chain ? takt_chain_bind(g->chain, &use, e) : 0;
}

static int build(struct takt_stream *s, const struct takt_stream_cfg *cfg, struct takt_error *e)
{
    struct takt_core *g = &s->engine;
    struct takt_stream_cfg *c = &s->plan.cfg;
    g->face.ops = &takt_core_ops;
    int err = takt_plan_init(&s->plan, cfg, e);
    if (err < 0)
        return err;
    g->blocking = !c->process && !c->chain;
    enum takt_layout asked_layout = c->layout;
    if (g->blocking)
        c->layout = TAKT_INTERLEAVED; /* the rings hold whole frames */
    init_side(&g->in, &s->plan.in, c, true);
    init_side(&g->out, &s->plan.out, c, false);
    if ((err = takt_event_queue_create(sizeof(struct takt_event), 256, &g->events, e)) < 0 ||
        (err = open_driver(s, e)) < 0)
        return err;
    settle(s);
    s->actual.layout = asked_layout;
    if ((err = open_port(s, &g->in, &s->plan.in, &c->in, true, e)) < 0 ||
        (err = open_port(s, &g->out, &s->plan.out, &c->out, false, e)) < 0 ||
        (err = place_buffers(s, e)) < 0 || (err = bind_chain(s, e)) < 0)
        return err;
    if (!c->contract_off &&
        (err = takt_contract_create(
             &(struct takt_contract_cfg){.rate_hz = g->rate_hz,
                                         .period_frames = g->driver->host_block_frames,
                                         .virtual_clock = c->clock == TAKT_CLOCK_VIRTUAL},
             &g->contract, e)) < 0)
        return err;
    takt_resident_begin();
    return g->blocking ? takt_blocking_init(s, c->buffer_frames, e) : 0;
}

int takt_stream_create(const struct takt_stream_cfg *cfg, struct takt_stream **out,
                       struct takt_error *e)
{
    *out = NULL;
    struct takt_stream *s = takt_rt_alloc(sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    pthread_mutex_init(&s->control, NULL);
    pthread_mutex_init(&s->error_lock, NULL);
    int err = build(s, cfg, e);
    if (err < 0) {
        takt_stream_destroy(s);
        return err;
    }
    takt_core_reset(&s->engine);
    *out = s;
    return 0;
}

int takt_stream_check(const struct takt_stream_cfg *cfg, struct takt_error *e)
{
    struct takt_stream *s;
    int err = takt_stream_create(cfg, &s, e);
    takt_stream_destroy(s);
    return err;
}

/* ---- Start and stop ------------------------------------------------------------------------- */

void takt_core_reset(struct takt_core *g)
{
    g->started = g->away = g->draining = g->aborting = g->in_ended = g->block_open = false;
    takt_core_adapt(g);
    g->flags = TAKT_PRIMING * (g->adapter_frames > 0);
    g->contract_flags = 0;
    g->lost_frames = g->position = g->last_frame = g->heard_left = g->away_since = 0;
    g->last_cycle_frames = 0;
    g->tail_left = g->tail_frames;
    takt_degrade_reset(g);
    takt_dll_init(&g->dll, 1.0, g->rate_hz, g->driver->host_block_frames);
    if (g->contract)
        takt_contract_reset(g->contract);
    for (int i = 0; i < TAKT_EVENT_TYPES; i++)
        atomic_store(&g->event_counts[i], 0);
    atomic_store(&g->order, TAKT_ORDER_RUN);
    atomic_store(&g->position_shown, 0);
    atomic_store(&g->now_shown, 0);
    atomic_store(&g->thread_known, false);
}

static int start_port(struct takt_port *port, struct takt_error *e)
{
    return port && port->ops->start ? port->ops->start(port, e) : 0;
}

static int stop_port(struct takt_port *port, struct takt_error *e)
{
    return port && port->ops->stop ? port->ops->stop(port, e) : 0;
}

/* Stops what is behind a run whose last cycle is over. Returns the first error. */
static int put_away(struct takt_stream *s)
{
    struct takt_core *g = &s->engine;
    if (!s->to_put_away)
        return s->run_err;
    struct takt_error e = {0}, late = {0};
    int err = g->driver->ops->stop(g->driver, s->plan.cfg.timeout_ms * ms_ns, &e);
    if (err == TAKT_ERR_TIMEOUT) {
        atomic_store(&g->state, TAKT_STATE_STUCK);
        return keep_error(s, &e);
    }
    s->to_put_away = false;
    if (g->contract)
        takt_contract_rest(g->contract);
    struct takt_port *ports[] = {g->in.port, g->out.port};
    for (int i = 0; i < 2; i++) {
        int port_err = stop_port(ports[i], &late);
        if (port_err < 0 && err >= 0) {
            err = port_err;
            e = late;
        }
    }
    s->run_err = err < 0 ? keep_error(s, &e) : 0;
    return s->run_err;
}

static bool is_own_callback(const struct takt_stream *s)
{
    const struct takt_core *g = &s->engine;
    return atomic_load_explicit(&g->thread_known, memory_order_acquire) &&
           pthread_equal(atomic_load_explicit(&g->thread, memory_order_relaxed), pthread_self());
}

static int refuse(struct takt_stream *s, const char *call)
{
    struct takt_error e;
    if (is_own_callback(s))
        takt_fail(&e, TAKT_ERR_STATE, 0,
                  "%s: not from the callback; return TAKT_DRAIN or TAKT_ABORT there", call);
    else
        takt_fail(&e, TAKT_ERR_STATE, 0, "%s: the stream is %s", call,
                  takt_state_name(takt_stream_state(s)));
    return keep_error(s, &e);
}

/* Waits for the first cycle. */
static int await_first_cycle(struct takt_stream *s, struct takt_error *e)
{
    struct takt_core *g = &s->engine;
    int64_t timeout_ns = s->plan.cfg.timeout_ms * ms_ns;
    if (takt_core_await(g, is_started, takt_now_ns() + timeout_ns) != TAKT_STATE_STARTING)
        return 0;
    struct takt_error ignored;
    if (g->driver->ops->stop(g->driver, timeout_ns, &ignored) == TAKT_ERR_TIMEOUT) {
        takt_core_move(g, TAKT_MOVE_TIMEOUT);
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "the device hangs: no block within %u ms",
                         s->plan.cfg.timeout_ms);
    }
    return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "the device gave no block within %u ms",
                     s->plan.cfg.timeout_ms);
}

static int start_devices(struct takt_stream *s, struct takt_error *e)
{
    struct takt_core *g = &s->engine;
    int err = start_port(g->in.port, e);
    if (err < 0)
        return err;
    if ((err = start_port(g->out.port, e)) < 0)
        goto stop_in;
    if ((err = g->driver->ops->start(g->driver, e)) < 0)
        goto stop_out;
    s->to_put_away = true;
    if ((err = await_first_cycle(s, e)) < 0)
        goto stop_out;
    return 0;
stop_out:
    stop_port(g->out.port, NULL);
stop_in:
    stop_port(g->in.port, NULL);
    return err;
}

int takt_stream_start(struct takt_stream *s)
{
    struct takt_core *g = &s->engine;
    if (is_own_callback(s))
        return refuse(s, "start");
    pthread_mutex_lock(&s->control);
    if (takt_stream_state(s) == TAKT_STATE_STOPPED)
        put_away(s);
    int err = 0;
    if (takt_core_move(g, TAKT_MOVE_START) < 0) {
        err = refuse(s, "start");
    } else {
        struct takt_error e = {0};
        s->run_err = 0;
        takt_core_reset(g);
        if (g->blocking)
            takt_blocking_clear(s);
        if (g->contract)
            takt_contract_follow(g->contract, NULL);
        if ((err = start_devices(s, &e)) < 0) {
            keep_error(s, &e);
            if (takt_core_move(g, TAKT_MOVE_FAIL) >= 0) {
                s->to_put_away = false;
                if (g->contract)
                    takt_contract_rest(g->contract);
            }
        }
    }
    pthread_mutex_unlock(&s->control);
    return err;
}

/* How long the sound that is on its way may take, beside the timeout. */
static int64_t drain_ns(const struct takt_stream *s)
{
    const struct takt_core *g = &s->engine;
    uint64_t frames = g->out.latency_frames + 4ull * s->actual.host_block_frames +
                      g->adapter_frames + g->out.seam.ramp_frames +
                      (g->blocking ? takt_blocking_pending_max(s) : 0);
    return (int64_t)((double)frames * g->frame_ns);
}

static int end(struct takt_stream *s, enum takt_order order, enum takt_move move)
{
    struct takt_core *g = &s->engine;
    if (is_own_callback(s))
        return refuse(s, "stop");
    pthread_mutex_lock(&s->control);
    int err;
    if (takt_stream_state(s) == TAKT_STATE_STUCK) {
        err = refuse(s, "stop");
    } else {
        atomic_store_explicit(&g->order, order, memory_order_release);
        takt_core_move(g, move);
        int64_t until = takt_now_ns() + s->plan.cfg.timeout_ms * ms_ns + drain_ns(s);
        if (is_at_rest(takt_core_await(g, is_at_rest, until))) {
            err = put_away(s);
        } else {
            struct takt_error e;
            takt_core_move(g, TAKT_MOVE_TIMEOUT);
            takt_fail(&e, TAKT_ERR_TIMEOUT, 0,
                      "the stream did not stop within %u ms: the device or the callback hangs",
                      s->plan.cfg.timeout_ms);
            err = keep_error(s, &e);
        }
    }
    pthread_mutex_unlock(&s->control);
    return err;
}

int takt_stream_stop(struct takt_stream *s)
{
    return end(s, TAKT_ORDER_DRAIN, TAKT_MOVE_DRAIN);
}

int takt_stream_abort(struct takt_stream *s)
{
    return end(s, TAKT_ORDER_ABORT, TAKT_MOVE_ABORT);
}

int takt_stream_wait(struct takt_stream *s, int64_t timeout_ms)
{
    struct takt_core *g = &s->engine;
    if (is_own_callback(s))
        return refuse(s, "wait");
    int64_t until = timeout_ms < 0 ? -1 : takt_now_ns() + timeout_ms * ms_ns;
    enum takt_state state = takt_core_await(g, is_at_rest, until);
    if (!is_at_rest(state))
        return TAKT_ERR_TIMEOUT;
    pthread_mutex_lock(&s->control);
    int err = TAKT_ERR_TIMEOUT;
    if (takt_stream_state(s) == TAKT_STATE_STOPPED)
        err = put_away(s);
    pthread_mutex_unlock(&s->control);
    return err;
}

/* Gives everything back. No cycle runs any more. */
static void release(struct takt_stream *s)
{
    struct takt_core *g = &s->engine;
    if (g->driver)
        g->driver->ops->close(g->driver);
    struct takt_port *ports[] = {g->in.port, g->out.port};
    for (int i = 0; i < 2; i++)
        if (ports[i])
            ports[i]->ops->close(ports[i]);
    takt_blocking_fini(s);
    takt_contract_destroy(g->contract);
    takt_event_queue_destroy(g->events);
    takt_rt_free(s->buffers);
    takt_plan_fini(&s->plan);
    pthread_mutex_destroy(&s->control);
    pthread_mutex_destroy(&s->error_lock);
    takt_rt_free(s);
}

/* Waits, out of everybody's way, for a callback that hangs, and then releases its stream. */
static void *bury(void *stream)
{
    struct takt_stream *s = stream;
    struct takt_core *g = &s->engine;
    while (g->driver->ops->stop(g->driver, 1000 * ms_ns, NULL) == TAKT_ERR_TIMEOUT)
        ;
    stop_port(g->in.port, NULL);
    stop_port(g->out.port, NULL);
    release(s);
    return NULL;
}

void takt_stream_destroy(struct takt_stream *s)
{
    if (!s)
        return;
    if (s->engine.driver)
        takt_stream_abort(s);
    if (takt_stream_state(s) != TAKT_STATE_STUCK) {
        release(s);
        return;
    }
    takt_background(bury, s); /* if there is no thread to be had, the stream stays */
}

/* ---- Questions ------------------------------------------------------------------------------ */

enum takt_state takt_stream_state(const struct takt_stream *s)
{
    return (enum takt_state)atomic_load_explicit(&s->engine.state, memory_order_acquire);
}

void takt_stream_actual(const struct takt_stream *s, struct takt_stream_actual *out)
{
    const struct takt_core *g = &s->engine;
    *out = s->actual;
    out->host_block_frames = atomic_load_explicit(&g->host_frames, memory_order_relaxed);
    out->block_frames =
        out->block_frames && !g->block_frames ? out->host_block_frames : out->block_frames;
    out->adapter_frames = atomic_load_explicit(&g->adapter_frames, memory_order_relaxed);
    out->latency_in_frames = atomic_load_explicit(&g->in.latency_frames, memory_order_relaxed);
    if (s->plan.in.is_bridged) {
        struct takt_bridge_state bridge;
        takt_bridge_read_state(g->in.port, &bridge);
        out->bridge_frames = bridge.queue_frames;
        out->bridge_drift_ppm = bridge.drift_ppm;
        out->bridge_gaps = bridge.gaps;
        out->bridge_settled = bridge.settled;
    }
    out->latency_out_frames = atomic_load_explicit(&g->out.latency_frames, memory_order_relaxed);
    out->latency_in_s = (double)out->latency_in_frames / out->rate_hz;
    out->latency_out_s = (double)(out->latency_out_frames + out->adapter_frames) / out->rate_hz;
}

bool takt_stream_recording(const struct takt_stream *s, struct takt_recording *out)
{
    const struct takt_port *p = s->engine.out.port;
    memset(out, 0, sizeof *out);
    if (!p || !p->ops->recording)
        return false;
    p->ops->recording(p, out);
    return true;
}

const struct takt_contract *takt_stream_contract(const struct takt_stream *s)
{
    return s->engine.contract;
}

void takt_stream_sched(const struct takt_stream *s, struct takt_sched *out)
{
    const struct takt_driver *d = s->engine.driver;
    memset(out, 0, sizeof *out);
    if (d->ops->sched)
        d->ops->sched(d, out);
}

int64_t takt_stream_time_ns(const struct takt_stream *s)
{
    if (s->plan.cfg.clock == TAKT_CLOCK_REAL)
        return takt_now_ns();
    return atomic_load_explicit(&s->engine.now_shown, memory_order_relaxed);
}

uint64_t takt_stream_position(const struct takt_stream *s)
{
    return atomic_load_explicit(&s->engine.position_shown, memory_order_relaxed);
}

double takt_stream_cpu_load(const struct takt_stream *s)
{
    return s->engine.contract ? takt_contract_cpu_load(s->engine.contract) : 0;
}

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void takt_stream_health(const struct takt_stream *s, struct takt_health *out)
{
    const struct takt_health_shown *h = &s->engine.health;
    const struct takt_chain *chain = s->engine.chain;
    *out = (struct takt_health){
        .is_bypassed = atomic_load_explicit(&h->is_bypassed, memory_order_relaxed),
        .bypassed_since = load(&h->bypassed_since),
        .bypasses = load(&h->bypasses),
        .retries = load(&h->retries),
        .bypassed_frames = load(&h->bypassed_frames),
        .fades = load(&h->fades),
        .shed = chain ? takt_chain_shed(chain) : 0,
        .sheds = chain ? takt_chain_sheds(chain) : 0,
    };
}

int takt_stream_event_fd(const struct takt_stream *s)
{
    return takt_event_queue_fd(s->engine.events);
}

uint64_t takt_stream_event_count(const struct takt_stream *s, enum takt_event_type type)
{
    if ((unsigned)type >= TAKT_EVENT_TYPES)
        return 0;
    return atomic_load_explicit(&s->engine.event_counts[type], memory_order_relaxed);
}

int takt_stream_next_event(struct takt_stream *s, struct takt_event *out)
{
    return takt_event_queue_pop(s->engine.events, out);
}
