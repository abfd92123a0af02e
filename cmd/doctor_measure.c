/*
 * How late threads wake here: simulated devices on the real clock, whose callback does nothing but
 * note it. A size's time is cut into turns, and the sizes take turns, so that a storm that passes
 * over the machine meets all of them.
 *
 * Lateness is kept in histograms of our own, since a stream's record begins anew at each start.
 */
#include "doctor.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { POLL_MS = 100 };
/* Where there is time for more than one turn. Each begins with a new thread, and rtkit lends to no
 * more than 25 of a user's within 20 s. */
static const double turn_least_s = 1;

/* Outlives its measurement where a device thread hangs. */
struct probe {
    struct doctor *doctor;
    struct doctor_size *size;
    struct takt_stream *stream;
    uint64_t turn_frames;
    struct takt_hist lateness; /* written by the device thread */
    _Atomic int64_t switches, faults_major, faults_minor;
};

/* ---- The device thread ------------------------------------------------------------------------
 */

/* The deadline is one block behind the due time, and frames that were lost lie between. */
static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct probe *p = arg;
    uint64_t frames = b->frames + b->lost_frames;
    int64_t late_ns = b->now_ns - b->deadline_ns + (int64_t)(frames * 1000000000 / DOCTOR_RATE_HZ);
    takt_hist_record(&p->lateness, late_ns > 0 ? (uint64_t)late_ns : 0);
    return TAKT_CONTINUE;
}

/* The last thing that the thread does, so the counts are those of its whole life. */
static void finished(uint64_t last_frame, void *arg)
{
    struct probe *p = arg;
    struct rusage r;
    (void)last_frame;
    takt_guard_allow(); /* there is no deadline behind the last block */
    int err = getrusage(RUSAGE_THREAD, &r);
    takt_guard_forbid();
    if (err)
        return;
    atomic_fetch_add(&p->switches, r.ru_nivcsw);
    atomic_fetch_add(&p->faults_major, r.ru_majflt);
    atomic_fetch_add(&p->faults_minor, r.ru_minflt);
}

/* ---- One turn ---------------------------------------------------------------------------------
 */

static bool user_ends(struct doctor *d)
{
    for (int signal; (signal = signals_next(&d->signals));) {
        if (signal == SIGTSTP)
            terminal_end(&d->terminal); /* the shell gets it back whole */
        if (signals_ends(signal))
            d->end = DOCTOR_USER;
    }
    return d->end == DOCTOR_USER;
}

static void draw_progress(const struct probe *p, double done_s)
{
    struct doctor *d = p->doctor;
    const struct options *o = d->options;
    if (!d->terminal.live || o->json || o->quiet)
        return;
    terminal_begin(&d->terminal);
    terminal_line(&d->terminal, "measuring: %.0f s of %g %s(blocks of %u)%s", floor(done_s),
                  o->seconds, terminal_dim(&d->terminal), p->size->block_frames,
                  terminal_plain(&d->terminal));
    terminal_show(&d->terminal);
}

/* Until the turn is over, or the user has had enough. */
static void wait_for_end(struct probe *p)
{
    struct doctor *d = p->doctor;
    struct pollfd fds[] = {{.fd = takt_stream_event_fd(p->stream), .events = POLLIN},
                           {.fd = d->signals.fd, .events = POLLIN}};
    for (;;) {
        struct takt_event ev;
        enum takt_state state = takt_stream_state(p->stream);
        while (takt_stream_next_event(p->stream, &ev))
            ;
        if (user_ends(d) || state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK)
            return;
        draw_progress(p, d->measured.seconds +
                             (double)takt_stream_position(p->stream) / DOCTOR_RATE_HZ);
        poll(fds, 2, POLL_MS);
    }
}

/* Of all turns the least that any of them got. */
static void note_sched(const struct probe *p)
{
    struct doctor_measured *m = &p->doctor->measured;
    struct takt_sched now;
    takt_stream_sched(p->stream, &now);
    bool is_less = now.policy == TAKT_SCHED_OTHER || now.policy == TAKT_SCHED_NICE;
    if (m->seconds <= 0 || is_less)
        m->sched = now;
}

static void add_turn(struct probe *p)
{
    struct doctor_size *s = p->size;
    struct takt_contract_snapshot c;
    double seconds = (double)takt_stream_position(p->stream) / DOCTOR_RATE_HZ;
    takt_contract_read(takt_stream_contract(p->stream), &c);
    if (!c.blocks)
        return;
    note_sched(p);
    s->turns++;
    s->seconds += seconds;
    p->doctor->measured.seconds += seconds;
    s->blocks += c.blocks;
    s->misses_total += c.misses_total;
    for (int i = 0; i < TAKT_MISS_CAUSES; i++)
        s->misses[i] += c.misses[i];
    if (c.slack_ns_min < s->slack_ns_min)
        s->slack_ns_min = c.slack_ns_min;
}

static int fail(struct doctor *d, const struct probe *p, const char *why)
{
    terminal_clear(&d->terminal);
    d->end = DOCTOR_ERROR;
    return complain(d->options, EXIT_FAILED, "blocks of %u: %s", p->size->block_frames, why);
}

static int take_turn(struct probe *p)
{
    struct takt_error e;
    if (takt_stream_start(p->stream) < 0) {
        takt_stream_error(p->stream, &e);
        return fail(p->doctor, p, e.text);
    }
    wait_for_end(p);
    takt_stream_abort(p->stream);
    takt_stream_error(p->stream, &e);
    if (e.code < 0)
        return fail(p->doctor, p, e.text);
    add_turn(p);
    return 0;
}

/* ---- All of them ------------------------------------------------------------------------------
 */

static int open_probe(struct probe *p)
{
    struct takt_error e;
    struct takt_stream_cfg c = {.out = {.device = "sim:", .channels = 1},
                                .rate_hz = DOCTOR_RATE_HZ,
                                .block_frames = p->size->block_frames,
                                .length_frames = p->turn_frames,
                                .process = process,
                                .finished = finished,
                                .arg = p,
                                .name = "takt doctor"};
    return takt_stream_create(&c, &p->stream, &e) < 0 ? fail(p->doctor, p, e.text) : 0;
}

static void read_quantiles(struct probe *p)
{
    struct doctor_size *s = p->size;
    struct doctor_measured *m = &p->doctor->measured;
    s->lateness_ns_p50 = takt_hist_quantile(&p->lateness, 0.5);
    s->lateness_ns_p99 = takt_hist_quantile(&p->lateness, 0.99);
    s->lateness_ns_p999 = takt_hist_quantile(&p->lateness, 0.999);
    s->lateness_ns_max = takt_hist_max(&p->lateness);
    m->switches += atomic_load(&p->switches);
    m->faults_major += atomic_load(&p->faults_major);
    m->faults_minor += atomic_load(&p->faults_minor);
}

static void close_probe(struct probe *p)
{
    enum takt_state state = p->stream ? takt_stream_state(p->stream) : TAKT_STATE_STOPPED;
    takt_stream_destroy(p->stream);
    if (state == TAKT_STATE_STOPPED)
        free(p);
}

/* Sizes for which the user left no time are not counted. */
static void drop_unmeasured(struct doctor_measured *m)
{
    int kept = 0;
    for (int i = 0; i < m->size_count; i++)
        if (m->sizes[i].blocks)
            m->sizes[kept++] = m->sizes[i];
    m->size_count = kept;
}

static void read_counters(const struct doctor *d, struct doctor_counters *c)
{
    doctor_rights_count(d, c);
    doctor_cpu_count(d, c);
    doctor_irq_count(d, c);
}

int doctor_measure(struct doctor *d)
{
    const struct options *o = d->options;
    struct doctor_measured *m = &d->measured;
    struct probe *probes[BLOCKS_MAX] = {NULL};
    int count = o->block_count, status = 0;
    int rounds = (int)fmin(1e6, o->seconds / (count * turn_least_s));
    rounds = rounds < 1 ? 1 : rounds;
    double turn_s = o->seconds / (count * rounds);
    *m = (struct doctor_measured){.size_count = count};
    for (int i = 0; i < count && !status; i++) {
        m->sizes[i] = (struct doctor_size){.block_frames = o->blocks[i], .slack_ns_min = INT64_MAX};
        probes[i] = calloc(1, sizeof *probes[i]);
        if (!probes[i]) {
            d->end = DOCTOR_ERROR;
            status = complain(o, EXIT_FAILED, "out of memory");
            break;
        }
        probes[i]->doctor = d;
        probes[i]->size = &m->sizes[i];
        probes[i]->turn_frames = (uint64_t)fmax(1, turn_s * DOCTOR_RATE_HZ);
        status = open_probe(probes[i]);
    }
    int64_t began = takt_now_ns();
    read_counters(d, &m->before);
    for (int r = 0; r < rounds && !status && !d->end; r++)
        for (int i = 0; i < count && !status && !d->end; i++)
            status = take_turn(probes[i]);
    read_counters(d, &m->after);
    m->took_ns = takt_now_ns() - began;
    terminal_clear(&d->terminal);
    terminal_end(&d->terminal);
    for (int i = 0; i < count; i++)
        if (probes[i]) {
            read_quantiles(probes[i]);
            close_probe(probes[i]);
        }
    drop_unmeasured(m);
    return status;
}
