/*
 * What all codecs have in common: their names, which formats there are, and one piece of memory
 * for each encoder and decoder. PCM is in pcm.c and Opus behind opus_state.h.
 *
 * Invariants: an object's format has passed its check; opus is NULL for PCM.
 */
#include "codec/codec.h"

#include "base/fail.h"
#include "codec/opus_state.h"
#include "codec/pcm.h"
#include "takt/kernel.h"

#include <stdlib.h>
#include <strings.h>

enum { RATE_MIN = 8000, RATE_MAX = 384000, BIT_RATE_MIN = 6000, BIT_RATE_MAX = 510000 };

static const float opus_most = 16; /* louder, libopus takes a frame for broken */

struct takt_encoder {
    struct takt_codec_format format;
    struct takt_encode_state plane[TAKT_CODEC_CHANNELS_MAX]; /* PCM */
    struct takt_opus_encoder *opus;
    float *interleaved; /* Opus: [frames * channels] */
    _Alignas(max_align_t) unsigned char memory[];
};

struct takt_decoder {
    struct takt_codec_format format;
    uint32_t frames_max;
    struct takt_opus_decoder *opus;
    void *between; /* Opus: floats, interleaved; PCM: the payload with its bytes turned */
    _Alignas(max_align_t) unsigned char memory[];
};

/* ---- Names ----------------------------------------------------------------------------------- */

static const char *const names[TAKT_CODECS] = {
    [TAKT_CODEC_L16] = "L16",
    [TAKT_CODEC_L24] = "L24",
    [TAKT_CODEC_F32] = "x-f32",
    [TAKT_CODEC_OPUS] = "opus",
};

const char *takt_codec_name(enum takt_codec codec)
{
    return (unsigned)codec < TAKT_CODECS ? names[codec] : NULL;
}

int takt_codec_from_name(const char *name, enum takt_codec *out)
{
    for (int i = 0; i < TAKT_CODECS; i++)
        if (!strcasecmp(name, names[i])) {
            *out = (enum takt_codec)i;
            return TAKT_OK;
        }
    return TAKT_ERR_NOT_FOUND;
}

/* ---- Formats --------------------------------------------------------------------------------- */

static int check_pcm(const struct takt_codec_format *f, struct takt_error *e)
{
    const char *name = names[f->codec];
    if (f->rate_hz < RATE_MIN || f->rate_hz > RATE_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s at %u Hz: give a rate of %d to %d Hz", name,
                         f->rate_hz, RATE_MIN, RATE_MAX);
    if (f->channels < 1 || f->channels > TAKT_CODEC_CHANNELS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s of %u channels: give 1 to %d", name, f->channels,
                         TAKT_CODEC_CHANNELS_MAX);
    return TAKT_OK;
}

static int check_opus(const struct takt_codec_format *f, struct takt_error *e)
{
    uint32_t rate = f->rate_hz;
    if (!takt_opus_decoder_bytes(1))
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "this takt was built without Opus; build it with libopus-dev");
    if (rate != 8000 && rate != 12000 && rate != 16000 && rate != 24000 && rate != 48000)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "opus at %u Hz: give a rate of 8000, 12000, 16000, 24000 or 48000 Hz",
                         rate);
    if (f->channels < 1 || f->channels > 2)
        return takt_fail(e, TAKT_ERR_ARG, 0, "opus of %u channels: give 1 or 2", f->channels);
    return TAKT_OK;
}

/* What an encoder needs and a decoder does not. */
static int check_opus_sending(const struct takt_codec_format *f, struct takt_error *e)
{
    uint32_t step = f->rate_hz / 400; /* 2.5 ms */
    if (f->frames != step && f->frames != 2 * step && f->frames != 4 * step &&
        f->frames != 8 * step)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "opus packets of %u frames at %u Hz: give %u, %u, %u or %u (2.5, 5, 10 or "
                         "20 ms)",
                         f->frames, f->rate_hz, step, 2 * step, 4 * step, 8 * step);
    if (f->bit_rate && (f->bit_rate < BIT_RATE_MIN || f->bit_rate > BIT_RATE_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "opus at %u bits a second: give %d to %d", f->bit_rate,
                         BIT_RATE_MIN, BIT_RATE_MAX);
    if (f->loss_percent > 100)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u percent of packets lost: give 0 to 100",
                         f->loss_percent);
    if (f->fec && (f->low_delay || f->frames < 4 * step))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "opus has in-band FEC only in packets of 10 or 20 ms without low delay");
    return TAKT_OK;
}

static int check_received(const struct takt_codec_format *f, struct takt_error *e)
{
    if ((unsigned)f->codec >= TAKT_CODECS)
        return takt_fail(e, TAKT_ERR_ARG, 0, "codec %d: there is none of that number", f->codec);
    return f->codec == TAKT_CODEC_OPUS ? check_opus(f, e) : check_pcm(f, e);
}

int takt_codec_check(const struct takt_codec_format *f, struct takt_error *e)
{
    int err = check_received(f, e);
    if (err < 0)
        return err;
    if (f->codec == TAKT_CODEC_OPUS)
        return check_opus_sending(f, e);
    if (f->frames < 1 || f->frames > TAKT_CODEC_FRAMES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s packets of %u frames: give 1 to %d",
                         names[f->codec], f->frames, TAKT_CODEC_FRAMES_MAX);
    if (f->dither != TAKT_DITHER_OFF && f->dither != TAKT_DITHER_TPDF)
        return takt_fail(e, TAKT_ERR_ARG, 0, "dither %d: there is none of that number", f->dither);
    return TAKT_OK;
}

/* Of PCM; 0 for Opus. */
static size_t bytes_of_frame(const struct takt_codec_format *f)
{
    return takt_pcm_bytes(f->codec) * f->channels;
}

size_t takt_codec_bytes_max(const struct takt_codec_format *f)
{
    return f->codec == TAKT_CODEC_OPUS ? TAKT_OPUS_BYTES_MAX : bytes_of_frame(f) * f->frames;
}

int takt_codec_frames(const struct takt_codec_format *f, const uint8_t *payload, size_t bytes)
{
    if (f->codec == TAKT_CODEC_OPUS)
        return takt_opus_frames(payload, bytes, f->rate_hz);
    size_t each = bytes_of_frame(f);
    if (!each || !bytes || bytes % each || bytes / each > TAKT_CODEC_FRAMES_MAX)
        return TAKT_ERR_FORMAT;
    return (int)(bytes / each);
}

/* ---- There ----------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    size_t unit = _Alignof(max_align_t);
    return (bytes + unit - 1) / unit * unit;
}

static int no_memory(struct takt_error *e, enum takt_codec codec)
{
    return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for %s", names[codec]);
}

int takt_encoder_create(const struct takt_codec_format *f, struct takt_encoder **out,
                        struct takt_error *error)
{
    *out = NULL;
    int err = takt_codec_check(f, error);
    if (err < 0)
        return err;
    bool is_opus = f->codec == TAKT_CODEC_OPUS;
    size_t state = is_opus ? aligned(takt_opus_encoder_bytes(f->channels)) : 0;
    size_t floats = is_opus ? (size_t)f->frames * f->channels : 0;
    struct takt_encoder *e = calloc(1, sizeof *e + state + floats * sizeof(float));
    if (!e)
        return no_memory(error, f->codec);
    e->format = *f;
    if (is_opus) {
        e->opus = (struct takt_opus_encoder *)(void *)e->memory;
        e->interleaved = (float *)(void *)(e->memory + state);
        err = takt_opus_encoder_init(e->opus, f);
        if (err < 0) {
            free(e);
            return takt_fail(error, err, 0, "libopus refuses this format");
        }
    }
    takt_encoder_reset(e);
    *out = e;
    return TAKT_OK;
}

void takt_encoder_destroy(struct takt_encoder *e)
{
    free(e);
}

void takt_encoder_reset(struct takt_encoder *e)
{
    if (e->opus)
        takt_opus_encoder_reset(e->opus);
    else
        for (uint32_t c = 0; c < e->format.channels; c++)
            takt_encode_init(&e->plane[c], e->format.dither, TAKT_CLIP_INTEGERS,
                             e->format.dither_seed + c);
}

uint32_t takt_encoder_delay_frames(const struct takt_encoder *e)
{
    return e->opus ? takt_opus_encoder_delay_frames(e->opus) : 0;
}

int takt_encoder_set_loss(struct takt_encoder *e, uint32_t percent)
{
    if (!e->opus)
        return TAKT_ERR_UNSUPPORTED;
    return percent <= 100 ? takt_opus_encoder_set_loss(e->opus, percent) : TAKT_ERR_ARG;
}

int takt_encoder_encode(struct takt_encoder *e, const float *const *planes, uint8_t *out,
                        size_t room)
{
    const struct takt_codec_format *f = &e->format;
    if (e->opus) {
        takt_interleave(e->interleaved, planes, f->channels, f->frames);
        takt_clamp(e->interleaved, e->interleaved, opus_most, (size_t)f->channels * f->frames);
        return takt_opus_encode(e->opus, e->interleaved, f->frames, out, room);
    }
    size_t bytes = takt_codec_bytes_max(f);
    if (room < bytes)
        return TAKT_ERR_FULL;
    takt_pcm_encode(f->codec, f->channels, f->frames, planes, e->plane, out);
    return (int)bytes;
}

/* ---- And back -------------------------------------------------------------------------------- */

int takt_decoder_create(const struct takt_codec_format *f, uint32_t frames_max,
                        struct takt_decoder **out, struct takt_error *e)
{
    *out = NULL;
    int err = check_received(f, e);
    if (err < 0)
        return err;
    if (frames_max < 1 || frames_max > TAKT_CODEC_FRAMES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s packets of up to %u frames: give 1 to %d",
                         names[f->codec], frames_max, TAKT_CODEC_FRAMES_MAX);
    bool is_opus = f->codec == TAKT_CODEC_OPUS;
    size_t state = is_opus ? aligned(takt_opus_decoder_bytes(f->channels)) : 0;
    size_t frame = is_opus ? f->channels * sizeof(float) : bytes_of_frame(f);
    struct takt_decoder *d = calloc(1, sizeof *d + state + frame * frames_max);
    if (!d)
        return no_memory(e, f->codec);
    d->format = *f;
    d->frames_max = frames_max;
    d->between = d->memory + state;
    if (is_opus) {
        d->opus = (struct takt_opus_decoder *)(void *)d->memory;
        err = takt_opus_decoder_init(d->opus, f->rate_hz, f->channels);
        if (err < 0) {
            free(d);
            return takt_fail(e, err, 0, "libopus refuses this format");
        }
    }
    *out = d;
    return TAKT_OK;
}

void takt_decoder_destroy(struct takt_decoder *d)
{
    free(d);
}

void takt_decoder_reset(struct takt_decoder *d)
{
    if (d->opus)
        takt_opus_decoder_reset(d->opus);
}

/* Nothing that a packet can say is to get stuck in a filter behind. */
static void hold(const struct takt_decoder *d, float *const *planes, int frames)
{
    float most = d->opus ? TAKT_OPUS_MOST : TAKT_CODEC_MOST;
    for (uint32_t c = 0; c < d->format.channels; c++)
        takt_clamp(planes[c], planes[c], most, (size_t)frames);
}

/* What Opus made, if anything, to the planes. Hands its result on. */
static int deliver(const struct takt_decoder *d, float *const *planes, int frames)
{
    if (frames > 0) {
        takt_deinterleave(planes, d->between, d->format.channels, (size_t)frames);
        hold(d, planes, frames);
    }
    return frames;
}

int takt_decoder_decode(struct takt_decoder *d, const uint8_t *payload, size_t bytes,
                        float *const *planes, uint32_t room_frames)
{
    const struct takt_codec_format *f = &d->format;
    uint32_t room = room_frames < d->frames_max ? room_frames : d->frames_max;
    if (d->opus)
        return deliver(d, planes, takt_opus_decode(d->opus, payload, bytes, d->between, room));
    int frames = takt_codec_frames(f, payload, bytes);
    if (frames < 0)
        return frames;
    if ((uint32_t)frames > room)
        return TAKT_ERR_FULL;
    takt_pcm_decode(f->codec, f->channels, (uint32_t)frames, payload, d->between, planes);
    if (f->codec == TAKT_CODEC_F32)
        hold(d, planes, frames);
    return frames;
}

int takt_decoder_decode_fec(struct takt_decoder *d, const uint8_t *next, size_t bytes,
                            float *const *planes, uint32_t frames)
{
    if (!d->opus)
        return 0;
    if (frames > d->frames_max)
        return TAKT_ERR_ARG;
    return deliver(d, planes, takt_opus_decode_fec(d->opus, next, bytes, d->between, frames));
}

int takt_decoder_conceal(struct takt_decoder *d, float *const *planes, uint32_t frames)
{
    if (!d->opus)
        return TAKT_ERR_UNSUPPORTED;
    if (frames > d->frames_max)
        return TAKT_ERR_ARG;
    return deliver(d, planes, takt_opus_conceal(d->opus, d->between, frames));
}
