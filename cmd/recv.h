/*
 * recv.h - one takt recv, shared by verb_recv.c (settings, the callback), recv_view.c (what is seen
 * of it) and recv_html.c (its page).
 */
#ifndef CMD_RECV_H
#define CMD_RECV_H

#include "analysis.h"
#include "raw.h"
#include "session.h"

/* One moment of the run, for the page. Of the first source; NAN: not known. Counts are all until
 * then. */
struct recv_sample {
    double time_s, target_ms, delay_ms, latency_ms;
    uint64_t due; /* packets that were to be played */
    uint64_t late, lost, repaired, concealed_frames, heard_frames;
};

enum { RECV_SAMPLES_MAX = 4096 };

/* So that a run of any length has a bounded number of samples, every second one is dropped when
 * there are too many, and from then on half as many are taken. */
struct recv_curve {
    struct recv_sample *sample;
    uint32_t count, every, skipped;
};

struct receiving {
    const struct options *options;
    struct session *session;
    const struct takt_key *key; /* NULL: none, or wiped already */
    struct takt_recv *recv;
    struct raw_out *raw; /* NULL: to a sink */
    int raw_fd;          /* -1: to a sink */
    uint32_t rate_hz;
    char at[128], title[600];       /* where it listens, and where that goes */
    struct takt_recv_stats now;     /* the newest */
    struct takt_recv_source source; /* the first one's newest figures, kept when it has gone */
    bool has_source;
    uint64_t began, ended, refused; /* events */
    struct recv_curve curve;
    struct takt_hist lateness_ns; /* of all arrivals, when the books are closed */
};

/* The parts of its analysis that show: they take a struct takt_recv_stats. */
void recv_take(struct analysis *a, const void *event, double time_s);
void recv_json(struct analysis *a, struct json *j, const void *event);
void recv_text(struct analysis *a, const void *event, double time_s);
void recv_draw(struct analysis *a, struct terminal *t, int rows, const void *event);
void recv_summary_json(struct analysis *a, struct json *j);
void recv_summary_text(struct analysis *a);

/* The last figures, when the stream has ended; of is the struct receiving. */
void recv_finish(void *of);

/* Where the milliseconds of a source's latency go; NAN: not known. */
struct recv_parts {
    double here_ms; /* from capture until the packet could be here at the earliest */
    double delay_ms, output_ms;
};
struct recv_parts recv_parts_of(const struct takt_recv_source *s);

/* Makes the page that --html asks for; of is the struct receiving. For page_write(). */
void recv_html(FILE *to, const void *of);

enum { RECV_ROWS = 18 }; /* where the terminal is narrow */

#endif
