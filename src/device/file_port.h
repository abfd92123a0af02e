/*
 * device/file_port.h - files as ports: a ring to the device thread, and a worker that does the
 * I/O. On a virtual clock the driver calls service between two cycles instead, and time waits.
 */
#ifndef TAKT_DEVICE_FILE_PORT_H
#define TAKT_DEVICE_FILE_PORT_H

#include "stream/device.h"

int takt_file_open_source(const struct takt_port_cfg *cfg, struct takt_port **out,
                          struct takt_error *e);
int takt_file_open_sink(const struct takt_port_cfg *cfg, struct takt_port **out,
                        struct takt_error *e);

/* Opens a recording to read it; the SNDFILE, or NULL with the reason. */
void *takt_file_open_sound(const char *path, void *sf_info, struct takt_error *e);

#endif
