/*
 * What loudness and needles cost: the share of one core that a stereo stream at 48 kHz takes.
 *
 * Beside takt's loudness stands libebur128 alone, told to reckon all of the same by itself
 * (momentary, short-term, integrated, range, true peak) and asked for it ten times a second, as the
 * terminal does. Both take turns in one run, in blocks of 0.1 s; shares are medians over the turns,
 * the ratio the median of each turn's ratio.
 */
#include "takt/loudness.h"
#include "bench.h"
#include "takt/ballistics.h"
#include "takt/level.h"

#include <math.h>
#include <stdbool.h>
#ifdef TAKT_HAVE_EBUR128
#include <ebur128.h>
#endif

enum { RATE_HZ = 48000, CHANNELS = 2, BLOCK = RATE_HZ / 10, SECONDS = 2, TURNS = 21 };

static float x[SECONDS * RATE_HZ * CHANNELS];
static volatile double result;

static void make_sound(void)
{
    uint32_t chance = 1;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        chance = chance * 1664525 + 1013904223;
        x[i] = (float)(0.3 * sin((double)i * 0.01) + 1e-10 * chance);
    }
}

/* Time of this thread alone: what others do meanwhile is no share of ours. */
static int64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static double share(int64_t ns)
{
    return (double)ns / (SECONDS * 1e9);
}

static void report(const char *name, double *shares)
{
    printf("{\"bench\":\"loudness\",\"what\":\"%s\",\"share_of_a_core_percent\":%.3f}\n", name,
           100 * bench_median(shares, TURNS));
}

static double run_needles(uint64_t from)
{
    static struct takt_ballistics *b;
    struct takt_error e;
    if (!b &&
        takt_ballistics_create(&(struct takt_ballistics_cfg){CHANNELS, RATE_HZ, 0}, &b, &e) < 0)
        exit(takt_die(&e));
    int64_t start = used_ns();
    for (size_t at = 0; at < SECONDS * RATE_HZ; at += BLOCK) {
        struct takt_ballistics_reading now;
        takt_ballistics_process(b, x + at * CHANNELS, BLOCK, from + at);
        takt_ballistics_read(b, 0, &now);
        result = now.rms_dbfs;
    }
    return share(used_ns() - start);
}

#ifdef TAKT_HAVE_EBUR128
static double run_takt(uint64_t from, bool true_peak)
{
    static struct takt_loudness *meters[2];
    struct takt_loudness **l = &meters[true_peak];
    struct takt_loudness_cfg cfg = {CHANNELS, RATE_HZ, NULL, !true_peak};
    struct takt_loudness_reading now;
    struct takt_error e;
    if (!*l && takt_loudness_create(&cfg, l, &e) < 0)
        exit(takt_die(&e));
    int64_t start = used_ns();
    for (size_t at = 0; at < SECONDS * RATE_HZ; at += BLOCK) {
        takt_loudness_process(*l, x + at * CHANNELS, BLOCK, from + at);
        takt_loudness_read(*l, &now);
        result = now.integrated_lufs;
    }
    return share(used_ns() - start);
}

static double run_theirs(void)
{
    static ebur128_state *s;
    double now;
    if (!s)
        s = ebur128_init(CHANNELS, RATE_HZ,
                         EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK |
                             EBUR128_MODE_HISTOGRAM);
    int64_t start = used_ns();
    for (size_t at = 0; at < SECONDS * RATE_HZ; at += BLOCK) {
        ebur128_add_frames_float(s, x + at * CHANNELS, BLOCK);
        ebur128_loudness_momentary(s, &now);
        ebur128_loudness_shortterm(s, &now);
        ebur128_loudness_global(s, &now);
        ebur128_loudness_range(s, &now);
        ebur128_true_peak(s, 0, &now);
        result = now;
    }
    return share(used_ns() - start);
}
#endif

int main(void)
{
    double needles[TURNS];
    long long steal = bench_steal_ticks();
    make_sound();
    for (int t = 0; t < TURNS; t++)
        needles[t] = run_needles((uint64_t)t * SECONDS * RATE_HZ);
    report("VU, PPM, K, RMS and correlation", needles);
#ifdef TAKT_HAVE_EBUR128
    double ours[TURNS], plain[TURNS], theirs[TURNS], ratios[TURNS];
    for (int t = 0; t < TURNS; t++) {
        uint64_t from = (uint64_t)t * SECONDS * RATE_HZ;
        ours[t] = run_takt(from, true);
        theirs[t] = run_theirs();
        plain[t] = run_takt(from, false);
        ratios[t] = ours[t] / theirs[t];
    }
    report("loudness and true peak", ours);
    report("loudness without true peak", plain);
    report("libebur128 alone", theirs);
    printf("{\"bench\":\"loudness\",\"what\":\"summary\",\"ratio\":%.2f,\"steal_ticks\":%lld}\n",
           bench_median(ratios, TURNS), bench_steal_ticks() - steal);
#else
    printf("{\"bench\":\"loudness\",\"what\":\"summary\",\"steal_ticks\":%lld,"
           "\"note\":\"built without libebur128\"}\n",
           bench_steal_ticks() - steal);
#endif
    return 0;
}
