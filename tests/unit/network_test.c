/* A network with faults: each is as often and as large as was asked, whatever else there is. */
#include "base/random.h"
#include "fault.h"
#include "sim/network.h"
#include "tap.h"

#include <math.h>

enum { PACKETS = 200000, BYTES = 60, MS = 1000000, GAP_NS = MS, COPIES = 2 };
static const int64_t start_ns = 123456789012345;

/* What came of PACKETS packets, one each ms: of packet i its copies' arrivals since it was sent. */
static struct {
    int copies[PACKETS];
    int64_t delay_ns[PACKETS][COPIES];
    uint32_t order[PACKETS * COPIES]; /* which packet was the n-th to arrive */
    uint32_t arrived;
    uint32_t in_doubt; /* damaged so that nobody can tell which it is */
    uint32_t flipped;  /* packets with wrong bits, */
    uint32_t short_;   /* … and cut ones */
    struct takt_network_stats stats;
    uint64_t sum; /* of all that came and when */
} run;

static void fill(uint8_t *packet, uint32_t i)
{
    for (int k = 0; k < BYTES / 4; k++)
        for (int b = 0; b < 4; b++)
            packet[4 * k + b] = (uint8_t)(i >> 8 * b);
}

/* Most of the copies of the number say the same. */
static uint32_t number_of(const uint8_t *packet, size_t bytes)
{
    uint32_t best = PACKETS, votes = 0;
    for (size_t k = 0; k + 4 <= bytes; k += 4) {
        uint32_t i = 0;
        for (size_t b = 0; b < 4; b++)
            i |= (uint32_t)packet[k + b] << 8 * b;
        best = votes == 0 ? i : best;
        votes = best == i ? votes + 1 : votes - 1;
    }
    return votes ? best : PACKETS;
}

static void note(int64_t arrival_ns, const uint8_t *packet, size_t bytes)
{
    uint32_t i = number_of(packet, bytes);
    run.sum = (run.sum ^ (uint64_t)arrival_ns) * 0x9e3779b97f4a7c15u;
    for (size_t b = 0; b < bytes; b++)
        run.sum = (run.sum ^ packet[b]) * 0x9e3779b97f4a7c15u;
    run.sum ^= run.sum >> 32;
    run.short_ += bytes < BYTES;
    if (i >= PACKETS || run.copies[i] == COPIES) {
        run.in_doubt++;
        return;
    }
    uint8_t sent[BYTES];
    fill(sent, i);
    run.flipped += memcmp(sent, packet, bytes) != 0;
    run.order[run.arrived++] = i;
    run.delay_ns[i][run.copies[i]++] = arrival_ns - (start_ns + (int64_t)i * GAP_NS);
}

/* The last times are monotonous, or it is no network: returns false. */
static bool drain(struct takt_network *n, int64_t now_ns, int64_t *last_ns)
{
    uint8_t out[BYTES];
    int64_t arrival_ns, due_ns = takt_network_next_ns(n);
    int bytes;
    while ((bytes = takt_network_next(n, now_ns, &arrival_ns, out, sizeof out)) > 0) {
        if (arrival_ns < *last_ns || arrival_ns > now_ns || arrival_ns != due_ns)
            return false;
        *last_ns = arrival_ns;
        note(arrival_ns, out, (size_t)bytes);
        due_ns = takt_network_next_ns(n);
    }
    return bytes == 0;
}

static bool is_all_counted(const struct takt_network_stats *s)
{
    return s->sent + s->duplicated == s->delivered + s->lost + s->queue_drops + s->in_flight;
}

static bool run_network(struct takt_network_cfg cfg, uint64_t seed)
{
    struct takt_network *n;
    uint8_t packet[BYTES];
    int64_t last_ns = INT64_MIN, now_ns = start_ns;
    memset(&run, 0, sizeof run);
    cfg.bytes_max = BYTES;
    if (takt_network_create(&cfg, seed, &n, NULL) != TAKT_OK)
        return false;
    bool is_well = true;
    for (uint32_t i = 0; i < PACKETS && is_well; i++, now_ns += GAP_NS) {
        fill(packet, i);
        is_well &= takt_network_send(n, now_ns, packet, sizeof packet) == TAKT_OK;
        is_well &= drain(n, now_ns, &last_ns);
        run.stats = takt_network_stats(n);
        is_well &= is_all_counted(&run.stats);
    }
    is_well &= drain(n, INT64_MAX, &last_ns);
    run.stats = takt_network_stats(n);
    is_well &= is_all_counted(&run.stats) && run.stats.in_flight == 0;
    takt_network_destroy(n);
    return is_well;
}

/* What is asked for in words, as the command does. */
static bool run_words(const char *const (*words)[2], uint64_t seed)
{
    struct takt_network_cfg cfg = {0};
    for (; (*words)[0]; words++)
        if (takt_network_parse((*words)[0], (*words)[1], &cfg, NULL) != TAKT_OK)
            return false;
    return run_network(cfg, seed);
}

#define RUN_WORDS(seed, ...) run_words((const char *const[][2]){__VA_ARGS__, {NULL, NULL}}, (seed))

/* Of the delays of all that arrived, in ms. */
struct moments {
    double mean, deviation, least, most;
};

static struct moments find_moments(void)
{
    struct moments m = {.least = HUGE_VAL, .most = -HUGE_VAL};
    double count = 0, squares = 0;
    for (uint32_t i = 0; i < PACKETS; i++)
        for (int c = 0; c < run.copies[i]; c++) {
            double x = 1e-6 * (double)run.delay_ns[i][c];
            m.least = fmin(m.least, x);
            m.most = fmax(m.most, x);
            m.mean += x;
            squares += x * x;
            count++;
        }
    m.mean /= count;
    m.deviation = sqrt(squares / count - m.mean * m.mean);
    return m;
}

/* Packets that arrived after a later one. */
static uint32_t count_overtaken(void)
{
    uint32_t count = 0, newest = 0;
    for (uint32_t k = 0; k < run.arrived; k++) {
        count += run.order[k] < newest;
        newest = run.order[k] > newest ? run.order[k] : newest;
    }
    return count;
}

/* ---- Each fault ------------------------------------------------------------------------------ */

static void network_without_faults_is_a_wire(void)
{
    CHECK(run_network((struct takt_network_cfg){0}, 1));
    struct moments m = find_moments();
    CHECK(m.least == 0 && m.most == 0);
    CHECK_INT(run.stats.delivered, PACKETS);
    CHECK_INT(run.flipped + run.short_ + run.in_doubt, 0);
}

static void delay_is_added_to_each(void)
{
    CHECK(RUN_WORDS(1, {"delay", "12.5"}));
    struct moments m = find_moments();
    CHECK(m.least == 12.5 && m.most == 12.5);
}

static void loss_is_a_share_of_packets_on_their_own(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        CHECK(RUN_WORDS(seed, {"loss", "0.05"}));
        CHECK_NEAR((double)run.stats.lost / PACKETS, 0.05, 0.002);
        double runs = 0;
        for (uint32_t i = 1; i < PACKETS; i++)
            runs += !run.copies[i] && run.copies[i - 1];
        CHECK_NEAR((double)run.stats.lost / runs, 1 / 0.95, 0.02);
        CHECK_INT(run.stats.lost, PACKETS - run.arrived);
    }
}

static void burst_is_the_mean_run_and_leaves_the_loss(void)
{
    static const char *const bursts[] = {"1", "1.5", "3", "10"};
    for (int k = 0; k < 4; k++) {
        CHECK(RUN_WORDS(7, {"burst", bursts[k]}, {"loss", "0.05"}));
        double runs = 0, burst = atof(bursts[k]);
        for (uint32_t i = 1; i < PACKETS; i++)
            runs += !run.copies[i] && run.copies[i - 1];
        CHECK_NEAR((double)run.stats.lost / PACKETS, 0.05, 0.002 * sqrt(2 * burst));
        CHECK_NEAR((double)run.stats.lost / runs, burst, 4 * burst / sqrt(runs));
    }
}

static void all_or_nothing_may_be_lost(void)
{
    CHECK(RUN_WORDS(1, {"loss", "1"}));
    CHECK_INT(run.stats.lost, PACKETS);
    CHECK(RUN_WORDS(1, {"loss", "0"}, {"burst", "3"}));
    CHECK_INT(run.stats.lost, 0);
}

static void uniform_jitter_is_uniform(void)
{
    CHECK(RUN_WORDS(1, {"jitter", "uniform:5"}, {"delay", "1"}));
    struct moments m = find_moments();
    CHECK_NEAR(m.mean, 1 + 2.5, 0.02);
    CHECK_NEAR(m.deviation, 5 / sqrt(12), 0.02);
    CHECK(m.least >= 1 && m.least < 1.01 && m.most <= 6 && m.most > 5.99);
}

static void gamma_jitter_has_mean_and_deviation(void)
{
    static const struct {
        const char *text;
        double mean, deviation;
    } cases[] = {
        {"gamma:5,5", 5, 5}, {"gamma:5,1", 5, 1}, {"gamma:2,4", 2, 4}, {"gamma:3,0", 3, 0}};
    for (int k = 0; k < 4; k++) {
        CHECK(RUN_WORDS(2, {"jitter", cases[k].text}));
        struct moments m = find_moments();
        CHECK_NEAR(m.mean, cases[k].mean, 0.02 * (cases[k].mean + cases[k].deviation));
        CHECK_NEAR(m.deviation, cases[k].deviation, 0.03 * cases[k].deviation + 1e-4);
        CHECK(m.least >= 0);
    }
}

/* Quantiles, since the mean says little: P(delay > x) = (1 + x / scale)^-shape. */
static void pareto_jitter_has_its_tail(void)
{
    CHECK(RUN_WORDS(3, {"jitter", "pareto:0.5,1.6"}));
    for (double x = 0.1; x < 50; x *= 3) {
        double above = 0, want = pow(1 + x / 0.5, -1.6);
        for (uint32_t i = 0; i < PACKETS; i++)
            above += 1e-6 * (double)run.delay_ns[i][0] > x;
        CHECK_NEAR(above / PACKETS, want, 5 * sqrt(want / PACKETS));
    }
    CHECK(find_moments().most <= 1000);
}

static void order_is_kept_only_when_asked(void)
{
    CHECK(RUN_WORDS(4, {"jitter", "gamma:5,5"}, {"order", "kept"}));
    CHECK_INT(count_overtaken(), 0);
    CHECK(find_moments().mean > 5);
    CHECK(RUN_WORDS(4, {"jitter", "gamma:5,5"}, {"order", "free"}));
    CHECK(count_overtaken() > PACKETS / 3);
}

static void spikes_are_single_packets(void)
{
    CHECK(RUN_WORDS(5, {"spike", "0.5,80"}));
    uint32_t spikes = 0;
    for (uint32_t i = 0; i < PACKETS; i++) {
        bool is_spike = run.delay_ns[i][0] == 80 * MS;
        CHECK(is_spike || run.delay_ns[i][0] == 0);
        spikes += is_spike;
    }
    CHECK_NEAR(spikes, PACKETS * 1e-3 / 0.5, 5 * sqrt(PACKETS * 1e-3 / 0.5));
    CHECK(RUN_WORDS(5, {"spike", "0.5,80"}, {"order", "kept"}));
    CHECK_INT(count_overtaken(), 0);
}

/* Whatever leaves together has waited at most one and a half slots, and half of one on average. */
static void wifi_sends_in_slots(void)
{
    CHECK(RUN_WORDS(6, {"wifi", "20"}));
    double slots = 0;
    for (uint32_t i = 1; i < PACKETS; i++)
        slots += run.delay_ns[i][0] + GAP_NS != run.delay_ns[i - 1][0];
    struct moments m = find_moments();
    CHECK_NEAR(slots, PACKETS / 20.0, PACKETS / 20.0 * 0.03);
    CHECK(m.least >= 0 && m.most <= 30);
    CHECK_NEAR(m.mean, 20 * (1 + 1 / 12.0) / 2, 0.5);
    CHECK_INT(count_overtaken(), 0);
}

static void route_steps_up_and_down(void)
{
    CHECK(RUN_WORDS(7, {"step", "10,15"}, {"delay", "3"}));
    for (uint32_t i = 0; i < PACKETS; i++)
        CHECK_INT(run.delay_ns[i][0], (i / 10000 % 2 ? 18 : 3) * MS);
}

static void still_path_gives_all_at_once(void)
{
    CHECK(RUN_WORDS(8, {"still", "2,60"}));
    for (uint32_t i = 0; i < PACKETS; i++) {
        uint32_t phase = i % 2000;
        CHECK_INT(run.delay_ns[i][0], i >= 2000 && phase < 60 ? (60 - phase) * MS : 0);
    }
    CHECK(RUN_WORDS(8, {"still", "2,60"}, {"jitter", "gamma:5,5"}, {"order", "kept"}));
    CHECK_INT(count_overtaken(), 0);
}

/* Each of them comes one to three packets later, and nothing else moves. */
static void reordered_packets_come_a_little_later(void)
{
    CHECK(RUN_WORDS(9, {"reorder", "0.02"}, {"order", "kept"}, {"delay", "5"}));
    CHECK_NEAR((double)run.stats.reordered / PACKETS, 0.02, 0.002);
    uint32_t moved = 0, by[4] = {0};
    for (uint32_t i = 0; i < PACKETS; i++) {
        int64_t late_ns = run.delay_ns[i][0] - 5 * MS;
        CHECK(late_ns == 0 || late_ns == 3 * MS / 2 || late_ns == 5 * MS / 2 ||
              late_ns == 7 * MS / 2);
        moved += late_ns != 0;
        by[late_ns / MS]++;
    }
    CHECK_INT(moved, run.stats.reordered);
    for (int k = 1; k <= 3; k++)
        CHECK_NEAR(by[k], moved / 3.0, moved / 3.0 * 0.1);
    CHECK_NEAR(count_overtaken(), moved, 0.03 * moved); /* two in a row may keep their order */
}

static void duplicates_come_twice_whole(void)
{
    CHECK(RUN_WORDS(10, {"duplicate", "0.03"}, {"jitter", "uniform:3"}));
    uint32_t twice = 0;
    for (uint32_t i = 0; i < PACKETS; i++) {
        CHECK(run.copies[i] >= 1);
        twice += run.copies[i] == 2;
    }
    CHECK_NEAR((double)twice / PACKETS, 0.03, 0.003);
    CHECK_INT(twice, run.stats.duplicated);
    CHECK_INT(run.flipped, 0);
}

static void corrupt_packets_have_wrong_bits(void)
{
    CHECK(RUN_WORDS(11, {"corrupt", "0.04"}));
    CHECK_NEAR((double)run.stats.corrupted / PACKETS, 0.04, 0.003);
    CHECK_INT(run.flipped, run.stats.corrupted);
    CHECK_INT(run.short_, 0);
}

static void truncated_packets_are_short(void)
{
    CHECK(RUN_WORDS(12, {"truncate", "0.04"}));
    CHECK_NEAR((double)run.stats.truncated / PACKETS, 0.04, 0.003);
    CHECK_INT(run.short_, run.stats.truncated);
    CHECK_INT(run.flipped, 0);
    CHECK_INT(run.stats.delivered, PACKETS);
}

static void partition_loses_its_time_and_heals(void)
{
    CHECK(RUN_WORDS(13, {"partition", "3.5,2"}));
    for (uint32_t i = 0; i < PACKETS; i++)
        CHECK_INT(run.copies[i], i < 3500 || i >= 5500);
    CHECK(run.stats.lost == 2000 && run.stats.partitioned == 2000);
}

/* 60 bytes each ms are 480 kbit/s. */
static void bottleneck_delays_by_its_queue_and_drops_the_rest(void)
{
    CHECK(RUN_WORDS(14, {"rate", "960,50"}));
    CHECK_INT(run.stats.queue_drops, 0);
    struct moments m = find_moments();
    CHECK(m.least == 0.5 && m.most == 0.5);
    CHECK(RUN_WORDS(14, {"rate", "240,50"}));
    CHECK_NEAR((double)run.stats.delivered / PACKETS, 0.5, 0.001);
    CHECK_INT(run.stats.queue_drops + run.stats.delivered, PACKETS);
    m = find_moments();
    CHECK(m.most <= 52 && m.most > 50);
    CHECK_INT(count_overtaken(), 0);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static const char *const everything[][2] = {
    {"loss", "0.03"},       {"burst", "2"},        {"delay", "10"},     {"jitter", "pareto:1,1.5"},
    {"spike", "3,100"},     {"wifi", "4"},         {"step", "7,9"},     {"still", "2,60"},
    {"reorder", "0.01"},    {"duplicate", "0.01"}, {"corrupt", "0.01"}, {"truncate", "0.01"},
    {"partition", "100,3"}, {"rate", "2000,30"},   {"order", "free"},   {NULL, NULL},
};

static void same_seed_gives_the_same_bytes(void)
{
    CHECK(run_words(everything, 99));
    uint64_t sum = run.sum;
    CHECK(run_words(everything, 99));
    CHECK(run.sum == sum);
    CHECK(run_words(everything, 100));
    CHECK(run.sum != sum);
}

/* What one fault does to a packet does not depend on the others. */
static void one_fault_more_leaves_the_others_as_they_were(void)
{
    static int64_t alone[PACKETS];
    CHECK(RUN_WORDS(15, {"jitter", "gamma:2,4"}));
    for (uint32_t i = 0; i < PACKETS; i++)
        alone[i] = run.delay_ns[i][0];
    CHECK(RUN_WORDS(15, {"jitter", "gamma:2,4"}, {"loss", "0.1"}, {"burst", "2"},
                    {"corrupt", "0.01"}, {"delay", "7"}));
    uint32_t others = 0;
    for (uint32_t i = 0; i < PACKETS; i++)
        others += run.copies[i] == 1 && run.delay_ns[i][0] != alone[i] + 7 * MS;
    CHECK_INT(others, 0);
}

/* Nor do second copies hold up anybody. */
static void duplicates_leave_the_others_as_they_were(void)
{
    static int64_t alone[PACKETS];
    CHECK(RUN_WORDS(16, {"jitter", "gamma:2,4"}, {"order", "kept"}));
    for (uint32_t i = 0; i < PACKETS; i++)
        alone[i] = run.delay_ns[i][0];
    CHECK(RUN_WORDS(16, {"jitter", "gamma:2,4"}, {"order", "kept"}, {"duplicate", "0.3"}));
    for (uint32_t i = 0; i < PACKETS; i++)
        CHECK(run.delay_ns[i][0] == alone[i] ||
              (run.copies[i] == 2 && run.delay_ns[i][1] == alone[i]));
}

/* Times that go back are taken for the last one. */
static void sender_that_goes_back_waits(void)
{
    struct takt_network *n;
    uint8_t packet[BYTES] = {1}, out[BYTES];
    int64_t at_ns = 0;
    CHECK_INT(takt_network_create(&(struct takt_network_cfg){0}, 1, &n, NULL), TAKT_OK);
    CHECK_INT(takt_network_next_ns(n), INT64_MAX);
    CHECK_INT(takt_network_send(n, -5, packet, sizeof packet), TAKT_OK);
    CHECK_INT(takt_network_send(n, 900, packet, sizeof packet), TAKT_OK);
    CHECK_INT(takt_network_send(n, 100, packet, sizeof packet), TAKT_OK);
    CHECK_INT(takt_network_next(n, -6, &at_ns, out, sizeof out), 0);
    CHECK_INT(takt_network_next(n, -5, &at_ns, out, sizeof out), BYTES);
    CHECK_INT(at_ns, -5);
    CHECK_INT(takt_network_next(n, 899, &at_ns, out, sizeof out), 0);
    CHECK_INT(takt_network_next(n, 900, &at_ns, out, sizeof out - 1), TAKT_ERR_FULL);
    CHECK_INT(takt_network_next(n, 900, &at_ns, out, sizeof out), BYTES);
    CHECK_INT(takt_network_next(n, 900, &at_ns, out, sizeof out), BYTES);
    CHECK_INT(at_ns, 900);
    takt_network_destroy(n);
}

/* What is on its way is bounded, and what finds no room is counted; then there is room again. */
static void flight_is_bounded_and_counted(void)
{
    struct takt_network *n;
    struct takt_network_cfg cfg = {.delay_ms = 100, .flight_max = 10, .bytes_max = BYTES};
    uint8_t packet[BYTES + 1] = {0}, out[BYTES];
    int64_t at_ns;
    CHECK_INT(takt_network_create(&cfg, 1, &n, NULL), TAKT_OK);
    long held = fault_held();
    CHECK_INT(takt_network_send(n, 0, packet, BYTES + 1), TAKT_ERR_ARG);
    CHECK_INT(takt_network_send(n, 0, packet, 0), TAKT_ERR_ARG);
    for (int round = 1; round <= 5; round++) {
        int64_t now_ns = round * 1000ll * MS;
        for (int i = 0; i < 15; i++)
            CHECK_INT(takt_network_send(n, now_ns, packet, BYTES), TAKT_OK);
        struct takt_network_stats s = takt_network_stats(n);
        CHECK(s.in_flight == 10 && s.queue_drops == (uint64_t)round * 5 && is_all_counted(&s));
        for (int i = 0; i < 10; i++)
            CHECK_INT(takt_network_next(n, now_ns + 100 * MS, &at_ns, out, sizeof out), BYTES);
        CHECK_INT(takt_network_next(n, INT64_MAX, &at_ns, out, sizeof out), 0);
    }
    CHECK_INT(fault_held(), held);
    takt_network_destroy(n);
}

/* ---- Words and memory ------------------------------------------------------------------------ */

static void parse_sets_what_was_asked(void)
{
    struct takt_network_cfg c = {0};
    for (int i = 0; everything[i][0]; i++)
        CHECK_INT(takt_network_parse(everything[i][0], everything[i][1], &c, NULL), TAKT_OK);
    CHECK(c.loss == 0.03 && c.burst == 2 && c.delay_ms == 10 && c.jitter == TAKT_JITTER_PARETO);
    CHECK(c.jitter_a == 1 && c.jitter_b == 1.5 && c.spike_every_s == 3 && c.spike_ms == 100);
    CHECK(c.wifi_slot_ms == 4 && c.step_every_s == 7 && c.step_ms == 9 && c.still_every_s == 2);
    CHECK(c.still_ms == 60 && c.reorder == 0.01 && c.duplicate == 0.01 && c.corrupt == 0.01);
    CHECK(c.truncate == 0.01 && c.partition_at_s == 100 && c.partition_for_s == 3);
    CHECK(c.rate_kbit_s == 2000 && c.queue_ms == 30 && !c.keeps_order);
    CHECK_INT(takt_network_parse("rate", "100", &c, NULL), TAKT_OK);
    CHECK(c.rate_kbit_s == 100 && c.queue_ms == 200);
    CHECK_INT(takt_network_parse("order", "kept", &c, NULL), TAKT_OK);
    CHECK(c.keeps_order);
}

static void parse_refuses_and_says_why(void)
{
    static const char *const wrong[][2] = {
        {"loss", "1.1"},
        {"loss", "-0.1"},
        {"loss", ""},
        {"loss", "0.1,2"},
        {"loss", "nan"},
        {"loss", "5%"},
        {"burst", "0.5"},
        {"burst", "x"},
        {"delay", "1e9"},
        {"jitter", "5"},
        {"jitter", "gamma:"},
        {"jitter", "gamma:5"},
        {"jitter", "uniform:1,2"},
        {"jitter", "pareto:1,0"},
        {"jitter", "pareto:1,2,3"},
        {"jitter", "gamma:5,5 "},
        {"order", "Kept"},
        {"order", ""},
        {"spike", "5"},
        {"spike", "0,5"},
        {"wifi", "-1"},
        {"step", "1,"},
        {"step", ",1"},
        {"still", "0.05,60"},
        {"reorder", "2"},
        {"duplicate", "inf"},
        {"corrupt", "1.01"},
        {"truncate", "1 "},
        {"partition", "3"},
        {"rate", "0.5"},
        {"rate", "1,2,3"},
        {"rate", "1e99"},
    };
    struct takt_network_cfg c, before;
    memset(&c, 0, sizeof c);
    c.loss = 0.25;
    memcpy(&before, &c, sizeof c);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_error e = {0};
        int code = takt_network_parse(wrong[i][0], wrong[i][1], &c, &e);
        if (code != TAKT_ERR_ARG)
            printf("# %s=%s\n", wrong[i][0], wrong[i][1]);
        CHECK_INT(code, TAKT_ERR_ARG);
        CHECK(e.code == TAKT_ERR_ARG && e.text[0]);
        CHECK(!memcmp(&c, &before, sizeof c));
    }
    for (const struct takt_network_option *o = takt_network_options; o->name; o++)
        CHECK_INT(takt_network_parse(o->name, NULL, &c, NULL), TAKT_ERR_ARG);
    CHECK_INT(takt_network_parse("los", "0.1", &c, NULL), TAKT_ERR_NOT_FOUND);
    CHECK_INT(takt_network_parse("", "0.1", &c, NULL), TAKT_ERR_NOT_FOUND);
}

static void create_refuses_what_cannot_be(void)
{
    static const struct takt_network_cfg wrong[] = {
        {.loss = 0.8, .burst = 2},
        {.loss = (double)NAN},
        {.jitter = (enum takt_network_jitter)4},
        {.flight_max = (1 << 20) + 1},
        {.bytes_max = 65536},
        {.queue_ms = -1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_network *n;
        struct takt_error e = {0};
        CHECK_INT(takt_network_create(&wrong[i], 1, &n, &e), TAKT_ERR_ARG);
        CHECK(!n && e.text[0]);
    }
}

static void create_gives_all_back_when_memory_fails(void)
{
    long held = fault_held();
    int at = 0;
    struct takt_network *n;
    do {
        fault_at(++at);
        int code = takt_network_create(&(struct takt_network_cfg){0}, 1, &n, NULL);
        CHECK_INT(code, fault_happened() ? TAKT_ERR_NOMEM : TAKT_OK);
        CHECK(code == TAKT_OK || (!n && fault_held() == held));
        takt_network_destroy(n);
    } while (fault_happened());
    fault_at(0);
    CHECK_INT(at, 3);
    CHECK_INT(fault_held(), held);
}

int main(void)
{
    RUN(network_without_faults_is_a_wire);
    RUN(delay_is_added_to_each);
    RUN(loss_is_a_share_of_packets_on_their_own);
    RUN(burst_is_the_mean_run_and_leaves_the_loss);
    RUN(all_or_nothing_may_be_lost);
    RUN(uniform_jitter_is_uniform);
    RUN(gamma_jitter_has_mean_and_deviation);
    RUN(pareto_jitter_has_its_tail);
    RUN(order_is_kept_only_when_asked);
    RUN(spikes_are_single_packets);
    RUN(wifi_sends_in_slots);
    RUN(route_steps_up_and_down);
    RUN(still_path_gives_all_at_once);
    RUN(reordered_packets_come_a_little_later);
    RUN(duplicates_come_twice_whole);
    RUN(corrupt_packets_have_wrong_bits);
    RUN(truncated_packets_are_short);
    RUN(partition_loses_its_time_and_heals);
    RUN(bottleneck_delays_by_its_queue_and_drops_the_rest);
    RUN(same_seed_gives_the_same_bytes);
    RUN(one_fault_more_leaves_the_others_as_they_were);
    RUN(duplicates_leave_the_others_as_they_were);
    RUN(sender_that_goes_back_waits);
    RUN(flight_is_bounded_and_counted);
    RUN(parse_sets_what_was_asked);
    RUN(parse_refuses_and_says_why);
    RUN(create_refuses_what_cannot_be);
    RUN(create_gives_all_back_when_memory_fails);
    return tap_done();
}
