#include "endpoint/send_plan.h"

#include "base/fail.h"
#include "takt/time.h"
#include "wire/red.h"
#include "wire/srtp_key.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TYPE_L16 = 96,
    TYPE_L24 = 97,
    TYPE_F32 = 98,
    TYPE_OPUS = 111,
    TYPE_RED = 121,
    COPIES_MAX = 3,
    COPY_FRAMES_PER_S = 200, /* copies are of packets up to 5 ms */
    PAYLOAD_BYTES = 1344,    /* by default; a key, repair and what tells of them need the rest */
    REPAIR_MAX = 12
};

static uint32_t or_default(uint32_t x, uint32_t otherwise)
{
    return x ? x : otherwise;
}

/* ---- What packets are ------------------------------------------------------------------------ */

static uint8_t type_of(enum takt_codec codec)
{
    static const uint8_t types[TAKT_CODECS] = {[TAKT_CODEC_L16] = TYPE_L16,
                                               [TAKT_CODEC_L24] = TYPE_L24,
                                               [TAKT_CODEC_F32] = TYPE_F32,
                                               [TAKT_CODEC_OPUS] = TYPE_OPUS};
    return types[codec];
}

/* What is written at once is sent at once: whole blocks of 0.6 to 5 ms, or equal parts of a longer
 * one. A packet that had to wait for the next block would come later, and more of them than needed
 * are as many more that can be lost or late. 0: there is no such length. */
static uint32_t frames_by_block(uint32_t block, uint32_t rate_hz, uint32_t fit)
{
    uint32_t least = rate_hz * 6 / 10000, most = rate_hz / 200 < fit ? rate_hz / 200 : fit;
    uint32_t whole = block >= least ? block : (least + block - 1) / block * block;
    for (uint32_t parts = 1; whole / parts >= least; parts++)
        if (whole % parts == 0 && whole / parts <= most)
            return whole / parts;
    return 0;
}

/* Older packets that shall be in each, where nothing else mends. */
static uint32_t copies_wished(const struct takt_send_cfg *c)
{
    bool can_be = c->copies == TAKT_SEND_AUTO && c->repair == TAKT_SEND_OFF && !c->bare;
    uint32_t copies = c->copies == TAKT_SEND_FIXED ? c->copies_fixed : can_be ? COPIES_MAX : 0;
    return copies < COPIES_MAX ? copies : COPIES_MAX;
}

/* So many frames fit beside as many older ones of each of so many packets. */
static uint32_t frames_that_fit(const struct takt_codec_format *f, uint32_t copies)
{
    struct takt_codec_format one = *f;
    one.frames = 1;
    uint32_t heads = copies * TAKT_RED_COPY_HEADER_BYTES + TAKT_RED_OWN_HEADER_BYTES;
    uint32_t bytes = copies ? (PAYLOAD_BYTES - heads) / (copies + 1) : PAYLOAD_BYTES;
    return bytes / (uint32_t)takt_codec_bytes_max(&one);
}

/* By the block of what is sent; else a millisecond of PCM, or as much of it as fits. */
static uint32_t frames_default(const struct takt_codec_format *f, const struct takt_send_cfg *c)
{
    if (f->codec == TAKT_CODEC_OPUS)
        return f->rate_hz / 100;
    uint32_t fit = frames_that_fit(f, 0), wished = f->rate_hz / 1000, by_block = 0;
    if (fit == 0)
        return 1; /* the sender says that not one fits */
    bool has_block = c->block_frames > 0 && c->block_frames < f->rate_hz;
    for (uint32_t copies = copies_wished(c) + 1; has_block && !by_block && copies-- > 0;)
        by_block = frames_by_block(c->block_frames, f->rate_hz, frames_that_fit(f, copies));
    return by_block ? by_block : fit < wished ? fit : wished;
}

static int plan_format(const struct takt_send_cfg *c, struct takt_codec_format *f,
                       struct takt_error *e)
{
    f->codec = TAKT_CODEC_L24;
    if (c->codec && takt_codec_from_name(c->codec, &f->codec) < 0)
        return takt_fail(e, TAKT_ERR_ARG, 0, "codec %.20s: there are L16, L24, opus and x-f32",
                         c->codec);
    f->rate_hz = or_default(c->rate_hz, 48000);
    f->channels = or_default(c->channels, 2);
    f->bit_rate = c->bit_rate;
    f->low_delay = c->low_delay;
    if (f->channels > TAKT_CODEC_CHANNELS_MAX || f->rate_hz < 8000 || f->rate_hz > 384000)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%u channels at %u Hz: 1 to 64 channels and 8000 to 384000 Hz can be sent",
                         f->channels, f->rate_hz);
    if (c->packet_ms < 0 || !(c->packet_ms <= 1000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "packets of %g ms: give 0.1 to 20 or so",
                         c->packet_ms);
    f->frames =
        c->packet_ms > 0 ? (uint32_t)lrint(c->packet_ms * f->rate_hz / 1000) : frames_default(f, c);
    f->frames = or_default(f->frames, 1);
    bool is_long = f->frames * 100 >= f->rate_hz;
    f->fec = f->codec == TAKT_CODEC_OPUS && is_long && !c->low_delay && !c->no_fec;
    if (f->codec != TAKT_CODEC_OPUS && (c->bit_rate || c->low_delay))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a bit rate and low delay are choices of Opus; %s has none",
                         takt_codec_name(f->codec));
    return takt_codec_check(f, e);
}

static int plan_copies(const struct takt_send_cfg *c, struct takt_outlet_cfg *o,
                       struct takt_error *e)
{
    const struct takt_codec_format *f = &o->packets.format;
    bool is_short = (uint64_t)f->frames * COPY_FRAMES_PER_S <= f->rate_hz;
    if (c->copies == TAKT_SEND_FIXED) {
        if (c->copies_fixed < 1 || c->copies_fixed > COPIES_MAX)
            return takt_fail(e, TAKT_ERR_ARG, 0, "%u copies: give 1 to %d", c->copies_fixed,
                             COPIES_MAX);
        if (!is_short)
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "copies are for packets of up to 5 ms, and these have %.4g ms",
                             1e3 * f->frames / f->rate_hz);
        o->copies = o->copies_max = c->copies_fixed;
    } else if (c->copies == TAKT_SEND_AUTO && is_short && !c->bare) {
        o->copies_max = COPIES_MAX;
    }
    o->packets.red_type = o->copies_max ? TYPE_RED : 0;
    o->follows_loss = f->fec;
    return 0;
}

static int plan_repair(const struct takt_send_cfg *c, struct takt_outlet_cfg *o,
                       struct takt_error *e)
{
    if (c->repair == TAKT_SEND_FIXED) {
        if (c->repair_fixed < 1 || c->repair_fixed > REPAIR_MAX || c->repair_data < 1 ||
            c->repair_data > 32)
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "repair %u+%u: give 1 to 32 packets and 1 to %d repair packets",
                             c->repair_data, c->repair_fixed, REPAIR_MAX);
        o->repair_data = c->repair_data;
        o->repair_least = o->repair_max = c->repair_fixed;
    } else if (c->repair == TAKT_SEND_AUTO && o->packets.format.codec != TAKT_CODEC_OPUS &&
               !c->bare) {
        o->repair_max = REPAIR_MAX;
    }
    if (c->bare && o->repair_max)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a bare stream has no repair packets; leave one of both out");
    return 0;
}

/* ---- Where they go --------------------------------------------------------------------------- */

static bool is_for_all(const struct takt_address *a)
{
    return a->sock.any.sa_family == AF_INET &&
           a->sock.ipv4.sin_addr.s_addr == htonl(INADDR_BROADCAST);
}

static int plan_destinations(const struct takt_send_cfg *c, struct takt_send_plan *p,
                             struct takt_error *e)
{
    if (c->to_count < 1 || c->to_count > TAKT_SEND_TO_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u destinations: give 1 to %d", c->to_count,
                         TAKT_SEND_TO_MAX);
    for (uint32_t d = 0; d < c->to_count; d++) {
        struct takt_address *to = &p->to[TAKT_ENDPOINT_PORTS * (size_t)d];
        int err = takt_address_parse(c->to[d], TAKT_NET_PORT, to, e);
        if (err < 0)
            return err;
        if (is_for_all(to))
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "%.60s is everybody's address, which sound is not sent to; give a "
                             "host, or a group such as 239.1.2.3",
                             c->to[d]);
        if (takt_address_is_any(to))
            return takt_fail(e, TAKT_ERR_ARG, 0, "%.60s is nobody's address; give a host",
                             c->to[d]);
        if (!p->is_encrypted && !c->plain && !takt_address_is_loopback(to))
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "%.60s is beyond this machine, and anybody on the way could listen: "
                             "give a key (--key-file), or ask for plain RTP (--plain)",
                             c->to[d]);
        for (uint32_t kind = 1; kind < TAKT_ENDPOINT_PORTS; kind++) {
            to[kind] = to[0];
            if (!takt_endpoint_shift_port(&to[kind], c->mux ? 0 : kind))
                return takt_fail(e, TAKT_ERR_ARG, 0,
                                 "%.60s: the two ports after it are needed, too; give 65533 or "
                                 "less",
                                 c->to[d]);
        }
    }
    p->to_count = c->to_count;
    return c->from ? takt_address_parse(c->from, TAKT_NET_PORT, &p->from, e) : 0;
}

/* ---- Keys and chance ------------------------------------------------------------------------- */

static int plan_key(const struct takt_send_cfg *c, struct takt_send_plan *p, struct takt_error *e)
{
    if ((c->key != NULL) + c->sdes + c->plain > 1)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a key, a key in the SDP and plain RTP exclude each other; choose one");
    if (c->sdes && !c->sdp_path)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a key in the SDP needs a file for it that only you may read; name one");
    if (c->rotate_s != 0 && !(c->rotate_s >= 1 && c->rotate_s <= 86400))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a new key every %g s: give 1 to 86400", c->rotate_s);
    p->is_encrypted = c->key || c->sdes;
    p->outlet.rotate_s = c->rotate_s;
    if (c->key) {
        p->key = *c->key;
        p->outlet.key = &p->key;
        p->outlet.suite = TAKT_SRTP_AES_256_GCM;
    }
    if (!c->sdes)
        return 0;
    p->outlet.srtp_key = &p->srtp_key;
    p->outlet.suite = TAKT_SRTP_AES_128_SHA1_80;
    int err = takt_endpoint_draw(p->srtp_key.key, sizeof p->srtp_key.key, e);
    return err < 0 ? err : takt_endpoint_draw(p->srtp_key.salt, sizeof p->srtp_key.salt, e);
}

static int plan_chance(struct takt_outlet_cfg *o, struct takt_error *e)
{
    struct {
        uint64_t seed;
        uint32_t ssrc, timestamp, start;
        uint16_t seq;
    } chance;
    int err = takt_endpoint_draw(&chance, sizeof chance, e);
    if (err < 0)
        return err;
    int64_t unix_ns = takt_now_ns() + takt_endpoint_wall_ns();
    o->seed = chance.seed;
    o->ssrc = chance.ssrc;
    o->timestamp = chance.timestamp;
    o->seq = chance.seq & 0x7fff; /* so that others' guess at the rollover counter is right */
    o->start = takt_srtp_start((uint64_t)(unix_ns / 1000000000), chance.start);
    return 0;
}

int takt_send_plan(const struct takt_send_cfg *c, struct takt_send_plan *p, struct takt_error *e)
{
    memset(p, 0, sizeof *p);
    struct takt_outlet_cfg *o = &p->outlet;
    int err = plan_format(c, &o->packets.format, e);
    if (err < 0)
        return err;
    o->packets.payload_type = type_of(o->packets.format.codec);
    o->is_bare = c->bare;
    err = plan_repair(c, o, e);
    if (!err)
        err = plan_copies(c, o, e);
    if (!err)
        err = plan_key(c, p, e);
    if (!err)
        err = plan_destinations(c, p, e);
    if (!err)
        err = plan_chance(o, e);
    if (!err)
        err = takt_endpoint_cname(p->cname, e);
    o->cname = p->cname;
    if (err < 0)
        takt_send_plan_wipe(p);
    return err;
}

void takt_send_plan_wipe(struct takt_send_plan *p)
{
    takt_key_wipe(&p->key);
    explicit_bzero(&p->srtp_key, sizeof p->srtp_key);
}

/* ---- The description ------------------------------------------------------------------------- */

void takt_send_own_address(const struct takt_address *to, struct takt_address *out)
{
    memset(out, 0, sizeof *out);
    bool is_ipv6 = to->sock.any.sa_family == AF_INET6;
    int fd = socket(to->sock.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct sockaddr_storage own;
    socklen_t bytes = sizeof own;
    memset(&own, 0, sizeof own);
    /* Nothing is sent by this. */
    if (connect(fd, &to->sock.any, is_ipv6 ? sizeof to->sock.ipv6 : sizeof to->sock.ipv4) == 0 &&
        getsockname(fd, (struct sockaddr *)&own, &bytes) == 0)
        takt_address_from((struct sockaddr *)&own, out);
    close(fd);
}

static void tell_address(const struct takt_address *a, uint32_t hops, struct takt_sdp_address *out)
{
    memset(out, 0, sizeof *out);
    if (a->sock.any.sa_family == AF_INET6) {
        out->family = 6;
        inet_ntop(AF_INET6, &a->sock.ipv6.sin6_addr, out->host, sizeof out->host);
    } else if (a->sock.any.sa_family == AF_INET) {
        out->family = 4;
        inet_ntop(AF_INET, &a->sock.ipv4.sin_addr, out->host, sizeof out->host);
        if (takt_address_is_multicast(a))
            out->ttl = (uint8_t)or_default(hops, 1);
    }
}

int takt_send_write_sdp(const struct takt_send_cfg *c, const struct takt_send_plan *p,
                        const struct takt_session_packets *packets, char *out, size_t room,
                        struct takt_error *e)
{
    struct takt_address own;
    takt_send_own_address(&p->to[0], &own);
    struct takt_session s = {.packets = *packets,
                             .id = p->outlet.start,
                             .version = 1,
                             .port = takt_address_port(&p->to[0]),
                             .has_rtcp_mux = c->mux,
                             .is_secure = p->is_encrypted,
                             .has_key = p->outlet.srtp_key != NULL,
                             .suite = p->outlet.suite,
                             .key = p->srtp_key};
    snprintf(s.name, sizeof s.name, "%s", c->name && *c->name ? c->name : "takt");
    tell_address(&own, 0, &s.origin);
    tell_address(&p->to[0], c->hops, &s.address);
    int bytes = takt_session_write_sdp(&s, out, room, e);
    explicit_bzero(&s.key, sizeof s.key);
    return bytes;
}
