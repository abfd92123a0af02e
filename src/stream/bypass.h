/*
 * stream/bypass.h - whether the callback is to be called, and whether it is to be heard.
 *
 *     heard ──it overruns──► waiting ──the back-off is over──► on trial ──kept its deadlines──►
 * heard ▲                                  │ └────────────it overruns───────────┘
 *
 * Time is the stream's position, so that it runs alike on any clock.
 * Thread: device. RT: yes (wait-free), O(1), all calls.
 */
#ifndef TAKT_STREAM_BYPASS_H
#define TAKT_STREAM_BYPASS_H

#include "takt/stream.h"

#include <stdbool.h>
#include <stdint.h>

enum takt_bypass_state { TAKT_HEARD = 0, TAKT_WAITING, TAKT_TRIAL };

/* What a cycle has changed. */
enum takt_bypass_turn { TAKT_TURN_NONE = 0, TAKT_TURN_BYPASSED, TAKT_TURN_FAILED, TAKT_TURN_BACK };

struct takt_bypass_cycle {
    uint64_t position; /* of the stream, behind the cycle */
    int64_t own_ns;    /* that the callback has used */
    int64_t budget_ns; /* that it had: one host block's time */
    bool excused;      /* it was kept from its CPU: an overrun is not its own */
};

/* Zeroed: the callback is always called and always heard. */
struct takt_bypass {
    /* settings, with no field left at 0 but for mode */
    struct takt_bypass_cfg cfg;
    uint64_t retry_frames, retry_frames_max;
    /* state */
    enum takt_bypass_state state;
    uint64_t missed;         /* one bit a cycle, the newest lowest */
    uint64_t retry_at;       /* position; while waiting */
    uint64_t backoff_frames; /* of the next wait */
    uint64_t good_since;     /* position: no overrun since, nor a halving of the back-off */
    uint32_t kept;           /* deadlines in this trial */
};

/* cfg: checked, see takt_bypass_check. */
void takt_bypass_init(struct takt_bypass *b, const struct takt_bypass_cfg *cfg, uint32_t rate_hz);

/* Is it to be called for the block at this position? A back-off that is over turns into a trial. */
bool takt_bypass_calls(struct takt_bypass *b, uint64_t position);

/* A cycle in which the callback was called is over. */
enum takt_bypass_turn takt_bypass_end(struct takt_bypass *b, const struct takt_bypass_cycle *c);

/* NULL, or what is wrong with the settings, in a few words. Thread: any. */
const char *takt_bypass_check(const struct takt_bypass_cfg *cfg);

#endif
