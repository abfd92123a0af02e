/*
 * The line is words of NAME=NUMBER behind the number of its form, so that a later takt can add to
 * it and an earlier one still reads the rest. Only what would be misunderstood gets a new form.
 *
 * In a description the first sound counts that can be played. What it says of an RTP clock, of
 * channels and of times is turned into frames by the rule of the codec: PCM's clock is its rate,
 * that of Opus is 48 kHz and its channels are always two on paper (RFC 7587, 7).
 */
#include "net/session_text.h"

#include "base/fail.h"
#include "wire/rtcp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FORM = 1, OPUS_HZ = 48000, US_PER_S = 1000000, RATE_MAX_HZ = US_PER_S };

/* ---- The line ----------------------------------------------------------------------------------
 */

int takt_session_describe(const struct takt_session_packets *p, char *out, size_t room)
{
    const struct takt_codec_format *f = &p->format;
    const char *name = takt_codec_name(f->codec);
    const struct {
        const char *name;
        uint32_t value; /* 0 is not written */
    } words[] = {
        {"rate", f->rate_hz},      {"channels", f->channels},  {"frames", f->frames},
        {"bits", f->bit_rate},     {"low", f->low_delay},      {"fec", f->fec},
        {"type", p->payload_type}, {"red", p->red_type},       {"capture", p->capture_id},
        {"note", p->note_id},      {"repair", p->repair_type},
    };
    if (!name)
        return TAKT_ERR_ARG;
    int used = snprintf(out, room, "%d codec=%s", FORM, name);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (used < 0 || (size_t)used >= room)
            return TAKT_ERR_FULL;
        if (words[i].value)
            used += snprintf(out + used, room - (size_t)used, " %s=%" PRIu32, words[i].name,
                             words[i].value);
    }
    return used < 0 || (size_t)used >= room ? TAKT_ERR_FULL : used;
}

struct word {
    const char *at, *end;
};

static bool is(struct word w, const char *text)
{
    size_t n = strnlen(text, TAKT_SESSION_LINE_MAX);
    return (size_t)(w.end - w.at) == n && memcmp(w.at, text, n) == 0;
}

/* What is before the first `c`, which is passed, too. */
static struct word take_until(struct word *rest, char c)
{
    struct word taken = *rest;
    while (rest->at < rest->end && *rest->at != c)
        rest->at++;
    taken.end = rest->at;
    rest->at += rest->at < rest->end;
    return taken;
}

static bool read_number(struct word w, uint32_t max, uint32_t *out)
{
    uint64_t x = 0;
    bool is_well = w.at < w.end;
    for (; w.at < w.end && is_well; w.at++) {
        is_well = *w.at >= '0' && *w.at <= '9';
        x = x * 10 + (uint64_t)(*w.at - '0');
        is_well &= x <= max;
    }
    *out = is_well ? (uint32_t)x : 0;
    return is_well;
}

static const char *name_of(int codec)
{
    return takt_codec_name((enum takt_codec)codec);
}

/* The numbers of a line, before they are found to make sense. */
struct numbers {
    uint32_t rate, channels, frames, bits, low, fec, type, red, capture, note, repair;
};

static bool read_word(struct word name, struct word value, struct numbers *to)
{
    const struct {
        const char *name;
        uint32_t max;
        uint32_t *to;
    } known[] = {
        {"rate", RATE_MAX_HZ - 1, &to->rate},
        {"channels", TAKT_CODEC_CHANNELS_MAX, &to->channels},
        {"frames", TAKT_CODEC_FRAMES_MAX, &to->frames},
        {"bits", UINT32_MAX, &to->bits},
        {"low", 1, &to->low},
        {"fec", 1, &to->fec},
        {"type", 127, &to->type},
        {"red", 127, &to->red},
        {"capture", UINT8_MAX, &to->capture},
        {"note", UINT8_MAX, &to->note},
        {"repair", 127, &to->repair},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is(name, known[i].name))
            return read_number(value, known[i].max, known[i].to);
    return true;
}

int takt_session_described(const char *line, size_t bytes, struct takt_session_packets *out)
{
    struct word rest = {line, line + bytes};
    struct numbers n = {0};
    uint32_t form;
    int codec = TAKT_CODECS;
    bool has_codec = false;
    if (!read_number(take_until(&rest, ' '), UINT32_MAX, &form) || form == 0)
        return TAKT_ERR_FORMAT;
    if (form != FORM)
        return TAKT_ERR_UNSUPPORTED;
    while (rest.at < rest.end) {
        struct word value = take_until(&rest, ' '), name = take_until(&value, '=');
        if (is(name, "codec")) {
            has_codec = true;
            for (codec = 0; codec < TAKT_CODECS && !is(value, name_of(codec));)
                codec++;
        } else if (!read_word(name, value, &n)) {
            return TAKT_ERR_FORMAT;
        }
    }
    if (has_codec && codec == TAKT_CODECS)
        return TAKT_ERR_UNSUPPORTED;
    if (!has_codec || n.rate == 0 || n.channels == 0)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_session_packets){
        .format = {.codec = (enum takt_codec)codec,
                   .rate_hz = n.rate,
                   .channels = n.channels,
                   .frames = n.frames,
                   .bit_rate = n.bits,
                   .low_delay = n.low,
                   .fec = n.fec},
        .payload_type = (uint8_t)n.type,
        .red_type = (uint8_t)n.red,
        .capture_id = (uint8_t)n.capture,
        .note_id = (uint8_t)n.note,
        .repair_type = (uint8_t)n.repair,
    };
    return 0;
}

static bool is_line_of(const struct takt_rtcp_item *item, uint32_t ssrc)
{
    size_t n = sizeof TAKT_SESSION_PREFIX - 1;
    return item->ssrc == ssrc && item->type == TAKT_RTCP_PRIV && item->prefix_bytes == n &&
           memcmp(item->prefix, TAKT_SESSION_PREFIX, n) == 0;
}

int takt_session_heard(const uint8_t *in, size_t bytes, uint32_t ssrc,
                       struct takt_session_packets *out)
{
    struct takt_rtcp_packet p;
    struct takt_rtcp_item item;
    int more;
    for (size_t at = 0; (more = takt_rtcp_next(in, bytes, &at, &p)) > 0;) {
        struct takt_rtcp_sdes where = {0};
        if (p.type != TAKT_RTCP_SDES)
            continue;
        while ((more = takt_rtcp_sdes_next(&p, &where, &item)) > 0) {
            if (!is_line_of(&item, ssrc))
                continue;
            int err = takt_session_described(item.text, item.bytes, out);
            return err < 0 ? err : 1;
        }
        if (more < 0)
            return more;
    }
    return more;
}

/* ---- SDP: writing ------------------------------------------------------------------------------
 */

/* The time of a packet. RFC 7587 has that of Opus in whole ms, rounded up. */
static uint32_t ptime_us(const struct takt_codec_format *f)
{
    uint64_t us = ((uint64_t)f->frames * US_PER_S + f->rate_hz / 2) / f->rate_hz;
    return (uint32_t)(f->codec == TAKT_CODEC_OPUS ? (us + 999) / 1000 * 1000 : us);
}

static void add_parameter(struct takt_sdp_format *to, const char *name, uint32_t value)
{
    size_t used = strlen(to->fmtp);
    snprintf(to->fmtp + used, sizeof to->fmtp - used, "%s%s=%" PRIu32, used ? ";" : "", name,
             value);
}

static void write_opus(const struct takt_codec_format *f, struct takt_sdp_media *m,
                       struct takt_sdp_format *to)
{
    to->rate_hz = OPUS_HZ;
    to->channels = 2;
    m->ptime_us_max = m->ptime_us;
    add_parameter(to, "sprop-stereo", f->channels - 1);
    add_parameter(to, "stereo", f->channels - 1);
    if (m->ptime_us)
        add_parameter(to, "minptime", m->ptime_us / 1000);
    if (f->bit_rate)
        add_parameter(to, "maxaveragebitrate", f->bit_rate);
    if (f->fec)
        add_parameter(to, "useinbandfec", 1);
}

/* Its fmtp is the payload types in a packet: the newest and, at most, three before it. */
static void write_red(const struct takt_session_packets *p, struct takt_sdp_media *m)
{
    struct takt_sdp_format *red = &m->formats[m->format_count++];
    *red = (struct takt_sdp_format){.payload_type = p->red_type,
                                    .encoding = "red",
                                    .rate_hz = m->formats[0].rate_hz,
                                    .channels = m->formats[0].channels};
    unsigned type = p->payload_type;
    snprintf(red->fmtp, sizeof red->fmtp, "%u/%u/%u/%u", type, type, type, type);
}

static void write_element(struct takt_sdp_media *m, uint8_t id, const char *uri)
{
    if (id == 0)
        return;
    struct takt_sdp_extmap *map = &m->extmaps[m->extmap_count++];
    map->id = id;
    snprintf(map->uri, sizeof map->uri, "%s", uri);
}

static bool write_key(const struct takt_session *s, struct takt_sdp_media *m)
{
    struct takt_sdp_crypto *c = &m->cryptos[0];
    if ((unsigned)s->suite >= TAKT_SRTP_SUITES || s->mki_bytes > sizeof s->key.mki)
        return false;
    size_t key = takt_srtp_key_bytes(s->suite), salt = takt_srtp_salt_bytes(s->suite);
    m->crypto_count = 1;
    c->tag = 1;
    snprintf(c->suite, sizeof c->suite, "%s", takt_srtp_suite_name(s->suite));
    memcpy(c->key, s->key.key, key);
    memcpy(c->key + key, s->key.salt, salt);
    c->key_bytes = (uint8_t)(key + salt);
    c->mki_bytes = (uint8_t)s->mki_bytes;
    if (s->mki_bytes)
        c->mki = s->key.mki & (UINT32_MAX >> (32 - 8 * s->mki_bytes));
    return true;
}

static bool write_media(const struct takt_session *s, struct takt_sdp_media *m)
{
    const struct takt_session_packets *p = &s->packets;
    const struct takt_codec_format *f = &p->format;
    const char *name = takt_codec_name(f->codec);
    bool is_opus = f->codec == TAKT_CODEC_OPUS;
    if (!name || f->rate_hz == 0 || f->rate_hz >= RATE_MAX_HZ || f->channels == 0 ||
        f->channels > TAKT_CODEC_CHANNELS_MAX || f->frames > TAKT_CODEC_FRAMES_MAX ||
        (is_opus && f->channels > 2))
        return false;
    m->port = s->port;
    m->profile = s->is_secure || s->has_key ? TAKT_SDP_SAVP : TAKT_SDP_AVP;
    m->address = s->address;
    m->rtcp_port = s->rtcp_port;
    m->has_rtcp_mux = s->has_rtcp_mux;
    m->direction = TAKT_SDP_SENDONLY;
    m->ptime_us = ptime_us(f);
    m->format_count = 1;
    m->formats[0] = (struct takt_sdp_format){
        .payload_type = p->payload_type, .rate_hz = f->rate_hz, .channels = f->channels};
    snprintf(m->formats[0].encoding, sizeof m->formats[0].encoding, "%s", name);
    if (is_opus)
        write_opus(f, m, &m->formats[0]);
    if (p->red_type)
        write_red(p, m);
    write_element(m, p->capture_id, TAKT_CAPTURE_TIME_URI);
    write_element(m, p->note_id, TAKT_SRTP_NOTE_URI);
    if (s->source[0]) {
        m->filter = (struct takt_sdp_filter){.dest = s->address, .source_count = 1};
        m->filter.dest.ttl = 0;
        memcpy(m->filter.source[0], s->source, sizeof s->source);
    }
    return !s->has_key || write_key(s, m);
}

int takt_session_write_sdp(const struct takt_session *s, char *out, size_t room,
                           struct takt_error *e)
{
    struct takt_sdp sdp = {
        .id = s->id, .version = s->version, .origin = s->origin, .media_count = 1};
    memcpy(sdp.name, s->name, sizeof sdp.name);
    int err = write_media(s, &sdp.media[0])
                  ? takt_sdp_write(&sdp, out, room, e)
                  : takt_fail(e, TAKT_ERR_ARG, 0, "SDP has no words for this stream");
    explicit_bzero(sdp.media[0].cryptos, sizeof sdp.media[0].cryptos);
    return err;
}

/* ---- SDP: reading ------------------------------------------------------------------------------
 */

/* The number of `name` in "name=1; other=2"; false when there is none. */
static bool find_parameter(const char *fmtp, const char *name, uint32_t *out)
{
    struct word rest = {fmtp, fmtp + strlen(fmtp)};
    while (rest.at < rest.end) {
        struct word value = take_until(&rest, ';');
        while (value.at < value.end && *value.at == ' ')
            value.at++;
        while (value.at < value.end && value.end[-1] == ' ')
            value.end--;
        struct word key = take_until(&value, '=');
        if ((size_t)(key.end - key.at) == strlen(name) &&
            strncasecmp(key.at, name, strlen(name)) == 0)
            return read_number(value, UINT32_MAX, out);
    }
    return false;
}

/* Unless something says mono, both channels are decoded: of mono they are alike. */
static void read_opus(const struct takt_sdp_format *from, const struct takt_sdp_media *m,
                      struct takt_codec_format *to)
{
    static const uint32_t frames[] = {120, 240, 480, 960, 1920, 2880};
    uint32_t x;
    to->rate_hz = OPUS_HZ;
    to->channels = 2;
    if (find_parameter(from->fmtp, "sprop-stereo", &x) || find_parameter(from->fmtp, "stereo", &x))
        to->channels = x ? 2 : 1;
    if (find_parameter(from->fmtp, "maxaveragebitrate", &x))
        to->bit_rate = x;
    to->fec = find_parameter(from->fmtp, "useinbandfec", &x) && x == 1;
    to->frames = 0;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        if (m->ptime_us >= frames[i] * (US_PER_S / 1000) / (OPUS_HZ / 1000))
            to->frames = frames[i];
}

static bool read_format(const struct takt_sdp_format *from, const struct takt_sdp_media *m,
                        struct takt_codec_format *to)
{
    enum takt_codec codec;
    uint64_t frames = ((uint64_t)m->ptime_us * from->rate_hz + US_PER_S / 2) / US_PER_S;
    if (takt_codec_from_name(from->encoding, &codec) < 0)
        return false;
    *to = (struct takt_codec_format){
        .codec = codec,
        .rate_hz = from->rate_hz,
        .channels = from->channels ? from->channels : 1,
        .frames = frames <= TAKT_CODEC_FRAMES_MAX ? (uint32_t)frames : 0,
    };
    if (codec == TAKT_CODEC_OPUS)
        read_opus(from, m, to);
    return to->rate_hz > 0 && to->rate_hz < RATE_MAX_HZ && to->channels <= TAKT_CODEC_CHANNELS_MAX;
}

/* RED whose copies are of that payload type, or which does not say of what they are. */
static uint8_t find_red(const struct takt_sdp_media *m, uint8_t payload_type)
{
    for (size_t i = 0; i < m->format_count; i++) {
        const struct takt_sdp_format *f = &m->formats[i];
        struct word list = {f->fmtp, f->fmtp + strlen(f->fmtp)};
        uint32_t type;
        if (strcasecmp(f->encoding, "red") != 0)
            continue;
        if (list.at == list.end ||
            (read_number(take_until(&list, '/'), 127, &type) && type == payload_type))
            return f->payload_type;
    }
    return 0;
}

static uint8_t find_element(const struct takt_sdp_media *m, const char *uri)
{
    for (size_t i = 0; i < m->extmap_count; i++)
        if (strcmp(m->extmaps[i].uri, uri) == 0 && m->extmaps[i].id <= UINT8_MAX)
            return (uint8_t)m->extmaps[i].id;
    return 0;
}

/* Without a key that is known here, one has to come from elsewhere. */
static void read_key(const struct takt_sdp_crypto *c, struct takt_session *to)
{
    for (int i = 0; i < TAKT_SRTP_SUITES && !to->has_key; i++) {
        enum takt_srtp_suite suite = (enum takt_srtp_suite)i;
        size_t key = takt_srtp_key_bytes(suite), salt = takt_srtp_salt_bytes(suite);
        if (strcmp(c->suite, takt_srtp_suite_name(suite)) != 0 || c->key_bytes != key + salt ||
            c->mki_bytes > sizeof to->key.mki)
            continue;
        to->has_key = true;
        to->suite = suite;
        to->mki_bytes = c->mki_bytes;
        to->key.mki = (uint32_t)c->mki;
        memcpy(to->key.key, c->key, key);
        memcpy(to->key.salt, c->key + key, salt);
    }
}

/* Whether there is something to play in it. */
static bool read_media(const struct takt_sdp_media *m, struct takt_session *to)
{
    struct takt_session_packets *p = &to->packets;
    size_t i = 0;
    if (m->port == 0 || m->direction == TAKT_SDP_INACTIVE)
        return false;
    while (i < m->format_count && !read_format(&m->formats[i], m, &p->format))
        i++;
    if (i == m->format_count)
        return false;
    p->payload_type = m->formats[i].payload_type;
    p->red_type = find_red(m, p->payload_type);
    p->capture_id = find_element(m, TAKT_CAPTURE_TIME_URI);
    p->note_id = find_element(m, TAKT_SRTP_NOTE_URI);
    to->address = m->address;
    to->port = m->port;
    to->rtcp_port = m->rtcp_port;
    to->has_rtcp_mux = m->has_rtcp_mux;
    /* ffmpeg tells its key and calls the profile AVP all the same. */
    to->is_secure =
        m->profile == TAKT_SDP_SAVP || m->profile == TAKT_SDP_SAVPF || m->crypto_count > 0;
    if (m->filter.source_count == 1 && !m->filter.is_exclusive)
        memcpy(to->source, m->filter.source[0], sizeof to->source);
    for (i = 0; to->is_secure && i < m->crypto_count; i++)
        read_key(&m->cryptos[i], to);
    return true;
}

static int read_session(const struct takt_sdp *sdp, struct takt_session *out, struct takt_error *e)
{
    const struct takt_sdp_media *m;
    out->id = sdp->id;
    out->version = sdp->version;
    out->origin = sdp->origin;
    memcpy(out->name, sdp->name, sizeof out->name);
    for (size_t i = 0; i < sdp->media_count; i++) {
        m = &sdp->media[i];
        if (!read_media(m, out))
            continue;
        if (m->crypto_count > 0 && out->is_secure && !out->has_key)
            return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                             "SDP: the key is for %s, which is not known here",
                             m->cryptos[0].suite);
        return 0;
    }
    m = &sdp->media[0];
    if (m->port == 0 || m->direction == TAKT_SDP_INACTIVE)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "SDP: the sound in it is switched off");
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                     "SDP: payload type %u (%s) cannot be played: takt knows L16, L24, x-f32 and "
                     "opus",
                     m->formats[0].payload_type,
                     m->formats[0].encoding[0] ? m->formats[0].encoding : "of no name");
}

int takt_session_parse_sdp(const char *text, size_t bytes, struct takt_session *out,
                           struct takt_error *e)
{
    struct takt_sdp sdp;
    memset(out, 0, sizeof *out);
    int err = takt_sdp_parse(text, bytes, &sdp, e);
    if (err == 0)
        err = read_session(&sdp, out, e);
    explicit_bzero(&sdp, sizeof sdp);
    return err;
}
