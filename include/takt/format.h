/*
 * takt/format.h - sample formats: between floats and the integers of files and devices.
 *
 *     takt_decode(floats, bytes, TAKT_S16, 1, frames);
 *
 * Full scale is 1.0 = 2^(bits-1). Every integer becomes a float and the same integer again,
 * exactly (s32 keeps the 24 bits that a float has). Rounding is to the nearest, ties to even.
 */
#ifndef TAKT_FORMAT_H
#define TAKT_FORMAT_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum takt_sample {
    TAKT_SAMPLE_DEFAULT = 0, /* wherever it may stand: TAKT_F32, or the device's own choice */
    TAKT_F32,                /* float, -1..+1 and beyond */
    TAKT_S16,
    TAKT_S24, /* packed, 3 bytes, little end first */
    TAKT_S32,
    TAKT_U8 /* 128 is silence */
};

/* Triangular noise of one step either way before rounding to 24 bits or fewer: the error then no
 * longer follows the signal (Lipshitz, Wannamaker, Vanderkooy, JAES 1992). */
enum takt_dither { TAKT_DITHER_OFF = 0, TAKT_DITHER_TPDF };

/* Integers always saturate; nobody wants them to wrap. */
enum takt_clip {
    TAKT_CLIP_INTEGERS = 0, /* floats pass beyond -1..+1 where they leave as floats */
    TAKT_CLIP_ALL           /* floats that leave are held within -1..+1, too */
};

/* Bytes of one sample; TAKT_SAMPLE_DEFAULT counts as TAKT_F32. RT: yes. */
TAKT_API size_t takt_sample_bytes(enum takt_sample format);

/* "s16", and back: TAKT_SAMPLE_DEFAULT for a name that there is not. RT: yes. */
TAKT_API const char *takt_sample_name(enum takt_sample format);
TAKT_API enum takt_sample takt_sample_from_name(const char *name);

/* What an encoder remembers, for one channel. */
struct takt_encode_state {
    enum takt_dither dither;
    enum takt_clip clip;
    uint64_t chance;  /* state of the dither's generator */
    uint64_t clipped; /* samples that were out of range so far */
};

/* Same seed, same dither. Thread: any. RT: yes. */
TAKT_API void takt_encode_init(struct takt_encode_state *st, enum takt_dither dither,
                               enum takt_clip clip, uint64_t seed);

/* n floats from n samples that lie `stride` samples apart: 1 for a plane, the channel count for
 * one channel of interleaved frames. Thread: any. RT: yes (wait-free), O(n). */
TAKT_API void takt_decode(float *out, const void *in, enum takt_sample format, size_t stride,
                          size_t n);

/* The way back. NaN becomes silence. Thread: one at a time for st. RT: yes (wait-free), O(n). */
TAKT_API void takt_encode(void *out, enum takt_sample format, size_t stride, const float *in,
                          size_t n, struct takt_encode_state *st);

#ifdef __cplusplus
}
#endif
#endif
