#include "verbs.h"

int verb_meter(struct options *o)
{
    int status = verb_words(o, 0, 1, "[SOURCE]");
    if (status)
        return status;
    if (o->word_count && o->in)
        return complain(o, EXIT_USAGE, "%s and -i %s: one source is enough", o->words[0], o->in);
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    const char *source = o->word_count ? o->words[0] : o->in;
    struct session s = {.default_in = !source};
    status = verb_session(o, &s, source ? source : defaults.in_device, NULL);
    return status ? status : session_run(&s);
}
