/*
 * rt/guard_report.h - the findings, in memory that another process may share.
 *
 * Written by watched threads without waiting: a finding's place is claimed by one compare-and-swap
 * and its figures are added up by atomic additions. Read by anyone at any time.
 */
#ifndef TAKT_RT_GUARD_REPORT_H
#define TAKT_RT_GUARD_REPORT_H

#include "takt/guard.h"

/* Makes the process's report, in the file that TAKT_GUARD_REPORT names if there is such, and notes
 * what can be seen. Once. Thread: control. RT: no. */
void takt_report_begin(enum takt_guard_mode mode, bool library_calls);

/* Notes a stream that is not to be watched, so that its report is not taken for a clean one.
 * Thread: control, one at a time, as begin. RT: no. */
void takt_report_unwatched(void);

/* What can be seen, as found out on the first watched thread. RT: yes. */
void takt_report_sees(bool system_calls, bool faults);

/* Notes what code is loaded. Thread: control. RT: no. */
void takt_report_modules(void);

/* Adds what one call was, with the chain of calls that led to it.
 * Thread: a watched one. RT: yes (wait-free but for the claim of a new place, which nobody holds
 * longer than it takes to fill in). */
void takt_report_add(enum takt_guard_kind kind, const char *name, uint64_t position,
                     int64_t begun_ns, int64_t took_ns, const uint64_t *frames, uint32_t depth);

/* Adds to the totals. RT: yes (wait-free). */
void takt_report_cycle(void);
void takt_report_preempted(int64_t ns);

/* As takt_guard_totals and takt_guard_findings, but read by the library itself. RT: no. */
void takt_report_own_totals(struct takt_guard_totals *out);
int takt_report_own_findings(struct takt_guard_finding *out, int max);

#endif
