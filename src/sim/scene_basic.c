/*
 * Test signals that follow from the frame's number alone (tone, sweep, clicks, impulse, silence),
 * and noise, whose generator steps once a frame. So any cutting into blocks gives the same.
 */
#include "sim/scene.h"

#include "base/fail.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PINK_ROWS = 16 };
static const double two_pi = 6.28318530717958647692;

struct basic {
    struct takt_scene base;
    uint64_t at; /* frame */
    double rate_hz, gain, number;
    struct takt_random chance;
    double rows[PINK_ROWS]; /* pink: one held value an octave */
    double row_sum;
};

/* The phase is taken from whole seconds and the rest, so that it stays exact over days. */
static void render_tone(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    uint64_t rate = (uint64_t)b->rate_hz;
    for (uint32_t i = 0; i < frames; i++, b->at++) {
        double whole = b->number * (double)(b->at / rate);
        double turns = whole - floor(whole) + b->number * (double)(b->at % rate) / b->rate_hz;
        out[i] = (float)(b->gain * 0.5 * sin(two_pi * (turns - floor(turns))));
    }
}

/* f(t) = 20·1000^(t/T): its phase is the integral of that. */
static void render_sweep(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    uint64_t length = (uint64_t)(b->number * b->rate_hz);
    double top = b->rate_hz * 0.45 < 20000 ? b->rate_hz * 0.45 : 20000;
    double octaves = log(top / 20);
    for (uint32_t i = 0; i < frames; i++, b->at++) {
        double t = (double)(b->at % length) / (double)length;
        double turns = 20 * b->number / octaves * (exp(t * octaves) - 1);
        /* Faded at both ends, so that beginning anew makes no click. */
        double edge = fmin(fmin(t, 1 - t) * b->number / 0.01, 1);
        out[i] = (float)(b->gain * 0.5 * edge * sin(two_pi * (turns - floor(turns))));
    }
}

/* Uniform noise of this width has an RMS of 0.1. */
static void render_noise(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    for (uint32_t i = 0; i < frames; i++)
        out[i] = (float)(b->gain * 0.34641016 * (takt_random_unit(&b->chance) - 0.5));
    b->at += frames;
}

/* Voss's sum of noises, each held twice as long as the one before, as McCartney orders them. */
static void render_pink(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    for (uint32_t i = 0; i < frames; i++, b->at++) {
        int row = b->at ? __builtin_ctzll(b->at) : 0;
        if (row < PINK_ROWS) {
            double fresh = takt_random_unit(&b->chance) - 0.5;
            b->row_sum += fresh - b->rows[row];
            b->rows[row] = fresh;
        }
        double white = takt_random_unit(&b->chance) - 0.5;
        out[i] = (float)(b->gain * 0.084 * (b->row_sum + white));
    }
}

static void render_clicks(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    for (uint32_t i = 0; i < frames; i++, b->at++) {
        /* Frame n is a click when a multiple of rate/number falls within n-1..n. */
        double now = (double)b->at * b->number / b->rate_hz;
        double before = ((double)b->at - 1) * b->number / b->rate_hz;
        out[i] = b->at == 0 || floor(now) > floor(before) ? (float)(b->gain * 0.9) : 0;
    }
}

static void render_impulse(struct takt_scene *s, float *out, uint32_t frames)
{
    struct basic *b = (struct basic *)s;
    memset(out, 0, frames * sizeof *out);
    if (frames && b->at == 0)
        out[0] = (float)b->gain;
    b->at += frames;
}

static void render_silence(struct takt_scene *s, float *out, uint32_t frames)
{
    memset(out, 0, frames * sizeof *out);
}

static void skip(struct takt_scene *s, uint64_t frames)
{
    ((struct basic *)s)->at += frames;
}

static void close_basic(struct takt_scene *s)
{
    free(s);
}

static const struct takt_scene_ops tone_ops = {
    .render = render_tone, .skip = skip, .close = close_basic};
static const struct takt_scene_ops sweep_ops = {
    .render = render_sweep, .skip = skip, .close = close_basic};
static const struct takt_scene_ops noise_ops = {.render = render_noise, .close = close_basic};
static const struct takt_scene_ops pink_ops = {.render = render_pink, .close = close_basic};
static const struct takt_scene_ops clicks_ops = {
    .render = render_clicks, .skip = skip, .close = close_basic};
static const struct takt_scene_ops impulse_ops = {
    .render = render_impulse, .skip = skip, .close = close_basic};
static const struct takt_scene_ops silence_ops = {
    .render = render_silence, .skip = skip, .close = close_basic};

static const struct {
    const char *name;
    const struct takt_scene_ops *ops;
    double number, low, high; /* the value after '=': its default and range; 0 to 0: none */
} kinds[] = {
    {"tone", &tone_ops, 1000, 0.1, 192000}, {"sweep", &sweep_ops, 10, 0.1, 3600},
    {"noise", &noise_ops, 0, 0, 0},         {"pink", &pink_ops, 0, 0, 0},
    {"clicks", &clicks_ops, 1, 0.01, 1000}, {"impulse", &impulse_ops, 0, 0, 0},
    {"silence", &silence_ops, 0, 0, 0},
};

int takt_scene_open_basic(const struct takt_scene_cfg *cfg, const char *value,
                          struct takt_scene **out, struct takt_error *e)
{
    size_t length = strcspn(cfg->spec, "="), k = 0;
    while (strlen(kinds[k].name) != length || strncmp(kinds[k].name, cfg->spec, length) != 0)
        k++;
    double number = kinds[k].number;
    if (value &&
        !(kinds[k].high > 0 && takt_scene_number(value, kinds[k].low, kinds[k].high, &number)))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         kinds[k].high > 0 ? "sim: %s=%.40s: it is a number from %g to %g"
                                           : "sim: %s=%.40s: this scene takes no value",
                         kinds[k].name, value, kinds[k].low, kinds[k].high);
    if (kinds[k].ops == &tone_ops && number > cfg->rate_hz / 2.0)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "sim: tone=%g: above half the rate of %u Hz; it would fold back", number,
                         cfg->rate_hz);
    struct basic *b = calloc(1, sizeof *b);
    if (!b)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    b->base.ops = kinds[k].ops;
    b->rate_hz = cfg->rate_hz;
    b->gain = cfg->gain;
    b->number = number;
    b->chance = takt_random_seed(cfg->seed);
    *out = &b->base;
    return 0;
}
