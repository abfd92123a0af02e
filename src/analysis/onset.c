/*
 * Every 5 ms the last 20 to 33 ms are windowed and transformed, and the magnitudes summed in bands
 * of a sixth of an octave, log-compressed. The flux is how much the bands rise above the largest of
 * their neighbours 10 ms ago: the maximum over neighbours keeps vibrato from counting as a rise
 * (Boeck & Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013). A peak of
 * it is an onset where it exceeds the median of the last second by the threshold and by ten times
 * its median deviation (Bello et al., "A tutorial on onset detection in music signals", IEEE TSAP
 * 2005, has the adaptive median), so that noise's own unrest does not count.
 *
 * Its time is then looked for in the sound: where in the window the energy of the next 3 ms exceeds
 * that of the last 6 ms most.
 *
 * Invariants: looks end at floor((k + 1) * rate / 200) frames behind `origin`; past[] holds the
 * last `keep` samples up to now but for the due - fill that are still to come.
 */
#include "takt/onset.h"

#include "analysis/sane.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/fft.h"
#include "takt/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BANDS_MAX = 64,
    LAG = 2,    /* looks between the two spectra that are compared */
    FLUX = 200, /* looks kept: a second */
    SLICES_PER_S = 2000,
    SLICES_MAX = 256,
    AHEAD = 6,
    BEHIND = 12 /* slices of half a millisecond */
};

static const double lowest_hz = 40, highest_hz = 16000, bands_per_octave = 6;

struct takt_onset {
    uint32_t rate_hz, window, size, keep;
    double threshold, floor_dbfs;
    uint32_t interval_frames;
    uint32_t bands, edge[BANDS_MAX + 1];
    struct takt_fft *fft;
    float *shape, *past, *padded, *bins; /* [window] [keep] [size] [size + 2] */
    float band[LAG + 1][BANDS_MAX];
    float flux[FLUX];
    /* Where in the stream. */
    bool has_origin, after_gap;
    uint64_t origin, next, look; /* position; of the next frame; number of the next look */
    uint32_t fill, due;
    uint64_t fetched; /* looks whose flux was fetched */
    /* The last onset, and the rise that may become one. */
    bool has_last;
    uint64_t last;
    double level_dbfs[2];
};

static uint64_t look_end(const struct takt_onset *o, uint64_t look)
{
    return (look + 1) * o->rate_hz / TAKT_ONSET_FLUX_HZ;
}

/* ---- Create ------------------------------------------------------------------------------------
 */

static void make_bands(struct takt_onset *o)
{
    double top = fmin(highest_hz, 0.45 * o->rate_hz), hz = lowest_hz;
    uint32_t last = 1;
    o->edge[0] = 1;
    while (hz < top && o->bands < BANDS_MAX) {
        hz *= exp2(1 / bands_per_octave);
        uint32_t bin = (uint32_t)(fmin(hz, top) * o->size / o->rate_hz + 0.5);
        if (bin <= last)
            continue; /* as many bands as bins, down there */
        o->edge[++o->bands] = last = bin;
    }
}

static void make_shape(struct takt_onset *o)
{
    const double pi = 3.14159265358979323846;
    for (uint32_t i = 0; i < o->window; i++)
        o->shape[i] = (float)((1 - cos(2 * pi * (i + 0.5) / o->window)) / o->window);
}

static int check(const struct takt_onset_cfg *c, struct takt_error *e)
{
    if (c->rate_hz && (c->rate_hz < 8000 || c->rate_hz > 384000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "onsets at %u Hz: 8000 to 384000", c->rate_hz);
    if (!(c->threshold == 0 || (c->threshold >= 0.01 && c->threshold <= 10)) ||
        !(c->interval_ms == 0 || (c->interval_ms >= 10 && c->interval_ms <= 10000)) ||
        !(c->floor_dbfs <= 0 && c->floor_dbfs >= -200))
        return takt_fail(
            e, TAKT_ERR_ARG, 0,
            "onsets: threshold 0.01 to 10, interval 10 to 10000 ms, floor -200 to 0 dBFS");
    return 0;
}

int takt_onset_create(const struct takt_onset_cfg *cfg, struct takt_onset **out,
                      struct takt_error *e)
{
    *out = NULL;
    if (check(cfg, e) < 0)
        return TAKT_ERR_ARG;
    struct takt_onset *o = takt_calloc_touched(1, sizeof *o);
    if (!o)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    o->rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    o->threshold = cfg->threshold > 0 ? cfg->threshold : 0.1;
    o->floor_dbfs = cfg->floor_dbfs < 0 ? cfg->floor_dbfs : -70;
    o->interval_frames =
        (uint32_t)((cfg->interval_ms > 0 ? cfg->interval_ms : 50) * o->rate_hz / 1000);
    o->window = o->rate_hz * 23 / 1000;
    o->size = 64;
    while (o->size < o->window)
        o->size *= 2;
    o->keep = o->window + o->rate_hz * 4 / TAKT_ONSET_FLUX_HZ;
    make_bands(o);
    o->shape = takt_calloc_touched(o->window, sizeof *o->shape);
    o->past = takt_calloc_touched(o->keep, sizeof *o->past);
    o->padded = takt_calloc_touched(o->size, sizeof *o->padded);
    o->bins = takt_calloc_touched(o->size + 2, sizeof *o->bins);
    int err = takt_fft_create(&(struct takt_fft_cfg){.size = o->size}, &o->fft, e);
    if (err >= 0 && (!o->shape || !o->past || !o->padded || !o->bins))
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    if (err < 0) {
        takt_onset_destroy(o);
        return err;
    }
    make_shape(o);
    takt_onset_reset(o);
    *out = o;
    return 0;
}

void takt_onset_destroy(struct takt_onset *o)
{
    if (!o)
        return;
    takt_fft_destroy(o->fft);
    free(o->shape);
    free(o->past);
    free(o->padded);
    free(o->bins);
    free(o);
}

void takt_onset_reset(struct takt_onset *o)
{
    memset(o->past, 0, o->keep * sizeof *o->past);
    memset(o->band, 0, sizeof o->band);
    memset(o->flux, 0, sizeof o->flux);
    o->has_origin = o->has_last = o->after_gap = false;
    o->look = o->fetched = 0;
    o->fill = 0;
    o->due = (uint32_t)look_end(o, 0);
}

uint32_t takt_onset_latency_frames(const struct takt_onset *o)
{
    return o->window * 3 / 4 + o->rate_hz * 3 / TAKT_ONSET_FLUX_HZ;
}

/* ---- The rise ----------------------------------------------------------------------------------
 */

static float *bands_of(struct takt_onset *o, uint64_t look)
{
    return o->band[look % (LAG + 1)];
}

static void hear(struct takt_onset *o)
{
    const float *x = o->past + o->keep - o->window;
    double squares = 0;
    for (uint32_t i = 0; i < o->window; i++)
        squares += (double)x[i] * (double)x[i];
    takt_multiply(o->padded, x, o->shape, o->window);
    memset(o->padded + o->window, 0, (o->size - o->window) * sizeof *o->padded);
    o->level_dbfs[1] = o->level_dbfs[0];
    o->level_dbfs[0] = 10 * log10(fmax(squares / o->window, 1e-20));
    takt_fft_forward(o->fft, o->padded, o->bins);
    float *now = bands_of(o, o->look), *power = o->padded; /* it has been transformed */
    takt_power(power, o->bins, o->edge[o->bands]);
    for (uint32_t b = 0; b < o->bands; b++) {
        double sum = 0;
        for (uint32_t k = o->edge[b]; k < o->edge[b + 1]; k++)
            sum += (double)power[k];
        now[b] = (float)log10(1 + 2000 * sqrt(sum));
    }
}

static float rise(struct takt_onset *o)
{
    const float *now = bands_of(o, o->look), *then = bands_of(o, o->look + 1); /* LAG looks ago */
    float sum = 0;
    for (uint32_t b = 0; b < o->bands; b++) {
        float most = then[b];
        if (b > 0 && then[b - 1] > most)
            most = then[b - 1];
        if (b + 1 < o->bands && then[b + 1] > most)
            most = then[b + 1];
        sum += now[b] > most ? now[b] - most : 0;
    }
    return sum / (float)o->bands;
}

/* The k-th smallest of x, which it moves about (Hoare's quickselect). */
static float smallest(float *x, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        float pivot = x[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i <= j) {
                float t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return x[k];
}

/* What the flux has to exceed: the usual unrest of the last second. */
static double needed(const struct takt_onset *o)
{
    enum { LEAST = FLUX / 4 }; /* where less is known, the rest was silence */
    float x[FLUX];
    int n = o->look < LEAST ? LEAST : o->look < FLUX ? (int)o->look : FLUX;
    for (int i = 0; i < n; i++)
        x[i] = o->flux[(o->look + FLUX - (uint64_t)i) % FLUX];
    float median = smallest(x, n, n / 2);
    for (int i = 0; i < n; i++)
        x[i] = fabsf(x[i] - median);
    float deviation = smallest(x, n, n / 2);
    return (double)median + fmax(o->threshold, 10 * (double)deviation);
}

/* ---- The onset ---------------------------------------------------------------------------------
 */

static double energy(const float *x, uint32_t frames)
{
    double sum = 0;
    for (uint32_t i = 0; i < frames; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Where in what is kept the energy sets in, as frames before now. The peak of the flux, one look
 * ago, has the onset in the newer three quarters of its window. */
static uint32_t frames_ago(const struct takt_onset *o)
{
    double slice[SLICES_MAX] = {0}, soft = pow(10, o->floor_dbfs / 10) * o->rate_hz / SLICES_PER_S;
    double best = -1;
    uint32_t count = (uint32_t)((uint64_t)o->keep * SLICES_PER_S / o->rate_hz), found = 0;
    count = count < SLICES_MAX ? count : SLICES_MAX;
    uint32_t from = o->keep - (uint32_t)((uint64_t)count * o->rate_hz / SLICES_PER_S);
    for (uint32_t s = 0; s < count; s++) {
        uint32_t a = (uint32_t)((uint64_t)s * o->rate_hz / SLICES_PER_S);
        uint32_t b = (uint32_t)((uint64_t)(s + 1) * o->rate_hz / SLICES_PER_S);
        slice[s] = energy(o->past + from + a, b - a);
    }
    double window_slices = (double)o->window * SLICES_PER_S / o->rate_hz;
    double look_slices = (double)SLICES_PER_S / TAKT_ONSET_FLUX_HZ;
    uint32_t first = count - (uint32_t)(0.85 * window_slices + look_slices);
    first = first < BEHIND ? BEHIND : first;
    for (uint32_t s = first; s + AHEAD <= count; s++) {
        double before = soft, behind = 0;
        for (uint32_t i = 1; i <= BEHIND; i++)
            before += slice[s - i] / BEHIND;
        for (uint32_t i = 0; i < AHEAD; i++)
            behind += slice[s + i] / AHEAD;
        /* The ratio finds where, the difference keeps it from what is too soft to matter. */
        double score = log(1 + behind / before) * sqrt(behind);
        if (score > best) {
            best = score;
            found = s;
        }
    }
    return o->keep - from - (uint32_t)((uint64_t)found * o->rate_hz / SLICES_PER_S);
}

/* The look before this one was a peak of the flux that counts. */
static bool was_onset(struct takt_onset *o, struct takt_onset_event *out)
{
    if (o->look < 1)
        return false;
    float peak = o->flux[(o->look - 1) % FLUX];
    if (!(o->flux[o->look % FLUX] < peak) || (double)peak < o->threshold ||
        fmax(o->level_dbfs[0], o->level_dbfs[1]) < o->floor_dbfs)
        return false;
    for (uint64_t i = 2; i <= 6 && i <= o->look; i++)
        if (o->flux[(o->look - i) % FLUX] > peak)
            return false;
    if ((double)peak < needed(o))
        return false;
    uint64_t now = o->origin + look_end(o, o->look), ago = frames_ago(o);
    uint64_t at = now > o->origin + ago ? now - ago : o->origin;
    if (o->has_last && at < o->last + o->interval_frames)
        return false;
    o->has_last = true;
    o->last = at;
    *out = (struct takt_onset_event){.position = at,
                                     .strength = (double)peak,
                                     .level_dbfs = fmax(o->level_dbfs[0], o->level_dbfs[1])};
    return true;
}

/* A look is due. */
static bool look(struct takt_onset *o, struct takt_onset_event *out)
{
    hear(o);
    /* Before the stream there was silence; what was in a gap nobody knows. */
    uint64_t whole = LAG + 1 + (uint64_t)o->window * TAKT_ONSET_FLUX_HZ / o->rate_hz;
    o->flux[o->look % FLUX] = o->after_gap && o->look <= whole ? 0 : rise(o);
    bool is_onset = was_onset(o, out);
    o->look++;
    o->fill = 0;
    o->due = (uint32_t)(look_end(o, o->look) - look_end(o, o->look - 1));
    memmove(o->past, o->past + o->due, (o->keep - o->due) * sizeof *o->past);
    return is_onset;
}

size_t takt_onset_process(struct takt_onset *o, const float *x, size_t frames, uint64_t position,
                          struct takt_onset_event *out, size_t most)
{
    size_t found = 0;
    if (!frames)
        return 0;
    if (o->has_origin && position != o->next) {
        takt_onset_reset(o);
        o->after_gap = true;
    }
    if (!o->has_origin) {
        o->has_origin = true;
        o->origin = position;
    }
    o->next = position + frames;
    for (size_t at = 0; at < frames;) {
        uint32_t n = o->due - o->fill;
        n = frames - at < n ? (uint32_t)(frames - at) : n;
        float *to = o->past + o->keep - o->due + o->fill;
        for (uint32_t i = 0; i < n; i++)
            to[i] = takt_sane_or_0(x[at + i]);
        o->fill += n;
        at += n;
        struct takt_onset_event event;
        if (o->fill == o->due && look(o, &event) && found < most)
            out[found++] = event;
    }
    return found;
}

size_t takt_onset_flux(struct takt_onset *o, float *flux, size_t most, uint64_t *position)
{
    if (o->look > o->fetched + FLUX)
        o->fetched = o->look - FLUX;
    while (look_end(o, o->fetched) < o->window / 2)
        o->fetched++; /* its middle is before the stream */
    size_t n = 0;
    *position = o->origin + look_end(o, o->fetched) - o->window / 2;
    for (; n < most && o->fetched < o->look; n++, o->fetched++)
        flux[n] = o->flux[o->fetched % FLUX];
    return n;
}
