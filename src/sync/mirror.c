/*
 * One piece of memory mapped twice, end to end. The kernel and the page table then do the wrapping
 * that the ring would do by hand with every copy. Where no such mapping is to be had (limits on
 * mappings, no memfd), the two halves are ordinary memory, and every write is copied over.
 *
 * Invariants: data[i] == data[i + span_bytes] for every byte that the reader may see.
 */
#include "sync/mirror.h"

#include "base/assert.h"
#include "sync/line.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static bool map_over(unsigned char *at, int fd, size_t bytes)
{
    return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

/* Reserves addresses for both halves first, so that nothing else can come to lie between. */
static unsigned char *map_twice_fd(int fd, size_t bytes)
{
    unsigned char *at = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (map_over(at, fd, bytes) && map_over(at + bytes, fd, bytes))
        return at;
    munmap(at, 2 * bytes);
    return NULL;
}

/* To the kernel the memory is a file: growing one beyond RLIMIT_FSIZE would end the program. */
static bool is_too_long_a_file(size_t bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur;
}

static unsigned char *map_twice(size_t bytes)
{
    if (is_too_long_a_file(bytes))
        return NULL;
    int fd = memfd_create("takt-ring", MFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    unsigned char *at = ftruncate(fd, (off_t)bytes) == 0 ? map_twice_fd(fd, bytes) : NULL;
    close(fd);
    return at;
}

/* A write to each page of each half, since each half has page table entries of its own. */
static void touch(unsigned char *at, size_t bytes, size_t page_bytes)
{
    for (size_t i = 0; i < bytes; i += page_bytes)
        *(volatile unsigned char *)(at + i) = 0;
}

bool takt_mirror_init(struct takt_mirror *m, size_t bytes, bool plain)
{
    TAKT_ASSERT(bytes > 0 && bytes <= (size_t)1 << 30);
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t span_bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    *m = (struct takt_mirror){0};
    if (!plain && (m->data = map_twice(span_bytes))) {
        m->span_bytes = span_bytes;
        m->mapped = true;
        touch(m->data, 2 * span_bytes, page_bytes);
        return true;
    }
    m->data = takt_line_alloc(2 * bytes);
    m->span_bytes = m->data ? bytes : 0;
    return m->data != NULL;
}

void takt_mirror_fini(struct takt_mirror *m)
{
    if (m->mapped)
        munmap(m->data, 2 * m->span_bytes);
    else
        free(m->data);
    *m = (struct takt_mirror){0};
}

void takt_mirror_copy(struct takt_mirror *m, size_t at, size_t count_bytes)
{
    TAKT_ASSERT(at < m->span_bytes && count_bytes <= m->span_bytes);
    size_t first_bytes = m->span_bytes - at;
    if (first_bytes > count_bytes)
        first_bytes = count_bytes;
    memcpy(m->data + m->span_bytes + at, m->data + at, first_bytes);
    memcpy(m->data, m->data + m->span_bytes, count_bytes - first_bytes);
}
