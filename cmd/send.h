/*
 * send.h - one takt send, shared by verb_send.c (settings, the callback) and send_view.c (what is
 * seen of it).
 */
#ifndef CMD_SEND_H
#define CMD_SEND_H

#include "analysis.h"
#include "raw.h"
#include "session.h"

struct sending {
    const struct options *options;
    struct session *session;
    const struct takt_key *key; /* NULL: none, or wiped already */
    struct takt_send *send;
    struct raw_in *raw; /* NULL: from a device */
    uint32_t rate_hz;
    bool from_stdin, is_new_sdp;
    bool told_unsent;
    struct takt_send_stats now; /* the newest */
};

/* The parts of its analysis that show: they take a struct takt_send_stats. */
void send_take(struct analysis *a, const void *event, double time_s);
void send_json(struct analysis *a, struct json *j, const void *event);
void send_text(struct analysis *a, const void *event, double time_s);
void send_draw(struct analysis *a, struct terminal *t, int rows, const void *event);
void send_summary_json(struct analysis *a, struct json *j);
void send_summary_text(struct analysis *a);

/* The last figures, when the stream has ended; of is the struct sending. */
void send_finish(void *of);

enum { SEND_ROWS = 9 }; /* where the terminal is narrow */

#endif
