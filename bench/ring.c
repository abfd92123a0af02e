/*
 * What a ring costs between two threads on two cores: frames a second at several block sizes, and
 * the time from a write to the read that sees it. jack_ringbuffer, where libjack is there, runs the
 * same loops; a memcpy in and out on one thread is the floor.
 *
 * A thread that waits looks again after one pause of the CPU, or after sixteen. The less it looks,
 * the less it disturbs the other, so both rings gain by the longer wait; "ratio_vs_jack" compares
 * each at its best, "ratio_vs_jack_spin" both after one pause. Runs are short and all cases take
 * turns in each round, so a neighbour on the machine, or a host that moves our cores closer
 * together or further apart, hits all of them alike; every figure is a median over the rounds,
 * every ratio the median of the ratios within a round.
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
    ROUNDS_MIN = 11,
    ROUNDS_MAX = 101,
    SECONDS_MAX = 40, /* on a busy machine, fewer rounds */
    RING_FRAMES = 4096,
    CHANNELS_MAX = 2,
    BLOCK_FRAMES_MAX = 1024,
    TRANSFER_BYTES = 1 << 20, /* a run of throughput: well below a time slice */
    TRIPS = 500,              /* a run of latency */
    WAITS = 2,
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
enum { PIPES = sizeof pipes / sizeof *pipes, WITH_JACK = PIPES > 2 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const int wait_pauses[WAITS] = {1, 16};

static void wait_a_while(int pauses)
{
    for (int i = 0; i < pauses; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
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
    int pauses;
    _Atomic int ready;
};

static void meet(struct run *r)
{
    atomic_fetch_add(&r->ready, 1);
    while (atomic_load(&r->ready) < 2)
        wait_a_while(1);
}

static void put(struct run *r, void *ring, const void *x)
{
    while (!r->pipe->write(ring, x, r->frames, r->frame_bytes))
        wait_a_while(r->pauses);
}

static void get(struct run *r, void *ring, void *x)
{
    while (!r->pipe->read(ring, x, r->frames, r->frame_bytes))
        wait_a_while(r->pauses);
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
static double throughput(const struct pipe *pipe, size_t frames, size_t frame_bytes, int pauses)
{
    static float x[BLOCK_FRAMES_MAX * CHANNELS_MAX];
    struct run r = {.pipe = pipe, .frames = frames, .frame_bytes = frame_bytes, .pauses = pauses};
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
    struct run r = {
        .pipe = pipe, .frames = frames, .frame_bytes = sizeof(float), .count = TRIPS, .pauses = 1};
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

static int rounds; /* that were made */

/* Median over the rounds of a[i] / b[i]. */
static double median_ratio(const double *a, const double *b)
{
    double ratio[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++)
        ratio[i] = a[i] / b[i];
    return quantile(ratio, (size_t)rounds, 0.5);
}

static double median(const double *x)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, x, sizeof sorted);
    return quantile(sorted, (size_t)rounds, 0.5);
}

/* One block size, with what every round found. */
struct throughput_case {
    size_t frames, channels;
    double rate[PIPES][WAITS][ROUNDS_MAX], floor[ROUNDS_MAX]; /* frames a second */
};

struct latency_case {
    size_t frames;
    double median_s[PIPES][ROUNDS_MAX], p99_s[PIPES][ROUNDS_MAX];
};

static struct throughput_case throughput_cases[] = {
    {16, 1}, {16, 2}, {256, 1}, {256, 2}, {1024, 1}, {1024, 2}, {64, 1}, {64, 2},
};
static struct latency_case latency_cases[] = {{1}, {64}};
enum {
    THROUGHPUT_CASES = sizeof throughput_cases / sizeof *throughput_cases,
    LATENCY_CASES = sizeof latency_cases / sizeof *latency_cases
};

static void measure(int round)
{
    for (int i = 0; i < THROUGHPUT_CASES; i++) {
        struct throughput_case *c = &throughput_cases[i];
        for (int p = 0; p < PIPES; p++)
            for (int w = 0; w < WAITS; w++)
                c->rate[p][w][round] =
                    throughput(&pipes[p], c->frames, c->channels * sizeof(float), wait_pauses[w]);
        c->floor[round] = memcpy_throughput(c->frames, c->channels * sizeof(float));
    }
    for (int i = 0; i < LATENCY_CASES; i++) {
        struct latency_case *c = &latency_cases[i];
        for (int p = 0; p < PIPES; p++)
            latency(&pipes[p], c->frames, &c->median_s[p][round], &c->p99_s[p][round]);
    }
}

/* The rates of a pipe with the wait that suits it. */
static const double *best(const struct throughput_case *c, int p)
{
    return median(c->rate[p][0]) > median(c->rate[p][1]) ? c->rate[p][0] : c->rate[p][1];
}

static double lesser(double a, double b)
{
    return a < b ? a : b;
}

/* The ratio of pipe p to the better one of the peer's two, each with the wait that suits it. */
static double vs_jack(const struct throughput_case *c, int p)
{
    return lesser(median_ratio(best(c, p), best(c, PIPES - 2)),
                  median_ratio(best(c, p), best(c, PIPES - 1)));
}

/* The same, both waiting for one pause. */
static double vs_jack_spin(const struct throughput_case *c, int p)
{
    return lesser(median_ratio(c->rate[p][0], c->rate[PIPES - 2][0]),
                  median_ratio(c->rate[p][0], c->rate[PIPES - 1][0]));
}

static void print_throughput(const struct throughput_case *c)
{
    printf("{\"bench\":\"ring_throughput\",\"block_frames\":%zu,\"channels\":%zu", c->frames,
           c->channels);
    for (int p = 0; p < PIPES; p++)
        printf(",\"%s_mframes_s\":{\"best\":%.1f,\"spin\":%.1f}", pipes[p].name,
               median(best(c, p)) * 1e-6, median(c->rate[p][0]) * 1e-6);
    printf(",\"memcpy_mframes_s\":%.1f,\"ratio_vs_memcpy\":%.3f", median(c->floor) * 1e-6,
           median_ratio(best(c, 0), c->floor));
    if (WITH_JACK)
        printf(
            ",\"ratio_vs_jack\":%.2f,\"ratio_in_place_vs_jack\":%.2f,\"ratio_vs_jack_spin\":%.2f",
            vs_jack(c, 0), vs_jack(c, 1), vs_jack_spin(c, 0));
    printf("}\n");
}

static void print_latency(const struct latency_case *c)
{
    printf("{\"bench\":\"ring_latency\",\"block_frames\":%zu,\"channels\":1", c->frames);
    for (int p = 0; p < PIPES; p++)
        printf(",\"%s_ns\":{\"p50\":%.0f,\"p99\":%.0f}", pipes[p].name,
               median(c->median_s[p]) * 1e9, median(c->p99_s[p]) * 1e9);
    if (WITH_JACK)
        printf(",\"ratio_vs_jack\":%.2f", median_ratio(c->median_s[0], c->median_s[PIPES - 2]));
    printf("}\n");
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
    double stolen[2], all[2];
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench-ring: two threads on one CPU measure the scheduler; needs two\n");
        return 77;
    }
    pin(0);
    read_steal(&stolen[0], &all[0]);
    double end_s = now_s() + SECONDS_MAX;
    while (rounds < ROUNDS_MAX && (rounds < ROUNDS_MIN || now_s() < end_s))
        measure(rounds++);
    read_steal(&stolen[1], &all[1]);
    for (int i = 0; i < THROUGHPUT_CASES; i++)
        print_throughput(&throughput_cases[i]);
    for (int i = 0; i < LATENCY_CASES; i++)
        print_latency(&latency_cases[i]);
    printf("{\"bench\":\"ring\",\"block_frames\":64,\"rounds\":%d,\"steal_percent\":%.2f", rounds,
           100 * (stolen[1] - stolen[0]) / (all[1] - all[0] + 1e-9));
    const struct throughput_case *mono = &throughput_cases[THROUGHPUT_CASES - 2],
                                 *stereo = mono + 1;
    if (WITH_JACK)
        printf(",\"ratio_vs_jack\":%.2f,\"ratio_vs_jack_stereo\":%.2f,"
               "\"ratio_vs_jack_spin\":%.2f,\"ratio_vs_jack_spin_stereo\":%.2f",
               vs_jack(mono, 0), vs_jack(stereo, 0), vs_jack_spin(mono, 0),
               vs_jack_spin(stereo, 0));
    printf("}\n");
    return 0;
}
