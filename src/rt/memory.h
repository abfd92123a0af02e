/*
 * rt/memory.h - memory for what the device thread touches: taken from the system in one piece,
 * there before it is needed, and kept there.
 */
#ifndef TAKT_RT_MEMORY_H
#define TAKT_RT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, page-aligned, every page touched, and locked where the limit allows (RLIMIT_MEMLOCK).
 * NULL and errno when there is none. Thread: any. RT: no. */
void *takt_rt_alloc(size_t bytes);
void takt_rt_free(void *memory); /* NULL is fine */

/* Was the piece locked, or only touched? Thread: any. RT: yes. */
bool takt_rt_is_locked(const void *memory);

#endif
