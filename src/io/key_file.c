/*
 * Keys and passphrases in files.
 *
 * Rights are asked of the descriptor that is read, not of the path, which may mean another file a
 * moment later. What was read is wiped on every way out.
 */
#include "takt/key.h"

#include "base/fail.h"
#include "io/text_file.h"
#include "wire/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Writing --------------------------------------------------------------------------------- */

/* False, with errno set. A request of 256 bytes or fewer is answered in full or not at all. */
static bool draw(struct takt_key *k)
{
    ssize_t got;
    do
        got = getrandom(k->bytes, sizeof k->bytes, 0);
    while (got < 0 && errno == EINTR);
    return got == sizeof k->bytes;
}

int takt_key_new(const char *path, struct takt_error *e)
{
    struct takt_key k;
    char text[TAKT_KEY_TEXT_BYTES];
    if (!draw(&k))
        return takt_fail(e, TAKT_ERR_SYSTEM, errno, "the system has no random numbers");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        int why = errno;
        takt_key_wipe(&k);
        return takt_fail(e, TAKT_ERR_IO, why, "no new key in %s%s", path,
                         why == EEXIST ? ", since a key is never written over; give another name"
                                       : "");
    }
    takt_key_print(&k, text);
    int why = takt_text_put(fd, text, sizeof text);
    explicit_bzero(text, sizeof text);
    takt_key_wipe(&k);
    if (close(fd) < 0 && !why)
        why = errno;
    if (!why)
        return 0;
    unlink(path);
    return takt_fail(e, TAKT_ERR_IO, why, "cannot write %s", path);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int check_rights(const char *path, int fd, struct takt_error *e)
{
    unsigned mode = 0;
    int err = takt_text_open_mode(path, fd, &mode, e);
    if (mode)
        return takt_fail(e, TAKT_ERR_IO, 0,
                         "%s is open to others (mode %o); chmod 600 it, and take a new key if "
                         "anybody may have seen this one",
                         path, mode);
    return err;
}

/* Reads what there is up to `room` bytes; returns how many, or the error. */
static int read_secret(const char *path, char *text, size_t room, struct takt_error *e)
{
    int fd = takt_text_open(path, e);
    if (fd < 0)
        return fd;
    int err = check_rights(path, fd, e);
    size_t have = 0;
    while (!err && have < room) {
        ssize_t n = read(fd, text + have, room - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = takt_fail(e, TAKT_ERR_IO, errno, "cannot read %s", path);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    close(fd);
    return err < 0 ? err : (int)have;
}

int takt_key_read(const char *path, struct takt_key *out, struct takt_error *e)
{
    char text[TAKT_KEY_TEXT_BYTES + 1]; /* one more, to see that there is more */
    memset(out, 0, sizeof *out);
    int bytes = read_secret(path, text, sizeof text, e);
    bool is_key = bytes > 0 && takt_key_parse(text, (size_t)bytes, out);
    explicit_bzero(text, sizeof text);
    if (bytes < 0 || is_key)
        return bytes < 0 ? bytes : 0;
    return takt_fail(e, TAKT_ERR_FORMAT, 0,
                     "%s is no key file (one line, \"takt-key-1 \" and %d hexadecimal digits); "
                     "`takt key new FILE` makes one",
                     path, 2 * TAKT_KEY_BYTES);
}

static int read_passphrase_file(const char *path, struct takt_key *out, struct takt_error *e)
{
    char text[TAKT_PASSPHRASE_BYTES_MAX + 3]; /* the end of the line, and the end of the text */
    int bytes = read_secret(path, text, sizeof text - 1, e);
    if (bytes < 0) {
        explicit_bzero(text, sizeof text);
        return bytes;
    }
    text[bytes] = '\0';
    bool has_nul = strlen(text) < (size_t)bytes;
    text[strcspn(text, "\r\n")] = '\0';
    int err = has_nul ? takt_fail(e, TAKT_ERR_FORMAT, 0, "%s is not text", path)
                      : takt_key_from_passphrase(text, out, e);
    explicit_bzero(text, sizeof text);
    return err;
}

int takt_key_read_passphrase(const char *path, struct takt_key *out, struct takt_error *e)
{
    memset(out, 0, sizeof *out);
    if (path)
        return read_passphrase_file(path, out, e);
    const char *text = getenv("TAKT_PASSPHRASE");
    if (!text)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "no passphrase: TAKT_PASSPHRASE is not set in the environment");
    return takt_key_from_passphrase(text, out, e);
}
