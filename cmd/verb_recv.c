/*
 * takt recv: a session whose callback asks the receiver for each block. Ten times a second an
 * analysis looks at the receiver's figures, and the main thread tells what happened.
 */
#include "recv.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOKS_PER_S = 10, CHANNELS = 2 };

static enum takt_next receive(const struct takt_block *b, uint32_t frames, void *of)
{
    struct receiving *r = of;
    takt_recv_read(r->recv, b->now_ns, b->out_first_ns, b->out, b->frames);
    if (r->raw && frames && !raw_out_write(r->raw, (const float *const *)b->out, frames))
        return TAKT_DRAIN;
    return TAKT_CONTINUE;
}

static bool work(struct takt_work *work, void *event, void *of)
{
    const struct receiving *r = ((struct analysis *)of)->state;
    takt_recv_read_stats(r->recv, event);
    work->time = work->position + work->frames;
    return true;
}

static struct takt_recv_cfg settings(const struct receiving *r, uint32_t channels)
{
    const struct options *o = r->options;
    const struct net_options *n = &o->net;
    return (struct takt_recv_cfg){
        .at = o->word_count ? o->words[0] : NULL,
        .sender = n->sender,
        .sdp_path = n->sdp,
        .formats = n->formats,
        .formats_count = n->formats_count,
        .rate_hz = r->rate_hz,
        .channels = channels,
        .sources_max = n->sources_max,
        .latency_ms = n->latency_ms,
        .latency_ms_max = n->latency_ms_max,
        .late_ratio = n->late_ratio,
        .key = r->key,
        .plain = n->plain,
        .silent = n->silent,
        .not_real_time = o->priority == TAKT_PRIORITY_OFF,
    };
}

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct receiving *r = a->state;
    struct takt_error e;
    (void)channels; /* of the analysis */
    uint32_t out_channels = r->session->actual.out_channels;
    r->rate_hz = rate_hz;
    a->size_frames = a->hop_frames = rate_hz / LOOKS_PER_S;
    a->next_text_s = a->text_every_s;
    if (o->html && !(r->curve.sample = calloc(RECV_SAMPLES_MAX, sizeof *r->curve.sample)))
        return complain(o, EXIT_FAILED, "out of memory");
    int status = r->raw_fd >= 0 ? raw_out_begin(o, r->raw_fd, out_channels, rate_hz, &r->raw) : 0;
    if (status)
        return status;
    struct takt_recv_cfg cfg = settings(r, out_channels);
    int err = takt_recv_create(&cfg, &r->recv, &e);
    if (err < 0)
        return complain(o, err == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    snprintf(r->at, sizeof r->at, "%s", takt_recv_at(r->recv));
    if (o->verbose) {
        char text[200];
        snprintf(text, sizeof text, "listening at %s", r->at);
        session_tell(r->session, text);
    }
    return 0;
}

static void end(struct analysis *a)
{
    struct receiving *r = a->state;
    takt_recv_destroy(r->recv);
    free(r->curve.sample);
    r->recv = NULL;
    r->curve.sample = NULL;
}

/* A new recording has the channels that are asked for, or two; devices have their own. */
static int prepare(struct options *o, struct receiving *r, struct session *s)
{
    static struct takt_defaults defaults; /* the session keeps the name */
    const char *sink = o->out;
    if (!raw_is(sink) && o->net.raw)
        return complain(o, EXIT_USAGE, "--raw: it is for frames to stdout; add -o -");
    if (raw_is(sink)) {
        int status = raw_out_take(o, &r->raw_fd);
        if (status)
            return status;
        sink = "null:";
        s->out_name = "-";
    } else if (!sink) {
        takt_defaults_get(&defaults);
        sink = defaults.out_device;
        s->default_out = true;
    }
    if (!o->channels && (r->raw_fd >= 0 || verb_is_recording(sink)))
        o->channels = CHANNELS;
    return verb_session(o, s, NULL, sink);
}

int verb_recv(struct options *o)
{
    struct takt_key key = {{0}};
    bool has_key = false;
    char title[600], at[160];
    struct session session = {.options = o};
    struct receiving r = {.options = o, .session = &session, .raw_fd = -1, .curve = {.every = 1}};
    int status = verb_words(o, 0, 1, "[[HOST:]PORT]");
    if (!status && o->net.latency_ms && (o->net.latency_ms_max || o->net.late_ratio))
        status = complain(o, EXIT_USAGE,
                          "--latency is fixed, %s is for one that is learned: "
                          "only one of them",
                          o->net.late_ratio ? "--late" : "--max-latency");
    if (!status)
        status = net_key_read(o, &key, &has_key);
    if (!status)
        status = prepare(o, &r, &session);
    if (status) {
        takt_key_wipe(&key);
        return status;
    }
    r.key = has_key ? &key : NULL;
    struct analysis a = {.name = "net",
                         .channels = 1,
                         .event_bytes = sizeof(struct takt_recv_stats),
                         .text_every_s = 1,
                         .only_looks = true,
                         .rows = RECV_ROWS,
                         .state = &r,
                         .begin = begin,
                         .work = work,
                         .take = recv_take,
                         .json = recv_json,
                         .text = recv_text,
                         .draw = recv_draw,
                         .summary_json = recv_summary_json,
                         .summary_text = recv_summary_text,
                         .end = end};
    snprintf(at, sizeof at, "%s", o->word_count ? o->words[0] : "the network");
    snprintf(title, sizeof title, "%s -> %s", at,
             raw_is(o->out) ? "stdout" : session.stream.out.device);
    r.out_device = session.stream.out.device;
    session.title = title;
    session.in_name = at;
    session.process = receive;
    session.process_of = &r;
    session.finish = recv_finish;
    session.page = recv_html;
    session.page_of = &r;
    session_attach(&session, &a);
    status = session_run(&session);
    takt_key_wipe(&key);
    if (r.raw && !status)
        status = raw_out_verdict(r.raw);
    uint64_t dropped = r.raw ? raw_out_dropped(r.raw) : 0;
    bool is_gone = status != 0;
    raw_out_destroy(r.raw);
    if (!is_gone && o->strict && dropped)
        return complain(o, EXIT_BROKEN, "--strict: %llu frames for stdout are dropped",
                        (unsigned long long)dropped);
    return status;
}
