#include "scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const double scale_nowhere = -1e9;

/* 0 at the low end, 1 at the high one. */
static double share_of(const struct scale *s, double value)
{
    double share = (value - s->low) / (s->high - s->low);
    if (s->is_voltage) {
        double low = pow(10, s->low / 20);
        share = (pow(10, value / 20) - low) / (pow(10, s->high / 20) - low);
    }
    return share > 0 ? share < 1 ? share : 1 : 0;
}

/* The cell that a mark stands in, or -1. */
static int cell_of(const struct scale *s, double value, int width)
{
    return value >= s->low ? (int)(share_of(s, value) * (width - 1) + 0.5) : -1;
}

/* The colour of a cell, by what its middle stands for. */
static const char *colour_of(const struct terminal *t, const struct scale *s, int cell, int width)
{
    double middle = (cell + 0.5) / width;
    const char *now = middle > share_of(s, s->red)      ? "\033[31m"
                      : middle > share_of(s, s->yellow) ? "\033[33m"
                                                        : "\033[32m";
    return t->colours ? now : "";
}

struct look {
    const char *faint, *strong, *empty, *pointer;
};

static const struct look *look_of(const struct terminal *t)
{
    static const struct look utf8 = {"┆", "┃", " ", "◆"}, plain = {":", "|", ".", "O"};
    return t->utf8 ? &utf8 : &plain;
}

void scale_bar(const struct terminal *t, char *to, size_t size, int width, const struct scale *s,
               double value, double mark, double faint)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    const struct look *look = look_of(t);
    double fill = share_of(s, value) * width;
    int strong_at = cell_of(s, mark, width), faint_at = cell_of(s, faint, width);
    const char *last = "";
    size_t used = 0;
    to[0] = '\0';
    for (int i = 0; i < width && used + 16 < size; i++) {
        int part = fill - i >= 1 ? 8 : fill > i ? (int)((fill - i) * 8 + 0.5) : 0;
        const char *cell = look->empty, *now = colour_of(t, s, i, width);
        if (i == strong_at && part < 8)
            cell = look->strong;
        else if (part)
            cell = t->utf8 ? eighths[part] : "#";
        else if (i == faint_at)
            cell = look->faint;
        used +=
            (size_t)snprintf(to + used, size - used, "%s%s", strcmp(now, last) ? now : "", cell);
        last = now;
    }
    snprintf(to + used, size - used, "%s", terminal_plain(t));
}

void scale_pointer(const struct terminal *t, char *to, size_t size, int width,
                   const struct scale *s, double value, double mark)
{
    const struct look *look = look_of(t);
    int pointer_at = cell_of(s, value, width), mark_at = cell_of(s, mark, width);
    int middle = width / 2;
    size_t used = 0;
    to[0] = '\0';
    for (int i = 0; i < width && used + 32 < size; i++) {
        bool points = i == pointer_at;
        const char *cell = points         ? look->pointer
                           : i == mark_at ? look->strong
                           : i == middle  ? look->faint
                                          : look->empty;
        /* A pointer is coloured by its value: low is what is bad here. */
        const char *now = !t->colours || !(points || i == mark_at) ? ""
                          : i * 2 < width - 1                      ? "\033[31m"
                                                                   : "\033[32m";
        used += (size_t)snprintf(to + used, size - used, "%s%s%s", now, cell,
                                 *now ? terminal_plain(t) : "");
    }
}

void scale_numbers(char *to, size_t size, int width, const struct scale *s)
{
    width = width < (int)size ? width : (int)size - 1;
    memset(to, ' ', (size_t)width);
    to[width] = '\0';
    for (int i = 0; i < s->number_count; i++) {
        char number[16];
        int length = snprintf(number, sizeof number, "%g", s->numbers[i]);
        int at = (int)(share_of(s, s->numbers[i]) * (width - 1) + 0.5) - length / 2;
        at = at < 0 ? 0 : at + length > width ? width - length : at;
        if (at < 0)
            continue;
        /* A space on each side, or the number is left out. */
        int from = at ? at - 1 : 0, end = at + length < width ? at + length + 1 : width;
        if ((int)strspn(to + from, " ") >= end - from)
            memcpy(to + at, number, (size_t)length);
    }
}
