#include "plot.h"

#include <math.h>

struct axis axis_logarithmic(double least, double most)
{
    struct axis a = {.low = floor(log10(least)), .high = ceil(log10(most)), .is_log = true};
    a.high = fmax(a.high, a.low + 1);
    return a;
}

/* About five lines: the distance between them is 1, 2 or 5 times a power of ten. */
struct axis axis_linear(double least, double most)
{
    double width = fmax(most - least, 1e-3) * 1.05, unit = pow(10, floor(log10(width / 5)));
    double step = unit;
    for (const double *s = (const double[]){1, 2, 5, 10, 0}; *s && step * 5 < width; s++)
        step = *s * unit;
    return (struct axis){
        .low = floor(least / step) * step, .high = ceil(most / step) * step, .step = step};
}

static double share_of(const struct axis *a, double value)
{
    double v = a->is_log ? log10(fmax(value, 1e-12)) : value;
    return fmin(fmax((v - a->low) / (a->high - a->low), 0), 1);
}

double axis_y(const struct axis *a, const struct frame *f, double value)
{
    return f->bottom - share_of(a, value) * (f->bottom - f->top);
}

double axis_x(const struct axis *a, const struct frame *f, double value)
{
    return f->left + share_of(a, value) * (f->right - f->left);
}

void axis_number(double value, char *to, size_t size)
{
    static const char *const small[] = {"10⁻⁴", "10⁻⁵", "10⁻⁶", "10⁻⁷", "10⁻⁸", "10⁻⁹"};
    double decade = -4 - log10(value);
    if (decade > -0.1 && decade < 5.1 && fabs(decade - round(decade)) < 1e-9)
        snprintf(to, size, "%s", small[(int)round(decade)]);
    else if (value >= 1e6)
        snprintf(to, size, "%gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(to, size, "%gk", value / 1e3);
    else
        snprintf(to, size, "%g", value);
}

void axis_line(FILE *to, const struct axis *y, const struct frame *f, double value,
               const char *label)
{
    double at = axis_y(y, f, value);
    fprintf(to,
            "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"dim\" x=\"%g\" y=\"%.1f\" dy=\".35em\" "
            "text-anchor=\"end\">%s</text>\n",
            f->left, f->right, at, at, f->left - 6, at, label);
}

/* The k-th line of a straight axis; nothing is added up, so 0 is 0. */
static double line_at(const struct axis *a, int k)
{
    return (floor(a->low / a->step + 0.5) + k) * a->step;
}

static int lines_of(const struct axis *a)
{
    return (int)floor((a->high - a->low) / a->step + 0.5);
}

static void draw_decades(FILE *to, const struct axis *y, const struct frame *f)
{
    char label[32];
    bool fine = y->high - y->low <= 2;
    for (int decade = (int)y->low; decade <= (int)y->high; decade++)
        for (const int *step = fine ? (const int[]){1, 2, 5, 0} : (const int[]){1, 0}; *step;
             step++) {
            double v = *step * pow(10, decade);
            if (log10(v) > y->high + 1e-9)
                continue;
            axis_number(v, label, sizeof label);
            axis_line(to, y, f, v, label);
        }
}

void axis_draw(FILE *to, const struct axis *y, const struct frame *f)
{
    char label[32];
    if (y->is_log) {
        draw_decades(to, y, f);
        return;
    }
    for (int k = 0; k <= lines_of(y); k++) {
        axis_number(line_at(y, k), label, sizeof label);
        axis_line(to, y, f, line_at(y, k), label);
    }
}

static void draw_tick(FILE *to, const struct axis *x, const struct frame *f, double value)
{
    char label[32];
    double at = axis_x(x, f, value);
    axis_number(value, label, sizeof label);
    fprintf(to,
            "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>"
            "<text x=\"%.1f\" y=\"%g\" dy=\"1.15em\" text-anchor=\"middle\">%s</text>\n",
            at, at, f->bottom, f->bottom + 5, at, f->bottom + 5, label);
}

void axis_draw_x(FILE *to, const struct axis *x, const struct frame *f, const char *unit)
{
    fprintf(to,
            "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>"
            "<text class=\"dim\" x=\"%g\" y=\"%g\" dy=\"2.3em\" text-anchor=\"middle\">"
            "%s</text>\n",
            f->left, f->right, f->bottom, f->bottom, (f->left + f->right) / 2, f->bottom + 8, unit);
    for (int decade = (int)x->low; x->is_log && decade <= (int)x->high; decade++)
        draw_tick(to, x, f, pow(10, decade));
    /* An axis may have been cut short of its last line. */
    for (int k = 0; !x->is_log && k <= lines_of(x); k++)
        if (line_at(x, k) <= x->high + 1e-9 * x->step)
            draw_tick(to, x, f, line_at(x, k));
}
