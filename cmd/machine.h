/*
 * machine.h - where something was measured: what Linux says of the machine, for the reports.
 */
#ifndef CMD_MACHINE_H
#define CMD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct machine {
    char cpu[128];
    char kernel[200];
    int cores;         /* that this process may use */
    char governor[64]; /* "" where there is none to be seen */
    bool is_virtual;   /* a hypervisor says so */
    char date[40];     /* of the beginning: 2026-01-31 17:05 +0100 */
};

void machine_read(struct machine *m);

/* The machine's CPU time so far, in ticks, and what of it was stolen. False where it is not told.
 */
struct machine_ticks {
    uint64_t all, stolen;
};
bool machine_ticks_read(struct machine_ticks *t);

#endif
