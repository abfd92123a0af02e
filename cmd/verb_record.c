#include "verbs.h"

int verb_record(struct options *o)
{
    int status = verb_words(o, 1, 1, "FILE");
    if (status)
        return status;
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct session s = {.default_in = !o->in};
    status = verb_session(o, &s, o->in ? o->in : defaults.in_device, o->words[0]);
    return status ? status : session_run(&s);
}
