/*
 * takt/recorder.h - writes a recording from a callback, frame by frame as it likes: several at
 * once, or only parts of a stream. What a stream records as a whole is better its output, see
 * takt/stream.h; this is the same writer with the same promises.
 *
 *     takt_recorder_create(&(struct takt_recorder_cfg){.path = "take.wav", .rate_hz = 48000,
 *         .channels = 2}, &r, &e);
 *     takt_recorder_start(r, &e);
 *     takt_recorder_write(r, b->in, b->frames);   // in the callback
 *     takt_recorder_stop(r, &e);                  // after it
 *
 * A thread takes the frames to the disk; the file is valid at every instant. While the disk stalls
 * for less than buffer_s nothing is lost; what then finds no room is counted, and silence of its
 * length stands in the file.
 */
#ifndef TAKT_RECORDER_H
#define TAKT_RECORDER_H

#include "takt/error.h"
#include "takt/format.h"
#include "takt/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_recorder;

/* A zero field takes its default. */
struct takt_recorder_cfg {
    const char *path;    /* ends in .wav, .flac, .opus or .ogg; must be given; copied */
    uint32_t rate_hz;    /* default 48000; Opus has but a few */
    uint32_t channels;   /* 1..64, default 1; FLAC and Opus have 8 at most */
    uint32_t frames_max; /* of one write, 1..16384; default 16384. The buffer holds four more, and a
                            longer write is cut into such pieces */
    double buffer_s;     /* for so long the disk may stall, 0.1..600; default 8 */
    enum takt_sample format; /* default s24, or what the kind of file has */
    enum takt_dither dither;
    enum takt_clock clock; /* virtual: no thread, write goes to the disk itself and loses nothing */
    uint64_t seed;         /* of dither; default 1 */
    uint32_t timeout_ms;   /* bounds stop and destroy; default 2000, and at least buffer_s */
};

/* Checks the settings and takes the buffer's memory; no file is touched. Errors: TAKT_ERR_ARG,
 * _NOMEM, _IO: nothing can be recorded there, _UNSUPPORTED: the kind of file has no such rate,
 * channels or format; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_recorder_create(const struct takt_recorder_cfg *cfg, struct takt_recorder **out,
                                  struct takt_error *e);

/* Makes the file, or empties it, and counts anew. Errors: TAKT_ERR_IO, _FULL, _NOMEM, _UNSUPPORTED,
 * _SYSTEM, _STATE when started, _TIMEOUT while the disk still hangs from before.
 * Thread: control, while nobody writes. RT: no. */
TAKT_API int takt_recorder_start(struct takt_recorder *r, struct takt_error *e);

/* Adds frames, as many as one likes. Nothing happens when the recording has failed or is not
 * started. Frames that find no room in the buffer are lost and counted: see takt_recorder_read.
 * Shape: x[channels][frames]. Units: linear, -1..+1; what is beyond is cut off by formats that do
 * not have it. Errors: none; see takt_recorder_failed.
 * Thread: one at a time. RT: yes (wait-free), O(frames * channels); on a virtual clock it waits for
 * the disk, and tells the guard to allow that. */
TAKT_API void takt_recorder_write(struct takt_recorder *r, const float *const *x, uint32_t frames);

/* No write comes any more: everything is on disk and the file complete when this returns 0.
 * Errors: what ended the recording, as TAKT_ERR_FULL or _IO: the file is complete up to there;
 * TAKT_ERR_TIMEOUT: the disk does not answer, and stop can be called again. When not started: 0.
 * Thread: control. RT: no. */
TAKT_API int takt_recorder_stop(struct takt_recorder *r, struct takt_error *e);

/* Has it ended early? *e (may be NULL) then says why, until the next start.
 * Thread: any, though not during start. RT: no. */
TAKT_API bool takt_recorder_failed(const struct takt_recorder *r, struct takt_error *e);

/* How the disk keeps up, and which frames were lost. Thread: any. RT: yes (bounded). */
TAKT_API void takt_recorder_read(const struct takt_recorder *r, struct takt_recording *out);

/* Stops if need be. Of a disk that hangs the file is completed when it answers, after all.
 * NULL is fine. Thread: control. RT: no. */
TAKT_API void takt_recorder_destroy(struct takt_recorder *r);

#ifdef __cplusplus
}
#endif
#endif
