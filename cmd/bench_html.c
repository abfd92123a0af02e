/*
 * The picture: one page without anything from elsewhere and without scripts, readable on a phone
 * and in the dark. Four panels over the same axis of block sizes, the table, the machine, and what
 * the words mean. Everything that came from outside is escaped.
 *
 * A panel is 480 units wide. On a phone that is about the screen's width, so letters of 13 units
 * stay readable, and at most eight of the sizes get a label, which then have room for five digits.
 */
#include "bench.h"
#include "json.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { WIDTH = 480, HEIGHT = 300, LEFT = 58, RIGHT = 466, TOP = 30, BOTTOM = 248 };

static const char *const style =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d8dee4;\n"
    "--card:#f6f8fa;--a:#0969da;--b:#8250df;--safe:#1a7f37;--risky:#9a6700;--small:#cf222e}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;\n"
    "--line:#30363d;--card:#161b22;--a:#58a6ff;--b:#bc8cff;--safe:#3fb950;--risky:#d29922;\n"
    "--small:#f85149}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:80rem;padding:1rem;background:var(--bg);color:var(--fg);\n"
    "font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.05rem;margin:0}\n"
    ".what,.key,.note{color:var(--dim);margin:.25rem 0}.key,.note{font-size:.875rem}\n"
    ".verdict{font-size:1.15rem;border-left:.3rem solid var(--dim);padding:.4rem .8rem;\n"
    "background:var(--card);margin:1rem 0}.verdict.safe{border-color:var(--safe)}\n"
    ".verdict.risky{border-color:var(--risky)}.verdict.small{border-color:var(--small)}\n"
    ".panels{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),"
    "1fr))}\n"
    "section{background:var(--card);border-radius:.5rem;padding:.8rem;min-width:0}\n"
    "svg{display:block;width:100%;height:auto;font:13px system-ui,sans-serif;fill:var(--fg)}\n"
    "svg .dim{fill:var(--dim)}.grid{stroke:var(--line)}.axis{stroke:var(--dim)}\n"
    ".a{fill:var(--a);stroke:var(--a)}.b{fill:var(--b);stroke:var(--b)}\n"
    ".small{fill:var(--small);stroke:var(--small)}.safe{fill:var(--safe);stroke:var(--safe)}\n"
    ".risky{fill:var(--risky);stroke:var(--risky)}\n"
    ".path{fill:none;stroke-width:2}.hollow{fill:var(--card);stroke-width:2}\n"
    ".bar{stroke-width:2}.late{fill:var(--small);opacity:.1}.dash{stroke-dasharray:6 4}\n"
    ".key "
    "svg{display:inline-block;width:1.4em;height:.9em;vertical-align:-.08em;margin-right:.3em}\n"
    ".key span{white-space:nowrap;margin-right:1em}\n"
    ".scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.85rem;\n"
    "font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600;padding:.3rem 0}\n"
    "th,td{padding:.25rem .4rem;text-align:right;border-bottom:1px solid var(--line);\n"
    "white-space:nowrap}thead th{color:var(--dim);font-weight:500;vertical-align:bottom}\n"
    "td.word{text-align:left;font-weight:600}td.safe{color:var(--safe)}\n"
    "td.risky{color:var(--risky)}td.small{color:var(--small)}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:1rem 0}\n"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\n";

/* ---- Words ------------------------------------------------------------------------------------
 */

/* For text and for attributes. What XML cannot hold becomes '?', what is no UTF-8 U+FFFD. */
static void put_escaped(FILE *to, const char *text)
{
    while (*text) {
        int length = utf8_length(text);
        switch (*text) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        case '\'':
            fputs("&#39;", to);
            break;
        default:
            if (length == 0)
                fputs("&#xfffd;", to);
            else if ((unsigned char)*text < 0x20 || *text == 0x7f)
                fputc('?', to);
            else
                fwrite(text, 1, (size_t)length, to);
        }
        text += length ? length : 1;
    }
}

static const char *class_of(enum odds_verdict v)
{
    return v == ODDS_SAFE ? "safe" : v == ODDS_RISKY ? "risky" : "small";
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

struct axis {
    double low,
        high; /* in the units that it is straight in: logarithms, or the values themselves */
    bool is_log;
};

struct panel {
    FILE *to;
    const struct bench *b;
    struct axis y;
};

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
    double v = y->is_log ? log10(fmax(value, 1e-12)) : value;
    double share = (v - y->low) / (y->high - y->low);
    return BOTTOM - fmin(fmax(share, 0), 1) * (BOTTOM - TOP);
}

/* Whole decades around all of them. */
static struct axis log_axis(double least, double most)
{
    struct axis y = {.low = floor(log10(least)), .high = ceil(log10(most)), .is_log = true};
    y.high = fmax(y.high, y.low + 1);
    return y;
}

/* From 0 to a round number. */
static struct axis linear_axis(double most)
{
    double unit = pow(10, floor(log10(fmax(most, 1e-3) * 1.05))), high = unit;
    for (const double *step = (const double[]){1, 2, 4, 5, 6, 8, 10, 0}; *step; step++) {
        high = *step * unit;
        if (high >= most * 1.05)
            break;
    }
    return (struct axis){.low = 0, .high = high};
}

static void grid_line(const struct panel *p, double y, const char *label)
{
    fprintf(p->to,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"dim\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            LEFT, RIGHT, y, y, LEFT - 6, y + 4.5, label);
}

static void number_text(double v, char *to, size_t size)
{
    if (v >= 1e6)
        snprintf(to, size, "%gM", v / 1e6);
    else if (v >= 1e4)
        snprintf(to, size, "%gk", v / 1e3);
    else
        snprintf(to, size, "%g", v);
}

static void draw_y_axis(const struct panel *p)
{
    char label[32];
    const struct axis *y = &p->y;
    if (!y->is_log) {
        for (int i = 0; i <= 4; i++) {
            number_text(y->high * i / 4, label, sizeof label);
            grid_line(p, y_of(y, y->high * i / 4), label);
        }
        return;
    }
    bool fine = y->high - y->low <= 2;
    for (int decade = (int)y->low; decade <= (int)y->high; decade++)
        for (const int *step = fine ? (const int[]){1, 2, 5, 0} : (const int[]){1, 0}; *step;
             step++) {
            double v = *step * pow(10, decade);
            if (log10(v) > y->high + 1e-9)
                continue;
            number_text(v, label, sizeof label);
            grid_line(p, y_of(y, v), label);
        }
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

static double latency_ms(const struct bench *b, const struct bench_row *r)
{
    return 1e3 * bench_latency_frames(r) / b->rate_hz;
}

static double device_latency_ms(const struct bench *b, const struct bench_row *r)
{
    return 1e3 * (bench_latency_frames(r) - r->adapter_frames) / b->rate_hz;
}

static double callback_p50(const struct bench *b, const struct bench_row *r)
{
    return (double)r->contract.duration_ns_p50 / 1e7 / bench_block_s(b, r);
}

static double callback_p99(const struct bench *b, const struct bench_row *r)
{
    return (double)r->contract.duration_ns_p99 / 1e7 / bench_block_s(b, r);
}

static double thread_percent(const struct bench *b, const struct bench_row *r)
{
    return isfinite(r->thread_load) ? 100 * r->thread_load : 0;
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

static double deadline_ms(const struct bench *b, const struct bench_row *r)
{
    return 1e3 * bench_deadline_s(b, r);
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
    double low = INFINITY;
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
    p.y = log_axis(fmax(least(b, device_latency_ms), 0.01), fmax(greatest(b, latency_ms), 0.02));
    draw_y_axis(&p);
    if (adapts)
        curve(&p, "b", device_latency_ms);
    curve(&p, "a", latency_ms);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames);
        if (adapts)
            dot(&p, "b hollow", x, y_of(&p.y, device_latency_ms(b, r)), "%u: %.2f ms in the device",
                r->block_frames, device_latency_ms(b, r));
        dot(&p, "a", x, y_of(&p.y, latency_ms(b, r)), "%u: %.2f ms", r->block_frames,
            latency_ms(b, r));
    }
    value_labels(&p, latency_ms);
    end_panel(&p);
}

static void cpu_panel(FILE *to, const struct bench *b)
{
    struct panel p = begin_panel(to, b, "CPU");
    key(to, "a", false, "callback, half to 99 % of the blocks");
    key(to, "b hollow", false, "device thread, all of it");
    begin_plot(&p, "cpu", "CPU use in percent of the time at each block size", "% of the time");
    p.y = linear_axis(fmax(greatest(b, callback_p99), greatest(b, thread_percent)));
    draw_y_axis(&p);
    curve(&p, "b", thread_percent);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames), low = y_of(&p.y, callback_p50(b, r)),
               high = y_of(&p.y, callback_p99(b, r));
        dot(&p, "b hollow", x, y_of(&p.y, thread_percent(b, r)), "%u: thread %.2f %%",
            r->block_frames, thread_percent(b, r));
        fprintf(to,
                "<line class=\"bar a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<line class=\"bar a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                x, x, low, high, x - 5, x + 5, low, low);
        dot(&p, "a", x, high, "%u: callback p50 %.2f %%, p99 %.2f %%", r->block_frames,
            callback_p50(b, r), callback_p99(b, r));
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
    p.y = log_axis(fmin(least(b, late_p999_ms), least(b, deadline_ms)),
                   fmax(greatest(b, late_max_ms), greatest(b, deadline_ms)));
    draw_y_axis(&p);
    fprintf(to, "<polygon class=\"late\" points=\"%d,%d", LEFT, TOP);
    fprintf(to, " %d,%.1f", LEFT, y_of(&p.y, deadline_ms(b, &b->rows[0])));
    for (int i = 0; i < b->row_count; i++)
        fprintf(to, " %.1f,%.1f", x_of(b, b->rows[i].block_frames),
                y_of(&p.y, deadline_ms(b, &b->rows[i])));
    fprintf(to, " %d,%.1f %d,%d\"/>\n", RIGHT,
            y_of(&p.y, deadline_ms(b, &b->rows[b->row_count - 1])), RIGHT, TOP);
    curve(&p, "dash small", deadline_ms);
    curve(&p, "a", late_p999_ms);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        double x = x_of(b, r->block_frames);
        if (b->row_count == 1)
            fprintf(to,
                    "<line class=\"path dash small\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    LEFT, RIGHT, y_of(&p.y, deadline_ms(b, r)), y_of(&p.y, deadline_ms(b, r)));
        dot(&p, "b hollow", x, y_of(&p.y, late_max_ms(b, r)), "%u: the worst %.3f ms",
            r->block_frames, (double)r->contract.lateness_ns_max / 1e6);
        dot(&p, "a", x, y_of(&p.y, late_p999_ms(b, r)), "%u: p99.9 %.3f ms of %.3f ms",
            r->block_frames, (double)r->contract.lateness_ns_p999 / 1e6, deadline_ms(b, r));
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
    grid_line(&p, y_of(&p.y, 0), "0");
    for (int decade = 1; decade <= (int)p.y.high; decade++) {
        number_text(pow(10, decade - 1), label, sizeof label);
        grid_line(&p, y_of(&p.y, decade), label);
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
                class_of(r->verdict), x, low, high, x - 5, low, x - 5, high);
        verdict_mark(to, r->verdict, x, y_of(&p.y, miss_place(m->estimate)));
        fputs("</g>\n", to);
    }
    end_panel(&p);
}

/* ---- The table, and where ---------------------------------------------------------------------
 */

static void table(FILE *to, const struct bench *b)
{
    static const char *const heads[] = {"block<br/>frames",         "verdict",
                                        "host<br/>block",           "latency<br/>ms",
                                        "in + out<br/>+ adapter",   "callback<br/>p50 %",
                                        "callback<br/>p99 %",       "thread<br/>CPU %",
                                        "late p50<br/>µs",          "late p99<br/>µs",
                                        "late p99.9<br/>µs",        "late max<br/>µs",
                                        "deadline<br/>µs",          "misses<br/>seen",
                                        "an hour<br/>95 % interval"};
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The figures\"><table>"
          "<caption>The figures</caption>\n<thead><tr>",
          to);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        fprintf(to, "<th scope=\"col\">%s</th>", heads[i]);
    fputs("</tr></thead>\n<tbody>\n", to);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        const struct takt_contract_snapshot *c = &r->contract;
        char low[32], high[32];
        bench_rate_text(r->misses_an_hour.interval.low, low, sizeof low);
        bench_rate_text(r->misses_an_hour.interval.high, high, sizeof high);
        fprintf(to, "<tr><th scope=\"row\">%u</th><td class=\"word %s\">%s</td>", r->block_frames,
                class_of(r->verdict), odds_verdict_name(r->verdict));
        fprintf(to, "<td>%u</td><td>%.2f</td><td>%u + %u + %u</td>", r->host_block_frames,
                latency_ms(b, r), r->latency_in_frames, r->latency_out_frames, r->adapter_frames);
        fprintf(to, "<td>%.2f</td><td>%.2f</td><td>%.2f</td>", callback_p50(b, r),
                callback_p99(b, r), thread_percent(b, r));
        fprintf(to, "<td>%.0f</td><td>%.0f</td><td>%.0f</td><td>%.0f</td><td>%.0f</td>",
                (double)c->lateness_ns_p50 / 1e3, (double)c->lateness_ns_p99 / 1e3,
                (double)c->lateness_ns_p999 / 1e3, (double)c->lateness_ns_max / 1e3,
                1e3 * deadline_ms(b, r));
        fprintf(to, "<td>%llu</td><td>%s–%s</td></tr>\n", (unsigned long long)c->misses_total, low,
                high);
    }
    fputs("</tbody></table></div>\n", to);
}

static void term(FILE *to, const char *name, const char *text)
{
    fprintf(to, "<dt>%s</dt><dd>", name);
    put_escaped(to, *text ? text : "unknown");
    fputs("</dd>\n", to);
}

static void machine(FILE *to, const struct bench *b)
{
    const struct bench_machine *m = &b->machine;
    const struct takt_sched *s = &b->rows[b->row_count - 1].sched;
    char text[512];
    double steal = 0;
    fputs("<h2>Where it was measured</h2><dl>\n", to);
    term(to, "CPU", m->cpu);
    snprintf(text, sizeof text, "%d%s", m->cores, m->is_virtual ? ", of a virtual machine" : "");
    term(to, "cores", text);
    term(to, "kernel", m->kernel);
    term(to, "governor", m->governor);
    bench_sched_text(b, text, sizeof text);
    if (*s->why)
        snprintf(text + strlen(text), sizeof text - strlen(text), " (%s)", s->why);
    term(to, "device thread", text);
    term(to, "in", b->in_device);
    term(to, "out", b->out_device);
    bench_load_text(b, text, sizeof text);
    term(to, "in the callback", text);
    for (int i = 0; i < b->row_count; i++)
        steal = fmax(steal, b->rows[i].steal);
    snprintf(text, sizeof text, "at most %.1f %% of the CPU time, at any size", 100 * steal);
    term(to, "taken by the hypervisor", text);
    term(to, "date", m->date);
    snprintf(text, sizeof text, "takt %s", takt_version());
    term(to, "by", text);
    fputs("</dl>\n", to);
}

static void meanings(FILE *to, const struct bench *b)
{
    fputs("<h2>What the words mean</h2><dl>\n", to);
    for (int v = 0; v < ODDS_VERDICTS; v++)
        term(to, odds_verdict_name((enum odds_verdict)v), odds_verdict_rule((enum odds_verdict)v));
    term(to, "use", bench_use_rule);
    fprintf(
        to,
        "<dt>an hour</dt><dd>the exact two-sided 95 %% interval of a Poisson count (F. Garwood, "
        "1936). It takes misses to be independent; where they come in bursts, it is too narrow. "
        "None in %g s allows up to %.0f an hour; a longer time narrows it.</dd>\n",
        b->rows[0].seconds, odds_an_hour(0, b->rows[0].seconds).interval.high);
    fputs("<dt>callback</dt><dd>how long it took, in percent of the block&#39;s time</dd>\n"
          "<dt>thread</dt><dd>CPU time of the device thread, all that it does included</dd>\n"
          "<dt>host block</dt><dd>what the device moves at once. It sets the deadline; where the "
          "block is another, the adapter&#39;s frames make up the difference.</dd>\n</dl>\n",
          to);
}

void bench_html(const struct bench *b, FILE *to)
{
    char text[512];
    bool is_safe;
    int best = bench_recommended(b, &is_safe);
    fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>"
          "<meta charset=\"utf-8\"/>"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>takt "
          "bench: ",
          to);
    put_escaped(to, b->out_device);
    fprintf(to, "</title>\n<style>\n%s</style></head>\n<body><main>\n", style);
    fputs("<h1>Which block size holds on this machine</h1>\n<p class=\"what\">", to);
    put_escaped(to, b->in_device);
    fputs(" → ", to);
    put_escaped(to, b->out_device);
    fprintf(to, ", %u Hz, %g s at each size</p>\n", b->rate_hz, b->options->seconds);
    bench_verdict_text(b, text, sizeof text);
    fprintf(to, "<p class=\"verdict %s\">",
            class_of(best < 0  ? ODDS_TOO_SMALL
                     : is_safe ? ODDS_SAFE
                               : ODDS_RISKY));
    *text = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
    put_escaped(to, text);
    fputs("</p>\n<div class=\"panels\">\n", to);
    latency_panel(to, b);
    cpu_panel(to, b);
    late_panel(to, b);
    miss_panel(to, b);
    fputs("</div>\n", to);
    table(to, b);
    machine(to, b);
    meanings(to, b);
    fputs("</main></body>\n</html>\n", to);
}
