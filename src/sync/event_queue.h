/*
 * sync/event_queue.h - a bounded queue of fixed-size records from several threads to one, with a
 * descriptor that polls readable while records wait.
 */
#ifndef TAKT_SYNC_EVENT_QUEUE_H
#define TAKT_SYNC_EVENT_QUEUE_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct takt_event_queue;

/* capacity is rounded up to a power of two, at least 2. The only call that allocates.
 * Errors: TAKT_ERR_NOMEM, TAKT_ERR_SYSTEM (no eventfd); *out is NULL then. RT: no. */
int takt_event_queue_create(size_t record_bytes, size_t capacity, struct takt_event_queue **out,
                            struct takt_error *e);
void takt_event_queue_destroy(struct takt_event_queue *q);

/* Copies a record in. False when full: it is dropped and counted. Thread: any.
 * RT: yes (lock-free; one eventfd write when the reader has found the queue empty since). */
bool takt_event_queue_push(struct takt_event_queue *q, const void *record);

/* Copies the oldest record out. False when there is none; only then does the descriptor stop
 * being readable. Thread: one at a time. RT: no. */
bool takt_event_queue_pop(struct takt_event_queue *q, void *record);

int takt_event_queue_fd(const struct takt_event_queue *q);
uint64_t takt_event_queue_dropped(const struct takt_event_queue *q);

#endif
