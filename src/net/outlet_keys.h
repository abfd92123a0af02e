/*
 * net/outlet_keys.h - the keys of an outlet: two sources forth, of which each has keys of its own,
 * in epochs; and the way back, a key for each that reports.
 *
 *     takt_outlet_keys_turn(k, now_ns);                       // before packets are made
 *     takt_outlet_keys_note(k, TAKT_OUTLET_RTP, seq, &note);  // of the packet to be made
 *     bytes = takt_outlet_keys_protect(k, TAKT_OUTLET_RTP, packet, bytes, room);
 *     bytes = takt_outlet_keys_open(k, packet, bytes, now_ns);
 *
 * Thread: one at a time, all calls. RT: no, but where it says so.
 */
#ifndef TAKT_NET_OUTLET_KEYS_H
#define TAKT_NET_OUTLET_KEYS_H

#include "net/outlet.h"

struct takt_outlet_keys;

/* Of cfg->key or cfg->srtp_key, of which there is one. Takes all the memory there will be.
 * Errors: those of takt_srtp_create() and takt_srtp_set_key(); *out is NULL then. */
int takt_outlet_keys_create(const struct takt_outlet_cfg *cfg, struct takt_outlet_keys **out,
                            struct takt_error *e);

/* Wipes the keys. NULL is fine. */
void takt_outlet_keys_destroy(struct takt_outlet_keys *k);

/* Bytes that protecting adds to RTP. */
size_t takt_outlet_keys_added(const struct takt_outlet_keys *k);

/* Whether packets carry a note. */
bool takt_outlet_keys_has_note(const struct takt_outlet_keys *k);

/* The note of the RTP or repair packet of this number. RT: yes (wait-free), O(1). */
void takt_outlet_keys_note(const struct takt_outlet_keys *k, enum takt_outlet_kind kind,
                           uint16_t seq, struct takt_srtp_note *out);

/* Begins the next epoch where it is due; the first begins with the first call. Where libcrypto
 * fails, the old one goes on, and a second later it is tried again. */
void takt_outlet_keys_turn(struct takt_outlet_keys *k, int64_t now_ns);

uint32_t takt_outlet_keys_epoch(const struct takt_outlet_keys *k);

/* As takt_srtp_protect() and takt_srtcp_protect(). */
int takt_outlet_keys_protect(struct takt_outlet_keys *k, enum takt_outlet_kind kind,
                             uint8_t *packet, size_t bytes, size_t room);

/* Decrypts a report in place. Returns its bytes. Errors: TAKT_ERR_FORMAT: no report, forged, or of
 * ourselves; TAKT_ERR_STATE: played again; TAKT_ERR_FULL: one reporter or one trial too many;
 * TAKT_ERR_SYSTEM. */
int takt_outlet_keys_open(struct takt_outlet_keys *k, uint8_t *packet, size_t bytes,
                          int64_t now_ns);

#endif
