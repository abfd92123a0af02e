/*
 * takt meter: the level, which every session has, and beside it an analysis that measures all the
 * rest, whatever --mode says is shown.
 */
#include "verbs.h"

#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_A_SECOND = 10, PICTURES_A_SECOND = 25 };

struct metering {
    struct meter meter;
    struct meter_reading *latest; /* all silent before the first */
};

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct metering *m = a->state;
    struct takt_error e;
    if (meter_open(&m->meter, channels, rate_hz, &e) < 0)
        return complain(o, EXIT_FAILED, "--mode %s: %s", o->mode, e.text);
    a->size_frames = a->hop_frames = rate_hz / (o->json ? LINES_A_SECOND : PICTURES_A_SECOND);
    a->event_bytes = meter_reading_bytes(channels);
    a->rows = meter_lines(&m->meter);
    a->next_text_s = a->text_every_s;
    m->latest = calloc(1, a->event_bytes);
    if (!m->latest)
        return complain(o, EXIT_FAILED, "out of memory");
    meter_read(&m->meter, m->latest);
    return 0;
}

/* Readings are those of the window's end, and not of its middle. */
static bool work(struct takt_work *work, void *event, void *of)
{
    const struct analysis *a = of;
    struct metering *m = a->state;
    meter_take(&m->meter, work->x, work->frames, work->position);
    meter_read(&m->meter, event);
    work->time = work->position + work->frames;
    return true;
}

static void take(struct analysis *a, const void *event, double time_s)
{
    struct metering *m = a->state;
    memcpy(m->latest, event, a->event_bytes);
}

static void json(struct analysis *a, struct json *j, const void *event)
{
    const struct metering *m = a->state;
    meter_json(j, &m->meter, event);
}

static void text(struct analysis *a, const void *event, double time_s)
{
    const struct metering *m = a->state;
    char line[512];
    meter_text(line, sizeof line, &m->meter, event);
    if (*line)
        printf("%8.1f s  %s\n", time_s, line);
}

static void draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct metering *m = a->state;
    meter_draw(t, &m->meter, event ? event : m->latest, rows);
}

static void summary_json(struct analysis *a, struct json *j)
{
    const struct metering *m = a->state;
    if (m->latest)
        meter_json_summary(j, &m->meter, m->latest);
}

static void summary_text(struct analysis *a)
{
    const struct metering *m = a->state;
    if (m->latest)
        meter_print_summary(&m->meter, m->latest);
}

static void end(struct analysis *a)
{
    struct metering *m = a->state;
    meter_close(&m->meter);
    free(m->latest);
    m->latest = NULL;
}

static int run_metered(struct options *o, struct session *s, enum meter_mode mode)
{
    struct metering m = {.meter = {.mode = mode, .target_lufs = o->target_lufs}};
    struct analysis a = {.name = "meter",
                         .event_bytes = 1,
                         .rest = true,
                         .text_every_s = 1,
                         .state = &m,
                         .begin = begin,
                         .work = work,
                         .take = take,
                         .json = json,
                         .text = text,
                         .draw = draw,
                         .summary_json = summary_json,
                         .summary_text = summary_text,
                         .end = end};
    bool shows_level = mode == METER_LEVEL || mode == METER_ALL;
    s->no_level_picture = !shows_level;
    s->no_level_lines = !shows_level && !o->json; /* JSON has all there is */
    if (mode == METER_LEVEL) {
        a.text = NULL;
        a.draw = NULL;
    }
    session_attach(s, &a);
    return session_run(s);
}

int verb_meter(struct options *o)
{
    enum meter_mode mode;
    struct session s = {.options = NULL};
    int status = verb_listen(o, &s);
    if (status)
        return status;
    if (!o->mode)
        o->mode = "level";
    if (!o->target_lufs)
        o->target_lufs = -23; /* EBU R 128 */
    if (!meter_mode_read(o->mode, &mode)) {
        const char *near = meter_mode_near(o->mode);
        return near ? complain(o, EXIT_USAGE, "--mode %s: no such mode; did you mean %s?", o->mode,
                               near)
                    : complain(o, EXIT_USAGE, "--mode %s: no such mode; there are %s", o->mode,
                               meter_mode_names());
    }
    return run_metered(o, &s, mode);
}
