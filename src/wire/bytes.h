/*
 * wire/bytes.h - numbers as networks send them, the big end first, and a pen that writes them into
 * a buffer and never past its end.
 *
 *     struct takt_pen pen = takt_pen_at(out, room);
 *     takt_pen_u16(&pen, seq);
 *     takt_pen_bytes(&pen, payload, payload_bytes);
 *     return takt_pen_done(&pen); // bytes written, or TAKT_ERR_FULL
 *
 * Reading has no such guard: whoever reads has checked the length. Thread: any. RT: yes
 * (wait-free), O(bytes), all calls.
 */
#ifndef TAKT_WIRE_BYTES_H
#define TAKT_WIRE_BYTES_H

#include "takt/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t takt_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t takt_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t takt_be32(const uint8_t *p)
{
    return (uint32_t)takt_be16(p) << 16 | takt_be16(p + 2);
}

static inline uint64_t takt_be64(const uint8_t *p)
{
    return (uint64_t)takt_be32(p) << 32 | takt_be32(p + 4);
}

/* Once it is full it writes nothing more. */
struct takt_pen {
    uint8_t *to;
    size_t room;
    size_t used; /* <= room */
    bool is_full;
};

static inline struct takt_pen takt_pen_at(void *to, size_t room)
{
    return (struct takt_pen){.to = (uint8_t *)to, .room = room};
}

/* The next n bytes, to be filled in; NULL when there is no room for all of them. */
static inline uint8_t *takt_pen_take(struct takt_pen *p, size_t n)
{
    if (p->is_full || n > p->room - p->used) {
        p->is_full = true;
        return NULL;
    }
    uint8_t *at = p->to + p->used;
    p->used += n;
    return at;
}

/* The low n <= 8 bytes of x. */
static inline void takt_pen_number(struct takt_pen *p, uint64_t x, size_t n)
{
    uint8_t *at = takt_pen_take(p, n);
    for (size_t i = n; at && i > 0; i--, x >>= 8)
        at[i - 1] = (uint8_t)x;
}

static inline void takt_pen_u8(struct takt_pen *p, unsigned x)
{
    takt_pen_number(p, x, 1);
}

static inline void takt_pen_u16(struct takt_pen *p, unsigned x)
{
    takt_pen_number(p, x, 2);
}

static inline void takt_pen_u24(struct takt_pen *p, uint32_t x)
{
    takt_pen_number(p, x, 3);
}

static inline void takt_pen_u32(struct takt_pen *p, uint32_t x)
{
    takt_pen_number(p, x, 4);
}

static inline void takt_pen_u64(struct takt_pen *p, uint64_t x)
{
    takt_pen_number(p, x, 8);
}

/* from may overlap the place it goes to, so that a payload may be made where it will stand. */
static inline void takt_pen_bytes(struct takt_pen *p, const void *from, size_t n)
{
    uint8_t *at = takt_pen_take(p, n);
    if (at && n)
        memmove(at, from, n);
}

static inline void takt_pen_zeros(struct takt_pen *p, size_t n)
{
    uint8_t *at = takt_pen_take(p, n);
    if (at && n)
        memset(at, 0, n);
}

/* Zeros up to a whole number of 32-bit words. */
static inline void takt_pen_align(struct takt_pen *p)
{
    takt_pen_zeros(p, -p->used & 3);
}

/* How many bytes there are now, or TAKT_ERR_FULL. */
static inline int takt_pen_done(const struct takt_pen *p)
{
    return p->is_full || p->used > INT_MAX ? TAKT_ERR_FULL : (int)p->used;
}

#endif
