/*
 * tests/fuzz/hostile.h - makes hostile bytes out of good ones, and gives them to a fuzz target. The
 * target asserts, and edge.h sees that it reads no further than it may.
 *
 *     hostile_cuts(packet, sizeof packet);
 *     hostile_rounds(&(struct hostile_seed){packet, sizeof packet}, 1, 200000);
 */
#ifndef TAKT_TESTS_HOSTILE_H
#define TAKT_TESTS_HOSTILE_H

#include "base/random.h"
#include "edge.h"
#include "fuzz.h"

enum { HOSTILE_MAX = 2048 };

struct hostile_seed {
    const void *bytes;
    size_t n; /* <= HOSTILE_MAX / 2 */
};

/* Every beginning of it. */
static inline void hostile_cuts(const void *bytes, size_t n)
{
    for (size_t cut = 0; cut <= n; cut++)
        LLVMFuzzerTestOneInput(edge_put(bytes, cut), cut);
}

static inline size_t hostile_change(struct takt_random *r, uint8_t *bytes, size_t n)
{
    static const uint8_t telling[] = {0, 1, 2, 4, 15, 16, 31, 127, 128, 254, 255, '\n', ' ', ':'};
    size_t at = n ? takt_random_below(r, n) : 0;
    switch (takt_random_below(r, 6)) {
    case 0:
        if (n)
            bytes[at] ^= (uint8_t)(1u << takt_random_below(r, 8));
        return n;
    case 1:
        if (n)
            bytes[at] = (uint8_t)takt_random_u64(r);
        return n;
    case 2:
        if (n)
            bytes[at] = telling[takt_random_below(r, sizeof telling)];
        return n;
    case 3:
        return at;
    case 4: { /* some of it comes twice */
        size_t piece = n ? takt_random_below(r, n - at) : 0;
        if (n + piece > HOSTILE_MAX)
            return n;
        memmove(bytes + at + piece, bytes + at, n - at);
        return n + piece;
    }
    default: { /* or not at all */
        size_t piece = n ? takt_random_below(r, n - at < 8 ? n - at : 8) : 0;
        memmove(bytes + at, bytes + at + piece, n - at - piece);
        return n - piece;
    }
    }
}

/* Changed at one place to eight; and now and then nothing but noise. */
static inline void hostile_rounds(const struct hostile_seed *seeds, size_t count, int rounds)
{
    struct takt_random r = takt_random_seed(6);
    static uint8_t bytes[HOSTILE_MAX];
    for (int i = 0; i < ROUNDS(rounds); i++) {
        const struct hostile_seed *seed = &seeds[takt_random_below(&r, count)];
        size_t n = seed->n;
        memcpy(bytes, seed->bytes, n);
        if (i % 8 == 0) {
            n = takt_random_below(&r, 128);
            for (size_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)takt_random_u64(&r);
        }
        for (uint64_t k = takt_random_below(&r, 8) + 1; k > 0; k--)
            n = hostile_change(&r, bytes, n);
        LLVMFuzzerTestOneInput(edge_put(bytes, n), n);
    }
}

#endif
