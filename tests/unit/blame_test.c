/* Whom a missed block is blamed on: each cause alone, each beside trouble that explains nothing,
 * and what no judgement may ever do, over any values. */
#include "base/random.h"
#include "stream/blame.h"
#include "tap.h"

#include <stdint.h>

static const int64_t due_ns = 5000000000, period_ns = 2000000, fault_ns = 8000;

/* A block in good order: woken on time, ready in half of its period. */
static struct takt_blame_block good(void)
{
    return (struct takt_blame_block){.due_ns = due_ns,
                                     .woken_ns = due_ns + 10000,
                                     .deadline_ns = due_ns + period_ns,
                                     .end_ns = due_ns + period_ns / 2,
                                     .late_wake_ns = period_ns / 2,
                                     .last_end_ns = due_ns - period_ns / 2,
                                     .last_slack_ns = period_ns / 2,
                                     .fault_ns = fault_ns};
}

static void a_block_in_time_has_no_cause(void)
{
    struct takt_blame none = {.cause = TAKT_MISS_CAUSES}, b = none;
    struct takt_evidence seen = {.call_ns = 900000, .preempted_ns = 900000, .calls = 3};
    struct takt_blame_block block = good();
    block.seen = &seen;
    block.preempted = 1;
    block.kernel = (struct takt_blame_kernel){1000, 10, 10};
    CHECK(!takt_blame(&block, &b));
    block.end_ns = block.deadline_ns; /* just */
    CHECK(!takt_blame(&block, &b));
    CHECK_INT((int)b.cause, TAKT_MISS_CAUSES);
    block.end_ns++;
    CHECK(takt_blame(&block, &b));
}

/* ---- One cause, and only it -------------------------------------------------------------------
 */

struct trial {
    struct takt_blame_block block;
    struct takt_evidence seen;
    int64_t excess_ns;
    enum takt_miss_cause expected;
};

static int64_t between(struct takt_random *r, int64_t from, int64_t to)
{
    return from + (int64_t)takt_random_below(r, (uint64_t)(to - from + 1));
}

/* What happens in any callback and is no reason: a few faults, a call that costs little, a flag
 * that the kernel cleared for another reason. None of it can have cost half of the excess. */
static void add_noise(struct takt_random *r, struct trial *t)
{
    int64_t little_ns = t->excess_ns / 2;
    struct takt_blame_block *b = &t->block;
    b->kernel.minor_faults = takt_random_below(r, (uint64_t)(little_ns / b->fault_ns) + 1);
    if (b->seen) {
        t->seen.call_ns = between(r, 0, little_ns);
        t->seen.calls = t->seen.call_ns > 0;
        t->seen.preempted_ns = between(r, 0, little_ns);
        t->seen.preemptions = t->seen.preempted_ns > 0;
        t->seen.blocked_ns = between(r, 0, little_ns);
        b->preempted = (int)takt_random_below(r, 3) - 1;
        b->kernel.switches = takt_random_below(r, 5);
        b->has_moved = takt_random_below(r, 2);
    } else if (takt_random_below(r, 2))
        b->preempted = 1; /* but no switch was counted */
    else
        b->kernel.switches = takt_random_below(r, 5); /* but not in this block */
}

static void overrun_by(struct trial *t, int64_t excess_ns)
{
    t->excess_ns = excess_ns;
    t->block.end_ns = t->block.deadline_ns + excess_ns;
}

/* More than half of the excess. */
static int64_t most_of(struct takt_random *r, int64_t excess_ns)
{
    return between(r, excess_ns / 2 + 1, 2 * excess_ns);
}

static void inject(struct takt_random *r, struct trial *t)
{
    struct takt_blame_block *b = &t->block;
    switch (t->expected) {
    case TAKT_MISS_OVERRAN:
        break;
    case TAKT_MISS_LATE_WAKE:
        b->woken_ns = b->due_ns + between(r, b->late_wake_ns + 1, period_ns + t->excess_ns);
        break;
    case TAKT_MISS_PREEMPTED:
        b->preempted = 1;
        b->kernel.switches += !b->seen && !b->has_moved;
        t->seen.preempted_ns = most_of(r, t->excess_ns);
        t->seen.preemptions++;
        break;
    case TAKT_MISS_PAGE_FAULT:
        b->kernel.minor_faults = (uint64_t)most_of(r, t->excess_ns) / b->fault_ns + 1;
        t->seen.faults = b->kernel.minor_faults;
        break;
    case TAKT_MISS_BLOCKING_CALL:
        t->seen.call_ns = most_of(r, t->excess_ns);
        t->seen.calls++;
        break;
    default:
        break;
    }
}

static struct trial trial_of(struct takt_random *r, enum takt_miss_cause cause)
{
    struct trial t = {.block = good(), .expected = cause};
    bool needs_guard = cause == TAKT_MISS_BLOCKING_CALL;
    overrun_by(&t, between(r, 1, 20000000));
    t.seen.knows_kernel = takt_random_below(r, 2);
    if (needs_guard || takt_random_below(r, 2))
        t.block.seen = &t.seen;
    add_noise(r, &t);
    inject(r, &t);
    /* Without the kernel's help a guard sees calls alone, and the flag decides as if there were
     * none: then it must not stand beside a count that would confirm it. */
    if (t.block.seen && !t.seen.knows_kernel) {
        t.seen.faults = 0;
        t.seen.preempted_ns = t.seen.blocked_ns = 0;
        t.block.preempted = cause == TAKT_MISS_PREEMPTED;
        t.block.has_moved = cause == TAKT_MISS_PREEMPTED;
    }
    return t;
}

static void each_cause_alone_is_named_whatever_little_else_there_was(void)
{
    static const enum takt_miss_cause causes[] = {TAKT_MISS_OVERRAN, TAKT_MISS_LATE_WAKE,
                                                  TAKT_MISS_PREEMPTED, TAKT_MISS_PAGE_FAULT,
                                                  TAKT_MISS_BLOCKING_CALL};
    enum { CAUSES = sizeof causes / sizeof *causes };
    struct takt_random r = takt_random_seed(41);
    for (int i = 0; i < 20000; i++) {
        struct trial t = trial_of(&r, causes[i % CAUSES]);
        if (t.block.seen)
            t.block.seen = &t.seen; /* not the one that was copied */
        struct takt_blame got;
        CHECK(takt_blame(&t.block, &got));
        CHECK_INT((int)got.cause, (int)t.expected);
        CHECK(!got.is_inherited);
    }
}

/* ---- Troubles that a block in time can have ---------------------------------------------------
 */

static void flags_are_blamed_in_a_block_in_time_only(void)
{
    static const struct {
        uint32_t flags;
        bool is_late, was_late; /* this block; the one before */
        int cause;              /* -1: none */
    } cases[] = {
        {TAKT_CONTRACT_HOST_XRUN, false, false, TAKT_MISS_HOST_XRUN},
        {TAKT_CONTRACT_HOST_XRUN, true, false, TAKT_MISS_OVERRAN},
        {TAKT_CONTRACT_HOST_XRUN, false, true, -1}, /* counted already */
        {TAKT_CONTRACT_STARVED, false, false, TAKT_MISS_STARVED},
        {TAKT_CONTRACT_STARVED, true, false, TAKT_MISS_OVERRAN},
        {TAKT_CONTRACT_STARVED | TAKT_CONTRACT_HOST_XRUN, false, true, TAKT_MISS_STARVED},
        {TAKT_CONTRACT_WORKER_FULL, false, false, TAKT_MISS_WORKER_FULL},
        {TAKT_CONTRACT_WORKER_FULL | TAKT_CONTRACT_STARVED, false, false, TAKT_MISS_STARVED},
        {TAKT_CONTRACT_WORKER_FULL, true, false, TAKT_MISS_OVERRAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct takt_blame_block b = good();
        struct takt_blame got = {.cause = TAKT_MISS_CAUSES};
        b.flags = cases[i].flags;
        b.end_ns = cases[i].is_late ? b.deadline_ns + 1000 : b.end_ns;
        b.last_slack_ns = cases[i].was_late ? -1 : 1;
        bool missed = takt_blame(&b, &got);
        CHECK_INT(missed, cases[i].cause >= 0);
        CHECK_INT((int)got.cause, missed ? cases[i].cause : TAKT_MISS_CAUSES);
        CHECK(missed || !got.is_open);
    }
}

static void a_host_that_lost_frames_while_we_slept_did_not_do_it_alone(void)
{
    struct takt_blame_block b = good();
    struct takt_blame got;
    b.flags = TAKT_CONTRACT_HOST_XRUN;
    b.woken_ns = b.due_ns + b.late_wake_ns + 1;
    CHECK(takt_blame(&b, &got));
    CHECK_INT((int)got.cause, TAKT_MISS_LATE_WAKE);
    CHECK(got.is_open);
}

/* ---- One block holds up the next --------------------------------------------------------------
 */

static void a_block_that_was_held_up_has_the_cause_of_the_one_before(void)
{
    for (int cause = 0; cause < TAKT_MISS_CAUSES; cause++) {
        struct takt_blame_block b = good();
        struct takt_blame got;
        b.last_slack_ns = -1;
        b.last_cause = (enum takt_miss_cause)cause;
        b.last_end_ns = b.due_ns + period_ns;
        b.woken_ns = b.last_end_ns;
        b.end_ns = b.last_end_ns + period_ns / 2;
        CHECK(takt_blame(&b, &got));
        CHECK_INT((int)got.cause, cause);
        CHECK(got.is_inherited && !got.is_open);
        b.end_ns = b.last_end_ns + period_ns; /* just not slow by itself */
        CHECK(takt_blame(&b, &got) && got.is_inherited);
        b.end_ns++;
        CHECK(takt_blame(&b, &got) && !got.is_inherited);
    }
}

static void a_callback_that_is_always_too_slow_is_always_to_blame_itself(void)
{
    struct takt_blame_block b = good();
    struct takt_blame got;
    int64_t now_ns = b.due_ns, work_ns = period_ns + 50000;
    for (int i = 0; i < 1000; i++) { /* it begins later and later, and was awake all the time */
        b.woken_ns = now_ns > b.due_ns ? now_ns : b.due_ns;
        b.deadline_ns = b.due_ns + period_ns;
        b.end_ns = b.woken_ns + work_ns;
        CHECK(takt_blame(&b, &got));
        CHECK_INT((int)got.cause, TAKT_MISS_OVERRAN);
        CHECK(!got.is_inherited);
        b.last_end_ns = now_ns = b.end_ns;
        b.last_slack_ns = b.deadline_ns - b.end_ns;
        b.last_cause = TAKT_MISS_PREEMPTED; /* it would show */
        b.due_ns += period_ns;
    }
}

/* ---- What the flag of the kernel is worth -----------------------------------------------------
 */

static void the_flag_alone_does_not_prove_a_preemption(void)
{
    struct takt_blame_block b = good();
    struct takt_blame got;
    b.end_ns = b.deadline_ns + 100000;
    b.preempted = 1;
    CHECK(takt_blame(&b, &got));
    CHECK_INT((int)got.cause, TAKT_MISS_OVERRAN);
    CHECK(got.is_open); /* nor does it clear the hypervisor */
    b.has_moved = true;
    CHECK(takt_blame(&b, &got));
    CHECK_INT((int)got.cause, TAKT_MISS_PREEMPTED);
    b.has_moved = false;
    b.kernel.switches = 1;
    CHECK(takt_blame(&b, &got));
    CHECK_INT((int)got.cause, TAKT_MISS_PREEMPTED);
    b.preempted = -1; /* it cannot be told: nobody is accused */
    CHECK(takt_blame(&b, &got));
    CHECK_INT((int)got.cause, TAKT_MISS_OVERRAN);
}

/* ---- Any values -------------------------------------------------------------------------------
 */

static int64_t any_time(struct takt_random *r)
{
    return due_ns + between(r, -3 * period_ns, 3 * period_ns);
}

static struct takt_blame_block any_block(struct takt_random *r, struct takt_evidence *seen)
{
    *seen = (struct takt_evidence){.call_ns = between(r, 0, period_ns),
                                   .preempted_ns = between(r, 0, period_ns),
                                   .blocked_ns = between(r, 0, period_ns),
                                   .calls = takt_random_below(r, 3),
                                   .faults = takt_random_below(r, 3),
                                   .preemptions = takt_random_below(r, 3),
                                   .knows_kernel = takt_random_below(r, 2)};
    return (struct takt_blame_block){
        .due_ns = any_time(r),
        .woken_ns = any_time(r),
        .deadline_ns = any_time(r),
        .end_ns = any_time(r),
        .late_wake_ns = between(r, 0, period_ns),
        .flags = (uint32_t)takt_random_below(r, 8),
        .last_end_ns = any_time(r),
        .last_slack_ns = between(r, -period_ns, period_ns),
        .last_cause = (enum takt_miss_cause)takt_random_below(r, TAKT_MISS_CAUSES),
        .kernel = {takt_random_below(r, 600), takt_random_below(r, 2), takt_random_below(r, 2)},
        .preempted = (int)takt_random_below(r, 3) - 1,
        .has_moved = takt_random_below(r, 2),
        .seen = takt_random_below(r, 2) ? seen : NULL};
}

/* Is there anything at all that speaks for this cause? */
static bool has_evidence(const struct takt_blame_block *b, enum takt_miss_cause cause)
{
    switch (cause) {
    case TAKT_MISS_OVERRAN:
        return b->end_ns > b->deadline_ns;
    case TAKT_MISS_LATE_WAKE:
        return b->woken_ns - b->due_ns > b->late_wake_ns;
    case TAKT_MISS_PREEMPTED:
        return b->preempted == 1 || (b->seen && b->seen->preempted_ns > 0);
    case TAKT_MISS_PAGE_FAULT:
        return b->kernel.minor_faults || b->kernel.major_faults || (b->seen && b->seen->faults);
    case TAKT_MISS_BLOCKING_CALL:
        return b->seen && (b->seen->call_ns > 0 || b->seen->blocked_ns > 0);
    case TAKT_MISS_HOST_XRUN:
        return b->flags & TAKT_CONTRACT_HOST_XRUN;
    case TAKT_MISS_STARVED:
        return b->flags & TAKT_CONTRACT_STARVED;
    case TAKT_MISS_WORKER_FULL:
        return b->flags & TAKT_CONTRACT_WORKER_FULL;
    default:
        return false; /* stolen is never the first word */
    }
}

static void nothing_is_blamed_without_evidence_and_no_late_block_goes_without_blame(void)
{
    struct takt_random r = takt_random_seed(7);
    for (int i = 0; i < ROUNDS(300000); i++) {
        struct takt_evidence seen;
        struct takt_blame_block b = any_block(&r, &seen);
        struct takt_blame got;
        bool is_late = b.end_ns > b.deadline_ns, missed = takt_blame(&b, &got);
        CHECK(missed || !is_late);
        if (!missed)
            continue;
        CHECK(is_late || b.flags);
        if (got.is_inherited)
            CHECK(b.last_slack_ns < 0 && got.cause == b.last_cause);
        else
            CHECK(has_evidence(&b, got.cause));
        CHECK(!got.is_open || got.cause == TAKT_MISS_LATE_WAKE || got.cause == TAKT_MISS_OVERRAN);
        CHECK(!(got.is_open && got.is_inherited));
    }
}

static void the_hypervisor_has_to_explain_more_than_half_of_the_excess(void)
{
    struct takt_miss m = {.slack_ns = -1000, .lateness_ns = 50};
    CHECK_INT(takt_blame_stolen_ns(&m), 501);
    m.slack_ns = 3000; /* in time, but the host lost frames: what it slept too long counts */
    m.lateness_ns = 9000;
    CHECK_INT(takt_blame_stolen_ns(&m), 4501);
}

int main(void)
{
    RUN(a_block_in_time_has_no_cause);
    RUN(each_cause_alone_is_named_whatever_little_else_there_was);
    RUN(flags_are_blamed_in_a_block_in_time_only);
    RUN(a_host_that_lost_frames_while_we_slept_did_not_do_it_alone);
    RUN(a_block_that_was_held_up_has_the_cause_of_the_one_before);
    RUN(a_callback_that_is_always_too_slow_is_always_to_blame_itself);
    RUN(the_flag_alone_does_not_prove_a_preemption);
    RUN(nothing_is_blamed_without_evidence_and_no_late_block_goes_without_blame);
    RUN(the_hypervisor_has_to_explain_more_than_half_of_the_excess);
    return tap_done();
}
