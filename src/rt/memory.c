/*
 * Each piece is a mapping of its own with one page in front: for memory it says how long the piece
 * is and whether it is locked; for a stack it is the guard.
 */
#include "rt/memory.h"

#include "base/fail.h"
#include "takt/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRONT = 4096 };

struct front {
    size_t bytes;
    bool locked;
};

static _Atomic size_t taken;
static _Atomic int fails_in; /* the piece at which it comes to 0 is not to be had */

static struct front *front_of(const void *memory)
{
    return (struct front *)((uintptr_t)memory - FRONT);
}

static void *map(size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* bytes rounded up to a multiple of to; SIZE_MAX when that is no size. */
static size_t round_up(size_t bytes, size_t to)
{
    return bytes > SIZE_MAX / 2 ? SIZE_MAX : (bytes + to - 1) / to * to;
}

void *takt_rt_alloc(size_t bytes)
{
    size_t whole = round_up(bytes, FRONT);
    whole = whole == SIZE_MAX ? whole : whole + FRONT;
    if (atomic_load(&fails_in) > 0 && atomic_fetch_sub(&fails_in, 1) == 1) {
        errno = ENOMEM;
        return NULL;
    }
    char *at = map(whole);
    if (!at)
        return NULL;
    atomic_fetch_add(&taken, whole);
    memset(at, 0, whole); /* touches every page, whether it can be locked or not */
    struct front *front = (struct front *)(void *)at;
    front->bytes = whole;
    front->locked = mlock(at, whole) == 0;
    return at + FRONT;
}

void takt_rt_free(void *memory)
{
    if (!memory)
        return;
    size_t whole = front_of(memory)->bytes;
    atomic_fetch_sub(&taken, whole);
    munmap(front_of(memory), whole);
}

size_t takt_rt_alloc_bytes(void)
{
    return atomic_load(&taken);
}

void takt_rt_alloc_fail(int nth)
{
    atomic_store(&fails_in, nth);
}

bool takt_rt_is_locked(const void *memory)
{
    return front_of(memory)->locked;
}

bool takt_rt_stack_alloc(size_t bytes, struct takt_rt_stack *out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), usable = round_up(bytes, page);
    char *at = map(usable == SIZE_MAX ? usable : usable + page);
    if (!at)
        return false;
    if (mprotect(at, page, PROT_NONE) != 0) {
        int kept = errno;
        munmap(at, usable + page);
        errno = kept;
        return false;
    }
    madvise(at, usable + page, MADV_WIPEONFORK);
    memset(at + page, 0, usable);
    *out = (struct takt_rt_stack){at + page, usable, mlock(at + page, usable) == 0};
    return true;
}

void takt_rt_stack_free(const struct takt_rt_stack *s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((char *)s->base - page, s->bytes + page);
}

int takt_memory_lock(void *at, size_t bytes, struct takt_error *e)
{
    if (!bytes)
        return TAKT_OK;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)at, last = first + bytes - 1;
    for (uintptr_t p = first; p <= last; p = (p / page + 1) * page)
        __atomic_fetch_or((char *)p, 0, __ATOMIC_RELAXED); /* a write that changes nothing */
    if (mlock(at, bytes) != 0)
        return takt_fail(e, TAKT_ERR_SYSTEM, errno,
                         "%zu bytes touched but not locked; raise RLIMIT_MEMLOCK (ulimit -l)",
                         bytes);
    return TAKT_OK;
}
