#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    int length = s[0] < 0x80                   ? 1
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                 : (s[0] & 0xf0) == 0xe0       ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && length == 3 && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && length == 4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

/* File names may hold any bytes; what is no UTF-8 becomes U+FFFD. */
static void put_string(FILE *to, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', to);
    while (*s) {
        int length = utf8_length((const char *)s);
        if (length == 0) {
            fputs("\\ufffd", to);
            length = 1;
        } else if (*s == '"' || *s == '\\') {
            fprintf(to, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            fprintf(to, "\\u%04x", *s);
        } else {
            fwrite(s, 1, (size_t)length, to);
        }
        s += length;
    }
    fputc('"', to);
}

static void begin(struct json *j, const char *key)
{
    if (j->wants_comma)
        fputc(',', j->to);
    j->wants_comma = true;
    if (key) {
        put_string(j->to, key);
        fputc(':', j->to);
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    fputc(bracket, j->to);
    j->wants_comma = false;
}

void json_close(struct json *j, char bracket)
{
    fputc(bracket, j->to);
    j->wants_comma = true;
}

void json_string(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    put_string(j->to, value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
    begin(j, key);
    fprintf(j->to, "%" PRId64, value);
}

void json_number(struct json *j, const char *key, double value, int decimals)
{
    begin(j, key);
    if (isfinite(value))
        fprintf(j->to, "%.*f", decimals, value);
    else
        fputs("null", j->to);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    fputs(value ? "true" : "false", j->to);
}

void json_raw(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    fputs(value, j->to);
}

void json_end_line(struct json *j)
{
    fputc('\n', j->to);
    j->wants_comma = false;
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

enum { DEPTH_MAX = 64 };

static const char *skip_value(const char *at, int depth);

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Each of these returns where what it looks for ends, or NULL where it is not there. */
static const char *skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        if (*at == '\\' && at[1] == 'u' && strspn(at + 2, "0123456789abcdefABCDEF") >= 4) {
            at += 6;
        } else if (*at == '\\' && at[1] && strchr("\"\\/bfnrt", at[1])) {
            at += 2;
        } else {
            int length = (unsigned char)*at < 0x20 || *at == '\\' ? 0 : utf8_length(at);
            if (!length)
                return NULL;
            at += length;
        }
    }
    return at + 1;
}

static const char *skip_digits(const char *at)
{
    size_t digits = strspn(at, "0123456789");
    return digits ? at + digits : NULL;
}

static const char *skip_number(const char *at)
{
    at += *at == '-';
    at = *at == '0' ? at + 1 : skip_digits(at);
    if (at && *at == '.')
        at = skip_digits(at + 1);
    if (at && (*at == 'e' || *at == 'E')) {
        at++;
        at = skip_digits(at + (*at == '+' || *at == '-'));
    }
    return at;
}

static const char *skip_members(const char *at, char end, int depth)
{
    at = skip_blanks(at + 1);
    if (*at == end)
        return at + 1;
    for (;;) {
        if (end == '}') {
            at = skip_string(skip_blanks(at));
            at = at ? skip_blanks(at) : NULL;
            if (!at || *at++ != ':')
                return NULL;
        }
        at = skip_value(skip_blanks(at), depth + 1);
        at = at ? skip_blanks(at) : NULL;
        if (!at || (*at != ',' && *at != end))
            return NULL;
        if (*at++ == end)
            return at;
    }
}

static const char *skip_value(const char *at, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(at, words[i], strlen(words[i])))
            return at + strlen(words[i]);
    if (depth > DEPTH_MAX)
        return NULL;
    return *at == '{'   ? skip_members(at, '}', depth)
           : *at == '[' ? skip_members(at, ']', depth)
           : *at == '"' ? skip_string(at)
                        : skip_number(at);
}

bool json_is_object(const char *text)
{
    const char *at = skip_blanks(text);
    if (*at != '{' || strpbrk(text, "\r\n"))
        return false;
    at = skip_value(at, 0);
    return at && !*skip_blanks(at);
}
