#include "verbs.h"

#include <math.h>

int verb_words(const struct options *o, int least, int most, const char *usage)
{
    if (o->word_count < least)
        return complain(o, EXIT_USAGE, "something is missing: takt %s %s", o->verb, usage);
    if (o->word_count > most)
        return complain(o, EXIT_USAGE, "%s: one word too many: takt %s %s", o->words[most], o->verb,
                        usage);
    return 0;
}

/* The rate that the stream will have. */
static uint32_t rate_of(const struct takt_stream_cfg *stream)
{
    struct takt_stream_actual a;
    struct takt_stream *s;
    if (stream->rate_hz)
        return stream->rate_hz;
    if (takt_stream_create(stream, &s, NULL) < 0)
        return 48000; /* the session will say why not */
    takt_stream_actual(s, &a);
    takt_stream_destroy(s);
    return a.rate_hz;
}

int verb_length(const struct options *o, struct takt_stream_cfg *stream, const char *source,
                const char *sink)
{
    struct takt_device_info info;
    bool has_end = source && takt_device_query(source, &info, NULL) >= 0 && info.frames;
    if (o->fast && !o->seconds && !has_end && source)
        if (takt_device_query(source, &info, NULL) >= 0)
            return complain(o, EXIT_USAGE, "--fast: %s has no end; say how long with -t SECONDS",
                            source);
    if (o->seconds) {
        double frames = floor(o->seconds * rate_of(stream) + 0.5);
        stream->length_frames = frames < 1 ? 1 : (uint64_t)frames;
    }
    return 0;
}
