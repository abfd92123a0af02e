/*
 * tests/fuzz/repair_seal.h - makes the check of a repair packet right, whatever the packet says, as
 * src/wire/repair.h describes it: so that what stands behind the check is tried as well.
 */
#ifndef TAKT_TESTS_REPAIR_SEAL_H
#define TAKT_TESTS_REPAIR_SEAL_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t repair_seal_check(uint64_t h, const uint8_t *p, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t w = 0;
        for (size_t i = 0; i < 8; i++)
            w = w << 8 | (at + i < bytes ? p[at + i] : 0);
        h = (h ^ w) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (uint32_t)(h * 0xbf58476d1ce4e5b9u >> 32);
}

static inline void repair_seal(uint8_t *packet, size_t bytes)
{
    if (bytes < 16)
        return;
    uint32_t check = repair_seal_check(repair_seal_check(0, packet, 14), packet + 16, bytes - 16);
    packet[14] = (uint8_t)(check >> 8);
    packet[15] = (uint8_t)check;
}

#endif
