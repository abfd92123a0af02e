/*
 * The gate runs in the callback: an FFT each 10 ms costs it a few microseconds, nothing can come
 * between a frame and the recording's ring, and --fast gives the same file on every run.
 *
 * Segments go through a ring to the main thread. On a virtual clock a reading of the levels says
 * how many were made before it, so that the lines come in the same order on every run; there are
 * fewer than four a second, and the readings' ring, which holds 26 s, makes the callback wait
 * before this one is full.
 */
#include "voice.h"

#include "running.h"

#include <stdio.h>

enum { SEGMENTS = 1024 };

/* ---- The callback's ----------------------------------------------------------------------------
 */

static void keep_voice(const float *const *x, size_t frames, uint64_t position, void *arg)
{
    const struct voice *v = arg;
    takt_recorder_write(v->recorder, x, (uint32_t)frames);
}

static void note_segment(const struct takt_gate_segment *s, void *arg)
{
    struct voice *v = arg;
    v->segments_made += takt_ring_write(v->segments, s, 1);
}

void voice_write(struct voice *v, const float *const *planes, uint32_t frames, uint64_t position)
{
    takt_gate_process(v->gate, planes, frames, position);
}

/* ---- The main thread's -------------------------------------------------------------------------
 */

int voice_begin(struct running *r)
{
    struct voice *v = r->session->voice;
    const struct options *o = r->session->options;
    const struct takt_stream_actual *a = &r->actual;
    struct takt_error e;
    struct takt_recorder_cfg recording = {.path = v->path,
                                          .rate_hz = a->rate_hz,
                                          .channels = a->out_channels,
                                          .buffer_s = o->buffer_s,
                                          .format = o->format,
                                          .dither = o->dither,
                                          .clock = a->clock,
                                          .seed = o->seed};
    struct takt_gate_cfg gate = {.rate_hz = a->rate_hz,
                                 .channels = a->out_channels,
                                 .mode = TAKT_VAD_EAGER,
                                 .write = keep_voice,
                                 .segment = note_segment,
                                 .arg = v};
    struct takt_ring_cfg ring = {.elem_bytes = sizeof(struct takt_gate_segment),
                                 .capacity = SEGMENTS};
    if (takt_recorder_create(&recording, &v->recorder, &e) < 0 ||
        takt_gate_create(&gate, &v->gate, &e) < 0 ||
        takt_ring_create(&ring, &v->segments, &e) < 0 || takt_recorder_start(v->recorder, &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    return 0;
}

static void tell_segment(const struct running *r, const struct takt_gate_segment *s)
{
    const struct options *o = r->session->options;
    double rate_hz = r->actual.rate_hz;
    if (o->quiet)
        return;
    if (o->json) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "type", "segment");
        json_number(&j, "start_s", (double)s->start / rate_hz, 6);
        json_number(&j, "end_s", (double)s->end / rate_hz, 6);
        json_number(&j, "at_s", (double)s->at / rate_hz, 6);
        json_int(&j, "start_frames", (int64_t)s->start);
        json_int(&j, "end_frames", (int64_t)s->end);
        json_int(&j, "at_frames", (int64_t)s->at);
        json_close(&j, '}');
        json_end_line(&j);
    } else if (!r->terminal.live) {
        printf("%8.1f s  voice up to %.1f s, in the file from %.3f s on\n",
               (double)s->start / rate_hz, (double)s->end / rate_hz, (double)s->at / rate_hz);
    }
}

void voice_tell_before(struct running *r, uint64_t number)
{
    struct voice *v = r->session->voice;
    struct takt_gate_segment s;
    while (v && v->segments_told < number && takt_ring_read(v->segments, &s, 1)) {
        v->segments_told++;
        tell_segment(r, &s);
    }
}

void voice_tell(struct running *r)
{
    struct voice *v = r->session->voice;
    struct takt_error e;
    if (!v)
        return;
    if (r->actual.clock == TAKT_CLOCK_REAL)
        voice_tell_before(r, UINT64_MAX);
    if (!v->failure_told && takt_recorder_failed(v->recorder, &e)) {
        running_tell(r, "%s", e.text);
        v->failure_told = r->session->sink_failed = r->failed = r->ends = true;
    }
}

void voice_finish(struct running *r)
{
    struct voice *v = r->session->voice;
    struct takt_error e;
    if (!v || !v->segments)
        return;
    voice_tell_before(r, UINT64_MAX);
    takt_gate_finish(v->gate);
    voice_tell_before(r, UINT64_MAX);
    int err = takt_recorder_stop(v->recorder, &e);
    voice_tell(r);
    if (err < 0 && !r->failed) {
        complain(r->session->options, EXIT_FAILED, "%s", e.text);
        r->failed = true;
    }
    takt_recorder_read(v->recorder, &r->session->recording);
}

void voice_end(struct voice *v)
{
    if (!v)
        return;
    takt_gate_destroy(v->gate);
    takt_recorder_destroy(v->recorder);
    takt_ring_destroy(v->segments);
}

void voice_summary_json(const struct running *r, struct json *j)
{
    struct takt_gate_state s;
    if (!r->session->voice)
        return;
    takt_gate_read(r->session->voice->gate, &s);
    json_open(j, "voice", '{');
    json_int(j, "segments", (int64_t)s.segments);
    json_int(j, "kept_frames", (int64_t)s.kept_frames);
    json_int(j, "left_out_frames", (int64_t)s.left_out_frames);
    json_number(j, "kept_s", (double)s.kept_frames / r->actual.rate_hz, 6);
    json_number(j, "left_out_s", (double)s.left_out_frames / r->actual.rate_hz, 6);
    json_close(j, '}');
}

void voice_summary_text(const struct running *r)
{
    struct takt_gate_state s;
    double rate_hz = r->actual.rate_hz;
    if (!r->session->voice)
        return;
    takt_gate_read(r->session->voice->gate, &s);
    if (!s.segments)
        printf("voice: none was heard, and the recording is empty\n");
    else
        printf("voice: %.3f s kept in %llu segment%s, %.3f s without voice left out\n",
               (double)s.kept_frames / rate_hz, (unsigned long long)s.segments,
               s.segments == 1 ? "" : "s", (double)s.left_out_frames / rate_hz);
}
