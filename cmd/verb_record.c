#include "verbs.h"
#include "voice.h"

#include <stdio.h>
#include <string.h>

/* The stream then has a sink that swallows everything; what is kept goes into the file beside it.
 */
static void record_voice(struct session *s, struct voice *v, char *title, size_t size)
{
    struct takt_device_info in;
    uint32_t channels = s->stream.out.channels;
    snprintf(title, size, "%s -> %s, voice only", s->stream.in.device, s->stream.out.device);
    v->path = s->stream.out.device;
    if (!strncmp(v->path, "file:", 5))
        v->path += 5;
    if (!channels && takt_device_query(s->stream.in.device, &in, NULL) >= 0)
        channels = s->stream.in.channels ? s->stream.in.channels : in.in_channels_default;
    s->stream.out = (struct takt_side_cfg){.device = "null:", .channels = channels};
    s->voice = v;
    s->title = title;
}

int verb_record(struct options *o)
{
    int status = verb_words(o, 1, 1, "FILE");
    if (status)
        return status;
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct session s = {.default_in = !o->in};
    struct voice voice = {.path = NULL};
    char title[600];
    status = verb_session(o, &s, o->in ? o->in : defaults.in_device, o->words[0]);
    if (!status && o->on_voice && !verb_is_recording(o->words[0]))
        return complain(o, EXIT_USAGE, "--on-voice: %s is no recording", o->words[0]);
    if (!status && o->on_voice)
        record_voice(&s, &voice, title, sizeof title);
    return status ? status : session_run(&s);
}
