/*
 * PNG (ISO 15948): a signature and chunks, each with its length, name and CRC-32. The pixels are
 * one zlib stream (RFC 1950): with zlib it is compressed, without it stored.
 */
#include "canvas.h"

#include <stdlib.h>
#include <string.h>
#ifdef TAKT_HAVE_ZLIB
#include <zlib.h>
#endif

struct out {
    char *bytes;
    size_t used, size;
};

/* ---- Checksums --------------------------------------------------------------------------------
 */

static uint32_t crc(const char *bytes, size_t size)
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        c ^= (uint8_t)bytes[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
    }
    return ~c;
}

/* ---- Bytes ------------------------------------------------------------------------------------
 */

static void put(struct out *o, const void *bytes, size_t size)
{
    memcpy(o->bytes + o->used, bytes, size);
    o->used += size;
}

static void put_number(struct out *o, uint32_t n)
{
    put(o, (uint8_t[]){(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}, 4);
}

static void put_chunk(struct out *o, const char *name, const void *data, size_t size)
{
    put_number(o, (uint32_t)size);
    size_t begin = o->used;
    put(o, name, 4);
    put(o, data, size);
    put_number(o, crc(o->bytes + begin, o->used - begin));
}

/* ---- Pixels -----------------------------------------------------------------------------------
 */

/* What a row is written as: itself, or less the pixel on its left, or less the row above. */
static uint8_t filtered(const uint8_t *row, const uint8_t *above, size_t i, int filter)
{
    uint8_t before = filter == 1 ? (i >= 3 ? row[i - 3] : 0) : 0;
    before = filter == 2 ? (above ? above[i] : 0) : before;
    return (uint8_t)(row[i] - before);
}

/* The one with the smallest bytes, as signed ones, is likely to shrink most. */
static int best_filter(const uint8_t *row, const uint8_t *above, size_t size)
{
    int best = 0;
    size_t least = SIZE_MAX;
    for (int filter = 0; filter < 3; filter++) {
        size_t sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += (size_t)abs((int8_t)filtered(row, above, i, filter));
        if (sum < least) {
            least = sum;
            best = filter;
        }
    }
    return best;
}

static uint8_t *filter_rows(const struct canvas *c, size_t *size)
{
    size_t row_size = (size_t)c->width * 3;
    *size = (row_size + 1) * (size_t)c->height;
    uint8_t *rows = calloc(1, *size), *to = rows;
    for (int y = 0; rows && y < c->height; y++) {
        const uint8_t *row = c->rgb + (size_t)y * row_size, *above = y ? row - row_size : NULL;
        int filter = best_filter(row, above, row_size);
        *to++ = (uint8_t)filter;
        for (size_t i = 0; i < row_size; i++)
            *to++ = filtered(row, above, i, filter);
    }
    return rows;
}

#ifdef TAKT_HAVE_ZLIB
static uint8_t *pack(const uint8_t *bytes, size_t size, size_t *packed_size)
{
    uLongf length = compressBound(size);
    uint8_t *packed = malloc(length);
    if (packed && compress2(packed, &length, bytes, size, 7) != Z_OK) {
        free(packed);
        packed = NULL;
    }
    *packed_size = length;
    return packed;
}
#else
static uint32_t adler(const uint8_t *bytes, size_t size)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < size; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* Blocks that are stored as they are (RFC 1951, 3.2.4). */
static uint8_t *pack(const uint8_t *bytes, size_t size, size_t *packed_size)
{
    enum { BLOCK = 65535 };
    struct out o = {.size = size + size / BLOCK * 5 + 16};
    o.bytes = malloc(o.size);
    if (!o.bytes)
        return NULL;
    put(&o, "\x78\x01", 2);
    for (size_t at = 0; at < size; at += BLOCK) {
        uint16_t n = (uint16_t)(size - at < BLOCK ? size - at : BLOCK), not = (uint16_t)~n;
        put(&o,
            (uint8_t[]){size - at <= BLOCK, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t) not,
                        (uint8_t)(not >> 8)},
            5);
        put(&o, bytes + at, n);
    }
    put_number(&o, adler(bytes, size));
    *packed_size = o.used;
    return (uint8_t *)o.bytes;
}
#endif

bool canvas_png(const struct canvas *c, char **bytes, size_t *size)
{
    enum { AROUND = 256 };
    size_t rows_size = 0, packed_size = 0;
    uint8_t *rows = filter_rows(c, &rows_size);
    uint8_t *packed = rows ? pack(rows, rows_size, &packed_size) : NULL;
    struct out o = {.size = packed_size + AROUND};
    o.bytes = packed ? malloc(o.size) : NULL;
    if (o.bytes) {
        struct out head = {.bytes = (char[16]){0}};
        put_number(&head, (uint32_t)c->width);
        put_number(&head, (uint32_t)c->height);
        put(&head, (uint8_t[]){8, 2, 0, 0, 0}, 5); /* 8 bits of red, green and blue */
        put(&o, "\x89PNG\r\n\x1a\n", 8);
        put_chunk(&o, "IHDR", head.bytes, head.used);
        put_chunk(&o, "IDAT", packed, packed_size);
        put_chunk(&o, "IEND", "", 0);
    }
    free(rows);
    free(packed);
    *bytes = o.bytes;
    *size = o.used;
    return o.bytes;
}
