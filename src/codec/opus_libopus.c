/*
 * Opus through libopus. A state here is a few fields of our own and libopus's behind them.
 *
 * In-band FEC is SILK's: the encoder has to be in one of the modes that use it. Left to itself,
 * libopus leaves them for CELT whenever the sound is music and the expected loss below 9 %, and
 * then sends no copies, whatever was asked for. Told that the sound is speech it stays; so it is
 * told that for as long as loss is expected.
 */
#include "codec/opus_state.h"

#include "base/assert.h"

#include <opus.h>

enum { FRAMES_A_PACKET_MAX = 48, STEPS_A_SECOND = 400 /* of 2.5 ms, of which all lengths are */ };

struct takt_opus_encoder {
    uint32_t delay_frames;
    bool fec;
    _Alignas(max_align_t) unsigned char library[];
};

struct takt_opus_decoder {
    uint32_t rate_hz;
    bool is_celt; /* the last packet was in the mode that knows no FEC, nor goes on with it */
    _Alignas(max_align_t) unsigned char library[];
};

static OpusEncoder *encoder_of(struct takt_opus_encoder *e)
{
    return (OpusEncoder *)(void *)e->library;
}

static OpusDecoder *decoder_of(struct takt_opus_decoder *d)
{
    return (OpusDecoder *)(void *)d->library;
}

/* ---- Packets --------------------------------------------------------------------------------- */

/* RFC 6716, 3.1: configurations 16 and above. bytes > 0. */
static bool is_celt_packet(const uint8_t *payload)
{
    return payload[0] & 0x80;
}

/* Where the packet's frames lie; how many, or below 0. */
static int find_frames(const uint8_t *payload, size_t bytes,
                       const unsigned char *frame[FRAMES_A_PACKET_MAX],
                       opus_int16 size[FRAMES_A_PACKET_MAX])
{
    if (!bytes || bytes > INT32_MAX)
        return TAKT_ERR_FORMAT;
    int count = opus_packet_parse(payload, (opus_int32)bytes, NULL, frame, size, NULL);
    return count > 0 ? count : TAKT_ERR_FORMAT;
}

int takt_opus_frames(const uint8_t *payload, size_t bytes, uint32_t rate_hz)
{
    const unsigned char *frame[FRAMES_A_PACKET_MAX];
    opus_int16 size[FRAMES_A_PACKET_MAX];
    int count = find_frames(payload, bytes, frame, size);
    return count < 0 ? count
                     : count * opus_packet_get_samples_per_frame(payload, (opus_int32)rate_hz);
}

/* RFC 6716, 4.2.3 and 4.2.4: the first bits of a SILK frame are, for each channel, a flag of voice
 * for each 20 ms or less, and then one that says whether a copy of the frame before follows.
 * libopus takes a frame of one byte for none at all. */
static bool has_copy(const uint8_t *payload, size_t bytes)
{
    const unsigned char *frame[FRAMES_A_PACKET_MAX];
    opus_int16 size[FRAMES_A_PACKET_MAX];
    if (is_celt_packet(payload) || find_frames(payload, bytes, frame, size) < 0 || size[0] < 2)
        return false;
    int voices = opus_packet_get_samples_per_frame(payload, 50);
    voices = voices > 1 ? voices : 1;
    bool mid = frame[0][0] >> (7 - voices) & 1;
    bool side = frame[0][0] >> (6 - 2 * voices) & 1;
    return mid || (side && opus_packet_get_nb_channels(payload) == 2);
}

/* ---- Encoder --------------------------------------------------------------------------------- */

size_t takt_opus_encoder_bytes(uint32_t channels)
{
    return sizeof(struct takt_opus_encoder) + (size_t)opus_encoder_get_size((int)channels);
}

int takt_opus_encoder_init(struct takt_opus_encoder *e, const struct takt_codec_format *f)
{
    OpusEncoder *library = encoder_of(e);
    bool is_short = f->frames <= f->rate_hz / 200;
    int application =
        is_short || f->low_delay ? OPUS_APPLICATION_RESTRICTED_LOWDELAY : OPUS_APPLICATION_AUDIO;
    opus_int32 rate = (opus_int32)f->rate_hz, delay = 0;
    opus_int32 bit_rate = f->bit_rate ? (opus_int32)f->bit_rate : OPUS_AUTO;
    bool is_well = opus_encoder_init(library, rate, (int)f->channels, application) == OPUS_OK &&
                   opus_encoder_ctl(library, OPUS_SET_BITRATE(bit_rate)) == OPUS_OK &&
                   opus_encoder_ctl(library, OPUS_SET_INBAND_FEC(f->fec)) == OPUS_OK &&
                   opus_encoder_ctl(library, OPUS_GET_LOOKAHEAD(&delay)) == OPUS_OK;
    e->delay_frames = (uint32_t)delay;
    e->fec = f->fec;
    return is_well ? takt_opus_encoder_set_loss(e, f->loss_percent) : TAKT_ERR_UNSUPPORTED;
}

void takt_opus_encoder_reset(struct takt_opus_encoder *e)
{
    int err = opus_encoder_ctl(encoder_of(e), OPUS_RESET_STATE);
    TAKT_ASSERT(err == OPUS_OK);
}

uint32_t takt_opus_encoder_delay_frames(const struct takt_opus_encoder *e)
{
    return e->delay_frames;
}

int takt_opus_encoder_set_loss(struct takt_opus_encoder *e, uint32_t percent)
{
    OpusEncoder *library = encoder_of(e);
    int signal = e->fec && percent ? OPUS_SIGNAL_VOICE : OPUS_AUTO;
    bool is_well =
        opus_encoder_ctl(library, OPUS_SET_PACKET_LOSS_PERC((opus_int32)percent)) == OPUS_OK &&
        opus_encoder_ctl(library, OPUS_SET_SIGNAL(signal)) == OPUS_OK;
    TAKT_ASSERT(is_well);
    return TAKT_OK;
}

int takt_opus_encode(struct takt_opus_encoder *e, const float *in, uint32_t frames, uint8_t *out,
                     size_t room)
{
    if (!room)
        return TAKT_ERR_FULL;
    opus_int32 most = room < TAKT_OPUS_BYTES_MAX ? (opus_int32)room : TAKT_OPUS_BYTES_MAX;
    int bytes = opus_encode_float(encoder_of(e), in, (int)frames, out, most);
    return bytes > 0 ? bytes : TAKT_ERR_FULL;
}

/* ---- Decoder --------------------------------------------------------------------------------- */

size_t takt_opus_decoder_bytes(uint32_t channels)
{
    return sizeof(struct takt_opus_decoder) + (size_t)opus_decoder_get_size((int)channels);
}

int takt_opus_decoder_init(struct takt_opus_decoder *d, uint32_t rate_hz, uint32_t channels)
{
    d->rate_hz = rate_hz;
    d->is_celt = false;
    int err = opus_decoder_init(decoder_of(d), (opus_int32)rate_hz, (int)channels);
    return err == OPUS_OK ? TAKT_OK : TAKT_ERR_UNSUPPORTED;
}

void takt_opus_decoder_reset(struct takt_opus_decoder *d)
{
    int err = opus_decoder_ctl(decoder_of(d), OPUS_RESET_STATE);
    TAKT_ASSERT(err == OPUS_OK);
    d->is_celt = false;
}

/* What libopus made of a call that can only fail by its packet. */
static int frames_or_error(int frames)
{
    return frames > 0 ? frames : TAKT_ERR_FORMAT;
}

int takt_opus_decode(struct takt_opus_decoder *d, const uint8_t *payload, size_t bytes, float *out,
                     uint32_t room_frames)
{
    int frames = takt_opus_frames(payload, bytes, d->rate_hz);
    if (frames < 0)
        return frames;
    if ((uint32_t)frames > room_frames)
        return TAKT_ERR_FULL;
    d->is_celt = is_celt_packet(payload);
    return frames_or_error(
        opus_decode_float(decoder_of(d), payload, (opus_int32)bytes, out, frames, 0));
}

static bool is_whole_steps(const struct takt_opus_decoder *d, uint32_t frames)
{
    return frames && frames % (d->rate_hz / STEPS_A_SECOND) == 0;
}

int takt_opus_decode_fec(struct takt_opus_decoder *d, const uint8_t *next, size_t bytes, float *out,
                         uint32_t frames)
{
    if (!is_whole_steps(d, frames))
        return TAKT_ERR_ARG;
    if (takt_opus_frames(next, bytes, d->rate_hz) < 0)
        return TAKT_ERR_FORMAT;
    int copied = opus_packet_get_samples_per_frame(next, (opus_int32)d->rate_hz);
    if (d->is_celt || (uint32_t)copied > frames || !has_copy(next, bytes))
        return 0;
    return frames_or_error(
        opus_decode_float(decoder_of(d), next, (opus_int32)bytes, out, (int)frames, 1));
}

int takt_opus_conceal(struct takt_opus_decoder *d, float *out, uint32_t frames)
{
    if (!is_whole_steps(d, frames))
        return TAKT_ERR_ARG;
    return frames_or_error(opus_decode_float(decoder_of(d), NULL, 0, out, (int)frames, 0));
}
