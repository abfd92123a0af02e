/*
 * wire/crypto.h - the few primitives that keys and SRTP are made of, and the one place that knows
 * which library has them: libcrypto of OpenSSL 3 (crypto_openssl.c). Without it (crypto_none.c)
 * every create and derivation fails with TAKT_ERR_UNSUPPORTED.
 *
 * Objects are made once and keyed; a packet then sets only its IV. Nothing here remembers data.
 * Thread: one at a time for an object. RT: no (the library promises nothing).
 */
#ifndef TAKT_WIRE_CRYPTO_H
#define TAKT_WIRE_CRYPTO_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_CTR_IV_BYTES = 16,
    TAKT_GCM_IV_BYTES = 12,
    TAKT_GCM_TAG_BYTES = 16,
    TAKT_SHA1_BYTES = 20
};

/* What lies where in a packet: `clear` and then `tail` are authenticated only, `data` also changes
 * in place. */
struct takt_sealed {
    const uint8_t *clear;
    size_t clear_bytes;
    uint8_t *data;
    size_t data_bytes;
    const uint8_t *tail;
    size_t tail_bytes;
};

/* ---- AES ------------------------------------------------------------------------------------- */

struct takt_cipher;

enum takt_cipher_kind { TAKT_AES_CTR, TAKT_AES_GCM };

/* key_bytes: 16 or 32. `encrypts` is for GCM, of which one object does one direction.
 * Errors: TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED; *out is NULL then. */
int takt_cipher_create(enum takt_cipher_kind kind, size_t key_bytes, bool encrypts,
                       struct takt_cipher **out, struct takt_error *e);

/* NULL is fine. Wipes the key. */
void takt_cipher_destroy(struct takt_cipher *c);

/* key[key_bytes]. False: the library failed, and c is of no use until a key is set. */
bool takt_cipher_key(struct takt_cipher *c, const uint8_t *key);

/* Adds the key stream from the counter block iv on to data, in place: there and back. */
bool takt_cipher_ctr(struct takt_cipher *c, const uint8_t iv[TAKT_CTR_IV_BYTES], uint8_t *data,
                     size_t bytes);

/* Encrypts p->data and makes the tag. */
bool takt_cipher_seal(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, uint8_t tag[TAKT_GCM_TAG_BYTES]);

/* Decrypts p->data; false if the tag does not fit it. What data then holds is not to be used, but
 * the same call once more restores it, since the key stream is added twice. */
bool takt_cipher_open(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, const uint8_t tag[TAKT_GCM_TAG_BYTES]);

/* ---- HMAC-SHA1 ------------------------------------------------------------------------------- */

struct takt_mac;

/* Errors: TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED; *out is NULL then. */
int takt_mac_create(struct takt_mac **out, struct takt_error *e);

/* NULL is fine. Wipes the key. */
void takt_mac_destroy(struct takt_mac *m);

bool takt_mac_key(struct takt_mac *m, const uint8_t *key, size_t bytes);

/* Of p->clear, p->data and p->tail in this order. */
bool takt_mac_of(struct takt_mac *m, const struct takt_sealed *p, uint8_t out[TAKT_SHA1_BYTES]);

/* ---- Keys from keys -------------------------------------------------------------------------- */

/* HKDF of RFC 5869 on SHA-256: out[out_bytes], at most 8160.
 * Errors: TAKT_ERR_UNSUPPORTED, TAKT_ERR_SYSTEM; out is zeros then. */
int takt_hkdf(const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes,
              const uint8_t *info, size_t info_bytes, uint8_t *out, size_t out_bytes,
              struct takt_error *e);

/* scrypt of RFC 7914; takes 128 * r * n bytes of memory meanwhile. Errors: as takt_hkdf. */
int takt_scrypt(const char *text, size_t text_bytes, const char *salt, size_t salt_bytes,
                uint64_t n, uint32_t r, uint32_t p, uint8_t *out, size_t out_bytes,
                struct takt_error *e);

/* Whether both are the same, in a time that does not tell where they differ. */
bool takt_same(const uint8_t *a, const uint8_t *b, size_t bytes);

#endif
