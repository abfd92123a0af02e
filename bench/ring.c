/*
 * What a ring costs between two threads on two cores: frames a second at several block sizes, and
 * the time from a write to the read that sees it. jack_ringbuffer, where libjack is there, runs the
 * same loops; a memcpy in and out on one thread is the floor. Runs are short and take turns, so a
 * neighbour on the machine hits all of them alike; every figure is a median over the rounds, every
 * ratio the median of the ratios within a round.
 */
#include <takt/ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_JACK
#include <jack/ringbuffer.h>
#endif

enum {
    ROUNDS = 61,
    RING_FRAMES = 4096,
    CHANNELS_MAX = 2,
    BLOCK_FRAMES_MAX = 1024,
    TRANSFER_BYTES = 4 << 20, /* a run of throughput: a few milliseconds, less than a time slice */
    TRIPS = 2000,             /* a run of latency */
};

/* One way of moving blocks. write and read move one whole block, or return false. */
struct pipe {
    const char *name;
    void *(*open)(size_t frame_bytes, size_t frames);
    void (*close)(void *ring);
    bool (*write)(void *ring, const void *x, size_t frames, size_t frame_bytes);
    bool (*read)(void *ring, void *x, size_t frames, size_t frame_bytes);
};

static void *takt_open(size_t frame_bytes, size_t frames)
{
    struct takt_ring *r;
    struct takt_error e;
    struct takt_ring_cfg cfg = {.elem_bytes = frame_bytes, .capacity = frames};
    if (takt_ring_create(&cfg, &r, &e) < 0)
        exit(takt_die(&e));
    return r;
}

static void takt_close(void *ring)
{
    takt_ring_destroy(ring);
}

static bool takt_write(void *ring, const void *x, size_t frames, size_t frame_bytes)
{
    (void)frame_bytes;
    return takt_ring_write_all(ring, x, frames);
}

static bool takt_read(void *ring, void *x, size_t frames, size_t frame_bytes)
{
    (void)frame_bytes;
    return takt_ring_read_all(ring, x, frames);
}

/* The same in place: one look for room and for the span. */
static bool takt_write_in_place(void *ring, const void *x, size_t frames, size_t frame_bytes)
{
    void *at;
    if (takt_ring_reserve(ring, frames, &at) < frames)
        return false;
    memcpy(at, x, frames * frame_bytes);
    return takt_ring_commit(ring, frames) == frames;
}

static bool takt_read_in_place(void *ring, void *x, size_t frames, size_t frame_bytes)
{
    const void *at;
    if (takt_ring_peek(ring, frames, &at) < frames)
        return false;
    memcpy(x, at, frames * frame_bytes);
    return takt_ring_advance(ring, frames) == frames;
}

#ifdef HAVE_JACK
/* One byte of a jack_ringbuffer stays empty, and its size is a power of two. */
static void *jack_open(size_t frame_bytes, size_t frames)
{
    return jack_ringbuffer_create(frame_bytes * frames);
}

static void jack_close(void *ring)
{
    jack_ringbuffer_free(ring);
}

static bool jack_write(void *ring, const void *x, size_t frames, size_t frame_bytes)
{
    size_t bytes = frames * frame_bytes;
    return jack_ringbuffer_write_space(ring) >= bytes &&
           jack_ringbuffer_write(ring, x, bytes) == bytes;
}

static bool jack_read(void *ring, void *x, size_t frames, size_t frame_bytes)
{
    size_t bytes = frames * frame_bytes;
    return jack_ringbuffer_read_space(ring) >= bytes &&
           jack_ringbuffer_read(ring, x, bytes) == bytes;
}

/* The same in place, as libjack offers it; the block may lie across the end. */
static bool jack_write_in_place(void *ring, const void *x, size_t frames, size_t frame_bytes)
{
    jack_ringbuffer_data_t v[2];
    size_t bytes = frames * frame_bytes;
    jack_ringbuffer_get_write_vector(ring, v);
    if (v[0].len + v[1].len < bytes)
        return false;
    size_t first_bytes = v[0].len < bytes ? v[0].len : bytes;
    memcpy(v[0].buf, x, first_bytes);
    memcpy(v[1].buf, (const char *)x + first_bytes, bytes - first_bytes);
    jack_ringbuffer_write_advance(ring, bytes);
    return true;
}

static bool jack_read_in_place(void *ring, void *x, size_t frames, size_t frame_bytes)
{
    jack_ringbuffer_data_t v[2];
    size_t bytes = frames * frame_bytes;
    jack_ringbuffer_get_read_vector(ring, v);
    if (v[0].len + v[1].len < bytes)
        return false;
    size_t first_bytes = v[0].len < bytes ? v[0].len : bytes;
    memcpy(x, v[0].buf, first_bytes);
    memcpy((char *)x + first_bytes, v[1].buf, bytes - first_bytes);
    jack_ringbuffer_read_advance(ring, bytes);
    return true;
}
#endif

static const struct pipe pipes[] = {
    {"takt", takt_open, takt_close, takt_write, takt_read},
    {"takt_in_place", takt_open, takt_close, takt_write_in_place, takt_read_in_place},
#ifdef HAVE_JACK
    {"jack", jack_open, jack_close, jack_write, jack_read},
    {"jack_in_place", jack_open, jack_close, jack_write_in_place, jack_read_in_place},
#endif
};
enum { PIPES = sizeof pipes / sizeof *pipes, PEER = 2 /* the first of the peer's */ };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* What both threads of a run share. */
struct run {
    const struct pipe *pipe;
    void *there, *back;
    size_t frames, frame_bytes, count;
    double *trip_s;
    _Atomic int ready;
};

static void meet(struct run *r)
{
    atomic_fetch_add(&r->ready, 1);
    while (atomic_load(&r->ready) < 2)
        pause_cpu();
}

static void put(struct run *r, void *ring, const void *x)
{
    while (!r->pipe->write(ring, x, r->frames, r->frame_bytes))
        pause_cpu();
}

static void get(struct run *r, void *ring, void *x)
{
    while (!r->pipe->read(ring, x, r->frames, r->frame_bytes))
        pause_cpu();
}

static void *writer(void *arg)
{
    static float x[BLOCK_FRAMES_MAX * CHANNELS_MAX];
    struct run *r = arg;
    pin(1);
    meet(r);
    for (size_t i = 0; i < r->count; i++) {
        x[0] = (float)(i & 0xffff);
        put(r, r->there, x);
    }
    return NULL;
}

static void *echo(void *arg)
{
    static float x[BLOCK_FRAMES_MAX * CHANNELS_MAX];
    struct run *r = arg;
    pin(1);
    meet(r);
    for (size_t i = 0; i < r->count; i++) {
        get(r, r->there, x);
        put(r, r->back, x);
    }
    return NULL;
}

static void open_run(struct run *r, pthread_t *other, void *(*body)(void *))
{
    r->there = r->pipe->open(r->frame_bytes, RING_FRAMES);
    r->back = r->pipe->open(r->frame_bytes, RING_FRAMES);
    pthread_create(other, NULL, body, r);
    meet(r);
}

static void close_run(struct run *r, pthread_t other)
{
    pthread_join(other, NULL);
    r->pipe->close(r->there);
    r->pipe->close(r->back);
}

/* Frames a second. Each block carries its number, so a lost or a torn one ends the bench. */
static double throughput(const struct pipe *pipe, size_t frames, size_t frame_bytes)
{
    static float x[BLOCK_FRAMES_MAX * CHANNELS_MAX];
    struct run r = {.pipe = pipe, .frames = frames, .frame_bytes = frame_bytes};
    r.count = TRANSFER_BYTES / (frames * frame_bytes);
    pthread_t other;
    open_run(&r, &other, writer);
    double begin_s = now_s();
    for (size_t i = 0; i < r.count; i++) {
        get(&r, r.there, x);
        if (x[0] != (float)(i & 0xffff))
            abort();
    }
    double taken_s = now_s() - begin_s;
    close_run(&r, other);
    return (double)(r.count * frames) / taken_s;
}

static double memcpy_throughput(size_t frames, size_t frame_bytes)
{
    static char x[BLOCK_FRAMES_MAX * CHANNELS_MAX * 4], ring[RING_FRAMES * CHANNELS_MAX * 4];
    size_t bytes = frames * frame_bytes, count = TRANSFER_BYTES / bytes, at = 0;
    double begin_s = now_s();
    for (size_t i = 0; i < count; i++) {
        memcpy(ring + at, x, bytes);
        __asm__ volatile("" ::: "memory");
        memcpy(x, ring + at, bytes);
        __asm__ volatile("" ::: "memory");
        at = (at + bytes) % (RING_FRAMES * frame_bytes);
    }
    return (double)(count * frames) / (now_s() - begin_s);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *x, size_t n, double q)
{
    qsort(x, n, sizeof *x, compare);
    return x[(size_t)((double)(n - 1) * q)];
}

/* Half of each trip there and back, in seconds. */
static void latency(const struct pipe *pipe, size_t frames, double *median_s, double *p99_s)
{
    static float x[BLOCK_FRAMES_MAX * CHANNELS_MAX];
    static double trip_s[TRIPS];
    struct run r = {.pipe = pipe, .frames = frames, .frame_bytes = sizeof(float), .count = TRIPS};
    pthread_t other;
    open_run(&r, &other, echo);
    for (int i = 0; i < TRIPS; i++) {
        double begin_s = now_s();
        put(&r, r.there, x);
        get(&r, r.back, x);
        trip_s[i] = (now_s() - begin_s) / 2;
    }
    close_run(&r, other);
    *median_s = quantile(trip_s, TRIPS, 0.5);
    *p99_s = quantile(trip_s, TRIPS, 0.99);
}

/* Median over the rounds of a[i] / b[i]. */
static double median_ratio(const double *a, const double *b)
{
    double ratio[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        ratio[i] = a[i] / b[i];
    return quantile(ratio, ROUNDS, 0.5);
}

/* The ratio to the better one of the peer's ways; 0 where there is no peer. */
static double vs_peer(const double *own, double (*rate)[ROUNDS])
{
    double least = 0;
    for (int p = PEER; p < PIPES; p++) {
        double ratio = median_ratio(own, rate[p]);
        if (p == PEER || ratio < least)
            least = ratio;
    }
    return least;
}

/* Prints one case; returns the ratio of takt, block by block, to the better of jack's two ways. */
static double bench_throughput(size_t frames, size_t channels)
{
    static double rate[PIPES][ROUNDS], floor[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int p = 0; p < PIPES; p++)
            rate[p][round] = throughput(&pipes[p], frames, channels * sizeof(float));
        floor[round] = memcpy_throughput(frames, channels * sizeof(float));
    }
    double vs_memcpy = median_ratio(rate[0], floor);
    double vs_jack = vs_peer(rate[0], rate);
    double in_place_vs_jack = vs_peer(rate[1], rate);
    printf("{\"bench\":\"ring_throughput\",\"block_frames\":%zu,\"channels\":%zu", frames,
           channels);
    for (int p = 0; p < PIPES; p++)
        printf(",\"%s_mframes_s\":%.1f", pipes[p].name, quantile(rate[p], ROUNDS, 0.5) * 1e-6);
    printf(",\"memcpy_mframes_s\":%.1f,\"ratio_vs_memcpy\":%.3f",
           quantile(floor, ROUNDS, 0.5) * 1e-6, vs_memcpy);
    if (PIPES > PEER)
        printf(",\"ratio_vs_jack\":%.2f,\"ratio_in_place_vs_jack\":%.2f", vs_jack,
               in_place_vs_jack);
    printf("}\n");
    fflush(stdout);
    return vs_jack;
}

static void bench_latency(size_t frames)
{
    static double median_s[PIPES][ROUNDS], p99_s[PIPES][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        for (int p = 0; p < PIPES; p++)
            latency(&pipes[p], frames, &median_s[p][round], &p99_s[p][round]);
    double ratio = PIPES > PEER ? median_ratio(median_s[0], median_s[PEER]) : 0;
    printf("{\"bench\":\"ring_latency\",\"block_frames\":%zu,\"channels\":1", frames);
    for (int p = 0; p < PIPES; p++)
        printf(",\"%s_ns\":{\"p50\":%.0f,\"p99\":%.0f}", pipes[p].name,
               quantile(median_s[p], ROUNDS, 0.5) * 1e9, quantile(p99_s[p], ROUNDS, 0.5) * 1e9);
    if (PIPES > PEER)
        printf(",\"ratio_vs_jack\":%.2f", ratio);
    printf("}\n");
    fflush(stdout);
}

/* Jiffies of this machine's CPUs: stolen by others on its host, and all. */
static void read_steal(double *stolen, double *all)
{
    double v[8] = {0};
    FILE *f = fopen("/proc/stat", "r");
    *stolen = *all = 0;
    if (!f)
        return;
    if (fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
               &v[6], &v[7]) == 8) {
        *stolen = v[7];
        for (int i = 0; i < 8; i++)
            *all += v[i];
    }
    fclose(f);
}

int main(void)
{
    static const size_t sizes[] = {16, 256, 1024, 64};
    double stolen[2], all[2], ratio[CHANNELS_MAX] = {0};
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench-ring: two threads on one CPU measure the scheduler; needs two\n");
        return 77;
    }
    pin(0);
    read_steal(&stolen[0], &all[0]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t channels = 1; channels <= CHANNELS_MAX; channels++)
            ratio[channels - 1] = bench_throughput(sizes[i], channels);
    bench_latency(1);
    bench_latency(64);
    read_steal(&stolen[1], &all[1]);
    printf("{\"bench\":\"ring\",\"block_frames\":64,\"steal_percent\":%.2f",
           100 * (stolen[1] - stolen[0]) / (all[1] - all[0] + 1e-9));
    if (PIPES > PEER)
        printf(",\"ratio_vs_jack\":%.2f,\"ratio_vs_jack_stereo\":%.2f", ratio[0], ratio[1]);
    printf("}\n");
    return 0;
}
