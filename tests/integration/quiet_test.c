/* A running stream's heap does not move and its device thread takes no page fault. */
#include "quiet.h"
#include "tap.h"

#include <unistd.h>

static bool is_quiet(const char *what, struct takt_stream_cfg cfg, uint64_t blocks)
{
    struct quiet q;
    if (quiet_run(cfg, blocks, &q) < 0)
        return false;
    printf("# %s: %llu blocks, %llu allocator calls, %lld bytes, %ld+%ld faults\n", what,
           (unsigned long long)q.blocks, (unsigned long long)q.calls, q.heap_bytes, q.minor_faults,
           q.major_faults);
    return q.blocks == blocks && !q.calls && !q.heap_bytes && !q.minor_faults && !q.major_faults;
}

static void counter_sees_an_allocation_and_a_fault(void)
{
    uint64_t before = atomic_load(&quiet_calls);
    void *volatile p = malloc(100);
    free(p);
    CHECK(atomic_load(&quiet_calls) >= before + 2);
    struct rusage a, b;
    getrusage(RUSAGE_THREAD, &a);
    char *fresh = malloc(64 << 20);
    for (size_t i = 0; i < 64 << 20; i += 4096)
        ((volatile char *)fresh)[i] = 1;
    getrusage(RUSAGE_THREAD, &b);
    free(fresh);
    CHECK(b.ru_minflt > a.ru_minflt);
}

static void live_duplex_stream_is_quiet(void)
{
    CHECK(is_quiet("duplex",
                   (struct takt_stream_cfg){.in = {.device = "sim:voice+guitar"},
                                            .out = {.device = "sim:loop", .channels = 2},
                                            .block_frames = 64},
                   1500));
}

static void adapted_converted_stream_is_quiet(void)
{
    CHECK(is_quiet("s16, 100 in 64",
                   (struct takt_stream_cfg){.in = {.device = "sim:guitar,host=64"},
                                            .out = {.device = "null:"},
                                            .block_frames = 100,
                                            .contract_off = false},
                   800));
}

static void stream_that_loses_its_device_is_quiet(void)
{
    CHECK(is_quiet(
        "vanish and xruns",
        (struct takt_stream_cfg){.in = {.device = "sim:noise,vanish=0.5s+0.5s,xrun=0.3s,xrun=1.4s"},
                                 .out = {.device = "null:", .channels = 1},
                                 .block_frames = 64},
        1500));
}

static void recording_stream_is_quiet(void)
{
    char path[] = "/tmp/takt-quiet-XXXXXX", wav[64];
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(wav, sizeof wav, "%s.wav", path);
    bool quiet =
        is_quiet("to a file",
                 (struct takt_stream_cfg){
                     .in = {.device = "sim:voice"}, .out = {.device = wav}, .block_frames = 64},
                 1500);
    unlink(wav);
    CHECK(quiet);
}

int main(void)
{
    RUN(counter_sees_an_allocation_and_a_fault);
    RUN(live_duplex_stream_is_quiet);
    RUN(adapted_converted_stream_is_quiet);
    RUN(stream_that_loses_its_device_is_quiet);
    RUN(recording_stream_is_quiet);
    return tap_done();
}
