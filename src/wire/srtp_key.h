/*
 * wire/srtp_key.h - from the key that two people share to the keys of one stream.
 *
 *     use = (struct takt_srtp_key_use){.suite = cfg.suite, .ssrc = ssrc, .start = start};
 *     takt_srtp_key_derive(&key, &use, &k, &e);
 *     takt_srtp_set_key(s, &k, &e);               // its MKI is the epoch
 *     explicit_bzero(&k, sizeof k);
 *
 * The same key and nonce must never occur twice, whatever restarts. So each start of a sender draws
 * an SSRC and a start at random, 64 bits of chance beside the second it happened in, and everything
 * that a stream is named by goes into HKDF-SHA256: another start, source, way, suite or epoch,
 * other keys. Within a stream the packets' indices keep nonces apart (wire/srtp.h).
 *
 * A receiver reads SSRC and start off any packet (struct takt_srtp_note) and the epoch off its MKI
 * of four bytes. It derives, tries, and keeps the keys if the tag fits. An epoch is another key of
 * the same secret: it bounds what one key protects, and is no new secret.
 *
 * The way back (reports): .way = TAKT_SRTP_BACK, .ssrc the reporter's, .start that of the stream
 * reported on, .epoch a random number that the reporter draws when it starts. Its MKI shows it.
 */
#ifndef TAKT_WIRE_SRTP_KEY_H
#define TAKT_WIRE_SRTP_KEY_H

#include "takt/key.h"
#include "wire/srtp.h"

#include <stdint.h>

enum takt_srtp_way { TAKT_SRTP_FORTH = 0, TAKT_SRTP_BACK };

struct takt_srtp_key_use {
    enum takt_srtp_suite suite;
    enum takt_srtp_way way;
    uint32_t ssrc;
    uint32_t epoch;
    uint64_t start; /* of takt_srtp_start */
};

/* The key and salt of one use; out->mki is the epoch.
 * Errors: TAKT_ERR_UNSUPPORTED, TAKT_ERR_SYSTEM; *out is zeros then. Thread: any. RT: no. */
int takt_srtp_key_derive(const struct takt_key *key, const struct takt_srtp_key_use *use,
                         struct takt_srtp_key *out, struct takt_error *e);

/* A start: its second since 1970 above 32 random bits, so that a later one is a greater number and
 * of two senders that claim to be the same stream the newer is known. Thread: any. RT: yes. */
uint64_t takt_srtp_start(uint64_t unix_s, uint32_t chance);

#endif
