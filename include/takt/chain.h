/*
 * takt/chain.h - stages one behind the other as a callback, of which the optional ones are shed
 * before a deadline is missed.
 *
 *     const struct takt_stage stages[] = {
 *         {.name = "filter", .run = filter, .arg = &f},
 *         {.name = "reverb", .run = reverb, .arg = &r, .optional = true},
 *     };
 *     takt_chain_create(&(struct takt_chain_cfg){.stages = stages, .count = 2}, &chain, &e);
 *     takt_stream_create(&(struct takt_stream_cfg){ … .chain = chain}, &s, &e);
 *
 * Each stage's time is measured, one clock read between two stages. While all that run together
 * use more than the high mark of the block's time, or when a block missed its deadline by them, the
 * least important optional stage is shed: it fades from wet to dry and is not called any more. One
 * at a time they are taken back, in the opposite order, when what they used before fits below the
 * low mark and that has held for a while, which doubles each time a stage had to be shed again.
 * What a stage used is forgotten by and by (to a third within hold_ms_max), so that one that was
 * slow once is tried again.
 */
#ifndef TAKT_CHAIN_H
#define TAKT_CHAIN_H

#include "takt/error.h"
#include "takt/stream.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_chain;

enum { TAKT_STAGES_MAX = 64 };

/* Works on io[channels][frames] in place, on the device thread: the callback's rules hold. */
typedef void takt_stage_fn(float *const *io, uint32_t channels, uint32_t frames, void *arg);

struct takt_stage {
    const char *name; /* what figures call it; default "stage" */
    takt_stage_fn *run;
    void *arg;
    /* Forgets past sound; called on the device thread before the stage is taken back, and by a new
     * start when it was shed, so that it does not play what was there then. NULL: nothing to
     * forget. */
    void (*reset)(void *arg);
    bool optional;       /* may be shed */
    uint32_t importance; /* of the optional ones the least is shed first, of equals the last */
};

/* A zero field takes its default. */
struct takt_chain_cfg {
    const struct takt_stage *stages; /* [count], in the order in which they run */
    uint32_t count;                  /* 1..64 */
    uint32_t channels;               /* the most there will be; default 2, at most 64 */
    uint32_t block_frames_max;       /* the longest block; default 16384 */
    uint32_t rate_hz;     /* default: that of the stream which names the chain, else 48000 */
    double high;          /* share of the block's time; default 0.8 */
    double low;           /* default 0.6; below high */
    double fade_ms;       /* from wet to dry and back; default 2, at most 50 */
    uint32_t hold_ms;     /* the load fits for so long before one comes back; default 500 */
    uint32_t hold_ms_max; /* what that grows to; default 32000 */
    /* The clock, ns. Default: takt_now_ns, and none where the stream that names the chain is on a
     * virtual one: no stage is measured or shed there. RT: yes. */
    int64_t (*now)(void *arg);
    void *now_arg;
};

/* Takes all the memory there will be; one stream at a time may name it. The stages' names are
 * copied, too long ones cut. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any.
 * RT: no. */
TAKT_API int takt_chain_create(const struct takt_chain_cfg *cfg, struct takt_chain **out,
                               struct takt_error *e);

/* No stream uses it any more. NULL is fine. Thread: any. RT: no. */
TAKT_API void takt_chain_destroy(struct takt_chain *chain);

/* A callback, arg being the chain: input k goes to output k (too few are repeated), then through
 * the stages. Planar TAKT_F32, no more channels and frames than the chain was made for; else the
 * answer is TAKT_ABORT. Thread: device. RT: yes (wait-free), if the stages are. */
TAKT_API enum takt_next takt_chain_process(const struct takt_block *b, void *chain);

/* What a stage came to. */
struct takt_stage_state {
    char name[32];
    bool optional, is_shed;
    double load; /* smoothed share of the block's time; of a shed one: when it was shed */
    double load_max;
    uint64_t sheds;       /* how often */
    uint64_t shed_since;  /* position; 0 while it runs */
    uint64_t shed_frames; /* in all, up to when it was taken back last */
};

/* Errors: TAKT_ERR_ARG when there is no such stage. Each number is whole; two may be from
 * neighbouring blocks. Thread: any. RT: yes (wait-free). */
TAKT_API int takt_chain_read(const struct takt_chain *chain, uint32_t stage,
                             struct takt_stage_state *out);

/* The stages that are shed now, bit k being stage k. Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_chain_shed(const struct takt_chain *chain);

#ifdef __cplusplus
}
#endif
#endif
