/*
 * The public face of the converters. Samples on their way out travel in short pieces through
 * integers on the stack: counted, rounded, stored. Each step is a loop of convert_body.c that the
 * compiler vectorises.
 */
#include "takt/format.h"

#include "base/random.h"
#include "dsp/version.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "converters copy bytes as they lie");

enum { PIECE = 256 };

static const struct {
    const char *name;
    unsigned char bytes;
    float scale;     /* full scale in steps */
    float low, high; /* below and above these, the nearest integer is not in range */
} formats[] = {
    [TAKT_SAMPLE_DEFAULT] = {"default", 4, 1, -1, 1},
    [TAKT_F32] = {"f32", 4, 1, -1, 1},
    [TAKT_S16] = {"s16", 2, 0x1p15f, -1 - 0x1p-16f, 1 - 0x1p-16f},
    [TAKT_S24] = {"s24", 3, 0x1p23f, -1, 1 - 0x1p-24f},
    [TAKT_S32] = {"s32", 4, 0x1p31f, -1, 1 - 0x1p-24f},
    [TAKT_U8] = {"u8", 1, 0x1p7f, -1 - 0x1p-8f, 1 - 0x1p-8f},
};

static int is_format(enum takt_sample format)
{
    return (unsigned)format < TAKT_FORMATS;
}

size_t takt_sample_bytes(enum takt_sample format)
{
    return is_format(format) ? formats[format].bytes : 0;
}

const char *takt_sample_name(enum takt_sample format)
{
    return is_format(format) ? formats[format].name : "unknown";
}

enum takt_sample takt_sample_from_name(const char *name)
{
    for (int f = TAKT_F32; f <= TAKT_U8; f++)
        if (!strcmp(name, formats[f].name))
            return (enum takt_sample)f;
    return TAKT_SAMPLE_DEFAULT;
}

void takt_decode(float *out, const void *in, enum takt_sample format, size_t stride, size_t n)
{
    if (is_format(format))
        takt_dsp->converters->decode[format](out, in, stride, n);
}

/* Seeds that follow one another, as channels take them, must not give like noise. */
void takt_encode_init(struct takt_encode_state *st, enum takt_dither dither, enum takt_clip clip,
                      uint64_t seed)
{
    struct takt_random r = takt_random_seed(seed);
    *st = (struct takt_encode_state){dither, clip, takt_random_u64(&r), 0};
}

/* The high half of st->chance is the noise's key; the low half numbers the samples. */
static void round_dithered(int32_t *to, const float *in, float scale, size_t n,
                           struct takt_encode_state *st)
{
    uint32_t key = (uint32_t)(st->chance >> 32), number = (uint32_t)st->chance;
    takt_dsp->converters->round_dithered(to, in, scale, key, number, n);
    number += (uint32_t)n;
    st->chance = (uint64_t)key << 32 | number;
}

/* Floats stay floats, and go as their bits. */
static void hold_piece(int32_t *to, const float *in, size_t n, enum takt_clip clip)
{
    float held[PIECE];
    takt_dsp->kernels->clamp(held, in, clip == TAKT_CLIP_ALL ? 1 : (float)INFINITY, n);
    memcpy(to, held, n * sizeof *to);
}

static void encode_piece(int32_t *to, enum takt_sample format, const float *in, size_t n,
                         struct takt_encode_state *st)
{
    const struct takt_converters *converters = takt_dsp->converters;
    int is_float = format == TAKT_F32 || format == TAKT_SAMPLE_DEFAULT;
    if (is_float)
        hold_piece(to, in, n, st->clip);
    else if (format == TAKT_S32)
        converters->round_s32(to, in, n);
    else if (st->dither == TAKT_DITHER_TPDF)
        round_dithered(to, in, formats[format].scale, n, st);
    else
        converters->round(to, in, formats[format].scale, n);
    if (!is_float || st->clip == TAKT_CLIP_ALL)
        st->clipped += converters->count_outside(in, formats[format].low, formats[format].high, n);
}

void takt_encode(void *out, enum takt_sample format, size_t stride, const float *in, size_t n,
                 struct takt_encode_state *st)
{
    if (!is_format(format))
        return;
    int32_t piece[PIECE];
    char *to = out;
    for (size_t count; n; n -= count, in += count, to += count * stride * formats[format].bytes) {
        count = n < PIECE ? n : PIECE;
        encode_piece(piece, format, in, count, st);
        takt_dsp->converters->store[format](to, stride, piece, count);
    }
}
