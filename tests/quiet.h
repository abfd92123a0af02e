/*
 * tests/quiet.h - runs a stream and counts what must stay still in it: calls of the allocator
 * anywhere in the process, bytes in use on the heap, and page faults of the device thread, all
 * from block 100 to the last.
 *
 * The allocator's entry points are replaced in the program that includes this (the C library's
 * own are behind them), so calls out of the shared library count too.
 */
#ifndef TAKT_TESTS_QUIET_H
#define TAKT_TESTS_QUIET_H

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <takt/takt.h>

enum { QUIET_FROM_BLOCK = 100 };

static _Atomic uint64_t quiet_calls;

#ifndef QUIET_NO_INTERPOSER
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void __libc_free(void *old);

void *malloc(size_t bytes)
{
    atomic_fetch_add_explicit(&quiet_calls, 1, memory_order_relaxed);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add_explicit(&quiet_calls, 1, memory_order_relaxed);
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    atomic_fetch_add_explicit(&quiet_calls, 1, memory_order_relaxed);
    return __libc_realloc(old, bytes);
}

void free(void *old)
{
    atomic_fetch_add_explicit(&quiet_calls, 1, memory_order_relaxed);
    __libc_free(old);
}
#endif

struct quiet {
    uint64_t blocks, calls;
    long minor_faults, major_faults;
    long long heap_bytes;
    struct mallinfo2 heap;
    struct rusage before;
    uint64_t calls_before;
    uint64_t last_block;
};

/* Copies input to output and takes stock at block 100 and at the last. mallinfo2 takes the heap's
 * lock, which is why only this callback may call it, and only twice. */
static enum takt_next quiet_process(const struct takt_block *b, void *arg)
{
    struct quiet *q = arg;
    for (uint32_t c = 0; c < b->out_channels && b->in_channels; c++)
        memcpy(b->out[c], b->in[c % b->in_channels], b->frames * sizeof(float));
    q->blocks++;
    takt_guard_allow();
    if (q->blocks == QUIET_FROM_BLOCK) {
        q->heap = mallinfo2();
        getrusage(RUSAGE_THREAD, &q->before);
        q->calls_before = atomic_load(&quiet_calls);
    } else if (q->blocks == q->last_block) {
        struct rusage now;
        getrusage(RUSAGE_THREAD, &now);
        q->calls = atomic_load(&quiet_calls) - q->calls_before;
        q->minor_faults = now.ru_minflt - q->before.ru_minflt;
        q->major_faults = now.ru_majflt - q->before.ru_majflt;
        struct mallinfo2 heap = mallinfo2();
        q->heap_bytes = (long long)heap.uordblks + (long long)heap.hblkhd -
                        (long long)q->heap.uordblks - (long long)q->heap.hblkhd;
    }
    takt_guard_forbid();
    return q->blocks == q->last_block ? TAKT_DRAIN : TAKT_CONTINUE;
}

/* Runs `blocks` blocks with these settings. Returns 0, or the error, which is printed. */
static int quiet_run(struct takt_stream_cfg cfg, uint64_t blocks, struct quiet *q)
{
    struct takt_stream *s;
    struct takt_error e;
    *q = (struct quiet){.last_block = blocks};
    cfg.process = quiet_process;
    cfg.arg = q;
    int err = takt_stream_create(&cfg, &s, &e);
    if (err >= 0) {
        err = takt_stream_start(s);
        if (err >= 0)
            err = takt_stream_wait(s, 60000);
        takt_stream_error(s, &e);
        takt_stream_destroy(s);
    }
    if (err < 0)
        printf("# %s\n", e.text);
    return err;
}

#endif
