/*
 * `pipewire:` - the sinks and sources of a PipeWire server.
 *
 *     pipewire:              the session's default; as input without a source, its sink's monitor
 *     pipewire:NAME          the node of that name; of a sink as input, its monitor
 *     pipewire:NAME.monitor  what the sink NAME plays, as input
 *
 * What a stream does there is in pipewire_link.c; this is the list of devices. Each question is a
 * short connection of its own, so the answer is of this moment.
 */
#include "base/fail.h"
#include "device/backends.h"
#include "device/host.h"
#include "device/pipewire_graph.h"
#include "device/pipewire_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 128, RATE_HZ_MIN = 8000, RATE_HZ_MAX = 384000 };
static const int64_t answer_ns = 700 * 1000000LL; /* a server that hangs gives none */
static const int64_t ask_ns = 1000 * 1000000LL;   /* with all that comes before and after */

struct found {
    char rest[TAKT_PW_NAME_BYTES + 16];
    char description[TAKT_PW_NAME_BYTES];
    bool is_monitor;
    uint32_t ins, outs; /* that we could capture and play */
};

struct answer {
    uint32_t rate_hz, quantum, quantum_min, quantum_max;
    char default_of[2 * TAKT_PW_NAME_BYTES + 16]; /* which nodes are the default now */
    int count;
    struct found found[DEVICES_MAX];
    struct takt_error error;
};

static void add(struct answer *a, const char *name, const char *ending, const char *description,
                uint32_t ins, uint32_t outs)
{
    if (a->count == DEVICES_MAX || (!ins && !outs))
        return;
    struct found *f = &a->found[a->count++];
    snprintf(f->rest, sizeof f->rest, "%s%s", name, ending);
    snprintf(f->description, sizeof f->description, "%s", description);
    f->is_monitor = *ending;
    f->ins = ins;
    f->outs = outs;
}

static uint32_t ports_of(const struct takt_pw_graph *g, const struct takt_pw_node *n, bool is_input,
                         bool is_monitor)
{
    return n ? takt_pw_graph_ports(g, n->id, !is_input, is_monitor) : 0;
}

static void describe_default(struct answer *a, const struct takt_pw_node *out,
                             const struct takt_pw_node *in)
{
    const struct takt_pw_node *one = out ? out : in;
    if (in && out && in != out)
        snprintf(a->default_of, sizeof a->default_of, "%s; %s", out->description, in->description);
    else if (one)
        snprintf(a->default_of, sizeof a->default_of, "%s", one->description);
}

static void look_around(const struct takt_pw_graph *g, struct answer *a)
{
    bool is_monitor, ignored;
    const struct takt_pw_node *in = takt_pw_graph_find(g, "", true, &is_monitor);
    const struct takt_pw_node *out = takt_pw_graph_find(g, "", false, &ignored), *n = NULL;
    a->rate_hz = g->rate_hz;
    a->quantum = g->quantum;
    a->quantum_min = g->quantum_min;
    a->quantum_max = g->quantum_max;
    describe_default(a, out, in);
    add(a, "", "", "", ports_of(g, in, true, is_monitor), ports_of(g, out, false, false));
    pw_array_for_each(n, &g->nodes)
    {
        bool is_sink = n->kind == TAKT_PW_SINK;
        add(a, n->name, "", n->description, is_sink ? 0 : ports_of(g, n, true, false),
            ports_of(g, n, false, false));
        if (is_sink)
            add(a, n->name, ".monitor", n->description, ports_of(g, n, true, true), 0);
    }
}

static int look(void *arg)
{
    struct answer *a = arg;
    struct takt_pw_graph g = {0};
    int err = takt_pw_graph_open(&g, false, answer_ns, &a->error);
    if (err < 0)
        return err;
    pw_thread_loop_lock(g.loop);
    look_around(&g, a);
    pw_thread_loop_unlock(g.loop);
    takt_pw_graph_close(&g);
    return 0;
}

static int ask_server(struct answer *a, struct takt_error *e)
{
    memset(a, 0, sizeof *a);
    int err = takt_host_ask(look, a, sizeof *a, ask_ns);
    if (err == TAKT_ERR_TIMEOUT)
        return takt_fail(e, err, 0, "pipewire: the server does not answer");
    if (err < 0 && e)
        *e = a->error;
    return err;
}

static uint32_t within(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void describe(const struct answer *a, const struct found *f, struct takt_device_info *out)
{
    uint32_t low = within(takt_pw_quantum_low(a->quantum), a->quantum_min, a->quantum_max);
    uint32_t high = within(takt_pw_quantum_high(a->quantum), a->quantum_min, a->quantum_max);
    *out = (struct takt_device_info){
        .backend = "pipewire",
        .in_channels_max = within(f->ins, 0, TAKT_CHANNELS_MAX),
        .out_channels_max = within(f->outs, 0, TAKT_CHANNELS_MAX),
        .rate_hz_default = a->rate_hz,
        .rate_hz_min = RATE_HZ_MIN, /* one way it is converted; duplex open says what it cannot */
        .rate_hz_max = RATE_HZ_MAX,
        .block_frames_default = low,
        .block_frames_min = 1,
        .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
        .latency_low_s = (double)low / a->rate_hz,
        .latency_high_s = (double)high / a->rate_hz,
        .format = TAKT_F32};
    snprintf(out->id, sizeof out->id, "pipewire:%.*s", (int)sizeof out->id - 10, f->rest);
    if (!*f->rest)
        snprintf(out->description, sizeof out->description, "PipeWire's default: %.120s",
                 a->default_of);
    else
        snprintf(out->description, sizeof out->description, "%s%.140s",
                 f->is_monitor ? "what plays on " : "", f->description);
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    struct answer a;
    int err = ask_server(&a, e);
    if (err < 0)
        return err;
    const struct found *f = NULL, *monitor = NULL;
    char with_ending[TAKT_PW_NAME_BYTES + 16];
    snprintf(with_ending, sizeof with_ending, "%.*s.monitor", TAKT_PW_NAME_BYTES, rest);
    for (int i = 0; i < a.count; i++) {
        f = strcmp(a.found[i].rest, rest) == 0 ? &a.found[i] : f;
        monitor = strcmp(a.found[i].rest, with_ending) == 0 ? &a.found[i] : monitor;
    }
    if (!f)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         *rest ? "pipewire:%.80s: there is no such sink or source; see takt devices"
                               : "pipewire:%s there is neither sink nor source",
                         rest);
    describe(&a, f, out);
    if (monitor && !out->in_channels_max)
        out->in_channels_max = within(monitor->ins, 0, TAKT_CHANNELS_MAX);
    return 0;
}

static int list(struct takt_device_info *out, int max)
{
    struct answer a;
    struct takt_error ignored;
    if (ask_server(&a, &ignored) < 0)
        return 0;
    for (int i = 0; i < a.count && i < max; i++)
        describe(&a, &a.found[i], &out[i]);
    return a.count;
}

/* ---- Changes ----------------------------------------------------------------------------------
 */

struct takt_list_watch {
    struct takt_pw_graph graph;
    void (*changed)(void *arg, bool is_over);
    void *arg;
};

static void graph_changed(void *arg)
{
    struct takt_list_watch *w = arg;
    w->changed(w->arg, false);
}

static void graph_lost(void *arg)
{
    struct takt_list_watch *w = arg;
    w->changed(w->arg, true);
}

static void unwatch(struct takt_list_watch *w)
{
    takt_pw_graph_close(&w->graph);
    free(w);
}

static struct takt_list_watch *watch(void (*changed)(void *arg, bool is_over), void *arg)
{
    struct takt_list_watch *w = calloc(1, sizeof *w);
    struct takt_error ignored;
    if (!w)
        return NULL;
    *w = (struct takt_list_watch){.graph = {.changed = graph_changed, .lost = graph_lost, .arg = w},
                                  .changed = changed,
                                  .arg = arg};
    if (takt_pw_graph_open(&w->graph, false, answer_ns, &ignored) == 0)
        return w;
    free(w);
    return NULL;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    return takt_host_open(cfg, takt_pw_link_make, "pipewire", out, e);
}

const struct takt_backend takt_backend_pipewire = {.scheme = "pipewire",
                                                   .has_clock = true,
                                                   .list = list,
                                                   .query = query,
                                                   .watch = watch,
                                                   .unwatch = unwatch,
                                                   .open_driver = open_driver};
