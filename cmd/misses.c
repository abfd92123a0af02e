/*
 * The misses of a running stream, each told once: as JSON lines, or with -v as lines for people.
 *
 * On a real clock a miss is told when its cause is settled: the contract may still find that the
 * hypervisor took the time, a quarter of a second later at most. More misses than the contract
 * keeps may come meanwhile; what was never seen is counted. On a virtual clock the callback hands
 * each over, so that the lines are the same on every run.
 */
#include "running.h"

#include <stdlib.h>

static const int64_t settled_ns = 300 * 1000000LL;

void misses_fields(struct json *j, const struct running *r, const struct takt_miss *m)
{
    json_int(j, "number", (int64_t)m->number);
    json_string(j, "cause", takt_miss_name(m->cause));
    json_int(j, "position", (int64_t)m->position);
    json_number(j, "time_s", (double)m->position / r->actual.rate_hz, 6);
    json_number(j, "lateness_us", (double)m->lateness_ns / 1e3, 3);
    json_number(j, "duration_us", (double)m->duration_ns / 1e3, 3);
    json_number(j, "slack_us", (double)m->slack_ns / 1e3, 3);
    json_int(j, "lost_frames", (int64_t)m->lost_frames);
}

static void tell(struct running *r, const struct takt_miss *m)
{
    const struct options *o = r->session->options;
    uint64_t skipped = m->number - r->misses_told;
    char text[512];
    r->misses_told = m->number + 1;
    r->misses_skipped += skipped;
    if (o->json && !o->quiet) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "type", "miss");
        misses_fields(&j, r, m);
        if (skipped)
            json_int(&j, "skipped", (int64_t)skipped);
        json_close(&j, '}');
        json_end_line(&j);
    } else if (o->verbose) {
        takt_miss_text(m, text, sizeof text);
        running_tell(r, "%.2f s: %s", (double)m->position / r->actual.rate_hz, text);
    }
}

static void tell_kept(struct running *r, int64_t until_ns)
{
    struct takt_miss kept[TAKT_MISSES_KEPT];
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), kept, TAKT_MISSES_KEPT);
    for (int i = 0; i < n; i++) {
        if (kept[i].number < r->misses_told)
            continue;
        if (kept[i].time_ns > until_ns)
            return;
        tell(r, &kept[i]);
    }
}

/* Takes all out that were handed over, so that the callback finds room, however many come before
 * the next line. */
static void take(struct running *r)
{
    struct takt_miss m;
    while (takt_ring_read(r->misses, &m, 1)) {
        if (r->held_count == r->held_size) {
            size_t size = 2 * r->held_size + 64;
            struct takt_miss *more = realloc(r->held, size * sizeof *more);
            if (!more)
                return; /* what is left out counts as skipped */
            r->held = more;
            r->held_size = size;
        }
        r->held[r->held_count++] = m;
    }
}

void misses_tell(struct running *r)
{
    if (r->actual.clock == TAKT_CLOCK_REAL)
        tell_kept(r, takt_stream_time_ns(r->stream) - settled_ns);
    else if (r->session->options->quiet)
        misses_tell_before(r, UINT64_MAX);
    else
        take(r);
}

void misses_tell_before(struct running *r, uint64_t number)
{
    take(r);
    while (r->misses_told < number && r->held_next < r->held_count)
        tell(r, &r->held[r->held_next++]);
    if (r->held_next == r->held_count)
        r->held_next = r->held_count = 0;
}

void misses_tell_rest(struct running *r)
{
    misses_tell_before(r, UINT64_MAX);
    tell_kept(r, INT64_MAX);
}
