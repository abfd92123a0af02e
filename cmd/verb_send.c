/*
 * takt send: a session that only listens, whose callback hands each block to the sender. Once in a
 * tenth of a second an analysis looks at the sender's figures; it needs no sound, only the time.
 *
 * Raw frames from stdin have no clock of their own: null: gives the pace, and its output is them.
 */
#include "send.h"
#include "verbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOOKS_PER_S = 10, RAW_RATE_HZ = 48000, RAW_CHANNELS = 2 };

/* ---- The callback ------------------------------------------------------------------------------
 */

/* What the device lost is a hole, so that what follows keeps its time. */
static void write_lost(struct sending *s, uint64_t lost, int64_t until_ns)
{
    int64_t at_ns = until_ns - (int64_t)((double)lost * 1e9 / s->rate_hz);
    if (lost)
        takt_send_write(s->send, NULL, lost < UINT32_MAX ? (uint32_t)lost : UINT32_MAX, at_ns);
}

static enum takt_next send_block(const struct takt_block *b, uint32_t frames, void *of)
{
    struct sending *s = of;
    int64_t at_ns = b->times_valid & TAKT_TIME_IN_FIRST ? b->in_first_ns : b->now_ns;
    write_lost(s, b->lost_frames, at_ns);
    if (frames)
        takt_send_write(s->send, b->in, frames, at_ns);
    return TAKT_CONTINUE;
}

/* Nothing is sent before the first frame has come. Its time is when the block was due to begin,
 * which is steadier than when it began. */
static enum takt_next send_raw(const struct takt_block *b, uint32_t frames, void *of)
{
    struct sending *s = of;
    uint32_t got = raw_in_read(s->raw, b->out, frames);
    bool is_over = raw_in_is_over(s->raw);
    int64_t at_ns = b->times_valid & TAKT_TIME_DEADLINE
                        ? b->deadline_ns - (int64_t)(b->frames * 1e9 / s->rate_hz)
                        : b->now_ns;
    if (!raw_in_has_begun(s->raw))
        return is_over ? TAKT_DRAIN : TAKT_CONTINUE;
    write_lost(s, b->lost_frames, at_ns);
    uint32_t count = is_over ? got : frames;
    if (count)
        takt_send_write(s->send, (const float *const *)b->out, count, at_ns);
    if (is_over)
        takt_send_end(s->send); /* the output, which is nothing, need not be over */
    return is_over ? TAKT_DRAIN : TAKT_CONTINUE;
}

/* What is left has to go out now: once the summary is written it would be too late to be heard. */
static void send_over(void *of)
{
    struct sending *s = of;
    takt_send_end(s->send);
}

/* ---- The analysis ------------------------------------------------------------------------------
 */

static bool work(struct takt_work *work, void *event, void *of)
{
    const struct sending *s = ((struct analysis *)of)->state;
    takt_send_read_stats(s->send, event);
    work->time = work->position + work->frames;
    return true;
}

static struct takt_send_cfg settings(const struct sending *s, uint32_t channels)
{
    const struct options *o = s->options;
    const struct net_options *n = &o->net;
    return (struct takt_send_cfg){
        .to = o->words,
        .to_count = (uint32_t)o->word_count,
        .rate_hz = s->rate_hz,
        .channels = channels,
        .codec = n->codec,
        .packet_ms = n->packet_ms,
        .block_frames = s->from_stdin ? 0 : s->session->actual.block_frames,
        .bit_rate = n->bit_rate,
        .low_delay = n->low_delay,
        .no_fec = n->no_fec,
        .copies = n->copies,
        .copies_fixed = n->copies_fixed,
        .repair = n->repair,
        .repair_data = n->repair_data,
        .repair_fixed = n->repair_fixed,
        .key = s->key,
        .rotate_s = n->rotate_s,
        .sdes = n->sdes,
        .plain = n->plain,
        .bare = n->bare,
        .sdp_path = n->sdp,
        .sap = n->sap,
        .name = n->name,
        .from = n->from,
        .mux = n->mux,
        .hops = n->hops,
        .dscp = n->dscp,
        .not_real_time = o->priority == TAKT_PRIORITY_OFF,
    };
}

static int begin(struct analysis *a, const struct options *o, uint32_t rate_hz, uint32_t channels)
{
    struct sending *s = a->state;
    struct takt_error e;
    (void)channels; /* of the analysis */
    s->rate_hz = rate_hz;
    const struct takt_stream_actual *actual = &s->session->actual;
    uint32_t sent = s->from_stdin ? actual->out_channels : actual->in_channels;
    a->size_frames = a->hop_frames = rate_hz / LOOKS_PER_S;
    a->next_text_s = a->text_every_s;
    int status = s->from_stdin ? raw_in_begin(o, sent, rate_hz, &s->raw) : 0;
    if (status)
        return status;
    struct takt_send_cfg cfg = settings(s, sent);
    s->is_new_sdp = o->net.sdp && access(o->net.sdp, F_OK) != 0;
    int err = takt_send_create(&cfg, &s->send, &e);
    return err < 0 ? complain(o, err == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text) : 0;
}

static void end(struct analysis *a)
{
    struct sending *s = a->state;
    takt_send_destroy(s->send);
    s->send = NULL;
}

/* ---- The verb ----------------------------------------------------------------------------------
 */

/* Opus knows some rates only; what is of another one is converted to 48 kHz by the stream. */
static void choose_rate(const struct options *o, struct session *s, const char *source)
{
    struct takt_device_info info;
    if (!o->net.codec || strcmp(o->net.codec, "opus") != 0 || s->stream.rate_hz || !source)
        return;
    if (takt_device_query(source, &info, NULL) < 0)
        return;
    for (const uint32_t *r = (const uint32_t[]){8000, 12000, 16000, 24000, 48000, 0}; *r; r++)
        if (*r == info.rate_hz_default)
            return;
    s->stream.rate_hz = 48000;
}

static int prepare(struct options *o, struct session *s)
{
    static struct takt_defaults defaults; /* the session keeps the name */
    if (!raw_is(o->in)) {
        takt_defaults_get(&defaults);
        s->default_in = !o->in;
        if (o->net.raw)
            return complain(o, EXIT_USAGE, "--raw: it is for frames from stdin; add -i -");
        const char *source = o->in ? o->in : defaults.in_device;
        int status = verb_session(o, s, source, NULL);
        if (!status)
            choose_rate(o, s, source);
        return status;
    }
    if (fcntl(STDIN_FILENO, F_GETFD) < 0)
        return complain(o, EXIT_FAILED, "-i -: stdin is closed; put a program or a file before it");
    if (isatty(STDIN_FILENO))
        return complain(
            o, EXIT_USAGE,
            "-i -: raw frames would come from the terminal; put a program before it, as "
            "in arecord -t raw -f S16_LE -c 2 -r 48000 | takt send ... -i - --raw s16");
    if (!o->rate_hz)
        o->rate_hz = RAW_RATE_HZ;
    if (!o->channels)
        o->channels = RAW_CHANNELS;
    int status = verb_session(o, s, NULL, "null:");
    s->in_name = "-";
    return status;
}

int verb_send(struct options *o)
{
    struct takt_key key = {{0}};
    bool has_key = false;
    char title[600], to[256];
    int status = verb_words(o, 1, WORDS_MAX, "HOST[:PORT]...");
    struct session session = {.options = o};
    if (!status && o->net.sdes && !o->net.sdp)
        status = complain(o, EXIT_USAGE, "--sdes: the new key goes into a file; add --sdp FILE");
    if (!status)
        status = prepare(o, &session);
    if (!status)
        status = net_key_read(o, &key, &has_key);
    if (!status && o->net.rotate_s > 0 && !has_key)
        status =
            complain(o, EXIT_USAGE, "--rotate: there is no key to change; add --key-file FILE");
    if (status)
        return status;
    struct sending s = {.options = o,
                        .session = &session,
                        .key = has_key ? &key : NULL,
                        .from_stdin = raw_is(o->in)};
    struct analysis a = {.name = "net",
                         .channels = 1,
                         .event_bytes = sizeof(struct takt_send_stats),
                         .text_every_s = 1,
                         .only_looks = true,
                         .rows = SEND_ROWS,
                         .state = &s,
                         .begin = begin,
                         .work = work,
                         .take = send_take,
                         .json = send_json,
                         .text = send_text,
                         .draw = send_draw,
                         .summary_json = send_summary_json,
                         .summary_text = send_summary_text,
                         .end = end};
    snprintf(to, sizeof to, "%s%s", o->words[0], o->word_count > 1 ? " and others" : "");
    snprintf(title, sizeof title, "%s -> %s",
             s.from_stdin               ? "stdin"
             : session.stream.in.device ? session.stream.in.device
                                        : "",
             to);
    session.title = title;
    session.out_name = to;
    session.process = s.from_stdin ? send_raw : send_block;
    session.process_of = &s;
    session.over = send_over;
    session.finish = send_finish;
    session_attach(&session, &a);
    status = session_run(&session);
    takt_key_wipe(&key);
    if (status && !session.contract.blocks && s.is_new_sdp)
        unlink(o->net.sdp); /* nobody will ever send what it describes */
    if (s.raw && !status && !(session.stopped_by_user && raw_in_is_empty(s.raw)))
        status = raw_in_verdict(s.raw);
    raw_in_end(s.raw);
    if (!status && o->strict && s.now.frames_dropped)
        return complain(o, EXIT_BROKEN, "--strict: %llu frames were not sent in time and are lost",
                        (unsigned long long)s.now.frames_dropped);
    return status;
}
