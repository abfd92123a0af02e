/*
 * Three threads have to do with a driver here: the server's, which brings the cycles; the keeper,
 * which makes cycles of silence while the server is away; and the link's worker, which talks with
 * the server. The gate in the link orders the first two.
 *
 * Invariants: takt_engine_cycle runs only between enter() and leave(). Nobody uses link->host
 * outside the gate but the driver's own threads, and the driver ends only after the gate is
 * closed for good, so a link that was left behind touches nothing but itself.
 */
#include "device/host.h"

#include "base/assert.h"
#include "base/fail.h"
#include "rt/background.h"
#include "rt/memory.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum gate { GATE_CLOSED, GATE_OPEN, GATE_BUSY, GATE_ENDED };

enum { LINK_CLOSED, LINK_OPEN, LINK_BEGUN, LINK_GONE };

static const int64_t ms_ns = 1000000;
static const int64_t patience_ns = 250 * 1000000;     /* without a cycle: the server hangs */
static const int64_t beginning_ns = 2000 * 1000000ll; /* until the first cycle */
static const int64_t retry_ns = 200 * 1000000;        /* between two tries to reach it */
static const int64_t leave_behind_ns = 500 * 1000000; /* for a server to let go of us */

struct takt_host {
    struct takt_driver base;
    struct takt_driver_cfg cfg;
    takt_link_make *make;
    const char *backend;
    struct takt_link *link;
    struct takt_host *next; /* in the list of all, for what libraries have to say */
    double frame_ns;
    /* Inside the gate. */
    int64_t next_ns; /* when the next cycle is due by the frames so far; 0: before the first */
    bool was_away;
    bool sched_noted;
    /* The keeper. */
    struct takt_thread *keeper;
    struct takt_wake keeper_wake;
    _Atomic bool quit;
    float *silence, *nowhere; /* one host block each, shared by all channels */
    const float *in[TAKT_CHANNELS_MAX];
    float *out[TAKT_CHANNELS_MAX];
    /* Shown. */
    _Atomic int sched_policy, sched_priority;
    _Atomic bool sched_known;
};

/* ---- What libraries have to say -------------------------------------------------------------- */

static pthread_mutex_t hosts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct takt_host *hosts;
static char first_log[200];

/* What was said lately, so that a library that says the same at each try is heard once. */
static struct {
    char line[200];
    int64_t said_ns;
} lately[16];
static const int64_t lately_ns = 10 * 1000000000ll;

/* Called with the lock held. */
static bool was_said(const char *line, int64_t now)
{
    int oldest = 0;
    for (int i = 0; i < 16; i++) {
        if (!strcmp(lately[i].line, line) && now - lately[i].said_ns < lately_ns)
            return true;
        if (lately[i].said_ns < lately[oldest].said_ns)
            oldest = i;
    }
    snprintf(lately[oldest].line, sizeof lately->line, "%s", line);
    lately[oldest].said_ns = now;
    return false;
}

static void tell(const char *backend, enum takt_err code, const char *text)
{
    char line[200];
    size_t n = strcspn(text, "\n");
    n = n < sizeof line - 1 ? n : sizeof line - 1;
    memcpy(line, text, n);
    line[n] = 0;
    if (!n)
        return;
    pthread_mutex_lock(&hosts_lock);
    if (!*first_log && !code)
        memcpy(first_log, line, n + 1);
    bool is_new = hosts && !was_said(line, takt_now_ns());
    for (struct takt_host *h = hosts; h && is_new; h = h->next)
        if (!strcmp(h->backend, backend))
            takt_engine_event(h->cfg.engine, TAKT_EVENT_LOG, code, 0, 0, line);
    pthread_mutex_unlock(&hosts_lock);
}

void takt_host_log(const char *backend, const char *text)
{
    tell(backend, TAKT_OK, text);
}

void takt_host_first_log(char *to, size_t size)
{
    pthread_mutex_lock(&hosts_lock);
    strncpy(to, first_log, size - 1);
    to[size - 1] = 0;
    first_log[0] = 0;
    pthread_mutex_unlock(&hosts_lock);
}

static void enlist(struct takt_host *h)
{
    pthread_mutex_lock(&hosts_lock);
    h->next = hosts;
    hosts = h;
    pthread_mutex_unlock(&hosts_lock);
}

static void strike_off(struct takt_host *h)
{
    pthread_mutex_lock(&hosts_lock);
    for (struct takt_host **at = &hosts; *at; at = &(*at)->next)
        if (*at == h) {
            *at = h->next;
            break;
        }
    pthread_mutex_unlock(&hosts_lock);
}

/* ---- Questions that may not be answered ------------------------------------------------------ */

/* While a question hangs it stays in a list, so that nobody waits for the same answer again. */
struct ask {
    pthread_cond_t moved;
    int (*question)(void *arg);
    size_t bytes;
    struct ask *next; /* of those left behind */
    int answer;
    bool done, left_behind;
    max_align_t arg[]; /* to be answered; behind it, as it was put */
};

static pthread_mutex_t asks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ask *asks_left;

static void *as_put(struct ask *a)
{
    return (char *)a->arg + (a->bytes + sizeof *a->arg - 1) / sizeof *a->arg * sizeof *a->arg;
}

static void free_ask(struct ask *a)
{
    pthread_cond_destroy(&a->moved);
    free(a);
}

static void *put_question(void *arg)
{
    struct ask *a = arg;
    int answer = a->question(a->arg);
    pthread_mutex_lock(&asks_lock);
    a->answer = answer;
    a->done = true;
    bool mine = a->left_behind;
    for (struct ask **at = &asks_left; mine && *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            break;
        }
    pthread_cond_broadcast(&a->moved);
    pthread_mutex_unlock(&asks_lock);
    if (mine)
        free_ask(a);
    return NULL;
}

static bool hangs_already(int (*question)(void *arg), const void *arg, size_t bytes)
{
    bool hangs = false;
    pthread_mutex_lock(&asks_lock);
    for (struct ask *a = asks_left; a && !hangs; a = a->next)
        hangs = a->question == question && a->bytes == bytes && !memcmp(as_put(a), arg, bytes);
    pthread_mutex_unlock(&asks_lock);
    return hangs;
}

/* The answer, or TAKT_ERR_TIMEOUT. */
static int await_answer(struct ask *a, void *arg, int64_t until_ns)
{
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    int err = 0;
    pthread_mutex_lock(&asks_lock);
    while (!a->done && err != ETIMEDOUT)
        err = pthread_cond_clockwait(&a->moved, &asks_lock, CLOCK_MONOTONIC, &until);
    int answer = a->done ? a->answer : TAKT_ERR_TIMEOUT;
    bool mine = a->done;
    if (mine) {
        memcpy(arg, a->arg, a->bytes);
    } else {
        a->left_behind = true;
        a->next = asks_left;
        asks_left = a;
    }
    pthread_mutex_unlock(&asks_lock);
    if (mine)
        free_ask(a);
    return answer;
}

int takt_host_ask(int (*question)(void *arg), void *arg, size_t arg_bytes, int64_t timeout_ns)
{
    if (hangs_already(question, arg, arg_bytes))
        return TAKT_ERR_TIMEOUT;
    struct ask *a = calloc(1, sizeof *a + 2 * arg_bytes + sizeof *a->arg);
    if (!a)
        return TAKT_ERR_NOMEM;
    pthread_cond_init(&a->moved, NULL);
    a->question = question;
    a->bytes = arg_bytes;
    memcpy(a->arg, arg, arg_bytes);
    memcpy(as_put(a), arg, arg_bytes);
    if (takt_background(put_question, a)) {
        free_ask(a);
        return TAKT_ERR_SYSTEM;
    }
    return await_answer(a, arg, takt_now_ns() + timeout_ns);
}

/* ---- The gate -------------------------------------------------------------------------------- */

static bool enter(struct takt_link *l)
{
    int open = GATE_OPEN;
    return atomic_compare_exchange_strong_explicit(&l->gate, &open, GATE_BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void leave(struct takt_link *l, bool more)
{
    atomic_store_explicit(&l->gate, more ? GATE_OPEN : GATE_ENDED, memory_order_release);
}

/* Nobody gets in from now on. False: somebody was inside until the time was up. */
static bool shut(struct takt_link *l, int64_t until_ns)
{
    for (;;) {
        int open = GATE_OPEN;
        if (atomic_compare_exchange_strong(&l->gate, &open, GATE_CLOSED) || open == GATE_ENDED ||
            open == GATE_CLOSED)
            break;
        if (takt_now_ns() >= until_ns)
            return false;
        takt_sleep_until_ns(takt_now_ns() + ms_ns / 4);
    }
    atomic_store(&l->gate, GATE_CLOSED);
    return true;
}

/* ---- Cycles ---------------------------------------------------------------------------------- */

static int64_t frames_ns(const struct takt_host *h, uint64_t frames)
{
    return (int64_t)((double)frames * h->frame_ns);
}

/* Frames for which the stream's clock stood still before this cycle. */
static uint64_t frames_since(const struct takt_host *h, int64_t now_ns)
{
    return h->next_ns && now_ns > h->next_ns
               ? (uint64_t)((double)(now_ns - h->next_ns) / h->frame_ns)
               : 0;
}

/* A cycle longer than the engine has room for is several. */
static bool run_pieces(struct takt_host *h, const struct takt_cycle *whole)
{
    uint32_t most = h->base.host_block_max > h->base.host_block_frames ? h->base.host_block_max
                                                                       : h->base.host_block_frames;
    if (whole->frames <= most)
        return takt_engine_cycle(h->cfg.engine, whole);
    const float *in[TAKT_CHANNELS_MAX];
    float *out[TAKT_CHANNELS_MAX];
    struct takt_cycle c = *whole;
    bool more = true;
    for (uint32_t at = 0; at < whole->frames; at += c.frames) {
        c.frames = whole->frames - at < most ? whole->frames - at : most;
        for (uint32_t ch = 0; whole->in && ch < h->cfg.in_channels; ch++)
            in[ch] = whole->in[ch] + at;
        for (uint32_t ch = 0; whole->out && ch < h->cfg.out_channels; ch++)
            out[ch] = whole->out[ch] + at;
        c.in = whole->in ? in : NULL;
        c.out = whole->out ? out : NULL;
        c.in_first_ns = whole->in_first_ns + frames_ns(h, at);
        c.out_first_ns = whole->out_first_ns + frames_ns(h, at);
        if (more)
            more = takt_engine_cycle(h->cfg.engine, &c);
        else
            for (uint32_t ch = 0; whole->out && ch < h->cfg.out_channels; ch++)
                memset(out[ch], 0, c.frames * sizeof(float));
        c.flags = 0;
        c.lost_frames = 0;
    }
    return more;
}

static void note_sched(struct takt_host *h)
{
    /* The kernel's word: glibc keeps one of its own, which a library may have gone around. */
    struct sched_param p = {0};
    int policy = sched_getscheduler(0);
    sched_getparam(0, &p);
    atomic_store(&h->sched_policy, policy & ~SCHED_RESET_ON_FORK);
    atomic_store(&h->sched_priority, p.sched_priority);
    atomic_store(&h->sched_known, true);
    h->sched_noted = true;
}

bool takt_link_cycle(struct takt_link *l, const struct takt_cycle *asked)
{
    atomic_store_explicit(&l->last_beat_ns, asked->now_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->beats, 1, memory_order_relaxed);
    if (atomic_load_explicit(&l->away, memory_order_acquire) || !enter(l))
        return false;
    struct takt_host *h = l->host;
    struct takt_cycle c = *asked;
    if (!h->sched_noted)
        note_sched(h);
    if (h->was_away) {
        h->was_away = false;
        c.lost_frames = frames_since(h, c.now_ns);
    }
    if (l->granted.block_max && c.frames != h->base.host_block_frames &&
        c.frames <= l->granted.block_max) {
        h->base.host_block_frames = c.frames;
        takt_engine_host_block(h->cfg.engine, c.frames);
    }
    h->next_ns = c.now_ns + frames_ns(h, c.frames);
    bool more = run_pieces(h, &c);
    leave(l, more);
    return true;
}

void takt_link_lost(struct takt_link *l)
{
    atomic_store(&l->lost, true);
    takt_wake_signal(&l->wake);
}

void takt_link_latency(struct takt_link *l, uint32_t in_frames, uint32_t out_frames)
{
    atomic_store(&l->latency_in_frames, in_frames);
    atomic_store(&l->latency_out_frames, out_frames);
    while (atomic_load(&l->gate) != GATE_CLOSED) {
        if (!enter(l)) {
            if (atomic_load(&l->gate) == GATE_ENDED)
                return;
            takt_sleep_until_ns(takt_now_ns() + ms_ns / 10);
            continue;
        }
        takt_engine_latency(l->host->cfg.engine, in_frames, out_frames);
        leave(l, true);
        return;
    }
}

/* ---- The keeper ------------------------------------------------------------------------------ */

/* Some hosts have cycles that are longer than anybody's patience. */
static int64_t patience_with(const struct takt_host *h)
{
    int64_t cycles_ns = 4 * frames_ns(h, h->base.host_block_frames);
    return cycles_ns > patience_ns ? cycles_ns : patience_ns;
}

static bool server_is_away(const struct takt_host *h)
{
    const struct takt_link *l = h->link;
    int64_t last = atomic_load_explicit(&l->last_beat_ns, memory_order_relaxed);
    return last && (atomic_load(&l->lost) || takt_now_ns() - last > patience_with(h));
}

static bool tick(struct takt_host *h, int64_t due_ns, uint32_t frames)
{
    int64_t now = takt_now_ns();
    if (!enter(h->link))
        return atomic_load(&h->link->gate) == GATE_BUSY; /* a callback that hangs: time goes on */
    struct takt_cycle c = {.frames = frames,
                           .in = h->in,
                           .out = h->out,
                           .flags = TAKT_DEVICE_AWAY,
                           .lost_frames = frames_since(h, now),
                           .valid = TAKT_TIME_NOW | TAKT_TIME_DEADLINE,
                           .due_known = true,
                           .due_ns = due_ns,
                           .now_ns = now,
                           .deadline_ns = due_ns + frames_ns(h, frames)};
    h->was_away = true;
    c.lost_frames -= c.lost_frames < frames ? c.lost_frames : 0; /* within a block: only late */
    h->next_ns = due_ns + frames_ns(h, frames);
    bool more = takt_engine_cycle(h->cfg.engine, &c);
    leave(h->link, more);
    return more;
}

/* Until the server is back: two cycles that it wanted of us. */
static void keep_time(struct takt_host *h)
{
    struct takt_link *l = h->link;
    uint32_t frames = h->base.host_block_frames;
    atomic_store(&l->away, true);
    uint64_t beats = 0;
    bool counts = false;
    int64_t due = takt_now_ns();
    while (!atomic_load(&h->quit)) {
        if (!tick(h, due, frames))
            return;
        if (!atomic_load(&l->lost) && !server_is_away(h)) {
            uint64_t now = atomic_load(&l->beats);
            if (!counts) {
                counts = true;
                beats = now;
            } else if (now - beats >= 2) {
                break;
            }
        } else {
            counts = false;
        }
        due += frames_ns(h, frames);
        int64_t now = takt_now_ns();
        due = now > due + 4 * frames_ns(h, frames) ? now : due;
        takt_sleep_until_ns(due);
    }
    atomic_store_explicit(&l->away, false, memory_order_release);
}

static void keeper(void *arg)
{
    struct takt_host *h = arg;
    while (!atomic_load(&h->quit)) {
        takt_wake_wait(&h->keeper_wake, takt_now_ns() + patience_ns / 5);
        if (!atomic_load(&h->quit) && atomic_load(&h->link->gate) != GATE_ENDED &&
            server_is_away(h))
            keep_time(h);
    }
}

/* ---- The worker ------------------------------------------------------------------------------ */

static void say(struct takt_link *l, int is)
{
    l->is = is;
    pthread_cond_broadcast(&l->moved);
}

static void go_down(struct takt_link *l)
{
    if (l->is == LINK_CLOSED)
        return;
    pthread_mutex_unlock(&l->lock);
    l->ops->close(l);
    pthread_mutex_lock(&l->lock);
    say(l, LINK_CLOSED);
}

/* Whether a server that came back can go on with the stream. */
static bool fits(const struct takt_granted *g, uint32_t rate_hz, uint32_t block, uint32_t block_max)
{
    return g->rate_hz == rate_hz &&
           (g->block_frames == block || (block_max && g->block_frames <= block_max));
}

/* A server that came back and is not what it was: the stream goes on without it, in silence, in
 * case it becomes that again. */
static void refuse(struct takt_link *l, const struct takt_granted *first)
{
    char text[200];
    snprintf(text, sizeof text,
             "the server is back at %u Hz with blocks of %u, the stream is at %u Hz with %u: it "
             "stays away; set the server as it was, or start anew",
             l->granted.rate_hz, l->granted.block_frames, first->rate_hz, first->block_frames);
    go_down(l);
    l->granted = *first;
    tell(l->backend, TAKT_ERR_UNSUPPORTED, text);
}

/* Reaches the server as far as is wanted. first: what it granted when the stream began, else NULL.
 * Called and left with the lock held. */
static int go_up(struct takt_link *l, const struct takt_granted *first)
{
    struct takt_error e = {0};
    int err = 0;
    if (l->is == LINK_CLOSED) {
        pthread_mutex_unlock(&l->lock);
        atomic_store(&l->lost, false);
        err = l->ops->open(l, &e);
        pthread_mutex_lock(&l->lock);
        if (err < 0) {
            l->error = e;
            pthread_cond_broadcast(&l->moved);
            return err;
        }
        atomic_store(&l->latency_in_frames, l->granted.latency_in_frames);
        atomic_store(&l->latency_out_frames, l->granted.latency_out_frames);
        say(l, LINK_OPEN);
        if (first && !fits(&l->granted, first->rate_hz, first->block_frames, first->block_max)) {
            atomic_store(&l->lost, true);
            refuse(l, first);
            return TAKT_ERR_UNSUPPORTED;
        }
    }
    if (l->wanted == LINK_BEGUN && l->is == LINK_OPEN) {
        pthread_mutex_unlock(&l->lock);
        err = l->ops->begin(l, &e);
        pthread_mutex_lock(&l->lock);
        if (err < 0) {
            l->error = e;
            pthread_cond_broadcast(&l->moved);
            return err;
        }
        say(l, LINK_BEGUN);
    }
    return 0;
}

static void free_link(struct takt_link *l)
{
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->moved);
    l->ops->free(l);
}

static void *worker(void *arg)
{
    struct takt_link *l = arg;
    struct takt_granted first = {0};
    bool was_begun = false;
    pthread_setname_np(pthread_self(), "takt-link");
    pthread_mutex_lock(&l->lock);
    while (l->wanted != LINK_GONE) {
        int64_t until = TAKT_WAKE_NEVER;
        if (l->wanted == LINK_CLOSED) {
            go_down(l);
            was_begun = false;
        } else if (atomic_load(&l->lost) && l->is != LINK_CLOSED) {
            go_down(l);
            until = was_begun ? takt_now_ns() + retry_ns : TAKT_WAKE_NEVER;
        } else if (l->is < l->wanted) {
            int err = go_up(l, was_begun ? &first : NULL);
            if (!err && l->is == LINK_BEGUN) {
                first = was_begun ? first : l->granted;
                was_begun = true;
            }
            if (err < 0 && !was_begun)
                l->wanted = l->is; /* the control thread hears of it and decides */
            else if (err < 0)
                until = takt_now_ns() + retry_ns;
            else
                continue;
        }
        if (l->wanted == LINK_GONE)
            break;
        pthread_mutex_unlock(&l->lock);
        takt_wake_wait(&l->wake, until);
        pthread_mutex_lock(&l->lock);
    }
    go_down(l);
    bool mine = l->left_behind;
    say(l, LINK_GONE);
    pthread_mutex_unlock(&l->lock);
    if (mine)
        free_link(l);
    return NULL;
}

/* ---- The driver's side of the link ----------------------------------------------------------- */

static void want(struct takt_link *l, int wanted)
{
    pthread_mutex_lock(&l->lock);
    l->wanted = wanted;
    l->error = (struct takt_error){0};
    pthread_mutex_unlock(&l->lock);
    takt_wake_signal(&l->wake);
}

/* Waits until the link is as wanted. Returns 0, its error, or TAKT_ERR_TIMEOUT. */
static int await(struct takt_link *l, int wanted, int64_t until_ns, struct takt_error *e)
{
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    int err = 0;
    pthread_mutex_lock(&l->lock);
    while (l->is != wanted && !l->error.code && err != ETIMEDOUT)
        err = pthread_cond_clockwait(&l->moved, &l->lock, CLOCK_MONOTONIC, &until);
    if (l->is == wanted)
        err = 0;
    else if (l->error.code) {
        err = l->error.code;
        if (e)
            *e = l->error;
    } else
        err = TAKT_ERR_TIMEOUT;
    pthread_mutex_unlock(&l->lock);
    return err;
}

static int make_link(struct takt_host *h, int64_t until_ns, struct takt_error *e)
{
    struct takt_link *l;
    int err = h->make(&h->cfg, &l, e);
    if (err < 0)
        return err;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->moved, NULL);
    l->host = h;
    l->backend = h->backend;
    l->is = LINK_CLOSED;
    l->wanted = LINK_OPEN;
    int os = takt_background(worker, l);
    if (os) {
        free_link(l);
        return takt_fail(e, TAKT_ERR_SYSTEM, os, "cannot start a thread");
    }
    h->link = l;
    err = await(l, LINK_OPEN, until_ns, e);
    return err == TAKT_ERR_TIMEOUT
               ? takt_fail(e, err, 0, "%s: the server does not answer", h->backend)
               : err;
}

/* Lets go of the link: freed here, or by its worker once the server lets it go. */
static void drop_link(struct takt_host *h, int64_t until_ns)
{
    struct takt_link *l = h->link;
    struct takt_error ignored;
    if (!l)
        return;
    h->link = NULL;
    want(l, LINK_GONE);
    if (await(l, LINK_GONE, until_ns, &ignored) == 0) {
        free_link(l);
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->left_behind = true;
    bool gone = l->is == LINK_GONE;
    pthread_mutex_unlock(&l->lock);
    if (gone)
        free_link(l);
}

/* ---- The driver ------------------------------------------------------------------------------ */

static int host_start(struct takt_driver *base, struct takt_error *e)
{
    struct takt_host *h = (struct takt_host *)base;
    int64_t until = takt_now_ns() + h->cfg.timeout_ns;
    int err = h->link ? 0 : make_link(h, until, e);
    if (err < 0)
        goto failed;
    h->next_ns = 0;
    h->was_away = false;
    h->sched_noted = false;
    atomic_store(&h->quit, false);
    struct takt_link *l = h->link;
    const struct takt_granted *g = &l->granted;
    if (!fits(g, h->cfg.rate_hz, h->base.host_block_frames, h->base.host_block_max)) {
        err = takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                        "%s: now runs at %u Hz with blocks of %u frames; make the stream anew",
                        h->backend, g->rate_hz, g->block_frames);
        goto failed;
    }
    takt_engine_latency(h->cfg.engine, atomic_load(&l->latency_in_frames),
                        atomic_load(&l->latency_out_frames));
    atomic_store(&l->away, false);
    atomic_store(&l->last_beat_ns, 0);
    atomic_store(&l->gate, GATE_OPEN);
    err = takt_thread_start(
        &(struct takt_thread_cfg){
            .name = "takt-keeper", .entry = keeper, .arg = h, .priority = h->cfg.priority},
        &h->keeper, e);
    if (err < 0)
        goto failed;
    want(l, LINK_BEGUN);
    err = await(l, LINK_BEGUN, until, e);
    if (err == TAKT_ERR_TIMEOUT)
        takt_fail(e, err, 0, "%s: the server does not answer", h->backend);
    if (err < 0) {
        struct takt_error ignored;
        base->ops->stop(base, h->cfg.timeout_ns, &ignored);
    } else {
        int64_t never = 0; /* a server that dies before its first cycle is away as well */
        atomic_compare_exchange_strong(&l->last_beat_ns, &never, takt_now_ns() + beginning_ns);
    }
    return err;
failed:
    drop_link(h, until);
    return err;
}

static int host_stop(struct takt_driver *base, int64_t timeout_ns, struct takt_error *e)
{
    struct takt_host *h = (struct takt_host *)base;
    int64_t until = takt_now_ns() + timeout_ns;
    atomic_store(&h->quit, true);
    takt_wake_signal(&h->keeper_wake);
    if (h->link && !shut(h->link, until))
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "the device thread did not end: a callback hangs");
    int64_t left_ms = (until - takt_now_ns()) / ms_ns;
    if (takt_thread_join(h->keeper, left_ms > 1 ? left_ms : 1) == TAKT_ERR_TIMEOUT)
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "the device thread did not end: a callback hangs");
    h->keeper = NULL;
    int64_t patience = takt_now_ns() + leave_behind_ns;
    drop_link(h, patience < until ? patience : until);
    return 0;
}

static void host_close(struct takt_driver *base)
{
    struct takt_host *h = (struct takt_host *)base;
    if (h->link)
        shut(h->link, takt_now_ns());
    drop_link(h, takt_now_ns() + leave_behind_ns);
    strike_off(h);
    takt_rt_free(h->silence);
    takt_rt_free(h);
}

static void host_sched(const struct takt_driver *base, struct takt_sched *out)
{
    struct takt_host *h = (struct takt_host *)(uintptr_t)base;
    if (!atomic_load(&h->sched_known))
        return;
    int policy = atomic_load(&h->sched_policy) & ~SCHED_RESET_ON_FORK;
    out->policy = policy == SCHED_FIFO ? TAKT_SCHED_FIFO
                  : policy == SCHED_RR ? TAKT_SCHED_RR
                                       : TAKT_SCHED_OTHER;
    out->priority = atomic_load(&h->sched_priority);
    if (policy != SCHED_FIFO && policy != SCHED_RR)
        strcpy(out->why, "the server gave its client no real-time thread");
}

static const struct takt_driver_ops ops = {
    .start = host_start, .stop = host_stop, .close = host_close, .sched = host_sched};

int takt_host_open(const struct takt_driver_cfg *cfg, takt_link_make *make, const char *backend,
                   struct takt_driver **out, struct takt_error *e)
{
    *out = NULL;
    struct takt_host *h = takt_rt_alloc(sizeof *h);
    if (!h)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    h->cfg = *cfg;
    h->make = make;
    h->backend = backend;
    h->frame_ns = 1e9 / cfg->rate_hz;
    enlist(h);
    int err = make_link(h, takt_now_ns() + cfg->timeout_ns, e);
    if (err < 0) {
        host_close(&h->base);
        return err;
    }
    const struct takt_granted *g = &h->link->granted;
    h->base = (struct takt_driver){.ops = &ops,
                                   .host_block_frames = g->block_frames,
                                   .host_block_varies = g->block_varies,
                                   .host_block_max = g->block_max,
                                   .serves_in = cfg->in_rest != NULL,
                                   .serves_out = cfg->out_rest != NULL,
                                   .latency_in_frames = g->latency_in_frames,
                                   .latency_out_frames = g->latency_out_frames};
    uint32_t most = g->block_max > g->block_frames ? g->block_max : g->block_frames;
    h->silence = takt_rt_alloc(2 * most * sizeof(float));
    if (!h->silence) {
        host_close(&h->base);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    h->nowhere = h->silence + most;
    for (int c = 0; c < TAKT_CHANNELS_MAX; c++) {
        h->in[c] = h->silence;
        h->out[c] = h->nowhere;
    }
    *out = &h->base;
    return 0;
}
