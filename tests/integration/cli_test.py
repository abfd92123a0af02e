"""The command line of takt: what it takes, what it refuses, what it exits with and what it writes.

Usage: cli_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import math
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import wav
from program import (ENVIRONMENT, TAKT, Skip, check, equal, near, needs, one_line, run,
                     strict_json, test, tests_done)

RECORDING = "/usr/share/sounds/alsa/Front_Center.wav"
VERBS = ["devices", "meter", "tune", "spectrum", "beat", "play", "record", "run", "demo", "send",
         "recv", "key", "bench",
         "latency", "doctor", "sim", "check", "help"]
chance = random.Random(1)


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def noise(name, count, channels=1):
    """Frames of every size of number that the format has, its ends among them."""
    if name == "f32":
        value = lambda: float32(chance.uniform(-1, 1))
    else:
        bits = wav.FORMATS[name][1]
        low, high = (0, 255) if name == "u8" else (-2**(bits - 1), 2**(bits - 1) - 1)
        value = lambda: chance.choice([low, high, chance.randint(low, high)])
    return [tuple(value() for _ in range(channels)) for _ in range(count)]


def option_names(verb):
    """Of its help: [("-i", "--in", "SOURCE"), ("", "--fast", "")]."""
    found = re.findall(r"^  (?:(-\w), )?(--[\w-]+)(?: ([A-Z]+))? ", run("help", verb).out, re.M)
    check(found, f"no options in the help of {verb}")
    only_named = " ".join(re.findall(r"^    (-.*)", run("help", verb).out, re.M))
    return found + [(short, long, "") for short, long in
                    re.findall(r"(?:(-\w), )?(--[\w-]+)", only_named)]


# ---- Help ----------------------------------------------------------------------------------------


@test
def help_fits_one_screen():
    for arguments in [[], ["help"], ["--help"], ["-h"]] + [[v, "--help"] for v in VERBS]:
        lines = run(*arguments).out.splitlines()
        check(5 <= len(lines) <= 23 and max(map(len, lines)) <= 79, f"{arguments}: {lines}")


@test
def help_names_every_verb_and_each_verb_its_usage():
    equal(re.findall(r"^  takt (\w+)", run("help").out, re.M), VERBS)
    for verb in VERBS:
        check(run("help", verb).out.startswith(f"takt {verb}"), verb)


@test
def version_is_one_line():
    check(re.fullmatch(r"takt \d+\.\d+\.\d+\n", run("--version").out), "not a version")


# ---- Wrong usage ---------------------------------------------------------------------------------


@test
def wrong_usage_is_one_clear_line_and_2():
    wav.write("w.wav", "s16", [(0,)] * 10)
    for arguments, wanted in [
            ("mter", "did you mean meter?"),
            ("nonsense", "takt help"),
            ("--josn", "a verb comes first"),
            ("meter --jsn", "did you mean --json?"),
            ("meter --lateny=low", "did you mean --latency?"),
            ("meter --xyzzy", "takt meter --help"),
            ("meter -b", "needs a value"),
            ("meter --fast=1 w.wav", "takes no value"),
            ("meter w.wav x.wav", "x.wav: one word too many: takt meter [SOURCE]"),
            ("meter -i w.wav w.wav", "one source is enough"),
            ("meter --fast", "-t SECONDS"),
            ("meter sim:nope", "there are voice, guitar"),
            ("play", "takt play FILE"),
            ("record", "takt record FILE"),
            ("record x.txt", ".flac"),
            ("run w.wav", "takt run SOURCE"),
            ("run w.wav gain=-2dB", "recordings end in"),
            ("run w.wav gian=-2dB out.wav", "no such effect"),
            ("run sim:tone=1000 x.wav -b 0x",
             "takt: run: -b 0x: not a whole number of frames between 1 and 16384; try 64"),
            ("demo x", "one word too many: takt demo\n"),
            ("help nope", "no such verb"),
    ]:
        said = one_line(run(*arguments.split(), status=2))
        check(wanted in said, f"{arguments}: {said!r} does not say {wanted!r}")
    equal(sorted(os.listdir()), ["w.wav"], "files after wrong usage")


@test
def hostile_numbers_are_refused():
    junk = ["", " ", "x", "0x10", "1e999", "nan", "inf", "-1", "1 ", " 1", "1x", "+1", "1,5", "--",
            "9" * 30, "-0", "\u0663", "1\n"]
    wav.write("w.wav", "s16", [(0,)] * 10)
    for option, also in [("-r", ["0", "7999", "384001", "1.5"]), ("-b", ["0", "16385", "1.5"]),
                         ("-c", ["0", "65", "1.5"]), ("-t", ["0", "1e8", "."]),
                         ("--seed", ["0", "1.5"]), ("--priority", ["0", "99", "on"]),
                         ("--latency", ["0", "11", "medium"]), ("-f", ["s17", "S16"])]:
        for value in junk + also:
            one_line(run("meter" if option != "-f" else "run", "w.wav", *(["x.wav"] * (option == "-f")),
                         option, value, status=2))
    for value in junk + ["1e3", "101", "-201", "dB", "-2dBx", "2 dB", "0x1p2", "."]:
        if value not in ("-1", "-0", "+1"):  # fine for a gain
            one_line(run("run", "w.wav", "gain=" + value, "x.wav", status=2))
    equal(os.listdir(), ["w.wav"])


@test
def a_verb_refuses_the_options_that_its_help_does_not_name():
    every = {o[1]: o for v in VERBS for o in option_names(v) if o[1] != "--help"}
    check(len(every) >= 15, f"only {sorted(every)}")
    refused = 0
    for verb in VERBS:
        own = {o[1] for o in option_names(verb)}
        for name, (short, _, value) in every.items():
            if name in own:
                continue
            for spelling in filter(None, [name, short]):
                said = one_line(run(verb, spelling, *(["1"] if value else []), status=2))
                check("no such option" in said, f"{verb} {spelling}: {said}")
                refused += 1
    check(refused > 20, f"only {refused} refusals")


@test
def options_may_stand_anywhere_and_in_each_spelling():
    wav.write("in.wav", "s16", noise("s16", 1000))
    made = set()
    for arguments in ["in.wav gain=-2dB out.wav --fast -b 100", "--fast -b100 in.wav gain=-2dB out.wav",
                      "in.wav --block=100 gain=-2dB --fast out.wav",
                      "in.wav --block 100 --fast gain=-2 -- out.wav",
                      "-i in.wav --fast -b 100 -o out.wav -- gain=-2db"]:
        run("run", "-q", *arguments.split())
        made.add(open("out.wav", "rb").read())
        os.remove("out.wav")
    equal(len(made), 1, "kinds of results")


@test
def two_hyphens_end_the_options():
    wav.write("-w.wav", "s16", noise("s16", 100))
    equal(run("meter", "--fast", "--json", "--", "-w.wav").summary()["frames"], 100)
    one_line(run("meter", "--fast", "-w.wav", status=2))


# ---- What fails ----------------------------------------------------------------------------------


@test
def what_cannot_be_had_is_one_clear_line_and_1():
    wav.write("w.wav", "s16", [(0,)] * 10)
    os.mkdir("folder")
    open("text.wav", "w").write("this is no sound at all\n" * 10)
    open("none.wav", "w").close()
    for arguments in ["meter nosuch.wav", "meter folder", "meter text.wav", "meter none.wav",
                      "play nosuch.wav", "run nosuch.wav out.wav", "run w.wav nosuch/out.wav",
                      "devices nosuch.wav"]:
        one_line(run(*arguments.split(), status=1))
    check(not os.path.exists("out.wav"), "a sink was made without a source")


@test
def a_recording_of_another_rate_is_converted():
    run("run", "sim:tone=1000", "cd.wav", "-r", "44100", "-t", "2", "--fast", "-c", "1")
    said = run("run", "cd.wav", "out.wav", "-r", "48000", "--fast", "--json").summary()
    equal((said["rate_hz"], said["source_rate_hz"], said["frames"]), (48000, 44100, 96000))
    near(said["channels"][0]["rms_dbfs"], -9.03, 0.01, "RMS")
    said = run("run", "out.wav", "back.wav", "-r", "44100", "--fast", "--json").summary()
    equal((said["rate_hz"], said["frames"]), (44100, 88200))
    text = run("run", "cd.wav", "-r", "48000", "--fast", "null:").out
    check("96000 frames at 48000 Hz, converted from 44100 Hz" in text, text)


@test
def a_name_with_control_characters_cannot_reach_the_terminal():
    one_line(run("meter", "a\n\x1b]0;evil\x07\x7f\u009bb.wav", status=1))


@test
def the_sink_may_not_be_the_source():
    wav.write("w.wav", "s16", noise("s16", 100))
    before = open("w.wav", "rb").read()
    os.symlink("w.wav", "s.wav")
    os.link("w.wav", "h.wav")
    for sink in ["w.wav", "./w.wav", os.path.abspath("w.wav"), "file:w.wav", "s.wav", "h.wav"]:
        for arguments in [("run", "w.wav", sink), ("record", sink, "-i", "w.wav"),
                          ("play", "w.wav", "-o", sink)]:
            one_line(run(*arguments, status=2))
            equal(open("w.wav", "rb").read(), before, f"the source after {arguments}")


@test
def a_full_stdout_is_told_and_1():
    wav.write("w.wav", "s16", [(0,)] * 10)
    for arguments in ["help", "--version", "meter --help", "devices", "devices --json",
                      "meter --fast --json w.wav", "meter --fast w.wav"]:
        with open("/dev/full", "wb") as full:
            said = run(*arguments.split(), status=1, stdout=full)
        check(re.fullmatch(r"takt: cannot write to stdout: No space left on device\n",
                           said.err), f"{arguments}: {said.err!r}")


@test
def a_closed_stdout_ends_quietly():
    for arguments in ["help", "devices", "meter --json sim:tone", "meter sim:tone",
                      "meter --fast --json sim:tone -t 1000", "demo"]:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as out:
            said = run(*arguments.split(), stdout=out)
        check("cannot" not in said.err, f"{arguments}: {said.err!r}")


@test
def a_sink_that_may_not_grow_is_told_and_1_and_whole():
    limit = 200_000
    said = run("run", "sim:noise", "x.wav", "--fast", "-t", "20", "-q", "-f", "s16", status=1,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    check("x.wav" in one_line(said), said.err)
    equal(len(wav.Read("x.wav").frames) > 0, True, "frames kept")


# ---- JSON ----------------------------------------------------------------------------------------


@test
def devices_are_listed_with_one_default_each_way():
    *devices, summary = run("devices", "--json").lines()
    equal(summary, {"type": "summary", "devices": len(devices)})
    check(len(devices) > 5, "hardly any")
    for way in ("in", "out"):
        default = [d for d in devices if d["default_" + way]]
        equal(len(default), 1, f"defaults {way}")
        check(default[0][way + "_channels_max"] > 0, default)
    for d in devices:
        equal(d["type"], "device")
        check(d["id"].startswith(d["backend"] + ":"), d)
        check(d["rate_hz_min"] <= d["rate_hz_default"] <= d["rate_hz_max"], d)
        check(d["in_channels_max"] or d["out_channels_max"], d)
    table = run("devices").out
    equal([d["id"] for d in devices if d["id"] not in table], [], "not in the table")


@test
def a_recording_is_a_device():
    wav.write("x.wav", "s24", [(0, 0, 0)] * 50, channels=3, rate_hz=44100)
    device, _ = run("devices", "x.wav", "--json").lines()
    equal([device[k] for k in ("rate_hz_default", "in_channels_default", "frames", "format")],
          [44100, 3, 50, "s24"])


SUMMARY = {"type", "verb", "version", "in", "out", "clock", "ended_by", "seconds", "rate_hz",
           "block_frames", "host_block_frames", "blocks", "frames", "contract", "last_misses",
           "misses_skipped", "latency_frames", "channels", "events", "health", "sched"}
CAUSES = {"total", "overran", "late_wake", "preempted", "page_fault", "blocking_call", "host_xrun",
          "stolen", "starved"}


@test
def summary_holds_what_it_promises():
    s = run("run", "sim:tone=1000", "null:", "-t", "0.5", "-b", "64", "--fade",
            "off", "--json").summary()
    is_watched = ENVIRONMENT.get("TAKT_GUARD", "") not in ("", "off")
    equal(set(s), SUMMARY | ({"guard"} if is_watched else set()))
    check(CAUSES <= set(s["contract"]["misses"]), s["contract"]["misses"])
    for name, parts in [("lateness_us", {"p50", "p99", "p999", "max"}),
                        ("duration_us", {"p50", "p99", "p999", "max"}),
                        ("slack_us", {"min", "p001", "p01", "p50"})]:
        equal(set(s["contract"][name]), parts, name)
    equal(set(s["latency_frames"]), {"host_in", "host_out", "adapter"})
    check({"rms_dbfs", "peak_dbfs", "clips"} <= set(s["channels"][0]), s["channels"])
    check({"policy", "priority"} <= set(s["sched"]), s["sched"])
    equal([s[k] for k in ("seconds", "frames", "block_frames", "rate_hz", "clock", "ended_by", "in",
                          "out", "verb")],
          [0.5, 24000, 64, 48000, "real", "length", "sim:tone=1000", "null:", "run"])
    equal(s["blocks"] * 64 + s["contract"]["lost_frames"], 24000, "what was heard and what was lost")
    near(s["channels"][0]["rms_dbfs"], 20 * math.log10(0.5 / math.sqrt(2)), 0.02)
    misses = s["contract"]["misses"]
    equal(sum(misses.values()) - misses["total"], misses["total"], "misses by cause")


@test
def levels_come_each_tenth_of_a_second_of_stream_time():
    for block in ["64", "128", "480", "1000"]:
        *lines, summary = run("meter", "sim:voice+guitar", "--fast", "--json", "-t", "2", "-b",
                              block).lines()
        levels = [l for l in lines if l["type"] == "level"]
        equal({l["type"] for l in lines}, {"level", "meter"})
        equal(len(levels), 20, "lines")
        for i, l in enumerate(levels):
            late_s = l["time_s"] - 0.1 * (i + 1)
            check(-1e-6 < late_s < int(block) / 48000 + 1e-6, f"line {i}: {l}")
            equal(len(l["channels"]), 2)
            for c in l["channels"]:
                equal(set(c), {"rms_dbfs", "block_rms_dbfs", "peak_dbfs", "hold_dbfs", "clips"})
                check(c["rms_dbfs"] <= c["hold_dbfs"] + 1e-9, c)
        equal(summary["seconds"], 2.0)


@test
def any_bytes_in_a_name_are_json():
    for name in [b'q"uote\\.wav', b"tab\t\n\x01\x7f.wav", b"\xff\xc0\xafbad\xed\xa0\x80\xf5.wav",
                 "nügel ♪ 🎸.wav".encode()]:
        wav.write(name, "s16", [(1,)])
        shown = run("meter", name, "--fast", "--json").summary()["in"]
        equal(shown, name.decode("utf-8", "replace") if b"\xff" not in name else shown)
        check(shown.endswith(".wav"), shown)


@test
def what_is_no_number_is_not_in_json():
    wav.write("x.wav", "f32", [(math.nan,), (math.inf,), (-math.inf,), (1e38,)] * 5000)
    for line in run("meter", "x.wav", "--fast", "--json").lines():
        check(line["type"] in ("level", "meter", "summary"), line)
    run("run", "x.wav", "y.wav", "--fast", "--json").summary()


@test
def silence_is_200_below():
    wav.write("x.wav", "s16", [(0,)] * 100)
    c = run("meter", "x.wav", "--fast", "--json").summary()["channels"][0]
    equal([c["rms_dbfs"], c["peak_dbfs"], c["clips"]], [-200, -200, 0])


# ---- Levels --------------------------------------------------------------------------------------


@test
def levels_are_those_of_plain_arithmetic():
    for name, full in [("u8", 2**7), ("s16", 2**15), ("s24", 2**23), ("s32", 2**31), ("f32", 1)]:
        frames = noise(name, 5000, 2)
        wav.write("x.wav", name, frames, channels=2, rate_hz=44100)
        s = run("meter", "x.wav", "--fast", "--json", "-b", str(chance.randint(1, 3000))).summary()
        equal(s["frames"], 5000)
        for c in range(2):
            x = [(f[c] - (128 if name == "u8" else 0)) / full for f in frames]
            rms = math.sqrt(sum(v * v for v in x) / len(x))
            near(s["channels"][c]["rms_dbfs"], 20 * math.log10(rms), 0.002, f"{name} rms")
            near(s["channels"][c]["peak_dbfs"], 20 * math.log10(max(map(abs, x))), 0.002,
                 f"{name} peak")


def sox_levels(path):
    """[(peak, rms)] of each channel."""
    said = subprocess.run(["sox", path, "-n", "stats"], stderr=subprocess.PIPE, text=True,
                          check=True, timeout=60).stderr
    rows = {m[1]: m[2].split() for m in re.finditer(r"^(Pk lev dB|RMS lev dB)\s+(.*)$", said, re.M)}
    peaks, levels = rows["Pk lev dB"], rows["RMS lev dB"]
    first = 0 if len(peaks) == 1 else 1  # the column before the channels is of all
    return [(float(p), float(r)) for p, r in zip(peaks[first:], levels[first:])]


@test
def levels_agree_with_sox():
    needs("sox")
    subprocess.run(["sox", "-q", "-n", "-r", "44100", "-c", "2", "-b", "24", "syn.flac", "synth", "2",
                    "pinknoise", "pluck"], check=True, timeout=60)
    paths = ["syn.flac"] + [RECORDING] * os.path.exists(RECORDING)
    for path in paths:
        ours = run("meter", "--fast", "--json", path).summary()["channels"]
        theirs = sox_levels(path)
        equal(len(ours), len(theirs), "channels")
        for o, (peak, rms) in zip(ours, theirs):
            near(o["peak_dbfs"], peak, 0.1, path)
            near(o["rms_dbfs"], rms, 0.1, path)


# ---- Sound from file to file ---------------------------------------------------------------------


@test
def a_recording_passes_unchanged_at_any_length_and_block():
    for name in wav.FORMATS:
        for count in [0, 1, 2, 127, 128, 129, 1000]:
            frames = noise(name, count, 2)
            wav.write("in.wav", name, frames, channels=2, rate_hz=22050)
            block = chance.choice([1, 7, 64, 128, 999, 1000, 4096])
            run("run", "in.wav", "out.wav", "--fast", "-q", "-b", str(block))
            out = wav.Read("out.wav")
            equal((out.name, out.channels, out.rate_hz), (name, 2, 22050))
            if name == "s32":  # takt works in floats, which hold 24 bits
                frames = [tuple(min(2**31 - 1, int(float32(x / 2**31) * 2**31)) for x in f)
                          for f in frames]
            check(out.frames == frames, f"{name}, {count} frames in blocks of {block} differ")


@test
def gain_is_exact_to_the_sample():
    """The gain is computed in double and then a float; the product rounds once to a float, and
    once to the nearest 16-bit number, even ones on a tie."""
    sources = [noise("s16", 3000)]
    if os.path.exists(RECORDING):
        sources.append(wav.Read(RECORDING).frames)
    for frames in sources:
        wav.write("in.wav", "s16", frames)
        for db in [-2, -0.5, 6.02, -200, 0]:
            g = 10**(db / 20)
            scaled = [float32(s[0] / 32768 * g) for s in frames]
            run("run", "in.wav", f"gain={db}dB", "out.wav", "--fast", "-q")
            wanted = [(max(-32768, min(32767, round(x * 32768))),) for x in scaled]
            out = wav.Read("out.wav")
            equal(out.name, "s16")
            equal(len(out.frames), len(frames), "length")
            check(out.frames == wanted, f"gain={db}dB differs")
            run("run", "in.wav", f"gain={db}", "f.wav", "--fast", "-q", "-f", "f32")
            out = wav.Read("f.wav")
            check(out.frames == [(x,) for x in scaled], f"gain={db} to f32")


@test
def gains_follow_one_another():
    wav.write("in.wav", "f32", noise("f32", 500))
    run("run", "in.wav", "gain=-20dB", "gain=+14dB", "gain=-3", "out.wav", "--fast", "-q")
    for (x,), (y,) in zip(wav.Read("in.wav").frames, wav.Read("out.wav").frames):
        near(y, x * 10**(-9 / 20), 1e-6)


@test
def too_few_channels_are_repeated_and_too_many_averaged():
    frames = noise("f32", 300, 3)
    wav.write("in.wav", "f32", frames, channels=3)
    for count, wanted in [(1, lambda f: [(f[0] + f[1] + f[2]) / 3]),
                          (2, lambda f: [(f[0] + f[2]) / 2, f[1]]), (3, list),
                          (5, lambda f: [f[0], f[1], f[2], f[0], f[1]])]:
        run("run", "in.wav", "out.wav", "--fast", "-q", "-c", str(count))
        out = wav.Read("out.wav")
        equal(out.channels, count)
        equal(len(out.frames), 300)
        for y, f in zip(out.frames, frames):
            for a, b in zip(y, wanted(f)):
                near(a, b, 1e-6)


@test
def the_format_of_a_sink_is_asked_for_or_kept():
    wav.write("in.wav", "s24", noise("s24", 10))
    for arguments, wanted in [([], "s24"), (["-f", "u8"], "u8"), (["--format=f32"], "f32")]:
        run("run", "in.wav", "out.wav", "--fast", "-q", *arguments)
        equal(wav.Read("out.wav").name, wanted)
    run("record", "live.wav", "-i", "sim:tone", "--fast", "-t", "0.1", "-q")
    equal(wav.Read("live.wav").name, "s24")


@test
def a_time_ends_a_run_to_the_frame():
    for rate, seconds in [(44100, "0.25"), (48000, "0.333"), (8000, "1.0001")]:
        run("record", "x.wav", "-i", "sim:noise", "-r", str(rate), "-t", seconds, "--fast", "-q")
        out = wav.Read("x.wav")
        equal((out.rate_hz, len(out.frames)), (rate, int(float(seconds) * rate + 0.5)))


# ---- The virtual clock ---------------------------------------------------------------------------


@test
def a_virtual_clock_says_the_same_on_every_run():
    device = "sim:voice+guitar,jitter=200us,xrun=0.4s,vanish=0.7s+0.2s"
    for arguments in [["meter", device, "--json"], ["meter", device],
                      ["run", device, "gain=3", "out.wav", "--json", "--dither"]]:
        said = [run(*arguments, "--fast", "-t", "1.5", "--seed", seed) for seed in "1112"]
        for i in (1, 2):
            equal(said[i].raw, said[0].raw)
            equal(said[i].err, said[0].err)
        check(said[3].raw != said[0].raw, f"{arguments}: another seed says the same")
        if "out.wav" in arguments:
            digests = set()
            for _ in range(3):
                run(*arguments, "--fast", "-t", "1.5")
                digests.add(open("out.wav", "rb").read())
            equal(len(digests), 1, "recordings")


@test
def faults_are_told_and_counted_and_3_only_when_strict():
    arguments = ["meter", "sim:tone,xrun=0.5s,vanish=1s+0.25s", "--fast", "-t", "2", "--json"]
    said = run(*arguments)
    s = said.summary()
    check(s["contract"]["misses"]["host_xrun"] >= 1, s["contract"])
    equal([s["events"]["device_lost"], s["events"]["device_back"]], [1, 1])
    check(s["last_misses"] and set(s["last_misses"][0]) >=
          {"cause", "position", "time_s", "lateness_us", "slack_us"}, s["last_misses"])
    check("away" in said.err and "back after" in said.err, said.err)
    strict = run(*arguments, "--strict", status=3)
    equal(strict.raw, said.raw)
    check("deadlines missed" in strict.err, strict.err)
    run("meter", "sim:tone", "--fast", "-t", "1", "--strict")


# ---- Defaults, signals, the demo -----------------------------------------------------------------


@test
def the_environment_names_the_defaults():
    wav.write("w.wav", "s16", [(0,)] * 100)
    s = run("meter", "--fast", "--json", environment={"TAKT_IN": "w.wav"}).summary()
    equal((s["in"], s["frames"]), ("w.wav", 100))
    run("play", "w.wav", "--fast", "-q", environment={"TAKT_OUT": "out.wav"})
    equal(len(wav.Read("out.wav").frames), 100)


@test
def a_simulated_default_is_told_unless_quiet():
    arguments = ["meter", "-t", "0.1"]
    check("simulated sim:voice" in run(*arguments).err, "not told")
    equal(run(*arguments, "-q").err, "")
    said = run(*arguments, "-q")
    equal(said.out, "")


def start(*arguments):
    return subprocess.Popen([TAKT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=ENVIRONMENT)


@test
def a_signal_ends_a_recording_well():
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        program = start("record", "x.wav", "-i", "sim:voice", "--json")
        program.stdout.readline()  # the first tenth of a second is over
        program.send_signal(sent)
        out, err = program.communicate(timeout=30)
        equal((program.returncode, err), (0, b""), sent.name)
        summary = out.decode().splitlines()[-1]
        check('"ended_by":"user"' in summary, summary)
        frames = int(re.search(r'"frames":(\d+)', summary)[1])
        equal(len(wav.Read("x.wav").frames), frames, "frames in the file")


@test
def a_signal_ends_a_virtual_clock_too():
    program = start("meter", "sim:voice", "--fast", "--json", "-t", "1000000")
    program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=30)
    equal(program.returncode, 0)
    check(b'"ended_by":"user"' in out.splitlines()[-1], out[-300:])


@test
def a_slow_reader_loses_no_line_of_a_virtual_clock():
    program = start("run", "sim:tone", "null:", "--fast", "--json", "-t", "120")
    time.sleep(0.5)  # enough for the pipe and all queues to fill up
    out, _ = program.communicate(timeout=60)
    *levels, summary = [strict_json(line) for line in out.splitlines()]
    equal((program.returncode, len(levels), summary["seconds"]), (0, 1200, 120))


@test
def a_flood_of_events_is_counted_alike_on_every_run():
    arguments = ["run", "sim:noise,vanish=0.5s+0.3s,jitter=1ms", "null:", "-b", "8", "-t", "3",
                 "--fast", "--json"]
    first = run(*arguments)
    events = first.summary()["events"]
    check(events["xrun"] > 1000, events)
    equal((events["device_lost"], events["device_back"]), (1, 1))
    for _ in range(3):
        equal(run(*arguments).raw, first.raw)


@test
def flags_may_stand_together():
    equal(run("meter", "sim:tone", "--fast", "-t", "1", "-qv").out, "")
    said = one_line(run("meter", "sim:tone", "-qx", status=2))
    check("-x" in said, said)


@test
def a_recording_as_a_scene_has_its_own_rate():
    wav.write("r.wav", "s16", [(1000,)] * 4410, channels=1, rate_hz=22050)
    equal(run("meter", "sim:rec=r.wav", "--fast", "-t", "1", "--json").summary()["rate_hz"], 22050)
    said = one_line(run("meter", "sim:rec=nosuch.wav", "--fast", "-t", "1", status=1))
    check("No such file" in said, said)


@test
def rates_that_takt_does_not_run_at_are_refused_of_files_too():
    for rate_hz in [4000, 768000]:
        wav.write("r.wav", "s16", [(1000,)] * 4410, channels=1, rate_hz=rate_hz)
        said = one_line(run("meter", "r.wav", "--fast", status=1))
        check(str(rate_hz) in said and "8000 to 384000" in said, said)


@test
def ctrl_c_ends_the_demo_with_its_contract():
    program = start("demo")
    for line in program.stdout:
        if b"rms" in line:
            break
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=30)
    equal((program.returncode, err), (0, b""))
    check(b"What part 1 kept" in out and b"contract: " in out, out)
    check(b"Try next" not in out and b"2. " not in out, out)


@test
def the_demo_ends_by_itself_and_is_plain_in_a_pipe():
    began = time.monotonic()
    quiet = start("demo", "-q")
    said = run("demo", "-o", "demo.wav")
    near(time.monotonic() - began, 14, 8, "seconds")
    equal(len(wav.Read("demo.wav").frames), 7 * 48000)
    check("\x1b" not in said.out, "escape sequences in a pipe")
    for wanted in ["1. ", "2. ", "3. ", "contract: ", " run ", "play demo.wav", "misses ", "rms"]:
        check(wanted in said.out, f"{wanted!r} is not in {said.out}")
    equal(max(len(l) for l in said.out.splitlines()) <= 79 + len(TAKT), True, "width")
    equal(quiet.communicate(timeout=30), (b"", b""))
    equal(quiet.returncode, 0)


tests_done()
