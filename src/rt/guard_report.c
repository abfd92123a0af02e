/*
 * A table of findings, each found by what it is and where it comes from. A place is EMPTY, then
 * CLAIMED by the thread that fills it in, then READY and its description constant; only the counts
 * move on. Places are claimed in order, so the table needs no other index; it is short, and a
 * finding costs a chain of calls to be walked anyway.
 *
 * The report may lie in a file that a parent process has mapped. Then only the first process that
 * begins may write: `pid` is claimed like a place. Of the others it is known how many there were.
 */
#include "rt/guard_report.h"

#include "rt/guard_text.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC = 0x74616b31, PLACE_EMPTY = 0, PLACE_CLAIMED, PLACE_READY };

struct place {
    _Atomic uint32_t state;
    uint32_t kind, depth;
    char name[28];
    uint64_t position;
    int64_t first_ns;
    uint64_t frames[TAKT_GUARD_FRAMES];
    _Atomic uint64_t count;
    _Atomic int64_t total_ns, longest_ns;
};

struct takt_guard_report {
    _Atomic uint32_t magic; /* MAGIC once it is in use */
    _Atomic int32_t pid;
    _Atomic uint32_t mode;
    _Atomic bool system_calls, library_calls, faults;
    _Atomic uint64_t cycles, unlisted, unwatched, others, preemptions;
    _Atomic int64_t preempted_ns;
    _Atomic uint64_t kinds[TAKT_GUARD_KINDS];
    struct place places[TAKT_GUARD_FINDINGS];
    _Atomic uint32_t module_count;
    struct takt_guard_module modules[TAKT_GUARD_MODULES];
};

static struct takt_guard_report own;
static struct takt_guard_report *_Atomic report = &own;

/* ---- Writing -----------------------------------------------------------------------------------
 */

/* The file that the parent has made, if it is just that. */
static struct takt_guard_report *map_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *at = MAP_FAILED;
    if (fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof own)
        at = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

/* The process's report: what a parent has made for it, if no other process was first, or else its
 * own memory. */
static struct takt_guard_report *take_report(void)
{
    static bool is_taken;
    if (is_taken)
        return atomic_load(&report);
    is_taken = true;
    const char *path = getenv("TAKT_GUARD_REPORT");
    struct takt_guard_report *r = path ? map_file(path) : NULL;
    int32_t nobody = 0;
    if (r && !atomic_compare_exchange_strong(&r->pid, &nobody, getpid())) {
        atomic_fetch_add(&r->others, 1);
        munmap(r, sizeof *r); /* somebody else's */
        r = NULL;
    }
    if (!r)
        r = &own;
    atomic_store(&r->pid, getpid());
    atomic_store(&report, r);
    return r;
}

void takt_report_begin(enum takt_guard_mode mode, bool library_calls)
{
    struct takt_guard_report *r = take_report();
    atomic_store(&r->mode, mode);
    atomic_store(&r->library_calls, library_calls);
    takt_report_modules();
    atomic_store(&r->magic, MAGIC);
}

void takt_report_unwatched(void)
{
    struct takt_guard_report *r = take_report();
    atomic_fetch_add(&r->unwatched, 1);
    atomic_store(&r->magic, MAGIC);
}

void takt_report_sees(bool system_calls, bool faults)
{
    struct takt_guard_report *r = atomic_load_explicit(&report, memory_order_relaxed);
    atomic_store_explicit(&r->system_calls, system_calls, memory_order_relaxed);
    atomic_store_explicit(&r->faults, faults, memory_order_relaxed);
}

static int note_module(struct dl_phdr_info *o, size_t bytes, void *arg)
{
    struct takt_guard_report *r = arg;
    uint32_t n = atomic_load(&r->module_count);
    uint64_t begin = UINT64_MAX, end = 0;
    for (int i = 0; i < o->dlpi_phnum; i++)
        if (o->dlpi_phdr[i].p_type == PT_LOAD) {
            uint64_t from = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;
            begin = from < begin ? from : begin;
            end = from + o->dlpi_phdr[i].p_memsz > end ? from + o->dlpi_phdr[i].p_memsz : end;
        }
    for (uint32_t i = 0; i < n; i++)
        if (r->modules[i].begin == begin && r->modules[i].end == end)
            return 0;
    if (n == TAKT_GUARD_MODULES || end <= begin)
        return 0;
    struct takt_guard_module *m = &r->modules[n];
    *m = (struct takt_guard_module){.bias = o->dlpi_addr, .begin = begin, .end = end};
    size_t length = strnlen(o->dlpi_name, sizeof m->path - 1);
    memcpy(m->path, o->dlpi_name, length);
    if (!length && readlink("/proc/self/exe", m->path, sizeof m->path - 1) < 0)
        m->path[0] = '\0';
    atomic_store_explicit(&r->module_count, n + 1, memory_order_release);
    return 0;
}

void takt_report_modules(void)
{
    dl_iterate_phdr(note_module, atomic_load(&report));
}

static bool is_same(const struct place *p, enum takt_guard_kind kind, const char *name,
                    const uint64_t *frames, uint32_t depth)
{
    return p->kind == kind && p->depth == depth && !strncmp(p->name, name, sizeof p->name - 1) &&
           !memcmp(p->frames, frames, depth * sizeof *frames);
}

static struct place *find_place(struct takt_guard_report *r, enum takt_guard_kind kind,
                                const char *name, uint64_t position, int64_t begun_ns,
                                const uint64_t *frames, uint32_t depth)
{
    for (int i = 0; i < TAKT_GUARD_FINDINGS; i++) {
        struct place *p = &r->places[i];
        uint32_t state = PLACE_EMPTY;
        if (atomic_compare_exchange_strong(&p->state, &state, PLACE_CLAIMED)) {
            p->kind = kind;
            p->depth = depth;
            size_t length = strnlen(name, sizeof p->name - 1);
            memcpy(p->name, name, length);
            p->name[length] = '\0';
            p->position = position;
            p->first_ns = begun_ns;
            memcpy(p->frames, frames, depth * sizeof *frames);
            atomic_store_explicit(&p->state, PLACE_READY, memory_order_release);
            return p;
        }
        /* One that is being filled in is taken for another one: at worst it is listed twice. */
        if (state == PLACE_READY && is_same(p, kind, name, frames, depth))
            return p;
    }
    return NULL;
}

void takt_report_add(enum takt_guard_kind kind, const char *name, uint64_t position,
                     int64_t begun_ns, int64_t took_ns, const uint64_t *frames, uint32_t depth)
{
    struct takt_guard_report *r = atomic_load_explicit(&report, memory_order_relaxed);
    struct place *p = find_place(r, kind, name, position, begun_ns, frames,
                                 depth < TAKT_GUARD_FRAMES ? depth : TAKT_GUARD_FRAMES);
    atomic_fetch_add(&r->kinds[kind], 1);
    if (!p) {
        atomic_fetch_add(&r->unlisted, 1);
        return;
    }
    atomic_fetch_add(&p->total_ns, took_ns);
    if (took_ns > atomic_load(&p->longest_ns))
        atomic_store(&p->longest_ns, took_ns);
    atomic_fetch_add(&p->count, 1);
}

void takt_report_cycle(void)
{
    struct takt_guard_report *r = atomic_load_explicit(&report, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->cycles, 1, memory_order_relaxed);
}

void takt_report_preempted(int64_t ns)
{
    struct takt_guard_report *r = atomic_load_explicit(&report, memory_order_relaxed);
    atomic_fetch_add(&r->preemptions, 1);
    atomic_fetch_add(&r->preempted_ns, ns);
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

size_t takt_guard_report_bytes(void)
{
    return sizeof own;
}

const struct takt_guard_report *takt_guard_report_open(const void *mapped)
{
    const struct takt_guard_report *r = mapped;
    return atomic_load(&r->magic) == MAGIC ? r : NULL;
}

int takt_guard_report_pid(const struct takt_guard_report *r)
{
    return atomic_load(&r->pid);
}

void takt_guard_report_totals(const struct takt_guard_report *r, struct takt_guard_totals *out)
{
    uint32_t mode = atomic_load(&r->mode);
    *out = (struct takt_guard_totals){.mode = mode ? (enum takt_guard_mode)mode : TAKT_GUARD_OFF,
                                      .system_calls = atomic_load(&r->system_calls),
                                      .library_calls = atomic_load(&r->library_calls),
                                      .faults = atomic_load(&r->faults),
                                      .cycles = atomic_load(&r->cycles),
                                      .unlisted = atomic_load(&r->unlisted),
                                      .unwatched_streams = atomic_load(&r->unwatched),
                                      .unwatched_processes = atomic_load(&r->others),
                                      .preemptions = atomic_load(&r->preemptions),
                                      .preempted_ns = atomic_load(&r->preempted_ns)};
    for (int i = 0; i < TAKT_GUARD_KINDS; i++)
        out->found += out->kinds[i] = atomic_load(&r->kinds[i]);
}

int takt_guard_report_findings(const struct takt_guard_report *r, struct takt_guard_finding *out,
                               int max)
{
    int n = 0;
    for (int i = 0; i < TAKT_GUARD_FINDINGS && n < max; i++) {
        const struct place *p = &r->places[i];
        uint64_t count = atomic_load(&p->count);
        if (atomic_load_explicit(&p->state, memory_order_acquire) != PLACE_READY || !count)
            continue;
        struct takt_guard_finding *f = &out[n++];
        *f = (struct takt_guard_finding){
            .kind = p->kind < TAKT_GUARD_KINDS ? (enum takt_guard_kind)p->kind : TAKT_GUARD_CALL,
            .count = count,
            .position = p->position,
            .first_ns = p->first_ns,
            .total_ns = atomic_load(&p->total_ns),
            .longest_ns = atomic_load(&p->longest_ns),
            .depth = p->depth < TAKT_GUARD_FRAMES ? p->depth : TAKT_GUARD_FRAMES};
        memcpy(f->name, p->name, sizeof f->name);
        f->name[sizeof f->name - 1] = '\0';
        memcpy(f->frames, p->frames, sizeof f->frames);
    }
    return n;
}

int takt_guard_report_modules(const struct takt_guard_report *r, struct takt_guard_module *out,
                              int max)
{
    int n = (int)atomic_load_explicit(&r->module_count, memory_order_acquire);
    n = n < TAKT_GUARD_MODULES ? n : TAKT_GUARD_MODULES;
    n = n < max ? n : max;
    for (int i = 0; i < n; i++) {
        out[i] = r->modules[i];
        out[i].path[sizeof out[i].path - 1] = '\0';
    }
    return n > 0 ? n : 0;
}

void takt_report_own_totals(struct takt_guard_totals *out)
{
    takt_guard_report_totals(atomic_load(&report), out);
}

int takt_report_own_findings(struct takt_guard_finding *out, int max)
{
    return takt_guard_report_findings(atomic_load(&report), out, max);
}

void takt_guard_totals(struct takt_guard_totals *out)
{
    takt_guard_text_taken();
    takt_report_own_totals(out);
}

int takt_guard_findings(struct takt_guard_finding *out, int max)
{
    takt_guard_text_taken();
    return takt_report_own_findings(out, max);
}

int takt_guard_modules(struct takt_guard_module *out, int max)
{
    takt_report_modules();
    return takt_guard_report_modules(atomic_load(&report), out, max);
}
