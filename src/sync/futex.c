#include "sync/futex.h"

#include "base/permit.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void takt_futex_wake_all(_Atomic uint32_t *word)
{
    int kept = errno;
    takt_permit_begin();
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    takt_permit_end();
    errno = kept;
}

void takt_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    int kept = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until_ns < 0 ? NULL : &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = kept;
}
