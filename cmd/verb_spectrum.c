#include "spectrum.h"
#include "verbs.h"
#include "whole_file.h"

#include <stdio.h>
#include <string.h>

/* ---- The analysis -----------------------------------------------------------------------------
 */

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct spectrum *p = a->state;
    int status = spectrum_make(p, o, rate_hz, channels);
    if (status)
        return status;
    a->size_frames = p->size;
    a->hop_frames = p->hop;
    a->event_bytes = p->event_bytes;
    return 0;
}

static bool work(struct takt_work *w, void *event, void *arg)
{
    struct analysis *a = arg;
    return spectrum_work(a->state, w->x, w->frames, w->position, event);
}

static void take(struct analysis *a, const void *event, double time_s)
{
    spectrum_take(a->state, event, time_s);
}

static void json(struct analysis *a, struct json *j, const void *event)
{
    spectrum_json(a->state, j, event);
}

static void text(struct analysis *a, const void *event, double time_s)
{
    const struct spectrum_event *e = event;
    char peaks[256];
    spectrum_peaks_text(e->peaks, e->peak_count, peaks, sizeof peaks);
    printf("%8.1f s  %s\n", time_s, *peaks ? peaks : "no peak");
}

static void draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    spectrum_draw(a->state, t, rows);
}

static void summary_json(struct analysis *a, struct json *j)
{
    json_open(j, "spectrum", '{');
    spectrum_json_summary(a->state, j);
    json_close(j, '}');
}

static void summary_text(struct analysis *a)
{
    spectrum_text_summary(a->state);
}

/* ---- The verb ---------------------------------------------------------------------------------
 */

/* Pictures that could not be kept are told of before anything is heard. */
static int check_files(const struct options *o)
{
    if (o->png && o->html && !strcmp(o->png, o->html))
        return complain(o, EXIT_USAGE, "--png %s: the page of --html has the same name", o->png);
    int status = o->png ? whole_file_check(o, o->png) : 0;
    return status || !o->html ? status : whole_file_check(o, o->html);
}

static int keep_pictures(struct spectrum *p, const struct options *o, const char *source)
{
    int status = o->png ? spectrum_png(p, o->png, source) : 0;
    if (o->html && spectrum_html(p, o->html, source))
        status = EXIT_FAILED;
    return status;
}

int verb_spectrum(struct options *o)
{
    o->range_db = o->range_db > 0 ? o->range_db : 80;
    o->overlap = o->hop_frames || o->has_overlap ? o->overlap : 0.75;
    struct session s = {.options = NULL};
    int status = verb_listen(o, &s);
    if (!status && o->png)
        status = verb_is_no_sound(o, "--png", o->png, s.stream.in.device, NULL);
    if (!status)
        status = check_files(o);
    if (status)
        return status;
    struct options without_report = *o; /* --html is a page of the spectrum here */
    without_report.html = NULL;
    s.options = &without_report;
    struct spectrum p = {.options = &without_report};
    struct analysis a = {.name = "spectrum",
                         .rest = true,
                         .text_every_s = 1,
                         .state = &p,
                         .begin = begin,
                         .work = work,
                         .take = take,
                         .json = json,
                         .text = text,
                         .draw = draw,
                         .summary_json = summary_json,
                         .summary_text = summary_text};
    session_attach(&s, &a);
    status = session_run(&s);
    if (p.latest && (!status || status == EXIT_BROKEN)) {
        int kept = keep_pictures(&p, o, s.stream.in.device);
        status = kept ? kept : status;
    }
    spectrum_free(&p);
    return status;
}
