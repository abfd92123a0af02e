/*
 * rt/preload.h - what libtakt and libtakt-guard.so, its preloaded companion, know of each other.
 *
 * The companion stands before functions of the C library. It exports one object, by which libtakt
 * finds it. For each thread it has a slot: while a watcher stands in it, a call is told to the
 * hooks.
 */
#ifndef TAKT_RT_PRELOAD_H
#define TAKT_RT_PRELOAD_H

#include "takt/guard.h"

#define TAKT_PRELOAD_SYMBOL "takt_preload"
enum { TAKT_PRELOAD_VERSION = 1, TAKT_PRELOAD_CALL_BYTES = 64 };

struct takt_preload_hooks {
    /* room: TAKT_PRELOAD_CALL_BYTES, aligned, kept until end. The slot is empty in between.
     * caller: the address that the call returns to. */
    void (*begin)(void *watcher, enum takt_guard_kind kind, const char *name, const void *caller,
                  void *room);
    void (*end)(void *room);
};

struct takt_preload {
    uint32_t version;
    void (*bind)(const struct takt_preload_hooks *hooks);
    void *volatile *(*slot)(void); /* the calling thread's */
};

#endif
