#include "lines.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct lines *l)
{
    if (l->first > l->count) { /* half of it is used up */
        memmove(l->held, l->held + l->first, l->count * sizeof *l->held);
        l->first = 0;
    }
    if (l->first + l->count < l->size)
        return true;
    size_t size = 2 * l->size + 64;
    struct line **grown = realloc(l->held, size * sizeof *grown);
    if (!grown)
        return false;
    l->held = grown;
    l->size = size;
    return true;
}

static bool comes_before(const struct line *a, const struct line *b)
{
    return a->time < b->time || (a->time == b->time && a->source < b->source);
}

bool lines_add(struct lines *l, uint64_t time, int source, const void *event, size_t bytes)
{
    struct line *one = malloc(sizeof *one + bytes);
    if (!one || !make_room(l)) {
        free(one);
        return false;
    }
    one->time = time;
    one->source = source;
    memcpy(one->event, event, bytes);
    size_t at = l->first + l->count++;
    for (; at > l->first && comes_before(one, l->held[at - 1]); at--)
        l->held[at] = l->held[at - 1];
    l->held[at] = one;
    return true;
}

struct line *lines_next(struct lines *l, uint64_t until)
{
    if (!l->count || l->held[l->first]->time >= until)
        return NULL;
    l->count--;
    return l->held[l->first++];
}

void lines_free(struct lines *l)
{
    struct line *one;
    while ((one = lines_next(l, UINT64_MAX)))
        free(one);
    free(l->held);
    *l = (struct lines){0};
}
