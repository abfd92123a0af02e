/*
 * HKDF with the start and the SSRC as its salt, and the rest as its label. All numbers have a fixed
 * place and size, so no two uses give the same bytes.
 */
#include "wire/srtp_key.h"

#include "wire/crypto.h"

#include <string.h>

static void put(uint8_t *at, uint64_t x, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; x >>= 8)
        at[i] = (uint8_t)x;
}

int takt_srtp_key_derive(const struct takt_key *key, const struct takt_srtp_key_use *use,
                         struct takt_srtp_key *out, struct takt_error *e)
{
    static const char label[] = "takt srtp 1";
    enum { LABEL_BYTES = sizeof label - 1 };
    uint8_t salt[12], info[LABEL_BYTES + 6];
    uint8_t made[TAKT_SRTP_KEY_BYTES_MAX + TAKT_SRTP_SALT_BYTES_MAX];
    size_t key_bytes = takt_srtp_key_bytes(use->suite);
    size_t salt_bytes = takt_srtp_salt_bytes(use->suite);
    put(salt, use->start, 8);
    put(salt + 8, use->ssrc, 4);
    memcpy(info, label, LABEL_BYTES);
    info[LABEL_BYTES] = (uint8_t)use->suite;
    info[LABEL_BYTES + 1] = (uint8_t)use->way;
    put(info + LABEL_BYTES + 2, use->epoch, 4);
    memset(out, 0, sizeof *out);
    int err = takt_hkdf(key->bytes, sizeof key->bytes, salt, sizeof salt, info, sizeof info, made,
                        key_bytes + salt_bytes, e);
    if (err < 0)
        return err;
    out->mki = use->epoch;
    memcpy(out->key, made, key_bytes);
    memcpy(out->salt, made + key_bytes, salt_bytes);
    explicit_bzero(made, sizeof made);
    return 0;
}

uint64_t takt_srtp_start(uint64_t unix_s, uint32_t chance)
{
    return unix_s << 32 | chance;
}
