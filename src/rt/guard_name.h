/*
 * rt/guard_name.h - what the guard calls an address of this process: its function's name, that of
 * a static one too, and where in which file.
 *
 * The dynamic symbols, which dladdr(3) knows, have no static functions; the file's own table has
 * them, unless it was stripped. Lines need the debugging information, which `takt check` reads.
 */
#ifndef TAKT_RT_GUARD_NAME_H
#define TAKT_RT_GUARD_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct takt_code_place {
    char name[160];  /* "" where it is not known; as the linker has it */
    char file[232];  /* "" likewise */
    uint64_t offset; /* in the file, as addr2line wants it */
};

/* is_return: the address is where a call returns to, so the call itself lies before it. Takes no
 * memory from the heap: what broke a rule may hold its lock. Thread: any. RT: no. */
void takt_code_find(uint64_t at, bool is_return, struct takt_code_place *out);

/* The part of the path behind the last slash. Thread: any. RT: yes (wait-free). */
const char *takt_code_file_name(const struct takt_code_place *is);

#endif
