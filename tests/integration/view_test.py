"""The live view of takt, in terminals of many kinds and sizes.

Usage: view_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import os
import re
import signal
import termios
import time

import wav
from program import check, equal, test, tests_done
from screen import Screen

SIZES = [(20, 5), (24, 8), (31, 3), (40, 10), (45, 12), (67, 9), (80, 24), (200, 60), (500, 20)]


def ends_well(screen):
    equal(screen.end(), 0, screen.text())
    equal(screen.faults, [], screen.text())
    check(screen.is_given_back(), "the terminal is not as it was")


@test
def a_picture_stands_in_place_in_every_size():
    for columns, rows in SIZES:
        for channels in (1, 2, 64):
            with Screen(columns, rows, "meter", "sim:voice", "-c", str(channels)) as screen:
                check(screen.wait_for(r"0:00\.[1-9]"), f"{columns}x{rows}: no picture")
                screen.watch(0.15)
                what = f"{columns}x{rows}, {channels} channels:\n{screen.text()}"
                check(not screen.cursor, f"{what}\nthe cursor is shown")
                equal(screen.scrolled, 0, what)
                equal(len(re.findall(r"\d miss", screen.text())), 1, what)
                equal(len(re.findall(r"^\d:\d\d\.\d", screen.text(), re.M)), 1, what)
                bars = len(re.findall(r"^ ?\d+ .*-?\d+\.\d +-?\d+\.\d", screen.text(), re.M))
                check(bars == channels or 1 <= bars < channels and rows - bars <= 4, what)
                screen.press("\x03")
                ends_well(screen)


@test
def ctrl_c_leaves_the_summary_below_the_picture():
    with Screen(80, 24, "meter", "sim:voice+guitar") as screen:
        screen.wait_for(r"0:00\.3")
        screen.press("\x03")
        ends_well(screen)
        where = [screen.text().find(t) for t in ("0:0", "contract  ", " s, ", "contract: ")]
        check(-1 not in where and where == sorted(where), screen.text())
        check("^C" not in screen.text(), screen.text())
        check(screen.x == 0, "the prompt would not stand at a line's beginning")


@test
def ctrl_c_does_not_tear_the_picture_of_a_terminal_that_is_slow():
    for channels in range(60, 64):
        with Screen(200, 60, "meter", "sim:voice", "-c", str(channels)) as screen:
            screen.wait_for(r"0:00\.3")
            time.sleep(0.3)  # more is written than the terminal has room for
            screen.press("\x03")
            ends_well(screen)


@test
def what_is_typed_does_not_tear_the_picture():
    with Screen(80, 24, "meter", "sim:voice") as screen:
        screen.wait_for(r"0:00\.2")
        screen.press("hello\nworld\n")
        screen.watch(0.2)
        check("hello" not in screen.text() and not screen.scrolled, screen.text())
        equal(len(re.findall(r"sim:voice$", screen.text(), re.M)), 1, screen.text())
        screen.press("\x03")
        ends_well(screen)


@test
def a_narrower_terminal_gets_a_narrower_picture():
    with Screen(100, 20, "meter", "sim:voice") as screen:
        screen.wait_for(r"0:00\.2")
        for columns in (100, 50, 20, 80):
            screen.resize_and_fit(columns, 20)
        screen.press("\x03")
        equal(screen.end(), 0)
        check(screen.is_given_back(), "the terminal is not as it was")


@test
def a_crash_gives_the_cursor_back_whatever_stdin_is():
    for no_stdin in (False, True):
        with Screen(80, 24, "meter", "sim:voice", no_stdin=no_stdin) as screen:
            screen.wait_for(r"0:00\.2")
            check(not screen.cursor, "there is no picture")
            os.kill(screen.pid, signal.SIGSEGV)
            check(screen.end() not in (0, None), "it goes on")
            check(screen.is_given_back(), "the terminal is not as it was")


@test
def ctrl_z_gives_the_terminal_back_meanwhile():
    with Screen(80, 24, "meter", "sim:voice") as screen:
        screen.wait_for(r"0:00\.2")
        screen.press("\x1a")
        until = time.monotonic() + 10
        stopped = 0
        while not stopped and time.monotonic() < until:
            screen.watch(0.05)
            stopped, status = os.waitpid(screen.pid, os.WUNTRACED | os.WNOHANG)
        check(stopped and os.WIFSTOPPED(status), "it does not stop")
        check(screen.is_given_back(), "the terminal is not as it was")
        os.kill(screen.pid, signal.SIGCONT)
        screen.watch(0.3)
        check(not screen.cursor and not termios.tcgetattr(screen.slave)[3] & termios.ECHO,
              "the picture is not back")
        screen.press("\x03")
        ends_well(screen)


@test
def each_signal_gives_the_terminal_back():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Screen(80, 24, "record", "x.wav", "-i", "sim:voice") as screen:
            screen.wait_for(r"0:00\.2")
            os.kill(screen.pid, number)
            ends_well(screen)


@test
def lines_about_events_stand_above_one_picture():
    with Screen(80, 60, "meter", "sim:voice,vanish=0.2s+0.2s", "-t", "0.8") as screen:
        ends_well(screen)
        text = screen.text()
        where = [text.find(t) for t in ("is away", "is back after", "0:00.8", "contract: ")]
        check(-1 not in where and where == sorted(where), text)
        equal(len(re.findall(r"contract  ", text)), 1, text)


@test
def a_recording_shows_how_far_it_is():
    wav.write("x.wav", "s16", [(1000, -1000)] * 48000, channels=2)
    with Screen(80, 24, "play", "x.wav") as screen:
        screen.wait_for(r"0:00\.[4-6] / 0:01\.0")
        done = screen.text().count("━") / (screen.text().count("━") + screen.text().count("┄"))
        check(0.3 < done < 0.7, screen.text())
        ends_well(screen)


@test
def colours_and_signs_are_those_the_terminal_can_show():
    for environment, colours, picture, signs in [
            ({}, True, True, True), ({"NO_COLOR": "1"}, False, True, True),
            ({"NO_COLOR": ""}, True, True, True), ({"LC_ALL": "C"}, True, True, False),
            ({"TERM": "dumb"}, False, False, False), ({"TERM": ""}, False, False, False)]:
        with Screen(80, 24, "meter", "sim:voice", "-t", "1.2", environment=environment) as screen:
            ends_well(screen)
            equal(screen.colours, colours, f"colours with {environment}")
            equal("\x1b[?25l" in screen.shown, picture, f"picture with {environment}")
            equal("█" in screen.shown, signs, f"blocks with {environment}")
            equal(screen.shown.isascii(), not signs, f"ASCII with {environment}")


@test
def clips_and_misses_are_seen():
    with Screen(80, 24, "run", "sim:tone,xrun=0.2s", "gain=20", "sim:", "-t", "0.6") as screen:
        ends_well(screen)
        picture = screen.text().split("sim:tone,xrun", 2)[1]
        check(re.search(r" [1-9]\d*$", picture, re.M), picture)
        check(re.search(r"[1-9]\d* miss", picture), picture)


@test
def json_and_quiet_draw_nothing():
    for option in ("--json", "-q"):
        with Screen(80, 24, "meter", "sim:voice", "-t", "0.3", option) as screen:
            ends_well(screen)
            check("\x1b" not in screen.shown, screen.shown)


@test
def the_demo_stays_within_a_small_terminal():
    with Screen(80, 24, "demo") as screen:
        ends_well(screen)
        check("Try next" in screen.text(), screen.text())
        equal(len(re.findall("is back after", screen.text())) <= 1, True)


@test
def ctrl_c_ends_the_whole_demo():
    with Screen(80, 24, "demo") as screen:
        screen.wait_for(r"0:00\.2")
        screen.press("\x03")
        ends_well(screen)
        check("2. " not in screen.text(), screen.text())


tests_done()
