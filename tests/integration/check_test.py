#!/usr/bin/env python3
"""
check_test.py TAKT ROOT VIOLATIONS BAD QUIETER - what takt check finds in programs, by name and line.

VIOLATIONS breaks the rule that it is told to; its source marks the line with "breaks: NAME".
"""
import os
import re
import signal
import subprocess
import sys

from program import (ENVIRONMENT, TAKT, TIMEOUT_S, Said, check, equal, one_line, run, test,
                     tests_done)

ROOT, VIOLATIONS, BAD, QUIETER = (os.path.abspath(a) for a in sys.argv[2:6])
SOURCES = ("violations.c", "violations_library.c")


def marked_lines():
    """{name: (file, line)} of each planted violation."""
    lines = {}
    for source in SOURCES:
        path = os.path.join(ROOT, "tests/integration", source)
        with open(path, encoding="utf-8") as text:
            for number, line in enumerate(text, 1):
                for name in re.findall(r"breaks: (\w+)", line):
                    lines[name] = (source, number)
    return lines


def planted():
    listed = subprocess.run([VIOLATIONS, "list"], capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in listed.splitlines()]


def checked(*program, status, options=(), **more):
    return run("check", "--json", *options, "--", *program, status=status, **more).summary()


def place(finding):
    return os.path.basename(finding["file"] or ""), finding["line"]


@test
def every_planted_violation_is_found_by_its_name_and_line():
    lines = marked_lines()
    names = [v for v in planted() if v[1] != "none"]
    check(len(names) >= 45 and {k for _, k, _ in names} ==
          {"allocation", "lock", "wait", "io", "call", "page_fault"}, names)
    for name, kind, call in names:
        said = checked(VIOLATIONS, name, status=3)
        found = [f for f in said["findings"] if (f["kind"], f["call"]) == (kind, call)]
        check(found, f"{name}: {kind} by {call} is not among {said['findings']}")
        check(1 <= found[0]["count"] <= 3 and found[0]["first_position"] == 200 * 64, found[0])
        # Nothing else is blamed than that line, but what a library's memory costs at its first use.
        equal({place(f) for f in said["findings"] if name != "qsort" or f["kind"] == kind},
              {lines[name]}, name)


@test
def what_is_allowed_is_not_found():
    for name, kind, _ in planted():
        if name not in ("fault",):
            said = checked(VIOLATIONS, name, "3", "allowed", status=0)
            equal((said["found"], said["findings"]), (0, []), name)
    said = checked(VIOLATIONS, "times", status=0)
    equal(said["found"], 0, "reading a clock is allowed")


@test
def a_place_is_counted_however_often_it_comes():
    said = checked(VIOLATIONS, "malloc", "250", status=3)
    equal([(f["call"], f["count"]) for f in said["findings"]], [("malloc", 250)])
    equal((said["found"], said["unlisted"]), (250, 0))


@test
def the_four_of_the_example_are_told_with_their_lines():
    with open(os.path.join(ROOT, "examples/bad_callback.c"), encoding="utf-8") as source:
        lines = {call: number for number, line in enumerate(source, 1)
                 for call in ("malloc", "pthread_mutex_lock", "printf", "nanosleep")
                 if re.match(rf"    (scratch = )?{call}\(", line)}
    said = run("check", "--", BAD, status=3)
    told = re.findall(r"^(\w+): (\w+), .* process at bad_callback\.c:(\d+)$", said.out, re.M)
    equal({(kind, call, int(line)) for kind, call, line in told},
          {("allocation", "malloc", lines["malloc"]),
           ("lock", "pthread_mutex_lock", lines["pthread_mutex_lock"]),
           ("io", "printf", lines["printf"]), ("wait", "nanosleep", lines["nanosleep"])})
    check(f"{BAD}: 4 findings in " in said.out, said.out)


@test
def a_program_that_keeps_the_rules_is_clean():
    said = run("check", "--", QUIETER, "-i", "sim:voice", "-o", "sim:", "-t", "1")
    check(re.search(r": 0 findings in \d+ cycles", said.out), said.out)
    equal(said.err, "")


@test
def takt_itself_keeps_the_rules():
    for arguments in (("run", "sim:voice", "gain=-3dB", "null:", "-t", "0.5", "-b", "64"),
                      ("run", "sim:guitar", "gain=-3dB", "x.wav", "-t", "0.5"),
                      ("record", "-i", "sim:voice", "-t", "0.5", "x.flac"),
                      ("play", "x.wav", "-o", "sim:"),
                      ("meter", "-i", "x.flac", "--fast"),
                      ("run", "sim:tone=440,ppm=300", "sim:", "-t", "0.5"),
                      ("latency", "-i", "sim:loop", "-o", "sim:loop", "-b", "64", "--fast")):
        said = checked(TAKT, *arguments, status=0)
        equal((said["findings"], said["found"]), ([], 0), " ".join(arguments))
        check(said["cycles"] > 10, said)


@test
def all_three_ways_of_seeing_are_there():
    watched = checked(VIOLATIONS, "malloc", status=3)["watched"]
    equal(watched, {"system_calls": True, "library_calls": True, "page_faults": True})


@test
def the_chain_of_calls_leads_from_the_place_to_the_callback():
    found, = checked(VIOLATIONS, "library", status=3)["findings"]
    functions = [c.split(" ")[0] for c in found["chain"]]
    at = functions.index("take_memory")
    check(functions[at + 1:at + 2] == ["violation_in_a_library"] and "process" in functions[at:],
          found["chain"])
    said = run("check", "-v", "--", VIOLATIONS, "library", status=3)
    check(re.search(r"\n    take_memory at violations_library\.c:\d+\n    violation_in_a_library at ",
                    said.out), said.out)


@test
def the_first_finding_traps():
    environment = ENVIRONMENT | {"TAKT_GUARD": "trap", "LD_PRELOAD": library()}
    for name, kind, call in planted():
        done = subprocess.run([VIOLATIONS, name], env=environment, capture_output=True,
                              timeout=TIMEOUT_S, check=False)
        if kind == "none":
            equal(done.returncode, 0, name)
            continue
        said = Said([name], done).err
        equal(done.returncode, -signal.SIGABRT, f"{name}: {said}")
        first = re.search(r"^takt: guard: (.+) in the callback, after frame (\d+) \((\w+)\)$", said, re.M)
        check(first and first[3] == kind and first[2] == str(200 * 64), f"{name}: {said}")


@test
def a_program_that_is_not_watched_goes_on():
    for mode in ("off", "count", "report"):
        done = subprocess.run([VIOLATIONS, "printf"], env=ENVIRONMENT | {"TAKT_GUARD": mode},
                              capture_output=True, timeout=TIMEOUT_S, check=False)
        equal((done.returncode, done.stdout), (0, b"1\n" * 3), mode)


@test
def a_mode_that_is_none_is_one_clear_line():
    said = run("run", "sim:", "null:", "-t", "0.1", environment={"TAKT_GUARD": "trp"}, status=2)
    check("TAKT_GUARD=trp" in one_line(said) and "off, count, report or trap" in said.err, said.err)


@test
def a_program_that_dies_is_told_and_its_findings_too():
    said = run("check", "--", "sh", "-c", f"{VIOLATIONS} printf; kill -SEGV $$", status=3)
    check("io: printf" in said.out, said.out)
    said = run("check", "--", "sh", "-c", f"{QUIETER} -i sim: -o sim: -t 0.1; kill -SEGV $$", status=1)
    check("ended by signal 11" in said.err, said.err)
    said = run("check", "--", "sh", "-c", f"{QUIETER} -i sim: -o sim: -t 0.1; exit 7", status=1)
    check("ended with status 7" in said.err, said.err)


@test
def what_cannot_be_checked_is_one_clear_line():
    check("cannot run it" in one_line(run("check", "--", "./nosuch", status=1)), "nosuch")
    check("made no stream" in one_line(run("check", "--", "true", status=1)), "true")
    check("made no stream before it ended by status 9" in one_line(
        run("check", "--", "sh", "-c", "exit 9", status=1)), "exit 9")
    check("PROGRAM" in one_line(run("check", status=2)), "nothing")
    check("guard's library" in one_line(run("check", "--", QUIETER, status=1, environment={
        "TAKT_GUARD_LIBRARY": "/nonexistent/lib.so"})), "library")


@test
def a_time_ends_the_program():
    said = checked(QUIETER, "-i", "sim:", "-o", "sim:", "-t", "1000", status=1, options=("-t", "0.5"))
    check(said["program_signal"] == signal.SIGINT and said["cycles"] > 100, said)


@test
def the_programs_own_output_is_left_alone():
    said = run("check", "-q", "--", VIOLATIONS, "puts", status=3)
    equal(said.out, "to the console\n" * 3)
    said = run("check", "--json", "--", VIOLATIONS, "puts", status=3)
    equal(said.err, "to the console\n" * 3)


def library():
    return os.path.join(os.path.dirname(TAKT), "src/guard/libtakt-guard.so")


tests_done()
