/*
 * signals.h - the signals that end a run, taken by the main thread from a descriptor, so that no
 * thread is torn and every run can end in order.
 */
#ifndef CMD_SIGNALS_H
#define CMD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* SIGINT, SIGTERM, SIGHUP and SIGTSTP come by the descriptor from now on, in all threads that begin
 * later, too. */
struct signals {
    int fd;
    sigset_t before;
};
void signals_take(struct signals *s);

/* The next one that has come, or 0. */
int signals_next(struct signals *s);

/* Whether a signal that has come ends the run; 0 does not. SIGTSTP does not either: the program is
 * stopped here, as Ctrl-Z asks, until it is told to go on. The terminal must be whole by then. */
bool signals_ends(int signal);

/* As before. */
void signals_give_back(struct signals *s);

#endif
