/*
 * A voice-like talker: Rosenberg's glottal pulses (JASA 1971) at a wandering pitch through four
 * formant resonators in a row (Klatt, JASA 1980), gliding from vowel to vowel, with bursts of
 * fricative noise between syllables, breath under the voice, and pauses between phrases.
 *
 * Everything that changes slowly is set anew every 32 frames, counted from the first, so that the
 * sound does not depend on the blocks it is asked for in.
 */
#include "sim/scene.h"

#include "base/fail.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

enum { FORMANTS = 4, STEP = 32 };
static const double pi = 3.14159265358979323846;

struct resonator {
    double a, b, c, y1, y2;
};

struct vowel {
    double formant_hz[FORMANTS];
};

/* Centre frequencies of a male speaker's vowels, after Peterson and Barney (JASA 1952). */
static const struct vowel vowels[] = {
    {{730, 1090, 2440, 3400}}, {{270, 2290, 3010, 3600}}, {{300, 870, 2240, 3300}},
    {{530, 1840, 2480, 3500}}, {{570, 840, 2410, 3300}},  {{490, 1350, 1690, 3300}},
    {{660, 1720, 2410, 3500}}, {{500, 1500, 2500, 3500}},
};
enum { VOWELS = sizeof vowels / sizeof *vowels };
static const double bandwidth_hz[FORMANTS] = {70, 90, 130, 200};

struct voice {
    struct takt_scene base;
    double rate_hz, gain;
    struct takt_random chance;
    uint32_t until_step;
    /* The plan: syllables make a phrase, phrases are parted by pauses. */
    int syllables_left;
    double left_s; /* of the present syllable or pause */
    bool speaks;
    double phrase_hz, rise; /* pitch at the phrase's head, and this syllable's accent */
    double fricative_s, fricative_hz;
    struct vowel from, to;
    double glide; /* 0..1 between them */
    double syllable_s;
    /* What the steps set and the frames follow. */
    double loud, loud_wish, noise_loud, noise_wish, pitch_hz;
    struct resonator formant[FORMANTS], hiss;
    double phase, tilt, dc_x, dc_y;
};

static double uniform(struct voice *v, double low, double high)
{
    return low + (high - low) * takt_random_unit(&v->chance);
}

static void tune(struct resonator *r, double centre_hz, double width_hz, double rate_hz)
{
    centre_hz = centre_hz > 0.45 * rate_hz ? 0.45 * rate_hz : centre_hz;
    r->c = -exp(-2 * pi * width_hz / rate_hz);
    r->b = 2 * exp(-pi * width_hz / rate_hz) * cos(2 * pi * centre_hz / rate_hz);
    r->a = 1 - r->b - r->c;
}

static double resonate(struct resonator *r, double x)
{
    double y = r->a * x + r->b * r->y1 + r->c * r->y2;
    r->y2 = r->y1;
    r->y1 = y;
    return y;
}

static void next_syllable(struct voice *v)
{
    if (v->syllables_left == 0 && v->speaks) {
        v->speaks = false;
        v->left_s = uniform(v, 0.25, 0.6);
        return;
    }
    if (v->syllables_left == 0) {
        v->speaks = true;
        v->syllables_left = 4 + (int)takt_random_below(&v->chance, 6);
        v->phrase_hz = uniform(v, 115, 145);
    }
    v->syllables_left--;
    v->phrase_hz *= 0.975;
    v->rise = uniform(v, -0.04, 0.1);
    v->syllable_s = v->left_s = uniform(v, 0.13, 0.27);
    v->from = v->to;
    v->to = vowels[takt_random_below(&v->chance, VOWELS)];
    v->glide = 0;
    bool fricative = takt_random_unit(&v->chance) < 0.4;
    v->fricative_s = fricative ? uniform(v, 0.05, 0.09) : 0;
    v->fricative_hz = uniform(v, 3200, 6000);
    tune(&v->hiss, v->fricative_hz, 1500, v->rate_hz);
}

/* Sets what the next 32 frames follow. */
static void take_step(struct voice *v)
{
    double dt = STEP / v->rate_hz;
    v->left_s -= dt;
    while (v->left_s <= 0)
        next_syllable(v);
    double done_s = v->speaks ? v->syllable_s - v->left_s : 0;
    bool hisses = v->speaks && done_s < v->fricative_s;
    double body = v->speaks ? fmin((done_s - v->fricative_s) / 0.04, v->left_s / 0.05) : 0;
    body = hisses || body < 0 ? 0 : body > 1 ? 1 : body;
    v->loud_wish = v->speaks ? (hisses ? 0.02 : 0.25 + 0.75 * body) : 0;
    v->noise_wish = hisses ? 1 : 0;
    v->glide = fmin(1, v->glide + dt / 0.07);
    double smooth = v->glide * v->glide * (3 - 2 * v->glide);
    for (int f = 0; f < FORMANTS; f++)
        tune(&v->formant[f],
             v->from.formant_hz[f] + smooth * (v->to.formant_hz[f] - v->from.formant_hz[f]),
             bandwidth_hz[f], v->rate_hz);
    double accent = v->rise * sin(pi * fmin(1, done_s / v->syllable_s));
    v->pitch_hz = v->phrase_hz * (1 + accent) * (1 + uniform(v, -0.006, 0.006));
}

/* Rosenberg's pulse: opens over 40 % of the period, closes over 16 %, rests closed. */
static double glottal(double phase)
{
    if (phase < 0.4)
        return 0.5 * (1 - cos(pi * phase / 0.4));
    if (phase < 0.56)
        return cos(pi / 2 * (phase - 0.4) / 0.16);
    return 0;
}

static double next_sample(struct voice *v)
{
    if (v->until_step == 0) {
        take_step(v);
        v->until_step = STEP;
    }
    v->until_step--;
    double follow = 1 / (0.006 * v->rate_hz);
    v->loud += (v->loud_wish - v->loud) * follow;
    v->noise_loud += (v->noise_wish - v->noise_loud) * follow;
    v->phase += v->pitch_hz / v->rate_hz;
    v->phase -= floor(v->phase);
    double white = 2 * takt_random_unit(&v->chance) - 1;
    double open = glottal(v->phase);
    double source = v->loud * (open + 0.03 * white * (0.3 + open));
    double sound = source;
    for (int f = 0; f < FORMANTS; f++)
        sound = resonate(&v->formant[f], sound);
    /* The lips radiate the change of the flow: a difference, over the time of one frame at 48 k. */
    double lips = (sound - v->tilt) * v->rate_hz / 48000;
    v->tilt = sound;
    double y = 5.6 * lips + 0.12 * v->noise_loud * resonate(&v->hiss, white);
    double pole = 1 - 2 * pi * 30 / v->rate_hz;
    v->dc_y = y - v->dc_x + pole * v->dc_y;
    v->dc_x = y;
    return v->dc_y;
}

static void render(struct takt_scene *s, float *out, uint32_t frames)
{
    struct voice *v = (struct voice *)s;
    for (uint32_t i = 0; i < frames; i++) {
        double x = v->gain * next_sample(v);
        out[i] = (float)(x / sqrt(1 + x * x)); /* never beyond full scale, straight near zero */
    }
}

static void close_voice(struct takt_scene *s)
{
    free(s);
}

static const struct takt_scene_ops ops = {.render = render, .close = close_voice};

int takt_scene_open_voice(const struct takt_scene_cfg *cfg, const char *value,
                          struct takt_scene **out, struct takt_error *e)
{
    if (value)
        return takt_fail(e, TAKT_ERR_ARG, 0, "sim: voice=%.40s: this scene takes no value", value);
    struct voice *v = calloc(1, sizeof *v);
    if (!v)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    v->base.ops = &ops;
    v->rate_hz = cfg->rate_hz;
    v->gain = cfg->gain;
    v->chance = takt_random_seed(cfg->seed ^ 0x766f696365);
    v->to = vowels[7];
    v->phrase_hz = 120;
    *out = &v->base;
    return 0;
}
