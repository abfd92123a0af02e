/*
 * terminal.h - a live view that is redrawn in place, and gives the terminal back as it was.
 *
 *     terminal_begin(&t);
 *     terminal_line(&t, "%.1f s", seconds);
 *     terminal_show(&t);
 *     ...
 *     terminal_end(&t);
 *
 * A picture is a list of lines; each is cut to the terminal's width, and the picture to its height.
 * While one stands, what is typed is not shown and the cursor is hidden. A crash gives the terminal
 * back, too.
 */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum { TERMINAL_LINES_MAX = 128 };

/* None at all, the 256 of xterm, or any, as COLORTERM and TERM say. */
enum terminal_depth { TERMINAL_PLAIN, TERMINAL_256, TERMINAL_TRUE };

struct terminal {
    bool live;    /* stdout is a terminal that can move its cursor */
    bool colours; /* and NO_COLOR is not set */
    bool utf8;
    enum terminal_depth depth; /* of colours that are given as 0xRRGGBB */
    int columns, rows;         /* to be used */
    char *buffer;
    size_t used, size;
    int line_count;                /* of the picture being made */
    int cells[TERMINAL_LINES_MAX]; /* that each of its lines takes */
    int drawn;                     /* lines of the picture that stands there */
    bool has_keys;                 /* keys are to be read one by one while a picture stands */
    bool echo_off;                 /* and before is what to set again */
    struct termios before;
};

void terminal_init(struct terminal *t);

/* Begins a picture, at the terminal's present size. */
void terminal_begin(struct terminal *t);
void terminal_line(struct terminal *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same of any length, and without a format. */
void terminal_ready_line(struct terminal *t, const char *line);
/* Facts below each other in up to `rows` lines, the most important first. One that is too long
 * goes on below where there are rows, behind a comma or before a lone + or =. What is left then is
 * left out, and so is a hint that does not fit behind the text as a whole. */
struct terminal_fact {
    const char *name, *text;
    const char *hint; /* "": none */
};
void terminal_facts(struct terminal *t, const struct terminal_fact *facts, int count, int rows);
/* The cells that a text takes. */
int terminal_cells(const char *text);
/* Puts it over the one before. */
void terminal_show(struct terminal *t);
/* Takes the picture away, so that lines can be written; the next one stands below them. */
void terminal_clear(struct terminal *t);
/* Leaves the picture standing and gives the terminal back. May be called at any time. */
void terminal_end(struct terminal *t);

/* A level bar of `width` cells from -60 to 0 dBFS, with a mark where the peak is held. */
void terminal_level_bar(const struct terminal *t, char *to, size_t size, int width, double rms_dbfs,
                        double peak_dbfs, double hold_dbfs);
/* The dB numbers under such a bar, as many as fit, and spaces up to width. */
void terminal_level_scale(char *to, size_t size, int width);
/* A bar of how far something has come, 0..1. */
void terminal_progress_bar(const struct terminal *t, char *to, size_t size, int width,
                           double share);

/* The escape sequence, or "" without colours. */
const char *terminal_dim(const struct terminal *t);
const char *terminal_bold(const struct terminal *t);
const char *terminal_good(const struct terminal *t);
const char *terminal_warn(const struct terminal *t);
const char *terminal_plain(const struct terminal *t);

#endif
