/*
 * The end is the library's destructor: behind the program's own atexit functions, and none of the
 * program's memory is needed. A program that ends by _exit or by a signal tells nothing; `takt
 * check` does then.
 */
#include "rt/guard_text.h"

#include "rt/guard_name.h"
#include "rt/guard_report.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic int wanted_by; /* the process that was asked; 0: none was */
static atomic_bool is_taken;

static void put(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

/* ---- A chain ----------------------------------------------------------------------------------
 */

static void put_frame(uint64_t at, bool is_return)
{
    char line[512];
    struct takt_code_place is;
    takt_code_find(at, is_return, &is);
    snprintf(line, sizeof line, "    %s (%s+0x%llx)\n", *is.name ? is.name : "?",
             *is.file ? is.file : "?", (unsigned long long)is.offset);
    put(line);
}

void takt_guard_text_chain(enum takt_guard_kind kind, const char *name, uint64_t position,
                           const uint64_t *frames, uint32_t depth)
{
    char line[256];
    snprintf(line, sizeof line, "takt: guard: %s in the callback, after frame %llu (%s)\n", name,
             (unsigned long long)position, takt_guard_kind_name(kind));
    put(line);
    for (uint32_t i = 0; i < depth; i++)
        put_frame(frames[i], i > 0 || kind != TAKT_GUARD_FAULT);
    if (!getenv("TAKT_GUARD_REPORT"))
        put("takt: guard: `takt check -- PROGRAM` tells files and lines, too\n");
}

/* ---- All that was found -----------------------------------------------------------------------
 */

/* Findings of one place, whatever way led there. */
struct line {
    struct takt_guard_finding is;
    char place[400];
};

/* A name of C++'s as it was written, where the program has what can tell. */
static void write_name(const struct takt_code_place *is, char *to, size_t size)
{
    char *(*demangle)(const char *, char *, size_t *, int *) = NULL;
    *(void **)&demangle = dlsym(RTLD_DEFAULT, "__cxa_demangle");
    char *plain =
        demangle && !strncmp(is->name, "_Z", 2) ? demangle(is->name, NULL, NULL, NULL) : NULL;
    if (*is->name)
        snprintf(to, size, "%s in %s", plain ? plain : is->name, takt_code_file_name(is));
    else
        snprintf(to, size, "%s+0x%llx", *is->file ? takt_code_file_name(is) : "?",
                 (unsigned long long)is->offset);
    free(plain);
}

/* C++'s templates lie in the program, but nobody looks for his mistake there. */
static bool is_of_cxx(const char *name)
{
    return !strncmp(name, "_ZS", 3) || !strncmp(name, "_ZNS", 4) || !strncmp(name, "_ZNKS", 5) ||
           !strncmp(name, "_ZN9__gnu_cxx", 13);
}

/* The innermost in the program's own code, or else in libtakt's, or in the system's. */
static void write_place(const struct takt_guard_finding *f, char *to, size_t size)
{
    struct takt_code_place best = {0};
    int best_rank = INT_MAX;
    for (uint32_t i = 0; i < f->depth && best_rank; i++) {
        struct takt_code_place is;
        takt_code_find(f->frames[i], i > 0 || f->kind != TAKT_GUARD_FAULT, &is);
        int rank = 2 * (int)takt_guard_owner_of(is.file) + is_of_cxx(is.name);
        if (rank < best_rank) {
            best_rank = rank;
            best = is;
        }
    }
    write_name(&best, to, size);
}

static void add_line(struct line *lines, int *count, const struct takt_guard_finding *f)
{
    struct line *last = &lines[*count];
    last->is = *f;
    write_place(f, last->place, sizeof last->place);
    for (struct line *l = lines; l < last; l++)
        if (l->is.kind == f->kind && !strcmp(l->is.name, f->name) &&
            !strcmp(l->place, last->place)) {
            l->is.count += f->count;
            if (f->longest_ns > l->is.longest_ns)
                l->is.longest_ns = f->longest_ns;
            if (f->position < l->is.position)
                l->is.position = f->position;
            return;
        }
    ++*count;
}

static void tell(const struct takt_guard_totals *t, const struct takt_guard_finding *found, int n,
                 struct line *lines)
{
    char text[640], time[48];
    int count = 0;
    for (int i = 0; i < n; i++)
        add_line(lines, &count, &found[i]);
    for (int i = 0; i < count; i++) {
        const struct takt_guard_finding *f = &lines[i].is;
        snprintf(time, sizeof time, ", %.1f us at most", (double)f->longest_ns / 1e3);
        snprintf(text, sizeof text,
                 "takt: guard: %s: %s, %llu time%s%s, first after frame %llu: %s\n",
                 takt_guard_kind_name(f->kind), f->name, (unsigned long long)f->count,
                 f->count == 1 ? "" : "s", f->kind == TAKT_GUARD_FAULT ? "" : time,
                 (unsigned long long)f->position, lines[i].place);
        put(text);
    }
    if (t->unlisted) {
        snprintf(text, sizeof text, "takt: guard: and %llu more, for which there was no room\n",
                 (unsigned long long)t->unlisted);
        put(text);
    }
    snprintf(text, sizeof text, "takt: guard: %d finding%s in %llu cycles%s%s%s%s%s\n", count,
             count == 1 ? "" : "s", (unsigned long long)t->cycles,
             t->system_calls && t->library_calls && t->faults ? "" : "; not watched here:",
             t->system_calls ? "" : " system calls", t->library_calls ? "" : " library calls",
             t->faults ? "" : " page faults",
             count || !t->library_calls ? "; `takt check -- PROGRAM` sees more, and tells lines"
                                        : "");
    put(text);
}

static __attribute__((destructor)) void tell_at_the_end(void)
{
    struct takt_guard_totals t;
    bool is_to_tell = wanted_by == (int)getpid() && !is_taken && !getenv("TAKT_GUARD_REPORT");
    takt_report_own_totals(&t);
    if (!is_to_tell || !t.cycles || t.mode == TAKT_GUARD_TRAP)
        return;
    struct takt_guard_finding *found = calloc(TAKT_GUARD_FINDINGS, sizeof *found);
    struct line *lines = calloc(TAKT_GUARD_FINDINGS, sizeof *lines);
    if (found && lines)
        tell(&t, found, takt_report_own_findings(found, TAKT_GUARD_FINDINGS), lines);
    free(found);
    free(lines);
}

void takt_guard_text_wanted(void)
{
    wanted_by = (int)getpid();
}

void takt_guard_text_taken(void)
{
    is_taken = true;
}
