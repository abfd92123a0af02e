/*
 * device/host.h - a driver whose clock belongs to somebody else: a sound server or a card, which
 * may hang, go away and come back.
 *
 * A backend writes a *link*: how to reach its server, how to begin and end cycles. This module
 * makes a driver of it that keeps the stream's promises whatever the server does:
 *
 * - Everything that may wait for the server happens on the link's own worker thread. Control calls
 *   wait for the worker no longer than their timeout. A worker that hangs is left behind with its
 *   link, which frees itself should the server ever answer.
 * - While the server is away (it said so, or no cycle came for a quarter of a second) a thread of
 *   ours goes on with the stream's clock, in silence. The worker tries to reach the server again
 *   five times a second.
 * - Cycles pass a gate that lets in one thread at a time, and nobody once the stream has ended.
 */
#ifndef TAKT_DEVICE_HOST_H
#define TAKT_DEVICE_HOST_H

#include "stream/device.h"
#include "sync/wake.h"

#include <pthread.h>
#include <stdatomic.h>

struct takt_link;
struct takt_host;

struct takt_link_ops {
    /* Reaches the server and fills in `granted`. No cycle comes yet. */
    int (*open)(struct takt_link *l, struct takt_error *e);
    /* Cycles begin; the first may come before it returns. */
    int (*begin)(struct takt_link *l, struct takt_error *e);
    /* No cycle comes after it; as before open. Not called when open failed. */
    void (*close)(struct takt_link *l);
    /* Frees the link's struct. */
    void (*free)(struct takt_link *l);
};

/* What the server granted. */
struct takt_granted {
    uint32_t rate_hz;
    uint32_t block_frames, block_max; /* block_max 0: the block stays as it is */
    bool block_varies;
    uint32_t latency_in_frames, latency_out_frames; /* as far as known before the first cycle */
};

/* A backend's own struct begins with this one; all zero but ops when it is made. */
struct takt_link {
    const struct takt_link_ops *ops;
    struct takt_granted granted; /* written by open */

    /* device/host.c's */
    _Atomic int gate;       /* enum gate */
    _Atomic bool away;      /* our own thread has the clock */
    _Atomic bool lost;      /* the server is gone for this connection */
    _Atomic uint64_t beats; /* cycles that the server wanted */
    _Atomic int64_t last_beat_ns;
    _Atomic uint32_t latency_in_frames, latency_out_frames; /* as of now */
    struct takt_host *host; /* valid for whoever is inside the gate */
    const char *backend;    /* static */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int wanted, is;          /* enum of host.c; under lock */
    bool left_behind;        /* under lock: the worker frees the link when it is done */
    struct takt_error error; /* of the last open or begin; under lock */
    struct takt_wake wake;   /* the worker's */
};

/* Makes a link for these settings, which it copies. */
typedef int takt_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                           struct takt_error *e);

/* Makes a link, opens it and gives a driver for it. Errors: the link's own; TAKT_ERR_TIMEOUT when
 * the server does not answer in time. */
int takt_host_open(const struct takt_driver_cfg *cfg, takt_link_make *make, const char *backend,
                   struct takt_driver **out, struct takt_error *e);

/* The server's call for one host block of c->frames frames, however long. False: nobody is to be
 * heard; the caller plays silence. c is as for takt_engine_cycle; lost_frames as far as the server
 * knows. Thread: the server's. RT: yes. */
bool takt_link_cycle(struct takt_link *l, const struct takt_cycle *c);

/* The server is gone, or refuses this client from now on. Thread: any. RT: yes (a futex wake-up).
 */
void takt_link_lost(struct takt_link *l);

/* The server's latencies as they are now. Thread: any but inside takt_link_cycle. RT: yes. */
void takt_link_latency(struct takt_link *l, uint32_t in_frames, uint32_t out_frames);

/* Asks a server something that it may never answer: runs question on a thread of its own, with a
 * copy of the arg_bytes at arg, which are copied back when it is done in time. Returns what
 * question returned, or TAKT_ERR_TIMEOUT; the question then goes on alone, and until it is answered
 * the same question is not put again but is a TAKT_ERR_TIMEOUT at once. Thread: any. RT: no. */
int takt_host_ask(int (*question)(void *arg), void *arg, size_t arg_bytes, int64_t timeout_ns);

/* What a host library had to say: an event of every stream on that backend. Thread: any. RT: no. */
void takt_host_log(const char *backend, const char *text);

/* The first of it since the last call, for an error's text: what comes later mostly follows from
 * it.
 * "" when there was nothing. Thread: any. RT: no. */
void takt_host_first_log(char *to, size_t size);

#endif
