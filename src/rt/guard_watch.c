/*
 * One event does both: it samples each page fault of the program's own code, with its instruction
 * and time, and has the kernel note each switch. Records are read from `at`; a record that goes
 * around the ring's end is put together from two halves.
 *
 * Source: perf_event_open(2); include/uapi/linux/perf_event.h.
 */
#include "rt/guard_watch.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DATA_PAGES = 8 };

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool takt_watch_open(struct takt_watch *w)
{
    struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
                                .size = sizeof a,
                                .config = PERF_COUNT_SW_PAGE_FAULTS,
                                .sample_period = 1,
                                .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TIME,
                                .exclude_kernel = 1,
                                .exclude_hv = 1,
                                .sample_id_all = 1,
                                .context_switch = 1,
                                .use_clockid = 1,
                                .clockid = CLOCK_MONOTONIC,
                                .watermark = 1, /* nobody is to be woken for it */
                                .wakeup_watermark = DATA_PAGES << 20};
    *w = (struct takt_watch){.fd = -1};
    w->fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (w->fd < 0)
        return false;
    void *page =
        mmap(NULL, (1 + DATA_PAGES) * page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
    if (page == MAP_FAILED) {
        close(w->fd);
        return false;
    }
    w->page = page;
    return true;
}

void takt_watch_close(struct takt_watch *w)
{
    if (!w->page)
        return;
    munmap(w->page, (1 + DATA_PAGES) * page_bytes());
    close(w->fd);
    *w = (struct takt_watch){.fd = -1};
}

static void copy(const struct takt_watch *w, void *to, size_t bytes)
{
    const char *data = (const char *)w->page + w->page->data_offset;
    size_t size = w->page->data_size, from = w->at % size;
    size_t first = bytes < size - from ? bytes : size - from;
    memcpy(to, data + from, first);
    memcpy((char *)to + first, data, bytes - first);
}

static bool read_fault(struct takt_watch_event *out, uint64_t instruction)
{
    *out = (struct takt_watch_event){.type = TAKT_WATCH_FAULT, .instruction = instruction};
    return true;
}

/* Off the CPU and back is one thing that happened. */
static bool read_switch(struct takt_watch *w, unsigned misc, int64_t time_ns,
                        struct takt_watch_event *out)
{
    if (misc & PERF_RECORD_MISC_SWITCH_OUT) {
        w->off_ns = time_ns;
        w->off_by_force = misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT;
        return false;
    }
    if (!w->off_ns)
        return false;
    *out = (struct takt_watch_event){.type = w->off_by_force ? TAKT_WATCH_PREEMPTED
                                                             : TAKT_WATCH_BLOCKED,
                                     .off_cpu_ns = time_ns - w->off_ns};
    w->off_ns = 0;
    return true;
}

bool takt_watch_next(struct takt_watch *w, struct takt_watch_event *out)
{
    bool found = false;
    while (!found && w->page && w->at < __atomic_load_n(&w->page->data_head, __ATOMIC_ACQUIRE)) {
        struct {
            struct perf_event_header header;
            uint64_t words[2]; /* a fault's instruction and time; a switch's time */
        } r = {0};
        copy(w, &r.header, sizeof r.header);
        size_t bytes = r.header.size < sizeof r ? r.header.size : sizeof r;
        copy(w, &r, bytes);
        if (r.header.size < sizeof r.header)
            break; /* no kernel writes that */
        w->at += r.header.size;
        if (r.header.type == PERF_RECORD_SAMPLE)
            found = read_fault(out, r.words[0]);
        else if (r.header.type == PERF_RECORD_SWITCH)
            found = read_switch(w, r.header.misc, (int64_t)r.words[0], out);
        __atomic_store_n(&w->page->data_tail, w->at, __ATOMIC_RELEASE);
    }
    return found;
}
