#include "io/text_file.h"

#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_S = 5 };

/* 0, or TAKT_ERR_IO: it is neither a file nor a pipe that brings something. */
static int check_kind(const char *path, int fd, struct takt_error *e)
{
    struct stat st;
    struct pollfd in = {.fd = fd, .events = POLLIN};
    if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
        return takt_fail(e, TAKT_ERR_IO, S_ISDIR(st.st_mode) ? EISDIR : errno, "cannot read %s",
                         path);
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return takt_fail(e, TAKT_ERR_IO, 0, "cannot read %s: it is not a plain file", path);
    if (S_ISFIFO(st.st_mode) && poll(&in, 1, PIPE_S * 1000) == 0)
        return takt_fail(e, TAKT_ERR_IO, 0, "cannot read %s: nothing came from this pipe for %d s",
                         path, PIPE_S);
    return 0;
}

int takt_text_open(const char *path, struct takt_error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return takt_fail(e, errno == ENOENT ? TAKT_ERR_NOT_FOUND : TAKT_ERR_IO, errno,
                         "cannot read %s", path);
    int err = check_kind(path, fd, e);
    if (err < 0) {
        close(fd);
        return err;
    }
    fcntl(fd, F_SETFL, O_RDONLY); /* waits for the rest */
    return fd;
}

int takt_text_open_mode(const char *path, int fd, unsigned *open_mode, struct takt_error *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "%s", path);
    *open_mode = st.st_mode & (S_IRWXG | S_IRWXO) ? (unsigned)st.st_mode & 07777u : 0;
    return 0;
}

int takt_text_read(const char *path, char *out, size_t room, unsigned *open_mode,
                   struct takt_error *e)
{
    int fd = takt_text_open(path, e);
    if (fd < 0)
        return fd;
    size_t have = 0;
    int why = 0, err = open_mode ? takt_text_open_mode(path, fd, open_mode, e) : 0;
    if (err < 0) {
        close(fd);
        return err;
    }
    while (have < room) {
        ssize_t n = read(fd, out + have, room - have);
        if (n < 0 && errno == EINTR)
            continue;
        why = n < 0 ? errno : 0;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    char more;
    bool is_longer = have == room && read(fd, &more, 1) > 0;
    close(fd);
    if (why)
        return takt_fail(e, TAKT_ERR_IO, why, "cannot read %s", path);
    if (is_longer)
        return takt_fail(e, TAKT_ERR_FULL, 0, "%s is longer than %zu bytes", path, room);
    return (int)have;
}

int takt_text_put(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, text, bytes);
        if (n < 0 && errno != EINTR)
            return errno;
        text += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) < 0 && errno != EINVAL ? errno : 0;
}

int takt_text_write(const char *path, const char *text, size_t bytes, bool is_secret,
                    struct takt_error *e)
{
    char beside[PATH_MAX];
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return takt_fail(e, TAKT_ERR_IO, S_ISDIR(there.st_mode) ? EISDIR : 0, "cannot write %s%s",
                         path, S_ISDIR(there.st_mode) ? "" : ": it is not a plain file");
    int length = snprintf(beside, sizeof beside, "%s.%d.new", path, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof beside)
        return takt_fail(e, TAKT_ERR_IO, ENAMETOOLONG, "cannot write %s", path);
    int fd =
        open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, is_secret ? 0600 : 0666);
    if (fd < 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "cannot write %s", path);
    int why = takt_text_put(fd, text, bytes);
    if (close(fd) < 0 && !why)
        why = errno;
    if (!why && rename(beside, path) < 0)
        why = errno;
    if (!why)
        return 0;
    unlink(beside);
    return takt_fail(e, TAKT_ERR_IO, why, "cannot write %s", path);
}
