#include "stream/edge.h"

#include <string.h>

static size_t stride(const struct takt_edge *edge)
{
    return edge->layout == TAKT_INTERLEAVED ? edge->channels : 1;
}

/* Where channel c begins. */
static void *lane(const struct takt_edge *edge, uint32_t c)
{
    if (edge->layout == TAKT_PLANAR)
        return edge->data[c];
    return (char *)edge->data[0] + c * takt_sample_bytes(edge->format);
}

size_t takt_edge_bytes(const struct takt_edge *edge, uint32_t frames)
{
    return frames * stride(edge) * takt_sample_bytes(edge->format);
}

uint32_t takt_edge_buffers(const struct takt_edge *edge)
{
    return edge->layout == TAKT_INTERLEAVED ? 1 : edge->channels;
}

void takt_edge_encode(struct takt_edge *edge, float *const *from, uint32_t frames)
{
    for (uint32_t c = 0; c < edge->channels; c++)
        takt_encode(lane(edge, c), edge->format, stride(edge), from[c], frames, &edge->coder[c]);
}

void takt_edge_decode(const struct takt_edge *edge, float *const *to, uint32_t frames)
{
    for (uint32_t c = 0; c < edge->channels; c++)
        takt_decode(to[c], lane(edge, c), edge->format, stride(edge), frames);
}

void takt_edge_silence(const struct takt_edge *edge, uint32_t frames)
{
    int zero = edge->format == TAKT_U8 ? 128 : 0;
    for (uint32_t b = 0; b < takt_edge_buffers(edge); b++)
        memset(edge->data[b], zero, takt_edge_bytes(edge, frames));
}
