/* The pacer on its virtual clock: its times, its faults, and that they replay. */
#include "base/random.h"
#include "sim/pacer.h"
#include "takt/time.h"
#include "tap.h"

#include <math.h>

enum { CYCLES_MAX = 100000 };

/* What the engine would be: writes down every cycle. */
static struct takt_cycle seen[CYCLES_MAX];
static _Atomic int count, wanted;
static uint64_t serviced;
static struct takt_driver *driver;
static int now_calls; /* times the clock is read after a cycle, as after callbacks */

static bool write_down(struct takt_engine *g, const struct takt_cycle *c)
{
    if (count < CYCLES_MAX)
        seen[count] = *c;
    for (int i = 0; i < now_calls; i++)
        driver->ops->now(driver);
    return ++count < wanted;
}

static void count_service(struct takt_engine *g)
{
    serviced++;
}

static const struct takt_engine_ops engine_ops = {.cycle = write_down, .service = count_service};
static struct takt_engine engine = {&engine_ops};

static int run(struct takt_pacer_cfg cfg, int cycles)
{
    struct takt_error e;
    cfg.clock = TAKT_CLOCK_VIRTUAL;
    count = 0;
    wanted = cycles;
    if (takt_pacer_open(&cfg, &driver, &e) < 0)
        return -1;
    if (driver->ops->start(driver, &e) < 0)
        return -1;
    while (count < wanted)
        takt_sleep_ms(1);
    int err = driver->ops->stop(driver, 5000000000, &e);
    driver->ops->close(driver);
    return err;
}

static const struct takt_pacer_cfg plain = {
    .engine = &engine, .rate_hz = 48000, .host_frames = 64, .is_live = true, .seed = 1};

static void due_times_follow_the_frame_count_at_any_ppm(void)
{
    const double ppms[] = {0, 300, -300, 5000};
    for (int k = 0; k < 4; k++) {
        struct takt_pacer_cfg cfg = plain;
        cfg.ppm = ppms[k];
        cfg.rate_hz = 44100;
        cfg.host_frames = 16384;
        CHECK_INT(run(cfg, CYCLES_MAX), 0); /* ten hours */
        double period_ns = 16384e9 / (44100 * (1 + ppms[k] * 1e-6));
        for (int i = 0; i < CYCLES_MAX; i += 997) {
            CHECK_NEAR((double)seen[i].due_ns, (i + 1) * period_ns, 2);
            CHECK_INT(seen[i].now_ns, seen[i].due_ns);
            CHECK_NEAR((double)seen[i].deadline_ns, (i + 2) * period_ns, 2);
            CHECK_NEAR((double)seen[i].in_first_ns, i * period_ns, 2);
            CHECK_INT(seen[i].out_first_ns, seen[i].deadline_ns);
        }
    }
}

/* The device's clock: every frame of it is either in a cycle or said to be lost. */
static bool accounts_for_every_frame(int cycles, double frame_ns)
{
    uint64_t frames = 0;
    for (int i = 0; i < cycles; i++) {
        frames += seen[i].lost_frames;
        if (fabs((double)seen[i].in_first_ns - (double)frames * frame_ns) > 2)
            return false;
        frames += seen[i].frames;
    }
    return true;
}

static void varying_blocks_stay_within_bounds_and_leave_no_gap(void)
{
    struct takt_pacer_cfg cfg = plain;
    cfg.varies = true;
    CHECK_INT(run(cfg, 5000), 0);
    int sizes[65] = {0};
    for (int i = 0; i < 5000; i++) {
        CHECK(seen[i].frames >= 1 && seen[i].frames <= 64);
        sizes[seen[i].frames]++;
    }
    for (int n = 1; n <= 64; n++)
        CHECK(sizes[n] > 20);
    CHECK(accounts_for_every_frame(5000, 1e9 / 48000));
}

static void injected_xrun_loses_one_block_each_at_its_time(void)
{
    struct takt_pacer_cfg cfg = plain;
    cfg.xrun_ns[0] = 100000000;
    cfg.xrun_ns[1] = 500000000;
    cfg.xruns = 2;
    CHECK_INT(run(cfg, 1000), 0);
    int found = 0;
    for (int i = 0; i < 1000; i++)
        if (seen[i].lost_frames) {
            CHECK_INT(seen[i].lost_frames, 64);
            CHECK(seen[i].flags & TAKT_INPUT_OVERFLOW && seen[i].flags & TAKT_OUTPUT_UNDERFLOW);
            CHECK_INT(seen[i].now_ns, seen[i].due_ns); /* nobody was late */
            CHECK_NEAR((double)seen[i].due_ns, (double)cfg.xrun_ns[found], 4e6);
            found++;
        }
    CHECK_INT(found, 2);
    CHECK(accounts_for_every_frame(1000, 1e9 / 48000));
}

static void vanished_device_goes_on_with_the_flag(void)
{
    struct takt_pacer_cfg cfg = plain;
    cfg.vanish_ns = 200000000;
    cfg.vanish_for_ns = 100000000;
    CHECK_INT(run(cfg, 1000), 0);
    int away = 0;
    for (int i = 0; i < 1000; i++)
        away += (seen[i].flags & TAKT_DEVICE_AWAY) != 0;
    CHECK_INT(away, 75); /* 0.1 s of 1.33 ms blocks */
    CHECK(accounts_for_every_frame(1000, 1e9 / 48000));
}

static void live_pacer_that_is_late_loses_whole_blocks_and_a_plain_one_none(void)
{
    for (int live = 0; live < 2; live++) {
        struct takt_pacer_cfg cfg = plain;
        cfg.is_live = live;
        cfg.jitter_ns = 1000000;
        cfg.work_ns = 900000;
        cfg.work_spread_ns = 900000;
        now_calls = 1;
        CHECK_INT(run(cfg, 5000), 0);
        now_calls = 0;
        uint64_t lost = 0;
        for (int i = 0; i < 5000; i++) {
            lost += seen[i].lost_frames;
            CHECK(seen[i].now_ns >= seen[i].due_ns);
            CHECK_INT(seen[i].lost_frames % 64, 0);
            if (live) /* what is run is never already over */
                CHECK(seen[i].now_ns < seen[i].deadline_ns);
        }
        CHECK(live ? lost > 0 : lost == 0);
        CHECK(accounts_for_every_frame(5000, 1e9 / 48000));
    }
}

static void same_seed_replays_and_another_does_not(void)
{
    static struct takt_cycle first[2000];
    struct takt_pacer_cfg cfg = plain;
    cfg.jitter_ns = 50000;
    cfg.varies = true;
    cfg.work_ns = 100000;
    cfg.work_spread_ns = 50000;
    now_calls = 2;
    CHECK_INT(run(cfg, 2000), 0);
    memcpy(first, seen, sizeof first);
    CHECK_INT(run(cfg, 2000), 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_INT(seen[i].now_ns, first[i].now_ns);
        CHECK_INT(seen[i].frames, first[i].frames);
        CHECK_INT(seen[i].deadline_ns, first[i].deadline_ns);
    }
    cfg.seed = 2;
    CHECK_INT(run(cfg, 2000), 0);
    now_calls = 0;
    int same = 0;
    for (int i = 0; i < 2000; i++)
        same += seen[i].now_ns == first[i].now_ns;
    CHECK(same < 20);
}

static void ports_are_serviced_before_each_virtual_cycle(void)
{
    serviced = 0;
    CHECK_INT(run(plain, 777), 0);
    CHECK_INT(serviced, 777);
}

static void real_clock_stops_soon_even_in_a_long_period(void)
{
    struct takt_error e;
    struct takt_pacer_cfg cfg = plain;
    cfg.rate_hz = 8000;
    cfg.host_frames = 16384; /* two seconds */
    count = 0;
    wanted = 1000000;
    CHECK_INT(takt_pacer_open(&cfg, &driver, &e), 0);
    CHECK_INT(driver->ops->start(driver, &e), 0);
    int64_t before = takt_now_ns();
    CHECK_INT(driver->ops->stop(driver, 1500000000, &e), 0);
    CHECK(takt_now_ns() - before < 1500000000);
    driver->ops->close(driver);
}

static void real_clock_paces_without_drift(void)
{
    struct takt_error e;
    struct takt_pacer_cfg cfg = plain;
    count = 0;
    wanted = 300;
    CHECK_INT(takt_pacer_open(&cfg, &driver, &e), 0);
    CHECK_INT(driver->ops->start(driver, &e), 0);
    while (count < wanted)
        takt_sleep_ms(5);
    CHECK_INT(driver->ops->stop(driver, 5000000000, &e), 0);
    driver->ops->close(driver);
    uint64_t frames = 0;
    for (int i = 0; i < 300; i++) {
        CHECK(seen[i].now_ns >= seen[i].due_ns); /* never early */
        frames += seen[i].frames + seen[i].lost_frames;
    }
    /* From the first block's first frame to the last block's last. */
    double span_ns = (double)(seen[299].due_ns - seen[0].in_first_ns);
    CHECK_NEAR(span_ns, (double)(frames - seen[0].lost_frames) * 1e9 / 48000, 2);
}

static void host_block_follows_the_wish(void)
{
    struct takt_driver_cfg c = {.rate_hz = 48000, .block_frames = 100};
    CHECK_INT(takt_pacer_block(&c), 100);
    c.block_frames = 0;
    CHECK_INT(takt_pacer_block(&c), 128);
    c.latency_high = true;
    CHECK_INT(takt_pacer_block(&c), 1024);
    c.latency_s = 0.010;
    CHECK_INT(takt_pacer_block(&c), 256); /* 5.3 ms; 512 would be 10.7 */
    c.latency_s = 1e-4;
    CHECK_INT(takt_pacer_block(&c), 16);
}

int main(void)
{
    RUN(due_times_follow_the_frame_count_at_any_ppm);
    RUN(varying_blocks_stay_within_bounds_and_leave_no_gap);
    RUN(injected_xrun_loses_one_block_each_at_its_time);
    RUN(vanished_device_goes_on_with_the_flag);
    RUN(live_pacer_that_is_late_loses_whole_blocks_and_a_plain_one_none);
    RUN(same_seed_replays_and_another_does_not);
    RUN(ports_are_serviced_before_each_virtual_cycle);
    RUN(real_clock_stops_soon_even_in_a_long_period);
    RUN(real_clock_paces_without_drift);
    RUN(host_block_follows_the_wish);
    return tap_done();
}
