/*
 * A circle of slots, packet seq in slot seq mod size. A slot also remembers what became of its
 * packet, so that one that comes late is told from one that comes twice for as long as the circle
 * is.
 *
 * Invariants: next <= newest + 1 <= next + size; a packet waits only from next to newest; each slot
 * from next - size, but not before `first`, to next - 1 has its packet's fate.
 */
#include "net/jitter.h"

#include "base/assert.h"
#include "base/touched.h"
#include "takt/error.h"

#include <stdlib.h>
#include <string.h>

enum fate { FATE_NONE, FATE_WAITS, FATE_OVER, FATE_LOST };

struct slot {
    struct takt_jitter_packet p;
    enum fate fate;
};

struct takt_jitter {
    struct slot *slots;
    uint8_t *payloads;
    uint32_t size, bytes;
    int64_t first, next, newest;
    struct takt_jitter_counts counts;
};

int takt_jitter_create(uint32_t packets, uint32_t bytes, struct takt_jitter **out)
{
    *out = NULL;
    if (packets < 2 || packets > TAKT_JITTER_PACKETS_MAX || (packets & (packets - 1)) || !bytes ||
        bytes > UINT16_MAX)
        return TAKT_ERR_ARG;
    struct takt_jitter *j = calloc(1, sizeof *j);
    if (!j)
        return TAKT_ERR_NOMEM;
    j->size = packets;
    j->bytes = bytes;
    j->slots = takt_calloc_touched(packets, sizeof *j->slots);
    j->payloads = takt_calloc_touched(packets, bytes);
    if (!j->slots || !j->payloads) {
        takt_jitter_destroy(j);
        return TAKT_ERR_NOMEM;
    }
    takt_jitter_restart(j, 0);
    *out = j;
    return TAKT_OK;
}

void takt_jitter_destroy(struct takt_jitter *j)
{
    if (!j)
        return;
    free(j->payloads);
    free(j->slots);
    free(j);
}

static struct slot *slot_of(const struct takt_jitter *j, int64_t seq)
{
    return &j->slots[(uint64_t)seq & (j->size - 1)];
}

static enum fate fate_of(const struct takt_jitter *j, int64_t seq)
{
    const struct slot *s = slot_of(j, seq);
    return s->p.seq == seq ? s->fate : FATE_NONE;
}

static void skip(struct takt_jitter *j, struct slot *s)
{
    s->fate = FATE_OVER;
    j->counts.skipped++;
    j->counts.waiting--;
}

void takt_jitter_restart(struct takt_jitter *j, int64_t seq)
{
    for (uint32_t i = 0; i < j->size; i++) {
        if (j->slots[i].fate == FATE_WAITS)
            skip(j, &j->slots[i]);
        j->slots[i].fate = FATE_NONE;
    }
    j->first = j->next = seq;
    j->newest = seq - 1;
}

/* Everything up to seq is over; what has not come is lost. */
static void pass(struct takt_jitter *j, int64_t seq)
{
    for (; j->next <= seq; j->next++) {
        struct slot *s = slot_of(j, j->next);
        enum fate fate = fate_of(j, j->next);
        if (fate == FATE_WAITS) {
            skip(j, s);
        } else if (fate == FATE_NONE) {
            s->p = (struct takt_jitter_packet){.seq = j->next};
            s->fate = FATE_LOST;
            j->counts.lost++;
        }
    }
    if (j->newest < j->next - 1)
        j->newest = j->next - 1;
}

/* One that is there already, or whose time is over. */
static bool put_known(struct takt_jitter *j, struct slot *s, const struct takt_jitter_packet *p)
{
    if (p->is_copy)
        return false;
    if (fate_of(j, p->seq) != FATE_NONE && s->p.is_copy) {
        s->p.is_copy = false; /* its copy was faster, and has been counted */
        return false;
    }
    j->counts.arrived++;
    if (fate_of(j, p->seq) == FATE_LOST) {
        j->counts.lost--;
        j->counts.late++;
        s->fate = FATE_OVER;
    } else if (fate_of(j, p->seq) == FATE_NONE && p->seq < j->first) {
        j->counts.late++;
    } else {
        j->counts.duplicated++;
    }
    return false;
}

bool takt_jitter_put(struct takt_jitter *j, const struct takt_jitter_packet *p, int64_t now)
{
    TAKT_ASSERT(p->bytes <= j->bytes && p->frames > 0);
    struct slot *s = slot_of(j, p->seq);
    if (p->seq < j->next || fate_of(j, p->seq) != FATE_NONE)
        return put_known(j, s, p);
    if (p->seq - j->next >= j->size)
        pass(j, p->seq - j->size);
    bool is_over = p->at + p->frames <= now;
    if (is_over && p->is_copy)
        return false;
    j->newest = p->seq > j->newest ? p->seq : j->newest;
    j->counts.arrived++;
    uint8_t *to = j->payloads + ((uint64_t)p->seq & (j->size - 1)) * j->bytes;
    s->p = *p;
    s->p.payload = to;
    if (is_over) {
        j->counts.late++;
        s->fate = FATE_OVER;
        return false;
    }
    memcpy(to, p->payload, p->bytes);
    s->fate = FATE_WAITS;
    j->counts.waiting++;
    j->counts.repaired += p->is_copy;
    return true;
}

const struct takt_jitter_packet *takt_jitter_find(struct takt_jitter *j, int64_t now)
{
    const struct takt_jitter_packet *first = NULL;
    while (j->next <= j->newest && fate_of(j, j->next) == FATE_OVER)
        j->next++;
    const struct slot *last = slot_of(j, j->newest);
    if (!j->counts.waiting && j->next <= j->newest && fate_of(j, j->newest) == FATE_OVER &&
        last->p.at + last->p.frames <= now)
        pass(j, j->newest); /* none that would be played comes behind those that are missing */
    for (int64_t seq = j->next; j->counts.waiting && seq <= j->newest; seq++) {
        struct slot *s = slot_of(j, seq);
        if (fate_of(j, seq) != FATE_WAITS)
            continue;
        if (s->p.at + s->p.frames <= now)
            skip(j, s);
        else if (!first || s->p.at < first->at)
            first = &s->p;
    }
    return first;
}

void takt_jitter_take(struct takt_jitter *j, const struct takt_jitter_packet *p, bool is_used)
{
    struct slot *s = slot_of(j, p->seq);
    TAKT_ASSERT(&s->p == p && s->fate == FATE_WAITS);
    s->fate = FATE_OVER;
    j->counts.waiting--;
    j->counts.played += is_used;
    j->counts.skipped += !is_used;
    pass(j, p->seq);
}

int64_t takt_jitter_reach(const struct takt_jitter *j, int64_t now)
{
    for (int64_t seq = j->next; j->counts.waiting && seq <= j->newest; seq++) {
        const struct takt_jitter_packet *p = &slot_of(j, seq)->p;
        if (fate_of(j, seq) == FATE_WAITS && p->at <= now && p->at + p->frames > now)
            now = p->at + p->frames;
    }
    return now;
}

const struct takt_jitter_packet *takt_jitter_at(const struct takt_jitter *j, int64_t seq)
{
    return fate_of(j, seq) == FATE_WAITS ? &slot_of(j, seq)->p : NULL;
}

int64_t takt_jitter_next(const struct takt_jitter *j)
{
    return j->next;
}

struct takt_jitter_counts takt_jitter_counts(const struct takt_jitter *j)
{
    return j->counts;
}
