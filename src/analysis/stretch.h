/*
 * analysis/stretch.h - how the partials of a stiff string lie: f_k = k·f0·√(1 + B·k²), in
 * logarithms of frequency, where what they are off adds up. Thread: any. RT: yes, all calls.
 */
#ifndef TAKT_ANALYSIS_STRETCH_H
#define TAKT_ANALYSIS_STRETCH_H

#include <math.h>

/* Of one in a natural logarithm: 1200 / ln 2. */
static const double takt_cents = 1731.2340490667562;

/* ln(f_k / (k·f_1)) of a string whose B is `stretch`. */
static inline double takt_stretch_bend(double stretch, int k)
{
    return 0.5 * log((1 + stretch * k * k) / (1 + stretch));
}

/* How fast that moves with B: its derivative. */
static inline double takt_stretch_slope(double stretch, int k)
{
    return 0.5 * (k * k / (1 + stretch * k * k) - 1 / (1 + stretch));
}

#endif
