/* rt/background.h - threads that nobody waits for. */
#ifndef TAKT_RT_BACKGROUND_H
#define TAKT_RT_BACKGROUND_H

/* Runs it on a detached thread that takes no signals. Returns 0 or an errno. Thread: any. RT: no.
 */
int takt_background(void *(*run)(void *arg), void *arg);

#endif
