#include "page.h"

#include "json.h"
#include "whole_file.h"

#include <stdlib.h>
#include <takt/takt.h>

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
    "svg .halo{paint-order:stroke;stroke:var(--card);stroke-width:3}\n"
    ".wide{grid-column:1/-1}.band{fill:var(--a);opacity:.25}.line{fill:none;stroke-width:1.5}\n"
    ".panels+h2,dl+h2{margin-top:1.25rem}.path,.line{vector-effect:non-scaling-stroke}\n"
    "@media(max-width:44rem){svg.long{font-size:26px}}\n"
    "@media print{section,.verdict{break-inside:avoid}}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:1rem 0}\n"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\n";

/* What XML cannot hold becomes '?', what is no UTF-8 U+FFFD. */
void page_text(FILE *to, const char *text)
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

void page_term(FILE *to, const char *name, const char *text)
{
    fprintf(to, "<dt>%s</dt><dd>", name);
    page_text(to, *text ? text : "unknown");
    fputs("</dd>\n", to);
}

void page_machine(FILE *to, const struct machine *m)
{
    char text[64];
    page_term(to, "CPU", m->cpu);
    snprintf(text, sizeof text, "%d%s", m->cores, m->is_virtual ? ", of a virtual machine" : "");
    page_term(to, "cores", text);
    page_term(to, "kernel", m->kernel);
    page_term(to, "governor", m->governor);
}

void page_time(FILE *to, const struct machine *m)
{
    char text[64];
    page_term(to, "date", m->date);
    snprintf(text, sizeof text, "takt %s", takt_version());
    page_term(to, "by", text);
}

void page_begin(FILE *to, const char *verb, const char *of)
{
    fprintf(to,
            "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>"
            "<meta charset=\"utf-8\"/>"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<title>takt %s: ",
            verb);
    page_text(to, of);
    fprintf(to, "</title>\n<style>\n%s</style></head>\n<body><main>\n", style);
}

void page_end(FILE *to)
{
    fputs("</main></body>\n</html>\n", to);
}

int page_write(const struct options *o, const char *path, void (*make)(FILE *to, const void *of),
               const void *of)
{
    char *page = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&page, &size);
    if (to)
        make(to, of);
    if (!to || ferror(to) || fclose(to) != 0) {
        free(page);
        return complain(o, EXIT_FAILED, "%s: out of memory", path);
    }
    int status = whole_file_write(o, path, page, size);
    free(page);
    return status;
}
