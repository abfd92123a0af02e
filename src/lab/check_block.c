/*
 * In the callback: is it the right block, and does it hold the frames that come next?
 */
#include "lab/lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

static const double pi = 3.14159265358979323846;
static const double glitch = 1e-2; /* a jump by one frame is more, at any rate */
enum { TONE_HZ = 1000, EAR_SETTLES_S = 1, TROUBLE_S = 15 }; /* after the start, and after a loss */

/* ---- The ear ----------------------------------------------------------------------------------
 */

/* Three frames of a sine in a row say what the next has to be, whatever its phase. */
void takt_lab_check_ear(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    double w = 2 * pi * TONE_HZ / p->rate_hz;
    m->twice_cos = 2 * cos(w * (1 + p->other_ppm * 1e-6) / (1 + p->ppm * 1e-6));
    m->heard[0] = m->heard[1] = 0;
    m->ear_from = (uint64_t)EAR_SETTLES_S * p->rate_hz;
    m->gaps = 0;
}

/* A glitch has to be told of: by a gap that was counted, frames that were lost, or an underflow. */
static void listen(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    struct takt_stream_actual a;
    takt_stream_actual(l->stream, &a);
    const float *x = l->plan.layout == TAKT_PLANAR ? b->in[0] : b->in_data[0];
    bool excused = a.bridge_gaps != m->gaps || m->had_trouble || b->flags & ~TAKT_PRIMING;
    m->gaps = a.bridge_gaps;
    m->had_trouble = false;
    if (excused)
        m->ear_from = b->position + (uint64_t)TROUBLE_S * l->plan.rate_hz;
    double worst = 0;
    for (uint32_t i = 0; i < b->frames; i++) {
        double off = fabs((double)x[i] - m->twice_cos * m->heard[0] + m->heard[1]);
        if (b->position + i > m->ear_from)
            worst = off > worst ? off : worst;
        m->heard[1] = m->heard[0];
        m->heard[0] = (double)x[i];
    }
    if (worst > glitch)
        takt_lab_break(l, "a glitch of %.4f in what comes from another clock, and no count of it",
                       worst);
    if (fabs(a.bridge_drift_ppm) > 20000 || a.bridge_frames > l->plan.rate_hz / 2 + 40000)
        takt_lab_break(l, "the bridge is out of bounds: %.0f ppm, %u frames", a.bridge_drift_ppm,
                       a.bridge_frames);
}

/* ---- Input ----------------------------------------------------------------------------------- */

/* A recording may be late, so that silence stands between its frames; none of them is missing. */
static void follow_recording(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    bool may_be_late = p->odds[TAKT_FAULT_DISK_SLOW] || p->odds[TAKT_FAULT_AWAY];
    uint32_t at = 0;
    while (at < b->frames) {
        struct takt_lab_piece one = {.first = m->file_at, .frames = 1};
        if (m->file_at < p->source_frames && at < b->in_frames &&
            takt_lab_is_piece(l, b->in_data, p->format, p->layout, p->in_channels, p->in_map, at,
                              &one)) {
            m->file_at++;
            at++;
            continue;
        }
        one.silent = true;
        bool behind = at >= b->in_frames && m->file_at == p->source_frames;
        if ((!may_be_late && !behind) || !takt_lab_is_piece(l, b->in_data, p->format, p->layout,
                                                            p->in_channels, p->in_map, at, &one)) {
            takt_lab_break(l, "frame %llu of the recording does not come next", (ull)m->file_at);
            return;
        }
        at++;
    }
}

static void check_input(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    if (p->in == TAKT_LAB_FILE) {
        follow_recording(l, b);
        return;
    }
    if (p->in == TAKT_LAB_OTHER) {
        listen(l, b);
        return;
    }
    uint64_t there = m->in.frames < b->frames ? m->in.frames : b->frames;
    if (b->in_frames != there) {
        takt_lab_break(l, "a block with %u frames of input, and %llu are there", b->in_frames,
                       (ull)there);
        return;
    }
    for (uint64_t at = 0; at < b->frames;) {
        struct takt_lab_piece piece = {.silent = true, .frames = b->frames - at};
        if (m->in.frames)
            piece = takt_lab_queue_take(&m->in, b->frames - at);
        takt_lab_hash(l, piece.silent ? 1 : piece.first);
        if (!takt_lab_is_piece(l, b->in_data, p->format, p->layout, p->in_channels, p->in_map, at,
                               &piece)) {
            takt_lab_break(l, "the input is not the %s %llu, which come next",
                           piece.silent ? "silent frames from" : "frames from", (ull)piece.first);
            return;
        }
        at += piece.frames;
    }
}

/* ---- The block itself ------------------------------------------------------------------------ */

static void check_shape(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    uint32_t frames = p->block_frames ? p->block_frames : m->cycle->frames;
    if (m->draining || m->aborting)
        takt_lab_break(l, "a block behind the end");
    if (b->frames != frames)
        takt_lab_break(l, "a block of %u frames, not of %u", b->frames, frames);
    if (b->position < m->block_position)
        takt_lab_break(l, "position went back from %llu to %llu", (ull)m->block_position,
                       (ull)b->position);
    if (b->position != m->position)
        takt_lab_break(l, "a block at %llu, and the stream is at %llu", (ull)b->position,
                       (ull)m->position);
    if (b->lost_frames != m->lost_pending)
        takt_lab_break(l, "a block says that %llu frames were lost, and it is %llu",
                       (ull)b->lost_frames, (ull)m->lost_pending);
    if (b->in_channels != p->in_channels || b->out_channels != p->out_channels)
        takt_lab_break(l, "a block of %u and %u channels", b->in_channels, b->out_channels);
    m->block_position = b->position;
    m->lost_pending = 0;
}

static void check_flags(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    uint32_t expected = m->flags | (b->in_frames < b->frames ? TAKT_INPUT_ENDED : 0u);
    uint32_t unsure = TAKT_PRIMING;
    if (p->in == TAKT_LAB_FILE || p->in == TAKT_LAB_OTHER)
        unsure |= TAKT_INPUT_UNDERFLOW;
    if (p->out == TAKT_LAB_FILE)
        unsure |= TAKT_OUTPUT_OVERFLOW;
    if ((b->flags ^ expected) & ~unsure)
        takt_lab_break(l, "a block with flags 0x%x, not 0x%x", b->flags, expected);
    m->flags = 0;
}

static void check_times(struct takt_lab *l, const struct takt_block *b)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_cycle *c = m->cycle;
    double frame_ns = 1e9 / l->plan.rate_hz; /* nominal: what the engine has to reckon with */
    int64_t in = c->in_first_ns, out = c->out_first_ns;
    if (m->adapted) {
        in += (int64_t)(((double)c->frames - (double)m->in.frames) * frame_ns);
        out += (int64_t)((double)m->out.frames * frame_ns);
    }
    if (b->now_ns != c->now_ns || b->deadline_ns != c->deadline_ns)
        takt_lab_break(l, "a block of another time than its step's");
    if (l->plan.in && l->plan.in != TAKT_LAB_OTHER && l->plan.in != TAKT_LAB_FILE &&
        llabs(b->in_first_ns - in) > (int64_t)frame_ns && !m->in_ended)
        takt_lab_break(l, "input of %lld ns, and it was at the converter at %lld",
                       (long long)b->in_first_ns, (long long)in);
    if (l->plan.out && llabs(b->out_first_ns - out) > (int64_t)frame_ns)
        takt_lab_break(l, "output for %lld ns, and it will be at the converter at %lld",
                       (long long)b->out_first_ns, (long long)out);
}

/* The frames that it plays, in the format that was asked for. */
static void make_output(struct takt_lab *l, const struct takt_block *b)
{
    const struct takt_lab_plan *p = &l->plan;
    size_t bytes = takt_sample_bytes(p->format);
    for (uint32_t c = 0; c < p->out_channels; c++) {
        const unsigned char *from = takt_lab_tape_at(l->tape, p->format, l->model.out_id, c);
        if (p->layout == TAKT_PLANAR) {
            memcpy(b->out_data[c], from, b->frames * bytes);
            continue;
        }
        unsigned char *to = (unsigned char *)b->out_data[0] + c * bytes;
        for (uint32_t i = 0; i < b->frames; i++)
            memcpy(to + (size_t)i * p->out_channels * bytes, from + i * bytes, bytes);
    }
}

uint32_t takt_lab_count(struct takt_lab *l, uint32_t frames, uint32_t in_frames)
{
    struct takt_lab_model *m = &l->model;
    uint64_t length = l->plan.length_frames, count = frames;
    if (m->in_ended && in_frames < frames) {
        uint64_t tail = frames - in_frames < m->tail_left ? frames - in_frames : m->tail_left;
        m->tail_left -= tail;
        count = in_frames + tail;
        m->draining |= !m->tail_left;
    }
    if (length && m->position + count >= length) {
        count = length > m->position ? length - m->position : 0;
        m->draining = true;
    }
    return (uint32_t)count;
}

static void open_block(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_cycle *c = m->cycle;
    bool first = !m->block_ran;
    m->block = (struct takt_lab_block){
        .is_open = true, .deadline_ns = first && c->owed_ns ? c->owed_ns : c->deadline_ns};
    m->block_ran = true;
    m->blocks++;
    l->report->blocks++;
}

enum takt_next takt_lab_process(const struct takt_block *b, void *arg)
{
    struct takt_lab *l = arg;
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    if (takt_lab_is_broken(l))
        return TAKT_ABORT;
    open_block(l);
    check_shape(l, b);
    check_flags(l, b);
    check_times(l, b);
    m->block_frames = b->frames;
    m->block_lost = b->lost_frames;
    if (p->in_channels && !takt_lab_is_broken(l))
        check_input(l, b);
    if (takt_lab_is_broken(l))
        return TAKT_ABORT;
    if (p->out_channels)
        make_output(l, b);
    takt_lab_hash(l, b->position);
    l->report->frames += b->frames;
    bool ends = l->run_step >= p->end_step;
    if (ends && p->end == TAKT_LAB_CALLBACK_ABORTS) {
        m->aborting = true;
        return TAKT_ABORT;
    }
    if (p->in == TAKT_LAB_FILE && b->in_frames < b->frames)
        m->in_ended = true;
    uint32_t count = takt_lab_count(l, b->frames, b->in_frames);
    if (p->out_channels)
        takt_lab_queue_push(&m->out, m->out_id, count, false);
    m->counted += count;
    m->out_id += b->frames;
    m->last_frame = m->position + count;
    m->position += b->frames;
    if (!ends || p->end != TAKT_LAB_CALLBACK_DRAINS)
        return TAKT_CONTINUE;
    m->draining = true;
    return TAKT_DRAIN;
}
