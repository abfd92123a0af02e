/*
 * One block size: a stream of its own, from its first block to its last, and what its contract
 * says. Nothing is left out at the beginning: starting is part of what a stream does.
 *
 * The output is silent whatever the load is: a bench must neither howl nor wake anybody.
 *
 * The device thread's CPU time is read by the main thread, from that thread's own clock, which the
 * callback names once; so nothing is added to the blocks. It covers all that the thread does for
 * the stream: device library, adapter, callback, contract.
 */
#include "bench.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100 };

struct measuring {
    struct bench *bench;
    struct takt_stream *stream;
    uint32_t block_frames;
    uint64_t length_frames;
    double steps_per_frame;
    /* The device thread's: */
    struct chain chain;
    double state;
    pthread_t thread;
    bool thread_known;
    _Atomic bool clock_known; /* and from then on clock is set */
    _Atomic clockid_t clock;
    /* The main thread's: */
    clockid_t clock_seen;
    int64_t first_cpu_ns, last_cpu_ns, first_ns, last_ns;
};

struct takt_stream_cfg bench_stream(const struct bench *b, uint32_t block_frames)
{
    struct takt_stream_cfg c = options_stream(b->options);
    c.in.device = b->in;
    c.out.device = b->out;
    c.block_frames = block_frames;
    c.name = "takt bench";
    return c;
}

/* ---- The device thread ----------------------------------------------------------------------- */

/* A chain in which each step waits for the one before, so that no processor can shorten it. */
static double work(double x, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++)
        x = x * 0.999 + 0.001;
    return x;
}

/* A server may go on with another thread. RT: yes; both calls only look at the thread's own data.
 */
static void note_thread(struct measuring *m)
{
    clockid_t clock;
    pthread_t self = pthread_self();
    if (m->thread_known && pthread_equal(m->thread, self))
        return;
    m->thread = self;
    m->thread_known = true;
    if (pthread_getcpuclockid(self, &clock) == 0) {
        atomic_store(&m->clock, clock);
        atomic_store(&m->clock_known, true);
    }
}

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct measuring *m = arg;
    note_thread(m);
    if (m->chain.count && b->out_channels) {
        for (uint32_t o = 0; o < b->out_channels && b->in_channels; o++)
            memcpy(b->out[o], b->in[o % b->in_channels], b->frames * sizeof(float));
        chain_run(&m->chain, b->out, b->out_channels, b->frames, b->frames, b->position,
                  m->bench->rate_hz);
        for (uint32_t o = 0; o < b->out_channels; o++)
            memset(b->out[o], 0, b->frames * sizeof(float));
    }
    if (m->steps_per_frame > 0)
        m->state = work(m->state, (uint64_t)(m->steps_per_frame * b->frames));
    return TAKT_CONTINUE;
}

double bench_calibrate(void)
{
    enum { ROUNDS = 50, STEPS = 1000000 };
    static volatile double kept;
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = takt_now_ns();
        kept = work(kept, STEPS);
        int64_t took = takt_now_ns() - began;
        if (took > 0 && STEPS / (double)took > best)
            best = STEPS / (double)took;
    }
    return best;
}

/* ---- The main thread --------------------------------------------------------------------------
 */

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Fails once the thread has ended; the reading before then stands. */
static void read_thread_clock(struct measuring *m)
{
    struct timespec cpu;
    if (!atomic_load(&m->clock_known))
        return;
    clockid_t clock = atomic_load(&m->clock);
    bool is_first = !m->first_ns || clock != m->clock_seen;
    if (clock_gettime(clock, &cpu) != 0)
        return;
    m->clock_seen = clock;
    m->last_cpu_ns = ns_of(cpu);
    m->last_ns = takt_now_ns();
    if (is_first) {
        m->first_cpu_ns = m->last_cpu_ns;
        m->first_ns = m->last_ns;
    }
}

static void draw_progress(struct measuring *m)
{
    struct terminal *t = &m->bench->terminal;
    const struct options *o = m->bench->options;
    struct takt_contract_snapshot now;
    if (!t->live || o->json || o->quiet)
        return;
    takt_contract_read(takt_stream_contract(m->stream), &now);
    terminal_begin(t);
    terminal_line(t, "%6u: %.0f s of %g, %llu miss%s %s(size %d of %d)%s", m->block_frames,
                  floor((double)takt_stream_position(m->stream) / m->bench->rate_hz), o->seconds,
                  (unsigned long long)now.misses_total, now.misses_total == 1 ? "" : "es",
                  terminal_dim(t), m->bench->row_count + 1, o->block_count, terminal_plain(t));
    terminal_show(t);
}

static int fail(struct measuring *m, const char *why)
{
    terminal_clear(&m->bench->terminal);
    m->bench->end = BENCH_ERROR;
    return complain(m->bench->options, EXIT_FAILED, "blocks of %u: %s", m->block_frames, why);
}

/* 0 while all goes on. */
static int take_events(struct measuring *m)
{
    struct takt_event ev;
    char why[320];
    while (takt_stream_next_event(m->stream, &ev)) {
        double at_s = (double)ev.position / m->bench->rate_hz;
        if (ev.type == TAKT_EVENT_DEVICE_LOST) {
            snprintf(why, sizeof why, "the device went away after %.2f s", at_s);
            return fail(m, why);
        }
        if (ev.type == TAKT_EVENT_SINK_FAILED)
            return fail(m, ev.text);
        if (ev.type == TAKT_EVENT_LOG && m->bench->options->verbose) {
            make_printable(ev.text);
            terminal_clear(&m->bench->terminal);
            fprintf(stderr, "takt: %s\n", ev.text);
        }
    }
    return 0;
}

static bool user_ends(struct bench *b)
{
    for (int signal; (signal = signals_next(&b->signals));) {
        if (signal == SIGTSTP)
            terminal_end(&b->terminal); /* the shell gets it back whole */
        if (signals_ends(signal))
            b->end = BENCH_USER;
    }
    return b->end == BENCH_USER;
}

/* Until the stream has ended by itself. 0, or the exit status if it is not to be counted. */
static int watch(struct measuring *m)
{
    struct pollfd fds[] = {{.fd = takt_stream_event_fd(m->stream), .events = POLLIN},
                           {.fd = m->bench->signals.fd, .events = POLLIN}};
    for (;;) {
        enum takt_state state = takt_stream_state(m->stream);
        read_thread_clock(m);
        int status = take_events(m);
        if (status)
            return status;
        if (user_ends(m->bench))
            return EXIT_OK;
        if (state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK)
            break;
        draw_progress(m);
        poll(fds, 2, POLL_MS);
    }
    struct takt_error e;
    takt_stream_error(m->stream, &e);
    if (e.code < 0)
        return fail(m, e.text);
    if (takt_stream_position(m->stream) < m->length_frames)
        return fail(m, "the stream ended early");
    return 0;
}

static void fill_row(struct measuring *m, struct bench_row *row)
{
    const struct bench *b = m->bench;
    struct takt_stream_actual a;
    takt_stream_actual(m->stream, &a);
    row->block_frames = m->block_frames;
    row->host_block_frames = a.host_block_frames;
    row->latency_in_frames = a.latency_in_frames;
    row->latency_out_frames = a.latency_out_frames;
    row->adapter_frames = a.adapter_frames;
    row->seconds = (double)takt_stream_position(m->stream) / b->rate_hz;
    takt_contract_read(takt_stream_contract(m->stream), &row->contract);
    takt_stream_sched(m->stream, &row->sched);
    row->thread_load = m->last_ns > m->first_ns ? (double)(m->last_cpu_ns - m->first_cpu_ns) /
                                                      (double)(m->last_ns - m->first_ns)
                                                : (double)NAN;
    row->misses_an_hour = odds_an_hour(row->contract.misses_total, row->seconds);
    row->verdict = odds_judge(&(struct odds_seen){
        .misses = row->contract.misses_total,
        .seconds = row->seconds,
        .slack_least = bench_slack_least(b, row),
    });
}

static int run(struct measuring *m, struct bench_row *row)
{
    struct takt_error e;
    struct machine_ticks before, after;
    bool ticks_known = machine_ticks_read(&before);
    if (takt_stream_start(m->stream) < 0) {
        takt_stream_error(m->stream, &e);
        return fail(m, e.text);
    }
    int status = watch(m);
    if (status || m->bench->end)
        return status;
    fill_row(m, row);
    ticks_known = machine_ticks_read(&after) && ticks_known && after.all > before.all;
    row->steal = ticks_known
                     ? (double)(after.stolen - before.stolen) / (double)(after.all - before.all)
                     : (double)NAN;
    return 0;
}

int bench_measure(struct bench *b, uint32_t block_frames, struct bench_row *row)
{
    struct takt_error e;
    struct measuring *m = calloc(1, sizeof *m); /* outlives this call where a callback hangs */
    if (!m)
        return complain(b->options, EXIT_FAILED, "out of memory");
    *m =
        (struct measuring){.bench = b, .block_frames = block_frames, .chain = b->chain, .state = 1};
    struct takt_stream_cfg c = bench_stream(b, block_frames);
    double frames = floor(b->options->seconds * b->rate_hz + 0.5);
    m->length_frames = c.length_frames = frames < 1 ? 1 : (uint64_t)frames;
    m->steps_per_frame = b->options->load * b->steps_per_ns * 1e9 / b->rate_hz;
    c.rate_hz = b->rate_hz;
    c.process = process;
    c.arg = m;
    if (takt_stream_create(&c, &m->stream, &e) < 0) {
        int status = fail(m, e.text);
        free(m);
        return status;
    }
    int status = run(m, row);
    takt_stream_abort(m->stream);
    bool hangs = takt_stream_state(m->stream) != TAKT_STATE_STOPPED;
    takt_stream_destroy(m->stream);
    if (!hangs)
        free(m);
    return status;
}
