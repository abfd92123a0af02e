/*
 * font.h - letters of dots for pictures: ASCII, five dots wide and nine high, two of them below the
 * line.
 */
#ifndef CMD_FONT_H
#define CMD_FONT_H

#include <stddef.h>
#include <stdint.h>

enum { FONT_WIDTH = 5, FONT_HEIGHT = 9 };

/* Its rows from the top, the leftmost dot in bit 4; those of '?' for what there is none. */
const uint8_t *font_glyph(char letter);

/* The next character of UTF-8 text, and how many there are. */
const char *font_next(const char *text);
size_t font_letters(const char *text);

#endif
