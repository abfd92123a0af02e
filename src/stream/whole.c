/*
 * Whole sounds at once: play and record from and into the caller's memory. Frame k of the memory
 * is frame k of the stream's clock, so that what was played and what was recorded stay aligned
 * also when the device lost some frames in between.
 */
#include "base/fail.h"
#include "stream/stream.h"

#include <string.h>

static enum takt_next whole_process(const struct takt_block *b, void *stream)
{
    struct takt_stream *s = stream;
    struct takt_whole *w = &s->whole;
    if (b->position >= w->frames)
        return TAKT_DRAIN;
    uint64_t left = w->frames - b->position;
    size_t frames = left < b->frames ? (size_t)left : b->frames;
    size_t sample = takt_sample_bytes(s->plan.cfg.format);
    size_t in_bytes = sample * b->in_channels, out_bytes = sample * b->out_channels;
    if (w->rec)
        memcpy(w->rec + b->position * in_bytes, b->in_data[0], frames * in_bytes);
    if (w->play)
        memcpy(b->out_data[0], w->play + b->position * out_bytes, frames * out_bytes);
    return TAKT_CONTINUE;
}

/* Brings the caller's pages in, so that the callback meets no page fault on them. */
static void prefault(const struct takt_whole *w, size_t play_bytes, size_t rec_bytes)
{
    enum { PAGE = 4096 };
    volatile const char *from = w->play;
    for (size_t i = 0; from && i < play_bytes; i += PAGE)
        (void)from[i];
    if (w->rec)
        memset(w->rec, 0, rec_bytes);
}

static int run_whole(const struct takt_stream_cfg *cfg, const void *play, void *rec,
                     uint64_t frames, struct takt_stream **out, struct takt_error *e)
{
    struct takt_stream_cfg c = cfg ? *cfg : (struct takt_stream_cfg){0};
    *out = NULL;
    if (!frames)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a sound of no frames");
    if (!rec)
        c.in = (struct takt_side_cfg){0};
    else if (!c.in.device && !c.in.channels)
        c.in.channels = 1;
    if (!play)
        c.out = (struct takt_side_cfg){0};
    else if (!c.out.device && !c.out.channels)
        c.out.channels = 1;
    c.layout = TAKT_INTERLEAVED;
    c.length_frames = frames;
    c.process = whole_process;
    struct takt_stream *s;
    int err = takt_stream_create(&c, &s, e);
    if (err < 0)
        return err;
    s->engine.arg = s;
    s->whole = (struct takt_whole){play, rec, frames};
    size_t sample = takt_sample_bytes(s->plan.cfg.format);
    prefault(&s->whole, frames * sample * s->engine.out.channels,
             frames * sample * s->engine.in.channels);
    if ((err = takt_stream_start(s)) < 0) {
        if (e)
            takt_stream_error(s, e);
        takt_stream_destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

int takt_play(const struct takt_stream_cfg *cfg, const void *data, uint64_t frames,
              struct takt_stream **out, struct takt_error *e)
{
    return run_whole(cfg, data, NULL, frames, out, e);
}

int takt_rec(const struct takt_stream_cfg *cfg, void *data, uint64_t frames,
             struct takt_stream **out, struct takt_error *e)
{
    return run_whole(cfg, NULL, data, frames, out, e);
}

int takt_playrec(const struct takt_stream_cfg *cfg, const void *play, void *rec, uint64_t frames,
                 struct takt_stream **out, struct takt_error *e)
{
    return run_whole(cfg, play, rec, frames, out, e);
}
