/*
 * device/file_worker.h - the thread that does a file's I/O, and that can be left behind.
 *
 * A disk may never answer, and nothing ends a thread that waits for one. So stop gives up in time,
 * and leave puts the port aside: it is released by a later start or leave that finds the thread
 * ended, and until then tells nobody anything, since whom it would tell may be gone.
 * Thread: control, but for what is said at _event. RT: no.
 */
#ifndef TAKT_DEVICE_FILE_WORKER_H
#define TAKT_DEVICE_FILE_WORKER_H

#include "stream/device.h"
#include "sync/wake.h"

#include <stdatomic.h>

struct takt_thread;

/* Lives in the port. All zeros but for the first three is a worker that was never started. */
struct takt_file_worker {
    void (*release)(void *port); /* frees the port, this struct included */
    void *port;
    struct takt_engine *engine; /* whom events go to; may be NULL */
    struct takt_thread *thread; /* NULL: none runs */
    struct takt_wake wake;
    _Atomic bool quit; /* entry is to return */
    bool left;
    struct takt_file_worker *next; /* of those left behind */
};

/* Runs entry(port) on a thread. Errors: TAKT_ERR_TIMEOUT when the last one still hangs, _NOMEM,
 * _SYSTEM. */
int takt_file_worker_start(struct takt_file_worker *w, const char *name, void (*entry)(void *port),
                           struct takt_error *e);

/* Asks it to end and waits so long for it. False: it hangs. */
bool takt_file_worker_stop(struct takt_file_worker *w, int64_t timeout_ns);

/* The port is to be closed: releases it, now or when the thread has ended. Waits no longer than
 * timeout_ns, and not at all when a stop has waited before. */
void takt_file_worker_leave(struct takt_file_worker *w, int64_t timeout_ns);

/* takt_engine_event, unless the worker was left behind. Thread: any. */
void takt_file_worker_event(struct takt_file_worker *w, enum takt_event_type type,
                            enum takt_err code, int os_errno, uint64_t value, const char *text);

#endif
