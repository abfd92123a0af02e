/*
 * What eight analyses cost the callback of a stream that feeds them: 64-frame stereo blocks in real
 * time. In one turn no worker is fed; in the next, eight through one more, behind the output, as
 * takt does (`after` of takt_stream_cfg, takt/worker.h); in a third the eight directly, there; and
 * in a fourth the one inside the callback, where nothing can be cheaper than touching some lines
 * of memory that left the cache since the last block. Each worker transforms overlapping windows of
 * 2048 frames on its own thread. The durations are the callback's own, and all kinds of turns share
 * the run, its neighbours and its stalls. Turns are too short for a worker to go to sleep, as none
 * does in a stream that goes on.
 *
 * "moved_us" is the difference to none, of the percentiles over all blocks of each kind; "shared"
 * shall move the 99th by less than 1 us, and no deadline shall be missed for the callback's sake.
 * Exit: 0 when that holds, 1 when not.
 */
#include "bench.h"

#include <takt/takt.h>

#include <string.h>

enum { WORKERS = 8, BLOCK = 64, TURN = 60, TURNS = 500, SIZE = 2048, HOP = 512, RATE = 48000 };
enum { NONE, SHARED, DIRECT, INSIDE, KINDS };
static const char *const kind_names[] = {"none", "shared", "direct", "inside"};

struct analysis {
    struct takt_worker *worker;
    struct takt_fft *fft;
    float mono[SIZE], bins[SIZE + 2];
};

struct bench {
    struct analysis analysis[WORKERS], direct[WORKERS]; /* one writer each */
    struct takt_worker *fan;
    uint64_t blocks;
    double ns[KINDS][TURN * TURNS / KINDS];
};

static bool transform(struct takt_work *w, void *event, void *arg)
{
    struct analysis *a = arg;
    for (size_t i = 0; i < w->frames; i++)
        a->mono[i] = w->x[i * w->channels];
    takt_fft_forward(a->fft, a->mono, a->bins);
    *(float *)event = a->bins[100];
    return true;
}

static bool fan_out(struct takt_work *w, void *event, void *arg)
{
    struct bench *bench = arg;
    for (int i = 0; i < WORKERS; i++)
        takt_worker_write_interleaved(bench->analysis[i].worker, w->x, w->frames, w->position);
    return false;
}

static int kind_of(uint64_t block)
{
    return (int)(block / TURN % KINDS);
}

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct bench *bench = arg;
    uint64_t turn = bench->blocks / TURN, at = turn / KINDS * TURN + bench->blocks % TURN;
    int kind = kind_of(bench->blocks);
    int64_t begun = takt_now_ns();
    for (uint32_t c = 0; c < b->out_channels; c++)
        takt_scale(b->out[c], b->in[c], 0.8f, b->frames);
    if (kind == INSIDE)
        takt_worker_write(bench->fan, b->in, b->frames, b->position);
    int64_t took = takt_now_ns() - begun;
    if (turn < TURNS)
        bench->ns[kind][at] = (double)took;
    return bench->blocks + 1 < (uint64_t)TURN * TURNS ? TAKT_CONTINUE : TAKT_ABORT;
}

/* Behind the output, as takt feeds its own analyses. */
static void after(const struct takt_block *b, void *arg)
{
    struct bench *bench = arg;
    int kind = kind_of(bench->blocks++);
    if (kind == SHARED)
        takt_worker_write(bench->fan, b->in, b->frames, b->position);
    for (int i = 0; i < WORKERS && kind == DIRECT; i++)
        takt_worker_write(bench->direct[i].worker, b->in, b->frames, b->position);
}

static int begin(struct analysis *a)
{
    struct takt_error e;
    struct takt_fft_cfg fft = {.size = SIZE};
    struct takt_worker_cfg cfg = {.work = transform,
                                  .arg = a,
                                  .size_frames = SIZE,
                                  .hop_frames = HOP,
                                  .channels = 2,
                                  .rate_hz = RATE,
                                  .event_bytes = sizeof(float),
                                  .events = 65536};
    if (takt_fft_create(&fft, &a->fft, &e) < 0 || takt_worker_create(&cfg, &a->worker, &e) < 0)
        return takt_die(&e);
    return 0;
}

/* Returns by how much the shared feed moved it, us. */
static double print_percentile(struct bench *b, double q)
{
    static double sorted[KINDS][TURN * TURNS / KINDS];
    double us[KINDS];
    memcpy(sorted, b->ns, sizeof sorted);
    printf("\"p%g_us\":{", q * 100);
    for (int k = 0; k < KINDS; k++) {
        us[k] = bench_quantile(sorted[k], TURN * TURNS / KINDS, q) / 1e3;
        printf("\"%s\":%.3f,", kind_names[k], us[k]);
    }
    printf("\"shared_moved_us\":%.3f,\"direct_moved_us\":%.3f,\"inside_moved_us\":%.3f},",
           us[SHARED] - us[NONE], us[DIRECT] - us[NONE], us[INSIDE] - us[NONE]);
    return us[SHARED] - us[NONE];
}

/* Of our making is what the callback itself was too slow for; kept are the last of all. */
static uint64_t print_misses(const struct takt_stream *s)
{
    struct takt_contract_snapshot k;
    takt_contract_read(takt_stream_contract(s), &k);
    printf("\"misses\":%llu,\"misses_overran\":%llu,\"load\":%.4f,",
           (unsigned long long)k.misses_total, (unsigned long long)k.misses[TAKT_MISS_OVERRAN],
           k.cpu_load);
    return k.misses[TAKT_MISS_OVERRAN];
}

int main(void)
{
    static struct bench bench;
    struct takt_stream *s;
    struct takt_error e;
    uint64_t windows = 0, dropped = 0;
    for (int i = 0; i < WORKERS; i++)
        if (begin(&bench.analysis[i]) || begin(&bench.direct[i]))
            return 1;
    struct takt_worker_cfg fan = {
        .work = fan_out, .arg = &bench, .size_frames = RATE / 400, .channels = 2, .rate_hz = RATE};
    if (takt_worker_create(&fan, &bench.fan, &e) < 0)
        return takt_die(&e);
    struct takt_stream_cfg cfg = {.in = {.device = "sim:voice", .channels = 2},
                                  .out = {.device = "sim:", .channels = 2},
                                  .rate_hz = RATE,
                                  .block_frames = BLOCK,
                                  .process = process,
                                  .after = after,
                                  .arg = &bench};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    long long steal = bench_steal_ticks();
    if (takt_stream_start(s) < 0 || takt_stream_wait(s, 300000) < 0)
        return 1;
    steal = bench_steal_ticks() - steal;
    takt_worker_stop(bench.fan, 10000);
    for (int i = 0; i < WORKERS; i++) {
        struct takt_worker_counts n;
        takt_worker_stop(bench.analysis[i].worker, 10000);
        takt_worker_counts(bench.analysis[i].worker, &n);
        windows += n.windows;
        dropped += n.dropped_frames;
    }
    printf("{\"bench\":\"analyses\",\"analyses\":%d,\"block_frames\":%d,\"channels\":2,"
           "\"blocks\":%d,",
           WORKERS, BLOCK, TURN * TURNS);
    print_percentile(&bench, 0.5);
    bool holds = print_percentile(&bench, 0.99) < 1;
    print_percentile(&bench, 0.999);
    holds &= print_misses(s) == 0;
    printf("\"windows\":%llu,\"dropped_frames\":%llu,\"steal_ticks\":%lld}\n",
           (unsigned long long)windows, (unsigned long long)dropped, steal);
    takt_stream_destroy(s);
    takt_worker_destroy(bench.fan);
    for (int i = 0; i < WORKERS; i++) {
        takt_worker_destroy(bench.analysis[i].worker);
        takt_worker_destroy(bench.direct[i].worker);
        takt_fft_destroy(bench.analysis[i].fft);
        takt_fft_destroy(bench.direct[i].fft);
    }
    return holds ? 0 : 1;
}
