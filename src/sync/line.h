/* sync/line.h - memory that no two threads fight over. What one thread writes and another reads
 * stands on cache lines of its own, else each write takes the neighbour away from the other core
 * too. Two lines of 64 bytes, since Intel's prefetcher fetches lines in pairs. */
#ifndef TAKT_SYNC_LINE_H
#define TAKT_SYNC_LINE_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TAKT_LINE_BYTES 128

/* Zeroed, and so touched, memory that begins on a line and shares its last one with nobody; NULL
 * when there is none. For free(). Thread: any. RT: no. */
static inline void *takt_line_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + TAKT_LINE_BYTES - 1) / TAKT_LINE_BYTES * TAKT_LINE_BYTES;
    void *at = aligned_alloc(TAKT_LINE_BYTES, bytes);
    return at ? memset(at, 0, bytes) : NULL;
}

#endif
