/*
 * takt/message_ring.h - carries messages of any length from one thread to one other.
 *
 *     takt_message_ring_create(&(struct takt_message_ring_cfg){.capacity_bytes = 65536}, &r, &e);
 *     takt_message_ring_write(r, packet, packet_bytes);       // the one writer
 *     while (takt_message_ring_peek(r, &at, &bytes)) {        // the one reader
 *         handle(at, bytes);
 *         takt_message_ring_advance(r);
 *     }
 *
 * A message goes in whole or not at all, and comes out whole and in one piece, in order.
 */
#ifndef TAKT_MESSAGE_RING_H
#define TAKT_MESSAGE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct takt_message_ring;

struct takt_message_ring_cfg {
    size_t capacity_bytes; /* 8..2^30, rounded up to a multiple of 8; a message takes its length
                              rounded up to a multiple of 8, and 8 more */
    bool plain;            /* as in struct takt_ring_cfg */
};

/* Makes an empty ring, its memory touched.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_message_ring_create(const struct takt_message_ring_cfg *cfg,
                                      struct takt_message_ring **out, struct takt_error *err);

/* Takes NULL. Both sides must have ended. Thread: any. RT: no. */
TAKT_API void takt_message_ring_destroy(struct takt_message_ring *r);

/* Copies the message in. Returns false, and counts it as dropped, when there is no room for all
 * of it. Shape: from[bytes]; 0 bytes are a message too.
 * Thread: the writer. RT: yes (wait-free), O(bytes). */
TAKT_API bool takt_message_ring_write(struct takt_message_ring *r, const void *from, size_t bytes);

/* Points *at to the oldest message, aligned to 8, and says its length; false when there is none.
 * It stays until takt_message_ring_advance. Thread: the reader. RT: yes (wait-free), O(1). */
TAKT_API bool takt_message_ring_peek(struct takt_message_ring *r, const void **at, size_t *bytes);

/* Frees the room of the oldest message, if there is one.
 * Thread: the reader. RT: yes (wait-free), a store for each 64 bytes. */
TAKT_API void takt_message_ring_advance(struct takt_message_ring *r);

/* Copies the oldest message out and frees its room; false when there is none. *bytes is its whole
 * length, also where that is more than `room_bytes` and the end was cut off.
 * Shape: to[room_bytes]. Thread: the reader. RT: yes (wait-free), O(bytes). */
TAKT_API bool takt_message_ring_read(struct takt_message_ring *r, void *to, size_t room_bytes,
                                     size_t *bytes);

/* Messages that found no room since creation. Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_message_ring_dropped(const struct takt_message_ring *r);

#ifdef __cplusplus
}
#endif
#endif
