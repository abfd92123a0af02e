/* stream/devices.h - what a list of devices and a watch over it share. */
#ifndef TAKT_STREAM_DEVICES_H
#define TAKT_STREAM_DEVICES_H

#include "stream/device.h"

/* The defaults as far as they were set or the environment says; asks no sound system, so a device
 * that nobody chose is "". Thread: any. RT: no. */
void takt_defaults_wished(struct takt_defaults *out);

enum { TAKT_LIST_MAX = 256 }; /* devices of one backend */

/* Which of a whole list are the defaults: what was set, else the environment's, else the first with
 * a clock. Thread: any. RT: no. */
void takt_devices_mark_defaults(struct takt_device_info *list, size_t count);

#endif
