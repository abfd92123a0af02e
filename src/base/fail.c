#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    "ok", "arg",  "nomem",  "not_found", "unsupported", "state",  "timeout",
    "io", "full", "format", "lost",      "end",         "system",
};

const char *takt_err_name(int code)
{
    int count = sizeof names / sizeof *names;
    return code <= 0 && code > -count ? names[-code] : "unknown";
}

int takt_fail(struct takt_error *e, enum takt_err code, int os_errno, const char *fmt, ...)
{
    if (!e)
        return code;
    e->code = code;
    e->os_errno = os_errno;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (os_errno && n >= 0 && (size_t)n + 3 < sizeof e->text) {
        char why[128];
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s",
                 strerror_r(os_errno, why, sizeof why));
    }
    return code;
}

int takt_die(const struct takt_error *e)
{
    fprintf(stderr, "takt: %s\n", e->text);
    return 1;
}
