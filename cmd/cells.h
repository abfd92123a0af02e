/*
 * cells.h - a part of a live view that is made cell by cell, in any order and in colours of 24
 * bits, and shown with those that the terminal has.
 *
 *     cells_clear(&c, t->columns, 12);
 *     cells_put(&c, x, y, "▀", canvas_heat(0.7), canvas_heat(0.2));
 *     cells_text(&c, 0, 0, CELLS_PLAIN, "-20");
 *     cells_show(&c, t);
 */
#ifndef CMD_CELLS_H
#define CMD_CELLS_H

#include "terminal.h"

#include <stdint.h>

enum { CELLS_PLAIN = -1, CELLS_DIM = -2 }; /* instead of 0xRRGGBB */

struct cell {
    char glyph[4]; /* one character of UTF-8, without an end where it has four bytes */
    int32_t colour, behind;
};

struct cells {
    int columns, rows;
    struct cell *cell; /* [rows][columns] */
    size_t room;
};

/* All blank, of that size. Where memory ends it has no rows. */
void cells_clear(struct cells *c, int columns, int rows);
void cells_free(struct cells *c);

/* What lies outside is left out. */
void cells_put(struct cells *c, int x, int y, const char *glyph, int32_t colour, int32_t behind);
void cells_text(struct cells *c, int x, int y, int32_t colour, const char *ascii);

/* Are the cells from x on, so many, blank and inside? */
bool cells_are_blank(const struct cells *c, int x, int y, int count);

/* A line of the picture for each row. */
void cells_show(const struct cells *c, struct terminal *t);

#endif
