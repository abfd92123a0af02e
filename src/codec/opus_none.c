/*
 * What stands in for libopus where takt is built without it. No state has a size, so none is ever
 * made, and nothing else here but takt_opus_frames is ever called.
 */
#include "codec/opus_state.h"

size_t takt_opus_encoder_bytes(uint32_t channels)
{
    return 0;
}

size_t takt_opus_decoder_bytes(uint32_t channels)
{
    return 0;
}

int takt_opus_encoder_init(struct takt_opus_encoder *e, const struct takt_codec_format *f)
{
    return TAKT_ERR_UNSUPPORTED;
}

int takt_opus_decoder_init(struct takt_opus_decoder *d, uint32_t rate_hz, uint32_t channels)
{
    return TAKT_ERR_UNSUPPORTED;
}

void takt_opus_encoder_reset(struct takt_opus_encoder *e)
{
}

uint32_t takt_opus_encoder_delay_frames(const struct takt_opus_encoder *e)
{
    return 0;
}

int takt_opus_encoder_set_loss(struct takt_opus_encoder *e, uint32_t percent)
{
    return TAKT_ERR_UNSUPPORTED;
}

int takt_opus_encode(struct takt_opus_encoder *e, const float *in, uint32_t frames, uint8_t *out,
                     size_t room)
{
    return TAKT_ERR_UNSUPPORTED;
}

void takt_opus_decoder_reset(struct takt_opus_decoder *d)
{
}

int takt_opus_decode(struct takt_opus_decoder *d, const uint8_t *payload, size_t bytes, float *out,
                     uint32_t room_frames)
{
    return TAKT_ERR_UNSUPPORTED;
}

int takt_opus_decode_fec(struct takt_opus_decoder *d, const uint8_t *next, size_t bytes, float *out,
                         uint32_t frames)
{
    return TAKT_ERR_UNSUPPORTED;
}

int takt_opus_conceal(struct takt_opus_decoder *d, float *out, uint32_t frames)
{
    return TAKT_ERR_UNSUPPORTED;
}

int takt_opus_frames(const uint8_t *payload, size_t bytes, uint32_t rate_hz)
{
    return TAKT_ERR_UNSUPPORTED;
}
