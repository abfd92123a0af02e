/*
 * How late the pacer's wake-ups are beside those of a bare clock_nanosleep loop at the same
 * priority. Both take turns in one run, in short segments, so that whatever else the machine does
 * falls on both alike; the order within a pair alternates. The ratio is the median over groups of
 * segments, so that a host that takes the CPU away for a while does not decide it alone.
 */
#include "bench.h"
#include "sim/pacer.h"
#include "takt/contract.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <string.h>

enum {
    GROUPS = 15,
    SEGMENTS = 12, /* of each kind in a group */
    BLOCKS = 75,   /* in a segment: a tenth of a second */
    FRAMES = 64,
    RATE_HZ = 48000,
    GROUP = SEGMENTS * BLOCKS,
    ALL = GROUPS * GROUP
};

static double late_us[2][ALL];
static int taken[2];
static int segment_left;

/* What the engine would be. */
static bool note(struct takt_engine *g, const struct takt_cycle *c)
{
    late_us[1][taken[1]++] = (double)(c->now_ns - c->due_ns) / 1e3;
    return --segment_left > 0;
}

static const struct takt_engine_ops engine_ops = {.cycle = note};
static struct takt_engine engine = {&engine_ops};

static void bare(void *arg)
{
    int64_t start = takt_now_ns();
    for (int i = 1; i <= BLOCKS; i++) {
        int64_t due = start + (int64_t)(i * (FRAMES * 1e9 / RATE_HZ) + 0.5);
        takt_sleep_until_ns(due);
        late_us[0][taken[0]++] = (double)(takt_now_ns() - due) / 1e3;
    }
}

static int run_bare(struct takt_error *e)
{
    struct takt_thread *t;
    int err = takt_thread_start(&(struct takt_thread_cfg){.name = "bare", .entry = bare}, &t, e);
    return err < 0 ? err : takt_thread_join(t, -1);
}

/* stop() would end a segment early: the pacer's thread ends by itself, and is awaited before. */
static int run_pacer(struct takt_driver *d, struct takt_error *e)
{
    segment_left = BLOCKS;
    int target = taken[1] + BLOCKS; /* before the first cycle, which may come within start */
    int err = d->ops->start(d, e);
    if (err < 0)
        return err;
    while (*(volatile int *)&taken[1] < target)
        takt_sleep_ms(2);
    return d->ops->stop(d, 1000000000, e);
}

int main(void)
{
    struct takt_driver *d;
    struct takt_error e;
    struct takt_sched sched;
    if (takt_pacer_open(&(struct takt_pacer_cfg){.engine = &engine,
                                                 .rate_hz = RATE_HZ,
                                                 .host_frames = FRAMES,
                                                 .name = "pacer",
                                                 .is_live = false},
                        &d, &e) < 0)
        return takt_die(&e);
    long long steal = bench_steal_ticks();
    for (int s = 0; s < GROUPS * SEGMENTS; s++)
        for (int turn = 0; turn < 2; turn++) {
            int err = (s + turn) % 2 ? run_pacer(d, &e) : run_bare(&e);
            if (err < 0)
                return takt_die(&e);
        }
    d->ops->sched(d, &sched);
    double ratio[GROUPS];
    for (int g = 0; g < GROUPS; g++)
        ratio[g] = bench_quantile(late_us[1] + g * GROUP, GROUP, 0.99) /
                   bench_quantile(late_us[0] + g * GROUP, GROUP, 0.99);
    double q[2][4];
    const double share[4] = {0.5, 0.99, 0.999, 1};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4; i++)
            q[k][i] = bench_quantile(late_us[k], (size_t)taken[k], share[i]);
    printf("{\"bench\":\"wake\",\"block_frames\":%d,\"wakes\":%d,\"policy\":\"%s\","
           "\"bare_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},"
           "\"pacer_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},"
           "\"ratio_p99\":%.3f,\"ratio_p99_pooled\":%.3f,\"steal_ticks\":%lld}\n",
           FRAMES, taken[1], takt_policy_name(sched.policy), q[0][0], q[0][1], q[0][2], q[0][3],
           q[1][0], q[1][1], q[1][2], q[1][3], bench_median(ratio, GROUPS), q[1][1] / q[0][1],
           bench_steal_ticks() - steal);
    d->ops->close(d);
    return 0;
}
