#include "session.h"
#include "verbs.h"

int verb_meter(struct options *o)
{
    int status = verb_words(o, 0, 1, "[SOURCE]");
    if (status)
        return status;
    if (o->word_count && o->in)
        return complain(o, EXIT_USAGE, "%s and -i %s: one source is enough", o->words[0], o->in);
    if (o->out || o->format)
        return complain(o, EXIT_USAGE, "%s: a meter only listens; see takt run",
                        o->out ? "-o" : "-f");
    const char *source = o->word_count ? o->words[0] : o->in;
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    if (!source)
        note_simulated(o, "", NULL);
    struct session s = {.options = o, .stream = options_stream(o)};
    s.stream.in.device = source ? source : defaults.in_device;
    s.stream.in.channels = o->channels;
    status = verb_length(o, &s.stream, s.stream.in.device, NULL);
    return status ? status : session_run(&s);
}
