/*
 * The picture: one page without anything from elsewhere and without scripts, readable on a phone
 * and in the dark. Four panels over the same axis of block sizes, the table, the machine, and what
 * the words mean. Everything that came from outside is escaped.
 */
#include "bench.h"
#include "json.h"

#include <math.h>
#include <string.h>

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
            bench_class(best < 0  ? ODDS_TOO_SMALL
                        : is_safe ? ODDS_SAFE
                                  : ODDS_RISKY));
    *text = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
    put_escaped(to, text);
    fputs("</p>\n", to);
    bench_plots(b, to);
    table(to, b);
    machine(to, b);
    meanings(to, b);
    fputs("</main></body>\n</html>\n", to);
}
