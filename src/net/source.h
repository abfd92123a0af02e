/*
 * net/source.h - one sender as a receiver hears it: what is believed of its packets, when they are
 * due, and the sound of them.
 *
 * Thread: one at a time. RT: yes (wait-free), all calls but create and destroy.
 */
#ifndef TAKT_NET_SOURCE_H
#define TAKT_NET_SOURCE_H

#include "net/receiver.h"

struct takt_source;

/* cfg: a receiver's, without defaults left open; what it points to outlives the source. The only
 * call that allocates. Errors: as takt_receiver_create(); *out is NULL then. RT: no. */
int takt_source_create(const struct takt_receiver_cfg *cfg, struct takt_source **out,
                       struct takt_error *e);

/* s may be NULL. RT: no. */
void takt_source_destroy(struct takt_source *s);

/* Another sender takes the place, believed already: p is its newest packet, which
 * takt_source_packet then takes as well. RT: yes (wait-free), O(packets_max). */
void takt_source_begin(struct takt_source *s, const struct takt_net_packet *p);

/* RT: yes (wait-free), O(1). */
bool takt_source_is_live(const struct takt_source *s);
uint32_t takt_source_ssrc(const struct takt_source *s);
int64_t takt_source_silent_ns(const struct takt_source *s, int64_t now_ns);

/* RT: yes (wait-free), as takt_receiver_packet(). */
void takt_source_packet(struct takt_source *s, const struct takt_net_packet *p);

/* takt_receiver_end(). RT: yes (wait-free), O(formats). */
void takt_source_end(struct takt_source *s);

/* takt_receiver_help(). RT: yes (wait-free). */
bool takt_source_help(struct takt_source *s);

/* Adds the next frames to out. ahead_ns: how long before play_ns the packets that are played have
 * to be there. Shape: out[channels][frames] of the receiver. RT: yes (wait-free). */
void takt_source_pull(struct takt_source *s, int64_t play_ns, int64_t ahead_ns, float *const *out,
                      uint32_t frames);

/* takt_receiver_hist(). RT: yes (wait-free), O(1). */
const struct takt_hist *takt_source_hist(const struct takt_source *s,
                                         enum takt_receiver_hist which);

/* RT: yes (wait-free), O(1). */
void takt_source_read(const struct takt_source *s, struct takt_receiver_source *out);

#endif
