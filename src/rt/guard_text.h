/*
 * rt/guard_text.h - what the guard says itself, on stderr: the chain at which trap mode ends the
 * program, and for those who ask by TAKT_GUARD alone all that was found, once the program ends.
 */
#ifndef TAKT_RT_GUARD_TEXT_H
#define TAKT_RT_GUARD_TEXT_H

#include "takt/guard.h"

/* The chain of calls, the innermost first. No heap. Thread: any. RT: no. */
void takt_guard_text_chain(enum takt_guard_kind kind, const char *name, uint64_t position,
                           const uint64_t *frames, uint32_t depth);

/* The environment asked for count or report: the findings are told when the process ends, unless
 * it reads them itself or `takt check` does. Thread: control. RT: no. */
void takt_guard_text_wanted(void);

/* The program reads them. Thread: any. RT: yes (wait-free). */
void takt_guard_text_taken(void);

#endif
