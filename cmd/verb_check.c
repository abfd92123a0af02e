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
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 5000 };

struct check {
    const struct options *options;
    int fd; /* of the report's memory */
    void *memory;
    pid_t pid;
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

/* In the new process: becomes the program, or says by the pipe why not. */
static void begin_program(const struct check *c, const char *library, int pipe)
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
    int err = errno;
    ssize_t n = write(pipe, &err, sizeof err);
    _exit(n == sizeof err ? EXIT_FAILED : EXIT_USAGE);
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
    int pipe[2], not_run = 0;
    if (!find_library(library, sizeof library))
        return complain(c->options, EXIT_FAILED,
                        "%s: the guard's library is not there; install takt again", library);
    if (make_report(c) < 0)
        return complain(c->options, EXIT_FAILED, "no memory for the report: %s", strerror(errno));
    if (pipe2(pipe, O_CLOEXEC) < 0)
        return complain(c->options, EXIT_FAILED, "cannot run a program: %s", strerror(errno));
    output_flush();
    signals_take(&signals);
    c->pid = fork();
    if (c->pid == 0) {
        signals_give_back(&signals);
        begin_program(c, library, pipe[1]);
    }
    close(pipe[1]);
    if (c->pid > 0 && read(pipe[0], &not_run, sizeof not_run) != sizeof not_run)
        not_run = 0; /* it has become the program, which closed the pipe */
    close(pipe[0]);
    int err = c->pid < 0 ? -1 : await_end(c, c->pid, &signals);
    signals_give_back(&signals);
    if (err < 0)
        return complain(c->options, EXIT_FAILED, "cannot run a program: %s", strerror(errno));
    if (not_run)
        return complain(c->options, EXIT_FAILED, "%s: cannot run it: %s", c->options->words[0],
                        strerror(not_run));
    return EXIT_OK;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static int symbols_of(const struct check *c, const struct takt_guard_finding *f, uint32_t frame,
                      struct symbol out[SYMBOL_DEPTH])
{
    bool is_return = frame > 0 || f->kind != TAKT_GUARD_FAULT;
    return symbols_find(c->symbols, f->frames[frame], is_return, out);
}

/* The innermost place in the program's own code, or else in libtakt's, or in the system's. Of the
 * program's own, a line that somebody wrote goes before one of a header of the system's. */
static struct symbol place_of(const struct check *c, const struct takt_guard_finding *f)
{
    struct symbol best = {0}, is[SYMBOL_DEPTH];
    int best_rank = INT_MAX;
    for (uint32_t i = 0; i < f->depth && best_rank; i++) {
        int n = symbols_of(c, f, i, is);
        for (int k = 0; k < n; k++) {
            int rank = 2 * (int)is[k].owner + is[k].is_of_system;
            if (rank < best_rank) {
                best = is[k];
                best_rank = rank;
            }
        }
    }
    return best;
}

/* Findings that read the same: only the ways to the place differ. */
struct line {
    const struct takt_guard_finding *first;
    uint64_t count, position;
    int64_t longest_ns;
    char place[500];
};

static struct line *find_line(struct line *lines, int *count, const struct takt_guard_finding *f,
                              const char *place, bool merges)
{
    struct line *l = lines;
    for (; l < lines + *count; l++)
        if (merges && l->first->kind == f->kind && !strcmp(l->first->name, f->name) &&
            !strcmp(l->place, place))
            return l;
    ++*count;
    *l = (struct line){.first = f, .position = f->position};
    snprintf(l->place, sizeof l->place, "%s", place);
    return l;
}

static int gather_lines(const struct check *c, struct line *lines)
{
    int count = 0;
    for (int i = 0; i < c->count; i++) {
        const struct takt_guard_finding *f = &c->findings[i];
        struct symbol is = place_of(c, f);
        char place[500];
        symbols_text(&is, place, sizeof place);
        struct line *l = find_line(lines, &count, f, place, !c->options->verbose);
        l->count += f->count;
        l->longest_ns = f->longest_ns > l->longest_ns ? f->longest_ns : l->longest_ns;
        l->position = f->position < l->position ? f->position : l->position;
    }
    return count;
}

static void tell_chain(const struct check *c, const struct takt_guard_finding *f)
{
    struct symbol is[SYMBOL_DEPTH];
    char place[500];
    for (uint32_t i = 0; i < f->depth; i++) {
        int n = symbols_of(c, f, i, is);
        for (int k = 0; k < n; k++) {
            symbols_text(&is[k], place, sizeof place);
            printf("    %s\n", place);
        }
    }
}

static void tell_line(const struct check *c, const struct line *l)
{
    printf("%s: %s, %llu time%s", takt_guard_kind_name(l->first->kind), l->first->name,
           (unsigned long long)l->count, l->count == 1 ? "" : "s");
    if (l->first->kind != TAKT_GUARD_FAULT) /* nobody measured those */
        printf(", %.1f us at most", (double)l->longest_ns / 1e3);
    printf(", first after frame %llu: %s\n", (unsigned long long)l->position, l->place);
    if (c->options->verbose)
        tell_chain(c, l->first);
}

static int tell_lines(const struct check *c)
{
    static struct line lines[TAKT_GUARD_FINDINGS];
    int count = gather_lines(c, lines);
    for (int i = 0; i < count; i++)
        tell_line(c, &lines[i]);
    return count;
}

static void tell_text(const struct check *c)
{
    const struct takt_guard_totals *t = &c->totals;
    int count = tell_lines(c);
    if (t->unlisted)
        printf("and %llu more, for which there was no room\n", (unsigned long long)t->unlisted);
    printf("%s: %d finding%s in %llu cycles", c->options->words[0], count, count == 1 ? "" : "s",
           (unsigned long long)t->cycles);
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
    for (uint32_t i = 0; i < f->depth; i++) {
        struct symbol at[SYMBOL_DEPTH];
        char text[500];
        int n = symbols_of(c, f, i, at);
        for (int k = 0; k < n; k++) {
            symbols_text(&at[k], text, sizeof text);
            json_string(j, NULL, text);
        }
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
    json_int(&j, "unwatched_streams", (int64_t)t->unwatched_streams);
    json_int(&j, "unwatched_processes", (int64_t)t->unwatched_processes);
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

/* How the program ended, when it was not well; "" when it was. */
static void write_end(const struct check *c, char *to, size_t size)
{
    *to = '\0';
    if (WIFSIGNALED(c->status))
        snprintf(to, size, "ended by signal %d (%s)", WTERMSIG(c->status),
                 strsignal(WTERMSIG(c->status)));
    else if (WEXITSTATUS(c->status))
        snprintf(to, size, "ended with status %d", WEXITSTATUS(c->status));
}

/* A process that streams on although the program has ended; 0 when there is none. */
static int left_behind(const struct check *c, const struct takt_guard_report *r)
{
    char path[64], stat[512] = "";
    int pid = takt_guard_report_pid(r);
    if (pid == c->pid)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(stat, sizeof stat, file))
        *stat = '\0';
    fclose(file);
    const char *state = strrchr(stat, ')'); /* "PID (NAME) STATE ..." */
    return state && state[1] && state[2] != 'Z' && state[2] != 'X' ? pid : 0;
}

/* Says why the figures are not those of a whole run, if so. */
static void tell_gaps(const struct check *c, int pid)
{
    const struct options *o = c->options;
    const struct takt_guard_totals *t = &c->totals;
    if (pid)
        complain(o, 0,
                 "%s: goes on in the background, as process %d; what it does from here on is "
                 "not watched: run it in the foreground",
                 o->words[0], pid);
    else if (!t->cycles && t->unwatched_streams)
        complain(o, 0,
                 "%s: its stream's guard is set to off (cfg.guard), so nothing was watched; "
                 "leave it at TAKT_GUARD_DEFAULT",
                 o->words[0]);
    else if (!t->cycles)
        complain(o, 0,
                 "%s: made a stream, but not one cycle was watched; let the process that makes "
                 "the first stream start it, and run it for a while",
                 o->words[0]);
    else if (t->unwatched_streams)
        complain(o, 0, "%s: %llu more stream%s not watched: cfg.guard is off", o->words[0],
                 (unsigned long long)t->unwatched_streams,
                 t->unwatched_streams == 1 ? " was" : "s were");
    if (t->unwatched_processes)
        complain(o, 0,
                 "%s: %llu more process%s made streams; only the first is watched: check each by "
                 "itself",
                 o->words[0], (unsigned long long)t->unwatched_processes,
                 t->unwatched_processes == 1 ? "" : "es");
}

static int tell(struct check *c)
{
    const struct options *o = c->options;
    const struct takt_guard_report *r = takt_guard_report_open(c->memory);
    char end[100];
    write_end(c, end, sizeof end);
    if (!r && !*end)
        return complain(o, EXIT_FAILED,
                        "%s: made no stream; is it a program with this version of libtakt, and not "
                        "in the background?",
                        o->words[0]);
    if (!r)
        return complain(o, EXIT_FAILED, "%s: made no stream; it %s", o->words[0], end);
    takt_guard_report_totals(r, &c->totals);
    c->count = takt_guard_report_findings(r, c->findings, TAKT_GUARD_FINDINGS);
    c->module_count = takt_guard_report_modules(r, c->modules, TAKT_GUARD_MODULES);
    c->symbols = symbols_open(c->modules, c->module_count);
    if (!c->symbols)
        return complain(o, EXIT_FAILED, "out of memory");
    int behind = left_behind(c, r);
    const struct takt_guard_totals *t = &c->totals;
    bool is_whole = t->cycles && !behind && !t->unwatched_streams && !t->unwatched_processes;
    int status = c->count ? EXIT_BROKEN : is_whole && !*end ? EXIT_OK : EXIT_FAILED;
    if (o->json)
        tell_json(c, status);
    else if (!o->quiet && c->totals.cycles)
        tell_text(c);
    symbols_close(c->symbols);
    tell_gaps(c, behind);
    if (*end)
        complain(o, 0, "%s: %s", o->words[0], end);
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
