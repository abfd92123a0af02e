#include "base/random.h"
#include "fault.h"
#include "takt/worker.h"
#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_MAX = 300, CHANNELS_MAX = 3, EVENTS_MAX = 8192 };

static float sample_at(uint64_t position, uint32_t channel)
{
    return (float)((position * 13 + channel * 5) & 0xfffff);
}

static bool write_block(struct takt_worker *w, uint32_t channels, size_t frames, uint64_t position,
                        bool planar)
{
    float x[BLOCK_MAX * CHANNELS_MAX], planes[CHANNELS_MAX][BLOCK_MAX];
    const float *plane[CHANNELS_MAX] = {planes[0], planes[1], planes[2]};
    for (size_t i = 0; i < frames; i++)
        for (uint32_t c = 0; c < channels; c++)
            x[i * channels + c] = planes[c][i] = sample_at(position + i, c);
    if (planar)
        takt_worker_write(w, plane, frames, position);
    else
        takt_worker_write_interleaved(w, x, frames, position);
    return true;
}

/* What a window was: all of it is checked where it is worked on. */
struct seen {
    uint64_t position, frames;
    bool is_right;
};

static bool look(struct takt_work *work, void *event, void *arg)
{
    struct seen *s = event;
    *s = (struct seen){work->position, work->frames, true};
    for (size_t i = 0; i < work->frames; i++)
        for (uint32_t c = 0; c < work->channels; c++)
            s->is_right &= work->x[i * work->channels + c] == sample_at(work->position + i, c);
    return true;
}

static struct takt_worker *create(struct takt_worker_cfg cfg)
{
    struct takt_worker *w;
    struct takt_error e;
    if (!cfg.work)
        cfg.work = look;
    if (!cfg.event_bytes)
        cfg.event_bytes = sizeof(struct seen);
    if (takt_worker_create(&cfg, &w, &e) < 0)
        printf("# %s\n", e.text);
    return w;
}

static struct takt_worker_counts counts_of(const struct takt_worker *w)
{
    struct takt_worker_counts n;
    takt_worker_counts(w, &n);
    return n;
}

struct event {
    uint64_t time;
    struct seen seen;
};

static size_t take_all(struct takt_worker *w, struct event *to, size_t have)
{
    while (have < EVENTS_MAX && takt_worker_next(w, &to[have].time, &to[have].seen))
        have++;
    return have;
}

/* Writes `length` frames in blocks of any size, takes what comes, and stops. */
static size_t run_through(struct takt_worker *w, struct takt_worker_cfg cfg, uint64_t length,
                          uint64_t seed, struct event *to)
{
    struct takt_random chance = takt_random_seed(seed);
    size_t have = 0;
    for (uint64_t at = 0, frames; at < length; at += frames) {
        frames = takt_random_below(&chance, BLOCK_MAX + 1);
        frames = frames < length - at ? frames : length - at;
        write_block(w, cfg.channels, frames, at, takt_random_below(&chance, 2));
        have = take_all(w, to, have);
    }
    return takt_worker_stop(w, 10000) == 0 ? take_all(w, to, have) : 0;
}

static bool is_every_window(const struct event *e, size_t count, struct takt_worker_cfg cfg,
                            uint64_t length)
{
    uint64_t at = 0;
    size_t n = 0;
    for (; at + cfg.size_frames <= length; at += cfg.hop_frames, n++)
        if (n >= count || !e[n].seen.is_right || e[n].seen.position != at ||
            e[n].seen.frames != cfg.size_frames || e[n].time != at + cfg.size_frames / 2)
            return false;
    uint64_t had = n ? at - cfg.hop_frames + cfg.size_frames : 0;
    if (cfg.rest && at < length && length > had) {
        if (n >= count || !e[n].seen.is_right || e[n].seen.position != at ||
            e[n].seen.frames != length - at)
            return false;
        n++;
    }
    return n == count;
}

/* In the callback or on a thread of its own, it is the same windows with the same times. */
static void worker_sees_every_window_of_any_blocks(void)
{
    static const size_t sizes[] = {1, 7, 64, 500}, hops[] = {1, 16, 64, 777};
    static struct event events[EVENTS_MAX];
    uint64_t seed = 0;
    for (int s = 0; s < 4; s++)
        for (int h = 0; h < 4; h++)
            for (int at_once = 0; at_once < 2; at_once++) {
                seed++;
                struct takt_worker_cfg cfg = {.size_frames = sizes[s],
                                              .hop_frames = hops[h],
                                              .channels = 1 + (uint32_t)(seed % CHANNELS_MAX),
                                              .events = EVENTS_MAX,
                                              .rest = seed / 2 % 2,
                                              .at_once = at_once};
                struct takt_worker *w = create(cfg);
                CHECK(w);
                uint64_t length = 3000 + seed * 17;
                size_t count = run_through(w, cfg, length, seed, events);
                if (!is_every_window(events, count, cfg, length))
                    printf("# size %zu hop %zu at once %d\n", sizes[s], hops[h], at_once);
                CHECK(is_every_window(events, count, cfg, length));
                struct takt_worker_counts n = counts_of(w);
                CHECK(n.windows == count && n.events == count && !n.lost_windows);
                CHECK(!n.dropped_frames && !n.dropped_events && takt_worker_until(w) > length);
                takt_worker_destroy(w);
            }
}

static bool add_up(struct takt_work *work, void *event, void *arg)
{
    uint64_t *end = arg;
    if (work->position != *end)
        return false;
    *end += work->frames;
    return false;
}

static void worker_with_the_rest_misses_no_frame(void)
{
    for (size_t size = 1; size < 40; size += 3)
        for (uint64_t length = 0; length < 300; length += 37) {
            uint64_t end = 0;
            struct takt_worker *w = create((struct takt_worker_cfg){
                .work = add_up, .arg = &end, .size_frames = size, .rest = true, .at_once = true});
            CHECK(w && (!length || write_block(w, 1, length, 0, true)));
            CHECK_INT(takt_worker_stop(w, -1), 0);
            CHECK_INT(end, length);
            CHECK_INT(takt_worker_stop(w, -1), 0); /* not twice */
            CHECK_INT(end, length);
            takt_worker_destroy(w);
        }
}

/* ---- Slow work --------------------------------------------------------------------------------
 */

struct gate {
    _Atomic bool is_open;
    _Atomic int inside, passed;
};

static bool wait_at_gate(struct takt_work *work, void *event, void *arg)
{
    struct gate *g = arg;
    atomic_fetch_add(&g->inside, 1);
    while (!atomic_load(&g->is_open))
        usleep(100);
    atomic_fetch_add(&g->passed, 1);
    return look(work, event, arg);
}

static void await_inside(struct gate *g)
{
    while (!atomic_load(&g->inside))
        sched_yield();
}

/* Held up at its first window, it loses what does not fit, and all is accounted for. */
static void worker_that_is_slow_counts_each_window_it_loses(void)
{
    static struct event events[EVENTS_MAX];
    for (size_t hop = 5; hop <= 80; hop += 25) {
        struct gate g = {0};
        struct takt_worker_cfg cfg = {.work = wait_at_gate,
                                      .arg = &g,
                                      .size_frames = 50,
                                      .hop_frames = hop,
                                      .capacity_frames = 120,
                                      .events = EVENTS_MAX};
        struct takt_worker *w = create(cfg);
        uint64_t position = 0, whole = 0;
        CHECK(w && write_block(w, 1, 60, 0, true));
        await_inside(&g);
        for (position = 60; position < 4000; position += 83)
            write_block(w, 1, 83, position, true);
        CHECK(counts_of(w).dropped_frames > 0);
        atomic_store(&g.is_open, true);
        CHECK_INT(takt_worker_stop(w, 10000), 0);
        for (uint64_t at = 0; at + 50 <= position; at += hop)
            whole++;
        size_t count = take_all(w, events, 0);
        for (size_t i = 0; i < count; i++)
            CHECK(events[i].seen.is_right && events[i].seen.position % hop == 0);
        struct takt_worker_counts n = counts_of(w);
        CHECK_INT(n.windows, count);
        CHECK_INT(n.windows + n.lost_windows, whole);
        CHECK(n.lost_windows > 0 && n.busy_ns >= n.busy_ns_max && n.busy_ns_max > 0);
        takt_worker_destroy(w);
    }
}

/* Work that hangs is given up on; when it returns, what waited behind it is lost and counted. */
static void worker_stop_gives_up_on_work_that_hangs(void)
{
    struct gate g = {0};
    struct takt_worker *w = create(
        (struct takt_worker_cfg){.work = wait_at_gate, .arg = &g, .size_frames = 10, .rest = true});
    CHECK(w && write_block(w, 1, 45, 0, true));
    await_inside(&g);
    CHECK_INT(takt_worker_stop(w, 1), TAKT_ERR_TIMEOUT);
    CHECK_INT(takt_worker_stop(w, 0), TAKT_ERR_TIMEOUT);
    atomic_store(&g.is_open, true);
    CHECK_INT(takt_worker_stop(w, -1), 0);
    CHECK_INT(counts_of(w).windows, 1);
    CHECK_INT(counts_of(w).lost_windows, 3);
    CHECK_INT(atomic_load(&g.passed), 1);
    takt_worker_destroy(w);
}

/* Whatever waits to be worked on does not hold up destroy. */
static void worker_destroy_works_on_nothing_more(void)
{
    struct gate g = {0};
    struct takt_worker *w = create((struct takt_worker_cfg){
        .work = wait_at_gate, .arg = &g, .size_frames = 1, .capacity_frames = 10000});
    CHECK(w);
    for (uint64_t at = 0; at < 9000; at += 300)
        write_block(w, 1, 300, at, true);
    await_inside(&g);
    atomic_store(&g.is_open, true);
    takt_worker_destroy(w);
    CHECK(atomic_load(&g.passed) <= 9000);
    takt_worker_destroy(create((struct takt_worker_cfg){.size_frames = 4}));
    takt_worker_destroy(NULL);
}

/* ---- Events -----------------------------------------------------------------------------------
 */

static void worker_events_that_find_no_room_are_counted_and_the_newest_is_shown(void)
{
    struct takt_worker *w = create((struct takt_worker_cfg){.size_frames = 10, .events = 4});
    struct event e;
    CHECK(w && !takt_worker_newest(w, &e.time, &e.seen) && !takt_worker_next(w, &e.time, &e.seen));
    CHECK(write_block(w, 1, 100, 0, true));
    CHECK_INT(takt_worker_stop(w, 10000), 0);
    CHECK_INT(counts_of(w).events, 10);
    CHECK_INT(counts_of(w).dropped_events, 6);
    CHECK(takt_worker_newest(w, &e.time, &e.seen));
    CHECK(e.time == 95 && e.seen.position == 90);
    for (uint64_t n = 0; n < 4; n++)
        CHECK(takt_worker_next(w, &e.time, &e.seen) && e.time == 10 * n + 5);
    CHECK(!takt_worker_next(w, &e.time, &e.seen));
    takt_worker_destroy(w);
}

struct taker {
    struct takt_worker *w;
    _Atomic bool is_written;
    uint64_t taken;
    bool in_order;
};

static void *take_slowly(void *arg)
{
    struct taker *t = arg;
    struct event e;
    for (;;) {
        bool over = atomic_load(&t->is_written);
        uint64_t until = takt_worker_until(t->w);
        if (takt_worker_next(t->w, &e.time, &e.seen)) {
            t->in_order &= e.seen.is_right && e.time == t->taken * 7 + 3;
            t->taken++;
            if (t->taken % 64 == 0)
                usleep(500);
        } else if (over) {
            return NULL;
        } else {
            /* All that is of a time before until was there before it. */
            t->in_order &= t->taken * 7 >= until || takt_worker_until(t->w) == UINT64_MAX;
        }
    }
}

/* Time waits for the reader where there is no time. */
static void worker_at_once_waits_for_who_takes_its_events(void)
{
    struct taker t = {.in_order = true};
    pthread_t thread;
    t.w = create((struct takt_worker_cfg){.size_frames = 7, .events = 3, .at_once = true});
    CHECK(t.w && pthread_create(&thread, NULL, take_slowly, &t) == 0);
    for (uint64_t at = 0; at < 7000; at += 250)
        write_block(t.w, 1, 250, at, true);
    atomic_store(&t.is_written, true);
    pthread_join(thread, NULL);
    CHECK(t.in_order);
    CHECK_INT(t.taken, 1000);
    takt_worker_leave(t.w); /* from here on nobody is waited for */
    for (uint64_t at = 7000; at < 14000; at += 250)
        write_block(t.w, 1, 250, at, true);
    CHECK_INT(counts_of(t.w).dropped_events, 1000 - 3);
    takt_worker_destroy(t.w);
}

static bool stamp(struct takt_work *work, void *event, void *arg)
{
    work->time = *(uint64_t *)arg;
    return true;
}

static void worker_event_has_the_time_that_the_work_gives_it(void)
{
    uint64_t time = 130, got;
    char event[3];
    struct takt_worker *w = create((struct takt_worker_cfg){
        .work = stamp, .arg = &time, .size_frames = 20, .event_bytes = 3, .at_once = true});
    CHECK(w && write_block(w, 1, 20, 100, true));
    time = 50; /* before its window */
    write_block(w, 1, 20, 120, true);
    CHECK(takt_worker_next(w, &got, event) && got == 130);
    CHECK(takt_worker_next(w, &got, event) && got == 120);
    CHECK(takt_worker_newest(w, &got, event) && got == 120);
    takt_worker_destroy(w);
}

/* Nothing for longer than it naps, so that it sleeps; the next block wakes it. */
static void worker_sleeps_when_nothing_comes_and_wakes_again(void)
{
    struct takt_worker *w = create((struct takt_worker_cfg){.size_frames = 8});
    struct event e;
    CHECK(w);
    usleep(700000);
    for (uint64_t at = 0; !takt_worker_next(w, &e.time, &e.seen); at += 8) {
        CHECK(at < 8 * 50000); /* ten seconds */
        write_block(w, 1, 8, at, true);
        usleep(200);
    }
    CHECK(e.seen.is_right);
    takt_worker_destroy(w);
}

/* ---- Create -----------------------------------------------------------------------------------
 */

static void worker_create_refuses_what_cannot_be(void)
{
    static const struct takt_worker_cfg bad[] = {
        {.size_frames = 8},
        {.work = look},
        {.work = look, .size_frames = 8, .event_bytes = SIZE_MAX},
        {.work = look, .size_frames = 8, .events = SIZE_MAX},
        {.work = look, .size_frames = 8, .channels = 1025},
        {.work = look, .size_frames = 8, .capacity_frames = 15},
        {.work = look, .size_frames = SIZE_MAX},
        {.work = look, .size_frames = 8, .priority = 99},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_worker *w = (struct takt_worker *)1;
        struct takt_error e = {0};
        CHECK_INT(takt_worker_create(&bad[i], &w, &e), TAKT_ERR_ARG);
        CHECK(!w && e.text[0]);
    }
}

static void worker_create_survives_any_failing_request(void)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        long before = fault_held();
        int failed = 0;
        for (int n = 1;; n++) {
            struct takt_worker *w = (struct takt_worker *)1;
            struct takt_worker_cfg cfg = {
                .work = look, .size_frames = 64, .event_bytes = 8, .at_once = at_once};
            fault_at(n);
            int code = takt_worker_create(&cfg, &w, NULL);
            bool happened = fault_happened();
            fault_at(0);
            CHECK(code == 0 || (code == TAKT_ERR_NOMEM && !w));
            failed += code < 0;
            takt_worker_destroy(w);
            CHECK_INT(fault_held(), before);
            if (!happened)
                break;
        }
        CHECK(failed >= (at_once ? 10 : 12));
    }
}

int main(void)
{
    RUN(worker_sees_every_window_of_any_blocks);
    RUN(worker_with_the_rest_misses_no_frame);
    RUN(worker_that_is_slow_counts_each_window_it_loses);
    RUN(worker_stop_gives_up_on_work_that_hangs);
    RUN(worker_destroy_works_on_nothing_more);
    RUN(worker_events_that_find_no_room_are_counted_and_the_newest_is_shown);
    RUN(worker_at_once_waits_for_who_takes_its_events);
    RUN(worker_event_has_the_time_that_the_work_gives_it);
    RUN(worker_sleeps_when_nothing_comes_and_wakes_again);
    RUN(worker_create_refuses_what_cannot_be);
    RUN(worker_create_survives_any_failing_request);
    return tap_done();
}
