#include "base/random.h"
#include "stress.h"
#include "takt/worker.h"
#include "tap.h"

#include <sched.h>

enum { BLOCK_MAX = 80, CHANNELS = 2, PARTS = 4 };

struct shared {
    struct takt_worker *w;
    int64_t deadline_ns;
    uint64_t seed, written;
    _Atomic bool done;
};

struct event {
    uint64_t position, frames;
    bool is_right;
};

static float sample_at(uint64_t position, uint32_t channel)
{
    return (float)((position + channel * 77) & 0xfffff);
}

static bool look(struct takt_work *work, void *event, void *arg)
{
    struct event *e = event;
    *e = (struct event){work->position, work->frames, true};
    for (size_t i = 0; i < work->frames * CHANNELS; i++)
        e->is_right &= work->x[i] == sample_at(work->position + i / CHANNELS, i % CHANNELS);
    if (e->position % 1000 < 10)
        sched_yield();
    return e->position % 3 != 0;
}

static void *writer(void *arg)
{
    struct shared *s = arg;
    struct takt_random chance = takt_random_seed(s->seed);
    float x[BLOCK_MAX * CHANNELS];
    while (!stress_over(s->deadline_ns)) {
        size_t frames = takt_random_below(&chance, BLOCK_MAX + 1);
        for (size_t i = 0; i < frames * CHANNELS; i++)
            x[i] = sample_at(s->written + i / CHANNELS, i % CHANNELS);
        takt_worker_write_interleaved(s->w, x, frames, s->written);
        s->written += frames;
        if (takt_random_below(&chance, 50) == 0)
            sched_yield();
    }
    atomic_store(&s->done, true);
    return NULL;
}

static bool is_event(const struct event *e, uint64_t time)
{
    return e->is_right && time == e->position + e->frames / 2;
}

static bool run(size_t size, size_t hop, bool at_once, uint64_t seed)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(PARTS), .seed = seed};
    struct takt_worker_cfg cfg = {.work = look,
                                  .size_frames = size,
                                  .hop_frames = hop,
                                  .channels = CHANNELS,
                                  .rate_hz = 384000,
                                  .event_bytes = sizeof(struct event),
                                  .events = 16,
                                  .at_once = at_once};
    struct takt_worker_counts n;
    struct event e = {0};
    uint64_t taken = 0, time = 0, next = 0, until;
    bool right = true, done = false;
    pthread_t t;
    if (takt_worker_create(&cfg, &s.w, NULL) < 0 || pthread_create(&t, NULL, writer, &s))
        return false;
    while (right && !done) {
        done = atomic_load(&s.done);
        until = takt_worker_until(s.w);
        for (; right && takt_worker_next(s.w, &time, &e); taken++) {
            right = is_event(&e, time) && e.position >= next;
            next = e.position + 1;
        }
        if (takt_worker_newest(s.w, &time, &e))
            right = right && is_event(&e, time);
        right = right && takt_worker_until(s.w) >= until;
    }
    takt_worker_leave(s.w);
    pthread_join(t, NULL);
    right = right && takt_worker_stop(s.w, 10000) == 0;
    while (takt_worker_next(s.w, &time, &e))
        taken++;
    takt_worker_counts(s.w, &n);
    printf("# size %zu hop %zu: %llu windows, %llu lost, %llu events not taken\n", size, hop,
           (unsigned long long)n.windows, (unsigned long long)n.lost_windows,
           (unsigned long long)n.dropped_events);
    right = right && taken + n.dropped_events == n.events && n.windows > 0;
    right = right && n.windows + n.lost_windows == (s.written - size) / hop + 1;
    takt_worker_destroy(s.w);
    return right;
}

static void worker_between_two_threads_accounts_for_every_window_and_event(void)
{
    CHECK(run(64, 16, false, 1));
    CHECK(run(37, 37, true, 2));
    CHECK(run(50, 333, false, 3));
    CHECK(run(129, 7, false, 4));
}

int main(void)
{
    RUN(worker_between_two_threads_accounts_for_every_window_and_event);
    return tap_done();
}
