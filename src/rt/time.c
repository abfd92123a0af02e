#include "takt/time.h"

#include <errno.h>
#include <time.h>

int64_t takt_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

void takt_sleep_until_ns(int64_t until_ns)
{
    struct timespec t = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    if (until_ns > 0)
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
}

void takt_sleep_ms(uint32_t ms)
{
    takt_sleep_until_ns(takt_now_ns() + ms * 1000000ll);
}
