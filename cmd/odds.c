/*
 * A Poisson count of at most n has the probability Q(n + 1, mean), the upper regularised incomplete
 * gamma function, which falls as the mean grows. So each limit is where such a curve crosses half
 * of what the confidence leaves, and halving finds it. That is exact for any count; the usual
 * "count plus or minus twice its root" says nothing for 0 misses, which is what one hopes to see.
 *
 * P and Q are computed as in W. H. Press et al., "Numerical Recipes", 6.2: the series below
 * x = a + 1, the continued fraction (Lentz) above.
 */
#include "odds.h"

#include <float.h>
#include <math.h>

const double odds_confidence = 0.95, odds_often = 60, odds_reserve = 0.25;

/* x^a e^-x / Gamma(a), by logarithms. */
static double weight(double a, double x)
{
    return exp(a * log(x) - x - lgamma(a));
}

static double lower_by_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (double n = a + 1; term > sum * DBL_EPSILON; n++)
        sum += term *= x / n;
    return sum * weight(a, x);
}

static double upper_by_fraction(double a, double x)
{
    enum { STEPS_MAX = 1000000 };
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i < STEPS_MAX; i++) {
        double numerator = -i * (i - a);
        b += 2;
        d = numerator * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + numerator / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 4 * DBL_EPSILON)
            break;
    }
    return h * weight(a, x);
}

/* Of a Poisson count with that mean: that it is at most n. */
static double at_most(double n, double mean)
{
    double a = n + 1;
    if (mean <= 0)
        return 1;
    return mean < a + 1 ? 1 - lower_by_series(a, mean) : upper_by_fraction(a, mean);
}

/* The mean at which a count of at most n has that probability. */
static double mean_where(double n, double probability)
{
    double low = 0, high = n + 12 * sqrt(n + 1) + 40; /* further than any confidence that counts */
    for (int i = 0; i < 200 && high - low > high * 1e-13; i++) {
        double middle = (low + high) / 2;
        if (at_most(n, middle) > probability)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

struct odds_interval odds_poisson(uint64_t count, double confidence)
{
    double n = (double)count, rest = (1 - confidence) / 2;
    return (struct odds_interval){.low = count ? mean_where(n - 1, 1 - rest) : 0,
                                  .high = mean_where(n, rest)};
}

struct odds_rate odds_an_hour(uint64_t misses, double seconds)
{
    double hours = seconds / 3600;
    struct odds_interval mean = odds_poisson(misses, odds_confidence);
    return (struct odds_rate){.estimate = (double)misses / hours,
                              .interval = {mean.low / hours, mean.high / hours}};
}

/* ---- The verdict ------------------------------------------------------------------------------
 */

enum odds_verdict odds_judge(const struct odds_seen *seen)
{
    if (seen->misses > 1 && odds_an_hour(seen->misses, seen->seconds).interval.low > odds_often)
        return ODDS_TOO_SMALL;
    return !seen->misses && seen->slack_least >= odds_reserve ? ODDS_SAFE : ODDS_RISKY;
}

const char *odds_verdict_name(enum odds_verdict v)
{
    static const char *const names[ODDS_VERDICTS] = {"safe", "risky", "too small"};
    return (unsigned)v < ODDS_VERDICTS ? names[v] : "unknown";
}

const char *odds_verdict_rule(enum odds_verdict v)
{
    static const char *const rules[ODDS_VERDICTS] = {
        "no deadline was missed, and the worst block was ready with a quarter or more of its time "
        "left",
        "a deadline was missed, or the worst block had less than a quarter of its time left",
        "two or more deadlines were missed, and more than 60 an hour are sure: the low end of the "
        "interval is above that",
    };
    return (unsigned)v < ODDS_VERDICTS ? rules[v] : "";
}

int odds_choose(const struct odds_choice *choices, int count, bool *is_safe)
{
    int safe = -1, nearest = -1;
    uint64_t misses = 0;
    double seconds = 0, least_rate = HUGE_VAL;
    for (int i = count - 1; i >= 0; i--) {
        const struct odds_choice *c = &choices[i];
        misses += c->misses;
        seconds += c->seconds;
        double rate = (double)misses / seconds;
        if (c->verdict == ODDS_SAFE && !misses &&
            (safe < 0 || c->latency_frames < choices[safe].latency_frames))
            safe = i;
        if (c->verdict == ODDS_TOO_SMALL || rate > least_rate)
            continue;
        if (rate < least_rate || c->slack_least > choices[nearest].slack_least)
            nearest = i;
        least_rate = rate;
    }
    *is_safe = safe >= 0;
    return safe >= 0 ? safe : nearest;
}
