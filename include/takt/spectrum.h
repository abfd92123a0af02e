/*
 * takt/spectrum.h - how loud sound is at each frequency, and where its peaks are.
 *
 *     takt_spectrum_create(&(struct takt_spectrum_cfg){.size = 2048}, &s, &e);
 *     takt_spectrum_process(s, x, position);               // x[2048], on a worker
 *     const float *power = takt_spectrum_power(s);         // of the bins 0..1024
 *     n = takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){0}, peaks, 8);
 *
 * A bin's power is 1 for a full-scale sine at its frequency, whatever the size and the taper. So
 * 10·log10(power) is in dBFS of peaks: that sine reads 0, as does its peak in takt/level.h, where
 * its RMS reads -3.01. Of several channels each bin has the loudest.
 *
 * A sine between two bins is low in both; takt_spectrum_peaks finds it by a parabola through three
 * logarithms of power (exact for a Gaussian taper: J. O. Smith and X. Serra, "PARSHL", 1987), made
 * right by the taper's own curve, which is measured when it is made. A lone steady sine that is 6
 * bins or more from 0 Hz and from half the rate comes out
 *
 *     within               of its frequency, bins      of its level, dB
 *     rect                         0.1                        0.2
 *     hamming, gauss, flat-top     0.005                      0.02
 *     any other                    0.001                      0.005
 *
 * of which what is left is its own mirror image's, and half the distance makes it worse.
 */
#ifndef TAKT_SPECTRUM_H
#define TAKT_SPECTRUM_H

#include "takt/error.h"
#include "takt/taper.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_spectrum;

/* What takt_spectrum_power gives of many windows. */
enum takt_spectrum_average {
    TAKT_SPECTRUM_LATEST = 0, /* the last window alone */
    TAKT_SPECTRUM_FADING,     /* the mean of power, the past fading by e every average_s */
    TAKT_SPECTRUM_MEAN,       /* of all since create or reset (Welch 1967) */
    TAKT_SPECTRUM_MAX         /* the most that each bin had since then, falling by fall_db_s */
};

/* A zero field takes its default. */
struct takt_spectrum_cfg {
    uint32_t rate_hz;            /* default 48000 */
    uint32_t channels;           /* 1..64, default 1 */
    size_t size;                 /* a power of two, 64..65536; default 2048 */
    struct takt_taper_cfg taper; /* default Hann */
    enum takt_spectrum_average average;
    double average_s; /* default 0.5 */
    double fall_db_s; /* default 0: held for good */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_spectrum_create(const struct takt_spectrum_cfg *cfg, struct takt_spectrum **out,
                                  struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_spectrum_destroy(struct takt_spectrum *s);

/* Takes in one window, whose first frame stands at `position`; time for averages comes from there,
 * so a gap fades as its length says. One that is not behind the last begins anew. What is no finite
 * number counts as 0, what is beyond +-1e6 as +-1e6.
 * Shape: x[size][channels], interleaved. Errors: none. Thread: one at a time.
 * RT: yes (wait-free), O(channels * size * log size). */
TAKT_API void takt_spectrum_process(struct takt_spectrum *s, const float *x, uint64_t position);

/* Averages begin anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_spectrum_reset(struct takt_spectrum *s);

/* size / 2 + 1. Thread: any. RT: yes. */
TAKT_API size_t takt_spectrum_bins(const struct takt_spectrum *s);

/* The frequency of a bin, whole or between two. Thread: any. RT: yes. */
TAKT_API double takt_spectrum_hz(const struct takt_spectrum *s, double bin);

/* The average, and the last window; all 0 before the first. Shape: [bins]. Units: 1 for a
 * full-scale sine. They alter with the next process. Thread: the one that processes. RT: yes. */
TAKT_API const float *takt_spectrum_power(const struct takt_spectrum *s);
TAKT_API const float *takt_spectrum_latest(const struct takt_spectrum *s);

/* The one-sided power spectral density, for noise, whose power in a bin grows with the bin's width:
 * its sum times rate / size is the mean square of the sound. 0 dBFS/Hz is a mean square of 1.
 * Shape: power[bins], density[bins], which may be the same. Thread: any. RT: yes, O(bins). */
TAKT_API void takt_spectrum_density(const struct takt_spectrum *s, const float *power,
                                    float *density);

struct takt_spectrum_peak {
    double hz, dbfs;
    double bin; /* hz in bins */
};

/* A zero field takes its default. */
struct takt_spectrum_peaks_cfg {
    double low_hz, high_hz; /* default all, but for the bins at both ends */
    double floor_dbfs;      /* no peak below that; default -100 */
    double range_db;        /* none so far below the highest; default 60 */
    double prominence_db;   /* both sides fall by as much before they rise higher; default 6 */
};

enum { TAKT_SPECTRUM_PEAKS_MOST = 64 };

/* The highest peaks, the highest first; at most `most` and TAKT_SPECTRUM_PEAKS_MOST of them. A
 * peak that may be but a side lobe of a higher one is left out. Returns how many.
 * Shape: power[bins], peaks[most]. Errors: none. Thread: the one that processes, as it works in s.
 * RT: yes (wait-free), O(bins * log bins), whatever the power. */
TAKT_API size_t takt_spectrum_peaks(struct takt_spectrum *s, const float *power,
                                    const struct takt_spectrum_peaks_cfg *cfg,
                                    struct takt_spectrum_peak *peaks, size_t most);

/* From one frequency to another over a picture's columns, by ratio or by difference. */
struct takt_spectrum_axis {
    double low_hz, high_hz; /* 0 < low_hz < high_hz where it is logarithmic, else 0 <= low_hz */
    bool is_log;
};

/* So many columns from left to right: each shows the highest of its bins, so that no peak is lost,
 * and where it has none what lies between two bins, in dB. Beyond half the rate: -200.
 * Shape: power[bins], dbfs[columns]. Thread: any. RT: yes (wait-free), O(bins + columns). */
TAKT_API void takt_spectrum_columns(const struct takt_spectrum *s, const float *power,
                                    const struct takt_spectrum_axis *axis, float *dbfs,
                                    size_t columns);

#ifdef __cplusplus
}
#endif
#endif
