/*
 * The device thread's part of a session: route, effects, meter, a copy of the block for the
 * analyses, and every tenth of a second of the stream's time a reading into the ring, from which
 * the main thread makes its lines.
 *
 * On a virtual clock the lines have to be the same on every run, so the ring must lose nothing:
 * there the callback waits for room. Time stands still meanwhile, and no sound is late.
 */
#include "running.h"

#include <sched.h>
#include <string.h>

enum { READINGS_PER_S = 10 };

/* Each output hears its own input, and the others more softly. */
static void route_mixed(const struct takt_block *b)
{
    for (uint32_t o = 0; o < b->out_channels; o++)
        for (uint32_t i = 0; i < b->in_channels; i++)
            takt_mix(b->out[o], b->in[i], i == o % b->in_channels ? 1.0f : 0.35f, b->frames);
}

/* Input k goes to output k. Too few inputs are repeated; too many are averaged. */
static void route(const struct takt_block *b)
{
    for (uint32_t o = 0; o < b->out_channels; o++) {
        if (b->in_channels <= b->out_channels) {
            memcpy(b->out[o], b->in[o % b->in_channels], b->frames * sizeof(float));
            continue;
        }
        uint32_t heard = (b->in_channels - o - 1) / b->out_channels + 1;
        for (uint32_t i = o; i < b->in_channels; i += b->out_channels)
            takt_mix(b->out[o], b->in[i], 1.0f / (float)heard, b->frames);
    }
}

/* How many frames of the block count: not those that only fill up the last one. */
static uint32_t frames_that_count(const struct running *r, const struct takt_block *b)
{
    uint32_t frames = b->in_channels ? b->in_frames : b->frames;
    if (!r->length_frames)
        return frames;
    uint64_t left = r->length_frames > b->position ? r->length_frames - b->position : 0;
    return left < frames ? (uint32_t)left : frames;
}

/* False when there is none; then a line is lost, no sound. */
static bool wait_for_room(struct running *r, struct takt_ring *ring)
{
    while (!takt_ring_write_avail(ring)) {
        if (r->actual.clock == TAKT_CLOCK_REAL || atomic_load(&r->leaves))
            return false;
        takt_guard_allow(); /* time waits for the reader */
        sched_yield();
        takt_guard_forbid();
    }
    return true;
}

static void make_reading(struct running *r, uint64_t end)
{
    r->scratch->end = end;
    r->scratch->time_s = (double)end / r->actual.rate_hz;
    r->scratch->misses = r->misses_made;
    r->scratch->segments = r->session->voice ? r->session->voice->segments_made : 0;
    for (uint32_t c = 0; c < r->channels; c++)
        takt_level_read(r->level, c, &r->scratch->channel[c]);
    if (wait_for_room(r, r->readings))
        takt_ring_write(r->readings, r->scratch, 1);
}

/* A block can tell of those before it; the end tells of the last. */
static void hand_over_misses(struct running *r)
{
    struct takt_miss m[TAKT_MISSES_KEPT];
    const struct takt_contract *contract = takt_stream_contract(r->stream);
    uint64_t new = takt_contract_miss_count(contract) - r->misses_made;
    if (!new || r->actual.clock == TAKT_CLOCK_REAL)
        return;
    int n = takt_contract_last_misses(contract, m,
                                      new < TAKT_MISSES_KEPT ? (int)new : TAKT_MISSES_KEPT);
    for (int i = 0; i < n && wait_for_room(r, r->misses); i++)
        takt_ring_write(r->misses, &m[i], 1);
    r->misses_made += new;
}

enum takt_next running_process(const struct takt_block *b, void *arg)
{
    struct running *r = arg;
    uint32_t frames = frames_that_count(r, b);
    enum takt_next next = TAKT_CONTINUE;
    hand_over_misses(r);
    if (r->session->process)
        next = r->session->process(b, frames, r->session->process_of);
    else if (b->in_channels && r->session->mixes)
        route_mixed(b);
    else if (b->in_channels)
        route(b);
    if (r->session->chain && b->out_channels)
        chain_run(r->session->chain, b->out, b->out_channels, b->frames, frames, b->position,
                  r->actual.rate_hz);
    const float *const *metered = r->meters_input ? b->in : (const float *const *)b->out;
    takt_level_update(r->level, metered, frames);
    if (r->session->voice)
        voice_write(r->session->voice, metered, frames, b->position);
    uint64_t end = b->position + frames;
    uint64_t due = end * READINGS_PER_S / r->actual.rate_hz; /* whole numbers: none comes twice */
    if (due > r->readings_made) {
        r->readings_made = due;
        make_reading(r, end);
    }
    atomic_store_explicit(&r->levels_until, end + 1, memory_order_release);
    return next;
}

void running_finished(uint64_t last_frame, void *arg)
{
    const struct running *r = arg;
    (void)last_frame;
    r->session->over(r->session->process_of);
}

/* The sound is on its way by then. What an analysis is given is what is heard. */
void running_after(const struct takt_block *b, void *arg)
{
    struct running *r = arg;
    analyses_write(r, r->meters_input ? b->in : (const float *const *)b->out,
                   frames_that_count(r, b), b->position);
}
