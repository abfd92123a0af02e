/*
 * Threads: the callback (callback.c) runs on the device thread and puts readings into a ring. The
 * main thread waits here for events, signals and the next redraw, and takes the readings out.
 *
 * Signals are blocked while a stream runs and come in through a descriptor. While it drains after
 * the first Ctrl-C they are let through again, so that a second one ends the program at once; the
 * terminal is whole by then, and a recording is at every instant.
 */
#include "running.h"

#include "output.h"
#include "page.h"
#include "whole_file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REDRAW_MS = 40, FAST_POLL_MS = 1, READINGS = 256 };
/* ---- Words ----------------------------------------------------------------------------------- */

void running_tell(struct running *r, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_printable(text);
    terminal_clear(&r->terminal);
    fprintf(stderr, "takt: %s\n", text);
}

void session_tell(struct session *s, const char *text)
{
    running_tell(s->running, "%s", text);
}

static void note_simulated(struct running *r)
{
    const struct session *s = r->session;
    if (s->options->quiet || s->options->json)
        return;
    if (s->default_in && !strncmp(r->actual.in_device, "sim:", 4))
        running_tell(r, "no sound card in use; listening to the simulated %s", r->actual.in_device);
    if (s->default_out && !strncmp(r->actual.out_device, "sim:", 4))
        running_tell(r, "no sound card in use; playing to the simulated %s", r->actual.out_device);
}

static void take_events(struct running *r)
{
    struct takt_event ev;
    const struct options *o = r->session->options;
    while (takt_stream_next_event(r->stream, &ev)) {
        double at_s = (double)ev.position / r->actual.rate_hz;
        if (ev.type == TAKT_EVENT_SINK_FAILED) {
            running_tell(r, "%s", ev.text);
            r->session->sink_failed = r->failed = true;
            r->ends |= !r->session->outlives_sink;
        } else if (ev.type == TAKT_EVENT_SINK_LOST) {
            running_tell(r, "%s", ev.text);
        } else if (o->quiet) {
            continue;
        } else if (ev.type == TAKT_EVENT_DEVICE_LOST) {
            running_tell(r, "%.2f s: %s%sthe device is away; the stream goes on in silence", at_s,
                         ev.text, *ev.text ? ": " : "");
        } else if (ev.type == TAKT_EVENT_DEVICE_BACK) {
            running_tell(r, "%.2f s: %s%sthe device is back after %.2f s", at_s, ev.text,
                         *ev.text ? ": " : "", (double)ev.value / r->actual.rate_hz);
        } else if (ev.type == TAKT_EVENT_BYPASSED) {
            running_tell(
                r, "%.2f s: the effects take too long and are bypassed; tried again in %.2f s",
                at_s, (double)ev.value / r->actual.rate_hz);
        } else if (ev.type == TAKT_EVENT_RESTORED) {
            running_tell(r, "%.2f s: the effects are heard again after %.2f s", at_s,
                         (double)ev.value / r->actual.rate_hz);
        } else if (ev.type == TAKT_EVENT_LOG && (o->verbose || ev.code)) {
            running_tell(r, "%s", ev.text);
        } else if (o->verbose && ev.type == TAKT_EVENT_XRUN && ev.value) {
            running_tell(r, "%.2f s: the device lost %llu frames", at_s,
                         (unsigned long long)ev.value);
        } else if (o->verbose && ev.type == TAKT_EVENT_XRUN) {
            running_tell(r, "%.2f s: the device was late, and lost nothing", at_s);
        } else if (o->verbose && ev.type == TAKT_EVENT_HOST_BLOCK) {
            running_tell(r, "%.2f s: the device's block is %llu frames from now on", at_s,
                         (unsigned long long)ev.value);
        } else if (o->verbose) {
            running_tell(r, "%.2f s: %s", at_s, takt_event_name(ev.type));
        }
    }
}

static void check_stdout(struct running *r)
{
    enum output state = output_flush();
    r->ends |= state != OUTPUT_WELL;
    r->failed |= state == OUTPUT_FAILED;
}

/* ---- The main thread --------------------------------------------------------------------------
 */

static void take_signal(struct running *r)
{
    int signal = signals_next(&r->session->signals);
    if (signal == SIGTSTP)
        terminal_end(&r->terminal); /* the shell gets it back whole */
    if (signals_ends(signal))
        r->session->stopped_by_user = r->ends = true;
}

/* Only in the foreground: from elsewhere a read would stop us. */
static void take_keys(struct running *r)
{
    struct session *s = r->session;
    char keys[64];
    ssize_t n = s->key && r->terminal.echo_off ? read(STDIN_FILENO, keys, sizeof keys) : 0;
    for (ssize_t i = 0; i < n; i++) {
        if (keys[i] == '\033') { /* arrows and the like do nothing: to their last letter */
            i += i + 1 < n && (keys[i + 1] == '[' || keys[i + 1] == 'O');
            while (++i < n && !(keys[i] >= '@' && keys[i] <= '~'))
                ;
            continue;
        }
        if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 4) {
            s->stopped_by_user = r->ends = true;
            return;
        }
        s->key(s, keys[i]);
        r->is_stale = true;
    }
}

static void watch(struct running *r)
{
    const struct options *o = r->session->options;
    bool draws = r->terminal.live && !o->json && !o->quiet;
    int64_t next_draw_ns = 0;
    struct pollfd fds[3 + 2 * PIPES_MAX] = {
        {.fd = takt_stream_event_fd(r->stream), .events = POLLIN},
        {.fd = r->session->signals.fd, .events = POLLIN},
        {.fd = -1, .events = POLLIN}};
    while (!r->ends) {
        enum takt_state state = takt_stream_state(r->stream);
        bool over = state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK;
        take_events(r);
        bool more = pipes_take(r);
        analyses_take(r, false);
        check_stdout(r);
        misses_tell(r);
        voice_tell(r);
        if (draws && !r->ends && (over || r->is_stale || takt_now_ns() >= next_draw_ns)) {
            view_draw(r);
            r->is_stale = false;
            check_stdout(r);
            next_draw_ns = takt_now_ns() + REDRAW_MS * INT64_C(1000000);
        }
        if (over)
            break;
        fds[2].fd = r->session->key && r->terminal.echo_off ? STDIN_FILENO : -1;
        nfds_t count = 3 + (nfds_t)pipes_poll(r, fds + 3);
        poll(fds, count, more ? 0 : o->fast ? FAST_POLL_MS : REDRAW_MS);
        if (fds[1].revents)
            take_signal(r);
        if (fds[2].revents)
            take_keys(r);
    }
}

/* As the stream counts them: it may run at another rate. */
static uint64_t source_frames(const struct running *r)
{
    double faster = (double)r->actual.rate_hz / r->actual.source_hz;
    return (uint64_t)((double)r->session->source_frames * faster + 0.5);
}

static int make(struct running *r)
{
    struct session *s = r->session;
    struct takt_error e;
    s->stream.process = running_process;
    s->stream.after = s->analysis_count ? running_after : NULL;
    s->stream.finished = s->over ? running_finished : NULL;
    s->stream.arg = r;
    if (takt_stream_create(&s->stream, &r->stream, &e) < 0)
        return complain(s->options, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s",
                        e.text);
    takt_stream_actual(r->stream, &r->actual);
    s->actual = r->actual;
    r->length_frames = s->stream.length_frames;
    r->total_frames = r->length_frames ? r->length_frames : source_frames(r);
    r->meters_input = !r->actual.out_channels;
    r->channels = r->meters_input ? r->actual.in_channels : r->actual.out_channels;
    r->reading_bytes = sizeof *r->scratch + r->channels * sizeof *r->scratch->channel;
    r->scratch = calloc(1, r->reading_bytes);
    r->latest = calloc(1, r->reading_bytes);
    struct takt_level_cfg level = {.channels = r->channels, .rate_hz = r->actual.rate_hz};
    struct takt_ring_cfg ring = {.elem_bytes = r->reading_bytes, .capacity = READINGS};
    struct takt_ring_cfg misses = {.elem_bytes = sizeof(struct takt_miss), .capacity = READINGS};
    if (!r->scratch || !r->latest || takt_level_create(&level, &r->level, &e) < 0 ||
        takt_ring_create(&ring, &r->readings, &e) < 0 ||
        takt_ring_create(&misses, &r->misses, &e) < 0)
        return complain(s->options, EXIT_FAILED, "out of memory");
    int status = analyses_begin(r);
    if (!status && s->voice)
        status = voice_begin(r);
    if (!status)
        status = pipes_begin(r);
    if (status)
        return status;
    const char *in = r->actual.in_device, *out = r->actual.out_device;
    snprintf(r->title, sizeof r->title, "%s%s%s", in, *in && *out ? " -> " : "", out);
    if (s->title)
        snprintf(r->title, sizeof r->title, "%s", s->title);
    if (s->key && s->default_in && !strncmp(in, "sim:", 4)) /* the line above it scrolls away */
        snprintf(r->title, sizeof r->title, "%s, simulated: no sound card in use", in);
    make_printable(r->title);
    return 0;
}

/* Plays out what is left. On a virtual clock the callback may be waiting for room in the ring; the
 * end must not wait for it. */
static void stop(struct running *r)
{
    struct takt_error e;
    sigset_t ours;
    atomic_store(&r->leaves, true);
    analyses_leave(r);
    pipes_leave(r);
    terminal_end(&r->terminal);
    sigprocmask(SIG_SETMASK, &r->session->signals.before, &ours);
    int err = takt_stream_stop(r->stream);
    sigprocmask(SIG_SETMASK, &ours, NULL);
    take_events(r);
    analyses_take(r, false); /* so that there is room for the last of them */
    analyses_stop(r);
    pipes_finish(r);
    voice_finish(r);
    misses_tell_rest(r);
    check_stdout(r);
    takt_stream_error(r->stream, &e);
    if (err < 0 && !r->failed) {
        complain(r->session->options, EXIT_FAILED, "%s", e.text);
        r->failed = true;
    }
}

static int run(struct running *r)
{
    struct session *s = r->session;
    const struct options *o = s->options;
    int status = o->html ? whole_file_check(o, o->html) : 0;
    if (status || (status = make(r)))
        return status;
    note_simulated(r);
    if (takt_stream_start(r->stream) < 0) {
        struct takt_error e;
        takt_stream_error(r->stream, &e);
        return complain(o, EXIT_FAILED, "%s", e.text);
    }
    watch(r);
    stop(r);
    takt_stream_actual(r->stream, &r->actual); /* a server may have changed it */
    takt_contract_read(takt_stream_contract(r->stream), &s->contract);
    if (!s->voice)
        takt_stream_recording(r->stream, &s->recording);
    if (s->finish)
        s->finish(s->process_of);
    if (o->html &&
        page_write(o, o->html, s->page ? s->page : report_html, s->page ? s->page_of : r) == 0)
        r->html = o->html;
    r->failed |= o->html && !r->html;
    if (o->json)
        summary_json(r);
    else if (!o->quiet && !s->no_summary)
        summary_text(r);
    check_stdout(r);
    return r->failed || r->pipe_failed ? EXIT_FAILED : EXIT_OK;
}

int session_run(struct session *s)
{
    struct running r = {.session = s, .next_text_s = 1};
    s->running = &r;
    signals_take(&s->signals);
    terminal_init(&r.terminal);
    r.terminal.has_keys = s->key;
    int status = run(&r);
    terminal_end(&r.terminal);
    takt_stream_destroy(r.stream);
    analyses_end(&r);
    voice_end(s->voice);
    uint64_t dropped = pipes_dropped(&r);
    takt_level_destroy(r.level);
    takt_ring_destroy(r.readings);
    takt_ring_destroy(r.misses);
    free(r.scratch);
    free(r.held);
    free(r.latest);
    s->running = NULL;
    signals_give_back(&s->signals);
    if (!status && s->options->strict && s->recording.lost_frames)
        return complain(s->options, EXIT_BROKEN, "--strict: %llu frames of the recording are lost",
                        (unsigned long long)s->recording.lost_frames);
    if (!status && s->options->strict && dropped)
        return complain(s->options, EXIT_BROKEN, "--strict: %llu frames for a pipe are dropped",
                        (unsigned long long)dropped);
    return status ? status : session_verdict(s->options, &s->contract);
}

int session_verdict(const struct options *o, const struct takt_contract_snapshot *c)
{
    if (!o->strict || !c->misses_total)
        return EXIT_OK;
    return complain(o, EXIT_BROKEN, "--strict: %llu of %llu deadlines missed",
                    (unsigned long long)c->misses_total, (unsigned long long)c->blocks);
}
