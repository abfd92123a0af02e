/*
 * lab/net_sound.h - a sound without end in which every place can be told: noise without high
 * frequencies, so that a step that does not belong to it stands out; or with pauses.
 *
 * Thread: any for a sound that is made.
 */
#ifndef TAKT_LAB_NET_SOUND_H
#define TAKT_LAB_NET_SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_LAB_SOUND_FRAMES = 1 << 17, /* after which it repeats */
    TAKT_LAB_SOUND_SHIFT = 7919,     /* by which each channel is ahead of the one before */
    TAKT_LAB_SOUND_KEY = 4           /* frames that say where they are from */
};

struct takt_lab_sound {
    float *x;       /* [TAKT_LAB_SOUND_FRAMES], of 16 bits */
    uint32_t *from; /* where a key may be from, by its hash */
    float step_most, level_most;
};

/* Errors: TAKT_ERR_NOMEM. RT: no. */
int takt_lab_sound_init(struct takt_lab_sound *s);
void takt_lab_sound_fini(struct takt_lab_sound *s);

/* The frame of a channel. pause_frames: 0, or of so many every fourth part is silent. RT: yes. */
static inline float takt_lab_sound_at(const struct takt_lab_sound *s, int64_t frame,
                                      uint32_t channel, uint32_t pause_frames)
{
    if (pause_frames && (uint64_t)frame % pause_frames >= pause_frames / 4 * 3)
        return 0;
    uint64_t at = (uint64_t)frame + (uint64_t)channel * TAKT_LAB_SOUND_SHIFT;
    return s->x[at & (TAKT_LAB_SOUND_FRAMES - 1)];
}

/* Which frame of channel 0 the first of these is, the nearest to `near`; below 0: none. RT: no. */
int64_t takt_lab_sound_find(const struct takt_lab_sound *s, const float *x, int64_t near);

#endif
