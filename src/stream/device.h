/*
 * stream/device.h - what a device has to be for the engine to use it.
 *
 * Two kinds of thing meet in a stream. A *driver* has the clock: its thread wakes once for every
 * host block and calls takt_engine_cycle(). A *port* has sound but no clock: it gives or takes
 * frames when the cycle asks, without waiting. A sound card is a driver that brings its own
 * buffers; a file is a port; `sim:` is a driver (the pacer) with scenes as ports. A stream has one
 * driver, and a port for each side that the driver does not serve itself.
 *
 * Threads: what says RT: yes is called on the device thread (wait-free, also for page faults: all
 * memory is there before start). Everything else is called from the control thread, and never at
 * the same time as another control call of the same object; service is called on the port's own
 * worker (real clock) or on the driver's thread between two cycles (virtual clock).
 */
#ifndef TAKT_STREAM_DEVICE_H
#define TAKT_STREAM_DEVICE_H

#include "takt/device.h"
#include "takt/error.h"
#include "takt/format.h"
#include "takt/stream.h"

#include <stdbool.h>
#include <stdint.h>

/* Whom a device works for: the stream's core, or a bridge between two clocks. */
struct takt_engine {
    const struct takt_engine_ops *ops;
};

/* ---- Ports -------------------------------------------------------------------------------- */

enum takt_port_status {
    TAKT_PORT_SHORT = 1 << 0, /* fewer frames than asked because the data was not there in time */
    TAKT_PORT_ENDED = 1 << 1, /* read: there will be no more after these; write: it has failed for
                                 good (the event said why), everything is dropped from now on */
    TAKT_PORT_FULL = 1 << 2   /* write: its queue was full, the rest was dropped and counted */
};

/* A disk may stall for 5 s, and a recording loses nothing; the rest is what the disk then needs to
 * catch up before it stalls again. */
#define TAKT_BUFFER_S_DEFAULT 8.0

struct takt_port_cfg {
    const char *rest; /* the id after its scheme: "voice,ppm=300" or a path */
    bool is_input;
    uint32_t rate_hz;          /* the stream's */
    uint32_t channels;         /* device channels that the engine will move, >= 1 */
    uint32_t block_frames_max; /* longest read or write */
    enum takt_sample format;   /* what to store; TAKT_SAMPLE_DEFAULT: the port's choice */
    enum takt_dither dither;
    enum takt_clip clip;
    enum takt_clock clock;
    uint64_t seed;
    double buffer_s;            /* a file sink's, as in takt_side_cfg; 0: its default */
    int64_t timeout_ns;         /* bounds start and stop */
    struct takt_engine *engine; /* for takt_engine_event(); may be NULL in tests */
};

struct takt_port;
struct takt_port_ops {
    /* Fills out[channel][0..frames) and returns how many frames it could; the engine makes the
     * rest silence. *status is zero at entry. RT: yes. */
    uint32_t (*read)(struct takt_port *p, float *const *out, uint32_t frames, uint32_t *status);
    /* Takes in[channel][0..frames) and returns how many frames it could. RT: yes. */
    uint32_t (*write)(struct takt_port *p, const float *const *in, uint32_t frames,
                      uint32_t *status);
    /* The stream's clock jumped over so many frames: a live source drops them, a recording writes
     * as much silence so that time stays true. NULL: nothing to do (a file source does not skip).
     * RT: yes. */
    void (*lost)(struct takt_port *p, uint64_t frames);
    /* Ready to be read or written from the first cycle on (a source has its first data; the worker
     * runs, if it needs one on this clock). Restart after stop begins anew. RT: no. */
    int (*start)(struct takt_port *p, struct takt_error *e);
    /* Does the pending I/O, as much as makes the next block_frames_max frames readable or
     * writable on a virtual clock. May wait for the disk. NULL: nothing ever pending. RT: no. */
    void (*service)(struct takt_port *p);
    /* No read or write comes any more. A sink has everything that was written on disk and its file
     * complete when this returns. Bounded by timeout_ns: TAKT_ERR_TIMEOUT. RT: no. */
    int (*stop)(struct takt_port *p, struct takt_error *e);
    void (*close)(struct takt_port *p);
    /* How the recording goes; out is all zeros. NULL: it is none. Thread: any. RT: yes. */
    void (*recording)(const struct takt_port *p, struct takt_recording *out);
};
struct takt_port {
    const struct takt_port_ops *ops; /* the port's own struct begins with this one */
};

/* ---- Drivers ------------------------------------------------------------------------------ */

/* One host block, from the driver to the engine. Times: the driver's clock, ns. */
struct takt_cycle {
    uint32_t frames;        /* 1..host_block_frames */
    const float *const *in; /* [in_channels] planar, or NULL: that side is a port's */
    float *const *out;      /* [out_channels] planar, or NULL */
    uint32_t flags;         /* enum takt_flag: what the host reports of the time since the last */
    uint64_t lost_frames;   /* the host's clock went on so far without us since the last cycle */
    uint32_t valid;         /* enum takt_time_valid of the times below; now and due always are */
    bool due_known;         /* false: the engine takes due from its own smoothed time */
    int64_t due_ns;         /* when the host meant to wake us */
    int64_t now_ns;         /* when it did */
    int64_t deadline_ns;    /* when the whole cycle has to be finished */
    int64_t owed_ns;        /* when frames are lost because we woke too late: the deadline of the
                               block that was due; else 0 */
    int64_t in_first_ns;    /* the first of these input frames at the converter */
    int64_t out_first_ns;   /* the first of these output frames at the converter */
};

/* Behind the calls below. */
struct takt_engine_ops {
    /* RT: yes. */
    bool (*cycle)(struct takt_engine *g, const struct takt_cycle *c);
    void (*host_block)(struct takt_engine *g, uint32_t frames);
    void (*latency)(struct takt_engine *g, uint32_t in_frames, uint32_t out_frames);
    /* RT: no. */
    void (*service)(struct takt_engine *g);
    /* RT: yes. */
    void (*event)(struct takt_engine *g, enum takt_event_type type, enum takt_err code,
                  int os_errno, uint64_t value, const char *text);
};

/* Runs the callback as often as this host block needs. Returns true to go on, false when the
 * stream has come to its end: the driver then makes no further cycle and lets its thread end.
 * Thread: device. RT: yes. */
static inline bool takt_engine_cycle(struct takt_engine *g, const struct takt_cycle *c)
{
    return g->ops->cycle(g, c);
}

/* From now on the host moves so many frames at once, up to the driver's host_block_max. The adapter
 * begins anew if it is in use: a gap, for a callback whose block has to stay as it is.
 * Thread: device, between two cycles. RT: yes. */
static inline void takt_engine_host_block(struct takt_engine *g, uint32_t frames)
{
    g->ops->host_block(g, frames);
}

/* The host's latencies as they are now, in frames. Thread: any. RT: yes (wait-free). */
static inline void takt_engine_latency(struct takt_engine *g, uint32_t in_frames,
                                       uint32_t out_frames)
{
    g->ops->latency(g, in_frames, out_frames);
}

/* Services the ports; a virtual driver calls it before each cycle. RT: no. */
static inline void takt_engine_service(struct takt_engine *g)
{
    g->ops->service(g);
}

/* Queues an event for the user: time and position are filled in here; nothing for no engine.
 * Thread: any. RT: yes (lock-free; a wake-up by one write to an eventfd when the queue was empty).
 */
static inline void takt_engine_event(struct takt_engine *g, enum takt_event_type type,
                                     enum takt_err code, int os_errno, uint64_t value,
                                     const char *text)
{
    if (g)
        g->ops->event(g, type, code, os_errno, value, text);
}

struct takt_driver_cfg {
    const char *in_rest; /* the id after the scheme, NULL when that side is not this backend's */
    const char *out_rest;
    uint32_t in_channels, out_channels;
    uint32_t rate_hz;
    uint32_t block_frames; /* the callback's, 0 if any will do: the best host block is this */
    double latency_s;      /* one way, wished; 0: low */
    bool latency_high;
    int priority; /* as in takt_stream_cfg, resolved */
    enum takt_clock clock;
    bool stepped; /* virtual clock only: no thread; somebody else calls advance */
    uint64_t seed;
    int64_t timeout_ns; /* bounds open and start */
    const char *name;
    struct takt_engine *engine;
};

struct takt_driver;
struct takt_driver_ops {
    /* The first cycle may come before it returns. RT: no. */
    int (*start)(struct takt_driver *d, struct takt_error *e);
    /* Ends the thread; no cycle runs after 0. TAKT_ERR_TIMEOUT: it still hangs in one. RT: no. */
    int (*stop)(struct takt_driver *d, int64_t timeout_ns, struct takt_error *e);
    void (*close)(struct takt_driver *d);
    /* When opened as `stepped`: runs, on the calling thread, all cycles that are due by then.
     * RT: no. */
    void (*advance)(struct takt_driver *d, int64_t until_ns);
    /* The driver's clock: CLOCK_MONOTONIC, or virtual time. The engine reads it exactly once after
     * each callback; a virtual clock goes on at that moment by the callback's modelled duration.
     * NULL means takt_now_ns(). Thread: device. RT: yes. */
    int64_t (*now)(struct takt_driver *d);
    /* What the device thread got; known after the first cycle. Thread: any. RT: no. */
    void (*sched)(const struct takt_driver *d, struct takt_sched *out);
};
struct takt_driver {
    const struct takt_driver_ops *ops; /* the driver's own struct begins with this one */
    /* Granted by open, constant until close but for what takt_engine_host_block() and
     * takt_engine_latency() tell of later: */
    uint32_t host_block_frames; /* the longest cycle, as of now */
    bool host_block_varies;     /* cycles may be shorter */
    uint32_t host_block_max;    /* takt_engine_host_block() may say so much; 0: it never will */
    bool serves_in, serves_out; /* cycle.in and cycle.out are the driver's; else a port's */
    uint32_t latency_in_frames; /* converter to cycle, host_block_frames for a double buffer */
    uint32_t latency_out_frames;
};

/* ---- Backends ------------------------------------------------------------------------------ */

/* Somebody who hears of changes, see takt_backend.watch. */
struct takt_list_watch;

struct takt_backend {
    const char *scheme; /* "sim": ids begin with "sim:" */
    bool has_clock;     /* its driver paces by a clock of its own that other sides must follow */
    /* Do these two ids of it share one clock, so that one driver can serve both? NULL: always. */
    bool (*one_clock)(const char *in_rest, const char *out_rest);
    /* Writes up to max infos, returns how many there are. */
    int (*list)(struct takt_device_info *out, int max);
    int (*query)(const char *rest, struct takt_device_info *out, struct takt_error *e);
    /* From now until unwatch, calls changed(arg) on some thread whenever list() may give something
     * else than before; is_over: for the last time, because the server is gone. changed does not
     * wait. Returns NULL when there is nobody to tell; both may wait for the server. NULL: the
     * list stays as it is, or list_alters: it is asked for once a second. */
    struct takt_list_watch *(*watch)(void (*changed)(void *arg, bool is_over), void *arg);
    void (*unwatch)(struct takt_list_watch *w);
    bool list_alters;
    /* May be NULL when the driver serves both sides itself. */
    int (*open_port)(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e);
    int (*open_driver)(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e);
};

/* The table, ended by NULL, best default first. The device folder (or a test) defines it. */
extern const struct takt_backend *const takt_backends[];

#endif
