/*
 * What stands in for the library of ciphers where takt is built without one. No object is ever
 * made, so nothing else here is ever called with one.
 */
#include "wire/crypto.h"

#include "base/fail.h"

#include <string.h>

static int missing(struct takt_error *e)
{
    return takt_fail(
        e, TAKT_ERR_UNSUPPORTED, 0,
        "this takt was built without encryption; build it with libssl-dev (OpenSSL 3)");
}

int takt_cipher_create(enum takt_cipher_kind kind, size_t key_bytes, bool encrypts,
                       struct takt_cipher **out, struct takt_error *e)
{
    *out = NULL;
    return missing(e);
}

void takt_cipher_destroy(struct takt_cipher *c)
{
}

bool takt_cipher_key(struct takt_cipher *c, const uint8_t *key)
{
    return false;
}

bool takt_cipher_ctr(struct takt_cipher *c, const uint8_t iv[TAKT_CTR_IV_BYTES], uint8_t *data,
                     size_t bytes)
{
    return false;
}

bool takt_cipher_seal(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, uint8_t tag[TAKT_GCM_TAG_BYTES])
{
    return false;
}

bool takt_cipher_open(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, const uint8_t tag[TAKT_GCM_TAG_BYTES])
{
    return false;
}

int takt_mac_create(struct takt_mac **out, struct takt_error *e)
{
    *out = NULL;
    return missing(e);
}

void takt_mac_destroy(struct takt_mac *m)
{
}

bool takt_mac_key(struct takt_mac *m, const uint8_t *key, size_t bytes)
{
    return false;
}

bool takt_mac_of(struct takt_mac *m, const struct takt_sealed *p, uint8_t out[TAKT_SHA1_BYTES])
{
    return false;
}

int takt_hkdf(const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes,
              const uint8_t *info, size_t info_bytes, uint8_t *out, size_t out_bytes,
              struct takt_error *e)
{
    memset(out, 0, out_bytes);
    return missing(e);
}

int takt_scrypt(const char *text, size_t text_bytes, const char *salt, size_t salt_bytes,
                uint64_t n, uint32_t r, uint32_t p, uint8_t *out, size_t out_bytes,
                struct takt_error *e)
{
    memset(out, 0, out_bytes);
    return missing(e);
}

bool takt_same(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    return !memcmp(a, b, bytes);
}
