/*
 * base/touched.h - zeroed memory whose pages are all there, for what a callback uses without a
 * stream's own memory: calloc alone leaves large pieces to be faulted in at their first use.
 */
#ifndef TAKT_BASE_TOUCHED_H
#define TAKT_BASE_TOUCHED_H

#include <stddef.h>
#include <stdlib.h>

/* As calloc, and free gives it back. Thread: any. RT: no. */
static inline void *takt_calloc_touched(size_t count, size_t bytes)
{
    enum { PAGE = 4096 };
    volatile char *at = calloc(count, bytes);
    for (size_t i = 0; at && i < count * bytes; i += PAGE)
        at[i] = 0;
    if (at && count && bytes)
        at[count * bytes - 1] = 0;
    return (void *)at;
}

#endif
