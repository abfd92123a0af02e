/*
 * sync/many_ring.h - carries messages of whole words from many threads to one.
 *
 *     takt_many_ring_init(&r, words, 1024);                 // the words: all zero
 *     takt_many_ring_write(&r, message, count);             // any thread, at once
 *     while ((count = takt_many_ring_read(&r, message, MOST)))  // the one reader
 *         handle(message, count);
 *
 * A message goes in whole or not at all. Those of one thread come out in their order. A writer that
 * is stopped in the midst of its message holds up the reader, never another writer: they go on
 * until the ring is full. docs/decisions/0011 tells why it is made so.
 */
#ifndef TAKT_SYNC_MANY_RING_H
#define TAKT_SYNC_MANY_RING_H

#include "sync/line.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct takt_many_ring {
    _Atomic uint64_t *words; /* [count]; all zero where no message is */
    uint64_t count;          /* a power of two */

    alignas(
        TAKT_LINE_BYTES) _Atomic uint64_t used; /* words promised to writers or holding a message */
    _Atomic uint64_t tail;                      /* where the next message begins */

    alignas(TAKT_LINE_BYTES) _Atomic uint64_t head; /* the reader's */
};

/* words: [count], aligned to a line, all zero; count: a power of two. Thread: any. RT: no. */
void takt_many_ring_init(struct takt_many_ring *r, _Atomic uint64_t *words, uint64_t count);

/* Copies message[count] in. False when there is no room for all of it (or, at the very brim, when
 * another writer that found none has not yet given back what it asked for).
 * Thread: any. RT: yes (wait-free), O(count). */
bool takt_many_ring_write(struct takt_many_ring *r, const uint64_t *message, size_t count);

/* Copies the oldest message out, and returns its words; 0 when there is none, or its writer is not
 * done. No message is longer than `most`. Thread: the reader. RT: yes (wait-free), O(count). */
size_t takt_many_ring_read(struct takt_many_ring *r, uint64_t *message, size_t most);

/* Where the next message begins, and up to where all were read. Thread: any. RT: yes. */
uint64_t takt_many_ring_tail(const struct takt_many_ring *r);
uint64_t takt_many_ring_head(const struct takt_many_ring *r);

#endif
