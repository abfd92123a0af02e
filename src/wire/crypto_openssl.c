/*
 * wire/crypto.h on libcrypto. What an algorithm's name stands for is looked up when an object is
 * made; from then on only keys and IVs change, and that needs no lock of the library's.
 */
#include "wire/crypto.h"

#include "base/assert.h"
#include "base/fail.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

struct takt_cipher {
    EVP_CIPHER_CTX *ctx;
    bool encrypts;
};

struct takt_mac {
    EVP_MAC_CTX *ctx;
};

/* The library keeps a list of what went wrong in each thread; ours is told by the return value. */
static bool good(int result)
{
    if (result == 1)
        return true;
    ERR_clear_error();
    return false;
}

/* ---- AES ------------------------------------------------------------------------------------- */

int takt_cipher_create(enum takt_cipher_kind kind, size_t key_bytes, bool encrypts,
                       struct takt_cipher **out, struct takt_error *e)
{
    static const char *const names[2][2] = {{"AES-128-CTR", "AES-256-CTR"},
                                            {"AES-128-GCM", "AES-256-GCM"}};
    TAKT_ASSERT(key_bytes == 16 || key_bytes == 32);
    const char *name = names[kind == TAKT_AES_GCM][key_bytes == 32];
    *out = NULL;
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, name, NULL);
    if (!algorithm) {
        ERR_clear_error();
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "OpenSSL has no %s here", name);
    }
    struct takt_cipher *c = calloc(1, sizeof *c);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool made = c && ctx && good(EVP_CipherInit_ex(ctx, algorithm, NULL, NULL, NULL, encrypts));
    EVP_CIPHER_free(algorithm);
    if (!made) {
        EVP_CIPHER_CTX_free(ctx);
        free(c);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a cipher");
    }
    *c = (struct takt_cipher){ctx, encrypts};
    *out = c;
    return 0;
}

void takt_cipher_destroy(struct takt_cipher *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->ctx);
    free(c);
}

bool takt_cipher_key(struct takt_cipher *c, const uint8_t *key)
{
    return good(EVP_CipherInit_ex(c->ctx, NULL, NULL, key, NULL, -1));
}

/* NULL as `out` makes it authenticated only. */
static bool update(struct takt_cipher *c, uint8_t *out, const uint8_t *in, size_t bytes)
{
    int done;
    return !bytes || good(EVP_CipherUpdate(c->ctx, out, &done, in, (int)bytes));
}

bool takt_cipher_ctr(struct takt_cipher *c, const uint8_t iv[TAKT_CTR_IV_BYTES], uint8_t *data,
                     size_t bytes)
{
    return good(EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, iv, -1)) &&
           update(c, data, data, bytes);
}

static bool run(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                const struct takt_sealed *p)
{
    return good(EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, iv, -1)) &&
           update(c, NULL, p->clear, p->clear_bytes) && update(c, NULL, p->tail, p->tail_bytes) &&
           update(c, p->data, p->data, p->data_bytes);
}

bool takt_cipher_seal(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, uint8_t tag[TAKT_GCM_TAG_BYTES])
{
    uint8_t rest[16];
    int done;
    TAKT_ASSERT(c->encrypts);
    return run(c, iv, p) && good(EVP_CipherFinal_ex(c->ctx, rest, &done)) &&
           good(EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, TAKT_GCM_TAG_BYTES, tag));
}

bool takt_cipher_open(struct takt_cipher *c, const uint8_t iv[TAKT_GCM_IV_BYTES],
                      const struct takt_sealed *p, const uint8_t tag[TAKT_GCM_TAG_BYTES])
{
    uint8_t expected[TAKT_GCM_TAG_BYTES], rest[16];
    int done;
    TAKT_ASSERT(!c->encrypts);
    memcpy(expected, tag, sizeof expected); /* the library asks for one that it may write to */
    return run(c, iv, p) &&
           good(EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof expected, expected)) &&
           good(EVP_CipherFinal_ex(c->ctx, rest, &done));
}

/* ---- HMAC-SHA1 ------------------------------------------------------------------------------- */

int takt_mac_create(struct takt_mac **out, struct takt_error *e)
{
    char sha1[] = "SHA1";
    OSSL_PARAM settings[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha1, 0),
                             OSSL_PARAM_construct_end()};
    *out = NULL;
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!algorithm) {
        ERR_clear_error();
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "OpenSSL has no HMAC here");
    }
    struct takt_mac *m = calloc(1, sizeof *m);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(algorithm);
    bool made = m && ctx && good(EVP_MAC_CTX_set_params(ctx, settings));
    EVP_MAC_free(algorithm);
    if (!made) {
        EVP_MAC_CTX_free(ctx);
        free(m);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for an HMAC");
    }
    m->ctx = ctx;
    *out = m;
    return 0;
}

void takt_mac_destroy(struct takt_mac *m)
{
    if (!m)
        return;
    EVP_MAC_CTX_free(m->ctx);
    free(m);
}

bool takt_mac_key(struct takt_mac *m, const uint8_t *key, size_t bytes)
{
    return good(EVP_MAC_init(m->ctx, key, bytes, NULL));
}

bool takt_mac_of(struct takt_mac *m, const struct takt_sealed *p, uint8_t out[TAKT_SHA1_BYTES])
{
    size_t done;
    return good(EVP_MAC_init(m->ctx, NULL, 0, NULL)) && /* with the key that it has */
           good(EVP_MAC_update(m->ctx, p->clear, p->clear_bytes)) &&
           good(EVP_MAC_update(m->ctx, p->data, p->data_bytes)) &&
           good(EVP_MAC_update(m->ctx, p->tail, p->tail_bytes)) &&
           good(EVP_MAC_final(m->ctx, out, &done, TAKT_SHA1_BYTES));
}

/* ---- Keys from keys -------------------------------------------------------------------------- */

/* A derivation of the library's, by its name and settings. */
static int derive(const char *name, const OSSL_PARAM *settings, uint8_t *out, size_t out_bytes,
                  struct takt_error *e)
{
    memset(out, 0, out_bytes);
    EVP_KDF *algorithm = EVP_KDF_fetch(NULL, name, NULL);
    if (!algorithm) {
        ERR_clear_error();
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "OpenSSL has no %s here", name);
    }
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(algorithm);
    EVP_KDF_free(algorithm);
    bool made = ctx && good(EVP_KDF_derive(ctx, out, out_bytes, settings));
    EVP_KDF_CTX_free(ctx);
    if (made)
        return 0;
    OPENSSL_cleanse(out, out_bytes);
    return takt_fail(e, TAKT_ERR_SYSTEM, 0, "OpenSSL could not derive a key by %s", name);
}

/* The library reads what the parameter points to and never writes there. */
static OSSL_PARAM octets(const char *name, const void *at, size_t bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)at, bytes);
}

int takt_hkdf(const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes,
              const uint8_t *info, size_t info_bytes, uint8_t *out, size_t out_bytes,
              struct takt_error *e)
{
    char sha256[] = "SHA256";
    OSSL_PARAM settings[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
                             octets(OSSL_KDF_PARAM_KEY, secret, secret_bytes),
                             octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes),
                             octets(OSSL_KDF_PARAM_INFO, info, info_bytes),
                             OSSL_PARAM_construct_end()};
    return derive("HKDF", settings, out, out_bytes, e);
}

int takt_scrypt(const char *text, size_t text_bytes, const char *salt, size_t salt_bytes,
                uint64_t n, uint32_t r, uint32_t p, uint8_t *out, size_t out_bytes,
                struct takt_error *e)
{
    uint64_t memory_bytes_max = 256 * (uint64_t)r * n + (1u << 20);
    OSSL_PARAM settings[] = {
        octets(OSSL_KDF_PARAM_PASSWORD, text, text_bytes),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory_bytes_max),
        OSSL_PARAM_construct_end()};
    return derive("SCRYPT", settings, out, out_bytes, e);
}

bool takt_same(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    return !CRYPTO_memcmp(a, b, bytes);
}
