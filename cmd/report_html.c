/*
 * The page of one run: every block's slack and duration over time with each miss at its place and
 * cause, how the times are spread, the last misses one by one, where it ran.
 */
#include "page.h"
#include "plot.h"
#include "running.h"

#include <math.h>
#include <string.h>

typedef unsigned long long ull;

/* Light enough for the dark and dark enough for paper. */
static const char *const colours[TAKT_MISS_CAUSES] = {
    [TAKT_MISS_OVERRAN] = "#cf222e",       [TAKT_MISS_LATE_WAKE] = "#bf8700",
    [TAKT_MISS_PREEMPTED] = "#8250df",     [TAKT_MISS_PAGE_FAULT] = "#1b7c83",
    [TAKT_MISS_BLOCKING_CALL] = "#d1248f", [TAKT_MISS_HOST_XRUN] = "#218bff",
    [TAKT_MISS_STOLEN] = "#6e7781",        [TAKT_MISS_STARVED] = "#2da44e",
    [TAKT_MISS_WORKER_FULL] = "#bc4c00"};

struct report {
    FILE *to;
    const struct running *run;
    const struct takt_contract_snapshot *contract;
    double period_ms;
    struct takt_miss misses[TAKT_MISSES_KEPT];
    int miss_count;
    struct takt_contract_column columns[TAKT_COLUMNS_MAX];
    int column_count;
};

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static double seconds_of(const struct report *p, uint64_t position)
{
    return (double)position / p->run->actual.rate_hz;
}

static void circle(FILE *to, enum takt_miss_cause cause, double x, double y)
{
    fprintf(to, "<circle class=\"halo\" fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\">",
            colours[cause], x, y);
}

/* ---- The timeline -----------------------------------------------------------------------------
 */

enum { WIDTH = 960, HEIGHT = 330 };
static const struct frame line_frame = {58, 946, 40, 278};

/* A stall of a second would press all the others flat, so what lies below two periods is drawn at
 * the edge; its title has the number. */
static struct axis slack_axis(const struct report *p)
{
    double least = 0, most = p->period_ms;
    for (int i = 0; i < p->column_count; i++) {
        least = fmin(least, ms(p->columns[i].slack_ns_min));
        most = fmax(most, ms(p->columns[i].slack_ns_max));
    }
    return axis_linear(fmax(least, -2 * p->period_ms), fmin(most, 2 * p->period_ms));
}

/* Steps along one value of the columns, from the left or from the right. */
static void trace(const struct report *p, const struct axis *x, const struct axis *y, bool forward,
                  int64_t (*value)(const struct takt_contract_column *c))
{
    for (int k = 0; k < p->column_count; k++) {
        const struct takt_contract_column *c = &p->columns[forward ? k : p->column_count - 1 - k];
        double from = axis_x(x, &line_frame, seconds_of(p, forward ? c->from : c->until)),
               to = axis_x(x, &line_frame, seconds_of(p, forward ? c->until : c->from)),
               at = axis_y(y, &line_frame, ms(value(c)));
        fprintf(p->to, "%s%.1f %.1fH%.1f", k || !forward ? "L" : "M", from, at, to);
    }
}

static int64_t slack_most(const struct takt_contract_column *c)
{
    return c->slack_ns_max;
}

static int64_t slack_least(const struct takt_contract_column *c)
{
    return c->slack_ns_min;
}

static int64_t duration_most(const struct takt_contract_column *c)
{
    return c->duration_ns_max;
}

/* Every miss of the run, also those that are not kept one by one. */
static void draw_counts(const struct report *p, const struct axis *x)
{
    for (int i = 0; i < p->column_count; i++) {
        const struct takt_contract_column *c = &p->columns[i];
        double from = axis_x(x, &line_frame, seconds_of(p, c->from)),
               to = axis_x(x, &line_frame, seconds_of(p, c->until));
        if (c->misses)
            fprintf(p->to,
                    "<rect class=\"small\" x=\"%.1f\" y=\"24\" width=\"%.1f\" height=\"8\">"
                    "<title>%llu miss%s from %.3f s to %.3f s</title></rect>\n",
                    from, fmax(to - from, 1), (ull)c->misses, c->misses == 1 ? "" : "es",
                    seconds_of(p, c->from), seconds_of(p, c->until));
    }
}

static void draw_miss(const struct report *p, const struct axis *x, const struct axis *y,
                      const struct takt_miss *m)
{
    char text[512];
    takt_miss_text(m, text, sizeof text);
    fputs("<g class=\"miss\">", p->to);
    circle(p->to, m->cause, axis_x(x, &line_frame, seconds_of(p, m->position)),
           axis_y(y, &line_frame, ms(m->slack_ns)));
    fprintf(p->to, "<title>%.3f s: ", seconds_of(p, m->position));
    page_text(p->to, text);
    fputs("</title></circle></g>\n", p->to);
}

static void key_of_misses(const struct report *p)
{
    for (int c = 0; c < TAKT_MISS_CAUSES; c++) {
        if (!p->contract->misses[c])
            continue;
        fputs("<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">", p->to);
        circle(p->to, (enum takt_miss_cause)c, 11, 7);
        fprintf(p->to, "</circle></svg>%s</span> ", takt_miss_words((enum takt_miss_cause)c));
    }
}

static void timeline(const struct report *p)
{
    FILE *to = p->to;
    uint64_t end = p->column_count ? p->columns[p->column_count - 1].until : 1;
    struct axis x = axis_linear(0, seconds_of(p, end)), y = slack_axis(p);
    x.high = seconds_of(p, end); /* no empty room after the end */
    fputs("<section class=\"wide\"><h2>The run</h2><p class=\"key\">"
          "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><rect class=\"band\" y=\"2\" "
          "width=\"22\" height=\"10\"/></svg>slack, worst to best</span> "
          "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><line class=\"line b\" x2=\"22\" "
          "y1=\"7\" y2=\"7\"/></svg>longest callback</span> "
          "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><line class=\"path dash small\" "
          "x2=\"22\" y1=\"7\" y2=\"7\"/></svg>deadline</span> ",
          to);
    key_of_misses(p);
    fprintf(to,
            "</p><svg viewBox=\"0 0 %d %d\" role=\"img\" id=\"timeline\" aria-label=\"Slack and "
            "duration of all blocks over time, with the misses\"><title>Slack and duration of all "
            "blocks over time, with the misses</title>\n<text class=\"dim\" x=\"4\" y=\"14\">ms, "
            "below 0 is too late; red above: misses at that time</text>\n",
            WIDTH, HEIGHT);
    axis_draw(to, &y, &line_frame);
    fputs("<path class=\"band\" d=\"", to);
    trace(p, &x, &y, true, slack_most);
    trace(p, &x, &y, false, slack_least);
    fputs("Z\"/>\n<path class=\"line b\" d=\"", to);
    trace(p, &x, &y, true, duration_most);
    fprintf(
        to, "\"/>\n<line class=\"path dash small\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
        line_frame.left, line_frame.right, axis_y(&y, &line_frame, 0), axis_y(&y, &line_frame, 0));
    draw_counts(p, &x);
    for (int i = 0; i < p->miss_count; i++)
        draw_miss(p, &x, &y, &p->misses[i]);
    axis_draw_x(to, &x, &line_frame, "time of the stream, s");
    fputs("</svg></section>\n", to);
}

/* ---- How the times are spread -----------------------------------------------------------------
 */

enum { BINS = 44 };
static const struct frame bin_frame = {58, 466, 30, 248};

/* Adds a histogram's counts to bins between the axis's ends, its values taken `sign` times. */
static void add_bins(double *bins, const struct axis *x, const struct takt_hist *h, double sign)
{
    const struct frame unit = {0, BINS, 0, 1};
    for (uint32_t cell = 0; cell < TAKT_HIST_CELLS; cell++) {
        uint64_t n = atomic_load_explicit(&h->cells[cell], memory_order_relaxed);
        double value = sign * (double)takt_hist_cell_low(cell) / 1e6;
        if (!n)
            continue;
        int bin = (int)axis_x(x, &unit, value);
        bins[bin < BINS ? bin : BINS - 1] += (double)n;
    }
}

/* Bars whose height is the logarithm of a share: one block in a million is seen, too. */
static void draw_bins(const struct report *p, const double *bins, const struct axis *y)
{
    double all = fmax((double)p->contract->blocks, 1);
    double width = (bin_frame.right - bin_frame.left) / BINS;
    for (int i = 0; i < BINS; i++) {
        double top = axis_y(y, &bin_frame, bins[i] / all);
        if (bins[i] > 0)
            fprintf(p->to,
                    "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
                    "<title>%.0f blocks</title></rect>\n",
                    bin_frame.left + i * width, top, width - 1, bin_frame.bottom - top, bins[i]);
    }
}

static void spread(const struct report *p, const char *id, const char *title, const char *unit,
                   const struct axis *x, const double *bins, const char *figures)
{
    struct axis y = axis_logarithmic(0.5 / fmax((double)p->contract->blocks, 1), 1);
    fprintf(p->to,
            "<section><h2>%s</h2><p class=\"key\">%s</p>"
            "<svg viewBox=\"0 0 480 300\" role=\"img\" id=\"%s\" aria-label=\"%s\"><title>%s"
            "</title>\n<text class=\"dim\" x=\"4\" y=\"14\">share of the blocks (log scale)</text>"
            "\n",
            title, figures, id, title, title);
    axis_draw(p->to, &y, &bin_frame);
    draw_bins(p, bins, &y);
    axis_draw_x(p->to, x, &bin_frame, unit);
    fputs("</svg></section>\n", p->to);
}

static void spread_of_times(const struct report *p, const char *id, const char *title,
                            const struct takt_hist *h, uint64_t p50, uint64_t p99, uint64_t most)
{
    double bins[BINS] = {0};
    char figures[128];
    double least_ms = fmax((double)takt_hist_min(h) / 1e6, 1e-4);
    struct axis x = axis_logarithmic(least_ms, fmax((double)most / 1e6, least_ms * 2));
    add_bins(bins, &x, h, 1);
    snprintf(figures, sizeof figures, "p50 %.3f ms, p99 %.3f ms, max %.3f ms", (double)p50 / 1e6,
             (double)p99 / 1e6, (double)most / 1e6);
    spread(p, id, title, "ms (log scale)", &x, bins, figures);
}

static void spread_of_slack(const struct report *p, const struct takt_hist_signed *h)
{
    double bins[BINS] = {0};
    char figures[128];
    const struct takt_contract_snapshot *k = p->contract;
    struct axis x = axis_linear(fmax(ms(k->slack_ns_min), -2 * p->period_ms),
                                fmin(ms(takt_hist_signed_max(h)), 2 * p->period_ms));
    add_bins(bins, &x, &h->above, 1);
    add_bins(bins, &x, &h->below, -1);
    snprintf(figures, sizeof figures, "min %.3f ms, p1 %.3f ms, p50 %.3f ms", ms(k->slack_ns_min),
             ms(k->slack_ns_p01), ms(k->slack_ns_p50));
    spread(p, "slack", "Slack: ready before the deadline", "ms", &x, bins, figures);
}

static void spreads(const struct report *p)
{
    struct takt_contract_hists h;
    const struct takt_contract_snapshot *k = p->contract;
    takt_contract_hists(takt_stream_contract(p->run->stream), &h);
    if (!h.slack)
        return;
    spread_of_times(p, "lateness", "Lateness: woken after due", h.lateness, k->lateness_ns_p50,
                    k->lateness_ns_p99, k->lateness_ns_max);
    spread_of_times(p, "duration", "Duration of the callback", h.duration, k->duration_ns_p50,
                    k->duration_ns_p99, k->duration_ns_max);
    spread_of_slack(p, h.slack);
}

/* ---- Tables -----------------------------------------------------------------------------------
 */

static void causes(const struct report *p)
{
    FILE *to = p->to;
    fputs("<section><h2>Causes</h2><dl>\n", to);
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        fprintf(to, "<dt>%s</dt><dd>%llu</dd>\n", takt_miss_words((enum takt_miss_cause)c),
                (ull)p->contract->misses[c]);
    fprintf(to, "<dt>frames lost</dt><dd>%llu</dd></dl></section>\n",
            (ull)p->contract->lost_frames);
}

static void table_of_misses(const struct report *p)
{
    static const char *const heads[] = {"miss",         "time<br/>s",        "frame",
                                        "cause",        "woken late<br/>ms", "took<br/>ms",
                                        "slack<br/>ms", "frames<br/>lost"};
    FILE *to = p->to;
    if (!p->miss_count)
        return;
    fprintf(to,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The misses\"><table>"
            "<caption>The last %d misses of %llu</caption>\n<thead><tr>",
            p->miss_count, (ull)p->contract->misses_total);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        fprintf(to, "<th scope=\"col\">%s</th>", heads[i]);
    fputs("</tr></thead>\n<tbody>\n", to);
    for (int i = p->miss_count - 1; i >= 0; i--) {
        const struct takt_miss *m = &p->misses[i];
        fprintf(to,
                "<tr><th scope=\"row\">%llu</th><td>%.3f</td><td>%llu</td>"
                "<td class=\"word\">%s</td><td>%.3f</td><td>%.3f</td><td>%.3f</td><td>%llu</td>"
                "</tr>\n",
                (ull)m->number + 1, seconds_of(p, m->position), (ull)m->position,
                takt_miss_words(m->cause), ms(m->lateness_ns), ms(m->duration_ns), ms(m->slack_ns),
                (ull)m->lost_frames);
    }
    fputs("</tbody></table></div>\n", to);
}

static void where(const struct report *p)
{
    const struct takt_stream_actual *a = &p->run->actual;
    struct machine m;
    struct takt_sched sched;
    char text[512];
    machine_read(&m);
    takt_stream_sched(p->run->stream, &sched);
    fputs("<h2>Where it ran</h2><dl>\n", p->to);
    if (*a->in_device)
        page_term(p->to, "in", a->in_device);
    if (*a->out_device)
        page_term(p->to, "out", a->out_device);
    snprintf(text, sizeof text, "%u frames in host blocks of %u, at %u Hz%s",
             a->block_frames ? a->block_frames : a->block_frames_max, a->host_block_frames,
             a->rate_hz, a->clock == TAKT_CLOCK_VIRTUAL ? ", on a virtual clock" : "");
    page_term(p->to, "blocks", text);
    snprintf(text, sizeof text, "in %u + out %u + adapter %u frames, %.2f ms", a->latency_in_frames,
             a->latency_out_frames, a->adapter_frames,
             1e3 * (a->latency_in_frames + a->latency_out_frames + a->adapter_frames) / a->rate_hz);
    page_term(p->to, "latency", text);
    snprintf(text, sizeof text, "%s %d%s%s%s", takt_policy_name(sched.policy), sched.priority,
             *sched.why ? " (" : "", sched.why, *sched.why ? ")" : "");
    page_term(p->to, "device thread", text);
    page_machine(p->to, &m);
    page_time(p->to, &m);
    fputs("</dl>\n", p->to);
}

static void meanings(FILE *to)
{
    fputs("<h2>What the words mean</h2><dl>\n"
          "<dt>lateness</dt><dd>from when the device meant to wake us to when we woke</dd>\n"
          "<dt>duration</dt><dd>from waking to the output being in place</dd>\n"
          "<dt>slack</dt><dd>from there to the deadline; below 0 is a miss</dd>\n"
          "<dt>miss</dt><dd>a block that ended after its deadline, or could not be whole; each has "
          "one cause</dd>\n</dl>\n",
          to);
}

static void verdict(const struct report *p)
{
    const struct takt_contract_snapshot *k = p->contract;
    bool kept = !k->misses_total;
    fprintf(p->to, "<p class=\"verdict %s\">", kept ? "safe" : "small");
    if (!k->blocks)
        fputs("No block was processed.", p->to);
    else if (kept)
        fprintf(p->to, "Each of %llu blocks kept its deadline; the worst was ready %.2f ms before.",
                (ull)k->blocks, ms(k->slack_ns_min));
    else
        fprintf(p->to, "%llu of %llu blocks missed; the worst slack was %.2f ms.",
                (ull)k->misses_total, (ull)k->blocks, ms(k->slack_ns_min));
    if (k->virtual_clock)
        fputs(" The times are those of a virtual clock.", p->to);
    fputs("</p>\n", p->to);
}

void report_html(FILE *to, const void *of)
{
    const struct running *r = of;
    const struct takt_contract *contract = takt_stream_contract(r->stream);
    static struct report page; /* large */
    struct report *p = &page;
    *p = (struct report){.to = to,
                         .run = r,
                         .contract = &r->session->contract,
                         .period_ms = 1e3 * r->actual.host_block_frames / r->actual.rate_hz};
    p->miss_count = takt_contract_last_misses(contract, p->misses, TAKT_MISSES_KEPT);
    p->column_count = takt_contract_timeline(contract, p->columns, TAKT_COLUMNS_MAX);
    page_begin(to, r->session->options->verb, r->title);
    fputs("<h1>Was every block ready in time</h1>\n<p class=\"what\">", to);
    page_text(to, r->title);
    fprintf(to, ", %.3f s at %u Hz</p>\n", seconds_of(p, takt_stream_position(r->stream)),
            r->actual.rate_hz);
    verdict(p);
    fputs("<div class=\"panels\">\n", to);
    timeline(p);
    spreads(p);
    causes(p);
    fputs("</div>\n", to);
    table_of_misses(p);
    where(p);
    meanings(to);
    page_end(to);
}
