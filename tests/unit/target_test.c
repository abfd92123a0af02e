#include "base/random.h"
#include "fault.h"
#include "net/target.h"
#include "takt/error.h"
#include "tap.h"

#include <math.h>

enum { MS = 1000000, PACKETS_A_S = 200 };

static double exponential(struct takt_random *r, double mean)
{
    return -mean * log(1 - takt_random_unit(r));
}

static struct takt_target *open_target(struct takt_target_cfg cfg)
{
    struct takt_target *t;
    return takt_target_create(&cfg, &t) == TAKT_OK ? t : NULL;
}

static double delay_ms(const struct takt_target *t)
{
    return 1e-6 * (double)takt_target_delay_ns(t);
}

/* What some packets of 5 ms met, when the delay followed what was wished at once. */
struct run {
    double delay_ms, late;
};

/* So many packets of exponential jitter, of which a share is lost. */
static struct run run(struct takt_target *t, struct takt_random *r, int packets, double jitter_ms,
                      double lost)
{
    struct run sum = {0};
    int arrived = 0;
    for (int i = 0; i < packets; i++) {
        double late_ms = exponential(r, jitter_ms);
        if (takt_random_unit(r) < lost)
            continue;
        arrived++;
        sum.delay_ms += delay_ms(t);
        sum.late += late_ms > delay_ms(t);
        takt_target_update(t, (int64_t)(late_ms * MS), 5 * MS);
    }
    return (struct run){sum.delay_ms / arrived, sum.late / arrived};
}

/* For exponential jitter of mean m the cheapest delay is m ln(lambda / m), and costs m more. */
static void target_finds_the_cheapest_delay(void)
{
    for (uint64_t seed = 1; seed <= (uint64_t)ROUNDS(4); seed++)
        for (double jitter_ms = 1; jitter_ms < 20; jitter_ms *= 3) {
            struct takt_target *t = open_target((struct takt_target_cfg){0});
            struct takt_random r = takt_random_seed(seed);
            run(t, &r, 10 * PACKETS_A_S, jitter_ms, 0);
            struct run a = run(t, &r, 300 * PACKETS_A_S, jitter_ms, 0);
            double best_ms = jitter_ms * (log(2000 / jitter_ms) + 1);
            CHECK(a.delay_ms + 2000 * a.late < 1.12 * best_ms);
            takt_target_destroy(t);
        }
}

/* One packet that is 100 ms late is concealed, not chased: with packets of any length. */
static void target_ignores_a_spike(void)
{
    static const int64_t packets_ns[] = {MS / 3, MS, 5 * MS, 20 * MS};
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (int k = 0; k < 4; k++) {
            struct takt_target *t = open_target((struct takt_target_cfg){0});
            struct takt_random r = takt_random_seed(seed);
            for (int i = 0; i < 20000; i++)
                takt_target_update(t, (int64_t)(exponential(&r, 1) * MS), packets_ns[k]);
            double before_ms = delay_ms(t);
            for (int i = 0; i < 500; i++) {
                takt_target_update(t, (i ? 1 : 100) * MS, packets_ns[k]);
                CHECK(delay_ms(t) < before_ms + 1);
            }
            takt_target_destroy(t);
        }
}

/* What never arrives says nothing about when to play. */
static void target_ignores_loss(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct takt_target *t = open_target((struct takt_target_cfg){0});
        struct takt_random r = takt_random_seed(seed);
        run(t, &r, 60 * PACKETS_A_S, 3, 0);
        struct run whole = run(t, &r, 300 * PACKETS_A_S, 3, 0);
        run(t, &r, 60 * PACKETS_A_S, 3, 0.3);
        struct run lossy = run(t, &r, 300 * PACKETS_A_S, 3, 0.3);
        CHECK_NEAR(lossy.delay_ms, whole.delay_ms, 0.06 * whole.delay_ms);
        takt_target_destroy(t);
    }
}

/* The dearer a late packet, the longer the delay. */
static void target_grows_with_lambda(void)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        double last_ms = 0;
        for (double lambda_ms = 30; lambda_ms < 1e5; lambda_ms *= 3) {
            struct takt_target *t = open_target((struct takt_target_cfg){.lambda_ms = lambda_ms});
            struct takt_random r = takt_random_seed(seed);
            run(t, &r, 120 * PACKETS_A_S, 5, 0);
            struct run a = run(t, &r, 120 * PACKETS_A_S, 5, 0);
            CHECK(a.delay_ms > last_ms);
            CHECK_NEAR(takt_target_lambda_ms(t), lambda_ms, 0);
            last_ms = a.delay_ms;
            takt_target_destroy(t);
        }
    }
}

static void target_reaches_the_late_ratio(void)
{
    static const double goals[] = {0.001, 0.003, 0.01, 0.05};
    for (uint64_t seed = 1; seed <= (uint64_t)ROUNDS(2); seed++)
        for (int k = 0; k < 4; k++) {
            struct takt_target *t = open_target((struct takt_target_cfg){.late_ratio = goals[k]});
            struct takt_random r = takt_random_seed(seed);
            run(t, &r, 60 * PACKETS_A_S, 5, 0);
            struct run a = run(t, &r, 400 * PACKETS_A_S, 5, 0);
            CHECK_NEAR(a.late, goals[k], 0.2 * goals[k]);
            takt_target_destroy(t);
        }
}

/* From calm to rough and back, within seconds each. */
static void target_follows_the_network(void)
{
    struct takt_target *t = open_target((struct takt_target_cfg){0});
    struct takt_random r = takt_random_seed(1);
    run(t, &r, 60 * PACKETS_A_S, 0.5, 0);
    CHECK(delay_ms(t) < 7);
    struct run a = run(t, &r, 5 * PACKETS_A_S, 8, 0);
    CHECK(a.late < 0.1);
    CHECK(delay_ms(t) > 25);
    run(t, &r, 15 * PACKETS_A_S, 0.5, 0);
    CHECK(delay_ms(t) < 9);
    takt_target_destroy(t);
}

/* A path that stands still for 80 ms every 8 s: to be ready for that all the time costs 80, to
 * conceal it some 20, to run after it each time more than that. */
static void target_learns_not_to_chase_stalls(void)
{
    struct takt_target *t = open_target((struct takt_target_cfg){0});
    struct takt_random r = takt_random_seed(1);
    double at_ms = delay_ms(t), sum_ms = 0;
    int counted = 0;
    for (int i = 0; i < 400 * PACKETS_A_S; i++) {
        int since = i % (8 * PACKETS_A_S);
        double late_ms = exponential(&r, 0.3) + (since < 16 ? 80 - 5 * since : 0);
        if (i > 100 * PACKETS_A_S) {
            sum_ms += at_ms + (late_ms > at_ms ? 2000 : 0);
            counted++;
        }
        bool is_late = late_ms > at_ms;
        takt_target_update(t, (int64_t)(late_ms * MS), 5 * MS);
        at_ms = is_late ? delay_ms(t) : fmax(at_ms - 0.025, fmin(at_ms + 0.025, delay_ms(t)));
    }
    CHECK(sum_ms / counted < 30);
    takt_target_destroy(t);
}

static void target_keeps_a_fixed_delay(void)
{
    struct takt_target *t = open_target((struct takt_target_cfg){.latency_ms = 12});
    struct takt_random r = takt_random_seed(1);
    CHECK_NEAR(delay_ms(t), 12, 1e-6);
    run(t, &r, 1000, 30, 0);
    CHECK_NEAR(delay_ms(t), 12, 1e-6);
    takt_target_destroy(t);
    t = open_target((struct takt_target_cfg){.latency_ms = 12, .latency_ms_max = 5});
    CHECK_NEAR(delay_ms(t), 5, 1e-6);
    takt_target_destroy(t);
}

static void target_stays_below_its_most(void)
{
    for (double most_ms = 1; most_ms <= 1000; most_ms *= 2.7) {
        struct takt_target *t =
            open_target((struct takt_target_cfg){.latency_ms_max = most_ms, .late_ratio = 0.001});
        struct takt_random r = takt_random_seed(1);
        for (int i = 0; i < 3000; i++) {
            CHECK(delay_ms(t) <= most_ms);
            takt_target_update(t, (int64_t)(exponential(&r, 100) * MS), 5 * MS);
        }
        takt_target_destroy(t);
    }
}

/* After a restart it behaves as a new one does, to the last bit. */
static void target_restarts_as_new(void)
{
    struct takt_target *a = open_target((struct takt_target_cfg){.late_ratio = 0.01});
    struct takt_target *b = open_target((struct takt_target_cfg){.late_ratio = 0.01});
    struct takt_random r = takt_random_seed(1);
    run(a, &r, 5000, 40, 0);
    takt_target_restart(a);
    for (int i = 0; i < 5000; i++) {
        CHECK_INT(takt_target_delay_ns(a), takt_target_delay_ns(b));
        int64_t late_ns = (int64_t)(exponential(&r, 3) * MS);
        takt_target_update(a, late_ns, 5 * MS);
        takt_target_update(b, late_ns, 5 * MS);
    }
    takt_target_destroy(a);
    takt_target_destroy(b);
}

/* Any lateness and any length, for long: it stays finite, within the grid, and able to learn. */
static void target_takes_any_lateness(void)
{
    struct takt_target *t = open_target((struct takt_target_cfg){.lambda_ms = 10});
    struct takt_random r = takt_random_seed(1);
    for (int i = 0; i < 50000; i++) {
        int64_t late_ns = (int64_t)(takt_random_u64(&r) >> takt_random_below(&r, 64));
        int64_t packet_ns = i % 100 ? 5 * MS : (int64_t)takt_random_u64(&r);
        takt_target_update(t, late_ns, packet_ns);
        CHECK(delay_ms(t) >= 0 && delay_ms(t) <= 1000);
    }
    run(t, &r, 60 * PACKETS_A_S, 0.01, 0);
    CHECK(delay_ms(t) < 1);
    takt_target_destroy(t);
}

static void target_create_refuses_what_is_out_of_range(void)
{
    static const struct takt_target_cfg wrong[] = {
        {.lambda_ms = -1},       {.lambda_ms = 2e6},       {.lambda_ms = (double)NAN},
        {.late_ratio = -0.1},    {.late_ratio = 0.6},      {.latency_ms = 1001},
        {.latency_ms_max = 0.5}, {.latency_ms_max = 2000},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_target *t = (void *)&tap_run;
        CHECK_INT(takt_target_create(&wrong[i], &t), TAKT_ERR_ARG);
        CHECK(!t);
    }
}

static void target_create_without_memory_holds_nothing(void)
{
    long before = fault_held();
    for (int n = 1;; n++) {
        struct takt_target *t;
        fault_at(n);
        int code = takt_target_create(&(struct takt_target_cfg){0}, &t);
        bool failed = fault_happened();
        fault_at(0);
        CHECK_INT(code, failed ? TAKT_ERR_NOMEM : TAKT_OK);
        CHECK(failed ? !t : t != NULL);
        takt_target_destroy(t);
        CHECK_INT(fault_held(), before);
        if (!failed)
            break;
    }
    takt_target_destroy(NULL);
}

int main(void)
{
    RUN(target_finds_the_cheapest_delay);
    RUN(target_ignores_a_spike);
    RUN(target_ignores_loss);
    RUN(target_grows_with_lambda);
    RUN(target_reaches_the_late_ratio);
    RUN(target_follows_the_network);
    RUN(target_learns_not_to_chase_stalls);
    RUN(target_keeps_a_fixed_delay);
    RUN(target_stays_below_its_most);
    RUN(target_restarts_as_new);
    RUN(target_takes_any_lateness);
    RUN(target_create_refuses_what_is_out_of_range);
    RUN(target_create_without_memory_holds_nothing);
    return tap_done();
}
