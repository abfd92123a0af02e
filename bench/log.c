/*
 * What a line of log costs the thread that logs it: takt_log beside snprintf with write(2), and
 * beside fprintf on a buffered file, the same line into the same kind of file, round by round in
 * turn. A worker writes the first one's; the others write for themselves, so their worst is a
 * disk's.
 */
#include "bench.h"

#include <stdbool.h>
#include <string.h>
#include <takt/takt.h>
#include <unistd.h>

enum { ROUNDS = 12, LINES = 1500, COUNT = ROUNDS * LINES, PACE_NS = 20000 };

enum way { TAKT_LOG_WAY, WRITE_WAY, FPRINTF_WAY, EMPTY_WAY, WAYS };
static const char *const names[WAYS] = {"takt_log", "snprintf_write", "fprintf", "nothing"};

static double ns[WAYS][COUNT];
static FILE *files[WAYS];
static struct takt_log *logger;

static void log_line(enum way way, unsigned long long position, unsigned lost, double load)
{
    char text[128];
    ssize_t n = 0;
    switch (way) {
    case TAKT_LOG_WAY:
        takt_log(logger, TAKT_LOG_WARNING, "xrun at %llu: %u frames, load %.3f", position, lost,
                 load);
        break;
    case WRITE_WAY:
        n = snprintf(text, sizeof text, "%.6f warning: xrun at %llu: %u frames, load %.3f\n",
                     (double)takt_now_ns() / 1e9, position, lost, load);
        n = write(fileno(files[way]), text, (size_t)n);
        break;
    case FPRINTF_WAY:
        n = fprintf(files[way], "%.6f warning: xrun at %llu: %u frames, load %.3f\n",
                    (double)takt_now_ns() / 1e9, position, lost, load);
        break;
    default:
        break;
    }
    (void)n;
}

static void one_round(enum way way, int round)
{
    for (int i = 0; i < LINES; i++) {
        int at = round * LINES + i;
        takt_sleep_until_ns(bench_now_ns() + PACE_NS); /* as a callback would: not back to back */
        int64_t begun = bench_now_ns();
        log_line(way, 48000ull * (unsigned)at, (unsigned)i, at * 1e-5);
        bench_barrier();
        ns[way][at] = (double)(bench_now_ns() - begun);
    }
}

int main(void)
{
    struct takt_error e;
    long long steal = bench_steal_ticks();
    for (int way = 0; way < WAYS; way++)
        if (!(files[way] = tmpfile()))
            return 1;
    if (takt_log_create(&(struct takt_log_cfg){.file = files[TAKT_LOG_WAY]}, &logger, &e) < 0)
        return takt_die(&e);
    for (int round = 0; round < ROUNDS; round++)
        for (int way = 0; way < WAYS; way++)
            one_round((enum way)way, round);
    struct takt_log_counts c;
    takt_log_flush(logger, -1);
    takt_log_counts(logger, &c);
    takt_log_destroy(logger);
    double p50[WAYS], p999[WAYS];
    printf("{\"bench\":\"log\",\"lines\":%d,\"dropped\":%llu", COUNT,
           (unsigned long long)c.dropped);
    for (int way = 0; way < WAYS; way++) {
        p50[way] = bench_median(ns[way], COUNT);
        p999[way] = bench_quantile(ns[way], COUNT, 0.999);
        printf(",\"%s_ns\":{\"p50\":%.0f,\"p999\":%.0f,\"max\":%.0f}", names[way], p50[way],
               p999[way], ns[way][COUNT - 1]);
    }
    double own = p50[TAKT_LOG_WAY] - p50[EMPTY_WAY];
    printf(",\"p50_over_write\":%.3f,\"p50_over_fprintf\":%.3f,\"p999_over_write\":%.3f,"
           "\"steal_ticks\":%lld}\n",
           own / (p50[WRITE_WAY] - p50[EMPTY_WAY]), own / (p50[FPRINTF_WAY] - p50[EMPTY_WAY]),
           p999[TAKT_LOG_WAY] / p999[WRITE_WAY], bench_steal_ticks() - steal);
    return c.dropped != 0;
}
