/*
 * wire/srtp.h - packets that only those with the key can read, make or play again: SRTP and SRTCP
 * (RFC 3711) with AES-GCM (RFC 7714) or AES-CM and HMAC-SHA1.
 *
 *     takt_srtp_create(&(struct takt_srtp_cfg){.sends = true, .mki_bytes = 4}, &s, &e);
 *     takt_srtp_set_key(s, &key, &e);             // of epoch key.mki; up to three are held
 *     bytes = takt_srtp_protect(s, packet, bytes, sizeof packet);
 *
 *     bytes = takt_srtp_unprotect(s, packet, bytes, has_note ? &note.roc : NULL);
 *     if (bytes < 0)
 *         drop(packet);                           // and nothing else has changed
 *
 * A context does one direction. It works in place, takes all its memory when it is made, and knows
 * each source (SSRC) by the index of its newest packet: 48 bits, of which the packet shows the
 * lower 16. The upper 32, the rollover counter, are RFC 3711's weak spot: a receiver that joins
 * after a wrap, or was cut off for more than 2^15 packets, guesses wrong for ever. Here
 *
 *   - takt's senders put the counter into each packet, in a header extension that the tag covers
 *     (struct takt_srtp_note); a receiver hands it in as a hint, which counts once the tag fits;
 *   - of peers without it, when 32 packets in a row were refused, every 16th more is tried once
 *     again at a later counter, 1 to 256 wraps on. So forged packets cost at most an eighth more
 *     than they would, and a source of 1 ms packets is found within 4 s. Counters before the guess
 *     are not tried: what was authenticated was not too new.
 *
 * An index is taken once: both sides keep a window of the newest 1024, so a receiver refuses what
 * is played again and a sender never makes two packets with one key and nonce.
 */
#ifndef TAKT_WIRE_SRTP_H
#define TAKT_WIRE_SRTP_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum takt_srtp_suite {
    TAKT_SRTP_AES_256_GCM = 0,
    TAKT_SRTP_AES_128_GCM,
    TAKT_SRTP_AES_128_SHA1_80, /* for other tools */
    TAKT_SRTP_AES_128_SHA1_32  /* the same; a forger has one chance in 2^32 a packet */
};
enum { TAKT_SRTP_SUITES = 4 };

enum {
    TAKT_SRTP_KEY_BYTES_MAX = 32,
    TAKT_SRTP_SALT_BYTES_MAX = 14,
    TAKT_SRTP_TRAILER_BYTES_MAX = 24, /* that protecting may add: tag, MKI, index of SRTCP */
    TAKT_SRTP_WINDOW = 1024,
    TAKT_SRTP_NOTE_BYTES = 12
};

/* The suite's name in SDP (RFC 4568, RFC 7714), and the sizes of its master key and salt. RT: yes.
 */
const char *takt_srtp_suite_name(enum takt_srtp_suite suite);
size_t takt_srtp_key_bytes(enum takt_srtp_suite suite);
size_t takt_srtp_salt_bytes(enum takt_srtp_suite suite);

/* A master key, of which the suite's sizes are used. Wipe it when it has been set. */
struct takt_srtp_key {
    uint32_t mki; /* its name in packets: the lower mki_bytes of it, highest byte first */
    uint8_t key[TAKT_SRTP_KEY_BYTES_MAX];
    uint8_t salt[TAKT_SRTP_SALT_BYTES_MAX];
};

/* What a master key becomes (RFC 3711, 4.3, at key derivation rate 0). [0]: SRTP, [1]: SRTCP. */
struct takt_srtp_session {
    uint8_t key[2][TAKT_SRTP_KEY_BYTES_MAX];
    uint8_t salt[2][TAKT_SRTP_SALT_BYTES_MAX];
    uint8_t auth[2][20]; /* nothing for GCM */
};

/* Errors: TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED, TAKT_ERR_SYSTEM. Thread: any. RT: no. */
int takt_srtp_derive(enum takt_srtp_suite suite, const struct takt_srtp_key *key,
                     struct takt_srtp_session *out, struct takt_error *e);

/* ---- A context ------------------------------------------------------------------------------- */

struct takt_srtp;

/* A zero field takes its default. */
struct takt_srtp_cfg {
    enum takt_srtp_suite suite; /* default TAKT_SRTP_AES_256_GCM */
    bool sends;                 /* it protects; default: it unprotects */
    uint32_t mki_bytes;         /* 0..4; without an MKI there is one key at a time */
    uint32_t sources;           /* how many SSRCs it knows, 1..1024; default 16 */
    uint32_t rtcp_index;        /* of the first SRTCP packet that is sent, below 2^31 */
};

/* Since create. Refused packets are in exactly one of the first five. */
struct takt_srtp_counts {
    uint64_t malformed; /* too short, or no RTP at all */
    uint64_t keyless;   /* an MKI of which there is no key */
    uint64_t forged;    /* the tag does not fit: another key, another sender, a bit fell over */
    uint64_t replayed;  /* seen before, or too old to know */
    uint64_t crowded;   /* from one source more than there is room for */
    uint64_t passed;
    uint64_t searched; /* trials at a later rollover counter */
};

/* Takes all the memory there will be. There is no key yet.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED (built without OpenSSL); *out is NULL
 * then. Thread: any. RT: no. */
int takt_srtp_create(const struct takt_srtp_cfg *cfg, struct takt_srtp **out, struct takt_error *e);

/* Wipes the keys. NULL is fine. Thread: any, when no other uses it. RT: no. */
void takt_srtp_destroy(struct takt_srtp *s);

/* For one that unprotects: keys and sources are forgotten, as after create; counts go on. What was
 * taken before can be played again, unless a new key sees to it. Thread: one at a time. RT: yes. */
void takt_srtp_restart(struct takt_srtp *s);

/* Adds a key, in place of that of the same MKI or else of the oldest one, once there are three; a
 * sender's present one stays, and it goes on with it until takt_srtp_use. Without an MKI it takes
 * the place of the only one. Packet indices go on. Errors: TAKT_ERR_NOMEM, TAKT_ERR_SYSTEM; the key
 * is then not there. Thread: one at a time. RT: no. */
int takt_srtp_set_key(struct takt_srtp *s, const struct takt_srtp_key *key, struct takt_error *e);

/* The same with keys that were derived elsewhere. Thread: one at a time. RT: no. */
int takt_srtp_set_session(struct takt_srtp *s, uint32_t mki, const struct takt_srtp_session *keys,
                          struct takt_error *e);

/* A sender's next packets take the key of this MKI; until the first call, the first that was set.
 * Errors: TAKT_ERR_NOT_FOUND: no such key; nothing has changed. Thread: one at a time. RT: no. */
int takt_srtp_use(struct takt_srtp *s, uint32_t mki);

/* Bytes that protecting adds. Thread: any. RT: yes. */
size_t takt_srtp_added(const struct takt_srtp *s);
size_t takt_srtcp_added(const struct takt_srtp *s);

/* The rollover counter that a packet of this source and number is going to have, for its note.
 * Thread: one at a time. RT: yes. */
uint32_t takt_srtp_roc(const struct takt_srtp *s, uint32_t ssrc, uint16_t seq);

/* Encrypts and signs a whole RTP packet in place; room: bytes that there are from packet on.
 * Returns its new size. Errors: TAKT_ERR_FORMAT: no RTP; TAKT_ERR_FULL: no room, or a source too
 * many; TAKT_ERR_STATE: no key yet, or this index was used before or is too old to know;
 * TAKT_ERR_END: the last index is used up, a new key is needed; TAKT_ERR_SYSTEM: the library
 * failed. Never send a packet after an error. Thread: one at a time. RT: no. */
int takt_srtp_protect(struct takt_srtp *s, uint8_t *packet, size_t bytes, size_t room);

/* Checks and decrypts a packet in place; roc: what the packet's note says, or NULL.
 * Returns the size of the RTP packet. Errors: TAKT_ERR_FORMAT: malformed or forged;
 * TAKT_ERR_NOT_FOUND: no key for it; TAKT_ERR_STATE: played again, or too old to know;
 * TAKT_ERR_FULL: a source too many. After an error the packet's bytes are of no use, and the
 * context is as it was, but for its counts and its search. Thread: one at a time. RT: no. */
int takt_srtp_unprotect(struct takt_srtp *s, uint8_t *packet, size_t bytes, const uint32_t *roc);

/* The same for compound RTCP; there is no counter to know. Thread: one at a time. RT: no. */
int takt_srtcp_protect(struct takt_srtp *s, uint8_t *packet, size_t bytes, size_t room);

/* Packets that are only signed (E = 0) are taken, too, though never sent. Thread: one at a time.
 * RT: no. */
int takt_srtcp_unprotect(struct takt_srtp *s, uint8_t *packet, size_t bytes);

/* What an SRTCP packet says of itself in the clear. It is anybody's word until the tag fits. */
struct takt_srtcp_label {
    uint32_t ssrc, mki;
    uint32_t index; /* 31 bits */
};

/* Reads the label of a packet of this context's suite and MKI. Returns 0. Errors: TAKT_ERR_FORMAT:
 * too short, or no RTCP. Thread: one at a time. RT: yes. */
int takt_srtcp_read_label(const struct takt_srtp *s, uint8_t *packet, size_t bytes,
                          struct takt_srtcp_label *out);

/* Thread: one at a time. RT: yes. */
void takt_srtp_read_counts(const struct takt_srtp *s, struct takt_srtp_counts *out);

/* ---- The note -------------------------------------------------------------------------------- */

/* The URI that SDP maps the header extension element by (RFC 8285). The element is in each packet:
 *
 *     bytes 0..3   rollover counter, highest byte first
 *     bytes 4..11  the sender's start (wire/srtp_key.h), of which the receiver derives its keys
 *
 * So whoever joins, at whatever packet, has all that it needs but the secret. It is in the clear,
 * and the tag covers it. 13 bytes in a packet of 1 ms, or 104 kb/s. */
#define TAKT_SRTP_NOTE_URI "urn:takt:srtp"

struct takt_srtp_note {
    uint32_t roc;
    uint64_t start;
};

/* RT: yes. */
void takt_srtp_note_put(const struct takt_srtp_note *note, uint8_t out[TAKT_SRTP_NOTE_BYTES]);

/* False for another size. RT: yes. */
bool takt_srtp_note_get(const uint8_t *in, size_t bytes, struct takt_srtp_note *out);

#endif
