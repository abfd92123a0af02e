/*
 * takt/vad.h - is somebody speaking? A probability and a decision each 10 ms.
 *
 *     takt_vad_create(&(struct takt_vad_cfg){.rate_hz = 48000}, &v, &e);
 *     size_t n = takt_vad_process(v, x, frames, position, now, 16); // in the callback, or a worker
 *     for (size_t i = 0; i < n; i++)
 *         if (now[i].is_voice) ...
 *
 * What counts is what noise does not do: stand out of a tracked floor in many bands at once, be
 * periodic at the pitch of a voice, and change from syllable to syllable. So steady hum, fans,
 * hiss and clicks are no voice, however loud they are. The decision sets in some 30 to 60 ms after
 * a voice does, and stays for hangover_ms after it, so that no word's end is cut; who must not miss
 * the beginning keeps that much of the past, see takt/gate.h.
 *
 * Positions count the stream's frames; one that jumps is a gap, which the windows do not span and
 * over which the tracked noise is kept.
 */
#ifndef TAKT_VAD_H
#define TAKT_VAD_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_vad;

/* How sure it has to be. */
enum takt_vad_mode {
    TAKT_VAD_NORMAL = 0, /* as often wrong one way as the other */
    TAKT_VAD_EAGER,      /* rather takes noise for voice; what recording uses */
    TAKT_VAD_STRICT      /* rather misses some voice */
};

/* A zero field takes its default. */
struct takt_vad_cfg {
    uint32_t rate_hz; /* 8000..384000, default 48000 */
    enum takt_vad_mode mode;
    double hangover_ms; /* how long voice stays after its end, 0..10000; default 200, or
                           TAKT_VAD_NO_HANGOVER */
    double floor_dbfs;  /* what is softer is silence, -120..0; default -65 */
};
#define TAKT_VAD_NO_HANGOVER (-1.0)

struct takt_vad_reading {
    uint64_t position;  /* behind the last frame that it knows of */
    double probability; /* that the 10 ms before it, and some before those, are voice; 0..1 */
    double snr_db;      /* over the tracked noise, 80..4000 Hz; 0 where nothing stands out */
    double harmonicity; /* how periodic what stands out is, at 75..400 Hz; 0..1 */
    double level_dbfs;  /* RMS of these 10 ms */
    bool is_voice;      /* the decision, hangover included */
    bool is_held;       /* only by the hangover */
};

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then.
 * Thread: any. RT: no. */
TAKT_API int takt_vad_create(const struct takt_vad_cfg *cfg, struct takt_vad **out,
                             struct takt_error *e);

/* NULL is fine. Thread: any, when no other uses it. RT: no. */
TAKT_API void takt_vad_destroy(struct takt_vad *v);

/* Takes in one channel's frames, the first of which stands at `position`, and fills in a reading
 * for every 10 ms that end among them: at most frames * 100 / rate_hz + 1, of which the first
 * `most` are kept. Any cutting into pieces gives the same readings. NaN and what is beyond
 * +-1e6 count as 0. No frames are no gap.
 * Shape: x[frames], out[most]. Units: linear, -1..+1. Errors: none. Returns how many it filled in.
 * Thread: one at a time. RT: yes (wait-free), O(frames); an FFT each 10 ms. */
TAKT_API size_t takt_vad_process(struct takt_vad *v, const float *x, size_t frames,
                                 uint64_t position, struct takt_vad_reading *out, size_t most);

/* Begins anew, the tracked noise too. Thread: the one that processes. RT: yes. */
TAKT_API void takt_vad_reset(struct takt_vad *v);

/* How many frames a reading comes behind the sound that it speaks of: half the window, and what it
 * takes to be sure. Thread: any. RT: yes. */
TAKT_API uint32_t takt_vad_latency_frames(const struct takt_vad *v);

#ifdef __cplusplus
}
#endif
#endif
