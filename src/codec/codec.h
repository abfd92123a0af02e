/*
 * codec/codec.h - sound to the payload of a packet and back: L16 and L24 (RFC 3551, RFC 3190),
 * x-f32, and Opus (RFC 6716) through libopus.
 *
 *     struct takt_codec_format f = {.codec = TAKT_CODEC_OPUS, .rate_hz = 48000, .channels = 2,
 *                                   .frames = 240, .bit_rate = 128000};
 *     takt_encoder_create(&f, &e, &error);
 *     bytes = takt_encoder_encode(e, planes, payload, sizeof payload);
 *
 *     takt_decoder_create(&f, 5760, &d, &error); // Opus's longest packet, 120 ms at 48 kHz
 *     frames = takt_decoder_decode(d, payload, bytes, planes, 5760);
 *
 * PCM payloads are interleaved samples, highest byte first; those of x-f32 are IEEE 754 floats in
 * the same order, which no RFC knows and only takt sends. To L16 and L24 floats are rounded as
 * takt/format.h says: full scale is 2^15 or 2^23 steps, what is beyond is held at the end of the
 * range, and what was 16 or 24 bits comes back as the same floats, exactly, where nobody asked for
 * dither.
 *
 * What no sound has does not leave a decoder: NaN becomes 0, and samples are held within
 * ±TAKT_CODEC_MOST, whoever made the packet. Of Opus, where a few wrong bits may come out at any
 * level, they are held within ±TAKT_OPUS_MOST: by that much sound at full scale may overshoot.
 *
 * Objects take all their memory in one piece when they are made; libopus, too, works in that piece
 * and on the stack: of that its 1.3.1 takes up to 53 kB to encode, and 22 kB to decode or conceal
 * any packet at all. Whoever calls has TAKT_OPUS_ENCODE_STACK_BYTES and
 * TAKT_OPUS_DECODE_STACK_BYTES left.
 *
 * Thread: one at a time for an object; any for what has none.
 */
#ifndef TAKT_CODEC_CODEC_H
#define TAKT_CODEC_CODEC_H

#include "takt/error.h"
#include "takt/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum takt_codec { TAKT_CODEC_L16, TAKT_CODEC_L24, TAKT_CODEC_F32, TAKT_CODEC_OPUS };

enum {
    TAKT_CODECS = 4,
    TAKT_CODEC_CHANNELS_MAX = 64, /* of Opus 2 */
    TAKT_CODEC_FRAMES_MAX = 65536,
    TAKT_OPUS_BYTES_MAX = 1276, /* of a packet of up to 20 ms */
    TAKT_OPUS_ENCODE_STACK_BYTES = 64 << 10,
    TAKT_OPUS_DECODE_STACK_BYTES = 32 << 10
};

#define TAKT_CODEC_MOST 1e6f /* +120 dBFS */
#define TAKT_OPUS_MOST  2.0f /* +6 dBFS; libopus's own soft clipping takes no more for sound */

/* PCM takes no notice of what is Opus's, nor Opus of dither; a decoder of neither, nor of frames.
 * Opus's frames are counted at rate_hz here; RTP's timestamps of it run at 48 kHz always. */
struct takt_codec_format {
    enum takt_codec codec;
    uint32_t rate_hz;  /* 8000..384000; of Opus 8000, 12000, 16000, 24000 or 48000 */
    uint32_t channels; /* 1..64; of Opus 1 or 2 */
    uint32_t frames;   /* a packet's, 1..TAKT_CODEC_FRAMES_MAX; of Opus 2.5, 5, 10 or 20 ms */

    uint32_t bit_rate; /* Opus: 6000..510000 bits a second; 0: what libopus takes for these frames,
                        * of 48 kHz stereo 99 kb/s at 20 ms and 120 kb/s at 2.5 ms */
    bool low_delay;    /* Opus: look ahead 2.5 ms less of sound instead of 6.5, as is done at 5 ms
                        * and less anyway; there is no FEC then */
    bool fec;          /* Opus, at 10 and 20 ms: while loss is expected, a packet also carries a
                        * coarse copy of the one before, unless that was a pause. All sound is coded
                        * as speech meanwhile, and encoding takes up to seven times as long */
    uint32_t loss_percent; /* Opus: expected, 0..100; fec with 0 sends no copies */

    enum takt_dither dither; /* L16 and L24 */
    uint64_t dither_seed;    /* the same seed, the same dither */
};

/* The encoding's name in SDP, "L16", "L24", "x-f32", "opus"; NULL for a codec that there is not.
 * RT: yes. */
const char *takt_codec_name(enum takt_codec codec);

/* And back, in any case of letters. Errors: TAKT_ERR_NOT_FOUND. RT: no. */
int takt_codec_from_name(const char *name, enum takt_codec *out);

/* Whether an encoder of this format can be made. Errors: TAKT_ERR_ARG, and one line that says what
 * there is instead; TAKT_ERR_UNSUPPORTED: Opus, and takt was built without it. RT: no. */
int takt_codec_check(const struct takt_codec_format *f, struct takt_error *e);

/* The largest payload of f->frames; of PCM, each one's size. RT: yes. */
size_t takt_codec_bytes_max(const struct takt_codec_format *f);

/* How long a packet is, without decoding it: its frames at f->rate_hz, 1 or more. A decoder of this
 * format takes every packet that has an answer here. Errors: TAKT_ERR_FORMAT: empty, cut off, or
 * no such payload; TAKT_ERR_UNSUPPORTED as above. RT: yes (wait-free), O(1). */
int takt_codec_frames(const struct takt_codec_format *f, const uint8_t *payload, size_t bytes);

/* ---- There ----------------------------------------------------------------------------------- */

struct takt_encoder;

/* The only call here that allocates.
 * Errors: those of takt_codec_check, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
int takt_encoder_create(const struct takt_codec_format *f, struct takt_encoder **out,
                        struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
void takt_encoder_destroy(struct takt_encoder *e);

/* As if just made, but for the loss that was set. RT: yes. */
void takt_encoder_reset(struct takt_encoder *e);

/* By how many frames the sound that a decoder gives is behind the encoder's: 0 for PCM. RT: yes. */
uint32_t takt_encoder_delay_frames(const struct takt_encoder *e);

/* Opus: what share of the packets is expected to be lost; FEC, where it was asked for, sleeps at 0.
 * Errors: TAKT_ERR_ARG; TAKT_ERR_UNSUPPORTED for PCM. RT: yes. */
int takt_encoder_set_loss(struct takt_encoder *e, uint32_t percent);

/* One packet. Shape: planes[channels][frames]. Returns its bytes, 1 or more.
 * PCM: NaN becomes silence. Opus: the same, and samples are held within ±16; where room is below
 * TAKT_OPUS_BYTES_MAX it makes do with it, at the sound's cost.
 * Errors: TAKT_ERR_FULL: room is below takt_codec_bytes_max (PCM) or 0; nothing is written then.
 * RT: yes (wait-free), O(frames); Opus with the stack said above. */
int takt_encoder_encode(struct takt_encoder *e, const float *const *planes, uint8_t *out,
                        size_t room);

/* ---- And back -------------------------------------------------------------------------------- */

struct takt_decoder;

/* frames_max: of a packet and of a gap, 1..TAKT_CODEC_FRAMES_MAX. Of f only codec, rate_hz and
 * channels matter: packets may be of any length, and Opus's mono or stereo as they like.
 * The only call here that allocates. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED;
 * *out is NULL then. Thread: any. RT: no. */
int takt_decoder_create(const struct takt_codec_format *f, uint32_t frames_max,
                        struct takt_decoder **out, struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
void takt_decoder_destroy(struct takt_decoder *d);

/* As if just made. RT: yes. */
void takt_decoder_reset(struct takt_decoder *d);

/* The packet that follows what was decoded or concealed last. Shape: planes[channels][room_frames].
 * Returns its frames, as takt_codec_frames does. Errors: TAKT_ERR_FORMAT: no such payload;
 * TAKT_ERR_FULL: it is longer than room_frames or frames_max. The planes and the decoder are then
 * as they were. RT: yes (wait-free), O(frames); Opus with the stack said above. */
int takt_decoder_decode(struct takt_decoder *d, const uint8_t *payload, size_t bytes,
                        float *const *planes, uint32_t room_frames);

/* Opus: the last `frames` before the packet `next`, which are lost, out of the copy that it carries
 * of the frame before it; what is lost beyond that is concealed. Decode `next` itself afterwards.
 * Shape: planes[channels][frames]. Returns frames, or 0 when there is no copy, or it is of more
 * than `frames`, or what came before cannot be gone on from: then nothing has happened, and
 * concealing is up to the caller. PCM: always 0. Errors: TAKT_ERR_FORMAT; TAKT_ERR_ARG: not a
 * multiple of 2.5 ms, or beyond frames_max. RT: yes, as takt_decoder_decode. */
int takt_decoder_decode_fec(struct takt_decoder *d, const uint8_t *next, size_t bytes,
                            float *const *planes, uint32_t frames);

/* Opus: goes on for `frames` without a packet. Shape: planes[channels][frames]. Returns frames.
 * Errors: TAKT_ERR_UNSUPPORTED for PCM; TAKT_ERR_ARG as above. RT: yes, as takt_decoder_decode. */
int takt_decoder_conceal(struct takt_decoder *d, float *const *planes, uint32_t frames);

#endif
