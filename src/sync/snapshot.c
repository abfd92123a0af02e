/*
 * A sequence lock. The writer makes the version odd, replaces the words, and makes it even again;
 * a reader that saw the same even version before and after its copy saw one whole value.
 *
 * The words are atomics, stored with release and loaded with acquire, after Boehm, "Can seqlocks
 * get along with programming language memory models?" (MSPC 2012): a reader that saw any word of
 * a write has seen the odd version that came before it, so its second look at the version cannot
 * miss that write. On x86 these are plain moves; no fence is needed, and the thread sanitizer
 * understands them.
 *
 * Invariants: version is odd only inside takt_snapshot_write.
 */
#include "takt/snapshot.h"

#include "base/fail.h"
#include "sync/line.h"
#include "sync/pause.h"

#include <stdatomic.h>

/* Enough that a reader which is merely unlucky gets through, few enough that one which meets a
 * writer stopped halfway soon gives up. */
enum { TRIES = 64 };

struct takt_snapshot {
    size_t bytes;
    alignas(TAKT_LINE_BYTES) _Atomic uint64_t version;
    _Atomic uint64_t words[];
};

int takt_snapshot_create(const struct takt_snapshot_cfg *cfg, struct takt_snapshot **out,
                         struct takt_error *err)
{
    *out = NULL;
    if (!cfg->bytes || cfg->bytes > (size_t)1 << 30)
        return takt_fail(err, TAKT_ERR_ARG, 0, "snapshot of %zu bytes: give 1 to 2^30", cfg->bytes);
    struct takt_snapshot *s = takt_line_alloc(sizeof *s + (cfg->bytes + 7) / 8 * 8);
    if (!s)
        return takt_fail(err, TAKT_ERR_NOMEM, 0, "snapshot of %zu bytes: no memory", cfg->bytes);
    s->bytes = cfg->bytes;
    *out = s;
    return TAKT_OK;
}

void takt_snapshot_destroy(struct takt_snapshot *s)
{
    free(s);
}

static void store_words(struct takt_snapshot *s, const unsigned char *from)
{
    uint64_t word;
    size_t whole = s->bytes / 8, rest_bytes = s->bytes % 8;
    for (size_t i = 0; i < whole; i++) {
        memcpy(&word, from + 8 * i, 8);
        atomic_store_explicit(&s->words[i], word, memory_order_release);
    }
    if (rest_bytes) {
        word = 0;
        memcpy(&word, from + 8 * whole, rest_bytes);
        atomic_store_explicit(&s->words[whole], word, memory_order_release);
    }
}

static void load_words(const struct takt_snapshot *s, unsigned char *to)
{
    uint64_t word;
    size_t whole = s->bytes / 8, rest_bytes = s->bytes % 8;
    for (size_t i = 0; i < whole; i++) {
        word = atomic_load_explicit(&s->words[i], memory_order_acquire);
        memcpy(to + 8 * i, &word, 8);
    }
    if (rest_bytes) {
        word = atomic_load_explicit(&s->words[whole], memory_order_acquire);
        memcpy(to + 8 * whole, &word, rest_bytes);
    }
}

void takt_snapshot_write(struct takt_snapshot *s, const void *from)
{
    uint64_t version = atomic_load_explicit(&s->version, memory_order_relaxed);
    atomic_store_explicit(&s->version, version + 1, memory_order_relaxed);
    store_words(s, from);
    atomic_store_explicit(&s->version, version + 2, memory_order_release);
}

bool takt_snapshot_read(const struct takt_snapshot *s, void *to)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = atomic_load_explicit(&s->version, memory_order_acquire);
        if (before % 2 == 0) {
            load_words(s, to);
            if (atomic_load_explicit(&s->version, memory_order_relaxed) == before)
                return true;
        }
        takt_pause();
    }
    return false;
}

uint64_t takt_snapshot_version(const struct takt_snapshot *s)
{
    return atomic_load_explicit(&s->version, memory_order_acquire) / 2;
}
