#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void takt_assert_failed(const char *what, const char *file, int line)
{
    char text[256];
    int n = snprintf(text, sizeof text, "takt: %s:%d: broken invariant: %s\n", file, line, what);
    if (n > 0 && write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0) {
        /* nothing left to tell it to */
    }
    abort();
}
