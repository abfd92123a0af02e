/*
 * wire/red.h - redundant audio (RFC 2198): one payload that carries a block of sound and, before
 * it, copies of some older ones.
 *
 *     struct takt_red_block blocks[TAKT_RED_BLOCKS_MAX];
 *     int count = takt_red_parse(payload, payload_bytes, blocks, TAKT_RED_BLOCKS_MAX);
 *     // blocks[count - 1] is the packet's own; the others are from timestamp - offset
 *
 * Thread: any. RT: yes (wait-free), O(blocks) and, to write, O(bytes), all calls.
 */
#ifndef TAKT_WIRE_RED_H
#define TAKT_WIRE_RED_H

#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_RED_BLOCKS_MAX = 32,
    TAKT_RED_OFFSET_MAX = (1 << 14) - 1, /* units of the timestamp */
    TAKT_RED_BYTES_MAX = (1 << 10) - 1,  /* of a copy; the packet's own block may be longer */
    TAKT_RED_COPY_HEADER_BYTES = 4,
    TAKT_RED_OWN_HEADER_BYTES = 1
};

/* In the order of the wire: the copies, usually the oldest first, and last the packet's own. */
struct takt_red_block {
    uint8_t payload_type; /* 0..127 */
    uint16_t offset;      /* how much earlier than the packet's timestamp; 0 for its own */
    size_t bytes;
    const uint8_t *data;
};

/* Returns how many blocks, at least 1. They point into `in`. Errors: TAKT_ERR_FORMAT,
 * TAKT_ERR_FULL when there are more than max. */
int takt_red_parse(const uint8_t *in, size_t bytes, struct takt_red_block *out, size_t max);

/* Returns how many bytes. Errors: TAKT_ERR_ARG for no block at all, or one that is beyond the
 * limits above; TAKT_ERR_FULL. */
int takt_red_write(const struct takt_red_block *blocks, size_t count, uint8_t *out, size_t room);

#endif
