"""
Does tools/rtcheck name what breaks a promise of real-time safety, and only that?

Usage: rtcheck_test.py TAKT SOURCE_ROOT BUILD_ROOT
"""
import sys

sys.dont_write_bytecode = True

import json
import os
import subprocess

from program import Skip, check, equal, needs, test, tests_done

ROOT, BUILD = map(os.path.abspath, sys.argv[2:4])

# A small tree that keeps its promises; each test breaks it in one place, and marks the line that is
# to be named with HERE.
TREE = {
    "include/takt/gain.h": """\
/* takt/gain.h - makes sound louder. */
#ifndef TAKT_GAIN_H
#define TAKT_GAIN_H
/* How much louder. Thread: any. RT: no. */
int takt_gain_set(int percent);

/* Thread: any. RT: yes (wait-free),
 * O(frames). */
void takt_gain(float *x, int frames);
int takt_gain_now(void);
#endif
""",
    "src/base/part.h": """\
/* base/part.h - what gain.c is made of. Thread: any. RT: yes, all calls. */
#ifndef PART_H
#define PART_H
struct part_ops {
    /* RT: yes. */
    int (*read)(int x);
    /* RT: no. */
    int (*close)(int x);
};
struct part {
    const struct part_ops *ops;
};
struct part *part_first(void);
static inline int part_twice(int x)
{
    return 2 * x;
}
#endif
""",
    "src/base/gain.c": """\
#include "takt/gain.h"
#include "part.h"
#include <stdlib.h>
static int percent;
int takt_gain_set(int p)
{
    int *copy = malloc(sizeof *copy);
    percent = copy ? *copy = p : 0;
    free(copy);
    return 0;
}
static int deeper(int x)
{
    return x + percent;
}
static int deep(int x)
{
    return part_twice(deeper(x));
}
static int choose(int (*how)(int x), int x)
{
    return how(x);
}
void takt_gain(float *x, int frames)
{
    struct part *p = part_first();
    for (int i = 0; i < frames; i++)
        x[i] *= (float)(deep(i) + p->ops->read(i) + choose(deep, i));
}
int takt_gain_now(void)
{
    return percent;
}
""",
    "src/base/part.c": """\
#include "part.h"
#include <stdio.h>
#include <string.h>
static int first_read(int x)
{
    return x;
}
static int first_close(int x)
{
    return puts("closed") + x;
}
static const struct part_ops ops = {.read = first_read, .close = first_close};
static struct part first = {&ops};
struct part *part_first(void)
{
    char name[8];
    memset(name, 0, sizeof name);
    return name[strlen(name)] ? 0 : &first;
}
""",
    "src/rt/thread.c": "enum { STACK_BYTES = 4 << 10 };\n",
    "tools/rtcheck.allow": """\
safe memset strlen: loops
stack src/rt/thread.c STACK_BYTES share 1/2 outsider 64: the rest is for others
pointer part_ops.read from takt_gain to first_read
pointer how from choose to deep
""",
}


def make_tree(changes):
    """The tree in the current folder, with some texts of some files replaced or files added.
    Returns "FILE:LINE" of the line with HERE."""
    files = dict(TREE)
    for file, *replaced in changes:
        if len(replaced) == 1:
            files[file] = files.get(file, "") + replaced[0]
            continue
        old, new = replaced
        check(files[file].count(old) == 1, f"{old!r} stands in {file} once")
        files[file] = files[file].replace(old, new)
    here = None
    for file, text in files.items():
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        for number, line in enumerate(text.splitlines(), 1):
            here = f"{file}:{number}" if "HERE" in line else here
    os.makedirs("build", exist_ok=True)
    with open("build/compile_commands.json", "w", encoding="utf-8") as out:
        json.dump([{"directory": os.path.abspath("build"), "file": f"../{f}",
                    "command": f"gcc -O2 -g -fPIC -I../include -I../src/base -o {i}.o -c ../{f}"}
                   for i, f in enumerate(sorted(files)) if f.endswith(".c")], out)
    return here


def rtcheck(*arguments, root="."):
    needs("gcc")
    return subprocess.run([os.path.join(ROOT, "tools", "rtcheck"), "--root", root, *arguments],
                          capture_output=True, text=True, timeout=500, check=False)


def refused(*changes, says):
    """The check fails with one complaint, about the marked line, in these words."""
    here = make_tree(changes)
    done = rtcheck()
    equal(done.stderr, f"{here}: {says}\n")
    equal(done.returncode, 1)


def accepted(*changes):
    make_tree(changes)
    done = rtcheck()
    equal((done.stderr, done.returncode), ("", 0))
    return done.stdout


LIST_IT = "list it in tools/rtcheck.allow with the reason or do not call it"
UNSAFE = f"not real-time safe; {LIST_IT}"
GAIN, PART = "src/base/gain.c", "src/base/part.c"
PUBLIC, OWN = "include/takt/gain.h", "src/base/part.h"
ALLOW = "tools/rtcheck.allow"
SECOND = "static int second_read(int x)\n{\n    return x;\n}\n"


@test
def a_tree_that_keeps_its_promises_passes():
    out = accepted()
    equal(out.count("\n"), 1)
    # takt_gain, takt_gain_now, part_first, part_twice and first_read, and what takt_gain calls
    check(out.startswith("8 functions reached from 5 roots, worst stack "), out)
    check(" of 2048: takt_gain -> " in out, out)


@test
def takt_itself_passes():
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        commands = file.read()
    for part in ("jack_link.c", "pipewire_link.c", "alsa_link.c", "portaudio.c", "file_sink.c"):
        if part not in commands:
            raise Skip(f"the list is for a build with everything, and this one is without {part}")
    done = rtcheck("--build", BUILD, root=ROOT)
    if done.returncode == 2:
        raise Skip(done.stderr.strip())
    equal((done.stderr, done.returncode), ("", 0))


@test
def malloc_behind_two_calls_is_named_with_the_way_there():
    refused((GAIN, "return x + percent;", "return *(int *)malloc(4) + x; /* HERE */"),
            says=f"takt_gain -> deep -> deeper -> malloc: {UNSAFE}")


@test
def free_behind_a_pointer_is_named():
    refused((PART, "    return x;", "    free(&x); /* HERE */\n    return x;"),
            (PART, "#include <stdio.h>", "#include <stdlib.h>\n#include <stdio.h>"),
            says=f"first_read -> free: {UNSAFE}")


@test
def printing_and_locks_and_waits_are_named():
    for call, header in (('printf("%d", x)', "stdio.h"), ('puts("")', "stdio.h"),
                         ("pthread_mutex_lock(0)", "pthread.h"), ("usleep(1)", "unistd.h"),
                         ("syscall(39)", "unistd.h"), ("read(0, 0, 0)", "unistd.h")):
        refused((GAIN, "    return x + percent;", f"    return x + (int){call}; /* HERE */"),
                (GAIN, "#include <stdlib.h>", f"#include <stdlib.h>\n#include <{header}>"),
                says=f"takt_gain -> deep -> deeper -> {call.split('(')[0]}: {UNSAFE}")


@test
def an_unknown_function_of_another_library_is_named():
    refused((GAIN, "return x + percent;", "return x + abs_of_theirs(x); /* HERE */"),
            (GAIN, "static int percent;", "static int percent;\nint abs_of_theirs(int x);"),
            says="takt_gain -> deep -> deeper -> abs_of_theirs: not known to be real-time safe; "
                 + LIST_IT)


@test
def a_call_of_what_says_no_is_named():
    refused((GAIN, "return x + percent;", "return takt_gain_set(x); /* HERE */"),
            says="takt_gain -> deep -> deeper -> takt_gain_set: its header says RT: no; do not "
                 "call it, or list it in tools/rtcheck.allow with the reason")


@test
def a_call_through_a_pointer_that_says_no_is_named():
    refused((GAIN, "p->ops->read(i) +", "p->ops->read(i) + p->ops->close(i) + /* HERE */"),
            (ALLOW, "pointer part_ops.close from takt_gain to first_close\n"
                    "except first_close -> puts: a test\n"),
            says="takt_gain -> part_ops.close: its header says RT: no")


@test
def recursion_is_named():
    refused((GAIN, "return part_twice(deeper(x));",
             "return x ? deep(x / 2) : deeper(x) * part_twice(x); /* HERE */"),
            says="deep -> deep: calls itself, so its stack has no bound")


@test
def recursion_through_a_pointer_is_named():
    make_tree([(GAIN, "static int deeper(int x)\n{",
                "static int choose(int (*how)(int x), int x);\nstatic int deep(int x);\n"
                "static int deeper(int x)\n{\n    if (x > 3)\n        choose(deep, x - 1);")])
    done = rtcheck()
    check("deep -> deeper -> choose -> deep: calls itself" in done.stderr
          or "deeper -> choose -> deep -> deeper: calls itself" in done.stderr
          or "choose -> deep -> deeper -> choose: calls itself" in done.stderr, done.stderr)
    equal((done.stderr.count("\n"), done.returncode), (1, 1))


@test
def stack_of_unknown_size_is_named():
    for how in ("char *c = __builtin_alloca((unsigned)x + 1);", "char c[x + 1];"):
        refused((GAIN, "static int deeper(int x)\n{\n", "static int deeper(int x) /* HERE */\n{\n"
                       f"    {how}\n    for (int i = 0; i <= x; i++)\n"
                       "        ((volatile char *)c)[i] = 0;\n"),
                says="takt_gain -> deep -> deeper: how much stack it takes is only known when it "
                     "runs (alloca, or an array of variable length)")


@test
def more_stack_than_its_share_is_named():
    make_tree([(GAIN, "int takt_gain_now(void)\n{", "int takt_gain_now(void)\n{\n"
                      "    volatile char big[2000];\n    big[percent] = 0;")])
    done = rtcheck()
    equal((done.stderr, done.returncode), ("", 0))
    make_tree([(GAIN, "int takt_gain_now(void)\n{", "int takt_gain_now(void)\n{\n"
                      "    volatile char big[2100];\n    big[percent] = 0;")])
    done = rtcheck()
    check(": takt_gain_now: takes " in done.stderr
          and "more than 1/2 of the 4096 that there are" in done.stderr, done.stderr)
    equal((done.stderr.count("\n"), done.returncode), (1, 1))


@test
def a_bare_system_call_is_named():
    refused((GAIN, "static int deeper(int x)\n{\n", 'static int deeper(int x) /* HERE */\n{\n'
                   '    __asm__ volatile("syscall" : "+a"(x) : : "rcx", "r11", "memory");\n'),
            (GAIN, "static int deeper", "__attribute__((noinline)) static int deeper"),
            says="deeper -> a bare system call: not known to be real-time safe; the compiler calls "
                 "it. List it in tools/rtcheck.allow or do without")


@test
def a_thread_local_found_through_a_call_is_named():
    refused((GAIN, "static int percent;", "extern _Thread_local int theirs;\nstatic int percent;"),
            (GAIN, "int takt_gain_now(void)\n", "int takt_gain_now(void) /* HERE */\n"),
            (GAIN, "    return percent;", "    return percent + theirs;"),
            says="takt_gain_now -> __tls_get_addr: not known to be real-time safe; the compiler "
                 "calls it. List it in tools/rtcheck.allow or do without")


@test
def an_unlisted_pointer_is_named():
    refused((GAIN, "return x + percent;", "return other(x); /* HERE */"),
            (GAIN, "static int percent;", "static int percent;\nstatic int (*other)(int x);"),
            says="takt_gain -> deep -> deeper -> the pointer other: what may be behind it? "
                 "List it in tools/rtcheck.allow")


@test
def a_pointer_out_of_a_call_is_known_by_its_own_name():
    change = (GAIN, "p->ops->read(i) +", "part_first()->ops->read(i) + /* HERE */")
    accepted(change)
    refused(change, (ALLOW, "part_ops.read from takt_gain to", "part_ops.read to"),
            says="takt_gain -> the pointer read: what may be behind it? List it in "
                 "tools/rtcheck.allow")


@test
def a_pointer_without_a_name_is_refused():
    refused((GAIN, "return how(x);", "return (x ? how : deep)(x); /* HERE */"),
            (ALLOW, "pointer how from choose to deep\n", ""),
            says="takt_gain -> choose -> a pointer that has no name here: put it into a variable "
                 "first")


@test
def a_new_function_behind_a_listed_pointer_is_named():
    refused((PART, "static struct part first", SECOND +
                   "const struct part_ops more = {.read = second_read}; /* HERE */\n"
                   "static struct part first"),
            says="second_read is put into read; list it there in tools/rtcheck.allow, line 3")


@test
def a_function_assigned_later_is_named():
    refused((PART, "static struct part first", SECOND +
                   "void change(struct part_ops *o, int x);\n"
                   "void change(struct part_ops *o, int x)\n{\n"
                   "    o->read = x ? second_read : first_read; /* HERE */\n}\n"
                   "static struct part first"),
            says="second_read is put into read; list it there in tools/rtcheck.allow, line 3")


@test
def a_table_without_names_is_named():
    make_tree([(PART, "{.read = first_read, .close = first_close}", "{first_read, first_close}")])
    done = rtcheck()
    equal(done.stderr, f"{PART}:12: struct part_ops: name its members (.x = ...), so that it can "
                       "be told what is put where\n")
    made = "void make(struct part_ops *o);\nvoid make(struct part_ops *o)\n{{\n    *o = {};\n}}\n"
    make_tree([(PART, "static struct part first", made.format("(struct part_ops){first_read, 0}") +
                "static struct part first")])
    equal(rtcheck().stderr.count("name its members"), 1)


@test
def what_nothing_uses_any_more_has_to_leave_the_list():
    said = "nothing real-time calls it; take it out"
    refused((ALLOW, "safe strchr: a loop # HERE\n"), says=f"strchr: {said}")
    refused((ALLOW, "except takt_gain_set -> malloc: not real-time at all # HERE\n"),
            says="takt_gain_set -> malloc: nothing needs this exception; take it out")
    refused((ALLOW, "pointer how from choose to", "pointer how from deep choose to"),
            (ALLOW, "to deep\n", "to deep # HERE\n"),
            says="deep does not call how, or nothing real-time calls deep; take it out")
    refused((ALLOW, "to first_read\n", "to first_read deeper # HERE\n"),
            says="deeper: nothing takes its address; take it out")


@test
def what_is_never_safe_needs_a_named_caller():
    change = (GAIN, "return x + percent;", "return *(int *)malloc(4) + x;")
    refused(change, (ALLOW, "safe malloc: it never fails # HERE\n"),
            says="malloc: cannot be safe for everybody; name its caller in an `except`")
    accepted(change, (ALLOW, "except deeper -> malloc: a test\n"))
    make_tree([change, (ALLOW, "except deep -> malloc: another caller's\n")])
    equal(rtcheck().stderr.count("\n"), 2)


@test
def an_entry_without_a_reason_is_named():
    make_tree([(ALLOW, "safe strchr\n")])
    equal(rtcheck().stderr, f"{ALLOW}:5: safe strchr: write the reason behind it, after a colon\n")
    make_tree([(ALLOW, "unsafe strchr: why\n")])
    check(f"{ALLOW}:5: unsafe: no such kind of entry" in rtcheck().stderr, "the kind is named")


@test
def what_is_left_is_not_followed_and_what_ends_neither():
    change = (GAIN, "return x + percent;", "return takt_gain_set(x);")
    accepted(change, (ALLOW, "leave deeper -> takt_gain_set: a test\n"))
    accepted(change, (ALLOW, "end takt_gain_set: a test\n"))
    make_tree([change, (ALLOW, "except deeper -> takt_gain_set: followed, though\n")])
    check(f"deeper -> takt_gain_set -> malloc: {UNSAFE}" in rtcheck().stderr, "it is followed")


@test
def a_root_that_no_header_speaks_of_can_be_listed():
    refused((GAIN, "int takt_gain_now(void)\n", "int heard(void);\nint heard(void)\n{\n"
                   "    return takt_gain_set(1); /* HERE */\n}\nint takt_gain_now(void)\n"),
            (ALLOW, "root heard: called by a server\n"),
            says="heard -> takt_gain_set: its header says RT: no; do not call it, or list it in "
                 "tools/rtcheck.allow with the reason")


@test
def a_call_in_a_public_header_without_a_word_is_named():
    refused((PUBLIC, "/* How much louder. Thread: any. RT: no. */\nint takt_gain_set(int percent);",
                     "/* How much louder. */\nint takt_gain_set(int percent); /* HERE */"),
            says="takt_gain_set: says neither RT: yes nor RT: no")


@test
def a_pointer_beside_others_that_have_a_word_is_named():
    refused((OWN, "    /* RT: no. */\n    int (*close)(int x);",
                  "\n    int (*close)(int x); /* HERE */"),
            says="part_ops.close: says neither RT: yes nor RT: no")


@test
def a_promise_that_nothing_keeps_is_named():
    refused((OWN, "struct part *part_first(void);", "struct part *part_first(void);\n"
                  "int part_second(void); /* HERE */"),
            says="part_second: no source that was compiled defines or uses it")


@test
def functions_of_one_name_are_told_apart_by_their_files():
    other = ("src/base/other.c", "static int deep(int x)\n{\n    return x;\n}\n"
                                 "int (*other)(int x) = deep;\n")
    make_tree([other])
    check("deep: src/base/gain.c and src/base/other.c have one; write FILE:NAME"
          in rtcheck().stderr, "both are named")
    accepted(other, (ALLOW, "to deep\n", "to gain.c:deep\n"))


@test
def why_tells_the_way():
    make_tree([(GAIN, "return x + percent;", "return *(int *)malloc(4) + x;")])
    equal(rtcheck("--why", "malloc").stdout, f"{GAIN}:14: takt_gain -> deep -> deeper -> malloc\n")
    equal(rtcheck("--why", "deeper").stdout, f"{GAIN}:18: takt_gain -> deep -> deeper\n")
    never = rtcheck("--why", "takt_gain_set")
    equal((never.stdout, never.returncode), ("takt_gain_set: nothing real-time reaches it\n", 1))


@test
def json_holds_it_all():
    make_tree([(GAIN, "return x + percent;", "return *(int *)malloc(4) + x;")])
    done = rtcheck("--json")
    said = json.loads(done.stdout)
    equal(done.returncode, 1)
    equal([(m["file"], m["line"]) for m in said["mistakes"]], [(GAIN, 14)])
    equal((said["roots"], said["functions"]), (5, 8))
    equal(said["stack_limit_bytes"], 2048)
    check(said["stack_bytes"] == max(s["bytes"] for s in said["stacks"]) > 0, said)


@test
def a_changed_source_or_header_is_seen_by_the_next_check():
    accepted()
    make_tree([(OWN, "    return 2 * x;", "    return 2 * *(int *)__builtin_malloc(4);")])
    check("part_twice -> malloc" in rtcheck().stderr, "the header's change is seen")
    accepted()


@test
def a_check_that_cannot_be_made_is_no_success():
    make_tree([])
    os.remove("build/compile_commands.json")
    done = rtcheck()
    equal((done.stdout, done.returncode), ("", 2))
    check("build" in done.stderr and done.stderr.count("\n") == 1, done.stderr)
    make_tree([(GAIN, "return percent;", "return oops;")])
    equal(rtcheck().returncode, 2)


tests_done()
