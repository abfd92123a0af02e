#include "spectrum.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The live spectrogram has a row for each so long; the live curve falls so fast; its labels stay.
 */
static const double fall_s = 0.1, curve_fall_db_s = 40, label_s = 0.25;
static const float silence_dbfs = -200;

/* ---- Life -------------------------------------------------------------------------------------
 */

static struct takt_spectrum_axis axis_of(const struct options *o, uint32_t rate_hz)
{
    double half = rate_hz / 2.0;
    if (o->is_linear)
        return (struct takt_spectrum_axis){.low_hz = 0, .high_hz = half};
    return (struct takt_spectrum_axis){.low_hz = 20, .high_hz = fmin(20000, half), .is_log = true};
}

static int make_analyses(struct spectrum *p)
{
    const struct options *o = p->options;
    struct takt_error e;
    struct takt_spectrum_cfg s = {.rate_hz = p->rate_hz,
                                  .channels = p->channels,
                                  .size = p->size,
                                  .taper.kind = o->taper,
                                  .average = o->average,
                                  .average_s = o->average_s};
    struct takt_bands_cfg b = {
        .rate_hz = p->rate_hz, .channels = p->channels, .width = o->bands_width};
    if (takt_spectrum_create(&s, &p->s, &e) < 0 ||
        (o->has_bands && takt_bands_create(&b, &p->b, &e) < 0))
        return complain(o, EXIT_FAILED, "%s", e.text);
    p->band_count = p->b ? takt_bands_count(p->b) : 0;
    for (uint32_t i = 0; i < p->band_count; i++)
        takt_bands_read(p->b, i, &p->band[i]);
    return 0;
}

int spectrum_make(struct spectrum *p, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    *p = (struct spectrum){.options = o, .rate_hz = rate_hz, .channels = channels};
    p->size = o->size_frames ? o->size_frames : 2048;
    p->hop = o->hop_frames ? o->hop_frames : (size_t)((double)p->size * (1 - o->overlap) + 0.5);
    p->bin_count = o->bins;
    p->axis = axis_of(o, rate_hz);
    p->event_bytes = sizeof *p->latest + p->bin_count * sizeof *p->latest->bins;
    int status = make_analyses(p);
    if (status)
        return status;
    size_t bins = takt_spectrum_bins(p->s);
    p->mean = calloc(bins, sizeof *p->mean);
    p->most = calloc(bins, sizeof *p->most);
    p->padded = calloc(p->size * channels, sizeof *p->padded);
    p->history.dbfs = calloc((size_t)SPECTRUM_TIMES * SPECTRUM_COLUMNS, sizeof *p->history.dbfs);
    p->history.hops_each = 1;
    p->fall = calloc((size_t)SPECTRUM_FALLS * SPECTRUM_COLUMNS, sizeof *p->fall);
    p->latest = calloc(1, p->event_bytes);
    if (!p->mean || !p->most || !p->padded || !p->history.dbfs || !p->fall || !p->latest)
        return complain(o, EXIT_FAILED, "out of memory");
    spectrum_forget(p);
    return 0;
}

void spectrum_free(struct spectrum *p)
{
    takt_spectrum_destroy(p->s);
    takt_bands_destroy(p->b);
    free(p->mean);
    free(p->most);
    free(p->padded);
    free(p->history.dbfs);
    free(p->fall);
    free(p->latest);
    cells_free(&p->cells);
}

/* ---- The worker -------------------------------------------------------------------------------
 */

static struct takt_spectrum_peaks_cfg peaks_cfg(const struct spectrum *p)
{
    return (struct takt_spectrum_peaks_cfg){
        .low_hz = p->axis.low_hz, .high_hz = p->axis.high_hz, .range_db = p->options->range_db};
}

static void find_bands(struct spectrum *p, const float *x, size_t frames, uint64_t position,
                       struct spectrum_event *e)
{
    takt_bands_process(p->b, x, frames, position);
    for (uint32_t i = 0; i < p->band_count; i++) {
        struct takt_band band;
        takt_bands_read(p->b, i, &band);
        e->bands[i] = (float)band.level_dbfs;
    }
}

/* What is left behind the last window belongs to the bands, but is no window: only sound that is
 * shorter than one is made one, with silence behind it. */
bool spectrum_work(struct spectrum *p, const float *x, size_t frames, uint64_t position,
                   struct spectrum_event *e)
{
    if (p->b)
        find_bands(p, x, frames, position, e);
    if (frames < p->size && p->windows)
        return false;
    if (frames < p->size) {
        memcpy(p->padded, x, frames * p->channels * sizeof *x);
        x = p->padded;
    }
    takt_spectrum_process(p->s, x, position);
    const float *power = takt_spectrum_power(p->s), *now = takt_spectrum_latest(p->s);
    float weight = (float)(1 / ((double)++p->windows));
    for (size_t k = 0; k < takt_spectrum_bins(p->s); k++) {
        p->mean[k] += weight * (now[k] - p->mean[k]);
        p->most[k] = fmaxf(p->most[k], now[k]);
    }
    struct takt_spectrum_peaks_cfg cfg = peaks_cfg(p);
    e->peak_count = (uint32_t)takt_spectrum_peaks(p->s, power, &cfg, e->peaks, SPECTRUM_PEAKS);
    takt_spectrum_columns(p->s, now, &p->axis, e->columns, SPECTRUM_COLUMNS);
    if (p->bin_count)
        takt_spectrum_columns(p->s, power, &p->axis, e->bins, p->bin_count);
    return true;
}

/* ---- What is kept -----------------------------------------------------------------------------
 */

static void raise(float *to, const float *from)
{
    for (int i = 0; i < SPECTRUM_COLUMNS; i++)
        to[i] = fmaxf(to[i], from[i]);
}

static void halve(struct spectrum_history *h)
{
    for (size_t i = 0; i < SPECTRUM_TIMES; i += 2) {
        float *pair = h->dbfs + i * SPECTRUM_COLUMNS;
        if (i + 1 < h->used)
            raise(pair, pair + SPECTRUM_COLUMNS);
        memmove(h->dbfs + i / 2 * SPECTRUM_COLUMNS, pair, SPECTRUM_COLUMNS * sizeof *pair);
    }
    h->used = (h->used + 1) / 2;
    h->hops_each *= 2;
}

/* Its place follows from its time, so that what was lost is a gap. */
static void keep(struct spectrum *p, const float *columns, double time_s)
{
    struct spectrum_history *h = &p->history;
    double hops = (time_s * p->rate_hz - (double)p->size / 2) / (double)p->hop;
    uint64_t hop = (uint64_t)fmax(hops + 0.5, 0);
    while (hop / h->hops_each >= SPECTRUM_TIMES)
        halve(h);
    size_t at = (size_t)(hop / h->hops_each);
    for (; h->used <= at; h->used++)
        for (int i = 0; i < SPECTRUM_COLUMNS; i++)
            h->dbfs[h->used * SPECTRUM_COLUMNS + (size_t)i] = silence_dbfs;
    raise(h->dbfs + at * SPECTRUM_COLUMNS, columns);
}

static float *fall_at(const struct spectrum *p, uint64_t row)
{
    return p->fall + row % SPECTRUM_FALLS * SPECTRUM_COLUMNS;
}

/* Rows in which nothing came are empty. */
static void let_fall(struct spectrum *p, const float *columns, double time_s)
{
    uint64_t row = (uint64_t)(time_s / fall_s);
    if (p->falls && row == p->fall_row) {
        raise(fall_at(p, row), columns);
        return;
    }
    uint64_t first = p->falls && row > p->fall_row && row - p->fall_row < SPECTRUM_FALLS
                         ? p->fall_row + 1
                         : row + 1 - (row < SPECTRUM_FALLS ? row + 1 : SPECTRUM_FALLS);
    for (uint64_t r = first; r < row; r++)
        for (int i = 0; i < SPECTRUM_COLUMNS; i++)
            fall_at(p, r)[i] = silence_dbfs;
    memcpy(fall_at(p, row), columns, SPECTRUM_COLUMNS * sizeof *columns);
    p->fall_row = row;
    p->falls = true;
}

void spectrum_take(struct spectrum *p, const struct spectrum_event *e, double time_s)
{
    float fallen = (float)(fmax(time_s - p->level_s, 0) * curve_fall_db_s);
    for (int i = 0; i < SPECTRUM_COLUMNS; i++) {
        p->level[i] = fmaxf(p->level[i] - fallen, e->columns[i]);
        p->highest_dbfs = fmaxf(p->highest_dbfs, e->columns[i]);
    }
    p->level_s = time_s;
    p->end_s = time_s + (double)p->size / 2 / p->rate_hz;
    keep(p, e->columns, time_s);
    let_fall(p, e->columns, time_s);
    memcpy(p->latest, e, p->event_bytes);
    if (time_s >= p->labels_s + label_s || time_s < p->labels_s || !p->labels_s) {
        memcpy(p->labels, e->peaks, sizeof p->labels);
        p->label_count = e->peak_count;
        p->labels_s = time_s;
    }
}

void spectrum_forget(struct spectrum *p)
{
    for (int i = 0; i < SPECTRUM_COLUMNS; i++)
        p->level[i] = silence_dbfs;
    p->highest_dbfs = silence_dbfs;
    p->label_count = 0;
    p->labels_s = 0;
    p->falls = false;
}

double spectrum_top_dbfs(const struct spectrum *p)
{
    return fmax(ceil((double)p->highest_dbfs / 10) * 10, -100) + 0.0; /* and no -0 */
}

double spectrum_bottom_dbfs(const struct spectrum *p)
{
    return spectrum_top_dbfs(p) - p->options->range_db;
}

double spectrum_height(const struct spectrum *p, double dbfs)
{
    return fmin(fmax((dbfs - spectrum_bottom_dbfs(p)) / p->options->range_db, 0), 1);
}

size_t spectrum_mean_peaks(struct spectrum *p, struct takt_spectrum_peak *peaks, size_t most)
{
    struct takt_spectrum_peaks_cfg cfg = peaks_cfg(p);
    return takt_spectrum_peaks(p->s, p->mean, &cfg, peaks, most);
}

/* ---- The axis ---------------------------------------------------------------------------------
 */

double spectrum_place(const struct spectrum *p, double hz)
{
    if (p->axis.is_log)
        return log(fmax(hz, 1e-3) / p->axis.low_hz) / log(p->axis.high_hz / p->axis.low_hz);
    return (hz - p->axis.low_hz) / (p->axis.high_hz - p->axis.low_hz);
}

bool spectrum_tick(const struct spectrum *p, int index, double *hz, char *label)
{
    static const double logarithmic[] = {20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000};
    if (p->axis.is_log) {
        if (index >= (int)(sizeof logarithmic / sizeof *logarithmic))
            return false;
        *hz = logarithmic[index];
    } else {
        double step = 1000;
        while (p->axis.high_hz / step > 12)
            step *= step == 1000 ? 2 : step == 2000 ? 2.5 : 2;
        *hz = index * step;
    }
    snprintf(label, 16, *hz < 1000 ? "%g" : "%gk", *hz < 1000 ? *hz : *hz / 1000);
    return *hz <= p->axis.high_hz * 1.0001;
}

/* ---- Words ------------------------------------------------------------------------------------
 */

static void json_peaks(struct json *j, const struct takt_spectrum_peak *peaks, size_t count)
{
    json_open(j, "peaks", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(j, NULL, '{');
        json_number(j, "hz", peaks[i].hz, 3);
        json_number(j, "dbfs", peaks[i].dbfs, 3);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_bands(const struct spectrum *p, struct json *j, const float *levels)
{
    json_open(j, "bands", '[');
    for (uint32_t i = 0; i < p->band_count; i++) {
        struct takt_band band = p->band[i];
        if (!levels)
            takt_bands_read(p->b, i, &band);
        json_open(j, NULL, '{');
        json_string(j, "band", band.label);
        json_number(j, "hz", band.middle_hz, 3);
        json_number(j, "dbfs", levels ? (double)levels[i] : band.mean_dbfs, 3);
        if (!levels)
            json_number(j, "max_dbfs", band.max_dbfs, 3);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_bins(const struct spectrum *p, struct json *j, const float *dbfs)
{
    json_open(j, "bins", '{');
    json_number(j, "low_hz", p->axis.low_hz, 3);
    json_number(j, "high_hz", p->axis.high_hz, 3);
    json_string(j, "scale", p->axis.is_log ? "log" : "linear");
    json_open(j, "dbfs", '[');
    for (size_t i = 0; i < p->bin_count; i++)
        json_number(j, NULL, (double)dbfs[i], 2);
    json_close(j, ']');
    json_close(j, '}');
}

void spectrum_json(const struct spectrum *p, struct json *j, const struct spectrum_event *e)
{
    json_peaks(j, e->peaks, e->peak_count);
    if (p->b)
        json_bands(p, j, e->bands);
    if (p->bin_count)
        json_bins(p, j, e->bins);
}

void spectrum_json_summary(struct spectrum *p, struct json *j)
{
    struct takt_spectrum_peak peaks[SPECTRUM_PEAKS];
    json_int(j, "size", (int64_t)p->size);
    json_int(j, "hop", (int64_t)p->hop);
    json_string(j, "window", takt_taper_name(p->options->taper));
    json_int(j, "windows", (int64_t)p->windows);
    json_peaks(j, peaks, spectrum_mean_peaks(p, peaks, SPECTRUM_PEAKS));
    if (p->b)
        json_bands(p, j, NULL);
}

void spectrum_peaks_text(const struct takt_spectrum_peak *peaks, size_t count, char *to,
                         size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char one[64];
        int length =
            snprintf(one, sizeof one, "%s%.1f Hz %.1f", i ? ", " : "", peaks[i].hz, peaks[i].dbfs);
        if (used + (size_t)length >= size)
            return;
        memcpy(to + used, one, (size_t)length + 1);
        used += (size_t)length;
    }
}

void spectrum_text_summary(struct spectrum *p)
{
    struct takt_spectrum_peak peaks[SPECTRUM_PEAKS];
    char text[256];
    size_t count = spectrum_mean_peaks(p, peaks, SPECTRUM_PEAKS);
    spectrum_peaks_text(peaks, count, text, sizeof text);
    printf("spectrum: %llu windows of %zu frames, %s, every %zu\n", (unsigned long long)p->windows,
           p->size, takt_taper_name(p->options->taper), p->hop);
    if (count)
        printf("peaks of the mean, dBFS: %s\n", text);
    for (uint32_t i = 0; p->b && i < takt_bands_count(p->b); i++) {
        struct takt_band band;
        takt_bands_read(p->b, i, &band);
        printf("%s%6s %6.1f",
               i % 5 ? "   "
               : i   ? "\n  "
                     : "bands, dBFS:\n  ",
               band.label, band.mean_dbfs);
    }
    if (p->b)
        putchar('\n');
}
