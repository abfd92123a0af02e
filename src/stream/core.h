/*
 * stream/core.h - what the device thread works with: everything a running stream touches.
 *
 * Ownership: the fields under "settings" are written before start and constant while the stream
 * runs. Those under "device thread" belong to the device thread from its first cycle to its last,
 * and to the control thread otherwise. Those under "shared" are atomics, each with one writer
 * unless said otherwise.
 */
#ifndef TAKT_STREAM_CORE_H
#define TAKT_STREAM_CORE_H

#include "rt/guard.h"
#include "stream/bypass.h"
#include "stream/contract.h"
#include "stream/device.h"
#include "stream/dll.h"
#include "stream/edge.h"
#include "stream/fifo.h"
#include "stream/soften.h"
#include "stream/state.h"
#include "sync/event_queue.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the control thread wants of the device thread. */
enum takt_order { TAKT_ORDER_RUN, TAKT_ORDER_DRAIN, TAKT_ORDER_ABORT };

/* One direction. */
struct takt_side {
    /* settings */
    uint32_t channels;               /* of the callback; 0: the side is not used */
    uint32_t device_channels;        /* that the device moves */
    uint16_t map[TAKT_CHANNELS_MAX]; /* device channel of each stream channel */
    struct takt_port *port;          /* NULL when the driver serves the side */
    bool port_is_driven;             /* the port is the driver's own device: it is away with it */
    bool is_bridged;                 /* the port has a clock of its own (stream/bridge.h) */
    _Atomic uint32_t latency_frames; /* shared: written by whoever hears of it from the host */
    /* device thread */
    float
        *scratch[TAKT_CHANNELS_MAX]; /* [device channel][host block]: a port's frames, or silence */
    float *host[TAKT_CHANNELS_MAX];  /* [channel]: this cycle's frames, wherever they lie */
    float *block[TAKT_CHANNELS_MAX]; /* [channel]: what the callback sees, when planar floats */
    struct takt_fifo fifo;           /* used when the block is not the host's */
    struct takt_edge edge;           /* used when the callback's samples are not planar floats */
    struct takt_soften seam;         /* by device channel of an input, by channel of an output */
    bool in_gap;                     /* a port gives nothing, or the sound is over */
};

struct takt_core {
    struct takt_engine face; /* what devices see of it */
    /* settings */
    struct takt_driver *driver;
    struct takt_contract *contract; /* NULL when switched off */
    struct takt_event_queue *events;
    takt_process_fn *process;
    void *arg;
    void (*after)(const struct takt_block *b, void *arg);
    struct takt_block after_block; /* for which it is to be called when the output is delivered */
    bool after_due;
    void (*finished)(uint64_t last_frame, void *arg);
    void *finished_arg;
    uint32_t rate_hz;
    uint32_t block_frames;    /* 0: the host's */
    bool blocking;            /* process drains its own queue before it ends */
    bool plays_out;           /* the output has a converter behind it that takes latency_frames */
    uint32_t host_frames_max; /* no cycle is longer */
    uint64_t length_frames;   /* 0: no end */
    uint64_t tail_frames;
    double frame_ns;
    bool virtual_clock;
    struct takt_chain *chain;        /* NULL: none whose state the stream shows */
    enum takt_guard_mode guard_mode; /* never the default */

    /* device thread */
    struct takt_side in, out;
    struct takt_dll dll;
    struct takt_guard_thread *guard; /* of the thread of the last cycle; NULL: nothing watches */
    bool adapted;                    /* the block is not the host's: the queues are in use */
    bool started, away, draining, aborting, in_ended;
    bool block_open;         /* a callback has run whose end is not yet recorded */
    uint32_t trim_frames;    /* set by a blocking callback with TAKT_DRAIN: frames that count */
    uint32_t flags;          /* gathered for the next block */
    uint32_t contract_flags; /* gathered for the next record */
    uint64_t lost_frames;    /* gathered for the next block */
    uint64_t position;       /* of the next block */
    uint64_t last_frame;     /* after the last frame that counts */
    uint64_t tail_left;
    uint64_t heard_left; /* frames still to pass before the last one is out of the converter */
    uint32_t last_cycle_frames;
    uint64_t away_since;
    int64_t lateness_ns, begun_ns;
    struct takt_bypass bypass;
    struct takt_soften block_seam; /* of the callback's output */
    bool called;                   /* the callback was, in the block that is open */
    bool called_in_cycle;
    bool heard;               /* the callback was, in the last block */
    bool block_gap;           /* a blocking write is too late */
    uint32_t written_frames;  /* set by a blocking callback that ran dry: frames of this block */
    uint64_t bypassed_frames; /* that passed since the callback was called last */
    uint64_t shed_told;       /* the chain's stages, as of the last event */
    const struct takt_cycle *cycle; /* the one being run */

    /* shared */
    _Atomic int state; /* enum takt_state, moved along the table by both threads */
    _Atomic int order; /* enum takt_order, written by the control thread */
    _Atomic uint64_t position_shown;
    _Atomic int64_t now_shown;                    /* the stream's clock as of the last block */
    _Atomic uint32_t host_frames, adapter_frames; /* written by the device thread */
    _Atomic bool thread_known;
    _Atomic pthread_t thread; /* of the last cycle; a lost device's is another one */
    _Atomic uint64_t event_counts[TAKT_EVENT_TYPES];
    struct takt_health_shown {
        _Atomic bool is_bypassed;
        _Atomic uint64_t bypassed_since, bypasses, retries, bypassed_frames, fades;
    } health;
    _Atomic uint32_t moved; /* counts moves of state; a futex to wait on */
};

extern const struct takt_engine_ops takt_core_ops;

/* Forgets the last run. Thread: control, while no cycle can run. RT: no. */
void takt_core_reset(struct takt_core *g);

/* Sets the adapter between the callback's block and the host's to its beginning, for the host's
 * block of now. Thread: device, or control while no cycle can run. RT: yes. */
void takt_core_adapt(struct takt_core *g);

/* Moves the state and wakes whoever waits for it. Returns as takt_state_move.
 * Thread: any. RT: yes (one futex wake-up, at a change of state only). */
int takt_core_move(struct takt_core *g, enum takt_move move);

/* Waits until done(state) or the deadline (CLOCK_MONOTONIC ns, < 0: none). Returns the state seen
 * last. Thread: control. RT: no. */
enum takt_state takt_core_await(struct takt_core *g, bool (*done)(enum takt_state),
                                int64_t until_ns);

#endif
