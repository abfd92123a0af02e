#include "session.h"
#include "verbs.h"

int verb_record(struct options *o)
{
    int status = verb_words(o, 1, 1, "FILE");
    if (status)
        return status;
    if (o->out)
        return complain(o, EXIT_USAGE, "-o: record takes its FILE as a word");
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct session s = {.options = o, .stream = options_stream(o)};
    s.stream.in.device = o->in ? o->in : defaults.in_device;
    s.stream.in.channels = o->channels;
    s.stream.out.device = o->words[0];
    s.stream.out.device_format = o->format;
    if (!o->in)
        note_simulated(o, "", NULL);
    status = verb_length(o, &s.stream, s.stream.in.device, s.stream.out.device);
    return status ? status : session_run(&s);
}
