/*
 * codec/opus_state.h - the one place that knows libopus (opus_libopus.c), and what stands in for it
 * where takt is built without (opus_none.c): there nothing has a size, and all else is never
 * called.
 *
 * States are made in the caller's memory. Sound is interleaved, [frames * channels], and formats
 * have been checked. All that can fail returns a negative enum takt_err.
 */
#ifndef TAKT_CODEC_OPUS_STATE_H
#define TAKT_CODEC_OPUS_STATE_H

#include "codec/codec.h"

struct takt_opus_encoder;
struct takt_opus_decoder;

/* Bytes of a state, 0 without libopus. Thread: any. RT: no. */
size_t takt_opus_encoder_bytes(uint32_t channels);
size_t takt_opus_decoder_bytes(uint32_t channels);

/* In memory of that size, as calloc gives it. Thread: any. RT: no. */
int takt_opus_encoder_init(struct takt_opus_encoder *e, const struct takt_codec_format *f);
int takt_opus_decoder_init(struct takt_opus_decoder *d, uint32_t rate_hz, uint32_t channels);

/* For what follows, see the functions of codec.h that it stands behind.
 * Thread: one at a time. RT: yes. */
void takt_opus_encoder_reset(struct takt_opus_encoder *e);
uint32_t takt_opus_encoder_delay_frames(const struct takt_opus_encoder *e);
int takt_opus_encoder_set_loss(struct takt_opus_encoder *e, uint32_t percent);
int takt_opus_encode(struct takt_opus_encoder *e, const float *in, uint32_t frames, uint8_t *out,
                     size_t room);
void takt_opus_decoder_reset(struct takt_opus_decoder *d);
int takt_opus_decode(struct takt_opus_decoder *d, const uint8_t *payload, size_t bytes, float *out,
                     uint32_t room_frames);
int takt_opus_decode_fec(struct takt_opus_decoder *d, const uint8_t *next, size_t bytes, float *out,
                         uint32_t frames);
int takt_opus_conceal(struct takt_opus_decoder *d, float *out, uint32_t frames);
int takt_opus_frames(const uint8_t *payload, size_t bytes, uint32_t rate_hz);

#endif
