/*
 * takt/snapshot.h - the newest value of a plain struct, from one thread to any number.
 *
 *     takt_snapshot_create(sizeof(struct reading), &s, &e);
 *     takt_snapshot_publish(s, &reading);                   // in the callback
 *     if (takt_snapshot_read(s, &copy)) show(&copy);        // anywhere
 *
 * The writer never waits and never notices its readers; a reader that is overtaken tries again.
 */
#ifndef TAKT_SNAPSHOT_H
#define TAKT_SNAPSHOT_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_snapshot;

/* For values of so many bytes, 1..2^16; all zero until the first publish. The only call that
 * allocates. Errors: TAKT_ERR_ARG, _NOMEM; *out is NULL then. RT: no. */
TAKT_API int takt_snapshot_create(size_t bytes, struct takt_snapshot **out, struct takt_error *e);
TAKT_API void takt_snapshot_destroy(struct takt_snapshot *s); /* NULL is fine */

/* Thread: one writer. RT: yes (wait-free), O(bytes). */
TAKT_API void takt_snapshot_publish(struct takt_snapshot *s, const void *value);

/* Copies the newest value, whole and of one moment. False, and *value undefined, only if the
 * writer has overtaken it 64 times in a row. Thread: any. RT: yes (bounded), O(bytes). */
TAKT_API bool takt_snapshot_read(const struct takt_snapshot *s, void *value);

#ifdef __cplusplus
}
#endif
#endif
