#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A write inside of printf leaves no reason behind; the pipe itself still tells. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

enum output output_flush(void)
{
    static enum output so_far = OUTPUT_WELL;
    if (so_far)
        return so_far;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return OUTPUT_WELL;
    int reason = errno;
    if (reason == EPIPE || reader_is_gone())
        return so_far = OUTPUT_CLOSED;
    fprintf(stderr, "takt: cannot write to stdout: %s\n",
            reason ? strerror(reason) : "an earlier write failed");
    return so_far = OUTPUT_FAILED;
}
