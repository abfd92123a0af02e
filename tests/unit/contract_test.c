/* The contract: what it counts, whom it blames, what it tells; and the loop that smooths time. */
#include "base/random.h"
#include "stream/contract.h"
#include "stream/dll.h"
#include "tap.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

enum { PERIOD_NS = 1000000, RATE_HZ = 48000, FRAMES = 48 };

static struct takt_contract *make(bool virtual_clock)
{
    struct takt_contract *c;
    struct takt_error e;
    return takt_contract_create(&(struct takt_contract_cfg){.rate_hz = RATE_HZ,
                                                            .period_frames = FRAMES,
                                                            .virtual_clock = virtual_clock},
                                &c, &e) < 0
               ? NULL
               : c;
}

/* Block n: woken `late` after due, taking `work`. */
static void block(struct takt_contract *c, int n, int64_t late, int64_t work, uint32_t flags,
                  uint64_t lost)
{
    int64_t due = (int64_t)n * PERIOD_NS;
    takt_contract_begin(c, &(struct takt_contract_block){.due_ns = due,
                                                         .woken_ns = due + late,
                                                         .begun_ns = due + late,
                                                         .deadline_ns = due + PERIOD_NS,
                                                         .frames = FRAMES});
    takt_contract_end(c, due + late + work, (uint64_t)(n + 1) * FRAMES, flags, lost);
}

static void blame_goes_to_the_first_cause_that_holds(void)
{
    const struct {
        int64_t late, work;
        uint32_t flags;
        int cause; /* -1: none */
    } cases[] = {
        {0, 100000, 0, -1},
        {400000, 500000, 0, -1},
        {0, 1000000, 0, -1}, /* just in time */
        {0, 1000001, 0, TAKT_MISS_OVERRAN},
        {0, 900000000, 0, TAKT_MISS_OVERRAN},
        {600000, 500000, 0, TAKT_MISS_LATE_WAKE},
        {499000, 600000, 0, TAKT_MISS_OVERRAN},
        {0, 100, TAKT_CONTRACT_HOST_XRUN, TAKT_MISS_HOST_XRUN},
        {600000, 100, TAKT_CONTRACT_HOST_XRUN, TAKT_MISS_LATE_WAKE},
        {0, 100, TAKT_CONTRACT_STARVED, TAKT_MISS_STARVED},
        {0, 100, TAKT_CONTRACT_WORKER_FULL, TAKT_MISS_WORKER_FULL},
        {0, 2000000, TAKT_CONTRACT_STARVED, TAKT_MISS_OVERRAN},
        {-50000, 100, 0, -1}, /* early */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct takt_contract *c = make(true);
        struct takt_contract_snapshot k;
        struct takt_miss m;
        CHECK(c);
        block(c, 0, 0, 1000, 0, 0);
        block(c, 10, cases[i].late, cases[i].work, cases[i].flags, 0);
        takt_contract_read(c, &k);
        int n = takt_contract_last_misses(c, &m, 1);
        takt_contract_destroy(c);
        CHECK_INT(k.blocks, 2);
        CHECK_INT(k.frames, 2 * FRAMES);
        CHECK_INT(k.misses_total, cases[i].cause >= 0);
        CHECK_INT(n, cases[i].cause >= 0);
        if (cases[i].cause < 0)
            continue;
        CHECK_INT(k.misses[cases[i].cause], 1);
        CHECK_INT((int)m.cause, cases[i].cause);
        CHECK_INT(m.slack_ns, PERIOD_NS - cases[i].late - cases[i].work);
        CHECK_INT(m.lateness_ns, cases[i].late);
    }
}

/* A host that loses frames because the block before was too late has not failed a second time. */
static void one_trouble_is_counted_once(void)
{
    struct takt_contract *c = make(true);
    struct takt_contract_snapshot k;
    CHECK(c);
    block(c, 0, 0, 5500000, 0, 0);
    block(c, 5, 500000, 1000, TAKT_CONTRACT_HOST_XRUN, 4 * FRAMES);
    block(c, 6, 0, 1000, TAKT_CONTRACT_HOST_XRUN, FRAMES);
    takt_contract_read(c, &k);
    takt_contract_destroy(c);
    CHECK_INT(k.misses[TAKT_MISS_OVERRAN], 1);
    CHECK_INT(k.misses[TAKT_MISS_HOST_XRUN], 1); /* the second one is the host's own */
    CHECK_INT(k.misses_total, 2);
    CHECK_INT(k.lost_frames, 5 * FRAMES);
}

/* Blocks that catch up after one that overran are late because of that one. */
static void blocks_held_up_inherit_the_cause(void)
{
    struct takt_contract *c = make(true);
    struct takt_contract_snapshot k;
    CHECK(c);
    int64_t now = 0;
    for (int n = 0; n < 10; n++) {
        int64_t due = (int64_t)n * PERIOD_NS, begin = now > due ? now : due;
        int64_t work = n == 0 ? 4500000 : 100000;
        block(c, n, begin - due, work, 0, 0);
        now = begin + work;
    }
    takt_contract_read(c, &k);
    takt_contract_destroy(c);
    CHECK(k.misses_total > 2);
    CHECK_INT(k.misses[TAKT_MISS_OVERRAN], k.misses_total);
}

static void quantiles_are_those_of_the_blocks(void)
{
    enum { N = 20000 };
    struct takt_contract *c = make(true);
    struct takt_contract_snapshot k;
    struct takt_random r = takt_random_seed(1);
    CHECK(c);
    for (int n = 0; n < N; n++)
        block(c, n, 0, (int64_t)takt_random_below(&r, 1200000), 0, 0);
    takt_contract_read(c, &k);
    takt_contract_destroy(c);
    CHECK_NEAR(k.duration_ns_p50, 600000, 600000 / 25.0);
    CHECK_NEAR(k.duration_ns_p99, 1188000, 1188000 / 25.0);
    CHECK_NEAR(k.slack_ns_p50, 400000, 400000 / 12.0);
    CHECK(k.slack_ns_min < -190000 && k.slack_ns_min >= -200000);
    CHECK(k.slack_ns_min <= k.slack_ns_p001 && k.slack_ns_p001 <= k.slack_ns_p01 &&
          k.slack_ns_p01 <= k.slack_ns_p50);
    CHECK_NEAR(k.slack_ns_p01, -188000, 188000 / 12.0);
    CHECK_NEAR((double)k.misses_total / N, 1 / 6.0, 0.02);
}

static void last_misses_are_the_newest_in_order(void)
{
    struct takt_contract *c = make(true);
    struct takt_miss m[TAKT_MISSES_KEPT + 8];
    CHECK(c);
    CHECK_INT(takt_contract_last_misses(c, m, 8), 0);
    for (int n = 0; n < 200; n++)
        block(c, 10 * n, 0, 2000000 + n, 0, 0);
    CHECK_INT(takt_contract_last_misses(c, m, TAKT_MISSES_KEPT + 8), TAKT_MISSES_KEPT);
    for (int i = 0; i < TAKT_MISSES_KEPT; i++)
        CHECK_INT(m[i].duration_ns, 2000000 + 200 - TAKT_MISSES_KEPT + i);
    CHECK_INT(takt_contract_last_misses(c, m, 3), 3);
    CHECK_INT(m[2].duration_ns, 2000199);
    CHECK_INT(takt_contract_last_misses(c, m, -1), 0);
    takt_contract_reset(c);
    CHECK_INT(takt_contract_last_misses(c, m, 8), 0);
    takt_contract_destroy(c);
}

static _Atomic bool ends;

/* Every miss written has the same number in all its fields. */
static void *write_misses(void *arg)
{
    for (int n = 1; !atomic_load(&ends); n++)
        block(arg, n, 0, 2000000, 0, (uint64_t)n * FRAMES);
    return NULL;
}

static void reading_beside_the_writer_never_gives_a_torn_miss(void)
{
    struct takt_contract *c = make(true);
    pthread_t thread;
    CHECK(c);
    atomic_store(&ends, false);
    CHECK_INT(pthread_create(&thread, NULL, write_misses, c), 0);
    bool torn = false;
    uint64_t got = 0;
    for (int round = 0; round < 3000 || got < 1000; round++) {
        struct takt_miss m[TAKT_MISSES_KEPT];
        int n = takt_contract_last_misses(c, m, TAKT_MISSES_KEPT);
        for (int i = 0; i < n; i++)
            torn |= m[i].position != m[i].lost_frames + FRAMES ||
                    m[i].time_ns != (int64_t)(m[i].lost_frames / FRAMES) * PERIOD_NS + 2000000;
        got += (uint64_t)n;
    }
    atomic_store(&ends, true);
    pthread_join(thread, NULL);
    takt_contract_destroy(c);
    CHECK(!torn);
}

static void text_and_json_fit_any_size_and_are_cut_cleanly(void)
{
    struct takt_contract *c = make(true);
    struct takt_contract_snapshot k;
    static char whole[4096], part[4096];
    CHECK(c);
    for (int n = 0; n < 100; n++)
        block(c, n, n * 10000, n * 20000, n % 7 ? 0 : TAKT_CONTRACT_STARVED, 1);
    takt_contract_read(c, &k);
    struct takt_miss m;
    CHECK_INT(takt_contract_last_misses(c, &m, 1), 1);
    takt_contract_destroy(c);
    int (*const tell[])(const struct takt_contract_snapshot *, char *,
                        size_t) = {takt_contract_text, takt_contract_json};
    for (int t = 0; t < 2; t++) {
        int length = tell[t](&k, whole, sizeof whole);
        CHECK(length > 100 && length < (int)sizeof whole);
        CHECK_INT(strlen(whole), length);
        for (size_t size = 0; size < (size_t)length + 2; size++) {
            memset(part, 'x', sizeof part);
            CHECK_INT(tell[t](&k, part, size), length);
            size_t kept = size == 0 ? 0 : size - 1 < (size_t)length ? size - 1 : (size_t)length;
            CHECK(!memcmp(part, whole, kept));
            CHECK(part[size ? kept : 0] == (size ? '\0' : 'x'));
            CHECK(part[size + 1] == 'x');
        }
    }
    CHECK(takt_miss_text(&m, whole, sizeof whole) > 40 && !strchr(whole, '\n'));
    for (int i = -3; i < TAKT_MISS_CAUSES + 3; i++)
        CHECK(takt_miss_name((enum takt_miss_cause)i)[0]);
    takt_contract_read(NULL, &k);
    CHECK_INT(k.blocks, 0);
}

/* ---- The delay-locked loop ----------------------------------------------------------------------
 */

static void loop_finds_the_rate_through_jitter(void)
{
    const double ppms[] = {-500, -100, 0, 37, 500};
    struct takt_random r = takt_random_seed(3);
    for (int k = 0; k < 5; k++)
        for (uint32_t frames = 32; frames <= 2048; frames *= 4) {
            struct takt_dll d;
            double frame_ns = 1e9 / (RATE_HZ * (1 + ppms[k] * 1e-6)), worst = 0, jitter = 0;
            takt_dll_init(&d, 0.1, RATE_HZ, frames);
            takt_dll_start(&d, 5000000000);
            int n = (int)(120.0 * RATE_HZ / frames);
            for (int i = 1; i <= n; i++) {
                double due = 5e9 + (double)i * frames * frame_ns;
                double late = takt_random_unit(&r) * 50000;
                takt_dll_update(&d, (int64_t)(due + late), frames, 0);
                if (i > n / 2) {
                    worst = fmax(worst, fabs((double)takt_dll_due(&d) - due - 25000));
                    jitter = fmax(jitter, fabs(late - 25000));
                }
            }
            CHECK_NEAR(takt_dll_rate_hz(&d), RATE_HZ * (1 + ppms[k] * 1e-6), RATE_HZ * 3e-6);
            CHECK(worst < jitter * 0.6); /* at any block size, and far less at small ones */
        }
}

static void loop_follows_varying_blocks_and_lost_ones(void)
{
    struct takt_random r = takt_random_seed(4);
    struct takt_dll d;
    double frame_ns = 1e9 / RATE_HZ;
    uint32_t next = 64;
    takt_dll_init(&d, 0.5, RATE_HZ, next);
    takt_dll_start(&d, 0);
    uint64_t now_frames = 0;
    for (int i = 1; i < 5000; i++) {
        uint64_t lost = takt_random_below(&r, 100) == 0 ? 64 * takt_random_below(&r, 20) : 0;
        now_frames += next + lost;
        next = 1 + (uint32_t)takt_random_below(&r, 128);
        takt_dll_update(&d, (int64_t)((double)now_frames * frame_ns), next, lost);
        CHECK_NEAR((double)takt_dll_due(&d), (double)now_frames * frame_ns, 2000);
        CHECK_NEAR((double)takt_dll_next(&d), (double)(now_frames + next) * frame_ns, 2000);
    }
}

static void loop_does_not_run_away_from_a_wild_time(void)
{
    struct takt_dll d;
    takt_dll_init(&d, 1, RATE_HZ, 64);
    takt_dll_start(&d, 0);
    struct takt_random r = takt_random_seed(6);
    for (int i = 0; i < 10000; i++) {
        takt_dll_update(&d, (int64_t)(takt_random_u64(&r) >> 20), 64, 0);
        CHECK(isfinite(d.frame_ns) && isfinite(d.this_ns));
        CHECK(takt_dll_rate_hz(&d) > RATE_HZ * 0.9 && takt_dll_rate_hz(&d) < RATE_HZ * 1.12);
    }
}

int main(void)
{
    RUN(blame_goes_to_the_first_cause_that_holds);
    RUN(one_trouble_is_counted_once);
    RUN(blocks_held_up_inherit_the_cause);
    RUN(quantiles_are_those_of_the_blocks);
    RUN(last_misses_are_the_newest_in_order);
    RUN(reading_beside_the_writer_never_gives_a_torn_miss);
    RUN(text_and_json_fit_any_size_and_are_cut_cleanly);
    RUN(loop_finds_the_rate_through_jitter);
    RUN(loop_follows_varying_blocks_and_lost_ones);
    RUN(loop_does_not_run_away_from_a_wild_time);
    return tap_done();
}
