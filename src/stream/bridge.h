/*
 * stream/bridge.h - an input with a clock of its own, as a port of a stream that follows another:
 * that of its output, where a gap would be heard at once.
 *
 *     the input's device thread         ring          the stream's device thread
 *     cycle: frames in           -> [ ========= ] ->  resampler -> read
 *
 * The device's driver works for the bridge as it would for a stream's core. The queue between the
 * two threads is measured against smoothed times of both clocks, to a small part of a frame, and a
 * drift loop (dsp/drift.h) sets the resampler's ratio, so that the queue keeps its length and the
 * pitch does not waver. The resampler and the loop are on the stream's side of the ring.
 *
 * A queue that runs empty is heard as a fade to silence and back, counted, and makes the
 * queue longer from then on.
 */
#ifndef TAKT_STREAM_BRIDGE_H
#define TAKT_STREAM_BRIDGE_H

#include "stream/core.h"

struct takt_bridge_cfg {
    const struct takt_backend *backend;
    const char *id, *rest;     /* as in the stream's settings; they outlive the bridge */
    uint32_t rate_hz;          /* the stream's */
    uint32_t own_hz;           /* the device's; nominal */
    uint32_t channels;         /* that the device moves */
    struct takt_core *core;    /* whose clock the stream follows */
    uint32_t block_frames_max; /* longest read */
    struct takt_driver_cfg
        driver; /* what is left to say to the driver: block, latency, priority … */
};

/* What a user may know of it. */
struct takt_bridge_state {
    double drift_ppm; /* by how much the device is faster than nominal, by the stream's clock */
    uint32_t queue_frames; /* what the bridge adds, in the stream's frames */
    uint64_t gaps;         /* how often the queue ran empty */
    bool settled;          /* the drift is known: the input has flowed for 8 s on end */
};

/* Opens the device. Errors: as takt_stream_create. Thread: control. RT: no. */
int takt_bridge_open(const struct takt_bridge_cfg *cfg, struct takt_port **out,
                     struct takt_error *e);

/* port: one of takt_bridge_open's. Thread: any. RT: yes (wait-free). */
void takt_bridge_read_state(const struct takt_port *port, struct takt_bridge_state *out);

#endif
