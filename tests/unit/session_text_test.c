/* The line that describes a stream, and its session description: there and back, as other programs
 * write it, and what is refused. */
#include "hostile.h"
#include "net/session_text.h"
#include "wire/rtcp.h"
#include "wire/rtp.h"

static struct takt_error e;
static struct takt_session session, back;

static bool are_same(const struct takt_session_packets *a, const struct takt_session_packets *b)
{
    const struct takt_codec_format *f = &a->format, *g = &b->format;
    return f->codec == g->codec && f->rate_hz == g->rate_hz && f->channels == g->channels &&
           f->frames == g->frames && f->bit_rate == g->bit_rate && f->fec == g->fec &&
           f->low_delay == g->low_delay && a->payload_type == b->payload_type &&
           a->red_type == b->red_type && a->capture_id == b->capture_id &&
           a->note_id == b->note_id && a->repair_type == b->repair_type;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static struct takt_session found;
    static char text[1 << 14];
    struct takt_session_packets p;
    char line[TAKT_SESSION_LINE_MAX];
    if (takt_session_described((const char *)in, bytes, &p) == 0) {
        int n = takt_session_describe(&p, line, sizeof line);
        struct takt_session_packets again;
        TAKT_ASSERT(n > 0 && takt_session_described(line, (size_t)n, &again) == 0);
        TAKT_ASSERT(are_same(&p, &again));
    }
    int heard = takt_session_heard(in, bytes, 7, &p);
    TAKT_ASSERT(heard <= 1);
    if (takt_session_parse_sdp((const char *)in, bytes, &found, &e) == 0) {
        TAKT_ASSERT(found.port > 0 && takt_codec_name(found.packets.format.codec));
        if (takt_session_write_sdp(&found, text, sizeof text, &e) > 0)
            TAKT_ASSERT(takt_session_parse_sdp(text, strlen(text), &back, &e) == 0);
    }
    return 0;
}

static uint32_t pick(struct takt_random *r, const uint32_t *from, uint32_t count)
{
    return from[takt_random_below(r, count)];
}

static struct takt_codec_format random_format(struct takt_random *r)
{
    static const uint32_t rates[] = {8000, 16000, 44100, 48000, 88200, 96000, 192000};
    static const uint32_t opus_frames[] = {120, 240, 480, 960};
    struct takt_codec_format f = {.codec = (enum takt_codec)takt_random_below(r, TAKT_CODECS)};
    if (f.codec == TAKT_CODEC_OPUS) {
        f.rate_hz = 48000;
        f.channels = 1 + (uint32_t)takt_random_below(r, 2);
        f.frames = pick(r, opus_frames, 4);
        f.bit_rate = takt_random_below(r, 2) ? 6000 + (uint32_t)takt_random_below(r, 504000) : 0;
        f.fec = takt_random_below(r, 2);
    } else {
        f.rate_hz = pick(r, rates, 7);
        f.channels = 1 + (uint32_t)takt_random_below(r, TAKT_CODEC_CHANNELS_MAX);
        f.frames = 1 + (uint32_t)takt_random_below(r, 2000);
    }
    return f;
}

static struct takt_session_packets random_packets(struct takt_random *r)
{
    struct takt_session_packets p = {.format = random_format(r)};
    p.payload_type = (uint8_t)(96 + takt_random_below(r, 16));
    p.red_type = takt_random_below(r, 2) ? (uint8_t)(112 + takt_random_below(r, 16)) : 0;
    p.capture_id = (uint8_t)takt_random_below(r, 14);
    p.note_id = takt_random_below(r, 2) ? (uint8_t)(14 + takt_random_below(r, 242)) : 0;
    return p;
}

/* ---- The line ----------------------------------------------------------------------------------
 */

static void line_comes_back(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int i = 0; i < ROUNDS(5000); i++) {
        struct takt_session_packets p = random_packets(&r), q;
        char line[TAKT_SESSION_LINE_MAX];
        p.format.low_delay = takt_random_below(&r, 2);
        p.repair_type = (uint8_t)takt_random_below(&r, 128);
        int n = takt_session_describe(&p, line, sizeof line);
        CHECK(n > 0 && strlen(line) == (size_t)n);
        CHECK_INT(takt_session_described((const char *)edge_put(line, (size_t)n), (size_t)n, &q),
                  0);
        CHECK(are_same(&p, &q));
        for (size_t room = 0; room <= (size_t)n; room++)
            CHECK_INT(takt_session_describe(&p, line, room), TAKT_ERR_FULL);
    }
}

/* The longest there can be leaves room for what a later takt may add. */
static void longest_line_fits_its_item(void)
{
    struct takt_session_packets p = {
        .format = {.codec = TAKT_CODEC_F32,
                   .rate_hz = 999999,
                   .channels = TAKT_CODEC_CHANNELS_MAX,
                   .frames = TAKT_CODEC_FRAMES_MAX,
                   .bit_rate = UINT32_MAX,
                   .low_delay = true,
                   .fec = true},
        .payload_type = 127,
        .red_type = 126,
        .capture_id = 255,
        .note_id = 254,
        .repair_type = 125,
    };
    char line[TAKT_SESSION_LINE_MAX];
    int n = takt_session_describe(&p, line, sizeof line);
    CHECK(n > 0 && n < TAKT_SESSION_LINE_MAX - 64);
    struct takt_rtcp_item item = {.ssrc = 1,
                                  .type = TAKT_RTCP_PRIV,
                                  .prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1,
                                  .bytes = TAKT_SESSION_LINE_MAX - 1,
                                  .prefix = TAKT_SESSION_PREFIX};
    char longest[TAKT_SESSION_LINE_MAX];
    memset(longest, 'x', sizeof longest);
    item.text = longest;
    uint8_t out[512];
    CHECK(takt_rtcp_write_sdes(&item, 1, out, sizeof out) > 0);
}

static int described(const char *line, struct takt_session_packets *out)
{
    size_t n = strlen(line);
    return takt_session_described((const char *)edge_put(line, n), n, out);
}

static void line_with_unknown_words_is_read(void)
{
    struct takt_session_packets p;
    CHECK_INT(described("1 new=x codec=L24 =  rate=48000 odd channels=2 =7 type=96 later=9", &p),
              0);
    CHECK(p.format.codec == TAKT_CODEC_L24 && p.format.rate_hz == 48000);
    CHECK(p.format.channels == 2 && p.format.frames == 0 && p.payload_type == 96);
}

static void line_that_says_too_little_or_too_much_is_refused(void)
{
    struct takt_session_packets p;
    static const char *const wrong[] = {
        "",
        "1",
        " 1 codec=L24 rate=48000 channels=2",
        "0 codec=L24 rate=48000 channels=2",
        "x codec=L24 rate=48000 channels=2",
        "1 rate=48000 channels=2",
        "1 codec=L24 channels=2",
        "1 codec=L24 rate=48000",
        "1 codec=L24 rate=48000 channels=65",
        "1 codec=L24 rate=48000 channels=2 type=128",
        "1 codec=L24 rate=48000 channels=2 note=256",
        "1 codec=L24 rate=48000 channels=2 frames=",
        "1 codec=L24 rate=48000 channels=-2",
        "1 codec=L24 rate=99999999999999999999999 channels=2",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(described(wrong[i], &p), TAKT_ERR_FORMAT);
    CHECK_INT(described("2 codec=L24 rate=48000 channels=2", &p), TAKT_ERR_UNSUPPORTED);
    CHECK_INT(described("1 codec=mp3 rate=48000 channels=2", &p), TAKT_ERR_UNSUPPORTED);
}

/* ---- SDP ---------------------------------------------------------------------------------------
 */

static void random_session(struct takt_random *r, struct takt_session *s)
{
    memset(s, 0, sizeof *s);
    s->packets = random_packets(r);
    s->id = takt_random_u64(r);
    s->version = takt_random_u64(r);
    snprintf(s->name, sizeof s->name, "stream %u", (unsigned)takt_random_below(r, 1000));
    s->origin = (struct takt_sdp_address){.family = 4, .host = "192.0.2.1", .count = 1};
    if (takt_random_below(r, 2))
        s->address = (struct takt_sdp_address){.family = 4,
                                               .host = "239.1.2.3",
                                               .count = 1,
                                               .ttl = (uint8_t)takt_random_below(r, 256)};
    else
        s->address = (struct takt_sdp_address){.family = 6, .host = "2001:db8::7", .count = 1};
    s->port = (uint16_t)(1 + takt_random_below(r, 65535));
    s->rtcp_port = takt_random_below(r, 2) ? 4000 : 0;
    s->has_rtcp_mux = takt_random_below(r, 2);
    if (takt_random_below(r, 2))
        strcpy(s->source, "192.0.2.1");
    s->is_secure = takt_random_below(r, 2);
    s->has_key = s->is_secure && takt_random_below(r, 2);
    if (!s->has_key)
        return;
    s->suite = (enum takt_srtp_suite)takt_random_below(r, TAKT_SRTP_SUITES);
    s->mki_bytes = (uint32_t)takt_random_below(r, 5);
    if (s->mki_bytes)
        s->key.mki = (uint32_t)takt_random_u64(r) >> (32 - 8 * s->mki_bytes);
    for (size_t i = 0; i < takt_srtp_key_bytes(s->suite); i++)
        s->key.key[i] = (uint8_t)takt_random_u64(r);
    for (size_t i = 0; i < takt_srtp_salt_bytes(s->suite); i++)
        s->key.salt[i] = (uint8_t)takt_random_u64(r);
}

static void description_comes_back(void)
{
    static char text[1 << 13];
    struct takt_random r = takt_random_seed(2);
    for (int i = 0; i < ROUNDS(5000); i++) {
        random_session(&r, &session);
        int n = takt_session_write_sdp(&session, text, sizeof text, &e);
        CHECK(n > 0 && strlen(text) == (size_t)n);
        const char *at = (const char *)edge_put(text, (size_t)n);
        CHECK_INT(takt_session_parse_sdp(at, (size_t)n, &back, &e), 0);
        CHECK(are_same(&session.packets, &back.packets));
        CHECK(session.id == back.id && session.version == back.version);
        CHECK(!strcmp(session.name, back.name) && session.port == back.port);
        CHECK(session.address.family == back.address.family);
        CHECK(!strcmp(session.address.host, back.address.host));
        CHECK(session.address.ttl == back.address.ttl);
        CHECK(session.rtcp_port == back.rtcp_port && session.has_rtcp_mux == back.has_rtcp_mux);
        CHECK(!strcmp(session.source, back.source));
        CHECK(session.is_secure == back.is_secure && session.has_key == back.has_key);
        CHECK(session.suite == back.suite && session.mki_bytes == back.mki_bytes);
        CHECK(!memcmp(&session.key, &back.key, sizeof session.key));
    }
}

static void stream_without_words_in_sdp_is_refused(void)
{
    static char text[1 << 13];
    struct takt_session good = {
        .packets = {.format = {.codec = TAKT_CODEC_L24, .rate_hz = 48000, .channels = 2},
                    .payload_type = 96},
        .address = {.family = 4, .host = "127.0.0.1"},
        .port = 5004,
    };
    CHECK(takt_session_write_sdp(&good, text, sizeof text, &e) > 0);
    for (int i = 0; i < 7; i++) {
        struct takt_session s = good;
        struct takt_codec_format *f = &s.packets.format;
        f->rate_hz = i == 0 ? 0 : f->rate_hz;
        f->channels = i == 1 ? 0 : i == 2 ? 1000 : i == 3 ? 3 : f->channels;
        f->codec = i == 3 ? TAKT_CODEC_OPUS : i == 4 ? (enum takt_codec)77 : f->codec;
        s.has_key = i == 5;
        s.suite = i == 5 ? (enum takt_srtp_suite)9 : s.suite;
        if (i == 6)
            strcpy(s.address.host, "a b\r\nm=audio");
        CHECK_INT(takt_session_write_sdp(&s, text, sizeof text, &e), TAKT_ERR_ARG);
        CHECK(e.text[0]);
    }
    CHECK_INT(takt_session_write_sdp(&good, text, 40, &e), TAKT_ERR_FULL);
}

/* What other programs and RFC 7587 look for. */
static void opus_is_told_as_its_rfc_has_it(void)
{
    static char text[1 << 13];
    struct takt_session s = {
        .packets = {.format = {.codec = TAKT_CODEC_OPUS,
                               .rate_hz = 16000,
                               .channels = 1,
                               .frames = 40,
                               .fec = true},
                    .payload_type = 97},
        .address = {.family = 4, .host = "127.0.0.1"},
        .port = 5004,
    };
    CHECK(takt_session_write_sdp(&s, text, sizeof text, &e) > 0);
    CHECK(strstr(text, "m=audio 5004 RTP/AVP 97\r\n"));
    CHECK(strstr(text, "a=rtpmap:97 opus/48000/2\r\n"));
    CHECK(strstr(text, "a=ptime:3\r\n") && strstr(text, "a=maxptime:3\r\n"));
    CHECK(strstr(text, "a=fmtp:97 sprop-stereo=0;stereo=0;minptime=3;useinbandfec=1\r\n"));
    CHECK_INT(takt_session_parse_sdp(text, strlen(text), &back, &e), 0);
    CHECK(back.packets.format.frames == 120 && back.packets.format.rate_hz == 48000);
}

static int parse(const char *text)
{
    size_t n = strlen(text);
    return takt_session_parse_sdp((const char *)edge_put(text, n), n, &back, &e);
}

static bool plays(enum takt_codec codec, uint32_t rate_hz, uint32_t channels, uint32_t frames,
                  uint8_t payload_type)
{
    const struct takt_session_packets *p = &back.packets;
    return p->format.codec == codec && p->format.rate_hz == rate_hz &&
           p->format.channels == channels && p->format.frames == frames &&
           p->payload_type == payload_type;
}

static void descriptions_of_ffmpeg_are_read(void)
{
    CHECK_INT(parse("SDP:\nv=0\n"), TAKT_ERR_FORMAT); /* its heading is not part of it */
    CHECK_INT(
        parse("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
              "a=tool:libavformat 59.27.100\r\nm=audio 5004 RTP/AVP 97\r\nb=AS:1536\r\n"
              "a=rtpmap:97 L16/48000/2\r\n"),
        0);
    CHECK(plays(TAKT_CODEC_L16, 48000, 2, 0, 97) && back.port == 5004);
    CHECK(!strcmp(back.address.host, "127.0.0.1") && !back.is_secure);
    CHECK_INT(parse("v=0\r\no=- 0 0 IN IP6 ::1\r\ns=No Name\r\nc=IN IP6 ::1\r\nt=0 0\r\n"
                    "a=tool:libavformat 59.27.100\r\nm=audio 5006 RTP/AVP 97\r\nb=AS:96\r\n"
                    "a=rtpmap:97 opus/48000/2\r\na=fmtp:97 sprop-stereo=1\r\n"),
              0);
    CHECK(plays(TAKT_CODEC_OPUS, 48000, 2, 0, 97));
    /* L16 at 44100 Hz has a payload type of its own, and needs no line. */
    CHECK_INT(
        parse("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
              "m=audio 5004 RTP/AVP 10\r\nb=AS:1411\r\n"),
        0);
    CHECK(plays(TAKT_CODEC_L16, 44100, 2, 0, 10));
    CHECK_INT(
        parse("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
              "m=audio 5004 RTP/SAVP 97\r\na=rtpmap:97 L24/48000/2\r\n"
              "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
              "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"),
        0);
    CHECK(plays(TAKT_CODEC_L24, 48000, 2, 0, 97) && back.is_secure && back.has_key);
    CHECK(back.suite == TAKT_SRTP_AES_128_SHA1_80);
    CHECK(!memcmp(back.key.key, "wDfvg&T+)xG7@fb5", 16));
    CHECK(!memcmp(back.key.salt, "jU,RaA}\\|p0%*#", 14));
    /* As it writes them itself for srtp://, without the S in the profile. */
    CHECK_INT(
        parse("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
              "a=tool:libavformat LIBAVFORMAT_VERSION\r\nm=audio 5004 RTP/AVP 97\r\nb=AS:1536\r\n"
              "a=rtpmap:97 L16/48000/2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
              "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"),
        0);
    CHECK(plays(TAKT_CODEC_L16, 48000, 2, 0, 97) && back.is_secure && back.has_key);
    CHECK(!memcmp(back.key.salt, "jU,RaA}\\|p0%*#", 14));
}

static void descriptions_of_gstreamer_are_read(void)
{
    CHECK_INT(
        parse("v=0\r\no=- 1188340656180883 1 IN IP4 192.168.1.5\r\ns=Session streamed by "
              "GStreamer\r\ni=rtsp-server\r\nt=0 0\r\na=tool:GStreamer\r\na=type:broadcast\r\n"
              "a=range:npt=now-\r\nm=audio 5000 RTP/AVP 96\r\nc=IN IP4 239.0.0.9/16\r\n"
              "b=AS:128\r\na=rtpmap:96 OPUS/48000/2\r\n"
              "a=fmtp:96 sprop-maxcapturerate=48000; sprop-stereo=0; usedtx=0\r\n"
              "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\r\n"
              "a=ts-refclk:local\r\na=mediaclk:sender\r\na=ptime:20\r\n"),
        0);
    CHECK(plays(TAKT_CODEC_OPUS, 48000, 1, 960, 96) && back.packets.capture_id == 3);
    CHECK(back.address.ttl == 16);
    CHECK_INT(parse("v=0\no=- 1 1 IN IP4 1.2.3.4\ns=x\nt=0 0\nc=IN IP4 1.2.3.4\n"
                    "m=audio 5002 RTP/AVPF 98 97 96\na=rtpmap:96 L24/96000/6\na=ptime:1\n"
                    "a=fmtp:96 channel-order=SMPTE2110.(51)\na=rtpmap:97 MP4A-LATM/48000/2\n"
                    "a=rtpmap:98 rtx/96000\na=fmtp:98 apt=96\n"),
              0);
    CHECK(plays(TAKT_CODEC_L24, 96000, 6, 96, 96));
}

static void descriptions_of_aes67_devices_are_read(void)
{
    static const struct {
        const char *ptime;
        uint32_t rate_hz, frames;
    } times[] = {
        {"0.125", 48000, 6}, {"0.12", 48000, 6},  {"0.33", 48000, 16},   {"0.333", 48000, 16},
        {"1", 48000, 48},    {"1.09", 44100, 48}, {"1.0884", 44100, 48}, {"0.25", 96000, 24},
        {"4", 48000, 192},   {"0.08", 96000, 8},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "v=0\r\no=- 1311738121 1311738121 IN IP4 192.168.1.1\r\ns=Stage left\r\n"
            "c=IN IP4 239.0.0.1/32\r\nt=0 0\r\na=keywds:Dante\r\n"
            "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37\r\n"
            "m=audio 5004 RTP/AVP 98\r\ni=2 channels: Left, Right\r\n"
            "a=rtpmap:98 L24/%u/2\r\na=recvonly\r\na=ptime:%s\r\na=mediaclk:direct=963214424\r\n"
            "a=source-filter: incl IN IP4 239.0.0.1 192.168.1.1\r\n",
            times[i].rate_hz, times[i].ptime);
        CHECK_INT(parse(text), 0);
        CHECK(plays(TAKT_CODEC_L24, times[i].rate_hz, 2, times[i].frames, 98));
        CHECK(!strcmp(back.source, "192.168.1.1") && !strcmp(back.name, "Stage left"));
    }
}

static void red_is_found_by_what_it_copies(void)
{
    static const char head[] =
        "v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 121 96 120\na=rtpmap:96 L16/48000\n"
        "a=rtpmap:120 RED/48000\na=rtpmap:121 red/8000\n";
    char text[512];
    snprintf(text, sizeof text, "%sa=fmtp:121 0/5\na=fmtp:120 96/96\n", head);
    CHECK_INT(parse(text), 0);
    CHECK(plays(TAKT_CODEC_L16, 48000, 1, 0, 96) && back.packets.red_type == 120);
    snprintf(text, sizeof text, "%sa=fmtp:121 0/5\na=fmtp:120 5/96\n", head);
    CHECK_INT(parse(text), 0);
    CHECK_INT(back.packets.red_type, 0);
}

/* The line says what there was, so that one knows whom to tell. */
static void what_cannot_be_played_is_refused_by_name(void)
{
    CHECK_INT(parse("v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 0"), TAKT_ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "PCMU"));
    CHECK_INT(parse("v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 99"), TAKT_ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "99"));
    CHECK_INT(parse("v=0\nc=IN IP4 h\nm=audio 0 RTP/AVP 10"), TAKT_ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "off"));
    CHECK_INT(parse("v=0\nc=IN IP4 h\na=inactive\nm=audio 9 RTP/AVP 10"), TAKT_ERR_UNSUPPORTED);
    CHECK_INT(parse("v=0\nc=IN IP4 h\nm=audio 9 RTP/SAVP 10\na=crypto:1 F8_128_HMAC_SHA1_80 "
                    "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"),
              TAKT_ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "F8_128"));
    CHECK(!back.has_key);
    /* Later sound, and a later key, are taken instead. */
    CHECK_INT(
        parse("v=0\nc=IN IP4 h\nm=audio 9 RTP/AVP 0\nm=audio 11 RTP/SAVP 10\n"
              "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\na=crypto:2 AES_CM_128_HMAC_SHA1_32 "
              "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"),
        0);
    CHECK(back.port == 11 && back.has_key && back.suite == TAKT_SRTP_AES_128_SHA1_32);
}

static void hostile_text_is_borne(void)
{
    static char text[1 << 10];
    static uint8_t sdes[512];
    struct takt_random r = takt_random_seed(3);
    do
        random_session(&r, &session);
    while (!session.has_key || session.packets.format.codec != TAKT_CODEC_OPUS);
    int n = takt_session_write_sdp(&session, text, sizeof text, &e);
    char line[TAKT_SESSION_LINE_MAX];
    int m = takt_session_describe(&session.packets, line, sizeof line);
    struct takt_rtcp_item item = {.ssrc = 7,
                                  .type = TAKT_RTCP_PRIV,
                                  .prefix_bytes = 4,
                                  .bytes = (uint8_t)m,
                                  .prefix = TAKT_SESSION_PREFIX,
                                  .text = line};
    int k = takt_rtcp_write_sdes(&item, 1, sdes, sizeof sdes);
    CHECK(n > 0 && n <= HOSTILE_MAX / 2 && m > 0 && k > 0);
    struct takt_session_packets p;
    CHECK_INT(takt_session_heard(sdes, (size_t)k, 7, &p), 1);
    CHECK(are_same(&session.packets, &p));
    CHECK_INT(takt_session_heard(sdes, (size_t)k, 8, &p), 0);
    hostile_cuts(line, (size_t)m);
    hostile_cuts(sdes, (size_t)k);
    hostile_cuts(text, (size_t)n);
    const struct hostile_seed seeds[] = {
        {line, (size_t)m}, {sdes, (size_t)k}, {text, (size_t)n}, {text, (size_t)n}};
    hostile_rounds(seeds, 4, 60000);
}

int main(void)
{
    RUN(line_comes_back);
    RUN(longest_line_fits_its_item);
    RUN(line_with_unknown_words_is_read);
    RUN(line_that_says_too_little_or_too_much_is_refused);
    RUN(description_comes_back);
    RUN(stream_without_words_in_sdp_is_refused);
    RUN(opus_is_told_as_its_rfc_has_it);
    RUN(descriptions_of_ffmpeg_are_read);
    RUN(descriptions_of_gstreamer_are_read);
    RUN(descriptions_of_aes67_devices_are_read);
    RUN(red_is_found_by_what_it_copies);
    RUN(what_cannot_be_played_is_refused_by_name);
    RUN(hostile_text_is_borne);
    return tap_done();
}
