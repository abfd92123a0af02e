#include "rt/fault_cost.h"

#include "takt/time.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 64, LEAST_NS = 8000 };

static int64_t cost_ns = LEAST_NS;

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Touches pages that nobody has touched, one by one. */
static void measure(void)
{
    int64_t took_ns[PAGES];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *fresh =
        mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED)
        return;
    madvise(fresh, PAGES * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < PAGES; i++) {
        int64_t began_ns = takt_now_ns();
        *(volatile char *)(fresh + i * page) = 1;
        took_ns[i] = takt_now_ns() - began_ns;
    }
    munmap(fresh, PAGES * page);
    qsort(took_ns, PAGES, sizeof *took_ns, compare);
    if (took_ns[PAGES / 2] > cost_ns)
        cost_ns = took_ns[PAGES / 2];
}

int64_t takt_fault_cost_ns(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, measure);
    return cost_ns;
}
