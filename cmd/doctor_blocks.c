/* What the measurement says of itself: which block sizes hold here, and what was taken away. */
#include "doctor.h"

#include <math.h>
#include <stdio.h>

/* The sizes as takt bench would choose among them. */
static void choose(struct doctor *d)
{
    struct odds_choice choices[BLOCKS_MAX];
    struct doctor_measured *m = &d->measured;
    for (int i = 0; i < m->size_count; i++) {
        struct doctor_size *s = &m->sizes[i];
        double block_ns = doctor_block_ms(s->block_frames) * 1e6;
        double slack = s->blocks ? (double)s->slack_ns_min / block_ns : (double)NAN;
        s->verdict = odds_judge(&(struct odds_seen){
            .misses = s->misses_total, .seconds = s->seconds, .slack_least = slack});
        choices[i] = (struct odds_choice){.verdict = s->verdict,
                                          .latency_frames = s->block_frames,
                                          .misses = s->misses_total,
                                          .seconds = s->seconds,
                                          .slack_least = slack};
    }
    d->best = odds_choose(choices, m->size_count, &d->best_is_safe);
}

static void advise_larger(struct doctor *d)
{
    const struct doctor_size *smallest = &d->measured.sizes[0];
    const struct doctor_size *last = &d->measured.sizes[d->measured.size_count - 1];
    uint64_t misses = 0;
    for (int i = 0; i < d->measured.size_count; i++)
        misses += d->measured.sizes[i].misses_total;
    struct doctor_advice *a;
    if (d->best_is_safe && d->best == 0)
        return;
    if (d->best_is_safe) {
        const struct doctor_size *best = &d->measured.sizes[d->best];
        a = doctor_advise(d, "block", misses ? DOCTOR_NOTABLE : DOCTOR_MINOR,
                          misses ? (int64_t)misses : -1,
                          "until the rest is in order, use blocks of %u frames (%.2f ms) or more",
                          best->block_frames, doctor_block_ms(best->block_frames));
    } else {
        a = doctor_advise(d, "block", misses ? DOCTOR_SERIOUS : DOCTOR_NOTABLE,
                          misses ? (int64_t)misses : -1,
                          "until the rest is in order, use blocks of more than %u frames (%.2f ms)",
                          last->block_frames, doctor_block_ms(last->block_frames));
    }
    if (smallest->misses_total)
        doctor_because(d, a, "blocks of %u missed %llu of %llu deadlines", smallest->block_frames,
                       (unsigned long long)smallest->misses_total,
                       (unsigned long long)smallest->blocks);
    else if (misses)
        doctor_because(d, a, "%llu deadlines were missed, at larger sizes than %u",
                       (unsigned long long)misses, smallest->block_frames);
    else
        doctor_because(d, a, "a block of %u was ready with only %.2f ms left",
                       smallest->block_frames, (double)smallest->slack_ns_min / 1e6);
}

static void judge_steal(struct doctor *d)
{
    double steal = doctor_steal(d);
    if (!isfinite(steal)) {
        doctor_unknown(d, "measured", "steal", "stolen CPU time");
        return;
    }
    bool may_explain = steal > 0 && doctor_was_late(d);
    enum doctor_verdict v = steal >= 0.01                   ? DOCTOR_SERIOUS
                            : steal >= 0.001 || may_explain ? DOCTOR_NOTABLE
                                                            : DOCTOR_GOOD;
    doctor_find(d, "measured", "steal", "stolen CPU time", v, "none", "%.2f %%", 100 * steal);
    if (v != DOCTOR_GOOD)
        doctor_because(d,
                       doctor_advise(d, "steal", v, 1,
                                     "give the virtual machine CPUs of its own on its host, or "
                                     "let sound run on a machine of its own"),
                       "its host took %.2f %% of the CPU time away", 100 * steal);
}

void doctor_blocks_judge(struct doctor *d)
{
    const struct doctor_measured *m = &d->measured;
    d->best = -1;
    d->best_is_safe = false;
    if (!m->size_count)
        return;
    choose(d);
    judge_steal(d);
    doctor_find(d, "measured", "switches", "preempted", m->switches ? DOCTOR_NOTE : DOCTOR_GOOD,
                "never", "%lld times", (long long)m->switches);
    doctor_find(d, "measured", "faults", "page faults", m->faults_major ? DOCTOR_NOTE : DOCTOR_GOOD,
                "no major ones", "%lld major, %lld minor", (long long)m->faults_major,
                (long long)m->faults_minor);
    advise_larger(d);
}
