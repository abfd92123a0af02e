/* Sample formats: every integer there and back, rounding, saturation, dither, any stride. */
#include "base/random.h"
#include "dsp/version.h"
#include "takt/format.h"
#include "tap.h"

#include <math.h>

static struct takt_encode_state plain(void)
{
    struct takt_encode_state st;
    takt_encode_init(&st, TAKT_DITHER_OFF, TAKT_CLIP_INTEGERS, 1);
    return st;
}

/* Decodes and encodes `count` integers that begin at `first`. */
static bool survive(enum takt_sample format, int64_t first, int64_t count)
{
    enum { PIECE = 4096 };
    static unsigned char bytes[PIECE * 4], back[PIECE * 4];
    static float floats[PIECE];
    size_t size = takt_sample_bytes(format);
    struct takt_encode_state st = plain();
    for (int64_t at = 0; at < count; at += PIECE) {
        for (int i = 0; i < PIECE; i++) {
            int32_t x = (int32_t)(first + at + i);
            memcpy(bytes + (size_t)i * size, &x, size); /* little end first */
        }
        takt_decode(floats, bytes, format, 1, PIECE);
        takt_encode(back, format, 1, floats, PIECE, &st);
        if (memcmp(bytes, back, PIECE * size) != 0)
            return false;
    }
    return st.clipped == 0;
}

static void every_integer_comes_back(void)
{
    CHECK(survive(TAKT_S16, -32768, 65536));
    CHECK(survive(TAKT_S24, -8388608, 16777216));
    enum { ALL_BYTES = 256 };
    unsigned char bytes[ALL_BYTES], back[ALL_BYTES];
    float floats[ALL_BYTES];
    for (int i = 0; i < ALL_BYTES; i++)
        bytes[i] = (unsigned char)i;
    struct takt_encode_state st = plain();
    takt_decode(floats, bytes, TAKT_U8, 1, ALL_BYTES);
    takt_encode(back, TAKT_U8, 1, floats, ALL_BYTES, &st);
    CHECK(!memcmp(bytes, back, sizeof bytes));
    CHECK(floats[128] == 0 && floats[0] == -1);
}

/* A float has 24 bits: what fits in them comes back whole. */
static void s32_keeps_what_a_float_holds(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int i = 0; i < 100000; i++) {
        int32_t x = (int32_t)(uint32_t)takt_random_u64(&r), back;
        float f, g;
        struct takt_encode_state st = plain();
        takt_decode(&f, &x, TAKT_S32, 1, 1);
        takt_encode(&back, TAKT_S32, 1, &f, 1, &st);
        takt_decode(&g, &back, TAKT_S32, 1, 1);
        CHECK(f == g);
        CHECK(fabs((double)back - (double)x) <= 128);
    }
}

static void rounding_is_to_the_nearest_even_and_saturates(void)
{
    const struct {
        float in;
        int16_t want;
    } cases[] = {{0, 0},
                 {0.5f / 32768, 0},
                 {1.5f / 32768, 2},
                 {2.5f / 32768, 2},
                 {-0.5f / 32768, 0},
                 {-1.5f / 32768, -2},
                 {1.49f / 32768, 1},
                 {1, 32767},
                 {-1, -32768},
                 {2, 32767},
                 {-2, -32768},
                 {1e30f, 32767},
                 {-1e30f, -32768},
                 {INFINITY, 32767},
                 {-INFINITY, -32768},
                 {NAN, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int16_t got;
        struct takt_encode_state st = plain();
        takt_encode(&got, TAKT_S16, 1, &cases[i].in, 1, &st);
        CHECK_INT(got, cases[i].want);
    }
}

static void samples_out_of_range_are_counted(void)
{
    const float x[] = {0.5f, 1.1f, -1.1f, -1, 32767.0f / 32768, 1e9f, NAN};
    int16_t out[7];
    struct takt_encode_state st = plain();
    takt_encode(out, TAKT_S16, 1, x, 7, &st);
    CHECK_INT(st.clipped, 3);
    float held[7];
    struct takt_encode_state all;
    takt_encode_init(&all, TAKT_DITHER_OFF, TAKT_CLIP_ALL, 1);
    takt_encode(held, TAKT_F32, 1, x, 7, &all);
    CHECK_INT(all.clipped, 3);
    CHECK(held[1] == 1 && held[2] == -1 && held[6] == 0);
    st = plain();
    takt_encode(held, TAKT_F32, 1, x, 7, &st);
    CHECK(held[1] == 1.1f && held[5] == 1e9f);
}

/* One channel of interleaved frames is moved, and nothing else is touched. */
static void stride_moves_one_channel_of_many(void)
{
    struct takt_random r = takt_random_seed(9);
    for (int format = TAKT_F32; format <= TAKT_U8; format++)
        for (size_t channels = 1; channels <= 5; channels++)
            for (size_t n = 0; n < 150; n += 7) {
                size_t size = takt_sample_bytes((enum takt_sample)format);
                unsigned char frames[150 * 5 * 4], before[sizeof frames];
                float in[150], out[150];
                struct takt_encode_state st = plain();
                memset(frames, 0xa5, sizeof frames);
                memcpy(before, frames, sizeof frames);
                for (size_t i = 0; i < n; i++)
                    in[i] = (float)((double)(int)takt_random_below(&r, 255) - 127) / 128;
                size_t c = takt_random_below(&r, channels);
                takt_encode(frames + c * size, (enum takt_sample)format, channels, in, n, &st);
                takt_decode(out, frames + c * size, (enum takt_sample)format, channels, n);
                CHECK(!memcmp(in, out, n * sizeof *in));
                for (size_t b = 0; b < sizeof frames; b++) {
                    bool ours = b / size % channels == c && b / size / channels < n;
                    CHECK(ours || frames[b] == before[b]);
                }
            }
}

/* The definition, in plain doubles: scale, round to the nearest even, hold within the range. */
static int32_t rounded(enum takt_sample format, float x)
{
    double scale = ldexp(1, (int)takt_sample_bytes(format) * 8 - 1);
    double y = isnan(x) ? 0 : rint((double)x * scale);
    return (int32_t)(y > scale - 1 ? scale - 1 : y < -scale ? -scale : y);
}

static int32_t read_integer(enum takt_sample format, const unsigned char *bytes)
{
    if (format == TAKT_U8)
        return bytes[0] - 128;
    uint32_t x = 0;
    size_t size = takt_sample_bytes(format);
    for (size_t b = 0; b < size; b++)
        x |= (uint32_t)bytes[b] << (8 * (4 - size + b));
    return (int32_t)x >> (8 * (4 - size));
}

/* Floats of every size, and those around every half step, up to the ends of the range. */
static float any_float(enum takt_sample format, struct takt_random *r)
{
    double scale = ldexp(1, (int)takt_sample_bytes(format) * 8 - 1);
    uint64_t kind = takt_random_below(r, 4);
    uint32_t bits = (uint32_t)takt_random_u64(r);
    float x;
    memcpy(&x, &bits, sizeof x); /* any bits at all, NaN among them */
    if (kind == 1)
        x = (float)(2.2 * takt_random_unit(r) - 1.1);
    if (kind == 2)
        x = (float)((floor((2 * takt_random_unit(r) - 1) * scale) + 0.5) / scale);
    if (kind == 3) { /* around both ends: half steps, and the floats next to them */
        double steps = ((double)takt_random_below(r, 13) - 6) / 2;
        double end = takt_random_below(r, 2) ? 1 : -1;
        x = (float)(end + steps / scale);
        x = takt_random_below(r, 2) ? x : nextafterf(x, takt_random_below(r, 2) ? 2.0f : -2.0f);
    }
    return x;
}

static void every_float_goes_to_its_nearest_integer(void)
{
    enum { N = 400, ROUNDS = 500 };
    struct takt_random r = takt_random_seed(21);
    for (int f = TAKT_S16; f <= TAKT_U8; f++)
        for (int round = 0; round < ROUNDS; round++) {
            enum takt_sample format = (enum takt_sample)f;
            float in[N];
            unsigned char out[N * 4];
            struct takt_encode_state st = plain();
            uint64_t outside = 0;
            size_t n = takt_random_below(&r, N + 1);
            double scale = ldexp(1, (int)takt_sample_bytes(format) * 8 - 1);
            for (size_t i = 0; i < n; i++) {
                in[i] = any_float(format, &r);
                double y = (double)in[i] * scale;
                outside += y > scale - 0.5 || y < -scale - 0.5;
            }
            takt_encode(out, format, 1, in, n, &st);
            for (size_t i = 0; i < n; i++)
                CHECK_INT(read_integer(format, out + i * takt_sample_bytes(format)),
                          rounded(format, in[i]));
            CHECK_INT(st.clipped, outside);
        }
}

/* Every version of every converter, for any length and alignment, gives the plain one's bytes. */
static void every_version_gives_the_plain_bits(void)
{
    enum { N = 256, ROOM = 5 * 4 * (N + 8) };
    const struct takt_converters *plain_one = takt_dsp_version(0)->converters;
    static unsigned char bytes[ROOM], want[ROOM], got[ROOM];
    static float in[N + 8], floats[2][N];
    static int32_t ints[2][N];
    struct takt_random r = takt_random_seed(22);
    for (int v = 0; takt_dsp_version(v); v++)
        for (size_t n = 0; n <= N; n++)
            for (int f = TAKT_SAMPLE_DEFAULT; f <= TAKT_U8; f++) {
                const struct takt_converters *k = takt_dsp_version(v)->converters;
                size_t stride = 1 + takt_random_below(&r, 5), at = takt_random_below(&r, 8);
                uint32_t key = (uint32_t)takt_random_u64(&r), first = (uint32_t)takt_random_u64(&r);
                float scale = f == TAKT_U8 ? 0x1p7f : f == TAKT_S16 ? 0x1p15f : 0x1p23f;
                for (size_t i = 0; i < ROOM; i++)
                    bytes[i] = want[i] = got[i] = (unsigned char)takt_random_u64(&r);
                for (size_t i = 0; i < N + 8; i++)
                    in[i] = any_float(TAKT_S16, &r);
                plain_one->decode[f](floats[0], (char *)bytes + at, stride, n);
                k->decode[f](floats[1], (char *)bytes + at, stride, n);
                CHECK(!memcmp(floats[0], floats[1], n * sizeof **floats));
                plain_one->round(ints[0], in + at, scale, n);
                k->round(ints[1], in + at, scale, n);
                CHECK(!memcmp(ints[0], ints[1], n * sizeof **ints));
                plain_one->round_s32(ints[0], in + at, n);
                k->round_s32(ints[1], in + at, n);
                CHECK(!memcmp(ints[0], ints[1], n * sizeof **ints));
                plain_one->round_dithered(ints[0], in + at, scale, key, first, n);
                k->round_dithered(ints[1], in + at, scale, key, first, n);
                CHECK(!memcmp(ints[0], ints[1], n * sizeof **ints));
                plain_one->store[f]((char *)want + at, stride, ints[0], n);
                k->store[f]((char *)got + at, stride, ints[0], n);
                CHECK(!memcmp(want, got, ROOM)); /* and nothing in between is touched */
                CHECK_INT(plain_one->count_outside(in + at, -1, 0.5f, n),
                          k->count_outside(in + at, -1, 0.5f, n));
            }
}

/* Mean and variance of the error of n samples that all are x, in steps. */
static void error_of(enum takt_sample format, float x, uint64_t seed, double *mean,
                     double *variance)
{
    enum { N = 200000, PIECE = 1000 };
    static float in[PIECE];
    static unsigned char out[PIECE * 4];
    struct takt_encode_state st;
    double scale = ldexp(1, (int)takt_sample_bytes(format) * 8 - 1), sum = 0, squares = 0;
    for (int i = 0; i < PIECE; i++)
        in[i] = x;
    takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, seed);
    for (int at = 0; at < N; at += PIECE) {
        takt_encode(out, format, 1, in, PIECE, &st);
        for (int i = 0; i < PIECE; i++) {
            double e =
                read_integer(format, out + i * takt_sample_bytes(format)) - (double)x * scale;
            sum += e;
            squares += e * e;
        }
    }
    *mean = sum / N;
    *variance = squares / N - *mean * *mean;
}

/* TPDF: whatever the signal, between the steps or on them, near silence or near full scale, the
 * error's mean is 0 and its variance 1/4 step². Five standard errors are allowed. */
static void dither_makes_the_error_independent_of_the_signal(void)
{
    const enum takt_sample formats[] = {TAKT_U8, TAKT_S16, TAKT_S24};
    const double parts[] = {0, 1e-5, 0.01, -0.4, 0.9};
    for (size_t f = 0; f < 3; f++)
        for (size_t p = 0; p < 5; p++)
            for (int tenth = 0; tenth < 10; tenth++) {
                double scale = ldexp(1, (int)takt_sample_bytes(formats[f]) * 8 - 1), mean, variance;
                float x = (float)((floor(parts[p] * scale) + tenth / 10.0) / scale);
                error_of(formats[f], x, 100 * f + 10 * p + (uint64_t)tenth, &mean, &variance);
                CHECK_NEAR(mean, 0, 5 * 0.5 / sqrt(200000));
                CHECK_NEAR(variance, 0.25, 5 * 0.35 / sqrt(200000));
            }
}

/* The dither itself, seen at a signal on a step: no sample's error follows that of one before it,
 * or that of a channel with the next seed. */
static void dither_is_uncorrelated_in_time_and_between_channels(void)
{
    enum { N = 1 << 16, LAGS = 200 };
    static float in[N];
    static int16_t out[4][N];
    for (int c = 0; c < 4; c++) {
        struct takt_encode_state st;
        takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, (uint64_t)c);
        takt_encode(out[c], TAKT_S16, 1, in, N, &st);
    }
    for (int c = 0; c < 4; c++)
        for (int lag = 0; lag < LAGS; lag++) {
            double same = 0, other = 0;
            for (int i = 0; i + lag < N; i++) {
                same += out[c][i] * out[c][i + lag];
                other += out[c][i] * out[(c + 1) % 4][i + lag];
            }
            /* Of 1600 such sums one beyond 5 standard errors is a chance of one in a thousand. */
            CHECK_NEAR(other / N, 0, 5 * 0.25 / sqrt(N));
            CHECK_NEAR(same / N, lag ? 0 : 0.25, 5 * 0.25 / sqrt(N) + (lag ? 0 : 0.01));
        }
}

static void dither_replays_from_its_seed_whatever_the_cut(void)
{
    float in[1000];
    int16_t a[1000], b[1000];
    for (int i = 0; i < 1000; i++)
        in[i] = (float)sin(i * 0.1) * 0.3f;
    struct takt_encode_state st;
    takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 5);
    takt_encode(a, TAKT_S16, 1, in, 1000, &st);
    for (size_t cut = 1; cut < 700; cut += 1 + cut / 2) {
        takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 5);
        for (size_t at = 0; at < 1000; at += cut)
            takt_encode(b + at, TAKT_S16, 1, in + at, at + cut < 1000 ? cut : 1000 - at, &st);
        CHECK(!memcmp(a, b, sizeof a));
    }
    takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 6);
    takt_encode(b, TAKT_S16, 1, in, 1000, &st);
    CHECK(memcmp(a, b, sizeof a) != 0);
}

/* Dither never carries a sample over the end of the range, and does not count as clipping. */
static void dither_stays_within_the_range(void)
{
    enum { N = 2000 };
    static float top[N], bottom[N];
    static int16_t out[N];
    struct takt_encode_state st;
    for (int i = 0; i < N; i++) {
        top[i] = 32767.0f / 32768;
        bottom[i] = -1;
    }
    takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 7);
    takt_encode(out, TAKT_S16, 1, top, N, &st);
    for (int i = 0; i < N; i++)
        CHECK(out[i] >= 32766);
    takt_encode(out, TAKT_S16, 1, bottom, N, &st);
    for (int i = 0; i < N; i++)
        CHECK(out[i] <= -32767);
    CHECK_INT(st.clipped, 0);
}

static void unknown_formats_do_nothing(void)
{
    char bytes[4] = {1, 2, 3, 4};
    float x = 7;
    struct takt_encode_state st = plain();
    takt_encode(bytes, (enum takt_sample)99, 1, &x, 1, &st);
    takt_decode(&x, bytes, (enum takt_sample)99, 1, 1);
    CHECK(bytes[0] == 1 && x == 7);
    CHECK_INT(takt_sample_bytes((enum takt_sample)99), 0);
    CHECK(!strcmp(takt_sample_name((enum takt_sample)99), "unknown"));
}

static void names_lead_there_and_back(void)
{
    for (int f = TAKT_F32; f <= TAKT_U8; f++)
        CHECK_INT(takt_sample_from_name(takt_sample_name((enum takt_sample)f)), f);
    CHECK_INT(takt_sample_from_name("s17"), TAKT_SAMPLE_DEFAULT);
    CHECK_INT(takt_sample_from_name("default"), TAKT_SAMPLE_DEFAULT);
    CHECK_INT(takt_sample_bytes(TAKT_SAMPLE_DEFAULT), 4);
    CHECK_INT(takt_sample_bytes(TAKT_S24), 3);
}

int main(void)
{
    RUN(every_integer_comes_back);
    RUN(s32_keeps_what_a_float_holds);
    RUN(rounding_is_to_the_nearest_even_and_saturates);
    RUN(samples_out_of_range_are_counted);
    RUN(stride_moves_one_channel_of_many);
    RUN(every_float_goes_to_its_nearest_integer);
    RUN(every_version_gives_the_plain_bits);
    RUN(dither_makes_the_error_independent_of_the_signal);
    RUN(dither_replays_from_its_seed_whatever_the_cut);
    RUN(dither_is_uncorrelated_in_time_and_between_channels);
    RUN(dither_stays_within_the_range);
    RUN(unknown_formats_do_nothing);
    RUN(names_lead_there_and_back);
    return tap_done();
}
