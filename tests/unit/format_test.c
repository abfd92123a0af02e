/* Sample formats: every integer there and back, rounding, saturation, dither, any stride. */
#include "base/random.h"
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

/* TPDF: the error's mean and variance do not follow the signal (mean 0, variance 1/4 step²). */
static void dither_makes_the_error_independent_of_the_signal(void)
{
    enum { N = 200000 };
    for (int level = 0; level < 5; level++) {
        struct takt_encode_state st;
        takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 11);
        double x = 1000 + level / 5.0, sum = 0, squares = 0;
        float in = (float)(x / 32768);
        for (int i = 0; i < N; i++) {
            int16_t out;
            takt_encode(&out, TAKT_S16, 1, &in, 1, &st);
            double error = out - (double)in * 32768;
            sum += error;
            squares += error * error;
        }
        CHECK_NEAR(sum / N, 0, 0.01);
        CHECK_NEAR(squares / N, 0.25, 0.01);
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
    takt_encode_init(&st, TAKT_DITHER_TPDF, TAKT_CLIP_INTEGERS, 5);
    for (size_t at = 0; at < 1000; at += 37)
        takt_encode(b + at, TAKT_S16, 1, in + at, at + 37 < 1000 ? 37 : 1000 - at, &st);
    CHECK(!memcmp(a, b, sizeof a));
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
    RUN(dither_makes_the_error_independent_of_the_signal);
    RUN(dither_replays_from_its_seed_whatever_the_cut);
    RUN(names_lead_there_and_back);
    return tap_done();
}
