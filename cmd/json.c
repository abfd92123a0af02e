#include "json.h"

#include <inttypes.h>
#include <math.h>

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
