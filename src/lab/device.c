/*
 * A sound card made of a script. Its timing is that of sim/pacer.h: a block is due when its last
 * frame is captured, and has to be ready when the next one is due; whoever comes later than that
 * loses whole blocks. What is in its buffers that nobody may read or hear is never silence, so that
 * using it shows.
 */
#include "base/assert.h"
#include "base/fail.h"
#include "device/plug.h"
#include "lab/lab.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const float garbage = 0.7771f; /* on no tape */
static struct takt_lab *lab;          /* whom the backend serves */

void takt_lab_device_use(struct takt_lab *l)
{
    lab = l;
}

/* ---- Chance ---------------------------------------------------------------------------------- */

static uint64_t below(struct takt_lab *l, uint64_t n)
{
    return takt_random_below(&l->device.chance, n);
}

/* Is it time for this fault? It is counted then. */
static bool strikes(struct takt_lab *l, enum takt_fault fault)
{
    if (!l->plan.odds[fault] || below(l, 1000000) >= l->plan.odds[fault])
        return false;
    takt_lab_inject(l, fault);
    if (l->cfg->trace)
        takt_lab_tell(l, "  step %llu: %s", (unsigned long long)l->step, takt_fault_name(fault));
    return true;
}

/* ---- Time ------------------------------------------------------------------------------------ */

static int64_t time_of(const struct takt_lab_device *d, uint64_t position)
{
    return (int64_t)((double)position * d->frame_ns + 0.5);
}

static uint32_t draw_frames(struct takt_lab *l)
{
    uint32_t host = l->device.host_frames;
    return l->plan.varies ? 1 + (uint32_t)below(l, host) : host;
}

static bool is_live(const struct takt_lab *l)
{
    return l->plan.in == TAKT_LAB_OWN || l->plan.in == TAKT_LAB_DRIVEN ||
           l->plan.out == TAKT_LAB_OWN || l->plan.out == TAKT_LAB_DRIVEN;
}

static uint64_t blocks_missed(const struct takt_lab *l, uint32_t frames, int64_t now_ns)
{
    const struct takt_lab_device *d = &l->device;
    uint64_t lost = 0;
    while (is_live(l) && now_ns >= time_of(d, d->position + lost + frames + d->next_frames))
        lost += d->next_frames;
    return lost;
}

static int64_t driver_now(struct takt_driver *base)
{
    struct takt_lab *l = lab;
    l->device.now_ns += l->device.work_ns;
    takt_lab_check_clock(l, l->device.now_ns);
    return l->device.now_ns;
}

/* ---- A cycle --------------------------------------------------------------------------------- */

static int64_t draw_late(struct takt_lab *l, uint32_t frames)
{
    double period = frames * l->device.frame_ns;
    double usual = l->plan.in == TAKT_LAB_OTHER ? 30e3 : period * 0.1;
    int64_t late = (int64_t)(usual * takt_random_unit(&l->device.chance));
    if (strikes(l, TAKT_FAULT_LATE_WAKE))
        late = (int64_t)(period * 3 * takt_random_unit(&l->device.chance));
    return late;
}

static void draw_work(struct takt_lab *l, uint32_t frames)
{
    double period = frames * l->device.frame_ns;
    double share = l->plan.work_permille / 1000.0 * takt_random_unit(&l->device.chance);
    if (strikes(l, TAKT_FAULT_OVERRUN))
        share = 3 * takt_random_unit(&l->device.chance);
    /* Several callbacks in one cycle share its time. */
    uint32_t block = l->plan.block_frames;
    if (block && block < frames)
        period *= (double)block / frames;
    l->device.work_ns = (int64_t)(period * share);
}

static bool is_away(struct takt_lab *l)
{
    struct takt_lab_device *d = &l->device;
    if (d->away_left)
        d->away_left--;
    else if (strikes(l, TAKT_FAULT_AWAY))
        d->away_left = (uint32_t)below(l, 40);
    else
        return false;
    return true;
}

/* The host's block changes between two cycles. */
static void change_host_block(struct takt_lab *l)
{
    struct takt_lab_device *d = &l->device;
    if (!strikes(l, TAKT_FAULT_HOST_BLOCK))
        return;
    d->base.host_block_frames = d->host_frames = 1 + (uint32_t)below(l, l->plan.host_max);
    d->next_frames = draw_frames(l);
    takt_lab_check_host_block(l, d->host_frames);
    takt_engine_host_block(d->engine, d->host_frames);
}

static void lay_buffers(struct takt_lab *l, struct takt_cycle *c)
{
    struct takt_lab_device *d = &l->device;
    bool away = c->flags & TAKT_DEVICE_AWAY;
    for (uint32_t ch = 0; ch < TAKT_LAB_CHANNELS; ch++) {
        d->in[ch] = away ? d->waste : takt_lab_tape_at(l->tape, TAKT_F32, d->position, ch);
        for (uint32_t i = 0; l->plan.out == TAKT_LAB_OWN && i < c->frames; i++)
            d->out[ch][i] = garbage;
    }
    c->in = l->plan.in == TAKT_LAB_OWN ? d->in : NULL;
    c->out = l->plan.out == TAKT_LAB_OWN ? d->out : NULL;
}

static bool run_cycle(struct takt_lab *l)
{
    struct takt_lab_device *d = &l->device;
    change_host_block(l);
    uint32_t frames = d->next_frames, flags = 0;
    uint64_t lost = strikes(l, TAKT_FAULT_LOST) ? 1 + below(l, 3ull * d->host_frames) : 0;
    d->position += lost;
    d->next_frames = draw_frames(l);
    int64_t due = time_of(d, d->position + frames);
    uint64_t busy = blocks_missed(l, frames, d->now_ns);
    int64_t owed = time_of(d, d->position + busy + frames + d->next_frames);
    int64_t wake = due + draw_late(l, frames);
    d->now_ns = wake > d->now_ns ? wake : d->now_ns;
    uint64_t missed = blocks_missed(l, frames, d->now_ns);
    d->position += missed;
    lost += missed;
    if (lost || strikes(l, TAKT_FAULT_XRUN))
        flags |= TAKT_INPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW;
    if (is_away(l))
        flags |= TAKT_DEVICE_AWAY;
    if (strikes(l, TAKT_FAULT_FREEWHEEL))
        flags |= TAKT_FREEWHEEL;
    d->starves = l->plan.in != TAKT_LAB_FILE && strikes(l, TAKT_FAULT_STARVED);
    d->is_full = l->plan.out != TAKT_LAB_FILE && strikes(l, TAKT_FAULT_FULL);
    draw_work(l, frames);
    struct takt_cycle c = {.frames = frames,
                           .flags = flags,
                           .lost_frames = lost,
                           .valid = TAKT_TIME_IN_FIRST | TAKT_TIME_NOW | TAKT_TIME_DEADLINE |
                                    TAKT_TIME_OUT_FIRST,
                           .due_known = true,
                           .due_ns = due,
                           .now_ns = d->now_ns,
                           .deadline_ns = time_of(d, d->position + frames + d->next_frames),
                           .owed_ns = missed > busy ? owed : 0,
                           .in_first_ns = time_of(d, d->position),
                           .out_first_ns = time_of(d, d->position + frames + d->next_frames)};
    lay_buffers(l, &c);
    takt_lab_check_before(l, &c);
    bool more = takt_engine_cycle(d->engine, &c);
    takt_lab_check_after(l, &c, more);
    d->position += frames;
    l->step++;
    l->run_step++;
    l->report->steps++;
    return more;
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void pass(struct takt_lab *l, enum takt_lab_turn turn)
{
    pthread_mutex_lock(&l->lock);
    l->turn = turn;
    pthread_cond_broadcast(&l->moved);
    while (turn == TAKT_LAB_CONTROLS && l->turn == TAKT_LAB_CONTROLS)
        pthread_cond_wait(&l->moved, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

void takt_lab_hand_back(struct takt_lab *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->turn == TAKT_LAB_CONTROLS)
        l->turn = TAKT_LAB_NOBODY;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

/* The control thread is about to end the stream, and waits in that call from then on: its order,
 * and the move that goes with it, are there before the next cycle. */
static void await_order(struct takt_lab *l)
{
    struct takt_core *g = l->core;
    while (atomic_load(&g->order) == TAKT_ORDER_RUN)
        sched_yield();
    for (;;) {
        int state = atomic_load(&g->state);
        if (state != TAKT_STATE_RUNNING && state != TAKT_STATE_LOST && state != TAKT_STATE_STARTING)
            break;
        sched_yield();
    }
    l->ordered = false;
    l->order = (enum takt_order)atomic_load(&g->order);
}

static bool is_controls_turn(const struct takt_lab *l)
{
    const struct takt_lab_plan *p = &l->plan;
    if (l->run_step == 0 || l->order != TAKT_ORDER_RUN)
        return false;
    bool by_control =
        p->end == TAKT_LAB_STOP || p->end == TAKT_LAB_ABORT || p->end == TAKT_LAB_DESTROY;
    return (by_control && l->run_step >= p->end_step) || (p->blocking && l->run_step % 4 == 0);
}

/* After a broken invariant the engine is only asked to end. */
static bool run_down(struct takt_lab *l)
{
    struct takt_lab_device *d = &l->device;
    atomic_store(&l->core->order, TAKT_ORDER_ABORT);
    struct takt_cycle c = {.frames = d->host_frames, .due_known = true};
    c.now_ns = c.due_ns = c.deadline_ns = d->now_ns;
    lay_buffers(l, &c);
    return takt_engine_cycle(d->engine, &c);
}

static void service(struct takt_lab *l)
{
    struct takt_lab_device *d = &l->device;
    if (strikes(l, TAKT_FAULT_DISK_SLOW))
        d->stalled_until = d->position + below(l, 8ull * l->plan.rate_hz);
    if (d->position >= d->stalled_until)
        takt_engine_service(d->engine);
}

static void *device_thread(void *arg)
{
    struct takt_lab *l = arg;
    struct takt_lab_device *d = &l->device;
    bool more = true;
    while (more && !atomic_load(&d->quit) && !takt_lab_is_broken(l)) {
        if (is_controls_turn(l))
            pass(l, TAKT_LAB_CONTROLS);
        if (l->ordered)
            await_order(l);
        service(l);
        more = run_cycle(l);
    }
    if (!takt_lab_is_broken(l))
        takt_lab_check_end(l);
    while (more && !atomic_load(&d->quit))
        more = run_down(l);
    pass(l, TAKT_LAB_OVER);
    return NULL;
}

/* ---- The driver ------------------------------------------------------------------------------ */

static int driver_start(struct takt_driver *base, struct takt_error *e)
{
    struct takt_lab *l = lab;
    struct takt_lab_device *d = &l->device;
    atomic_store(&d->quit, false);
    d->now_ns = 0;
    d->position = 0;
    d->away_left = 0;
    d->stalled_until = 0;
    d->next_frames = draw_frames(l);
    takt_lab_check_start(l);
    d->runs = !pthread_create(&d->thread, NULL, device_thread, l);
    return d->runs ? 0 : takt_fail(e, TAKT_ERR_SYSTEM, 0, "no thread");
}

static int driver_stop(struct takt_driver *base, int64_t timeout_ns, struct takt_error *e)
{
    struct takt_lab_device *d = &lab->device;
    atomic_store(&d->quit, true);
    if (d->runs)
        pthread_join(d->thread, NULL);
    d->runs = false;
    return 0;
}

/* Part of the lab. */
static void driver_close(struct takt_driver *base)
{
}

static const struct takt_driver_ops driver_ops = {
    .start = driver_start, .stop = driver_stop, .close = driver_close, .now = driver_now};

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    struct takt_lab *l = lab;
    struct takt_lab_device *d = &l->device;
    const struct takt_lab_plan *p = &l->plan;
    d->base = (struct takt_driver){.ops = &driver_ops,
                                   .host_block_frames = p->host_frames,
                                   .host_block_varies = p->varies,
                                   .host_block_max = p->host_max,
                                   .serves_in = p->in == TAKT_LAB_OWN,
                                   .serves_out = p->out == TAKT_LAB_OWN,
                                   .latency_in_frames = p->latency_in,
                                   .latency_out_frames = p->latency_out};
    d->engine = cfg->engine;
    d->host_frames = p->host_frames;
    d->frame_ns = 1e9 / (p->rate_hz * (1 + p->ppm * 1e-6));
    l->core = (struct takt_core *)cfg->engine;
    *out = &d->base;
    return 0;
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static uint32_t port_read(struct takt_port *base, float *const *out, uint32_t frames,
                          uint32_t *status)
{
    struct takt_lab_port *p = (struct takt_lab_port *)base;
    struct takt_lab *l = p->lab;
    bool has_end = l->plan.in == TAKT_LAB_PORT && l->plan.source_frames;
    uint32_t got = l->device.starves ? (uint32_t)below(l, frames) : frames;
    if (has_end && l->plan.source_frames - p->at <= got) {
        got = (uint32_t)(l->plan.source_frames - p->at);
        *status = TAKT_PORT_ENDED;
    } else if (got < frames) {
        *status = TAKT_PORT_SHORT;
    }
    for (uint32_t c = 0; c < p->channels; c++) {
        memcpy(out[c], takt_lab_tape_at(l->tape, TAKT_F32, p->at, c), got * sizeof(float));
        for (uint32_t i = got; i < frames; i++)
            out[c][i] = garbage;
    }
    takt_lab_check_read(l, p->at, got, frames, *status == TAKT_PORT_ENDED);
    p->at += got;
    return got;
}

static uint32_t port_write(struct takt_port *base, const float *const *in, uint32_t frames,
                           uint32_t *status)
{
    struct takt_lab_port *p = (struct takt_lab_port *)base;
    struct takt_lab *l = p->lab;
    uint32_t taken = l->device.is_full ? (uint32_t)below(l, frames) : frames;
    if (taken < frames)
        *status = TAKT_PORT_FULL;
    takt_lab_check_write(l, in, p->channels, frames, taken);
    return taken;
}

static void port_lost(struct takt_port *base, uint64_t frames)
{
    struct takt_lab_port *p = (struct takt_lab_port *)base;
    if (p->is_input && p->lab->plan.in == TAKT_LAB_DRIVEN)
        p->at += frames;
    if (p->is_input)
        p->lab->model.in_port_lost += frames;
    else
        p->lab->model.out_port_lost += frames;
}

static int port_start(struct takt_port *base, struct takt_error *e)
{
    struct takt_lab_port *p = (struct takt_lab_port *)base;
    p->at = 0;
    return 0;
}

static void port_close(struct takt_port *base)
{
    free(base);
}

static const struct takt_port_ops port_ops = {.read = port_read,
                                              .write = port_write,
                                              .lost = port_lost,
                                              .start = port_start,
                                              .close = port_close};

static int open_port(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e)
{
    struct takt_lab_port *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->base.ops = &port_ops;
    p->lab = lab;
    p->is_input = cfg->is_input;
    p->channels = cfg->channels;
    *out = &p->base;
    return 0;
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    *out = (struct takt_device_info){.backend = "lab",
                                     .in_channels_max = TAKT_LAB_CHANNELS,
                                     .out_channels_max = TAKT_LAB_CHANNELS,
                                     .rate_hz_default = 48000,
                                     .rate_hz_min = 8000,
                                     .rate_hz_max = 384000};
    return 0;
}

const struct takt_backend takt_lab_backend = {
    .scheme = "lab", .query = query, .open_port = open_port, .open_driver = open_driver};
