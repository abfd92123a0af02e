/*
 * A stream is one client. The callback works in the server's own buffers. Frame times are the
 * server's; what it skipped, or what its clock slipped by, is lost_frames.
 *
 * Sources: jack/jack.h and jack/types.h of JACK 1.9.21; on latencies
 * https://jackaudio.org/api/group__LatencyFunctions.html
 */
#include "device/jack_link.h"

#include "base/fail.h"
#include "device/jack_lib.h"
#include "takt/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MAX = 8192, SLIP_FADE = 1024 };

struct jack_link {
    struct takt_link base;
    char name[TAKT_JACK_NAME_BYTES];
    bool has_in, has_out;
    char in_of[TAKT_JACK_NAME_BYTES], out_of[TAKT_JACK_NAME_BYTES]; /* whose ports */
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
 * period and more that is time lost. Nothing wakes before it is due, so when two do, the loop was
 * ahead. One alone proves nothing: around a stall a single cycle may carry the times of another. */
static int64_t due_of(struct jack_link *j, int64_t now, int64_t begun, int64_t period,
                      int64_t *lost_ns)
{
    int64_t late = now - begun - j->slip_ns, last = j->last_late_ns, correction = 0;
    int64_t since = now - j->last_now_ns - period;
    bool is_steady = j->counts && since > -period / 8 && since < period / 8;
    if (late < 0 && last < 0)
        correction = late > last ? late : last;
    else if (is_steady && late > period / 4 && last > period / 4)
        correction = late < last ? late : last;
    j->slip_ns += correction;
    late -= correction;
    *lost_ns = correction >= period ? correction : 0;
    if (j->slip_ns < 0)
        j->slip_ns -= j->slip_ns / SLIP_FADE; /* one early cycle is not the clock's for ever */
    j->last_now_ns = now;
    j->last_late_ns = late;
    return late > 0 ? now - late : now;
}

static int process(jack_nframes_t frames, void *arg)
{
    struct jack_link *j = arg;
    const float *in[TAKT_CHANNELS_MAX];
    float *out[TAKT_CHANNELS_MAX];
    const uint32_t outs = j->outs;
    for (uint32_t c = 0; c < j->ins; c++)
        in[c] = takt_jack.jack_port_get_buffer(j->in[c], frames);
    for (uint32_t c = 0; c < outs; c++)
        out[c] = takt_jack.jack_port_get_buffer(j->out[c], frames);
    jack_nframes_t frame = 0;
    jack_time_t begun = 0, next = 0;
    float period_us = 0;
    bool known = takt_jack.jack_get_cycle_times(j->client, &frame, &begun, &next, &period_us) == 0;
    int64_t now = takt_now_ns();
    /* The server's clock need not be ours, but it goes at the same speed. */
    int64_t began = known ? now - (int64_t)(takt_jack.jack_get_time() - begun) * 1000 : now;
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
        takt_jack.jack_port_get_latency_range(ports[c], mode, &r);
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
        takt_jack.jack_port_get_latency_range(from[c], mode, &r);
        all.min = r.min < all.min ? r.min : all.min;
        all.max = r.max > all.max ? r.max : all.max;
    }
    for (uint32_t c = 0; froms && c < tos; c++)
        takt_jack.jack_port_set_latency_range(to[c], mode, &all);
}

static bool hears_itself(const struct jack_link *j)
{
    for (uint32_t i = 0; i < j->ins; i++)
        for (uint32_t o = 0; o < j->outs; o++)
            if (takt_jack.jack_port_connected_to(j->in[i], takt_jack.jack_port_name(j->out[o])))
                return true;
    return false;
}

/* What we play to ourselves we hear one cycle later, which the server does not count. */
static void read_latencies(struct jack_link *j)
{
    uint32_t cycle = hears_itself(j) ? takt_jack.jack_get_buffer_size(j->client) : 0;
    atomic_store(&j->in_latency, longest(j->in, j->ins, JackCaptureLatency) + cycle);
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
        jack_port_t *p =
            takt_jack.jack_port_register(j->client, name, JACK_DEFAULT_AUDIO_TYPE,
                                         is_in ? JackPortIsInput : JackPortIsOutput, 0);
        if (!p)
            return takt_fail(e, TAKT_ERR_IO, 0, "jack: the server gave no port %s", name);
        (is_in ? j->in : j->out)[c] = p;
    }
    return 0;
}

static int link_open(struct takt_link *base, struct takt_error *e)
{
    struct jack_link *j = (struct jack_link *)base;
    int err = takt_jack_open(j->name, &j->client, e);
    if (err < 0)
        return err;
    j->rate_hz = takt_jack.jack_get_sample_rate(j->client);
    j->counts = false;
    j->slip_ns = j->last_late_ns = 0;
    takt_jack.jack_set_process_callback(j->client, process, j);
    takt_jack.jack_set_xrun_callback(j->client, xrun, j);
    takt_jack.jack_set_freewheel_callback(j->client, freewheel, j);
    takt_jack.jack_set_latency_callback(j->client, latency, j);
    takt_jack.jack_on_info_shutdown(j->client, shutdown, j);
    err = register_ports(j, e);
    if (err < 0) {
        takt_jack_close(j->client);
        return err;
    }
    base->granted = (struct takt_granted){.rate_hz = j->rate_hz,
                                          .block_frames = takt_jack.jack_get_buffer_size(j->client),
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

static int connect_side(struct jack_link *j, bool is_input, struct takt_error *e)
{
    const char *of = is_input ? j->in_of : j->out_of;
    uint32_t count = is_input ? j->ins : j->outs;
    if (!(is_input ? j->has_in : j->has_out) || takt_jack_is_unconnected(of))
        return 0;
    const char **ports = takt_jack_ports_of(j->client, of, is_input);
    int err = 0;
    for (uint32_t c = 0; c < count && !err; c++) {
        const char *theirs = port_of(ports, of, c);
        const char *ours = takt_jack.jack_port_name((is_input ? j->in : j->out)[c]);
        if (!theirs)
            err = takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "jack:%.60s: has no %s port %u", of,
                            is_input ? "capture" : "playback", c + 1);
        else if (takt_jack.jack_connect(j->client, is_input ? theirs : ours,
                                        is_input ? ours : theirs))
            err =
                takt_fail(e, TAKT_ERR_IO, 0, "jack: cannot connect %.60s and %.60s", theirs, ours);
    }
    takt_jack.jack_free(ports);
    return err;
}

static int link_begin(struct takt_link *base, struct takt_error *e)
{
    struct jack_link *j = (struct jack_link *)base;
    if (takt_jack.jack_activate(j->client))
        return takt_fail(e, TAKT_ERR_IO, 0, "jack: the server refuses to activate the client");
    int err = connect_side(j, true, e);
    return err ? err : connect_side(j, false, e);
}

static void link_close(struct takt_link *base)
{
    struct jack_link *j = (struct jack_link *)base;
    takt_jack_close(j->client);
    j->client = NULL;
}

static void link_free(struct takt_link *base)
{
    free(base);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

int takt_jack_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
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
