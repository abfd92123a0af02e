/*
 * A recording as a scene: read whole when it is opened, then played over and over. Its channels
 * are mixed to one; for the recording as it is, use a file as the source.
 */
#include "sim/scene.h"

#include "base/fail.h"

#ifdef TAKT_HAVE_SNDFILE

#include <errno.h>
#include <sndfile.h>
#include <stdlib.h>
#include <unistd.h>

enum { SECONDS_MAX = 600 };

struct recording {
    struct takt_scene base;
    uint64_t frames, at;
    float *samples;
};

static void render(struct takt_scene *s, float *out, uint32_t frames)
{
    struct recording *r = (struct recording *)s;
    for (uint32_t i = 0; i < frames; i++) {
        out[i] = r->samples[r->at];
        r->at = r->at + 1 == r->frames ? 0 : r->at + 1;
    }
}

static void skip(struct takt_scene *s, uint64_t frames)
{
    struct recording *r = (struct recording *)s;
    r->at = (r->at + frames) % r->frames;
}

static void close_recording(struct takt_scene *s)
{
    free(((struct recording *)s)->samples);
    free(s);
}

static const struct takt_scene_ops ops = {.render = render, .skip = skip, .close = close_recording};

static int load(struct recording *r, SNDFILE *file, const SF_INFO *info, double gain)
{
    float *frame = calloc((size_t)info->channels, sizeof *frame);
    r->samples = calloc((size_t)info->frames, sizeof *r->samples);
    bool memory = frame && r->samples;
    for (r->frames = 0; memory && r->frames < (uint64_t)info->frames; r->frames++) {
        if (sf_readf_float(file, frame, 1) != 1)
            break;
        for (int c = 0; c < info->channels; c++)
            r->samples[r->frames] += (float)(gain * (double)frame[c] / info->channels);
    }
    free(frame);
    return memory ? 0 : TAKT_ERR_NOMEM;
}

uint32_t takt_scene_recording_rate(const char *value)
{
    SF_INFO info = {0};
    SNDFILE *file = sf_open(value, SFM_READ, &info);
    if (!file)
        return 0;
    sf_close(file);
    return info.samplerate > 0 ? (uint32_t)info.samplerate : 0;
}

int takt_scene_open_recording(const struct takt_scene_cfg *cfg, const char *value,
                              struct takt_scene **out, struct takt_error *e)
{
    if (!value || !*value)
        return takt_fail(e, TAKT_ERR_ARG, 0, "sim: rec needs a recording: rec=PATH");
    if (access(value, R_OK) < 0)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, errno, "sim: rec=%.120s: cannot open it", value);
    SF_INFO info = {0};
    SNDFILE *file = sf_open(value, SFM_READ, &info);
    if (!file)
        return takt_fail(e, TAKT_ERR_FORMAT, 0, "sim: rec=%.120s: not a recording (%s)", value,
                         sf_strerror(NULL));
    int err = 0;
    if (info.samplerate != (int)cfg->rate_hz)
        err = takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                        "sim: rec=%.120s is at %d Hz, the stream at %u; set the rate to %d", value,
                        info.samplerate, cfg->rate_hz, info.samplerate);
    else if (info.frames <= 0 || info.frames > (sf_count_t)SECONDS_MAX * info.samplerate)
        err = takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                        "sim: rec=%.120s: it must have some sound, and at most %d s", value,
                        SECONDS_MAX);
    struct recording *r = err ? NULL : calloc(1, sizeof *r);
    if (!err && (!r || load(r, file, &info, cfg->gain) < 0))
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    else if (!err && !r->frames)
        err = takt_fail(e, TAKT_ERR_FORMAT, 0, "sim: rec=%.120s: no frame can be read", value);
    sf_close(file);
    if (err < 0 || !r) {
        if (r)
            close_recording(&r->base);
        return err;
    }
    r->base.ops = &ops;
    *out = &r->base;
    return 0;
}

#else

uint32_t takt_scene_recording_rate(const char *value)
{
    return 0;
}

int takt_scene_open_recording(const struct takt_scene_cfg *cfg, const char *value,
                              struct takt_scene **out, struct takt_error *e)
{
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "sim: rec: this build cannot read files");
}

#endif
