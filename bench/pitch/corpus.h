/*
 * bench/pitch/corpus.h - sound whose pitch is known: synthesised here, rendered by fluidsynth, or
 * spoken by espeak-ng, all from one seed, mono at 48 kHz.
 */
#ifndef TAKT_BENCH_PITCH_CORPUS_H
#define TAKT_BENCH_PITCH_CORPUS_H

#include <stddef.h>
#include <stdint.h>

enum { RATE = 48000, GRID = 64, CLIPS = 160, ONSETS = 24 };

struct clip {
    char name[64];
    const char *group;
    float *x;
    size_t frames;
    float *truth; /* every GRID frames: f0, 0 where there is none, NaN where nobody can say */
    struct {
        size_t at;
        float hz;
    } onset[ONSETS];
    int onsets;
};

struct corpus {
    struct clip clip[CLIPS];
    int count;
    size_t frames; /* of all */
};

/* Makes it. Files are made and left in dir. Groups whose program is missing are left out, with a
 * line on stderr. */
void corpus_make(struct corpus *c, uint64_t seed, const char *dir, const char *soundfont);

/* Writes it to a file, or reads it back, so that who works on a detector need not wait. 0 or -1. */
int corpus_save(const struct corpus *c, const char *path);
int corpus_load(struct corpus *c, const char *path);

/* f0 of a file by praat's `call`, for frames at *first s and on; 0 where unvoiced. To be freed;
 * NULL when praat did not do it. */
double *praat_pitch(const char *dir, const char *wav, const char *call, double *first,
                    size_t *frames);

/* One WAV file of 32-bit floats. */
void wav_write(const char *path, const float *x, size_t frames, uint32_t rate);

#endif
