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
    {"--latency", "L", "low, high, or seconds"},
    {"--blocks", "LIST", "block sizes to compare, as in 64,256"},
    {"--load", "SHARE", "use up so much of each block's time, as in 30%"},
    {"--html", "FILE", "where to keep the picture; bench.html by default"},
    {"--no-html", NULL, "keep no picture"},
    {"--dither", NULL, "triangular dither where a recording loses bits"},
    {"--fast", NULL, "on a virtual clock: fast, and alike on every run"},
    {"--seed", "N", "of all chance in sim: and dither; 1 by default"},
    {"--priority", "P", "real-time priority 1 to 98, or off; 70 by default"},
    {"-w, --watch", NULL, "go on, and tell of every change"},
    {"--json", NULL, "JSON lines on stdout; the last one is the summary"},
    {"--strict", NULL, "exit with 3 when a deadline was missed"},
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

static bool read_whole(const char *text, uint64_t low, uint64_t high, uint64_t *out)
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

static bool read_seconds(const char *text, double low, double high, double *out)
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

bool read_db(const char *text, double *db)
{
    char *end;
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    if ((!isdigit((unsigned char)*digits) && *digits != '.') || strpbrk(text, "xXpP"))
        return false;
    *db = strtod(text, &end);
    if (end == digits || (*end && strcasecmp(end, "dB") != 0))
        return false;
    return isfinite(*db) && *db >= -200 && *db <= 100;
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

static const struct option_info *find(const char *name, size_t length)
{
    for (const struct option_info *i = option_infos; i->names; i++)
        if (has_name(i, name, length))
            return i;
    return NULL;
}

bool option_in(const struct option_info *info, const char *list)
{
    size_t length = strcspn(info->names, ",");
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t l = strcspn(at, " ");
        if (l == length && !strncmp(at, info->names, length))
            return true;
        at += l;
    }
    return false;
}

static int unknown_option(const struct options *o, const char *name)
{
    const char *longs[32];
    int n = 0;
    for (const struct option_info *i = option_infos; i->names && n < 31; i++)
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

static int bad(const struct options *o, const char *name, const char *value, const char *want)
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
        return bad(o, name, v, "low, high or seconds up to 10; try 0.01");
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
            return bad(o, name, v, "not whole numbers between 1 and 16384 with commas; try 64,256");
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
        return bad(o, name, v, "not a whole number of percent between 0 and 95; try 30%");
    o->load = (double)percent / 100;
    return 0;
}

/* Options are told apart by their last name, which is the long one. */
static int take(struct options *o, const struct option_info *info, const char *name, const char *v)
{
    const char *key = strstr(info->names, "--") + 2;
    uint64_t n = 0;
    if (!strcmp(key, "in"))
        o->in = v;
    else if (!strcmp(key, "out"))
        o->out = v;
    else if (!strcmp(key, "rate")) {
        if (!read_whole(v, 8000, 384000, &n))
            return bad(o, name, v, "not a whole number of Hz between 8000 and 384000; try 48000");
        o->rate_hz = (uint32_t)n;
    } else if (!strcmp(key, "block")) {
        if (!read_whole(v, 1, TAKT_BLOCK_FRAMES_MAX, &n))
            return bad(o, name, v, "not a whole number of frames between 1 and 16384; try 64");
        o->block_frames = (uint32_t)n;
    } else if (!strcmp(key, "channels")) {
        if (!read_whole(v, 1, TAKT_CHANNELS_MAX, &n))
            return bad(o, name, v, "not a whole number of channels between 1 and 64; try 2");
        o->channels = (uint32_t)n;
    } else if (!strcmp(key, "time")) {
        if (!read_seconds(v, 1e-6, 1e7, &o->seconds))
            return bad(o, name, v, "not a number of seconds above 0; try 5");
    } else if (!strcmp(key, "format")) {
        o->format = takt_sample_from_name(v);
        if (!o->format)
            return bad(o, name, v, "not one of s16, s24, s32, f32, u8");
    } else if (!strcmp(key, "latency")) {
        return take_latency(o, name, v);
    } else if (!strcmp(key, "blocks")) {
        return take_blocks(o, name, v);
    } else if (!strcmp(key, "load")) {
        return take_load(o, name, v);
    } else if (!strcmp(key, "html")) {
        if (!*v)
            return bad(o, name, v, "no file's name; try bench.html");
        o->html = v;
        o->no_html = false;
    } else if (!strcmp(key, "seed")) {
        if (!read_whole(v, 1, UINT64_MAX / 16, &o->seed))
            return bad(o, name, v, "not a whole number from 1 on");
    } else if (!strcmp(key, "priority")) {
        if (!strcmp(v, "off"))
            n = 0;
        else if (!read_whole(v, 1, 98, &n))
            return bad(o, name, v, "not off or a whole number between 1 and 98; try 70");
        o->priority = n ? (int)n : TAKT_PRIORITY_OFF;
    } else {
        bool *flags[] = {&o->json, &o->strict, &o->quiet,   &o->verbose,
                         &o->help, &o->fast,   &o->no_html, &o->watch};
        const char *const keys[] = {"json", "strict", "quiet",   "verbose",
                                    "help", "fast",   "no-html", "watch"};
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
        const struct option_info *info = find(a, length);
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
    };
    c.in.latency = c.out.latency = o->latency;
    c.in.latency_s = c.out.latency_s = o->latency_s;
    return c;
}
