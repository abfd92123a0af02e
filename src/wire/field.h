/*
 * wire/field.h - the field of 256 elements that repair packets are made in: bytes, added by
 * exclusive or and multiplied as polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1.
 *
 *     takt_field_add(sum, symbol, takt_field_divide(y, x ^ y), bytes); // sum += y/(x+y) * symbol
 *
 * Thread: any. RT: yes (wait-free), all calls but takt_field_version().
 */
#ifndef TAKT_WIRE_FIELD_H
#define TAKT_WIRE_FIELD_H

#include <stddef.h>
#include <stdint.h>

enum { TAKT_FIELD_STEP = 32 }; /* bytes that are added at once */

/* What all else here means. O(1). */
uint8_t takt_field_multiply(uint8_t a, uint8_t b);

/* 0 for a / 0. O(1). */
uint8_t takt_field_divide(uint8_t a, uint8_t b);

/* sum[i] += factor * x[i]. Shape: sum[bytes], x[bytes], apart or the same; bytes a multiple of
 * TAKT_FIELD_STEP, at any alignment. O(bytes). */
void takt_field_add(uint8_t *sum, const uint8_t *x, uint8_t factor, size_t bytes);

/* The products of a factor with 0..15, and with 16 times 0..15: all others are sums of two. */
struct takt_field_row {
    uint8_t low[16], high[16];
};

typedef void takt_field_add_fn(uint8_t *sum, const uint8_t *x, const struct takt_field_row *row,
                               size_t bytes);

struct takt_field_version {
    const char *name;
    takt_field_add_fn *add; /* RT: yes */
};

/* Version i of those that this processor can run: plain first, the fastest last, then NULL. All
 * give the same bytes. RT: no. */
const struct takt_field_version *takt_field_version(int i);

/* The row that belongs to a factor. O(1). */
const struct takt_field_row *takt_field_row(uint8_t factor);

#endif
