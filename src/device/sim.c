/*
 * `sim:` - a sound card made of arithmetic. As an input it is scenes, one a channel; as an output
 * it swallows, or with `loop` gives back to the input of the same stream.
 *
 *     sim:SCENE[+SCENE…][,OPTION…]
 *
 * Options of the device: ppm=, jitter=, xrun=, vanish=AT+FOR, host=, vary, work=T[~SPREAD].
 * Options of the sound: db=, seed=; of the loop, too: delay=FRAMES, which it does not report, and
 * noise=dBFS.
 *
 * Channel c plays scene c, beginning anew behind the last, like a microphone before each.
 */
#include "base/fail.h"
#include "device/backends.h"
#include "sim/pacer.h"
#include "sim/scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENES_MAX = 16, SPEC_MAX = 1024, DELAY_MAX = 1 << 20 };
static const double no_noise_db = -200;

/* What an id says, with gaps. */
struct sim_id {
    char text[SPEC_MAX]; /* the id, cut up into what scenes points at */
    const char *scenes[SCENES_MAX];
    int scene_count;
    bool loop;
    bool has_clock_options;
    struct takt_pacer_cfg clock; /* only what options set */
    uint32_t host_frames;
    double gain_db;
    double noise_db; /* of the loop; no_noise_db: none */
    uint32_t delay_frames;
    bool has_seed;
    uint64_t seed;
};

/* ---- Reading ids --------------------------------------------------------------------------- */

/* A time such as 50us, 3ms, 2.5s or 2.5; the rest of the text is left in *rest. */
static bool read_time(const char *text, char **rest, int64_t *ns)
{
    double value = strtod(text, rest), unit = 1e9;
    if (*rest == text || !(value >= 0 && value <= 86400))
        return false;
    if (!strncmp(*rest, "us", 2) || !strncmp(*rest, "ms", 2)) {
        unit = **rest == 'u' ? 1e3 : 1e6;
        *rest += 2;
    } else if (**rest == 's') {
        *rest += 1;
    }
    *ns = (int64_t)(value * unit);
    return true;
}

static bool read_whole_time(const char *text, int64_t *ns)
{
    char *rest;
    return read_time(text, &rest, ns) && !*rest;
}

/* Two times with a sign between them; the second may be missing when may_lack is set. */
static bool read_pair(const char *text, char sign, bool may_lack, int64_t *first, int64_t *second)
{
    char *rest;
    if (!read_time(text, &rest, first))
        return false;
    if (!*rest)
        return may_lack;
    return *rest == sign && read_whole_time(rest + 1, second);
}

static bool add_xrun(struct sim_id *id, const char *value)
{
    struct takt_pacer_cfg *k = &id->clock;
    if (k->xruns == TAKT_PACER_XRUNS_MAX || !read_whole_time(value, &k->xrun_ns[k->xruns]))
        return false;
    k->xruns++;
    return k->xruns == 1 || k->xrun_ns[k->xruns - 1] >= k->xrun_ns[k->xruns - 2];
}

/* Takes "key=value" in. False when the key is none of ours or the value out of range; *hint then
 * says what would be right. */
static bool read_option(struct sim_id *id, char *option, const char **hint)
{
    struct takt_pacer_cfg *k = &id->clock;
    char *value = strchr(option, '=');
    if (value)
        *value++ = '\0';
    const char *v = value ? value : "";
    double number;
    bool is_of_sound = !strcmp(option, "db") || !strcmp(option, "seed") ||
                       !strcmp(option, "delay") || !strcmp(option, "noise");
    id->has_clock_options |= !is_of_sound;
    if (!strcmp(option, "ppm")) {
        *hint = "ppm=-10000..10000";
        return takt_scene_number(v, -10000, 10000, &k->ppm);
    }
    if (!strcmp(option, "jitter")) {
        *hint = "jitter=50us";
        return read_whole_time(v, &k->jitter_ns);
    }
    if (!strcmp(option, "work")) {
        *hint = "work=200us or work=200us~50us";
        return read_pair(v, '~', true, &k->work_ns, &k->work_spread_ns);
    }
    if (!strcmp(option, "xrun")) {
        *hint = "xrun=2.5s, up to 16 times, in rising order";
        return add_xrun(id, v);
    }
    if (!strcmp(option, "vanish")) {
        *hint = "vanish=3s+1s";
        return read_pair(v, '+', false, &k->vanish_ns, &k->vanish_for_ns);
    }
    if (!strcmp(option, "host")) {
        *hint = "host=1..8192 frames";
        if (!takt_scene_number(v, 1, 8192, &number) || number != (uint32_t)number)
            return false;
        id->host_frames = (uint32_t)number;
        return true;
    }
    if (!strcmp(option, "vary")) {
        *hint = "vary, without a value";
        k->varies = true;
        return !value;
    }
    if (!strcmp(option, "db")) {
        *hint = "db=-100..20";
        return takt_scene_number(v, -100, 20, &id->gain_db);
    }
    if (!strcmp(option, "delay")) {
        *hint = "delay=0..1048576 frames, with loop";
        if (!id->loop || !takt_scene_number(v, 0, DELAY_MAX, &number) || number != (uint32_t)number)
            return false;
        id->delay_frames = (uint32_t)number;
        return true;
    }
    if (!strcmp(option, "noise")) {
        *hint = "noise=-200..20 dBFS, with loop";
        return id->loop && takt_scene_number(v, no_noise_db, 20, &id->noise_db);
    }
    *hint = "ppm=, jitter=, work=, xrun=, vanish=, host=, vary, db=, delay=, noise=, seed=";
    if (strcmp(option, "seed") != 0)
        return false;
    *hint = "seed=1..2^53";
    id->has_seed = takt_scene_number(v, 1, 0x1p53, &number);
    id->seed = id->has_seed ? (uint64_t)number : 0;
    return id->has_seed;
}

static int read_scenes(struct sim_id *id, char *text, struct takt_error *e)
{
    char *keep;
    for (char *s = strtok_r(text, "+", &keep); s; s = strtok_r(NULL, "+", &keep)) {
        const char *value;
        if (!strcmp(s, "loop")) {
            id->loop = true;
            continue;
        }
        if (id->scene_count == SCENES_MAX)
            return takt_fail(e, TAKT_ERR_ARG, 0, "sim: more than %d scenes", SCENES_MAX);
        if (!takt_scene_find(s, &value)) {
            struct takt_scene *none;
            return takt_scene_open(&(struct takt_scene_cfg){.spec = s}, &none, e);
        }
        id->scenes[id->scene_count++] = s;
    }
    if (id->loop && id->scene_count)
        return takt_fail(e, TAKT_ERR_ARG, 0, "sim: loop stands alone, without other scenes");
    return 0;
}

static int read_id(struct sim_id *id, const char *rest, struct takt_error *e)
{
    memset(id, 0, sizeof *id);
    id->noise_db = no_noise_db;
    if (strlen(rest) >= SPEC_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "sim: an id of more than %d letters", SPEC_MAX - 1);
    strcpy(id->text, rest);
    char *options = strchr(id->text, ',');
    if (options)
        *options++ = '\0';
    int err = read_scenes(id, id->text, e);
    char *keep;
    for (char *o = options && !err ? strtok_r(options, ",", &keep) : NULL; o;
         o = strtok_r(NULL, ",", &keep)) {
        const char *hint;
        if (!read_option(id, o, &hint))
            return takt_fail(e, TAKT_ERR_ARG, 0, "sim: option '%.40s': it must be one of: %s", o,
                             hint);
    }
    return err;
}

/* ---- Ports --------------------------------------------------------------------------------- */

struct sim_port {
    struct takt_port base;
    struct takt_port_cfg cfg;
    struct sim_id id;
    struct takt_scene *scenes[TAKT_CHANNELS_MAX];
};

static uint32_t sim_read(struct takt_port *base, float *const *out, uint32_t frames,
                         uint32_t *status)
{
    struct sim_port *p = (struct sim_port *)base;
    for (uint32_t c = 0; c < p->cfg.channels; c++)
        p->scenes[c]->ops->render(p->scenes[c], out[c], frames);
    return frames;
}

static uint32_t sim_write(struct takt_port *base, const float *const *in, uint32_t frames,
                          uint32_t *status)
{
    return frames;
}

static void sim_lost(struct takt_port *base, uint64_t frames)
{
    struct sim_port *p = (struct sim_port *)base;
    for (uint32_t c = 0; p->cfg.is_input && c < p->cfg.channels; c++)
        if (p->scenes[c]->ops->skip)
            p->scenes[c]->ops->skip(p->scenes[c], frames);
}

static void close_scenes(struct sim_port *p)
{
    for (uint32_t c = 0; c < TAKT_CHANNELS_MAX; c++) {
        if (p->scenes[c])
            p->scenes[c]->ops->close(p->scenes[c]);
        p->scenes[c] = NULL;
    }
}

/* Each start plays the scenes from their beginning. */
static int open_scenes(struct sim_port *p, struct takt_error *e)
{
    close_scenes(p);
    double gain = pow(10, p->id.gain_db / 20);
    for (uint32_t c = 0; p->cfg.is_input && c < p->cfg.channels; c++) {
        uint64_t seed = p->id.has_seed ? p->id.seed : p->cfg.seed;
        int which = p->id.scene_count ? (int)c % p->id.scene_count : 0;
        struct takt_scene_cfg cfg = {.spec = p->id.scene_count ? p->id.scenes[which] : "silence",
                                     .rate_hz = p->cfg.rate_hz,
                                     .seed = seed + c * 0x9e3779b97f4a7c15u,
                                     .gain = gain};
        int err = takt_scene_open(&cfg, &p->scenes[c], e);
        if (err < 0)
            return err;
    }
    return 0;
}

static int sim_start(struct takt_port *base, struct takt_error *e)
{
    return open_scenes((struct sim_port *)base, e);
}

static void sim_close(struct takt_port *base)
{
    close_scenes((struct sim_port *)base);
    free(base);
}

static const struct takt_port_ops port_ops = {
    .read = sim_read, .write = sim_write, .lost = sim_lost, .start = sim_start, .close = sim_close};

static int open_port(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e)
{
    *out = NULL;
    struct sim_port *p = calloc(1, sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->base.ops = &port_ops;
    p->cfg = *cfg;
    int err = read_id(&p->id, cfg->rest, e);
    if (err >= 0)
        err = open_scenes(p, e); /* so that what cannot be opened is refused at create */
    if (err < 0) {
        sim_close(&p->base);
        return err;
    }
    *out = &p->base;
    return 0;
}

/* ---- Driver -------------------------------------------------------------------------------- */

static bool same_clock(const struct sim_id *a, const struct sim_id *b)
{
    return a->host_frames == b->host_frames && !memcmp(&a->clock, &b->clock, sizeof a->clock);
}

static bool one_clock(const char *in_rest, const char *out_rest)
{
    struct sim_id in, out;
    struct takt_error ignored;
    if (read_id(&in, in_rest, &ignored) < 0 || read_id(&out, out_rest, &ignored) < 0)
        return true; /* the driver says what is wrong */
    return !in.has_clock_options || !out.has_clock_options || same_clock(&in, &out);
}

/* The device's options may stand on either side, or the same on both; else they are two devices,
 * and each has a driver. */
static int merge_sides(const struct takt_driver_cfg *cfg, struct sim_id *in, struct sim_id *out,
                       const struct sim_id **clock, struct takt_error *e)
{
    *clock = in;
    int err = read_id(in, cfg->in_rest ? cfg->in_rest : "", e);
    if (err >= 0)
        err = read_id(out, cfg->out_rest ? cfg->out_rest : "", e);
    if (err < 0)
        return err;
    if (out->has_clock_options)
        *clock = out;
    return 0;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    struct sim_id in, to;
    const struct sim_id *clock;
    *out = NULL;
    int err = merge_sides(cfg, &in, &to, &clock, e);
    if (err < 0)
        return err;
    struct takt_pacer_cfg pacer = clock->clock;
    pacer.rate_hz = cfg->rate_hz;
    pacer.host_frames = clock->host_frames ? clock->host_frames : takt_pacer_block(cfg);
    pacer.engine = cfg->engine;
    pacer.name = cfg->name;
    pacer.clock = cfg->clock;
    pacer.stepped = cfg->stepped;
    pacer.priority = cfg->priority;
    pacer.seed = clock->has_seed ? clock->seed : cfg->seed;
    pacer.is_live = true;
    if (in.loop && cfg->in_rest && cfg->out_rest) {
        pacer.loop_channels =
            cfg->in_channels > cfg->out_channels ? cfg->in_channels : cfg->out_channels;
        pacer.loop_delay_frames = in.delay_frames;
        pacer.loop_gain = (float)pow(10, in.gain_db / 20);
        pacer.loop_noise = in.noise_db > no_noise_db ? (float)pow(10, in.noise_db / 20) : 0;
    }
    return takt_pacer_open(&pacer, out, e);
}

/* ---- What there is --------------------------------------------------------------------------- */

static void describe(struct takt_device_info *d, const char *rest, const char *description)
{
    *d = (struct takt_device_info){.backend = "sim",
                                   .in_channels_max = TAKT_CHANNELS_MAX,
                                   .out_channels_max = TAKT_CHANNELS_MAX,
                                   .in_channels_default = 1,
                                   .out_channels_default = 2,
                                   .rate_hz_default = 48000,
                                   .rate_hz_min = 8000,
                                   .rate_hz_max = 384000,
                                   .block_frames_default = 128,
                                   .block_frames_min = 1,
                                   .block_frames_max = 8192,
                                   .latency_low_s = 128 / 48000.0,
                                   .latency_high_s = 1024 / 48000.0,
                                   .format = TAKT_F32};
    snprintf(d->id, sizeof d->id, "sim:%s", rest);
    snprintf(d->description, sizeof d->description, "%s", description);
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    struct sim_id id;
    int err = read_id(&id, rest, e);
    if (err < 0)
        return err;
    const char *value;
    const struct takt_scene_kind *kind =
        id.scene_count ? takt_scene_find(id.scenes[0], &value) : NULL;
    describe(out, rest,
             id.loop              ? "what is played comes back as input"
             : id.scene_count > 1 ? "several scenes, a channel each"
             : kind               ? kind->description
                                  : "silence, and an output that swallows");
    if (id.scene_count > 1)
        out->in_channels_default = (uint32_t)id.scene_count;
    for (int i = 0; i < id.scene_count; i++)
        if ((kind = takt_scene_find(id.scenes[i], &value)) && !strcmp(kind->name, "rec") && value) {
            uint32_t rate_hz = takt_scene_recording_rate(value);
            out->rate_hz_default = rate_hz ? rate_hz : out->rate_hz_default;
        }
    return 0;
}

/* Scenes are for listening to, `sim:` alone is for playing to, and the loop is both. */
static int list(struct takt_device_info *out, int max)
{
    int n = 0;
    for (const struct takt_scene_kind *k = takt_scene_kinds; k->name; k++) {
        if (!strcmp(k->name, "rec"))
            continue;
        if (n < max) {
            describe(&out[n], k->name, k->description);
            out[n].out_channels_max = out[n].out_channels_default = 0;
        }
        n++;
    }
    if (n < max) {
        describe(&out[n], "", "an output that swallows, at a live device's pace");
        out[n].in_channels_max = out[n].in_channels_default = 0;
    }
    if (n + 1 < max)
        describe(&out[n + 1], "loop", "what is played comes back as input");
    return n + 2;
}

const struct takt_backend takt_backend_sim = {.scheme = "sim",
                                              .has_clock = true,
                                              .one_clock = one_clock,
                                              .list = list,
                                              .query = query,
                                              .open_port = open_port,
                                              .open_driver = open_driver};
