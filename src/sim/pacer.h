/*
 * sim/pacer.h - the driver for everything without a sound card: it keeps a device's time, on a
 * real clock to the nanosecond that the kernel gives, or on a virtual one as fast as it goes; and
 * it can have a device's faults, at chosen times or by a seeded chance.
 *
 * Block k, of frames p..p+n of the device's clock, is due when its last frame is captured, and
 * has to be ready when the next block is due, at which moment its output begins to sound. So
 * input and output each have one host block of latency, as a double-buffered card has.
 */
#ifndef TAKT_SIM_PACER_H
#define TAKT_SIM_PACER_H

#include "stream/device.h"

enum { TAKT_PACER_XRUNS_MAX = 16 };

/* A zero field means none, but for the first three. */
struct takt_pacer_cfg {
    uint32_t rate_hz;
    uint32_t host_frames; /* 1..16384 */
    struct takt_engine *engine;
    const char *name; /* of the thread */
    enum takt_clock clock;
    bool stepped; /* as in takt_driver_cfg */
    int priority; /* as in takt_stream_cfg */
    uint64_t seed;
    bool is_live; /* being late loses frames, as with a card; else the blocks catch up */
    bool varies;  /* host blocks of 1..host_frames */
    double ppm;   /* the device's clock is off by so much */
    int64_t
        jitter_ns; /* mean of an exponential extra lateness; one wake-up in 1000 has 10 times it */
    int64_t work_ns;                       /* virtual clock: how long a callback takes … */
    int64_t work_spread_ns;                /* … give or take */
    int64_t xrun_ns[TAKT_PACER_XRUNS_MAX]; /* at these stream times the device loses one block; */
    int xruns;                             /* in rising order */
    int64_t vanish_ns, vanish_for_ns;      /* the device is away for so long from then on */
    uint32_t loop_channels; /* output comes back as input after both latencies; 0: ports serve */
    uint32_t loop_delay_frames; /* and so much later: a path that nobody reports */
    float loop_gain;            /* of that path; 0 is silence */
    float loop_noise;           /* RMS of the white noise that it adds */
};

/* Opens the driver, as takt_backend.open_driver does. Errors: TAKT_ERR_NOMEM. RT: no. */
int takt_pacer_open(const struct takt_pacer_cfg *cfg, struct takt_driver **out,
                    struct takt_error *e);

/* The driver of a backend that has no clock of its own: files, null. Catches up, loses nothing.
 * RT: no. */
int takt_pacer_open_plain(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                          struct takt_error *e);

/* The host block that a paced device takes for a callback's block and wished latency. RT: no. */
uint32_t takt_pacer_block(const struct takt_driver_cfg *cfg);

#endif
