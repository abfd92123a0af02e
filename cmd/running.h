/*
 * running.h - one stream while it runs, shared by the files that a session is made of: callback.c
 * (the device thread), session.c (the main thread), analysis.c (what is found out beside it),
 * pipes.c (what programs are given and say), voice.c (what is recorded of a voice), view.c (what is
 * seen), misses.c (what went wrong), summary.c (the end), report_html.c (its picture).
 */
#ifndef CMD_RUNNING_H
#define CMD_RUNNING_H

#include "json.h"
#include "lines.h"
#include "output.h"
#include "session.h"
#include "terminal.h"
#include "voice.h"

#include <stdatomic.h>

/* The levels at one moment of the stream's time, on their way from the callback to the lines. */
struct reading {
    double time_s;
    uint64_t end;      /* the same in frames */
    uint64_t misses;   /* so many were handed over before */
    uint64_t segments; /* the same of what voice.c tells */
    struct takt_level_reading channel[];
};

/* Where lines come from: the levels, the analysis of that index, the pipe of that number. */
enum { LEVELS = -1, PIPES = ANALYSES_MAX };

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
    struct takt_ring *misses; /* handed over on a virtual clock */
    size_t reading_bytes;
    _Atomic bool leaves;           /* nobody takes readings any more */
    _Atomic uint64_t levels_until; /* all readings of a time before that are in the ring */
    /* The device thread's: */
    uint64_t readings_made, misses_made;
    struct reading *scratch;
    /* The main thread's: */
    struct terminal terminal;
    char title[600];
    struct reading *latest;
    struct takt_worker *fan; /* takes blocks off the callback, to all analyses' workers */
    float *picked;           /* the fan's */
    struct lines lines;      /* what is to be told */
    struct lines said;       /* by the pipes' programs, until the end */
    size_t said_bytes;
    bool pipe_failed;
    double next_text_s; /* when to print the next plain line */
    uint64_t misses_told, misses_skipped;
    struct takt_miss *held; /* taken out of the ring, not yet told */
    size_t held_next, held_count, held_size;
    const char *html; /* the report's path, once it is there */
    bool is_stale;    /* the picture: a key changed it */
    bool ends, failed;
};

/* The stream's callback, and what it does behind the output; arg is the struct running. RT: yes. */
enum takt_next running_process(const struct takt_block *b, void *arg);
void running_after(const struct takt_block *b, void *arg);
void running_finished(uint64_t last_frame, void *arg);

/* One line on stderr, above the picture if one is standing. */
void running_tell(struct running *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells of the misses whose cause is settled; of all that were handed over before that one; of all
 * that are left. */
void misses_tell(struct running *r);
void misses_tell_before(struct running *r, uint64_t number);
void misses_tell_rest(struct running *r);
void misses_fields(struct json *j, const struct running *r, const struct takt_miss *m);

/* Makes room for what the analyses find, and starts their workers. 0, or an exit status. */
int analyses_begin(struct running *r);
/* The callback's: hands them a block of what is metered. RT: yes. */
void analyses_write(struct running *r, const float *const *planes, uint32_t frames,
                    uint64_t position);
/* Takes readings and events, and tells what is settled, or all, in the order of time. */
void analyses_take(struct running *r, bool are_all);
/* Nobody takes events any more; waits for what is still worked on; frees all. */
void analyses_leave(struct running *r);
void analyses_stop(struct running *r);
void analyses_end(struct running *r);
void analyses_json(const struct running *r, struct json *j);
void analyses_text(const struct running *r);

/* The pipes among the effects, likewise; pipes_take returns whether there may be more at once. */
int pipes_begin(struct running *r);
void pipes_leave(struct running *r);
int pipes_poll(const struct running *r, struct pollfd *fds);
bool pipes_take(struct running *r);
void pipes_show(struct running *r, int number, const char *text, double time_s);
void pipes_finish(struct running *r);
uint64_t pipes_dropped(const struct running *r);
void pipes_json(const struct running *r, struct json *j);
void pipes_text(const struct running *r);

/* One reading's line. */
void view_reading(struct running *r, const struct reading *now);
void view_json_line(const struct running *r, const struct reading *now);
void view_text_line(const struct running *r, const struct reading *now);
void view_draw(struct running *r);

void summary_json(const struct running *r);
void summary_text(const struct running *r);

/* Makes the page that --html asks for; of is the struct running. For page_write(). */
void report_html(FILE *to, const void *of);

#endif
