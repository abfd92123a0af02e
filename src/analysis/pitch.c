/*
 * What comes in is brought to a base rate of 32 to 64 kHz by doubling or halving, and from there to
 * three bands of 1/2, 1/4 and 1/8 of it, so that windows of 16, 32, 64 and 128 ms are all of the
 * same number of samples and cost the same. Each hop looks at windows that end now; none reaches
 * back beyond the last onset. The shortest that is about as clear as the clearest gives the period,
 * which is then refined at the base rate.
 *
 * Invariants: band[b].past holds the newest band[b].have samples, at most band[b].room, and what
 * is at have - 1 is the newest. heard counts base samples since the beginning; onset <= heard.
 */
#include "takt/pitch.h"

#include "analysis/pitch_parts.h"
#include "analysis/sane.h"
#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/level.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE_KEEP = 8192,
    BAND_KEEP = 1280,
    GRAIN = 64,
    GRAINS = 64,
    DOUBLINGS = 2,
    HALVINGS = 2,
    RUN = 32, /* the most hops that are averaged; and the least beyond which they are */
    RUN_LEAST = 12,
    HELD = 3, /* hops that a pitch must have stood to be kept against another */
    LEAST_WINDOW = 64
};
static const double window_s = 0.016;
static const double soft_hz = 7500;       /* what is above does not help */
static const double longest_share = 0.66; /* of a window: the longest lag that it can tell */
static const double ground_periods = 2.2;
static const double least_level = 1e-5; /* -100 dBFS */

struct band {
    float *past; /* [2 * keep] */
    size_t keep, have;
    struct pitch_half half; /* what feeds it, from the band before */
};

struct takt_pitch {
    struct takt_pitch_cfg cfg;
    double base_hz;
    int doublings, halvings;
    uint64_t next;     /* the position that follows */
    uint32_t hop_left; /* frames */
    bool begun;
    double dc_x, dc_y; /* the filter that takes off the mean */
    struct pitch_half doubling[DOUBLINGS], halving[HALVINGS];
    size_t window; /* samples of each band's window */
    struct band band[PITCH_BANDS];
    uint64_t heard, onset; /* base samples */
    double grain_sum;
    unsigned grain_fill;
    float grains[GRAINS]; /* mean squares of the last stretches of GRAIN samples, a ring */
    unsigned grain_at;
    bool voiced;
    struct takt_fft *fft;
    float *work;
    struct pitch_view view[PITCH_BANDS];
    float taps[PITCH_HALFBAND], soft[PITCH_HALFBAND], gentle[PITCH_HALFBAND];
    struct pitch_half softer;
    double last_lag; /* base samples; 0: none */
    double run[RUN]; /* the lags of the last hops while they were steady, a ring */
    unsigned run_at, run_count;
    unsigned hops, held; /* held: hops since the pitch leapt */
    uint64_t held_onset;
};

/* ---- Rates ----------------------------------------------------------------------------------- */

/* A low-pass: sinc under a Blackman window, a gain of 1; -6 dB at `cut` of the rate. */
static void make_taps(float *taps, double cut)
{
    double sum = 0, h[PITCH_HALFBAND];
    int middle = PITCH_HALFBAND / 2;
    for (int i = 0; i < PITCH_HALFBAND; i++) {
        double t = i - middle, a = M_PI * (t + middle + 1) / (middle + 1);
        double sinc = t == 0 ? 1 : sin(2 * M_PI * cut * t) / (2 * M_PI * cut * t);
        h[i] = sinc * (0.42 - 0.5 * cos(a) + 0.08 * cos(2 * a));
        sum += h[i];
    }
    for (int i = 0; i < PITCH_HALFBAND; i++)
        taps[i] = (float)(h[i] / sum);
}

static void push(struct pitch_half *h, float x)
{
    h->past[h->at] = h->past[h->at + PITCH_HALFBAND] = x;
    h->at = h->at + 1 == PITCH_HALFBAND ? 0 : h->at + 1;
}

static float filtered(const struct pitch_half *h, const float *taps)
{
    const float *x = h->past + h->at; /* the oldest first */
    int middle = PITCH_HALFBAND / 2;
    float sum = taps[middle] * x[middle];
    for (int i = 0; i < middle; i++)
        sum += taps[i] * (x[i] + x[PITCH_HALFBAND - 1 - i]);
    return sum;
}

static void keep(struct band *b, float x)
{
    if (b->have == 2 * b->keep) {
        memcpy(b->past, b->past + b->keep, b->keep * sizeof *b->past);
        b->have = b->keep;
    }
    b->past[b->have++] = x;
}

/* ---- Onsets ---------------------------------------------------------------------------------- */

/* A stretch of 64 samples that is six times as strong as each of the 40 ms before it. */
static void hear_grain(struct takt_pitch *p, float square)
{
    float before = 0;
    for (unsigned i = 1; i <= 30; i++) {
        float past = p->grains[(p->grain_at + GRAINS - i) % GRAINS];
        before = past > before ? past : before;
    }
    p->grains[p->grain_at] = square;
    p->grain_at = (p->grain_at + 1) % GRAINS;
    if (square > 6 * before && (double)square > least_level * least_level)
        p->onset = p->heard - GRAIN;
}

static void hear(struct takt_pitch *p, float x)
{
    p->grain_sum += (double)(x * x);
    push(&p->softer, x);
    x = filtered(&p->softer, p->soft);
    keep(&p->band[0], x);
    p->heard++;
    if (++p->grain_fill == GRAIN) {
        hear_grain(p, (float)(p->grain_sum / GRAIN));
        p->grain_sum = 0;
        p->grain_fill = 0;
    }
    for (int b = 1; b < PITCH_BANDS; b++) {
        struct pitch_half *h = &p->band[b].half;
        push(h, x);
        h->odd = !h->odd;
        if (h->odd)
            return;
        x = filtered(h, p->gentle);
        keep(&p->band[b], x);
    }
}

static void bring_up(struct takt_pitch *p, float x)
{
    float now[1 << DOUBLINGS] = {x}, more[1 << DOUBLINGS];
    int count = 1;
    for (int d = 0; d < p->doublings; d++, count *= 2) {
        struct pitch_half *h = &p->doubling[d];
        for (int i = 0; i < count; i++) {
            push(h, 2 * now[i]);
            more[2 * i] = filtered(h, p->taps);
            push(h, 0);
            more[2 * i + 1] = filtered(h, p->taps);
        }
        memcpy(now, more, sizeof now);
    }
    for (int i = 0; i < count; i++)
        hear(p, now[i]);
}

static void take(struct takt_pitch *p, float in)
{
    double x = (double)takt_sane(in);
    if (!p->begun) {
        p->begun = true;
        p->dc_x = x;
    }
    double y = x - p->dc_x + p->dc_y * (1 - 2 * M_PI * 8 / p->cfg.rate_hz);
    p->dc_x = x;
    p->dc_y = fabs(y) < 1e-12 ? 0 : y;
    float out = (float)p->dc_y;
    for (int i = 0; i < p->halvings; i++) {
        struct pitch_half *h = &p->halving[i];
        push(h, out);
        h->odd = !h->odd;
        if (h->odd)
            return;
        out = filtered(h, p->taps);
    }
    bring_up(p, out);
}

/* ---- A reading ------------------------------------------------------------------------------- */

/* RMS of the last 16 ms, in whole grains. */
static double level(const struct takt_pitch *p)
{
    unsigned n = (unsigned)lround(window_s * p->base_hz / GRAIN);
    double sum = 0;
    for (unsigned i = 1; i <= n; i++)
        sum += (double)p->grains[(p->grain_at + GRAINS - i) % GRAINS];
    return sqrt(sum / n);
}

/* The long windows are looked at every second and fourth hop, as far as they are full: they change
 * little from one to the next. Each hears no more than the pitches that its band can tell well. */
static void look(struct takt_pitch *p)
{
    static const double highest_hz[PITCH_BANDS] = {1e9, 2000, 1000, 500};
    uint64_t since = p->heard - p->onset;
    p->hops++;
    for (int b = 0; b < PITCH_BANDS; b++) {
        struct pitch_view *v = &p->view[b];
        struct band *band = &p->band[b];
        size_t size = p->window;
        unsigned every = b < 2 ? 1 : 1u << (b - 1);
        if (band->have < size)
            size = band->have;
        if (since >> b < size)
            size = (size_t)(since >> b);
        if (v->size == p->window && size == p->window && p->hops % every)
            continue;
        double rate = p->base_hz / (1 << b);
        double shortest = rate / fmin(p->cfg.max_hz * 1.02, highest_hz[b]);
        double longest = fmin(rate / p->cfg.min_hz * 1.02, longest_share * (double)size);
        if (size < LEAST_WINDOW || longest < shortest + 2)
            takt_pitch_look_away(v);
        else
            takt_pitch_look(v, p->fft, band->past + band->have, size, (float)shortest,
                            (float)longest, p->work);
    }
}

enum { CONTENDERS = 12 };

struct contender {
    double lag;     /* base samples */
    double clarity; /* n(lag) on common ground */
    double score;   /* that, and what the flattened spectrum says */
};

static int contend(struct contender *c, int count, double lag)
{
    for (int i = 0; i < count; i++)
        if (fabs(c[i].lag - lag) < 0.02 * lag)
            return count;
    if (count < CONTENDERS)
        c[count++].lag = lag;
    return count;
}

/* Each window's period by McLeod's rule and its clearest, and what was heard last. */
static int gather(const struct takt_pitch *p, struct contender *c)
{
    int count = 0;
    if (p->last_lag > 0)
        count = contend(c, count, p->last_lag);
    for (int b = 0; b < PITCH_BANDS; b++) {
        const struct pitch_view *v = &p->view[b];
        if (v->first < 0)
            continue;
        count = contend(c, count, (double)v->peaks[v->first].lag * (1 << b));
        count = contend(c, count, (double)v->peaks[v->clearest].lag * (1 << b));
    }
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && c[j].lag < c[j - 1].lag; j--) {
            struct contender t = c[j];
            c[j] = c[j - 1];
            c[j - 1] = t;
        }
    return count;
}

/* The flattened spectrum's autocorrelation near a lag: in the band `from`, or the one beyond it
 * whose window holds two of it, or where that is too coarse for it, one before. A window of a
 * finite size falls off with the lag, one that is flattened somewhat less. */
static double flat_at(const struct takt_pitch *p, double lag, int from)
{
    while (from > 0 && lag / (1 << from) < 8)
        from--;
    for (int b = from; b < PITCH_BANDS; b++) {
        const struct pitch_view *v = &p->view[b];
        double here = lag / (1 << b);
        if (here > 0.5 * (double)p->window || here + 2 >= v->flat_count)
            continue;
        int last = (int)(here * 1.02 + 1);
        float most = -1;
        for (int i = (int)(here * 0.98); i <= last && i < v->flat_count; i++)
            most = fmaxf(most, v->flat[i]);
        return (double)most * (double)v->size / ((double)v->size - 0.75 * here);
    }
    return 0;
}

/* Windows of different bands cannot be compared: each is of another part of the sound. So all are
 * measured over one stretch, long enough for the longest. Returns the best score. */
static double compare(const struct takt_pitch *p, struct contender *c, int count, size_t since)
{
    const float *end = p->band[0].past + p->band[0].have;
    double best = 0;
    size_t ground = p->window;
    int band = 0; /* of the longest, for all: noise is not alike in all bands either */
    while (count && band + 1 < PITCH_BANDS &&
           c[count - 1].lag / (1 << band) > 0.5 * (double)p->window)
        band++;
    if (count && ground_periods * c[count - 1].lag > (double)ground)
        ground = (size_t)(ground_periods * c[count - 1].lag);
    if (ground > since)
        ground = since;
    for (int i = 0; i < count; i++) {
        double lag = takt_pitch_refine(end, ground, c[i].lag, c[i].lag / 200, false, &c[i].clarity);
        if (lag > 0 && fabs(lag - c[i].lag) < 0.05 * lag &&
            lag * p->cfg.max_hz > 0.97 * p->base_hz && lag * p->cfg.min_hz < 1.03 * p->base_hz)
            c[i].lag = lag;
        else
            c[i].clarity = 0;
        c[i].score = c[i].clarity + flat_at(p, c[i].lag, band);
        best = fmax(best, c[i].score);
    }
    return best;
}

/* The shortest that is about as good as the best. One that has been heard for some hops stays,
 * unless a shorter one is better by a margin. */
static int choose(const struct takt_pitch *p, const struct contender *c, int count, double best)
{
    int incumbent = -1;
    for (int i = 0; i < count; i++)
        if (p->held >= HELD && fabs(c[i].lag - p->last_lag) < 0.04 * p->last_lag &&
            c[i].score > 0.85 * best)
            incumbent = i;
    for (int i = 0; i < count; i++) {
        double bar = incumbent < 0 || i > incumbent ? 0.92 : i < incumbent ? 0.96 : 0.89;
        if (c[i].score >= bar * best)
            return i;
    }
    return 0;
}

/* The period over two of it, or 12 ms: so that the reading is of now. Whole multiples of a
 * short one are as many times as sharp; and if it is one, they are about as clear, which noise in a
 * narrow band is not, although it looks periodic at its shortest lag. */
static double sharpen(const struct takt_pitch *p, size_t size, double lag, double *top,
                      double *clarity)
{
    const float *end = p->band[0].past + p->band[0].have;
    double over, fine = takt_pitch_refine(end, size, lag, lag / 200, true, &over);
    if (!(fine > 0) || fabs(fine - lag) > 0.03 * lag)
        return lag;
    double period = fine, most = floor(0.6 * (double)size / fine), near = 0.4 * (double)p->window;
    *clarity = *top = over;
    for (double k = 2; k <= most; k = 2 * k > most && k < most ? most : 2 * k) {
        fine = takt_pitch_refine(end, size, k * period, lag / 200, true, &over);
        bool same = fine > 0 && over > *top - 0.05 && fabs(fine / k - period) < 0.01 * period;
        if (k * period < near)
            *clarity = fine > 0 ? over : 0;
        if (!same)
            break;
        period = fine / k;
    }
    return period;
}

/* Steady sound is averaged over the time that it has been steady; what moves more than some cents,
 * and more where it is not clear, is not. */
static double average(struct takt_pitch *p, double lag, double top)
{
    double tolerance = lag * (4 + 60 * (1 - top)) * (M_LN2 / 1200), sum = 0;
    unsigned same = 0;
    p->run_at = (p->run_at + 1) % RUN;
    p->run[p->run_at] = lag;
    if (p->run_count < RUN)
        p->run_count++;
    for (; same < p->run_count; same++) {
        double past = p->run[(p->run_at + RUN - same) % RUN];
        if (fabs(past - lag) > tolerance)
            break;
        sum += past;
    }
    p->run_count = same;
    return same > RUN_LEAST ? sum / same : lag;
}

static void hear_nothing(struct takt_pitch *p)
{
    p->voiced = false;
    p->last_lag = 0;
    p->held = p->run_count = 0;
}

static void read_now(struct takt_pitch *p, struct takt_pitch_reading *out)
{
    double rms = level(p);
    *out = (struct takt_pitch_reading){
        .position = p->next, .centre = p->next, .level_dbfs = takt_dbfs(rms)};
    look(p);
    struct contender c[CONTENDERS] = {{0}};
    size_t since = p->band[0].have < BASE_KEEP ? p->band[0].have : BASE_KEEP;
    if (p->heard - p->onset < since)
        since = (size_t)(p->heard - p->onset);
    int count = rms < least_level ? 0 : gather(p, c);
    double best = compare(p, c, count, since);
    if (!count || !(best > 0)) {
        hear_nothing(p);
        return;
    }
    const struct contender *chosen = &c[choose(p, c, count, best)];
    size_t size = (size_t)fmax(0.75 * (double)p->window, 2 * chosen->lag);
    if (size > since)
        size = since;
    double top = chosen->clarity, clarity = top;
    double lag = sharpen(p, size, chosen->lag, &top, &clarity);
    bool stays = p->last_lag > 0 && fabs(lag - p->last_lag) < 0.06 * p->last_lag;
    p->held = stays && p->onset == p->held_onset ? p->held + 1 : 0;
    p->held_onset = p->onset;
    p->last_lag = lag;
    out->raw_hz = p->base_hz / average(p, lag, top);
    out->clarity = fmax(0, fmin(1, clarity));
    double back = 0.5 * (double)size / p->base_hz * p->cfg.rate_hz;
    out->centre = p->next - (uint64_t)fmin(back, (double)p->next);
    out->confidence = fmax(0, fmin(1, (out->clarity - 0.3) / 0.5));
    p->voiced = out->confidence >= (p->voiced ? 0.8 : 1) * p->cfg.voiced;
    out->voiced = p->voiced;
    out->f0_hz = p->voiced ? out->raw_hz : 0;
}

/* ---- The calls ------------------------------------------------------------------------------- */

int takt_pitch_create(const struct takt_pitch_cfg *cfg, struct takt_pitch **out,
                      struct takt_error *e)
{
    *out = NULL;
    struct takt_pitch_cfg c = *cfg;
    c.rate_hz = c.rate_hz ? c.rate_hz : 48000;
    c.hop_frames = c.hop_frames ? c.hop_frames : (uint32_t)lround(c.rate_hz * 16.0 / 3000);
    c.min_hz = c.min_hz != 0 ? c.min_hz : 27.5;
    c.max_hz = c.max_hz != 0 ? c.max_hz : fmin(4200, 0.4 * c.rate_hz);
    c.voiced = c.voiced != 0 ? c.voiced : 0.5;
    if (c.rate_hz < 8000 || c.rate_hz > 192000 || c.hop_frames < 16 || c.hop_frames > 65536)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a pitch at %u Hz every %u frames: the rate is 8000 to 192000 Hz, the hop "
                         "16 to 65536 frames",
                         c.rate_hz, c.hop_frames);
    if (!(c.min_hz >= 25 && c.min_hz <= 2000 && c.max_hz > c.min_hz && c.max_hz <= 5000 &&
          c.max_hz <= 0.4 * c.rate_hz && c.voiced >= 0.05 && c.voiced <= 0.99))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a pitch of %g to %g Hz, voiced from %g: the lowest is 25 to 2000 Hz, the "
                         "highest above it and at most 5000 Hz and 0.4 of the rate, the voicing "
                         "0.05 to 0.99",
                         c.min_hz, c.max_hz, c.voiced);
    struct takt_pitch *p = takt_calloc_touched(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->cfg = c;
    p->base_hz = c.rate_hz;
    for (; p->base_hz < 32000; p->base_hz *= 2)
        p->doublings++;
    for (; p->base_hz >= 64000; p->base_hz /= 2)
        p->halvings++;
    TAKT_ASSERT(p->doublings <= DOUBLINGS && p->halvings <= HALVINGS);
    p->window = (size_t)lround(window_s * p->base_hz);
    make_taps(p->taps, 0.25);
    make_taps(p->soft, soft_hz / p->base_hz);
    make_taps(p->gentle, 0.16);
    bool whole = true;
    for (int b = 0; b < PITCH_BANDS; b++) {
        p->band[b].keep = b ? BAND_KEEP : BASE_KEEP;
        p->band[b].past = takt_calloc_touched(2 * p->band[b].keep, sizeof *p->band[b].past);
        whole &= p->band[b].past != NULL;
    }
    if (whole && takt_fft_create(&(struct takt_fft_cfg){.size = PITCH_FFT}, &p->fft, e) < 0) {
        takt_pitch_destroy(p);
        return TAKT_ERR_NOMEM;
    }
    p->work = takt_calloc_touched(PITCH_WORK, sizeof *p->work);
    if (!whole || !p->fft || !p->work) {
        takt_pitch_destroy(p);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    takt_pitch_reset(p);
    *out = p;
    return 0;
}

void takt_pitch_destroy(struct takt_pitch *p)
{
    if (!p)
        return;
    for (int b = 0; b < PITCH_BANDS; b++)
        free(p->band[b].past);
    takt_fft_destroy(p->fft);
    free(p->work);
    free(p);
}

void takt_pitch_reset(struct takt_pitch *p)
{
    p->hop_left = p->cfg.hop_frames;
    p->begun = p->voiced = false;
    p->last_lag = 0;
    p->run_at = p->run_count = p->hops = p->held = 0;
    p->held_onset = 0;
    for (int b = 0; b < PITCH_BANDS; b++)
        takt_pitch_look_away(&p->view[b]);
    memset(&p->softer, 0, sizeof p->softer);
    p->dc_x = p->dc_y = 0;
    memset(p->doubling, 0, sizeof p->doubling);
    memset(p->halving, 0, sizeof p->halving);
    for (int b = 0; b < PITCH_BANDS; b++) {
        memset(&p->band[b].half, 0, sizeof p->band[b].half);
        p->band[b].have = 0;
    }
    p->heard = p->onset = 0;
    p->grain_sum = 0;
    p->grain_fill = p->grain_at = 0;
    memset(p->grains, 0, sizeof p->grains);
}

uint32_t takt_pitch_hop_frames(const struct takt_pitch *p)
{
    return p->cfg.hop_frames;
}

size_t takt_pitch_process(struct takt_pitch *p, const float *x, size_t frames, uint64_t position,
                          struct takt_pitch_reading *out, size_t out_max)
{
    if (position != p->next)
        takt_pitch_reset(p);
    p->next = position;
    size_t made = 0;
    for (size_t i = 0; i < frames; i++) {
        take(p, x[i]);
        p->next++;
        if (--p->hop_left)
            continue;
        p->hop_left = p->cfg.hop_frames;
        struct takt_pitch_reading now;
        read_now(p, &now);
        if (made < out_max)
            out[made++] = now;
    }
    return made;
}
