/*
 * takt/ballistics.h - meters with a needle's manners: VU, PPM, the K-System, RMS over a window, and
 * how alike two channels are.
 *
 *     takt_ballistics_create(&(struct takt_ballistics_cfg){.channels = 2}, &b, &e);
 *     takt_ballistics_process(b, x, frames, position);     // in a worker, or in the callback
 *     takt_ballistics_read(b, 0, &now);
 *     printf("%.1f VU\n", takt_needle_mark(TAKT_NEEDLE_VU, now.dbfs[TAKT_NEEDLE_VU]));
 *
 * A steady sine whose tops are at A reads 20·log10(A) dBFS on every needle, as in AES17, so that
 * one at full scale reads 0; takt_needle_mark says what that is on the needle's own scale, where
 * -18 dBFS is the alignment level (EBU R 68). The RMS over a window alone is as in
 * takt/level.h, 3.01 dB less for a sine. Silence is -200 dBFS. Every reading is a finite number:
 * a sample that is none counts as 0, and what is beyond +-1e6 as +-1e6.
 *
 * Sources: IEC 60268-17 (VU); IEC 60268-10 types I, IIa and IIb (PPM; what the needle shows of
 * bursts of 5 kHz, and how fast it returns); R. A. Katz, "An Integrated Approach to Metering,
 * Monitoring, and Levelling Practices", JAES 48(9), 2000 (K-System).
 */
#ifndef TAKT_BALLISTICS_H
#define TAKT_BALLISTICS_H

#include "takt/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_ballistics;

/* A zero field takes its default. */
struct takt_ballistics_cfg {
    uint32_t channels; /* 1..64, default 1 */
    uint32_t rate_hz;  /* 8000..384000, default 48000 */
    double window_s;   /* of RMS and correlation, 0.02..10 in steps of 0.01; default 0.3 */
};

enum takt_needle {
    TAKT_NEEDLE_VU,         /* the mean of |x|; 99 % of a step after 300 ms, 1.25 % beyond it */
    TAKT_NEEDLE_PPM_DIN,    /* type I: -1 dB for 10 ms, returns by 20 dB in 1.5 s */
    TAKT_NEEDLE_PPM_NORDIC, /* type I, returns by 20 dB in 1.7 s; other marks */
    TAKT_NEEDLE_PPM_BBC,    /* type IIa: -2 dB for 10 ms, returns by 24 dB in 2.8 s */
    TAKT_NEEDLE_PPM_EBU,    /* type IIb: the same with other marks */
    TAKT_NEEDLE_K20,        /* RMS; 99 % of a step after 600 ms; 0 dB at -20 dBFS */
    TAKT_NEEDLE_K14,        /* the same with 0 dB at -14 */
    TAKT_NEEDLE_K12,        /* and at -12 dBFS */
    TAKT_NEEDLES
};

struct takt_ballistics_reading {
    double rms_dbfs;               /* over window_s, to the 10 ms begun; a sine's is 3.01 lower */
    double dbfs[TAKT_NEEDLES];     /* where each needle stands */
    double max_dbfs[TAKT_NEEDLES]; /* the highest since create or reset */
};

/* Of the first two channels: the sum of l·r over the root of the sums of l² and r². 1: the same, or
 * one louder; 0: nothing in common, or one of them silent, or there is one channel alone; -1: one
 * is the other upside down, and mono would lose it. */
struct takt_correlation {
    double now;   /* over window_s */
    double total; /* over everything since create or reset */
    double least; /* the least over a whole window since then; 1 before one was whole */
};

/* The only call that allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_ballistics_create(const struct takt_ballistics_cfg *cfg,
                                    struct takt_ballistics **out, struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_ballistics_destroy(struct takt_ballistics *b);

/* Takes in frames, the first of which stands at `position` in the stream. Where that is not the end
 * of those before there is a gap: windows begin anew, needles go on from where they stand.
 * No frames are no gap. Shape: x[frames][channels], interleaved. Units: linear, -1..+1.
 * Errors: none. Thread: one at a time.
 * RT: yes (wait-free), O(frames * channels), and O(window_s) each 10 ms. */
TAKT_API void takt_ballistics_process(struct takt_ballistics *b, const float *x, size_t frames,
                                      uint64_t position);

/* The same from planes. Shape: x[channels][frames].
 * Thread: one at a time. RT: yes (wait-free), as takt_ballistics_process. */
TAKT_API void takt_ballistics_process_planar(struct takt_ballistics *b, const float *const *x,
                                             size_t frames, uint64_t position);

/* What one channel's meters show now; all -200 for a channel that there is not.
 * Thread: the one that processes. RT: yes (wait-free), O(window_s). */
TAKT_API void takt_ballistics_read(const struct takt_ballistics *b, uint32_t channel,
                                   struct takt_ballistics_reading *out);

/* How alike the first two channels are.
 * Thread: the one that processes. RT: yes (wait-free), O(window_s). */
TAKT_API void takt_ballistics_correlation(const struct takt_ballistics *b,
                                          struct takt_correlation *out);

/* Begins anew. Thread: the one that processes. RT: yes. */
TAKT_API void takt_ballistics_reset(struct takt_ballistics *b);

/* What the needle's own scale says at so many dBFS: VU, dB, or the BBC's marks 1 to 7. 0 VU, 0 dB
 * Nordic, 0 dB (TEST) EBU, mark 4 of the BBC and -9 dB DIN are all the alignment level, -18 dBFS.
 * Thread: any. RT: yes. */
TAKT_API double takt_needle_mark(enum takt_needle n, double dbfs);

/* "vu", "ppm-din", "ppm-nordic", "ppm-bbc", "ppm-ebu", "k20", "k14", "k12". Never NULL, for any n.
 * Thread: any. RT: yes. */
TAKT_API const char *takt_needle_name(enum takt_needle n);

#ifdef __cplusplus
}
#endif
#endif
