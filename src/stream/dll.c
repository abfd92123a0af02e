/*
 * Invariants: next_ns is this_ns plus one period as the loop sees it; frame_ns stays within 10 %
 * of nominal, since no device is further off and a wild time must not send the loop away.
 */
#include "stream/dll.h"

void takt_dll_init(struct takt_dll *d, double bandwidth_hz, uint32_t rate_hz, uint32_t frames)
{
    *d = (struct takt_dll){.bandwidth_hz = bandwidth_hz,
                           .nominal_frame_ns = 1e9 / rate_hz,
                           .frame_ns = 1e9 / rate_hz,
                           .frames = frames};
}

void takt_dll_start(struct takt_dll *d, int64_t now_ns)
{
    d->origin_ns = now_ns;
    d->this_ns = 0;
    d->next_ns = d->frames * d->frame_ns;
}

void takt_dll_update(struct takt_dll *d, int64_t now_ns, uint32_t frames, uint64_t lost)
{
    const double pi = 3.14159265358979323846;
    double period_ns = d->frames * d->frame_ns;
    /* Times stay small when the origin moves along. */
    int64_t step = (int64_t)d->next_ns;
    d->origin_ns += step;
    d->this_ns = d->next_ns - (double)step + (double)lost * d->frame_ns;
    double error = (double)(now_ns - d->origin_ns) - d->this_ns;
    double omega = 2 * pi * d->bandwidth_hz * period_ns * 1e-9;
    omega = omega > 0.5 ? 0.5 : omega; /* the loop is stable far beyond that, but not smooth */
    double b = 1.41421356237309505 * omega, c = omega * omega;
    d->this_ns += b * error;
    if (d->frames)
        d->frame_ns += c * error / d->frames;
    double low = 0.9 * d->nominal_frame_ns, high = 1.1 * d->nominal_frame_ns;
    d->frame_ns = d->frame_ns < low ? low : d->frame_ns > high ? high : d->frame_ns;
    d->frames = frames;
    d->next_ns = d->this_ns + frames * d->frame_ns;
}

int64_t takt_dll_due(const struct takt_dll *d)
{
    return d->origin_ns + (int64_t)d->this_ns;
}

int64_t takt_dll_next(const struct takt_dll *d)
{
    return d->origin_ns + (int64_t)d->next_ns;
}

double takt_dll_rate_hz(const struct takt_dll *d)
{
    return 1e9 / d->frame_ns;
}
