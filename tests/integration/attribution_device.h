/*
 * tests/integration/attribution_device.h - a device in real time that does at chosen blocks what
 * only a device can do: it loses frames, its source has nothing, its sink has no room. Its clock is
 * the one that `sim:` has.
 */
#ifndef TAKT_TESTS_ATTRIBUTION_DEVICE_H
#define TAKT_TESTS_ATTRIBUTION_DEVICE_H

#include "base/fail.h"
#include "sim/pacer.h"
#include "stream/device.h"

#include <stdlib.h>
#include <string.h>

enum { RATE_HZ = 48000, FRAMES = 64, TROUBLES_MAX = 256 };

/* First frames of blocks, in rising order, ended by UINT64_MAX. Set before a stream is made. */
static struct troubles {
    uint64_t xrun[TAKT_PACER_XRUNS_MAX + 1], starved[TROUBLES_MAX], full[TROUBLES_MAX];
} troubles;

struct trouble_port {
    struct takt_port base;
    const uint64_t *next;
    uint64_t at;
};

static bool has_trouble(struct trouble_port *p)
{
    while (*p->next < p->at)
        p->next++;
    return *p->next == p->at;
}

static uint32_t trouble_read(struct takt_port *base, float *const *out, uint32_t frames,
                             uint32_t *status)
{
    struct trouble_port *p = (struct trouble_port *)base;
    bool starves = has_trouble(p);
    p->at += frames;
    memset(out[0], 0, frames * sizeof(float));
    *status = starves ? TAKT_PORT_SHORT : 0;
    return starves ? 0 : frames;
}

static uint32_t trouble_write(struct takt_port *base, const float *const *in, uint32_t frames,
                              uint32_t *status)
{
    struct trouble_port *p = (struct trouble_port *)base;
    bool is_full = has_trouble(p);
    p->at += frames;
    *status = is_full ? TAKT_PORT_FULL : 0;
    return is_full ? 0 : frames;
}

static void trouble_lost(struct takt_port *base, uint64_t frames)
{
    ((struct trouble_port *)base)->at += frames;
}

static int trouble_start(struct takt_port *base, struct takt_error *e)
{
    return 0;
}

static void trouble_close(struct takt_port *base)
{
    free(base);
}

static const struct takt_port_ops trouble_ops = {.read = trouble_read,
                                                 .write = trouble_write,
                                                 .lost = trouble_lost,
                                                 .start = trouble_start,
                                                 .close = trouble_close};

static int trouble_open_port(const struct takt_port_cfg *cfg, struct takt_port **out,
                             struct takt_error *e)
{
    struct trouble_port *p = calloc(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    *p = (struct trouble_port){{&trouble_ops}, cfg->is_input ? troubles.starved : troubles.full, 0};
    *out = &p->base;
    return 0;
}

static int trouble_open(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                        struct takt_error *e)
{
    struct takt_pacer_cfg pacer = {.rate_hz = cfg->rate_hz,
                                   .host_frames = FRAMES,
                                   .engine = cfg->engine,
                                   .name = cfg->name,
                                   .priority = cfg->priority,
                                   .seed = cfg->seed,
                                   .is_live = true};
    for (; troubles.xrun[pacer.xruns] != UINT64_MAX; pacer.xruns++)
        pacer.xrun_ns[pacer.xruns] =
            (int64_t)(((double)troubles.xrun[pacer.xruns] - FRAMES / 2.0) * 1e9 / RATE_HZ);
    return takt_pacer_open(&pacer, out, e);
}

static int trouble_query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    *out = (struct takt_device_info){.backend = "trouble",
                                     .in_channels_max = 1,
                                     .out_channels_max = 1,
                                     .rate_hz_default = RATE_HZ,
                                     .rate_hz_min = RATE_HZ,
                                     .rate_hz_max = RATE_HZ};
    return 0;
}

static int trouble_list(struct takt_device_info *out, int max)
{
    return 0;
}

static const struct takt_backend trouble_backend = {.scheme = "trouble",
                                                    .has_clock = true,
                                                    .list = trouble_list,
                                                    .query = trouble_query,
                                                    .open_port = trouble_open_port,
                                                    .open_driver = trouble_open};
const struct takt_backend *const takt_backends[] = {&trouble_backend, NULL};

#endif
