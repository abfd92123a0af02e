/*
 * voice.h - records only what is spoken: the gate in the callback, the recording behind it, and
 * what is told of its segments.
 */
#ifndef CMD_VOICE_H
#define CMD_VOICE_H

#include "json.h"
#include "options.h"

#include <takt/takt.h>

struct running;

struct voice {
    const char *path;
    /* Its own: */
    struct takt_gate *gate;
    struct takt_recorder *recorder;
    struct takt_ring *segments; /* struct takt_gate_segment, from the callback to the lines */
    uint64_t segments_made, segments_told;
    bool failure_told;
};

/* Makes the recording and all memory. 0, or an exit status after saying why. */
int voice_begin(struct running *r);

/* The callback's: a block of what is heard. RT: yes. */
void voice_write(struct voice *v, const float *const *planes, uint32_t frames, uint64_t position);

/* Tells of the segments before that number, and of a recording that has failed. */
void voice_tell_before(struct running *r, uint64_t number);
void voice_tell(struct running *r);

/* The stream has ended: what is left goes to the disk, and the file is complete. */
void voice_finish(struct running *r);
void voice_end(struct voice *v);

void voice_summary_json(const struct running *r, struct json *j);
void voice_summary_text(const struct running *r);

#endif
