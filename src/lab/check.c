/*
 * Around each step: what the engine should have gathered, delivered, moved and ended, reckoned a
 * second time from what the device did. The model knows no buffers, only which frames are under
 * way; so a frame that is lost, doubled, moved or made of something else has nowhere to hide.
 */
#include "lab/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

void takt_lab_break(struct takt_lab *l, const char *format, ...)
{
    struct takt_simulate_report *r = l->report;
    if (r->broken)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
    r->scenario = l->plan.number;
    r->step = l->step;
    r->broken = true;
}

void takt_lab_tell(struct takt_lab *l, const char *format, ...)
{
    char line[1024];
    if (!l->cfg->trace)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    l->cfg->trace(line, l->cfg->arg);
}

/* ---- Samples --------------------------------------------------------------------------------- */

static bool is_silent(const unsigned char *at, enum takt_sample format, size_t stride, size_t n)
{
    size_t bytes = takt_sample_bytes(format);
    static const unsigned char zeros[4096];
    unsigned char zero = format == TAKT_U8 ? 128 : 0;
    if (stride == 1 && !zero) {
        for (size_t left = n * bytes; left; left -= left < sizeof zeros ? left : sizeof zeros)
            if (memcmp(at + n * bytes - left, zeros, left < sizeof zeros ? left : sizeof zeros) !=
                0)
                return false;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < bytes; b++)
            if (at[i * stride * bytes + b] != zero)
                return false;
    return true;
}

static bool is_tape(const unsigned char *at, const unsigned char *tape, size_t bytes, size_t stride,
                    size_t n)
{
    if (stride == 1)
        return !memcmp(at, tape, n * bytes);
    for (size_t i = 0; i < n; i++)
        if (memcmp(at + i * stride * bytes, tape + i * bytes, bytes) != 0)
            return false;
    return true;
}

bool takt_lab_is_piece(struct takt_lab *l, const void *const *data, enum takt_sample format,
                       enum takt_layout layout, uint32_t channels, const uint16_t *ids, uint64_t at,
                       const struct takt_lab_piece *piece)
{
    size_t bytes = takt_sample_bytes(format), n = piece->frames;
    size_t stride = layout == TAKT_PLANAR ? 1 : channels;
    for (uint32_t c = 0; c < channels; c++) {
        const unsigned char *from =
            layout == TAKT_PLANAR ? (const unsigned char *)data[c] + at * bytes
                                  : (const unsigned char *)data[0] + (at * channels + c) * bytes;
        uint32_t id = ids ? ids[c] : c;
        bool well = piece->silent
                        ? is_silent(from, format, stride, n)
                        : is_tape(from, takt_lab_tape_at(l->tape, format, piece->first, id), bytes,
                                  stride, n);
        if (!well)
            return false;
    }
    return true;
}

/* ---- The beginning --------------------------------------------------------------------------- */

/* As takt/stream.h promises it: nothing where the block is the host's, else the least that works.
 */
static uint32_t adapter_frames(uint32_t block, uint32_t host, bool varies)
{
    uint32_t a = block, b = host;
    while (!varies && a != b) /* to the greatest common divisor, as Euclid did */
        a > b ? (a -= b) : (b -= a);
    return varies ? block - 1 : block - a;
}

/* Fresh queues, for the host's block of now. */
static void prime(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    uint32_t host = l->device.host_frames;
    m->adapted = p->block_frames && (p->block_frames != host || p->varies);
    takt_lab_queue_clear(&m->in);
    takt_lab_queue_clear(&m->out);
    if (m->adapted && p->in && p->out)
        takt_lab_queue_push(&m->out, 0, adapter_frames(p->block_frames, host, p->varies), true);
}

void takt_lab_check_start(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    /* The queues are large, and are cleared by themselves. */
    size_t tail = offsetof(struct takt_lab_model, position);
    memset((char *)m + tail, 0, offsetof(struct takt_lab_model, read) - tail);
    m->to_play = m->play_id = 0;
    m->overflowed = m->underflowed = m->begun = false;
    takt_lab_queue_clear(&m->log);
    takt_lab_queue_clear(&m->read);
    prime(l);
    m->tail_left = l->plan.tail_frames;
    m->state = TAKT_STATE_STARTING;
    m->last_slack_ns = 0;
    struct takt_stream_actual a;
    takt_stream_actual(l->stream, &a);
    const struct takt_lab_plan *p = &l->plan;
    uint32_t expected =
        m->adapted ? adapter_frames(p->block_frames, l->device.host_frames, p->varies) : 0;
    if (a.adapter_frames != expected)
        takt_lab_break(l, "the adapter adds %u frames, not %u", a.adapter_frames, expected);
    m->flags = TAKT_PRIMING * (expected > 0);
    takt_lab_check_ear(l);
}

/* Frames are lost, and counted as far as the stream's length goes. Returns how many that are. */
static uint64_t lose(struct takt_lab *l, uint64_t lost)
{
    struct takt_lab_model *m = &l->model;
    uint64_t length = l->plan.length_frames;
    if (length && m->position + lost > length)
        lost = length > m->position ? length - m->position : 0;
    m->position += lost;
    m->lost += lost;
    m->lost_pending += lost;
    m->events[TAKT_EVENT_XRUN]++;
    m->reasons |= 1u << TAKT_MISS_HOST_XRUN;
    m->had_trouble = true;
    return lost;
}

void takt_lab_check_host_block(struct takt_lab *l, uint32_t frames)
{
    struct takt_lab_model *m = &l->model;
    struct takt_stream_actual a;
    takt_stream_actual(l->stream, &a);
    if (a.host_block_frames == frames)
        return;
    m->events[TAKT_EVENT_HOST_BLOCK]++;
    if (m->adapted && m->in.frames + m->out.frames) {
        m->flags |= m->in.frames ? TAKT_INPUT_OVERFLOW : 0u;
        m->flags |= m->out.frames ? TAKT_OUTPUT_UNDERFLOW : 0u;
        lose(l, m->in.frames);
    }
    prime(l);
    m->flags |= TAKT_PRIMING * m->adapted;
}

/* ---- Before a cycle -------------------------------------------------------------------------- */

static bool is_port(enum takt_lab_side side)
{
    return side == TAKT_LAB_DRIVEN || side == TAKT_LAB_PORT;
}

static void expect_lost(struct takt_lab *l, const struct takt_cycle *c)
{
    struct takt_lab_model *m = &l->model;
    uint64_t lost = lose(l, c->lost_frames);
    m->in_port_due += is_port(l->plan.in) ? lost : 0;
    m->out_port_due += is_port(l->plan.out) ? lost : 0;
    if (l->plan.out == TAKT_LAB_FILE)
        takt_lab_queue_push(&m->log, 0, lost, true);
}

static void expect_input(struct takt_lab *l, const struct takt_cycle *c)
{
    struct takt_lab_model *m = &l->model;
    m->gathered = c->frames;
    m->read_is_due = false;
    if (l->plan.in == TAKT_LAB_OWN) {
        takt_lab_queue_push(&m->in, l->device.position, c->frames, m->away);
    } else if (is_port(l->plan.in)) {
        if (m->away) {
            takt_lab_queue_push(&m->in, 0, c->frames, true);
            m->in_port_due += c->frames;
        } else {
            m->gathered = 0;
            m->read_is_due = !m->in_ended;
        }
    }
}

void takt_lab_check_before(struct takt_lab *l, const struct takt_cycle *c)
{
    struct takt_lab_model *m = &l->model;
    static const uint32_t losses =
        TAKT_INPUT_OVERFLOW | TAKT_INPUT_UNDERFLOW | TAKT_OUTPUT_OVERFLOW | TAKT_OUTPUT_UNDERFLOW;
    bool away = c->flags & TAKT_DEVICE_AWAY;
    m->cycle = c;
    m->gathered = m->counted = m->written = 0;
    m->read_is_due = m->wrote = false;
    if (!m->started)
        m->events[TAKT_EVENT_STARTED]++;
    m->started = true;
    if (away != m->away)
        m->events[away ? TAKT_EVENT_DEVICE_LOST : TAKT_EVENT_DEVICE_BACK]++;
    m->had_trouble |= away || c->now_ns - c->due_ns > c->frames * l->device.frame_ns / 4;
    m->away = away;
    m->flags |= c->flags;
    if (c->lost_frames || c->flags & losses)
        expect_lost(l, c);
    m->is_late = c->now_ns - c->due_ns > (int64_t)(l->device.host_frames * l->device.frame_ns / 4);
    m->aborting |= l->order == TAKT_ORDER_ABORT;
    m->draining |= l->order == TAKT_ORDER_DRAIN && !l->plan.blocking;
    if (!m->draining && !m->aborting)
        expect_input(l, c);
    if (l->plan.blocking)
        takt_lab_check_blocking(l, c);
    takt_lab_hash(l, (uint64_t)c->now_ns ^ l->device.position);
}

/* ---- Ports, in a cycle ----------------------------------------------------------------------- */

void takt_lab_check_read(struct takt_lab *l, uint64_t first, uint32_t got, uint32_t asked,
                         bool ended)
{
    struct takt_lab_model *m = &l->model;
    if (takt_lab_is_broken(l))
        return;
    if (!m->read_is_due)
        takt_lab_break(l, "the source was read though it was not its time");
    if (asked != m->cycle->frames)
        takt_lab_break(l, "the source was asked for %u frames in a block of %u", asked,
                       m->cycle->frames);
    m->read_is_due = false;
    takt_lab_queue_push(&m->in, first, got, false);
    m->gathered = got;
    if (ended) {
        m->in_ended = true;
        m->events[TAKT_EVENT_INPUT_ENDED]++;
    } else if (got < asked) {
        takt_lab_queue_push(&m->in, 0, asked - got, true);
        m->gathered = asked;
        m->flags |= TAKT_INPUT_UNDERFLOW;
        m->reasons |= 1u << TAKT_MISS_STARVED;
    }
}

/* Takes `frames` that were delivered from what is under way, and compares each. `at` is where they
 * begin in data; data NULL: nobody hears them. */
static void deliver(struct takt_lab *l, const void *const *data, uint32_t device_channels,
                    uint64_t frames)
{
    struct takt_lab_model *m = &l->model;
    const struct takt_lab_plan *p = &l->plan;
    const void *mapped[TAKT_LAB_CHANNELS] = {0};
    for (uint32_t c = 0; data && c < p->out_channels; c++)
        mapped[c] = data[p->out_map[c]];
    for (uint64_t at = 0; at < frames;) {
        struct takt_lab_piece piece = takt_lab_queue_take(&m->out, frames - at);
        takt_lab_hash(l, piece.silent ? 0 : piece.first + 1);
        if (p->out == TAKT_LAB_FILE)
            takt_lab_queue_push(&m->log, piece.first, piece.frames, piece.silent);
        if (data &&
            !takt_lab_is_piece(l, mapped, TAKT_F32, TAKT_PLANAR, p->out_channels, NULL, at, &piece))
            takt_lab_break(l, "what is played is not the %s %llu, which come next",
                           piece.silent ? "silent frames from" : "frames from", (ull)piece.first);
        at += piece.frames;
    }
    for (uint32_t ch = 0; data && ch < device_channels; ch++) {
        bool is_used = false;
        for (uint32_t c = 0; c < p->out_channels; c++)
            is_used |= p->out_map[c] == ch;
        if (!is_used && !is_silent(data[ch], TAKT_F32, 1, frames))
            takt_lab_break(l, "device channel %u plays, though nothing goes there", ch);
    }
}

void takt_lab_check_write(struct takt_lab *l, const float *const *in, uint32_t channels,
                          uint32_t frames, uint32_t taken)
{
    struct takt_lab_model *m = &l->model;
    if (takt_lab_is_broken(l))
        return;
    if (m->wrote)
        takt_lab_break(l, "the sink was written to twice in one step");
    if (frames > m->out.frames) {
        takt_lab_break(l, "the sink was given %u frames, and only %llu are there to be played",
                       frames, (ull)m->out.frames);
        return;
    }
    m->wrote = true;
    m->written = frames;
    m->under_way = m->out.frames;
    deliver(l, (const void *const *)in, channels, frames);
    if (taken < frames) {
        m->flags |= TAKT_OUTPUT_OVERFLOW;
        m->reasons |= 1u << TAKT_MISS_WORKER_FULL;
    }
}

/* ---- After a cycle --------------------------------------------------------------------------- */

/* How many frames should have left, of what was under way. */
static uint64_t frames_due(struct takt_lab *l, uint64_t under_way, uint32_t host)
{
    const struct takt_lab_model *m = &l->model;
    if (m->aborting)
        return 0;
    if (under_way < host && !m->draining)
        takt_lab_break(l, "the output ran dry: %llu frames for a host block of %u", (ull)under_way,
                       host);
    return under_way < host ? under_way : host;
}

static void check_own_output(struct takt_lab *l, const struct takt_cycle *c, uint64_t due)
{
    const void *rest[TAKT_LAB_CHANNELS];
    uint32_t channels = takt_lab_device_channels(l->plan.out_map, l->plan.out_channels);
    bool away = l->model.away;
    deliver(l, away ? NULL : (const void *const *)c->out, channels, due);
    for (uint32_t ch = 0; ch < channels; ch++) {
        rest[ch] = c->out[ch] + due;
        if (!away && !is_silent(rest[ch], TAKT_F32, 1, c->frames - due))
            takt_lab_break(l, "what is played behind the last frame is not silence");
    }
}

/* A source that has ended ends the stream when all that came of it is through, and its tail. */
static void end_with_source(struct takt_lab *l, uint64_t under_way, uint32_t host)
{
    struct takt_lab_model *m = &l->model;
    if (l->plan.in == TAKT_LAB_FILE && m->file_at == l->plan.source_frames)
        m->in_ended |= takt_stream_event_count(l->stream, TAKT_EVENT_INPUT_ENDED) > 0;
    if (!m->in_ended || m->in.frames || m->tail_left)
        return;
    m->draining |= m->adapted ? !l->plan.out || under_way < host : !m->block_ran;
}

/* Returns how many frames have left for the device. */
static uint64_t check_output(struct takt_lab *l, const struct takt_cycle *c, uint64_t under_way)
{
    struct takt_lab_model *m = &l->model;
    enum takt_lab_side out = l->plan.out;
    uint64_t due = frames_due(l, under_way, c->frames);
    if (out == TAKT_LAB_OWN) {
        check_own_output(l, c, due);
    } else if (out == TAKT_LAB_FILE) {
        deliver(l, NULL, 0, due);
    } else if (out == TAKT_LAB_DRIVEN && m->away) {
        m->out_port_due += m->aborting && !due ? c->frames : c->frames;
        deliver(l, NULL, 0, due);
    } else if (m->written != due) {
        takt_lab_break(l, "the sink was given %u frames of %llu", m->written, (ull)due);
    }
    if (m->aborting)
        takt_lab_queue_clear(&m->out);
    return due;
}

/* Is the last frame out of the converter? */
static bool is_over(const struct takt_lab *l)
{
    const struct takt_lab_model *m = &l->model;
    if (m->aborting)
        return true;
    return m->draining && !m->out.frames && l->device.position - m->heard_from >= m->heard_frames;
}

static void check_end_of_stream(struct takt_lab *l, bool more)
{
    struct takt_lab_model *m = &l->model;
    bool over = is_over(l);
    if (over && more)
        takt_lab_break(l, "the stream goes on behind its end");
    if (!over && !more)
        takt_lab_break(l, "the stream ended before its last frame was heard: %llu are under way",
                       (ull)m->out.frames);
    if (m->finished == more)
        takt_lab_break(l, "finished was %s", more ? "called too early" : "not called");
    if (!more)
        m->events[TAKT_EVENT_FINISHED]++;
}

static void check_position(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    uint64_t position = takt_stream_position(l->stream);
    if (position < m->shown)
        takt_lab_break(l, "position went back from %llu to %llu", (ull)m->shown, (ull)position);
    if (position != m->last_frame)
        takt_lab_break(l, "position is %llu, and %llu frames are through", (ull)position,
                       (ull)m->last_frame);
    if (l->plan.length_frames && position > l->plan.length_frames)
        takt_lab_break(l, "position %llu is behind the end at %llu", (ull)position,
                       (ull)l->plan.length_frames);
    m->shown = position;
}

static void check_ports(struct takt_lab *l)
{
    const struct takt_lab_model *m = &l->model;
    if (m->read_is_due)
        takt_lab_break(l, "the source was not read");
    if (m->in_port_lost != m->in_port_due)
        takt_lab_break(l, "the source was told of %llu lost frames, not of %llu",
                       (ull)m->in_port_lost, (ull)m->in_port_due);
    if (m->out_port_lost != m->out_port_due)
        takt_lab_break(l, "the sink was told of %llu lost frames, not of %llu",
                       (ull)m->out_port_lost, (ull)m->out_port_due);
    bool goes_on = !m->draining && !m->aborting && !m->in_ended;
    if (m->adapted && l->plan.in && goes_on && m->in.frames >= l->plan.block_frames)
        takt_lab_break(l, "%llu frames of input wait for a block of %u", (ull)m->in.frames,
                       l->plan.block_frames);
    if (m->in.overran || m->out.overran || m->log.overran)
        takt_lab_break(l, "the simulation's own queue ran over");
}

void takt_lab_check_after(struct takt_lab *l, const struct takt_cycle *c, bool more)
{
    struct takt_lab_model *m = &l->model;
    if (takt_lab_is_broken(l))
        return;
    uint64_t under_way = m->wrote ? m->under_way : m->out.frames;
    end_with_source(l, under_way, c->frames);
    uint64_t left = l->plan.out ? check_output(l, c, under_way) : 0;
    if (left && (l->plan.out == TAKT_LAB_OWN || l->plan.out == TAKT_LAB_DRIVEN)) {
        m->heard_from = l->device.position;
        m->heard_frames = l->plan.latency_out + c->frames;
    }
    check_ports(l);
    check_end_of_stream(l, more);
    check_position(l);
    takt_lab_check_records(l, more);
    m->cycle = NULL;
}

void takt_lab_finished(uint64_t last_frame, void *arg)
{
    struct takt_lab *l = arg;
    if (takt_lab_is_broken(l))
        return;
    if (l->model.finished)
        takt_lab_break(l, "finished was called twice");
    if (last_frame != l->model.last_frame)
        takt_lab_break(l, "finished at frame %llu, not at %llu", (ull)last_frame,
                       (ull)l->model.last_frame);
    l->model.finished = true;
}
