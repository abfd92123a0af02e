/*
 * takt/time.h - the clock that all of takt uses: CLOCK_MONOTONIC, in ns.
 */
#ifndef TAKT_TIME_H
#define TAKT_TIME_H

#include "takt/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Now. No system call where the kernel offers a vDSO (x86-64, arm64). Thread: any. RT: yes. */
TAKT_API int64_t takt_now_ns(void);

/* Sleeps until then, or for so long, whatever signals come. Thread: any. RT: no. */
TAKT_API void takt_sleep_until_ns(int64_t until_ns);
TAKT_API void takt_sleep_ms(uint32_t ms);

#ifdef __cplusplus
}
#endif
#endif
