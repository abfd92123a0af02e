/*
 * takt/takt.h - all of libtakt. Each header can be included by itself.
 */
#ifndef TAKT_TAKT_H
#define TAKT_TAKT_H

#include "takt/device.h"
#include "takt/error.h"
#include "takt/format.h"
#include "takt/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, "0.1.0". Thread: any. RT: yes. */
TAKT_API const char *takt_version(void);

#ifdef __cplusplus
}
#endif
#endif
