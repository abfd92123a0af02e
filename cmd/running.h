/*
 * running.h - one stream while it runs, shared by the files that a session is made of: callback.c
 * (the device thread), session.c (the main thread), view.c (what is seen), summary.c (the end).
 */
#ifndef CMD_RUNNING_H
#define CMD_RUNNING_H

#include "session.h"
#include "terminal.h"

#include <stdatomic.h>

/* The levels at one moment of the stream's time, on their way from the callback to the lines. */
struct reading {
    double time_s;
    struct takt_level_reading channel[];
};

struct running {
    struct session *session;
    struct takt_stream *stream;
    struct takt_stream_actual actual;
    struct takt_level *level;
    uint32_t channels; /* metered */
    bool meters_input;
    uint64_t length_frames; /* asked for; 0: without end */
    uint64_t total_frames;  /* known beforehand, for the progress; 0: unknown */
    struct takt_ring *readings;
    size_t reading_bytes;
    _Atomic bool leaves; /* nobody takes readings any more */
    /* The device thread's: */
    uint64_t readings_made;
    struct reading *scratch;
    /* The main thread's: */
    struct terminal terminal;
    char title[600];
    struct reading *latest;
    double next_text_s; /* when to print the next plain line */
    bool ends, failed;
};

/* The stream's callback; arg is the struct running. RT: yes. */
enum takt_next running_process(const struct takt_block *b, void *arg);

void view_json_line(const struct running *r, const struct reading *now);
void view_text_line(const struct running *r, const struct reading *now);
void view_draw(struct running *r);

void summary_json(const struct running *r);
void summary_text(const struct running *r);

#endif
