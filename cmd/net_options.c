#include "net_options.h"

#include "options.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* "12ms" or "0.012s"; a bare number is of milliseconds where `bare` says so, as for packets. */
static bool read_ms(const char *text, bool bare, double low, double high, double *ms)
{
    char number[24];
    size_t length = strlen(text);
    bool is_ms = length > 2 && !strcmp(text + length - 2, "ms");
    bool is_s = !is_ms && length > 1 && text[length - 1] == 's';
    length -= is_ms ? 2 : is_s ? 1 : 0;
    snprintf(number, sizeof number, "%.*s", (int)length, text);
    if ((!is_ms && !is_s && !bare) || length >= sizeof number || strchr(number, 's') ||
        !read_seconds(number, 0, 1e9, ms))
        return false;
    *ms *= is_s ? 1e3 : 1;
    return *ms >= low && *ms <= high;
}

/* "96k" and "96000". */
static bool read_bits(const char *text, uint32_t *bits)
{
    char number[16];
    uint64_t n;
    size_t length = strlen(text);
    bool is_kilo = length > 1 && (text[length - 1] == 'k' || text[length - 1] == 'K');
    length -= is_kilo;
    snprintf(number, sizeof number, "%.*s", (int)length, text);
    if (length >= sizeof number || !read_whole(number, 1, 510000, &n))
        return false;
    n *= is_kilo ? 1000 : 1;
    *bits = (uint32_t)n;
    return n >= 6000 && n <= 510000;
}

/* "0.3%" and "0.003". */
static bool read_share(const char *text, double low, double high, double *share)
{
    char number[24];
    size_t length = strlen(text);
    bool is_percent = length > 1 && text[length - 1] == '%';
    length -= is_percent;
    snprintf(number, sizeof number, "%.*s", (int)length, text);
    if (length >= sizeof number || strchr(number, 's') || !read_seconds(number, 0, 100, share))
        return false;
    *share /= is_percent ? 100 : 1;
    /* 0.3 for 0.3% would be a hundred times as much. */
    return *share >= low && *share <= (is_percent ? high : fmin(high, 0.05));
}

static int take_codec(struct options *o, const char *name, const char *v)
{
    static const char *const codecs[] = {"L16", "L24", "opus", "x-f32", NULL};
    for (const char *const *c = codecs; *c; c++)
        if (!strcasecmp(*c, v)) {
            o->net.codec = *c;
            return 0;
        }
    return option_bad(o, name, v, "not one of L16, L24, opus, x-f32");
}

static int take_red(struct options *o, const char *name, const char *v)
{
    uint64_t n = 0;
    bool is_auto = !strcmp(v, "auto"), is_off = !strcmp(v, "off");
    if (!is_auto && !is_off && !read_whole(v, 1, 3, &n))
        return option_bad(o, name, v, "not auto, off or a number of packets from 1 to 3");
    o->net.copies = is_auto ? TAKT_SEND_AUTO : is_off ? TAKT_SEND_OFF : TAKT_SEND_FIXED;
    o->net.copies_fixed = (uint32_t)n;
    return 0;
}

/* "8+2": of 8 packets 2 repair packets. */
static int take_repair(struct options *o, const char *name, const char *v)
{
    char data[8];
    uint64_t k = 0, m = 0;
    size_t length = strcspn(v, "+");
    bool is_auto = !strcmp(v, "auto"), is_off = !strcmp(v, "off");
    snprintf(data, sizeof data, "%.*s", (int)length, v);
    if (!is_auto && !is_off &&
        (length >= sizeof data || !v[length] || !read_whole(data, 1, 32, &k) ||
         !read_whole(v + length + 1, 1, 12, &m)))
        return option_bad(o, name, v,
                          "not auto, off or K+M, K up to 32 and M up to 12; try 8+2: of each 8 "
                          "packets 2 more");
    o->net.repair = is_auto ? TAKT_SEND_AUTO : is_off ? TAKT_SEND_OFF : TAKT_SEND_FIXED;
    o->net.repair_data = (uint32_t)k;
    o->net.repair_fixed = (uint32_t)m;
    return 0;
}

static int take_dscp(struct options *o, const char *name, const char *v)
{
    uint64_t n = 0;
    bool is_off = !strcmp(v, "off");
    if (!is_off && !read_whole(v, 1, 63, &n))
        return option_bad(o, name, v, "not off or a whole number from 1 to 63; try 46");
    o->net.dscp = is_off ? -1 : (int)n;
    return 0;
}

static int take_raw(struct options *o, const char *name, const char *v)
{
    enum takt_sample format = takt_sample_from_name(v);
    if (format != TAKT_F32 && format != TAKT_S16 && format != TAKT_S24)
        return option_bad(o, name, v, "not one of f32, s16, s24");
    o->net.raw = format;
    return 0;
}

static int take_format(struct options *o, const char *name, const char *v)
{
    struct net_options *n = &o->net;
    if (!*v || !strchr(v, '=') || !strchr(v, '/'))
        return option_bad(o, name, v,
                          "not a payload type and what it is; try 97=L24/48000/2, as in a=rtpmap");
    if (n->formats_count == TAKT_RECV_FORMATS_MAX)
        return complain(o, EXIT_USAGE, "%s: more than %d of them", name, TAKT_RECV_FORMATS_MAX);
    n->formats[n->formats_count++] = v;
    return 0;
}

static int take_text(struct options *o, const char *name, const char *v, const char **to)
{
    if (!*v)
        return complain(o, EXIT_USAGE, "%s: it is empty", name);
    for (const char *c = v; *c; c++)
        if (iscntrl((unsigned char)*c))
            return complain(o, EXIT_USAGE, "%s: there is a line break or the like in it", name);
    *to = v;
    return 0;
}

static bool take_flag(struct net_options *n, const char *key)
{
    bool *const flags[] = {&n->low_delay, &n->no_fec, &n->passphrase, &n->plain, &n->bare,
                           &n->sdes,      &n->sap,    &n->mux,        &n->silent};
    static const char *const keys[] = {"low-delay", "no-fec", "passphrase", "plain", "bare",
                                       "sdes",      "sap",    "mux",        "silent"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i]))
            return *flags[i] = true;
    return false;
}

static const char **text_of(struct net_options *n, const char *key)
{
    const char **const texts[] = {&n->key_file, &n->passphrase_file, &n->sdp, &n->name,
                                  &n->from,     &n->sender};
    static const char *const keys[] = {"key-file", "passphrase-file", "sdp", "name",
                                       "from",     "sender"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i]))
            return texts[i];
    return NULL;
}

static int take_number(struct options *o, const char *key, const char *name, const char *v,
                       bool *is_mine)
{
    struct net_options *n = &o->net;
    uint64_t whole = 0;
    if (!strcmp(key, "ptime")) {
        if (!read_ms(v, true, 0.01, 100, &n->packet_ms))
            return option_bad(o, name, v, "not a number of ms up to 100; try 1, or 10 for opus");
    } else if (!strcmp(key, "bitrate")) {
        if (!read_bits(v, &n->bit_rate))
            return option_bad(o, name, v, "not a number of bits a second from 6k to 510k; try 96k");
    } else if (!strcmp(key, "rotate")) {
        if (!read_seconds(v, 1, 86400, &n->rotate_s))
            return option_bad(o, name, v, "not a number of seconds from 1 to 86400; try 600");
    } else if (!strcmp(key, "ttl")) {
        if (!read_whole(v, 1, 255, &whole))
            return option_bad(o, name, v, "not a whole number from 1 to 255; try 16");
        n->hops = (uint32_t)whole;
    } else if (!strcmp(key, "mix")) {
        if (!read_whole(v, 1, TAKT_RECV_SOURCES_MAX, &whole))
            return option_bad(o, name, v, "not a whole number of senders from 1 to 16; try 4");
        n->sources_max = (uint32_t)whole;
    } else if (!strcmp(key, "late")) {
        if (!read_share(v, 0.00001, 0.5, &n->late_ratio))
            return option_bad(o, name, v,
                              "not a share from 0.001% to 50%; try 0.3%, which is 0.003");
    } else if (!strcmp(key, "max-latency")) {
        if (!read_ms(v, false, 1, 2000, &n->latency_ms_max))
            return option_bad(o, name, v, "not a time from 1ms to 2s; try 200ms");
    } else {
        *is_mine = false;
    }
    return 0;
}

int net_option_take(struct options *o, const char *key, const char *name, const char *v,
                    bool *is_mine)
{
    struct net_options *n = &o->net;
    bool is_recv = !strcmp(o->verb, "recv");
    const char **text = text_of(n, key);
    *is_mine = true;
    if (text)
        return take_text(o, name, v, text);
    if (take_flag(n, key))
        return 0;
    if (!strcmp(key, "codec"))
        return take_codec(o, name, v);
    if (!strcmp(key, "red"))
        return take_red(o, name, v);
    if (!strcmp(key, "repair"))
        return take_repair(o, name, v);
    if (!strcmp(key, "dscp"))
        return take_dscp(o, name, v);
    if (!strcmp(key, "raw"))
        return take_raw(o, name, v);
    if (!strcmp(key, "format") && is_recv)
        return take_format(o, name, v);
    if (!strcmp(key, "latency") && is_recv)
        return read_ms(v, false, 0.1, 2000, &n->latency_ms)
                   ? 0
                   : option_bad(o, name, v, "not a time from 0.1ms to 2s; try 12ms");
    return take_number(o, key, name, v, is_mine);
}

int net_key_read(const struct options *o, struct takt_key *key, bool *has_key)
{
    const struct net_options *n = &o->net;
    struct takt_error e;
    const char *const names[] = {"--key-file", "--passphrase-file", "--passphrase", "--sdes",
                                 "--plain"};
    const bool given[] = {n->key_file, n->passphrase_file, n->passphrase, n->sdes, n->plain};
    for (size_t i = 0, first = 5; i < 5; i++) {
        if (given[i] && first < 5)
            return complain(o, EXIT_USAGE, "%s and %s: only one of them", names[first], names[i]);
        first = given[i] && first == 5 ? i : first;
    }
    *has_key = given[0] || given[1] || given[2];
    if (!*has_key)
        return 0;
    int err = n->key_file ? takt_key_read(n->key_file, key, &e)
                          : takt_key_read_passphrase(n->passphrase_file, key, &e);
    return err < 0 ? complain(o, err == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text) : 0;
}
