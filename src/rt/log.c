/*
 * A ring of records and a worker that makes lines of them. The worker sleeps until the first record
 * after a rest wakes it, and then looks again every 2 ms until nothing has come for 10: in that
 * time nobody needs to wake it. So a callback that logs in every block makes no wake-up but the
 * first, and none makes more than a hundred a second.
 *
 * Drops are counted in `untold` until a record gets through, or the worker finds the ring empty:
 * whoever takes the count tells of it, once.
 *
 * Invariants: lines come in the order of the ring; done is where the ring's reader was when the
 * sink last had everything.
 */
#include "takt/log.h"

#include "base/assert.h"
#include "base/fail.h"
#include "rt/background.h"
#include "rt/log_record.h"
#include "rt/memory.h"
#include "sync/many_ring.h"
#include "sync/wake.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    RING_BYTES = 65536,
    RING_BYTES_MIN = 1024,
    RING_BYTES_MAX = 1 << 26,
    TEXT_BYTES = 4096,
    LINE_BYTES = 2 * TEXT_BYTES + 256, /* every '"' of a JSON string takes two */
    NAP_MS = 2,
    NAPS = 5,
    POLL_MS = 50
};

struct takt_log {
    struct takt_log_cfg cfg;
    size_t ring_bytes;
    struct takt_many_ring ring;
    struct takt_wake wake;
    struct takt_thread *thread;  /* NULL: pumped */
    _Atomic bool quit, gives_up; /* the worker is to end; and to write no more */
    _Atomic uint64_t untold;     /* drops that no line has told of */
    _Atomic uint64_t dropped;    /* all of them */
    _Atomic uint64_t written, failed, refused, told, done; /* the worker's; told: of drops */
    /* The worker's own. */
    locale_t c_locale;
    uint64_t record[TAKT_LOG_WORDS_MAX];
    char text[TEXT_BYTES], line[LINE_BYTES];
    alignas(TAKT_LINE_BYTES) _Atomic uint64_t words[];
};

const char *takt_log_level_name(enum takt_log_level level)
{
    static const char *const names[] = {"unknown", "debug", "info", "warning", "error"};
    return (unsigned)level < sizeof names / sizeof *names ? names[level] : names[0];
}

/* ---- In the callback ---------------------------------------------------------------------------
 */

static int64_t now(const struct takt_log *log)
{
    return log->cfg.now_ns ? log->cfg.now_ns(log->cfg.now_arg) : takt_now_ns();
}

static void drop(struct takt_log *log, uint64_t untold)
{
    atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    atomic_fetch_add(&log->untold, untold + 1);
}

void takt_log_at_v(struct takt_log *log, int64_t time_ns, enum takt_log_level level,
                   const char *format, va_list args)
{
    uint64_t words[TAKT_LOG_WORDS_MAX], untold = 0;
    if (!log || level < log->cfg.level)
        return;
    size_t count = takt_log_record(words, time_ns, level, format, args);
    if (atomic_load_explicit(&log->untold, memory_order_relaxed))
        untold = atomic_exchange(&log->untold, 0);
    memcpy((char *)words + offsetof(struct takt_log_head, dropped), &untold, sizeof untold);
    if (!takt_many_ring_write(&log->ring, words, count))
        drop(log, untold);
    takt_wake_signal(&log->wake);
}

void takt_log_at(struct takt_log *log, int64_t time_ns, enum takt_log_level level,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    takt_log_at_v(log, time_ns, level, format, args);
    va_end(args);
}

void takt_log(struct takt_log *log, enum takt_log_level level, const char *format, ...)
{
    if (!log || level < log->cfg.level)
        return; /* before the clock is read */
    va_list args;
    va_start(args, format);
    takt_log_at_v(log, now(log), level, format, args);
    va_end(args);
}

/* ---- Lines -------------------------------------------------------------------------------------
 */

static size_t escape(char *to, const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            to[n++] = '\\';
        to[n++] = *text;
    }
    to[n] = '\0';
    return n;
}

/* "12.345678": the sign by hand, since -0.5 has a whole part without one. */
static int put_time(char *to, size_t size, int64_t ns, int decimals)
{
    uint64_t size_ns = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    unsigned long long part = size_ns % 1000000000;
    for (int d = 9; d > decimals; d--)
        part /= 10;
    return snprintf(to, size, "%s%llu.%0*llu", ns < 0 ? "-" : "",
                    (unsigned long long)(size_ns / 1000000000), decimals, part);
}

/* Makes log->line of log->text; dropped: more than 0 in the line that tells of drops. */
static size_t make_line(struct takt_log *log, int64_t time_ns, enum takt_log_level level,
                        uint64_t dropped)
{
    char time[40];
    const char *name = takt_log_level_name(level);
    int64_t since_ns = (int64_t)((uint64_t)time_ns - (uint64_t)log->cfg.origin_ns);
    put_time(time, sizeof time, since_ns, log->cfg.json ? 9 : 6);
    if (!log->cfg.json)
        return (size_t)snprintf(log->line, sizeof log->line, "%s %s: %s\n", time, name, log->text);
    size_t n = (size_t)snprintf(log->line, sizeof log->line,
                                "{\"type\":\"log\",\"time_s\":%s,\"level\":\"%s\",", time, name);
    if (dropped)
        n += (size_t)snprintf(log->line + n, sizeof log->line - n, "\"dropped\":%llu,",
                              (unsigned long long)dropped);
    n += (size_t)snprintf(log->line + n, sizeof log->line - n, "\"text\":\"");
    n += escape(log->line + n, log->text);
    n += (size_t)snprintf(log->line + n, sizeof log->line - n, "\"}\n");
    return n;
}

static bool write_fd(struct takt_log *log, const char *from, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(log->cfg.fd, from, bytes);
        if (n >= 0) {
            from += n;
            bytes -= (size_t)n;
        } else if (errno == EAGAIN && !atomic_load(&log->gives_up)) {
            poll(&(struct pollfd){.fd = log->cfg.fd, .events = POLLOUT}, 1, POLL_MS);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool write_line(struct takt_log *log, size_t bytes)
{
    if (atomic_load(&log->gives_up))
        return false;
    if (log->cfg.write) {
        log->cfg.write(log->line, bytes, log->cfg.arg);
        return true;
    }
    if (log->cfg.file)
        return fwrite(log->line, 1, bytes, log->cfg.file) == bytes;
    return write_fd(log, log->line, bytes);
}

/* A line of its own, since the message behind it is somebody else's. */
static void tell_drops(struct takt_log *log, int64_t time_ns, uint64_t count)
{
    if (!count)
        return;
    snprintf(log->text, sizeof log->text, "... %llu message%s dropped", (unsigned long long)count,
             count == 1 ? "" : "s");
    write_line(log, make_line(log, time_ns, TAKT_LOG_WARNING, count));
    atomic_fetch_add_explicit(&log->told, count, memory_order_relaxed);
}

static bool write_record(struct takt_log *log, size_t count)
{
    struct takt_log_head head;
    memcpy(&head, log->record, sizeof head);
    tell_drops(log, head.time_ns, head.dropped);
    takt_log_text(log->record, count, log->text, sizeof log->text);
    if (head.is_refused)
        atomic_fetch_add_explicit(&log->refused, 1, memory_order_relaxed);
    return write_line(log, make_line(log, head.time_ns, head.level, 0));
}

/* ---- The worker --------------------------------------------------------------------------------
 */

static bool flush_sink(struct takt_log *log)
{
    if (!log->cfg.file || atomic_load(&log->gives_up))
        return true;
    bool well = fflush(log->cfg.file) == 0 && !ferror(log->cfg.file);
    clearerr(log->cfg.file);
    return well;
}

uint64_t takt_log_pump(struct takt_log *log)
{
    uint64_t written = 0, failed = 0, untold = 0;
    /* Read before the tail: then what was logged before a drop is told before it. */
    if (atomic_load_explicit(&log->untold, memory_order_relaxed))
        untold = atomic_exchange(&log->untold, 0);
    uint64_t until =
        takt_many_ring_tail(&log->ring); /* what comes meanwhile is for the next time */
    size_t count;
    locale_t before = uselocale(log->c_locale); /* a point in 1.5, whatever the program speaks */
    while (takt_many_ring_head(&log->ring) < until &&
           (count = takt_many_ring_read(&log->ring, log->record, TAKT_LOG_WORDS_MAX))) {
        bool well = write_record(log, count);
        written += well;
        failed += !well;
    }
    if (untold)
        tell_drops(log, now(log), untold);
    if ((written || untold) && !flush_sink(log)) {
        failed += written;
        written = 0;
    }
    uselocale(before);
    atomic_fetch_add_explicit(&log->written, written, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->failed, failed, memory_order_relaxed);
    atomic_store_explicit(&log->done, takt_many_ring_head(&log->ring), memory_order_release);
    return written + failed;
}

static void work(void *arg)
{
    struct takt_log *log = arg;
    for (int naps = 0; !atomic_load(&log->quit);) {
        naps = takt_log_pump(log) ? 0 : naps + 1;
        if (naps <= NAPS)
            takt_sleep_ms(NAP_MS);
        else if (takt_wake_wait(&log->wake, TAKT_WAKE_NEVER))
            naps = 0;
    }
    takt_log_pump(log);
}

/* ---- Control -----------------------------------------------------------------------------------
 */

static int check(const struct takt_log_cfg *cfg, struct takt_error *e)
{
    if ((cfg->file != NULL) + (cfg->fd > 0) + (cfg->write != NULL) != 1 || cfg->fd < 0)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a log needs one of file, fd (above 0) and write");
    if (cfg->ring_bytes && (cfg->ring_bytes < RING_BYTES_MIN || cfg->ring_bytes > RING_BYTES_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a log's ring of %zu bytes: give %d to %d, or 0",
                         cfg->ring_bytes, RING_BYTES_MIN, RING_BYTES_MAX);
    if ((unsigned)cfg->level > TAKT_LOG_ERROR)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a log's level is none of its enum's values");
    return 0;
}

int takt_log_create(const struct takt_log_cfg *cfg, struct takt_log **out, struct takt_error *e)
{
    *out = NULL;
    int err = check(cfg, e);
    if (err < 0)
        return err;
    size_t bytes = RING_BYTES_MIN;
    while (bytes < (cfg->ring_bytes ? cfg->ring_bytes : RING_BYTES))
        bytes *= 2;
    struct takt_log *log = takt_rt_alloc(sizeof *log + bytes);
    if (!log)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "a log's ring of %zu bytes: no memory", bytes);
    log->cfg = *cfg;
    log->cfg.level = cfg->level ? cfg->level : TAKT_LOG_INFO;
    log->cfg.timeout_ms = cfg->timeout_ms ? cfg->timeout_ms : 2000;
    log->cfg.origin_ns = cfg->origin_ns ? cfg->origin_ns : now(log);
    log->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    takt_many_ring_init(&log->ring, log->words, bytes / sizeof *log->words);
    if (!cfg->pumped)
        err = takt_thread_start(
            &(struct takt_thread_cfg){
                .name = "takt-log", .entry = work, .arg = log, .priority = TAKT_PRIORITY_OFF},
            &log->thread, e);
    if (err < 0) {
        freelocale(log->c_locale);
        takt_rt_free(log);
        return err;
    }
    *out = log;
    return 0;
}

static void *release(void *arg)
{
    struct takt_log *log = arg;
    takt_thread_join(log->thread, -1);
    freelocale(log->c_locale);
    takt_rt_free(log);
    return NULL;
}

void takt_log_destroy(struct takt_log *log)
{
    if (!log)
        return;
    if (!log->thread)
        takt_log_pump(log);
    atomic_store(&log->quit, true);
    takt_wake_signal(&log->wake);
    if (takt_thread_join(log->thread, log->cfg.timeout_ms) == TAKT_ERR_TIMEOUT) {
        atomic_store(&log->gives_up, true);
        takt_background(release, log); /* without a thread for it, the log stays for good */
        return;
    }
    log->thread = NULL;
    release(log);
}

int takt_log_flush(struct takt_log *log, int64_t timeout_ms)
{
    int64_t until_ns = takt_now_ns() + (timeout_ms < 0 ? 0 : timeout_ms) * 1000000;
    uint64_t target = takt_many_ring_tail(&log->ring);
    uint64_t drops = atomic_load_explicit(&log->dropped, memory_order_relaxed);
    for (;;) {
        if (!log->thread)
            takt_log_pump(log);
        takt_wake_signal(&log->wake);
        if (atomic_load_explicit(&log->done, memory_order_acquire) >= target &&
            atomic_load_explicit(&log->told, memory_order_relaxed) >= drops)
            return TAKT_OK;
        if (timeout_ms >= 0 && takt_now_ns() >= until_ns)
            return TAKT_ERR_TIMEOUT;
        takt_sleep_ms(1);
    }
}

void takt_log_counts(const struct takt_log *log, struct takt_log_counts *out)
{
    out->written = atomic_load_explicit(&log->written, memory_order_relaxed);
    out->failed = atomic_load_explicit(&log->failed, memory_order_relaxed);
    out->dropped = atomic_load_explicit(&log->dropped, memory_order_relaxed);
    out->refused = atomic_load_explicit(&log->refused, memory_order_relaxed);
}
