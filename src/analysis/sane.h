/*
 * analysis/sane.h - what analyses make of a sample that no sound has.
 */
#ifndef TAKT_ANALYSIS_SANE_H
#define TAKT_ANALYSIS_SANE_H

#include <float.h>
#include <math.h>

#define TAKT_SANE_MOST 1e6f /* +120 dBFS */

/* x, held within ±TAKT_SANE_MOST: so that no sum of squares of it runs over, and what has
 * come in once is gone again in time. What is not finite is 0. Thread: any. RT: yes. */
static inline float takt_sane(float x)
{
    float inside = x > TAKT_SANE_MOST ? TAKT_SANE_MOST : x < -TAKT_SANE_MOST ? -TAKT_SANE_MOST : x;
    return fabsf(x) <= FLT_MAX ? inside : 0; /* and NaN is not */
}

/* The same for what tells by how loud it was of late, and would be deaf for minutes after one wild
 * sample: what is beyond is 0, too. Thread: any. RT: yes. */
static inline float takt_sane_or_0(float x)
{
    return fabsf(x) <= TAKT_SANE_MOST ? x : 0;
}

#endif
