/*
 * What is caught is carried out and recorded while the marks are off, so that what it does in turn
 * is part of it. The chain of calls is walked at once, in the watched thread: it is gone
 * afterwards. Names and lines are looked up by whoever reads the report.
 *
 * Invariants: marks are set only between enter and leave, by the watched thread itself. A struct
 * takt_guard_thread whose thread lives is never given to another one.
 */
#include "rt/guard.h"

#include "base/fail.h"
#include "rt/guard_calls.h"
#include "rt/guard_report.h"
#include "rt/guard_text.h"
#include "rt/guard_trap.h"
#include "rt/preload.h"
#include "takt/time.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

enum { THREADS_MAX = 64, WARM_CYCLES = 100 };

static struct takt_guard_thread *threads; /* [THREADS_MAX], for ever */
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct takt_preload *preload; /* NULL: nothing is preloaded */
static bool traps;

/* ---- Modes ------------------------------------------------------------------------------------
 */

static const char *const mode_names[] = {"default", "off", "count", "report", "trap"};

int takt_guard_mode_read(const char *text, enum takt_guard_mode *out)
{
    for (int i = TAKT_GUARD_OFF; i <= TAKT_GUARD_TRAP; i++)
        if (!strcmp(text, mode_names[i])) {
            *out = (enum takt_guard_mode)i;
            return TAKT_OK;
        }
    return TAKT_ERR_ARG;
}

const char *takt_guard_mode_name(enum takt_guard_mode mode)
{
    return (unsigned)mode <= TAKT_GUARD_TRAP ? mode_names[mode] : "unknown";
}

const char *takt_guard_kind_name(enum takt_guard_kind kind)
{
    static const char *const names[TAKT_GUARD_KINDS] = {"allocation", "lock", "wait",
                                                        "io",         "call", "page_fault"};
    return (unsigned)kind < TAKT_GUARD_KINDS ? names[kind] : "unknown";
}

/* ---- Chains of calls --------------------------------------------------------------------------
 */

struct chain {
    const void *from; /* an address in the first frame that counts; NULL: all count */
    const char *top;  /* frames that begin above are not the cycle's */
    bool begun;
    uint32_t depth;
    uint64_t frames[TAKT_GUARD_FRAMES];
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *c, void *arg)
{
    struct chain *k = arg;
    const void *at = (const void *)_Unwind_GetIP(c);
    if (k->top && (const char *)_Unwind_GetCFA(c) > k->top && k->begun)
        return _URC_END_OF_STACK;
    k->begun |= !k->from || at == k->from;
    if (k->begun && k->depth < TAKT_GUARD_FRAMES)
        k->frames[k->depth++] = (uint64_t)(uintptr_t)at;
    return k->depth == TAKT_GUARD_FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void walk(const struct takt_guard_call *call, struct chain *k)
{
    *k = (struct chain){.from = call->caller, .top = call->thread->top};
    if (call->thread->mode > TAKT_GUARD_COUNT)
        _Unwind_Backtrace(visit, k);
    if (!k->depth) {
        k->frames[0] = (uint64_t)(uintptr_t)call->caller;
        k->depth = 1;
    }
}

/* ---- Caught -----------------------------------------------------------------------------------
 */

/* The one place that prints while a stream runs: the program is about to end. */
static void end_program(const struct takt_guard_call *call, const struct chain *k)
{
    takt_report_modules();
    takt_guard_text_chain(call->kind, call->name, call->thread->position, k->frames, k->depth);
    abort();
}

static void note_fault(struct takt_guard_thread *t, uint64_t instruction)
{
    t->seen.faults++;
    if (t->cycles < WARM_CYCLES)
        return;
    struct takt_guard_call call = {.thread = t,
                                   .kind = TAKT_GUARD_FAULT,
                                   .name = "page fault",
                                   .caller = (const void *)(uintptr_t)instruction,
                                   .begun_ns = takt_now_ns()};
    struct chain k = {.depth = 1, .frames = {instruction}};
    takt_report_add(call.kind, call.name, t->position, call.begun_ns, 0, k.frames, k.depth);
    if (t->mode == TAKT_GUARD_TRAP) {
        takt_permit_mark(&takt_permit, false);
        end_program(&call, &k);
    }
}

/* Takes what the kernel has written so far, and tells the faults. */
static void look(struct takt_guard_thread *t, bool faults_count)
{
    struct takt_watch_event ev;
    while (takt_watch_has_more(&t->watch) && takt_watch_next(&t->watch, &ev)) {
        if (ev.type == TAKT_WATCH_FAULT && faults_count) {
            note_fault(t, ev.instruction);
        } else if (ev.type == TAKT_WATCH_PREEMPTED) {
            t->seen.preemptions++;
            t->seen.preempted_ns += ev.off_cpu_ns;
            takt_report_preempted(ev.off_cpu_ns);
        } else if (ev.type == TAKT_WATCH_BLOCKED) {
            t->seen.blocked_ns += ev.off_cpu_ns;
        }
    }
}

void takt_guard_look(struct takt_guard_thread *t)
{
    look(t, true);
}

static void record(struct takt_guard_call *call, int64_t took_ns)
{
    struct takt_guard_thread *t = call->thread;
    struct chain k;
    char number[28];
    if (!call->name) {
        snprintf(number, sizeof number, "system call %ld", call->number);
        call->name = number;
    }
    walk(call, &k);
    takt_report_add(call->kind, call->name, t->position, call->begun_ns, took_ns, k.frames,
                    k.depth);
    if (t->mode == TAKT_GUARD_TRAP)
        end_program(call, &k);
}

void takt_guard_call_begin(struct takt_guard_call *call)
{
    takt_permit_mark(&takt_permit, false);
    look(call->thread, true);
    call->begun_ns = takt_now_ns();
    if (call->thread->mode == TAKT_GUARD_TRAP)
        record(call, 0);
}

void takt_guard_call_end(struct takt_guard_call *call)
{
    int kept = errno;
    int64_t took_ns = takt_now_ns() - call->begun_ns;
    look(call->thread, false); /* faults that came of the call are part of it */
    call->thread->seen.calls++;
    call->thread->seen.call_ns += took_ns;
    record(call, took_ns);
    look(call->thread, false); /* and those of the record */
    errno = kept;
    takt_permit_mark(&takt_permit, takt_permit.is_watched && !takt_permit.depth);
}

void takt_guard_allow(void)
{
    struct takt_permit *p = &takt_permit;
    takt_permit_begin();
    if (p->is_watched && p->depth == 1)
        look(p->watcher, true);
}

void takt_guard_forbid(void)
{
    struct takt_permit *p = &takt_permit;
    if (p->is_watched && p->depth == 1)
        look(p->watcher, false);
    takt_permit_end();
}

/* ---- Beginning --------------------------------------------------------------------------------
 */

static void *preload_begin(void *watcher, enum takt_guard_kind kind, const char *name,
                           const void *caller, struct takt_guard_call *call)
{
    *call =
        (struct takt_guard_call){.thread = watcher, .kind = kind, .name = name, .caller = caller};
    takt_guard_call_begin(call);
    return call;
}

_Static_assert(sizeof(struct takt_guard_call) <= TAKT_PRELOAD_CALL_BYTES, "room for a call");

static void begin_library_call(void *watcher, enum takt_guard_kind kind, const char *name,
                               const void *caller, void *room)
{
    preload_begin(watcher, kind, name, caller, room);
}

static void end_library_call(void *room)
{
    takt_guard_call_end(room);
}

/* The unwinder loads a library at its first use. */
static void use_once(void)
{
    struct takt_guard_thread nobody = {.mode = TAKT_GUARD_REPORT};
    struct takt_guard_call call = {.thread = &nobody};
    struct chain k;
    walk(&call, &k);
}

static enum takt_guard_mode begun_mode;

static void begin(void)
{
    static const struct takt_preload_hooks hooks = {begin_library_call, end_library_call};
    void *at = mmap(NULL, THREADS_MAX * sizeof *threads, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return;
    preload = dlsym(RTLD_DEFAULT, TAKT_PRELOAD_SYMBOL);
    if (preload && preload->version != TAKT_PRELOAD_VERSION)
        preload = NULL;
    if (preload)
        preload->bind(&hooks);
    traps = takt_trap_begin();
    use_once();
    takt_report_begin(begun_mode, preload != NULL);
    threads = at;
}

int takt_guard_resolve(enum takt_guard_mode *mode, struct takt_error *e)
{
    const char *wish = getenv("TAKT_GUARD");
    if (*mode != TAKT_GUARD_DEFAULT)
        return TAKT_OK;
    *mode = TAKT_GUARD_OFF;
    if (wish && *wish && takt_guard_mode_read(wish, mode) < 0)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "TAKT_GUARD=%.40s in the environment: it is off, count, report or trap",
                         wish);
    if (*mode == TAKT_GUARD_COUNT || *mode == TAKT_GUARD_REPORT)
        takt_guard_text_wanted();
    return TAKT_OK;
}

enum takt_guard_mode takt_guard_begin(enum takt_guard_mode mode)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    bool is_off = mode <= TAKT_GUARD_OFF || mode > TAKT_GUARD_TRAP;
    pthread_mutex_lock(&lock);
    if (is_off) {
        takt_report_unwatched();
    } else {
        begun_mode = mode;
        pthread_once(&once, begin);
        takt_report_modules();
    }
    pthread_mutex_unlock(&lock);
    return threads && !is_off ? mode : TAKT_GUARD_OFF;
}

static bool is_gone(const struct takt_guard_thread *t)
{
    return t->tid && syscall(SYS_tgkill, getpid(), t->tid, 0) < 0 && errno == ESRCH;
}

/* This thread's own, an unused one, or one whose thread has ended. */
static struct takt_guard_thread *claim(pid_t tid)
{
    struct takt_guard_thread *found = NULL;
    pthread_mutex_lock(&threads_lock);
    for (int i = 0; i < THREADS_MAX && !(found && found->tid == tid); i++)
        if (threads[i].tid == tid || (!found && (!threads[i].tid || is_gone(&threads[i]))))
            found = &threads[i];
    if (found && found->tid != tid) {
        takt_watch_close(&found->watch);
        *found = (struct takt_guard_thread){.tid = tid};
    }
    pthread_mutex_unlock(&threads_lock);
    return found;
}

struct takt_guard_thread *takt_guard_thread(enum takt_guard_mode mode)
{
    if (mode <= TAKT_GUARD_OFF || !threads)
        return NULL;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    struct takt_guard_thread *t = claim(tid);
    if (!t)
        return NULL;
    bool is_new = takt_permit.watcher != t;
    t->mode = mode;
    t->slot = preload ? preload->slot() : NULL;
    if (is_new) {
        takt_watch_close(&t->watch); /* of a thread that had this number before */
        t->selector = 0;
        t->traps = traps && takt_trap_thread(t);
        t->seen.knows_kernel = takt_watch_open(&t->watch);
    }
    takt_permit = (struct takt_permit){
        .selector = t->traps ? &t->selector : NULL, .slot = t->slot, .watcher = t};
    takt_report_sees(t->traps, t->watch.page != NULL);
    return t;
}
