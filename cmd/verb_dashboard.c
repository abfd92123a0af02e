/*
 * takt alone, on a terminal: the default input at a glance, or one part of it in full. It is a
 * session with a meter, a tuner and a spectrum attached, of which the keys choose what is seen; all
 * three work on whatever is shown, so that each is there at once.
 */
#include "verbs.h"

#include "meter.h"
#include "spectrum.h"
#include "tune.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum view { VIEW_ALL, VIEW_METER, VIEW_TUNER, VIEW_SPECTRUM, VIEWS };
enum { PICTURES_A_SECOND = 25 };

/* What the keys ask of a worker, which alone may do it: the spectrum's has nothing to reset. */
struct part {
    struct analysis analysis;
    _Atomic bool is_to_reset;
};

struct dashboard {
    enum view view;
    enum meter_mode mode; /* of the meter in full */
    struct part meter_part, tune_part, spectrum_part;
    struct meter meter;
    struct meter_reading *reading;
    struct tune tune;
    struct spectrum spectrum;
    struct options options; /* the spectrum's are chosen here */
};

static bool resets(struct part *p)
{
    return atomic_load_explicit(&p->is_to_reset, memory_order_relaxed) &&
           atomic_exchange(&p->is_to_reset, false);
}

/* ---- The meter --------------------------------------------------------------------------------
 */

static int begin_meter(struct analysis *a, const struct options *o, uint32_t rate_hz,
                       uint32_t channels)
{
    struct dashboard *d = a->state;
    struct takt_error e;
    d->meter = (struct meter){.mode = METER_ALL, .target_lufs = -23};
    if (meter_open(&d->meter, channels, rate_hz, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    a->size_frames = rate_hz / PICTURES_A_SECOND;
    a->event_bytes = meter_reading_bytes(channels);
    d->reading = calloc(1, a->event_bytes);
    if (!d->reading)
        return complain(o, EXIT_FAILED, "out of memory");
    meter_read(&d->meter, d->reading);
    return 0;
}

static bool work_meter(struct takt_work *work, void *event, void *of)
{
    struct dashboard *d = ((struct analysis *)of)->state;
    if (resets(&d->meter_part)) {
        if (d->meter.loudness)
            takt_loudness_reset(d->meter.loudness);
        takt_ballistics_reset(d->meter.ballistics);
    }
    meter_take(&d->meter, work->x, work->frames, work->position);
    meter_read(&d->meter, event);
    return true;
}

static void take_meter(struct analysis *a, const void *event, double time_s)
{
    struct dashboard *d = a->state;
    memcpy(d->reading, event, a->event_bytes);
}

/* The worker reads nothing of mode: a copy shows another one than METER_ALL. */
static void draw_meter(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    struct dashboard *d = a->state;
    struct meter shown = d->meter;
    shown.mode = d->view == VIEW_METER ? d->mode : METER_LOUDNESS;
    meter_draw(t, &shown, d->reading, rows);
}

static void end_meter(struct analysis *a)
{
    struct dashboard *d = a->state;
    meter_close(&d->meter);
    free(d->reading);
    d->reading = NULL;
}

static void print_meter(struct analysis *a)
{
    struct dashboard *d = a->state;
    if (d->reading)
        meter_print_summary(&d->meter, d->reading);
}

/* ---- The tuner --------------------------------------------------------------------------------
 */

static int begin_tune(struct analysis *a, const struct options *o, uint32_t rate_hz,
                      uint32_t channels)
{
    struct dashboard *d = a->state;
    struct takt_error e;
    struct takt_tuner_cfg cfg = {.rate_hz = rate_hz};
    d->tune = (struct tune){.a4_hz = 440};
    if (takt_tuner_create(&cfg, &d->tune.tuner, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    a->size_frames = takt_tuner_hop_frames(d->tune.tuner);
    return 0;
}

static bool work_tune(struct takt_work *work, void *event, void *of)
{
    struct dashboard *d = ((struct analysis *)of)->state;
    struct takt_tuner_reading *r = event;
    if (resets(&d->tune_part))
        takt_tuner_reset(d->tune.tuner);
    if (!takt_tuner_process(d->tune.tuner, work->x, work->frames, work->position, r, 1))
        return false;
    work->time = r->position;
    return true;
}

static void take_tune(struct analysis *a, const void *event, double time_s)
{
    struct dashboard *d = a->state;
    tune_hear(&d->tune, event, time_s);
}

static void draw_tune(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    struct dashboard *d = a->state;
    struct analysis shown = {.state = &d->tune};
    tune_draw(&shown, t, rows, event);
}

static void end_tune(struct analysis *a)
{
    struct dashboard *d = a->state;
    takt_tuner_destroy(d->tune.tuner);
    d->tune.tuner = NULL;
}

/* ---- The spectrum -----------------------------------------------------------------------------
 */

static int begin_spectrum(struct analysis *a, const struct options *o, uint32_t rate_hz,
                          uint32_t channels)
{
    struct dashboard *d = a->state;
    d->options = *o;
    d->options.overlap = 0.5;
    d->options.size_frames = 4096;
    d->options.range_db = 80;
    int status = spectrum_make(&d->spectrum, &d->options, rate_hz, channels);
    a->size_frames = d->spectrum.size;
    a->hop_frames = d->spectrum.hop;
    a->event_bytes = d->spectrum.event_bytes;
    return status;
}

static bool work_spectrum(struct takt_work *work, void *event, void *of)
{
    struct dashboard *d = ((struct analysis *)of)->state;
    return spectrum_work(&d->spectrum, work->x, work->frames, work->position, event);
}

static void take_spectrum(struct analysis *a, const void *event, double time_s)
{
    struct dashboard *d = a->state;
    spectrum_take(&d->spectrum, event, time_s);
}

static void draw_spectrum(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    struct dashboard *d = a->state;
    spectrum_draw(&d->spectrum, t, rows);
}

static void end_spectrum(struct analysis *a)
{
    struct dashboard *d = a->state;
    spectrum_free(&d->spectrum);
}

/* ---- Views and keys ---------------------------------------------------------------------------
 */

static void choose(struct session *s, struct dashboard *d, enum view view)
{
    bool all = view == VIEW_ALL;
    d->view = view;
    /* The meter in full has the level's own bars only beside all the rest. */
    s->no_level_picture = !all && (view != VIEW_METER || d->mode != METER_ALL);
    d->meter_part.analysis.is_hidden = !all && view != VIEW_METER;
    d->tune_part.analysis.is_hidden = !all && view != VIEW_TUNER;
    d->spectrum_part.analysis.is_hidden = !all && view != VIEW_SPECTRUM;
    d->meter_part.analysis.rows = all ? 4 : 0; /* to its scale */
    d->tune_part.analysis.rows = all ? 2 : 0;
}

static void next_mode(struct dashboard *d)
{
    d->mode = d->mode + 1 < METER_MODES ? d->mode + 1 : METER_LOUDNESS;
}

static void reset(struct dashboard *d)
{
    atomic_store(&d->meter_part.is_to_reset, true);
    atomic_store(&d->tune_part.is_to_reset, true);
    d->tune.has_last = false;
    spectrum_forget(&d->spectrum);
}

static void take_key(struct session *s, int key)
{
    struct dashboard *d = s->keys_of;
    if (key >= '1' && key < '1' + VIEWS) {
        choose(s, d, (enum view)(key - '1'));
    } else if (key == '\t') {
        choose(s, d, (enum view)((d->view + 1) % VIEWS));
    } else if (key == 'm') {
        if (d->view == VIEW_METER)
            next_mode(d);
        choose(s, d, VIEW_METER);
    } else if (key == 'r') {
        reset(d);
    }
}

static struct analysis part_of(struct dashboard *d, const char *name)
{
    return (struct analysis){.name = name, .state = d, .event_bytes = 1};
}

static void attach(struct session *s, struct dashboard *d)
{
    struct analysis *meter = &d->meter_part.analysis, *tune = &d->tune_part.analysis,
                    *spectrum = &d->spectrum_part.analysis;
    *meter = part_of(d, "meter");
    meter->begin = begin_meter;
    meter->work = work_meter;
    meter->take = take_meter;
    meter->draw = draw_meter;
    meter->summary_text = print_meter;
    meter->end = end_meter;
    *tune = part_of(d, "tune");
    tune->channels = 1;
    tune->event_bytes = sizeof(struct takt_tuner_reading);
    tune->begin = begin_tune;
    tune->work = work_tune;
    tune->take = take_tune;
    tune->draw = draw_tune;
    tune->end = end_tune;
    *spectrum = part_of(d, "spectrum");
    spectrum->begin = begin_spectrum;
    spectrum->work = work_spectrum;
    spectrum->take = take_spectrum;
    spectrum->draw = draw_spectrum;
    spectrum->end = end_spectrum;
    session_attach(s, meter);
    session_attach(s, tune);
    session_attach(s, spectrum);
}

int verb_dashboard(struct options *o)
{
    struct dashboard *d = calloc(1, sizeof *d);
    if (!d)
        return complain(o, EXIT_FAILED, "out of memory");
    d->mode = METER_ALL;
    struct session s = {.key = take_key,
                        .keys_of = d,
                        .keys_text = "1 all  2 meter  3 tuner  4 spectrum  tab next  "
                                     "m mode  r reset  q quit"};
    attach(&s, d);
    choose(&s, d, VIEW_ALL);
    int status = verb_listen(o, &s);
    if (!status)
        status = session_run(&s);
    free(d);
    return status;
}
