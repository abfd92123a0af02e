/*
 * Everything is drawn in one order from one generator, so that a scenario is what its seed and
 * number say. Most streams are cheap ones, of low rates: what a fault does to a receiver depends
 * little on how many frames there are in a millisecond.
 */
#include "lab/net_plan.h"

#include "base/random.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAYLOAD_MAX = 1300 }; /* with all that may be around it, it fits any path */

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
static double power(struct draw *d, double low, double high)
{
    return low * pow(high / low, takt_random_unit(&d->r));
}

static double even(struct draw *d, double low, double high)
{
    return low + (high - low) * takt_random_unit(&d->r);
}

/* ---- The stream ------------------------------------------------------------------------------ */

static void draw_format(struct draw *d, struct takt_lab_net_plan *p)
{
    static const uint32_t rates[] = {8000,  8000,  8000,  8000,  11025,
                                     16000, 16000, 24000, 44100, 48000};
    static const double ms[] = {1, 2.5, 4, 5, 5, 8, 10, 10, 20, 20};
    struct takt_codec_format *f = &p->format;
    bool is_opus = one_in(d, 24);
    f->codec = one_in(d, 8) ? TAKT_CODEC_L24 : TAKT_CODEC_L16;
    f->rate_hz = rates[below(d, sizeof rates / sizeof *rates)];
    f->channels = one_in(d, 8) ? 2 : 1;
    double packet_ms = ms[below(d, sizeof ms / sizeof *ms)];
    if (is_opus && takt_codec_name(TAKT_CODEC_OPUS)) {
        struct takt_codec_format o = {
            .codec = TAKT_CODEC_OPUS, .rate_hz = 48000, .channels = f->channels, .frames = 480};
        if (takt_codec_check(&o, NULL) == TAKT_OK)
            *f = o;
        packet_ms = one_in(d, 2) ? 10 : 20;
    }
    uint32_t bytes = f->channels * (f->codec == TAKT_CODEC_L24 ? 3 : 2);
    f->frames = (uint32_t)lround(packet_ms * f->rate_hz / 1e3);
    if (f->codec != TAKT_CODEC_OPUS && f->frames * bytes > PAYLOAD_MAX)
        f->frames = PAYLOAD_MAX / bytes;
}

static void draw_ends(struct draw *d, struct takt_lab_net_plan *p)
{
    double ms = 1e3 / p->format.rate_hz;
    p->block_frames = (uint32_t)fmax(1, power(d, 0.7, 25) / ms);
    p->out_hz = one_in(d, 10) ? (one_in(d, 2) ? 48000 : 44100) : p->format.rate_hz;
    p->out_block = (uint32_t)fmax(1, power(d, 1.3, 25) * 1e-3 * p->out_hz);
    p->has_pauses = one_in(d, 4);
    p->is_helped = one_in(d, 10); /* which costs more than all else */
    p->is_encrypted = one_in(d, 4);
    p->is_told = one_in(d, 4);
    if (one_in(d, 4) && p->format.frames * 200 <= p->format.rate_hz)
        p->copies = 1 + (uint32_t)below(d, 3);
    if (one_in(d, 4))
        p->repair = 1 + (uint32_t)below(d, 3);
    if (one_in(d, 8))
        p->latency_ms = power(d, 2, 200);
    else if (one_in(d, 8))
        p->late_ratio = power(d, 1e-3, 5e-2);
    if (one_in(d, 8))
        p->latency_ms_max = power(d, 10, 1000);
    if (one_in(d, 8))
        p->lambda_ms = power(d, 200, 20000);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void draw_loss(struct draw *d, struct takt_network_cfg *n)
{
    n->loss = power(d, 1e-4, 0.3);
    n->burst = one_in(d, 2) ? 0 : fmax(power(d, 1, 50), n->loss / (1 - n->loss));
}

static void draw_jitter(struct draw *d, struct takt_network_cfg *n)
{
    n->jitter = (enum takt_network_jitter)(TAKT_JITTER_UNIFORM + below(d, 3));
    n->jitter_a = power(d, 0.1, n->jitter == TAKT_JITTER_PARETO ? 5 : 40);
    n->jitter_b = n->jitter == TAKT_JITTER_PARETO ? even(d, 1.5, 4) : power(d, 0.1, 20);
    n->keeps_order = one_in(d, 2);
}

static void draw_network(struct draw *d, struct takt_lab_net_plan *p)
{
    struct takt_network_cfg *n = &p->network;
    n->delay_ms = one_in(d, 2) ? 0 : power(d, 0.1, 200);
    if (one_in(d, 3))
        draw_loss(d, n);
    if (one_in(d, 2))
        draw_jitter(d, n);
    if (one_in(d, 6)) {
        n->spike_every_s = power(d, 0.5, 60);
        n->spike_ms = power(d, 5, 500);
    }
    if (one_in(d, 8))
        n->wifi_slot_ms = power(d, 1, 40);
    if (one_in(d, 6)) {
        n->step_every_s = power(d, 8, 120);
        n->step_ms = power(d, 1, 200);
    }
    if (one_in(d, 6)) {
        n->still_every_s = power(d, 2, 60);
        n->still_ms = power(d, 10, 1500);
    }
    if (one_in(d, 8))
        n->reorder = power(d, 1e-3, 0.2);
    if (one_in(d, 8))
        n->duplicate = power(d, 1e-3, 0.3);
    if (one_in(d, 10))
        n->corrupt = power(d, 1e-4, 0.05);
    if (one_in(d, 10))
        n->truncate = power(d, 1e-4, 0.05);
    if (one_in(d, 6)) {
        n->partition_at_s = even(d, 0, p->seconds);
        n->partition_for_s = power(d, 0.05, 30);
    }
    if (one_in(d, 10)) {
        double kbit_s =
            8e-3 * p->format.rate_hz * (60.0 / p->format.frames + 2 * p->format.channels);
        n->rate_kbit_s = kbit_s * power(d, 0.8, 4) * (1 + p->copies);
        n->queue_ms = power(d, 5, 300);
    }
}

static void draw_faults(struct draw *d, struct takt_lab_net_faults *f)
{
    if (one_in(d, 2))
        f->drift_ppm = one_in(d, 4) ? even(d, -500, 500) : even(d, -100, 100);
    if (f->drift_ppm != 0 && one_in(d, 3))
        f->drift_every_s = power(d, 20, 200);
    if (one_in(d, 6))
        f->restart_every_s = power(d, 15, 200);
    if (one_in(d, 8)) {
        f->stall_every_s = power(d, 20, 200);
        f->stall_s = one_in(d, 2) ? 3 : power(d, 0.01, 5);
    }
    if (one_in(d, 8)) {
        f->jump_every_s = power(d, 5, 200);
        f->jump_ms = power(d, 1, 1e7);
    }
}

void takt_lab_net_draw(struct takt_lab_net_plan *p, uint64_t seed, uint64_t number)
{
    struct takt_random mix = takt_random_seed(seed * 0xd1342543de82ef95u + number);
    struct draw d = {takt_random_seed(takt_random_u64(&mix))};
    *p = (struct takt_lab_net_plan){.seed = takt_random_u64(&mix), .number = number};
    draw_format(&d, p);
    /* Long ones where packets are long, which makes virtual hours cheap. */
    double packet_ms = 1e3 * p->format.frames / p->format.rate_hz;
    p->seconds = power(&d, 60, fmin(600, 60 + 60 * packet_ms));
    draw_ends(&d, p);
    draw_network(&d, p);
    draw_faults(&d, &p->faults);
}

/* ---- In words -------------------------------------------------------------------------------- */

struct words {
    char *to;
    size_t room;
    int used;
};

static void __attribute__((format(printf, 2, 3))) say(struct words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t left = w->used >= 0 && (size_t)w->used < w->room ? w->room - (size_t)w->used : 0;
    int n = left ? vsnprintf(w->to + w->used, left, format, args) : 0;
    va_end(args);
    w->used += n > 0 ? (size_t)n < left ? n : (int)left - 1 : 0;
}

static void say_pair(struct words *w, const char *name, double a, double b)
{
    if (a > 0 || b > 0)
        say(w, " %s %.4g,%.4g", name, a, b);
}

static void say_one(struct words *w, const char *name, double x)
{
    if (x > 0)
        say(w, " %s %.4g", name, x);
}

static void say_network(struct words *w, const struct takt_network_cfg *n)
{
    static const char *const jitters[] = {"", "uniform", "gamma", "pareto"};
    say_one(w, "loss", n->loss);
    say_one(w, "burst", n->burst);
    say_one(w, "delay", n->delay_ms);
    if (n->jitter)
        say(w, " jitter %s:%.4g,%.4g%s", jitters[n->jitter], n->jitter_a, n->jitter_b,
            n->keeps_order ? " order kept" : "");
    say_pair(w, "spike", n->spike_every_s, n->spike_ms);
    say_one(w, "wifi", n->wifi_slot_ms);
    say_pair(w, "step", n->step_every_s, n->step_ms);
    say_pair(w, "still", n->still_every_s, n->still_ms);
    say_one(w, "reorder", n->reorder);
    say_one(w, "duplicate", n->duplicate);
    say_one(w, "corrupt", n->corrupt);
    say_one(w, "truncate", n->truncate);
    say_pair(w, "partition", n->partition_at_s, n->partition_for_s);
    if (n->rate_kbit_s > 0)
        say_pair(w, "bottleneck", n->rate_kbit_s, n->queue_ms);
}

int takt_lab_net_describe(const struct takt_lab_net_plan *p, char *to, size_t room)
{
    struct words w = {to, room, 0};
    const struct takt_codec_format *f = &p->format;
    const struct takt_lab_net_faults *x = &p->faults;
    say(&w, "%.0f s %s/%u/%u, packets of %u, blocks of %u to %u at %u Hz", p->seconds,
        takt_codec_name(f->codec), f->rate_hz, f->channels, f->frames, p->block_frames,
        p->out_block, p->out_hz);
    say(&w, "%s%s%s%s;", p->is_encrypted ? ", encrypted" : "", p->is_told ? ", told" : "",
        p->has_pauses ? ", pauses" : "", p->is_helped ? ", helped" : "");
    say_one(&w, "copies", p->copies);
    say_one(&w, "repair", p->repair);
    say_one(&w, "late", p->late_ratio);
    say_one(&w, "latency", p->latency_ms);
    say_one(&w, "max-latency", p->latency_ms_max);
    say_one(&w, "lambda", p->lambda_ms);
    say_network(&w, &p->network);
    if (x->drift_ppm != 0)
        say(&w, " drift %.4g,%.4g", x->drift_ppm, x->drift_every_s);
    say_one(&w, "restart", x->restart_every_s);
    say_pair(&w, "stall", x->stall_every_s, x->stall_s);
    say_pair(&w, "jump", x->jump_every_s, x->jump_ms);
    return w.used;
}
