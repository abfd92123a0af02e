/*
 * device/plug.h - `lab:` and `labport:`, devices that whoever is above this folder brings along.
 *
 * The table of backends is fixed; these two stand in it for a simulation, and are nothing while
 * none is plugged in. `lab:` has a clock, `labport:` has none.
 */
#ifndef TAKT_DEVICE_PLUG_H
#define TAKT_DEVICE_PLUG_H

#include "stream/device.h"

/* From now on both are served by open_driver and open_port of this one; NULL: by nobody.
 * Thread: any, while no stream uses them. RT: no. */
void takt_plug(const struct takt_backend *backend);

#endif
