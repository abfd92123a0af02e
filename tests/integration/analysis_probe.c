/*
 * A verb of the tests' own: `analysis-probe [OPTION...] SOURCE [ANALYSIS...]` runs a session with
 * the analyses that are named. all: the frames it saw, to the last one; mono: overlapping windows
 * of the mean of the channels; early: its events are of each window's first frame; slow: sleeps
 * over each window; bare: without the levels' lines and picture.
 */
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
    uint64_t position, frames;
    double sum;
};

static bool look(struct takt_work *work, void *event, void *of)
{
    struct analysis *a = of;
    struct found *f = event;
    *f = (struct found){.position = work->position, .frames = work->frames};
    for (size_t i = 0; i < work->frames * work->channels; i++)
        f->sum += (double)work->x[i];
    if (!strcmp(a->name, "early"))
        work->time = work->position;
    if (!strcmp(a->name, "slow"))
        takt_sleep_ms(20);
    return true;
}

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    static double sums[ANALYSES_MAX];
    static int used;
    if (!strcmp(a->name, "refuses"))
        return complain(o, EXIT_FAILED, "refuses: %u Hz and %u channels are not for it", rate_hz,
                        channels);
    a->state = &sums[used++];
    return 0;
}

static void take(struct analysis *a, const void *event, double time_s)
{
    *(double *)a->state += ((const struct found *)event)->sum;
}

static void json(struct analysis *a, struct json *j, const void *event)
{
    const struct found *f = event;
    json_int(j, "position", (int64_t)f->position);
    json_int(j, "frames", (int64_t)f->frames);
    json_number(j, "sum", f->sum, 6);
}

static void text(struct analysis *a, const void *event, double time_s)
{
    printf("%8.3f s  %s\n", time_s, a->name);
}

static void draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct found *f = event;
    terminal_line(t, "%s: %d rows, %llu", a->name, rows, f ? (unsigned long long)f->position : 0);
    for (int i = 1; i < rows; i++)
        terminal_line(t, "%s +%d", a->name, i);
}

static void summary_json(struct analysis *a, struct json *j)
{
    json_number(j, a->name, *(double *)a->state, 3);
}

static void summary_text(struct analysis *a)
{
    printf("%s: %.3f in all\n", a->name, *(double *)a->state);
}

static void end(struct analysis *a)
{
    if (getenv("PROBE_TELLS_END"))
        fprintf(stderr, "%s ended\n", a->name);
}

static const struct analysis kinds[] = {
    {.name = "all", .size_frames = 1000, .rest = true, .rows = 2, .text_every_s = 1},
    {.name = "mono", .size_frames = 2048, .hop_frames = 300, .channels = 1, .text_every_s = 1},
    {.name = "early", .size_frames = 700, .hop_frames = 900, .channels_max = 2, .rows = 1},
    {.name = "slow", .size_frames = 480, .rows = 1},
    {.name = "refuses", .size_frames = 1},
};

static struct analysis make(const struct analysis *kind)
{
    struct analysis a = *kind;
    a.event_bytes = sizeof(struct found);
    a.begin = begin;
    a.work = look;
    a.take = take;
    a.json = json;
    a.text = text;
    a.draw = draw;
    a.summary_json = summary_json;
    a.summary_text = summary_text;
    a.end = end;
    return a;
}

int main(int count, char **arguments)
{
    static struct analysis analyses[ANALYSES_MAX];
    struct options o = {.verb = "probe"};
    struct session s = {.default_in = false};
    int status = options_read(&o, "-b -c -t --fast --json -q -v", count - 1, arguments + 1);
    signal(SIGPIPE, SIG_IGN);
    if (status || (status = verb_words(&o, 1, ANALYSES_MAX, "SOURCE [ANALYSIS...]")))
        return status;
    for (int i = 1; i < o.word_count; i++) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (!strcmp(o.words[i], kinds[k].name)) {
                analyses[s.analysis_count] = make(&kinds[k]);
                session_attach(&s, &analyses[s.analysis_count]);
            }
        if (!strcmp(o.words[i], "bare"))
            s.no_level_lines = s.no_level_picture = true;
    }
    status = verb_session(&o, &s, o.words[0], NULL);
    return status ? status : session_run(&s);
}
