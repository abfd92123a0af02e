"""takt sim: a few virtual hours hold, the same on each run.

Usage: simulate_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import json
import re
import signal
import subprocess

from program import ENVIRONMENT, TAKT, check, equal, run, test, tests_done


@test
def fixed_seeds_break_no_invariant():
    for seed in (1, 2, 3):
        done = run("sim", "--seed", str(seed), "--hours", "1", "-q")
        equal((done.status, done.err), (0, ""))


@test
def the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (run("sim", "--seed", s, "--hours", "0.5", "--json").out
                           for s in ("7", "7", "8"))
    check(first == again, "the same bytes")
    check(first != other, "other bytes")
    summary = json.loads(first.splitlines()[-1])
    equal((summary["type"], summary["seed"], summary["broken"]), ("summary", 7, None))
    check(summary["virtual_hours"] >= 0.5 and summary["steps"] > 1000, str(summary))


@test
def one_scenario_is_the_same_alone():
    runs = [run("sim", "--seed", "1", "--scenario", "5", "--json").out for _ in range(2)]
    equal(runs[0], runs[1])
    equal(json.loads(runs[0].splitlines()[-1])["scenarios"], 1)


@test
def hours_that_are_no_number_are_refused():
    run("sim", "--hours", "many", status=2)


@test
def a_crash_says_where_and_how_to_see_it_again():
    for words, wanted in [(["sim"], r"step \d+: it went .*; replay with: takt sim --seed 1 --sc"),
                          (["sim", "net"], r"at \d+ s: it went .*; replay with: takt sim net --s"),
                          (["sim", "net", "--loss", "0.1"], r"at \d+ s: it went [^;]*$")]:
        process = subprocess.Popen([TAKT, *words, "--seed", "1", "--hours", "100", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        process.stdout.read(1)  # it is at work
        process.send_signal(signal.SIGSEGV)
        _, err = process.communicate(timeout=30)
        equal(process.returncode, 1, words)
        check(re.fullmatch(rf"takt: {' '.join(words[:2])}: seed 1 scenario \d+ {wanted}.*\n",
                           err.decode()), err)


tests_done()
