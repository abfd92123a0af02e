#include "signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

void signals_take(struct signals *s)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGTSTP);
    sigprocmask(SIG_BLOCK, &ours, &s->before);
    s->fd = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_next(struct signals *s)
{
    struct signalfd_siginfo signal;
    return read(s->fd, &signal, sizeof signal) == sizeof signal ? (int)signal.ssi_signo : 0;
}

bool signals_ends(int signal)
{
    if (signal == SIGTSTP)
        raise(SIGSTOP);
    return signal && signal != SIGTSTP;
}

void signals_give_back(struct signals *s)
{
    /* One that came twice was meant once. */
    while (s->fd >= 0 && signals_next(s))
        ;
    if (s->fd >= 0)
        close(s->fd);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}
