/*
 * sync/event_queue.h - brings events from any threads, the device's too, to one that polls.
 *
 *     takt_event_queue_create(sizeof(struct event), 64, &q, &e);
 *     takt_event_queue_push(q, &event);                       // any thread
 *     poll(&(struct pollfd){takt_event_queue_fd(q), POLLIN}, 1, -1);
 *     while (takt_event_queue_pop(q, &event))                 // the one consumer
 *         handle(&event);
 */
#ifndef TAKT_SYNC_EVENT_QUEUE_H
#define TAKT_SYNC_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

struct takt_event_queue;

/* Makes it empty. elem_bytes: 1..65536. capacity: 1..2^20, rounded up to a power of two, >= 2.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_SYSTEM (no eventfd); *out is NULL then.
 * Thread: any. RT: no. */
int takt_event_queue_create(size_t elem_bytes, size_t capacity, struct takt_event_queue **out,
                            struct takt_error *err);

/* Takes NULL. Closes the fd. All threads must have ended with it. Thread: any. RT: no. */
void takt_event_queue_destroy(struct takt_event_queue *q);

/* Adds rec[elem_bytes]. Returns false, and counts it as dropped, when the queue is full (or, which
 * takes some hundreds of threads pushing at once, when it lost the race for a place too often).
 * Thread: any. RT: yes (bounded), with one named exception: takt_event_queue_wake, a write(2) that
 * does not block, made only by the first push after a pop found the queue empty. */
bool takt_event_queue_push(struct takt_event_queue *q, const void *rec);

/* The same, but leaves room for `spare` more events behind it: for those of which there may be
 * many, so that they crowd out none that matter. RT: yes, likewise. */
bool takt_event_queue_push_spare(struct takt_event_queue *q, const void *rec, uint64_t spare);

/* Takes the oldest event out to rec[elem_bytes]; false when there is none, which also makes the fd
 * unreadable until the next push. Events of one thread come in order. An event behind one whose
 * thread was stopped in the midst of its push waits for that one.
 * Thread: the consumer. RT: no (it drains the fd). */
bool takt_event_queue_pop(struct takt_event_queue *q, void *rec);

/* An eventfd to poll for POLLIN, and for nothing else: readable from the moment that an event is
 * pending until takt_event_queue_pop has returned false. Thread: any. RT: yes (wait-free). */
int takt_event_queue_fd(const struct takt_event_queue *q);

/* Events that found no room since creation. Thread: any. RT: yes (wait-free). */
uint64_t takt_event_queue_dropped(const struct takt_event_queue *q);

#endif
