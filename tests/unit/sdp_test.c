/* Session descriptions: those of other programs, random ones there and back, what is refused and
 * what is said about it. */
#include "hostile.h"
#include "wire/sdp.h"

static struct takt_sdp sdp, back;
static struct takt_error e;
static char text[1 << 16];

static int parse(const char *from)
{
    size_t n = strlen(from);
    return takt_sdp_parse((const char *)edge_put(from, n), n, &sdp, &e);
}

/* As AES67 devices write it (RFC 7273, section 6; RFC 4570). */
static const char aes67[] = "v=0\r\n"
                            "o=- 1311738121 1311738121 IN IP4 192.168.1.1\r\n"
                            "s=Stage left\r\n"
                            "c=IN IP4 239.0.0.1/32\r\n"
                            "t=0 0\r\n"
                            "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37\r\n"
                            "m=audio 5004 RTP/AVP 96\r\n"
                            "i=Channels 1-8\r\n"
                            "a=rtpmap:96 L24/48000/8\r\n"
                            "a=source-filter: incl IN IP4 239.0.0.1 192.168.1.1\r\n"
                            "a=recvonly\r\n"
                            "a=ptime:0.125\r\n"
                            "a=mediaclk:direct=963214424\r\n";

/* What the sound of a call looks like, with keys (RFC 4568, 9.1) and LF alone. */
static const char secured[] =
    "v=0\n"
    "o=jdoe 2890844526 2890842807 IN IP6 2001:db8::1\n"
    "s=SDP Seminar\n"
    "u=http://www.example.com/seminars/sdp.pdf\n"
    "t=2873397496 2873404696\n"
    "m=video 51372 RTP/SAVP 31\n"
    "c=IN IP4 10.1.1.1\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 nonsense\n"
    "m=audio 49170 RTP/SAVP 111 0 101\n"
    "c=IN IP6 FF15::101/3\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_32 "
    "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32 WSH=64\n"
    "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj KDR=1\n"
    "a=fmtp:111 minptime=10; useinbandfec=1\n"
    "a=rtpmap:111 opus/48000/2\n"
    "a=rtpmap:101 telephone-event/8000\n"
    "a=ptime:20\n"
    "a=maxptime:60\n"
    "a=sendonly\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\n"
    "a=extmap:4/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time x\n"
    "a=rtcp:53020 IN IP4 126.16.64.4\n"
    "a=rtcp-mux\n"
    "x=from the future\n";

static void description_of_an_aes67_device_is_read(void)
{
    CHECK_INT(parse(aes67), 0);
    const struct takt_sdp_media *m = &sdp.media[0];
    CHECK_INT(sdp.media_count, 1);
    CHECK(!strcmp(sdp.name, "Stage left") && !strcmp(sdp.user, "-"));
    CHECK(sdp.id == 1311738121 && !strcmp(sdp.origin.host, "192.168.1.1"));
    CHECK(m->port == 5004 && m->profile == TAKT_SDP_AVP && m->direction == TAKT_SDP_RECVONLY);
    CHECK(m->address.family == 4 && m->address.ttl == 32 && m->address.count == 1);
    CHECK(!strcmp(m->address.host, "239.0.0.1"));
    CHECK(m->format_count == 1 && m->formats[0].payload_type == 96);
    CHECK(!strcmp(m->formats[0].encoding, "L24"));
    CHECK(m->formats[0].rate_hz == 48000 && m->formats[0].channels == 8);
    CHECK_INT(m->ptime_us, 125);
    CHECK(m->filter.source_count == 1 && !m->filter.is_exclusive);
    CHECK(!strcmp(m->filter.source[0], "192.168.1.1"));
    CHECK(!strcmp(m->ts_refclk, "ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37"));
    CHECK(!strcmp(m->mediaclk, "direct=963214424"));
}

static void description_with_keys_is_read(void)
{
    CHECK_INT(parse(secured), 0);
    const struct takt_sdp_media *m = &sdp.media[0];
    CHECK_INT(sdp.media_count, 1);
    CHECK(sdp.start == 2873397496 && sdp.stop == 2873404696 && sdp.origin.family == 6);
    CHECK(m->profile == TAKT_SDP_SAVP && m->address.family == 6 && m->address.count == 3);
    CHECK_INT(m->format_count, 3);
    CHECK(!strcmp(m->formats[0].encoding, "opus") && m->formats[0].channels == 2);
    CHECK(!strcmp(m->formats[0].fmtp, "minptime=10; useinbandfec=1"));
    CHECK(!strcmp(m->formats[1].encoding, "PCMU") && m->formats[1].rate_hz == 8000);
    CHECK(m->formats[2].payload_type == 101 && m->formats[2].channels == 1);
    /* KDR is a parameter that is not known here, so that line is not for us. */
    CHECK_INT(m->crypto_count, 1);
    const struct takt_sdp_crypto *c = &m->cryptos[0];
    CHECK(c->tag == 1 && !strcmp(c->suite, "AES_CM_128_HMAC_SHA1_32"));
    CHECK(c->key_bytes == 30 && !memcmp(c->key, "70xwPH5@/,L:S1wY\"~='EpgT%(i_Vc", 30));
    CHECK(c->lifetime == 1 << 20 && c->mki == 1 && c->mki_bytes == 32);
    CHECK(m->extmap_count == 2 && m->extmaps[0].id == 1 && m->extmaps[1].id == 4);
    CHECK(strstr(m->extmaps[1].uri, "hdrext/abs-capture-time"));
    CHECK(m->ptime_us == 20000 && m->ptime_us_max == 60000);
    CHECK(m->rtcp_port == 53020 && !strcmp(m->rtcp_address.host, "126.16.64.4"));
    CHECK(m->has_rtcp_mux && m->direction == TAKT_SDP_SENDONLY);
}

static void payload_types_with_a_fixed_meaning_need_no_line(void)
{
    CHECK_INT(parse("v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 0 8 10 11 12 96"), 0);
    const struct takt_sdp_format *f = sdp.media[0].formats;
    const char *const names[] = {"PCMU", "PCMA", "L16", "L16", "", ""};
    const uint32_t rates[] = {8000, 8000, 44100, 44100, 0, 0}, channels[] = {1, 1, 2, 1, 0, 0};
    CHECK_INT(sdp.media[0].format_count, 6);
    for (int i = 0; i < 6; i++) {
        CHECK(!strcmp(f[i].encoding, names[i]));
        CHECK(f[i].rate_hz == rates[i] && f[i].channels == channels[i]);
    }
}

/* What the session says holds for each medium that does not say otherwise. */
static void session_speaks_for_its_media(void)
{
    CHECK_INT(parse("v=0\nc=IN IP4 224.0.0.1/7\na=recvonly\na=ptime:4\nm=audio 1 RTP/AVP 0\n"
                    "m=audio 3 RTP/AVPF 8\nc=IN IP4 224.0.0.2\na=inactive\na=ptime:2.5\n"),
              0);
    const struct takt_sdp_media *m = sdp.media;
    CHECK_INT(sdp.media_count, 2);
    CHECK(m[0].address.ttl == 7 && m[0].direction == TAKT_SDP_RECVONLY && m[0].ptime_us == 4000);
    CHECK(m[1].address.ttl == 0 && m[1].direction == TAKT_SDP_INACTIVE && m[1].ptime_us == 2500);
    CHECK(m[1].profile == TAKT_SDP_AVPF && !strcmp(m[1].address.host, "224.0.0.2"));
}

static void names_too_long_are_cut_between_characters(void)
{
    char long_name[400] = "v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 0";
    for (size_t lead = 0; lead < 4; lead++) {
        int n = snprintf(text, sizeof text, "v=0\ns=%.*s", (int)lead, "abc");
        for (int i = 0; i < 100; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "\xe2\x99\xab");
        snprintf(text + n, sizeof text - (size_t)n, "%s", long_name + 3);
        CHECK_INT(parse(text), 0);
        size_t kept = strlen(sdp.name);
        CHECK(kept >= TAKT_SDP_TEXT_MAX - 3 && (kept - (lead < 3 ? lead : 3)) % 3 == 0);
    }
}

/* Each is one thing wrong, on the line that is said. */
static void errors_name_the_line_and_the_fault(void)
{
#define HEAD "v=0\no=- 1 1 IN IP4 h\ns=x\nc=IN IP4 h\nt=0 0\n"
#define BODY HEAD "m=audio 9 RTP/SAVP 96\n"
    static const struct {
        const char *sdp, *says;
        int code;
    } cases[] = {
        {"", "line 1: a description begins", TAKT_ERR_FORMAT},
        {"o=- 1 1 IN IP4 h\n", "line 1: a description begins", TAKT_ERR_FORMAT},
        {"v=1\n", "line 1: a description begins", TAKT_ERR_FORMAT},
        {HEAD, "SDP: no sound", TAKT_ERR_UNSUPPORTED},
        {HEAD "m=video 9 RTP/AVP 96\n", "SDP: no sound", TAKT_ERR_UNSUPPORTED},
        {HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 96\n", "SDP: no sound", TAKT_ERR_UNSUPPORTED},
        {HEAD "nonsense\n", "line 6: not of the form", TAKT_ERR_FORMAT},
        {HEAD "s=a\001b\n", "line 6: a control character", TAKT_ERR_FORMAT},
        {HEAD "s=a\rb\n", "line 6: a control character", TAKT_ERR_FORMAT},
        {HEAD "t=0\n", "line 6: t= is not", TAKT_ERR_FORMAT},
        {HEAD "o=- 1 IN IP4 h\n", "line 6: o= is not", TAKT_ERR_FORMAT},
        {HEAD "c=IN IP5 h\n", "line 6: c= is not", TAKT_ERR_FORMAT},
        {HEAD "c=IN IP4 224.0.0.1/256\n", "line 6: c= is not", TAKT_ERR_FORMAT},
        {HEAD "c=IN IP4 224.0.0.1/1/0\n", "line 6: c= is not", TAKT_ERR_FORMAT},
        {HEAD "m=audio 65536 RTP/AVP 96\n", "line 6: the port", TAKT_ERR_FORMAT},
        {HEAD "m=audio 9 RTP/AVP 128\n", "line 6: a payload type", TAKT_ERR_FORMAT},
        {HEAD "m=audio 9 RTP/AVP\n", "line 6: m= without", TAKT_ERR_FORMAT},
        {HEAD "m=audio 9 RTP/AVP 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36\n",
         "line 6: more than 16 payload types", TAKT_ERR_FULL},
        {"v=0\n\nm=audio 9 RTP/AVP 0\na=x\n", "line 3: no c=", TAKT_ERR_FORMAT},
        {BODY "a=rtpmap:96 L16/x\n", "line 7: rtpmap: the rate", TAKT_ERR_FORMAT},
        {BODY "a=rtpmap:96 L16/8000/0\n", "line 7: rtpmap: the channels", TAKT_ERR_FORMAT},
        {BODY "a=rtpmap:96\n", "line 7: rtpmap: the encoding", TAKT_ERR_FORMAT},
        {BODY "a=fmtp:x y\n", "line 7: fmtp", TAKT_ERR_FORMAT},
        {BODY "a=ptime:1e3\n", "line 7: ptime", TAKT_ERR_FORMAT},
        {BODY "a=maxptime:4294967296\n", "line 7: maxptime", TAKT_ERR_FORMAT},
        {BODY "a=rtcp:0\n", "line 7: rtcp: the port", TAKT_ERR_FORMAT},
        {BODY "a=extmap:0 urn:x\n", "line 7: extmap: the id", TAKT_ERR_FORMAT},
        {BODY "a=extmap:1\n", "line 7: extmap: the URI", TAKT_ERR_FORMAT},
        {BODY "a=crypto:1\n", "line 7: crypto: not TAG", TAKT_ERR_FORMAT},
        {BODY "a=crypto:1 S inline:%%\n", "line 7: crypto: the key", TAKT_ERR_FORMAT},
        {BODY
         "a=crypto:1 S inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAAAAAAAAAAAAA\n",
         "line 7: crypto: the key", TAKT_ERR_FORMAT},
        {BODY "a=crypto:1 S inline:AAAA|0\n", "line 7: crypto: the lifetime", TAKT_ERR_FORMAT},
        {BODY "a=crypto:1 S inline:AAAA|2^64\n", "line 7: crypto: the lifetime", TAKT_ERR_FORMAT},
        {BODY "a=crypto:1 S inline:AAAA|256:1\n", "line 7: crypto: the MKI", TAKT_ERR_FORMAT},
        {BODY "a=source-filter: incl IN IP4 h\n", "line 7: source-filter: no", TAKT_ERR_FORMAT},
        {BODY "a=source-filter: all IN IP4 h h\n", "line 7: source-filter: not", TAKT_ERR_FORMAT},
        {BODY "a=source-filter: incl IN IP4 * 1 2 3 4 5 6 7 8 9\n", "line 7: more than 8 sources",
         TAKT_ERR_FULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = parse(cases[i].sdp);
        if (code != cases[i].code || !strstr(e.text, cases[i].says))
            printf("# case %zu: %d, %s\n", i, code, e.text);
        CHECK_INT(code, cases[i].code);
        CHECK_INT(e.code, cases[i].code);
        CHECK(strstr(e.text, cases[i].says));
    }
}

static void more_than_there_is_room_for_is_refused(void)
{
    int n = snprintf(text, sizeof text, BODY);
    size_t head = (size_t)n;
    for (int i = 0; i <= TAKT_SDP_CRYPTOS_MAX; i++)
        n += snprintf(text + n, 64, "a=crypto:1 S inline:AAAA\n");
    CHECK_INT(parse(text), TAKT_ERR_FULL);
    CHECK(strstr(e.text, "line 11: more than 4 crypto"));
    n = (int)head;
    for (int i = 0; i <= TAKT_SDP_EXTMAPS_MAX; i++)
        n += snprintf(text + n, 64, "a=extmap:%d urn:x\n", i + 1);
    CHECK_INT(parse(text), TAKT_ERR_FULL);
    n = (int)head;
    for (int i = 1; i <= TAKT_SDP_MEDIA_MAX; i++)
        n += snprintf(text + n, 64, "m=audio 9 RTP/AVP 0\n");
    CHECK_INT(parse(text), TAKT_ERR_FULL);
    CHECK(strstr(e.text, "line 10: more than 4 m=audio"));
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:";

static void random_word(struct takt_random *r, char *to, size_t size)
{
    size_t n = 1 + takt_random_below(r, size - 1);
    for (size_t i = 0; i < n; i++)
        to[i] = letters[takt_random_below(r, sizeof letters - 1)];
    to[n] = 0;
}

/* Words with blanks between; or nothing. */
static void random_text(struct takt_random *r, char *to, size_t size)
{
    random_word(r, to, size);
    for (size_t i = 1; i + 1 < strlen(to); i++)
        if (takt_random_below(r, 6) == 0)
            to[i] = ' ';
    if (takt_random_below(r, 4) == 0)
        to[0] = 0;
}

static struct takt_sdp_address random_address(struct takt_random *r)
{
    struct takt_sdp_address a = {.family = takt_random_below(r, 2) ? 4 : 6, .count = 1};
    random_word(r, a.host, sizeof a.host);
    return a;
}

static void random_crypto(struct takt_random *r, struct takt_sdp_crypto *c)
{
    c->tag = (uint32_t)takt_random_below(r, 1000000000);
    random_word(r, c->suite, sizeof c->suite);
    c->key_bytes = (uint8_t)(1 + takt_random_below(r, TAKT_SDP_KEY_MAX));
    for (size_t i = 0; i < c->key_bytes; i++)
        c->key[i] = (uint8_t)takt_random_u64(r);
    uint64_t x = takt_random_u64(r);
    c->lifetime = x % 3 == 0 ? 0 : x % 3 == 1 ? UINT64_C(1) << (x >> 58) : x;
    c->mki_bytes = (uint8_t)takt_random_below(r, 129);
    c->mki = c->mki_bytes == 0
                 ? 0
                 : takt_random_u64(r) >> (c->mki_bytes < 8 ? 64 - 8 * c->mki_bytes : 0);
}

static void random_media(struct takt_random *r, struct takt_sdp_media *m)
{
    m->port = (uint16_t)takt_random_u64(r);
    m->profile = (enum takt_sdp_profile)takt_random_below(r, 4);
    m->direction = (enum takt_sdp_direction)takt_random_below(r, 4);
    m->address = random_address(r);
    m->address.ttl = (uint8_t)(m->address.family == 4 ? takt_random_below(r, 256) : 0);
    m->address.count = (uint16_t)(1 + takt_random_below(r, 65535));
    m->format_count = (uint8_t)(1 + takt_random_below(r, TAKT_SDP_FORMATS_MAX));
    uint8_t first = (uint8_t)takt_random_below(r, 127 - TAKT_SDP_FORMATS_MAX);
    for (uint8_t i = 0; i < m->format_count; i++) {
        struct takt_sdp_format *f = &m->formats[i];
        f->payload_type = first + i;
        random_word(r, f->encoding, sizeof f->encoding);
        f->rate_hz = (uint32_t)(1 + takt_random_below(r, UINT32_MAX));
        f->channels = (uint32_t)(1 + takt_random_below(r, i & 1 ? 8 : UINT32_MAX));
        random_text(r, f->fmtp, sizeof f->fmtp);
    }
    m->extmap_count = (uint8_t)takt_random_below(r, TAKT_SDP_EXTMAPS_MAX + 1);
    for (size_t i = 0; i < m->extmap_count; i++) {
        m->extmaps[i].id = (uint16_t)(1 + takt_random_below(r, 65535));
        random_word(r, m->extmaps[i].uri, sizeof m->extmaps[i].uri);
    }
    m->crypto_count = (uint8_t)takt_random_below(r, TAKT_SDP_CRYPTOS_MAX + 1);
    for (size_t i = 0; i < m->crypto_count; i++)
        random_crypto(r, &m->cryptos[i]);
    m->ptime_us = (uint32_t)takt_random_below(r, 200000);
    m->ptime_us_max = (uint32_t)takt_random_below(r, UINT32_MAX - 10000);
    m->has_rtcp_mux = takt_random_below(r, 2);
    m->rtcp_port = (uint16_t)takt_random_u64(r);
    if (m->rtcp_port & 1)
        m->rtcp_address = random_address(r);
    m->filter.source_count = (uint8_t)takt_random_below(r, TAKT_SDP_SOURCES_MAX + 1);
    if (m->filter.source_count) {
        m->filter.is_exclusive = takt_random_below(r, 2);
        m->filter.dest = random_address(r);
    }
    for (size_t i = 0; i < m->filter.source_count; i++)
        random_word(r, m->filter.source[i], TAKT_SDP_HOST_MAX);
    random_text(r, m->ts_refclk, sizeof m->ts_refclk);
    random_text(r, m->mediaclk, sizeof m->mediaclk);
}

static bool same_address(const struct takt_sdp_address *a, const struct takt_sdp_address *b)
{
    return a->family == b->family && a->ttl == b->ttl && a->count == b->count &&
           !strcmp(a->host, b->host);
}

static bool same_lists(const struct takt_sdp_media *a, const struct takt_sdp_media *b)
{
    bool same = a->format_count == b->format_count && a->extmap_count == b->extmap_count &&
                a->crypto_count == b->crypto_count;
    for (size_t i = 0; same && i < a->format_count; i++) {
        const struct takt_sdp_format *f = &a->formats[i], *g = &b->formats[i];
        same = f->payload_type == g->payload_type && !strcmp(f->encoding, g->encoding) &&
               f->rate_hz == g->rate_hz && f->channels == g->channels && !strcmp(f->fmtp, g->fmtp);
    }
    for (size_t i = 0; same && i < a->extmap_count; i++)
        same =
            a->extmaps[i].id == b->extmaps[i].id && !strcmp(a->extmaps[i].uri, b->extmaps[i].uri);
    for (size_t i = 0; same && i < a->crypto_count; i++) {
        const struct takt_sdp_crypto *c = &a->cryptos[i], *d = &b->cryptos[i];
        same = c->tag == d->tag && !strcmp(c->suite, d->suite) && c->key_bytes == d->key_bytes &&
               !memcmp(c->key, d->key, sizeof c->key) && c->lifetime == d->lifetime &&
               c->mki == d->mki && c->mki_bytes == d->mki_bytes;
    }
    return same;
}

static bool same_media(const struct takt_sdp_media *a, const struct takt_sdp_media *b)
{
    bool same = a->port == b->port && a->profile == b->profile && a->direction == b->direction &&
                a->ptime_us == b->ptime_us && a->ptime_us_max == b->ptime_us_max &&
                a->has_rtcp_mux == b->has_rtcp_mux && a->rtcp_port == b->rtcp_port &&
                same_address(&a->address, &b->address) &&
                same_address(&a->rtcp_address, &b->rtcp_address) &&
                same_address(&a->filter.dest, &b->filter.dest) &&
                a->filter.is_exclusive == b->filter.is_exclusive &&
                a->filter.source_count == b->filter.source_count &&
                !strcmp(a->ts_refclk, b->ts_refclk) && !strcmp(a->mediaclk, b->mediaclk);
    for (size_t i = 0; same && i < a->filter.source_count; i++)
        same = !strcmp(a->filter.source[i], b->filter.source[i]);
    return same && same_lists(a, b);
}

static void descriptions_come_back_as_they_were(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int i = 0; i < ROUNDS(3000); i++) {
        memset(&sdp, 0, sizeof sdp);
        random_word(&r, sdp.user, sizeof sdp.user);
        do
            random_text(&r, sdp.name, sizeof sdp.name);
        while (!sdp.name[0]);
        sdp.id = takt_random_u64(&r);
        sdp.version = takt_random_u64(&r);
        sdp.start = takt_random_u64(&r);
        sdp.stop = takt_random_below(&r, 2) ? takt_random_u64(&r) : 0;
        sdp.origin = random_address(&r);
        sdp.media_count = (uint8_t)(1 + takt_random_below(&r, TAKT_SDP_MEDIA_MAX));
        for (size_t k = 0; k < sdp.media_count; k++)
            random_media(&r, &sdp.media[k]);
        int n = takt_sdp_write(&sdp, text, sizeof text, &e);
        CHECK(n > 0);
        CHECK_INT(takt_sdp_parse((char *)edge_put(text, (size_t)n), (size_t)n, &back, &e), 0);
        CHECK(!strcmp(sdp.user, back.user) && !strcmp(sdp.name, back.name));
        CHECK(sdp.id == back.id && sdp.version == back.version);
        CHECK(sdp.start == back.start && sdp.stop == back.stop);
        CHECK(same_address(&sdp.origin, &back.origin) && sdp.media_count == back.media_count);
        for (size_t k = 0; k < sdp.media_count; k++)
            CHECK(same_media(&sdp.media[k], &back.media[k]));
    }
}

static void zeros_are_written_as_their_defaults(void)
{
    static struct takt_sdp plain = {.media_count = 1};
    struct takt_sdp_media *m = &plain.media[0];
    *m = (struct takt_sdp_media){.port = 5004, .address = {.family = 4, .host = "127.0.0.1"}};
    m->format_count = 1;
    m->formats[0] =
        (struct takt_sdp_format){.payload_type = 96, .encoding = "L24", .rate_hz = 48000};
    m->ptime_us = 1000;
    CHECK(takt_sdp_write(&plain, text, sizeof text, &e) > 0);
    CHECK(!strcmp(text,
                  "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 5004 RTP/AVP 96\r\n"
                  "c=IN IP4 127.0.0.1\r\na=rtpmap:96 L24/48000\r\na=ptime:1\r\n"
                  "a=sendrecv\r\n"));
    CHECK_INT(takt_sdp_write(&plain, NULL, 0, &e), TAKT_ERR_FULL);
}

/* Nothing that is written may bring a line of its own, or be read as something else. */
static void write_refuses_what_would_read_otherwise(void)
{
    static const char *const bad[] = {"a\r\nm=audio 1 RTP/AVP 0", " a", "a ", "a\177b", "a\tb\n"};
    static char *const places[] = {sdp.name,
                                   sdp.user,
                                   sdp.origin.host,
                                   sdp.media[0].address.host,
                                   sdp.media[0].formats[0].fmtp,
                                   sdp.media[0].formats[0].encoding,
                                   sdp.media[0].filter.source[0],
                                   sdp.media[0].filter.dest.host,
                                   sdp.media[0].ts_refclk,
                                   sdp.media[0].mediaclk};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            CHECK_INT(parse(aes67), 0);
            strcpy(places[i], bad[k]);
            CHECK_INT(takt_sdp_write(&sdp, text, sizeof text, &e), TAKT_ERR_ARG);
        }
        CHECK_INT(parse(aes67), 0);
        memset(places[i], 'a', 64); /* the shorter ones have no NUL then */
        takt_sdp_write(&sdp, text, sizeof text, &e);
    }
    CHECK_INT(parse(secured), 0);
    sdp.media[0].formats[1].payload_type = 111;
    CHECK_INT(takt_sdp_write(&sdp, text, sizeof text, &e), TAKT_ERR_ARG);
    CHECK(!strcmp(e.text, "SDP: payload_type cannot be written"));
    CHECK_INT(parse(secured), 0);
    sdp.media[0].cryptos[0].suite[0] = 0;
    CHECK_INT(takt_sdp_write(&sdp, text, sizeof text, &e), TAKT_ERR_ARG);
    sdp.media_count = 0;
    CHECK_INT(takt_sdp_write(&sdp, text, sizeof text, &e), TAKT_ERR_ARG);
}

static void hostile_bytes_do_no_harm(void)
{
    const struct hostile_seed seeds[] = {{aes67, sizeof aes67 - 1}, {secured, sizeof secured - 1}};
    hostile_cuts(aes67, sizeof aes67 - 1);
    hostile_cuts(secured, sizeof secured - 1);
    hostile_rounds(seeds, 2, 200000);
}

int main(void)
{
    RUN(description_of_an_aes67_device_is_read);
    RUN(description_with_keys_is_read);
    RUN(payload_types_with_a_fixed_meaning_need_no_line);
    RUN(session_speaks_for_its_media);
    RUN(names_too_long_are_cut_between_characters);
    RUN(errors_name_the_line_and_the_fault);
    RUN(more_than_there_is_room_for_is_refused);
    RUN(descriptions_come_back_as_they_were);
    RUN(zeros_are_written_as_their_defaults);
    RUN(write_refuses_what_would_read_otherwise);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}
