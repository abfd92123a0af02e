/*
 * judge.h - what was played on one host beside what was heard on another: how late each 2.5 ms
 * frame came, and whether it was the frame that was due.
 *
 *     struct judge_cfg cfg = {.threshold = 0.9};
 *     judge(&sent, &heard, &cfg, &v);
 *
 * A heard frame is right when it is like the sent signal at some delay, and that delay is held:
 * of the frames within 100 ms on both sides, one in five at least has the same, to 0.5 ms. So a
 * silence, a gap, a seam, sound that was made up or played twice, and a delay that lasts for 40 ms
 * only are wrong; sound that goes on for good with another delay, or is resampled slowly, is right.
 *
 * A stall is a block that a server began 1 ms late or more, or that it left out. What a tool makes
 * of it is the machine's doing as much as the tool's, so the frames after it are told apart.
 *
 * Alike means a correlation of `threshold` at least, and a level within 6 dB of the median level.
 */
#ifndef TAKT_BENCH_JUDGE_H
#define TAKT_BENCH_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JUDGE_RATE = 48000, JUDGE_FRAME = 120 };

/* One block of the server: its first frame by the server's count, and when it began. */
struct judge_block {
    int64_t frame;
    int64_t ns; /* CLOCK_MONOTONIC; late by what the server woke up late */
};

/* One host's side. Blocks are in order, block_frames long; where the server's count leaves some
 * out, nothing was played or heard. */
struct judge_side {
    const float *samples; /* samples[blocks * block_frames] */
    const struct judge_block *block;
    size_t blocks;
    uint32_t block_frames;
};

struct judge_cfg {
    double threshold;    /* 0..1 */
    double delay_ms_max; /* 0: 700 */
    double last_s;       /* only so much at the end of what was heard; 0: all */
};

struct judge_verdict {
    size_t frames; /* that were judged */
    size_t wrong;
    size_t silent;           /* of the wrong: without any sound */
    size_t unheard;          /* left out, because the bench itself missed a block of them */
    size_t calm, calm_wrong; /* of the frames: those without a stall of the machine in the 150 ms
                              * before, on either host; and the wrong ones among them */
    size_t stalls;           /* on both hosts, in the time that was judged */
    double p50_ms, p95_ms, max_ms; /* of those that were right; 0 when there are none */
    double floor_ms; /* from a block of the one server to the next of the other, the median: no tool
                      * whose packets are whole blocks can be faster */
    char *marks;     /* a letter for each frame: '.' right, 'x' wrong, '0' silent, '-' unheard */
    size_t marks_room;
};

/* Noise from 200 to 6000 Hz with an RMS of -20 dB, another for each channel; the same for the
 * same seed. */
void judge_noise(float *out, size_t frames, uint64_t seed, int channel);

/* v->marks, which may be NULL, and its room are read; the rest is written. Returns false when there
 * is no memory, or no whole frame. */
bool judge(const struct judge_side *sent, const struct judge_side *heard,
           const struct judge_cfg *cfg, struct judge_verdict *v);

#endif
