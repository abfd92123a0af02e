/*
 * canvas.h - a picture of coloured pixels: boxes, curves, text, and PNG.
 *
 *     canvas_make(&c, 1600, 900, 0x10131a);
 *     canvas_text(&c, 20, 20, 2, CANVAS_LEFT, 0xffffff, "440 Hz");
 *     canvas_png(&c, &bytes, &size);
 *
 * Colours are 0xRRGGBB. What lies outside is not drawn.
 */
#ifndef CMD_CANVAS_H
#define CMD_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct canvas {
    int width, height;
    uint8_t *rgb; /* [height][width][3] */
};

/* False: no memory for it. */
bool canvas_make(struct canvas *c, int width, int height, uint32_t colour);
void canvas_free(struct canvas *c);

/* share: 0 leaves what is there, 1 covers it. */
void canvas_pixel(struct canvas *c, int x, int y, uint32_t colour, double share);
void canvas_box(struct canvas *c, int x, int y, int width, int height, uint32_t colour,
                double share);

/* A curve through y[0] at x, y[1] at x + 1, …, so many pixels thick. */
void canvas_curve(struct canvas *c, int x, const double *y, int count, double thick,
                  uint32_t colour);

enum canvas_align { CANVAS_LEFT, CANVAS_MIDDLE, CANVAS_RIGHT };

/* Letters are 6 * size wide and 9 * size high; x, y is the upper end of the text's left, middle or
 * right. What is no ASCII is a '?'. */
void canvas_text(struct canvas *c, int x, int y, double size, enum canvas_align align,
                 uint32_t colour, const char *text);
int canvas_text_width(double size, const char *text);

/* The same upwards: x, y is its lower end on the left. */
void canvas_text_up(struct canvas *c, int x, int y, double size, uint32_t colour, const char *text);

/* A PNG file (ISO 15948) in memory from malloc. False: no memory for it. */
bool canvas_png(const struct canvas *c, char **bytes, size_t *size);

/* A colour for 0..1: dark to bright, each step as visible as any other, fit for the colour-blind.
 */
uint32_t canvas_heat(double share);

#endif
