/*
 * The analyses of a running session: their workers, what the callback gives them, and how their
 * events and the levels' readings become one row of lines.
 *
 * The main thread first looks how far all of them are, then takes what there is, and then shows
 * what is of a time before that. On a real clock a worker that falls behind does not hold up the
 * others' lines for longer than a second.
 */
#include "running.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MORE = 256, STOP_MS = 2000 };

void session_attach(struct session *s, struct analysis *a)
{
    if (s->analysis_count < ANALYSES_MAX)
        s->analyses[s->analysis_count++] = a;
}

static bool is_virtual(const struct running *r)
{
    return r->actual.clock == TAKT_CLOCK_VIRTUAL;
}

/* ---- From the callback to the workers ----------------------------------------------------------
 */

/* One copy of the block, however many analyses there are: the first worker hands it on. */
void analyses_write(struct running *r, const float *const *planes, uint32_t frames,
                    uint64_t position)
{
    if (r->fan)
        takt_worker_write(r->fan, planes, frames, position);
}

/* Mixed down where to has one channel, else the first ones. */
static void pick(float *to, uint32_t channels, const float *x, uint32_t of_channels, size_t frames)
{
    float share = 1.0f / (float)of_channels;
    for (size_t i = 0; i < frames; i++, x += of_channels) {
        float sum = 0;
        for (uint32_t c = 0; channels == 1 && c < of_channels; c++)
            sum += x[c] * share;
        if (channels == 1)
            *to++ = sum;
        else
            for (uint32_t c = 0; c < channels; c++)
                *to++ = x[c];
    }
}

static bool fan_out(struct takt_work *work, void *event, void *of)
{
    struct running *r = of;
    const struct session *s = r->session;
    for (int i = 0; i < s->analysis_count; i++) {
        const struct analysis *a = s->analyses[i];
        const float *x = work->x;
        if (a->channels != r->channels) {
            pick(r->picked, a->channels, work->x, r->channels, work->frames);
            x = r->picked;
        }
        takt_worker_write_interleaved(a->worker, x, work->frames, work->position);
    }
    return false;
}

/* How often the blocks are handed on in a second: soon, unless nobody listens. */
static uint32_t fan_rate(const struct session *s)
{
    for (int i = 0; i < s->analysis_count; i++)
        if (!s->analyses[i]->only_looks)
            return 400;
    return 10;
}

static int begin_fan(struct running *r)
{
    struct takt_error e;
    uint32_t rate_hz = r->actual.rate_hz;
    struct takt_worker_cfg cfg = {
        .work = fan_out,
        .arg = r,
        .size_frames = rate_hz / fan_rate(r->session),
        .channels = r->channels,
        .capacity_frames = rate_hz / 2 + 2 * r->actual.block_frames_max,
        .rate_hz = rate_hz,
        .rest = true,
        .at_once = is_virtual(r),
        .name = "analyses",
    };
    r->picked = calloc(cfg.size_frames * r->channels, sizeof *r->picked);
    if (!r->picked || takt_worker_create(&cfg, &r->fan, &e) < 0)
        return complain(r->session->options, EXIT_FAILED, "analyses: out of memory");
    return 0;
}

/* ---- Begin and end -----------------------------------------------------------------------------
 */

static int begin(struct running *r, struct analysis *a)
{
    const struct options *o = r->session->options;
    struct takt_error e;
    uint32_t rate_hz = r->actual.rate_hz;
    if (a->channels != 1)
        a->channels =
            a->channels_max && a->channels_max < r->channels ? a->channels_max : r->channels;
    a->has_begun = true;
    int status = a->begin ? a->begin(a, o, rate_hz, a->channels) : 0;
    if (status)
        return status;
    /* Half a second, and more of it where blocks are long. */
    size_t capacity = 2 * a->size_frames + rate_hz / 2 + 2 * r->actual.block_frames_max;
    struct takt_worker_cfg cfg = {
        .work = a->work,
        .arg = a,
        .size_frames = a->size_frames,
        .hop_frames = a->hop_frames,
        .channels = a->channels,
        .capacity_frames = capacity,
        .rate_hz = rate_hz,
        .event_bytes = a->event_bytes,
        .events = capacity / (a->hop_frames ? a->hop_frames : a->size_frames) + EVENTS_MORE,
        .rest = a->rest,
        .at_once = is_virtual(r),
        .name = a->name,
    };
    a->newest = calloc(1, a->event_bytes + 1);
    if (!a->newest)
        return complain(o, EXIT_FAILED, "out of memory");
    if (takt_worker_create(&cfg, &a->worker, &e) < 0)
        return complain(o, EXIT_FAILED, "%s: %s", a->name, e.text);
    return 0;
}

int analyses_begin(struct running *r)
{
    struct session *s = r->session;
    if (!s->analysis_count)
        return 0;
    for (int i = 0; i < s->analysis_count; i++) {
        int status = begin(r, s->analyses[i]);
        if (status)
            return status;
    }
    return begin_fan(r);
}

void analyses_leave(struct running *r)
{
    if (r->fan)
        takt_worker_leave(r->fan);
    for (int i = 0; i < r->session->analysis_count; i++)
        if (r->session->analyses[i]->worker)
            takt_worker_leave(r->session->analyses[i]->worker);
}

/* All together have two seconds for what waits; each then finishes the window that it is at. */
void analyses_stop(struct running *r)
{
    int64_t until_ns = takt_now_ns() + STOP_MS * INT64_C(1000000);
    if (r->fan && takt_worker_stop(r->fan, STOP_MS) < 0)
        takt_worker_stop(r->fan, -1); /* it reads what is freed soon */
    for (int i = 0; i < r->session->analysis_count; i++) {
        struct takt_worker *w = r->session->analyses[i]->worker;
        int64_t left_ms = (until_ns - takt_now_ns()) / 1000000;
        if (w && takt_worker_stop(w, left_ms > 0 ? left_ms : 0) < 0)
            takt_worker_stop(w, -1);
    }
}

void analyses_end(struct running *r)
{
    takt_worker_destroy(r->fan);
    for (int i = 0; i < r->session->analysis_count; i++) {
        struct analysis *a = r->session->analyses[i];
        takt_worker_destroy(a->worker);
        if (a->has_begun && a->end)
            a->end(a);
        free(a->newest);
        a->worker = NULL;
        a->newest = NULL;
    }
    lines_free(&r->lines);
    lines_free(&r->said);
    free(r->picked);
}

/* ---- Lines -------------------------------------------------------------------------------------
 */

/* The time before which all that is to be told can be taken now. */
static uint64_t all_is_told_until(const struct running *r)
{
    const struct session *s = r->session;
    uint64_t until = atomic_load_explicit(&r->levels_until, memory_order_acquire);
    uint64_t longest = 0, now = until;
    for (int i = 0; i < s->analysis_count; i++) {
        uint64_t its = takt_worker_until(s->analyses[i]->worker);
        until = its < until ? its : until;
        longest = s->analyses[i]->size_frames > longest ? s->analyses[i]->size_frames : longest;
    }
    uint64_t patience = r->actual.rate_hz + longest;
    if (!is_virtual(r) && until + patience < now)
        until = now - patience;
    return until;
}

static void add(struct running *r, uint64_t time, int source, const void *event, size_t bytes)
{
    if (!lines_add(&r->lines, time, source, event, bytes))
        r->failed = r->ends = true; /* out of memory, which Linux hardly ever says */
}

static void take_all(struct running *r)
{
    const struct session *s = r->session;
    uint64_t time;
    while (takt_ring_read(r->readings, r->latest, 1))
        add(r, r->latest->end, LEVELS, r->latest, r->reading_bytes);
    for (int i = 0; i < s->analysis_count; i++) {
        struct analysis *a = s->analyses[i];
        while (takt_worker_next(a->worker, &time, a->newest)) {
            a->has_newest = true;
            if (a->take)
                a->take(a, a->newest, (double)time / r->actual.rate_hz);
            add(r, time, i, a->newest, a->event_bytes);
        }
    }
}

static void show_event(struct running *r, struct analysis *a, const void *event, uint64_t time)
{
    const struct options *o = r->session->options;
    double time_s = (double)time / r->actual.rate_hz;
    if (o->quiet)
        return;
    if (o->json && a->json) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "type", a->name);
        json_number(&j, "time_s", time_s, 6);
        a->json(a, &j, event);
        json_close(&j, '}');
        json_end_line(&j);
    } else if (!o->json && !r->terminal.live && a->text && time_s >= a->next_text_s) {
        a->text(a, event, time_s);
        while (a->text_every_s > 0 && a->next_text_s <= time_s)
            a->next_text_s += a->text_every_s;
    }
}

void analyses_take(struct running *r, bool are_all)
{
    const struct session *s = r->session;
    uint64_t until = are_all ? UINT64_MAX : all_is_told_until(r);
    struct line *one;
    take_all(r);
    while ((one = lines_next(&r->lines, until))) {
        if (one->source == LEVELS)
            view_reading(r, (const void *)one->event);
        else if (one->source >= PIPES)
            pipes_show(r, one->source - PIPES, (const char *)one->event,
                       (double)one->time / r->actual.rate_hz);
        else
            show_event(r, s->analyses[one->source], one->event, one->time);
        free(one);
    }
}

/* ---- The summary -------------------------------------------------------------------------------
 */

void analyses_json(const struct running *r, struct json *j)
{
    const struct session *s = r->session;
    if (!s->analysis_count)
        return;
    json_open(j, "analyses", '{');
    for (int i = 0; i < s->analysis_count; i++) {
        struct takt_worker_counts n;
        takt_worker_counts(s->analyses[i]->worker, &n);
        json_open(j, s->analyses[i]->name, '{');
        json_int(j, "windows", (int64_t)n.windows);
        json_int(j, "lost_windows", (int64_t)n.lost_windows);
        json_int(j, "dropped_frames", (int64_t)n.dropped_frames);
        json_int(j, "dropped_events", (int64_t)n.dropped_events);
        if (!is_virtual(r)) {
            json_number(j, "busy_s", (double)n.busy_ns / 1e9, 6);
            json_number(j, "busy_us_max", (double)n.busy_ns_max / 1e3, 3);
        }
        json_close(j, '}');
    }
    json_close(j, '}');
    for (int i = 0; i < s->analysis_count; i++)
        if (s->analyses[i]->summary_json)
            s->analyses[i]->summary_json(s->analyses[i], j);
}

void analyses_text(const struct running *r)
{
    const struct session *s = r->session;
    for (int i = 0; i < s->analysis_count; i++) {
        struct analysis *a = s->analyses[i];
        struct takt_worker_counts n;
        takt_worker_counts(a->worker, &n);
        if (a->summary_text)
            a->summary_text(a);
        if (n.lost_windows && !a->only_looks)
            printf("%s: %llu of %llu windows left out, as %s\n", a->name,
                   (unsigned long long)n.lost_windows,
                   (unsigned long long)(n.windows + n.lost_windows),
                   n.dropped_frames ? "it was too slow" : "the stream had gaps");
    }
}
