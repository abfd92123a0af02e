/*
 * lines.h - what several sources tell, put into the order of the stream's time.
 *
 *     lines_add(&l, time, source, event, bytes);      // as they come
 *     while ((one = lines_next(&l, until)))           // nobody will tell of a time before until
 *         show(one), free(one);
 *
 * What is of one time comes in the order of the sources, and of one source in the order it came in.
 * So the order is that of what was told, and not of when it was looked for.
 */
#ifndef CMD_LINES_H
#define CMD_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
    uint64_t time; /* frames */
    int source;
    _Alignas(16) unsigned char event[];
};

struct lines {
    struct line **held; /* in order, from first on */
    size_t first, count, size;
};

/* False when there is no memory. */
bool lines_add(struct lines *l, uint64_t time, int source, const void *event, size_t bytes);

/* The first one, if it is of a time before `until`; the caller's to free. */
struct line *lines_next(struct lines *l, uint64_t until);

void lines_free(struct lines *l);

#endif
