#include "stream/resolve.h"

#include "base/fail.h"
#include "rt/guard.h"
#include "stream/bypass.h"
#include "stream/devices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_HZ_MIN = 8000, RATE_HZ_MAX = 384000, RATE_HZ_DEFAULT = 48000, LIVE_CHANNELS = 2 };

/* ---- Ids ------------------------------------------------------------------------------------ */

/* An id for "%.*s:", which "jack:" would make two colons of. */
static int shown_length(const char *id)
{
    int n = (int)strnlen(id, 100);
    return n && id[n - 1] == ':' ? n - 1 : n;
}
#define shown(id) shown_length(id), id

static const struct takt_backend *backend_named(const char *name, size_t length)
{
    for (const struct takt_backend *const *b = takt_backends; *b; b++)
        if (strlen((*b)->scheme) == length && !strncmp((*b)->scheme, name, length))
            return *b;
    return NULL;
}

/* Schemes that are takt's in any build, so that one which this build lacks is not taken for the
 * name of a file. */
static bool is_reserved(const char *name, size_t length)
{
    static const char *const reserved[] = {"sim",      "file",      "null", "alsa", "jack",
                                           "pipewire", "portaudio", "rtp",  "pipe"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == length && !strncmp(reserved[i], name, length))
            return true;
    return false;
}

int takt_device_split(const char *id, const struct takt_backend **backend, const char **rest,
                      struct takt_error *e)
{
    const char *colon = strchr(id, ':');
    size_t length = colon ? (size_t)(colon - id) : 0;
    *rest = colon ? colon + 1 : id;
    *backend = colon ? backend_named(id, length) : NULL;
    if (*backend)
        return 0;
    if (colon && is_reserved(id, length))
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "%.60s: this build has no %.*s backend; see takt devices", id, (int)length,
                         id);
    *rest = id;
    *backend = backend_named("file", 4);
    if (!*backend)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "%.60s: this build cannot open files; see takt devices", id);
    if (!*id)
        return takt_fail(e, TAKT_ERR_ARG, 0, "the device's name is empty; see takt devices");
    return 0;
}

/* ---- Sides ---------------------------------------------------------------------------------- */

static bool is_used(const struct takt_side_cfg *side)
{
    return side->device || side->channels;
}

static const char *direction(bool is_input)
{
    return is_input ? "input" : "output";
}

static int find_device(struct takt_plan_side *side, const struct takt_side_cfg *cfg, bool is_input,
                       struct takt_error *e)
{
    struct takt_defaults defaults;
    const char *id = cfg->device;
    if (!id) {
        takt_defaults_get(&defaults);
        id = is_input ? defaults.in_device : defaults.out_device;
        if (!*id)
            return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "there is no default %s; name a device",
                             direction(is_input));
    }
    side->id = strdup(id);
    if (!side->id)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    const struct takt_backend *backend;
    int err = takt_device_split(side->id, &backend, &side->rest, e);
    if (err < 0)
        return err;
    side->backend = backend;
    return 0;
}

/* A sink's file need not exist yet, so only sources are asked what they are. */
static int query(struct takt_plan_side *side, bool is_input, struct takt_error *e)
{
    if (!is_input && !side->backend->has_clock) {
        side->info.out_channels_max = TAKT_CHANNELS_MAX;
        return 0;
    }
    int err = side->backend->query(side->rest, &side->info, e);
    if (err < 0)
        return err;
    if (!(is_input ? side->info.in_channels_max : side->info.out_channels_max))
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.*s: has no %s", shown(side->id),
                         direction(is_input));
    return 0;
}

static int resolve_channels(struct takt_plan_side *side, const struct takt_side_cfg *cfg,
                            uint32_t fallback, bool is_input, struct takt_error *e)
{
    uint32_t max = is_input ? side->info.in_channels_max : side->info.out_channels_max;
    side->channels = cfg->channels ? cfg->channels : fallback;
    if (side->channels > TAKT_CHANNELS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%u %s channels: at most %d can be had",
                         side->channels, direction(is_input), TAKT_CHANNELS_MAX);
    side->device_channels = side->channels;
    for (uint32_t c = 0; c < side->channels; c++) {
        side->map[c] = cfg->map ? cfg->map[c] : (uint16_t)c;
        for (uint32_t d = 0; d < c && !is_input; d++)
            if (side->map[d] == side->map[c])
                return takt_fail(e, TAKT_ERR_ARG, 0,
                                 "output channels %u and %u both go to device channel %u", d, c,
                                 side->map[c]);
        if (side->map[c] >= side->device_channels)
            side->device_channels = side->map[c] + 1u;
    }
    if (side->device_channels > max)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.*s: has %u %s channel%s, not %u",
                         shown(side->id), max, direction(is_input), max == 1 ? "" : "s",
                         side->device_channels);
    return 0;
}

static uint32_t natural_channels(const struct takt_plan_side *side, bool is_input)
{
    const struct takt_device_info *i = &side->info;
    uint32_t max = is_input ? i->in_channels_max : i->out_channels_max;
    uint32_t own = is_input ? i->in_channels_default : i->out_channels_default;
    return own ? own : max < LIVE_CHANNELS ? max : LIVE_CHANNELS;
}

/* ---- Settings ------------------------------------------------------------------------------- */

static int check_ranges(const struct takt_stream_cfg *cfg, struct takt_error *e)
{
    if (!is_used(&cfg->in) && !is_used(&cfg->out))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "neither input nor output: set in.channels, out.channels or a device");
    if (cfg->block_frames > TAKT_BLOCK_FRAMES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a block of %u frames: it is 1 to %d, or 0 for the host's",
                         cfg->block_frames, TAKT_BLOCK_FRAMES_MAX);
    if (cfg->rate_hz && (cfg->rate_hz < RATE_HZ_MIN || cfg->rate_hz > RATE_HZ_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a rate of %u Hz: it is %d to %d", cfg->rate_hz,
                         RATE_HZ_MIN, RATE_HZ_MAX);
    if ((unsigned)cfg->format > TAKT_U8 || (unsigned)cfg->layout > TAKT_INTERLEAVED ||
        (unsigned)cfg->clock > TAKT_CLOCK_VIRTUAL || (unsigned)cfg->dither > TAKT_DITHER_TPDF ||
        (unsigned)cfg->clip > TAKT_CLIP_ALL || (unsigned)cfg->guard > TAKT_GUARD_TRAP)
        return takt_fail(
            e, TAKT_ERR_ARG, 0,
            "format, layout, clock, dither, clip or guard is none of its enum's values");
    if (cfg->priority > 98 || cfg->priority < TAKT_PRIORITY_OFF)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a priority of %d: it is 1 to 98, 0 for the default or -1 for none",
                         cfg->priority);
    const struct takt_side_cfg *sides[] = {&cfg->in, &cfg->out};
    for (int i = 0; i < 2; i++) {
        if ((unsigned)sides[i]->latency > TAKT_LATENCY_SECONDS ||
            (unsigned)sides[i]->device_format > TAKT_U8)
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "%s: latency or device_format is none of its enum's values",
                             direction(!i));
        if (sides[i]->latency == TAKT_LATENCY_SECONDS &&
            !(sides[i]->latency_s > 0 && sides[i]->latency_s <= 10))
            return takt_fail(e, TAKT_ERR_ARG, 0, "%s: a latency of %g s: it is above 0, up to 10",
                             direction(!i), sides[i]->latency_s);
        if (sides[i]->buffer_s != 0 && !(sides[i]->buffer_s >= 0.1 && sides[i]->buffer_s <= 600))
            return takt_fail(e, TAKT_ERR_ARG, 0, "%s: a buffer of %g s: it is 0.1 to 600",
                             direction(!i), sides[i]->buffer_s);
    }
    return 0;
}

static int check_degrading(const struct takt_stream_cfg *cfg, struct takt_error *e)
{
    if (!(cfg->fade_ms == TAKT_FADE_OFF || (cfg->fade_ms >= 0 && cfg->fade_ms <= 50)))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a fade of %g ms: it is above 0, up to 50, or TAKT_FADE_OFF",
                         cfg->fade_ms);
    const char *wrong = takt_bypass_check(&cfg->bypass);
    if (wrong)
        return takt_fail(e, TAKT_ERR_ARG, 0, "bypass: %s", wrong);
    if (cfg->chain && (cfg->layout == TAKT_INTERLEAVED ||
                       (cfg->format != TAKT_F32 && cfg->format != TAKT_SAMPLE_DEFAULT)))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a chain works on planar floats alone");
    return 0;
}

/* The output's, since a gap there is heard at once; the input is bridged to it. */
static void choose_clock(struct takt_plan *plan)
{
    const struct takt_backend *in = plan->in.backend, *out = plan->out.backend;
    bool two = in && out && in->has_clock && out->has_clock;
    plan->in.is_bridged =
        two && (in != out || (in->one_clock && !in->one_clock(plan->in.rest, plan->out.rest)));
    plan->clock = out && out->has_clock ? out : in && in->has_clock ? in : in ? in : out;
}

static bool runs_at(const struct takt_plan_side *side, uint32_t rate_hz)
{
    const struct takt_device_info *i = &side->info;
    return !i->rate_hz_max || (rate_hz >= i->rate_hz_min && rate_hz <= i->rate_hz_max);
}

/* A recording's, unless what it is played to cannot go along. */
static uint32_t natural_rate(const struct takt_plan *plan, const struct takt_defaults *defaults)
{
    if (plan->in.backend && plan->in.info.frames) {
        uint32_t rate_hz = plan->in.info.rate_hz_default;
        bool follows = !plan->out.backend || runs_at(&plan->out, rate_hz);
        return follows ? rate_hz : plan->out.info.rate_hz_default;
    }
    if (defaults->rate_hz)
        return defaults->rate_hz;
    if (plan->in.backend && plan->in.info.rate_hz_default && !plan->in.is_bridged)
        return plan->in.info.rate_hz_default;
    if (plan->out.backend && plan->out.info.rate_hz_default)
        return plan->out.info.rate_hz_default;
    return RATE_HZ_DEFAULT;
}

static int check_rate(const struct takt_plan_side *side, uint32_t rate_hz, struct takt_error *e)
{
    const struct takt_device_info *i = &side->info;
    if (side->backend && (rate_hz < RATE_HZ_MIN || rate_hz > RATE_HZ_MAX))
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.*s: is at %u Hz; takt runs at %d to %d Hz",
                         shown(side->id), rate_hz, RATE_HZ_MIN, RATE_HZ_MAX);
    if (!side->backend || runs_at(side, rate_hz))
        return 0;
    if (i->rate_hz_min == i->rate_hz_max)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "%.*s: is at %u Hz, the stream at %u; set the rate to %u", shown(side->id),
                         i->rate_hz_max, rate_hz, i->rate_hz_max);
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.*s: runs at %u to %u Hz, not at %u",
                     shown(side->id), i->rate_hz_min, i->rate_hz_max, rate_hz);
}

static void fill_defaults(struct takt_stream_cfg *cfg, const struct takt_defaults *defaults)
{
    if (!cfg->block_frames)
        cfg->block_frames = defaults->block_frames;
    if (!cfg->format)
        cfg->format = TAKT_F32;
    if (!cfg->seed)
        cfg->seed = 1;
    if (!cfg->out.buffer_s)
        cfg->out.buffer_s = TAKT_BUFFER_S_DEFAULT;
    if (!cfg->timeout_ms)
        cfg->timeout_ms = 2000;
    if (!cfg->name)
        cfg->name = "takt";
}

int takt_plan_init(struct takt_plan *plan, const struct takt_stream_cfg *cfg, struct takt_error *e)
{
    *plan = (struct takt_plan){0};
    if (!cfg)
        return takt_fail(e, TAKT_ERR_ARG, 0, "no settings: give a struct takt_stream_cfg");
    plan->cfg = *cfg;
    struct takt_defaults defaults;
    takt_defaults_wished(&defaults); /* who names devices waits for no other sound system */
    fill_defaults(&plan->cfg, &defaults);
    int err = check_ranges(cfg, e);
    bool has_in = is_used(&cfg->in), has_out = is_used(&cfg->out);
    if (!err && has_in && !(err = find_device(&plan->in, &cfg->in, true, e)) &&
        !(err = query(&plan->in, true, e)))
        err = resolve_channels(&plan->in, &cfg->in, natural_channels(&plan->in, true), true, e);
    if (!err && has_out && !(err = find_device(&plan->out, &cfg->out, false, e)) &&
        !(err = query(&plan->out, false, e)))
        err = resolve_channels(&plan->out, &cfg->out,
                               has_in ? plan->in.channels : natural_channels(&plan->out, false),
                               false, e);
    if (!err)
        err = check_degrading(cfg, e);
    if (!err)
        err = takt_guard_resolve(&plan->cfg.guard, e);
    if (!err && cfg->bypass.mode == TAKT_BYPASS_DRY && plan->in.channels != plan->out.channels)
        err = takt_fail(e, TAKT_ERR_ARG, 0,
                        "bypass to the input needs as many input channels (%u) as output ones (%u)",
                        plan->in.channels, plan->out.channels);
    if (err < 0)
        return err;
    choose_clock(plan);
    if (!plan->cfg.rate_hz)
        plan->cfg.rate_hz = natural_rate(plan, &defaults);
    if (plan->in.backend && !plan->in.backend->has_clock && !runs_at(&plan->in, plan->cfg.rate_hz))
        plan->in.own_hz = plan->in.info.rate_hz_default;
    if (!plan->in.is_bridged && !plan->in.own_hz &&
        (err = check_rate(&plan->in, plan->cfg.rate_hz, e)) < 0)
        return err;
    return check_rate(&plan->out, plan->cfg.rate_hz, e);
}

void takt_plan_fini(struct takt_plan *plan)
{
    free(plan->in.id);
    free(plan->out.id);
    plan->in.id = plan->out.id = NULL;
}
