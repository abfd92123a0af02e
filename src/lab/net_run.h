/*
 * lab/net_run.h - what the parts of a simulated stream over a network share while it runs.
 *
 *     net_run.c     time: blocks of the sender, what the path delivers, blocks of the receiver
 *     net_check.c   what has to be true, found out beside the receiver
 *     net_trace.c   arrivals that were recorded, in place of sender and path
 *
 * All times are of the receiver's clock.
 */
#ifndef TAKT_LAB_NET_RUN_H
#define TAKT_LAB_NET_RUN_H

#include "base/random.h"
#include "lab/net_ends.h"
#include "lab/net_sound.h"
#include "net/envelope.h"
#include "takt/hist.h"

enum {
    TAKT_LAB_NET_CHANNELS = 2,
    TAKT_LAB_NET_BLOCKS = 8192, /* of the sender, whose time of capture is remembered */
    TAKT_LAB_NET_DEADS = 256,
    TAKT_LAB_NET_FIRST = 4096,  /* packets whose order of arrival is remembered */
    TAKT_LAB_NET_SEEN = 1 << 16 /* packets of which it is known whether they came */
};

/* A time at which nothing could be heard, through no fault of the receiver. */
struct takt_lab_net_dead {
    int64_t until_ns, for_ns;
};

/* What is known of the packets of one sender. */
struct takt_lab_net_packets {
    uint64_t sent, came;     /* packets; datagrams of it */
    uint64_t handed, unique; /* to the receiver; those that came twice count once */
    int64_t newest;          /* the highest index that came; -1: none */
    int64_t last_index;      /* that was sent: for the unwrapping */
    uint16_t seq_first;
    bool has_first;
    uint8_t seen[TAKT_LAB_NET_SEEN / 8];
    int64_t first[TAKT_LAB_NET_FIRST]; /* the indices of the first that were handed over */
};

struct takt_lab_net_ear {
    int64_t next;  /* the sender's frame that comes next; -1: not known */
    int64_t heard; /* all frames before it have had their time */
    int64_t excused_until_ns;
    uint64_t marks; /* of what excuses, when it was last looked at */
    bool was_exact;
    float last[TAKT_LAB_NET_CHANNELS];
    uint64_t silent_frames;
    int64_t silent_from_ns;
    double silent_delay_ms, silent_latency_ms; /* then */
    int64_t above_since_ns;                    /* the delay is above its limit; 0: it is not */
    double above_ms, delay_ms;
    int64_t trip_ns, trip_until_ns; /* of the round trips lately the longest */
    size_t heap_bytes;
};

struct takt_lab_net {
    const struct takt_lab_net_plan *plan;
    const struct takt_simulate_net_cfg *cfg;
    struct takt_simulate_net_report *report;
    const struct takt_lab_sound *sound;
    const struct takt_lab_net_trace *trace; /* NULL: there is none */
    struct takt_lab_ends *ends;
    struct takt_network *there, *back;

    int64_t start_ns, now_ns;
    uint64_t pulls;
    /* The sender. */
    struct takt_random drift_chance, restart_chance, stall_chance, jump_chance, wake_chance;
    double drift_ppm, part_ns; /* part_ns: of a nanosecond, of when the next block is full */
    int64_t full_ns, send_ns;
    int64_t frames;            /* that were captured */
    int64_t quiet_frame;       /* the first that was not, when it was not there last */
    uint64_t traced;           /* lines */
    bool is_quiet;             /* it is not there, until back_ns */
    int64_t back_ns, drift_ns; /* when the drift changes */
    int64_t restart_ns, stall_ns, jump_ns;
    int64_t stalled_until_ns, jumped_ns;
    uint32_t pause_frames;
    int64_t captured_ns[TAKT_LAB_NET_BLOCKS];
    struct takt_lab_net_packets packets;
    /* The path. */
    int64_t advanced_ns, began_ns; /* when a packet came that was newer; when the sender began */
    bool is_believed;
    uint64_t came_new; /* datagrams of a sender that is not believed yet */
    struct takt_lab_net_dead dead[TAKT_LAB_NET_DEADS];
    uint32_t deads;
    bool was_disturbed; /* the sender or a clock began anew: counts are checked less closely */
    /* What is told. */
    struct takt_envelope envelope;
    uint64_t envelope_ssrc;
    int64_t envelope_seq, envelope_media;
    struct takt_hist *latency, *lateness;
    double delay_sum_ms;
    uint64_t delays;
    struct takt_lab_net_ear ear;
    uint8_t *packet;
    float *memory, *in[TAKT_LAB_NET_CHANNELS], *out[TAKT_LAB_NET_CHANNELS];
};

/* One stream from its beginning to its end; adds to the report. latency, lateness: of all streams.
 * Errors: those of takt_simulate_net(); *stopped: progress said so. */
struct takt_lab_net_job {
    const struct takt_lab_net_plan *plan;
    const struct takt_simulate_net_cfg *cfg;
    const struct takt_lab_sound *sound;
    const struct takt_lab_net_trace *trace;
    struct takt_hist *latency, *lateness;
    bool tells_seconds; /* progress is called each second */
};
int takt_lab_net_run(const struct takt_lab_net_job *job, struct takt_simulate_net_report *report,
                     bool *stopped, struct takt_error *e);

/* Where the one that is running is. */
void takt_lab_net_where(uint64_t *scenario, double *time_s);

/* The first broken invariant stands; the run then ends. */
void takt_lab_net_break(struct takt_lab_net *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* net_check.c: at the start and when a sender has begun; after a pull; each second; at the end,
 * when all that was sent has come or never will. */
void takt_lab_net_check_start(struct takt_lab_net *l);
void takt_lab_net_check_pull(struct takt_lab_net *l, int64_t play_ns);
void takt_lab_net_check_second(struct takt_lab_net *l);
void takt_lab_net_check_end(struct takt_lab_net *l);

/* For how long since from_ns nothing could be heard. */
int64_t takt_lab_net_dead_ns(const struct takt_lab_net *l, int64_t from_ns);

/* ---- Recorded arrivals ----------------------------------------------------------------------- */

struct takt_lab_net_line {
    int64_t arrival_ns; /* after the first one's */
    uint32_t timestamp;
    int32_t place; /* in packets after the first one */
};

struct takt_lab_net_trace {
    struct takt_lab_net_line *lines;
    uint64_t count;
    uint32_t rate_hz, packet_ticks;
};

/* Errors: TAKT_ERR_IO, TAKT_ERR_FORMAT, TAKT_ERR_NOMEM. */
int takt_lab_net_trace_read(const char *path, uint32_t rate_hz, struct takt_lab_net_trace *out,
                            struct takt_error *e);
void takt_lab_net_trace_clear(struct takt_lab_net_trace *t);

/* Of the sound that stands in for the one that was sent; 0: there is none that would do. */
uint32_t takt_lab_net_trace_rate(const struct takt_lab_net_trace *t);

/* A stream whose packets are as long as those of the trace, at as low a rate as there can be. */
void takt_lab_net_trace_plan(const struct takt_lab_net_trace *t, struct takt_lab_net_plan *p);

/* Line `number` as a packet, with sound. Returns its bytes. */
size_t takt_lab_net_trace_packet(const struct takt_lab_net_trace *t, uint64_t number,
                                 const struct takt_lab_net_plan *p, const struct takt_lab_sound *s,
                                 uint8_t *out, size_t room);

#endif
