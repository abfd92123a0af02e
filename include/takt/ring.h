/*
 * takt/ring.h - a queue from one thread to one other, for samples or records of one size.
 *
 *     takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = sizeof(float), .capacity = 4096},
 *                      &r, &e);
 *     takt_ring_write(r, b->in[0], b->frames);         // in the callback
 *     got = takt_ring_read(r, samples, 1024);          // in a worker
 *
 * Neither side ever waits for the other. What does not fit is not written, and counted. The
 * memory is mapped twice in a row, so that whatever lies in the ring lies in one piece: it can be
 * read and written in place (begin and end) without a seam.
 */
#ifndef TAKT_RING_H
#define TAKT_RING_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_ring;

struct takt_ring_cfg {
    size_t elem_bytes; /* bytes of one element, 1..2^20; default 4, a float */
    size_t capacity;   /* elements it holds, 1..2^30 bytes in all; granted exactly */
};

/* Maps, touches and (where the system lets us) locks the memory. The only call that allocates.
 * Errors: TAKT_ERR_ARG, _NOMEM, _SYSTEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_ring_create(const struct takt_ring_cfg *cfg, struct takt_ring **out,
                              struct takt_error *e);
TAKT_API void takt_ring_destroy(struct takt_ring *r); /* NULL is fine */

/* Empties it and clears the count of drops. Only while neither side is in use. */
TAKT_API void takt_ring_reset(struct takt_ring *r);

/* Copies up to count elements in, or out. Returns how many; write counts the rest as dropped.
 * Thread: one writer, one reader. RT: yes (wait-free), O(count). */
TAKT_API size_t takt_ring_write(struct takt_ring *r, const void *data, size_t count);
TAKT_API size_t takt_ring_read(struct takt_ring *r, void *data, size_t count);

/* The same in place. begin gives the address of the next element and how many may be written, or
 * read, from there in one piece; end passes `count` of them on, at most that many.
 * Thread: one writer, one reader. RT: yes (wait-free). */
TAKT_API void *takt_ring_write_begin(struct takt_ring *r, size_t *room);
TAKT_API void takt_ring_write_end(struct takt_ring *r, size_t count);
TAKT_API const void *takt_ring_read_begin(struct takt_ring *r, size_t *ready);
TAKT_API void takt_ring_read_end(struct takt_ring *r, size_t count);

/* Elements that can be written, or read, now. Exact for the side that asks for its own; the other
 * side's may be out of date when it arrives. Thread: any. RT: yes (wait-free). */
TAKT_API size_t takt_ring_write_avail(const struct takt_ring *r);
TAKT_API size_t takt_ring_read_avail(const struct takt_ring *r);

/* Elements that takt_ring_write could not take since create or reset. Thread: any. RT: yes. */
TAKT_API uint64_t takt_ring_dropped(const struct takt_ring *r);

/* ---- Messages of any length over a ring ---------------------------------------------------- */

/* Writes one message, whole or not at all, into a ring whose elem_bytes is 1. Each takes its
 * length rounded up to 8, and 8 more. Returns 1, or 0 when it does not fit (counted as one drop).
 * Thread: writer. RT: yes (wait-free), O(bytes). */
TAKT_API int takt_message_write(struct takt_ring *r, const void *message, size_t bytes);

/* Takes the oldest message. Returns its length, or -1 when there is none; a length above room
 * leaves the message where it is. Thread: reader. RT: yes (wait-free), O(length). */
TAKT_API int64_t takt_message_read(struct takt_ring *r, void *message, size_t room);

#ifdef __cplusplus
}
#endif
#endif
