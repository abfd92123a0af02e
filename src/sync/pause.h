/* sync/pause.h - one breath between two looks at what another thread is about to write: it leaves
 * the cache line, and a sibling hyperthread, alone for some tens of cycles.
 * Thread: any. RT: yes (wait-free). */
#ifndef TAKT_SYNC_PAUSE_H
#define TAKT_SYNC_PAUSE_H

static inline void takt_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
