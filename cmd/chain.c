#include "chain.h"

#include <math.h>
#include <string.h>

static struct effect *add(struct chain *c)
{
    return &c->effects[c->count++];
}

static void run_gain(struct effect *fx, float *const *io, uint32_t channels, uint32_t frames,
                     uint64_t position, uint32_t rate_hz)
{
    /* In doubles: rounding the gain itself to a float would move 16-bit samples that lie close to
     * the middle between two values. */
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            io[c][i] = (float)((double)io[c][i] * fx->amount);
}

void chain_add_gain(struct chain *c, double db)
{
    *add(c) = (struct effect){.run = run_gain, .amount = pow(10, db / 20)};
}

/* Equal power: sine and cosine of the same angle. The gains go straight from one block's end to
 * the next. */
static void run_sway(struct effect *fx, float *const *io, uint32_t channels, uint32_t frames,
                     uint64_t position, uint32_t rate_hz)
{
    const double pi = 3.14159265358979323846;
    double turn = 2 * pi / (fx->amount * rate_hz);
    double from = pi / 4 * (1 + 0.8 * sin((double)position * turn));
    double to = pi / 4 * (1 + 0.8 * sin((double)(position + frames) * turn));
    for (uint32_t c = 0; c < channels; c++) {
        bool left = c % 2 == 0;
        takt_scale_ramp(io[c], io[c], (float)(left ? cos(from) : sin(from)),
                        (float)(left ? cos(to) : sin(to)), frames);
    }
}

void chain_add_sway(struct chain *c, double period_s)
{
    *add(c) = (struct effect){.run = run_sway, .amount = period_s};
}

static void run_limiter(struct effect *fx, float *const *io, uint32_t channels, uint32_t frames,
                        uint64_t position, uint32_t rate_hz)
{
    float ceiling = (float)fx->amount, knee = ceiling * 2 / 3, room = ceiling - knee;
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++) {
            float x = io[c][i], over = fabsf(x) - knee;
            if (over > 0)
                io[c][i] = copysignf(knee + room * over / (room + over), x);
        }
}

void chain_add_limiter(struct chain *c, double ceiling_db)
{
    *add(c) = (struct effect){.run = run_limiter, .amount = pow(10, ceiling_db / 20)};
}

int chain_add_word(struct chain *c, const struct options *o, const char *word)
{
    double db;
    if (c->count == CHAIN_MAX)
        return complain(o, EXIT_USAGE, "more than %d effects", CHAIN_MAX);
    if (strncmp(word, "gain=", 5) != 0)
        return complain(o, EXIT_USAGE, "%s: no such effect; there is gain=dB, as in gain=-6dB",
                        word);
    if (!read_db(word + 5, &db))
        return complain(o, EXIT_USAGE, "%s: not a gain from -200 to 100 dB; try gain=-6dB", word);
    chain_add_gain(c, db);
    return 0;
}

int chain_add_pipe(struct chain *c, const struct options *o, const char *command)
{
    if (!*command)
        return complain(o, EXIT_USAGE, "pipe: a command is missing; try pipe:'wc -c'");
    if (c->pipe_count == PIPES_MAX || c->count == CHAIN_MAX)
        return complain(o, EXIT_USAGE, "more than %d pipes or %d effects", PIPES_MAX, CHAIN_MAX);
    struct pipe *pipe = pipe_create(o, command, c->pipe_count + 1);
    if (!pipe)
        return complain(o, EXIT_FAILED, "out of memory");
    c->pipes[c->pipe_count++] = pipe;
    *add(c) = (struct effect){.pipe = pipe};
    return 0;
}

void chain_free(struct chain *c)
{
    for (int i = 0; i < c->pipe_count; i++)
        pipe_destroy(c->pipes[i]);
    c->pipe_count = c->count = 0;
}

void chain_run(struct chain *c, float *const *io, uint32_t channels, uint32_t frames,
               uint32_t sounding, uint64_t position, uint32_t rate_hz)
{
    for (int i = 0; i < c->count; i++) {
        struct effect *fx = &c->effects[i];
        if (fx->pipe)
            pipe_write(fx->pipe, (const float *const *)io, channels, sounding);
        else
            fx->run(fx, io, channels, frames, position, rate_hz);
    }
}
