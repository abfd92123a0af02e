/*
 * Each hop of 10 ms the last 30 ms are windowed (Hann), padded and transformed. Bins from 80 to
 * 4000 Hz are kept, which every rate has, and the noise under each of them is tracked by controlled
 * averaging over its minima (Cohen & Berdugo, "Noise estimation by minima controlled recursive
 * averaging", IEEE SPL 2002). On this rest
 *
 *     the a-posteriori SNR of 17 bands about a critical band wide (Sohn, Kim & Sung, "A statistical
 *     model-based voice activity detection", IEEE SPL 1999, has the ratio per bin),
 *     the harmonicity: the autocorrelation at 75..400 Hz of what stands out of the noise, over the
 *     window's own (Boersma, "Accurate short-term analysis…", IFA 1993), as a share of everything,
 *     flatness of the bands' powers and of their SNRs,
 *     how much the bands' levels vary over 300 ms (Ghosh, Tsiartas & Narayanan, "Robust voice
 *     activity detection using long-term signal variability", IEEE TASLP 2011) and over 50 ms,
 *     how much of the window's energy lies in one millisecond, which tells clicks.
 *
 * Powers are per bin, so that white noise of one level has the same power at every rate.
 *
 * Invariants: fill < due between calls; hops end at floor(k * rate / 100) frames from the last
 * reset; all powers are finite and above 0.
 */
#include "analysis/vad_front.h"

#include "base/fail.h"
#include "base/touched.h"
#include "takt/fft.h"
#include "takt/kernel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOPS_PER_S = 100,
    MINIMA = 8,        /* pieces of the sliding minimum */
    MINIMUM_HOPS = 25, /* each so long: 2 s in all */
    PAST = 30,         /* hops over which the variability is taken */
    SLICES = 10,       /* of a hop, 1 ms each */
    WINDOW_HOPS = 3,
    FLAT_HOPS = 5
};

static const double edges_hz[VAD_BANDS + 1] = {80,   160,  240,  330,  430,  540,
                                               660,  790,  930,  1080, 1270, 1480,
                                               1720, 2000, 2350, 2800, 3350, 4000};
static const double pitch_low_hz = 75, pitch_high_hz = 400;
/* Per hop: 1 dB a second, and 2 s. */
#define LOUDEST_FALL  (1.0 / 3.0103 / HOPS_PER_S)
#define USUAL_FOLLOWS (0.5 / HOPS_PER_S)
/* The minimum of a smoothed power over 2 s lies so far below its mean, for noise. */
static const float minimum_bias = 2.2f;

struct takt_vad_front {
    uint32_t rate_hz, window, size;
    uint32_t first, last;         /* bins */
    uint32_t edge[VAD_BANDS + 1]; /* bins */
    uint32_t lag_low, lag_high;
    struct takt_fft *fft;
    float *shape;  /* [window], of unit power */
    float *own;    /* [lag_high + 1], 1 / the window's autocorrelation */
    float *past;   /* [window], of which the last due - fill are still to come */
    float *padded; /* [size] */
    float *bins;   /* [size + 2] */
    float *power, *smooth, *noise, *presence; /* [last - first] */
    float *minimum;                           /* [MINIMA][last - first] */
    float *least;                             /* [last - first], of all pieces */
    float floor;                              /* power per bin */
    /* Where in the stream. */
    uint64_t hop; /* the next hop's number */
    uint32_t fill, due;
    /* What has been. */
    bool has_noise, has_loudness;
    uint32_t piece, piece_hops;
    float level[PAST][VAD_BANDS]; /* log2 of the bands' powers */
    uint32_t levels;
    float slice[WINDOW_HOPS][SLICES];
    float lately[VAD_FEATURES];
    double loudest, usual; /* log2 of the power: falling slowly; smoothed */
};

static uint64_t hop_end(const struct takt_vad_front *f, uint64_t hop)
{
    return (hop + 1) * f->rate_hz / HOPS_PER_S;
}

static uint32_t bins_of(const struct takt_vad_front *f)
{
    return f->last - f->first;
}

/* ---- Create ------------------------------------------------------------------------------------
 */

static float *floats(size_t count)
{
    return takt_calloc_touched(count, sizeof(float));
}

static void make_shape(struct takt_vad_front *f)
{
    const double pi = 3.14159265358979323846;
    double squares = 0;
    for (uint32_t i = 0; i < f->window; i++) {
        double w = 0.5 - 0.5 * cos(2 * pi * (i + 0.5) / f->window);
        f->shape[i] = (float)w;
        squares += w * w;
    }
    for (uint32_t i = 0; i < f->window; i++)
        f->shape[i] = (float)((double)f->shape[i] / sqrt(squares));
    for (uint32_t lag = 0; lag <= f->lag_high; lag++) {
        double r = 0;
        for (uint32_t i = 0; i + lag < f->window; i++)
            r += (double)f->shape[i] * (double)f->shape[i + lag];
        f->own[lag] = (float)(1 / fmax(r, 0.3));
    }
}

static uint32_t bin_of(const struct takt_vad_front *f, double hz)
{
    return (uint32_t)(hz * f->size / f->rate_hz + 0.5);
}

int takt_vad_front_create(uint32_t rate_hz, double floor_dbfs, struct takt_vad_front **out,
                          struct takt_error *e)
{
    *out = NULL;
    struct takt_vad_front *f = takt_calloc_touched(1, sizeof *f);
    if (!f)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    f->rate_hz = rate_hz;
    f->window = WINDOW_HOPS * (rate_hz / HOPS_PER_S);
    f->lag_low = (uint32_t)(rate_hz / pitch_high_hz);
    f->lag_high = (uint32_t)(rate_hz / pitch_low_hz);
    f->size = 64;
    while (f->size < f->window + f->lag_high)
        f->size *= 2; /* so that the autocorrelation does not go round */
    for (int b = 0; b <= VAD_BANDS; b++)
        f->edge[b] = bin_of(f, edges_hz[b]);
    f->first = f->edge[0];
    f->last = f->edge[VAD_BANDS];
    if (f->last > f->size / 2)
        f->last = f->edge[VAD_BANDS] = f->size / 2;
    size_t n = bins_of(f);
    f->shape = floats(f->window);
    f->own = floats(f->lag_high + 1);
    f->past = floats(f->window);
    f->padded = floats(f->size);
    f->bins = floats(f->size + 2);
    f->power = floats(n);
    f->smooth = floats(n);
    f->noise = floats(n);
    f->presence = floats(n);
    f->minimum = floats(MINIMA * n);
    f->least = floats(n);
    int err = takt_fft_create(&(struct takt_fft_cfg){.size = f->size}, &f->fft, e);
    if (err >= 0 && (!f->shape || !f->own || !f->past || !f->padded || !f->bins || !f->power ||
                     !f->smooth || !f->noise || !f->presence || !f->minimum || !f->least))
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    if (err < 0) {
        takt_vad_front_destroy(f);
        return err;
    }
    make_shape(f);
    /* White noise of power p over a whole band of rate/2 has p / (window * …): with a window of
     * unit power the mean of |X|² is the variance, at every rate; half of 8 kHz is what is seen. */
    f->floor = (float)(pow(10, floor_dbfs / 10) * 0.5);
    takt_vad_front_reset(f, true);
    *out = f;
    return 0;
}

void takt_vad_front_destroy(struct takt_vad_front *f)
{
    if (!f)
        return;
    takt_fft_destroy(f->fft);
    float *all[] = {f->shape,  f->own,   f->past,     f->padded,  f->bins, f->power,
                    f->smooth, f->noise, f->presence, f->minimum, f->least};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(f);
}

void takt_vad_front_reset(struct takt_vad_front *f, bool all)
{
    memset(f->past, 0, f->window * sizeof *f->past);
    memset(f->slice, 0, sizeof f->slice);
    memset(f->lately, 0, sizeof f->lately);
    f->levels = 0;
    f->hop = 0;
    f->fill = 0;
    f->due = (uint32_t)hop_end(f, 0);
    if (all) {
        f->has_noise = f->has_loudness = false;
        f->piece = f->piece_hops = 0;
    }
}

uint32_t takt_vad_front_window(const struct takt_vad_front *f)
{
    return f->window;
}

/* ---- The noise ---------------------------------------------------------------------------------
 */

static void begin_noise(struct takt_vad_front *f)
{
    uint32_t n = bins_of(f);
    for (uint32_t k = 0; k < n; k++) {
        /* One window's power at a bin is anything between nothing and five times the noise; its
         * neighbours know better. */
        float sum = 0;
        uint32_t from = k > 2 ? k - 2 : 0, to = k + 3 < n ? k + 3 : n;
        for (uint32_t i = from; i < to; i++)
            sum += f->power[i];
        f->smooth[k] = f->noise[k] = sum / (float)(to - from);
        f->least[k] = f->smooth[k];
        f->presence[k] = 0;
        for (int p = 0; p < MINIMA; p++)
            f->minimum[(uint32_t)p * n + k] = f->smooth[k];
    }
    f->has_noise = true;
}

/* The pieces take turns; one that comes round again begins with what is now. */
static void next_piece(struct takt_vad_front *f)
{
    uint32_t n = bins_of(f);
    if (++f->piece_hops < MINIMUM_HOPS)
        return;
    f->piece_hops = 0;
    f->piece = (f->piece + 1) % MINIMA;
    memcpy(f->minimum + f->piece * n, f->smooth, n * sizeof *f->smooth);
    for (uint32_t k = 0; k < n; k++) {
        float least = FLT_MAX;
        for (uint32_t p = 0; p < MINIMA; p++)
            least = fminf(least, f->minimum[p * n + k]);
        f->least[k] = least;
    }
}

static void track_noise(struct takt_vad_front *f)
{
    uint32_t n = bins_of(f);
    if (!f->has_noise)
        begin_noise(f);
    float *piece = f->minimum + f->piece * n;
    for (uint32_t k = 0; k < n; k++) {
        float p = f->power[k], s = 0.8f * f->smooth[k] + 0.2f * p;
        f->smooth[k] = s;
        piece[k] = s < piece[k] ? s : piece[k];
        f->least[k] = s < f->least[k] ? s : f->least[k];
        float least = minimum_bias * f->least[k];
        f->presence[k] += 0.2f * ((s > 2.5f * least ? 1.0f : 0.0f) - f->presence[k]);
        float slow = 0.95f + 0.05f * f->presence[k];
        f->noise[k] = slow * f->noise[k] + (1 - slow) * p;
        /* The averaging may lag far behind a noise that has ended, or one that stays. */
        f->noise[k] = f->noise[k] > 4 * least ? 0.9f * f->noise[k] + 0.1f * least : f->noise[k];
        f->noise[k] = f->noise[k] < 0.5f * least ? least : f->noise[k];
    }
    next_piece(f);
}

/* ---- What is heard -----------------------------------------------------------------------------
 */

static void transform(struct takt_vad_front *f)
{
    takt_multiply(f->padded, f->past, f->shape, f->window);
    memset(f->padded + f->window, 0, (f->size - f->window) * sizeof *f->padded);
    takt_fft_forward(f->fft, f->padded, f->bins);
    takt_power(f->power, f->bins + 2 * f->first, bins_of(f));
    for (uint32_t k = 0; k < bins_of(f); k++)
        f->power[k] += 1e-14f;
}

/* What stands out of the noise, whitened by it so that no single hum or rumble decides, goes back
 * into time; a voice has a peak at its pitch. */
static float harmonicity(struct takt_vad_front *f)
{
    uint32_t n = bins_of(f);
    double mean = 0, all = 0;
    for (uint32_t k = 0; k < n; k++)
        mean += (double)f->power[k];
    float soft = 0.003f * (float)(mean / n) + f->floor;
    memset(f->bins, 0, (f->size + 2) * sizeof *f->bins);
    for (uint32_t k = 0; k < n; k++) {
        float weight = 1 / (f->noise[k] + soft);
        float over = (f->power[k] - 2 * f->noise[k] - f->floor) * weight;
        over = over > 0 ? sqrtf(over) : 0;
        all += (double)sqrtf(f->power[k] * weight);
        f->bins[2 * (k + f->first)] = over;
    }
    takt_fft_inverse(f->fft, f->bins, f->padded);
    float best = 0;
    for (uint32_t lag = f->lag_low; lag <= f->lag_high; lag++) {
        float r = f->padded[lag] * f->own[lag];
        best = r > best ? r : best;
    }
    /* padded[0] is twice the sum of what was put in, in whichever unit the transform has. */
    float unit = f->padded[0];
    double over = 0;
    for (uint32_t k = 0; k < n; k++)
        over += (double)f->bins[2 * (k + f->first)];
    return unit > 0 && all > 0 ? fminf(best / unit, 1.2f) * (float)(over / all) : 0;
}

static void sort(float *a, int n)
{
    for (int i = 1; i < n; i++) {
        float one = a[i];
        int at = i;
        for (; at > 0 && a[at - 1] > one; at--)
            a[at] = a[at - 1];
        a[at] = one;
    }
}

/* log2 of the loudest millisecond over the median one. */
static float clickness(const struct takt_vad_front *f)
{
    enum { N = WINDOW_HOPS * SLICES };
    float sorted[N];
    memcpy(sorted, f->slice, sizeof sorted);
    sort(sorted, N);
    double soft = 1e-2 * (double)f->floor;
    return (float)log2(((double)sorted[N - 1] + soft) / ((double)sorted[N / 2] + soft));
}

static double deviation(const struct takt_vad_front *f, int band, uint32_t hops)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < hops; i++) {
        double v = (double)f->level[(f->levels - 1 - i) % PAST][band];
        sum += v;
        squares += v * v;
    }
    double mean = sum / hops;
    return sqrt(fmax(squares / hops - mean * mean, 0));
}

static void hear(struct takt_vad_front *f, struct takt_vad_heard *heard)
{
    double snr[VAD_BANDS], gamma_sum = 0, gamma_logs = 0, power_sum = 0, power_logs = 0;
    double noise_sum = 0;
    float *level = f->level[f->levels % PAST];
    for (int b = 0; b < VAD_BANDS; b++) {
        double p = 0, n = 0;
        for (uint32_t k = f->edge[b]; k < f->edge[b + 1]; k++) {
            p += (double)f->power[k - f->first];
            n += (double)f->noise[k - f->first];
        }
        uint32_t width = f->edge[b + 1] - f->edge[b];
        p = p / width + (double)f->floor;
        n = n / width + (double)f->floor;
        double gamma = p / n;
        snr[b] = log2(1 + fmax(gamma - 1, 0));
        level[b] = (float)log2(p);
        gamma_sum += gamma;
        gamma_logs += log2(gamma);
        power_sum += p * width;
        noise_sum += n * width;
        power_logs += log2(p);
    }
    f->levels++;
    double low = 0, high = 0, most = 0, varied = 0, moved = 0, powers = 0;
    uint32_t hops = f->levels < PAST ? (uint32_t)f->levels : PAST;
    uint32_t few = hops < FLAT_HOPS ? hops : FLAT_HOPS;
    for (int b = 0; b < VAD_BANDS; b++) {
        *(b < 9 ? &low : &high) += snr[b];
        most = fmax(most, snr[b]);
        varied += deviation(f, b, hops);
        moved += deviation(f, b, few);
        powers += exp2((double)level[b]);
    }
    double tilt = 0;
    for (int b = 0; b < 9; b++)
        tilt += (double)level[b] / 9;
    for (int b = 9; b < VAD_BANDS; b++)
        tilt -= (double)level[b] / (VAD_BANDS - 9);
    heard->bands_db = 3.0103 * power_logs / VAD_BANDS;
    heard->harmonicity = (double)harmonicity(f);
    heard->snr_db = 10 * log10(fmax(power_sum / noise_sum, 1));
    float *now = heard->feature;
    now[0] = (float)(low / 9);
    now[1] = (float)(high / (VAD_BANDS - 9));
    now[2] = (float)most;
    now[3] = (float)(10 * heard->harmonicity);
    now[4] = (float)(log2(powers / VAD_BANDS) - power_logs / VAD_BANDS);
    now[5] = (float)(log2(gamma_sum / VAD_BANDS) - gamma_logs / VAD_BANDS);
    now[6] = (float)(varied / VAD_BANDS);
    now[7] = (float)(moved / VAD_BANDS);
    now[8] = clickness(f);
    now[9] = (float)tilt;
    now[10] = (float)log2(power_sum / noise_sum);
    double loud = log2(power_sum);
    if (!f->has_loudness)
        f->loudest = f->usual = loud;
    f->has_loudness = true;
    f->loudest = fmax(loud, f->loudest - LOUDEST_FALL);
    f->usual += USUAL_FOLLOWS * (loud - f->usual);
    now[11] = (float)fmax(loud - f->loudest, -8);
    now[12] = (float)(loud - f->usual);
    for (int i = 0; i < VAD_FEATURES; i++) {
        f->lately[i] += 0.08f * (now[i] - f->lately[i]);
        now[VAD_FEATURES + i] = f->lately[i];
    }
}

/* The hop's energy, millisecond by millisecond. */
static void slice(struct takt_vad_front *f, const float *x, uint32_t frames, double *squares)
{
    memmove(f->slice[0], f->slice[1], sizeof f->slice - sizeof f->slice[0]);
    *squares = 0;
    for (uint32_t s = 0; s < SLICES; s++) {
        uint32_t from = frames * s / SLICES, to = frames * (s + 1) / SLICES;
        double sum = 0;
        for (uint32_t i = from; i < to; i++)
            sum += (double)x[i] * (double)x[i];
        f->slice[WINDOW_HOPS - 1][s] = (float)(sum / (to - from));
        *squares += sum;
    }
}

size_t takt_vad_front_take(struct takt_vad_front *f, const float *x, size_t frames,
                           struct takt_vad_heard *heard, bool *is_ready)
{
    uint32_t wanted = f->due - f->fill;
    uint32_t n = frames < wanted ? (uint32_t)frames : wanted;
    memcpy(f->past + f->window - f->due + f->fill, x, n * sizeof *x);
    f->fill += n;
    *is_ready = f->fill == f->due;
    if (!*is_ready)
        return n;
    double squares;
    slice(f, f->past + f->window - f->due, f->due, &squares);
    heard->level_dbfs = 10 * log10(fmax(squares / f->due, 1e-20));
    transform(f);
    track_noise(f);
    hear(f, heard);
    f->hop++;
    f->fill = 0;
    f->due = (uint32_t)(hop_end(f, f->hop) - hop_end(f, f->hop - 1));
    memmove(f->past, f->past + f->due, (f->window - f->due) * sizeof *f->past);
    return n;
}
