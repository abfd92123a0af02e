/*
 * The half of a log that runs in the callback: reads a format just closely enough to know what its
 * arguments are, and copies them. Every loop is bounded by the format's or a string's greatest
 * length, and nothing that a format can say makes it read an argument of a type that is not there:
 * what it does not know for certain, it refuses before it touches the arguments behind.
 */
#include "rt/log_record.h"

#include <string.h>

/* ---- Formats -----------------------------------------------------------------------------------
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "12" or "*". At most three digits, so that a line's length stays within reason. */
static const char *read_number(const char *at, int *value, bool *is_given)
{
    if (*at == '*') {
        *is_given = true;
        return at + 1;
    }
    for (int digits = 0; is_digit(*at); at++) {
        if (++digits > 3)
            return NULL;
        *value = (*value < 0 ? 0 : *value * 10) + (*at - '0');
    }
    return at;
}

static const char *read_flags(const char *at, struct takt_log_spec *s)
{
    size_t n = 0;
    for (; *at && strchr("-+ #0", *at); at++) {
        if (n + 1 == sizeof s->flags)
            return NULL;
        s->flags[n++] = *at;
    }
    return at;
}

static const char *read_length(const char *at, struct takt_log_spec *s)
{
    if (*at == 'L') {
        s->is_long_double = true;
        return at + 1;
    }
    if (!*at || !strchr("hlzjt", *at))
        return at;
    s->length = *at == 'j' || *at == 't' ? 'z' : *at;
    bool twice = (*at == 'h' || *at == 'l') && at[1] == *at;
    if (twice)
        s->length = *at == 'h' ? 'H' : 'L';
    return at + 1 + twice;
}

static enum takt_log_kind kind_of(const struct takt_log_spec *s)
{
    if (!s->letter)
        return 0;
    if (strchr("di", s->letter))
        return s->is_long_double ? 0 : TAKT_LOG_SIGNED;
    if (strchr("ouxX", s->letter))
        return s->is_long_double ? 0 : TAKT_LOG_UNSIGNED;
    if (strchr("fFeEgGaA", s->letter))
        return s->length && s->length != 'l' ? 0 : TAKT_LOG_DOUBLE;
    if (s->length || s->is_long_double)
        return 0; /* wide characters, and what means nothing */
    return s->letter == 'c'   ? TAKT_LOG_CHAR
           : s->letter == 's' ? TAKT_LOG_STRING
           : s->letter == 'p' ? TAKT_LOG_POINTER
                              : 0;
}

const char *takt_log_spec_read(const char *at, struct takt_log_spec *out)
{
    *out = (struct takt_log_spec){.width = -1, .precision = -1};
    if (!(at = read_flags(at, out)) || !(at = read_number(at, &out->width, &out->width_is_given)))
        return NULL;
    if (*at == '.') {
        out->precision = 0;
        if (!(at = read_number(at + 1, &out->precision, &out->precision_is_given)))
            return NULL;
    }
    at = read_length(at, out);
    out->letter = *at;
    out->kind = kind_of(out);
    return out->kind ? at + 1 : NULL;
}

/* ---- Arguments ---------------------------------------------------------------------------------
 */

/* A va_list in a struct can be handed on by its address on every machine. */
struct capture {
    struct takt_log_head head;
    uint64_t *words;
    size_t count;
    va_list args;
};

static bool add(struct capture *c, enum takt_log_kind kind, uint64_t value)
{
    if (c->head.args == TAKT_LOG_ARGS_MAX)
        return false;
    c->head.kinds[c->head.args++] = (uint8_t)kind;
    c->words[c->count++] = value;
    return true;
}

static int64_t next_signed(struct capture *c, char length)
{
    switch (length) {
    case 'H':
        return (signed char)va_arg(c->args, int);
    case 'h':
        return (short)va_arg(c->args, int);
    case 'l':
        return va_arg(c->args, long);
    case 'L':
        return va_arg(c->args, long long);
    case 'z':
        return va_arg(c->args, intmax_t);
    default:
        return va_arg(c->args, int);
    }
}

static uint64_t next_unsigned(struct capture *c, char length)
{
    switch (length) {
    case 'H':
        return (unsigned char)va_arg(c->args, unsigned);
    case 'h':
        return (unsigned short)va_arg(c->args, unsigned);
    case 'l':
        return va_arg(c->args, unsigned long);
    case 'L':
        return va_arg(c->args, unsigned long long);
    case 'z':
        return va_arg(c->args, uintmax_t);
    default:
        return va_arg(c->args, unsigned);
    }
}

static bool add_double(struct capture *c, bool is_long)
{
    double value = is_long ? (double)va_arg(c->args, long double) : va_arg(c->args, double);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return add(c, TAKT_LOG_DOUBLE, bits);
}

/* At most `precision` bytes are looked at, where that is not below 0: the string may end there
 * without an end. The length is stored with a bit for whether there was more. */
static bool add_string(struct capture *c, int64_t precision)
{
    enum { KEPT = TAKT_LOG_STRING_BYTES - 1 };
    const char *from = va_arg(c->args, const char *);
    from = from ? from : "(null)";
    size_t most = precision >= 0 && precision <= KEPT ? (size_t)precision : KEPT + 1;
    size_t length = strnlen(from, most), kept = length < KEPT ? length : KEPT;
    if (!add(c, TAKT_LOG_STRING, kept | (uint64_t)(length > kept) << 32))
        return false;
    size_t words = (kept + 7) / 8;
    c->words[c->count + (words ? words - 1 : 0)] = 0; /* the bytes behind the last */
    memcpy(&c->words[c->count], from, kept);
    c->count += words;
    return true;
}

static bool add_star(struct capture *c, int64_t *value)
{
    *value = va_arg(c->args, int);
    return add(c, TAKT_LOG_SIGNED, (uint64_t)*value);
}

/* The arguments of one conversion. */
static bool add_all(struct capture *c, const struct takt_log_spec *s)
{
    int64_t width, precision = s->precision;
    if ((s->width_is_given && !add_star(c, &width)) ||
        (s->precision_is_given && !add_star(c, &precision)) || c->head.args == TAKT_LOG_ARGS_MAX)
        return false;
    switch (s->kind) {
    case TAKT_LOG_SIGNED:
        return add(c, s->kind, (uint64_t)next_signed(c, s->length));
    case TAKT_LOG_UNSIGNED:
        return add(c, s->kind, next_unsigned(c, s->length));
    case TAKT_LOG_CHAR:
        return add(c, s->kind, (unsigned char)va_arg(c->args, int));
    case TAKT_LOG_POINTER:
        return add(c, s->kind, (uintptr_t)va_arg(c->args, void *));
    case TAKT_LOG_DOUBLE:
        return add_double(c, s->is_long_double);
    default:
        return add_string(c, precision);
    }
}

/* True when all of the format is understood. */
static bool capture(struct capture *c, const char *format)
{
    const char *end = format + TAKT_LOG_FORMAT_BYTES;
    for (const char *at = format; at <= end;) {
        if (!*at)
            return true;
        if (*at++ != '%')
            continue;
        if (*at == '%') {
            at++;
            continue;
        }
        struct takt_log_spec s;
        at = takt_log_spec_read(at, &s);
        if (!at || !add_all(c, &s))
            return false;
    }
    return false;
}

size_t takt_log_record(uint64_t *words, int64_t time_ns, enum takt_log_level level,
                       const char *format, va_list args)
{
    struct capture c = {
        .head = {.time_ns = time_ns, .format = format ? format : "(null)", .level = (uint8_t)level},
        .words = words,
        .count = TAKT_LOG_HEAD_WORDS};
    va_copy(c.args, args);
    if (!capture(&c, c.head.format)) {
        c.head.is_refused = true;
        c.head.args = 0;
        c.count = TAKT_LOG_HEAD_WORDS;
    }
    va_end(c.args);
    words[TAKT_LOG_HEAD_WORDS - 1] = 0;
    memcpy(words, &c.head, sizeof c.head);
    return c.count;
}
