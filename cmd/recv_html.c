/*
 * The page of one run of takt recv: how long packets were held and how long sound took over time,
 * what was late, lost, repaired and concealed over time, how late packets arrived, in figures who
 * was heard, and where it ran.
 */
#include "recv.h"

#include "page.h"
#include "plot.h"

#include <math.h>
#include <string.h>

typedef unsigned long long ull;

enum { WIDTH = 960, HEIGHT = 342, COLUMNS = 160, BINS = 44 };
static const struct frame line_frame = {72, 946, 44, 268}; /* with room for large letters */
static const struct frame bin_frame = {58, 466, 30, 248};

struct report {
    FILE *to;
    const struct receiving *run;
    const struct recv_curve *curve;
    double end_s;
    double unit_s; /* of the axis of time, */
    const char *unit;
};

/* ---- Over time --------------------------------------------------------------------------------
 */

static struct axis time_axis(const struct report *p)
{
    struct axis x = axis_linear(0, p->end_s / p->unit_s);
    x.high = p->end_s / p->unit_s; /* no empty room after the end */
    return x;
}

static double at_time(const struct report *p, const struct axis *x, double time_s)
{
    return axis_x(x, &line_frame, time_s / p->unit_s);
}

static void begin_picture(const struct report *p, const char *id, const char *title,
                          const char *unit)
{
    fprintf(p->to,
            "<svg class=\"long\" viewBox=\"0 0 %d %d\" role=\"img\" id=\"%s\" aria-label=\"%s\">"
            "<title>%s</title>\n<text class=\"dim\" x=\"4\" y=\"1em\">%s</text>\n",
            WIDTH, HEIGHT, id, title, title, unit);
}

static void key(FILE *to, const char *class, const char *words)
{
    fprintf(to,
            "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><line class=\"path %s\" "
            "x2=\"22\" y1=\"7\" y2=\"7\"/></svg>%s</span> ",
            class, words);
}

static double target_of(const struct recv_sample *s)
{
    return s->target_ms;
}

static double delay_of(const struct recv_sample *s)
{
    return s->delay_ms;
}

static double latency_of(const struct recv_sample *s)
{
    return s->latency_ms;
}

typedef double sample_value(const struct recv_sample *s);

/* Broken where nothing is known. */
static void draw_curve(const struct report *p, const struct axis *x, const struct axis *y,
                       const char *class, sample_value *value)
{
    bool pen_is_down = false;
    fprintf(p->to, "<path class=\"path %s\" d=\"M%g %g", class, line_frame.left, line_frame.bottom);
    for (uint32_t i = 0; i < p->curve->count; i++) {
        const struct recv_sample *s = &p->curve->sample[i];
        double v = value(s);
        if (!isnan(v))
            fprintf(p->to, "%s%.1f %.1f", pen_is_down ? "L" : "M", at_time(p, x, s->time_s),
                    axis_y(y, &line_frame, v));
        pen_is_down = !isnan(v);
    }
    fputs("\"/>\n", p->to);
}

static double most_of_curves(const struct report *p)
{
    double most = 0;
    for (uint32_t i = 0; i < p->curve->count; i++) {
        const struct recv_sample *s = &p->curve->sample[i];
        most = fmax(most, fmax(s->target_ms, fmax(s->delay_ms, s->latency_ms)));
    }
    return most; /* fmax takes a number over NaN */
}

static void delays(const struct report *p)
{
    struct axis x = time_axis(p), y = axis_linear(0, fmax(most_of_curves(p), 1));
    fputs("<section class=\"wide\"><h2>Delay and latency</h2><p class=\"key\">", p->to);
    key(p->to, "b", "latency, from capture to converter");
    key(p->to, "a", "delay that packets are given");
    key(p->to, "risky dash", "delay wished for");
    fputs("</p>", p->to);
    begin_picture(p, "delay", "Latency, delay and its target over time", "ms");
    axis_draw(p->to, &y, &line_frame);
    draw_curve(p, &x, &y, "b", latency_of);
    draw_curve(p, &x, &y, "a", delay_of);
    draw_curve(p, &x, &y, "risky dash", target_of);
    axis_draw_x(p->to, &x, &line_frame, p->unit);
    fputs("</svg></section>\n", p->to);
}

/* What happened between two samples, or in all of the samples of a column. */
struct happened {
    double from_s, until_s;
    uint64_t due, late, lost, repaired, concealed_frames, frames;
};

static struct happened between(const struct recv_sample *a, const struct recv_sample *b)
{
    return (struct happened){.from_s = a->time_s,
                             .until_s = b->time_s,
                             .due = b->due - a->due,
                             .late = b->late - a->late,
                             .lost = b->lost - a->lost,
                             .repaired = b->repaired - a->repaired,
                             .concealed_frames = b->concealed_frames - a->concealed_frames,
                             .frames = b->concealed_frames - a->concealed_frames + b->heard_frames -
                                       a->heard_frames};
}

static int columns_of(const struct report *p, struct happened *to)
{
    static const struct recv_sample none = {.time_s = 0};
    uint32_t count = p->curve->count, step = (count + COLUMNS - 1) / COLUMNS;
    int n = 0;
    for (uint32_t i = 0; count && i < count; i += step) {
        uint32_t last = i + step < count ? i + step - 1 : count - 1;
        to[n++] = between(i ? &p->curve->sample[i - 1] : &none, &p->curve->sample[last]);
    }
    return n;
}

static double percent(uint64_t n, uint64_t of)
{
    return of ? 100.0 * (double)n / (double)of : 0;
}

/* Of all the sound that the time had room for: where it ends, little is heard or concealed. */
static double concealed_percent(const struct report *p, const struct happened *h)
{
    double frames = fmax((h->until_s - h->from_s) * p->run->rate_hz, (double)h->frames);
    return frames > 0 ? 100 * (double)h->concealed_frames / frames : 0;
}

/* One bar on top of another; returns where it ends. */
static double draw_share(const struct report *p, const struct axis *x, const struct axis *y,
                         const struct happened *h, const char *class, double from, uint64_t n,
                         const char *words)
{
    double until = from + percent(n, h->due), left = at_time(p, x, h->from_s),
           right = at_time(p, x, h->until_s), top = axis_y(y, &line_frame, until);
    if (n)
        fprintf(p->to,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>"
                "%llu of %llu packets %s from %.1f s to %.1f s</title></rect>\n",
                class, left, top, fmax(right - left - 0.5, 0.5), axis_y(y, &line_frame, from) - top,
                (ull)n, (ull)h->due, words, h->from_s, h->until_s);
    return until;
}

static void losses(const struct report *p)
{
    struct happened h[COLUMNS + 1];
    int n = columns_of(p, h);
    double most = 1;
    for (int i = 0; i < n; i++)
        most = fmax(most, fmax(percent(h[i].late + h[i].lost + h[i].repaired, h[i].due),
                               concealed_percent(p, &h[i])));
    struct axis x = time_axis(p), y = axis_linear(0, most);
    fputs("<section class=\"wide\"><h2>Late, lost, repaired and concealed</h2><p class=\"key\">",
          p->to);
    key(p->to, "small", "lost for good");
    key(p->to, "risky", "late");
    key(p->to, "safe", "repaired");
    key(p->to, "b", "concealed sound");
    fputs("</p>", p->to);
    begin_picture(p, "losses", "Late, lost and repaired packets, and concealed sound, over time",
                  "% of the packets that were due, % of the sound");
    axis_draw(p->to, &y, &line_frame);
    for (int i = 0; i < n; i++) {
        double at = draw_share(p, &x, &y, &h[i], "small", 0, h[i].lost, "lost");
        at = draw_share(p, &x, &y, &h[i], "risky", at, h[i].late, "late");
        draw_share(p, &x, &y, &h[i], "safe", at, h[i].repaired, "repaired");
    }
    fprintf(p->to, "<path class=\"line b\" d=\"M%g %g", line_frame.left, line_frame.bottom);
    for (int i = 0; i < n; i++)
        fprintf(p->to, "L%.1f %.1fH%.1f", at_time(p, &x, h[i].from_s),
                axis_y(&y, &line_frame, concealed_percent(p, &h[i])), at_time(p, &x, h[i].until_s));
    fputs("\"/>\n", p->to);
    axis_draw_x(p->to, &x, &line_frame, p->unit);
    fputs("</svg></section>\n", p->to);
}

/* ---- How late packets arrive ------------------------------------------------------------------
 */

/* Bars whose height is the logarithm of a share: one packet in a million is seen, too. */
static void arrivals(const struct report *p)
{
    const struct takt_hist *h = &p->run->lateness_ns;
    const struct frame unit = {0, BINS, 0, 1};
    double bins[BINS] = {0}, all = (double)takt_hist_count(h);
    fputs("<section><h2>How late packets came</h2>", p->to);
    if (all < 1) {
        fputs("<p class=\"key\">No packet came.</p></section>\n", p->to);
        return;
    }
    struct axis x = axis_linear(0, fmax((double)takt_hist_max(h) / 1e6, 0.1)),
                y = axis_logarithmic(0.5 / all, 1);
    for (uint32_t cell = 0; cell < TAKT_HIST_CELLS; cell++) {
        uint64_t n = atomic_load_explicit(&h->cells[cell], memory_order_relaxed);
        int bin = (int)axis_x(&x, &unit, (double)takt_hist_cell_low(cell) / 1e6);
        bins[bin < BINS ? bin : BINS - 1] += (double)n;
    }
    fprintf(p->to,
            "<p class=\"key\">after the earliest they could: p50 %.2f ms, p95 %.2f ms, p99 %.2f "
            "ms, max %.2f ms</p>"
            "<svg viewBox=\"0 0 480 300\" role=\"img\" id=\"arrivals\" aria-label=\"How late "
            "packets came\"><title>How late packets came</title>\n<text class=\"dim\" x=\"4\" "
            "y=\"14\">share of the packets (log scale)</text>\n",
            (double)takt_hist_quantile(h, 0.5) / 1e6, (double)takt_hist_quantile(h, 0.95) / 1e6,
            (double)takt_hist_quantile(h, 0.99) / 1e6, (double)takt_hist_max(h) / 1e6);
    axis_draw(p->to, &y, &bin_frame);
    double width = (bin_frame.right - bin_frame.left) / BINS;
    for (int i = 0; i < BINS; i++) {
        double top = axis_y(&y, &bin_frame, bins[i] / all);
        if (bins[i] > 0)
            fprintf(p->to,
                    "<rect class=\"a\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
                    "<title>%.0f packets</title></rect>\n",
                    bin_frame.left + i * width, top, width - 1, bin_frame.bottom - top, bins[i]);
    }
    axis_draw_x(p->to, &x, &bin_frame, "how late, ms");
    fputs("</svg></section>\n", p->to);
}

/* ---- In figures -------------------------------------------------------------------------------
 */

/* With so many decimals. */
static void term(const struct report *p, const char *name, double value, int decimals,
                 const char *unit)
{
    char text[64] = "";
    if (!isnan(value))
        snprintf(text, sizeof text, "%.*f %s", decimals, value, unit);
    page_term(p->to, name, text);
}

static void share_term(const struct report *p, const char *name, double ratio, uint64_t n,
                       const char *of)
{
    char text[96];
    snprintf(text, sizeof text, "%.4f %%, %llu %s", 100 * ratio, (ull)n, of);
    page_term(p->to, name, text);
}

static void figures(const struct report *p)
{
    const struct receiving *r = p->run;
    const struct takt_recv_stats *n = &r->now;
    const struct takt_recv_source *s = r->has_source ? &r->source : NULL;
    char text[256];
    fputs("<section><h2>In figures</h2><dl>\n", p->to);
    share_term(p, "late", n->late_ratio, n->counts.late, "packets");
    share_term(p, "lost", n->lost_ratio, n->counts.lost, "packets");
    share_term(p, "repaired", n->repaired_ratio, n->counts.repaired, "packets");
    share_term(p, "concealed", n->concealed_ratio, n->counts.concealed_frames, "frames");
    if (s) {
        snprintf(text, sizeof text, "p50 %.2f ms, p95 %.2f ms, max %.2f ms", s->latency.p50,
                 s->latency.p95, s->latency.max);
        page_term(p->to, "latency", s->latency.max > 0 ? text : "");
        term(p, "delay", s->delay_ms, 2, "ms");
        term(p, "drift", s->drift_ppm, 1, "ppm");
        term(p, "jitter", s->jitter_ms, 3, "ms");
        term(p, "round trip", s->round_trip_ms < 0 ? UNKNOWN : s->round_trip_ms, 2, "ms");
        snprintf(text, sizeof text, "%s%s%s", s->from, *s->cname ? ", " : "", s->cname);
        page_term(p->to, "from", text);
        snprintf(text, sizeof text, "%s, %u Hz, %u channel%s, %s", s->codec ? s->codec : "?",
                 s->rate_hz, s->channels, s->channels == 1 ? "" : "s",
                 s->encrypted ? "encrypted" : "not encrypted");
        page_term(p->to, "sound", text);
    }
    fputs("</dl></section>\n", p->to);
}

static void verdict(const struct report *p)
{
    const struct takt_recv_stats *n = &p->run->now;
    const struct takt_recv_counts *c = &n->counts;
    bool heard = c->packets > 0, whole = heard && !c->concealed_frames;
    fprintf(p->to, "<p class=\"verdict %s\">", whole ? "safe" : heard ? "risky" : "small");
    if (!heard)
        fputs("Nobody was heard.", p->to);
    else if (whole)
        fprintf(p->to, "All of the sound of %llu packets was there in time.", (ull)c->packets);
    else
        fprintf(p->to, "%.3f %% of the sound was missing in time, and concealed.",
                100 * n->concealed_ratio);
    const struct takt_contract_snapshot *k = &p->run->session->contract;
    fprintf(p->to, " %llu of %llu blocks missed their deadline here.</p>\n", (ull)k->misses_total,
            (ull)k->blocks);
}

static void where(const struct report *p)
{
    const struct takt_stream_actual *a = &p->run->session->actual;
    struct machine m;
    char text[256];
    machine_read(&m);
    fputs("<h2>Where it ran</h2><dl>\n", p->to);
    page_term(p->to, "at", p->run->at);
    page_term(p->to, "out", p->run->raw ? "stdout" : a->out_device);
    snprintf(text, sizeof text, "%u frames in host blocks of %u, at %u Hz",
             a->block_frames ? a->block_frames : a->block_frames_max, a->host_block_frames,
             a->rate_hz);
    page_term(p->to, "blocks", text);
    page_machine(p->to, &m);
    page_time(p->to, &m);
    fputs("</dl>\n", p->to);
}

static void meanings(FILE *to)
{
    fputs(
        "<h2>What the words mean</h2><dl>\n"
        "<dt>latency</dt><dd>from the sender's converter to ours, where the sender tells the "
        "time</dd>\n"
        "<dt>delay</dt><dd>how long after the earliest possible arrival a packet is played; it is "
        "learned of the network</dd>\n"
        "<dt>late</dt><dd>arrived, and its time was over</dd>\n"
        "<dt>lost</dt><dd>never arrived, nor could it be repaired</dd>\n"
        "<dt>repaired</dt><dd>was not there when it was due, and made of copies or repair "
        "packets</dd>\n"
        "<dt>concealed</dt><dd>sound that was made up of what came before</dd>\n</dl>\n",
        to);
}

void recv_html(FILE *to, const void *of)
{
    const struct receiving *r = of;
    const struct recv_curve *c = &r->curve;
    struct report page = {.to = to, .run = r, .curve = c}, *p = &page;
    p->end_s = c->count ? c->sample[c->count - 1].time_s : 1;
    p->unit_s = p->end_s > 7200 ? 3600 : p->end_s > 300 ? 60 : 1;
    p->unit = p->unit_s > 60  ? "time of the stream, hours"
              : p->unit_s > 1 ? "time of the stream, minutes"
                              : "time of the stream, s";
    page_begin(to, "recv", r->at);
    fputs("<h1>What came over the network, and when</h1>\n<p class=\"what\">", to);
    page_text(to, r->session->title);
    fprintf(to, ", %.1f s</p>\n", p->end_s);
    verdict(p);
    fputs("<div class=\"panels\">\n", to);
    delays(p);
    losses(p);
    arrivals(p);
    figures(p);
    fputs("</div>\n", to);
    where(p);
    meanings(to);
    page_end(to);
}
