/*
 * odds.h - what a count of misses says about an hour, and what a block size is worth.
 *
 *     struct odds_interval mean = odds_poisson(misses, 0.95);
 *     printf("%.0f to %.0f an hour\n", mean.low * 3600 / seconds, mean.high * 3600 / seconds);
 *
 * Plain numbers in, plain numbers out.
 */
#ifndef CMD_ODDS_H
#define CMD_ODDS_H

#include <stdbool.h>
#include <stdint.h>

struct odds_interval {
    double low, high;
};

/* The means under which a Poisson count this small or this large is not too unlikely: the exact
 * two-sided interval of F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28
 * (1936) 437-442. confidence: 0..1, as 0.95; each side gets half of the rest. */
struct odds_interval odds_poisson(uint64_t count, double confidence);

/* What a measurement says of misses an hour: the estimate, and its interval. */
struct odds_rate {
    double estimate;
    struct odds_interval interval;
};
extern const double odds_confidence; /* 0.95 */
struct odds_rate odds_an_hour(uint64_t misses, double seconds);

enum odds_verdict { ODDS_SAFE = 0, ODDS_RISKY, ODDS_TOO_SMALL, ODDS_VERDICTS };

/* What the rule looks at. slack_least is how much the worst block had left when it was ready, as a
 * share of the time from due to deadline; negative when it was too late. */
struct odds_seen {
    uint64_t misses;
    double seconds;
    double slack_least;
};

/* The rule, in this order: too small when two or more were missed and more than odds_often an hour
 * are sure (the low end of the interval); safe when none was missed and slack_least is odds_reserve
 * or more; else risky. */
extern const double odds_often;   /* 60 an hour */
extern const double odds_reserve; /* 0.25 */
enum odds_verdict odds_judge(const struct odds_seen *seen);

/* "safe", "risky", "too small"; and the rule in a sentence. Never NULL. */
const char *odds_verdict_name(enum odds_verdict v);
const char *odds_verdict_rule(enum odds_verdict v);

/* One block size among several. */
struct odds_choice {
    enum odds_verdict verdict;
    uint32_t latency_frames;
    uint64_t misses;
    double seconds;
    double slack_least;
};

/* Which to use, of sizes in ascending order. What makes a large block late would have made a
 * smaller one late, too: so a size is only taken as safe when no larger one has missed either. Of
 * these the one of the least latency, and of equal ones the largest, which costs the least;
 * *is_safe is set. When there is none: of those that are not too small the one with the fewest
 * misses over the time of its own and all larger sizes, and of equal ones the one with the most
 * slack. -1 when all are too small. */
int odds_choose(const struct odds_choice *choices, int count, bool *is_safe);

#endif
