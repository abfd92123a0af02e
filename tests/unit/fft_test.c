/* The transform is the discrete Fourier transform, for every size, in every version, in bits that
 * all versions share; and the tapers are the curves that their names say. */
#include "base/random.h"
#include "dsp/version.h"
#include "fault.h"
#include "takt/fft.h"
#include "takt/taper.h"
#include "tap.h"

#include <complex.h>
#include <math.h>

enum { MAX = TAKT_FFT_SIZE_MAX, SLACK = 16 };

static const double pi = 3.14159265358979323846;
static float x[MAX + 2 + SLACK], bins[MAX + 2 + SLACK], back[MAX + 2 + SLACK];
static double complex want[MAX];

/* CMPLX, which clang's headers do not have. */
static double complex pair(double re, double im)
{
    const double parts[] = {re, im};
    double complex z;
    memcpy(&z, parts, sizeof z);
    return z;
}

/* The same in double precision, by the definition's own halves: even and odd samples. */
static void exact(double complex *out, const float *in, size_t n, size_t step)
{
    if (n == 1) {
        out[0] = (double)in[0];
        return;
    }
    exact(out, in, n / 2, 2 * step);
    exact(out + n / 2, in + step, n / 2, 2 * step);
    for (size_t k = 0; k < n / 2; k++) {
        double angle = 2 * pi * (double)k / (double)n;
        double complex a = out[k], b = out[k + n / 2] * pair(cos(angle), -sin(angle));
        out[k] = a + b;
        out[k + n / 2] = a - b;
    }
}

/* What exact() is worth: the definition itself. */
static double complex defined(const float *in, size_t n, size_t k)
{
    double complex sum = 0;
    for (size_t i = 0; i < n; i++) {
        double angle = 2 * pi * (double)(i * k % n) / (double)n;
        sum += (double)in[i] * pair(cos(angle), -sin(angle));
    }
    return sum;
}

static struct takt_fft *make(size_t size)
{
    struct takt_fft *f;
    struct takt_error e;
    if (takt_fft_create(&(struct takt_fft_cfg){.size = size}, &f, &e) < 0) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return f;
}

/* 0 noise, 1 a sine between two bins, 2 an impulse, 3 noise and a constant a thousand times it,
 * 4 everything at full scale. */
enum { SOUNDS = 5 };
static void fill(float *to, size_t n, int sound, struct takt_random *r)
{
    double bin = takt_random_unit(r) * (double)n / 2;
    for (size_t i = 0; i < n; i++) {
        double noise = 2 * takt_random_unit(r) - 1;
        to[i] = (float)(sound == 0   ? noise
                        : sound == 1 ? sin(2 * pi * bin * (double)i / (double)n)
                        : sound == 2 ? 0
                        : sound == 3 ? 1 + noise / 1000
                        : noise < 0  ? -1
                                     : 1);
    }
    if (sound == 2)
        to[takt_random_below(r, n)] = 1;
}

static double bin_at(const float *b, size_t k, double complex *z)
{
    *z = pair((double)b[2 * k], (double)b[2 * k + 1]);
    return cabs(*z);
}

static double power_of(const float *in, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)in[i] * (double)in[i];
    return sum;
}

static void the_reference_is_the_definition(void)
{
    struct takt_random r = takt_random_seed(1);
    for (size_t n = 64; n <= 1024; n *= 4) {
        fill(x, n, 0, &r);
        exact(want, x, n, 1);
        for (size_t k = 0; k < n; k += 7)
            CHECK_NEAR(cabs(want[k] - defined(x, n, k)), 0, 1e-11 * (double)n);
    }
}

/* The bounds are the header's. */
static void forward_is_as_near_to_the_definition_as_said(void)
{
    struct takt_random r = takt_random_seed(2);
    double worst_bin = 0, worst_rms = 0;
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= ROUNDS(MAX); n *= 2) {
        struct takt_fft *f = make(n);
        CHECK_INT(takt_fft_size(f), n);
        for (int sound = 0; sound < SOUNDS; sound++)
            for (int again = 0; again < (n < 8192 ? 4 : 1); again++) {
                size_t off = takt_random_below(&r, SLACK), off_bins = takt_random_below(&r, SLACK);
                double errors = 0, all = 0, complex_most = 0;
                fill(x + off, n, sound, &r);
                exact(want, x + off, n, 1);
                bins[off_bins + n + 2] = 77;
                takt_fft_forward(f, x + off, bins + off_bins);
                CHECK(bins[off_bins + n + 2] == 77);
                for (size_t k = 0; k <= n / 2; k++) {
                    double complex z;
                    bin_at(bins + off_bins, k, &z);
                    double error = cabs(z - want[k]);
                    complex_most = error > complex_most ? error : complex_most;
                    errors += error * error;
                    all += cabs(want[k]) * cabs(want[k]);
                }
                worst_bin = fmax(worst_bin, complex_most / sqrt((double)n * power_of(x + off, n)));
                worst_rms = fmax(worst_rms, sqrt(errors / all));
                CHECK(bins[off_bins + 1] == 0 && bins[off_bins + n + 1] == 0);
            }
        takt_fft_destroy(f);
    }
    printf("# error of a bin %.3g, root mean square %.3g\n", worst_bin, worst_rms);
    CHECK(worst_bin <= 1.5e-7);
    CHECK(worst_rms <= 2e-7);
}

/* An impulse at n is a bin that turns n times as it goes up; one at 0 is 1 everywhere, exactly. */
static void an_impulse_is_flat(void)
{
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2) {
        struct takt_fft *f = make(n);
        memset(x, 0, sizeof x);
        x[0] = 1;
        takt_fft_forward(f, x, bins);
        for (size_t k = 0; k <= n / 2; k++)
            CHECK(bins[2 * k] == 1 && bins[2 * k + 1] == 0);
        x[0] = 0;
        x[1] = 1;
        takt_fft_forward(f, x, bins);
        for (size_t k = 0; k <= n / 2; k++) {
            double angle = 2 * pi * (double)k / (double)n;
            CHECK_NEAR(bins[2 * k], cos(angle), 3e-7);
            CHECK_NEAR(bins[2 * k + 1], -sin(angle), 3e-7);
        }
        takt_fft_destroy(f);
    }
}

static void a_whole_number_of_turns_is_one_bin(void)
{
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= 4096; n *= 2) {
        struct takt_fft *f = make(n);
        for (size_t turns = 1; turns < n / 2; turns += 1 + turns / 2) {
            for (size_t i = 0; i < n; i++)
                x[i] = (float)cos(2 * pi * (double)(turns * i % n) / (double)n);
            takt_fft_forward(f, x, bins);
            for (size_t k = 0; k <= n / 2; k++) {
                CHECK_NEAR(bins[2 * k], k == turns ? (double)n / 2 : 0, 1e-7 * (double)n);
                CHECK_NEAR(bins[2 * k + 1], 0, 1e-7 * (double)n);
            }
        }
        takt_fft_destroy(f);
    }
}

static void a_sum_s_transform_is_the_sum_of_transforms(void)
{
    static float y[MAX], sum[MAX], y_bins[MAX + 2], sum_bins[MAX + 2];
    struct takt_random r = takt_random_seed(3);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2) {
        struct takt_fft *f = make(n);
        fill(x, n, 0, &r);
        fill(y, n, 1, &r);
        for (size_t i = 0; i < n; i++)
            sum[i] = 0.5f * x[i] - 2 * y[i];
        takt_fft_forward(f, x, bins);
        takt_fft_forward(f, y, y_bins);
        takt_fft_forward(f, sum, sum_bins);
        for (size_t i = 0; i < n + 2; i++)
            CHECK_NEAR(sum_bins[i], 0.5f * bins[i] - 2 * y_bins[i], 1e-6 * (double)n);
        takt_fft_destroy(f);
    }
}

/* Parseval: the power of the samples is that of the bins, those between 0 and size/2 twice. */
static void no_power_is_lost(void)
{
    struct takt_random r = takt_random_seed(4);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2)
        for (int sound = 0; sound < SOUNDS; sound++) {
            struct takt_fft *f = make(n);
            fill(x, n, sound, &r);
            takt_fft_forward(f, x, bins);
            double ends = power_of(bins, 2) + power_of(bins + n, 2);
            double power = (2 * power_of(bins, n + 2) - ends) / (double)n;
            CHECK_NEAR(power / power_of(x, n), 1, 1e-6);
            takt_fft_destroy(f);
        }
}

static void what_went_forward_comes_back(void)
{
    struct takt_random r = takt_random_seed(5);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2)
        for (int sound = 0; sound < SOUNDS; sound++) {
            struct takt_fft *f = make(n);
            size_t off = takt_random_below(&r, SLACK);
            double errors = 0;
            fill(x, n, sound, &r);
            takt_fft_forward(f, x, bins + off);
            bins[off + 1] = bins[off + n + 1] = NAN; /* are not looked at */
            back[off + n] = 77;
            takt_fft_inverse(f, bins + off, back + off);
            CHECK(back[off + n] == 77);
            for (size_t i = 0; i < n; i++) {
                double error = (double)back[off + i] - (double)x[i];
                CHECK(fabs(error) <= 2e-6);
                errors += error * error;
            }
            CHECK(sqrt(errors / power_of(x, n)) <= 4e-7);
            takt_fft_destroy(f);
        }
}

/* Not only after a forward one: any bins, against the definition. */
static void inverse_is_the_sum_of_the_bins(void)
{
    struct takt_random r = takt_random_seed(6);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= 4096; n *= 2) {
        struct takt_fft *f = make(n);
        for (int again = 0; again < 4; again++) {
            size_t k = takt_random_below(&r, n / 2 + 1);
            memset(bins, 0, sizeof bins);
            bins[2 * k] = 3;
            bins[2 * k + 1] = k % (n / 2) ? -4 : 0;
            takt_fft_inverse(f, bins, back);
            for (size_t i = 0; i < n; i++) {
                double angle = 2 * pi * (double)(i * k % n) / (double)n;
                double value = 3 * cos(angle) + (k % (n / 2) ? 4 * sin(angle) : 0);
                CHECK_NEAR(back[i], value * (k % (n / 2) ? 2 : 1) / (double)n, 5e-6 / (double)n);
            }
        }
        takt_fft_destroy(f);
    }
}

static void bins_may_lie_over_the_samples(void)
{
    struct takt_random r = takt_random_seed(7);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2) {
        struct takt_fft *f = make(n);
        fill(x, n, 0, &r);
        takt_fft_forward(f, x, bins);
        memcpy(back, x, n * sizeof *x);
        takt_fft_forward(f, back, back);
        CHECK(!memcmp(back, bins, (n + 2) * sizeof *x));
        takt_fft_inverse(f, bins, x);
        takt_fft_inverse(f, back, back);
        CHECK(!memcmp(back, x, n * sizeof *x));
        takt_fft_destroy(f);
    }
}

/* At any alignment, and one transform after the other, leaving nothing behind. */
static void every_version_gives_the_plain_bits(void)
{
    static float other[MAX + 2 + SLACK], out[MAX + 2 + SLACK];
    struct takt_random r = takt_random_seed(8);
    const struct takt_dsp_version *best = takt_dsp;
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= MAX; n *= 2) {
        struct takt_fft *f = make(n);
        for (int sound = 0; sound < SOUNDS; sound++) {
            fill(x, n, sound, &r);
            takt_dsp = takt_dsp_version(0);
            takt_fft_forward(f, x, bins);
            takt_fft_inverse(f, bins, back);
            for (int v = 0; takt_dsp_version(v); v++) {
                size_t off = takt_random_below(&r, SLACK), to = takt_random_below(&r, SLACK);
                takt_dsp = takt_dsp_version(v);
                memcpy(other + off, x, n * sizeof *x);
                takt_fft_forward(f, other + off, out + to);
                CHECK(!memcmp(out + to, bins, (n + 2) * sizeof *x));
                takt_fft_inverse(f, out + to, other + off);
                CHECK(!memcmp(other + off, back, n * sizeof *x));
            }
        }
        takt_dsp = best;
        takt_fft_destroy(f);
    }
}

/* Infinity spoils all bins, but not the transform behind it. */
static void what_is_not_a_number_does_not_stay(void)
{
    struct takt_random r = takt_random_seed(9);
    for (size_t n = TAKT_FFT_SIZE_MIN; n <= 4096; n *= 2) {
        struct takt_fft *f = make(n);
        fill(x, n, 0, &r);
        takt_fft_forward(f, x, bins);
        for (size_t i = 0; i < n; i++)
            back[i] = i & 1 ? NAN : INFINITY;
        takt_fft_forward(f, back, back);
        CHECK(isnan(back[2 * (n / 4)]));
        takt_fft_inverse(f, back, back);
        takt_fft_forward(f, x, back);
        CHECK(!memcmp(back, bins, (n + 2) * sizeof *x));
        takt_fft_destroy(f);
    }
}

static void sizes_that_are_none_are_refused(void)
{
    struct takt_fft *f;
    struct takt_error e;
    const size_t wrong[] = {1, 2, 32, 63, 65, 96, 1000, 65535, 131072, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        f = (struct takt_fft *)x;
        CHECK_INT(takt_fft_create(&(struct takt_fft_cfg){.size = wrong[i]}, &f, &e), TAKT_ERR_ARG);
        CHECK(!f && strstr(e.text, "power of two"));
    }
    CHECK_INT(takt_fft_create(&(struct takt_fft_cfg){0}, &f, &e), 0);
    CHECK_INT(takt_fft_size(f), 2048);
    takt_fft_destroy(f);
    takt_fft_destroy(NULL);
}

static void create_gives_back_what_it_had_when_memory_ends(void)
{
    bool happened = true;
    for (int n = 1; happened; n++) {
        struct takt_fft *f = (struct takt_fft *)x;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int err = takt_fft_create(&(struct takt_fft_cfg){.size = 256}, &f, &e);
        happened = fault_happened();
        fault_at(0);
        CHECK_INT(err, happened ? TAKT_ERR_NOMEM : 0);
        CHECK(happened == !f);
        takt_fft_destroy(f);
        CHECK_INT(fault_held(), before);
    }
}

/* ---- Tapers ---- */

static void tapers_have_their_published_figures(void)
{
    static const struct {
        enum takt_taper kind;
        double shape, gain, enbw, edge;
    } table[] = {
        {TAKT_TAPER_HANN, 0, 0.5, 1.5, 0},
        {TAKT_TAPER_HAMMING, 0, 0.54, 1.3628, 0.08},
        {TAKT_TAPER_BLACKMAN, 0, 0.42, 1.7268, 0},
        {TAKT_TAPER_BLACKMAN_HARRIS, 0, 0.35875, 2.0044, 0.00006},
        {TAKT_TAPER_FLAT_TOP, 0, 0.21557895, 3.7702, -0.000421051},
        {TAKT_TAPER_KAISER, 0, 0.4025, 1.80, 0.000614},                      /* Harris, alpha 3 */
        {TAKT_TAPER_KAISER, 2 * 3.14159265358979323846, 0.49, 1.50, 0.0115}, /* alpha 2 */
        {TAKT_TAPER_GAUSS, 0.4, 0.4951, 1.4463, 0.04394},                    /* Harris, alpha 2.5 */
        {TAKT_TAPER_GAUSS, 1 / 3.5, 0.36, 1.98, 0.002187}, /* alpha 3.5: 0.37, 1.90 */
        {TAKT_TAPER_RECT, 0, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct takt_taper_facts facts;
        struct takt_taper_cfg cfg = {table[i].kind, table[i].shape};
        CHECK_INT(takt_taper_fill(&cfg, x, 4096, &facts), 0);
        printf("# %s %g: gain %.6f enbw %.5f edge %.6f\n", takt_taper_name(cfg.kind), cfg.shape,
               facts.gain, facts.enbw_bins, (double)x[0]);
        CHECK_NEAR(facts.gain, table[i].gain, 0.01);
        CHECK_NEAR(facts.enbw_bins, table[i].enbw, table[i].enbw * 0.005);
        CHECK_NEAR(x[0], table[i].edge, 1e-5 + fabs(table[i].edge) * 0.01);
        CHECK_NEAR(facts.power, power_of(x, 4096) / 4096, 1e-12);
    }
}

static void tapers_are_periodic_and_even(void)
{
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++)
        for (size_t n = 2; n <= 512; n += 1 + n / 3) {
            CHECK_INT(
                takt_taper_fill(&(struct takt_taper_cfg){(enum takt_taper)kind, 0}, x, n, NULL), 0);
            for (size_t i = 1; i < n; i++)
                CHECK_NEAR(x[i], x[n - i], 1e-7);
            if (n % 2 == 0)
                CHECK_NEAR(x[n / 2], 1, 1e-7);
        }
}

/* A Hann taper of hops of a quarter adds up to 2, so sound can be taken apart and put together. */
static void hann_adds_up_to_a_constant(void)
{
    CHECK_INT(takt_taper_fill(&(struct takt_taper_cfg){0}, x, 1024, NULL), 0);
    for (size_t i = 0; i < 256; i++)
        CHECK_NEAR(x[i] + x[i + 256] + x[i + 512] + x[i + 768], 2, 1e-6);
}

/* How much a sine between two bins reads low, and how far down all is 12 bins beside it. */
static void tapers_leak_as_little_as_the_header_says(void)
{
    static const struct {
        enum takt_taper kind;
        double low_db, side_db;
    } table[] = {
        {TAKT_TAPER_HANN, 1.42, -31.4},     {TAKT_TAPER_HAMMING, 1.75, -42.6},
        {TAKT_TAPER_BLACKMAN, 1.10, -58.1}, {TAKT_TAPER_BLACKMAN_HARRIS, 0.83, -92.0},
        {TAKT_TAPER_FLAT_TOP, 0.01, -93.0}, {TAKT_TAPER_KAISER, 1.02, -69.6},
        {TAKT_TAPER_RECT, 3.92, -13.2},
    };
    enum { N = 256, PADDED = 16384, FINE = PADDED / N };
    struct takt_fft *f = make(PADDED);
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        double complex z;
        memset(x, 0, sizeof x);
        CHECK_INT(takt_taper_fill(&(struct takt_taper_cfg){table[t].kind, 0}, x, N, NULL), 0);
        takt_fft_forward(f, x, bins);
        double top = bin_at(bins, 0, &z), most = 0;
        double low = -20 * log10(bin_at(bins, FINE / 2, &z) / top);
        size_t k = table[t].kind == TAKT_TAPER_FLAT_TOP ? 4 * FINE : 1; /* past its ripple */
        while (bin_at(bins, k, &z) > bin_at(bins, k + 1, &z))
            k++;
        for (; k <= PADDED / 2; k++)
            most = fmax(most, bin_at(bins, k, &z));
        printf("# %s: %.2f dB low, side lobes %.1f dB\n", takt_taper_name(table[t].kind), low,
               20 * log10(most / top));
        CHECK_NEAR(low, table[t].low_db, 0.02);
        CHECK_NEAR(20 * log10(most / top), table[t].side_db, 0.6);
    }
    takt_fft_destroy(f);
}

static void tapers_that_are_none_are_refused(void)
{
    struct takt_taper_facts facts = {7, 7, 7};
    const struct takt_taper_cfg wrong[] = {{(enum takt_taper)8, 0},
                                           {(enum takt_taper) - 1, 0},
                                           {TAKT_TAPER_KAISER, -1},
                                           {TAKT_TAPER_KAISER, 51},
                                           {TAKT_TAPER_KAISER, (double)NAN},
                                           {TAKT_TAPER_GAUSS, 0.01},
                                           {TAKT_TAPER_GAUSS, (double)INFINITY}};
    x[0] = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_INT(takt_taper_fill(&wrong[i], x, 64, &facts), TAKT_ERR_ARG);
    CHECK_INT(takt_taper_fill(&(struct takt_taper_cfg){0}, x, 1, &facts), TAKT_ERR_ARG);
    CHECK(x[0] == 7 && facts.gain == 7);
    CHECK(!takt_taper_name((enum takt_taper)8) && !takt_taper_name((enum takt_taper) - 1));
    CHECK(!strcmp(takt_taper_name(TAKT_TAPER_BLACKMAN_HARRIS), "blackman-harris"));
}

int main(void)
{
    RUN(the_reference_is_the_definition);
    RUN(forward_is_as_near_to_the_definition_as_said);
    RUN(an_impulse_is_flat);
    RUN(a_whole_number_of_turns_is_one_bin);
    RUN(a_sum_s_transform_is_the_sum_of_transforms);
    RUN(no_power_is_lost);
    RUN(what_went_forward_comes_back);
    RUN(inverse_is_the_sum_of_the_bins);
    RUN(bins_may_lie_over_the_samples);
    RUN(every_version_gives_the_plain_bits);
    RUN(what_is_not_a_number_does_not_stay);
    RUN(sizes_that_are_none_are_refused);
    RUN(create_gives_back_what_it_had_when_memory_ends);
    RUN(tapers_have_their_published_figures);
    RUN(tapers_are_periodic_and_even);
    RUN(hann_adds_up_to_a_constant);
    RUN(tapers_leak_as_little_as_the_header_says);
    RUN(tapers_that_are_none_are_refused);
    return tap_done();
}
