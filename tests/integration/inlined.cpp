// Breaks rules by way of C++'s own headers, which the compiler puts in line: for check_test.py.
#include <chrono>
#include <mutex>
#include <takt/takt.h>
#include <thread>
#include <vector>

static std::vector<int> numbers;
static std::mutex mutex;

namespace synth {
struct Voice {
    __attribute__((noinline)) void add(int n)
    {
        numbers.push_back(n); // breaks: vector
    }
};
}

static takt_next process(const takt_block *b, void *)
{
    if (b->position / b->frames % 50)
        return TAKT_CONTINUE;
    synth::Voice().add(1);
    std::lock_guard<std::mutex> lock(mutex);                     // breaks: guard
    std::this_thread::sleep_for(std::chrono::microseconds(50)); // breaks: sleep
    return TAKT_CONTINUE;
}

int main()
{
    takt_stream *s;
    takt_error e;
    takt_stream_cfg cfg{};
    cfg.in.device = "sim:tone=440";
    cfg.rate_hz = 48000;
    cfg.block_frames = 64;
    cfg.length_frames = 24000;
    cfg.clock = TAKT_CLOCK_VIRTUAL;
    cfg.process = process;
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0)
        return takt_die(&e);
    takt_stream_wait(s, -1);
    takt_stream_destroy(s);
}
