/*
 * Reading a page is enough for code and constants. Data that the program may write are mapped as
 * its own copies, as their first write would do.
 */
#include "rt/resident.h"

#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

enum { MOST_BYTES = 64 << 20, MOST_WRITTEN_BYTES = 8 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long loads_seen; /* how many times a library had been loaded */

static uintptr_t page_of(uintptr_t at)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return at / page * page;
}

static void bring(uintptr_t from, uintptr_t to, size_t most, int how)
{
    to = to - from > most ? from + most : to;
    if (from < to)
        madvise((void *)page_of(from), to - page_of(from), how);
}

/* The first part of an object's data is sealed once it is relocated: read-only from then on. */
static uintptr_t end_of_sealed(const struct dl_phdr_info *is)
{
    for (int i = 0; i < is->dlpi_phnum; i++)
        if (is->dlpi_phdr[i].p_type == PT_GNU_RELRO)
            return page_of(is->dlpi_addr + is->dlpi_phdr[i].p_vaddr + is->dlpi_phdr[i].p_memsz);
    return 0;
}

static int visit(struct dl_phdr_info *is, size_t size, void *arg)
{
    unsigned long long *loads = arg;
    *loads = is->dlpi_adds;
    if (*loads == loads_seen)
        return 1;
    uintptr_t sealed_to = end_of_sealed(is);
    for (int i = 0; i < is->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &is->dlpi_phdr[i];
        uintptr_t from = is->dlpi_addr + p->p_vaddr, to = from + p->p_memsz;
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_R))
            continue;
        if (!(p->p_flags & PF_W)) {
            bring(from, to, MOST_BYTES, MADV_POPULATE_READ);
        } else {
            uintptr_t writable = from < sealed_to && sealed_to <= to ? sealed_to : from;
            bring(from, writable, MOST_BYTES, MADV_POPULATE_READ);
            bring(writable, to, MOST_WRITTEN_BYTES, MADV_POPULATE_WRITE);
        }
    }
    return 0;
}

void takt_resident_begin(void)
{
    unsigned long long loads = 0;
    pthread_mutex_lock(&lock);
    dl_iterate_phdr(visit, &loads);
    loads_seen = loads;
    pthread_mutex_unlock(&lock);
}
