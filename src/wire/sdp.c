/*
 * A description is read line by line into the media that the line belongs to. Before the first m=
 * that is `session`, which each m= then begins as a copy of; after an m= that is no sound over RTP
 * it is none. So what the session says of all its media needs no code of its own.
 *
 * Texts are kept as trimmed strings without control characters, and the writer refuses others: what
 * was read can be written, and nobody's name or address can bring a line of its own.
 */
#include "wire/sdp.h"

#include "base/fail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct takt_sdp_format static_formats[] = {
    {.payload_type = 0, .encoding = "PCMU", .rate_hz = 8000, .channels = 1},
    {.payload_type = 8, .encoding = "PCMA", .rate_hz = 8000, .channels = 1},
    {.payload_type = 10, .encoding = "L16", .rate_hz = 44100, .channels = 2},
    {.payload_type = 11, .encoding = "L16", .rate_hz = 44100, .channels = 1},
};
static const char *const profile_names[] = {"RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"};
static const char *const direction_names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { PROFILES = 4, DIRECTIONS = 4, STATIC_FORMATS = 4 };

/* ---- Pieces of a line --------------------------------------------------------------------------
 */

struct slice {
    const char *at, *end;
};

static size_t length(struct slice s)
{
    return (size_t)(s.end - s.at);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.at < s.end && is_blank(s.at[0]))
        s.at++;
    while (s.at < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

/* Takes what is before the first `c`, and the c; all of it where there is none. */
static struct slice take_until(struct slice *s, char c)
{
    const char *found = s->at < s->end ? memchr(s->at, c, length(*s)) : NULL;
    struct slice taken = {s->at, found ? found : s->end};
    s->at = found ? found + 1 : s->end;
    return taken;
}

static struct slice take_word(struct slice *s)
{
    *s = trim(*s);
    return take_until(s, ' ');
}

static bool is(struct slice s, const char *text)
{
    return length(s) == strlen(text) && memcmp(s.at, text, length(s)) == 0;
}

static bool begins(struct slice *s, const char *text)
{
    size_t n = strlen(text);
    if (length(*s) < n || memcmp(s->at, text, n) != 0)
        return false;
    s->at += n;
    return true;
}

/* Digits alone, at least one. */
static bool read_number(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t x = 0;
    for (const char *p = s.at; p < s.end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(x, 10, &x) ||
            __builtin_add_overflow(x, (uint64_t)(*p - '0'), &x))
            return false;
    }
    *out = x;
    return s.at < s.end && x <= max;
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* A word, without blanks. */
static bool is_token(struct slice s)
{
    for (const char *p = s.at; p < s.end; p++)
        if (is_control(*p) || is_blank(*p))
            return false;
    return s.at < s.end;
}

static bool is_host(struct slice s)
{
    for (const char *p = s.at; p < s.end; p++) {
        bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (!is_letter && !(*p >= '0' && *p <= '9') && (*p == 0 || !strchr(".:-_%", *p)))
            return false;
    }
    return s.at < s.end;
}

static bool copy(struct slice s, char *to, size_t size)
{
    if (length(s) >= size)
        return false;
    memcpy(to, s.at, length(s));
    to[length(s)] = 0;
    return true;
}

static bool copy_token(struct slice s, char *to, size_t size)
{
    return is_token(s) && copy(s, to, size);
}

static bool copy_host(struct slice s, char *to, size_t size)
{
    return is_host(s) && copy(s, to, size);
}

/* Returns how many bytes, or -1. Padding may be missing. */
static int read_base64(struct slice s, uint8_t *to, size_t room)
{
    for (int i = 0; i < 2 && s.at < s.end && s.end[-1] == '='; i++)
        s.end--;
    uint32_t bits = 0;
    size_t count = 0, n = 0;
    for (const char *p = s.at; p < s.end; p++) {
        const char *digit = *p ? strchr(digits64, *p) : NULL;
        if (!digit)
            return -1;
        bits = bits << 6 | (uint32_t)(digit - digits64);
        count += 6;
        if (count >= 8) {
            if (n == room)
                return -1;
            count -= 8;
            to[n++] = (uint8_t)(bits >> count);
        }
    }
    return count == 6 ? -1 : (int)n; /* 6 bits alone are no byte */
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

struct reading {
    struct takt_sdp *out;
    struct takt_error *e;
    unsigned line;
    struct takt_sdp_media session;
    struct takt_sdp_media *media; /* session, one of out->media, or NULL: is passed over */
    unsigned media_line[TAKT_SDP_MEDIA_MAX];
};

static int wrong(const struct reading *r, const char *what)
{
    return takt_fail(r->e, TAKT_ERR_FORMAT, 0, "SDP line %u: %s", r->line, what);
}

static int too_many(const struct reading *r, unsigned max, const char *what)
{
    return takt_fail(r->e, TAKT_ERR_FULL, 0, "SDP line %u: more than %u %s", r->line, max, what);
}

/* "IN IP4 host", and what comes behind a slash in c=. */
static bool read_address(struct slice *s, bool has_suffix, struct takt_sdp_address *out)
{
    *out = (struct takt_sdp_address){.count = 1};
    struct slice net = take_word(s), family = take_word(s), host = take_word(s);
    out->family = is(family, "IP4") ? 4 : is(family, "IP6") ? 6 : 0;
    struct slice name = has_suffix ? take_until(&host, '/') : host;
    if (!is(net, "IN") || !out->family || !copy_host(name, out->host, sizeof out->host))
        return false;
    uint64_t x;
    if (has_suffix && host.at < host.end && out->family == 4) {
        if (!read_number(take_until(&host, '/'), UINT8_MAX, &x))
            return false;
        out->ttl = (uint8_t)x;
    }
    if (has_suffix && host.at < host.end) {
        if (!read_number(host, UINT16_MAX, &x) || x == 0)
            return false;
        out->count = (uint16_t)x;
    }
    return true;
}

static int read_origin(struct reading *r, struct slice s)
{
    struct takt_sdp *out = r->out;
    bool is_well = copy_token(take_word(&s), out->user, sizeof out->user) &&
                   read_number(take_word(&s), UINT64_MAX, &out->id) &&
                   read_number(take_word(&s), UINT64_MAX, &out->version) &&
                   read_address(&s, false, &out->origin);
    return is_well ? 0 : wrong(r, "o= is not USER ID VERSION IN IP4|IP6 ADDRESS");
}

/* A name is to be looked at only, so one that is too long is cut, between characters. */
static int read_name(struct reading *r, struct slice s)
{
    s = trim(s);
    if (length(s) >= sizeof r->out->name) {
        s.end = s.at + sizeof r->out->name - 1;
        while (s.at < s.end && ((unsigned char)s.end[0] & 0xc0) == 0x80)
            s.end--;
        s = trim(s);
    }
    copy(s, r->out->name, sizeof r->out->name);
    return 0;
}

static int read_time(struct reading *r, struct slice s)
{
    bool is_well = read_number(take_word(&s), UINT64_MAX, &r->out->start) &&
                   read_number(take_word(&s), UINT64_MAX, &r->out->stop);
    return is_well ? 0 : wrong(r, "t= is not START STOP");
}

static struct takt_sdp_format *find_format(struct takt_sdp_media *m, uint64_t payload_type)
{
    for (size_t i = 0; i < m->format_count; i++)
        if (m->formats[i].payload_type == payload_type)
            return &m->formats[i];
    return NULL;
}

static int add_format(struct reading *r, struct takt_sdp_media *m, uint8_t payload_type)
{
    if (find_format(m, payload_type))
        return 0;
    if (m->format_count == TAKT_SDP_FORMATS_MAX)
        return too_many(r, TAKT_SDP_FORMATS_MAX, "payload types");
    struct takt_sdp_format *f = &m->formats[m->format_count++];
    *f = (struct takt_sdp_format){.payload_type = payload_type};
    for (size_t i = 0; i < STATIC_FORMATS; i++)
        if (static_formats[i].payload_type == payload_type)
            *f = static_formats[i];
    return 0;
}

static int read_media(struct reading *r, struct slice s)
{
    struct slice kind = take_word(&s), port = take_word(&s), profile = take_word(&s);
    size_t known = 0;
    while (known < PROFILES && !is(profile, profile_names[known]))
        known++;
    r->media = NULL;
    if (!is(kind, "audio") || known == PROFILES)
        return 0;
    if (r->out->media_count == TAKT_SDP_MEDIA_MAX)
        return too_many(r, TAKT_SDP_MEDIA_MAX, "m=audio");
    uint64_t x;
    if (!read_number(take_until(&port, '/'), UINT16_MAX, &x))
        return wrong(r, "the port is not 0..65535");
    struct takt_sdp_media *m = &r->out->media[r->out->media_count];
    *m = r->session;
    m->port = (uint16_t)x;
    m->profile = (enum takt_sdp_profile)known;
    for (s = trim(s); s.at < s.end; s = trim(s)) {
        if (!read_number(take_word(&s), 127, &x))
            return wrong(r, "a payload type is not 0..127");
        int err = add_format(r, m, (uint8_t)x);
        if (err < 0)
            return err;
    }
    if (m->format_count == 0)
        return wrong(r, "m= without payload types");
    r->media = m;
    r->media_line[r->out->media_count++] = r->line;
    return 0;
}

static int read_rtpmap(struct reading *r, struct slice s)
{
    uint64_t type, rate, channels = 1;
    if (!read_number(take_word(&s), 127, &type))
        return wrong(r, "rtpmap: the payload type is not 0..127");
    struct takt_sdp_format *f = find_format(r->media, type);
    if (!f)
        return 0;
    s = trim(s);
    struct slice name = take_until(&s, '/');
    if (!copy_token(name, f->encoding, sizeof f->encoding))
        return wrong(r, "rtpmap: the encoding's name is none, or too long");
    if (!read_number(take_until(&s, '/'), UINT32_MAX, &rate) || rate == 0)
        return wrong(r, "rtpmap: the rate is not a number of Hz");
    if (s.at < s.end && (!read_number(s, UINT32_MAX, &channels) || channels == 0))
        return wrong(r, "rtpmap: the channels are not a number above 0");
    f->rate_hz = (uint32_t)rate;
    f->channels = (uint32_t)channels;
    return 0;
}

static int read_fmtp(struct reading *r, struct slice s)
{
    uint64_t type;
    if (!read_number(take_word(&s), 127, &type))
        return wrong(r, "fmtp: the payload type is not 0..127");
    struct takt_sdp_format *f = find_format(r->media, type);
    if (f && !copy(trim(s), f->fmtp, sizeof f->fmtp))
        return wrong(r, "fmtp: too long");
    return 0;
}

/* Milliseconds with a fraction, of which three digits count. */
static bool read_ms(struct slice s, uint32_t *out_us)
{
    uint64_t ms, us = 0, digit;
    struct slice whole = take_until(&s, '.');
    if (!read_number(whole, UINT32_MAX / 1000 - 1, &ms))
        return false;
    for (uint32_t unit = 100; s.at < s.end; s.at++, unit /= 10) {
        if (!read_number((struct slice){s.at, s.at + 1}, 9, &digit))
            return false;
        us += unit * digit;
    }
    *out_us = (uint32_t)(ms * 1000 + us);
    return true;
}

static int read_extmap(struct reading *r, struct slice s)
{
    struct slice which = take_word(&s), uri = take_word(&s);
    struct takt_sdp_media *m = r->media;
    uint64_t id;
    if (m->extmap_count == TAKT_SDP_EXTMAPS_MAX)
        return too_many(r, TAKT_SDP_EXTMAPS_MAX, "extmap");
    struct takt_sdp_extmap *map = &m->extmaps[m->extmap_count];
    if (!read_number(take_until(&which, '/'), UINT16_MAX, &id) || id == 0)
        return wrong(r, "extmap: the id is not 1..65535");
    if (!copy_token(uri, map->uri, sizeof map->uri))
        return wrong(r, "extmap: the URI is none, or too long");
    map->id = (uint16_t)id;
    m->extmap_count++;
    return 0;
}

/* "KEY|LIFETIME|MKI:LENGTH", each of the last two only where it is meant. */
static const char *read_key(struct slice s, struct takt_sdp_crypto *c)
{
    uint64_t x;
    int bytes = read_base64(take_until(&s, '|'), c->key, sizeof c->key);
    if (bytes <= 0)
        return "crypto: the key is not base64 of 1..64 bytes";
    c->key_bytes = (uint8_t)bytes;
    if (s.at < s.end && !memchr(s.at, ':', length(take_until(&(struct slice){s.at, s.end}, '|')))) {
        struct slice lifetime = take_until(&s, '|');
        bool is_power = begins(&lifetime, "2^");
        if (!read_number(lifetime, is_power ? 63 : UINT64_MAX, &x) || (!is_power && x == 0))
            return "crypto: the lifetime is not a number above 0";
        c->lifetime = is_power ? UINT64_C(1) << x : x;
    }
    if (s.at < s.end) {
        if (!read_number(take_until(&s, ':'), UINT64_MAX, &c->mki) || !read_number(s, 128, &x) ||
            x == 0 || (x < 8 && c->mki >> (8 * x)))
            return "crypto: the MKI is not NUMBER:BYTES";
        c->mki_bytes = (uint8_t)x;
    }
    return NULL;
}

/* A line that asks for what is unknown here is passed over as a whole, as RFC 4568 wants it. */
static int read_crypto(struct reading *r, struct slice s)
{
    struct takt_sdp_media *m = r->media;
    struct takt_sdp_crypto c = {0};
    uint64_t tag;
    if (m == &r->session)
        return 0;
    if (m->crypto_count == TAKT_SDP_CRYPTOS_MAX)
        return too_many(r, TAKT_SDP_CRYPTOS_MAX, "crypto");
    if (!read_number(take_word(&s), 999999999, &tag) ||
        !copy_token(take_word(&s), c.suite, sizeof c.suite))
        return wrong(r, "crypto: not TAG SUITE inline:KEY");
    c.tag = (uint32_t)tag;
    struct slice key = take_word(&s);
    if (!begins(&key, "inline:"))
        return 0;
    for (struct slice more = trim(s); more.at < more.end; more = trim(more)) {
        struct slice param = take_word(&more);
        if (!begins(&param, "WSH=") && !begins(&param, "-"))
            return 0;
    }
    const char *what = read_key(key, &c);
    if (what)
        return wrong(r, what);
    m->cryptos[m->crypto_count++] = c;
    return 0;
}

static int read_rtcp(struct reading *r, struct slice s)
{
    uint64_t port;
    if (!read_number(take_word(&s), UINT16_MAX, &port) || port == 0)
        return wrong(r, "rtcp: the port is not 1..65535");
    r->media->rtcp_port = (uint16_t)port;
    r->media->rtcp_address = (struct takt_sdp_address){0};
    s = trim(s);
    if (s.at < s.end && !read_address(&s, false, &r->media->rtcp_address))
        return wrong(r, "rtcp: not PORT IN IP4|IP6 ADDRESS");
    return 0;
}

static int read_filter(struct reading *r, struct slice s)
{
    struct takt_sdp_filter f = {.dest.count = 1};
    struct slice mode = take_word(&s), net = take_word(&s), family = take_word(&s);
    struct slice dest = take_word(&s);
    f.is_exclusive = is(mode, "excl");
    f.dest.family = is(family, "IP4") ? 4 : is(family, "IP6") ? 6 : 0;
    bool is_any = is(dest, "*") && copy(dest, f.dest.host, sizeof f.dest.host);
    if ((!f.is_exclusive && !is(mode, "incl")) || !is(net, "IN") ||
        (f.dest.family == 0 && !(is_any && is(family, "*"))) ||
        !(is_any || copy_host(dest, f.dest.host, sizeof f.dest.host)))
        return wrong(r, "source-filter: not incl|excl IN IP4|IP6 ADDRESS SOURCE...");
    for (s = trim(s); s.at < s.end; s = trim(s)) {
        if (f.source_count == TAKT_SDP_SOURCES_MAX)
            return too_many(r, TAKT_SDP_SOURCES_MAX, "sources");
        if (!copy_host(take_word(&s), f.source[f.source_count++], TAKT_SDP_HOST_MAX))
            return wrong(r, "source-filter: a source is not an address");
    }
    if (f.source_count == 0)
        return wrong(r, "source-filter: no source");
    r->media->filter = f;
    return 0;
}

static int read_attribute(struct reading *r, struct slice s)
{
    struct takt_sdp_media *m = r->media;
    for (size_t i = 0; i < DIRECTIONS; i++) {
        if (is(trim(s), direction_names[i])) {
            m->direction = (enum takt_sdp_direction)i;
            return 0;
        }
    }
    if (is(trim(s), "rtcp-mux"))
        m->has_rtcp_mux = true;
    else if (begins(&s, "rtpmap:"))
        return read_rtpmap(r, s);
    else if (begins(&s, "fmtp:"))
        return read_fmtp(r, s);
    else if (begins(&s, "extmap:"))
        return read_extmap(r, s);
    else if (begins(&s, "crypto:"))
        return read_crypto(r, s);
    else if (begins(&s, "rtcp:"))
        return read_rtcp(r, s);
    else if (begins(&s, "source-filter:"))
        return read_filter(r, s);
    else if (begins(&s, "ptime:"))
        return read_ms(trim(s), &m->ptime_us) ? 0 : wrong(r, "ptime: not a number of ms");
    else if (begins(&s, "maxptime:"))
        return read_ms(trim(s), &m->ptime_us_max) ? 0 : wrong(r, "maxptime: not a number of ms");
    else if (begins(&s, "ts-refclk:"))
        return copy(trim(s), m->ts_refclk, sizeof m->ts_refclk) ? 0
                                                                : wrong(r, "ts-refclk: too long");
    else if (begins(&s, "mediaclk:"))
        return copy(trim(s), m->mediaclk, sizeof m->mediaclk) ? 0 : wrong(r, "mediaclk: too long");
    return 0;
}

static int read_line(struct reading *r, struct slice s)
{
    for (const char *p = s.at; p < s.end; p++)
        if (is_control(*p))
            return wrong(r, "a control character");
    if (r->line == 1 && !is(trim(s), "v=0"))
        return wrong(r, "a description begins with v=0");
    if (s.at == s.end)
        return 0;
    if (length(s) < 2 || s.at[1] != '=')
        return wrong(r, "not of the form LETTER=VALUE");
    char type = s.at[0];
    bool is_of_session = r->media == &r->session;
    s.at += 2;
    if (type == 'm')
        return read_media(r, s);
    if (type == 'o' && is_of_session)
        return read_origin(r, s);
    if (type == 's' && is_of_session)
        return read_name(r, s);
    if (type == 't' && is_of_session)
        return read_time(r, s);
    if (type == 'c' && r->media)
        return read_address(&s, true, &r->media->address)
                   ? 0
                   : wrong(r, "c= is not IN IP4|IP6 ADDRESS");
    return type == 'a' && r->media ? read_attribute(r, s) : 0;
}

/* All there, and what may be left out has its stand-in. */
static int finish(struct reading *r)
{
    struct takt_sdp *out = r->out;
    if (out->media_count == 0)
        return takt_fail(r->e, TAKT_ERR_UNSUPPORTED, 0, "SDP: no sound over RTP in it");
    for (size_t i = 0; i < out->media_count; i++) {
        r->line = r->media_line[i];
        if (!out->media[i].address.family)
            return wrong(r, "no c= says where this sound is sent");
    }
    if (!out->user[0])
        strcpy(out->user, "-");
    if (!out->name[0])
        strcpy(out->name, "-");
    if (!out->origin.family)
        out->origin = (struct takt_sdp_address){.family = 4, .host = "0.0.0.0", .count = 1};
    return 0;
}

int takt_sdp_parse(const char *text, size_t bytes, struct takt_sdp *out, struct takt_error *e)
{
    struct reading r = {.out = out, .e = e};
    struct slice rest = {text, text + bytes};
    memset(out, 0, sizeof *out);
    r.media = &r.session;
    while (rest.at < rest.end && rest.end[-1] == 0)
        rest.end--;
    do {
        struct slice line = take_until(&rest, '\n');
        if (line.at < line.end && line.end[-1] == '\r')
            line.end--;
        r.line++;
        int err = read_line(&r, line);
        if (err < 0)
            return err;
    } while (rest.at < rest.end);
    return finish(&r);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

struct writing {
    char *to;
    size_t room, used; /* used counts on when it is full */
    const char *refused;
};

__attribute__((format(printf, 2, 3))) static void say(struct writing *w, const char *fmt, ...)
{
    size_t left = w->used < w->room ? w->room - w->used : 0;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(left ? w->to + w->used : NULL, left, fmt, args);
    va_end(args);
    w->used += n > 0 ? (size_t)n : 0;
}

/* A field that ends in its array; empty if not, and refused. */
static struct slice field(struct writing *w, const char *text, size_t size, const char *name)
{
    const char *nul = memchr(text, 0, size);
    if (!nul)
        w->refused = name;
    return (struct slice){text, nul ? nul : text};
}

static void check_text(struct writing *w, const char *text, size_t size, const char *name)
{
    struct slice s = field(w, text, size, name), trimmed = trim(s);
    bool is_well = s.at == trimmed.at && s.end == trimmed.end;
    for (const char *p = s.at; p < s.end; p++)
        is_well &= !is_control(*p);
    w->refused = is_well ? w->refused : name;
}

static void check(struct writing *w, bool is_well, const char *name)
{
    w->refused = is_well ? w->refused : name;
}

static void say_address(struct writing *w, const struct takt_sdp_address *a, const char *name)
{
    check(w, a->family == 4 || a->family == 6, name);
    check(w, is_host(field(w, a->host, sizeof a->host, name)), name);
    say(w, "IN IP%u %.*s", a->family, (int)sizeof a->host - 1, a->host);
}

static void say_connection(struct writing *w, const struct takt_sdp_address *a)
{
    say(w, "c=");
    say_address(w, a, "address");
    check(w, a->family == 4 || a->ttl == 0, "address.ttl");
    if (a->family == 4 && (a->ttl || a->count > 1))
        say(w, "/%u", a->ttl);
    if (a->count > 1)
        say(w, "/%u", a->count);
    say(w, "\r\n");
}

static void say_format(struct writing *w, const struct takt_sdp_media *m, size_t i)
{
    const struct takt_sdp_format *f = &m->formats[i];
    struct slice encoding = field(w, f->encoding, sizeof f->encoding, "encoding");
    check_text(w, f->fmtp, sizeof f->fmtp, "fmtp");
    if (encoding.at < encoding.end) {
        check(w, is_token(encoding) && !memchr(encoding.at, '/', length(encoding)), "encoding");
        check(w, f->rate_hz > 0, "rate_hz");
        say(w, "a=rtpmap:%u %s/%u", f->payload_type, encoding.at, f->rate_hz);
        if (f->channels > 1)
            say(w, "/%u", f->channels);
        say(w, "\r\n");
    } else {
        check(w, f->rate_hz == 0 && f->channels == 0, "encoding");
    }
    if (f->fmtp[0] && !w->refused)
        say(w, "a=fmtp:%u %s\r\n", f->payload_type, f->fmtp);
}

static void say_base64(struct writing *w, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= i + 2 < n ? bytes[i + 2] : 0;
        say(w, "%c%c%c%c", digits64[bits >> 18], digits64[bits >> 12 & 63],
            i + 1 < n ? digits64[bits >> 6 & 63] : '=', i + 2 < n ? digits64[bits & 63] : '=');
    }
}

static void say_crypto(struct writing *w, const struct takt_sdp_crypto *c)
{
    struct slice suite = field(w, c->suite, sizeof c->suite, "suite");
    check(w, c->tag <= 999999999, "crypto.tag");
    check(w, is_token(suite), "suite");
    check(w, c->key_bytes > 0 && c->key_bytes <= sizeof c->key, "key_bytes");
    check(w, c->mki_bytes <= 128 && (c->mki_bytes >= 8 || c->mki >> (8 * c->mki_bytes) == 0),
          "mki");
    if (w->refused)
        return;
    say(w, "a=crypto:%u %s inline:", c->tag, c->suite);
    say_base64(w, c->key, c->key_bytes);
    if (c->lifetime && (c->lifetime & (c->lifetime - 1)) == 0)
        say(w, "|2^%d", __builtin_ctzll(c->lifetime));
    else if (c->lifetime)
        say(w, "|%" PRIu64, c->lifetime);
    if (c->mki_bytes)
        say(w, "|%" PRIu64 ":%u", c->mki, c->mki_bytes);
    say(w, "\r\n");
}

static void say_ms(struct writing *w, const char *name, uint32_t us)
{
    if (us == 0)
        return;
    say(w, "a=%s:%u", name, us / 1000);
    uint32_t rest = us % 1000;
    int digits = 3;
    for (; rest && rest % 10 == 0; rest /= 10)
        digits--;
    if (rest)
        say(w, ".%0*u", digits, rest);
    say(w, "\r\n");
}

static void say_filter(struct writing *w, const struct takt_sdp_filter *f)
{
    struct slice dest = field(w, f->dest.host, sizeof f->dest.host, "filter.dest");
    bool is_any = is(dest, "*");
    if (f->source_count == 0)
        return;
    check(w, f->source_count <= TAKT_SDP_SOURCES_MAX, "filter.source_count");
    check(w, is_any || is_host(dest), "filter.dest");
    check(w, f->dest.family == 4 || f->dest.family == 6 || (f->dest.family == 0 && is_any),
          "filter.dest");
    if (w->refused)
        return;
    const char *family = f->dest.family == 4 ? "IP4" : f->dest.family == 6 ? "IP6" : "*";
    say(w, "a=source-filter: %s IN %s %s", f->is_exclusive ? "excl" : "incl", family, dest.at);
    for (size_t i = 0; i < f->source_count; i++) {
        check(w, is_host(field(w, f->source[i], sizeof f->source[i], "filter.source")),
              "filter.source");
        say(w, " %.*s", TAKT_SDP_HOST_MAX - 1, f->source[i]);
    }
    say(w, "\r\n");
}

static void say_m_line(struct writing *w, const struct takt_sdp_media *m)
{
    say(w, "m=audio %u %s", m->port, profile_names[m->profile]);
    for (size_t i = 0; i < m->format_count; i++) {
        check(w, m->formats[i].payload_type < 128, "payload_type");
        for (size_t j = 0; j < i; j++)
            check(w, m->formats[j].payload_type != m->formats[i].payload_type, "payload_type");
        say(w, " %u", m->formats[i].payload_type);
    }
    say(w, "\r\n");
}

static void say_extmap(struct writing *w, const struct takt_sdp_extmap *map)
{
    check(w, map->id > 0, "extmap.id");
    check(w, is_token(field(w, map->uri, sizeof map->uri, "uri")), "uri");
    say(w, "a=extmap:%u %.*s\r\n", map->id, (int)sizeof map->uri - 1, map->uri);
}

static void say_rtcp(struct writing *w, const struct takt_sdp_media *m)
{
    check(w, m->rtcp_port || !m->rtcp_address.family, "rtcp_port");
    if (m->rtcp_port) {
        say(w, "a=rtcp:%u%s", m->rtcp_port, m->rtcp_address.family ? " " : "");
        if (m->rtcp_address.family)
            say_address(w, &m->rtcp_address, "rtcp_address");
        say(w, "\r\n");
    }
    if (m->has_rtcp_mux)
        say(w, "a=rtcp-mux\r\n");
}

static void say_clocks(struct writing *w, const struct takt_sdp_media *m)
{
    check_text(w, m->ts_refclk, sizeof m->ts_refclk, "ts_refclk");
    check_text(w, m->mediaclk, sizeof m->mediaclk, "mediaclk");
    if (m->ts_refclk[0] && !w->refused)
        say(w, "a=ts-refclk:%s\r\n", m->ts_refclk);
    if (m->mediaclk[0] && !w->refused)
        say(w, "a=mediaclk:%s\r\n", m->mediaclk);
}

static void say_media(struct writing *w, const struct takt_sdp_media *m)
{
    check(w, m->format_count > 0 && m->format_count <= TAKT_SDP_FORMATS_MAX, "format_count");
    check(w, m->extmap_count <= TAKT_SDP_EXTMAPS_MAX, "extmap_count");
    check(w, m->crypto_count <= TAKT_SDP_CRYPTOS_MAX, "crypto_count");
    check(w, (unsigned)m->profile < PROFILES, "profile");
    check(w, (unsigned)m->direction < DIRECTIONS, "direction");
    if (w->refused)
        return;
    say_m_line(w, m);
    say_connection(w, &m->address);
    for (size_t i = 0; i < m->format_count; i++)
        say_format(w, m, i);
    say_ms(w, "ptime", m->ptime_us);
    say_ms(w, "maxptime", m->ptime_us_max);
    say(w, "a=%s\r\n", direction_names[m->direction]);
    for (size_t i = 0; i < m->extmap_count; i++)
        say_extmap(w, &m->extmaps[i]);
    for (size_t i = 0; i < m->crypto_count; i++)
        say_crypto(w, &m->cryptos[i]);
    say_rtcp(w, m);
    say_filter(w, &m->filter);
    say_clocks(w, m);
}

int takt_sdp_write(const struct takt_sdp *sdp, char *out, size_t room, struct takt_error *e)
{
    struct writing w = {.to = out, .room = room};
    struct takt_sdp_address nowhere = {.family = 4, .host = "0.0.0.0"};
    struct slice user = field(&w, sdp->user, sizeof sdp->user, "user");
    check(&w, user.at == user.end || is_token(user), "user");
    check_text(&w, sdp->name, sizeof sdp->name, "name");
    check(&w, sdp->media_count > 0 && sdp->media_count <= TAKT_SDP_MEDIA_MAX, "media_count");
    if (!w.refused) {
        say(&w, "v=0\r\no=%s %" PRIu64 " %" PRIu64 " ", user.at < user.end ? user.at : "-", sdp->id,
            sdp->version);
        say_address(&w, sdp->origin.family ? &sdp->origin : &nowhere, "origin");
        say(&w, "\r\ns=%s\r\n", sdp->name[0] ? sdp->name : "-");
        say(&w, "t=%" PRIu64 " %" PRIu64 "\r\n", sdp->start, sdp->stop);
        for (size_t i = 0; i < sdp->media_count; i++)
            say_media(&w, &sdp->media[i]);
    }
    if (w.refused)
        return takt_fail(e, TAKT_ERR_ARG, 0, "SDP: %s cannot be written", w.refused);
    if (w.used >= room)
        return takt_fail(e, TAKT_ERR_FULL, 0, "SDP: %zu bytes do not fit into %zu", w.used + 1,
                         room);
    return (int)w.used;
}
