/* device/backends.h - the backends, one file each. */
#ifndef TAKT_DEVICE_BACKENDS_H
#define TAKT_DEVICE_BACKENDS_H

#include "stream/device.h"

extern const struct takt_backend takt_backend_pipewire;
extern const struct takt_backend takt_backend_jack;
extern const struct takt_backend takt_backend_alsa;
extern const struct takt_backend takt_backend_portaudio;
extern const struct takt_backend takt_backend_sim;
extern const struct takt_backend takt_backend_file;
extern const struct takt_backend takt_backend_null;
extern const struct takt_backend takt_backend_lab, takt_backend_labport; /* device/plug.h */

#endif
