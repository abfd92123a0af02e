#include "device/file_place.h"

#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_BYTES_MAX = 80 };

const char *takt_file_tail(const char *path)
{
    size_t bytes = strlen(path);
    if (bytes <= TAIL_BYTES_MAX)
        return path;
    path += bytes - TAIL_BYTES_MAX;
    while ((*path & 0xc0) == 0x80) /* not in the middle of a letter */
        path++;
    return path;
}

/* Refuses what is no regular file or in use, and locks what is. */
static int lock(int fd, const char *path, struct takt_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot record there", takt_file_tail(path));
    if (!S_ISREG(st.st_mode))
        return takt_fail(e, TAKT_ERR_IO, 0, "%s: not a regular file; name another to record to",
                         takt_file_tail(path));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return takt_fail(e, TAKT_ERR_IO, 0,
                         "%s: is being played or recorded, and would be lost; name another file",
                         takt_file_tail(path));
    return 0;
}

/* A FIFO without O_NONBLOCK would wait for its other end. */
static int open_to_record(const char *path, int more, struct takt_error *e)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | more, 0666);
    if (fd < 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot %s it", takt_file_tail(path),
                         more ? "create" : "write to");
    int err = lock(fd, path, e);
    if (err == 0)
        return fd;
    close(fd);
    return err;
}

static int check_folder(const char *path, struct takt_error *e)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t bytes = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (bytes >= sizeof folder)
        return takt_fail(e, TAKT_ERR_IO, ENAMETOOLONG, "%s: cannot create it",
                         takt_file_tail(path));
    snprintf(folder, sizeof folder, "%.*s", bytes ? (int)bytes : 1, bytes ? path : ".");
    if (access(folder, W_OK | X_OK) != 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot create it", takt_file_tail(path));
    return 0;
}

int takt_file_claim(const char *path, int *fd, struct takt_error *e)
{
    struct stat st;
    *fd = -1;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? check_folder(path, e)
                               : takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot record there",
                                           takt_file_tail(path));
    *fd = open_to_record(path, 0, e);
    return *fd < 0 ? *fd : 0;
}

int takt_file_empty(const char *path, int *fd, struct takt_error *e)
{
    if (*fd < 0)
        *fd = open_to_record(path, O_CREAT, e);
    if (*fd < 0)
        return *fd;
    return ftruncate(*fd, 0) == 0
               ? 0
               : takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot empty it", takt_file_tail(path));
}

int takt_file_hold(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The lock goes first: a child process that was forked off may still have the descriptor. */
int takt_file_let_go(int fd)
{
    if (fd < 0)
        return 0;
    flock(fd, LOCK_UN);
    return close(fd) != 0 && errno != EINTR ? errno : 0;
}
