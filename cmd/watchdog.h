/*
 * watchdog.h - last words of a run that a seed repeats: where it was when an assertion, a wrong
 * address or a step that never ends took the process.
 *
 *     watchdog_begin(&(struct watchdog){.command = "sim", .seed = 7, .where = where, ...});
 *     watchdog_feed();   // it goes on: now and then, at least each two minutes
 *     watchdog_end();
 */
#ifndef CMD_WATCHDOG_H
#define CMD_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
    const char *command; /* "sim net" */
    uint64_t seed;
    void (*where)(uint64_t *scenario, uint64_t *at); /* what a signal's handler may call */
    const char *before_at, *after_at;                /* " at ", " s" */
    bool replays;                                    /* by seed and scenario alone */
};

/* Of the whole process; w is copied. */
void watchdog_begin(const struct watchdog *w);
void watchdog_feed(void);
void watchdog_end(void);

#endif
