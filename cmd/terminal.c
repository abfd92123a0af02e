#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double bottom_dbfs = -60;

static void measure(struct terminal *t)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    t->columns = known ? w.ws_col : 80;
    t->rows = known ? w.ws_row : 24;
}

void terminal_init(struct terminal *t)
{
    const char *kind = getenv("TERM"), *plain = getenv("NO_COLOR");
    *t = (struct terminal){0};
    setlocale(LC_CTYPE, "");
    t->live = isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
    t->colours = t->live && !(plain && *plain);
    t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    measure(t);
}

const char *terminal_dim(const struct terminal *t)
{
    return t->colours ? "\033[2m" : "";
}

const char *terminal_bold(const struct terminal *t)
{
    return t->colours ? "\033[1m" : "";
}

const char *terminal_warn(const struct terminal *t)
{
    return t->colours ? "\033[1;31m" : "";
}

const char *terminal_plain(const struct terminal *t)
{
    return t->colours ? "\033[0m" : "";
}

/* ---- Pictures ---------------------------------------------------------------------------------
 */

static void append(struct terminal *t, const char *text, size_t length)
{
    if (t->used + length + 1 > t->size) {
        size_t size = 2 * (t->used + length + 1);
        char *grown = realloc(t->buffer, size);
        if (!grown)
            return;
        t->buffer = grown;
        t->size = size;
    }
    memcpy(t->buffer + t->used, text, length);
    t->used += length;
    t->buffer[t->used] = '\0';
}

/* Appends as much of a line as fits into the columns: escape sequences take none, and what
 * continues a UTF-8 sequence none of its own. */
static void append_cut(struct terminal *t, const char *line)
{
    int cells = 0;
    const char *at = line;
    while (*at) {
        const char *from = at;
        if (*at == '\033') {
            at += strcspn(at, "m");
            at += *at == 'm';
            append(t, from, (size_t)(at - from));
            continue;
        }
        at++;
        while (((unsigned char)*at & 0xc0) == 0x80)
            at++;
        if (cells < t->columns)
            append(t, from, (size_t)(at - from));
        cells++;
    }
}

void terminal_begin(struct terminal *t)
{
    measure(t);
    t->used = 0;
    t->line_count = 0;
    if (t->live)
        append(t, "\033[?25l", 6);
    if (t->drawn > 1) {
        char up[32] = "";
        int lines = t->drawn < t->rows ? t->drawn : t->rows;
        snprintf(up, sizeof up, "\033[%dA", lines - 1);
        append(t, up, strlen(up));
    }
    if (t->drawn)
        append(t, "\r", 1);
}

void terminal_line(struct terminal *t, const char *format, ...)
{
    char line[2048];
    va_list args;
    if (t->line_count >= t->rows)
        return; /* never taller than the terminal, or it would scroll at each redraw */
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (t->line_count++)
        append(t, "\r\n", 2);
    append_cut(t, line);
    append(t, "\033[0m\033[K", 7);
}

/* All in one write, so that no half of a picture is ever seen. */
static void flush(struct terminal *t)
{
    fwrite(t->buffer, 1, t->used, stdout);
    fflush(stdout);
}

void terminal_show(struct terminal *t)
{
    append(t, "\033[J", 3);
    flush(t);
    t->drawn = t->line_count;
}

void terminal_end(struct terminal *t)
{
    if (t->drawn) {
        t->used = 0;
        append(t, "\r\n\033[?25h", 8);
        flush(t);
    }
    t->drawn = 0;
    free(t->buffer);
    t->buffer = NULL;
    t->used = t->size = 0;
}

/* ---- Bars -------------------------------------------------------------------------------------
 */

static double cells_of(double dbfs, int width)
{
    double share = (dbfs - bottom_dbfs) / -bottom_dbfs;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return share * width;
}

static const char *colour_at(const struct terminal *t, int cell, int width)
{
    double dbfs = bottom_dbfs + (cell + 0.5) * -bottom_dbfs / width;
    if (!t->colours)
        return "";
    return dbfs > -6 ? "\033[31m" : dbfs > -18 ? "\033[33m" : "\033[32m";
}

void terminal_bar(const struct terminal *t, char *to, size_t size, int width, double rms_dbfs,
                  double peak_dbfs, double hold_dbfs)
{
    static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    double rms = cells_of(rms_dbfs, width), peak = cells_of(peak_dbfs, width);
    int mark = hold_dbfs > bottom_dbfs ? (int)cells_of(hold_dbfs, width - 1) : -1;
    const char *colour = "";
    size_t used = 0;
    to[0] = '\0';
    for (int i = 0; i < width; i++) {
        double fill = rms - i;
        const char *cell;
        if (i == mark && fill < 1)
            cell = t->utf8 ? "┃" : "|";
        else if (fill > 0)
            cell = t->utf8 ? eighths[fill >= 1 ? 8 : (int)(fill * 8 + 0.5)] : "#";
        else
            cell = peak > i ? (t->utf8 ? "░" : "-") : (t->utf8 ? " " : ".");
        const char *now = colour_at(t, i, width);
        used += (size_t)snprintf(to + used, size - used, "%s%s", now != colour ? now : "", cell);
        colour = now;
        if (used + 16 >= size)
            break;
    }
    snprintf(to + used, size - used, "%s", terminal_plain(t));
}
