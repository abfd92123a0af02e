/* The log: what printf would print, whatever the format; what is dropped, refused or cut off; sinks
 * that fail or hang; and what the call costs the thread that makes it. */
#include "base/random.h"
#include "rt/log_record.h"
#include "takt/log.h"
#include "takt/time.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Requests for memory and system calls pass through here -----------------------------------
 */

static _Thread_local long requests, wake_ups;
static int fail_at; /* counts down to the mapping or thread that fails; 0: none */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

void *__wrap_malloc(size_t bytes)
{
    requests++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    requests++;
    return fail_at && --fail_at == 0 ? NULL : __real_calloc(count, bytes);
}

void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    requests++;
    errno = ENOMEM;
    return fail_at && --fail_at == 0 ? (void *)-1
                                     : __real_mmap64(at, bytes, prot, flags, fd, offset);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    wake_ups++;
    return __real_syscall(number, a, b, c, d, e, f);
}

/* ---- A sink that keeps what it gets ------------------------------------------------------------
 */

enum { KEPT_BYTES = 1 << 20 };

static char kept[KEPT_BYTES];
static size_t kept_bytes, kept_lines;
static _Atomic bool hangs, hanging;

static void keep(const char *line, size_t bytes, void *arg)
{
    atomic_store(&hanging, true);
    while (atomic_load(&hangs))
        takt_sleep_ms(1);
    if (kept_bytes + bytes < KEPT_BYTES) {
        memcpy(kept + kept_bytes, line, bytes);
        kept_bytes += bytes;
        kept[kept_bytes] = '\0';
    }
    kept_lines++;
}

static int64_t stopped_clock(void *arg)
{
    return *(int64_t *)arg;
}

static int64_t clock_ns;

/* A log that this thread pumps, with a clock that stands. */
static struct takt_log *make(struct takt_log_cfg cfg)
{
    struct takt_log *log;
    struct takt_error e;
    kept_bytes = kept_lines = 0;
    kept[0] = '\0';
    clock_ns = 5000000000;
    cfg.write = keep;
    cfg.pumped = true;
    cfg.now_ns = stopped_clock;
    cfg.now_arg = &clock_ns;
    return takt_log_create(&cfg, &log, &e) < 0 ? NULL : log;
}

static const char *const clock_zero = "0.000000 info: ";

static bool kept_is(const char *text)
{
    char want[8192];
    snprintf(want, sizeof want, "%s%s\n", clock_zero, text);
    bool is = !strcmp(kept, want);
    if (!is)
        printf("# %s# wanted: %s", kept, want);
    return is;
}

/* Logs it, and wants to read what printf prints. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char same_[4096];                                                                          \
        snprintf(same_, sizeof same_, __VA_ARGS__);                                                \
        kept_bytes = 0;                                                                            \
        takt_log(log, TAKT_LOG_INFO, __VA_ARGS__);                                                 \
        CHECK_INT(takt_log_pump(log), 1);                                                          \
        CHECK(kept_is(same_));                                                                     \
    } while (0)

/* ---- Formats -----------------------------------------------------------------------------------
 */

static void a_line_is_what_printf_prints(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    CHECK(log);
    SAME("nothing but words, 100%% of them");
    SAME("%d %i %u %x %X %o", -5, INT_MIN, UINT_MAX, 0xbeefu, 0xbeefu, 8u);
    SAME("%hhd %hd %hhu %hu", (signed char)-1, (short)-2, (unsigned char)255,
         (unsigned short)65535);
    SAME("%ld %lu %lld %llu", LONG_MIN, ULONG_MAX, LLONG_MIN, ULLONG_MAX);
    SAME("%zu %zd %td %jd %ju", SIZE_MAX, (ssize_t)-3, (ptrdiff_t)-4, INTMAX_MIN, UINTMAX_MAX);
    SAME("%f %F %e %E %g %G %a %A", 1.5, -0.25, 1e-300, 1e300, 0.1, 1e-5, 1.0, DBL_MIN);
    SAME("%f %g %f", (double)INFINITY, (double)NAN, DBL_MAX);
    SAME("%.3Lf %lf", 2.0L / 3, 0.5);
    SAME("%c%c%c", 'a', '%', 'z');
    SAME("%s|%s|%.3s|%.0s|%10s|%-10s|", "", "word", "cut it", "none", "right", "left");
    SAME("%p %p", (void *)log, (void *)NULL);
    SAME("%+d % d %05d %-5d| %#x %+.2e", 5, 5, 42, 42, 255u, 12345.678);
    SAME("%*d|%-*d|%*d|", 8, 1, 8, 2, -8, 3);
    SAME("%.*f|%.*s|%.*d|", 2, 1.23456, 3, "abcdef", -1, 7);
    SAME("%999d", 1);
    SAME("%d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8);
    takt_log_destroy(log);
}

/* Random formats of all that is allowed, with random arguments. */
static void random_formats_are_what_printf_prints(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    struct takt_random r = takt_random_seed(7);
    CHECK(log);
    for (int n = 0; n < 20000; n++) {
        static const char *const letters[] = {"lld", "llu", "llx", "llo", "jd", "zu"};
        char format[64], flags[4] = "", number[16] = "", *at = flags;
        for (int i = 0; i < 3; i++)
            if (takt_random_below(&r, 3) == 0)
                *at++ = "-+ #0"[takt_random_below(&r, 5)];
        *at = '\0';
        bool is_real = takt_random_below(&r, 2);
        if (takt_random_below(&r, 2))
            snprintf(number, sizeof number, "%d", 1 + (int)takt_random_below(&r, 40));
        if (takt_random_below(&r, 2))
            snprintf(number + strlen(number), sizeof number - strlen(number), ".%d",
                     (int)takt_random_below(&r, 30));
        char real[2] = {"feEgGa"[takt_random_below(&r, 6)], '\0'};
        snprintf(format, sizeof format, "<%%%s%s%s> %%s", flags, number,
                 is_real ? real : letters[takt_random_below(&r, 6)]);
        uint64_t bits = takt_random_u64(&r) >> takt_random_below(&r, 64);
        double value =
            (takt_random_unit(&r) - 0.5) * exp2((double)takt_random_below(&r, 200) - 100);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        if (is_real)
            SAME(format, value, "end");
        else
            SAME(format, (long long)bits, "end");
#pragma GCC diagnostic pop
    }
    takt_log_destroy(log);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"

/* What printf would do harm with, or what has no bound. The line shows the format instead. */
static void formats_that_cannot_be_logged_are_refused_and_shown(void)
{
    static const char *const bad[] = {
        "%n",
        "%5n",
        "%hhn",
        "%1$d",
        "%2$*1$d",
        "%m",
        "%ls",
        "%lc",
        "%S",
        "%C",
        "%k",
        "%",
        "100%",
        "%l",
        "%'d",
        "%Id",
        "%1000d",
        "%.1000f",
        "%99999999999d",
        "%hf",
        "%Ld",
        "%llf",
        "%ls %d",
        "%d %n",
        "%d%d%d%d%d%d%d%d%d",
        "%*d%*d%*d%*d%*d",
        "%-",
        "%-------------d",
        "%.",
        "%hs",
        "%zs",
        "%lp",
    };
    struct takt_log *log = make((struct takt_log_cfg){0});
    CHECK(log);
    int untouched = 77;
    struct takt_log_counts c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[200];
        kept_bytes = 0;
        takt_log(log, TAKT_LOG_INFO, bad[i], &untouched, &untouched, &untouched, &untouched,
                 &untouched, &untouched, &untouched, &untouched, &untouched, &untouched);
        CHECK_INT(takt_log_pump(log), 1);
        snprintf(want, sizeof want, "a format that cannot be logged: %s", bad[i]);
        CHECK(kept_is(want));
        takt_log_counts(log, &c);
        CHECK_INT(c.refused, i + 1);
    }
    CHECK_INT(untouched, 77);
    kept_bytes = 0;
    takt_log(log, TAKT_LOG_INFO, NULL);
    takt_log_pump(log);
    CHECK(kept_is("(null)"));
    takt_log_destroy(log);
}

/* Any bytes at all for a format, with arguments that are all valid pointers: under the sanitizers
 * this shows that nothing is read or written that is not there. */
static void no_format_reaches_outside(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    struct takt_random r = takt_random_seed(11);
    CHECK(log);
    static const char letters[] = "%%%%%%%%diouxXfeEgGacspnmSC-+ #0'I*.123456789hhlljztLq$ \n\xc3";
    static char word[] = "word";
    for (int n = 0; n < 50000; n++) {
        char format[40];
        size_t length = takt_random_below(&r, sizeof format);
        for (size_t i = 0; i < length; i++)
            format[i] = letters[takt_random_below(&r, sizeof letters)];
        format[length < sizeof format ? length : sizeof format - 1] = '\0';
        if (strstr(format, "L")) /* that argument lies elsewhere on most machines */
            continue;
        kept_bytes = 0;
        takt_log(log, TAKT_LOG_INFO, format, word, word, word, word, word, word, word, word, word);
        CHECK_INT(takt_log_pump(log), 1);
        CHECK_INT(kept[kept_bytes - 1], '\n');
        CHECK(memchr(kept, '\n', kept_bytes) == kept + kept_bytes - 1);
    }
    takt_log_destroy(log);
}

static void a_format_without_an_end_is_refused_within_its_bound(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    static char format[TAKT_LOG_FORMAT_BYTES + 2];
    struct takt_log_counts c;
    CHECK(log);
    memset(format, 'x', sizeof format);
    format[TAKT_LOG_FORMAT_BYTES] = '\0';
    takt_log(log, TAKT_LOG_INFO, format);
    takt_log_pump(log);
    CHECK(kept_is(format));
    format[TAKT_LOG_FORMAT_BYTES] = 'x'; /* and no end behind it */
    takt_log(log, TAKT_LOG_INFO, format);
    takt_log_pump(log);
    takt_log_counts(log, &c);
    CHECK_INT(c.refused, 1);
    takt_log_destroy(log);
}

/* The format was altered after the call: nonsense may come out, but no crash. */
static void a_format_that_changes_meanwhile_does_no_harm(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    char format[16] = "%d %d";
    CHECK(log);
    static const char *const later[] = {"%s %s", "%n", "%d %d %d", "%f %f", "%*s", "%p", ""};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        strcpy(format, "%d %d");
        takt_log(log, TAKT_LOG_INFO, format, 1, 2);
        strcpy(format, later[i]);
        CHECK_INT(takt_log_pump(log), 1);
    }
    takt_log_destroy(log);
}

#pragma GCC diagnostic pop

/* ---- Strings and lines -------------------------------------------------------------------------
 */

static void strings_are_copied_and_cut_at_whole_characters(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    CHECK(log);
    char text[100];
    for (size_t length = 0; length < 90; length++) {
        memset(text, 'a', length);
        text[length] = '\0';
        kept_bytes = 0;
        takt_log(log, TAKT_LOG_INFO, "%s", text);
        memset(text, 'b', sizeof text - 1); /* the caller's again */
        takt_log_pump(log);
        char want[100] = "";
        memset(want, 'a', length < 48 ? length : 47);
        if (length >= 48)
            strcat(want, "...");
        CHECK(kept_is(want));
    }
    for (int shift = 0; shift < 4; shift++) { /* the cut falls on each byte of a character */
        char want[100];
        int fit = (TAKT_LOG_STRING_BYTES - 1 - shift) / 3;
        snprintf(text, sizeof text, "%.*s€€€€€€€€€€€€€€€€€€€€", shift, "xyz");
        snprintf(want, sizeof want, "%.*s...", shift + 3 * fit, text);
        kept_bytes = 0;
        takt_log(log, TAKT_LOG_INFO, "%s", text);
        takt_log_pump(log);
        CHECK(kept_is(want));
    }
    char unended[3] = {'a', 'b', 'c'};
    const char *volatile nothing = NULL;
    kept_bytes = 0;
    takt_log(log, TAKT_LOG_INFO, "%.3s %.*s %s", unended, 2, unended, nothing);
    takt_log_pump(log);
    CHECK(kept_is("abc ab (null)"));
    takt_log_destroy(log);
}

static void a_message_is_one_printable_line(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    CHECK(log);
    takt_log(log, TAKT_LOG_INFO, "two\nlines\t%s", "\x1b[31m \xc2\x9b \xff \xc3\xa9 \xed\xa0\x80");
    takt_log_pump(log);
    CHECK(kept_is("two?lines??[31m ?? ? \xc3\xa9 ???"));
    kept_bytes = 0;
    takt_log(log, TAKT_LOG_INFO, "%999d%999d%999d%999d%999d", 1, 2, 3, 4, 5);
    takt_log_pump(log);
    CHECK_INT(kept_bytes, strlen(clock_zero) + 4095 + 1);
    CHECK(!memcmp(kept + kept_bytes - 5, "4...\n", 5) ||
          !memcmp(kept + kept_bytes - 5, " ...\n", 5));
    takt_log_destroy(log);
}

static void times_levels_and_json_are_as_promised(void)
{
    struct takt_log *log = make((struct takt_log_cfg){.level = TAKT_LOG_WARNING, .json = true});
    CHECK(log);
    takt_log(log, TAKT_LOG_INFO, "below");
    clock_ns += 1500000001;
    takt_log(log, TAKT_LOG_ERROR, "a \"quoted\" back\\slash %d", 3);
    takt_log_at(log, clock_ns - 2000000001, TAKT_LOG_WARNING, "before");
    CHECK_INT(takt_log_pump(log), 2);
    CHECK(!strcmp(kept, "{\"type\":\"log\",\"time_s\":1.500000001,\"level\":\"error\",\"text\":\"a "
                        "\\\"quoted\\\" back\\\\slash 3\"}\n"
                        "{\"type\":\"log\",\"time_s\":-0.500000000,\"level\":\"warning\","
                        "\"text\":\"before\"}\n"));
    takt_log_destroy(log);
    takt_log(NULL, TAKT_LOG_ERROR, "to nobody");
}

/* That of the system, else one that is made for it. */
static bool take_locale_with_a_comma(void)
{
    char folder[] = "/tmp/takt-locale-XXXXXX", command[200];
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        return true;
    if (!mkdtemp(folder))
        return false;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
             folder);
    bool made = system(command) == 0;
    setenv("LOCPATH", folder, 1);
    made = made && setlocale(LC_NUMERIC, "de_DE.UTF-8");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 && made;
}

static void a_point_is_a_point_in_every_locale(void)
{
    if (!take_locale_with_a_comma())
        SKIP("no locale with another point can be made");
    struct takt_log *log = make((struct takt_log_cfg){0});
    takt_log(log, TAKT_LOG_INFO, "%.1f", 1.5);
    takt_log_pump(log);
    setlocale(LC_NUMERIC, "C");
    CHECK(kept_is("1.5"));
    takt_log_destroy(log);
}

/* ---- Drops -------------------------------------------------------------------------------------
 */

/* Whatever the pattern of calls and pumps: every message is either a line or told of as dropped,
 * and the count stands before the next line that got through. */
static void every_message_is_written_or_told_of_as_dropped(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct takt_log *log = make((struct takt_log_cfg){.ring_bytes = 1024});
        struct takt_random r = takt_random_seed(seed);
        CHECK(log);
        unsigned offered = 0;
        for (int round = 0; round < 60; round++) {
            for (uint64_t n = takt_random_below(&r, 60); n; n--)
                takt_log(log, TAKT_LOG_INFO, "number %u%.*s", offered++,
                         (int)takt_random_below(&r, 40),
                         "                                        ");
            if (takt_random_below(&r, 2))
                takt_log_pump(log);
        }
        takt_log_pump(log);
        struct takt_log_counts c;
        takt_log_counts(log, &c);
        takt_log_destroy(log);
        CHECK(c.dropped > 100 && c.written > 100);
        CHECK_INT(c.written + c.dropped, offered);
        unsigned next = 0; /* the number that has to come */
        for (char *line = strtok(kept, "\n"); line; line = strtok(NULL, "\n")) {
            unsigned n;
            if (sscanf(line, "%*f warning: ... %u message", &n) == 1) {
                next += n;
                continue;
            }
            CHECK_INT(sscanf(line, "%*f info: number %u", &n), 1);
            CHECK_INT(n, next);
            next++;
        }
        CHECK_INT(next, offered);
    }
}

/* ---- Sinks -------------------------------------------------------------------------------------
 */

static void files_and_descriptors_get_all_lines(void)
{
    for (int by_fd = 0; by_fd < 2; by_fd++) {
        FILE *f = tmpfile();
        struct takt_log *log;
        CHECK(f);
        struct takt_log_cfg cfg = {.file = by_fd ? NULL : f, .fd = by_fd ? fileno(f) : 0};
        CHECK_INT(takt_log_create(&cfg, &log, NULL), 0);
        for (int i = 0; i < 300; i++) {
            takt_log(log, TAKT_LOG_INFO, "line %d", i);
            if (i % 100 == 99)
                CHECK_INT(takt_log_flush(log, 20000), 0);
        }
        struct takt_log_counts c;
        takt_log_counts(log, &c);
        CHECK_INT(c.written, 300);
        takt_log_destroy(log);
        rewind(f);
        int lines = 0, n = -1;
        while (fscanf(f, "%*f info: line %d\n", &n) == 1)
            lines += n == lines;
        CHECK_INT(lines, 300);
        fclose(f);
    }
}

static void a_sink_that_refuses_is_counted_and_ends_nothing(void)
{
    int ends[2];
    struct takt_log *log;
    struct takt_log_counts c;
    CHECK_INT(pipe(ends), 0);
    close(ends[0]); /* nobody reads: EPIPE, and the signal stays with the worker */
    CHECK_INT(takt_log_create(&(struct takt_log_cfg){.fd = ends[1]}, &log, NULL), 0);
    takt_log(log, TAKT_LOG_INFO, "into the void");
    CHECK_INT(takt_log_flush(log, 20000), 0);
    takt_log_counts(log, &c);
    CHECK_INT(c.failed, 1);
    takt_log_destroy(log);
    close(ends[1]);
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        SKIP("no /dev/full");
    CHECK_INT(takt_log_create(&(struct takt_log_cfg){.file = full}, &log, NULL), 0);
    takt_log(log, TAKT_LOG_INFO, "no room");
    CHECK_INT(takt_log_flush(log, 20000), 0);
    takt_log_counts(log, &c);
    CHECK_INT(c.failed + 10 * c.written, 1);
    takt_log_destroy(log);
    fclose(full);
}

/* The pipe is full and nobody reads. Callers go on, flush and destroy return in time, and what then
 * gets through says what did not. */
static void a_stalled_sink_holds_up_nobody(void)
{
    int ends[2];
    struct takt_log *log;
    CHECK_INT(pipe2(ends, O_NONBLOCK), 0);
    struct takt_log_cfg cfg = {.fd = ends[1], .ring_bytes = 4096, .timeout_ms = 100};
    CHECK_INT(takt_log_create(&cfg, &log, NULL), 0);
    while (write(ends[1], "\n", 1) == 1)
        ; /* until it is full */
    struct takt_log_counts c = {0};
    uint64_t offered = 0;
    while (!c.dropped) {
        takt_log(log, TAKT_LOG_INFO, "message %llu", (unsigned long long)offered++);
        takt_log_counts(log, &c);
    }
    CHECK_INT(takt_log_flush(log, 50), TAKT_ERR_TIMEOUT);
    fcntl(ends[0], F_SETFL, 0);
    FILE *in = fdopen(ends[0], "r");
    char line[200];
    uint64_t seen = 0, told = 0;
    unsigned long long n;
    while (seen + told < offered && fgets(line, sizeof line, in)) {
        if (sscanf(line, "%*f warning: ... %llu message", &n) == 1)
            told += n;
        else if (sscanf(line, "%*f info: message %llu", &n) == 1 && n == seen + told)
            seen++;
        else if (*line != '\n')
            break;
    }
    CHECK_INT(seen + told, offered);
    CHECK_INT(told, c.dropped);
    takt_log_destroy(log);
    fclose(in);
    close(ends[1]);
}

static _Atomic bool floods;

static void *flood(void *log)
{
    while (atomic_load(&floods))
        takt_log(log, TAKT_LOG_INFO, "and another one");
    return NULL;
}

/* What is logged or dropped after its call is no business of flush. */
static void flush_comes_to_its_end_beside_a_thread_that_never_does(void)
{
    struct takt_log *log;
    pthread_t t;
    kept_bytes = kept_lines = 0;
    struct takt_log_cfg cfg = {.write = keep, .ring_bytes = 1024};
    CHECK_INT(takt_log_create(&cfg, &log, NULL), 0);
    atomic_store(&floods, true);
    CHECK_INT(pthread_create(&t, NULL, flood, log), 0);
    int well = 0;
    for (int i = 0; i < 10; i++)
        well += takt_log_flush(log, 20000) == 0;
    atomic_store(&floods, false);
    pthread_join(t, NULL);
    takt_log_destroy(log);
    CHECK_INT(well, 10);
}

static void a_worker_that_hangs_is_left_behind(void)
{
    struct takt_log *log;
    kept_bytes = kept_lines = 0;
    atomic_store(&hangs, true);
    atomic_store(&hanging, false);
    struct takt_log_cfg cfg = {.write = keep, .timeout_ms = 30};
    CHECK_INT(takt_log_create(&cfg, &log, NULL), 0);
    alarm(60); /* a failure is a hang */
    for (int i = 0; i < 5; i++)
        takt_log(log, TAKT_LOG_INFO, "one of five");
    while (!atomic_load(&hanging))
        takt_sleep_ms(1);
    takt_log_destroy(log);
    atomic_store(&hanging, false);
    atomic_store(&hangs, false); /* it ends on its own, and writes nothing more */
    takt_sleep_ms(50);
    alarm(0);
    CHECK(!atomic_load(&hanging));
}

static void bad_settings_and_failing_steps_leave_nothing(void)
{
    struct takt_log *log;
    struct takt_error e;
    const struct takt_log_cfg bad[] = {{0},
                                       {.file = stdout, .write = keep},
                                       {.fd = -1},
                                       {.file = stdout, .fd = 1},
                                       {.file = stdout, .ring_bytes = 1000},
                                       {.file = stdout, .ring_bytes = (1 << 26) + 1},
                                       {.file = stdout, .level = (enum takt_log_level)9}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        log = (void *)&e;
        CHECK_INT(takt_log_create(&bad[i], &log, &e), TAKT_ERR_ARG);
        CHECK(!log && e.text[0]);
    }
    int failures = 0;
    for (int n = 1; failures < 20; n++) {
        fail_at = n;
        int err = takt_log_create(&(struct takt_log_cfg){.write = keep}, &log, &e);
        bool reached = fail_at == 0;
        fail_at = 0;
        if (!err) {
            takt_log_destroy(log);
            CHECK(!reached);
            break;
        }
        CHECK(err == TAKT_ERR_NOMEM && !log);
        failures++;
    }
    CHECK_INT(failures, 3); /* the log, the thread, its stack */
    takt_log_destroy(NULL);
}

/* ---- What the caller pays ----------------------------------------------------------------------
 */

enum { CALLS = 20000 };

static void log_all_kinds(struct takt_log *log, int i)
{
    takt_log(log, TAKT_LOG_INFO, "%d %llu %.3f %s %p %c %*d", i, 1ull << 40, 1.5, "a string",
             (void *)log, 'x', 5, i);
    takt_log(log, TAKT_LOG_INFO, "bad %n", &i);
    takt_log(log, TAKT_LOG_DEBUG, "below the level");
}

/* The kernel kills this process at any system call but read, write and exit; the ring is full for
 * most of it. */
static void a_call_without_a_worker_makes_no_system_call(void)
{
    struct takt_log *log = make((struct takt_log_cfg){0});
    CHECK(log);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(2);
        for (int i = 0; i < CALLS; i++)
            log_all_kinds(log, i);
        syscall(SYS_exit, 0);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0); /* 9: killed for a system call */
    takt_log_destroy(log);
}

/* With a worker that sleeps between: only wake-ups, at most one for each of its rests. */
static void calls_allocate_nothing_and_wake_the_worker_at_most_once_a_rest(void)
{
    struct takt_log *log;
    kept_bytes = kept_lines = 0;
    CHECK_INT(takt_log_create(&(struct takt_log_cfg){.write = keep}, &log, NULL), 0);
    requests = wake_ups = 0;
    int64_t began = takt_now_ns();
    for (int i = 0; i < 2000; i++) {
        log_all_kinds(log, i);
        if (i % 400 == 399)
            takt_sleep_ms(120); /* long enough for it to fall asleep */
        for (int64_t until = takt_now_ns() + 100000; takt_now_ns() < until;)
            ;
    }
    long rests = (long)((takt_now_ns() - began) / 10000000);
    printf("# %ld wake-ups in %ld rests of 10 ms\n", wake_ups, rests);
    CHECK_INT(requests, 0);
    CHECK(wake_ups >= 1 && wake_ups <= rests + 1);
    takt_log_destroy(log);
}

int main(void)
{
    RUN(a_line_is_what_printf_prints);
    RUN(random_formats_are_what_printf_prints);
    RUN(formats_that_cannot_be_logged_are_refused_and_shown);
    RUN(no_format_reaches_outside);
    RUN(a_format_without_an_end_is_refused_within_its_bound);
    RUN(a_format_that_changes_meanwhile_does_no_harm);
    RUN(strings_are_copied_and_cut_at_whole_characters);
    RUN(a_message_is_one_printable_line);
    RUN(times_levels_and_json_are_as_promised);
    RUN(a_point_is_a_point_in_every_locale);
    RUN(every_message_is_written_or_told_of_as_dropped);
    RUN(files_and_descriptors_get_all_lines);
    RUN(a_sink_that_refuses_is_counted_and_ends_nothing);
    RUN(a_stalled_sink_holds_up_nobody);
    RUN(flush_comes_to_its_end_beside_a_thread_that_never_does);
    RUN(a_worker_that_hangs_is_left_behind);
    RUN(bad_settings_and_failing_steps_leave_nothing);
    RUN_UNLESS_SANITIZED(a_call_without_a_worker_makes_no_system_call);
    RUN_UNLESS_SANITIZED(calls_allocate_nothing_and_wake_the_worker_at_most_once_a_rest);
    return tap_done();
}
