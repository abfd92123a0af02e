/*
 * Floats go to integers by adding and taking away 1.5·2^52 as doubles, which rounds to the nearest
 * even without asking the rounding mode or calling the C library, and which compilers vectorise.
 * Samples travel in short pieces through a buffer of int32, so that each format is written once,
 * for any stride.
 */
#include "takt/format.h"

#include "base/random.h"

#include <string.h>

enum { PIECE = 64 };

size_t takt_sample_bytes(enum takt_sample format)
{
    static const unsigned char bytes[] = {4, 4, 2, 3, 4, 1};
    return (unsigned)format < sizeof bytes ? bytes[format] : 0;
}

static const char *const names[] = {"default", "f32", "s16", "s24", "s32", "u8"};

const char *takt_sample_name(enum takt_sample format)
{
    return (unsigned)format < sizeof names / sizeof *names ? names[format] : "unknown";
}

enum takt_sample takt_sample_from_name(const char *name)
{
    for (int f = TAKT_F32; f <= TAKT_U8; f++)
        if (!strcmp(name, names[f]))
            return (enum takt_sample)f;
    return TAKT_SAMPLE_DEFAULT;
}

void takt_encode_init(struct takt_encode_state *st, enum takt_dither dither, enum takt_clip clip,
                      uint64_t seed)
{
    *st = (struct takt_encode_state){dither, clip, seed, 0};
}

/* ---- In ----------------------------------------------------------------------------------------
 */

static void decode_f32(float *out, const char *in, size_t stride, size_t n)
{
    if (stride == 1) {
        memcpy(out, in, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(out + i, in + i * stride * sizeof *out, sizeof *out);
}

static void decode_s16(float *out, const char *in, size_t stride, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int16_t x;
        memcpy(&x, in + i * stride * sizeof x, sizeof x);
        out[i] = (float)x * 0x1p-15f;
    }
}

static void decode_s24(float *out, const char *in, size_t stride, size_t n)
{
    const unsigned char *b = (const unsigned char *)in;
    for (size_t i = 0; i < n; i++, b += 3 * stride) {
        uint32_t bits = (uint32_t)b[0] << 8 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 24;
        out[i] = (float)((int32_t)bits >> 8) * 0x1p-23f;
    }
}

static void decode_s32(float *out, const char *in, size_t stride, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t x;
        memcpy(&x, in + i * stride * sizeof x, sizeof x);
        out[i] = (float)x * 0x1p-31f;
    }
}

static void decode_u8(float *out, const char *in, size_t stride, size_t n)
{
    const unsigned char *b = (const unsigned char *)in;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((int)b[i * stride] - 128) * 0x1p-7f;
}

void takt_decode(float *out, const void *in, enum takt_sample format, size_t stride, size_t n)
{
    switch (format) {
    case TAKT_S16:
        decode_s16(out, in, stride, n);
        break;
    case TAKT_S24:
        decode_s24(out, in, stride, n);
        break;
    case TAKT_S32:
        decode_s32(out, in, stride, n);
        break;
    case TAKT_U8:
        decode_u8(out, in, stride, n);
        break;
    case TAKT_F32:
    case TAKT_SAMPLE_DEFAULT:
    default:
        decode_f32(out, in, stride, n);
    }
}

/* ---- Out ---------------------------------------------------------------------------------------
 */

/* Rounds x * scale into low..high. Returns how many were out of range. */
static uint64_t round_piece(int32_t *to, const float *in, const double *noise, size_t n,
                            double scale)
{
    const double magic = 0x1.8p52;
    double low = -scale, high = scale - 1;
    int32_t clipped = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)in[i] * scale;
        x = x == x ? x : 0;
        clipped += (x > high + 0.5) | (x < low - 0.5);
        x += noise[i];
        x = x < low ? low : x;
        x = x > high ? high : x;
        to[i] = (int32_t)((x + magic) - magic);
    }
    return (uint64_t)clipped;
}

/* Two uniform values make one triangular one, -1..+1 steps. */
static void make_noise(double *noise, size_t n, struct takt_encode_state *st)
{
    struct takt_random r = {st->chance};
    for (size_t i = 0; i < n; i++)
        noise[i] = takt_random_unit(&r) - takt_random_unit(&r);
    st->chance = r.state;
}

static void store_piece(char *out, enum takt_sample format, size_t stride, const int32_t *from,
                        size_t n)
{
    size_t step = stride * takt_sample_bytes(format);
    for (size_t i = 0; i < n; i++, out += step) {
        int32_t x = from[i];
        int16_t x16 = (int16_t)x;
        unsigned char bytes[3] = {(unsigned char)x, (unsigned char)((uint32_t)x >> 8),
                                  (unsigned char)((uint32_t)x >> 16)};
        switch (format) {
        case TAKT_S16:
            memcpy(out, &x16, sizeof x16);
            break;
        case TAKT_S24:
            memcpy(out, bytes, sizeof bytes);
            break;
        case TAKT_U8:
            *out = (char)(unsigned char)(x + 128);
            break;
        default:
            memcpy(out, &x, sizeof x);
        }
    }
}

static void encode_f32(char *out, size_t stride, const float *in, size_t n,
                       struct takt_encode_state *st)
{
    for (size_t i = 0; i < n; i++) {
        float x = in[i] == in[i] ? in[i] : 0;
        if (st->clip == TAKT_CLIP_ALL) {
            float held = x > 1 ? 1 : x < -1 ? -1 : x;
            st->clipped += held != x;
            x = held;
        }
        memcpy(out + i * stride * sizeof x, &x, sizeof x);
    }
}

void takt_encode(void *out, enum takt_sample format, size_t stride, const float *in, size_t n,
                 struct takt_encode_state *st)
{
    static const double scales[] = {0, 0, 0x1p15, 0x1p23, 0x1p31, 0x1p7};
    size_t bytes = takt_sample_bytes(format) * stride;
    char *to = out;
    if (format == TAKT_F32 || format == TAKT_SAMPLE_DEFAULT) {
        encode_f32(to, stride, in, n, st);
        return;
    }
    double noise[PIECE] = {0};
    int32_t piece[PIECE];
    for (size_t at = 0; at < n; at += PIECE) {
        size_t count = n - at < PIECE ? n - at : PIECE;
        if (st->dither == TAKT_DITHER_TPDF && format != TAKT_S32)
            make_noise(noise, count, st);
        st->clipped += round_piece(piece, in + at, noise, count, scales[format]);
        store_piece(to + at * bytes, format, stride, piece, count);
    }
}
