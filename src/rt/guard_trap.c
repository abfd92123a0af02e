/*
 * The handler must be able to return while calls are still to be caught, and returning from a
 * handler is a system call. So it returns through a return of our own, in a range of addresses that
 * the kernel lets pass. The kernel compares the address behind the `syscall`, so the range ends one
 * byte later. It is written just as the unwinder expects
 * one, so that chains of calls can be walked through it.
 *
 * Most calls are carried out in the handler, with the registers that the caller had set. Some
 * cannot be: those that return twice or never, those of the signal mask, which leaving the handler
 * sets anew, and the return from another handler. For these the selector stays open until the next
 * cycle, and the instruction is run again.
 *
 * Source: Documentation/admin-guide/syscall-user-dispatch.rst of Linux.
 */
#include "rt/guard_trap.h"

#include "rt/guard.h"
#include "rt/guard_calls.h"

#if defined __linux__ && defined __x86_64__

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#endif
#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

__asm__(".pushsection .text\n"
        ".balign 16\n"
        "nop\n" /* the unwinder looks up the address before a return's */
        "takt_trap_return:\n"
        "mov $15, %rax\n" /* rt_sigreturn */
        "syscall\n"
        "takt_trap_return_end:\n"
        "ud2\n"
        ".popsection\n");
extern const char takt_trap_return[] __attribute__((visibility("hidden")));
extern const char takt_trap_return_end[] __attribute__((visibility("hidden")));

/* As the kernel has it; the C library's has another size and would put in its own return. */
struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

enum { KERNEL_SA_RESTORER = 0x04000000 };

static struct kernel_sigaction before;

static long carry_out(const greg_t *r)
{
    register long r10 __asm__("r10") = (long)r[REG_R10];
    register long r8 __asm__("r8") = (long)r[REG_R8];
    register long r9 __asm__("r9") = (long)r[REG_R9];
    long result = (long)r[REG_RAX];
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(r[REG_RDI]), "S"(r[REG_RSI]), "d"(r[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static bool has_to_run_in_place(long number)
{
    static const long calls[] = {
        SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigsuspend,  SYS_sigaltstack, SYS_clone,
        SYS_clone3,       SYS_fork,           SYS_vfork,          SYS_execve,      SYS_execveat,
        SYS_exit,         SYS_exit_group,     SYS_restart_syscall};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i] == number)
            return true;
    return false;
}

/* Reading the clock is allowed, also where it takes a system call. So is what the C library does
 * at the end of any other handler of a signal. */
static bool is_allowed(long number)
{
    return number == SYS_clock_gettime || number == SYS_gettimeofday || number == SYS_getcpu ||
           number == SYS_rt_sigreturn;
}

/* Which of futex(2)'s many things it is. */
static void name_futex(const greg_t *r, struct takt_guard_call *call)
{
    long what = (long)r[REG_RSI] & FUTEX_CMD_MASK;
    bool waits = what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET || what == FUTEX_LOCK_PI;
    call->kind = waits ? TAKT_GUARD_WAIT : TAKT_GUARD_CALL;
    call->name = waits ? "futex wait" : "futex wake";
}

static void pass_on(int sign, siginfo_t *info, void *context)
{
    if (before.flags & SA_SIGINFO) {
        before.handler(sign, info, context);
    } else if ((void (*)(int))(void (*)(void))before.handler == SIG_DFL) {
        struct kernel_sigaction usual = {0};
        syscall(SYS_rt_sigaction, SIGSYS, &usual, NULL, sizeof usual.mask);
    } else if ((void (*)(int))(void (*)(void))before.handler != SIG_IGN) {
        ((void (*)(int))(void (*)(void))before.handler)(sign);
    }
}

static void handle(int sign, siginfo_t *info, void *context)
{
    int kept = errno;
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;
    struct takt_guard_thread *t = takt_permit.watcher;
    if (info->si_code != SYS_USER_DISPATCH || !t) {
        pass_on(sign, info, context);
        return;
    }
    long number = info->si_syscall;
    struct takt_guard_call call = {.thread = t, .number = number, .caller = info->si_call_addr};
    if (is_allowed(number)) {
        t->selector = 0;
        if (number == SYS_rt_sigreturn) {
            r[REG_RIP] -= 2;
        } else {
            r[REG_RAX] = number;
            r[REG_RAX] = carry_out(r);
            t->selector = 1;
        }
        errno = kept;
        return;
    }
    call.name = takt_call_name(number, &call.kind);
    r[REG_RAX] = number;
    if (number == SYS_futex)
        name_futex(r, &call);
    takt_guard_call_begin(&call);
    if (has_to_run_in_place(number)) {
        takt_guard_call_end(&call);
        t->selector = 0;
        r[REG_RIP] -= 2; /* the length of `syscall` */
    } else {
        r[REG_RAX] = carry_out(r);
        takt_guard_call_end(&call);
    }
    errno = kept;
}

static bool installed;

static void install(void)
{
    /* Any signal may wait until the call is over. */
    struct kernel_sigaction a = {.handler = handle,
                                 .flags = SA_SIGINFO | KERNEL_SA_RESTORER,
                                 .restorer = (void (*)(void))(uintptr_t)takt_trap_return,
                                 .mask = ~(uint64_t)0};
    char selector = 0;
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0)
        return;
    prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0);
    installed = syscall(SYS_rt_sigaction, SIGSYS, &a, &before, sizeof a.mask) == 0;
}

bool takt_trap_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    return installed;
}

bool takt_trap_thread(struct takt_guard_thread *t)
{
    uintptr_t from = (uintptr_t)takt_trap_return, to = (uintptr_t)takt_trap_return_end;
    sigset_t sys;
    sigemptyset(&sys);
    sigaddset(&sys, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &sys, NULL); /* blocked, it would end the program */
    return installed && prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, from, to - from + 1,
                              &t->selector) == 0;
}

#else

bool takt_trap_begin(void)
{
    return false;
}

bool takt_trap_thread(struct takt_guard_thread *t)
{
    return false;
}

#endif
