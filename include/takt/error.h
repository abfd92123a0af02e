/*
 * takt/error.h - what went wrong, why, and what to do about it.
 *
 *     struct takt_error e;
 *     if (takt_stream_create(&cfg, &s, &e) < 0)
 *         return takt_die(&e); // "takt: nosuch.wav: No such file or directory; check the path"
 *
 * Control calls return a negative enum takt_err, or a count or zero. A call that takes a
 * struct takt_error also fills it in, unless it is NULL. Calls made in the callback do not fail.
 */
#ifndef TAKT_ERROR_H
#define TAKT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TAKT_API
#define TAKT_API __attribute__((visibility("default")))
#endif

enum takt_err {
    TAKT_OK = 0,
    TAKT_ERR_ARG = -1,         /* the caller's argument or setting is out of range */
    TAKT_ERR_NOMEM = -2,       /* memory could not be had */
    TAKT_ERR_NOT_FOUND = -3,   /* no such device, file or backend */
    TAKT_ERR_UNSUPPORTED = -4, /* it exists, but cannot do this */
    TAKT_ERR_STATE = -5,       /* the call does not fit the stream's present state */
    TAKT_ERR_TIMEOUT = -6,     /* the time given ran out */
    TAKT_ERR_IO = -7,          /* the system refused a read or a write: see os_errno */
    TAKT_ERR_FULL = -8,        /* no room: a full disk, a full queue */
    TAKT_ERR_FORMAT = -9,      /* bytes that are not what they claim to be */
    TAKT_ERR_LOST = -10,       /* the device went away */
    TAKT_ERR_END = -11,        /* the source ended */
    TAKT_ERR_SYSTEM = -12      /* a thread, timer or lock could not be had: see os_errno */
};

struct takt_error {
    enum takt_err code;
    int os_errno;   /* errno of the system call at the root of it; 0 if none */
    char text[244]; /* one line, no newline: what was wrong and what to do */
};

/* The code's name in lower case, "not_found". Never NULL, for any int.
 * Thread: any. RT: yes (wait-free). */
TAKT_API const char *takt_err_name(int code);

/* Prints "takt: <text>" and a newline to stderr and returns 1, the exit status of a failure.
 * The only call in the library that prints, and only because it is asked to.
 * Thread: any. RT: no. */
TAKT_API int takt_die(const struct takt_error *e);

#ifdef __cplusplus
}
#endif
#endif
