/*
 * Threads: the callback runs on the device thread; it meters, and every tenth of a second of the
 * stream's time it puts a reading into a ring. The main thread waits for events, signals and the
 * next redraw, and takes the readings from there.
 *
 * On a virtual clock the ring must lose nothing, so there the callback waits for room: time stands
 * still meanwhile, and no sound is late.
 */
#include "session.h"

#include "json.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { REDRAW_MS = 40, READINGS = 256, LATEST_MISSES = 16 };
static const double line_s = 0.1;

struct reading {
    double time_s;
    struct takt_level_reading channel[];
};

struct running {
    struct session *session;
    struct takt_stream *stream;
    struct takt_stream_actual actual;
    struct takt_level *level;
    uint32_t channels; /* metered */
    bool meters_input;
    struct takt_ring *readings;
    size_t reading_bytes;
    struct terminal terminal;
    int signals;
    bool ends, failed, pipe_closed;
    _Atomic bool leaves;  /* nobody takes readings any more */
    int64_t next_text_ds; /* when to print the next plain line, tenths of a second */
    /* The device thread's. */
    uint64_t next_line; /* readings made so far */
    struct reading *scratch;
    uint64_t length_frames;
};

/* ---- The callback -----------------------------------------------------------------------------
 */

/* Input k goes to output k; one input goes to all; more inputs than outputs are mixed. */
static void route(const struct takt_block *b, bool mixes)
{
    if (!b->in_channels)
        return;
    for (uint32_t o = 0; o < b->out_channels; o++) {
        if (mixes) {
            for (uint32_t i = 0; i < b->in_channels; i++)
                takt_mix(b->out[o], b->in[i], i == o % b->in_channels ? 1.0f : 0.35f, b->frames);
        } else {
            memcpy(b->out[o], b->in[o % b->in_channels], b->frames * sizeof(float));
        }
    }
}

static void make_reading(struct running *r, double time_s)
{
    r->scratch->time_s = time_s;
    for (uint32_t c = 0; c < r->channels; c++)
        takt_level_read(r->level, c, &r->scratch->channel[c]);
    while (!takt_ring_write_avail(r->readings)) {
        if (r->actual.clock == TAKT_CLOCK_REAL || atomic_load(&r->leaves))
            return; /* a line is lost, no sound */
        sched_yield();
    }
    takt_ring_write(r->readings, r->scratch, 1);
}

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct running *r = arg;
    route(b, r->session->mixes);
    if (r->session->chain && b->out_channels)
        chain_run(r->session->chain, b->out, b->out_channels, b->frames, b->position,
                  r->actual.rate_hz);
    /* Only what counts is metered: not what fills up the last block. */
    uint64_t left = r->length_frames > b->position ? r->length_frames - b->position : 0;
    uint32_t frames = b->in_channels ? b->in_frames : b->frames;
    frames = r->length_frames && left < frames ? (uint32_t)left : frames;
    takt_level_update(r->level, r->meters_input ? b->in : (const float *const *)b->out, frames);
    double end_s = (double)(b->position + frames) / r->actual.rate_hz;
    if (end_s >= (double)(r->next_line + 1) * line_s) {
        r->next_line = (uint64_t)(end_s / line_s);
        make_reading(r, end_s);
    }
    return TAKT_CONTINUE;
}

/* ---- Lines and pictures -------------------------------------------------------------------------
 */

static void print_json_reading(struct running *r, const struct reading *now)
{
    struct json j = {.to = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "type", "level");
    json_number(&j, "time_s", now->time_s, 6);
    json_open(&j, "channels", '[');
    for (uint32_t c = 0; c < r->channels; c++) {
        const struct takt_level_reading *l = &now->channel[c];
        json_open(&j, NULL, '{');
        json_number(&j, "rms_dbfs", l->rms_dbfs, 3);
        json_number(&j, "block_rms_dbfs", l->block_rms_dbfs, 3);
        json_number(&j, "peak_dbfs", l->block_peak_dbfs, 3);
        json_number(&j, "hold_dbfs", l->hold_dbfs, 3);
        json_int(&j, "clips", (int64_t)l->clips);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end_line(&j);
}

static void print_text_reading(struct running *r, const struct reading *now)
{
    struct takt_contract_snapshot k;
    takt_contract_read(takt_stream_contract(r->stream), &k);
    printf("%8.1f s ", now->time_s);
    for (uint32_t c = 0; c < r->channels && c < 8; c++)
        printf(" ch%u rms %6.1f peak %6.1f", c + 1, now->channel[c].rms_dbfs,
               now->channel[c].hold_dbfs);
    if (r->actual.clock == TAKT_CLOCK_REAL)
        printf("  misses %llu, worst slack %.2f ms", (unsigned long long)k.misses_total,
               (double)k.slack_ns_min / 1e6);
    putchar('\n');
}

static void draw_channel(struct running *r, const struct takt_level_reading *l, uint32_t channel)
{
    struct terminal *t = &r->terminal;
    char bar[4096], clips[64] = "";
    int fixed = 32, width = t->columns - fixed;
    if (l->clips)
        snprintf(clips, sizeof clips, "  %sclip %llu%s", terminal_warn(t),
                 (unsigned long long)l->clips, terminal_plain(t));
    if (width < 8) {
        terminal_line(t, "%2u %6.1f pk %6.1f%s", channel + 1, l->rms_dbfs, l->hold_dbfs, clips);
        return;
    }
    width -= l->clips ? 12 : 0;
    terminal_bar(t, bar, sizeof bar, width < 8 ? 8 : width, l->rms_dbfs, l->block_peak_dbfs,
                 l->hold_dbfs);
    terminal_line(t, "%2u %s%s%s %6.1f dBFS  peak %6.1f%s", channel + 1, t->utf8 ? "▕" : "[", bar,
                  t->utf8 ? "▏" : "]", l->rms_dbfs, l->hold_dbfs, clips);
}

static void draw(struct running *r)
{
    struct terminal *t = &r->terminal;
    struct takt_contract_snapshot k;
    takt_contract_read(takt_stream_contract(r->stream), &k);
    terminal_begin(t);
    double seconds = (double)takt_stream_position(r->stream) / r->actual.rate_hz;
    enum takt_state state = takt_stream_state(r->stream);
    terminal_line(t, "%s%s%s  %.1f s%s", terminal_bold(t), r->session->title, terminal_plain(t),
                  seconds, state == TAKT_STATE_LOST ? "  the device is away: silence" : "");
    uint32_t room = t->rows > 4 ? (uint32_t)t->rows - 4 : 1;
    for (uint32_t c = 0; c < r->channels && c < room; c++) {
        struct takt_level_reading l;
        takt_level_read(r->level, c, &l);
        draw_channel(r, &l, c);
    }
    const char *alarm = k.misses_total ? terminal_warn(t) : "";
    double worst_ms = k.blocks ? (double)k.slack_ns_min / 1e6 : 0;
    double block_ms = 1e3 * r->actual.host_block_frames / r->actual.rate_hz;
    if (t->columns < 60)
        terminal_line(t, "%s%llu misses%s of %llu", alarm, (unsigned long long)k.misses_total,
                      terminal_plain(t), (unsigned long long)k.blocks);
    else
        terminal_line(t,
                      "   contract  %llu blocks  %s%llu misses%s  worst slack %.2f of %.2f ms"
                      "  load %.1f %%",
                      (unsigned long long)k.blocks, alarm, (unsigned long long)k.misses_total,
                      terminal_plain(t), worst_ms, block_ms, 100 * k.cpu_load);
    terminal_line(t, "   %s%u Hz, blocks of %u, latency in %u + out %u + adapter %u frames%s",
                  terminal_dim(t), r->actual.rate_hz,
                  r->actual.block_frames ? r->actual.block_frames : r->actual.block_frames_max,
                  r->actual.latency_in_frames, r->actual.latency_out_frames,
                  r->actual.adapter_frames, terminal_plain(t));
    terminal_show(t);
}

/* ---- The summary --------------------------------------------------------------------------------
 */

static const char *ended_by(const struct running *r)
{
    return r->failed                          ? "error"
           : r->session->stopped_by_user      ? "user"
           : r->session->stream.length_frames ? "length"
                                              : "end of source";
}

static void print_json_summary(struct running *r, const struct takt_contract_snapshot *k)
{
    struct json j = {.to = stdout};
    const struct takt_stream_actual *a = &r->actual;
    uint64_t frames = takt_stream_position(r->stream);
    struct takt_sched sched;
    takt_stream_sched(r->stream, &sched);
    char contract[2048];
    takt_contract_json(k, contract, sizeof contract);
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", r->session->options->verb);
    json_string(&j, "version", takt_version());
    json_string(&j, "in", a->in_device);
    json_string(&j, "out", a->out_device);
    json_string(&j, "clock", a->clock == TAKT_CLOCK_VIRTUAL ? "virtual" : "real");
    json_number(&j, "seconds", (double)frames / a->rate_hz, 6);
    json_int(&j, "rate_hz", a->rate_hz);
    json_int(&j, "block_frames", a->block_frames);
    json_int(&j, "host_block_frames", a->host_block_frames);
    json_int(&j, "blocks", (int64_t)k->blocks);
    json_int(&j, "frames", (int64_t)frames);
    json_string(&j, "ended_by", ended_by(r));
    json_raw(&j, "contract", contract);
    struct takt_miss misses[LATEST_MISSES];
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), misses, LATEST_MISSES);
    json_open(&j, "last_misses", '[');
    for (int i = 0; i < n; i++) {
        json_open(&j, NULL, '{');
        json_string(&j, "cause", takt_miss_name(misses[i].cause));
        json_int(&j, "position", (int64_t)misses[i].position);
        json_number(&j, "lateness_us", (double)misses[i].lateness_ns / 1e3, 3);
        json_number(&j, "duration_us", (double)misses[i].duration_ns / 1e3, 3);
        json_number(&j, "slack_us", (double)misses[i].slack_ns / 1e3, 3);
        json_int(&j, "lost_frames", (int64_t)misses[i].lost_frames);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_open(&j, "latency_frames", '{');
    json_int(&j, "host_in", a->latency_in_frames);
    json_int(&j, "host_out", a->latency_out_frames);
    json_int(&j, "adapter", a->adapter_frames);
    json_close(&j, '}');
    json_open(&j, "channels", '[');
    for (uint32_t c = 0; c < r->channels; c++) {
        struct takt_level_reading l;
        takt_level_read(r->level, c, &l);
        json_open(&j, NULL, '{');
        json_number(&j, "rms_dbfs", l.total_rms_dbfs, 3);
        json_number(&j, "peak_dbfs", l.peak_dbfs, 3);
        json_int(&j, "clips", (int64_t)l.clips);
        json_int(&j, "clip_runs", (int64_t)l.clip_runs);
        json_number(&j, "dc", l.dc, 7);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_open(&j, "sched", '{');
    json_string(&j, "policy", takt_policy_name(sched.policy));
    json_int(&j, "priority", sched.priority);
    json_int(&j, "nice", sched.nice);
    json_string(&j, "why", sched.why);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end_line(&j);
}

static void print_text_summary(struct running *r, const struct takt_contract_snapshot *k)
{
    const struct takt_stream_actual *a = &r->actual;
    char text[2048];
    uint64_t frames = takt_stream_position(r->stream);
    printf("%s%s%s: %.3f s, %llu frames at %u Hz\n", *a->in_device ? a->in_device : "",
           *a->in_device && *a->out_device ? " -> " : "", a->out_device,
           (double)frames / a->rate_hz, (unsigned long long)frames, a->rate_hz);
    for (uint32_t c = 0; c < r->channels; c++) {
        struct takt_level_reading l;
        takt_level_read(r->level, c, &l);
        printf("  channel %u: rms %.2f dBFS, peak %.2f dBFS, %llu clip%s\n", c + 1,
               l.total_rms_dbfs, l.peak_dbfs, (unsigned long long)l.clips, l.clips == 1 ? "" : "s");
    }
    takt_contract_text(k, text, sizeof text);
    fputs(text, stdout);
    if (!r->session->options->verbose)
        return;
    struct takt_sched sched;
    takt_stream_sched(r->stream, &sched);
    printf("  thread    %s %d%s%s%s\n", takt_policy_name(sched.policy), sched.priority,
           *sched.why ? " (" : "", sched.why, *sched.why ? ")" : "");
    printf("  latency   in %u + out %u + adapter %u frames, blocks of %u in host blocks of %u\n",
           a->latency_in_frames, a->latency_out_frames, a->adapter_frames, a->block_frames,
           a->host_block_frames);
    struct takt_miss misses[LATEST_MISSES];
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), misses, LATEST_MISSES);
    for (int i = 0; i < n; i++) {
        takt_miss_text(&misses[i], text, sizeof text);
        printf("  miss      %s\n", text);
    }
}

/* ---- The main thread
 * ------------------------------------------------------------------------------ */

/* Closed pipes end the run quietly; anything else that cannot be written is an error. */
static void check_stdout(struct running *r)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    if (errno == EPIPE)
        r->pipe_closed = true;
    else if (!r->failed)
        r->failed = complain(r->session->options, 1, "cannot write to stdout: %s", strerror(errno));
    r->ends = true;
}

static void take_readings(struct running *r)
{
    const struct options *o = r->session->options;
    struct reading *now = malloc(r->reading_bytes);
    while (now && !r->ends && takt_ring_read(r->readings, now, 1)) {
        if (o->quiet || r->session->no_summary)
            continue;
        if (o->json) {
            print_json_reading(r, now);
        } else if (!r->terminal.live && (int64_t)(now->time_s * 10 + 0.5) >= r->next_text_ds) {
            print_text_reading(r, now);
            r->next_text_ds = (int64_t)(now->time_s * 10 + 0.5) + 10;
        }
    }
    free(now);
    check_stdout(r);
}

static void tell(struct running *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct running *r, const char *format, ...)
{
    va_list args;
    if (r->terminal.live && !r->session->options->json)
        terminal_end(&r->terminal); /* the line stands above the next picture */
    va_start(args, format);
    fputs("takt: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static void take_events(struct running *r)
{
    struct takt_event ev;
    bool verbose = r->session->options->verbose;
    while (takt_stream_next_event(r->stream, &ev)) {
        double at = (double)ev.position / r->actual.rate_hz;
        switch (ev.type) {
        case TAKT_EVENT_SINK_FAILED:
            tell(r, "%s", ev.text);
            r->failed = r->ends = true;
            break;
        case TAKT_EVENT_DEVICE_LOST:
            tell(r, "%.2f s: the device is away; the stream goes on in silence", at);
            break;
        case TAKT_EVENT_DEVICE_BACK:
            tell(r, "%.2f s: the device is back after %.2f s", at,
                 (double)ev.value / r->actual.rate_hz);
            break;
        case TAKT_EVENT_LOG:
            tell(r, "%s", ev.text);
            break;
        case TAKT_EVENT_XRUN:
            if (verbose)
                tell(r, "%.2f s: the device lost %llu frames", at, (unsigned long long)ev.value);
            break;
        default:
            if (verbose)
                tell(r, "%.2f s: %s", at, takt_event_name(ev.type));
        }
    }
}

static bool is_over(const struct running *r)
{
    enum takt_state state = takt_stream_state(r->stream);
    return state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK;
}

static void watch(struct running *r)
{
    const struct options *o = r->session->options;
    bool draws = r->terminal.live && !o->json && !o->quiet;
    struct pollfd fds[] = {{.fd = takt_stream_event_fd(r->stream), .events = POLLIN},
                           {.fd = r->signals, .events = POLLIN}};
    while (!r->ends) {
        bool over = is_over(r);
        take_events(r);
        take_readings(r);
        if (draws && !r->ends)
            draw(r);
        if (over)
            break;
        poll(fds, 2, o->fast ? 1 : REDRAW_MS);
        struct signalfd_siginfo signal;
        if (fds[1].revents && read(r->signals, &signal, sizeof signal) > 0)
            r->session->stopped_by_user = r->ends = true;
    }
}

/* On a virtual clock the callback may wait for room in the ring; the end must not wait for it. */
static int stop(struct running *r)
{
    atomic_store(&r->leaves, true);
    return takt_stream_stop(r->stream);
}

static int make(struct running *r)
{
    struct session *s = r->session;
    struct takt_error e;
    s->stream.process = process;
    s->stream.arg = r;
    if (takt_stream_create(&s->stream, &r->stream, &e) < 0)
        return complain(s->options, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s",
                        e.text);
    takt_stream_actual(r->stream, &r->actual);
    r->length_frames = s->stream.length_frames;
    r->meters_input = !r->actual.out_channels;
    r->channels = r->meters_input ? r->actual.in_channels : r->actual.out_channels;
    r->reading_bytes = sizeof *r->scratch + r->channels * sizeof *r->scratch->channel;
    r->scratch = calloc(1, r->reading_bytes);
    if (!r->scratch ||
        takt_level_create(
            &(struct takt_level_cfg){.channels = r->channels, .rate_hz = r->actual.rate_hz},
            &r->level, &e) < 0 ||
        takt_ring_create(
            &(struct takt_ring_cfg){.elem_bytes = r->reading_bytes, .capacity = READINGS},
            &r->readings, &e) < 0)
        return complain(s->options, EXIT_FAILED, "out of memory");
    return 0;
}

static void finish(struct running *r)
{
    const struct options *o = r->session->options;
    takt_contract_read(takt_stream_contract(r->stream), &r->session->contract);
    if (r->pipe_closed)
        return;
    if (r->session->no_summary) {
        /* It is part of something longer, which tells in its own way. */
    } else if (o->json) {
        print_json_summary(r, &r->session->contract);
    } else if (!o->quiet) {
        print_text_summary(r, &r->session->contract);
    }
    check_stdout(r);
}

/* Until when the signals are taken by the main thread alone. */
static int block_signals(sigset_t *before)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, before);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int run(struct running *r)
{
    struct session *s = r->session;
    struct takt_error e;
    int status = make(r);
    if (status)
        return status;
    char title[600];
    snprintf(title, sizeof title, "%s%s%s", r->actual.in_device,
             *r->actual.in_device && *r->actual.out_device ? " -> " : "", r->actual.out_device);
    s->title = s->title ? s->title : title;
    if (takt_stream_start(r->stream) < 0) {
        takt_stream_error(r->stream, &e);
        return complain(s->options, EXIT_FAILED, "%s", e.text);
    }
    watch(r);
    int err = stop(r);
    take_events(r);
    terminal_end(&r->terminal);
    if (err < 0 && !r->failed) {
        takt_stream_error(r->stream, &e);
        complain(s->options, EXIT_FAILED, "%s", e.text);
        r->failed = true;
    }
    s->actual = r->actual;
    finish(r);
    s->title = NULL;
    if (r->failed)
        return EXIT_FAILED;
    return s->options->strict && s->contract.misses_total ? EXIT_BROKEN : EXIT_OK;
}

int session_run(struct session *s)
{
    struct running r = {.session = s};
    sigset_t before;
    r.signals = block_signals(&before);
    terminal_init(&r.terminal);
    const char *title = s->title;
    int status = run(&r);
    s->title = title;
    terminal_end(&r.terminal);
    takt_stream_destroy(r.stream);
    takt_level_destroy(r.level);
    takt_ring_destroy(r.readings);
    free(r.scratch);
    if (r.signals >= 0)
        close(r.signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

void note_simulated(const struct options *o, const char *in, const char *out)
{
    struct takt_defaults d;
    takt_defaults_get(&d);
    if (o->quiet || o->json)
        return;
    if (in && !strncmp(d.in_device, "sim:", 4))
        fprintf(stderr, "takt: no sound card in use; listening to the simulated %s\n", d.in_device);
    if (out && !strncmp(d.out_device, "sim:", 4))
        fprintf(stderr, "takt: no sound card in use; playing to the simulated %s\n", d.out_device);
}
