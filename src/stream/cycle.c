/*
 * One host block's way through the stream, on the device thread:
 *
 *     account for what happened since the last one (lost frames, device away)
 *     gather input: the driver's own buffers, or read from the port; short input is silence
 *     run the callback once for each block that this host block completes
 *     deliver output: into the driver's buffers, or write to the port
 *     close the deadline record; end the stream when its last frame has been heard
 *
 * When the callback's block is the host's, it works in the host's buffers and nothing is added.
 * Otherwise the two queues carry frames between the block sizes, the output one primed with
 * adapter_frames of silence, so that there is always enough for the host.
 *
 * Invariants: position counts every frame of the stream's clock, lost ones included; block N+1
 * begins where block N ended plus what was lost. Nothing here allocates, locks or waits.
 */
#include "base/assert.h"
#include "stream/core.h"
#include "stream/degrade.h"
#include "takt/time.h"

#include <string.h>

static int64_t clock_now(struct takt_core *g)
{
    return g->driver->ops->now ? g->driver->ops->now(g->driver) : takt_now_ns();
}

static int64_t frames_ns(const struct takt_core *g, int64_t frames)
{
    return (int64_t)((double)frames * g->frame_ns);
}

/* ---- Accounting ---------------------------------------------------------------------------- */

static void go_away(struct takt_core *g, bool away)
{
    if (away == g->away)
        return;
    g->away = away;
    takt_core_move(g, away ? TAKT_MOVE_LOSE : TAKT_MOVE_BACK);
    takt_degrade_away(g, away);
    if (away)
        g->away_since = g->position;
    takt_engine_event(&g->face, away ? TAKT_EVENT_DEVICE_LOST : TAKT_EVENT_DEVICE_BACK, TAKT_OK, 0,
                      away ? 0 : g->position - g->away_since, "");
}

static void port_lost(const struct takt_side *side, uint64_t frames)
{
    if (side->port && side->port->ops->lost)
        side->port->ops->lost(side->port, frames);
}

/* Cycles come from one thread at a time, but not for ever from the same. */
static void note_thread(struct takt_core *g)
{
    if (g->started &&
        pthread_equal(atomic_load_explicit(&g->thread, memory_order_relaxed), pthread_self()))
        return;
    atomic_store_explicit(&g->thread, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&g->thread_known, true, memory_order_release);
    g->guard = takt_guard_thread(g->guard_mode);
    if (g->contract)
        takt_contract_enter(g->contract, g->guard ? &g->guard->seen : NULL);
}

/* A stream that has a length does not become longer by what is lost at its end. */
static uint64_t lost_frames_that_count(const struct takt_core *g, uint64_t lost)
{
    if (!g->length_frames || g->position + lost <= g->length_frames)
        return lost;
    return g->length_frames > g->position ? g->length_frames - g->position : 0;
}

static void account(struct takt_core *g, const struct takt_cycle *c)
{
    if (!g->started) {
        g->started = true;
        takt_dll_start(&g->dll, c->now_ns);
        takt_core_move(g, TAKT_MOVE_STARTED);
        takt_engine_event(&g->face, TAKT_EVENT_STARTED, TAKT_OK, 0, 0, "");
    } else {
        takt_dll_update(&g->dll, c->now_ns, c->frames, c->lost_frames);
        if (g->contract)
            takt_contract_rate(g->contract, takt_dll_rate_hz(&g->dll), c->frames);
    }
    atomic_store_explicit(&g->now_shown, c->now_ns, memory_order_relaxed);
    uint64_t passed = g->last_cycle_frames + c->lost_frames;
    g->heard_left -= passed < g->heard_left ? passed : g->heard_left;
    g->last_cycle_frames = c->frames;
    go_away(g, c->flags & TAKT_DEVICE_AWAY);
    g->flags |= c->flags;
    uint64_t lost = lost_frames_that_count(g, c->lost_frames);
    if (c->lost_frames || c->flags & (TAKT_INPUT_OVERFLOW | TAKT_INPUT_UNDERFLOW |
                                      TAKT_OUTPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW)) {
        g->position += lost;
        g->lost_frames += lost;
        port_lost(&g->in, lost);
        port_lost(&g->out, lost - takt_degrade_lost(g, lost));
        g->contract_flags |= TAKT_CONTRACT_HOST_XRUN;
        takt_engine_event(&g->face, TAKT_EVENT_XRUN, TAKT_OK, 0, lost, "");
    }
}

/* ---- Input --------------------------------------------------------------------------------- */

static void silence(float *const *to, uint32_t channels, uint32_t from, uint32_t frames)
{
    for (uint32_t c = 0; c < channels; c++)
        memset(to[c] + from, 0, (frames - from) * sizeof(float));
}

/* Points in.host at this cycle's frames; returns how many of them are real. */
static uint32_t gather_input(struct takt_core *g, const struct takt_cycle *c)
{
    struct takt_side *in = &g->in;
    uint32_t got = c->frames;
    if (!in->channels)
        return got;
    if (g->away) {
        port_lost(in, c->frames);
        silence(in->scratch, in->device_channels, 0, c->frames);
        takt_soften_run(&in->seam, in->scratch, 0, c->frames);
    }
    float *const *from = in->scratch;
    if (!g->away && !in->port)
        from = takt_degrade_driver_input(g, c->in, c->frames);
    for (uint32_t ch = 0; ch < in->channels; ch++)
        in->host[ch] = from[in->map[ch]];
    if (g->away || !in->port)
        return got;
    uint32_t status = 0;
    got = g->in_ended ? 0 : in->port->ops->read(in->port, in->scratch, c->frames, &status);
    TAKT_ASSERT(got <= c->frames);
    silence(in->scratch, in->device_channels, got, c->frames);
    takt_degrade_port_input(g, got, c->frames, g->in_ended || status & TAKT_PORT_ENDED);
    if (status & TAKT_PORT_ENDED) {
        g->in_ended = true;
    } else if (status & TAKT_PORT_SHORT) {
        g->flags |= TAKT_INPUT_UNDERFLOW;
        g->contract_flags |= TAKT_CONTRACT_STARVED;
        got = c->frames; /* the silence stands for sound that came too late */
    }
    return got;
}

/* ---- The callback -------------------------------------------------------------------------- */

/* A host that goes faster than time has no deadline to keep. */
static bool records(const struct takt_core *g)
{
    return g->contract && !(g->cycle->flags & TAKT_FREEWHEEL);
}

static void close_record(struct takt_core *g, int64_t end_ns)
{
    if (!g->block_open)
        return;
    g->block_open = false;
    if (g->guard)
        takt_guard_look(g->guard);
    if (records(g))
        takt_contract_end(g->contract, end_ns, g->last_frame, g->contract_flags, g->lost_frames);
    g->contract_flags = 0;
    g->lost_frames = 0;
}

/* When the block that is open ended. Nobody asks the time of a model for a callback that was not
 * called: that would be taken for its end. */
static int64_t end_of_block(struct takt_core *g)
{
    if (!g->contract && g->bypass.cfg.mode == TAKT_BYPASS_OFF)
        return 0;
    return g->called || !g->virtual_clock ? clock_now(g) : g->begun_ns;
}

/* Every block of one cycle was woken by the same wake-up and shares its lateness. */
static void open_record(struct takt_core *g, uint32_t frames)
{
    const struct takt_cycle *c = g->cycle;
    int64_t now = c->now_ns, deadline = c->owed_ns ? c->owed_ns : c->deadline_ns;
    if (g->block_open) {
        deadline = c->deadline_ns; /* what was owed is the first one's to answer for */
        now = end_of_block(g);
        close_record(g, now);
    }
    g->block_open = true;
    g->begun_ns = now;
    if (records(g))
        takt_contract_begin(g->contract,
                            &(struct takt_contract_block){.due_ns = c->now_ns - g->lateness_ns,
                                                          .woken_ns = c->now_ns,
                                                          .begun_ns = now,
                                                          .deadline_ns = deadline,
                                                          .frames = frames});
}

static void fill_times(const struct takt_core *g, struct takt_block *b)
{
    const struct takt_cycle *c = g->cycle;
    b->now_ns = c->now_ns;
    b->deadline_ns = c->deadline_ns;
    b->times_valid = c->valid | TAKT_TIME_NOW;
    b->in_first_ns = c->in_first_ns;
    if (g->in.is_bridged) {
        uint32_t latency = atomic_load_explicit(&g->in.latency_frames, memory_order_relaxed);
        b->in_first_ns = takt_dll_due(&g->dll) - frames_ns(g, latency);
        b->times_valid |= TAKT_TIME_IN_FIRST;
    }
    b->out_first_ns = c->out_first_ns;
    if (g->adapted) {
        b->in_first_ns += frames_ns(g, (int64_t)c->frames - g->in.fifo.fill);
        b->out_first_ns += frames_ns(g, g->out.fifo.fill);
    }
}

/* How many of a block's frames count, with in_frames of real input. Ends the stream behind them
 * when the length is reached or the source has ended and its tail is through. */
static uint32_t frames_that_count(struct takt_core *g, uint32_t frames, uint32_t in_frames)
{
    uint32_t count = frames;
    if (g->in_ended && in_frames < frames) {
        uint64_t tail = frames - in_frames < g->tail_left ? frames - in_frames : g->tail_left;
        g->tail_left -= tail;
        count = in_frames + (uint32_t)tail;
        g->draining |= !g->tail_left;
    }
    if (g->length_frames && g->position + count >= g->length_frames) {
        count = g->length_frames > g->position ? (uint32_t)(g->length_frames - g->position) : 0;
        g->draining = true;
    }
    return count;
}

/* The queues' frames are on the move before the output is delivered. */
static void leave_for_after(struct takt_core *g, const struct takt_block *b)
{
    if (g->adapted) {
        g->after(b, g->arg);
        return;
    }
    g->after_block = *b;
    g->after_due = true;
}

/* What takes long here delays the next wake-up, for which nobody else is to blame. */
static void run_after(struct takt_core *g)
{
    g->after_due = false;
    g->after(&g->after_block, g->arg);
    if (records(g) && !g->virtual_clock)
        takt_contract_busy(g->contract, clock_now(g));
}

/* One callback on `frames` frames, of which in_frames are real input. Returns how many frames of
 * output count, from the first. */
static uint32_t run_block(struct takt_core *g, float *const *in, float *const *out, uint32_t frames,
                          uint32_t in_frames)
{
    open_record(g, frames);
    struct takt_block b = {.in_channels = g->in.channels,
                           .out_channels = g->out.channels,
                           .frames = frames,
                           .in_frames = in_frames,
                           .flags = g->flags | (in_frames < frames ? TAKT_INPUT_ENDED : 0),
                           .position = g->position,
                           .lost_frames = g->lost_frames};
    g->flags = 0;
    fill_times(g, &b);
    silence(out, b.out_channels, 0, frames);
    if (b.in_channels) {
        b.in = (const float *const *)in;
        b.in_data = (const void *const *)in;
        if (g->in.edge.used) {
            takt_edge_encode(&g->in.edge, in, frames);
            b.in_data = (const void *const *)g->in.edge.data;
            b.in = g->in.edge.format == TAKT_F32 ? (const float *const *)g->in.edge.data : NULL;
        }
    }
    if (b.out_channels) {
        b.out = out;
        b.out_data = (void *const *)out;
        if (g->out.edge.used) {
            takt_edge_silence(&g->out.edge, frames);
            b.out_data = g->out.edge.data;
            b.out = g->out.edge.format == TAKT_F32 ? (float *const *)g->out.edge.data : NULL;
        }
    }
    uint32_t count = frames_that_count(g, frames, in_frames);
    g->trim_frames = UINT32_MAX;
    enum takt_next next = TAKT_CONTINUE;
    bool calls = takt_degrade_calls(g, &b);
    if (calls) {
        next = g->process(&b, g->arg);
        if (g->out.edge.used)
            takt_edge_decode(&g->out.edge, out, frames);
    }
    takt_degrade_block(g, in, out, frames);

    if (next == TAKT_ABORT) {
        g->aborting = true;
        return 0;
    }
    if (g->after && calls)
        leave_for_after(g, &b);
    if (next == TAKT_DRAIN) {
        g->draining = true;
        count = count < g->trim_frames ? count : g->trim_frames;
    }
    g->last_frame = g->position + count;
    g->position += frames;
    atomic_store_explicit(&g->position_shown, g->last_frame, memory_order_relaxed);
    return count;
}

static void in_queue_take(struct takt_core *g, uint32_t frames)
{
    if (g->in.channels)
        takt_fifo_take(&g->in.fifo, frames);
}

/* Is there a block to run now? Input decides where there is input, else the host's need. */
static bool block_is_due(const struct takt_core *g, uint32_t host_frames)
{
    if (g->draining || g->aborting)
        return false;
    if (!g->in.channels)
        return g->out.fifo.fill < host_frames;
    if (g->in.fifo.fill >= g->block_frames)
        return true;
    return g->in_ended && (!g->out.channels || g->out.fifo.fill < host_frames);
}

/* The callback's block is not the host's. */
static void run_adapted(struct takt_core *g, uint32_t host_frames, uint32_t in_frames)
{
    if (g->in.channels && in_frames)
        takt_fifo_push(&g->in.fifo, g->in.host, in_frames);
    while (block_is_due(g, host_frames)) {
        uint32_t real = g->block_frames;
        if (g->in.channels && g->in.fifo.fill < g->block_frames) {
            real = g->in.fifo.fill;
            takt_fifo_push_silence(&g->in.fifo, g->block_frames - real);
        }
        if (!real && !g->tail_left) {
            g->draining = true;
            break;
        }
        float *tail[TAKT_CHANNELS_MAX];
        for (uint32_t c = 0; c < g->out.channels; c++)
            tail[c] = takt_fifo_tail(&g->out.fifo, c);
        uint32_t count = run_block(g, g->in.fifo.data, tail, g->block_frames, real);
        in_queue_take(g, g->block_frames);
        if (g->out.channels)
            takt_fifo_commit(&g->out.fifo, count);
    }
}

/* The callback's block is the host's: no copy, no delay. Returns the output frames that count. */
static uint32_t run_direct(struct takt_core *g, uint32_t host_frames, uint32_t in_frames)
{
    if (g->draining || g->aborting)
        return 0;
    if (!in_frames && !g->tail_left) {
        g->draining = true;
        return 0;
    }
    return run_block(g, g->in.host, g->out.host, host_frames, in_frames);
}

/* ---- Output -------------------------------------------------------------------------------- */

/* Points out.host at where this cycle's frames go, all silence. */
static void prepare_output(struct takt_core *g, const struct takt_cycle *c)
{
    struct takt_side *out = &g->out;
    if (!out->channels)
        return;
    float *const *to = out->port ? out->scratch : c->out;
    silence(to, out->device_channels, 0, c->frames);
    for (uint32_t ch = 0; ch < out->channels; ch++)
        out->host[ch] = to[out->map[ch]];
}

/* Gives the first `count` frames of out.host to the device; the rest is silence. */
static void deliver_output(struct takt_core *g, const struct takt_cycle *c, uint32_t count)
{
    struct takt_side *out = &g->out;
    if (!out->channels)
        return;
    if (g->aborting)
        count = 0;
    if (!out->port)
        silence(out->host, out->channels, count, c->frames);
    takt_degrade_output(g, count, c->frames);
    if ((count || takt_degrade_sounds(g)) && g->plays_out)
        g->heard_left =
            atomic_load_explicit(&out->latency_frames, memory_order_relaxed) + c->frames;
    if (!out->port)
        return;
    if (g->away && out->port_is_driven) {
        port_lost(out, c->frames);
        return;
    }
    uint32_t status = 0;
    uint32_t taken =
        count ? out->port->ops->write(out->port, (const float *const *)out->scratch, count, &status)
              : 0;
    TAKT_ASSERT(taken <= count);
    if (status & TAKT_PORT_FULL) {
        g->flags |= TAKT_OUTPUT_OVERFLOW;
        g->contract_flags |= TAKT_CONTRACT_WORKER_FULL;
        takt_degrade_sink_full(g);
    }
}

/* The output queue's share of this cycle. Returns the frames that count. */
static uint32_t output_from_queue(struct takt_core *g, uint32_t frames)
{
    struct takt_fifo *q = &g->out.fifo;
    if (!g->out.channels)
        return 0;
    uint32_t count = q->fill < frames ? q->fill : frames;
    TAKT_ASSERT(count == frames || g->draining || g->aborting || g->in_ended);
    for (uint32_t c = 0; c < g->out.channels; c++)
        memcpy(g->out.host[c], q->data[c], count * sizeof(float));
    takt_fifo_take(q, count);
    return count;
}

/* ---- The end ------------------------------------------------------------------------------- */

static bool finish(struct takt_core *g)
{
    if (g->finished)
        g->finished(g->last_frame, g->finished_arg);
    takt_engine_event(&g->face, TAKT_EVENT_FINISHED, TAKT_OK, 0, g->last_frame, "");
    takt_core_move(g, TAKT_MOVE_DONE);
    return false;
}

/* True while the stream has something left to do. */
static bool goes_on(struct takt_core *g)
{
    if (g->aborting) {
        takt_core_move(g, TAKT_MOVE_ABORT);
        return takt_degrade_sounds(g) || finish(g);
    }
    if (!g->draining)
        return true;
    takt_core_move(g, TAKT_MOVE_DRAIN);
    return (g->adapted && g->out.fifo.fill) || g->heard_left || finish(g);
}

static bool run_cycle(struct takt_core *g, const struct takt_cycle *c)
{
    TAKT_ASSERT(c->frames > 0 && c->frames <= g->host_frames_max);
    g->cycle = c;
    account(g, c);
    int order = atomic_load_explicit(&g->order, memory_order_acquire);
    g->aborting |= order == TAKT_ORDER_ABORT;
    g->draining |= order == TAKT_ORDER_DRAIN && !g->blocking;
    g->lateness_ns = c->now_ns - (c->due_known ? c->due_ns : takt_dll_due(&g->dll));

    prepare_output(g, c);
    bool was_ended = g->in_ended;
    uint32_t count;
    uint32_t in_frames = g->draining || g->aborting ? 0 : gather_input(g, c);
    if (g->adapted) {
        run_adapted(g, c->frames, in_frames);
        count = output_from_queue(g, c->frames);
    } else {
        count = run_direct(g, c->frames, in_frames);
    }
    deliver_output(g, c, count);
    if (g->block_open) {
        int64_t end_ns = end_of_block(g);
        close_record(g, end_ns);
        takt_degrade_judge(g, end_ns);
    }
    if (g->after_due)
        run_after(g);
    if (g->in_ended && !was_ended)
        takt_engine_event(&g->face, TAKT_EVENT_INPUT_ENDED, TAKT_OK, 0, g->last_frame, "");
    return goes_on(g);
}

static bool cycle(struct takt_engine *face, const struct takt_cycle *c)
{
    struct takt_core *g = (struct takt_core *)face;
    note_thread(g);
    takt_guard_enter(g->guard, g->position, __builtin_frame_address(0));
    bool more = run_cycle(g, c);
    takt_guard_leave(g->guard);
    return more;
}

/* The adapter begins anew, and what is in its queues is lost: captured frames that no callback saw,
 * over which the position goes on, and made ones that nobody will hear. */
static void drop_queues(struct takt_core *g)
{
    uint32_t unseen = g->in.fifo.fill, unheard = g->out.fifo.fill;
    if (!g->adapted || !(unseen + unheard))
        return;
    uint64_t lost = lost_frames_that_count(g, unseen);
    g->position += lost;
    g->lost_frames += lost;
    g->flags |= (unseen ? TAKT_INPUT_OVERFLOW : 0u) | (unheard ? TAKT_OUTPUT_UNDERFLOW : 0u);
    g->contract_flags |= TAKT_CONTRACT_HOST_XRUN;
    takt_engine_event(&g->face, TAKT_EVENT_XRUN, TAKT_OK, 0, unseen + unheard, "");
}

static void host_block(struct takt_engine *face, uint32_t frames)
{
    struct takt_core *g = (struct takt_core *)face;
    TAKT_ASSERT(frames > 0 && frames <= g->host_frames_max);
    if (frames == atomic_load_explicit(&g->host_frames, memory_order_relaxed))
        return;
    atomic_store_explicit(&g->host_frames, frames, memory_order_relaxed);
    drop_queues(g);
    takt_core_adapt(g);
    takt_degrade_new_queues(g);
    g->flags |= TAKT_PRIMING * g->adapted;
    if (g->contract)
        takt_contract_period(g->contract, frames);
    takt_engine_event(&g->face, TAKT_EVENT_HOST_BLOCK, TAKT_OK, 0, frames, "");
}

static void latency(struct takt_engine *face, uint32_t in_frames, uint32_t out_frames)
{
    struct takt_core *g = (struct takt_core *)face;
    if (!g->in.is_bridged)
        atomic_store_explicit(&g->in.latency_frames, in_frames, memory_order_relaxed);
    atomic_store_explicit(&g->out.latency_frames, out_frames, memory_order_relaxed);
}

void takt_core_adapt(struct takt_core *g)
{
    uint32_t block = g->block_frames, host = atomic_load(&g->host_frames);
    bool varies = g->driver->host_block_varies;
    g->adapted = block && (block != host || varies);
    uint32_t adapter = g->adapted ? takt_adapter_frames(block, host, varies) : 0;
    atomic_store_explicit(&g->adapter_frames, adapter, memory_order_relaxed);
    g->in.fifo.fill = g->out.fifo.fill = 0;
    if (g->adapted && g->in.channels && g->out.channels)
        takt_fifo_push_silence(&g->out.fifo, adapter);
}

static void service(struct takt_engine *face)
{
    struct takt_core *g = (struct takt_core *)face;
    struct takt_side *const sides[] = {&g->in, &g->out};
    for (int i = 0; i < 2; i++)
        if (sides[i]->port && sides[i]->port->ops->service)
            sides[i]->port->ops->service(sides[i]->port);
}

static void event(struct takt_engine *face, enum takt_event_type type, enum takt_err code,
                  int os_errno, uint64_t value, const char *text)
{
    struct takt_core *g = (struct takt_core *)face;
    struct takt_event ev = {
        .type = type,
        .code = code,
        .os_errno = os_errno,
        .time_ns = atomic_load_explicit(&g->now_shown, memory_order_relaxed),
        .position = atomic_load_explicit(&g->position_shown, memory_order_relaxed),
        .value = value,
    };
    enum { KEPT_FREE = 64 }; /* for events that come once and say what became of the stream */
    bool may_be_many =
        type == TAKT_EVENT_XRUN || type == TAKT_EVENT_LOG || type == TAKT_EVENT_SINK_LOST;
    size_t n = strnlen(text, sizeof ev.text - 1);
    memcpy(ev.text, text, n);
    atomic_fetch_add_explicit(&g->event_counts[type], 1, memory_order_relaxed);
    takt_event_queue_push_spare(g->events, &ev, may_be_many ? KEPT_FREE : 0);
}

const struct takt_engine_ops takt_core_ops = {.cycle = cycle,
                                              .host_block = host_block,
                                              .latency = latency,
                                              .service = service,
                                              .event = event};
