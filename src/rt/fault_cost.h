/*
 * rt/fault_cost.h - what a page fault costs on this machine: 0.5 us on bare metal, 2 to 4 where a
 * hypervisor maps the page, too, and 12 or more where it does so under another one.
 */
#ifndef TAKT_RT_FAULT_COST_H
#define TAKT_RT_FAULT_COST_H

#include <stdint.h>

/* What a minor fault can cost, in ns: the median of some that are caused for it, and at least 8000,
 * as on a quick machine one that has to wait costs that. Measured once in a process, in about a
 * millisecond.
 * Thread: control. RT: no. */
int64_t takt_fault_cost_ns(void);

#endif
