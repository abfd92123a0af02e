/*
 * takt/taper.h - the curves that a piece of sound is multiplied with before a Fourier transform,
 * elsewhere called windows (in takt a window is the piece itself).
 *
 *     takt_taper_fill(&(struct takt_taper_cfg){.kind = TAKT_TAPER_HANN}, w, 2048, &facts);
 *     double amplitude = magnitude * 2 / (2048 * facts.gain);   // of a sine in the middle of a bin
 *
 * All are periodic: w[n] is the curve at n / size, and the largest value, 1, lies at size/2.
 * F. J. Harris, "On the Use of Windows for Harmonic Analysis with the DFT", Proc. IEEE 66 (1978),
 * has all of them and their figures but the flat top, which is D'Antona and Ferrero's (Digital
 * Signal Processing for Measurement Systems, 2006): sums of cosines, but for the last three.
 *
 *     kind              a sine between two bins reads low by   side lobes   enbw, bins
 *     hann                               1.42 dB                  -31 dB       1.50
 *     hamming                            1.75 dB                  -43 dB       1.36
 *     blackman                           1.10 dB                  -58 dB       1.73
 *     blackman-harris                    0.83 dB                  -92 dB       2.00
 *     flat-top                           0.01 dB                  -93 dB       3.77
 *     kaiser                  as its shape says, beta; 9.42: 1.02 dB, -69 dB, 1.80
 *     gauss                   as its shape says, sigma
 *     rect                               3.92 dB                  -13 dB       1.00
 */
#ifndef TAKT_TAPER_H
#define TAKT_TAPER_H

#include "takt/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum takt_taper {
    TAKT_TAPER_HANN = 0,
    TAKT_TAPER_HAMMING,
    TAKT_TAPER_BLACKMAN,
    TAKT_TAPER_BLACKMAN_HARRIS, /* of four terms */
    TAKT_TAPER_FLAT_TOP,        /* of five */
    TAKT_TAPER_KAISER,
    TAKT_TAPER_GAUSS,
    TAKT_TAPER_RECT
};

/* A zero field takes its default. */
struct takt_taper_cfg {
    enum takt_taper kind;
    double shape; /* kaiser: beta, 0..50, default 9.42 (3 pi); gauss: sigma in halves of the size,
                   * 0.05..10, default 0.4; else not looked at */
};

struct takt_taper_facts {
    double gain;      /* coherent: the mean of w */
    double power;     /* the mean of w² */
    double enbw_bins; /* equivalent noise bandwidth: power / gain², 1 for rect */
};

/* Shape: w[size], size >= 2. facts may be NULL; they are of the w that it wrote.
 * Errors: TAKT_ERR_ARG, and nothing is written then. Thread: any. RT: no, it takes its time. */
TAKT_API int takt_taper_fill(const struct takt_taper_cfg *cfg, float *w, size_t size,
                             struct takt_taper_facts *facts);

/* "blackman-harris"; NULL beyond the last, so that they can be listed. Thread: any. RT: yes. */
TAKT_API const char *takt_taper_name(enum takt_taper kind);

#ifdef __cplusplus
}
#endif
#endif
