/*
 * Onsets, and the beat that they make: two analyses, so that each has lines of its own. Both look
 * at the sound in steps of 10 ms. What they find lies a little before the newest frame, and an
 * event may not be of a time before its window; so the windows overlap, and only what is new in
 * each is looked at.
 */
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FOUND = 16, FLUX = 64, HOPS_PER_S = 100, FLASH_NS = 120000000 };

struct onset_event {
    double strength, level_dbfs;
};

struct beat_event {
    double bpm, confidence, next_s;
};

/* What one of the two has found and not told yet. */
struct found {
    uint64_t time[FOUND];
    union {
        struct onset_event onset;
        struct beat_event beat;
    } of[FOUND];
    size_t count;
};

struct state {
    uint32_t rate_hz;
    uint64_t done; /* position up to which it has heard */
    struct takt_onset *onset;
    struct takt_tempo *tempo;
    struct found found;
    /* The main thread's. */
    uint64_t count;
    double strongest;
    struct beat_event last;
    double bpm_sum, weight_sum, confidence_most;
    int64_t flash_ns;
};

static void find_onsets(struct state *s, const float *x, size_t frames, uint64_t position)
{
    struct takt_onset_event events[FOUND];
    size_t n = takt_onset_process(s->onset, x, frames, position, events, FOUND - s->found.count);
    for (size_t i = 0; i < n; i++) {
        size_t at = s->found.count++;
        s->found.time[at] = events[i].position;
        s->found.of[at].onset = (struct onset_event){events[i].strength, events[i].level_dbfs};
    }
}

static void find_beats(struct state *s, const float *x, size_t frames, uint64_t position)
{
    struct takt_onset_event onsets[FOUND];
    struct takt_tempo_beat beats[FOUND];
    struct takt_tempo_reading now;
    float flux[FLUX];
    uint64_t from;
    size_t n;
    takt_onset_process(s->onset, x, frames, position, onsets, FOUND);
    while ((n = takt_onset_flux(s->onset, flux, FLUX, &from)) > 0) {
        n = takt_tempo_process(s->tempo, flux, n, from, beats, FOUND - s->found.count);
        takt_tempo_read(s->tempo, &now);
        for (size_t i = 0; i < n; i++) {
            size_t at = s->found.count++;
            s->found.time[at] = beats[i].position;
            s->found.of[at].beat = (struct beat_event){beats[i].bpm, beats[i].confidence,
                                                       (double)now.next_beat / s->rate_hz};
        }
    }
}

/* Looks at what is new in the window, and tells of the oldest that was found. */
static bool work(struct takt_work *w, struct state *s)
{
    uint64_t end = w->position + w->frames;
    uint64_t from = s->done > w->position && s->done <= end ? s->done : w->position;
    const float *x = w->x + (from - w->position);
    if (s->tempo)
        find_beats(s, x, (size_t)(end - from), from);
    else
        find_onsets(s, x, (size_t)(end - from), from);
    s->done = end;
    if (!s->found.count)
        return false;
    w->time = s->found.time[0] > w->position ? s->found.time[0] : w->position;
    return true;
}

static void forget_first(struct found *f)
{
    f->count--;
    memmove(f->time, f->time + 1, f->count * sizeof *f->time);
    memmove(f->of, f->of + 1, f->count * sizeof *f->of);
}

static bool work_onset(struct takt_work *w, void *event, void *of)
{
    struct state *s = ((struct analysis *)of)->state;
    if (!work(w, s))
        return false;
    memcpy(event, &s->found.of[0].onset, sizeof s->found.of[0].onset);
    forget_first(&s->found);
    return true;
}

static bool work_beat(struct takt_work *w, void *event, void *of)
{
    struct state *s = ((struct analysis *)of)->state;
    if (!work(w, s))
        return false;
    memcpy(event, &s->found.of[0].beat, sizeof s->found.of[0].beat);
    forget_first(&s->found);
    return true;
}

static int begin_onset(struct analysis *a, const struct options *o, uint32_t rate_hz,
                       uint32_t channels)
{
    struct state *s = a->state;
    struct takt_error e;
    s->rate_hz = rate_hz;
    a->hop_frames = rate_hz / HOPS_PER_S;
    a->size_frames = rate_hz * 8 / HOPS_PER_S;
    if (takt_onset_create(&(struct takt_onset_cfg){.rate_hz = rate_hz}, &s->onset, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    return 0;
}

static int begin_beat(struct analysis *a, const struct options *o, uint32_t rate_hz,
                      uint32_t channels)
{
    struct state *s = a->state;
    struct takt_error e;
    int status = begin_onset(a, o, rate_hz, channels);
    if (status)
        return status;
    if (takt_tempo_create(&(struct takt_tempo_cfg){.rate_hz = rate_hz}, &s->tempo, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    return 0;
}

static void end(struct analysis *a)
{
    struct state *s = a->state;
    takt_onset_destroy(s->onset);
    takt_tempo_destroy(s->tempo);
}

/* ---- What is told ------------------------------------------------------------------------------
 */

static void take_onset(struct analysis *a, const void *event, double time_s)
{
    struct state *s = a->state;
    const struct onset_event *e = event;
    s->count++;
    s->strongest = fmax(s->strongest, e->strength);
    s->flash_ns = takt_now_ns();
}

static void json_onset(struct analysis *a, struct json *j, const void *event)
{
    const struct onset_event *e = event;
    json_number(j, "strength", e->strength, 4);
    json_number(j, "level_dbfs", e->level_dbfs, 2);
}

static void text_onset(struct analysis *a, const void *event, double time_s)
{
    const struct onset_event *e = event;
    printf("%9.3f s  onset  strength %5.3f, %6.1f dBFS\n", time_s, e->strength, e->level_dbfs);
}

static void summarize_onsets_json(struct analysis *a, struct json *j)
{
    const struct state *s = a->state;
    json_open(j, "onset", '{');
    json_int(j, "count", (int64_t)s->count);
    json_number(j, "strongest", s->strongest, 4);
    json_close(j, '}');
}

static void summarize_onsets_text(struct analysis *a)
{
    const struct state *s = a->state;
    printf("onsets: %llu\n", (unsigned long long)s->count);
}

static void take_beat(struct analysis *a, const void *event, double time_s)
{
    struct state *s = a->state;
    const struct beat_event *e = event;
    s->count++;
    s->last = *e;
    s->bpm_sum += e->bpm * e->confidence;
    s->weight_sum += e->confidence;
    s->confidence_most = fmax(s->confidence_most, e->confidence);
    s->flash_ns = takt_now_ns();
}

static void json_beat(struct analysis *a, struct json *j, const void *event)
{
    const struct beat_event *e = event;
    json_number(j, "bpm", e->bpm, 3);
    json_number(j, "confidence", e->confidence, 3);
    json_number(j, "next_s", e->next_s, 6);
}

static void text_beat(struct analysis *a, const void *event, double time_s)
{
    const struct beat_event *e = event;
    printf("%9.3f s  beat   %7.2f BPM, confidence %.2f\n", time_s, e->bpm, e->confidence);
}

static double mean_bpm(const struct state *s)
{
    return s->weight_sum > 0 ? s->bpm_sum / s->weight_sum : 0;
}

static void summarize_beats_json(struct analysis *a, struct json *j)
{
    const struct state *s = a->state;
    json_open(j, "beat", '{');
    json_int(j, "count", (int64_t)s->count);
    json_number(j, "bpm", s->last.bpm, 3);
    json_number(j, "bpm_mean", mean_bpm(s), 3);
    json_number(j, "confidence", s->last.confidence, 3);
    json_close(j, '}');
}

static void summarize_beats_text(struct analysis *a)
{
    const struct state *s = a->state;
    if (!s->count)
        printf("tempo: none; nothing repeats itself, or not for long enough\n");
    else
        printf("tempo: %.2f BPM at the end, %.2f on average, %llu beats, confidence %.2f\n",
               s->last.bpm, mean_bpm(s), (unsigned long long)s->count, s->last.confidence);
}

static void draw_beat(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct state *s = a->state;
    const struct beat_event *e = event;
    bool flashes = s->flash_ns && takt_now_ns() - s->flash_ns < FLASH_NS;
    const char *on = t->utf8 ? "●" : "*", *off = t->utf8 ? "○" : ".";
    char bar[256];
    if (!e) {
        terminal_line(t, " %s%s  listening for a beat%s", terminal_dim(t), off, terminal_plain(t));
        return;
    }
    terminal_progress_bar(t, bar, sizeof bar, 16, e->confidence);
    terminal_line(t, " %s%s%s  %s%6.1f BPM%s  %s %3.0f %% sure  beat %llu",
                  flashes ? terminal_good(t) : terminal_dim(t), flashes ? on : off,
                  terminal_plain(t), terminal_bold(t), e->bpm, terminal_plain(t), bar,
                  100 * e->confidence, (unsigned long long)s->count);
}

static void draw_onset(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct state *s = a->state;
    const struct onset_event *e = event;
    bool flashes = s->flash_ns && takt_now_ns() - s->flash_ns < FLASH_NS;
    terminal_line(t, " %s%s%s  onset %llu, strength %.2f", flashes ? terminal_warn(t) : "",
                  flashes ? (t->utf8 ? "◆" : "+") : " ", terminal_plain(t),
                  (unsigned long long)s->count, e ? e->strength : 0);
}

int verb_beat(struct options *o)
{
    struct session s = {.no_level_lines = true};
    struct state onsets = {.rate_hz = 0}, beats = {.rate_hz = 0};
    struct analysis onset = {.name = "onset",
                             .channels = 1,
                             .event_bytes = sizeof(struct onset_event),
                             .rest = true,
                             .state = &onsets,
                             .begin = begin_onset,
                             .work = work_onset,
                             .take = take_onset,
                             .json = json_onset,
                             .text = text_onset,
                             .draw = draw_onset,
                             .rows = 1,
                             .summary_json = summarize_onsets_json,
                             .summary_text = summarize_onsets_text,
                             .end = end};
    struct analysis beat = {.name = "beat",
                            .channels = 1,
                            .event_bytes = sizeof(struct beat_event),
                            .rest = true,
                            .state = &beats,
                            .begin = begin_beat,
                            .work = work_beat,
                            .take = take_beat,
                            .json = json_beat,
                            .text = text_beat,
                            .draw = draw_beat,
                            .rows = 1,
                            .summary_json = summarize_beats_json,
                            .summary_text = summarize_beats_text,
                            .end = end};
    session_attach(&s, &beat);
    session_attach(&s, &onset);
    int status = verb_listen(o, &s);
    return status ? status : session_run(&s);
}
