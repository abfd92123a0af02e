/*
 * A stream over a network in words: the faults of sim/network.h, those of the two ends, and what is
 * sent. The network's `rate` is `bottleneck` here, since rate is the sound's.
 */
#include "base/fail.h"
#include "lab/net_plan.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORK_MAX = 24 };

static const struct takt_simulate_net_info ends_faults[] = {
    {"drift", "PPM[,EVERY_S]", "the sender's clock is slower by so much; and changes", true},
    {"restart", "EVERY_S", "the sender begins anew, at random, on average so often", true},
    {"stall", "EVERY_S[,FOR_S]", "the receiver stands still, for 3 s by default", true},
    {"jump", "EVERY_S,MS", "the wall clocks jump, by so much at most", true},
};

static const struct takt_simulate_net_info settings[] = {
    {"codec", "L16|L24|x-f32|opus", "what is sent; L16 by default", false},
    {"rate", "HZ", "of the sound, 8000 to 192000; 48000 by default", false},
    {"channels", "N", "1 or 2; 1 by default", false},
    {"ptime", "MS", "a packet's, 0.1 to 20; 5 by default", false},
    {"block", "FRAMES", "of both devices, 1 to 8192; 5 ms by default", false},
    {"latency", "MS", "a fixed delay, 0.01 to 1000", false},
    {"max-latency", "MS", "the longest delay, 1 to 1000", false},
    {"late", "SHARE", "how many packets may be late, 0.00001 to 0.5", false},
    {"lambda", "MS", "what a late packet costs, 10 to 1000000; 2000 by default", false},
    {"copies", "N", "of older packets in each, 0 to 3", false},
    {"repair", "N", "repair packets to each block, 0 to 12", false},
    {"encrypted", "yes|no", "no by default", false},
    {"sound", "steady|pauses", "steady by default", false},
};

enum {
    ENDS_FAULTS = sizeof ends_faults / sizeof *ends_faults,
    SETTINGS = sizeof settings / sizeof *settings
};

/* ---- The list -------------------------------------------------------------------------------- */

static const char *network_name(const char *name)
{
    return strcmp(name, "bottleneck") ? name : "rate";
}

static const char *shown_name(const char *name)
{
    return strcmp(name, "rate") ? name : "bottleneck";
}

const struct takt_simulate_net_info *takt_simulate_net_info(uint32_t index)
{
    static _Thread_local struct takt_simulate_net_info info[NETWORK_MAX];
    uint32_t faults = 0;
    while (takt_network_options[faults].name)
        faults++;
    if (index < faults && index < NETWORK_MAX) {
        const struct takt_network_option *o = &takt_network_options[index];
        info[index] =
            (struct takt_simulate_net_info){shown_name(o->name), o->form, o->description, true};
        return &info[index];
    }
    index -= faults;
    if (index < ENDS_FAULTS)
        return &ends_faults[index];
    index -= ENDS_FAULTS;
    return index < SETTINGS ? &settings[index] : NULL;
}

static const struct takt_simulate_net_info *find(const char *name)
{
    const struct takt_simulate_net_info *info;
    for (uint32_t i = 0; (info = takt_simulate_net_info(i)); i++)
        if (!strcmp(info->name, name))
            return info;
    return NULL;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* One number with the unit behind it or without; or two, a comma between them. How many, or 0. */
static int read_numbers(const char *text, const char *unit, double to[2])
{
    for (int count = 0; count < 2; count++) {
        const char *digits = *text == '-' ? text + 1 : text;
        const char *behind = text + strspn(text, "+-.0123456789eE"); /* so nothing hexadecimal */
        char *end;
        if (!isdigit((unsigned char)*digits) && *digits != '.')
            return 0;
        to[count] = strtod(text, &end);
        if (end != behind || !isfinite(to[count]))
            return 0;
        if (!*end || (!count && !strcmp(end, unit)))
            return count + 1;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
    return 0;
}

static bool is_within(double x, double low, double high)
{
    return x >= low && x <= high;
}

/* A value of one number in this range. */
static bool read_one(const char *text, const char *unit, double low, double high, double *to)
{
    double x[2];
    if (read_numbers(text, unit, x) != 1 || !is_within(x[0], low, high))
        return false;
    *to = x[0];
    return true;
}

static bool read_count(const char *text, uint32_t low, uint32_t high, uint32_t *to)
{
    double x;
    if (!read_one(text, "", low, high, &x) || x != floor(x))
        return false;
    *to = (uint32_t)x;
    return true;
}

/* "0.003" or "0.3%". */
static bool read_share(const char *text, double low, double high, double *to)
{
    double x[2];
    size_t length = strlen(text);
    if (read_numbers(text, "%", x) != 1)
        return false;
    x[0] /= length && text[length - 1] == '%' ? 100 : 1;
    *to = x[0];
    return is_within(x[0], low, high);
}

static bool read_drift(const char *text, struct takt_lab_net_faults *f)
{
    double x[2] = {0, 0};
    int count = read_numbers(text, "ppm", x);
    f->drift_ppm = x[0];
    f->drift_every_s = x[1];
    return count && is_within(x[0], -500, 500) && (count == 1 || is_within(x[1], 1, 1e6));
}

static bool read_stall(const char *text, struct takt_lab_net_faults *f)
{
    double x[2] = {0, 3};
    int count = read_numbers(text, "s", x);
    f->stall_every_s = x[0];
    f->stall_s = x[1];
    return count && is_within(x[0], 1, 1e6) && is_within(x[1], 1e-3, 60);
}

static bool read_jump(const char *text, struct takt_lab_net_faults *f)
{
    double x[2] = {0, 0};
    int count = read_numbers(text, "", x);
    f->jump_every_s = x[0];
    f->jump_ms = x[1];
    return count == 2 && is_within(x[0], 1, 1e6) && is_within(x[1], 0, 1e9);
}

static bool read_codec(const char *text, struct takt_codec_format *f)
{
    return takt_codec_from_name(text, &f->codec) == TAKT_OK;
}

static bool read_word(const char *text, const char *yes, const char *no, bool *to)
{
    *to = !strcmp(text, yes);
    return *to || !strcmp(text, no);
}

static bool read_end_fault(const char *name, const char *v, struct takt_lab_net_faults *f)
{
    if (!strcmp(name, "drift"))
        return read_drift(v, f);
    if (!strcmp(name, "restart"))
        return read_one(v, "s", 1, 1e6, &f->restart_every_s);
    return !strcmp(name, "stall") ? read_stall(v, f) : read_jump(v, f);
}

static bool read_setting(const char *name, const char *v, struct takt_lab_net_plan *p)
{
    if (!strcmp(name, "codec"))
        return read_codec(v, &p->format);
    if (!strcmp(name, "rate"))
        return read_count(v, 8000, 192000, &p->format.rate_hz);
    if (!strcmp(name, "channels"))
        return read_count(v, 1, 2, &p->format.channels);
    if (!strcmp(name, "ptime"))
        return read_one(v, "ms", 0.1, 20, &p->packet_ms);
    if (!strcmp(name, "block"))
        return read_count(v, 1, 8192, &p->block_frames);
    if (!strcmp(name, "latency"))
        return read_one(v, "ms", 0.01, 1000, &p->latency_ms);
    if (!strcmp(name, "max-latency"))
        return read_one(v, "ms", 1, 1000, &p->latency_ms_max);
    if (!strcmp(name, "late"))
        return read_share(v, 1e-5, 0.5, &p->late_ratio);
    if (!strcmp(name, "lambda"))
        return read_one(v, "ms", 10, 1e6, &p->lambda_ms);
    if (!strcmp(name, "copies"))
        return read_count(v, 0, 3, &p->copies);
    if (!strcmp(name, "repair"))
        return read_count(v, 0, 12, &p->repair);
    if (!strcmp(name, "encrypted"))
        return read_word(v, "yes", "no", &p->is_encrypted);
    return read_word(v, "pauses", "steady", &p->has_pauses);
}

static bool is_of_network(const char *name)
{
    const struct takt_network_option *o = takt_network_options;
    while (o->name && strcmp(o->name, network_name(name)) != 0)
        o++;
    return o->name && strcmp(name, "rate") != 0;
}

int takt_lab_net_apply(struct takt_lab_net_plan *p, const char *name, const char *value,
                       struct takt_error *e)
{
    const struct takt_simulate_net_info *info = find(name);
    struct takt_lab_net_plan changed = *p;
    if (!info)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "there is no option '%.40s'", name);
    if (is_of_network(name)) {
        struct takt_error why;
        int err = takt_network_parse(network_name(name), value, &changed.network, &why);
        const char *text = strrchr(why.text, ':'); /* what is before it speaks of the network */
        if (err < 0 && strstr(why.text, "write it as"))
            return takt_fail(e, TAKT_ERR_ARG, 0, "--%s %.60s: write it as --%s %s", name, value,
                             name, info->form);
        if (err < 0)
            return takt_fail(e, TAKT_ERR_ARG, 0, "--%s %.60s:%s", name, value, text + 1);
    } else if (!(info->is_fault ? read_end_fault(name, value, &changed.faults)
                                : read_setting(name, value, &changed))) {
        return takt_fail(e, TAKT_ERR_ARG, 0, "--%s %.60s: write it as %s: %s", name, value,
                         info->form, info->meaning);
    }
    *p = changed;
    return TAKT_OK;
}

/* ---- All together ---------------------------------------------------------------------------- */

void takt_lab_net_usual(struct takt_lab_net_plan *p)
{
    *p = (struct takt_lab_net_plan){
        .format = {.codec = TAKT_CODEC_L16, .rate_hz = 48000, .channels = 1},
        .packet_ms = 5,
    };
}

int takt_lab_net_settle(struct takt_lab_net_plan *p, struct takt_error *e)
{
    struct takt_codec_format *f = &p->format;
    if (p->packet_ms > 0)
        f->frames = (uint32_t)lround(p->packet_ms * f->rate_hz / 1e3);
    f->frames = f->frames ? f->frames : 1;
    p->block_frames = p->block_frames ? p->block_frames : f->rate_hz / 200;
    p->out_hz = p->out_hz ? p->out_hz : f->rate_hz;
    p->out_block = p->out_block ? p->out_block : p->block_frames;
    int err = takt_codec_check(f, e);
    return err < 0 ? err : takt_network_check(&p->network, e);
}

double takt_lab_net_reach_ms(const struct takt_lab_net_plan *p)
{
    const struct takt_network_cfg *n = &p->network;
    double packet_ms = 1e3 * p->format.frames / p->format.rate_hz, ms = 0;
    if (n->jitter == TAKT_JITTER_PARETO && n->jitter_a > 0)
        return HUGE_VAL;
    if (n->jitter == TAKT_JITTER_UNIFORM)
        ms += n->jitter_a;
    if (n->jitter == TAKT_JITTER_GAMMA)
        ms += n->jitter_a + 8 * n->jitter_b;
    if (n->rate_kbit_s > 0)
        ms += n->queue_ms;
    if (n->reorder > 0)
        ms += 4 * packet_ms;
    return ms + n->spike_ms + 1.5 * n->wifi_slot_ms + n->step_ms;
}
