/*
 * tests/fuzz/edge.h - bytes that end where memory ends, so that a read past them is noticed: by
 * AddressSanitizer where there is one, else by the page behind, which may not be read.
 *
 *     const uint8_t *in = edge_put(bytes, n); // until the next one
 */
#ifndef TAKT_TESTS_EDGE_H
#define TAKT_TESTS_EDGE_H

#include "tap.h"

#include <sys/mman.h>

enum { EDGE_BYTES = 1 << 16, EDGE_PAGE = 4096 };

/* n <= EDGE_BYTES. */
static inline uint8_t *edge_put(const void *bytes, size_t n)
{
    static uint8_t *memory;
    if (n > EDGE_BYTES)
        abort();
    if (SANITIZED) {
        free(memory);
        memory = malloc(n ? n : 1);
    } else if (!memory) {
        memory = mmap(NULL, EDGE_BYTES + EDGE_PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory + EDGE_BYTES, EDGE_PAGE, PROT_NONE) < 0)
            abort();
    }
    uint8_t *at = SANITIZED ? memory + !n : memory + EDGE_BYTES - n;
    if (n)
        memcpy(at, bytes, n);
    return at;
}

#endif
