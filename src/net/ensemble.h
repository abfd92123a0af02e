/*
 * net/ensemble.h - the sound of several sources together: a receiver (net/receiver.h) for each
 * place of an inlet, attached and detached while it plays.
 *
 *     takt_ensemble_attach(&m, place, receiver);  // from now on it is heard
 *     takt_ensemble_packet(&m, place, &packet);
 *     takt_ensemble_pull(&m, now_ns, play_ns, out, frames);
 *     while ((old = takt_ensemble_released(&m)))  // have faded out: whoever made them ends them
 *         hand_back(old);
 *
 * One that is detached, or whose place is taken by another, plays on for TAKT_ENSEMBLE_FADE_MS, or
 * until all that it has is heard, and is turned down in the last quarter of TAKT_ENSEMBLE_FADE_MS.
 * Where more than TAKT_ENSEMBLE_FADING_MAX fade, the one that began to first is cut off.
 * Thread: one at a time, all calls. RT: yes (wait-free).
 */
#ifndef TAKT_NET_ENSEMBLE_H
#define TAKT_NET_ENSEMBLE_H

#include "net/receiver.h"

enum { TAKT_ENSEMBLE_FADE_MS = 100, TAKT_ENSEMBLE_FADING_MAX = TAKT_RECEIVER_SOURCES_MAX };

struct takt_ensemble_voice {
    struct takt_receiver *receiver; /* NULL: none */
    uint64_t left_frames;           /* of one that fades */
};

struct takt_ensemble {
    uint32_t rate_hz, channels, frames_max;
    float **mix; /* [channels][frames_max], where one receiver's sound is written to first */
    struct takt_ensemble_voice place[TAKT_RECEIVER_SOURCES_MAX];
    struct takt_ensemble_voice fading[TAKT_ENSEMBLE_FADING_MAX];
    struct takt_receiver *released[2 * TAKT_RECEIVER_SOURCES_MAX];
    uint32_t released_count;
};

/* Errors: TAKT_ERR_NOMEM; m holds nothing then. RT: no, both calls. */
int takt_ensemble_init(struct takt_ensemble *m, uint32_t rate_hz, uint32_t channels,
                       uint32_t frames_max, struct takt_error *e);
/* Receivers are the caller's to end. RT: no. */
void takt_ensemble_clear(struct takt_ensemble *m);

void takt_ensemble_attach(struct takt_ensemble *m, uint32_t place, struct takt_receiver *r);
void takt_ensemble_detach(struct takt_ensemble *m, uint32_t place);

/* Nothing happens where there is no receiver. */
void takt_ensemble_packet(struct takt_ensemble *m, uint32_t place, const struct takt_net_packet *p);

/* As takt_receiver_pull(), of all together. One alone comes out bit by bit. */
void takt_ensemble_pull(struct takt_ensemble *m, int64_t now_ns, int64_t play_ns, float *const *out,
                        uint32_t frames);

/* One that is not heard any more, each once; NULL when there is none. They are taken, all of them,
 * before more than TAKT_RECEIVER_SOURCES_MAX others are attached or detached. */
struct takt_receiver *takt_ensemble_released(struct takt_ensemble *m);

#endif
