/*
 * takt/takt.h - all of libtakt. Each header can be included by itself.
 */
#ifndef TAKT_TAKT_H
#define TAKT_TAKT_H

#include "takt/ballistics.h"
#include "takt/bands.h"
#include "takt/chain.h"
#include "takt/contract.h"
#include "takt/device.h"
#include "takt/error.h"
#include "takt/fft.h"
#include "takt/format.h"
#include "takt/gate.h"
#include "takt/guard.h"
#include "takt/hist.h"
#include "takt/kernel.h"
#include "takt/key.h"
#include "takt/level.h"
#include "takt/log.h"
#include "takt/loudness.h"
#include "takt/memory.h"
#include "takt/message_ring.h"
#include "takt/note.h"
#include "takt/onset.h"
#include "takt/pitch.h"
#include "takt/recorder.h"
#include "takt/recv.h"
#include "takt/resample.h"
#include "takt/ring.h"
#include "takt/roundtrip.h"
#include "takt/send.h"
#include "takt/simulate.h"
#include "takt/simulate_net.h"
#include "takt/snapshot.h"
#include "takt/spectrum.h"
#include "takt/stream.h"
#include "takt/strum.h"
#include "takt/taper.h"
#include "takt/tempo.h"
#include "takt/thread.h"
#include "takt/time.h"
#include "takt/tuner.h"
#include "takt/vad.h"
#include "takt/window.h"
#include "takt/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, "0.1.0". Thread: any. RT: yes. */
TAKT_API const char *takt_version(void);

#ifdef __cplusplus
}
#endif
#endif
