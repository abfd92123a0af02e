/*
 * terminal.h - a live view that is redrawn in place, and gives the terminal back as it was.
 *
 * A picture is a list of lines; each is cut to the terminal's width, escape sequences not counted.
 */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include <stdbool.h>
#include <takt/takt.h>

struct terminal {
    bool live;    /* stdout is a terminal that can move its cursor */
    bool colours; /* and NO_COLOR is not set */
    bool utf8;
    int columns, rows;
    int drawn; /* lines of the picture that stands there */
    char *buffer;
    size_t used, size;
    int line_count;
};

void terminal_init(struct terminal *t);

/* Begins a picture, at the terminal's present size. */
void terminal_begin(struct terminal *t);
void terminal_line(struct terminal *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts it over the one before. */
void terminal_show(struct terminal *t);
/* Leaves the picture standing and shows the cursor again; restore may be called at any exit. */
void terminal_end(struct terminal *t);

/* A level bar of `width` cells from -60 to 0 dBFS, with a mark where the peak is held; colours
 * where the terminal has them. Writes into `to`. */
void terminal_bar(const struct terminal *t, char *to, size_t size, int width, double rms_dbfs,
                  double peak_dbfs, double hold_dbfs);

/* The escape sequence, or "" without colours. */
const char *terminal_dim(const struct terminal *t);
const char *terminal_bold(const struct terminal *t);
const char *terminal_warn(const struct terminal *t);
const char *terminal_plain(const struct terminal *t);

#endif
