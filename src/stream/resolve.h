/*
 * stream/resolve.h - from settings with gaps to a plan without: which backend serves which side,
 * at what rate, block and channel count. Checks everything that can be checked without opening.
 */
#ifndef TAKT_STREAM_RESOLVE_H
#define TAKT_STREAM_RESOLVE_H

#include "stream/device.h"

struct takt_plan_side {
    const struct takt_backend *backend; /* NULL: the side is not used */
    char *id;                           /* whole, owned */
    const char *rest;                   /* into id */
    bool is_bridged;                    /* it has a clock, and the stream follows another one */
    uint32_t own_hz; /* a source without a clock has another rate, and is converted; else 0 */
    uint32_t channels, device_channels;
    uint16_t map[TAKT_CHANNELS_MAX];
    struct takt_device_info info;
};

struct takt_plan {
    struct takt_stream_cfg cfg; /* every default filled in, but for block_frames 0 */
    struct takt_plan_side in, out;
    const struct takt_backend *clock; /* whose driver paces the stream */
};

/* Errors: as takt_stream_create. The plan is to be ended with takt_plan_fini in any case.
 * Thread: any. RT: no. */
int takt_plan_init(struct takt_plan *plan, const struct takt_stream_cfg *cfg, struct takt_error *e);
void takt_plan_fini(struct takt_plan *plan);

/* Splits an id: the backend, and where the rest begins. A path without a scheme is the file
 * backend's. Errors: TAKT_ERR_NOT_FOUND for a scheme that this build lacks. */
int takt_device_split(const char *id, const struct takt_backend **backend, const char **rest,
                      struct takt_error *e);

#endif
