/*
 * tests/unit/fake_device.h - a device for tests of the engine alone: `fake:` is a driver that
 * serves both sides from a script, `port:LENGTH` is a source of LENGTH frames and a sink that
 * keeps what it is given. Cycles run as fast as they can on a thread of the driver's.
 *
 * The input of channel c at frame i of the host's clock is fake_sample(i, c), so a test can tell
 * where every frame of the output came from.
 */
#ifndef TAKT_TESTS_FAKE_DEVICE_H
#define TAKT_TESTS_FAKE_DEVICE_H

#include "base/fail.h"
#include "stream/device.h"
#include "takt/time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_CHANNELS = 4, FAKE_FRAMES_MAX = 1 << 16, FAKE_BLOCK_MAX = 4096 };

/* What the device does; set by a test before it makes the stream. */
static struct fake_script {
    uint32_t host_frames; /* H */
    bool varies;          /* cycles of 1..H frames */
    uint32_t latency_in, latency_out;
    uint64_t cycles_max; /* the thread ends here even if the engine wants more; 0: never */
    uint64_t xrun_at, xrun_frames; /* before this cycle, so many frames are lost */
    uint64_t away_from, away_to;   /* cycles during which the device is away */
    uint64_t short_at;             /* port: this read gives nothing in time */
    uint32_t pause_us;             /* between cycles */
    bool no_first_cycle;
    float (*sample)(uint64_t frame, uint32_t channel); /* what the input is; default fake_sample */
    uint32_t trouble;    /* one cycle in so many begins with an xrun, one with a time away; one read
                            in so many gives too little; 0: none */
    double late_periods; /* so late is every fourth wake-up, in periods */
    bool host_changes;   /* … and one says that from now on the host's block is another one */
    bool ports_keep_time; /* a source skips what is lost, a sink keeps as much silence */
} script;

/* What was heard of a frame that came out. */
enum { FAKE_HEARD = 0, FAKE_AFTER_SILENCE, FAKE_UNHEARD };
static unsigned char fake_fate[1 << 16];

/* The driver's clock: a callback that takes time adds to cost. */
static int64_t fake_clock_ns, fake_cost_ns;

/* What came out. */
static float fake_out[FAKE_CHANNELS][FAKE_FRAMES_MAX];
static uint64_t fake_out_frames;
static uint64_t fake_cycles;
static _Atomic int fake_opened, fake_closed, fake_listed;

/* Exact in float and in s16: distinct within 2^14 frames. */
static inline float fake_sample(uint64_t frame, uint32_t channel)
{
    return (float)((frame * FAKE_CHANNELS + channel) % 32749 + 1) / 32768.0f;
}

static float scripted_sample(uint64_t frame, uint32_t channel)
{
    return script.sample ? script.sample(frame, channel) : fake_sample(frame, channel);
}

static unsigned fake_chance;

static uint32_t fake_below(uint32_t n)
{
    fake_chance = fake_chance * 1103515245u + 12345u;
    return fake_chance / 65536u % n;
}

static bool fake_trouble(void)
{
    return script.trouble && !fake_below(script.trouble);
}

struct fake_driver {
    struct takt_driver base;
    struct takt_engine *engine;
    uint32_t in_channels, out_channels, rate_hz;
    pthread_t thread;
    bool running;
    _Atomic bool quit;
};

static void *fake_thread(void *arg)
{
    struct fake_driver *d = arg;
    static float in[FAKE_CHANNELS][FAKE_BLOCK_MAX], out[FAKE_CHANNELS][FAKE_BLOCK_MAX];
    const float *ins[FAKE_CHANNELS] = {in[0], in[1], in[2], in[3]};
    float *outs[FAKE_CHANNELS] = {out[0], out[1], out[2], out[3]};
    uint64_t at = 0;
    uint32_t host_frames = script.host_frames;
    unsigned chance = 1;
    uint32_t away_left = 0;
    bool was_away = false;
    bool more = !script.no_first_cycle;
    for (uint64_t n = 0; more && !d->quit && (!script.cycles_max || n < script.cycles_max); n++) {
        if (script.host_changes && fake_trouble()) {
            host_frames = 1 + fake_below(script.host_frames);
            takt_engine_host_block(d->engine, host_frames);
        }
        uint32_t frames = host_frames;
        if (script.varies)
            frames = 1 + (chance = chance * 1103515245u + 12345u) / 65536u % host_frames;
        uint64_t lost = script.xrun_frames && n == script.xrun_at ? script.xrun_frames : 0;
        lost = fake_trouble() ? 1 + fake_below(500) : lost;
        bool xrun = lost;
        at += lost;
        for (uint32_t c = 0; c < FAKE_CHANNELS; c++)
            for (uint32_t i = 0; i < frames; i++) {
                in[c][i] = scripted_sample(at + i, c);
                out[c][i] = 99; /* stale: the engine must write every frame */
            }
        int64_t due = (int64_t)((double)at * 1e9 / d->rate_hz);
        int64_t block = (int64_t)((double)frames * 1e9 / d->rate_hz);
        away_left = away_left ? away_left - 1 : fake_trouble() ? 1 + fake_below(20) : 0;
        bool away = (n >= script.away_from && n < script.away_to) || away_left;
        int64_t wake = due + (n % 4 == 3 ? (int64_t)(script.late_periods * (double)block) : 0);
        fake_clock_ns = fake_clock_ns > wake ? fake_clock_ns : wake;
        struct takt_cycle cycle = {.frames = frames,
                                   .in = d->base.serves_in ? ins : NULL,
                                   .out = d->base.serves_out ? outs : NULL,
                                   .flags = (xrun ? TAKT_INPUT_OVERFLOW : 0u) |
                                            (away ? TAKT_DEVICE_AWAY : 0u),
                                   .lost_frames = lost,
                                   .valid = 15,
                                   .due_known = true,
                                   .due_ns = due,
                                   .now_ns = fake_clock_ns,
                                   .deadline_ns = due + block,
                                   .in_first_ns = due - block,
                                   .out_first_ns = due + block};
        more = takt_engine_cycle(d->engine, &cycle);
        at += frames;
        fake_cycles = n + 1;
        for (uint32_t i = 0; i < frames && fake_out_frames + i < FAKE_FRAMES_MAX; i++)
            fake_fate[fake_out_frames + i] = away                       ? FAKE_UNHEARD
                                             : !i && (xrun || was_away) ? FAKE_AFTER_SILENCE
                                                                        : FAKE_HEARD;
        was_away = away;
        for (uint32_t c = 0; d->base.serves_out && c < FAKE_CHANNELS; c++)
            for (uint32_t i = 0; i < frames && fake_out_frames + i < FAKE_FRAMES_MAX; i++)
                fake_out[c][fake_out_frames + i] = out[c][i];
        if (d->base.serves_out && fake_out_frames + frames <= FAKE_FRAMES_MAX)
            fake_out_frames += frames;
        if (script.pause_us)
            takt_sleep_until_ns(takt_now_ns() + script.pause_us * 1000);
    }
    return NULL;
}

static int fake_start(struct takt_driver *base, struct takt_error *e)
{
    struct fake_driver *d = (struct fake_driver *)base;
    fake_out_frames = fake_cycles = 0;
    fake_clock_ns = fake_cost_ns = 0;
    d->quit = false;
    d->running = !pthread_create(&d->thread, NULL, fake_thread, d);
    return d->running ? 0 : takt_fail(e, TAKT_ERR_SYSTEM, 0, "no thread");
}

static int fake_stop(struct takt_driver *base, int64_t timeout_ns, struct takt_error *e)
{
    struct fake_driver *d = (struct fake_driver *)base;
    d->quit = true;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += timeout_ns % 1000000000;
    until.tv_sec += timeout_ns / 1000000000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (d->running && pthread_timedjoin_np(d->thread, NULL, &until))
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "fake: hangs");
    d->running = false;
    return 0;
}

static void fake_close(struct takt_driver *base)
{
    fake_closed++;
    free(base);
}

static int64_t fake_now(struct takt_driver *base)
{
    fake_clock_ns += fake_cost_ns;
    fake_cost_ns = 0;
    return fake_clock_ns;
}

static const struct takt_driver_ops fake_driver_ops = {
    .start = fake_start, .stop = fake_stop, .close = fake_close, .now = fake_now};

static int fake_open(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                     struct takt_error *e)
{
    struct fake_driver *d = calloc(1, sizeof *d);
    if (!d)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    d->base = (struct takt_driver){.ops = &fake_driver_ops,
                                   .host_block_frames = script.host_frames,
                                   .host_block_varies = script.varies,
                                   .host_block_max = script.host_changes ? script.host_frames : 0,
                                   .serves_in = cfg->in_rest && !*cfg->in_rest,
                                   .serves_out = cfg->out_rest && !*cfg->out_rest,
                                   .latency_in_frames = script.latency_in,
                                   .latency_out_frames = script.latency_out};
    d->engine = cfg->engine;
    d->rate_hz = cfg->rate_hz;
    *out = &d->base;
    fake_opened++;
    return 0;
}

struct fake_port {
    struct takt_port base;
    uint32_t channels;
    uint64_t length, at, reads;
};

static uint32_t fake_read(struct takt_port *base, float *const *out, uint32_t frames,
                          uint32_t *status)
{
    struct fake_port *p = (struct fake_port *)base;
    if (script.short_at && ++p->reads == script.short_at) {
        *status = TAKT_PORT_SHORT;
        return 0;
    }
    uint32_t n = p->length - p->at < frames ? (uint32_t)(p->length - p->at) : frames;
    if (fake_trouble() && p->length - p->at > n) {
        *status = TAKT_PORT_SHORT;
        n = fake_below(n);
    }
    for (uint32_t c = 0; c < p->channels; c++)
        for (uint32_t i = 0; i < n; i++)
            out[c][i] = scripted_sample(p->at + i, c);
    p->at += n;
    if (p->at == p->length)
        *status = TAKT_PORT_ENDED;
    return n;
}

static uint32_t fake_write(struct takt_port *base, const float *const *in, uint32_t frames,
                           uint32_t *status)
{
    struct fake_port *p = (struct fake_port *)base;
    for (uint32_t i = 0; i < frames && fake_out_frames < FAKE_FRAMES_MAX; i++, fake_out_frames++)
        for (uint32_t c = 0; c < p->channels; c++)
            fake_out[c][fake_out_frames] = in[c][i];
    return frames;
}

static int fake_port_start(struct takt_port *base, struct takt_error *e)
{
    struct fake_port *p = (struct fake_port *)base;
    p->at = p->reads = 0;
    return 0;
}

static void fake_port_close(struct takt_port *base)
{
    fake_closed++;
    free(base);
}

static void fake_lost(struct takt_port *base, uint64_t frames)
{
    struct fake_port *p = (struct fake_port *)base;
    if (p->length) {
        p->at = p->length - p->at < frames ? p->length : p->at + frames;
        return;
    }
    for (; frames && fake_out_frames < FAKE_FRAMES_MAX; frames--, fake_out_frames++)
        for (uint32_t c = 0; c < p->channels; c++)
            fake_out[c][fake_out_frames] = 0;
}

static const struct takt_port_ops fake_timed_ops = {.read = fake_read,
                                                    .write = fake_write,
                                                    .lost = fake_lost,
                                                    .start = fake_port_start,
                                                    .close = fake_port_close};
static const struct takt_port_ops fake_port_ops = {
    .read = fake_read, .write = fake_write, .start = fake_port_start, .close = fake_port_close};

static int fake_open_port(const struct takt_port_cfg *cfg, struct takt_port **out,
                          struct takt_error *e)
{
    struct fake_port *p = calloc(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    *p = (struct fake_port){{script.ports_keep_time ? &fake_timed_ops : &fake_port_ops},
                            cfg->channels,
                            strtoull(cfg->rest, NULL, 10)};
    *out = &p->base;
    fake_opened++;
    return 0;
}

static int fake_query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    *out = (struct takt_device_info){.backend = "fake",
                                     .in_channels_max = FAKE_CHANNELS,
                                     .out_channels_max = FAKE_CHANNELS,
                                     .rate_hz_default = 48000,
                                     .rate_hz_min = 8000,
                                     .rate_hz_max = 384000,
                                     .frames = strtoull(rest, NULL, 10)};
    return 0;
}

static int fake_list(struct takt_device_info *out, int max)
{
    fake_listed++;
    struct takt_error e;
    fake_query("", out, &e);
    strcpy(out->id, "fake:");
    return 1;
}

static int port_list(struct takt_device_info *out, int max)
{
    return 0;
}

static const struct takt_backend fake_backend = {.scheme = "fake",
                                                 .has_clock = true,
                                                 .list = fake_list,
                                                 .query = fake_query,
                                                 .open_driver = fake_open};
/* Paced by the fake driver too, but without a clock that sound comes out of. */
static const struct takt_backend port_backend = {.scheme = "port",
                                                 .list = port_list,
                                                 .query = fake_query,
                                                 .open_port = fake_open_port,
                                                 .open_driver = fake_open};
const struct takt_backend *const takt_backends[] = {&fake_backend, &port_backend, NULL};

#endif
