/*
 * scale.h - a meter's scale on the terminal: a bar on it, and its numbers underneath.
 *
 *     static const double numbers[] = {0, -10, -20, -5};
 *     static const struct scale vu = {-20, 3, 0, 1, true, numbers, 4};
 *     scale_bar(t, bar, sizeof bar, width, &vu, now, most, scale_nowhere);
 */
#ifndef CMD_SCALE_H
#define CMD_SCALE_H

#include "terminal.h"

struct scale {
    double low, high;      /* at its ends */
    double yellow, red;    /* where these colours begin */
    bool is_voltage;       /* in dB, but as wide as the voltage is high */
    const double *numbers; /* that stand on it, those first that are needed most */
    int number_count;
};

/* For a mark that is not there: below every scale. */
extern const double scale_nowhere;

/* A bar of `width` cells up to `value`, with a strong mark and, where the bar leaves it free, a
 * faint one. What lies beyond an end stands at it; below the low one a mark is not shown. */
void scale_bar(const struct terminal *t, char *to, size_t size, int width, const struct scale *s,
               double value, double mark, double faint);

/* The same with a pointer at `value` instead, for what has its zero in the middle. */
void scale_pointer(const struct terminal *t, char *to, size_t size, int width,
                   const struct scale *s, double value, double mark);

/* The numbers, as many as fit, and spaces up to width. */
void scale_numbers(char *to, size_t size, int width, const struct scale *s);

#endif
