#include "wire/red.h"

#include "wire/bytes.h"

enum { MORE_FOLLOW = 0x80 };

/* All headers come first, then all data. */
int takt_red_parse(const uint8_t *in, size_t bytes, struct takt_red_block *out, size_t max)
{
    size_t at = 0, count = 0;
    while (at < bytes && in[at] & MORE_FOLLOW) {
        if (bytes - at < TAKT_RED_COPY_HEADER_BYTES)
            return TAKT_ERR_FORMAT;
        if (count == max)
            return TAKT_ERR_FULL;
        uint32_t rest = takt_be24(in + at + 1);
        out[count++] = (struct takt_red_block){
            .payload_type = in[at] & 0x7f,
            .offset = (uint16_t)(rest >> 10),
            .bytes = rest & TAKT_RED_BYTES_MAX,
        };
        at += TAKT_RED_COPY_HEADER_BYTES;
    }
    if (at == bytes)
        return TAKT_ERR_FORMAT;
    if (count == max)
        return TAKT_ERR_FULL;
    uint8_t own_type = in[at++];
    for (size_t i = 0; i < count; i++) {
        if (bytes - at < out[i].bytes)
            return TAKT_ERR_FORMAT;
        out[i].data = in + at;
        at += out[i].bytes;
    }
    out[count++] =
        (struct takt_red_block){.payload_type = own_type, .bytes = bytes - at, .data = in + at};
    return (int)count;
}

int takt_red_write(const struct takt_red_block *blocks, size_t count, uint8_t *out, size_t room)
{
    if (count == 0 || count > TAKT_RED_BLOCKS_MAX || blocks[count - 1].offset != 0)
        return TAKT_ERR_ARG;
    struct takt_pen pen = takt_pen_at(out, room);
    for (size_t i = 0; i < count; i++) {
        const struct takt_red_block *b = &blocks[i];
        bool is_own = i == count - 1;
        bool is_too_big = b->offset > TAKT_RED_OFFSET_MAX || b->bytes > TAKT_RED_BYTES_MAX;
        if (b->payload_type > 127 || (!is_own && is_too_big))
            return TAKT_ERR_ARG;
        takt_pen_u8(&pen, (unsigned)(b->payload_type | (is_own ? 0 : MORE_FOLLOW)));
        if (!is_own)
            takt_pen_u24(&pen, (uint32_t)b->offset << 10 | (uint32_t)b->bytes);
    }
    for (size_t i = 0; i < count; i++)
        takt_pen_bytes(&pen, blocks[i].data, blocks[i].bytes);
    return takt_pen_done(&pen);
}
