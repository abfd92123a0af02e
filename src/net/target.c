/*
 * Experts: each point of a grid of delays is one, and what it would have cost so far, D / lambda
 * for each packet and 1 more when that came later than D, is its exponent. The delay wished for is
 * the mean of the grid by these weights. With every packet a share of all weight is handed out
 * anew, so that whatever was best long ago can be left behind within some ten late packets:
 * Fixed-Share of M. Herbster and M. Warmuth, "Tracking the best expert" (Machine Learning 32,
 * 1998). Nine tenths of the share go by the weights of the last 20 s instead of evenly, so that
 * what was best not long ago is found again sooner: O. Bousquet and M. Warmuth, "Tracking a small
 * set of experts by mixing past posteriors" (JMLR 3, 2002).
 *
 * How fast to learn is a matter of the network: where spikes come alone, it is dear to follow them,
 * since the delay comes down by 5 ms a second only. So there are four learners, of pace 8, 2, 1/2
 * and 1/8 times 1 / lambda, and they are experts once more: each plays what it wishes as a receiver
 * would, and is trusted by what that cost.
 *
 * And nothing is won by being much later than the latest packet of the last minutes, which shortens
 * what is wished for at first, when all is possible.
 *
 * Short packets are weighted by how long they last, so that all this takes as long with packets of
 * 1 ms as with those of 5 ms. A single longer one counts no more than one of 5 ms.
 *
 * Where a share of late packets is asked for there is no price, and no experts: the delay is the
 * quantile of the lateness lately, counted in a grid whose counts fade. What is late in spite of it
 * moves the quantile's order, by little, so that the share is met in the long run, whatever the
 * network does: adaptive conformal inference of I. Gibbs and E. Candes (NeurIPS 2021). To look for
 * the price that leaves this share late instead ends in swings where delays have a gap: on a path
 * that stands still for 60 ms now and then, all delays up to that cost the same at one price.
 *
 * Invariants: the weights of a learner add up to 1, as does the trust in all learners; no weight
 * below `points` is 0, and none from there on is anything else.
 */
#include "net/target.h"

#include "base/assert.h"
#include "takt/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { OCTAVE = 64, GRID = 6 * OCTAVE, LANES = 4, LEARNERS = 4 };

static const double full_packet_ms = 5;
static const double first_scale_ms = 12; /* at first, long delays are unlikely */
static const double slew = 0.005;        /* ms of delay by which a receiver comes down in 1 ms */
static const float share = 2e-5f;        /* of the weight, handed out anew with each packet */
static const float past_share = 0.9f;    /* of that, by the weights of the past */
static const float past_rate = 3e-4f;    /* how much of the past one packet is */
static const double spare_ms = 0.9, peak_for_ms = 120000;
static const double trust_pace = 0.03, trust_share = 1e-4;
static const double lambda_least_ms = 10, lambda_most_ms = 1e6;
/* A packet counts until so many have been late, within these bounds. */
static const double fade_late = 40, fade_least_s = 10, fade_most_s = 60;
static const double order_gain = 0.02, order_most = 1.4; /* of log(order); one late packet's part */

/* Four points of the grid at once, which any processor that takt runs on does in one step. Sums are
 * kept by lane, since the compiler may not change the order in which they are added up. */
typedef float lanes __attribute__((vector_size(4 * LANES)));

/* Weights over the grid. */
struct learner {
    lanes weight[GRID / LANES], past[GRID / LANES];
    lanes decay[GRID / LANES]; /* what a packet leaves of the weight, were it in time */
    float late;                /* and what is left of that when it was not */
    double delay_ms;           /* wished for */
    double at_ms;              /* where a receiver would be that follows */
    double trust;
};

struct takt_target {
    struct takt_target_cfg cfg;
    lanes delay_ms[GRID / LANES], even[GRID / LANES]; /* the grid, and its even share of 1 */
    uint32_t points;                                  /* of the grid, up to latency_ms_max */
    struct learner learner[LEARNERS];
    double wish_ms, at_ms;
    double peak_ms, peak_before_ms, peak_age_ms; /* the latest of now and of the time before */
    double lambda_ms;
    float count[GRID + 1]; /* packets, by the points of the grid that were too short for them */
    double counts, unit;   /* of all; what a packet counts now, as the past fades */
    double order;          /* log of the quantile's order over late_ratio */
    double packet_ms;      /* for which the tables are made */
};

/* ---- Life --------------------------------------------------------------------------------------
 */

static bool is_within(double x, double low, double high)
{
    return x == 0 || (x >= low && x <= high);
}

/* Fine where delays are short: steps of 1/4 ms up to 16 ms, then of 1/2 ms, and so on, and of 8 ms
 * up to a second. */
static void make_grid(struct takt_target *t)
{
    double at_ms = 0;
    t->points = 0;
    for (uint32_t i = 0; i < GRID; i++) {
        t->delay_ms[i / LANES][i % LANES] = (float)at_ms;
        t->points += at_ms <= t->cfg.latency_ms_max;
        at_ms += 0.25 * (1 << i / OCTAVE);
    }
    for (uint32_t i = 0; i < t->points; i++)
        t->even[i / LANES][i % LANES] = 1.0f / (float)t->points;
}

static float point_ms(const struct takt_target *t, uint32_t i)
{
    return t->delay_ms[i / LANES][i % LANES];
}

int takt_target_create(const struct takt_target_cfg *cfg, struct takt_target **out)
{
    *out = NULL;
    if (!is_within(cfg->lambda_ms, lambda_least_ms, lambda_most_ms) ||
        !is_within(cfg->late_ratio, 1e-5, 0.5) || !is_within(cfg->latency_ms, 0.01, 1000) ||
        !is_within(cfg->latency_ms_max, 1, 1000))
        return TAKT_ERR_ARG;
    struct takt_target *t = calloc(1, sizeof *t);
    if (!t)
        return TAKT_ERR_NOMEM;
    t->cfg = *cfg;
    t->cfg.lambda_ms = cfg->lambda_ms > 0 ? cfg->lambda_ms : 2000;
    t->cfg.latency_ms_max = cfg->latency_ms_max > 0 ? cfg->latency_ms_max : 1000;
    make_grid(t);
    takt_target_restart(t);
    *out = t;
    return TAKT_OK;
}

void takt_target_destroy(struct takt_target *t)
{
    free(t);
}

void takt_target_restart(struct takt_target *t)
{
    struct learner *first = &t->learner[0];
    double sum = 0, mean_ms = 0;
    for (uint32_t i = 0; i < t->points; i++) {
        float weight = expf(-point_ms(t, i) / (float)first_scale_ms);
        first->weight[i / LANES][i % LANES] = weight;
        sum += (double)weight;
        mean_ms += (double)(weight * point_ms(t, i));
    }
    mean_ms /= sum;
    for (uint32_t i = 0; i < GRID / LANES; i++)
        first->weight[i] /= (float)sum;
    memcpy(first->past, t->even, sizeof first->past);
    first->delay_ms = first->at_ms = mean_ms;
    first->trust = 1.0 / LEARNERS;
    for (int k = 1; k < LEARNERS; k++)
        t->learner[k] = *first;
    t->wish_ms = t->at_ms = mean_ms;
    t->lambda_ms = t->cfg.lambda_ms;
    t->packet_ms = t->peak_ms = t->peak_before_ms = t->peak_age_ms = 0;
    memset(t->count, 0, sizeof t->count);
    t->counts = t->order = 0;
    t->unit = 1;
}

/* ---- A packet ----------------------------------------------------------------------------------
 */

/* Tables for packets of this length and for lambda as it is. */
static void make_tables(struct takt_target *t, double packet_ms)
{
    static const double paces[LEARNERS] = {8, 2, 0.5, 0.125};
    t->packet_ms = packet_ms;
    for (int k = 0; k < LEARNERS; k++) {
        struct learner *l = &t->learner[k];
        double pace = paces[k] * fmin(1, packet_ms / full_packet_ms);
        l->late = (float)exp(-pace);
        for (uint32_t i = 0; i < t->points; i++)
            l->decay[i / LANES][i % LANES] = expf((float)(-pace / t->lambda_ms) * point_ms(t, i));
    }
}

/* How many points of the grid are shorter than that. */
static uint32_t points_below(const struct takt_target *t, double late_ms)
{
    uint32_t low = 0, high = t->points;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((double)point_ms(t, middle) < late_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static float add_up(lanes a, lanes b)
{
    lanes sum = a + b;
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* For this packet the first `below` points were too short. */
static void learn(struct learner *l, const struct takt_target *t, uint32_t below, float weight)
{
    lanes *w = l->weight, *past = l->past, sum[2] = {0}, mean[2] = {0};
    uint32_t i = 0;
    for (; i < below / LANES; i++)
        w[i] *= l->late;
    for (uint32_t j = 0; j < below % LANES; j++)
        w[i][j] *= l->late;
    for (i = 0; i < GRID / LANES; i += 2)
        for (uint32_t k = 0; k < 2; k++) {
            w[i + k] *= l->decay[i + k];
            sum[k] += w[i + k];
        }
    float given = share * weight, keep = (1 - given) / add_up(sum[0], sum[1]);
    float rate = past_rate * weight, to_past = given * past_share, to_all = given - to_past;
    for (i = 0; i < GRID / LANES; i += 2)
        for (uint32_t k = 0; k < 2; k++) {
            lanes x = w[i + k] * keep + to_past * past[i + k] + to_all * t->even[i + k];
            w[i + k] = x;
            past[i + k] += rate * (x - past[i + k]);
            mean[k] += x * t->delay_ms[i + k];
        }
    l->delay_ms = (double)add_up(mean[0], mean[1]);
}

/* Where a receiver is after a packet, when it was at at_ms and wishes to be at wish_ms: it moves
 * slowly, but when a packet came late there is nothing to hear of the sender, and it moves at once.
 */
static double follow(double at_ms, double wish_ms, double late_ms, double packet_ms)
{
    double most_ms = slew * packet_ms;
    return late_ms > at_ms ? wish_ms : fmax(at_ms - most_ms, fmin(at_ms + most_ms, wish_ms));
}

/* All counts are small again, and so is what the next packet counts. */
static void shrink(struct takt_target *t)
{
    t->counts = 0;
    for (uint32_t i = 0; i <= GRID; i++) {
        t->count[i] = t->count[i] / (float)t->unit;
        t->counts += (double)t->count[i];
    }
    t->unit = 1;
}

/* The least delay that was enough for all packets lately but for the share asked for. */
static void keep_ratio(struct takt_target *t, uint32_t below, double late_ms, double packet_ms)
{
    double ratio = t->cfg.late_ratio, fade_s = fade_late / ratio * packet_ms * 1e-3;
    t->order += order_gain * (ratio - (late_ms > t->at_ms ? 1 : 0));
    t->order = fmax(-order_most, fmin(order_most, t->order));
    t->unit *= 1 + packet_ms * 1e-3 / fmax(fade_least_s, fmin(fade_most_s, fade_s));
    if (t->unit > 1e6)
        shrink(t);
    t->count[below] += (float)t->unit;
    t->counts += t->unit;
    double left = t->counts * fmin(0.5, ratio * exp(t->order));
    uint32_t k = t->points;
    while (k > 0 && (left -= (double)t->count[k]) >= 0)
        k--;
    t->wish_ms = (double)point_ms(t, k < t->points ? k : t->points - 1);
    t->at_ms = follow(t->at_ms, t->wish_ms, late_ms, packet_ms);
}

/* The most that it is worth to wish for. */
static double find_most(struct takt_target *t, double late_ms, double packet_ms)
{
    t->peak_age_ms += packet_ms;
    if (t->peak_age_ms > peak_for_ms) {
        t->peak_before_ms = t->peak_ms;
        t->peak_ms = t->peak_age_ms = 0;
    }
    t->peak_ms = fmax(t->peak_ms, late_ms);
    return fmax(t->peak_ms, t->peak_before_ms) + spare_ms;
}

void takt_target_update(struct takt_target *t, int64_t late_ns, int64_t packet_ns)
{
    double late_ms = late_ns > 0 ? (double)late_ns * 1e-6 : 0;
    double packet_ms = fmax(0.1, fmin(120, (double)packet_ns * 1e-6));
    if (t->cfg.latency_ms > 0)
        return;
    uint32_t below = points_below(t, late_ms);
    if (t->cfg.late_ratio > 0) {
        keep_ratio(t, below, late_ms, packet_ms);
        return;
    }
    if (packet_ms != t->packet_ms)
        make_tables(t, packet_ms);
    double weight = fmin(1, packet_ms / full_packet_ms), trusted = 0;
    double most_ms = find_most(t, late_ms, packet_ms);
    for (int k = 0; k < LEARNERS; k++) {
        struct learner *l = &t->learner[k];
        double cost = l->at_ms / t->lambda_ms + (late_ms > l->at_ms ? 1 : 0);
        learn(l, t, below, (float)weight);
        l->delay_ms = fmin(l->delay_ms, most_ms);
        l->at_ms = follow(l->at_ms, l->delay_ms, late_ms, packet_ms);
        l->trust *= exp(-trust_pace * weight * cost);
        trusted += l->trust;
    }
    t->wish_ms = 0;
    for (int k = 0; k < LEARNERS; k++) {
        struct learner *l = &t->learner[k];
        l->trust = l->trust / trusted * (1 - trust_share) + trust_share / LEARNERS;
        t->wish_ms += l->trust * l->delay_ms;
    }
    t->at_ms = follow(t->at_ms, t->wish_ms, late_ms, packet_ms);
}

int64_t takt_target_delay_ns(const struct takt_target *t)
{
    double ms = t->cfg.latency_ms > 0 ? t->cfg.latency_ms : t->wish_ms;
    return (int64_t)(fmin(ms, t->cfg.latency_ms_max) * 1e6);
}

double takt_target_lambda_ms(const struct takt_target *t)
{
    return t->lambda_ms;
}
