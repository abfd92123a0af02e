#!/usr/bin/env python3
"""
bench_test.py - takt bench: its lines add up, its picture shows them, and nothing is left half done.

    bench_test.py TAKT ROOT [JACK_PROBE]

Nothing here depends on how fast or how quiet the machine is: only on what was counted.
"""
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as tree

from program import (ENVIRONMENT, TAKT, Skip, check, equal, near, needs, one_line, run, strict_json,
                     test, tests_done)

ROOT = os.path.abspath(sys.argv[2])
PROBE = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
DEFAULT_BLOCKS = [64, 128, 256, 512, 1024, 2048, 4096]
VERDICTS = ["safe", "risky", "too small"]
HTML = "{http://www.w3.org/1999/xhtml}"


def bench(*arguments, **more):
    return run("bench", "-i", "sim:", "-o", "null:", *arguments, **more)


def parts(lines):
    *rows, summary = lines
    equal({row["type"] for row in rows} - {"bench"}, set())
    equal(summary["type"], "bench_summary")
    return rows, summary


def check_row(row, seconds):
    """What a line says fits together, whatever the machine did."""
    rate, block, host = row["rate_hz"], row["block_frames"], row["host_block_frames"]
    near(row["seconds"], seconds, 1e-6, "seconds")
    latency = row["latency_frames"]
    equal(latency["total"], latency["host_in"] + latency["host_out"] + latency["adapter"])
    near(row["latency_ms"], 1e3 * latency["total"] / rate, 1e-3, "latency")
    near(row["block_us"], 1e6 * block / rate, 1e-2, "block's time")
    near(row["deadline_us"], 1e6 * host / rate, 1e-2, "deadline")
    contract = row["contract"]
    equal(contract["clock"], "real")
    # Every block counts, but for those that the device lost.
    counted = row["blocks"] * block + contract["lost_frames"]
    check(abs(counted - seconds * rate) <= block + contract["lost_frames"],
          f"{row['blocks']} blocks of {block} are not {seconds} s")
    late = contract["lateness_us"]
    check(0 <= late["p50"] <= late["p99"] <= late["p999"] <= late["max"], late)
    check(0 <= row["callback_load"]["p50"] <= row["callback_load"]["p99"], row)
    near(row["callback_load"]["p99"], contract["duration_us"]["p99"] / row["block_us"], 1e-3, "load")
    check(row["thread_load"] is None or 0 <= row["thread_load"] <= 1.01, row["thread_load"])
    misses, hour = contract["misses"]["total"], row["misses_per_hour"]
    near(hour["estimate"], misses * 3600 / seconds, 1e-2, "misses an hour")
    equal(hour["confidence"], 0.95)
    check(hour["low"] <= hour["estimate"] <= hour["high"], hour)
    if misses == 0:
        equal(hour["low"], 0)
        near(hour["high"] * seconds / 3600, 3.688879, 1e-4, "high end for none")
    slack = contract["slack_us"]["min"] / row["deadline_us"]
    if abs(slack - 0.25) > 1e-3:
        wanted = ("too small" if misses > 1 and hour["low"] > 60 else
                  "safe" if misses == 0 and slack > 0.25 else "risky")
        equal(row["verdict"], wanted, str(row))


def check_recommendation(rows, summary):
    """No size below one that missed is recommended, and of the others that of least latency."""
    last_missed = max([i for i, r in enumerate(rows) if r["contract"]["misses"]["total"]], default=-1)
    safe = [r for r in rows[last_missed + 1:] if r["verdict"] == "safe"]
    if not safe:
        equal(summary["recommended_block_frames"], None)
        return
    least = min(r["latency_frames"]["total"] for r in safe)
    best = [r["block_frames"] for r in safe if r["latency_frames"]["total"] == least][-1]
    equal(summary["recommended_block_frames"], best)
    check(summary["verdict"].startswith(f"use {best}: "), summary["verdict"])


def text_of(element):
    return "".join(element.itertext())


def check_picture(path, rows):
    """It is XML, has nothing from elsewhere, and its table shows the rows' figures."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    check("<script" not in source and "url(" not in source and "src=" not in source
          and "href=" not in source and "@import" not in source, "not all of it is in the page")
    page = tree.fromstring(source)
    plots = [svg for svg in page.iter(HTML + "svg") if svg.get("role") == "img"]
    equal([svg.get("id") for svg in plots], ["latency", "cpu", "lateness", "misses"])
    for svg in plots:
        check(svg.get("aria-label") and svg.find(HTML + "title").text, "no words for the blind")
        axis = [text_of(t) for t in svg.iter(HTML + "text")]
        check("block size, frames (log scale)" in axis, axis)
        coordinates = [float(n) for e in svg.iter() for key in ("x", "y", "cx", "cy", "x1", "y1")
                       if (n := e.get(key))]
        check(all(0 <= n <= 480 for n in coordinates), "a mark outside of its panel")
    table = page.find(f".//{HTML}table")
    shown = [[text_of(cell) for cell in line] for line in table.iter(HTML + "tr")][1:]
    equal(len(shown), len(rows))
    for cells, row in zip(shown, rows):
        latency, late = row["latency_frames"], row["contract"]["lateness_us"]
        equal(cells[:3], [str(row["block_frames"]), row["verdict"], str(row["host_block_frames"])])
        near(float(cells[3]), row["latency_ms"], 0.0051, "latency")
        equal(cells[4], f"{latency['host_in']} + {latency['host_out']} + {latency['adapter']}")
        near(float(cells[5]), 100 * row["callback_load"]["p50"], 0.0051, "callback")
        near(float(cells[6]), 100 * row["callback_load"]["p99"], 0.0051, "callback")
        for cell, name in zip(cells[8:12], ("p50", "p99", "p999", "max")):
            near(float(cell), late[name], 0.51, name)
        near(float(cells[12]), row["deadline_us"], 0.51, "deadline")
        equal(int(cells[13]), row["contract"]["misses"]["total"])
        dots = [text_of(t) for t in plots[0].iter(HTML + "title")]
        check(f"{row['block_frames']}: {row['latency_ms']:.2f} ms" in dots, dots)
    return page


# ---- On any machine ------------------------------------------------------------------------------


@test
def lines_are_those_asked_for_and_add_up():
    rows, summary = parts(bench("--blocks", "256,64,100", "-t", "0.4", "--json").lines())
    equal([row["block_frames"] for row in rows], [64, 100, 256])
    for row in rows:
        check_row(row, 0.4)
        equal(row["host_block_frames"], row["block_frames"])
    check_recommendation(rows, summary)
    equal(summary["blocks"], [64, 100, 256])
    equal([summary[k] for k in ("in", "out", "backend", "rate_hz", "seconds_per_block", "measured",
                                "ended_by", "load", "effects", "html")],
          ["sim:", "null:", {"in": "sim", "out": "null"}, 48000, 0.4, 3, "done", 0, [],
           "bench.html"])
    equal(sorted(summary["rules"]), sorted(VERDICTS + ["use"]))
    equal(set(summary["machine"]), {"cpu", "cores", "kernel", "governor", "virtual", "date"})
    check(summary["machine"]["cores"] >= 1 and summary["machine"]["cpu"], summary["machine"])
    equal(set(summary["sched"]), {"policy", "priority", "nice", "why"})
    check_picture("bench.html", rows)
    equal(os.listdir(), ["bench.html"], "files")


@test
def seven_sizes_are_the_default():
    rows, summary = parts(bench("-t", "0.05", "--json", "--no-html", "-r", "44100").lines())
    equal([row["block_frames"] for row in rows], DEFAULT_BLOCKS)
    equal((summary["blocks"], summary["rate_hz"], summary["html"]), (DEFAULT_BLOCKS, 44100, None))
    equal(os.listdir(), [], "files")


@test
def the_table_has_80_columns_and_names_a_size():
    said = bench("--blocks", "64,16384", "-t", "0.4", "--html", "x.html")
    equal(said.err, "")
    tables = [line for line in said.out.splitlines() if re.match(r" +\d+ ", line)]
    equal([int(line.split()[0]) for line in tables], [64, 16384] * 2)
    for line in said.out.splitlines()[2:]:
        check(len(line) <= 80, f"{len(line)} columns: {line}")
    for line in tables[:2]:
        check(any(line.endswith(v) for v in VERDICTS), line)
    check(re.search(r"^(use \d+: |no size )", said.out, re.M), said.out)
    check("\r" not in said.out and "\033" not in said.out, "a terminal's characters in a pipe")
    check(said.out.endswith("The picture is x.html\n"), said.out)
    equal(os.listdir(), ["x.html"])
    equal(bench("--blocks", "64", "-t", "0.1", "-q", "--no-html").out, "")


@test
def known_work_and_effects_show_as_load():
    rows, summary = parts(bench("gain=-6dB", "--load", "40%", "--blocks", "512", "-t", "0.5",
                                "--json", "--no-html").lines())
    # Other programs and a slower processor can only make it more.
    check(rows[0]["callback_load"]["p50"] >= 0.3, rows[0]["callback_load"])
    check(rows[0]["thread_load"] is None or rows[0]["thread_load"] > 0.2, rows[0]["thread_load"])
    equal((summary["load"], summary["effects"]), (0.4, ["gain=-6dB"]))


@test
def one_size_is_a_picture_too():
    rows, _ = parts(bench("--blocks", "1", "-t", "0.1", "--json").lines())
    check_picture("bench.html", rows)


@test
def thirty_two_sizes_are_a_picture_too():
    sizes = [64 + i for i in range(32)]
    rows, _ = parts(bench("--blocks", ",".join(map(str, sizes)), "-t", "0.02", "--json").lines())
    equal([row["block_frames"] for row in rows], sizes)
    check_picture("bench.html", rows)


# ---- What is refused -----------------------------------------------------------------------------


@test
def wrong_usage_is_one_clear_line_and_2():
    for arguments, wanted in [
            ("--fast", "on a virtual clock there is nothing to measure"),
            ("-b 64", "no such option"), ("--strict", "no such option"),
            ("--blocks 64,64", "twice"), ("--blocks 0", "try 64,256"), ("--blocks 64,", "try 64,256"),
            ("--blocks ,", "try 64,256"), ("--blocks 16385", "try 64,256"),
            ("--blocks 1e3", "try 64,256"), ("--blocks 64:128", "try 64,256"),
            ("--blocks " + ",".join(map(str, range(1, 34))), "more than 32"),
            ("--load 96%", "try 30%"), ("--load -1", "try 30%"), ("--load 3x", "try 30%"),
            ("--load 3%%", "try 30%"), ("--load 0.5", "try 30%"),
            ("-t 0", "try 5"), ("hall", "no such effect"), ("gain=x", "try gain=-6dB"),
            ("-i in.wav", "a recording has no deadline"),
            ("-o out.wav", "a recording has no deadline"),
            ("-o file:out.wav", "a recording has no deadline"),
            ("-i sim:nope", "there are voice, guitar")]:
        said = one_line(bench(*arguments.split(), status=2))
        check(wanted in said, f"{arguments}: {said!r} does not say {wanted!r}")
    one_line(bench("--html", "", status=2))
    said = one_line(run("bench", environment={"TAKT_OUT": "out.wav"}, status=2))
    check("a recording has no deadline" in said, said)
    equal(os.listdir(), [], "files")


@test
def a_picture_that_cannot_be_written_is_told_before_anything_is_measured():
    os.mkdir("folder")
    for path in ["nosuch/x.html", "folder", "/dev/null", "x" * 300]:
        began = time.monotonic()
        said = one_line(bench("--html", path, "-t", "100", status=1))
        check(path[:20] in said and "cannot write it" in said, said)
        check(time.monotonic() - began < 30, "it has measured")
    if os.geteuid():
        os.chmod("folder", 0o500)
        one_line(bench("--html", "folder/x.html", "-t", "100", status=1))
    equal(os.listdir(), ["folder"])


@test
def a_picture_replaces_the_one_before_and_what_a_link_leads_to():
    open("old.html", "w").write("old")
    os.symlink("old.html", "link.html")
    rows, _ = parts(bench("--blocks", "64", "-t", "0.1", "--json", "--html", "link.html").lines())
    check(os.path.islink("link.html"), "the link is gone")
    check_picture("old.html", rows)
    equal(os.stat("old.html").st_mode & 0o777, 0o666 & ~current_umask(), "mode")
    equal(sorted(os.listdir()), ["link.html", "old.html"])


@test
def a_picture_that_may_not_grow_is_told_and_leaves_the_old_one():
    open("bench.html", "w").write("old")
    said = bench("--blocks", "64", "-t", "0.1", "--json", status=1,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    equal(said.err, "takt: bench: bench.html: cannot write it: File too large\n")
    rows, summary = parts(said.lines())
    equal((len(rows), summary["html"]), (1, None))
    equal((os.listdir(), open("bench.html").read()), (["bench.html"], "old"))


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@test
def a_full_stdout_is_told_and_1():
    with open("/dev/full", "wb") as full:
        said = bench("--blocks", "64", "-t", "0.1", status=1, stdout=full)
    check("cannot write to stdout" in said.err, said.err)
    equal(os.listdir(), [], "files after a failure")


# ---- What ends early -----------------------------------------------------------------------------


def begin(*arguments, **more):
    return subprocess.Popen([TAKT, "bench", *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **{"env": ENVIRONMENT, **more})


@test
def ctrl_c_keeps_the_lines_so_far_and_writes_no_picture():
    open("bench.html", "w").write("old")
    for sign in (signal.SIGINT, signal.SIGTERM):
        program = begin("-i", "sim:", "-o", "null:", "--blocks", "64,128,256", "-t", "2", "--json")
        first = program.stdout.readline()
        program.send_signal(sign)
        out, err = program.communicate(timeout=30)
        rows, summary = parts([strict_json(line) for line in (first + out).splitlines()])
        equal((program.returncode, err), (0, ""))
        equal([row["block_frames"] for row in rows], [64])
        check_row(rows[0], 2)
        equal((summary["ended_by"], summary["measured"], summary["html"]), ("user", 1, None))
        equal(open("bench.html").read(), "old")
        equal(os.listdir(), ["bench.html"])


@test
def ctrl_c_shows_the_table_so_far():
    program = begin("-i", "sim:", "-o", "null:", "--blocks", "64,128", "-t", "1.5", "--no-html")
    seen = ""
    while not re.search(r"^ +64 .*\n", seen, re.M):
        line = program.stdout.readline()
        check(line, f"it ended: {seen}")
        seen += line
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=30)
    equal((program.returncode, err), (0, ""))
    check("So far: " in out and not re.search(r"^ +128 ", out, re.M), out)


@test
def a_device_that_goes_away_is_told_and_1():
    said = run("bench", "-i", "sim:voice,vanish=0.3s+1s", "-o", "null:", "--blocks", "64,128", "-t",
               "1", "--json", status=1)
    equal(said.err, "takt: bench: blocks of 64: the device went away after 0.30 s\n")
    rows, summary = parts(said.lines())
    equal((rows, summary["ended_by"], summary["html"]), ([], "error", None))
    equal(os.listdir(), [], "files")


@test
def a_terminal_sees_how_far_it_is():
    main, child = pty.openpty()
    with subprocess.Popen([TAKT, "bench", "-i", "sim:", "-o", "null:", "--blocks", "64,128", "-t",
                           "1", "--no-html"], stdin=child, stdout=child, stderr=child,
                          env=ENVIRONMENT, start_new_session=True) as program:
        os.close(child)
        seen = b""
        while select.select([main], [], [], 30)[0]:
            try:
                got = os.read(main, 65536)
            except OSError:
                break
            if not got:
                break
            seen += got
        equal(program.wait(), 0, seen)
    os.close(main)
    text = seen.decode()
    for wanted in (r"64: \d s of 1, \d+ miss", r"128: \d s of 1, \d+ miss", "size 2 of 2"):
        check(re.search(wanted, text), f"{wanted} is not in {text!r}")
    check(text.rindex("\033[?25h") > text.rindex("\033[?25l"), "the cursor stays hidden")


# ---- A server whose block is its own ---------------------------------------------------------------


def with_jack(*command):
    needs("jackd")
    return [os.path.join(ROOT, "tools", "with-jack"), *command]


@test
def the_servers_block_stays_and_the_adapter_makes_up_for_it():
    done = subprocess.run(with_jack(TAKT, "bench", "-i", "jack:", "-o", "jack:", "--json", "-t",
                                    "0.5"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, env=ENVIRONMENT)
    equal(done.returncode, 0, done.stderr)
    rows, summary = parts([strict_json(line) for line in done.stdout.splitlines()])
    equal([row["block_frames"] for row in rows], DEFAULT_BLOCKS)
    for row in rows:
        check_row(row, 0.5)
        equal((row["host_block_frames"], row["latency_frames"]["adapter"]),
              (64, row["block_frames"] - 64))
    check_recommendation(rows, summary)
    check_picture("bench.html", rows)


@test
def a_server_that_dies_leaves_the_lines_so_far():
    # Not a JACK server: one that ends under its clients keeps its place among the eight at most.
    for program in ("pipewire", "wireplumber", "dbus-run-session"):
        needs(program)
    script = """"$1" bench -i null: -o pipewire: --json -t 1 --blocks 64,128,256 >lines & bench=$!
        for i in {1..300}; do [[ -s lines ]] && break; sleep 0.1; done
        kill "$PIPEWIRE_PID"; wait $bench; status=$?
        cat lines; rm lines; exit $status"""
    done = subprocess.run([os.path.join(ROOT, "tools", "with-pipewire"), "bash", "-c", script,
                           "bash", TAKT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=90, env=ENVIRONMENT)
    if "cannot open it" in done.stderr:
        raise Skip("takt was built without pipewire")
    rows, summary = parts([strict_json(line) for line in done.stdout.splitlines()])
    equal([row["block_frames"] for row in rows], [64])
    check_row(rows[0], 1)
    equal((done.returncode, summary["ended_by"], summary["html"]), (1, "error", None))
    check(re.fullmatch(r"takt: bench: blocks of 128: .+\n", done.stderr), done.stderr)
    equal(os.listdir(), [], "files")


@test
def nothing_is_heard_whatever_comes_in():
    """A bench that let its input through could howl."""
    script = """until_there() { for _ in {1..200}; do jack_lsp | grep -q "^$1:" && break; sleep 0.05; done; }
        "$1" run sim:tone=1000 jack:none -c 1 -t 30 -q & player=$!; until_there takt
        "$1" bench -i jack:takt -o jack:none gain=0dB --blocks 64 -t 5 -q --no-html & bench=$!
        until_there "takt bench"; "$1" meter "jack:takt bench" -t 1 --json; status=$?
        kill $player; wait $player; wait $bench && exit $status"""
    done = subprocess.run(with_jack("bash", "-c", script, "bash", TAKT), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          env=ENVIRONMENT)
    equal(done.returncode, 0, done.stderr)
    summary = strict_json(done.stdout.splitlines()[-1])
    equal([c["peak_dbfs"] for c in summary["channels"]], [-200] * len(summary["channels"]))


@test
def names_are_escaped_in_the_picture():
    """A device's name may hold what HTML would take for its own."""
    if not PROBE:
        raise Skip("no JACK to name a client with")
    name = "<b>&amp;\"'<i>"
    script = """"$2" thru "$3" >thru & thru=$!
        for i in {1..100}; do [[ -s thru ]] && break; sleep 0.1; done
        "$1" bench -i "jack:$3" -o "jack:$3" --blocks 64 -t 0.2 --json; status=$?
        kill $thru; wait $thru; rm thru; sleep 0.5; exit $status"""  # jackd has to notice
    done = subprocess.run(with_jack("bash", "-c", script, "bash", TAKT, PROBE, name),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, env=ENVIRONMENT)
    equal(done.returncode, 0, done.stderr)
    rows, summary = parts([strict_json(line) for line in done.stdout.splitlines()])
    equal((summary["in"], summary["out"]), ("jack:" + name,) * 2)
    page = check_picture("bench.html", rows)
    equal(page.find(f".//{HTML}title").text, "takt bench: jack:" + name)


tests_done()
