/*
 * stream/timeline.h - all of a run in a picture's width: its blocks' times in columns, however long
 * it has been going.
 *
 * A column begins as one block. When there are as many columns as there is room for, each two
 * become one, and a column is twice as many blocks from then on.
 */
#ifndef TAKT_STREAM_TIMELINE_H
#define TAKT_STREAM_TIMELINE_H

#include "takt/contract.h"

#include <stdatomic.h>

enum { TAKT_COLUMN_WORDS = sizeof(struct takt_contract_column) / sizeof(uint64_t) };

struct takt_timeline_cell {
    _Atomic uint64_t words[TAKT_COLUMN_WORDS];
};

/* One writer. All zeros is an empty one. */
struct takt_timeline {
    uint64_t blocks;           /* the writer's: in the open column */
    _Atomic uint64_t progress; /* level << 32 | number of the open column << 1 | it has blocks */
    struct takt_timeline_cell rows[2][TAKT_COLUMNS_MAX]; /* of even and odd levels */
};

/* Forgets everything. Thread: control, while nobody adds. RT: yes. */
void takt_timeline_reset(struct takt_timeline *t);

/* Adds what may be one block or many, as a column of its own would tell of them. Thread: one.
 * RT: yes (wait-free). */
void takt_timeline_add(struct takt_timeline *t, const struct takt_contract_column *block);

/* As takt_contract_timeline(). Thread: any. RT: no. */
int takt_timeline_read(const struct takt_timeline *t, struct takt_contract_column *out, int max);

#endif
