/*
 * net/conceal.h - what to play in place of PCM that did not come: the sound goes on as it was,
 * and fades out if nothing comes for long.
 *
 *     takt_conceal_create(&(struct takt_conceal_cfg){.rate_hz = 48000, .channels = 2}, &c);
 *
 *     if (came) {                              // in the callback, a packet or any part of one
 *         takt_conceal_join(c, planes, frames);
 *         takt_conceal_heard(c, (const float *const *)planes, frames);
 *     } else {
 *         takt_conceal_make(c, planes, frames);
 *     }
 *     takt_conceal_prepare(c);                 // before a loss: see below
 *
 * What is played is what linear prediction makes of the last 30 ms, each channel for itself: Burg's
 * method (net/burg.h) with 128 coefficients, at 48 kHz one for every fourth sample, which reach
 * 10.7 ms back. After 20 ms it fades, and after 60 ms it is silent: a syllable or a note lasts
 * about so long, and what is held longer turns into a buzz of its own (ITU-T G.711 Appendix I is
 * silent after 60 ms, too). It is never louder than the last 30 ms, and no step in it is much
 * larger than theirs; where nothing is known of the sound, its last sample dies away within a
 * millisecond.
 *
 * The sound that was missing over what was wrong in its place, in dB (bench/conceal.c; silence is
 * 0 dB, repeating the last millisecond -6..0). For losses of 1, 5 and 20 ms, the filter found right
 * before each; for one of 1 ms with a filter 10 and 50 ms old; and for 5 % of packets of 1 ms lost
 * at random, the filter found at each loss, and every 20 ms:
 *
 *                         1 ms   5 ms  20 ms    10 ms old  50 ms old    5 %, each  every 20 ms
 *     tone, 440 Hz          99     76     54           99        102           97           93
 *     organ chord           39     26     11           39         32           25           11
 *     voice (sim)            8      8      5            6          3            9            7
 *     guitar (sim)           5      5      3            2          1            4            4
 *     recorded speech        7      5      0            5          3            6            4
 *     pink noise             2      1      0            1          1            2            2
 *
 * So a filter some 20 ms old is better than none, but it is best to prepare when it is known that a
 * packet is missing, which is often before its time has come.
 */
#ifndef TAKT_NET_CONCEAL_H
#define TAKT_NET_CONCEAL_H

#include <stdbool.h>
#include <stdint.h>

struct takt_conceal;

struct takt_conceal_cfg {
    uint32_t rate_hz;  /* 8000..384000 */
    uint32_t channels; /* 1..64 */
};

/* The only call that allocates.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
int takt_conceal_create(const struct takt_conceal_cfg *cfg, struct takt_conceal **out);

/* c may be NULL. No thread may be at work. RT: no. */
void takt_conceal_destroy(struct takt_conceal *c);

/* Another sound begins: all that was heard and found is forgotten. What a worker is at is thrown
 * away when it is done. Thread: the owner. RT: yes (wait-free), O(window). */
void takt_conceal_reset(struct takt_conceal *c);

/* Good sound, as it is played: behind takt_conceal_join.
 * Shape: planes[channels][frames], any number of frames. What is not finite is taken as 0.
 * Thread: the owner. RT: yes (wait-free), O(frames). */
void takt_conceal_heard(struct takt_conceal *c, const float *const *planes, uint32_t frames);

/* Writes what takes the place of frames that are missing; however they are cut into calls, they
 * come out the same. Shape: planes[channels][frames].
 * Thread: the owner. RT: yes (wait-free), O(frames * order). */
void takt_conceal_make(struct takt_conceal *c, float *const *planes, uint32_t frames);

/* Leads from what was made over to good sound, in place, over as many frames as were missing, but
 * 2 ms at least and 4 ms at most; beyond these nothing is touched. To be called with all good
 * sound: where nothing was missing it costs nothing. Shape: planes[channels][frames].
 * Thread: the owner. RT: yes (wait-free), O(frames * order). */
void takt_conceal_join(struct takt_conceal *c, float *const *planes, uint32_t frames);

/* Finds how the sound goes on by what was heard last: ask and all of the work at once. Heavy: some
 * 65 us a channel at 48 kHz, where a packet of 1 ms takes 2 us to make, and 2 more at a loss's
 * first. Thread: the owner. RT: yes (wait-free), O(window * order). */
void takt_conceal_prepare(struct takt_conceal *c);

/* The same in parts, for a thread other than the owner's, or one channel in each callback. ask
 * lays a copy of the newest sound out; false, and nothing is done, while another is still being
 * worked on, or before there are 20 ms of sound, or so much again after a loss that faded. The
 * copy is the worker's until its last channel is done: one atomic says whose turn it is, so that
 * neither ever waits. Thread: the owner. RT: yes (wait-free), O(window). */
bool takt_conceal_ask(struct takt_conceal *c);

/* Works on one channel of that; true while there are more. What is found is used from the next
 * loss on, once all of them are done. Thread: one at a time, beside the owner. RT: yes
 * (wait-free), O(window * order). */
bool takt_conceal_work(struct takt_conceal *c);

#endif
