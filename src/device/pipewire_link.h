/* device/pipewire_link.h - one stream's connection with a PipeWire server, for device/host.h. */
#ifndef TAKT_DEVICE_PIPEWIRE_LINK_H
#define TAKT_DEVICE_PIPEWIRE_LINK_H

#include "device/host.h"

int takt_pw_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                      struct takt_error *e);

/* The quantum that low and high latency ask for where the server's own is `quantum`. */
uint32_t takt_pw_quantum_low(uint32_t quantum);
uint32_t takt_pw_quantum_high(uint32_t quantum);

#endif
