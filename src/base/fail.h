/* base/fail.h - fills in a struct takt_error and hands its code back, so that a failing
 * function can end with `return takt_fail(e, TAKT_ERR_ARG, 0, "...")`. */
#ifndef TAKT_BASE_FAIL_H
#define TAKT_BASE_FAIL_H

#include "takt/error.h"

/* e may be NULL. os_errno is kept and, when not 0, its text is appended after ": ".
 * Cuts what does not fit; always ends in NUL. Returns code. Thread: any. RT: no. */
int takt_fail(struct takt_error *e, enum takt_err code, int os_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
