/*
 * The sink of file_sink.c without a stream. It has an engine of its own in the place of the
 * stream's, whose only part is to hear that the recording has failed.
 *
 * Invariants: `text` is written once, before `failed` is shown.
 */
#include "takt/recorder.h"

#include "base/fail.h"
#include "device/file_port.h"
#include "takt/guard.h"
#include "takt/time.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct takt_recorder {
    struct takt_engine face;
    struct takt_port *port;
    uint32_t frames_max, channels;
    bool is_virtual, is_started;
    struct takt_error failure;
    _Atomic bool failed;
};

/* Thread: the sink's worker, or whoever stops. */
static void recorder_event(struct takt_engine *face, enum takt_event_type type, enum takt_err code,
                           int os_errno, uint64_t value, const char *text)
{
    struct takt_recorder *r = (struct takt_recorder *)face;
    if (type != TAKT_EVENT_SINK_FAILED || atomic_load(&r->failed))
        return;
    size_t length = strnlen(text, sizeof r->failure.text - 1);
    r->failure = (struct takt_error){.code = code, .os_errno = os_errno};
    memcpy(r->failure.text, text, length);
    atomic_store(&r->failed, true);
}

static const struct takt_engine_ops ops = {.event = recorder_event};

#ifndef TAKT_HAVE_SNDFILE
/* A library without recordings. */
int takt_file_open_sink(const struct takt_port_cfg *cfg, struct takt_port **out,
                        struct takt_error *e)
{
    *out = NULL;
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: this takt was built without recordings",
                     cfg->rest);
}
#endif

int takt_recorder_create(const struct takt_recorder_cfg *cfg, struct takt_recorder **out,
                         struct takt_error *e)
{
    *out = NULL;
    if (!cfg->path || !*cfg->path)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a recording needs a path, as in take.wav");
    if (cfg->channels > TAKT_CHANNELS_MAX || cfg->frames_max > TAKT_BLOCK_FRAMES_MAX ||
        !(cfg->buffer_s == 0 || (cfg->buffer_s >= 0.1 && cfg->buffer_s <= 600)))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a recording has 1 to %d channels, writes of up to %d frames, and a "
                         "buffer of 0.1 to 600 s",
                         TAKT_CHANNELS_MAX, TAKT_BLOCK_FRAMES_MAX);
    struct takt_recorder *r = calloc(1, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    double buffer_s = cfg->buffer_s > 0 ? cfg->buffer_s : TAKT_BUFFER_S_DEFAULT;
    int64_t timeout_ns = INT64_C(1000000) * (cfg->timeout_ms ? cfg->timeout_ms : 2000);
    int64_t buffer_ns = (int64_t)(buffer_s * 1e9);
    r->face.ops = &ops;
    r->is_virtual = cfg->clock == TAKT_CLOCK_VIRTUAL;
    r->frames_max = cfg->frames_max ? cfg->frames_max : TAKT_BLOCK_FRAMES_MAX;
    r->channels = cfg->channels ? cfg->channels : 1;
    struct takt_port_cfg port = {.rest = cfg->path,
                                 .rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000,
                                 .channels = r->channels,
                                 .block_frames_max = r->frames_max,
                                 .format = cfg->format,
                                 .dither = cfg->dither,
                                 .clock = cfg->clock,
                                 .seed = cfg->seed ? cfg->seed : 1,
                                 .buffer_s = buffer_s,
                                 .timeout_ns = timeout_ns > buffer_ns ? timeout_ns : buffer_ns,
                                 .engine = &r->face};
    int err = takt_file_open_sink(&port, &r->port, e);
    if (err < 0) {
        free(r);
        return err;
    }
    *out = r;
    return 0;
}

int takt_recorder_start(struct takt_recorder *r, struct takt_error *e)
{
    if (r->is_started)
        return takt_fail(e, TAKT_ERR_STATE, 0, "the recording has begun already");
    atomic_store(&r->failed, false);
    int err = r->port->ops->start(r->port, e);
    r->is_started = err >= 0;
    return err;
}

/* There is no deadline on a virtual clock: the disk is waited for. */
static void serve(struct takt_recorder *r)
{
    takt_guard_allow();
    r->port->ops->service(r->port);
    takt_guard_forbid();
}

void takt_recorder_write(struct takt_recorder *r, const float *const *x, uint32_t frames)
{
    const float *piece[TAKT_CHANNELS_MAX];
    if (!r->is_started)
        return;
    for (uint32_t at = 0, n; at < frames; at += n) {
        uint32_t status = 0;
        n = frames - at < r->frames_max ? frames - at : r->frames_max;
        for (uint32_t c = 0; c < r->channels; c++)
            piece[c] = x[c] + at;
        if (r->is_virtual)
            serve(r);
        r->port->ops->write(r->port, piece, n, &status);
    }
}

int takt_recorder_stop(struct takt_recorder *r, struct takt_error *e)
{
    if (!r->is_started)
        return 0;
    int err = r->port->ops->stop(r->port, e);
    r->is_started = err == TAKT_ERR_TIMEOUT;
    return err;
}

bool takt_recorder_failed(const struct takt_recorder *r, struct takt_error *e)
{
    if (!atomic_load(&r->failed))
        return false;
    if (e)
        *e = r->failure;
    return true;
}

void takt_recorder_read(const struct takt_recorder *r, struct takt_recording *out)
{
    *out = (struct takt_recording){0};
    r->port->ops->recording(r->port, out);
}

void takt_recorder_destroy(struct takt_recorder *r)
{
    if (!r)
        return;
    takt_recorder_stop(r, NULL);
    r->port->ops->close(r->port);
    free(r);
}
