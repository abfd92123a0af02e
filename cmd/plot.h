/*
 * plot.h - axes for pictures in SVG: where a value lies, and the lines across with their numbers.
 */
#ifndef CMD_PLOT_H
#define CMD_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The plot's own edges within its picture. */
struct frame {
    double left, right, top, bottom;
};

/* Ends in the units that it is straight in: logarithms, or the values themselves. */
struct axis {
    double low, high;
    double step; /* between two lines, where it is not logarithmic */
    bool is_log;
};

/* Whole decades around both, both above 0. */
struct axis axis_logarithmic(double least, double most);
/* Round numbers around both; 0 is one of its lines, if it is in between. */
struct axis axis_linear(double least, double most);

/* The place of a value, at most at the frame's edge. */
double axis_y(const struct axis *a, const struct frame *f, double value);
double axis_x(const struct axis *a, const struct frame *f, double value);

/* Lines across the frame, each with its number on the left; or one of them. */
void axis_draw(FILE *to, const struct axis *y, const struct frame *f);
void axis_line(FILE *to, const struct axis *y, const struct frame *f, double value,
               const char *label);
/* Ticks below the frame, and what they count. */
void axis_draw_x(FILE *to, const struct axis *x, const struct frame *f, const char *unit);

/* "1.5", "20k", "3M". */
void axis_number(double value, char *to, size_t size);

#endif
