/*
 * rt/resident.h - code and constants that are in memory before the callback needs them.
 *
 * The first call of a function whose page nobody has used costs a page fault, and a read from the
 * disk where the page is not cached.
 */
#ifndef TAKT_RT_RESIDENT_H
#define TAKT_RT_RESIDENT_H

/* Maps all pages of the program and of its libraries, up to 64 MB of each, that this process does
 * not have yet; once, and again when libraries were loaded since. Where the system has no way
 * to do that (Linux 5.14) it does nothing. Thread: control. RT: no. */
void takt_resident_begin(void);

#endif
