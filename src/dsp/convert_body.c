/*
 * Between floats and integers, in plain C: see dsp/body.h.
 *
 * Floats go to integers without the C library's lrintf, which no compiler vectorises: between 2^23
 * and 2^24 floats are the integers, so adding 2^23 to a smaller one and taking it away again leaves
 * the nearest integer, ties to even, in the processor's usual rounding mode.
 */
#include "dsp/body.h"

#include <math.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Planes, and one channel of stereo frames, get loops of their own, since a stride that is known
 * can be vectorised. */
#define BY_STRIDE(loop, ...)                                                                       \
    do {                                                                                           \
        if (stride == 1)                                                                           \
            loop(1, __VA_ARGS__);                                                                  \
        else if (stride == 2)                                                                      \
            loop(2, __VA_ARGS__);                                                                  \
        else                                                                                       \
            loop(stride, __VA_ARGS__);                                                             \
    } while (0)

/* ---- In ------------------------------------------------------------------------------------- */

ALWAYS_INLINE void load_f32(size_t stride, float *out, const char *in, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        memcpy(out + i, in + i * stride * sizeof *out, sizeof *out);
}

static void decode_f32(float *out, const char *in, size_t stride, size_t n)
{
    BY_STRIDE(load_f32, out, in, n);
}

ALWAYS_INLINE void load_s16(size_t stride, float *out, const char *in, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++) {
        int16_t x;
        memcpy(&x, in + i * stride * sizeof x, sizeof x);
        out[i] = (float)x * 0x1p-15f;
    }
}

static void decode_s16(float *out, const char *in, size_t stride, size_t n)
{
    BY_STRIDE(load_s16, out, in, n);
}

ALWAYS_INLINE void load_s24(size_t stride, float *out, const char *in, size_t n)
{
    const unsigned char *b = (const unsigned char *)in;
    for (size_t i = 0; i < n; i++) {
        uint32_t low = b[3 * stride * i], mid = b[3 * stride * i + 1], top = b[3 * stride * i + 2];
        out[i] = (float)(int32_t)(low << 8 | mid << 16 | top << 24) * 0x1p-31f;
    }
}

static void decode_s24(float *out, const char *in, size_t stride, size_t n)
{
    BY_STRIDE(load_s24, out, in, n);
}

ALWAYS_INLINE void load_s32(size_t stride, float *out, const char *in, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++) {
        int32_t x;
        memcpy(&x, in + i * stride * sizeof x, sizeof x);
        out[i] = (float)x * 0x1p-31f;
    }
}

static void decode_s32(float *out, const char *in, size_t stride, size_t n)
{
    BY_STRIDE(load_s32, out, in, n);
}

ALWAYS_INLINE void load_u8(size_t stride, float *out, const char *in, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)in;
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((int32_t)bytes[i * stride] - 128) * 0x1p-7f;
}

static void decode_u8(float *out, const char *in, size_t stride, size_t n)
{
    BY_STRIDE(load_u8, out, in, n);
}

/* ---- Rounding ------------------------------------------------------------------------------- */

ALWAYS_INLINE float hold(float x, float low, float high)
{
    x = x > high ? high : x;
    return x < low ? low : x;
}

/* 2^23 with the sign of x. */
ALWAYS_INLINE float magic_for(float x)
{
    return takt_from_bits((takt_bits(x) & INT32_MIN) | 0x4b000000);
}

/* The nearest integer, |x| <= 2^23. */
ALWAYS_INLINE int32_t nearest(float x)
{
    float magic = magic_for(x);
    return (int32_t)(x + magic - magic);
}

static void round_all(int32_t *to, const float *in, float scale, size_t n)
{
    float low = -scale, high = scale - 1;
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        to[i] = nearest(hold(in[i] == in[i] ? in[i] * scale : 0, low, high));
}

/* Triangular noise, -1..+1 steps: the difference of two uniform halves of 32 bits, which a mixer
 * (constants: Wellons, "Prospecting for hash functions", 2018) makes of the sample's number. Since
 * no sample's noise waits for the one before, it comes in vectors. */
ALWAYS_INLINE float noise_at(uint32_t number, uint32_t key)
{
    uint32_t h = number;
    h = (h ^ h >> 16) * 0x7feb352du + key;
    h = (h ^ h >> 15) * 0x846ca68bu;
    h ^= h >> 16;
    return (float)((int32_t)(h >> 16) - (int32_t)(h & 0xffff)) * 0x1p-16f;
}

/* The noise joins what is behind the point, where a float still has room for it. */
static void round_dithered(int32_t *to, const float *in, float scale, uint32_t key, uint32_t first,
                           size_t n)
{
    uint32_t count = (uint32_t)n;
    int32_t low = -(int32_t)scale, high = (int32_t)scale - 1;
    TAKT_EACH
    for (uint32_t i = 0; i < count; i++) {
        float x = hold(in[i] == in[i] ? in[i] * scale : 0, -scale, scale);
        int32_t whole = (int32_t)x;
        int32_t sum = whole + nearest(x - (float)whole + noise_at(first + i, key));
        sum = sum > high ? high : sum;
        to[i] = sum < low ? low : sum;
    }
}

/* A float of 2^23 or more is an integer already, and the largest integer is no float. */
static void round_s32(int32_t *to, const float *in, size_t n)
{
    const float most = 0x1.fffffep30f; /* the largest float below 2^31 */
    TAKT_EACH
    for (size_t i = 0; i < n; i++) {
        float x = in[i] == in[i] ? in[i] * 0x1p31f : 0;
        float held = hold(x, -0x1p31f, most), magic = magic_for(held);
        float whole = fabsf(held) < 0x1p23f ? held + magic - magic : held;
        to[i] = x > most ? INT32_MAX : (int32_t)whole;
    }
}

/* ---- Out ------------------------------------------------------------------------------------ */

ALWAYS_INLINE void put_s16(size_t stride, char *out, const int32_t *from, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++) {
        int16_t x = (int16_t)from[i];
        memcpy(out + i * stride * sizeof x, &x, sizeof x);
    }
}

static void store_s16(char *out, size_t stride, const int32_t *from, size_t n)
{
    BY_STRIDE(put_s16, out, from, n);
}

ALWAYS_INLINE void put_s24(size_t stride, char *out, const int32_t *from, size_t n)
{
    unsigned char *b = (unsigned char *)out;
    for (size_t i = 0; i < n; i++) {
        b[3 * stride * i] = (unsigned char)from[i];
        b[3 * stride * i + 1] = (unsigned char)(from[i] >> 8);
        b[3 * stride * i + 2] = (unsigned char)(from[i] >> 16);
    }
}

static void store_s24(char *out, size_t stride, const int32_t *from, size_t n)
{
    BY_STRIDE(put_s24, out, from, n);
}

ALWAYS_INLINE void put_s32(size_t stride, char *out, const int32_t *from, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * stride * sizeof *from, from + i, sizeof *from);
}

static void store_s32(char *out, size_t stride, const int32_t *from, size_t n)
{
    BY_STRIDE(put_s32, out, from, n);
}

ALWAYS_INLINE void put_u8(size_t stride, char *out, const int32_t *from, size_t n)
{
    unsigned char *bytes = (unsigned char *)out;
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        bytes[i * stride] = (unsigned char)(from[i] + 128);
}

static void store_u8(char *out, size_t stride, const int32_t *from, size_t n)
{
    BY_STRIDE(put_u8, out, from, n);
}

static size_t count_outside(const float *x, float low, float high, size_t n)
{
    size_t count = 0;
    while (n) {
        size_t piece = n < TAKT_COUNT_PIECE ? n : TAKT_COUNT_PIECE;
        int inner = 0;
        for (size_t i = 0; i < piece; i++)
            inner += (x[i] < low) | (x[i] > high);
        count += (size_t)inner;
        x += piece;
        n -= piece;
    }
    return count;
}

const struct takt_converters TAKT_OF_KIND(takt_converters_) = {
    .decode = {decode_f32, decode_f32, decode_s16, decode_s24, decode_s32, decode_u8},
    .round = round_all,
    .round_dithered = round_dithered,
    .round_s32 = round_s32,
    .store = {store_s32, store_s32, store_s16, store_s24, store_s32, store_u8},
    .count_outside = count_outside,
};
