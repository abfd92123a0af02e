/*
 * tests/unit/fault.h - makes the n-th request for memory, a mapping or a descriptor fail, and
 * counts what is held, so that a test can show that every failing create gives all of it back.
 * Link with fault_link_args; include in one file of the test. Meson has all files compiled with
 * 64-bit offsets, so mmap and ftruncate go by their longer names here.
 *
 *     fault_at(n);                         // the n-th request from here on fails; 0: none
 *     int code = takt_ring_create(...);
 *     CHECK_INT(fault_held(), before);
 */
#ifndef TAKT_TESTS_FAULT_H
#define TAKT_TESTS_FAULT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

static _Atomic int fault_next, fault_seen;
static _Atomic long fault_blocks, fault_fds, fault_mapped_bytes;

static inline void fault_at(int n)
{
    fault_next = n;
    fault_seen = 0;
}

/* Whether the request that was to fail was made at all. */
static inline bool fault_happened(void)
{
    return fault_next && fault_seen >= fault_next;
}

/* Blocks, descriptors and mapped bytes together: equal before and after means nothing leaked. */
static inline long fault_held(void)
{
    return fault_blocks + fault_fds + fault_mapped_bytes;
}

static inline bool fault_now(int code)
{
    if (++fault_seen != fault_next)
        return false;
    errno = code;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_aligned_alloc(size_t align, size_t n);
void __real_free(void *p);
void *__real_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off);
int __real_munmap(void *at, size_t n);
int __real_memfd_create(const char *name, unsigned flags);
int __real_ftruncate64(int fd, off_t n);
int __real_eventfd(unsigned count, int flags);
int __real_close(int fd);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_aligned_alloc(size_t align, size_t n);
void __wrap_free(void *p);
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t n);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_ftruncate64(int fd, off_t n);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_close(int fd);

static inline void *fault_block(void *p)
{
    fault_blocks += p != NULL;
    return p;
}

static inline int fault_fd(int fd)
{
    fault_fds += fd >= 0;
    return fd;
}

void *__wrap_malloc(size_t n)
{
    return fault_now(ENOMEM) ? NULL : fault_block(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t each)
{
    return fault_now(ENOMEM) ? NULL : fault_block(__real_calloc(n, each));
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fault_now(ENOMEM) ? NULL : fault_block(__real_aligned_alloc(align, n));
}

void __wrap_free(void *p)
{
    fault_blocks -= p != NULL;
    __real_free(p);
}

/* A mapping over part of another (fd >= 0) takes its place and does not count again. */
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    if (fault_now(ENOMEM))
        return (void *)-1;
    void *p = __real_mmap64(at, n, prot, flags, fd, off);
    if (p != (void *)-1 && !at)
        fault_mapped_bytes += (long)n;
    return p;
}

int __wrap_munmap(void *at, size_t n)
{
    fault_mapped_bytes -= (long)n;
    return __real_munmap(at, n);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    return fault_now(EMFILE) ? -1 : fault_fd(__real_memfd_create(name, flags));
}

int __wrap_ftruncate64(int fd, off_t n)
{
    return fault_now(ENOSPC) ? -1 : __real_ftruncate64(fd, n);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fault_now(EMFILE) ? -1 : fault_fd(__real_eventfd(count, flags));
}

int __wrap_close(int fd)
{
    fault_fds--;
    return __real_close(fd);
}

#endif
