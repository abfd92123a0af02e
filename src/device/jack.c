/*
 * `jack:` - a JACK server's ports: JACK2, or PipeWire in its place.
 *
 *     jack:          the server's physical ports
 *     jack:NAME      the ports of the client NAME
 *     jack:none      no connections; others make them
 *
 * What a stream does there is in jack_link.c; this is the list of devices and its changes.
 */
#include "base/fail.h"
#include "device/backends.h"
#include "device/jack_lib.h"
#include "device/jack_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 32 };
static const int64_t ask_ns = 3000000000; /* a busy machine takes its time */

struct client_info {
    char name[TAKT_JACK_NAME_BYTES];
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
    if (length >= TAKT_JACK_NAME_BYTES)
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
    const char **physical = takt_jack_ports_of(client, "", is_input),
               **all = takt_jack_ports_of(client, "x", is_input);
    for (const char **p = physical; p && *p; p++) {
        jack_latency_range_t r = {0, 0};
        takt_jack.jack_port_get_latency_range(takt_jack.jack_port_by_name(client, *p), mode, &r);
        uint32_t *most = is_input ? &s->in_latency : &s->out_latency;
        *most = r.max > *most ? r.max : *most;
        *(is_input ? &s->clients[0].ins : &s->clients[0].outs) += 1;
    }
    for (const char **p = all; p && *p; p++) {
        struct client_info *c = client_named(s, *p);
        if (c)
            *(is_input ? &c->ins : &c->outs) += 1;
    }
    takt_jack.jack_free(physical);
    takt_jack.jack_free(all);
}

static int look(void *arg)
{
    struct server_info *s = arg;
    jack_client_t *client;
    int err = takt_jack_open("takt-look", &client, &s->error);
    if (err < 0)
        return err;
    s->rate_hz = takt_jack.jack_get_sample_rate(client);
    s->block_frames = takt_jack.jack_get_buffer_size(client);
    s->count = 1;
    count_ports(client, s, true);
    count_ports(client, s, false);
    takt_jack_close(client);
    return 0;
}

static int ask_server(struct server_info *s, struct takt_error *e)
{
    memset(s, 0, sizeof *s);
    int err = takt_jack_need(e);
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
    bool is_none = takt_jack_is_unconnected(c->name);
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
    if (takt_jack_is_unconnected(rest)) {
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
    takt_jack_close(w->client);
    free(w);
}

static struct takt_list_watch *watch(void (*changed)(void *arg, bool is_over), void *arg)
{
    struct takt_error ignored;
    if (takt_jack_need(&ignored) < 0)
        return NULL;
    struct takt_list_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct takt_list_watch){.changed = changed, .arg = arg};
    if (takt_jack_open("takt-watch", &w->client, &ignored) < 0) {
        free(w);
        return NULL;
    }
    /* Clients that only look have no ports, so that asking for the list is no change of it. */
    takt_jack.jack_set_port_registration_callback(w->client, port_registered, w);
    takt_jack.jack_set_buffer_size_callback(w->client, block_changed, w);
    takt_jack.jack_on_info_shutdown(w->client, watched_server_ended, w);
    if (takt_jack.jack_activate(w->client) == 0)
        return w;
    unwatch(w);
    return NULL;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    int err = takt_jack_need(e);
    return err ? err : takt_host_open(cfg, takt_jack_link_make, "jack", out, e);
}

const struct takt_backend takt_backend_jack = {.scheme = "jack",
                                               .has_clock = true,
                                               .list = list,
                                               .query = query,
                                               .watch = watch,
                                               .unwatch = unwatch,
                                               .open_driver = open_driver};
