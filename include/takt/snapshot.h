/*
 * takt/snapshot.h - shows the newest value of a plain struct to any number of threads.
 *
 *     takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof levels}, &s, &e);
 *     takt_snapshot_write(s, &levels);        // in the callback: the one writer, never held up
 *     if (takt_snapshot_read(s, &seen))       // anywhere: one whole value, never half of two
 *         draw(&seen);
 */
#ifndef TAKT_SNAPSHOT_H
#define TAKT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct takt_snapshot;

struct takt_snapshot_cfg {
    size_t bytes; /* size of the struct, 1..2^30; it must mean the same when copied as bytes */
};

/* Makes it, holding zeros.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_snapshot_create(const struct takt_snapshot_cfg *cfg, struct takt_snapshot **out,
                                  struct takt_error *err);

/* Takes NULL. All threads must have ended with it. Thread: any. RT: no. */
TAKT_API void takt_snapshot_destroy(struct takt_snapshot *s);

/* Replaces the value. Shape: from[bytes]. Errors: none.
 * Thread: one writer. RT: yes (wait-free), O(bytes). */
TAKT_API void takt_snapshot_write(struct takt_snapshot *s, const void *from);

/* Copies the newest value out. Returns false when the writer came in between in every one of a
 * fixed number of tries, or was stopped in the midst of a write; to[] has no meaning then, and
 * the caller goes on with what it had. Shape: to[bytes].
 * Thread: any number of readers. RT: yes (bounded), O(bytes). */
TAKT_API bool takt_snapshot_read(const struct takt_snapshot *s, void *to);

/* How often the value was replaced so far, to see whether there is news.
 * Thread: any. RT: yes (wait-free). */
TAKT_API uint64_t takt_snapshot_version(const struct takt_snapshot *s);

#ifdef __cplusplus
}
#endif
#endif
