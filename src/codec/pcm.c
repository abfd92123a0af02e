/*
 * The converters of takt/format.h do the work; they have the low end first, so the bytes of all
 * samples are turned around behind them, or before them on the way back.
 */
#include "codec/pcm.h"

#include "base/assert.h"

#include <string.h>

static const struct {
    enum takt_sample sample;
    uint8_t bytes;
} kinds[] = {
    [TAKT_CODEC_L16] = {TAKT_S16, 2},
    [TAKT_CODEC_L24] = {TAKT_S24, 3},
    [TAKT_CODEC_F32] = {TAKT_F32, 4},
    [TAKT_CODEC_OPUS] = {TAKT_SAMPLE_DEFAULT, 0},
};

size_t takt_pcm_bytes(enum takt_codec codec)
{
    return (unsigned)codec < TAKT_CODECS ? kinds[codec].bytes : 0;
}

static void turn_2(uint8_t *to, const uint8_t *from, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        uint16_t x;
        memcpy(&x, from + 2 * i, sizeof x);
        x = __builtin_bswap16(x);
        memcpy(to + 2 * i, &x, sizeof x);
    }
}

static void turn_3(uint8_t *to, const uint8_t *from, size_t samples)
{
    for (size_t i = 0; i < 3 * samples; i += 3) {
        uint8_t first = from[i], mid = from[i + 1], last = from[i + 2];
        to[i] = last;
        to[i + 1] = mid;
        to[i + 2] = first;
    }
}

static void turn_4(uint8_t *to, const uint8_t *from, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        uint32_t x;
        memcpy(&x, from + 4 * i, sizeof x);
        x = __builtin_bswap32(x);
        memcpy(to + 4 * i, &x, sizeof x);
    }
}

/* to may be from. */
static void turn(uint8_t *to, const uint8_t *from, size_t each, size_t samples)
{
    if (each == 2)
        turn_2(to, from, samples);
    else if (each == 3)
        turn_3(to, from, samples);
    else
        turn_4(to, from, samples);
}

void takt_pcm_encode(enum takt_codec codec, uint32_t channels, uint32_t frames,
                     const float *const *planes, struct takt_encode_state *st, uint8_t *out)
{
    size_t each = takt_pcm_bytes(codec);
    TAKT_ASSERT(each);
    for (uint32_t c = 0; c < channels; c++)
        takt_encode(out + c * each, kinds[codec].sample, channels, planes[c], frames, &st[c]);
    turn(out, out, each, (size_t)channels * frames);
}

void takt_pcm_decode(enum takt_codec codec, uint32_t channels, uint32_t frames, const uint8_t *in,
                     uint8_t *turned, float *const *planes)
{
    size_t each = takt_pcm_bytes(codec);
    TAKT_ASSERT(each);
    turn(turned, in, each, (size_t)channels * frames);
    for (uint32_t c = 0; c < channels; c++)
        takt_decode(planes[c], turned + c * each, kinds[codec].sample, channels, frames);
}
