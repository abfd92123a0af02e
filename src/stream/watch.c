/*
 * A watch has a thread for every backend whose list may alter, because a sound server that hangs
 * must not keep the others from being heard. Each thread keeps its backend's list as it is now;
 * whoever asks for a change gets the first difference between what they were told and what is. So
 * there is no queue to run over, and what came and went unseen is never told.
 *
 * Invariants: everything in struct takt_device_watch but the wakes and the flags beside them is
 * read and written with the lock held. The last of the threads and the owner frees it: a thread
 * that hangs in a server is left behind.
 */
#include "base/fail.h"
#include "rt/background.h"
#include "stream/devices.h"
#include "sync/wake.h"
#include "takt/time.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { BACKENDS_MAX = 12 };
static const int64_t ms_ns = 1000000;
static const int64_t again_ns = 1000 * 1000000LL;  /* to a list that nobody tells of */
static const int64_t burst_ns = 30 * 1000000LL;    /* changes seldom come alone */
static const int64_t first_ns = 2000 * 1000000LL;  /* for all to have been asked once */
static const int64_t ending_ns = 1000 * 1000000LL; /* for the threads */

/* One backend. */
struct slot {
    struct takt_device_watch *watch;
    const struct takt_backend *backend;
    struct takt_device_info *infos; /* [TAKT_LIST_MAX] */
    int count;
    bool is_listed; /* once, at least */
    struct takt_wake wake;
    _Atomic bool is_over; /* its server is gone */
};

struct takt_device_watch {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int owners; /* the threads that run, and the user */
    bool quits;
    int fd;
    struct slot slots[BACKENDS_MAX];
    int slot_count;
    struct takt_device_info *told, *now; /* each [slot_count * TAKT_LIST_MAX] */
    size_t told_count;
};

/* ---- One backend's thread -------------------------------------------------------------------- */

static void disown(struct takt_device_watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool is_last = --w->owners == 0;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    if (!is_last)
        return;
    for (int i = 0; i < w->slot_count; i++)
        free(w->slots[i].infos);
    free(w->told);
    free(w->now);
    if (w->fd >= 0)
        close(w->fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->moved);
    free(w);
}

static void changed(void *arg, bool is_over)
{
    struct slot *s = arg;
    if (is_over)
        atomic_store(&s->is_over, true);
    takt_wake_signal(&s->wake);
}

static bool same_else(const struct takt_device_info *a, const struct takt_device_info *b)
{
    return !strcmp(a->description, b->description) && a->in_channels_max == b->in_channels_max &&
           a->out_channels_max == b->out_channels_max && a->rate_hz_default == b->rate_hz_default &&
           a->rate_hz_min == b->rate_hz_min && a->rate_hz_max == b->rate_hz_max &&
           a->block_frames_default == b->block_frames_default &&
           a->latency_low_s >= b->latency_low_s && a->latency_low_s <= b->latency_low_s &&
           a->latency_high_s >= b->latency_high_s && a->latency_high_s <= b->latency_high_s;
}

static bool same_list(const struct takt_device_info *a, const struct takt_device_info *b, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(a[i].id, b[i].id) != 0 || !same_else(&a[i], &b[i]))
            return false;
    return true;
}

/* True while somebody wants to know. */
static bool publish(struct slot *s, const struct takt_device_info *infos, int count)
{
    struct takt_device_watch *w = s->watch;
    pthread_mutex_lock(&w->lock);
    bool is_new = !s->is_listed || count != s->count || !same_list(s->infos, infos, count);
    memcpy(s->infos, infos, (size_t)count * sizeof *infos);
    s->count = count;
    s->is_listed = true;
    bool quits = w->quits;
    pthread_cond_broadcast(&w->moved);
    if (is_new && !quits)
        eventfd_write(w->fd, 1);
    pthread_mutex_unlock(&w->lock);
    return !quits;
}

static bool lists(struct slot *s, struct takt_device_info *room)
{
    memset(room, 0, TAKT_LIST_MAX * sizeof *room);
    int count = s->backend->list(room, TAKT_LIST_MAX);
    return publish(s, room, count < TAKT_LIST_MAX ? count : TAKT_LIST_MAX);
}

static void *follow(void *arg)
{
    struct slot *s = arg;
    const struct takt_backend *b = s->backend;
    struct takt_device_info *room = calloc(TAKT_LIST_MAX, sizeof *room);
    struct takt_list_watch *source = NULL;
    if (!room)
        publish(s, s->infos, 0);
    for (bool goes_on = room != NULL; goes_on;) {
        if (source && atomic_load(&s->is_over)) {
            b->unwatch(source);
            source = NULL;
        }
        if (!source && b->watch) {
            atomic_store(&s->is_over, false);
            source = b->watch(changed, s);
        }
        goes_on = lists(s, room);
        if (goes_on &&
            takt_wake_wait(&s->wake, source ? TAKT_WAKE_NEVER : takt_now_ns() + again_ns))
            takt_sleep_until_ns(takt_now_ns() + burst_ns);
    }
    if (source)
        b->unwatch(source);
    free(room);
    disown(s->watch);
    return NULL;
}

/* ---- The watch ------------------------------------------------------------------------------- */

/* Waits with the lock held until it is so, or the time is up. */
static void await(struct takt_device_watch *w, bool (*is_so)(const struct takt_device_watch *w),
                  int64_t timeout_ns)
{
    int64_t until_ns = takt_now_ns() + timeout_ns;
    struct timespec until = {until_ns / (1000 * ms_ns), until_ns % (1000 * ms_ns)};
    while (!is_so(w))
        if (pthread_cond_clockwait(&w->moved, &w->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            return;
}

static bool all_listed(const struct takt_device_watch *w)
{
    for (int i = 0; i < w->slot_count; i++)
        if (!w->slots[i].is_listed)
            return false;
    return true;
}

static bool all_ended(const struct takt_device_watch *w)
{
    return w->owners == 1;
}

/* A list that never alters needs no thread. */
static int begin(struct slot *s, struct takt_error *e)
{
    struct takt_device_watch *w = s->watch;
    if (!s->backend->watch && !s->backend->list_alters) {
        int count = s->backend->list(s->infos, TAKT_LIST_MAX);
        s->count = count < TAKT_LIST_MAX ? count : TAKT_LIST_MAX;
        s->is_listed = true;
        return 0;
    }
    pthread_mutex_lock(&w->lock);
    w->owners++;
    pthread_mutex_unlock(&w->lock);
    int os = takt_background(follow, s);
    if (!os)
        return 0;
    disown(w);
    return takt_fail(e, TAKT_ERR_SYSTEM, os, "cannot start a thread");
}

static int allocate(struct takt_device_watch *w, struct takt_error *e)
{
    w->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC); /* what is there already is to be told */
    if (w->fd < 0)
        return takt_fail(e, TAKT_ERR_SYSTEM, errno,
                         "device watch: no eventfd; raise the limit of open files");
    for (const struct takt_backend *const *b = takt_backends; *b && w->slot_count < BACKENDS_MAX;
         b++) {
        struct slot *s = &w->slots[w->slot_count++];
        *s = (struct slot){.watch = w, .backend = *b};
        s->infos = calloc(TAKT_LIST_MAX, sizeof *s->infos);
        if (!s->infos)
            return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    size_t room = (size_t)w->slot_count * TAKT_LIST_MAX + 1;
    w->told = calloc(room, sizeof *w->told);
    w->now = calloc(room, sizeof *w->now);
    return w->told && w->now ? 0 : takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
}

int takt_device_watch_create(struct takt_device_watch **out, struct takt_error *e)
{
    struct takt_device_watch *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, NULL);
    w->owners = 1;
    int err = allocate(w, e);
    for (int i = 0; i < w->slot_count && !err; i++)
        err = begin(&w->slots[i], e);
    if (err < 0) {
        takt_device_watch_destroy(w);
        return err;
    }
    pthread_mutex_lock(&w->lock);
    await(w, all_listed, first_ns);
    pthread_mutex_unlock(&w->lock);
    *out = w;
    return 0;
}

void takt_device_watch_destroy(struct takt_device_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->quits = true;
    for (int i = 0; i < w->slot_count; i++)
        takt_wake_signal(&w->slots[i].wake);
    await(w, all_ended, ending_ns);
    pthread_mutex_unlock(&w->lock);
    disown(w);
}

int takt_device_watch_fd(const struct takt_device_watch *w)
{
    return w->fd;
}

/* ---- Differences ----------------------------------------------------------------------------- */

static size_t gather(struct takt_device_watch *w)
{
    size_t count = 0;
    for (int i = 0; i < w->slot_count; i++) {
        const struct slot *s = &w->slots[i];
        memcpy(w->now + count, s->infos, (size_t)s->count * sizeof *w->now);
        count += (size_t)s->count;
    }
    takt_devices_mark_defaults(w->now, count);
    return count;
}

static struct takt_device_info *find(struct takt_device_info *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].id, id))
            return &list[i];
    return NULL;
}

static bool same_default(const struct takt_device_info *a, const struct takt_device_info *b)
{
    return a->is_default_in == b->is_default_in && a->is_default_out == b->is_default_out;
}

static bool tell(struct takt_device_change *out, enum takt_device_change_type type,
                 const struct takt_device_info *d)
{
    *out = (struct takt_device_change){.type = type, .device = *d};
    return true;
}

static bool tell_removed(struct takt_device_watch *w, size_t count, struct takt_device_change *out)
{
    for (size_t i = 0; i < w->told_count; i++)
        if (!find(w->now, count, w->told[i].id)) {
            tell(out, TAKT_DEVICE_REMOVED, &w->told[i]);
            w->told[i] = w->told[--w->told_count];
            return true;
        }
    return false;
}

static bool tell_added(struct takt_device_watch *w, size_t count, struct takt_device_change *out)
{
    for (size_t i = 0; i < count; i++)
        if (!find(w->told, w->told_count, w->now[i].id)) {
            w->told[w->told_count++] = w->now[i];
            return tell(out, TAKT_DEVICE_ADDED, &w->now[i]);
        }
    return false;
}

static bool tell_changed(struct takt_device_watch *w, size_t count, struct takt_device_change *out)
{
    for (size_t i = 0; i < w->told_count; i++) {
        struct takt_device_info *old = &w->told[i], *new = find(w->now, count, old->id);
        bool is_default = new && !same_default(old, new);
        if (!new || (!is_default && same_else(old, new)))
            continue;
        *old = *new;
        return tell(out, is_default ? TAKT_DEVICE_DEFAULT : TAKT_DEVICE_CHANGED, new);
    }
    return false;
}

bool takt_device_watch_next(struct takt_device_watch *w, struct takt_device_change *out)
{
    eventfd_t ignored;
    pthread_mutex_lock(&w->lock);
    size_t count = gather(w);
    bool is_told =
        tell_removed(w, count, out) || tell_added(w, count, out) || tell_changed(w, count, out);
    if (!is_told)
        eventfd_read(w->fd, &ignored);
    pthread_mutex_unlock(&w->lock);
    return is_told;
}

const char *takt_device_change_name(enum takt_device_change_type type)
{
    static const char *const names[] = {"", "added", "removed", "changed", "default"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : "";
}
