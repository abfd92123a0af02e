#include "dsp/drift.h"

#include <math.h>

static const double wide_hz = 0.5, narrow_hz = 0.05, wide_s = 4, most = 0.01;

void takt_drift_init(struct takt_drift *d, double rate_hz)
{
    *d = (struct takt_drift){.rate_hz = rate_hz};
}

void takt_drift_jump(struct takt_drift *d)
{
    d->smooth = 0;
    d->correction = d->drift;
}

static double within(double x)
{
    return x > most ? most : x < -most ? -most : x;
}

double takt_drift_update(struct takt_drift *d, double error_frames, double dt_s)
{
    const double pi = 3.14159265358979323846;
    double omega = 2 * pi * (d->settled_s < wide_s ? wide_hz : narrow_hz);
    double smoothing = 1 - exp(-20 * omega * dt_s);
    d->settled_s += d->settled_s < wide_s ? dt_s : 0;
    d->smooth += smoothing * (error_frames - d->smooth);
    /* The queue's length follows d(error)/dt = (drift - correction) * rate. With a gain of
     * 2 * zeta * omega for the error and omega^2 for its integral the loop has the frequency omega
     * and the damping zeta: 1 here, so that nothing overshoots. */
    d->drift = within(d->drift + omega * omega * d->smooth * dt_s / d->rate_hz);
    d->correction = within(d->drift + 2 * omega * d->smooth / d->rate_hz);
    return d->correction;
}
