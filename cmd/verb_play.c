#include "session.h"
#include "verbs.h"

int verb_play(struct options *o)
{
    int status = verb_words(o, 1, 1, "FILE");
    if (status)
        return status;
    if (o->in || o->format)
        return complain(o, EXIT_USAGE, "%s: play takes its FILE as a word, and stores nothing",
                        o->in ? "-i" : "-f");
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct session s = {.options = o, .stream = options_stream(o)};
    s.stream.in.device = o->words[0];
    s.stream.out.device = o->out ? o->out : defaults.out_device;
    s.stream.out.channels = o->channels;
    struct takt_error e;
    if (takt_stream_check(&(struct takt_stream_cfg){.in = {.device = o->words[0]}, .process = NULL},
                          &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    if (!o->out)
        note_simulated(o, NULL, "");
    status = verb_length(o, &s.stream, s.stream.in.device, s.stream.out.device);
    return status ? status : session_run(&s);
}
