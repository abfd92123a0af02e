#include "cells.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cells_clear(struct cells *c, int columns, int rows)
{
    size_t count = columns > 0 && rows > 0 ? (size_t)columns * (size_t)rows : 0;
    c->columns = columns;
    c->rows = count ? rows : 0;
    if (count > c->room) {
        free(c->cell);
        c->cell = malloc(count * sizeof *c->cell);
        c->room = c->cell ? count : 0;
        c->rows = c->cell ? rows : 0;
    }
    for (size_t i = 0; c->rows && i < count; i++)
        c->cell[i] = (struct cell){.glyph = " ", .colour = CELLS_PLAIN, .behind = CELLS_PLAIN};
}

void cells_free(struct cells *c)
{
    free(c->cell);
    *c = (struct cells){0};
}

static struct cell *at(const struct cells *c, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < c->columns && y < c->rows;
    return inside ? &c->cell[(size_t)y * (size_t)c->columns + (size_t)x] : NULL;
}

void cells_put(struct cells *c, int x, int y, const char *glyph, int32_t colour, int32_t behind)
{
    struct cell *cell = at(c, x, y);
    int length = utf8_length(glyph);
    if (!cell || length < 1)
        return;
    memset(cell->glyph, 0, sizeof cell->glyph);
    memcpy(cell->glyph, glyph, (size_t)length);
    cell->colour = colour;
    cell->behind = behind;
}

void cells_text(struct cells *c, int x, int y, int32_t colour, const char *ascii)
{
    for (; *ascii; ascii++, x++)
        cells_put(c, x, y, (char[]){*ascii, '\0'}, colour, CELLS_PLAIN);
}

bool cells_are_blank(const struct cells *c, int x, int y, int count)
{
    for (int i = 0; i < count; i++) {
        const struct cell *cell = at(c, x + i, y);
        if (!cell || cell->glyph[0] != ' ' || cell->behind != CELLS_PLAIN)
            return false;
    }
    return true;
}

/* ---- Colours ----------------------------------------------------------------------------------
 */

/* The nearest in the cube of 6 * 6 * 6 that terminals with 256 colours have from 16 on. */
static int in_cube(int32_t colour)
{
    static const int steps[] = {0, 95, 135, 175, 215, 255};
    int index = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        int level = colour >> shift & 0xff, step = 0;
        while (step < 5 && level > (steps[step] + steps[step + 1]) / 2)
            step++;
        index = index * 6 + step;
    }
    return 16 + index;
}

static int write_colour(const struct terminal *t, char *to, size_t size, bool is_behind,
                        int32_t colour)
{
    if (colour < 0)
        return snprintf(to, size, "\033[%dm", is_behind ? 49 : 39);
    if (t->depth == TERMINAL_TRUE)
        return snprintf(to, size, "\033[%d;2;%d;%d;%dm", is_behind ? 48 : 38, colour >> 16 & 0xff,
                        colour >> 8 & 0xff, colour & 0xff);
    return snprintf(to, size, "\033[%d;5;%dm", is_behind ? 48 : 38, in_cube(colour));
}

static void show_row(const struct cells *c, struct terminal *t, int row, char *line)
{
    enum { EACH = 64 };
    int32_t colour = CELLS_PLAIN, behind = CELLS_PLAIN;
    size_t used = 0;
    const struct cell *cell = c->cell + (size_t)row * (size_t)c->columns;
    for (const struct cell *end = cell + c->columns; cell < end; cell++) {
        bool dims = cell->colour == CELLS_DIM || colour == CELLS_DIM;
        if (cell->colour != colour && t->colours && dims) {
            /* What is dim is so until all is plain again. */
            used += (size_t)snprintf(line + used, EACH, "\033[0m%s",
                                     cell->colour == CELLS_DIM ? "\033[2m" : "");
            behind = CELLS_PLAIN;
            colour = cell->colour == CELLS_DIM ? CELLS_DIM : CELLS_PLAIN;
        }
        if (cell->colour != colour && t->depth != TERMINAL_PLAIN)
            used += (size_t)write_colour(t, line + used, EACH, false, cell->colour);
        if (cell->behind != behind && t->depth != TERMINAL_PLAIN)
            used += (size_t)write_colour(t, line + used, EACH, true, cell->behind);
        colour = cell->colour;
        behind = cell->behind;
        size_t length = strnlen(cell->glyph, sizeof cell->glyph);
        memcpy(line + used, cell->glyph, length);
        used += length;
    }
    line[used] = '\0';
    terminal_ready_line(t, line);
}

void cells_show(const struct cells *c, struct terminal *t)
{
    enum { EACH = 96 };
    char *line = malloc((size_t)c->columns * EACH + EACH);
    for (int row = 0; line && row < c->rows; row++)
        show_row(c, t, row, line);
    free(line);
}
