"""Analyses attached to a session: their lines, their order, and what they lose.

Usage: analysis_test.py TAKT PROBE
"""
import sys

sys.dont_write_bytecode = True

import os
import re
import subprocess

import program
import wav
from program import check, equal, near, test, tests_done

program.TAKT = os.path.abspath(sys.argv[2])  # a verb of its own in place of takt's
from program import run  # noqa: E402

import screen  # noqa: E402

screen.TAKT = program.TAKT


def sound(frames, channels=2):
    wav.write("x.wav", "s16", [tuple((i * (7 + c)) % 1000 for c in range(channels))
                               for i in range(frames)], channels=channels)


def of(lines, kind):
    return [line for line in lines if line["type"] == kind]


@test
def lines_of_all_come_in_the_order_of_time():
    sound(50000)
    said = run("x.wav", "mono", "all", "early", "--fast", "--json")
    lines = said.lines()
    times = [line["time_s"] for line in lines[:-1]]
    equal(times, sorted(times))
    near(of(lines, "mono")[0]["time_s"], 1024 / 48000, 1e-6)
    equal([line["position"] for line in of(lines, "mono")],
          list(range(0, 50000 - 2048 + 1, 300)))
    equal([line["position"] for line in of(lines, "early")], list(range(0, 50000 - 699, 900)))
    equal(len(of(lines, "level")), 10)


@test
def every_run_of_a_virtual_clock_gives_the_same_bytes():
    sound(60000)
    for more in (("--json",), ()):
        arguments = ("x.wav", "mono", "all", "early", "--fast", "-b", "2048", *more)
        first = run(*arguments).raw
        for i in range(3):
            equal(run(*arguments).raw, first)


@test
def the_last_shorter_part_of_a_file_is_not_lost():
    for frames in (1, 999, 1000, 1001, 33333):
        sound(frames)
        said = run("x.wav", "all", "--fast", "--json", "-b", "64")
        seen = of(said.lines(), "all")
        equal(sum(line["frames"] for line in seen), frames)
        total = sum((i * 7) % 1000 + (i * 8) % 1000 for i in range(frames)) / 32768
        near(said.summary()["all"], total, 0.001 + 1e-6 * total)


@test
def blocks_of_any_size_give_the_same_events():
    sound(20000)
    lines = [of(run("x.wav", "mono", "all", "--fast", "--json", "-b", str(block)).lines(), kind)
             for block in (1, 37, 480, 16384) for kind in ("mono", "all")]
    for i in range(2, 8):
        equal(lines[i], lines[i % 2])


@test
def two_channels_mixed_to_one_are_their_mean():
    wav.write("x.wav", "s16", [(4096, 0, 2048)] * 5000, channels=3)
    for line in of(run("x.wav", "mono", "--fast", "--json").lines(), "mono"):
        near(line["sum"], 2048 * 2048 / 32768, 0.001)
    early = of(run("x.wav", "early", "--fast", "--json").lines(), "early")
    near(early[0]["sum"], 700 * 4096 / 32768, 0.001)


@test
def on_a_real_clock_they_are_the_same_as_on_a_virtual_one():
    sound(20000)
    real = run("x.wav", "mono", "all", "--json")
    fast = run("x.wav", "mono", "all", "--json", "--fast")
    for kind in ("mono", "all"):
        equal(of(real.lines(), kind), of(fast.lines(), kind))
    times = [line["time_s"] for line in real.lines()[:-1] if line["type"] != "miss"]
    equal(times, sorted(times))
    counts = real.summary()["analyses"]["mono"]
    equal((counts["windows"], counts["lost_windows"]), ((20000 - 2048) // 300 + 1, 0))
    check(0 < counts["busy_us_max"] <= 1e6 * counts["busy_s"] + 0.01, counts)
    check("busy_s" not in fast.summary()["analyses"]["mono"], "times on a virtual clock")


@test
def a_slow_one_loses_whole_windows_and_nobody_elses():
    sound(72000)  # a file loses nothing on a busy machine, as a device would
    said = run("x.wav", "slow", "mono", "--json")
    counts = said.summary()["analyses"]
    equal(counts["slow"]["windows"] + counts["slow"]["lost_windows"], 72000 // 480)
    check(counts["slow"]["lost_windows"] > 0 and counts["slow"]["dropped_frames"] > 0, counts)
    equal(counts["mono"]["dropped_frames"], 0)
    for line in of(said.lines(), "slow"):
        equal(line["position"] % 480, 0)
    check("windows left out, as it was too slow" in run("x.wav", "slow").out, "told in words, too")


@test
def what_a_verb_does_not_want_is_not_there():
    sound(48000)
    lines = run("x.wav", "all", "bare", "--fast", "--json").lines()
    equal({line["type"] for line in lines}, {"all", "summary"})
    equal(len(lines[-1]["channels"]), 2)
    text = run("x.wav", "all", "bare", "--fast").out
    check("rms" not in text.split("x.wav")[0], text)
    equal(len(re.findall(r"^ +\d+\.\d+ s  all$", text, re.M)), 1)
    quiet = run("x.wav", "all", "--fast", "--json", "-q").lines()
    equal([line["type"] for line in quiet], ["summary"])


@test
def each_that_began_ends_even_when_another_refuses():
    sound(100)
    said = run("x.wav", "all", "refuses", "mono", "--fast", status=1,
               environment={"PROBE_TELLS_END": "1"})
    equal(said.err.splitlines(), [
        "takt: probe: refuses: 48000 Hz and 2 channels are not for it", "all ended",
        "refuses ended"])


@test
def they_share_the_picture():
    for rows, columns in ((24, 80), (60, 200), (8, 40), (5, 30)):
        with screen.Screen(columns, rows, "sim:voice", "all", "mono", "early") as s:
            check(s.wait_for(r"all: 2 rows, [1-9]") or rows < 7, f"{rows} rows:\n{s.text()}")
            s.watch(0.1)
            equal(s.scrolled, 0, s.text())
            check(re.search(r"\d miss", s.text()), s.text())
            if rows > 10:
                want = int(re.search(r"mono: (\d+) rows", s.text())[1])
                equal(len(re.findall(r"^mono", s.text(), re.M)), want, s.text())
                check(len(s.text().splitlines()) >= rows - 3, s.text())
            s.press("\x03")
            equal(s.end(), 0)
            check(s.is_given_back(), "the terminal is not as it was")


@test
def a_reader_that_goes_away_ends_it():
    probe = subprocess.Popen([program.TAKT, "sim:voice", "mono", "--json"],
                             stdout=subprocess.PIPE, env=program.ENVIRONMENT)
    probe.stdout.readline()
    probe.stdout.close()
    equal(probe.wait(20), 0)


tests_done()
