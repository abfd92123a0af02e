/*
 * takt/key.h - the secret that both ends of an encrypted stream share.
 *
 *     takt_key_new("studio.key", &e);         // once; then copy the file to the other side
 *     if (takt_key_read("studio.key", &k, &e) < 0)
 *         return takt_die(&e);                // "takt: studio.key can be read by others; chmod 600
 * ..."
 *     ...
 *     takt_key_wipe(&k);
 *
 * A key is 256 random bits. Its file is one line, "takt-key-1 " and 64 hexadecimal digits, which
 * nobody but its owner may read or write. No call takes a secret on the command line, where every
 * user of the machine could see it.
 *
 * A passphrase is the convenient form and the weaker one: whoever records a stream may try phrases
 * against it at home. It becomes a key by scrypt, a tenth of a second and 32 MiB a trial. Take six
 * random words or more.
 */
#ifndef TAKT_KEY_H
#define TAKT_KEY_H

#include "takt/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TAKT_KEY_BYTES = 32, TAKT_PASSPHRASE_BYTES_MIN = 12, TAKT_PASSPHRASE_BYTES_MAX = 1024 };

struct takt_key {
    uint8_t bytes[TAKT_KEY_BYTES];
};

/* Makes a key file, mode 0600. A file that is there already stays as it is.
 * Errors: TAKT_ERR_IO: with EEXIST, if there is one; TAKT_ERR_SYSTEM: no randomness. No file is
 * left behind then. Thread: any. RT: no. */
TAKT_API int takt_key_new(const char *path, struct takt_error *e);

/* Reads a key file. Errors: TAKT_ERR_NOT_FOUND; TAKT_ERR_IO: it cannot be read, or has rights for
 * others than its owner; TAKT_ERR_FORMAT: it is not a key file. *out is zeros then.
 * Thread: any. RT: no. */
TAKT_API int takt_key_read(const char *path, struct takt_key *out, struct takt_error *e);

/* The key of a passphrase: the first line of the file at path, which has the rights of a key file;
 * or of the environment's TAKT_PASSPHRASE, if path is NULL. What ends the line does not count.
 * Errors: as takt_key_read, and those of takt_key_from_passphrase. Thread: any. RT: no. */
TAKT_API int takt_key_read_passphrase(const char *path, struct takt_key *out, struct takt_error *e);

/* The same of a text, 12 to 1024 bytes that are taken as they are. Errors: TAKT_ERR_ARG: shorter or
 * longer; TAKT_ERR_UNSUPPORTED: built without OpenSSL; TAKT_ERR_SYSTEM: no memory for it. *out is
 * zeros then. Thread: any. RT: no. */
TAKT_API int takt_key_from_passphrase(const char *text, struct takt_key *out, struct takt_error *e);

/* Zeros, which the compiler may not leave out. Thread: any. RT: yes. */
TAKT_API void takt_key_wipe(struct takt_key *k);

#ifdef __cplusplus
}
#endif
#endif
