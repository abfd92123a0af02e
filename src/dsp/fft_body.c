/*
 * The Fourier transform of 8 lanes: see dsp/fft.h for the way it goes, and dsp/body.h.
 *
 * The passes down the lanes are Stockham's (Cochran et al. 1967): each reads one place and writes
 * the other in an order that leaves nothing to be sorted. All lanes do the same, so no number ever
 * changes its lane there. The pass across the lanes turns blocks of lines on their side, and is a
 * DFT of 8 then between vectors.
 *
 * The inverse transform is the forward one with the real and imaginary parts exchanged before and
 * behind it. A vector is a line's parts or half of them, as the processor has it: either way the
 * same operations are done in the same order, and the bits are the same.
 */
#include "dsp/body.h"
#include "dsp/fft.h"

/* gcc takes vectors of 8 apart through memory where there are none: three times slower. */
#if defined __AVX2__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif

typedef float takt_lanes __attribute__((vector_size(4 * WIDE)));

/* One complex number a lane. */
struct line {
    takt_lanes re, im;
};

#if defined __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#if !defined SHUFFLE
typedef int takt_lane_numbers __attribute__((vector_size(4 * WIDE)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (takt_lane_numbers){__VA_ARGS__})
#endif

#define INLINE static inline __attribute__((always_inline))

/* ---- Vectors ----------------------------------------------------------------------------------
 */

INLINE takt_lanes get(const float *x)
{
    takt_lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void put(float *x, takt_lanes v)
{
    memcpy(x, &v, sizeof v);
}

INLINE struct line get_line(const float *x)
{
    return (struct line){get(x), get(x + TAKT_FFT_LANES)};
}

INLINE void put_line(float *x, struct line v)
{
    put(x, v.re);
    put(x + TAKT_FFT_LANES, v.im);
}

#if defined __AVX2__

INLINE takt_lanes all(float x)
{
    return (takt_lanes){x, x, x, x, x, x, x, x};
}

INLINE takt_lanes reversed(takt_lanes v)
{
    return SHUFFLE(v, v, 7, 6, 5, 4, 3, 2, 1, 0);
}

/* From re, im, re, im…, and back: all of them, or the first four. */
INLINE struct line get_pairs(const float *x)
{
    takt_lanes low = get(x), high = get(x + WIDE);
    return (struct line){SHUFFLE(low, high, 0, 2, 4, 6, 8, 10, 12, 14),
                         SHUFFLE(low, high, 1, 3, 5, 7, 9, 11, 13, 15)};
}

INLINE void put_pairs(float *x, takt_lanes re, takt_lanes im, const size_t valid)
{
    put(x, SHUFFLE(re, im, 0, 8, 1, 9, 2, 10, 3, 11));
    if (valid == WIDE)
        put(x + WIDE, SHUFFLE(re, im, 4, 12, 5, 13, 6, 14, 7, 15));
}

/* v[lane][i] is x[i * TAKT_FFT_LINE + lane]. */
INLINE void get_turned(takt_lanes *v, const float *x)
{
    takt_lanes t[8], u[8];
    for (size_t i = 0; i < 8; i += 2) {
        takt_lanes a = get(x + i * TAKT_FFT_LINE), b = get(x + (i + 1) * TAKT_FFT_LINE);
        t[i] = SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 1] = SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (size_t i = 0; i < 8; i += 4)
        for (size_t k = 0; k < 2; k++) {
            u[i + 2 * k] = SHUFFLE(t[i + k], t[i + 2 + k], 0, 1, 8, 9, 4, 5, 12, 13);
            u[i + 2 * k + 1] = SHUFFLE(t[i + k], t[i + 2 + k], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (size_t i = 0; i < 4; i++) {
        v[i] = SHUFFLE(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        v[i + 4] = SHUFFLE(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#else

INLINE takt_lanes all(float x)
{
    return (takt_lanes){x, x, x, x};
}

INLINE takt_lanes reversed(takt_lanes v)
{
    return SHUFFLE(v, v, 3, 2, 1, 0);
}

INLINE struct line get_pairs(const float *x)
{
    takt_lanes low = get(x), high = get(x + WIDE);
    return (struct line){SHUFFLE(low, high, 0, 2, 4, 6), SHUFFLE(low, high, 1, 3, 5, 7)};
}

INLINE void put_pairs(float *x, takt_lanes re, takt_lanes im, const size_t valid)
{
    put(x, SHUFFLE(re, im, 0, 4, 1, 5));
    put(x + WIDE, SHUFFLE(re, im, 2, 6, 3, 7));
}

INLINE void get_turned(takt_lanes *v, const float *x)
{
    for (size_t half = 0; half < 8; half += 4, x += 4) {
        takt_lanes a = get(x), b = get(x + TAKT_FFT_LINE);
        takt_lanes c = get(x + 2 * TAKT_FFT_LINE), d = get(x + 3 * TAKT_FFT_LINE);
        takt_lanes ab = SHUFFLE(a, b, 0, 4, 1, 5), ab_high = SHUFFLE(a, b, 2, 6, 3, 7);
        takt_lanes cd = SHUFFLE(c, d, 0, 4, 1, 5), cd_high = SHUFFLE(c, d, 2, 6, 3, 7);
        v[half] = SHUFFLE(ab, cd, 0, 1, 4, 5);
        v[half + 1] = SHUFFLE(ab, cd, 2, 3, 6, 7);
        v[half + 2] = SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
        v[half + 3] = SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
    }
}

#endif

/* ---- Complex numbers ---------------------------------------------------------------------------
 */

INLINE struct line add(struct line a, struct line b)
{
    return (struct line){a.re + b.re, a.im + b.im};
}

INLINE struct line sub(struct line a, struct line b)
{
    return (struct line){a.re - b.re, a.im - b.im};
}

/* a - ib, a + ib */
INLINE struct line sub_i(struct line a, struct line b)
{
    return (struct line){a.re + b.im, a.im - b.re};
}

INLINE struct line add_i(struct line a, struct line b)
{
    return (struct line){a.re - b.im, a.im + b.re};
}

INLINE struct line times(struct line a, struct line w)
{
    return (struct line){a.re * w.re - a.im * w.im, a.re * w.im + a.im * w.re};
}

INLINE void dft4(struct line *y, struct line a, struct line b, struct line c, struct line d)
{
    struct line sum = add(a, c), difference = sub(a, c);
    struct line sum_odd = add(b, d), difference_odd = sub(b, d);
    y[0] = add(sum, sum_odd);
    y[1] = sub_i(difference, difference_odd);
    y[2] = sub(sum, sum_odd);
    y[3] = add_i(difference, difference_odd);
}

/* In place. */
INLINE void dft8(struct line *x)
{
    const takt_lanes half_root = all(0.70710678118654752f);
    struct line even[4], odd[4];
    dft4(even, x[0], x[2], x[4], x[6]);
    dft4(odd, x[1], x[3], x[5], x[7]);
    struct line o1 = {(odd[1].re + odd[1].im) * half_root, (odd[1].im - odd[1].re) * half_root};
    struct line o3 = {(odd[3].im - odd[3].re) * half_root, (odd[3].re + odd[3].im) * half_root};
    x[0] = add(even[0], odd[0]);
    x[4] = sub(even[0], odd[0]);
    x[1] = add(even[1], o1);
    x[5] = sub(even[1], o1);
    x[2] = sub_i(even[2], odd[2]);
    x[6] = add_i(even[2], odd[2]);
    x[3] = (struct line){even[3].re + o3.re, even[3].im - o3.im};
    x[7] = (struct line){even[3].re - o3.re, even[3].im + o3.im};
}

/* ---- Down the lanes ----------------------------------------------------------------------------
 */

/* How numbers lie in memory: in lines, in pairs, or all real parts and then all imaginary ones. */
enum layout { LINES, PAIRS, PARTS };

/* Line i from lane `lane` on. */
INLINE struct line fetch(const float *in, enum layout layout, size_t parts, size_t i, size_t lane)
{
    if (layout == PAIRS)
        return get_pairs(in + i * TAKT_FFT_LINE + 2 * lane);
    if (layout == PARTS) {
        in += i * TAKT_FFT_LANES + lane;
        return (struct line){get(in), get(in + parts)};
    }
    return get_line(in + i * TAKT_FFT_LINE + lane);
}

/* In each lane, one DFT of `radix` numbers that lie `apart` lines from one another, beginning with
 * line `at`, to numbers `stride` lines from one another. w: the radix - 1 factors, or NULL for
 * all 1.
 */
INLINE void butterfly(float *out, size_t stride, const float *in, enum layout layout, size_t parts,
                      size_t at, size_t apart, const size_t radix, const float *w)
{
    for (size_t lane = 0; lane < TAKT_FFT_LANES; lane += WIDE, out += WIDE) {
        struct line x[8];
        for (size_t k = 0; k < radix; k++)
            x[k] = fetch(in, layout, parts, at + k * apart, lane);
        if (radix == 4)
            dft4(x, x[0], x[1], x[2], x[3]);
        else
            dft8(x);
        put_line(out, x[0]);
        for (size_t k = 1; k < radix; k++) {
            if (w)
                x[k] = times(x[k], (struct line){all(w[2 * k - 2]), all(w[2 * k - 1])});
            put_line(out + k * stride * TAKT_FFT_LINE, x[k]);
        }
    }
}

INLINE void first_pass(const struct takt_fft_pass *p, float *out, const float *in,
                       enum layout layout, size_t parts, const size_t radix)
{
    const float *w = p->w;
    for (size_t i = 0; i < p->count; i++, w += 2 * radix - 2)
        butterfly(out + i * radix * TAKT_FFT_LINE, 1, in, layout, parts, i, p->count, radix, w);
}

INLINE void later_pass(const struct takt_fft_pass *p, float *out, const float *in,
                       const size_t radix)
{
    const size_t stride = p->stride, apart = p->count * stride;
    const float *w = p->w;
    for (size_t q = 0; q < stride; q++)
        butterfly(out + q * TAKT_FFT_LINE, stride, in, LINES, 0, q, apart, radix, NULL);
    for (size_t i = 1; i < p->count; i++) {
        w += 2 * radix - 2;
        out += radix * stride * TAKT_FFT_LINE;
        for (size_t q = 0; q < stride; q++)
            butterfly(out + q * TAKT_FFT_LINE, stride, in, LINES, 0, i * stride + q, apart, radix,
                      w);
    }
}

/* All of them. The first reads `in`, of that layout, and writes `to`; returns which of the plan's
 * places the last wrote to. */
INLINE float *down(const struct takt_fft_plan *plan, float *to, float *other, const float *in,
                   enum layout layout, size_t parts)
{
    if (plan->pass[0].radix == 4)
        first_pass(&plan->pass[0], to, in, layout, parts, 4);
    else
        first_pass(&plan->pass[0], to, in, layout, parts, 8);
    for (int i = 1; i < plan->passes; i++) {
        float *from = to;
        to = other;
        other = from;
        if (plan->pass[i].radix == 4)
            later_pass(&plan->pass[i], to, from, 4);
        else
            later_pass(&plan->pass[i], to, from, 8);
    }
    return to;
}

/* ---- Across the lanes --------------------------------------------------------------------------
 */

/* Number k + lines * j is the sum over the lanes of w(8)^(lane * j) * w(M)^(lane * k) * what the
 * lane holds at line k. Does WIDE lines at a time, of which `valid` are there: all, or 4. */
INLINE void block_across(float *out, enum layout layout, size_t parts, const float *in,
                         const float *w, size_t k, size_t lines, const size_t valid)
{
    takt_lanes re[8], im[8];
    struct line x[8];
    get_turned(re, in + k * TAKT_FFT_LINE);
    get_turned(im, in + k * TAKT_FFT_LINE + TAKT_FFT_LANES);
    x[0] = (struct line){re[0], im[0]};
    for (size_t lane = 1; lane < 8; lane++)
        x[lane] =
            times((struct line){re[lane], im[lane]}, get_line(w + (lane - 1) * TAKT_FFT_LINE));
    dft8(x);
    for (size_t j = 0; j < 8; j++) {
        size_t at = k + lines * j;
        if (layout == PARTS && valid == WIDE) {
            put(out + at, x[j].re);
            put(out + parts + at, x[j].im);
        } else if (layout == PARTS) { /* copies, or compilers would keep all of x in memory */
            takt_lanes some_re = x[j].re, some_im = x[j].im;
            memcpy(out + at, &some_re, valid * sizeof *out);
            memcpy(out + parts + at, &some_im, valid * sizeof *out);
        } else { /* exchanged: only the inverse wants pairs */
            put_pairs(out + 2 * at, x[j].im, x[j].re, valid);
        }
    }
}

INLINE void across(const struct takt_fft_plan *plan, float *out, enum layout layout, size_t parts,
                   const float *in)
{
    const float *w = plan->across;
    if (plan->lines < WIDE) {
        block_across(out, layout, parts, in, w, 0, plan->lines, 4);
        return;
    }
    for (size_t k = 0; k < plan->lines; k += TAKT_FFT_LANES, w += 7 * TAKT_FFT_LINE)
        for (size_t half = 0; half < TAKT_FFT_LANES && k + half < plan->lines; half += WIDE)
            block_across(out, layout, parts, in, w + half, k + half, plan->lines, WIDE);
}

/* ---- Two spectra in one ------------------------------------------------------------------------
 */

/* Where the factors of k begin. */
INLINE const float *half_of(const float *lines, size_t k)
{
    return lines + k / TAKT_FFT_LANES * TAKT_FFT_LINE + k % TAKT_FFT_LANES;
}

/* With Z the spectrum of the pairs, a = Z[k] and b = Z[M - k] conjugated: bin k is
 * (a + b)/2 - i/2 * w(N)^k * (a - b), and bin M - k is the same with the second sign changed, and
 * conjugated. Z[M] is Z[0]. */
INLINE void to_bins(const struct takt_fft_plan *plan, float *bins, float *re, float *im)
{
    const size_t m = plan->size / 2;
    const takt_lanes half = all(0.5f);
    re[m] = re[0];
    im[m] = im[0];
    for (size_t k = 0; k < m / 2; k += WIDE) {
        const size_t mirror = m + 1 - WIDE - k;
        struct line w = get_line(half_of(plan->apart, k));
        takt_lanes a_re = get(re + k), a_im = get(im + k);
        takt_lanes b_re = reversed(get(re + mirror)), b_im = reversed(get(im + mirror));
        struct line sum = {(a_re + b_re) * half, (a_im - b_im) * half};
        struct line turned = times((struct line){a_re - b_re, a_im + b_im}, w);
        put_pairs(bins + 2 * k, sum.re + turned.re, sum.im + turned.im, WIDE);
        put_pairs(bins + 2 * mirror, reversed(sum.re - turned.re), reversed(turned.im - sum.im),
                  WIDE);
    }
    bins[m] = re[m / 2];
    bins[m + 1] = -im[m / 2];
}

/* The way back, with all that scales: Z[k] is (a + b)/N + 2/N * conj(-i/2 * w(N)^k) * (a - b). */
INLINE void from_bins(const struct takt_fft_plan *plan, float *re, float *im, const float *bins)
{
    const size_t m = plan->size / 2;
    const float scale = 1 / (float)plan->size;
    for (size_t k = 0; k < m / 2; k += WIDE) {
        const size_t mirror = m + 1 - WIDE - k;
        struct line w = get_line(half_of(plan->apart, k));
        struct line a = get_pairs(bins + 2 * k), b = get_pairs(bins + 2 * mirror);
        b.re = reversed(b.re);
        b.im = reversed(b.im);
        struct line sum = {(a.re + b.re) * all(scale), (a.im - b.im) * all(scale)};
        struct line turned =
            times((struct line){(a.re - b.re) * all(2 * scale), (a.im + b.im) * all(2 * scale)},
                  (struct line){w.re, -w.im});
        put(re + k, sum.re + turned.re);
        put(im + k, sum.im + turned.im);
        put(re + mirror, reversed(sum.re - turned.re));
        put(im + mirror, reversed(turned.im - sum.im));
    }
    re[0] = (bins[0] + bins[2 * m]) * scale; /* these two bins are real, whatever they say */
    im[0] = (bins[0] - bins[2 * m]) * scale;
    re[m / 2] = 2 * bins[m] * scale;
    im[m / 2] = -2 * bins[m + 1] * scale;
}

/* ---- Both ways ---------------------------------------------------------------------------------
 */

static void forward(const struct takt_fft_plan *plan, float *bins, const float *x)
{
    const size_t parts = plan->size / 2 + TAKT_FFT_APART;
    float *from = down(plan, plan->a, plan->b, x, PAIRS, 0);
    float *whole = from == plan->a ? plan->b : plan->a;
    across(plan, whole, PARTS, parts, from);
    to_bins(plan, bins, whole, whole + parts);
}

static void inverse(const struct takt_fft_plan *plan, float *x, const float *bins)
{
    const size_t parts = plan->size / 2 + TAKT_FFT_APART;
    from_bins(plan, plan->a + parts, plan->a, bins); /* exchanged */
    across(plan, x, PAIRS, 0, down(plan, plan->b, plan->a, plan->a, PARTS, parts));
}

const struct takt_transforms TAKT_OF_KIND(takt_transforms_) = {
    .forward = forward,
    .inverse = inverse,
};
