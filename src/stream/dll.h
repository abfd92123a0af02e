/*
 * stream/dll.h - wake-up times, smoothed: a second-order delay-locked loop after F. Adriaensen,
 * "Using a DLL to filter time" (Linux Audio Conference 2005). It predicts the next wake-up from
 * the ones before, follows the device's true rate, and takes most of the jitter out.
 *
 * Pure: times come in by argument. Thread: device. RT: yes (wait-free), all calls.
 */
#ifndef TAKT_STREAM_DLL_H
#define TAKT_STREAM_DLL_H

#include <stdbool.h>
#include <stdint.h>

struct takt_dll {
    double bandwidth_hz;     /* of the loop */
    double nominal_frame_ns; /* of the stream's rate */
    double frame_ns;         /* as measured */
    int64_t origin_ns;       /* what the times below are relative to, so that doubles suffice */
    double this_ns, next_ns; /* smoothed: this wake-up, and the next one expected */
    uint32_t frames;         /* of the period between them */
};

/* frames: of one period, until the first update says otherwise. */
void takt_dll_init(struct takt_dll *d, double bandwidth_hz, uint32_t rate_hz, uint32_t frames);

/* The first wake-up. */
void takt_dll_start(struct takt_dll *d, int64_t now_ns);

/* A wake-up: `lost` whole frames late beyond what was expected, and for a block of `frames`, which
 * is how long the next one is expected to take too. */
void takt_dll_update(struct takt_dll *d, int64_t now_ns, uint32_t frames, uint64_t lost);

/* When the present wake-up was due, smoothed. */
int64_t takt_dll_due(const struct takt_dll *d);

/* When the next is expected. */
int64_t takt_dll_next(const struct takt_dll *d);

/* The device's rate as measured. */
double takt_dll_rate_hz(const struct takt_dll *d);

#endif
