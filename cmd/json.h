/*
 * json.h - writes JSON lines. Commas, escapes and numbers that JSON does not know are its care.
 */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A number that JSON has as null. */
#define UNKNOWN ((double)NAN)

struct json {
    FILE *to;
    bool wants_comma;
};

/* key NULL: an element of an array, or the whole value. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                 /* '}' or ']' */
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_number(struct json *j, const char *key, double value, int decimals);
void json_bool(struct json *j, const char *key, bool value);
void json_raw(struct json *j, const char *key, const char *value); /* is JSON already */
/* Is text one JSON object and nothing else (RFC 8259), without a line break? */
bool json_is_object(const char *text);
void json_end_line(struct json *j);

/* The bytes of the UTF-8 sequence that text begins with, or 0 when it is none (RFC 3629). */
int utf8_length(const char *text);

#endif
