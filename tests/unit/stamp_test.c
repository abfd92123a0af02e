/*
 * Stamps of one clock on the other, while somebody sets the wall clock.
 */
#include "base/random.h"
#include "io/stamp.h"
#include "tap.h"

enum { MS = 1000000, NOISE_NS = 300 };

/* A machine: its time, its wall clock, and a socket with the stamps that wait in it. */
struct machine {
    struct takt_random random;
    struct takt_stamp_clock clock;
    int64_t now_ns, wall_ns; /* the wall clock is so far ahead */
    int64_t stamp_ns[64], arrival_ns[64];
    uint32_t waiting;
};

static struct machine boot(uint64_t seed)
{
    return (struct machine){.random = takt_random_seed(seed),
                            .now_ns = 5000 * (int64_t)MS,
                            .wall_ns = 1700000000ll * 1000 * MS};
}

static int64_t any_of(struct machine *m, int64_t n)
{
    return (int64_t)(takt_random_u64(&m->random) % (uint64_t)n);
}

static void pass(struct machine *m, int64_t ns)
{
    m->now_ns += ns;
}

static void arrive(struct machine *m)
{
    m->stamp_ns[m->waiting] = m->now_ns + m->wall_ns;
    m->arrival_ns[m->waiting++] = m->now_ns;
}

/* Readings take some time, and now and then something comes between: then they are taken again. */
static void measure(struct machine *m)
{
    int64_t before_ns;
    int tries = 0;
    do {
        before_ns = m->now_ns;
        pass(m, 10 + any_of(m, NOISE_NS));
        int64_t real_ns = m->now_ns + m->wall_ns;
        pass(m, 10 + any_of(m, NOISE_NS));
        if (tries == 0 && any_of(m, 20) == 0)
            pass(m, any_of(m, 5 * MS));
        takt_stamp_measure(&m->clock, before_ns, real_ns, m->now_ns);
    } while (m->now_ns - before_ns > 2 * NOISE_NS + 20 && ++tries < 3);
}

/* Reads `count` of what waits; returns the largest error, or -1 when one lies in the future. */
static int64_t take(struct machine *m, uint32_t count)
{
    int64_t most_ns = 0;
    measure(m);
    for (uint32_t i = 0; i < count; i++) {
        int64_t at_ns = takt_stamp_convert(&m->clock, m->stamp_ns[i], m->now_ns);
        int64_t off_ns = llabs(at_ns - m->arrival_ns[i]);
        if (at_ns > m->now_ns)
            return -1;
        most_ns = off_ns > most_ns ? off_ns : most_ns;
    }
    m->waiting -= count;
    memmove(m->stamp_ns, m->stamp_ns + count, m->waiting * sizeof *m->stamp_ns);
    memmove(m->arrival_ns, m->arrival_ns + count, m->waiting * sizeof *m->arrival_ns);
    if (m->waiting == 0)
        takt_stamp_drained(&m->clock);
    return most_ns;
}

static void stamp_is_exact_while_nobody_sets_the_clock(void)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct machine m = boot(seed);
        for (int i = 0; i < 2000; i++) {
            arrive(&m);
            pass(&m, any_of(&m, 3000 * (int64_t)MS));
            int64_t off_ns = take(&m, 1);
            CHECK(off_ns >= 0 && off_ns <= NOISE_NS + 10);
            CHECK(i < 100 || off_ns <= 40);
        }
        CHECK_INT(m.clock.steps, 0);
    }
}

/* The clock is set while packets wait that came before and after it, by more than they wait. */
static void stamp_is_right_on_both_sides_of_a_step(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct machine m = boot(seed);
        for (int i = 0; i < 40; i++) {
            int64_t sign = any_of(&m, 2) ? 1 : -1;
            int before = (int)any_of(&m, 20), after = (int)any_of(&m, 20);
            measure(&m);
            for (int k = 0; k < before; k++, pass(&m, any_of(&m, MS)))
                arrive(&m);
            m.wall_ns += sign * (200 + any_of(&m, 1000000)) * MS;
            for (int k = 0; k < after; k++, pass(&m, any_of(&m, MS)))
                arrive(&m);
            while (m.waiting > 0) { /* in more than one batch */
                int64_t off_ns = take(&m, 1 + (uint32_t)any_of(&m, m.waiting));
                CHECK(off_ns >= 0 && off_ns <= NOISE_NS + 10);
            }
            measure(&m);
            takt_stamp_drained(&m.clock);
            CHECK_INT(m.clock.steps, i + 1);
        }
    }
}

/* By whatever it is set and however long packets wait: no stamp lies in the future, none is off by
 * more than the step, and all is well again when the socket was empty. */
static void stamp_is_never_off_by_more_than_the_step(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct machine m = boot(seed);
        for (int i = 0; i < 40; i++) {
            int64_t step_ns = any_of(&m, 2000 * (int64_t)MS) - 1000 * (int64_t)MS;
            measure(&m);
            for (int k = 0; k < 20; k++, pass(&m, any_of(&m, 100 * MS))) {
                arrive(&m);
                m.wall_ns += k == 10 ? step_ns : 0;
            }
            while (m.waiting > 0) {
                int64_t off_ns = take(&m, 1 + (uint32_t)any_of(&m, m.waiting));
                CHECK(off_ns >= 0 && off_ns <= llabs(step_ns) + NOISE_NS + 20);
            }
            arrive(&m);
            int64_t off_ns = take(&m, 1);
            CHECK(off_ns >= 0 && off_ns <= NOISE_NS + 10);
        }
    }
}

/* Clocks whose readings do not agree to the nanosecond do not seem to be set all the time. */
static void stamp_follows_small_changes_without_a_step(void)
{
    struct machine m = boot(3);
    for (int i = 0; i < 10000; i++) {
        m.wall_ns += any_of(&m, 401) - 200;
        arrive(&m);
        int64_t off_ns = take(&m, 1);
        CHECK(off_ns >= 0 && off_ns <= 1000);
    }
    CHECK_INT(m.clock.steps, 0);
}

/* Once the socket was empty the old difference is out of play, also for what then waits longer than
 * the clock was set by. */
static void stamp_forgets_a_step_when_the_socket_was_empty(void)
{
    struct machine m = boot(4);
    measure(&m);
    m.wall_ns += 5 * MS;
    measure(&m);
    takt_stamp_drained(&m.clock);
    arrive(&m);
    pass(&m, 100 * MS);
    int64_t off_ns = take(&m, 1);
    CHECK(off_ns >= 0 && off_ns <= NOISE_NS + 10);
    CHECK_INT(m.clock.steps, 1);
}

/* A packet from after a step that no measurement has seen yet. */
static void stamp_is_never_in_the_future(void)
{
    struct machine m = boot(5);
    measure(&m);
    m.wall_ns += 1000 * (int64_t)MS;
    arrive(&m);
    CHECK_INT(takt_stamp_convert(&m.clock, m.stamp_ns[0], m.now_ns), m.now_ns);
}

int main(void)
{
    RUN(stamp_is_exact_while_nobody_sets_the_clock);
    RUN(stamp_is_right_on_both_sides_of_a_step);
    RUN(stamp_is_never_off_by_more_than_the_step);
    RUN(stamp_forgets_a_step_when_the_socket_was_empty);
    RUN(stamp_is_never_in_the_future);
    RUN(stamp_follows_small_changes_without_a_step);
    return tap_done();
}
