/*
 * takt tune --strum: an analysis that tells of all strings at once, each time that they are struck.
 * A string that is unknown was silent, too far off, or lies within the others.
 */
#include "tune.h"

#include <math.h>
#include <stdio.h>

enum { BLOCK = 1024 };
static const double full_cents = 50;

static bool work(struct takt_work *w, void *event, void *of)
{
    struct tune *t = ((struct analysis *)of)->state;
    return takt_strum_process(t->strum, w->x, w->frames, w->position, event);
}

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct tune *t = a->state;
    struct takt_error e;
    struct takt_strum_cfg cfg = {
        .rate_hz = rate_hz, .a4_hz = t->a4_hz, .clock_ppm = o->clock_ppm, .tuning = &t->tuning};
    if (takt_strum_create(&cfg, &t->strum, &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    return 0;
}

static void end(struct analysis *a)
{
    takt_strum_destroy(((struct tune *)a->state)->strum);
}

static void take(struct analysis *a, const void *event, double time_s)
{
    struct tune *t = a->state;
    t->strings = *(const struct takt_strum_reading *)event;
    t->strums++;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void strings_json(const struct tune *t, struct json *j, const struct takt_strum_reading *r)
{
    json_open(j, "strings", '[');
    for (int i = 0; i < t->tuning.count; i++) {
        const struct takt_strum_string *s = &r->string[i];
        char name[TAKT_NOTE_NAME_BYTES];
        takt_note_name(t->tuning.note[i], t->flats, name);
        json_open(j, NULL, '{');
        json_int(j, "string", tune_string_number(t, i));
        json_string(j, "note", name);
        json_bool(j, "known", s->known);
        if (s->known) {
            json_number(j, "cents", s->cents, 3);
            json_number(j, "sigma_cents", s->sigma_cents, 3);
            json_number(j, "f0_hz", s->f0_hz, 4);
            json_number(j, "inharmonicity", s->stretch, 8);
            json_int(j, "partials", s->partials);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json(struct analysis *a, struct json *j, const void *event)
{
    strings_json(a->state, j, event);
}

static void summary_json(struct analysis *a, struct json *j)
{
    const struct tune *t = a->state;
    json_number(j, "a4_hz", t->a4_hz, 3);
    json_open(j, "strum", '{');
    json_int(j, "strums", (int64_t)t->strums);
    json_string(j, "instrument", t->tuning.name);
    strings_json(t, j, &t->strings);
    json_close(j, '}');
}

static bool is_well(const struct takt_strum_string *s)
{
    return fabs(s->cents) <= tune_well_cents;
}

/* "6 E2   +3.0 ± 0.2 cents, sharp: tune down" */
static void describe(const struct tune *t, const struct terminal *terminal, int string,
                     const struct takt_strum_string *s, char *to, size_t size)
{
    char name[TAKT_NOTE_NAME_BYTES];
    takt_note_name(t->tuning.note[string], t->flats, name);
    int used = snprintf(to, size, "%2d %-4s", tune_string_number(t, string), name);
    if (!s->known)
        snprintf(to + used, size - (size_t)used, " unknown");
    else
        snprintf(to + used, size - (size_t)used, "%+6.1f %s %.1f cents  %s", s->cents,
                 terminal && terminal->utf8 ? "±" : "+-", s->sigma_cents,
                 is_well(s)     ? "in tune"
                 : s->cents < 0 ? "flat: tune up"
                                : "sharp: tune down");
}

static void print_strings(const struct tune *t, const struct takt_strum_reading *r)
{
    char text[128];
    for (int i = 0; i < t->tuning.count; i++) {
        describe(t, NULL, i, &r->string[i], text, sizeof text);
        printf("  %s\n", text);
    }
}

static void text(struct analysis *a, const void *event, double time_s)
{
    printf("%8.1f s  strum\n", time_s);
    print_strings(a->state, event);
}

static void summary_text(struct analysis *a)
{
    const struct tune *t = a->state;
    if (!t->strums)
        printf("  no strum was heard\n");
    else
        print_strings(t, &t->strings);
}

static void draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    enum { WITH_NEEDLES = 60 };
    const struct tune *u = a->state;
    int strings = u->tuning.count;
    bool needles = rows >= 2 * strings + 1 && t->columns >= WITH_NEEDLES;
    if (!u->strums)
        terminal_line(t, "  %sstrike all strings of the %s at once%s", terminal_dim(t),
                      u->tuning.title, terminal_plain(t));
    for (int i = 0; i < strings && i < rows - !u->strums; i++) {
        const struct takt_strum_string *s = &u->strings.string[i];
        const char *colour = !s->known    ? terminal_dim(t)
                             : is_well(s) ? terminal_good(t)
                                          : terminal_bold(t);
        char text[128];
        describe(u, t, i, s, text, sizeof text);
        terminal_line(t, "  %s%s%s", colour, u->strums ? text : "", terminal_plain(t));
        if (needles && s->known)
            tune_needle(t, " -50", s->cents, full_cents, colour);
    }
}

const struct analysis tune_strum = {.name = "strum",
                                    .channels = 1,
                                    .size_frames = BLOCK,
                                    .hop_frames = BLOCK,
                                    .event_bytes = sizeof(struct takt_strum_reading),
                                    .rest = true,
                                    .begin = begin,
                                    .work = work,
                                    .take = take,
                                    .json = json,
                                    .text = text,
                                    .draw = draw,
                                    .summary_json = summary_json,
                                    .summary_text = summary_text,
                                    .end = end};
