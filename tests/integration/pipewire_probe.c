/*
 * pipewire_probe - sends impulses round by a PipeWire sink and its monitor, and tells how many
 * frames they took:
 *
 *     pipewire_probe native SINK           a bare pw_filter, which others have to link
 *     pipewire_probe takt SINK BLOCK       a stream of takt's, duplex
 *
 * It prints one JSON line: the way that most impulses took, how many did, and what takt reported.
 * Frames are counted by the graph's clock, so a cycle that the machine was too late for does not
 * shift later ones.
 */
#include <pipewire/filter.h>
#include <pipewire/pipewire.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <takt/takt.h>
#include <unistd.h>

enum { IMPULSES = 41, OFFSET = 7, SECONDS_MAX = 20, GAP_BLOCKS = 8, GAP_FRAMES = 2000 };

struct probe {
    uint64_t next_at, sent_at; /* positions */
    bool is_out;               /* an impulse is on its way */
    int64_t took[IMPULSES];
    _Atomic int count;
    _Atomic uint32_t frames; /* of a block */
    void *in, *out;
};

/* One block, whose first frame has that position. Nothing here waits or allocates. */
static void probe_block(struct probe *p, uint64_t position, const float *in, float *out,
                        uint32_t frames)
{
    uint64_t gap = GAP_BLOCKS * frames + GAP_FRAMES;
    int count = atomic_load(&p->count);
    memset(out, 0, frames * sizeof *out);
    atomic_store(&p->frames, frames);
    for (uint32_t i = 0; p->is_out && i < frames; i++)
        if (in[i] > 0.5f) {
            p->is_out = false;
            p->took[count] = (int64_t)(position + i - p->sent_at);
            atomic_store(&p->count, ++count);
        }
    if (p->is_out && position - p->sent_at > gap)
        p->is_out = false; /* it was lost */
    if (position < p->next_at || p->is_out || count == IMPULSES)
        return;
    uint32_t at = OFFSET < frames ? OFFSET : 0;
    out[at] = 1;
    p->sent_at = position + at;
    p->next_at = position + gap;
    p->is_out = true;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void wait_for_impulses(const struct probe *p)
{
    for (int i = 0; i < SECONDS_MAX * 100 && atomic_load(&p->count) < IMPULSES; i++)
        usleep(10000);
}

/* The median, and how many agree with it. */
static int64_t verdict(struct probe *p, int *agree)
{
    int count = atomic_load(&p->count);
    qsort(p->took, (size_t)count, sizeof *p->took, ascending);
    int64_t middle = count ? p->took[count / 2] : -1;
    *agree = 0;
    for (int i = 0; i < count; i++)
        *agree += p->took[i] == middle;
    return middle;
}

static void native_process(void *arg, struct spa_io_position *position)
{
    struct probe *p = arg;
    uint32_t frames = (uint32_t)position->clock.duration;
    float *in = pw_filter_get_dsp_buffer(p->in, frames);
    float *out = pw_filter_get_dsp_buffer(p->out, frames);
    if (in && out)
        probe_block(p, position->clock.position, in, out, frames);
}

static void *native_port(struct pw_filter *f, enum pw_direction direction, const char *name)
{
    return pw_filter_add_port(f, direction, PW_FILTER_PORT_FLAG_MAP_BUFFERS, 0,
                              pw_properties_new(PW_KEY_FORMAT_DSP, "32 bit float mono audio",
                                                PW_KEY_PORT_NAME, name, NULL),
                              NULL, 0);
}

/* Two ports named NODE:PORT, as soon as both are there. */
static void join(const char *from_node, const char *from, const char *to_node, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "pw-link %s:%s %s:%s 2>/dev/null", from_node, from, to_node,
             to);
    for (int i = 0; i < 100 && system(command); i++)
        usleep(20000);
}

static int run_native(struct probe *p, const char *sink)
{
    static const struct pw_filter_events events = {.version = PW_VERSION_FILTER_EVENTS,
                                                   .process = native_process};
    pw_init(NULL, NULL);
    struct pw_thread_loop *loop = pw_thread_loop_new("probe", NULL);
    pw_thread_loop_start(loop);
    pw_thread_loop_lock(loop);
    struct pw_filter *f = pw_filter_new_simple(
        pw_thread_loop_get_loop(loop), "native-probe",
        pw_properties_new(PW_KEY_NODE_NAME, "native-probe", PW_KEY_NODE_LATENCY, "64/48000",
                          PW_KEY_CONFIG_NAME, "client-rt.conf", NULL),
        &events, p);
    p->out = native_port(f, PW_DIRECTION_OUTPUT, "out");
    p->in = native_port(f, PW_DIRECTION_INPUT, "in");
    int err = pw_filter_connect(f, PW_FILTER_FLAG_RT_PROCESS, NULL, 0);
    pw_thread_loop_unlock(loop);
    if (err < 0)
        return 1;
    join("native-probe", "out", sink, "playback_FL");
    join(sink, "monitor_FL", "native-probe", "in");
    wait_for_impulses(p);
    pw_thread_loop_stop(loop);
    pw_filter_destroy(f);
    pw_thread_loop_destroy(loop);
    int agree;
    int64_t took = verdict(p, &agree);
    printf("{\"took\": %lld, \"agree\": %d, \"of\": %d, \"block\": %u}\n", (long long)took, agree,
           atomic_load(&p->count), atomic_load(&p->frames));
    return 0;
}

static enum takt_next takt_process(const struct takt_block *b, void *arg)
{
    probe_block(arg, b->position, b->in[0], b->out[0], b->frames);
    return TAKT_CONTINUE;
}

static int run_takt(struct probe *p, const char *sink, uint32_t block)
{
    char id[128];
    snprintf(id, sizeof id, "pipewire:%s", sink);
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_actual a;
    if (takt_stream_create(&(struct takt_stream_cfg){.in = {.device = id, .channels = 1},
                                                     .out = {.device = id, .channels = 1},
                                                     .block_frames = block,
                                                     .process = takt_process,
                                                     .arg = p},
                           &s, &e) < 0 ||
        takt_stream_start(s) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    wait_for_impulses(p);
    takt_stream_actual(s, &a);
    takt_stream_destroy(s);
    int agree;
    int64_t took = verdict(p, &agree);
    printf("{\"took\": %lld, \"agree\": %d, \"of\": %d, \"block\": %u, \"host_block\": %u, "
           "\"in\": %u, \"out\": %u, \"adapter\": %u}\n",
           (long long)took, agree, atomic_load(&p->count), atomic_load(&p->frames),
           a.host_block_frames, a.latency_in_frames, a.latency_out_frames, a.adapter_frames);
    return 0;
}

int main(int argc, char **argv)
{
    static struct probe p;
    if (argc == 3 && !strcmp(argv[1], "native"))
        return run_native(&p, argv[2]);
    if (argc == 4 && !strcmp(argv[1], "takt"))
        return run_takt(&p, argv[2], (uint32_t)atoi(argv[3]));
    fprintf(stderr, "usage: pipewire_probe native SINK | takt SINK BLOCK\n");
    return 2;
}
