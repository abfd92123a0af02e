/*
 * A tower of stages, each at half the rate of the one below. A stage filters its sound through the
 * bands that belong to it, four side by side in the lanes of a vector, and hands it on through a
 * half-band filter. Stage 0 has the two octaves on top, whose upper edges may lie close to half the
 * rate; any other has bands whose upper edge is at 0.12 to 0.24 of its rate, where the bilinear
 * transform bends little and what the half-band filter folds back falls on no band.
 *
 * A filter: the poles of a Butterworth low-pass of order four become eight of a band-pass
 * (s² - p·B·s + W² = 0), with both edges laid where the bilinear transform will put them right.
 * Each pole and its conjugate are a section with zeros at 0 and at half the rate, and of gain 1 at
 * the band's middle. (A. V. Oppenheim and R. W. Schafer, "Discrete-Time Signal Processing", 7.1.)
 *
 * Invariants: every state and sum is finite; a band is in one group and lane only.
 */
#include "takt/bands.h"

#include "analysis/sane.h"
#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"

#include <complex.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER = 4, LANES = 4, STAGES_MOST = 24, GROUPS_MOST = 40, CHUNK = 256 };
/* The half-band filter has taps at its middle and at PAIRS odd distances on both sides. */
enum { PAIRS = 7, REACH = 2 * PAIRS - 1, HISTORY = 2 * REACH };
static const double deepest = 0.24, highest = 0.4675; /* upper edges, as parts of the rate */
static const double half_band_beta = 9, least_state = 1e-60;

typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double))));
typedef int64_t masks __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double))));

struct band {
    double low, middle, high;
    char label[12];
    uint32_t group, lane;
};

struct group {
    lanes gain[ORDER], a1[ORDER], a2[ORDER];
    lanes weight; /* of a new square in the mean that fades */
    uint32_t stage;
};

/* Of one group in one channel. */
struct state {
    lanes z1[ORDER], z2[ORDER];
    lanes smooth, most, sum;
};

/* Of one stage in one channel: its sound, after what the half-band filter still looks back at. */
struct sound {
    double past[HISTORY + CHUNK];
    uint32_t odd; /* the next frame is one that the next stage leaves out */
};

struct takt_bands {
    uint32_t channels, band_count, group_count, stage_count;
    struct band band[TAKT_BANDS_MOST];
    struct group group[GROUPS_MOST];
    double tap[PAIRS];   /* at distances 1, 3, 5, … */
    struct state *state; /* [channels][group_count] */
    struct sound *sound; /* [channels][stage_count] */
    uint64_t heard[STAGES_MOST];
    bool begun;
    uint64_t first, next; /* positions: of the call before, and behind what was taken in */
};

/* ---- Filters --------------------------------------------------------------------------------- */

static double complex on_circle(double angle)
{
    return cos(angle) + (double complex)I * sin(angle);
}

/* The size of a section's response, without its gain, at an angle on the unit circle. */
static double size_at(double a1, double a2, double angle)
{
    double complex back = on_circle(-angle);
    return cabs((1 - back * back) / (1 + a1 * back + a2 * back * back));
}

static void set_section(struct group *g, uint32_t lane, int section, double complex pole,
                        double middle_angle)
{
    double complex z = (1 + pole) / (1 - pole);
    double a1 = -2 * creal(z), a2 = creal(z) * creal(z) + cimag(z) * cimag(z);
    g->a1[section][lane] = a1;
    g->a2[section][lane] = a2;
    g->gain[section][lane] = 1 / size_at(a1, a2, middle_angle);
}

static void design(struct group *g, const struct band *b, double rate_hz)
{
    static const double pi = 3.14159265358979323846;
    double low = tan(pi * b->low / rate_hz), high = tan(pi * b->high / rate_hz);
    double width = high - low, middle_square = low * high;
    /* The middle as the filter sees it, where all sections together are flat. */
    double middle_angle = 2 * atan(sqrt(middle_square));
    for (int k = 0; k < ORDER / 2; k++) {
        double angle = pi * (2 * k + 1 + ORDER) / (2 * ORDER);
        double complex p = on_circle(angle) * width / 2;
        double complex root = csqrt(p * p - middle_square);
        set_section(g, b->lane, 2 * k, p + root, middle_angle);
        set_section(g, b->lane, 2 * k + 1, p - root, middle_angle);
    }
}

/* I0, the modified Bessel function of order 0, by its series. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* An ideal filter's taps under a Kaiser window, then of gain 1 at 0 Hz. */
static void design_half_band(struct takt_bands *b)
{
    static const double pi = 3.14159265358979323846;
    double sum = 0;
    for (int j = 0; j < PAIRS; j++) {
        double at = 2 * j + 1, place = at / (REACH + 1);
        b->tap[j] = sin(pi * at / 2) / (pi * at) *
                    bessel(half_band_beta * sqrt(1 - place * place)) / bessel(half_band_beta);
        sum += b->tap[j];
    }
    for (int j = 0; j < PAIRS; j++)
        b->tap[j] *= 0.25 / sum;
}

/* ---- The list of bands ----------------------------------------------------------------------- */

static double third_hz(double index)
{
    return 1000 * pow(10, index / 10);
}

static void name_band(struct band *b, int third)
{
    static const double nominal[] = {1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8};
    int in_decade = (third % 10 + 10) % 10;
    double hz = nominal[in_decade] * pow(10, 3 + (third - in_decade) / 10);
    snprintf(b->label, sizeof b->label, hz < 999 ? "%g" : "%gk", hz < 999 ? hz : hz / 1000);
}

static uint32_t stage_of(const struct band *b, double rate_hz)
{
    uint32_t stage = 0;
    while (stage + 1 < STAGES_MOST && b->high <= deepest * rate_hz / (double)(2u << stage))
        stage++;
    return stage;
}

/* From the highest band down, so that stages fill one after the other. False: too many. */
static bool list_bands(struct takt_bands *b, const struct takt_bands_cfg *cfg)
{
    int step = cfg->width == TAKT_BANDS_OCTAVE ? 3 : 1;
    double half = step / 2.0, scale = 10.0 / step;
    int low = (int)floor(scale * log10(cfg->low_hz / 1000) + 0.5);
    int high = (int)floor(scale * log10(cfg->high_hz / 1000) + 0.5);
    while (high >= low && third_hz(high * step + half) > highest * cfg->rate_hz)
        high--;
    if (high - low >= TAKT_BANDS_MOST || high < low)
        return false;
    b->band_count = (uint32_t)(high - low + 1);
    for (int k = high; k >= low; k--) {
        struct band *band = &b->band[k - low];
        band->middle = third_hz(k * step);
        band->low = third_hz(k * step - half);
        band->high = third_hz(k * step + half);
        name_band(band, k * step);
        uint32_t stage = stage_of(band, cfg->rate_hz), at = b->group_count - 1;
        if (k == high || b->group[at].stage != stage || band[1].lane == LANES - 1) {
            at = b->group_count++;
            TAKT_ASSERT(at < GROUPS_MOST);
            double rate_hz = (double)cfg->rate_hz / (double)(1u << stage);
            b->group[at].stage = stage;
            b->group[at].weight += -expm1(-1 / (rate_hz * cfg->average_s));
            band->lane = 0;
        } else {
            band->lane = band[1].lane + 1;
        }
        band->group = at;
        b->stage_count = stage + 1;
        design(&b->group[at], band, (double)cfg->rate_hz / (double)(1u << stage));
    }
    return true;
}

int takt_bands_create(const struct takt_bands_cfg *cfg, struct takt_bands **out,
                      struct takt_error *e)
{
    struct takt_bands_cfg c = *cfg;
    *out = NULL;
    c.rate_hz = c.rate_hz ? c.rate_hz : 48000;
    c.channels = c.channels ? c.channels : 1;
    c.low_hz = c.low_hz != 0 ? c.low_hz : 20;
    c.high_hz = c.high_hz != 0 ? c.high_hz : 20000;
    c.average_s = c.average_s != 0 ? c.average_s : 0.125;
    if (c.rate_hz < 4000 || c.rate_hz > 768000 || c.channels > 64 ||
        (c.width != TAKT_BANDS_THIRD && c.width != TAKT_BANDS_OCTAVE) ||
        !(c.average_s >= 1e-3 && c.average_s <= 1e6))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "bands of %u channels at %u Hz, averaged over %g s: channels are 1 to 64, "
                         "the rate 4000 to 768000 Hz, the average 0.001 to 1e6 s",
                         c.channels, c.rate_hz, c.average_s);
    struct takt_bands *b = calloc(1, sizeof *b);
    if (!b)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    b->channels = c.channels;
    if (!(c.low_hz >= 1 && c.high_hz >= c.low_hz && c.high_hz <= 1e6) || !list_bands(b, &c)) {
        free(b);
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "bands from %g to %g Hz at a rate of %u Hz: at least one has to fit below "
                         "half the rate, and %d at most; the lowest is at 1 Hz",
                         c.low_hz, c.high_hz, c.rate_hz, TAKT_BANDS_MOST);
    }
    design_half_band(b);
    b->state = takt_calloc_touched((size_t)c.channels * b->group_count, sizeof *b->state);
    b->sound = takt_calloc_touched((size_t)c.channels * b->stage_count, sizeof *b->sound);
    if (!b->state || !b->sound) {
        takt_bands_destroy(b);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    *out = b;
    return 0;
}

void takt_bands_destroy(struct takt_bands *b)
{
    if (!b)
        return;
    free(b->state);
    free(b->sound);
    free(b);
}

/* ---- Sound ----------------------------------------------------------------------------------- */

/* Everything that a frame alters is held apart from memory, and the sections are written out, so
 * that the next frame need not wait for what this one has stored. */
static void filter(const struct group *group, struct state *s, const double *x, size_t frames)
{
    const struct group g = *group;
    struct state now = *s;
    for (size_t i = 0; i < frames; i++) {
        lanes y = (lanes){x[i], x[i], x[i], x[i]};
#pragma GCC unroll 4
        for (int k = 0; k < ORDER; k++) {
            lanes in = g.gain[k] * y;
            y = in + now.z1[k];
            now.z1[k] = now.z2[k] - g.a1[k] * y;
            now.z2[k] = -in - g.a2[k] * y;
        }
        lanes square = y * y;
        now.sum += square;
        now.smooth += g.weight * (square - now.smooth);
        masks is_more = now.smooth > now.most;
        now.most = (lanes)((is_more & (masks)now.smooth) | (~is_more & (masks)now.most));
    }
    *s = now;
}

/* What has died away becomes 0, before it turns into slow denormal arithmetic. */
static void settle(struct state *s)
{
    for (int lane = 0; lane < LANES; lane++) {
        for (int k = 0; k < ORDER; k++) {
            s->z1[k][lane] = fabs(s->z1[k][lane]) < least_state ? 0 : s->z1[k][lane];
            s->z2[k][lane] = fabs(s->z2[k][lane]) < least_state ? 0 : s->z2[k][lane];
        }
        s->smooth[lane] = s->smooth[lane] < least_state ? 0 : s->smooth[lane];
    }
}

/* From the new frames of one stage to those of the next; returns how many. */
static size_t halve(const struct takt_bands *b, struct sound *from, double *to, size_t frames)
{
    size_t made = 0;
    for (size_t i = from->odd; i < frames; i += 2) {
        const double *middle = from->past + REACH + i;
        double y = 0.5 * middle[0];
        for (int j = 0; j < PAIRS; j++)
            y += b->tap[j] * (middle[-2 * j - 1] + middle[2 * j + 1]);
        to[made++] = y;
    }
    from->odd = (from->odd + (uint32_t)frames) & 1;
    return made;
}

/* A chunk that stands in the lowest stage already goes up through all of them. */
static void climb(struct takt_bands *b, uint32_t channel, size_t frames)
{
    struct sound *sound = b->sound + (size_t)channel * b->stage_count;
    struct state *state = b->state + (size_t)channel * b->group_count;
    uint32_t g = 0;
    for (uint32_t stage = 0; stage < b->stage_count && frames; stage++) {
        struct sound *s = &sound[stage];
        for (; g < b->group_count && b->group[g].stage == stage; g++) {
            filter(&b->group[g], &state[g], s->past + HISTORY, frames);
            settle(&state[g]);
        }
        if (channel == 0)
            b->heard[stage] += frames;
        size_t next = 0;
        if (stage + 1 < b->stage_count)
            next = halve(b, s, sound[stage + 1].past + HISTORY, frames);
        memmove(s->past, s->past + frames, HISTORY * sizeof *s->past);
        frames = next;
    }
}

static void begin_anew(struct takt_bands *b)
{
    for (size_t i = 0; i < (size_t)b->channels * b->group_count; i++) {
        memset(b->state[i].z1, 0, sizeof b->state[i].z1);
        memset(b->state[i].z2, 0, sizeof b->state[i].z2);
    }
    memset(b->sound, 0, (size_t)b->channels * b->stage_count * sizeof *b->sound);
}

void takt_bands_process(struct takt_bands *b, const float *x, size_t frames, uint64_t position)
{
    if (b->begun && (position > b->next || position < b->first))
        begin_anew(b);
    if (!b->begun || position > b->next || position < b->first)
        b->next = position;
    b->begun = true;
    b->first = position;
    if (position + frames <= b->next)
        return;
    size_t had = (size_t)(b->next - position);
    x += had * b->channels;
    frames -= had;
    b->next += frames;
    while (frames) {
        size_t now = frames < CHUNK ? frames : CHUNK;
        for (uint32_t c = 0; c < b->channels; c++) {
            double *to = b->sound[(size_t)c * b->stage_count].past + HISTORY;
            for (size_t i = 0; i < now; i++)
                to[i] = (double)takt_sane(x[i * b->channels + c]);
            climb(b, c, now);
        }
        x += now * b->channels;
        frames -= now;
    }
}

/* ---- Results --------------------------------------------------------------------------------- */

uint32_t takt_bands_count(const struct takt_bands *b)
{
    return b->band_count;
}

/* Against a sine of full scale, whose mean square is a half. */
static double to_db(double mean_square)
{
    return 10 * log10(fmax(2 * mean_square, 1e-20));
}

void takt_bands_read(const struct takt_bands *b, uint32_t band, struct takt_band *out)
{
    *out = (struct takt_band){0};
    if (band >= b->band_count)
        return;
    const struct band *is = &b->band[band];
    uint64_t heard = b->heard[b->group[is->group].stage];
    double smooth = 0, mean = 0, most = 0;
    for (uint32_t c = 0; c < b->channels; c++) {
        const struct state *s = &b->state[(size_t)c * b->group_count + is->group];
        smooth = fmax(smooth, s->smooth[is->lane]);
        most = fmax(most, s->most[is->lane]);
        mean = fmax(mean, heard ? s->sum[is->lane] / (double)heard : 0);
    }
    out->low_hz = is->low;
    out->middle_hz = is->middle;
    out->high_hz = is->high;
    out->label = is->label;
    out->level_dbfs = to_db(smooth);
    out->mean_dbfs = to_db(mean);
    out->max_dbfs = to_db(most);
}

void takt_bands_reset(struct takt_bands *b)
{
    memset(b->state, 0, (size_t)b->channels * b->group_count * sizeof *b->state);
    begin_anew(b);
    memset(b->heard, 0, sizeof b->heard);
    b->begun = false;
}
