/*
 * After each step: what the stream says of itself. States, events, misses, memory.
 */
#include "lab/lab.h"

#include "rt/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

enum { LOOK_STEPS = 256 }; /* between two looks at what costs more than a step */
enum { HEAP_SLACK = 65536 };

/* ---- States -----------------------------------------------------------------------------------
 */

/* docs/ARCHITECTURE.md has the table; a step may make two moves. */
static void check_state(struct takt_lab *l, bool more)
{
    struct takt_lab_model *m = &l->model;
    enum takt_state state = takt_stream_state(l->stream);
    enum takt_state expected = m->aborting   ? TAKT_STATE_STOPPED
                               : m->draining ? (more ? TAKT_STATE_DRAINING : TAKT_STATE_STOPPED)
                               : l->order == TAKT_ORDER_DRAIN ? TAKT_STATE_DRAINING
                               : m->away                      ? TAKT_STATE_LOST
                                                              : TAKT_STATE_RUNNING;
    if (state != expected)
        takt_lab_break(l, "the stream is %s, not %s", takt_state_name(state),
                       takt_state_name(expected));
    m->state = state;
}

/* ---- Events -----------------------------------------------------------------------------------
 */

static void take_event(struct takt_lab *l, const struct takt_event *ev)
{
    struct takt_lab_model *m = &l->model;
    if (ev->position < m->event_position || ev->time_ns < m->event_ns)
        takt_lab_break(l, "event %s goes back in time", takt_event_name(ev->type));
    if ((unsigned)ev->type >= TAKT_EVENT_TYPES)
        takt_lab_break(l, "an event of no type: %d", (int)ev->type);
    else
        m->events_seen[ev->type]++;
    if (ev->type == TAKT_EVENT_SINK_LOST)
        m->told_lost += (uint64_t)ev->value;
    if (m->events_seen[TAKT_EVENT_FINISHED] && ev->type != TAKT_EVENT_FINISHED)
        takt_lab_break(l, "event %s behind the end", takt_event_name(ev->type));
    m->event_position = ev->position;
    m->event_ns = ev->time_ns;
}

static void check_events(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    struct takt_event ev;
    uint64_t counts[TAKT_EVENT_TYPES], seen = 0, all = 0;
    for (int t = 1; t < TAKT_EVENT_TYPES; t++) {
        all += counts[t] = takt_stream_event_count(l->stream, (enum takt_event_type)t);
        seen += m->events_seen[t];
    }
    while (l->plan.takes_events && seen < all && takt_stream_next_event(l->stream, &ev) > 0)
        take_event(l, &ev);
    for (int t = 1; t < TAKT_EVENT_TYPES; t++) {
        enum takt_event_type type = (enum takt_event_type)t;
        uint64_t count = counts[t];
        bool is_known = type != TAKT_EVENT_LOG && type != TAKT_EVENT_SINK_FAILED &&
                        (type != TAKT_EVENT_SINK_LOST || !l->plan.odds[TAKT_FAULT_DISK_SLOW]) &&
                        (type != TAKT_EVENT_INPUT_ENDED || l->plan.in != TAKT_LAB_FILE) &&
                        ((type != TAKT_EVENT_DEVICE_LOST && type != TAKT_EVENT_DEVICE_BACK) ||
                         l->plan.in != TAKT_LAB_OTHER);
        if (is_known && count != m->events[t])
            takt_lab_break(l, "%llu events %s, and %llu times it was so", (ull)count,
                           takt_event_name(type), (ull)m->events[t]);
        if (l->plan.takes_events && m->events_seen[t] != count)
            takt_lab_break(l, "%llu of %llu events %s came", (ull)m->events_seen[t], (ull)count,
                           takt_event_name(type));
    }
}

/* Nobody took any: what says how it ended must be there all the same. */
static void check_piled_events(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    struct takt_event ev;
    uint64_t rare = 0;
    for (int t = 1; t < TAKT_EVENT_TYPES; t++)
        rare += t != TAKT_EVENT_XRUN && t != TAKT_EVENT_LOG ? m->events[t] : 0;
    while (takt_stream_next_event(l->stream, &ev) > 0)
        take_event(l, &ev);
    if (rare <= 60 && !m->events_seen[TAKT_EVENT_FINISHED])
        takt_lab_break(l, "a flood of events kept out the end");
}

/* ---- Misses -----------------------------------------------------------------------------------
 */

void takt_lab_check_clock(struct takt_lab *l, int64_t now_ns)
{
    struct takt_lab_model *m = &l->model;
    static const uint32_t shortfalls = 1u << TAKT_MISS_STARVED | 1u << TAKT_MISS_WORKER_FULL;
    if (takt_lab_is_broken(l) || !m->cycle || !m->block.is_open)
        return;
    m->block.is_open = false;
    if (!(m->cycle->flags & TAKT_FREEWHEEL)) {
        const struct takt_lab_plan *p = &l->plan;
        int64_t slack = m->block.deadline_ns - now_ns;
        bool lost = m->reasons & 1u << TAKT_MISS_HOST_XRUN;
        bool unsure = p->in == TAKT_LAB_OTHER || p->in == TAKT_LAB_FILE || p->out == TAKT_LAB_FILE;
        bool must = slack < 0 || m->reasons & shortfalls || (lost && m->last_slack_ns >= 0);
        m->reasons |= (uint32_t)m->is_late << TAKT_MISS_LATE_WAKE;
        if (slack < 0)
            m->reasons |= 1u << TAKT_MISS_OVERRAN;
        if (m->last_slack_ns < 0)
            m->reasons |= m->reasons_before;
        m->misses += must;
        m->misses_may += !must && (lost || unsure);
        m->new_miss |= must;
        m->new_miss_may |= !must && (lost || unsure);
        if (must) {
            m->new_reasons = m->reasons | (unsure ? shortfalls : 0);
            m->new_slack_ns = slack;
            m->new_position = m->last_frame;
        }
        m->reasons_before = m->reasons;
        m->last_slack_ns = slack;
        m->recorded++;
        m->recorded_frames += m->block_frames;
        m->recorded_lost += m->block_lost;
        l->report->misses += must;
    }
    m->reasons = 0;
}

static bool is_same(const struct takt_miss *a, const struct takt_miss *b)
{
    return a->position == b->position && a->time_ns == b->time_ns && a->cause == b->cause &&
           a->slack_ns == b->slack_ns;
}

/* The newest record: a new one when there was a miss, and else the one of before. */
static void check_newest(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    struct takt_miss miss;
    memset(&miss, 0, sizeof miss);
    int kept = takt_contract_last_misses(takt_stream_contract(l->stream), &miss, 1);
    bool is_new = kept && (!m->misses_kept || !is_same(&miss, &m->last_miss));
    m->misses_kept = kept;
    m->last_miss = miss;
    if (m->new_miss && !is_new)
        takt_lab_break(l, "a miss that left no record, with %lld ns of slack",
                       (long long)m->new_slack_ns);
    if (is_new && !m->new_miss && !m->new_miss_may)
        takt_lab_break(l, "a record of a miss (%s), and nothing was missed",
                       takt_miss_name(miss.cause));
    if (!is_new || !m->new_miss || m->new_miss_may)
        return;
    if (miss.position > m->new_position)
        takt_lab_break(l, "a miss at %llu, and the block ended at %llu", (ull)miss.position,
                       (ull)m->new_position);
    if (miss.slack_ns == m->new_slack_ns && !(m->new_reasons & 1u << miss.cause))
        takt_lab_break(l, "a miss for the cause %s, which was not there",
                       takt_miss_name(miss.cause));
}

static void check_totals(struct takt_lab *l)
{
    const struct takt_lab_model *m = &l->model;
    struct takt_contract_snapshot s;
    takt_contract_read(takt_stream_contract(l->stream), &s);
    uint64_t sum = 0;
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        sum += s.misses[i];
    if (sum != s.misses_total)
        takt_lab_break(l, "%llu misses in all, and %llu by their causes", (ull)s.misses_total,
                       (ull)sum);
    if (s.misses_total < m->misses || s.misses_total > m->misses + m->misses_may)
        takt_lab_break(l, "%llu misses on record of %llu", (ull)s.misses_total, (ull)m->misses);
    if (s.blocks != m->recorded)
        takt_lab_break(l, "%llu blocks on record of %llu", (ull)s.blocks, (ull)m->recorded);
    if (s.frames != m->recorded_frames)
        takt_lab_break(l, "%llu frames on record of %llu", (ull)s.frames, (ull)m->recorded_frames);
    if (s.lost_frames != m->recorded_lost)
        takt_lab_break(l, "%llu lost frames on record of %llu", (ull)s.lost_frames,
                       (ull)m->recorded_lost);
}

/* ---- Memory -----------------------------------------------------------------------------------
 */

/* The heap may shrink a little while it runs, as the allocator sorts what was freed before; what
 * grows is taken by the stream. Its own memory stays as it is to the byte. */
static void check_memory(struct takt_lab *l, bool first)
{
    struct takt_lab_model *m = &l->model;
    struct mallinfo2 heap = mallinfo2();
    size_t bytes = heap.uordblks + heap.hblkhd, rt_bytes = takt_rt_alloc_bytes();
    if (first) {
        m->heap_bytes = bytes;
        m->rt_bytes = rt_bytes;
    }
    if (bytes > m->heap_bytes + HEAP_SLACK || rt_bytes != m->rt_bytes)
        takt_lab_break(l, "a running stream's memory went from %zu to %zu bytes",
                       m->heap_bytes + m->rt_bytes, bytes + rt_bytes);
}

/* ---- All of it --------------------------------------------------------------------------------
 */

void takt_lab_check_records(struct takt_lab *l, bool more)
{
    struct takt_lab_model *m = &l->model;
    check_state(l, more);
    check_events(l);
    bool looks = l->run_step % LOOK_STEPS == 0;
    if (!l->plan.contract_off) {
        if (m->block.is_open)
            takt_lab_break(l, "a block without a record");
        check_newest(l);
        if (looks)
            check_totals(l);
    }
    m->block_ran = m->new_miss = m->new_miss_may = false;
    if (looks)
        check_memory(l, l->run_step == 0);
}

void takt_lab_check_end(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    if (!l->plan.contract_off)
        check_totals(l);
    if (l->run_step > 1)
        check_memory(l, false);
    if (!l->plan.takes_events)
        check_piled_events(l);
    if (!m->aborting && m->out.frames)
        takt_lab_break(l, "%llu frames were never played", (ull)m->out.frames);
    l->report->lost_frames += m->lost;
    takt_lab_hash(l, m->last_frame);
}
