#include "whole_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = PATH_MAX + 16 };

static int refuse(const struct options *o, const char *path, const char *why)
{
    return complain(o, EXIT_FAILED, "%s: cannot write it: %s", path, why);
}

/* Opens a new file beside path, or beside what it links to: its name goes into temporary, that of
 * the other into target. Its descriptor, or -1 after saying why not. */
static int open_beside(const struct options *o, const char *path, char *target, char *temporary)
{
    struct stat there;
    if (!realpath(path, target)) /* not there yet */
        snprintf(target, PATH_ROOM, "%s", path);
    if (stat(target, &there) == 0 && !S_ISREG(there.st_mode)) {
        refuse(o, path, S_ISDIR(there.st_mode) ? "it is a folder" : "it is not a plain file");
        return -1;
    }
    if (strlen(target) >= PATH_MAX - 8) {
        refuse(o, path, strerror(ENAMETOOLONG));
        return -1;
    }
    snprintf(temporary, PATH_ROOM, "%s.XXXXXX", target);
    int fd = mkstemp(temporary);
    if (fd < 0)
        refuse(o, path, strerror(errno));
    return fd;
}

int whole_file_check(const struct options *o, const char *path)
{
    char target[PATH_ROOM], temporary[PATH_ROOM];
    int fd = open_beside(o, path, target, temporary);
    if (fd < 0)
        return EXIT_FAILED;
    close(fd);
    unlink(temporary);
    return 0;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR)
            return false;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    mode_t mask = umask(0); /* mkstemp lets nobody else read */
    umask(mask);
    return fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
}

int whole_file_write(const struct options *o, const char *path, const char *bytes, size_t size)
{
    char target[PATH_ROOM], temporary[PATH_ROOM];
    int fd = open_beside(o, path, target, temporary);
    if (fd < 0)
        return EXIT_FAILED;
    bool is_whole = write_all(fd, bytes, size);
    int reason = errno;
    if (close(fd) < 0 && is_whole) {
        is_whole = false;
        reason = errno;
    }
    if (is_whole && rename(temporary, target) == 0)
        return 0;
    reason = is_whole ? errno : reason;
    unlink(temporary);
    return refuse(o, path, strerror(reason));
}
