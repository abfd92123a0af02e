/*
 * takt/ring.h - carries samples or records of one size from one thread to one other.
 *
 *     takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = sizeof(float), .capacity = 4800}, &r,
 * &e); takt_ring_write(r, b->in[0], b->frames);          // in the callback: the one writer size_t
 * got = takt_ring_read(r, x, sizeof x / 4);  // in a worker: the one reader
 *
 * What is in the ring, and what is free in it, is always one span of memory, never two, so both
 * sides can also work in place: takt_ring_reserve and _commit, takt_ring_peek and _advance.
 * Neither side ever waits for the other. What does not fit is dropped and counted.
 */
#ifndef TAKT_RING_H
#define TAKT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct takt_ring;

struct takt_ring_cfg {
    size_t elem_bytes; /* bytes an element, >= 1; an element is a sample, a frame or a record */
    size_t capacity;   /* elements, >= 1, granted exactly; at most 2^30 bytes in all */
    bool plain;        /* ordinary memory in place of a mirrored mapping: two mappings fewer
                          against the process's limit, but each element is stored twice */
};

/* Makes an empty ring, its memory touched so that no page fault is left for later. Where the
 * system refuses a mirrored mapping, the ring is made as if `plain`.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_ring_create(const struct takt_ring_cfg *cfg, struct takt_ring **out,
                              struct takt_error *err);

/* Takes NULL. Both sides must have ended. Thread: any. RT: no. */
TAKT_API void takt_ring_destroy(struct takt_ring *r);

/* Empties it, and forgets what was dropped. Neither side may be in use. Thread: any. RT: no. */
TAKT_API void takt_ring_reset(struct takt_ring *r);

/* The elements that fit in an empty ring. Thread: any. RT: yes (wait-free). */
TAKT_API size_t takt_ring_capacity(const struct takt_ring *r);

/* Copies in as many of `count` elements as fit, the first ones; the rest count as dropped.
 * Shape: from[count] elements. Returns the number copied. Errors: none.
 * Thread: the writer. RT: yes (wait-free), O(count). */
TAKT_API size_t takt_ring_write(struct takt_ring *r, const void *from, size_t count);

/* Copies out up to `count` elements, the oldest first, and frees their room.
 * Shape: to[count] elements. Returns the number copied. Errors: none.
 * Thread: the reader. RT: yes (wait-free), O(count). */
TAKT_API size_t takt_ring_read(struct takt_ring *r, void *to, size_t count);

/* Copies in all `count` elements, or none and returns false, for a writer that comes back later:
 * nothing counts as dropped. Shape: from[count] elements.
 * Thread: the writer. RT: yes (wait-free), O(count). */
TAKT_API bool takt_ring_write_all(struct takt_ring *r, const void *from, size_t count);

/* Copies out exactly `count` elements, or none and returns false. Shape: to[count] elements.
 * Thread: the reader. RT: yes (wait-free), O(count). */
TAKT_API bool takt_ring_read_all(struct takt_ring *r, void *to, size_t count);

/* Elements that can be written now; the reader can only make it more.
 * Thread: the writer. RT: yes (wait-free). */
TAKT_API size_t takt_ring_write_avail(struct takt_ring *r);

/* Elements that can be read now; the writer can only make it more.
 * Thread: the reader. RT: yes (wait-free). */
TAKT_API size_t takt_ring_read_avail(struct takt_ring *r);

/* Points *at to room for elements, all in one span, and returns how many: `want`, or as many as
 * are free if fewer. Nothing is seen by the reader, and nothing counts as dropped, until
 * takt_ring_commit. Thread: the writer. RT: yes (wait-free), O(1). */
TAKT_API size_t takt_ring_reserve(struct takt_ring *r, size_t want, void **at);

/* Hands the first `count` elements of the room over to the reader. Returns the number handed
 * over, which is less only if more was asked for than is free.
 * Thread: the writer. RT: yes (wait-free), O(1), in a plain ring O(count). */
TAKT_API size_t takt_ring_commit(struct takt_ring *r, size_t count);

/* Points *at to the oldest elements, all in one span, and returns how many: `want`, or as many
 * as there are if fewer. They stay until takt_ring_advance or _read.
 * Thread: the reader. RT: yes (wait-free), O(1). */
TAKT_API size_t takt_ring_peek(struct takt_ring *r, size_t want, const void **at);

/* Frees the room of the `count` oldest elements, whose memory must not be looked at any more.
 * Returns the number freed, which is less only if there were not so many.
 * Thread: the reader. RT: yes (wait-free), a store for each 64 bytes. */
TAKT_API size_t takt_ring_advance(struct takt_ring *r, size_t count);

/* Elements that takt_ring_write was given and had no room for, since creation.
 * Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_ring_dropped(const struct takt_ring *r);

#ifdef __cplusplus
}
#endif
#endif
