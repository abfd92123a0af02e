"""takt tune: what it says of sounds whose pitch is known, and how it looks.

Usage: tune_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import cmath
import hashlib
import math
import os
import re
import subprocess

import wav
from program import check, equal, near, one_line, run, test, tests_done
from screen import Screen

DATA = os.path.join(os.path.abspath(sys.argv[2]), "tests", "data")
GUITAR = os.path.join(DATA, "guitar_e2.wav")
SIZES = [(20, 5), (24, 8), (31, 3), (40, 10), (45, 12), (67, 9), (80, 24), (200, 60), (500, 20)]


def string(hz, seconds=0.7, rate_hz=48000, loud=9000, channels=1):
    """A tone of eight partials that dies away slowly."""
    frames = []
    for i in range(int(seconds * rate_hz)):
        angle = 2 * math.pi * hz * i / rate_hz
        x = sum(math.sin(k * angle + k * k) / k for k in range(1, 9))
        frames.append((round(loud * x * math.exp(-i / rate_hz)),) * channels)
    return frames


def tune(*arguments):
    return run("tune", "--fast", "--json", *arguments)


def ends_well(screen):
    equal(screen.end(), 0, screen.text())
    equal(screen.faults, [], screen.text())
    check(screen.is_given_back(), "the terminal is not as it was")


def off(line, hz):
    return 1200 * math.log2(line["f0_hz"] / hz)


# ---- What it says --------------------------------------------------------------------------------


@test
def the_guitar_is_an_e2_three_cents_sharp():
    said = tune(GUITAR)
    summary = said.summary()["tune"]
    equal(summary["note"], "E2")
    near(summary["cents"], 3.0, 0.3, "cents")
    near(summary["last"]["cents"], 3.0, 0.1, "the last cents")
    near(summary["f0_hz"], 82.55, 0.02, "f0_hz")
    equal(summary["notes"], 1)
    lines = [line for line in said.lines() if line["type"] == "tune"]
    check(len(lines) > 100 and all(a["time_s"] < b["time_s"] for a, b in zip(lines, lines[1:])),
          "lines in order")
    check(not any(line["voiced"] for line in lines if line["time_s"] < 0.05), "a note before it")
    sure = [line for line in lines if line["voiced"] and line["precise"]]
    check(len(sure) > 100 and sure[0]["time_s"] < 0.15, "the first exact one is late")
    near(sure[-1]["inharmonicity"], 7e-5, 1e-6, "inharmonicity")
    for line in sure:
        check({"confidence", "sigma_cents", "cents", "note", "f0_hz"} <= set(line), line)


@test
def the_recording_is_what_its_generator_makes():
    subprocess.run([sys.executable, os.path.join(DATA, "guitar_e2.py"), "made.wav"], check=True,
                   timeout=120)
    equal(*(hashlib.sha256(open(path, "rb").read()).hexdigest() for path in ("made.wav", GUITAR)))
    check(os.path.getsize(GUITAR) < 150000, "too large")


@test
def the_same_file_gives_the_same_bytes():
    for options in ((), ("--instrument", "guitar"), ("-b", "64")):
        equal(tune(GUITAR, *options).raw, tune(GUITAR, *options).raw)
    voice = ("sim:guitar", "-t", "1.5")
    equal(tune(*voice).raw, tune(*voice).raw)

    def notes(*options):
        return [line for line in tune(GUITAR, *options).lines() if line["type"] == "tune"]

    equal(notes("-b", "37"), notes("-b", "1024"), "block sizes")


@test
def strings_of_an_instrument_are_told_by_their_numbers():
    wav.write("x.wav", "s16", [frame for hz in (110.3, 146.8, 196.5) for frame in string(hz)])
    summary = tune("x.wav", "--instrument", "guitar").summary()["tune"]
    equal(summary["instrument"], "guitar")
    equal(summary["notes"], 3)
    equal([(s["string"], s["note"]) for s in summary["strings"]], [(5, "A2"), (4, "D3"), (3, "G3")])
    for line, hz in zip(summary["strings"], (110.3, 146.8, 196.5)):
        near(off(line, hz), 0, 0.1, f"{hz} Hz")
    far = tune("x.wav", "--notes", "c2,f#5").lines()
    check({line["note"] for line in far if line.get("voiced")} == {"C2"}, "the nearest of two")


@test
def reference_clock_and_flats_are_heeded():
    wav.write("x.wav", "s16", string(466.16), channels=1)
    near(tune("x.wav").summary()["tune"]["cents"], 0, 0.1, "A#4")
    equal(tune("x.wav").summary()["tune"]["note"], "A#4")
    equal(tune("x.wav", "--flats").summary()["tune"]["note"], "Bb4")
    other = tune("x.wav", "--a4", "466.16Hz").summary()
    equal((other["tune"]["note"], other["a4_hz"]), ("A4", 466.16))
    near(other["tune"]["cents"], 0, 0.1, "A4")
    for ppm in ("-1000", "580ppm", "58"):
        cents = tune("x.wav", "--calibrate", ppm).summary()["tune"]["cents"]
        near(cents, 1200 * math.log2(1 + float(ppm.removesuffix("ppm")) * 1e-6), 0.1, ppm)


@test
def two_channels_are_heard_as_one():
    wav.write("x.wav", "s16", string(220.4, channels=2), channels=2)
    near(off(tune("x.wav").summary()["tune"], 220.4), 0, 0.1, "cents")


@test
def silence_has_no_note():
    wav.write("x.wav", "s16", [(0,)] * 24000)
    said = tune("x.wav", "--instrument", "bass")
    check("note" not in said.summary()["tune"] and said.summary()["tune"]["strings"] == [], said.out)
    check("no note was heard" in run("tune", "--fast", "x.wav").out, "text")


@test
def in_a_pipe_there_are_plain_lines():
    said = run("tune", "--fast", GUITAR, "--instrument", "guitar")
    check(re.search(r"^ +1\.\d s  E2 +\+3\.\d\d cents, give or take +0\.\d\d +82\.\d{3} Hz  string 6 "
                    r" sharp: tune down$", said.out, re.M), said.out)
    check(re.search(r"^  string 6, E2: \+3\.0\d cents", said.out, re.M), said.out)
    check(re.search(r"^  note E2: \+3\.\d\d cents in the median, 82\.55\d Hz, at A4 = 440 Hz$",
                    said.out, re.M), said.out)


@test
def every_tuning_of_the_list_can_be_named():
    listed = run("tune", "--instrument", "list").out.splitlines()
    check(len(listed) > 20 and all(re.match(r"[a-z0-9-]+ +\S", line) for line in listed), listed)
    for name in (line.split()[0] for line in listed):
        equal(tune(GUITAR, "-t", "0.1", "--instrument", name).summary()["tune"]["instrument"], name)


@test
def bad_options_are_one_clear_line():
    for arguments, wanted in [
            (("--a4", "379"), "--a4 379: not a number of Hz between 380 and 480; try 442"),
            (("--a4", "0x1b0"), "--a4 0x1b0: not a number of Hz"),
            (("--a4", "440 Hz"), "--a4 440 Hz: not a number of Hz"),
            (("--a4", ""), "--a4 : not a number of Hz"),
            (("--calibrate", "1001"), "--calibrate 1001: not a number of ppm"),
            (("--calibrate", "nan"), "--calibrate nan: not a number of ppm"),
            (("--instrument", "guitr"), "no such tuning; did you mean guitar?"),
            (("--instrument", "hurdy-gurdy"), "no such tuning; see takt tune --instrument list"),
            (("--instrument", "guitar", "--notes", "E2"), "one of them is enough"),
            (("--notes", "E2,H3"), "--notes E2,H3: H3 is no note; write notes as in E2,A2"),
            (("--notes", ""), "is no note"),
            (("--notes", ",".join(["E2"] * 17)), "more than 16 notes"),
            (("a.wav", "b.wav"), "one word too many"), (("-i", "a.wav", "b.wav"), "one source"),
            (("--gain", "2"), "no such option"), (("sim:guitar", "--fast"), "has no end")]:
        line = one_line(run("tune", *arguments, status=2))
        check(line.startswith("takt: tune: ") and wanted in line, line)
    line = one_line(run("tune", "nosuch.wav", "--fast", status=1))
    check("nosuch.wav" in line, line)
    line = one_line(run("tune", "sim:guitar", "-r", "384000", "--fast", "-t", "1", status=2))
    check("8000 to 192000" in line, line)


GUITAR_STRINGS = [(82.407, 5, 9e-5), (110.0, -8, 8e-5), (146.832, 2, 7e-5), (195.998, 12, 6e-5),
                  (246.942, -4, 6e-5), (329.628, 7, 5e-5)]


def strum(path):
    """All strings of a guitar, each off by so many cents and with a stretch of its own."""
    rate_hz, seconds = 24000, 1.9
    sound = [0.0] * int(rate_hz * seconds)
    for number, (hz, cents, stretch) in enumerate(GUITAR_STRINGS):
        first = int((0.17 + 0.01 * number) * rate_hz)
        for k in range(1, int(2700 / hz) + 1):
            own_hz = k * hz * 2 ** (cents / 1200) * math.sqrt((1 + stretch * k * k) / (1 + stretch))
            turn = 2j * math.pi * own_hz / rate_hz - (1 + 0.1 * k) / (1.2 * rate_hz)
            step, at = cmath.exp(turn), cmath.exp(1j * k * k) * abs(math.sin(0.6 * k)) / k
            for i in range(first, len(sound)):
                sound[i] += at.imag
                at *= step
    wav.write(path, "s16", [(round(2500 * x),) for x in sound], rate_hz=rate_hz)


@test
def a_strum_tells_of_every_string():
    strum("x.wav")
    lines = tune("x.wav", "--strum").lines()
    strums = [line for line in lines if line["type"] == "strum"]
    equal(len(strums), 1)
    summary = lines[-1]["strum"]
    equal((summary["strums"], summary["instrument"]), (1, "guitar"))
    equal(summary["strings"], strums[0]["strings"])
    equal([s["string"] for s in summary["strings"]], [6, 5, 4, 3, 2, 1])
    for line, (hz, cents, stretch) in zip(summary["strings"], GUITAR_STRINGS):
        check(line["known"], line)
        near(line["cents"], cents, 1, line)
    said = run("tune", "--fast", "x.wav", "--strum", "--instrument", "guitar").out
    check(re.search(r"^   6 E2 +\+[45]\.\d \+- 0\.\d cents  sharp: tune down$", said, re.M), said)
    equal(tune("x.wav", "--strum").raw, tune("x.wav", "--strum", "--instrument", "guitar").raw)
    check("no strum was heard" in run("tune", "--fast", "--strum", "sim:tone", "-t", "1").out, "text")


@test
def the_picture_of_a_strum_stands_in_every_size():
    strum("x.wav")
    for columns, rows in SIZES:
        with Screen(columns, rows, "tune", "x.wav", "--strum") as screen:
            check(screen.wait_for("strike all|0 misses"), screen.text())
            equal(screen.end(), 0, screen.text())
            equal(screen.faults, [], screen.text())
    with Screen(80, 24, "tune", "x.wav", "--strum") as screen:
        check(screen.wait_for(r"^   6 E2 +\+[45]\.\d ± 0\.\d cents  sharp: tune down$"), screen.text())
        ends_well(screen)


# ---- How it looks --------------------------------------------------------------------------------


@test
def the_picture_stands_in_every_size():
    wav.write("x.wav", "s16", string(82.5975, seconds=3))
    for columns, rows in SIZES:
        with Screen(columns, rows, "tune", "x.wav", "--instrument", "guitar") as screen:
            shown = screen.wait_for(r"E2 .*\+(4\.0|3\.9)")
            what = f"{columns}x{rows}:\n{screen.text()}"
            check(shown, what)
            equal(screen.scrolled, 0, what)
            equal(len(re.findall(r"\d miss", screen.text())), 1, what)
            equal(len(re.findall(r"E2 .*\+(4\.0|3\.9)", screen.text())), 1, what)
            screen.press("\x03")
            ends_well(screen)


@test
def the_needle_points_to_where_the_note_is():
    for cents in (-40, -3, 0, 3, 40):
        wav.write("x.wav", "s16", string(110 * 2 ** (cents / 1200), seconds=2))
        with Screen(80, 24, "tune", "x.wav", "--instrument", "guitar") as screen:
            well = "in tune" if not cents else "flat: tune up" if cents < 0 else "sharp: tune down"
            check(screen.wait_for(r"A2 +[+-]%.1f.*%s" % (abs(cents), well)), screen.text())
            lines = screen.text().split("\n")
            for full in (50, 5):
                line = next(x for x in lines if x.strip().startswith(f"-{full} "))
                scale = line[line.index(f"-{full} ") + len(f"-{full} "):line.rindex(" +")]
                at = re.search("[█▌▐]", scale).start() / (len(scale) - 1) * 2 - 1
                near(at, max(-1, min(1, cents / full)), 0.06, screen.text())
            check("[A2]" in screen.text(), screen.text())
            check(" ███ " in screen.text() and "████" in screen.text(), "no large letters")
            screen.press("\x03")
            ends_well(screen)


@test
def signs_are_those_the_terminal_can_show():
    wav.write("x.wav", "s16", string(110, seconds=2))
    for environment, signs in (({}, True), ({"LC_ALL": "C"}, False), ({"NO_COLOR": "1"}, True)):
        with Screen(80, 24, "tune", "x.wav", environment=environment) as screen:
            check(screen.wait_for(r"A2 +[+-]0\.0"), screen.text())
            equal("█" in screen.shown, signs, f"blocks with {environment}")
            equal(screen.shown.isascii(), not signs, f"ASCII with {environment}")
            equal(screen.colours, "NO_COLOR" not in environment, f"colours with {environment}")
            screen.press("\x03")
            ends_well(screen)


@test
def without_a_note_it_asks_for_one():
    wav.write("x.wav", "s16", [(0,)] * 96000)
    with Screen(80, 24, "tune", "x.wav") as screen:
        check(screen.wait_for("play a note"), screen.text())
        screen.press("\x03")
        ends_well(screen)


tests_done()
