/*
 * A window is tapered channel by channel, transformed, and squared; scale[] makes a full-scale sine
 * 1. All that follows works on such arrays of power, the object's own or the caller's.
 *
 * The taper's transform is measured at create, in quarters of a bin and around its top:
 *   curve[i]: for a sine that lies i/CURVE of half a bin above a bin, where the parabola through
 *             the logarithms of that bin and its neighbours has its top, and by how much the bin
 *             reads low. Looked up backwards it makes the parabola right.
 *   leak[i]:  the most that leaks so many quarters of a bin or further away, against the top.
 *
 * Invariants: power is finite and not below 0; what is in tops[] lies between first and last bin.
 */
#include "takt/spectrum.h"

#include "analysis/sane.h"
#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CURVE = 64, QUARTERS = 4, LEAK_BINS = 32, LEAKS = LEAK_BINS * QUARTERS + 1 };
enum { MEASURED_SIZE_MOST = 2048 }; /* beyond, a taper's curve in bins alters no more */
static const float least_power = 1e-20f;
static const float leak_margin = 2; /* 3 dB, for noise on a side lobe */
static const double pi = 3.14159265358979323846;

struct takt_spectrum {
    uint32_t rate_hz, channels;
    size_t size, bins;
    enum takt_spectrum_average average;
    double average_s, fall_db_s, enbw_bins;
    struct takt_fft *fft;
    float *taper;   /* [size] */
    float *work;    /* [size + 2] = [2][bins] */
    float *latest;  /* [bins] */
    float *power;   /* [bins], or latest where nothing is averaged */
    uint32_t *tops; /* [bins]: where power has a local maximum, a heap by power */
    float scale;
    uint64_t windows, position;
    double parabola[CURVE + 1], low_db[CURVE + 1];
    float leak[LEAKS];
};

/* ---- The taper's own curve --------------------------------------------------------------------
 */

/* The size of its transform so many bins away from the middle. */
static double size_at(const float *taper, size_t size, double bins)
{
    double re = 0, im = 0;
    double angle = 2 * pi * bins / (double)size, c = cos(angle), s = sin(angle), x = 1, y = 0;
    for (size_t i = 0; i < size; i++) {
        re += (double)taper[i] * x;
        im += (double)taper[i] * y;
        double next = x * c - y * s;
        y = x * s + y * c;
        x = next;
    }
    return sqrt(re * re + im * im);
}

/* Where a parabola through three values at -1, 0, 1 has its top, -0.5..0.5; b is the highest. */
static double top_of(double a, double b, double c)
{
    double bend = 2 * b - a - c;
    return bend > 0 ? fmin(fmax(0.5 * (c - a) / bend, -0.5), 0.5) : 0;
}

static double db(double power)
{
    return 10 * log10(fmax(power, (double)least_power));
}

static void measure_taper(struct takt_spectrum *s, const float *taper, size_t size)
{
    double top = size_at(taper, size, 0);
    for (int i = 0; i <= CURVE; i++) {
        double at = 0.5 * i / CURVE, value[3];
        for (int k = 0; k < 3; k++)
            value[k] = 2 * db(fmax(size_at(taper, size, at + 1 - k) / top, 1e-7));
        s->parabola[i] = top_of(value[0], value[1], value[2]);
        if (i && s->parabola[i] < s->parabola[i - 1])
            s->parabola[i] = s->parabola[i - 1];
        s->low_db[i] = value[1];
    }
    float most = 0;
    for (int i = LEAKS - 1; i >= 0; i--) {
        double part = size_at(taper, size, (double)i / QUARTERS) / top;
        most = fmaxf(most, (float)(part * part));
        s->leak[i] = most;
    }
}

/* Power at so many bins from a peak of power 1; further than measured it falls by 6 dB an octave,
 * or faster. */
static float leak_at(const struct takt_spectrum *s, float bins)
{
    int i = (int)(bins * QUARTERS);
    if (i < LEAKS)
        return s->leak[i];
    float further = (float)LEAK_BINS / bins;
    return s->leak[LEAKS - 1] * further * further;
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static int check(const struct takt_spectrum_cfg *c, struct takt_error *e)
{
    if (c->channels > 64 || c->average > TAKT_SPECTRUM_MAX || c->rate_hz > 10000000 ||
        !(c->average_s > 0 && c->average_s <= 1e9) || !(c->fall_db_s >= 0 && c->fall_db_s <= 1e6))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a spectrum of %u channels at %u Hz, averaged over %g s, falling by %g "
                         "dB/s: channels are 1 to 64, the rate up to 10 MHz, the others above 0",
                         c->channels, c->rate_hz, c->average_s, c->fall_db_s);
    return 0;
}

static int make(struct takt_spectrum *s, const struct takt_spectrum_cfg *c, struct takt_error *e)
{
    struct takt_taper_facts facts;
    int code = takt_fft_create(&(struct takt_fft_cfg){.size = s->size}, &s->fft, e);
    if (code < 0)
        return code;
    s->taper = takt_calloc_touched(s->size, sizeof *s->taper);
    s->work = takt_calloc_touched(s->size + 2, sizeof *s->work);
    s->latest = takt_calloc_touched(s->bins, sizeof *s->latest);
    s->tops = takt_calloc_touched(s->bins, sizeof *s->tops);
    s->power = s->average ? takt_calloc_touched(s->bins, sizeof *s->power) : s->latest;
    if (!s->taper || !s->work || !s->latest || !s->tops || !s->power)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    size_t measured = s->size < MEASURED_SIZE_MOST ? s->size : MEASURED_SIZE_MOST;
    if (takt_taper_fill(&c->taper, s->taper, measured, NULL) < 0)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a taper of kind %d and shape %g: see takt/taper.h for what there is",
                         (int)c->taper.kind, c->taper.shape);
    measure_taper(s, s->taper, measured);
    takt_taper_fill(&c->taper, s->taper, s->size, &facts);
    s->enbw_bins = facts.enbw_bins;
    s->scale = (float)(2 / (facts.gain * (double)s->size));
    return 0;
}

int takt_spectrum_create(const struct takt_spectrum_cfg *cfg, struct takt_spectrum **out,
                         struct takt_error *e)
{
    struct takt_spectrum_cfg c = *cfg;
    *out = NULL;
    c.rate_hz = c.rate_hz ? c.rate_hz : 48000;
    c.channels = c.channels ? c.channels : 1;
    c.size = c.size ? c.size : 2048;
    c.average_s = c.average_s != 0 ? c.average_s : 0.5;
    int code = check(&c, e);
    if (code < 0)
        return code;
    struct takt_spectrum *s = calloc(1, sizeof *s);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    s->rate_hz = c.rate_hz;
    s->channels = c.channels;
    s->size = c.size;
    s->bins = c.size / 2 + 1;
    s->average = c.average;
    s->average_s = c.average_s;
    s->fall_db_s = c.fall_db_s;
    code = make(s, &c, e);
    if (code < 0) {
        takt_spectrum_destroy(s);
        return code;
    }
    *out = s;
    return 0;
}

void takt_spectrum_destroy(struct takt_spectrum *s)
{
    if (!s)
        return;
    takt_fft_destroy(s->fft);
    if (s->power != s->latest)
        free(s->power);
    free(s->taper);
    free(s->work);
    free(s->latest);
    free(s->tops);
    free(s);
}

void takt_spectrum_reset(struct takt_spectrum *s)
{
    s->windows = 0;
    memset(s->latest, 0, s->bins * sizeof *s->latest);
    memset(s->power, 0, s->bins * sizeof *s->power);
}

size_t takt_spectrum_bins(const struct takt_spectrum *s)
{
    return s->bins;
}

double takt_spectrum_hz(const struct takt_spectrum *s, double bin)
{
    return bin * s->rate_hz / (double)s->size;
}

const float *takt_spectrum_power(const struct takt_spectrum *s)
{
    return s->power;
}

const float *takt_spectrum_latest(const struct takt_spectrum *s)
{
    return s->latest;
}

/* ---- Windows ----------------------------------------------------------------------------------
 */

/* Adds one channel to the loudest so far. */
static void transform(struct takt_spectrum *s, const float *x, bool is_first)
{
    size_t stride = s->channels;
    for (size_t i = 0; i < s->size; i++)
        s->work[i] = takt_sane(x[i * stride]) * s->taper[i];
    takt_fft_forward(s->fft, s->work, s->work);
    float scale = s->scale * s->scale;
    for (size_t k = 0; k < s->bins; k++) {
        float re = s->work[2 * k], im = s->work[2 * k + 1];
        float power = (re * re + im * im) * scale;
        s->latest[k] = is_first || power > s->latest[k] ? power : s->latest[k];
    }
}

static void average(struct takt_spectrum *s, double elapsed_s)
{
    float weight = 1, keeps = 0;
    if (s->windows && s->average == TAKT_SPECTRUM_FADING)
        weight = (float)(1 - exp(-elapsed_s / s->average_s));
    if (s->windows && s->average == TAKT_SPECTRUM_MEAN)
        weight = (float)(1 / ((double)s->windows + 1));
    if (s->windows && s->average == TAKT_SPECTRUM_MAX)
        keeps = (float)pow(10, -s->fall_db_s * elapsed_s / 10);
    for (size_t k = 0; s->average == TAKT_SPECTRUM_MAX && k < s->bins; k++) {
        float held = s->power[k] * keeps;
        held = held < least_power ? 0 : held;
        s->power[k] = held > s->latest[k] ? held : s->latest[k];
    }
    for (size_t k = 0; s->average != TAKT_SPECTRUM_MAX && k < s->bins; k++) {
        float mean = s->power[k] + weight * (s->latest[k] - s->power[k]);
        s->power[k] = mean < least_power ? 0 : mean; /* no slow denormals */
    }
}

void takt_spectrum_process(struct takt_spectrum *s, const float *x, uint64_t position)
{
    if (s->windows && position <= s->position)
        takt_spectrum_reset(s);
    for (uint32_t c = 0; c < s->channels; c++)
        transform(s, x + c, c == 0);
    /* The bins at both ends have no mirror image that takes half of them. */
    s->latest[0] *= 0.25f;
    s->latest[s->bins - 1] *= 0.25f;
    if (s->average != TAKT_SPECTRUM_LATEST)
        average(s, s->windows ? (double)(position - s->position) / s->rate_hz : 0);
    s->windows++;
    s->position = position;
}

void takt_spectrum_density(const struct takt_spectrum *s, const float *power, float *density)
{
    /* A sine of power 1 has a mean square of a half, and is enbw bins wide. */
    float factor = (float)(0.5 * (double)s->size / (s->enbw_bins * s->rate_hz));
    for (size_t k = 0; k < s->bins; k++)
        density[k] = power[k] * (k && k < s->bins - 1 ? factor : 2 * factor);
}

/* ---- Peaks ------------------------------------------------------------------------------------
 */

/* The heap's law: no top is above the one at half its place. */
static void sink(const float *power, uint32_t *tops, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && power[tops[child + 1]] > power[tops[child]])
            child++;
        if (power[tops[child]] <= power[tops[at]])
            return;
        uint32_t other = tops[at];
        tops[at] = tops[child];
        tops[child] = other;
    }
}

static size_t find_tops(struct takt_spectrum *s, const float *power, size_t first, size_t last,
                        float least)
{
    size_t count = 0;
    for (size_t k = first; k <= last; k++)
        if (power[k] >= least && power[k] > power[k - 1] && power[k] >= power[k + 1])
            s->tops[count++] = (uint32_t)k;
    for (size_t i = count / 2; i-- > 0;)
        sink(power, s->tops, count, i);
    return count;
}

/* For each bin, the least on both sides of it before it comes to what is higher. What is lower is
 * passed over at once, as it knows its own least, so that both ways take O(bins). Uses up tops[].
 */
static void measure_falls(struct takt_spectrum *s, const float *power)
{
    float *below = s->work, *above = s->work + s->bins;
    uint32_t *higher = s->tops;
    for (size_t k = 0; k < s->bins; k++) {
        float least = power[k];
        size_t i = k;
        while (i && power[i - 1] <= power[k]) {
            least = below[i - 1] < least ? below[i - 1] : least;
            i = higher[i - 1];
        }
        below[k] = least;
        higher[k] = (uint32_t)i;
    }
    for (size_t k = s->bins; k-- > 0;) {
        float least = power[k];
        size_t i = k + 1;
        while (i < s->bins && power[i] <= power[k]) {
            least = above[i] < least ? above[i] : least;
            i = higher[i];
        }
        above[k] = least;
        higher[k] = (uint32_t)i;
    }
}

/* Does it fall to `to` on both sides, before it comes to what is higher? */
static bool stands_out(const struct takt_spectrum *s, size_t k, float to)
{
    return s->work[k] <= to && s->work[s->bins + k] <= to;
}

static bool may_be_leaked(const struct takt_spectrum *s, float power, size_t k,
                          const struct takt_spectrum_peak *peaks, const float *heights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (power <=
            leak_margin * heights[i] * leak_at(s, fabsf((float)(peaks[i].bin - (double)k))))
            return true;
    return false;
}

static struct takt_spectrum_peak refine(const struct takt_spectrum *s, const float *power, size_t k)
{
    double top = top_of(db((double)power[k - 1]), db((double)power[k]), db((double)power[k + 1]));
    double size = fabs(top);
    int i = 0;
    while (i < CURVE - 1 && s->parabola[i + 1] < size)
        i++;
    double width = s->parabola[i + 1] - s->parabola[i];
    double share = width > 0 ? fmin((size - s->parabola[i]) / width, 1) : 0;
    double away = 0.5 * (i + share) / CURVE;
    double low_db = s->low_db[i] + share * (s->low_db[i + 1] - s->low_db[i]);
    double bin = (double)k + copysign(away, top);
    return (struct takt_spectrum_peak){
        .hz = takt_spectrum_hz(s, bin), .dbfs = db((double)power[k]) - low_db, .bin = bin};
}

size_t takt_spectrum_peaks(struct takt_spectrum *s, const float *power,
                           const struct takt_spectrum_peaks_cfg *cfg,
                           struct takt_spectrum_peak *peaks, size_t most)
{
    float heights[TAKT_SPECTRUM_PEAKS_MOST];
    double bin_hz = takt_spectrum_hz(s, 1);
    double high = cfg->high_hz > 0 ? floor(cfg->high_hz / bin_hz) : (double)s->bins;
    size_t first = cfg->low_hz > bin_hz ? (size_t)fmin(ceil(cfg->low_hz / bin_hz), 1e6) : 1;
    size_t last = high < (double)s->bins - 2 ? (size_t)high : s->bins - 2, found = 0;
    double floor_db = cfg->floor_dbfs != 0 ? cfg->floor_dbfs : -100;
    double range_db = cfg->range_db != 0 ? cfg->range_db : 60;
    float fall = (float)pow(10, -(cfg->prominence_db != 0 ? cfg->prominence_db : 6) / 10);
    float least = (float)pow(10, floor_db / 10), range = (float)pow(10, -range_db / 10);
    measure_falls(s, power);
    size_t count = find_tops(s, power, first, last, least);
    most = most < TAKT_SPECTRUM_PEAKS_MOST ? most : TAKT_SPECTRUM_PEAKS_MOST;
    while (count && found < most) {
        size_t k = s->tops[0];
        s->tops[0] = s->tops[--count];
        sink(power, s->tops, count, 0);
        if (found && power[k] < heights[0] * range)
            break;
        if (may_be_leaked(s, power[k], k, peaks, heights, found) ||
            !stands_out(s, k, power[k] * fall))
            continue;
        peaks[found] = refine(s, power, k);
        heights[found] = (float)pow(10, peaks[found].dbfs / 10);
        /* Seen right, it may be higher than one before. */
        for (size_t i = found++; i && peaks[i].dbfs > peaks[i - 1].dbfs; i--) {
            struct takt_spectrum_peak peak = peaks[i];
            float height = heights[i];
            peaks[i] = peaks[i - 1];
            heights[i] = heights[i - 1];
            peaks[i - 1] = peak;
            heights[i - 1] = height;
        }
    }
    return found;
}

/* ---- Pictures ---------------------------------------------------------------------------------
 */

/* Of a column without a bin of its own. */
static float between(const struct takt_spectrum *s, const float *power, double bin)
{
    if (bin > (double)s->bins - 1)
        return -200;
    size_t k = (size_t)bin;
    k = k < s->bins - 1 ? k : s->bins - 2;
    double share = bin - (double)k;
    return (float)((1 - share) * db((double)power[k]) + share * db((double)power[k + 1]));
}

void takt_spectrum_columns(const struct takt_spectrum *s, const float *power,
                           const struct takt_spectrum_axis *axis, float *dbfs, size_t columns)
{
    double bin_hz = takt_spectrum_hz(s, 1), low = axis->low_hz / bin_hz,
           high = axis->high_hz / bin_hz, edge = low;
    TAKT_ASSERT(low >= 0 && high > low && (low > 0 || !axis->is_log));
    size_t k = (size_t)ceil(fmin(low, 1e6));
    for (size_t i = 0; i < columns; i++) {
        double end = (double)(i + 1) / (double)columns;
        double next = axis->is_log ? low * pow(high / low, end) : low + (high - low) * end;
        float most = -1;
        /* The last column has the bin on its edge, too. */
        for (; k < s->bins && ((double)k < next || (i == columns - 1 && (double)k <= high)); k++)
            most = power[k] > most ? power[k] : most;
        if (most >= 0)
            dbfs[i] = (float)db((double)most);
        else
            dbfs[i] = between(s, power, axis->is_log ? sqrt(edge * next) : 0.5 * (edge + next));
        edge = next;
    }
}
