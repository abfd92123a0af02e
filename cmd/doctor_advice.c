/* Findings, advice, and the order of the advice. Arithmetic alone. */
#include "doctor.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const doctor_rule =
    "effect = severity (minor 1, notable 3, serious 9) x what the measurement shows (1 nothing, 2 "
    "late wake-ups that it may explain, 3 its own counter rose)";

const char *doctor_verdict_name(enum doctor_verdict v)
{
    static const char *const names[] = {"note", "good", "unknown", "minor", "notable", "serious"};
    return (unsigned)v < DOCTOR_VERDICTS ? names[v] : "unknown";
}

const char *doctor_seen_name(enum doctor_seen s)
{
    return s == DOCTOR_SEEN ? "seen" : s == DOCTOR_POSSIBLE ? "possible" : "not seen";
}

int doctor_effect(enum doctor_verdict severity, enum doctor_seen seen)
{
    int weight = severity == DOCTOR_SERIOUS ? 9 : severity == DOCTOR_NOTABLE ? 3 : 1;
    return weight * (int)seen;
}

/* ---- What the measurement says ----------------------------------------------------------------
 */

double doctor_block_ms(uint32_t frames)
{
    return frames * 1e3 / DOCTOR_RATE_HZ;
}

uint64_t doctor_latest_ns(const struct doctor *d)
{
    uint64_t latest = 0;
    for (int i = 0; i < d->measured.size_count; i++)
        if (d->measured.sizes[i].lateness_ns_max > latest)
            latest = d->measured.sizes[i].lateness_ns_max;
    return latest;
}

bool doctor_was_late(const struct doctor *d)
{
    const struct doctor_measured *m = &d->measured;
    return m->size_count &&
           (double)doctor_latest_ns(d) > doctor_block_ms(m->sizes[0].block_frames) * 1e6 / 2;
}

int64_t doctor_rise(int64_t before, int64_t after)
{
    return before < 0 || after < before ? -1 : after - before;
}

double doctor_steal(const struct doctor *d)
{
    const struct doctor_measured *m = &d->measured;
    int64_t all = doctor_rise(m->before.ticks, m->after.ticks);
    int64_t stolen = doctor_rise(m->before.ticks_stolen, m->after.ticks_stolen);
    return all > 0 && stolen >= 0 ? (double)stolen / (double)all : (double)NAN;
}

double doctor_waited(const struct doctor *d)
{
    const struct doctor_measured *m = &d->measured;
    int64_t us = doctor_rise(m->before.waited_us, m->after.waited_us);
    return us >= 0 && m->took_ns > 0 ? (double)us * 1e3 / (double)m->took_ns : (double)NAN;
}

/* ---- Findings and advice ----------------------------------------------------------------------
 */

void doctor_find(struct doctor *d, const char *group, const char *id, const char *name,
                 enum doctor_verdict verdict, const char *wanted, const char *is, ...)
{
    if (d->finding_count == DOCTOR_FINDINGS_MAX)
        return;
    struct doctor_finding *f = &d->findings[d->finding_count++];
    *f = (struct doctor_finding){.group = group, .id = id, .name = name, .verdict = verdict};
    snprintf(f->wanted, sizeof f->wanted, "%s", wanted);
    va_list args;
    va_start(args, is);
    vsnprintf(f->is, sizeof f->is, is, args);
    va_end(args);
}

void doctor_unknown(struct doctor *d, const char *group, const char *id, const char *name)
{
    doctor_find(d, group, id, name, DOCTOR_UNKNOWN, "", "not readable");
}

struct doctor_advice *doctor_advise(struct doctor *d, const char *id, enum doctor_verdict severity,
                                    int64_t counter, const char *what, ...)
{
    if (d->advice_count == DOCTOR_ADVICE_MAX)
        d->advice_count--; /* there are fewer kinds than that */
    struct doctor_advice *a = &d->advice[d->advice_count++];
    *a = (struct doctor_advice){.id = id, .severity = severity};
    a->seen = counter > 0                         ? DOCTOR_SEEN
              : counter < 0 && doctor_was_late(d) ? DOCTOR_POSSIBLE
                                                  : DOCTOR_NOT_SEEN;
    a->effect = doctor_effect(severity, a->seen);
    va_list args;
    va_start(args, what);
    vsnprintf(a->what, sizeof a->what, what, args);
    va_end(args);
    return a;
}

void doctor_because(const struct doctor *d, struct doctor_advice *a, const char *why, ...)
{
    va_list args;
    va_start(args, why);
    vsnprintf(a->why, sizeof a->why, why, args);
    va_end(args);
    size_t used = strlen(a->why);
    if (d->measured.size_count)
        snprintf(a->why + used, sizeof a->why - used, "; wake-ups came up to %.2f ms late",
                 (double)doctor_latest_ns(d) / 1e6);
}

static int by_effect(const void *first, const void *second)
{
    const struct doctor_advice *a = first, *b = second;
    if (a->effect != b->effect)
        return a->effect < b->effect ? 1 : -1;
    if (a->severity != b->severity)
        return a->severity < b->severity ? 1 : -1;
    return 0;
}

/* Keeps the order of what is equal, which qsort need not do. */
static void order(struct doctor_advice *all, int count)
{
    for (int i = 1; i < count; i++) {
        struct doctor_advice one = all[i];
        int at = i;
        for (; at > 0 && by_effect(&all[at - 1], &one) > 0; at--)
            all[at] = all[at - 1];
        all[at] = one;
    }
}

void doctor_judge(struct doctor *d)
{
    d->finding_count = d->advice_count = 0;
    doctor_blocks_judge(d);
    doctor_rights_judge(d);
    doctor_cpu_judge(d);
    doctor_kernel_judge(d);
    doctor_irq_judge(d);
    doctor_sound_judge(d);
    order(d->advice, d->advice_count);
}
