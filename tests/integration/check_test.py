#!/usr/bin/env python3
"""
check_test.py TAKT ROOT VIOLATIONS BAD QUIETER ENDS FORTIFIED - what takt check finds in programs, by name and line.

VIOLATIONS breaks the rule that it is told to; its source marks the line with "breaks: NAME". ENDS
runs and ends in ways that a check could be wrong about; FORTIFIED is BAD with the compiler's checks.
"""
import os
import re
import shutil
import signal
import subprocess
import sys

from program import (ENVIRONMENT, TAKT, TIMEOUT_S, Said, Skip, check, equal, one_line, run, test,
                     tests_done)

ROOT, VIOLATIONS, BAD, QUIETER, ENDS, FORTIFIED = (os.path.abspath(a) for a in sys.argv[2:8])
SOURCES = ("violations.c", "violations_library.c", "ends.c", "inlined.cpp")


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
    check(len(names) >= 75 and {k for _, k, _ in names} ==
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
    the_four_are_told(BAD)


@test
def a_function_put_in_line_by_a_header_is_told_at_the_line_that_calls_it():
    the_four_are_told(FORTIFIED)
    said = run("check", "-v", "--", FORTIFIED, status=3)
    check(re.search(r"\n    printf at stdio2\.h:\d+\n    process at bad_callback\.c:", said.out),
          said.out)


@test
def the_line_is_ones_own_in_cxx_too():
    compiler, lines = shutil.which("c++"), marked_lines()
    if not compiler:
        raise Skip("no C++ compiler")
    build = os.path.dirname(TAKT)
    subprocess.run([compiler, "-g", "-O2", "-fno-optimize-sibling-calls", "-I", f"{ROOT}/include",
                    f"{ROOT}/tests/integration/inlined.cpp", "-o", "inlined", "-L", build, "-ltakt",
                    f"-Wl,-rpath,{build}"], check=True, timeout=TIMEOUT_S)
    found = checked("./inlined", status=3)["findings"]
    for call, name in (("malloc", "vector"), ("pthread_mutex_lock", "guard"), ("nanosleep", "sleep")):
        equal({place(f) for f in found if f["call"] == call}, {lines[name]}, call)
    check("synth::Voice::add(int)" in {f["function"] for f in found}, found)


def the_four_are_told(program):
    with open(os.path.join(ROOT, "examples/bad_callback.c"), encoding="utf-8") as source:
        lines = {call: number for number, line in enumerate(source, 1)
                 for call in ("malloc", "pthread_mutex_lock", "printf", "nanosleep")
                 if re.match(rf"    (scratch = )?{call}\(", line)}
    said = run("check", "--", program, status=3)
    told = re.findall(r"^(\w+): (\w+), .* process at bad_callback\.c:(\d+)$", said.out, re.M)
    equal({(kind, call, int(line)) for kind, call, line in told},
          {("allocation", "malloc", lines["malloc"]),
           ("lock", "pthread_mutex_lock", lines["pthread_mutex_lock"]),
           ("io", "printf", lines["printf"]), ("wait", "nanosleep", lines["nanosleep"])})
    check(f"{program}: 4 findings in " in said.out, said.out)


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
        # Static functions are named, too; one that the compiler put in line has no name there.
        check(re.search(r"^    (process|do_\w+|take_memory|violation_\w+|print) \(/.*\+0x", said, re.M),
              f"{name}: {said}")
        check("takt check -- PROGRAM" in said.splitlines()[-1], said)


@test
def a_program_that_is_not_watched_goes_on():
    for mode in ("off", "count", "report"):
        done = subprocess.run([VIOLATIONS, "printf"], env=ENVIRONMENT | {"TAKT_GUARD": mode},
                              capture_output=True, timeout=TIMEOUT_S, check=False)
        equal((done.returncode, done.stdout), (0, b"1\n" * 3), mode)


@test
def what_the_environment_asks_for_is_told_at_the_end():
    def told(program, mode="report", **more):
        return Said([program], subprocess.run([ENDS, program], env=ENVIRONMENT | {
            "TAKT_GUARD": mode, "LD_PRELOAD": library()} | more, capture_output=True,
            timeout=TIMEOUT_S, check=False))
    said = told("ways").err
    check(re.search(r"\Atakt: guard: allocation: malloc, 50 times, \d+\.\d us at most, first after frame "
                    r"6400: take in ends\ntakt: guard: 1 finding in 150 cycles.*takt check -- PROGRAM.*\n\Z",
                    said), said)
    check("malloc, 50 times" in told("ways", "count").err, "count")
    said = told("many").err.splitlines()
    check("malloc, 256 times" in said[0] and len(said) == 3, said)
    equal(said[1], "takt: guard: and 144 more, for which there was no room")
    said = told("again").err.splitlines()
    check(len(said) == 2 and ", first after frame 640: take in ends" in said[0], said)
    check("not watched here: library calls" in told("ways", LD_PRELOAD="").err, "no library")
    equal(told("clean").err, "takt: guard: 0 findings in 150 cycles\n")
    for program, mode in (("never", "report"), ("off", "report"), ("ways", "off"), ("ways", "")):
        equal(told(program, mode).err, "", f"{program} {mode}")
    equal((told("read").out, told("read").err), ("1\n", ""), "who reads it himself needs nobody to")
    equal(run("check", "-q", "--", ENDS, "ways", status=3).err, "")
    said = run("meter", "sim:tone", "-t", "0.2", "--fast", environment={"TAKT_GUARD": "report"})
    equal(said.err, "", "takt has its own line")


@test
def what_was_not_watched_is_not_called_clean():
    said = one_line(run("check", "--", ENDS, "off", status=1))
    check("cfg.guard" in said and "nothing was watched" in said, said)
    check("not one cycle was watched" in one_line(run("check", "--", ENDS, "never", status=1)), "never")
    said = run("check", "--", ENDS, "background", status=1).err
    check("in the background" in said and "foreground" in said, said)
    os.kill(int(re.search(r"process (\d+)", said)[1]), signal.SIGKILL)
    said = checked(ENDS, "off", status=1)
    equal((said["cycles"], said["unwatched_streams"], said["exit"]), (0, 1, 1))
    equal(said["unwatched_processes"], 0)


@test
def what_was_watched_in_part_is_not_called_clean():
    said = run("check", "--", ENDS, "mixed", status=1)
    check("0 findings in 150 cycles" in said.out, said.out)
    check("1 more stream was not watched" in one_error(said), said.err)
    said = checked(ENDS, "mixed", status=1)
    equal((said["cycles"], said["unwatched_streams"], said["unwatched_processes"]), (150, 1, 0))


@test
def a_process_beside_the_first_is_told():
    both = ("sh", "-c", f"{ENDS} clean; {ENDS} ways")
    said = run("check", "--", *both, status=1)
    check("0 findings in 150 cycles" in said.out, said.out)
    check("1 more process made streams; only the first is watched" in one_error(said), said.err)
    said = checked(*both, status=1)
    equal((said["cycles"], said["found"], said["unwatched_streams"], said["unwatched_processes"]),
          (150, 0, 0, 1))
    # One that has its guard off is another one, too; findings of the first go before all that.
    said = run("check", "--", "sh", "-c", f"{ENDS} ways; {ENDS} off; {ENDS} clean", status=3)
    check("malloc, 50 times" in said.out, said.out)
    check("2 more processes made streams" in one_error(said), said.err)


@test
def findings_do_not_hide_how_the_program_ended():
    said = run("check", "--", ENDS, "127", status=3)
    check("allocation: malloc" in said.out and "ended with status 127" in one_error(said), said.err)
    said = run("check", "--", ENDS, "killed", status=3)
    check("allocation: malloc" in said.out and "ended by signal 9 (Killed)" in one_error(said), said.err)
    check("ended with status 127" in one_line(run("check", "--", "sh", "-c", "exit 127", status=1)),
          "127")


@test
def one_place_is_one_line_whatever_way_leads_there():
    said = run("check", "--", ENDS, "ways", status=3).out.splitlines()
    check(len(said) == 2 and "malloc, 50 times" in said[0] and "take at ends.c:" in said[0] and
          ": 1 finding in " in said[1], said)
    said = run("check", "-v", "--", ENDS, "ways", status=3).out
    equal(len(re.findall("^allocation: malloc", said, re.M)), 4, said)


@test
def a_place_of_two_streams_is_told_with_the_earlier_position():
    said = run("check", "--", ENDS, "again", status=3).out
    check(re.search(r"malloc, 190 times, .*, first after frame 640: take at ends\.c:", said), said)


@test
def what_the_list_has_no_room_for_is_counted():
    said = checked(ENDS, "many", status=3)
    equal((said["found"], said["unlisted"], len(said["findings"])), (400, 144, 128))
    said = run("check", "--", ENDS, "many", status=3).out
    check("malloc, 256 times" in said and "and 144 more, for which there was no room" in said, said)


@test
def a_page_fault_is_told_without_a_time_that_nobody_measured():
    said = run("check", "--", VIOLATIONS, "fault", status=3).out
    check(re.search(r"^page_fault: page fault, 3 times, first after frame 12800: ", said, re.M), said)


@test
def the_loader_still_knows_who_asks():
    equal(checked(ENDS, "plugin", status=3)["program_status"], 0)


def one_error(said):
    """The one line on stderr."""
    check(said.err.count("\n") == 1, said.err)
    return said.err


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
    check("made no stream; it ended with status 9" in one_line(
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


# ---- The guard in the summary --------------------------------------------------------------------


@test
def the_guards_findings_stand_in_the_summary_when_it_is_on():
    arguments = ["meter", "sim:tone", "-t", "0.5", "--fast"]
    guard = run(*arguments, "--json", environment={"TAKT_GUARD": "count"}).summary()["guard"]
    equal((guard["mode"], guard["found"]), ("count", 0))
    check(guard["cycles"] > 100, guard)
    said = run(*arguments, environment={"TAKT_GUARD": "count"})
    check(re.search(r"^guard: 0 findings in \d+ cycles$", said.out, re.M), said.out)
    check("guard" not in run(*arguments, "--json", environment={"TAKT_GUARD": "off"}).summary(),
          "guard off")


tests_done()
