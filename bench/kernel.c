/*
 * What each kernel and each conversion costs for 256 samples in the nearest cache.
 *
 * The floor is memcpy of the same floats. Beside it stand the same kernel in its plain version and,
 * where there is one, the loop that one would write without thinking (built with the usual -O2).
 * All take turns in one run; figures are medians over the turns, ratios medians of each turn's
 * ratio.
 */
#include "takt/kernel.h"
#include "bench.h"
#include "dsp/version.h"
#include "takt/format.h"
#include "takt/level.h"

#include <math.h>
#include <string.h>

enum { N = 256, CHANNELS = 2, TURNS = 301, CALLS = 200 };

static float in[N], out[N], stereo[CHANNELS * N];
static float *const planes[CHANNELS] = {in, out};
static unsigned char packed[CHANNELS * N * 4];
static struct takt_encode_state coder;
static struct takt_level *level;
static volatile double result;

static void naive_sum_squares(void)
{
    float sum = 0;
    for (int i = 0; i < N; i++)
        sum += in[i] * in[i];
    result = (double)sum;
}

static void naive_peak(void)
{
    float most = 0;
    for (int i = 0; i < N; i++)
        most = fmaxf(most, fabsf(in[i]));
    result = (double)most;
}

static void naive_encode_s16(void)
{
    for (int i = 0; i < N; i++) {
        long x = lrintf(in[i] * 32768);
        ((int16_t *)packed)[i] = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
    }
}

/* name, the call, the loop one would write or NULL */
#define CASES(X)                                                                                   \
    X(copy, takt_copy(out, in, N), NULL)                                                           \
    X(scale, takt_scale(out, in, 0.8f, N), NULL)                                                   \
    X(scale_in_place, takt_scale(in, in, -1, N), NULL)                                             \
    X(scale_ramp, takt_scale_ramp(out, in, 0.2f, 0.9f, N), NULL)                                   \
    X(mix, takt_mix(out, in, 1e-6f, N), NULL)                                                      \
    X(clamp, takt_clamp(out, in, 0.5f, N), NULL)                                                   \
    X(multiply, takt_multiply(out, in, in, N), NULL)                                               \
    X(power, takt_power(out, stereo, N), NULL)                                                     \
    X(magnitude, takt_magnitude(out, stereo, N), NULL)                                             \
    X(sum, result = takt_sum(in, N), NULL)                                                         \
    X(sum_squares, result = takt_sum_squares(in, N), naive_sum_squares)                            \
    X(peak, result = (double)takt_peak(in, N), naive_peak)                                         \
    X(count_above, result = (double)takt_count_above(in, 1, N), NULL)                              \
    X(interleave_2, takt_interleave(stereo, (const float *const *)planes, 2, N), NULL)             \
    X(deinterleave_2, takt_deinterleave(planes, stereo, 2, N), NULL)                               \
    X(decode_s16, takt_decode(out, packed, TAKT_S16, 1, N), NULL)                                  \
    X(decode_s16_of_2, takt_decode(out, packed, TAKT_S16, 2, N), NULL)                             \
    X(decode_s24, takt_decode(out, packed, TAKT_S24, 1, N), NULL)                                  \
    X(decode_s32, takt_decode(out, packed, TAKT_S32, 1, N), NULL)                                  \
    X(decode_u8, takt_decode(out, packed, TAKT_U8, 1, N), NULL)                                    \
    X(encode_f32, takt_encode(packed, TAKT_F32, 1, in, N, &coder), NULL)                           \
    X(encode_s16, takt_encode(packed, TAKT_S16, 1, in, N, &coder), naive_encode_s16)               \
    X(encode_s16_of_2, takt_encode(packed, TAKT_S16, 2, in, N, &coder), NULL)                      \
    X(encode_s24, takt_encode(packed, TAKT_S24, 1, in, N, &coder), NULL)                           \
    X(encode_s32, takt_encode(packed, TAKT_S32, 1, in, N, &coder), NULL)                           \
    X(encode_u8, takt_encode(packed, TAKT_U8, 1, in, N, &coder), NULL)                             \
    X(encode_s16_dithered, encode_dithered(TAKT_S16), NULL)                                        \
    X(encode_s24_dithered, encode_dithered(TAKT_S24), NULL)                                        \
    X(level_update, takt_level_update(level, (const float *[]){in}, N), NULL)

static void encode_dithered(enum takt_sample format)
{
    static struct takt_encode_state dithered = {.dither = TAKT_DITHER_TPDF, .chance = 1};
    takt_encode(packed, format, 1, in, N, &dithered);
}

#define FUNCTION(name, call, naive)                                                                \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        call;                                                                                      \
    }
CASES(FUNCTION)

/* A length that is not known, or the compiler would copy in its own way. */
static void run_memcpy(void)
{
    static volatile size_t bytes = sizeof in;
    memcpy(out, in, bytes);
}

#define ROW(name, call, naive) {#name, run_##name, naive},
static const struct {
    const char *name;
    void (*run)(void), (*naive)(void);
} cases[] = {CASES(ROW)};

enum { CASE_COUNT = sizeof cases / sizeof *cases };

/* ns a call, with a version of the kernels; 0 for no function. */
static double time_calls(void (*run)(void), const struct takt_dsp_version *version)
{
    void (*volatile call)(void) = run;
    if (!run)
        return 0;
    takt_dsp = version;
    call();
    int64_t before = bench_now_ns();
    for (int i = 0; i < CALLS; i++) {
        call();
        bench_barrier();
    }
    return (double)(bench_now_ns() - before) / CALLS;
}

static void fill(void)
{
    for (int i = 0; i < N; i++)
        in[i] = out[i] = 0.9f * (float)sin(i * 0.1);
    takt_interleave(stereo, (const float *const *)planes, 2, N);
    takt_encode_init(&coder, TAKT_DITHER_OFF, TAKT_CLIP_INTEGERS, 1);
}

int main(void)
{
    static double fast[CASE_COUNT][TURNS], plain[CASE_COUNT][TURNS], naive[CASE_COUNT][TURNS];
    static double floor_ns[TURNS], to_floor[CASE_COUNT][TURNS], to_plain[CASE_COUNT][TURNS];
    const struct takt_dsp_version *best = takt_dsp;
    struct takt_error e;
    long long steal = bench_steal_ticks();
    if (takt_level_create(&(struct takt_level_cfg){.channels = 1}, &level, &e) < 0)
        return takt_die(&e);
    for (int t = 0; t < TURNS; t++) {
        fill();
        floor_ns[t] = time_calls(run_memcpy, best);
        for (int c = 0; c < CASE_COUNT; c++) {
            fast[c][t] = time_calls(cases[c].run, best);
            plain[c][t] = time_calls(cases[c].run, takt_dsp_version(0));
            naive[c][t] = time_calls(cases[c].naive, best);
            to_floor[c][t] = fast[c][t] / floor_ns[t];
            to_plain[c][t] = fast[c][t] / plain[c][t];
        }
    }
    double memcpy_ns = bench_median(floor_ns, TURNS);
    for (int c = 0; c < CASE_COUNT; c++) {
        printf("{\"bench\":\"kernel\",\"kernel\":\"%s\",\"version\":\"%s\",\"samples\":%d,"
               "\"ns\":%.1f,\"plain_ns\":%.1f,\"memcpy_ns\":%.1f,\"ratio_to_memcpy\":%.2f,"
               "\"ratio_to_plain\":%.2f",
               cases[c].name, best->name, N, bench_median(fast[c], TURNS),
               bench_median(plain[c], TURNS), memcpy_ns, bench_median(to_floor[c], TURNS),
               bench_median(to_plain[c], TURNS));
        if (cases[c].naive)
            printf(",\"naive_ns\":%.1f", bench_median(naive[c], TURNS));
        printf("}\n");
    }
    printf("{\"bench\":\"kernel\",\"turns\":%d,\"steal_ticks\":%lld}\n", TURNS,
           bench_steal_ticks() - steal);
    takt_level_destroy(level);
    return 0;
}
