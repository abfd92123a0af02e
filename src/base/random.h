/* base/random.h - chance as an argument: a small seeded generator (SplitMix64, Steele, Lea and
 * Flood 2014), so that whatever used it replays from its seed, on any machine.
 * Thread: one at a time. RT: yes (wait-free). */
#ifndef TAKT_BASE_RANDOM_H
#define TAKT_BASE_RANDOM_H

#include <stdint.h>

struct takt_random {
    uint64_t state;
};

static inline struct takt_random takt_random_seed(uint64_t seed)
{
    return (struct takt_random){seed};
}

/* All 64 bits, uniform. */
static inline uint64_t takt_random_u64(struct takt_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double takt_random_unit(struct takt_random *r)
{
    return (double)(takt_random_u64(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0; the bias below n/2^64 is left in. */
static inline uint64_t takt_random_below(struct takt_random *r, uint64_t n)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)takt_random_u64(r) * n;
    return (uint64_t)(wide >> 64);
}

#endif
