/*
 * takt/loudness.h - how loud a programme is: LUFS over 0.4 s, 3 s and all of it, loudness range,
 * true peak.
 *
 *     takt_loudness_create(&(struct takt_loudness_cfg){.channels = 2, .rate_hz = 48000}, &l, &e);
 *     takt_loudness_process(l, x, frames, position);             // in a worker, takt/worker.h
 *     takt_loudness_read(l, &now);
 *     printf("%.1f LUFS, range %.1f LU\n", now.integrated_lufs, now.range_lu);
 *
 * Momentary and short-term loudness move in steps of 10 ms, silence standing before the first
 * frame. Integrated loudness is that of the programme behind both gates, -70 LUFS and 10 LU below
 * what is left; its blocks, and those of the range, are 0.1 s apart. What is not there yet, or does
 * not pass a gate, is -200 as silence is in takt/level.h, and a range is 0 then. Every reading is a
 * finite number, whatever came in: NaN and infinity count as silence.
 *
 * Sources: ITU-R BS.1770-4 (weighting, gates, true peak by oversampling), EBU R 128, EBU Tech 3341
 * (momentary, short-term, integrated) and 3342 (range). The weighting and the oversampling are
 * those of libebur128, without which nothing of this can be created.
 */
#ifndef TAKT_LOUDNESS_H
#define TAKT_LOUDNESS_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_loudness;

/* What a channel counts for (BS.1770-4, tables 3 and 4). */
enum takt_speaker {
    TAKT_SPEAKER_FRONT,    /* 1: left, right, centre, above, below and behind */
    TAKT_SPEAKER_SURROUND, /* 1.41: at the side, from 60 to 120 degrees */
    TAKT_SPEAKER_NONE,     /* 0: low frequency effects, or not of the programme */
    TAKT_SPEAKER_DUAL_MONO /* 2: the only channel, heard from two speakers */
};

/* A zero field takes its default. */
struct takt_loudness_cfg {
    uint32_t channels;                 /* 1..64, default 1 */
    uint32_t rate_hz;                  /* 8000..384000, default 48000 */
    const enum takt_speaker *speakers; /* [channels]; default as in a recording: 4 are L R Ls Rs,
                                          5 are L R C Ls Rs, 6 are L R C LFE Ls Rs, 8 are the same
                                          with two behind before those at the side; any other
                                          number are all in front */
    bool no_true_peak;                 /* leaves it out, which is most of the cost */
};

struct takt_loudness_reading {
    double momentary_lufs;      /* of the last 0.4 s */
    double short_term_lufs;     /* of the last 3 s */
    double integrated_lufs;     /* of all, gated */
    double momentary_max_lufs;  /* the highest since create or reset */
    double short_term_max_lufs; /* the same; before 3 s have passed, of what there is in 3 s */
    double range_lu;            /* from the lowest tenth to the highest twentieth of 3 s blocks */
    double range_low_lufs, range_high_lufs; /* where these are; -200 before there is a block */
    double gate_lufs;                       /* the relative gate of integrated_lufs */
    double true_peak_dbtp;                  /* of the loudest channel, since create or reset */
    uint64_t frames;                        /* since then */
};

struct takt_true_peak {
    double max_dbtp;    /* since create or reset */
    double recent_dbtp; /* of the last 0.4 s */
};

/* The only call that allocates: 0.2 MB, and 0.4 s of all channels.
 * Errors: TAKT_ERR_ARG, _NOMEM, _UNSUPPORTED where libtakt was built without libebur128; *out is
 * NULL then. Thread: any. RT: no. */
TAKT_API int takt_loudness_create(const struct takt_loudness_cfg *cfg, struct takt_loudness **out,
                                  struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_loudness_destroy(struct takt_loudness *l);

/* Takes in frames, the first of which stands at `position` in the stream. Where that is not the end
 * of those before there is a gap: no block spans it, and momentary and short-term loudness begin
 * anew. Shape: x[frames][channels], interleaved. Thread: one at a time. RT: no. */
TAKT_API void takt_loudness_process(struct takt_loudness *l, const float *x, size_t frames,
                                    uint64_t position);

/* The same from planes. Shape: x[channels][frames]. Thread: one at a time. RT: no. */
TAKT_API void takt_loudness_process_planar(struct takt_loudness *l, const float *const *x,
                                           size_t frames, uint64_t position);

/* All but the channels' peaks. O(1) but for some 20 us of the gates.
 * Thread: the one that processes. RT: no. */
TAKT_API void takt_loudness_read(const struct takt_loudness *l, struct takt_loudness_reading *out);

/* The true peak of one channel, never less than its sample peak: oversampled 4 times below 96 kHz,
 * twice below 192 kHz, else as it is. -200 for a channel that there is not, or when left out.
 * Thread: the one that processes. RT: no. */
TAKT_API void takt_loudness_true_peak(const struct takt_loudness *l, uint32_t channel,
                                      struct takt_true_peak *out);

/* Begins anew. Thread: the one that processes. RT: no. */
TAKT_API void takt_loudness_reset(struct takt_loudness *l);

#ifdef __cplusplus
}
#endif
#endif
