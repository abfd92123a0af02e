/*
 * analysis.h - what a verb attaches to its session to be found out about the sound: loudness,
 * pitch, a spectrum. It has three parts, and each runs on a thread of its own:
 *
 *     static bool work(struct takt_work *work, void *event, void *of)   // the worker's thread
 *     {
 *         struct analysis *a = of;
 *         takt_pitch_process(a->state, work->x, work->frames, work->position);
 *         return takt_pitch_read(a->state, event);                      // is there news?
 *     }
 *     ...
 *     struct analysis pitch = {.name = "pitch", .channels = 1, .size_frames = 2048,
 *         .hop_frames = 256, .event_bytes = sizeof(struct takt_pitch_reading), .begin = begin,
 *         .work = work, .json = json, .end = end};
 *     session_attach(&s, &pitch);                                       // before session_run
 *
 * begin, take, json, text, draw, the summaries and end are called on the main thread, where they
 * may do as they like; the callback does no more than to copy the block. On a virtual clock
 * (--fast) the work is done within the callback, so that every run gives the same lines. The lines
 * of all analyses and of the levels come in the order of the stream's time.
 */
#ifndef CMD_ANALYSIS_H
#define CMD_ANALYSIS_H

#include "json.h"
#include "options.h"
#include "terminal.h"

enum { ANALYSES_MAX = 16 };

/* Functions that are NULL have nothing to do. */
struct analysis {
    const char *name;  /* one word: the type of its lines, and its place in the summary */
    uint32_t channels; /* 0: all that are heard, at most channels_max of them; 1: mixed to one */
    uint32_t channels_max;          /* 0: no bound */
    size_t size_frames, hop_frames; /* of its windows, as in takt/worker.h */
    size_t event_bytes;
    bool rest;           /* what is left behind the last whole window comes in a shorter one */
    double text_every_s; /* of the lines of text; 0: each event */
    void *state;         /* its own */

    /* Before the stream: channels is what work will get. May set size, hop and event_bytes.
     * 0, or an exit status after saying why. */
    int (*begin)(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels);
    takt_work_fn *work; /* its arg is the analysis */

    /* Each event as soon as it is there, for what draw and the summaries need to know. */
    void (*take)(struct analysis *a, const void *event, double time_s);
    /* The fields of one line, behind type and time_s. */
    void (*json)(struct analysis *a, struct json *j, const void *event);
    /* One line with its newline, to stdout. */
    void (*text)(struct analysis *a, const void *event, double time_s);
    /* At most so many lines of the picture, by terminal_line(); event is the newest, or NULL. */
    void (*draw)(struct analysis *a, struct terminal *t, int rows, const void *event);
    int rows;        /* that it wishes for; 0: all there are */
    bool only_looks; /* its windows are but its clock: nobody misses one that is left out */
    bool is_hidden;  /* it works on, but is not drawn */
    /* Named fields of the summary; lines of it. */
    void (*summary_json)(struct analysis *a, struct json *j);
    void (*summary_text)(struct analysis *a);
    void (*end)(struct analysis *a); /* when begin was called, whatever it returned */

    /* The session's: */
    struct takt_worker *worker;
    bool has_begun, has_newest;
    void *newest;
    double next_text_s;
};

#endif
