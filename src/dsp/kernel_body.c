/*
 * The kernels, in plain C: see dsp/body.h.
 *
 * Sums run in 32 lanes whose order is written here, not left to the compiler, so that every
 * version adds the same numbers in the same order and gives the same bits. 32 lanes are four
 * AVX2 registers: as many additions under way as hide the time that one takes. The lanes are
 * floats and are emptied into a double every PIECE samples, so that no lane adds more than 32
 * numbers.
 */
#include "dsp/body.h"

#include <math.h>

enum { LANES = 32, PIECE = 32 * LANES };

static void scale(float *out, const float *in, float gain, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * gain;
}

static void scale_ramp(float *out, const float *in, float from, float to, size_t n)
{
    float step = n ? (to - from) / (float)n : 0;
    int count = (int)n;
    TAKT_EACH
    for (int i = 0; i < count; i++)
        out[i] = in[i] * (from + step * (float)i);
}

static void mix(float *out, const float *in, float gain, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] += in[i] * gain;
}

static void clamp(float *out, const float *in, float limit, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++) {
        float x = in[i] == in[i] ? in[i] : 0;
        x = x > limit ? limit : x;
        out[i] = x < -limit ? -limit : x;
    }
}

static void multiply(float *out, const float *a, const float *b, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
}

static void power(float *out, const float *pairs, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] = pairs[2 * i] * pairs[2 * i] + pairs[2 * i + 1] * pairs[2 * i + 1];
}

static void magnitude(float *out, const float *pairs, size_t n)
{
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        out[i] = sqrtf(pairs[2 * i] * pairs[2 * i] + pairs[2 * i + 1] * pairs[2 * i + 1]);
}

/* Halves onto halves: five additions deep, where one after the other would be 32. The first two
 * fit in the registers that the lanes are in. */
static double add_lanes(const float *lanes)
{
    float quarter[LANES / 4];
    double half[LANES / 8];
    for (size_t k = 0; k < LANES / 4; k++)
        quarter[k] =
            (lanes[k] + lanes[k + LANES / 2]) + (lanes[k + LANES / 4] + lanes[k + LANES / 4 * 3]);
    for (size_t k = 0; k < LANES / 8; k++)
        half[k] = (double)quarter[k] + (double)quarter[k + LANES / 8];
    return (half[0] + half[2]) + (half[1] + half[3]);
}

/* What is left after the whole rows of lanes, filled up with zeros. Lanes are only ever indexed by
 * constants, which keeps them in registers. */
static void last_row(float *row, const float *x, size_t n)
{
    for (size_t k = 0; k < LANES; k++)
        row[k] = 0;
    memcpy(row, x, n * sizeof *x);
}

/* n <= PIECE. */
static double sum_piece(const float *x, size_t n)
{
    float lanes[LANES], row[LANES];
    for (size_t k = 0; k < LANES; k++)
        lanes[k] = 0;
    for (; n >= LANES; x += LANES, n -= LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += x[k];
    if (n) {
        last_row(row, x, n);
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += row[k];
    }
    return add_lanes(lanes);
}

static double sum_squares_piece(const float *x, size_t n)
{
    float lanes[LANES], row[LANES];
    for (size_t k = 0; k < LANES; k++)
        lanes[k] = 0;
    for (; n >= LANES; x += LANES, n -= LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += x[k] * x[k];
    if (n) {
        last_row(row, x, n);
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += row[k] * row[k];
    }
    return add_lanes(lanes);
}

static double sum(const float *x, size_t n)
{
    double sum = 0;
    for (; n > PIECE; x += PIECE, n -= PIECE)
        sum += sum_piece(x, PIECE);
    return sum + sum_piece(x, n);
}

static double sum_squares(const float *x, size_t n)
{
    double sum = 0;
    for (; n > PIECE; x += PIECE, n -= PIECE)
        sum += sum_squares_piece(x, PIECE);
    return sum + sum_squares_piece(x, n);
}

/* Floats without their sign are ordered as their bits are, and those of NaN lie above infinity's.
 * The largest integer needs no order of its own, so compilers vectorise it. */
static float peak(const float *x, size_t n)
{
    const int32_t infinity = 0x7f800000;
    int32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t bits = takt_bits(x[i]) & 0x7fffffff;
        bits = bits > infinity ? 0 : bits;
        most = bits > most ? bits : most;
    }
    return takt_from_bits(most);
}

static size_t count_above(const float *x, float limit, size_t n)
{
    size_t count = 0;
    while (n) {
        size_t piece = n < TAKT_COUNT_PIECE ? n : TAKT_COUNT_PIECE;
        int inner = 0;
        for (size_t i = 0; i < piece; i++)
            inner += fabsf(x[i]) >= limit;
        count += (size_t)inner;
        x += piece;
        n -= piece;
    }
    return count;
}

static void interleave(float *out, const float *const *in, uint32_t channels, size_t frames)
{
    if (channels == 2) {
        const float *left = in[0], *right = in[1];
        TAKT_EACH
        for (size_t i = 0; i < frames; i++) {
            out[2 * i] = left[i];
            out[2 * i + 1] = right[i];
        }
        return;
    }
    if (channels == 1 && frames) {
        memcpy(out, in[0], frames * sizeof *out);
        return;
    }
    for (uint32_t c = 0; c < channels; c++)
        for (size_t i = 0; i < frames; i++)
            out[i * channels + c] = in[c][i];
}

static void deinterleave(float *const *out, const float *in, uint32_t channels, size_t frames)
{
    if (channels == 2) {
        float *left = out[0], *right = out[1];
        TAKT_EACH
        for (size_t i = 0; i < frames; i++) {
            left[i] = in[2 * i];
            right[i] = in[2 * i + 1];
        }
        return;
    }
    if (channels == 1 && frames) {
        memcpy(out[0], in, frames * sizeof *in);
        return;
    }
    for (uint32_t c = 0; c < channels; c++)
        for (size_t i = 0; i < frames; i++)
            out[c][i] = in[i * channels + c];
}

static void cubic_row(float *row, const float *rows, float x, size_t n)
{
    const float *a = rows, *b = rows + n, *c = rows + 2 * n, *d = rows + 3 * n;
    TAKT_EACH
    for (size_t i = 0; i < n; i++)
        row[i] = ((d[i] * x + c[i]) * x + b[i]) * x + a[i];
}

/* Sums of products, in lanes for the same reason as above. */
typedef float takt_lanes __attribute__((vector_size(32)));
typedef float takt_half_lanes __attribute__((vector_size(16)));
typedef double takt_wide_lanes __attribute__((vector_size(32))); /* of half as many */

static inline takt_lanes lanes_at(const float *x)
{
    takt_lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline takt_wide_lanes wide_at(const float *x)
{
    takt_half_lanes v;
    memcpy(&v, x, sizeof v);
    return __builtin_convertvector(v, takt_wide_lanes);
}

static inline float sum_of_lanes(takt_lanes v)
{
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

static inline float sum_of_wide_lanes(takt_wide_lanes v)
{
    return (float)((v[0] + v[2]) + (v[1] + v[3]));
}

static inline takt_lanes cubic_at(const float *rows, takt_lanes x, size_t i, size_t n)
{
    return ((lanes_at(rows + 3 * n + i) * x + lanes_at(rows + 2 * n + i)) * x +
            lanes_at(rows + n + i)) *
               x +
           lanes_at(rows + i);
}

static float dot(const float *a, const float *b, size_t n)
{
    takt_lanes even = {0}, odd = {0};
    for (size_t i = 0; i < n; i += 16) {
        even += lanes_at(a + i) * lanes_at(b + i);
        odd += lanes_at(a + i + 8) * lanes_at(b + i + 8);
    }
    return sum_of_lanes(even + odd);
}

static float dot_best(const float *a, const float *b, size_t n)
{
    takt_wide_lanes sum[4] = {{0}};
    for (size_t i = 0; i < n; i += 16)
        for (size_t k = 0; k < 4; k++)
            sum[k] += wide_at(a + i + 4 * k) * wide_at(b + i + 4 * k);
    return sum_of_wide_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static inline float cubic_dot(const float *in, const float *rows, float x, size_t n)
{
    takt_lanes even = {0}, odd = {0}, all = {x, x, x, x, x, x, x, x};
    for (size_t i = 0; i < n; i += 16) {
        even += cubic_at(rows, all, i, n) * lanes_at(in + i);
        odd += cubic_at(rows, all, i + 8, n) * lanes_at(in + i + 8);
    }
    return sum_of_lanes(even + odd);
}

static inline float cubic_dot_best(const float *in, const float *rows, float x, size_t n)
{
    takt_wide_lanes sum[4] = {{0}};
    takt_lanes all = {x, x, x, x, x, x, x, x};
    for (size_t i = 0; i < n; i += 16) {
        float row[16];
        takt_lanes low = cubic_at(rows, all, i, n), high = cubic_at(rows, all, i + 8, n);
        memcpy(row, &low, sizeof low);
        memcpy(row + 8, &high, sizeof high);
        for (size_t k = 0; k < 4; k++)
            sum[k] += wide_at(row + 4 * k) * wide_at(in + i + 4 * k);
    }
    return sum_of_wide_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* On to the next frame out. Returns the rows of this one, and the way from them to the next. */
static inline const float *advance(struct takt_glide *g, size_t *window, float *x)
{
    const uint64_t one = UINT64_C(1) << TAKT_GLIDE_BITS;
    uint64_t place = g->fraction << g->phase_bits;
    *window = g->window;
    *x = (float)((double)(int64_t)(place & (one - 1)) / (double)one);
    g->fraction += g->step;
    g->window += (size_t)(g->fraction >> TAKT_GLIDE_BITS);
    g->fraction &= one - 1;
    g->step += (uint64_t)g->growth;
    return g->table + (size_t)(place >> TAKT_GLIDE_BITS) * 4 * g->taps;
}

static void glide(struct takt_glide *g, float *out, const float *in, size_t frames)
{
    size_t window;
    float x;
    for (size_t i = 0; i < frames; i++) {
        const float *rows = advance(g, &window, &x);
        out[i] = cubic_dot(in + window, rows, x, g->taps);
    }
}

static void glide_best(struct takt_glide *g, float *out, const float *in, size_t frames)
{
    size_t window;
    float x;
    for (size_t i = 0; i < frames; i++) {
        const float *rows = advance(g, &window, &x);
        out[i] = cubic_dot_best(in + window, rows, x, g->taps);
    }
}

const struct takt_kernels TAKT_OF_KIND(takt_kernels_) = {
    .scale = scale,
    .scale_ramp = scale_ramp,
    .mix = mix,
    .clamp = clamp,
    .multiply = multiply,
    .power = power,
    .magnitude = magnitude,
    .sum = sum,
    .sum_squares = sum_squares,
    .peak = peak,
    .count_above = count_above,
    .interleave = interleave,
    .deinterleave = deinterleave,
    .cubic_row = cubic_row,
    .dot = dot,
    .dot_best = dot_best,
    .glide = glide,
    .glide_best = glide_best,
};
