/* device/jack_link.h - one stream's client of a JACK server, for device/host.h. */
#ifndef TAKT_DEVICE_JACK_LINK_H
#define TAKT_DEVICE_JACK_LINK_H

#include "device/host.h"

enum { TAKT_JACK_NAME_BYTES = 64 };

int takt_jack_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                        struct takt_error *e);

#endif
