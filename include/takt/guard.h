/*
 * takt/guard.h - catches what a callback must not do: take memory, lock, wait, do I/O, make any
 * other system call, touch memory that is not there.
 *
 *     TAKT_GUARD=report ./my-program       // any program that uses libtakt, not rebuilt: what was
 *                                          // found is told on stderr when it ends
 *     takt check -- ./my-program           // more is seen, and lines are told; exit 3 at a finding
 *     cfg.guard = TAKT_GUARD_TRAP;         // in a test: the first one ends the program
 *
 * It watches the device thread from the driver's wake-up until the block is delivered, so the
 * engine's own code as well as the callback's. There are three ways to see, and takt_guard_totals
 * says which of them this system has:
 *
 * - system_calls: the kernel hands every system call of the thread to us (Syscall User Dispatch,
 *   Linux 5.11, x86-64). While none is made it costs two stores a cycle; each that is made is
 *   carried out, some 2 us later.
 * - library_calls: libtakt-guard.so is preloaded, as `takt check` does, and sees what needs no
 *   system call: malloc and free, an uncontended mutex, a buffered printf.
 * - faults: the kernel writes page faults and switches of the thread into a ring of perf_event
 *   (perf_event_paranoid at most 2, or CAP_PERFMON). Faults count after the first 100 cycles.
 *
 * A call that another one makes in turn is part of it: a printf that allocates and writes is one
 * finding. takt's own wake-ups of sleeping threads, one system call each, are allowed. Those of a
 * callback are not, and they count when nobody sleeps, too, since that is chance: sem_post,
 * pthread_cond_signal and _broadcast, cnd_signal and _broadcast; see takt_guard_allow.
 *
 * The library prints nothing as a rule. Two things are asked for: what trap mode says before it
 * ends the program, and, where TAKT_GUARD is count or report, the findings once exit is called or
 * main returns. It does not print these in a program that calls takt_guard_totals or
 * takt_guard_findings itself, or under `takt check`.
 */
#ifndef TAKT_GUARD_H
#define TAKT_GUARD_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum takt_guard_mode {
    TAKT_GUARD_DEFAULT = 0, /* what the environment's TAKT_GUARD says, else off */
    TAKT_GUARD_OFF,
    TAKT_GUARD_COUNT,  /* what and from where, without the chain of calls */
    TAKT_GUARD_REPORT, /* with the chain of calls */
    TAKT_GUARD_TRAP    /* the first finding is told on stderr and ends the program (SIGABRT) */
};

enum takt_guard_kind {
    TAKT_GUARD_ALLOCATION, /* memory taken or given back */
    TAKT_GUARD_LOCK,
    TAKT_GUARD_WAIT, /* sleeps, joins, waits for a condition or a semaphore */
    TAKT_GUARD_IO,   /* files, sockets, the console */
    TAKT_GUARD_CALL, /* any other system call */
    TAKT_GUARD_FAULT,
    TAKT_GUARD_KINDS
};

enum { TAKT_GUARD_FRAMES = 16, TAKT_GUARD_FINDINGS = 128, TAKT_GUARD_MODULES = 64 };

/* One place that breaks a rule in one way, however often. */
struct takt_guard_finding {
    enum takt_guard_kind kind;
    char name[28];     /* of the call: "malloc", "nanosleep", "page fault" */
    uint64_t count;    /* how often */
    uint64_t position; /* of the stream at the first one, frames */
    int64_t first_ns;  /* when, CLOCK_MONOTONIC */
    int64_t total_ns;  /* how long all of them took */
    int64_t longest_ns;
    uint32_t depth;                     /* how many of frames there are */
    uint64_t frames[TAKT_GUARD_FRAMES]; /* addresses, the innermost first */
};

/* A file of code, to find an address's line: address - bias is what the file's symbols have. */
struct takt_guard_module {
    uint64_t bias, begin, end;
    char path[232];
};

struct takt_guard_totals {
    enum takt_guard_mode mode;
    bool system_calls, library_calls, faults; /* what is seen; see above */
    uint64_t cycles;                          /* watched */
    uint64_t found;                           /* all findings' counts */
    uint64_t kinds[TAKT_GUARD_KINDS];
    uint64_t unwatched_streams;   /* that were made with their guard off */
    uint64_t unwatched_processes; /* that made streams when the report was another one's already */
    uint64_t unlisted;            /* of found, those for which the list had no room */
    uint64_t preemptions;         /* taken off the CPU in a cycle; nobody's fault in the callback */
    int64_t preempted_ns;
};

/* "off", "count", "report" or "trap". Errors: TAKT_ERR_ARG; *out is untouched then. RT: no. */
TAKT_API int takt_guard_mode_read(const char *text, enum takt_guard_mode *out);
TAKT_API const char *takt_guard_mode_name(enum takt_guard_mode mode);

/* "allocation", "lock", "wait", "io", "call", "page_fault". Never NULL. RT: yes. */
TAKT_API const char *takt_guard_kind_name(enum takt_guard_kind kind);

/* Of the whole process since its start. Thread: any. RT: no. */
TAKT_API void takt_guard_totals(struct takt_guard_totals *out);

/* Copies up to max findings, in the order of their first time, and returns how many.
 * Thread: any. RT: no. */
TAKT_API int takt_guard_findings(struct takt_guard_finding *out, int max);

/* Where the code of this process lies. Returns how many of at most max. Thread: any. RT: no. */
TAKT_API int takt_guard_modules(struct takt_guard_module *out, int max);

/* Whose code lies in a file. A finding's place is the innermost frame of the program's own, or else
 * of takt's, or else of the system's: the C library and such, and what lies in no file. */
enum takt_guard_owner { TAKT_GUARD_OF_PROGRAM, TAKT_GUARD_OF_TAKT, TAKT_GUARD_OF_SYSTEM };

/* By a module's path, "" where it is not known. Thread: any. RT: no. */
TAKT_API enum takt_guard_owner takt_guard_owner_of(const char *path);

/* Between these two the calling thread is not watched: for what a callback does on purpose, such
 * as waking a thread of its own by sem_post. They nest. Thread: any. RT: yes, O(what the kernel did
 * to the thread since it was looked at). */
TAKT_API void takt_guard_allow(void);
TAKT_API void takt_guard_forbid(void);

/* ---- Across processes: what takt check is made of ---------------------------------------- */

/* A report in shared memory. The environment's TAKT_GUARD_REPORT names a file of just this size;
 * the first process that makes a stream writes into it as it goes, so it is whole whenever that
 * process ends and however. Others only count themselves there. */
struct takt_guard_report;

/* The size of the file. Thread: any. RT: no. */
TAKT_API size_t takt_guard_report_bytes(void);

/* The report in memory that was mapped from such a file; NULL when no stream was made yet or
 * another version of libtakt wrote it. Thread: any. RT: no. */
TAKT_API const struct takt_guard_report *takt_guard_report_open(const void *mapped);
TAKT_API int takt_guard_report_pid(const struct takt_guard_report *r);
TAKT_API void takt_guard_report_totals(const struct takt_guard_report *r,
                                       struct takt_guard_totals *out);
TAKT_API int takt_guard_report_findings(const struct takt_guard_report *r,
                                        struct takt_guard_finding *out, int max);
TAKT_API int takt_guard_report_modules(const struct takt_guard_report *r,
                                       struct takt_guard_module *out, int max);

#ifdef __cplusplus
}
#endif
#endif
