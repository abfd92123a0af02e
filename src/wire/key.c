/*
 * The forms of a key. takt/key.h's calls that need files are io/key_file.c.
 *
 * The salt of a passphrase is takt's own and always the same: a receiver that hears one packet has
 * to come to the key from the phrase alone, and a salt that the packet brought would let whoever
 * forges packets order a tenth of a second of work with each. See docs/decisions/0021.
 */
#include "wire/key.h"

#include "base/fail.h"
#include "wire/crypto.h"

#include <string.h>

static const char head[] = "takt-key-1 ", digits[] = "0123456789abcdef";
enum { HEAD_BYTES = sizeof head - 1, DIGITS = 2 * TAKT_KEY_BYTES };

void takt_key_print(const struct takt_key *k, char out[TAKT_KEY_TEXT_BYTES])
{
    memcpy(out, head, HEAD_BYTES);
    for (size_t i = 0; i < TAKT_KEY_BYTES; i++) {
        out[HEAD_BYTES + 2 * i] = digits[k->bytes[i] >> 4];
        out[HEAD_BYTES + 2 * i + 1] = digits[k->bytes[i] & 15];
    }
    out[TAKT_KEY_TEXT_BYTES - 1] = '\n';
}

/* -1 for what is no digit. */
static int value_of(char digit)
{
    if (digit >= 'A' && digit <= 'F')
        digit = (char)(digit - 'A' + 'a');
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool takt_key_parse(const char *text, size_t bytes, struct takt_key *out)
{
    memset(out, 0, sizeof *out);
    if (bytes == TAKT_KEY_TEXT_BYTES && text[bytes - 1] == '\n')
        bytes--;
    if (bytes != HEAD_BYTES + DIGITS || memcmp(text, head, HEAD_BYTES) != 0)
        return false;
    for (size_t i = 0; i < TAKT_KEY_BYTES; i++) {
        int high = value_of(text[HEAD_BYTES + 2 * i]), low = value_of(text[HEAD_BYTES + 2 * i + 1]);
        if (high < 0 || low < 0) {
            takt_key_wipe(out);
            return false;
        }
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int takt_key_from_passphrase(const char *text, struct takt_key *out, struct takt_error *e)
{
    static const char salt[] = "takt passphrase 1";
    size_t bytes = strlen(text);
    memset(out, 0, sizeof *out);
    if (bytes < TAKT_PASSPHRASE_BYTES_MIN || bytes > TAKT_PASSPHRASE_BYTES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a passphrase of %zu bytes: give %d to %d, six random words or more",
                         bytes, TAKT_PASSPHRASE_BYTES_MIN, TAKT_PASSPHRASE_BYTES_MAX);
    return takt_scrypt(text, bytes, salt, sizeof salt - 1, 1u << 15, 8, 1, out->bytes,
                       sizeof out->bytes, e);
}

void takt_key_wipe(struct takt_key *k)
{
    explicit_bzero(k, sizeof *k);
}
