/*
 * takt/takt.h - all of libtakt. Each header can be included by itself.
 */
#ifndef TAKT_TAKT_H
#define TAKT_TAKT_H

#include "takt/chain.h"
#include "takt/contract.h"
#include "takt/device.h"
#include "takt/error.h"
#include "takt/format.h"
#include "takt/guard.h"
#include "takt/hist.h"
#include "takt/kernel.h"
#include "takt/level.h"
#include "takt/log.h"
#include "takt/memory.h"
#include "takt/message_ring.h"
#include "takt/resample.h"
#include "takt/ring.h"
#include "takt/roundtrip.h"
#include "takt/simulate.h"
#include "takt/snapshot.h"
#include "takt/stream.h"
#include "takt/thread.h"
#include "takt/time.h"
#include "takt/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, "0.1.0". Thread: any. RT: yes. */
TAKT_API const char *takt_version(void);

#ifdef __cplusplus
}
#endif
#endif
