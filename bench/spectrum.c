/*
 * What a live spectrum costs: windows of 2048 frames every 512, at 48 kHz, of two channels, and
 * third-octave bands beside it. A share is the time for one hop against the hop's own length: of
 * one core, in a stream that never ends. Only what takt spectrum does on its worker is timed; the
 * bare transforms of both channels stand beside it.
 */
#include <takt/takt.h>

#include "bench.h"

#include <math.h>
#include <stdbool.h>

enum { RATE_HZ = 48000, SIZE = 2048, HOP = 512, CHANNELS = 2, COLUMNS = 400, TURNS = 400 };
enum { STEPS = 5 };
static const char *const names[STEPS] = {"transforms", "spectrum", "peaks", "columns", "bands"};

static float sound[SIZE * CHANNELS + HOP * 8 * CHANNELS], mono[SIZE], bins[SIZE + 2];

int main(void)
{
    static double ns[STEPS][TURNS];
    struct takt_spectrum *s;
    struct takt_bands *b;
    struct takt_fft *f;
    struct takt_spectrum_peak peaks[8];
    static float columns[COLUMNS];
    struct takt_error e;
    if (takt_spectrum_create(&(struct takt_spectrum_cfg){.rate_hz = RATE_HZ,
                                                         .channels = CHANNELS,
                                                         .size = SIZE,
                                                         .average = TAKT_SPECTRUM_FADING},
                             &s, &e) < 0 ||
        takt_bands_create(&(struct takt_bands_cfg){.rate_hz = RATE_HZ, .channels = CHANNELS}, &b,
                          &e) < 0 ||
        takt_fft_create(&(struct takt_fft_cfg){.size = SIZE}, &f, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    /* Two rows of partials over some noise. */
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
        double x = 0;
        for (int k = 1; k <= 12; k++)
            x += sin(6.283185307 * k * (i % 2 ? 220 : 331) * (double)(i / 2) / RATE_HZ) / (6 * k);
        noise = noise * 1664525u + 1013904223u;
        sound[i] = (float)(x + 1e-3 * (noise / 4294967296.0 - 0.5));
    }
    for (int i = 0; i < SIZE; i++)
        mono[i] = sound[2 * i];
    long long steal = bench_steal_ticks();
    for (int turn = 0; turn < TURNS; turn++) {
        const float *x = sound + turn % 8 * HOP * CHANNELS;
        int64_t at[STEPS + 1];
        at[0] = bench_now_ns();
        for (int c = 0; c < CHANNELS; c++)
            takt_fft_forward(f, mono, bins);
        at[1] = bench_now_ns();
        takt_spectrum_process(s, x, (uint64_t)turn * HOP);
        at[2] = bench_now_ns();
        takt_spectrum_peaks(s, takt_spectrum_power(s), &(struct takt_spectrum_peaks_cfg){0}, peaks,
                            8);
        at[3] = bench_now_ns();
        takt_spectrum_columns(s, takt_spectrum_power(s),
                              &(struct takt_spectrum_axis){20, 20000, true}, columns, COLUMNS);
        at[4] = bench_now_ns();
        takt_bands_process(b, x, SIZE, (uint64_t)turn * HOP);
        at[5] = bench_now_ns();
        for (int k = 0; k < STEPS; k++)
            ns[k][turn] = (double)(at[k + 1] - at[k]);
        bench_barrier();
    }
    double hop_ns = 1e9 * HOP / RATE_HZ, sum = 0;
    printf("{\"bench\":\"spectrum\",\"rate_hz\":%d,\"size\":%d,\"hop\":%d,\"channels\":%d,"
           "\"columns\":%d",
           RATE_HZ, SIZE, HOP, CHANNELS, COLUMNS);
    for (int k = 0; k < STEPS; k++) {
        double median = bench_median(ns[k], TURNS);
        sum += k == 1 || k == 2 || k == 3 ? median : 0;
        printf(",\"%s_us\":%.2f", names[k], median / 1e3);
    }
    double bands = bench_median(ns[4], TURNS);
    printf(",\"spectrum_core_percent\":%.3f,\"spectrum_limit_percent\":1,"
           "\"bands_core_percent\":%.3f,\"holds\":%s,\"steal_ticks\":%lld}\n",
           100 * sum / hop_ns, 100 * bands / hop_ns, sum <= 0.01 * hop_ns ? "true" : "false",
           bench_steal_ticks() - steal);
    takt_spectrum_destroy(s);
    takt_bands_destroy(b);
    takt_fft_destroy(f);
    return sum <= 0.01 * hop_ns ? 0 : 1;
}
