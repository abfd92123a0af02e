#include "canvas.h"

#include "font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool canvas_make(struct canvas *c, int width, int height, uint32_t colour)
{
    *c = (struct canvas){.width = width, .height = height};
    c->rgb = malloc((size_t)width * (size_t)height * 3);
    if (c->rgb)
        canvas_box(c, 0, 0, width, height, colour, 1);
    return c->rgb;
}

void canvas_free(struct canvas *c)
{
    free(c->rgb);
    c->rgb = NULL;
}

void canvas_pixel(struct canvas *c, int x, int y, uint32_t colour, double share)
{
    if (x < 0 || y < 0 || x >= c->width || y >= c->height || !(share > 0))
        return;
    uint8_t *at = c->rgb + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    for (int i = 0; i < 3; i++) {
        uint8_t to = (uint8_t)(colour >> (16 - 8 * i));
        at[i] = share < 1 ? (uint8_t)(at[i] + (to - at[i]) * share + 0.5) : to;
    }
}

void canvas_box(struct canvas *c, int x, int y, int width, int height, uint32_t colour,
                double share)
{
    for (int j = y; j < y + height; j++)
        for (int i = x; i < x + width; i++)
            canvas_pixel(c, i, j, colour, share);
}

/* Each column is covered from the upper edge of the curve there to the lower one, in part at both
 * ends. */
void canvas_curve(struct canvas *c, int x, const double *y, int count, double thick,
                  uint32_t colour)
{
    for (int i = 0; i < count; i++) {
        /* Half way to the neighbours; those behind the ends are at the ends. */
        double left = i ? (y[i - 1] + y[i]) / 2 : y[i],
               right = i + 1 < count ? (y[i] + y[i + 1]) / 2 : y[i];
        double top = fmin(fmin(left, right), y[i]) - thick / 2,
               bottom = fmax(fmax(left, right), y[i]) + thick / 2;
        top = fmax(top, -1);
        bottom = fmin(bottom, c->height + 1.0);
        for (int j = (int)floor(top); j < bottom; j++)
            canvas_pixel(c, x + i, j, colour, fmin(j + 1, bottom) - fmax(j, top));
    }
}

/* ---- Text -------------------------------------------------------------------------------------
 */

/* How much of a glyph is at a place, in its dots: between the middles of four dots. */
static double ink_at(const uint8_t *glyph, double u, double v)
{
    double sum = 0, left = floor(u - 0.5), top = floor(v - 0.5);
    for (int k = 0; k < 4; k++) {
        int column = (int)left + (k & 1), row = (int)top + (k >> 1);
        double part = (1 - fabs(column + 0.5 - u)) * (1 - fabs(row + 0.5 - v));
        bool on = column >= 0 && column < FONT_WIDTH && row >= 0 && row < FONT_HEIGHT &&
                  glyph[row] >> (FONT_WIDTH - 1 - column) & 1;
        sum += on ? part : 0;
    }
    return sum;
}

static void draw_glyph(struct canvas *c, int x, int y, double size, uint32_t colour, char letter,
                       bool is_up)
{
    const uint8_t *glyph = font_glyph(letter);
    for (int j = 0; j < FONT_HEIGHT * size; j++)
        for (int i = 0; i < FONT_WIDTH * size; i++) {
            double ink = ink_at(glyph, (i + 0.5) / size, (j + 0.5) / size);
            double share = (ink - 0.5) * fmax(size, 1) + 0.5; /* edges about one pixel wide */
            canvas_pixel(c, is_up ? x + j : x + i, is_up ? y - i : y + j, colour, share);
        }
}

int canvas_text_width(double size, const char *text)
{
    return (int)((double)font_letters(text) * (FONT_WIDTH + 1) * size);
}

static void draw_text(struct canvas *c, int x, int y, double size, uint32_t colour,
                      const char *text, bool is_up)
{
    for (int i = 0; *text; i++, text = font_next(text)) {
        int along = (int)(i * (FONT_WIDTH + 1) * size);
        draw_glyph(c, is_up ? x : x + along, is_up ? y - along : y, size, colour, *text, is_up);
    }
}

void canvas_text(struct canvas *c, int x, int y, double size, enum canvas_align align,
                 uint32_t colour, const char *text)
{
    int width = canvas_text_width(size, text);
    x -= align == CANVAS_RIGHT ? width : align == CANVAS_MIDDLE ? width / 2 : 0;
    draw_text(c, x, y, size, colour, text, false);
}

void canvas_text_up(struct canvas *c, int x, int y, double size, uint32_t colour, const char *text)
{
    draw_text(c, x, y, size, colour, text, true);
}

/* ---- Heat -------------------------------------------------------------------------------------
 */

/* Lightness rises evenly from one to the next, by way of violet, red and orange. */
uint32_t canvas_heat(double share)
{
    static const uint8_t stops[][3] = {
        {6, 6, 18},    {32, 17, 75},   {78, 18, 110},  {122, 29, 110}, {167, 45, 96},
        {207, 70, 70}, {236, 108, 40}, {250, 157, 28}, {250, 208, 80}, {255, 252, 200}};
    enum { LAST = sizeof stops / sizeof *stops - 1 };
    double at = (share > 0 ? share < 1 ? share : 1 : 0) * LAST;
    int from = at < LAST ? (int)at : LAST - 1;
    uint32_t colour = 0;
    for (int i = 0; i < 3; i++)
        colour =
            colour << 8 |
            (uint32_t)(stops[from][i] + (stops[from + 1][i] - stops[from][i]) * (at - from) + 0.5);
    return colour;
}
