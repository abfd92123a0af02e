#include "verbs.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

int verb_words(const struct options *o, int least, int most, const char *usage)
{
    if (o->word_count < least)
        return complain(o, EXIT_USAGE, "something is missing: takt %s %s", o->verb, usage);
    if (o->word_count > most)
        return complain(o, EXIT_USAGE, "%s: one word too many: takt %s%s%s", o->words[most],
                        o->verb, *usage ? " " : "", usage);
    return 0;
}

static const char *path_of(const char *id)
{
    return strncmp(id, "file:", 5) ? id : id + 5;
}

/* Making the sink would empty the source before it is read. */
static bool are_one_file(const char *source, const char *sink)
{
    struct stat a, b;
    return stat(path_of(source), &a) == 0 && stat(path_of(sink), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino && S_ISREG(a.st_mode);
}

static bool is_file(const struct takt_device_info *info)
{
    return !strcmp(info->backend, "file");
}

/* The rate that the stream will have. A recording is not opened for that: it would be emptied. */
static uint32_t rate_of(const struct takt_stream_cfg *stream)
{
    struct takt_stream_cfg trial = *stream;
    struct takt_stream_actual a;
    struct takt_stream *s;
    struct takt_device_info sink;
    if (stream->rate_hz)
        return stream->rate_hz;
    if (!trial.out.device || takt_device_query(trial.out.device, &sink, NULL) < 0 || is_file(&sink))
        trial.out = (struct takt_side_cfg){0};
    if (takt_stream_create(&trial, &s, NULL) < 0)
        return 48000; /* the session will say why not */
    takt_stream_actual(s, &a);
    takt_stream_destroy(s);
    return a.rate_hz;
}

int verb_is_no_sound(const struct options *o, const char *name, const char *path,
                     const char *source, const char *sink)
{
    if ((source && are_one_file(source, path)) ||
        (sink && (!strcmp(path_of(sink), path) || are_one_file(path, sink))))
        return complain(o, EXIT_USAGE, "%s %s: that is the sound itself; name another file", name,
                        path);
    return 0;
}

int verb_session(const struct options *o, struct session *s, const char *source, const char *sink)
{
    struct takt_device_info in;
    bool known = source && takt_device_query(source, &in, NULL) >= 0;
    s->options = o;
    s->stream = options_stream(o);
    s->stream.in.device = source;
    s->stream.out.device = sink;
    if (sink && source && are_one_file(source, sink))
        return complain(o, EXIT_USAGE, "%s: it is the source, too; name another file to write",
                        sink);
    int status = o->html ? verb_is_no_sound(o, "--html", o->html, source, sink) : 0;
    if (status)
        return status;
    if (o->fast && !o->seconds && known && !is_file(&in) && !in.frames)
        return complain(o, EXIT_USAGE, "--fast: %s has no end; say how long with -t SECONDS",
                        source);
    if (sink) {
        s->stream.out.channels = o->channels;
        s->stream.out.device_format = o->format;
    }
    if (!sink || (known && !is_file(&in)))
        s->stream.in.channels = o->channels;
    if (sink && known && in.in_channels_max && s->stream.in.channels > in.in_channels_max)
        s->stream.in.channels = in.in_channels_max;
    s->source_frames = known ? in.frames : 0;
    if (o->seconds) {
        double frames = floor(o->seconds * rate_of(&s->stream) + 0.5);
        s->stream.length_frames = frames < 1 ? 1 : (uint64_t)frames;
    }
    return 0;
}

int verb_listen(const struct options *o, struct session *s)
{
    static struct takt_defaults defaults; /* the session keeps the name */
    int status = verb_words(o, 0, 1, "[SOURCE]");
    if (status)
        return status;
    if (o->word_count && o->in)
        return complain(o, EXIT_USAGE, "%s and -i %s: one source is enough", o->words[0], o->in);
    takt_defaults_get(&defaults);
    const char *source = o->word_count ? o->words[0] : o->in;
    s->default_in = !source;
    return verb_session(o, s, source ? source : defaults.in_device, NULL);
}

bool verb_is_recording(const char *id)
{
    struct takt_device_info info;
    if (takt_device_query(id, &info, NULL) >= 0)
        return is_file(&info);
    return !strchr(id, ':') || !strncmp(id, "file:", 5);
}
