/*
 * `null:` - silence to read, nowhere to write to. It has no clock of its own, so it goes along
 * with whatever stands on the other side.
 */
#include "base/fail.h"
#include "device/backends.h"
#include "sim/pacer.h"

#include <stdlib.h>
#include <string.h>

struct null_port {
    struct takt_port base;
    uint32_t channels;
};

static uint32_t null_read(struct takt_port *base, float *const *out, uint32_t frames,
                          uint32_t *status)
{
    for (uint32_t c = 0; c < ((struct null_port *)base)->channels; c++)
        memset(out[c], 0, frames * sizeof(float));
    return frames;
}

static uint32_t null_write(struct takt_port *base, const float *const *in, uint32_t frames,
                           uint32_t *status)
{
    return frames;
}

static void null_close(struct takt_port *base)
{
    free(base);
}

static const struct takt_port_ops ops = {
    .read = null_read, .write = null_write, .close = null_close};

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    if (*rest)
        return takt_fail(e, TAKT_ERR_ARG, 0, "null:%.40s: write null: and nothing behind it", rest);
    *out = (struct takt_device_info){.id = "null:",
                                     .backend = "null",
                                     .description = "silence to read, nowhere to write to",
                                     .in_channels_max = TAKT_CHANNELS_MAX,
                                     .out_channels_max = TAKT_CHANNELS_MAX,
                                     .in_channels_default = 1,
                                     .out_channels_default = 2,
                                     .rate_hz_default = 48000,
                                     .rate_hz_min = 8000,
                                     .rate_hz_max = 384000,
                                     .block_frames_default = 128,
                                     .block_frames_min = 1,
                                     .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
                                     .format = TAKT_F32};
    return 0;
}

static int list(struct takt_device_info *out, int max)
{
    struct takt_error ignored;
    if (max > 0)
        query("", out, &ignored);
    return 1;
}

static int open_port(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e)
{
    struct takt_device_info info;
    *out = NULL;
    int err = query(cfg->rest, &info, e);
    if (err < 0)
        return err;
    struct null_port *p = calloc(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->base.ops = &ops;
    p->channels = cfg->channels;
    *out = &p->base;
    return 0;
}

const struct takt_backend takt_backend_null = {.scheme = "null",
                                               .list = list,
                                               .query = query,
                                               .open_port = open_port,
                                               .open_driver = takt_pacer_open_plain};
