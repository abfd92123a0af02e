/*
 * PCM to the bit, Opus by what is heard of it, and both against what a network may bring.
 */
#include "base/random.h"
#include "codec/codec.h"
#include "edge.h"
#include "fault.h"
#include "takt/kernel.h"

#include <math.h>
#include <pthread.h>

enum { CHANNELS = TAKT_CODEC_CHANNELS_MAX, FRAMES = 5760, PAYLOAD = 1 << 16, GUARD = 8 };

static const enum takt_codec pcm[] = {TAKT_CODEC_L16, TAKT_CODEC_L24, TAKT_CODEC_F32};
static const size_t pcm_bytes[] = {2, 3, 4};

/* ---- Hands ----------------------------------------------------------------------------------- */

static float in[CHANNELS][FRAMES], out[CHANNELS][FRAMES + GUARD];
static const float *in_planes[CHANNELS];
static float *out_planes[CHANNELS];
static uint8_t payload[PAYLOAD], again[PAYLOAD];

static void point(void)
{
    for (int c = 0; c < CHANNELS; c++) {
        in_planes[c] = in[c];
        out_planes[c] = out[c];
    }
}

static struct takt_codec_format format_of(enum takt_codec codec, uint32_t rate_hz,
                                          uint32_t channels, uint32_t frames)
{
    return (struct takt_codec_format){
        .codec = codec, .rate_hz = rate_hz, .channels = channels, .frames = frames};
}

static struct takt_encoder *encoder_of(struct takt_codec_format f)
{
    struct takt_encoder *e;
    struct takt_error error;
    if (takt_encoder_create(&f, &e, &error) < 0)
        printf("# %s\n", error.text);
    return e;
}

static struct takt_decoder *decoder_of(struct takt_codec_format f)
{
    struct takt_decoder *d;
    struct takt_error error;
    if (takt_decoder_create(&f, FRAMES, &d, &error) < 0)
        printf("# %s\n", error.text);
    return d;
}

static float any_float(struct takt_random *r)
{
    static const float telling[] = {0,      1,        -1,    0x1p-15f, -0x1p-15f, 1e30f, 0x1p-149f,
                                    -1e30f, INFINITY, 2e-7f, NAN,      -INFINITY, -0.0f, 1e6f};
    enum { TELLING = sizeof telling / sizeof *telling };
    if (takt_random_below(r, 4) == 0)
        return telling[takt_random_below(r, TELLING)];
    return (float)(2.2 * takt_random_unit(r) - 1.1);
}

/* What no call may touch: marks in these planes and the one behind them, and whether they are
 * there, in these from frame `from` on. */
static uint32_t marked;

static void mark(uint32_t channels)
{
    marked = channels;
    for (uint32_t c = 0; c <= channels && c < CHANNELS; c++)
        for (int i = 0; i < FRAMES + GUARD; i++)
            out[c][i] = 12345;
}

static bool is_marked(uint32_t from)
{
    for (uint32_t c = 0; c <= marked && c < CHANNELS; c++)
        for (uint32_t i = c < marked ? from : 0; i < FRAMES + GUARD; i++)
            if (out[c][i] != 12345)
                return false;
    return true;
}

/* ---- Names and formats ----------------------------------------------------------------------- */

static void names_are_those_of_sdp_in_any_case(void)
{
    static const char *const names[] = {"L16", "L24", "x-f32", "opus"};
    static const char *const shouted[] = {"l16", "l24", "X-F32", "OPUS"};
    for (int i = 0; i < TAKT_CODECS; i++) {
        enum takt_codec a = (enum takt_codec) - 1, b = a;
        CHECK(!strcmp(takt_codec_name((enum takt_codec)i), names[i]));
        CHECK_INT(takt_codec_from_name(names[i], &a), 0);
        CHECK_INT(takt_codec_from_name(shouted[i], &b), 0);
        CHECK(a == (enum takt_codec)i && b == a);
    }
    enum takt_codec none = TAKT_CODEC_L24;
    CHECK_INT(takt_codec_from_name("L2", &none), TAKT_ERR_NOT_FOUND);
    CHECK_INT(takt_codec_from_name("", &none), TAKT_ERR_NOT_FOUND);
    CHECK(none == TAKT_CODEC_L24);
    CHECK(!takt_codec_name((enum takt_codec)TAKT_CODECS));
}

struct refusal {
    struct takt_codec_format format;
    const char *told;
};

static void each_format_that_there_is_not_is_refused_in_one_line(void)
{
    const struct refusal refused[] = {
        {{TAKT_CODEC_L16, 7999, 2, 48}, "8000 to 384000"},
        {{TAKT_CODEC_L24, 384001, 2, 48}, "8000 to 384000"},
        {{TAKT_CODEC_L24, 48000, 0, 48}, "1 to 64"},
        {{TAKT_CODEC_F32, 48000, 65, 48}, "1 to 64"},
        {{TAKT_CODEC_L16, 48000, 1, 0}, "1 to 65536"},
        {{TAKT_CODEC_L16, 48000, 1, 65537}, "1 to 65536"},
        {{TAKT_CODEC_L16, 48000, 1, 48, .dither = (enum takt_dither)7}, "dither 7"},
        {{(enum takt_codec)4, 48000, 1, 48}, "codec 4"},
        {{(enum takt_codec) - 1, 48000, 1, 48}, "codec -1"},
#ifdef TAKT_HAVE_OPUS
        {{TAKT_CODEC_OPUS, 44100, 2, 960}, "8000, 12000, 16000, 24000 or 48000"},
        {{TAKT_CODEC_OPUS, 48000, 0, 960}, "1 or 2"},
        {{TAKT_CODEC_OPUS, 48000, 3, 960}, "1 or 2"},
        {{TAKT_CODEC_OPUS, 48000, 2, 961}, "120, 240, 480 or 960"},
        {{TAKT_CODEC_OPUS, 48000, 2, 0}, "120, 240, 480 or 960"},
        {{TAKT_CODEC_OPUS, 48000, 2, 1920}, "120, 240, 480 or 960"},
        {{TAKT_CODEC_OPUS, 8000, 2, 480}, "20, 40, 80 or 160"},
        {{TAKT_CODEC_OPUS, 48000, 2, 960, .bit_rate = 5999}, "6000 to 510000"},
        {{TAKT_CODEC_OPUS, 48000, 2, 960, .bit_rate = 510001}, "6000 to 510000"},
        {{TAKT_CODEC_OPUS, 48000, 2, 960, .loss_percent = 101}, "0 to 100"},
        {{TAKT_CODEC_OPUS, 48000, 2, 240, .fec = true}, "10 or 20 ms"},
        {{TAKT_CODEC_OPUS, 48000, 2, 960, .fec = true, .low_delay = true}, "10 or 20 ms"},
#endif
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct takt_error error = {0};
        struct takt_encoder *e = (void *)1;
        CHECK_INT(takt_encoder_create(&refused[i].format, &e, &error), TAKT_ERR_ARG);
        CHECK(!e && error.code == TAKT_ERR_ARG);
        if (!strstr(error.text, refused[i].told))
            printf("# %s\n", error.text);
        CHECK(strstr(error.text, refused[i].told) && !strchr(error.text, '\n'));
        CHECK_INT(takt_codec_check(&refused[i].format, NULL), TAKT_ERR_ARG);
    }
    struct takt_codec_format f = format_of(TAKT_CODEC_L16, 48000, 2, 0);
    struct takt_decoder *d = (void *)1;
    CHECK_INT(takt_decoder_create(&f, 0, &d, NULL), TAKT_ERR_ARG);
    CHECK(!d);
    CHECK_INT(takt_decoder_create(&f, TAKT_CODEC_FRAMES_MAX + 1, &d, NULL), TAKT_ERR_ARG);
    takt_encoder_destroy(NULL);
    takt_decoder_destroy(NULL);
}

static bool gives_back_when_memory_fails(struct takt_codec_format f)
{
    long before = fault_held();
    for (int n = 1;; n++) {
        struct takt_encoder *e = NULL;
        struct takt_decoder *d = NULL;
        fault_at(n);
        int made = takt_encoder_create(&f, &e, NULL);
        if (made == TAKT_OK)
            made = takt_decoder_create(&f, FRAMES, &d, NULL);
        bool failed = fault_happened();
        fault_at(0);
        if (failed && (made != TAKT_ERR_NOMEM || d))
            return false;
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
        if (fault_held() != before)
            return false;
        if (!failed)
            return made == TAKT_OK && n == 3;
    }
}

static void create_gives_all_back_when_memory_fails(void)
{
    CHECK(gives_back_when_memory_fails(format_of(TAKT_CODEC_L24, 48000, 64, 48)));
#ifdef TAKT_HAVE_OPUS
    CHECK(gives_back_when_memory_fails(format_of(TAKT_CODEC_OPUS, 48000, 2, 960)));
#endif
}

/* ---- PCM ------------------------------------------------------------------------------------- */

static void pcm_is_interleaved_with_the_highest_byte_first(void)
{
    static const uint8_t want[3][16] = {
        {0x40, 0, 0x80, 0, 0, 1, 0x7f, 0xff},
        {0x40, 0, 0, 0x80, 0, 0, 0, 1, 0, 0x7f, 0xff, 0xff},
        {0x3f, 0, 0, 0, 0xbf, 0x80, 0, 0, 0x38, 0, 0, 0, 0x3f, 0x80, 0, 0},
    };
    in[0][0] = 0.5f;
    in[1][0] = -1;
    in[0][1] = 0x1p-15f;
    in[1][1] = 1;
    for (int k = 0; k < 3; k++) {
        struct takt_encoder *e = encoder_of(format_of(pcm[k], 48000, 2, 2));
        CHECK(e);
        CHECK_INT(takt_encoder_delay_frames(e), 0);
        CHECK_INT(takt_encoder_set_loss(e, 5), TAKT_ERR_UNSUPPORTED);
        CHECK_INT(takt_encoder_encode(e, in_planes, payload, sizeof payload), 4 * pcm_bytes[k]);
        CHECK(!memcmp(payload, want[k], 4 * pcm_bytes[k]));
        takt_encoder_destroy(e);
    }
}

/* What a payload of n samples, made of their numbers' bits, is again behind floats. */
static bool comes_back(enum takt_codec codec, uint32_t channels, uint32_t frames)
{
    struct takt_codec_format f = format_of(codec, 48000, channels, frames);
    struct takt_encoder *e = encoder_of(f);
    struct takt_decoder *d = decoder_of(f);
    size_t bytes = takt_codec_bytes_max(&f);
    bool is_well =
        takt_codec_frames(&f, payload, bytes) == (int)frames &&
        takt_decoder_decode(d, payload, bytes, out_planes, FRAMES) == (int)frames &&
        takt_encoder_encode(e, (const float *const *)out_planes, again, bytes) == (int)bytes &&
        !memcmp(payload, again, bytes);
    takt_encoder_destroy(e);
    takt_decoder_destroy(d);
    return is_well;
}

static void every_value_of_l16_and_many_of_l24_come_back_exactly(void)
{
    uint32_t value = 0;
    for (int turn = 0; turn < 16; turn++) {
        for (int i = 0; i < 4096; i++, value++) {
            payload[2 * i] = (uint8_t)(value >> 8);
            payload[2 * i + 1] = (uint8_t)value;
        }
        CHECK(comes_back(TAKT_CODEC_L16, 1, 4096));
    }
    CHECK_INT(value, 65536);
    struct takt_random r = takt_random_seed(1);
    for (int turn = 0; turn < 100; turn++) {
        for (int i = 0; i < 3 * 4096; i++)
            payload[i] = (uint8_t)takt_random_u64(&r);
        memcpy(payload, "\x7f\xff\xff\x80\0\0\0\0\1\xff\xff\xff\x80\0\1\0\0\0", 18);
        CHECK(comes_back(TAKT_CODEC_L24, 1, 4096));
    }
}

/* Sound of 24 bits is the same floats behind L24, and such of 16 bits behind both. */
static void sound_of_16_and_24_bits_is_the_same_floats_behind(void)
{
    struct takt_random r = takt_random_seed(2);
    for (int turn = 0; turn < 40; turn++) {
        int k = turn % 2;
        struct takt_codec_format f = format_of(pcm[k], 44100, 1, 4000);
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f);
        double steps = k ? 0x1p23 : 0x1p15;
        for (int i = 0; i < 4000; i++)
            in[0][i] = (float)((floor(takt_random_unit(&r) * 2 * steps) - steps) / steps);
        in[0][0] = -1;
        CHECK_INT(takt_encoder_encode(e, in_planes, payload, PAYLOAD), 4000 * pcm_bytes[k]);
        CHECK_INT(takt_decoder_decode(d, payload, 4000 * pcm_bytes[k], out_planes, FRAMES), 4000);
        CHECK(!memcmp(in[0], out[0], 4000 * sizeof(float)));
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
}

static double held(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* What the floats should be behind a codec, without dither. */
static double expected(int k, float x)
{
    double most = (double)TAKT_CODEC_MOST, steps = k ? 0x1p23 : 0x1p15;
    if (x != x)
        return 0;
    if (k == 2)
        return held((double)x, -most, most);
    return held(rint((double)x * steps), -steps, steps - 1) / steps;
}

static void pcm_is_the_nearest_step_for_any_sound_channels_and_frames(void)
{
    struct takt_random r = takt_random_seed(3);
    for (int turn = 0; turn < ROUNDS(600); turn++) {
        int k = turn % 3;
        uint32_t channels = 1 + (uint32_t)takt_random_below(&r, turn % 4 ? 4 : CHANNELS);
        uint32_t frames = 1 + (uint32_t)takt_random_below(&r, turn % 5 ? 200 : 700);
        struct takt_codec_format f = format_of(pcm[k], 48000, channels, frames);
        f.fec = f.low_delay = true; /* which PCM takes no notice of */
        size_t bytes = channels * frames * pcm_bytes[k];
        if (bytes > PAYLOAD)
            continue;
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t i = 0; i < frames; i++)
                in[c][i] = any_float(&r);
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f);
        CHECK(e && d);
        mark(channels);
        memset(payload, 0xa5, sizeof payload);
        CHECK_INT(takt_encoder_encode(e, in_planes, payload, bytes - 1), TAKT_ERR_FULL);
        CHECK(payload[0] == 0xa5 && payload[bytes - 1] == 0xa5);
        CHECK_INT(takt_encoder_encode(e, in_planes, payload, bytes), bytes);
        CHECK(bytes == PAYLOAD || payload[bytes] == 0xa5);
        CHECK_INT(takt_decoder_decode(d, edge_put(payload, bytes), bytes, out_planes, frames),
                  frames);
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t i = 0; i < frames; i++)
                CHECK((double)out[c][i] == expected(k, in[c][i]));
        CHECK(is_marked(frames));
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
}

static void dither_is_of_its_seed_and_its_error_knows_nothing_of_the_sound(void)
{
    enum { N = 4000, ROUNDS_OF = 5 };
    struct takt_codec_format f = format_of(TAKT_CODEC_L16, 48000, 2, N);
    f.dither = TAKT_DITHER_TPDF;
    f.dither_seed = 5;
    struct takt_encoder *a = encoder_of(f), *b = encoder_of(f);
    struct takt_decoder *d = decoder_of(f);
    double sum[2] = {0};
    int differ = 0;
    for (int round = 0; round < ROUNDS_OF; round++) {
        for (int i = 0; i < N; i++)
            in[0][i] = in[1][i] = 0.25f * 0x1p-15f;
        CHECK_INT(takt_encoder_encode(a, in_planes, payload, PAYLOAD), 4 * N);
        CHECK_INT(takt_encoder_encode(b, in_planes, again, PAYLOAD), 4 * N);
        CHECK(!memcmp(payload, again, 4 * N));
        CHECK_INT(takt_decoder_decode(d, payload, 4 * N, out_planes, N), N);
        for (int i = 0; i < N; i++) {
            differ += out[0][i] != out[1][i];
            for (int c = 0; c < 2; c++) {
                double steps = (double)out[c][i] * 0x1p15;
                CHECK(fabs(steps - 0.25) <= 1.5);
                sum[c] += steps;
            }
        }
    }
    CHECK_NEAR(sum[0] / (N * ROUNDS_OF), 0.25, 0.02);
    CHECK_NEAR(sum[1] / (N * ROUNDS_OF), 0.25, 0.02);
    CHECK(differ > N);
    takt_encoder_reset(a);
    takt_encoder_destroy(b);
    b = encoder_of(f);
    takt_encoder_encode(a, in_planes, payload, PAYLOAD);
    takt_encoder_encode(b, in_planes, again, PAYLOAD);
    CHECK(!memcmp(payload, again, 4 * N));
    takt_encoder_destroy(a);
    takt_encoder_destroy(b);
    takt_decoder_destroy(d);
}

static void pcm_of_part_of_a_frame_is_refused_and_nothing_written(void)
{
    struct takt_random r = takt_random_seed(4);
    for (int i = 0; i < PAYLOAD; i++)
        payload[i] = (uint8_t)takt_random_u64(&r);
    for (int k = 0; k < 3; k++)
        for (uint32_t channels = 1; channels <= 9; channels += 2) {
            struct takt_codec_format f = format_of(pcm[k], 96000, channels, 0);
            struct takt_decoder *d;
            CHECK_INT(takt_decoder_create(&f, 12, &d, NULL), 0);
            size_t each = channels * pcm_bytes[k];
            for (size_t bytes = 0; bytes <= 16 * each; bytes++) {
                const uint8_t *at = edge_put(payload, bytes);
                uint32_t frames = (uint32_t)(bytes / each), room = frames % 2 ? 16 : 7;
                bool is_whole = bytes && bytes % each == 0, fits = frames <= 12 && frames <= room;
                mark(channels);
                int want = !is_whole ? TAKT_ERR_FORMAT : (int)frames;
                CHECK_INT(takt_codec_frames(&f, at, bytes), want);
                want = is_whole && !fits ? TAKT_ERR_FULL : want;
                CHECK_INT(takt_decoder_decode(d, at, bytes, out_planes, room), want);
                CHECK(is_marked(want > 0 ? frames : 0));
            }
            CHECK_INT(takt_decoder_decode_fec(d, payload, each, out_planes, 4), 0);
            CHECK_INT(takt_decoder_conceal(d, out_planes, 4), TAKT_ERR_UNSUPPORTED);
            takt_decoder_destroy(d);
        }
}

/* A sender of x-f32 may be anybody. */
static void floats_that_no_sound_has_do_not_leave_the_decoder(void)
{
    struct takt_codec_format f = format_of(TAKT_CODEC_F32, 48000, 2, 1000);
    struct takt_decoder *d = decoder_of(f);
    struct takt_random r = takt_random_seed(5);
    for (int turn = 0; turn < 50; turn++) {
        for (int i = 0; i < 8000; i++)
            payload[i] = (uint8_t)takt_random_u64(&r);
        memcpy(payload, "\x7f\xc0\0\0\xff\x80\0\0", 8); /* NaN, -inf */
        CHECK_INT(takt_decoder_decode(d, payload, 8000, out_planes, 1000), 1000);
        CHECK(out[0][0] == 0 && out[1][0] == -TAKT_CODEC_MOST);
        for (int c = 0; c < 2; c++)
            for (int i = 0; i < 1000; i++)
                CHECK(fabsf(out[c][i]) <= TAKT_CODEC_MOST);
    }
    takt_decoder_destroy(d);
}

#ifdef TAKT_HAVE_OPUS

/* ---- Opus: what is heard --------------------------------------------------------------------- */

static const double pi = 3.14159265358979323846;

enum { LONG = 96000, PACKETS = 2000 };
static float sound[2][LONG], heard[2][LONG], lossless[2][LONG];
static const uint32_t opus_rates[] = {8000, 12000, 16000, 24000, 48000};

/* Packets of a whole sound, kept. */
static struct {
    uint8_t bytes[TAKT_OPUS_BYTES_MAX];
    int size;
} packet[PACKETS];

static void make_tone(uint32_t rate_hz, const double hz[2], double gain)
{
    for (int c = 0; c < 2; c++)
        for (uint32_t i = 0; i < LONG; i++)
            sound[c][i] = (float)(gain * sin(2 * pi * hz[c] * i / rate_hz));
}

/* A voice: harmonics of a pitch that glides, in syllables. */
static void make_voice(uint32_t rate_hz)
{
    double angle = 0;
    for (uint32_t i = 0; i < LONG; i++) {
        double t = (double)i / rate_hz, syllable = fabs(sin(2 * pi * 2.3 * t)), x = 0, gain = 1;
        double tilt = exp(-0.15 - 0.1 * sin(2 * pi * 1.7 * t));
        angle += 2 * pi * (140 + 50 * sin(2 * pi * 1.1 * t)) / rate_hz;
        for (int k = 1; k < 16; k++)
            x += (gain *= tilt) * sin(k * angle);
        sound[0][i] = sound[1][i] = (float)(0.12 * syllable * x);
    }
}

/* What is no voice: a chord, struck four times a second, and steady noise of -50 dB. */
static void make_chord(uint32_t rate_hz)
{
    static const double hz[] = {261.6, 329.6, 392, 523.3, 1046.5, 2093, 4186};
    struct takt_random r = takt_random_seed(10);
    for (uint32_t i = 0; i < LONG; i++) {
        double t = (double)i / rate_hz, x = 0;
        for (int k = 0; k < 7; k++)
            x += 0.08 * exp(-6 * fmod(t, 0.25)) * sin(2 * pi * hz[k] * t);
        for (int c = 0; c < 2; c++)
            sound[c][i] = (float)(x + 0.006 * (takt_random_unit(&r) - 0.5));
    }
}

/* Returns how many packets, or an error. */
static int encode_all(struct takt_encoder *e, uint32_t frames, uint32_t total)
{
    int count = 0;
    for (uint32_t at = 0; at + frames <= total && count < PACKETS; at += frames, count++) {
        const float *const planes[2] = {sound[0] + at, sound[1] + at};
        packet[count].size =
            takt_encoder_encode(e, planes, packet[count].bytes, TAKT_OPUS_BYTES_MAX);
        if (packet[count].size < 0)
            return packet[count].size;
    }
    return count;
}

static int decode_one(struct takt_decoder *d, int k, float to[2][LONG], uint32_t at,
                      uint32_t frames)
{
    float *const planes[2] = {to[0] + at, to[1] + at};
    return takt_decoder_decode(d, packet[k].bytes, (size_t)packet[k].size, planes, frames);
}

/* Amplitude of the sine of hz in x, and by how many frames it is behind sin(2 pi hz t), within half
 * a period of either side. */
static double sine_of(const float *x, uint32_t from, uint32_t to, double hz, uint32_t rate_hz,
                      double *behind)
{
    double re = 0, im = 0, weight = 0;
    for (uint32_t i = from; i < to; i++) {
        double w = 0.5 - 0.5 * cos(2 * pi * (i - from + 0.5) / (to - from));
        re += w * (double)x[i] * cos(2 * pi * hz * i / rate_hz);
        im += w * (double)x[i] * sin(2 * pi * hz * i / rate_hz);
        weight += w;
    }
    *behind = atan2(-re, im) / (2 * pi * hz) * rate_hz;
    return 2 * hypot(re, im) / weight;
}

/* How far x is from a whole number of periods. */
static double off_period(double x, double period)
{
    return fabs(x - period * round(x / period));
}

/* Two tones with no small common period, so that one wrong delay cannot please both. */
static const double tones_hz[2] = {437, 1103};

static void tone_is_whole(struct takt_codec_format f)
{
    struct takt_encoder *e = encoder_of(f);
    struct takt_decoder *d = decoder_of(f);
    CHECK(e && d);
    uint32_t total = f.rate_hz / 2, delay = takt_encoder_delay_frames(e);
    bool is_low = f.low_delay || f.frames <= f.rate_hz / 200;
    CHECK_INT(delay, is_low ? f.rate_hz / 400 : f.rate_hz / 400 + f.rate_hz / 250);
    int count = encode_all(e, f.frames, total);
    CHECK_INT(count, total / f.frames);
    for (int k = 0; k < count; k++) {
        CHECK_INT(takt_codec_frames(&f, packet[k].bytes, (size_t)packet[k].size), f.frames);
        CHECK_INT(decode_one(d, k, heard, (uint32_t)k * f.frames, f.frames), f.frames);
    }
    for (uint32_t c = 0; c < f.channels; c++) {
        double behind, gain = sine_of(heard[c], total / 2, (uint32_t)count * f.frames, tones_hz[c],
                                      f.rate_hz, &behind);
        CHECK_NEAR(20 * log10(gain / 0.25), 0, 0.5);
        CHECK(off_period(behind - delay, f.rate_hz / tones_hz[c]) < 0.03 * f.rate_hz / tones_hz[c]);
    }
    takt_encoder_destroy(e);
    takt_decoder_destroy(d);
}

static void opus_tone_comes_back_at_its_level_and_delay(void)
{
    for (int r = 0; r < 5; r++)
        for (uint32_t channels = 1; channels <= 2; channels++)
            for (uint32_t size = 1; size <= 8; size *= 2)
                for (int low = 0; low < 2; low++) {
                    uint32_t rate = opus_rates[r];
                    struct takt_codec_format f =
                        format_of(TAKT_CODEC_OPUS, rate, channels, size * rate / 400);
                    f.bit_rate = 80000 * channels;
                    f.low_delay = low;
                    make_tone(rate, tones_hz, 0.25);
                    tone_is_whole(f);
                    if (tap_broken)
                        printf("# at %u Hz, %u channels, %u frames, low_delay %d\n", rate, channels,
                               f.frames, low);
                    CHECK(!tap_broken);
                }
}

/* So that a bit rate, and not only a call, is what there is. */
static void opus_bit_rate_is_kept(void)
{
    make_voice(48000);
    for (uint32_t size = 1; size <= 8; size *= 2)
        for (uint32_t rate = 32000; rate <= 256000; rate *= 2) {
            struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, size * 120);
            f.bit_rate = rate;
            struct takt_encoder *e = encoder_of(f);
            int count = encode_all(e, f.frames, LONG / 2);
            double bits = 0;
            for (int k = 0; k < count; k++)
                bits += 8.0 * packet[k].size;
            CHECK_NEAR(bits / (count * f.frames) * 48000 / rate, 1, 0.25);
            takt_encoder_destroy(e);
        }
}

static void opus_mono_and_stereo_packets_play_on_either_decoder(void)
{
    make_tone(48000, (const double[2]){437, 437}, 0.25);
    for (uint32_t sent = 1; sent <= 2; sent++) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, sent, 240);
        struct takt_encoder *e = encoder_of(f);
        int count = encode_all(e, 240, 24000);
        f.channels = 3 - sent;
        struct takt_decoder *d = decoder_of(f);
        for (int k = 0; k < count; k++)
            CHECK_INT(decode_one(d, k, heard, (uint32_t)k * 240, 240), 240);
        for (uint32_t c = 0; c < f.channels; c++) {
            double behind, gain = sine_of(heard[c], 12000, 24000, 437, 48000, &behind);
            CHECK_NEAR(20 * log10(gain / 0.25), 0, 0.5);
        }
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
}

/* RFC 6716, 3.2.5: a packet of code 3 with `count` frames of any size below 252, all of one TOC. */
static size_t join(uint8_t *to, int first, int count)
{
    size_t n = 0;
    to[n++] = packet[first].bytes[0] | 3;
    to[n++] = (uint8_t)(0x80 | count);
    for (int k = first; k < first + count - 1; k++)
        to[n++] = (uint8_t)(packet[k].size - 1);
    for (int k = first; k < first + count; k++) {
        memcpy(to + n, packet[k].bytes + 1, (size_t)packet[k].size - 1);
        n += (size_t)packet[k].size - 1;
    }
    return n;
}

static void opus_packets_of_any_length_up_to_120_ms_are_the_same_sound(void)
{
    make_voice(48000);
    for (uint32_t frames = 120; frames <= 960; frames *= 2) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, frames);
        f.bit_rate = 64000;
        f.low_delay = true; /* all of one TOC */
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *one = decoder_of(f), *many = decoder_of(f);
        int count = encode_all(e, frames, 48000), most = (int)(5760 / frames);
        for (int at = 0, n = 1; at + most + 1 <= count; at += n, n = 1 + (3 * n + at) % most) {
            size_t bytes = join(payload, at, n);
            CHECK_INT(takt_codec_frames(&f, payload, bytes), n * (int)frames);
            CHECK_INT(
                takt_decoder_decode(many, payload, bytes, out_planes, (uint32_t)n * frames - 1),
                TAKT_ERR_FULL);
            CHECK_INT(
                takt_decoder_decode(many, edge_put(payload, bytes), bytes, out_planes, FRAMES),
                n * (int)frames);
            for (int k = 0; k < n; k++)
                CHECK_INT(decode_one(one, at + k, heard, (uint32_t)k * frames, frames), frames);
            CHECK(!memcmp(out[0], heard[0], (size_t)n * frames * sizeof(float)));
            CHECK(!memcmp(out[1], heard[1], (size_t)n * frames * sizeof(float)));
        }
        size_t bytes = join(payload, 0, most);
        CHECK_INT(takt_codec_frames(&f, payload, bytes), FRAMES);
        bytes = join(payload, 0, most + 1);
        CHECK_INT(takt_codec_frames(&f, payload, bytes), TAKT_ERR_FORMAT);
        CHECK_INT(takt_decoder_decode(many, payload, bytes, out_planes, FRAMES), TAKT_ERR_FORMAT);
        takt_encoder_destroy(e);
        takt_decoder_destroy(one);
        takt_decoder_destroy(many);
    }
}

static void opus_reset_is_as_new(void)
{
    make_voice(48000);
    for (uint32_t frames = 240; frames <= 960; frames *= 4) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, frames);
        struct takt_encoder *used = encoder_of(f), *fresh = encoder_of(f);
        struct takt_decoder *player = decoder_of(f);
        int count = encode_all(used, frames, 24000);
        for (int k = 0; k < count; k++)
            decode_one(player, k, heard, (uint32_t)k * frames, frames);
        takt_encoder_reset(used);
        takt_decoder_reset(player);
        for (int k = 0; k < count; k++) {
            const float *const planes[2] = {sound[0] + (uint32_t)k * frames,
                                            sound[1] + (uint32_t)k * frames};
            int size = takt_encoder_encode(used, planes, payload, PAYLOAD);
            CHECK_INT(takt_encoder_encode(fresh, planes, again, PAYLOAD), size);
            CHECK(size > 0 && !memcmp(payload, again, (size_t)size));
            CHECK_INT(size, packet[k].size);
        }
        for (int k = 0; k < count; k++)
            decode_one(player, k, lossless, (uint32_t)k * frames, frames);
        CHECK(!memcmp(heard[0], lossless[0], (size_t)count * frames * sizeof(float)));
        takt_encoder_destroy(used);
        takt_encoder_destroy(fresh);
        takt_decoder_destroy(player);
    }
}

/* ---- Opus: what is lost ---------------------------------------------------------------------- */

static float *const *at_frame(float to[2][LONG], uint32_t at)
{
    static float *planes[2];
    planes[0] = to[0] + at;
    planes[1] = to[1] + at;
    return planes;
}

static void opus_conceals_a_tone_without_getting_louder(void)
{
    make_tone(48000, tones_hz, 0.25);
    for (uint32_t frames = 120; frames <= 960; frames *= 2) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, frames);
        f.bit_rate = 160000;
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f);
        struct takt_random r = takt_random_seed(frames);
        int count = encode_all(e, frames, LONG), gap = (int)(19200 / frames);
        CHECK_INT(takt_decoder_conceal(d, at_frame(heard, 0), frames), frames);
        CHECK(heard[0][0] == 0 && heard[1][frames - 1] == 0);
        for (int k = 0; k < count; k++) {
            uint32_t at = (uint32_t)k * frames;
            bool is_out = k >= count / 2 && k < count / 2 + gap;
            bool is_lost = is_out || (k < count / 2 && takt_random_below(&r, 10) == 0);
            CHECK_INT(is_lost ? takt_decoder_conceal(d, at_frame(heard, at), frames)
                              : decode_one(d, k, heard, at, frames),
                      frames);
            CHECK(takt_peak(heard[0] + at, frames) < 0.6f);
            CHECK(takt_peak(heard[1] + at, frames) < 0.6f);
        }
        /* One in ten is hardly heard; 400 ms of nothing fade; and then all is well again. */
        double behind;
        CHECK_NEAR(sine_of(heard[0], LONG / 4, LONG / 2, tones_hz[0], 48000, &behind), 0.25, 0.06);
        CHECK(takt_peak(heard[0] + LONG / 2 + 14400, 4800) < 0.15f);
        CHECK_NEAR(sine_of(heard[0], LONG - 19200, LONG, tones_hz[0], 48000, &behind), 0.25, 0.01);
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
}

static double error_of(uint32_t at, uint32_t frames)
{
    double sum = 0;
    for (uint32_t i = at; i < at + frames; i++)
        sum += ((double)heard[0][i] - (double)lossless[0][i]) *
               ((double)heard[0][i] - (double)lossless[0][i]);
    return sum;
}

/* Each fifth packet is lost, or each fifth pair; returns the error within them. */
static double error_behind_loss(struct takt_codec_format f, int count, int lost, bool with_fec,
                                int *copies)
{
    struct takt_decoder *d = decoder_of(f);
    double sum = 0;
    for (int k = 0; k < count; k++) {
        uint32_t at = (uint32_t)k * f.frames, gap = (uint32_t)lost * f.frames;
        if (k % 5 != 4 || k + lost >= count) {
            decode_one(d, k, heard, at, f.frames);
            continue;
        }
        int next = k + lost, made = 0;
        if (with_fec)
            made = takt_decoder_decode_fec(d, packet[next].bytes, (size_t)packet[next].size,
                                           at_frame(heard, at), gap);
        *copies += made == (int)gap;
        if (!made)
            takt_decoder_conceal(d, at_frame(heard, at), gap);
        sum += error_of(at, gap);
        k += lost - 1;
    }
    takt_decoder_destroy(d);
    return sum;
}

static void opus_fec_recovers_lost_packets_better_than_concealment(void)
{
    static const uint32_t rates[] = {16000, 48000};
    for (int r = 0; r < 2; r++) {
        make_voice(rates[r]);
        for (uint32_t channels = 1; channels <= 2; channels++)
            for (uint32_t size = 4; size <= 8; size *= 2)
                for (int lost = 1; lost <= 2; lost++) {
                    struct takt_codec_format f =
                        format_of(TAKT_CODEC_OPUS, rates[r], channels, size * rates[r] / 400);
                    f.bit_rate = 40000 * channels;
                    f.fec = true;
                    f.loss_percent = 5; /* little enough for libopus to think of CELT */
                    struct takt_encoder *e = encoder_of(f);
                    struct takt_decoder *d = decoder_of(f);
                    int count =
                        encode_all(e, f.frames, f.rate_hz * 2 < LONG ? f.rate_hz * 2 : LONG);
                    for (int k = 0; k < count; k++)
                        decode_one(d, k, lossless, (uint32_t)k * f.frames, f.frames);
                    int copies = 0, none = 0;
                    double plc = error_behind_loss(f, count, lost, false, &none);
                    double fec = error_behind_loss(f, count, lost, true, &copies);
                    printf("# %u Hz %u ch %u frames, %d lost: error %.3f of concealment's, "
                           "%d copies of %d packets\n",
                           f.rate_hz, channels, f.frames, lost, fec / plc, copies, count);
                    CHECK(fec < (lost == 1 ? 0.4 : 0.8) * plc);
                    CHECK(none == 0 && copies > count / 10);
                    takt_encoder_destroy(e);
                    takt_decoder_destroy(d);
                }
    }
}

static void opus_without_copies_says_so_and_changes_nothing(void)
{
    make_voice(48000);
    for (int kind = 0; kind < 3; kind++) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 1, kind ? 960 : 240);
        f.bit_rate = 40000;
        f.fec = kind == 2; /* asked for, but no loss expected */
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f), *same = decoder_of(f);
        int count = encode_all(e, f.frames, 48000);
        for (int k = 0; k < count; k++) {
            mark(1);
            CHECK_INT(takt_decoder_decode_fec(d, packet[k].bytes, (size_t)packet[k].size,
                                              out_planes, f.frames),
                      0);
            CHECK(is_marked(0));
            decode_one(d, k, heard, 0, f.frames);
            decode_one(same, k, lossless, 0, f.frames);
            CHECK(!memcmp(heard[0], lossless[0], f.frames * sizeof(float)));
        }
        if (f.fec) { /* and with the loss the copies come */
            int copies = 0;
            CHECK_INT(takt_encoder_set_loss(e, 101), TAKT_ERR_ARG);
            CHECK_INT(takt_encoder_set_loss(e, 10), 0);
            count = encode_all(e, f.frames, 48000);
            for (int k = 0; k < count; k++) {
                copies += takt_decoder_decode_fec(d, packet[k].bytes, (size_t)packet[k].size,
                                                  out_planes, f.frames) == (int)f.frames;
                decode_one(d, k, heard, 0, f.frames);
            }
            CHECK(copies > count / 2);
            /* A copy of 20 ms is not cut to fit into 10. */
            CHECK_INT(takt_decoder_decode_fec(d, packet[count - 1].bytes,
                                              (size_t)packet[count - 1].size, out_planes, 480),
                      0);
        }
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
        takt_decoder_destroy(same);
    }
}

/* Left to itself libopus would take CELT for this, which has no copies. */
static void opus_fec_stays_at_a_high_bit_rate_and_a_low_loss(void)
{
    struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, 960);
    f.bit_rate = 192000;
    f.fec = true;
    f.loss_percent = 1;
    struct takt_encoder *e = encoder_of(f);
    struct takt_decoder *d = decoder_of(f);
    make_chord(48000);
    int count = encode_all(e, 960, LONG), copies = 0;
    for (int k = 0; k < count; k++) {
        copies += takt_decoder_decode_fec(d, packet[k].bytes, (size_t)packet[k].size, out_planes,
                                          960) == 960;
        decode_one(d, k, heard, 0, 960);
    }
    CHECK(copies > count / 4);
    takt_encoder_destroy(e);
    takt_decoder_destroy(d);
}

/* RFC 6716, table 2: SILK of narrow band, 10 to 60 ms; 4.2.3: the flags of a frame, highest bit
 * first, mono or the middle and then the side of stereo. */
static void opus_copy_is_found_by_its_flag_alone(void)
{
    static const struct {
        uint8_t kind, mid, side;
        int ms;
    } layout[] = {{0, 0x40, 0x10, 10}, {1, 0x40, 0x10, 20}, {2, 0x20, 0x04, 40}, {3, 0x10, 1, 60}};
    struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, 0);
    struct takt_decoder *d = decoder_of(f);
    struct takt_random r = takt_random_seed(11);
    for (int flags = 0; flags < 256; flags++)
        for (int i = 0; i < 4; i++)
            for (int stereo = 0; stereo < 2; stereo++) {
                for (int k = 2; k < 60; k++)
                    payload[k] = (uint8_t)takt_random_u64(&r);
                payload[0] = (uint8_t)(layout[i].kind << 3 | stereo << 2);
                payload[1] = (uint8_t)flags;
                bool has = flags & (layout[i].mid | (stereo ? layout[i].side : 0));
                uint32_t frames = 48 * (uint32_t)layout[i].ms;
                int want = has ? (int)frames : 0;
                CHECK_INT(takt_decoder_decode_fec(d, payload, 60, out_planes, frames), want);
                CHECK_INT(takt_decoder_decode_fec(d, payload, 2, out_planes, frames), 0);
                CHECK_INT(takt_decoder_decode_fec(d, payload, 1, out_planes, frames), 0);
            }
    /* libopus cannot go on from CELT (configuration 31) with a copy. */
    payload[1] = 0xff;
    again[0] = 31 << 3;
    memcpy(again + 1, payload + 1, 59);
    CHECK_INT(takt_decoder_decode(d, again, 60, out_planes, FRAMES), 960);
    CHECK_INT(takt_decoder_decode_fec(d, payload, 60, out_planes, 2880), 0);
    CHECK_INT(takt_decoder_decode(d, payload, 60, out_planes, FRAMES), 2880);
    CHECK_INT(takt_decoder_decode_fec(d, payload, 60, out_planes, 2880), 2880);
    CHECK_INT(takt_decoder_decode(d, again, 60, out_planes, FRAMES), 960);
    takt_decoder_reset(d);
    CHECK_INT(takt_decoder_decode_fec(d, payload, 60, out_planes, 2880), 2880);
    takt_decoder_destroy(d);
}

static void opus_gaps_are_whole_steps_of_2_5_ms(void)
{
    struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 1, 960);
    struct takt_encoder *e = encoder_of(f);
    struct takt_decoder *d;
    CHECK_INT(takt_decoder_create(&f, 1920, &d, NULL), 0);
    make_voice(48000);
    encode_all(e, 960, 960);
    size_t size = (size_t)packet[0].size;
    for (uint32_t frames = 0; frames < 6000; frames += 40) {
        bool is_well = frames && frames % 120 == 0 && frames <= 1920;
        mark(1);
        CHECK_INT(takt_decoder_conceal(d, out_planes, frames),
                  is_well ? (int)frames : TAKT_ERR_ARG);
        CHECK(is_marked(is_well ? frames : 0));
        CHECK_INT(takt_decoder_decode_fec(d, packet[0].bytes, size, out_planes, frames),
                  is_well ? 0 : TAKT_ERR_ARG);
    }
    CHECK_INT(takt_decoder_decode_fec(d, packet[0].bytes, 0, out_planes, 960), TAKT_ERR_FORMAT);
    takt_encoder_destroy(e);
    takt_decoder_destroy(d);
}

/* ---- Opus: what is hostile ------------------------------------------------------------------- */

static void opus_makes_do_with_any_room(void)
{
    struct takt_random r = takt_random_seed(7);
    make_voice(48000);
    for (uint32_t frames = 120; frames <= 960; frames *= 2) {
        struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, frames);
        f.bit_rate = 256000;
        CHECK_INT(takt_codec_bytes_max(&f), TAKT_OPUS_BYTES_MAX);
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f);
        CHECK_INT(takt_encoder_encode(e, in_planes, payload, 0), TAKT_ERR_FULL);
        for (uint32_t at = 0; at + frames < LONG / 4; at += frames) {
            size_t room = 1 + takt_random_below(&r, at % 3 ? 40 : 900);
            memset(payload, 0xa5, sizeof payload);
            int size =
                takt_encoder_encode(e, (const float *const *)at_frame(sound, at), payload, room);
            CHECK(size >= 1 && size <= (int)room && payload[room] == 0xa5);
            CHECK_INT(takt_decoder_decode(d, payload, (size_t)size, out_planes, FRAMES), frames);
        }
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
}

static bool is_sound(uint32_t channels, uint32_t frames)
{
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            if (!(fabsf(out[c][i]) <= TAKT_OPUS_MOST))
                return false;
    return true;
}

static void opus_survives_sound_that_is_none(void)
{
    struct takt_random r = takt_random_seed(8);
    for (uint32_t frames = 120; frames <= 960; frames *= 2)
        for (int fec = 0; fec < (frames >= 480 ? 2 : 1); fec++) {
            struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, frames);
            f.fec = fec;
            f.loss_percent = 10;
            struct takt_encoder *e = encoder_of(f);
            struct takt_decoder *d = decoder_of(f);
            for (int k = 0; k < 60; k++) {
                for (uint32_t i = 0; i < frames; i++) {
                    in[0][i] = any_float(&r);
                    in[1][i] = k % 3 ? any_float(&r) : NAN;
                }
                int size = takt_encoder_encode(e, in_planes, payload, PAYLOAD);
                CHECK(size > 0);
                CHECK_INT(takt_decoder_decode(d, payload, (size_t)size, out_planes, FRAMES),
                          frames);
                CHECK(is_sound(2, frames));
            }
            make_tone(48000, tones_hz, 0.25);
            int count = encode_all(e, frames, 48000);
            for (int k = 0; k < count; k++)
                decode_one(d, k, heard, (uint32_t)k * frames, frames);
            double behind;
            CHECK_NEAR(sine_of(heard[0], 24000, 48000, tones_hz[0], 48000, &behind), 0.25, 0.03);
            takt_encoder_destroy(e);
            takt_decoder_destroy(d);
        }
}

/* A few bits that are wrong may be any level; sound at full scale stays as it is. */
static void opus_of_damaged_packets_is_held_and_full_scale_is_not(void)
{
    enum { SIZE = 480 };
    struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 1, SIZE);
    struct takt_random r = takt_random_seed(19);
    float most_damaged = 0;
    make_tone(48000, tones_hz, 1);
    for (int turn = 0; turn < 20; turn++) {
        bool is_damaged = turn > 0;
        struct takt_encoder *e = encoder_of(f);
        struct takt_decoder *d = decoder_of(f);
        int count = encode_all(e, SIZE, 48000);
        float most = 0;
        for (int k = 0; k < count; k++) {
            size_t size = (size_t)packet[k].size;
            for (int change = 0; is_damaged && change < 3; change++)
                packet[k].bytes[takt_random_below(&r, size)] ^= (uint8_t)takt_random_u64(&r);
            int frames = takt_decoder_decode(d, packet[k].bytes, size, out_planes, FRAMES);
            if (frames < 0)
                continue;
            CHECK(is_sound(1, (uint32_t)frames));
            most = fmaxf(most, takt_peak(out[0], (size_t)frames));
        }
        CHECK(is_damaged || (most > 0.9f && most < 1.5f));
        most_damaged = fmaxf(most_damaged, most);
        takt_encoder_destroy(e);
        takt_decoder_destroy(d);
    }
    CHECK(most_damaged == TAKT_OPUS_MOST);
}

static void opus_bytes_of_any_kind_do_no_harm(void)
{
    struct takt_random r = takt_random_seed(9);
    make_voice(48000);
    for (uint32_t channels = 1; channels <= 2; channels++)
        for (int turn = 0; turn < 3; turn++) {
            struct takt_codec_format f =
                format_of(TAKT_CODEC_OPUS, 48000, channels, turn ? 960 : 240);
            f.fec = turn == 2;
            f.loss_percent = 20;
            f.bit_rate = 32000;
            struct takt_encoder *e = encoder_of(f);
            struct takt_decoder *d = decoder_of(f);
            int count = encode_all(e, f.frames, LONG), accepted = 0, refused = 0;
            for (int round = 0; round < ROUNDS(1500); round++) {
                int k = (int)takt_random_below(&r, (uint64_t)count);
                size_t size = (size_t)packet[k].size;
                memcpy(again, packet[k].bytes, size);
                if (round % 2) {
                    size = takt_random_below(&r, 64);
                    for (size_t i = 0; i < size; i++)
                        again[i] = (uint8_t)takt_random_u64(&r);
                }
                for (int change = round % 3; size && change > 0; change--)
                    again[takt_random_below(&r, size)] ^= (uint8_t)takt_random_u64(&r);
                if (round % 7 == 0)
                    size = takt_random_below(&r, size + 1);
                const uint8_t *bytes = edge_put(again, size);
                int frames = takt_codec_frames(&f, bytes, size);
                CHECK(frames == TAKT_ERR_FORMAT || (frames >= 120 && frames <= FRAMES));
                uint32_t gap = 120 * (1 + (uint32_t)takt_random_below(&r, 16));
                if (round % 5 == 0) {
                    int made = takt_decoder_decode_fec(d, bytes, size, out_planes, gap);
                    CHECK(made == (int)gap || made == 0 || (made == TAKT_ERR_FORMAT && frames < 0));
                    CHECK(made <= 0 || is_sound(channels, gap));
                }
                if (round % 11 == 0)
                    CHECK_INT(takt_decoder_conceal(d, out_planes, gap), gap);
                mark(channels);
                CHECK_INT(takt_decoder_decode(d, bytes, size, out_planes, FRAMES), frames);
                CHECK(is_marked(frames > 0 ? (uint32_t)frames : 0));
                CHECK(frames < 0 || is_sound(channels, (uint32_t)frames));
                accepted += frames > 0;
                refused += frames < 0;
            }
            CHECK(accepted > ROUNDS(1500) / 5 && refused > ROUNDS(1500) / 15);
            takt_encoder_destroy(e);
            takt_decoder_destroy(d);
        }
}

/* ---- Opus: its stack ------------------------------------------------------------------------- */

enum { STACK = 1 << 20, PAINT = 0x5b };

static struct takt_encoder *stack_encoder;
static struct takt_decoder *stack_decoder;
static uint32_t stack_frames;
static bool stack_hostile;

static void *work_encoding(void *arg)
{
    int size = 0;
    for (uint32_t at = 0; at + stack_frames <= 9600 && size >= 0; at += stack_frames)
        size = takt_encoder_encode(stack_encoder, (const float *const *)at_frame(sound, at),
                                   payload, TAKT_OPUS_BYTES_MAX);
    return arg;
}

static void *work_decoding(void *arg)
{
    for (uint32_t k = 0; (k + 2) * stack_frames <= 9600; k++) {
        if (k % 4 == 3 &&
            takt_decoder_decode_fec(stack_decoder, packet[k + 1].bytes, (size_t)packet[k + 1].size,
                                    out_planes, stack_frames) > 0)
            continue;
        if (k % 4 == 1)
            takt_decoder_conceal(stack_decoder, out_planes, stack_frames);
        else
            decode_one(stack_decoder, (int)k, heard, k * stack_frames, stack_frames);
    }
    struct takt_random r = takt_random_seed(stack_frames);
    for (int k = 0; k < 64 && stack_hostile;
         k++) { /* every kind and length of packet, with noise in it */
        for (int i = 0; i < 200; i++)
            again[i] = (uint8_t)takt_random_u64(&r);
        again[0] = (uint8_t)(k << 2 | (k % 3 == 2));
        takt_decoder_decode(stack_decoder, again, 200, out_planes, FRAMES);
        takt_decoder_conceal(stack_decoder, out_planes, FRAMES);
    }
    return arg;
}

static void *work_nothing(void *arg)
{
    return arg;
}

/* How much of a painted stack the work changes. */
static size_t stack_of(void *(*work)(void *))
{
    static _Alignas(4096) uint8_t stack[STACK];
    memset(stack, PAINT, sizeof stack);
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, sizeof stack);
    if (pthread_create(&thread, &attr, work, NULL))
        return STACK;
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    size_t at = 0;
    while (at < sizeof stack && stack[at] == PAINT)
        at++;
    return sizeof stack - at;
}

static void opus_takes_no_more_stack_than_its_header_says(void)
{
    size_t encoding = 0, decoding = 0, none = stack_of(work_nothing);
    make_voice(48000);
    for (int rate = 0; rate < 5; rate++)
        for (uint32_t size = 1; size <= 8; size *= 2)
            for (uint32_t bit_rate = 16000; bit_rate <= 256000; bit_rate *= 4) {
                uint32_t frames = size * opus_rates[rate] / 400;
                struct takt_codec_format f =
                    format_of(TAKT_CODEC_OPUS, opus_rates[rate], 2, frames);
                f.fec = size >= 4;
                f.loss_percent = bit_rate < 256000 ? 10 : 0;
                f.bit_rate = bit_rate;
                stack_encoder = encoder_of(f);
                stack_decoder = decoder_of(f);
                stack_frames = frames;
                stack_hostile = size == 4 && bit_rate == 16000;
                size_t used = stack_of(work_encoding);
                encoding = used > encoding ? used : encoding;
                encode_all(stack_encoder, frames, 9600);
                used = stack_of(work_decoding);
                decoding = used > decoding ? used : decoding;
                takt_encoder_destroy(stack_encoder);
                takt_decoder_destroy(stack_decoder);
            }
    printf("# to encode %zu bytes, to decode %zu\n", encoding - none, decoding - none);
    CHECK(encoding - none <= TAKT_OPUS_ENCODE_STACK_BYTES);
    CHECK(decoding - none <= TAKT_OPUS_DECODE_STACK_BYTES);
}

#else

static void opus_is_unsupported_where_it_is_not_built_in(void)
{
    struct takt_codec_format f = format_of(TAKT_CODEC_OPUS, 48000, 2, 960);
    struct takt_encoder *e = (void *)1;
    struct takt_decoder *d = (void *)1;
    struct takt_error error = {0};
    CHECK_INT(takt_codec_check(&f, &error), TAKT_ERR_UNSUPPORTED);
    CHECK(strstr(error.text, "libopus-dev"));
    CHECK_INT(takt_encoder_create(&f, &e, NULL), TAKT_ERR_UNSUPPORTED);
    CHECK_INT(takt_decoder_create(&f, FRAMES, &d, NULL), TAKT_ERR_UNSUPPORTED);
    CHECK(!e && !d);
    CHECK_INT(takt_codec_frames(&f, payload, 10), TAKT_ERR_UNSUPPORTED);
}

#endif

int main(void)
{
    point();
    RUN(names_are_those_of_sdp_in_any_case);
    RUN(each_format_that_there_is_not_is_refused_in_one_line);
    RUN(create_gives_all_back_when_memory_fails);
    RUN(pcm_is_interleaved_with_the_highest_byte_first);
    RUN(every_value_of_l16_and_many_of_l24_come_back_exactly);
    RUN(sound_of_16_and_24_bits_is_the_same_floats_behind);
    RUN(pcm_is_the_nearest_step_for_any_sound_channels_and_frames);
    RUN(dither_is_of_its_seed_and_its_error_knows_nothing_of_the_sound);
    RUN(pcm_of_part_of_a_frame_is_refused_and_nothing_written);
    RUN(floats_that_no_sound_has_do_not_leave_the_decoder);
#ifdef TAKT_HAVE_OPUS
    RUN(opus_tone_comes_back_at_its_level_and_delay);
    RUN(opus_bit_rate_is_kept);
    RUN(opus_mono_and_stereo_packets_play_on_either_decoder);
    RUN(opus_packets_of_any_length_up_to_120_ms_are_the_same_sound);
    RUN(opus_reset_is_as_new);
    RUN(opus_conceals_a_tone_without_getting_louder);
    RUN(opus_fec_recovers_lost_packets_better_than_concealment);
    RUN(opus_without_copies_says_so_and_changes_nothing);
    RUN(opus_fec_stays_at_a_high_bit_rate_and_a_low_loss);
    RUN(opus_copy_is_found_by_its_flag_alone);
    RUN(opus_gaps_are_whole_steps_of_2_5_ms);
    RUN(opus_makes_do_with_any_room);
    RUN(opus_survives_sound_that_is_none);
    RUN(opus_of_damaged_packets_is_held_and_full_scale_is_not);
    RUN(opus_bytes_of_any_kind_do_no_harm);
    RUN_UNLESS_SANITIZED(opus_takes_no_more_stack_than_its_header_says);
#else
    RUN(opus_is_unsupported_where_it_is_not_built_in);
#endif
    return tap_done();
}
