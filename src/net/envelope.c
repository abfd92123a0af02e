/*
 * Of all lines below the packets, the one with the least sum of distances to them: it touches the
 * lower convex hull along the edge that lies at the packets' mean time. After S. Moon, P. Skelly
 * and D. Towsley, "Estimation and removal of clock skew from network delay measurements" (INFOCOM
 * 1999). Here each bin gives its lowest packet, and the mean favours the recent ones, so that a
 * drift that changes is followed. Bins begin narrow and are merged in pairs until they are 1 s
 * wide; from then on the oldest one is forgotten.
 *
 * Invariants: bins <= TAKT_ENVELOPE_BINS; no packet of a bin lies below the line.
 */
#include "net/envelope.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

static const double first_bin_s = 1.0 / 32, last_bin_s = 1;
static const double slope_most = 1e6;   /* 1000 ppm: twice what clocks differ by at worst */
static const double doubt_most = 1e5;   /* what clocks differ by, before any of it is measured */
static const double doubt_least = 2000; /* how well the drift is known after a jump */
static const double rough_least_ns = 2e4;
static const double recent_s = 25; /* the time constant of the mean */
static const double settled_s = 3; /* before that, a low packet is just a better one */
static const double rise_s = 4, jump_s = 0.3, jump_ns = 5e8;

void takt_envelope_init(struct takt_envelope *e, double rate_hz)
{
    TAKT_ASSERT(rate_hz > 0);
    *e =
        (struct takt_envelope){.rate_hz = rate_hz, .bin_s = first_bin_s, .usual_doubt = doubt_most};
}

static double line_at(const struct takt_envelope *e, double t_s)
{
    return e->height_ns + e->slope * (t_s - e->at_s);
}

/* The slope of the lower hull's edge at the time mean_s. */
static double hull_slope(const struct takt_envelope_point *p, uint32_t count, double mean_s)
{
    uint32_t hull[TAKT_ENVELOPE_BINS], n = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* Packets that overtook each other may leave two bins out of order: the lower one stays. */
        if (n && p[i].t_s <= p[hull[n - 1]].t_s) {
            if (p[i].x_ns >= p[hull[n - 1]].x_ns)
                continue;
            n--;
        }
        while (n >= 2) {
            const struct takt_envelope_point *a = &p[hull[n - 2]], *b = &p[hull[n - 1]];
            if ((b->x_ns - a->x_ns) * (p[i].t_s - a->t_s) <
                (p[i].x_ns - a->x_ns) * (b->t_s - a->t_s))
                break;
            n--;
        }
        hull[n++] = i;
    }
    if (n < 2)
        return 0;
    uint32_t k = 1;
    while (k + 1 < n && p[hull[k]].t_s < mean_s)
        k++;
    const struct takt_envelope_point *a = &p[hull[k - 1]], *b = &p[hull[k]];
    return (b->x_ns - a->x_ns) / (b->t_s - a->t_s);
}

/* The highest line of this slope below all bins. */
static void lay(struct takt_envelope *e, double slope)
{
    e->slope = slope;
    e->at_s = e->bin[e->bins - 1].t_s;
    e->height_ns = HUGE_VAL;
    for (uint32_t i = 0; i < e->bins; i++)
        e->height_ns = fmin(e->height_ns, e->bin[i].x_ns + slope * (e->at_s - e->bin[i].t_s));
}

static double span(const struct takt_envelope *e)
{
    return e->bins ? e->bin[e->bins - 1].t_s - e->bin[0].t_s : 0;
}

/* How far wrong the bins' slope may be: they lie so far above the line over so much time. */
static double slope_doubt(const struct takt_envelope *e)
{
    return fmax(e->rough_ns, rough_least_ns) / fmax(span(e), 0.01);
}

static void fit(struct takt_envelope *e)
{
    double now_s = e->bin[e->bins - 1].t_s, weights = 0, mean_s = 0;
    for (uint32_t i = 0; i < e->bins; i++) {
        double weight = exp((e->bin[i].t_s - now_s) / recent_s);
        weights += weight;
        mean_s += weight * e->bin[i].t_s;
    }
    double slope = hull_slope(e->bin, e->bins, mean_s / weights);
    lay(e, slope);
    e->rough_ns = 0;
    for (uint32_t i = 0; i < e->bins; i++)
        e->rough_ns += (e->bin[i].x_ns - line_at(e, e->bin[i].t_s)) / e->bins;
    /* What clocks usually differ by is another witness, heard as long as the bins are unsure. */
    double trust = 1 / (slope_doubt(e) * slope_doubt(e));
    double usual = 1 / (e->usual_doubt * e->usual_doubt);
    slope = (trust * slope + usual * e->usual_slope) / (trust + usual);
    lay(e, fmax(-slope_most, fmin(slope_most, slope)));
}

static double above(const struct takt_envelope *e, const struct takt_envelope_point *p)
{
    return p->x_ns - line_at(e, p->t_s);
}

/* Makes room for one more bin. */
static void make_room(struct takt_envelope *e)
{
    if (e->bins < TAKT_ENVELOPE_BINS)
        return;
    if (e->bin_s < last_bin_s) {
        for (uint32_t i = 0; i < TAKT_ENVELOPE_BINS / 2; i++) {
            const struct takt_envelope_point *a = &e->bin[2 * i], *b = a + 1;
            e->bin[i] = above(e, a) < above(e, b) ? *a : *b;
        }
        e->bins = TAKT_ENVELOPE_BINS / 2;
        e->bin_s *= 2;
    } else {
        memmove(e->bin, e->bin + 1, (TAKT_ENVELOPE_BINS - 1) * sizeof *e->bin);
        e->bins--;
    }
}

static void close_bin(struct takt_envelope *e, double t_s)
{
    if (e->has_low) {
        make_room(e);
        e->bin[e->bins++] = e->low;
        fit(e);
    }
    e->has_low = false;
    e->bin_from_s = t_s;
}

/* All that is known moves up by so much: the path has changed, the drift has not. */
static void step(struct takt_envelope *e, double by_ns)
{
    for (uint32_t i = 0; i < e->bins; i++)
        e->bin[i].x_ns += by_ns;
    e->low.x_ns += by_ns;
    e->height_ns += by_ns;
    e->is_risen = false;
    e->steps++;
}

/* Begins anew with this packet: of what is known, only the drift still holds, to that doubt. */
static void jump(struct takt_envelope *e, int64_t arrival_ns, int64_t frames, double doubt)
{
    struct takt_envelope fresh = {
        .rate_hz = e->rate_hz,
        .is_started = true,
        .first_ns = arrival_ns,
        .first_frames = frames,
        .bin_s = first_bin_s,
        .slope = e->slope,
        .usual_slope = e->slope,
        .usual_doubt = doubt,
        .steps = e->steps + 1,
    };
    *e = fresh;
}

/* Whether packets have been far above the line for so long that this is where the line is now. Of
 * that time only the second half says how far, as what set it off may still have come the old way;
 * and the quarter before that, how far it was then.
 * A queue that empties brings much media time in no time, so that time has to pass for both. */
static bool has_risen(struct takt_envelope *e, const struct takt_envelope_point *p)
{
    double over_ns = above(e, p);
    if (over_ns < 1e6 + 4 * e->rough_ns) {
        e->is_risen = false;
        return false;
    }
    if (!e->is_risen || (over_ns > jump_ns && e->risen_ns < jump_ns)) {
        e->is_risen = true;
        e->risen_quarters = 0;
        e->risen_ns = over_ns;
        e->risen_from = *p;
    }
    e->risen_ns = fmin(e->risen_ns, over_ns);
    double media_s = p->t_s - e->risen_from.t_s;
    double passed_s = fmin(media_s, media_s + (p->x_ns - e->risen_from.x_ns) * 1e-9);
    double least_s = e->risen_ns > jump_ns ? jump_s : rise_s;
    if ((e->risen_quarters == 0 && passed_s >= least_s / 4) ||
        (e->risen_quarters == 1 && passed_s >= least_s / 2)) {
        e->risen_before_ns = e->risen_ns;
        e->risen_ns = over_ns;
        e->risen_quarters++;
    }
    return passed_s >= least_s;
}

/* Whether it rises still, so that it is the drift that has changed: by 100 ppm at least. */
static bool is_rising(const struct takt_envelope *e)
{
    double grown_ns = e->risen_ns - e->risen_before_ns;
    return e->risen_ns < jump_ns && grown_ns > fmax(1e5 * rise_s / 4, 2 * e->rough_ns);
}

static struct takt_envelope_point place(const struct takt_envelope *e, int64_t arrival_ns,
                                        int64_t frames)
{
    double t_s = (double)(frames - e->first_frames) / e->rate_hz;
    return (struct takt_envelope_point){t_s, (double)(arrival_ns - e->first_ns) - t_s * 1e9};
}

/* Half of what an int64_t holds is far beyond any time that means something. */
static int64_t whole_ns(double ns)
{
    return (int64_t)fmax(-4e18, fmin(4e18, ns));
}

int64_t takt_envelope_update(struct takt_envelope *e, int64_t arrival_ns, int64_t frames)
{
    if (!e->is_started) {
        e->is_started = true;
        e->first_ns = arrival_ns;
        e->first_frames = frames;
    }
    struct takt_envelope_point p = place(e, arrival_ns, frames);
    double over_ns = above(e, &p);
    bool is_risen = has_risen(e, &p);
    if (over_ns < -jump_ns || (is_risen && (e->risen_ns > jump_ns || is_rising(e)))) {
        double known = fmin(e->usual_doubt, fmax(slope_doubt(e), doubt_least));
        jump(e, arrival_ns, frames, is_risen && is_rising(e) ? doubt_most : known);
        p = place(e, arrival_ns, frames);
    } else if (is_risen) {
        step(e, e->risen_ns);
    } else if (over_ns < -(5e5 + 2 * e->rough_ns) && span(e) > settled_s) {
        step(e, over_ns);
    }
    over_ns = above(e, &p);
    if (over_ns > jump_ns)
        return whole_ns(over_ns);
    if (over_ns < 0) {
        e->height_ns += over_ns;
        over_ns = 0;
    }
    if (!e->is_risen && (!e->has_low || over_ns < above(e, &e->low))) {
        e->low = p;
        e->has_low = true;
    }
    if (p.t_s - e->bin_from_s >= e->bin_s)
        close_bin(e, p.t_s);
    return whole_ns(over_ns);
}

int64_t takt_envelope_due(const struct takt_envelope *e, int64_t frames)
{
    if (!e->is_started)
        return 0;
    double t_s = (double)(frames - e->first_frames) / e->rate_hz;
    return e->first_ns + whole_ns(t_s * 1e9 + line_at(e, t_s));
}

double takt_envelope_drift_ppm(const struct takt_envelope *e)
{
    return e->slope * 1e-3;
}
