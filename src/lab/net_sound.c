/*
 * White noise through a filter of one pole, twice around, so that the end goes on with the
 * beginning. Four frames of 16 bits are as good as never the same twice.
 */
#include "lab/net_sound.h"

#include "base/random.h"
#include "takt/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = TAKT_LAB_SOUND_FRAMES, TABLE = 4 * FRAMES };
static const uint32_t nowhere = UINT32_MAX;

static uint32_t hash_of(const float *x)
{
    uint64_t h = 0;
    for (int i = 0; i < TAKT_LAB_SOUND_KEY; i++)
        h = (h ^ (uint64_t)(int64_t)lrintf(x[i] * 32768)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 40) & (TABLE - 1);
}

static void make_noise(struct takt_lab_sound *s)
{
    static const float pole = 0.8f, level = 0.5f;
    float low = 0, lower = 0, most = 0;
    for (int round = 0; round < 2; round++) {
        struct takt_random r = takt_random_seed(20);
        for (int i = 0; i < FRAMES; i++) {
            low += (1 - pole) * ((float)takt_random_unit(&r) * 2 - 1 - low);
            lower += (1 - pole) * (low - lower);
            s->x[i] = lower;
            most = fmaxf(most, fabsf(lower));
        }
    }
    for (int i = 0; i < FRAMES; i++)
        s->x[i] = rintf(s->x[i] / most * level * 32768) / 32768 + 0.0f; /* no -0 */
    for (int i = 0; i < FRAMES; i++) {
        float step = fabsf(s->x[i] - s->x[(i + 1) & (FRAMES - 1)]);
        s->step_most = fmaxf(s->step_most, step);
        s->level_most = fmaxf(s->level_most, fabsf(s->x[i]));
    }
}

/* The key that begins at a place, which may go around. */
static void key_at(const struct takt_lab_sound *s, uint32_t at, float key[TAKT_LAB_SOUND_KEY])
{
    for (uint32_t i = 0; i < TAKT_LAB_SOUND_KEY; i++)
        key[i] = s->x[(at + i) & (FRAMES - 1)];
}

static void note_places(struct takt_lab_sound *s)
{
    float key[TAKT_LAB_SOUND_KEY];
    memset(s->from, 0xff, TABLE * sizeof *s->from);
    for (uint32_t at = 0; at < FRAMES; at++) {
        key_at(s, at, key);
        uint32_t slot = hash_of(key);
        while (s->from[slot] != nowhere)
            slot = (slot + 1) & (TABLE - 1);
        s->from[slot] = at;
    }
}

int takt_lab_sound_init(struct takt_lab_sound *s)
{
    *s = (struct takt_lab_sound){.x = malloc(FRAMES * sizeof *s->x),
                                 .from = malloc(TABLE * sizeof *s->from)};
    if (!s->x || !s->from) {
        takt_lab_sound_fini(s);
        return TAKT_ERR_NOMEM;
    }
    make_noise(s);
    note_places(s);
    return TAKT_OK;
}

void takt_lab_sound_fini(struct takt_lab_sound *s)
{
    free(s->x);
    free(s->from);
    *s = (struct takt_lab_sound){0};
}

int64_t takt_lab_sound_find(const struct takt_lab_sound *s, const float *x, int64_t near)
{
    float key[TAKT_LAB_SOUND_KEY];
    for (uint32_t slot = hash_of(x); s->from[slot] != nowhere; slot = (slot + 1) & (TABLE - 1)) {
        key_at(s, s->from[slot], key);
        if (memcmp(key, x, sizeof key) != 0)
            continue;
        int64_t off = (int64_t)s->from[slot] - (near & (FRAMES - 1));
        off = off >= FRAMES / 2 ? off - FRAMES : off < -FRAMES / 2 ? off + FRAMES : off;
        return near + off;
    }
    return -1;
}
