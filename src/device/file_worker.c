#include "device/file_worker.h"

#include "base/fail.h"
#include "takt/thread.h"

#include <pthread.h>

/* Guards the list, and `left` in each worker. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct takt_file_worker *left_behind;

/* Releases those whose disk has answered after all. */
static void release_ended(void)
{
    struct takt_file_worker *ended = NULL;
    pthread_mutex_lock(&lock);
    for (struct takt_file_worker **at = &left_behind; *at;) {
        struct takt_file_worker *w = *at;
        if (takt_thread_join(w->thread, 0) == TAKT_ERR_TIMEOUT) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = ended;
        ended = w;
    }
    pthread_mutex_unlock(&lock);
    while (ended) {
        struct takt_file_worker *w = ended;
        ended = w->next;
        w->release(w->port);
    }
}

int takt_file_worker_start(struct takt_file_worker *w, const char *name, void (*entry)(void *port),
                           struct takt_error *e)
{
    release_ended();
    atomic_store(&w->quit, false);
    return takt_thread_start(
        &(struct takt_thread_cfg){
            .name = name, .entry = entry, .arg = w->port, .priority = TAKT_PRIORITY_OFF},
        &w->thread, e);
}

bool takt_file_worker_stop(struct takt_file_worker *w, int64_t timeout_ns)
{
    atomic_store(&w->quit, true);
    takt_wake_signal(&w->wake);
    if (takt_thread_join(w->thread, timeout_ns / 1000000) == TAKT_ERR_TIMEOUT)
        return false;
    w->thread = NULL;
    return true;
}

void takt_file_worker_leave(struct takt_file_worker *w, int64_t timeout_ns)
{
    release_ended();
    if (takt_file_worker_stop(w, atomic_load(&w->quit) ? 0 : timeout_ns)) {
        w->release(w->port);
        return;
    }
    pthread_mutex_lock(&lock);
    w->left = true;
    w->next = left_behind;
    left_behind = w;
    pthread_mutex_unlock(&lock);
}

void takt_file_worker_event(struct takt_file_worker *w, enum takt_event_type type,
                            enum takt_err code, int os_errno, uint64_t value, const char *text)
{
    pthread_mutex_lock(&lock);
    if (!w->left)
        takt_engine_event(w->engine, type, code, os_errno, value, text);
    pthread_mutex_unlock(&lock);
}
