/*
 * takt/format.h - sample formats: between floats and the integers of files and devices.
 *
 *     takt_decode(floats, bytes, TAKT_S16, 1, frames);
 *
 * Full scale is 1.0 = 2^(bits-1) steps, so +1.0 itself is one step beyond the integers and -1.0 is
 * not. Every integer becomes a float and the same integer again, exactly; of s32, whose 32 bits no
 * float holds, the upper 24 significant bits. Rounding is to the nearest, ties to even, in the
 * processor's usual rounding mode. Integers lie in memory little end first, at any alignment.
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

/* Integers always saturate: PortAudio's paClipOff lets them wrap, which nobody wants to hear.
 * Floats that leave as floats pass beyond -1..+1 by default, as they do there. */
enum takt_clip {
    TAKT_CLIP_INTEGERS = 0,
    TAKT_CLIP_ALL /* floats that leave are held within -1..+1, too */
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
    uint64_t chance; /* the dither's: its key and the number of the next sample */
    /* Samples so far that were beyond the format's range by half a step or more; of floats those
     * that TAKT_CLIP_ALL held. NaN and dither do not count. */
    uint64_t clipped;
};

/* Same seed, same dither, however the sound is cut into blocks; another seed, be it the next, other
 * dither. Thread: any. RT: yes. */
TAKT_API void takt_encode_init(struct takt_encode_state *st, enum takt_dither dither,
                               enum takt_clip clip, uint64_t seed);

/* n floats from n samples that lie `stride` samples apart: 1 for a plane, the channel count for
 * one channel of interleaved frames. Does nothing for a format that there is not.
 * Thread: any. RT: yes (wait-free), O(n). */
TAKT_API void takt_decode(float *out, const void *in, enum takt_sample format, size_t stride,
                          size_t n);

/* The way back, with what st asks for; s32 is never dithered. NaN becomes silence. Thread: one at a
 * time for st. RT: yes (wait-free), O(n). */
TAKT_API void takt_encode(void *out, enum takt_sample format, size_t stride, const float *in,
                          size_t n, struct takt_encode_state *st);

#ifdef __cplusplus
}
#endif
#endif
