/*
 * The picture: four panels over the same axis of block sizes, the table, the machine, and what the
 * words mean.
 */
#include "bench.h"
#include "page.h"

#include <math.h>
#include <string.h>

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
                bench_class(r->verdict), odds_verdict_name(r->verdict));
        fprintf(to, "<td>%u</td><td>%.2f</td><td>%u + %u + %u</td>", r->host_block_frames,
                bench_latency_ms(b, r), r->latency_in_frames, r->latency_out_frames,
                r->adapter_frames);
        fprintf(to, "<td>%.2f</td><td>%.2f</td><td>%.2f</td>", bench_callback_p50(b, r),
                bench_callback_p99(b, r), bench_thread_percent(b, r));
        fprintf(to, "<td>%.0f</td><td>%.0f</td><td>%.0f</td><td>%.0f</td><td>%.0f</td>",
                (double)c->lateness_ns_p50 / 1e3, (double)c->lateness_ns_p99 / 1e3,
                (double)c->lateness_ns_p999 / 1e3, (double)c->lateness_ns_max / 1e3,
                1e3 * bench_deadline_ms(b, r));
        fprintf(to, "<td>%llu</td><td>%s–%s</td></tr>\n", (unsigned long long)c->misses_total, low,
                high);
    }
    fputs("</tbody></table></div>\n", to);
}

static void machine(FILE *to, const struct bench *b)
{
    const struct machine *m = &b->machine;
    const struct takt_sched *s = &b->rows[b->row_count - 1].sched;
    char text[512];
    double steal = 0;
    fputs("<h2>Where it was measured</h2><dl>\n", to);
    page_machine(to, m);
    bench_sched_text(b, text, sizeof text);
    if (*s->why)
        snprintf(text + strlen(text), sizeof text - strlen(text), " (%s)", s->why);
    page_term(to, "device thread", text);
    page_term(to, "in", b->in_device);
    page_term(to, "out", b->out_device);
    bench_load_text(b, text, sizeof text);
    page_term(to, "in the callback", text);
    for (int i = 0; i < b->row_count; i++)
        steal = fmax(steal, b->rows[i].steal);
    snprintf(text, sizeof text, "at most %.1f %% of the CPU time, at any size", 100 * steal);
    page_term(to, "taken by the hypervisor", text);
    page_time(to, m);
    fputs("</dl>\n", to);
}

static void meanings(FILE *to, const struct bench *b)
{
    fputs("<h2>What the words mean</h2><dl>\n", to);
    for (int v = 0; v < ODDS_VERDICTS; v++)
        page_term(to, odds_verdict_name((enum odds_verdict)v),
                  odds_verdict_rule((enum odds_verdict)v));
    page_term(to, "use", bench_use_rule);
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

void bench_html(FILE *to, const void *of)
{
    const struct bench *b = of;
    char text[512];
    bool is_safe;
    int best = bench_recommended(b, &is_safe);
    page_begin(to, "bench", b->out_device);
    fputs("<h1>Which block size holds on this machine</h1>\n<p class=\"what\">", to);
    page_text(to, b->in_device);
    fputs(" → ", to);
    page_text(to, b->out_device);
    fprintf(to, ", %u Hz, %g s at each size</p>\n", b->rate_hz, b->options->seconds);
    bench_verdict_text(b, text, sizeof text);
    fprintf(to, "<p class=\"verdict %s\">",
            bench_class(best < 0  ? ODDS_TOO_SMALL
                        : is_safe ? ODDS_SAFE
                                  : ODDS_RISKY));
    *text = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
    page_text(to, text);
    fputs("</p>\n", to);
    bench_plots(b, to);
    table(to, b);
    machine(to, b);
    meanings(to, b);
    page_end(to);
}
