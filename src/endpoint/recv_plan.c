#include "endpoint/recv_plan.h"

#include "base/fail.h"
#include "io/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "takt/send.h"

enum { SDP_BYTES = 16384, OPUS_HZ = 48000 };

static uint32_t or_default(uint32_t x, uint32_t otherwise)
{
    return x ? x : otherwise;
}

/* ---- What packets are ------------------------------------------------------------------------ */

int takt_recv_parse_format(const char *text, struct takt_session_packets *out, struct takt_error *e)
{
    unsigned type, rate_hz, channels = 1;
    char name[16];
    int used = 0, more = 0;
    memset(out, 0, sizeof *out);
    int found = sscanf(text, "%3u=%15[A-Za-z0-9-]/%6u%n", &type, name, &rate_hz, &used);
    if (found == 3 && sscanf(text + used, "/%2u%n", &channels, &more) == 1)
        used += more;
    if (found != 3 || text[used] || type > 127 ||
        takt_codec_from_name(name, &out->format.codec) < 0)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "format %.40s: write TYPE=CODEC/RATE/CHANNELS, as in 97=L24/48000/2; "
                         "codecs are L16, L24, opus and x-f32",
                         text);
    bool is_opus = out->format.codec == TAKT_CODEC_OPUS;
    out->payload_type = (uint8_t)type;
    out->format.rate_hz = rate_hz;
    out->format.channels = channels;
    out->format.frames = rate_hz / 100;
    int err =
        is_opus && rate_hz != OPUS_HZ
            ? takt_fail(e, TAKT_ERR_ARG, 0, "format %.40s: Opus is received at 48000 Hz", text)
            : takt_codec_check(&out->format, e);
    out->format.frames = 0;
    return err;
}

static int add_format(struct takt_recv_plan *p, const struct takt_session_packets *f,
                      struct takt_error *e)
{
    if (p->inlet.formats_count == TAKT_RECEIVER_FORMATS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "more than %d formats", TAKT_RECEIVER_FORMATS_MAX);
    p->formats[p->inlet.formats_count++] = *f;
    return 0;
}

static int plan_formats(const struct takt_recv_cfg *c, struct takt_recv_plan *p,
                        struct takt_error *e)
{
    p->inlet.formats = p->formats;
    for (uint32_t i = 0; i < c->formats_count; i++) {
        struct takt_session_packets f;
        int err = takt_recv_parse_format(c->formats[i], &f, e);
        if (!err)
            err = add_format(p, &f, e);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- The description ------------------------------------------------------------------------- */

static int read_session(const char *path, struct takt_session *out, unsigned *open_mode,
                        struct takt_error *e)
{
    char text[SDP_BYTES];
    struct takt_error why = {0};
    int bytes = takt_text_read(path, text, sizeof text, open_mode, e);
    int err = bytes < 0 ? bytes : takt_session_parse_sdp(text, (size_t)bytes, out, &why);
    explicit_bzero(text, sizeof text);
    if (bytes >= 0 && err < 0)
        return takt_fail(e, err, 0, "%s: %.150s", path, why.text);
    return err;
}

/* It plays all the same: such a file may have come from a program that knows no better. */
static void warn_of_open(struct takt_recv_plan *p, const struct takt_session *s, const char *path,
                         unsigned open_mode)
{
    if (s->has_key && open_mode)
        snprintf(p->warning, sizeof p->warning,
                 "%.75s has a key and is open to others (mode %o); chmod 600 it, and take a new "
                 "key if anybody may have seen this one",
                 path, open_mode);
}

static int take_session(struct takt_recv_plan *p, const struct takt_session *s, const char *path,
                        bool has_key, struct takt_error *e)
{
    if (s->is_secure && !s->has_key && !has_key)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s tells of encrypted sound, and no key; give it",
                         path);
    if (s->has_key && !has_key) {
        p->srtp_key = s->key;
        p->inlet.srtp_key = &p->srtp_key;
        p->inlet.suite = s->suite;
        p->inlet.mki_bytes = s->mki_bytes;
    }
    return add_format(p, &s->packets, e);
}

/* ---- Where to listen ------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* A port alone is one of this machine, or of all its addresses where that is no risk. */
static int parse_at(const char *text, bool is_open, struct takt_address *out, struct takt_error *e)
{
    char whole[TAKT_ADDRESS_TEXT_MAX];
    if (!is_number(text))
        return takt_address_parse(text, TAKT_NET_PORT, out, e);
    snprintf(whole, sizeof whole, "%s:%.10s", is_open ? "" : "127.0.0.1", text);
    return takt_address_parse(whole, TAKT_NET_PORT, out, e);
}

/* What the description says: its group, or its port here. */
static int at_of_session(const struct takt_session *s, bool is_open, struct takt_address *out,
                         struct takt_error *e)
{
    char text[TAKT_SDP_HOST_MAX + 16];
    bool is_ipv6 = s->address.family == 6;
    if (s->address.family) {
        snprintf(text, sizeof text, is_ipv6 ? "[%s]:%u" : "%s:%u", s->address.host, s->port);
        struct takt_error ignored;
        if (takt_address_parse(text, s->port, out, &ignored) == 0 &&
            (takt_address_is_multicast(out) || takt_address_is_loopback(out)))
            return 0;
    }
    snprintf(text, sizeof text, "%u", s->port);
    return parse_at(text, is_open, out, e);
}

static int plan_at(const struct takt_recv_cfg *c, const struct takt_session *s,
                   struct takt_recv_plan *p, struct takt_error *e)
{
    bool is_secure = p->inlet.key || p->inlet.srtp_key, is_open = is_secure || c->plain;
    char port[8];
    snprintf(port, sizeof port, "%d", TAKT_NET_PORT);
    int err = !c->at && s && s->port ? at_of_session(s, is_open, &p->at[0], e)
                                     : parse_at(c->at ? c->at : port, is_open, &p->at[0], e);
    if (err < 0)
        return err;
    if (!is_open && !takt_address_is_loopback(&p->at[0]))
        return takt_fail(
            e, TAKT_ERR_ARG, 0,
            "%.60s is open to others, and anybody could speak: give a key (--key-file), "
            "ask for plain RTP (--plain), or listen at 127.0.0.1",
            c->at ? c->at : "the address of the SDP");
    for (uint32_t i = 1; i < TAKT_ENDPOINT_PORTS; i++) {
        p->at[i] = p->at[0];
        if (!takt_address_port(&p->at[0]) || !takt_endpoint_shift_port(&p->at[i], i))
            memset(&p->at[i], 0, sizeof p->at[i]);
    }
    return c->sender ? takt_address_parse(c->sender, TAKT_NET_PORT, &p->sender, e) : 0;
}

/* ---- Together -------------------------------------------------------------------------------- */

static int check_numbers(const struct takt_recv_cfg *c, struct takt_error *e)
{
    if (c->latency_ms < 0 || !(c->latency_ms <= 2000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a latency of %g ms: give up to 2000", c->latency_ms);
    if (c->latency_ms_max < 0 || !(c->latency_ms_max <= 2000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a latency of at most %g ms: give up to 2000",
                         c->latency_ms_max);
    if (c->late_ratio != 0 && !(c->late_ratio >= 1e-5 && c->late_ratio <= 0.5))
        return takt_fail(e, TAKT_ERR_ARG, 0, "%g late: give a share of 0.00001 to 0.5",
                         c->late_ratio);
    if (c->lambda_ms < 0 || !(c->lambda_ms <= 1e7))
        return takt_fail(e, TAKT_ERR_ARG, 0, "%g ms for no late packets: give up to 10000000",
                         c->lambda_ms);
    if (c->sources_max > TAKT_RECV_SOURCES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u senders: %d can be mixed", c->sources_max,
                         TAKT_RECV_SOURCES_MAX);
    if (c->rate_hz && (c->rate_hz < 8000 || c->rate_hz > 384000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u Hz: give 8000 to 384000", c->rate_hz);
    if (c->channels > TAKT_CODEC_CHANNELS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u channels: give 1 to %d", c->channels,
                         TAKT_CODEC_CHANNELS_MAX);
    if (c->max_frames > TAKT_RECEIVER_PULL_FRAMES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "blocks of %u frames: give up to %d", c->max_frames,
                         TAKT_RECEIVER_PULL_FRAMES_MAX);
    if (c->key && c->plain)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a key and plain RTP exclude each other; choose one");
    return 0;
}

static int plan_chance(const struct takt_recv_cfg *c, struct takt_recv_plan *p,
                       struct takt_error *e)
{
    struct {
        uint64_t seed;
        uint32_t ssrc, epoch;
    } chance;
    char drawn[TAKT_ENDPOINT_CNAME_BYTES];
    int err = takt_endpoint_draw(&chance, sizeof chance, e);
    if (!err)
        err = takt_endpoint_cname(drawn, e);
    if (err < 0)
        return err;
    p->inlet.seed = chance.seed;
    p->inlet.ssrc = chance.ssrc;
    p->inlet.epoch = chance.epoch;
    snprintf(p->cname, sizeof p->cname, "%.60s", c->name && *c->name ? c->name : drawn);
    p->inlet.cname = p->cname;
    return 0;
}

int takt_recv_plan(const struct takt_recv_cfg *c, struct takt_recv_plan *p, struct takt_error *e)
{
    struct takt_session session = {.port = 0};
    unsigned open_mode = 0;
    memset(p, 0, sizeof *p);
    int err = check_numbers(c, e);
    p->rate_hz = or_default(c->rate_hz, 48000);
    p->channels = or_default(c->channels, 2);
    p->frames_max = or_default(c->max_frames, TAKT_RECEIVER_PULL_FRAMES_MAX);
    p->inlet.sources_max = or_default(c->sources_max, 1);
    p->inlet.reports_plain = !c->silent;
    if (!err && c->key) {
        p->key = *c->key;
        p->inlet.key = &p->key;
    }
    if (!err)
        err = plan_formats(c, p, e);
    if (!err && c->sdp_path)
        err = read_session(c->sdp_path, &session, &open_mode, e);
    if (!err && c->sdp_path) {
        warn_of_open(p, &session, c->sdp_path, open_mode);
        err = take_session(p, &session, c->sdp_path, c->key != NULL, e);
    }
    if (!err)
        err = plan_at(c, c->sdp_path ? &session : NULL, p, e);
    if (!err)
        err = plan_chance(c, p, e);
    explicit_bzero(&session, sizeof session);
    if (err < 0)
        takt_recv_plan_wipe(p);
    return err;
}

void takt_recv_plan_wipe(struct takt_recv_plan *p)
{
    takt_key_wipe(&p->key);
    explicit_bzero(&p->srtp_key, sizeof p->srtp_key);
}
