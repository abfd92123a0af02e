/*
 * lab/lab.h - what the parts of a simulation share while one scenario runs.
 *
 *     run.c      the control thread: create, start, the end, destroy
 *     device.c   the device thread: the scripted driver and its ports, and their faults
 *     check.c    what has to be true, reckoned a second time beside the engine
 *
 * The two threads never run at the same time but for the moment in which one of them waits for the
 * other: the device thread hands over a turn at chosen steps, so that what happens depends on the
 * seed alone.
 */
#ifndef TAKT_LAB_LAB_H
#define TAKT_LAB_LAB_H

#include "lab/plan.h"
#include "stream/core.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the device thread does. */
struct takt_lab_device {
    struct takt_driver base;
    struct takt_engine *engine;
    pthread_t thread;
    bool runs;
    _Atomic bool quit;
    struct takt_random chance;
    double frame_ns;
    int64_t now_ns;
    uint64_t position; /* of the device's clock */
    uint32_t host_frames, next_frames;
    uint32_t away_left;     /* cycles */
    uint64_t stalled_until; /* the disk does nothing before that position */
    bool starves, is_full;  /* in this step */
    int64_t work_ns;        /* of the callbacks in this step */
    const float *in[TAKT_LAB_CHANNELS];
    float *out[TAKT_LAB_CHANNELS], *waste; /* one block each; waste: what nobody may hear */
};

/* A port: of the driver's device, or without a clock. */
struct takt_lab_port {
    struct takt_port base;
    struct takt_lab *lab;
    bool is_input;
    uint32_t channels;
    uint64_t at; /* the next frame that it has; a live one goes on without us */
};

/* What is known of a block whose record is not written yet. */
struct takt_lab_block {
    bool is_open;
    int64_t deadline_ns;
};

/* The engine, reckoned again. */
struct takt_lab_model {
    struct takt_lab_queue in, out;
    struct takt_lab_queue log; /* what a recording has to hold */
    uint64_t position, last_frame, shown;
    uint64_t lost, lost_pending;          /* counted in all; since the last block */
    uint64_t in_port_lost, out_port_lost; /* as the ports were told, and should have been: */
    uint64_t in_port_due, out_port_due;
    uint64_t under_way;             /* frames of output, before this step's were written */
    const struct takt_cycle *cycle; /* of this step, while it runs */
    uint64_t out_id;                /* of the next frame that the callback makes */
    uint64_t tail_left;
    uint32_t flags; /* that the next block has to have */
    bool adapted, started, away, draining, aborting, in_ended, finished;
    bool read_is_due, wrote;             /* in this step */
    uint32_t gathered;                   /* frames of input in this step */
    uint32_t counted;                    /* frames of output that were made in this step */
    uint32_t written;                    /* frames that a port was given in this step */
    uint64_t heard_from, heard_frames;   /* when the last sound left, and how long it takes */
    uint64_t file_at;                    /* the next frame of a recording that is played */
    uint64_t block_position, block_lost; /* of the last block */
    uint32_t block_frames;
    bool block_ran; /* in this step */
    enum takt_state state;
    uint64_t events[TAKT_EVENT_TYPES], events_seen[TAKT_EVENT_TYPES];
    uint64_t told_lost; /* frames, by the events of a recording */
    uint64_t event_position;
    int64_t event_ns;
    struct takt_lab_block block;
    uint32_t reasons, reasons_before; /* for a miss, 1 << cause: of this block and the last */
    bool is_late;                     /* this step was woken late: that goes for all its blocks */
    int64_t last_slack_ns;
    bool new_miss, new_miss_may; /* in this step; the last one's: */
    uint32_t new_reasons;
    int64_t new_slack_ns;
    uint64_t new_position;
    uint64_t misses, misses_may, blocks, recorded, recorded_frames, recorded_lost;
    struct takt_miss last_miss;
    int misses_kept;
    size_t heap_bytes, rt_bytes;
    /* The ear, for what comes from another clock. */
    double twice_cos, heard[2];
    uint64_t ear_from, gaps;
    bool had_trouble;
    /* Blocking read and write. */
    struct takt_lab_queue read;
    uint64_t to_play; /* frames written and not yet taken */
    uint64_t play_id; /* of the next frame to be written */
    bool overflowed, underflowed, begun;
};

enum takt_lab_turn { TAKT_LAB_NOBODY, TAKT_LAB_CONTROLS, TAKT_LAB_OVER };

struct takt_lab {
    struct takt_lab_plan plan;
    const struct takt_simulate_cfg *cfg;
    struct takt_simulate_report *report;
    struct takt_lab_tape wide, narrow, *tape;
    struct takt_lab_device device;
    struct takt_lab_model model;
    struct takt_stream *stream;
    struct takt_core *core;
    uint64_t step; /* of this scenario, over its runs */
    uint64_t run_step;
    float *memory;
    char path[300]; /* of the recording */
    /* Whose turn it is. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    enum takt_lab_turn turn;
    bool ordered; /* the control thread is about to end the stream */
    enum takt_order order;
    _Atomic uint64_t disk_left; /* bytes that a disk that fails still takes */
    bool disk_failed;
    uint64_t virtual_ns; /* of all scenarios */
};

/* The first broken invariant stands; the run then ends as fast as it can. Thread: any. */
void takt_lab_break(struct takt_lab *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline bool takt_lab_is_broken(const struct takt_lab *l)
{
    return l->report->broken;
}

/* A line for whoever wants to know it all. */
void takt_lab_tell(struct takt_lab *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void takt_lab_inject(struct takt_lab *l, enum takt_fault fault)
{
    l->report->faults[fault]++;
}

static inline void takt_lab_hash(struct takt_lab *l, uint64_t value)
{
    uint64_t h = (l->report->hash ^ value) * 0x9e3779b97f4a7c15u;
    l->report->hash = h ^ (h >> 29);
}

/* device.c: the backend for `lab:` and `labport:`, served by the lab that is set. */
extern const struct takt_backend takt_lab_backend;
void takt_lab_device_use(struct takt_lab *l);
/* The control thread's turn is over. */
void takt_lab_hand_back(struct takt_lab *l);

/* check.c, on the device thread: around each cycle, in the callback, in the ports, at the end. */
void takt_lab_check_start(struct takt_lab *l);
void takt_lab_check_before(struct takt_lab *l, const struct takt_cycle *c);
void takt_lab_check_after(struct takt_lab *l, const struct takt_cycle *c, bool more);
void takt_lab_check_end(struct takt_lab *l);
void takt_lab_check_host_block(struct takt_lab *l, uint32_t frames);
void takt_lab_check_clock(struct takt_lab *l, int64_t now_ns);
void takt_lab_check_read(struct takt_lab *l, uint64_t first, uint32_t got, uint32_t asked,
                         bool ended);
void takt_lab_check_write(struct takt_lab *l, const float *const *in, uint32_t channels,
                          uint32_t frames, uint32_t taken);
enum takt_next takt_lab_process(const struct takt_block *b, void *lab);
void takt_lab_finished(uint64_t last_frame, void *lab);
/* Frames of planar or interleaved memory against the tape. ids: the tape's channel of each. */
bool takt_lab_is_piece(struct takt_lab *l, const void *const *data, enum takt_sample format,
                       enum takt_layout layout, uint32_t channels, const uint16_t *ids, uint64_t at,
                       const struct takt_lab_piece *piece);

/* check_blocking.c: what the callback of blocking read and write makes of a cycle; and a turn of
 * the user's, on the control thread. */
void takt_lab_check_blocking(struct takt_lab *l, const struct takt_cycle *c);
void takt_lab_use_blocking(struct takt_lab *l);
/* check_block.c: a fresh ear. */
void takt_lab_check_ear(struct takt_lab *l);
/* The model's part of a block that has been called with `count` frames that count. */
uint32_t takt_lab_count(struct takt_lab *l, uint32_t frames, uint32_t in_frames);
/* check_record.c: events, states, misses and memory, after each step. */
void takt_lab_check_records(struct takt_lab *l, bool more);

/* run.c: one scenario from its creation to its end. */
void takt_lab_run(struct takt_lab *l, uint64_t seed, uint64_t number);

#endif
