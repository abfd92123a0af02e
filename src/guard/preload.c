/*
 * libtakt-guard.so: stands before functions of the C library that a callback must not call, and
 * tells libtakt of calls from a thread whose slot is not empty. It does nothing else: what is no
 * audio thread, or no cycle, is one test away from the function itself.
 *
 * A function that allocates to find out where the real one is would find itself; what is asked of
 * calloc before that is known comes from a small piece of its own.
 */
#undef _FILE_OFFSET_BITS /* or open would be a name for open64 */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1 /* or putchar would be there already */
#endif
#include "rt/preload.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static _Thread_local void *volatile slot __attribute__((tls_model("initial-exec")));
static const struct takt_preload_hooks *hooks;

static void bind_hooks(const struct takt_preload_hooks *h)
{
    hooks = h;
}

static void *volatile *own_slot(void)
{
    return &slot;
}

extern const struct takt_preload takt_preload EXPORT;
const struct takt_preload takt_preload = {
    .version = TAKT_PRELOAD_VERSION, .bind = bind_hooks, .slot = own_slot};

struct room {
    alignas(max_align_t) char bytes[TAKT_PRELOAD_CALL_BYTES];
};

/* dlsym cannot be asked for itself; dlvsym finds it by the version that it had in the C library's
 * first release for the processor, which all later ones still have. To ask for a version that is
 * not there takes memory for the error, by functions that would be looked for in turn. So where
 * the first release is not known here, dlsym is the linker's, and nothing stands before it. */
#if defined __x86_64__ && !defined __ILP32__
#define FIRST_VERSION "GLIBC_2.2.5"
#elif defined __i386__
#define FIRST_VERSION "GLIBC_2.0"
#elif defined __aarch64__ && !defined __ILP32__
#define FIRST_VERSION "GLIBC_2.17"
#elif defined __arm__
#define FIRST_VERSION "GLIBC_2.4"
#elif defined __riscv && __riscv_xlen == 64
#define FIRST_VERSION "GLIBC_2.27"
#elif defined __powerpc64__ && defined __LITTLE_ENDIAN__
#define FIRST_VERSION "GLIBC_2.17"
#elif defined __s390x__
#define FIRST_VERSION "GLIBC_2.2"
#endif

#ifdef FIRST_VERSION
static __typeof__(dlsym) *real_dlsym;
static void find_dlsym(void)
{
    *(void **)&real_dlsym = dlvsym(RTLD_NEXT, "dlsym", FIRST_VERSION);
    if (!real_dlsym)
        abort();
}
#endif

/* The next function of that name; NULL where there is none. */
static void *next_of(const char *name)
{
#ifdef FIRST_VERSION
    if (!real_dlsym)
        find_dlsym();
    return real_dlsym(RTLD_NEXT, name);
#else
    return dlsym(RTLD_NEXT, name);
#endif
}

/* Finds the function itself, once. */
static inline void find(void **at, const char *name)
{
    if (__builtin_expect(*at != NULL, 1))
        return;
    *at = next_of(name);
    if (!*at)
        abort(); /* the program links it, so it must be there */
}

/* ---- The shape of all of them -----------------------------------------------------------------
 */

#define REAL(name) (find((void **)&real_##name, #name), real_##name)

#define BEGIN(kind, name)                                                                          \
    struct room room;                                                                              \
    hooks->begin(slot, kind, name, __builtin_return_address(0), &room)
#define END hooks->end(&room)

/* A function that gives a value; label is what its users call it. */
#define STAND_BEFORE_AS(label, kind, type, name, parameters, arguments)                            \
    static __typeof__(name) *real_##name;                                                          \
    EXPORT type name parameters;                                                                   \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        if (!slot)                                                                                 \
            return REAL(name) arguments;                                                           \
        BEGIN(kind, label);                                                                        \
        type given_back = REAL(name) arguments;                                                    \
        END;                                                                                       \
        return given_back;                                                                         \
    }
#define STAND_BEFORE(kind, type, name, parameters, arguments)                                      \
    STAND_BEFORE_AS(#name, kind, type, name, parameters, arguments)

/* One that gives none. */
#define STAND_BEFORE_VOID(kind, name, parameters, arguments)                                       \
    static __typeof__(name) *real_##name;                                                          \
    EXPORT void name parameters;                                                                   \
    EXPORT void name parameters                                                                    \
    {                                                                                              \
        if (!slot) {                                                                               \
            REAL(name) arguments;                                                                  \
            return;                                                                                \
        }                                                                                          \
        BEGIN(kind, #name);                                                                        \
        REAL(name) arguments;                                                                      \
        END;                                                                                       \
    }

/* One with any number of arguments, by way of its sister that takes them as a list. */
#define STAND_BEFORE_LIST(kind, label, type, name, sister, parameters, last, ...)                  \
    EXPORT type name parameters;                                                                   \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, last);                                                                      \
        type result;                                                                               \
        if (!slot) {                                                                               \
            result = REAL(sister)(__VA_ARGS__, more);                                              \
        } else {                                                                                   \
            BEGIN(kind, label);                                                                    \
            result = REAL(sister)(__VA_ARGS__, more);                                              \
            END;                                                                                   \
        }                                                                                          \
        va_end(more);                                                                              \
        return result;                                                                             \
    }

#define ALLOCATION TAKT_GUARD_ALLOCATION
#define LOCK       TAKT_GUARD_LOCK
#define WAIT       TAKT_GUARD_WAIT
#define IO         TAKT_GUARD_IO
#define OTHER      TAKT_GUARD_CALL

/* ---- Memory -----------------------------------------------------------------------------------
 */

static alignas(max_align_t) char early[4096];
static size_t early_used;

static void *early_calloc(size_t bytes)
{
    size_t at = early_used;
    early_used += (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    return early_used <= sizeof early ? early + at : NULL;
}

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void *(*real_calloc)(size_t, size_t);
EXPORT void *calloc(size_t count, size_t bytes)
{
    static bool is_looked_for;
    if (!real_calloc) {
        if (is_looked_for)
            return early_calloc(count * bytes);
        is_looked_for = true;
        find((void **)&real_calloc, "calloc");
    }
    if (!slot)
        return real_calloc(count, bytes);
    BEGIN(ALLOCATION, "calloc");
    void *result = real_calloc(count, bytes);
    END;
    return result;
}

static void (*real_free)(void *);
EXPORT void free(void *p)
{
    if (is_early(p))
        return;
    if (!slot || !p) {
        REAL(free)(p);
        return;
    }
    BEGIN(ALLOCATION, "free");
    REAL(free)(p);
    END;
}

STAND_BEFORE(ALLOCATION, void *, malloc, (size_t n), (n))
STAND_BEFORE(ALLOCATION, void *, realloc, (void *p, size_t n), (p, n))
STAND_BEFORE(ALLOCATION, void *, reallocarray, (void *p, size_t n, size_t m), (p, n, m))
STAND_BEFORE(ALLOCATION, void *, aligned_alloc, (size_t a, size_t n), (a, n))
STAND_BEFORE(ALLOCATION, void *, memalign, (size_t a, size_t n), (a, n))
STAND_BEFORE(ALLOCATION, void *, valloc, (size_t n), (n))
STAND_BEFORE(ALLOCATION, int, posix_memalign, (void **to, size_t a, size_t n), (to, a, n))
STAND_BEFORE(ALLOCATION, void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t off),
             (at, n, prot, flags, fd, off))
STAND_BEFORE_AS("mmap", ALLOCATION, void *, mmap64,
                (void *at, size_t n, int prot, int flags, int fd, off64_t off),
                (at, n, prot, flags, fd, off))
STAND_BEFORE(ALLOCATION, int, munmap, (void *at, size_t n), (at, n))
STAND_BEFORE(ALLOCATION, int, madvise, (void *at, size_t n, int how), (at, n, how))
STAND_BEFORE(ALLOCATION, int, mlock, (const void *at, size_t n), (at, n))

/* ---- Locks ------------------------------------------------------------------------------------
 */

STAND_BEFORE(LOCK, int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
STAND_BEFORE(LOCK, int, pthread_mutex_timedlock,
             (pthread_mutex_t * m, const struct timespec *until), (m, until))
STAND_BEFORE(LOCK, int, pthread_mutex_clocklock,
             (pthread_mutex_t * m, clockid_t clock, const struct timespec *until),
             (m, clock, until))
STAND_BEFORE(LOCK, int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))
STAND_BEFORE(LOCK, int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))
STAND_BEFORE(LOCK, int, pthread_spin_lock, (pthread_spinlock_t * l), (l))
STAND_BEFORE(LOCK, int, pthread_rwlock_timedrdlock,
             (pthread_rwlock_t * l, const struct timespec *until), (l, until))
STAND_BEFORE(LOCK, int, pthread_rwlock_timedwrlock,
             (pthread_rwlock_t * l, const struct timespec *until), (l, until))
STAND_BEFORE(LOCK, int, pthread_rwlock_clockrdlock,
             (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until),
             (l, clock, until))
STAND_BEFORE(LOCK, int, pthread_rwlock_clockwrlock,
             (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until),
             (l, clock, until))
STAND_BEFORE(LOCK, int, mtx_lock, (mtx_t * m), (m))
STAND_BEFORE(LOCK, int, mtx_timedlock, (mtx_t * m, const struct timespec *until), (m, until))
STAND_BEFORE(LOCK, int, rand, (void), ())
STAND_BEFORE(LOCK, long, random, (void), ())
STAND_BEFORE(LOCK, struct tm *, localtime, (const time_t *t), (t))
STAND_BEFORE(LOCK, struct tm *, localtime_r, (const time_t *t, struct tm *to), (t, to))
STAND_BEFORE(LOCK, time_t, mktime, (struct tm * t), (t))

/* Wake-ups: whether one enters the kernel hangs on whether anybody sleeps just then, so they count
 * at all times. */
STAND_BEFORE(LOCK, int, pthread_cond_signal, (pthread_cond_t * c), (c))
STAND_BEFORE(LOCK, int, pthread_cond_broadcast, (pthread_cond_t * c), (c))
STAND_BEFORE(LOCK, int, cnd_signal, (cnd_t * c), (c))
STAND_BEFORE(LOCK, int, cnd_broadcast, (cnd_t * c), (c))
STAND_BEFORE(LOCK, int, sem_post, (sem_t * s), (s))

/* The loader's lock. What these do depends on who asks (RTLD_NEXT, the caller's own paths), and
 * they know it by their return address; so they are jumped to, with everything as it was, and what
 * is told has no time. */
#if defined __has_attribute
#if __has_attribute(musttail)
#define JUMP __attribute__((musttail)) return
#endif
#endif
#ifndef JUMP
#define JUMP return
#endif
#ifdef __clang__
#define JUMPS
#else
#define JUMPS __attribute__((optimize("O2", "optimize-sibling-calls")))
#endif

static __attribute__((noinline)) void tell(const char *name, const void *caller)
{
    struct room room;
    hooks->begin(slot, LOCK, name, caller, &room);
    hooks->end(&room);
}

#define STAND_ASIDE(name, first)                                                                   \
    EXPORT JUMPS void *name(first a, what_##name b)                                                \
    {                                                                                              \
        if (slot)                                                                                  \
            tell(#name, __builtin_return_address(0));                                              \
        if (!real_##name)                                                                          \
            find_##name();                                                                         \
        JUMP real_##name(a, b);                                                                    \
    }

static __typeof__(dlopen) *real_dlopen;
static void find_dlopen(void)
{
    find((void **)&real_dlopen, "dlopen");
}

typedef int what_dlopen;
STAND_ASIDE(dlopen, const char *)
#ifdef FIRST_VERSION
typedef const char *restrict what_dlsym;
STAND_ASIDE(dlsym, void *restrict)
#endif
STAND_BEFORE(LOCK, int, dlclose, (void *handle), (handle))

/* ---- Waits ------------------------------------------------------------------------------------
 */

STAND_BEFORE(WAIT, int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m))
STAND_BEFORE(WAIT, int, pthread_cond_timedwait,
             (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *until), (c, m, until))
STAND_BEFORE(WAIT, int, pthread_cond_clockwait,
             (pthread_cond_t * c, pthread_mutex_t *m, clockid_t clock,
              const struct timespec *until),
             (c, m, clock, until))
STAND_BEFORE(WAIT, int, cnd_wait, (cnd_t * c, mtx_t *m), (c, m))
STAND_BEFORE(WAIT, int, cnd_timedwait, (cnd_t * c, mtx_t *m, const struct timespec *until),
             (c, m, until))
STAND_BEFORE(WAIT, int, pthread_barrier_wait, (pthread_barrier_t * b), (b))
STAND_BEFORE(WAIT, int, pthread_join, (pthread_t t, void **result), (t, result))
STAND_BEFORE(WAIT, int, thrd_join, (thrd_t t, int *result), (t, result))
STAND_BEFORE(WAIT, int, sem_wait, (sem_t * s), (s))
STAND_BEFORE(WAIT, int, sem_clockwait, (sem_t * s, clockid_t clock, const struct timespec *until),
             (s, clock, until))
STAND_BEFORE(WAIT, int, sem_timedwait, (sem_t * s, const struct timespec *until), (s, until))
STAND_BEFORE(WAIT, unsigned, sleep, (unsigned seconds), (seconds))
STAND_BEFORE(WAIT, int, usleep, (useconds_t us), (us))
STAND_BEFORE(WAIT, int, nanosleep, (const struct timespec *time, struct timespec *left),
             (time, left))
STAND_BEFORE(WAIT, int, clock_nanosleep,
             (clockid_t clock, int how, const struct timespec *time, struct timespec *left),
             (clock, how, time, left))
STAND_BEFORE(WAIT, int, thrd_sleep, (const struct timespec *time, struct timespec *left),
             (time, left))
STAND_BEFORE(WAIT, int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
STAND_BEFORE(WAIT, int, select, (int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *time),
             (n, r, w, x, time))
STAND_BEFORE(WAIT, int, epoll_wait, (int fd, struct epoll_event *ev, int n, int ms),
             (fd, ev, n, ms))
STAND_BEFORE(WAIT, pid_t, waitpid, (pid_t pid, int *status, int how), (pid, status, how))
STAND_BEFORE(WAIT, int, system, (const char *command), (command))

/* ---- Files, sockets, the console --------------------------------------------------------------
 */

STAND_BEFORE(IO, ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
STAND_BEFORE(IO, ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))
STAND_BEFORE(IO, ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
STAND_BEFORE(IO, ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
STAND_BEFORE(IO, ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
STAND_BEFORE(IO, ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
STAND_BEFORE(IO, int, close, (int fd), (fd))
STAND_BEFORE(IO, int, fsync, (int fd), (fd))
STAND_BEFORE(IO, int, fdatasync, (int fd), (fd))
STAND_BEFORE_AS("pread", IO, ssize_t, pread64, (int fd, void *to, size_t n, off64_t at),
                (fd, to, n, at))
STAND_BEFORE_AS("pwrite", IO, ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at),
                (fd, from, n, at))
STAND_BEFORE_AS("fopen", IO, FILE *, fopen64, (const char *path, const char *how), (path, how))
STAND_BEFORE(IO, FILE *, fopen, (const char *path, const char *how), (path, how))
STAND_BEFORE(IO, int, fclose, (FILE * f), (f))
STAND_BEFORE(IO, int, fflush, (FILE * f), (f))
STAND_BEFORE(IO, size_t, fread, (void *to, size_t size, size_t n, FILE *f), (to, size, n, f))
STAND_BEFORE(IO, size_t, fwrite, (const void *from, size_t size, size_t n, FILE *f),
             (from, size, n, f))
STAND_BEFORE(IO, size_t, fread_unlocked, (void *to, size_t size, size_t n, FILE *f),
             (to, size, n, f))
STAND_BEFORE(IO, size_t, fwrite_unlocked, (const void *from, size_t size, size_t n, FILE *f),
             (from, size, n, f))
STAND_BEFORE(IO, char *, fgets, (char *to, int n, FILE *f), (to, n, f))
STAND_BEFORE(IO, int, fputs, (const char *text, FILE *f), (text, f))
STAND_BEFORE(IO, int, fputs_unlocked, (const char *text, FILE *f), (text, f))
STAND_BEFORE(IO, int, fputc, (int c, FILE *f), (c, f))
STAND_BEFORE(IO, int, putc, (int c, FILE *f), (c, f))
STAND_BEFORE(IO, int, puts, (const char *text), (text))
STAND_BEFORE(IO, int, putchar, (int c), (c))
STAND_BEFORE(IO, int, fgetc, (FILE * f), (f))
STAND_BEFORE(IO, int, getc, (FILE * f), (f))
STAND_BEFORE(IO, int, getchar, (void), ())
STAND_BEFORE(IO, int, ungetc, (int c, FILE *f), (c, f))
STAND_BEFORE(IO, ssize_t, getline, (char **to, size_t *n, FILE *f), (to, n, f))
STAND_BEFORE(IO, ssize_t, getdelim, (char **to, size_t *n, int until, FILE *f), (to, n, until, f))
STAND_BEFORE_AS("getline", IO, ssize_t, __getdelim, (char **to, size_t *n, int until, FILE *f),
                (to, n, until, f))
STAND_BEFORE(IO, int, fseek, (FILE * f, long at, int from), (f, at, from))
STAND_BEFORE(IO, int, fseeko, (FILE * f, off_t at, int from), (f, at, from))
STAND_BEFORE_AS("fseeko", IO, int, fseeko64, (FILE * f, off64_t at, int from), (f, at, from))
STAND_BEFORE(IO, long, ftell, (FILE * f), (f))
STAND_BEFORE(IO, off_t, ftello, (FILE * f), (f))
STAND_BEFORE_AS("ftello", IO, off64_t, ftello64, (FILE * f), (f))
STAND_BEFORE_VOID(IO, rewind, (FILE * f), (f))
STAND_BEFORE_VOID(IO, perror, (const char *text), (text))
STAND_BEFORE(IO, int, vprintf, (const char *format, va_list more), (format, more))
STAND_BEFORE(IO, int, vfprintf, (FILE * f, const char *format, va_list more), (f, format, more))
STAND_BEFORE(IO, int, vdprintf, (int fd, const char *format, va_list more), (fd, format, more))
STAND_BEFORE_LIST(IO, "printf", int, printf, vprintf, (const char *format, ...), format, format)
STAND_BEFORE_LIST(IO, "fprintf", int, fprintf, vfprintf, (FILE * f, const char *format, ...),
                  format, f, format)
STAND_BEFORE_LIST(IO, "dprintf", int, dprintf, vdprintf, (int fd, const char *format, ...), format,
                  fd, format)

/* What is C99's or C23's has a name of its own; the newer one is not in every C library. */
int __isoc99_vscanf(const char *format, va_list more);
int __isoc99_vfscanf(FILE *f, const char *format, va_list more);
int __isoc99_scanf(const char *format, ...);
int __isoc99_fscanf(FILE *f, const char *format, ...);
int __isoc23_vscanf(const char *format, va_list more);
int __isoc23_vfscanf(FILE *f, const char *format, va_list more);
int __isoc23_scanf(const char *format, ...);
int __isoc23_fscanf(FILE *f, const char *format, ...);
#define STAND_BEFORE_SCANNING(prefix)                                                              \
    STAND_BEFORE_AS("vscanf", IO, int, prefix##vscanf, (const char *format, va_list more),         \
                    (format, more))                                                                \
    STAND_BEFORE_AS("vfscanf", IO, int, prefix##vfscanf,                                           \
                    (FILE * f, const char *format, va_list more), (f, format, more))               \
    STAND_BEFORE_LIST(IO, "scanf", int, prefix##scanf, prefix##vscanf, (const char *format, ...),  \
                      format, format)                                                              \
    STAND_BEFORE_LIST(IO, "fscanf", int, prefix##fscanf, prefix##vfscanf,                          \
                      (FILE * f, const char *format, ...), format, f, format)
STAND_BEFORE_SCANNING(__isoc99_)
STAND_BEFORE_SCANNING(__isoc23_)

/* What printf and reading become under _FORTIFY_SOURCE. */
int __vprintf_chk(int flag, const char *format, va_list more);
int __vfprintf_chk(FILE *f, int flag, const char *format, va_list more);
int __printf_chk(int flag, const char *format, ...);
int __fprintf_chk(FILE *f, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list more);
int __dprintf_chk(int fd, int flag, const char *format, ...);
char *__fgets_chk(char *to, size_t size, int n, FILE *f);
size_t __fread_chk(void *to, size_t most, size_t size, size_t n, FILE *f);
ssize_t __read_chk(int fd, void *to, size_t n, size_t most);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t most);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t most, int how);
STAND_BEFORE_AS("vprintf", IO, int, __vprintf_chk, (int flag, const char *format, va_list more),
                (flag, format, more))
STAND_BEFORE_AS("vfprintf", IO, int, __vfprintf_chk,
                (FILE * f, int flag, const char *format, va_list more), (f, flag, format, more))
STAND_BEFORE_AS("vdprintf", IO, int, __vdprintf_chk,
                (int fd, int flag, const char *format, va_list more), (fd, flag, format, more))
STAND_BEFORE_LIST(IO, "dprintf", int, __dprintf_chk, __vdprintf_chk,
                  (int fd, int flag, const char *format, ...), format, fd, flag, format)
STAND_BEFORE_AS("fgets", IO, char *, __fgets_chk, (char *to, size_t size, int n, FILE *f),
                (to, size, n, f))
STAND_BEFORE_AS("fread", IO, size_t, __fread_chk,
                (void *to, size_t most, size_t size, size_t n, FILE *f), (to, most, size, n, f))
STAND_BEFORE_AS("read", IO, ssize_t, __read_chk, (int fd, void *to, size_t n, size_t most),
                (fd, to, n, most))
STAND_BEFORE_AS("poll", WAIT, int, __poll_chk, (struct pollfd * fds, nfds_t n, int ms, size_t most),
                (fds, n, ms, most))
STAND_BEFORE_AS("recv", IO, ssize_t, __recv_chk, (int fd, void *to, size_t n, size_t most, int how),
                (fd, to, n, most, how))
STAND_BEFORE_LIST(IO, "printf", int, __printf_chk, __vprintf_chk,
                  (int flag, const char *format, ...), format, flag, format)
STAND_BEFORE_LIST(IO, "fprintf", int, __fprintf_chk, __vfprintf_chk,
                  (FILE * f, int flag, const char *format, ...), format, f, flag, format)

STAND_BEFORE_VOID(IO, vsyslog, (int priority, const char *format, va_list more),
                  (priority, format, more))
EXPORT void syslog(int priority, const char *format, ...)
{
    va_list more;
    va_start(more, format);
    if (!slot) {
        REAL(vsyslog)(priority, format, more);
    } else {
        BEGIN(IO, "syslog");
        REAL(vsyslog)(priority, format, more);
        END;
    }
    va_end(more);
}

STAND_BEFORE(IO, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
STAND_BEFORE(IO, int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t n), (fd, to, n))
STAND_BEFORE(IO, ssize_t, send, (int fd, const void *from, size_t n, int how), (fd, from, n, how))
STAND_BEFORE(IO, ssize_t, sendto,
             (int fd, const void *from, size_t n, int how, __CONST_SOCKADDR_ARG to, socklen_t size),
             (fd, from, n, how, to, size))
STAND_BEFORE(IO, ssize_t, sendmsg, (int fd, const struct msghdr *m, int how), (fd, m, how))
STAND_BEFORE(IO, ssize_t, recv, (int fd, void *to, size_t n, int how), (fd, to, n, how))
STAND_BEFORE(IO, ssize_t, recvfrom,
             (int fd, void *to, size_t n, int how, __SOCKADDR_ARG from, socklen_t *size),
             (fd, to, n, how, from, size))
STAND_BEFORE(IO, ssize_t, recvmsg, (int fd, struct msghdr *m, int how), (fd, m, how))
STAND_BEFORE(IO, DIR *, opendir, (const char *path), (path))

/* These take a third argument only sometimes; passing on what stands in its place does no harm. */
#define STAND_BEFORE_THIRD(name, label, kind, first, second, third)                                \
    static __typeof__(name) *real_##name;                                                          \
    EXPORT int name(first a, second b, ...)                                                        \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, b);                                                                         \
        third c = va_arg(more, third);                                                             \
        va_end(more);                                                                              \
        if (!slot)                                                                                 \
            return REAL(name)(a, b, c);                                                            \
        BEGIN(kind, label);                                                                        \
        int result = REAL(name)(a, b, c);                                                          \
        END;                                                                                       \
        return result;                                                                             \
    }

STAND_BEFORE_THIRD(open, "open", IO, const char *, int, mode_t)
STAND_BEFORE_THIRD(open64, "open", IO, const char *, int, mode_t)
STAND_BEFORE_THIRD(ioctl, "ioctl", IO, int, unsigned long, void *)
STAND_BEFORE_THIRD(fcntl, "fcntl", IO, int, int, void *)

/* ---- Threads and processes --------------------------------------------------------------------
 */

STAND_BEFORE(OTHER, int, pthread_create,
             (pthread_t * t, const pthread_attr_t *a, void *(*run)(void *), void *arg),
             (t, a, run, arg))
STAND_BEFORE(OTHER, pid_t, fork, (void), ())
