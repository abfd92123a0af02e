#include "base/random.h"
#include "stress.h"
#include "takt/window.h"
#include "tap.h"

#include <sched.h>

enum { BLOCK_MAX = 80, CHANNELS = 2, PARTS = 4 };

struct shared {
    struct takt_window *w;
    int64_t deadline_ns;
    uint64_t seed;
    bool gaps;
    _Atomic bool done;
};

static float sample_at(uint64_t position, uint32_t channel)
{
    return (float)((position + channel * 77) & 0xfffff);
}

static void *writer(void *arg)
{
    struct shared *s = arg;
    struct takt_random chance = takt_random_seed(s->seed);
    float x[BLOCK_MAX * CHANNELS];
    uint64_t position = 0;
    while (!stress_over(s->deadline_ns)) {
        size_t frames = takt_random_below(&chance, BLOCK_MAX + 1);
        for (size_t i = 0; i < frames * CHANNELS; i++)
            x[i] = sample_at(position + i / CHANNELS, i % CHANNELS);
        takt_window_write(s->w, x, frames, position);
        position += frames;
        if (s->gaps && takt_random_below(&chance, 100) == 0)
            position += takt_random_below(&chance, 500);
        if (takt_random_below(&chance, 50) == 0)
            sched_yield();
    }
    atomic_store(&s->done, true);
    return NULL;
}

/* Looks at every frame only after a while, when a writer that overwrote it would have done so. */
static bool is_window(const float *x, size_t frames, uint64_t position)
{
    for (size_t i = 0; i < frames * CHANNELS; i++)
        if (x[i] != sample_at(position + i / CHANNELS, i % CHANNELS))
            return false;
    return true;
}

static bool run(size_t size, size_t hop, bool gaps, uint64_t seed)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(PARTS), .seed = seed, .gaps = gaps};
    struct takt_window_cfg cfg = {.size_frames = size,
                                  .hop_frames = hop,
                                  .channels = CHANNELS,
                                  .capacity_frames = 2 * size + 100,
                                  .plain = seed % 2};
    struct takt_random chance = takt_random_seed(~seed);
    uint64_t handed = 0, position;
    bool right = true;
    const float *x;
    pthread_t t;
    if (takt_window_create(&cfg, &s.w, NULL) < 0 || pthread_create(&t, NULL, writer, &s))
        return false;
    while (right) {
        bool done = atomic_load(&s.done);
        if (takt_window_next(s.w, &x, &position)) {
            right = position == (handed + takt_window_lost(s.w)) * hop;
            if (takt_random_below(&chance, 200) == 0)
                sched_yield();
            right = right && is_window(x, size, position);
            handed++;
        } else if (done) {
            break;
        }
    }
    pthread_join(t, NULL);
    printf("# size %zu hop %zu: %llu windows, %llu lost\n", size, hop, (unsigned long long)handed,
           (unsigned long long)takt_window_lost(s.w));
    takt_window_destroy(s.w);
    return right && handed > 0;
}

static void window_between_two_threads_hands_out_whole_windows(void)
{
    CHECK(run(64, 16, false, 1));
    CHECK(run(37, 37, true, 2));
    CHECK(run(50, 333, false, 3));
    CHECK(run(129, 7, true, 4));
}

int main(void)
{
    RUN(window_between_two_threads_hands_out_whole_windows);
    return tap_done();
}
