/*
 * What the engine costs a block beyond the callback itself, with its contract on and off, and with
 * the guard off, counting and reporting.
 *
 * A driver without a clock calls the engine's cycle as fast as it can, reading the clock before
 * each as a real one does on waking. The floor is the same callback called directly on the same
 * memory. All variants take turns in one run; the figures are medians over the turns.
 *
 * Exit: 1 when a guard that counts costs more than 100 ns a block, or one that is off more than 1.
 */
#include "bench.h"
#include "rt/guard.h"
#include "stream/device.h"
#include "takt/kernel.h"
#include "takt/time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 301, BLOCKS = 400, FRAMES_MAX = 256 };
enum { OFF_NS_MAX = 1, COUNT_NS_MAX = 100 };

static struct takt_engine *engine;
static float sound_in[2][FRAMES_MAX], sound_out[2][FRAMES_MAX];
static uint32_t host_frames;

static int no_start(struct takt_driver *d, struct takt_error *e);

static int no_stop(struct takt_driver *d, int64_t timeout_ns, struct takt_error *e)
{
    return 0;
}

static void no_close(struct takt_driver *d)
{
}

static const struct takt_driver_ops ops = {.start = no_start, .stop = no_stop, .close = no_close};
static struct takt_driver driver;

static bool one_cycle(void)
{
    const float *in[] = {sound_in[0], sound_in[1]};
    float *out[] = {sound_out[0], sound_out[1]};
    int64_t now = takt_now_ns();
    struct takt_cycle c = {.frames = host_frames,
                           .in = in,
                           .out = out,
                           .valid = 15,
                           .due_known = true,
                           .due_ns = now,
                           .now_ns = now,
                           .deadline_ns = now + 100000000};
    return takt_engine_cycle(engine, &c);
}

static int no_start(struct takt_driver *d, struct takt_error *e)
{
    one_cycle();
    return 0;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    engine = cfg->engine;
    driver = (struct takt_driver){&ops, .host_block_frames = host_frames, .serves_in = true,
                                  .serves_out = true};
    *out = &driver;
    return 0;
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    *out = (struct takt_device_info){
        .in_channels_max = 2, .out_channels_max = 2, .rate_hz_default = 48000};
    return 0;
}

static int list(struct takt_device_info *out, int max)
{
    return 0;
}

static const struct takt_backend bench_backend = {
    .scheme = "bench", .has_clock = true, .list = list, .query = query, .open_driver = open_driver};
const struct takt_backend *const takt_backends[] = {&bench_backend, NULL};

static enum takt_next scale(const struct takt_block *b, void *arg)
{
    for (uint32_t c = 0; c < 2; c++)
        takt_scale(b->out[c], b->in[c], 0.8f, b->frames);
    return TAKT_CONTINUE;
}

/* ns a block through the engine. */
static double through_engine(struct takt_stream *s)
{
    struct takt_error e;
    if (takt_stream_start(s) < 0) {
        takt_stream_error(s, &e);
        exit(takt_die(&e));
    }
    for (int i = 0; i < 20; i++)
        one_cycle();
    int64_t before = bench_now_ns();
    for (int i = 0; i < BLOCKS; i++)
        one_cycle();
    return (double)(bench_now_ns() - before) / BLOCKS;
}

/* ns a block of the callback alone. */
static double bare(void)
{
    const float *in[] = {sound_in[0], sound_in[1]};
    float *out[] = {sound_out[0], sound_out[1]};
    struct takt_block b = {
        .in = in, .out = out, .in_channels = 2, .out_channels = 2, .frames = host_frames};
    takt_process_fn *volatile call = scale;
    for (int i = 0; i < 20; i++)
        call(&b, NULL);
    int64_t before = bench_now_ns();
    for (int i = 0; i < BLOCKS; i++) {
        call(&b, NULL);
        bench_barrier();
    }
    return (double)(bench_now_ns() - before) / BLOCKS;
}

static double clock_read(void)
{
    int64_t before = bench_now_ns(), sum = 0;
    for (int i = 0; i < BLOCKS; i++)
        sum += takt_now_ns();
    bench_barrier();
    return (double)(bench_now_ns() - before) / BLOCKS + (sum == 42);
}

/* What a cycle has of a guard that is off, beyond an empty loop. */
static double guard_off(void)
{
    struct takt_guard_thread *volatile none = NULL;
    int64_t begun = bench_now_ns();
    for (int i = 0; i < BLOCKS; i++) {
        takt_guard_enter(none, 0, NULL);
        bench_barrier();
        takt_guard_leave(none);
        bench_barrier();
    }
    int64_t middle = bench_now_ns();
    for (int i = 0; i < BLOCKS; i++) {
        bench_barrier();
        bench_barrier();
    }
    return (double)(middle - begun - (bench_now_ns() - middle)) / BLOCKS;
}

enum { ON, OFF, COUNT, REPORT, VARIANTS };

static const struct {
    bool contract_off;
    enum takt_guard_mode guard;
} variants[VARIANTS] = {[ON] = {false, TAKT_GUARD_OFF},
                        [OFF] = {true, TAKT_GUARD_OFF},
                        [COUNT] = {false, TAKT_GUARD_COUNT},
                        [REPORT] = {false, TAKT_GUARD_REPORT}};

/* Of a guard, ns a block. */
struct cost {
    double off, count;
};

static int measure(uint32_t frames, struct cost *guard)
{
    static double ns[VARIANTS][TURNS], floor_ns[TURNS], clock_ns[TURNS], over[TURNS],
        none_ns[TURNS], counting[TURNS], reporting[TURNS];
    struct takt_stream *s[VARIANTS];
    struct takt_error e;
    host_frames = frames;
    struct takt_engine *engines[VARIANTS];
    for (int k = 0; k < VARIANTS; k++) {
        struct takt_stream_cfg cfg = {.in = {.device = "bench:", .channels = 2},
                                      .out = {.device = "bench:", .channels = 2},
                                      .block_frames = frames,
                                      .contract_off = variants[k].contract_off,
                                      .guard = variants[k].guard,
                                      .timeout_ms = 1,
                                      .process = scale};
        if (takt_stream_create(&cfg, &s[k], &e) < 0)
            return takt_die(&e);
        engines[k] = engine;
    }
    long long steal = bench_steal_ticks();
    for (int k = 0; k < VARIANTS; k++) {
        engine = engines[k];
        through_engine(s[k]);
    }
    for (int t = 0; t < TURNS; t++) {
        for (int k = 0; k < VARIANTS; k++) {
            engine = engines[k];
            int64_t before = bench_now_ns();
            for (int i = 0; i < BLOCKS; i++)
                one_cycle();
            ns[k][t] = (double)(bench_now_ns() - before) / BLOCKS;
        }
        floor_ns[t] = bare();
        clock_ns[t] = clock_read();
        none_ns[t] = guard_off();
        over[t] = ns[ON][t] - floor_ns[t];
        counting[t] = ns[COUNT][t] - ns[ON][t];
        reporting[t] = ns[REPORT][t] - ns[ON][t];
    }
    struct takt_guard_totals seen;
    takt_guard_totals(&seen);
    double on_ns = bench_median(ns[ON], TURNS), off_ns = bench_median(ns[OFF], TURNS);
    *guard = (struct cost){bench_median(none_ns, TURNS), bench_median(counting, TURNS)};
    printf("{\"bench\":\"engine\",\"frames\":%u,\"channels\":2,\"callback_ns\":%.1f,"
           "\"engine_contract_on_ns\":%.1f,\"engine_contract_off_ns\":%.1f,"
           "\"over_callback_ns\":%.1f,\"contract_ns\":%.1f,\"clock_read_ns\":%.1f,"
           "\"guard_off_ns\":%.2f,\"guard_count_ns\":%.1f,\"guard_report_ns\":%.1f,"
           "\"guard_sees_calls\":%s,\"guard_sees_faults\":%s,"
           "\"share_of_block\":%.6f,\"steal_ticks\":%lld}\n",
           frames, bench_median(floor_ns, TURNS), on_ns, off_ns, bench_median(over, TURNS),
           on_ns - off_ns, bench_median(clock_ns, TURNS), guard->off, guard->count,
           bench_median(reporting, TURNS), seen.system_calls ? "true" : "false",
           seen.faults ? "true" : "false", bench_median(over, TURNS) / (frames * 1e9 / 48000),
           bench_steal_ticks() - steal);
    return 0; /* the process ends soon; nothing is paced, so nothing is stopped */
}

int main(void)
{
    for (int i = 0; i < FRAMES_MAX; i++)
        sound_in[0][i] = sound_in[1][i] = (float)(i % 100) / 100;
    struct cost small, large;
    if (measure(64, &small) || measure(256, &large))
        return 1;
    /* One that is off does the same for any block; a busy neighbour doubles the times of a while.
     */
    bool is_dear = fmin(small.off, large.off) > OFF_NS_MAX;
    return is_dear || fmax(small.count, large.count) > COUNT_NS_MAX;
}
