/*
 * A stream is one node in PipeWire's graph, of one of two sorts:
 *
 *   a filter, where both sides are PipeWire's, or nobody keeps the session: one port a channel,
 *   with links of our own to the target's ports. The callback works in the server's buffers, at
 *   the graph's rate, and nothing is added.
 *
 *   a stream, where one side is: the session manager links it, people find it in their mixer, and
 *   PipeWire converts where the rate or the channels are not the device's.
 *
 * The server's data thread brings the cycles. They count only while everything that was asked for
 * is connected; else the keeper of device/host.c goes on in silence, and we link again as soon as
 * the target is back. `pipewire:` means the default at any time, a name only that node.
 *
 * The quantum is asked for, and not forced: all programs share it, and the engine's adapter keeps
 * the callback's block whatever it is.
 *
 * Sources: pipewire/filter.h, pipewire/stream.h and spa/node/io.h of PipeWire 0.3.65.
 */
#include "device/pipewire_link.h"

#include "base/assert.h"
#include "base/fail.h"
#include "device/pipewire_graph.h"
#include "rt/memory.h"
#include "takt/time.h"

#include <math.h>
#include <spa/param/audio/format-utils.h>
#include <spa/param/audio/type-info.h>
#include <spa/param/latency-utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MAX = 8192, LOW_FRAMES = 256, HIGH_FRAMES = 2048 };
enum { SETTLED_CYCLES = 3 }; /* of one length: the quantum is what it will be */
static const int64_t ms_ns = 1000000;
static const int64_t return_ns = 400 * 1000000; /* one try to find what went away */

/* One side's latency, as its ports or its stream tell it. The loop or the data thread writes it,
 * the data thread reads it; a moment's mixture of old and new is harmless. */
struct latency {
    _Atomic float quanta;
    _Atomic int64_t frames, ns;
};

/* A link of ours in the graph. */
struct cable {
    struct pw_proxy *proxy;
    struct spa_hook proxy_hook, link_hook;
    struct side *side;
    uint32_t from, to; /* ports */
    bool is_ready, is_dead;
};

struct side {
    struct takt_pipewire *owner;
    bool used, is_input;
    char target[TAKT_PW_NAME_BYTES]; /* after the scheme; "" is the default */
    uint32_t channels;
    void *ports[TAKT_CHANNELS_MAX]; /* a filter's */
    struct cable cables[TAKT_CHANNELS_MAX];
    struct latency latency;
};

struct takt_pipewire {
    struct takt_link base;
    char name[64];
    uint32_t rate_hz, block_frames;
    double latency_s;
    bool latency_high, is_real_time;
    int64_t timeout_ns;
    struct side in, out;
    struct takt_pw_graph graph;
    struct pw_filter *filter;
    struct pw_stream *stream;
    struct spa_hook hook;
    bool was_open;
    uint32_t varying_frames; /* longest block of a stream that is resampled; once known it stays */

    _Atomic bool begun; /* cycles are for the engine */
    _Atomic bool whole; /* everything that was asked for is connected */
    _Atomic uint32_t quantum, graph_rate_hz, cycles_alike;
    _Atomic uint32_t in_latency, out_latency; /* frames, as of the last cycle */
    _Atomic bool loops;                       /* the input is the monitor of the output */
    _Atomic uint32_t monitored; /* the sink whose monitor the input is; SPA_ID_INVALID: none */
    struct spa_io_position *_Atomic position; /* a stream's */

    /* The data thread. */
    bool counts;
    uint32_t clock_id;
    uint64_t next_position;
    uint32_t told_in, told_out;
    float silence[BLOCK_MAX], nowhere[BLOCK_MAX];
};

/* ---- Cycles: on the data thread -------------------------------------------------------------- */

static uint32_t frames_at(uint64_t frames, uint32_t to_hz, uint32_t from_hz)
{
    return (uint32_t)lround((double)frames * to_hz / from_hz);
}

static uint32_t latency_frames(const struct latency *l, uint32_t quantum, uint32_t rate_hz)
{
    double frames = (double)atomic_load_explicit(&l->quanta, memory_order_relaxed) * quantum +
                    (double)atomic_load_explicit(&l->frames, memory_order_relaxed) +
                    (double)atomic_load_explicit(&l->ns, memory_order_relaxed) * rate_hz / 1e9;
    return frames > 0 && frames < 1e9 ? (uint32_t)lround(frames) : 0;
}

/* A sink that drives the graph gives to its monitor what it was given in the cycle before. One that
 * follows is heard in the same cycle, but for what we play ourselves. */
static bool hears_the_cycle_before(const struct takt_pipewire *p, const struct spa_io_clock *clock)
{
    uint32_t sink = atomic_load_explicit(&p->monitored, memory_order_relaxed);
    return (sink != SPA_ID_INVALID && sink == clock->id) ||
           atomic_load_explicit(&p->loops, memory_order_relaxed);
}

static void look_at_latencies(struct takt_pipewire *p, const struct spa_io_clock *clock)
{
    uint32_t quantum = frames_at(clock->duration, p->rate_hz, clock->rate.denom);
    uint32_t in = latency_frames(&p->in.latency, quantum, p->rate_hz);
    in += hears_the_cycle_before(p, clock) ? quantum : 0;
    uint32_t out = latency_frames(&p->out.latency, quantum, p->rate_hz);
    atomic_store_explicit(&p->in_latency, in, memory_order_relaxed);
    atomic_store_explicit(&p->out_latency, out, memory_order_relaxed);
    /* While the keeper makes the cycles, to tell of it would be to wait for it. */
    if (!atomic_load_explicit(&p->begun, memory_order_acquire) ||
        atomic_load_explicit(&p->base.away, memory_order_acquire) ||
        (in == p->told_in && out == p->told_out))
        return;
    p->told_in = in;
    p->told_out = out;
    takt_link_latency(&p->base, in, out);
}

/* How far the graph's clock went on without us, in graph frames. */
static uint64_t skipped_frames(struct takt_pipewire *p, const struct spa_io_clock *clock)
{
    bool follows = p->counts && clock->id == p->clock_id;
    int64_t skipped = follows ? (int64_t)(clock->position - p->next_position) : 0;
    p->counts = true;
    p->clock_id = clock->id;
    p->next_position = clock->position + clock->duration;
    return skipped > 0 ? (uint64_t)skipped : 0;
}

static void note_quantum(struct takt_pipewire *p, const struct spa_io_clock *clock)
{
    uint32_t quantum = (uint32_t)clock->duration;
    bool alike = quantum == atomic_load_explicit(&p->quantum, memory_order_relaxed) &&
                 atomic_load_explicit(&p->whole, memory_order_relaxed);
    atomic_store_explicit(&p->quantum, quantum, memory_order_relaxed);
    atomic_store_explicit(&p->graph_rate_hz, clock->rate.denom, memory_order_relaxed);
    uint32_t so_far = atomic_load_explicit(&p->cycles_alike, memory_order_relaxed);
    atomic_store_explicit(&p->cycles_alike, alike ? so_far + 1 : 0, memory_order_release);
}

/* One cycle of the graph for the engine. False: silence is to be played. */
static bool bring_cycle(struct takt_pipewire *p, const struct spa_io_clock *clock, uint32_t frames,
                        const float *const *in, float *const *out)
{
    int64_t now = takt_now_ns();
    uint64_t skipped = skipped_frames(p, clock);
    note_quantum(p, clock);
    look_at_latencies(p, clock);
    if (!atomic_load_explicit(&p->begun, memory_order_acquire) ||
        !atomic_load_explicit(&p->whole, memory_order_acquire))
        return false;
    double frame_ns = 1e9 / p->rate_hz;
    int64_t due = (int64_t)clock->nsec;
    int64_t period = (int64_t)(clock->duration * 1e9 / clock->rate.denom);
    /* A driver that does not tell its time, or tells it by another clock. */
    bool known = due <= now && now - due < 1000 * ms_ns;
    int64_t deadline = (int64_t)clock->next_nsec;
    if (!known)
        due = now;
    if (deadline <= due || deadline - due > 2 * period)
        deadline = due + period;
    uint32_t in_latency = atomic_load_explicit(&p->in_latency, memory_order_relaxed);
    uint32_t out_latency = atomic_load_explicit(&p->out_latency, memory_order_relaxed);
    struct takt_cycle c = {
        .frames = frames,
        .in = p->in.used ? in : NULL,
        .out = p->out.used ? out : NULL,
        .flags = (skipped && p->in.used ? TAKT_INPUT_OVERFLOW : 0u) |
                 (skipped && p->out.used ? TAKT_OUTPUT_UNDERFLOW : 0u) |
                 (clock->flags & SPA_IO_CLOCK_FLAG_FREEWHEEL ? TAKT_FREEWHEEL : 0u),
        .lost_frames = skipped * p->rate_hz / clock->rate.denom,
        .valid = TAKT_TIME_NOW | TAKT_TIME_DEADLINE |
                 (known ? TAKT_TIME_IN_FIRST | TAKT_TIME_OUT_FIRST : 0u),
        .due_known = known,
        .due_ns = due,
        .now_ns = now,
        .deadline_ns = deadline,
        .in_first_ns = due - (int64_t)(in_latency * frame_ns),
        .out_first_ns = due + (int64_t)(out_latency * frame_ns),
    };
    return takt_link_cycle(&p->base, &c);
}

static bool is_usable(const struct spa_io_position *position)
{
    return position && position->clock.duration && position->clock.duration <= BLOCK_MAX &&
           position->clock.rate.denom;
}

static void filter_process(void *arg, struct spa_io_position *position)
{
    struct takt_pipewire *p = arg;
    takt_pw_on_data_thread();
    if (!is_usable(position))
        return;
    uint32_t frames = (uint32_t)position->clock.duration;
    bool is_ours = !atomic_load_explicit(&p->begun, memory_order_acquire) ||
                   position->clock.rate.denom == p->rate_hz; /* else the device is away */
    const float *in[TAKT_CHANNELS_MAX];
    float *out[TAKT_CHANNELS_MAX];
    for (uint32_t c = 0; c < p->in.channels; c++) {
        in[c] = pw_filter_get_dsp_buffer(p->in.ports[c], frames);
        in[c] = in[c] ? in[c] : p->silence; /* nothing is linked there */
    }
    for (uint32_t c = 0; c < p->out.channels; c++) {
        out[c] = pw_filter_get_dsp_buffer(p->out.ports[c], frames);
        out[c] = out[c] ? out[c] : p->nowhere;
    }
    if (!is_ours || !bring_cycle(p, &position->clock, frames, in, out))
        for (uint32_t c = 0; c < p->out.channels; c++)
            memset(out[c], 0, frames * sizeof(float));
}

static void note_stream_latency(struct takt_pipewire *p)
{
    struct latency *l = p->in.used ? &p->in.latency : &p->out.latency;
    struct pw_time t;
    if (pw_stream_get_time_n(p->stream, &t, sizeof t) < 0 || !t.rate.denom)
        return;
    double ours = (double)t.rate.num * p->rate_hz / t.rate.denom; /* frames to one of the graph's */
    /* What waits in the converter has, captured, not gone through it yet. */
    double frames = (double)t.delay * ours + (double)t.buffered * (p->in.used ? ours : 1);
    atomic_store_explicit(&l->frames, (int64_t)frames, memory_order_relaxed);
}

/* PipeWire's own buffer may hold fewer frames than the graph wants; it then asks again. */
static uint32_t stream_frames(const struct takt_pipewire *p, const struct pw_buffer *b,
                              const struct spa_io_position *position)
{
    const struct spa_data *first = &b->buffer->datas[0];
    if (p->in.used)
        return first->chunk->size / (uint32_t)sizeof(float);
    uint64_t frames = b->requested ? b->requested : position->clock.duration;
    uint64_t room = first->maxsize / sizeof(float);
    frames = frames < room ? frames : room;
    return frames < BLOCK_MAX ? (uint32_t)frames : BLOCK_MAX;
}

static void stream_process(void *arg)
{
    struct takt_pipewire *p = arg;
    takt_pw_on_data_thread();
    struct spa_io_position *position = atomic_load(&p->position);
    struct pw_buffer *b = pw_stream_dequeue_buffer(p->stream);
    if (!b)
        return;
    uint32_t channels = p->in.used ? p->in.channels : p->out.channels;
    if (is_usable(position) && b->buffer->n_datas >= channels && b->buffer->datas[0].data) {
        uint32_t frames = stream_frames(p, b, position);
        const float *in[TAKT_CHANNELS_MAX];
        float *out[TAKT_CHANNELS_MAX];
        for (uint32_t c = 0; c < channels; c++) {
            struct spa_data *d = &b->buffer->datas[c];
            in[c] = (const float *)d->data + d->chunk->offset / sizeof(float);
            out[c] = d->data;
            if (p->out.used)
                *d->chunk = (struct spa_chunk){.size = frames * (uint32_t)sizeof(float),
                                               .stride = sizeof(float)};
        }
        note_stream_latency(p);
        bool played = frames && bring_cycle(p, &position->clock, frames, in, out);
        for (uint32_t c = 0; p->out.used && !played && c < channels; c++)
            memset(out[c], 0, frames * sizeof(float));
        b->size = frames;
    }
    pw_stream_queue_buffer(p->stream, b);
}

/* ---- Links of a filter: on the loop, or with its lock ---------------------------------------- */

static void drop_cable(struct cable *c)
{
    if (!c->proxy)
        return;
    spa_hook_remove(&c->link_hook);
    spa_hook_remove(&c->proxy_hook);
    pw_proxy_destroy(c->proxy);
    c->proxy = NULL;
    c->is_ready = c->is_dead = false;
}

static void connect_all(void *arg);

static void server_lost(void *arg)
{
    struct takt_pipewire *p = arg;
    atomic_store(&p->whole, false);
    takt_link_lost(&p->base);
}

static void cable_removed(void *arg)
{
    struct cable *c = arg;
    c->is_dead = true;
    connect_all(c->side->owner);
}

/* Nothing may change here that would make it work, so everything begins anew. */
static void give_up_cable(struct cable *c)
{
    struct takt_pipewire *p = c->side->owner;
    c->is_dead = true;
    c->is_ready = false;
    if (atomic_load(&p->begun))
        server_lost(p);
}

static void cable_failed(void *arg, int seq, int res, const char *message)
{
    give_up_cable(arg);
}

static void cable_told(void *arg, const struct pw_link_info *info)
{
    struct cable *c = arg;
    bool was_ready = c->is_ready;
    if (info->state == PW_LINK_STATE_ERROR) {
        give_up_cable(c);
        return;
    }
    c->is_ready = info->state >= PW_LINK_STATE_PAUSED;
    if (c->is_ready != was_ready)
        connect_all(c->side->owner);
}

static const struct pw_proxy_events cable_events = {
    .version = PW_VERSION_PROXY_EVENTS, .removed = cable_removed, .error = cable_failed};
static const struct pw_link_events cable_link_events = {.version = PW_VERSION_LINK_EVENTS,
                                                        .info = cable_told};

static void lay_cable(struct side *side, struct cable *c, uint32_t from, uint32_t to)
{
    char from_text[16], to_text[16];
    snprintf(from_text, sizeof from_text, "%u", from);
    snprintf(to_text, sizeof to_text, "%u", to);
    struct spa_dict_item items[] = {SPA_DICT_ITEM_INIT(PW_KEY_LINK_OUTPUT_PORT, from_text),
                                    SPA_DICT_ITEM_INIT(PW_KEY_LINK_INPUT_PORT, to_text)};
    *c = (struct cable){.side = side, .from = from, .to = to};
    c->proxy =
        pw_core_create_object(side->owner->graph.core, "link-factory", PW_TYPE_INTERFACE_Link,
                              PW_VERSION_LINK, &SPA_DICT_INIT_ARRAY(items), 0);
    if (!c->proxy)
        return;
    pw_proxy_add_listener(c->proxy, &c->proxy_hook, &cable_events, c);
    pw_link_add_listener((struct pw_link *)c->proxy, &c->link_hook, &cable_link_events, c);
}

/* Which ports cable k of this side should join. False: none. A single channel is heard from all
 * ports of a sink, as people expect of one; else channel k is port k. */
static bool ports_of_cable(const struct side *side, uint32_t k, uint32_t *from, uint32_t *to)
{
    const struct takt_pw_graph *g = &side->owner->graph;
    bool is_monitor, fans_out = !side->is_input && side->channels == 1;
    const struct takt_pw_node *n = takt_pw_graph_find(g, side->target, side->is_input, &is_monitor);
    uint32_t us = pw_filter_get_node_id(side->owner->filter);
    if (!n || us == SPA_ID_INVALID || (k >= side->channels && !fans_out))
        return false;
    const struct takt_pw_port *theirs =
        takt_pw_graph_port(g, n->id, !side->is_input, is_monitor, k);
    const struct takt_pw_port *ours =
        takt_pw_graph_port(g, us, side->is_input, false, fans_out ? 0 : k);
    if (!theirs || !ours)
        return false;
    *from = side->is_input ? theirs->id : ours->id;
    *to = side->is_input ? ours->id : theirs->id;
    return true;
}

/* Makes this side's links what they should be now. True: they are, and sound may flow. */
static bool connect_side(struct side *side)
{
    bool all = true;
    uint32_t count = 0;
    for (uint32_t k = 0; k < TAKT_CHANNELS_MAX; k++) {
        struct cable *c = &side->cables[k];
        uint32_t from = 0, to = 0;
        bool wanted = ports_of_cable(side, k, &from, &to);
        if (c->proxy && (!wanted || c->is_dead || c->from != from || c->to != to))
            drop_cable(c);
        if (!wanted)
            break;
        if (!c->proxy)
            lay_cable(side, c, from, to);
        all &= c->proxy && c->is_ready;
        count++;
    }
    for (uint32_t k = count; k < TAKT_CHANNELS_MAX; k++)
        drop_cable(&side->cables[k]);
    return all && count;
}

/* A node does not hear itself within a cycle: what it plays comes back by the monitor in the next
 * one. The ports of a loop cannot tell of that, as it is our own doing. */
static void note_loop(struct takt_pipewire *p)
{
    bool is_monitor, ignored;
    const struct takt_pw_node *in = takt_pw_graph_find(&p->graph, p->in.target, true, &is_monitor);
    const struct takt_pw_node *out = takt_pw_graph_find(&p->graph, p->out.target, false, &ignored);
    atomic_store(&p->loops, p->in.used && p->out.used && in && in == out && is_monitor);
    atomic_store(&p->monitored, p->in.used && in && is_monitor ? in->id : SPA_ID_INVALID);
}

/* Whatever changed, things are made as they should be; called again when that has had effect. */
static void connect_all(void *arg)
{
    struct takt_pipewire *p = arg;
    bool whole = true;
    if (p->filter) {
        /* Output first, so that in a loop it is the way back that costs the cycle. */
        if (p->out.used)
            whole &= connect_side(&p->out);
        if (p->in.used)
            whole &= connect_side(&p->in);
        note_loop(p);
    } else if (p->stream) {
        whole = pw_stream_get_state(p->stream, NULL) == PW_STREAM_STATE_STREAMING &&
                takt_pw_graph_is_connected(&p->graph, pw_stream_get_node_id(p->stream));
        note_loop(p);
    } else {
        return;
    }
    atomic_store_explicit(&p->whole, whole, memory_order_release);
}

/* ---- The node -------------------------------------------------------------------------------- */

static void filter_state(void *arg, enum pw_filter_state old, enum pw_filter_state state,
                         const char *error)
{
    if (state == PW_FILTER_STATE_ERROR || (state == PW_FILTER_STATE_UNCONNECTED && old > state))
        server_lost(arg);
    else
        connect_all(arg);
}

static void filter_param(void *arg, void *port, uint32_t id, const struct spa_pod *param)
{
    struct takt_pipewire *p = arg;
    struct spa_latency_info info;
    if (id != SPA_PARAM_Latency || !param || !port || spa_latency_parse(param, &info) < 0)
        return;
    struct side *side = info.direction == SPA_DIRECTION_OUTPUT ? &p->in : &p->out;
    if (!side->used || port != side->ports[0])
        return;
    atomic_store(&side->latency.quanta, info.max_quantum);
    atomic_store(&side->latency.frames, info.max_rate);
    atomic_store(&side->latency.ns, (int64_t)info.max_ns);
}

static const struct pw_filter_events filter_events = {.version = PW_VERSION_FILTER_EVENTS,
                                                      .state_changed = filter_state,
                                                      .param_changed = filter_param,
                                                      .process = filter_process};

static void stream_state(void *arg, enum pw_stream_state old, enum pw_stream_state state,
                         const char *error)
{
    if (state == PW_STREAM_STATE_ERROR || (state == PW_STREAM_STATE_UNCONNECTED && old > state))
        server_lost(arg);
    else
        connect_all(arg);
}

static void stream_io(void *arg, uint32_t id, void *area, uint32_t size)
{
    struct takt_pipewire *p = arg;
    if (id == SPA_IO_Position)
        atomic_store(&p->position, size >= sizeof(struct spa_io_position) ? area : NULL);
}

static const struct pw_stream_events stream_events = {.version = PW_VERSION_STREAM_EVENTS,
                                                      .state_changed = stream_state,
                                                      .io_changed = stream_io,
                                                      .process = stream_process};

uint32_t takt_pw_quantum_low(uint32_t quantum)
{
    return quantum < LOW_FRAMES ? quantum : LOW_FRAMES;
}

uint32_t takt_pw_quantum_high(uint32_t quantum)
{
    return quantum > HIGH_FRAMES ? quantum : HIGH_FRAMES;
}

static uint32_t wished_quantum(const struct takt_pipewire *p)
{
    if (p->block_frames)
        return p->block_frames;
    if (p->latency_s > 0)
        return p->latency_s * p->rate_hz < 1 ? 1 : (uint32_t)(p->latency_s * p->rate_hz);
    return p->latency_high ? takt_pw_quantum_high(p->graph.quantum)
                           : takt_pw_quantum_low(p->graph.quantum);
}

static struct pw_properties *node_properties(const struct takt_pipewire *p, const char *category)
{
    struct pw_properties *props =
        pw_properties_new(PW_KEY_MEDIA_TYPE, "Audio", PW_KEY_MEDIA_CATEGORY, category,
                          PW_KEY_MEDIA_ROLE, "Music", PW_KEY_NODE_NAME, p->name,
                          PW_KEY_NODE_DESCRIPTION, p->name, PW_KEY_APP_NAME, p->name, NULL);
    if (!props)
        return NULL;
    pw_properties_setf(props, PW_KEY_NODE_LATENCY, "%u/%u", wished_quantum(p), p->rate_hz);
    pw_properties_setf(props, PW_KEY_NODE_RATE, "1/%u", p->rate_hz);
    return props;
}

static int add_ports(struct takt_pipewire *p, struct side *side, struct takt_error *e)
{
    enum pw_direction direction = side->is_input ? PW_DIRECTION_INPUT : PW_DIRECTION_OUTPUT;
    for (uint32_t c = 0; c < side->channels; c++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%u", side->is_input ? "in" : "out", c + 1);
        side->ports[c] =
            pw_filter_add_port(p->filter, direction, PW_FILTER_PORT_FLAG_MAP_BUFFERS, 0,
                               pw_properties_new(PW_KEY_FORMAT_DSP, "32 bit float mono audio",
                                                 PW_KEY_PORT_NAME, name, NULL),
                               NULL, 0);
        if (!side->ports[c])
            return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    return 0;
}

static int make_filter(struct takt_pipewire *p, struct takt_error *e)
{
    p->filter = pw_filter_new(p->graph.core, p->name, node_properties(p, "Filter"));
    if (!p->filter)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    pw_filter_add_listener(p->filter, &p->hook, &filter_events, p);
    int err = add_ports(p, &p->in, e);
    err = err ? err : add_ports(p, &p->out, e);
    if (err < 0)
        return err;
    err = pw_filter_connect(p->filter, PW_FILTER_FLAG_RT_PROCESS, NULL, 0);
    return err < 0 ? takt_fail(e, TAKT_ERR_IO, -err, "pipewire: the server makes no node for us")
                   : 0;
}

/* "FL" of "Spa:Enum:AudioChannel:FL". */
static const char *short_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

/* The target's own channels in their order, so that channel k is its port k. */
static void take_positions(const struct takt_pipewire *p, const struct side *side,
                           const struct takt_pw_node *target, bool is_monitor,
                           struct spa_audio_info_raw *info)
{
    if (!side->is_input && side->channels == 1) {
        info->position[0] = SPA_AUDIO_CHANNEL_MONO; /* heard from all */
        return;
    }
    for (uint32_t c = 0; c < side->channels; c++) {
        const struct takt_pw_port *port =
            takt_pw_graph_port(&p->graph, target->id, !side->is_input, is_monitor, c);
        info->position[c] = SPA_AUDIO_CHANNEL_AUX0 + c;
        for (const struct spa_type_info *t = spa_type_audio_channel; port && t->name; t++)
            if (spa_streq(short_name(t->name), port->channel))
                info->position[c] = t->type;
    }
}

static int make_stream(struct takt_pipewire *p, struct takt_error *e)
{
    struct side *side = p->in.used ? &p->in : &p->out;
    bool is_monitor;
    const struct takt_pw_node *target =
        takt_pw_graph_find(&p->graph, side->target, side->is_input, &is_monitor);
    TAKT_ASSERT(target);
    struct pw_properties *props = node_properties(p, side->is_input ? "Capture" : "Playback");
    struct spa_audio_info_raw info = {
        .format = SPA_AUDIO_FORMAT_F32P, .rate = p->rate_hz, .channels = side->channels};
    take_positions(p, side, target, is_monitor, &info);
    if (props && *side->target)
        pw_properties_set(props, PW_KEY_TARGET_OBJECT, target->name);
    if (props && is_monitor)
        pw_properties_set(props, PW_KEY_STREAM_CAPTURE_SINK, "true");
    if (props && info.position[0] != SPA_AUDIO_CHANNEL_MONO)
        pw_properties_set(props, PW_KEY_STREAM_DONT_REMIX, "true");
    p->stream = pw_stream_new(p->graph.core, p->name, props);
    if (!p->stream)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    pw_stream_add_listener(p->stream, &p->hook, &stream_events, p);
    uint8_t bytes[1024];
    struct spa_pod_builder b;
    spa_pod_builder_init(&b, bytes, sizeof bytes);
    const struct spa_pod *format = spa_format_audio_raw_build(&b, SPA_PARAM_EnumFormat, &info);
    int err = pw_stream_connect(
        p->stream, side->is_input ? PW_DIRECTION_INPUT : PW_DIRECTION_OUTPUT, PW_ID_ANY,
        PW_STREAM_FLAG_AUTOCONNECT | PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_RT_PROCESS |
            (*side->target ? PW_STREAM_FLAG_DONT_RECONNECT : 0),
        &format, 1);
    return err < 0 ? takt_fail(e, TAKT_ERR_IO, -err, "pipewire: the server makes no node for us")
                   : 0;
}

/* ---- The link -------------------------------------------------------------------------------- */

static int missing(const struct side *side, struct takt_error *e)
{
    const char *what = side->is_input ? "source" : "sink";
    if (!*side->target)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "pipewire: there is no %s", what);
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "pipewire:%.80s: there is no such %s; see takt devices", side->target, what);
}

static bool is_there(const struct takt_pipewire *p, const struct side *side)
{
    bool is_monitor;
    const struct takt_pw_node *n =
        side->used ? takt_pw_graph_find(&p->graph, side->target, side->is_input, &is_monitor)
                   : NULL;
    return !side->used ||
           (n && takt_pw_graph_port(&p->graph, n->id, !side->is_input, is_monitor, 0));
}

/* Gives the loop a moment. False: no use in going on. */
static bool may_wait(struct takt_pipewire *p, int64_t until_ns)
{
    if (p->graph.is_lost || takt_now_ns() >= until_ns)
        return false;
    pw_thread_loop_unlock(p->graph.loop);
    takt_sleep_until_ns(takt_now_ns() + 2 * ms_ns);
    pw_thread_loop_lock(p->graph.loop);
    return true;
}

/* A server that has just come back may still be making its nodes. */
static int find_targets(struct takt_pipewire *p, struct takt_error *e)
{
    int64_t until = p->was_open ? takt_now_ns() + return_ns : 0;
    while (!is_there(p, &p->in) || !is_there(p, &p->out))
        if (!may_wait(p, until))
            return missing(is_there(p, &p->in) ? &p->out : &p->in, e);
    return 0;
}

/* The first cycles tell what was granted. */
static int await_cycles(struct takt_pipewire *p, int64_t until_ns, struct takt_error *e)
{
    while (atomic_load_explicit(&p->cycles_alike, memory_order_acquire) < SETTLED_CYCLES)
        if (!may_wait(p, until_ns))
            return takt_fail(e, TAKT_ERR_TIMEOUT, 0,
                             atomic_load(&p->whole)
                                 ? "pipewire: connected, but the graph does not run"
                                 : "pipewire: nobody has connected the stream");
    uint32_t rate_hz = atomic_load(&p->graph_rate_hz);
    if (p->filter && rate_hz != p->rate_hz)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "pipewire: the graph runs at %u Hz, the stream at %u; set the rate to %u",
                         rate_hz, p->rate_hz, rate_hz);
    return 0;
}

static void fill_granted(struct takt_pipewire *p)
{
    uint32_t quantum = atomic_load(&p->quantum), graph_hz = atomic_load(&p->graph_rate_hz);
    bool varies = graph_hz != p->rate_hz;
    if (varies && !p->varying_frames)
        p->varying_frames = (uint32_t)((uint64_t)quantum * p->rate_hz / graph_hz) + 1;
    p->told_in = atomic_load(&p->in_latency);
    p->told_out = atomic_load(&p->out_latency);
    p->base.granted = (struct takt_granted){.rate_hz = p->rate_hz,
                                            .block_frames = varies ? p->varying_frames : quantum,
                                            .block_max = varies ? 0 : BLOCK_MAX,
                                            .block_varies = varies,
                                            .latency_in_frames = p->told_in,
                                            .latency_out_frames = p->told_out};
}

static int make_node(struct takt_pipewire *p, int64_t until_ns, struct takt_error *e)
{
    bool is_one_way = p->in.used != p->out.used;
    int err = find_targets(p, e);
    if (err < 0)
        return err;
    err = is_one_way && p->graph.has_manager ? make_stream(p, e) : make_filter(p, e);
    if (err < 0)
        return err;
    connect_all(p);
    return await_cycles(p, until_ns, e);
}

static void link_close(struct takt_link *base)
{
    struct takt_pipewire *p = (struct takt_pipewire *)base;
    pw_thread_loop_lock(p->graph.loop);
    atomic_store(&p->whole, false);
    for (uint32_t k = 0; k < TAKT_CHANNELS_MAX; k++) {
        drop_cable(&p->in.cables[k]);
        drop_cable(&p->out.cables[k]);
    }
    if (p->filter || p->stream)
        spa_hook_remove(&p->hook);
    if (p->filter)
        pw_filter_destroy(p->filter);
    if (p->stream)
        pw_stream_destroy(p->stream);
    p->filter = NULL;
    p->stream = NULL;
    pw_thread_loop_unlock(p->graph.loop);
    takt_pw_graph_close(&p->graph);
}

static int link_open(struct takt_link *base, struct takt_error *e)
{
    struct takt_pipewire *p = (struct takt_pipewire *)base;
    int64_t patience = p->timeout_ns - p->timeout_ns / 8; /* so that it is we who say what it was */
    int64_t until = takt_now_ns() + patience;
    atomic_store(&p->begun, false);
    atomic_store(&p->whole, false);
    atomic_store(&p->cycles_alike, 0);
    atomic_store(&p->position, NULL);
    p->counts = false;
    p->graph.changed = connect_all;
    p->graph.lost = server_lost;
    p->graph.arg = p;
    int err = takt_pw_graph_open(&p->graph, p->is_real_time, patience, e);
    if (err < 0)
        return err;
    pw_thread_loop_lock(p->graph.loop);
    err = make_node(p, until, e);
    pw_thread_loop_unlock(p->graph.loop);
    if (err < 0) {
        link_close(base);
        return err;
    }
    fill_granted(p);
    p->was_open = true;
    return 0;
}

static int link_begin(struct takt_link *base, struct takt_error *e)
{
    atomic_store_explicit(&((struct takt_pipewire *)base)->begun, true, memory_order_release);
    return 0;
}

static void link_free(struct takt_link *base)
{
    takt_rt_free(base);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

static void init_side(struct side *side, struct takt_pipewire *owner, const char *rest,
                      uint32_t channels, bool is_input)
{
    side->owner = owner;
    side->is_input = is_input;
    side->used = rest != NULL;
    side->channels = rest ? channels : 0;
    snprintf(side->target, sizeof side->target, "%s", rest ? rest : "");
}

int takt_pw_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                      struct takt_error *e)
{
    struct takt_pipewire *p = takt_rt_alloc(sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->base.ops = &link_ops;
    p->rate_hz = cfg->rate_hz;
    p->block_frames = cfg->block_frames;
    p->latency_s = cfg->latency_s;
    p->latency_high = cfg->latency_high;
    p->is_real_time = cfg->priority != TAKT_PRIORITY_OFF;
    p->timeout_ns = cfg->timeout_ns;
    snprintf(p->name, sizeof p->name, "%s", cfg->name);
    init_side(&p->in, p, cfg->in_rest, cfg->in_channels, true);
    init_side(&p->out, p, cfg->out_rest, cfg->out_channels, false);
    *out = &p->base;
    return 0;
}
