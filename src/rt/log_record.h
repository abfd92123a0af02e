/*
 * rt/log_record.h - a message on its way from takt_log() to its line.
 *
 * A record is words: a head, then the arguments in their order, a word each; a string's word is its
 * length, and its bytes follow in as many words as they need.
 */
#ifndef TAKT_RT_LOG_RECORD_H
#define TAKT_RT_LOG_RECORD_H

#include "takt/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an argument is. 0 is none. */
enum takt_log_kind {
    TAKT_LOG_SIGNED = 1,
    TAKT_LOG_UNSIGNED,
    TAKT_LOG_CHAR,
    TAKT_LOG_DOUBLE,
    TAKT_LOG_STRING,
    TAKT_LOG_POINTER
};

struct takt_log_head {
    int64_t time_ns;
    const char *format;
    uint64_t dropped; /* messages, between the last one and this */
    uint8_t level, args;
    bool is_refused; /* the format cannot be logged; no arguments follow */
    uint8_t kinds[TAKT_LOG_ARGS_MAX];
};

enum {
    TAKT_LOG_HEAD_WORDS = (sizeof(struct takt_log_head) + 7) / 8,
    TAKT_LOG_WORDS_MAX =
        TAKT_LOG_HEAD_WORDS + TAKT_LOG_ARGS_MAX * (1 + (TAKT_LOG_STRING_BYTES + 7) / 8)
};

/* One conversion of a format, "%-8.3llu". */
struct takt_log_spec {
    char flags[8];
    int width, precision;                    /* below 0: none */
    bool width_is_given, precision_is_given; /* by an argument, `*` */
    char length; /* of an integer: 'H' for hh, 'h', 'l', 'L' for ll, 'z' (j and t too), or 0 */
    bool is_long_double;
    char letter; /* d, u, x … */
    enum takt_log_kind kind;
};

/* Reads the conversion behind a '%'; what comes behind it, or NULL where it cannot be logged.
 * Thread: any. RT: yes (wait-free). */
const char *takt_log_spec_read(const char *at, struct takt_log_spec *out);

/* Makes a record of the arguments in words[TAKT_LOG_WORDS_MAX], all of its head but the drops, and
 * returns its words. Thread: any. RT: yes (wait-free), O(format and strings, both bounded). */
size_t takt_log_record(uint64_t *words, int64_t time_ns, enum takt_log_level level,
                       const char *format, va_list args);

/* The text of a record, in one line without its end: cut off with "..." where to[size] is too
 * short. Control characters and what is no UTF-8 become '?'. size: at least 8. RT: no. */
void takt_log_text(const uint64_t *words, size_t count, char *to, size_t size);

#endif
