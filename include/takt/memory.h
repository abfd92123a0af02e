/*
 * takt/memory.h - keeps memory that the callback uses in RAM.
 *
 *     takt_memory_lock(&synth, sizeof synth, NULL); // before start
 *
 * A stream does this for its own memory. The first touch of a fresh page costs a fault, some
 * microseconds; a page that was swapped out costs a read from the disk.
 */
#ifndef TAKT_MEMORY_H
#define TAKT_MEMORY_H

#include "takt/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Touches every page of the range, whose contents stay, and locks it. The range must be writable.
 * Errors: TAKT_ERR_SYSTEM: touched, but not locked (the limit is RLIMIT_MEMLOCK, `ulimit -l`);
 * nothing needs to be done about it but to know. Thread: any, also beside users of it. RT: no. */
TAKT_API int takt_memory_lock(void *at, size_t bytes, struct takt_error *e);

#ifdef __cplusplus
}
#endif
#endif
