/*
 * Everything is drawn in one order from one generator, so that a scenario is what its seed and
 * number say. Long blocks at low rates make virtual hours cheap, short ones make many steps; both
 * are drawn evenly on a scale of powers.
 */
#include "lab/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 4096, STEPS_LEAST = 30, STEPS_MOST = 6000 };
static const uint64_t frames_most = 6000000; /* of a whole run */
static const uint64_t frames_most_long = 16000000;
static const uint64_t recording_frames = 300000; /* a disk is slow */
static const uint64_t source_frames_most = 200000;

struct draw {
    struct takt_random r;
};

static uint64_t below(struct draw *d, uint64_t n)
{
    return takt_random_below(&d->r, n);
}

static bool one_in(struct draw *d, uint64_t n)
{
    return below(d, n) == 0;
}

/* Even on a scale of powers. */
static uint64_t power(struct draw *d, double low, double high)
{
    return (uint64_t)(low * pow(high / low, takt_random_unit(&d->r)) + 0.5);
}

static uint32_t draw_block(struct draw *d)
{
    static const uint32_t usual[] = {16, 32, 48, 64, 128, 240, 256, 441, 480, 512, 960, 1024};
    if (one_in(d, 3))
        return usual[below(d, sizeof usual / sizeof *usual)];
    return (uint32_t)power(d, 1, HOST_MAX);
}

static uint32_t draw_rate(struct draw *d)
{
    static const uint32_t rates[] = {8000,  8000,  8000,  8000,  11025,
                                     16000, 22050, 44100, 48000, 96000};
    return rates[below(d, sizeof rates / sizeof *rates)];
}

/* ---- Sides ----------------------------------------------------------------------------------- */

static bool has_clock(enum takt_lab_side side)
{
    return side == TAKT_LAB_OWN || side == TAKT_LAB_DRIVEN;
}

static enum takt_lab_side draw_side(struct draw *d)
{
    static const enum takt_lab_side sides[] = {TAKT_LAB_OWN, TAKT_LAB_OWN, TAKT_LAB_OWN,
                                               TAKT_LAB_DRIVEN, TAKT_LAB_PORT};
    return sides[below(d, sizeof sides / sizeof *sides)];
}

static void draw_sides(struct takt_lab_plan *p, struct draw *d)
{
    uint64_t kind = below(d, 100);
    p->in = draw_side(d);
    p->out = draw_side(d);
    if (kind < 20)
        p->in = TAKT_LAB_NONE;
    else if (kind < 40)
        p->out = TAKT_LAB_NONE;
    else if (kind < 44) {
        p->in = TAKT_LAB_OTHER;
        p->out = has_clock(p->out) ? p->out : TAKT_LAB_OWN;
    }
#ifdef TAKT_HAVE_SNDFILE
    else if (kind < 46) {
        p->in = TAKT_LAB_FILE;
        p->out = has_clock(p->out) ? p->out : TAKT_LAB_OWN;
    } else if (kind < 56) {
        p->out = TAKT_LAB_FILE;
        p->in = has_clock(p->in) ? p->in : TAKT_LAB_OWN;
    }
#endif
    p->blocking = kind >= 92;
    if (p->blocking) {
        bool duplex = one_in(d, 2), reads = one_in(d, 2);
        p->in = duplex || reads ? TAKT_LAB_OWN : TAKT_LAB_NONE;
        p->out = duplex || !reads ? TAKT_LAB_OWN : TAKT_LAB_NONE;
    }
}

static void draw_map(uint16_t *map, uint32_t channels, bool twice, struct draw *d)
{
    bool is_used[TAKT_LAB_CHANNELS] = {false};
    for (uint32_t c = 0; c < channels; c++) {
        do
            map[c] = (uint16_t)below(d, TAKT_LAB_CHANNELS);
        while (!twice && is_used[map[c]]);
        is_used[map[c]] = true;
    }
}

static void draw_channels(struct takt_lab_plan *p, struct draw *d)
{
    p->in_channels = p->in ? 1 + (uint32_t)below(d, one_in(d, 4) ? 6 : 2) : 0;
    p->out_channels = p->out ? 1 + (uint32_t)below(d, one_in(d, 4) ? 6 : 2) : 0;
    bool mapped = one_in(d, 3);
    for (uint16_t c = 0; c < TAKT_LAB_CHANNELS; c++)
        p->in_map[c] = p->out_map[c] = c;
    if (mapped && p->in != TAKT_LAB_FILE && p->in != TAKT_LAB_OTHER)
        draw_map(p->in_map, p->in_channels, true, d);
    if (mapped && p->out != TAKT_LAB_FILE)
        draw_map(p->out_map, p->out_channels, false, d);
    if (p->in == TAKT_LAB_OTHER)
        p->in_channels = 1;
}

uint32_t takt_lab_device_channels(const uint16_t *map, uint32_t channels)
{
    uint32_t count = channels;
    for (uint32_t c = 0; c < channels; c++)
        count = map[c] >= count ? map[c] + 1u : count;
    return count;
}

/* ---- Times ----------------------------------------------------------------------------------- */

static void draw_blocks(struct takt_lab_plan *p, struct draw *d)
{
    p->host_frames = draw_block(d);
    p->block_frames = one_in(d, 4) ? 0 : one_in(d, 3) ? p->host_frames : draw_block(d);
    if (one_in(d, 4) && p->host_frames < p->block_frames && p->block_frames < 2048)
        p->host_frames = p->block_frames * (1 + (uint32_t)below(d, 2));
    if (p->in == TAKT_LAB_OTHER) { /* blocks of a size at which two clocks can be kept together */
        p->host_frames = 16 + p->host_frames % (p->rate_hz / 50);
        p->block_frames = p->block_frames ? 16 + p->block_frames % (p->rate_hz / 50) : 0;
    }
    p->varies = one_in(d, 5);
    p->host_max = one_in(d, 6) ? p->host_frames + (uint32_t)below(d, p->host_frames + 1) : 0;
    p->host_max = p->host_max > HOST_MAX ? HOST_MAX : p->host_max;
    if (p->host_max && p->host_max < p->host_frames)
        p->host_max = p->host_frames;
    if (p->is_long && p->block_frames && p->block_frames < 256)
        p->block_frames += 256; /* many short ones in a long block are dear */
    if (p->is_long)
        p->host_frames = p->host_max = HOST_MAX / 2 + (uint32_t)below(d, HOST_MAX / 2);
    p->latency_in = one_in(d, 3) ? 0 : (uint32_t)below(d, 3ull * p->host_frames);
    p->latency_out = one_in(d, 3) ? 0 : (uint32_t)below(d, 3ull * p->host_frames);
}

static bool is_live(const struct takt_lab_plan *p)
{
    return has_clock(p->in) || has_clock(p->out);
}

static void draw_faults(struct takt_lab_plan *p, struct draw *d)
{
    bool quiet = one_in(d, 4);
    for (int f = 0; f < TAKT_FAULTS; f++) {
        bool is_on = one_in(d, 2);
        uint32_t odds = (uint32_t)power(d, 100, f == TAKT_FAULT_AWAY ? 20000 : 100000);
        p->odds[f] = is_on && !quiet ? odds : 0;
        p->odds[f] /= p->in == TAKT_LAB_OTHER ? 20 : 1; /* the ear needs some time of peace */
    }
    if (!is_live(p))
        p->odds[TAKT_FAULT_LOST] = p->odds[TAKT_FAULT_XRUN] = p->odds[TAKT_FAULT_AWAY] = 0;
    /* What the adapter drops then is known only where each frame's way is. */
    if (!p->host_max || p->in == TAKT_LAB_FILE || p->in == TAKT_LAB_OTHER)
        p->odds[TAKT_FAULT_HOST_BLOCK] = 0;
    p->odds[TAKT_FAULT_FREEWHEEL] /= 10;
    p->odds[TAKT_FAULT_DISK_SLOW] /= 8; /* each lasts for a second or some */
    /* The adapter begins anew each time; a block has to come to its end now and then. */
    p->odds[TAKT_FAULT_HOST_BLOCK] /= 1 + 8 * p->block_frames / p->host_frames;
    bool disk = p->in == TAKT_LAB_FILE || p->out == TAKT_LAB_FILE;
    if (!disk)
        p->odds[TAKT_FAULT_DISK_SLOW] = 0;
    bool fails = one_in(d, 4);
    uint64_t after = 64 + below(d, 400000);
    p->disk_fails_after_bytes = fails && p->out == TAKT_LAB_FILE ? after : 0;
    bool no_memory = one_in(d, 12);
    int nth = 1 + (int)below(d, 8);
    p->fails_at = no_memory ? nth : 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void draw_end(struct takt_lab_plan *p, struct draw *d)
{
    static const enum takt_lab_end ends[] = {
        TAKT_LAB_LENGTH, TAKT_LAB_LENGTH, TAKT_LAB_CALLBACK_DRAINS, TAKT_LAB_CALLBACK_ABORTS,
        TAKT_LAB_STOP,   TAKT_LAB_STOP,   TAKT_LAB_ABORT,           TAKT_LAB_DESTROY};
    uint64_t most = (p->is_long ? frames_most_long : frames_most) /
                    (p->host_frames > p->block_frames ? p->host_frames : p->block_frames);
    bool disk = p->in == TAKT_LAB_FILE || p->out == TAKT_LAB_FILE;
    if (disk)
        most = recording_frames / p->host_frames;
    p->steps = p->is_long ? STEPS_MOST : power(d, STEPS_LEAST, STEPS_MOST);
    if (p->in == TAKT_LAB_OTHER)
        p->steps *= 4;
    p->steps = p->steps < most ? p->steps : most + 1;
    p->end = ends[below(d, sizeof ends / sizeof *ends)];
    if (p->blocking && p->end != TAKT_LAB_ABORT && p->end != TAKT_LAB_DESTROY)
        p->end = TAKT_LAB_STOP;
    bool may_end = p->in == TAKT_LAB_PORT || p->in == TAKT_LAB_FILE;
    p->end_step = 1 + below(d, p->steps);
    uint64_t frames = 1 + below(d, p->steps * p->host_frames);
    p->tail_frames = one_in(d, 2) ? 0 : below(d, 3000);
    if (may_end && !p->blocking && (one_in(d, 2) || p->in == TAKT_LAB_FILE)) {
        p->end = TAKT_LAB_SOURCE_ENDS;
        p->source_frames = frames < source_frames_most ? frames : source_frames_most;
    }
    if (may_end && p->in == TAKT_LAB_FILE && !p->source_frames)
        p->source_frames = frames < source_frames_most ? frames : source_frames_most;
    if (p->end == TAKT_LAB_LENGTH)
        p->length_frames = frames;
    p->runs = one_in(d, 5) && p->end != TAKT_LAB_DESTROY ? 2 : 1;
}

void takt_lab_plan_draw(struct takt_lab_plan *p, uint64_t seed, uint64_t number)
{
    struct takt_random mix = takt_random_seed(seed);
    struct draw d = {.r = takt_random_seed(takt_random_u64(&mix) ^ (number * 0xd1342543de82ef95u))};
    *p = (struct takt_lab_plan){.seed = takt_random_u64(&d.r), .number = number};
    draw_sides(p, &d);
    bool disk = p->in == TAKT_LAB_FILE || p->out == TAKT_LAB_FILE;
    p->is_long = one_in(&d, 8) && !disk && !p->blocking && p->in != TAKT_LAB_OTHER;
    p->rate_hz = p->is_long ? 8000 : draw_rate(&d);
    draw_blocks(p, &d);
    draw_channels(p, &d);
    p->format = one_in(&d, 3) ? TAKT_F32 + (enum takt_sample)below(&d, 5) : TAKT_F32;
    p->layout = one_in(&d, 4) ? TAKT_INTERLEAVED : TAKT_PLANAR;
    p->ppm = (double)below(&d, 1001) - 500;
    p->other_ppm = (double)below(&d, 1001) - 500;
    p->work_permille = (uint32_t)below(&d, 600);
    draw_end(p, &d);
    draw_faults(p, &d);
    p->takes_events = !one_in(&d, 4);
    p->contract_off = one_in(&d, 16) || p->blocking;
    if (p->in == TAKT_LAB_OTHER)
        p->format = TAKT_F32; /* what is heard of it is a tone, and is checked by ear */
    if (p->in == TAKT_LAB_OTHER && p->rate_hz > 48000)
        p->rate_hz = 48000;
    /* By itself it outlasts every stall here, and nothing is ever lost. A real clock's disk is
     * served when it pleases the system. */
    bool is_short = !one_in(&d, 4) && p->out == TAKT_LAB_FILE && !p->blocking;
    double buffer_s = 0.1 + (double)below(&d, 1000) * 1e-3;
    p->buffer_s = is_short ? buffer_s : 0;
}

/* ---- Telling --------------------------------------------------------------------------------- */

int takt_lab_plan_text(const struct takt_lab_plan *p, char *to, size_t size)
{
    static const char *const sides[] = {"none", "own", "driven", "port", "file", "other"};
    static const char *const ends[] = {
        "length", "source ends", "callback drains", "callback aborts", "stop", "abort", "destroy"};
    char block[32] = "the host's";
    if (p->block_frames)
        snprintf(block, sizeof block, "%u", p->block_frames);
    int n = snprintf(to, size,
                     "scenario %llu: %s x%u -> %s x%u at %u Hz%+.0f ppm, block %s, host %u%s "
                     "(max %u), %s %s%s, %d run%s, ends by %s, length %llu, source %llu, tail %llu",
                     (unsigned long long)p->number, sides[p->in], p->in_channels, sides[p->out],
                     p->out_channels, p->rate_hz, p->ppm, block, p->host_frames,
                     p->varies ? " varying" : "", p->host_max, takt_sample_name(p->format),
                     p->layout == TAKT_PLANAR ? "planar" : "interleaved",
                     p->blocking ? ", blocking" : "", p->runs, p->runs == 1 ? "" : "s",
                     ends[p->end], (unsigned long long)p->length_frames,
                     (unsigned long long)p->source_frames, (unsigned long long)p->tail_frames);
    if (p->buffer_s > 0 && n > 0 && (size_t)n < size)
        n += snprintf(to + n, size - (size_t)n, ", buffer %.3f s", p->buffer_s);
    for (int f = 0; f < TAKT_FAULTS && n > 0 && (size_t)n < size; f++)
        if (p->odds[f])
            n += snprintf(to + n, size - (size_t)n, ", %s %u ppm", takt_fault_name(f), p->odds[f]);
    return n;
}
