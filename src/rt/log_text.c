/*
 * The other half, on the worker: walks the format again and prints each argument as it was copied.
 * Each conversion is put together anew for the type that is really there, and an argument of
 * another kind than the format asks for ends the line: so a format that was altered meanwhile
 * prints nonsense at worst.
 */
#include "rt/log_record.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_MAX = 999 };

struct text {
    char *to;
    size_t size, length;
    bool cut;
};

struct reader {
    const uint64_t *words;
    size_t at, count;
    const struct takt_log_head *head;
    int arg;
};

static void put(struct text *t, const char *from, size_t bytes)
{
    size_t room = t->size - 1 - t->length;
    t->cut |= bytes > room;
    bytes = bytes < room ? bytes : room;
    memcpy(t->to + t->length, from, bytes);
    t->length += bytes;
}

/* The next argument's word; false where it is of another kind. */
static bool take(struct reader *r, enum takt_log_kind kind, uint64_t *value)
{
    if (r->arg == r->head->args || r->head->kinds[r->arg] != kind || r->at == r->count)
        return false;
    r->arg++;
    *value = r->words[r->at++];
    return true;
}

static int within(int64_t value)
{
    return (int)(value > NUMBER_MAX ? NUMBER_MAX : value < -NUMBER_MAX ? -NUMBER_MAX : value);
}

static bool take_star(struct reader *r, bool is_given, int *value)
{
    uint64_t word;
    if (!is_given)
        return true;
    if (!take(r, TAKT_LOG_SIGNED, &word))
        return false;
    *value = within((int64_t)word);
    return true;
}

/* "%-8.3llu" from its parts, with numbers in place of the stars. A width below 0 is given by its
 * sign the '-' flag, as C has it. */
static void make_format(char *to, size_t size, const struct takt_log_spec *s, int width,
                        int precision, const char *length)
{
    char w[16] = "", p[16] = "";
    bool given_left = s->width_is_given && width < 0;
    if (width >= 0 || given_left)
        snprintf(w, sizeof w, "%d", width < 0 ? -width : width);
    if (precision >= 0)
        snprintf(p, sizeof p, ".%d", precision);
    snprintf(to, size, "%%%s%s%s%s%s%c", s->flags, given_left ? "-" : "", w, p, length, s->letter);
}

/* The bytes of the UTF-8 sequence at `at`, 0 when it is none (RFC 3629). */
static size_t sequence(const char *at, size_t left)
{
    const unsigned char *c = (const unsigned char *)at;
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (!n || c[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
               (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f);
    return bad ? 0 : n;
}

/* How much of what was cut off anywhere ends with a whole character. */
static size_t whole(const char *from, size_t bytes)
{
    for (size_t back = 1; back <= 3 && back <= bytes; back++) {
        unsigned char c = (unsigned char)from[bytes - back];
        if (c >= 0xc0)
            return sequence(from + bytes - back, back) ? bytes : bytes - back;
        if (c < 0x80)
            return bytes;
    }
    return bytes;
}

/* Conversions are put together here, of parts that were checked. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static bool put_string(struct text *t, struct reader *r, const struct takt_log_spec *s, int width)
{
    char format[48], copy[TAKT_LOG_STRING_BYTES + 4], piece[NUMBER_MAX + 64];
    uint64_t word;
    if (!take(r, TAKT_LOG_STRING, &word))
        return false;
    size_t length = (uint32_t)word, words = (length + 7) / 8;
    if (length >= TAKT_LOG_STRING_BYTES || words > r->count - r->at)
        return false;
    memcpy(copy, &r->words[r->at], length);
    r->at += words;
    length = word >> 32 ? whole(copy, length) : length;
    strcpy(copy + length, word >> 32 ? "..." : "");
    make_format(format, sizeof format, s, width, -1, "");
    int n = snprintf(piece, sizeof piece, format, copy);
    put(t, piece, n < 0 ? 0 : (size_t)n);
    return true;
}

static bool put_argument(struct text *t, struct reader *r, const struct takt_log_spec *s)
{
    char format[48], piece[2 * NUMBER_MAX + 400]; /* 309 digits before the point */
    int width = s->width, precision = s->precision, n = 0;
    uint64_t word;
    double real;
    if (!take_star(r, s->width_is_given, &width) ||
        !take_star(r, s->precision_is_given, &precision))
        return false;
    if (s->kind == TAKT_LOG_STRING)
        return put_string(t, r, s, width);
    if (!take(r, s->kind, &word))
        return false;
    bool is_integer = s->kind == TAKT_LOG_SIGNED || s->kind == TAKT_LOG_UNSIGNED;
    make_format(format, sizeof format, s, width, precision, is_integer ? "ll" : "");
    if (s->kind == TAKT_LOG_SIGNED)
        n = snprintf(piece, sizeof piece, format, (long long)word);
    else if (s->kind == TAKT_LOG_UNSIGNED)
        n = snprintf(piece, sizeof piece, format, (unsigned long long)word);
    else if (s->kind == TAKT_LOG_CHAR)
        n = snprintf(piece, sizeof piece, format, word ? (int)word : '?');
    else if (s->kind == TAKT_LOG_POINTER)
        n = snprintf(piece, sizeof piece, format, (void *)(uintptr_t)word);
    else
        n = snprintf(piece, sizeof piece, format, (memcpy(&real, &word, sizeof real), real));
    size_t bytes = n < 0 ? 0 : (size_t)n;
    put(t, piece, bytes < sizeof piece ? bytes : sizeof piece - 1);
    return true;
}

#pragma GCC diagnostic pop

static bool put_formatted(struct text *t, struct reader *r)
{
    for (const char *at = r->head->format; *at;) {
        size_t plain = strcspn(at, "%");
        put(t, at, plain);
        at += plain;
        if (!*at)
            break;
        if (*++at == '%') {
            put(t, at++, 1);
            continue;
        }
        struct takt_log_spec s;
        at = takt_log_spec_read(at, &s);
        if (!at || !put_argument(t, r, &s))
            return false;
    }
    return true;
}

static void make_printable(char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t n = sequence(text + i, length - i);
        unsigned char c = (unsigned char)text[i], next = n == 2 ? (unsigned char)text[i + 1] : 0;
        bool is_c1 = c == 0xc2 && next < 0xa0 && n == 2;
        if (n && c >= 0x20 && c != 0x7f && !is_c1) {
            i += n;
            continue;
        }
        memset(text + i, '?', n ? n : 1);
        i += n ? n : 1;
    }
}

void takt_log_text(const uint64_t *words, size_t count, char *to, size_t size)
{
    struct takt_log_head head;
    memcpy(&head, words, sizeof head);
    struct text t = {.to = to, .size = size};
    struct reader r = {.words = words, .at = TAKT_LOG_HEAD_WORDS, .count = count, .head = &head};
    if (head.is_refused || !put_formatted(&t, &r)) {
        static const char before[] = "a format that cannot be logged: ";
        t.length = 0;
        put(&t, before, sizeof before - 1);
        put(&t, head.format, strnlen(head.format, TAKT_LOG_FORMAT_BYTES));
    }
    if (t.cut) {
        t.length = whole(to, size - 4);
        memcpy(to + t.length, "...", 3);
        t.length += 3;
    }
    make_printable(to, t.length);
    to[t.length] = '\0';
}
