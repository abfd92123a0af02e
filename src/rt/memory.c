/*
 * Each piece is a mapping of its own with one page in front that says how long it is and whether
 * it is locked.
 */
#include "rt/memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { FRONT = 4096 };

struct front {
    size_t bytes;
    bool locked;
};

static struct front *front_of(const void *memory)
{
    return (struct front *)((uintptr_t)memory - FRONT);
}

void *takt_rt_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    size_t whole = FRONT + (bytes + FRONT - 1) / FRONT * FRONT;
    char *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    /* Touched one by one: after a fork they would be copied on the first write, not before. */
    memset(at, 0, whole);
    for (size_t i = 0; i < whole; i += FRONT)
        ((volatile char *)at)[i] = 0;
    struct front *front = (struct front *)(void *)at;
    front->bytes = whole;
    front->locked = mlock(at, whole) == 0;
    return at + FRONT;
}

void takt_rt_free(void *memory)
{
    if (memory)
        munmap(front_of(memory), front_of(memory)->bytes);
}

bool takt_rt_is_locked(const void *memory)
{
    return front_of(memory)->locked;
}
