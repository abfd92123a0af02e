#include "verbs.h"

int verb_play(struct options *o)
{
    int status = verb_words(o, 1, 1, "FILE");
    if (status)
        return status;
    struct takt_device_info info;
    struct takt_error e;
    if (takt_device_query(o->words[0], &info, &e) < 0)
        return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    struct takt_defaults defaults;
    takt_defaults_get(&defaults);
    struct session s = {.default_out = !o->out};
    status = verb_session(o, &s, o->words[0], o->out ? o->out : defaults.out_device);
    return status ? status : session_run(&s);
}
