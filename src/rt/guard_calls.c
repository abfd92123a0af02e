#include "rt/guard_calls.h"

#include <sys/syscall.h>

#define CALL(name, kind)                                                                           \
    {                                                                                              \
        SYS_##name, kind, #name                                                                    \
    }
#define ALLOCATION(name) CALL(name, TAKT_GUARD_ALLOCATION)
#define WAIT(name)       CALL(name, TAKT_GUARD_WAIT)
#define IO(name)         CALL(name, TAKT_GUARD_IO)
#define OTHER(name)      CALL(name, TAKT_GUARD_CALL)

/* Those that audio code is likely to meet; any other one is told by its number. */
static const struct {
    long number;
    enum takt_guard_kind kind;
    const char *name;
} calls[] = {
    ALLOCATION(mmap),
    ALLOCATION(munmap),
    ALLOCATION(mremap),
    ALLOCATION(brk),
    ALLOCATION(madvise),
    ALLOCATION(mprotect),
    ALLOCATION(mlock),
    ALLOCATION(munlock),

    WAIT(futex),
    WAIT(nanosleep),
    WAIT(clock_nanosleep),
    WAIT(ppoll),
    WAIT(pselect6),
    WAIT(epoll_pwait),
    WAIT(wait4),
    WAIT(waitid),
    WAIT(rt_sigtimedwait),
    WAIT(rt_sigsuspend),
    WAIT(msgrcv),
    WAIT(semop),
    WAIT(semtimedop),
    WAIT(flock),

    IO(read),
    IO(write),
    IO(readv),
    IO(writev),
    IO(pread64),
    IO(pwrite64),
    IO(preadv),
    IO(pwritev),
    IO(openat),
    IO(close),
    IO(lseek),
    IO(fsync),
    IO(fdatasync),
    IO(sync),
    IO(ftruncate),
    IO(fallocate),
    IO(newfstatat),
    IO(fstat),
    IO(statx),
    IO(faccessat),
    IO(readlinkat),
    IO(unlinkat),
    IO(renameat2),
    IO(mkdirat),
    IO(getdents64),
    IO(ioctl),
    IO(fcntl),
    IO(dup),
    IO(dup3),
    IO(pipe2),
    IO(eventfd2),
    IO(socket),
    IO(connect),
    IO(bind),
    IO(listen),
    IO(accept),
    IO(accept4),
    IO(sendto),
    IO(recvfrom),
    IO(sendmsg),
    IO(recvmsg),
    IO(sendmmsg),
    IO(recvmmsg),
    IO(setsockopt),
    IO(getsockopt),
    IO(shutdown),
    IO(splice),
    IO(sendfile),
    IO(epoll_ctl),
    IO(timerfd_settime),
    IO(signalfd4),

    OTHER(clone),
    OTHER(clone3),
    OTHER(execve),
    OTHER(exit),
    OTHER(exit_group),
    OTHER(kill),
    OTHER(tgkill),
    OTHER(gettid),
    OTHER(getpid),
    OTHER(getrusage),
    OTHER(sched_yield),
    OTHER(sched_setscheduler),
    OTHER(sched_getaffinity),
    OTHER(sched_setaffinity),
    OTHER(getrandom),
    OTHER(prctl),
    OTHER(rt_sigaction),
    OTHER(rt_sigprocmask),
    OTHER(membarrier),
    OTHER(clock_gettime),
    OTHER(clock_getres),
    OTHER(times),
    OTHER(uname),
    OTHER(sysinfo),
#ifdef __x86_64__
    WAIT(poll),
    WAIT(select),
    WAIT(epoll_wait),
    WAIT(pause),
    IO(open),
    IO(stat),
    IO(lstat),
    IO(access),
    IO(unlink),
    IO(rename),
    IO(mkdir),
    IO(pipe),
    IO(dup2),
    IO(readlink),
    IO(creat),
    OTHER(fork),
    OTHER(vfork),
    OTHER(gettimeofday),
    OTHER(time),
#endif
};

const char *takt_call_name(long number, enum takt_guard_kind *kind)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].number == number) {
            *kind = calls[i].kind;
            return calls[i].name;
        }
    *kind = TAKT_GUARD_CALL;
    return NULL;
}
