#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum output output_flush(const struct options *o)
{
    static enum output so_far = OUTPUT_WELL;
    if (so_far)
        return so_far;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return OUTPUT_WELL;
    if (errno == EPIPE)
        return so_far = OUTPUT_CLOSED;
    complain(o, EXIT_FAILED, "cannot write to stdout: %s",
             errno ? strerror(errno) : "an earlier write failed");
    return so_far = OUTPUT_FAILED;
}
