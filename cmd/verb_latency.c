/*
 * How long the way from the output back into the input really is, beside what the devices say.
 */
#include "json.h"
#include "output.h"
#include "verbs.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 8, POLL_MS = 20 };

struct latency {
    const struct options *options;
    struct takt_stream *stream;
    struct takt_roundtrip *roundtrip;
    struct takt_stream_actual actual;
    struct takt_roundtrip_found found;
    struct signals signals;
    uint64_t most_frames; /* after which it is given up */
};

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct latency *l = arg;
    uint32_t broken = TAKT_INPUT_OVERFLOW | TAKT_INPUT_UNDERFLOW | TAKT_OUTPUT_OVERFLOW |
                      TAKT_OUTPUT_UNDERFLOW | TAKT_DEVICE_AWAY;
    uint64_t lost = b->lost_frames + (b->flags & broken ? 1 : 0);
    takt_roundtrip_process(l->roundtrip, b->in[0], b->out[0], b->frames, lost);
    for (uint32_t c = 1; c < b->out_channels; c++)
        memcpy(b->out[c], b->out[0], b->frames * sizeof(float));
    return takt_roundtrip_done(l->roundtrip) || b->position > l->most_frames ? TAKT_ABORT
                                                                             : TAKT_CONTINUE;
}

static int refuse(const struct options *o, const struct takt_error *e)
{
    return complain(o, e->code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e->text);
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* As many periods as fit into -t; two without it. */
static int make_roundtrip(struct latency *l)
{
    struct takt_error e;
    struct takt_roundtrip_cfg cfg = {.rate_hz = l->actual.rate_hz};
    if (takt_roundtrip_create(&cfg, &l->roundtrip, &e) < 0)
        return refuse(l->options, &e);
    if (!l->options->seconds)
        return 0;
    double period = (double)takt_roundtrip_length_frames(l->roundtrip) / 3;
    double fits = floor(l->options->seconds * l->actual.rate_hz / period) - 1;
    takt_roundtrip_destroy(l->roundtrip);
    l->roundtrip = NULL;
    if (fits < 1)
        return complain(l->options, EXIT_USAGE, "-t: too short; one measurement takes %.1f s",
                        2 * period / l->actual.rate_hz);
    cfg.periods = fits < 1000 ? (int)fits : 1000;
    return takt_roundtrip_create(&cfg, &l->roundtrip, &e) < 0 ? refuse(l->options, &e) : 0;
}

static int make_stream(struct latency *l)
{
    const struct options *o = l->options;
    struct takt_error e;
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct takt_stream_cfg cfg = options_stream(o);
    cfg.in.device = o->in ? o->in : defaults.in_device;
    cfg.out.device = o->out ? o->out : defaults.out_device;
    cfg.in.channels = 1;
    cfg.out.channels = o->channels ? o->channels : 1;
    cfg.process = process;
    cfg.arg = l;
    const char *ids[] = {cfg.in.device, cfg.out.device};
    for (int i = 0; i < 2; i++)
        if (verb_is_recording(ids[i]))
            return complain(o, EXIT_USAGE, "%s: a recording is no way back; name a device", ids[i]);
    if (takt_stream_create(&cfg, &l->stream, &e) < 0)
        return refuse(o, &e);
    takt_stream_actual(l->stream, &l->actual);
    return 0;
}

/* Until all is heard. What the stream reports is taken while it runs. */
static int run(struct latency *l)
{
    struct takt_error e;
    struct pollfd fd = {.fd = l->signals.fd, .events = POLLIN};
    l->most_frames = TRIES * takt_roundtrip_length_frames(l->roundtrip);
    if (takt_stream_start(l->stream) < 0) {
        takt_stream_error(l->stream, &e);
        return complain(l->options, EXIT_FAILED, "%s", e.text);
    }
    while (takt_stream_state(l->stream) != TAKT_STATE_STOPPED) {
        if (takt_stream_state(l->stream) == TAKT_STATE_RUNNING)
            takt_stream_actual(l->stream, &l->actual);
        poll(&fd, 1, POLL_MS);
        int signal = signals_next(&l->signals);
        if (signal == SIGTSTP)
            raise(SIGSTOP);
        else if (signal)
            return complain(l->options, EXIT_FAILED, "ended before there was a result");
    }
    if (takt_stream_wait(l->stream, 0) < 0) {
        takt_stream_error(l->stream, &e);
        return complain(l->options, EXIT_FAILED, "%s", e.text);
    }
    return takt_roundtrip_done(l->roundtrip)
               ? 0
               : complain(l->options, EXIT_FAILED,
                          "the sound breaks too often to be measured; try larger blocks");
}

/* ---- What came of it ------------------------------------------------------------------------- */

static uint32_t reported(const struct latency *l)
{
    const struct takt_stream_actual *a = &l->actual;
    return a->latency_in_frames + a->latency_out_frames + a->adapter_frames;
}

static double ms(const struct latency *l, double frames)
{
    return frames * 1e3 / l->actual.rate_hz;
}

/* Of the measured over the reported. Two clocks have no whole number of frames between them. */
static int64_t difference(const struct latency *l)
{
    return (int64_t)l->found.delay_frames - (int64_t)reported(l);
}

static bool agrees(const struct latency *l)
{
    int64_t off = difference(l), may = l->actual.bridge_frames ? 1 : 0;
    return off >= -may && off <= may;
}

static void print_json(const struct latency *l)
{
    struct json j = {.to = stdout};
    const struct takt_stream_actual *a = &l->actual;
    const struct takt_roundtrip_found *f = &l->found;
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", "latency");
    json_string(&j, "version", takt_version());
    json_string(&j, "in", a->in_device);
    json_string(&j, "out", a->out_device);
    json_string(&j, "clock", a->clock == TAKT_CLOCK_VIRTUAL ? "virtual" : "real");
    json_int(&j, "rate_hz", a->rate_hz);
    json_int(&j, "block_frames", a->block_frames);
    json_int(&j, "host_block_frames", a->host_block_frames);
    json_int(&j, "measured_frames", f->delay_frames);
    json_number(&j, "measured_fraction", f->fraction, 3);
    json_number(&j, "measured_ms", ms(l, f->delay_frames + f->fraction), 4);
    json_open(&j, "reported_frames", '{');
    json_int(&j, "host_in", a->latency_in_frames);
    json_int(&j, "host_out", a->latency_out_frames);
    json_int(&j, "adapter", a->adapter_frames);
    json_int(&j, "total", reported(l));
    json_close(&j, '}');
    json_int(&j, "bridge_frames", a->bridge_frames);
    json_int(&j, "difference_frames", difference(l));
    json_bool(&j, "agrees", agrees(l));
    json_number(&j, "gain_db", f->gain_db, 2);
    json_number(&j, "clarity_db", f->clarity_db, 1);
    json_bool(&j, "inverted", f->is_inverted);
    json_int(&j, "echo_frames", f->echo_frames);
    json_number(&j, "echo_db", f->echo_db, 1);
    json_int(&j, "clips", (int64_t)f->clips);
    json_int(&j, "restarts", f->restarts);
    json_close(&j, '}');
    json_end_line(&j);
}

static void print_text(const struct latency *l)
{
    const struct takt_stream_actual *a = &l->actual;
    const struct takt_roundtrip_found *f = &l->found;
    printf("measured   %u frames, %.3f ms at %u Hz", f->delay_frames,
           ms(l, f->delay_frames + f->fraction), a->rate_hz);
    if (fabs(f->fraction) >= 0.1)
        printf(" (and about %+.1f of a frame)", f->fraction);
    printf("\nreported   %u frames, %.3f ms: in %u + out %u + adapter %u", reported(l),
           ms(l, reported(l)), a->latency_in_frames, a->latency_out_frames, a->adapter_frames);
    if (a->bridge_frames)
        printf(" (%u of in between two clocks)", a->bridge_frames);
    int64_t off = difference(l);
    if (agrees(l))
        printf("\nthey agree\n");
    else
        printf("\nthey disagree: the way is %lld frames %s than reported\n",
               (long long)(off < 0 ? -off : off), off < 0 ? "shorter" : "longer");
    printf("signal     %+.1f dB on the way%s, %.0f dB above all else\n", f->gain_db,
           f->is_inverted ? ", upside down" : "", f->clarity_db);
    if (f->echo_db > -12)
        printf("           it came a second time at %u frames, %.1f dB weaker\n", f->echo_frames,
               -f->echo_db);
    if (f->clips)
        printf("           %llu frames at full scale: turn the input down\n",
               (unsigned long long)f->clips);
}

static int measure(struct latency *l)
{
    struct takt_error e;
    int status = make_stream(l);
    if (!status)
        status = make_roundtrip(l);
    if (!status)
        status = run(l);
    if (status)
        return status;
    if (takt_roundtrip_analyse(l->roundtrip, &l->found, &e) < 0)
        return complain(l->options, EXIT_FAILED, "%s", e.text);
    if (l->options->json)
        print_json(l);
    else
        print_text(l);
    if (l->options->strict && !agrees(l))
        return complain(l->options, EXIT_BROKEN, "--strict: measured and reported disagree");
    return EXIT_OK;
}

int verb_latency(struct options *o)
{
    struct latency l = {.options = o};
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    signals_take(&l.signals);
    status = measure(&l);
    takt_stream_destroy(l.stream);
    takt_roundtrip_destroy(l.roundtrip);
    signals_give_back(&l.signals);
    return status;
}
