#include "sim/scene.h"

#include "base/fail.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct takt_scene_kind takt_scene_kinds[] = {
    {"voice", "a voice-like talker: syllables, pauses, breath", takt_scene_open_voice},
    {"guitar", "plucked strings in a chord progression", takt_scene_open_guitar},
    {"tone", "a sine at half of full scale; tone=HZ, 1000 by default", takt_scene_open_basic},
    {"sweep", "a sine rising from 20 Hz to 20 kHz in sweep=SECONDS, 10 by default",
     takt_scene_open_basic},
    {"noise", "white noise at -20 dBFS RMS", takt_scene_open_basic},
    {"pink", "pink noise at -20 dBFS RMS", takt_scene_open_basic},
    {"clicks", "one-sample clicks; clicks=N a second, 1 by default", takt_scene_open_basic},
    {"impulse", "one click in the first frame, then silence", takt_scene_open_basic},
    {"silence", "nothing at all", takt_scene_open_basic},
    {"rec", "a recording, over and over: rec=PATH", takt_scene_open_recording},
    {NULL, NULL, NULL},
};

const struct takt_scene_kind *takt_scene_find(const char *spec, const char **value)
{
    size_t length = strcspn(spec, "=");
    *value = spec[length] ? spec + length + 1 : NULL;
    for (const struct takt_scene_kind *k = takt_scene_kinds; k->name; k++)
        if (strlen(k->name) == length && !strncmp(k->name, spec, length))
            return k;
    return NULL;
}

bool takt_scene_number(const char *text, double low, double high, double *out)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '.' && *text != '-')
        return false;
    *out = strtod(text, &end);
    return end != text && !*end && *out >= low && *out <= high;
}

int takt_scene_open(const struct takt_scene_cfg *cfg, struct takt_scene **out, struct takt_error *e)
{
    const char *value;
    const struct takt_scene_kind *kind = takt_scene_find(cfg->spec, &value);
    *out = NULL;
    if (!kind)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "sim: there is no scene '%.40s'; there are voice, guitar, tone=HZ, sweep, "
                         "noise, pink, clicks, impulse, silence, rec=PATH",
                         cfg->spec);
    return kind->open(cfg, value, out, e);
}
