/*
 * `jack:` - a client of a JACK server: JACK2, or PipeWire in its place.
 *
 *     jack:          the server's physical ports
 *     jack:NAME      the ports of the client NAME
 *     jack:none      no connections; others make them
 *
 * libjack is loaded when the first id asks for it, so takt runs where there is none, and `pw-jack`
 * works. The callback works in the server's own buffers. Frame times are the server's; what it
 * skipped is lost_frames.
 *
 * Sources: jack/jack.h and jack/types.h of JACK 1.9.21; on latencies
 * https://jackaudio.org/api/group__LatencyFunctions.html
 */
#include "base/fail.h"
#include "device/backends.h"
#include "device/host.h"
#include "takt/time.h"

#include <dlfcn.h>
#include <jack/jack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The library ----------------------------------------------------------------------------- */

#define JACK_CALLS(X)                                                                              \
    X(jack_client_open)                                                                            \
    X(jack_client_close)                                                                           \
    X(jack_activate)                                                                               \
    X(jack_connect)                                                                                \
    X(jack_free)                                                                                   \
    X(jack_get_buffer_size)                                                                        \
    X(jack_get_cycle_times)                                                                        \
    X(jack_get_ports)                                                                              \
    X(jack_get_sample_rate)                                                                        \
    X(jack_get_time)                                                                               \
    X(jack_on_info_shutdown)                                                                       \
    X(jack_port_by_name)                                                                           \
    X(jack_port_get_buffer)                                                                        \
    X(jack_port_get_latency_range)                                                                 \
    X(jack_port_name)                                                                              \
    X(jack_port_register)                                                                          \
    X(jack_port_set_latency_range)                                                                 \
    X(jack_set_buffer_size_callback)                                                               \
    X(jack_set_error_function)                                                                     \
    X(jack_set_freewheel_callback)                                                                 \
    X(jack_set_info_function)                                                                      \
    X(jack_set_latency_callback)                                                                   \
    X(jack_set_port_registration_callback)                                                         \
    X(jack_set_process_callback)                                                                   \
    X(jack_set_xrun_callback)

static struct {
#define X(name) __typeof__(&name) name;
    JACK_CALLS(X)
#undef X
} lib;

static bool lib_is_there;

static void hear(const char *text)
{
    takt_host_log("jack", text);
}

static void load(void)
{
    void *so = dlopen("libjack.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return;
    bool all = true;
#define X(name)                                                                                    \
    *(void **)&lib.name = dlsym(so, #name);                                                        \
    all &= lib.name != NULL;
    JACK_CALLS(X)
#undef X
    if (!all)
        return;
    lib.jack_set_error_function(hear);
    lib.jack_set_info_function(hear);
    lib_is_there = true;
}

static int need_lib(struct takt_error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return lib_is_there ? 0
                        : takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                                    "jack: libjack.so.0 is not installed (libjack-jackd2-0)");
}

/* ---- The link -------------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 64, BLOCK_MAX = 8192, SLIP_FADE = 1024 };

struct jack_link {
    struct takt_link base;
    char name[NAME_MAX_BYTES];
    bool has_in, has_out;
    char in_of[NAME_MAX_BYTES], out_of[NAME_MAX_BYTES]; /* whose ports */
    uint32_t ins, outs, rate_hz;
    jack_client_t *client;
    jack_port_t *in[TAKT_CHANNELS_MAX], *out[TAKT_CHANNELS_MAX];
    _Atomic uint32_t xruns;
    _Atomic bool freewheels;
    /* The server's thread. */
    uint32_t xruns_seen;
    jack_nframes_t next_frame;
    bool counts;
    int64_t slip_ns; /* how far the server's smoothed clock is behind its cycles */
    int64_t last_now_ns, last_late_ns; /* of the cycle before */
    int64_t in_latency_ns, out_latency_ns;
    _Atomic uint32_t in_latency, out_latency;
};

/* When this cycle was due. The server says when it thinks that its cycle began, by a slow loop that
 * filters its own wake-ups. A driver that stalled and then goes on a few milliseconds later for
 * good leaves that loop behind for seconds, in which every cycle would seem to be late. Two cycles,
 * late by as much and just one period apart, are no late wake-ups: the clock has slipped, and by a
 * period and more that is time lost. Woken before it was due is not possible, so then the loop was
 * ahead. */
static int64_t due_of(struct jack_link *j, int64_t now, int64_t begun, int64_t period,
                      int64_t *lost_ns)
{
    int64_t late = now - begun - j->slip_ns, since = now - j->last_now_ns - period;
    bool is_steady = j->counts && since > -period / 8 && since < period / 8;
    *lost_ns = 0;
    if (late < 0) {
        j->slip_ns += late;
        late = 0;
    } else if (is_steady && late > period / 4 && j->last_late_ns > period / 4) {
        int64_t slipped = late < j->last_late_ns ? late : j->last_late_ns;
        j->slip_ns += slipped;
        late -= slipped;
        *lost_ns = slipped >= period ? slipped : 0;
    }
    if (j->slip_ns < 0)
        j->slip_ns -= j->slip_ns / SLIP_FADE; /* one early cycle is not the clock's for ever */
    j->last_now_ns = now;
    j->last_late_ns = late;
    return now - late;
}

static int process(jack_nframes_t frames, void *arg)
{
    struct jack_link *j = arg;
    const float *in[TAKT_CHANNELS_MAX];
    float *out[TAKT_CHANNELS_MAX];
    const uint32_t outs = j->outs;
    for (uint32_t c = 0; c < j->ins; c++)
        in[c] = lib.jack_port_get_buffer(j->in[c], frames);
    for (uint32_t c = 0; c < outs; c++)
        out[c] = lib.jack_port_get_buffer(j->out[c], frames);
    jack_nframes_t frame = 0;
    jack_time_t begun = 0, next = 0;
    float period_us = 0;
    bool known = lib.jack_get_cycle_times(j->client, &frame, &begun, &next, &period_us) == 0;
    int64_t now = takt_now_ns();
    /* The server's clock need not be ours, but it goes at the same speed. */
    int64_t began = known ? now - (int64_t)(lib.jack_get_time() - begun) * 1000 : now;
    double frame_ns = 1e9 / j->rate_hz;
    int64_t period = (int64_t)(frames * frame_ns), slipped = 0;
    int64_t due = known ? due_of(j, now, began, period, &slipped) : now;
    uint32_t xruns = atomic_load_explicit(&j->xruns, memory_order_relaxed);
    int32_t skipped = known && j->counts ? (int32_t)(frame - j->next_frame) : 0;
    struct takt_cycle c = {
        .frames = frames,
        .in = j->has_in ? in : NULL,
        .out = j->has_out ? out : NULL,
        .flags = (xruns != j->xruns_seen ? TAKT_INPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW : 0u) |
                 (atomic_load_explicit(&j->freewheels, memory_order_relaxed) ? TAKT_FREEWHEEL : 0u),
        .lost_frames =
            (skipped > 0 ? (uint32_t)skipped : 0) + (uint32_t)((double)slipped / frame_ns + 0.5),
        .valid = TAKT_TIME_NOW | TAKT_TIME_DEADLINE |
                 (known ? TAKT_TIME_IN_FIRST | TAKT_TIME_OUT_FIRST : 0u),
        .due_known = known,
        .due_ns = due,
        .now_ns = now,
        .deadline_ns = due + period,
        .in_first_ns =
            due - (int64_t)(atomic_load_explicit(&j->in_latency, memory_order_relaxed) * frame_ns),
        .out_first_ns =
            due + (int64_t)(atomic_load_explicit(&j->out_latency, memory_order_relaxed) * frame_ns),
    };
    j->xruns_seen = xruns;
    j->counts = known;
    j->next_frame = frame + frames;
    if (!takt_link_cycle(&j->base, &c))
        for (uint32_t ch = 0; ch < outs; ch++)
            memset(out[ch], 0, frames * sizeof(float));
    return 0;
}

static int xrun(void *arg)
{
    atomic_fetch_add(&((struct jack_link *)arg)->xruns, 1);
    return 0;
}

static void freewheel(int on, void *arg)
{
    atomic_store(&((struct jack_link *)arg)->freewheels, on != 0);
}

static void shutdown(jack_status_t code, const char *reason, void *arg)
{
    takt_link_lost(&((struct jack_link *)arg)->base);
}

static uint32_t longest(jack_port_t *const *ports, uint32_t count,
                        jack_latency_callback_mode_t mode)
{
    uint32_t most = 0;
    for (uint32_t c = 0; c < count; c++) {
        jack_latency_range_t r = {0, 0};
        lib.jack_port_get_latency_range(ports[c], mode, &r);
        most = r.max > most ? r.max : most;
    }
    return most;
}

/* What goes in comes out, so others hear of the latency through us. */
static void pass_on(jack_port_t *const *from, uint32_t froms, jack_port_t *const *to, uint32_t tos,
                    jack_latency_callback_mode_t mode)
{
    jack_latency_range_t all = {UINT32_MAX, 0};
    for (uint32_t c = 0; c < froms; c++) {
        jack_latency_range_t r = {0, 0};
        lib.jack_port_get_latency_range(from[c], mode, &r);
        all.min = r.min < all.min ? r.min : all.min;
        all.max = r.max > all.max ? r.max : all.max;
    }
    for (uint32_t c = 0; froms && c < tos; c++)
        lib.jack_port_set_latency_range(to[c], mode, &all);
}

static void read_latencies(struct jack_link *j)
{
    atomic_store(&j->in_latency, longest(j->in, j->ins, JackCaptureLatency));
    atomic_store(&j->out_latency, longest(j->out, j->outs, JackPlaybackLatency));
}

static void latency(jack_latency_callback_mode_t mode, void *arg)
{
    struct jack_link *j = arg;
    if (mode == JackCaptureLatency)
        pass_on(j->in, j->ins, j->out, j->outs, mode);
    else
        pass_on(j->out, j->outs, j->in, j->ins, mode);
    read_latencies(j);
    takt_link_latency(&j->base, atomic_load(&j->in_latency), atomic_load(&j->out_latency));
}

static int register_ports(struct jack_link *j, struct takt_error *e)
{
    for (uint32_t i = 0; i < j->ins + j->outs; i++) {
        bool is_in = i < j->ins;
        uint32_t c = is_in ? i : i - j->ins;
        char name[32];
        snprintf(name, sizeof name, "%s_%u", is_in ? "in" : "out", c + 1);
        jack_port_t *p = lib.jack_port_register(j->client, name, JACK_DEFAULT_AUDIO_TYPE,
                                                is_in ? JackPortIsInput : JackPortIsOutput, 0);
        if (!p)
            return takt_fail(e, TAKT_ERR_IO, 0, "jack: the server gave no port %s", name);
        (is_in ? j->in : j->out)[c] = p;
    }
    return 0;
}

static int no_server(struct takt_error *e)
{
    char said[200];
    takt_host_last_log(said, sizeof said);
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "jack: no server to be reached%s%.100s%s; start jackd", *said ? " (" : "",
                     said, *said ? ")" : "");
}

static int link_open(struct takt_link *base, struct takt_error *e)
{
    struct jack_link *j = (struct jack_link *)base;
    jack_status_t status;
    j->client = lib.jack_client_open(j->name, JackNoStartServer, &status);
    if (!j->client)
        return no_server(e);
    j->rate_hz = lib.jack_get_sample_rate(j->client);
    j->counts = false;
    j->slip_ns = 0;
    lib.jack_set_process_callback(j->client, process, j);
    lib.jack_set_xrun_callback(j->client, xrun, j);
    lib.jack_set_freewheel_callback(j->client, freewheel, j);
    lib.jack_set_latency_callback(j->client, latency, j);
    lib.jack_on_info_shutdown(j->client, shutdown, j);
    int err = register_ports(j, e);
    if (err < 0) {
        lib.jack_client_close(j->client);
        return err;
    }
    base->granted = (struct takt_granted){.rate_hz = j->rate_hz,
                                          .block_frames = lib.jack_get_buffer_size(j->client),
                                          .block_max = BLOCK_MAX};
    return 0;
}

/* The k-th audio port of a client, in the server's order; NULL when there is none. */
static const char *port_of(const char *const *ports, const char *client, uint32_t k)
{
    size_t length = strlen(client);
    for (; ports && *ports; ports++)
        if (!*client || (!strncmp(*ports, client, length) && (*ports)[length] == ':'))
            if (!k--)
                return *ports;
    return NULL;
}

static bool is_unconnected(const char *client)
{
    return !strcmp(client, "none");
}

/* "" and "system" mean the machine's own ports, whatever their client is called. */
static const char **ports_of(jack_client_t *client, const char *name, bool is_input)
{
    unsigned long flags = is_input ? JackPortIsOutput : JackPortIsInput;
    return lib.jack_get_ports(client, NULL, JACK_DEFAULT_AUDIO_TYPE,
                              *name ? flags : flags | JackPortIsPhysical);
}

static int connect_side(struct jack_link *j, bool is_input, struct takt_error *e)
{
    const char *of = is_input ? j->in_of : j->out_of;
    uint32_t count = is_input ? j->ins : j->outs;
    if (!(is_input ? j->has_in : j->has_out) || is_unconnected(of))
        return 0;
    const char **ports = ports_of(j->client, of, is_input);
    int err = 0;
    for (uint32_t c = 0; c < count && !err; c++) {
        const char *theirs = port_of(ports, of, c);
        const char *ours = lib.jack_port_name((is_input ? j->in : j->out)[c]);
        if (!theirs)
            err = takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "jack:%.60s: has no %s port %u", of,
                            is_input ? "capture" : "playback", c + 1);
        else if (lib.jack_connect(j->client, is_input ? theirs : ours, is_input ? ours : theirs))
            err =
                takt_fail(e, TAKT_ERR_IO, 0, "jack: cannot connect %.60s and %.60s", theirs, ours);
    }
    lib.jack_free(ports);
    return err;
}

static int link_begin(struct takt_link *base, struct takt_error *e)
{
    struct jack_link *j = (struct jack_link *)base;
    if (lib.jack_activate(j->client))
        return takt_fail(e, TAKT_ERR_IO, 0, "jack: the server refuses to activate the client");
    int err = connect_side(j, true, e);
    return err ? err : connect_side(j, false, e);
}

static void link_close(struct takt_link *base)
{
    struct jack_link *j = (struct jack_link *)base;
    lib.jack_client_close(j->client);
    j->client = NULL;
}

static void link_free(struct takt_link *base)
{
    free(base);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

static int make_link(const struct takt_driver_cfg *cfg, struct takt_link **out,
                     struct takt_error *e)
{
    struct jack_link *j = calloc(1, sizeof *j);
    if (!j)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    j->base.ops = &link_ops;
    j->has_in = cfg->in_rest != NULL;
    j->has_out = cfg->out_rest != NULL;
    j->ins = j->has_in ? cfg->in_channels : 0;
    j->outs = j->has_out ? cfg->out_channels : 0;
    snprintf(j->name, sizeof j->name, "%s", cfg->name);
    snprintf(j->in_of, sizeof j->in_of, "%s", j->has_in ? cfg->in_rest : "");
    snprintf(j->out_of, sizeof j->out_of, "%s", j->has_out ? cfg->out_rest : "");
    *out = &j->base;
    return 0;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    int err = need_lib(e);
    return err ? err : takt_host_open(cfg, make_link, "jack", out, e);
}

/* ---- Devices --------------------------------------------------------------------------------- */

enum { CLIENTS_MAX = 32 };
static const int64_t ask_ns = 1000000000;

struct client_info {
    char name[NAME_MAX_BYTES];
    uint32_t ins, outs; /* that we could capture and play */
};

/* Everything there is to know of a server. clients[0] is the physical ports. */
struct server_info {
    uint32_t rate_hz, block_frames, in_latency, out_latency;
    int count;
    struct client_info clients[CLIENTS_MAX];
    struct takt_error error;
};

static struct client_info *client_named(struct server_info *s, const char *port)
{
    size_t length = strcspn(port, ":");
    if (length >= NAME_MAX_BYTES)
        return NULL;
    for (int i = 1; i < s->count; i++)
        if (!strncmp(s->clients[i].name, port, length) && !s->clients[i].name[length])
            return &s->clients[i];
    if (s->count == CLIENTS_MAX)
        return NULL;
    struct client_info *c = &s->clients[s->count++];
    memcpy(c->name, port, length);
    return c;
}

static void count_ports(jack_client_t *client, struct server_info *s, bool is_input)
{
    jack_latency_callback_mode_t mode = is_input ? JackCaptureLatency : JackPlaybackLatency;
    const char **physical = ports_of(client, "", is_input), **all = ports_of(client, "x", is_input);
    for (const char **p = physical; p && *p; p++) {
        jack_latency_range_t r = {0, 0};
        lib.jack_port_get_latency_range(lib.jack_port_by_name(client, *p), mode, &r);
        uint32_t *most = is_input ? &s->in_latency : &s->out_latency;
        *most = r.max > *most ? r.max : *most;
        *(is_input ? &s->clients[0].ins : &s->clients[0].outs) += 1;
    }
    for (const char **p = all; p && *p; p++) {
        struct client_info *c = client_named(s, *p);
        if (c)
            *(is_input ? &c->ins : &c->outs) += 1;
    }
    lib.jack_free(physical);
    lib.jack_free(all);
}

static int look(void *arg)
{
    struct server_info *s = arg;
    jack_status_t status;
    jack_client_t *client = lib.jack_client_open("takt-look", JackNoStartServer, &status);
    if (!client)
        return no_server(&s->error);
    s->rate_hz = lib.jack_get_sample_rate(client);
    s->block_frames = lib.jack_get_buffer_size(client);
    s->count = 1;
    count_ports(client, s, true);
    count_ports(client, s, false);
    lib.jack_client_close(client);
    return 0;
}

static int ask_server(struct server_info *s, struct takt_error *e)
{
    memset(s, 0, sizeof *s);
    int err = need_lib(e);
    if (err < 0)
        return err;
    err = takt_host_ask(look, s, sizeof *s, ask_ns);
    if (err == TAKT_ERR_TIMEOUT)
        return takt_fail(e, err, 0, "jack: the server does not answer");
    if (err < 0 && e)
        *e = s->error;
    return err;
}

static void describe(const struct server_info *s, const struct client_info *c,
                     struct takt_device_info *out)
{
    bool is_none = is_unconnected(c->name);
    double block_s = (double)s->block_frames / s->rate_hz;
    *out = (struct takt_device_info){
        .backend = "jack",
        .in_channels_max = c->ins < TAKT_CHANNELS_MAX ? c->ins : TAKT_CHANNELS_MAX,
        .out_channels_max = c->outs < TAKT_CHANNELS_MAX ? c->outs : TAKT_CHANNELS_MAX,
        .rate_hz_default = s->rate_hz,
        .rate_hz_min = s->rate_hz,
        .rate_hz_max = s->rate_hz,
        .block_frames_default = s->block_frames,
        .block_frames_min = 1,
        .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
        .latency_low_s = (double)s->out_latency / s->rate_hz,
        .latency_high_s = (double)s->out_latency / s->rate_hz,
        .format = TAKT_F32};
    if (!s->out_latency)
        out->latency_low_s = out->latency_high_s = block_s;
    snprintf(out->id, sizeof out->id, "jack:%s", c->name);
    snprintf(out->description, sizeof out->description, "%s, %u frames at %u Hz",
             is_none    ? "JACK, connected to nothing"
             : *c->name ? "a JACK client"
                        : "JACK's physical ports",
             s->block_frames, s->rate_hz);
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    struct server_info s;
    int err = ask_server(&s, e);
    if (err < 0)
        return err;
    struct client_info none = {.name = "none", .ins = TAKT_CHANNELS_MAX, .outs = TAKT_CHANNELS_MAX};
    if (is_unconnected(rest)) {
        describe(&s, &none, out);
        return 0;
    }
    for (int i = 0; i < s.count; i++)
        if (!strcmp(s.clients[i].name, rest)) {
            describe(&s, &s.clients[i], out);
            return 0;
        }
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "jack:%.60s: there is no such client; see takt devices", rest);
}

static int list(struct takt_device_info *out, int max)
{
    struct server_info s;
    struct takt_error ignored;
    if (ask_server(&s, &ignored) < 0)
        return 0;
    for (int i = 0; i < s.count && i < max; i++)
        describe(&s, &s.clients[i], &out[i]);
    return s.count;
}

/* ---- Changes ----------------------------------------------------------------------------------
 */

struct takt_list_watch {
    jack_client_t *client;
    void (*changed)(void *arg, bool is_over);
    void *arg;
};

static void port_registered(jack_port_id_t port, int is_there, void *arg)
{
    struct takt_list_watch *w = arg;
    w->changed(w->arg, false);
}

static int block_changed(jack_nframes_t frames, void *arg)
{
    struct takt_list_watch *w = arg;
    w->changed(w->arg, false);
    return 0;
}

static void watched_server_ended(jack_status_t code, const char *reason, void *arg)
{
    struct takt_list_watch *w = arg;
    w->changed(w->arg, true);
}

static void unwatch(struct takt_list_watch *w)
{
    lib.jack_client_close(w->client);
    free(w);
}

static struct takt_list_watch *watch(void (*changed)(void *arg, bool is_over), void *arg)
{
    struct takt_error ignored;
    jack_status_t status;
    if (need_lib(&ignored) < 0)
        return NULL;
    struct takt_list_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct takt_list_watch){.changed = changed, .arg = arg};
    w->client = lib.jack_client_open("takt-watch", JackNoStartServer, &status);
    if (!w->client) {
        free(w);
        return NULL;
    }
    /* Clients that only look have no ports, so that asking for the list is no change of it. */
    lib.jack_set_port_registration_callback(w->client, port_registered, w);
    lib.jack_set_buffer_size_callback(w->client, block_changed, w);
    lib.jack_on_info_shutdown(w->client, watched_server_ended, w);
    if (lib.jack_activate(w->client) == 0)
        return w;
    unwatch(w);
    return NULL;
}

const struct takt_backend takt_backend_jack = {.scheme = "jack",
                                               .has_clock = true,
                                               .list = list,
                                               .query = query,
                                               .watch = watch,
                                               .unwatch = unwatch,
                                               .open_driver = open_driver};
