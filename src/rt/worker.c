/*
 * A window on the stream, a thread that works on each, and two ways back: a snapshot of the newest
 * event and a ring of all of them.
 *
 * Waking a thread costs its waker microseconds. So the worker is not woken: it naps by the clock,
 * for half a hop and 25 ms at most, as its ring holds far more. Only when nothing has come for
 * half a second does it go to sleep, and the next block wakes it. That block may come just before
 * the worker says that it sleeps; then the one after it wakes it, or the sleep's own end.
 *
 * Invariants: until is the position of the next window, written behind the events before it; the
 * worker alone (with at_once: the writer alone) touches the reading side of the window.
 */
#include "takt/worker.h"

#include "base/assert.h"
#include "base/fail.h"
#include "rt/background.h"
#include "sync/line.h"
#include "sync/wake.h"
#include "takt/guard.h"
#include "takt/ring.h"
#include "takt/snapshot.h"
#include "takt/thread.h"
#include "takt/time.h"
#include "takt/window.h"

#include <sched.h>
#include <stdatomic.h>

enum {
    STACK_BYTES = 512 << 10,
    EVENTS = 64,
    NAP_NS_MIN = 1000000,
    NAP_NS_MAX = 25000000,
    REST_NS = 500000000, /* of napping in vain, and then of a sleep */
    DESTROY_MS = 2000
};

/* What comes before an event where it waits; the event is aligned for whatever it holds. */
struct stamp {
    alignas(16) uint64_t time;
};

struct takt_worker {
    /* All that the writer needs of a worker with a thread, on one line that hardly ever changes. */
    struct takt_window *window;
    bool at_once;         /* as in cfg */
    _Atomic bool sleeps;  /* and wants to be woken */
    _Atomic bool leaves;  /* nobody takes events */
    const float **planes; /* with at_once: where a part of a block begins */
    size_t piece_frames;  /* with at_once: what the window has room for at any time */

    alignas(TAKT_LINE_BYTES) struct takt_worker_cfg cfg;
    struct takt_ring *events;     /* NULL, as the next two: the work tells nothing */
    struct takt_snapshot *newest; /* the event, written behind its time */
    struct takt_snapshot *newest_time;
    struct takt_thread *thread; /* NULL: at once, or ended */
    _Atomic bool quits;         /* once all is worked on */
    _Atomic bool gives_up;      /* even before */
    bool has_ended;

    alignas(TAKT_LINE_BYTES) struct takt_wake wake; /* the worker's, from here on */
    unsigned char *scratch;                         /* a stamp and an event */
    _Atomic uint64_t until;
    _Atomic uint64_t windows, unworked, told, dropped_events;
    _Atomic int64_t busy_ns, busy_ns_max;
};

/* ---- The work ----------------------------------------------------------------------------------
 */

static inline void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

/* With at_once all the time in the world is the reader's. */
static bool wait_for_taker(struct takt_worker *w)
{
    while (!takt_ring_write_avail(w->events)) {
        if (!w->cfg.at_once || atomic_load(&w->leaves))
            return false;
        sched_yield();
    }
    return true;
}

static void tell(struct takt_worker *w, uint64_t time)
{
    add(&w->told, 1);
    if (!w->events)
        return;
    memcpy(w->scratch, &(struct stamp){time}, sizeof(struct stamp));
    takt_snapshot_write(w->newest_time, &time);
    takt_snapshot_write(w->newest, w->scratch + sizeof(struct stamp));
    if (wait_for_taker(w))
        takt_ring_write(w->events, w->scratch, 1);
    else
        add(&w->dropped_events, 1);
}

static void work_on(struct takt_worker *w, const float *x, size_t frames, uint64_t position)
{
    struct takt_work work = {.x = x,
                             .frames = frames,
                             .channels = w->cfg.channels,
                             .position = position,
                             .time = position + frames / 2};
    void *event = w->scratch + sizeof(struct stamp);
    memset(event, 0, w->cfg.event_bytes);
    int64_t begun_ns = takt_now_ns();
    bool tells = w->cfg.work(&work, event, w->cfg.arg);
    int64_t took_ns = takt_now_ns() - begun_ns;
    add(&w->windows, 1);
    int64_t busy_ns = atomic_load_explicit(&w->busy_ns, memory_order_relaxed);
    atomic_store_explicit(&w->busy_ns, busy_ns + took_ns, memory_order_relaxed);
    if (took_ns > atomic_load_explicit(&w->busy_ns_max, memory_order_relaxed))
        atomic_store_explicit(&w->busy_ns_max, took_ns, memory_order_relaxed);
    if (tells)
        tell(w, work.time > position ? work.time : position);
}

/* Works on the whole windows that are there. Returns whether there was one. */
static bool work_off(struct takt_worker *w)
{
    const float *x;
    uint64_t position;
    bool any = false;
    while (takt_window_next(w->window, &x, &position)) {
        any = true;
        if (atomic_load(&w->gives_up))
            add(&w->unworked, 1);
        else
            work_on(w, x, w->cfg.size_frames, position);
        atomic_store_explicit(&w->until, position + w->cfg.hop_frames, memory_order_release);
    }
    return any;
}

static void finish(struct takt_worker *w)
{
    const float *x;
    uint64_t position;
    work_off(w);
    size_t frames = takt_window_rest(w->window, &x, &position);
    if (frames && w->cfg.rest && !atomic_load(&w->gives_up))
        work_on(w, x, frames, position);
    atomic_store_explicit(&w->until, UINT64_MAX, memory_order_release);
}

/* ---- The thread --------------------------------------------------------------------------------
 */

static int64_t nap_ns(const struct takt_worker_cfg *c)
{
    double hop_ns = 1e9 * (double)c->hop_frames / c->rate_hz;
    return hop_ns / 2 < NAP_NS_MIN   ? NAP_NS_MIN
           : hop_ns / 2 > NAP_NS_MAX ? NAP_NS_MAX
                                     : (int64_t)(hop_ns / 2);
}

static void run(void *arg)
{
    struct takt_worker *w = arg;
    int64_t nap = nap_ns(&w->cfg), idle_since_ns = takt_now_ns();
    while (!atomic_load(&w->quits)) {
        int64_t now_ns = takt_now_ns();
        if (work_off(w)) {
            idle_since_ns = takt_now_ns();
            continue; /* more may have come meanwhile */
        }
        bool sleeps = now_ns - idle_since_ns > REST_NS;
        if (sleeps)
            atomic_store(&w->sleeps, true);
        bool woken = takt_wake_wait(&w->wake, now_ns + (sleeps ? REST_NS : nap));
        if (sleeps)
            atomic_store(&w->sleeps, false);
        if (woken)
            idle_since_ns = takt_now_ns();
    }
    finish(w);
}

/* ---- The writer --------------------------------------------------------------------------------
 */

static void work_at_once(struct takt_worker *w)
{
    takt_guard_allow();
    work_off(w);
    takt_guard_forbid();
}

static void rouse(struct takt_worker *w)
{
    if (atomic_load_explicit(&w->sleeps, memory_order_relaxed)) {
        atomic_store(&w->sleeps, false); /* once is enough */
        takt_wake_signal(&w->wake);
    }
}

void takt_worker_write(struct takt_worker *w, const float *const *planes, size_t frames,
                       uint64_t position)
{
    if (!w->at_once) {
        takt_window_write_planar(w->window, planes, frames, position);
        rouse(w);
        return;
    }
    for (size_t done = 0, now; done < frames; done += now) {
        now = frames - done < w->piece_frames ? frames - done : w->piece_frames;
        for (uint32_t c = 0; c < w->cfg.channels; c++)
            w->planes[c] = planes[c] + done;
        takt_window_write_planar(w->window, w->planes, now, position + done);
        work_at_once(w);
    }
}

void takt_worker_write_interleaved(struct takt_worker *w, const float *x, size_t frames,
                                   uint64_t position)
{
    if (!w->at_once) {
        takt_window_write(w->window, x, frames, position);
        rouse(w);
        return;
    }
    for (size_t done = 0, now; done < frames; done += now) {
        now = frames - done < w->piece_frames ? frames - done : w->piece_frames;
        takt_window_write(w->window, x + done * w->cfg.channels, now, position + done);
        work_at_once(w);
    }
}

/* ---- The reader --------------------------------------------------------------------------------
 */

bool takt_worker_next(struct takt_worker *w, uint64_t *time, void *event)
{
    const void *at;
    struct stamp stamp;
    if (!w->events || !takt_ring_peek(w->events, 1, &at))
        return false;
    memcpy(&stamp, at, sizeof stamp);
    memcpy(event, (const unsigned char *)at + sizeof stamp, w->cfg.event_bytes);
    takt_ring_advance(w->events, 1);
    *time = stamp.time;
    return true;
}

bool takt_worker_newest(const struct takt_worker *w, uint64_t *time, void *event)
{
    enum { TRIES = 16 };
    for (int i = 0; w->events && i < TRIES; i++) {
        uint64_t version = takt_snapshot_version(w->newest);
        if (!version)
            return false;
        if (takt_snapshot_read(w->newest, event) && takt_snapshot_read(w->newest_time, time) &&
            takt_snapshot_version(w->newest_time) == version &&
            takt_snapshot_version(w->newest) == version)
            return true;
    }
    return false;
}

uint64_t takt_worker_until(const struct takt_worker *w)
{
    return atomic_load_explicit(&w->until, memory_order_acquire);
}

static uint64_t read_count(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void takt_worker_counts(const struct takt_worker *w, struct takt_worker_counts *out)
{
    *out = (struct takt_worker_counts){
        .windows = read_count(&w->windows),
        .lost_windows = takt_window_lost(w->window) + read_count(&w->unworked),
        .dropped_frames = takt_window_dropped_frames(w->window),
        .events = read_count(&w->told),
        .dropped_events = read_count(&w->dropped_events),
        .busy_ns = atomic_load_explicit(&w->busy_ns, memory_order_relaxed),
        .busy_ns_max = atomic_load_explicit(&w->busy_ns_max, memory_order_relaxed),
    };
}

void takt_worker_leave(struct takt_worker *w)
{
    atomic_store(&w->leaves, true);
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static int check(const struct takt_worker_cfg *c, struct takt_error *e)
{
    if (!c->work)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a worker needs work to do");
    if (c->event_bytes > (size_t)1 << 24)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a worker's event of %zu bytes: give at most 2^24",
                         c->event_bytes);
    if (c->events > (size_t)1 << 20)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a worker with %zu events waiting: give 1 to 2^20",
                         c->events);
    if (c->priority > 98 || c->priority < TAKT_PRIORITY_OFF)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a worker's priority of %d: give 1 to 98 or off",
                         c->priority);
    return 0;
}

static int create_window(struct takt_worker *w, struct takt_error *e)
{
    struct takt_window_cfg cfg = {.size_frames = w->cfg.size_frames,
                                  .hop_frames = w->cfg.hop_frames,
                                  .channels = w->cfg.channels,
                                  .capacity_frames = w->cfg.capacity_frames};
    return takt_window_create(&cfg, &w->window, e);
}

static int create_ways_back(struct takt_worker *w, struct takt_error *e)
{
    struct takt_ring_cfg ring = {.elem_bytes = sizeof(struct stamp) + w->cfg.event_bytes,
                                 .capacity = w->cfg.events};
    struct takt_snapshot_cfg newest = {.bytes = w->cfg.event_bytes};
    struct takt_snapshot_cfg newest_time = {.bytes = sizeof(uint64_t)};
    w->scratch = takt_line_alloc(sizeof(struct stamp) + w->cfg.event_bytes);
    w->planes = calloc(w->cfg.channels, sizeof *w->planes);
    if (!w->scratch || !w->planes)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "worker: no memory");
    if (!w->cfg.event_bytes)
        return 0;
    int code = takt_ring_create(&ring, &w->events, e);
    if (code == 0)
        code = takt_snapshot_create(&newest, &w->newest, e);
    return code == 0 ? takt_snapshot_create(&newest_time, &w->newest_time, e) : code;
}

static int start(struct takt_worker *w, struct takt_error *e)
{
    if (w->cfg.at_once)
        return 0;
    struct takt_thread_cfg thread = {.name = w->cfg.name,
                                     .entry = run,
                                     .arg = w,
                                     .priority = w->cfg.priority,
                                     .stack_bytes = w->cfg.stack_bytes};
    return takt_thread_start(&thread, &w->thread, e);
}

static void fill_in(struct takt_worker_cfg *c)
{
    c->hop_frames = c->hop_frames ? c->hop_frames : c->size_frames;
    c->channels = c->channels ? c->channels : 1;
    c->capacity_frames = c->capacity_frames ? c->capacity_frames : 2 * c->size_frames + 16384;
    c->rate_hz = c->rate_hz ? c->rate_hz : 48000;
    c->events = c->events ? c->events : EVENTS;
    c->priority = c->priority ? c->priority : TAKT_PRIORITY_OFF;
    c->stack_bytes = c->stack_bytes ? c->stack_bytes : STACK_BYTES;
    c->name = c->name ? c->name : "takt-worker";
}

static void free_all(struct takt_worker *w)
{
    takt_window_destroy(w->window);
    takt_ring_destroy(w->events);
    takt_snapshot_destroy(w->newest);
    takt_snapshot_destroy(w->newest_time);
    free(w->scratch);
    free(w->planes);
    free(w);
}

int takt_worker_create(const struct takt_worker_cfg *cfg, struct takt_worker **out,
                       struct takt_error *e)
{
    *out = NULL;
    int code = check(cfg, e);
    if (code < 0)
        return code;
    struct takt_worker *w = takt_line_alloc(sizeof *w);
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "worker: no memory");
    w->cfg = *cfg;
    fill_in(&w->cfg);
    w->at_once = w->cfg.at_once;
    code = create_window(w, e);
    if (code == 0)
        code = create_ways_back(w, e);
    w->piece_frames = w->cfg.capacity_frames - w->cfg.size_frames;
    if (code == 0)
        code = start(w, e);
    w->cfg.name = NULL; /* the caller's */
    if (code < 0) {
        free_all(w);
        return code;
    }
    *out = w;
    return TAKT_OK;
}

int takt_worker_stop(struct takt_worker *w, int64_t timeout_ms)
{
    if (w->has_ended)
        return TAKT_OK;
    if (!w->thread) {
        takt_worker_leave(w); /* the caller may be the one who takes events */
        finish(w);
    } else {
        atomic_store(&w->quits, true);
        takt_wake_signal(&w->wake);
        if (takt_thread_join(w->thread, timeout_ms) < 0) {
            atomic_store(&w->gives_up, true);
            return TAKT_ERR_TIMEOUT;
        }
        w->thread = NULL;
    }
    w->has_ended = true;
    return TAKT_OK;
}

static void *release(void *arg)
{
    struct takt_worker *w = arg;
    takt_thread_join(w->thread, -1);
    free_all(w);
    return NULL;
}

void takt_worker_destroy(struct takt_worker *w)
{
    if (!w)
        return;
    atomic_store(&w->gives_up, true);
    if (w->thread && takt_worker_stop(w, DESTROY_MS) < 0)
        takt_background(release, w); /* without a thread for it, the worker stays for good */
    else
        free_all(w);
}
