/*
 * Pictures are made in memory and written at once, so that no half of one is ever seen. The cursor
 * rests at the end of the last line of the picture that stands. The last column stays free: a
 * cursor that waits there for the next character is where terminals differ.
 */
#include "terminal.h"

#include "output.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static const double bottom_dbfs = -60;

static void measure(struct terminal *t)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    t->columns = (known ? w.ws_col : 80) - 1;
    t->rows = known ? w.ws_row : 24;
}

/* COLORTERM is what terminals with all colours set; some are told by their name. */
static enum terminal_depth find_depth(const char *kind)
{
    const char *colours = getenv("COLORTERM");
    if (colours && (!strcmp(colours, "truecolor") || !strcmp(colours, "24bit")))
        return TERMINAL_TRUE;
    if (strstr(kind, "direct") || strstr(kind, "truecolor"))
        return TERMINAL_TRUE;
    return strstr(kind, "256color") ? TERMINAL_256 : TERMINAL_PLAIN;
}

void terminal_init(struct terminal *t)
{
    const char *kind = getenv("TERM"), *plain = getenv("NO_COLOR");
    *t = (struct terminal){0};
    setlocale(LC_CTYPE, "");
    t->live = isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
    t->colours = t->live && !(plain && *plain);
    t->depth = t->colours ? find_depth(kind) : TERMINAL_PLAIN;
    t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    measure(t);
}

static const char *colour(const struct terminal *t, const char *sequence)
{
    return t->colours ? sequence : "";
}

const char *terminal_dim(const struct terminal *t)
{
    return colour(t, "\033[2m");
}

const char *terminal_bold(const struct terminal *t)
{
    return colour(t, "\033[1m");
}

const char *terminal_good(const struct terminal *t)
{
    return colour(t, "\033[32m");
}

const char *terminal_warn(const struct terminal *t)
{
    return colour(t, "\033[1;31m");
}

const char *terminal_plain(const struct terminal *t)
{
    return colour(t, "\033[0m");
}

/* ---- Pictures -------------------------------------------------------------------------------- */

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

static void append_text(struct terminal *t, const char *text)
{
    append(t, text, strlen(text));
}

/* The bytes of the first character of text, and how many cells it takes. */
static size_t measure_character(const char *text, int *cells)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
    if (bytes == (size_t)-1 || bytes == (size_t)-2 || bytes == 0) {
        *cells = 1; /* not of this locale; the terminal will show something */
        return 1;
    }
    int width = wcwidth(wide);
    *cells = width < 0 ? 0 : width;
    return bytes;
}

/* Appends as much of a line as fits; escape sequences, which all end with 'm', take no cell.
 * Returns the cells used. */
static int append_cut(struct terminal *t, const char *line)
{
    int used = 0;
    while (*line) {
        int cells = 0;
        size_t bytes = *line == '\033' ? strcspn(line, "m") + 1 : measure_character(line, &cells);
        if (used + cells > t->columns)
            break;
        append(t, line, bytes);
        used += cells;
        line += bytes;
    }
    append_text(t, terminal_plain(t));
    return used;
}

static void flush(struct terminal *t)
{
    fwrite(t->buffer, 1, t->used, stdout);
    output_flush();
    t->used = 0;
}

/* Back to where the standing picture began. A terminal that became narrower has wrapped it. */
static void go_to_top(struct terminal *t)
{
    int rows = 0;
    char up[32];
    if (!t->drawn)
        return;
    for (int i = 0; i < t->drawn; i++)
        rows += t->cells[i] / (t->columns + 1) + 1;
    rows = rows < t->rows ? rows : t->rows;
    if (rows > 1) {
        snprintf(up, sizeof up, "\033[%dA", rows - 1);
        append_text(t, up);
    }
    append_text(t, "\r");
}

/* ---- Crashes ----------------------------------------------------------------------------------
 */

/* Signals that end the program without a word to anybody: they give the terminal back first. */
static const int crashes[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGQUIT,
                              SIGTRAP, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU};
enum { CRASHES = sizeof crashes / sizeof *crashes };
static struct sigaction before_crash[CRASHES];
static struct termios crash_before;
static volatile sig_atomic_t crash_is_ready, crash_has_echo;

/* On whatever thread; only what a handler may call. What was to happen then does. */
static void give_back_and_crash(int signal)
{
    static const char cursor[] = "\r\n\033[?25h";
    if (crash_is_ready) {
        crash_is_ready = false;
        ssize_t n = write(STDOUT_FILENO, cursor, sizeof cursor - 1);
        (void)n;
        if (crash_has_echo)
            tcsetattr(STDIN_FILENO, TCSANOW, &crash_before);
    }
    for (int i = 0; i < CRASHES; i++)
        if (crashes[i] == signal)
            sigaction(signal, &before_crash[i], NULL);
    raise(signal); /* delivered when this handler returns */
}

static void crash_begin(void)
{
    if (crash_is_ready)
        return;
    struct sigaction handler = {.sa_handler = give_back_and_crash};
    for (int i = 0; i < CRASHES; i++) {
        sigaction(crashes[i], &handler, &before_crash[i]);
        if (before_crash[i].sa_handler == SIG_IGN) /* as a shell leaves it to what it runs behind */
            sigaction(crashes[i], &before_crash[i], NULL);
    }
    crash_is_ready = true;
}

static void crash_end(void)
{
    if (!crash_is_ready)
        return;
    crash_is_ready = crash_has_echo = false;
    for (int i = 0; i < CRASHES; i++)
        sigaction(crashes[i], &before_crash[i], NULL);
}

/* What is typed would tear the picture, and so would Ctrl-C, at which the kernel throws away what
 * the terminal has not read yet. Never from the background, where asking would stop us. */
static void stop_echo(struct terminal *t)
{
    struct termios now;
    if (t->echo_off || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &now) < 0)
        return;
    t->before = now;
    now.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    now.c_lflag |= NOFLSH;
    if (t->has_keys) {
        now.c_lflag &= ~(tcflag_t)ICANON;
        now.c_cc[VMIN] = 0; /* a read never waits */
        now.c_cc[VTIME] = 0;
    }
    crash_before = t->before;
    crash_has_echo = true;
    t->echo_off = tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

void terminal_begin(struct terminal *t)
{
    measure(t);
    crash_begin();
    stop_echo(t);
    t->used = 0;
    append_text(t, "\033[?25l");
    go_to_top(t);
    t->line_count = 0;
}

void terminal_line(struct terminal *t, const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    terminal_ready_line(t, line);
}

void terminal_ready_line(struct terminal *t, const char *line)
{
    /* Never taller than the terminal, or it would scroll at each redraw. */
    if (t->line_count >= t->rows || t->line_count == TERMINAL_LINES_MAX)
        return;
    if (t->line_count)
        append_text(t, "\r\n");
    t->cells[t->line_count++] = append_cut(t, line);
    append_text(t, "\033[K");
}

/* ---- Facts ----------------------------------------------------------------------------------- */

int terminal_cells(const char *text)
{
    int all = 0, cells;
    for (; *text; all += cells)
        text += measure_character(text, &cells);
    return all;
}

/* May a line end before this space? */
static bool may_break(const char *text, const char *space)
{
    bool is_sign = (space[0] && (space[1] == '+' || space[1] == '=')) && space[2] == ' ';
    return *space == ' ' && space > text && (space[-1] == ',' || is_sign);
}

/* The bytes of text that a line of so many cells takes: all, or to where it may end, or, where it
 * may end nowhere, all that fits. */
static size_t line_bytes(const char *text, int room)
{
    size_t at = 0, end = 0;
    int cells, used = 0;
    while (text[at]) {
        size_t bytes = measure_character(text + at, &cells);
        if (may_break(text, text + at))
            end = at;
        if (used + cells > room)
            return end ? end : at ? at : bytes;
        used += cells;
        at += bytes;
    }
    return at;
}

/* Returns how many lines it takes. Without t nothing is shown. */
static int put_fact(struct terminal *t, const struct terminal_fact *f, int margin, int name_cells,
                    int room, int lines)
{
    const char *text = f->text, *name = f->name;
    int n = 0;
    for (; *text && n < lines; n++, name = "") {
        size_t bytes = line_bytes(text, room);
        bool has_hint =
            *f->hint && !text[bytes] && terminal_cells(text) + 2 + terminal_cells(f->hint) <= room;
        if (t)
            terminal_line(t, "%*s%-*s %.*s%s%s", margin, "", name_cells, name, (int)bytes, text,
                          has_hint ? ", " : "", has_hint ? f->hint : "");
        text += bytes + (text[bytes] == ' ');
    }
    return n;
}

void terminal_facts(struct terminal *t, const struct terminal_fact *facts, int count, int rows)
{
    enum { WIDE = 66, MARGIN = 3, NAME = 9, NARROW_NAME = 8 };
    bool is_wide = t->columns >= WIDE;
    int margin = is_wide ? MARGIN : 0, name = is_wide ? NAME : NARROW_NAME;
    int room = t->columns - margin - name - 1;
    count = count < rows ? count : rows;
    int spare = rows - count;
    for (int i = 0; i < count && room > 0; i++) {
        int more = put_fact(NULL, &facts[i], margin, name, room, rows) - 1;
        more = more < spare ? more : spare;
        put_fact(t, &facts[i], margin, name, room, 1 + more);
        spare -= more > 0 ? more : 0;
    }
}

void terminal_show(struct terminal *t)
{
    append_text(t, "\033[J");
    flush(t);
    t->drawn = t->line_count;
}

void terminal_clear(struct terminal *t)
{
    if (!t->drawn)
        return;
    go_to_top(t);
    append_text(t, "\033[J\033[?25h"); /* it may be the last picture */
    flush(t);
    t->drawn = 0;
}

void terminal_end(struct terminal *t)
{
    if (t->drawn || t->echo_off) {
        append_text(t, t->drawn ? "\r\n\033[?25h" : "\033[?25h");
        flush(t);
    }
    if (t->echo_off && tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
    crash_end();
    t->echo_off = false;
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
    share = share > 0 ? share : 0; /* of a NaN, too */
    return (share < 1 ? share : 1) * width;
}

static const char *colour_at(const struct terminal *t, int cell, int width)
{
    double dbfs = bottom_dbfs + (cell + 0.5) * -bottom_dbfs / width;
    return colour(t, dbfs > -6 ? "\033[31m" : dbfs > -18 ? "\033[33m" : "\033[32m");
}

void terminal_level_bar(const struct terminal *t, char *to, size_t size, int width, double rms_dbfs,
                        double peak_dbfs, double hold_dbfs)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    double rms = cells_of(rms_dbfs, width), peak = cells_of(peak_dbfs, width);
    int mark = hold_dbfs > bottom_dbfs ? (int)cells_of(hold_dbfs, width - 1) : -1;
    const char *last = "";
    size_t used = 0;
    to[0] = '\0';
    for (int i = 0; i < width && used + 16 < size; i++) {
        double fill = rms - i;
        int part = fill >= 1 ? 8 : fill > 0 ? (int)(fill * 8 + 0.5) : 0;
        const char *cell;
        if (i == mark && part < 8)
            cell = t->utf8 ? "┃" : "|";
        else if (part)
            cell = t->utf8 ? eighths[part] : "#";
        else if (peak > i)
            cell = t->utf8 ? "░" : "-";
        else
            cell = t->utf8 ? " " : ".";
        const char *now = colour_at(t, i, width);
        used +=
            (size_t)snprintf(to + used, size - used, "%s%s", strcmp(now, last) ? now : "", cell);
        last = now;
    }
    snprintf(to + used, size - used, "%s", terminal_plain(t));
}

void terminal_level_scale(char *to, size_t size, int width)
{
    enum { NUMBER = 4, GAP = 3 };
    static const int steps_db[] = {6, 12, 20, 30, 60};
    size_t step = 0;
    width = width < (int)size ? width : (int)size - 1;
    memset(to, ' ', (size_t)width);
    to[width] = '\0';
    while (step < 4 && cells_of(bottom_dbfs + steps_db[step], width) < NUMBER + GAP)
        step++;
    for (int db = (int)bottom_dbfs; db <= 0 && width >= NUMBER; db += steps_db[step]) {
        char number[16];
        int length = snprintf(number, sizeof number, "%d", db);
        int at = (int)cells_of(db, width) - length / 2;
        at = at < 0 ? 0 : at + length > width ? width - length : at;
        memcpy(to + at, number, (size_t)length);
    }
}

void terminal_progress_bar(const struct terminal *t, char *to, size_t size, int width, double share)
{
    size_t used = 0;
    double done = (share > 0 ? share < 1 ? share : 1 : 0) * width;
    to[0] = '\0';
    for (int i = 0; i < width && used + 8 < size; i++) {
        const char *cell = i < done ? (t->utf8 ? "━" : "=") : (t->utf8 ? "┄" : ".");
        used += (size_t)snprintf(to + used, size - used, "%s", cell);
    }
}
