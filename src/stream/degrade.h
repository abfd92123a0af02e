/*
 * stream/degrade.h - how the engine bears what goes wrong: where the seams of soften.h are, and
 * what a block is without its callback. The cycle tells what happens; this decides what is heard.
 *
 * There are three seams. A gap is softened where it is, so that what lies behind the callback, or
 * does not depend on its input, stays as it is:
 *     in.seam      the callback's input: lost frames, starved, device away or back
 *     block_seam   the callback's output: bypassed or restored, a blocking write too late
 *     out.seam     the device's output: lost frames, device back, the sound's end
 *
 * Thread: device, unless said otherwise. RT: yes (wait-free).
 */
#ifndef TAKT_STREAM_DEGRADE_H
#define TAKT_STREAM_DEGRADE_H

#include "stream/core.h"

/* Thread: control, while no cycle can run. RT: no. */
void takt_degrade_reset(struct takt_core *g);

/* ---- Gaps ---------------------------------------------------------------------------------- */

/* The host's clock went on without us before this cycle, or the host says that sound was lost; so
 * many frames of that count. Returns how many of them a recording has been given already, as the
 * sound's end. */
uint64_t takt_degrade_lost(struct takt_core *g, uint64_t lost);

/* The device has gone away, or is back. */
void takt_degrade_away(struct takt_core *g, bool away);

/* The queues were emptied for another block of the host's. */
void takt_degrade_new_queues(struct takt_core *g);

/* The driver's input for this cycle; softened in a copy, since it is not ours to write. Returns
 * the planes to use, by device channel. */
float *const *takt_degrade_driver_input(struct takt_core *g, const float *const *in,
                                        uint32_t frames);

/* A port's input in scratch, of which `got` frames are sound and the rest is silence; `ended`: for
 * good, which is no gap. */
void takt_degrade_port_input(struct takt_core *g, uint32_t got, uint32_t frames, bool ended);

/* The device's output in out.host, of which `count` frames are sound and the rest is silence. */
void takt_degrade_output(struct takt_core *g, uint32_t count, uint32_t frames);

/* A sink had no room for all of its frames. */
void takt_degrade_sink_full(struct takt_core *g);

/* Is sound still dying away on its way to the device? */
bool takt_degrade_sounds(const struct takt_core *g);

/* ---- The callback ---------------------------------------------------------------------------- */

/* Is the callback called for this block? Tells it in the block what it missed. */
bool takt_degrade_calls(struct takt_core *g, struct takt_block *b);

/* What is heard of the block, in out: what the callback wrote, or its stand-in. */
void takt_degrade_block(struct takt_core *g, float *const *in, float *const *out, uint32_t frames);

/* The cycle is over: was the callback too slow in it? end_ns: when the last block ended. */
void takt_degrade_judge(struct takt_core *g, int64_t end_ns);

#endif
