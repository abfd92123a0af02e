/*
 * A seqlock whose payload is relaxed atomic words, as H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?" (MSPC 2012) has it: the value is never read while torn
 * without the reader finding out, and no data race is left for the compiler to build on.
 *
 * Invariants: `sequence` is odd exactly while the writer is between its two stores.
 */
#include "takt/snapshot.h"

#include "base/fail.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 16, TRIES = 64, WORD = sizeof(uint64_t) };

struct takt_snapshot {
    size_t bytes;
    _Atomic uint32_t sequence;
    _Atomic uint64_t words[];
};

int takt_snapshot_create(size_t bytes, struct takt_snapshot **out, struct takt_error *e)
{
    *out = NULL;
    if (!bytes || bytes > BYTES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a snapshot of %zu bytes: 1 to %d", bytes, BYTES_MAX);
    *out = calloc(1, sizeof **out + (bytes + WORD - 1) / WORD * WORD);
    if (!*out)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    (*out)->bytes = bytes;
    return 0;
}

void takt_snapshot_destroy(struct takt_snapshot *s)
{
    free(s);
}

void takt_snapshot_publish(struct takt_snapshot *s, const void *value)
{
    uint32_t sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    atomic_store_explicit(&s->sequence, sequence + 1, memory_order_relaxed);
    /* A reader that sees one of these words sees the odd number before it. */
    const char *from = value;
    for (size_t at = 0; at < s->bytes; at += WORD) {
        uint64_t word = 0;
        memcpy(&word, from + at, s->bytes - at < WORD ? s->bytes - at : WORD);
        atomic_store_explicit(&s->words[at / WORD], word, memory_order_release);
    }
    atomic_store_explicit(&s->sequence, sequence + 2, memory_order_release);
}

bool takt_snapshot_read(const struct takt_snapshot *s, void *value)
{
    char *to = value;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        uint32_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
        if (before & 1)
            continue;
        for (size_t at = 0; at < s->bytes; at += WORD) {
            uint64_t word = atomic_load_explicit(&s->words[at / WORD], memory_order_acquire);
            memcpy(to + at, &word, s->bytes - at < WORD ? s->bytes - at : WORD);
        }
        if (atomic_load_explicit(&s->sequence, memory_order_relaxed) == before)
            return true;
    }
    return false;
}
