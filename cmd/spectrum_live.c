/*
 * The live picture: the spectrum as a row of bars with its peaks labelled, the axis, and below it
 * the spectrogram, whose newest row is on top, over the same axis. Half blocks give two rows of it
 * in one of the terminal's; without colours it is made of letters.
 */
#include "spectrum.h"

#include "canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MARGIN = 5, GRAPH_LEAST = 3, NARROW = 30 };

/* The highest of the columns that fall on a cell. */
static float column_of(const float *columns, int x, int width)
{
    int from = x * SPECTRUM_COLUMNS / width, to = (x + 1) * SPECTRUM_COLUMNS / width;
    float most = columns[from];
    for (int i = from + 1; i < to; i++)
        most = fmaxf(most, columns[i]);
    return most;
}

/* The band that a cell lies in, or -1. */
static int band_of(const struct spectrum *p, int x, int width)
{
    for (uint32_t i = 0; i < p->band_count; i++) {
        double low = spectrum_place(p, p->band[i].low_hz) * width,
               high = spectrum_place(p, p->band[i].high_hz) * width;
        if (x + 0.5 >= low && x + 0.5 < high)
            return (int)i;
    }
    return -1;
}

static double level_at(const struct spectrum *p, int x, int width)
{
    int band = p->band_count ? band_of(p, x, width) : -1;
    if (p->band_count)
        return band < 0 || !p->falls ? -200 : (double)p->latest->bands[band];
    return (double)column_of(p->level, x, width);
}

static void draw_bar(const struct spectrum *p, struct cells *c, bool utf8, int x, int top, int end,
                     double share)
{
    static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {" ", ".", ".", ".", ".", "#", "#", "#", "#"};
    int rows = end - top, height = (int)(share * rows * 8 + 0.5);
    for (int y = 0; y < rows; y++) {
        int part = height - 8 * (rows - 1 - y);
        part = part < 0 ? 0 : part > 8 ? 8 : part;
        int32_t colour = (int32_t)canvas_heat(0.3 + 0.6 * (rows - y - 0.5) / rows);
        if (part)
            cells_put(c, MARGIN + x, top + y, utf8 ? eighths[part] : letters[part], colour,
                      CELLS_PLAIN);
    }
}

/* In the lowest of the label rows where there is room; the higher peaks come first. */
static void draw_label(const struct spectrum *p, struct cells *c, int rows, int width,
                       const struct takt_spectrum_peak *peak)
{
    char label[48];
    snprintf(label, sizeof label, peak->hz < 1000 ? "%.1f Hz %.1f" : "%.0f Hz %.1f", peak->hz,
             peak->dbfs);
    int length = (int)strlen(label), middle = (int)(spectrum_place(p, peak->hz) * width);
    int x = middle - length / 2;
    x = MARGIN + (x < 0 ? 0 : x + length > width ? width - length : x);
    int from = x > MARGIN ? x - 2 : x, until = x + length + 2;
    until = until < c->columns ? until : c->columns;
    for (int y = rows - 1; y >= 0; y--)
        if (cells_are_blank(c, from, y, until - from)) {
            cells_text(c, x, y, CELLS_PLAIN, label);
            return;
        }
}

/* Numbers at whole tens of dB, as many as there is room for. */
static void draw_levels(const struct spectrum *p, struct cells *c, int top, int rows)
{
    double step = 10;
    while (step / p->options->range_db * rows < 2)
        step += 10;
    for (double db = spectrum_top_dbfs(p); db > spectrum_bottom_dbfs(p); db -= step) {
        char label[16];
        int y = (int)((spectrum_top_dbfs(p) - db) / p->options->range_db * rows + 0.01);
        snprintf(label, sizeof label, "%4.0f", db);
        cells_text(c, 0, top + y, CELLS_DIM, label);
    }
}

/* The bars, and above them rows for the labels of their peaks. */
static void draw_graph(const struct spectrum *p, struct cells *c, bool utf8, int rows, int width)
{
    int labels = p->band_count ? 0 : rows >= 12 ? 3 : rows >= 7 ? 2 : rows >= 4;
    for (int x = 0; x < width; x++)
        draw_bar(p, c, utf8, x, labels, rows, spectrum_height(p, level_at(p, x, width)));
    for (uint32_t i = 0; i < p->label_count && labels; i++)
        draw_label(p, c, labels, width, &p->labels[i]);
    draw_levels(p, c, labels, rows - labels);
}

static void draw_axis(const struct spectrum *p, struct cells *c, int y, int width)
{
    char label[16];
    double hz;
    int last = -1;
    cells_text(c, 0, y, CELLS_DIM, "dBFS");
    for (int i = 0; spectrum_tick(p, i, &hz, label); i++) {
        int length = (int)strlen(label), x = (int)(spectrum_place(p, hz) * width) - length / 2;
        x = x < 0 ? 0 : x + length > width ? width - length : x;
        if (x <= last)
            continue;
        cells_text(c, MARGIN + x, y, CELLS_DIM, label);
        last = x + length;
    }
}

/* So many rows before the newest; NULL: there is none, or none any more. */
static const float *fall_row(const struct spectrum *p, int age)
{
    if (!p->falls || age >= SPECTRUM_FALLS || (uint64_t)age > p->fall_row)
        return NULL;
    return p->fall + (p->fall_row - (uint64_t)age) % SPECTRUM_FALLS * SPECTRUM_COLUMNS;
}

static double heat_at(const struct spectrum *p, const float *row, int x, int width)
{
    return row ? spectrum_height(p, (double)column_of(row, x, width)) : 0;
}

static void draw_fall(const struct spectrum *p, struct cells *c, const struct terminal *t, int top,
                      int width)
{
    static const char *const letters[] = {" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"};
    enum { LETTERS = sizeof letters / sizeof *letters };
    bool halves = t->utf8 && t->depth != TERMINAL_PLAIN;
    int each = halves ? 2 : 1;
    for (int y = 0; top + y < c->rows; y++) {
        const float *newer = fall_row(p, y * each), *older = fall_row(p, y * each + 1);
        if (y % 5 == 0) {
            char label[16];
            snprintf(label, sizeof label, "%3.1fs", y * each * 0.1);
            cells_text(c, 0, top + y, CELLS_DIM, label);
        }
        for (int x = 0; x < width; x++) {
            double share = heat_at(p, newer, x, width);
            int32_t colour = (int32_t)canvas_heat(share);
            int letter = (int)(share * LETTERS);
            if (halves)
                cells_put(c, MARGIN + x, top + y, "▀", colour,
                          (int32_t)canvas_heat(heat_at(p, older, x, width)));
            else if (t->depth != TERMINAL_PLAIN)
                cells_put(c, MARGIN + x, top + y, " ", CELLS_PLAIN, colour);
            else
                cells_put(c, MARGIN + x, top + y, letters[letter < LETTERS ? letter : LETTERS - 1],
                          CELLS_PLAIN, CELLS_PLAIN);
        }
    }
}

/* The strongest alone, where there is no room for more. */
static void draw_line(const struct spectrum *p, struct terminal *t)
{
    char text[256];
    spectrum_peaks_text(p->labels, p->label_count, text, sizeof text);
    terminal_line(t, "%s", text);
}

void spectrum_draw(struct spectrum *p, struct terminal *t, int rows)
{
    int width = t->columns - MARGIN;
    if (rows < GRAPH_LEAST + 1 || t->columns < NARROW) {
        if (rows > 0)
            draw_line(p, t);
        return;
    }
    int graph = rows < 8 ? rows - 1 : (rows * 9 + 10) / 20;
    cells_clear(&p->cells, t->columns, rows);
    draw_graph(p, &p->cells, t->utf8, graph, width);
    draw_axis(p, &p->cells, graph, width);
    draw_fall(p, &p->cells, t, graph + 1, width);
    cells_show(&p->cells, t);
}
