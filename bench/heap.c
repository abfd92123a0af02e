/*
 * How much a running stream moves on the heap and how often its device thread faults: both must
 * be nothing. The floor is the same count around a loop that only sleeps.
 */
#include "bench.h"
#include "quiet.h"

int main(void)
{
    struct quiet q;
    long long steal = bench_steal_ticks();
    struct rusage a, b;
    uint64_t calls = atomic_load(&quiet_calls);
    getrusage(RUSAGE_THREAD, &a);
    takt_sleep_ms(500);
    getrusage(RUSAGE_THREAD, &b);
    uint64_t idle_calls = atomic_load(&quiet_calls) - calls;
    enum { BLOCKS = 4 * 750 };
    if (quiet_run((struct takt_stream_cfg){.in = {.device = "sim:voice+guitar"},
                                           .out = {.device = "sim:loop", .channels = 2},
                                           .block_frames = 64},
                  BLOCKS, &q) < 0)
        return 1;
    printf("{\"bench\":\"heap\",\"blocks\":%llu,\"allocator_calls\":%llu,\"heap_bytes\":%lld,"
           "\"page_faults\":%ld,\"idle_allocator_calls\":%llu,\"idle_page_faults\":%ld,"
           "\"steal_ticks\":%lld}\n",
           (unsigned long long)q.blocks - QUIET_FROM_BLOCK, (unsigned long long)q.calls,
           q.heap_bytes, q.minor_faults + q.major_faults, (unsigned long long)idle_calls,
           b.ru_minflt - a.ru_minflt, bench_steal_ticks() - steal);
    return 0;
}
