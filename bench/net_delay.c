/*
 * The delay that a receiver keeps, beside what others would keep and what could be had. On each
 * network the cost of a packet is D + lambda * [it arrived later than D], with lambda = 2000 ms, so
 * that 1 % late is worth 20 ms; less is better. One command prints the table, and fails when a bar
 * is missed:
 *
 *     build/bench/bench-net_delay [SECONDS] [SEED] [TRACE...]
 *
 * SECONDS of each simulated network (default 600) from each of three seeds after SEED (default 1).
 * A TRACE has a line `arrival_ns rtp_timestamp` for each packet, of a clock of 48000 Hz. A line of
 * JSON is printed for each network, readable text goes to stderr.
 *
 * All estimators are told the same, takt's envelope's, lateness of each packet as it arrives. What
 * they wish is followed as a receiver can that resamples by 0.5 %: by 5 ms a second, and at once
 * when a packet comes late, as then there is a gap anyway. Without the second rule nobody is ahead
 * of a network that gets worse, and all that is measured is how long 5 ms a second take.
 *
 *     takt        src/net/target.c; `as_wished` is the same with every wish fulfilled at once
 *     clairvoyant the best sequence of D there is, by dynamic programming with the future known: D
 *                 moves by 5 ms a second, in steps of 0.25 ms. This is the bound of the bars
 *     jumping     the same for one who may jump from any D to any other at any packet for the price
 *                 of one late packet: shown only, as no receiver does it unheard
 *     fixed       the best D that never changes, in hindsight. Where each delay is drawn anew, no
 *                 estimator can be better but by luck
 *     quantile    the q-quantile of the last seconds' lateness, the best of 4 windows and 6 q: one
 *                 choice for each network, in hindsight
 *     neteq       WebRTC's at its defaults, see below; and neteq_2020, with the defaults of before:
 *                 shown only. Both are followed as takt is, by 5 ms a second only, and at once, and
 *                 the cheapest counts
 *
 * Bars, on the means over networks of the ratios of costs: to the clairvoyant at most 1.5 on Wi-Fi
 * and 2.1 on wires; to NetEQ at most 0.6 on Wi-Fi, on wires and over all networks.
 */
#include "base/random.h"
#include "bench.h"
#include "net/envelope.h"
#include "net/target.h"
#include "wire/rtp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { RATE_HZ = 48000, PACKET = 240, SEEDS = 3 };
static const double lambda_ms = 2000, slew_ms_a_s = 5;
static const double pi = 3.14159265358979323846;

/* What happened: one element a packet that arrived, in the order of arrival. */
struct trace {
    size_t count;
    double packet_ms;
    double *arrival_ms, *media_ms, *late_ms;
};

static void *need(size_t count, size_t each)
{
    void *p = calloc(count ? count : 1, each);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return p;
}

static void open_trace(struct trace *t, size_t most)
{
    *t = (struct trace){.arrival_ms = need(most, sizeof(double)),
                        .media_ms = need(most, sizeof(double)),
                        .late_ms = need(most, sizeof(double))};
}

static void close_trace(struct trace *t)
{
    free(t->arrival_ms);
    free(t->media_ms);
    free(t->late_ms);
}

/* ---- Networks ----------------------------------------------------------------------------------
 */

static double exponential(struct takt_random *r, double mean)
{
    return -mean * log(1 - takt_random_unit(r));
}

static double normal(struct takt_random *r)
{
    return sqrt(exponential(r, 2)) * cos(2 * pi * takt_random_unit(r));
}

/* Marsaglia and Tsang 2000. */
static double gamma_of(struct takt_random *r, double shape, double scale)
{
    if (shape < 1)
        return gamma_of(r, shape + 1, scale) * pow(1 - takt_random_unit(r), 1 / shape);
    for (double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);;) {
        double x = normal(r), v = pow(1 + c * x, 3);
        if (v > 0 && log(1 - takt_random_unit(r)) < 0.5 * x * x + d - d * v + d * log(v))
            return scale * d * v;
    }
}

/* What a network remembers from packet to packet. */
struct network {
    struct takt_random random;
    double until_ms, next_ms, free_ms, route_ms, level;
    bool is_bad;
};

/* How long the packet sent at now_ms is on its way. */
typedef double delay_fn(struct network *n, double now_ms);

/* A switch and a quiet computer: some 50 us, and now and then the scheduler's few ms. */
static double calm(struct network *n, double now_ms)
{
    double rare = takt_random_unit(&n->random) < 2e-4 ? exponential(&n->random, 3) : 0;
    return 0.2 + exponential(&n->random, 0.05) + rare;
}

static double gamma_small(struct network *n, double now_ms)
{
    return 5 + gamma_of(&n->random, 4, 0.5);
}

static double gamma_large(struct network *n, double now_ms)
{
    return 5 + gamma_of(&n->random, 1, 5);
}

static double pareto(struct network *n, double now_ms)
{
    return 3 + fmin(0.4 * (pow(1 - takt_random_unit(&n->random), -1 / 1.6) - 1), 400);
}

/* A router's queue, which others fill for 5 to 40 s at a time. */
static double congestion(struct network *n, double now_ms)
{
    if (now_ms >= n->until_ms) {
        n->is_bad = !n->is_bad;
        n->until_ms = now_ms + 5000 + takt_random_unit(&n->random) * 35000;
    }
    double wished = n->is_bad ? 12 : 0.5;
    n->level += (wished - n->level) * 0.02 + normal(&n->random) * (n->is_bad ? 1.2 : 0.1);
    n->level = n->level < 0 ? 0 : n->level;
    return 8 + n->level + exponential(&n->random, 0.2);
}

/* What the medium adds: everybody waits a few slots, and every few seconds it stands still for as
 * long as stall_ms on average, when the radio looks at other channels or the rate drops. */
static double radio(struct network *n, double now_ms, double busy_ms, double every_ms,
                    double stall_ms)
{
    struct takt_random *r = &n->random;
    if (now_ms >= n->next_ms) {
        n->free_ms = fmax(n->free_ms, now_ms + 0.4 * stall_ms + exponential(r, 0.6 * stall_ms));
        n->next_ms = now_ms + exponential(r, every_ms);
    }
    double slots = 0;
    while (takt_random_unit(r) < 0.45 && slots < 7)
        slots++;
    double done_ms = fmax(now_ms, n->free_ms) + 0.3 + slots * busy_ms * takt_random_unit(r);
    n->free_ms = fmax(n->free_ms, done_ms - 0.2 - exponential(r, 0.3));
    return done_ms - now_ms;
}

static double wifi_home(struct network *n, double now_ms)
{
    return 2 + radio(n, now_ms, 1.2, 4000, 35);
}

/* Many stations: quiet for half a minute, then as long with many short stalls. */
static double wifi_busy(struct network *n, double now_ms)
{
    if (now_ms >= n->until_ms) {
        n->is_bad = !n->is_bad;
        n->until_ms = now_ms + exponential(&n->random, n->is_bad ? 12000 : 25000);
    }
    return 2 + (n->is_bad ? radio(n, now_ms, 4, 400, 25) : radio(n, now_ms, 1, 6000, 20));
}

/* Power save: what comes within 20.48 ms is handed over together. */
static double wifi_sleepy(struct network *n, double now_ms)
{
    if (now_ms >= n->until_ms) {
        n->is_bad = !n->is_bad;
        n->until_ms = now_ms + exponential(&n->random, n->is_bad ? 15000 : 20000);
    }
    double slot_ms = 20.48, wait_ms = n->is_bad ? slot_ms - fmod(now_ms, slot_ms) : 0;
    return 2 + wait_ms + radio(n, now_ms, 0.8, 8000, 30);
}

/* A phone on the move: grants every 4 ms, another route every 40 s, and a break with it. */
static double mobile(struct network *n, double now_ms)
{
    struct takt_random *r = &n->random;
    if (now_ms >= n->until_ms) {
        n->route_ms = 20 + 40 * takt_random_unit(r);
        n->free_ms = now_ms + 30 + exponential(r, 40);
        n->until_ms = now_ms + exponential(r, 40000);
    }
    double grant_ms = 4 * ceil(gamma_of(r, 1.5, 0.9));
    double done_ms = fmax(now_ms + grant_ms, n->free_ms);
    return n->route_ms + done_ms - now_ms;
}

enum kind { WIRED, WIFI, MOBILE };

struct scene {
    const char *name;
    enum kind kind;
    bool in_order;
    delay_fn *delay;
    double drift_ppm, loss;
};

static const struct scene scenes[] = {
    {"wifi-home", WIFI, true, wifi_home, 40, 0.002},
    {"wifi-busy", WIFI, true, wifi_busy, -120, 0.01},
    {"wifi-sleepy", WIFI, true, wifi_sleepy, 15, 0.002},
    {"mobile", MOBILE, true, mobile, 80, 0.005},
    {"calm", WIRED, true, calm, 30, 0},
    {"gamma-1", WIRED, false, gamma_small, -60, 0},
    {"gamma-5", WIRED, false, gamma_large, 200, 0},
    {"pareto", WIRED, false, pareto, 10, 0.001},
    {"congestion", WIRED, true, congestion, -20, 0.001},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct packet {
    double arrival_ms, media_ms;
};

static int earlier(const void *a, const void *b)
{
    const struct packet *x = a, *y = b;
    return (x->arrival_ms > y->arrival_ms) - (x->arrival_ms < y->arrival_ms);
}

static void simulate(const struct scene *s, double seconds, uint64_t seed, struct trace *t)
{
    const double packet_ms = 1000.0 * PACKET / RATE_HZ;
    size_t most = (size_t)(seconds * 1000 / packet_ms);
    struct packet *p = need(most, sizeof *p);
    struct network n = {.random = takt_random_seed(seed)};
    struct takt_random losses = takt_random_seed(seed ^ 0x5bd1e995u);
    double last_ms = 0;
    open_trace(t, most);
    t->packet_ms = packet_ms;
    for (size_t i = 0; i < most; i++) {
        double sent_ms = (double)i * packet_ms * (1 + s->drift_ppm * 1e-6);
        double arrival_ms = sent_ms + s->delay(&n, sent_ms);
        if (s->in_order)
            arrival_ms = fmax(arrival_ms, last_ms + 0.01);
        last_ms = arrival_ms;
        if (takt_random_unit(&losses) >= s->loss)
            p[t->count++] = (struct packet){arrival_ms, (double)i * packet_ms};
    }
    qsort(p, t->count, sizeof *p, earlier);
    for (size_t i = 0; i < t->count; i++) {
        t->arrival_ms[i] = p[i].arrival_ms;
        t->media_ms[i] = p[i].media_ms;
    }
    free(p);
}

static void find_lateness(struct trace *t)
{
    struct takt_envelope e;
    takt_envelope_init(&e, RATE_HZ);
    for (size_t i = 0; i < t->count; i++)
        t->late_ms[i] =
            1e-6 * (double)takt_envelope_update(&e, (int64_t)(t->arrival_ms[i] * 1e6),
                                                llround(t->media_ms[i] * RATE_HZ / 1000));
}

/* ---- What it costs -----------------------------------------------------------------------------
 */

/* Means over all packets of a trace. */
struct cost {
    double delay_ms, late;
};

static double total_ms(struct cost c)
{
    return c.delay_ms + lambda_ms * c.late;
}

/* What an estimator wishes after packet i of t, or before any when i is t->count. */
typedef double wish_fn(void *self, const struct trace *t, size_t i);

enum motion { AS_A_RECEIVER, SLOWLY, AT_ONCE };

static struct cost follow(const struct trace *t, wish_fn *wish, void *self, enum motion motion)
{
    struct cost c = {0};
    double wished = wish(self, t, t->count), delay = wished;
    for (size_t i = 0; i < t->count; i++) {
        double most = i ? slew_ms_a_s * (t->arrival_ms[i] - t->arrival_ms[i - 1]) / 1000 : 0;
        delay = motion == AT_ONCE ? wished : fmax(delay - most, fmin(delay + most, wished));
        bool is_late = t->late_ms[i] > delay;
        c.delay_ms += delay;
        c.late += is_late;
        wished = wish(self, t, i);
        delay = is_late && motion == AS_A_RECEIVER ? wished : delay;
    }
    c.delay_ms /= (double)t->count;
    c.late /= (double)t->count;
    return c;
}

/* ---- Bounds, with the future known -------------------------------------------------------------
 */

/* D is STEP_MS times 0 to STEPS - 1. */
enum { STEPS = 2400 };
static const double STEP_MS = 0.25;

/* The least D that is not too small for this packet. */
static size_t enough(double late_ms)
{
    double k = ceil(late_ms / STEP_MS);
    return k >= STEPS ? STEPS : (size_t)k;
}

static double fixed_best(const struct trace *t)
{
    static double late[STEPS + 1];
    memset(late, 0, sizeof late);
    for (size_t i = 0; i < t->count; i++)
        late[enough(t->late_ms[i])]++;
    double best = HUGE_VAL, above = (double)t->count;
    for (size_t k = 0; k < STEPS; k++) {
        above -= late[k];
        best = fmin(best, (double)k * STEP_MS + lambda_ms * above / (double)t->count);
    }
    return best;
}

/* least[k]: the least cost of all up to now, with D at k. D stays for as long as one step of it
 * takes, and then moves by one step, or not. */
static double clairvoyant(const struct trace *t)
{
    static double least[STEPS], before[STEPS], late[STEPS + 1];
    double block_ms = 1000 * STEP_MS / slew_ms_a_s;
    memset(least, 0, sizeof least);
    for (size_t i = 0; i < t->count;) {
        double until_ms = t->arrival_ms[i] + block_ms, count = 0;
        memset(late, 0, sizeof late);
        for (; i < t->count && t->arrival_ms[i] < until_ms; i++, count++)
            late[enough(t->late_ms[i])]++;
        memcpy(before, least, sizeof before);
        double above = count;
        for (size_t k = 0; k < STEPS; k++) {
            double from = before[k];
            from = k ? fmin(from, before[k - 1]) : from;
            from = k + 1 < STEPS ? fmin(from, before[k + 1]) : from;
            above -= late[k];
            least[k] = from + (double)k * STEP_MS * count + lambda_ms * above;
        }
    }
    double best = HUGE_VAL;
    for (size_t k = 0; k < STEPS; k++)
        best = fmin(best, least[k]);
    return best / (double)t->count;
}

static double jumping(const struct trace *t)
{
    static double least[STEPS];
    memset(least, 0, sizeof least);
    double best = 0;
    for (size_t i = 0; i < t->count; i++) {
        double from = best + lambda_ms;
        size_t k_enough = enough(t->late_ms[i]);
        best = HUGE_VAL;
        for (size_t k = 0; k < STEPS; k++) {
            least[k] = fmin(least[k], from) + (double)k * STEP_MS + (k < k_enough ? lambda_ms : 0);
            best = fmin(best, least[k]);
        }
    }
    return best / (double)t->count;
}

/* ---- takt, quantiles ---------------------------------------------------------------------------
 */

static double wish_takt(void *self, const struct trace *t, size_t i)
{
    if (i < t->count)
        takt_target_update(self, (int64_t)(t->late_ms[i] * 1e6), (int64_t)(t->packet_ms * 1e6));
    return 1e-6 * (double)takt_target_delay_ns(self);
}

static struct cost run_takt(const struct trace *t, enum motion motion)
{
    struct takt_target *target;
    if (takt_target_create(&(struct takt_target_cfg){0}, &target) < 0)
        exit(2);
    struct cost c = follow(t, wish_takt, target, motion);
    takt_target_destroy(target);
    return c;
}

/* Recounted every 10 packets. */
struct quantile {
    double q, window_ms, wish_ms;
    size_t from;
    double count[STEPS + 1];
};

static double wish_quantile(void *self, const struct trace *t, size_t i)
{
    struct quantile *w = self;
    if (i == t->count)
        return w->wish_ms;
    w->count[enough(t->late_ms[i])]++;
    for (; t->arrival_ms[i] - t->arrival_ms[w->from] > w->window_ms; w->from++)
        w->count[enough(t->late_ms[w->from])]--;
    if (i % 10)
        return w->wish_ms;
    double left = w->q * (double)(i + 1 - w->from);
    size_t k = 0;
    while (k < STEPS - 1 && (left -= w->count[k]) > 0)
        k++;
    return w->wish_ms = (double)k * STEP_MS;
}

static struct cost run_quantile(const struct trace *t, double q, double window_s)
{
    struct quantile *w = need(1, sizeof *w);
    *w = (struct quantile){.q = q, .window_ms = 1000 * window_s, .wish_ms = 20};
    struct cost c = follow(t, wish_quantile, w, AS_A_RECEIVER);
    free(w);
    return c;
}

/* ---- NetEQ -------------------------------------------------------------------------------------
 * As WebRTC's delay manager describes itself (modules/audio_coding/neteq, 2022 and later): the
 * delay of a packet relative to the fastest one of the last 2 s goes into a histogram of 100
 * buckets of 20 ms, of which every update forgets a part. The largest delay of each 500 ms counts,
 * and the 0.95-quantile of that, rounded up to a bucket, is the target; it begins at 80 ms. For
 * packets that were overtaken a second histogram takes all packets, those in order as 0, and finds
 * the delay above the first target with the least delay + 20 ms * percent late; the larger of the
 * two is the target. */

enum { BUCKETS = 100, BUCKET_MS = 20 };

struct histogram {
    double bucket[BUCKETS], base_forget, forget, start_weight;
    double adds;
};

static void start_histogram(struct histogram *h, double forget)
{
    *h = (struct histogram){.base_forget = forget, .start_weight = 2};
    for (int i = 0; i < BUCKETS; i++)
        h->bucket[i] = pow(0.5, i + 1);
}

static void add_to_histogram(struct histogram *h, int at)
{
    for (int i = 0; i < BUCKETS; i++)
        h->bucket[i] *= h->forget;
    h->bucket[at] += 1 - h->forget;
    h->adds++;
    h->forget = fmax(0, fmin(h->base_forget, 1 - h->start_weight / (h->adds + 1)));
}

struct neteq {
    double quantile, resample_ms;
    struct histogram underrun, reorder;
    size_t *lows, first, count; /* of the last 2 s: packets lower than all after them */
    double since_ms, most_ms, newest_ms, target_ms, underrun_ms;
    bool has_begun;
};

static double relative_delay(struct neteq *n, const struct trace *t, size_t i)
{
    while (n->count && t->late_ms[n->lows[n->first + n->count - 1]] >= t->late_ms[i])
        n->count--;
    n->lows[n->first + n->count++] = i;
    for (; t->media_ms[n->lows[n->first]] + 2000 < t->media_ms[i]; n->count--)
        n->first++;
    return floor(t->late_ms[i] - t->late_ms[n->lows[n->first]]);
}

static void count_underrun(struct neteq *n, double now_ms, double delay_ms)
{
    double sample_ms = delay_ms;
    if (n->resample_ms > 0) {
        if (!n->has_begun) {
            n->has_begun = true;
            n->since_ms = now_ms;
        }
        bool is_due = now_ms - n->since_ms > n->resample_ms;
        sample_ms = n->most_ms;
        n->most_ms = is_due ? delay_ms : fmax(n->most_ms, delay_ms);
        if (!is_due)
            return;
        n->since_ms = now_ms;
    }
    if (sample_ms < BUCKETS * BUCKET_MS)
        add_to_histogram(&n->underrun, (int)(sample_ms / BUCKET_MS));
    int k = 0;
    for (double left = 1 - n->underrun.bucket[0]; left > 1 - n->quantile && k < BUCKETS - 1;)
        left -= n->underrun.bucket[++k];
    n->underrun_ms = (1 + k) * BUCKET_MS;
}

static double reorder_delay(struct neteq *n, bool was_overtaken, double delay_ms)
{
    int at = was_overtaken ? (int)(delay_ms / BUCKET_MS) : 0;
    if (at < BUCKETS)
        add_to_histogram(&n->reorder, at);
    double left = 1, best = HUGE_VAL;
    int best_at = 0;
    for (int k = 0; k < BUCKETS; k++) {
        left -= n->reorder.bucket[k];
        double cost = fmax(0, k * BUCKET_MS - n->underrun_ms) + 100 * 20 * left;
        if (cost < best - 1e-9) {
            best = cost;
            best_at = k;
        }
    }
    return (1 + best_at) * BUCKET_MS;
}

static double wish_neteq(void *self, const struct trace *t, size_t i)
{
    struct neteq *n = self;
    if (i == t->count)
        return n->target_ms;
    double delay_ms = relative_delay(n, t, i);
    bool was_overtaken = i && t->media_ms[i] < n->newest_ms;
    n->newest_ms = i ? fmax(n->newest_ms, t->media_ms[i]) : t->media_ms[i];
    if (!was_overtaken)
        count_underrun(n, t->arrival_ms[i], delay_ms);
    n->target_ms = fmax(n->underrun_ms, reorder_delay(n, was_overtaken, delay_ms));
    return t->late_ms[n->lows[n->first]] + n->target_ms;
}

static struct cost run_neteq(const struct trace *t, double quantile, double forget,
                             double resample_ms, enum motion motion)
{
    struct neteq *n = need(1, sizeof *n);
    *n = (struct neteq){.quantile = quantile,
                        .resample_ms = resample_ms,
                        .target_ms = 80,
                        .underrun_ms = 80,
                        .lows = need(t->count, sizeof *n->lows)};
    start_histogram(&n->underrun, forget);
    start_histogram(&n->reorder, 0.9993);
    struct cost c = follow(t, wish_neteq, n, motion);
    free(n->lows);
    free(n);
    return c;
}

/* ---- The table ---------------------------------------------------------------------------------
 */

/* What one network cost, in ms, summed over its seeds. */
struct row {
    struct cost takt;
    double as_wished, clairvoyant, jumping, fixed, quantile, neteq, neteq_2020, update_us;
};

static double cheapest_neteq(const struct trace *t, double quantile, double forget,
                             double resample_ms)
{
    double best = HUGE_VAL;
    for (enum motion m = AS_A_RECEIVER; m <= AT_ONCE; m++)
        best = fmin(best, total_ms(run_neteq(t, quantile, forget, resample_ms, m)));
    return best;
}

static double best_quantile(const struct trace *t)
{
    static const double qs[] = {0.9, 0.95, 0.98, 0.99, 0.995, 0.998},
                        windows_s[] = {2, 10, 60, 300};
    double best = HUGE_VAL;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 4; j++)
            best = fmin(best, total_ms(run_quantile(t, qs[i], windows_s[j])));
    return best;
}

static void measure(struct row *r, struct trace *t, double part)
{
    find_lateness(t);
    int64_t begun = bench_now_ns();
    r->as_wished += part * total_ms(run_takt(t, AT_ONCE));
    r->update_us += part * 1e-3 * (double)(bench_now_ns() - begun) / (double)t->count;
    struct cost c = run_takt(t, AS_A_RECEIVER);
    r->takt.delay_ms += part * c.delay_ms;
    r->takt.late += part * c.late;
    r->clairvoyant += part * clairvoyant(t);
    r->jumping += part * jumping(t);
    r->fixed += part * fixed_best(t);
    r->quantile += part * best_quantile(t);
    r->neteq += part * cheapest_neteq(t, 0.95, 0.983, 500);
    r->neteq_2020 += part * cheapest_neteq(t, 0.97, 0.9993, 0);
}

static void print_row(const char *name, const char *kind, const struct row *r)
{
    double ours = total_ms(r->takt);
    printf("{\"bench\":\"net_delay\",\"network\":\"%s\",\"kind\":\"%s\",\"takt\":%.3f,"
           "\"takt_delay_ms\":%.3f,\"takt_late\":%.6f,\"as_wished\":%.3f,\"clairvoyant\":%.3f,"
           "\"jumping\":%.3f,\"fixed\":%.3f,\"quantile\":%.3f,\"neteq\":%.3f,"
           "\"neteq_2020\":%.3f,\"to_clairvoyant\":%.3f,\"to_neteq\":%.3f,\"update_us\":%.3f}\n",
           name, kind, ours, r->takt.delay_ms, r->takt.late, r->as_wished, r->clairvoyant,
           r->jumping, r->fixed, r->quantile, r->neteq, r->neteq_2020, ours / r->clairvoyant,
           ours / r->neteq, r->update_us);
    fflush(stdout);
    fprintf(stderr,
            "%-14s %7.2f %6.2f %6.3f%% %7.2f | %7.2f %7.2f %7.2f %7.2f %7.2f | %5.2f %5.2f\n", name,
            ours, r->takt.delay_ms, 100 * r->takt.late, r->as_wished, r->clairvoyant, r->jumping,
            r->fixed, r->quantile, r->neteq, ours / r->clairvoyant, ours / r->neteq);
}

static bool bar(const char *what, double ratio, double most)
{
    bool holds = ratio <= most;
    printf("{\"bench\":\"net_delay\",\"bar\":\"%s\",\"ratio\":%.3f,\"most\":%.2f,\"holds\":%s}\n",
           what, ratio, most, holds ? "true" : "false");
    fprintf(stderr, "%-28s %.3f, at most %.2f%s\n", what, ratio, most, holds ? "" : ": MISSED");
    return holds;
}

/* `arrival_ns rtp_timestamp` lines. */
static bool load(const char *path, struct trace *t)
{
    FILE *f = fopen(path, "r");
    size_t most = 0;
    for (int c; f && (c = getc(f)) != EOF;)
        most += c == '\n';
    open_trace(t, most + 1);
    long long arrival_ns;
    unsigned stamp;
    int64_t frames = 0, first_ns = 0, last = 0;
    if (f)
        rewind(f);
    double *gaps = need(most + 1, sizeof *gaps);
    while (f && t->count <= most && fscanf(f, "%lld %u", &arrival_ns, &stamp) == 2) {
        first_ns = t->count ? first_ns : arrival_ns;
        last = frames;
        frames = t->count ? takt_unwrap32(frames, stamp) : (int64_t)stamp;
        gaps[t->count] = t->count ? 1000.0 * (double)(frames - last) / RATE_HZ : 0;
        t->arrival_ms[t->count] = 1e-6 * (double)(arrival_ns - first_ns);
        t->media_ms[t->count++] = 1000.0 * (double)frames / RATE_HZ;
    }
    if (f)
        fclose(f);
    if (t->count > 1)
        t->packet_ms = bench_median(gaps + 1, t->count - 1);
    free(gaps);
    return t->count > 1;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 600;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    double bound[2] = {0}, neteq[2] = {0}, neteq_all = 0, networks[2] = {0};
    static const char *const kinds[] = {"wired", "wifi", "mobile"};
    if (!(seconds >= 10)) {
        fprintf(stderr, "net_delay [SECONDS] [SEED] [TRACE...]: 10 seconds at least\n");
        return 2;
    }
    fprintf(stderr, "%-14s %7s %6s %7s %7s | %7s %7s %7s %7s %7s | %5s %5s\n", "network", "takt",
            "D", "late", "wished", "clairv.", "jumping", "fixed", "quant.", "neteq", "/cl.",
            "/neteq");
    for (int s = 0; s < SCENES; s++) {
        struct row r = {0};
        for (int k = 0; k < SEEDS; k++) {
            struct trace t;
            simulate(&scenes[s], seconds, 1000 * (seed + (uint64_t)k) + (uint64_t)s, &t);
            measure(&r, &t, 1.0 / SEEDS);
            close_trace(&t);
        }
        print_row(scenes[s].name, kinds[scenes[s].kind], &r);
        neteq_all += total_ms(r.takt) / r.neteq / SCENES;
        if (scenes[s].kind == MOBILE)
            continue;
        networks[scenes[s].kind]++;
        bound[scenes[s].kind] += total_ms(r.takt) / r.clairvoyant;
        neteq[scenes[s].kind] += total_ms(r.takt) / r.neteq;
    }
    bool all = bar("wifi to clairvoyant", bound[WIFI] / networks[WIFI], 1.5);
    all &= bar("wired to clairvoyant", bound[WIRED] / networks[WIRED], 2.1);
    all &= bar("wifi to neteq", neteq[WIFI] / networks[WIFI], 0.6);
    all &= bar("wired to neteq", neteq[WIRED] / networks[WIRED], 0.6);
    all &= bar("all networks to neteq", neteq_all, 0.6);
    for (int i = 3; i < argc; i++) {
        struct row r = {0};
        struct trace t;
        if (load(argv[i], &t))
            measure(&r, &t, 1);
        else
            fprintf(stderr, "%s: no lines of `arrival_ns rtp_timestamp`\n", argv[i]);
        if (t.count > 1)
            print_row(argv[i], "trace", &r);
        all &= t.count > 1;
        close_trace(&t);
    }
    return all ? 0 : 1;
}
