/*
 * stream/chain.h - what a stream tells the chain that its settings name.
 */
#ifndef TAKT_STREAM_CHAIN_H
#define TAKT_STREAM_CHAIN_H

#include "takt/chain.h"

/* Does it fit, and what has it to know? host_frames: a block has to be ready within the time of so
 * many. Errors: TAKT_ERR_ARG. Thread: control, while no block runs. RT: no. */
struct takt_chain_use {
    uint32_t rate_hz, channels, block_frames_max, host_frames;
    bool virtual_clock;
};
int takt_chain_bind(struct takt_chain *chain, const struct takt_chain_use *use,
                    struct takt_error *e);

/* The host moves so many frames at once from now on. Thread: device. RT: yes. */
void takt_chain_host_block(struct takt_chain *chain, uint32_t frames);

/* Forgets the last run: all stages are there again. Thread: control, while no block runs.
 * RT: no. */
void takt_chain_reset(struct takt_chain *chain);

/* How often a stage was shed. Thread: any. RT: yes (wait-free). */
uint64_t takt_chain_sheds(const struct takt_chain *chain);

#endif
