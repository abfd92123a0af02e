/*
 * lab/plan.h - one scenario, drawn from a seed and a number: a stream, its device, its faults and
 * its end.
 */
#ifndef TAKT_LAB_PLAN_H
#define TAKT_LAB_PLAN_H

#include "base/random.h"
#include "lab/tape.h"
#include "takt/simulate.h"
#include "takt/stream.h"

/* What stands on a side of the stream. */
enum takt_lab_side {
    TAKT_LAB_NONE,
    TAKT_LAB_OWN,    /* the driver's own buffers, as with a sound card */
    TAKT_LAB_DRIVEN, /* a port of the driver's own device */
    TAKT_LAB_PORT,   /* a port without a clock; as a source it may have an end */
    TAKT_LAB_FILE,   /* a recording, really on disk */
    TAKT_LAB_OTHER   /* input only: sim: with a clock of its own */
};

/* How the run ends. */
enum takt_lab_end {
    TAKT_LAB_LENGTH,
    TAKT_LAB_SOURCE_ENDS,
    TAKT_LAB_CALLBACK_DRAINS,
    TAKT_LAB_CALLBACK_ABORTS,
    TAKT_LAB_STOP,
    TAKT_LAB_ABORT,
    TAKT_LAB_DESTROY
};

struct takt_lab_plan {
    uint64_t seed, number;
    enum takt_lab_side in, out;
    enum takt_lab_end end;
    uint64_t end_step; /* when somebody ends it */
    uint64_t steps;    /* about so many there will be */
    int runs;          /* starts and ends of one stream */
    bool is_long;      /* long blocks at a low rate: hours for little */
    bool blocking;     /* by read and write, not by a callback */
    uint32_t rate_hz, block_frames;
    uint32_t host_frames, host_max; /* host_max 0: the block stays */
    bool varies;
    uint32_t latency_in, latency_out;
    uint32_t in_channels, out_channels;
    uint16_t in_map[TAKT_LAB_CHANNELS], out_map[TAKT_LAB_CHANNELS];
    enum takt_sample format;
    enum takt_layout layout;
    uint64_t length_frames, tail_frames;
    uint64_t source_frames; /* of a port or a recording; 0: no end */
    double ppm, other_ppm;
    uint32_t work_permille;          /* of a period, that the callback takes */
    uint32_t odds[TAKT_FAULTS];      /* in a million steps */
    uint64_t disk_fails_after_bytes; /* 0: never */
    int fails_at;                    /* which piece of memory is not to be had; 0: none */
    double buffer_s;                 /* of a recording being made; 0: as it is by itself */
    bool takes_events;               /* while it runs; else they pile up */
    bool contract_off;
};

void takt_lab_plan_draw(struct takt_lab_plan *p, uint64_t seed, uint64_t number);

/* For a person to read. */
int takt_lab_plan_text(const struct takt_lab_plan *p, char *to, size_t size);

/* The device's channels that the maps need. */
uint32_t takt_lab_device_channels(const uint16_t *map, uint32_t channels);

#endif
