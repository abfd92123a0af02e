/*
 * What --png and --html keep: the spectrogram over time, and the spectrum of all of it, mean and
 * highest, with its peaks labelled. Both have the same curves and colours; the PNG draws its own
 * axes and letters, the page has them in SVG around the spectrogram's pixels.
 */
#include "spectrum.h"

#include "canvas.h"
#include "page.h"
#include "plot.h"
#include "whole_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1600, HEIGHT = 1000, LEFT = 100, RIGHT = 1480, PLOT = RIGHT - LEFT };
enum { TOP = 64, BOTTOM = 564, CURVES_TOP = 684, CURVES_BOTTOM = 924, PEAKS = 8 };
enum { PAGE_WIDTH = 1000, PAGE_HEIGHT = 560 }; /* the spectrogram's own pixels on the page */
enum { BACK = 0x10141b, TEXT = 0xe6edf3, DIM = 0x9198a1, GRID = 0x2a313c };
enum { MEAN = 0x58a6ff, MOST = 0x8b6b4a, BANDS = 0x3fb950 };

/* ---- What is drawn ----------------------------------------------------------------------------
 */

static double end_s(const struct spectrum *p)
{
    return p->end_s > 0 ? p->end_s : 1;
}

/* A pixel shows the highest of what falls on it. */
static void draw_spectrogram(const struct spectrum *p, struct canvas *c, int left, int top,
                             int width, int height)
{
    const struct spectrum_history *h = &p->history;
    double column_s = (double)p->hop * (double)h->hops_each / p->rate_hz;
    double first_s = ((double)p->size - (double)p->hop) / 2 / p->rate_hz;
    for (int x = 0; x < width && h->used; x++) {
        double from = (end_s(p) * x / width - first_s) / column_s,
               to = (end_s(p) * (x + 1) / width - first_s) / column_s;
        /* What is before the first window's middle, or behind the last one's, is theirs. */
        long last = (long)h->used - 1, begin = (long)fmin(fmax(floor(from), 0), (double)last);
        long end = (long)fmax(ceil(to), (double)begin + 1);
        for (int y = 0; y < height; y++) {
            int low = (height - 1 - y) * SPECTRUM_COLUMNS / height,
                high = (height - y) * SPECTRUM_COLUMNS / height;
            float most = -200;
            for (long i = begin; i < end && i <= last; i++)
                for (int k = low; k < high || k == low; k++)
                    most = fmaxf(most, h->dbfs[i * SPECTRUM_COLUMNS + k]);
            canvas_pixel(c, left + x, top + y, canvas_heat(spectrum_height(p, (double)most)), 1);
        }
    }
}

static float *columns_of(const struct spectrum *p, const float *power, int count)
{
    float *columns = malloc((size_t)count * sizeof *columns);
    if (columns)
        takt_spectrum_columns(p->s, power, &p->axis, columns, (size_t)count);
    return columns;
}

static void describe(const struct spectrum *p, char *to, size_t size)
{
    snprintf(to, size, "%u Hz, %u channel%s, %s %zu every %zu, %.2f s", p->rate_hz, p->channels,
             p->channels == 1 ? "" : "s", takt_taper_name(p->options->taper), p->size, p->hop,
             end_s(p));
}

/* Steps of time for about ten labels. */
static double time_step(double seconds)
{
    static const double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,    2,    5,    10,    15,
                                   30,   60,   120,  300, 600, 900, 1800, 3600, 7200, 14400, 43200};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (seconds / steps[i] <= 12)
            return steps[i];
    return 86400;
}

/* "2.5", "1:30", "1:02:03". */
static void time_label(double seconds, double step, char *to, size_t size)
{
    int whole = (int)(seconds + 0.5);
    if (step < 1)
        snprintf(to, size, "%g", floor(seconds / step + 0.5) * step);
    else if (whole >= 3600)
        snprintf(to, size, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(to, size, "%d:%02d", whole / 60, whole % 60);
}

static void peak_label(const struct takt_spectrum_peak *peak, char *to, size_t size)
{
    snprintf(to, size, "%.1f Hz %.1f", peak->hz, peak->dbfs);
}

/* ---- PNG --------------------------------------------------------------------------------------
 */

static void draw_axes_of_spectrogram(const struct spectrum *p, struct canvas *c)
{
    char label[32];
    double hz, step = time_step(end_s(p));
    for (int i = 0; spectrum_tick(p, i, &hz, label); i++) {
        int y = BOTTOM - (int)(spectrum_place(p, hz) * (BOTTOM - TOP) + 0.5);
        canvas_box(c, LEFT - 6, y, 6, 1, DIM, 1);
        canvas_text(c, LEFT - 12, y - 7, 2, CANVAS_RIGHT, DIM, label);
    }
    for (int k = 0; k * step <= end_s(p) * 1.0001; k++) {
        int x = LEFT + (int)(k * step / end_s(p) * PLOT + 0.5);
        time_label(k * step, step, label, sizeof label);
        canvas_box(c, x, BOTTOM, 1, 6, DIM, 1);
        canvas_text(c, x, BOTTOM + 12, 2, CANVAS_MIDDLE, DIM, label);
    }
    canvas_text(c, (LEFT + RIGHT) / 2, BOTTOM + 36, 2, CANVAS_MIDDLE, DIM,
                step < 1 ? "time, s" : "time, min:s");
    canvas_text_up(c, 10, (TOP + BOTTOM) / 2 + 84, 2, DIM, "frequency, Hz");
}

static void draw_scale(const struct spectrum *p, struct canvas *c)
{
    enum { X = RIGHT + 24, WIDE = 20 };
    char label[16];
    for (int y = TOP; y < BOTTOM; y++)
        canvas_box(c, X, y, WIDE, 1, canvas_heat((double)(BOTTOM - y) / (BOTTOM - TOP)), 1);
    for (double db = spectrum_top_dbfs(p); db >= spectrum_bottom_dbfs(p); db -= 10) {
        int y = BOTTOM - (int)(spectrum_height(p, db) * (BOTTOM - TOP) + 0.5);
        snprintf(label, sizeof label, "%g", db);
        canvas_box(c, X + WIDE, y, 5, 1, DIM, 1);
        canvas_text(c, X + WIDE + 10, y - 7, 2, CANVAS_LEFT, DIM, label);
    }
    canvas_text(c, X, TOP - 26, 2, CANVAS_LEFT, DIM, "dBFS");
}

static double curve_y(const struct spectrum *p, double dbfs)
{
    return CURVES_BOTTOM - spectrum_height(p, dbfs) * (CURVES_BOTTOM - CURVES_TOP);
}

static bool draw_curve(const struct spectrum *p, struct canvas *c, const float *power,
                       uint32_t colour, double fill)
{
    double y[PLOT];
    float *columns = columns_of(p, power, PLOT);
    if (!columns)
        return false;
    for (int x = 0; x < PLOT; x++) {
        y[x] = curve_y(p, (double)columns[x]);
        canvas_box(c, LEFT + x, (int)y[x], 1, CURVES_BOTTOM - (int)y[x], colour, fill);
    }
    canvas_curve(c, LEFT, y, PLOT, 2, colour);
    free(columns);
    return true;
}

static void draw_bands(const struct spectrum *p, struct canvas *c)
{
    for (uint32_t i = 0; i < p->band_count; i++) {
        struct takt_band band;
        takt_bands_read(p->b, i, &band);
        int left = LEFT + (int)(fmax(spectrum_place(p, band.low_hz), 0) * PLOT + 0.5) + 1,
            right = LEFT + (int)(fmin(spectrum_place(p, band.high_hz), 1) * PLOT + 0.5),
            y = (int)(curve_y(p, band.mean_dbfs) + 0.5);
        canvas_box(c, left, y, right - left, CURVES_BOTTOM - y, BANDS, 0.15);
        canvas_box(c, left, y, right - left, 2, BANDS, 1);
    }
}

static void draw_axes_of_curves(const struct spectrum *p, struct canvas *c)
{
    char label[16];
    double hz;
    for (double db = spectrum_top_dbfs(p); db >= spectrum_bottom_dbfs(p); db -= 20) {
        int y = (int)curve_y(p, db);
        snprintf(label, sizeof label, "%g", db);
        canvas_box(c, LEFT, y, PLOT, 1, GRID, 1);
        canvas_text(c, LEFT - 12, y - 7, 2, CANVAS_RIGHT, DIM, label);
    }
    for (int i = 0; spectrum_tick(p, i, &hz, label); i++) {
        int x = LEFT + (int)(spectrum_place(p, hz) * PLOT + 0.5);
        canvas_box(c, x, CURVES_TOP, 1, CURVES_BOTTOM - CURVES_TOP, GRID, 1);
        canvas_box(c, x, CURVES_BOTTOM, 1, 6, DIM, 1);
        canvas_text(c, x, CURVES_BOTTOM + 12, 2, CANVAS_MIDDLE, DIM, label);
    }
    canvas_text(c, (LEFT + RIGHT) / 2, CURVES_BOTTOM + 38, 2, CANVAS_MIDDLE, DIM, "frequency, Hz");
    canvas_text_up(c, 10, (CURVES_TOP + CURVES_BOTTOM) / 2 + 24, 2, DIM, "dBFS");
}

/* Labels that would stand on one another go up, and the last of them away. */
struct box {
    int left, right, top;
};

enum { LABEL_HIGH = 24 };

static bool has_room(const struct box *taken, int count, struct box b)
{
    for (int i = 0; i < count; i++)
        if (b.left < taken[i].right && taken[i].left < b.right &&
            abs(b.top - taken[i].top) < LABEL_HIGH)
            return false;
    return true;
}

static bool place_label(const struct box *taken, int count, struct box *b)
{
    enum { HIGHEST = CURVES_TOP - 2 * LABEL_HIGH };
    for (; b->top >= HIGHEST; b->top -= LABEL_HIGH / 2)
        if (has_room(taken, count, *b))
            return true;
    return false;
}

static void draw_peaks(struct spectrum *p, struct canvas *c)
{
    struct takt_spectrum_peak peaks[PEAKS];
    struct box taken[PEAKS];
    size_t count = spectrum_mean_peaks(p, peaks, PEAKS);
    int drawn = 0;
    for (size_t i = 0; i < count; i++) {
        char label[48];
        peak_label(&peaks[i], label, sizeof label);
        int wide = canvas_text_width(2, label);
        int x = LEFT + (int)(spectrum_place(p, peaks[i].hz) * PLOT),
            y = (int)curve_y(p, peaks[i].dbfs);
        int left = x - wide / 2 > LEFT ? x - wide / 2 : LEFT + 4;
        left = left + wide > RIGHT ? RIGHT - wide : left;
        struct box b = {left - 8, left + wide + 8, y - LABEL_HIGH - 8};
        canvas_box(c, x - 3, y - 3, 7, 7, TEXT, 1);
        if (!place_label(taken, drawn, &b))
            continue;
        taken[drawn++] = b;
        canvas_box(c, x, b.top + LABEL_HIGH - 2, 1, y - b.top - LABEL_HIGH + 2, TEXT, 0.5);
        canvas_box(c, b.left, b.top, b.right - b.left, LABEL_HIGH - 2, BACK, 0.75);
        canvas_text(c, left, b.top + 4, 2, CANVAS_LEFT, TEXT, label);
    }
}

static void draw_key(const struct spectrum *p, struct canvas *c)
{
    static const uint32_t colours[] = {MEAN, MOST, BANDS};
    static const char *const names[] = {"mean", "highest", "bands"};
    for (int i = 0; i < (p->band_count ? 3 : 2); i++) {
        canvas_box(c, RIGHT + 24, CURVES_TOP + 8 + 24 * i, 20, 3, colours[i], 1);
        canvas_text(c, RIGHT + 52, CURVES_TOP + 2 + 24 * i, 1.5, CANVAS_LEFT, DIM, names[i]);
    }
}

static bool draw_all(struct spectrum *p, struct canvas *c, const char *source)
{
    char text[256];
    describe(p, text, sizeof text);
    canvas_text(c, RIGHT, 26, 1.5, CANVAS_RIGHT, DIM, text);
    int room = PLOT - canvas_text_width(1.5, text) - 24;
    snprintf(text, sizeof text, "%s", source);
    make_printable(text);
    double size = canvas_text_width(2, text) > room ? 1.5 : 2;
    for (size_t n = strlen(text); n > 4 && canvas_text_width(size, text) > room;)
        strcpy(text + --n - 3, "...");
    canvas_text(c, LEFT, 22, size, CANVAS_LEFT, TEXT, text);
    draw_spectrogram(p, c, LEFT, TOP, PLOT, BOTTOM - TOP);
    draw_axes_of_spectrogram(p, c);
    draw_scale(p, c);
    draw_axes_of_curves(p, c);
    draw_bands(p, c);
    bool is_whole = draw_curve(p, c, p->most, MOST, 0.15) && draw_curve(p, c, p->mean, MEAN, 0.25);
    draw_peaks(p, c);
    draw_key(p, c);
    if (!p->windows)
        canvas_text(c, (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, 2, CANVAS_MIDDLE, TEXT,
                    "nothing was heard");
    return is_whole;
}

int spectrum_png(struct spectrum *p, const char *path, const char *source)
{
    struct canvas c;
    char *bytes = NULL;
    size_t size = 0;
    bool is_whole = canvas_make(&c, WIDTH, HEIGHT, BACK) && draw_all(p, &c, source) &&
                    canvas_png(&c, &bytes, &size);
    canvas_free(&c);
    int status = is_whole ? whole_file_write(p->options, path, bytes, size)
                          : complain(p->options, EXIT_FAILED, "%s: out of memory", path);
    free(bytes);
    return status;
}

/* ---- HTML -------------------------------------------------------------------------------------
 */

/* RFC 4648, 4. */
static void write_base64(FILE *to, const char *bytes, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < size ? (uint8_t)bytes[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            fputc(i + k <= size ? letters[three >> (18 - 6 * k) & 63] : '=', to);
    }
}

static const struct frame page_frame = {70, 70 + PAGE_WIDTH, 30, 30 + PAGE_HEIGHT};
static const struct frame curves_frame = {70, 70 + PAGE_WIDTH, 30, 330};

static void begin_svg(FILE *to, const struct frame *f, const char *name, const char *meaning)
{
    fprintf(to,
            "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-labelledby=\"%s-title\"><title "
            "id=\"%s-title\">%s</title>\n",
            f->right + 70, f->bottom + 52, name, name, meaning);
}

/* A label below or beside the frame, with its line. */
static void tick(FILE *to, double x, double y, bool is_below, const char *label)
{
    fprintf(to,
            "<path class=\"axis\" d=\"M%.1f %.1f%s\"/><text class=\"dim\" x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"%s\">%s</text>\n",
            x, y, is_below ? "v5" : "h-5", is_below ? x : x - 9, is_below ? y + 20 : y + 4.5,
            is_below ? "middle" : "end", label);
}

static void frequency_ticks(FILE *to, const struct spectrum *p, const struct frame *f,
                            bool is_below)
{
    char label[16];
    double hz;
    for (int i = 0; spectrum_tick(p, i, &hz, label); i++) {
        double place = spectrum_place(p, hz);
        tick(to, is_below ? f->left + place * (f->right - f->left) : f->left,
             is_below ? f->bottom : f->bottom - place * (f->bottom - f->top), is_below, label);
    }
}

static void unit(FILE *to, double x, double y, const char *anchor, const char *text)
{
    fprintf(to, "<text class=\"dim\" x=\"%g\" y=\"%g\" text-anchor=\"%s\">%s</text>\n", x, y,
            anchor, text);
}

static void page_spectrogram(FILE *to, const struct spectrum *p, const char *png, size_t size)
{
    const struct frame *f = &page_frame;
    char label[32];
    double step = time_step(end_s(p));
    fputs("<section class=\"wide\"><h2>Spectrogram</h2>\n", to);
    begin_svg(to, f, "spectrogram", "How loud each frequency is over time");
    fprintf(to,
            "<image x=\"%g\" y=\"%g\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\" "
            "href=\"data:image/png;base64,",
            f->left, f->top, PAGE_WIDTH, PAGE_HEIGHT);
    write_base64(to, png, size);
    fputs("\"/>\n", to);
    frequency_ticks(to, p, f, false);
    for (int k = 0; k * step <= end_s(p) * 1.0001; k++) {
        time_label(k * step, step, label, sizeof label);
        tick(to, f->left + k * step / end_s(p) * (f->right - f->left), f->bottom, true, label);
    }
    unit(to, 0, f->top - 12, "start", "frequency, Hz");
    unit(to, (f->left + f->right) / 2, f->bottom + 42, "middle",
         step < 1 ? "time, s" : "time, min:s");
    /* The colours, a decibel each. */
    int count = (int)p->options->range_db;
    for (int i = 0; i < count; i++)
        fprintf(to, "<path fill=\"#%06x\" d=\"M%g %.1fh14v%.1fh-14z\"/>",
                canvas_heat((i + 0.5) / count), f->right + 14,
                f->bottom - (i + 1.0) / count * (f->bottom - f->top),
                (f->bottom - f->top) / count + 0.5);
    for (double db = spectrum_top_dbfs(p); db >= spectrum_bottom_dbfs(p); db -= 10) {
        snprintf(label, sizeof label, "%g", db);
        unit(to, f->right + 34, f->bottom - spectrum_height(p, db) * (f->bottom - f->top) + 4.5,
             "start", label);
    }
    unit(to, f->right + 14, f->top - 12, "start", "dBFS");
    fputs("</svg></section>\n", to);
}

static void page_curve(FILE *to, const struct spectrum *p, const float *power, const char *kind)
{
    const struct frame *f = &curves_frame;
    float *columns = columns_of(p, power, PAGE_WIDTH);
    fprintf(to, "<polyline class=\"line %s\" points=\"", kind);
    for (int x = 0; columns && x < PAGE_WIDTH; x++)
        fprintf(to, "%s%g,%.1f", x ? " " : "", f->left + x + 0.5,
                f->bottom - spectrum_height(p, (double)columns[x]) * (f->bottom - f->top));
    fputs("\"/>\n", to);
    free(columns);
}

/* Bands as wide as they are on the axis. */
static void page_bands(FILE *to, const struct spectrum *p)
{
    const struct frame *f = &curves_frame;
    for (uint32_t i = 0; i < p->band_count; i++) {
        struct takt_band band;
        takt_bands_read(p->b, i, &band);
        double low = fmax(spectrum_place(p, band.low_hz), 0),
               high = fmin(spectrum_place(p, band.high_hz), 1);
        double height = spectrum_height(p, band.mean_dbfs) * (f->bottom - f->top);
        if (high <= low)
            continue;
        fprintf(to,
                "<path class=\"band\" d=\"M%.1f %.1fH%.1fV%gH%.1fz\"><title>%s Hz: %.1f "
                "dBFS</title></path>\n",
                f->left + low * PAGE_WIDTH + 0.5, f->bottom - height,
                f->left + high * PAGE_WIDTH - 0.5, f->bottom, f->left + low * PAGE_WIDTH + 0.5,
                band.label, band.mean_dbfs);
    }
}

static void page_spectrum(FILE *to, struct spectrum *p)
{
    const struct frame *f = &curves_frame;
    struct takt_spectrum_peak peaks[PEAKS];
    size_t count = spectrum_mean_peaks(p, peaks, PEAKS);
    fprintf(to,
            "<section class=\"wide\"><h2>Spectrum</h2><p class=\"key\">blue: the mean of all "
            "windows; violet: the highest of each frequency%s</p>\n",
            p->band_count ? "; shaded: bands (mean)" : "");
    begin_svg(to, f, "spectrum", "The mean of all windows and the highest of each frequency");
    struct axis y = {.low = spectrum_bottom_dbfs(p), .high = spectrum_top_dbfs(p), .step = 20};
    for (double db = y.high; db >= y.low; db -= y.step) {
        char label[16];
        snprintf(label, sizeof label, "%g", db);
        axis_line(to, &y, f, db, label);
    }
    frequency_ticks(to, p, f, true);
    page_bands(to, p);
    page_curve(to, p, p->most, "b");
    page_curve(to, p, p->mean, "a");
    for (size_t i = 0; i < count; i++) {
        double x = f->left + spectrum_place(p, peaks[i].hz) * PAGE_WIDTH;
        fprintf(to,
                "<g><title>%.2f Hz: %.2f dBFS</title><circle class=\"a\" cx=\"%.1f\" cy=\"%.1f\" "
                "r=\"3.5\"/></g>\n",
                peaks[i].hz, peaks[i].dbfs, x, axis_y(&y, f, peaks[i].dbfs));
    }
    unit(to, 0, f->top - 12, "start", "dBFS");
    unit(to, (f->left + f->right) / 2, f->bottom + 42, "middle", "frequency, Hz");
    fputs("</svg></section>\n", to);
}

static void page_tables(FILE *to, struct spectrum *p)
{
    struct takt_spectrum_peak peaks[PEAKS];
    size_t count = spectrum_mean_peaks(p, peaks, PEAKS);
    fputs("<div class=\"scroll\"><table><caption>Peaks of the mean</caption><thead><tr><th>Hz</th>"
          "<th>dBFS</th></tr></thead><tbody>\n",
          to);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "<tr><td>%.2f</td><td>%.2f</td></tr>\n", peaks[i].hz, peaks[i].dbfs);
    fputs("</tbody></table></div>\n", to);
    if (!p->band_count)
        return;
    fputs("<div class=\"scroll\"><table><caption>Bands, dBFS</caption><thead><tr><th>Hz</th>"
          "<th>mean</th><th>highest</th></tr></thead><tbody>\n",
          to);
    for (uint32_t i = 0; i < p->band_count; i++) {
        struct takt_band band;
        takt_bands_read(p->b, i, &band);
        fprintf(to, "<tr><td>%s</td><td>%.2f</td><td>%.2f</td></tr>\n", band.label, band.mean_dbfs,
                band.max_dbfs);
    }
    fputs("</tbody></table></div>\n", to);
}

struct page_of {
    struct spectrum *p;
    const char *source;
    const char *png;
    size_t png_size;
};

static void make_page(FILE *to, const void *of)
{
    const struct page_of *page = of;
    char text[256];
    describe(page->p, text, sizeof text);
    page_begin(to, "spectrum", page->source);
    fputs("<h1>", to);
    page_text(to, page->source);
    fprintf(to, "</h1>\n<p class=\"what\">%s</p>\n<div class=\"panels\">\n", text);
    page_spectrogram(to, page->p, page->png, page->png_size);
    page_spectrum(to, page->p);
    fputs("</div>\n", to);
    page_tables(to, page->p);
    page_end(to);
}

int spectrum_html(struct spectrum *p, const char *path, const char *source)
{
    struct canvas c;
    char *png = NULL;
    size_t size = 0;
    bool is_whole = canvas_make(&c, PAGE_WIDTH, PAGE_HEIGHT, BACK);
    if (is_whole)
        draw_spectrogram(p, &c, 0, 0, PAGE_WIDTH, PAGE_HEIGHT);
    is_whole = is_whole && canvas_png(&c, &png, &size);
    canvas_free(&c);
    struct page_of of = {p, source, png, size};
    int status = is_whole ? page_write(p->options, path, make_page, &of)
                          : complain(p->options, EXIT_FAILED, "%s: out of memory", path);
    free(png);
    return status;
}
