/*
 * sim/scene.h - sounds to test with, made on the spot: one channel each, from a seed, the same
 * samples however they are cut into blocks.
 */
#ifndef TAKT_SIM_SCENE_H
#define TAKT_SIM_SCENE_H

#include "takt/error.h"

#include <stdbool.h>
#include <stdint.h>

struct takt_scene;

struct takt_scene_ops {
    /* Writes the next frames. RT: yes. */
    void (*render)(struct takt_scene *s, float *out, uint32_t frames);
    /* Passes over frames that nobody hears. NULL: the sound waits instead. RT: yes. */
    void (*skip)(struct takt_scene *s, uint64_t frames);
    /* RT: no. */
    void (*close)(struct takt_scene *s);
};

struct takt_scene {
    const struct takt_scene_ops *ops; /* each scene's own struct begins with this one */
};

struct takt_scene_cfg {
    const char *spec; /* "voice", "tone=440", …: up to the end of the string */
    uint32_t rate_hz;
    uint64_t seed;
    double gain; /* linear, 1 for the scene's own level */
};

/* What can be asked for: name, and what it sounds like; ends with a NULL name. */
struct takt_scene_kind {
    const char *name;
    const char *description;
    int (*open)(const struct takt_scene_cfg *cfg, const char *value, struct takt_scene **out,
                struct takt_error *e);
};
extern const struct takt_scene_kind takt_scene_kinds[];

/* Errors: TAKT_ERR_ARG with the reason; *out is NULL then. RT: no. */
int takt_scene_open(const struct takt_scene_cfg *cfg, struct takt_scene **out,
                    struct takt_error *e);

/* The kind that a spec names, or NULL; *value is what follows its '=', or NULL. RT: no. */
const struct takt_scene_kind *takt_scene_find(const char *spec, const char **value);

/* A number within low..high, all of the text; false otherwise. RT: no. */
bool takt_scene_number(const char *text, double low, double high, double *out);

/* The families. RT: no. */
int takt_scene_open_basic(const struct takt_scene_cfg *cfg, const char *value,
                          struct takt_scene **out, struct takt_error *e);
int takt_scene_open_voice(const struct takt_scene_cfg *cfg, const char *value,
                          struct takt_scene **out, struct takt_error *e);
int takt_scene_open_guitar(const struct takt_scene_cfg *cfg, const char *value,
                           struct takt_scene **out, struct takt_error *e);
/* A recording's own rate, 0 where it cannot be read. RT: no. */
uint32_t takt_scene_recording_rate(const char *value);
int takt_scene_open_recording(const struct takt_scene_cfg *cfg, const char *value,
                              struct takt_scene **out, struct takt_error *e);

#endif
