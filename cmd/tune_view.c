/*
 * What is seen of takt tune: the note in large letters where there is room, a needle from 50 cents
 * flat to 50 sharp, a second one that is ten times finer once the first is near the middle, and the
 * strings of the instrument. As the terminal gets smaller the letters, the scale, the strings and
 * the fine needle go, in this order; the note and its cents stay.
 *
 * The needle shows what was measured, without smoothing of its own: it is steady because the
 * measurement is.
 */
#include "tune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LETTER_ROWS = 5, LETTER_COLUMNS = 5, TEXT = 512 };
static const double coarse_cents = 50, fine_cents = 5;
static const double fades_after_s = 0.15; /* without a note */

void tune_hear(struct tune *t, const struct takt_tuner_reading *r, double time_s)
{
    t->now = *r;
    t->now_s = time_s;
    if (!r->voiced)
        return;
    t->last = *r;
    t->last_s = time_s;
    t->has_last = true;
}

/* ---- Letters --------------------------------------------------------------------------------- */

/* Five rows of five cells each, the leftmost cell being the highest bit. */
static const struct letter {
    char of;
    unsigned char rows[LETTER_ROWS];
} letters[] = {
    {'A', {14, 17, 31, 17, 17}}, {'B', {30, 17, 30, 17, 30}}, {'C', {15, 16, 16, 16, 15}},
    {'D', {30, 17, 17, 17, 30}}, {'E', {31, 16, 30, 16, 31}}, {'F', {31, 16, 30, 16, 16}},
    {'G', {15, 16, 19, 17, 15}}, {'#', {10, 31, 10, 31, 10}}, {'b', {8, 8, 14, 9, 14}},
    {'-', {0, 0, 14, 0, 0}},     {'0', {14, 17, 17, 17, 14}}, {'1', {4, 12, 4, 4, 14}},
    {'2', {30, 1, 14, 16, 31}},  {'3', {30, 1, 14, 1, 30}},   {'4', {17, 17, 31, 1, 1}},
    {'5', {31, 16, 30, 1, 30}},  {'6', {14, 16, 30, 17, 14}}, {'7', {31, 1, 2, 4, 4}},
    {'8', {14, 17, 14, 17, 14}}, {'9', {14, 17, 15, 1, 14}},
};

static const struct letter *letter_of(char c)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].of == c)
            return &letters[i];
    return NULL;
}

static void append(char *to, const char *text)
{
    size_t used = strlen(to);
    snprintf(to + used, TEXT - used, "%s", text);
}

static void append_cells(char *to, const char *cell, int count)
{
    for (int i = 0; i < count; i++)
        append(to, cell);
}

static void draw_letters(struct terminal *t, const char *name, const char *colour)
{
    int width = (int)strlen(name) * (LETTER_COLUMNS + 1) - 1;
    for (int row = 0; row < LETTER_ROWS; row++) {
        char line[TEXT] = "";
        append_cells(line, " ", (t->columns - width) / 2);
        for (const char *c = name; *c; c++) {
            const struct letter *l = letter_of(*c);
            for (int cell = LETTER_COLUMNS - 1; l && cell >= 0; cell--)
                append(line, !(l->rows[row] >> cell & 1) ? " " : t->utf8 ? "█" : "#");
            append(line, " ");
        }
        terminal_line(t, "%s%s%s", colour, line, terminal_plain(t));
    }
}

/* ---- Needles --------------------------------------------------------------------------------- */

/* Cells to each side of the middle. */
static int half_width(const struct terminal *t)
{
    enum { AROUND = 10, WIDEST = 50 };
    int half = (t->columns - AROUND) / 2;
    return half < WIDEST ? half : WIDEST;
}

/* Half a cell is the least that it moves, where there are halves of cells. */
void tune_needle(struct terminal *t, const char *before, double cents, double full_cents,
                 const char *colour)
{
    int half = half_width(t), cells = 2 * half + 1;
    char line[TEXT] = "";
    double place = half + 0.5 + cents / full_cents * half; /* 0..cells; the middle is half + 0.5 */
    place = fmin(fmax(place, 0.25), cells - 0.25);
    int at = (int)place;
    const char *needle = "|";
    if (t->utf8)
        needle = fabs(place - at - 0.5) <= 0.25 ? "█" : place - at < 0.5 ? "▌" : "▐";
    for (int i = 0; i < cells; i++) {
        if (i == at) {
            append(line, colour);
            append(line, needle);
            append(line, terminal_plain(t));
        } else if (i == half) {
            append(line, t->utf8 ? "┃" : "+");
        } else {
            append(line, t->utf8 ? "─" : "-");
        }
    }
    terminal_line(t, "%s %s %+.0f", before, line, full_cents);
}

static void draw_needle(struct terminal *t, double cents, double full_cents, const char *colour)
{
    char before[8];
    snprintf(before, sizeof before, "%+4.0f", -full_cents);
    tune_needle(t, before, cents, full_cents, colour);
}

/* ---- Words ----------------------------------------------------------------------------------- */

static bool is_well(const struct takt_tuner_reading *r)
{
    return r->precise && fabs(r->cents) <= tune_well_cents;
}

static const char *verdict_of(const struct takt_tuner_reading *r)
{
    if (!r->precise)
        return "listening";
    return is_well(r) ? "in tune" : r->cents < 0 ? "flat: tune up" : "sharp: tune down";
}

static void draw_numbers(const struct tune *u, struct terminal *t, const char *name,
                         const char *colour)
{
    const struct takt_tuner_reading *r = &u->last;
    char string[32] = "";
    if (r->string >= 0)
        snprintf(string, sizeof string, "  string %d", tune_string_number(u, r->string));
    if (t->columns < 40)
        terminal_line(t, "%s%s%s %+.1f %s", colour, name, terminal_plain(t), r->cents,
                      is_well(r)     ? "in tune"
                      : r->cents < 0 ? "flat"
                                     : "sharp");
    else if (t->columns < 70)
        terminal_line(t, "  %s%-4s %+7.2f cents%s  %.2f Hz%s", colour, name, r->cents,
                      terminal_plain(t), r->f0_hz, string);
    else
        terminal_line(t, "  %s%-4s %+7.2f%s %s %.2f cents  %8.3f Hz%s   %s%s%s", colour, name,
                      r->cents, terminal_plain(t), t->utf8 ? "±" : "+-", r->sigma_cents, r->f0_hz,
                      string, colour, verdict_of(r), terminal_plain(t));
}

/* "6 E2  5 A2  …": that which sounds is bold, those that were in tune are green. */
static void draw_strings(const struct tune *u, struct terminal *t, bool sounds)
{
    char line[TEXT] = "  ";
    for (int i = 0; i < u->tuning.count; i++) {
        char name[TAKT_NOTE_NAME_BYTES], one[64];
        const struct takt_tuner_reading *r = &u->of_string[i];
        bool now = sounds && u->last.string == i;
        const char *mark = !r->notes ? " " : is_well(r) ? "*" : r->cents < 0 ? "<" : ">";
        takt_note_name(u->tuning.note[i], u->flats, name);
        snprintf(one, sizeof one, "%s%s%s%s%s%s  ", now ? terminal_bold(t) : "",
                 r->notes && is_well(r) ? terminal_good(t) : "", now ? "[" : " ", name,
                 now ? "]" : mark, terminal_plain(t));
        append(line, one);
    }
    terminal_line(t, "%s", line);
}

void tune_text(struct analysis *a, const void *event, double time_s)
{
    const struct tune *u = a->state;
    const struct takt_tuner_reading *r = event;
    char name[TAKT_NOTE_NAME_BYTES];
    if (!r->voiced) {
        printf("%8.1f s  no note, %.1f dBFS\n", time_s, r->level_dbfs);
        return;
    }
    takt_note_name(r->note, u->flats, name);
    printf("%8.1f s  %-4s %+7.2f cents, give or take %5.2f  %9.3f Hz", time_s, name, r->cents,
           r->sigma_cents, r->f0_hz);
    if (r->string >= 0)
        printf("  string %d", tune_string_number(u, r->string));
    printf("  %s\n", verdict_of(r));
}

void tune_draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct tune *u = a->state;
    const struct takt_tuner_reading *r = &u->last;
    bool sounds = u->has_last && u->now_s - u->last_s < fades_after_s;
    char name[TAKT_NOTE_NAME_BYTES] = "-";
    const char *colour = !sounds      ? terminal_dim(t)
                         : is_well(r) ? terminal_good(t)
                                      : terminal_bold(t);
    bool strings = u->has_tuning && rows >= 4 && t->columns >= 40;
    bool needle = rows >= 2 && half_width(t) >= 5, fine = needle && rows >= 3;
    int used = 1 + needle + fine + strings;
    bool large = rows >= used + LETTER_ROWS + 2 && t->columns >= 24;
    if (u->has_last)
        takt_note_name(r->note, u->flats, name);
    if (large) {
        terminal_line(t, " ");
        draw_letters(t, name, colour);
        terminal_line(t, " ");
    }
    if (!u->has_last)
        terminal_line(t, "  %splay a note%s", terminal_dim(t), terminal_plain(t));
    else
        draw_numbers(u, t, name, colour);
    if (needle)
        draw_needle(t, u->has_last ? r->cents : 0, coarse_cents, colour);
    if (fine)
        draw_needle(t, u->has_last ? r->cents : 0, fine_cents, colour);
    if (strings)
        draw_strings(u, t, sounds);
}
