/*
 * net/follow.h - reads a line of frames as fast as another clock says: copied as it is while the
 * two agree, resampled while they do not, and no step between the one and the other.
 *
 *     takt_follow_steer(f, error_frames, glide, dt_s); // once a read, before it
 *     takt_playout_fill(p, j, takt_follow_first(f), takt_follow_until(f, frames), 0);
 *     takt_follow_read(f, p, out, frames);
 *
 * The copy is exact, bit by bit. It ends when the place read is more than 0.25 ms from where it
 * should be, or when a glide is asked for, and is taken up again after some seconds of agreement.
 * A line of another rate is always resampled.
 *
 * Thread: one at a time.
 */
#ifndef TAKT_NET_FOLLOW_H
#define TAKT_NET_FOLLOW_H

#include "net/playout.h"

enum { TAKT_FOLLOW_AHEAD = 16 }; /* frames of the line that resampling reads before their time */

struct takt_follow;

struct takt_follow_cfg {
    uint32_t channels;
    uint32_t line_hz, out_hz;
    uint32_t frames_max; /* of a read */
};

/* The only call that allocates. Errors: as takt_resampler_create(); *out is NULL then.
 * Thread: any. RT: no. */
int takt_follow_create(const struct takt_follow_cfg *cfg, struct takt_follow **out,
                       struct takt_error *e);

/* f may be NULL. RT: no. */
void takt_follow_destroy(struct takt_follow *f);

/* At place 0 of a line. drift: by how much faster than nominal the line is thought to run.
 * RT: yes (wait-free), O(1). */
void takt_follow_begin(struct takt_follow *f, double drift);

/* Before a read that lasts dt_s: the place that should be read less the one that will be, in frames
 * of the line; by how much faster to read on purpose, 0 for not at all; and whether resampling may
 * begin now, when it is time to. RT: yes (wait-free), O(1). */
void takt_follow_steer(struct takt_follow *f, double error_frames, double glide, bool may_begin,
                       double dt_s);

/* The place of the next frame out. RT: yes (wait-free), O(1). */
double takt_follow_place(const struct takt_follow *f);

/* Which part of the line a read of so many frames needs, and TAKT_PLAYOUT_KEPT frames before it.
 * RT: yes (wait-free), O(1). */
int64_t takt_follow_first(const struct takt_follow *f);
int64_t takt_follow_until(struct takt_follow *f, uint32_t frames);

/* Up to where a read needs the line that is the first one to be resampled after the copy.
 * RT: yes (wait-free), O(1). */
int64_t takt_follow_gliding(const struct takt_follow *f, uint32_t frames);

/* Shape: out[channels][frames]. RT: yes (wait-free), O(frames). */
void takt_follow_read(struct takt_follow *f, const struct takt_playout *from, float *const *out,
                      uint32_t frames);

/* Whether the line is copied as it is; and by how much faster than nominal it is read.
 * RT: yes (wait-free), O(1). */
bool takt_follow_is_exact(const struct takt_follow *f);
double takt_follow_drift(const struct takt_follow *f);

/* The most that one read takes of the line. RT: yes (wait-free), O(1). */
uint32_t takt_follow_line_max(const struct takt_follow_cfg *cfg);

#endif
