/*
 * rt/denormal.h - tiny numbers as zero, for the calling thread. A decaying filter otherwise ends
 * in denormal floats, each of which can cost a hundred times an ordinary operation.
 */
#ifndef TAKT_RT_DENORMAL_H
#define TAKT_RT_DENORMAL_H

#include <stdbool.h>
#include <stdint.h>

#if defined __x86_64__ || defined __i386__
#include <xmmintrin.h>
#endif

/* Returns whether the processor can. Thread: the calling one. RT: yes. */
static inline bool takt_denormals_off(void)
{
#if defined __x86_64__ || (defined __i386__ && defined __SSE__)
    enum { FLUSH_TO_ZERO = 1 << 15, DENORMALS_ARE_ZERO = 1 << 6 };
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return true;
#elif defined __aarch64__
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | 1ull << 24));
    return true;
#else
    return false;
#endif
}

#endif
