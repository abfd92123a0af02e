/*
 * The thread that keeps receivers: what takes long about their concealment, their statistics, and
 * their end.
 */
#include "endpoint/recv_parts.h"

#include "takt/time.h"

#include <string.h>

enum { ROUND_MS = 10, HELP_MAX = 64, COUNTS = sizeof(struct takt_receiver_counts) / 8 };

static void sum(struct takt_receiver_counts *to, const struct takt_receiver_counts *from)
{
    uint64_t *a = (uint64_t *)to;
    const uint64_t *b = (const uint64_t *)from;
    for (size_t i = 0; i < COUNTS; i++)
        a[i] += b[i];
}

/* There is room: the network's thread makes no more than there is room for. */
static void keep(struct takt_recv *r, const struct takt_recv_made *made)
{
    uint32_t i = 0;
    while (i + 1 < TAKT_RECV_KEPT_MAX && r->kept[i].receiver)
        i++;
    r->kept[i].place = made->place;
    r->kept[i].receiver = made->receiver;
}

/* A source may have had several, one after another. */
static void keep_counts(struct takt_recv_gone *g, const struct takt_receiver_source *s)
{
    if (!s->is_kept)
        return;
    if (!g->is_there || g->ssrc != s->ssrc)
        *g = (struct takt_recv_gone){.is_there = true, .ssrc = s->ssrc};
    sum(&g->counts, &s->counts);
}

/* A receiver that nothing uses any more. */
static void end(struct takt_recv *r, struct takt_recv_kept *kept)
{
    struct takt_receiver_stats stats;
    if (takt_receiver_read_stats(kept->receiver, &stats)) {
        sum(&r->past, &stats.counts);
        keep_counts(&r->gone[kept->place], &stats.source[0]);
    }
    takt_hist_merge(&r->past_lateness_ns,
                    takt_receiver_hist(kept->receiver, 0, TAKT_RECEIVER_LATENESS));
    takt_receiver_destroy(kept->receiver);
    memset(kept, 0, sizeof *kept);
    atomic_fetch_sub(&r->kept_count, 1);
}

static void take_back(struct takt_recv *r)
{
    struct takt_receiver *released;
    while (takt_ring_read(r->released, &released, 1))
        for (uint32_t i = 0; i < TAKT_RECV_KEPT_MAX; i++)
            if (r->kept[i].receiver == released)
                end(r, &r->kept[i]);
}

static void help(struct takt_receiver *r)
{
    for (int i = 0; i < HELP_MAX && takt_receiver_help(r); i++)
        ;
}

void takt_recv_run_keeper(void *arg)
{
    struct takt_recv *r = arg;
    struct takt_recv_made made;
    while (!atomic_load(&r->quits)) {
        pthread_mutex_lock(&r->lock);
        while (takt_ring_read(r->made, &made, 1))
            keep(r, &made);
        take_back(r);
        pthread_mutex_unlock(&r->lock);
        /* This thread alone changes the list. */
        for (uint32_t i = 0; i < TAKT_RECV_KEPT_MAX; i++)
            if (r->kept[i].receiver)
                help(r->kept[i].receiver);
        atomic_store(&r->cpu_ns[1], takt_endpoint_cpu_ns());
        takt_sleep_ms(ROUND_MS);
    }
}

void takt_recv_keeper_clear(struct takt_recv *r)
{
    struct takt_recv_made made;
    for (uint32_t i = 0; i < TAKT_RECV_KEPT_MAX; i++)
        if (r->kept && r->kept[i].receiver)
            end(r, &r->kept[i]);
    while (r->made && takt_ring_read(r->made, &made, 1))
        takt_receiver_destroy(made.receiver);
}
