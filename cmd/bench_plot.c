/*
 * Four panels over the same axis of block sizes.
 *
 * A panel is 480 units wide. On a phone that is about the screen's width, so letters of 13 units
 * stay readable, and sizes that would stand closer than 44 units share a label: five digits fit.
 */
#include "bench.h"
#include "plot.h"

#include <math.h>
#include <stdarg.h>

enum { WIDTH = 480, HEIGHT = 300, LEFT = 58, RIGHT = 466, TOP = 30, BOTTOM = 248 };

const char *bench_class(enum odds_verdict v)
{
    return v == ODDS_SAFE ? "safe" : v == ODDS_RISKY ? "risky" : "small";
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

struct panel {
    FILE *to;
    const struct bench *b;
    struct axis y;
};

static const struct frame frame = {LEFT, RIGHT, TOP, BOTTOM};

static double x_of(const struct bench *b, uint32_t block_frames)
{
    double first = log2(b->rows[0].block_frames),
           last = log2(b->rows[b->row_count - 1].block_frames);
    double margin = fmax(0.06 * (last - first), 0.4);
    return LEFT +
           (log2(block_frames) - first + margin) / (last - first + 2 * margin) * (RIGHT - LEFT);
}

static double y_of(const struct axis *y, double value)
{
    return axis_y(y, &frame, value);
}

static void draw_y_axis(const struct panel *p)
{
    axis_draw(p->to, &p->y, &frame);
}

/* Each size has a tick, and a label where there is room for it. */
static void draw_x_axis(const struct panel *p)
{
    double last = -1000;
    for (int i = 0; i < p->b->row_count; i++) {
        double x = x_of(p->b, p->b->rows[i].block_frames);
        fprintf(p->to, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
                BOTTOM, BOTTOM + 5);
        if (x - last < 44)
            continue;
        last = x;
        fprintf(p->to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n", x,
                BOTTOM + 20, p->b->rows[i].block_frames);
    }
    fprintf(p->to,
            "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
            "<text class=\"dim\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">block size, frames "
            "(log scale)</text>\n",
            LEFT, RIGHT, BOTTOM, BOTTOM, (LEFT + RIGHT) / 2, BOTTOM + 42);
}

/* ---- Marks ------------------------------------------------------------------------------------
 */

/* The title is what a pointer over the mark shows. */
static void dot(const struct panel *p, const char *kind, double x, double y, const char *format,
                ...) __attribute__((format(printf, 5, 6)));
static void dot(const struct panel *p, const char *kind, double x, double y, const char *format,
                ...)
{
    va_list args;
    fprintf(p->to, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"><title>", kind, x, y);
    va_start(args, format);
    vfprintf(p->to, format, args);
    va_end(args);
    fputs("</title></circle>\n", p->to);
}

/* A value of a row, for a curve. */
typedef double value_fn(const struct bench *b, const struct bench_row *r);

static void curve(const struct panel *p, const char *kind, value_fn *value)
{
    fprintf(p->to, "<polyline class=\"path %s\" points=\"", kind);
    for (int i = 0; i < p->b->row_count; i++)
        fprintf(p->to, "%s%.1f,%.1f", i ? " " : "", x_of(p->b, p->b->rows[i].block_frames),
                y_of(&p->y, value(p->b, &p->b->rows[i])));
    fputs("\"/>\n", p->to);
}

static double device_latency_ms(const struct bench *b, const struct bench_row *r)
{
    return 1e3 * (bench_latency_frames(r) - r->adapter_frames) / b->rate_hz;
}

/* A microsecond is as little as shows: a logarithm has no 0. */
static double at_least_1_us(double ns)
{
    return fmax(ns, 1e3) / 1e6;
}

static double late_p999_ms(const struct bench *b, const struct bench_row *r)
{
    return at_least_1_us((double)r->contract.lateness_ns_p999);
}

static double late_max_ms(const struct bench *b, const struct bench_row *r)
{
    return at_least_1_us((double)r->contract.lateness_ns_max);
}

static double greatest(const struct bench *b, value_fn *value)
{
    double most = 0;
    for (int i = 0; i < b->row_count; i++)
        most = fmax(most, value(b, &b->rows[i]));
    return most;
}

static double least(const struct bench *b, value_fn *value)
{
    double low = HUGE_VAL;
    for (int i = 0; i < b->row_count; i++)
        low = fmin(low, value(b, &b->rows[i]));
    return low;
}

/* ---- Panels -----------------------------------------------------------------------------------
 */

/* One line of what the marks mean, above the panel. */
static void key(FILE *to, const char *kind, bool is_dashed, const char *meaning)
{
    if (is_dashed)
        fprintf(
            to,
            "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><line class=\"path dash %s\" "
            "x1=\"0\" x2=\"22\" y1=\"7\" y2=\"7\"/></svg>%s</span> ",
            kind, meaning);
    else
        fprintf(to,
                "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><circle class=\"%s\" "
                "cx=\"11\" cy=\"7\" r=\"5\"/></svg>%s</span> ",
                kind, meaning);
}

static struct panel begin_panel(FILE *to, const struct bench *b, const char *title)
{
    fprintf(to, "<section><h2>%s</h2><p class=\"key\">", title);
    return (struct panel){.to = to, .b = b};
}

/* label: what the panel shows, in a sentence, for those who do not see it. */
static void begin_plot(const struct panel *p, const char *id, const char *label, const char *unit)
{
    fprintf(p->to,
            "</p><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\" id=\"%s\">"
            "<title>%s</title>\n<text class=\"dim\" x=\"4\" y=\"14\">%s</text>\n",
            WIDTH, HEIGHT, label, id, label, unit);
}

static void end_panel(const struct panel *p)
{
    draw_x_axis(p);
    fputs("</svg></section>\n", p->to);
}

/* A value beside its mark, where the marks are far enough apart. */
static void value_labels(const struct panel *p, value_fn *value)
{
    double last = -1000;
    for (int i = 0; i < p->b->row_count; i++) {
        double x = x_of(p->b, p->b->rows[i].block_frames), v = value(p->b, &p->b->rows[i]);
        if (x - last < 44)
            continue;
        last = x;
        fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.*f</text>\n", x,
                y_of(&p->y, v) - 10,
                v < 10    ? 2
                : v < 100 ? 1
                          : 0,
                v);
    }
}

static void latency_panel(FILE *to, const struct bench *b)
{
    struct panel p = begin_panel(to, b, "Latency");
    bool adapts = false;
    for (int i = 0; i < b->row_count; i++)
        adapts |= b->rows[i].adapter_frames > 0;
    key(to, "a", false, adapts ? "in + out + adapter" : "in + out");
    if (adapts)
        key(to, "b hollow", false, "the device alone");
    begin_plot(&p, "latency", "Latency in milliseconds at each block size", "ms (log scale)");
    p.y = axis_logarithmic(fmax(least(b, device_latency_ms), 0.01),
                           fmax(greatest(b, bench_latency_ms), 0.02));
    draw_y_axis(&p);
    if (adapts)
        curve(&p, "b", device_latency_ms);
    curve(&p, "a", bench_latency_ms);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames);
        if (adapts)
            dot(&p, "b hollow", x, y_of(&p.y, device_latency_ms(b, r)), "%u: %.2f ms in the device",
                r->block_frames, device_latency_ms(b, r));
        dot(&p, "a", x, y_of(&p.y, bench_latency_ms(b, r)), "%u: %.2f ms", r->block_frames,
            bench_latency_ms(b, r));
    }
    value_labels(&p, bench_latency_ms);
    end_panel(&p);
}

static void cpu_panel(FILE *to, const struct bench *b)
{
    struct panel p = begin_panel(to, b, "CPU");
    key(to, "a", false, "callback, half to 99 % of the blocks");
    key(to, "b hollow", false, "device thread, all of it");
    begin_plot(&p, "cpu", "CPU use in percent of the time at each block size", "% of the time");
    p.y = axis_linear(0, fmax(greatest(b, bench_callback_p99), greatest(b, bench_thread_percent)));
    draw_y_axis(&p);
    curve(&p, "b", bench_thread_percent);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames), low = y_of(&p.y, bench_callback_p50(b, r)),
               high = y_of(&p.y, bench_callback_p99(b, r));
        dot(&p, "b hollow", x, y_of(&p.y, bench_thread_percent(b, r)), "%u: thread %.2f %%",
            r->block_frames, bench_thread_percent(b, r));
        fprintf(to,
                "<line class=\"bar a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<line class=\"bar a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                x, x, low, high, x - 5, x + 5, low, low);
        dot(&p, "a", x, high, "%u: callback p50 %.2f %%, p99 %.2f %%", r->block_frames,
            bench_callback_p50(b, r), bench_callback_p99(b, r));
    }
    end_panel(&p);
}

static void late_panel(FILE *to, const struct bench *b)
{
    struct panel p = begin_panel(to, b, "Woken late, against the deadline");
    key(to, "a", false, "99.9 % of the wake-ups");
    key(to, "b hollow", false, "the worst");
    key(to, "small", true, "deadline");
    begin_plot(&p, "lateness", "Lateness in milliseconds at each block size, and the deadline",
               "ms (log scale)");
    p.y = axis_logarithmic(fmin(least(b, late_p999_ms), least(b, bench_deadline_ms)),
                           fmax(greatest(b, late_max_ms), greatest(b, bench_deadline_ms)));
    draw_y_axis(&p);
    fprintf(to, "<polygon class=\"late\" points=\"%d,%d", LEFT, TOP);
    fprintf(to, " %d,%.1f", LEFT, y_of(&p.y, bench_deadline_ms(b, &b->rows[0])));
    for (int i = 0; i < b->row_count; i++)
        fprintf(to, " %.1f,%.1f", x_of(b, b->rows[i].block_frames),
                y_of(&p.y, bench_deadline_ms(b, &b->rows[i])));
    fprintf(to, " %d,%.1f %d,%d\"/>\n", RIGHT,
            y_of(&p.y, bench_deadline_ms(b, &b->rows[b->row_count - 1])), RIGHT, TOP);
    curve(&p, "dash small", bench_deadline_ms);
    curve(&p, "a", late_p999_ms);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames);
        if (b->row_count == 1)
            fprintf(to,
                    "<line class=\"path dash small\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    LEFT, RIGHT, y_of(&p.y, bench_deadline_ms(b, r)),
                    y_of(&p.y, bench_deadline_ms(b, r)));
        dot(&p, "b hollow", x, y_of(&p.y, late_max_ms(b, r)), "%u: the worst %.3f ms",
            r->block_frames, (double)r->contract.lateness_ns_max / 1e6);
        dot(&p, "a", x, y_of(&p.y, late_p999_ms(b, r)), "%u: p99.9 %.3f ms of %.3f ms",
            r->block_frames, (double)r->contract.lateness_ns_p999 / 1e6, bench_deadline_ms(b, r));
    }
    end_panel(&p);
}

/* 0 has a place of its own on the axis of misses, a decade below 1. */
static double miss_place(double misses_an_hour)
{
    return misses_an_hour > 0 ? fmax(1 + log10(misses_an_hour), 0) : 0;
}

/* The shape says what the colour says. */
static void verdict_mark(FILE *to, enum odds_verdict v, double x, double y)
{
    if (v == ODDS_SAFE)
        fprintf(to, "<circle class=\"safe\" cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/>", x, y);
    else if (v == ODDS_RISKY)
        fprintf(to, "<path class=\"risky\" d=\"M%.1f %.1fl6 11h-12z\"/>", x, y - 6.5);
    else
        fprintf(to, "<path class=\"small\" d=\"M%.1f %.1fh10v10h-10z\"/>", x - 5, y - 5);
}

static void verdict_key(FILE *to, enum odds_verdict v)
{
    fputs("<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">", to);
    verdict_mark(to, v, 11, 7);
    fprintf(to, "</svg>%s</span> ", odds_verdict_name(v));
}

static void miss_panel(FILE *to, const struct bench *b)
{
    struct panel p = begin_panel(to, b, "Missed deadlines");
    double most = 1;
    char label[32];
    for (int v = 0; v < ODDS_VERDICTS; v++)
        verdict_key(to, (enum odds_verdict)v);
    fputs("<span>bars: 95 % interval</span>", to);
    begin_plot(&p, "misses", "Missed deadlines an hour at each block size, with their interval",
               "misses an hour (log scale above 1)");
    for (int i = 0; i < b->row_count; i++)
        most = fmax(most, miss_place(b->rows[i].misses_an_hour.interval.high));
    p.y = (struct axis){.low = -0.15, .high = ceil(most + 0.1)};
    axis_line(to, &p.y, &frame, 0, "0");
    for (int decade = 1; decade <= (int)p.y.high; decade++) {
        axis_number(pow(10, decade - 1), label, sizeof label);
        axis_line(to, &p.y, &frame, decade, label);
    }
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        const struct odds_rate *m = &r->misses_an_hour;
        double x = x_of(b, r->block_frames), low = y_of(&p.y, miss_place(m->interval.low)),
               high = y_of(&p.y, miss_place(m->interval.high));
        fprintf(to, "<g><title>%u: %llu in %g s, %.0f an hour (%.1f to %.0f): %s</title>",
                r->block_frames, (unsigned long long)r->contract.misses_total, r->seconds,
                m->estimate, m->interval.low, m->interval.high, odds_verdict_name(r->verdict));
        fprintf(to, "<path class=\"path %s\" d=\"M%.1f %.1fV%.1fM%.1f %.1fh10M%.1f %.1fh10\"/>",
                bench_class(r->verdict), x, low, high, x - 5, low, x - 5, high);
        verdict_mark(to, r->verdict, x, y_of(&p.y, miss_place(m->estimate)));
        fputs("</g>\n", to);
    }
    end_panel(&p);
}

void bench_plots(const struct bench *b, FILE *to)
{
    fputs("<div class=\"panels\">\n", to);
    latency_panel(to, b);
    cpu_panel(to, b);
    late_panel(to, b);
    miss_panel(to, b);
    fputs("</div>\n", to);
}
