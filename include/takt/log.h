/*
 * takt/log.h - a log that the callback may write to.
 *
 *     takt_log_create(&(struct takt_log_cfg){.file = stderr}, &log, &e);
 *     takt_log(log, TAKT_LOG_WARNING, "xrun at %llu: %u frames", position, n); // in the callback
 *     takt_log_destroy(log);
 *
 * The call only copies its arguments, the pointer to its format and the time into a ring. A worker
 * makes the line and writes it; however long that takes, no caller waits. What finds the ring full
 * is dropped and counted, and the next line that gets through says how many were:
 *
 *     12.345678 warning: xrun at 480000: 64 frames
 *     12.401112 warning: ... 17 messages dropped
 *     12.401112 info: back again
 *
 * Formats are those of printf, at most 512 bytes long, with at most 8 arguments (a `*` is one, too)
 * and widths and precisions below 1000. A format has to outlive the log: a literal does. A string
 * that %s prints is copied, its first 47 bytes at most; cut off, it ends in "...". %n, %m, wide
 * characters and numbered arguments (%1$d) are refused: the line then shows the format itself.
 * One message is one line: control characters become '?'.
 */
#ifndef TAKT_LOG_H
#define TAKT_LOG_H

#include "takt/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_log;

enum takt_log_level { TAKT_LOG_DEBUG = 1, TAKT_LOG_INFO, TAKT_LOG_WARNING, TAKT_LOG_ERROR };

enum { TAKT_LOG_ARGS_MAX = 8, TAKT_LOG_STRING_BYTES = 48, TAKT_LOG_FORMAT_BYTES = 512 };

/* A zero field takes its default; exactly one of file, fd and write is set. */
struct takt_log_cfg {
    FILE *file; /* flushed whenever nothing more waits */
    int fd;     /* above 0 */
    /* Takes a whole line, its newline included, on the worker. RT: no. */
    void (*write)(const char *line, size_t bytes, void *arg);
    void *arg;
    enum takt_log_level level; /* what is below it is not logged; default info */
    bool json;                 /* a JSON object a line: type, time_s, level, text */
    size_t ring_bytes;   /* 1024..2^26, rounded up to a power of two; default 65536. A message takes
                            40 bytes, 8 for each argument, and what its strings take */
    bool pumped;         /* no worker: takt_log_pump writes */
    uint32_t timeout_ms; /* bounds destroy; default 2000 */
    int64_t (*now_ns)(void *now_arg); /* the clock, RT: yes; default takt_now_ns() */
    void *now_arg;
    int64_t origin_ns; /* where a line's time counts from; default: when it was created */
};

/* What became of the messages; those below the level are no part of it. Once nothing waits, every
 * one was written, failed or dropped. */
struct takt_log_counts {
    uint64_t written; /* the sink has their lines */
    uint64_t failed;  /* the sink refused their lines: a full disk, a closed pipe */
    uint64_t dropped; /* found the ring full */
    uint64_t refused; /* of those written or failed: their format cannot be logged */
};

/* Takes all the memory there will be, locked where that is allowed, and starts the worker.
 * Errors: TAKT_ERR_ARG, _NOMEM, _SYSTEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_log_create(const struct takt_log_cfg *cfg, struct takt_log **out,
                             struct takt_error *e);

/* Writes what waits and frees everything. A worker that hangs in its sink is left behind after
 * timeout_ms and frees the log once the sink returns: until then the sink has to stay. NULL is
 * fine. Thread: any, once no other uses the log. RT: no. */
TAKT_API void takt_log_destroy(struct takt_log *log);

/* Logs a message. Messages of one thread come out in their order. A NULL log takes nothing.
 * Thread: any, many at once. RT: yes (wait-free), O(length of the format and of the strings, both
 * bounded), with one named exception: takt_wake_rouse, a futex(2) that does not block, made only
 * when the worker is asleep, which it is at most 100 times a second. */
TAKT_API void takt_log(struct takt_log *log, enum takt_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the time given: a block's now_ns, say. RT: yes, as takt_log. */
TAKT_API void takt_log_at(struct takt_log *log, int64_t time_ns, enum takt_log_level level,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
TAKT_API void takt_log_at_v(struct takt_log *log, int64_t time_ns, enum takt_log_level level,
                            const char *format, va_list args) __attribute__((format(printf, 4, 0)));

/* Waits until the sink has everything that was logged before; timeout_ms < 0: without end. With
 * `pumped` it pumps. Errors: TAKT_ERR_TIMEOUT. Thread: any; with `pumped`, the one that pumps.
 * RT: no. */
TAKT_API int takt_log_flush(struct takt_log *log, int64_t timeout_ms);

/* Writes what waits, of a `pumped` log; returns how many lines. Thread: one at a time. RT: no. */
TAKT_API uint64_t takt_log_pump(struct takt_log *log);

/* Thread: any. RT: yes (wait-free). */
TAKT_API void takt_log_counts(const struct takt_log *log, struct takt_log_counts *out);

/* "warning". Never NULL. Thread: any. RT: yes. */
TAKT_API const char *takt_log_level_name(enum takt_log_level level);

#ifdef __cplusplus
}
#endif
#endif
