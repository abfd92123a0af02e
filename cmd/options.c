#include "options.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct option_info option_infos[] = {
    {"-i, --in", "SOURCE", "where sound comes from: a device or a recording"},
    {"-o, --out", "SINK", "where sound goes to"},
    {"-r, --rate", "HZ", "frames a second, 8000 to 384000"},
    {"-b, --block", "FRAMES", "frames a callback carries, 1 to 16384"},
    {"-c, --channels", "N", "channels, 1 to 64"},
    {"-t, --time", "SECONDS", "end by itself after so long"},
    {"-f, --format", "FORMAT", "of a recording: s16, s24, s32, f32 or u8"},
    {"--buffer", "SECONDS", "how long the disk may stall; 8 by default"},
    {"--latency", "L", "low, high, or seconds"},
    {"--blocks", "LIST", "block sizes to compare, as in 64,256"},
    {"--load", "SHARE", "use up so much of each block's time, as in 30%"},
    {"--size", "FRAMES", "of each window, a power of two; 2048 by default"},
    {"--hop", "FRAMES", "from window to window; or their overlap, as in 75%"},
    {"--window", "SHAPE", "hann, kaiser, flat-top, ...; hann by default"},
    {"--scale", "SCALE", "of frequencies: log or linear"},
    {"--range", "DB", "from the bottom to the top, 10 to 200; 80 by default"},
    {"--bands", "WIDTH", "third or octave: levels of such bands, too"},
    {"--bins", "N", "so many levels over the scale in each JSON line"},
    {"--average", "OF", "max, mean, or seconds to fade in; none by default"},
    {"--png", "FILE", "keep a picture there: spectrogram and spectrum"},
    {"--mode", "MODE", "which meter is shown"},
    {"--target", "LUFS", "loudness to aim at; -23 by default"},
    {"--html", "FILE", "keep a page with the picture there"},
    {"--no-html", NULL, "keep no picture"},
    {"--a4", "HZ", "what A4 shall be, 380 to 480; 440 by default"},
    {"--instrument", "NAME", "name its nearest string: guitar, ...; list tells all"},
    {"--notes", "LIST", "the same for strings of your own, as in D2,A2,D3"},
    {"--strum", NULL, "tell of all strings, struck at once"},
    {"--flats", NULL, "name notes by flats: Bb, not A#"},
    {"--calibrate", "PPM", "the sound card's clock is so much fast"},
    {"--dither", NULL, "triangular dither where a recording loses bits"},
    {"--fade", "MS", "fade around a gap, up to 50, or off; 2 by default"},
    {"--bypass", "WITH", "silence or dry, instead of effects that overrun"},
    {"--on-voice", NULL, "record only while somebody speaks"},
    {"--wait", "SECONDS", "for a pipe's program to finish; 10 by default"},
    {"--fast", NULL, "on a virtual clock: fast, and alike on every run"},
    {"--seed", "N", "of all chance in sim: and dither; 1 by default"},
    {"--hours", "H", "so many hours of virtual time; 1 by default"},
    {"--scenario", "N", "this scenario alone, counted from 0"},
    {"--priority", "P", "real-time priority 1 to 98, or off; 70 by default"},
    {"--codec", "NAME", "L16, L24, opus or x-f32; L24 by default"},
    {"--ptime", "MS", "sound in each packet; else a block, of opus 10"},
    {"--bitrate", "BITS", "of opus, a second, as in 96k"},
    {"--low-delay", NULL, "of opus: 4 ms less, and no coarse copies"},
    {"--no-fec", NULL, "of opus: no coarse copy in the next packet"},
    {"--red", "DEPTH", "older packets in each: auto, off or 1 to 3"},
    {"--repair", "DEPTH", "auto, off, or K+M: M packets more for each K"},
    {"--key-file", "FILE", "encrypt with this key, as both sides must"},
    {"--passphrase-file", "FILE", "with the passphrase that is its first line"},
    {"--passphrase", NULL, "with that of the environment's TAKT_PASSPHRASE"},
    {"--rotate", "SECONDS", "a new key of it so often; 3600 by default"},
    {"--plain", NULL, "without a key, beyond this machine, too"},
    {"--bare", NULL, "leave out what programs other than takt may not take"},
    {"--sdp", "FILE", "session description: send writes it, recv reads it"},
    {"--sdes", NULL, "a new key, in the --sdp, for other programs"},
    {"--sap", NULL, "announce it to programs that listen for that"},
    {"--name", "NAME", "of the session"},
    {"--from", "ADDRESS", "and port to send from, as in 192.0.2.1:6000"},
    {"--mux", NULL, "everything to one port"},
    {"--ttl", "N", "so many networks far, 1 to 255"},
    {"--dscp", "N", "class of its packets, 1 to 63, or off; 46 by default"},
    {"--format", "MAP", "what packets are, as in 97=L24/48000/2"},
    {"--mix", "N", "hear so many senders at once; 1 by default"},
    {"--late", "SHARE", "of packets that may be late, as in 0.3%"},
    {"--latency", "TIME", "hold packets for so long, as in 12ms; else learned"},
    {"--max-latency", "TIME", "never hold them longer, as in 200ms"},
    {"--sender", "HOST", "of a group, hear this host alone"},
    {"--silent", NULL, "send no reports"},
    {"--raw", "FORMAT", "of frames at -: f32, s16 or s24; f32 by default"},
    {"-w, --watch", NULL, "go on, and tell of every change"},
    {"--json", NULL, "JSON lines on stdout; the last one is the summary"},
    {"--strict", NULL, "exit with 3 on a broken contract or serious finding"},
    {"-q, --quiet", NULL, "no live view, and no summary but with --json"},
    {"-v, --verbose", NULL, "say what was granted and what happened"},
    {"-h, --help", NULL, "show help and end"},
    {NULL, NULL, NULL},
};

void make_printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        bool is_c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* the same, in UTF-8 */
        if (*c < 0x20 || *c == 0x7f || is_c1)
            *c = '?';
        if (is_c1)
            *++c = '?';
    }
}

int complain(const struct options *o, int status, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_printable(text);
    fprintf(stderr, "takt: %s%s%s\n", o->verb ? o->verb : "", o->verb ? ": " : "", text);
    return status;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

bool read_whole(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (const char *c = text; *c; c++) {
        if (!isdigit((unsigned char)*c) || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(*c - '0');
    }
    *out = value;
    return value >= low && value <= high;
}

bool read_seconds(const char *text, double low, double high, double *out)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    if (strpbrk(text, "xXpP"))
        return false; /* strtod would take hexadecimal */
    *out = strtod(text, &end);
    if (*end == 's' && end != text)
        end++;
    return end != text && !*end && *out >= low && *out <= high;
}

/* A number, with or without a sign before it and a unit behind it. */
static bool read_number(const char *text, const char *unit, double low, double high, double *out)
{
    char *end;
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    const char *behind = text + strspn(text, "+-.0123456789eE"); /* so nothing hexadecimal */
    if ((!isdigit((unsigned char)*digits) && *digits != '.') ||
        (*behind && strcasecmp(behind, unit) != 0))
        return false;
    *out = strtod(text, &end);
    return end == behind && isfinite(*out) && *out >= low && *out <= high;
}

bool read_db(const char *text, double *db)
{
    return read_number(text, "dB", -200, 100, db);
}

/* ---- Near misses ----------------------------------------------------------------------------- */

/* How many letters have to change, be added or be dropped (Levenshtein). */
static int distance(const char *a, const char *b)
{
    int row[32];
    size_t n = strlen(b);
    if (n >= 32 || strlen(a) >= 32)
        return 99;
    for (size_t j = 0; j <= n; j++)
        row[j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int above = row[j];
            int best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[n];
}

const char *nearest(const char *text, const char *const *words)
{
    const char *best = NULL;
    int least = 3;
    for (; *words; words++) {
        int d = distance(text, *words);
        if (d < least && d < (int)strlen(*words)) {
            least = d;
            best = *words;
        }
    }
    return best;
}

/* ---- Options ----------------------------------------------------------------------------------
 */

/* Does this info go by that name? */
static bool has_name(const struct option_info *info, const char *name, size_t length)
{
    for (const char *n = info->names; *n; n += strspn(n, ", ")) {
        size_t l = strcspn(n, ",");
        if (l == length && !strncmp(n, name, length))
            return true;
        n += l;
    }
    return false;
}

enum {
    TIMEOUT_MS = 5000
}; /* for a server that has much to do; the library's 2000 is for programs
    whose user waits at a button */

/* The one that the verb takes, where it takes one of that name. */
static const struct option_info *find(const char *name, size_t length, const char *taken)
{
    const struct option_info *first = NULL;
    for (const struct option_info *i = option_infos; i->names; i++)
        if (has_name(i, name, length) && (!first || option_in(i, taken)))
            first = i;
    return first;
}

/* Without its value a name is that of the first option that has it. */
static bool is_first_of_its_name(const struct option_info *info, size_t length)
{
    for (const struct option_info *i = option_infos; i != info; i++)
        if (strcspn(i->names, ",") == length && !strncmp(i->names, info->names, length))
            return false;
    return true;
}

bool option_in(const struct option_info *info, const char *list)
{
    size_t length = strcspn(info->names, ",");
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t l = strcspn(at, " "), name = strcspn(at, " =");
        if (name == length && !strncmp(at, info->names, length)) {
            const char *value = at + name + 1;
            if (name == l ? is_first_of_its_name(info, length)
                          : info->value && strlen(info->value) == l - name - 1 &&
                                !strncmp(value, info->value, l - name - 1))
                return true;
        }
        at += l;
    }
    return false;
}

static int unknown_option(const struct options *o, const char *name)
{
    const char *longs[128];
    int n = 0;
    for (const struct option_info *i = option_infos; i->names && n < 127; i++)
        longs[n++] = strstr(i->names, "--");
    longs[n] = NULL;
    char bare[32];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(name, "="), name);
    const char *near = nearest(bare, longs);
    if (near)
        return complain(o, EXIT_USAGE, "%s: no such option; did you mean %s?", name, near);
    return complain(o, EXIT_USAGE, "%s: no such option; see takt %s --help", name,
                    o->verb ? o->verb : "");
}

int option_bad(const struct options *o, const char *name, const char *value, const char *want)
{
    return complain(o, EXIT_USAGE, "%s %s: %s", name, value, want);
}

static int take_latency(struct options *o, const char *name, const char *v)
{
    if (!strcmp(v, "low"))
        o->latency = TAKT_LATENCY_LOW;
    else if (!strcmp(v, "high"))
        o->latency = TAKT_LATENCY_HIGH;
    else if (read_seconds(v, 1e-4, 10, &o->latency_s))
        o->latency = TAKT_LATENCY_SECONDS;
    else
        return option_bad(o, name, v, "low, high or seconds up to 10; try 0.01");
    return 0;
}

/* "64,256": no size twice. They are kept in ascending order. */
static int take_blocks(struct options *o, const char *name, const char *v)
{
    const char *at = v;
    for (o->block_count = 0; o->block_count < BLOCKS_MAX; at++) {
        char number[16];
        uint64_t n;
        int length = (int)strcspn(at, ","), i = o->block_count;
        snprintf(number, sizeof number, "%.*s", length, at);
        if (length > 15 || !read_whole(number, 1, TAKT_BLOCK_FRAMES_MAX, &n))
            return option_bad(o, name, v,
                              "not whole numbers between 1 and 16384 with commas; try 64,256");
        for (; i > 0 && o->blocks[i - 1] > n; i--)
            o->blocks[i] = o->blocks[i - 1];
        if (i > 0 && o->blocks[i - 1] == n)
            return complain(o, EXIT_USAGE, "%s %s: %s is there twice", name, v, number);
        o->blocks[i] = (uint32_t)n;
        o->block_count++;
        at += length;
        if (!*at)
            return 0;
    }
    return complain(o, EXIT_USAGE, "%s %s: more than %d sizes", name, v, BLOCKS_MAX);
}

static int take_load(struct options *o, const char *name, const char *v)
{
    char number[16];
    uint64_t percent;
    snprintf(number, sizeof number, "%s", v);
    number[strcspn(number, "%")] = '\0';
    const char *rest = v + strlen(number);
    if ((*rest && strcmp(rest, "%") != 0) || !read_whole(number, 0, 95, &percent))
        return option_bad(o, name, v, "not a whole number of percent between 0 and 95; try 30%");
    o->load = (double)percent / 100;
    return 0;
}

/* "-16", "-16LUFS". */
static int take_target(struct options *o, const char *name, const char *v)
{
    char number[16];
    size_t length = strlen(v);
    if (length > 4 && !strcasecmp(v + length - 4, "LUFS"))
        length -= 4;
    snprintf(number, sizeof number, "%.*s", (int)length, v);
    if (length > 15 || *number != '-' || strpbrk(number, "dD") ||
        !read_db(number, &o->target_lufs) || o->target_lufs < -70 || o->target_lufs > -1)
        return option_bad(o, name, v, "not a number of LUFS between -70 and -1; try -23");
    return 0;
}

/* "2", "2ms" or "off". */
static int take_fade(struct options *o, const char *name, const char *v)
{
    char number[16];
    size_t length = strlen(v);
    if (!strcmp(v, "off")) {
        o->fade_ms = TAKT_FADE_OFF;
        return 0;
    }
    if (length > 2 && !strcmp(v + length - 2, "ms"))
        length -= 2;
    snprintf(number, sizeof number, "%.*s", (int)length, v);
    if (length > 15 || number[length - !!length] == 's' ||
        !read_seconds(number, 1e-3, 50, &o->fade_ms))
        return option_bad(o, name, v, "not off or a number of ms above 0, up to 50; try 2");
    return 0;
}

static int take_bypass(struct options *o, const char *name, const char *v)
{
    if (strcmp(v, "silence") != 0 && strcmp(v, "dry") != 0)
        return option_bad(o, name, v, "not silence or dry");
    o->bypass = *v == 'd' ? TAKT_BYPASS_DRY : TAKT_BYPASS_SILENCE;
    return 0;
}

/* ---- A spectrum's ------------------------------------------------------------------------------
 */

static int take_size(struct options *o, const char *name, const char *v)
{
    uint64_t n;
    if (!read_whole(v, TAKT_FFT_SIZE_MIN, TAKT_FFT_SIZE_MAX, &n) || (n & (n - 1)))
        return option_bad(o, name, v, "not a power of two between 64 and 65536; try 4096");
    o->size_frames = (size_t)n;
    return 0;
}

/* "512", or "75%" of overlap. */
static int take_hop(struct options *o, const char *name, const char *v)
{
    char number[16];
    uint64_t n;
    snprintf(number, sizeof number, "%s", v);
    size_t length = strcspn(number, "%");
    bool is_share = number[length] && !number[length + 1];
    if (is_share)
        number[length] = '\0';
    if (strlen(v) > 15 || !read_whole(number, is_share ? 0 : 1, is_share ? 99 : 1 << 20, &n))
        return option_bad(
            o, name, v,
            "not a whole number of frames between 1 and 1048576, nor an overlap of 0% to "
            "99%; try 512");
    o->hop_frames = is_share ? 0 : (size_t)n;
    o->has_overlap = is_share;
    o->overlap = is_share ? (double)n / 100 : 0;
    return 0;
}

static int take_window(struct options *o, const char *name, const char *v)
{
    char all[128] = "";
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++) {
        const char *one = takt_taper_name((enum takt_taper)kind);
        size_t used = strlen(all);
        if (!strcmp(v, one)) {
            o->taper = (enum takt_taper)kind;
            return 0;
        }
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", one);
    }
    return complain(o, EXIT_USAGE, "%s %s: not one of %s", name, v, all);
}

static int take_scale(struct options *o, const char *name, const char *v)
{
    if (strcmp(v, "log") != 0 && strcmp(v, "linear") != 0)
        return option_bad(o, name, v, "not log or linear");
    o->is_linear = v[1] == 'i';
    return 0;
}

static int take_range(struct options *o, const char *name, const char *v)
{
    if (!read_db(v, &o->range_db) || o->range_db < 10 || o->range_db > 200)
        o->range_db = 0;
    if (*v == '+' || o->range_db == 0)
        return option_bad(o, name, v, "not a number of dB between 10 and 200; try 80");
    return 0;
}

static int take_bands(struct options *o, const char *name, const char *v)
{
    if (strcmp(v, "third") != 0 && strcmp(v, "octave") != 0)
        return option_bad(o, name, v, "not third or octave");
    o->has_bands = true;
    o->bands_width = *v == 't' ? TAKT_BANDS_THIRD : TAKT_BANDS_OCTAVE;
    return 0;
}

static int take_average(struct options *o, const char *name, const char *v)
{
    o->average = TAKT_SPECTRUM_FADING;
    if (!strcmp(v, "none"))
        o->average = TAKT_SPECTRUM_LATEST;
    else if (!strcmp(v, "max"))
        o->average = TAKT_SPECTRUM_MAX;
    else if (!strcmp(v, "mean"))
        o->average = TAKT_SPECTRUM_MEAN;
    else if (!read_seconds(v, 1e-3, 1e6, &o->average_s))
        return option_bad(o, name, v,
                          "not max, mean, none or a number of seconds above 0; try 0.5");
    return 0;
}

/* Options are told apart by their last name, which is the long one. */
static int take(struct options *o, const struct option_info *info, const char *name, const char *v)
{
    const char *key = strstr(info->names, "--") + 2;
    uint64_t n = 0;
    bool is_nets;
    int status = net_option_take(o, key, name, v, &is_nets);
    if (is_nets)
        return status;
    if (!strcmp(key, "in"))
        o->in = v;
    else if (!strcmp(key, "out"))
        o->out = v;
    else if (!strcmp(key, "rate")) {
        if (!read_whole(v, 8000, 384000, &n))
            return option_bad(o, name, v,
                              "not a whole number of Hz between 8000 and 384000; try 48000");
        o->rate_hz = (uint32_t)n;
    } else if (!strcmp(key, "block")) {
        if (!read_whole(v, 1, TAKT_BLOCK_FRAMES_MAX, &n))
            return option_bad(o, name, v,
                              "not a whole number of frames between 1 and 16384; try 64");
        o->block_frames = (uint32_t)n;
    } else if (!strcmp(key, "channels")) {
        if (!read_whole(v, 1, TAKT_CHANNELS_MAX, &n))
            return option_bad(o, name, v, "not a whole number of channels between 1 and 64; try 2");
        o->channels = (uint32_t)n;
    } else if (!strcmp(key, "time")) {
        if (!read_seconds(v, 1e-6, 1e7, &o->seconds))
            return option_bad(o, name, v, "not a number of seconds above 0; try 5");
    } else if (!strcmp(key, "buffer")) {
        if (!read_seconds(v, 0.1, 600, &o->buffer_s))
            return option_bad(o, name, v, "not a number of seconds between 0.1 and 600; try 20");
    } else if (!strcmp(key, "wait")) {
        if (!read_seconds(v, 0.1, 1e5, &o->wait_s))
            return option_bad(o, name, v, "not a number of seconds from 0.1 on; try 60");
    } else if (!strcmp(key, "format")) {
        o->format = takt_sample_from_name(v);
        if (!o->format)
            return option_bad(o, name, v, "not one of s16, s24, s32, f32, u8");
    } else if (!strcmp(key, "latency")) {
        return take_latency(o, name, v);
    } else if (!strcmp(key, "blocks")) {
        return take_blocks(o, name, v);
    } else if (!strcmp(key, "fade")) {
        return take_fade(o, name, v);
    } else if (!strcmp(key, "bypass")) {
        return take_bypass(o, name, v);
    } else if (!strcmp(key, "mode")) {
        o->mode = v;
    } else if (!strcmp(key, "target")) {
        return take_target(o, name, v);
    } else if (!strcmp(key, "load")) {
        return take_load(o, name, v);
    } else if (!strcmp(key, "size")) {
        return take_size(o, name, v);
    } else if (!strcmp(key, "hop")) {
        return take_hop(o, name, v);
    } else if (!strcmp(key, "window")) {
        return take_window(o, name, v);
    } else if (!strcmp(key, "scale")) {
        return take_scale(o, name, v);
    } else if (!strcmp(key, "range")) {
        return take_range(o, name, v);
    } else if (!strcmp(key, "bands")) {
        return take_bands(o, name, v);
    } else if (!strcmp(key, "average")) {
        return take_average(o, name, v);
    } else if (!strcmp(key, "bins")) {
        if (!read_whole(v, 1, 4096, &n))
            return option_bad(o, name, v, "not a whole number between 1 and 4096; try 200");
        o->bins = (uint32_t)n;
    } else if (!strcmp(key, "png")) {
        if (!*v)
            return option_bad(o, name, v, "no file's name; try spectrum.png");
        o->png = v;
    } else if (!strcmp(key, "html")) {
        if (!*v)
            return option_bad(o, name, v, "no file's name; try report.html");
        o->html = v;
        o->no_html = false;
    } else if (!strcmp(key, "a4")) {
        if (!read_number(v, "Hz", 380, 480, &o->a4_hz))
            return option_bad(o, name, v, "not a number of Hz between 380 and 480; try 442");
    } else if (!strcmp(key, "instrument")) {
        o->instrument = v;
    } else if (!strcmp(key, "notes")) {
        o->notes = v;
    } else if (!strcmp(key, "calibrate")) {
        if (!read_number(v, "ppm", -1000, 1000, &o->clock_ppm))
            return option_bad(o, name, v, "not a number of ppm between -1000 and 1000; try 12.5");
    } else if (!strcmp(key, "seed")) {
        if (!read_whole(v, 1, UINT64_MAX / 16, &o->seed))
            return option_bad(o, name, v, "not a whole number from 1 to 2^60 - 1");
    } else if (!strcmp(key, "hours")) {
        if (!read_seconds(v, 1e-6, 1e6, &o->hours))
            return option_bad(o, name, v, "not a number of hours above 0; try 10");
    } else if (!strcmp(key, "scenario")) {
        o->has_scenario = read_whole(v, 0, UINT64_MAX / 16, &o->scenario);
        if (!o->has_scenario)
            return option_bad(o, name, v, "not a whole number from 0 to 2^60 - 1");
    } else if (!strcmp(key, "priority")) {
        if (!strcmp(v, "off"))
            n = 0;
        else if (!read_whole(v, 1, 98, &n))
            return option_bad(o, name, v, "not off or a whole number between 1 and 98; try 70");
        o->priority = n ? (int)n : TAKT_PRIORITY_OFF;
    } else {
        bool *flags[] = {&o->json,    &o->strict, &o->quiet, &o->verbose, &o->help,    &o->fast,
                         &o->no_html, &o->watch,  &o->flats, &o->strum,   &o->on_voice};
        const char *const keys[] = {"json",    "strict", "quiet", "verbose", "help",    "fast",
                                    "no-html", "watch",  "flats", "strum",   "on-voice"};
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (!strcmp(key, keys[i]))
                *flags[i] = true;
        if (!strcmp(key, "dither"))
            o->dither = TAKT_DITHER_TPDF;
    }
    return 0;
}

/* A word that begins with '-' and is no number, so that gain=-2 and -3dB are words. */
static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]) && word[1] != '.';
}

int options_read(struct options *o, const char *taken, int count, char **arguments)
{
    bool only_words = false;
    for (int i = 0; i < count; i++) {
        char *a = arguments[i];
        if (!only_words && !strcmp(a, "--")) {
            only_words = true;
            continue;
        }
        if (only_words || !looks_like_option(a)) {
            if (o->word_count == WORDS_MAX)
                return complain(o, EXIT_USAGE, "more than %d words", WORDS_MAX);
            o->words[o->word_count++] = a;
            continue;
        }
        /* --name=value, --name value, -n value, -nvalue, -abc */
        bool is_long = a[1] == '-';
        size_t length = is_long ? strcspn(a, "=") : 2;
        const struct option_info *info = find(a, length, taken);
        if (!info)
            return unknown_option(o, a);
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)length, a);
        if (!option_in(info, taken) && !strcmp(o->verb, "bench") && !strcmp(info->names, "--fast"))
            return complain(
                o, EXIT_USAGE,
                "%s: takt bench has no such option: on a virtual clock there is nothing "
                "to measure",
                name);
        if (!option_in(info, taken))
            return complain(o, EXIT_USAGE, "%s: takt %s has no such option; see takt %s --help",
                            name, o->verb, o->verb);
        const char *value = a[length] ? a + length + (is_long ? 1 : 0) : NULL;
        if (!info->value && value && is_long)
            return complain(o, EXIT_USAGE, "%s: takes no value", name);
        if (info->value && !value) {
            if (i + 1 == count)
                return complain(o, EXIT_USAGE, "%s: needs a value (%s)", name, info->value);
            value = arguments[++i];
        }
        int status = take(o, info, name, value ? value : "");
        if (status)
            return status;
        if (!info->value && value) { /* -qv is -q -v */
            a[1] = '-';
            arguments[i--] = a + 1;
        }
    }
    return 0;
}

struct takt_stream_cfg options_stream(const struct options *o)
{
    struct takt_stream_cfg c = {
        .rate_hz = o->rate_hz,
        .block_frames = o->block_frames,
        .dither = o->dither,
        .clock = o->fast ? TAKT_CLOCK_VIRTUAL : TAKT_CLOCK_REAL,
        .seed = o->seed,
        .timeout_ms = TIMEOUT_MS,
        .priority = o->priority,
        .fade_ms = o->fade_ms,
        .bypass.mode = o->bypass,
    };
    c.out.buffer_s = o->buffer_s;
    c.in.latency = c.out.latency = o->latency;
    c.in.latency_s = c.out.latency_s = o->latency_s;
    return c;
}
