/*
 * endpoint/recv_parts.h - what the threads of a receiver share, and which of them owns what.
 *
 *     takt-recv ── inlet ── ring of packets, receivers ──► callback ── ensemble
 *        │                                                    │
 *        └── receivers that were made ──► takt-keep ◄── those that have faded out
 *
 * The network's thread makes a receiver when a source begins, and hands it both to the callback,
 * which alone feeds and pulls it, and to the keeper, which prepares its concealment, looks at its
 * statistics and in the end destroys it, once the callback has given it back. Between the network's
 * thread and the callback there are rings and no lock; the keeper's list has one, which only
 * takt_recv_read_stats() takes beside it.
 */
#ifndef TAKT_ENDPOINT_RECV_PARTS_H
#define TAKT_ENDPOINT_RECV_PARTS_H

#include "endpoint/recv_plan.h"
#include "io/udp.h"
#include "net/ensemble.h"
#include "takt/hist.h"
#include "takt/message_ring.h"
#include "takt/recv.h"
#include "takt/ring.h"
#include "takt/snapshot.h"
#include "takt/thread.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    TAKT_RECV_KEPT_MAX = 64,
    TAKT_RECV_RING_BYTES = 4 << 20,
    TAKT_RECV_RING_SPARE = 64 << 10, /* for receivers, when packets have no room any more */
    TAKT_RECV_EVENTS_MAX = 64
};

enum takt_recv_message_kind { TAKT_RECV_PACKET, TAKT_RECV_ATTACH, TAKT_RECV_DETACH };

/* What comes before a packet's payload in the ring; the others have nothing behind it. */
struct takt_recv_message {
    enum takt_recv_message_kind kind;
    uint32_t place;
    struct takt_receiver *receiver;
    struct takt_net_packet packet; /* .payload has no meaning */
};

/* A receiver as the keeper has it. */
struct takt_recv_kept {
    struct takt_receiver *receiver; /* NULL: a free place */
    uint32_t place;
};

/* What the newest source of a place came to, in receivers that are destroyed. */
struct takt_recv_gone {
    bool is_there;
    uint32_t ssrc;
    struct takt_receiver_counts counts;
};

/* From the network's thread to the keeper. */
struct takt_recv_made {
    struct takt_receiver *receiver;
    uint32_t place;
};

/* What the network's thread shows. */
struct takt_recv_shown {
    struct takt_inlet_state source[TAKT_RECV_SOURCES_MAX];
    struct takt_inlet_counts counts;
    struct takt_inlet_peer stranger;
    double kbit_s, source_kbit_s[TAKT_RECV_SOURCES_MAX];
    uint64_t datagrams, kernel_dropped, ring_dropped;
    uint64_t heard_bytes;      /* of what was believed */
    int64_t first_ns, last_ns; /* its first and its last; 0: none */
};

struct takt_recv {
    uint32_t rate_hz, channels, frames_max, sources_max;
    double latency_ms, latency_ms_max, late_ratio, lambda_ms;
    bool is_silent;
    char at[TAKT_ADDRESS_TEXT_MAX];

    /* The callback's. */
    struct takt_ensemble ensemble;
    struct takt_message_ring *packets;
    struct takt_ring *released;       /* of struct takt_receiver * */
    struct takt_receiver *unreleased; /* one that found no room there */
    _Atomic uint64_t taken;           /* bytes of the ring */

    /* The network thread's. */
    struct takt_inlet *inlet;
    struct takt_udp *udp[TAKT_ENDPOINT_PORTS]; /* NULL: that port is not to be had */
    int wake_fd;
    struct takt_recv_message *message;                     /* and a payload behind it */
    struct takt_inlet_source begun[TAKT_RECV_SOURCES_MAX]; /* the newest at each place */
    struct takt_ring *made;                                /* of struct takt_recv_made */
    uint64_t given;                                        /* bytes of the ring */
    uint64_t heard;                                        /* datagrams that were believed */
    uint64_t bytes;                                        /* that came, with what is around them */
    struct takt_recv_shown now;
    struct takt_snapshot *shown;
    struct takt_message_ring *events;
    bool has_missed_port[TAKT_ENDPOINT_PORTS];
    _Atomic uint32_t kept_count; /* receivers that there are */

    /* The keeper's. */
    pthread_mutex_t lock; /* of the list */
    bool has_lock;
    struct takt_recv_kept *kept;      /* [TAKT_RECV_KEPT_MAX] */
    struct takt_receiver_counts past; /* of those that were destroyed */
    struct takt_recv_gone gone[TAKT_RECV_SOURCES_MAX];
    struct takt_hist past_lateness_ns; /* likewise */

    struct takt_thread *threads[2];
    _Atomic bool quits;
    _Atomic int64_t cpu_ns[2];
};

/* The threads' entries. arg: struct takt_recv. */
void takt_recv_run_network(void *arg);
void takt_recv_run_keeper(void *arg);

/* For struct takt_inlet_cfg. */
void takt_recv_on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source);
void takt_recv_on_packet(void *arg, uint32_t place, const struct takt_net_packet *p);
void takt_recv_on_end(void *arg, uint32_t place, enum takt_inlet_ending why);

/* Destroys what is left, when all threads have ended. */
void takt_recv_keeper_clear(struct takt_recv *r);

#endif
