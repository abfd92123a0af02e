/*
 * A page is a header of 27 bytes, whose last is the number of segments; a byte for each segment,
 * its length; and the segments.
 *
 * Invariant: between calls `page` holds the beginning of a page that is not whole.
 */
#include "device/file_ogg.h"

#include <errno.h>
#include <string.h>

enum { SERIAL_AT = 14, CRC_AT = 22, SEGMENTS_AT = 26, HEADER_BYTES = 27 };

/* How long the page is, as far as what is there of it tells: header, lengths, all. */
static size_t known_bytes(const struct takt_ogg *o)
{
    if (o->bytes < HEADER_BYTES)
        return HEADER_BYTES;
    size_t known = HEADER_BYTES + o->page[SEGMENTS_AT], lengths = known;
    if (o->bytes < lengths)
        return lengths;
    for (size_t i = HEADER_BYTES; i < lengths; i++)
        known += o->page[i];
    return known;
}

static void put_u32(unsigned char *to, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(x >> 8 * i);
}

static uint32_t crc_of(const unsigned char *p, size_t bytes)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
    }
    return crc;
}

static void renumber(struct takt_ogg *o)
{
    put_u32(o->page + SERIAL_AT, o->serial);
    put_u32(o->page + CRC_AT, 0);
    put_u32(o->page + CRC_AT, crc_of(o->page, o->bytes));
}

int takt_ogg_feed(struct takt_ogg *o, const void *from, size_t bytes,
                  int (*take)(void *arg, const void *page, size_t bytes), void *arg)
{
    const unsigned char *b = from;
    while (bytes) {
        size_t missing = known_bytes(o) - o->bytes, n = bytes < missing ? bytes : missing;
        memcpy(o->page + o->bytes, b, n);
        o->bytes += n;
        b += n;
        bytes -= n;
        if (o->bytes >= 4 && memcmp(o->page, "OggS", 4) != 0)
            return EBADMSG;
        if (known_bytes(o) != o->bytes)
            continue;
        if (o->renumber)
            renumber(o);
        int err = take(arg, o->page, o->bytes);
        o->bytes = 0;
        if (err)
            return err;
    }
    return 0;
}
