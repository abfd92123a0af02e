/*
 * lab/tape.h - frames that say which they are, and queues of what is expected.
 *
 * Sample `channel` of frame `n` is a number of 1..period that follows from both. It is the same
 * number in every format, and never silence. Consecutive frames of a channel lie one behind the
 * other in memory, so that making sound is pointing at it, and checking sound is one memcmp.
 */
#ifndef TAKT_LAB_TAPE_H
#define TAKT_LAB_TAPE_H

#include "takt/format.h"

#include <stdbool.h>
#include <stdint.h>

enum { TAKT_LAB_CHANNELS = 8, TAKT_LAB_FRAMES_MAX = 8192, TAKT_LAB_PIECES = 16384 };

/* Numbers that 8 bits hold repeat soon; those of 16 bits after 32749 frames. */
struct takt_lab_tape {
    uint32_t period;
    unsigned char *as[TAKT_U8 + 1]; /* in each format, or NULL */
};

/* A tape for streams of that format. false: no memory. */
bool takt_lab_tape_init(struct takt_lab_tape *t, bool eight_bits);
void takt_lab_tape_fini(struct takt_lab_tape *t);

/* Frames of one channel from that one on, up to TAKT_LAB_FRAMES_MAX of them. */
const void *takt_lab_tape_at(const struct takt_lab_tape *t, enum takt_sample format, uint64_t frame,
                             uint32_t channel);

/* A run of frames: those from `first` on, or silence. */
struct takt_lab_piece {
    uint64_t first, frames;
    bool silent;
};

/* Frames on their way, in order. */
struct takt_lab_queue {
    uint64_t frames;
    uint32_t head, count;
    bool overran; /* more pieces than there is room for: the simulation's own mistake */
    struct takt_lab_piece pieces[TAKT_LAB_PIECES];
};

void takt_lab_queue_clear(struct takt_lab_queue *q);
void takt_lab_queue_push(struct takt_lab_queue *q, uint64_t first, uint64_t frames, bool silent);

/* The oldest frames, up to `most`, of one piece. q must not be empty. */
struct takt_lab_piece takt_lab_queue_take(struct takt_lab_queue *q, uint64_t most);

#endif
