/*
 * When a packet arrives is settled when it is sent, so all that is kept is a heap of packets on
 * their way, ordered by arrival and, among equals, by the order of sending, and the little that
 * each fault remembers. Chance begins anew with each copy of a packet, for each fault from a seed
 * of its own, so what happens to a packet does not depend on how much was drawn for others.
 *
 * Invariants: heap[0..in_flight) is a heap, and each of its `place`s is used once; the others are
 * in heap[in_flight..flight_max), so the heap is its own list of what is free.
 */
#include "sim/network.h"

#include "base/fail.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ns_a_ms = 1e6, ns_a_s = 1e9;
static const double pareto_ms_max = 1000;
static const int64_t pause_ns = 100000000; /* so long between two packets is no packet's time */
static const double pi = 3.14159265358979323846;

enum chance {
    BY_LOSS,
    BY_JITTER,
    BY_SPIKE,
    BY_WIFI,
    BY_REORDER,
    BY_DUPLICATE,
    BY_CORRUPT,
    BY_TRUNCATE,
    CHANCES
};

struct flight {
    int64_t arrival_ns;
    uint64_t
        number; /* of the copy, in the order of sending: even for the first, odd for the other */
    uint32_t place;
    uint32_t bytes;
};

struct takt_network {
    struct takt_network_cfg cfg;
    uint64_t seed[CHANCES];
    struct takt_random chance[CHANCES]; /* of the present packet */
    struct takt_network_stats stats;
    bool is_started;
    int64_t first_ns, sent_ns; /* when the first and the last packet were sent */
    int64_t gap_ns;            /* between two packets of late that were not sent at once */
    bool is_bad;               /* Gilbert's and Elliott's state */
    double free_ns, slot_ns;   /* since first_ns: when the bottleneck is idle; when the slot ends */
    double spike_ns, last_ns;  /* since first_ns: the next spike; the last arrival that counts */
    uint8_t *bytes;            /* [flight_max][bytes_max] */
    struct flight heap[];      /* [flight_max] */
};

/* ---- Chance ---------------------------------------------------------------------------------- */

static void begin_chance(struct takt_network *n, uint64_t number)
{
    for (int i = 0; i < CHANCES; i++)
        n->chance[i] = takt_random_seed(n->seed[i] ^ (number * 0xd1342543de82ef95u));
}

static bool happens(struct takt_network *n, enum chance by, double share)
{
    return takt_random_unit(&n->chance[by]) < share;
}

static double exponential(struct takt_random *r, double mean)
{
    return -mean * log(1 - takt_random_unit(r));
}

static double normal(struct takt_random *r)
{
    double length = sqrt(exponential(r, 2));
    return length * cos(2 * pi * takt_random_unit(r));
}

/* Marsaglia and Tsang 2000, for shapes from 1 on; a smaller one is the next larger, times a power
 * of a uniform number. */
static double gamma_of(struct takt_random *r, double shape)
{
    double fold = shape < 1 ? pow(1 - takt_random_unit(r), 1 / shape) : 1;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = normal(r), v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log(1 - takt_random_unit(r)) < 0.5 * x * x + d - d * v + d * log(v))
            return fold * d * v;
    }
}

static double draw_jitter_ms(struct takt_network *n)
{
    struct takt_random *r = &n->chance[BY_JITTER];
    double a = n->cfg.jitter_a, b = n->cfg.jitter_b;
    switch (n->cfg.jitter) {
    case TAKT_JITTER_NONE:
        break;
    case TAKT_JITTER_UNIFORM:
        return a * takt_random_unit(r);
    case TAKT_JITTER_GAMMA:
        if (!(b > 1e-6 * a)) /* as good as none */
            return a;
        if (a <= 0)
            return 0;
        return b * b / a * gamma_of(r, a / b * (a / b));
    case TAKT_JITTER_PARETO:
        return fmin(a * (pow(1 - takt_random_unit(r), -1 / b) - 1), pareto_ms_max);
    }
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int takt_network_create(const struct takt_network_cfg *cfg, uint64_t seed,
                        struct takt_network **out, struct takt_error *e)
{
    *out = NULL;
    int code = takt_network_check(cfg, e);
    if (code < 0)
        return code;
    uint32_t flight_max = cfg->flight_max ? cfg->flight_max : 4096;
    uint32_t bytes_max = cfg->bytes_max ? cfg->bytes_max : 1500;
    struct takt_network *n = calloc(1, sizeof *n + flight_max * sizeof n->heap[0]);
    uint8_t *bytes = n ? calloc(flight_max, bytes_max) : NULL;
    if (!bytes) {
        free(n);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "network: no memory for %u packets on their way",
                         flight_max);
    }
    n->cfg = *cfg;
    n->cfg.flight_max = flight_max;
    n->cfg.bytes_max = bytes_max;
    n->bytes = bytes;
    struct takt_random mix = takt_random_seed(seed);
    for (int i = 0; i < CHANCES; i++)
        n->seed[i] = takt_random_u64(&mix);
    begin_chance(n, UINT64_MAX);
    for (uint32_t i = 0; i < flight_max; i++)
        n->heap[i].place = i;
    n->is_bad = happens(n, BY_LOSS, cfg->loss);
    n->spike_ns = exponential(&n->chance[BY_SPIKE], cfg->spike_every_s * ns_a_s);
    *out = n;
    return TAKT_OK;
}

void takt_network_destroy(struct takt_network *n)
{
    if (n)
        free(n->bytes);
    free(n);
}

struct takt_network_stats takt_network_stats(const struct takt_network *n)
{
    return n->stats;
}

/* ---- Packets on their way -------------------------------------------------------------------- */

static bool is_before(const struct flight *a, const struct flight *b)
{
    if (a->arrival_ns != b->arrival_ns)
        return a->arrival_ns < b->arrival_ns;
    return a->number < b->number;
}

static void swap(struct flight *a, struct flight *b)
{
    struct flight c = *a;
    *a = *b;
    *b = c;
}

/* The last of the heap rises to where it belongs. */
static void rise(struct flight *heap, size_t at)
{
    for (size_t up; at > 0 && is_before(&heap[at], &heap[up = (at - 1) / 2]); at = up)
        swap(&heap[at], &heap[up]);
}

static void sink(struct flight *heap, size_t count)
{
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t i = left; i < left + 2 && i < count; i++)
            least = is_before(&heap[i], &heap[least]) ? i : least;
        if (least == at)
            return;
        swap(&heap[at], &heap[least]);
        at = least;
    }
}

static uint8_t *place_of(struct takt_network *n, const struct flight *f)
{
    return n->bytes + (size_t)f->place * n->cfg.bytes_max;
}

int64_t takt_network_next_ns(const struct takt_network *n)
{
    return n->stats.in_flight ? n->heap[0].arrival_ns : INT64_MAX;
}

int takt_network_next(struct takt_network *n, int64_t now_ns, int64_t *arrival_ns, uint8_t *out,
                      size_t room)
{
    struct flight *first = &n->heap[0];
    if (!n->stats.in_flight || first->arrival_ns > now_ns)
        return 0;
    if (first->bytes > room)
        return TAKT_ERR_FULL;
    int bytes = (int)first->bytes;
    *arrival_ns = first->arrival_ns;
    memcpy(out, place_of(n, first), first->bytes);
    n->stats.in_flight--;
    n->stats.delivered++;
    swap(first, &n->heap[n->stats.in_flight]);
    sink(n->heap, n->stats.in_flight);
    return bytes;
}

/* ---- Faults: times are doubles, ns since the first packet ------------------------------------ */

static bool is_partitioned(const struct takt_network *n, double t)
{
    double since = t - n->cfg.partition_at_s * ns_a_s;
    return since >= 0 && since < n->cfg.partition_for_s * ns_a_s;
}

/* In the bad state all is lost, and it lasts for `burst` packets on average. */
static bool is_lost(struct takt_network *n)
{
    if (n->cfg.burst <= 0 || n->cfg.loss <= 0)
        return happens(n, BY_LOSS, n->cfg.loss);
    double out = 1 / n->cfg.burst, in = n->cfg.loss * out / (1 - n->cfg.loss);
    bool changes = happens(n, BY_LOSS, n->is_bad ? out : in);
    n->is_bad ^= changes;
    return n->is_bad;
}

/* The time at which the packet has passed it, or below 0 when it is dropped. */
static double pass_bottleneck(struct takt_network *n, double t, size_t bytes)
{
    if (n->cfg.rate_kbit_s <= 0)
        return t;
    double begin = fmax(t, n->free_ns);
    if (begin - t > n->cfg.queue_ms * ns_a_ms)
        return -1;
    n->free_ns = begin + 8 * (double)bytes * ns_a_ms / n->cfg.rate_kbit_s;
    return n->free_ns;
}

static double wait_for_slot(struct takt_network *n, double t)
{
    double slot = n->cfg.wifi_slot_ms * ns_a_ms;
    if (slot <= 0)
        return t;
    if (t - n->slot_ns > 100 * slot) /* nobody was there to see the slots between */
        n->slot_ns = t - slot;
    while (n->slot_ns < t)
        n->slot_ns += slot * (0.5 + takt_random_unit(&n->chance[BY_WIFI]));
    return n->slot_ns;
}

/* The route is longer in every second stretch. */
static double draw_route_ms(const struct takt_network *n, double t)
{
    double every = n->cfg.step_every_s * ns_a_s;
    return every > 0 && fmod(t, 2 * every) >= every ? n->cfg.step_ms : 0;
}

static double draw_spike_ms(struct takt_network *n, double t)
{
    double every = n->cfg.spike_every_s * ns_a_s;
    if (every <= 0 || t < n->spike_ns)
        return 0;
    n->spike_ns = t + exponential(&n->chance[BY_SPIKE], every);
    return n->cfg.spike_ms;
}

static double wait_for_path(const struct takt_network *n, double arrival)
{
    double every = n->cfg.still_every_s * ns_a_s, still = n->cfg.still_ms * ns_a_ms;
    if (every <= 0 || arrival < every)
        return arrival;
    double phase = fmod(arrival, every);
    return phase < still ? arrival - phase + still : arrival;
}

static void damage(struct takt_network *n, uint8_t *packet, uint32_t *bytes)
{
    struct takt_random *cut = &n->chance[BY_TRUNCATE], *flip = &n->chance[BY_CORRUPT];
    if (happens(n, BY_TRUNCATE, n->cfg.truncate) && *bytes > 1) {
        *bytes = 1 + (uint32_t)takt_random_below(cut, *bytes - 1);
        n->stats.truncated++;
    }
    if (!happens(n, BY_CORRUPT, n->cfg.corrupt))
        return;
    uint64_t flips = happens(n, BY_CORRUPT, 0.5) ? 1 : 3; /* an even number might undo itself */
    for (uint64_t i = 0; i < flips; i++) {
        uint64_t bit = takt_random_below(flip, 8ull * *bytes);
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    n->stats.corrupted++;
}

/* When a copy arrives that leaves at t. The second one holds up nobody. */
static double draw_arrival(struct takt_network *n, double t, bool is_second)
{
    double ms = n->cfg.delay_ms + draw_jitter_ms(n) + draw_route_ms(n, t) + draw_spike_ms(n, t);
    double arrival = t + ms * ns_a_ms;
    bool is_held_back = happens(n, BY_REORDER, n->cfg.reorder);
    if (n->cfg.keeps_order)
        arrival = fmax(arrival, n->last_ns);
    if (is_held_back) {
        double packets = 1.5 + (double)takt_random_below(&n->chance[BY_REORDER], 3);
        arrival += packets * (double)n->gap_ns;
        n->stats.reordered++;
    }
    arrival = wait_for_path(n, arrival);
    if (!is_second && !is_held_back)
        n->last_ns = arrival;
    return arrival;
}

static void send_copy(struct takt_network *n, uint64_t number, double t, const uint8_t *packet,
                      size_t bytes)
{
    double arrival = draw_arrival(n, t, number & 1);
    if (n->stats.in_flight == n->cfg.flight_max) {
        n->stats.queue_drops++;
        return;
    }
    struct flight *f = &n->heap[n->stats.in_flight];
    f->arrival_ns = n->first_ns + (int64_t)(arrival + 0.5);
    f->number = number;
    f->bytes = (uint32_t)bytes;
    memcpy(place_of(n, f), packet, bytes);
    damage(n, place_of(n, f), &f->bytes);
    rise(n->heap, n->stats.in_flight++);
}

int takt_network_send(struct takt_network *n, int64_t send_ns, const uint8_t *packet, size_t bytes)
{
    if (bytes == 0 || bytes > n->cfg.bytes_max)
        return TAKT_ERR_ARG;
    if (!n->is_started) {
        n->is_started = true;
        n->first_ns = n->sent_ns = send_ns;
        n->gap_ns = (int64_t)ns_a_ms;
    }
    if (send_ns > n->sent_ns) {
        int64_t gap_ns = send_ns - n->sent_ns;
        n->gap_ns = gap_ns < pause_ns ? gap_ns : n->gap_ns;
        n->sent_ns = send_ns;
    }
    double t = (double)(n->sent_ns - n->first_ns);
    uint64_t number = 2 * n->stats.sent++;
    begin_chance(n, number);
    bool cut_off = is_partitioned(n, t), lost = is_lost(n);
    if (cut_off || lost) {
        n->stats.partitioned += cut_off;
        n->stats.lost++;
        return TAKT_OK;
    }
    t = pass_bottleneck(n, t, bytes);
    if (t < 0) {
        n->stats.queue_drops++;
        return TAKT_OK;
    }
    t = wait_for_slot(n, t);
    bool comes_twice = happens(n, BY_DUPLICATE, n->cfg.duplicate);
    send_copy(n, number, t, packet, bytes);
    if (comes_twice) {
        n->stats.duplicated++;
        send_copy(n, number + 1, t, packet, bytes);
    }
    return TAKT_OK;
}
