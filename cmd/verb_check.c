/*
 * takt check: runs a program under the guard, and tells what its callbacks did that they must not.
 *
 * The program is started with the guard's library before all others and a report in shared memory,
 * which outlives it however it ends. Names and lines are looked up here, afterwards.
 */
#include "json.h"
#include "output.h"
#include "signals.h"
#include "symbols.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 5000, STATUS_NOT_RUN = 127 };

struct check {
    const struct options *options;
    int fd; /* of the report's memory */
    void *memory;
    int status; /* of the program, as waitpid has it */
    struct takt_guard_totals totals;
    struct takt_guard_finding findings[TAKT_GUARD_FINDINGS];
    struct takt_guard_module modules[TAKT_GUARD_MODULES];
    int count, module_count;
    struct symbols *symbols;
};

/* ---- Running it ------------------------------------------------------------------------------ */

/* In a build, beside this program where that was moved to, and where it was installed. */
static bool find_library(char *to, size_t size)
{
    static const char *const places[] = {"src/guard", "../" TAKT_LIBDIR "/takt"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *own = getenv("TAKT_GUARD_LIBRARY");
    if (own) {
        snprintf(to, size, "%s", own);
        return access(to, R_OK) == 0;
    }
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        snprintf(to, size, "%.*s/%s/libtakt-guard.so", (int)(slash - self), self, places[i]);
        if (access(to, R_OK) == 0)
            return true;
    }
    snprintf(to, size, "%s/libtakt-guard.so", TAKT_LIBRARY_FOLDER);
    return access(to, R_OK) == 0;
}

static int make_report(struct check *c)
{
    size_t bytes = takt_guard_report_bytes();
    c->fd = memfd_create("takt-guard", MFD_CLOEXEC);
    if (c->fd < 0 || ftruncate(c->fd, (off_t)bytes) < 0)
        return -1;
    c->memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, c->fd, 0);
    return c->memory == MAP_FAILED ? -1 : 0;
}

static void begin_program(const struct check *c, const char *library)
{
    char path[64], preload[8192];
    char *arguments[WORDS_MAX + 1];
    const char *others = getenv("LD_PRELOAD");
    for (int i = 0; i < c->options->word_count; i++)
        arguments[i] = (char *)(uintptr_t)c->options->words[i];
    arguments[c->options->word_count] = NULL;
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getppid(), c->fd);
    snprintf(preload, sizeof preload, "%s%s%s", library, others ? ":" : "", others ? others : "");
    setenv("TAKT_GUARD", "report", 1);
    setenv("TAKT_GUARD_REPORT", path, 1);
    setenv("LD_PRELOAD", preload, 1);
    if (c->options->json)
        dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for the report alone */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    execvp(arguments[0], arguments);
    complain(c->options, 0, "%s: cannot run it: %s", arguments[0], strerror(errno));
    _exit(STATUS_NOT_RUN);
}

/* Waits for its end, which the time or Ctrl-C bring about. */
static int await_end(struct check *c, pid_t pid, struct signals *signals)
{
    int64_t end_ns = c->options->seconds ? takt_now_ns() + (int64_t)(c->options->seconds * 1e9) : 0;
    int64_t kill_ns = 0;
    struct pollfd fd = {.fd = signals->fd, .events = POLLIN};
    for (;;) {
        pid_t done = waitpid(pid, &c->status, WNOHANG);
        if (done == pid)
            return 0;
        if (done < 0)
            return -1;
        poll(&fd, 1, 20);
        int sign = signals_next(signals);
        int64_t now_ns = takt_now_ns();
        bool is_over = end_ns && now_ns >= end_ns;
        if (sign == SIGINT || sign == SIGTERM || (is_over && !kill_ns)) {
            kill(pid, sign == SIGTERM ? SIGTERM : SIGINT);
            kill_ns = kill_ns ? kill_ns : now_ns + GRACE_MS * 1000000ll;
            end_ns = 0;
        } else if (kill_ns && now_ns >= kill_ns) {
            kill(pid, SIGKILL);
            kill_ns = INT64_MAX;
        }
    }
}

static int run_program(struct check *c)
{
    char library[4200];
    struct signals signals;
    if (!find_library(library, sizeof library))
        return complain(c->options, EXIT_FAILED,
                        "%s: the guard's library is not there; install takt again", library);
    if (make_report(c) < 0)
        return complain(c->options, EXIT_FAILED, "no memory for the report: %s", strerror(errno));
    output_flush();
    signals_take(&signals);
    pid_t pid = fork();
    if (pid == 0) {
        signals_give_back(&signals);
        begin_program(c, library);
    }
    int err = pid < 0 ? -1 : await_end(c, pid, &signals);
    signals_give_back(&signals);
    if (err < 0)
        return complain(c->options, EXIT_FAILED, "cannot run a program: %s", strerror(errno));
    if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == STATUS_NOT_RUN)
        return EXIT_FAILED;
    return EXIT_OK;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static struct symbol symbol_of(const struct check *c, const struct takt_guard_finding *f,
                               uint32_t frame)
{
    struct symbol is;
    bool is_return = frame > 0 || f->kind != TAKT_GUARD_FAULT;
    symbols_find(c->symbols, f->frames[frame], is_return, &is);
    return is;
}

/* The innermost place in the program's own code, or else in libtakt's, or in the system's. */
static struct symbol place_of(const struct check *c, const struct takt_guard_finding *f)
{
    struct symbol best = symbol_of(c, f, 0);
    for (uint32_t i = 0; i < f->depth; i++) {
        struct symbol is = symbol_of(c, f, i);
        if (is.owner < best.owner)
            best = is;
    }
    return best;
}

static void tell_text(const struct check *c)
{
    const struct takt_guard_totals *t = &c->totals;
    for (int i = 0; i < c->count; i++) {
        const struct takt_guard_finding *f = &c->findings[i];
        struct symbol is = place_of(c, f);
        char place[400];
        symbols_text(&is, place, sizeof place);
        printf("%s: %s, %llu time%s, %.1f us at most, first after frame %llu: %s\n",
               takt_guard_kind_name(f->kind), f->name, (unsigned long long)f->count,
               f->count == 1 ? "" : "s", (double)f->longest_ns / 1e3,
               (unsigned long long)f->position, place);
        for (uint32_t k = 0; k < f->depth && c->options->verbose; k++) {
            is = symbol_of(c, f, k);
            symbols_text(&is, place, sizeof place);
            printf("    %s\n", place);
        }
    }
    if (t->unlisted)
        printf("and %llu more, for which there was no room\n", (unsigned long long)t->unlisted);
    printf("%s: %d finding%s in %llu cycles", c->options->words[0], c->count,
           c->count == 1 ? "" : "s", (unsigned long long)t->cycles);
    if (t->preemptions)
        printf(", %llu times off the CPU for %.2f ms in all", (unsigned long long)t->preemptions,
               (double)t->preempted_ns / 1e6);
    printf("\n");
    if (!t->system_calls || !t->library_calls || !t->faults)
        printf("not watched here:%s%s%s\n", t->system_calls ? "" : " system calls",
               t->library_calls ? "" : " library calls", t->faults ? "" : " page faults");
}

static void tell_finding(struct json *j, const struct check *c, const struct takt_guard_finding *f)
{
    struct symbol is = place_of(c, f);
    json_open(j, NULL, '{');
    json_string(j, "kind", takt_guard_kind_name(f->kind));
    json_string(j, "call", f->name);
    json_int(j, "count", (int64_t)f->count);
    json_number(j, "longest_us", (double)f->longest_ns / 1e3, 3);
    json_number(j, "total_us", (double)f->total_ns / 1e3, 3);
    json_int(j, "first_position", (int64_t)f->position);
    json_string(j, "function", is.function);
    json_string(j, "file", is.file);
    json_int(j, "line", is.line);
    json_string(j, "module", is.module);
    json_open(j, "chain", '[');
    for (uint32_t k = 0; k < f->depth; k++) {
        char text[400];
        is = symbol_of(c, f, k);
        symbols_text(&is, text, sizeof text);
        json_string(j, NULL, text);
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void tell_json(const struct check *c, int status)
{
    struct json j = {.to = stdout};
    const struct takt_guard_totals *t = &c->totals;
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", "check");
    json_string(&j, "version", takt_version());
    json_string(&j, "program", c->options->words[0]);
    json_int(&j, "program_status", WIFEXITED(c->status) ? WEXITSTATUS(c->status) : -1);
    json_int(&j, "program_signal", WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0);
    json_int(&j, "exit", status);
    json_int(&j, "cycles", (int64_t)t->cycles);
    json_open(&j, "watched", '{');
    json_bool(&j, "system_calls", t->system_calls);
    json_bool(&j, "library_calls", t->library_calls);
    json_bool(&j, "page_faults", t->faults);
    json_close(&j, '}');
    json_int(&j, "found", (int64_t)t->found);
    json_int(&j, "unlisted", (int64_t)t->unlisted);
    json_int(&j, "preemptions", (int64_t)t->preemptions);
    json_number(&j, "preempted_us", (double)t->preempted_ns / 1e3, 3);
    json_open(&j, "findings", '[');
    for (int i = 0; i < c->count; i++)
        tell_finding(&j, c, &c->findings[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end_line(&j);
}

static int tell(struct check *c)
{
    const struct options *o = c->options;
    const struct takt_guard_report *r = takt_guard_report_open(c->memory);
    bool is_well = WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
    if (!r && is_well)
        return complain(o, EXIT_FAILED,
                        "%s: made no stream; is it a program with this version of libtakt?",
                        o->words[0]);
    if (!r)
        return complain(o, EXIT_FAILED, "%s: made no stream before it ended by %s %d", o->words[0],
                        WIFSIGNALED(c->status) ? "signal" : "status",
                        WIFSIGNALED(c->status) ? WTERMSIG(c->status) : WEXITSTATUS(c->status));
    takt_guard_report_totals(r, &c->totals);
    c->count = takt_guard_report_findings(r, c->findings, TAKT_GUARD_FINDINGS);
    c->module_count = takt_guard_report_modules(r, c->modules, TAKT_GUARD_MODULES);
    c->symbols = symbols_open(c->modules, c->module_count);
    if (!c->symbols)
        return complain(o, EXIT_FAILED, "out of memory");
    int status = c->count ? EXIT_BROKEN : is_well ? EXIT_OK : EXIT_FAILED;
    if (o->json)
        tell_json(c, status);
    else if (!o->quiet)
        tell_text(c);
    symbols_close(c->symbols);
    if (status == EXIT_FAILED && WIFSIGNALED(c->status))
        complain(o, 0, "%s: ended by signal %d", o->words[0], WTERMSIG(c->status));
    else if (status == EXIT_FAILED)
        complain(o, 0, "%s: ended with status %d", o->words[0], WEXITSTATUS(c->status));
    return status;
}

int verb_check(struct options *o)
{
    struct check *c = calloc(1, sizeof *c);
    int status = verb_words(o, 1, WORDS_MAX, "[OPTION...] -- PROGRAM [ARG...]");
    if (!c || status)
        goto done;
    c->options = o;
    c->fd = -1;
    status = run_program(c);
    if (!status)
        status = tell(c);
done:
    free(c);
    return status;
}
