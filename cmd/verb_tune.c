/*
 * takt tune: an analysis of a session that tells of each hop's note. For the summary it keeps exact
 * readings, evenly thinned out when they would become too many.
 */
#include "tune.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 1 << 16 };
const double tune_well_cents = 2;

int tune_string_number(const struct tune *t, int string)
{
    return t->tuning.count - string;
}

/* ---- The worker ------------------------------------------------------------------------------ */

static bool work(struct takt_work *w, void *event, void *of)
{
    struct tune *t = ((struct analysis *)of)->state;
    struct takt_tuner_reading *r = event;
    if (!takt_tuner_process(t->tuner, w->x, w->frames, w->position, r, 1))
        return false;
    w->time = r->position;
    return true;
}

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct tune *t = a->state;
    struct takt_error e;
    struct takt_tuner_cfg cfg = {.rate_hz = rate_hz,
                                 .a4_hz = t->a4_hz,
                                 .clock_ppm = o->clock_ppm,
                                 .tuning = t->has_tuning ? &t->tuning : NULL};
    if (takt_tuner_create(&cfg, &t->tuner, &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    t->kept = calloc(KEPT_MAX, sizeof *t->kept);
    if (!t->kept)
        return complain(o, EXIT_FAILED, "out of memory");
    t->kept_every = 1;
    a->size_frames = a->hop_frames = takt_tuner_hop_frames(t->tuner);
    return 0;
}

static void end(struct analysis *a)
{
    struct tune *t = a->state;
    takt_tuner_destroy(t->tuner);
    free(t->kept);
}

/* ---- What is kept ---------------------------------------------------------------------------- */

static void keep(struct tune *t, const struct takt_tuner_reading *r)
{
    if (++t->kept_skipped < t->kept_every)
        return;
    t->kept_skipped = 0;
    if (t->kept_count == KEPT_MAX) {
        for (size_t i = 0; i < KEPT_MAX / 2; i++)
            t->kept[i] = t->kept[2 * i];
        t->kept_count /= 2;
        t->kept_every *= 2;
    }
    t->kept[t->kept_count++] = (struct tune_kept){.cents = (float)r->cents,
                                                  .sigma_cents = (float)r->sigma_cents,
                                                  .note = (int8_t)r->note,
                                                  .string = (int8_t)r->string};
}

/* As a note goes over into the next, its last readings are poor. */
static void keep_sure(struct takt_tuner_reading *of, const struct takt_tuner_reading *r)
{
    if (of->notes != r->notes || r->sigma_cents <= 1.5 * of->sigma_cents)
        *of = *r;
}

static void take(struct analysis *a, const void *event, double time_s)
{
    struct tune *t = a->state;
    tune_hear(t, event, time_s);
    if (!t->now.voiced || !t->now.precise)
        return;
    keep(t, &t->now);
    keep_sure(&t->sure, &t->now);
    if (t->now.string >= 0)
        keep_sure(&t->of_string[t->now.string], &t->now);
}

static int by_cents(const void *a, const void *b)
{
    float x = ((const struct tune_kept *)a)->cents, y = ((const struct tune_kept *)b)->cents;
    return (x > y) - (x < y);
}

/* The note that was there for longest, and the median of its cents. False when there was none. */
static bool median(struct tune *t, struct tune_kept *out)
{
    size_t times[TAKT_NOTE_MAX + 1] = {0}, n = 0;
    int note = 0;
    for (size_t i = 0; i < t->kept_count; i++)
        times[t->kept[i].note]++;
    for (int i = 1; i <= TAKT_NOTE_MAX; i++)
        note = times[i] > times[note] ? i : note;
    for (size_t i = 0; i < t->kept_count; i++)
        if (t->kept[i].note == note)
            t->kept[n++] = t->kept[i];
    t->kept_count = n;
    if (n == 0)
        return false;
    qsort(t->kept, n, sizeof *t->kept, by_cents);
    *out = t->kept[n / 2];
    return true;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void note_fields(const struct tune *t, struct json *j, int note, int string, double cents,
                        double sigma_cents)
{
    char name[TAKT_NOTE_NAME_BYTES];
    takt_note_name(note, t->flats, name);
    json_string(j, "note", name);
    json_number(j, "cents", cents, 3);
    json_number(j, "sigma_cents", sigma_cents, 3);
    json_number(j, "f0_hz", takt_note_hz(note + cents / 100, t->a4_hz), 4);
    if (string >= 0)
        json_int(j, "string", tune_string_number(t, string));
}

static void json(struct analysis *a, struct json *j, const void *event)
{
    const struct tune *t = a->state;
    const struct takt_tuner_reading *r = event;
    json_bool(j, "voiced", r->voiced);
    json_number(j, "level_dbfs", r->level_dbfs, 2);
    if (!r->voiced)
        return;
    note_fields(t, j, r->note, r->string, r->cents, r->sigma_cents);
    json_number(j, "confidence", r->confidence, 3);
    json_bool(j, "precise", r->precise);
    if (!r->precise)
        return;
    json_number(j, "inharmonicity", r->stretch, 8);
    json_number(j, "inharmonicity_sigma", r->stretch_sigma, 8);
    json_int(j, "partials", r->partials);
    json_number(j, "span_s", r->span_s, 3);
}

static void summary_json(struct analysis *a, struct json *j)
{
    struct tune *t = a->state;
    struct tune_kept m;
    json_number(j, "a4_hz", t->a4_hz, 3);
    json_open(j, "tune", '{');
    json_int(j, "notes", (int64_t)t->now.notes);
    if (t->has_tuning)
        json_string(j, "instrument", t->tuning.name);
    if (median(t, &m))
        note_fields(t, j, m.note, m.string, (double)m.cents, (double)m.sigma_cents);
    if (t->sure.notes) {
        json_open(j, "last", '{');
        note_fields(t, j, t->sure.note, t->sure.string, t->sure.cents, t->sure.sigma_cents);
        json_close(j, '}');
    }
    if (t->has_tuning) {
        json_open(j, "strings", '[');
        for (int i = 0; i < t->tuning.count; i++) {
            const struct takt_tuner_reading *r = &t->of_string[i];
            if (!r->notes)
                continue;
            json_open(j, NULL, '{');
            note_fields(t, j, r->note, i, r->cents, r->sigma_cents);
            json_close(j, '}');
        }
        json_close(j, ']');
    }
    json_close(j, '}');
}

static void summary_text(struct analysis *a)
{
    struct tune *t = a->state;
    struct tune_kept m;
    char name[TAKT_NOTE_NAME_BYTES];
    if (t->has_tuning) {
        for (int i = 0; i < t->tuning.count; i++) {
            const struct takt_tuner_reading *r = &t->of_string[i];
            takt_note_name(t->tuning.note[i], t->flats, name);
            if (r->notes)
                printf("  string %d, %s: %+.2f cents, give or take %.2f\n",
                       tune_string_number(t, i), name, r->cents, r->sigma_cents);
        }
    }
    if (!median(t, &m)) {
        printf("  no note was heard\n");
        return;
    }
    takt_note_name(m.note, t->flats, name);
    printf("  note %s: %+.2f cents in the median, %.3f Hz, at A4 = %g Hz\n", name, (double)m.cents,
           takt_note_hz(m.note + (double)m.cents / 100, t->a4_hz), t->a4_hz);
}

/* ---- The verb -------------------------------------------------------------------------------- */

static int list_tunings(void)
{
    const struct takt_tuning *t;
    for (int i = 0; (t = takt_tuning_at(i)); i++)
        printf("%-16s %s\n", t->name, t->title);
    return EXIT_OK;
}

static int take_tuning(const struct options *o, struct tune *t)
{
    struct takt_error e;
    const char *names[64];
    int n = 0;
    if (o->instrument && o->notes)
        return complain(o, EXIT_USAGE, "--instrument %s and --notes %s: one of them is enough",
                        o->instrument, o->notes);
    if (o->notes && takt_tuning_parse(o->notes, &t->tuning, &e) < 0)
        return complain(o, EXIT_USAGE, "--notes %s: %s", o->notes, e.text);
    const char *name = o->instrument ? o->instrument : o->strum && !o->notes ? "guitar" : NULL;
    t->has_tuning = o->notes || name;
    if (!name)
        return 0;
    const struct takt_tuning *found = takt_tuning_find(name);
    if (found) {
        t->tuning = *found;
        return 0;
    }
    for (const struct takt_tuning *each; n < 63 && (each = takt_tuning_at(n)); n++)
        names[n] = each->name;
    names[n] = NULL;
    const char *near = nearest(o->instrument, names);
    if (near)
        return complain(o, EXIT_USAGE, "--instrument %s: no such tuning; did you mean %s?",
                        o->instrument, near);
    return complain(o, EXIT_USAGE,
                    "--instrument %s: no such tuning; see takt tune --instrument list, or give its "
                    "--notes",
                    o->instrument);
}

int verb_tune(struct options *o)
{
    if (o->instrument && !strcmp(o->instrument, "list"))
        return list_tunings();
    struct tune tune = {.a4_hz = o->a4_hz > 0 ? o->a4_hz : 440, .flats = o->flats};
    int status = take_tuning(o, &tune);
    if (status)
        return status;
    struct session s = {.no_level_lines = true, .no_level_picture = true};
    struct analysis a = {.name = "tune",
                         .channels = 1,
                         .event_bytes = sizeof(struct takt_tuner_reading),
                         .text_every_s = 0.5,
                         .begin = begin,
                         .work = work,
                         .take = take,
                         .json = json,
                         .text = tune_text,
                         .draw = tune_draw,
                         .summary_json = summary_json,
                         .summary_text = summary_text,
                         .end = end};
    if (o->strum)
        a = tune_strum;
    a.state = &tune;
    session_attach(&s, &a);
    status = verb_listen(o, &s);
    return status ? status : session_run(&s);
}
