/*
 * codec/pcm.h - L16, L24 and x-f32: interleaved samples, highest byte first.
 *
 * Thread: any. RT: yes (wait-free), O(frames), all calls.
 */
#ifndef TAKT_CODEC_PCM_H
#define TAKT_CODEC_PCM_H

#include "codec/codec.h"

/* Bytes of one sample; 0 for a codec that is not PCM. */
size_t takt_pcm_bytes(enum takt_codec codec);

/* Shape: planes[channels][frames], st[channels], out[takt_pcm_bytes(codec) * channels * frames]. */
void takt_pcm_encode(enum takt_codec codec, uint32_t channels, uint32_t frames,
                     const float *const *planes, struct takt_encode_state *st, uint8_t *out);

/* The way back. turned: room for as many bytes as in has. Samples of x-f32 come as they are, NaN
 * and all. */
void takt_pcm_decode(enum takt_codec codec, uint32_t channels, uint32_t frames, const uint8_t *in,
                     uint8_t *turned, float *const *planes);

#endif
