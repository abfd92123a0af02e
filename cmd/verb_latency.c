/*
 * How long sound takes from the output back to the input, and whether the stream had said so.
 * The callback plays and hears the measurement; the main thread waits, and reckons in between.
 */
#include "json.h"
#include "signals.h"
#include "verbs.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t grace_ns = 2000000000; /* for a device that is slow to begin */
enum { TRIES = 5, ORDER_USUAL = 15, ORDER_LONG = 17, POLL_MS = 20, FAST_POLL_MS = 1 };
static const double usual_reported_s = 0.25; /* what a path reports beyond that may be very long */
static const double clean_db = 40;           /* where nothing was lost it is far more */
static const double echo_db = -6;            /* as near to the peak a second one is told of */

struct trip {
    const struct options *options;
    struct takt_stream *stream;
    struct takt_roundtrip *roundtrip;
    struct takt_stream_actual actual;
    struct takt_roundtrip_result result;
    struct signals signals;
    bool stopped_by_user;
};

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct trip *t = arg;
    takt_roundtrip_process(t->roundtrip, b->position, b->in[0], b->out[0], b->frames);
    return TAKT_CONTINUE;
}

static uint32_t reported(const struct takt_stream_actual *a)
{
    return a->latency_in_frames + a->latency_out_frames + a->adapter_frames;
}

static int64_t difference(const struct trip *t)
{
    return (int64_t)t->result.frames - (int64_t)reported(&t->actual);
}

/* Between two clocks a way need not be a whole number of frames. */
static bool agrees(const struct trip *t)
{
    return llabs(difference(t)) <= (t->actual.bridge_frames ? 1 : 0);
}

static bool is_measured(const struct trip *t)
{
    return t->result.verdict == TAKT_ROUNDTRIP_MEASURED;
}

static double ms_of(const struct trip *t, double frames)
{
    return frames * 1e3 / t->actual.rate_hz;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static void take_events(struct trip *t)
{
    struct takt_event ev;
    while (takt_stream_next_event(t->stream, &ev)) {
        if (t->options->quiet)
            continue;
        if (ev.type == TAKT_EVENT_DEVICE_LOST)
            complain(t->options, 0, "the device is away");
        else if (t->options->verbose && ev.type == TAKT_EVENT_LOG)
            complain(t->options, 0, "%s", ev.text);
    }
}

/* Until one measurement is complete. False when the stream or the user ended it, or its time. */
static bool wait_for_one(struct trip *t, int64_t end_ns)
{
    struct pollfd fds[] = {{.fd = takt_stream_event_fd(t->stream), .events = POLLIN},
                           {.fd = t->signals.fd, .events = POLLIN}};
    while (!takt_roundtrip_done(t->roundtrip)) {
        enum takt_state state = takt_stream_state(t->stream);
        take_events(t);
        if (state == TAKT_STATE_STOPPED || state == TAKT_STATE_STUCK ||
            takt_stream_time_ns(t->stream) >= end_ns)
            return takt_roundtrip_done(t->roundtrip); /* a virtual clock is fast */
        poll(fds, 2, t->options->fast ? FAST_POLL_MS : POLL_MS);
        t->stopped_by_user |= signals_ends(signals_next(&t->signals));
        if (t->stopped_by_user)
            return false;
    }
    return true;
}

/* What was lost meanwhile may be why something came back and was not found, or more than once. */
static bool is_broken(const struct trip *t)
{
    const struct takt_roundtrip_result *r = &t->result;
    return r->lost_frames && r->verdict != TAKT_ROUNDTRIP_SILENCE &&
           (!is_measured(t) || r->second_db > echo_db);
}

/* Broken, or so unclean that it is worth another try. */
static bool is_doubtful(const struct trip *t)
{
    return is_broken(t) || (t->result.lost_frames && is_measured(t) && t->result.snr_db < clean_db);
}

static int64_t length_ns(const struct trip *t)
{
    return (int64_t)(1e9 * (double)takt_roundtrip_length(t->roundtrip) / t->actual.rate_hz);
}

/* Again and again while there is time and nothing is found: somebody may yet connect the cable. */
static int measure(struct trip *t)
{
    struct takt_error e;
    int64_t wish_ns = takt_stream_time_ns(t->stream) + (int64_t)(t->options->seconds * 1e9);
    for (int tries = 1;; tries++) {
        int64_t until_ns = takt_stream_time_ns(t->stream) + 2 * length_ns(t) + grace_ns;
        if (!wait_for_one(t, until_ns > wish_ns ? until_ns : wish_ns))
            break;
        takt_stream_actual(t->stream, &t->actual); /* now that all is connected */
        takt_roundtrip_read(t->roundtrip, &t->result, &e);
        int64_t now_ns = takt_stream_time_ns(t->stream);
        if (t->result.verdict == TAKT_ROUNDTRIP_LATE && tries < TRIES) {
            takt_roundtrip_restart(t->roundtrip); /* a stall at its beginning looks the same */
            continue;
        }
        if (tries >= TRIES || !is_doubtful(t))
            if (now_ns >= wish_ns || (is_measured(t) && !is_broken(t)))
                return EXIT_OK;
        takt_roundtrip_restart(t->roundtrip);
    }
    takt_stream_error(t->stream, &e);
    if (t->stopped_by_user)
        return complain(t->options, EXIT_FAILED, "stopped before the end");
    return complain(t->options, EXIT_FAILED, "%s",
                    *e.text ? e.text : "the device moves no sound; nothing was measured");
}

/* ---- Telling --------------------------------------------------------------------------------- */

/* What keeps it from being a measurement; one line. */
static int complain_of_verdict(const struct trip *t)
{
    const struct takt_roundtrip_result *r = &t->result;
    if (is_broken(t))
        return complain(t->options, EXIT_FAILED,
                        "the device loses frames too often for a measurement; try larger blocks");
    if (r->verdict == TAKT_ROUNDTRIP_LATE)
        return complain(t->options, EXIT_FAILED,
                        "it came back later than the %u frames that can be measured",
                        takt_roundtrip_period(t->roundtrip));
    if (r->verdict == TAKT_ROUNDTRIP_NOISE)
        return complain(t->options, EXIT_FAILED,
                        "too much noise: what came back stands out by only %.1f dB%s", r->snr_db,
                        r->clips ? ", and the input clips" : "");
    if (r->noise_dbfs > -100)
        return complain(t->options, EXIT_FAILED,
                        "nothing came back but noise of %.1f dBFS; is the output connected with "
                        "the input?",
                        r->noise_dbfs);
    return complain(t->options, EXIT_FAILED,
                    "nothing came back; is the output connected with the input?");
}

static void print_text(const struct trip *t)
{
    const struct takt_stream_actual *a = &t->actual;
    const struct takt_roundtrip_result *r = &t->result;
    int64_t more = difference(t);
    printf("%s -> %s, blocks of %u at %u Hz\n", a->out_device, a->in_device,
           a->block_frames ? a->block_frames : a->host_block_frames, a->rate_hz);
    printf("  measured %u frames (%.2f ms)\n", r->frames, ms_of(t, r->frames));
    printf("  reported host in %u + host out %u + adapter %u = %u frames (%.2f ms)\n",
           a->latency_in_frames, a->latency_out_frames, a->adapter_frames, reported(a),
           ms_of(t, reported(a)));
    if (agrees(t))
        printf("  they agree\n");
    else
        printf("  they disagree: %lld frame%s %s than reported (%.2f ms)\n", llabs(more),
               llabs(more) == 1 ? "" : "s", more > 0 ? "more" : "less",
               ms_of(t, (double)llabs(more)));
    printf("  signal   %.1f dBFS%s, %.0f dB above the rest", r->level_dbfs,
           r->gain < 0 ? ", inverted" : "", r->snr_db);
    if (fabs(r->fraction) >= 0.005)
        printf(", peak %+.2f frame beside", r->fraction);
    printf("\n");
    if (t->options->verbose)
        printf("  noise    %.1f dBFS; periods of %u frames, host blocks of %u\n", r->noise_dbfs,
               takt_roundtrip_period(t->roundtrip), a->host_block_frames);
    if (r->clips)
        printf("  the input clipped: %llu samples\n", (unsigned long long)r->clips);
    if (r->second_db > echo_db)
        printf("  it came back twice: also after %u frames, %.1f dB below\n", r->second_frames,
               fabs(r->second_db));
    if (r->lost_frames)
        printf("  the device lost %llu frames meanwhile\n", (unsigned long long)r->lost_frames);
}

static void json_measured(struct json *j, const struct trip *t)
{
    const struct takt_roundtrip_result *r = &t->result;
    if (!is_measured(t)) {
        json_raw(j, "measured_frames", "null");
        json_raw(j, "measured_ms", "null");
        json_raw(j, "measured_fraction", "null");
        return;
    }
    json_int(j, "measured_frames", r->frames);
    json_number(j, "measured_ms", ms_of(t, r->frames), 6);
    json_number(j, "measured_fraction", rint(r->fraction * 1e4) / 1e4 + 0.0, 4); /* no -0 */
}

static void print_json(const struct trip *t)
{
    struct json j = {.to = stdout};
    const struct takt_stream_actual *a = &t->actual;
    const struct takt_roundtrip_result *r = &t->result;
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", t->options->verb);
    json_string(&j, "version", takt_version());
    json_string(&j, "in", a->in_device);
    json_string(&j, "out", a->out_device);
    json_string(&j, "clock", a->clock == TAKT_CLOCK_VIRTUAL ? "virtual" : "real");
    json_int(&j, "rate_hz", a->rate_hz);
    json_int(&j, "block_frames", a->block_frames);
    json_int(&j, "host_block_frames", a->host_block_frames);
    json_string(&j, "verdict", takt_roundtrip_verdict_name(r->verdict));
    json_measured(&j, t);
    json_open(&j, "reported_frames", '{');
    json_int(&j, "host_in", a->latency_in_frames);
    json_int(&j, "host_out", a->latency_out_frames);
    json_int(&j, "adapter", a->adapter_frames);
    json_int(&j, "total", reported(a));
    json_close(&j, '}');
    json_bool(&j, "agrees", is_measured(t) && agrees(t));
    if (is_measured(t))
        json_int(&j, "difference_frames", difference(t));
    else
        json_raw(&j, "difference_frames", "null");
    json_number(&j, "level_dbfs", r->level_dbfs, 2);
    json_number(&j, "noise_dbfs", r->noise_dbfs, 2);
    json_number(&j, "snr_db", r->snr_db, 2);
    json_bool(&j, "inverted", r->gain < 0);
    json_int(&j, "second_frames", r->second_frames);
    json_number(&j, "second_db", r->second_db, 2);
    json_int(&j, "clips", (int64_t)r->clips);
    json_int(&j, "lost_frames", (int64_t)r->lost_frames);
    json_close(&j, '}');
    json_end_line(&j);
}

static int tell(const struct trip *t)
{
    const struct options *o = t->options;
    if (o->json)
        print_json(t);
    else if (!o->quiet && is_measured(t) && !is_broken(t))
        print_text(t);
    if (!is_measured(t) || is_broken(t))
        return complain_of_verdict(t);
    if (o->strict && !agrees(t))
        return complain(o, EXIT_BROKEN, "--strict: measured %u frames, reported %u",
                        t->result.frames, reported(&t->actual));
    return EXIT_OK;
}

/* ---- The verb -------------------------------------------------------------------------------- */

static int run(struct trip *t, const struct takt_stream_cfg *cfg)
{
    const struct options *o = t->options;
    struct takt_error e;
    if (takt_stream_create(cfg, &t->stream, &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    takt_stream_actual(t->stream, &t->actual);
    bool is_long = reported(&t->actual) > usual_reported_s * t->actual.rate_hz;
    struct takt_roundtrip_cfg roundtrip = {.order = is_long ? ORDER_LONG : ORDER_USUAL};
    if (takt_roundtrip_create(&roundtrip, &t->roundtrip, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    if (takt_stream_start(t->stream) < 0) {
        takt_stream_error(t->stream, &e);
        return complain(o, EXIT_FAILED, "%s", e.text);
    }
    int status = measure(t);
    takt_stream_abort(t->stream);
    return status ? status : tell(t);
}

/* The simulated defaults have no way back, so there it is the one simulated device that has. */
static void choose_devices(const struct options *o, const struct takt_defaults *defaults,
                           struct takt_stream_cfg *cfg)
{
    cfg->in.device = o->in ? o->in : defaults->in_device;
    cfg->out.device = o->out ? o->out : defaults->out_device;
    if (o->in || o->out || strcmp(cfg->in.device, "sim:voice") != 0 ||
        strcmp(cfg->out.device, "sim:") != 0)
        return;
    cfg->in.device = cfg->out.device = "sim:loop";
    if (!o->quiet && !o->json)
        fprintf(stderr, "takt: no sound card in use; measuring the simulated sim:loop\n");
}

int verb_latency(struct options *o)
{
    struct trip t = {.options = o, .result.verdict = TAKT_ROUNDTRIP_SILENCE};
    struct takt_defaults defaults;
    struct takt_stream_cfg cfg = options_stream(o);
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    takt_defaults_get(&defaults);
    choose_devices(o, &defaults, &cfg);
    if (verb_is_recording(cfg.in.device) || verb_is_recording(cfg.out.device))
        return complain(o, EXIT_USAGE, "a recording is no way back; name devices");
    cfg.in.channels = cfg.out.channels = 1;
    cfg.process = process;
    cfg.arg = &t;
    signals_take(&t.signals);
    status = run(&t, &cfg);
    takt_stream_destroy(t.stream);
    takt_roundtrip_destroy(t.roundtrip);
    signals_give_back(&t.signals);
    return status;
}
