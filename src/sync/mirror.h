/* sync/mirror.h - memory in a circle: byte i and byte i + span_bytes are the same byte, so what
 * begins before the end of the circle can be read and written straight on beyond it. */
#ifndef TAKT_SYNC_MIRROR_H
#define TAKT_SYNC_MIRROR_H

#include <stdbool.h>
#include <stddef.h>

struct takt_mirror {
    unsigned char *data; /* 2 * span_bytes */
    size_t span_bytes;   /* at least what was asked for; whole elements may lie across its end */
    bool mapped;         /* true: the two halves are one memory; false: settle keeps them equal */
};

/* Makes it, touched and holding zeros. bytes: 1..2^30. With `plain`, or where the system refuses
 * the mapping, ordinary memory. Returns false, with *m zeroed, when there is none of either kind.
 * Thread: any. RT: no. */
bool takt_mirror_init(struct takt_mirror *m, size_t bytes, bool plain);

/* Takes a zeroed *m, too. Thread: any. RT: no. */
void takt_mirror_fini(struct takt_mirror *m);

/* Copies the count_bytes written at `at` to the other half. Only for what is not mapped.
 * Thread: the writer. RT: yes (wait-free), O(count_bytes). */
void takt_mirror_copy(struct takt_mirror *m, size_t at, size_t count_bytes);

/* To be called after each write of count_bytes <= span_bytes at `at` < span_bytes.
 * Thread: the writer. RT: yes (wait-free). */
static inline void takt_mirror_settle(struct takt_mirror *m, size_t at, size_t count_bytes)
{
    if (!m->mapped)
        takt_mirror_copy(m, at, count_bytes);
}

#endif
