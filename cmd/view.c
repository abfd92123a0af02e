/*
 * What is seen while a stream runs: a picture redrawn in place on a terminal, plain lines in a
 * pipe, JSON lines where asked for. The picture gives up what is least needed as the terminal gets
 * smaller: details, progress, scale, bars; numbers and misses stay.
 */
#include "running.h"

#include <stdio.h>
#include <string.h>

/* Columns from which on there is room for: */
enum { BARS = 30, CLIPS = 44, DETAILS = 66 };
/* Of the last misses, so many are shown at most. */
enum { MISSES_MOST = 8 };

void view_json_line(const struct running *r, const struct reading *now)
{
    struct json j = {.to = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "type", "level");
    json_number(&j, "time_s", now->time_s, 6);
    json_open(&j, "channels", '[');
    for (uint32_t c = 0; c < r->channels; c++) {
        const struct takt_level_reading *l = &now->channel[c];
        json_open(&j, NULL, '{');
        json_number(&j, "rms_dbfs", l->rms_dbfs, 3);
        json_number(&j, "block_rms_dbfs", l->block_rms_dbfs, 3);
        json_number(&j, "peak_dbfs", l->block_peak_dbfs, 3);
        json_number(&j, "hold_dbfs", l->hold_dbfs, 3);
        json_int(&j, "clips", (int64_t)l->clips);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end_line(&j);
}

void view_text_line(const struct running *r, const struct reading *now)
{
    enum { CHANNELS_SHOWN = 8 };
    struct takt_contract_snapshot k;
    takt_contract_read(takt_stream_contract(r->stream), &k);
    printf("%8.1f s ", now->time_s);
    for (uint32_t c = 0; c < r->channels && c < CHANNELS_SHOWN; c++)
        printf(" ch%u rms %6.1f peak %6.1f", c + 1, now->channel[c].rms_dbfs,
               now->channel[c].hold_dbfs);
    if (r->actual.clock == TAKT_CLOCK_REAL)
        printf("  misses %llu, worst slack %.2f ms", (unsigned long long)k.misses_total,
               (double)k.slack_ns_min / 1e6);
    putchar('\n');
}

void view_reading(struct running *r, const struct reading *now)
{
    const double text_every_s = 1;
    const struct options *o = r->session->options;
    voice_tell_before(r, now->segments);
    if (o->quiet)
        return;
    if (r->actual.clock == TAKT_CLOCK_VIRTUAL)
        misses_tell_before(r, now->misses);
    if (r->session->no_level_lines)
        return;
    if (o->json) {
        view_json_line(r, now);
    } else if (!r->terminal.live && now->time_s >= r->next_text_s) {
        view_text_line(r, now);
        r->next_text_s += text_every_s;
    }
}

/* ---- The picture ------------------------------------------------------------------------------
 */

/* "1:02:03.4", without hours where there are none. */
static void write_time(char *to, size_t size, double seconds)
{
    unsigned tenths = (unsigned)(seconds * 10), minutes = tenths / 600;
    if (minutes >= 60)
        snprintf(to, size, "%u:%02u:%04.1f", minutes / 60, minutes % 60, (tenths % 600) / 10.0);
    else
        snprintf(to, size, "%u:%04.1f", minutes, (tenths % 600) / 10.0);
}

/* How far it has come, and what it is. */
static void draw_title(struct running *r)
{
    struct terminal *t = &r->terminal;
    char now[32], end[48] = "";
    write_time(now, sizeof now, (double)takt_stream_position(r->stream) / r->actual.rate_hz);
    if (r->total_frames) {
        memcpy(end, " / ", 3);
        write_time(end + 3, sizeof end - 3, (double)r->total_frames / r->actual.rate_hz);
    }
    bool away = takt_stream_state(r->stream) == TAKT_STATE_LOST;
    const char *what = away ? "the device is away: silence" : r->title;
    if (terminal_cells(now) + terminal_cells(end) + 2 + terminal_cells(what) > t->columns)
        *end = '\0'; /* the bar shows how far it is, too */
    terminal_line(t, "%s%s%s%s  %s%s%s", terminal_bold(t), now, terminal_plain(t), end,
                  away ? terminal_warn(t) : "", what, terminal_plain(t));
}

static void draw_progress(struct running *r)
{
    char bar[2048];
    double share = (double)takt_stream_position(r->stream) / (double)r->total_frames;
    terminal_progress_bar(&r->terminal, bar, sizeof bar, r->terminal.columns - 3, share);
    terminal_line(&r->terminal, "   %s%s%s", terminal_dim(&r->terminal), bar,
                  terminal_plain(&r->terminal));
}

/* The cells that a channel's line leaves to its bar; 0: too few for one. */
static int bar_width(const struct terminal *t)
{
    enum { AROUND = 3 + 2 + 7 + 7, FOR_CLIPS = 7, WIDEST = 400 };
    int width = t->columns - AROUND - (t->columns >= CLIPS ? FOR_CLIPS : 0);
    return t->columns < BARS ? 0 : width < WIDEST ? width : WIDEST;
}

static void draw_channel(struct running *r, uint32_t channel)
{
    struct terminal *t = &r->terminal;
    struct takt_level_reading l;
    char bar[3072] = "", clips[48] = "";
    int width = bar_width(t);
    const char *left = "", *right = "";
    takt_level_read(r->level, channel, &l);
    const char *alarm = l.clips ? terminal_warn(t) : "";
    if (width) {
        left = t->utf8 ? "▕" : "[";
        right = t->utf8 ? "▏" : "]";
        terminal_level_bar(t, bar, sizeof bar, width, l.rms_dbfs, l.block_peak_dbfs, l.hold_dbfs);
    }
    if (t->columns >= CLIPS)
        snprintf(clips, sizeof clips, "%s%7llu%s", l.clips ? alarm : terminal_dim(t),
                 (unsigned long long)l.clips, terminal_plain(t));
    terminal_line(t, "%2u %s%s%s%7.1f%s%7.1f%s%s", channel + 1, left, bar, right, l.rms_dbfs, alarm,
                  l.hold_dbfs, terminal_plain(t), clips);
}

static void draw_scale(struct terminal *t)
{
    char scale[512];
    int width = bar_width(t);
    terminal_level_scale(scale, sizeof scale, width);
    terminal_line(t, "%sdB  %s     rms   peak%s%s", terminal_dim(t), scale,
                  t->columns >= CLIPS ? "  clips" : "", terminal_plain(t));
}

static void draw_contract(struct running *r, const struct takt_contract_snapshot *k)
{
    struct terminal *t = &r->terminal;
    char misses[64];
    uint64_t n = k->misses_total;
    double worst_ms = k->blocks ? (double)k->slack_ns_min / 1e6 : 0;
    double block_ms = 1e3 * r->actual.host_block_frames / r->actual.rate_hz;
    snprintf(misses, sizeof misses, "%s%llu miss%s%s", n ? terminal_warn(t) : terminal_good(t),
             (unsigned long long)n, n == 1 ? "" : "es", terminal_plain(t));
    if (t->columns < DETAILS)
        terminal_line(t, "%s of %llu", misses, (unsigned long long)k->blocks);
    else
        terminal_line(t, "   contract  %llu blocks  %s  worst slack %.2f of %.2f ms  load %.1f %%",
                      (unsigned long long)k->blocks, misses, worst_ms, block_ms, 100 * k->cpu_load);
}

static void draw_details(struct running *r)
{
    const struct takt_stream_actual *a = &r->actual;
    terminal_line(&r->terminal,
                  "   %s%u Hz, blocks of %u, latency in %u + out %u + adapter %u frames%s",
                  terminal_dim(&r->terminal), a->rate_hz,
                  a->block_frames ? a->block_frames : a->block_frames_max, a->latency_in_frames,
                  a->latency_out_frames, a->adapter_frames, terminal_plain(&r->terminal));
}

/* The newest first. */
static void draw_misses(struct running *r, int lines)
{
    struct takt_miss misses[MISSES_MOST];
    char text[256];
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), misses,
                                      lines < MISSES_MOST ? lines : MISSES_MOST);
    for (int i = n - 1; i >= 0; i--) {
        takt_miss_text(&misses[i], text, sizeof text);
        terminal_line(&r->terminal, "   %s%s %s%s", terminal_dim(&r->terminal),
                      i == n - 1 ? "last:" : "     ", text, terminal_plain(&r->terminal));
    }
}

static bool is_drawn(const struct analysis *a)
{
    return a->draw && !a->is_hidden;
}

/* Those that wish for so many rows get them first, in their order; the others share what is left.
 */
static void draw_analyses(struct running *r, int room)
{
    const struct session *s = r->session;
    int rows[ANALYSES_MAX] = {0}, sharing = 0;
    for (int i = 0; i < s->analysis_count; i++) {
        const struct analysis *a = s->analyses[i];
        sharing += is_drawn(a) && !a->rows;
        rows[i] = !is_drawn(a) ? 0 : a->rows < room ? a->rows : room;
        room -= rows[i];
    }
    for (int i = 0; i < s->analysis_count; i++) {
        struct analysis *a = s->analyses[i];
        if (is_drawn(a) && !a->rows) {
            rows[i] = room / sharing--;
            room -= rows[i];
        }
        if (rows[i] > 0)
            a->draw(a, &r->terminal, rows[i], a->has_newest ? a->newest : NULL);
    }
}

void view_draw(struct running *r)
{
    struct terminal *t = &r->terminal;
    struct takt_contract_snapshot k;
    takt_contract_read(takt_stream_contract(r->stream), &k);
    terminal_begin(t);
    /* Title, one channel and contract are always there; the others where rows are left. */
    bool has_levels = !r->session->no_level_picture;
    int channels = has_levels ? (int)r->channels : 0, room = t->rows - 2 - channels;
    bool scale = has_levels && room >= 1 && bar_width(t),
         details = room >= 3 && t->columns >= DETAILS;
    bool progress = room >= 4 && r->total_frames, misses = room >= 5 && k.misses_total;
    draw_title(r);
    if (progress)
        draw_progress(r);
    int shown = !has_levels ? 0 : room >= 0 ? channels : t->rows > 4 ? t->rows - 3 : 1;
    for (int c = 0; c < shown; c++)
        draw_channel(r, (uint32_t)c);
    if (shown < channels && t->rows > 4)
        terminal_line(t, "   %s%d more channels%s", terminal_dim(t), channels - shown,
                      terminal_plain(t));
    if (scale)
        draw_scale(t);
    bool keys = r->session->keys_text && room >= 2;
    int left = t->rows - t->line_count - 1 - details - 2 * misses - keys;
    if (r->session->analysis_count && left > 0) {
        int before = t->line_count;
        draw_analyses(r, left);
        room -= t->line_count - before;
    }
    draw_contract(r, &k);
    if (details)
        draw_details(r);
    if (misses && t->columns >= DETAILS)
        draw_misses(r, r->session->analysis_count ? t->rows - t->line_count - keys : room - 4);
    if (keys)
        terminal_line(t, "   %s%s%s", terminal_dim(t), r->session->keys_text, terminal_plain(t));
    terminal_show(t);
}
