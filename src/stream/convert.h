/*
 * stream/convert.h - a source of another rate than the stream's: a port that resamples a port.
 *
 * For sources that have no clock of their own, such as files; one with a clock is bridged instead
 * (stream/bridge.h). Nothing is added in front: the source's first frame is the first that comes
 * out, and there are as many as last as long as the source's did, to the next whole frame.
 */
#ifndef TAKT_STREAM_CONVERT_H
#define TAKT_STREAM_CONVERT_H

#include "stream/device.h"

/* Takes over `inner`, a source at own_hz, also when it fails. cfg: as the stream would open it,
 * with rate_hz the stream's. Errors: TAKT_ERR_ARG for a ratio beyond 16, TAKT_ERR_NOMEM; *out is
 * NULL then. Thread: control. RT: no. */
int takt_convert_open(const struct takt_port_cfg *cfg, uint32_t own_hz, struct takt_port *inner,
                      struct takt_port **out, struct takt_error *e);

/* The longest read of inner that reads of `frames` frames lead to. */
uint32_t takt_convert_need(uint32_t frames, uint32_t rate_hz, uint32_t own_hz);

#endif
