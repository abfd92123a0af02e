"""takt alone: the dashboard on a terminal, and the usage everywhere else.

Usage: dashboard_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import os
import re
import signal
import termios
import time

import program
from program import check, equal, run, test, tests_done
from screen import Screen

# Whatever the machine has: the tests are to hear the simulation, where nothing else is.
NO_SERVER = {"PIPEWIRE_RUNTIME_DIR": "/nonexistent", "JACK_NO_START_SERVER": "1",
             "JACK_DEFAULT_SERVER": "nobody"}
SIZES = [(20, 5), (24, 8), (40, 10), (67, 9), (80, 24), (200, 60)]


def dashboard(columns, rows):
    return Screen(columns, rows, environment=NO_SERVER)


def is_steady(screen, what):
    equal(screen.faults, [], f"{what}\n{screen.text()}")
    # A picture grows by the last misses, and what was told above it makes room.
    check(screen.scrolled <= 2, f"{what}: {screen.scrolled}\n{screen.text()}")


def quit_well(screen, key="q"):
    screen.press(key)
    equal(screen.end(), 0, screen.text())
    check(screen.is_given_back(), f"the terminal is not as it was\n{screen.text()}")


@test
def without_a_terminal_it_is_the_usage():
    said = run()
    equal(said.out, run("help").out)
    with Screen(80, 24, environment=NO_SERVER | {"TERM": "dumb"}) as screen:
        equal(screen.end(), 0)
        check("takt meter" in screen.text() or "takt sim" in screen.text(), screen.text())
    check("takt meter" in run("--help").out, "the help is as it was")


@test
def everything_is_seen_at_a_glance():
    with dashboard(80, 24) as screen:
        check(screen.wait_for(r"contract  [1-9]\d\d+ blocks"), screen.text())
        screen.watch(1)
        for what in (r"simulated", r"LUFS|^ +[ISM] ", r"cents|play a note", r"dBFS", r"contract",
                     r"latency in \d+", r"1 all +2 meter +3 tuner +4 spectrum"):
            check(re.search(what, screen.text(), re.M), f"no {what}:\n{screen.text()}")
        quit_well(screen)
        check("contract: " in screen.text(), "no summary")


@test
def it_stands_in_place_in_every_size_and_view():
    for columns, rows in SIZES:
        with dashboard(columns, rows) as screen:
            check(screen.wait_for(r"0:\d\d\.[2-9]"), screen.text())
            screen.scrolled = 0  # by the line that tells of the simulation
            for key in "1234\tmmm":
                screen.press(key)
                screen.watch(0.1)
                is_steady(screen, f"{columns}x{rows} after {key!r}")
                check(re.search(r"miss", screen.text()), screen.text())
            quit_well(screen)


@test
def keys_choose_what_is_seen():
    with dashboard(80, 24) as screen:
        check(screen.wait_for(r"contract  [1-9]\d\d+ blocks"), screen.text())
        screen.press("2")
        screen.wait_for(r"K-20|correlation")
        check(screen.wait_for(r"true peak|LUFS"), screen.text())
        check(not re.search(r"dBFS +\d", screen.text()), f"a spectrum:\n{screen.text()}")
        seen = set()
        for _ in range(4):
            screen.press("m")
            screen.watch(0.15)
            seen.add(re.sub(r"[-\d.]+", "", screen.text()))
        check(len(seen) >= 3, f"m shows no other meters:\n{screen.text()}")
        screen.press("3")
        screen.watch(0.5)
        check(screen.wait_for(r"cents|play a note"), screen.text())
        check("LUFS" not in screen.text(), screen.text())
        screen.press("4")
        screen.watch(0.5)
        check(screen.wait_for(r"dBFS"), screen.text())
        check(not re.search(r"cents|play a note", screen.text()), screen.text())
        screen.press("\x1b[1;2Dr\x1b[C\t")  # two arrows, which do nothing, reset, and on to all
        screen.watch(0.5)
        check(screen.wait_for(r"cents|play a note"), screen.text())
        check("LUFS" in screen.text(), "tab comes around")
        quit_well(screen)


@test
def it_follows_the_size_of_the_terminal():
    with dashboard(200, 60) as screen:
        check(screen.wait_for(r"0:\d\d\.[3-9]"), screen.text())
        for columns, rows in ((80, 24), (30, 8), (200, 60)):
            screen.resize_and_fit(columns, rows)
        quit_well(screen)


@test
def every_end_gives_the_terminal_back():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV,
                   signal.SIGABRT, signal.SIGUSR1):
        with dashboard(80, 24) as screen:
            check(screen.wait_for(r"0:\d\d\.[2-9]"), screen.text())
            check(not termios.tcgetattr(screen.slave)[3] & (termios.ICANON | termios.ECHO),
                  "keys are not read one by one")
            os.kill(screen.pid, number)
            ends_by_itself = number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            status = screen.end()  # a sanitizer has its own for crashes
            check(status == 0 if ends_by_itself else status not in (0, None), screen.text())
            check(screen.is_given_back(), f"signal {number}: the terminal is not as it was")
    for key in ("\x03", "\x04", "Q"):
        with dashboard(80, 24) as screen:
            check(screen.wait_for(r"0:\d\d\.[2-9]"), screen.text())
            quit_well(screen, key)


@test
def ctrl_z_gives_the_terminal_back_meanwhile():
    with dashboard(80, 24) as screen:
        check(screen.wait_for(r"0:\d\d\.[2-9]"), screen.text())
        screen.press("\x1a")
        until, stopped, status = time.monotonic() + 10, 0, 0
        while not stopped and time.monotonic() < until:
            screen.watch(0.05)
            stopped, status = os.waitpid(screen.pid, os.WUNTRACED | os.WNOHANG)
        check(stopped and os.WIFSTOPPED(status), "it does not stop")
        check(screen.is_given_back(), "the terminal is not as it was")
        os.kill(screen.pid, signal.SIGCONT)
        screen.watch(0.4)
        check(not screen.cursor, "the picture is not back")
        quit_well(screen)


tests_done()
