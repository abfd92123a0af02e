/*
 * Blocking read and write. The callback is the library's own here, so the model makes its blocks
 * by itself; what they hold is seen at the other end, by the user.
 */
#include "lab/lab.h"

#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

enum { USER_FRAMES = 2048 };

/* ---- Device thread --------------------------------------------------------------------------- */

static void keep_input(struct takt_lab *l, uint64_t frames)
{
    struct takt_lab_model *m = &l->model;
    uint64_t room = takt_ring_capacity(l->stream->blocking.in) - m->read.frames;
    for (uint64_t at = 0; at < frames;) {
        struct takt_lab_piece piece = takt_lab_queue_take(&m->in, frames - at);
        uint64_t kept = piece.frames < room ? piece.frames : room;
        takt_lab_queue_push(&m->read, piece.first, kept, piece.silent);
        m->overflowed |= kept < piece.frames;
        room -= kept;
        at += piece.frames;
    }
}

static void run_block(struct takt_lab *l, uint32_t frames, uint32_t in_frames)
{
    struct takt_lab_model *m = &l->model;
    uint32_t played = frames, count = takt_lab_count(l, frames, in_frames);
    if (l->plan.in)
        keep_input(l, in_frames);
    if (l->plan.out) {
        played = m->to_play < frames ? (uint32_t)m->to_play : frames;
        m->underflowed |= played < frames && m->begun;
        m->to_play -= played;
    }
    if (l->order == TAKT_ORDER_DRAIN && !m->to_play) {
        m->draining = true;
        count = count < played ? count : played;
    }
    if (l->plan.out) {
        uint32_t sound = played < count ? played : count;
        takt_lab_queue_push(&m->out, m->out_id, sound, false);
        takt_lab_queue_push(&m->out, 0, count - sound, true);
        m->out_id += played;
    }
    m->last_frame = m->position + count;
    m->position += frames;
    m->lost_pending = 0;
    m->blocks++;
    l->report->blocks++;
    l->report->frames += frames;
}

void takt_lab_check_blocking(struct takt_lab *l, const struct takt_cycle *c)
{
    struct takt_lab_model *m = &l->model;
    uint32_t block = l->plan.block_frames;
    if (!m->adapted) {
        if (!m->draining && !m->aborting)
            run_block(l, c->frames, c->frames);
        return;
    }
    while (!m->draining && !m->aborting &&
           (l->plan.in ? m->in.frames >= block : m->out.frames < c->frames))
        run_block(l, block, block);
}

/* ---- Control thread: the user ---------------------------------------------------------------- */

/* A user's memory in the stream's layout, over `memory`. */
static void *lay_out(const struct takt_lab *l, unsigned char *memory, void **planes,
                     uint32_t channels, uint32_t frames)
{
    for (uint32_t c = 0; c < channels; c++)
        planes[c] = memory + (size_t)c * frames * takt_sample_bytes(l->plan.format);
    return l->plan.layout == TAKT_PLANAR ? (void *)planes : (void *)memory;
}

static void read_some(struct takt_lab *l, unsigned char *memory)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    void *planes[TAKT_LAB_CHANNELS];
    uint32_t there = takt_stream_read_available(l->stream);
    uint32_t want = (uint32_t)takt_random_below(&l->device.chance, USER_FRAMES) + 1;
    bool overflowed = false;
    if (there != m->read.frames)
        takt_lab_break(l, "%u frames can be read, not %llu", there, (ull)m->read.frames);
    want = want < there ? want : there;
    if (!want || takt_lab_is_broken(l))
        return;
    void *data = lay_out(l, memory, planes, p->in_channels, want);
    if (takt_stream_read(l->stream, data, want, 0, &overflowed) != want)
        takt_lab_break(l, "read gave not the %u frames that are there", want);
    if (overflowed != m->overflowed)
        takt_lab_break(l, "read says that input was %slost", overflowed ? "" : "not ");
    m->overflowed = false;
    const void *const *from =
        (const void *const *)(p->layout == TAKT_PLANAR ? planes : (void **)&(void *){memory});
    for (uint32_t at = 0; at < want && !takt_lab_is_broken(l);) {
        struct takt_lab_piece piece = takt_lab_queue_take(&m->read, want - at);
        if (!takt_lab_is_piece(l, from, p->format, p->layout, p->in_channels, p->in_map, at,
                               &piece))
            takt_lab_break(l, "what was read is not the frames from %llu", (ull)piece.first);
        at += (uint32_t)piece.frames;
    }
}

static void write_some(struct takt_lab *l, unsigned char *memory)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    void *planes[TAKT_LAB_CHANNELS];
    size_t bytes = takt_sample_bytes(p->format);
    uint32_t room = takt_stream_write_available(l->stream);
    uint32_t want = (uint32_t)takt_random_below(&l->device.chance, USER_FRAMES) + 1;
    bool underflowed = false;
    if (room != takt_ring_capacity(l->stream->blocking.out) - m->to_play)
        takt_lab_break(l, "%u frames can be written while %llu wait", room, (ull)m->to_play);
    want = want < room ? want : room;
    if (!want)
        return;
    void *data = lay_out(l, memory, planes, p->out_channels, want);
    for (uint32_t c = 0; c < p->out_channels; c++) {
        const unsigned char *from = takt_lab_tape_at(l->tape, p->format, m->play_id, c);
        for (uint32_t i = 0; i < want; i++) {
            size_t at =
                p->layout == TAKT_PLANAR ? (size_t)c * want + i : (size_t)i * p->out_channels + c;
            memcpy(memory + at * bytes, from + i * bytes, bytes);
        }
    }
    if (takt_stream_write(l->stream, data, want, 0, &underflowed) != want)
        takt_lab_break(l, "write took not the %u frames that have room", want);
    if (underflowed != m->underflowed)
        takt_lab_break(l, "write says that silence was %splayed", underflowed ? "" : "not ");
    m->underflowed = false;
    m->begun = true;
    m->play_id += want;
    m->to_play += want;
}

void takt_lab_use_blocking(struct takt_lab *l)
{
    unsigned char memory[USER_FRAMES * TAKT_LAB_CHANNELS * sizeof(float)];
    if (l->plan.in)
        read_some(l, memory);
    if (l->plan.out)
        write_some(l, memory);
}
