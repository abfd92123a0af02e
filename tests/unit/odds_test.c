/*
 * The statistics of takt bench: intervals against published ones and against plain sums, and the
 * rule at its edges.
 */
#include "odds.h"

#include "tap.h"

#include <math.h>

/* Garwood's limits, as they stand in tables (half of the quantiles of chi-squared with 2n and 2n +
 * 2 degrees of freedom), here from sums with 60 digits. */
static void interval_is_that_of_the_tables(void)
{
    static const struct {
        uint64_t count;
        double low, high;
    } known[] = {{0, 0, 3.688879},           {1, 0.025318, 5.571643},     {2, 0.242209, 7.224688},
                 {3, 0.618672, 8.767273},    {5, 1.623486, 11.668332},    {10, 4.795389, 18.390356},
                 {20, 12.216520, 30.888378}, {100, 81.363991, 121.626794}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct odds_interval mean = odds_poisson(known[i].count, 0.95);
        CHECK_NEAR(mean.low, known[i].low, 2e-6);
        CHECK_NEAR(mean.high, known[i].high, 2e-6);
    }
}

/* Of 0 in a time: -ln(0.025) two-sided, and at 0.9 the 3.0 that a one-sided 95 % gives. */
static void interval_of_none_is_a_logarithm(void)
{
    for (double rest = 0.3; rest > 1e-9; rest /= 3) {
        struct odds_interval mean = odds_poisson(0, 1 - rest);
        CHECK_NEAR(mean.low, 0, 0);
        CHECK_NEAR(mean.high, -log(rest / 2), 1e-7);
    }
    CHECK_NEAR(odds_poisson(0, 0.9).high, 2.995732, 1e-6);
}

/* e^-mean mean^k / k!, summed term by term in logarithms: slow, and without any of the tricks. */
static double at_most_by_sum(uint64_t n, double mean)
{
    double sum = 0, term = -mean;
    for (uint64_t k = 0; k <= n; k++) {
        sum += exp(term);
        term += log(mean / (double)(k + 1));
    }
    return sum;
}

static void limits_leave_half_of_the_rest_on_each_side(void)
{
    static const double confidences[] = {0.5, 0.9, 0.95, 0.999};
    for (uint64_t n = 0; n < 20000; n = n * 3 / 2 + 1) {
        for (int i = 0; i < 4; i++) {
            double rest = (1 - confidences[i]) / 2;
            struct odds_interval mean = odds_poisson(n, confidences[i]);
            CHECK_NEAR(at_most_by_sum(n, mean.high) / rest, 1, 1e-6);
            if (n)
                CHECK_NEAR((1 - at_most_by_sum(n - 1, mean.low)) / rest, 1, 1e-6);
        }
    }
}

/* Far out, the limits come near count plus or minus 1.96 times its root. */
static void interval_of_many_is_nearly_normal(void)
{
    for (double n = 1e5; n <= 1e9; n *= 10) {
        struct odds_interval mean = odds_poisson((uint64_t)n, 0.95);
        CHECK_NEAR((mean.low - n) / sqrt(n), -1.96, 0.02);
        CHECK_NEAR((mean.high - n) / sqrt(n), 1.96, 0.02);
    }
}

static void rates_scale_with_time(void)
{
    struct odds_rate r = odds_an_hour(1, 10);
    CHECK_NEAR(r.estimate, 360, 1e-9);
    CHECK_NEAR(r.interval.low, 0.0253178 * 360, 1e-3);
    CHECK_NEAR(r.interval.high, 5.571643 * 360, 1e-3);
    CHECK_NEAR(odds_an_hour(0, 3600).interval.high, 3.688879, 1e-6);
}

static enum odds_verdict judged(uint64_t misses, double seconds, double slack_least)
{
    return odds_judge(
        &(struct odds_seen){.misses = misses, .seconds = seconds, .slack_least = slack_least});
}

static void verdict_changes_where_the_rule_says(void)
{
    CHECK_INT(judged(0, 10, 0.9), ODDS_SAFE);
    CHECK_INT(judged(0, 10, 0.25), ODDS_SAFE);
    CHECK_INT(judged(0, 10, 0.2499), ODDS_RISKY);
    CHECK_INT(judged(0, 10, (double)NAN), ODDS_RISKY);
    CHECK_INT(judged(1, 10, 0.9), ODDS_RISKY);    /* an xrun of the host leaves slack */
    CHECK_INT(judged(1, 10, -1), ODDS_RISKY);     /* 9.1 an hour are sure */
    CHECK_INT(judged(2, 10, -1), ODDS_TOO_SMALL); /* 87 are */
    CHECK_INT(judged(1, 1, -1), ODDS_RISKY);      /* one is no proof */
    CHECK_INT(judged(2, 1, -1), ODDS_TOO_SMALL);
    CHECK_INT(judged(3, 60, -1), ODDS_RISKY);
    CHECK_INT(judged(4, 60, -1), ODDS_TOO_SMALL);
    CHECK_INT(judged(60, 3600, -1), ODDS_RISKY);
    CHECK_INT(judged(90, 3600, -1), ODDS_TOO_SMALL);
}

static void each_verdict_has_a_name_and_a_rule(void)
{
    for (int v = 0; v < ODDS_VERDICTS; v++) {
        CHECK(*odds_verdict_name((enum odds_verdict)v));
        CHECK(*odds_verdict_rule((enum odds_verdict)v));
    }
    CHECK(*odds_verdict_name(ODDS_VERDICTS));
}

static struct odds_choice size_with(enum odds_verdict v, uint32_t latency_frames, uint64_t misses,
                                    double slack_least)
{
    return (struct odds_choice){.verdict = v,
                                .latency_frames = latency_frames,
                                .misses = misses,
                                .seconds = 10,
                                .slack_least = slack_least};
}

static int chosen(const struct odds_choice *all, int count, bool wants_safe)
{
    bool is_safe;
    int best = odds_choose(all, count, &is_safe);
    return is_safe == wants_safe ? best : -2;
}

static void choice_is_the_least_latency_that_is_safe(void)
{
    struct odds_choice all[] = {
        size_with(ODDS_TOO_SMALL, 32, 9, -1), size_with(ODDS_SAFE, 192, 0, 0.5),
        size_with(ODDS_SAFE, 192, 0, 0.5),    size_with(ODDS_SAFE, 192, 0, 0.4),
        size_with(ODDS_RISKY, 100, 0, 0.1),   size_with(ODDS_SAFE, 500, 0, 0.9),
    };
    CHECK_INT(chosen(all, 6, true), 3);
    CHECK_INT(chosen(all, 1, false), -1);
    CHECK_INT(chosen(all, 0, false), -1);
}

static void choice_is_not_below_a_size_that_missed(void)
{
    struct odds_choice all[] = {
        size_with(ODDS_SAFE, 64, 0, 0.9),   size_with(ODDS_SAFE, 128, 0, 0.9),
        size_with(ODDS_RISKY, 256, 1, 0.9), size_with(ODDS_SAFE, 512, 0, 0.9),
        size_with(ODDS_SAFE, 1024, 0, 0.9),
    };
    CHECK_INT(chosen(all, 5, true), 3);
    CHECK_INT(chosen(all, 3, false), 0); /* one in thirty seconds is less than one in twenty */
}

static void choice_without_a_safe_one_is_the_least_bad(void)
{
    struct odds_choice all[] = {
        size_with(ODDS_TOO_SMALL, 16, 50, -2), size_with(ODDS_RISKY, 32, 1, -1),
        size_with(ODDS_RISKY, 64, 0, 0.1),     size_with(ODDS_RISKY, 128, 0, 0.2),
        size_with(ODDS_RISKY, 256, 0, 0.15),
    };
    CHECK_INT(chosen(all, 5, false), 3);
    CHECK_INT(chosen(all, 2, false), 1);
}

int main(void)
{
    RUN(interval_is_that_of_the_tables);
    RUN(interval_of_none_is_a_logarithm);
    RUN(limits_leave_half_of_the_rest_on_each_side);
    RUN(interval_of_many_is_nearly_normal);
    RUN(rates_scale_with_time);
    RUN(verdict_changes_where_the_rule_says);
    RUN(each_verdict_has_a_name_and_a_rule);
    RUN(choice_is_the_least_latency_that_is_safe);
    RUN(choice_is_not_below_a_size_that_missed);
    RUN(choice_without_a_safe_one_is_the_least_bad);
    return tap_done();
}
