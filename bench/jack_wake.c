/*
 * How steadily takt's callback is called beside that of a bare JACK client: by how much the time
 * between two calls differs from the server's period. (The server's own word of when a cycle began
 * is smoothed over seconds, and on a machine with stalls says more about those than about a
 * client.) Both take turns in one run, in short segments whose order alternates, so that whatever
 * else the machine does falls on both alike; never are both in the graph. The ratio is the median
 * over groups of segments, so that a host that takes the CPU away for a while does not decide it
 * alone. Run within tools/with-jack.
 */
#include "bench.h"

#include <jack/jack.h>
#include <math.h>
#include <stdatomic.h>
#include <takt/takt.h>

enum { GROUPS = 11, SEGMENTS = 6, BLOCKS = 150, GROUP = SEGMENTS * BLOCKS, ALL = GROUPS * GROUP };
enum { SETTLE = 10 }; /* the first cycles of a client fill its caches */

static double off_us[2][ALL];
static int taken[2];
static _Atomic int cycles; /* of this segment */

static double period_ns;
static int64_t last_ns;

/* The first thing that a callback does. */
static void note(int who)
{
    int64_t now = takt_now_ns();
    int n = atomic_load_explicit(&cycles, memory_order_relaxed);
    if (n >= SETTLE && n < SETTLE + BLOCKS)
        off_us[who][taken[who]++] = fabs((double)(now - last_ns) - period_ns) / 1e3;
    last_ns = now;
    atomic_store_explicit(&cycles, n + 1, memory_order_release);
}

static void await_segment(void)
{
    while (atomic_load_explicit(&cycles, memory_order_acquire) < SETTLE + BLOCKS)
        takt_sleep_ms(2);
}

/* ---- Bare -------------------------------------------------------------------------------------
 */

static jack_client_t *client;
static jack_port_t *bare_in, *bare_out;

static int bare_process(jack_nframes_t frames, void *arg)
{
    note(0);
    const float *in = jack_port_get_buffer(bare_in, frames);
    float *out = jack_port_get_buffer(bare_out, frames);
    for (jack_nframes_t i = 0; i < frames; i++)
        out[i] = in[i];
    return 0;
}

static int run_bare(void)
{
    atomic_store(&cycles, 0);
    if (jack_activate(client))
        return 1;
    await_segment();
    return jack_deactivate(client);
}

/* ---- takt -------------------------------------------------------------------------------------
 */

static enum takt_next takt_process(const struct takt_block *b, void *arg)
{
    note(1);
    for (uint32_t i = 0; i < b->frames; i++)
        b->out[0][i] = b->in[0][i];
    return TAKT_CONTINUE;
}

static int run_takt(struct takt_stream *s)
{
    atomic_store(&cycles, 0);
    if (takt_stream_start(s) < 0) {
        struct takt_error e;
        takt_stream_error(s, &e);
        fprintf(stderr, "jack_wake: %s\n", e.text);
        return 1;
    }
    await_segment();
    return takt_stream_abort(s) < 0;
}

int main(void)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_sched sched;
    struct takt_stream_actual a;
    client = jack_client_open("bare", JackNoStartServer, NULL);
    if (!client) {
        fprintf(stderr, "jack_wake: no server; run it within tools/with-jack\n");
        return 1;
    }
    bare_in = jack_port_register(client, "in", JACK_DEFAULT_AUDIO_TYPE, JackPortIsInput, 0);
    bare_out = jack_port_register(client, "out", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
    jack_set_process_callback(client, bare_process, NULL);
    struct takt_stream_cfg cfg = {.in = {.device = "jack:none", .channels = 1},
                                  .out = {.device = "jack:none", .channels = 1},
                                  .process = takt_process};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_actual(s, &a);
    period_ns = a.host_block_frames * 1e9 / a.rate_hz;
    long long steal = bench_steal_ticks();
    for (int k = 0; k < GROUPS * SEGMENTS; k++)
        for (int turn = 0; turn < 2; turn++)
            if ((k + turn) % 2 ? run_takt(s) : run_bare()) {
                fprintf(stderr, "jack_wake: a segment could not be run\n");
                return 1;
            }
    takt_stream_sched(s, &sched);
    double ratio[GROUPS], q[2][4];
    const double share[4] = {0.5, 0.99, 0.999, 1};
    for (int g = 0; g < GROUPS; g++)
        ratio[g] = bench_quantile(off_us[1] + g * GROUP, GROUP, 0.99) /
                   bench_quantile(off_us[0] + g * GROUP, GROUP, 0.99);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4; i++)
            q[k][i] = bench_quantile(off_us[k], (size_t)taken[k], share[i]);
    printf("{\"bench\":\"jack_wake\",\"block_frames\":%u,\"wakes\":%d,\"policy\":\"%s\","
           "\"bare_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},"
           "\"takt_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},"
           "\"ratio_p99\":%.3f,\"ratio_p99_pooled\":%.3f,\"steal_ticks\":%lld}\n",
           a.host_block_frames, taken[1], takt_policy_name(sched.policy), q[0][0], q[0][1], q[0][2],
           q[0][3], q[1][0], q[1][1], q[1][2], q[1][3], bench_median(ratio, GROUPS),
           q[1][1] / q[0][1], bench_steal_ticks() - steal);
    takt_stream_destroy(s);
    jack_client_close(client);
    return 0;
}
