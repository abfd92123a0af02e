/*
 * stream/edge.h - between the engine's planar floats and the shape that the callback asked for.
 *
 * Planar floats need no edge: the callback works in the engine's own memory.
 * Thread: device. RT: yes, O(frames * channels).
 */
#ifndef TAKT_STREAM_EDGE_H
#define TAKT_STREAM_EDGE_H

#include "takt/format.h"
#include "takt/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct takt_edge {
    bool used;
    uint32_t channels;
    enum takt_sample format;
    enum takt_layout layout;
    void *data[TAKT_CHANNELS_MAX]; /* planar: one a channel; interleaved: data[0] alone */
    struct takt_encode_state coder[TAKT_CHANNELS_MAX]; /* dither and clips, a channel each */
};

/* Bytes of one buffer of the edge, and how many buffers there are. */
size_t takt_edge_bytes(const struct takt_edge *edge, uint32_t frames);
uint32_t takt_edge_buffers(const struct takt_edge *edge);

/* Device to callback. */
void takt_edge_encode(struct takt_edge *edge, float *const *from, uint32_t frames);

/* Callback to device. */
void takt_edge_decode(const struct takt_edge *edge, float *const *to, uint32_t frames);

/* Fills with silence, which is 128 in u8. */
void takt_edge_silence(const struct takt_edge *edge, uint32_t frames);

#endif
