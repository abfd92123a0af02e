/*
 * How each mode of takt meter looks: bars on the scale of the meter that it is, its numbers
 * underneath, and beside each bar where it stands and the highest it has been.
 */
#include "meter.h"
#include "scale.h"

#include <stdio.h>

/* The cells around a bar: label, brackets, two numbers. */
enum { AROUND = 5 + 2 + 8 + 8, NARROWEST = 12, WIDEST = 200 };

static int bar_width(const struct terminal *t)
{
    int width = t->columns - AROUND;
    return width < NARROWEST ? 0 : width < WIDEST ? width : WIDEST;
}

/* A label of up to 4 cells, a bar unless there is no room, and what is beside it. */
static void draw_line(struct terminal *t, const char *label, const char *bar, const char *beside)
{
    const char *left = t->utf8 ? "▕" : "[", *right = t->utf8 ? "▏" : "]";
    bool has_bar = bar_width(t) > 0;
    terminal_line(t, "%4s %s%s%s%s", label, has_bar ? left : "", has_bar ? bar : "",
                  has_bar ? right : "", beside);
}

static void draw_scale(struct terminal *t, const char *unit, const struct scale *s,
                       const char *beside)
{
    char numbers[WIDEST + 1] = "";
    int width = bar_width(t);
    scale_numbers(numbers, sizeof numbers, width, s);
    terminal_line(t, "%s%4s %s%s%s%s%s", terminal_dim(t), unit, width ? " " : "", numbers,
                  width ? " " : "", beside, terminal_plain(t));
}

/* ---- Loudness ----------------------------------------------------------------------------------
 */

/* EBU Tech 3341: the scale of +18 LU around the target. */
static void draw_loudness(struct terminal *t, const struct meter *m,
                          const struct takt_loudness_reading *l, int lines)
{
    double target = m->target_lufs;
    double numbers[] = {target,      target - 18, target + 9, target - 36,
                        target + 18, target - 9,  target - 27};
    struct scale s = {.low = target - 36,
                      .high = target + 18,
                      .yellow = target,
                      .red = target + 9,
                      .numbers = numbers,
                      .number_count = sizeof numbers / sizeof *numbers};
    const struct {
        const char *label;
        double now, most;
    } rows[] = {{"I", l->integrated_lufs, scale_nowhere},
                {"S", l->short_term_lufs, l->short_term_max_lufs},
                {"M", l->momentary_lufs, l->momentary_max_lufs}};
    char bar[4096], beside[64];
    int width = bar_width(t);
    for (int i = 0; i < 3 && i < lines; i++) {
        scale_bar(t, bar, sizeof bar, width, &s, rows[i].now, rows[i].most, target);
        if (i == 0 && rows[0].now > -200)
            snprintf(beside, sizeof beside, "%8.1f%+8.1f", rows[i].now, rows[i].now - target);
        else if (i == 0)
            snprintf(beside, sizeof beside, "%8.1f", rows[i].now);
        else
            snprintf(beside, sizeof beside, "%8.1f%8.1f", rows[i].now, rows[i].most);
        draw_line(t, rows[i].label, bar, beside);
    }
    if (lines > 3)
        draw_scale(t, "LUFS", &s, "     now  max/LU");
    bool alarm = l->true_peak_dbtp > -1;
    if (lines > 4)
        terminal_line(t, "     range %.1f LU   %strue peak %.1f dBTP%s   target %g LUFS%s",
                      l->range_lu, alarm ? terminal_warn(t) : "", l->true_peak_dbtp,
                      alarm ? terminal_plain(t) : "", target,
                      l->integrated_lufs > -200 ? "" : "   nothing passed the gate yet");
}

/* ---- A bar a channel ---------------------------------------------------------------------------
 */

struct bars {
    const char *unit, *title;
    struct scale scale;
};

#define SCALE(low_, high_, yellow_, red_, ...)                                                     \
    {                                                                                              \
        .low = (low_), .high = (high_), .yellow = (yellow_), .red = (red_),                        \
        .numbers = (const double[]){__VA_ARGS__},                                                  \
        .number_count = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)                     \
    }

static const struct bars true_peak_bars = {
    "dBTP", "true peak of the last 0.4 s, and the highest",
    SCALE(-48, 3, -9, -1, 0, -12, -24, -36, -48, 3, -6, -18, -3, -30, -42, -9)};

static const struct bars needle_bars[TAKT_NEEDLES] = {
    {"VU", "0 VU is a sine at -18 dBFS",
     SCALE(-20, 3, 0, 1, 0, -20, 3, -10, -5, -7, -3, 1, 2, -1, -2)},
    {"dB", "PPM type I, DIN: 0 dB is -9 dBFS",
     SCALE(-50, 5, -9, 0, 0, -20, -50, -10, 5, -30, -40, -5, -15)},
    {"dB", "PPM type I, Nordic: 0 dB is -18 dBFS",
     SCALE(-42, 12, 0, 9, 0, -12, 9, -24, -42, 6, -6, -36, -18, -30, 12)},
    {"mark", "PPM type IIa, BBC: 4 is -18 dBFS, 4 dB from mark to mark",
     SCALE(0.5, 7.5, 5, 6, 4, 6, 1, 7, 2, 5, 3)},
    {"dB", "PPM type IIb, EBU: 0 dB (TEST) is -18 dBFS",
     SCALE(-14, 14, 0, 9, 0, -12, 8, 12, -4, -8, 4)},
    {"K-20", "RMS over 0.6 s, 0 dB is -20 dBFS; mark: the highest",
     SCALE(-30, 20, 0, 4, 0, -20, 20, 10, -10, 4, -30, -4, 15, -15)},
    {"K-14", "RMS over 0.6 s, 0 dB is -14 dBFS; mark: the highest",
     SCALE(-30, 14, 0, 4, 0, -20, 14, -10, 4, -30, 8, -4, -15)},
    {"K-12", "RMS over 0.6 s, 0 dB is -12 dBFS; mark: the highest",
     SCALE(-30, 12, 0, 4, 0, -20, 12, -10, 4, -30, 8, -4, -15)},
};

static void draw_bar(struct terminal *t, const struct bars *b, uint32_t channel, double now,
                     double most)
{
    char bar[4096], beside[80], label[16];
    scale_bar(t, bar, sizeof bar, bar_width(t), &b->scale, now, most, scale_nowhere);
    snprintf(beside, sizeof beside, "%8.1f%s%8.1f%s", now,
             most > b->scale.red ? terminal_warn(t) : "", most,
             most > b->scale.red ? terminal_plain(t) : "");
    snprintf(label, sizeof label, "%u", channel + 1);
    draw_line(t, label, bar, beside);
}

/* As many channels as there is room for, then the scale, then what it is. */
static void draw_bars(struct terminal *t, const struct meter *m, const struct meter_reading *now,
                      int lines)
{
    bool is_peak = m->mode == METER_TRUE_PEAK;
    enum takt_needle n = (enum takt_needle)(is_peak ? 0 : m->mode - METER_NEEDLES);
    struct bars b = is_peak ? true_peak_bars : needle_bars[n];
    b.scale.is_voltage = !is_peak && n == TAKT_NEEDLE_VU;
    int channels = (int)m->channels < lines ? (int)m->channels : lines;
    for (int c = 0; c < channels; c++) {
        const struct meter_channel *ch = &now->channel[c];
        if (is_peak)
            draw_bar(t, &b, (uint32_t)c, ch->true_peak.recent_dbtp, ch->true_peak.max_dbtp);
        else
            draw_bar(t, &b, (uint32_t)c, takt_needle_mark(n, ch->needles.dbfs[n]),
                     takt_needle_mark(n, ch->needles.max_dbfs[n]));
    }
    if (lines > channels)
        draw_scale(t, b.unit, &b.scale, "     now     max");
    if (lines > channels + 1)
        terminal_line(t, "     %s%s%s", terminal_dim(t), b.title, terminal_plain(t));
}

/* ---- Correlation -------------------------------------------------------------------------------
 */

/* "-0.00" would say nothing. */
static double without_minus_zero(double r)
{
    return r > -0.005 && r < 0 ? 0 : r;
}

static void draw_correlation(struct terminal *t, const struct meter *m,
                             const struct takt_correlation *c, int lines)
{
    const struct scale s = SCALE(-1, 1, 2, 2, 0, -1, 1, -0.5, 0.5);
    char bar[4096], beside[64];
    if (m->channels < 2) {
        terminal_line(t, "     one channel alone has no correlation");
        return;
    }
    scale_pointer(t, bar, sizeof bar, bar_width(t), &s, c->now,
                  c->least < 1 ? c->least : scale_nowhere);
    snprintf(beside, sizeof beside, "%+8.2f%+8.2f", without_minus_zero(c->now),
             without_minus_zero(c->least));
    draw_line(t, "1 2", bar, beside);
    if (lines > 1)
        draw_scale(t, "r", &s, "     now   least");
    if (lines > 2)
        terminal_line(t, "     %s%+.2f in all; 1: mono, 0: nothing in common, -1: lost in mono%s",
                      terminal_dim(t), c->total, terminal_plain(t));
}

/* ---- All ---------------------------------------------------------------------------------------
 */

static void draw_all(struct terminal *t, const struct meter *m, const struct meter_reading *now,
                     int lines)
{
    const struct takt_loudness_reading *l = &now->loudness;
    int used = 0;
    if (now->has_loudness && used++ < lines)
        terminal_line(t, "   M %.1f  S %.1f  I %.1f LUFS  range %.1f LU  true peak %.1f dBTP",
                      l->momentary_lufs, l->short_term_lufs, l->integrated_lufs, l->range_lu,
                      l->true_peak_dbtp);
    if (m->channels > 1 && used++ < lines)
        terminal_line(t, "   correlation %+.2f  least %+.2f", now->correlation.now,
                      now->correlation.least);
    if (used++ < lines)
        terminal_line(t, "%s       TP     VU    DIN Nordic    BBC    EBU   K-20   K-14   K-12%s",
                      terminal_dim(t), terminal_plain(t));
    for (uint32_t c = 0; c < m->channels && used++ < lines; c++) {
        const struct meter_channel *ch = &now->channel[c];
        char row[128];
        size_t at = 0;
        for (int n = 0; n < TAKT_NEEDLES && at < sizeof row; n++)
            at += (size_t)snprintf(row + at, sizeof row - at, "%7.1f",
                                   takt_needle_mark((enum takt_needle)n, ch->needles.dbfs[n]));
        if (now->has_loudness)
            terminal_line(t, "%2u%7.1f%s", c + 1, ch->true_peak.recent_dbtp, row);
        else
            terminal_line(t, "%2u      -%s", c + 1, row);
    }
}

int meter_lines(const struct meter *m)
{
    switch (m->mode) {
    case METER_LEVEL:
        return 0;
    case METER_LOUDNESS:
        return 5;
    case METER_CORRELATION:
        return m->channels > 1 ? 3 : 1;
    case METER_ALL:
        return 3 + (int)m->channels;
    default:
        return (int)m->channels + 2;
    }
}

void meter_draw(struct terminal *t, const struct meter *m, const struct meter_reading *now,
                int lines)
{
    if (lines < 1 || m->mode == METER_LEVEL)
        return;
    if (m->mode == METER_LOUDNESS)
        draw_loudness(t, m, &now->loudness, lines);
    else if (m->mode == METER_CORRELATION)
        draw_correlation(t, m, &now->correlation, lines);
    else if (m->mode == METER_ALL)
        draw_all(t, m, now, lines);
    else
        draw_bars(t, m, now, lines);
}
