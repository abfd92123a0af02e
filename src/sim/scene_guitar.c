/*
 * Plucked strings after Karplus and Strong, with the tuning and damping of Jaffe and Smith
 * (Computer Music Journal 1983): a burst of noise goes round in a delay line of one period
 * through a mild low-pass, and an all-pass makes up the fraction of a sample that the line cannot.
 * Six strings play a progression of chords, picked and strummed in turn.
 *
 * Notes begin at frame counts, so the sound does not depend on the blocks it is asked for in.
 */
#include "sim/scene.h"

#include "base/fail.h"
#include "base/random.h"
#include "rt/memory.h"

#include <math.h>
#include <stdlib.h>

enum { STRINGS = 6, CHORDS = 4, PATTERN = 8 };
static const double pi = 3.14159265358979323846;

/* MIDI notes from the lowest string up; 0: not played. Am, F, C, G. */
static const int chords[CHORDS][STRINGS] = {{0, 45, 52, 57, 60, 64},
                                            {41, 48, 53, 57, 60, 65},
                                            {0, 48, 52, 55, 60, 64},
                                            {43, 47, 50, 55, 59, 67}};

/* The string picked at each eighth of a bar, counted from the chord's lowest. */
static const int pattern[PATTERN] = {0, 2, 3, 4, 5, 4, 3, 2};

struct string {
    float *line;
    uint32_t length, at;
    double tune, tuned_x, tuned_y; /* all-pass */
    double last, loss, bright;
    uint32_t excite_left; /* frames of the burst still to come */
    double pick, burst_low;
    uint32_t wait; /* frames until it is plucked, when note is set */
    int note;
    double strength;
};

struct guitar {
    struct takt_scene base;
    double rate_hz, gain;
    struct takt_random chance;
    struct string strings[STRINGS];
    float *lines; /* of all strings */
    uint32_t line_frames, eighth_frames, until_eighth;
    int eighth;
    double low_x, low_y, body1, body2;
};

static void pluck(struct guitar *g, struct string *s)
{
    double hz = 440 * exp2((s->note - 69) / 12.0);
    double period = g->rate_hz / hz - 0.5; /* the low-pass delays by half a frame */
    uint32_t whole = (uint32_t)(period - 0.1);
    double fraction = period - whole; /* 0.1..1.1, where the all-pass is well behaved */
    s->length = whole < g->line_frames ? whole : g->line_frames;
    s->at = 0;
    s->tune = (1 - fraction) / (1 + fraction);
    /* So that each note falls by 60 dB in a time that shortens towards the top. */
    double fall_s = 6 * pow(110 / hz, 0.6);
    s->loss = pow(0.001, 1 / (hz * fall_s));
    s->excite_left = s->length;
    s->burst_low = 0;
    s->note = 0;
}

static double string_sample(struct guitar *g, struct string *s)
{
    if (s->note && s->wait-- == 0)
        pluck(g, s);
    if (!s->length)
        return 0;
    double x = (double)s->line[s->at];
    double damped = s->loss * 0.5 * (x + s->last);
    s->last = x;
    double tuned = s->tune * damped + s->tuned_x - s->tune * s->tuned_y;
    s->tuned_x = damped;
    s->tuned_y = tuned;
    if (s->excite_left) {
        s->excite_left--;
        double white = 2 * takt_random_unit(&g->chance) - 1;
        s->burst_low += (white - s->burst_low) * s->bright;
        /* What still rings gives way to the pick within the first period. */
        tuned = 0.3 * tuned + s->strength * s->burst_low;
    }
    s->line[s->at] = (float)tuned;
    s->at = s->at + 1 == s->length ? 0 : s->at + 1;
    return x;
}

static void play(struct guitar *g, int string, int note, uint32_t wait, double strength)
{
    struct string *s = &g->strings[string];
    s->note = note;
    s->wait = wait;
    s->strength = strength * (0.85 + 0.3 * takt_random_unit(&g->chance));
    s->bright = 0.35 + 0.25 * takt_random_unit(&g->chance);
}

static void next_eighth(struct guitar *g)
{
    int bar = g->eighth / PATTERN, step = g->eighth % PATTERN;
    const int *chord = chords[bar % CHORDS];
    g->eighth = (g->eighth + 1) % (PATTERN * CHORDS * 2);
    int lowest = chord[0] ? 0 : 1;
    if (bar >= CHORDS && step % 4 == 0) { /* the second time round, strummed on the beat */
        for (int s = lowest; s < STRINGS; s++)
            play(g, s, chord[s], (uint32_t)((s - lowest) * 0.012 * g->rate_hz), 0.55);
        return;
    }
    int s = pattern[step] == 0 ? lowest : pattern[step];
    play(g, s, chord[s], 0, step == 0 ? 0.9 : 0.7);
}

static void render(struct takt_scene *scene, float *out, uint32_t frames)
{
    struct guitar *g = (struct guitar *)scene;
    double high_pass = 1 - 2 * pi * 40 / g->rate_hz;
    double air = 1 - exp(-2 * pi * 180 / g->rate_hz);
    for (uint32_t i = 0; i < frames; i++) {
        if (g->until_eighth == 0) {
            next_eighth(g);
            g->until_eighth = g->eighth_frames;
        }
        g->until_eighth--;
        double x = 0;
        for (int s = 0; s < STRINGS; s++)
            x += string_sample(g, &g->strings[s]);
        g->low_y = x - g->low_x + high_pass * g->low_y;
        g->low_x = x;
        g->body1 += (g->low_y - g->body1) * air; /* the box gives the low end some weight */
        double y = 0.6 * g->gain * (g->low_y + 0.7 * g->body1);
        out[i] = (float)(y / sqrt(1 + y * y));
    }
}

static void close_guitar(struct takt_scene *scene)
{
    struct guitar *g = (struct guitar *)scene;
    takt_rt_free(g->lines);
    free(g);
}

static const struct takt_scene_ops ops = {.render = render, .close = close_guitar};

int takt_scene_open_guitar(const struct takt_scene_cfg *cfg, const char *value,
                           struct takt_scene **out, struct takt_error *e)
{
    if (value)
        return takt_fail(e, TAKT_ERR_ARG, 0, "sim: guitar=%.40s: this scene takes no value", value);
    struct guitar *g = calloc(1, sizeof *g);
    if (!g)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    g->base.ops = &ops;
    g->rate_hz = cfg->rate_hz;
    g->gain = cfg->gain;
    g->chance = takt_random_seed(cfg->seed ^ 0x677569746172);
    g->line_frames = cfg->rate_hz / 60;
    g->eighth_frames = (uint32_t)(cfg->rate_hz * 60.0 / 96 / 2); /* 96 beats a minute */
    g->lines = takt_rt_alloc(STRINGS * g->line_frames * sizeof(float));
    if (!g->lines) {
        close_guitar(&g->base);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    for (int s = 0; s < STRINGS; s++)
        g->strings[s].line = g->lines + (size_t)s * g->line_frames;
    *out = &g->base;
    return 0;
}
