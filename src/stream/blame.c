/*
 * Faults are to blame only if they can have cost half of the excess; a major one waits for a disk.
 * The preemption flag alone blames too much (a kernel clears it for other reasons, too), so without
 * a guard, which knows for how long, the count of involuntary switches or the number of the CPU
 * must have changed as well.
 */
#include "stream/blame.h"

/* A thread that is still busy with the block before cannot be woken. */
static int64_t could_begin_ns(const struct takt_blame_block *b)
{
    return b->last_end_ns > b->due_ns ? b->last_end_ns : b->due_ns;
}

static bool woken_late(const struct takt_blame_block *b)
{
    return b->woken_ns - could_begin_ns(b) > b->late_wake_ns;
}

/* The time after the deadline that it would have had, had it begun when it could: what this block
 * alone has to answer for. Not above 0 where another held it up. */
static int64_t own_excess_ns(const struct takt_blame_block *b)
{
    return b->end_ns - could_begin_ns(b) - (b->deadline_ns - b->due_ns);
}

/* Did a block that missed its own deadline hold this one up, which took no longer than the time
 * that it had? Without the second, a callback that is always too slow would blame its first miss
 * for all that follow. */
static bool held_up(const struct takt_blame_block *b)
{
    return b->last_slack_ns < 0 && b->last_end_ns > b->due_ns && own_excess_ns(b) <= 0;
}

static bool is_half(int64_t part_ns, int64_t excess_ns)
{
    return part_ns > excess_ns / 2;
}

static bool faults_explain(const struct takt_blame_block *b, int64_t excess_ns)
{
    return b->kernel.major_faults ||
           is_half((int64_t)b->kernel.minor_faults * b->fault_ns, excess_ns);
}

/* With a guard it is known for how long each kept the block from being ready. Asleep without a call
 * that was seen is a call that cannot be seen here, or a fault that waited for a disk. */
static enum takt_miss_cause cause_seen(const struct takt_blame_block *b, int64_t excess_ns)
{
    const struct takt_evidence *seen = b->seen;
    if (is_half(seen->call_ns, excess_ns))
        return TAKT_MISS_BLOCKING_CALL;
    bool has_faulted = seen->faults || !seen->knows_kernel;
    bool has_slept = is_half(seen->blocked_ns, excess_ns);
    if (has_faulted && (faults_explain(b, excess_ns) || (seen->faults && has_slept)))
        return TAKT_MISS_PAGE_FAULT;
    if (has_slept)
        return TAKT_MISS_BLOCKING_CALL;
    return is_half(seen->preempted_ns, excess_ns) ? TAKT_MISS_PREEMPTED : TAKT_MISS_OVERRAN;
}

static enum takt_miss_cause cause_inside(const struct takt_blame_block *b)
{
    int64_t own_ns = own_excess_ns(b), excess_ns = own_ns > 0 ? own_ns : b->end_ns - b->deadline_ns;
    enum takt_miss_cause cause = b->seen ? cause_seen(b, excess_ns) : TAKT_MISS_OVERRAN;
    if (b->seen && (cause != TAKT_MISS_OVERRAN || b->seen->knows_kernel))
        return cause;
    if (faults_explain(b, excess_ns))
        return TAKT_MISS_PAGE_FAULT;
    bool was_off = b->preempted == 1 && (b->kernel.switches || b->has_moved);
    return was_off ? TAKT_MISS_PREEMPTED : TAKT_MISS_OVERRAN;
}

static struct takt_blame blame_delay(const struct takt_blame_block *b)
{
    if (held_up(b))
        return (struct takt_blame){.cause = b->last_cause, .is_inherited = true};
    if (woken_late(b))
        return (struct takt_blame){.cause = TAKT_MISS_LATE_WAKE, .is_open = true};
    enum takt_miss_cause cause = cause_inside(b);
    return (struct takt_blame){.cause = cause, .is_open = cause == TAKT_MISS_OVERRAN};
}

bool takt_blame(const struct takt_blame_block *b, struct takt_blame *out)
{
    if (b->end_ns > b->deadline_ns) {
        *out = blame_delay(b);
        return true;
    }
    if (b->flags & TAKT_CONTRACT_HOST_XRUN && b->last_slack_ns >= 0) {
        bool late = woken_late(b);
        *out = (struct takt_blame){.cause = late ? TAKT_MISS_LATE_WAKE : TAKT_MISS_HOST_XRUN,
                                   .is_open = late};
        return true;
    }
    if (!(b->flags & (TAKT_CONTRACT_STARVED | TAKT_CONTRACT_WORKER_FULL)))
        return false;
    bool starved = b->flags & TAKT_CONTRACT_STARVED;
    *out = (struct takt_blame){.cause = starved ? TAKT_MISS_STARVED : TAKT_MISS_WORKER_FULL};
    return true;
}

int64_t takt_blame_stolen_ns(const struct takt_miss *m)
{
    int64_t excess_ns = m->slack_ns < 0 ? -m->slack_ns : m->lateness_ns;
    return excess_ns / 2 + 1;
}
